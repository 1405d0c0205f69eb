"""A matrix as a figure: rows down, columns across, one labelled scale of colour."""

from attn.charts.cells import MOST_CELLS, cells, checked, described, numerals, outlines, picture, plane_for
from attn.charts.layout import dressed
from attn.charts.legends import swatches
from attn.charts.message import message
from attn.charts.scale import colour_scale

_MOST_NUMBERS = 120  # more numbers than these are not read


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
    decimals=None,
    selected=None,
    select=None,
    highlight=None,
    size=420,
    square=True,
    row_labels=True,
    legend=True,
    tooltip_name=None,
    hidden_name="hidden",
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
    hidden : array_like of bool, broadcastable to (n_rows, n_columns), optional
        True where a cell is hidden: drawn flat grey, whatever it holds.
    title : str
    axes : (str, str)
        What runs down and what runs across; "query", "key", "value" and "output" bring their
        colours.
    limit : float, optional
        The value at the end of the scale.
    log : bool, default False
        Logarithmic colour, over four powers of ten.
    numbers : bool, optional
        Whether each cell shows its value, where there is room; by default if there are few.
    decimals : int, optional
        Of the values in the cells; by default as many as show three digits of the largest, or two.
    selected : (int, int), optional
        Row and column of a cell to outline.
    select : str, optional
        Name of a selection that tells which cell was chosen, as ``{"row": i, "column": j}``
        counted from 0. In a picture it is the value farthest from 0 in the block under the pointer.
    highlight : dict, optional
        ``{"row": i}``, ``{"column": j}`` or both, to be outlined in the colour of the axis.
    size : int or (int, int), default 420
        Pixels along the longer side, or of width and height; more are taken where cells would be slivers.
    square : bool, default True
        Whether cells are square. Without, a long and thin matrix is made thicker.
    row_labels : bool, default True
        Whether rows are named at the left; a map beside another with the same rows need not repeat them.
    legend : bool, default True
    tooltip_name : str, optional
        What a value is called, in the legend and under the pointer.
    hidden_name : str, default "hidden"
        What a hidden cell is called there.

    Returns
    -------
    alt.LayerChart
        Up to 4096 cells are drawn one by one. More become a picture, and what is sent no longer
        grows with their number.

    Raises
    ------
    ValueError
        If labels or `hidden` do not fit the matrix, or `kind` or `limit` is not one.
    """
    values, hidden = checked(values, rows, columns, hidden)
    if not values.size:
        return message("Nothing to show.", theme, title)
    plane = plane_for(values.shape, size, square).labelled(rows, columns, axes, theme, row_labels)
    scale = colour_scale(values, theme, kind, limit, log, shown=~hidden, name=tooltip_name)
    one_by_one = values.size <= MOST_CELLS

    draw = cells if one_by_one else picture
    layers = draw(values, hidden, rows, columns, plane, scale, axes, select, legend, hidden_name)
    if one_by_one and (values.size <= _MOST_NUMBERS if numbers is None else numbers):
        layers += numerals(layers[0].data, values, hidden, plane, scale, axes, decimals)
    if legend:
        layers += swatches(values, hidden, theme, hidden_name)
    layers += outlines(plane, theme, axes, highlight, selected)
    what = title or f"{scale.name} by {axes[0]} and {axes[1]}"
    return dressed(
        plane.figure(layers, title),
        theme,
        described(what, values, hidden, rows, columns, axes, scale.name, hidden_name),
    )
