"""Bottleneck: one vector for a whole sequence, and attention, which looks back at every symbol."""

import streamlit as st

from attn import ui
from attn.ui.pages.bottleneck import (
    accuracy_by_length,
    film_of_training,
    gradients,
    published_alignments,
    states_and_gates,
)
from attn.ui.pages.bottleneck.setup import TABS, Setup
from attn.ui.pages.bottleneck.two_models import (
    code_of,
    formula,
    input_controls,
    model_controls,
    picture,
    reading,
    shapes,
    shown,
    step_control,
    table_of,
)

page = ui.begin("bottleneck", "What does one vector forget?", Setup)

with st.sidebar:
    input_controls(page)
    model_controls(page)

result = shown(page.choices())
step = step_control(page, result.rows)
setup = page.commit()
width = ui.page_width()
if result.problem:
    st.error(ui.as_text(f"{result.problem} Below stands the first example."))

ui.reading(reading(result, step), formula(result), shapes(result))
ui.figure(
    picture(result, step, width),
    "bottleneck.picture",
    tables={"left": lambda: table_of(result.left, result), "right": lambda: table_of(result.right, result)},
)

SHOWN = {
    "states": lambda: states_and_gates.states(page, result),
    "accuracy": lambda: accuracy_by_length.accuracy(page, result),
    "film": lambda: film_of_training.film(page, result),
    "published": lambda: published_alignments.alignments(page),
    "gradient": lambda: gradients.gradient(page, result),
    "code": lambda: ui.code(code_of(setup, result, step, width)),
}
ui.tabs(page, TABS, SHOWN)
page.commit()  # what was chosen in a tab belongs to the link, too
