"""What works without a mouse on every page: figures, menu, tabs and pages by keys, and each figure's numbers."""

from html import escape
from pathlib import Path

import streamlit as st

from attn.ui.present import PRESENT_KEYS

KEYS = (  # in the order in which they are listed on every page and in the README
    ("Tab", "to the next control; a figure is one, and so is the menu"),
    (
        "Arrows",
        "in a figure from mark to mark, in the menu from page to page; outside Left and Right go a step back or on",
    ),
    ("Home, End", "to the first and last mark of a row"),
    (
        "Page Up, Page Down",
        "in a figure to the plot before and after, where it has several; while presenting they change the screen",
    ),
    ("Enter, Space", "in a figure choose, paint or move, as a click does"),
    ("Escape", "leave the mark"),
    ("Alt+Shift+F", "to the next figure"),
    ("Alt+Shift+S", "open the next tab"),
    ("Alt+Shift+N, Alt+Shift+P", "to the next page, and the page before"),
    ("Alt+Shift+M", "to the menu"),
    ("Alt+Shift+D", "present: title and figure alone fill the screen, and back"),
)
MOST_HEARD = 160  # characters of a figure's name; all that is known of it stands above its numbers
_IN_FIGURES = (
    "Arrow keys move from mark to mark, Page Up and Page Down from plot to plot. Enter does what a click does."
)


def _listed(keys):
    """Return keys and what each does as a list of terms."""
    return "".join(f"<dt>{escape(key)}</dt><dd>{escape(what)}</dd>" for key, what in keys)


_LIST = (
    f'<details class="attn-keys"><summary>Keyboard</summary><dl>{_listed(KEYS)}</dl>'
    f"<p>While presenting</p><dl>{_listed(PRESENT_KEYS)}</dl></details>"
)
_CSS = """
.attn-said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.attn-ring { position: absolute; pointer-events: none; z-index: 1; border-radius: 2px; box-sizing: border-box;
    outline: 3px solid #FFFFFF; box-shadow: 0 0 0 5px #000000; }
[data-testid="stVegaLiteChart"] { position: relative; }
[data-testid="stVegaLiteChart"]:focus { outline: none; }
[data-testid="stVegaLiteChart"]:focus-visible { outline: 2px solid light-dark(#0072B2, #56B4E9); outline-offset: 2px; }
.attn-numbers, .attn-keys { font-size: 0.875rem; }
:is(.attn-numbers, .attn-keys) > summary { cursor: pointer; width: fit-content; }
/* all rows of a sentence are seen at once; a shadow says where there are more, and ends where they do. Above there is
   none: it would lie over a heading, and who has scrolled down knows the way up */
.attn-numbers > div {
    overflow: auto; max-height: 36rem; --ground: light-dark(#FFFFFF, #0F1419); --more: light-dark(#7A869480, #8A95A180);
    background:
        linear-gradient(to top, var(--ground) 1.5rem, transparent) bottom / 100% 3rem local,
        linear-gradient(to right, var(--ground) 1.5rem, transparent) left / 3rem 100% local,
        linear-gradient(to left, var(--ground) 1.5rem, transparent) right / 3rem 100% local,
        linear-gradient(to top, var(--more), transparent) bottom / 100% 0.75rem,
        linear-gradient(to right, var(--more), transparent) left / 0.75rem 100%,
        linear-gradient(to left, var(--more), transparent) right / 0.75rem 100%;
    background-repeat: no-repeat;
}
.attn-numbers table { border-collapse: collapse; margin-bottom: 0.75rem; }
.attn-numbers caption { text-align: left; font-weight: 600; }
.attn-numbers :is(th, td) { padding: 0.1rem 0.5rem; text-align: right; }
.attn-numbers :is(th, td) { border-bottom: 1px solid light-dark(#D8DEE4, #2B3641); }
.attn-keys dt { font-weight: 600; margin-top: 0.3rem; }
.attn-keys dd { margin: 0; }
.attn-keys p { margin: 0.8rem 0 0; font-weight: 600; }
"""
_keyboard = st.components.v2.component(
    "attention_lab.keyboard",
    css=_CSS,
    js=Path(__file__).with_name("keyboard.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def page_keys():
    """Make keys work; call it once a page.

    Every figure becomes one stop of the tabulator key, over whose marks the arrow keys move, and gets a table of its
    numbers, which is made when it is opened. The menu becomes one stop as well.
    """
    words = {"help": _IN_FIGURES, "numbers": "Numbers as a table", "skip": "Skip to the figure"}
    _keyboard(key="keyboard", data=words | {"most": MOST_HEARD})


def page_keys_list():
    """Draw the list of all keys, folded: those of pages, and those while presenting."""
    st.html(_LIST)
