"""One number per layer and head of a model, and over it which heads are out of bounds, off or replaced."""

from dataclasses import replace

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.cells import plane_for_cells
from attn.charts.heatmap import heatmap
from attn.charts.labels import number
from attn.charts.legends import legend_squares
from attn.charts.marks import mark_channel, mark_layer, mark_table
from attn.charts.options import Pick, Scale, Style
from attn.charts.plane import plane_tooltip
from attn.charts.theme import LIGHT

_REPLACED = "#E69F00"  # orange of Okabe and Ito, which no role has


@checked_arguments(numbers=("values",), pixels=("size",))
def layer_head_map(
    values,
    theme=LIGHT,
    *,
    title="",
    hidden=None,
    size=520,
    scale=Scale(),
    pick=Pick(),
    tolerance=None,
):
    """Draw one number per layer and head, layers down and heads across.

    Parameters
    ----------
    values : array_like, shape (num_layers, num_heads)
        NaN where there is nothing to measure, or no such head.
    theme : Theme, default LIGHT
    title : str
    hidden : array_like of bool, shape (num_layers, num_heads), optional
        Heads that are filtered out.
    size, scale
        As in `attn.charts.heatmap`.
    pick : Pick, optional
        Which layer and head are outlined. Its selection tells which were chosen, as ``{"row": layer, "column": head}``
        counted from 0; the labels count from 1.
    tolerance : float, optional
        Larger values are outlined in the colour of what is wrong; the end of the scale, if that has none.

    Returns
    -------
    alt.LayerChart
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"values must be (num_layers, num_heads), got {values.shape}")
    rows, columns = ([str(i) for i in range(1, n + 1)] for n in values.shape)
    gone = np.broadcast_to(False if hidden is None else hidden, values.shape)
    unknown = np.isnan(values) & ~gone & (tolerance is None)  # what must keep to a tolerance is wrong instead
    grey = [("filtered out", gone), ("nothing to measure", unknown)]
    figure = heatmap(
        values, rows, columns, theme, kind="magnitude", title=title, hidden=gone | unknown, size=size,
        axes=("layer", "head"), scale=replace(scale, limit=scale.limit or tolerance), pick=pick,
        style=Style(numbers=False, hidden_name=" or ".join(name for name, cells in grey if cells.any())),
    )  # fmt: skip
    if tolerance is None or not values.size:
        return figure
    names = rows, columns, ("layer", "head"), theme
    plane = plane_for_cells(values.shape, size).labelled(*names, chosen=pick.places())
    beyond = _beyond(plane, *np.nonzero(~(values <= tolerance)), f"above {number(tolerance)}", theme)
    figure.layer = [*figure.layer, beyond]
    return figure


def _beyond(plane, row, column, name, theme):
    """Return a layer that outlines cells in the colour of what is wrong, with a legend entry called `name`."""
    table = mark_table({"x": column + 0.06, "x2": column + 0.94, "y": row + 0.06, "y2": row + 0.94, "kind": name})
    legend = {
        "title": None,
        "orient": "bottom",
        "symbolType": "square",
        "symbolSize": 160,
        "symbolStrokeWidth": 3,
        "symbolFillColor": "transparent",
    }
    stroke = mark_channel("kind:N", scale={"domain": [name], "range": [theme.invalid]}, legend=legend)
    return plane.rectangles(table, {"stroke": stroke}, filled=False, strokeWidth=3)


@checked_arguments(numbers=(("values", 2),), pixels=("size",))
def head_switches(
    values,
    theme=LIGHT,
    *,
    off=(),
    replaced=(),
    kind="magnitude",
    title="",
    size=520,
    scale=Scale(),
    pick=Pick(),
    missing="no such head",
):
    """Draw one number per layer and head, and over it which heads are off or have another pattern.

    Parameters
    ----------
    values : array_like, shape (num_layers, num_heads)
        NaN where there is none.
    theme : Theme, default LIGHT
    off, replaced : iterable of (int, int)
        Heads as (layer, head). Their numbers are not shown, and do not count for the scale.
    kind, title, size, scale
        As in `attn.charts.heatmap`.
    pick : Pick, optional
        As in `layer_head_map`.
    missing : str
        What a head without a number is called in the legend.

    Returns
    -------
    alt.LayerChart
    """
    values = np.array(values, dtype=float)
    if not values.size:
        raise ValueError(f"values must have a layer and a head at least, got shape {values.shape}")
    rows, columns = ([str(i) for i in range(1, n + 1)] for n in values.shape)
    off = set(off)
    covered = [
        ("off", "×", theme.hidden, off),
        ("pattern replaced", "≈", _REPLACED, set(replaced) - off),
        (missing, "", theme.grid, {(int(row), int(column)) for row, column in np.argwhere(np.isnan(values))} - off),
    ]
    under = {head for *_, heads in covered for head in heads}
    for head in under:
        values[head] = 0
    figure = heatmap(
        values, rows, columns, theme, kind=kind, title=title, size=size, axes=("layer", "head"), scale=scale, pick=pick,
        style=Style(numbers=False, legend=len(under) < values.size),  # of colours that are to be seen
    )  # fmt: skip
    names = rows, columns, ("layer", "head"), theme
    plane = plane_for_cells(values.shape, size).labelled(*names, chosen=pick.places())
    figure.layer = [*figure.layer, *_covers(plane, [kind for kind in covered if kind[-1]], theme)]
    return figure


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
    layer, head, names, signs = zip(*heads, strict=True)
    row, column = np.array([layer, head], dtype=np.int32)  # the browser reads 64 bits as another kind of number
    columns = {"row": row, "column": column, "kind": names, "text": signs, "layer": row + 1, "head": column + 1}
    columns |= {"x": column, "x2": column + 1, "y": row, "y2": row + 1, "middle": column + 0.5, "centre": row + 0.5}
    table = mark_table(columns)
    color = legend_squares("kind", {name: colour for name, _, colour, _ in covered})
    says = plane_tooltip(("layer", "layer"), ("head", "head"), ("kind", "now"))
    channels = plane.box() | {"color": color, "tooltip": says}
    bold = {"fontWeight": 700, "fontSize": int(min(max(plane.cell_height * 0.8, 14), 28))}
    return [
        mark_layer(table, "rect", channels, stroke=theme.background, strokeWidth=1),
        plane.texts(table, "middle", "centre", says, color=theme.text, **bold),
    ]
