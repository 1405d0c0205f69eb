"""Attention from scratch beside the model's own, and how far they are apart."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn.dot_product import Attention, scaled_dot_product_attention
from attn.functional import whole_number
from attn.masks import causal as causal_mask
from attn.multi_head import merge_heads, split_heads
from attn.pretrained.errors import takes
from attn.pretrained.recording import tiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from attn.pretrained.recording.layer import Layer
    from attn.pretrained.recording.record import Recording

_AT_ONCE = 1_000_000  # weights compared at once, which bounds the memory that long texts take


class Difference(NamedTuple):
    """How far the weights of one head are from the model's own; infinite where one of the two is no number."""

    layer: int
    head: int
    kind: str
    largest: float
    mean: float


@takes(layer="Layer")
def from_scratch(
    layer: Layer,
    heads: int | Sequence[int] | None = None,
    *,
    rows: slice | Sequence[int] | None = None,
    scale: float | None = None,
    mask: ArrayLike | EllipsisType | None = ...,
    causal: bool = False,
    num_heads: int | None = None,
) -> Attention:
    """Compute the attention of a recorded layer in numpy, as it is or deliberately changed.

    Parameters
    ----------
    layer
    heads
        Query heads to compute; by default all.
    rows
        Queries to compute; by default all. Memory grows with their number.
    scale
        Instead of the recorded scale; 1 leaves the scaling out.
    mask : booleans
        Instead of the recorded mask; None drops it.
    causal
        Hide later keys, besides the mask.
    num_heads
        Merge the recorded heads and cut them into another number of heads. The scale then follows
        the new width, unless it is given.

    Returns
    -------
    Attention
        Every step, (batch, len(heads), n_q, n_k) and (batch, len(heads), n_q, d_v).

    Raises
    ------
    ValueError
        If a head does not exist, the widths do not divide, or a mask does not fit.
    """
    query, key, value = layer.query, layer.key, layer.value
    num_heads = None if num_heads is None else whole_number("num_heads", num_heads, least=1)
    if num_heads is not None and num_heads != query.shape[1]:
        query, key, value, scale = _cut_again(layer, num_heads, scale)
    chosen = chosen_heads(heads, query.shape[1])
    group = query.shape[1] // key.shape[1]
    visible = layer.mask if mask is ... else mask
    if causal:
        later = causal_mask(query.shape[2], key.shape[2]).visible
        visible = later if visible is None else np.asarray(visible) & later
    return scaled_dot_product_attention(
        _of_rows(query[:, chosen], rows),
        key[:, chosen // group],
        value[:, chosen // group],
        _of_rows(_of_heads(visible, chosen), rows),
        bias=_of_rows(_of_heads(layer.bias, chosen), rows),
        scale=layer.scale if scale is None else scale,
        softcap=layer.softcap,
        sinks=_of_rows(_of_heads(layer.sinks, chosen), rows),
    )


class NotFinite(NamedTuple):
    """Numbers of a layer that are infinite or no numbers."""

    layer: int
    what: str  # "queries", "keys", "values" or "scores"
    of_model: bool  # in the model itself, and not from scratch alone


@takes(recording="Recording")
def compare(
    recording: Recording, *, rows: slice | Sequence[int] | None = None, in_float32: bool = True, **changes: Any
) -> list[Difference]:
    """Compare the weights from scratch with the model's own, in every layer and head.

    Parameters
    ----------
    recording
    rows
        Queries to compare; by default all, which of a long text takes long.
    in_float32
        Whether the model's own function computes in float32 on the queries and keys of the pass, as ours does, where
        the model has shorter numbers, bfloat16 or float16. If not, the differences are what its rounding makes.
    **changes
        What `from_scratch` is to do otherwise than the model, such as ``scale=1.0``. Cut into another
        number of heads, the first head is compared with the model's first, and so on.

    Returns
    -------
    list of Difference
        The largest and the mean absolute difference, a row per layer and head, over all texts of a batch.
        Padding is left out, and so are queries that may see no key: a model gives them weights that mean nothing.
    """
    options: dict[str, Any] = {"rows": rows, "in_float32": in_float32, **changes}
    return [difference for layer in recording.layers for difference in compare_layer(layer, **options)]


@takes(layer="Layer")
def compare_layer(
    layer: Layer, *, rows: slice | Sequence[int] | None = None, in_float32: bool = True, **changes: Any
) -> list[Difference]:
    """Compare one layer, as `compare` does."""
    if layer.names:
        return _compare_texts(layer.batch, rows, {"in_float32": in_float32, **changes})
    own = functools.partial(layer.reference_weights, in_float32=in_float32)
    num_heads = min(layer.num_heads, changes.get("num_heads") or layer.num_heads)
    if rows is not None:
        pieces = [(rows, own(None, rows)[:, :num_heads])]
        return _compare_heads(layer, np.arange(num_heads), pieces, changes)
    shape = (len(layer.query), num_heads, layer.query.shape[2], layer.key.shape[2])
    if not tiles.fit(shape):
        return [_compare_by_rows(layer, own, head, shape, changes) for head in range(num_heads)]
    reference = own()  # (batch, num_heads, n_q, n_k)
    at_once = max(1, _AT_ONCE * layer.num_heads // reference.size)
    groups = np.split(np.arange(num_heads), range(at_once, num_heads, at_once))
    return [each for heads in groups for each in _compare_heads(layer, heads, [(None, reference[:, heads])], changes)]


def _compare_texts(layers, rows, options):
    """Compare the texts of a batch one by one, and put together what was found of each head."""
    each = [compare_layer(layer, rows=rows, **options) for layer in layers]
    lengths = [(layer.source.query_shape[2], layer.source.key_shape[2]) for layer in layers]
    sizes = [n_k * (n_q if rows is None else np.arange(n_q)[rows].size) for n_q, n_k in lengths]
    return [
        of_head[0]._replace(
            largest=max(one.largest for one in of_head),
            mean=float(np.average([one.mean for one in of_head], weights=sizes)),
        )
        for of_head in zip(*each, strict=True)
    ]


def first_not_finite(
    layers: Sequence[Layer], differences: Sequence[Difference], *, in_float32: bool = True
) -> NotFinite | None:
    """Return what the first layer holds that is no finite number, where a comparison came to no number.

    Parameters
    ----------
    layers
    differences
        What `compare_layer` found of them.
    in_float32
        As it was for `compare_layer`.

    Returns
    -------
    NotFinite or None
        None where every difference is a number.
    """
    wrong = next((each for each in differences if not math.isfinite(each.largest)), None)
    if wrong is None:
        return None
    texts = next(layer for layer in layers if layer.index == wrong.layer).batch
    for what, role in (("queries", "query"), ("keys", "key"), ("values", "value")):
        if not all(np.isfinite(getattr(one, role)).all() for one in texts):
            return NotFinite(wrong.layer, what, of_model=True)
    own = (one.reference_weights(wrong.head, in_float32=in_float32)[_seen(one, wrong.head)] for one in texts)
    return NotFinite(wrong.layer, "scores", not all(np.isfinite(weights).all() for weights in own))


def _seen(layer, head):
    """Return which queries of a head may see a key, (batch, 1, n_q)."""
    shape = (len(layer.query), 1, layer.query.shape[2])
    mask = _of_heads(layer.mask, np.array([head]))
    return np.broadcast_to(True if mask is None else mask.any(axis=-1), shape)


def _compare_by_rows(layer, own, head, shape, changes):
    """Compare one head of a layer whose weights are too large to be held all at once."""
    rows = tiles.tiles((shape[0], 1, *shape[2:]))
    pieces = ((part, own(head, part)) for part in rows)
    return _compare_heads(layer, np.array([head]), pieces, changes)[0]


def _compare_heads(layer, heads, pieces, changes):
    """Compare a few heads of a layer, given pairs of rows and the model's own weights of them."""
    return weight_differences(
        layer,
        heads,
        ((rows, from_scratch(layer, heads, rows=rows, **changes).weights, reference) for rows, reference in pieces),
    )


def weight_differences(
    layer: Layer, heads: np.ndarray, pieces: Iterable[tuple[slice | Sequence[int] | None, np.ndarray, np.ndarray]]
) -> list[Difference]:
    """Measure how far weights of some heads are from the model's own.

    Parameters
    ----------
    layer
    heads
    pieces
        Of the queries, part by part: which they are, None for all; our weights and the model's, each
        (batch, len(heads), rows, n_k).

    Returns
    -------
    list of Difference
        One a head. Queries that may see no key are left out.
    """
    largest, total, count = np.zeros(len(heads)), np.zeros(len(heads)), 0
    for rows, ours, reference in pieces:
        with np.errstate(invalid="ignore"):
            difference = np.abs(ours - reference)
        difference[np.isnan(difference)] = np.inf  # what is no number agrees with nothing
        if layer.mask is not None:
            seen = _of_rows(_of_heads(layer.mask, heads), rows).any(axis=-1, keepdims=True)
            difference = np.where(seen, difference, 0)
        largest = np.maximum(largest, difference.max(axis=(0, 2, 3)))
        total += difference.sum(axis=(0, 2, 3), dtype=np.float64)
        count += difference[:, 0].size
    return [
        Difference(layer.index, int(head), layer.kind, float(most), float(usual))
        for head, most, usual in zip(heads, largest, total / count, strict=True)
    ]


def _cut_again(layer, num_heads, scale):
    """Merge the heads of a layer and cut them into `num_heads`; return the scale that goes with it."""
    old_d_k = layer.query.shape[-1]
    if num_heads < 1 or (layer.query.shape[1] * old_d_k) % num_heads:
        raise ValueError(f"the width {layer.query.shape[1] * old_d_k} must be a multiple of num_heads, got {num_heads}")
    if (layer.bias is not None and layer.bias.shape[1] > 1) or layer.sinks is not None:
        raise ValueError(f"this layer trained a bias for each of its {layer.query.shape[1]} heads; keep that number")
    d_k = layer.query.shape[1] * old_d_k // num_heads
    width = layer.key.shape[1] * old_d_k
    num_kv_heads = width // d_k
    if width % d_k or num_heads % max(num_kv_heads, 1) or (layer.value.shape[1] * layer.value.shape[-1]) % num_kv_heads:
        raise ValueError(
            f"num_heads must divide keys of width {width} into heads of width {d_k}, got num_heads {num_heads}"
        )
    query = split_heads(merge_heads(layer.query), num_heads)
    key, value = (split_heads(merge_heads(x), num_kv_heads) for x in (layer.key, layer.value))
    return query, key, value, layer.scale * math.sqrt(old_d_k / d_k) if scale is None else scale


def chosen_heads(heads: int | Sequence[int] | None, num_heads: int) -> np.ndarray:
    """Return the chosen heads as an array of their numbers, all where None is given.

    Raises
    ------
    ValueError
        If there is no such head.
    """
    chosen = np.arange(num_heads) if heads is None else np.atleast_1d(np.asarray(heads))
    if chosen.dtype.kind != "i" or chosen.ndim != 1 or not all(0 <= head < num_heads for head in chosen):
        raise ValueError(f"heads must be among 0 to {num_heads - 1}, got {heads}")
    return chosen


def _of_heads(array, chosen):
    """Take the chosen heads of a mask or bias that has one entry per head."""
    if array is None:
        return None
    array = np.asarray(array)
    return array[:, chosen] if array.ndim == 4 and array.shape[1] > 1 else array


def _of_rows(array, rows):
    """Take the chosen rows of a mask or bias that has one entry per row."""
    if array is None or rows is None:
        return array
    array = np.asarray(array)
    try:
        return array[..., rows, :] if array.shape[-2] > 1 else array
    except (IndexError, TypeError, ValueError):
        raise ValueError(f"rows must be among 0 to {array.shape[-2] - 1}, several or a slice, got {rows!r}") from None
