"""What every page has in common: its frame, the menu, the theme, figures, code."""

import streamlit as st

from attn import charts
from attn.ui.state import PageState, link_of

MENU = (  # key, script, label, icon
    ("home", "app.py", "Home", ":material/home:"),
    ("step_by_step", "pages/step_by_step.py", "Step by step", ":material/stairs:"),
    ("heads", "pages/heads.py", "Heads", ":material/grid_view:"),
    ("masks", "pages/masks.py", "Masks", ":material/visibility_off:"),
    ("pretrained", "pages/pretrained.py", "Pretrained", ":material/neurology:"),
)

STYLE = """<style>
.stMainBlockContainer { padding-top: 2.4rem; padding-bottom: 3rem; }
[data-testid="stSidebarHeader"] { height: 1.2rem; margin-bottom: 0; }
h1 { padding-top: 0 !important; }
</style>"""


def begin(page, title, cls):
    """Draw the frame of a page and return its choices.

    Parameters
    ----------
    page : str
        The page's key in the menu.
    title : str
        A question or a claim.
    cls : type
        The page's Setup, see `attn.ui.setup`.

    Returns
    -------
    PageState
    """
    label = next(entry[2] for entry in MENU if entry[0] == page)
    st.set_page_config(page_title=f"{label} · Attention Lab", page_icon="🔎", layout="wide")
    st.html(STYLE)
    state = PageState(page, cls)
    with st.sidebar:
        st.markdown("**Attention Lab**")
        for key, script, name, icon in MENU:
            st.page_link(script, label=name, icon=icon, width="stretch", query_params=link_of(key))
        st.divider()
    st.title(title, anchor=False)
    return state


def theme():
    """Return the chart colours of the theme the visitor has."""
    return charts.theme_named(st.context.theme.type or "light")


def figure(chart, key, *, tables=None, on_select="ignore"):
    """Show a chart, and under it its numbers to download.

    Parameters
    ----------
    chart : altair.Chart
    key : str
        Unique on the page.
    tables : dict of str to callable, optional
        File name without ending -> function that returns the CSV text when it is asked for.
    on_select : callable or "ignore" or "rerun"
    """
    event = st.altair_chart(chart, theme=None, width="content", key=key, on_select=on_select)
    if tables:
        with st.container(horizontal=True, gap="small"):
            for name, make in tables.items():
                st.download_button(
                    f"{name}.csv",
                    data=make,
                    file_name=f"{name}.csv",
                    mime="text/csv",
                    icon=":material/download:",
                    type="tertiary",
                    on_click="ignore",
                    key=f"{key}.{name}.csv",
                    help="The numbers of this picture, as a table.",
                )
    return event


def code(lines):
    """Show the few lines that make the picture."""
    st.caption("These lines make exactly this picture. Copy them and run them where `attn` is importable.")
    st.code(lines, language="python")
