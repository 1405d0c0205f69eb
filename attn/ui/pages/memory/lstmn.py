"""The part LSTMN: a cell that looks back at its own states."""

from functools import partial

import numpy as np
import streamlit as st

from attn import charts
from attn.analysis import leak_test
from attn.architectures import lstmn
from attn.architectures.recurrent import Recurrent
from attn.data import examples
from attn.ui.code_tabs import page_code
from attn.ui.controls.sentence import UNTRAINED
from attn.ui.numpy_code import Paragraph, numpy_code, numpy_embeddings, numpy_tokens
from attn.ui.page import page_figure, page_reading, page_tabs, page_theme
from attn.ui.pages.memory.setup import DEFAULT_SENTENCE, memory_setup_letter, memory_setup_tabs
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_tallest, page_width
from attn.words import number, share

MOST_WORDS = 24


D_MODEL, WIDTH = 8, 8  # of the cell that looks back


LOOKS = {"w_past": WIDTH, "w_now": D_MODEL, "w_summary": WIDTH}  # its matrices, and their rows


def memory_lstmn_controls(state):
    """Draw the sentence and how sharply the cell looks back."""
    st.text_area(
        "Sentence", key=state.key("sentence"), height=96, max_chars=400,
        help=f"Up to {MOST_WORDS} words and signs. Each gets a random vector.",
    )  # fmt: skip
    st.slider(
        "Sharpness", 0.0, 20.0, step=0.5, key=state.key("focus"),
        help="Multiplies the scores; at 0 each step looks at all before it alike.",
    )  # fmt: skip
    st.number_input(
        "Seed", 0, 9999, key=state.key("seed"), help="Another seed draws other words' vectors and other weights."
    )


def _cell_of(words, seed, focus):
    """Return the words as vectors, the cell, and how it looks back, all random."""
    x = examples.random_example(words, D_MODEL, 1, 1, seed).x
    rng = np.random.default_rng(seed)
    cell = Recurrent(rng.normal(size=(D_MODEL, 4 * WIDTH)) / 3, rng.normal(size=(WIDTH, 4 * WIDTH)) / 3)
    looks = {name: rng.normal(size=(rows, WIDTH)) / 3 for name, rows in LOOKS.items()}
    looks["v"] = focus * rng.normal(size=WIDTH)
    return x, cell, looks


def _look_back(x, cell, looks):
    """Run the cell over the words."""
    return lstmn.look_back(x, cell, **looks)


def _picture(steps, labels, hidden, theme, room, tallest):
    """Draw over which of its past states each step looks."""
    named = (len(labels) - 1, int(steps.weights[-1].argmax())) if len(labels) > 1 else None
    options = {"hidden": hidden, "title": "Where each step looks back", "axes": ("query", "key")}
    options["pick"] = charts.Pick(selected=named)
    return charts.panels(theme, room, charts.panel(steps.weights, labels, labels, **options), tallest=tallest)


def memory_lstmn_tab(state, setup):
    """Show over which of its own past states each step of a cell looks."""
    words = examples.split_words(setup.sentence)
    if not words:
        st.error("Type at least one word. The example is shown instead.")
        words = examples.split_words(DEFAULT_SENTENCE)
    if len(words) > MOST_WORDS:
        st.warning(f"This part reads at most {MOST_WORDS} words: the first {MOST_WORDS} of {len(words):,} are used.")
    words = words[:MOST_WORDS]
    labels = charts.token_labels(words)
    x, cell, looks = _cell_of(words, setup.seed, setup.focus)
    steps = _look_back(x, cell, looks)
    moved = _moved_before(x, cell, looks)
    h, q, z = (
        memory_setup_letter("key", "h_i"),
        memory_setup_letter("query", "x_t"),
        memory_setup_letter("output", r"\tilde h_t"),
    )
    page_reading(
        _looking_back_in_words(labels, steps, moved),
        rf"\begin{{gathered}} a_i = v^\top \tanh(W_h {h} + W_x {q} + W_s \tilde h_{{t-1}}) \\ "
        rf"{z} = \textstyle\sum_{{i<t}} \mathrm{{softmax}}(a)_i\, {h} \end{{gathered}}",
        f"The {len(words)} words are {len(words)} × {D_MODEL} numbers, the states {len(words)} × {WIDTH}, the weights "
        f"{len(words)} × {len(words)}.",
        terms=("recurrent", "hidden state"),
    )
    hidden = np.triu(np.ones((len(words),) * 2, dtype=bool))
    codes = partial(_looking_back_code, setup, words)
    page_figure(
        _picture(steps, labels, hidden, page_theme(), page_width(), page_tallest(85, count=len(words))),
        "memory.looking_back",
        tables={"weights": lambda: charts.csv(steps.weights, labels, labels, hidden)},
        codes=codes,
    )
    page_tabs(
        state,
        memory_setup_tabs("States"),
        {
            "more": lambda: _states(steps, labels),
            "code": lambda: page_code(state, codes()),
        },
    )


def _moved_before(x, cell, looks):
    """Measure how far replacing any word moves a state before it."""

    def states(x):
        return _look_back(x, cell, looks).state

    return max(leak_test(states, x, np.tri(len(x), dtype=bool), token).largest for token in range(len(x)))


def _looking_back_in_words(labels, steps, moved):
    """Say how the triangle grows, and that it cannot look ahead."""
    first = f"**{as_text(labels[0])}** has nothing to look back at"
    if len(labels) > 1:
        last = int(steps.weights[-1].argmax())
        first += (
            f"; **{as_text(labels[-1])}** looks most at **{as_text(labels[last])}** ({share(steps.weights[-1, last])})"
        )
    return (
        f"{UNTRAINED} A recurrent network reads one word after the other. This one looks back at all its earlier "
        f"states before each step, so that the triangle grows by a row with each word. {first}. Each word was replaced "
        f"in turn, and the states before it moved by **{number(moved, 2)}**: it cannot look ahead, and needs no mask."
    )


def _states(steps, labels):
    """Show what each step takes from its past, and the state it comes to."""
    st.markdown(
        "First what each step takes from its past, where other recurrent networks have the last state alone; then the "
        "state that it comes to."
    )
    columns = charts.counted(WIDTH)
    options = {"kind": "signed", "scale": charts.Scale(1.0), "axes": ("", "dimension")}
    page_figure(
        charts.panels(
            page_theme(),
            page_width(),
            charts.panel(steps.summary, labels, columns, title="From the past", **options),
            "→",
            charts.panel(steps.state, labels, columns, title="State", **options),
            tallest=page_tallest(85),
            decimals=2,
        ),
        "memory.states",
        tables={"states": lambda: charts.csv(steps.state, labels, columns)},
    )


def _looking_back_code(setup, words):
    return page_codes(
        lambda: _numpy_code(setup, words),
        {"words": list(words), "seed": setup.seed, "focus": setup.focus},
        (("x, cell, looks", _cell_of), ("steps", _look_back)),
        ("print(steps.weights.round(4))\nprint(steps.state.round(4))",),
        {"theme": LIGHT, "room": round(page_width()), "tallest": page_tallest(85, count=len(words))},
        (
            "labels, hidden = charts.token_labels(words), np.triu(np.ones((len(words), len(words)), dtype=bool))",
            ("picture", _picture),
            'charts.save(picture, "looking_back.svg")',
        ),
    )


def _numpy_code(setup, words):
    """Return the lines that let the cell look back in numpy alone."""
    n = len(words)
    return numpy_code(
        numpy_tokens(words, sizes=f"n, d_model, width = {n}, {D_MODEL}, {WIDTH}"),
        numpy_embeddings(np.empty((n, D_MODEL)), setup.seed),
        Paragraph("Weights of the cell and of how it looks back, drawn at random", _DRAWN.format(setup=setup)),
        Paragraph("A step of a recurrent network, a long short-term memory", _LSTM),
        Paragraph("Look back at all states so far, then take a step", _LOOK, "looking"),
        Paragraph("Where each step looked, and the states", "print(weights.round(4))\nprint(states.round(4))"),
        at="looking",
    )


_DRAWN = """\
rng = np.random.default_rng({setup.seed})
w_x = rng.normal(size=(d_model, 4 * width)) / 3  # of four gates
w_h = rng.normal(size=(width, 4 * width)) / 3
w_past = rng.normal(size=(width, width)) / 3  # reads the past: keys
w_now = rng.normal(size=(d_model, width)) / 3  # reads the word: query
w_summary = rng.normal(size=(width, width)) / 3
v = {setup.focus!r} * rng.normal(size=width)"""
_LSTM = """\
def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def lstm(x, state, cell):
    i, f, g, o = np.split(x @ w_x + state @ w_h, 4)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell
"""
_LOOK = """\
weights = np.zeros((n, n))  # row: who looks, column: at which state
states, cells = np.zeros((n, width)), np.zeros((n, width))
summary = cell = np.zeros(width)
for t in range(n):
    if t:  # the first word has nothing to look back at
        query = x[t] @ w_now + summary @ w_summary
        scores = np.tanh(query + states[:t] @ w_past) @ v
        exp = np.exp(scores - scores.max())
        weights[t, :t] = exp / exp.sum()
        summary = weights[t, :t] @ states[:t]  # in place of the last
        cell = weights[t, :t] @ cells[:t]
    states[t], cells[t] = lstm(x[t], summary, cell)"""
