"""Matrices in a row, with operators between them, as large as the room allows."""

from dataclasses import replace
from itertools import chain, compress
from typing import NamedTuple

from attn.charts.cells import fit_in_cells
from attn.charts.heatmap import heatmap
from attn.charts.labels import fixed_labels, label_pixels
from attn.charts.layout import beside
from attn.charts.options import Style
from attn.charts.plane import FINEST_CELL, least_plane

_SPACE = 14  # pixels between two matrices, and around an operator
_CHARACTER, _OPERATOR = 16, 20  # pixels of an operator: each character, and the least
_AXIS = 40  # pixels for the name of the axis and the space beside its labels
_LEGEND = 132  # pixels that a legend takes, however narrow the matrix above it
_LARGEST_CELL = 72
_WRITTEN_CELL = 40  # pixels of a cell that holds its number
_ROW = 18  # pixels of a row in a matrix whose cells are not square
_LEAST_PART, _MOST_PART = 16, 48  # columns that count when matrices share out the width


class Panel(NamedTuple):
    """One matrix of a row."""

    values: object  # (n_rows, n_columns)
    rows: list
    columns: list
    style: Style
    options: dict  # further keywords of `heatmap`


def panel(values, rows, columns, *, style=Style(), **options):
    """Return a matrix to be drawn by `panels`; arguments as for `heatmap`, without theme and size.

    Whether cells are square and rows named is for `panels` to say.
    """
    return Panel(values, rows, columns, style, options)


def panels(theme, room, *parts, tallest=440, largest=_LARGEST_CELL, decimals=None):
    """Draw matrices side by side, all with cells of one size.

    Parameters
    ----------
    theme : Theme
    room : float
        Pixels across; more are taken where cells would be slivers.
    *parts : Panel or str
        A text, such as "×", is an operator between two matrices.
    tallest : float, default 440
        Pixels that the tallest may take.
    largest : float, default 72
        Pixels that a cell may take.
    decimals : int, optional
        Of the values in all cells, or one less if these do not fit; by default each matrix has its own.

    Returns
    -------
    alt.HConcatChart
    """
    matrices = [part for part in parts if not isinstance(part, str)]
    operators = [part for part in parts if isinstance(part, str)]
    named, cell = _fitted(room, matrices, operators, tallest, largest)
    written = {} if decimals is None else _written(matrices, cell, decimals)
    sizes = _sizes(cell, _free(room, matrices, named, operators), matrices, tallest)
    styles = (
        replace(matrix.style, row_labels=labels, **written) for matrix, labels in zip(matrices, named, strict=True)
    )
    figures = iter(
        heatmap(*matrix[:3], theme, size=size, style=replace(style, square=square), **matrix.options)
        for matrix, style, (size, square) in zip(matrices, styles, sizes, strict=True)
    )
    return beside(*(part if isinstance(part, str) else next(figures) for part in parts), spacing=_SPACE)


def _fitted(room, matrices, operators, tallest, largest):
    """Return which matrices name their rows, and the size of a cell in pixels.

    A matrix with the rows of the one before it need not name them. Where cells would be too small for
    their numbers, one with the rows of any before it does not either.
    """
    rows = [list(matrix.rows) for matrix in matrices]
    named = [at == 0 or rows[at] != rows[at - 1] for at in range(len(rows))]
    cell = _cell(_free(room, matrices, named, operators), matrices, tallest, largest)
    if cell >= _WRITTEN_CELL:
        return named, cell
    named = [rows[at] not in rows[:at] for at in range(len(rows))]
    return named, _cell(_free(room, matrices, named, operators), matrices, tallest, largest)


def _free(room, matrices, named, operators):
    """Return the pixels across that are left for cells, or the least they need."""
    gutters = sum(max(map(label_pixels, matrix.rows), default=0) + _AXIS for matrix in compress(matrices, named))
    spaces = _SPACE * (len(matrices) - 1 + len(operators))
    spaces += sum(max(_OPERATOR, _CHARACTER * len(text)) for text in operators)
    return max(room - gutters - spaces, sum(least_plane(0, len(matrix.columns)) for matrix in matrices))


def _cell(free, matrices, tallest, largest):
    """Return the largest cell with which all matrices, and the legends under narrow ones, fit."""
    widths = [len(matrix.columns) for matrix in matrices]
    most = min(tallest / max(len(matrix.rows) for matrix in matrices), largest)
    fitting = (cell for cell in range(int(most), 0, -1) if sum(max(w * cell, _LEGEND) for w in widths) <= free)
    return next(fitting, min(most, free / sum(widths)))


def _written(matrices, cell, decimals):
    """Return what of a style gives all matrices the same decimals, or no numbers at all."""
    for places in (decimals, decimals - 1):
        texts = chain.from_iterable(fixed_labels(matrix.values, places) for matrix in matrices)
        if fit_in_cells(texts, int(cell), int(cell)):
            return {"decimals": places}
    return {"numbers": False}


def _sizes(cell, free, matrices, tallest):
    """Return the size of each matrix for `heatmap`, and whether its cells are square."""
    if cell >= FINEST_CELL:
        return [(tuple(int(cell) * n for n in (len(matrix.columns), len(matrix.rows))), True) for matrix in matrices]
    return [(size, False) for size in _shares(free, matrices, tallest)]


def _shares(free, matrices, tallest):
    """Return width and height of each matrix where cells of one size would make slivers of some."""
    parts = [_LEAST_PART + min(len(matrix.columns), _MOST_PART) for matrix in matrices]
    widths = [min(free * part / sum(parts), _ROW * len(m.columns)) for part, m in zip(parts, matrices, strict=True)]
    heights = [min(_ROW * len(matrix.rows), tallest) for matrix in matrices]
    return [(int(width), int(height)) for width, height in zip(widths, heights, strict=True)]
