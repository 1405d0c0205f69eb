"""The colour scale of weights: a choice that several pages offer."""

import numpy as np
import streamlit as st

from attn import charts

COLOURS = {"auto": "Auto", "linear": "0–1", "largest": "Max", "log": "Log"}
_LONG = 64  # keys; beyond these most weights are too small for a scale of equal steps


def colour_scale_control(state):
    """Draw the choice of the colour scale."""
    st.segmented_control(
        "Colour",
        COLOURS,
        format_func=COLOURS.get,
        key=state.key("colour"),
        required=True,
        help="What the strongest colour stands for. 0–1: a weight of 1. Max: the largest weight in view. Log: equal "
        "steps of colour are equal factors, over four powers of ten, so that small weights show too. Auto: Max up to "
        f"{_LONG} tokens, then Log. Figures side by side always share one scale.",
    )


def colour_scale_of(colour, *weights):
    """Return the colour scale that pictures of `weights` share, as keywords of a chart.

    Examples
    --------
    >>> import numpy as np
    >>> pale = np.array([[0.25, 0.75], [0.5, 0.5]]) / 2
    >>> [colour_scale_of(colour, pale)["scale"] for colour in ("auto", "linear", "log")]
    [charts.Scale(limit=0.375), charts.Scale(limit=1.0), charts.Scale(log=True)]

    What is not a number, as in a broken model, has no colour:

    >>> colour_scale_of("largest", np.array([[0.25, np.nan]]))["scale"]
    charts.Scale(limit=0.25)
    """
    if colour == "log" or (colour == "auto" and weights[0].shape[-1] > _LONG):
        return {"scale": charts.Scale(log=True)}
    largest = max(float(w.max(where=np.isfinite(w), initial=0)) for w in weights)
    return {"scale": charts.Scale(1.0 if colour == "linear" else max(largest, 1e-9))}
