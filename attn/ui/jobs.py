"""Long work in a thread of its own: a page watches it, stops it, and goes on meanwhile."""

import threading
import time
import weakref

import streamlit as st

from attn.pretrained.errors import ModelError, first_line
from attn.pretrained.threads import Stopped, heavy
from attn.ui.shared_results import say_shared_queue
from attn.ui.visitor import this_visit

PATIENCE = 90  # seconds without a look from its page after which work stops; a browser slows down what is not in view
_EVERY = 0.4  # seconds between two looks
_AGAIN = 1  # seconds between two looks at what a page that is away has begun
_LEFT = "The run ended because its page was left: begin it again, and stay until it is done."
_begun, _begun_lock = weakref.WeakSet(), threading.Lock()  # by whomever


class Job:
    """Work that has begun, waits for its turn among the heavy runs, and is watched.

    Parameters
    ----------
    work : callable
        Takes ``progress(done, total)`` and ``should_stop()``, and keeps its own result.
    alone : bool, default False
        Whether no other heavy run may go on meanwhile.
    about : object, optional
        What it is about: where it fails, the reason is said as long as the page is about something equal.
    """

    def __init__(self, work, *, alone=False, about=None):
        self.done, self.total, self.place = 0, 0, None
        self.error, self.key, self.about, self.visit = None, None, about, this_visit()
        self._stopped, self._seen = threading.Event(), time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(work, alone), daemon=True)
        self._thread.start()
        with _begun_lock:
            _begun.add(self)

    @property
    def running(self):
        """Whether it still waits or works."""
        return self._thread.is_alive()

    @property
    def stopped(self):
        """Whether somebody stopped it."""
        return self._stopped.is_set()

    def stop(self):
        """Ask it to give up soon."""
        self._stopped.set()

    def look(self):
        """Tell it that somebody still wants it."""
        self._seen = time.monotonic()

    @property
    def left(self):
        """Whether its page was left before it was done, or is away and may come back to it."""
        return self.visit.is_away and (self.running or self.error == _LEFT)

    def wait(self, seconds):
        """Wait for its end, at most so long."""
        self._thread.join(seconds)

    def _should_stop(self):
        if not self.stopped and (self.visit.is_over or time.monotonic() > self._seen + PATIENCE):
            self.error = _LEFT
        return self.stopped or self.error is not None

    def _progress(self, done, total):
        self.done, self.total = done, total

    def _run(self, work, alone):
        try:
            turn = {"alone": alone, "owner": self.visit.browser or None}
            with heavy(lambda place: setattr(self, "place", place), self._should_stop, **turn):
                self.place = None
                work(self._progress, self._should_stop)
        except Stopped:
            self._stopped.set()
        except ModelError as error:
            self.error = str(error)
        except (RuntimeError, MemoryError, OSError) as error:  # as torch says that memory is wanting; a full disk
            self.error = f"The run could not go on: {first_line(error)}"


def running_job(key):
    """Return the work under a key of the session if it still runs; of work that failed the reason is kept."""
    job = st.session_state.get(key)
    if job is not None and not job.running:
        del st.session_state[key]
        st.session_state[f"{key}.failure"] = job.about, job.error
        return None
    return job


def job_failure(key, about):
    """Return why the last work under a key failed, or None.

    Work that the same browser had begun in a page that was left or loaded anew counts, too, once it has ended.

    Parameters
    ----------
    key : str
    about : object
        What the page is about now. Of work about something else nothing is said, now and later.
    """
    session, visit = st.session_state, this_visit()
    failed_about, reason = session.get(f"{key}.failure", (about, None))
    if session.get(key) is None and (left := [job for job in _begun_under(key) if job.visit.browser == visit.browser]):
        left = [job for job in left if job.about == about and job.left]
        if any(job.running for job in left):
            await_job_end(left)
        elif left:
            failed_about, reason = session[f"{key}.failure"] = about, _LEFT
            with _begun_lock:
                _begun.difference_update(left)
    if failed_about != about:
        del session[f"{key}.failure"]
        return None
    return reason


def _begun_under(key):
    """Return the work under a key that anybody has begun."""
    with _begun_lock:
        return [job for job in _begun if job.key == key]


@st.fragment(run_every=_AGAIN)
def await_job_end(left):
    """Draw the page again once work has ended whose page is away, or that page has come back to it.

    Parameters
    ----------
    left : list of Job
    """
    if not any(job.running and job.left for job in left):
        st.rerun()


@st.fragment(run_every=_EVERY)
def watch_job(key, words, so_far=None):
    """Show how far the work under a key of the session is, with a button that stops it.

    Parameters
    ----------
    key : str
    words : str
        What is being done, such as "Switching every head off".
    so_far : callable, optional
        Draws what has come of it.
    """
    job = st.session_state.get(key)
    if job is None or not job.running:
        st.rerun()
    job.look()
    job.key = key
    share = job.done / job.total if job.total else 0.0
    said = say_shared_queue(job.place) if job.place else f"{words}: {job.done} of {job.total or '…'}"
    # the button stands left, clear of the signs that lie over a figure's upper right corner, under the pointer
    button, bar = st.columns([1, 5], vertical_alignment="center")
    bar.progress(share, "Stopping …" if job.stopped else said)
    button.button(
        "Stop", key=f"{key}.stop", on_click=job.stop, icon=":material/stop:", width="stretch",
        help="Ends the run here. It also ends when this page is closed or loaded anew, or left for long.",
    )  # fmt: skip
    if so_far is not None:
        so_far()
