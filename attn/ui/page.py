"""What every page has in common: its frame, the menu, the theme, figures, code."""

import dataclasses
import functools
from bisect import bisect_right

import streamlit as st

from attn import charts
from attn.charts.heatmap import MOST_NUMBERS
from attn.pretrained.threads import one_thread
from attn.ui.carried import keep_sentence_of_link, own_sentence_offer
from attn.ui.embed import begin_embedding, embedded_figure, embedded_page, end_embedding, place_alone
from attn.ui.garbage import collector, share_arenas
from attn.ui.kept_figures import finished_once
from attn.ui.keyboard import page_keys, page_keys_list
from attn.ui.link import shortened, to_link
from attn.ui.menu import HOME, MENU, TALK, address_missed, find_page, menu_links, next_page_link, take_along
from attn.ui.present import PRESENT_STYLE, present_code, present_controls, present_line
from attn.ui.settings import server
from attn.ui.sources import PAGE_SOURCES, source_in_markdown
from attn.ui.state import PageState, as_text, choose_look, chosen_look
from attn.ui.stories.card import judge_task, story_card, story_foot
from attn.ui.stories.own import own_story_control
from attn.ui.stories.running import follow_story, story_beyond, story_now, story_speaks, walk_story
from attn.ui.stories.story import TAB
from attn.ui.take_away import figure_menu
from attn.ui.terms import terms_help
from attn.ui.width import (
    FRAMES,
    SHEET,
    least_number,
    measure_page_room,
    page_enlargement,
    page_held,
    page_share,
    page_width,
    presented_low,
    window_figure_height,
    window_low_for_hall,
    window_measures,
)
from attn.words import capital

# A magnifying glass. Given as the letter itself, Streamlit would first load a list of all emoji.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100'%3E"
    "%3Ctext y='.9em' font-size='90'%3E%F0%9F%94%8E%3C/text%3E%3C/svg%3E"
)
_FEW = 5  # choices that a person puts back one by one
_COLUMNS = 680  # pixels of a page, before figures are enlarged, with room for columns of words, formulas or figures
_BELOW = "reading.below"  # where the session holds what of the first reading is drawn below the figure
_LETTERS = {"query": "Q", "key": "K", "value": "V", "output": "Z"}

_SPEAKS = "story.speaks"  # where the session holds whether the card of a story says what the page shows
_STORYS_WAY = "<style>.st-key-page_path [data-testid='stElementContainer']:has(button[kind]) { display: none; }</style>"
_FIRST_ALONE = """<style>
.st-key-story_rest ~ :has(~ * .st-key-page_foot):not(:has([data-testid="stAlert"])) { display: none; }
</style>"""
_ARROW = (  # of what goes on beyond its frame
    "url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 16' fill='none' "
    "stroke='%237A8694' stroke-width='2' stroke-linecap='round' stroke-linejoin='round'%3E"
    "%3Cpath d='M2 3l4 5-4 5'/%3E%3C/svg%3E\")"
)
STYLE = """<style>
.stMainBlockContainer { padding: 1.6rem 2.5rem 3rem; }
[data-testid="stHeader"] { background: transparent; }
/* nothing but its buttons: the title below it can be marked and clicked */
[data-testid="stHeader"] { pointer-events: none; }
[data-testid="stHeader"] [data-testid="stToolbar"] { pointer-events: none; }
[data-testid="stHeader"] :is(button, a) { pointer-events: auto; }
[data-testid="stSidebarHeader"] { height: 1.5rem; margin-bottom: 0; position: relative; z-index: 1; }
[data-testid="stSidebarUserContent"] { padding-top: 0; }
[data-testid="stSidebarUserContent"] hr { margin: 0; }
/* a table among the controls is typed into: its signs would cover the control above it */
[data-testid="stSidebar"] [data-testid="stElementToolbar"] { display: none; }
.attn-controls { display: none; }
/* what only measures and listens takes no room */
:is(.st-key-keyboard, .st-key-ruler, .st-key-menu-links), :has(> .st-key-controls) { position: absolute; }
[class*="st-key-ways-"] { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr)); }
[class*="st-key-ways-"] > * > * { height: 100%; }
[data-testid="stMain"] [data-testid="stPageLink-NavLink"] { white-space: normal; height: auto; }
[data-testid="stMain"] [data-testid="stPageLink-NavLink"] :is(span, p) { white-space: normal; overflow: visible; }
h1 { padding: 0 3rem 0.6rem 0 !important; font-size: clamp(1.3rem, 0.7rem + 3.4vw, max(2.25rem, 2.3vw)) !important; }
/* what is wider than the page scrolls in a frame of its own, and the page does not */
[data-testid="stMarkdownContainer"] table { display: block; }
:is(FRAMES) { position: relative; max-width: 100%; overflow: auto hidden; }
[data-cut~="right"]::after, [data-cut~="left"]:not(:has(.pinned))::before {
    content: ""; position: absolute; top: 0; bottom: 0; left: calc(var(--scrolled) + 100% - 1.2rem); width: 1.2rem;
    background: ARROW 50% 0 / 0.6rem var(--arrow, 8rem) repeat-y, light-dark(#FFFFFFE0, #0F1419E0);
    box-shadow: -4px 0 6px -2px light-dark(rgb(0 0 0 / 0.3), rgb(255 255 255 / 0.3)); pointer-events: none;
}
[data-cut~="left"]:not(:has(.pinned))::before { left: var(--scrolled); transform: scaleX(-1); }
:is(.katex-display, [role="radiogroup"]) { --arrow: 100%; }
.pinned > g > rect { fill: light-dark(#FFFFFF, #0F1419); }
.pinned > g > path { fill: none; stroke: #7A8694; stroke-linecap: round; stroke-linejoin: round; }
.katex-display { padding: 0.3rem 0.2rem; margin: 0.3rem 0; }
/* choices that do not fit into a row go on in the next, each in a border of its own */
[data-testid="stButtonGroup"] [role="radiogroup"] { flex-wrap: wrap; row-gap: 0.25rem; mask-image: none !important; }
/* where they may stand in several rows, a neighbour of the chosen one keeps the side that the chosen one would cover */
[data-testid="stSidebar"] [data-variant="segmented_control"] { border-radius: 8px; margin: 0 0.25rem 0 0; }
[data-testid="stSidebar"] [data-variant="segmented_control"]:not([aria-checked="true"]) {
    border-color: light-dark(#D8DEE4, #2B3641) !important;
}
/* a heading below the title is of the next level, as no level may be left out, and of the size of one below that */
h2 { padding: 0.5rem 0 1rem !important; font-size: clamp(1.1rem, 0.55rem + 2.6vw, 1.75rem) !important; }
[role="dialog"] h2 { padding: 1rem 1.5rem 0.25rem !important; }
/* words on any ground of ours, and in code, have a contrast of 4.5 to 1 */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] :is(p, li) {
    color: light-dark(#55606E, #A3AFBC); opacity: 1;
}
[data-testid="stButtonGroup"] [aria-checked="true"] p { color: light-dark(#00588A, #56B4E9); }
[data-testid="stCode"] :is(.token.comment, .linenumber) {
    color: light-dark(#5B6570, #9AA7B4) !important; opacity: 1 !important;
}
[data-testid="stCode"] .token:is(.number, .boolean, .builtin) { color: light-dark(#0B6B5E, #4FD1C0) !important; }
[data-testid="stCode"] .token.string { color: light-dark(#0A6B2A, #6FD08C) !important; }
[data-testid="stCode"] .token:is(.keyword, .function) { color: light-dark(#0A5FB4, #6CB6FF) !important; }
[data-testid="stBaseButton-primary"] { color: light-dark(#FFFFFF, #0F1419); }
@media (prefers-reduced-motion: reduce) {
    *, ::before, ::after {
        animation-duration: 1ms !important; animation-iteration-count: 1 !important;
        transition-duration: 1ms !important; scroll-behavior: auto !important;
    }
}
@media (max-width: 1100px) {
    [data-testid="stButtonGroup"] [data-variant="segmented_control"] { border-radius: 8px; margin: 0 0.25rem 0 0; }
    [data-testid="stButtonGroup"] [data-variant="segmented_control"]:not([aria-checked="true"]) {
        border-color: light-dark(#D8DEE4, #2B3641) !important;
    }
    h1 { padding-right: 0 !important; }
    .st-key-page_path > :has([data-testid="stButtonGroup"]) { order: 1; width: 100%; }
}
@media (min-width: 769px) {
    .st-key-page_path [data-testid="stColumn"]:not(:has([data-testid="stSlider"])) { flex: 0 0 auto; width: auto; }
    .st-key-page_path [data-testid="stColumn"]:has([data-testid="stSlider"]) { flex: 1 1 0; min-width: 0; }
}
@media (min-width: 769px) and (max-width: 1100px) {
    h1 { font-size: 1.75rem !important; }
    h2 { font-size: 1.4rem !important; }
}
/* where the menu is touched, the sign that closes it stands above its first row, and not over it */
/* a menu is placed while it is still empty: beside the button where it has room also once it is filled */
[data-testid="stPopoverBody"] { min-height: min(24rem, 45vh); }
@media (max-width: 899px), (max-height: 499px) {
    .stMainBlockContainer { padding-top: 3.5rem; }
    /* a bar of its own, under which the page scrolls */
    [data-testid="stHeader"] {
        height: 3rem; min-height: 3rem; background: light-dark(#FFFFFF, #0F1419);
        border-bottom: 1px solid light-dark(#E3E7EC, #26303A);
    }
    [data-testid="stMain"] { scroll-padding-top: 3.5rem; }
    /* the sign that closes the menu stays where it is, whatever is scrolled below it */
    [data-testid="stSidebarHeader"] {
        height: 3rem; position: sticky; top: 0; z-index: 2; background: light-dark(#F3F5F7, #182028);
    }
    [data-testid="stExpandSidebarButton"] { width: auto !important; padding: 0 0.5rem; }
    [data-testid="stExpandSidebarButton"]::after {
        content: "Menu"; font-size: 0.875rem; white-space: nowrap;
    }
    /* in the bar, too, a way to the controls alone (attn/ui/width.py) */
    .attn-controls {
        display: block; position: fixed; z-index: 999990; top: 0.25rem; left: 6.25rem; height: 2.5rem;
        padding: 0 0.75rem; font: inherit; font-size: 0.875rem; color: inherit; background: none; border-radius: 8px;
        border: 1px solid light-dark(#8A95A1, #6B7885);
    }
    .attn-controls[aria-expanded="true"] { color: light-dark(#00588A, #56B4E9); border-color: currentcolor; }
    body[data-controls] [data-testid="stSidebarUserContent"] [data-testid="stVerticalBlock"]
    > :is(:has(hr), :has(~ * hr)) {
        display: none;
    }
    /* what is touched is as large as a finger, and as far from the next */
    :is([data-testid="stMain"], [data-testid="stSidebar"])
    :is([data-testid="stButton"], [data-testid="stPopover"], [data-testid="stButtonGroup"]) button {
        min-height: 2.75rem; min-width: 2.75rem;
    }
    [data-testid="stButtonGroup"] [role="radiogroup"] { gap: 0.4rem; }
    [data-testid="stTab"] { min-height: 2.75rem; min-width: 2.75rem; flex: none; justify-content: center; }
    [data-testid="stTabs"] :is([data-testid="stTabsScrollLeft"], [data-testid="stTabsScrollRight"]) {
        flex: none; width: 2.75rem; height: 2.75rem; color: light-dark(#00588A, #56B4E9);
    }
    :is([data-testid="stTabsScrollLeft"], [data-testid="stTabsScrollRight"]) svg { width: 1.75rem; height: 1.75rem; }
    /* the steps stand in one row, which scrolls: in several they would push the figure out of sight */
    .st-key-page_path [role="radiogroup"] {
        flex-wrap: nowrap; position: relative; overflow: auto hidden; scrollbar-width: none;
    }
    .st-key-page_path [role="radiogroup"] > button { flex: none; }
    [data-testid="stMain"] [data-testid="stPageLink-NavLink"] { min-height: 2.75rem; }
    [data-testid="stMain"] summary { padding-top: 0.7rem; padding-bottom: 0.7rem; }
}
/* a finger finds the question mark, also of a large screen, and reads what it says (WCAG 2.2, 2.5.8) */
@media (max-width: 899px), (max-height: 499px), (pointer: coarse) {
    [data-testid="stTooltipIcon"] button { position: relative; min-height: 1.5rem; min-width: 1.5rem; }
    [data-testid="stTooltipIcon"] button::after { content: ""; position: absolute; inset: -0.6rem; }
    [data-testid="stTooltipContent"] :is(p, li) { font-size: 1rem; }
    [data-testid="stTooltipContent"] { max-height: 70dvh; overflow-y: auto; }
}
/* who touches has no keys, nor the arrows that name them, and no pointer that would bring these two buttons */
@media (hover: none) {
    .st-key-page_path button kbd { display: none; }
    [data-testid="stSidebarCollapseButton"] { visibility: visible !important; }
    [data-testid="stCode"] [data-testid="stElementToolbarButton"] { visibility: visible; }
}
/* the signs of a figure under the pointer hang below it, beside its menu: above it they would cover words */
:has(> [data-testid="stVegaLiteChart"]) >
[data-testid="stElementToolbar"]:not(:has([aria-label="Close fullscreen"])) { top: 100% !important; }
/* a figure has its numbers and its files below it: of its signs only the one that makes it fill the window stays */
:has(> [data-testid="stVegaLiteChart"]) > [data-testid="stElementToolbar"]
[data-testid="stElementToolbarButton"]:not(:has([aria-label="Fullscreen"], [aria-label="Close fullscreen"])) {
    display: none;
}
/* the signs of a figure that was touched stand as long as one may want them, and not until something else is */
@media (hover: none) {
    :hover > [data-testid="stElementToolbar"] { animation: attention-lab-gone 1ms 4s forwards; }
}
@keyframes attention-lab-gone { to { visibility: hidden; } }
@media (max-width: 768px) {
    /* the menu lies over the page: what is touched beside it closes it, and does nothing else (attn/ui/width.py) */
    [data-testid="stSidebar"][data-collapsed="false"]::after {
        content: ""; position: absolute; inset: 0 -100vw 0 100%;
        background: light-dark(rgb(0 0 0 / 0.35), rgb(0 0 0 / 0.6));
    }
    /* the controls come up from below: above them the figure that they change is seen, and the page scrolled */
    body[data-controls] [data-testid="stSidebar"][data-collapsed="false"] {
        position: fixed !important; inset: auto 0 0 !important; width: 100vw !important; max-width: none !important;
        height: SHEETdvh !important; border-top: 1px solid light-dark(#8A95A1, #6B7885);
        box-shadow: 0 -4px 16px rgb(0 0 0 / 0.25);
    }
    body[data-controls] [data-testid="stSidebar"]::after { display: none; }
    body[data-controls] .stMainBlockContainer { padding-bottom: calc(SHEETdvh + 2rem); }
    /* who opens the menu of a phone looks for pages and controls; what a speaker needs comes after them */
    :has(> .st-key-speaker) { order: 1; }
    .stMainBlockContainer { padding: 3.5rem 1rem 2rem; }
    .attn-menu { row-gap: 0.5rem; }
    /* what is said of typing would stand over what was typed */
    [data-testid="InputInstructions"] { display: none; }
    /* a slider is as wide as the page, so that a finger finds each of its steps */
    [data-testid="stMain"] .stHorizontalBlock > .stElementContainer:has([data-testid="stSlider"]) { flex-basis: 100%; }
    [data-testid="stMain"] .stElementContainer:has([data-testid="stSlider"]) { width: 100% !important; }
    [data-testid="stElementContainer"] :has(> [data-testid="stSlider"]) { width: 100% !important; }
    [data-testid="stDownloadButton"] button { padding: 0.25rem 0; min-height: 2.75rem; }
    [data-testid="stDownloadButton"] p { font-size: 0.8rem; text-decoration: underline; }
    [data-testid="stDownloadButton"] span:has(> [data-testid="stIconMaterial"]) { display: none; }
    .stHorizontalBlock:has(> * > [data-testid="stDownloadButton"]) { gap: 0.25rem 0.75rem; }
    .st-key-page_path { column-gap: 0.5rem; row-gap: 0.5rem; }
    .st-key-page_path [data-testid="stColumn"] { flex: 0 0 auto; width: auto; min-width: 0; }
    .st-key-page_path [data-testid="stColumn"]:has([data-testid="stSlider"]) { order: 1; width: 100%; }
}
</style>"""
LARGE_STYLE = """<style>
.stMainBlockContainer :is(p, li, th, td, input, summary, [data-baseweb="select"]) {
    font-size: clamp(1.25rem, 0.9rem + 1vw, 1.5rem) !important; line-height: 1.4;
}
.stMainBlockContainer :is([data-testid="stCaptionContainer"], [data-testid="stDownloadButton"]) :is(p, li) {
    font-size: 1.25rem !important;
}
/* the menu takes its icons' room for larger words, so that the controls below stay where they are reached */
.attn-menu { column-gap: 0.2rem; }
.attn-menu a { padding: 0.3rem 0.2rem; font-size: 1.2rem; line-height: 1.25; }
.attn-menu a > :first-child { display: none; }
[data-testid="stSidebarUserContent"]
:is(p, li, summary, input, textarea, [data-baseweb="select"], [data-testid="stSelectbox"] *):not(.attn-menu *) {
    font-size: 1.125rem !important;
}
.stMainBlockContainer .katex-display { font-size: 1.2rem; }
.st-key-page_path > :has([data-testid="stButtonGroup"]) { order: 1; width: 100%; }
/* the number of a slider stands above its track */
[data-testid="stSlider"] [role="group"] { margin-top: 0.9rem; }
[data-testid="stSliderThumbValue"] { bottom: 100%; top: auto; }
.stMainBlockContainer [data-testid="stMetricValue"] { font-size: 2.75rem; }
.stMainBlockContainer :is(pre, code) { font-size: 1.25rem !important; }
/* in a low window what stands above the figure is kept low, and the steps stand in one row where they fit */
@media (min-width: 900px) and (min-height: 500px) and (max-height: 899px) {
    .stMainBlockContainer { padding-top: 0; }
    .stMainBlockContainer h1 { font-size: 1.6rem !important; padding-bottom: 0.3rem !important; }
    .stMainBlockContainer h2 { font-size: 1.4rem !important; }
    .stMainBlockContainer [data-testid="stVerticalBlock"] { gap: 0.5rem; }
    .stMainBlockContainer :is(p, li) { font-size: 1.25rem !important; line-height: 1.3; }
    .stMainBlockContainer [data-testid="stAlert"] :is(p, li) { font-size: 1rem !important; }
    .stMainBlockContainer [data-testid="stAlertContainer"] { padding: 0.5rem 0.75rem; }
    .st-key-page_path [data-testid="stSlider"] [data-testid="stWidgetLabel"] { display: none; }
    .stMainBlockContainer [data-testid="stButtonGroup"] p { font-size: 1.125rem !important; }
}
</style>"""
STYLE = STYLE.replace("FRAMES", FRAMES).replace("ARROW", _ARROW).replace("SHEET", str(SHEET))


def begin_page(page, title, cls):
    """Draw the frame of a page and return its choices.

    Parameters
    ----------
    page : str
        The page's key in the menu.
    title : str
        A question or a claim.
    cls : type
        The page's Setup, see `attn.ui.link`.

    Returns
    -------
    PageState
    """
    _share_machine()
    collector.collect()
    find_page(page)
    st.session_state[_BELOW] = _nothing
    label = next(entry.label for entry in (*MENU, TALK) if entry.page == page)
    st.set_page_config(page_title=f"{label} · Attention Lab", page_icon=_ICON, layout="wide")
    state = PageState(page, cls)
    follow_story()
    keep_sentence_of_link(state)
    look = chosen_look()
    st.html(STYLE + LARGE_STYLE * look.large + PRESENT_STYLE * look.present)
    begin_embedding()
    with st.sidebar:
        if not embedded_page():
            menu_links(page)
        page_keys()
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if not embedded_page():
                _large_control()
            if len(dataclasses.fields(cls)) > _FEW:
                _reset_button(state)
        if not embedded_page():
            with st.container(key="speaker"):
                present_controls(state)
            st.divider()
        if not embedded_figure():
            measure_page_room()
    if embedded_figure():
        measure_page_room()  # where another page holds this one, its sidebar is not even drawn
    elif page not in (HOME.page, TALK.page):
        with st.container(key="controls"):  # small windows alone show it
            st.html('<button type="button" class="attn-controls" aria-expanded="false">Controls</button>')
    st.title(title, anchor=False)
    story_card(state)
    st.session_state[_SPEAKS] = story_speaks(state)
    st.session_state["story.first"] = _place_of_what_comes_first(page)
    if st.session_state["story.first"]:
        _rest_control()
    if missed := address_missed():
        st.warning(
            f"There is no page at {as_text('/' + shortened(missed))}, so this is Home. "
            "All pages are in the menu, and below under “Ways in”."
        )
    for notice in server().notices:
        st.warning(as_text(notice))
    if page != "home":  # which offers it among its examples
        own_sentence_offer(state)
    return state


def _place_of_what_comes_first(page):
    """Return what a story's screen shows first, with a place for it under the card; None is the page's own order."""
    now = story_now()
    return (now.screen.first, st.container()) if now and now.screen.page == page and now.screen.first else None


def _rest_control():
    """Draw the switch that shows the rest of the page, whose figure or tab a story's screen is about."""
    rest = st.toggle("Show the rest of this page", key="story_rest")
    if not rest and not chosen_look().present:
        st.html(_FIRST_ALONE)


def _taken_to_the_top(what):
    """Return the place of what a story's screen shows first if it is this, once a run."""
    first, place = st.session_state.get("story.first") or (None, None)
    if first != what:
        return None
    st.session_state["story.first"] = None
    return place


def _large_control():
    """Draw the switch for a hall, which holds on every page."""
    st.session_state["look.large"] = chosen_look().large  # each page has a widget of its own

    def take():
        choose_look(large=st.session_state["look.large"])

    st.toggle(
        "Large", key="look.large", on_change=take,
        help="For a hall: words are large, and those in figures at least 24 pixels high. The link says so, too.",
    )  # fmt: skip


def _reset_button(state):
    """Draw the button that undoes every choice of a page."""
    st.button(
        "Reset this page", on_click=state.reset, disabled=not to_link(state.choices())[0], key=state.key("reset"),
        icon=":material/restart_alt:", type="tertiary",
        help="Puts every control of this page back to where it stood at first, the text too.",
    )  # fmt: skip


@functools.cache
def _share_machine():
    """Let numpy compute with one thread and all threads share their memory, once a server.

    Visitors share the cores, and threads that wait burn them.
    """
    share_arenas()
    one_thread()


def page_theme():
    """Return the chart colours of the theme the visitor has, or light ones where these were chosen for all figures.

    With words for a hall, numbers in cells may be as small as on a laptop where there is no room for larger ones, and
    presented on a phone on its side as small as can be read there.
    """
    look = charts.LIGHT if chosen_look().light else _theme_around()
    small = chosen_look().large or presented_low()
    return dataclasses.replace(look, number_size=least_number()) if small else look


def _theme_around():
    """Return the colours of the theme that the words of the page have."""
    return charts.theme_named(st.context.theme.type or "light")


def page_path(state, name, stages):
    """Draw the stages as a path to walk forward and back and to skip along.

    Parameters
    ----------
    state : PageState
    name : str
        The choice that holds the stage.
    stages : dict of str to str
        Key -> label, in order.
    """
    keys = list(stages)
    at = keys.index(state.get(name))

    def go(step):
        walk_story(state, name, keys[at + step] if 0 <= at + step < len(keys) else None, step)

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="page_path"):
        if st.session_state.get(_SPEAKS):
            st.html(_STORYS_WAY)  # the way on is then the story's, and these are for keys alone
        st.button(
            "Back", on_click=go, args=(-1,), disabled=at == 0 and not story_beyond(state, -1), shortcut="Left",
            key=state.key("back"), help="One step back; the left arrow key does the same.",
        )  # fmt: skip
        st.segmented_control(
            "Step", keys, format_func=stages.get, key=state.key(name), required=True, label_visibility="collapsed"
        )
        st.button(
            "Step on", on_click=go, args=(1,), disabled=at == len(keys) - 1 and not story_beyond(state, 1),
            shortcut="Right", type="secondary" if chosen_look().story else "primary",
            key=state.key("next"), help="To the next step; the right arrow key does the same.",
        )  # fmt: skip


def page_path_columns():
    """Return places for a step back, a slider and a step on, in a row; on a phone the slider goes below."""
    with st.container(key="page_path"):
        return st.columns([1.3, 8, 1.5], vertical_alignment="bottom")


def page_formula(result="A", mask=""):
    """Return scaled dot-product attention as LaTeX, every letter in the colour of its role.

    Parameters
    ----------
    result : {"A", "Z"}
        The weights, or the context as well.
    mask : str
        What is added to the scores.
    """
    q, k, v, z = (rf"\textcolor{{{_theme_around().role(name)}}}{{{letter}}}" for name, letter in _LETTERS.items())
    weights = rf"\mathrm{{softmax}}\!\left(\frac{{{q}\,{k}^\top}}{{\sqrt{{d_k}}}}{mask}\right)"
    return rf"{z} = {weights}\,{v}" if result == "Z" else f"A = {weights}"


def page_tabs(state, labels, shown):
    """Draw tabs that the link remembers by their keys, and what belongs into the open one.

    Parameters
    ----------
    state : PageState
        Of a page whose Setup has a `tab`.
    labels : dict of str to str
        Key -> label, in order; where the chosen one is not among them, the first is open.
    shown : dict of str to callable
        Key -> function without arguments that draws the tab; only that of the open one is called.
    """
    chosen = state.get("tab") if state.get("tab") in labels else next(iter(labels))
    if place := _taken_to_the_top(TAB):
        with place:
            shown[chosen]()
        shown = shown | {chosen: lambda: st.caption("This tab stands at the top, under the card of the story.")}
    remembered_tabs(f"{state.page}.tab.label", labels, shown, chosen, lambda name: state.set(tab=name))


def remembered_tabs(key, labels, shown, chosen, choose):
    """Draw tabs of which one is open, and what belongs into that.

    Parameters
    ----------
    key : str
        Of the widget.
    labels : dict of str to str
    shown : dict of str to callable
        As for `page_tabs`.
    chosen : str
        The key of the open one.
    choose : callable
        Called with the key of another that is opened.
    """
    if embedded_figure():  # the browser draws nothing in a tab whose row is hidden
        shown[chosen]()
        return
    named = {label: name for name, label in labels.items()}
    st.session_state[key] = labels[chosen]  # Streamlit knows a tab by its label alone

    def take():
        choose(named[st.session_state[key]])

    for name, tab in zip(labels, st.tabs(list(named), key=key, on_change=take), strict=True):
        if tab.open:
            with tab:
                shown[name]()


def page_token_control(state, label, names, side=0, places=None):
    """Draw the choice of the token that looks (side 0) or is looked at (side 1), for those who do not click.

    Parameters
    ----------
    state : PageState
        Of a page whose Setup has a `cell`.
    label : str
    names : list of str
        The tokens' labels.
    side : {0, 1}
    places : list of int, optional
        Position in the text of each, ascending; by default one after the other.
    """
    key = f"{state.page}.token.{side}"
    places = range(len(names)) if places is None else places
    st.session_state[key] = max(bisect_right(places, state.get("cell")[side]) - 1, 0)

    def take():
        cell = list(state.get("cell"))
        cell[side] = places[st.session_state[key]]
        state.set(cell=tuple(cell))

    st.selectbox(label, range(len(names)), format_func=names.__getitem__, key=key, on_change=take)


def page_columns(shares, figures=False, first=0):
    """Return columns side by side, or containers one above the other where there is no room for columns.

    Parameters
    ----------
    shares : list of float
        How the width is shared out.
    figures : bool, default False
        Whether each holds a figure as wide as `page_share` says, which may be all of the page.
    first : int, default 0
        Which of them comes first where they stand one above the other.
    """
    alone = figures and page_share(min(shares) / sum(shares)) >= page_width()
    if page_width() >= _COLUMNS and not alone:
        return st.columns(shares)
    places = [st.container() for _ in shares]
    places.insert(first, places.pop(0))
    return places


def page_reading(sentence, formula=None, shapes=None, terms=(), beside=None):
    """Say how to read the figure below, with the formula of the step and the shapes in view.

    The formula stands beside the words, or below them where there is no room for both. The terms of the field that
    the sentence uses, and the others named in `terms`, are explained in its help. `beside` draws what stands beside
    the shapes. Of a page's first reading the shapes stand below the figure, which is to be seen first; on a phone, and
    with words for a hall in a low window, the formula does so, too. While the card of a story says what is to be seen,
    the first reading is folded away below its figure.
    """
    first = st.session_state.get(_BELOW) is _nothing
    folded = first and st.session_state.get(_SPEAKS)
    low = (window_low_for_hall() or page_held()) and first

    def say():
        words, mathematics = page_columns([3, 2]) if formula and not low else (st.container(), st.container())
        words.markdown(sentence, help=terms_help(sentence, *terms))
        if formula and not low:
            mathematics.latex(formula)
        return words

    def rest(words=st):
        if shapes and not beside:
            words.caption(shapes)
        if formula and low:
            st.latex(formula)
        if beside:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.caption(shapes, width="content")
                beside()
        if folded:
            with st.expander("More about this figure"):
                say()

    words = None if folded else say()
    if first:
        st.session_state[_BELOW] = rest
    else:
        rest(words)


def _nothing():
    """Draw nothing: no reading was drawn yet."""


def page_footnote(text, about="Footnote"):
    """Fold away what only some readers look for: details, exceptions, and where a paper differs from itself."""
    with st.expander(about):
        st.markdown(text, help=terms_help(text))


def page_ask(state, sentence, say=st.info, instead=()):
    """Keep the link, show one sentence in place of the figure, and stop the page there.

    Parameters
    ----------
    state : PageState
    sentence : str
    say : callable
    instead : iterable of (str, dict)
        Choices that would help: a button for each, by its label.
    """
    state.commit()
    first = sentence.split()[0]
    is_name = not first.isalpha() or first == getattr(state.choices(), "model", None)
    sentence = sentence if is_name else capital(sentence)  # a name keeps its spelling
    say(as_text(sentence.rstrip(".") + "."))
    if instead:
        st.caption("Correct it among the controls, or choose one of these:")
    with st.container(horizontal=True):
        for label, choices in instead:
            st.button(as_text(label), key=f"{state.page}.instead.{label}", on_click=state.set, kwargs=choices)
    page_next(state)
    st.stop()


def page_draw(chart, key=None, *, on_select="ignore"):
    """Show a chart alone, and return its specification, which a file can be made of.

    Parameters
    ----------
    chart : altair.Chart, its specification or functools.partial
        A function of a module with all that it draws: what it returned before for the same is taken, whoever asked.
    key : str, optional
        Unique on the page; what can be clicked must have one.
    on_select : "ignore" or callable
        Called after a click or a drag.

    Returns
    -------
    dict
        As `attn.charts.specification` returns it.
    """
    spec = _finished(chart)
    _show(spec, key, on_select)
    return spec


def _finished(chart):
    """Return the specification of a chart as it is drawn here."""
    room = page_width()

    def finish(drawn):
        spec = charts.fit_to_room(charts.specified(drawn), room, window_figure_height())
        return charts.enlarged(spec, page_enlargement())

    kept = isinstance(chart, functools.partial)
    return finished_once(chart, (*window_measures(), room, page_theme()), finish) if kept else finish(chart)


def _show(spec, key, on_select):
    """Show a finished chart."""
    st.vega_lite_chart(dict(spec), theme=None, width="content", key=key, on_select=on_select)


def _line_of(spec, line):
    """Return the line that stands with a presented figure, which says so where its cells have lost their numbers.

    A map of layers and heads, whose rows are counted and have no names, never has any.
    """
    if not presented_low():
        return line
    tables = [table for table in spec.get("datasets", {}).values() if 0 < table.num_rows <= MOST_NUMBERS]
    cells = [table for table in tables if {"shade", "down"} <= set(table.column_names)]
    named = any(not table["down"][0].as_py().isdigit() for table in cells)
    if not named or any("ink" in table.column_names for table in tables):
        return line
    return f"{line}{' · ' * bool(line)}No room for numbers: the page has them as a table"


def page_figure(chart, key, *, tables=None, on_pick=None, codes=None, above=None, line="", measured=None):
    """Show a chart, and under it the menu of what can be taken away of it.

    Parameters
    ----------
    chart : altair.Chart or functools.partial
        As in `page_draw`.
    key : str
        Unique on the page.
    tables : dict of str to callable, optional
        File name without ending -> function that returns the CSV text when it is asked for.
    on_pick : callable, optional
        Called with what was clicked, such as ``row=2, column=3`` or ``head=4``.
    codes : callable, optional
        Returns the `Codes` that make this picture; called when somebody takes them away.
    above : callable, optional
        Draws the controls and the words of this figure above it, also where a story's screen shows it first.
    line : str, optional
        Markdown that stands with it where it is presented: what was read or changed, and what came of it.
    measured : attn.ui.take_away.Measured, optional
        What files say of it instead of the page's layer, head and sentence.
    """
    if place := _taken_to_the_top(key):
        st.caption("This figure stands at the top of the page, under the card of the story.")
        with place:
            page_figure(
                chart, key, tables=tables, on_pick=on_pick, codes=codes, above=above, line=line, measured=measured
            )
        return
    if above:
        above()
    on_select = "ignore" if on_pick is None else _picker(key, on_pick)
    if embedded_figure():
        if place := place_alone(key):
            with place:
                page_draw(chart, key, on_select=on_select)
        return
    spec = _finished(chart)
    present_line(key, _line_of(spec, line))
    _show(spec, key, on_select)
    figure_menu(spec, key, tables, codes, measured)
    if below := st.session_state.pop(_BELOW, None):
        below()


def _picker(key, on_pick):
    """Return a callback that hands the newest click in a chart to `on_pick`."""

    def picked():
        now = dict(st.session_state[key].selection)
        before = st.session_state.get(f"{key}.before", {})
        st.session_state[f"{key}.before"] = now
        for name, points in now.items():  # a chart of several pictures remembers a click in each
            if points and points != before.get(name):
                on_pick(**points[-1])

    return picked


def page_next(state):
    """Draw the way on, of the story that runs or to the next page, and see whether a story's task was done."""
    with st.sidebar:
        take_along(state)
    if not story_foot(state) and not embedded_page():
        next_page_link(state.page)
    if not embedded_page():
        present_code(state.page)
        with st.sidebar:
            own_story_control(state)
            page_keys_list()
    judge_task(state)


def page_sources(state):
    """Name and link what a page stands on; only the way on comes below."""
    end_embedding()
    with st.container(key="page_foot"):
        st.divider()
        st.markdown("\n".join(["**Sources**", "", *map(source_in_markdown, PAGE_SOURCES[state.page])]))
