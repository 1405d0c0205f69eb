"""A matrix as a figure: rows down, columns across, one labelled scale of colour."""

import textwrap
from typing import NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from attn.charts import raster
from attn.charts.labels import LINE, aligned, axis, number, pixels, ticks
from attn.charts.layout import dressed
from attn.charts.scale import colour_scale
from attn.charts.theme import TITLE_SIZE, ink_on

MOST_CELLS = 64 * 64  # beyond these a browser stumbles over single marks
MOST_NUMBERS = 120  # more numbers than these are not read
_LARGEST_CELL = 84  # pixels
_BLOCKS = 24  # a picture answers to the pointer in so many blocks a side
_VALUE_NAMES = {"weights": "weight", "signed": "value", "magnitude": "size"}


class Frame(NamedTuple):
    """Where a matrix lies: cells of `cell_width` x `cell_height` pixels between two axes."""

    n_rows: int
    n_columns: int
    width: int  # pixels
    height: int

    @property
    def cell_width(self):
        """Pixels from one column to the next."""
        return self.width / self.n_columns

    @property
    def cell_height(self):
        """Pixels from one row to the next."""
        return self.height / self.n_rows

    def x(self, axis=None):
        """Return the channel of left edges, counted in columns."""
        return alt.X("x:Q", scale=alt.Scale(domain=[0, self.n_columns], nice=False, zero=False), axis=axis)

    def y(self, axis=None):
        """Return the channel of top edges, counted in rows."""
        return alt.Y("y:Q", scale=alt.Scale(domain=[self.n_rows, 0], nice=False, zero=False), axis=axis)


def heatmap(
    values,
    rows,
    columns,
    theme,
    *,
    kind="weights",
    hidden=None,
    title="",
    axes=("query", "key"),
    limit=None,
    log=False,
    numbers=None,
    selected=None,
    select=None,
    highlight=None,
    size=420,
    square=True,
    legend=True,
    tooltip_name=None,
):
    """Draw a matrix in colour.

    Parameters
    ----------
    values : array_like, shape (n_rows, n_columns)
        What is not finite gets a colour of its own.
    rows, columns : sequence of str
        Labels, as `token_labels` makes them.
    theme : Theme
    kind : {"weights", "signed", "magnitude"}
        A scale from 0 to 1, around 0, or from 0 to the largest.
    hidden : array_like of bool, shape (n_rows, n_columns), optional
        True where a cell is hidden: drawn flat grey, whatever it holds.
    title : str
    axes : (str, str)
        What runs down and what runs across; "query", "key", "value" and "output" bring their colours.
    limit : float, optional
        The value at the end of the scale.
    log : bool, default False
        Logarithmic colour, over four powers of ten.
    numbers : bool, optional
        Whether each cell shows its value; by default where there are few and there is room.
    selected : (int, int), optional
        Row and column of a cell to outline.
    select : str, optional
        Name of a selection that tells which cell was chosen, as ``{"row": i, "column": j}``.
        In a picture of many cells it is the block's value farthest from 0.
    highlight : dict, optional
        ``{"row": i}``, ``{"column": j}`` or both, to be outlined in the colour of the axis.
    size : int, default 420
        Pixels along the longer side.
    square : bool, default True
        Whether cells are square, or, where the matrix is long and thin, stretched across.
    legend : bool, default True
    tooltip_name : str, optional
        What a value is called, in the legend and under the pointer.

    Returns
    -------
    alt.LayerChart
        At most 64 x 64 cells are drawn one by one. More become a picture, and what is sent no longer
        grows with their number.

    Raises
    ------
    ValueError
        If labels or `hidden` do not fit the matrix, or the scale is not one.
    """
    values, hidden = _checked(values, rows, columns, hidden)
    if not values.size:
        return message("Nothing to show.", theme, title)
    name = tooltip_name or _VALUE_NAMES.get(kind, "value")
    frame = frame_for(values.shape, size, square)
    scale = colour_scale(values, theme, kind, limit, log, ~hidden)
    x = frame.x(axis(ticks(columns, frame.cell_width, across=True), axes[1], theme.role(axes[1])))
    y = frame.y(axis(ticks(rows, frame.cell_height, across=False), axes[0], theme.role(axes[0])))

    draw = _cells if values.size <= MOST_CELLS else _picture
    layers = draw(values, hidden, rows, columns, frame, scale, axes, name, x, y, select, legend)
    if numbers is None:
        numbers = values.size <= MOST_NUMBERS
    if numbers and values.size <= MOST_CELLS:
        layers += _numbers(values, hidden, frame, scale)
    if legend:
        layers += swatches(values, hidden, theme)
    layers += outlines(frame, theme, axes, highlight, selected)
    chart = alt.layer(*layers).resolve_scale(color="independent").properties(width=frame.width, height=frame.height)
    if title:
        chart = chart.properties(title=wrapped(title, frame.width))
    return dressed(chart, theme, _described(title or f"{name} by {axes[0]} and {axes[1]}", values, hidden, rows, columns, axes, name))


def message(text, theme, title=""):
    """Return a figure that only says `text`."""
    mark = alt.Chart(pd.DataFrame({"text": [text]})).mark_text(color=theme.muted, align="left", tooltip=None)
    mark = mark.encode(text="text:N", x=alt.value(0), y=alt.value(LINE)).properties(width=280, height=2 * LINE)
    return dressed(mark.properties(title=title) if title else mark, theme, " ".join(filter(None, [title, text])))


def frame_for(shape, size, square=True):
    """Return the frame of a matrix of this shape, its longer side at most `size` pixels.

    Cells are a whole number of pixels wherever they can be, so that no seam shows between them.
    """
    longer = max(shape)
    cell = min(size // longer, _LARGEST_CELL)
    height, width = (n * cell if cell > 1 else max(1, round(size * n / longer)) for n in shape)
    if not square:
        least = size // 3
        height, width = (max(side, min(n * _LARGEST_CELL // 2, least)) for side, n in zip((height, width), shape, strict=True))
        height, width = (n * max(1, side // n) if side // n > 1 else side for side, n in zip((height, width), shape, strict=True))
    return Frame(*shape, width, height)


def wrapped(title, width):
    """Return `title` as lines that fit over a plot of this width."""
    columns = max(16, int(1.25 * width / (0.52 * TITLE_SIZE)))
    return textwrap.wrap(title, columns) or [title]


def outlines(frame, theme, axes=("query", "key"), highlight=None, selected=None):
    """Return layers that outline a row, a column and a cell."""
    boxes = []
    highlight = highlight or {}
    if (row := highlight.get("row")) is not None:
        boxes.append((0, row, frame.n_columns, row + 1, theme.role(axes[0]), 2.5))
    if (column := highlight.get("column")) is not None:
        boxes.append((column, 0, column + 1, frame.n_rows, theme.role(axes[1]), 2.5))
    if selected is not None:
        row, column = selected
        boxes.append((column, row, column + 1, row + 1, theme.text, 3))
    layers = []
    for x, y, x2, y2, colour, width in boxes:
        box = alt.Chart(pd.DataFrame({"x": [x], "y": [y], "x2": [x2], "y2": [y2]}))
        mark = box.mark_rect(filled=False, stroke=colour, strokeWidth=width, tooltip=None)
        layers.append(mark.encode(x=frame.x(), x2="x2:Q", y=frame.y(), y2="y2:Q"))
    return layers


def swatches(values, hidden, theme):
    """Return a layer that draws nothing but the legend entries of hidden and invalid cells."""
    entries = {}
    if hidden.any():
        entries["hidden"] = theme.hidden
    if (~np.isfinite(values) & ~hidden).any():
        entries["not a number"] = theme.invalid
    if not entries:
        return []
    scale = alt.Scale(domain=list(entries), range=list(entries.values()))
    legend = alt.Legend(
        title=None, orient="bottom", direction="horizontal", symbolType="square", symbolSize=260, symbolOpacity=1, offset=16
    )
    mark = alt.Chart(pd.DataFrame({"kind": list(entries)})).mark_rect(opacity=0, tooltip=None)
    place = {"x": alt.value(0), "x2": alt.value(1), "y": alt.value(0), "y2": alt.value(1)}
    return [mark.encode(color=alt.Color("kind:N", scale=scale, legend=legend), **place)]


def _checked(values, rows, columns, hidden):
    """Return the matrix as floats and its hidden cells, or say what does not fit."""
    values = np.asarray(values)
    values = values if values.dtype == np.float32 else values.astype(float)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"values must have a row and a column per label, got {values.shape} for {len(rows)} and {len(columns)}"
        )
    if hidden is None:
        return values, np.zeros(values.shape, dtype=bool)
    hidden = np.asarray(hidden, dtype=bool)
    if hidden.ndim > 2 or np.broadcast_shapes(hidden.shape, values.shape) != values.shape:
        raise ValueError(f"hidden must have the shape of values, got {hidden.shape} for {values.shape}")
    return values, np.broadcast_to(hidden, values.shape)


def _cells(values, hidden, rows, columns, frame, scale, axes, name, x, y, select, legend):
    """Return one layer with a mark per cell."""
    row, column = np.divmod(np.arange(values.size), frame.n_columns)
    frame_of_cells = pd.DataFrame(
        {
            "row": row.astype(np.uint16),
            "column": column.astype(np.uint16),
            "x": column.astype(np.uint16),
            "x2": (column + 1).astype(np.uint16),
            "y": row.astype(np.uint16),
            "y2": (row + 1).astype(np.uint16),
            "shade": scale.shade(values).ravel().astype(np.float32),
            "state": _state(values, hidden).ravel(),
            "shown": _shown(values, hidden),
            "down": pd.Categorical.from_codes(row, _unique(rows)),
            "across": pd.Categorical.from_codes(column, _unique(columns)),
        }
    )
    gap = 1 if min(frame.cell_width, frame.cell_height) >= 7 else 0
    mark = alt.Chart(frame_of_cells).mark_rect(stroke=scale.theme.grid, strokeWidth=gap)
    mark = mark.encode(
        x=x,
        x2="x2:Q",
        y=y,
        y2="y2:Q",
        color=_painted(scale, name, frame, legend, "shade"),
        tooltip=_tooltip(axes, name),
    )
    return [mark.add_params(_choice(select)) if select else mark]


def _picture(values, hidden, rows, columns, frame, scale, axes, name, x, y, select, legend):
    """Return the matrix as one picture, under blocks that answer to the pointer."""
    shrink = min(1, raster.LARGEST / max(frame.width, frame.height))
    url = raster.picture(values, hidden, scale, round(frame.width * shrink), round(frame.height * shrink))
    whole = {"x": [0], "x2": [frame.n_columns], "y": [0], "y2": [frame.n_rows], "url": [url]}
    image = alt.Chart(pd.DataFrame(whole)).mark_image(aspect=False, smooth=False, tooltip=None)
    image = image.encode(x=x, x2="x2:Q", y=y, y2="y2:Q", url="url:N")

    down, across = raster.edges(frame.n_rows, _BLOCKS), raster.edges(frame.n_columns, _BLOCKS)
    row, column = (places.ravel() for places in raster.peaks(values, hidden, _BLOCKS, _BLOCKS))
    i, j = np.divmod(np.arange(row.size), len(across) - 1)
    blocks = pd.DataFrame(
        {
            "row": row,
            "column": column,
            "x": across[j],
            "x2": across[j + 1],
            "y": down[i],
            "y2": down[i + 1],
            "shade": scale.shade(values[row, column]).astype(np.float32),
            "state": np.uint8(0),
            "shown": _shown(values[row, column], hidden[row, column]),
            "down": [rows[r] for r in row],
            "across": [columns[c] for c in column],
        }
    )
    touch = alt.Chart(blocks).mark_rect(opacity=0)
    touch = touch.encode(
        x=frame.x(),
        x2="x2:Q",
        y=frame.y(),
        y2="y2:Q",
        color=scale.encoding("shade", name, length=_legend_length(frame), legend=legend),
        tooltip=_tooltip(axes, f"largest {name} here"),
    )
    return [image, touch.add_params(_choice(select)) if select else touch]


def _painted(scale, name, frame, legend, field):
    """Return the colour channel of cells: the scale, or the flat colours of hidden and invalid ones."""
    theme = scale.theme
    colour = scale.encoding(field, name, length=_legend_length(frame), legend=legend)
    colour.condition = [
        {"test": "datum.state === 1", "value": theme.hidden},
        {"test": "datum.state === 2", "value": theme.invalid},
    ]
    return colour


def _legend_length(frame):
    """Return how long a legend below this frame is."""
    return int(min(max(frame.width * 0.6, 120), 240))


def _numbers(values, hidden, frame, scale):
    """Return a layer of the values as text, if they fit into their cells."""
    seen = np.isfinite(values) & ~hidden
    texts = next((t for t in (aligned(values[seen], digits) for digits in (4, 3, 2)) if _fit(t, frame)), None)
    if texts is None:
        return []
    row, column = np.nonzero(seen)
    ink = ink_on(scale.colours(values[seen]), scale.theme)
    cells = pd.DataFrame({"x": column + 0.5, "y": row + 0.5, "text": texts, "ink": ink})
    mark = alt.Chart(cells).mark_text(baseline="middle", align="center", tooltip=None)
    return [mark.encode(x=frame.x(), y=frame.y(), text="text:N", color=alt.Color("ink:N", scale=None))]


def _fit(texts, frame):
    """Return whether every text fits into a cell."""
    return frame.cell_height >= LINE and max(map(pixels, texts), default=0) + 6 <= frame.cell_width


def _tooltip(axes, name):
    """Return what the pointer says: both tokens by name, and the value."""
    return [
        alt.Tooltip("down:N", title=axes[0]),
        alt.Tooltip("across:N", title=axes[1]),
        alt.Tooltip("shown:N", title=name),
    ]


def _choice(name):
    """Return the selection of one cell."""
    return alt.selection_point(name=name, fields=["row", "column"], toggle=False, empty=False)


def _state(values, hidden):
    """Return 0 for cells that are shown, 1 for hidden ones, 2 for those that are not a number."""
    return np.where(hidden, 1, np.where(np.isfinite(values), 0, 2)).astype(np.uint8)


def _shown(values, hidden):
    """Return what the pointer says of each value."""
    return ["hidden" if h else number(v, 4) for v, h in zip(values.ravel(), hidden.ravel(), strict=True)]


def _unique(labels):
    """Return labels that differ, as the categories of a column must."""
    labels = [str(label) for label in labels]
    if len(set(labels)) == len(labels):
        return labels
    return [label + "\u200b" * labels[:i].count(label) for i, label in enumerate(labels)]


def _described(what, values, hidden, rows, columns, axes, name):
    """Return the figure in words."""
    seen = np.isfinite(values) & ~hidden
    text = f"{what}: a heat map of {len(rows)} rows ({axes[0]}) and {len(columns)} columns ({axes[1]})."
    if seen.any():
        row, column = np.unravel_index(np.where(seen, np.abs(values), -1).argmax(), values.shape)
        text += f" The largest {name}, {number(values[row, column])}, is at {rows[row]}, {columns[column]}."
    if hidden.any():
        text += f" {int(hidden.sum())} of {hidden.size} cells are hidden."
    return text
