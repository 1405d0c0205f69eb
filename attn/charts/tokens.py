"""A sentence as a row of tokens."""

import altair as alt
import numpy as np
import pandas as pd

from attn.charts.labels import pixels, shorten, visible
from attn.charts.layout import dressed
from attn.charts.scale import colour_scale
from attn.charts.theme import ink_on

_GAP = 8
_MOST = 200  # tokens drawn one by one


def token_strip(tokens, theme, *, weights=None, width=880, size=18, selected=None, select=None):
    """Draw the tokens of a sentence as boxes, in their order, with their positions or weights below.

    Parameters
    ----------
    tokens : sequence of str
    theme : Theme
    weights : array_like, shape (n,), optional
        From 0 to 1: how much the selected token looks at each, as the colour of its box.
    width : int, default 880
        Pixels after which a new line begins.
    size : int, default 18
        Of the type, in pixels.
    selected : int, optional
        Position, counted from 0, of a token to outline.
    select : str, optional
        Name of a selection that tells which token was chosen, as ``{"row": i, "column": 0}``.

    Returns
    -------
    alt.LayerChart
        At most 200 tokens.
    """
    boxes = pd.DataFrame(_placed(tokens[:_MOST], width, size))
    boxes["row"], boxes["column"] = boxes.index, 0
    boxes["position"] = (boxes.index + 1).astype(str)
    boxes["chosen"] = boxes.index == (-1 if selected is None else selected)
    boxes["fill"], boxes["ink"], boxes["note"] = theme.surface, theme.text, boxes["position"]
    if weights is not None:
        weights = np.asarray(weights, dtype=float)[:_MOST]
        scale = colour_scale(weights[None], theme, "weights", 1.0, False, np.ones((1, len(weights)), dtype=bool))
        colours = scale.colours(weights)
        boxes["fill"] = [f"rgb({r:.0f},{g:.0f},{b:.0f})" for r, g, b in colours]
        boxes["ink"], boxes["note"] = ink_on(colours, theme), [f"{weight:.2f}" for weight in weights]
    tall = int(boxes["y2"].max()) + 22
    wide = int(boxes["x2"].max()) + 4

    def at(field, extent, down=False):
        domain = [extent, 0] if down else [0, extent]
        channel = alt.Y if down else alt.X
        return channel(f"{field}:Q", scale=alt.Scale(domain=domain, nice=False, zero=False), axis=None)

    base = alt.Chart(boxes)
    note = [] if weights is None else [alt.Tooltip("note:N", title="weight")]
    outline = alt.condition("datum.chosen", alt.value(theme.text), alt.value(theme.grid))
    box = base.mark_rect(cornerRadius=6, strokeWidth=2).encode(
        x=at("x", wide), x2="x2:Q", y=at("y", tall, True), y2="y2:Q",
        stroke=outline, fill=alt.Fill("fill:N", scale=None),
        tooltip=[alt.Tooltip("text:N", title="token"), alt.Tooltip("position:N"), *note],
    )  # fmt: skip
    if select:
        box = box.add_params(alt.selection_point(name=select, fields=["row", "column"]))
    words = base.mark_text(fontSize=size, tooltip=None).encode(
        x=at("middle", wide), y=at("centre", tall, True), text="text:N", color=alt.Color("ink:N", scale=None)
    )
    notes = base.mark_text(color=theme.muted, tooltip=None).encode(
        x=at("middle", wide), y=at("below", tall, True), text="note:N"
    )
    chart = alt.layer(box, words, notes).properties(width=wide, height=tall)
    return dressed(chart, theme, f"{len(tokens)} tokens: {' '.join(tokens[:_MOST])}")


def _placed(tokens, width, size):
    """Return the box of every token, line after line."""
    boxes, x, y, height = [], 0, 0, 2.2 * size
    for token in tokens:
        text = shorten(visible(str(token)), 24)
        wide = max(pixels(text, size) + 1.2 * size, 2 * size)
        if x and x + wide > width:
            x, y = 0, y + height + 30
        box = {"text": text, "x": x, "x2": x + wide, "y": y, "y2": y + height}
        boxes.append(box | {"middle": x + wide / 2, "centre": y + height / 2, "below": y + height + 12})
        x += wide + _GAP
    return boxes
