"""A sentence as a row of tokens."""

import unicodedata

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import label_pixels, number, shorten_label, visible_label
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_channel, mark_layer, mark_table, selectable_mark
from attn.charts.message import message
from attn.charts.options import Pick
from attn.charts.plane import Plane, plane_tooltip
from attn.charts.scale import colour_scale
from attn.charts.theme import LIGHT, hex_of, theme_ink

_GAP = 8  # pixels between tokens
_BELOW = 30  # pixels for what stands below a line of tokens, and for one more such line
_MORE = 16
_EDGE = 16  # pixels at the right of the last token of a line, within the room: of its border and around a figure
_TINY = "<0.01"  # what stands below a token with a weight that two decimals would call none
_MOST = 200  # tokens drawn one by one, unless fewer are asked for


@checked_arguments(numbers=("weights",), pixels=("size", "width"), labels=("tokens",), counts=("most",))
def token_strip(tokens, theme=LIGHT, *, weights=None, size=18, width=880, pick=Pick(), most=_MOST, numbered=False):
    """Draw the tokens of a sentence as boxes, in their order, with their positions or weights below.

    Parameters
    ----------
    tokens : sequence of str
    theme : Theme, default LIGHT
    weights : array_like, shape (n,), optional
        From 0 to 1: how much the selected token looks at each, as the colour of its box.
    size : int, default 18
        Pixels of the type.
    width : int, default 880
        Pixels after which a new line begins.
    pick : Pick, optional
        Which token is outlined, by its position counted from 0. Its selection tells which was chosen, as
        ``{"row": i, "column": 0}``.
    most : int, default 200
        Tokens that are drawn, from the first.
    numbered : bool, default False
        Whether positions stand above the weights, too.

    Returns
    -------
    alt.LayerChart
        Text in a script that runs from right to left does so here.
    """
    if not len(tokens):
        return message("Nothing to show.", theme)
    shown = [str(token) for token in tokens[:most]]
    numbered = numbered and weights is not None
    boxes = _placed(shown, width, size, _BELOW + numbered * _MORE, weights is not None)
    place = np.arange(len(shown), dtype=np.int32)
    position = [str(i + 1) for i in place]
    boxes |= {"row": place, "column": np.int32(0), "position": position, "note": position}
    boxes["edge"] = [theme.text if i == pick.selected else theme.grid for i in place]
    boxes["fill"], boxes["ink"] = theme.surface, theme.text
    fields = [("text", "token"), ("position", "position")]
    if weights is not None:
        weights = np.asarray(weights, dtype=float)[:most]
        colours = colour_scale(weights, theme).colours(weights)
        boxes["fill"], boxes["ink"] = [hex_of(colour) for colour in colours], theme_ink(colours)
        boxes["note"] = [_TINY if 0 < weight < 0.005 else f"{weight:.2f}" for weight in weights]
        boxes["shown"] = [number(weight) for weight in weights]
        fields.append(("shown", "weight"))
    wide, tall = int(boxes["x2"].max()) + 4, int(boxes["y2"].max()) + 24 + numbered * _MORE
    plane = Plane(wide, tall, columns=wide, rows=tall)
    says = plane_tooltip(*fields)
    colors = {"fill": mark_channel("fill:N", scale=None), "stroke": mark_channel("edge:N", scale=None)}
    table = mark_table(boxes)
    notes = mark_table({"middle": boxes["middle"], "below": boxes["below"] + numbered * _MORE, "text": boxes["note"]})
    numbers = mark_table({"middle": boxes["middle"], "below": boxes["below"], "text": position})
    mark = mark_layer(table, "rect", plane.box() | colors | {"tooltip": says}, cornerRadius=6, strokeWidth=2)
    layers = [
        selectable_mark(mark, pick.select, "row", "column"),
        plane.texts(table, "middle", "centre", says, fontSize=size),
        plane.texts(notes, "middle", "below", color=theme.text if numbered else theme.muted),
    ]
    if numbered:
        layers.append(plane.texts(numbers, "middle", "below", color=theme.muted))
    return dressed_layout(plane.figure(layers), theme, f"{len(tokens)} tokens: {' '.join(shown)}")


@checked_arguments(pixels=("across", "down", "size"), labels=("tokens",), counts=("most",))
def token_strip_width(tokens, across, down, *, size=18, numbered=False, most=_MOST):
    """Return the width at which a strip breaks into lines so that it can be shown largest in a room of this shape.

    Parameters
    ----------
    tokens : sequence of str
    across, down : float
        Of the room, in pixels or parts of them.
    size : int, default 18
    numbered : bool, default False
    most : int, default 200
        As in `token_strip`.

    Returns
    -------
    int
        At most `across`.
    """
    shown, note = [str(token) for token in tokens[:most]], numbered * _MORE

    def scale(width):
        boxes = _placed(shown, width, size, _BELOW + note, numbered)
        return min(across / (boxes["x2"].max() + 4), down / (boxes["y2"].max() + 24 + note))

    return int(max((across * part / 20 for part in range(20, 2, -1)), key=scale)) if shown else int(across)


def _placed(tokens, width, size, below, weighed):
    """Return the columns of a table with the box of every token, line after line, where a weight has room below it."""
    least = max(2 * size, label_pixels(_TINY) * weighed)
    texts, lefts, rights, tops, x, y, height = [], [], [], [], 2, 2, 2.2 * size
    for token in tokens:
        text = shorten_label(visible_label(token), 24)
        wide = max(label_pixels(text, size) + 1.2 * size, least)
        if x > 2 and x + wide + _EDGE > width:
            x, y = 2, y + height + below
        texts, lefts, rights, tops = [*texts, text], [*lefts, x], [*rights, x + wide], [*tops, y]
        x += wide + _GAP
    left, right, top = (np.array(side, dtype=float) for side in (lefts, rights, tops))
    if _from_the_right(tokens):
        across = right.max() + left.min()
        left, right = across - right, across - left
    across = {"text": texts, "x": left, "x2": right, "middle": (left + right) / 2}
    return across | {"y": top, "y2": top + height, "centre": top + height / 2, "below": top + height + 12}


def _from_the_right(tokens):
    """Return whether most letters beyond ASCII are of a script that runs from right to left."""
    ways = [unicodedata.bidirectional(letter) for letter in "".join(tokens) if not letter.isascii()]
    return 2 * sum(way in ("R", "AL") for way in ways) > len(ways)
