"""The numbers that tell heads apart: by hand, by slow loops, and on real heads."""

import re
import warnings
from collections import defaultdict

import numpy as np
import pytest
from heads import HEADS, KEYS, PHRASE, SPECIAL, N, ids_and_flags, looking, measured, random_weights
from hypothesis import given
from hypothesis import strategies as st

from attn import masks, scaled_dot_product_attention, softmax
from attn.analysis import head_metrics, head_table
from attn.analysis.head_table import FEWEST, METRICS, Metric, Text, measure
from attn.pretrained import bert

NAN = np.nan


def slow_metrics(weights, tokens, special):
    """Every metric of one head without mask or missing rows, cell by cell; queries are the last keys."""
    n_q, n_k = weights.shape
    offset = n_k - n_q
    collected = defaultdict(list)
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
    means = {key: np.mean(values) for key, values in collected.items()}
    means |= {key: NAN for key in ("duplicate_token", "induction") if len(collected[key]) < FEWEST}
    return means | {"positional": slow_positional(weights), "picture_tokens": NAN}  # of a text there is none


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


def test_the_share_on_a_picture_is_that_of_what_is_written():
    weights = [[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0.4, 0.3, 0.3, 0, 0], [0, 0.2, 0.3, 0.5, 0], [0, 0, 0, 0, 0]]
    picture = [False, True, True, False, False]
    assert measure(weights, picture=picture)["picture_tokens"] == pytest.approx((0 + 0.5) / 2)
    last = measure(weights[2:], picture=picture)["picture_tokens"]  # a patch, a word, and a row without weight
    assert last == pytest.approx(0.5)
    assert np.isnan(measure(weights, picture=picture, cross=True)["picture_tokens"])
    assert np.isnan(head_metrics.picture_tokens(np.eye(2), [True, True]))
    with pytest.raises(ValueError, match=r"picture must be 2 booleans, one per key, got int64 of \(2,\)"):
        head_metrics.picture_tokens(np.eye(2), [1, 0])


def test_repetitions_by_hand():
    weights = np.zeros((N, N))
    weights[6, [1, 2, 0, 5]] = [0.4, 0.3, 0.2, 0.1]  # the second "the"
    weights[7, [2, 3]] = [0.1, 0.9]  # the second "quick"
    weights[8, 8] = 1  # the second "brown"
    weights[10, 0] = 1  # no weight on the second "fox", and [SEP] is no repetition
    assert head_metrics.duplicate_token(weights, PHRASE, SPECIAL) == pytest.approx((0.4 + 0.1 + 0) / 3)
    assert head_metrics.induction(weights, PHRASE, SPECIAL) == pytest.approx((0.3 + 0.9 + 0) / 3)


def test_a_neighbour_or_the_first_token_is_no_repetition():
    """A head that looks one token back, or at the first, whatever stands there, has found nothing."""
    tokens = ["no"] * 7
    back, first = np.eye(7, k=-1), np.eye(1, 7).repeat(7, axis=0)
    for score in (head_metrics.duplicate_token, head_metrics.induction):
        assert score(back, tokens) == 0
        assert score(first, tokens) == 0
        assert score(np.eye(7), tokens) == 0
        assert score(np.eye(7, k=-2), tokens) == 1


def test_special_tokens_are_no_repetitions():
    tokens = ["a", "a", "[SEP]", "b", "b", "[SEP]"]
    special = np.array([False, False, True, False, False, True])
    everywhere = np.full((6, 6), 1 / 6)
    assert head_metrics.duplicate_token(everywhere, tokens) == pytest.approx(1 / 6)  # [SEP] itself
    assert np.isnan(head_metrics.duplicate_token(everywhere, tokens, special))
    tokens = ["a", ".", "[SEP]", "b", ".", "[SEP]"]
    assert head_metrics.induction(everywhere, tokens) == pytest.approx(1 / 6)  # what follows "." is [SEP]
    assert np.isnan(head_metrics.induction(everywhere, tokens, special))


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
    assert head_metrics.duplicate_token(weights, tokens) == pytest.approx((0.2 + 0.3) / 2)
    assert head_metrics.duplicate_token(weights, tokens, query_offset=2) == pytest.approx(0.3)
    assert head_metrics.duplicate_token(weights, tokens, query_offset=4) == pytest.approx(0.2)  # the second has no key
    assert head_metrics.induction(weights, list("xayza"), query_offset=3) == pytest.approx(0.2)


def test_positional_by_hand():
    """From even the cells are 0.3 and 0.1 apart; the main diagonal is (0.3, 0.1), the others one cell each."""
    r_squared = (0.4**2 / 2 + 0.3**2 + 0.1**2) / 0.2
    assert head_metrics.positional([[0.8, 0.2], [0.4, 0.6]]) == pytest.approx(1 - (1 - r_squared) * 4 / (4 - 3))


# Heads of a known kind


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
    by_content = [head_metrics.positional(random_weights(31, 31, seed=seed, causal=causal)) for seed in range(20)]
    assert head_metrics.positional(near) > 0.9
    assert np.mean(by_content) < 0.05  # without the adjustment 0.06 by chance, more in shorter texts
    assert head_metrics.positional(looking([30] * 31)) < 0.05  # a column is no diagonal


def test_what_can_be_seen_is_read_off_the_weights():
    """Causal masks, windows and padding are found: the same numbers come out as with the mask itself."""
    x = np.random.default_rng(0).normal(size=(13, 3)) / 3
    padded = np.arange(13) < 11
    for visible in (masks.causal(13).visible, masks.sliding_window(13, 13, (3, 0)).visible, padded[None]):
        weights = scaled_dot_product_attention(x, x, x, visible).weights
        holed = np.where(np.arange(13)[:, None] == 5, 0, weights)  # a query without weight has nothing in sight
        for score in (head_metrics.normalised_entropy, head_metrics.positional):
            assert score(weights) == pytest.approx(score(weights, visible))
            assert score(holed) == pytest.approx(score(holed, visible))
        assert measure(weights, mask=visible)["positional"] == head_metrics.positional(weights, visible)
        even = visible / visible.sum(axis=-1, keepdims=True) * np.ones((13, 1))
        assert head_metrics.normalised_entropy(even) == pytest.approx(1)


def test_normalised_entropy_keeps_the_name_that_links_and_notebooks_hold():
    assert head_metrics.evenness is head_metrics.normalised_entropy
    assert "evenness" in METRICS


def test_what_can_be_seen_is_read_off_each_head_alone():
    visible = np.stack([np.tri(7), np.eye(7) + np.eye(7, k=-1), np.arange(7) + np.zeros((7, 1)) < 4])
    visible[1, 3] = 0  # a query without weight
    weights = visible * random_weights(3, 7, 7)
    for score in (head_metrics.normalised_entropy, head_metrics.positional):
        np.testing.assert_allclose(score(weights), [score(head) for head in weights])
        masked = score(weights, masks.causal(7).visible)
        np.testing.assert_allclose(masked, [score(head, masks.causal(7).visible) for head in weights])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_faint_pattern_is_a_pattern(dtype):
    """Weights that are all alike but for a ten-thousandth, which distance explains."""
    distances = np.abs(np.arange(31) - np.arange(31)[:, None])
    assert head_metrics.positional(softmax(-1e-5 * distances).astype(dtype)) > 0.9


def test_a_mask_tells_more_than_the_weights():
    """Weights of exactly 0 look hidden, unless the mask says that they could have been more."""
    one_step = np.eye(7, k=-1)
    assert np.isnan(head_metrics.positional(one_step))
    assert np.isnan(head_metrics.normalised_entropy(one_step))
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
    largest = {"nats": np.log(n_k), "tokens": max(n_k, n_q) - 1, "share": 1, "ratio": 1}
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
        shares.append(head_metrics.induction(weights[late], tokens, query_offset=6))
        shares.append(head_metrics.duplicate_token(weights[late], tokens, query_offset=6))
        assert sum(shares) <= 1


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
        assert result["entropy"][0] == pytest.approx(head_metrics.entropy(kept))
        assert result["first_token"][0] == pytest.approx(kept[:, 0].mean())
        assert result["same_token"][0] == pytest.approx(np.delete(weights[0].diagonal(), 2).mean())
        assert result["positional"][0] == pytest.approx(head_metrics.positional(holed[0], np.ones((7, 7), bool)))


def test_the_input_is_left_alone():
    weights = random_weights(7, 7)
    weights[2, 3] = NAN
    before = weights.copy()
    measure(weights, list("abcabca"))
    np.testing.assert_array_equal(weights, before)


def test_what_is_not_known_is_nan():
    weights = random_weights(2, 5, 7)
    tokens, special = list("abcabca"), np.eye(1, 7, dtype=bool)[0]
    for options, known in (
        ({}, {"order"}),
        ({"tokens": tokens, "special": special, "words": tokens, "cross": True}, {"tokens", "special", "words"}),
        ({"tokens": tokens, "special": special, "words": tokens}, {"tokens", "special", "words", "order"}),
        ({"picture": special}, {"picture", "order"}),
        ({"picture": special | True}, {"order"}),  # a picture alone, of which nothing can be the share
    ):
        result = measure(weights, **options)
        for key, metric in METRICS.items():
            assert np.isnan(result[key]).any() != (metric.needs <= known), key
    assert METRICS["special_tokens"].needs == {"special"}
    assert METRICS["induction"].needs == METRICS["duplicate_token"].needs == {"tokens", "order"}
    assert METRICS["previous_token"].needs == {"order"}


def test_a_metric_may_ask_for_the_words(monkeypatch):
    """And a new one takes a function and a row."""

    def capitals(weights, text):
        return head_metrics.special_tokens(weights, [word[:1].isupper() for word in text.words])

    row = Metric("Capitals", "How much lies on names.", "It looks at names.", "share", {"words"}, capitals)
    monkeypatch.setitem(METRICS, "capitals", row)
    weights = np.array([[0.5, 0.25, 0.25], [0, 1, 0]])
    assert measure(weights, words=["We", "saw", "Rome"])["capitals"] == pytest.approx((0.75 + 0) / 2)
    assert head_table.measure_each([weights], words=["a", "B", "c"])["capitals"] == pytest.approx([0.625])
    assert np.isnan(measure(weights, ["We", "saw", "Rome"])["capitals"])  # ids or words of any kind are no reading


def test_one_coincidence_is_no_pattern():
    weights = HEADS["induction head"]
    assert head_metrics.induction(weights, PHRASE, SPECIAL) > 0.9
    other = [*PHRASE[:7], "slow", "red", *PHRASE[9:]]  # two of four words come again
    assert head_metrics.induction(weights, other, SPECIAL) > 0.9
    assert np.isnan(measure(weights, other, SPECIAL)["induction"])
    assert np.isnan(head_metrics.duplicate_token(np.eye(3), list("abc"), fewest=0))


def test_nothing_to_explain_is_nan():
    assert np.isnan(head_metrics.positional(np.full((7, 7), np.float32(1 / 7))))
    causal = np.tri(7, dtype=np.float32)
    assert np.isnan(head_metrics.positional(causal / causal.sum(axis=-1, keepdims=True)))
    assert np.isnan(head_metrics.positional([[0.2, 0.3, 0.5]]))  # each distance once
    assert np.isnan(head_metrics.normalised_entropy([[1.0]]))


# Slow loops agree


@pytest.mark.parametrize(("n_q", "n_k"), [(7, 7), (5, 7), (11, 11), (3, 11)])
def test_cell_by_cell(n_q, n_k):
    for seed in range(5):
        tokens = np.random.default_rng(seed).integers(0, 4, n_k)
        weights, special = random_weights(n_q, n_k, seed=seed), tokens == 0
        expected = slow_metrics(weights, tokens, special)
        result = measure(weights, tokens, special)
        assert {key: result[key] for key in expected} == pytest.approx(expected, nan_ok=True)


def test_diagonals_one_by_one():
    weights = random_weights(2, 5, 7)
    laid = head_metrics.diagonals(weights)
    assert laid.shape == (2, 5, 11)
    for head in range(2):
        for column, offset in enumerate(range(-4, 7)):
            np.testing.assert_allclose(laid[head, :, column].sum(), weights[head].diagonal(offset).sum())


# Two routes of ours agree


def test_head_by_head_is_all_at_once():
    tokens, special = list("abcabca"), np.eye(1, 7, dtype=bool)[0]
    weights = random_weights(3, 7, 7).astype(np.float32)
    together = measure(weights, tokens, special)
    each = head_table.measure_each(iter(weights), tokens, special)
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


def test_no_heads_give_no_numbers():
    assert {key: values.shape for key, values in measure(np.zeros((0, 5, 7))).items()} == dict.fromkeys(METRICS, (0,))


def test_ids_or_words():
    words = list("abcabca")
    ids = [ord(word) for word in words]
    weights = random_weights(7, 7)
    assert measure(weights, words) == pytest.approx(measure(weights, ids), nan_ok=True)


def test_the_last_queries_are_those_of_the_whole():
    """Without an offset the queries are the last tokens, as in cached decoding."""
    tokens, weights = list("abcabca"), random_weights(7, 7, causal=True)
    for last in (head_metrics.previous_token, head_metrics.same_token, head_metrics.distance):
        assert last(weights[4:]) == pytest.approx(last(weights[4:], query_offset=4))
    assert head_metrics.previous_token(weights[4:]) == pytest.approx(weights.diagonal(-1)[3:].mean())
    assert head_metrics.induction(weights[4:], tokens) == pytest.approx(
        head_metrics.induction(weights[4:], tokens, None, 4)
    )


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
    assert head_metrics.previous_token(weights) == pytest.approx(theirs[0] * n / (n - 1))
    assert head_metrics.duplicate_token(weights, ids) == pytest.approx(theirs[1] * n / 4)
    assert head_metrics.induction(weights, ids) == pytest.approx(theirs[2] * n / 4)


# In words


def test_every_metric_explains_itself():
    for metric in METRICS.values():
        assert metric.words.endswith(".")
        assert metric.higher_means.endswith(".")
        assert metric.unit in {"share", "ratio", "nats", "tokens"}
        assert metric.needs <= Text([1, 2], [False, True], words=["a", "b"], picture=[False, True]).known


# Real heads


def test_minilm_rests_on_the_first_token(encoded):
    result = measured(encoded)
    assert result["first_token"].max() > 0.7
    assert (result["special_tokens"] >= result["first_token"]).all()
    assert (result["entropy"] <= np.log(len(encoded.tokens))).all()
    # The later half is less even than the first layer, which looks around.
    assert result["evenness"][0].mean() > result["evenness"][3:].mean()


def test_a_recording_gives_the_same_numbers(encoder):
    """One head at a time from recorded queries and keys, as pages do it."""
    pytest.importorskip("transformers")
    from attn import pretrained

    recording = pretrained.record(pretrained.load(), KEYS)
    result = measured(bert.encode(encoder, KEYS))
    for layer in (recording.layers[0], recording.layers[5]):
        heads = (layer.attention(head).weights[0, 0] for head in range(layer.num_heads))
        each = head_table.measure_each(heads, *ids_and_flags(recording.tokens))
        for key in METRICS:
            np.testing.assert_allclose(each[key], result[key][layer.index], rtol=1e-3, atol=1e-4, err_msg=key)


# Number types and bad input


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_are_kept(dtype):
    weights = random_weights(3, 7, 7).astype(dtype)
    for head in (weights, weights[0]):
        assert {values.dtype for values in measure(head, list("abcabca")).values()} == {np.dtype(dtype)}


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
        (
            lambda: measure(np.zeros((0, 5))),
            "weights must have axes (..., n_q, n_k), neither of them empty, got (0, 5)",
        ),
        (lambda: measure(np.eye(3), [1, 2]), "tokens must be 3 ids or words, one per key, got int64 of (2,)"),
        (
            lambda: measure(np.eye(3), [None, None, 1]),
            "tokens must be 3 ids or words, one per key, got object of (3,)",
        ),
        (
            lambda: head_metrics.special_tokens(np.eye(3), [True, False]),
            "special must be 3 booleans, one per key, got bool of (2,)",
        ),
        (
            lambda: measure(np.eye(3), [1, 2, 3], [0, 1, 0]),
            "special must be 3 booleans, one per key, got int64 of (3,)",
        ),
        (
            lambda: measure(np.eye(3), words=["so", "it"]),
            "words must be 3 strings, one per key, got ['so', 'it']",
        ),
        (lambda: measure(np.eye(3), words=[1, 2, 3]), "words must be 3 strings, one per key, got [1, 2, 3]"),
        (lambda: measure(np.eye(3), words="abc"), "words must be 3 strings, one per key, got 'abc'"),
        (
            lambda: head_metrics.normalised_entropy(np.eye(3), np.ones((2, 3), bool)),
            "mask must be boolean and broadcast to (3, 3), got bool of shape (2, 3)",
        ),
        (
            lambda: head_metrics.positional(np.eye(3), np.ones((1, 3, 3), bool)),
            "mask must be boolean and broadcast to (3, 3), got bool of shape (1, 3, 3)",
        ),
        (
            lambda: head_metrics.positional(np.eye(3), np.ones((3, 3))),
            "mask must be boolean and broadcast to (3, 3), got float64 of shape (3, 3)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
