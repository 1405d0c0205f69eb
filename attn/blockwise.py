"""The same attention, exact, without the n x n matrix: tile by tile, with a running softmax."""

import math
from typing import NamedTuple

import numpy as np

from attn.dot_product import _fitted, _match_heads, _number
from attn.functional import as_floats, as_real
from attn.masks import _offset, _sides, _whole

_NUMBERS = 2**15  # scores held at once: with queries, keys and values they fit the cache of one core
_KEYS = 512  # keys of one tile at most; a long row is cheaper to work on than many short ones


class _Problem(NamedTuple):
    """Attention of a few heads that share their tiles; mask and bias have one head if all share it."""

    query: np.ndarray  # (heads, n_q, d_k)
    key: np.ndarray  # (heads, n_k, d_k)
    value: np.ndarray  # (heads, n_k, d_v), finite
    broken: np.ndarray | None  # (heads, n_k, d_v), where a value was not finite
    mask: np.ndarray | None  # (heads or 1, n_q or 1, n_k or 1)
    bias: np.ndarray | None  # (heads or 1, n_q or 1, n_k or 1)


class _Steps(NamedTuple):
    """What is the same for every head."""

    scale: float
    softcap: float | None
    offset: int
    left: float  # keys that a query sees to its left, inf for no limit
    right: float


def attention(
    query,
    key,
    value,
    mask=None,
    *,
    bias=None,
    causal=False,
    query_offset=None,
    window=None,
    scale=None,
    softcap=None,
    tile=None,
):
    r"""Attend from each query to every key it may see, holding one tile of scores at a time.

    Parameters
    ----------
    query, key, value, mask, bias, causal, query_offset, window, scale, softcap
        As in `attn.scaled_dot_product_attention`.
    tile : (int, int), optional
        Queries and keys of one tile. By default few enough for the cache of a core.

    Returns
    -------
    ndarray, shape (..., n_q, d_v)
        The context, equal to that of `attn.scaled_dot_product_attention` up to rounding. A query
        that may see no key has a context of zero.

    Raises
    ------
    ValueError
        As `attn.scaled_dot_product_attention` does.

    Notes
    -----
    For each row the largest score :math:`m` so far, the sum :math:`\ell` of exponentials and their
    weighted sum :math:`c` of values are carried from tile to tile. A tile with scores :math:`s_j`
    makes of them, with :math:`m' = \max(m, \max_j s_j)`,

    .. math::
        \ell' = e^{m - m'} \ell + \sum_j e^{s_j - m'}, \qquad
        c' = e^{m - m'} c + \sum_j e^{s_j - m'} v_j,

    and the context is :math:`c / \ell` at the end: section 3 of [1]_, tiled as in section 3.1 of
    [2]_. Tiles that causality or the window hides altogether are never computed.

    References
    ----------
    .. [1] Milakov and Gimelshein, 2018. arXiv:1805.02867
    .. [2] Dao, Fu, Ermon, Rudra and Ré, 2022. arXiv:2205.14135

    Examples
    --------
    >>> keys = [[10, 0, 0], [0, 10, 0], [0, 0, 10], [0, 0, 10]]
    >>> values = [[1, 0], [10, 0], [100, 5], [1000, 6]]
    >>> attention([[0, 0, 10]], keys, values, tile=(1, 3)).round(3)
    array([[550. ,   5.5]])
    """
    (query, key, value), dtype = as_floats(query, key, value)
    key, value = _match_heads(query, key, value)
    shape = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    scores = np.broadcast_to(query.dtype.type(0), (*shape, query.shape[-2], key.shape[-2]))  # their shape, no memory
    mask, bias = _checked(mask, bias, scores)
    steps = _steps(query, key, causal, query_offset, window, scale, softcap)

    context = np.empty((*(shape or (1,)), query.shape[-2], value.shape[-1]), dtype=query.dtype)
    arrays = [_with_axes(array, context.ndim) for array in (query, key, value, mask, bias)]
    rows, keys = _tile(tile, *scores.shape[-2:])
    together = 1 if tile else max(1, _NUMBERS // (rows * keys))  # heads that share a tile
    with np.errstate(over="ignore", invalid="ignore"):  # hidden keys may hold anything
        for place in np.ndindex(context.shape[:-3]):
            for head in range(0, context.shape[-3], together):
                heads = slice(head, head + together)
                _attend(_problem(arrays, place, heads), steps, rows, keys, context[place][heads])
        return context.reshape(*shape, *context.shape[-2:]).astype(dtype, copy=False)


def _checked(mask, bias, scores):
    """Check that mask and bias fit the scores, as the attention in one piece does."""
    if bias is not None:
        bias = _fitted(bias, scores, "bias")
    if mask is not None:
        mask = as_real(mask)
        if mask.dtype != bool:
            raise ValueError(f"mask must be boolean (True may look; give additive masks as bias), got {mask.dtype}")
        if mask.ndim not in (2, scores.ndim):
            raise ValueError(
                f"mask must have 2 axes or the {scores.ndim} of the scores {scores.shape}, got {mask.shape}"
            )
        _fitted(np.broadcast_to(np.float32(0), mask.shape), scores, "mask")
    return mask, bias


def _steps(query, key, causal, query_offset, window, scale, softcap):
    """Check what is the same for every head."""
    offset = _offset(query_offset, query.shape[-2], key.shape[-2])
    left, right = (math.inf if side is None else side for side in _sides(window))
    return _Steps(
        1 / math.sqrt(query.shape[-1]) if scale is None else _number(scale, "scale"),
        None if softcap is None else _number(softcap, "softcap", above=0),
        offset,
        left,
        min(right, 0) if causal else right,
    )


def _tile(tile, n_q, n_k):
    """Return how many queries and keys a tile has."""
    if tile is not None:
        rows, keys = tile
        return _whole("tile", rows, 1), _whole("tile", keys, 1)
    keys = min(max(n_k, 1), _KEYS)
    return min(max(n_q, 1), max(1, _NUMBERS // keys)), keys


def _with_axes(array, ndim):
    """Give an array the number of axes of the context."""
    return None if array is None else array.reshape((1,) * (ndim - array.ndim) + array.shape)


def _problem(arrays, place, heads):
    """Take a few heads out of all arrays; those that are the same for all heads keep one."""
    query, key, value, mask, bias = (_part(array, place, heads) for array in arrays)
    broken = None
    if not np.isfinite(value).all():
        broken = ~np.isfinite(value)
        value = np.where(broken, 0, value)
    return _Problem(query, key, value, broken, mask, bias)


def _part(array, place, heads):
    """Index an array as if it had been broadcast."""
    if array is None:
        return None
    place = tuple(0 if size == 1 else index for index, size in zip(place, array.shape, strict=False))
    return array[place] if array.shape[-3] == 1 else array[place][heads]  # (heads or 1, n, d)


def _attend(problem, steps, rows, keys, context):
    """Fill the context of a few heads, block of queries by block of queries."""
    n_q, n_k = context.shape[-2], problem.key.shape[-2]
    buffer = np.empty(context.shape[0] * rows * keys, dtype=context.dtype)
    for first in range(0, n_q, rows):
        block = range(first, min(first + rows, n_q))
        start, stop = _span(block, n_k, steps)
        tiles = [range(at, min(at + keys, stop)) for at in range(start, stop, keys)]
        context[:, first : block.stop] = _block(problem, steps, block, tiles, buffer, context.shape[0])


def _span(block, n_k, steps):
    """Return the first key that a block of queries may see, and the one after the last."""
    start = max(0, block[0] + steps.offset - steps.left)
    stop = min(n_k, block[-1] + steps.offset + steps.right + 1)
    return int(start), int(max(start, stop))


def _block(problem, steps, block, tiles, buffer, num_heads):
    """Return the context of a block of queries, (heads, rows, d_v)."""
    rows, d_v = len(block), problem.value.shape[-1]
    largest = np.full((num_heads, rows, 1), -np.inf, dtype=buffer.dtype)
    total = np.zeros_like(largest)
    context = np.zeros((num_heads, rows, d_v), dtype=buffer.dtype)
    seen = None if problem.broken is None else np.zeros_like(context)  # how many broken values are in view
    for tile in tiles:
        scores = buffer[: num_heads * rows * len(tile)].reshape(num_heads, rows, len(tile))
        visible = _scores(problem, steps, block, tile, scores)
        value = problem.value[:, tile.start : tile.stop]
        largest, decay = _exponentials(scores, largest)
        total *= decay
        total += scores.sum(axis=-1, keepdims=True)
        context *= decay
        context += scores @ value
        if seen is not None:
            visible = np.broadcast_to(visible, scores.shape).astype(buffer.dtype)
            seen += visible @ problem.broken[:, tile.start : tile.stop].astype(buffer.dtype)
    np.divide(context, total, out=context, where=total != 0)
    return context if seen is None else np.where(seen > 0, np.nan, context)


def _scores(problem, steps, block, tile, scores):
    """Fill a tile with scores, -inf where hidden; return what is visible."""
    query = problem.query[:, block.start : block.stop]
    np.matmul(query, problem.key[:, tile.start : tile.stop].swapaxes(-1, -2), out=scores)  # (heads, rows, keys)
    scores *= steps.scale
    if steps.softcap is not None:
        scores /= steps.softcap
        np.tanh(scores, out=scores)
        scores *= steps.softcap
    visible = _near(block, tile, steps)
    for array in (problem.mask, problem.bias):
        if array is None:
            continue
        part = _cut(array, block, tile)
        if part.dtype != bool:
            scores += part
            part = ~np.isneginf(part)
        visible = part if visible is True else visible & part
    if visible is not True and not visible.all():
        np.copyto(scores, -np.inf, where=~visible)
    return visible


def _near(block, tile, steps):
    """Return which keys causality and window leave in sight, (rows, keys), or True for all."""
    last_to_left = block[-1] + steps.offset - steps.left <= tile[0]
    last_to_right = block[0] + steps.offset + steps.right >= tile[-1]
    if last_to_left and last_to_right:
        return True
    distance = np.arange(tile.start, tile.stop) - (np.arange(block.start, block.stop)[:, None] + steps.offset)
    return (distance >= -steps.left) & (distance <= steps.right)


def _cut(array, block, tile):
    """Cut a tile out of an array that may be the same for all queries or all keys."""
    rows = slice(None) if array.shape[-2] == 1 else slice(block.start, block.stop)
    keys = slice(None) if array.shape[-1] == 1 else slice(tile.start, tile.stop)
    return array[:, rows, keys]


def _exponentials(scores, largest):
    """Replace scores by their exponentials, below the largest so far; return it and how far it rose."""
    higher = np.maximum(largest, scores.max(axis=-1, keepdims=True))
    base = np.where(np.isneginf(higher), 0, higher)
    if np.isposinf(base).any():  # infinite scores share all the weight: their difference is 0, not NaN
        np.subtract(scores, base, out=scores, where=scores != base)
        scores[np.isposinf(scores)] = 0
    else:
        scores -= base
    np.exp(scores, out=scores)
    decay = np.exp(np.where(largest == base, 0, largest - base))
    return higher, decay
