"""A long sequence at a glance, and the exact window under a brush."""

import math

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.cells import cells_as_picture, checked_cells, described_cells, plane_for_cells
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_swatches
from attn.charts.marks import mark_selection
from attn.charts.message import message
from attn.charts.options import Scale
from attn.charts.scale import colour_scale
from attn.charts.theme import LIGHT
from attn.functional import short_repr, whole_number


@checked_arguments(numbers=("values",), pixels=("size",), labels=("rows", "columns"))
def overview(
    values,
    rows,
    columns,
    theme=LIGHT,
    *,
    kind="weights",
    title="",
    hidden=None,
    size=420,
    axes=("query", "key"),
    scale=Scale(),
    select="brush",
    window=None,
):
    """Draw a whole matrix as a picture on which a part can be marked out.

    Parameters
    ----------
    values, rows, columns, theme, kind, title, hidden, size, axes, scale
        As in `attn.charts.heatmap`.
    select : str, default "brush"
        Name of the selection; `window_of` reads what it tells.
    window : (slice, slice), optional
        Rows and columns to outline: the part that is shown elsewhere.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        As `attn.charts.heatmap`.
    """
    values, hidden = checked_cells(values, rows, columns, hidden)
    if not values.size:
        return message("Nothing to show.", theme, title)
    plane = plane_for_cells(values.shape, size).labelled(rows, columns, axes, theme)
    colours = colour_scale(values, theme, kind, shown=~hidden, **vars(scale))
    image, *others = cells_as_picture(values, hidden, rows, columns, plane, colours, axes)
    look = {"fill": theme.text, "fillOpacity": 0.15, "stroke": theme.text}
    image = mark_selection(image, select, {"type": "interval", "encodings": ["x", "y"], "mark": look})
    layers = [image, *others, *legend_swatches(values, hidden, theme)]
    if window is not None:
        down, across = window
        layers.append(plane.selection_frame(across.start, down.start, across.stop, down.stop, theme.text, 2))
    what = described_cells(title or "Overview", values, hidden, rows, columns, axes, colours.name)
    return dressed_layout(plane.figure(layers, title), theme, what)


def window_of(brush, shape, span=32):
    """Return the rows and columns that a brush marks out, at most `span` of each.

    Parameters
    ----------
    brush : dict or None
        What the selection of `overview` tells: ``{"x": [left, right], "y": [top, bottom]}`` in
        cells, in any order; empty or None when nothing is marked.
    shape : (int, int)
        Rows and columns of the matrix.
    span : int, default 32

    Returns
    -------
    rows, columns : slice
        Around the middle of the brush; the first `span` when nothing is marked.

    Examples
    --------
    >>> window_of({"x": [100.2, 140.9], "y": [4.0, 9.5]}, (512, 512))
    (slice(4, 10, None), slice(104, 136, None))
    >>> window_of({}, (20, 512))
    (slice(0, 20, None), slice(0, 32, None))
    """
    if not isinstance(brush, dict | None):
        raise ValueError(f"brush must be a dictionary of two ends for x and y, got {short_repr(brush)}")
    brush, span = brush or {}, whole_number("span", span, least=1)
    return tuple(_part(brush.get(side), count, span) for side, count in zip(("y", "x"), shape, strict=True))


def _part(ends, count, span):
    """Return at most `span` of `count` places, around the middle of `ends`."""
    ends = [float(end) for end in ends or () if isinstance(end, int | float) and math.isfinite(end)]
    if len(ends) < 2:
        return slice(0, min(span, count))
    low, high = np.clip([math.floor(min(ends)), math.ceil(max(ends))], 0, count)
    wide = min(max(high - low, 1), span, count)
    start = max((low + high - wide) // 2, 0)
    return slice(int(start), int(start + wide))
