"""Why: everything that is chosen on the page, and the model and text that all its tabs read."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts, pretrained
from attn.models import ledger
from attn.models.layer_parts import layer_attention
from attn.pretrained import bert, language_model
from attn.pretrained.loading import smollm2
from attn.ui import models
from attn.ui.code_tabs import page_code
from attn.ui.controls.model_and_text import model_control, model_head_control
from attn.ui.controls.sentence import DEFAULT_TEXT, sentence_control
from attn.ui.controls.why_link import MOST_TOKENS
from attn.ui.language_models import suggested_language_models
from attn.ui.link import link_cell, link_choice, link_flag, link_string, link_whole, shortened
from attn.ui.numpy_models import is_writer, numpy_model_code, numpy_model_pass, opened_numpy_model
from attn.ui.page import page_ask, page_columns
from attn.ui.settings import visitor_settings
from attn.ui.shown_code import Source
from attn.ui.state import as_text
from attn.ui.width import page_layers_map_size, page_map_size, page_share, page_tallest, page_width
from attn.words import listed

_QUOTED = 120  # characters of a text above all tabs
_ROW = 16  # pixels of a layer at least
_LITTLE = 0.05  # below this a weight is no look
MEASURES = {"weights": "Weights", "scores": "Scores"}
AGAINST = {"mean": "Mean of the keys", "key": "Another key", "none": "Nothing"}
BARS_OF = {"part": "Each part", "layer": "By layer", "kind": "By kind"}
MOST_PAIRS = 39  # with a bar of their own: a chart of bars shows one more
TABS = {
    "ledger": "The ledger of a score",
    "spoke": "Who spoke for this word",
    "lens": "Logit lens",
    "patch": "Patch",
    "weights": "From the weights alone",
}


OTHER_TEXT_BEGUN = "why.other_text"  # what the session holds: of which model and text the other began, and as what
SECOND_TEXT = "The animal didn't cross the street because it was too wide."
GOES_ON = "The capital of France is"  # what a model that writes is asked, where no other text was chosen
STEP_NAMES = {
    "residual": "State that a layer reads",
    "attention_output": "What attention adds",
    "feed_forward_output": "What the feed-forward network adds",
    "context": "Output of a head",
    "weights": "Weights of a head",
    "query": "Queries of a head",
    "key": "Keys of a head",
    "value": "Values of a head",
}


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Why."""

    model: str = link_string(pretrained.DEFAULT)
    text: str = link_string(DEFAULT_TEXT)
    layer: int = link_whole(4, 1, 999)
    head: int = link_whole(2, 1, 999)
    cell: tuple = link_cell((10, 2))
    measure: str = link_choice("weights", MEASURES)
    against: str = link_choice("mean", AGAINST)
    other_key: int = link_whole(0, 0, 999)  # against which a key is held, from 1; 0 for its strongest rival
    bars_of: str = link_choice("part", BARS_OF)
    pairs: int = link_whole(12, 4, MOST_PAIRS)
    after: int = link_whole(0, 0, 999)  # the token after which a word comes, from 1; 0 for the last
    word: str = link_string("")
    rival: str = link_string("")
    second: str = link_string(SECOND_TEXT)
    step: str = link_choice("residual", STEP_NAMES)
    noising: bool = link_flag(False)
    asked: str = link_string("")  # the word that a head is asked about
    lines: bool = link_flag(False)
    tab: str = link_choice("ledger", TABS)

    @staticmethod
    def unsaid(chosen):
        """Return that of another model or text no place is known, nor another text: a link names what is found."""
        about = chosen.get("model", pretrained.DEFAULT), chosen.get("text", DEFAULT_TEXT)
        known = about == (pretrained.DEFAULT, DEFAULT_TEXT)
        return {} if known else {"layer": 0, "head": 0, "cell": (), "second": ""}


class Reading(NamedTuple):
    """What all tabs read: a model, and a text that passed through it."""

    name: str
    text: str
    opened: object  # as `attn.ui.numpy_models.opened_numpy_model` returns it
    tokens: tuple  # of Token
    labels: list
    passed: object  # as `attn.ui.numpy_models.numpy_model_pass` returns it

    @property
    def model(self):
        """What computes."""
        return self.opened.model

    @property
    def writes(self):
        """Whether the model says a next word."""
        return is_writer(self.opened)


def why_text_controls(state):
    """Draw the choice of a model and of a text."""
    model_control(state)
    sentence_control(
        state,
        label="Text",
        help=f"What the model reads. Each map is drawn cell by cell, so this page reads {MOST_TOKENS} tokens at most.",
    )


def why_reading(state):
    """Open the model that was chosen and pass the text through it; ask for a text where there is none.

    Returns
    -------
    Reading

    Raises
    ------
    ModelError
        As `attn.ui.numpy_models.opened_numpy_model`.
    """
    name, text = state.get("model"), state.get("text")
    models.permit_model(name)
    if not text.strip():
        page_ask(state, f"Type a text of up to {MOST_TOKENS} tokens among the controls, or pick an example there.")
    opened = opened_numpy_model(name)
    state.lead(kind="writes" if is_writer(opened) else "reads")
    read = numpy_model_pass(name, text, MOST_TOKENS)
    why_say_if_cut("This page reads", opened, text, read)
    labels = charts.token_labels([token.text for token in read.tokens])
    return Reading(name, text, opened, read.tokens, labels, read.passed)


def why_say_if_cut(who_reads, opened, text, read):
    """Say which end of a text is left out, where its tokens are more than the maps of the page are drawn for.

    Parameters
    ----------
    who_reads : str
        The beginning of the sentence.
    opened
        As `attn.ui.numpy_models.opened_numpy_model` returns it.
    text : str
    read : attn.ui.numpy_models.TextPass
    """
    if not read.truncated_from:
        return
    tokenizer = opened.tokenizer.tokenizer if is_writer(opened) else opened.tokenizer
    kept = len(read.tokens) - tokenizer.num_special_tokens_to_add(False)
    start, _ = tokenizer.encode(text, add_special_tokens=False).offsets[kept]
    st.warning(
        f"{who_reads} the first {len(read.tokens)} of {read.truncated_from:,} tokens, for each map is drawn cell by "
        f"cell. It leaves out “{as_text(shortened(text[start:].strip(), _QUOTED))}”."
    )


def why_task(reading, setup):
    """Say what the open tab answers, with the text."""
    row, column = (min(at, len(reading.labels) - 1) for at in setup.cell)
    asks, asked = (f"**{as_text(reading.labels[at])}**" for at in (row, column))
    weight = layer_attention(reading.passed, setup.layer - 1).weights[setup.head - 1, row, column]
    looks = "look" if weight >= _LITTLE else "hardly look" if weight else "not look"
    questions = {
        "ledger": f"why does {asks} {looks} at {asked}, in layer {setup.layer} head {setup.head}?",
        "spoke": f"which part {'spoke for the word that comes next' if reading.writes else 'made a last state'}?",
        "lens": (
            "what would the model say if it stopped after each layer?"
            if reading.writes
            else "which word is each state nearest to?"
        ),
        "patch": "which step carries what tells this text from another?",
        "weights": f"what would layer {setup.layer} head {setup.head} make of its words, by its matrices alone?",
    }
    return f"“{as_text(shortened(reading.text, _QUOTED))}”: {questions[setup.tab]}"


def why_against(setup, attention, head, query, key):
    """Return the positions of the keys that a score is held against; None for none."""
    seen = np.flatnonzero(np.isfinite(attention.masked_scores[head, query]))
    others = [int(at) for at in seen if at != key]
    if setup.against == "none" or not others:
        return None
    if setup.against == "mean":
        return tuple(map(int, seen))
    if setup.other_key - 1 in others:
        return (setup.other_key - 1,)
    return (max(others, key=lambda at: attention.scores[head, query, at]),)


def why_worth_a_look(reading, layer=None, head=None):
    """Return the layer and the head, counted from 0, and the cell that are most worth an account.

    Parameters
    ----------
    reading : Reading
    layer, head : int, optional
        Counted from 0: look in this head alone.

    Returns
    -------
    layer : int
    head : int
    cell : (int, int)
        That of the largest weight between two words, neither the first token nor a token and its neighbour: the
        first takes what a head has no other use for, and many heads look at the token before whatever it is. Nor is
        it one of the first layer, which no head was before.
    """
    count = len(reading.model.layers)
    layers = range(min(1, count - 1), count) if layer is None else [layer]
    weights = np.array([layer_attention(reading.passed, at).weights for at in layers])  # (layers, num_heads, n, n)
    heads = range(weights.shape[1]) if head is None else [head]
    at = np.arange(len(reading.tokens))
    words = np.array([not token.special and any(map(str.isalnum, token.text)) for token in reading.tokens])
    worth = words[:, None] & words & (at > 0)
    far = worth & (abs(at[:, None] - at) > 1)
    held = np.where(far if far.any() else worth, weights[:, heads], -1.0)
    one, other, *cell = (int(each) for each in np.unravel_index(held.argmax(), held.shape))
    return layers[one], heads[other], tuple(cell)


def why_look_somewhere(state, reading):
    """Look at a cell worth an account where neither a link nor the visitor has named one of this model and text."""
    about, before = (reading.name, reading.text), st.session_state.get("why.about")
    st.session_state["why.about"] = about
    named, usual = state.choices(), Setup()
    state.adjust(layer=named.layer or usual.layer, head=named.head or usual.head)  # older links leave these out
    if named.cell and (about == before or state.just_read):
        return
    stays = not state.just_read and before is not None and before[0] == reading.name  # of another model heads differ
    head_is_named = (stays or state.just_read) and bool(named.layer or named.head)
    if about == (usual.model, usual.text):  # whose own place is known
        head = {} if head_is_named else {"layer": usual.layer, "head": usual.head, "bars_of": usual.bars_of}
        state.adjust(cell=usual.cell, **head)
        return
    setup = state.choices()
    if head_is_named:
        most = len(reading.model.layers), len(layer_attention(reading.passed, 0).weights)
        named = [min(at, count) - 1 for at, count in zip((setup.layer, setup.head), most, strict=True)]
        state.adjust(cell=why_worth_a_look(reading, *named)[-1])
        return
    layer, head, cell = why_worth_a_look(reading)
    state.adjust(layer=layer + 1, head=head + 1, cell=cell)
    against = why_against(setup, layer_attention(reading.passed, layer), head, *cell)
    made = ledger.score_ledger(reading.model, reading.passed, layer, head, *cell, against)
    largest = [share for *_, share in made.largest(min(setup.pairs, made.table.size))]
    if not state.just_read or setup.bars_of == usual.bars_of:  # the longest bar shall not be of all pairs without one
        state.adjust(bars_of="kind" if abs(made.score - sum(largest)) > abs(largest[0]) else usual.bars_of)


def why_look_at_head(state, reading, layer, head, query=None):
    """Have another head in view: of its row of a query, by default the last, the strongest key; in a callback.

    Parameters
    ----------
    state : PageState
    reading : Reading
    layer, head : int
        Counted from 0.
    query : int, optional
    """
    query = len(reading.tokens) - 1 if query is None else query
    key = int(layer_attention(reading.passed, layer).weights[head, query].argmax())
    state.set(layer=layer + 1, head=head + 1, cell=(query, key))


def why_writer_offer(state, reading, shows):
    """Say what a tab shows of a model that writes, and offer one, where the model in view only reads.

    Parameters
    ----------
    state : PageState
    reading : Reading
    shows : str
        What the tab shows of a model that writes, as the end of a sentence.
    """
    if reading.writes:
        return
    told, offered = page_columns([4, 1])
    others = listed(f"“{TABS[tab]}”" for tab in ("spoke", "lens", "patch") if tab != state.get("tab"))
    told.markdown(f"Of a model that writes, this tab shows {shows}, as do {others}. This one only reads.")
    if smollm2.NAME in suggested_language_models() and visitor_settings().models != "default":
        goes_on = {"text": GOES_ON} if state.get("text") == DEFAULT_TEXT else {}
        offered.button(
            "Open SmolLM2", key=state.key("writer"), on_click=state.set, kwargs={"model": smollm2.NAME, **goes_on},
            help="A small model that writes. "
            + (f"It reads “{GOES_ON}”, which goes on." if goes_on else "The text stays."),
        )  # fmt: skip


def why_head_controls(state, reading):
    """Say how much of the text is read, and draw the choice of a layer and a head where the open tab shows of them."""
    st.caption(f"{len(reading.tokens)} tokens, of at most {MOST_TOKENS} on this page.")
    layers, heads = len(reading.model.layers), layer_attention(reading.passed, 0).weights.shape[0]
    if state.get("tab") in ("lens", "patch"):
        state.clamp("layer", 1, layers)
        state.clamp("head", 1, heads)
    else:
        model_head_control(state, [heads] * layers)


def why_code(state, make):
    """Draw the switch of a tab's code, and the code where it is on.

    Parameters
    ----------
    state : PageState
    make : callable
        Without arguments: the Codes.
    """
    st.toggle(
        "Code of this tab", key=state.key("lines"),
        help="The lines that compute what this tab shows for the present choices, and those that draw it.",
    )  # fmt: skip
    if state.get("lines"):
        page_code(state, make())


def why_opening(reading):
    """Return the lines of code that pass the text through the model, and name its tokens."""
    opening = numpy_model_code(reading.name, reading.text, MOST_TOKENS, reading.opened)
    return f"{opening}\ntoken_labels = charts.token_labels([token.text for token in tokens])"


def why_places(**places):
    """Return settings of code that are places: Python counts them from 0, and a comment says which they are here."""
    called = {"measured": "token", "number": "column"}
    return {
        name: Source(f"{place}  # counted from 0: {called.get(name, name)} {place + 1} on the page")
        for name, place in places.items()
    }


def why_words(ids):
    """Return the settings of code that are a word and its rival, tokens of the vocabulary."""
    return {name: Source(f"{id}  # of the vocabulary") for name, id in zip(("word", "rival"), ids, strict=True)}


def why_word_name(reading):
    """Return the lines of code that name a token of the vocabulary, as `word_name` does."""
    module = "language_model" if reading.writes else "bert"
    return f"\n\ndef word_name(id):\n    return {module}.token_label(opened, int(id))\n\n"


def after_control(state, reading, help):
    """Draw the choice of a token, and return its position counted from 0.

    By default it is the last of a model that writes, after which the next word comes, and else the query in view.
    """
    count = len(reading.labels)
    usual = count - 1 if reading.writes else cell_in_text(state, reading)[0]
    called = "the last" if reading.writes else "the query in view"
    state.clamp("after", 0, count)
    st.selectbox(
        "After" if reading.writes else "Token", range(count + 1), key=state.key("after"), help=help,
        format_func=lambda at: reading.labels[at - 1] if at else f"{called}, {reading.labels[usual]}",
    )  # fmt: skip
    return state.get("after") - 1 if state.get("after") else usual


def word_ids(reading, typed):
    """Return the first token of a word as a text goes on with it, and whether the word has more; None of no word."""
    if not typed.strip():
        return None, False
    ids = reading.opened.tokenizer.tokenizer.encode(f" {typed.strip()}", add_special_tokens=False).ids
    return ids[0], len(ids) > 1


def word_name(reading, id):
    """Return a token of the vocabulary as figures show it."""
    return (language_model if reading.writes else bert).token_label(reading.opened, id)


def two_words_control(state, reading, logits, other_logits=None):
    """Draw the choice of a word and of its rival, and return the ids of both.

    Parameters
    ----------
    state : PageState
    reading : Reading
        Of a model that writes.
    logits : ndarray, shape (vocabulary,)
        Whose likeliest word is followed where none is typed.
    other_logits : ndarray, shape (vocabulary,), optional
        Whose likeliest is its rival; by default the second of `logits`.
    """
    order = np.argsort(-logits)[:2]
    first = int(order[0])
    rivals = np.argsort(-(logits if other_logits is None else other_logits))[:2]
    typed, more = word_ids(reading, state.get("word"))
    word = first if typed is None else typed
    usual = int(next(id for id in rivals if id != word))
    rival, rival_more = word_ids(reading, state.get("rival"))
    names = [word_name(reading, id) for id in (first, usual)]
    with st.container(horizontal=True):
        st.text_input(
            "Word", key=state.key("word"), placeholder=f"{names[0]}, the likeliest", max_chars=60,
            help="The word whose score is followed. Left empty, it is the one that the model thinks likeliest.",
        )  # fmt: skip
        st.text_input(
            "Instead of", key=state.key("rival"), placeholder=f"{names[1]}, its rival", max_chars=60,
            help="Its rival: what is followed is how much higher the word scores than this one.",
        )  # fmt: skip
    rival = usual if rival is None else rival
    for id, goes_on in ((word, more), (rival, rival_more)):
        if goes_on:
            st.caption(f"Of a word of several tokens the first is followed: {as_text(word_name(reading, id))}.")
    return word, rival


def map_size(rows, columns, beside=90):
    """Return the pixels along the longer side of a map of so many layers, beside which so many pixels are taken."""
    return page_map_size(max(rows, columns), max(page_tallest(), _ROW * rows), beside)


def half_map_size(rows, columns):
    """Return the size of a map of layers and heads that has half of the page."""
    beside = page_width() - page_share(0.5, column=True) + 90
    return page_layers_map_size((rows, columns), map_size(rows, columns, beside), beside)


def cell_in_text(state, reading):
    """Return the query and the key in view: the chosen ones, or the last that there are."""
    last = len(reading.tokens) - 1
    row, column = (min(at, last) for at in state.get("cell"))
    return row, column
