"""Head ablation: every head switched off in turn, and what that does to one number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attn.pretrained.errors import takes
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.run import prepare_changeable, run_prepared
from attn.pretrained.threads import Stopped

if TYPE_CHECKING:
    from attn.pretrained.loading.load import Loaded

TOKENS_AT_ONCE = 256  # of one batch: more would be 4 % faster, and say half as often how far it is


@dataclass(frozen=True, eq=False)
class HeadAblation:
    """What one number becomes when each head is switched off alone.

    Parameters
    ----------
    before
        The number with every head on.
    after : shape (num_layers, num_heads)
        The number with this head off; NaN where a layer has fewer heads, or it was stopped.
    finished
    """

    before: float
    after: np.ndarray
    finished: bool

    @property
    def effect(self) -> np.ndarray:
        """By how much the number rises (falls, if negative) without a head, (num_layers, num_heads)."""
        return self.after - self.before

    def most(self, count: int = 10) -> tuple[tuple[int, int], ...]:
        """Return the heads whose absence moves the number most.

        Returns
        -------
        tuple of (int, int)
            As (layer, head), the largest effect first, whatever its sign.
        """
        size = np.abs(self.effect).ravel()
        order = np.argsort(-size, kind="stable")[: min(count, np.isfinite(size).sum())]  # NaN comes last
        return tuple((int(place) // self.after.shape[1], int(place) % self.after.shape[1]) for place in order)


@takes(loaded="Loaded", changes="Changes")
def ablate_heads(
    loaded: Loaded,
    texts: str | Sequence[str],
    measure: Callable[..., float],
    *,
    pair: str | None = None,
    changes: Changes | None = None,
    positions: Iterable[int] | None = None,
    progress: Callable[[int, int], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> HeadAblation:
    """Switch each head off in turn and measure what the model then predicts.

    Several heads are tried in one batch, a head in each row.

    Parameters
    ----------
    loaded
    texts
        One text, or as many as the measure takes.
    measure
        Takes a `Run` for each text and returns a number: `similarity`, or what `probability_of`, `class_score_of`
        or `answer_probability_of` returns.
    pair
        As in `record`, for every text.
    changes
        What is changed besides, in every run.
    positions
        As in `run`.
    progress
        Called before each attention layer with the number of heads that are done and that of all; heads
        under told count by the layers that they have passed.
    should_stop
        Asked before each attention layer whether to give up.

    Returns
    -------
    HeadAblation
        Unfinished if it was stopped on the told.

    Raises
    ------
    ModelError
        As `run`.
    Stopped
        If `should_stop` said so before the first head.
    """
    if not callable(measure):
        raise ValueError(f"measure must take a run for each text and return a number, got {measure!r}")
    texts = (texts,) if isinstance(texts, str) or not isinstance(texts, Iterable) else tuple(texts)
    changes = changes or Changes()
    prepared, told = [prepare_changeable(loaded, text, pair) for text in texts], _Progress(progress, should_stop)

    def runs(off=()):
        """Run every text once for each head in `off`, or once as it is."""
        options = {"off": off, "should_stop": told.before_layer}
        pairs = zip(prepared, texts, strict=True)
        return [run_prepared(loaded, each, changes, (text, pair), positions, **options) for each, text in pairs]

    (whole,) = zip(*runs(), strict=True)
    before, num_heads = measure(*whole), whole[0].num_heads
    after = np.full((len(num_heads), max(num_heads)), np.nan)
    heads = [(layer, head) for layer, count in enumerate(num_heads) for head in range(count)]
    at_once = max(1, TOKENS_AT_ONCE // max(_length(each) for each in prepared))
    if loaded.task == "text" and getattr(loaded.model.config, "pad_token_id", None) is None:
        at_once = 1  # a decoder finds the last token of each row by where padding begins
    try:
        for done in range(0, len(heads), at_once):
            off = heads[done : done + at_once]
            told.begin(done, len(off), len(heads))
            for head, rows in zip(off, zip(*runs(off), strict=True), strict=True):
                after[head] = measure(*rows)
    except Stopped:
        return HeadAblation(before, after, finished=False)
    told.begin(len(heads), 0, len(heads))
    return HeadAblation(before, after, finished=True)


class _Progress:
    """Tells how far an ablation is. The first run, of the model as it is, shows how many layers every other one has."""

    def __init__(self, progress, should_stop):
        self._progress, self._should_stop = progress or (lambda done, total: None), should_stop or (lambda: False)
        self._passed = self._layers = self._done = self._under_way = self._total = 0

    def begin(self, done, under_way, total):
        """Begin a batch of so many heads after so many of all."""
        self._layers = self._layers or self._passed
        self._passed, self._done, self._under_way, self._total = 0, done, under_way, total
        self._progress(done, total)

    def before_layer(self):
        """Count a layer, and return whether to give up."""
        if self._total:
            self._progress(self._done + self._under_way * self._passed // self._layers, self._total)
        self._passed += 1
        return self._should_stop()


def _length(prepared):
    """Return how many tokens a row of a batch has."""
    return max(1, len(prepared.tokens) + len(prepared.decoder_tokens or ()))
