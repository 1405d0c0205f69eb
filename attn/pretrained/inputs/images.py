"""Image inputs: pictures, alone or with a text, made into what a model takes, and where its keys lie on them."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn.data.picture_files import read_whole
from attn.pretrained.errors import ModelError, first_line, takes
from attn.pretrained.inputs import picture_tokens, tokens
from attn.pretrained.inputs.prepared_inputs import PreparedInputs, accepted_inputs

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import ArrayLike

    from attn.pretrained.loading.load import Loaded
    from attn.pretrained.recording.layer import Layer
    from attn.pretrained.recording.record import Recording


class PatchGrid(NamedTuple):
    """Where the keys of a layer lie on a picture."""

    rows: int
    columns: int
    keys: tuple  # of each patch, row by row: its place among the keys

    def patch_of(self, key: int) -> tuple[int, int] | None:
        """Return the row and column of the patch that a key stands for, or None if it stands for none of these."""
        return divmod(self.keys.index(key), self.columns) if key in self.keys else None


@takes(loaded="Loaded")
def image_inputs(loaded: Loaded, images: Any, text: str | None = None) -> PreparedInputs:
    """Make inputs of a picture or several, as the model was trained on.

    Parameters
    ----------
    loaded
    images : str, Path, PIL.Image.Image or array_like, or a list of them
        A file, as `attn.picture_files.read_whole` takes them; or grey (height, width) or coloured
        (height, width, 3) numbers, whole from 0 to 255 or real from 0 to 1.
    text
        What is read with the pictures. It is put as the model's chat template has it, the pictures first, unless it
        says itself where they stand, by the model's own token for a picture.

    Returns
    -------
    PreparedInputs
        For `record`. A model that reads a text besides wants ``input_ids`` too.

    Raises
    ------
    ModelError
        If the model has no image processor, there is no picture in the file, or a text cannot be read with it.
    ValueError
        If an array has another shape.
    """
    if loaded.image_processor is None:
        raise ModelError(f"{loaded.name} has no image processor, so it takes inputs instead of a picture")
    pictures = pictures_in(images)
    if text is not None and loaded.takes != "picture and text":
        raise ModelError(f"{loaded.name} takes a picture without a text")
    made = _seen(loaded, pictures) if text is None else _with_text(loaded, pictures, tokens.checked(text))
    accepted = accepted_inputs(loaded)
    inputs = PreparedInputs({name: value for name, value in made.items() if name in accepted})
    inputs.sizes = tuple(picture.size[::-1] for picture in pictures)
    return inputs


@takes(recording="Recording", layer="Layer")
def patch_grid(recording: Recording, layer: Layer, picture: int = 0) -> PatchGrid | None:
    """Return where the keys of a layer lie on a picture that was recorded.

    Parameters
    ----------
    recording
    layer
    picture : int, default 0
        Which of several.

    Returns
    -------
    PatchGrid or None
        The finest, where it is read whole and in pieces. None where no keys are the patches of a picture: tokens
        of a text, or a window of it.
    """
    cells = defaultdict(dict)  # rows and columns -> row and column -> place among the keys
    for place, token in enumerate(layer.key_tokens):
        if token.patch is not None and token.picture == picture:
            cells[token.patch[2:]].setdefault(token.patch[:2], place)
    whole = [size for size, places in cells.items() if len(places) == size[0] * size[1]]
    if not whole:
        return None
    rows, columns = max(whole, key=lambda size: size[0] * size[1])
    places = cells[rows, columns]
    return PatchGrid(rows, columns, tuple(places[divmod(cell, columns)] for cell in range(rows * columns)))


def picture_share(layer: Layer, heads: int | Sequence[int] | None = None) -> np.ndarray:
    """Return how much of its weight each query gives to the tokens that stand for a picture.

    Parameters
    ----------
    layer
    heads
        By default all.

    Returns
    -------
    shape (len(heads), n_q)
        From 0 to 1; of the first in a batch.
    """
    stands = np.array([token.picture is not None for token in layer.key_tokens])
    chosen = np.arange(layer.num_heads) if heads is None else np.atleast_1d(heads)
    return np.stack([layer.weights(int(head))[0, 0][:, stands].sum(axis=-1) for head in chosen])


def prompt_of(loaded: Loaded, text: str, count: int) -> str:
    """Return a text with the tokens that say where pictures stand, as the model's template for questions has it.

    Parameters
    ----------
    loaded
    text : str
        Returned as it is, if it says itself where the pictures stand.
    count : int
        Number of pictures.
    """
    mark = _mark(loaded)
    if mark is None or mark in text:
        return text
    asked = [{"role": "user", "content": [*[{"type": "image"}] * count, {"type": "text", "text": text}]}]
    for owner in (loaded.processor, loaded.tokenizer):
        if getattr(owner, "chat_template", None):
            try:
                written = owner.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
            except Exception:  # a template is a program of its own, and may want another conversation
                continue
            if written.count(mark) == count:
                return written
    return mark * count + text


def prompt_without_picture(loaded: Loaded, text: str) -> str | None:
    """Return a text as it is read where no picture goes with it, by the same template for questions.

    Parameters
    ----------
    loaded
    text : str
        Where it says itself that a picture stands somewhere, nothing does.

    Returns
    -------
    str or None
        None for a model in whose texts nothing stands for a picture: its two towers read side by side.
    """
    if picture_tokens.mark_of(loaded) is None:
        return None
    return prompt_of(loaded, text.replace(_mark(loaded), ""), 0)


def count_vectors(features: Any) -> int:
    """Count the vectors in what a model makes of pictures.

    Parameters
    ----------
    features : torch.Tensor, transformers.utils.ModelOutput, or a list of them
        What ``get_image_features`` returns.
    """
    pooled = getattr(features, "pooler_output", None)
    features = getattr(features, "last_hidden_state", features) if pooled is None else pooled
    if isinstance(features, list | tuple):
        return sum(count_vectors(each) for each in features)
    return features.numel() // features.shape[-1]


def reader_of(model: Any, what: str) -> Any:
    """Return what makes vectors of an image or of audio in a model of several kinds of input, or None.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    what : {"image", "audio"}
    """
    parts = (model, getattr(model, "model", None))
    return next((found for part in parts if (found := getattr(part, f"get_{what}_features", None))), None)


def _seen(loaded, pictures):
    """Return what an image processor makes of pictures alone."""
    rows = _pixtral(loaded)
    options = {} if rows is None else {"patch_size": rows.side}
    return loaded.image_processor(pictures, return_tensors="pt", **options)


def _with_text(loaded, pictures, text):
    """Return what the model's own processor makes of pictures and a text, or its tokenizer and image processor do."""
    prompt, reason = prompt_of(loaded, text, len(pictures)), ""
    if loaded.processor is not None:
        try:
            return processed(loaded, pictures, prompt)
        except Exception as error:  # a processor is a program of its own, and a folder may say too little of it
            reason = f": {first_line(error)}"
    try:
        return _put_together(loaded, pictures, prompt)
    except (TypeError, ValueError, RuntimeError) as error:
        if reason or not isinstance(error, ModelError):
            raise ModelError(f"{loaded.name} cannot put a picture and a text together{reason}") from error
        raise


def processed(loaded: Loaded, pictures: list, prompt: str) -> dict:
    """Return what the processor of a model makes of pictures and a text, as its documentation says.

    Parameters
    ----------
    loaded
    pictures : list of PIL.Image.Image
    prompt : str
        As `prompt_of` returns it.
    """
    # SigLIP was trained on texts filled up to one length, and its processor leaves that to whoever calls it
    filled = {"padding": "max_length", "max_length": loaded.max_tokens} if loaded.family == "siglip" else {}
    with tokens.lock_of(getattr(loaded.processor, "tokenizer", None)):  # its own, not that of the model
        return loaded.processor(text=[prompt], images=pictures, return_tensors="pt", **filled)


def _mark(loaded):
    """Return what stands in a text for a picture, before a processor puts as many in its place as it has vectors."""
    mark = getattr(loaded.processor, "image_token", None)
    if mark is None and (id := picture_tokens.mark_of(loaded)) is not None:
        return loaded.tokenizer.convert_ids_to_tokens(id)
    return None if mark is None else str(mark)


def _put_together(loaded, pictures, prompt):
    """Return inputs by image processor and tokenizer: as many tokens for the pictures as the model makes vectors."""
    import torch

    made = dict(_seen(loaded, pictures))
    with loaded.lock:  # a tokenizer changes while it works
        encoded = loaded.tokenizer(prompt, return_tensors="pt", verbose=False)
    mark, reader = picture_tokens.mark_of(loaded), reader_of(loaded.model, "image")
    if mark is None:  # both are read side by side
        return made | encoded
    if reader is None or mark not in encoded["input_ids"]:
        raise ModelError(f"{loaded.name} has no processor that says how a text and a picture are read together")
    accepted = inspect.signature(reader).parameters
    with torch.inference_mode():
        count = count_vectors(reader(**{name: value for name, value in made.items() if name in accepted}))
    ids = encoded["input_ids"][0].tolist()
    each = _rows_with_ends(loaded, made, mark) or [[mark] * (count // ids.count(mark))] * ids.count(mark)
    if len(each) != ids.count(mark) or sum(one.count(mark) for one in each) != count:
        raise ModelError(f"{loaded.name} makes {count} vectors of pictures for {ids.count(mark)} places in the text")
    pictures_of = iter(each)
    ids = torch.tensor([[id for one in ids for id in (next(pictures_of) if one == mark else [one])]])
    kinds = (ids == mark).long()
    return made | {
        "input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": kinds, "token_type_ids": kinds
    }  # fmt: skip


class _Pixtral(NamedTuple):
    """How Pixtral writes a picture into a text, which its own processor in transformers does with torchvision alone."""

    side: int  # pixels along a side of what one token stands for
    row_end: int  # the token behind each row
    end: int  # and behind the last


def _pixtral(loaded):
    """Return how a model with the vision tower of Pixtral reads rows of a picture; None of any other."""
    vision = picture_tokens.vision_config(loaded)
    if getattr(vision, "model_type", None) != "pixtral" or loaded.tokenizer is None:
        return None
    with loaded.lock:
        ids = loaded.tokenizer.convert_tokens_to_ids(["[IMG_BREAK]", "[IMG_END]"])
    if {*ids} & {None, loaded.tokenizer.unk_token_id}:
        return None
    return _Pixtral(vision.patch_size * getattr(loaded.model.config, "spatial_merge_size", 1), *ids)


def _rows_with_ends(loaded, made, mark):
    """Return the tokens of each picture row by row, each row with an end; None of a model without such ends."""
    rows = _pixtral(loaded)
    if rows is None or "image_sizes" not in made:
        return None
    grids = [[int(side) // rows.side for side in size] for size in made["image_sizes"]]
    return [[*([*[mark] * across, rows.row_end] * down)[:-1], rows.end] for down, across in grids]


def pictures_in(images: Any) -> list[PIL.Image.Image]:
    """Return each picture in red, green and blue, whether one is given or a list of them; see `image_inputs`."""
    several = isinstance(images, list | tuple) and any(
        isinstance(each, str | Path) or hasattr(each, "convert") or np.ndim(each) > 1 for each in images
    )
    return [read_picture(each) for each in (images if several else [images])]


def read_picture(image: str | Path | PIL.Image.Image | ArrayLike) -> PIL.Image.Image:
    """Return a picture in red, green and blue, from wherever it is; see `image_inputs`."""
    from PIL import Image

    if isinstance(image, Image.Image):
        return image.convert("RGB")
    if isinstance(image, str | Path):
        try:
            return read_whole(Path(image).read_bytes())
        except (OSError, ValueError) as error:
            raise ModelError(f"{image} cannot be opened as a picture: {first_line(error)}") from error
    array = np.asarray(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(f"a picture must have shape (height, width) or (height, width, 3), got {array.shape}")
    if array.dtype.kind == "f":
        array = np.rint(255 * array.clip(0, 1))
    return Image.fromarray(array.astype(np.uint8)).convert("RGB")
