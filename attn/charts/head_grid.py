"""The maps of a layer's heads as small multiples on one scale of colour."""

import math
from typing import NamedTuple

import numpy as np

from attn.charts import raster
from attn.charts.arguments import checked_arguments
from attn.charts.cells import MOST_CELLS, cells_image_layer, checked_cells
from attn.charts.labels import Ticks, label_pixels, labelled_axis, tick_labels
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_length, legend_swatches
from attn.charts.marks import (
    mark_channel,
    mark_colour,
    mark_edges,
    mark_layer,
    mark_names,
    mark_state,
    mark_table,
    mark_values,
    selectable_mark,
)
from attn.charts.message import message
from attn.charts.options import Pick, Scale
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.charts.scale import colour_scale
from attn.charts.theme import LIGHT

_GAP = 18  # pixels between the maps of two heads
_SQUARE = 18  # pixels for the coloured square before a title
_HEADLINE = 26  # pixels for the title over each
_AXIS = 36  # pixels for the name of the axis and the space beside its labels
_LEAST_MAP, _LARGEST_MAP = 90, 420
_LARGEST_CELL = 48
_LEAST_ROW = 10  # pixels of a row, however low the window


@checked_arguments(numbers=("weights",), pixels=("width",), labels=("rows", "columns"), counts=("per_row",))
def head_grid(
    weights,
    rows,
    columns,
    theme=LIGHT,
    *,
    kind="weights",
    title="",
    titles=None,
    hidden=None,
    width=1000,
    per_row=None,
    axes=("query", "key"),
    scale=Scale(),
    pick=Pick(),
):
    """Draw one map per head, all on one scale of colour.

    Parameters
    ----------
    weights : array_like, shape (num_heads, n_q, n_k)
    rows, columns : sequence of str
        Labels of queries and keys.
    theme : Theme, default LIGHT
    kind, axes, scale
        As in `attn.charts.heatmap`.
    title : str
    titles : sequence of str, optional
        One per head; by default "head 1" and so on.
    hidden : array_like of bool, shape (n_q, n_k) or (num_heads, n_q, n_k), optional
    width : int or (int, int), default 1000
        Pixels; more are taken where maps would be slivers. With a second number all rows of maps are at most so many
        pixels high together, unless those of a map would be slivers.
    per_row : int, optional
        Maps side by side, or fewer where they would be too small; by default as many as fill the width well.
    pick : Pick, optional
        Which head is outlined. Its selection tells which was chosen, as ``{"head": h}`` counted from 0.

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
    _, hidden = checked_cells(flat, list(rows) * num_heads, columns, _all_heads(hidden, weights.shape))
    colours = colour_scale(flat, theme, kind, shown=~hidden, **vars(scale))
    grid = Grid.fitting(titles, rows, columns, per_row, *np.atleast_1d(width).tolist())
    plane = grid.plane(rows, columns, axes, theme)

    draw = _grid_cells if weights.size <= MOST_CELLS else _grid_picture
    layers = draw(
        weights, hidden.reshape(weights.shape), rows, columns, grid, plane, colours, titles, axes, pick.select
    )
    layers += _headlines(grid, plane, titles, theme)
    layers += legend_swatches(flat, hidden, theme)
    if pick.selected is not None:
        x, y = grid.left(pick.selected), grid.top(pick.selected)
        layers.append(
            plane.selection_frame(x - 3, y - 3, x + grid.map_width + 3, y + grid.map_height + 3, theme.text, 3)
        )
    what = f"{title or 'Attention by head'}: {num_heads} maps of {n_q} by {n_k} on one scale."
    return dressed_layout(plane.figure(layers, title), theme, what)


class Grid(NamedTuple):
    """Where each head's map lies: equal maps in rows, in pixels from the top left corner."""

    num_heads: int
    per_row: int
    cell: float  # pixels
    map_width: int
    map_height: int
    pitch: int  # from one map to the next

    @classmethod
    def fitting(cls, titles, rows, columns, per_row, width, tallest=None):
        """Return the grid whose maps fill the width, with cells of whole pixels where they can be."""
        num_heads = len(titles)
        per_row = min(num_heads, per_row or _per_row(num_heads))
        n_q, n_k = len(rows), len(columns)
        width -= max(map(label_pixels, rows)) + _AXIS
        per_row = min(per_row, max(1, int((width + _GAP) / (_LEAST_MAP + _GAP))))
        room = least_plane((width + _GAP) / per_row - _GAP, n_k)
        cell = min(room / n_k, _LARGEST_MAP / max(n_q, n_k), _LARGEST_CELL)
        if tallest is not None:
            down = math.ceil(num_heads / per_row)
            cell = min(cell, max(((tallest + _GAP) / down - _HEADLINE - _GAP) / n_q, _LEAST_ROW))
        cell = math.floor(cell) if cell >= 2 else cell
        map_width, map_height = (max(1, round(n * cell)) for n in (n_k, n_q))
        pitch = max(map_width, round(max(map(label_pixels, titles))) + _SQUARE) + _GAP
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
        y = _repeated(tick_labels(rows, self.cell, across=False), tops, self.cell)
        x = _repeated(tick_labels(columns, self.cell, across=True), lefts, self.cell)
        return Plane(
            self.width,
            self.height,
            columns=self.width,
            rows=self.height,
            x_axis=labelled_axis(x, axes[1], theme.role(axes[1])),
            y_axis=labelled_axis(y, axes[0], theme.role(axes[0])),
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
    sides = {"x": x, "x2": x + grid.cell, "y": y, "y2": y + grid.cell}
    names = {"name": mark_names(titles, head), "down": mark_names(rows, row), "across": mark_names(columns, column)}
    table = mark_table(
        {name: side.astype(np.float32) for name, side in sides.items()}
        | {
            "head": head,
            "shade": scale.shade(weights).ravel().astype(np.float32),
            "state": mark_state(weights, hidden).ravel(),
            "shown": mark_values(weights, hidden),
        }
        | names
    )
    fill = mark_colour(scale.encoding("shade", legend_length(plane), room=plane.width), scale.theme)
    channels = {"color": fill, "stroke": mark_edges(scale.theme), "tooltip": _tooltip(axes, scale.name)}
    mark = mark_layer(table, "rect", plane.box() | channels, strokeWidth=1 if grid.cell >= 7 else 0)
    return [selectable_mark(mark, select, "head")]


def _grid_picture(weights, hidden, rows, columns, grid, plane, scale, titles, axes, select):
    """Return all heads as one picture, under one block a head that answers to the pointer."""
    head = np.arange(grid.num_heads, dtype=np.int32)
    size = np.where(hidden | ~np.isfinite(weights), -1, np.abs(weights)).reshape(grid.num_heads, -1)
    row, column = np.divmod(size.argmax(axis=1), weights.shape[2])
    best, x, y = weights[head, row, column], grid.left(head), grid.top(head)
    sides = {"x": x, "x2": x + grid.map_width, "y": y, "y2": y + grid.map_height}
    url = raster.raster_mosaic(
        weights,
        hidden,
        scale,
        list(zip(x, y, strict=True)),
        (grid.map_width, grid.map_height),
        (grid.width, grid.height),
    )
    names = {"name": titles, "down": mark_names(rows, row), "across": mark_names(columns, column)}
    says = {"shade": scale.shade(best), "shown": mark_values(best, hidden[head, row, column])}
    table = mark_table(sides | {"head": head} | says | names)
    color, says = (
        scale.encoding("shade", legend_length(plane), room=plane.width),
        _tooltip(axes, f"largest {scale.name}"),
    )
    touch = mark_layer(table, "rect", plane.box() | {"color": color, "tooltip": says}, opacity=0)
    frames = plane.rectangles(mark_table(sides), filled=False, stroke=scale.theme.grid)
    return [cells_image_layer(plane, url), frames, selectable_mark(touch, select, "head")]


def _headlines(grid, plane, titles, theme):
    """Return a coloured square and a title over each map."""
    head = np.arange(grid.num_heads)
    x, y = grid.left(head), grid.top(head) - 17
    squares = mark_table({"x": x, "x2": x + 12, "y": y, "y2": y + 12, "color": [theme.head(h) for h in head]})
    color = mark_channel("color:N", scale=None)
    names = mark_table({"x": x + _SQUARE, "y": y + 6, "text": titles})
    return [
        plane.rectangles(squares, {"color": color}, cornerRadius=2, stroke=theme.muted, strokeWidth=0.5),
        plane.texts(names, align="left", fontWeight=600),
    ]


def _tooltip(axes, name):
    """Return what the pointer says: the head, both tokens by name, and the value."""
    return plane_tooltip(("name", "head"), ("down", axes[0]), ("across", axes[1]), ("shown", name))
