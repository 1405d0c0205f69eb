"""Bottleneck: one vector for a whole sequence, and attention, which looks back at every symbol."""

from functools import partial

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
    compute_two_models,
    one_model_table,
    two_models_choice_controls,
    two_models_code,
    two_models_formula,
    two_models_input_controls,
    two_models_line,
    two_models_memory,
    two_models_picture,
    two_models_reading,
    two_models_results,
    two_models_shapes,
    two_models_step_control,
)

page = ui.begin_page("bottleneck", "What does one vector forget?", Setup)

with st.sidebar:
    two_models_input_controls(page)
    two_models_choice_controls(page)

result = compute_two_models(page.choices())
step = two_models_step_control(page, result.rows)
setup = page.commit()
page.tell(**two_models_results(result))
width = ui.page_width()
if result.problem:
    st.error(ui.as_text(f"{result.problem} The first example is shown instead."))

ui.page_reading(two_models_reading(result, step), terms=("hidden state", "encoder", "decoder"))
codes = partial(two_models_code, setup, result, step, width)
ui.page_figure(
    two_models_picture(result, step, width),
    "bottleneck.picture",
    tables={
        "left": lambda: one_model_table(result.left, result),
        "right": lambda: one_model_table(result.right, result),
    },
    codes=codes,
    line=two_models_line(result),
)
ui.page_reading(two_models_memory(result), two_models_formula(result), two_models_shapes(result))

SHOWN = {
    "states": lambda: states_and_gates.states_and_gates_tab(page, result),
    "accuracy": lambda: accuracy_by_length.accuracy_by_length_tab(page, result),
    "film": lambda: film_of_training.film_of_training_tab(page, result),
    "published": lambda: published_alignments.published_alignments_tab(page),
    "gradient": lambda: gradients.gradients_tab(page, result),
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
page.commit()  # what was chosen in a tab belongs to the link, too
ui.page_sources(page)
ui.page_next(page)
