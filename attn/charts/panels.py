"""Matrices in a row, or in several where one is too narrow, as large as the room allows, operators between them.

How large cells are, which rows are named and which numbers are written must be known before matrices are drawn, so that
their rows are broken here. `attn.charts.fit_to_room` breaks, in the same way, a row of figures that are finished.
"""

from dataclasses import replace
from itertools import chain, compress
from typing import NamedTuple

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.cells import checked_cells, numeral_size
from attn.charts.heatmap import MOST_NUMBERS, heatmap
from attn.charts.labels import fixed_labels, label_pixels
from attn.charts.layout import above, beside, rows_that_fit
from attn.charts.options import Scale, Style
from attn.charts.plane import FINEST_CELL, FINGER_CELL, least_plane
from attn.charts.scale import colour_scale
from attn.charts.theme import FONT_SIZE, LIGHT
from attn.functional import finite_number, short_repr, whole_number

_MOST_DECIMALS = 17  # more do not tell two numbers apart
_SPACE = 14  # pixels between two matrices, and around an operator
_CHARACTER, _OPERATOR = 16, 20  # pixels of an operator: each character, and the least
_AXIS = 40  # pixels for the name of the axis and the space beside its labels
_LEGEND = 130  # pixels that a legend takes, however narrow the matrix above it, beside what it calls a value
_LARGEST_CELL = 72
_WRITTEN_CELL = 33, 41  # pixels of a cell that holds its number, as 0.25 is, and with a sign, as −0.25
_LEAST_BESIDE = 180  # pixels of a matrix beside others, unless its cells are wide enough for a finger
_HAND = 440  # pixels of a page that is held upright in a hand; a laptop's has more even with words for a hall
_LAPTOP, _SCROLLED = 880, 400  # pixels of its page, and of a matrix so high on a narrower one that it is scrolled to
_MOST_TOUCHED = 32  # cells a side that are so large; the map of more is an overview
_ROW = 18  # pixels of a row in a matrix whose cells are not square
_LEAST_PART, _MOST_PART = 16, 48  # columns that count when matrices share out the width


class Panel(NamedTuple):
    """One matrix of a row."""

    values: object  # (n_rows, n_columns)
    rows: list
    columns: list
    style: Style
    options: dict  # further keywords of `heatmap`
    scale: tuple = ()  # for `panels` to say: the colours, and what else the legend names


class _Room(NamedTuple):
    """What limits a row of matrices, in pixels."""

    across: float
    tallest: float  # of a matrix
    largest: float  # of a cell
    written: float  # of a cell that holds its number

    @property
    def scrolled(self):
        """Whether the page is too narrow for a figure to be seen at once, and may be as long as it needs to be."""
        return self.across < _HAND or (self.across < _LAPTOP and self.tallest >= _SCROLLED)


@checked_arguments(numbers=(("values", 2),), labels=("rows", "columns"))
def panel(values, rows, columns, *, style=Style(), **options):
    """Return a matrix to be drawn by `panels`; arguments as for `heatmap`, without theme and size.

    Whether cells are square and rows named is for `panels` to say.
    """
    return Panel(values, rows, columns, style, options)


@checked_arguments(pixels=("room",), several=(("parts", Panel, str),))
def panels(theme, room, *parts, tallest=440, largest=_LARGEST_CELL, decimals=None):
    """Draw matrices side by side, or one above the other where they would be too narrow, all with cells of one size.

    Parameters
    ----------
    theme : Theme
    room : float
        Pixels across; more are taken where cells would be slivers. Where they are fewer than a laptop's page has, and
        `tallest` leaves a matrix its height, the page is scrolled anyway: cells are large enough for a finger there,
        and for their numbers where a style asks for them, or where rows may be broken for it.
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
    alt.HConcatChart or alt.VConcatChart

    Raises
    ------
    ValueError
        If there is no matrix, or a size is no positive number.
    """
    tallest, largest = finite_number(tallest, "tallest", 0), finite_number(largest, "largest", 0)
    if decimals is not None:
        decimals = whole_number("decimals", decimals, most=_MOST_DECIMALS)
    parts = [part if isinstance(part, str) else _scaled(part) for part in parts]
    matrices = [part for part in parts if not isinstance(part, str)]
    if not matrices:
        raise ValueError(f"parts must hold at least one matrix, got {short_repr(parts)}")
    room = _Room(room, tallest, largest, _written_cell(matrices) * theme.number_size / FONT_SIZE)
    rows = _rows(room, parts)
    fitted = [_fitted(room, *_sorted(row)) for row in rows]
    cell = min(cell for _, cell in fitted)
    if room.scrolled:
        cell = touched_cell(cell, max(max(len(matrix.rows), len(matrix.columns)) for matrix in matrices))
        cell = max(cell, room.written) if any(matrix.style.numbers for matrix in matrices) else cell
    written = {} if decimals is None else _written(matrices, int(cell), decimals, theme.number_size)
    drawn = [_row(theme, row, named, cell, room, written) for row, (named, _) in zip(rows, fitted, strict=True)]
    return drawn[0] if len(drawn) == 1 else above(*drawn)


def touched_cell(cell, count):
    """Return the pixels of a cell in a map of so many cells a side that is touched: enough for a finger.

    Examples
    --------
    >>> touched_cell(11, 14), touched_cell(30, 14), touched_cell(11, 60)
    (24, 30.0, 11.0)
    """
    cell, count = finite_number(cell, "cell"), finite_number(count, "count")
    return max(cell, FINGER_CELL) if count <= _MOST_TOUCHED else cell


def _rows(room, parts):
    """Return the parts in as few rows as leave each matrix room."""
    alone = min(_fitted(room, [part], [])[1] for part in parts if isinstance(part, Panel))
    # there is room for numbers below one another where a page is scrolled; a laptop's is not to be for them
    wanted = min(alone, room.written if room.scrolled else FINGER_CELL)
    return rows_that_fit(parts, lambda part: isinstance(part, str), lambda row: _fits(room, *_sorted(row), wanted))


def _sorted(parts):
    """Return the matrices of a row and the operators between them: one before the first goes into its title.

    Only the last of several matrices with one scale of colour has the legend.
    """
    inner = parts[1:] if isinstance(parts[0], str) and len(parts) > 1 else parts
    matrices = [part for part in parts if not isinstance(part, str)]
    scales = [matrix.scale for matrix in matrices]
    last = [scale not in scales[at:] for at, scale in enumerate(scales, 1)]
    matrices = [
        m if one else m._replace(style=replace(m.style, legend=False)) for m, one in zip(matrices, last, strict=True)
    ]
    return matrices, [part for part in inner if isinstance(part, str)]


def _scaled(matrix):
    """Return a matrix with its scale of colour, and what else its legend names."""
    options = matrix.options
    values, hidden = checked_cells(matrix.values, matrix.rows, matrix.columns, options.get("hidden"))
    scale = vars(options.get("scale", Scale()))
    colours = colour_scale(values, LIGHT, options.get("kind", "weights"), shown=~hidden, **scale)
    name = matrix.style.hidden_name if hidden.any() else ""
    return matrix._replace(scale=(colours, name, bool((np.isfinite(values) | hidden).all())))


def _legend(matrix):
    """Return the pixels across of the legend of a matrix."""
    return _LEGEND + label_pixels(matrix.scale[0].title) if matrix.style.legend else 0


def _fits(room, matrices, operators, wanted):
    """Return whether matrices in a row have cells of the wanted size, or are all wide enough to be read."""
    named, cell = _fitted(room, matrices, operators)
    if _spare(room, matrices, named, operators) < _least(matrices):
        return False
    counts = [len(matrix.columns) for matrix in matrices]
    touched = room.scrolled and max(counts) <= _MOST_TOUCHED
    return cell >= int(wanted) or (not touched and cell * min(counts) >= _LEAST_BESIDE)


def _row(theme, row, named, cell, room, written):
    """Draw one row."""
    if isinstance(row[0], str) and len(row) > 1:  # alone before its matrix it would push it aside
        row = [_titled(row[0], row[1]), *row[2:]]
    matrices, operators = _sorted(row)
    sizes = _sizes(cell, _free(room, matrices, named, operators), matrices, room.tallest)
    styles = (
        replace(matrix.style, row_labels=labels, **written) for matrix, labels in zip(matrices, named, strict=True)
    )
    figures = iter(
        heatmap(*matrix[:3], theme, size=size, style=replace(style, square=square), **matrix.options)
        for matrix, style, (size, square) in zip(matrices, styles, sizes, strict=True)
    )
    return beside(*(part if isinstance(part, str) else next(figures) for part in row), spacing=_SPACE)


def _titled(operator, matrix):
    """Return a matrix with the operator that stands before it in its title."""
    return matrix._replace(options=matrix.options | {"title": f"{operator} {matrix.options.get('title', '')}".rstrip()})


def _fitted(room, matrices, operators):
    """Return which matrices name their rows, and the size of a cell in pixels.

    A matrix with the rows of the one before it need not name them. One with those of any before it does not either
    where that leaves its cells room for numbers, unless the names of its neighbour would be taken for its own.
    """
    rows = [list(matrix.rows) for matrix in matrices]
    named = [at == 0 or rows[at] != rows[at - 1] for at in range(len(rows))]
    cell = _cell(room, matrices, named, operators)
    if cell >= room.written:
        return named, cell
    told = [at > 0 and rows[at] in rows[:at] and len(rows[at]) != len(rows[at - 1]) for at in range(len(rows))]
    fewer = [name and not before for name, before in zip(named, told, strict=True)]
    larger = _cell(room, matrices, fewer, operators)
    return (fewer, larger) if larger >= room.written else (named, cell)


def _free(room, matrices, named, operators):
    """Return the pixels across that are left for cells, or the least they need."""
    return max(_spare(room, matrices, named, operators), _least(matrices))


def _spare(room, matrices, named, operators):
    """Return the pixels across that names, spaces and operators leave."""
    gutters = sum(max(map(label_pixels, matrix.rows), default=0) + _AXIS for matrix in compress(matrices, named))
    spaces = _SPACE * (len(matrices) - 1 + len(operators))
    return room.across - gutters - spaces - sum(max(_OPERATOR, _CHARACTER * len(text)) for text in operators)


def _least(matrices):
    """Return the pixels across that the cells of a row need."""
    return sum(least_plane(0, len(matrix.columns)) for matrix in matrices)


def _cell(room, matrices, named, operators):
    """Return the largest cell with which all matrices, and the legends under narrow ones, fit."""
    free = _free(room, matrices, named, operators)
    widths = [(len(matrix.columns), _legend(matrix)) for matrix in matrices]
    most = min(room.tallest / max(len(matrix.rows) for matrix in matrices), room.largest)
    fitting = (cell for cell in range(int(most), 0, -1) if sum(max(w * cell, least) for w, least in widths) <= free)
    return next(fitting, min(most, free / sum(w for w, _ in widths)))


def _written_cell(matrices):
    """Return the pixels of a cell that holds its number, or is enough for a finger where there are no numbers."""
    said = [m.values for m in matrices if m.style.numbers is not False and np.size(m.values) <= MOST_NUMBERS]
    return _WRITTEN_CELL[any((np.asarray(values) < 0).any() for values in said)] if said else FINGER_CELL


def _written(matrices, cell, decimals, least):
    """Return what of a style gives all matrices the same decimals, or no numbers at all."""
    for places in (decimals, decimals - 1):
        texts = chain.from_iterable(fixed_labels(matrix.values, places) for matrix in matrices)
        size = numeral_size(texts, cell, cell)
        if size == FONT_SIZE:
            break
    return {"decimals": places} if size >= least else {"numbers": False}


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
