"""Block: what stands around attention in a Transformer, one block walked step by step, and what it is trained with."""

from functools import partial

import streamlit as st

from attn import charts, ui
from attn.ui.controls.published_tables import published_tables_tab
from attn.ui.controls.sentence import (
    UNTRAINED,
    need_sentence_words,
    say_if_sentence_cut,
    sentence_in_a_trained_model,
)
from attn.ui.pages.block import encoder_block, graph, heads_added_up, stack, three_uses, training, writing
from attn.ui.pages.block.setup import PRINTED, TABS, Setup

page = ui.begin_page("block", "What happens around attention?", Setup)

with st.sidebar:
    encoder_block.encoder_block_controls(page)

need_sentence_words(page, "text", "second")
ui.page_path(page, "stage", page.choices().stages)
setup = page.commit()
theme = ui.page_theme()
result = encoder_block.compute_encoder_block(setup)
alone = encoder_block.encoder_block_alone(result)
say_if_sentence_cut(setup.text)

ui.page_reading(
    f"{UNTRAINED} {encoder_block.encoder_block_reading(result)}",
    encoder_block.encoder_block_formula(result, theme),
    encoder_block.encoder_block_shapes(result),
    terms=["length of a vector"],
    beside=lambda: sentence_in_a_trained_model(setup),
)
codes = partial(encoder_block.encoder_block_code, result)
ui.page_figure(
    partial(encoder_block.encoder_block_picture, alone, theme),
    f"block.{setup.stage}.{setup.norm}",
    on_pick=lambda row, column: page.set(token=row + 1, column=column + 1),
    tables={setup.stage: lambda: charts.csv(result.result(setup.stage), result.labels, charts.counted(setup.d_model))},
    codes=codes,
)

st.markdown(encoder_block.encoder_block_cell_reading(result))
if footnote := encoder_block.encoder_block_footnote(result):
    ui.page_footnote(footnote)


def steps_tab():
    """Draw what each step carries from one token to another."""
    ui.page_reading(encoder_block.encoder_block_effects_reading(result))
    ui.page_figure(
        partial(encoder_block.encoder_block_effects_picture, alone, theme),
        f"block.effects.{setup.norm}",
        on_pick=lambda row, column=None: encoder_block.go_to_encoder_block_stage(page, result, row, column),
        tables={"moved": lambda: encoder_block.encoder_block_effects_csv(result)},
    )


SHOWN = {
    "heads": lambda: heads_added_up.heads_added_up_tab(page, result),
    "steps": steps_tab,
    "uses": lambda: three_uses.three_uses_tab(page, result),
    "stack": lambda: stack.stack_tab(page, result),
    "training": lambda: training.block_training_tab(page, result),
    "writing": lambda: writing.block_writing_tab(page, result),
    "graph": lambda: graph.graph_tab(page, result),
    "published": lambda: published_tables_tab(page, PRINTED, training.block_training_work()),
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
page.commit()  # what was chosen in a tab belongs to the link, too
ui.page_sources(page)
ui.page_next(page)
