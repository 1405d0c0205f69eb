"""What goes along from page to page in one session: the sentence typed last, and the head that was looked at last.

Each page of the menu says in its row which of these its link can hold (`attn.ui.menu.Entry.takes`).
"""

from urllib.parse import quote

import streamlit as st

from attn.ui.link import LONGEST_LINK_VALUE, shortened
from attn.ui.state import as_text, chosen_look

# where the session holds what was typed last and on which page; the head that was looked at last, as links spell it;
# and by page what had been typed when it was run last, and whose sentence it took along
_OWN, _TYPED_ON, _LOOKED_AT, _KNOWN, _TAKEN = (
    f"carried.{name}" for name in ("own", "typed_on", "looked_at", "known", "taken")
)

INPUTS = (  # choices that say what a model reads, and which model
    "model", "random", "pair", "several", "shown", "source_language", "target_language", "speech_task", "adapter",
    "without_picture", "picture", "sound",
)  # fmt: skip
HEAD = ("text", "layer", "head", "cell", "level")  # in the default model, where a link cannot say another


def keep_own_sentence(state):
    """Remember what was typed, so that other pages have it; in a callback."""
    own = state.get("text")
    st.session_state[_OWN], st.session_state[_TYPED_ON] = own, state.page
    looked_at = {name: value for name, value in _looked_at().items() if name not in ("text", "cell")}
    st.session_state[_LOOKED_AT] = looked_at | _as_link(own)


def own_sentence():
    """Return what was typed last, on whichever page; empty if nothing was."""
    own = st.session_state.get(_OWN, "")
    return own if own.strip() else ""


def own_sentence_label(own):
    """Return how what was typed last is offered."""
    return f"Yours: “{as_text(shortened(own))}”"


def own_sentence_offer(state):
    """Offer what was typed last, in one line, on a page that shows another text; a story has texts of its own."""
    own = own_sentence()
    reads = hasattr(state.cls, "text") and getattr(state.choices(), "source", "random") not in ("worked", "journey")
    if not own or not reads or own == state.get("text") or chosen_look().story:
        return
    st.button(
        own_sentence_label(own), key=state.key("text.own"), on_click=lambda: state.set(text=own), type="tertiary",
        icon=":material/undo:", help="The sentence that you typed last, on this page or another.",
    )  # fmt: skip


def remember_look(state, takes):
    """Remember what a page shows, so that other pages are led to with it; at the end of a run.

    What a story shows was not chosen by the visitor.

    Parameters
    ----------
    state : PageState
    takes : tuple of str
        The choices that links of this page can hold of what is carried.
    """
    if not takes or chosen_look().story:
        return
    page, own, link = state.page, own_sentence(), st.session_state["links"][state.page]
    st.session_state.setdefault(_KNOWN, {})[page] = own
    if own and link.get("text") == own and st.session_state[_TYPED_ON] != page:
        st.session_state.setdefault(_TAKEN, {})[page] = own
    chosen = {name: link[name] for name in takes if name in link}
    if {*chosen} & {"layer", "head"}:  # pages differ in the head that they begin with
        chosen |= {name: state.spelled()[name] for name in ("layer", "head")}
    if "cell" in chosen:
        chosen["cell"] = "{},{}".format(*state.get("cell"))  # as all pages read it
    if "head" in takes and chosen:
        before = _looked_at() if _looked_at().get("text") == chosen.get("text") else {}
        kept = {name: value for name, value in before.items() if name not in takes}  # what this page cannot say
        st.session_state[_LOOKED_AT] = {name: value for name, value in (kept | chosen | state.led).items() if value}


def led_to(page, takes, left):
    """Return the link of a page with what goes along to it.

    Parameters
    ----------
    page : str
        Its key in the menu.
    takes : tuple of str
        The choices that its link can hold of what is carried.
    left : dict or None
        The link with which it was left; None if it was not open yet, or is set up anew.

    Returns
    -------
    dict of str to str
    """
    own = _as_link(own_sentence())
    if left is None:
        looked_at = _looked_at() if "head" in takes else {}
        if not {*looked_at} & {*INPUTS} <= {*takes}:
            looked_at = {}  # of another model, or of more than one text
        led = {name: looked_at[name] for name in takes if name in looked_at}
        if "text" in takes and "text" not in led and own:
            led = {name: value for name, value in led.items() if name != "cell"} | own
        return led
    of_others = left.get("text") in (None, st.session_state.get(_TAKEN, {}).get(page))
    is_new = own and st.session_state.get(_KNOWN, {}).get(page) != own["text"]
    if "text" not in takes or not of_others or not is_new or "room" in left:  # a room's question stays what it is
        return left
    return {name: value for name, value in left.items() if name != "cell"} | own


def _looked_at():
    """Return the head that was looked at last, as links spell it."""
    return st.session_state.get(_LOOKED_AT, {})


def _as_link(text):
    """Return the part of a link that holds a text; nothing of one that is empty or too long for a link."""
    return {"text": text} if text.strip() and len(quote(text)) <= LONGEST_LINK_VALUE else {}
