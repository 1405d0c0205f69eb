"""Which sentence, and where its numbers come from: the choice that the from-scratch pages share."""

from dataclasses import dataclass

import streamlit as st

from attn.data import examples
from attn.ui.carried import keep_own_sentence, own_sentence
from attn.ui.link import link_choice, link_string, link_whole
from attn.ui.page import page_ask
from attn.ui.settings import visitor_settings

SOURCES = {"worked": "Worked example", "random": "A sentence"}
LONGEST = 128  # tokens; beyond that no cell of a square picture can be told from its neighbour

WORDS_HELP = "Every word and every sign is a token. Here the same word gets the same vector wherever it stands."
UNTRAINED = "**Random, untrained numbers.**"  # how a reading begins that must not be taken for what words mean
WORKED = "**From Raschka's article on self-attention: random, untrained numbers.**"  # the same, of the worked example
WRITTEN = {  # the worked examples as a person writes them
    "worked": "Life is short, eat dessert first.",
    "journey": "Your journey starts with one step.",
}
DEFAULT_TEXT = "The animal didn't cross the street because it was too tired."


@dataclass(frozen=True)
class SentenceChoice:
    """The sentence and its numbers."""

    source: str = link_choice("worked", SOURCES)
    text: str = link_string(DEFAULT_TEXT)
    seed: int = link_whole(1, 0, 9999)

    @property
    def about(self):
        """What files say otherwise than by the choices: a worked example has words of its own."""
        return {"text": WRITTEN.get(self.source, self.text)}


def whose_untrained_numbers(setup):
    """Return how a reading begins on a page whose numbers are not trained, in bold."""
    return WORKED if setup.source == "worked" else UNTRAINED


def sentence_source_control(state, sources=SOURCES, on_change=None):
    """Draw the choice of where the numbers come from; a sentence begins as what was typed last, if anything."""

    def changed():
        if state.get("source") == "random" and (own := own_sentence()):
            state.set(text=own)
            st.session_state[state.key("source")] = "random"  # the browser is told what this option is called now
        if on_change is not None:
            on_change()

    own = own_sentence()
    yours = {"random": "Your sentence"} if own and own == state.get("text") else {}
    st.selectbox(
        "Numbers from",
        sources,
        format_func=(sources | yours).get,
        key=state.key("source"),
        on_change=changed,
        help="The worked example has the numbers of Sebastian Raschka's article on self-attention, so that you can "
        "check them by hand. A sentence gets random vectors and matrices: nothing is trained.",
    )


def sentence_control(state, name="text", label="Sentence", help=WORDS_HELP, hints=False, sentences=examples.SENTENCES):
    """Draw the sentence and the examples that can fill it, with `hints` at what a trained model makes of them."""
    sentences = {sentence.text: sentence for sentence in sentences}

    def typed():
        state.set(**{name: without_last_breaks(state.get(name))})
        if name == "text":
            keep_own_sentence(state)

    st.text_area(
        label,
        key=state.key(name),
        height=96,
        max_chars=visitor_settings().text_length,
        on_change=typed,
        placeholder="Type a sentence",
        help=help,
    )
    picked = f"{state.key(name)}.example"

    def fill():
        if st.session_state[picked]:
            state.set(**{name: st.session_state[picked]})
            st.session_state[picked] = None

    st.selectbox(
        "Try an example",
        sentences,
        index=None,
        format_func=lambda key: sentences[key].title,
        key=picked,
        on_change=fill,
        placeholder="Try an example",
        label_visibility="collapsed",
    )
    if hints and (found := sentences.get(state.get(name))):
        st.caption(found.look_for)


def without_last_breaks(text):
    """Return what was typed without the line breaks at its end, which a box takes when Enter is pressed to be done.

    Examples
    --------
    >>> without_last_breaks("One line.\\nAnother.\\n\\n")
    'One line.\\nAnother.'
    """
    return text.rstrip("\r\n")


def sentence_seed_control(state):
    """Draw the seed."""
    st.number_input(
        "Seed",
        0,
        9999,
        key=state.key("seed"),
        help="Another seed draws other random vectors and matrices; the same seed always draws the same.",
    )


def sentence_words(string):
    """Split a sentence into the tokens that a page draws."""
    return examples.split_words(string)[:LONGEST]


def need_sentence_words(state, *names):
    """Ask for a sentence, and stop the page there, where one of the named choices holds no word."""
    if not all(sentence_words(state.get(name)) for name in names):
        page_ask(state, "Type at least one word among the controls, or pick an example there.")


def say_if_sentence_cut(string):
    """Say how many tokens of a sentence are left out, if any."""
    count = len(examples.split_words(string))
    if count > LONGEST:
        st.warning(f"This page draws at most {LONGEST} tokens: the first {LONGEST} of {count:,} are used.")


def sentence_in_a_trained_model(setup):
    """Draw a link to a trained model that reads the same sentence, where what it looks at means something.

    Parameters
    ----------
    setup
        Of a page with a sentence.
    """
    text = WRITTEN.get(getattr(setup, "source", None), setup.text)
    beyond = "99999,0"  # where Home looks at the word that is worth it
    st.page_link(
        "app.py", label="What a trained model makes of this sentence", icon=":material/arrow_forward:",
        width="content", query_params={"text": text, "cell": beyond},
    )  # fmt: skip
