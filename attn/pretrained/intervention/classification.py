"""What a fine-tuned classifier says of a text, of each of its tokens, or of where an answer stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.functional import softmax
from attn.pretrained.errors import ModelError
from attn.pretrained.inputs.tokens import running_text

if TYPE_CHECKING:
    from attn.pretrained.inputs.tokens import Token
    from attn.pretrained.intervention.run import Run
    from attn.pretrained.loading.load import Loaded

LONGEST_ANSWER = 15  # tokens, as the pipeline of transformers has it


class Answer(NamedTuple):
    """Where in a text the answer to a question stands."""

    start: int  # its first token
    end: int  # its last token
    text: str
    probability: float  # that it begins at the first, times that it ends at the last


class WordClass(NamedTuple):
    """What a token classifier says of one word: the class of its first token, as is usual."""

    text: str
    place: int  # of its first token
    name: str
    probability: float


def class_names(loaded: Loaded) -> tuple[str, ...]:
    """Return the names of the classes of a classifier, by its own configuration."""
    config = loaded.model.config
    return tuple(str(config.id2label.get(id, f"LABEL_{id}")) for id in range(config.num_labels))


def score_kind(loaded: Loaded) -> str:
    """Say what a classifier gives for each class.

    Returns
    -------
    {"softmax", "sigmoid", "number"}
        Probabilities that sum to 1; probabilities of classes of which several may hold
        (``problem_type="multi_label_classification"``); or what a regression says, as it is (``"regression"``, or
        a single class).
    """
    config = loaded.model.config
    kind = getattr(config, "problem_type", None) if loaded.task == "text" else None
    if kind == "regression" or (loaded.task == "text" and config.num_labels == 1):
        return "number"
    return "sigmoid" if kind == "multi_label_classification" else "softmax"


def class_scores(run: Run, place: int | None = None) -> np.ndarray:
    """Return what a classifier says for each of its classes.

    Parameters
    ----------
    run
    place
        Of the token whose class is asked for, in a classifier of tokens; negative ones count from the end.

    Returns
    -------
    shape (num_labels,)
        As `score_kind` says.

    Raises
    ------
    ModelError
        If the model is no classifier of texts or tokens, or has no such token.
    """
    task, logits = run.loaded.task, run.class_logits
    if task not in ("text", "tokens") or logits is None:
        raise ModelError(f"{run.loaded.name} must be a classifier of texts or tokens, got {_class_of(run)}")
    if task == "tokens" and (place is None or not -len(logits) <= place < len(logits)):
        raise ModelError(f"a token must be among 0 to {len(logits) - 1}, got {place}")
    row = logits[0 if task == "text" else place]
    kind = score_kind(run.loaded)
    if kind == "number":
        return row
    return softmax(row) if kind == "softmax" else 1 / (1 + np.exp(-row))


def class_score_of(id: int, place: int | None = None) -> Callable[[Run], float]:
    """Return a measure: what a classifier says for one class.

    Parameters
    ----------
    id
        Of the class: its place among `class_names`.
    place
        As in `class_scores`.

    Returns
    -------
    callable
        Run -> float, as `ablate_heads` takes it.
    """
    return lambda run: float(class_scores(run, place)[id])


def word_classes(run: Run) -> tuple[WordClass, ...]:
    """Return what a classifier of tokens says of each word.

    Raises
    ------
    ModelError
        As `class_scores`.
    """
    names, found = class_names(run.loaded), []
    for place, token in enumerate(run.tokens):
        if not (token.special or token.inside):
            scores = class_scores(run, place)
            best = int(scores.argmax())
            last = place + 1
            while last < len(run.tokens) and run.tokens[last].inside:
                last += 1
            text = _span(run, run.tokens[place:last])
            found.append(WordClass(text, place, names[best], float(scores[best])))
    return tuple(found)


def answer_ends(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return how likely the answer begins and ends at each token.

    Returns
    -------
    start, end : ndarray, shape (n_tokens,)
        Each sums to 1; special tokens, the first of which often stands for “no answer”, and the question have
        their share.

    Raises
    ------
    ModelError
        If the model does not answer questions.
    """
    if run.loaded.task != "answer" or run.class_logits is None:
        raise ModelError(f"{run.loaded.name} must be a model that answers questions, got {_class_of(run)}")
    start, end = softmax(run.class_logits)
    return start, end


def answer_places(run: Run) -> np.ndarray:
    """Return where an answer may begin and end: at any token of the text that is no special one.

    Returns
    -------
    booleans, shape (n_tokens,)
    """
    last_text = max(token.segment for token in run.tokens)
    return np.array([not token.special and token.segment == last_text for token in run.tokens])


def answer(run: Run) -> Answer:
    """Return the likeliest answer: its first token not after its last, of at most 15 tokens.

    It stands in the second text, where a question comes first.

    Raises
    ------
    ModelError
        If the model does not answer questions, or the text has no token but special ones.
    """
    start, end = answer_ends(run)
    allowed = answer_places(run)
    if not allowed.any():
        raise ModelError("the text in which an answer stands must have a token besides special ones, got none")
    start, end = start * allowed, end * allowed
    spans = {length: start[: len(start) - length] * end[length:] for length in range(min(LONGEST_ANSWER, len(start)))}
    length = max(spans, key=lambda length: spans[length].max())
    first = int(spans[length].argmax())
    words = _span(run, run.tokens[first : first + length + 1])
    return Answer(first, first + length, words, float(spans[length][first]))


def answer_probability_of(start: int, end: int) -> Callable[[Run], float]:
    """Return a measure: how likely an answer is.

    Parameters
    ----------
    start, end
        Its first and last token.

    Returns
    -------
    callable
        Run -> float, as `ablate_heads` takes it.
    """

    def measure(run):
        first, last = answer_ends(run)
        return float(first[start] * last[end])

    return measure


def _class_of(run):
    """Return what kind of model a run is of, as its class says."""
    return type(run.loaded.model).__name__


def _span(run: Run, tokens: Sequence[Token]) -> str:
    """Return the text that tokens stand for, as it was typed where that is known."""
    first, last = tokens[0], tokens[-1]
    text = run.pair if first.segment == 1 else run.text
    if text is None or first.start is None or last.end is None:
        return running_text(tokens).strip()
    return text[first.start : last.end].strip()
