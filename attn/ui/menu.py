"""The menu: the pages in the order in which they build on one another, the way on to the next, and their addresses."""

import json
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from attn.ui.state import link_of, links_of

_MISSED = "address.missed"  # where the session holds an address that is not there


class Entry(NamedTuple):
    """A page in the menu."""

    page: str  # its key
    script: str
    label: str
    icon: str
    shows: str  # what comes there, as the page before says it after "Next: Label, "


HOME = Entry("home", "app.py", "Home", ":material/home:", "where all ways in are listed")
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
            "several ways to look at one sentence at the same time",
        ),
        Entry(
            "positions", "pages/positions.py", "Positions", ":material/format_list_numbered:",
            "how attention is told the order of the words",
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
            "the same steps in a trained model, beside its own numbers",
        ),
        Entry(
            "inside", "pages/inside.py", "Inside", ":material/search:",
            "what each head of a trained model looks at",
        ),
        Entry(
            "next_word", "pages/next_word.py", "Next word", ":material/arrow_right_alt:",
            "a whole model on one screen, down to each number",
        ),
        Entry(
            "change", "pages/change.py", "Change", ":material/tune:",
            "what a trained model says when a head is switched off",
        ),
        Entry(
            "why", "pages/why.py", "Why", ":material/account_tree:",
            "the account that adds up, of one score and of one word",
        ),
    ),
    "Further": (
        Entry(
            "block", "pages/block.py", "Block", ":material/layers:",
            "what a transformer puts around attention",
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
            "what a hall guesses before it sees where a head looks",
        ),
    ),
}  # fmt: skip
TALK = Entry(
    "talk", "pages/talk.py", "Ready for a talk?", ":material/co_present:", ""
)  # Home leads there, not the menu
MENU = (HOME, *(entry for entries in GROUPS.values() for entry in entries))


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


def menu_links(page):
    """Draw the menu, in columns by its style: one element, where a link of Streamlit each would make 21 an answer.

    Parameters
    ----------
    page : str
        The key of the page that is shown.
    """
    links = links_of([entry.page for entry in MENU])

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
        icon=entry.icon, width="stretch", query_params=link_of(entry.page),
    )  # fmt: skip


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
