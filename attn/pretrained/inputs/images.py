"""Image inputs: a picture made into what a model takes, and the grid of patches that it cuts it into."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.data.picture_files import read_whole
from attn.pretrained.errors import ModelError, first_line

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import ArrayLike

    from attn.pretrained.loading.load import Loaded
    from attn.pretrained.recording.layer import Layer
    from attn.pretrained.recording.record import Recording


class PatchGrid(NamedTuple):
    """How the tokens of a layer lie on a picture: after `leading` others, row by row."""

    rows: int
    columns: int
    leading: int  # tokens before the first patch, such as a class token or registers


def image_inputs(loaded: Loaded, image: str | Path | PIL.Image.Image | ArrayLike) -> dict:
    """Make inputs of a picture, as the model was trained on.

    Parameters
    ----------
    loaded
    image
        A file, as `attn.picture_files.read_whole` takes them; or grey (height, width) or coloured
        (height, width, 3) numbers, whole from 0 to 255 or real from 0 to 1.

    Returns
    -------
    dict
        For `record`. A model that reads a text besides wants ``input_ids`` too.

    Raises
    ------
    ModelError
        If the model has no image processor, or there is no picture in the file.
    ValueError
        If the array has another shape.
    """
    if loaded.image_processor is None:
        raise ModelError(f"{loaded.name} has no image processor, so it takes inputs instead of a picture")
    made = loaded.image_processor(read_picture(image), return_tensors="pt")
    accepted = inspect.signature(loaded.model.forward).parameters
    return {name: value for name, value in made.items() if name in accepted}


def patch_grid(recording: Recording, layer: Layer) -> PatchGrid | None:
    """Return where the keys of a layer lie on the picture that was recorded.

    Returns
    -------
    PatchGrid or None
        None where the keys are not the patches of one picture: tokens of a text, or a window of it.
    """
    if recording.patches is None or any(token.id is not None for token in layer.key_tokens):
        return None
    rows, columns = recording.patches
    leading = layer.key.shape[2] - rows * columns
    return PatchGrid(rows, columns, leading) if 0 <= leading < rows * columns else None


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
