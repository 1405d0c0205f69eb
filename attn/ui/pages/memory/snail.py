"""The part SNAIL: how far back its layers reach."""

from functools import partial

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures import snail
from attn.charts.plane import least_plane
from attn.ui.code_tabs import page_code
from attn.ui.controls.sentence import UNTRAINED
from attn.ui.numpy_code import Paragraph, numpy_code
from attn.ui.page import page_figure, page_reading, page_tabs, page_theme
from attn.ui.pages.memory.setup import memory_setup_tabs
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.width import page_width

RULES = ["Dilations from 1", "Dilations as printed"]


def memory_snail_controls(state):
    """Draw the length of the sequence and what is put on it."""
    st.slider("Steps", 2, 32, key=state.key("steps"), help="How long the sequence is; T in the paper.")
    st.slider(
        "Channels a block adds", 1, 16, key=state.key("channels"),
        help="How many numbers each block appends to every step; D in the paper.",
    )  # fmt: skip
    st.toggle(
        "Attention above", key=state.key("attends"),
        help="Attention on top of the convolutions: the last step then reads all that came before.",
    )  # fmt: skip
    st.number_input("Seed", 0, 9999, key=state.key("seed"), help="Another seed draws another input and other weights.")


def memory_snail_tab(state, setup):
    """Show how far back the last step looks, with two rules for the dilations."""
    moved = _measure(setup.steps, setup.channels, setup.attends, setup.seed)
    right, printed = moved
    page_reading(
        _snail_in_words(setup, right, printed, moved),
        r"\begin{gathered} x \leftarrow [\,x;\ \tanh(x_f) \odot \sigma(x_g)\,] \\ "
        r"x_f(t) = x(t)\,W + x(t - d)\,W' \end{gathered}",
        "How many numbers each step has, block by block: "
        + " → ".join(str(3 + at * setup.channels) for at in range(len(right) + 1 + setup.attends))
        + (", the last of them read by attention." if setup.attends else "."),
    )
    layout = _fan_layout(setup.steps)
    codes = partial(_snail_code, setup, layout)
    page_figure(
        _picture(moved, setup.steps, setup.attends, theme=page_theme(), **layout),
        "memory.fan",
        codes=codes,
    )
    page_tabs(
        state,
        memory_setup_tabs("Step by step back"),
        {
            "more": lambda: _lags(setup, moved),
            "code": lambda: page_code(state, codes()),
        },
    )


def _fan_layout(steps):
    """Return whether two fans stand side by side, how wide each is, and how far apart its layers."""
    half, layer = page_width() / 2 - 130, int(max(52, min(72, page_width() / 20)))
    if half >= 26 * steps:
        return {"side_by_side": True, "width": int(min(half, 96 * steps)), "layer": layer}
    return {"side_by_side": False, "width": int(min(least_plane(page_width() - 130), 96 * steps)), "layer": layer}


def _measure(n_steps, channels, attends, seed):
    """Measure how far the last output moves when a step is replaced, by how far back it is: for both rules."""
    rules = [snail.dilations(n_steps, as_printed=printed) for printed in (False, True)]
    return {dilated: snail_moves(n_steps, channels, attends, seed, dilated) for dilated in rules}


def snail_moves(n_steps, channels, attends, seed, dilated):
    """Measure it with these dilations."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_steps, 3))
    blocks = snail.draw_temporal_block(rng, 3, channels, len(dilated))
    above = snail.draw_attention_block(rng, 3 + len(dilated) * channels, 8, channels)

    def network(x):
        hidden = snail.temporal_block(x, blocks, dilated)
        return snail.attention_block(hidden, above)[0] if attends else hidden

    return snail.lags_reached(network, x)


def _picture(moved, n_steps, attends, side_by_side, width, layer, theme):
    """Draw how far back the last step sees, by both rules."""
    fans = []
    for rule, (dilated, by_lag) in zip(RULES, moved.items(), strict=True):
        title = f"{rule}: {int((by_lag > 0).sum())} of {n_steps} seen"
        fans.append(charts.fan(dilated, by_lag, theme, attends=attends, title=title, width=width, layer=layer))
    return charts.beside(*fans) if side_by_side else charts.above(*fans)


def _snail_in_words(setup, right, printed, moved):
    """Say which steps are out of reach."""
    seen = [int((moved[dilated] > 0).sum()) for dilated in (right, printed)]
    numbers = [", ".join(map(str, dilated)) for dilated in (right, printed)]
    sentence = (
        f"{UNTRAINED} A convolution looks at a step and at one some steps back; how far back is called its dilation. "
        "How many steps does the last output see through a stack of them? Each step was replaced in turn, and the last "
        f"output watched. With dilations {numbers[0]} it sees **{seen[0]} of {setup.steps}** steps; with {numbers[1]}, "
        f"as the pseudo-code has them, **{seen[1]}**"
    )
    if setup.attends:
        return f"{sentence}: attention above reads every step, whatever the convolutions leave out."
    return f"{sentence}: even dilations only reach what is an even number of steps back."


def _lags(setup, moved):
    """Show how far the last output moved, by how far back the replaced step is."""
    st.markdown(
        "How far the last output moved when one step was replaced, by how far back that step is. The colours are on a "
        "logarithmic scale: each step of colour multiplies by the same number. 0 means not at all, to the last digit."
    )
    rows, columns = RULES, [str(lag) for lag in range(setup.steps)]
    values, wide = (
        np.stack(list(moved.values())),
        int(min(least_plane(page_width() - 280, setup.steps), 88 * setup.steps)),
    )
    picture = charts.heatmap(
        values, rows, columns, page_theme(), kind="magnitude", size=(wide, 112), axes=("", "steps back"),
        scale=charts.Scale(log=True, name="moved by"), style=charts.Style(square=False),
    )  # fmt: skip
    page_figure(
        charts.beside(picture),
        "memory.lags",
        tables={"moved": lambda: charts.csv(values, rows, columns)},
    )


def _snail_code(setup, layout):
    settings = {"n_steps": setup.steps, "channels": setup.channels, "attends": setup.attends, "seed": setup.seed}
    return page_codes(
        lambda: _numpy_code(setup),
        settings,
        (("moved", _measure),),
        ("for dilated, by_lag in moved.items():\n    print(dilated, by_lag.round(4))",),
        layout | {"theme": LIGHT},
        (("picture", _picture), 'charts.save(picture, "fan.svg")'),
    )


def _numpy_code(setup):
    """Return the lines that measure how far back the last step sees in numpy alone."""
    drawn, read = (_DRAWN_ABOVE, _ATTENTION) if setup.attends else ("", "")
    blocks = len(snail.dilations(setup.steps))
    return numpy_code(
        Paragraph(
            f"A sequence of {setup.steps} steps, and random weights of {blocks} blocks",
            f"n, channels, blocks = {setup.steps}, {setup.channels}, {blocks}\n"
            f"rng = np.random.default_rng({setup.seed})\n{_DRAWN}{drawn}",
        ),
        Paragraph("Each block looks at a step and at one so many steps back", _BLOCK),
        Paragraph("The network", f"{_NETWORK}{read}    return x\n", "network"),
        Paragraph("How far the last output moves when one step is replaced", _MEASURE),
        at="network",
    )


_DRAWN = """\
x = rng.normal(size=(n, 3))
weights, width = [], 3
for _ in range(blocks):  # each block appends channels
    shape = (2, width, channels)
    w_past = rng.normal(0, width**-0.5, shape)
    w_now = rng.normal(0, width**-0.5, shape)
    weights.append((w_past, w_now))
    width = width + channels"""
_DRAWN_ABOVE = """
w_q, w_k, w_v = (
    rng.normal(0, width**-0.5, (width, d)) for d in (8, 8, channels)
)"""
_BLOCK = """\
def convolve(x, w_past, w_now, dilation):
    past = np.zeros_like(x)  # before the first step there is nothing
    past[dilation:] = x[:-dilation]
    return past @ w_past + x @ w_now

def block(x, w_past, w_now, dilation):
    filtered = convolve(x, w_past[0], w_now[0], dilation)
    gate = convolve(x, w_past[1], w_now[1], dilation)
    added = np.tanh(filtered) / (1 + np.exp(-gate))
    return np.hstack([x, added])
"""
_NETWORK = """\
def network(x, dilations):
    for (w_past, w_now), dilation in zip(weights, dilations):
        x = block(x, w_past, w_now, dilation)
"""
_ATTENTION = """\
    query, key, value = x @ w_q, x @ w_k, x @ w_v
    scores = query @ key.T / np.sqrt(8)
    masked = np.where(np.tri(n, dtype=bool), scores, -np.inf)  # causal
    exp = np.exp(masked - masked.max(axis=-1, keepdims=True))
    x = np.hstack([x, exp / exp.sum(axis=-1, keepdims=True) @ value])
"""
_MEASURE = """\
for first in (1, 2):  # dilations from 1, and as printed
    dilations = tuple(first * 2**i for i in range(blocks))
    last = network(x, dilations)[-1]
    moved = np.zeros(n)
    for lag in range(n):
        changed = x.copy()
        changed[n - 1 - lag] = 1 - 2 * x[n - 1 - lag]
        moved[lag] = abs(network(changed, dilations)[-1] - last).max()
    print(dilations, moved.round(4))"""
