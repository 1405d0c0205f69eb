"""The same attention, exact, without the n x n matrix: tile by tile, with a running softmax."""

import functools
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.lib import introspect
from numpy.typing import ArrayLike

from attn.dot_product import check_fit, checked_mask, leading_shape
from attn.functional import as_floats, finite_number, fitted_sinks, whole_number
from attn.masks import Window, first_position, window_sides


class _Most(NamedTuple):
    """How large a tile is at most, if the caller does not say."""

    scores: int  # of all its heads, held at once by a thread
    queries: int  # of one head


_WHOLE = _Most(2**19, 2048)  # a matrix product is faster the more queries it has
_CUT = _Most(2**20, 512)  # what causality, a window or a mask cuts out of a tile is cut out of many heads at once
_KEYS = 256  # keys of one tile at most
_EDGE = 64  # queries at once where causality or a window cuts through a tile: more is hidden of short blocks
_CALM = 75.0  # scores between this and its negative are not held against the largest so far
_LARGEST_SUM = 5e5  # of values there: e^75 times this, 1.9e38, is still a float32
_FAINT = 1e-13  # sums of exponentials below this are too near its smallest numbers for small values
_FAR = 1e30  # scores beyond this stay in their own unit
_THREADS = 1024  # at most: no machine has more cores than that to give


def _is_vectorized(function):
    """Return whether numpy computes a function of float32 several numbers at a time on this machine."""
    found = introspect.opt_func_info(func_name=f"^{function}$", signature="float32").get(function, {})
    return not found.get("ff", {}).get("current", "baseline").startswith("baseline")


# Powers of two, of float32, take half as long as those of e where numpy has vector code for them, and twice as
# long where it has not. Scores are kept in the unit that makes POWER their exponential: e^s = 2^(s log2 e).
UNIT, POWER = (math.log2(math.e), np.exp2) if _is_vectorized("exp2") else (1.0, np.exp)

_desks = threading.local()  # memory to work in, kept: to be given new memory takes longer than to fill it


class _Heads(NamedTuple):
    """A few key/value heads, each with the `group` of query heads that share it."""

    query: np.ndarray  # (kv_heads, group, n_q, d_k)
    key: np.ndarray  # (kv_heads or 1, 1, n_k, d_k)
    value: np.ndarray  # (kv_heads or 1, 1, n_k, d_v), finite, divided by `shrunk`
    shrunk: float  # so much, that the sum of all values is within the limits of the type
    broken: np.ndarray | None  # as value, where one was not finite
    mask: np.ndarray | None  # (kv_heads or 1, group or 1, n_q, n_k)
    bias: np.ndarray | None  # (kv_heads or 1, group or 1, n_q, n_k)
    sinks: np.ndarray | None  # (kv_heads or 1, group or 1, n_q, 1)
    reach: np.ndarray  # (kv_heads or 1, 1, 1), largest score of a query of length 1
    ones: np.ndarray  # (keys of a tile, 1)


class _Running(NamedTuple):
    """What is carried from tile to tile, for each query of a block."""

    largest: np.ndarray  # (kv_heads, group, rows, 1)
    total: np.ndarray  # (kv_heads, group, rows, 1)
    context: np.ndarray  # (kv_heads, group, rows, d_v)
    broken: np.ndarray | None  # (kv_heads, group, rows, d_v)


class _View(NamedTuple):
    """The keys that a few queries may see."""

    rows: slice
    low: int  # some of them see keys from here
    high: int  # to before here
    all_low: float  # causality and window hide no key from any of them from here
    all_high: float  # to before here


class _Sight(NamedTuple):
    """Which keys of a tile its queries may see."""

    visible: np.ndarray | np.bool  # broadcastable to (kv_heads, group, rows, keys)
    hidden: np.ndarray | None = None  # of the keys in `part`, where some are hidden
    part: slice | None = None  # from the first key to the last that is hidden from some query


_ALL = _Sight(np.True_)


class _Options(NamedTuple):
    """What is the same for every head."""

    scale: float
    softcap: float | None
    offset: int  # position of the first query among the keys
    left: float  # keys that a query sees to its left, inf for no limit
    right: float
    unit: float  # of scores
    power: Callable  # their exponential


def attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    bias: ArrayLike | None = None,
    causal: bool = False,
    query_offset: int | None = None,
    window: Window | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    sinks: ArrayLike | None = None,
    tile: tuple[int, int] | None = None,
    threads: int = 1,
) -> np.ndarray:
    r"""Attend from each query to every key it may see, holding one tile of scores at a time.

    Parameters
    ----------
    query, key, value, mask, bias, causal, query_offset, window, scale, softcap, sinks
        As in `attn.scaled_dot_product_attention`. Its ``top_k`` needs whole rows of scores, and there
        is none here.
    tile
        Queries and keys of one tile. By default few enough for the cache of a core.
    threads
        Tiles computed at the same time. More than one is of use only where numpy's matrix product
        keeps to one thread itself.

    Returns
    -------
    shape (..., n_q, d_v)
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
    [2]_. A sink :math:`s_0` is where it begins: :math:`m = s_0`, :math:`\ell = 1`, :math:`c = 0`. Tiles
    that causality or the window hides altogether are never computed.

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
    (query, key, value), dtype = as_floats(query=query, key=key, value=value)
    leading = leading_shape(query, key, value)
    shape = (*leading, query.shape[-2], key.shape[-2])
    if mask is not None:
        mask = checked_mask(mask, shape)
    if bias is not None:
        (bias,), _ = as_floats(bias=bias)
        check_fit(bias.shape, shape, "bias")
        bias = bias.astype(query.dtype, copy=False)
    if sinks is not None:
        sinks = fitted_sinks(sinks, (*shape[:-1], 1), query.dtype)
    options = _options(query, key, bias, causal, query_offset, window, scale, softcap)
    context = np.empty((*(leading or (1,)), query.shape[-2], value.shape[-1]), dtype=query.dtype)
    arrays = _axes((query, key, value), (mask, bias, sinks), context, shape[-2:])
    cut = mask is not None or not options.left == options.right == math.inf
    tile = _tile(tile, arrays[0].shape[-4:-2], shape[-2:], _CUT if cut else _WHOLE)
    _in_threads(_tasks(arrays, options, context, *tile), whole_number("threads", threads, 1, most=_THREADS))
    with np.errstate(over="ignore"):
        return context.reshape(*leading, *context.shape[-2:]).astype(dtype, copy=False)


class TileStep(NamedTuple):
    """What is carried once one tile has been added, for each of its queries."""

    queries: slice
    keys: slice  # without those behind the last one that any of the queries may see
    largest: np.ndarray  # (rows,) the largest score so far
    total: np.ndarray  # (rows,) the sum of exponentials so far
    context: np.ndarray  # (rows, d_v) the values so far, weighted with them; divided by the sum it is the output


def tile_steps(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    *,
    causal: bool = False,
    scale: float | None = None,
    tile: tuple[int, int] = (4, 4),
) -> tuple[TileStep, ...]:
    """Attend as `attention` does, and return what it carries after each tile.

    Parameters
    ----------
    query : shape (n_q, d_k)
    key : shape (n_k, d_k)
    value : shape (n_k, d_v)
    causal, scale, tile
        As in `attention`.

    Returns
    -------
    tuple of TileStep
        In the order in which they are computed. Tiles that causality hides are not among them.

    Raises
    ------
    ValueError
        As `attention`, and if there are several heads.

    Examples
    --------
    >>> steps = tile_steps(np.eye(4), np.eye(4), np.eye(4), causal=True, tile=(2, 2))
    >>> [(step.queries.start, step.keys.start) for step in steps]
    [(0, 0), (2, 0), (2, 2)]
    """
    (query, key, value), _ = as_floats(query=query, key=key, value=value)
    leading_shape(query, key, value)
    if query.ndim != 2 or key.ndim != 2 or value.ndim != 2:
        raise ValueError(f"query, key and value must be (n, d), got {query.shape}, {key.shape} and {value.shape}")
    options = _options(query, key, None, causal, None, None, scale, None)._replace(unit=1.0, power=np.exp)
    lengths, context = (len(query), len(key)), np.empty((1, 1, len(query), value.shape[1]), query.dtype)
    arrays = _axes((query, key, value), (None, None, None), context[0], lengths)
    _, rows, keys = _tile(tile, (1, 1), lengths, _CUT)
    heads, steps = _take(arrays, (), slice(0, 1), keys), []

    def watch(queries, tile, carried):
        carried = (each[0, 0].copy() for each in (carried.largest, carried.total, carried.context))
        largest, total, weighted = carried
        steps.append(TileStep(queries, tile, largest[:, 0], total[:, 0], weighted * heads.shrunk))

    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(query), rows):
            block = slice(start, min(start + rows, len(query)))
            part = heads.query[:, :, block] * query.dtype.type(options.scale)
            _through(heads, options, block, keys, part, False, context[:, :, block], {}, watch)
    return tuple(steps)


def _options(query, key, bias, causal, query_offset, window, scale, softcap):
    """Check what is the same for every head."""
    left, right = (math.inf if side is None else side for side in window_sides(window))
    return _Options(
        1 / math.sqrt(query.shape[-1]) if scale is None else finite_number(scale, "scale"),
        None if softcap is None else finite_number(softcap, "softcap", above=0),
        first_position(query_offset, query.shape[-2], key.shape[-2]),
        left,
        min(right, 0) if causal else right,
        # a bias may be near the limits of its type, beyond which another unit would carry it
        *((UNIT, POWER) if bias is None and (softcap or 0) < _FAR else (1.0, np.exp)),
    )


def _axes(arrays, fitting, context, lengths):
    """Give all arrays the same axes (..., kv_heads or 1, group or 1, n, d)."""
    query, key, value = (_leading(array, context.ndim) for array in arrays)
    num_heads, num_kv_heads = context.shape[-3], max(key.shape[-3], value.shape[-3])
    group = num_heads // num_kv_heads if num_kv_heads else 1
    query = np.broadcast_to(query, (*query.shape[:-3], num_heads, *query.shape[-2:]))
    query = query.reshape(*query.shape[:-3], num_kv_heads, group, *query.shape[-2:])
    mask, bias, sinks = (None if each is None else _leading(each, context.ndim) for each in fitting)
    mask, bias = (None if each is None else _grouped(each, group, lengths) for each in (mask, bias))
    sinks = None if sinks is None else _grouped(sinks, group, (lengths[0], 1))
    return query, key[..., None, :, :], value[..., None, :, :], mask, bias, sinks


def _leading(array, ndim):
    """Put axes of length 1 in front of an array until it has `ndim`."""
    return array.reshape((1,) * (ndim - array.ndim) + array.shape)


def _grouped(array, group, lengths):
    """Give a mask, a bias or sinks the axes (..., kv_heads or 1, group or 1, n_q, n_k or 1)."""
    num_heads = array.shape[-3]
    heads = (1, 1) if num_heads == 1 else (num_heads // group, group)
    return np.broadcast_to(array, (*array.shape[:-2], *lengths)).reshape(*array.shape[:-3], *heads, *lengths)


def _tile(tile, heads, lengths, most):
    """Return how many key/value heads, queries and keys a tile has; each head comes with its group."""
    if tile is not None:
        if not isinstance(tile, tuple | list) or len(tile) != 2:
            raise ValueError(f"tile must be a pair (queries, keys), got {tile!r:.80}")
        return 1, *(whole_number("tile", size, least=1) for size in tile)
    num_kv_heads, group = heads
    keys = _even(lengths[1], _KEYS)
    rows = _even(lengths[0], min(most.queries, most.scores // (max(group, 1) * keys)))
    return _even(num_kv_heads, most.scores // (max(group, 1) * rows * keys)), rows, keys


def _even(number, most):
    """Return the size of parts of a number, at most `most` each, that are about even."""
    parts = math.ceil(number / max(1, most)) or 1
    return max(1, math.ceil(number / parts))


def _tasks(arrays, options, context, together, rows, keys):
    """Yield functions that fill the context, each of a few heads and a block of queries."""
    num_kv_heads, group, n_q, _ = arrays[0].shape[-4:]
    context = context.reshape(*context.shape[:-3], num_kv_heads, group, *context.shape[-2:])
    for place in np.ndindex(context.shape[:-4]):
        parts = [slice(first, first + together) for first in range(0, num_kv_heads, together)]
        for to_come, part in zip(range(len(parts), 0, -1), parts, strict=True):
            heads = _take(arrays, place, part, keys)
            # Causal: the last queries take longest. To and fro, and at the very last from long to short, threads
            # end together.
            for start in range(0, n_q, rows)[:: -1 if to_come % 2 else 1]:
                block = slice(start, min(start + rows, n_q))
                yield functools.partial(_attend, heads, options, block, keys, context[place][part, :, block])


def _take(arrays, place, part, keys):
    """Take a few heads out of all arrays."""
    query, key, value, *fitting = (None if array is None else _indexed(array, place, part) for array in arrays)
    largest = max(value.max(initial=0), -value.min(initial=0))
    broken = None if np.isfinite(largest) else ~np.isfinite(value)
    value = value if broken is None else np.where(broken, 0, value)
    shrunk = _shrunk(value, largest if broken is None else np.abs(value).max(initial=0))
    value = value if shrunk == 1 else value / value.dtype.type(shrunk)
    reach, ones = _reach(key, largest), np.ones((min(keys, key.shape[-2]), 1), dtype=key.dtype)
    return _Heads(query, key, value, shrunk, broken, *fitting, reach, ones)


def _shrunk(value, largest):
    """Return by what values are divided so that their sum stays finite: a power of two, which rounds nothing."""
    n_k = value.shape[-2]
    return 2.0 ** n_k.bit_length() if largest > np.finfo(value.dtype).max / (2 * max(n_k, 1)) else 1.0


def _indexed(array, place, part):
    """Index an array as if it had been broadcast."""
    heads = array[tuple(0 if size == 1 else index for index, size in zip(place, array.shape, strict=False))]
    return heads if len(heads) == 1 else heads[part]


def _in_threads(tasks, threads):
    """Run all tasks; each thread takes the next one when it is free."""
    tasks = iter(tuple(tasks))
    helpers = [_pool(threads - 1).submit(_work, tasks) for _ in range(1, threads)]
    try:
        _work(tasks)
    finally:
        for helper in helpers:
            if not helper.cancel():  # one that is still waiting to begin has nothing left to do
                helper.result()


@functools.cache
def _pool(threads):
    """Return threads that wait for work: to start them anew each time takes longer than the work."""
    return ThreadPoolExecutor(threads, thread_name_prefix="attention")


def _work(tasks):
    """Run tasks until there are none left."""
    desk = vars(_desks)  # of this thread
    with np.errstate(over="ignore", invalid="ignore"):  # hidden keys may hold anything
        for task in tasks:
            task(desk)


def _attend(heads, options, block, keys, result, desk):
    """Fill the context of a few heads and a block of queries, (kv_heads, group, rows, d_v)."""
    query = heads.query[:, :, block]  # (kv_heads, group, rows, d_k)
    farthest = (_lengths(query) * heads.reach).max(initial=0) * abs(options.scale)
    if not farthest < _FAR:
        options = options._replace(unit=1.0, power=np.exp)
    unit = 1.0 if options.softcap else options.unit  # a cap is put on scores as they are
    query = np.multiply(query, options.scale * unit, out=_room(desk, "query", query.shape, query.dtype))
    calm = heads.bias is None and farthest <= _CALM
    if heads.sinks is not None:
        calm &= np.abs(heads.sinks[..., block, :]).max(initial=0) <= _CALM
    running = _through(heads, options, block, keys, query, calm, result, desk)
    if calm and ((running.total < _FAINT) & (running.total > 0)).any():
        running = _through(heads, options, block, keys, query, False, result, desk)
    np.divide(result, np.where(running.total == 0, 1, running.total), out=result)
    if heads.shrunk != 1:
        np.multiply(result, heads.shrunk, out=result)
    if heads.broken is not None:
        result[running.broken] = np.nan


def _through(heads, options, block, keys, query, calm, result, desk, watch=None):
    """Go through all tiles of a block; the sums of values gather in the result. `watch` is told of each tile."""
    running = _start(query, heads, options, block, calm, result)
    for rows, tile in _tiles(_views(heads, options, block), keys):
        part, carried = query, running
        if rows != block:
            at = slice(rows.start - block.start, rows.stop - block.start)
            part, carried = query[:, :, at], _Running(*(each if each is None else each[:, :, at] for each in running))
        scores = _product(part, heads.key[..., tile, :].swapaxes(-1, -2), desk, "scores")
        sight = _finish(scores, heads, options, rows, tile)
        _carry(carried, scores, sight, heads, tile, options.power, calm, desk)
        if heads.broken is not None:
            carried.broken[...] |= np.broadcast_to(sight.visible, scores.shape) @ heads.broken[..., tile, :]
        if watch is not None:
            watch(rows, tile, carried)
    return running


def _start(query, heads, options, block, calm, result):
    """Return what is carried before the first tile; the sums of values gather where the context will be."""
    shape = (*query.shape[:-1], 1)
    largest, total = np.full(shape, -np.inf, dtype=query.dtype), np.zeros(shape, dtype=query.dtype)
    if heads.sinks is not None:
        sinks = heads.sinks[..., block, :] * query.dtype.type(options.unit)
        largest[...] = sinks
        total[...] = options.power(sinks) if calm else sinks > -np.inf
    result[...] = 0
    return _Running(largest, total, result, None if heads.broken is None else np.zeros(result.shape, dtype=bool))


def _views(heads, options, block):
    """Return which keys a few queries at a time may see, or all at once where nothing is hidden."""
    n_k = heads.key.shape[-2]
    if heads.mask is None and options.left == options.right == math.inf:
        return [_View(block, 0, n_k, 0, n_k)]
    starts = range(block.start, block.stop, _EDGE)
    return [_view(heads.mask, options, slice(at, min(at + _EDGE, block.stop)), n_k) for at in starts]


def _view(mask, options, rows, n_k):
    """Return which keys some and all of a few queries may see."""
    first, last = rows.start + options.offset, rows.stop - 1 + options.offset
    low, high = int(max(0, first - options.left)), int(min(n_k, last + options.right + 1))
    if mask is not None and low < high:
        seen = np.flatnonzero(mask[..., rows, low:high].any(axis=(0, 1, 2)))
        low, high = (low + int(seen[0]), low + int(seen[-1]) + 1) if seen.size else (low, low)
    return _View(rows, low, max(low, high), last - options.left, first + options.right + 1)


def _tiles(views, keys):
    """Yield queries and keys of each tile; together those that see all of its keys, the others a few at once."""
    start, stop = min(view.low for view in views), max(view.high for view in views)
    for tile in (slice(at, min(at + keys, stop)) for at in range(start, stop, keys)):
        together = None
        for view in views:
            part = slice(max(tile.start, view.low), min(tile.stop, view.high))
            if part == tile and view.all_low <= tile.start and tile.stop <= view.all_high:
                together = slice(together.start if together else view.rows.start, view.rows.stop)
                continue
            if together:
                yield together, tile
                together = None
            if part.start < part.stop:
                yield view.rows, part
        if together:
            yield together, tile


def _carry(running, scores, sight, heads, tile, power, calm, desk):
    """Add a tile to what is carried."""
    if calm:
        power(scores, out=scores)
        _hide(scores, sight, 0)  # only now: powers of -inf take several times as long
    else:
        _hide(scores, sight, -np.inf)
        largest, decay = _exponentials(scores, running.largest, power)
        running.largest[...] = largest
        np.multiply(running.total, decay, out=running.total)
        np.multiply(running.context, decay, out=running.context)
    sums = _product(scores, heads.ones[: tile.stop - tile.start], desk, "sums")  # faster than numpy's own sum
    np.add(running.total, sums, out=running.total)
    weighted = _product(scores, heads.value[..., tile, :], desk, "weighted")
    np.add(running.context, weighted, out=running.context)


def _product(left, right, desk, name):
    """Return a matrix product on the desk; heads that share what stands on the right are one tall matrix."""
    shape = (*left.shape[:-1], right.shape[-1])
    tall = (len(left), 1, math.prod(left.shape[1:-1]))
    product = _room(desk, name, shape, left.dtype)
    np.matmul(left.reshape(*tall, left.shape[-1]), right, out=product.reshape(*tall, shape[-1]))
    return product


def _room(desk, name, shape, dtype):
    """Return an array on the desk, of whatever was there before; a larger one than usual is not kept."""
    size = math.prod(shape)
    if size > _CUT.scores:
        return np.empty(shape, dtype=dtype)
    if name not in desk or desk[name].size < size or desk[name].dtype != dtype:
        desk[name] = np.empty(size, dtype=dtype)
    return desk[name][:size].reshape(shape)


def _finish(scores, heads, options, block, tile):
    """Cap a tile of scores and add the bias; return what is to be seen of them."""
    if options.softcap is not None:
        scores /= options.softcap
        np.tanh(scores, out=scores)
        scores *= options.softcap * options.unit
    ahead = block.start + options.offset - tile.start
    sight = _near(ahead, block.stop - block.start, tile.stop - tile.start, options.left, options.right)
    if heads.bias is not None:
        bias = heads.bias[..., block, tile]
        scores += bias
        sight = _sight(sight.visible & ~np.isneginf(bias))
    if heads.mask is not None:
        sight = _sight(sight.visible & heads.mask[..., block, tile])
    return sight


def _hide(scores, sight, value):
    """Put a value where a key is hidden."""
    if sight.part is not None:
        np.copyto(scores[..., sight.part], value, where=sight.hidden)


def _near(ahead, rows, keys, left, right):
    """Return what causality and window leave in sight; the first query stands so many keys ahead of the first key."""
    if ahead + rows - 1 - left <= 0 and ahead + right >= keys - 1:
        return _ALL
    return _cut(ahead, rows, keys, left, right)


@functools.lru_cache(maxsize=64)
def _cut(ahead, rows, keys, left, right):
    """Return the same where sight ends within the tile; in one text many tiles are cut alike."""
    distance = np.arange(keys) - np.arange(ahead, ahead + rows)[:, None]
    return _sight((distance >= -left) & (distance <= right))


def _sight(visible):
    """Find the keys that are hidden from some query: only at these need one look."""
    (cut,) = np.nonzero(~visible.all(axis=tuple(range(visible.ndim - 1))))
    if not cut.size:
        return _Sight(visible)
    part = slice(cut[0], cut[-1] + 1)
    return _Sight(visible, ~visible[..., part], part)


def _exponentials(scores, largest, power):
    """Replace scores by exponentials below the largest so far; return it, and what earlier ones shrink by."""
    higher = np.maximum(largest, scores.max(axis=-1, keepdims=True))
    base = np.where(np.isneginf(higher), 0, higher)
    if np.isposinf(base).any():  # infinite scores share all the weight: their difference is 0, not NaN
        scores[...] = np.where(scores == base, 0, scores - base)
    else:
        scores -= base
    power(scores, out=scores)
    return higher, power(np.where(largest == base, 0, largest - base))


def _reach(key, largest):
    """Return the largest score that a query of length 1 can have, or inf if sums of values could leave the limits."""
    largest = float(largest)  # whose product with a number of keys becomes inf without a warning
    if largest and not (largest >= 1e-6 and max(largest, 1) * key.shape[-2] <= _LARGEST_SUM):
        return np.full((len(key), 1, 1), np.inf)
    return _lengths(key).max(axis=-1, keepdims=True, initial=0)


def _lengths(vectors):
    """Return the Euclidean length of vectors; faster than numpy's own norm."""
    return np.sqrt(np.einsum("...i,...i", vectors, vectors))
