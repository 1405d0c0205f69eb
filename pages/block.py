"""Block: what stands around attention in a Transformer, one block walked step by step, and what it is trained with."""

import streamlit as st

from attn import charts, ui
from attn.ui import beams, blocking, lessons, relations, stacking, uses
from attn.ui.blocking import PRINTED, TABS, Setup
from attn.ui.printed import results_tab
from attn.ui.sentences import need_words, say_if_cut

page = ui.begin("block", "What happens around attention?", Setup)

with st.sidebar:
    blocking.controls(page)

need_words(page, "text", "second")
ui.path(page, "stage", page.choices().stages)
setup = page.setup()
theme = ui.theme()
result = blocking.walked(setup)
say_if_cut(setup.text)

ui.reading(blocking.reading(result), blocking.formula(result, theme), blocking.shapes(result))
ui.figure(
    blocking.picture(result, theme),
    f"block.{setup.stage}.{setup.norm}",
    on_pick=lambda row, column: page.set(token=row + 1),
    tables={setup.stage: lambda: charts.csv(result.result(setup.stage), result.labels, charts.counted(setup.d_model))},
)

st.markdown(blocking.effects_reading(result))
ui.figure(
    blocking.effects_picture(result, theme),
    f"block.effects.{setup.norm}",
    on_pick=lambda row, column=None: blocking.go_to(page, result, row, column),
    tables={"moved": lambda: blocking.effects_csv(result)},
)

heads_tab, uses_tab, stack_tab, training_tab, writing_tab, graph_tab, printed_tab, code_tab = ui.tabs(page, TABS)
if heads_tab.open:
    with heads_tab:
        relations.heads(page, result)
if uses_tab.open:
    with uses_tab:
        uses.three_uses(page, result)
if stack_tab.open:
    with stack_tab:
        stacking.stack(page, result)
if training_tab.open:
    with training_tab:
        lessons.training(page, result)
if writing_tab.open:
    with writing_tab:
        beams.writing(page, result)
if graph_tab.open:
    with graph_tab:
        relations.graph(page, result)
if printed_tab.open:
    with printed_tab:
        results_tab(page, PRINTED, lessons.work_of_training())
if code_tab.open:
    with code_tab:
        ui.code(blocking.code_of(result))
page.setup()  # what was chosen in a tab belongs to the link, too
