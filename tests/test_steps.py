import re

import numpy as np
import pytest

from attn import masks, positions, scaled_dot_product_attention, softmax
from attn.data import examples
from attn.one_head import walk

N, D_MODEL, D_K, D_V = 7, 11, 4, 3


def weights(dtype=np.float64):
    rng = np.random.default_rng(0)
    shapes = (N, D_MODEL), (D_MODEL, D_K), (D_MODEL, D_K), (D_MODEL, D_V)
    return [rng.normal(0, 0.5, shape).astype(dtype) for shape in shapes]


def test_by_hand():
    """Two tokens of one number: products 2, 4, 4 and 8, halved by the divisor and again by the temperature."""
    steps = walk([[1], [2]], [[2]], [[1]], [[10]], divisor=2, temperature=2, mask=masks.causal(2))
    np.testing.assert_array_equal(steps.query, [[2], [4]])
    np.testing.assert_array_equal(steps.products, [[2, 4], [4, 8]])
    np.testing.assert_array_equal(steps.scores, [[1, 2], [2, 4]])
    np.testing.assert_array_equal(steps.masked_scores, [[1, -np.inf], [2, 4]])
    second = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(steps.weights, [[1, 0], [1 - second, second]])
    np.testing.assert_allclose(steps.context, [[10], [10 + 10 * second]])


def test_every_step_follows_from_the_one_before():
    x, w_q, w_k, w_v = weights()
    b_q, b_k, b_v = np.ones(D_K), np.arange(D_K), np.full(D_V, 2.0)
    angles, bias, mask = positions.rotary(N, D_K), positions.alibi_bias(1, N)[0], masks.sliding_window(N, N, (3, 0))
    added = positions.sinusoidal(N, D_MODEL)
    steps = walk(
        x,
        w_q,
        w_k,
        w_v,
        b_q=b_q,
        b_k=b_k,
        b_v=b_v,
        added=added,
        rotate=lambda x: positions.rotate(x, angles),
        bias=bias,
        mask=mask,
        divisor=3,
        temperature=0.7,
    )
    np.testing.assert_array_equal(steps.inputs, x + added)
    np.testing.assert_allclose(steps.unrotated_query, steps.inputs @ w_q + b_q)
    np.testing.assert_allclose(steps.unrotated_key, steps.inputs @ w_k + b_k)
    np.testing.assert_allclose(steps.query, positions.rotate(steps.unrotated_query, angles))
    np.testing.assert_allclose(steps.key, positions.rotate(steps.unrotated_key, angles))
    np.testing.assert_allclose(steps.value, steps.inputs @ w_v + b_v)
    np.testing.assert_allclose(steps.products, steps.query @ steps.key.T)
    np.testing.assert_allclose(steps.scores, steps.products / 3)
    np.testing.assert_allclose(steps.biased, steps.scores + bias)
    np.testing.assert_array_equal(steps.masked_scores, np.where(mask, steps.biased, -np.inf))
    np.testing.assert_allclose(steps.weights, softmax(steps.masked_scores / 0.7))
    np.testing.assert_allclose(steps.context, steps.weights @ steps.value)


def test_without_options_it_is_plain_attention():
    x, w_q, w_k, w_v = weights()
    steps, attention = walk(x, w_q, w_k, w_v), scaled_dot_product_attention(x @ w_q, x @ w_k, x @ w_v)
    for name in ("scores", "masked_scores", "weights", "context"):
        np.testing.assert_allclose(getattr(steps, name), getattr(attention, name), atol=1e-14)
    assert (steps.added == 0).all()
    assert steps.unrotated_query is steps.query


def test_queries_and_keys_turned_apart_and_a_bias_made_of_the_queries():
    angles, factors = positions.rotary(N, D_K), positions.xpos_factors(N, D_K)
    steps = walk(
        *weights(),
        rotate=tuple(
            lambda x, factor=factor: positions.rotate(x, angles, factor=factor) for factor in (factors, 1 / factors)
        ),
        bias=lambda query: query[:, :1],
    )
    np.testing.assert_allclose(steps.query, positions.rotate(steps.unrotated_query, angles, factor=factors))
    np.testing.assert_allclose(steps.key, positions.rotate(steps.unrotated_key, angles, factor=1 / factors))
    np.testing.assert_allclose(steps.biased, steps.scores + steps.query[:, :1])
    np.testing.assert_allclose(steps.weights, softmax(steps.biased))


def test_a_hidden_row_is_zero():
    steps = walk(*weights(), mask=np.zeros((N, N), bool))
    assert (steps.weights == 0).all()
    assert (steps.context == 0).all()


def test_temperature_sharpens_and_flattens():
    largest = [walk(*weights(), temperature=temperature).weights.max() for temperature in (0.01, 1, 100)]
    assert largest == sorted(largest, reverse=True)
    np.testing.assert_allclose(walk(*weights(), temperature=1e9).weights, 1 / N, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_are_kept(dtype):
    added = positions.sinusoidal(N, D_MODEL)  # float64
    bias = positions.alibi_bias(1, N)[0]  # float64
    angles = positions.rotary(N, D_K)
    steps = walk(*weights(dtype), added=added, bias=bias, rotate=lambda x: positions.rotate(x, angles))
    assert {step.dtype for step in steps} == {np.dtype(dtype)}


def test_the_worked_example():
    e = examples.worked_example()
    np.testing.assert_allclose(walk(e.x, e.w_q, e.w_k, e.w_v).context[1, 0], 0.531334, atol=2e-6)


@pytest.mark.parametrize("name", ["divisor", "temperature"])
@pytest.mark.parametrize("number", [0, -1, np.nan, np.inf])
def test_bad_numbers(name, number):
    message = f"{name} must be positive and finite, got {number!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        walk(*weights(), **{name: number})


def test_bad_shapes():
    x, w_q, w_k, w_v = weights()
    message = "x must be (n, d_model) and w_q, w_k, w_v must have d_model rows, got (7, 11), (11, 4), (4, 11), (11, 3)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        walk(x, w_q, w_k.T, w_v)
    with pytest.raises(ValueError, match="query and key must share d_k"):
        walk(x, w_q, w_k[:, :3], w_v)
    with pytest.raises(ValueError, match="mask must broadcast"):
        walk(x, w_q, w_k, w_v, mask=masks.causal(3))
    with pytest.raises(ValueError, match="bias must broadcast"):
        walk(x, w_q, w_k, w_v, bias=np.ones((3, 3)))
