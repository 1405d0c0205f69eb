"""Change, the tab Sweep: head ablation, every head off in turn, begun, watched, kept for the session, and shown."""

import time

import numpy as np
import streamlit as st

from attn import charts
from attn.pretrained.intervention.classification import answer_probability_of, class_score_of
from attn.pretrained.intervention.head_ablation import ablate_heads
from attn.pretrained.intervention.prediction import probability_of, similarity
from attn.ui import jobs, models
from attn.ui.pages.change.controls import changed_head_name, every_head_to_control
from attn.ui.shared_results import model_save
from attn.ui.state import as_text

WORDS = (
    "Which heads matter most? Each head is switched off alone, and the number above is measured again. Without an "
    "orange head it rises, without a blue one it falls. Choose a head to switch it off on this page."
)
RUNNING = "change.sweep.job"  # where the session holds the ablation that runs
_PACE = f"{RUNNING}.pace"
_KEPT = 12  # ablations that a session keeps
_BARS = 10


class Pace:
    """How far an ablation is and how fast it goes, from what it tells on its way.

    Parameters
    ----------
    layers : int
        Layers to be passed before the first head is off.
    """

    def __init__(self, layers):
        self.layers, self.passed, self.done, self.total = layers, 0, 0, 0
        self._began = None

    def layer(self):
        """Count a layer."""
        self.passed += 1

    def heads(self, done, total):
        """Keep how many heads are done, and of how many."""
        self._began = self._began or time.monotonic()
        self.done, self.total = done, total

    def in_words(self, now):
        """Say at a time what it is at, and how long it takes."""
        if not self.total:
            return f"First the model runs with every head on: layer {min(self.passed, self.layers)} of {self.layers}."
        if not self.done:
            return "In a moment the time left is known."
        return f"About {_duration((now - self._began) * (self.total - self.done) / self.done)} left."


def _duration(seconds):
    """Return a time roughly, as people say it.

    Examples
    --------
    >>> _duration(0.4), _duration(23), _duration(130)
    ('1 s', '25 s', '2 min')
    """
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    return f"{5 * round(seconds / 5)} s" if seconds < 90 else f"{round(seconds / 60)} min"


def _key_of(effect):
    """Return what an ablation depends on: what is read, by which save of the model, and the number that is followed."""
    word = None if effect.word is None else effect.shifts[effect.word].id
    word = word if effect.answers is None else effect.answers[0][:2]
    saved = model_save(effect.read.source[0])
    return (*effect.read.source, saved, effect.read.other if word is None else "", effect.read.positions, word)


def begin_sweep(effect):
    """Begin to switch every head off in turn, from the model as it is."""
    read, key = effect.read, _key_of(effect)
    name, random, _, pair = read.source
    loaded = models.loaded_model(name, random)
    texts, measure = _measured(effect)

    store, pace = _store(), Pace(len(effect.before.num_heads) * len(texts))

    def work(progress, should_stop):
        def told(done, total):
            pace.heads(done, total)
            progress(done, total)

        def asked():
            pace.layer()
            return should_stop()

        options = {"pair": pair or None, "positions": read.positions}
        store.pop(key, None)
        store[key] = ablate_heads(loaded, texts, measure, **options, progress=told, should_stop=asked)
        while len(store) > _KEPT:
            del store[next(iter(store))]

    st.session_state[_PACE] = pace
    st.session_state[RUNNING] = jobs.Job(work, about=key)


def sweep_failure(effect):
    """Return why the ablation for what is in view failed, or None."""
    return jobs.job_failure(RUNNING, _key_of(effect))


def watch_sweep():
    """Show how far the ablation is and how long it will take, with a button that stops it."""
    jobs.watch_job(RUNNING, "Heads switched off")
    _say_pace()


@st.fragment(run_every=0.4)
def _say_pace():
    """Say what the ablation is at, unless it waits for its turn or has come to its end."""
    job, pace = st.session_state.get(RUNNING), st.session_state.get(_PACE)
    if job is not None and job.running and not (job.place or job.stopped) and pace is not None:
        st.caption(pace.in_words(time.monotonic()))


def _store():
    """Return the ablations of this session."""
    return st.session_state.setdefault("change.sweeps", {})


def _measured(effect):
    """Return the texts to pass, and the number to measure; without a second text, the text's likeness to itself."""
    text, other = effect.read.source[2], effect.read.other
    if effect.answers is not None:
        return (text,), answer_probability_of(*effect.answers[0][:2])
    if effect.word is not None:
        id, (place,) = effect.shifts[effect.word].id, effect.read.positions or (None,)
        return (text,), class_score_of(id, place) if effect.task else probability_of(id)
    if other.strip():
        return (text, other), similarity
    before = effect.before
    return (text,), lambda run: similarity(run, before)


def finished_sweep(effect):
    """Return the ablation for what is in view, if this session has made it."""
    return _store().get(_key_of(effect))


def sweep_reached_a_head(ablation):
    """Return whether the ablation came to its first head."""
    return bool(np.isfinite(ablation.effect).any())


def sweep_sentence(ablation, effect):
    """Say which head matters most, and how few of them do."""
    effects = ablation.effect[np.isfinite(ablation.effect)]
    if not effects.size:
        return "Stopped before the first heads were measured."
    (best,) = ablation.most(1)
    done, total = effects.size, len(every_head_to_control(effect.before))
    start = "" if ablation.finished else f"Stopped after {done} of {total} heads. "
    small = int((np.abs(effects) < 0.1 * np.abs(effects).max()).sum())
    return (
        f"{start}Without head **{changed_head_name(best)}** the {_what(effect)} goes from "
        f"{effect.said(ablation.before)} to **{effect.said(ablation.after[best])}**; no other head moves it farther. "
        f"{small} of {done} heads move it by less than a tenth as much."
    )


def _what(effect):
    """Return what the number that is followed is called."""
    if effect.answers is not None:
        return f"probability of {as_text(charts.quoted(effect.answers[0].text))}"
    if effect.word is None:
        return "similarity"
    what = "probability of" if effect.is_probability else "number for"
    return f"{what} {as_text(charts.quoted(effect.shifts[effect.word].text))}"


def sweep_chart(ablation, effect, theme, width):
    """Draw what each head does to the number when it is off, as a map and the farthest as bars."""
    change = 100 * ablation.effect if effect.is_probability else ablation.effect
    limit = float(np.nanmax(np.abs(change), initial=0)) or 1.0
    scale = charts.Scale(limit, name="percentage points" if effect.is_probability else "change")
    down, across = change.shape
    cell = max(min((width * 0.55 - 60) / across, 480 / down, 48), 14)
    table = charts.head_switches(
        change, theme, title="Change without each", kind="signed", size=int(cell) * max(down, across),
        scale=scale, pick=charts.Pick("map"), missing="not tried",
    )  # fmt: skip
    first = _first_heads(ablation)
    bars = charts.bars(
        [change[head] for head in first],
        [f"head {changed_head_name(head)}" for head in first],
        theme,
        kind="signed",
        title="Farthest",
        width=int(width * 0.25),
        scale=scale,
        pick=charts.Pick("bar"),
    )
    return charts.beside(table, bars)


def _first_heads(ablation):
    """Return the heads that move the number farthest."""
    return ablation.most(_BARS)


def sweep_head_at(ablation, row, column=None):
    """Return the head that was clicked, in the map (layer and head) or in the list (its place)."""
    return (row, column) if column is not None else _first_heads(ablation)[row]
