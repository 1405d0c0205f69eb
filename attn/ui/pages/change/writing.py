"""Change: a decoder writes on from the text, as it is and with the changes, one row of attention per word."""

from typing import NamedTuple

import streamlit as st

from attn import charts
from attn.charts.labels import percent
from attn.pretrained.inputs.tokens import running_text
from attn.pretrained.intervention.generation import Generation, generate, writes
from attn.pretrained.loading import smollm2
from attn.pretrained.loading.catalogue import WRITERS
from attn.ui import models
from attn.ui.controls.model_and_text import suggested_models
from attn.ui.jobs import Job, job_failure, watch_job
from attn.ui.page import page_figure, page_path_columns, page_theme
from attn.ui.pages.change.controls import GET_SMOLLM2, changed_head_name, take_back_head_controls
from attn.ui.settings import visitor_settings
from attn.ui.shared_results import kept_results, model_save
from attn.ui.state import as_text
from attn.ui.width import page_width
from attn.ui.word_level import word_level_of
from attn.words import share

RUNNING = "change.writing.job"  # where the session holds the writing that runs
WATCHED = "Tokens written"
MOST_READ = 1024  # tokens of a text from which is written on: every word written keeps a row over them for every head
_MOST_DRAWN = 120  # tokens of one strip
_MOST_SAID = 40  # tokens of the text that stand before what was written
_MOST_OFFERED = 2  # models that write
_ENDS = {"length": "", "end": " It came to an end by itself.", "stopped": " It was stopped."}


class Written(NamedTuple):
    """What was written from one text."""

    before: Generation  # by the model as it is
    after: Generation | None  # with the changes; None where there are none


def _key_of(effect, setup):
    """Return what the writing depends on."""
    return *effect.read.source[:3], "written", model_save(effect.read.source[0]), effect.changes, setup.count


def why_not_change_writing(effect):
    """Return why nothing can be written from this text, or None if it can."""
    loaded = effect.before.loaded
    if not writes(loaded):
        reason = "it reads in both directions" if loaded.task is None else "it was trained to classify"
        name = as_text(loaded.name.split("/")[-1])
        return f"{name} does not write: {reason}. A decoder does: it predicts one next token after the other."
    if len(effect.before.tokens) > MOST_READ:
        return f"This text has more than {MOST_READ:,} tokens. Choose a shorter one to write on from."
    return None


def offer_change_writing(state, effect):
    """Draw a button for each model that writes and may be opened here, where the one in view does not.

    Parameters
    ----------
    state : PageState
    effect : Effect
    """
    if writes(effect.before.loaded):
        return

    def go(name):
        take_back_head_controls(state)
        state.set(model=name)

    with st.container(horizontal=True):
        for name in [name for name in WRITERS if name in suggested_models()][:_MOST_OFFERED]:
            here = name == smollm2.NAME
            st.button(
                f"Open {name.split('/')[-1]}",
                on_click=go,
                args=(name,),
                key=state.key(f"writer.{name}"),
                help="It is on this machine." if here else "It is downloaded from the Hugging Face hub.",
            )
    if smollm2.NAME not in suggested_models() and visitor_settings().models == "any":
        st.caption(GET_SMOLLM2)


def _begin(effect, setup):
    """Begin to write: as the model is, then with the changes."""
    key, changes, count = _key_of(effect, setup), effect.changes, setup.count
    name, random, text, _ = effect.read.source
    loaded = models.loaded_model(name, random)

    def work(progress, should_stop):
        total, written = count * (2 if changes else 1), []
        for each in (None, changes) if changes else (None,):
            done = count * len(written)
            told = lambda words, done=done: progress(done + len(words), total)  # noqa: E731
            written.append(generate(loaded, text, count, each, progress=told, should_stop=should_stop))
        result = Written(written[0], written[1] if changes else None)
        kept_results().put(key, result, _size(result))

    st.session_state[RUNNING] = Job(work, about=key)


def _size(result):
    """Return how many bytes the rows of attention take."""
    words = [word for each in result if each is not None for word in each.written]
    return sum(row.nbytes for word in words for row in word.rows)


def _finished(effect, setup):
    """Return what was written from what is in view, if it is kept."""
    return kept_results().get(_key_of(effect, setup))


def _text_of(effect, generation, step):
    """Return the end of the text and what was written, the word of one step marked, as Markdown."""
    read, words = effect.before.tokens, [each.token for each in generation.written]
    start = "… " if len(read) > _MOST_SAID else ""
    parts = [(words[:step], ":blue"), (words[step : step + 1], ":orange-background"), (words[step + 1 :], ":blue")]
    written = "".join(f"{colour}[{_said(part)}]" for part, colour in parts if part)
    return f"{start}{_said(read[-_MOST_SAID:])}{written}{_ENDS[generation.finished]}"


def _said(tokens):
    """Return tokens as running text that Markdown shows as it stands."""
    return as_text(running_text(tokens))


def _step_sentence(generation, step, layer, head, level):
    """Say what was written at a step, how likely it was, and where the head looked."""
    word = generation.written[step]
    row, keys = _row_of(generation, step, layer, head, level)
    best = int(row.argmax())
    off = ", which is off and gives nothing," if (layer, head) in generation.changes.off else ""
    instead = ", ".join(f"{_named(token)} {percent(share)}" for token, share in word.instead[1:4])
    return (
        f"Token {step + 1}: **{_named(word.token)}**, with a probability of {percent(word.probability)}; the next "
        f"likeliest were {instead}. Head {changed_head_name((layer, head))}{off} looked most at "
        f"**{_named(keys[best])}** (weight {share(row[best])})."
    )


def _named(token):
    """Return a token fit to stand in a sentence."""
    return as_text(charts.quoted(token.text))


def _row_of(generation, step, layer, head, level):
    """Return where one head looked when a token was written, and the tokens or words that it could look at."""
    row, keys = generation.row(step, layer, head), generation.keys(step, layer)
    at = word_level_of(level, keys[-1:], keys)
    return at.weights(row[None])[0], at.columns


def _strip_of(generation, step, layer, head, level, theme, width):
    """Draw where one head looked when a token was written, over the tokens or words themselves."""
    row, keys = _row_of(generation, step, layer, head, level)
    row, keys = row[-_MOST_DRAWN:], keys[-_MOST_DRAWN:]
    looking = None if generation.kinds[layer - generation.first_layer] == "cross" else len(keys) - 1
    strip = charts.token_strip(
        [token.text for token in keys], theme, weights=row, width=width, pick=charts.Pick(selected=looking)
    )
    return charts.beside(strip)


def draw_change_writing(state, effect, setup, job):
    """Draw the controls of writing, and what was written with one row of attention per word."""
    _begin_controls(state, effect, setup, job)
    written = _finished(effect, setup)
    if written is None:
        return
    generations = {"As it is": written.before} | ({"With your changes": written.after} if written.after else {})
    longest = max(len(one.written) for one in generations.values())
    if not longest:
        st.caption("Nothing was written.")
        return
    step = _step_control(state, longest)
    for title, generation in generations.items():
        st.markdown(f"**{title}**: {_text_of(effect, generation, step)}")
        _draw_step(generation, min(step, len(generation.written) - 1), setup, title)


def _begin_controls(state, effect, setup, job):
    """Draw how many tokens to write, and the button that begins or the one that stops."""
    count, button = st.columns([3, 1], vertical_alignment="bottom")
    count.slider(
        "Tokens to write",
        1,
        50,
        key=state.key("count"),
        help="A token is a word, a sign or a piece of a word.",
    )
    if job:
        watch_job(RUNNING, WATCHED)
    elif button.button("Write on", type="primary", key=state.key("write"), width="stretch"):
        _begin(effect, setup)
        st.rerun()
    if reason := job_failure(RUNNING, _key_of(effect, setup)):
        st.error(as_text(reason))


def _step_control(state, longest):
    """Draw the steps to walk back and forth, and return the one in view, counted from 0."""
    state.clamp("step", 1, longest)
    back, slider, ahead = page_path_columns()
    at = state.get("step")

    def go(by):
        state.set(step=state.get("step") + by)

    back.button("Back", on_click=go, args=(-1,), disabled=at == 1, shortcut="Left", key=state.key("back_word"))
    if longest > 1:
        slider.slider("Token", 1, longest, key=state.key("step"), help="The left and right arrow keys walk, too.")
    ahead.button("Next", on_click=go, args=(1,), disabled=at == longest, shortcut="Right", key=state.key("next_word"))
    return at - 1


def _draw_step(generation, step, setup, title):
    """Draw where the chosen head looked when one token was written."""
    layer, head = setup.chosen
    if step < 0:
        return
    if not 0 <= layer - generation.first_layer < len(generation.kinds):
        st.caption(f"The decoder has layers {generation.first_layer + 1} and up. Choose one among the controls.")
        return
    st.caption(_step_sentence(generation, step, layer, head, setup.level))
    strip = _strip_of(generation, step, layer, head, setup.level, page_theme(), page_width())
    page_figure(strip, f"change.writing.{title}")
