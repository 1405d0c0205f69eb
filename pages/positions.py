"""Positions: what tells attention the order of its tokens, and what happens where nothing does."""

import streamlit as st

from attn import charts, pretrained, ui
from attn.ui.controls.sentence import need_words, say_if_cut, seed_control, text_control
from attn.ui.pages.positions import distances, schemes, shuffle
from attn.ui.pages.positions.shuffle import TABS, Setup

page = ui.begin("positions", "How does attention know the order?", Setup)

with st.sidebar:
    text_control(page)
    seed_control(page)
    st.slider("d_model", 2, 128, key=page.key("d_model"), help="Numbers per token.")
    shuffle.scheme_controls(page)
    st.slider("d_k", 2, 64, step=2, key=page.key("d_k"), help="Numbers per query and key; turned in pairs.")
    st.toggle("Causal mask", key=page.key("causal"), help="A token sees itself and what came before.")
    st.number_input("Shuffle", 0, 9999, key=page.key("shuffle"), help="Another number puts the words in another order.")

need_words(page, "text")
setup = page.commit()
theme = ui.theme()
try:
    result = shuffle.placed(setup)
    scheme = schemes.scheme_picture(setup, theme)
except (ValueError, pretrained.ModelError) as error:
    ui.ask(page, str(error), st.error)
say_if_cut(setup.text)
labels = result.labels

ui.reading(
    shuffle.reading(setup, result),
    shuffle.formula(setup, theme.role),
    f"words and positions: {len(labels)} × {setup.d_model} · weights: {len(labels)} × {len(labels)}",
)
ui.figure(
    shuffle.shuffle_picture(result, theme),
    "positions.shuffle",
    tables={
        "as_written": lambda: charts.csv(result.written.weights, labels, labels),
        "shuffled": lambda: charts.csv(result.shuffled.weights, result.shuffled_labels, result.shuffled_labels),
        "difference": lambda: charts.csv(result.difference, labels, labels),
    },
)

if scheme is not None:
    st.subheader("The scheme itself", anchor=False)
    st.markdown(schemes.scheme_reading(setup))
    ui.figure(
        scheme,
        f"positions.scheme.{setup.positions}",
        tables={"scheme": lambda: schemes.scheme_csv(setup)},
        on_pick=schemes.head_picker(page),
    )


def distance_tab():
    """Draw the weight by distance."""
    st.markdown(distances.distance_reading(setup))
    ui.figure(
        distances.distance_picture(setup, theme),
        "positions.distance",
        tables={"mean_weights": lambda: distances.distance_csv(setup)},
    )


def relation_tab():
    """Draw how the scheme turns or shifts by the distance alone."""
    if dials := schemes.dials_picture(setup, theme):
        schemes.distance_controls(page)
        ui.figure(dials, "positions.dials")
    st.markdown(schemes.relation_reading(setup))
    ui.figure(
        schemes.relation_picture(setup, theme),
        "positions.relation",
        tables={"relation": lambda: schemes.relation_csv(setup)},
    )


def longer_tab():
    """Draw what becomes of texts longer than any before."""
    distances.longer_controls(page)
    st.markdown(distances.longer_reading(setup))
    ui.figure(distances.longer_picture(setup, theme), "positions.longer")


def schemes_tab():
    """Draw all schemes beside one another."""
    bars, found = shuffle.schemes_picture(setup, theme)
    ui.figure(bars, "positions.schemes", on_pick=lambda row: page.set(positions=found[row]))


SHOWN = {
    "distance": distance_tab,
    "relation": relation_tab,
    "longer": longer_tab,
    "schemes": schemes_tab,
    "code": lambda: ui.code(shuffle.code_of(setup, result)),
}
ui.tabs(page, TABS, SHOWN)
