"""Put it there: a step of the pass of one text put into that of another, and what of their difference comes along."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import number, percent
from attn.models import patching
from attn.models.head_weights import num_heads
from attn.models.patching import Place
from attn.pretrained.loading import smollm2
from attn.ui.controls.model_and_text import suggested_models
from attn.ui.controls.sentence import DEFAULT_TEXT, keep_own_sentence, without_last_breaks
from attn.ui.jobs import Job, job_failure, running_job, watch_job
from attn.ui.link import shortened
from attn.ui.numpy_models import numpy_model_pass
from attn.ui.page import page_columns, page_draw, page_figure, page_reading, page_theme
from attn.ui.pages.why.method import patch_method, why_method
from attn.ui.pages.why.setup import (
    GOES_ON,
    MOST_TOKENS,
    OTHER_TEXT_BEGUN,
    STEP_NAMES,
    Reading,
    cell_in_text,
    two_words_control,
    why_code,
    why_look_at_head,
    why_opening,
    why_places,
    why_say_if_cut,
    why_word_name,
    why_words,
    why_writer_offer,
    word_name,
)
from attn.ui.settings import visitor_settings
from attn.ui.shared_results import model_save
from attn.ui.shown_code import LIGHT, Codes, shown_code
from attn.ui.state import as_text
from attn.ui.take_away import Measured
from attn.ui.width import page_cell, page_share, page_tallest, page_width

RUNNING = "why.patching"
_BEGUN, _LAST = "why.patches.begun", "why.patch.last"  # what the session holds: maps half run, and the last whole one
_FADED = "<style>.st-key-why_map_of_before { opacity: 0.45; }</style>"
_QUOTED = 120  # characters of a text that a map is of
_NAMED = 24  # characters of a text in the name of a file
_MOST_LEGS = 3  # of the way of a difference that are said one by one
_AT_ONCE = 10_000_000_000  # products of a map that is made without being asked for: some two seconds
_KEPT = 16  # maps of a session
_ROLES = "Run this text", "Take the step from this text"
_SHARES = (0.58, 0.42)  # of the page, for the map and for its controls
_NAMES, _ROW, _MOST_CELL = 70, 16, 44  # pixels left of a map, of a layer at least, and of a place at most
FORMULA = r"\frac{m_{\mathrm{patched}} - m_{\mathrm{run}}}{m_{\mathrm{source}} - m_{\mathrm{run}}}"
PRESETS = {
    "Paris or Madrid": {"text": GOES_ON, "second": "The capital of Spain is"},
    "Mary or John": {
        "text": "When Mary and John went to the store, John gave a drink to",
        "second": "When Mary and John went to the store, Mary gave a drink to",
    },
    "are or is": {"text": "The keys on the table", "second": "The key on the table"},
}


def patch_tab(state, reading):
    """Draw the map of what came along, and beside it the choice of the two texts and of what is put where."""
    why_writer_offer(state, reading, "which step carries one next word rather than another")
    above = st.container()
    left, right = page_columns(_SHARES, figures=True)
    below = st.container()
    with right:
        other, words = _controls(state, reading)
    setup = state.choices()
    run, source = (reading, other) if setup.noising else (other, reading)
    pairs = patching.aligned(run.passed.ids, source.passed.ids)
    measured = _measured_at(setup, run, source, pairs)
    with left:
        if told := _nothing_to_put(setup, run, source, measured):
            st.info(told)
            _map_of_before()
            return
        measure = measure_of(run, source, words, measured)
        ends = measure(run.passed), measure(source.passed)
        if abs(ends[1] - ends[0]) < 1e-9:
            st.info("Both texts give the same, so there is no difference to follow.")
            _map_of_before()
            return
        cone = reach_of(run.passed, source.passed, pairs, measured[0], setup.step)
        key = (setup.model, model_save(setup.model), run.text, source.text, setup.step, words, measured)
        _figure(state, reading, run, source, setup, words, pairs, measure, ends, cone, key, above, below)


def _controls(state, reading):
    """Draw the choice of the two texts, of what is put where, and of a model that writes the word that is followed.

    Returns
    -------
    Reading
        Of the other text.
    (int, int) or None
        Ids of the word that is followed and of its rival.
    """
    _presets(state)
    texts = [_other_text_control, _own_text_control]
    for draw, label in zip(texts[::-1] if state.get("noising") else texts, _ROLES, strict=True):
        draw(state, label)
    other, words = _other_reading(state, reading), None
    st.toggle(
        "Swap the two texts", key=state.key("noising"),
        help="Off: the other text is run, and steps of the page's own text are put into it: does the "
        "answer to that one come back (denoising)? On: the page's own text is run, with steps of the other text: "
        "is its answer lost (noising)?",
    )  # fmt: skip
    st.selectbox(
        "Put there", STEP_NAMES, format_func=STEP_NAMES.get, key=state.key("step"),
        help="Which step of the one run is put into the other: by position, or for one head at all positions.",
    )  # fmt: skip
    if reading.writes:
        words = two_words_control(state, reading, reading.passed.logits[-1], other.passed.logits[-1])
    return other, words


def _other_text_control(state, label):
    """Draw the text beside the page's own."""

    def typed():
        state.set(second=without_last_breaks(state.get("second")))

    st.text_area(
        label, key=state.key("second"), height=68, max_chars=visitor_settings().text_length, on_change=typed,
        help="The other text differs from the page's own in a word or two, best with as many tokens, and of at most "
        f"{MOST_TOKENS}. Until you type "
        "one, it is the page's own with one word changed for another of its kind, or else one that is near to it in "
        "the model's embedding. Empty the box to begin again with that.",
    )  # fmt: skip
    _say_if_other_text_was_made(state)


def _say_if_other_text_was_made(state):
    """Say that the other text was made for the page's own, where nobody has typed or chosen it."""
    name, text, begun = st.session_state.get(OTHER_TEXT_BEGUN, ("", "", ""))
    known = text == DEFAULT_TEXT or any(text == preset["text"] for preset in PRESETS.values())
    if (state.get("model"), state.get("text"), state.get("second")) == (name, text, begun) and not known:
        st.caption("One word of it was changed for you. Type what you would rather compare.")


def _own_text_control(state, label):
    """Draw the page's own text once more, where it is seen beside the other."""
    widget = state.key("text.shown")
    st.session_state[widget] = state.get("text")

    def typed():
        state.set(text=without_last_breaks(st.session_state[widget]))
        keep_own_sentence(state)

    st.text_area(
        label, key=widget, height=68, max_chars=visitor_settings().text_length, on_change=typed,
        help="The page's own text: the same as among the controls of the page.",
    )  # fmt: skip


def _nothing_to_put(setup, run, source, measured):
    """Say why there is nothing to be put from one text into the other; return "" where there is."""
    counts = len(run.labels), len(source.labels)
    if counts[0] == counts[1] and (run.passed.ids == source.passed.ids).all():
        return "The two texts must differ: change a word of one."
    if measured is None:
        return "The query in view has no partner in the other text: choose another on the first tab."
    if setup.step == "weights" and counts[0] != counts[1]:
        return (
            f"Weights can be put into a text of as many tokens alone: these have {counts[0]} and {counts[1]}. "
            "Choose another step, or change a text."
        )
    return ""


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
    why_say_if_cut("Of the other text this page reads", reading.opened, state.get("second"), read)
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


def reach_of(passed, source, pairs, measured, step):
    """Return where a step by position can carry the difference of two passes, (num_layers, n); None of one by head.

    Parameters
    ----------
    passed, source
        Of the text that is run, and of the one that steps are taken from.
    pairs : sequence of (int, int)
        As `attn.models.patching.aligned` returns them.
    measured : int
        The position that is measured.
    step : str
    """
    partner, n = dict(pairs), len(passed.ids)
    differing = np.array([at not in partner or passed.ids[at] != source.ids[partner[at]] for at in range(n)])
    moved = np.array([partner.get(at, at) != at for at in range(n)])  # stands elsewhere, so is turned otherwise
    layers = passed.layers if hasattr(passed, "layers") else passed.blocks
    visible = [np.isfinite(layer.attention.masked_scores).any(axis=0) for layer in layers]
    cone = patching.causal_cone(visible, differing | moved, measured)
    cone = cone[:-1] if step == "residual" else cone[1:]
    return cone if patching.STEPS[step] == "positions" else None


def _map_size(shape):
    """Return the width and height of a map of so many layers and places, beside the controls."""
    layers, places = shape
    beside = page_width() - page_share(_SHARES[0], column=True) + _NAMES
    cell = page_cell(min((page_width() - beside) / places, _MOST_CELL), places)
    return int(cell * places), int(max(_ROW, min(cell, page_tallest() // layers))) * layers


def columns_of(model, step, token_labels):
    """Return the names of the places of a layer where a step can be put: of tokens, or of heads."""
    heads = getattr(model, "num_kv_heads", num_heads(model)) if step in ("key", "value") else num_heads(model)
    return token_labels if patching.STEPS[step] == "positions" else charts.counted(heads)


def _figure(state, reading, run, source, setup, words, pairs, measure, ends, cone, key, above, below):
    """Draw the map of what came along, with how to read it above and below; or what it takes to make it."""
    columns = columns_of(run.model, setup.step, run.labels)
    shape = len(run.model.layers), len(columns)
    places = places_of(cone, shape)
    store = st.session_state.setdefault("why.patches", {})
    if key not in store and _work(run) * len(places) <= _AT_ONCE:
        steps = patching.patched(run.model, run.passed.ids, source.passed, setup.step, places, measure, pairs)
        _keep(store, key, list(steps))
    failure = job_failure(RUNNING, key)
    if failure:
        st.error(as_text(failure))

    def drawn(measured):
        """Return the shares so far, and their map: of layers of which every place was run."""
        measured = list(measured)  # which grows in a thread of its own
        shares = shares_by_place(measured, places[: len(measured)], shape, *ends)
        run_yet = len(places) if len(measured) == len(places) else places[len(measured)].layer * shape[1]
        waiting = np.arange(shares.size).reshape(shape) >= run_yet if len(measured) < len(places) else False
        hidden = waiting | (~cone if cone is not None else np.zeros(shape, bool))
        name = "out of reach" if len(measured) == len(places) else "not run yet, or out of reach"
        shares = np.where(hidden, 0.0, shares)
        return shares, functools.partial(
            patch_map, shares, columns, hidden if hidden.any() else None, page_theme(), setup.step,
            _map_size(shape), name,
        )  # fmt: skip

    asked, measures = _asked(run, source, words), _measures(run, source, words, ends, key[-1])
    if key not in store:
        with above:
            page_reading(asked, FORMULA, terms=("residual",))
        with below:
            st.caption(measures)
        _ask(run, source, setup, pairs, measure, places, key, store, lambda measured: drawn(measured)[1])
        return
    shares, picture = drawn(store[key])
    texts = f"of “{shortened(source.text, _QUOTED)}” put into “{shortened(run.text, _QUOTED)}”"
    about = f"{STEP_NAMES[setup.step]}, {texts}, both read by {run.name}"
    st.session_state[_LAST] = picture, about
    with above:
        page_reading(f"{asked} {_most_in_words(setup, shares, columns)}", FORMULA, terms=("residual",))
    code = functools.partial(_patch_code, run, source, setup, words, key[-1][0], shares)
    reached = np.ones(shape, bool) if cone is None else cone
    out = None if reached.all() else ~reached
    facts = _facts(run, source, setup, words, ends, key[-1])
    page_figure(
        picture,
        "why.patch",
        on_pick=lambda row, column: _open(state, reading, cone, row, column * num_heads(run.model) // shape[1]),
        tables={
            "shares": lambda: charts.csv(np.where(reached, shares, np.nan), charts.counted(shape[0]), columns, out),
            "measured": lambda: charts.words_csv([[str(fact)] for fact in facts.values()], list(facts), ["value"]),
        },
        codes=code,
        measured=Measured(_named(run, source, setup, words), facts),
    )  # fmt: skip
    with below:
        whole = "1 means that the whole difference comes along, 0 that nothing does."
        st.caption(f"{measures} {whole} {_reach_in_words(run, setup)}")
        why_method(patch_method(run.writes), "zhang_patching", "meng")
        why_code(state, code)


def _facts(run, source, setup, words, ends, measured):
    """Return what files say was measured, by name."""
    facts = {
        "step": setup.step,
        "run": run.text,
        "step_taken_from": source.text,
        "direction": "noising" if setup.noising else "denoising",
        "model": run.name,
    }
    if words:
        names = [word_name(run, id) for id in words]
        says = [word_name(each, int(each.passed.logits[-1].argmax())) for each in (run, source)]
        facts |= {
            "measure": "logit of the word minus logit of its rival, after the last token",
            **dict(zip(("word", "rival"), names, strict=True)),
            **dict(zip(("word_id", "rival_id"), map(int, words), strict=True)),
            **dict(zip(("run_says", "step_taken_from_says"), says, strict=True)),
        }
    else:
        at, partner = measured
        facts |= {
            "measure": "how far a last state is along the straight line between its states in the two runs",
            "state_of": run.labels[at],
            "state_of_in_step_taken_from": source.labels[partner],
        }
    shares = "(measured - run_measures) / (step_taken_from_measures - run_measures)"
    return facts | {"run_measures": ends[0], "step_taken_from_measures": ends[1], "shares": shares}


def _named(run, source, setup, words):
    """Return what a map is named by: the step, the text that is run, where the other differs, and the two words."""
    differs = [words or "nothing" for words in _differing(run, source)]
    followed = [" over ".join(word_name(run, id).strip("␣ ") for id in words)] if words else []
    return (setup.step, shortened(run.text, _NAMED), f"{differs[1]} for {differs[0]}", *followed)


def _differing(run, source):
    """Return the words of each text between those that both begin and end with alike, shortened."""
    texts = [each.text.split() for each in (run, source)]
    same = _count_alike(*texts)
    alike = _count_alike(*(text[same:][::-1] for text in texts))
    differs = [" ".join(text[same : len(text) - alike]) for text in texts]
    return [shortened(each, _NAMED) for each in (differs if any(differs) else (run.text, source.text))]


def _count_alike(words, others):
    """Return how many words two texts begin with alike."""
    differing = (at for at, (word, other) in enumerate(zip(words, others, strict=False)) if word != other)
    return next(differing, min(len(words), len(others)))


def _reach_in_words(run, setup):
    """Say at which positions a cell puts a step, or which cells are out of reach."""
    if setup.step == "weights":
        return "Each cell replaces the weights of one head at all positions at once."
    if patching.STEPS[setup.step] == "heads":
        what = {"context": "output", "query": "queries", "key": "keys", "value": "values"}[setup.step]
        return f"Each cell replaces the {what} of one head at all positions at once that both texts have."
    if run.writes:
        return (
            "Grey cells lie outside the causal cone: there the two runs are still the same, or nothing that is "
            "measured can see the place any more. Nothing put there can change the answer, so it is not run."
        )
    if setup.step == "residual":
        return (
            "In this model each token looks at all others, so after one layer the difference can be anywhere. What "
            "layer 1 reads differs only where the texts do: the grey cells are alike in both runs, and not run."
        )
    return (
        "In this model each token looks at all others, so up to the last layer the difference can be anywhere and "
        "come from anywhere. After the last attention no token looks at another: the grey cells cannot change the "
        "state that is measured, and are not run."
    )


def places_of(cone, shape):
    """Return where something is put: every cell of a map that is reached."""
    num_layers, num_places = shape
    return [
        Place(layer, number) for layer in range(num_layers) for number in range(num_places)
        if cone is None or cone[layer, number]
    ]  # fmt: skip


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


def _ask(run, source, setup, pairs, measure, places, key, store, drawn):
    """Draw the button that begins a map, or how far it is with what has come of it."""
    begun = st.session_state.setdefault(_BEGUN, {})
    job = running_job(RUNNING)
    if job is not None:
        watch_job(
            RUNNING, "Runs with something put there",
            lambda: page_draw(drawn(found), "why.patch") if (found := begun.get(key)) else None,
        )  # fmt: skip
        return
    done = len(begun.get(key, ()))
    said = f"{done} of {len(places)} runs are done" if done else f"The map takes {len(places)} runs of the model"
    st.markdown(f"{said}, one for each place.")
    wanted = st.button(
        "Go on" if done else "Begin", type="primary", icon=":material/play_arrow:", key="why.patch.begin",
        help="Runs the model once for each cell. It can be stopped, and what is finished is kept for this visit.",
    )  # fmt: skip
    if wanted:
        _begin(run, source, setup, pairs, measure, places, key, store, begun)
        st.rerun()
    if done:
        page_draw(drawn(begun[key]), "why.patch")
    else:
        _map_of_before()


def _begin(run, source, setup, pairs, measure, places, key, store, begun):
    """Begin the runs of a map, or go on with them, in a thread of their own."""
    if key not in begun:
        _keep(begun, key, [])
    found = begun[key]

    def work(progress, should_stop):
        left = places[len(found) :]
        for share in patching.patched(run.model, run.passed.ids, source.passed, setup.step, left, measure, pairs):
            found.append(share)
            progress(len(found), len(places))
            if should_stop() and len(found) < len(places):
                return
        _keep(store, key, found)
        begun.pop(key, None)

    st.session_state[RUNNING] = Job(work, about=key)


def _map_of_before():
    """Draw the map of before, where there was one, and say that it is not of what is chosen now."""
    if kept := st.session_state.get(_LAST):
        picture, about = kept
        st.markdown(f"**Not of these settings.** The map of before: {as_text(about)}.")
        st.html(_FADED)
        with st.container(key="why_map_of_before"):
            page_draw(picture, "why.patch")


def _open(state, reading, cone, row, column):
    """Have a layer, and of a map of heads the head, in view."""
    if cone is None:  # of an encoder, the state of the query in view is measured
        why_look_at_head(state, reading, row, column, None if reading.writes else cell_in_text(state, reading)[0])
    else:
        state.set(layer=row + 1)


def shares_by_place(got, places, shape, start, end):
    """Return the share that came along, by layer and place; 0 where nothing can."""
    shares = np.zeros(shape)
    for place, share in zip(places, patching.restored(got, start, end), strict=True):
        shares[place.layer, place.number] = share
    return shares


def patch_map(shares, columns, hidden, theme, step, size, hidden_name="out of reach"):
    """Draw which share of the difference came along with what was put where."""
    axis = "head" if patching.STEPS[step] == "heads" else "position"
    picture = charts.heatmap(
        shares, charts.counted(len(shares)), columns, theme, kind="signed", title=STEP_NAMES[step],
        hidden=hidden, size=size, axes=("layer", axis),
        scale=charts.Scale(limit=max(1.0, float(abs(shares).max())), name="share of the difference"),
        pick=charts.Pick("place"), style=charts.Style(numbers=False, square=False, hidden_name=hidden_name),
    )  # fmt: skip
    return charts.beside(picture)


def _asked(run, source, words):
    """Say what is put into which run, each text by what tells it from the other, and what is measured."""
    its, own = _differing(source, run)
    told = (
        f"Each cell takes a step of the run {_told_apart(its, own)} and puts it into the run {_told_apart(own, its)}. "
    )
    if words:
        word, rival = (as_text(word_name(run, id)) for id in words)
        return f"{told}How much of the difference comes along, in how far **{word}** is above **{rival}**?"
    return f"{told}How much of the difference comes along?"


def _told_apart(words, others):
    """Return how a run is named by the words that the other text has not, or by those that it has not itself."""
    said = as_text((words or others).strip(" .,;:!?") or words or others)
    return f"with **{said}**" if words else f"without **{said}**"


def _measures(run, source, words, ends, measured):
    """Say what both runs measure as they are."""
    texts = [f"“{as_text(shortened(each.text, _QUOTED))}”" for each in (run, source)]
    if words:
        says = (f"**{as_text(word_name(run, int(each.passed.logits[-1].argmax())))}**" for each in (run, source))
        runs = [
            f"{text} goes on with {each} and measures {number(end)}"
            for text, each, end in zip(texts, says, ends, strict=True)
        ]
        return f"As they are, {runs[0]}; {runs[1]}."
    at, partner = measured
    apart = np.linalg.norm((source.passed.output[partner] - run.passed.output[at]).astype(float))
    return (
        f"What is measured is how far the last state of **{as_text(run.labels[at])}** has come along the straight line "
        f"from that of {texts[0]} to that of {texts[1]}. The two states are {number(float(apart))} apart."
    )


def _most_in_words(setup, shares, columns):
    """Say where the difference travels."""
    row, column = np.unravel_index(int(np.abs(shares).argmax()), shares.shape)
    step = {
        "residual": "the state that layer {} reads at **{}**",
        "attention_output": "what attention adds in layer {} at **{}**",
        "feed_forward_output": "what the feed-forward network adds in layer {} at **{}**",
        "context": "the output of layer {} head {}",
        "weights": "the weights of layer {} head {}",
        "query": "the queries of layer {} head {}",
        "key": "the keys of layer {}, for its head {} of keys",
        "value": "the values of layer {}, for its head {} of values",
    }[setup.step].format(row + 1, as_text(columns[column]))
    moved = f"Most moves {step}: **{number(float(shares[row, column]))}** of the difference."
    if setup.step == "residual" and (path := _path_in_words(patching.hand_over(shares), columns)):
        moved = path
    return moved


def _path_in_words(legs, columns):
    """Say at which position the difference travels through which layers, and where it is handed over."""
    if not legs:
        return ""
    first, *others = legs
    told = (
        f"Up to what layer {first.last + 1} reads, it travels at **{as_text(columns[first.position])}**: from there "
        f"**{percent(first.ends)}** still comes along."
    )
    if len(others) > _MOST_LEGS:
        told += f" It then changes place {len(others) - 1} times more."
        others = others[-1:]
    for leg in others:
        told += (
            f" Layer {leg.first} hands it over to **{as_text(columns[leg.position])}**, which then carries "
            f"**{percent(leg.begins)}**."
        )
    return told


def _patch_code(run, source, setup, words, measured, shares):
    """Return the lines that run the texts with something put there, and those that draw the map."""
    module, verb, steps = ("language_model", "read", ", steps=True") if run.writes else ("bert", "encode", "")
    row, column = np.unravel_index(int(np.abs(shares).argmax()), shares.shape)
    chosen = {"step": setup.step}
    if words:
        chosen |= why_words(words)
    at = {} if words else {"measured": measured}
    opening = (
        f"{why_opening(run)}\n"
        f"source = {module}.{verb}(opened, {source.text!r}, max_tokens={MOST_TOKENS}{steps}).passed\n"
        "from attn.models import patching\npairs = patching.aligned(passed.ids, source.ids)"
    )
    if words:
        lines = (
            "measured = len(passed.ids) - 1  # after the last token, where the next word comes"
            f"{why_word_name(run)}def measure(passed):\n"
            "    return float(passed.logits[-1, word]) - float(passed.logits[-1, rival])\n\n\n"
            "start, end = measure(passed), measure(source)"
        )
        what = "how far {word_name(word)} is above {word_name(rival)}"
    else:
        lines = (
            "partner = dict(pairs)[measured]  # in the other text\nbase = passed.output[measured].astype(float)\n"
            "way = source.output[partner] - base\n\n\ndef measure(passed):\n"
            "    return float((passed.output[measured] - base) @ way / (way @ way))\n\n\nstart, end = 0.0, 1.0"
        )
        what = "how far the last state of {token_labels[measured]} has come"
    said = (
        f'print(f"Measured: {what}: {{start:.6f}} in this run, {{end:.6f}} in the other")\n'
        'print(f"{step} of layer {layer + 1} at {columns[number]}: {share:.6f} of the difference")'
    )
    one = (
        "place = patching.Place(layer, number)  # where most moves; others alike\n"
        "got = list(patching.patched(model, passed.ids, source, step, [place], measure, pairs))\n"
        "share = patching.restored(got, start, end)[0]"
    )
    most = (
        "import numpy as np\nlayer, number = np.unravel_index(abs(shares).argmax(), shares.shape)\n"
        "share = shares[layer, number]"
    )
    drawing = (
        "shape = len(model.layers), len(columns)", ("cone", reach_of), ("places", places_of),
        "got = list(patching.patched(model, passed.ids, source, step, places, measure, pairs))  # a run for each",
        ("shares", shares_by_place),
        "hidden = None if cone is None or cone.all() else ~cone",
        ("picture", patch_map), 'charts.save(picture, "why.svg")', most, said,
    )  # fmt: skip
    look = {"theme": LIGHT, "size": _map_size(shares.shape), "hidden_name": "out of reach"}
    columns = ("columns", columns_of)
    return Codes(
        attn=lambda: shown_code(
            chosen | why_places(**at, layer=int(row), number=int(column)), opening, lines, columns, one, said
        ),
        draw=lambda: shown_code(chosen | why_places(**at) | look, opening, lines, columns, *drawing),
    )
