"""Step by step: one head from tokens to context, every number in reach."""

from functools import partial

import streamlit as st

from attn import charts, ui
from attn.pretrained import ModelError
from attn.ui.controls.mask import mask_controls, mask_of, paint_mask
from attn.ui.controls.model_and_text import TEXT_HELP
from attn.ui.controls.positions import no_positions_but_a_mask, positions_control
from attn.ui.controls.sentence import (
    WORDS_HELP,
    need_sentence_words,
    say_if_sentence_cut,
    sentence_control,
    sentence_in_a_trained_model,
    sentence_seed_control,
    sentence_source_control,
    whose_untrained_numbers,
)
from attn.ui.pages.step_by_step.stages import (
    DIVISORS,
    MATRICES,
    STAGES,
    stage_footnote,
    stage_picture,
    stage_results,
    stage_shape,
)
from attn.ui.pages.step_by_step.walk import (
    STEP_SOURCES,
    TABS,
    Setup,
    compute_walk,
    walk_change_source,
    walk_editor,
    walk_example,
    walk_layer_controls,
)
from attn.ui.stories.running import story_speaks

page = ui.begin_page("step_by_step", "How does one word look at the others?", Setup)


def place_of(stage):
    """Return where the control of a step is drawn: that of the step in view right after whose numbers they are."""
    return first_control if page.get("stage") == stage else st.container()


def without_positions():
    """Say what tells the order where no positions are chosen; nothing where the scheme's own words hold."""
    if page.get("source") == "pretrained":
        return "Nothing is added here: the model's own positions are in X already, from before its first layer."
    return no_positions_but_a_mask(mask_of(page.choices(), n)[0].visible) if n else ""


with st.sidebar:
    sentence_source_control(page, STEP_SOURCES, on_change=partial(walk_change_source, page, page.get("source")))
    first_control = st.container()
    if page.get("source") in ("random", "pretrained"):
        trained = page.get("source") == "pretrained"
        sentence_control(page, help=TEXT_HELP if trained else WORDS_HELP, hints=trained)
    if page.get("source") == "random":
        sentence_seed_control(page)
        st.slider("d_model", 1, 64, key=page.key("d_model"), help="How many numbers stand for each token.")
        st.slider("d_k", 1, 64, key=page.key("d_k"), help="How many numbers a query and a key have.")
        st.slider("d_v", 1, 64, key=page.key("d_v"), help="How many numbers a value has; this may differ from $d_k$.")
    if page.get("source") == "pretrained":
        walk_layer_controls(page)
    try:
        example, *_ = walk_example(page.choices())
    except ModelError as error:
        ui.page_ask(page, str(error), st.error)
    n = len(example.tokens)
    with place_of("embeddings"):
        positions_control(page, none=without_positions())
    with place_of("scaled"):
        st.selectbox(
            "Divide the scores by",
            DIVISORS,
            format_func=DIVISORS.get,
            key=page.key("divisor"),
            help="$\\sqrt{d_k}$ keeps the spread of the scores the same, however many numbers queries and keys have.",
        )
        if page.get("divisor") == "own":
            st.number_input("Divisor", 0.01, 1000.0, key=page.key("own"), help="Any positive number.")
    with place_of("masked"):
        if n:
            mask_controls(page, n)
    with place_of("weights"):
        st.slider(
            "Softmax temperature",
            0.05,
            10.0,
            key=page.key("temperature"),
            help="Divides the scores once more. Below 1 the largest weight grows, above 1 weights become more alike.",
        )

if page.get("source") in ("random", "pretrained"):
    need_sentence_words(page, "text")
ui.page_path(page, "stage", {name: stage.label for name, stage in STAGES.items()})
stage = STAGES[page.get("stage")]
if page.get("stage") == "projections":
    st.segmented_control(
        "Projection",
        MATRICES,
        format_func=MATRICES.get,
        key=page.key("matrix"),
        required=True,
        label_visibility="collapsed",
    )

setup = page.commit()
try:
    view, codes, problems = compute_walk(setup, ui.page_theme(), ui.page_width(), ui.page_tallest(count=n))
except ValueError as error:
    ui.page_ask(page, str(error), st.error)
page.tell(**stage_results(view, stage))
with st.container():  # keeps its place, so that what stands below stays as it was when a warning comes and goes
    if setup.source == "random":
        say_if_sentence_cut(setup.text)
    for problem in problems:
        st.warning(problem)
    if setup.edits:
        edited = "1 number" if len(setup.edits) == 1 else f"{len(setup.edits)} numbers"
        st.caption(f"You changed {edited} by hand. “Edit the numbers” below undoes it.")

untrained = setup.stage == "embeddings" and not view.trained  # said once, where the first numbers are
told = f"{whose_untrained_numbers(setup)} {stage.read(view)}" if untrained else stage.read(view)
ui.page_reading(
    told,
    stage.formula(view),
    stage_shape(view, stage),
    beside=None if view.trained else lambda: sentence_in_a_trained_model(setup),
)


def choose(row, column):
    """Look at the cell that was clicked; at the mask painted by hand, hide or show it."""
    page.set(cell=(row, column))
    if setup.stage == "masked" and setup.mask == "painted":
        paint_mask(page, row, column, n)


ui.page_figure(
    stage_picture(view, stage),
    f"step.{setup.stage}.{setup.matrix}",
    on_pick=choose,
    tables={setup.stage: lambda: charts.csv(stage.result(view), view.labels, stage.columns(view))},
    codes=lambda: codes,
    line="" if story_speaks(page) else f"**{stage.label}.** {stage.title}",
)
if footnote := stage_footnote(view, stage):
    ui.page_footnote(footnote)


def cell_tab():
    """Write how the chosen cell comes about, and draw what it is made of or stands among."""
    if told := stage.sum_up(view):
        st.markdown(told)
    if stage.explain is not None:
        st.caption(stage.explained)
        ui.page_figure(charts.beside(stage.explain(view)), f"cell.{setup.stage}.{setup.matrix}")


SHOWN = {
    "cell": cell_tab,
    "edit": lambda: walk_editor(page, example),
    "code": lambda: ui.page_code(page, codes),
}
ui.page_tabs(page, {name: label for name, label in TABS.items() if name != "cell" or stage.has_cell(view)}, SHOWN)
ui.page_sources(page)
ui.page_next(page)
