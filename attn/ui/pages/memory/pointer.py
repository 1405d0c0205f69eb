"""The part Pointer: a network that was trained to sort by pointing at its inputs."""

import re
from functools import partial

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures import pointer_network
from attn.trained import pointer
from attn.ui.code_tabs import page_code
from attn.ui.numpy_code import Paragraph, numpy_array, numpy_code
from attn.ui.page import page_figure, page_reading, page_tabs, page_theme
from attn.ui.pages.memory.setup import DEFAULT_NUMBERS, memory_setup_letter, memory_setup_tabs
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_tallest, page_width

MOST_NUMBERS = 20


def memory_pointer_controls(state):
    """Draw the numbers to sort."""
    st.text_area(
        "Numbers to sort", key=state.key("numbers"), height=96, max_chars=400,
        help=f"2 to {MOST_NUMBERS} numbers from 0 to 1, with commas or spaces between them.",
    )  # fmt: skip
    st.toggle(
        "Leave out what was visited", key=state.key("leave_out"),
        help="A number that was pointed at gets no weight any more, so that each comes once.",
    )  # fmt: skip
    least, most = pointer.TRAINED_ON
    st.caption(
        f"The network is trained: it learnt to sort {least} to {most} numbers with two decimals. It never saw yours."
    )


def _numbers_of(typed):
    """Return the numbers that were typed.

    Returns
    -------
    list of float

    Raises
    ------
    ValueError
        If they are not 2 to 20 numbers from 0 to 1.
    """
    parts = [part for part in re.split(r"[\s,;]+", typed.strip()) if part]
    wanted = f"Type 2 to {MOST_NUMBERS} numbers from 0 to 1, such as {DEFAULT_NUMBERS}"
    for part in parts:
        if wrong := _wrong(part):
            raise ValueError(f"{wanted}, got {part if len(part) <= 20 else part[:19] + '…'}, which is {wrong}.")
    if not 2 <= len(parts) <= MOST_NUMBERS:
        counted = {0: "no number", 1: "1 number"}.get(len(parts), f"{len(parts)} numbers")
        raise ValueError(f"{wanted}, got {counted}.")
    return [float(part) for part in parts]


def _wrong(part):
    """Say what keeps a part of what was typed from being a number from 0 to 1, if anything does."""
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", part.lower(), re.ASCII):
        return "not a number"
    return "below 0" if float(part) < 0 else "above 1" if float(part) > 1 else ""


def _point(network, numbers, leave_out):
    """Let a network point at one number after the other."""
    inputs = np.array(numbers, dtype=np.float32)[:, None]
    return pointer_network.point_at_all(network, inputs, leave_out_visited=leave_out)


def _names_of(numbers, pointed):
    """Return what the steps and the inputs are called."""
    rows = [f"{step + 1} → {numbers[at]:g}" for step, at in enumerate(pointed.order)]
    columns = charts.token_labels([f"{x:g}" for x in numbers])
    return rows, columns


def _picture(pointed, rows, columns, leave_out, theme, room, tallest):
    """Draw the scores of every step, and where it points."""
    options = {"hidden": pointed.visited if leave_out else None, "axes": ("step", "input")}
    return charts.panels(
        theme,
        room,
        charts.panel(pointed.scores, rows, columns, kind="signed", title="Scores", **options),
        "→",
        charts.panel(pointed.weights, rows, columns, title="Where each step points", **options),
        tallest=tallest,
    )


def memory_pointer_tab(state, setup):
    """Show where a trained network points, step by step."""
    try:
        numbers = _numbers_of(setup.numbers)
    except ValueError as error:
        st.error(as_text(f"{error} The example is shown instead."))
        numbers = _numbers_of(DEFAULT_NUMBERS)
    network, accuracy = pointer.load()
    pointed = _point(network, numbers, setup.leave_out)
    found = [numbers[at] for at in pointed.order]
    rows, columns = _names_of(numbers, pointed)
    e, d = memory_setup_letter("key", "e_j"), memory_setup_letter("query", "d_i")
    page_reading(
        memory_pointer_in_words(numbers, found),
        rf"\begin{{gathered}} u_j = v^\top \tanh(W_1 {e} + W_2 {d}) \\ p = \mathrm{{softmax}}(u) \end{{gathered}}",
        f"Each of the {len(numbers)} numbers becomes a vector of {len(network.v)} numbers, as does each step. The "
        f"{len(numbers)} × {len(numbers)} weights are the output.",
    )
    codes = partial(_pointing_code, numbers, setup.leave_out)
    page_figure(
        _picture(
            pointed, rows, columns, setup.leave_out, page_theme(), page_width(), page_tallest(85, count=len(numbers))
        ),
        "memory.pointing",
        tables={
            "weights": lambda: charts.csv(pointed.weights, rows, columns),
            "scores": lambda: charts.csv(pointed.scores, rows, columns),
        },
        codes=codes,
    )
    page_tabs(
        state,
        memory_setup_tabs("How often it is right"),
        {
            "more": lambda: _accuracy(accuracy),
            "code": lambda: page_code(state, codes()),
        },
    )


def memory_pointer_in_words(numbers, found):
    """Say what came out, and whether it is sorted."""
    listed = ", ".join(f"{x:g}" for x in found)
    wrong = next((at for at, pair in enumerate(zip(found, sorted(numbers), strict=True)) if pair[0] != pair[1]), None)
    if wrong is None:
        verdict = "Sorted, without a mistake"
    else:
        verdict = f"Wrong from step {wrong + 1} on, where {sorted(numbers)[wrong]:g} should come"
    return (
        "A trained network reads the numbers in the order in which you typed them, then points at one after the "
        f"other: **{listed}**. {verdict}. Its weights mix nothing: each row of them is itself the answer of a step, so "
        "the same network takes any number of inputs."
    )


def _accuracy(accuracy):
    """Show how often whole inputs are sorted right, by their length."""
    n = list(accuracy)
    free, left_out = (np.array([accuracy[length][at] for length in n]) for at in (0, 1))
    most = pointer.TRAINED_ON[1]
    st.markdown(
        f"How often it sorts without a mistake, measured on {pointer.DRAWN:,} new inputs of each length. Of 10 numbers "
        f"it does **{accuracy[10][0]:.1%}** of the time where it may point twice, and **{accuracy[10][1]:.1%}** where "
        f"it may not. It was trained on up to {most} numbers; longer inputs are new to it."
    )
    page_figure(
        charts.beside(
            charts.curves(
                [
                    charts.Curve("visited left out", n, left_out, page_theme().key),
                    charts.Curve("free", n, free, page_theme().muted),
                ],
                page_theme(),
                x="numbers",
                y=charts.Axis("share sorted without a mistake", range=(0.0, 1.0)),
                marks=[(most, "longest in training")],
                dots=True,
                width=min(page_width(), 1200),
                height=min(max(300, page_width() // 4), 400),
            )
        ),
        "memory.accuracy",
        tables={"accuracy": lambda: charts.csv(np.stack([free, left_out], axis=1), n, ["free", "visited left out"])},
    )


def _pointing_code(numbers, leave_out):
    return page_codes(
        lambda: _numpy_code(numbers, leave_out),
        {"numbers": numbers, "leave_out": leave_out},
        ("network, accuracy = pointer.load()", ("pointed", _point)),
        (
            "print([numbers[at] for at in pointed.order])\n"
            "print(pointed.scores.round(4))\nprint(pointed.weights.round(4))",
        ),
        {"theme": LIGHT, "room": round(page_width()), "tallest": page_tallest(85, count=len(numbers))},
        (("rows, columns", _names_of), ("picture", _picture), 'charts.save(picture, "pointing.svg")'),
    )


def _numpy_code(numbers, leave_out):
    """Return the lines that let the trained network point in numpy alone."""
    n = len(numbers)
    hide = "\n    scores = np.where(visited, -np.inf, scores)  # each comes once" if leave_out else ""
    return numpy_code(
        Paragraph("What training has found: it comes with the package", _WEIGHTS),
        Paragraph(f"The {n} numbers to sort", f"{numpy_array('numbers', np.array(numbers))}\nn = {n}"),
        Paragraph("A step of a recurrent network, a long short-term memory", _LSTM),
        Paragraph("Read: a state for each number, as keys", _READ),
        Paragraph("Point: the weights of each step are its answer", _POINT.format(hide=hide), "pointing"),
        Paragraph(
            "The numbers in the order in which it pointed",
            "print(numbers[order].tolist())\nprint(np.array(all_scores).round(4))\n"
            "print(np.array(all_weights).round(4))",
        ),
        at="pointing",
    )


_WEIGHTS = """\
from importlib.resources import files
from safetensors.numpy import load_file
w = load_file(files("attn.trained") / "pointer.safetensors")"""
_LSTM = """\
def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def lstm(x, state, cell, part):
    gates = x @ w[f"{part}.w_x"] + state @ w[f"{part}.w_h"]
    i, f, g, o = np.split(gates + w[f"{part}.b_x"], 4)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell
"""
_READ = """\
state = cell = np.zeros(len(w["v"]))
encoded = []
for number in numbers:
    state, cell = lstm(np.array([number]), state, cell, "encoder")
    encoded.append(state)
keys = np.array(encoded) @ w["w_encoded"]  # a row for each number"""
_POINT = """\
x, visited = w["start"], np.zeros(n, dtype=bool)
order, all_scores, all_weights = [], [], []
for step in range(n):
    state, cell = lstm(x, state, cell, "decoder")
    query = state @ w["w_decoded"]
    scores = np.tanh(query + keys) @ w["v"]  # additive attention
    all_scores.append(scores){hide}
    exp = np.exp(scores - scores.max())
    weights = exp / exp.sum()
    best = weights.argmax()
    visited[best], x = True, numbers[[best]]
    order.append(best), all_weights.append(weights)"""
