"""Change: attention changed inside a running model, and what its prediction does."""

from functools import partial

import streamlit as st

from attn import charts, pretrained, ui
from attn.ui import jobs, models
from attn.ui.controls.colour_scale import colour_scale_control
from attn.ui.controls.model_and_text import (
    TEXT_HELP,
    model_and_text_of,
    model_control,
    model_head_control,
    model_refused,
    random_model_control,
    say_if_model_untrained,
    several_texts_control,
    text_in_view,
)
from attn.ui.controls.sentence import sentence_control
from attn.ui.controls.why_link import why_link
from attn.ui.controls.word_level import say_word_level, word_level_control
from attn.ui.numpy_models import numpy_kind
from attn.ui.pages.change import charts as effect_charts
from attn.ui.pages.change import effects, sweep, words, writing
from attn.ui.pages.change.controls import (
    change_controls,
    change_paint_controls,
    change_paint_controls_open,
    click_head_control,
    leave_opening_example,
    look_at_head_control,
    paint_control_cell,
    preset_control,
    switch_head_control,
    take_back_head_controls,
)
from attn.ui.pages.change.setup import CLICKS, TABS, Setup

page = ui.begin_page("change", "What if this head were gone?", Setup)
leave_opening_example(page)
look_for = preset_control(page)

with st.sidebar:
    model_control(page, on_change=lambda: take_back_head_controls(page))
    random_model_control(page)
    sentence_control(page, label="Text", help=TEXT_HELP, hints=not page.get("random"))
    several_texts_control(page, help="This page reads one text at a time: choose which of them.")
    if text_in_view(page.choices()) != page.get("text"):
        st.caption("This page reads the text in view alone.")
source = model_and_text_of(page)
try:
    models.permit_model(source[0])
    loaded = models.loaded_model(*source[:2])
    page.lead(kind=numpy_kind(loaded.family))
    with st.sidebar:
        read = effects.effect_reading_controls(page, loaded)
    first = effects.effect_unchanged_run(read)
    with st.sidebar:
        word_level_control(page, first.tokens, first.decoder_tokens or ())
        change_controls(page, first)
        model_head_control(page, first.num_heads)
        colour_scale_control(page)
    effect = effects.effect_of(page.choices(), read, first)
    largest = effects.effect_largest_move(read)
except pretrained.ModelError as error:
    model_refused(page, error)

setup = page.commit()
page.tell(before=effect.numbers[0], after=effect.numbers[1])
theme, width = ui.page_theme(), ui.page_width()
say_if_model_untrained(models.loaded_model(*read.source[:2]))
models.say_if_model_truncated(first)
ui.page_reading(
    words.change_in_words(effect, setup), words.change_formula_in_words(effect), terms=["rounding"],
)  # fmt: skip
models.say_model_note(models.loaded_model(*read.source[:2]))
for sentence in effect.left_out:
    st.caption(f":material/do_not_disturb_on: {sentence}")
if words.change_is_last(effect):
    st.caption("No layer above reads what these heads gave, so no other head moves: only the result does.")

codes = partial(words.change_code_in_words, effect, setup, width / 2)
line = words.change_in_a_line(effect)


def open_word(row):
    """Follow the word or class that was clicked."""
    page.set(word=effect.shifts[effect_charts.change_chart_words(effect)[row]].text)


numbers, heads = ui.page_columns([1, 1], figures=True, first=1)  # what is touched comes below the sentence that answers
with numbers:
    ui.page_figure(
        effect_charts.change_number_chart(effect, theme, ui.page_share(1 / 2, column=True)),
        "change.effect",
        on_pick=None if effect.word is None else open_word,
        tables={"numbers": lambda: effect_charts.change_chart_numbers_csv(effect)},
        codes=codes,
        line=line,
    )
    words.change_verdict_in_words(largest, first, read.source)
    if look_for:
        st.caption(look_for)
with heads:
    ui.page_figure(
        effect_charts.change_head_chart(effect, setup, theme, ui.page_share(1 / 2, column=True)),
        f"change.heads.{setup.off}.{setup.patterned}",  # a picture just clicked has nothing chosen
        on_pick=lambda row, column: click_head_control(page, (row, column)),
        tables={"moved": lambda: effect_charts.change_chart_shifts_csv(effect)},
        codes=codes,
        line=line,
    )
    if effect.comparison.heads:
        st.caption(effect_charts.MOVED_IN_WORDS)
    st.segmented_control(
        "Choosing a head", CLICKS, format_func=CLICKS.get, key=page.key("click"), required=True,
        help="What happens to a head of the map once you choose it.",
    )  # fmt: skip


def head_tab():
    """Draw one head before and after."""
    if not first.layers:
        st.caption("This text is too long to keep what every head does. Choose a shorter one to look at the weights.")
    else:
        look = effect_charts.change_chart_weights(effect, setup)
        if change_paint_controls_open(setup):
            change_paint_controls(page, look[0])
        if not effect_charts.change_chart_after(effect, setup):
            st.caption("This head is off. It gives nothing, so there is no map of it after the change.")
        ui.page_figure(
            effect_charts.change_map_charts(look, setup, effect, theme, width),
            f"change.head.{setup.painted}" if change_paint_controls_open(setup) else "change.head",
            on_pick=(lambda row, column: paint_control_cell(page, row, column))
            if change_paint_controls_open(setup)
            else None,
            tables={
                "before": lambda: charts.csv(look[0], *look[3:]),
                "after": lambda: charts.csv(look[1], *look[3:]),
                "after_minus_before": lambda: charts.csv(look[1] - look[0], *look[3:]),
            },
        )
        say_word_level(effect_charts.change_chart_level(effect, setup), first.layers[setup.layer - 1].mask)
        st.caption(words.change_shapes_in_words(effect, setup))
        why_link(read.source, models.loaded_model(*read.source[:2]).family, setup.layer, setup.head)
        if change_paint_controls_open(setup) and setup.level == "words":
            st.caption("You paint a pattern piece by piece, so the maps show pieces.")


def downstream_tab():
    """Draw the heads that changed though nobody changed them."""
    if effect_charts.change_chart_downstream(effect):
        st.caption(
            "You did not change these heads, but what reaches them has changed, and so has what they give. Choose one "
            f"to look at it. {effect_charts.MOVED_IN_WORDS}"
        )
        ui.page_figure(
            effect_charts.change_downstream_chart(effect, theme, width),
            "change.downstream",
            on_pick=lambda row: look_at_head_control(page, effect_charts.change_chart_downstream(effect)[row][:2]),
            tables={"downstream": lambda: effect_charts.change_chart_downstream_csv(effect)},
        )
    else:
        st.caption("All other heads do what they did before.")
    if effect.word is None and effect.answers is None and effect.changes:
        ui.page_figure(effect_charts.change_turned_chart(effect, theme, width), "change.turned")


def sweep_tab():
    """Draw what becomes of the prediction as every head is switched off in turn."""
    st.caption(sweep.WORDS)
    if ablating:
        sweep.watch_sweep()
    elif st.button("Switch every head off in turn", type="primary", key=page.key("sweep")):
        sweep.begin_sweep(effect)
        st.rerun()
    if reason := sweep.sweep_failure(effect):
        st.error(ui.as_text(reason))
    if ablation := sweep.finished_sweep(effect):
        st.markdown(sweep.sweep_sentence(ablation, effect))
        if sweep.sweep_reached_a_head(ablation):
            ui.page_figure(
                sweep.sweep_chart(ablation, effect, theme, width),
                f"change.sweep.{setup.off}",
                on_pick=lambda row, column=None: switch_head_control(
                    page, "off", sweep.sweep_head_at(ablation, row, column)
                ),
                tables={"sweep": lambda: charts.csv(ablation.after, *map(charts.counted, ablation.after.shape))},
            )


def writing_tab():
    """Draw what the model writes with the change and without."""
    if reason := writing.why_not_change_writing(effect):
        st.info(reason)
        writing.offer_change_writing(page, effect)
    else:
        writing.draw_change_writing(page, effect, setup, writes)


ablating, writes = jobs.running_job(sweep.RUNNING), jobs.running_job(writing.RUNNING)
SHOWN = {
    "head": head_tab,
    "downstream": downstream_tab,
    "sweep": sweep_tab,
    "writing": writing_tab,
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
if ablating and page.get("tab") != "sweep":
    sweep.watch_sweep()
if writes and page.get("tab") != "writing":
    jobs.watch_job(writing.RUNNING, writing.WATCHED)
ui.page_sources(page)
ui.page_next(page)
