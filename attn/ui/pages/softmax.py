"""Softmax: from a row of scores to weights, what that does to gradients, and the code for it."""

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import analysis, charts, scaled_dot_product_attention, softmax
from attn.charts.labels import number
from attn.charts.plane import LEAST_PLOT, least_plane
from attn.data import examples
from attn.functional import share_of_sum, softmax_jacobian
from attn.masks import top_k
from attn.ui.link import link_choice, link_real, link_string, link_whole
from attn.ui.numpy_code import Paragraph, numpy_array, numpy_code
from attn.ui.page import page_theme
from attn.ui.settings import visitor_settings
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_bars_width, page_plot_height, page_share
from attn.words import listed, ordinal

MOST = 24  # scores
_ROW, _LEAST_ROOM = 28, 700  # pixels from one bar to the next, and across three pictures side by side
TABS = {
    "gradient": "Gradient",
    "scaling": "Why divide by a square root?",
    "sum": "Divide by the sum",
    "sinks": "A sink, or the k largest",
    "plain": "Without training",
    "lookup": "Look it up",
    "code": "Code",
}
OLD_TABS = {  # what older links call them
    "Gradient": "gradient",
    "Why divide by √d_k?": "scaling",
    "Divide by the sum": "sum",
    "Without weights": "plain",
    "Look it up": "lookup",
    "Code": "code",
}
SCALING_FORMULA = r"\mathrm{Var}(q^\top k) = d_k \qquad \mathrm{Var}(q^\top k / \sqrt{d_k}) = 1"
WIDTHS = (1, 4, 16, 64, 256, 1024)
KEYS = np.array([[10, 0, 0], [0, 10, 0], [0, 0, 10], [0, 0, 10]], dtype=float)
VALUES = np.array([[1, 0], [10, 0], [100, 5], [1000, 6]], dtype=float)
LOOKUPS = {"first": "(10, 0, 0)", "second": "(0, 10, 0)", "third": "(0, 0, 10)", "both": "(10, 10, 0)"}
QUERIES = {"first": (10, 0, 0), "second": (0, 10, 0), "third": (0, 0, 10), "both": (10, 10, 0)}
TRIES = {
    "1, 2, 3": "Three in a row",
    "1001, 1002, 1003": "A thousand more",
    "0.9544, 1.495, 1.4754, 0.8434, 0.707, 1.0865": "Raschka's book",
    "0, 0, 0, 0": "All alike",
    "2, -1, 0.5, -2, 8": "One far ahead",
}


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Softmax."""

    scores: str = link_string("2, -1, 0.5, -2, 3")
    temperature: float = link_real(1.0, 0.05, 10)
    shift: float = link_real(0.0, -1000, 1000)
    keys: int = link_whole(16, 2, 64)
    seed: int = link_whole(0, 0, 9999)
    lookup: str = link_choice("third", LOOKUPS)
    sink: float = link_real(0.0, -20, 20)
    top_k: int = link_whole(2, 1, MOST)
    tab: str = link_choice("gradient", TABS, OLD_TABS)


class Softened(NamedTuple):
    """What the page shows."""

    scores: np.ndarray  # (n,) as typed
    shifted: np.ndarray  # and moved
    exponentials: np.ndarray  # of the distance to the largest
    weights: np.ndarray
    unmoved: float  # largest change that the shift makes to a weight
    labels: list


def _read_scores(text):
    """Read the typed scores.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        One sentence for the page.
    """
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    try:
        scores = np.array([float(part) for part in parts])
    except ValueError:
        wrong = next(part for part in parts if not _is_number(part))
        raise ValueError(f"Scores must be numbers with commas between them, got {wrong[:40]}") from None
    if not 1 <= len(scores) <= MOST or not np.isfinite(scores).all() or np.abs(scores).max() > 1e6:
        raise ValueError(f"There must be 1 to {MOST} finite scores, none beyond a million, got {len(scores)} numbers")
    return scores


def softmax_page_scores(state, setup):
    """Return the typed scores; where they cannot be read, say why and return the last that could."""
    key = state.key("valid")
    try:
        st.session_state[key] = _read_scores(setup.scores)
    except ValueError as problem:
        st.info(f"{as_text(str(problem))}. The picture keeps the last scores that could be read.")
    return st.session_state.get(key, _read_scores(Setup.scores))


def _is_number(text):
    """Say whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def compute_softmax_page(setup, scores):
    """Compute every step from the scores to the weights."""
    shifted = scores + setup.shift
    exponentials, weights = _soften(shifted, setup.temperature)
    unmoved = float(np.abs(weights - softmax(scores / setup.temperature)).max())
    return Softened(scores, shifted, exponentials, weights, unmoved, charts.counted(len(scores)))


def _soften(scores, temperature):
    """Return the exponentials of the distance to the largest score, and the weights."""
    scaled = scores / temperature
    exponentials = np.exp(scaled - scaled.max())
    weights = softmax(scaled)
    return exponentials, weights


def softmax_page_controls(state):
    """Draw the scores, and what is done to them."""
    tried = state.key("tried")

    def fill():
        if st.session_state[tried]:
            state.set(scores=st.session_state[tried])

    st.text_input(
        "Scores",
        key=state.key("scores"),
        max_chars=visitor_settings().text_length,
        help=f"Up to {MOST} numbers with commas between them.",
    )
    st.session_state[tried] = state.get("scores") if state.get("scores") in TRIES else None
    st.pills("Try", TRIES, format_func=TRIES.get, key=tried, on_change=fill, label_visibility="collapsed")
    st.slider(
        "Temperature", 0.05, 10.0, step=0.05, key=state.key("temperature"),
        help="Scores are divided by it. Below 1 the largest gets more, above 1 weights become alike.",
    )  # fmt: skip
    st.slider(
        "Add to every score", -1000.0, 1000.0, step=10.0, key=state.key("shift"),
        help="The softmax sees only differences: no weight changes, whatever is added to all.",
    )  # fmt: skip


def softmax_page_scaling_controls(state, width=None):
    """Draw how many random keys there are, and which; beside one another where each is said how wide it is.

    Parameters
    ----------
    state : PageState
    width : tuple of int, optional
        Pixels across of the two; the whole place without it.
    """
    keys, seed = width or ("stretch", "stretch")
    st.slider(
        "Keys", 2, 64, key=state.key("keys"), help="How many keys each random query is compared with.", width=keys
    )
    st.number_input("Seed", 0, 9999, key=state.key("seed"), help="Other random queries and keys.", width=seed)


def softmax_page_picture(setup, result, width):
    """Draw scores, exponentials and weights, one row each."""
    return _picture(
        result.shifted,
        result.exponentials,
        result.weights,
        _bar_width(_room_for_bars(result, width)),
        page_theme(),
    )


def _room_for_bars(result, width):
    """Return the pixels of the three pictures together."""
    return min(width, max(page_bars_width(width, _ROW * len(result.labels)), _LEAST_ROOM))


def _bar_width(room):
    """Return the pixels of the longest bar of three pictures, side by side where they fit."""
    beside = room / 3 - 110
    return int(beside if beside >= LEAST_PLOT else least_plane(min(room - 110, 300)))


def _picture(scores, exponentials, weights, width, theme):
    """Draw scores, exponentials and weights, one row each."""
    labels = charts.counted(len(scores))
    steps = (
        ("Scores", scores, "signed", None),
        ("Exponentials", exponentials, "magnitude", 1.0),
        ("Weights", weights, "weights", None),
    )
    drawn = [
        charts.bars(values, labels, theme, title=title, kind=kind, scale=charts.Scale(limit), width=width)
        for title, values, kind, limit in steps
    ]
    return charts.beside(drawn[0], "→", drawn[1], "→", drawn[2])


def softmax_page_in_words(setup, result):
    """Say what softmax made of the scores."""
    text = (
        f"The softmax turns scores into weights: shares that add up to 1. {_who_gets_most(result)}. Only differences "
        f"count: a score higher by {number(setup.temperature)} gets e = 2.72 times the weight. Type other scores among "
        "the controls."
    )
    if setup.shift:
        text += (
            f" Adding {number(setup.shift)} to all moved no weight by more than **{number(result.unmoved, 2)}**"
            f"{_overflow(result.shifted / setup.temperature)}."
        )
    return text


def softmax_page_steps_in_words(setup, result):
    """Say how weights are made of scores, and over how many keys they are spread."""
    spread = float(analysis.effective_keys(result.weights[None])[0])
    divided = "" if setup.temperature == 1 else f" ÷ {setup.temperature:g}, the temperature"
    return (
        f"An exponential is e to the power of (score − largest score){divided}, so the largest gets 1. To subtract the "
        "largest changes no weight, and keeps the numbers small. A weight is an exponential divided by the sum of all. "
        f"The effective number of keys is **{spread:.2f}** of "
        f"{len(result.weights)}: as if so many shared equally."
    )


def softmax_page_line(setup, result):
    """Say in a line which score gets how much, at which temperature."""
    return f"{_who_gets_most(result)} · temperature {number(setup.temperature)}"


def _who_gets_most(result):
    """Say which scores are the largest, and what each of them gets."""
    best = np.flatnonzero(result.shifted == result.shifted.max())
    score, weight = number(result.shifted[best[0]]), f"**{result.weights[best[0]]:.1%}**"
    if len(best) == 1:
        return f"The {ordinal(best[0] + 1)} score, {score}, is the largest and gets {weight}"
    if len(best) == len(result.shifted):
        return f"All scores are equal, {score}, so each gets {weight}"
    return f"The {listed(map(ordinal, best + 1))} score, {score} each, are the largest and get {weight} each"


def _overflow(scaled):
    """Say what would have happened without subtracting the largest score first."""
    with np.errstate(over="ignore", under="ignore"):
        naive = np.exp(scaled)
    if np.isinf(naive).any():
        return f", though exp({number(float(scaled.max()))}) itself is more than a float can hold"
    return ", though every exponential alone would be rounded to 0" if not naive.any() else ""


def softmax_page_gradient(setup, result, width):
    """Return the derivative by the scores as typed, its picture, and the sentence that reads it."""
    jacobian = softmax_jacobian(result.weights) / setup.temperature  # scores are divided by it first
    picture = charts.panel(
        jacobian, result.labels, result.labels, kind="signed", title="Change of a weight (row) with a score (column)",
        axes=("weight", "score"),
    )  # fmt: skip
    best = int(result.weights.argmax())
    words = (
        "How do weights change when a score does? That is the gradient, by which a model learns. Raise the "
        f"{ordinal(best + 1)} score a little, and its weight rises {number(jacobian[best, best])} times as much. The "
        "others lose what it gains, so every column sums to 0. So does every row: raise all scores alike, and no "
        "weight changes. Where one weight comes near 1, the whole matrix goes to 0, and nothing is learnt. Now its "
        f"size is **{number(float(np.linalg.norm(jacobian)))}**, the root of the sum of its squares."
    )
    return charts.panels(page_theme(), width, picture), words, jacobian


@st.cache_data(max_entries=64, show_spinner="Drawing queries and keys …")
def softmax_page_saturations(keys, seed):
    """Measure for every width what scaling does."""
    return [
        tuple(analysis.saturation(width, np.random.default_rng(seed), num_keys=keys, num_draws=600)) for width in WIDTHS
    ]


def softmax_page_scaling_picture(found):
    """Draw largest weight and derivative over d_k, without and with scaling."""
    rows = [analysis.Saturation(*row) for row in found]
    each, drawn = page_share(0.5, beside=20), []
    for name, field in (("largest weight", "largest"), ("size of the derivative", "slope")):
        lines = [
            charts.Curve(label, WIDTHS, [getattr(row, field)[at] for row in rows], dashed=dashed)
            for at, (label, dashed) in enumerate((("undivided", False), ("divided", True)))
        ]
        drawn.append(
            charts.curves(
                lines,
                page_theme(),
                x=charts.Axis("dₖ", log=True, ticks=WIDTHS),
                y=charts.Axis(name, range=(0, 1 if field == "largest" else 0.4)),
                title=name.capitalize(),
                dots=True,
                width=each,
            )
        )
    return charts.beside(*drawn)


def softmax_page_scaling_reason(found, told=False):
    """Say why scores are divided by the root, with what was measured of the widest queries and keys.

    Parameters
    ----------
    found : list of tuple
        As `softmax_page_saturations` measures them.
    told : bool
        Whether the card of a story says what is asked and what comes of it, so that the reason is left.
    """
    last = analysis.Saturation(*found[-1])
    spread = math.sqrt(last.variance)
    asked = "Why divide by the root? A score adds up $d_k$ products, so it grows like $\\sqrt{d_k}$. "
    comes = ", and the softmax does not give everything to one key"
    return (
        f"{asked * (not told)}With random queries and keys each product has variance 1, so a score has variance $d_k$, "
        f"and its spread, the standard deviation, is the root of that: measured as **{spread:.1f}** at $d_k$ = "
        f"{last.d_k:,}. Divided by $\\sqrt{{d_k}}$ it stays near 1, here {spread / math.sqrt(last.d_k):.2f}"
        f"{comes * (not told)}."
    )


def softmax_page_scaling_seen(found, keys, told=False):
    """Say what each of the two pictures shows, with the numbers at the widest queries and keys.

    Parameters
    ----------
    found : list of tuple
        As `softmax_page_saturations` measures them.
    keys : int
    told : bool
        Whether the card of a story says the numbers of the first picture, so that the second alone is said, in short.
    """
    rows = [analysis.Saturation(*row) for row in found]
    last = rows[-1]
    if told:
        return (
            "**Size of the derivative:** how far the weights move when a score does. Undivided it falls to "
            f"**{last.slope[0]:.3f}**: little can be learnt."
        )
    return (
        f"**Largest weight:** of {keys} keys the best gets **{last.largest[0]:.2f}** at $d_k$ = {last.d_k:,}, and "
        f"divided by $\\sqrt{{d_k}}$ **{last.largest[1]:.2f}**. **Size of the derivative:** how far the weights move "
        "when a score does, and so how much the model can still learn from them. Undivided it falls to "
        f"**{last.slope[0]:.3f}**, divided it stays {_between([row.slope[1] for row in rows], 3)}."
    )


def _between(values, decimals):
    """Say between which two numbers all lie."""
    return f"between **{min(values):.{decimals}f}** and **{max(values):.{decimals}f}**"


def softmax_page_scaling_footnote(found, keys):
    """Say why the derivative first rises undivided, and from which width on leaving out the division harms."""
    rows = [analysis.Saturation(*row) for row in found]
    alike = np.linalg.norm(softmax_jacobian(np.full(keys, 1 / keys)))
    best = max(rows, key=lambda row: row.slope[0])
    harm = next(row.d_k for row in rows if row.slope[0] < row.slope[1])
    rise = f"That is why it first rises undivided, to {best.slope[0]:.3f} at $d_k = {best.d_k}$. "
    return (
        f"The derivative is {alike:.3f} where {keys} keys share alike, up to 0.5 where two share alone, and 0 where "
        f"one has all. {rise * (best is not rows[0])}From $d_k = {harm}$ on it is smaller undivided than divided."
    )


def softmax_page_scaling_results(found):
    """Return what is told of the widest queries and keys: the largest weight, without and with scaling."""
    without, scaled = analysis.Saturation(*found[-1]).largest
    return {"undivided": without, "divided": scaled}


def softmax_page_scaling_csv(found):
    """Return the measured numbers as comma-separated text."""
    rows = [[row[1], *row[2], *row[3], *row[4]] for row in found]
    names = [
        "variance",
        *(f"{name}, {how}" for name in ("largest", "entropy", "derivative") for how in ("undivided", "divided")),
    ]
    return charts.csv(rows, [str(row[0]) for row in found], names)


def softmax_page_by_sum(result):
    """Return the picture of both ways to make shares of scores, and the sentence that reads it."""
    shares = share_of_sum(result.shifted)
    each = page_share(0.5, beside=120)
    picture = charts.beside(
        charts.bars(shares, result.labels, page_theme(), title="Score ÷ sum of scores", kind="signed", width=each),
        charts.bars(result.weights, result.labels, page_theme(), title="Softmax", kind="weights", width=each),
    )
    words = (
        f"Why not divide each score by the sum of all? {_divided(result, shares)}. Add 1,000 to all, and these shares "
        "become alike, while those of the softmax stay. Negative scores, and scores that cancel out, are why the "
        "softmax is used."
    )
    return picture, words, shares


def _divided(result, shares):
    """Say what comes of dividing the scores by their sum."""
    total, low = float(result.shifted.sum()), int(shares.argmin())
    if total == 0:
        return "These scores sum to 0, and one cannot divide by 0: the picture shows 0 in place of each share"
    start = f"Divided by their sum, {number(total)}, scores add up to 1 as well"
    if shares[low] < 0:
        turned = ", and as the sum is negative, the order is turned round" if total < 0 else ""
        return (
            f"{start}. The {ordinal(low + 1)} score gets {number(shares[low])}, but a share cannot be negative{turned}"
        )
    said = (
        f"{start}. Here the shares run from {number(shares.min())} to {number(shares.max())}, those of softmax from "
        f"{number(result.weights.min())} to {number(result.weights.max())}"
    )
    if total < 0 and shares.min() < shares.max():
        return f"{said}. No score is above 0, so the order is turned round: the smallest score gets the largest share"
    return said


def softmax_page_sink_controls(state, n):
    """Draw the score of the sink and how many keys are kept, for `n` scores."""
    state.clamp("top_k", 1, n)
    with st.container(horizontal=True):
        st.slider(
            "Score of the sink", -20.0, 20.0, step=0.5, key=state.key("sink"), width=260,
            help="A sink is one more key, which takes weight and hands on nothing.",
        )  # fmt: skip
        if n > 1:
            st.slider(
                "Keep the largest", 1, n, key=state.key("top_k"), width=260,
                help="Only so many of the largest scores get any weight; equal ones are kept together.",
            )  # fmt: skip


def softmax_page_sink_and_largest(setup, result):
    """Return the weights beside a sink, with its own share last, and the weights of the k largest alone."""
    scaled = result.shifted / setup.temperature
    beside = softmax(scaled, sinks=[setup.sink / setup.temperature])
    kept = top_k(scaled[None], setup.top_k).visible[0]
    return np.append(beside, 1 - beside.sum()), softmax(np.where(kept, scaled, -np.inf))


def softmax_page_sink_picture(setup, result, width):
    """Draw the weights as they are, beside a sink, and of the k largest alone."""
    beside, largest = softmax_page_sink_and_largest(setup, result)
    shown = (
        ("Softmax", result.weights, result.labels),
        ("Beside a sink", beside, [*result.labels, "sink"]),
        ("The largest alone", largest, result.labels),
    )
    return charts.beside(
        *(
            charts.bars(weights, labels, page_theme(), title=title, kind="weights", width=_bar_width(width))
            for title, weights, labels in shown
        )
    )


def softmax_page_sink_words(setup, result):
    """Say what the sink takes, and what the k largest get of what the others lose."""
    beside, largest = softmax_page_sink_and_largest(setup, result)
    kept = int((largest > 0).sum())
    share = float(result.weights[largest > 0].sum())
    return (
        "The softmax must give away all of its weight, even where no key fits. A sink is one more key, which hands on "
        f"nothing. With a score of {number(setup.sink)} it takes **{beside[-1]:.1%}**, and the other weights sum to "
        f"{number(float(beside[:-1].sum()))}. In “The largest alone” only the {_largest(kept)} weight: their "
        f"**{share:.1%}** of the whole become 100%."
    )


def softmax_page_sink_footnote(setup, result):
    """Say where sinks come from, and that beside one more than differences counts."""
    lower = softmax((result.shifted - 10) / setup.temperature, sinks=[setup.sink / setup.temperature])
    return (
        "A sink of score 0 adds e⁰ = 1 to the sum below the line: that is the softmax “off by one” (Miller, 2023). "
        "gpt-oss trains a sink for each head. Beside a sink more than differences counts: with 10 less on every score "
        f"it would take {1 - lower.sum():.1%}. Keeping the k largest scores alone is from Zhao et al., 2019."
    )


def _largest(kept):
    """Say how many of the largest scores get weight."""
    return "largest score gets" if kept == 1 else f"{kept} largest scores get"


def softmax_page_without_weights(width):
    """Return attention with no trained matrix at all: the picture, and the sentence that reads it."""
    e = examples.journey_example()
    attention = scaled_dot_product_attention(e.x, e.x, e.x, scale=1)
    labels, widths = charts.token_labels(e.tokens), charts.counted(e.x.shape[1])
    picture = charts.panels(
        page_theme(), width,
        charts.panel(attention.weights, labels, labels, title="softmax(X Xᵀ)"),
        "×",
        charts.panel(e.x, labels, widths, title="X", kind="signed", axes=("key", "value")),
        "=",
        charts.panel(attention.context, labels, widths, title="Context", kind="signed", axes=("query", "output")),
        tallest=page_plot_height(),
    )  # fmt: skip
    row = ", ".join(f"{value:.4f}" for value in attention.context[1])
    words = (
        "Attention works without any trained matrix: X itself is query, key and value. Words then look at words with "
        f"similar numbers, and **{as_text(labels[1])}** becomes a mixture of all of them: ({row}). Training decides "
        "what "
        "counts as similar."
    )
    return picture, words


def softmax_page_looked_up(setup, width):
    """Return attention as a soft dictionary: the picture, and the sentence that reads it."""
    query = np.array(QUERIES[setup.lookup], dtype=float)
    attention = scaled_dot_product_attention(query[None], KEYS, VALUES, scale=1)
    names, widths = [f"entry {place + 1}" for place in range(len(KEYS))], charts.counted(2)
    picture = charts.panels(
        page_theme(), width,
        charts.panel(KEYS, names, charts.counted(3), title="Keys", kind="signed", axes=("key", "dimension")),
        "·q →",
        charts.panel(attention.weights.T, names, ["weight"], title="Weights", axes=("key", "")),
        "×",
        charts.panel(VALUES, names, widths, title="Values", kind="signed", axes=("key", "value")),
        "=",
        charts.panel(
            attention.context, ["q"], widths, title="Found", kind="signed", axes=("query", "output"),
            scale=charts.Scale(VALUES.max()), style=charts.Style(decimals=1, legend=False),
        ),
    )  # fmt: skip
    hits = np.flatnonzero(attention.weights[0] > 0.01)
    found = ", ".join(number(value, 4) for value in attention.context[0].round(3))
    where = listed(f"entry {place + 1}" for place in hits)
    kind = "its value comes back" if len(hits) == 1 else "the mean of their values comes back"
    words = (
        f"Attention looks things up. The query {LOOKUPS[setup.lookup]} matches {where}: {kind}, ({found}). A "
        "dictionary "
        "gives the one value whose key fits; attention mixes values, the more of each the better its key fits."
    )
    return picture, words


def softmax_page_code(setup, result, width):
    """Return the lines that compute exponentials and weights, and those that draw them beside the scores."""
    return page_codes(
        lambda: _numpy_code(setup, result),
        {"scores": result.shifted, "temperature": setup.temperature},
        (("exponentials, weights", _soften),),
        ("print(exponentials.round(6))\nprint(weights.round(6))",),
        {"width": _bar_width(_room_for_bars(result, width)), "theme": LIGHT},
        (("picture", _picture), 'charts.save(picture, "softmax.svg")'),
    )


def _numpy_code(setup, result):
    """Return the lines of softmax in numpy alone."""
    moved = f"\nscores = scores + {setup.shift!r}  # the same to all: no weight moves" if setup.shift else ""
    largest = number(result.shifted.max() / setup.temperature)
    return numpy_code(
        Paragraph("Scores: how well each key matches", f"{numpy_array('scores', result.scores)}{moved}"),
        Paragraph("Temperature: below 1 sharpens, above 1 flattens", f"scaled = scores / {setup.temperature!r}"),
        Paragraph(
            f"Exponentials of the distance to the largest, {largest}: none can overflow",
            "exp = np.exp(scaled - scaled.max())\nprint(exp.round(6))",
        ),
        Paragraph(
            "Weights: each exponential divided by their sum, so that they sum to 1",
            f"weights = exp / exp.sum()  # the sum is {number(result.exponentials.sum())}\nprint(weights.round(6))",
            "weights",
        ),
        at="weights",
    )
