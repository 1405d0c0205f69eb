"""Cost: what attention takes, in multiplications, memory and time, and the same result in tiles."""

import streamlit as st

from attn import ui
from attn.ui.pages.cost import curves, timing
from attn.ui.pages.cost.curves import TABS, VIEWS, Setup

page = ui.begin("cost", "What does attention cost?", Setup)

with st.sidebar:
    st.segmented_control(
        "Count",
        VIEWS,
        format_func=VIEWS.get,
        key=page.key("view"),
        required=True,
        help="Self-attention beside other kinds of layer; the parts of a whole attention layer; or bytes.",
    )
    curves.shape_controls(page)

theme = ui.theme()
setup = page.setup()
ui.reading(curves.reading(setup), curves.formula(setup, theme.role), curves.shapes(setup))
ui.figure(
    curves.picture(setup, theme),
    f"cost.{setup.view}",
    tables={setup.view: lambda: curves.series_csv(setup)},
)

st.subheader("Attention in tiles: the same result, and never an n × n matrix", anchor=False)
ui.reading(timing.tiles_reading(), timing.TILES_FORMULA)
if timing.measure_controls(page):
    timing.begin(page, setup)
    st.rerun()
timing.show(page, theme)

kinds_tab, models_tab, parameters_tab, code_tab = ui.tabs(page, TABS)
if kinds_tab.open:
    with kinds_tab:
        st.markdown(curves.kinds_table(setup))
if models_tab.open:
    with models_tab:
        ui.figure(
            curves.models_picture(setup, theme), "cost.models", tables={"models": lambda: curves.models_csv(setup)}
        )
        st.caption("Behind each name: how many key/value heads serve how many query heads.")
if parameters_tab.open:
    with parameters_tab:
        st.markdown(curves.parameters_reading(setup))
        st.markdown(curves.parameters_table())
        st.caption(curves.training_reading())
if code_tab.open:
    with code_tab:
        ui.code(curves.code_of(setup))
