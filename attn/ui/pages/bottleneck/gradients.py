"""The tab on gradients that vanish over steps."""

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures import recurrent
from attn.architectures.seq2seq import Bahdanau
from attn.charts import Curve
from attn.charts.labels import number
from attn.ui.page import page_figure, page_theme
from attn.ui.pages.bottleneck.accuracy_by_length import accuracy_by_length_colours, two_curves_layout
from attn.ui.terms import terms_help
from attn.ui.width import page_curves_height
from attn.words import listed


def gradients_tab(state, result):
    """Draw how a number shrinks or grows from step to step, and how the gradient does in the trained models."""
    left, right = st.columns(2)
    left.slider(
        "Factor at each step",
        0.1,
        1.5,
        step=0.05,
        key=state.key("factor"),
        help="How much of itself a memory keeps from one symbol to the next.",
    )
    right.slider("Steps", 1, 100, key=state.key("count"), help="From the first symbol to the last.")
    factor, count = state.get("factor"), state.get("count")
    norms = _gradients(result)
    left_over = recurrent.carried(factor, count)[-1]
    state.tell(left_over=float(left_over))
    st.markdown(
        f"A memory that keeps {factor:.0%} of itself at each of {count} steps has **{number(left_over)}** of the first "
        "symbol left at the end. The gradient that comes back to that symbol in training shrinks, or grows, just so. "
        f"Gates let a model choose the factor anew for each number and symbol. {_measured(norms)}",
        help=terms_help("gradient", "gate", "encoder", "logarithmic"),
    )
    width, join = two_curves_layout()
    page_figure(join(_powers(factor, count, width), _norms(norms, result, width)), "bottleneck.gradient")


def _measured(norms):
    """Say how much the last state of each encoder still hangs on the first symbol."""
    said = listed(f"**{number(each[-1])}** in *{title}*" for title, each in norms.items())
    if not said:
        return "A Transformer needs no memory of this kind: every symbol is one step away."
    return (
        "In the trained encoders, measured on this input, the gradient that comes back from the last symbol to the "
        f"first is {said}. "
        "A model with attention can do with little: it reaches the first symbol in one step, and need not carry it "
        "along. A model with a fixed vector has no other way, and has learnt to carry it."
    )


def _powers(factor, count, width):
    """Draw the powers of the factor, beside some known ones."""
    steps = np.arange(count + 1)
    parts = [Curve(f"{factor:g}", steps, recurrent.carried(factor, count), page_theme().text)]
    parts += [
        Curve(f"{other:g}", steps, recurrent.carried(other, count), dashed=True)
        for other in (0.5, 0.9, 1.1)
        if abs(other - factor) > 0.01
    ]
    return charts.curves(
        parts, page_theme(), x="steps", y=charts.Axis("what is left", log=True), title="A factor at each step",
        width=width, height=page_curves_height(width, 300),
    )  # fmt: skip


def _norms(norms, result, width):
    """Draw the measured gradients of the encoders."""
    if not norms:
        return charts.message(
            "A Transformer reads every symbol in one step and carries nothing.", page_theme(), "Measured"
        )
    colours = dict(zip((result.left.title, result.right.title), accuracy_by_length_colours(), strict=True))
    parts = [Curve(title, np.arange(len(each)), each, colours[title]) for title, each in norms.items()]
    return charts.curves(
        parts, page_theme(), x=charts.Axis("symbols back from the end", whole=True),
        y=charts.Axis("largest gradient", log=True), dots=True,
        title="Measured in the encoders, on this input", width=width,
        height=page_curves_height(width, 300),
    )  # fmt: skip


def _gradients(result):
    """Return how much the last state of each model that has one hangs on each state before it, from the last on."""
    encoders = {side.title: _encoder(side) for side in (result.left, result.right) if side.written.steps is not None}
    return {title: recurrent.gradient_norms(*encoder)[::-1] for title, encoder in encoders.items()}


def _encoder(side):
    """Return the step of a model's reading from first to last, all its steps, and its weights."""
    if isinstance(side.model, Bahdanau):
        return recurrent.bahdanau_gru, side.written.read.steps.forward, side.model.forward
    return recurrent.lstm, side.written.read.steps, side.model.encoder
