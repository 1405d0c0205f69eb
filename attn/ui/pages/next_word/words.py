"""Next word: the words that may come next, as a figure and as a sentence."""

import re
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import label_pixels, percent
from attn.charts.plane import FINGER_CELL
from attn.functional import softmax
from attn.models import gpt2
from attn.pretrained.language_model import token_label
from attn.ui.language_models import Rival, likeliest_tokens
from attn.ui.menu import link_to
from attn.ui.pages.next_word import whole_way
from attn.ui.present import MOST_IN_LINE
from attn.ui.state import as_text
from attn.ui.width import (
    page_cell,
    page_held,
    page_plot_height,
    page_rows,
    page_tallest,
    window_low_for_hall,
)

_SHOWN = 10  # words
END = 40  # characters of the end of a text, in the sentence that asks
_PAIR = 56  # pixels of two bars, one below the other
_IN_A_LINE = 3  # words where they stand in a line
_BESIDE, _LAYER = 560, 10  # pixels for boxes and map side by side, and of a layer in the map, to be pointed at
_NAMES, _COLUMN = 60, 34  # pixels beside the map, and of a column in it at most
_BESIDE_BARS, _AFTER_BAR = 24, 14  # pixels between names and bars and at the right, and around a number after its bar
_BOX, _LOW_BOX = 23, 19  # pixels of a box down, and of one with words for a hall, where all are to be seen at once
_MOST_MAP = 390  # pixels of the map down, where the window has room for them


class NextWords(NamedTuple):
    """The likeliest next words, before and after the changes."""

    words: tuple  # of Rival, with the probabilities before
    after: np.ndarray | None  # (words,) probabilities with the changes
    selected: int  # place of the word in view


def next_words(language, before, after, word):
    """Return the words that are likeliest before or after the changes, and the one in view.

    Parameters
    ----------
    language : LanguageModel
    before : Read
    after : Read or None
    word : int
        Id of the one in view; -1 for the likeliest.

    Returns
    -------
    NextWords
    """
    reads, most = ([before], _SHOWN) if after is None else ([before, after], page_rows(_PAIR, _SHOWN))
    likely = [each for read in reads for each in likeliest_tokens(language, read.passed.logits[-1], _SHOWN)]
    ids = list(dict.fromkeys(each.id for each in sorted(likely, key=lambda each: -each.probability)))[:most]
    if 0 <= word < len(language.model.embedding) and word not in ids:
        ids = [*ids[:-1], word]
    sides = [softmax(read.passed.logits[-1].astype(float))[ids] for read in reads]
    words = tuple(
        Rival(id, token_label(language, id), float(share)) for id, share in zip(ids, sides[0], strict=True)
    )  # fmt: skip
    return NextWords(words, None if after is None else sides[1], ids.index(word) if word in ids else 0)


def next_words_sentence(walked, found):
    """Say what the model holds likeliest, and what the changes do to it."""
    last = as_text(charts.quoted(walked.read.tokens[-1].text))
    sizes = whole_way_sizes(walked)
    best = max(found.words, key=lambda word: word.probability)
    told = (
        f"{sizes.n} tokens pass {sizes.num_layers} layers. The last one, **{last}**, is then compared with every word: "
        f"**{as_text(best.label)}** leads with **{percent(best.probability)}**."
    )
    if found.after is None:
        return told
    leads = int(found.after.argmax())
    share = percent(found.after[found.words.index(best)])
    if found.words[leads] == best:
        return f"{told} With your changes it still leads, with **{share}**."
    now = as_text(found.words[leads].label)
    return (
        f"{told} With your changes {as_text(best.label)} has {share}, and **{now}** leads with "
        f"**{percent(found.after[leads])}**."
    )


def next_words_terms(model):
    """Return what the boxes of the way are about, by the names of `attn.ui.terms.TERMS`."""
    norm = "layer norm" if isinstance(model, gpt2.GPT2) else "RMS norm"
    return ("embedding", norm, "residual", "feed-forward network", "logit")


def block_link():
    """Draw a link to the page on which norm, add and feed-forward are walked number by number."""
    st.page_link(
        "pages/block.py", label="Norm, Add and Feed-forward in a small block, step by step",
        icon=":material/arrow_forward:", width="content", query_params=link_to("block", {"norm": "pre"}),
    )  # fmt: skip


def next_words_line(text, found):
    """Say in a line what is read, and which words come next; changed ones beside what they were.

    Parameters
    ----------
    text : str
    found : NextWords
    """

    def told(shares):
        first = np.argsort(-np.asarray(shares), kind="stable")[:_IN_A_LINE]
        return ", ".join(f"**{as_text(found.words[at].label)}** {percent(float(shares[at]))}" for at in first)

    line = f"“{as_text(_end_of(text, MOST_IN_LINE))}” → {told([word.probability for word in found.words])}"
    return line if found.after is None else f"{line}. With the changes: {told(found.after)}"


def next_words_task(text):
    """Say what the page is about, with the end of the text."""
    return f"Which word comes after “{as_text(_end_of(text, END))}”?"


def _end_of(text, most):
    """Return a text, of a long one its last whole words."""
    text = text.strip()
    if len(text) <= most:
        return text
    _, *words = re.split(r"\s+", text[-most - 1 :], maxsplit=1)
    return f"… {words[0] if words else text[-most:]}"


def next_words_shapes(walked):
    """Say how large the model is."""
    sizes = whole_way_sizes(walked)
    return (
        f"{sizes.num_layers} layers × {sizes.num_heads} heads · d_model {sizes.d_model} · d_ff {sizes.d_ff} · "
        f"vocabulary {sizes.vocabulary:,}"
    )


def whole_way_sizes(walked):
    """Return what the shapes of the figure are made of."""
    passed, model = walked.read.passed, walked.language.model
    n, d_model = passed.output.shape
    d_ff = passed.layers[0].inner.shape[1]
    return whole_way.Sizes(n, d_model, len(model.layers), model.num_heads, d_ff, passed.logits.shape[1])


def next_words_way(walked, width):
    """Return how the boxes of the way, and beside them what each part adds, are drawn.

    Parameters
    ----------
    walked : Walked
    width : float
        Pixels.

    Returns
    -------
    dict
        What `attn.ui.pages.next_word.whole_way.whole_way_picture` takes, but for ``additions`` and ``theme``.
    """
    setup, model = walked.setup, walked.language.model
    num_layers, num_columns = len(model.layers), model.num_heads + 1
    column = {"attention": setup.head - 1, "feed_forward": model.num_heads}.get(setup.part)
    narrow = width < _BESIDE
    notes, room = whole_way.whole_way_notes(whole_way_sizes(walked)), width if narrow else width / 2
    notes |= whole_way.whole_way_changes(setup.factors, setup.layer, model.num_heads)
    row = page_cell(_LAYER, num_layers)
    down = page_plot_height(int(max(row * num_layers, min(_MOST_MAP, page_tallest()))))
    beside = 0 if narrow else whole_way.whole_way_boxes_width(notes, room) + 20
    across = page_cell(min((width - beside - _NAMES) / num_columns, _COLUMN), num_columns)
    return {
        "notes": notes,
        "layer": setup.layer,
        "num_layers": num_layers,
        "part": setup.part,
        "stage": setup.stage,
        "factors": [tuple(each) for each in setup.factors],
        "chosen": None if column is None else (setup.layer - 1, column),
        "width": room,
        "tall": FINGER_CELL + 2 if page_held() else _LOW_BOX if window_low_for_hall() else _BOX,
        "size": (int(across * num_columns), down),
        "above": narrow,
    }


def next_words_width(found, room):
    """Return the pixels of the longest possible bar, so that what stands beside the bars has room as well.

    Parameters
    ----------
    found : NextWords
    room : float
        Pixels across of the column.

    Returns
    -------
    int
    """
    shares = [word.probability for word in found.words] + ([] if found.after is None else found.after.tolist())
    room -= max(label_pixels(word.label) for word in found.words) + _BESIDE_BARS
    return int(min(room, *((room - label_pixels(percent(each)) - _AFTER_BAR) / each for each in shares if each)))


def next_words_picture(found, theme, width):
    """Draw the likeliest next words."""
    before = np.array([word.probability for word in found.words])
    labels = [word.label for word in found.words]
    return whole_way.whole_way_words(before, found.after, labels, found.selected, theme, width)


def next_words_csv(found):
    """Return the words with their probabilities as comma-separated text."""
    columns = [[word.probability for word in found.words]] + ([] if found.after is None else [found.after])
    names = ["probability"] if found.after is None else ["before", "after"]
    return charts.csv(np.transpose(columns), [word.label for word in found.words], names)
