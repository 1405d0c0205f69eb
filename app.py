"""Attention Lab: the way in."""

from functools import partial

import streamlit as st

from attn import charts, pretrained, ui
from attn.ui import models
from attn.ui.controls.word_level import say_word_level, word_level_control
from attn.ui.embed import embedded_page
from attn.ui.pages.home import (
    MOST,
    PURPOSE,
    Setup,
    home_code,
    home_line,
    home_look_at_a_word,
    home_picture,
    home_reading,
    home_resting,
    home_sample_note,
    home_sentence_control,
    home_strongest_looks,
    home_ways_in,
)
from attn.ui.stories.card import stories_offer
from attn.ui.stories.running import story_now
from attn.ui.take_away import bundle_control
from attn.ui.width import page_strip_width
from attn.ui.word_level import word_level_of

page = ui.begin_page("home", "Who looks at whom?", Setup)

if not story_now() and not embedded_page():
    st.markdown(PURPOSE)
    stories_offer()
home_sentence_control(page)
if not page.get("text").strip():
    ui.page_ask(page, "Type a sentence above to see where its words look.")

try:
    result = models.model_reading(page.get("text"))
except pretrained.ModelError as error:
    ui.page_ask(page, str(error), st.error)
home_look_at_a_word(page, result.tokens)
setup = page.commit()
models.say_if_model_truncated(result)
level = word_level_of(setup.level, result.tokens, result.tokens)
labels, (names, _), (places, _) = [each.text for each in level.rows], level.labels, level.places
query, _ = level.cell(setup.cell)
head = level.weights(models.model_layer_weights(setup.text, setup.layer - 1, setup.head - 1))
weights = head[query]
page.tell(row=query + 1, attention=(labels, labels, head))
page.lead(cell=f"{places[query]},{places[weights.argmax()]}")  # elsewhere a key is chosen, too
low = ui.window_low_for_hall()
size = 14 if low else 22  # pixels of a letter, before figures are enlarged
ui.page_reading(
    f"{home_reading(level.rows, names, weights, query)} Below each word stand its place and its share of this look; "
    f"all shares add up to 1. It is the look of head {setup.head} in layer {setup.layer} of all-MiniLM-L6-v2, a small "
    "language model; other heads look elsewhere. "
    f"Choose {'another word' if setup.level == 'words' else 'another token'} to see where that one looks."
)
say_word_level(level)
width = page_strip_width(labels, size=size, numbered=True, most=MOST)
codes = partial(home_code, setup, query, result.tokens, width, size)
ui.page_figure(
    home_picture(labels, weights, query, MOST, ui.page_theme(), width, size),
    "home.strip",
    on_pick=lambda row, column: page.set(cell=(places[row], 0)),
    tables={"weights": lambda: charts.csv([weights], [names[query]], names)},
    codes=codes,
    line=home_line(setup, level.rows, names, weights, query),
)
home_strongest_looks(page, level, head)
st.caption(
    f"{home_resting(head, level.rows, query)}{home_sample_note(setup)}[CLS] and [SEP] are no words: the model puts "
    "them before and after each text."
)
if len(labels) > MOST:
    named = "words" if setup.level == "words" else "tokens"
    st.caption(f"The picture shows the first {MOST} of {len(labels)} {named}; the page Pretrained shows them all.")
with st.container(horizontal=True, vertical_alignment="top"):
    st.slider(
        "Layer", 1, 6, key=page.key("layer"), width=220, help="Layer 1 reads the words; each later one reads what the "
        "layer before it made of them.",
    )  # fmt: skip
    st.slider("Head", 1, 12, key=page.key("head"), width=220, help="Each head of a layer looks in its own way.")
    with st.container(width=200):
        ui.page_token_control(page, "Who looks", names, 0, places)
    with st.container(width=200):
        word_level_control(page, result.tokens)
seen = {
    "text": setup.text,
    "layer": str(setup.layer),
    "head": str(setup.head),
    "cell": f"{places[query]},{places[weights.argmax()]}",
    "level": setup.level,
}
with st.container(horizontal=True, gap="small"):
    for script, label in (
        ("pages/pretrained.py", "See this head computed twice: by the model's own code, and from scratch"),
        ("pages/inside.py", "See all 72 heads of the model, this one marked"),
    ):
        st.page_link(script, label=label, icon=":material/arrow_forward:", query_params=seen, width="content")

if not story_now():
    code = st.expander("Code", key="home.code", on_change="rerun")
    if code.open:  # what colours it is the largest part of what a browser would load
        with code:
            ui.page_code(page, codes())

if not story_now() and not embedded_page():
    st.header("Ways in", anchor=False)
    home_ways_in()
    bundle_control()
    st.page_link("pages/talk.py", label="Ready for a talk? What this machine has for one", icon=":material/co_present:")
ui.page_sources(page)
ui.page_next(page)
