import inspect
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attn import alignment, local_attention, scaled_dot_product_attention, softmax
from attn.alignment import SCORES

CHECKS = json.loads((Path(__file__).parent / "data" / "memory_checks.json").read_text())
BY_HAND = CHECKS["scores"]
EYE = np.eye(2)
WITHOUT_PARAMETERS = [name for name, one in SCORES.items() if not one.parameters]
DIGITS = 5e-7  # six decimals are written down


def drawn(name, d_q, d_k):
    """Return parameters of a score, or of concat, for queries and keys of these widths."""
    rng = np.random.default_rng(0)
    if name == "concat":
        return {"w": rng.normal(size=(d_q + d_k, 11)), "v": rng.normal(size=11)}
    return SCORES[name].draw_parameters(rng, d_q=d_q, d_k=d_k, n_most=7, d_hidden=11)


def product(query, key, at):
    return sum(q * k for q, k in zip(query, key, strict=True))


def length(vector):
    return math.sqrt(sum(x * x for x in vector))


def network(query, key, at, v, w=None, w_q=None, w_k=None):
    both, w = [*query, *key], np.vstack([w_q, w_k]) if w is None else w
    hidden = [math.tanh(sum(both[i] * w[i, h] for i in range(len(both)))) for h in range(w.shape[1])]
    return sum(v[h] * hidden[h] for h in range(w.shape[1]))


LOOPS = {  # one query and the key at one place, with one loop per sum
    "content": lambda query, key, at: product(query, key, at) / (length(query) * length(key)),
    "additive": network,
    "concat": network,
    "location": lambda query, key, at, w: product(query, w[:, at], at) if at < w.shape[1] else -math.inf,
    "general": lambda query, key, at, w: sum(
        query[i] * w[i, j] * key[j] for i in range(len(query)) for j in range(len(key))
    ),
    "dot": product,
    "scaled_dot": lambda query, key, at: product(query, key, at) / math.sqrt(len(query)),
}


# Values by hand


@pytest.mark.parametrize("name", BY_HAND["scores"])
def test_one_query_many_scores(name):
    scores = SCORES[name].score(BY_HAND["query"], BY_HAND["keys"], **SCORES[name].example)
    np.testing.assert_allclose(scores, BY_HAND["scores"][name], atol=DIGITS)
    np.testing.assert_allclose(softmax(scores), BY_HAND["weights"][name], atol=DIGITS)


@pytest.mark.parametrize("name", SCORES)
def test_the_row_of_a_score_fits_its_function(name):
    one, rng = SCORES[name], np.random.default_rng(0)
    for parameters in (one.example, one.draw_parameters(rng, d_q=2, d_k=2, n_most=3)):
        assert one.score([1, 2], [[2, 0], [1, 1], [-1, 2]], **parameters).shape == (3,)
    assert one.example.keys() == one.parameters.keys()
    assert one.formula.format(q="q", k="k").count("{") == one.formula.format(q="q", k="k").count("}")
    assert (one.learns == "0") == (not one.parameters)


def test_three_winners_from_one_query():
    best = {name: np.flatnonzero(np.isclose(w, max(w))).tolist() for name, w in BY_HAND["weights"].items()}
    assert best == {
        "content": [1],
        "additive": [0, 1],
        "location": [1],
        "general": [2],
        "dot": [1, 2],
        "scaled_dot": [1, 2],
    }


def test_bahdanaus_alignment_by_hand():
    check = CHECKS["additive"]
    scores = alignment.additive(check["s"], check["h"], w_q=EYE, w_k=EYE, v=[1, 1])
    np.testing.assert_allclose(scores, check["e"], atol=DIGITS)
    np.testing.assert_allclose(softmax(scores), check["alpha"], atol=DIGITS)
    np.testing.assert_allclose(alignment.soft_read(softmax(scores), check["h"]), check["context"], atol=DIGITS)
    start = alignment.additive(check["s"], check["h"], w_q=EYE, w_k=EYE, v=[0, 0])
    np.testing.assert_allclose(softmax(start), check["v_zero_gives"], atol=DIGITS)


def test_a_weighted_mean_by_hand():
    check = CHECKS["weighted_mean"]
    weights = softmax(check["e"])
    np.testing.assert_allclose(weights, check["alpha"], atol=DIGITS)
    np.testing.assert_allclose(alignment.soft_read(weights, check["h"]), check["context"], atol=DIGITS)


# What each score reads, and what leaves it unmoved


def test_doubling_every_key():
    doubled = 2 * np.array(BY_HAND["keys"])
    scores = {name: one.score(BY_HAND["query"], doubled, **one.example) for name, one in SCORES.items()}
    np.testing.assert_allclose(scores["content"], BY_HAND["cosine_after_doubling"], atol=DIGITS)
    for name in ("dot", "scaled_dot", "general"):
        np.testing.assert_allclose(scores[name], 2 * np.array(BY_HAND["scores"][name]), atol=2 * DIGITS)
    np.testing.assert_array_equal(scores["location"], BY_HAND["scores"]["location"])
    assert np.abs(scores["additive"] - BY_HAND["scores"]["additive"]).max() > 0.01


def test_turning_query_and_keys_together():
    """Scores without parameters see only lengths and angles."""
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    query, keys = np.array(BY_HAND["query"]) @ turn, np.array(BY_HAND["keys"]) @ turn
    for name, one in SCORES.items():
        before = one.score(BY_HAND["query"], BY_HAND["keys"], **one.example)
        moved = np.abs(one.score(query, keys, **one.example) - before).max()
        assert (moved < 1e-6) == (name in WITHOUT_PARAMETERS)


def test_swapping_keys_swaps_scores_except_of_location():
    for name, one in SCORES.items():
        before = one.score(BY_HAND["query"], BY_HAND["keys"], **one.example)
        swapped = one.score(BY_HAND["query"], BY_HAND["keys"][::-1], **one.example)
        expected = before if name == "location" else before[::-1]
        np.testing.assert_allclose(swapped, expected, atol=DIGITS)


def test_location_reads_no_key_and_has_a_fixed_length():
    w = np.array(SCORES["location"].example["w"])
    keys = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(alignment.location([1, 2], keys, w=w), [1, 2, 1.5, -np.inf, -np.inf])
    np.testing.assert_array_equal(alignment.location([1, 2], keys[:2], w=w), [1, 2])
    np.testing.assert_array_equal(softmax(alignment.location([1, 2], keys, w=w))[3:], [0, 0])


def test_a_vector_of_nothing_has_no_direction():
    np.testing.assert_array_equal(alignment.content([1, 2], [[0, 0], [2, 4]]).round(12), [0, 1])
    np.testing.assert_array_equal(alignment.content([0, 0], [[1, 0], [2, 4]]), [0, 0])


@given(st.integers(0, 10**6))
def test_cosine_lies_between_minus_one_and_one(seed):
    rng = np.random.default_rng(seed)
    scores = alignment.content(rng.normal(size=5) * 1e3, rng.normal(size=(7, 5)))
    assert (np.abs(scores) <= 1 + 1e-12).all()


def test_a_score_names_what_it_must_be_given():
    for name, score in SCORES.items():
        asked = inspect.signature(score.score).parameters.values()
        assert score.name == name
        assert tuple(score.parameters) == tuple(one.name for one in asked if one.kind is one.KEYWORD_ONLY)


# A slow loop, two routes, an independent implementation


@pytest.mark.parametrize("name", [*SCORES, "concat"])
def test_every_score_against_a_loop(name):
    rng = np.random.default_rng(1)
    d_q, d_k = (5, 5) if name in WITHOUT_PARAMETERS else (5, 3)
    query, keys = rng.normal(size=(2, 13, d_q)), rng.normal(size=(2, 1, 11, d_k))
    given_parameters = drawn(name, d_q, d_k)
    scores = getattr(alignment, name)(query, keys, **given_parameters)
    assert scores.shape == (2, 13, 11)
    for b, i, j in np.ndindex(scores.shape):
        expected = LOOPS[name](query[b, i], keys[b, 0, j], j, **given_parameters)
        assert scores[b, i, j] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [*SCORES, "concat"])
def test_one_query_asks_every_sequence_of_a_batch(name):
    rng = np.random.default_rng(1)
    query, keys = rng.normal(size=5), rng.normal(size=(3, 11, 5))
    given_parameters, score = drawn(name, 5, 5), getattr(alignment, name)
    expected = [score(query, sequence, **given_parameters) for sequence in keys]
    np.testing.assert_allclose(score(query, keys, **given_parameters), expected, atol=1e-12)


def test_concat_is_additive_written_as_one_matrix():
    rng = np.random.default_rng(2)
    query, keys, parameters = rng.normal(size=(7, 3)), rng.normal(size=(7, 5, 2)), drawn("additive", 3, 2)
    w = np.vstack([parameters["w_q"], parameters["w_k"]])
    together = alignment.concat(query, keys, w=w, v=parameters["v"])
    np.testing.assert_array_equal(together, alignment.additive(query, keys, **parameters))


def test_general_is_a_transformers_head():
    rng = np.random.default_rng(3)
    x, w_q, w_k = rng.normal(size=(5, 7)), rng.normal(size=(7, 3)), rng.normal(size=(7, 3))
    head = scaled_dot_product_attention(x @ w_q, x @ w_k, x, scale=1)
    np.testing.assert_allclose(alignment.general(x, x, w=w_q @ w_k.T), head.scores, atol=1e-12)
    np.testing.assert_allclose(
        alignment.scaled_dot(x @ w_q, x @ w_k), scaled_dot_product_attention(x @ w_q, x @ w_k, x).scores, atol=1e-12
    )


def test_against_torch():
    rng = np.random.default_rng(4)
    query, keys = rng.normal(size=(2, 5)), rng.normal(size=(2, 7, 5))
    q, k = torch.tensor(query), torch.tensor(keys)
    cosine = torch.nn.functional.cosine_similarity(q[:, None], k, dim=-1)
    np.testing.assert_allclose(alignment.content(query, keys), cosine, atol=1e-12)
    bilinear = torch.nn.Bilinear(5, 5, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        expected = bilinear(q[:, None].expand(2, 7, 5).contiguous(), k)[..., 0]
        general = alignment.general(query, keys, w=bilinear.weight[0].numpy())
    np.testing.assert_allclose(general, expected, atol=1e-12)
    hidden, last = torch.nn.Linear(10, 3, bias=False).double(), torch.nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        expected = last(torch.tanh(hidden(torch.cat([q[:, None].expand(2, 7, 5), k], dim=-1))))[..., 0]
        concat = alignment.concat(query, keys, w=hidden.weight.T.numpy(), v=last.weight[0].numpy())
    np.testing.assert_allclose(concat, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("given_type", "expected"), [("float16", "float16"), ("float32", "float32"), ("int", "float64")]
)
@pytest.mark.parametrize("name", [*SCORES, "concat"])
def test_number_types_are_kept(name, given_type, expected):
    query, keys = np.ones(2, given_type), np.ones((3, 2), given_type)
    scores = getattr(alignment, name)(query, keys, **drawn(name, 2, 2))
    assert scores.dtype == expected


def test_half_precision_does_not_overflow_on_the_way():
    keys = np.full((3, 2), 300, np.float16)
    np.testing.assert_allclose(alignment.content(keys[0], keys), 1, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_made_of_scores_keeps_their_type(dtype):
    weights, values = np.array([0.25, 0.75], dtype), np.eye(2, dtype=dtype)
    made = [
        alignment.soft_read(weights, values),
        alignment.hard_variance(weights, values),
        alignment.doubly_stochastic_penalty(values),
        *alignment.hard_reads(weights, values, np.random.default_rng(0), 3)[1:],
        *local_attention.local_m(weights, 0, 1)[1:],
        *local_attention.local_p(weights, 0, 1)[1:],
        local_attention.predicted_centre(weights, 3, w=values, v=weights),
    ]
    assert {array.dtype for array in made} == {np.dtype(dtype)}


# Soft and hard


def test_soft_and_hard_by_hand():
    check = CHECKS["soft_hard"]
    weights, values = check["alpha"], check["values"]
    np.testing.assert_allclose(alignment.soft_read(weights, values), check["soft_context"], atol=1e-12)
    np.testing.assert_allclose(alignment.hard_variance(weights, values), check["hard_variance"], atol=1e-12)
    assert values[int(np.argmax(weights))] == check["argmax_context"]
    many = alignment.hard_reads(weights, values, np.random.default_rng(0), 100_000)
    np.testing.assert_allclose(many.running_mean[-1], check["hard_expectation_mc_100k"], atol=5e-4)
    error = np.sqrt(np.array(check["hard_variance"]) / 100_000)  # of a mean of so many
    np.testing.assert_array_less(np.abs(many.running_mean[-1] - check["soft_context"]), 4 * error)
    np.testing.assert_allclose(many.reads.var(axis=0), check["hard_variance"], rtol=0.02)


def test_soft_reads_of_many_queries_are_one_product():
    weights, values = np.random.default_rng(0).dirichlet(np.ones(5), size=3), np.eye(5, 7)
    np.testing.assert_allclose(alignment.soft_read(weights, values), weights @ values, atol=1e-12)


def test_a_hard_read_is_one_of_the_values():
    values = np.random.default_rng(0).normal(size=(5, 3))
    drawn_reads = alignment.hard_reads(softmax(values[:, 0]), values, np.random.default_rng(1), 17)
    np.testing.assert_array_equal(drawn_reads.reads, values[drawn_reads.places])
    np.testing.assert_allclose(drawn_reads.running_mean[4], drawn_reads.reads[:5].mean(axis=0))
    again = alignment.hard_reads(softmax(values[:, 0]), values, np.random.default_rng(1), 17)
    np.testing.assert_array_equal(again.places, drawn_reads.places)


def test_what_has_no_weight_is_never_read():
    places = alignment.hard_reads([0.5, 0, 0.5, 0], np.eye(4), np.random.default_rng(0), 500).places
    assert set(places) == {0, 2}


def test_float32_weights_are_probabilities():
    weights = softmax(np.random.default_rng(0).normal(size=777).astype(np.float32))
    drawn_reads = alignment.hard_reads(weights, np.ones((777, 2), np.float32), np.random.default_rng(0), 5)
    assert drawn_reads.running_mean.dtype == np.float32


def test_probabilities_may_miss_one_by_rounding():
    assert alignment.hard_reads([0.5, 0.5000095], np.eye(2), np.random.default_rng(0)).reads.shape == (1, 2)
    with pytest.raises(ValueError, match="that sum to 1"):
        alignment.hard_reads([0.5, 0.5000105], np.eye(2), np.random.default_rng(0))


def test_penalty():
    assert alignment.doubly_stochastic_penalty(np.full((4, 4), 0.25)) == 0
    assert alignment.doubly_stochastic_penalty(np.eye(3)[:2], strength=3) == 3  # the third place is never seen
    looks = np.random.default_rng(0).dirichlet(np.ones(5), size=(2, 7))
    expected = [sum((1 - look[:, i].sum()) ** 2 for i in range(5)) for look in looks]
    np.testing.assert_allclose(alignment.doubly_stochastic_penalty(looks), expected)


# Global and local


def test_local_p_by_hand():
    check = CHECKS["local"]
    local = local_attention.local_p(np.zeros(check["S"]), check["p_t"], check["D"])
    assert np.flatnonzero(local.visible).tolist() == check["window"]
    np.testing.assert_allclose(local.aligned[local.visible], check["align_uniform"], atol=DIGITS)
    np.testing.assert_allclose(local.gaussian[local.visible], check["gaussian"], atol=DIGITS)
    np.testing.assert_allclose(local.weights[local.visible], check["weights"], atol=DIGITS)
    assert local.weights.sum() == pytest.approx(check["sum"], abs=DIGITS)


def test_local_m_by_hand():
    check = CHECKS["local"]
    local = local_attention.local_m(np.zeros(check["S"]), 3, 2)
    assert np.flatnonzero(local.visible).tolist() == check["local_m_t3_window"]
    assert np.flatnonzero(local_attention.local_m(np.zeros(10), 0, 2).visible).tolist() == [
        0,
        1,
        2,
    ]  # clipped at the ends
    assert np.flatnonzero(local_attention.local_m(np.zeros(10), 9, 2).visible).tolist() == [7, 8, 9]


@given(st.integers(0, 10**6), st.integers(1, 9), st.floats(-3, 12))
def test_local_weights(seed, half_width, centre):
    scores = np.random.default_rng(seed).normal(size=(2, 7))
    monotonic, predictive = (f(scores, centre, half_width) for f in (local_attention.local_m, local_attention.local_p))
    seen = monotonic.visible.any()
    np.testing.assert_allclose(monotonic.weights.sum(axis=-1), float(seen))
    assert (predictive.weights.sum(axis=-1) <= 1).all()
    assert (predictive.weights <= monotonic.weights).all()
    for place in range(7):
        assert monotonic.visible[0, place] == (abs(place - centre) <= half_width)
        assert predictive.gaussian[1, place] == pytest.approx(math.exp(-((place - centre) ** 2) / (half_width**2 / 2)))


def test_a_window_over_everything_is_global():
    scores = np.random.default_rng(0).normal(size=7)
    np.testing.assert_array_equal(local_attention.local_m(scores, 3, 7).weights, softmax(scores))


def test_a_centre_per_query():
    local = local_attention.local_p(np.zeros((2, 3, 11)), [[1, 2, 3], [4, 5, 6.5]], 2)
    assert local.weights.argmax(axis=-1).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_predicted_centre_lies_within_the_input():
    rng = np.random.default_rng(0)
    query, w, v = rng.normal(size=(5, 3)), rng.normal(size=(3, 7)), rng.normal(size=7)
    centre = local_attention.predicted_centre(query, 13, w=w, v=v)
    logit = torch.tanh(torch.tensor(query) @ torch.tensor(w)) @ torch.tensor(v)
    np.testing.assert_allclose(centre, 13 * torch.sigmoid(logit).numpy(), atol=1e-12)
    assert ((centre > 0) & (centre < 13)).all()
    assert local_attention.predicted_centre([0, 0, 0], 13, w=w, v=v) == 6.5
    assert local_attention.predicted_centre([0, 0, 0], 1, w=w, v=v) == 0.5


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: alignment.dot([1, 2], [[1, 2, 3]]),
            "query and keys must have one width, got query (2,) and keys (1, 3)",
        ),
        (lambda: alignment.content(3, [[1]]), "query must have axes (..., d) with d >= 1, got ()"),
        (lambda: alignment.dot([1, 2], [1, 2]), "keys must have axes (..., n_k, d) with d >= 1, got (2,)"),
        (
            lambda: alignment.scaled_dot(np.ones((3, 2)), np.ones((5, 7, 2))),
            "query and keys must have leading axes that fit together, got query (3, 2) and keys (5, 7, 2)",
        ),
        (lambda: alignment.general([1, 2], [[1, 2, 3]], w=EYE), "w must have shape (2, 3), got (2, 2)"),
        (
            lambda: alignment.additive([1, 2], [[1]], w_q=EYE, w_k=EYE, v=[1, 1]),
            "w_k must have shape (1, 2), got (2, 2)",
        ),
        (
            lambda: alignment.additive([1, 2], [[1]], w_q=EYE, w_k=EYE, v=1),
            "v must have axes (..., d) with d >= 1, got ()",
        ),
        (
            lambda: alignment.additive([1, 2], EYE, w_q=np.ones((2, 3)), w_k=np.ones((2, 3)), v=np.ones((2, 3))),
            "v must have shape (3,), got (2, 3)",
        ),
        (lambda: alignment.concat(3, [[1]], w=EYE, v=[1, 1]), "query must have axes (..., d) with d >= 1, got ()"),
        (lambda: alignment.concat([1], 3, w=EYE, v=[1, 1]), "keys must have axes (..., n_k, d) with d >= 1, got ()"),
        (lambda: alignment.concat([1, 2], [[1]], w=EYE, v=1), "v must have axes (..., d) with d >= 1, got ()"),
        (
            lambda: alignment.concat([1, 2], [[1]], w=np.ones((3, 3)), v=np.ones((2, 3))),
            "v must have shape (3,), got (2, 3)",
        ),
        (lambda: alignment.concat([1, 2], [[1]], w=EYE, v=[1, 1]), "w must have shape (3, 2), got (2, 2)"),
        (lambda: alignment.location([1, 2], [[1]], w=3), "w must have axes (..., d) with d >= 1, got ()"),
        (lambda: alignment.location([1, 2], [[1]], w=[1, 2]), "w must have shape (2, 2), got (2,)"),
        (lambda: alignment.dot(["a"], [["b"]]), "query must hold real numbers, got <U1"),
        (
            lambda: alignment.soft_read([1, 2], EYE[:1]),
            "there must be one weight per value, got weights (2,) and values (1, 2)",
        ),
        (
            lambda: alignment.soft_read(1, EYE),
            "there must be one weight per value, got weights () and values (2, 2)",
        ),
        (
            lambda: alignment.soft_read([1, 2], [1, 2]),
            "there must be one weight per value, got weights (2,) and values (2,)",
        ),
        (
            lambda: alignment.hard_reads([1.5, -0.5], EYE, np.random.default_rng(0)),
            "weights must be one row of probabilities that sum to 1, got [1.5, -0.5]",
        ),
        (
            lambda: alignment.hard_reads([0.5, 0.6], EYE, np.random.default_rng(0)),
            "weights must be one row of probabilities that sum to 1, got [0.5, 0.6]",
        ),
        (
            lambda: alignment.hard_reads([0.5, 0.5], EYE, np.random.default_rng(0), 0),
            "count must be a whole number of at least 1, got 0",
        ),
        (
            lambda: local_attention.local_m(np.zeros(5), 2, -1),
            "half_width must be a whole number of at least 0, got -1",
        ),
        (lambda: local_attention.local_p(np.zeros(5), 2, 0), "half_width must be a whole number of at least 1, got 0"),
        (
            lambda: local_attention.local_p(np.zeros(5), [2, 3], 1),
            "centre must fit the leading axes of the scores (5,), got (2,)",
        ),
        (lambda: local_attention.predicted_centre([1, 2], 5, w=EYE, v=[1]), "w must have shape (2, 1), got (2, 2)"),
        (
            lambda: local_attention.predicted_centre([1, 2], 5, w=EYE, v=1),
            "v must have axes (..., d) with d >= 1, got ()",
        ),
        (
            lambda: local_attention.predicted_centre([1, 2], 5, w=np.ones((2, 3)), v=np.ones((2, 3))),
            "v must have shape (3,), got (2, 3)",
        ),
        (
            lambda: local_attention.predicted_centre(3, 5, w=EYE, v=[1, 1]),
            "query must have axes (..., d) with d >= 1, got ()",
        ),
        (
            lambda: local_attention.predicted_centre([1, 2], 0, w=EYE, v=[1, 1]),
            "n_k must be a whole number of at least 1, got 0",
        ),
        (
            lambda: alignment.doubly_stochastic_penalty([0.5, 0.5]),
            "weights must have axes (..., n_steps, n_k), got (2,)",
        ),
        (lambda: alignment.doubly_stochastic_penalty(EYE, math.nan), "strength must be a finite number, got nan"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
