"""A grid whose cells are done, in hand, still to come or left out: how far work on a matrix is."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.cells import plane_for_cells
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_squares
from attn.charts.marks import mark_layer, mark_table, selectable_mark
from attn.charts.message import message
from attn.charts.options import Pick
from attn.charts.plane import plane_tooltip
from attn.charts.theme import LIGHT
from attn.functional import short_repr


@checked_arguments(pixels=("size",), labels=("rows", "columns"))
def work_grid(states, kinds, rows, columns, theme=LIGHT, *, title="", size=320, axes=("query", "key"), pick=Pick()):
    """Draw a grid whose every cell is of one of a few kinds.

    Parameters
    ----------
    states : array_like of int, shape (n_rows, n_columns)
        Which of `kinds` each cell is, counted from 0.
    kinds : dict of str to str
        Name -> colour ``#rrggbb``, in the order of the legend, which names those that there are.
    rows, columns : sequence of str
    theme : Theme, default LIGHT
    title : str
    size : int or (int, int), default 320
        As in `attn.charts.heatmap`.
    axes : (str, str)
        What runs down and what runs across.
    pick : Pick, optional
        Its selection tells which cells were clicked, as ``{"row": i, "column": j}`` of the first of a run of cells of
        one kind, counted from 0.

    Returns
    -------
    alt.LayerChart
        Neighbours of a kind in a row are one mark, so that what is sent grows with the rows alone.

    Raises
    ------
    ValueError
        If there is not one label for each row and column, or a state is none of the kinds.
    """
    if not isinstance(kinds, dict):
        raise ValueError(f"kinds must be a dictionary of colours by name, got {short_repr(kinds)}")
    states = np.asarray(states)
    if states.shape != (len(rows), len(columns)):
        raise ValueError(
            f"states must have a row and a column per label, got {states.shape} for {len(rows)} and {len(columns)}"
        )
    if not states.size:
        return message("Nothing to show.", theme, title)
    if states.dtype.kind not in "iu" or states.min() < 0 or states.max() >= len(kinds):
        raise ValueError(f"states must be whole numbers from 0 to {len(kinds) - 1}, got {states.dtype}")
    names = list(kinds)
    plane = plane_for_cells(states.shape, size).labelled(rows, columns, axes, theme)
    row, first, last = _runs(states)
    kind = [names[state] for state in states[row, first]]
    table = mark_table(
        {
            "row": row.astype(np.int32),  # the browser reads 64 bits as another kind of number
            "column": first.astype(np.int32),
            "x": first,
            "x2": last,
            "y": row,
            "y2": row + 1,
            "kind": kind,
            "down": [rows[at] for at in row],
            "across": [
                columns[one] if other - one == 1 else f"{columns[one]} to {columns[other - 1]}"
                for one, other in zip(first, last, strict=True)
            ],
        }
    )
    there = {name: colour for name, colour in kinds.items() if name in set(kind)}
    says = plane_tooltip(("down", axes[0]), ("across", axes[1]), ("kind", "state"))
    channels = plane.box() | {"color": legend_squares("kind", there), "tooltip": says}
    mark = mark_layer(table, "rect", channels, stroke=theme.background, strokeWidth=_gap(plane))
    counts = {name: int((states == names.index(name)).sum()) for name in there}
    what = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    layers = [selectable_mark(mark, pick.select, "row", "column")]
    return dressed_layout(plane.figure(layers, title), theme, f"{title or 'Cells'}: {what}.")


def _gap(plane):
    """Return the pixels between cells."""
    return 1 if min(plane.cell_width, plane.cell_height) >= 7 else 0


def _runs(states):
    """Return row, first column and column behind the last of each run of equal states."""
    begins = np.ones(states.shape, dtype=bool)
    begins[:, 1:] = states[:, 1:] != states[:, :-1]
    row, first = np.nonzero(begins)
    last = np.append(first[1:], states.shape[1])
    last[np.append(row[1:] != row[:-1], True)] = states.shape[1]
    return row, first, last
