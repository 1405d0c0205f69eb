"""Numbers before and after a change, as pairs of bars."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.bars import bar_lengths, bars_row_end
from attn.charts.labels import Ticks, aligned_labels, labelled_axis, number, percent, shorten_label
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_squares
from attn.charts.marks import mark_column, mark_layer, mark_table, selectable_mark
from attn.charts.message import message
from attn.charts.options import Pick, Scale
from attn.charts.plane import Plane, plane_tooltip
from attn.charts.scale import colour_scale
from attn.charts.theme import LIGHT

_PAIR = 54  # pixels from one pair of bars to the next
_LONGEST = 16  # columns of a label
_WHEN = ("before", "after")  # the upper and the lower bar of a pair


@checked_arguments(numbers=(("before", 1), ("after", 1)), pixels=("width",), labels=("labels",))
def pairs(
    before,
    after,
    labels,
    theme=LIGHT,
    *,
    title="",
    width=360,
    shares=False,
    scale=Scale(),
    pick=Pick(),
):
    """Draw two rows of numbers as pairs of level bars on one scale, each with its value at the end.

    Parameters
    ----------
    before, after : array_like, shape (n,)
    labels : sequence of str
    theme : Theme, default LIGHT
    title : str
    width : int, default 360
        Pixels of the longest possible bar; where they are too few to be read, more are taken.
    shares : bool, default False
        Whether the numbers are probabilities, which are written as per cent.
    scale : Scale, optional
        Its end, by default the largest size, and what a number is called.
    pick : Pick, optional
        Which pair is marked. Its selection tells which was chosen, as ``{"row": i}`` counted from 0.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If there is not one label and one number of each kind per pair.
    """
    both = np.stack([np.asarray(row, dtype=float) for row in _matched(before, after, labels)], axis=1)
    if not both.size:
        return message("Nothing to show.", theme, title)
    scale = colour_scale(
        both, theme, "signed" if (both < 0).any() else "magnitude", scale.limit, name=scale.name or "number"
    )
    ticks = Ticks((np.arange(len(both)) + 0.5).tolist(), [shorten_label(str(label), _LONGEST) for label in labels], 0)
    width, (zero, *end) = bar_lengths(np.append(0, both), scale, width)
    plane = Plane(width, _PAIR * len(both), columns=1, rows=len(both), y_axis=labelled_axis(ticks, "", theme.muted))
    table = _bars(both, labels, zero, np.array(end), shares)
    color = legend_squares("series", dict(zip(_WHEN, (theme.weight_half, theme.weight), strict=True)), orient="top")
    says = plane_tooltip(("label", "at"), ("series", "when"), ("shown", scale.name))
    mark = mark_layer(table, "rect", plane.box() | {"color": color, "tooltip": says}, cornerRadius=2)
    layers = []
    if pick.selected is not None:
        own = slice(2 * pick.selected, 2 * pick.selected + 2)
        texts, ends = table["text"].to_pylist()[own], table["tip"].to_pylist()[own]
        right = max(bars_row_end(plane, *bar) for bar in zip(ends, texts, strict=True))
        layers.append(plane.selection_frame(0, pick.selected, right, pick.selected + 1, theme.grid, 2, cornerRadius=4))
    layers += [selectable_mark(mark, pick.select, "row"), plane.outline(zero, 0, zero, len(both), theme.muted, 1)]
    for side, at in _sides(both.ravel() < 0):
        layers.append(plane.texts(table.filter(mark_column(side)), "tip", "middle", says, **at))
    said = percent if shares else number
    what = f"{title or 'Before and after'}: " + "; ".join(
        f"{label} {said(one)} {_WHEN[0]}, {said(other)} {_WHEN[1]}"
        for label, (one, other) in zip(labels, both, strict=True)
    )
    return dressed_layout(plane.figure(layers, title), theme, f"{what}.")


def _matched(before, after, labels):
    """Return both rows, or say that they do not fit."""
    if not len(before) == len(after) == len(labels):
        raise ValueError(
            f"there must be a label and two numbers per pair, got {len(labels)}, {len(before)} and {len(after)}"
        )
    return before, after


def _bars(both, labels, zero, end, shares):
    """Return a table with a row per bar, pair by pair."""
    values, pair = both.ravel(), np.repeat(np.arange(len(both)), 2)
    top = pair + np.tile([0.08, 0.51], len(both))
    return mark_table(
        {
            "row": pair.astype(np.int32),  # the browser reads 64 bits as another kind of number
            "x": np.minimum(zero, end),
            "x2": np.maximum(zero, end),
            "tip": end,
            "y": top,
            "y2": top + 0.41,
            "middle": top + 0.205,
            "left": values < 0,
            "label": [str(labels[place]) for place in pair],
            "series": list(_WHEN) * len(both),
            "text": [percent(value) for value in values] if shares else aligned_labels(values),
            "shown": [f"{number(100 * value, 4)}%" if shares else number(value, 4) for value in values],
        }
    )


def _sides(left):
    """Return which numbers stand left of their bars and which right of them, and how."""
    sides = ((left, {"align": "right", "dx": -6}), (~left, {"align": "left", "dx": 6}))
    return [(side, at) for side, at in sides if side.any()]
