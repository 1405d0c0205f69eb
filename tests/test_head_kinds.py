"""What a head is called: heads made for a name, real ones, and the sentence that quotes the number."""

import re

import numpy as np
import pytest
from heads import HEADS, KEYS, PHRASE, RIVER, SPECIAL, N, measured

from attn.analysis.head_kinds import kind_of_head
from attn.analysis.head_table import METRICS, measure
from attn.pretrained import bert

NAN = np.nan


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
        (
            {"next_token": 0},
            None,
            "No pattern stands out: the largest share of its weight, 0.00, lies one token ahead.",
        ),
        ({"previous_token": 0.9}, 3, "A text of 3 tokens is too short to tell a pattern from chance."),
        (dict.fromkeys(METRICS, NAN), None, "No query has any weight, so there is no pattern to see."),
    ],
)
def test_the_sentence_quotes_the_number(metrics, n_tokens, sentence):
    assert kind_of_head(metrics, n_tokens).sentence == sentence


@pytest.mark.parametrize(
    ("key", "limit", "label"),
    [
        ("evenness", 0.9, "broad head"),
        ("induction", 0.4, "induction head"),
        ("duplicate_token", 0.4, "duplicate-token head"),
        ("previous_token", 0.4, "previous-token head"),
        ("next_token", 0.4, "next-token head"),
        ("same_token", 0.4, "same-token head"),
        ("first_token", 0.5, "first-token head"),
        ("special_tokens", 0.5, "special-token head"),
        ("positional", 0.5, "positional head"),
    ],
)
def test_a_name_is_given_from_the_limit_on(key, limit, label):
    assert kind_of_head({key: limit}, 8).label == label
    assert kind_of_head({key: np.nextafter(limit, 0)}, 8).label == "no clear pattern"
    assert kind_of_head({key: limit}, 7).label == "no clear pattern"


@pytest.mark.parametrize(("first", "label"), [(0.9, "first-token head"), (0.89, "special-token head")])
def test_the_first_token_is_the_more_exact_name_of_a_special_one(first, label):
    assert kind_of_head({"first_token": first, "special_tokens": 1}).label == label


def test_one_head_at_a_time():
    message = "kind_of_head must be given one head, got entropy of shape (3,)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind_of_head({"entropy": np.zeros(3)})
