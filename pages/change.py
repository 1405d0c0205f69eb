"""Change: attention changed inside a running model, and what its prediction does."""

import streamlit as st

from attn import charts, pretrained, ui
from attn.ui import jobs, models
from attn.ui.controls.colour_scale import colour_control
from attn.ui.controls.model_and_text import head_control, model_control, random_control, source_of
from attn.ui.controls.sentence import say_if_truncated, say_note, text_control
from attn.ui.pages.change import charts as effect_charts
from attn.ui.pages.change import effects, sweep, words, writing
from attn.ui.pages.change.controls import (
    another_model,
    change_controls,
    click_at,
    look_at_head,
    paint,
    paint_controls,
    painting,
    preset_control,
    switch,
    take_back,
    unchanged,
)
from attn.ui.pages.change.setup import CLICKS, TABS, Setup

page = ui.begin("change", "What if this head were gone?", Setup)
look_for = preset_control(page)

with st.sidebar:
    model_control(page, on_change=lambda: another_model(page))
    random_control(page)
    text_control(page, label="Text")
source = source_of(page)
try:
    models.permit(source[0])
    loaded = models.loaded(*source[:2])
    with st.sidebar:
        read = effects.reading_controls(page, loaded)
    first = effects.unchanged_run(read)
    with st.sidebar:
        change_controls(page, first)
        head_control(page, first.num_heads)
        colour_control(page)
    effect = effects.effect_of(page.choices(), read, first)
    largest = effects.largest_move(read)
except pretrained.ModelError as error:
    ui.ask(page, str(error), st.error)

setup = page.commit()
theme, width = ui.theme(), ui.page_width()
say_note(loaded)
say_if_truncated(first)
ui.reading(words.sentence_of(effect), words.formula_of(effect), words.shapes_of(effect))
for sentence in effect.left_out:
    st.caption(f":material/do_not_disturb_on: {sentence}")

numbers, heads = st.columns(2)
with numbers:
    ui.figure(
        effect_charts.number_chart(effect, theme, width / 2),
        "change.effect",
        on_pick=None if effect.word is None else lambda row: page.set(word=effect.comparison.words[row].text),
        tables={"numbers": lambda: effect_charts.numbers_csv(effect)},
    )
    words.verdict(largest, loaded)
    if look_for:
        st.caption(look_for)
with heads:
    ui.figure(
        effect_charts.head_chart(effect, setup, theme, width / 2),
        f"change.heads.{setup.off}.{setup.patterned}",  # a picture just clicked has nothing chosen
        on_pick=lambda row, column: click_at(page, (row, column)),
        tables={"moved": lambda: effect_charts.shifts_csv(effect)},
    )
    st.segmented_control("A click on a head", CLICKS, format_func=CLICKS.get, key=page.key("click"), required=True)
    st.button(
        "Take all changes back",
        on_click=take_back,
        args=(page,),
        disabled=unchanged(setup),
        icon=":material/undo:",
        key=page.key("undo"),
    )


def head_tab():
    """Draw one head before and after."""
    if not first.layers:
        st.caption("This text is too long for every head to be kept; choose a shorter one to look at its weights.")
    else:
        look = effect_charts.look_at(effect, setup)
        if painting(setup):
            paint_controls(page, look[0])
        ui.figure(
            effect_charts.maps_of(look, setup, effect, theme, width),
            f"change.head.{setup.painted}" if painting(setup) else "change.head",
            on_pick=(lambda row, column: paint(page, row, column)) if painting(setup) else None,
            tables={
                "before": lambda: charts.csv(look[0], *look[3:]),
                "after": lambda: charts.csv(look[1], *look[3:]),
            },
        )


def downstream_tab():
    """Draw the heads that changed though nobody changed them."""
    if effect_charts.downstream(effect):
        st.caption("Heads that nobody changed, and that now give or see something else. Click one to look at it.")
        ui.figure(
            effect_charts.downstream_chart(effect, theme, width),
            "change.downstream",
            on_pick=lambda row: look_at_head(page, effect_charts.downstream(effect)[row][:2]),
        )
    else:
        st.caption("No other head does anything else than before.")


def sweep_tab():
    """Draw what becomes of the prediction as every head is switched off in turn."""
    st.caption(sweep.WORDS)
    if ablating:
        sweep.watch()
    elif st.button("Switch every head off in turn", type="primary", key=page.key("sweep")):
        sweep.begin(effect)
        st.rerun()
    if reason := jobs.failure(sweep.RUNNING):
        st.error(ui.as_text(reason))
    if ablation := sweep.finished(effect):
        st.markdown(sweep.sentence_of(ablation, effect))
        if sweep.any_head(ablation):
            ui.figure(
                sweep.chart_of(ablation, effect, theme, width),
                f"change.sweep.{setup.off}",
                on_pick=lambda row, column=None: switch(page, "off", sweep.head_at(ablation, row, column)),
                tables={"sweep": lambda: charts.csv(ablation.after, *map(charts.counted, ablation.after.shape))},
            )


def writing_tab():
    """Draw what the model writes with the change and without."""
    if reason := writing.why_not(effect):
        st.caption(reason)
    else:
        writing.draw(page, effect, setup, writes)


ablating, writes = jobs.running(sweep.RUNNING), jobs.running(writing.RUNNING)
SHOWN = {
    "head": head_tab,
    "downstream": downstream_tab,
    "sweep": sweep_tab,
    "writing": writing_tab,
    "code": lambda: ui.code(words.code_of(effect, width / 2)),
}
ui.tabs(page, TABS, SHOWN)
if ablating and page.get("tab") != "sweep":
    sweep.watch()
if writes and page.get("tab") != "writing":
    jobs.watch(writing.RUNNING, writing.WATCHED)
