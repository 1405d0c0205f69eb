"""Scores: from the choices on the page to the scores of one query and the same keys, and the code for it."""

import math
from typing import NamedTuple

import numpy as np

from attn import charts, softmax
from attn.alignment import SCORES
from attn.ui.controls.sentence import UNTRAINED
from attn.ui.numpy_code import Paragraph, numpy_array, numpy_code
from attn.ui.page import page_theme
from attn.ui.pages.scores.setup import EVERY, MOST_KEYS
from attn.ui.shown_code import LIGHT, Codes, shown_code
from attn.ui.width import page_tallest, window_low_for_hall
from attn.words import capital, listed

LEAST_COLUMN = 32  # pixels of a key in a map, however little room there is
_WRITTEN_COLUMN = 40  # pixels of one that holds a number
NAMES = 140  # pixels that the names of scores take beside a map


class Matched(NamedTuple):
    """One query, its keys, and all scores between them."""

    query: np.ndarray  # (2,)
    keys: np.ndarray  # (n, 2)
    labels: list  # of the keys
    scores: np.ndarray  # (number of scores, n) -inf where a score has no parameters for the place
    weights: np.ndarray  # (number of scores, n)
    change: np.ndarray  # (number of scores,) largest change of a weight by what was switched on, each key followed

    @property
    def hidden(self):
        """Where there is no score."""
        return np.isneginf(self.scores)

    def winners(self, row):
        """Return the labels of the keys with the largest weight."""
        weights = self.weights[row]
        return [self.labels[at] for at in np.flatnonzero(weights >= weights.max() - 1e-9)]


def scores_parameters(setup):
    """Return the parameters of every score that has any."""
    if setup.parameters == "example":
        return {name: one.example for name, one in SCORES.items() if one.example}
    return _drawn_parameters(setup.seed, MOST_KEYS)


def _drawn_parameters(seed, n_most):
    """Return random parameters of every score, for vectors of two numbers and so many places."""
    rng = np.random.default_rng(seed)
    return {name: one.draw_parameters(rng, d_q=2, d_k=2, n_most=n_most) for name, one in SCORES.items()}


def scores_by_kind(query, keys, parameters):
    """Return every score of every key, (number of scores, n)."""
    return np.stack([one.score(query, keys, **parameters.get(name, {})) for name, one in SCORES.items()])


def scores_turned(vectors, degrees):
    """Return vectors turned against the clock."""
    angle = math.radians(degrees)
    return vectors @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def compute_scores(setup):
    """Score the keys, changed as switched on.

    Returns
    -------
    Matched
    """
    query, keys = np.array([setup.across, setup.up]), np.array(setup.keys)
    parameters = scores_parameters(setup)
    before = softmax(scores_by_kind(query, keys, parameters))
    order = np.arange(len(keys))[:: -1 if setup.swap else 1]
    query = scores_turned(query, setup.turn)
    keys = scores_turned(keys * (2 if setup.double else 1), setup.turn)[order]
    scores = scores_by_kind(query, keys, parameters)
    weights = softmax(scores)
    change = np.abs(weights - before[:, order]).max(axis=1)
    return Matched(query, keys, [f"key {at + 1}" for at in order], scores, weights, change)


def _picture(query, keys, names, scores, weights, chosen, side, size, numbers, crowded, stacked, legend, theme):
    """Draw the vectors, their scores and their weights."""
    titles, row = [one.title for one in SCORES.values()], list(SCORES).index(chosen)
    plane = charts.arrows(
        [query, *keys],
        ["query", *names],
        [theme.query, *[theme.key] * len(keys)],
        theme,
        title="Query and keys",
        strong=[0.3, *weights[row]],
        select="plane",
        size=side,
    )
    options = {"axes": ("score", "key"), "hidden": np.isneginf(scores), "size": size}
    picks = [charts.Pick(name, highlight={"row": row}) for name in ("a_score", "a_weight")]
    named, other = (
        charts.Style(square=False, numbers=numbers, row_labels=shown, legend=legend) for shown in (True, stacked)
    )
    maps = (
        charts.heatmap(
            scores,
            titles,
            names,
            theme,
            kind="signed",
            title="Scores",
            scale=charts.Scale(name="score"),
            pick=picks[0],
            style=named,
            **options,
        ),
        charts.heatmap(
            weights,
            titles,
            names,
            theme,
            title="→ Weights" if stacked else "Weights",
            pick=picks[1],
            style=other,
            **options,
        ),
    )
    row = (maps[0], "→", maps[1])
    below = maps if stacked else (charts.beside(*row),)
    return charts.above(plane, *below) if crowded else charts.beside(plane, *row)


def scores_picture(setup, result, room):
    """Draw the first picture of the page."""
    return _picture(
        result.query, result.keys, scores=result.scores, weights=result.weights, theme=page_theme(),
        **_layout(setup, result, room),
    )  # fmt: skip


def _crowded(result, room):
    """Return whether there are too many keys, or there is too little room, for everything to stand side by side."""
    least = 1060 if len(result.labels) > 3 else 860
    return room < (0.75 * least if window_low_for_hall() else least)  # a low plane is narrow, too


def _names_of(result):
    """Return the numbers of the keys, in the order in which they stand."""
    return [label.split()[-1] for label in result.labels]


def _layout(setup, result, room):
    """Return what `_picture` needs to know besides the numbers."""
    side, widest = (270, 72) if room < 1200 else (min(420, max(300, page_tallest())), 96)
    side = 200 if window_low_for_hall() else side
    side = min(side, max(200, int(room) - 160))  # names of scores stand at its left, too, where it lies over them
    crowded = _crowded(result, room)
    beside = 0 if crowded else side + 60
    cell = int(room - beside - 270) // (2 * len(result.labels))
    stacked = crowded and cell < LEAST_COLUMN  # two maps have no room side by side
    if stacked:
        cell = int(room - NAMES) // len(result.labels)
    cell = max(LEAST_COLUMN, min(widest, cell))
    size = (cell * len(result.labels), side)
    return {
        "names": _names_of(result), "chosen": setup.score, "side": side, "size": size,
        "numbers": cell >= _WRITTEN_COLUMN,
        "crowded": crowded, "stacked": stacked, "legend": not window_low_for_hall(),
    }  # fmt: skip


def scores_reading(setup, result):
    """Say which key each score prefers, and that none of their parameters is trained."""
    preferred = [listed(result.winners(at)) for at in range(len(SCORES))]
    chosen = preferred[list(SCORES).index(setup.score)]
    agree = f"all {EVERY} prefer **{chosen}**"
    differ = f"{SCORES[setup.score].title}, the score in view, prefers **{chosen}**, but not all {EVERY} scores agree"
    sentence = agree if len(set(preferred)) == 1 else differ
    for one, hidden in zip(SCORES.values(), result.hidden, strict=True):
        if hidden.any():
            sentence += f"; {one.title.lower()} has parameters for only {(~hidden).sum()} places and sees no further"
    untrained = f"{UNTRAINED} The parameters are drawn by chance. " if setup.parameters == "random" else ""
    return (
        f"{untrained}A score says how well a query matches a key; the key with the highest score gets the most weight. "
        f"{capital(sentence)}."
    )


def scores_with_parameters():
    """Name the scores that have something to learn."""
    return listed([one.title.lower() for one in SCORES.values() if one.parameters]).capitalize()


def scores_formula(name):
    """Return a score as LaTeX in the colours of its roles."""
    look = page_theme()
    letters = {"q": (look.query, "q"), "k": (look.key, "k_j")}
    colored = {key: rf"\textcolor{{{color}}}{{{letter}}}" for key, (color, letter) in letters.items()}
    return "s_j = " + SCORES[name].formula.format(**colored)


def scores_code(setup, result, room):
    """Return the lines that compute the chosen score, and those that draw all in the first picture of the page."""
    settings = {"query": result.query.round(9).tolist(), "keys": result.keys.round(9).tolist()}
    parameters = scores_parameters(setup)
    if setup.parameters == "example":
        drawn, made = (), {"parameters": parameters}
    else:
        drawn, made = (("parameters", _drawn_parameters),), {"seed": setup.seed, "n_most": MOST_KEYS}
    chosen = SCORES[setup.score]
    given = f', **parameters["{setup.score}"]' if parameters.get(setup.score) else ""
    lines = (
        "from attn import alignment, softmax\n"
        f"scores = alignment.{chosen.score.__name__}(query, keys{given})\n"
        "weights = softmax(scores)\nprint(scores.round(6))\nprint(weights.round(6))"
    )
    return Codes(
        numpy=lambda: _numpy_code(setup, result, parameters.get(setup.score, {})),
        attn=lambda: shown_code(settings | (made if given else {}), *(drawn if given else ()), lines),
        draw=lambda: shown_code(
            settings | made | _layout(setup, result, room) | {"theme": LIGHT},
            *drawn,
            ("scores", scores_by_kind),
            "weights = softmax(scores)\n",
            ("picture", _picture),
            'charts.save(picture, "scores.svg")',
        ),
    )


def _numpy_code(setup, result, parameters):
    """Return the lines that compute the chosen score in numpy alone."""
    one = SCORES[setup.score]
    arrays = ((name, np.asarray(values)) for name, values in parameters.items())
    learned = "\n".join(numpy_array(name, values, values.shape) for name, values in arrays)
    return numpy_code(
        Paragraph(
            f"One query and {len(result.keys)} keys",
            f"{numpy_array('query', result.query.round(9))}\n"
            f"{numpy_array('keys', result.keys.round(9), result.keys.shape)}",
        ),
        Paragraph("What training would find", learned) if learned else None,
        Paragraph(f"{one.title}: {one.source}", f"{one.in_numpy}\nprint(scores.round(6))", "score"),
        Paragraph(
            "Weights: the softmax of the scores, which sums to 1",
            "exp = np.exp(scores - scores.max())\nweights = exp / exp.sum()\nprint(weights.round(6))",
        ),
        at="score",
    )
