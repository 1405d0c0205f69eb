"""The colour scale of weights: a choice that several pages offer."""

import streamlit as st

from attn import charts

COLOURS = {"auto": "Auto", "linear": "0–1", "largest": "Max", "log": "Log"}
_LONG = 64  # keys; beyond these most weights are too small for a scale from 0 to 1


def colour_scale_control(state):
    """Draw the choice of the colour scale."""
    st.segmented_control(
        "Colour",
        COLOURS,
        format_func=COLOURS.get,
        key=state.key("colour"),
        required=True,
        help="From 0 to 1, from 0 to the largest weight, or logarithmic over four powers of ten, which shows the "
        f"rest where one token takes nearly all. Auto: 0 to 1 up to {_LONG} tokens, then logarithmic. Pictures side "
        "by side always share one scale.",
    )


def colour_scale_of(colour, *weights):
    """Return the colour scale that pictures of `weights` share, as keywords of a chart."""
    if colour == "log" or (colour == "auto" and weights[0].shape[-1] > _LONG):
        return {"scale": charts.Scale(log=True)}
    largest = max(float(w.max(initial=0)) for w in weights)
    return {"scale": charts.Scale(max(largest, 1e-9) if colour == "largest" else 1.0)}
