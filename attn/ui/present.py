"""Presenting: title and figure alone on the screen, the speaker's second window, and the code that phones read."""

import functools
import ipaddress
import json
import re
import socket
from base64 import b64encode
from html import escape
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st
from streamlit import config

from attn.ui.menu import following_page
from attn.ui.settings import is_loopback
from attn.ui.state import LOOK, choose_look, chosen_look, link_of
from attn.ui.stories.running import OWN, story_link, story_now, story_speaks
from attn.ui.width import FIGURES, HAND

PRESENT_KEYS = (  # in the order in which they are listed
    ("Page Down, Page Up", "to the next screen and the one before, in a figure, too: what a clicker sends"),
    ("Right, Left", "a step on or back where a page has steps; elsewhere to the next figure and the one before"),
    ("Down, Up", "to the next figure of the page, or the next part of a long one, and back"),
    ("B or .", "a black screen, and back; a key that moves on lifts it, too"),
    ("Q", "the code with which phones open this screen, and back"),
    ("A", "on Room: open a room, show the hall the answer, and hide it again"),
    ("Escape", "leave, to where one was"),
)
ANSWER_KEY = "room_answer"  # how the key of the button begins that shows a hall the answer
_BEFORE, _AFTER = "talk_before", "talk_after"  # of the links to the other screens of a story
_STORY = "present.story"  # where the session holds the place of the words of a story's screen
_WORDS = {
    "speaker": "Attention Lab: speaker's window",
    "before": "Press “Present” in the app's window first.",
    "ended": "Presenting has ended. Press “Present” in the app's window to go on.",
    "lost": "The presented page does not answer: it was closed, or is being loaded. Once it is open again in this "
    "browser, this window finds it by itself.",
    "cut": "The server does not answer, so the screen stays as it is. This window goes on once the server is back.",
    "clock": "Time",
    "elapsed": "Since the start",
    "again": "Start again from 0:00",
    "now": "On the screen",
    "next": "Next",
    "last": "This is the last screen.",
    "back": "Screen before",
    "on": "Next screen",
    "stepBack": "Step back",
    "stepOn": "Step on",
    "figureBefore": "Figure before",
    "figureOn": "Next figure",
    "blank": "Black screen",
    "code": "Code for phones",
    "answer": "Show the answer",
    "touch": "Presenting",
    "leave": "Leave",
    "up": "More above",
    "down": "More below",
    "begins": "Page Down: on · B: black · Q: code · Esc: leave",
    "blanked": "The screen is black.",
    "coded": "The screen shows the code.",
}
MOST_IN_LINE = 70  # characters of a text that is quoted in a line
_LONGEST_CODE = 1200  # characters of an address: a code of more has squares too small for a phone at the back
_QUIET = 4  # squares of white around a code, as ISO/IEC 18004 asks

_HTML = """<div class="attn-talk"><button type="button" data-talk="present">Present</button>
<button type="button" data-talk="speaker">Speaker's window</button></div>"""
_CSS = """
.attn-talk { display: flex; flex-wrap: wrap; gap: 0.4rem; }
.attn-talk button { font: inherit; font-size: 0.875rem; padding: 0.2rem 0.7rem; min-height: 2rem; cursor: pointer;
    border-radius: 8px; border: 1px solid light-dark(#8A95A1, #6B7885);
    background: light-dark(#FFFFFF, #0F1419); color: light-dark(#14202B, #E8EDF2); }
.attn-talk button:is(:hover, :focus-visible) { border-color: light-dark(#0072B2, #56B4E9); }
"""
_LINE = '[class*="st-key-presented_line"]'  # what a page says in a line with one of its figures
_SAID = '[data-testid="stAlert"], [data-testid="stSpinner"]'  # what a page says in place of a figure
PRESENT_STYLE = """<style>
:is([data-testid="stHeader"], [data-testid="stElementToolbar"]) { display: none !important; }
[data-testid="stSidebar"]:not(:has(STRIP)) { display: none !important; }
:is(html, body, .stApp, .stMain, .stMainBlockContainer) { overflow: hidden !important; }
.stMainBlockContainer { width: 100vw; max-width: none; height: 100vh; padding: 0; }
.stMainBlockContainer :is(SHOWN) { visibility: visible; }
.stMainBlockContainer :not(:is(SHOWN), :is(SHOWN) *),
.stMainBlockContainer:has([data-presented]) :is(SAID, :is(SAID) *) { visibility: hidden !important; }
.stMainBlockContainer h1 {
    position: fixed; z-index: 2; inset: 0 ASIDE auto 2vw; height: 8.4vh; padding: 0 !important;
    display: flex; align-items: center; font-size: min(5.6vh, 3.4vw) !important; line-height: 1.1; text-wrap: balance;
}
.stMainBlockContainer [data-presented] {
    position: fixed; z-index: 1; inset: var(--attn-figure, 9vh) ASIDE calc(0.8vh + var(--attn-foot, 0px)) 2vw;
    width: auto !important;
    max-width: none; height: auto !important; display: flex; align-items: center; justify-content: center;
    overflow: hidden;
}
[data-presented] :is(svg.marks, canvas) { flex: none; }
[data-presented] > *:has(svg.marks, canvas) { flex: none; overflow: visible; width: auto; height: auto; }
[data-presented]::after, [data-presented]::before { display: none; }
/* at the foot stand the controls of what a story's screen asks to do, wherever the page has them, so large that a hall
   sees what is done; a slider beside its name. What an element lies in may move what is fixed, and does not here */
[data-testid="stSidebar"] { transform: none !important; width: 0 !important; min-width: 0 !important; }
[data-testid="stSidebar"] :not(STRIP, STRIP *) { visibility: hidden !important; }
STRIP {
    position: fixed !important; z-index: 3; visibility: visible; margin: 0; max-width: none !important;
    left: var(--attn-left); bottom: var(--attn-bottom); width: var(--attn-width) !important; height: auto !important;
    zoom: var(--attn-zoom);
}
STRIP > div { width: 100% !important; }
STRIP :is([data-testid="stSlider"], [data-testid="stSelectbox"], [data-testid="stButtonGroup"],
[data-testid="stTextArea"], [data-testid="stTextInput"], [data-testid="stNumberInput"]) {
    display: flex; flex-flow: row nowrap; align-items: center; gap: 1rem;
}
STRIP [data-testid="stWidgetLabel"] { flex: none; width: auto; margin: 0; min-height: 0; }
STRIP [data-testid="stWidgetLabel"] [data-testid="stTooltipIcon"] { display: none; }
STRIP [data-testid="stWidgetLabel"] ~ * { flex: 1; min-width: 0; }
STRIP textarea { height: 2.4rem !important; min-height: 0 !important; }
:is([data-testid="stSelectboxVirtualDropdown"], [data-baseweb="popover"]) li { font-size: max(18px, 2.6vh) !important; }
/* where there is no figure, what the page says in its place */
.stMainBlockContainer:not(:has([data-presented])) :is(SAID) {
    position: fixed; inset: 20vh 10vw auto; font-size: max(18px, 2.6vh);
}
/* a story's screen has a title of its own, and a sentence below it; below both comes what the page says in a line. The
   words are so large as the figure leaves them room (--attn-size: part of the window's height in hundredths) */
.stMainBlockContainer:has(.attn-story) h1 { visibility: hidden !important; }
.stMainBlockContainer .attn-story { position: fixed; z-index: 2; inset: 0.5vh ASIDE auto 2vw; line-height: 1.15; }
.attn-story b { display: block; font-size: min(5vh, 3vw); }
.attn-story span {
    display: block; font-size: max(14px, calc(var(--attn-size, 3) * min(1vh, 0.75vw))); text-wrap: pretty;
}
LINE { display: none; }
/* or the figure begins higher than the line ends; a low window has no room to spare */
@media (min-height: 500px) { LINE [data-testid="stMarkdownContainer"] { margin: 0; } }
.stMainBlockContainer LINE[data-said] {
    display: block; position: fixed; z-index: 2; inset: var(--attn-line, 8.4vh) ASIDE auto 2vw; width: auto;
}
.stMainBlockContainer LINE :is(p, code) {
    margin: 0; font-size: max(14px, 2.5vh, calc(var(--attn-size, 3) * 0.88 * min(1vh, 0.75vw))) !important;
    line-height: 1.2; color: light-dark(#00588A, #8CCBF2); text-wrap: pretty;
}
/* beside all this stands how a hall joins a room */
.stMainBlockContainer:has(.attn-join) { --attn-aside: 38vh; }
.stMainBlockContainer .attn-join {
    position: fixed; z-index: 2; inset: 2vh 2vw auto auto; width: 34vh; text-align: center; overflow-wrap: anywhere;
    font-size: max(18px, 2.8vh); line-height: 1.2;
}
.attn-join img { display: block; width: 34vh; height: 34vh; }
.attn-join b { display: block; font-size: 11vh; line-height: 1.25; letter-spacing: 0.08em; }
#vg-tooltip-element { font-size: max(18px, 2.4vh) !important; max-width: 40vw !important; }
/* that a page has more figures is said beside its title, by what leads to them */
.attn-more {
    position: fixed; z-index: 3; top: 0.7vh; right: var(--attn-aside, 2vw); height: 5vh; padding: 0 1vh;
    cursor: pointer; font: max(18px, 2.4vh)/1 "Source Sans", "Source Sans Pro", Arial, sans-serif; white-space: nowrap;
    border-radius: 1vh; border: 1px solid light-dark(#8A95A1, #6B7885);
    background: light-dark(#FFFFFF, #0F1419); color: light-dark(#14202B, #E8EDF2);
}
body:has(.attn-more) .stMainBlockContainer :is(h1, .attn-story b) { padding-right: var(--attn-more) !important; }
.attn-cover { position: fixed; inset: 0; z-index: 999990; background: #000; }
body:has(.attn-cover) :is(#vg-tooltip-element, .attn-ring) { visibility: hidden !important; }
.attn-cover[data-kind="code"] {
    background: #FFF; color: #000; display: flex; flex-direction: column; align-items: center; justify-content: center;
    gap: 1vh; font-size: max(18px, 2.3vh); overflow-wrap: anywhere; text-align: center; padding: 2vh 6vw;
}
.attn-cover img { height: min(76vh, 84vw); width: auto; }
/* as presenting begins, its keys are said for a moment */
.attn-begins {
    position: fixed; z-index: 3; left: 50%; bottom: calc(1.5vh + var(--attn-foot, 0px)); transform: translateX(-50%);
    padding: 0.3em 1em; border-radius: 1vh; white-space: nowrap; pointer-events: none;
    font: max(16px, 2vh)/1.3 "Source Sans", "Source Sans Pro", Arial, sans-serif;
    background: light-dark(#FFFFFF, #0F1419); color: light-dark(#55606E, #A3AFBC);
    border: 1px solid light-dark(#D8DEE4, #2B3641);
}
@media (prefers-reduced-motion: no-preference) {
    .attn-begins { animation: attn-begins 3s forwards; }
    @keyframes attn-begins { 90% { opacity: 1; } 100% { opacity: 0; } }
}
/* who touches the screen has no keys, and buttons in their place */
.attn-touch { display: none; }
@media (pointer: coarse) {
    :is(.attn-more, .attn-begins) { display: none; }
    .attn-touch {
        display: flex; justify-content: center; gap: 0.4rem; position: fixed; z-index: 3; inset: auto 0 0;
        height: 3.25rem; padding: 0.25rem; background: light-dark(#FFFFFF, #0F1419);
        border-top: 1px solid light-dark(#D8DEE4, #2B3641);
    }
    .attn-touch button {
        min-width: 3.25rem; padding: 0 0.5rem; font: 1.5rem/1 "Source Sans", "Source Sans Pro", Arial, sans-serif;
        border-radius: 8px; border: 1px solid light-dark(#8A95A1, #6B7885);
        background: none; color: light-dark(#14202B, #E8EDF2);
    }
    .attn-touch [data-touch="answer"] { font-size: 1rem; }
    .attn-touch button[hidden] { display: none; }
    .attn-touch button:disabled { opacity: 0.4; }
    .stMainBlockContainer [data-presented] { bottom: calc(3.25rem + var(--attn-foot, 0px)); }
}
/* on a screen held upright in a hand a figure is as large as on its page, and scrolled */
@media (max-width: NARROWpx) {
    .stMainBlockContainer :is(h1, .attn-story, LINE[data-said], [data-presented]) { left: 4vw; right: 4vw; }
    .stMainBlockContainer h1 { height: auto; padding: 0.5rem 0 0 !important; font-size: 1.3rem !important; }
    .stMainBlockContainer .attn-story { top: 0.5rem; }
    .attn-story b { font-size: 1.2rem; margin-bottom: 0.25rem; }
    .attn-story span, .stMainBlockContainer LINE :is(p, code) { font-size: 1rem !important; }
    .stMainBlockContainer [data-presented] { display: block; overflow: auto; overscroll-behavior: contain; }
    [data-presented]:is([data-cut~="right"]::after, [data-cut~="left"]::before) { display: block; }
    .stMainBlockContainer .attn-join {
        inset: auto 4vw 3.5rem; width: auto; display: grid; grid-template-columns: 24vw 1fr; align-items: center;
        column-gap: 4vw; text-align: left; font-size: 1rem;
    }
    .attn-join img { width: 24vw; height: 24vw; grid-row: span 2; }
    .attn-join b { font-size: 2.2rem; line-height: 1; }
    .stMainBlockContainer:has(.attn-join) [data-presented] { bottom: calc(26vw + 3.5rem); }
}
</style>"""
PRESENT_STYLE = PRESENT_STYLE.replace("SHOWN", "h1, .attn-story, .attn-join, LINE, [data-presented], STRIP, SAID")
PRESENT_STYLE = (
    PRESENT_STYLE.replace("NARROW", str(HAND - 1))
    .replace("SAID", _SAID)
    .replace("LINE", _LINE)
    .replace("STRIP", "[data-strip]")
    .replace("ASIDE", "var(--attn-aside, 2vw)")
)
_talk = st.components.v2.component(
    "attention_lab.present",
    html=_HTML,
    css=_CSS,
    js=Path(__file__).with_name("present.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def present_controls(state):
    """Draw the buttons that begin to present and open the speaker's window; call it once a page.

    Parameters
    ----------
    state : PageState
    """

    def take():
        choose_look(present=bool(st.session_state["talk"].present))

    now = story_now()
    if now is None:
        following, place, notes = following_page(state.page).label, "", []
    else:
        following = now.story.screens[now.number].title if now.next_screen else _WORDS["last"]
        place, notes = f"{now.number} of {now.count}", _notes(now.screen)
    _talk(
        key="talk",
        data={"present": chosen_look().present, "story": now is not None, "next": following, "place": place}
        # as text: Streamlit would load pandas to ask whether a list or a dictionary is a table
        | {"words": json.dumps(_WORDS), "notes": json.dumps(notes)}
        | {
            "figures": FIGURES,
            "hand": HAND,
            "code": ".attn-code",
            "line": _LINE,
            "answer": f'[class*="st-key-{ANSWER_KEY}"] button',
        }
        | {"before": f".st-key-{_BEFORE} a", "after": f".st-key-{_AFTER} a"}
        | {"controls": ", ".join(map(_marked, _task_keys(state)))},
        on_present_change=take,
    )


def _task_keys(state):
    """Return the keys of the controls with which the task of a story's screen is done, while that screen is shown."""
    now = story_now()
    if now is None or not now.screen.task or not story_speaks(state):
        return []
    return [state.key(name) for name in now.screen.task.done_with()]


def _marked(key):
    """Return what finds the widget of a key in the page, by the class that Streamlit gives it."""
    return ".stElementContainer.st-key-" + re.sub("[^A-Za-z0-9_-]", "-", key)


def _notes(screen):
    """Return what whoever speaks reads of a story's screen: its sentence, what is to be done, a hint, and the guess."""
    notes, guess = [screen.sentence] if screen.sentence else [], screen.guess
    if screen.task:
        notes.append(f"To do: {screen.task.do}")
        # what the page has told by then stands in names in braces, which only the page fills
        if hints := [said for said in re.split(r"(?<=[.?!]) ", screen.task.hint) if said and "{" not in said]:
            notes.append(f"Hint: {' '.join(hints)}")
    if guess:
        notes.append(
            f"To guess: {guess.ask} ({', '.join(guess.options)}) It is {guess.answer}. {guess.because}".strip()
        )
    return notes


def present_story():
    """Draw a place for the words of a running story's screen, and unseen links to its neighbours for the keys."""
    now = story_now()
    st.session_state[_STORY] = None
    if now is None or not chosen_look().present:
        return
    st.session_state[_STORY] = st.empty()
    for key, number in ((_BEFORE, now.previous_screen), (_AFTER, now.next_screen)):
        if number:
            script, query = story_link(now.name, number)
            with st.container(key=key):
                st.page_link(script, label=now.story.screens[number - 1].title, query_params=query)


def present_story_words(screen):
    """Draw title and sentence of a story's screen in place of the page's title.

    Parameters
    ----------
    screen : Screen or None
        None where the page shows something else by now, so that its own title is in place.
    """
    place = st.session_state[_STORY]
    if place is None:
        return
    if screen is None:
        place.empty()
        return
    place.html(f'<div class="attn-story"><b>{escape(screen.title)}</b><span>{escape(screen.sentence)}</span></div>')


def present_line(key, line):
    """Draw, where the page is presented, a line that a hall needs with the figure that comes next.

    Parameters
    ----------
    key : str
        Of the figure.
    line : str
        Markdown: what was read or changed, and what came of it, as the page says it in its sentences.
    """
    if line and chosen_look().present:
        with st.container(key=f"presented_line.{key}"):
            st.markdown(line)


def present_code(page):
    """Draw, unseen, the code of the present screen for phones, which a key and the speaker's window show."""
    if not chosen_look().present or not st.context.url:
        return
    address, sentence = audience_address(
        st.context.url, link_of(page), network_address(), config.get_option("server.address")
    )
    picture = (
        f'<img alt="QR code of {escape(address)}" src="{code_picture(address)}">'
        if len(address) <= _LONGEST_CODE
        else ""
    )
    if not picture:
        sentence = "This screen's link is too long for a code that a phone could read from a seat. " + sentence
    st.html(
        f'<div class="attn-code">{picture}<div data-address>{escape(address)}</div>'
        f"<div data-warning>{escape(sentence)}</div></div>"
    )


def present_join(code, address):
    """Draw, where the page is presented, how a hall joins a room: a code to read, an address, and letters to type.

    Parameters
    ----------
    code : str
        Of the room.
    address : str
        At which a phone opens it, as `audience_address` returns it.
    """
    if not chosen_look().present:
        return
    parts = urlsplit(address)
    st.html(
        f'<div class="attn-join"><img alt="QR code of {escape(address)}" src="{code_picture(address)}">'
        f"<b>{escape(code)}</b>{escape(parts.netloc + parts.path)}</div>"
    )


def _link_for_guests(link):
    """Return what the audience's link says of a screen: a room alone, otherwise the page and the story that is told.

    What the speaker chose for all pages, such as words for a hall, and did of the tasks, is none of theirs. A story of
    the speaker's own that no link holds is in no other browser.
    """
    if code := link.get("room"):
        return {"room": code}
    told = ("story", "screen") if link.get("story") != OWN else ()
    return {name: value for name, value in link.items() if name in told or name not in LOOK}


def audience_address(url, link, network, bound=None):
    """Return the address at which other machines open a screen, and a sentence where something stands in the way.

    Parameters
    ----------
    url : str
        Of the page, as the browser of whoever speaks shows it, without its query string.
    link : dict of str to str
        The page's choices, as a link spells them.
    network : str or None
        The server's own address in the network, None without one.
    bound : str, optional
        The one address at which the server listens; by default it listens at all.

    Returns
    -------
    address, sentence : str
        The audience gets the screen as a page, not presented; of a room's screen the room alone.

    Examples
    --------
    >>> audience_address("http://localhost:8501/heads", {"present": "1", "head": "2"}, "10.0.0.7")[0]
    'http://10.0.0.7:8501/heads?head=2'
    >>> audience_address("https://lab.example.org/heads", {}, "10.0.0.7")
    ('https://lab.example.org/heads', '')
    """
    parts = urlsplit(url)
    query = urlencode(_link_for_guests(link))
    host, sentence = parts.netloc, ""
    if is_loopback(parts.hostname or ""):
        if bound and is_loopback(bound) and bound not in ("0.0.0.0", "::"):
            sentence = (
                f"The server was told to listen at {bound} alone, so no other machine can open this. Start it without "
                "--server.address for an audience."
            )
        elif network is None:
            sentence = "This machine is in no network, so no phone can open this."
        else:
            port = f":{parts.port}" if parts.port else ""
            host = (f"[{network}]" if ":" in network else network) + port
            sentence = f"Phones must be in the same network as this machine, which is {network} there."
    return urlunsplit((parts.scheme, host, parts.path, query, "")), sentence


def network_address():
    """Return the address of this machine in its network, or None; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # a datagram socket only chooses its own side
        except OSError:
            return None
        address = probe.getsockname()[0]
    found = ipaddress.ip_address(address)
    return None if found.is_loopback or found.is_unspecified else address


@functools.lru_cache(maxsize=64)
def code_picture(text):
    """Return a QR code, dark on white in either theme, as the address of a picture that holds itself.

    Parameters
    ----------
    text : str
        What a phone reads.

    Returns
    -------
    str
        ``data:image/svg+xml;base64,…``, a square with its quiet zone.
    """
    import segno

    code = segno.make(text, error="m", micro=False)
    drawn = code.svg_inline(scale=8, border=_QUIET, dark="#000", light="#fff", omitsize=True)
    drawn = drawn.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return "data:image/svg+xml;base64," + b64encode(drawn.encode()).decode()
