"""Scores: ways of matching one query with the same keys, what each reads, and what is made of the weights."""

from functools import partial

import streamlit as st

from attn import charts, ui
from attn.alignment import SCORES
from attn.ui.controls.published_tables import published_tables_tab
from attn.ui.pages.scores import all_scores, global_and_local, keys, scores, soft_and_hard, what_moves_it
from attn.ui.pages.scores.setup import DRAWS, EVERY, LOOKS, PARAMETERS, PRINTED, REACH, TABS, Setup
from attn.ui.terms import terms_help

page = ui.begin_page("scores", "What makes two vectors match?", Setup)

with st.sidebar:
    st.slider(
        "Query, across",
        -float(REACH),
        float(REACH),
        step=0.1,
        key=page.key("across"),
        help="The first number of the query: how far to the right its arrow points.",
    )
    st.slider(
        "Query, up",
        -float(REACH),
        float(REACH),
        step=0.1,
        key=page.key("up"),
        help="The second number of the query: how far up its arrow points.",
    )
    keys.keys_editor(page)
    page.clamp("moved", 0, len(page.get("keys")))
    st.pills(
        "Choosing a place in the plane moves",
        range(len(page.get("keys")) + 1),
        format_func=lambda at: f"key {at}" if at else "query",
        key=page.key("moved"),
        required=True,
        help="Choose a vector here, then the place in the plane to which it should point.",
    )
    st.toggle("Double every key", key=page.key("double"), help="Makes every key twice as long, in the same direction.")
    st.slider(
        "Turn query and keys, in degrees",
        0,
        180,
        step=15,
        key=page.key("turn"),
        help="Turns the query and all keys by the same angle.",
    )
    st.toggle("Swap the keys' order", key=page.key("swap"), help="Puts the keys into the opposite order.")
    st.segmented_control(
        "Parameters", PARAMETERS, format_func=PARAMETERS.get, key=page.key("parameters"), required=True,
        help=f"{scores.scores_with_parameters()} have matrices that a network would learn. None is trained here: they "
        "are those of a small worked example, which can be checked by hand, or random ones.",
    )  # fmt: skip
    st.number_input("Seed", 0, 9999, key=page.key("seed"), help="Another seed draws other random numbers.")
    st.selectbox(
        "Look at", SCORES, format_func=lambda name: SCORES[name].title, key=page.key("score"),
        help="The score whose formula stands above the figure, and whose weights the tabs below use.",
    )  # fmt: skip

setup = page.commit()
theme, room = ui.page_theme(), ui.page_width()
result = scores.compute_scores(setup)
titles = [one.title for one in SCORES.values()]


def choose(row=None, column=None, across=None, up=None):
    """Look at the score that was clicked, or move a vector to where the plane was clicked."""
    if row is None:
        keys.keys_editor_move(page, across, up)
    else:
        page.set(score=list(SCORES)[row])


ui.page_reading(
    f"{scores.scores_reading(setup, result)} Choose a row to look at a score, or a place in the plane, to "
    f"which {keys.keys_editor_moved(setup)} then points.",
    scores.scores_formula(setup.score),
    f"The query and each of the {len(result.keys)} keys are two numbers, so that they can be drawn. "
    f"{EVERY.capitalize()} ways to score them give {len(SCORES)} × {len(result.keys)} scores, and a softmax "
    "along each row as many weights.",
    terms=("query", "key"),
)
codes = partial(scores.scores_code, setup, result, room)
ui.page_figure(
    partial(scores.scores_picture, setup, result, room),
    "scores.picture",
    on_pick=choose,
    tables={
        "scores": lambda: charts.csv(result.scores, titles, result.labels),
        "weights": lambda: charts.csv(result.weights, titles, result.labels),
    },
    codes=codes,
)


def moves_tab():
    """Draw what each change moves in each score."""
    moved = what_moves_it.what_moves_each_score(setup)
    told = what_moves_it.what_moves_it_in_words(setup, result, moved)
    st.markdown(told, help=terms_help(told))
    ui.page_figure(
        what_moves_it.what_moves_it_picture(setup, result, moved, room),
        "scores.moves",
        tables={"largest_changes": lambda: charts.csv(moved, titles, list(what_moves_it.CHANGES))},
    )


def reads_tab():
    """Draw soft reading beside hard reads."""
    page.adjust(draws=min(DRAWS, key=lambda count: abs(count - page.get("draws"))))
    st.select_slider(
        "Hard reads", DRAWS, key=page.key("draws"), help="How often one key is drawn, with its weight as probability."
    )
    setup = page.commit()
    read = soft_and_hard.compute_soft_and_hard(setup, result)
    told = soft_and_hard.soft_and_hard_in_words(setup, read)
    st.markdown(told, help=terms_help(told))
    ui.page_figure(soft_and_hard.soft_and_hard_picture(setup, result, read, room), "scores.drawn")


def windows_tab():
    """Draw global and local attention over the same positions."""
    looks, length, width, middle = st.columns([1.4, 1, 1, 1.3])
    looks.segmented_control(
        "Scores",
        LOOKS,
        format_func=LOOKS.get,
        key=page.key("looks"),
        required=True,
        help="All equal: only the window makes the weights. By the score: the one that is chosen, between the "
        "query and random keys.",
    )
    length.slider(
        "Positions", 2, 24, key=page.key("positions"), help="How many positions the input has; S in the formula."
    )
    width.slider(
        "Half width",
        1,
        12,
        key=page.key("half_width"),
        help="How many positions to each side are seen; D in the formula.",
    )
    page.clamp("centre", 1.0, float(page.get("positions")))
    middle.slider(
        "Centre", 1.0, float(page.get("positions")), step=0.1, key=page.key("centre"),
        disabled=page.get("predicted"), help="Where the window stands; p in the formula. Only local-m rounds it.",
    )  # fmt: skip
    middle.toggle(
        "Predict it from the query", key=page.key("predicted"),
        help="As local-p does, here by a random, untrained network. Move the query, and the window follows.",
    )  # fmt: skip
    setup = page.commit()
    read = global_and_local.compute_global_and_local(setup)
    ui.page_reading(
        global_and_local.global_and_local_in_words(setup, read), global_and_local.global_and_local_formula()
    )
    ui.page_figure(global_and_local.global_and_local_picture(setup, read, room), "scores.windows")


def every_tab():
    """Say what the scores have in common."""
    st.markdown(all_scores.all_scores_table())
    st.markdown(all_scores.all_scores_one_matrix(setup, result))
    with st.expander("A slip to know"):
        st.markdown(all_scores.all_scores_misread_root(result))


SHOWN = {
    "moves": moves_tab,
    "reads": reads_tab,
    "windows": windows_tab,
    "every": every_tab,
    "published": lambda: published_tables_tab(page, PRINTED),
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
ui.page_sources(page)
ui.page_next(page)
