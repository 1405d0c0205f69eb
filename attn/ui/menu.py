"""The menu: the pages in the order in which they build on one another, the way on to the next, and their addresses."""

import json
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from attn.ui.carried import HEAD, INPUTS, led_to, remember_look
from attn.ui.link import to_link
from attn.ui.state import chosen_look

_MISSED = "address.missed"  # where the session holds an address that is not there


class Entry(NamedTuple):
    """A page in the menu."""

    page: str  # its key
    script: str
    label: str
    icon: str
    shows: str  # what comes there, as the page before says it after "Next: Label, "
    takes: tuple = ()  # which choices of what goes along from page to page its link can hold, see `attn.ui.carried`
    kinds: tuple = ()  # of the models that it can show: "reads" or "writes", computed in numpy; empty for any


_TEXT = ("text",)
_HEAD_OF_ANY = (*INPUTS, *HEAD)
_READ_BY_CHANGE = tuple(name for name in _HEAD_OF_ANY if name not in ("picture", "sound", "cell"))
_TAKEN_APART = ("model", "text", "layer", "head", "cell")
HOME = Entry("home", "app.py", "Home", ":material/home:", "where all ways in are listed", HEAD)
GROUPS = {  # in the order in which the pages build on one another
    "The path": (
        Entry(
            "step_by_step", "pages/step_by_step.py", "Step by step", ":material/stairs:",
            "from the words of a sentence to what each takes from the others",
        ),
        Entry(
            "softmax", "pages/softmax.py", "Softmax", ":material/bar_chart:",
            "how scores become weights that sum to 1, and why they are divided first",
        ),
        Entry(
            "masks", "pages/masks.py", "Masks", ":material/visibility_off:",
            "how a word is kept from looking at what comes after it",
        ),
        Entry(
            "heads", "pages/heads.py", "Heads", ":material/grid_view:",
            "several ways to look at one sentence at the same time", _TEXT,
        ),
        Entry(
            "positions", "pages/positions.py", "Positions", ":material/format_list_numbered:",
            "how attention is told the order of the words", _TEXT,
        ),
        Entry(
            "bottleneck", "pages/bottleneck.py", "Bottleneck", ":material/filter_alt:",
            "the trouble that attention was invented against",
        ),
        Entry("cost", "pages/cost.py", "Cost", ":material/speed:", "what a text twice as long takes"),
    ),
    "Real models": (
        Entry(
            "pretrained", "pages/pretrained.py", "Pretrained", ":material/neurology:",
            "the same steps in a trained model, beside its own numbers", _HEAD_OF_ANY,
        ),
        Entry(
            "inside", "pages/inside.py", "Inside", ":material/search:",
            "what each head of a trained model looks at", _HEAD_OF_ANY,
        ),
        Entry(
            "next_word", "pages/next_word.py", "Next word", ":material/arrow_right_alt:",
            "a whole model on one screen, down to each number", ("model", "text", "layer", "head"), ("writes",),
        ),
        Entry(
            "change", "pages/change.py", "Change", ":material/tune:",
            "what a trained model says when a head is switched off", _READ_BY_CHANGE,
        ),
        Entry(
            "why", "pages/why.py", "Why", ":material/account_tree:",
            "the account that adds up, of one score and of one word", _TAKEN_APART, ("reads", "writes"),
        ),
    ),
    "Further": (
        Entry(
            "block", "pages/block.py", "Block", ":material/layers:",
            "what a transformer puts around attention", _TEXT,
        ),
        Entry(
            "scores", "pages/scores.py", "Scores", ":material/straighten:",
            "other ways to measure how well two vectors match",
        ),
        Entry(
            "memory", "pages/memory.py", "Memory", ":material/memory:",
            "attention that writes, points and sees",
        ),
        Entry(
            "room", "pages/room.py", "Room", ":material/groups:",
            "what a hall guesses before it sees where a head looks", _TEXT,
        ),
    ),
}  # fmt: skip
TALK = Entry(
    "talk", "pages/talk.py", "Ready for a talk?", ":material/co_present:", ""
)  # Home leads there, not the menu
MENU = (HOME, *(entry for entries in GROUPS.values() for entry in entries))
_ENTRIES = {entry.page: entry for entry in MENU}


_CSS = """
.attn-menu { display: grid; grid-auto-flow: column; grid-template: repeat(ROWS, auto) / 1fr 1fr; gap: 0 0.5rem; }
.attn-menu > :nth-child(2) { grid-area: 1 / 2; }
.attn-menu > :nth-child(n + SECOND) { grid-column: 2; }
.attn-menu p { margin: 0; align-self: center; white-space: nowrap; font-size: 0.875rem; }
.attn-menu p { color: light-dark(#55606E, #A3AFBC); }
.attn-menu p:first-child { font-size: 1rem; font-weight: 600; color: inherit; }
.attn-menu a { display: flex; align-items: center; gap: 0.4rem; padding: 0.15rem 0.4rem; border-radius: 8px; }
.attn-menu a { line-height: 1.45; color: inherit; text-decoration: none; white-space: nowrap; }
.attn-menu a:is(:hover, [aria-current]) { background: light-dark(rgb(0 0 0 / 0.06), rgb(255 255 255 / 0.09)); }
.attn-menu a[aria-current] { font-weight: 600; }
.attn-menu a:focus-visible { outline: 2px solid light-dark(#0072B2, #56B4E9); }
.attn-menu a > :first-child {
    font: 1.25rem/1 "Material Symbols Rounded"; font-feature-settings: "liga";
    width: 1.25rem; overflow: hidden; flex: none;
}
"""
_FIRST, *_OTHERS = map(len, GROUPS.values())
_ROWS = max(2 + _FIRST, 1 + sum(1 + each for each in _OTHERS))  # the first group, and beside it the others
_menu = st.components.v2.component(
    "attention_lab.menu",
    html='<nav class="attn-menu" aria-label="Pages"></nav>',
    css=_CSS.replace("ROWS", str(_ROWS)).replace("SECOND", str(_FIRST + 4)),
    js=Path(__file__).with_name("menu.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)
_TAKE_ALONG = """
export default function({ data }) {
    for (const [page, address] of Object.entries(JSON.parse(data.links))) {
        document.querySelector(`.attn-menu [data-page="${page}"]`)?.setAttribute("href", address);
    }
}
"""
_take_along = st.components.v2.component("attention_lab.menu_links", js=_TAKE_ALONG)


def menu_links(page):
    """Draw the menu, in columns by its style: one element, where a link of Streamlit each would make 21 an answer.

    Parameters
    ----------
    page : str
        The key of the page that is shown.
    """
    links = _links(page)

    def written(entries):
        return [(each.page, each.label, each.icon[10:-1], _address(each.page, links[each.page])) for each in entries]

    groups = [("Attention Lab", written([HOME])), *((group, written(entries)) for group, entries in GROUPS.items())]
    # as text: Streamlit would load pandas to ask whether a list is a table
    _menu(key="menu", data={"groups": json.dumps(groups), "here": page})


def _address(page, query):
    """Return the address of a page as it was last left, beside that of any other."""
    return ("./" if page == HOME.page else page) + (f"?{urlencode(query)}" if query else "")


def next_page_link(page):
    """Draw the way on to the page that follows in the menu, or from the last one back to Home."""
    entry = following_page(page)
    st.page_link(
        entry.script, label=f"{'Back to' if entry == HOME else 'Next:'} **{entry.label}**, {entry.shows}",
        icon=entry.icon, width="stretch", query_params=_links(page)[entry.page],
    )  # fmt: skip


def take_along(state):
    """Remember what a page shows for the links to other pages, and have the menu's say so; at the end of a page.

    The menu was drawn before the page knew all of it.

    Parameters
    ----------
    state : PageState
    """
    remember_look(state, _ENTRIES[state.page].takes if state.page in _ENTRIES else ())
    links = _links(state.page)
    _take_along(key="menu.links", data={"links": json.dumps({page: _address(page, links[page]) for page in links})})


def link_to(page, settings=None):
    """Return the link of a page that is set up anew, with what goes along from page to page.

    Parameters
    ----------
    page : str
        Its key in the menu.
    settings : dict of str to str, optional
        Choices as a link spells them.

    Returns
    -------
    dict of str to str
    """
    return _led_to(page, None) | (settings or {}) | to_link(chosen_look())[0]


def _links(here):
    """Return the link of each page: as it was last left, with what goes along to it from those that were open since."""
    left, look = st.session_state.get("links", {}), to_link(chosen_look())[0]
    return {page: (left.get(page, {}) if page == here else _led_to(page, left.get(page))) | look for page in _ENTRIES}


def _led_to(page, left):
    """Return the link of a page that was left with another, with what goes along to it."""
    return led_to(page, _ENTRIES[page].takes, left, _ENTRIES[page].kinds)


def following_page(page):
    """Return the entry of the page that follows one in the menu; after the last, and what is not in it, comes Home."""
    at = [*[entry.page for entry in MENU], TALK.page].index(page) + 1
    return MENU[at] if at < len(MENU) else HOME


def find_page(page):
    """Open the page that an address means which is spelled another way, such as /Masks or /step-by-step.

    Streamlit runs Home at every address that it does not know.

    Parameters
    ----------
    page : str
        The key of the page that is run.
    """
    context = get_script_run_ctx()
    addressed = context and not context.pages_manager.intended_page_script_hash
    asked = unquote(context.pages_manager.intended_page_name or "") if addressed else ""
    named = re.sub(r"[\W_]+", "_", asked.casefold()).strip("_")
    found = next((entry for entry in MENU if entry.page == named), None)
    if page != HOME.page:
        st.session_state.pop(_MISSED, None)
    elif found and found != HOME:
        st.switch_page(found.script, query_params=st.query_params.to_dict())
    elif named and not found:
        st.session_state[_MISSED] = asked


def address_missed():
    """Return the address that is not there, for which Home is shown until another page is opened, or None."""
    return st.session_state.get(_MISSED)
