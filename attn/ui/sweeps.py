"""Change: every head off in turn, begun, watched, kept for the session, and shown."""

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import number
from attn.pretrained.prediction import probability_of, similarity
from attn.pretrained.sweeping import sweep
from attn.ui import models
from attn.ui.changing import every_head, head_name
from attn.ui.jobs import Job
from attn.ui.state import as_text

WORDS = (
    "Each head is switched off alone, with everything else as the model has it, and the number above is taken "
    "again. Orange raises it, blue lowers it; click a head to switch it off on this page."
)
RUNNING = "change.sweep.job"  # where the session holds the sweep that runs
_KEPT = 12  # sweeps that a session keeps
_BARS = 10


def key_of(effect):
    """Return what a sweep depends on: what is read, and the number that is followed."""
    word = None if effect.word is None else effect.comparison.words[effect.word].id
    return (*effect.read.source, effect.read.other if word is None else "", effect.read.positions, word)


def begin(effect):
    """Begin to switch every head off in turn, from the model as it is."""
    read, key = effect.read, key_of(effect)
    name, random, text, pair = read.source
    loaded = models.loaded(name, random)
    texts, measure = (text,), probability_of(key[-1]) if key[-1] is not None else None
    if measure is None:
        texts, measure = _texts(effect)

    store = _store()

    def work(progress, should_stop):
        options = {"pair": pair or None, "positions": read.positions}
        store.pop(key, None)
        store[key] = sweep(loaded, texts, measure, **options, progress=progress, should_stop=should_stop)
        while len(store) > _KEPT:
            del store[next(iter(store))]

    st.session_state[RUNNING] = Job(work)


def _store():
    """Return the sweeps of this session."""
    return st.session_state.setdefault("change.sweeps", {})


def _texts(effect):
    """Return the texts to pass and how alike they are; without a second text, the text to itself as it is."""
    text, other = effect.read.source[2], effect.read.other
    if other.strip():
        return (text, other), similarity
    before = effect.before
    return (text,), lambda run: similarity(run, before)


def finished(effect):
    """Return the sweep for what is in view, if this session has made it."""
    return _store().get(key_of(effect))


def any_head(swept):
    """Return whether the sweep came to its first head."""
    return bool(np.isfinite(swept.effect).any())


def sentence_of(swept, effect):
    """Say which head matters most, and how few of them do."""
    effects = swept.effect[np.isfinite(swept.effect)]
    if not effects.size:
        return "Stopped before the first head."
    (best,) = swept.most(1)
    done, total = effects.size, len(every_head(effect.before))
    start = "" if swept.finished else f"Stopped after {done} of {total} heads. "
    small = int((np.abs(effects) < 0.1 * np.abs(effects).max()).sum())
    return (
        f"{start}Without head **{head_name(best)}** the {_what(effect)} goes from {number(swept.before)} to "
        f"**{number(swept.after[best])}**, farther than without any other. {small} of {done} heads move it by "
        "less than a tenth of that."
    )


def _what(effect):
    if effect.word is None:
        return "similarity"
    return f"probability of {as_text(effect.comparison.words[effect.word].text)}"


def chart_of(swept, effect, theme, room):
    """Draw what each head does to the number when it is off, as a map and the farthest as bars."""
    limit = float(np.nanmax(np.abs(swept.effect), initial=0)) or 1.0
    down, across = swept.effect.shape
    cell = max(min((room * 0.55 - 60) / across, 480 / down, 48), 14)
    table = charts.head_switches(
        swept.effect, theme, off=effect.changes.off, title="Change without each",
        kind="signed", limit=limit, select="map", size=int(cell) * max(down, across), tooltip_name="change",
        missing="not tried",
    )  # fmt: skip
    first = first_heads(swept)
    bars = charts.bars(
        [swept.effect[head] for head in first],
        [f"head {head_name(head)}" for head in first],
        theme,
        title="Farthest",
        kind="signed",
        limit=limit,
        select="bar",
        width=int(room * 0.25),
        tooltip_name="change",
    )
    return charts.beside(table, bars)


def first_heads(swept):
    """Return the heads that move the number farthest."""
    return swept.most(_BARS)


def head_at(swept, row, column=None):
    """Return the head that was clicked, in the map (layer and head) or in the list (its place)."""
    return (row, column) if column is not None else first_heads(swept)[row]
