"""Work that takes long: a queue, a bar while it goes on, and the result kept for all visitors."""

import contextlib
import functools
import threading
import time
import weakref
from collections import OrderedDict

import streamlit as st

from attn import pretrained
from attn.pretrained import threads
from attn.ui.settings import server_settings
from attn.ui.visitor import end_if_visitor_left, this_visit

MOST_HELD = 2  # models at once
_LONG = 2_500  # bytes of a text, some 500 tokens, beyond which passing it through a model is heavy
_SOON = 0.4  # seconds after which a pass shows how far it is


_every, _every_lock = weakref.WeakSet(), threading.Lock()  # all that keep what models made, and can clear it


def model_save(name):
    """Return what tells one save of a model's folder from the next, or None of a model that is in no folder.

    What takes long, and what a visitor began, is kept under it: it is not found again after the folder was written.
    It is asked before the model is loaded: what an old save gave may come to be kept after the new one was opened.

    Parameters
    ----------
    name : str or ChosenModel
    """
    return pretrained.folder_state(name.name if isinstance(name, tuple) else name)


def kept_with_models(cached):
    """Keep what a cached function makes of a model for that save of it, and forget it when the model goes.

    Parameters
    ----------
    cached : callable
        As st.cache_data and st.cache_resource make it, above which this stands. It takes the name of a model first, and
        ``saved``, which is given it here.

    Returns
    -------
    callable
        The same, without ``saved``.
    """

    @functools.wraps(cached)
    def of_this_save(name, *others, **named):
        return cached(name, *others, saved=model_save(name), **named)

    of_this_save.clear = cached.clear
    with _every_lock:
        _every.add(of_this_save)
    return of_this_save


def forget_shared_results():
    """Keep nothing any more that models made: it would keep a model alive, or be of a folder written anew since."""
    with _every_lock:
        every = list(_every)
    for kept in every:
        kept.clear()


def is_long(*texts):
    """Return whether texts are so long that passing them through a model is heavy."""
    return sum(len(text.encode()) for text in texts if text) > _LONG


class LruCache:
    """A least-recently-used cache: the results asked for last, as long as together they fit into some memory.

    Parameters
    ----------
    most_bytes : int
        The newest result stays even if it is larger: a page asks for it once a figure.
    num_models : int
        Results of so many models are kept at most: they hold on to the model that made them.
    """

    def __init__(self, most_bytes, num_models):
        self.most_bytes, self._num_models = most_bytes, num_models
        self._held, self._lock = OrderedDict(), threading.Lock()
        self._making = weakref.WeakValueDictionary()  # key -> lock, as long as somebody makes it or waits for it
        with _every_lock:
            _every.add(self)

    def get(self, key):
        """Return a result, or None if it is not kept. Keys begin with the name of a model and whether it is random."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    @contextlib.contextmanager
    def making(self, key, still_waiting):
        """Be the only one who makes a result inside the block; who wants the same at the same time waits for it.

        Parameters
        ----------
        key : tuple
        still_waiting : callable
            Called again and again meanwhile.
        """
        with self._lock:
            turn = self._making.setdefault(key, threading.Lock())
        while not turn.acquire(timeout=_SOON / 2):
            still_waiting()
        try:
            yield
        finally:
            turn.release()

    def clear(self):
        """Keep nothing."""
        with self._lock:
            self._held.clear()

    def put(self, key, result, size):
        """Keep a result of so many bytes, and those others that were asked for last and fit beside it."""
        with self._lock:
            self._held[key] = result, size
            self._held.move_to_end(key)
            newest = list(dict.fromkeys(held[:2] for held in reversed(self._held)))[: self._num_models]
            for held in [held for held in self._held if held[:2] not in newest]:
                del self._held[held]
            while len(self._held) > 1 and sum(size for _, size in self._held.values()) > self.most_bytes:
                self._held.popitem(last=False)


def kept_results():
    """Return the recordings and runs of models that are kept for all visitors, in as much memory as the server has."""
    kept = _kept_results()
    kept.most_bytes = server_settings().kept_bytes
    return kept


@st.cache_resource(show_spinner=False)
def _kept_results():
    """Return one cache for all, since what is kept of one kind takes the memory of the others."""
    return LruCache(0, MOST_HELD)


def shared_once(kept, key, loaded, heavy, make):
    """Return what is kept under a key, or make it, with a bar; what is heavy waits in the queue.

    Of several visitors who ask for the same at the same time one makes it, and the others wait for that.

    Parameters
    ----------
    kept : LruCache
    key : tuple
    loaded : Loaded
        The model that a text passes through.
    heavy : bool
    make : callable
        Takes a function to be called before each layer; returns a result that says its ``nbytes``.
    """
    found = kept.get(key)
    if found is None:
        with _watched(loaded.num_layers) as watch, kept.making(key, watch.waiting):
            found = kept.get(key)  # of another visitor, who was first
            if found is None:
                with _queued(watch, heavy):
                    found = make(watch)
                kept.put(key, found, found.nbytes)
    return found


def say_shared_queue(place):
    """Say that others are computing, and how many come before; `place` is 1 for the next."""
    before = {1: "; this is next", 2: " and one waits before this"}.get(place, f" and {place - 1} wait before this")
    return f"Others are computing{before}. It begins by itself."


class _Watch:
    """Asked before each layer of a pass: shows how far it is; that is where it ends if the visitor has moved on."""

    def __init__(self, num_layers):
        self.num_layers, self.done, self.bar = num_layers, 0, None
        self.shown = time.monotonic()

    def __call__(self):
        self.done += 1
        end_if_visitor_left()
        self.show(min(self.done / max(self.num_layers, 1), 1.0), "Passing the text through the model …")
        return False

    def waiting(self):
        """Say that another visitor is having the same computed; end the wait if this one has left."""
        end_if_visitor_left()
        self.show(0.0, "Another visitor is having the same computed …")

    def show(self, share, words):
        """Show a bar, unless it has just been shown or there is hardly anything to wait for."""
        if time.monotonic() > self.shown + _SOON:
            self.bar = self.bar or st.empty()
            self.bar.progress(share, words)
            self.shown = time.monotonic() - _SOON / 2


@contextlib.contextmanager
def _watched(num_layers):
    """Watch a pass, and take the bar away at its end."""
    watch = _Watch(num_layers)
    try:
        yield watch
    finally:
        if watch.bar is not None:
            watch.bar.empty()


@contextlib.contextmanager
def _queued(watch, heavy):
    """Wait in the queue of the heavy runs if this is one."""
    if not heavy:
        yield
        return
    place = [1]

    def still_waiting():
        end_if_visitor_left()
        watch.show(0.0, say_shared_queue(place[0]))
        return False

    with threads.heavy(lambda at: place.__setitem__(0, at), still_waiting, owner=this_visit().browser or None):
        yield
