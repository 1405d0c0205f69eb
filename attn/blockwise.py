"""The same attention, exact, without the n x n matrix: tile by tile, with a running softmax."""

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from attn.dot_product import check_fit, checked_mask, finite_number, leading_shape
from attn.functional import as_floats
from attn.masks import first_position, whole_number, window_sides

_NUMBERS = 2**18  # scores held at once by a thread: they fit the cache of a core
_ROWS = 64  # queries of one tile at most: causality hides more of short blocks
_KEYS = 512  # keys of one tile at most: long rows are cheaper to work on than many short ones


class _Heads(NamedTuple):
    """A few heads that share their tiles."""

    query: np.ndarray  # (heads, n_q, d_k)
    key: np.ndarray  # (heads, d_k, n_k), contiguous: the product with short blocks of queries is a quarter faster
    value: np.ndarray  # (heads, n_k, d_v), finite
    broken: np.ndarray | None  # (heads, n_k, d_v), where a value was not finite
    mask: np.ndarray | None  # (heads or 1, n_q, n_k)
    bias: np.ndarray | None  # (heads or 1, n_q, n_k)


class _Options(NamedTuple):
    """What is the same for every head."""

    scale: float
    softcap: float | None
    offset: int  # position of the first query among the keys
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
    threads=1,
):
    r"""Attend from each query to every key it may see, holding one tile of scores at a time.

    Parameters
    ----------
    query, key, value, mask, bias, causal, query_offset, window, scale, softcap
        As in `attn.scaled_dot_product_attention`.
    tile : (int, int), optional
        Queries and keys of one tile. By default few enough for the cache of a core.
    threads : int, default 1
        Tiles computed at the same time. More than one is of use only where numpy's matrix product
        keeps to one thread itself.

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
    leading = leading_shape(query, key, value)
    shape = (*leading, query.shape[-2], key.shape[-2])
    if mask is not None:
        mask = checked_mask(mask, shape)
    if bias is not None:
        (bias,), _ = as_floats(bias)
        check_fit(bias.shape, shape, "bias")
        bias = bias.astype(query.dtype, copy=False)
    options = _options(query, key, causal, query_offset, window, scale, softcap)
    context = np.empty((*(leading or (1,)), query.shape[-2], value.shape[-1]), dtype=query.dtype)
    arrays = _axes((query, key, value), (mask, bias), context.ndim, shape[-2:])
    tile = _tile(tile, shape)
    _in_threads(_tasks(arrays, options, context, *tile), threads, math.prod(tile), context.dtype)
    with np.errstate(over="ignore"):
        return context.reshape(*leading, *context.shape[-2:]).astype(dtype, copy=False)


def _options(query, key, causal, query_offset, window, scale, softcap):
    """Check what is the same for every head."""
    left, right = (math.inf if side is None else side for side in window_sides(window))
    return _Options(
        1 / math.sqrt(query.shape[-1]) if scale is None else finite_number(scale, "scale"),
        None if softcap is None else finite_number(softcap, "softcap", above=0),
        first_position(query_offset, query.shape[-2], key.shape[-2]),
        left,
        min(right, 0) if causal else right,
    )


def _axes(arrays, fitting, ndim, lengths):
    """Give all arrays the number of axes of the context, and those that fit the scores their lengths."""
    fitting = [None if each is None else np.broadcast_to(each, (*each.shape[:-2], *lengths)) for each in fitting]
    return [
        None if array is None else array.reshape((1,) * (ndim - array.ndim) + array.shape)
        for array in (*arrays, *fitting)
    ]


def _tile(tile, shape):
    """Return how many heads, queries and keys a tile has."""
    if tile is not None:
        rows, keys = tile
        return 1, whole_number("tile", rows, least=1), whole_number("tile", keys, least=1)
    rows, keys = (min(max(length, 1), most) for length, most in zip(shape[-2:], (_ROWS, _KEYS), strict=True))
    return max(1, _NUMBERS // (rows * keys)), rows, keys


def _tasks(arrays, options, context, together, rows, keys):
    """Yield functions that fill the context, each of a few heads and a block of queries."""
    for place in np.ndindex(context.shape[:-3]):
        for first in range(0, context.shape[-3], together):
            part = slice(first, min(first + together, context.shape[-3]))
            heads = _take(arrays, place, part)
            for start in range(0, context.shape[-2], rows):
                block = slice(start, min(start + rows, context.shape[-2]))
                yield functools.partial(_attend, heads, options, block, keys, context[place][part, block])


def _take(arrays, place, part):
    """Take a few heads out of all arrays; mask and bias that are the same for all keep one."""
    num_heads = arrays[0].shape[-3]
    query, key, value, mask, bias = (
        None if array is None else _indexed(array, place, part, num_heads) for array in arrays
    )
    broken = None if np.isfinite(value).all() else ~np.isfinite(value)
    value = value if broken is None else np.where(broken, 0, value)
    return _Heads(query, np.ascontiguousarray(key.swapaxes(-1, -2)), value, broken, mask, bias)


def _indexed(array, place, part, num_heads):
    """Index an array as if it had been broadcast, and its heads as if they had been repeated."""
    heads = array[tuple(0 if size == 1 else index for index, size in zip(place, array.shape, strict=False))]
    if len(heads) == 1:
        return heads
    group = max(1, num_heads // len(heads))
    if group == 1 or part.stop - part.start == 1:
        return heads[part.start // group : (part.stop - 1) // group + 1]
    return heads[np.arange(part.start, part.stop) // group]


def _in_threads(tasks, threads, numbers, dtype):
    """Run all tasks; each thread holds one tile, and takes the next task when it is free."""
    tasks = iter(tuple(tasks))
    helpers = [
        _pool(threads - 1).submit(_work, tasks, numbers, dtype)
        for _ in range(1, whole_number("threads", threads, least=1))
    ]
    try:
        _work(tasks, numbers, dtype)
    finally:
        for helper in helpers:
            if not helper.cancel():  # one that is still waiting to begin has nothing left to do
                helper.result()


@functools.cache
def _pool(threads):
    """Return threads that wait for work: to start them anew each time takes longer than the work."""
    return ThreadPoolExecutor(threads, thread_name_prefix="attention")


def _work(tasks, numbers, dtype):
    """Run tasks until there are none left."""
    buffer = np.empty(numbers, dtype=dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # hidden keys may hold anything
        for task in tasks:
            task(buffer)


def _attend(heads, options, block, keys, context, buffer):
    """Fill the context of a few heads and a block of queries, tile by tile."""
    query = heads.query[:, block] * options.scale  # (heads, rows, d_k)
    largest = np.full((*context.shape[:-1], 1), -np.inf, dtype=context.dtype)
    total = np.zeros_like(largest)
    context[...] = 0
    broken = np.zeros_like(context, dtype=bool)  # where a value in view was not finite
    start, stop = _span(heads.mask, options, block, heads.key.shape[-1])
    for at in range(start, stop, keys):
        tile = slice(at, min(at + keys, stop))
        scores = _tile_of(buffer, (*context.shape[:-1], tile.stop - at))
        visible = _fill(scores, query, heads, options, block, tile)
        largest, decay = _exponentials(scores, largest)
        total *= decay
        total += scores @ np.ones((scores.shape[-1], 1), dtype=scores.dtype)  # faster than sum
        context *= decay
        context += scores @ heads.value[:, tile]
        if heads.broken is not None:
            broken |= np.broadcast_to(visible, scores.shape) @ heads.broken[:, tile]
    context /= np.where(total == 0, 1, total)
    context[broken] = np.nan


def _tile_of(buffer, shape):
    """Return the beginning of a buffer as an array of this shape."""
    return buffer[: math.prod(shape)].reshape(shape)


def _span(mask, options, block, n_k):
    """Return the first key that a block of queries may see, and the one after the last."""
    start = int(max(0, block.start + options.offset - options.left))
    stop = int(min(n_k, block.stop + options.offset + options.right))
    if mask is None or start >= stop:
        return start, max(start, stop)
    seen = np.flatnonzero(mask[:, block, start:stop].any(axis=(0, 1)))
    return (start + int(seen[0]), start + int(seen[-1]) + 1) if seen.size else (start, start)


def _fill(scores, query, heads, options, block, tile):
    """Fill a tile with scores, -inf where hidden; return what is visible."""
    np.matmul(query, heads.key[..., tile], out=scores)  # (heads, rows, keys)
    if options.softcap is not None:
        scores /= options.softcap
        np.tanh(scores, out=scores)
        scores *= options.softcap
    visible = _near(block, tile, options)
    if heads.bias is not None:
        bias = heads.bias[:, block, tile]
        scores += bias
        visible = visible & ~np.isneginf(bias)
    if heads.mask is not None:
        visible = visible & heads.mask[:, block, tile]
    if not visible.all():
        np.copyto(scores, -np.inf, where=~visible)
    return visible


def _near(block, tile, options):
    """Return which keys causality and window leave in sight, broadcastable to (heads, rows, keys)."""
    first, last = block.start + options.offset, block.stop - 1 + options.offset
    if last - options.left <= tile.start and first + options.right >= tile.stop - 1:
        return np.True_
    distance = np.arange(tile.start, tile.stop) - np.arange(first, last + 1)[:, None]
    return (distance >= -options.left) & (distance <= options.right)


def _exponentials(scores, largest):
    """Replace scores by exponentials below the largest so far; return it, and what earlier ones shrink by."""
    higher = np.maximum(largest, scores.max(axis=-1, keepdims=True))
    base = np.where(np.isneginf(higher), 0, higher)
    if np.isposinf(base).any():  # infinite scores share all the weight: their difference is 0, not NaN
        scores[...] = np.where(scores == base, 0, scores - base)
    else:
        scores -= base
    np.exp(scores, out=scores)
    return higher, np.exp(np.where(largest == base, 0, largest - base))
