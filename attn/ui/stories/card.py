"""The card of a running story on every page: where one is, what is to be seen, the way back and on."""

import streamlit as st

from attn.ui.link import to_link
from attn.ui.menu import HOME
from attn.ui.state import as_text, chosen_look
from attn.ui.stories.running import (
    COME_ALONG,
    is_at_screen,
    leave_story,
    story_link,
    story_named,
    story_now,
    story_that_comes_along,
)

STYLE = """<style>
.st-key-story_card { padding: 0.5rem 0.9rem; gap: 0.3rem; margin-bottom: 0.4rem; }
.st-key-story_card { border-left: 4px solid light-dark(#0072B2, #56B4E9); }
.st-key-story_card [data-testid="stPageLink-NavLink"] { padding: 0.15rem 0.5rem; }
.st-key-story_card button { min-height: 1.6rem; padding: 0.15rem 0.3rem; }
/* the page's own title is less than the screen's */
h1 { font-size: 1.3rem !important; padding-bottom: 0.2rem !important; }
</style>"""


def story_card(state):
    """Draw the card of the story that runs, if one does, with the way to the screens before and after.

    Parameters
    ----------
    state : PageState
        Of the page it stands on, which need not be that of the screen: who looks elsewhere finds the way back.
    """
    name, now = chosen_look().story, story_now()
    if not name:
        return
    st.html(STYLE)
    with st.container(border=True, key="story_card"):
        if now is None:
            _say_what_is_wrong(name)
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f"{as_text(now.story.title)} · **{now.number} of {now.count}**", width="stretch")
            _ways(state, now)
        st.markdown(f"**{as_text(now.screen.title)}** {as_text(now.screen.sentence)}")


def _ways(state, now):
    """Draw the links to the other screens, and the way out."""
    if not is_at_screen(now.screen, state.page, to_link(state.choices())[0]):
        _screen_link(now.name, now.number, "This screen again", ":material/replay:")
    if now.previous_screen:
        _screen_link(now.name, now.previous_screen, "Screen before", ":material/arrow_back:")
    if now.next_screen:
        _screen_link(now.name, now.next_screen, "Next screen", ":material/arrow_forward:")
    _leave_button()


def _screen_link(name, number, label, icon):
    """Draw a link to a screen."""
    script, query = story_link(name, number)
    st.page_link(script, label=label, icon=icon, query_params=query, width="content")


def _leave_button():
    """Draw the way out of a story, which stays on the page."""
    st.button(
        "Leave", on_click=leave_story, key="story.leave", icon=":material/close:", type="tertiary",
        help="Ends the story; the page stays as it is.",
    )  # fmt: skip


def _say_what_is_wrong(name):
    """Say why the story that a link names cannot run."""
    try:
        story_named(name)
    except ValueError as error:
        st.warning(f"{as_text(str(error))[:1].upper()}{as_text(str(error))[1:]}.")
    with st.container(horizontal=True):
        st.page_link(HOME.script, label="The stories that there are", icon=HOME.icon, query_params={}, width="content")
        _leave_button()


def stories_offer():
    """Draw the stories that come along, each a link to its first screen."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="stories"):
        st.caption("Stories, screen by screen:", width="content")
        for name in COME_ALONG:
            story = story_that_comes_along(name)
            script, query = story_link(name, 1)
            st.page_link(
                script, label=story.title, icon=":material/play_circle:", query_params=query, width="content",
                help=f"{len(story.screens)} screens. {story.about}",
            )  # fmt: skip
