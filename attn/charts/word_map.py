"""A map with a word in each cell, in the colour of a number."""

import math

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.cells import MOST_CELLS, checked_cells
from attn.charts.heatmap import heatmap
from attn.charts.labels import label_columns, shorten_label, visible_label
from attn.charts.marks import mark_column, mark_names, mark_table, mark_values
from attn.charts.options import Pick, Scale, Style
from attn.charts.outlines import text_width
from attn.charts.plane import FINGER_CELL, Plane, plane_tooltip
from attn.charts.scale import colour_scale
from attn.charts.theme import theme_ink

_LEAST, _MOST = 58, 110  # pixels across of a cell
_WIDE = 90  # of one that is as wide as its words need, where not all cells have room anyway
_TIGHT = 50  # to which it goes down where all cells then have room
_AROUND = 6  # pixels of a cell beside its word
_LETTERS = 14  # pixels
_BESIDE = 90  # pixels for the names of the rows


@checked_arguments(numbers=(("values", 2),), pixels=("width",), labels=("rows", "columns"))
def word_map(
    words, values, rows, columns, theme, *, title="", width=880, axes=("row", "column"), scale=Scale(), pick=Pick()
):
    """Draw a word in each cell of a matrix.

    Parameters
    ----------
    words : sequence of sequence of str
        As many as there are values; those too long for a cell end in an ellipsis, and the pointer says them in full.
    values : array_like, shape (n_rows, n_columns)
        From 0 to 1, the colours of the cells.
    rows, columns : sequence of str
    theme : Theme
    title : str
    width : int, default 880
        Pixels that all of it may take; more are taken where words would not be read.
    axes, scale, pick
        As in `attn.charts.heatmap`.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If there is not one word, one row and one column for each value.
    """
    values, hidden = checked_cells(values, rows, columns, None)
    if np.shape(words) != values.shape or not all(isinstance(word, str) for line in words for word in line):
        raise ValueError(f"words must be texts, one for each value {values.shape}, got {words!r:.80}")
    said = [visible_label(str(word)) for line in words for word in line]
    shared = (width - _BESIDE) / max(len(columns), 1)
    needed = max((text_width(word, _LETTERS) for word in said), default=0) + _AROUND
    cell = int(min(shared, _MOST) if shared >= _TIGHT else min(max(math.ceil(needed), _LEAST), _WIDE))
    size = (cell * len(columns), FINGER_CELL * len(rows))
    figure = heatmap(
        values, rows, columns, theme, title=title, size=size, axes=axes, scale=scale, pick=pick,
        style=Style(square=False, numbers=False, columns_above=True),
    )  # fmt: skip
    if not values.size:
        return figure
    row, column = np.indices(values.shape, dtype=np.int32).reshape(2, -1)
    colours = colour_scale(values, theme, "weights", **vars(scale))
    says = [*plane_tooltip(("down", axes[0]), ("across", axes[1]), ("shown", colours.name), ("word", "word"))]
    table = mark_table(
        {
            "row": row, "column": column, "middle": column + 0.5, "centre": row + 0.5,
            "text": [_fitted(word, cell - _AROUND) for word in said], "word": said,
            "ink": theme_ink(colours.colours(values.ravel())), "shown": mark_values(values, hidden),
            "down": mark_names(rows, row), "across": mark_names(columns, column),
        }
    )  # fmt: skip
    if values.size <= MOST_CELLS:  # one mark a cell, which says its word, too
        cells = figure.layer[0]
        cells.data = cells.data.append_column("word", mark_column(said))
        cells.encoding.tooltip = says
    plane = Plane(*size, columns=len(columns), rows=len(rows)).labelled(rows, columns, axes, theme, columns_above=True)
    figure.layer = [*figure.layer, plane.texts(table, "middle", "centre", says)]
    return figure


def _fitted(word, room):
    """Return a word, or as much of it as there is room for, in pixels."""
    cut = (shorten_label(word, columns) for columns in range(label_columns(word), 1, -1))
    return next((text for text in cut if text_width(text, _LETTERS) <= room), shorten_label(word, 1))
