"""The page that says whether a talk can be given: the machine, the screens of a story, the audience's way in."""

from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path

import streamlit as st
from streamlit import config

from attn.ui.link import link_string
from attn.ui.menu import HOME, MENU
from attn.ui.present import audience_address, code_picture, network_address
from attn.ui.present_check import machine_findings, memory_finding, model_findings
from attn.ui.state import as_text
from attn.ui.stories.running import COME_ALONG, OWN, own_story, story_named, story_now
from attn.ui.stories.story import pack_story, story_file_name
from attn.ui.width import FIGURES

_ICONS = {True: ":green[:material/check_circle:]", False: ":red[:material/error:]", None: ":gray[:material/info:]"}
_SIGNS = {True: "Good:", False: "Not good:", None: "Note:"}
_WORDS = {
    "open": "Open every screen once",
    "waiting": "not opened yet",
    "opening": "opening …",
    "came": "{seconds} s",
    "failed": "does not come as it should",
    "all": "All {count} screens came, the slowest in {seconds} s.",
    "some": "{wrong} of {count} screens did not come as they should.",
    "abroad": "Other machines were asked: {hosts}.",
    "alone": "No other machine was asked by this browser.",
}
_RAN = "talk.ran"  # where the session holds the story that ran when the page was shown last
_walk = st.components.v2.component(
    "attention_lab.talk_walk",
    html='<button type="button"></button><p role="status"></p><ol></ol><div class="attn-walked"></div>',
    css="""
.attn-walked { width: 320px; height: 180px; overflow: hidden; border: 1px solid light-dark(#D8DEE4, #2B3641); }
.attn-walked:empty { display: none; }
.attn-walked iframe { width: 1280px; height: 720px; border: 0; transform: scale(0.25); transform-origin: 0 0; }
button { font: inherit; padding: 0.3rem 0.9rem; border-radius: 8px; cursor: pointer;
    border: 1px solid light-dark(#8A95A1, #6B7885);
    background: light-dark(#FFFFFF, #0F1419); color: light-dark(#14202B, #E8EDF2); }
""",
    js=Path(__file__).with_name("talk.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Setup:
    """What is chosen on the page."""

    told: str = link_string("")  # the story that is to be told; empty: the first that can be


def talk_stories():
    """Return the names of the stories that can be told: first that which runs, then one's own, then the others."""
    now, own = story_now(), own_story()
    names = [now.name] if now else []
    if own and own.screens:
        names.append(pack_story(own) or OWN)
    return list(dict.fromkeys([*names, *COME_ALONG]))


def talk_story_control(state):
    """Draw the choice of the story, and return the name of the chosen one; a story that was begun takes its place."""
    first, *others = talk_stories()
    began = first != st.session_state.get(_RAN, first) and not state.just_read
    st.session_state[_RAN] = first
    if began or state.get("told") not in others:
        state.adjust(told="")
    told = st.selectbox(
        "Story", ["", *others], format_func=lambda name: story_named(name or first).title, key=state.key("told"),
        help="What is to be told: its models are looked for, and its screens opened. The story that runs comes first.",
    )  # fmt: skip
    return told or first


def talk_machine(name):
    """Say what this machine has."""
    story = story_named(name)
    stories = {name: story}
    for finding in (*machine_findings(stories), *model_findings(stories), memory_finding()):
        st.markdown(f"{_ICONS[finding.holds]} {_SIGNS[finding.holds]} {as_text(finding.words)}")
    st.caption("The same, and with every address outside this machine closed, from the command line:")
    named = name if name in COME_ALONG else story_file_name(story)
    st.code(f"python -m attn check --story {named}", language="bash")
    st.caption("After --story may stand the file of any story, as “My story” saves it.")


def talk_walk(name):
    """Draw the button that opens every screen, and what came of it, in the browser itself."""
    # a window that is opened anew holds no story but in its link
    runs = {} if name == OWN else {"story": name}
    addresses = {entry.page: "" if entry == HOME else entry.page for entry in MENU}
    screens = [
        {
            "title": screen.title,
            "page": addresses[screen.page],
            "query": dict(screen.query) | runs | {"screen": str(number), "present": "1"},
        }
        for number, screen in enumerate(story_named(name).screens, 1)
    ]
    st.caption(
        "Each opens in a small window of 1280 × 720, as it will be presented. The server then holds what it loaded, "
        "and the browser what it fetched."
    )
    key = f"talk.walk.{sha256(name.encode()).hexdigest()}"  # a link may hold what Streamlit takes for its own
    _walk(key=key, data={"screens": screens, "figure": FIGURES, "words": _WORDS})


def talk_audience():
    """Show the code that leads phones to the first page."""
    address, sentence = audience_address(
        st.context.url.removesuffix("/talk") if st.context.url else "http://localhost:8501", {}, network_address(),
        config.get_option("server.address"),
    )  # fmt: skip
    st.html(f'<img alt="QR code of {escape(address)}" src="{code_picture(address)}" width="200">')
    st.markdown(as_text(address))
    st.caption(
        f"{as_text(sentence)} While a screen is presented, the key Q shows the code of that very screen, and the "
        "speaker's window has it beside the notes."
    )
