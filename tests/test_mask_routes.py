import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn import mask_routes, masks, scaled_dot_product_attention
from attn.data import examples
from attn.functional import softmax
from attn.mask_routes import ROUTES, leak

DATA = Path(__file__).parent / "data"
PADDING = json.loads((DATA / "mechanism_checks.json").read_text())["padding"]
LEAKS = json.loads((DATA / "worked_example.json").read_text())["leaks"]
RIGHT = [name for name, route in ROUTES.items() if route.right]


def drawn(n_q=5, n_k=7, d_v=3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_q, n_k)).astype(dtype), rng.normal(size=(n_k, d_v)).astype(dtype)


def test_order_and_names():
    assert list(ROUTES)[:2] == RIGHT == ["before", "after"]
    for name, route in ROUTES.items():
        assert route.name == name
        assert route.attend is getattr(mask_routes, name)
        assert route.why.endswith(".")


# Values by hand


@pytest.mark.parametrize("name", ["before", "not_renormalised", "zeroed_scores"])
def test_padding_by_hand(name):
    weights = ROUTES[name].attend([[1, 2, 3, 4]], np.eye(4), [[True, True, False, False]]).weights
    np.testing.assert_allclose(weights, [PADDING[name]], atol=5e-7)


def test_a_big_negative_number_is_no_infinity():
    routed = mask_routes.minus_1e9_added([[1, 2, 3, 4]], np.eye(4), np.zeros((1, 4), bool))
    np.testing.assert_allclose(routed.weights, [PADDING["all_hidden_minus_1e9"]], atol=5e-7)


def test_the_wrong_axis_sums_columns():
    scores, value = drawn()
    weights = mask_routes.wrong_axis(scores, value, np.ones((5, 7), bool)).weights
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert np.abs(weights.sum(axis=1) - 1).max() > 0.1


@pytest.mark.parametrize("n_q", [4, 2])
def test_features_vanish_instead_of_tokens(n_q):
    scores, value = drawn(n_q, 4, 6)
    context = mask_routes.zeroed_context(scores, value, masks.causal(n_q, 4)).context
    expected = np.tri(n_q, 6, k=4 - n_q)
    expected[-1, 4:] = 1  # beyond the last key, which the last row sees
    np.testing.assert_array_equal(context != 0, expected != 0)


def test_the_last_queries_stand_at_the_last_keys():
    weights = mask_routes.self_hidden(np.zeros((2, 4)), np.eye(4), masks.causal(2, 4)).weights
    np.testing.assert_allclose(weights, [[1 / 2, 1 / 2, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0]])


def test_a_large_negative_number_in_place_of_infinity_gives_a_row_without_keys_the_mean():
    """What jax.nn.dot_product_attention and the Attention of keras do, and these routes do not."""
    scores, value = drawn(1, 7, dtype=np.float32)
    filled = softmax(np.where(np.zeros((1, 7), bool), scores, np.finfo(np.float32).min / 2)) @ value
    np.testing.assert_allclose(filled, value.mean(axis=0, keepdims=True), atol=1e-6)
    for name in RIGHT:
        assert not ROUTES[name].attend(scores, value, np.zeros((1, 7), bool)).context.any()


@pytest.mark.parametrize(("dtype", "least"), [(np.float32, 104), (np.float64, 746)])
def test_a_row_is_lost_after_the_softmax_where_a_hidden_score_leads_too_far(dtype, least):
    """e^-104 is below half of the least number of float32, e^-746 below that of float64."""
    value = np.eye(2, dtype=dtype)
    for lead, kept in ((least - 1, 1), (least, 0)):
        scores = np.array([[0, lead]], dtype=dtype)
        assert mask_routes.before(scores, value, [[True, False]]).weights.tolist() == [[1, 0]]
        assert mask_routes.after(scores, value, [[True, False]]).weights.tolist() == [[kept, 0]]


def test_the_two_right_routes_agree_up_to_rounding_on_the_worked_example():
    example = examples.worked_example()
    arrays = [array.astype(np.float64) for array in (example.x, example.w_q, example.w_k, example.w_v)]
    query, key, value = (arrays[0] @ weights for weights in arrays[1:])
    scores = scaled_dot_product_attention(query, key, value).scores
    right = [ROUTES[name].attend(scores, value, masks.causal(6).visible).weights for name in RIGHT]
    np.testing.assert_allclose(*right, rtol=0, atol=4e-16)


# Properties


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.floats(0, 1))
def test_the_two_right_routes_agree_with_each_other_and_with_attention(seed, n_q, n_k, d, share):
    rng = np.random.default_rng(seed)
    query, key, value = rng.normal(size=(n_q, d)), rng.normal(size=(n_k, d)), rng.normal(size=(n_k, d))
    visible = rng.random((n_q, n_k)) < share
    attention = scaled_dot_product_attention(query, key, value, visible)
    for name in RIGHT:
        routed = ROUTES[name].attend(attention.scores, value, visible)
        np.testing.assert_allclose(routed.weights, attention.weights, atol=1e-12)
        np.testing.assert_allclose(routed.context, attention.context, atol=1e-12)


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n_q", [1, 5])
def test_nothing_left_is_zero_and_never_nan(name, dtype, n_q):
    scores, value = drawn(n_q, dtype=dtype)
    visible = np.zeros((n_q, 7), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        routed = ROUTES[name].attend(scores, value, visible)
    assert np.isfinite(routed.weights).all()
    assert np.isfinite(routed.context).all()
    assert routed.weights.dtype == routed.context.dtype == dtype
    if name in ("before", "after", "not_renormalised", "self_hidden", "wrong_axis"):
        assert (routed.weights == 0).all()
        assert (routed.context == 0).all()


@pytest.mark.parametrize("name", ROUTES)
def test_leading_axes_and_masks_pass_as_they_are(name):
    rng = np.random.default_rng(0)
    scores, value = rng.normal(size=(2, 3, 5, 7)), rng.normal(size=(2, 3, 7, 11))
    mask = masks.causal(5, 7)
    routed = ROUTES[name].attend(scores, value, mask)
    assert routed.weights.shape == (2, 3, 5, 7)
    assert routed.context.shape == (2, 3, 5, 11)
    alone = ROUTES[name].attend(scores[1, 2], value[1, 2], mask.visible)
    np.testing.assert_allclose(routed.context[1, 2], alone.context, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in ROUTES if name not in ("before", "after", "minus_1e9_added")])
def test_every_look_alike_can_be_told_apart(name):
    scores, value = drawn(7, 7, 3)
    right, wrong = (ROUTES[route].attend(scores, value, masks.causal(7)) for route in ("before", name))
    assert np.abs(right.context - wrong.context).max() > 0.01


def test_renormalising_fails_where_the_softmax_rounds_to_nothing():
    """Where a hidden score towers over the visible ones, only -inf before the softmax finds them."""
    scores, value, visible = np.float32([[0, 120]]), np.float32([[3], [5]]), [[True, False]]
    np.testing.assert_array_equal(mask_routes.before(scores, value, visible).context, [[3]])
    np.testing.assert_array_equal(mask_routes.after(scores, value, visible).context, [[0]])


# What leaks


def probe(name):
    example = examples.worked_example()
    arguments = example.x, example.w_q, example.w_k, example.w_v, masks.causal(6).visible
    return leak(ROUTES[name], *arguments, token=5, replacement=np.float32([2, -1, 0.5]))


@pytest.mark.parametrize("name", LEAKS)
def test_known_leaks(name):
    found = probe(name)
    assert found.largest == pytest.approx(LEAKS[name], abs=2e-6)
    assert found.blind.tolist() == [True] * 5 + [False]
    assert found.change[:5].max() == found.largest


@pytest.mark.parametrize("name", ["before", "self_hidden", "minus_1e9_added"])
def test_no_leak_at_all(name):
    assert probe(name).largest == 0


def test_a_row_with_nothing_left_leaks_through_minus_1e9():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(5, 3)), rng.normal(size=(3, 3))
    visible = masks.causal(5).visible.copy()
    visible[1] = False
    arguments = x, w, w, w, visible
    assert leak(ROUTES["minus_1e9_added"], *arguments, token=4).largest > 0.1
    assert leak(ROUTES["before"], *arguments, token=4).largest == 0


def test_a_mask_passes_as_it_is():
    example = examples.worked_example()
    arguments = example.x, example.w_q, example.w_k, example.w_v, masks.causal(6)
    assert leak(ROUTES["no_mask"], *arguments, token=5).largest > 0.1


# Bad input


@pytest.mark.parametrize(
    ("visible", "message"),
    [
        (np.ones((5, 7)), "visible must be boolean (True may look), got float64"),
        (np.ones((7, 5), bool), "visible must broadcast to the scores (5, 7), got (7, 5)"),
    ],
)
@pytest.mark.parametrize("name", ROUTES)
def test_bad_masks(name, visible, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ROUTES[name].attend(*drawn(), visible)
