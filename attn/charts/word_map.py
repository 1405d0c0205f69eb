"""A map with a word in each cell, in the colour of a number."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.cells import checked_cells
from attn.charts.heatmap import heatmap
from attn.charts.labels import label_pixels, shorten_label, visible_label
from attn.charts.marks import mark_table
from attn.charts.options import Pick, Scale, Style
from attn.charts.plane import FINGER_CELL, Plane, plane_tooltip
from attn.charts.scale import colour_scale
from attn.charts.theme import theme_ink

_LEAST, _MOST = 58, 110  # pixels across of a cell
_TIGHT = 50  # to which it goes down where all cells then have room
_LETTER = label_pixels("n")
_BESIDE = 90  # pixels for the names of the rows


@checked_arguments(numbers=(("values", 2),), pixels=("width",), labels=("rows", "columns"))
def word_map(
    words, values, rows, columns, theme, *, title="", width=880, axes=("row", "column"), scale=Scale(), pick=Pick()
):
    """Draw a word in each cell of a matrix.

    Parameters
    ----------
    words : sequence of sequence of str
        As many as there are values; long ones end in an ellipsis, and the pointer says them in full.
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
    values, _ = checked_cells(values, rows, columns, None)
    if np.shape(words) != values.shape or not all(isinstance(word, str) for line in words for word in line):
        raise ValueError(f"words must be texts, one for each value {values.shape}, got {words!r:.80}")
    shared = (width - _BESIDE) / max(len(columns), 1)
    cell = int(min(shared if shared >= _TIGHT else _LEAST, _MOST))
    size = (cell * len(columns), FINGER_CELL * len(rows))
    figure = heatmap(
        values, rows, columns, theme, title=title, size=size, axes=axes, scale=scale, pick=pick,
        style=Style(square=False, numbers=False),
    )  # fmt: skip
    if not values.size:
        return figure
    row, column = np.indices(values.shape, dtype=np.int32).reshape(2, -1)
    said = [visible_label(str(word)) for line in words for word in line]
    table = mark_table(
        {
            "row": row, "column": column, "middle": column + 0.5, "centre": row + 0.5,
            "text": [shorten_label(word, int((cell - 8) / _LETTER)) for word in said], "word": said,
            "ink": theme_ink(colour_scale(values, theme, "weights", **vars(scale)).colours(values.ravel())),
        }
    )  # fmt: skip
    plane = Plane(*size, columns=len(columns), rows=len(rows)).labelled(rows, columns, axes, theme)
    figure.layer = [*figure.layer, plane.texts(table, "middle", "centre", plane_tooltip(("word", "word")))]
    return figure
