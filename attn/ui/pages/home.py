"""Home: one head of a real model on a sentence, computed now, and the ways in."""

from dataclasses import dataclass
from typing import NamedTuple

import streamlit as st

from attn import charts, pretrained
from attn.data import examples
from attn.ui.carried import keep_own_sentence, own_sentence, own_sentence_label
from attn.ui.controls.sentence import DEFAULT_TEXT
from attn.ui.link import link_choice, link_place, link_string, link_whole
from attn.ui.menu import GROUPS, link_to
from attn.ui.minilm_in_numpy import minilm_head_code
from attn.ui.models import model_layer_weights
from attn.ui.settings import visitor_settings
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.state import as_text
from attn.ui.stories.running import story_now
from attn.ui.word_level import LEVELS, is_word, strongest_looks, word_level_of
from attn.words import share

MOST = 80  # tokens in the picture
_MOST_LOOKS = 3
_DIGITS = 2  # decimals of a share below its word
LAYER, HEAD = 4, 2  # the head of the default model in which "it" finds its animal

PURPOSE = (
    "Attention is how a language model decides which other words matter to each word. Attention Lab shows every "
    "number of it, for students who have read an article on attention and for all who check real models."
)


class Way(NamedTuple):
    """A way in: a page that a link sets up."""

    page: str  # its key in the menu
    title: str
    shown: str
    settings: dict


WAYS = (  # in the order of the menu, at least one for each page
    Way(
        "step_by_step",
        "Walk from words to context",
        "One head, every matrix, every number. Choose a cell to see the products that add up to it.",
        {},
    ),
    Way(
        "softmax",
        "Why divide by a square root?",
        "Scores grow with the width of the keys. Undivided, the softmax then lets one key take nearly everything.",
        {"tab": "scaling"},
    ),
    Way(
        "masks",
        "Mask it, rightly and wrongly",
        "Two routes that agree up to rounding, seven look-alikes, and how much leaks through each.",
        {"wrong": "zeroed_scores"},
    ),
    Way(
        "heads",
        "Let heads share their keys",
        "Eight query heads over two key/value heads: a quarter of the cache, eight ways to look.",
        {"num_heads": "8", "num_kv_heads": "2", "d_model": "32"},
    ),
    Way(
        "heads",
        "Read another sentence",
        "Cross-attention: the tokens of one sentence look into a second one. The map is no longer square.",
        {"mode": "cross"},
    ),
    Way(
        "positions",
        "Shuffle the words",
        "Without positions nothing but the order of the rows changes. Nine ways to tell attention the order.",
        {"positions": "none"},
    ),
    Way(
        "bottleneck",
        "See why attention came about",
        "Trained models squeeze a sentence through one vector, or look back at it. Watch the first one forget.",
        {},
    ),
    Way(
        "cost",
        "Double the text",
        "Twice the text, four times the scores. See the square of all pairs of words grow.",
        {},
    ),
    Way(
        "pretrained",
        "Check a real model",
        "Its own attention beside the one computed here from the same weights, and the difference as a number.",
        {},
    ),
    Way(
        "inside",
        "Find out what a head does",
        "Every head of a real model in one map, what kind of head each looks like, and any of them close up.",
        {},
    ),
    Way(
        "next_word",
        "Walk to the next word",
        "A whole language model on one screen. Open any part of it, or switch it off and see what becomes of “Paris”.",
        {},
    ),
    Way(
        "change",
        "Switch heads off",
        "The model runs with our attention inside. Take a head away, and see what it then makes of two sentences.",
        {},
    ),
    Way(
        "why",
        "Ask why it looked there",
        "Choose a cell: which earlier heads, networks and embeddings made its score, in an account that adds up.",
        {},
    ),
    Way(
        "block",
        "See what stands around attention",
        "Residuals, layer norm and feed-forward: the block that transformers are stacked from, step by step.",
        {},
    ),
    Way(
        "scores",
        "Compare ways to match",
        "A product, an angle or a small network: each judges in its own way how well a key fits the same query.",
        {},
    ),
    Way(
        "memory",
        "Let attention write, point and see",
        "A memory that is read and written, a trained network that sorts by pointing, and pixels that look at pixels.",
        {},
    ),
    Way(
        "room",
        "Let the room guess",
        "Everybody says on a phone where a head looks. Then show what the model does beside what the room thought.",
        {},
    ),
)


class Sample(NamedTuple):
    """A sentence to try, with a head that shows in it what it was chosen for."""

    key: str  # of the sentence
    layer: int
    head: int
    looker: int  # the token that looks, counted from 0
    note: str = ""  # what its head does not show


SAMPLES = (
    Sample("tired", LAYER, HEAD, 10),
    Sample(
        "wide", 1, 4, 10, "Of all 72 heads this one alone has “it” look most at “street”, and with “tired” it does so, "
        f"too. Among the words head {HEAD} of layer {LAYER} still looks most at “animal”. ",
    ),
    Sample("repeated", 3, 10, 9),
    Sample("negation", 3, 2, 4),
    Sample("garden_path", 6, 12, 3),
)  # fmt: skip
_SENTENCES = {sentence.key: sentence for sentence in examples.SENTENCES}


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Home."""

    text: str = link_string(DEFAULT_TEXT)
    layer: int = link_whole(LAYER, 1, 6)
    head: int = link_whole(HEAD, 1, 12)
    cell: tuple = link_place((10, 0))
    level: str = link_choice("pieces", LEVELS)

    @property
    def about(self):
        """What files say beside the choices."""
        return {"model": pretrained.DEFAULT}


def home_sample_note(setup):
    """Say what the head of a sentence to try does not show, where that sentence and head are in view."""
    shown = setup.text, setup.layer, setup.head
    return next((one.note for one in SAMPLES if (_SENTENCES[one.key].text, one.layer, one.head) == shown), "")


def home_sentence_control(state):
    """Draw the sentence, and a few to try, each with the layer, the head and the word that show something in it."""
    samples = {_SENTENCES[sample.key].text: sample for sample in SAMPLES}
    tried = state.key("tried")

    def fill():
        if text := st.session_state[tried]:
            state.set(text=text)
            if sample := samples.get(text):
                state.set(layer=sample.layer, head=sample.head, cell=(sample.looker, 0))
            else:
                st.session_state[state.key("typed")] = True

    def typed():
        keep_own_sentence(state)
        st.session_state[state.key("typed")] = True

    def label(text):
        return _SENTENCES[samples[text].key].title if text in samples else own_sentence_label(text)

    st.text_input(
        "A sentence",
        key=state.key("text"),
        max_chars=visitor_settings().text_length,
        on_change=typed,
        help="A real language model reads it once you are done: press Enter, or touch the page beside it.",
    )
    own = own_sentence()
    offered = [*samples, *([own] if own and own not in samples else [])]
    st.session_state[tried] = state.get("text") if state.get("text") in offered else None
    if not story_now():
        st.pills("Try", offered, format_func=label, key=tried, on_change=fill, label_visibility="collapsed")


def home_look_at_a_word(state, tokens):
    """Look at the word worth looking at, of a sentence just typed or where a link names a place beyond the sentence.

    Parameters
    ----------
    state : PageState
    tokens : sequence of Token
        Of the sentence.
    """
    beyond = state.get("cell")[0] >= len(tokens)
    if not st.session_state.pop(state.key("typed"), False) and not beyond:
        return
    level = word_level_of(state.get("level"), tokens, tokens)
    weights = model_layer_weights(state.get("text"), state.get("layer") - 1, state.get("head") - 1)
    if looks := strongest_looks(level, level.weights(weights)):
        state.set(cell=(level.places[0][looks[0].row], 0))


def home_strongest_looks(state, level, weights):
    """Draw the strongest looks of the head at another word: each chooses the word that looks."""
    looks = strongest_looks(level, weights)[:_MOST_LOOKS]
    if not looks:
        return
    names, places = level.labels[0], level.places[0]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="home_looks"):
        st.caption("This head's strongest looks at another word:", width="content")
        for at, look in enumerate(looks):
            st.button(
                f"{as_text(names[look.row])} → {as_text(names[look.column])} {share(look.weight)}",
                key=state.key(f"look.{at}"), type="tertiary", on_click=state.set,
                kwargs={"cell": (places[look.row], 0)},
            )  # fmt: skip


def home_resting(weights, rows, query):
    """Say where the head rests for most words, if it does, and whether the one in view rests there, too.

    Parameters
    ----------
    weights : ndarray, shape (n, n)
        Of one head, between pieces or words.
    rows : tuple of Token or Word
    query : int
        The one in view.
    """
    best = weights.argmax(axis=1)
    words = [at for at, row in enumerate(rows) if is_word(row)]
    resting = {at: sum(best[word] == at for word in words) for at, row in enumerate(rows) if row.special}
    place = max(resting, key=resting.get, default=None)
    if place is None or 2 * resting[place] <= len(words) or not is_word(rows[query]):
        return ""
    does = "it does, too" if best[query] == place else "it does not"
    return f"For most words this head rests on {as_text(rows[place].text)}; for “{as_text(rows[query].text)}” {does}. "


def home_reading(tokens, names, weights, query):
    """Say where one token or word looks most, and where among the others of the text if that is elsewhere.

    Parameters
    ----------
    tokens : tuple of Token or Word
    names : list of str
        Their labels.
    weights : ndarray, shape (n,)
    query : int
        The one that looks.
    """

    best, other = _most(tokens, weights, query)
    sentence = f"**{as_text(names[query])}** looks most at {_told(best, names, weights)}"
    if other is None:
        return f"{sentence}{_hardly_more(best, range(len(names)), names, weights)}."
    others = _told(other, names, weights) + _hardly_more(other, _words(tokens, query), names, weights)
    if best == query:
        return f"{sentence}, itself. Among the other words it looks most at {others}."
    return f"{sentence}, which is no word. Among the words it looks most at {others}."


def _told(place, names, weights):
    """Return a place with its weight, with a third digit where two would not tell it from that of another place."""
    decimals = _DIGITS + any(
        other != place and f"{weight:.{_DIGITS}f}" == f"{weights[place]:.{_DIGITS}f}"
        for other, weight in enumerate(weights)
    )
    return f"**{as_text(names[place])}** (**{share(weights[place], decimals)}**)"


def _hardly_more(best, places, names, weights):
    """Say which of some places is next to the best, if two digits do not tell the two apart."""
    near = max((place for place in places if place != best), key=lambda place: weights[place], default=None)
    if near is None or f"{weights[near]:.{_DIGITS}f}" != f"{weights[best]:.{_DIGITS}f}":
        return ""
    how = "hardly more than" if weights[best] > weights[near] else "no more than"
    return f", {how} at {_told(near, names, weights)}"


def _most(tokens, weights, query):
    """Return at which place one token or word looks most, and at which other word if that is none: None otherwise."""
    best, words = int(weights.argmax()), _words(tokens, query)
    elsewhere = best == query or tokens[best].special
    return best, max(words, key=lambda place: weights[place]) if elsewhere and words else None


def _words(tokens, query):
    """Return the places of all words but the one that looks."""
    others = (place for place, token in enumerate(tokens) if not token.special and place != query)
    return [place for place in others if any(map(str.isalnum, tokens[place].text))]


def home_line(setup, tokens, names, weights, query):
    """Say in a line which head it is, and where one token or word looks most, of the words and of all.

    Parameters
    ----------
    setup : Setup
    tokens, names, weights, query
        As for `home_reading`.
    """

    best, other = _most(tokens, weights, query)
    first = _told(best, names, weights)
    most = first if other is None else f"{_told(other, names, weights)} of the words, and at {first} of all"
    head = f"Layer {setup.layer}, head {setup.head} of all-MiniLM-L6-v2"
    return f"{head} · **{as_text(names[query])}** looks most at {most}"


def home_ways_in():
    """Draw the ways in by the groups of the menu, each a link that sets up a page; those after the first are folded."""
    for at, (group, entries) in enumerate(GROUPS.items()):
        if not at:
            st.caption(group)
        place = st.expander(group) if at else st.container()
        with place, st.container(key=f"ways {group}"):  # in rows by its style, so that the keyboard goes along them
            for entry, way in ((entry, way) for entry in entries for way in WAYS if way.page == entry.page):
                with st.container(border=True, height="stretch"):
                    st.page_link(
                        entry.script,
                        label=f"**{way.title}**",
                        icon=entry.icon,
                        query_params=link_to(entry.page, way.settings),
                    )
                    st.caption(way.shown)


def home_picture(labels, weights, query, most, theme, room, size):
    """Draw where one token looks."""
    strip = charts.token_strip(
        labels, theme, weights=weights, width=room, size=size, pick=charts.Pick("token", query), most=most,
        numbered=True,
    )  # fmt: skip
    return charts.beside(strip)


def home_code(setup, query, tokens, room, size):
    """Return the lines that read the sentence, and those that draw where one token looks."""
    place = {"layer": setup.layer, "head": setup.head, "query": query}
    words = [[token.word for token in tokens]] * 2 if setup.level == "words" else None
    if setup.level == "words":
        lines = (
            "from attn.analysis.word_level import to_words\n"
            "from attn.pretrained import bert\n"
            "encoded = bert.encode(bert.load(), text)\n"
            "numbers = [token.word for token in encoded.tokens]\n"
            "weights = to_words(encoded.blocks[layer - 1].attention.weights[head - 1], numbers)[query]\n"
        )
        labels = "from attn.pretrained import words_of\nlabels = [word.text for word in words_of(encoded.tokens)]\n"
    else:
        lines = (
            "from attn.pretrained import bert\n"
            "encoded = bert.encode(bert.load(), text)\n"
            "weights = encoded.blocks[layer - 1].attention.weights[head - 1, query]\n"
        )
        labels = "labels = [token.text for token in encoded.tokens]\n"
    return page_codes(
        lambda: minilm_head_code(setup.text, setup.layer - 1, setup.head - 1, words=words, row=query),
        {"text": setup.text} | place,
        (lines,),
        ("print(weights.round(4))",),
        {"most": MOST, "theme": LIGHT, "room": round(room), "size": size},
        (labels, ("picture", home_picture), 'charts.save(picture, "home.svg")'),
    )
