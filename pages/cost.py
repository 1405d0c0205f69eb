"""Cost: what attention takes, in multiplications, memory and time, and the same result in tiles."""

import streamlit as st

from attn import ui
from attn.ui import costing, measuring
from attn.ui.costing import TABS, VIEWS, Setup

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
    costing.shape_controls(page)

theme = ui.theme()
setup = page.setup()
ui.reading(costing.reading(setup), costing.formula(setup, theme.role), costing.shapes(setup))
ui.figure(
    costing.picture(setup, theme),
    f"cost.{setup.view}",
    tables={setup.view: lambda: costing.series_csv(setup)},
)

st.subheader("Attention in tiles: the same result, and never an n × n matrix", anchor=False)
ui.reading(measuring.tiles_reading(), measuring.TILES_FORMULA)
if measuring.measure_controls(page):
    measuring.begin(page, setup)
    st.rerun()
measuring.show(page, theme)

kinds_tab, models_tab, parameters_tab, code_tab = ui.tabs(page, TABS)
if kinds_tab.open:
    with kinds_tab:
        st.markdown(costing.kinds_table(setup))
if models_tab.open:
    with models_tab:
        ui.figure(
            costing.models_picture(setup, theme), "cost.models", tables={"models": lambda: costing.models_csv(setup)}
        )
        st.caption("Behind each name: how many key/value heads serve how many query heads.")
if parameters_tab.open:
    with parameters_tab:
        st.markdown(costing.parameters_reading(setup))
        st.markdown(costing.parameters_table())
        st.caption(costing.training_reading())
if code_tab.open:
    with code_tab:
        ui.code(costing.code_of(setup))
