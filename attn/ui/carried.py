"""What goes along from page to page in one session: the sentence typed last, and the head that was looked at last.

Each page of the menu says in its row which of these its link can hold (`attn.ui.menu.Entry.takes`).
"""

from urllib.parse import quote

import streamlit as st

from attn import pretrained
from attn.ui.link import LONGEST_LINK_VALUE, shortened
from attn.ui.state import as_text, chosen_look

# where the session holds what was typed last and on which page; the head that was looked at last, as links spell it;
# and by page what had been typed when it was run last, and whose sentence it took along
_OWN, _TYPED_ON, _LOOKED_AT, _KNOWN, _TAKEN, _BEGUN = (
    f"carried.{name}" for name in ("own", "typed_on", "looked_at", "known", "taken", "begun")
)

INPUTS = (  # choices that say what a model reads, and which model
    "model", "random", "pair", "several", "shown", "source_language", "target_language", "speech_task", "adapter",
    "without_picture", "picture", "sound",
)  # fmt: skip
HEAD = ("text", "layer", "head", "cell", "level")  # in the default model, where a link cannot say another
_IN_MODEL = ("model", "layer", "head")  # which mean nothing apart, of another model than the default
_KIND = "kind"  # what `PageState.lead` says of the model in view: see `attn.ui.menu.Entry.kinds`


def keep_own_sentence(state):
    """Remember what was typed, so that other pages have it; in a callback."""
    own = state.get("text")
    st.session_state[_OWN], st.session_state[_TYPED_ON] = own, state.page
    looked_at = {name: value for name, value in _looked_at().items() if name not in ("text", "cell")}
    st.session_state[_LOOKED_AT] = looked_at | _as_link(own)


def keep_sentence_of_link(state):
    """Take the text of the link with which a visitor came as typed, unless it is the page's own or a story's."""
    came = st.session_state.setdefault(_BEGUN, state.page) == state.page and state.just_read and not own_sentence()
    asked = getattr(state.choices(), "room", "") or chosen_look().story  # with a text of theirs
    if came and not asked and _reads_own(state) and state.get("text") != state.cls().text:
        keep_own_sentence(state)


def own_sentence():
    """Return what was typed last, on whichever page, or came with the first link; empty if nothing was."""
    own = st.session_state.get(_OWN, "")
    return own if own.strip() else ""


def default_model_head():
    """Return what was looked at last in the default model: its layer and head, and its text if that was typed.

    Returns
    -------
    dict
        ``layer``, ``head`` and ``text``, those that are known; empty where another model was looked at.
    """
    looked_at = _looked_at()
    if {*looked_at} & {*INPUTS}:
        return {}
    text = {"text": looked_at["text"]} if "text" in looked_at else {}
    return {name: int(looked_at[name]) for name in ("layer", "head") if name in looked_at} | text


def own_sentence_label(own):
    """Return how what was typed last is offered."""
    return f"Yours: “{as_text(shortened(own))}”"


def own_sentence_offer(state):
    """Offer what was typed last, in one line, on a page that shows another text; a story has texts of its own."""
    own = own_sentence()
    if not own or not _reads_own(state) or own == state.get("text") or chosen_look().story:
        return
    st.button(
        own_sentence_label(own), key=state.key("text.own"), on_click=lambda: state.set(text=own), type="tertiary",
        icon=":material/undo:", help="The sentence that you typed last, or came with, on this page or another.",
    )  # fmt: skip


def _reads_own(state):
    """Return whether a page reads a text that is not a worked example."""
    return hasattr(state.cls, "text") and getattr(state.choices(), "source", "random") not in ("worked", "journey")


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
    chosen, spelled = {name: link[name] for name in takes if name in link}, state.spelled()
    chosen.pop("model", None)
    if chosen or "model" in link:
        if "model" in takes and spelled["model"] != pretrained.DEFAULT:  # in which no page begins with the same
            chosen |= _as_link(spelled["text"]) | {name: spelled[name] for name in _IN_MODEL}
        elif {*chosen} & {"layer", "head"}:  # pages differ in the head that they begin with
            chosen |= {name: spelled[name] for name in ("layer", "head")}
    if "cell" in chosen:
        chosen["cell"] = "{},{}".format(*state.get("cell"))  # as all pages read it
    if "head" in takes and chosen:
        before = _looked_at() if _looked_at().get("text") == chosen.get("text") else {}
        if "model" in before and "model" not in takes and not {*chosen} & {"layer", "head"}:
            return  # no head was chosen of the model that this page has instead
        if before.get("model") != chosen.get("model"):
            before = {}
        kept = {name: value for name, value in before.items() if name not in takes}  # what this page cannot say
        st.session_state[_LOOKED_AT] = {name: value for name, value in (kept | chosen | state.led).items() if value}


def led_to(page, takes, left, kinds=()):
    """Return the link of a page with what goes along to it.

    Parameters
    ----------
    page : str
        Its key in the menu.
    takes : tuple of str
        The choices that its link can hold of what is carried.
    left : dict or None
        The link with which it was left; None if it was not open yet, or is set up anew.
    kinds : tuple of str
        Of the models that it can show, see `attn.ui.menu.Entry.kinds`; empty for any.

    Returns
    -------
    dict of str to str
    """
    own = _as_link(own_sentence())
    if left is None:
        return _led_anew(takes, kinds, own)
    of_others = left.get("text") in (None, st.session_state.get(_TAKEN, {}).get(page))
    is_new = own and st.session_state.get(_KNOWN, {}).get(page) != own["text"]
    if "text" not in takes or not of_others or not is_new or "room" in left:  # a room's question stays what it is
        return left
    if not {*left} & {*takes}:  # it was open, and nothing of this was chosen there
        return left | _led_anew(takes, kinds, own)
    return {name: value for name, value in left.items() if name != "cell"} | own


def _led_anew(takes, kinds, own):
    """Return what goes along to a page where nothing was chosen; arguments as for `led_to`."""
    looked_at = _looked_at() if "head" in takes else {}
    foreign = {*looked_at} & {*INPUTS} - {*takes}
    kind = looked_at.get(_KIND, "" if "model" in looked_at else "reads")
    if foreign or (kinds and kind not in kinds):  # of another model, or of more than one text
        alone = foreign <= {"model"}
        looked_at = {name: looked_at[name] for name in ("text",) if alone and name in looked_at}
    led = {name: looked_at[name] for name in takes if name in looked_at}
    if "text" in takes and "text" not in led and own:
        led = {name: value for name, value in led.items() if name != "cell"} | own
    return led


def _looked_at():
    """Return the head that was looked at last, as links spell it."""
    return st.session_state.get(_LOOKED_AT, {})


def _as_link(text):
    """Return the part of a link that holds a text; nothing of one that is empty or too long for a link."""
    return {"text": text} if text.strip() and len(quote(text)) <= LONGEST_LINK_VALUE else {}
