"""The choice of a mask: what it builds and the line of code that builds it."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from attn import masks
from attn.ui.link import cells, choice, whole

MASKS = {
    "none": "None",
    "causal": "Causal",
    "padding": "Padding",
    "window": "Sliding window",
    "causal_window": "Causal window",
    "prefix": "Prefix",
    "blocks": "Documents",
    "global_window": "Global + window",
    "strided": "Strided",
    "painted": "Painted by hand",
}


MASK_HELP = {
    "none": "Every token sees every token, as in an encoder such as BERT.",
    "causal": "A token sees itself and what came before, as in a decoder such as GPT.",
    "padding": "A batch pads short sentences; the padding at the end must not be seen.",
    "window": "A token sees only its neighbours on both sides, as in half of ModernBERT's layers.",
    "causal_window": "A token sees itself and a few before it, as in Mistral.",
    "prefix": "The first tokens (a question, an image) see one another freely; the rest is causal.",
    "blocks": "Several documents packed into one row; none sees into another.",
    "global_window": "Neighbours, and a few tokens that see all and are seen by all, as in Longformer.",
    "strided": "Causal: the last few tokens and every few before that, as in the Sparse Transformer.",
    "painted": "Click cells of the picture of masked scores to hide or show them.",
}


@dataclass(frozen=True)
class MaskChoice:
    """Which mask, and its numbers."""

    mask: str = choice("none", MASKS)
    window: int = whole(2, 0, 512)
    length: int = whole(4, 0, 512)
    globals: int = whole(1, 0, 512)
    painted: tuple = cells()  # the hidden cells


def mask_controls(state, n):
    """Draw the mask's controls in the order in which they matter."""
    st.selectbox(
        "Mask",
        MASKS,
        format_func=MASKS.get,
        key=state.key("mask"),
        help="Who may look at whom. Hidden cells are grey and get no weight.",
    )
    kind = state.get("mask")
    st.caption(MASK_HELP[kind])
    if kind in ("window", "causal_window", "global_window", "strided"):
        label = {"strided": "Stride, in tokens", "causal_window": "Width to the left, in tokens"}
        _slider(state, "window", label.get(kind, "Width to each side, in tokens"), 1 if kind == "strided" else 0, n - 1)
    if kind in ("padding", "prefix", "blocks"):
        label = {
            "padding": "Tokens that are real",
            "prefix": "Length of the prefix, in tokens",
            "blocks": "Tokens in the first document",
        }[kind]
        _slider(state, "length", label, 0, n)
    if kind == "global_window":
        _slider(state, "globals", "Global tokens, from the first", 0, n)
    if kind == "painted":
        columns = st.columns(2)
        columns[0].button("Show all", on_click=state.set, kwargs={"painted": ()}, width="stretch")
        columns[1].button("Invert", on_click=_invert, args=(state, n), width="stretch")


def mask_of(setup, n):
    """Build the chosen mask for `n` tokens.

    Returns
    -------
    Mask
    line : str
        The line of code that builds it.
    """
    length = min(setup.length, n)
    name, *arguments = {
        "none": ("everything", n),
        "causal": ("causal", n),
        "padding": ("padding", length, n),
        "window": ("sliding_window", n, n, setup.window),
        "causal_window": ("sliding_window", n, n, (setup.window, 0)),
        "prefix": ("prefix", n, n, length),
        "blocks": ("blocks", [length, n - length]),
        "global_window": ("global_window", n, setup.window, min(setup.globals, n)),
        "strided": ("strided", n, max(setup.window, 1)),
        "painted": ("painted", _visible(setup.painted, n)),
    }[setup.mask]
    mask = getattr(masks, name)(*arguments)
    if setup.mask == "painted":
        return mask, f"attn.masks.painted(np.array({mask.visible.astype(int).tolist()}, dtype=bool))"
    return mask, f"attn.masks.{name}({', '.join(map(str, arguments))})"


def paint(state, row, column, n):
    """Hide the cell if it is shown and show it if it is hidden, starting from the mask in view."""
    now = mask_of(state.choices(), n)[0].visible
    hidden = {(r, c) for r, c in np.argwhere(~np.broadcast_to(now, (n, n))).tolist()}
    state.set(mask="painted", painted=tuple(sorted(hidden ^ {(row, column)})))


def _invert(state, n):
    """Hide what is shown and show what is hidden."""
    every = {(row, column) for row in range(n) for column in range(n)}
    state.set(painted=tuple(sorted(every - set(state.get("painted")))))


def _visible(hidden, n):
    """Return the (n, n) mask that hides the given cells."""
    visible = np.ones((n, n), dtype=bool)
    for row, column in hidden:
        if row < n and column < n:
            visible[row, column] = False
    return visible


def _slider(state, name, label, low, high):
    """Draw a slider, or nothing where there is nothing to choose."""
    state.clamp(name, low, max(high, low))
    if high > low:
        st.slider(label, low, high, key=state.key(name))
