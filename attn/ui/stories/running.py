"""The story that runs: which one and at which screen, and the links to its screens."""

import dataclasses
import functools
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from attn.ui.link import from_link, to_link
from attn.ui.menu import MENU
from attn.ui.state import LOOK, choose_look, chosen_look, lagging_looks
from attn.ui.stories.story import PACKED, VIEWS, Story, read_story, unpack_story

COME_ALONG = ("ten_minutes", "why_attention", "real_model")  # files beside this one, in the order of Home
OWN = "own"  # the story that a visitor puts together in this session
_REST = "story_rest"  # where the session holds whether the rest of a page is shown, too; `attn.ui.page` asks it
_LED = "story.led"  # where the session holds the number of the screen to which a step led
_PAGES = {entry.page: entry for entry in MENU}


class Running(NamedTuple):
    """A story and where one is in it."""

    name: str  # as a link says it
    story: Story
    number: int  # of the screen, counted from 1

    @property
    def screen(self):
        """The screen that is shown."""
        return self.story.screens[self.number - 1]

    @property
    def count(self):
        """How many screens there are."""
        return len(self.story.screens)

    @property
    def done(self):
        """What was done, as numbers of `Story.to_do`, counted from 1."""
        return tuple(at for at in chosen_look().done if 1 <= at <= len(self.story.to_do))

    @property
    def screens_done(self):
        """The numbers of the screens of which all was done, counted from 1."""
        return self.story.screens_done(self.done)

    def is_done(self, kind):
        """Return whether the ``"task"`` or the ``"guess"`` of this screen was done; None where there is none."""
        there = self.story.to_do
        return there.index((self.number, kind)) + 1 in self.done if (self.number, kind) in there else None

    @property
    def next_screen(self):
        """The number of the next screen, or None at the last."""
        return self.number + 1 if self.number < self.count else None

    @property
    def previous_screen(self):
        """The number of the screen before, or None at the first."""
        return self.number - 1 if self.number > 1 else None


class ScreenLink(NamedTuple):
    """Where a screen is."""

    script: str  # as Streamlit opens it
    query: dict  # name -> value: of the page, and which story and screen it is


@functools.cache
def story_that_comes_along(name):
    """Return one of the stories that come along.

    Parameters
    ----------
    name : str
        One of `COME_ALONG`.

    Returns
    -------
    Story
    """
    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    return read_story(text, list(_PAGES), LOOK)


@functools.lru_cache(maxsize=64)
def _unpacked(packed):
    """Return a story that a link holds, or the sentence that says why it is none: each is read once, not each run."""
    try:
        return unpack_story(packed, list(_PAGES), LOOK), ""
    except ValueError as error:
        return None, str(error)


def story_named(name):
    """Return the story that a link names.

    Parameters
    ----------
    name : str
        One of `COME_ALONG`, `OWN`, or a whole story as `attn.ui.stories.story.pack_story` spells it.

    Returns
    -------
    Story

    Raises
    ------
    ValueError
        If there is none; one sentence that says why.
    """
    if name in COME_ALONG:
        return story_that_comes_along(name)
    if name.startswith(PACKED):
        story, problem = _unpacked(name)
        if problem:
            raise ValueError(problem)
        return story
    if name == OWN and (own := own_story()) and own.screens:
        return own
    if name == OWN:
        raise ValueError("a story of one's own that is not in a link must be loaded from its file again")
    raise ValueError(f"the story must be one of {', '.join(COME_ALONG)}, got {name[:40]}")


def own_story():
    """Return the story that the visitor puts together, or None."""
    return st.session_state.get("story.own")


def story_now():
    """Return the story that runs.

    Returns
    -------
    Running or None
        None if no story runs, or the link names none that there is.
    """
    look = chosen_look()
    if not look.story:
        return None
    try:
        story = story_named(look.story)
    except ValueError:
        return None
    return Running(look.story, story, min(look.screen, len(story.screens)))


def story_link(name, number):
    """Return where a screen of a story is, with what is chosen for all pages.

    Parameters
    ----------
    name : str
        As in `story_named`.
    number : int
        Of the screen, counted from 1.

    Returns
    -------
    ScreenLink
        For ``st.page_link(script, query_params=query)`` or ``st.switch_page``.
    """
    screen = story_named(name).screens[number - 1]
    return ScreenLink(screen_script(screen), dict(screen.query) | begun_look(name, number))


def screen_script(screen):
    """Return the script of a screen's page."""
    return _PAGES[screen.page].script


def begun_look(name, number=1):
    """Return what a link says of all pages that leads into a story; what was done of another is forgotten."""
    look = chosen_look()
    done = look.done if name == look.story else ()
    link = to_link(dataclasses.replace(look, story=name, screen=number, done=done))[0]
    if tuple(link.items()) not in lagging_looks():
        return link
    return dict(reversed(link.items())) if len(link) > 1 else link | {"screen": str(number)}  # the same, told apart


def mark_done(now, kind):
    """Remember that the ``"task"`` or the ``"guess"`` of the screen that is shown was done."""
    number = now.story.to_do.index((now.number, kind)) + 1
    choose_look(done=tuple(sorted({*now.done, number})))


def walk_story(state, name, value, by):
    """Take the story along where a page goes a step on or back; in a callback.

    Where the story's screen is of that step, what its link says is chosen, and what else was chosen stays. Where it is
    on another page, or the page has no step more, the story's screen is opened in place of the step.

    Parameters
    ----------
    state : PageState
    name : str
        The choice that holds the step.
    value : str or None
        The step that the page goes to; None if it has none more.
    by : {1, -1}
        On or back.
    """
    number = story_beyond(state, by)
    screen = number and story_now().story.screens[number - 1]
    setup = screen and screen.page == state.page and from_link(state.cls, dict(screen.query))[0]
    if setup and getattr(setup, name) == value:
        state.set(**{each: getattr(setup, each) for each in dict(screen.query) if hasattr(setup, each)})
        choose_look(screen=number)
    elif screen and (not setup or value is None):
        st.session_state[_LED] = number
    if value is not None and _LED not in st.session_state:
        state.set(**{name: value})


def story_beyond(state, by):
    """Return the number of the story's screen after (1) or before (-1) that whose words hold of a page, or None."""
    now = story_now() if story_speaks(state) else None
    return now and (now.next_screen if by > 0 else now.previous_screen)


def follow_story():
    """Open the screen to which a step led in the callback before this run."""
    if number := st.session_state.pop(_LED, None):
        script, query = story_link(chosen_look().story, number)
        st.switch_page(script, query_params=query)


def leave_story():
    """Let no story run any more; in a callback."""
    choose_look(story="", screen=1, done=())


def is_at_screen(screen, state):
    """Return whether a page shows what a screen shows: nothing was changed on it.

    Parameters
    ----------
    screen : Screen
    state : PageState
    """
    return state.page == screen.page and from_link(state.cls, dict(screen.query))[0] == state.choices()


def story_stands_alone(state):
    """Return whether a page shows nothing but what its story's screen puts first, and so needs no other controls.

    Parameters
    ----------
    state : PageState
    """
    now = story_now()
    first = now is not None and state.page == now.screen.page and now.screen.first and shows_view(now.screen, state)
    return bool(first) and not st.session_state.get(_REST) and not chosen_look().present


def story_speaks(state):
    """Return whether a story runs, and a page is at its screen: the words of the story then say what is to be seen."""
    now = story_now()
    return now is not None and state.page == now.screen.page and shows_view(now.screen, state)


def shows_view(screen, state):
    """Return whether a page is at the step, and has the tab open, that a screen shows; all else may be changed.

    Parameters
    ----------
    screen : Screen
    state : PageState
        Of the screen's page.
    """
    setup, chosen = from_link(state.cls, dict(screen.query))[0], state.choices()
    return all(getattr(setup, name, None) == getattr(chosen, name, None) for name in VIEWS)
