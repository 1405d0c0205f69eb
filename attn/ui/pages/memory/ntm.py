"""The part NTM: a memory that is read and written."""

from functools import partial

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures import turing_machine
from attn.charts.labels import fixed_labels
from attn.ui.code_tabs import page_code
from attn.ui.controls.sentence import UNTRAINED
from attn.ui.numpy_code import Paragraph, numpy_array, numpy_code
from attn.ui.page import page_figure, page_reading, page_tabs, page_theme
from attn.ui.pages.memory.setup import MATCH, MEMORIES, STAGES, memory_setup_letter, memory_setup_tabs
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.width import page_tallest, page_width, window_low_for_hall

WRITTEN_CELL, SHORT_CELL = 46, 42  # pixels of a cell that holds a number, and of one with a decimal less
LARGEST_CELL = 130  # pixels

EXAMPLE = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]])


def _memory_of(setup):
    """Return the rows of the memory."""
    return EXAMPLE if setup.memory == "example" else _drawn_memory(setup.seed, setup.rows)


def _drawn_memory(seed, n_rows):
    """Return a memory of random numbers."""
    return np.random.default_rng(seed).normal(size=(n_rows, 2)).round(1) + 0.0


def memory_ntm_controls(state):
    """Draw what addresses the memory and what is written, in the order in which it happens."""
    st.segmented_control(
        "Memory", MEMORIES, format_func=MEMORIES.get, key=state.key("memory"), required=True,
        help="The worked example has four rows and numbers that can be checked by hand.",
    )  # fmt: skip
    rows = 4
    if state.get("memory") == "random":
        st.slider("Rows", 2, 12, key=state.key("rows"), help="How many the memory has.")
        st.number_input("Seed", 0, 9999, key=state.key("seed"), help="Another seed draws another memory.")
        rows = state.get("rows")
    st.slider(
        "Key, first number",
        -5.0,
        5.0,
        step=0.1,
        key=state.key("across"),
        help="What the head looks for: the first of two numbers.",
    )
    st.slider("Key, second number", -5.0, 5.0, step=0.1, key=state.key("up"), help="And the second.")
    st.slider(
        "β, sharpness", 0.0, 50.0, step=0.5, key=state.key("sharpness"),
        help="0 weighs all rows alike; the larger, the more only the best match counts.",
    )  # fmt: skip
    state.clamp("previous", 1, rows)
    st.slider("Row of the step before", 1, rows, key=state.key("previous"), help="Where the head stood.")
    st.slider(
        "g, gate", 0.0, 1.0, step=0.05, key=state.key("gate"),
        help="1 goes by content alone, 0 stays where the head stood.",
    )  # fmt: skip
    state.clamp("shift", -float(rows), float(rows))
    st.slider(
        "s, shift", -float(rows), float(rows), step=0.1, key=state.key("shift"),
        help="How many rows to move on; after the last comes the first. A fraction is shared out between two rows.",
    )  # fmt: skip
    st.slider(
        "Blur of the shift", 0.0, 0.5, step=0.05, key=state.key("blur"), help="What each row hands to each neighbour."
    )
    st.slider(
        "γ, sharpening",
        1.0,
        20.0,
        step=0.5,
        key=state.key("gamma"),
        help="1 changes nothing; more gives the heaviest row more.",
    )
    left, right = st.columns(2)
    erasing = "e, for the {} number of every row: 1 wipes it, 0 keeps it, as far as the row has weight."
    adding = "a, added to the {} number of every row, times its weight."
    left.slider("Erase first", 0.0, 1.0, step=0.1, key=state.key("erase_1"), help=erasing.format("first"))
    right.slider("Erase second", 0.0, 1.0, step=0.1, key=state.key("erase_2"), help=erasing.format("second"))
    left.slider("Add first", -5.0, 5.0, step=0.1, key=state.key("add_1"), help=adding.format("first"))
    right.slider("Add second", -5.0, 5.0, step=0.1, key=state.key("add_2"), help=adding.format("second"))


def _addressing(setup):
    """Return what the head goes by, as `_address` takes it."""
    return {
        "key": [setup.across, setup.up],
        "previous_row": min(setup.previous, len(_memory_of(setup))) - 1,
        "sharpness": setup.sharpness,
        "gate": setup.gate,
        "shift": setup.shift,
        "blur": setup.blur,
        "gamma": setup.gamma,
    }


def _address(memory, key, previous_row, sharpness, gate, shift, blur, gamma):
    """Return the weights of the step before, and every step of the addressing."""
    n = len(memory)
    previous = np.eye(n)[previous_row]
    ring = turing_machine.ring_shift(n, shift, blur)
    steps = turing_machine.address(memory, key, previous, sharpness=sharpness, gate=gate, shift=ring, gamma=gamma)
    return previous, steps


def _stages_of(previous, steps):
    """Return the weights step by step, (n_rows, 5)."""
    return np.stack([steps.content, previous, steps.gated, steps.shifted, steps.weights], axis=1)


def _picture(memory, steps, stages, cells, theme, room):
    """Draw the memory, how its rows match the key, and the weights step by step."""
    labels = [f"row {at + 1}" for at in range(len(memory))]
    return charts.panels(
        theme,
        room,
        charts.panel(memory, labels, charts.counted(2), kind="signed", title="Memory", axes=("", "dimension")),
        charts.panel(steps.similarity[:, None], labels, ["cosine"], title="Match", axes=("", "with key"), **MATCH),
        "→",
        charts.panel(stages, labels, STAGES, title="Weights, step by step", axes=("", "step")),
        **cells,
    )


def memory_ntm_tab(state, setup):
    """Show how a head finds its rows, and what it reads and writes there."""
    rows = _memory_of(setup)
    previous, steps = _address(rows, **_addressing(setup))
    labels, wide = [f"row {at + 1}" for at in range(len(rows))], charts.counted(2)
    stages = _stages_of(previous, steps)
    read = turing_machine.read(rows, steps.weights)
    page_reading(
        _ntm_in_words(setup, steps, read),
        _ntm_formula(),
        f"{_ntm_steps_in_words(setup, previous, steps)} The memory is {len(rows)} × 2 numbers. The key has 2 numbers; "
        "each row has one weight.",
        terms=("key", "cosine"),
    )
    codes = partial(_ntm_code, setup)
    page_figure(
        _picture(rows, steps, stages, _cells(len(rows)), page_theme(), page_width()),
        "memory.address",
        tables={"weights": lambda: charts.csv(stages, labels, STAGES)},
        codes=codes,
    )
    page_tabs(
        state,
        memory_setup_tabs("Write"),
        {
            "more": lambda: _write(setup, rows, steps.weights, labels, wide),
            "code": lambda: page_code(state, codes()),
        },
    )


def _cells(n_rows):
    """Return how large the cells of a memory are, and how their numbers are written."""
    return {
        "tallest": max(page_tallest(85), (SHORT_CELL if window_low_for_hall() else WRITTEN_CELL) * n_rows),
        "largest": LARGEST_CELL,
        "decimals": 3,
    }


def _write(setup, rows, weights, labels, wide):
    """Show the two halves of a write."""
    erase, add = [setup.erase_1, setup.erase_2], [setup.add_1, setup.add_2]
    written = turing_machine.write(rows, weights, erase, add)
    best = int(weights.argmax())
    numbers = ", ".join(fixed_labels(written.memory[best], 3))
    m = memory_setup_letter("key", "M")
    page_reading(
        f"The head writes with the same weights. First each row is erased in part: by its weight times "
        f"({erase[0]:g}, {erase[1]:g}). Then its weight times ({add[0]:g}, {add[1]:g}) is added to it. Row {best + 1}, "
        f"which has the most weight, becomes **({numbers})**.",
        rf"\begin{{gathered}} \tilde{{{m}}}(i) = {m}(i) \odot [1 - w(i)\,e] \\ "
        rf"{m}(i) = \tilde{{{m}}}(i) + w(i)\,a \end{{gathered}}",
    )
    limit = max(float(np.abs(part).max()) for part in (rows, *written)) or 1.0
    options = {"kind": "signed", "scale": charts.Scale(limit), "axes": ("", "dimension")}
    page_figure(
        charts.panels(
            page_theme(),
            page_width(),
            charts.panel(rows, labels, wide, title="Before", **options),
            "→",
            charts.panel(written.erased, labels, wide, title="Erased", **options),
            "→",
            charts.panel(written.memory, labels, wide, title="Added", **options),
            **_cells(len(rows)),
        ),
        "memory.write",
        tables={"memory": lambda: charts.csv(written.memory, labels, wide)},
    )


def _ntm_in_words(setup, steps, read):
    """Say what a head reads, and which row has the largest weight."""
    last = int(steps.weights.argmax())
    numbers = ", ".join(fixed_labels(read, 3))
    untrained = f"{UNTRAINED} " if setup.memory == "random" else ""
    return (
        f"{untrained}A network can keep what it knows in the rows of a memory. It reads all rows at once, by weights: "
        f"now row {last + 1} has most, **{steps.weights[last]:.3f}**, so it reads **({numbers})**. A trained network "
        "sets its key and all else by itself; here you set them among the controls."
    )


def _ntm_steps_in_words(setup, previous, steps):
    """Follow the weights from content to the last step in words."""
    content, last = int(steps.content.argmax()), int(steps.weights.argmax())
    flat = np.ptp(steps.content) < 1e-9
    by_content = "weighs all rows alike" if flat else f"puts {steps.content[content]:.3f} on row {content + 1}"
    moved = f"moved on by {setup.shift:g}, " if setup.shift else ""
    moved += f"blurred by {setup.blur:g}, " if setup.blur else ""
    return (
        f"The network compares its key, ({setup.across:g}, {setup.up:g}), with every row; by that content alone it "
        f"{by_content}. It takes {setup.gate:.0%} of that, and the rest from the step before, when it stood on row "
        f"{int(previous.argmax()) + 1}. Then the weights are {moved}and sharpened; row {last + 1} has most."
    )


def _ntm_formula():
    """Return the four steps as LaTeX."""
    k, m, r = memory_setup_letter("query", "k"), memory_setup_letter("key", "M"), memory_setup_letter("output", "r")
    return (
        rf"\begin{{gathered}} w^c = \mathrm{{softmax}}(\beta \cos({k}, {m})) \\ "
        r"w^g = g\,w^c + (1-g)\,w_{t-1} \\ \tilde w = w^g * s, \quad w \propto \tilde w^{\,\gamma} \\ "
        rf"{r} = \textstyle\sum_i w(i)\,{m}(i) \end{{gathered}}"
    )


def _ntm_code(setup):
    memory, drawn = {"memory": EXAMPLE}, ()
    if setup.memory == "random":
        memory, drawn = {"seed": setup.seed, "n_rows": setup.rows}, (("memory", _drawn_memory),)
    return page_codes(
        lambda: _numpy_code(setup),
        memory | _addressing(setup) | {"erase": [setup.erase_1, setup.erase_2], "add": [setup.add_1, setup.add_2]},
        (*drawn, ("previous, steps", _address)),
        (
            ("stages", _stages_of),
            "print(stages.round(6), turing_machine.read(memory, steps.weights).round(6))",
            "written = turing_machine.write(memory, steps.weights, erase, add)\nprint(written.memory.round(6))",
        ),
        {"cells": _cells(len(_memory_of(setup))), "theme": LIGHT, "room": round(page_width())},
        (("stages", _stages_of), ("picture", _picture), 'charts.save(picture, "memory.svg")'),
    )


def _numpy_code(setup):
    """Return the lines that address, read and write the memory in numpy alone."""
    memory, head = _memory_of(setup), _addressing(setup)
    numbers = "\n".join(f"{name} = {head[name]!r}" for name in ("sharpness", "gate", "shift", "blur", "gamma"))
    return numpy_code(
        Paragraph(
            f"The memory: {len(memory)} rows of 2 numbers, and what the head goes by",
            f"{numpy_array('memory', memory, memory.shape)}\n{numpy_array('key', np.array(head['key']))}\n{numbers}\n"
            f"n = {len(memory)}\nprevious = np.eye(n)[{head['previous_row']}]  # where it stood before",
        ),
        Paragraph("By content: the softmax of the cosines of the key and each row", _BY_CONTENT, "weights"),
        Paragraph(
            f"Gate: {setup.gate:.0%} of that, the rest from the step before",
            "gated = gate * content + (1 - gate) * previous",
            "weights",
        ),
        Paragraph("Shift along the ring of rows: after the last comes the first", _SHIFT, "weights"),
        Paragraph("Sharpened: each weight to a power, then a sum of 1 again", _SHARPEN, "weights"),
        Paragraph(
            "Read: the mean of the rows, by their weights",
            "stages = [content, previous, gated, shifted, weights]\n"
            "print(np.stack(stages, axis=1).round(6), (weights @ memory).round(6))",
        ),
        Paragraph(
            "Write: erase each row by its weight, then add by its weight",
            f"{numpy_array('erase', np.array([setup.erase_1, setup.erase_2]))}\n"
            f"{numpy_array('add', np.array([setup.add_1, setup.add_2]))}\n"
            "erased = memory * (1 - np.outer(weights, erase))\n"
            "memory = erased + np.outer(weights, add)\nprint(memory.round(6))",
        ),
        at="weights",
    )


_BY_CONTENT = """\
lengths = np.linalg.norm(memory, axis=1) * np.linalg.norm(key)
cosine = memory @ key / np.where(lengths > 0, lengths, 1)
exp = np.exp(sharpness * (cosine - cosine.max()))
content = exp / exp.sum()"""
_SHIFT = """\
below = int(np.floor(shift))
ring = np.zeros(n)  # how much goes how far
share = shift - below  # of the larger of two whole steps
for step, part in ((below, 1 - share), (below + 1, share)):
    for side, spread in ((-1, blur), (0, 1 - 2 * blur), (1, blur)):
        ring[(step + side) % n] += part * spread
to, of = np.indices((n, n))
shifted = ring[(to - of) % n] @ gated"""
_SHARPEN = """\
powers = (shifted / shifted.max()) ** gamma
weights = powers / powers.sum()"""
