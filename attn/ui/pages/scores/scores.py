"""Scores: from the choices on the page to six scores of one query and the same keys, and the code for it."""

import math
from typing import NamedTuple

import numpy as np

from attn import charts, softmax
from attn.alignment import SCORES
from attn.ui.page import theme
from attn.ui.pages.scores.setup import MOST_KEYS

LEAST_COLUMN = 32  # pixels of a key in a map, however little room there is

FORMULAS = {  # {q} and {k} are letters in the colours of their roles
    "content": r"\frac{{{q}^\top {k}}}{{\lVert {q} \rVert\,\lVert {k} \rVert}}",
    "additive": r"v^\top \tanh(W {q} + U {k})",
    "location": r"(W {q})_{{\text{{place}}}}",
    "general": r"{q}^\top W\, {k}",
    "dot": r"{q}^\top {k}",
    "scaled_dot": r"\frac{{{q}^\top {k}}}{{\sqrt{{d}}}}",
}


LOCATION = list(SCORES).index("location")


class Matched(NamedTuple):
    """One query, its keys, and all scores between them."""

    query: np.ndarray  # (2,)
    keys: np.ndarray  # (n, 2)
    labels: list  # of the keys
    scores: np.ndarray  # (6, n) -inf where a score has no parameters for the place
    weights: np.ndarray  # (6, n)
    change: np.ndarray  # (6,) largest change of a weight by what was switched on, each key followed

    @property
    def hidden(self):
        """Where there is no score."""
        return np.isneginf(self.scores)

    def winners(self, row):
        """Return the labels of the keys with the largest weight."""
        weights = self.weights[row]
        return [self.labels[at] for at in np.flatnonzero(weights >= weights.max() - 1e-9)]


def parameters_of(setup):
    """Return the parameters of every score, and the line of code that makes them."""
    if setup.parameters == "example":
        same = np.eye(2)
        return {
            "additive": {"w_q": same, "w_k": same, "v": np.ones(2)},
            "location": {"w": np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])},
            "general": {"w": np.array([[1.0, 0.5], [0.0, 1.0]])},
        }
    rng = np.random.default_rng(setup.seed)
    return {
        "additive": {"w_q": rng.normal(size=(2, 3)), "w_k": rng.normal(size=(2, 3)), "v": rng.normal(size=3)},
        "location": {"w": rng.normal(size=(2, MOST_KEYS))},
        "general": {"w": rng.normal(size=(2, 2))},
    }


def scores_of(query, keys, parameters):
    """Return all six scores, (6, n)."""
    return np.stack([one.score(query, keys, **parameters.get(name, {})) for name, one in SCORES.items()])


def turned(vectors, degrees):
    """Return vectors turned against the clock."""
    angle = math.radians(degrees)
    return vectors @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def matched(setup):
    """Score the keys, changed as switched on.

    Returns
    -------
    Matched
    """
    query, keys = np.array([setup.across, setup.up]), np.array(setup.keys)
    parameters = parameters_of(setup)
    before = softmax(scores_of(query, keys, parameters))
    order = np.arange(len(keys))[:: -1 if setup.swap else 1]
    query = turned(query, setup.turn)
    keys = turned(keys * (2 if setup.double else 1), setup.turn)[order]
    scores = scores_of(query, keys, parameters)
    weights = softmax(scores)
    change = np.abs(weights - before[:, order]).max(axis=1)
    return Matched(query, keys, [f"key {at + 1}" for at in order], scores, weights, change)


def picture(setup, result, room):
    """Draw the vectors, their scores and their weights."""
    look, row = theme(), list(SCORES).index(setup.score)
    titles, names = [one.title for one in SCORES.values()], names_of(result)
    side, options = sizes(setup, result, room)
    options |= {"hidden": result.hidden}
    plane = charts.arrows(
        np.vstack([result.query, result.keys]),
        ["query", *names],
        [look.query, *[look.key] * len(names)],
        look,
        title="Query and keys",
        strong=np.append(0.3, result.weights[row]),
        select="plane",
        size=side,
    )
    scores = charts.heatmap(
        result.scores,
        titles,
        names,
        look,
        kind="signed",
        title="Scores",
        tooltip_name="score",
        select="a_score",
        **options,
    )
    weights = charts.heatmap(
        result.weights, titles, names, look, title="Weights", row_labels=False, select="a_weight", **options
    )
    if _crowded(result, room):
        return charts.above(plane, charts.beside(scores, "→", weights))
    return charts.beside(plane, scores, "→", weights)


def _crowded(result, room):
    """Return whether there are too many keys, or there is too little room, for everything to stand side by side."""
    return room < (1100 if len(result.labels) > 3 else 860)


def names_of(result):
    """Return the numbers of the keys, in the order in which they stand."""
    return [label.split()[-1] for label in result.labels]


def sizes(setup, result, room):
    """Return the side of the plane, and what both maps share."""
    side, widest = (300, 72) if room < 1200 else (420, 96)
    beside = 0 if _crowded(result, room) else side + 60
    cell = max(LEAST_COLUMN, min(widest, int(room - beside - 270) // (2 * len(result.labels))))
    shared = {"axes": ("score", "key"), "highlight": {"row": list(SCORES).index(setup.score)}, "numbers": cell >= 40}
    return side, shared | {"size": (cell * len(result.labels), side), "square": False}


def reading(result):
    """Say which key each score prefers."""
    groups = {}
    for at, one in enumerate(SCORES.values()):
        groups.setdefault(" and ".join(result.winners(at)), []).append(one.title.lower())
    parts = [f"{listed(names)} prefer{'s' if len(names) == 1 else ''} **{keys}**" for keys, names in groups.items()]
    sentence = f"all six prefer **{next(iter(groups))}**" if len(groups) == 1 else "; ".join(parts)
    if result.hidden.any():
        sentence += f"; location has learnt only {int((~result.hidden[LOCATION]).sum())} places and sees no further"
    return f"{sentence[0].upper()}{sentence[1:]}."


def listed(words):
    """Return words as in a sentence."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def formula(name):
    """Return a score as LaTeX in the colours of its roles."""
    look = theme()
    letters = {"q": (look.query, "q"), "k": (look.key, "k_j")}
    colored = {key: rf"\textcolor{{{color}}}{{{letter}}}" for key, (color, letter) in letters.items()}
    return "s_j = " + FORMULAS[name].format(**colored)


def code_of(setup, result, room):
    """Return the lines that draw the first picture of the page."""
    if setup.parameters == "example":
        made = """parameters = {
    "additive": {"w_q": np.eye(2), "w_k": np.eye(2), "v": np.ones(2)},
    "location": {"w": np.array([[1, 0, 0.5], [0, 1, 0.5]])},
    "general": {"w": np.array([[1, 0.5], [0, 1]])},
}"""
    else:
        made = f"""rng = np.random.default_rng({setup.seed})
parameters = {{
    "additive": {{"w_q": rng.normal(size=(2, 3)), "w_k": rng.normal(size=(2, 3)), "v": rng.normal(size=3)}},
    "location": {{"w": rng.normal(size=(2, {MOST_KEYS}))}},
    "general": {{"w": rng.normal(size=(2, 2))}},
}}"""
    query, keys = (np.atleast_2d(array).round(9).tolist() for array in (result.query, result.keys))
    row, (side, options) = list(SCORES).index(setup.score), sizes(setup, result, room)
    return f"""import numpy as np
import attn
from attn import charts
from attn.alignment import SCORES

query, keys = {query[0]}, {keys}
{made}
scores = np.stack([one.score(query, keys, **parameters.get(name, {{}})) for name, one in SCORES.items()])
weights = attn.softmax(scores)
print(scores.round(6), weights.round(6), sep="\\n")

look, rows, columns = charts.LIGHT, [one.title for one in SCORES.values()], {names_of(result)}
options = {options}
options["hidden"] = np.isneginf(scores)
plane = charts.arrows(
    [query, *keys], ["query", *columns], [look.query, *[look.key] * len(keys)], look,
    title="Query and keys", strong=[0.3, *weights[{row}]], size={side},
)
maps = (
    charts.heatmap(scores, rows, columns, look, kind="signed", title="Scores", tooltip_name="score", **options),
    "→",
    charts.heatmap(weights, rows, columns, look, title="Weights", row_labels=False, **options),
)
picture = {"charts.above(plane, charts.beside(*maps))" if _crowded(result, room) else "charts.beside(plane, *maps)"}
charts.save(picture, "scores.svg")
"""
