"""The choice of a mask: what it builds and the line of code that builds it."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import masks
from attn.ui.link import link_cells, link_choice, link_whole


class Slider(NamedTuple):
    """A number of a mask: the field of `MaskChoice` that holds it, and what a visitor may choose."""

    name: str
    label: str
    help: str
    least: int = 0
    margin: int = 0  # the most is the number of tokens less this


class MaskKind(NamedTuple):
    """A mask to choose: all that the pages know of it."""

    title: str
    help: str
    call: Callable  # (n, MaskChoice) -> a function of `attn.masks` and its arguments
    numpy: Callable  # MaskChoice -> what query i and key j must fulfil, in numpy alone
    sliders: tuple = ()
    controls: Callable | None = None  # (state, n) draws what is no slider


def _show_and_invert(state, n):
    """Draw the two buttons that change all cells at once."""
    columns = st.columns(2)
    columns[0].button(
        "Show all", on_click=state.set, kwargs={"painted": ()}, width="stretch", help="Every token sees every token."
    )
    columns[1].button(
        "Invert", on_click=_invert, args=(state, n), width="stretch", help="Hide what is shown, show what is hidden."
    )


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


MASKS = {
    "none": MaskKind(
        "None",
        "Every token sees every token, as in an encoder such as BERT.",
        lambda n, chosen: (masks.everything, n),
        lambda chosen: "np.ones((n, n), dtype=bool)",
    ),
    "causal": MaskKind(
        "Causal",
        "A token sees itself and what came before, as in a decoder such as GPT. Without this a model that learns "
        "to say the next token would see the answer.",
        lambda n, chosen: (masks.causal, n),
        lambda chosen: "j <= i",
    ),
    "padding": MaskKind(
        "Padding",
        "Sentences that are read together must be equally long, so short ones are filled up with empty tokens. Nobody "
        "may look at this padding.",
        lambda n, chosen: (masks.padding, chosen.length, n),
        lambda chosen: f"j < {chosen.length}",
        (Slider("length", "Tokens that are real", "The rest is padding, and hidden."),),
    ),
    "window": MaskKind(
        "Sliding window",
        "A token sees only its neighbours on both sides, as in 14 of the 22 layers of ModernBERT base.",
        lambda n, chosen: (masks.sliding_window, n, n, chosen.window),
        lambda chosen: f"abs(i - j) <= {chosen.window}",
        (Slider("window", "Width to each side, in tokens", "0: each token sees itself alone.", margin=1),),
    ),
    "causal_window": MaskKind(
        "Causal window",
        "A token sees itself and a few before it, as in Mistral.",
        lambda n, chosen: (masks.sliding_window, n, n, (chosen.window, 0)),
        lambda chosen: f"(j <= i) & (i - j <= {chosen.window})",
        (Slider("window", "Width to the left, in tokens", "0: each token sees itself alone.", margin=1),),
    ),
    "prefix": MaskKind(
        "Prefix",
        "The first tokens (a question, an image) see one another freely; the rest is causal.",
        lambda n, chosen: (masks.prefix, n, n, chosen.length),
        lambda chosen: f"(j <= i) | (j < {chosen.length})",
        (Slider("length", "Length of the prefix, in tokens", "0: causal from the first token on."),),
    ),
    "blocks": MaskKind(
        "Documents",
        "Several documents packed into one row; none sees into another.",
        lambda n, chosen: (masks.blocks, [chosen.length, n - chosen.length]),
        lambda chosen: f"(i < {chosen.length}) == (j < {chosen.length})",
        (Slider("length", "Tokens in the first document", "The others are in the second."),),
    ),
    "global_window": MaskKind(
        "Global + window",
        "Neighbours, and a few tokens that see all and are seen by all, as in Longformer.",
        lambda n, chosen: (masks.global_window, n, chosen.window, chosen.globals),
        lambda chosen: f"(abs(i - j) <= {chosen.window}) | (i < {chosen.globals}) | (j < {chosen.globals})",
        (
            Slider("window", "Width to each side, in tokens", "0: each token sees itself alone.", margin=1),
            Slider("globals", "Global tokens, from the first", "They see every token, and every token sees them."),
        ),
    ),
    "strided": MaskKind(
        "Strided",
        "Causal: the last few tokens and every few before that, as in the Sparse Transformer.",
        lambda n, chosen: (masks.strided, n, chosen.window),
        lambda chosen: f"(j <= i) & ((i - j <= {chosen.window}) | ((i - j) % {chosen.window} == 0))",
        (
            Slider(
                "window", "Stride, in tokens", "So many tokens back, and every so many before them.", least=1, margin=1
            ),
        ),
    ),
    "painted": MaskKind(
        "Painted by hand",
        "Choose cells of the picture of masked scores to hide or show them.",
        lambda n, chosen: (masks.painted, _visible(chosen.painted, n)),
        lambda chosen: "~hidden",
        controls=_show_and_invert,
    ),
}
"""One row a mask; the keys and the names of sliders stand in links."""


@dataclass(frozen=True)
class MaskChoice:
    """Which mask, and the numbers that the masks have, each a field of the link."""

    mask: str = link_choice("none", MASKS)
    window: int = link_whole(2, 0, 512)
    length: int = link_whole(4, 0, 512)
    globals: int = link_whole(1, 0, 512)
    painted: tuple = link_cells()  # the hidden cells


def mask_controls(state, n):
    """Draw the mask's controls in the order in which they matter."""
    st.selectbox(
        "Mask",
        MASKS,
        format_func=lambda name: MASKS[name].title,
        key=state.key("mask"),
        help="Who may look at whom. Hidden cells are grey and get no weight.",
    )
    kind = MASKS[state.get("mask")]
    st.caption(kind.help)
    for slider in kind.sliders:
        least, most = _ends(slider, n)
        state.clamp(slider.name, least, most)
        if most > least:
            st.slider(slider.label, least, most, key=state.key(slider.name), help=slider.help)
    if kind.controls:
        kind.controls(state, n)


def mask_of(setup, n):
    """Build the chosen mask for `n` tokens.

    Returns
    -------
    Mask
    line : str
        The line of code that builds it.
    """
    build, *arguments = MASKS[setup.mask].call(n, _within(setup, n))
    return build(*arguments), f"attn.masks.{build.__name__}({', '.join(map(_literal, arguments))})"


def mask_in_numpy(setup, n):
    """Return the lines that bind ``visible`` (n, n) as the chosen mask has it, and know numpy and ``n`` alone."""
    kind = MASKS[setup.mask]
    line = f"visible = {kind.numpy(_within(setup, n))}"
    if setup.mask == "none":
        return line
    if setup.mask != "painted":
        return f"i, j = np.indices((n, n))  # i: who looks, j: at whom\n{line}  # {kind.title.lower()}"
    rows = {}
    for row, column in setup.painted:
        if row < n and column < n:
            rows.setdefault(row, []).append(column)
    painted = [f"hidden[{row}, {sorted(columns)}] = True" for row, columns in sorted(rows.items())]
    return "\n".join(["hidden = np.zeros((n, n), dtype=bool)  # painted by hand", *painted, line])


def paint_mask(state, row, column, n):
    """Hide the cell if it is shown and show it if it is hidden, starting from the mask in view."""
    now = mask_of(state.choices(), n)[0].visible
    hidden = {(r, c) for r, c in np.argwhere(~np.broadcast_to(now, (n, n))).tolist()}
    state.set(mask="painted", painted=tuple(sorted(hidden ^ {(row, column)})))


def _within(setup, n):
    """Return the choices with the numbers of the chosen mask as far as `n` tokens allow."""
    sliders = MASKS[setup.mask].sliders
    numbers = {slider.name: int(np.clip(getattr(setup, slider.name), *_ends(slider, n))) for slider in sliders}
    return dataclasses.replace(setup, **numbers)


def _ends(slider, n):
    """Return the least and the most that a number may be for `n` tokens."""
    return slider.least, max(n - slider.margin, slider.least)


def _literal(argument):
    """Return an argument as code."""
    if isinstance(argument, np.ndarray):
        return f"np.array({argument.astype(int).tolist()}, dtype=bool)"
    return str(argument)
