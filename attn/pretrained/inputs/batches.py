"""Several texts in one pass: filled up to one length, at the places they would have alone, and told apart again."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attn.pretrained.errors import ModelError
from attn.pretrained.inputs.prepared_inputs import accepted_inputs
from attn.pretrained.inputs.tokens import PADDING, Token

if TYPE_CHECKING:
    import torch

    from attn.pretrained.inputs.prepare import Prepared
    from attn.pretrained.loading.load import Loaded

_MASKS = {
    "input_ids": "attention_mask",
    "inputs_embeds": "attention_mask",
    "decoder_input_ids": "decoder_attention_mask",
}
_TEXTS = {*_MASKS, *_MASKS.values(), "token_type_ids"}


def joined(loaded: Loaded, rows: Sequence[dict]) -> tuple[dict, str]:
    """Fill the inputs of several texts up to one length.

    Parameters
    ----------
    loaded
    rows
        The inputs of each text by name, tensors (1, n, ...).

    Returns
    -------
    dict
        Tensors (batch, n, ...) by name, with masks that hide what was filled in. It stands on the side that the
        tokenizer says, but on the right in a decoder that reads beside an encoder, and in an encoder-decoder that
        cannot be told the places of its tokens.
    str
        What to know of it, as a sentence; empty where there is nothing to say.

    Raises
    ------
    ModelError
        If the tokenizer has no token to fill up with, or the model takes no mask to hide it with.
    """
    import torch

    longest = {name: max(row[name].shape[1] for row in rows) for name in rows[0]}
    if all(row[name].shape[1] == longest[name] for row in rows for name in longest):
        return {name: torch.cat([row[name] for row in rows]) for name in longest}, ""
    filler, note = _filler(loaded)
    fill = {"input_ids": filler, "decoder_input_ids": filler, "token_type_ids": loaded.tokenizer.pad_token_type_id}
    on_left = loaded.tokenizer.padding_side == "left" and _can_begin_anywhere(loaded)
    rows = [_with_masks(loaded, row) for row in rows]
    return {
        name: torch.cat([_filled(row[name], longest.get(name, longest[ids]), fill.get(name, 0), left) for row in rows])
        for name in rows[0]
        for ids, left in [("decoder_input_ids", False) if name.startswith("decoder_") else ("input_ids", on_left)]
    }, note


def _filler(loaded):
    """Return the token to fill up with, and what to know of it."""
    tokenizer = loaded.tokenizer
    if tokenizer.pad_token_id is not None:
        return tokenizer.pad_token_id, ""
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{loaded.name} has no padding token and no end token to fill shorter texts up with: "
            "texts of different lengths must be read one at a time"
        )
    return tokenizer.eos_token_id, (
        f"The tokenizer of {loaded.name} has no padding token: shorter texts are filled up with its end token "
        f"{tokenizer.eos_token}, which is hidden and left out."
    )


def _can_begin_anywhere(loaded):
    """Say whether a text may begin at any place of its row: most encoder-decoders count from the left."""
    return "position_ids" in accepted_inputs(loaded) or not getattr(loaded.model.config, "is_encoder_decoder", False)


def _with_masks(loaded, row):
    """Return the inputs of one text with a mask over all that is read."""
    import torch

    accepted = accepted_inputs(loaded)
    if "attention_mask" not in accepted:
        raise ModelError(
            f"{loaded.name} takes no attention mask: texts of different lengths must be read one at a time"
        )
    masks = {mask: torch.ones_like(row[ids]) for ids, mask in _MASKS.items() if ids in row and mask in accepted}
    return masks | row


def _filled(tensor, length, filler, left):
    """Return a tensor (1, n, ...) filled up to a length."""
    import torch

    filling = tensor.new_full((1, length - tensor.shape[1], *tensor.shape[2:]), filler)
    return torch.cat((filling, tensor) if left else (tensor, filling), dim=1)


def masks(inputs: dict) -> dict:
    """Return which places of its rows a model reads; the others are padding.

    Parameters
    ----------
    inputs
        Of a model, tensors by name.

    Returns
    -------
    dict
        ``input_ids``, ``decoder_input_ids`` ... -> booleans (batch, n), of those that have a mask of two axes.

    Raises
    ------
    ModelError
        If a row is padding alone.
    """
    found = {}
    for name, mask in _MASKS.items():
        if name in inputs and getattr(inputs.get(mask), "shape", None) == inputs[name].shape[:2]:
            found[name] = inputs[mask] != 0
            empty = (~found[name].any(dim=1)).nonzero().flatten().tolist()
            if empty:
                raise ModelError(
                    f"each row of {mask} must show at least one token, but row {empty[0]} (counted from 0) hides all"
                )
    return found


def placed(loaded: Loaded, inputs: dict) -> dict:
    """Place texts that are padded on the left as if each were read alone: the first token comes first.

    Parameters
    ----------
    loaded
    inputs
        Tensors by name.

    Returns
    -------
    dict
        With ``position_ids`` where padding comes before a token, the model takes them, and none are given.
    """
    if "position_ids" in inputs or "position_ids" not in accepted_inputs(loaded) or _places_pictures(loaded.model):
        return inputs
    found = _of_text(masks(inputs))
    if found is None or not _begins_late(found):
        return inputs
    moved = copy.copy(inputs)
    moved["position_ids"] = (found.long().cumsum(dim=1) - 1).clamp(min=0) + first_position(loaded.model)
    return moved


def doubted(loaded: Loaded, inputs: dict) -> int | None:
    """Return a row that begins with padding, in a model that was not told so by places; None if there is none.

    Only a pass can tell whether the model reads such a text as if it were alone: T5 does, whose places are relative,
    and BART does not.
    """
    texts_alone = all(name in _TEXTS for name in inputs)
    if "position_ids" in inputs or not texts_alone:
        return None
    late = [row for mask in masks(inputs).values() for row in range(len(mask)) if _begins_late(mask[row : row + 1])]
    return late[0] if late else None


def _begins_late(mask):
    """Say whether in some row padding comes before a token."""
    return bool((mask[:, 1:] & ~mask[:, :-1]).any())


def _places_pictures(model):
    """Say whether a model itself gives its tokens places on pictures besides those in the text, as Qwen2-VL does."""
    return any(hasattr(each, "get_rope_index") for each in (model, getattr(model, "model", None)))


def first_position(model: torch.nn.Module) -> int:
    """Return the number of the first place of a text: RoBERTa counts from behind that of padding."""
    found = [
        module.padding_idx + 1
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
    ]
    return found[-1] if found else 0


def alone(inputs: dict, row: int) -> dict:
    """Return the inputs of one row without its padding.

    Parameters
    ----------
    inputs
        Tensors by name.
    row

    Returns
    -------
    dict
        What has an entry for each row loses the others, and what has one for each place the padding.
    """
    read = masks(inputs)
    count = size(inputs)
    one = copy.copy(inputs)  # which may remember what it was made of
    for name, tensor in inputs.items():
        mask = read.get("decoder_input_ids") if name.startswith("decoder_") else _of_text(read)
        one[name] = tensor[row : row + 1] if getattr(tensor, "ndim", 0) and len(tensor) == count else tensor
        if mask is not None and _fits(tensor, mask.shape):
            one[name] = one[name][:, mask[row]]
    return one


def _fits(tensor, shape):
    """Say whether a tensor has an entry for each place of each row."""
    return getattr(tensor, "shape", ())[:2] == shape


def _of_text(read):
    """Return the mask of what is read first, or None."""
    return next((mask for name, mask in read.items() if not name.startswith("decoder_")), None)


def size(inputs: dict[str, Any]) -> int:
    """Return how many texts, pictures or sounds are in the inputs of a model; 1 where their names do not tell."""
    names = ("input_ids", "inputs_embeds", "pixel_values", "input_features", "input_values")
    return next((len(inputs[name]) for name in names if getattr(inputs.get(name), "ndim", 0)), 1)


def begins_late(inputs: dict) -> bool:
    """Say whether in some row padding comes before a token."""
    return any(_begins_late(mask) for mask in masks(inputs).values())


def can_be_told_apart(inputs: dict) -> bool:
    """Say whether inputs hold several texts or padding, and every tensor has an entry for each text."""
    count = size(inputs)
    padded = any(not mask.all() for mask in masks(inputs).values())
    return (count > 1 or padded) and all(
        len(value) in (1, count) for value in inputs.values() if getattr(value, "ndim", 0)
    )


def with_padding(inputs: dict, row: int, named: Prepared) -> dict:
    """Return what one text of a batch is: the inputs it would have alone, and its names at their places in the batch.

    Parameters
    ----------
    inputs
        Of the batch, tensors by name.
    row
    named
        The text alone.

    Returns
    -------
    dict
        ``inputs``, with the numbers that the model was given; ``tokens`` and ``decoder_tokens``, with
        `PADDING` where there are none.
    """
    read, one = masks(inputs), alone(inputs, row)
    decoder = named.decoder_tokens
    return {
        "inputs": {name: one[name] for name in named.inputs},
        "tokens": _spread(named.tokens, _of_text(read), row),
        "decoder_tokens": None if decoder is None else _spread(decoder, read.get("decoder_input_ids"), row),
    }


def _spread(names, read, row):
    """Put names where a mask shows something."""
    if read is None:
        return names
    real = read[row].tolist()
    left = iter(names or tuple(Token(str(i), None, False) for i in range(sum(real))))
    return tuple(next(left) if shown else PADDING for shown in real)
