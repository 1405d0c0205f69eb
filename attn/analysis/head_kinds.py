"""What kind of head is this? A name for what its numbers stand out by, in a sentence that quotes them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attn.analysis.head_table import METRICS
from attn.functional import whole_number
from attn.words import small

STANDS_OUT = 0.4  # the score from which a pattern gives a head its name
MOST = 0.5  # that for resting on the first or special tokens, as most heads do part of the time
BROAD = 0.9  # the normalised entropy from which a head has no target at all
SHORTEST = 8  # tokens below which chance alone would name a head


class Kind(NamedTuple):
    """What kind of head this looks like."""

    label: str
    sentence: str  # with the number that says so

    @property
    def reason(self) -> str:
        """The sentence without the label, with a small letter: what follows the label after a comma."""
        return self.sentence.partition(": ")[2] or small(self.sentence)


def kind_of_head(
    metrics: Mapping[str, float],
    n_tokens: int | None = None,
    *,
    special: str = "special tokens",
    first: str = "the first token",
) -> Kind:
    """Say what kind of head its numbers make it look like, or that no pattern stands out.

    Parameters
    ----------
    metrics
        Key of `METRICS` -> number, of one head, as `measure` returns them. What is missing or NaN is
        passed over.
    n_tokens
        Number of keys. Below `SHORTEST` no head is named.
    special, first
        What the sentence calls the special tokens and the first one, such as "[CLS] and [SEP]".

    Returns
    -------
    Kind
        ``label`` and ``sentence``, which quotes the number.

    Raises
    ------
    ValueError
        If a metric is not one number.

    Notes
    -----
    The first that applies: a normalised entropy of `BROAD`; `STANDS_OUT` of the weight on repetitions; as much
    on a neighbour or on the token itself; `MOST` of it on the first or on special tokens; a pattern
    that is positional to `MOST`. Heads rest on special tokens when they find nothing, [1]_, section
    3.2, so what they do otherwise comes first. The limits are ours. One text shows what a head does
    there, not what it is for.

    References
    ----------
    .. [1] Clark et al., 2019. arXiv:1906.04341

    Examples
    --------
    >>> kind_of_head({"previous_token": 0.83, "evenness": 0.3}).sentence
    'Previous-token head: 0.83 of its weight lies one token back.'
    >>> kind_of_head({"previous_token": 0.2, "special_tokens": 0.4}).sentence
    'No pattern stands out: the largest share of its weight, 0.40, lies on special tokens.'
    >>> kind_of_head({"special_tokens": 0.6}, special="[CLS] and [SEP]").reason
    '0.60 of its weight lies on [CLS] and [SEP].'
    """
    if n_tokens is not None and whole_number("n_tokens", n_tokens) < SHORTEST:
        return Kind(_UNNAMED, f"A text of {n_tokens} tokens is too short to tell a pattern from chance.")
    scores = {key: _number(key, metrics.get(key, np.nan)) for key in METRICS}
    found = _standing_out(scores)
    called = {"special": special, "first": first}
    if found is None:
        return Kind(_UNNAMED, _nothing(scores, called))
    pattern = _PATTERNS[found]
    told = pattern.words.format(scores[found], pattern.place.format(**called))
    return Kind(pattern.label, f"{pattern.label.capitalize()}: {told}.")


class _Pattern(NamedTuple):
    """What a head with much of a metric is called, and how a sentence says so."""

    group: str  # the largest of a group names the head
    label: str
    words: str  # with the number, and the place where the weight lies
    place: str = ""


_UNNAMED = "no clear pattern"
_LIES, _LIES_AGAIN = "{:.2f} of its weight lies {}", "where a token comes again, {:.2f} of the weight lies {}"
_EVEN = "its entropy is {:.2f} of the largest possible, it looks almost everywhere alike"
_EXPLAINED = "the distance between two tokens explains {:.2f} of its pattern"
_LIMITS = {  # by group, in the order in which they are asked
    "even": BROAD,
    "repetitions": STANDS_OUT,
    "neighbours": STANDS_OUT,
    "rests": MOST,
    "distance": MOST,
}
_PATTERNS = {  # by metric; one without a row names no head
    "evenness": _Pattern("even", "broad head", _EVEN),
    "induction": _Pattern("repetitions", "induction head", _LIES_AGAIN, "on what followed it before"),
    "duplicate_token": _Pattern("repetitions", "duplicate-token head", _LIES_AGAIN, "on its earlier places"),
    "previous_token": _Pattern("neighbours", "previous-token head", _LIES, "one token back"),
    "next_token": _Pattern("neighbours", "next-token head", _LIES, "one token ahead"),
    "same_token": _Pattern("neighbours", "same-token head", _LIES, "on the token that asks"),
    "first_token": _Pattern("rests", "first-token head", _LIES, "on {first}"),
    "special_tokens": _Pattern("rests", "special-token head", _LIES, "on {special}"),
    "positional": _Pattern("distance", "positional head", _EXPLAINED),
}


def _standing_out(scores):
    """Return the key of the pattern that a head is named after, or None."""
    for group, limit in _LIMITS.items():
        largest = _largest(scores, group)
        if scores[largest] >= limit:
            # Most often the first token is a special one; then it is the more exact name.
            first = group == "rests" and scores["first_token"] >= 0.9 * scores[largest]
            return "first_token" if first else largest
    return None


def _nothing(scores, called):
    """Say that no pattern stands out, and how large the largest share is."""
    largest = _largest(scores, "neighbours", "rests")
    if np.isnan(scores[largest]):
        return "No query has any weight, so there is no pattern to see."
    share, place = scores[largest], _PATTERNS[largest].place.format(**called)
    return f"No pattern stands out: the largest share of its weight, {share:.2f}, lies {place}."


def _largest(scores, *groups):
    """Return the key with the largest score of some groups, passing over NaN."""
    keys = [key for key, pattern in _PATTERNS.items() if pattern.group in groups]
    return max(keys, key=lambda key: -1 if np.isnan(scores[key]) else scores[key])


def _number(key, value):
    """Return a metric of one head as a float."""
    if np.ndim(value):
        raise ValueError(f"kind_of_head must be given one head, got {key} of shape {np.shape(value)}")
    return float(value)
