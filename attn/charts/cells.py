"""A matrix on a plane: its cells, or a picture of them, with their numbers, outlines and words."""

import re

import numpy as np

from attn.charts import raster
from attn.charts.labels import LINE, aligned_labels, fixed_labels, label_pixels, number
from attn.charts.legends import legend_length, legend_swatches_width
from attn.charts.marks import (
    mark_channel,
    mark_colour,
    mark_column,
    mark_edges,
    mark_layer,
    mark_names,
    mark_state,
    mark_table,
    mark_values,
    selectable_mark,
)
from attn.charts.options import Style
from attn.charts.plane import FINEST_CELL, LEAST_PLOT, Plane, least_plane, plane_tooltip
from attn.charts.theme import FONT_SIZE, rgb, theme_ink

MOST_CELLS = 64 * 64  # beyond these a browser stumbles over single marks
_LARGEST_CELL = 84  # pixels
_BESIDE_NUMBER = 4  # pixels that a number leaves of the width of its cell
_BLOCKS = 24  # a picture answers to the pointer in so many blocks a side


def checked_cells(values, rows, columns, hidden):
    """Return the matrix as floats and its hidden cells, or say what does not fit."""
    values = np.asarray(values)
    values = values if values.dtype == np.float32 else values.astype(float)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"values must have a row and a column per label, got {values.shape} for {len(rows)} and {len(columns)}"
        )
    try:
        return values, np.broadcast_to(np.asarray(False if hidden is None else hidden, dtype=bool), values.shape)
    except ValueError:
        raise ValueError(f"hidden must fit values, got {np.shape(hidden)} for {values.shape}") from None


def plane_for_cells(shape, size, square=True):
    """Return the plane of a matrix, its longer side at most `size` pixels, or of a width and height.

    Cells are whole pixels wide wherever they can be, so that no seam shows between them.
    """
    if isinstance(size, tuple):
        least = (min(LEAST_PLOT, FINEST_CELL * n) for n in shape[::-1])
        width, height = map(max, size, least)
        return Plane(width=width, height=height, columns=shape[1], rows=shape[0])
    size = least_plane(size, max(shape))
    cell = min(size / max(shape), _LARGEST_CELL)
    cell = int(cell) if cell >= 2 else cell
    sides = [max(1, round(n * cell)) for n in shape]
    if not square:
        thick = [min(size // 3, n * _LARGEST_CELL // 2) for n in shape]
        sides = [max(side, low // n * n or low) for n, side, low in zip(shape, sides, thick, strict=True)]
    return Plane(width=sides[1], height=sides[0], columns=shape[1], rows=shape[0])


def cell_marks(values, hidden, rows, columns, plane, scale, axes, select=None, style=Style()):
    """Return one layer with a mark per cell."""
    row, column = np.indices(values.shape, dtype=np.uint16).reshape(2, -1)
    table = mark_table(
        {
            "row": row,
            "column": column,
            "x2": column + 1,
            "y2": row + 1,
            "shade": scale.shade(values).ravel().astype(np.float32),
            "state": mark_state(values, hidden).ravel(),
            "shown": mark_values(values, hidden, style.hidden_name),
            "down": mark_names(rows, row),
            "across": mark_names(columns, column),
        }
    )
    gap = 1 if min(plane.cell_width, plane.cell_height) >= 7 else 0
    room = plane.width - legend_swatches_width(values, hidden, style.hidden_name)
    color = mark_colour(scale.encoding("shade", legend_length(plane), style.legend, room), scale.theme)
    says = _tooltip(axes, scale.name)
    channels = plane.box("column", "row") | {"color": color, "stroke": mark_edges(scale.theme), "tooltip": says}
    mark = mark_layer(table, "rect", channels, strokeWidth=gap)
    return [selectable_mark(mark, select, "row", "column")]


def cells_as_picture(values, hidden, rows, columns, plane, scale, axes, select=None, style=Style()):
    """Return the matrix as one picture, under blocks that answer to the pointer."""
    shrink = min(1, raster.LARGEST / max(plane.width, plane.height))
    url = raster.raster_picture(values, hidden, scale, round(plane.width * shrink), round(plane.height * shrink))
    right, below = raster.raster_edges(plane.columns, _BLOCKS), raster.raster_edges(plane.rows, _BLOCKS)
    row, column = (places.ravel() for places in raster.raster_peaks(values, hidden, _BLOCKS, _BLOCKS))
    i, j = np.divmod(np.arange(row.size), len(right) - 1)
    blocks = mark_table(
        {
            "row": row.astype(np.int32),  # the browser reads 64 bits as another kind of number
            "column": column.astype(np.int32),
            "x": right[j],
            "x2": right[j + 1],
            "y": below[i],
            "y2": below[i + 1],
            "shade": scale.shade(values[row, column]).astype(np.float32),
            "shown": mark_values(values[row, column], hidden[row, column], style.hidden_name),
            "down": mark_names(rows, row),
            "across": mark_names(columns, column),
        }
    )
    room = plane.width - legend_swatches_width(values, hidden, style.hidden_name)
    color, says = scale.encoding("shade", legend_length(plane), style.legend, room), f"largest {scale.name} here"
    touch = mark_layer(blocks, "rect", plane.box() | {"color": color, "tooltip": _tooltip(axes, says)}, opacity=0)
    frame = plane.outline(0, 0, plane.columns, plane.rows, scale.theme.grid, 1)
    return [cells_image_layer(plane, url), frame, selectable_mark(touch, select, "row", "column")]


def cells_image_layer(plane, url):
    """Return a layer with one image that fills the plane."""
    whole = mark_table({"x": [0], "x2": [plane.columns], "y": [0], "y2": [plane.rows], "url": [url]})
    # smooth would blur the cells, and a tooltip would show the address, which is the image itself
    channels = plane.box() | {"url": mark_channel("url:N")}
    return mark_layer(whole, "image", channels, aspect=False, smooth=False, tooltip=None)


def cell_numerals(table, values, hidden, plane, scale, axes, style=Style()):
    """Return a layer of the values as text, if they all fit into the cells of `table`."""
    shown, hides = (np.isfinite(values) & ~hidden).ravel(), hidden.ravel()
    texts, size = _written_in(plane, values.ravel()[shown], style.decimals, scale.theme.number_size)
    if size < scale.theme.number_size:
        return []
    written, inks = np.full(values.size, style.hidden_number, dtype=object), np.empty(values.size, dtype=object)
    written[shown], inks[shown] = texts, theme_ink(scale.colours(values.ravel()[shown]))
    inks[hides] = theme_ink(rgb(scale.theme.hidden)).item()
    seen = shown | hides if style.hidden_number else shown
    row, column = np.nonzero(seen.reshape(values.shape))
    places = {"text": written[seen].tolist(), "ink": inks[seen].tolist(), "middle": column + 0.5, "centre": row + 0.5}
    table = table.select(["row", "column", "down", "across", "shown"])  # a click on a number reads the first two
    table = table.filter(mark_column(seen))
    for name, column in places.items():
        table = table.append_column(name, mark_column(column))
    small = {} if size == FONT_SIZE else {"fontSize": size}
    return [plane.texts(table, "middle", "centre", tooltip=_tooltip(axes, scale.name), **small)]


def _written_in(plane, numbers, decimals, least):
    """Return the texts of numbers and the pixels of their type, with fewer digits where three have no room.

    Where not even these are as large as they are to be at least, numbers with a sign go without the zero before their
    point (−.25 fits where 0.25 does), or with one decimal (−1.0 fits where −1.00 does not).
    """
    cell = plane.cell_width, plane.cell_height
    ways = [aligned_labels(numbers, digits) for digits in (3, 2)] if decimals is None else []
    for texts in ways or [fixed_labels(numbers, decimals)]:
        if (size := numeral_size(texts, *cell)) == FONT_SIZE:
            break
    if size < least and any(text.startswith("−0.") for text in texts):
        texts = [re.sub(r"^(−?)0\.", r"\1.", text) for text in texts]
        size = numeral_size(texts, *cell)
        if size < least and decimals is None:
            texts = fixed_labels(numbers, 1)
            size = numeral_size(texts, *cell)
    return texts, size


def numeral_size(texts, cell_width, cell_height):
    """Return the pixels of the type in which every text fits into a cell of so many pixels, at most those of words."""
    wide = max(map(label_pixels, texts), default=0) + _BESIDE_NUMBER
    return FONT_SIZE * min(1, cell_height / LINE, cell_width / wide)


def cell_outlines(plane, theme, axes, pick):
    """Return layers that outline a row, a column and a cell."""
    highlight, layers = pick.highlight or {}, []
    if (row := highlight.get("row")) is not None:
        layers.append(plane.selection_frame(0, row, plane.columns, row + 1, theme.role(axes[0])))
    if (column := highlight.get("column")) is not None:
        layers.append(plane.selection_frame(column, 0, column + 1, plane.rows, theme.role(axes[1])))
    if pick.selected is not None:
        row, column = pick.selected
        layers.append(plane.selection_frame(column, row, column + 1, row + 1, theme.text, 3))
    return layers


def described_cells(what, values, hidden, rows, columns, axes, name, hidden_name="hidden"):
    """Return the figure in words."""
    seen = np.isfinite(values) & ~hidden
    text = f"{what}: a heat map of {len(rows)} rows ({axes[0]}) and {len(columns)} columns ({axes[1]})."
    if seen.any():
        parts = 1 if values.size <= MOST_CELLS else _BLOCKS  # a long matrix is not copied
        places = raster.raster_peaks(values, ~seen, parts, 1)
        largest = np.where(seen[places], np.abs(values[places]), -1).argmax()
        row, column = (at.flat[largest] for at in places)
        text += f" The largest {name}, {number(values[row, column])}, is at {rows[row]}, {columns[column]}."
    if hidden.any():
        text += f" {int(hidden.sum())} of {hidden.size} cells are {hidden_name}."
    return text


def _tooltip(axes, name):
    """Return what the pointer says: both tokens by name, and the value."""
    return plane_tooltip(("down", axes[0] or "row"), ("across", axes[1] or "column"), ("shown", name))
