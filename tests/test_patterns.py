"""The numbers that tell heads apart: by hand, by slow loops, on heads of a known kind and on real ones."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn import contribution, masks, patterns, scaled_dot_product_attention, softmax
from attn.multi_head import draw_parameters, head_outputs, multi_head_attention
from attn.patterns import METRICS, Text, kind_of_head, measure
from attn.pretrained import bert

NAN = np.nan
SENTENCE = "The animal didn't cross the street because it was too tired."
KEYS = (
    "The keys to the old wooden cabinet are on the table in the hall, and the keys to the new cabinet are in the "
    "old wooden box under the table."
)
RIVER = (
    "When the river rose, the people of the village carried their grain, their tools and their animals up the hill; "
    "when the river fell, the people of the village carried them down again, although the bank had been washed away "
    "and nobody knew where it had been."
)
# A special token, and then a phrase of four words that comes twice, the second time after another word.
PHRASE = ["[CLS]", "the", "quick", "brown", "fox", "and", "the", "quick", "brown", "fox", "[SEP]"]
SPECIAL = np.array([word.startswith("[") for word in PHRASE])
N = len(PHRASE)


def random_weights(*shape, seed=0, causal=False):
    scores = np.random.default_rng(seed).normal(size=shape) * 2
    return softmax(np.where(np.tri(*shape[-2:], dtype=bool), scores, -np.inf) if causal else scores)


def looking(targets, strength=0.9):
    """A head that puts `strength` of each query's weight on its target, the rest evenly; None: all evenly."""
    n = len(targets)
    weights = np.full((n, n), 1 / n)
    for query, target in enumerate(targets):
        if target is not None:
            weights[query] = (1 - strength) / n
            weights[query, target] += strength
    return weights


HEADS = {
    "broad head": looking([None] * N),
    "previous-token head": looking([max(i - 1, 0) for i in range(N)]),
    "next-token head": looking([min(i + 1, N - 1) for i in range(N)]),
    "same-token head": looking(range(N)),
    "first-token head": looking([0] * N),
    "special-token head": looking([N - 1] * N),
    # like real ones, these rest on the first token where they find nothing
    "duplicate-token head": looking([0] * 6 + [1, 2, 3, 4, 0]),
    "induction head": looking([0] * 6 + [2, 3, 4, 5, 0]),
    "positional head": looking([(i + 3) % N for i in range(N)]),
    "no clear pattern": looking(np.random.default_rng(5).permutation(N), strength=0.5),
}


def slow_metrics(weights, tokens, special):
    """Every metric of one head without mask or missing rows, cell by cell; queries are the last keys."""
    n_q, n_k = weights.shape
    offset = n_k - n_q
    collected = {key: [] for key in METRICS}
    for i in range(n_q):
        own, row = i + offset, [float(weight) for weight in weights[i]]
        spread = -sum(a * np.log(a) for a in row if a > 0)
        collected["entropy"].append(spread)
        if n_k > 1:
            collected["evenness"].append(spread / np.log(n_k))
        collected["distance"].append(sum(a * abs(j - own) for j, a in enumerate(row)))
        collected["first_token"].append(row[0])
        collected["special_tokens"].append(sum(a for j, a in enumerate(row) if special[j]))
        if own >= 1:
            collected["previous_token"].append(row[own - 1])
        if own + 1 < n_k:
            collected["next_token"].append(row[own + 1])
        collected["same_token"].append(row[own])
        for key, after in (("duplicate_token", 0), ("induction", 1)):
            found = [
                row[j]
                for j in range(1, own - 1)
                if tokens[j - after] == tokens[own] and not (special[own] or special[j] or special[j - after])
            ]
            if found:
                collected[key].append(sum(found))
    means = {key: np.mean(values) if values else NAN for key, values in collected.items()}
    means |= {key: NAN for key in ("duplicate_token", "induction") if len(collected[key]) < patterns.FEWEST}
    return means | {"positional": slow_positional(weights)}


def slow_positional(weights):
    """The adjusted share of the variance that the mean of each diagonal explains."""
    n_q, n_k = weights.shape
    apart = {(i, j): weights[i, j] - sum(weights[i]) / n_k for i in range(n_q) for j in range(n_k)}
    distances = {j - i for i, j in apart}
    left = 0
    for d in distances:
        cells = [value for (i, j), value in apart.items() if j - i == d]
        left += sum((value - sum(cells) / len(cells)) ** 2 for value in cells)
    total = sum(value**2 for value in apart.values())
    return max(0, 1 - left / total * len(apart) / (len(apart) - len(distances)))


@pytest.fixture(scope="module")
def encoder():
    return bert.load()


@pytest.fixture(scope="module", params=[SENTENCE, KEYS, RIVER], ids=["animal", "keys", "river"])
def encoded(request, encoder):
    return bert.encode(encoder, request.param)


def measured(encoded):
    """Every metric of every head of an encoded text, each (num_layers, num_heads)."""
    weights = np.stack([block.attention.weights for block in encoded.blocks])
    return measure(weights, *ids_and_flags(encoded.tokens))


def ids_and_flags(tokens):
    return [token.id for token in tokens], np.array([token.special for token in tokens])


# Values by hand


def test_by_hand():
    weights = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25], [0, 0, 0, 0]]
    expected = {
        "entropy": (0 + np.log(2) + np.log(4)) / 3,
        "evenness": (0 + np.log(2) / np.log(4) + 1) / 3,
        "distance": (0 + 0.5 + 1) / 3,
        "first_token": (1 + 0.5 + 0.25) / 3,
        "special_tokens": (0 + 0 + 0.25) / 3,
        "previous_token": (0.5 + 0.25) / 2,
        "next_token": (0 + 0 + 0.25) / 3,
        "same_token": (1 + 0.5 + 0.25) / 3,
        "duplicate_token": NAN,
        "induction": NAN,
    }
    result = measure(weights, [5, 6, 7, 8], [False, False, False, True], mask=np.ones((4, 4), bool))
    assert {key: result[key] for key in expected} == pytest.approx(expected, nan_ok=True)


def test_repetitions_by_hand():
    weights = np.zeros((N, N))
    weights[6, [1, 2, 0, 5]] = [0.4, 0.3, 0.2, 0.1]  # the second "the"
    weights[7, [2, 3]] = [0.1, 0.9]  # the second "quick"
    weights[8, 8] = 1  # the second "brown"
    weights[10, 0] = 1  # no weight on the second "fox", and [SEP] is no repetition
    assert patterns.duplicate_token(weights, PHRASE, SPECIAL) == pytest.approx((0.4 + 0.1 + 0) / 3)
    assert patterns.induction(weights, PHRASE, SPECIAL) == pytest.approx((0.3 + 0.9 + 0) / 3)


def test_a_neighbour_or_the_first_token_is_no_repetition():
    """A head that looks one token back, or at the first, whatever stands there, has found nothing."""
    tokens = ["no"] * 7
    back, first = np.eye(7, k=-1), np.eye(1, 7).repeat(7, axis=0)
    for score in (patterns.duplicate_token, patterns.induction):
        assert score(back, tokens) == 0
        assert score(first, tokens) == 0
        assert score(np.eye(7), tokens) == 0
        assert score(np.eye(7, k=-2), tokens) == 1


def test_special_tokens_are_no_repetitions():
    tokens = ["a", "a", "[SEP]", "b", "b", "[SEP]"]
    special = np.array([False, False, True, False, False, True])
    everywhere = np.full((6, 6), 1 / 6)
    assert patterns.duplicate_token(everywhere, tokens) == pytest.approx(1 / 6)  # [SEP] itself
    assert np.isnan(patterns.duplicate_token(everywhere, tokens, special))
    tokens = ["a", ".", "[SEP]", "b", ".", "[SEP]"]
    assert patterns.induction(everywhere, tokens) == pytest.approx(1 / 6)  # what follows "." is [SEP]
    assert np.isnan(patterns.induction(everywhere, tokens, special))


def test_where_the_queries_stand():
    """Two queries over five keys: by default the last two, with an offset of 1 the second and third."""
    weights = np.array([[0.1, 0.2, 0.3, 0.4, 0], [0.4, 0.3, 0.2, 0.1, 0]])
    tokens = list("xayaa")
    assert measure(weights, tokens)["previous_token"] == pytest.approx((0.3 + 0.1) / 2)
    moved = measure(weights, tokens, query_offset=1)
    assert moved["previous_token"] == pytest.approx((0.1 + 0.3) / 2)
    assert moved["next_token"] == pytest.approx((0.3 + 0.1) / 2)
    assert moved["same_token"] == pytest.approx((0.2 + 0.2) / 2)
    assert moved["distance"] == pytest.approx((0.1 + 0.3 + 0.8 + 0.8 + 0.3 + 0.1) / 2)
    assert patterns.duplicate_token(weights, tokens) == pytest.approx((0.2 + 0.3) / 2)
    assert patterns.duplicate_token(weights, tokens, query_offset=2) == pytest.approx(0.3)
    assert patterns.induction(weights, list("xayza"), query_offset=3) == pytest.approx(0.2)


def test_positional_by_hand():
    """From even the cells are 0.3 and 0.1 apart; the main diagonal is (0.3, 0.1), the others one cell each."""
    r_squared = (0.4**2 / 2 + 0.3**2 + 0.1**2) / 0.2
    assert patterns.positional([[0.8, 0.2], [0.4, 0.6]]) == pytest.approx(1 - (1 - r_squared) * 4 / (4 - 3))


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


# Heads of a known kind


@pytest.mark.parametrize("label", HEADS)
def test_a_head_is_called_what_it_is(label):
    kind = kind_of_head(measure(HEADS[label], PHRASE, SPECIAL), N)
    assert kind.label == label


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("previous-token head", "previous_token"),
        ("next-token head", "next_token"),
        ("same-token head", "same_token"),
        ("first-token head", "first_token"),
        ("special-token head", "special_tokens"),
        ("duplicate-token head", "duplicate_token"),
        ("induction head", "induction"),
        ("broad head", "evenness"),
    ],
)
def test_each_metric_is_highest_for_its_kind(label, key):
    """Of the heads above, the one made for a metric has most of it, and the sentence quotes it."""
    found = {kind: measure(weights, PHRASE, SPECIAL) for kind, weights in HEADS.items()}
    if key != "special_tokens":  # the first token is special as well
        assert max(found, key=lambda kind: found[kind][key]) == label
    assert f"{found[label][key]:.2f}" in kind_of_head(found[label]).sentence


def test_a_perfect_head_scores_one():
    tokens = ["start", *"abcdeabcde"]
    n = len(tokens)
    duplicates, inductions = np.eye(n), np.eye(n)
    duplicates[6:], inductions[6:] = np.eye(n)[1:6], np.eye(n)[2:7]
    assert measure(np.eye(n, k=-1), tokens)["previous_token"] == 1
    assert measure(np.eye(n, k=1), tokens)["next_token"] == 1
    assert measure(np.eye(n), tokens)["same_token"] == 1
    assert measure(duplicates, tokens)["duplicate_token"] == 1
    # the last "e" was followed by the first "a" of the second round, far enough back to count
    assert measure(inductions, tokens)["induction"] == 1


@pytest.mark.parametrize("causal", [False, True])
def test_a_bias_by_distance_alone_is_positional_and_content_is_not(causal):
    distances = np.arange(31) - np.arange(31)[:, None]
    near = softmax(np.where(distances > (0 if causal else 31), -np.inf, -np.abs(distances + 2) * 1.0))
    by_content = [patterns.positional(random_weights(31, 31, seed=seed, causal=causal)) for seed in range(20)]
    assert patterns.positional(near) > 0.9
    assert np.mean(by_content) < 0.05  # without the adjustment 0.06 by chance, more in shorter texts
    assert patterns.positional(looking([30] * 31)) < 0.05  # a column is no diagonal


def test_what_can_be_seen_is_read_off_the_weights():
    """Causal masks, windows and padding are found: the same numbers come out as with the mask itself."""
    x = np.random.default_rng(0).normal(size=(13, 3)) / 3
    padded = np.arange(13) < 11
    for visible in (masks.causal(13).visible, masks.sliding_window(13, 13, (3, 0)).visible, padded[None]):
        weights = scaled_dot_product_attention(x, x, x, visible).weights
        assert patterns.evenness(weights) == pytest.approx(patterns.evenness(weights, visible))
        assert patterns.positional(weights) == pytest.approx(patterns.positional(weights, visible))
        assert measure(weights, mask=visible)["positional"] == patterns.positional(weights, visible)
        even = visible / visible.sum(axis=-1, keepdims=True) * np.ones((13, 1))
        assert patterns.evenness(even) == pytest.approx(1)


def test_a_mask_tells_more_than_the_weights():
    """Weights of exactly 0 look hidden, unless the mask says that they could have been more."""
    one_step = np.eye(7, k=-1)
    assert np.isnan(patterns.positional(one_step))
    assert np.isnan(patterns.evenness(one_step))
    result = measure(one_step, mask=masks.causal(7).visible)
    assert result["positional"] > 0.7
    assert result["evenness"] == 0


# Properties


@given(st.integers(1, 7), st.integers(1, 11), st.integers(0, 99))
def test_every_number_is_within_its_range(n_q, n_k, seed):
    tokens = np.random.default_rng(seed).integers(0, 3, n_k)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = measure(random_weights(n_q, n_k, seed=seed), tokens, tokens == 0)
    largest = {"nats": np.log(n_k), "tokens": max(n_k, n_q) - 1, "share": 1}
    for key, metric in METRICS.items():
        if not np.isnan(result[key]):
            assert -1e-12 <= result[key] <= largest[metric.unit] + 1e-12, key


def test_shares_count_no_weight_twice():
    """First, previous, next and same token, duplicates and induction are different cells of a row."""
    tokens = list("xabcabcabc")
    for seed in range(5):
        weights = random_weights(10, 10, seed=seed)
        late = slice(6, 9)  # tokens that have all of these
        text = Text(tokens, query_offset=6)
        keys = ("first_token", "previous_token", "next_token", "same_token")
        shares = [METRICS[key].compute(weights[late], text) for key in keys]
        shares.append(patterns.induction(weights[late], tokens, query_offset=6))
        shares.append(patterns.duplicate_token(weights[late], tokens, query_offset=6))
        assert sum(shares) <= 1


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


# Rows without weight, and what cannot be told


def test_rows_without_weight_are_left_out():
    weights = random_weights(3, 7, 7)
    for empty in (0, NAN):
        holed = weights.copy()
        holed[:, 2] = empty
        holed[1] = empty  # a head that is empty altogether
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = measure(holed, list("abcabca"), np.zeros(7, bool))
        assert all(np.isnan(values[1]) for values in result.values())
        kept = np.delete(weights[0], 2, axis=0)
        assert result["entropy"][0] == pytest.approx(patterns.entropy(kept))
        assert result["first_token"][0] == pytest.approx(kept[:, 0].mean())
        assert result["same_token"][0] == pytest.approx(np.delete(weights[0].diagonal(), 2).mean())
        assert result["positional"][0] == pytest.approx(patterns.positional(holed[0], np.ones((7, 7), bool)))


def test_the_input_is_left_alone():
    weights = random_weights(7, 7)
    weights[2, 3] = NAN
    before = weights.copy()
    measure(weights, list("abcabca"))
    contribution.rollout([weights])
    np.testing.assert_array_equal(weights, before)


def test_what_is_not_known_is_nan():
    weights = random_weights(2, 5, 7)
    known = measure(weights)
    assert {key for key, values in known.items() if np.isnan(values).any()} == {
        "special_tokens",
        "duplicate_token",
        "induction",
    }
    known = measure(weights, list("abcabca"), np.eye(1, 7, dtype=bool)[0], cross=True)
    assert {key for key, values in known.items() if not np.isnan(values).any()} == {
        "entropy",
        "evenness",
        "first_token",
        "special_tokens",
    }


def test_one_coincidence_is_no_pattern():
    weights = HEADS["induction head"]
    assert patterns.induction(weights, PHRASE, SPECIAL) > 0.9
    other = [*PHRASE[:7], "slow", "red", *PHRASE[9:]]  # two of four words come again
    assert patterns.induction(weights, other, SPECIAL) > 0.9
    assert np.isnan(measure(weights, other, SPECIAL)["induction"])


def test_nothing_to_explain_is_nan():
    assert np.isnan(patterns.positional(np.full((7, 7), np.float32(1 / 7))))
    causal = np.tri(7, dtype=np.float32)
    assert np.isnan(patterns.positional(causal / causal.sum(axis=-1, keepdims=True)))
    assert np.isnan(patterns.positional([[0.2, 0.3, 0.5]]))  # each distance once
    assert np.isnan(patterns.evenness([[1.0]]))


# Slow loops agree


@pytest.mark.parametrize(("n_q", "n_k"), [(7, 7), (5, 7), (11, 11), (3, 11)])
def test_cell_by_cell(n_q, n_k):
    for seed in range(5):
        tokens = np.random.default_rng(seed).integers(0, 4, n_k)
        weights, special = random_weights(n_q, n_k, seed=seed), tokens == 0
        expected = slow_metrics(weights, tokens, special)
        assert measure(weights, tokens, special) == pytest.approx(expected, nan_ok=True)


def test_diagonals_one_by_one():
    weights = random_weights(2, 5, 7)
    laid = patterns._diagonals(weights)
    assert laid.shape == (2, 5, 11)
    for head in range(2):
        for column, offset in enumerate(range(-4, 7)):
            np.testing.assert_allclose(laid[head, :, column].sum(), weights[head].diagonal(offset).sum())


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


# Two routes of ours agree


def test_head_by_head_is_all_at_once():
    tokens, special = list("abcabca"), np.eye(1, 7, dtype=bool)[0]
    weights = random_weights(3, 7, 7).astype(np.float32)
    together = measure(weights, tokens, special)
    each = patterns.measure_each(iter(weights), tokens, special)
    assert list(together) == list(each) == list(METRICS)
    for key in METRICS:
        np.testing.assert_allclose(each[key], together[key], rtol=1e-6)
        assert each[key].dtype == together[key].dtype == np.float32


def test_leading_axes():
    weights = random_weights(2, 3, 5, 7)
    result = measure(weights, list("abcabca"), np.eye(1, 7, dtype=bool)[0])
    alone = measure(weights[1, 2], list("abcabca"), np.eye(1, 7, dtype=bool)[0])
    for key in METRICS:
        assert result[key].shape == (2, 3)
        np.testing.assert_allclose(result[key][1, 2], alone[key])


def test_ids_or_words():
    words = list("abcabca")
    ids = [ord(word) for word in words]
    weights = random_weights(7, 7)
    assert measure(weights, words) == pytest.approx(measure(weights, ids), nan_ok=True)


def test_the_last_queries_are_those_of_the_whole():
    """Without an offset the queries are the last tokens, as in cached decoding."""
    tokens, weights = list("abcabca"), random_weights(7, 7, causal=True)
    for last in (patterns.previous_token, patterns.same_token, patterns.distance):
        assert last(weights[4:]) == pytest.approx(last(weights[4:], query_offset=4))
    assert patterns.previous_token(weights[4:]) == pytest.approx(weights.diagonal(-1)[3:].mean())
    assert patterns.induction(weights[4:], tokens) == pytest.approx(patterns.induction(weights[4:], tokens, None, 4))


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


# The definitions of others


def test_how_ours_differ_from_transformer_lens():
    """Theirs: the weight on a 0/1 pattern over all the weight. Ours: over the queries that have a target."""
    ids = np.array([9, 1, 2, 3, 4, 5, 1, 2, 3, 4, 8])
    n = len(ids)
    weights = random_weights(n, n, causal=True)
    previous = np.eye(n, k=-1)
    duplicate = np.tril(ids[:, None] == ids, k=-1).astype(float)
    induction = np.tril(np.pad(duplicate, ((0, 0), (1, 0)))[:, :n])
    theirs = [(weights * pattern).sum() / weights.sum() for pattern in (previous, duplicate, induction)]
    assert patterns.previous_token(weights) == pytest.approx(theirs[0] * n / (n - 1))
    assert patterns.duplicate_token(weights, ids) == pytest.approx(theirs[1] * n / 4)
    assert patterns.induction(weights, ids) == pytest.approx(theirs[2] * n / 4)


# Real heads


def test_minilm_reads_the_previous_and_the_next_token(encoded):
    """Layer 1 head 3 looks back and layer 2 head 9 ahead, whatever the text is."""
    result = measured(encoded)
    assert np.unravel_index(result["previous_token"].argmax(), (6, 12)) == (0, 2)
    assert np.unravel_index(result["next_token"].argmax(), (6, 12)) == (1, 8)
    assert result["previous_token"][0, 2] > 0.99
    assert result["next_token"][1, 8] > 0.55
    assert np.unravel_index(result["positional"].argmax(), (6, 12)) == (0, 2)
    n = len(encoded.tokens)
    labels = [kind_of_head({key: v[place] for key, v in result.items()}, n).label for place in [(0, 2), (1, 8)]]
    assert labels == ["previous-token head", "next-token head"]


@pytest.mark.parametrize("text", [KEYS, RIVER, "The quick brown fox jumps, and the quick brown fox rests."])
def test_minilm_finds_duplicates(encoder, text):
    """Layer 3 head 10 does, beside resting on [CLS]."""
    encoded = bert.encode(encoder, text)
    result = measured(encoded)
    assert np.unravel_index(result["duplicate_token"].argmax(), (6, 12)) == (2, 9)
    kind = kind_of_head({key: values[2, 9] for key, values in result.items()}, len(encoded.tokens))
    assert kind.label == "duplicate-token head"
    assert f"{result['duplicate_token'][2, 9]:.2f} of the weight lies on its earlier places" in kind.sentence


def test_minilm_rests_on_the_first_token(encoded):
    result = measured(encoded)
    assert result["first_token"].max() > 0.7
    assert (result["special_tokens"] >= result["first_token"]).all()
    assert (result["entropy"] <= np.log(len(encoded.tokens))).all()
    # The later half is less even than the first layer, which looks around.
    assert result["evenness"][0].mean() > result["evenness"][3:].mean()


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


def test_a_recording_gives_the_same_numbers(encoder):
    """One head at a time from recorded queries and keys, as pages do it."""
    pytest.importorskip("transformers")
    from attn import pretrained

    recording = pretrained.record(pretrained.load(), KEYS)
    result = measured(bert.encode(encoder, KEYS))
    for layer in (recording.layers[0], recording.layers[5]):
        heads = (layer.attention(head).weights[0, 0] for head in range(layer.num_heads))
        each = patterns.measure_each(heads, *ids_and_flags(recording.tokens))
        for key in METRICS:
            np.testing.assert_allclose(each[key], result[key][layer.index], rtol=1e-3, atol=1e-4, err_msg=key)


# What a head is called


@pytest.mark.parametrize(
    ("metrics", "n_tokens", "sentence"),
    [
        (
            {"previous_token": 0.83, "special_tokens": 0.9},
            None,
            "Previous-token head: 0.83 of its weight lies one token back.",
        ),
        ({"next_token": 0.4}, None, "Next-token head: 0.40 of its weight lies one token ahead."),
        ({"same_token": 0.5}, None, "Same-token head: 0.50 of its weight lies on the token that asks."),
        (
            {"induction": 0.9, "first_token": 0.8, "duplicate_token": 0.5},
            None,
            "Induction head: where a token comes again, 0.90 of the weight lies on what followed it before.",
        ),
        (
            {"induction": 0.4, "previous_token": 0.5},
            None,
            "Induction head: where a token comes again, 0.40 of the weight lies on what followed it before.",
        ),
        (
            {"first_token": 0.49, "special_tokens": 0.45},
            None,
            "No pattern stands out: the largest share of its weight, 0.49, lies on the first token.",
        ),
        (
            {"first_token": 0.6, "special_tokens": 0.65},
            None,
            "First-token head: 0.60 of its weight lies on the first token.",
        ),
        (
            {"first_token": 0.3, "special_tokens": 0.65},
            None,
            "Special-token head: 0.65 of its weight lies on special tokens.",
        ),
        (
            {"evenness": 0.95, "special_tokens": 0.65},
            None,
            "Broad head: its entropy is 0.95 of the largest possible, it looks almost everywhere alike.",
        ),
        (
            {"positional": 0.7, "previous_token": 0.3},
            None,
            "Positional head: the distance between two tokens explains 0.70 of its pattern.",
        ),
        (
            {"previous_token": 0.39, "positional": 0.49, "first_token": 0.1},
            None,
            "No pattern stands out: the largest share of its weight, 0.39, lies one token back.",
        ),
        ({"previous_token": 0.9}, 3, "A text of 3 tokens is too short to tell a pattern from chance."),
        (dict.fromkeys(METRICS, NAN), None, "No query has any weight, so there is no pattern to see."),
    ],
)
def test_the_sentence_quotes_the_number(metrics, n_tokens, sentence):
    assert kind_of_head(metrics, n_tokens).sentence == sentence


def test_every_metric_explains_itself():
    for metric in METRICS.values():
        assert metric.words.endswith(".")
        assert metric.higher_means.endswith(".")
        assert metric.unit in {"share", "nats", "tokens"}
        assert metric.needs <= {"tokens", "special", "order"}


# Number types


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_are_kept(dtype):
    weights = random_weights(3, 7, 7).astype(dtype)
    for head in (weights, weights[0]):
        assert {values.dtype for values in measure(head, list("abcabca")).values()} == {np.dtype(dtype)}
    assert contribution.rollout([weights, weights]).dtype == dtype
    assert contribution.mean_over(weights, [0, 1]).dtype == dtype
    assert contribution.value_weighted(weights, np.ones((3, 7, 2), dtype), np.ones((6, 5), dtype)).dtype == dtype


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: measure([0.5, 0.5]),
            "weights must have axes (..., n_q, n_k), neither of them empty, got (2,)",
        ),
        (
            lambda: measure(np.zeros((5, 0))),
            "weights must have axes (..., n_q, n_k), neither of them empty, got (5, 0)",
        ),
        (lambda: measure(np.eye(3), [1, 2]), "tokens must be 3 ids or words, one per key, got int64 of (2,)"),
        (
            lambda: measure(np.eye(3), [None, None, 1]),
            "tokens must be 3 ids or words, one per key, got object of (3,)",
        ),
        (
            lambda: patterns.special_tokens(np.eye(3), [True, False]),
            "special must be 3 booleans, one per key, got bool of (2,)",
        ),
        (
            lambda: measure(np.eye(3), [1, 2, 3], [0, 1, 0]),
            "special must be 3 booleans, one per key, got int64 of (3,)",
        ),
        (
            lambda: patterns.evenness(np.eye(3), np.ones((2, 3), bool)),
            "mask must be boolean and broadcast to (3, 3), got bool of shape (2, 3)",
        ),
        (
            lambda: patterns.positional(np.eye(3), np.ones((1, 3, 3), bool)),
            "mask must be boolean and broadcast to (3, 3), got bool of shape (1, 3, 3)",
        ),
        (
            lambda: patterns.positional(np.eye(3), np.ones((3, 3))),
            "mask must be boolean and broadcast to (3, 3), got float64 of shape (3, 3)",
        ),
        (
            lambda: kind_of_head({"entropy": np.zeros(3)}),
            "kind_of_head must be given one head, got entropy of shape (3,)",
        ),
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
