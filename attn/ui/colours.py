"""The colour scale of weights: a choice that several pages offer."""

import streamlit as st

COLOURS = {"linear": "0 to 1", "largest": "To the largest", "log": "Logarithmic"}


def colour_control(state):
    """Draw the choice of the colour scale."""
    st.segmented_control(
        "Colour",
        COLOURS,
        format_func=COLOURS.get,
        key=state.key("colour"),
        required=True,
        help="Weights of long rows are small, and many heads park most of their weight on one token; "
        "the other two scales show the rest. All pictures side by side share one scale.",
    )


def scale_of(colour, *weights):
    """Return the colour scale that pictures of `weights` share, as keywords of a chart."""
    if colour == "log":
        return {"log": True}
    largest = max((float(w.max(initial=0)) for w in weights), default=0)
    return {"limit": max(largest, 1e-9) if colour == "largest" else 1.0}
