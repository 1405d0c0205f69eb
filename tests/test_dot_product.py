import math
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import slow_attention, slow_visible
from transformers.models.gpt_oss.modeling_gpt_oss import eager_attention_forward as gpt_oss_attention

import attn
from attn import masks

N_Q, N_K, D_K, D_V, BATCH, KV_HEADS, GROUP = 5, 7, 3, 11, 2, 13, 17  # distinct primes: no swapped axis can pass
HEADS = KV_HEADS * GROUP


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def plain(dtype=np.float64):
    return draw(N_Q, D_K, dtype=dtype), draw(N_K, D_K, dtype=dtype), draw(N_K, D_V, dtype=dtype)


def grouped(dtype=np.float64):
    return (
        draw(BATCH, HEADS, N_Q, D_K, dtype=dtype),
        draw(BATCH, KV_HEADS, N_K, D_K, dtype=dtype),
        draw(BATCH, KV_HEADS, N_K, D_V, dtype=dtype),
    )


# A value by hand


def test_two_keys_by_hand():
    attention = attn.scaled_dot_product_attention([[2, 0, 0, 0]], [[1, 9, 9, 9], [0, 9, 9, 9]], [[10, 0], [0, 20]])
    np.testing.assert_array_equal(attention.scores, [[1, 0]])  # 2 / sqrt(4)
    first = math.e / (math.e + 1)
    np.testing.assert_allclose(attention.weights, [[first, 1 - first]])
    np.testing.assert_allclose(attention.context, [[10 * first, 20 * (1 - first)]])


def test_the_steps_come_in_order():
    """Scale, then cap, then bias, then mask, then the k largest, then the sink."""
    query, key = np.array([[3.0]]), np.array([[1.0], [2.0], [5.0]])
    options = {"mask": [[True, True, False]], "bias": [[0.5, 0, 0]], "scale": 2, "softcap": 4}
    attention = attn.scaled_dot_product_attention(query, key, np.eye(3), **options)
    capped = [4 * math.tanh(2 * 3 * k / 4) for k in (1, 2, 5)]
    np.testing.assert_allclose(attention.scores, [capped])
    np.testing.assert_allclose(attention.masked_scores, [[capped[0] + 0.5, capped[1], -np.inf]])
    np.testing.assert_allclose(attention.context, attention.weights)
    largest = attn.scaled_dot_product_attention(query, key, np.eye(3), **options, top_k=1, sinks=1)
    np.testing.assert_array_equal(largest.scores, attention.scores)
    np.testing.assert_allclose(largest.masked_scores, [[capped[0] + 0.5, -np.inf, -np.inf]])
    np.testing.assert_allclose(largest.weights, [[1 / (1 + math.exp(1 - capped[0] - 0.5)), 0, 0]])


# Properties


def test_context_lies_within_the_values():
    query, key, value = grouped()
    context = attn.scaled_dot_product_attention(query, key, value).context
    value = np.repeat(value, GROUP, axis=1)
    assert (context >= value.min(axis=-2, keepdims=True) - 1e-12).all()
    assert (context <= value.max(axis=-2, keepdims=True) + 1e-12).all()


def test_a_later_token_changes_nothing_before_it():
    x, changed = draw(N_K, D_K), draw(N_K, D_K)
    changed[4:] = 1e6
    before = attn.scaled_dot_product_attention(x, x, x, causal=True)
    after = attn.scaled_dot_product_attention(changed, changed, changed, causal=True)
    np.testing.assert_array_equal(before.context[:4], after.context[:4])
    assert (before.context[4:] != after.context[4:]).any()


def test_shuffled_keys_change_nothing_and_shuffled_queries_shuffle_along():
    query, key, value = plain()
    keys, queries = np.random.default_rng(1).permutation(N_K), np.random.default_rng(2).permutation(N_Q)
    attention = attn.scaled_dot_product_attention(query, key, value)
    shuffled = attn.scaled_dot_product_attention(query[queries], key[keys], value[keys])
    np.testing.assert_allclose(shuffled.context, attention.context[queries], atol=1e-12)
    np.testing.assert_allclose(shuffled.weights, attention.weights[queries][:, keys], atol=1e-12)


def test_decoding_one_token_at_a_time_is_the_causal_whole():
    x = draw(N_K, D_K)
    whole = attn.scaled_dot_product_attention(x, x, x, causal=True).context
    steps = [
        attn.scaled_dot_product_attention(x[i : i + 1], x[: i + 1], x[: i + 1], causal=True).context for i in range(N_K)
    ]
    np.testing.assert_allclose(np.concatenate(steps), whole, atol=1e-12)


def test_arguments_are_left_alone():
    arrays = [*plain(), np.ones((N_Q, N_K), bool), draw(N_Q, N_K)]
    for array in arrays:
        array.flags.writeable = False
    copies = [array.copy() for array in arrays]
    *inputs, mask, bias = arrays
    attn.scaled_dot_product_attention(*inputs, mask, bias=bias, causal=True, softcap=3)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


# Rows and keys that are hidden


def test_a_row_that_sees_nothing_is_zero():
    query, key, value = plain()
    mask = np.ones((N_Q, N_K), bool)
    mask[2] = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention = attn.scaled_dot_product_attention(query, key, value, mask)
    assert (attention.weights[2] == 0).all()
    assert (attention.context[2] == 0).all()
    assert np.isneginf(attention.masked_scores[2]).all()
    np.testing.assert_allclose(attention.weights[[0, 1, 3, 4]].sum(axis=1), 1)


def test_queries_before_the_first_key_see_nothing():
    query, key, value = plain()
    attention = attn.scaled_dot_product_attention(query, key, value, causal=True, query_offset=-2)
    assert (attention.context[:2] == 0).all()
    np.testing.assert_array_equal(attention.context[2], value[0])


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf, 1e300, np.finfo(float).max])
@pytest.mark.parametrize("how", ["mask", "causal", "window", "bias"])
def test_hidden_keys_may_hold_anything(junk, how):
    query, key, value = draw(N_K, D_K), draw(N_K, D_K), draw(N_K, D_V)
    key[3], value[3] = junk, junk
    visible = slow_visible(N_K, N_K, causal=how == "causal", window=(1, 0) if how == "window" else (None, None))
    options = {
        "mask": {"mask": np.arange(N_K)[None] != 3},
        "causal": {"causal": True},
        "window": {"window": (1, 0)},
        "bias": {"bias": np.where(np.arange(N_K) == 3, -np.inf, 0)},
    }[how]
    blind = ~visible[:, 3] if how in ("causal", "window") else np.ones(N_K, bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention = attn.scaled_dot_product_attention(query, key, value, **options)
    clean_key, clean_value = key.copy(), value.copy()
    clean_key[3], clean_value[3] = 0, 0
    clean = attn.scaled_dot_product_attention(query, clean_key, clean_value, **options)
    assert blind.sum() >= 3
    np.testing.assert_array_equal(attention.weights[blind], clean.weights[blind])
    np.testing.assert_array_equal(attention.context[blind], clean.context[blind])


def test_hidden_junk_in_one_head_stays_there():
    query, key, value = grouped()
    value[1, 4, 3, 2] = np.nan
    mask = np.ones((BATCH, 1, N_Q, N_K), bool)
    mask[1, 0, :3, 3] = False
    context = attn.scaled_dot_product_attention(query, key, value, mask).context
    broken = np.isnan(context)
    assert broken[1, 4 * GROUP : 5 * GROUP, 3:, 2].all()
    assert broken.sum() == GROUP * 2


@pytest.mark.parametrize("where", ["key", "value"])
def test_visible_nan_is_not_swept_under_the_rug(where):
    query, key, value = plain()
    {"key": key, "value": value}[where][3] = np.nan
    assert np.isnan(attn.scaled_dot_product_attention(query, key, value).context).all()


# A slow loop as oracle


@st.composite
def calls(draw_from):
    n_q, n_k, d_k, d_v = (draw_from(st.integers(1, 5)) for _ in range(4))
    kv_heads, group = draw_from(st.integers(1, 3)), draw_from(st.integers(1, 3))
    lead = draw_from(st.sampled_from([None, (), (2,)]))
    rng = np.random.default_rng(draw_from(st.integers(0, 2**32)))
    dtype = draw_from(st.sampled_from([np.float16, np.float32, np.float64, np.int64]))

    def array(heads, *shape):
        return (3 * rng.normal(size=shape if lead is None else (*lead, heads, *shape))).astype(dtype)

    scores = (n_q, n_k) if lead is None else (*lead, kv_heads * group, n_q, n_k)
    bias = rng.normal(size=scores).astype(np.float16)
    bias[rng.random(scores) < 0.2] = -np.inf
    side = st.none() | st.integers(0, 4)
    rounded = dtype in (np.float16, np.float32)  # then which key is among the k largest may hang on rounding
    top_k = None if rounded else draw_from(st.none() | st.integers(1, 6))
    options = {
        "mask": draw_from(st.sampled_from([None, rng.random(scores) < 0.7, rng.random((n_q, n_k)) < 0.7])),
        "bias": draw_from(st.sampled_from([None, bias])),
        "causal": draw_from(st.booleans()),
        "query_offset": draw_from(st.none() | st.integers(-3, 5)),
        "window": draw_from(st.none() | st.integers(0, 4) | st.tuples(side, side)),
        "scale": draw_from(st.none() | st.floats(-2, 2)),
        "softcap": None if top_k else draw_from(st.none() | st.floats(0.5, 50)),  # what is capped may be equal
        "top_k": top_k,
        "sinks": draw_from(st.sampled_from([None, 0, rng.normal(size=(*scores[:-1], 1)), np.full((1, 1), -np.inf)])),
    }
    inputs = array(kv_heads * group, n_q, d_k), array(kv_heads, n_k, d_k), array(kv_heads, n_k, d_v)
    return inputs, options, dtype


@settings(max_examples=300)
@given(calls())
def test_slow_loops_agree(call):
    (query, key, value), options, dtype = call
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention = attn.scaled_dot_product_attention(query, key, value, **options)

    n_q, n_k = query.shape[-2], key.shape[-2]
    window = (None, None) if options["window"] is None else options["window"]
    visible = slow_visible(n_q, n_k, options["causal"], options["query_offset"], window)
    if options["mask"] is not None:
        visible = visible & options["mask"]
    scores = attention.scores.shape
    bias = np.broadcast_to(0 if options["bias"] is None else options["bias"], scores)
    sinks = None if options["sinks"] is None else np.broadcast_to(options["sinks"], (*scores[:-1], 1))
    scale = 1 / math.sqrt(query.shape[-1]) if options["scale"] is None else options["scale"]
    visible = np.broadcast_to(visible, scores)
    for head in np.ndindex(*scores[:-2]):
        shared = head[:-1] + tuple(h // (query.shape[-3] // key.shape[-3]) for h in head[-1:])
        expected = slow_attention(
            query[head],
            key[shared],
            value[shared],
            visible[head],
            bias[head],
            scale,
            options["softcap"],
            options["top_k"],
            sinks if sinks is None else sinks[head],
        )
        tolerance = {np.float16: 4e-3, np.float32: 2e-5}.get(dtype, 1e-10)
        actual = attention.scores[head], attention.weights[head], attention.context[head]
        for got, wanted in zip(actual, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
        hidden = ~visible[head] | np.isneginf(bias[head])
        if options["top_k"]:
            hidden = hidden | (expected[1] == 0)
        np.testing.assert_array_equal(np.isneginf(attention.masked_scores[head]), hidden)
    assert {step.dtype for step in attention} == {np.dtype(np.float64 if dtype == np.int64 else dtype)}


# Two of our own routes agree


def same(one, other, atol=1e-12):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


def test_shared_heads_are_repeated_heads():
    query, key, value = grouped()
    repeated = np.repeat(key, GROUP, axis=1), np.repeat(value, GROUP, axis=1)
    same(attn.scaled_dot_product_attention(query, key, value), attn.scaled_dot_product_attention(query, *repeated))


def test_one_shared_head_is_a_key_without_heads():
    query, key, value = draw(GROUP, N_Q, D_K), draw(1, N_K, D_K), draw(1, N_K, D_V)
    multi_query = attn.scaled_dot_product_attention(query, key, value)
    same(multi_query, attn.scaled_dot_product_attention(query, key[0], value[0]))
    same(multi_query, attn.scaled_dot_product_attention(query, key[0], value))
    same(multi_query, attn.scaled_dot_product_attention(query, key, value[0]))


def test_a_query_without_heads_asks_every_head():
    query, key, value = draw(N_Q, D_K), draw(2, N_K, D_K), draw(2, N_K, D_V)
    same(
        attn.scaled_dot_product_attention(query, key, value),
        attn.scaled_dot_product_attention(np.tile(query, (2, 1, 1)), key, value),
    )


def test_values_without_heads_serve_every_head():
    query, key, value = draw(6, N_Q, D_K), draw(2, N_K, D_K), draw(N_K, D_V)
    repeated = np.repeat(key, 3, axis=0)
    same(
        attn.scaled_dot_product_attention(query, key, value),
        attn.scaled_dot_product_attention(query, repeated, np.tile(value, (6, 1, 1))),
    )


@pytest.mark.parametrize("offset", [None, -2, 0, 3])
@pytest.mark.parametrize("window", [None, 2, (1, None), (None, 0), (0, 3)])
def test_flags_are_explicit_masks(offset, window):
    query, key, value = grouped()
    flags = attn.scaled_dot_product_attention(query, key, value, causal=True, query_offset=offset, window=window)
    mask = masks.causal(N_Q, N_K, query_offset=offset) & masks.sliding_window(N_Q, N_K, window, query_offset=offset)
    same(flags, attn.scaled_dot_product_attention(query, key, value, mask))


def test_an_endless_bias_is_a_mask():
    query, key, value = grouped()
    visible = np.random.default_rng(3).random((BATCH, 1, N_Q, N_K)) < 0.6
    by_bias = attn.scaled_dot_product_attention(query, key, value, bias=np.where(visible, 0, -np.inf))
    same(by_bias, attn.scaled_dot_product_attention(query, key, value, visible))


def test_a_window_of_one_number_is_the_same_on_both_sides():
    query, key, value = plain()
    one = attn.scaled_dot_product_attention(query, key, value, window=2)
    same(one, attn.scaled_dot_product_attention(query, key, value, window=(2, 2)))


def test_leading_axes_do_not_mix():
    query, key, value = grouped()
    together = attn.scaled_dot_product_attention(query, key, value, causal=True)
    for item in range(BATCH):
        alone = attn.scaled_dot_product_attention(query[item], key[item], value[item], causal=True)
        same(alone, (step[item] for step in together))


# An independent implementation agrees


def torch_context(query, key, value, **options):
    query, key, value = (torch.from_numpy(array) for array in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, enable_gqa=True, **options).numpy()


TORCH = [
    ({}, {}),
    ({"scale": 0.3}, {"scale": 0.3}),
    ({"causal": True, "query_offset": 0}, {"is_causal": True}),
    ({"mask": slow_visible(N_Q, N_K, True)}, {"attn_mask": torch.from_numpy(slow_visible(N_Q, N_K, True))}),
    ({"bias": draw(N_Q, N_K)}, {"attn_mask": torch.from_numpy(draw(N_Q, N_K))}),
    ({"bias": draw(BATCH, 1, N_Q, N_K)}, {"attn_mask": torch.from_numpy(draw(BATCH, 1, N_Q, N_K))}),
]


@pytest.mark.parametrize(("ours", "theirs"), TORCH)
def test_torch_agrees(ours, theirs):
    inputs = grouped()
    context = attn.scaled_dot_product_attention(*inputs, **ours).context
    np.testing.assert_allclose(context, torch_context(*inputs, **theirs), atol=1e-12)


def test_gpt_oss_agrees_on_its_sinks():
    query, key, value = grouped(np.float32)
    sinks, hidden = draw(HEADS, dtype=np.float32), ~slow_visible(N_Q, N_K, True)
    module = SimpleNamespace(num_key_value_groups=GROUP, sinks=torch.from_numpy(sinks), training=False)
    output, weights = gpt_oss_attention(
        module, *map(torch.from_numpy, (query, key, value)), torch.from_numpy(np.where(hidden, -1e9, 0)), scaling=0.3
    )
    ours = attn.scaled_dot_product_attention(query, key, value, ~hidden, scale=0.3, sinks=sinks[:, None, None])
    np.testing.assert_allclose(ours.weights, weights.numpy(), atol=1e-6)
    np.testing.assert_allclose(ours.context, output.transpose(1, 2).numpy(), atol=1e-6)


def test_a_sink_of_nothing_is_no_sink_and_a_large_one_takes_all():
    inputs = grouped()
    plainly = attn.scaled_dot_product_attention(*inputs)
    same(attn.scaled_dot_product_attention(*inputs, sinks=-np.inf), plainly, 0)
    taken = attn.scaled_dot_product_attention(*inputs, sinks=1e9)
    assert (taken.weights == 0).all()
    np.testing.assert_array_equal(taken.masked_scores, plainly.masked_scores)


def test_a_sink_is_a_key_of_nothing():
    query, key, value = plain()
    more = [np.concatenate([array, np.zeros((1, array.shape[1]))]) for array in (key, value)]
    with_key, off_by_one = (
        attn.scaled_dot_product_attention(query, *more),
        attn.scaled_dot_product_attention(query, key, value, sinks=0),
    )
    np.testing.assert_allclose(off_by_one.weights, with_key.weights[:, :-1], atol=1e-12)
    np.testing.assert_allclose(off_by_one.context, with_key.context, atol=1e-12)


def test_the_k_largest_are_a_mask_of_the_scores():
    inputs = grouped()
    hidden = attn.scaled_dot_product_attention(*inputs, causal=True).masked_scores
    same(
        attn.scaled_dot_product_attention(*inputs, causal=True, top_k=2),
        attn.scaled_dot_product_attention(*inputs, masks.top_k(hidden, 2)),
    )


def test_a_value_that_is_not_finite_counts_only_among_the_k_largest():
    value = np.array([[np.nan], [2.0], [3.0]])
    attention = attn.scaled_dot_product_attention([[1.0]], [[0.0], [5.0], [9.0]], value, top_k=1)
    np.testing.assert_array_equal(attention.context, [[3.0]])


@settings(max_examples=60)
@given(st.data())
def test_torch_agrees_on_any_shape_and_mask(data):
    n_q, n_k, d_k, d_v, kv_heads, group, batch = (data.draw(st.integers(1, 9)) for _ in range(7))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    query = rng.normal(size=(batch, kv_heads * group, n_q, d_k))
    key, value = rng.normal(size=(batch, kv_heads, n_k, d_k)), rng.normal(size=(batch, kv_heads, n_k, d_v))
    mask = rng.random((batch, kv_heads * group, n_q, n_k)) < data.draw(st.floats(0, 1))
    context = attn.scaled_dot_product_attention(query, key, value, mask).context
    expected = torch_context(query, key, value, attn_mask=torch.from_numpy(mask))
    seeing = mask.any(axis=-1)  # torch may give NaN where nothing is seen
    np.testing.assert_allclose(context[seeing], expected[seeing], atol=1e-12)
    assert (context[~seeing] == 0).all()


# Number types


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_types_are_kept(dtype):
    attention = attn.scaled_dot_product_attention(
        *grouped(dtype),
        np.ones((N_Q, N_K), bool),
        bias=np.ones((N_Q, N_K)),  # float64
        causal=True,
        scale=np.float64(0.5),
        softcap=np.float64(9),
    )
    assert {step.dtype for step in attention} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_whole_numbers_become_float64(dtype):
    attention = attn.scaled_dot_product_attention(*(array.astype(dtype) for array in plain()))
    assert {step.dtype for step in attention} == {np.dtype(np.float64)}


def test_float16_is_computed_in_float32():
    query, key, value = plain(np.float16)
    exact = attn.scaled_dot_product_attention(*(array.astype(np.float64) for array in (query, key, value)))
    for step, wanted in zip(attn.scaled_dot_product_attention(query, key, value), exact, strict=True):
        np.testing.assert_allclose(step, wanted, rtol=1e-3, atol=1e-3)
    huge = np.full((2, 64), 60000, np.float16)  # products far beyond float16
    np.testing.assert_array_equal(attn.scaled_dot_product_attention(huge, huge, huge).weights, np.full((2, 2), 0.5))


@pytest.mark.parametrize(("dtype", "size"), [(np.float16, 200), (np.float32, 1e15), (np.float64, 1e150)])
def test_large_scores_do_not_overflow(dtype, size):
    query, key, value = plain(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention = attn.scaled_dot_product_attention(query * dtype(size), key * dtype(size), value)
    assert np.isfinite(attention.context).all()
    np.testing.assert_allclose(attention.weights.astype(float).sum(axis=-1), 1, rtol=1e-3)


# Shapes at the edge


@pytest.mark.parametrize(("n_q", "n_k"), [(0, 4), (3, 0), (0, 0), (1, 1)])
def test_empty_sequences(n_q, n_k):
    attention = attn.scaled_dot_product_attention(
        np.ones((n_q, 2)), np.ones((n_k, 2)), np.ones((n_k, 5)), causal=True, window=1
    )
    assert attention.weights.shape == (n_q, n_k)
    np.testing.assert_array_equal(attention.context, np.ones((n_q, 5)) if n_k else np.zeros((n_q, 5)))


def test_shapes_of_every_step():
    attention = attn.scaled_dot_product_attention(*grouped())
    scores = (BATCH, HEADS, N_Q, N_K)
    assert [step.shape for step in attention] == [scores, scores, scores, (BATCH, HEADS, N_Q, D_V)]


def test_a_mask_passes_as_it_is():
    query, key, value = plain()
    mask = masks.padding(4, N_K)
    np.testing.assert_allclose(
        attn.scaled_dot_product_attention(query, key, value, mask).context,
        attn.scaled_dot_product_attention(query, key[:4], value[:4]).context,
        atol=1e-12,
    )


# Bad input

A = np.ones
BAD = [
    ((A((3, 8)), A((5, 4)), A((5, 2))), {}, "query and key must share d_k >= 1, got query (3, 8) and key (5, 4)"),
    ((A((3, 0)), A((5, 0)), A((5, 2))), {}, "query and key must share d_k >= 1, got query (3, 0) and key (5, 0)"),
    ((A((3, 4)), A((5, 4)), A((7, 2))), {}, "key and value must share n_k, got key (5, 4) and value (7, 2)"),
    ((A(4), A((5, 4)), A((5, 2))), {}, "query must have at least two axes (n, d), got (4,)"),
    ((A((3, 4)), A(4), A((5, 2))), {}, "key must have at least two axes (n, d), got (4,)"),
    ((A((3, 4)), A((5, 4)), A(2)), {}, "value must have at least two axes (n, d), got (2,)"),
    (
        (A((6, 3, 4)), A((5, 7, 4)), A((5, 7, 2))),
        {},
        "num_heads must be a multiple of num_kv_heads, got query (6, 3, 4) and key (5, 7, 4)",
    ),
    (
        (A((6, 3, 4)), A((0, 7, 4)), A((0, 7, 2))),
        {},
        "num_heads must be a multiple of num_kv_heads, got query (6, 3, 4) and key (0, 7, 4)",
    ),
    (
        (A((6, 3, 4)), A((7, 4)), A((5, 7, 2))),
        {},
        "num_heads must be a multiple of num_kv_heads, got query (6, 3, 4) and value (5, 7, 2)",
    ),
    (
        (A((6, 3, 4)), A((2, 7, 4)), A((3, 7, 2))),
        {},
        "key and value must share num_kv_heads, got key (2, 7, 4) and value (3, 7, 2)",
    ),
    (
        (A((3, 4)), A((2, 7, 4)), A((5, 7, 2))),
        {},
        "query, key and value must have leading axes that fit together, got (3, 4), (2, 7, 4) and (5, 7, 2)",
    ),
    (
        (A((2, 6, 3, 4)), A((3, 6, 7, 4)), A((3, 6, 7, 2))),
        {},
        "query, key and value must have leading axes that fit together, "
        "got (2, 6, 3, 4), (3, 6, 7, 4) and (3, 6, 7, 2)",
    ),
    (
        (A((2, 6, 3, 4)), A((2, 6, 7, 4)), A((3, 6, 7, 2))),
        {},
        "query, key and value must have leading axes that fit together, "
        "got (2, 6, 3, 4), (2, 6, 7, 4) and (3, 6, 7, 2)",
    ),
    (
        (A((3, 4)), A((7, 4)), A((7, 2))),
        {"mask": A((7, 3), bool)},
        "mask must broadcast to the scores (3, 7), got (7, 3)",
    ),
    (
        (A((3, 4)), A((7, 4)), A((7, 2))),
        {"mask": A((3, 7))},
        "mask must be boolean (True may look; give additive masks as bias), got float64",
    ),
    (
        (A((3, 3, 5, 4)), A((3, 3, 5, 4)), A((3, 3, 5, 2))),
        {"mask": A((3, 5, 5), bool)},
        "mask must have 2 axes or the 4 of the scores (3, 3, 5, 5), got (3, 5, 5)",
    ),
    (
        (A((3, 4)), A((7, 4)), A((7, 2))),
        {"mask": [[True], [True, False]]},
        "mask must have rows of equal length, got ragged rows",
    ),
    (
        (A((3, 4)), A((7, 4)), A((7, 2))),
        {"bias": A((2, 3, 7))},
        "bias must broadcast to the scores (3, 7), got (2, 3, 7)",
    ),
    ((A((3, 4)), A((7, 4)), A((7, 2))), {"bias": "x"}, "bias must hold real numbers, got <U1"),
    (
        (A((2, 3, 4)), A((2, 7, 4)), A((2, 7, 2))),
        {"sinks": A(2)},
        "sinks must broadcast to (2, 3, 1), a number a row of scores, got (2,)",
    ),
    ((A((3, 4)), A((7, 4)), A((7, 2))), {"softcap": 0}, "softcap must be positive and finite, got 0"),
    ((A((3, 4)), A((7, 4)), A((7, 2))), {"softcap": np.inf}, "softcap must be positive and finite, got inf"),
    ((A((3, 4)), A((7, 4)), A((7, 2))), {"softcap": "x"}, "softcap must be positive and finite, got 'x'"),
    ((A((3, 4)), A((7, 4)), A((7, 2))), {"scale": np.nan}, "scale must be a finite number, got nan"),
    ((A((3, 4)), A((7, 4)), A((7, 2))), {"scale": "x"}, "scale must be a finite number, got 'x'"),
    ((A((3, 4)), A((7, 4)), A((7, 2))), {"window": -1}, "window must be a whole number of at least 0, got -1"),
    (
        (A((3, 4)), A((7, 4)), A((7, 2))),
        {"window": (1, 2, 3)},
        "window must be one number or a pair (left, right), got (1, 2, 3)",
    ),
    (
        (A((3, 4)), A((7, 4)), A((7, 2))),
        {"causal": True, "query_offset": 1.5},
        "query_offset must be a whole number, got 1.5",
    ),
    (([[1, 2], [3]], A((7, 2)), A((7, 2))), {}, "query must have rows of equal length, got ragged rows"),
    ((A((3, 4)) * 1j, A((7, 4)), A((7, 2))), {}, "query must hold real numbers, got complex128"),
]


@pytest.mark.parametrize(("inputs", "options", "message"), BAD)
def test_bad_input(inputs, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attn.scaled_dot_product_attention(*inputs, **options)


def test_causal_is_keyword_only():
    with pytest.raises(TypeError):
        attn.scaled_dot_product_attention(*plain(), None, True)
