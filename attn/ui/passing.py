"""Passes of a model with something changed, kept for all visitors as long as they fit into memory."""

import contextlib
import threading
import time
from collections import OrderedDict

import streamlit as st

from attn.pretrained.intervention import run, untouched
from attn.pretrained.threads import heavy
from attn.ui import models

MOST_MEASURED = 512  # tokens up to which the model's own attention is run as well, to be compared

_ROOM = 256_000_000  # bytes that results kept for all visitors may take together
_MODELS = 2  # as many as `models.loaded` holds
_LONG = 2_500  # characters of a text, some 500 tokens, beyond which passing it is heavy
_SOON = 0.4  # seconds after which a pass shows how far it is


class Recent:
    """The results asked for most recently, as long as together they fit into some memory.

    Parameters
    ----------
    room : int
        Bytes.
    num_models : int
        Results of so many models are kept at most: they hold on to the model that made them.
    """

    def __init__(self, room, num_models):
        self._room, self._num_models = room, num_models
        self._held, self._lock = OrderedDict(), threading.Lock()

    def get(self, key):
        """Return a result, or None if it is not kept. Keys begin with the name of a model and whether it is random."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key, result, size):
        """Keep a result of so many bytes, and the newest others for which there is room."""
        with self._lock:
            self._held[key] = result, size
            self._held.move_to_end(key)
            newest = list(dict.fromkeys(held[:2] for held in reversed(self._held)))[: self._num_models]
            for held in [held for held in self._held if held[:2] not in newest]:
                del self._held[held]
            while len(self._held) > 1 and sum(size for _, size in self._held.values()) > self._room:
                self._held.popitem(last=False)


@st.cache_resource(show_spinner=False)
def kept():
    """Return what is kept for all visitors."""
    return Recent(_ROOM, _MODELS)


def passed(name, random_weights, text, pair, changes=None, positions=None):
    """Pass a text through a model with something changed, or nothing.

    Parameters
    ----------
    name, random_weights, text, pair
        As for `attn.ui.models.recording`.
    changes : Changes, optional
    positions : tuple of int, optional
        As in `attn.pretrained.intervention.run`.

    Returns
    -------
    Run

    Raises
    ------
    ModelError
        As `attn.pretrained.intervention.run`.
    """
    key = (name, random_weights, text, pair, changes or None, positions)
    found = kept().get(key)
    if found is None:
        loaded = models.loaded(name, random_weights)
        with _watched(loaded.num_layers) as watch, _turn(watch, len(text) > _LONG):
            found = run(loaded, text, changes, pair=pair or None, positions=positions, should_stop=watch)
        kept().put(key, found, _size(found))
    return found


@st.cache_data(max_entries=256, show_spinner="Comparing with the model's own attention …")
def moved(name, random_weights, text, pair):
    """Return how far our attention moves what a model says when nothing is changed."""
    return untouched(models.loaded(name, random_weights), text, pair=pair or None)


def waiting(place):
    """Say that others are computing, and how many come before; `place` is 1 for the next."""
    before = {1: "; this is next", 2: " and one waits before this"}.get(place, f" and {place - 1} wait before this")
    return f"Others are computing{before}. It begins by itself."


class _Watch:
    """Asked before each layer of a pass: shows how far it is, where Streamlit ends it if the visitor has moved on."""

    def __init__(self, num_layers):
        self.num_layers, self.done, self.bar = num_layers, 0, None
        self.shown = time.monotonic()

    def __call__(self):
        self.done += 1
        self.show(min(self.done / max(self.num_layers, 1), 1.0), "Passing the text through the model …")
        return False

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
def _turn(watch, long):
    """Wait for a turn among the heavy runs if the text is long."""
    if not long:
        yield
        return
    place = [1]

    def still_waiting():
        watch.show(0.0, waiting(place[0]))
        return False

    with heavy(lambda at: place.__setitem__(0, at), still_waiting):
        yield


def _size(result):
    """Return how many bytes a run takes."""
    arrays = [result.logits, result.hidden]
    arrays += [getattr(layer, name) for layer in result.layers for name in ("query", "key", "value", "output")]
    return sum(array.nbytes for array in arrays if array is not None)
