"""What a run predicts, and what changed from one run to another: words, similarity, heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.functional import whole_number
from attn.pretrained.errors import ModelError, takes
from attn.pretrained.inputs import tokens
from attn.pretrained.intervention import classification

if TYPE_CHECKING:
    from attn.pretrained.intervention.run import Run
    from attn.pretrained.loading.load import Loaded

WEIGHTS = 40_000_000  # weights of all heads up to which two runs are compared weight by weight
AT_ONCE = 4_000_000  # of which so many are held at once


class Prediction(NamedTuple):
    """One word that a model holds possible."""

    text: str
    id: int
    probability: float


class Shift(NamedTuple):
    """How likely one word or class was before a change, and is after it."""

    text: str
    id: int  # in the vocabulary; of a class its number, of the end of an answer the place of its token
    before: float  # a probability; of a regression its number
    after: float


class HeadShift(NamedTuple):
    """How far what one head does is from what it did before a change."""

    layer: int
    head: int
    kind: str
    output: float  # length of the difference of its outputs, over the length of what they were
    weights: float | None  # largest difference of a weight; None where there are too many to compare
    changed: bool  # by hand, and not by what reached it


class Comparison(NamedTuple):
    """Two runs over one text side by side."""

    words: tuple  # of Shift, the likeliest in either run first; empty in a model that predicts no words
    similarity: float | None  # of the embeddings; None in a model that makes none
    heads: tuple  # of HeadShift, layer by layer; empty where layers were not kept
    classes: tuple = ()  # of Shift, in the order of the classifier; of many the likeliest in either run, those first
    starts: tuple = ()  # of Shift, the tokens of the text where an answer likeliest begins in either run, in order
    ends: tuple = ()  # and those where it ends

    def downstream(self, count: int = 10) -> tuple[HeadShift, ...]:
        """Return the heads whose output changed most, without those that were changed by hand."""
        reached = [shift for shift in self.heads if not shift.changed and shift.output > 0]
        return tuple(sorted(reached, key=lambda shift: -shift.output)[:count])


@takes(run="Run")
def predictions(run: Run, count: int = 10, position: int | None = None) -> tuple[Prediction, ...]:
    """Return the likeliest words at a position.

    Parameters
    ----------
    run
    count
    position
        As in `Run.probabilities`.

    Returns
    -------
    tuple of Prediction
        The likeliest first.

    Raises
    ------
    ModelError
        As `Run.probabilities`.
    """
    whole_number("count", count)
    probabilities = run.probabilities(position)
    return tuple(
        Prediction(_text(run, id), int(id), float(probabilities[id])) for id in _likeliest(probabilities, count)
    )


def probability_of(token: int) -> Callable:
    """Return a measure: how likely a word is at the last position of a run.

    Parameters
    ----------
    token
        Its id, see `token_id`.

    Returns
    -------
    callable
        Run -> float, as `ablate_heads` takes it. Raises ValueError where the vocabulary has no such id.
    """
    whole_number("token", token)

    def measure(run):
        probabilities = run.probabilities()
        if token >= len(probabilities):
            raise ValueError(f"token must be among 0 to {len(probabilities) - 1:,}, got {token:,}")
        return float(probabilities[token])

    return measure


@takes(run="Run", other="Run")
def similarity(run: Run, other: Run) -> float:
    """Return the cosine of the angle between the embeddings of two texts.

    Returns
    -------
    float
        1 for texts that are the same to the model.

    Raises
    ------
    ModelError
        If the model makes no embeddings.
    """
    return float(run.embedding @ other.embedding)


@takes(loaded="Loaded")
def token_id(loaded: Loaded, text: str) -> int:
    """Return the id of the first token that a text is made into, as it stands.

    Parameters
    ----------
    loaded
    text
        With its space in front, where a model has one token for a word and that space.

    Raises
    ------
    ModelError
        If the model has no tokenizer, or the text gives no token.
    """
    if loaded.tokenizer is None:
        raise ModelError(f"{loaded.name} has no tokenizer, so a word has no id")
    with loaded.lock:
        ids = loaded.tokenizer(tokens.checked(text), add_special_tokens=False)["input_ids"]
    if not ids:
        raise ModelError(f"the text {text!r} has no token for {loaded.name}")
    return ids[0]


@takes(before="Run", after="Run")
def compare_runs(before: Run, after: Run, count: int = 10, position: int | None = None) -> Comparison:
    """Put two runs over one text side by side.

    Parameters
    ----------
    before, after
        Of the same text and model.
    count
        Words, classes or tokens that are likeliest in either run.
    position
        As in `Run.probabilities`; by default the last that both runs have. In a classifier of tokens, the token.

    Raises
    ------
    ModelError
        If the runs are of different tokens, or have no prediction for this position.
    """
    ids = [[[token.id for token in part or ()] for part in (run.tokens, run.decoder_tokens)] for run in (before, after)]
    if ids[0] != ids[1] or before.loaded.name != after.loaded.name:
        raise ModelError("two runs can be compared if they are of the same tokens and the same model")
    words, alike = (), None
    if before.logits is not None:
        words = _shifts(
            lambda id: _text(before, id), before.probabilities(position), after.probabilities(position), count
        )
    if before.hidden is not None:
        alike = similarity(before, after)
    return Comparison(words, alike, _head_shifts(before, after), *_class_shifts(before, after, count, position))


def _class_shifts(before, after, count, position):
    """Return the classes of two runs side by side, and where an answer begins and ends."""
    if before.class_logits is None:
        return (), (), ()
    if before.loaded.task == "answer":
        sides = zip(classification.answer_ends(before), classification.answer_ends(after), strict=True)
        places = np.flatnonzero(classification.answer_places(before))
        return (), *(_answer_shifts(before, places, one, other, count) for one, other in sides)
    position = len(before.class_logits) - 1 if position is None else position
    one, other = (classification.class_scores(run, position) for run in (before, after))
    names = classification.class_names(before.loaded)
    shifts = _shifts(names.__getitem__, one, other, count)
    return tuple(sorted(shifts, key=lambda shift: shift.id)) if len(names) <= count else shifts, (), ()


def _answer_shifts(run, places, before, after, count):
    """Return at which of some places an answer likeliest begins, or ends; they have their share of all tokens."""
    shifts = _shifts(lambda at: run.tokens[places[at]].text, before[places], after[places], count)
    return tuple(shift._replace(id=int(places[shift.id])) for shift in shifts)


def _shifts(named, before, after, count):
    """Return what is likeliest in either of two distributions."""
    either = {*_likeliest(before, count), *_likeliest(after, count)}
    ordered = sorted(either, key=lambda id: -max(before[id], after[id]))[:count]
    return tuple(Shift(named(id), int(id), float(before[id]), float(after[id])) for id in ordered)


def _likeliest(probabilities, count):
    """Return the ids of the likeliest words, in order."""
    count = min(count, len(probabilities))
    some = np.argpartition(-probabilities, count - 1)[:count]
    return some[np.argsort(-probabilities[some], kind="stable")]


def _text(run, id):
    """Return a word as people read it."""
    return tokens.from_ids([int(id)], run.loaded.tokenizer)[0].text


def _head_shifts(before, after):
    """Compare what every head gave, and where it looked."""
    if not before.layers or not after.layers:
        return ()
    by_hand = before.changes.heads ^ after.changes.heads | _repatterned(before, after)
    few = sum(layer.num_heads * layer.query.shape[2] * layer.key.shape[2] for layer in before.layers) <= WEIGHTS
    shifts = []
    for one, other in zip(before.layers, after.layers, strict=True):
        outputs = _output_shifts(one, other)
        weights = _weight_shifts(before, after, one.index) if few else [None] * one.num_heads
        for head, (output, weight) in enumerate(zip(outputs, weights, strict=True)):
            shifts.append(HeadShift(one.index, head, one.kind, output, weight, (one.index, head) in by_hand))
    return tuple(shifts)


def _repatterned(before, after):
    """Return the heads that have a pattern in both runs, but not the same."""
    return {head for head, _ in set(before.changes.patterns) ^ set(after.changes.patterns)}


def _output_shifts(before, after):
    """Return how far the output of each head moved, over how long it was."""
    axes = (0, 2, 3)
    length = np.sqrt((before.output**2).sum(axis=axes))
    return (np.sqrt(((after.output - before.output) ** 2).sum(axis=axes)) / np.maximum(length, 1e-12)).tolist()


def _weight_shifts(before, after, index):
    """Return by how much some weight of each head changed at most."""
    layer = before.layers[index]
    step = max(1, AT_ONCE // (layer.query.shape[2] * layer.key.shape[2]))
    shifts = []
    for first in range(0, layer.num_heads, step):
        heads = range(first, min(first + step, layer.num_heads))
        difference = np.abs(_weights(after, index, heads) - _weights(before, index, heads))
        shifts += difference.max(axis=(1, 2)).tolist()
    return shifts


def _weights(run, index, heads):
    """Return the weights that heads of a layer worked with, (len(heads), n_q, n_k)."""
    weights = run.layers[index].weights(list(heads))[0]
    for (layer, head), _ in run.changes.patterns:
        if layer == index and head in heads:
            weights[head - heads.start] = run.weights(layer, head)
    return weights
