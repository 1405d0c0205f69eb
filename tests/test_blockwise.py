"""Attention in tiles is attention in one piece, whatever goes in."""

import re
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dot_product import BAD, BATCH, D_K, D_V, GROUP, N_K, N_Q, calls, draw, grouped, plain

import attn
from attn import blockwise, masks

TILES = [None, (1, 1), (2, 3), (3, 2), (5, 7), (64, 64)]


def in_one_piece(*inputs, **options):
    return attn.scaled_dot_product_attention(*inputs, **options).context


def same(inputs, options, tile, tolerance=1e-12):
    context = blockwise.attention(*inputs, **options, tile=tile)
    expected = in_one_piece(*inputs, **options)
    np.testing.assert_allclose(context, expected, rtol=tolerance, atol=tolerance)
    assert context.dtype == expected.dtype
    assert context.shape == expected.shape


# A value by hand


def test_two_keys_in_two_tiles_by_hand():
    context = blockwise.attention(
        [[2, 0, 0, 0]], [[1, 9, 9, 9], [0, 9, 9, 9]], [[10, 0], [0, 20]], bias=[[0, 0]], tile=(1, 1)
    )
    first = np.e / (np.e + 1)  # scores are 2 / sqrt(4) and 0
    np.testing.assert_allclose(context, [[10 * first, 20 * (1 - first)]])


# Both ways agree


@settings(max_examples=300)
@given(calls(), st.sampled_from(TILES))
def test_any_call_agrees_in_any_tiles(call, tile):
    inputs, options, dtype = call
    options = {name: option for name, option in options.items() if name != "top_k"}  # it needs whole rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(inputs, options, tile, {np.float16: 4e-3, np.float32: 2e-5}.get(dtype, 1e-10))


OPTIONS = {
    "nothing": {},
    "causal": {"causal": True},
    "causal from the first key": {"causal": True, "query_offset": 0},
    "causal before the first key": {"causal": True, "query_offset": -3},
    "window": {"window": 1},
    "window to the left": {"causal": True, "window": (2, 0)},
    "window to the right": {"window": (0, None)},
    "window far away": {"window": 1, "query_offset": 40},
    "scale": {"scale": -3.0},
    "cap": {"softcap": 0.7, "scale": 4},
    "mask": {"mask": draw(N_Q, N_K) > 0.5},
    "mask for each head": {"mask": draw(BATCH, GROUP * 13, N_Q, N_K) > 0},
    "mask of keys": {"mask": masks.padding([3, 6], N_K).visible[:, None]},
    "mask that hides all": {"mask": np.zeros((N_Q, N_K), dtype=bool)},
    "bias": {"bias": 5 * draw(N_Q, N_K)},
    "bias of one row for each head": {"bias": draw(1, GROUP * 13, 1, N_K)},
    "bias that hides": {"bias": np.where(draw(BATCH, 1, N_Q, N_K) > 0, 0, -np.inf)},
    "off by one": {"sinks": 0, "causal": True},
    "sinks of each head": {"sinks": 3 * draw(GROUP * 13, 1, 1)},
    "sinks of each query": {"sinks": 3 * draw(BATCH, 1, N_Q, 1), "window": 1},
    "sinks that take all": {"sinks": 1e4},
    "sinks that take nothing": {"sinks": -np.inf},
    "sinks that take next to nothing": {"sinks": -80.0},
    "everything": {
        "mask": draw(BATCH, 1, N_Q, N_K) > -1,
        "bias": draw(N_Q, N_K),
        "causal": True,
        "window": (3, 1),
        "scale": 2,
        "softcap": 3,
        "sinks": draw(GROUP * 13, 1, 1),
    },
}


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_agrees(name, tile):
    same(grouped(), OPTIONS[name], tile)


@pytest.mark.parametrize(("unit", "power"), [(1.0, np.exp), (np.log2(np.e), np.exp2)])
@pytest.mark.parametrize("name", OPTIONS)
def test_powers_of_e_and_of_two_agree(name, unit, power, monkeypatch):
    monkeypatch.setattr(blockwise, "UNIT", unit)
    monkeypatch.setattr(blockwise, "POWER", power)
    same(grouped(), OPTIONS[name], (2, 3))


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("row", [[np.finfo(np.float32).min] * 4, [3e38, 2.9e38, 0, 0]])
def test_a_bias_near_the_limits_of_its_type_agrees(row, tile):
    query, key, value = (
        draw(*shape, seed=seed, dtype=np.float32) for seed, shape in enumerate([(2, 3), (4, 3), (4, 3)])
    )
    same((query, key, value), {"bias": np.array([row, [0, 1, 2, 3]], dtype=np.float32)}, tile, 1e-6)


@pytest.mark.parametrize(
    ("scores", "values"),
    [
        ([75] * 950_000, [0.01]),  # the sum of exponentials alone
        ([-74.9] * 64, [1, 1e-10]),  # a column of small values
        ([-74.9] * 64, [1, 1e-13]),
        ([-74.9, -80, 3] * 20, [1, 1e-13]),
        ([3e38, 2.9e38], [1]),  # which no other unit could hold
    ],
    ids=["many", "small", "smaller", "mixed", "far"],
)
def test_what_is_near_the_limits_of_float32_agrees(scores, values):
    key = np.array(scores, dtype=np.float32)[:, None]
    value = np.arange(1, len(key) + 1, dtype=np.float32)[:, None] % 7 * np.array(values, dtype=np.float32)
    own = blockwise.attention(np.ones((1, 1), dtype=np.float32), key, value, scale=1)
    dense = attn.scaled_dot_product_attention(np.ones((1, 1), dtype=np.float32), key, value, scale=1).context
    np.testing.assert_allclose(own, dense, rtol=1e-4)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize(
    "shapes",
    [
        ((N_Q, D_K), (N_K, D_K), (N_K, D_V)),
        ((6, N_Q, D_K), (2, N_K, D_K), (N_K, D_V)),
        ((6, N_Q, D_K), (N_K, D_K), (2, N_K, D_V)),
        ((6, N_Q, D_K), (1, N_K, D_K), (1, N_K, D_V)),
        ((N_Q, D_K), (6, N_K, D_K), (6, N_K, D_V)),
        ((1, 6, N_Q, D_K), (3, 2, N_K, D_K), (3, 2, N_K, D_V)),
        ((3, 6, N_Q, D_K), (2, N_K, D_K), (3, 2, N_K, D_V)),
        ((2, 3, 6, N_Q, D_K), (3, 2, N_K, D_K), (2, 1, 2, N_K, D_V)),
        ((0, D_K), (N_K, D_K), (N_K, D_V)),
        ((N_Q, D_K), (0, D_K), (0, D_V)),
        ((0, D_K), (0, D_K), (0, D_V)),
        ((2, 0, N_Q, D_K), (2, 0, N_K, D_K), (2, 0, N_K, D_V)),
        ((0, N_Q, D_K), (1, N_K, D_K), (1, N_K, D_V)),
    ],
)
def test_every_shape_agrees(shapes, tile):
    same([draw(*shape) for shape in shapes], {"causal": True}, tile)
    same([draw(*shape) for shape in shapes], {}, tile)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, bool])
def test_every_number_type_agrees(dtype):
    same([array.astype(dtype) for array in plain()], {"bias": np.ones((N_Q, N_K))}, (2, 3), 1e-3)


@pytest.mark.parametrize("n_k", [1, 511, 512, 513, 1100])
def test_tiles_of_the_usual_size_agree(n_k):
    rng = np.random.default_rng(n_k)
    query, key, value = (rng.normal(size=(3, n, 8)).astype(np.float32) for n in (131, n_k, n_k))
    same((query, key, value), {"causal": True}, None, 2e-6)
    same((9 * query, 9 * key, value), {}, None, 2e-4)  # scores too large to go without the largest


@pytest.mark.parametrize("window", [None, 0, 3, 70, (300, 5), (5, 300), (None, 90), (90, None)])
@pytest.mark.parametrize("offset", [None, -100, 0, 37])
def test_sight_that_ends_within_tiles_of_the_usual_size(window, offset):
    rng = np.random.default_rng(0)
    query, key, value = (rng.normal(size=(2, n, 4)) for n in (600, 700, 700))
    for causal in (True, False):
        same((query, key, value), {"causal": causal, "window": window, "query_offset": offset}, None)


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_gives_the_same_numbers(threads):
    query, key, value = (draw(4, 300, 5, seed=seed, dtype=np.float32) for seed in range(3))
    alone = blockwise.attention(query, key, value, causal=True, tile=(16, 64))
    together = blockwise.attention(query, key, value, causal=True, tile=(16, 64), threads=threads)
    np.testing.assert_array_equal(together, alone)


def test_calls_from_many_threads_do_not_mix():
    inputs = [[draw(2, 90, 5, seed=10 * number + part) for part in range(3)] for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        contexts = list(pool.map(lambda each: blockwise.attention(*each, tile=(8, 8), threads=3), inputs))
    for each, context in zip(inputs, contexts, strict=True):
        np.testing.assert_allclose(context, in_one_piece(*each), atol=1e-12)


# Numbers at the edge


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("visible", [True, False])
def test_odd_numbers_count_where_they_are_seen_and_nowhere_else(odd, visible, tile):
    for part in (1, 2):
        inputs = plain()
        inputs[part][4, 1] = odd
        mask = np.ones((N_Q, N_K), dtype=bool)
        mask[1:, 4] = visible
        with np.errstate(all="ignore"):
            same(inputs, {"mask": mask}, tile)
            same(inputs, {"bias": np.where(mask, 0, -np.inf)}, tile)
    if not visible:
        assert np.isfinite(blockwise.attention(*inputs, mask, tile=tile)[1:]).all()


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize(("dtype", "size"), [(np.float16, 200), (np.float32, 1e15), (np.float64, 1e150)])
def test_large_scores_do_not_overflow(dtype, size, tile):
    query, key, value = plain(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same((query * dtype(size), key * dtype(size), value), {}, tile, 1e-3)


@pytest.mark.parametrize("size", [1e-30, 1e-9, 1.0, 1e9, 1e30])
@pytest.mark.parametrize("shift", [-59.0, 0, 59.0])
def test_no_size_of_values_and_scores_loses_digits(size, shift):
    """Near the limits of float32 the largest score is subtracted, elsewhere it need not be."""
    query = np.ones((2, 1), dtype=np.float32)
    key = np.float32(shift) + np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    value = (size * (1 + np.arange(40, dtype=np.float64)[:, None] / 40)).astype(np.float32)
    context = blockwise.attention(query, key, value, scale=1, tile=(1, 7))
    np.testing.assert_allclose(context, in_one_piece(query, key, value, scale=1), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"sinks": 0.0}, {"window": 40}])
def test_values_whose_sum_would_overflow_have_a_finite_mean(dtype, options):
    limit = np.finfo(dtype).max
    n = 300
    query, key = (draw(n, D_K).astype(dtype) for _ in range(2))
    value = (draw(n, D_V) * (limit / 8)).astype(dtype)
    value[0] = 1  # beside large ones: a query that sees it alone reads it as it is
    context = blockwise.attention(query, key, value, **options)
    expected = in_one_piece(query, key, value.astype(np.longdouble) / limit, **options) * limit
    assert np.isfinite(context).all()
    np.testing.assert_allclose(context / limit, (expected / limit).astype(float), rtol=1e-4, atol=1e-6)
    if options == {"causal": True}:
        np.testing.assert_array_equal(context[0], value[0])


def test_infinite_scores_share_the_weight():
    with np.errstate(over="ignore"):
        inputs = (
            np.array([[1e30]], np.float32),
            np.array([[1e30], [1], [1e30]], np.float32),
            np.eye(3, dtype=np.float32),
        )
        np.testing.assert_array_equal(blockwise.attention(*inputs, tile=(1, 1)), [[0.5, 0, 0.5]])


# Memory and work


def test_memory_does_not_grow_with_the_square_of_the_text():
    query = np.random.default_rng(0).normal(size=(2, 4000, 4)).astype(np.float32)  # scores would take 128 MB
    blockwise.attention(query[:, :600], query[:, :600], query[:, :600])
    tracemalloc.start()
    blockwise.attention(query, query, query, causal=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


def count_tiles(monkeypatch, **options):
    """Return how many tiles of 4 x 4 an attention among 32 tokens computes."""
    count, power = [], blockwise.POWER  # small scores take one call a tile
    monkeypatch.setattr(blockwise, "POWER", lambda *given, **out: count.append(1) or power(*given, **out))
    x = draw(32, 3)
    blockwise.attention(x, x, x, **options, tile=(4, 4))
    return len(count)


def test_what_is_hidden_altogether_is_not_computed(monkeypatch):
    assert count_tiles(monkeypatch) == 64
    assert count_tiles(monkeypatch, causal=True) == 36
    assert count_tiles(monkeypatch, causal=True, window=4) == 15
    assert count_tiles(monkeypatch, mask=np.zeros((32, 32), dtype=bool)) == 0
    assert count_tiles(monkeypatch, mask=masks.causal(32)) == 36
    assert count_tiles(monkeypatch, mask=masks.padding(6, 32)) == 16


# Bad input


@pytest.mark.parametrize(("inputs", "options", "message"), BAD)
def test_bad_input_is_refused_with_the_same_words(inputs, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        blockwise.attention(*inputs, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": (0, 3)}, "tile must be a whole number of at least 1, got 0"),
        ({"tile": (3, 1.5)}, "tile must be a whole number of at least 1, got 1.5"),
        ({"tile": 5}, "tile must be a pair \\(queries, keys\\), got 5"),
        ({"threads": 0}, "threads must be a whole number from 1 to 1024, got 0"),
    ],
)
def test_bad_tiles_and_threads_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        blockwise.attention(*plain(), **options)


# Tile by tile


@pytest.mark.parametrize("tile", [(1, 1), (3, 2), (4, 4), (5, 7), (64, 64)])
@pytest.mark.parametrize("causal", [False, True])
def test_what_is_carried_is_that_of_the_keys_so_far(causal, tile):
    query, key, value = np.random.default_rng(5).normal(size=(3, 13, 6))
    whole = attn.scaled_dot_product_attention(query, key, value, causal=causal)
    steps = blockwise.tile_steps(query, key, value, causal=causal, tile=tile)
    for step in steps:
        seen = whole.masked_scores[step.queries, : step.keys.stop]
        largest = seen.max(axis=-1)
        exponentials = np.exp(seen - largest[:, None])
        np.testing.assert_allclose(step.largest, largest, atol=1e-12)
        np.testing.assert_allclose(step.total, exponentials.sum(axis=-1), atol=1e-12)
        np.testing.assert_allclose(step.context, exponentials @ value[: step.keys.stop], atol=1e-12)
    last = {step.queries.start: step for step in steps}
    context = np.concatenate([step.context / step.total[:, None] for step in last.values()])
    np.testing.assert_allclose(context, whole.context, atol=1e-12)
    visited = sum((step.queries.stop - step.queries.start) * (step.keys.stop - step.keys.start) for step in steps)
    assert visited == 13 * 13 if not causal else 13 * 7 <= visited <= 13 * 13


def test_tiles_are_walked_in_one_head():
    with pytest.raises(ValueError, match="must be \\(n, d\\), got"):
        blockwise.tile_steps(*np.zeros((3, 2, 4, 3)))
