"""What several figures can be asked for alike: how far a scale goes, what is picked, how cells and axes look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from attn.charts.labels import number


def _typed(options):
    """Return how options are typed: only what differs from the defaults."""
    values = ((field, getattr(options, field.name)) for field in fields(options))
    given = ", ".join(f"{field.name}={value!r}" for field, value in values if value != field.default)
    return f"charts.{type(options).__name__}({given})"


@dataclass(frozen=True, repr=False)
class Scale:
    """How far the colours or the bars of a figure go, beside its `kind`.

    Parameters
    ----------
    limit : float, optional
        The value at the end; by default 1 for weights, else the largest size.
    log : bool, default False
        Logarithmic, over four powers of ten.
    name : str, optional
        What a number is called, in the legend and under the pointer.

    Examples
    --------
    >>> Scale(0.5, name="weight")
    charts.Scale(limit=0.5, name='weight')
    """

    limit: float | None = None
    log: bool = False
    name: str | None = None

    __repr__ = _typed


@dataclass(frozen=True, repr=False)
class Pick:
    """What can be chosen in a figure, and what is.

    Parameters
    ----------
    select : str, optional
        Name of a selection that tells what was clicked: each figure says how.
    selected : int or (int, int), optional
        What to outline: a bar, a box, a token or a head by its number, a cell by its row and column, counted from 0.
    highlight : dict, optional
        ``{"row": i}``, ``{"column": j}`` or both of a heat map, to be outlined in the colour of the axis.
    """

    select: str | None = None
    selected: int | tuple[int, int] | None = None
    highlight: dict | None = None

    __repr__ = _typed

    def places(self):
        """Return the rows and the columns of a heat map that are outlined, counted from 0.

        Examples
        --------
        >>> Pick(selected=(2, 5), highlight={"row": 1}).places()
        ([1, 2], [5])
        """
        outlined = [(self.highlight or {}).get(side) for side in ("row", "column")]
        cell = (None, None) if self.selected is None else self.selected
        return tuple([place for place in pair if place is not None] for pair in zip(outlined, cell, strict=True))


@dataclass(frozen=True, repr=False)
class Style:
    """How the cells of a heat map look.

    Parameters
    ----------
    square : bool, default True
        Whether cells are square. Without, a long and thin matrix is made thicker.
    numbers : bool, optional
        Whether each cell shows its value, where there is room; by default if there are few.
    decimals : int, optional
        Of the values in the cells; by default as many as show three digits of the largest, or two.
    legend : bool, default True
    row_labels : bool, default True
        Whether rows are named at the left; a map beside another with the same rows need not repeat them.
    columns_above : bool, default False
        Whether columns are named above the first row, not below the last: where there are more rows than a window has.
    hidden_name : str, default "hidden"
        What a hidden cell is called in the legend and under the pointer.
    hidden_number : str, optional
        What stands in each hidden cell where cells show their values; by default nothing.
    """

    square: bool = True
    numbers: bool | None = None
    decimals: int | None = None
    legend: bool = True
    row_labels: bool = True
    columns_above: bool = False
    hidden_name: str = "hidden"
    hidden_number: str = ""

    __repr__ = _typed


@dataclass(frozen=True, repr=False)
class Axis:
    """One axis of `curves`.

    Parameters
    ----------
    name : str
    log : bool, default False
        Logarithmic; what is not positive is left out.
    range : (float, float), optional
        What it spans; by default just what the curves need.
    ticks : sequence of float, optional
        Where it is labelled; by default at round numbers.
    format : callable
        From a number to how the axis and the pointer say it.
    whole : bool, default False
        Of what is counted: round numbers that are no whole ones are left out.
    """

    name: str
    log: bool = False
    range: tuple[float, float] | None = None
    ticks: Sequence[float] | None = None
    format: Callable[[float], str] = number
    whole: bool = False

    __repr__ = _typed
