"""Finished figures, kept for all visitors: where a class opens one link, or somebody steps back, each is drawn once."""

import hashlib
import json
import pickle

import streamlit as st

from attn.ui.shared_results import LruCache
from attn.ui.visitor import end_if_visitor_left

MOST_BYTES = 10_000_000  # some 350 figures


@st.cache_resource(show_spinner=False)
def kept_figures():
    """Return the one cache of figures, apart from that of models, whose results are few and large."""
    return LruCache(MOST_BYTES, 1)


def finished_once(draw, window, finish):
    """Return a figure that was drawn and finished before from the very same numbers and words, or draw it.

    Parameters
    ----------
    draw : functools.partial
        A function of a module, with all that it draws.
    window : tuple
        What else it may depend on: what `draw` asks of the visitor's window and theme.
    finish : callable
        Takes a chart and returns a specification, as `attn.charts.specification` does; depends on `window` alone.

    Returns
    -------
    dict
        The specification. It is the visitor's own: of what is kept only the tables are in it, which nobody can change.
    """
    kept, key = kept_figures(), ("figure", "", figure_digest(draw.func, draw.args, draw.keywords, window))
    found = kept.get(key)
    if found is None:
        with kept.making(key, end_if_visitor_left):
            found = kept.get(key)  # of another visitor, who was first
            if found is None:
                spec = finish(draw())
                tables = spec.pop("datasets")
                text = json.dumps(spec)
                kept.put(key, (text, tables), len(text) + sum(table.nbytes for table in tables.values()))
                return spec | {"datasets": tables.copy()}
    text, tables = found
    return json.loads(text) | {"datasets": tables.copy()}


def figure_digest(*what):
    """Return a digest that differs if anything differs: a number, its type, the shape of an array, a letter.

    What Python would write down to make the same things again tells them apart. It is never read.
    """
    arrays = []
    digest = hashlib.blake2b(pickle.dumps(what, protocol=5, buffer_callback=arrays.append), digest_size=32)
    for array in arrays:  # the numbers themselves, not copied; their types and shapes are in what is digested already
        digest.update(array.raw())
    return digest.digest()
