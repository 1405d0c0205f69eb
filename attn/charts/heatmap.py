"""A matrix as a figure: rows down, columns across, one labelled scale of colour."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.cells import (
    MOST_CELLS,
    cell_marks,
    cell_numerals,
    cell_outlines,
    cells_as_picture,
    checked_cells,
    described_cells,
    plane_for_cells,
)
from attn.charts.labels import counted
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_swatches
from attn.charts.message import message
from attn.charts.options import Pick, Scale, Style
from attn.charts.scale import colour_scale
from attn.charts.theme import LIGHT

MOST_NUMBERS = 12 * 12  # more numbers than these are not read


@checked_arguments(numbers=("values",), pixels=("size",), labels=("rows", "columns"))
def heatmap(
    values,
    rows=None,
    columns=None,
    theme=LIGHT,
    *,
    kind="weights",
    title="",
    hidden=None,
    size=420,
    axes=("query", "key"),
    scale=Scale(),
    pick=Pick(),
    style=Style(),
):
    """Draw a matrix in colour.

    Parameters
    ----------
    values : array_like, shape (n_rows, n_columns)
        What is not finite gets a colour of its own.
    rows, columns : sequence of str, optional
        Labels, as `token_labels` makes them. By default rows are counted, and the columns of a square have the labels
        of its rows.
    theme : Theme, default LIGHT
    kind : {"weights", "signed", "magnitude"}
        A scale from 0 to 1, around 0, or from 0 to the largest.
    title : str
    hidden : array_like of bool, broadcastable to (n_rows, n_columns), optional
        True where a cell is hidden: drawn flat grey, whatever it holds.
    size : int or (int, int), default 420
        Pixels along the longer side, or of width and height; more are taken where cells would be slivers.
    axes : (str, str)
        What runs down and what runs across; "query", "key", "value" and "output" bring their
        colours.
    scale : Scale, optional
        Its end, whether it is logarithmic, which the legend then says, and what a number is called.
    pick : Pick, optional
        Which cell, row or column is outlined. Its selection tells which cell was chosen, as ``{"row": i, "column": j}``
        counted from 0; in a picture it is the value farthest from 0 in the block under the pointer.
    style : Style, optional
        Squares or not, numbers, legend, names of the rows.

    Returns
    -------
    alt.LayerChart
        Up to 4096 cells are drawn one by one. More become a picture, and what is sent no longer
        grows with their number.

    Raises
    ------
    ValueError
        If labels or `hidden` do not fit the matrix, or `kind` or the scale's limit is not one.
    """
    rows, columns = _labels(np.shape(values), rows, columns)
    values, hidden = checked_cells(values, rows, columns, hidden)
    if not values.size:
        return message("Nothing to show.", theme, title)
    plane = plane_for_cells(values.shape, size, style.square)
    plane = plane.labelled(rows, columns, axes, theme, style.row_labels, pick.places(), style.columns_above)
    colours = colour_scale(values, theme, kind, shown=~hidden, **vars(scale))
    one_by_one = values.size <= MOST_CELLS

    draw = cell_marks if one_by_one else cells_as_picture
    layers = draw(values, hidden, rows, columns, plane, colours, axes, pick.select, style)
    if one_by_one and (values.size <= MOST_NUMBERS if style.numbers is None else style.numbers):
        layers += cell_numerals(layers[0].data, values, hidden, plane, colours, axes, style)
    if style.legend:
        layers += legend_swatches(values, hidden, theme, style.hidden_name)
    layers += cell_outlines(plane, theme, axes, pick)
    what = title or f"{colours.name} by {axes[0]} and {axes[1]}"
    return dressed_layout(
        plane.figure(layers, title),
        theme,
        described_cells(what, values, hidden, rows, columns, axes, colours.name, style.hidden_name),
    )


def _labels(shape, rows, columns):
    """Return the labels of a matrix, of which some may be left to be made here."""
    if len(shape) != 2 and (rows is None or columns is None):
        raise ValueError(f"values must have 2 axes, got shape {shape}")
    if rows is None:
        rows = counted(shape[0])
    if columns is None:
        columns = rows if shape[0] == shape[1] else counted(shape[1])
    return rows, columns
