"""Cost: what attention takes, in multiplications, memory and time, and the same result in tiles."""

from functools import partial

import streamlit as st

from attn import ui
from attn.ui.pages.cost import curves, tiles, timing
from attn.ui.pages.cost.curves import TABS, VIEWS, Setup

page = ui.begin_page("cost", "What does attention cost?", Setup)

with st.sidebar:
    st.segmented_control(
        "Draw",
        VIEWS,
        format_func=VIEWS.get,
        key=page.key("view"),
        required=True,
        help="The scores as a square that grows with the text; self-attention beside other kinds of layer, as curves "
        "(the tab below has them as a table); the parts of a whole attention layer; or bytes. The last three are drawn "
        "on logarithmic scales.",
    )
    curves.cost_curves_controls(page)

theme = ui.page_theme()
setup = page.commit()
page.tell(**curves.cost_curves_results(setup), **timing.cost_timing_results())
ui.page_reading(
    curves.cost_curves_reading(setup), curves.cost_curves_formula(setup, theme.role), curves.cost_curves_shapes(setup)
)
if setup.view == "square":
    curves.cost_curves_doubling(page)
codes = partial(curves.cost_curves_code, setup)
ui.page_figure(
    curves.cost_curves_picture(setup, theme),
    f"cost.{setup.view}",
    tables={setup.view: lambda: curves.cost_curves_csv(setup)},
    codes=codes,
    line=curves.cost_curves_line(setup),
)
if footnote := curves.cost_curves_footnote(setup):
    ui.page_footnote(footnote, "From which length on is which layer cheaper?")

st.header("In tiles: the same result without an n × n matrix", anchor=False)
ui.page_reading(timing.cost_timing_tiles_reading())
ui.page_footnote(timing.TILES_FOOTNOTE, "In code, and as a formula")
with st.expander("Measure it on this machine"):
    if timing.cost_timing_controls(page):
        timing.begin_cost_timing(page, setup)
        st.rerun()
timing.show_cost_timing(page, theme)


def kinds_tab():
    """Draw what each kind of layer costs."""
    curves.cost_curves_sides_control(page)
    st.markdown(curves.cost_curves_kinds_table(setup))
    st.caption(curves.cost_curves_paths_reading(setup))


def models_tab():
    """Draw the cache of known models."""
    ui.page_reading(
        "A model that writes keeps the keys and values of all earlier tokens: its cache. It is smaller where query "
        "heads share them (“8 of 32”: 8 sets for 32 query heads), and where only the last tokens are kept "
        "(“last 4,096”)."
    )
    ui.page_figure(
        curves.cost_curves_models_picture(setup, theme),
        "cost.models",
        tables={"models": lambda: curves.cost_curves_models_csv(setup)},
    )


def parameters_tab():
    """Say how many parameters published models have."""
    ui.page_reading(curves.cost_curves_parameters_reading(setup), terms=["BLEU"])
    st.markdown(curves.cost_curves_parameters_table())
    ui.page_footnote(curves.cost_curves_training_reading())


SHOWN = {
    "kinds": kinds_tab,
    "tiles": lambda: tiles.tiles_tab(page, theme),
    "models": models_tab,
    "parameters": parameters_tab,
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
ui.page_sources(page)
ui.page_next(page)
