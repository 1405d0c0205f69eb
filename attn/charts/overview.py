"""A long sequence at a glance, and the exact window under a brush."""

import altair as alt
import numpy as np
import pandas as pd

from attn.charts.heatmap import _checked, _picture, frame_for, message, swatches, wrapped
from attn.charts.labels import axis, ticks
from attn.charts.layout import dressed
from attn.charts.scale import colour_scale


def overview(
    values, rows, columns, theme, *, select="brush", window=None, kind="weights", hidden=None, title="",
    axes=("query", "key"), limit=None, log=False, size=420, tooltip_name=None,
):  # fmt: skip
    """Draw a whole matrix as a picture on which a part can be marked out.

    Parameters
    ----------
    values, rows, columns, theme, kind, hidden, title, axes, limit, log, size, tooltip_name
        As in `heatmap`.
    select : str, default "brush"
        Name of the selection; `window_of` reads what it tells.
    window : (slice, slice), optional
        Rows and columns to outline: the part that is shown elsewhere.

    Returns
    -------
    alt.LayerChart
    """
    values, hidden = _checked(values, rows, columns, hidden)
    if not values.size:
        return message("Nothing to show.", theme, title)
    frame = frame_for(values.shape, size)
    scale = colour_scale(values, theme, kind, limit, log, ~hidden)
    x = frame.x(axis(ticks(columns, frame.cell_width, across=True), axes[1], theme.role(axes[1])))
    y = frame.y(axis(ticks(rows, frame.cell_height, across=False), axes[0], theme.role(axes[0])))
    name = tooltip_name or {"weights": "weight"}.get(kind, "value")
    image, touch = _picture(values, hidden, rows, columns, frame, scale, axes, name, x, y, None, True)
    brush = alt.selection_interval(name=select, encodings=["x", "y"], mark=alt.BrushConfig(fill=theme.text, fillOpacity=0.12, stroke=theme.text))
    layers = [image.add_params(brush), touch, *swatches(values, hidden, theme)]
    if window is not None:
        layers.append(_window(window, frame, theme))
    chart = alt.layer(*layers).resolve_scale(color="independent").properties(width=frame.width, height=frame.height)
    if title:
        chart = chart.properties(title=wrapped(title, frame.width))
    return dressed(chart, theme, f"{title or 'Overview'}: {values.shape[0]} rows by {values.shape[1]} columns as a picture.")


def window_of(brush, shape, span=32):
    """Return the rows and columns that a brush marks out, at most `span` of each.

    Parameters
    ----------
    brush : dict or None
        What the selection of `overview` tells: ``{"x": [left, right], "y": [top, bottom]}`` in cells,
        in any order; empty or None when nothing is marked.
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
    (slice(4, 10, None), slice(105, 137, None))
    >>> window_of({}, (20, 512))
    (slice(0, 20, None), slice(0, 32, None))
    """
    brush = brush or {}
    return tuple(_part(brush.get(side), count, span) for side, count in zip(("y", "x"), shape, strict=True))


def _part(ends, count, span):
    """Return at most `span` of `count` places, around the middle of `ends`."""
    ends = [end for end in ends or () if isinstance(end, int | float) and np.isfinite(end)]
    if len(ends) < 2:
        return slice(0, min(span, count))
    low, high = max(0, int(np.floor(min(ends)))), min(count, int(np.ceil(max(ends))))
    wide = min(max(high - low, 1), span, count)
    start = int(np.clip(round((low + high - wide) / 2), 0, count - wide))
    return slice(start, start + wide)


def _window(window, frame, theme):
    """Return the outline of some rows and columns."""
    rows, columns = window
    box = {"x": [columns.start], "x2": [columns.stop], "y": [rows.start], "y2": [rows.stop]}
    mark = alt.Chart(pd.DataFrame(box)).mark_rect(filled=False, stroke=theme.text, strokeWidth=2, tooltip=None)
    return mark.encode(x=frame.x(), x2="x2:Q", y=frame.y(), y2="y2:Q")
