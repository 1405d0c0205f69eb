"""Put it there: a step of the pass of one text put into that of another, and what of their difference comes along."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import number
from attn.models import patching
from attn.models.head_weights import num_heads
from attn.models.patching import Place
from attn.pretrained.loading import smollm2
from attn.ui.controls.model_and_text import suggested_models
from attn.ui.jobs import Job, job_failure, running_job, watch_job
from attn.ui.numpy_models import numpy_model_code, numpy_model_pass
from attn.ui.page import page_figure, page_reading, page_theme
from attn.ui.pages.why.setup import (
    MOST_TOKENS,
    STEP_NAMES,
    Reading,
    attention_in,
    map_size,
    two_words_control,
    why_code,
    word_name,
)
from attn.ui.shared_results import model_save
from attn.ui.shown_code import LIGHT, Codes, shown_code
from attn.ui.state import as_text

RUNNING = "why.patching"
_AT_ONCE = 10_000_000_000  # products of a map that is made without being asked for: some two seconds
_KEPT = 16  # maps of a session
FORMULA = r"\frac{m_{\mathrm{patched}} - m_{\mathrm{run}}}{m_{\mathrm{source}} - m_{\mathrm{run}}}"
PRESETS = {
    "Paris or Madrid": {"text": "The capital of France is", "second": "The capital of Spain is"},
    "Mary or John": {
        "text": "When Mary and John went to the store, John gave a drink to",
        "second": "When Mary and John went to the store, Mary gave a drink to",
    },
    "are or is": {"text": "The keys on the table", "second": "The key on the table"},
}


def patch_tab(state, reading):
    """Draw the choice of the two texts and of what is put where, and the map of what came along."""
    _presets(state)
    st.text_area(
        "Other text", key=state.key("second"), height=68, max_chars=2000,
        help="A text that differs from the page's own in a word or two, best with as many tokens.",
    )  # fmt: skip
    if not state.get("second").strip():
        state.adjust(second=reading.text)
    other = _other_reading(state, reading)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Put there", STEP_NAMES, format_func=STEP_NAMES.get, key=state.key("step"),
            help="Which step of the one run is put into the other: by position, or for one head at all positions.",
        )  # fmt: skip
        st.toggle(
            "Run the page's own text", key=state.key("noising"),
            help="Off: the other text is run, and steps of the page's own text are put into it: does the "
            "answer to that one come back (denoising)? On: the page's own text is run, with steps of the other text: "
            "is its answer lost (noising)?",
        )  # fmt: skip
    setup = state.choices()
    run, source = (reading, other) if setup.noising else (other, reading)
    same = len(run.labels) == len(source.labels) and (run.passed.ids == source.passed.ids).all()
    words = None
    if reading.writes:
        words = two_words_control(state, reading, reading.passed.logits[-1], other.passed.logits[-1])
    pairs = patching.aligned(run.passed.ids, source.passed.ids)
    measured = _measured_at(setup, run, source, pairs)
    if same or measured is None:
        told = "The two texts must differ: change a word of one."
        st.info(
            told if same else "The query in view has no partner in the other text: choose another on the first tab."
        )
        _empty(run, setup)
        return
    measure = measure_of(run, source, words, measured)
    start, end = measure(run.passed), measure(source.passed)
    if abs(end - start) < 1e-9:
        st.info("Both texts give the same, so there is no difference to follow.")
        _empty(run, setup)
        return
    if setup.step == "weights" and len(run.labels) != len(source.labels):
        st.info(
            f"Weights can be put into a text of as many tokens alone: these have {len(run.labels)} and "
            f"{len(source.labels)}. Choose another step, or change a text."
        )
        _empty(run, setup)
        return
    cone = _cone(run, source, pairs, measured[0], setup.step)
    key = (setup.model, model_save(setup.model), run.text, source.text, setup.step, words, measured)
    _figure(state, reading, run, source, setup, words, pairs, measure, (start, end), cone, key)


def _presets(state):
    """Draw the texts to try on a model that writes."""
    name = smollm2.NAME
    if name not in suggested_models():
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Try on SmolLM2:", width="content")
        for label, texts in PRESETS.items():
            st.button(
                label, key=state.key(f"preset.{label}"), on_click=state.set, type="tertiary",
                kwargs={"model": name, **texts, "word": "", "rival": "", "noising": False},
                help=f"“{texts['text']}” beside “{texts['second']}”, read by SmolLM2.",
            )  # fmt: skip


def _other_reading(state, reading):
    """Return the other text as the same model reads it."""
    read = numpy_model_pass(reading.name, state.get("second"), MOST_TOKENS)
    labels = charts.token_labels([token.text for token in read.tokens])
    return Reading(reading.name, state.get("second"), reading.opened, read.tokens, labels, read.passed)


def _measured_at(setup, run, source, pairs):
    """Return the position that is measured in both runs: the last, or of an encoder the chosen query's."""
    if run.writes:
        return len(run.labels) - 1, len(source.labels) - 1
    wanted = min(setup.cell[0], len((run if setup.noising else source).labels) - 1)
    if setup.noising:
        return next(((at, partner) for at, partner in pairs if at == wanted), None)
    return next(((at, partner) for at, partner in pairs if partner == wanted), None)


def measure_of(run, source, words, measured):
    """Return what is measured on a run: how far one word is above another; of an encoder how far a state has come.

    Parameters
    ----------
    run, source : Reading
    words : (int, int) or None
        Ids of a word and of its rival.
    measured : (int, int)
        Position in the text that is run, and in the source.
    """
    if words:
        word, rival = words
        return lambda passed: float(passed.logits[-1, word]) - float(passed.logits[-1, rival])
    at, partner = measured
    way = (source.passed.output[partner] - run.passed.output[at]).astype(float)
    base = run.passed.output[at].astype(float)

    def along(passed):
        """Measure the way from the one last state to the other."""
        state = passed.output[partner] if passed is source.passed else passed.output[at]
        return float((state - base) @ way) / max(float(way @ way), 1e-300)

    return along


def _cone(run, source, pairs, measured, step):
    """Return where a step by position can carry the difference, or None of a step by head."""
    if patching.STEPS[step] == "heads":
        return None
    partner = dict(pairs)
    ids, others = run.passed.ids, source.passed.ids
    differing = np.array([at not in partner or ids[at] != others[partner[at]] for at in range(len(ids))])
    moved = np.array([partner.get(at, at) != at for at in range(len(ids))])  # stands elsewhere, so is turned otherwise
    visible = [
        np.isfinite(attention_in(run.passed, layer).masked_scores).any(axis=0) for layer in range(len(run.model.layers))
    ]
    cone = patching.causal_cone(visible, differing | moved, measured)
    return cone[:-1] if step == "residual" else cone[1:]


def _places(run, step):
    """Return the rows and columns of the map, and the names of the columns."""
    layers = len(run.model.layers)
    if patching.STEPS[step] == "positions":
        return layers, run.labels, "position"
    heads = num_heads(run.model)
    if step == "value" and hasattr(run.model, "num_kv_heads"):
        heads = run.model.num_kv_heads
    return layers, [str(head + 1) for head in range(heads)], "head"


def _figure(state, reading, run, source, setup, words, pairs, measure, ends, cone, key):
    """Draw the map of what came along, or what it takes to make it."""
    layers, columns, _ = _places(run, setup.step)
    places = [
        Place(layer, number) for layer in range(layers) for number in range(len(columns))
        if cone is None or cone[layer, number]
    ]  # fmt: skip
    store = st.session_state.setdefault("why.patches", {})
    if key not in store and _work(run) * len(places) <= _AT_ONCE:
        steps = patching.patched(run.model, run.passed.ids, source.passed, setup.step, places, measure, pairs)
        _keep(store, key, list(steps))
    failure = job_failure(RUNNING, key)
    if failure:
        st.error(as_text(failure))
    if key not in store:
        _ask(run, source, setup, pairs, measure, places, key, store)
        return
    shares = _shares(store[key], places, (layers, len(columns)), ends)
    page_reading(_sentence(run, source, setup, words, shares, ends, columns, key[-1][0]), FORMULA, terms=("residual",))
    hidden = None if cone is None else ~cone
    page_figure(
        functools.partial(
            patch_map, shares, columns, hidden, page_theme(), STEP_NAMES[setup.step],
            map_size(layers, len(columns)), "position" if cone is not None else "head",
        ),
        "why.patch",
        on_pick=lambda row, column: _open(state, cone, row, column),
        tables={"shares": lambda: charts.csv(shares, charts.counted(layers), columns)},
        codes=lambda: _patch_code(reading, run, source, setup, words, pairs, columns, cone, shares),
    )  # fmt: skip
    if cone is not None:
        st.caption(
            "Grey cells lie outside the causal cone: there the two runs are still the same, or nothing that is "
            "measured can see the place any more. Nothing put there can change the answer, so it is not run."
        )
    why_code(state, lambda: _patch_code(reading, run, source, setup, words, pairs, columns, cone, shares))


def _work(run):
    """Return how many numbers one run multiplies, roughly: all weights for each token."""
    layer = run.model.layers[0]
    arrays = [each for part in layer for each in (part if isinstance(part, tuple) else (part,))]
    return len(run.labels) * len(run.model.layers) * sum(getattr(each, "size", 0) for each in arrays)


def _keep(store, key, measured):
    """Keep what was measured, and of other maps the newest."""
    store[key] = measured
    while len(store) > _KEPT:
        del store[next(iter(store))]


def _ask(run, source, setup, pairs, measure, places, key, store):
    """Draw the button that begins a map, or how far it is."""
    if running_job(RUNNING) is not None:
        watch_job(RUNNING, "Runs with something put there")
    else:
        st.markdown(f"The map takes {len(places)} runs of the model, one for each place.")
        begun = st.button(
            "Begin", type="primary", icon=":material/play_arrow:", key="why.patch.begin",
            help="Runs the model once for each cell. It can be stopped, and what is finished is kept for this visit.",
        )  # fmt: skip
        if begun:
            _begin(run, source, setup, pairs, measure, places, key, store)
            st.rerun()
    _empty(run, setup)


def _begin(run, source, setup, pairs, measure, places, key, store):
    """Begin the runs of a map in a thread of their own."""

    def work(progress, should_stop):
        found = []
        steps = patching.patched(run.model, run.passed.ids, source.passed, setup.step, places, measure, pairs)
        for share in steps:
            found.append(share)
            progress(len(found), len(places))
            if should_stop():
                return
        _keep(store, key, found)

    st.session_state[RUNNING] = Job(work, about=key)


def _empty(run, setup):
    """Draw where something can be put, before anything is."""
    layers, columns, axis = _places(run, setup.step)
    waiting = np.ones((layers, len(columns)), bool)
    page_figure(
        functools.partial(
            patch_map, np.zeros(waiting.shape), columns, waiting, page_theme(),
            f"{STEP_NAMES[setup.step]}: not run yet",
            map_size(layers, len(columns)), axis, "not run yet",
        ),
        "why.patch",
    )  # fmt: skip


def _open(state, cone, row, column):
    """Have a layer, and of a map of heads the head, in view."""
    state.set(layer=row + 1, **({} if cone is not None else {"head": column + 1}))


def _shares(measured, places, shape, ends):
    """Return the share that came along, by layer and place; 0 where nothing can."""
    shares = np.zeros(shape)
    for place, share in zip(places, patching.restored(measured, *ends), strict=True):
        shares[place.layer, place.number] = share
    return shares


def patch_map(shares, columns, hidden, theme, title, size, axis, hidden_name="out of reach"):
    """Draw which share of the difference came along with what was put where."""
    rows = [str(layer + 1) for layer in range(len(shares))]
    picture = charts.heatmap(
        shares, rows, columns, theme, kind="signed", title=title, hidden=hidden, size=size, axes=("layer", axis),
        scale=charts.Scale(limit=max(1.0, float(abs(shares).max())), name="share of the difference"),
        pick=charts.Pick("place"), style=charts.Style(numbers=False, square=False, hidden_name=hidden_name),
    )  # fmt: skip
    return charts.beside(picture)


def _sentence(run, source, setup, words, shares, ends, columns, measured):
    """Say where the difference travels."""
    row, column = np.unravel_index(int(np.abs(shares).argmax()), shares.shape)
    if words:
        word, rival = (as_text(word_name(run, id)) for id in words)
        what = (
            f"how far **{word}** is above **{rival}** ({number(ends[0])} in this run, {number(ends[1])} in the other)"
        )
    else:
        what = f"how far the last state of **{as_text(run.labels[measured])}** is on the way to that of the other run"
    step = {
        "residual": "the state that layer {} reads at **{}**",
        "attention_output": "what attention adds in layer {} at **{}**",
        "feed_forward_output": "what the feed-forward network adds in layer {} at **{}**",
        "context": "the output of layer {} head {}",
        "weights": "the weights of layer {} head {}",
        "value": "the values of layer {}, for its head {} of values",
    }[setup.step].format(row + 1, as_text(columns[column]))
    return (
        f"**{as_text(run.text)}** is run again and again, each time with one step taken from the run of "
        f"**{as_text(source.text)}**, and what is measured is {what}. 1 means that the whole difference comes along, 0 "
        f"that nothing does. Most moves {step}: **{number(float(shares[row, column]))}** of the difference."
    )


def _patch_code(reading, run, source, setup, words, pairs, columns, cone, shares):
    """Return the lines that run the texts with something put there, and those that draw the map."""
    module, verb, steps = ("language_model", "read", ", steps=True") if run.writes else ("bert", "encode", "")
    opening = numpy_model_code(setup.model, run.text, MOST_TOKENS, run.opened)
    opening += (
        f"\nsource = {module}.{verb}(opened, {source.text!r}, max_tokens={MOST_TOKENS}{steps}).passed\n"
        "from attn.models import patching\n"
    )
    row, column = np.unravel_index(int(np.abs(shares).argmax()), shares.shape)
    settings = {"step": setup.step, "layer": int(row), "number": int(column)}
    settings |= {"word": words[0], "rival": words[1]} if words else {}
    if words:
        measure = "def measure(passed):\n    return passed.logits[-1, word] - passed.logits[-1, rival]\n"
        ends = "start, end = measure(passed), measure(source)\n"
    else:
        at, partner = _measured_at(setup, run, source, pairs)
        measure = (
            f"way = source.output[{partner}] - passed.output[{at}]\n\n\ndef measure(run):\n"
            f"    return (run.output[{at}] - passed.output[{at}]) @ way / (way @ way)\n"
        )
        ends = "start, end = 0.0, 1.0\n"
    lines = (
        f"{measure}\n\n{ends}pairs = patching.aligned(passed.ids, source.ids)\n"
        "place = patching.Place(layer, number)  # where most moves; others alike\n"
        "got = list(patching.patched(model, passed.ids, source, step, [place], measure, pairs))\n"
        "print(patching.restored(got, start, end).round(4))"
    )
    look = {
        "shares": np.asarray(shares).round(4), "columns": columns, "hidden": None if cone is None else (~cone).tolist(),
        "theme": LIGHT, "title": STEP_NAMES[setup.step], "size": 480, "axis": "head" if cone is None else "position",
        "hidden_name": "out of reach",
    }  # fmt: skip
    return Codes(
        attn=lambda: shown_code(settings, opening, lines),
        draw=lambda: shown_code(look, ("picture", patch_map), 'charts.save(picture, "why.svg")'),
    )
