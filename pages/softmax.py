"""Softmax: how a row of scores becomes weights, and why the scores are divided before."""

import streamlit as st

from attn import charts, ui
from attn.ui.pages import softmax
from attn.ui.pages.softmax import LOOKUPS, TABS, Setup

page = ui.begin("softmax", "How do scores become weights?", Setup)

with st.sidebar:
    softmax.controls(page)

setup = page.setup()
scores = softmax.scores_of(page, setup)
room = ui.room()
result = softmax.softened(setup, scores)
ui.reading(
    softmax.in_words(setup, result),
    r"a_j = \frac{e^{s_j/\tau - m}}{\sum_k e^{s_k/\tau - m}},\quad m = \max_k s_k/\tau",
    f"scores, exponentials and weights: {len(scores)}",
)
ui.figure(
    softmax.pictures(result, room),
    "softmax.steps",
    tables={"weights": lambda: charts.csv([result.shifted, result.weights], ["score", "weight"], result.labels)},
)

gradient_tab, scaling_tab, sum_tab, plain_tab, lookup_tab, code_tab = ui.tabs(page, TABS)
if gradient_tab.open:
    with gradient_tab:
        picture, words, jacobian = softmax.gradient(setup, result, room)
        ui.reading(words, r"\frac{\partial a_i}{\partial s_j} = \frac{1}{\tau}\,a_i\,(\delta_{ij} - a_j)")
        ui.figure(
            picture,
            "softmax.gradient",
            tables={"jacobian": lambda: charts.csv(jacobian, result.labels, result.labels)},
        )
if scaling_tab.open:
    with scaling_tab:
        with st.container(horizontal=True):
            st.slider("Keys", 2, 64, key=page.key("keys"), help="How many keys each random query meets.", width=260)
            st.number_input("Seed", 0, 9999, key=page.key("seed"), help="Other random queries and keys.", width=160)
        setup = page.setup()
        found = softmax.saturations(setup.keys, setup.seed)
        ui.reading(softmax.scaling_words(found), r"\mathrm{Var}(q^\top k) = d_k")
        ui.figure(
            softmax.scaling_picture(found, room),
            "softmax.scaling",
            tables={"by_width": lambda: softmax.scaling_csv(found)},
        )
if sum_tab.open:
    with sum_tab:
        picture, words, shares = softmax.by_sum(result, room)
        ui.reading(words, r"\frac{s_j}{\sum_k s_k}")
        ui.figure(
            picture,
            "softmax.sum",
            tables={"shares": lambda: charts.csv([shares, result.weights], ["share", "softmax"], result.labels)},
        )
if plain_tab.open:
    with plain_tab:
        picture, words = softmax.without_weights(room)
        ui.reading(words, r"\mathrm{softmax}(X X^\top)\,X")
        ui.figure(picture, "softmax.plain")
if lookup_tab.open:
    with lookup_tab:
        st.segmented_control(
            "Query",
            LOOKUPS,
            format_func=LOOKUPS.get,
            key=page.key("lookup"),
            required=True,
            help="What is looked up: the keys that point the same way answer.",
        )
        setup = page.setup()
        picture, words = softmax.looked_up(setup, room)
        ui.reading(words)
        ui.figure(picture, "softmax.lookup")
if code_tab.open:
    with code_tab:
        ui.code(softmax.code_of(setup, result, room))
