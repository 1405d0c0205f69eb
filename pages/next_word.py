"""Next word: a whole model on one screen, from the tokens of a text to the words that may come next."""

from functools import partial

import streamlit as st

from attn import charts, pretrained, ui
from attn.ui import language_models
from attn.ui.controls.sentence import sentence_control
from attn.ui.controls.why_link import who_spoke_link
from attn.ui.models import permit_model
from attn.ui.pages.next_word import agreement, cache, code, controls, parts, whole_way, words, writing
from attn.ui.pages.next_word.setup import PROMPTS, TABS, Setup

_BETWEEN = 12  # pixels between two columns

page = ui.begin_page("next_word", "How does a model find the next word?", Setup)

with st.sidebar:
    controls.next_word_model_control(page)
    sentence_control(
        page, label="Text", help="The model goes on where it ends.", hints=True, sentences=PROMPTS
    )  # fmt: skip
if not page.get("text").strip():
    ui.page_ask(page, "Type a text among the controls, or pick an example there.")
try:
    permit_model(page.get("model"))
    language = language_models.opened_language_model(page.get("model"))
    page.lead(kind="writes")
    controls.next_word_fit(page, language)
    with st.sidebar:
        controls.next_word_part_controls(page, language)
    before = language_models.read_with_steps(page.get("model"), page.get("text"))
    factors = controls.next_word_factors(page.get("factors"))
    read = language_models.read_with_steps(page.get("model"), page.get("text"), factors) if factors else before
except pretrained.ModelError as error:
    controls.next_word_refused(page, error)

setup = page.commit()
theme, width = ui.page_theme(), ui.page_width()
labels = charts.token_labels([token.text for token in before.tokens])
walked = parts.Walked(language, read, setup, labels)
found = words.next_words(language, before, read if factors else None, setup.word)
if before.truncated_from:
    st.warning(
        f"This page walks the first {len(labels)} tokens of a text: this one has {before.truncated_from:,}, and the "
        "word in question is the one after those."
    )
agreement.agreement_asked(setup, factors)
ui.page_reading(
    f"{words.next_words_task(setup.text)} {words.next_words_sentence(walked, found)}",
    r"p = \mathrm{softmax}(E\,\mathrm{norm}(x_L))",
    words.next_words_shapes(walked),
    terms=words.next_words_terms(language.model),
    beside=lambda: agreement.agreement_line(page, setup, factors),
)
hall = ui.window_low_for_hall()  # the words are seen beside the way to them, and what switches parts off below
if not hall:
    controls.next_word_switches(page, language)


def open_part(row, column=None):
    """Open the box that was clicked, or the head or feed-forward network in the map."""
    if column is None:
        part, stage = whole_way.OPENS[row]
        page.set(part=part, tab="part", **({"stage": stage} if stage else {}))
    elif column < language.model.num_heads:
        page.set(part="attention", layer=row + 1, head=column + 1, tab="part")
    else:
        page.set(part="feed_forward", layer=row + 1, tab="part")


line = words.next_words_line(setup.text, found)
shares = (1 / 2, 1 / 2) if hall else (0.7, 0.3)
way, likely = ui.page_columns(shares, figures=True, first=1)  # on a phone the words stand right below the switches
drawn = words.next_words_way(walked, ui.page_share(shares[0], column=True))
additions = whole_way.whole_way_additions(language.model, before.passed)
with way:
    ui.page_figure(
        partial(whole_way.whole_way_picture, additions, theme=theme, **drawn),
        "next_word.way",
        on_pick=open_part,
        codes=partial(code.way_codes, walked, drawn),
        tables={"additions": lambda: whole_way.whole_way_csv(language.model, before.passed)},
        line=line,
    )
    st.caption(f"Open below: **{parts.part_name(setup)}**. [Go there](#{controls.OPENED})")
    words.block_link()
    st.caption(
        "Choose a box or a cell to open it, and switch it off to see what becomes of the words: what is off adds "
        "nothing, and all layers behind it compute with what is left. The map: how long what "
        "each part adds to the last token is, as a part of the length of the state that it is added to, on a "
        "logarithmic scale."
    )
with likely:
    across = words.next_words_width(found, ui.page_share(shares[1], least=250, beside=_BETWEEN, column=True))
    codes = partial(code.next_word_codes, walked, found, factors, across)
    ui.page_figure(
        partial(words.next_words_picture, found, theme, across),
        "next_word.words",
        on_pick=lambda row: page.set(word=found.words[row].id, part="logits", tab="part"),
        tables={"next_words": lambda: words.next_words_csv(found)},
        codes=codes,
        line=line,
    )
    who_spoke_link(language, setup.text, before, found.words[found.selected].id, changed=found.after is not None)
    st.caption(
        "␣ is the space with which a word begins. A logit is a word's score; the softmax over the scores of all words "
        "makes the probabilities."
    )
if hall:
    controls.next_word_switches(page, language)


def part_tab():
    """Draw the matrix of the open part, and how one of its numbers comes about."""
    st.html(f'<span id="{controls.OPENED}"></span>')
    controls.next_word_part_tab(page, walked, factors, theme, width)


SHOWN = {
    "part": part_tab,
    "writing": lambda: writing.writing_tab(page, walked, factors, theme, width),
    "cache": lambda: cache.cache_tab(page, walked, factors, theme, width),
    "agreement": lambda: agreement.agreement_figure(page, setup, factors, theme, width),
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
ui.page_sources(page)
ui.page_next(page)
