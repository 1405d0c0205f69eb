"""Matrices in a row, with operators between them, as large as the room allows."""

from itertools import compress, pairwise
from typing import NamedTuple

from attn.charts.heatmap import heatmap
from attn.charts.labels import pixels
from attn.charts.layout import beside

_BETWEEN, _CHARACTER = 72, 16  # pixels that the space around an operator takes, and each of its characters
_SPACE = 30  # pixels between two matrices
_AXIS = 40  # pixels for the name of the axis and the space beside its labels
_LARGEST_CELL = 72
_ROW = 18  # pixels of a row in a matrix whose cells are not square
_LEAST_PART, _MOST_PART = 16, 48  # columns that count when matrices share out the width
_FINEST_CELL = 4  # pixels: below this, cells of one size would make slivers of long matrices


class Panel(NamedTuple):
    """One matrix of a row."""

    values: object  # (n_rows, n_columns)
    rows: list
    columns: list
    options: dict  # further keywords of `heatmap`


def panel(values, rows, columns, **options):
    """Return a matrix to be drawn by `panels`; arguments as for `heatmap`, without theme and size."""
    return Panel(values, rows, columns, options)


def panels(theme, room, *parts, tallest=440):
    """Draw matrices side by side, all with cells of one size.

    Parameters
    ----------
    theme : Theme
    room : float
        Pixels across.
    *parts : Panel or str
        A text, such as "×", is an operator between two matrices.
    tallest : float, default 440
        Pixels that the tallest may take.

    Returns
    -------
    alt.HConcatChart
    """
    matrices = [part for part in parts if not isinstance(part, str)]
    named = _named(matrices)
    sizes = _sizes(room, matrices, named, [part for part in parts if isinstance(part, str)], tallest)
    figures = iter(
        heatmap(*matrix[:3], theme, size=size, square=square, row_labels=labels, **matrix.options)
        for matrix, labels, (size, square) in zip(matrices, named, sizes, strict=True)
    )
    return beside(*(part if isinstance(part, str) else next(figures) for part in parts))


def _named(matrices):
    """Return which matrices name their rows: all but those with the rows of the matrix before them."""
    same = [list(left.rows) == list(right.rows) for left, right in pairwise(matrices)]
    return [True, *(not rows for rows in same)][: len(matrices)]


def _sizes(room, matrices, named, operators, tallest):
    """Return the size of each matrix for `heatmap`, and whether its cells are square."""
    gutters = sum(max(map(pixels, matrix.rows), default=0) + _AXIS for matrix in compress(matrices, named))
    between = _SPACE * (len(matrices) - 1 - len(operators)) + sum(_BETWEEN + _CHARACTER * len(o) for o in operators)
    free = room - gutters - between
    across = sum(len(matrix.columns) for matrix in matrices)
    down = max(len(matrix.rows) for matrix in matrices)
    cell = min(free / across, tallest / down, _LARGEST_CELL)
    if cell >= _FINEST_CELL:
        return [(int(cell) * max(len(matrix.rows), len(matrix.columns)), True) for matrix in matrices]
    return [(size, False) for size in _shares(free, matrices, tallest)]


def _shares(free, matrices, tallest):
    """Return width and height of each matrix where cells of one size would make slivers of some."""
    parts = [_LEAST_PART + min(len(matrix.columns), _MOST_PART) for matrix in matrices]
    widths = [min(free * part / sum(parts), _ROW * len(m.columns)) for part, m in zip(parts, matrices, strict=True)]
    heights = [min(_ROW * len(matrix.rows), tallest) for matrix in matrices]
    return [(int(width), int(height)) for width, height in zip(widths, heights, strict=True)]
