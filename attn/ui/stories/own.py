"""The window in which somebody puts a story of their own together: from screens, from a file, or from another story."""

import dataclasses
import math
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from attn.pretrained.loading import catalogue, smollm2
from attn.ui.link import LONGEST_LINK_VALUE
from attn.ui.menu import MENU, TALK
from attn.ui.settings import MEGABYTE, visitor_settings
from attn.ui.state import LOOK, as_text
from attn.ui.stories.running import (
    COME_ALONG,
    OWN,
    begun_look,
    own_story,
    screen_script,
    story_now,
    story_that_comes_along,
)
from attn.ui.stories.story import (
    MOST_BYTES,
    MOST_LETTERS,
    MOST_SCREENS,
    PACKED,
    Screen,
    Story,
    pack_story,
    read_story,
    story_file_name,
    write_story,
)
from attn.words import capital

READS_TEXT = (
    "home", "step_by_step", "masks", "heads", "positions", "pretrained", "inside", "next_word", "change", "why",
    "block", "room",
)  # fmt: skip
_PASSING = ("room",)  # settings that are gone tomorrow: a hall opens a room of its own
HAS_MODEL = {  # page -> the model that it opens where its link names none
    "pretrained": catalogue.DEFAULT,
    "inside": catalogue.DEFAULT,
    "next_word": smollm2.NAME,
    "change": catalogue.DEFAULT,
    "why": catalogue.DEFAULT,
}
_LABELS = {entry.page: entry.label for entry in MENU}
_EMPTY = Story("My story", "", ())
_CHOSEN = "story.own.screen"  # which screen is edited


def own_story_control(state):
    """Draw the button that opens the window; call it once a page.

    Parameters
    ----------
    state : PageState
        Of the page whose screen can be added, as its link says it.
    """
    if st.button(
        "My story", key="story.own.open", icon=":material/playlist_add:", type="tertiary",
        help="Put screens of these pages into an order of your own, with a title and a sentence each, and share them.",
    ):  # fmt: skip
        _window(state.page)


@st.dialog("My story", width="medium")
def _window(page):
    """Draw the window."""
    _take_from_others()
    if own_story() is None and (now := story_now()) and now.name.startswith(PACKED):
        _keep(now.story)  # after the page was opened anew by the link of a story that runs
    own = own_story() or _EMPTY
    st.session_state["story.own.title"] = own.title
    st.text_input(
        "Title of the story", key="story.own.title", max_chars=MOST_LETTERS["title"],
        on_change=_retitle, help="It stands above every screen.",
    )  # fmt: skip
    query = st.session_state.get("links", {}).get(page, {})
    query = {name: value for name, value in query.items() if name not in _PASSING}
    st.button(
        "Add this screen to my story", on_click=_add, args=(page, query), icon=":material/add:", type="primary",
        key="story.own.add", disabled=len(own.screens) >= MOST_SCREENS,
        help="The page as it is now: its text, its settings, its open tab.",
    )  # fmt: skip
    _talk_link(own)
    if not own.screens:
        st.caption("No screen yet. Set a page up as you want to show it, and add it here.")
        return
    _edit_screens(own)
    _same_everywhere()
    _hand_out(own)


def _talk_link(own):
    """Draw the way to the page that says whether a talk can be given: of one's own story, or of the one that runs."""
    now = story_now()
    told = (pack_story(own) or OWN) if own.screens else now and now.name
    st.page_link(
        TALK.script, label=TALK.label, icon=TALK.icon, query_params=begun_look(told) if told else {}, width="content",
        help="Whether this machine can give a talk: the models of each screen, and the seconds until it comes.",
    )  # fmt: skip


def _take_from_others():
    """Draw what a story can begin with: one that comes along, or a file."""
    with st.expander("Begin with another story, or with a file"):
        st.selectbox(
            "A story that comes along", COME_ALONG, index=None, key="story.own.from", on_change=_copy,
            format_func=lambda name: story_that_comes_along(name).title,
            help="Its screens and tasks take the place of yours; change them as you like.",
        )  # fmt: skip
        settings = visitor_settings()
        if not settings.uploads:
            st.caption("This server takes no files of yours.")
            return
        most = min(settings.upload_size, MOST_BYTES)
        file = st.file_uploader(
            "A story from a file", ("yaml", "yml"), key="story.own.file", on_change=_load,
            max_upload_size=math.ceil(most / MEGABYTE), help="As “Save as a file” writes it.",
        )  # fmt: skip
        if file is not None and (problem := st.session_state.get("story.own.problem")):
            st.error(as_text(capital(problem)) + ".")


def _edit_screens(own):
    """Draw the list of screens, and the fields of the one that is edited."""
    st.session_state[_CHOSEN] = min(st.session_state.get(_CHOSEN) or 0, len(own.screens) - 1)
    at = st.selectbox(
        "Screen", range(len(own.screens)), key=_CHOSEN, help="Choose the one that you want to change.",
        format_func=lambda at: f"{at + 1}. {_LABELS[own.screens[at].page]}: {own.screens[at].title}",
    )  # fmt: skip
    screen = own.screens[at]
    for name, label, words in (
        ("title", "Its title", "A question or a claim, in a few words."),
        ("sentence", "Its sentence", "What is to be seen there."),
    ):
        key = f"story.own.{name}.{at}"
        st.session_state[key] = getattr(screen, name)
        st.text_input(label, key=key, max_chars=MOST_LETTERS[name], on_change=_reword, args=(at, name, key), help=words)
    if screen.task or screen.guess:
        st.caption("This screen also has something to do or to guess. Change that in the file.")
    with st.container(horizontal=True):
        for label, icon, to, off in (
            ("Earlier", ":material/arrow_upward:", at - 1, at == 0),
            ("Later", ":material/arrow_downward:", at + 1, at == len(own.screens) - 1),
        ):
            st.button(label, on_click=_move, args=(at, to), icon=icon, disabled=off, key=f"story.own.{label}")
        st.button("Remove", on_click=_remove, args=(at,), icon=":material/delete:", key="story.own.remove")


def _same_everywhere():
    """Draw the fields that set one text and one model on every screen, for a class that all reads the same."""
    with st.expander("The same text or model on every screen"):
        text = st.text_input(
            "Text", key="story.own.text", max_chars=1000, help="Every screen that reads a text then reads this one."
        )
        model = st.text_input(
            "Model", key="story.own.model", max_chars=200, help="By its name, as the pages of real models list it."
        )
        st.button(
            "Set", on_click=_set_everywhere, args=(text.strip(), model.strip()), key="story.own.set",
            disabled=not (text.strip() or model.strip()),
        )  # fmt: skip
        st.caption("Sentences and tasks stay as they are, so read them again: a number may no longer be right.")


def _hand_out(own):
    """Draw the ways out: begin it, its link, its file."""
    packed = pack_story(own)
    screen = own.screens[0]
    query = dict(screen.query) | begun_look(packed or OWN)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            screen_script(screen), label="Begin it", icon=":material/play_circle:", query_params=query, width="content"
        )
        st.download_button(
            "Save as a file", write_story(own), story_file_name(own), "application/yaml", icon=":material/download:",
            on_click="ignore", key="story.own.save", help="A text that people can read, and load here again.",
        )  # fmt: skip
    st.caption("Your story is in this window of the browser alone: save the file before you reload the page.")
    if packed:
        st.caption("This link holds the whole story:")
        st.code(_address(screen.page, query), language=None, wrap_lines=True)
    else:
        st.caption(
            f"Too long for a link, which holds {LONGEST_LINK_VALUE:,} characters at most. Save it as a file, and hand "
            "that out."
        )


def _address(page, query):
    """Return the whole address of a page, from where this one was opened."""
    here = urlsplit(st.context.url or "")
    folder = here.path.rstrip("/")
    folder = folder.rpartition("/")[0] if folder.rpartition("/")[2] in _LABELS else folder
    path = f"{folder}/{'' if page == MENU[0].page else page}"
    return urlunsplit((here.scheme, here.netloc, path, urlencode(query), ""))


def _keep(story):
    """Keep a story as one's own."""
    st.session_state["story.own"] = story


def _change(**changes):
    """Change one's own story."""
    _keep(dataclasses.replace(own_story() or _EMPTY, **changes))


def _retitle():
    """Take the title that was typed."""
    _change(title=" ".join(st.session_state["story.own.title"].split()) or _EMPTY.title)


def _add(page, query):
    """Add a screen at the end, and edit it."""
    screens = (own_story() or _EMPTY).screens
    _change(screens=(*screens, Screen(page, tuple(query.items()), _LABELS[page])))
    st.session_state[_CHOSEN] = len(screens)


def _reword(at, name, key):
    """Take a title or a sentence that was typed."""
    words = " ".join(st.session_state[key].split())
    screens = list(own_story().screens)
    screens[at] = dataclasses.replace(screens[at], **{name: words or (_LABELS[screens[at].page] * (name == "title"))})
    _change(screens=tuple(screens))


def _move(at, to):
    """Let a screen change places with another."""
    screens = list(own_story().screens)
    screens[at], screens[to] = screens[to], screens[at]
    _change(screens=tuple(screens))
    st.session_state[_CHOSEN] = to


def _remove(at):
    """Take a screen out."""
    screens = own_story().screens
    _change(screens=screens[:at] + screens[at + 1 :])


def _set_everywhere(text, model):
    """Set a text and a model on every screen that has such."""
    changed = []
    for screen in own_story().screens:
        query = dict(screen.query)
        query |= {"text": text} if text and screen.page in READS_TEXT else {}
        query |= {"model": model} if model and screen.page in HAS_MODEL else {}
        changed.append(dataclasses.replace(screen, query=tuple(query.items())))
    _change(screens=tuple(changed))


def _copy():
    """Begin with a story that comes along."""
    if name := st.session_state["story.own.from"]:
        _keep(story_that_comes_along(name))


def _load():
    """Begin with a file, or say what is wrong with it."""
    file = st.session_state["story.own.file"]
    if file is None:
        return
    try:
        _keep(read_story(file.getvalue(), list(_LABELS), LOOK))
        st.session_state["story.own.problem"] = None
    except ValueError as error:
        st.session_state["story.own.problem"] = str(error)
