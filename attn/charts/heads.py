"""Many heads at once: small multiples, groups, the concatenation, and a map of the whole model."""

import math
from typing import NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from attn.charts import raster
from attn.charts.cells import (
    MOST_CELLS,
    checked,
    chosen,
    image_layer,
    legend_length,
    lines,
    message,
    named,
    painted,
    plane_for,
    shown,
    state,
    swatches,
)
from attn.charts.heatmap import heatmap
from attn.charts.labels import Ticks, axis, number, pixels, ticks
from attn.charts.layout import concatenation, dressed, undressed
from attn.charts.plane import Plane, at_least, tooltip
from attn.charts.scale import colour_scale
from attn.charts.theme import ink_on, rgb

_GAP = 18  # pixels between the maps of two heads
_CHIP = 30  # pixels for the height of a box with the name of a head
_LEAST_PITCH = 24.0  # pixels from one box to the next that leave room for a number
_ASKING = 86  # pixels from the top to the boxes of query heads
_NAMES = 96  # pixels for the names of the two rows
_SQUARE = 18  # pixels for the coloured square before a title
_HEADLINE = 26  # pixels for the title over each
_AXIS = 36  # pixels for the name of the axis and the space beside its labels
_LARGEST_MAP = 420
_LARGEST_CELL = 48


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
    axes=("query", "key"),
    width=1000,
    tooltip_name=None,
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
    kind, limit, log, axes, tooltip_name
        As in `attn.charts.heatmap`.
    title : str
    width : int, default 1000
        Pixels; more are taken where maps would be slivers.

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
    _, hidden = checked(flat, list(rows) * num_heads, columns, _all_heads(hidden, weights.shape))
    scale = colour_scale(flat, theme, kind, limit, log, shown=~hidden, name=tooltip_name)
    grid = Grid.fitting(titles, rows, columns, per_row, width)
    plane = grid.plane(rows, columns, axes, theme)

    draw = _grid_cells if weights.size <= MOST_CELLS else _grid_picture
    layers = draw(weights, hidden.reshape(weights.shape), rows, columns, grid, plane, scale, titles, axes, select)
    layers += _headlines(grid, plane, titles, theme)
    layers += swatches(flat, hidden, theme)
    if selected is not None:
        x, y = grid.left(selected), grid.top(selected)
        layers.append(plane.outline(x - 3, y - 3, x + grid.map_width + 3, y + grid.map_height + 3, theme.text, 3))
    what = f"{title or 'Attention by head'}: {num_heads} maps of {n_q} by {n_k} on one scale."
    return dressed(plane.figure(layers, title), theme, what)


def head_groups(num_heads, num_kv_heads, theme, *, title="", width=880):
    """Draw query heads bracketed under the key/value head that they share.

    Parameters
    ----------
    num_heads, num_kv_heads : int
        `num_heads` is a multiple of `num_kv_heads`.
    theme : Theme
    title : str
    width : int, default 880
        Pixels, with the names at the left.

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
    pitch = max(_LEAST_PITCH, min(64.0, (width - _NAMES) / num_heads))
    names = axis(Ticks([4 + _CHIP / 2, _ASKING + _CHIP / 2], ["key, value", "query"], 0), "", theme.muted)
    height = _ASKING + _CHIP + 4
    plane = Plane(round(pitch * num_heads), height, columns=pitch * num_heads, rows=height, y_axis=names)
    left = np.arange(num_heads) * pitch
    chips = pd.concat([_asking(left, pitch, group, theme), *_shared(left, pitch, group, theme)], ignore_index=True)
    says = tooltip(("what", " "))
    mark = alt.Chart(chips).mark_rect(cornerRadius=3)
    layers = [
        _brackets(left + pitch / 2, group, plane, theme),
        mark.encode(**plane.box(), color=alt.Color("color:N", scale=None), tooltip=says),
        plane.texts(chips, "middle", "centre", says, fontWeight=600),
    ]
    what = f"{title or 'Heads'}: {num_heads} query heads share {num_kv_heads} key/value heads, {group} to each."
    return dressed(plane.figure(layers, title), theme, what)


def _asking(left, pitch, group, theme):
    """Return the boxes of the query heads."""
    head = np.arange(left.size)
    texts = [f"{h + 1}" for h in head]
    chips = _chips(left + 3, left + pitch - 3, _ASKING, [theme.head(h) for h in head], texts)
    return chips.assign(what=[f"query head {h + 1} reads key/value head {h // group + 1}" for h in head])


def _shared(left, pitch, group, theme):
    """Return the boxes of the keys and of the values, side by side over the query heads that read them."""
    start, stop = left[::group] + 3, left[group - 1 :: group] + pitch - 3
    middle, half = (start + stop) / 2, np.minimum((stop - start) / 2, 46)
    head = range(left.size // group)
    for name, role, x, x2 in (("K", "key", middle - half, middle), ("V", "value", middle, middle + half)):
        texts = [f"{name} {h + 1}" if pitch * group > 84 else name for h in head]
        chips = _chips(x, x2, 4, [theme.role(role)] * len(head), texts)
        readers = [f"{h * group + 1} to {(h + 1) * group}" if group > 1 else f"{h + 1}" for h in head]
        says = [f"{role} head {h + 1}, read by query head {reader}" for h, reader in enumerate(readers)]
        yield chips.assign(what=says)


def _brackets(centre, group, plane, theme):
    """Return the lines from each key/value head to the query heads that read it."""
    first, last = centre[::group], centre[group - 1 :: group]
    above, below, between = _CHIP + 6, _ASKING - 2, (_CHIP + _ASKING) / 2 + 2
    lines = [
        pd.DataFrame({"x": centre, "x2": centre, "y": between, "y2": below}),
        pd.DataFrame({"x": (first + last) / 2, "x2": (first + last) / 2, "y": above, "y2": between}),
        pd.DataFrame({"x": first, "x2": last, "y": between, "y2": between}),
    ]
    mark = alt.Chart(pd.concat(lines)).mark_rule(color=theme.muted, strokeWidth=1.5, tooltip=None)
    return mark.encode(**plane.box())


def _chips(left, right, top, fills, texts):
    """Return coloured boxes with their texts, where these fit."""
    table = pd.DataFrame({"x": left, "x2": right, "y": top, "y2": top + _CHIP, "color": fills})
    table["middle"], table["centre"] = (table["x"] + table["x2"]) / 2, top + _CHIP / 2
    table["text"] = [t if pixels(t) <= wide else "" for t, wide in zip(texts, right - left, strict=True)]
    table["ink"] = ink_on(np.stack([rgb(fill) for fill in fills]))
    return table


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
    columns = [f"{column + 1}" for column in range(concat.shape[1])]
    figure = heatmap(
        concat, rows, columns, theme, kind="signed", axes=("token", "dimension"),
        limit=limit, size=size, square=False, numbers=numbers,
    )  # fmt: skip
    if not concat.size:
        return figure
    plot = undressed(figure)
    plane = Plane(plot.width, _CHIP, columns=plot.width, rows=_CHIP)
    head = np.arange(num_heads)
    texts = [f"head {h + 1}" for h in head]
    if max(map(pixels, texts)) + 8 > plot.width / num_heads:
        texts = [f"{h + 1}" for h in head]
    pitch = plot.width / num_heads
    bands = _chips(head * pitch, (head + 1) * pitch, 0, [theme.head(h) for h in head], texts)
    strip = plane.rectangles(bands, cornerRadius=2, stroke=theme.background)
    strip = strip.encode(color=alt.Color("color:N", scale=None))
    above = plane.figure([strip, plane.texts(bands, "middle", "centre", fontWeight=600)], title)
    whole = concatenation("vconcat", [above, plot], spacing=3)
    return dressed(whole, theme, f"{title or 'The concatenation of the heads'}: {plot.description}")


def layer_head_map(
    values,
    theme,
    *,
    title="",
    hidden=None,
    log=False,
    select=None,
    selected=None,
    tolerance=None,
    limit=None,
    tooltip_name=None,
    size=520,
):
    """Draw one number per layer and head, layers down and heads across.

    Parameters
    ----------
    values : array_like, shape (num_layers, num_heads)
    theme : Theme
    title : str
    hidden : array_like of bool, shape (num_layers, num_heads), optional
        Heads that are filtered out.
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
    figure = heatmap(
        values, rows, columns, theme, kind="magnitude", title=title, axes=("layer", "head"), limit=limit or tolerance,
        log=log, hidden=hidden, numbers=False, selected=selected, select=select, size=size, tooltip_name=tooltip_name,
        hidden_name="filtered out",
    )  # fmt: skip
    if tolerance is None or not values.size:
        return figure
    plane = plane_for(values.shape, size).labelled(rows, columns, ("layer", "head"), theme)
    return figure + _beyond(plane, *np.nonzero(~(values <= tolerance)), f"above {number(tolerance)}", theme)


def _beyond(plane, row, column, name, theme):
    """Return a layer that outlines cells in the colour of what is wrong, with a legend entry called `name`."""
    table = pd.DataFrame({"x": column + 0.06, "x2": column + 0.94, "y": row + 0.06, "y2": row + 0.94, "kind": name})
    legend = alt.Legend(
        title=None,
        orient="bottom",
        symbolType="square",
        symbolSize=160,
        symbolStrokeWidth=3,
        symbolFillColor="transparent",
    )
    stroke = alt.Stroke("kind:N", scale=alt.Scale(domain=[name], range=[theme.invalid]), legend=legend)
    return plane.rectangles(table, filled=False, strokeWidth=3).encode(stroke=stroke)


class Grid(NamedTuple):
    """Where each head's map lies: equal maps in rows, in pixels from the top left corner."""

    num_heads: int
    per_row: int
    cell: float  # pixels
    map_width: int
    map_height: int
    pitch: int  # from one map to the next

    @classmethod
    def fitting(cls, titles, rows, columns, per_row, width):
        """Return the grid whose maps fill the width, with cells of whole pixels where they can be."""
        num_heads = len(titles)
        per_row = min(num_heads, per_row or _per_row(num_heads))
        n_q, n_k = len(rows), len(columns)
        width -= max(map(pixels, rows)) + _AXIS
        room = at_least((width + _GAP) / per_row - _GAP, n_k)
        cell = min(room / n_k, _LARGEST_MAP / max(n_q, n_k), _LARGEST_CELL)
        cell = math.floor(cell) if cell >= 2 else cell
        map_width, map_height = (max(1, round(n * cell)) for n in (n_k, n_q))
        pitch = max(map_width, round(max(map(pixels, titles))) + _SQUARE) + _GAP
        return cls(num_heads, per_row, cell, map_width, map_height, pitch)

    @property
    def width(self):
        """Pixels across all maps."""
        return self.per_row * self.pitch - _GAP

    @property
    def height(self):
        """Pixels down all maps and their titles."""
        return math.ceil(self.num_heads / self.per_row) * (self.map_height + _HEADLINE + _GAP) - _GAP

    def left(self, head):
        """Return the left edge of the map of `head`."""
        return head % self.per_row * self.pitch

    def top(self, head):
        """Return the top edge of the map of `head`, below its title."""
        return head // self.per_row * (self.map_height + _HEADLINE + _GAP) + _HEADLINE

    def plane(self, rows, columns, axes, theme):
        """Return the plane of all maps, in pixels, tokens named at its left and below."""
        tops, lefts = self.top(np.arange(0, self.num_heads, self.per_row)), self.left(np.arange(self.per_row))
        y = _repeated(ticks(rows, self.cell, across=False), tops, self.cell)
        x = _repeated(ticks(columns, self.cell, across=True), lefts, self.cell)
        return Plane(
            self.width,
            self.height,
            columns=self.width,
            rows=self.height,
            x_axis=axis(x, axes[1], theme.role(axes[1])),
            y_axis=axis(y, axes[0], theme.role(axes[0])),
        )


def _repeated(ticks, starts, cell):
    """Return the ticks of one map for maps at all `starts`."""
    at = [float(start + place * cell) for start in starts for place in ticks.at]
    return Ticks(at, ticks.texts * len(starts), ticks.angle)


def _per_row(num_heads):
    """Return how many maps stand side by side: full rows of 6, 5 or 4 if they can be, else nearly full ones."""
    full = next((n for n in (6, 5, 4) if num_heads % n == 0), None)
    return full or math.ceil(num_heads / math.ceil(num_heads / 6))


def _all_heads(hidden, shape):
    """Return hidden cells of every head, one below the other."""
    if hidden is None:
        return None
    hidden = np.asarray(hidden, dtype=bool)
    try:
        return np.broadcast_to(hidden, shape).reshape(-1, shape[-1])
    except ValueError:
        raise ValueError(f"hidden must fit weights, got {hidden.shape} for {shape}") from None


def _grid_cells(weights, hidden, rows, columns, grid, plane, scale, titles, axes, select):
    """Return a layer with a mark for each cell of each head."""
    head, row, column = np.indices(weights.shape, dtype=np.uint16).reshape(3, -1)
    x, y = grid.left(head) + column * grid.cell, grid.top(head) + row * grid.cell
    table = pd.DataFrame({"x": x, "x2": x + grid.cell, "y": y, "y2": y + grid.cell}, dtype=np.float32)
    table["head"] = head
    table["shade"] = scale.shade(weights).ravel().astype(np.float32)
    table["state"], table["shown"] = state(weights, hidden).ravel(), shown(weights, hidden)
    table["name"], table["down"], table["across"] = named(titles, head), named(rows, row), named(columns, column)
    mark = alt.Chart(table).mark_rect(strokeWidth=1 if grid.cell >= 7 else 0)
    fill = painted(scale.encoding("shade", legend_length(plane)), scale.theme)
    mark = mark.encode(**plane.box(), color=fill, stroke=lines(scale.theme), tooltip=_tooltip(axes, scale.name))
    return [chosen(mark, select, "head")]


def _grid_picture(weights, hidden, rows, columns, grid, plane, scale, titles, axes, select):
    """Return all heads as one picture, under one block a head that answers to the pointer."""
    head = np.arange(grid.num_heads, dtype=np.int32)
    size = np.where(hidden | ~np.isfinite(weights), -1, np.abs(weights)).reshape(grid.num_heads, -1)
    row, column = np.divmod(size.argmax(axis=1), weights.shape[2])
    best, x, y = weights[head, row, column], grid.left(head), grid.top(head)
    table = pd.DataFrame({"x": x, "x2": x + grid.map_width, "y": y, "y2": y + grid.map_height, "head": head})
    url = raster.mosaic(
        weights,
        hidden,
        scale,
        list(zip(x, y, strict=True)),
        (grid.map_width, grid.map_height),
        (grid.width, grid.height),
    )
    table["shade"], table["shown"] = scale.shade(best), shown(best, hidden[head, row, column])
    table["name"], table["down"], table["across"] = titles, [rows[i] for i in row], [columns[i] for i in column]
    touch = alt.Chart(table).mark_rect(opacity=0)
    touch = touch.encode(
        **plane.box(),
        color=scale.encoding("shade", legend_length(plane)),
        tooltip=_tooltip(axes, f"largest {scale.name}"),
    )
    frames = plane.rectangles(table[["x", "x2", "y", "y2"]], filled=False, stroke=scale.theme.grid)
    return [image_layer(plane, url), frames, chosen(touch, select, "head")]


def _tooltip(axes, name):
    """Return what the pointer says: the head, both tokens by name, and the value."""
    return tooltip(("name", "head"), ("down", axes[0]), ("across", axes[1]), ("shown", name))


def _headlines(grid, plane, titles, theme):
    """Return a coloured square and a title over each map."""
    head = np.arange(grid.num_heads)
    x, y = grid.left(head), grid.top(head) - 17
    squares = pd.DataFrame({"x": x, "x2": x + 12, "y": y, "y2": y + 12, "color": [theme.head(h) for h in head]})
    mark = alt.Chart(squares).mark_rect(tooltip=None, cornerRadius=2, stroke=theme.muted, strokeWidth=0.5)
    names = pd.DataFrame({"x": x + _SQUARE, "y": y + 6, "text": titles})
    return [
        mark.encode(**plane.box(), color=alt.Color("color:N", scale=None)),
        plane.texts(names, align="left", fontWeight=600),
    ]
