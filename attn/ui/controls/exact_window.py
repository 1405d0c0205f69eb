"""A long text: the whole as one picture, and the part of it that is shown exactly."""

import streamlit as st

from attn import charts
from attn.ui.page import page_draw, page_theme
from attn.ui.width import page_width

SPAN = 32  # tokens a side of the part that is shown exactly


def needs_exact_window(values):
    """Return whether there is too much to draw cell by cell."""
    return max(values.shape) > 2 * SPAN


def exact_window_control(state, values, rows, columns, title, **options):
    """Draw the whole as one picture, and return the rows and columns to show cell by cell.

    Parameters
    ----------
    state : PageState
        Of a page whose Setup has a `window`, the row and column where the part begins.
    values : ndarray, shape (n_q, n_k)
    rows, columns : list of str
    title : str
    **options
        Further keywords of `attn.charts.overview`.

    Returns
    -------
    rows, columns : slice
    """
    place = zip(state.get("window"), values.shape, strict=True)
    starts = [min(at, max(size - SPAN, 0)) for at, size in place]
    part = tuple(slice(start, min(start + SPAN, size)) for start, size in zip(starts, values.shape, strict=True))
    st.caption(
        f"This picture holds all {len(rows):,} × {len(columns):,} cells. Drag over it to choose the part that is drawn "
        f"cell by cell below, at most {SPAN} tokens a side."
    )
    key = state.key("whole")

    def marked():
        chosen = charts.window_of(st.session_state[key].selection.get("brush"), values.shape, SPAN)
        state.set(window=tuple(piece.start for piece in chosen))

    size = min(int(page_width() * 0.6), 560)
    whole = charts.overview(values, rows, columns, page_theme(), title=title, window=part, size=size, **options)
    page_draw(charts.beside(whole), key, on_select=marked)
    return part


def exact_window_panel(state, values, rows, columns, cell, title, *, places=None, hidden=None, **options):
    """Return a matrix as a panel, of a long text the part under the brush, and what a click in it does.

    Parameters
    ----------
    state, values, rows, columns, title
        As in `exact_window_control`.
    cell : (int, int)
        The chosen query and key, as a row and a column.
    places : (list of int, list of int), optional
        Positions in the text of the rows and columns, which a click chooses; by default one after the other.
    hidden : ndarray of bool, shape (n_q, n_k), optional
        True where cells are grey.
    **options
        Further keywords of `attn.charts.heatmap`.

    Returns
    -------
    Panel
    callable
        Takes the row and column that were clicked.
    """
    down, across = slice(0, len(rows)), slice(0, len(columns))
    if needs_exact_window(values):
        down, across = exact_window_control(state, values, rows, columns, f"{title}, whole", hidden=hidden, **options)

    def choose(row, column):
        at = row + down.start, column + across.start
        state.set(cell=at if places is None else tuple(side[place] for side, place in zip(places, at, strict=True)))

    row, column = cell[0] - down.start, cell[1] - across.start
    part = values[down, across]
    inside = 0 <= row < part.shape[0] and 0 <= column < part.shape[1]
    picture = charts.panel(
        part,
        rows[down],
        columns[across],
        title=title,
        pick=charts.Pick("cell", (row, column) if inside else None),
        hidden=None if hidden is None else hidden[down, across],
        **options,
    )
    return picture, choose
