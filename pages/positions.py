"""Positions: what tells attention the order of its tokens, and what happens where nothing does."""

from functools import partial

import streamlit as st

from attn import charts, pretrained, ui
from attn.ui.controls.sentence import (
    UNTRAINED,
    need_sentence_words,
    say_if_sentence_cut,
    sentence_control,
    sentence_in_a_trained_model,
    sentence_seed_control,
)
from attn.ui.pages.positions import distances, schemes, shuffle
from attn.ui.pages.positions.shuffle import TABS, Setup

page = ui.begin_page("positions", "How does attention know the order?", Setup)

with st.sidebar:
    shuffle.shuffle_scheme_controls(page)
    sentence_control(page)
    sentence_seed_control(page)
    st.slider("d_model", 2, 128, key=page.key("d_model"), help="How many numbers stand for each token.")
    st.slider(
        "d_k",
        2,
        64,
        step=2,
        key=page.key("d_k"),
        help="How many numbers a query and a key have. Rotation turns them in pairs.",
    )
    st.toggle(
        "Causal mask",
        key=page.key("causal"),
        help="Each word sees itself and what came before, never what comes after.",
    )
    st.number_input("Shuffle", 0, 9999, key=page.key("shuffle"), help="Another number puts the words in another order.")

need_sentence_words(page, "text")
setup = page.commit()
theme = ui.page_theme()
try:
    result = shuffle.compute_shuffle(setup)
    parts = schemes.schemes_parts(setup)
except (ValueError, pretrained.ModelError) as error:
    ui.page_ask(page, str(error), st.error)
say_if_sentence_cut(setup.text)
labels = result.labels

ui.page_reading(
    f"{UNTRAINED} {shuffle.shuffle_reading(setup, result)}",
    shuffle.shuffle_formula(setup, theme.role),
    f"In the formula {shuffle.shuffle_letters(setup)} · {len(labels)} tokens × {setup.d_model} numbers · "
    f"weights: {len(labels)} × {len(labels)}",
    beside=lambda: sentence_in_a_trained_model(setup),
)
codes = partial(shuffle.shuffle_code, setup, result)
ui.page_figure(
    partial(shuffle.shuffle_picture, result, theme),
    "positions.shuffle",
    tables={
        "as_written": lambda: charts.csv(result.written.weights, labels, labels),
        "shuffled": lambda: charts.csv(result.shuffled.weights, result.shuffled_labels, result.shuffled_labels),
        "difference": lambda: charts.csv(result.difference, labels, labels),
    },
    codes=codes,
)


def scheme_tab():
    """Draw the scheme itself."""
    ui.page_reading(schemes.schemes_reading(setup))
    ui.page_figure(
        partial(schemes.schemes_picture, parts, schemes.schemes_slope(setup), theme),
        f"positions.scheme.{setup.positions}",
        tables={"scheme": lambda: schemes.schemes_csv(setup)},
        on_pick=schemes.schemes_head_picker(page),
    )
    if footnote := schemes.schemes_footnote(setup):
        ui.page_footnote(footnote)


def distance_tab():
    """Draw the weight by distance."""
    ui.page_reading(distances.distances_reading(setup))
    ui.page_figure(
        partial(
            distances.distances_picture,
            *distances.distances_mean_weights(setup),
            setup.positions,
            setup.causal,
            theme,
        ),
        "positions.distance",
        tables={"mean_weights": lambda: distances.distances_csv(setup)},
    )


def relation_tab():
    """Draw how the scheme turns or shifts by the distance alone."""
    if dials := schemes.schemes_dials_picture(setup, theme):
        schemes.schemes_distance_controls(page)
        ui.page_figure(dials, "positions.dials")
    ui.page_reading(schemes.schemes_relation_reading(setup))
    ui.page_figure(
        schemes.schemes_relation_picture(setup, theme),
        "positions.relation",
        tables={"relation": lambda: schemes.schemes_relation_csv(setup)},
    )


def longer_tab():
    """Draw what becomes of texts longer than any before."""
    distances.distances_longer_controls(page)
    ui.page_reading(distances.distances_longer_reading(setup))
    ui.page_figure(distances.distances_longer_picture(setup, theme), "positions.longer")


def schemes_tab():
    """Draw all schemes beside one another."""
    ui.page_reading(
        "The longer a bar, the more the weights depend on the order of the words. Pick a bar to choose its scheme."
    )
    bars, found = shuffle.shuffle_by_scheme_picture(setup, theme)
    ui.page_figure(bars, "positions.schemes", on_pick=lambda row: page.set(positions=found[row]))


SHOWN = {
    "scheme": scheme_tab,
    "distance": distance_tab,
    "relation": relation_tab,
    "longer": longer_tab,
    "schemes": schemes_tab,
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, {name: label for name, label in TABS.items() if parts or name != "scheme"}, SHOWN)
ui.page_sources(page)
ui.page_next(page)
