"""Every metric of a head at once: the table of metrics, and heads measured by all of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.analysis import head_metrics
from attn.functional import as_array

FEWEST = 3  # queries that must have somewhere to look before a repetition counts as a pattern


class Text(NamedTuple):
    """What the rows and columns of the weights stand for."""

    tokens: ArrayLike | None = None  # (n_k,) ids or words; None where keys are no tokens
    special: ArrayLike | None = None  # (n_k,) True for what a tokenizer put there
    mask: ArrayLike | None = None  # broadcastable to the weights, True where a query may look at a key
    query_offset: int | None = None  # position of the first query among the keys
    cross: bool = False  # whether queries and keys come from two sequences
    words: Sequence[str] | None = None  # (n_k,) the keys as people read them, where a space may show as ␣
    picture: ArrayLike | None = None  # (n_k,) True for what stands for a picture

    @property
    def known(self) -> set[str]:
        """What is known of that which a metric may need."""
        known = {
            "tokens": self.tokens is not None,
            "special": self.special is not None,
            "words": self.words is not None,
            "order": not self.cross,
            "picture": self.picture is not None and 0 < np.sum(self.picture) < np.size(self.picture),
        }
        return {name for name, is_known in known.items() if is_known}

    @property
    def repetitions(self) -> tuple[ArrayLike | None, ArrayLike | None, int | None]:
        """What tells which tokens come again."""
        return self.tokens, self.special, self.query_offset


class Metric(NamedTuple):
    """One number per head."""

    name: str
    words: str  # one sentence that says what is measured
    higher_means: str  # what a head with more of it does
    unit: str  # "share" of the weight or "ratio" (0 to 1 both), "nats" or "tokens"
    # what must be known: "tokens", "special", "words", "order" (queries and keys of one sequence), "picture" (some keys
    # stand for one, and not all)
    needs: set
    compute: Callable  # (weights, Text) -> ndarray (...)


METRICS = {
    "entropy": Metric(
        "Entropy",
        "How spread out the weight of a token is, in nats.",
        "It looks at many tokens at once.",
        "nats",
        set(),
        lambda weights, text: head_metrics.entropy(weights),
    ),
    "evenness": Metric(
        "Evenness",
        "How close a head comes to looking at everything alike: its entropy divided by the largest possible.",
        "It looks at all tokens more alike.",
        "ratio",
        set(),
        lambda weights, text: head_metrics.normalised_entropy(weights, text.mask),
    ),
    "distance": Metric(
        "Mean distance",
        "How many tokens away a head looks on average.",
        "It looks further away.",
        "tokens",
        {"order"},
        lambda weights, text: head_metrics.distance(weights, text.query_offset),
    ),
    "first_token": Metric(
        "First token",
        "How much of the weight lies on the first token.",
        "It puts more of its weight on the first token.",
        "share",
        set(),
        lambda weights, text: head_metrics.first_token(weights),
    ),
    "special_tokens": Metric(
        "Special tokens",
        "How much of the weight lies on tokens that are no part of the text, such as [CLS] and [SEP].",
        "It puts more of its weight outside the text.",
        "share",
        {"special"},
        lambda weights, text: head_metrics.special_tokens(weights, text.special),
    ),
    "previous_token": Metric(
        "Previous token",
        "How much of the weight lies one token back.",
        "It reads the token before.",
        "share",
        {"order"},
        lambda weights, text: head_metrics.previous_token(weights, text.query_offset),
    ),
    "next_token": Metric(
        "Next token",
        "How much of the weight lies one token ahead.",
        "It reads the token after.",
        "share",
        {"order"},
        lambda weights, text: head_metrics.next_token(weights, text.query_offset),
    ),
    "same_token": Metric(
        "Same token",
        "How much of its weight a token keeps on itself.",
        "It stays with the token that asks.",
        "share",
        {"order"},
        lambda weights, text: head_metrics.same_token(weights, text.query_offset),
    ),
    "duplicate_token": Metric(
        "Duplicate token",
        "How much of the weight of a token that comes again lies on its earlier places.",
        "It finds where the same token stood before.",
        "share",
        {"tokens", "order"},
        lambda weights, text: head_metrics.duplicate_token(weights, *text.repetitions, fewest=FEWEST),
    ),
    "induction": Metric(
        "Induction",
        "How much of the weight of a token that comes again lies on what followed it before.",
        "It finds what came next the last time.",
        "share",
        {"tokens", "order"},
        lambda weights, text: head_metrics.induction(weights, *text.repetitions, fewest=FEWEST),
    ),
    "positional": Metric(
        "Positional",
        "How much of the pattern follows from the distance between two tokens, whatever they are.",
        "The position decides, and not the content.",
        "ratio",
        {"order"},
        lambda weights, text: head_metrics.positional(weights, text.mask),
    ),
    "picture_tokens": Metric(
        "Share on the picture",
        "How much of the weight of the written tokens lies on the places of the picture.",
        "Its words look into the picture.",
        "share",
        {"picture", "order"},
        lambda weights, text: head_metrics.picture_tokens(weights, text.picture, text.query_offset),
    ),
}
"""The metrics by key, in the order in which they are best explained."""


def measure(
    weights: ArrayLike,
    tokens: ArrayLike | None = None,
    special: ArrayLike | None = None,
    *,
    mask: ArrayLike | None = None,
    query_offset: int | None = None,
    cross: bool = False,
    words: Sequence[str] | None = None,
    picture: ArrayLike | None = None,
) -> dict[str, np.ndarray]:
    """Compute every metric of one or many heads.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    tokens : shape (n_k,)
        Ids or words of the keys; without them, as for the patches of a picture, repetitions cannot
        be told.
    special : booleans, shape (n_k,)
        True for special tokens.
    mask : booleans, broadcastable to the weights
        As in `normalised_entropy`.
    query_offset
        As in `distance`.
    cross
        Whether queries and keys come from two sequences, as in cross-attention: then no key is the
        previous, the next or the same token.
    words : n_k of them
        The keys as people read them, for metrics that tell words apart by how they are written.
    picture : booleans, shape (n_k,)
        True for keys that stand for a picture.

    Returns
    -------
    dict
        Key of `METRICS` -> ndarray (...), a number for one head; NaN where it cannot be told.
        Repetitions are told where at least `FEWEST` queries have somewhere to look, because a word
        that comes twice may be looked at for many reasons.

    Raises
    ------
    ValueError
        If the weights have fewer than two axes or an empty one, or tokens, special, mask, words or picture do
        not fit them.

    Examples
    --------
    >>> measured = measure(np.full((12, 5, 5), 0.2), tokens=[7, 8, 9, 7, 8])
    >>> measured["same_token"].shape, measured["same_token"][0], measured["induction"][0]
    ((12,), np.float64(0.2), np.float64(nan))
    """
    text = Text(tokens, special, mask, query_offset, cross, _strings(words, weights), picture)
    known = text.known
    told = {key: metric.compute(weights, text) for key, metric in METRICS.items() if metric.needs <= known}
    unknown = np.full_like(told["entropy"], np.nan)
    return {key: told.get(key, unknown.copy()[()]) for key in METRICS}


def measure_each(
    heads: Iterable[ArrayLike], tokens: ArrayLike | None = None, special: ArrayLike | None = None, **options: Any
) -> dict[str, np.ndarray]:
    """Compute every metric head by head, holding the weights of one head at a time.

    Parameters
    ----------
    heads : each of shape (n_q, n_k)
        A generator computes each head when its turn comes.
    tokens, special, **options
        As in `measure`.

    Returns
    -------
    dict
        Key of `METRICS` -> ndarray (num_heads,).

    Raises
    ------
    ValueError
        As `measure`.

    Examples
    --------
    >>> measure_each(np.eye(5) for head in range(3))["same_token"]
    array([1., 1., 1.])
    """
    measured = [measure(weights, tokens, special, **options) for weights in heads]
    return {key: np.array([each[key] for each in measured]) for key in METRICS}


def _strings(words, weights):
    """Return one string per key, or None where they are not known."""
    if words is None:
        return None
    n_k = (0, *as_array(weights, "weights").shape)[-1]
    if isinstance(words, str) or len(words) != n_k or not all(isinstance(word, str) for word in words):
        raise ValueError(f"words must be {n_k} strings, one per key, got {words!r:.60}")
    return tuple(words)
