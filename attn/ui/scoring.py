"""Scores: from the choices on the page to six scores of one query and the same keys, and the code for it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import alignment, charts, softmax
from attn.alignment import SCORES
from attn.ui.page import theme
from attn.ui.setup import choice, flag, points, real, whole

PARAMETERS = {"example": "Worked example", "random": "Random"}
LOOKS = {"equal": "All equal", "score": "By the score"}
TABS = ("What moves it", "Soft and hard", "Global and local", "The six scores", "Code")
DRAWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
REACH = 5  # numbers of a vector lie between -5 and 5
MOST_KEYS = 8
_MORE_KEYS = ((1.5, -1.0), (-2.0, -1.0), (0.5, 2.5), (-1.5, 0.5), (2.5, 1.5))  # what a new key is

FORMULAS = {  # {q} and {k} are letters in the colours of their roles
    "content": r"\frac{{{q}^\top {k}}}{{\lVert {q} \rVert\,\lVert {k} \rVert}}",
    "additive": r"v^\top \tanh(W {q} + U {k})",
    "location": r"(W {q})_{{\text{{place}}}}",
    "general": r"{q}^\top W\, {k}",
    "dot": r"{q}^\top {k}",
    "scaled_dot": r"\frac{{{q}^\top {k}}}{{\sqrt{{d}}}}",
}
LOCATION = list(SCORES).index("location")
READS = {  # what a score reads of the query and of the keys, and how many numbers it has to learn
    "content": ("direction only", "direction only", "0"),
    "additive": ("yes", "yes", r"$d_{hidden}\,(d_q + d_k + 1)$"),
    "location": ("yes", "**no**", r"$n_{most}\, d_q$"),
    "general": ("yes", "yes", r"$d_q\, d_k$"),
    "dot": ("yes", "yes", "0"),
    "scaled_dot": ("yes", "yes", "0"),
}


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Scores."""

    across: float = real(1.0, -REACH, REACH)
    up: float = real(2.0, -REACH, REACH)
    keys: tuple = points(((2.0, 0.0), (1.0, 1.0), (-1.0, 2.0)), MOST_KEYS, REACH)
    moved: int = whole(1, 0, MOST_KEYS)
    parameters: str = choice("example", PARAMETERS)
    seed: int = whole(1, 0, 9999)
    double: bool = flag(False)
    turn: int = whole(0, 0, 180)
    swap: bool = flag(False)
    score: str = choice("dot", SCORES)
    draws: int = whole(100, 1, DRAWS[-1])
    looks: str = choice("equal", LOOKS)
    positions: int = whole(10, 2, 24)
    predicted: bool = flag(False)
    centre: float = real(4.2, 1, 24)
    half_width: int = whole(2, 1, 12)
    tab: str = choice(TABS[0], TABS)


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


CHANGES = {  # what is done to query and keys, and in which order the keys then stand
    "other query": lambda query, keys: (turned(query, 90), keys, slice(None)),
    "other keys": lambda query, keys: (query, turned(keys, 90), slice(None)),
    "query × 2": lambda query, keys: (2 * query, keys, slice(None)),
    "keys × 2": lambda query, keys: (query, 2 * keys, slice(None)),
    "both turned": lambda query, keys: (turned(query, 30), turned(keys, 30), slice(None)),
    "swapped": lambda query, keys: (query, keys[::-1], slice(None, None, -1)),
}


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
        size=(len(columns) * min(100, (room - 190) // len(columns)), 264),
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
    unmoved = f"**{_listed(still)}** leave{'s' if len(still) == 1 else ''} it unmoved"
    sentence += f"{unmoved if still else 'every one of them moves it'}."
    if names := switched_on(setup):
        sentence += f" Switched on in the sidebar: {_listed(names)}. Together they moved its weights by up to "
        sentence += f"**{result.change[row]:.3f}**."
    return sentence


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
    """Return whether there are too many keys for everything to stand side by side."""
    return len(result.labels) > 3 and room < 1100


def names_of(result):
    """Return the numbers of the keys, in the order in which they stand."""
    return [label.split()[-1] for label in result.labels]


def sizes(setup, result, room):
    """Return the side of the plane, and what both maps share."""
    side, widest = (300, 72) if room < 1200 else (420, 96)
    beside = 0 if _crowded(result, room) else side + 60
    cell = min(widest, int(room - beside - 270) // (2 * len(result.labels)))
    shared = {"axes": ("score", "key"), "highlight": {"row": list(SCORES).index(setup.score)}, "numbers": cell >= 40}
    return side, shared | {"size": (cell * len(result.labels), side), "square": False}


def reading(result):
    """Say which key each score prefers."""
    groups = {}
    for at, one in enumerate(SCORES.values()):
        groups.setdefault(" and ".join(result.winners(at)), []).append(one.title.lower())
    parts = [f"{_listed(names)} prefer{'s' if len(names) == 1 else ''} **{keys}**" for keys, names in groups.items()]
    sentence = f"all six prefer **{next(iter(groups))}**" if len(groups) == 1 else "; ".join(parts)
    if result.hidden.any():
        sentence += f"; location has learnt only {int((~result.hidden[LOCATION]).sum())} places and sees no further"
    return f"{sentence[0].upper()}{sentence[1:]}."


def _listed(words):
    """Return words as in a sentence."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def formula(name):
    """Return a score as LaTeX in the colours of its roles."""
    look = theme()
    letters = {"q": (look.query, "q"), "k": (look.key, "k_j")}
    colored = {key: rf"\textcolor{{{color}}}{{{letter}}}" for key, (color, letter) in letters.items()}
    return "s_j = " + FORMULAS[name].format(**colored)


# Choosing


def keys_editor(state):
    """Draw the keys as a table to type into, with buttons for more and fewer of them."""
    made, version = state.key("keys.made"), state.key("keys.version")
    keys = [list(pair) for pair in state.get("keys")]
    widget = f"{state.key('keys.table')}.{st.session_state.setdefault(version, 0)}"
    if _typed(st.session_state.get(made, keys), widget) != keys:  # changed from elsewhere: a new table
        st.session_state[version] += 1
        widget = f"{state.key('keys.table')}.{st.session_state[version]}"
        st.session_state.pop(made, None)
    base = st.session_state.setdefault(made, keys)

    def keep():
        state.set(keys=tuple(tuple(pair) for pair in _typed(base, widget)))

    limits = {"min_value": -REACH, "max_value": REACH, "format": "%.4g"}
    st.data_editor(
        {"key": list(range(1, len(base) + 1)), "across": [x for x, _ in base], "up": [y for _, y in base]},
        key=widget,
        on_change=keep,
        hide_index=True,
        disabled=["key"],
        column_config={
            "key": st.column_config.NumberColumn("Key", width=60),
            "across": st.column_config.NumberColumn("Across", width=90, **limits),
            "up": st.column_config.NumberColumn("Up", width=90, **limits),
        },
    )
    more, fewer = st.columns(2)
    more.button("Add a key", on_click=_add, args=(state,), disabled=len(keys) == MOST_KEYS, width="stretch")
    fewer.button("Remove one", on_click=_remove, args=(state,), disabled=len(keys) == 1, width="stretch")


def _typed(base, widget):
    """Return the keys with what was typed into the table; a cell left empty keeps its number."""
    keys = [list(pair) for pair in base]
    for row, changed in st.session_state.get(widget, {}).get("edited_rows", {}).items():
        for column, number in changed.items():
            if number is not None and int(row) < len(keys) and abs(float(number)) <= REACH:
                keys[int(row)][column == "up"] = float(number)
    return keys


def _add(state):
    keys = state.get("keys")
    state.set(keys=(*keys, _MORE_KEYS[(len(keys) - 3) % len(_MORE_KEYS)]))


def _remove(state):
    state.set(keys=state.get("keys")[:-1])


def move(state, across, up):
    """Put the chosen vector where the plane was clicked."""
    setup = state.choices()
    # what is seen may be turned, doubled and swapped; what is chosen is not
    x, y = (float(min(max(part, -REACH), REACH)) for part in turned(np.array([across, up]), -setup.turn).round(9))
    if setup.moved == 0:
        state.set(across=x, up=y)
        return
    scale = 2 if setup.double else 1
    keys = list(setup.keys)
    keys[min(setup.moved, len(keys)) - 1] = (x / scale, y / scale)
    state.set(keys=tuple(keys))


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
