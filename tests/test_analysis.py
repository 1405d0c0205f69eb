import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn import analysis, masks, scaled_dot_product_attention, softmax
from attn.data import examples

SINGULAR_VALUES = json.loads((Path(__file__).parent / "data" / "worked_example.json").read_text())["singular_values"]
PER_ROW = [analysis.row_entropy, analysis.effective_keys, analysis.mean_distance, analysis.first_token_share]


def weights_of(*shape, seed=0):
    return softmax(np.random.default_rng(seed).normal(size=shape) * 2)


# Values by hand


def test_by_hand():
    weights = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25], [0, 0, 0, 0]]
    entropy = analysis.row_entropy(weights)
    np.testing.assert_allclose(entropy, [0, np.log(2), np.log(4), 0])
    assert not np.signbit(entropy).any()
    np.testing.assert_allclose(analysis.effective_keys(weights), [1, 2, 4, 0])
    np.testing.assert_allclose(analysis.mean_distance(weights), [0, 0.5, 1, 0])
    np.testing.assert_allclose(analysis.first_token_share(weights), [1, 0.5, 0.25, 0])


def test_distance_counts_from_where_the_query_stands():
    weights = [[1, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(analysis.mean_distance(weights), [2, 0])  # the last two positions
    np.testing.assert_array_equal(analysis.mean_distance(weights, query_offset=0), [0, 2])


def test_products_add_up():
    terms, total = analysis.products([[1, 2], [3, 4]], [5, 6])
    np.testing.assert_array_equal(terms, [[5, 12], [15, 24]])
    np.testing.assert_array_equal(total, [17, 39])


# Properties


@given(st.integers(1, 9), st.integers(0, 99))
def test_entropy_lies_between_one_key_and_all(n_k, seed):
    weights = weights_of(3, n_k, seed=seed)
    entropy = analysis.row_entropy(weights)
    assert (entropy >= 0).all()
    assert (entropy <= np.log(n_k) + 1e-12).all()
    np.testing.assert_allclose(analysis.row_entropy(np.full(n_k, 1 / n_k)), np.log(n_k), atol=1e-12)


def test_entropy_does_not_mind_the_order():
    weights = weights_of(3, 7)
    np.testing.assert_allclose(analysis.row_entropy(weights[:, ::-1]), analysis.row_entropy(weights))


def test_a_narrow_window_keeps_attention_near():
    x = np.random.default_rng(0).normal(size=(11, 3))
    weights = scaled_dot_product_attention(x, x, x, masks.sliding_window(11, 11, 2)).weights
    assert (analysis.mean_distance(weights) <= 2).all()
    assert (analysis.effective_keys(weights) <= 5).all()


@pytest.mark.parametrize("measure", PER_ROW)
def test_leading_axes_and_types(measure):
    weights = weights_of(2, 3, 5, 7)
    assert measure(weights).shape == (2, 3, 5)
    np.testing.assert_allclose(measure(weights)[1, 2], measure(weights[1, 2]))
    for dtype in (np.float16, np.float32, np.float64):
        assert measure(weights.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("measure", PER_ROW)
def test_no_weight_is_zero(measure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(measure(np.zeros((2, 5, 7))), np.zeros((2, 5)))
        np.testing.assert_array_equal(measure(np.zeros((5, 0))), np.zeros(5))


@pytest.mark.parametrize("measure", PER_ROW)
def test_row_by_row(measure):
    """A slow loop agrees."""
    weights = weights_of(5, 7)
    for i, row in enumerate(weights):
        entropy = -sum(w * np.log(w) for w in row)
        expected = {
            analysis.row_entropy: entropy,
            analysis.effective_keys: np.exp(entropy),
            analysis.mean_distance: sum(w * abs(j - (i + 2)) for j, w in enumerate(row)),
            analysis.first_token_share: row[0],
        }[measure]
        assert measure(weights)[i] == pytest.approx(expected)


# Rank


def test_the_scores_of_the_worked_example_have_rank_two():
    example = examples.worked_example()
    scores = (example.x @ example.w_q) @ (example.x @ example.w_k).T
    rank, singular_values = analysis.score_rank(scores)
    assert rank == 2
    np.testing.assert_allclose(singular_values, SINGULAR_VALUES, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d_k", [1, 2, 3, 5, 7, 11])
def test_the_rank_is_at_most_d_k(d_k, dtype):
    rng = np.random.default_rng(0)
    query, key = (rng.normal(size=(3, 7, d_k)).astype(dtype) for _ in range(2))
    rank, singular_values = analysis.score_rank(query @ key.swapaxes(-1, -2))
    np.testing.assert_array_equal(rank, min(d_k, 7))
    assert singular_values.shape == (3, 7)
    assert analysis.score_rank(np.zeros((3, 5))).rank == 0


# Leaks


def test_what_moved_and_by_how_much():
    x = np.arange(6.0).reshape(3, 2)
    leak = analysis.leak_test(lambda x: x[::-1] * 10, x, np.ones((3, 3), bool), 0, replacement=[0, 4])
    np.testing.assert_array_equal(leak.change, [0, 0, 30])
    assert not leak.blind.any()
    assert leak.largest == 0
    leak = analysis.leak_test(lambda x: x[::-1] * 10, x, np.eye(3, dtype=bool), 0, replacement=[0, 4])
    assert leak.blind.tolist() == [False, True, True]
    assert leak.largest == 30
    leak = analysis.leak_test(lambda x: x[::-1] * 10, x, masks.causal(3), 2)
    assert leak.blind.tolist() == [True, True, False]


def test_a_token_may_always_move_itself():
    leak = analysis.leak_test(lambda x: x, np.ones((3, 2)), np.zeros((3, 3), bool), 1)
    np.testing.assert_array_equal(leak.change, [0, 2, 0])
    assert leak.largest == 0


def test_the_input_is_left_alone():
    x = np.ones((3, 2))
    analysis.leak_test(lambda x: x, x, np.ones((3, 3), bool), 1)
    assert (x == 1).all()


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: analysis.score_rank([[1, np.inf]]),
            "scores must be finite to have a rank, got infinite or undefined ones",
        ),
        (
            lambda: analysis.products([1, 2], [1, 2, 3]),
            "the row and the column must be of one length, got (2,) and (3,)",
        ),
        (lambda: analysis.products(1, 2), "the row and the column must be of one length, got () and ()"),
        (
            lambda: analysis.leak_test(lambda x: x, np.ones((3, 2)), np.ones((3, 3), bool), 3),
            "token must be a whole number from 0 to 2, got 3",
        ),
        (
            lambda: analysis.leak_test(lambda x: x, np.ones(3), np.ones((3, 3), bool), 0),
            "x must have two axes (n, d_model), got (3,)",
        ),
        (
            lambda: analysis.leak_test(lambda x: x, np.ones((3, 2)), np.ones((3, 3), bool), 0, [1, 2, 3]),
            "replacement must have shape (2,), got (3,)",
        ),
        (
            lambda: analysis.leak_test(lambda x: x, np.ones((3, 2)), np.ones((2, 3), bool), 0),
            "visible must be boolean and broadcast to (3, 3), got bool of shape (2, 3)",
        ),
        (
            lambda: analysis.leak_test(lambda x: x, np.ones((3, 2)), np.ones((3, 3)), 0),
            "visible must be boolean and broadcast to (3, 3), got float64 of shape (3, 3)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    ("d_k", "largest", "entropy", "slope"),
    [
        (4, (0.420, 0.230), (1.798, 2.406), (0.314, 0.293)),
        (16, (0.684, 0.244), (0.908, 2.368), (0.275, 0.301)),
        (64, (0.840, 0.244), (0.418, 2.366), (0.180, 0.304)),
        (256, (0.923, 0.243), (0.192, 2.366), (0.098, 0.304)),
    ],
)
def test_without_scaling_softmax_saturates(d_k, largest, entropy, slope):
    found = analysis.saturation(d_k, np.random.default_rng(1), num_draws=1500)
    assert found.variance == pytest.approx(d_k, rel=0.06)
    np.testing.assert_allclose(found.largest, largest, atol=0.025)
    np.testing.assert_allclose(found.entropy, entropy, atol=0.07)
    np.testing.assert_allclose(found.slope, slope, atol=0.02)


def test_saturation_wants_something_to_draw():
    with pytest.raises(ValueError, match="d_k must be a whole number of at least 1, got 0"):
        analysis.saturation(0, np.random.default_rng(0))
