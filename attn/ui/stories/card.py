"""The card of a running story on every page: where one is, what is to be seen and done, the way back and on."""

import re
from html import escape

import streamlit as st

from attn.ui.menu import HOME
from attn.ui.present import present_story, present_story_words
from attn.ui.state import as_text, chosen_look
from attn.ui.stories.handing_in import MOST_LETTERS, check_hand_in_line, hand_in_line
from attn.ui.stories.running import (
    COME_ALONG,
    is_at_screen,
    leave_story,
    mark_done,
    shows_view,
    story_link,
    story_named,
    story_now,
    story_that_comes_along,
)
from attn.ui.width import page_held, page_width
from attn.words import capital

_BESIDE = 680  # pixels of a page with room for what is to do beside what is to be seen
_SHARES = (3, 2)
# where the session holds the place of the sentence, the screen whose sentence no longer holds, the stories that ended,
# the place of the answer to what was tried, and that answer with its screen
_SENTENCE, _CHANGED, _ENDED = "story.sentence", "story.changed", "story.ended"
_ANSWER, _ANSWERED = "story.answer", "story.answered"
STYLE = """<style>
.st-key-story_card { padding: 0.4rem 0.9rem 0.5rem; gap: 0.2rem; margin-bottom: 0.2rem; }
.st-key-story_card { border-left: 4px solid light-dark(#0072B2, #56B4E9); }
/* all ways look alike, whether they stay on the page or lead to another, but that on, which is the first */
.st-key-story_ways :is([data-testid="stPageLink-NavLink"], button) {
    padding: 0.1rem 0.5rem; background: transparent; border-radius: 8px;
    border: 1px solid light-dark(#8A95A1, #6B7885);
}
.st-key-story_ways a[disabled] { border-color: transparent; }
.st-key-story_ways a[disabled] :is(span, p) { color: light-dark(#55606E, #A3AFBC); }
.st-key-story_ways [data-testid="stPageLink-NavLink"] :is(strong, p) { font-weight: 400; }
@media (min-width: 900px) and (min-height: 500px) {
    .st-key-story_ways :is([data-testid="stPageLink-NavLink"], button) { min-height: 1.6rem; }
}
.st-key-story_on [data-testid="stPageLink-NavLink"] {
    background: light-dark(#0072B2, #56B4E9); border-color: light-dark(#0072B2, #56B4E9);
}
.st-key-story_on [data-testid="stPageLink-NavLink"] :is(span, p) { color: light-dark(#FFFFFF, #0F1419); }
.st-key-story_on { width: auto; }
.st-key-story_task { position: absolute; }
.attn-task { display: none; }
@media (max-width: 899px), (max-height: 499px) {
    .attn-task {
        display: block; position: fixed; z-index: 999990; top: 0.25rem; right: 3.25rem; height: 2.5rem;
        padding: 0 0.5rem; font: inherit; font-size: 0.875rem; color: inherit; background: none; border: none;
    }
    .attn-task[data-done] { color: light-dark(#007A5A, #4CC9A0); }
}
@media (max-width: 640px) { .st-key-story_ways span:has(> [data-testid="stIconMaterial"]) { display: none; } }
.st-key-story_ways { gap: 0.35rem 0.2rem; }
.st-key-story_card [data-testid="stVerticalBlock"] { gap: 0.3rem; }
/* the page's own title is less than the screen's */
h1 { font-size: 1.3rem !important; padding-bottom: 0.2rem !important; }
</style>"""


_TO_THE_TOP = """
export default function({ data }) {
    const main = document.querySelector('[data-testid="stMain"]');
    const before = main?.dataset.storyScreen;
    if (!main || before === data.screen) return;
    main.dataset.storyScreen = data.screen;
    // a tab that another screen opens brings itself into view, and the card out of it
    if (before === undefined || data.present) return;
    for (const wait of [0, 300, 900]) setTimeout(() => main.scrollTo(0, 0), wait);
}
"""
_begin_at_the_top = st.components.v2.component("attention_lab.story", js=_TO_THE_TOP)


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
    present_story()
    with st.container(border=True, key="story_card"):
        if now is None:
            _say_what_is_wrong(name)
            return
        screen = {"screen": f"{now.number} {now.name}", "present": chosen_look().present}
        _begin_at_the_top(key="story.top", data=screen)
        with st.container(horizontal=True, vertical_alignment="center", key="story_ways"):
            st.caption(_where(now), width="stretch")
            _ways(state, now)
        seen, done = st.columns(_SHARES) if _has_work(now) and page_width() >= _BESIDE else [st.container()] * 2
        if state.page != now.screen.page:
            seen.markdown(f"**{as_text(now.screen.title)}** This screen is on another page. “Again” leads back to it.")
            return
        _remember_if_ended(now)
        st.session_state[_SENTENCE] = seen.empty()
        _draw_sentence(state, now, st.session_state.get(_CHANGED) == (now.name, now.number))
        with done:
            if now.screen.guess:
                _draw_guess(now)  # before the task, which may show its answer
            if now.screen.task:
                _draw_task(now)
                st.session_state[_ANSWER] = st.empty()
                _draw_answer(now, _answer_before(now))
        if not now.next_screen:
            _draw_end(now)


def judge_task(state):
    """Tick the task of a screen once the page shows it done, and see if its sentence still holds; at the end of a page.

    Parameters
    ----------
    state : PageState
        Of the page, which has told what it computed.
    """
    now = story_now()
    if now is None or state.page != now.screen.page:
        return
    _watch_sentence(state, now)
    if now.is_done("task") is not False:
        return
    if now.screen.task.when.hold(state.spelled(), state.told):
        mark_done(now, "task")
        st.rerun()  # all links of the page, and the address, say so, too
    tried = shows_view(now.screen, state) and not is_at_screen(now.screen, state)
    answer = now.screen.task.answered(state.told) if tried else ""
    if answer != _answer_before(now):
        _draw_answer(now, answer)


def _answer_before(now):
    """Return what was last said of what was tried on this screen; nothing once its task is done."""
    place, answer = st.session_state.get(_ANSWERED, ((), ""))
    return answer if place == (now.name, now.number) and now.is_done("task") is False else ""


def _draw_answer(now, answer):
    """Say of what was tried that it is not yet what was asked for, and what to look for."""
    st.session_state[_ANSWERED] = (now.name, now.number), answer
    place = st.session_state[_ANSWER]
    if answer:
        place.markdown(f":material/arrow_right_alt: **Not yet.** {as_text(_within_reach(answer))}")
    else:
        place.empty()


def _watch_sentence(state, now):
    """Say so as soon as the page was changed to where the sentence of the screen no longer holds."""
    shows, place = now.screen.shows, (now.name, now.number)
    changed = bool(shows) and not is_at_screen(now.screen, state) and not shows.hold(state.spelled(), state.told)
    if changed != (st.session_state.get(_CHANGED) == place):
        st.session_state[_CHANGED] = place if changed else None
        _draw_sentence(state, now, changed)


def _draw_sentence(state, now, changed):
    """Draw what is to be seen on the screen, or was before somebody changed it; presented, only as long as it is so."""
    note = " *This was before your change.*" * changed
    present_story_words(now.screen if not changed and shows_view(now.screen, state) else None)
    st.session_state[_SENTENCE].markdown(f"**{as_text(now.screen.title)}** {as_text(now.screen.sentence)}{note}")


def _remember_if_ended(now):
    """Remember for this session which stories were walked to their last screen, and how much was done of each."""
    ended = st.session_state.setdefault(_ENDED, {})
    if now.next_screen is None or now.name in ended:
        ended[now.name] = max(len(now.screens_done), ended.get(now.name, 0))


def _where(now):
    """Say which story runs, and where one is in it; what is not done yet the last screen says."""
    return f"{as_text(now.story.title)} · **screen {now.number} of {now.count}**"


def _has_work(now):
    """Return whether there is anything to do on this screen."""
    return bool(now.screen.task or now.screen.guess)


def _draw_task(now):
    """Draw what is to be done, or that it was; a phone says so in its bar, too, and leads on: the card is soon away."""
    done = now.is_done("task")
    sign = ":green[:material/check_circle:] **Done:**" if done else ":material/radio_button_unchecked: **To do:**"
    st.markdown(f"{sign} {as_text(_within_reach(now.screen.task.do))}")
    with st.container(key="story_task"):
        way = _way_on(now)
        led = f"✓ {way[2]}" if way else "✓ Done ↑"
        screen, said = escape(f"{now.number} {now.screen.title}"), f" data-done>{led}" if done else ">○ To do"
        st.html(f'<button type="button" class="attn-task" data-screen="{screen}"{said}</button>')


def _within_reach(told):
    """Add where the controls are on a phone, where none are in sight."""
    return re.sub("([Aa]mong the controls)", r"\1 (under “Controls”)", told, count=1) if page_held() else told


def _draw_guess(now):
    """Draw a question with its options, and once one was chosen the answer beside it."""
    guess, guesses = now.screen.guess, st.session_state.setdefault("story.guesses", {})
    place, key = (now.name, now.number), f"story.guess.{now.number}"
    if now.is_done("guess"):
        yours = guesses.get(place)
        said = f"You guessed **{as_text(yours)}**. " if yours else ""
        right = "Right: it" if yours == guess.answer else "It"
        st.markdown(
            f":material/lightbulb: {as_text(guess.ask)} {said}{right} is **{as_text(guess.answer)}**. "
            f"{as_text(guess.because)}"
        )
        return

    def take():
        guesses[place] = st.session_state[key]
        mark_done(now, "guess")

    st.pills(
        f":material/lightbulb: **Guess:** {as_text(guess.ask)}", guess.options, format_func=as_text, key=key,
        on_change=take,
    )  # fmt: skip


def _draw_end(now):
    """Draw, on the last screen, what one knows now and what is not done yet, each with the way to its screen."""
    known = [(number, screen.knows) for number, screen in enumerate(now.story.screens, 1) if screen.knows]
    if known:
        with st.expander("What you now know", expanded=True):
            for number, line in known:
                _screen_link(now.name, number, as_text(line), ":material/check:")
    left = [number for number in now.story.screens_to_do if number not in (*now.screens_done, now.number)]
    if left:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption("Not done yet, screen", width="content")
            for number in left:
                _screen_link(now.name, number, str(number), None, as_text(now.story.screens[number - 1].title))


def _ways(state, now):
    """Draw the links to the other screens, and the way out."""
    if now.previous_screen:
        _screen_link(now.name, now.previous_screen, "Screen before", ":material/arrow_back:")
    if way := _way_on(now):
        with st.container(key="story_on", width="content"):
            *to, label, title = way
            _screen_link(*to, label, ":material/arrow_forward:", title)
    _screen_link(  # always there, so that nothing moves once something was changed
        now.name, now.number, "Again", ":material/replay:", "Opens this screen as it was at first.",
        is_at_screen(now.screen, state),
    )  # fmt: skip
    if now.done and not now.next_screen:
        asked = st.button(
            "Hand in", key="story.hand_in", icon=":material/assignment_turned_in:",
            help="Makes a line of text that says what you have done.",
        )  # fmt: skip
        if asked:
            _hand_in()
    _leave_button()


def _way_on(now):
    """Return story, screen, name and title of the way on: to the next screen, or to a story that is left.

    There is no title while a guess is open, which the next screen's may answer.
    """
    if now.next_screen:
        title = now.story.screens[now.next_screen - 1].title
        return now.name, now.next_screen, "Next screen", None if now.is_done("guess") is False else title
    if now.name in COME_ALONG and (left := _stories_left(now.name)):
        return left[0], 1, "Next story", story_that_comes_along(left[0]).title
    return None


def story_foot(state):
    """Draw the story's way on at the foot of a page, and return whether there is one from its screen.

    Parameters
    ----------
    state : PageState

    Returns
    -------
    bool
        False on any other page than the screen's, whose own way on then stands there.
    """
    now = story_now()
    way = _way_on(now) if now and state.page == now.screen.page else None
    if way:
        *to, label, title = way
        told = f": **{as_text(title)}**" if title else ""
        _screen_link(*to, f"{label}{told}", ":material/arrow_forward:", width="stretch")
    return bool(way)


@st.dialog("Hand in")
def _hand_in():
    """Draw the line that says what was done, and check one."""
    now = story_now()
    who = st.text_input("Your name", key="story.who", max_chars=MOST_LETTERS, help="It is sent nowhere.")
    st.code(hand_in_line(now.story, now.done, who), language=None, wrap_lines=True)
    st.caption("Copy this line and send it to whoever asked for it. It says what you have done of this story.")
    line = st.text_input(
        "Check a line", key="story.checked", max_chars=500, help="For teachers: a line that somebody handed in."
    )
    if line.strip():
        try:
            stories = [now.story, *map(story_that_comes_along, COME_ALONG)]
            st.success(as_text(check_hand_in_line(line, stories)) + ".")
        except ValueError as error:
            st.error(as_text(capital(str(error))) + ".")


def _stories_left(name):
    """Return the stories that come along and were not walked to their end, those that come after a story first."""
    ended, at = st.session_state.get(_ENDED, {}), COME_ALONG.index(name) + 1
    return [each for each in COME_ALONG[at:] + COME_ALONG[:at] if each != name and each not in ended]


def _screen_link(name, number, label, icon, about=None, disabled=False, width="content"):
    """Draw a link to a screen."""
    script, query = story_link(name, number)
    st.page_link(script, label=label, icon=icon, help=about, disabled=disabled, query_params=query, width=width)


def _leave_button():
    """Draw the way out of a story, which stays on the page."""
    st.button(
        "Leave", on_click=leave_story, key="story.leave", icon=":material/close:",
        help="Ends the story; the page stays as it is.",
    )  # fmt: skip


def _say_what_is_wrong(name):
    """Say why the story that a link names cannot run."""
    try:
        story_named(name)
    except ValueError as error:
        st.warning(as_text(capital(str(error))) + ".")
    with st.container(horizontal=True):
        st.page_link(HOME.script, label="The stories that there are", icon=HOME.icon, query_params={}, width="content")
        _leave_button()


def stories_offer():
    """Draw the stories that come along, each a link to its first screen, those that were finished marked."""
    ended = st.session_state.get(_ENDED, {})
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="stories"):
        st.caption("New here? Follow a story:", width="content")
        for name in COME_ALONG:
            story = story_that_comes_along(name)
            script, query = story_link(name, 1)
            finished = name in ended
            did = f" (read to the end · {ended[name]} of {len(story.screens_to_do)} tasks done)" if finished else ""
            st.page_link(
                script, label=f"{story.title}{did}", query_params=query, width="content",
                icon=":material/check_circle:" if finished else ":material/play_circle:",
                help=f"{len(story.screens)} screens. {story.about}",
            )  # fmt: skip
