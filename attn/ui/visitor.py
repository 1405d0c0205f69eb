"""Who looks at a page: whether it is still open, and from which browser."""

import binascii
import threading
import time
from itertools import cycle
from typing import NamedTuple

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

_TOKEN = "_streamlit_xsrf"  # the cookie by which Streamlit knows a browser again: 2|mask|masked token|time
GONE = 8  # seconds out of reach after which a page counts as left: a browser may lose its way for a moment
_MOST_AWAY = 1000  # pages that are remembered to be out of reach
_away, _away_lock = {}, threading.Lock()  # session -> when it was first seen out of reach


class Visit(NamedTuple):
    """One page that is open in a browser, from its first run until it is closed or loaded anew."""

    session: str | None  # None outside a running server
    browser: str  # the same for all pages of one browser

    @property
    def is_away(self):
        """Whether the page has been closed or loaded anew, or its browser is out of reach at the moment."""
        served = self.session is not None and runtime.exists()
        return served and not runtime.get_instance().is_active_session(self.session)

    @property
    def is_over(self):
        """Whether the page has been left: it was seen away some seconds ago, and never back whenever this was asked."""
        away, now = self.is_away, time.monotonic()
        with _away_lock:
            if not away:
                _away.pop(self.session, None)
                return False
            first = _away.setdefault(self.session, now)
            if len(_away) > _MOST_AWAY:
                del _away[next(iter(_away))]  # which begins anew if somebody still asks
        return now >= first + GONE


def this_visit():
    """Return the visit for which the script runs in this thread."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return Visit(None, "")
    return Visit(context.session_id, _browser(st.context.cookies.get(_TOKEN, "")) or context.session_id)


def end_if_visitor_left():
    """End this run of a page, as `st.stop` does, if nobody has it open any more."""
    if this_visit().is_over:
        st.stop()


def while_visited(items):
    """Yield items as long as somebody has the page open; then end its run."""
    for item in items:
        end_if_visitor_left()
        yield item


def _browser(cookie):
    """Return the token in a cookie, which is masked anew with every page; an empty string where there is none."""
    try:
        _, mask, masked, _ = cookie.split("|")
        pairs = zip(binascii.unhexlify(masked), cycle(binascii.unhexlify(mask)))  # the mask again and again
        return bytes(one ^ other for one, other in pairs).hex()
    except ValueError:  # binascii.Error is one
        return ""
