"""One page's choices between the link, the widgets and the code.

The link is read when the page opens and whenever it is changed from outside (another link, the
address bar); after that the widgets hold the truth and the link is rewritten to match. Widgets
have keys ``page.name``; the choice of a widget that is off the screen is kept in the last Setup.

A script in pages/ calls its PageState ``page``; what it calls in attn.ui takes it as ``state``, for
there ``page`` is the page's key in the menu.
"""

import dataclasses
import re
import string
import time

import streamlit as st

from attn.ui.link import from_link, link_choice, link_flag, link_string, link_whole, link_wholes, to_link
from attn.ui.settings import visitor_settings

CODE_TABS = {"numpy": "From scratch in numpy", "attn": "With attn", "draw": "Draw it"}

_SHOWN, _OPENED = "page.shown", "page.opened"  # where the session holds the page that is run, and settings for one
_LAG = 1.0  # seconds in which a browser shows a link that it was sent, unless it is busy
_SHAPING = "\u200c\u200d\u2068\u2069"  # join letters and emoji; keep right-to-left text apart from its neighbours
_SEAM = ":gray[]"  # an element with nothing in it, which the browser neither shows nor copies
_TORN = re.compile(r"(?<=[:@])(?=.)|(?<=www)(?=\.)|(?<=[-<>~])(?=[-=>])", re.IGNORECASE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Look:
    """What a person chose once for all pages; every page's link says it beside the page's own choices."""

    large: bool = link_flag(False)
    present: bool = link_flag(False)
    light: bool = link_flag(False)  # figures in light colours, whatever the theme: files for a paper are so, too
    code: str = link_choice("numpy", CODE_TABS)
    story: str = link_string("")  # that runs, see `attn.ui.stories.running`; empty: none
    screen: int = link_whole(1, 1, 999)  # of the story
    done: tuple = link_wholes()  # what was done of its tasks, by their numbers


LOOK = tuple(field.name for field in dataclasses.fields(Look))


def chosen_look():
    """Return what was chosen for all pages."""
    return st.session_state.get("look", Look())


def choose_look(**choices):
    """Change what was chosen for all pages; in a callback."""
    st.session_state["look"] = dataclasses.replace(chosen_look(), **choices)


def _split_look(link):
    """Return what a link says of the page, and what it says of all pages."""
    return {n: v for n, v in link.items() if n not in LOOK}, {n: v for n, v in link.items() if n in LOOK}


def _read_look(link):
    """Take what a link says of all pages, unless it is only one that a run wrote before, and return notices."""
    when = st.session_state.get("look.replaced", {}).get(tuple(link.items()), -_LAG)
    if link == st.session_state.get("look.link", {}) or not link or time.monotonic() < when + _LAG:
        return []
    st.session_state["look"], notices = from_link(Look, link)
    st.session_state["look.link"] = link
    return notices


def lagging_looks():
    """Return what addresses say of all pages, in their order, with which a browser may lag behind this run.

    Returns
    -------
    set of tuple of (str, str)
        Of a link whose part on all pages is among them nobody could tell whether it was just clicked.
    """
    shown = _split_look(st.query_params.to_dict())[1]
    return {tuple(shown.items()), *st.session_state.get("look.replaced", {})}


class PageState:
    """The choices of one page during one run of its script."""

    def __init__(self, page, cls):
        self.page, self.cls, self._said, self.just_read = page, cls, False, False
        self._codecs = {field.name: field.metadata["codec"] for field in dataclasses.fields(cls)}
        self._names = list(self._codecs)
        self.told = {}  # by this run, see `tell`
        self.led = {}  # what links to other pages say of a choice otherwise than the page's own, see `lead`
        self._longest = visitor_settings().text_length
        st.session_state.setdefault("look", Look())  # what is not there takes ten times as long to ask for
        link, look = _split_look(st.query_params.to_dict())
        known = st.session_state.get("links", {}).get(page), st.session_state.get("look.link")
        # a link within a page to that page leaves the browser's address as it was
        self._address_lags = st.session_state.get("page.run") == page and known != (link, look)
        st.session_state["page.run"] = page
        notices = _read_look(look)
        # what the browser has not caught up with says of all pages what it said before: a screen's link does not
        self._is_new = st.session_state.get("look.link") != known[1]
        st.session_state[_SHOWN] = page
        opened = st.session_state.pop(_OPENED, None)
        if opened and opened[0] == page:
            self._read_link(opened[1], notices)
            st.session_state["links"] = st.session_state.get("links", {}) | {page: link}
        if st.session_state.setdefault("links", {}).get(page) != link and not self._late(link):
            self._read_link(link, notices)
        last = st.session_state[f"{page}.last"]
        for name in self._names:
            self._keep(name, getattr(last, name))

    def _late(self, link):
        """Return whether the browser only has not caught up with the link that the last run wrote.

        It sends the link it shows with every change of a widget, so while a slider is dragged that
        link is older than the choices, and must not undo them.
        """
        last = st.session_state.get(f"{self.page}.last")
        if self._is_new:
            return False
        keys = [(self.key(name), name) for name in self._names]
        if last and any(key in st.session_state and self.get(name) != getattr(last, name) for key, name in keys):
            return True
        replaced, when = st.session_state.get(f"{self.page}.replaced", (None, 0))
        return link == replaced and time.monotonic() < when + _LAG

    def _keep(self, name, last):
        """Keep a choice alive while its widget is off the screen, or is made anew with another range.

        Setting a key tells the browser its value. That is left out for what the browser has just
        changed, so that a slider still on its way is not pushed back.
        """
        key = self.key(name)
        if key not in st.session_state or self.get(name) == last:
            st.session_state[key] = last
        elif _has_words(st.session_state[key]) or self._is_label(name, st.session_state[key]):
            st.session_state[key] = self.get(name)

    def _read_link(self, link, notices):
        setup, more = from_link(self.cls, link, self._longest)
        for name in self._names:
            st.session_state[self.key(name)] = getattr(setup, name)
        st.session_state[f"{self.page}.last"] = setup
        st.session_state[f"{self.page}.notices"] = (None, notices + more)
        self.just_read = True  # the link, in this run

    def reset(self):
        """Undo every choice, as the page's address alone would; in a callback."""
        self._read_link({}, [])

    def say_of_link(self, sentence):
        """Say what else the link that was just read could not give; `commit` shows it beside what it found itself."""
        read, notices = st.session_state[f"{self.page}.notices"]
        st.session_state[f"{self.page}.notices"] = (read, [*notices, sentence])

    def key(self, name):
        """Return the widget key of the choice `name`."""
        return f"{self.page}.{name}"

    def get(self, name):
        """Return the present value of the choice `name`."""
        value = st.session_state[self.key(name)]
        if _has_words(value):
            return self._from_words(name, value)
        if self._is_label(name, value):
            return self._from_label(name, value)
        if isinstance(value, str):  # a browser sends no more than its widget takes; another program might
            return value[: self._longest]
        return tuple(value) if isinstance(value, list) else value  # some widgets hold lists, a Setup does not

    def _from_words(self, name, value):
        """Read chosen options that came back as their labels, such as "3 animal" and "7: 9", which begin as in a link.

        They do when the options changed in a run that was cut off: the browser still shows, and sends, the old ones.
        """
        read = self._codecs[name].read
        try:
            each = [read(item.split()[0].rstrip(":")) if isinstance(item, str) else (item,) for item in value]
        except (ValueError, IndexError):
            return getattr(st.session_state[f"{self.page}.last"], name)
        return tuple(dict.fromkeys(item for items in each for item in items))

    def _is_label(self, name, value):
        """Return whether one chosen option came back as what it was called when the browser was told of it."""
        options, default = self._codecs[name].options, getattr(self.cls, name)
        return isinstance(value, str) and (value not in options if options else not isinstance(default, str))

    def _from_label(self, name, label):
        """Read such a label where it begins as in a link, such as "2: A text"; else nothing was chosen."""
        try:
            if not self._codecs[name].options:
                return self._codecs[name].read(label.split()[0].rstrip(":"))
        except (ValueError, IndexError):
            pass
        return getattr(st.session_state[f"{self.page}.last"], name)

    def set(self, **choices):
        """Change choices before their widgets are drawn, or in a callback."""
        for name, value in choices.items():
            if self.get(name) != value:
                st.session_state[self.key(name)] = value

    def adjust(self, **choices):
        """Bring choices into what is possible before their widgets are drawn.

        The run may be cut off before `commit` remembers it, and the next must not take this for a
        change that the browser knows of.
        """
        changed = [name for name, value in choices.items() if self.get(name) != value]
        self.set(**choices)
        last = f"{self.page}.last"
        st.session_state[last] = dataclasses.replace(st.session_state[last], **{n: self.get(n) for n in changed})

    def clamp(self, name, low, high):
        """Bring a number into a range that depends on other choices."""
        self.adjust(**{name: min(max(self.get(name), low), high)})

    def choices(self):
        """Return everything chosen so far."""
        return self.cls(**{name: self.get(name) for name in self._names})

    def spelled(self):
        """Return everything chosen so far, each as a link spells it."""
        chosen = {name: self.get(name) for name in self._names}
        return {name: "" if value == () else self._codecs[name].write(value) for name, value in chosen.items()}

    def tell(self, **results):
        """Tell what the page computed, for a story to see what was done.

        Parameters
        ----------
        **results
            By the names of `attn.ui.stories.conditions.RESULTS`; and ``attention``, the texts of the tokens that look,
            of those that are looked at, and the weights between them.
        """
        self.told |= results

    def lead(self, **choices):
        """Say what links to other pages are to say of choices, where the page's own says what is of use to it alone.

        Parameters
        ----------
        **choices
            As a link spells them; empty to say nothing.
        """
        self.led |= choices

    def commit(self):
        """Return everything chosen, and make the link say the same."""
        setup = self.choices()
        shown = st.query_params.to_dict()
        params, left_out = to_link(setup)
        params |= {name: value for name, value in shown.items() if name.startswith("embed")}
        look, _ = to_link(chosen_look())
        if shown == params | look and self._address_lags:
            st.query_params.from_dict(shown)
        self._address_lags = False
        if shown != params | look:
            st.query_params.from_dict(params | look)
            before, seen = _split_look(shown)
            now = time.monotonic()
            st.session_state[f"{self.page}.replaced"] = (before, now)
            replaced = st.session_state.get("look.replaced", {})
            late = {each: when for each, when in replaced.items() if now < when + _LAG}
            st.session_state["look.replaced"] = late | ({tuple(seen.items()): now} if seen != look else {})
        st.session_state["links"][self.page], st.session_state["look.link"] = params, look
        st.session_state[f"{self.page}.last"] = setup
        self._say(setup, left_out)
        return setup

    def _say(self, setup, left_out):
        """Show once a run what the link could not give or cannot hold, until something is changed."""
        if self._said:
            return
        self._said = True
        key = f"{self.page}.notices"
        read, notices = st.session_state[key]
        if read is None:  # just read; what the page itself brought into range is no change
            read = setup
            st.session_state[key] = (read, notices)
        for notice in notices if read == setup else ():
            st.caption(f":material/info: {as_text(notice)}")
        if left_out:
            st.caption(
                f":material/info: Too long for a link, so a link to this page leaves out: {', '.join(left_out)}."
            )


def _has_words(value):
    """Return whether some of several chosen options are words: no Setup holds such."""
    return isinstance(value, list | tuple) and any(isinstance(item, str) for item in value)


def figure_place():
    """Return the page that is shown, by its key in the menu, and what is chosen on it."""
    page = st.session_state[_SHOWN]
    return page, st.session_state[f"{page}.last"]


def opened_settings(page, choices):
    """Have a page take these choices, as a link spells them, when it is opened next: a link may be too short for them.

    Parameters
    ----------
    page : str
        Its key in the menu.
    choices : dict of str to str
    """
    st.session_state[_OPENED] = page, choices


def link_of(page):
    """Return the query string with which `page` was last left, and what is chosen for all pages."""
    return st.session_state.get("links", {}).get(page, {}) | to_link(chosen_look())[0]


def as_text(text):
    """Return `text` so that Markdown shows it letter by letter, whatever it holds.

    Streamlit looks for addresses, emoji codes and arrows once the escapes are gone, piece by piece of what is between
    two elements. So such sequences are torn apart by an empty one: nothing becomes a link to click.
    """
    shown = "".join(character if character.isprintable() or character in _SHAPING else "�" for character in text)
    pieces = (re.sub(rf"([{re.escape(string.punctuation)}])", r"\\\1", piece) for piece in _TORN.split(shown))
    return _SEAM.join(pieces)
