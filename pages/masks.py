"""Masks: who may look at whom, how a mask is applied, and what goes wrong when it is applied wrongly."""

from functools import partial

import streamlit as st

from attn import charts, ui
from attn.ui.controls.mask import mask_controls, paint_mask
from attn.ui.controls.sentence import (
    need_sentence_words,
    say_if_sentence_cut,
    sentence_control,
    sentence_in_a_trained_model,
    sentence_seed_control,
    sentence_source_control,
    whose_untrained_numbers,
)
from attn.ui.pages.masks import (
    LARGEST_LEAD,
    RIGHT,
    TABS,
    WRONG,
    Setup,
    compute_masks_page,
    masks_page_code,
    masks_page_leaks_picture,
    masks_page_leaks_reading,
    masks_page_leaks_table,
    masks_page_limit_reading,
    masks_page_picture,
    masks_page_results,
    masks_page_routes_line,
    masks_page_routes_picture,
    masks_page_routes_reading,
    masks_page_tokens,
)

page = ui.begin_page("masks", "Who may look at whom?", Setup)

with st.sidebar:
    sentence_source_control(page)
    if page.get("source") == "random":
        sentence_control(page)
        sentence_seed_control(page)
    tokens = masks_page_tokens(page.choices())
    if tokens:
        mask_controls(page, len(tokens))

if page.get("source") == "random":
    need_sentence_words(page, "text")
theme = ui.page_theme()
labels = charts.token_labels(tokens)
page.clamp("token", 1, len(tokens))
setup = page.commit()
result = compute_masks_page(setup)
if setup.source == "random":
    say_if_sentence_cut(setup.text)
page.tell(**masks_page_results(setup, result))
attention, hidden = result.attention, result.hidden

seen = f"{hidden.size - hidden.sum()} of {hidden.size} cells may be seen. "
seen = "" if setup.mask == "painted" else seen  # whose words are that count
ui.page_reading(
    f"{whose_untrained_numbers(setup)} A mask says which token may look at which: what it hides gets a weight of 0. "
    f"{ui.as_text(result.words)} {seen}Choose a cell of the scores to hide or show it.",
    ui.page_formula(mask="+M"),
    f"Rows are queries, columns keys · {hidden.shape[0]} × {hidden.shape[1]}",
    beside=lambda: sentence_in_a_trained_model(setup),
)
if result.empty_rows:
    names = ", ".join(ui.as_text(labels[row]) for row in result.empty_rows)
    st.warning(
        f"Nothing is left to see for {names}: weights and context are 0 there.",
    )
    with st.expander("What other libraries do with such a row"):
        st.markdown(
            "Where all scores are −∞ the softmax divides 0 by 0, which many programs answer with NaN (not a number). "
            "jax.nn.dot_product_attention and the Attention of keras put a large negative number in place of −∞, so "
            "that such a row gets the mean of all values."
        )
tallest = ui.page_tallest(count=len(labels))
codes = partial(masks_page_code, setup, result, ui.page_width(), tallest)
ui.page_figure(
    partial(masks_page_picture, attention, labels, hidden, theme, ui.page_width(), tallest),
    f"masks.picture.{len(page.get('painted'))}.{page.get('mask')}",  # a picture just painted has nothing chosen
    on_pick=lambda row, column: paint_mask(page, row, column, len(tokens)),
    tables={
        "scores": lambda: charts.csv(attention.masked_scores, labels, labels),
        "weights": lambda: charts.csv(attention.weights, labels, labels),
    },
    codes=codes,
    line=f"{ui.as_text(result.words)} {seen}",
)

st.header("Before or after the softmax?", anchor=False)


def choose_route():
    """Draw the choice of a wrong route and of the token that is replaced, and what comes of it."""
    left, right = st.columns(2)
    left.selectbox(
        "Compare with a wrong route",
        WRONG,
        format_func=WRONG.get,
        key=page.key("wrong"),
        help="Each looks like masking and is not. The sentence below says why, and how much leaks through it.",
    )
    right.slider(
        "Replace token",
        1,
        max(len(tokens), 2),
        key=page.key("token"),
        help="Another vector is put in place of this token. Rows that must not see it must not change.",
    )
    ui.page_reading(masks_page_routes_reading(setup, result, labels))


routed = result.routed
ui.page_figure(
    partial(masks_page_routes_picture, routed, setup.wrong, labels, hidden, theme, ui.page_width()),
    "masks.routes",
    above=choose_route,
    line=masks_page_routes_line(setup, result),
    tables={
        "wrong_weights": lambda: charts.csv(routed[setup.wrong].weights, labels, labels),
        "wrong_context": lambda: charts.csv(
            routed[setup.wrong].context, labels, charts.counted(routed[setup.wrong].context.shape[1])
        ),
    },
)

with st.expander("Where the second right route fails"):
    st.slider(
        "Lead of a hidden score",
        0,
        LARGEST_LEAD,
        key=page.key("lead"),
        width=420,
        help="How much larger the score of a hidden key is than that of the only visible one.",
    )
    st.markdown(masks_page_limit_reading(page.get("lead")))


def leaks_tab():
    """Draw how much leaks through each route."""
    ui.page_reading(masks_page_leaks_reading(setup, result, labels))
    ui.page_figure(
        masks_page_leaks_picture(setup, result, theme, min(360, ui.page_share(1, beside=380))), "masks.leaks"
    )
    st.markdown(masks_page_leaks_table(result, [*RIGHT, setup.wrong]))
    with st.expander("All wrong routes"):
        st.markdown(masks_page_leaks_table(result, WRONG))


SHOWN = {
    "leaks": leaks_tab,
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
ui.page_sources(page)
ui.page_next(page)
