"""Scores, below the figure: what moves each score, soft and hard reads, windows, and all six in words."""

import math
from typing import NamedTuple

import numpy as np

from attn import alignment, charts, softmax
from attn.alignment import SCORES
from attn.charts.plane import LEAST_CELL
from attn.ui.page import theme
from attn.ui.pages.scores.scores import formula, listed, parameters_of, scores_of, turned

READS = {  # what a score reads of the query and of the keys, and how many numbers it has to learn
    "content": ("direction only", "direction only", "0"),
    "additive": ("yes", "yes", r"$d_{hidden}\,(d_q + d_k + 1)$"),
    "location": ("yes", "**no**", r"$n_{most}\, d_q$"),
    "general": ("yes", "yes", r"$d_q\, d_k$"),
    "dot": ("yes", "yes", "0"),
    "scaled_dot": ("yes", "yes", "0"),
}
CHANGES = {  # what is done to query and keys, and in which order the keys then stand
    "other query": lambda query, keys: (turned(query, 90), keys, slice(None)),
    "other keys": lambda query, keys: (query, turned(keys, 90), slice(None)),
    "query × 2": lambda query, keys: (2 * query, keys, slice(None)),
    "keys × 2": lambda query, keys: (query, 2 * keys, slice(None)),
    "both turned": lambda query, keys: (turned(query, 30), turned(keys, 30), slice(None)),
    "swapped": lambda query, keys: (query, keys[::-1], slice(None, None, -1)),
}


# What moves it


def moved_by_each(setup):
    """Return the largest change of a weight of each score by each of `CHANGES`, each key followed, (6, 6)."""
    query, keys, parameters = np.array([setup.across, setup.up]), np.array(setup.keys), parameters_of(setup)
    before = softmax(scores_of(query, keys, parameters))
    moved = []
    for change in CHANGES.values():
        other_query, other_keys, order = change(query, keys)
        weights = softmax(scores_of(other_query, other_keys, parameters))
        moved.append(np.abs(weights - before[:, order]).max(axis=1))
    return np.stack(moved, axis=1)


def moves_picture(setup, result, moved, room):
    """Draw how far each change moves each score's weights, and how far what is switched on did."""
    look, titles, columns = theme(), [one.title for one in SCORES.values()], list(CHANGES)
    if switched_on(setup):
        moved, columns = np.column_stack([moved, result.change]), [*columns, "switched on"]
    picture = charts.heatmap(
        moved,
        titles,
        columns,
        look,
        kind="magnitude",
        limit=1.0,
        title="Largest change of a weight",
        axes=("score", "what is changed"),
        highlight={"row": list(SCORES).index(setup.score)},
        tooltip_name="largest change",
        size=(len(columns) * max(LEAST_CELL, min(100, (room - 190) // len(columns))), 264),
        square=False,
    )
    return charts.beside(picture)


def switched_on(setup):
    """Return in words what the sidebar changes."""
    every = [
        ("every key doubled", setup.double),
        (f"all turned by {setup.turn}°", setup.turn),
        ("the order swapped", setup.swap),
    ]
    return [name for name, on in every if on]


def moves_in_words(setup, result, moved):
    """Say what the chosen score does not notice, and what is switched on now."""
    if len(result.keys) == 1:
        return "A single key has all the weight, whatever its score: add another to see what moves."
    row, one = list(SCORES).index(setup.score), SCORES[setup.score]
    still = [name for name, change in zip(CHANGES, moved[row], strict=True) if change < 1e-9]
    sentence = f"Each change on its own, each key followed to where it then stands. {one.title}: "
    unmoved = f"**{listed(still)}** leave{'s' if len(still) == 1 else ''} it unmoved"
    sentence += f"{unmoved if still else 'every one of them moves it'}."
    if names := switched_on(setup):
        sentence += f" Switched on in the sidebar: {listed(names)}. Together they moved its weights by up to "
        sentence += f"**{result.change[row]:.3f}**."
    return sentence


# Soft and hard


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


def drawn(setup, result):
    """Read the keys softly, and as often as chosen by drawing one."""
    weights = result.weights[list(SCORES).index(setup.score)]
    hard = alignment.hard_reads(weights, result.keys, np.random.default_rng(setup.seed), setup.draws)
    return Drawn(alignment.soft_read(weights, result.keys), hard, alignment.hard_variance(weights, result.keys))


def drawn_in_words(setup, read):
    """Say what soft and hard reads give, in numbers."""
    soft, mean, variance = (
        ", ".join(f"{x:.3f}" for x in vector) for vector in (read.soft, read.hard.running_mean[-1], read.variance)
    )
    return (
        f"**Soft** reads every key by its weight under {SCORES[setup.score].title.lower()}: ({soft}), the same every "
        f"time, and with a derivative for each weight. **Hard** draws one key by the weights and reads it alone: the "
        f"mean of {setup.draws:,} draws is ({mean}). One draw has a variance of ({variance}), the mean of n draws an "
        f"n-th of it, and so it closes in on the soft vector with the square root of n."
    )


def drawn_picture(setup, result, read, room):
    """Draw where the mean of the hard reads goes, and how far it is from the soft read."""
    look = theme()
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
        size=340,
    )
    n = np.unique(np.geomspace(1, setup.draws, min(setup.draws, 300)).round().astype(int))
    return charts.beside(
        plane,
        charts.curves(
            [
                charts.Curve("measured", n, np.maximum(read.error[n - 1], 1e-6), look.output),
                charts.Curve("expected", n, np.maximum(read.expected[n - 1], 1e-6), look.muted, dashed=True),
            ],
            look,
            x_name="hard reads",
            y_name="distance of their mean from the soft read",
            title="How fast it gets there",
            log=True,
            width=min(max(room - 460, 380), 700),
            height=340,
        ),
    )


# Global and local


class Windows(NamedTuple):
    """The same scores attended to everywhere, near a place, and near a place with a bell."""

    centre: float  # of local-p, counted from 1
    whole: np.ndarray  # (n,)
    monotonic: alignment.Local
    predictive: alignment.Local


def windows(setup):
    """Attend globally and locally to as many positions as chosen."""
    n = setup.positions
    if setup.looks == "equal":
        scores = np.zeros(n)
    else:
        keys = np.random.default_rng(setup.seed).normal(size=(n, 2))
        parameters = parameters_of(setup).get(setup.score, {})
        scores = SCORES[setup.score].score([setup.across, setup.up], keys, **parameters)
    centre = centre_of(setup)
    return Windows(
        centre,
        softmax(scores),
        alignment.local_m(scores, round(centre - 1), setup.half_width),
        alignment.local_p(scores, centre - 1, setup.half_width),
    )


def centre_of(setup):
    """Return where local-p looks: where it was put, or where a random network sends the query."""
    if not setup.predicted:
        return setup.centre
    rng = np.random.default_rng(setup.seed)
    query, n = [setup.across, setup.up], setup.positions
    return 1 + float(alignment.predicted_centre(query, n, w=rng.normal(size=(2, 3)), v=rng.normal(size=3)))


def windows_in_words(setup, read):
    """Say what the windows see, and that the bell takes weight away."""
    seen = np.flatnonzero(read.predictive.visible) + 1
    total, half = read.predictive.weights.sum(), setup.half_width
    sees = f"positions {seen[0]} to {seen[-1]}" if seen.size > 1 else f"position {seen[0]}" if seen.size else "nothing"
    return (
        f"Local-p looks around {read.centre:.4g} and sees {sees}; its bell has a width of D/2 = {half / 2:g}. "
        f"The paper multiplies the bell in *after* the softmax and does not divide again, so the weights sum to "
        f"**{total:.6f}** and not to 1: what is read shrinks by that much."
    )


def windows_formula():
    """Return local-p's weights and centre as LaTeX."""
    q = rf"\textcolor{{{theme().query}}}{{q}}"
    return (
        r"\begin{gathered} a(j) = \mathrm{softmax}(s)_j\; e^{-\frac{(j-p)^2}{2(D/2)^2}} \\"
        rf" p = S\,\sigma\!\left(v^\top \tanh(W {q})\right) \end{{gathered}}"
    )


def windows_picture(setup, read, room):
    """Draw the three below one another, on one scale."""
    look, labels = theme(), charts.counted(setup.positions)
    limit = max(float(row.max()) for row in (read.whole, read.monotonic.weights, read.predictive.aligned)) or 1.0
    x = np.linspace(0.5, setup.positions + 0.5, 241) - read.centre
    bell = np.exp(-((x / (setup.half_width / 2)) ** 2) / 2)
    middle = {"window": read.monotonic.visible, "centre": round(read.centre - 1)}
    shaped = {"before": read.predictive.aligned, "window": read.predictive.visible, "bell": bell}
    rows = [
        ("Global: the weights sum", read.whole, {}),
        ("Local-m, a window: they sum", read.monotonic.weights, middle),
        ("Local-p, a window and a bell: they sum", read.predictive.weights, shaped | {"centre": read.centre - 1}),
    ]
    size = {"limit": limit, "width": room - 110, "height": 130}
    return charts.above(
        *(
            charts.places(weights, labels, look, title=f"{title} to {weights.sum():.3g}", **size, **extra)
            for title, weights, extra in rows
        )
    )


# In words


def six_in_words():
    """Return the table of the six scores as Markdown."""
    lines = [
        "| score | formula | reads the query | reads the keys | numbers to learn | source |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in SCORES.items():
        query, keys, count = READS[name]
        lines.append(f"| {one.title} | ${formula(name)}$ | {query} | {keys} | {count} | {one.source} |")
    return "\n".join(lines)


def one_matrix(setup, result):
    """Say that additive is also written with one matrix, and by how much the two differ."""
    apart = parameters_of(setup)["additive"]
    together = {"w": np.vstack([apart["w_q"], apart["w_k"]]), "v": apart["v"]}
    scores = [alignment.additive(result.query, result.keys, **apart)]
    scores.append(alignment.concat(result.query, result.keys, **together))
    return (
        "Additive is also known as **concat**: one matrix that reads query and key end to end, $v^\\top \\tanh(W [q; "
        f"k])$, in place of two. On these vectors the two differ by **{np.abs(scores[0] - scores[1]).max():g}**."
    )


def misread_root(result):
    """Say what dividing by the root of the number of keys would do, and by how much."""
    products = alignment.dot(result.query, result.keys)
    right, wrong = (softmax(products / math.sqrt(n)) for n in (2, len(result.keys)))
    best = int(right.argmax())
    return (
        "**A slip to know.** A table of these scores that many have copied divides by $\\sqrt n$, a few lines below "
        "a sentence in which $n$ is the length of the input; its own legend says the width of the hidden state. "
        f"Read as the number of keys, here {len(result.keys)} instead of the width 2, it would give "
        f"{result.labels[best]} a weight of **{wrong[best]:.4f}** instead of **{right[best]:.4f}**: a score that "
        "changes with the company a key keeps."
    )
