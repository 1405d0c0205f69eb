"""Which token is drawn, and parts of a model that are switched off, beside slow loops and by hand."""

import numpy as np
import pytest

from attn import softmax
from attn.models.ablation import PartFactor, ablation
from attn.models.sampling import sampling_probabilities

LOGITS = np.random.default_rng(3).normal(0, 2, 41)


def slow(logits, temperature, top_k, top_p):
    """Walk the tokens from the likeliest on, one by one."""
    order = sorted(range(len(logits)), key=lambda at: -logits[at])[:top_k]
    share = softmax(np.array([logits[at] / temperature for at in order]))
    kept, reached = {}, 0.0
    for at, one in zip(order, share, strict=True):
        if reached >= top_p:
            break
        kept[at], reached = one, reached + one
    return np.array([kept.get(at, 0.0) / sum(kept.values()) for at in range(len(logits))])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("top_k", "top_p"), [(None, 1.0), (7, 1.0), (None, 0.6), (13, 0.85), (1, 0.2)])
def test_cuts_are_those_of_a_loop(temperature, top_k, top_p):
    found = sampling_probabilities(LOGITS, temperature=temperature, top_k=top_k, top_p=top_p)
    np.testing.assert_allclose(found, slow(LOGITS, temperature, top_k, top_p), atol=1e-12)


def test_no_temperature_takes_the_likeliest():
    assert sampling_probabilities(LOGITS, temperature=0).argmax() == LOGITS.argmax()
    np.testing.assert_array_equal(sampling_probabilities([1.0, 3.0, 3.0], temperature=0), [0, 1, 0])
    assert sampling_probabilities(LOGITS, temperature=1e-300).argmax() == LOGITS.argmax()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"temperature": -1.0}, "temperature must be"),
        ({"top_k": 0}, "top_k must be"),
        ({"top_p": 0.0}, "top_p must be"),
        ({"top_p": 1.5}, "top_p must be"),
        ({"logits": [[1.0]]}, "logits must be a row"),
        ({"logits": []}, r"logits must be a row of at least one number, got shape \(0,\)"),
        (
            {"logits": [np.nan, 1.0]},
            "logits must be numbers below infinity, one of them finite, got nan as the largest",
        ),
        ({"logits": [np.inf, 1.0]}, "got inf as the largest"),
        ({"logits": [-np.inf, -np.inf]}, "got -inf as the largest"),
    ],
)
def test_bad_arguments_are_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        sampling_probabilities(**({"logits": LOGITS} | given))


def test_a_part_may_add_half():
    change = ablation([PartFactor(1, "feed_forward", 0.5), PartFactor(0, 2, 3.0), PartFactor(0, 0)])
    ones = np.ones((3, 2, 5), np.float32)
    assert change("context", 0, ones)[:, 0, 0].tolist() == [0, 1, 3]
    assert change("context", 1, ones) is ones
    assert change("feed_forward_output", 1, ones[0]).tolist() == (0.5 * ones[0]).tolist()
    head = ones[0]
    assert change("attention_output", 1, head) is head
    with pytest.raises(ValueError, match="part must be a head or one of attention, feed_forward, got 'norm'"):
        ablation([PartFactor(0, "norm")])
