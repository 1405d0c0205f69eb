"""Softmax: how a row of scores becomes weights, and why the scores are divided before."""

from functools import partial

import streamlit as st

from attn import charts, ui
from attn.ui.pages import softmax
from attn.ui.pages.softmax import LOOKUPS, SCALING_FORMULA, TABS, Setup
from attn.ui.stories.running import story_speaks, story_stands_alone

page = ui.begin_page("softmax", "How do scores become weights?", Setup)

alone = story_stands_alone(page)  # then scores and temperature would move nothing that is in sight
with st.sidebar:
    (softmax.softmax_page_scaling_controls if alone else softmax.softmax_page_controls)(page)

setup = page.commit()
scores = softmax.softmax_page_scores(page, setup)
width = ui.page_width()
result = softmax.compute_softmax_page(setup, scores)
ui.page_reading(
    softmax.softmax_page_in_words(setup, result),
    r"a_j = \frac{e^{s_j/\tau - m}}{\sum_k e^{s_k/\tau - m}},\quad m = \max_k s_k/\tau",
    softmax.softmax_page_steps_in_words(setup, result),
)
codes = partial(softmax.softmax_page_code, setup, result, width)
ui.page_figure(
    partial(softmax.softmax_page_picture, setup, result, width),
    "softmax.steps",
    tables={"weights": lambda: charts.csv([result.shifted, result.weights], ["score", "weight"], result.labels)},
    codes=codes,
    line=softmax.softmax_page_line(setup, result),
)


def gradient_tab():
    """Draw how each weight moves with each score."""
    picture, words, jacobian = softmax.softmax_page_gradient(setup, result, width)
    ui.page_reading(words, r"\frac{\partial a_i}{\partial s_j} = \frac{1}{\tau}\,a_i\,(\delta_{ij} - a_j)")
    ui.page_figure(
        picture,
        "softmax.gradient",
        tables={"jacobian": lambda: charts.csv(jacobian, result.labels, result.labels)},
    )


def scaling_tab():
    """Draw how softmax saturates as keys become wider."""
    if not alone:
        with st.container(horizontal=True):
            softmax.softmax_page_scaling_controls(page, width=(260, 160))
    setup = page.commit()
    found = softmax.softmax_page_saturations(setup.keys, setup.seed)
    page.tell(**softmax.softmax_page_scaling_results(found))

    def say():
        """Say why, and what is to be seen; of both only what the card of a story does not say."""
        told = story_speaks(page)
        ui.page_reading(softmax.softmax_page_scaling_reason(found, told), SCALING_FORMULA)
        st.markdown(softmax.softmax_page_scaling_seen(found, setup.keys, told))

    ui.page_figure(
        softmax.softmax_page_scaling_picture(found),
        "softmax.scaling",
        above=say,
        tables={"by_width": lambda: softmax.softmax_page_scaling_csv(found)},
    )
    ui.page_footnote(softmax.softmax_page_scaling_footnote(found, setup.keys))


def sum_tab():
    """Draw the scores divided by their sum instead."""
    picture, words, shares = softmax.softmax_page_by_sum(result)
    ui.page_reading(words, r"\frac{s_j}{\sum_k s_k}")
    ui.page_figure(
        picture,
        "softmax.sum",
        tables={"shares": lambda: charts.csv([shares, result.weights], ["share", "softmax"], result.labels)},
    )


def sinks_tab():
    """Draw the weights beside a sink, and those of the k largest."""
    softmax.softmax_page_sink_controls(page, len(scores))
    setup = page.commit()
    beside, largest = softmax.softmax_page_sink_and_largest(setup, result)
    ui.page_reading(
        softmax.softmax_page_sink_words(setup, result),
        r"a_j = \frac{e^{s_j/\tau}}{e^{s_0/\tau} + \sum_k e^{s_k/\tau}}",
    )
    ui.page_figure(
        softmax.softmax_page_sink_picture(setup, result, width),
        "softmax.sinks",
        tables={
            "beside_a_sink": lambda: charts.csv([beside], ["weight"], [*result.labels, "sink"]),
            "largest": lambda: charts.csv([largest], ["weight"], result.labels),
        },
    )
    ui.page_footnote(softmax.softmax_page_sink_footnote(setup, result))


def plain_tab():
    """Draw attention without trained weights."""
    picture, words = softmax.softmax_page_without_weights(width)
    ui.page_reading(words, r"\mathrm{softmax}(X X^\top)\,X")
    ui.page_figure(picture, "softmax.plain")


def lookup_tab():
    """Draw a query looked up among keys."""
    st.segmented_control(
        "Query",
        LOOKUPS,
        format_func=LOOKUPS.get,
        key=page.key("lookup"),
        required=True,
        help="What is looked up. The keys that point the same way answer.",
    )
    setup = page.commit()
    picture, words = softmax.softmax_page_looked_up(setup, width)
    ui.page_reading(words)
    ui.page_figure(picture, "softmax.lookup")


SHOWN = {
    "gradient": gradient_tab,
    "scaling": scaling_tab,
    "sum": sum_tab,
    "sinks": sinks_tab,
    "plain": plain_tab,
    "lookup": lookup_tab,
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
ui.page_sources(page)
ui.page_next(page)
