"""What a change does: numbers before and after it side by side, and a map of heads to switch."""

import altair as alt
import numpy as np
import pandas as pd

from attn.charts.bars import lengths
from attn.charts.cells import chosen, message, plane_for
from attn.charts.heatmap import heatmap
from attn.charts.labels import Ticks, aligned, axis, number, percent, shorten
from attn.charts.layout import dressed
from attn.charts.plane import Plane, tooltip
from attn.charts.scale import colour_scale

_PAIR = 54  # pixels from one pair of bars to the next
_LONGEST = 16  # columns of a label
_REPLACED = "#E69F00"  # orange of Okabe and Ito, which no role has


def pairs(
    before,
    after,
    labels,
    theme,
    *,
    title="",
    names=("before", "after"),
    limit=None,
    selected=None,
    select=None,
    shares=False,
    width=360,
    tooltip_name="value",
):
    """Draw two rows of numbers as pairs of level bars on one scale, each with its value at the end.

    Parameters
    ----------
    before, after : array_like, shape (n,)
    labels : sequence of str
    theme : Theme
    title : str
    names : (str, str)
        What the upper and the lower bar of a pair are called.
    limit : float, optional
        The value at the end of the scale; by default the largest size.
    selected : int, optional
        A pair to mark.
    select : str, optional
        Name of a selection that tells which pair was chosen, as ``{"row": i}`` counted from 0.
    shares : bool, default False
        Whether the numbers are probabilities, which are written as per cent.
    width : int, default 360
        Pixels of the longest possible bar; where they are too few to be read, more are taken.
    tooltip_name : str
        What a value is called.

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
    scale = colour_scale(both, theme, "signed" if (both < 0).any() else "magnitude", limit, name=tooltip_name)
    ticks = Ticks((np.arange(len(both)) + 0.5).tolist(), [shorten(str(label), _LONGEST) for label in labels], 0)
    width, (zero, *end) = lengths(np.append(0, both), scale, width)
    plane = Plane(width, _PAIR * len(both), columns=1, rows=len(both), y_axis=axis(ticks, "", theme.muted))
    table = _bars(both, labels, zero, np.array(end), names, shares)
    colours = alt.Scale(domain=list(names), range=[theme.weight_half, theme.weight])
    legend = alt.Legend(title=None, orient="bottom", direction="horizontal", symbolType="square", symbolSize=150)
    says = tooltip(("label", "at"), ("series", "when"), ("shown", tooltip_name))
    mark = alt.Chart(table).mark_rect(cornerRadius=2)
    mark = mark.encode(**plane.box(), color=alt.Color("series:N", scale=colours, legend=legend), tooltip=says)
    layers = [] if selected is None else [plane.outline(0, selected, 1, selected + 1, theme.grid, 2, cornerRadius=4)]
    layers += [chosen(mark, select, "row"), plane.outline(zero, 0, zero, len(both), theme.muted, 1)]
    layers += [plane.texts(table[side], "tip", "middle", says, **at) for side, at in _sides(table["left"])]
    said = percent if shares else number
    what = f"{title or 'Before and after'}: " + "; ".join(
        f"{label} {said(one)} {names[0]}, {said(other)} {names[1]}"
        for label, (one, other) in zip(labels, both, strict=True)
    )
    return dressed(plane.figure(layers, title), theme, f"{what}.")


def head_switches(
    values,
    theme,
    *,
    off=(),
    replaced=(),
    title="",
    kind="magnitude",
    limit=None,
    select=None,
    selected=None,
    size=520,
    tooltip_name=None,
    missing="no such head",
):
    """Draw one number per layer and head, and over it which heads are off or have another pattern.

    Parameters
    ----------
    values : array_like, shape (num_layers, num_heads)
        NaN where there is none.
    theme : Theme
    off, replaced : iterable of (int, int)
        Heads as (layer, head). Their numbers are not shown, and do not count for the scale.
    title : str
    kind, limit, size, tooltip_name
        As in `attn.charts.heatmap`.
    select : str, optional
        Name of a selection that tells which was chosen, as ``{"row": layer, "column": head}``
        counted from 0; the labels count from 1.
    selected : (int, int), optional
        Layer and head to outline.
    missing : str
        What a head without a number is called in the legend.

    Returns
    -------
    alt.LayerChart
    """
    values = np.array(values, dtype=float)
    rows, columns = ([str(i) for i in range(1, n + 1)] for n in values.shape)
    off = set(off)
    covered = [
        ("off", "×", theme.hidden, off),
        ("pattern replaced", "≈", _REPLACED, set(replaced) - off),
        (missing, "", theme.grid, {(int(row), int(column)) for row, column in np.argwhere(np.isnan(values))} - off),
    ]
    for *_, heads in covered:
        for head in heads:
            values[head] = 0
    figure = heatmap(
        values, rows, columns, theme, kind=kind, title=title, axes=("layer", "head"), limit=limit,
        numbers=False, selected=selected, select=select, size=size, tooltip_name=tooltip_name,
    )  # fmt: skip
    plane = plane_for(values.shape, size).labelled(rows, columns, ("layer", "head"), theme)
    figure.layer = [*figure.layer, *_covers(plane, [kind for kind in covered if kind[-1]], theme)]
    return figure


def _matched(before, after, labels):
    """Return both rows, or say that they do not fit."""
    if not len(before) == len(after) == len(labels):
        raise ValueError(
            f"there must be a label and two numbers per pair, got {len(labels)}, {len(before)} and {len(after)}"
        )
    return before, after


def _bars(both, labels, zero, end, names, shares):
    """Return a table with a row per bar, pair by pair."""
    values, pair = both.ravel(), np.repeat(np.arange(len(both)), 2)
    top = pair + np.tile([0.08, 0.51], len(both))
    return pd.DataFrame(
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
            "series": list(names) * len(both),
            "text": [percent(value) for value in values] if shares else aligned(values),
            "shown": [f"{number(100 * value, 4)}%" if shares else number(value, 4) for value in values],
        }
    )


def _sides(left):
    """Return which numbers stand left of their bars and which right of them, and how."""
    sides = ((left, {"align": "right", "dx": -6}), (~left, {"align": "left", "dx": 6}))
    return [(side, at) for side, at in sides if side.any()]


def _covers(plane, covered, theme):
    """Return layers that cover some heads, with a legend entry for each kind; they answer to a click as the map does.

    Parameters
    ----------
    covered : list of (str, str, str, set of (int, int))
        What they are called, the sign on them, their colour, and which they are.
    """
    if not covered:
        return []
    heads = [(*head, name, sign) for name, sign, _, heads in covered for head in sorted(heads)]
    table = pd.DataFrame(heads, columns=["row", "column", "kind", "text"])
    table = table.astype({"row": np.int32, "column": np.int32})  # the browser reads 64 bits as another kind of number
    table = table.assign(x=table["column"], x2=table["column"] + 1, y=table["row"], y2=table["row"] + 1)
    table = table.assign(middle=table["column"] + 0.5, centre=table["row"] + 0.5)
    table["layer"], table["head"] = table["row"] + 1, table["column"] + 1
    scale = alt.Scale(domain=[kind[0] for kind in covered], range=[kind[2] for kind in covered])
    legend = alt.Legend(title=None, orient="bottom", direction="horizontal", symbolType="square", symbolSize=150)
    says = tooltip(("layer", "layer"), ("head", "head"), ("kind", "now"))
    mark = alt.Chart(table).mark_rect(stroke=theme.background, strokeWidth=1)
    bold = {"fontWeight": 700, "fontSize": int(min(max(plane.cell_height * 0.8, 14), 28))}
    return [
        mark.encode(**plane.box(), color=alt.Color("kind:N", scale=scale, legend=legend), tooltip=says),
        plane.texts(table, "middle", "centre", says, color=theme.text, **bold),
    ]
