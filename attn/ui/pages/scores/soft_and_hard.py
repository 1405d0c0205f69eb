"""The tab Soft and hard: reading all keys, or one that is drawn."""

from typing import NamedTuple

import numpy as np

from attn import alignment, charts
from attn.alignment import SCORES
from attn.ui.page import page_theme

_PLANE, _LEAST_CURVE = 460, 300  # pixels of the plane with its space, and of a curve beside it


class Drawn(NamedTuple):
    """The soft read of the keys, and hard reads of them."""

    soft: np.ndarray  # (2,)
    hard: alignment.HardReads
    variance: np.ndarray  # (2,) of one hard read

    @property
    def error(self):
        """How far the mean of the first n reads lies from the soft read, (count,)."""
        return np.linalg.norm(self.hard.running_mean - self.soft, axis=1)

    @property
    def expected(self):
        """How far it lies on average, in the square, (count,)."""
        return np.sqrt(self.variance.sum() / np.arange(1, len(self.hard.places) + 1))


def compute_soft_and_hard(setup, result):
    """Read the keys softly, and as often as chosen by drawing one."""
    weights = result.weights[list(SCORES).index(setup.score)]
    hard = alignment.hard_reads(weights, result.keys, np.random.default_rng(setup.seed), setup.draws)
    return Drawn(alignment.soft_read(weights, result.keys), hard, alignment.hard_variance(weights, result.keys))


def soft_and_hard_in_words(setup, read):
    """Say what soft and hard reads give, in numbers."""
    soft, mean, variance = (
        ", ".join(f"{x:.3f}" for x in vector) for vector in (read.soft, read.hard.running_mean[-1], read.variance)
    )
    return (
        f"Soft reading takes every key at once, each by its weight under {SCORES[setup.score].title.lower()}: "
        f"({soft}). It gives the same every time, and each weight has a derivative, so that it can be trained. Hard "
        "reading draws one key, with the weights as probabilities, and takes it alone: the mean of "
        f"{setup.draws:,} draws is ({mean}). One draw has a variance of ({variance}), the mean of n draws an n-th of "
        "it. So the mean comes closer to the soft reading with the square root of n."
    )


def soft_and_hard_picture(setup, result, read, room):
    """Draw where the mean of the hard reads goes, and how far it is from the soft read."""
    look = page_theme()
    names = [label.split()[-1] for label in result.labels]
    weights = result.weights[list(SCORES).index(setup.score)]
    plane = charts.arrows(
        np.vstack([result.keys, read.soft]),
        [*names, "soft"],
        [*[look.key] * len(names), look.output],
        look,
        title=f"Mean of {setup.draws:,} hard reads",
        strong=np.append(weights, 0.5),
        trail=read.hard.running_mean,
        size=min(340, room - 90),
    )
    beside = room - _PLANE  # pixels left of the row; a curve without room in it stands below, as wide as the page
    wide = beside if beside >= _LEAST_CURVE else max(min(room, 380), room - 100)
    n = np.unique(np.geomspace(1, setup.draws, min(setup.draws, 300)).round().astype(int))
    return charts.beside(
        plane,
        charts.curves(
            [
                charts.Curve("measured", n, np.maximum(read.error[n - 1], 1e-6), look.output),
                charts.Curve("expected", n, np.maximum(read.expected[n - 1], 1e-6), look.muted, dashed=True),
            ],
            look,
            x=charts.Axis("hard reads", log=True),
            y=charts.Axis("distance of their mean from the soft read", log=True),
            title="How fast it gets there",
            width=min(wide, 700),
            height=340,
        ),
    )
