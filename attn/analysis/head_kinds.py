"""What kind of head is this? A name for what its numbers stand out by, in a sentence that quotes them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attn.analysis.head_table import METRICS

STANDS_OUT = 0.4  # the score from which a pattern gives a head its name
MOST = 0.5  # that for resting on the first or special tokens, as most heads do part of the time
BROAD = 0.9  # the evenness from which a head has no target at all
SHORTEST = 8  # tokens below which chance alone would name a head


class Kind(NamedTuple):
    """What kind of head this looks like."""

    label: str
    sentence: str  # with the number that says so


def kind_of_head(metrics: Mapping[str, float], n_tokens: int | None = None) -> Kind:
    """Say what kind of head its numbers make it look like, or that no pattern stands out.

    Parameters
    ----------
    metrics
        Key of `METRICS` -> number, of one head, as `measure` returns them. What is missing or NaN is
        passed over.
    n_tokens
        Number of keys. Below `SHORTEST` no head is named.

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
    The first that applies: an evenness of `BROAD`; `STANDS_OUT` of the weight on repetitions; as much
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
    """
    if n_tokens is not None and n_tokens < SHORTEST:
        return Kind(_UNNAMED, f"A text of {n_tokens} tokens is too short to tell a pattern from chance.")
    scores = {key: _number(key, metrics.get(key, np.nan)) for key in METRICS}
    found = _standing_out(scores)
    if found is None:
        return Kind(_UNNAMED, _nothing(scores))
    label, words = _KINDS[found]
    return Kind(label, f"{label.capitalize()}: {words.format(scores[found], _PLACES.get(found))}.")


_UNNAMED = "no clear pattern"
_REPETITIONS = ("induction", "duplicate_token")
_NEIGHBOURS = ("previous_token", "next_token", "same_token")
_RESTS = ("first_token", "special_tokens")
_PLACES = {
    "induction": "on what followed it before",
    "duplicate_token": "on its earlier places",
    "previous_token": "one token back",
    "next_token": "one token ahead",
    "same_token": "on the token that asks",
    "first_token": "on the first token",
    "special_tokens": "on special tokens",
}
_LIES, _LIES_AGAIN = "{:.2f} of its weight lies {}", "where a token comes again, {:.2f} of the weight lies {}"
_KINDS = {
    "evenness": ("broad head", "its entropy is {:.2f} of the largest possible, it looks almost everywhere alike"),
    "induction": ("induction head", _LIES_AGAIN),
    "duplicate_token": ("duplicate-token head", _LIES_AGAIN),
    "previous_token": ("previous-token head", _LIES),
    "next_token": ("next-token head", _LIES),
    "same_token": ("same-token head", _LIES),
    "first_token": ("first-token head", _LIES),
    "special_tokens": ("special-token head", _LIES),
    "positional": ("positional head", "the distance between two tokens explains {:.2f} of its pattern"),
}


def _standing_out(scores):
    """Return the key of the pattern that a head is named after, or None."""
    if scores["evenness"] >= BROAD:
        return "evenness"
    for keys, limit in ((_REPETITIONS, STANDS_OUT), (_NEIGHBOURS, STANDS_OUT), (_RESTS, MOST)):
        largest = _largest(scores, keys)
        if scores[largest] >= limit:
            # Most often the first token is a special one; then it is the more exact name.
            first = keys is _RESTS and scores["first_token"] >= 0.9 * scores[largest]
            return "first_token" if first else largest
    return "positional" if scores["positional"] >= MOST else None


def _nothing(scores):
    """Say that no pattern stands out, and how large the largest share is."""
    largest = _largest(scores, (*_NEIGHBOURS, *_RESTS))
    if np.isnan(scores[largest]):
        return "No query has any weight, so there is no pattern to see."
    return f"No pattern stands out: the largest share of its weight, {scores[largest]:.2f}, lies {_PLACES[largest]}."


def _largest(scores, keys):
    """Return the key with the largest score, passing over NaN."""
    return max(keys, key=lambda key: -1 if np.isnan(scores[key]) else scores[key])


def _number(key, value):
    """Return a metric of one head as a float."""
    if np.ndim(value):
        raise ValueError(f"kind_of_head must be given one head, got {key} of shape {np.shape(value)}")
    return float(value)
