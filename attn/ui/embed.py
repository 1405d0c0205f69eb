"""A page in the frame of another page: ``?embed=true``, or one figure: ``?embed=true&embed_figure=heads.grid``."""

import streamlit as st

from attn.ui.state import as_text

FIGURE = "embed_figure"  # in the link; what begins with "embed" is no choice of a page, and stays in the link
_DRAWN = "embed.drawn"  # where the session holds whether this run drew the figure

_STYLE = """<style>
[data-testid="stSidebar"], [data-testid="stSidebarCollapsedControl"], [data-testid="stHeader"],
[data-testid="stElementToolbar"], [data-testid="stPopover"],
.stMainBlockContainer summary, .attn-numbers { display: none !important; }
.stMainBlockContainer { padding: 0 !important; }
.stMainBlockContainer [data-testid="stElementContainer"]:not(.st-key-alone *, .st-key-ruler,
    :has([data-testid="stAlert"])) { display: none; }
.stMainBlockContainer :is(.stVerticalBlock, .stHorizontalBlock) { gap: 0; }
</style>"""


_PAGE_STYLE = """<style>
[data-testid="stExpandSidebarButton"]::after { content: "Controls" !important; }
</style>"""


def embedded_page():
    """Return whether another page holds this one whole: with its controls, and without ways to other pages."""
    return bool(st.context.is_embedded) and not embedded_figure()


def embedded_figure():
    """Return the key of the figure that alone is asked for, or an empty text."""
    return st.query_params.get(FIGURE, "")


def begin_embedding():
    """Leave nothing on the page but the figure that is asked for, if one is, and what a page says in its place."""
    st.session_state[_DRAWN] = False
    if embedded_page():
        st.html(_PAGE_STYLE)
    if embedded_figure():
        st.html(_STYLE)


def place_alone(key):
    """Return the one place that is seen if this figure is asked for, otherwise None."""
    if key != embedded_figure():
        return None
    st.session_state[_DRAWN] = True
    return st.container(key="alone")


def end_embedding():
    """Say so if the figure that is asked for is not on the page."""
    key = embedded_figure()
    if key and not st.session_state[_DRAWN]:
        st.warning(
            f"This page shows no figure {as_text(key)} with these choices. “Take it away” under a figure gives the "
            "line that shows it here."
        )
