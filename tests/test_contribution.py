"""Weight times value and rollout: by hand, by slow loops, and on real heads."""

import re
import warnings

import numpy as np
import pytest
from heads import ids_and_flags, random_weights
from hypothesis import given
from hypothesis import strategies as st

from attn.analysis import contribution
from attn.multi_head import draw_parameters, head_outputs, multi_head_attention
from attn.pretrained import bert


def test_value_weighted_by_hand():
    value = [[3, 4], [0, 0], [1, 0]]
    w_o = [[1, 0, 0], [0, 2, 0]]
    lengths = np.array([np.sqrt(9 + 64), 0, 1])
    weights = np.array([[0.5, 0.5, 0], [0.2, 0.3, 0.5]])
    np.testing.assert_allclose(contribution.value_weighted(weights, value, w_o), weights * lengths)


def test_rollout_by_hand():
    first, second = [[0, 1], [1, 0]], [[1, 0], [1, 0]]
    # halves of the identity: [[.5, .5], [.5, .5]] and then [[1, 0], [.5, .5]] on top
    np.testing.assert_allclose(contribution.rollout([first, second]), [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(contribution.rollout([second, second]), [[1, 0], [0.75, 0.25]])
    np.testing.assert_allclose(contribution.rollout([second, first], residual=0), np.array(first) @ second)
    np.testing.assert_allclose(contribution.rollout([first, second], residual=1), np.eye(2))


def test_rollout_averages_the_heads():
    np.testing.assert_allclose(
        contribution.rollout([[[[1, 0], [1, 0]], [[0, 1], [0, 1]]]]), [[0.75, 0.25], [0.25, 0.75]]
    )


def test_rollout_keeps_a_token_that_attends_to_nothing():
    np.testing.assert_array_equal(contribution.rollout([[[0, 0], [0.5, 0.5]]]), [[1, 0], [0.25, 0.75]])
    np.testing.assert_array_equal(contribution.rollout([[[0, 0], [0.5, 0.5]]], residual=0), [[1, 0], [0.5, 0.5]])


def test_mean_over_by_hand():
    weights = np.array([[[1, 0]], [[0, 1]], [[0.5, 0.5]]])
    np.testing.assert_array_equal(contribution.mean_over(weights, [0, 2]), [[0.75, 0.25]])
    np.testing.assert_array_equal(contribution.mean_over(weights, [2, 0, 0]), [[0.75, 0.25]])  # a set
    np.testing.assert_array_equal(contribution.mean_over(weights, 1), [[0, 1]])
    np.testing.assert_array_equal(contribution.mean_over(weights), [[0.5, 0.5]])


@given(st.integers(2, 11), st.integers(0, 99))
def test_rollout_is_a_distribution(n, seed):
    layers = random_weights(5, 3, n, n, seed=seed, causal=True)
    reached = contribution.rollout(layers)
    np.testing.assert_allclose(reached.sum(axis=-1), 1)
    assert (reached >= 0).all()
    assert np.triu(reached, 1).max() == 0  # no layer lets a later token through


def test_value_weighted_obeys_the_size_of_values():
    weights, value, w_o = random_weights(3, 5, 7), np.random.default_rng(1).normal(size=(3, 7, 2)), np.ones((6, 11))
    np.testing.assert_allclose(
        contribution.value_weighted(weights, value * 2, w_o), 2 * contribution.value_weighted(weights, value, w_o)
    )
    value[1, 4] = 0
    assert (contribution.value_weighted(weights, value, w_o)[1, :, 4] == 0).all()


def test_a_hidden_key_adds_nothing_whatever_it_holds():
    value = np.array([[1.0, 0.0], [np.inf, np.nan]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(contribution.value_weighted([[1, 0]], value, np.eye(2)), [[1, 0]])


def test_contributions_one_by_one():
    rng = np.random.default_rng(0)
    weights, value, w_o = random_weights(2, 6, 3, 5), rng.normal(size=(2, 2, 5, 7)), rng.normal(size=(6 * 7, 11))
    result = contribution.value_weighted(weights, value, w_o)
    for b, h, i, j in np.ndindex(weights.shape):
        vector = value[b, h // 3, j] @ w_o[h * 7 : (h + 1) * 7]
        assert result[b, h, i, j] == pytest.approx(weights[b, h, i, j] * np.sqrt((vector**2).sum()))


def test_rollout_path_by_path():
    """The weight of every way down through three layers, summed."""
    layers = random_weights(3, 2, 5, 5)
    mixed = [0.5 * (layer[0] + layer[1]) / 2 + 0.5 * np.eye(5) for layer in layers]
    for top, bottom in np.ndindex(5, 5):
        ways = [mixed[2][top, a] * mixed[1][a, b] * mixed[0][b, bottom] for a in range(5) for b in range(5)]
        assert contribution.rollout(layers)[top, bottom] == pytest.approx(sum(ways))


def test_one_key_contributes_the_length_of_the_head():
    """Where all weight is on one key, its contribution is the length of what the head adds."""
    parameters = draw_parameters(np.random.default_rng(0), 12, 6, num_kv_heads=2, d_v=5)
    steps = multi_head_attention(np.random.default_rng(1).normal(size=(7, 12)), parameters, window=0)
    added = contribution.value_weighted(steps.weights, steps.value, parameters.w_o)
    lengths = np.linalg.norm(head_outputs(steps.context, parameters.w_o), axis=-1)  # (num_heads, n)
    np.testing.assert_allclose(added, lengths[..., None] * np.eye(7), atol=1e-12)


def test_one_head_alone_contributes_the_same():
    rng = np.random.default_rng(0)
    weights, value, w_o = random_weights(3, 5, 7), rng.normal(size=(3, 7, 2)), rng.normal(size=(6, 11))
    together = contribution.value_weighted(weights, value, w_o)
    for head in range(3):
        alone = contribution.value_weighted(weights[head], value[head], w_o[2 * head : 2 * head + 2])
        np.testing.assert_allclose(alone, together[head])


def test_weights_on_special_tokens_are_not_contribution(encoder, encoded):
    """What Kobayashi et al. 2020 find in BERT: special tokens get weight, but add little."""
    special = ids_and_flags(encoded.tokens)[1]
    weights = [block.attention.weights for block in encoded.blocks]
    contributions = [
        contribution.value_weighted(block.attention.weights, block.attention.value, own.w_o)
        for layer, block in enumerate(encoded.blocks)
        for own in [bert.parameters(encoder.tensors, layer, encoder.num_heads)]
    ]
    by_weight, by_contribution = (
        sum(each[..., special].sum() for each in maps) / sum(each.sum() for each in maps)
        for maps in (weights, contributions)
    )
    assert by_weight > 0.3
    assert by_contribution < 0.12


def test_rollout_of_a_real_text(encoded):
    reached = contribution.rollout(block.attention.weights for block in encoded.blocks)
    np.testing.assert_allclose(reached.sum(axis=-1), 1, rtol=1e-5)
    assert reached.diagonal().min() >= 0.5**6  # the residual alone


def test_the_input_is_left_alone():
    weights = random_weights(3, 7, 7)
    before = weights.copy()
    contribution.rollout([weights])
    contribution.value_weighted(weights, np.ones((3, 7, 2)), np.ones((6, 5)))
    np.testing.assert_array_equal(weights, before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_are_kept(dtype):
    weights = random_weights(3, 7, 7).astype(dtype)
    assert contribution.rollout([weights, weights]).dtype == dtype
    assert contribution.mean_over(weights, [0, 1]).dtype == dtype
    assert contribution.value_weighted(weights, np.ones((3, 7, 2), dtype), np.ones((6, 5), dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: contribution.value_weighted(np.eye(3), np.ones((2, 5)), np.eye(5)),
            "weights (..., num_heads, n_q, n_k) and value (..., num_kv_heads, n_k, d_v) must share n_k "
            "and the number of axes, got (3, 3) and (2, 5)",
        ),
        (
            lambda: contribution.value_weighted(np.ones((5, 3, 3)), np.ones((2, 3, 7)), np.eye(35)),
            "num_heads must be a multiple of num_kv_heads, got 5 and 2",
        ),
        (
            lambda: contribution.value_weighted(np.eye(3), np.ones((3, 5)), np.eye(7)),
            "w_o must be a matrix of num_heads * d_v = 5 rows, got (7, 7)",
        ),
        (lambda: contribution.rollout([]), "rollout must be given at least one layer, got none"),
        (lambda: contribution.rollout([np.eye(3)], residual=2), "residual must be from 0 to 1, got 2"),
        (lambda: contribution.rollout([np.ones((2, 3))]), "a layer must be (n, n) or (num_heads, n, n), got (2, 3)"),
        (
            lambda: contribution.rollout([np.eye(3), np.eye(5)]),
            "all layers must be of one length, got (3, 3) and then (5, 5)",
        ),
        (lambda: contribution.mean_over(np.eye(3)), "weights must have axes (..., num_heads, n_q, n_k), got (3, 3)"),
        (lambda: contribution.mean_over(np.ones((2, 3, 3)), []), "heads must be at least one of 0 to 1, got []"),
        (
            lambda: contribution.mean_over(np.ones((2, 3, 3)), [0, 2]),
            "heads must be at least one of 0 to 1, got [0, 2]",
        ),
        (lambda: contribution.mean_over(np.ones((2, 3, 3)), -1), "heads must be at least one of 0 to 1, got [-1]"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
