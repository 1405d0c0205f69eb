"""Results that papers printed, as bars: one figure for every page that has a table of them."""

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import label_pixels
from attn.charts.plane import least_plane
from attn.data import published
from attn.ui.code_tabs import page_code
from attn.ui.page import page_figure, page_footnote, page_theme
from attn.ui.shown_code import LIGHT, Codes, Source, shown_code
from attn.ui.terms import terms_help
from attn.ui.width import page_width

_NARROWEST = 150  # pixels of the longest bar, below which measures stand under one another


def published_tables_tab(state, known, remarks=None):
    """Draw one of a few published tables, a row of bars for each of its measures.

    Parameters
    ----------
    state : PageState
        Of a page whose Setup has `printed`, one of the names of `attn.published.results`.
    known : dict of str to str
        Those names -> what they are called.
    remarks : dict of str to str, optional
        A sentence more on a table.
    """
    if state.get("printed") not in known:
        state.adjust(printed=next(iter(known)))
    if len(known) > 1:
        st.segmented_control("Table", known, format_func=known.get, key=state.key("printed"), required=True)
    name = state.get("printed")
    table = published.results()[name]
    st.markdown(f"**{table.title}.** {table.note}", help=terms_help(table.note))
    page_figure(
        _picture(table, *_layout(table), page_theme()),
        f"{state.page}.printed.{name}",
        tables={name: lambda: _csv(table)},
    )
    st.caption(f"{table.source}.")
    if notes := " ".join(filter(None, (table.footnote, (remarks or {}).get(name)))):
        page_footnote(notes, "About this table")
    page_code(state, Codes(lambda: _code_of(name, table)))


def _layout(table):
    """Return how many measures stand side by side, and the pixels of the longest bar."""
    aside = max(map(label_pixels, table.names)) + 90  # for names and numbers
    beside = next(n for n in (4, 3, 2, 1) if n == 1 or page_width() / n - aside >= _NARROWEST)
    beside = min(beside, len(table.measures))
    return beside, int(min(least_plane(page_width() / beside - aside), 420))


def _picture(table, beside, width, theme):
    """Draw every measure of a table of results, of all that have it."""
    drawn = []
    for at, measure in enumerate(table.measures):
        has = np.flatnonzero(np.isfinite(table.values[:, at]))
        names = [table.names[row] for row in has]
        drawn.append(charts.bars(table.values[has, at], names, theme, title=measure, kind="magnitude", width=width))
    rows = [charts.beside(*drawn[start : start + beside]) for start in range(0, len(drawn), beside)]
    return charts.above(*rows)


def _code_of(name, table):
    """Return the lines that draw the same bars."""
    beside, width = _layout(table)
    return shown_code(
        {"table": Source(f'published.results()["{name}"]'), "beside": beside, "width": width, "theme": LIGHT},
        "from attn.data import published",
        ("picture", _picture),
        f'charts.save(picture, "{name}.svg")',
    )


def _csv(table):
    """Return the whole table."""
    return charts.csv(table.values, table.names, table.measures)
