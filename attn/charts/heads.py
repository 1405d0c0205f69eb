"""Many heads at once: small multiples, groups, the concatenation, and a map of the whole model."""

import math

import altair as alt
import numpy as np
import pandas as pd

from attn.charts import raster
from attn.charts.heatmap import (
    MOST_CELLS,
    Frame,
    _checked,
    _legend_length,
    _painted,
    _shown,
    _state,
    _unique,
    heatmap,
    message,
    outlines,
    swatches,
    wrapped,
)
from attn.charts.labels import LINE, Ticks, axis, number, pixels, ticks
from attn.charts.layout import dressed, undressed
from attn.charts.scale import colour_scale
from attn.charts.theme import ink_on, rgb

_GAP = 18  # pixels between the maps of two heads
_HEADLINE = 26  # pixels for the title over each


def head_grid(
    weights,
    rows,
    columns,
    theme,
    *,
    titles=None,
    hidden=None,
    per_row=None,
    select=None,
    selected=None,
    kind="weights",
    limit=None,
    log=False,
    title="",
    width=1000,
):
    """Draw one map per head, all on one scale of colour.

    Parameters
    ----------
    weights : array_like, shape (num_heads, n_q, n_k)
    rows, columns : sequence of str
        Labels of queries and keys.
    theme : Theme
    titles : sequence of str, optional
        One per head; by default "head 1" and so on.
    hidden : array_like of bool, shape (n_q, n_k) or (num_heads, n_q, n_k), optional
    per_row : int, optional
        Maps side by side; by default as many as fill the width well.
    select : str, optional
        Name of a selection that tells which head was chosen, as ``{"head": h}`` counted from 0.
    selected : int, optional
        A head to outline.
    kind, limit, log
        As in `heatmap`.
    title : str
    width : int, default 1000
        Pixels.

    Returns
    -------
    alt.LayerChart
        With few cells each is a mark with a tooltip; with more than 4096 all heads are one picture.

    Raises
    ------
    ValueError
        If there is not one row and one column per label, or one title per head.
    """
    weights = np.asarray(weights)
    weights = weights if weights.dtype == np.float32 else weights.astype(float)
    if weights.ndim != 3:
        raise ValueError(f"weights must be (num_heads, n_q, n_k), got {weights.shape}")
    num_heads, n_q, n_k = weights.shape
    if not weights.size:
        return message("Nothing to show.", theme, title)
    titles = [f"head {h}" for h in range(1, num_heads + 1)] if titles is None else [str(t) for t in titles]
    if len(titles) != num_heads:
        raise ValueError(f"titles must be one per head, got {len(titles)} for {num_heads} heads")
    flat = weights.reshape(num_heads * n_q, n_k)
    _, hidden = _checked(flat, list(rows) * num_heads, columns, _all_heads(hidden, weights.shape))
    scale = colour_scale(flat, theme, kind, limit, log, ~hidden)
    grid = Grid.fitting(num_heads, n_q, n_k, per_row, width)

    draw = _grid_cells if weights.size <= MOST_CELLS else _grid_picture
    layers = draw(weights, hidden.reshape(weights.shape), rows, columns, grid, scale, titles, select)
    layers += _headlines(grid, titles, theme)
    layers += swatches(flat, hidden, theme)
    if selected is not None:
        layers += _frame_around(grid, selected, theme)
    chart = alt.layer(*layers).resolve_scale(color="independent").properties(width=grid.width, height=grid.height)
    if title:
        chart = chart.properties(title=wrapped(title, grid.width))
    what = f"{title or 'Attention by head'}: {num_heads} maps of {n_q} queries by {n_k} keys on one scale."
    return dressed(chart, theme, what)


def head_groups(num_heads, num_kv_heads, theme, *, title="", width=880):
    """Draw query heads bracketed under the key/value head that they share.

    Parameters
    ----------
    num_heads, num_kv_heads : int
        `num_heads` is a multiple of `num_kv_heads`.
    theme : Theme
    title : str
    width : int, default 880
        Pixels.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If the heads do not divide into groups.
    """
    if num_heads < 1 or num_kv_heads < 1 or num_heads % num_kv_heads:
        raise ValueError(
            f"num_heads must be a multiple of num_kv_heads, both at least 1, got {num_heads} and {num_kv_heads}"
        )
    group = num_heads // num_kv_heads
    pitch = min(64.0, width / num_heads)
    head = np.arange(num_heads)
    x = head * pitch + 3
    fills = [theme.head(h) for h in head]
    boxes = pd.DataFrame({"x": x, "x2": x + pitch - 6, "y": 92, "y2": 126, "color": fills, "text": [str(h + 1) for h in head]})
    boxes["ink"] = ink_on(np.stack([rgb(c) for c in fills]), theme)
    boxes["what"] = [f"query head {h + 1} reads key/value head {h // group + 1}" for h in head]

    shared = np.arange(num_kv_heads)
    left, right = shared * group * pitch + 3, (shared + 1) * group * pitch - 3
    middle = (left + right) / 2
    half = min(group * pitch / 2 - 3, 46)
    parts = []
    for role, name, x1, x2 in (("key", "K", middle - half, middle), ("value", "V", middle, middle + half)):
        colour = theme.role(role)
        part = pd.DataFrame({"x": x1, "x2": x2, "y": 4, "y2": 38, "color": colour})
        part["text"] = [f"{name} {s + 1}" for s in shared]
        part["ink"] = ink_on(rgb(colour), theme).item()
        part["what"] = [f"{role} head {s + 1}, read by query heads {s * group + 1} to {(s + 1) * group}" for s in shared]
        parts.append(part)
    boxes = pd.concat([boxes, *parts], ignore_index=True)
    centre = head * pitch + pitch / 2
    lines = [pd.DataFrame({"x": centre, "x2": centre, "y": 64, "y2": 90})]
    lines.append(pd.DataFrame({"x": middle, "x2": middle, "y": 40, "y2": 64}))
    lines.append(pd.DataFrame({"x": centre[::group], "x2": centre[group - 1 :: group], "y": 64, "y2": 64}))
    names = Ticks([21, 109], ["key and value heads", "query heads"], 0)
    plot = Frame(130, 1, round(pitch * num_heads), 130)
    across = alt.Scale(domain=[0, plot.width], nice=False, zero=False)
    down = alt.Scale(domain=[130, 0], nice=False, zero=False)
    x = alt.X("x:Q", scale=across, axis=None)
    y = alt.Y("y:Q", scale=down, axis=axis(names, "", theme.muted))
    rects = alt.Chart(boxes).mark_rect(cornerRadius=3).encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=alt.Color("color:N", scale=None), tooltip=alt.Tooltip("what:N", title=" ")
    )  # fmt: skip
    boxes = boxes.assign(middle=(boxes["x"] + boxes["x2"]) / 2, centre=(boxes["y"] + boxes["y2"]) / 2)
    fits = boxes[[pixels(t) <= b - a for t, a, b in zip(boxes["text"], boxes["x"], boxes["x2"], strict=True)]]
    text = alt.Chart(fits).mark_text(baseline="middle", fontWeight=600, tooltip=None).encode(
        x=alt.X("middle:Q", scale=across), y=alt.Y("centre:Q", scale=down), text="text:N", color=alt.Color("ink:N", scale=None)
    )  # fmt: skip
    rules = alt.Chart(pd.concat(lines)).mark_rule(color=theme.muted, strokeWidth=1.5, tooltip=None)
    rules = rules.encode(x=x, x2="x2:Q", y=alt.Y("y:Q", scale=down), y2="y2:Q")
    chart = alt.layer(rules, rects, text).properties(width=plot.width, height=130)
    if title:
        chart = chart.properties(title=wrapped(title, plot.width))
    what = f"{title or 'Heads'}: {num_heads} query heads share {num_kv_heads} key/value heads, {group} to each."
    return dressed(chart, theme, what)


def concat_map(concat, num_heads, rows, theme, *, title="", limit=None, size=640, numbers=None):
    """Draw the heads' outputs side by side, a coloured band over each.

    Parameters
    ----------
    concat : array_like, shape (n, num_heads * d_v)
    num_heads : int
    rows : sequence of str
        Labels of tokens.
    theme : Theme
    title : str
    limit, numbers
        As in `heatmap`.
    size : int, default 640
        Pixels along the longer side.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If the width is not a multiple of `num_heads`.
    """
    concat = np.asarray(concat)
    if concat.ndim != 2 or num_heads < 1 or concat.shape[1] % num_heads:
        raise ValueError(f"concat must be (n, num_heads * d_v), got {concat.shape} and num_heads {num_heads}")
    d_v = concat.shape[1] // num_heads
    columns = [f"{d + 1}" for _ in range(num_heads) for d in range(d_v)]
    figure = heatmap(
        concat, rows, columns, theme, kind="signed", axes=("token", "dimension of the head"),
        limit=limit, size=size, square=False, numbers=numbers,
    )  # fmt: skip
    if not concat.size:
        return figure
    plot = undressed(figure)
    pitch = plot.width / num_heads
    head = np.arange(num_heads)
    fills = [theme.head(h) for h in head]
    bands = pd.DataFrame({"x": head * pitch + 1, "x2": (head + 1) * pitch - 1, "color": fills})
    bands["middle"] = (head + 0.5) * pitch
    long = [f"head {h + 1}" for h in head]
    bands["text"] = long if max(map(pixels, long)) + 6 <= pitch else [str(h + 1) for h in head]
    bands["ink"] = ink_on(np.stack([rgb(c) for c in fills]), theme)
    return _banded(plot, bands, theme, title)


def layer_head_map(values, theme, *, title="", log=False, select=None, selected=None, tolerance=None, limit=None, tooltip_name=None, size=520):
    """Draw one number per layer and head, layers down and heads across.

    Parameters
    ----------
    values : array_like, shape (num_layers, num_heads)
    theme : Theme
    title : str
    log : bool, default False
    select : str, optional
        Name of a selection that tells which was chosen, as ``{"row": layer, "column": head}``
        counted from 0; the labels count from 1.
    selected : (int, int), optional
        Layer and head to outline.
    tolerance : float, optional
        Larger values are outlined in the colour of what is wrong.
    limit, tooltip_name, size
        As in `heatmap`.

    Returns
    -------
    alt.LayerChart
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"values must be (num_layers, num_heads), got {values.shape}")
    rows, columns = ([str(i) for i in range(1, n + 1)] for n in values.shape)
    return heatmap(
        values, rows, columns, theme, kind="magnitude", title=title, axes=("layer", "head"), limit=limit,
        log=log, selected=selected, select=select, size=size, tooltip_name=tooltip_name,
    )  # fmt: skip


def _banded(plot, bands, theme, title):
    """Return the map `plot` with a strip of coloured, named bands above it, columns aligned."""
    x = alt.Scale(domain=[0, plot.width], nice=False, zero=False)
    strip = alt.Chart(bands).mark_rect(tooltip=None, cornerRadius=2).encode(
        x=alt.X("x:Q", scale=x, axis=None), x2="x2:Q", color=alt.Color("color:N", scale=None)
    )  # fmt: skip
    text = alt.Chart(bands).mark_text(baseline="middle", fontWeight=600, tooltip=None).encode(
        x=alt.X("middle:Q", scale=x), text="text:N", color=alt.Color("ink:N", scale=None)
    )  # fmt: skip
    head = alt.layer(strip, text).properties(width=plot.width, height=24)
    if title:
        head = head.properties(title=wrapped(title, plot.width))
    whole = alt.vconcat(head, plot, spacing=4).resolve_scale(color="independent")
    return dressed(whole, theme, f"{title or 'The concatenation'}: {plot.description}")


class Grid:
    """Where each head's map lies: equal maps in rows, in pixels from the top left corner."""

    def __init__(self, num_heads, n_q, n_k, per_row, cell):
        self.num_heads, self.n_q, self.n_k, self.per_row, self.cell = num_heads, n_q, n_k, per_row, cell
        self.map_width, self.map_height = max(1, round(n_k * cell)), max(1, round(n_q * cell))
        rows = math.ceil(num_heads / per_row)
        self.width = min(per_row, num_heads) * (self.map_width + _GAP) - _GAP
        self.height = rows * (self.map_height + _HEADLINE + _GAP) - _GAP

    @classmethod
    def fitting(cls, num_heads, n_q, n_k, per_row, width):
        """Return the grid whose maps fill the width, with cells of whole pixels where they can be."""
        per_row = min(num_heads, per_row or _per_row(num_heads))
        room = (width + _GAP) / per_row - _GAP
        cell = min(room / n_k, 420 / max(n_q, n_k), 48)
        return cls(num_heads, n_q, n_k, per_row, math.floor(cell) if cell >= 2 else cell)

    def left(self, head):
        """Return the left edges of the maps of `head`."""
        return (head % self.per_row) * (self.map_width + _GAP)

    def top(self, head):
        """Return the top edges of the maps of `head`, below their titles."""
        return (head // self.per_row) * (self.map_height + _HEADLINE + _GAP) + _HEADLINE

    def x(self, axis=None):
        """Return the channel of left edges, in pixels."""
        return alt.X("x:Q", scale=alt.Scale(domain=[0, self.width], nice=False, zero=False), axis=axis)

    def y(self, axis=None):
        """Return the channel of top edges, in pixels."""
        return alt.Y("y:Q", scale=alt.Scale(domain=[self.height, 0], nice=False, zero=False), axis=axis)


def _per_row(num_heads):
    """Return how many maps stand side by side: all of a few, else what leaves full rows."""
    if num_heads <= 4:
        return num_heads
    return next((n for n in (6, 4, 5, 8) if num_heads % n == 0), 6)


def _all_heads(hidden, shape):
    """Return hidden cells of every head, one below the other."""
    if hidden is None:
        return None
    hidden = np.asarray(hidden, dtype=bool)
    try:
        return np.broadcast_to(hidden, shape).reshape(-1, shape[-1])
    except ValueError:
        raise ValueError(f"hidden must fit weights, got {hidden.shape} for {shape}") from None


def _grid_cells(weights, hidden, rows, columns, grid, scale, titles, select):
    """Return a layer with a mark for each cell of each head."""
    head, row, column = (i.ravel() for i in np.indices(weights.shape))
    x, y = grid.left(head) + column * grid.cell, grid.top(head) + row * grid.cell
    cells = pd.DataFrame(
        {
            "head": head.astype(np.uint16),
            "x": x.astype(np.float32),
            "x2": (x + grid.cell).astype(np.float32),
            "y": y.astype(np.float32),
            "y2": (y + grid.cell).astype(np.float32),
            "shade": scale.shade(weights).ravel().astype(np.float32),
            "state": _state(weights, hidden).ravel(),
            "shown": _shown(weights, hidden),
            "title": pd.Categorical.from_codes(head, _unique(titles)),
            "down": pd.Categorical.from_codes(row, _unique(rows)),
            "across": pd.Categorical.from_codes(column, _unique(columns)),
        }
    )
    mark = alt.Chart(cells).mark_rect(stroke=scale.theme.grid, strokeWidth=1 if grid.cell >= 7 else 0)
    mark = mark.encode(
        x=grid.x(),
        x2="x2:Q",
        y=grid.y(_left_axis(rows, grid, scale.theme)),
        y2="y2:Q",
        color=_painted(scale, "weight" if scale.kind == "weights" else "value", grid, True, "shade"),
        tooltip=[
            alt.Tooltip("title:N", title="head"),
            alt.Tooltip("down:N", title="query"),
            alt.Tooltip("across:N", title="key"),
            alt.Tooltip("shown:N", title="weight" if scale.kind == "weights" else "value"),
        ],
    )
    return [mark.add_params(_choice(select)) if select else mark]


def _grid_picture(weights, hidden, rows, columns, grid, scale, titles, select):
    """Return all heads as one picture, under one block a head that answers to the pointer."""
    name = "weight" if scale.kind == "weights" else "value"
    levels = np.full((grid.height, grid.width), raster.BLANK, dtype=np.uint8)
    for h in range(grid.num_heads):
        top, left = grid.top(h), grid.left(h)
        levels[top : top + grid.map_height, left : left + grid.map_width] = raster.levels(
            weights[h], hidden[h], scale, grid.map_width, grid.map_height
        )
    whole = {"x": [0], "x2": [grid.width], "y": [0], "y2": [grid.height], "url": [raster.encoded(levels, scale)]}
    image = alt.Chart(pd.DataFrame(whole)).mark_image(aspect=False, smooth=False, tooltip=None)
    image = image.encode(x=grid.x(), x2="x2:Q", y=grid.y(), y2="y2:Q", url="url:N")
    head = np.arange(grid.num_heads)
    size = np.where(hidden | ~np.isfinite(weights), -1, np.abs(weights)).reshape(grid.num_heads, -1)
    row, column = np.divmod(size.argmax(axis=1), grid.n_k)
    best = weights[head, row, column]
    boxes = pd.DataFrame(
        {
            "head": head,
            "x": grid.left(head),
            "x2": grid.left(head) + grid.map_width,
            "y": grid.top(head),
            "y2": grid.top(head) + grid.map_height,
            "shade": scale.shade(best),
            "title": titles,
            "shown": _shown(best, hidden[head, row, column]),
            "down": [rows[i] for i in row],
            "across": [columns[i] for i in column],
        }
    )
    touch = alt.Chart(boxes).mark_rect(opacity=0).encode(
        x=grid.x(), x2="x2:Q", y=grid.y(), y2="y2:Q",
        color=scale.encoding("shade", name, length=_legend_length(grid)),
        tooltip=[
            alt.Tooltip("title:N", title="head"),
            alt.Tooltip("shown:N", title=f"largest {name}"),
            alt.Tooltip("down:N", title="from query"),
            alt.Tooltip("across:N", title="to key"),
        ],
    )  # fmt: skip
    return [image, touch.add_params(_choice(select)) if select else touch]


def _choice(name):
    """Return the selection of one head."""
    return alt.selection_point(name=name, fields=["head"], toggle=False, empty=False)


def _left_axis(rows, grid, theme):
    """Return the labels of the queries, at the left of each row of maps, if there is room for all."""
    one = ticks(rows, grid.cell, across=False)
    if len(one.at) < len(rows):
        return None
    tops = grid.top(np.arange(0, grid.num_heads, grid.per_row))
    at = [float(top + place * grid.cell) for top in tops for place in one.at]
    return axis(Ticks(at, one.texts * len(tops), 0), "query", theme.query)


def _headlines(grid, titles, theme):
    """Return a coloured square and a title over each map."""
    head = np.arange(grid.num_heads)
    names = pd.DataFrame({"x": grid.left(head), "y": grid.top(head) - 16, "title": titles})
    names["x2"], names["y2"], names["text_x"] = names["x"] + 11, names["y"] + 11, names["x"] + 17
    names["middle"] = names["y"] + 6
    names["color"] = [theme.head(h) for h in head]
    square = alt.Chart(names).mark_rect(tooltip=None, cornerRadius=2).encode(
        x=grid.x(), x2="x2:Q", y=grid.y(), y2="y2:Q", color=alt.Color("color:N", scale=None)
    )  # fmt: skip
    text = alt.Chart(names).mark_text(align="left", baseline="middle", fontWeight=600, tooltip=None).encode(
        x=alt.X("text_x:Q", scale=grid.x()["scale"]), y=alt.Y("middle:Q", scale=grid.y()["scale"]), text="title:N"
    )  # fmt: skip
    return [square, text]


def _frame_around(grid, head, theme):
    """Return the outline of one head's map."""
    x, y = grid.left(head), grid.top(head)
    box = pd.DataFrame({"x": [x - 3], "x2": [x + grid.map_width + 3], "y": [y - 3], "y2": [y + grid.map_height + 3]})
    mark = alt.Chart(box).mark_rect(filled=False, stroke=theme.text, strokeWidth=3, tooltip=None, cornerRadius=3)
    return [mark.encode(x=grid.x(), x2="x2:Q", y=grid.y(), y2="y2:Q")]
