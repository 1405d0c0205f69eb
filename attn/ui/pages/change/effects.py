"""Change: what the model reads, what is asked of it, and what the changes do to that."""

from typing import NamedTuple

import streamlit as st

from attn import charts
from attn.charts.labels import number, percent
from attn.pretrained.errors import ModelError
from attn.pretrained.inputs.tokens import from_ids, id_of_label
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.classification import (
    answer,
    answer_probability_of,
    class_names,
    class_scores,
    score_kind,
)
from attn.pretrained.intervention.prediction import Comparison, Shift, compare_runs, similarity, token_id
from attn.pretrained.intervention.run import Run, masked_places, predicts_masked, prepare_changeable
from attn.ui import models
from attn.ui.controls.model_and_text import chosen_model_control, text_in_view
from attn.ui.pages.change.controls import changes_of_controls, changes_of_other_text
from attn.ui.pages.change.runs import MOST_MEASURED, kept_run, kept_run_gap
from attn.ui.settings import visitor_settings

WORDS = 8  # shown side by side
SPACE = "␣"
QUESTION = "Who does what?"  # asked of a text where nothing else is


class Reading(NamedTuple):
    """What a model reads, and what is asked of it."""

    source: tuple  # name, random weights, text, and its pair or what a decoder reads, as the cached functions take them
    tokens: tuple  # after which a word is predicted, or of the text whose class or likeness is measured
    positions: tuple | None  # of these, where a word or the class of a token is predicted; None: nowhere
    other: str  # a text to be compared with


class Effect(NamedTuple):
    """What the page shows."""

    read: Reading
    changes: Changes
    left_out: list  # sentences on what did not fit
    before: Run
    after: Run
    comparison: Comparison
    word: int | None  # place, among the shifts, of the word or class that is followed
    numbers: tuple  # the number that is followed, before and after
    answers: tuple | None = None  # to a question, before and after

    @property
    def task(self):
        """What a classifier tells, see `Loaded.task`."""
        return self.before.loaded.task

    @property
    def shifts(self):
        """Words or classes before and after, of which one is followed."""
        return self.comparison.classes or self.comparison.words

    @property
    def is_probability(self):
        """Whether the number is one."""
        of_class = self.word is not None and not (self.task and score_kind(self.before.loaded) == "number")
        return of_class or self.answers is not None

    def said(self, value):
        """Return a value of the number as people read it."""
        return percent(value) if self.is_probability else number(value)


def effect_reading_controls(state, loaded):
    """Draw what the model is asked: how alike two texts are, or which word comes where.

    Returns
    -------
    Reading
    """
    name = chosen_model_control(state, loaded)
    loaded = models.loaded_model(name, state.get("random"))
    if loaded.task is not None:
        return _classifier_controls(state, loaded, name)
    if _decodes(loaded):
        st.text_input(
            "Text of the decoder",
            key=state.key("pair"),
            max_chars=visitor_settings().text_length,
            help="The text that the decoder is given to write, token by token.",
        )
    read = _read_by(state.choices(), loaded, name)
    if read.positions is None:
        if loaded.predicts_words:
            st.caption(f"Write {loaded.tokenizer.mask_token} in place of a word to see what the model puts there.")
        st.text_input(
            "Second text",
            key=state.key("pair"),
            max_chars=visitor_settings().text_length,
            placeholder="None",
            help="The page shows how alike the model finds the two texts, before your changes and after. Without a "
            "second text, it compares the changed reading of the first with the unchanged one.",
        )
        return read
    labels = charts.token_labels([token.text for token in read.tokens])
    if not predicts_masked(loaded) and len(labels) > 1:
        state.clamp("back", 0, len(labels) - 1)
        st.select_slider(
            "Predict after",
            range(len(labels) - 1, -1, -1),
            format_func=lambda back: labels[-1 - back],
            key=state.key("back"),
            help="The model says which token comes after this one.",
        )
    st.text_input(
        "Token to follow",
        key=state.key("word"),
        max_chars=visitor_settings().text_length,
        placeholder="The likeliest",
        help="The page follows the probability of this token. Pick one in the figure to choose it, or type it as the "
        f"figures write tokens: a space before it is {SPACE}.",
    )
    return _read_by(state.choices(), loaded, name)


def _classifier_controls(state, loaded, name):
    """Draw what a classifier is asked: which text or question goes with the first, of which token, and which class."""
    if loaded.task == "answer":
        st.text_input(
            "Question",
            key=state.key("second"),
            max_chars=visitor_settings().text_length,
            placeholder=QUESTION,
            help="The answer is a piece of the text above. The page follows how likely the model finds it.",
        )
        return _read_by(state.choices(), loaded, name)
    if loaded.task == "text":
        st.text_input(
            "Second text",
            key=state.key("second"),
            max_chars=visitor_settings().text_length,
            placeholder="None",
            help="For a classifier that reads two texts, such as one that says whether the second follows from the "
            "first.",
        )
    read = _read_by(state.choices(), loaded, name)
    if loaded.task == "tokens":
        places = word_places(read.tokens)
        labels = charts.token_labels([token.text for token in read.tokens])
        if len(places) > 1:
            state.clamp("back", 0, len(places) - 1)
            st.select_slider(
                "Class of",
                range(len(places) - 1, -1, -1),
                format_func=lambda back: labels[places[-1 - back]],
                key=state.key("back"),
                help="The page shows the class of this word, which the model gives to its first token.",
            )
    names = ["", *dict.fromkeys(class_names(loaded))]
    if state.get("word") not in names:
        state.adjust(word="")
    st.selectbox(
        "Class to follow",
        names,
        format_func=lambda label: label or "The likeliest",
        key=state.key("word"),
        help="The page follows the number of this class. Pick a class in the figure to choose it.",
    )
    return _read_by(state.choices(), loaded, name)


def word_places(tokens):
    """Return where words begin among tokens; of none but special ones, the first."""
    return [place for place, token in enumerate(tokens) if not (token.special or token.inside)] or [0]


def _decodes(loaded):
    """Return whether a model reads one text and says another."""
    return bool(getattr(loaded.model.config, "is_encoder_decoder", False)) and loaded.predicts_words


def _read_by(setup, loaded, name):
    """Tokenize what the model reads, and find where it predicts a word.

    Parameters
    ----------
    setup : Setup
    loaded : Loaded
    name : str or ChosenModel
        What `loaded_model` was loaded as.

    Returns
    -------
    Reading

    Raises
    ------
    ModelError
        If the model's attention cannot be changed, or the text gives it no token.
    """
    text, pair = text_in_view(setup), setup.pair if _decodes(loaded) else ""
    if loaded.task == "answer":
        text, pair = setup.second.strip() or QUESTION, text
    elif loaded.task == "text":
        pair = setup.second.strip()
    prepared = prepare_changeable(loaded, text, pair or None)
    decodes = prepared.decoder_tokens is not None and loaded.task is None
    tokens = prepared.decoder_tokens if decodes else prepared.tokens
    source = name, setup.random, text, pair
    return Reading(source, tokens, _positions(setup, loaded, tokens), "" if loaded.task else setup.pair)


def _positions(setup, loaded, tokens):
    """Return where words or classes are predicted: at the chosen token, or at the masked one nearest to it."""
    if loaded.task == "tokens":
        places = word_places(tokens)
        return (places[max(len(places) - 1 - setup.back, 0)],)
    if not loaded.predicts_words:
        return None
    place = max(len(tokens) - 1 - setup.back, 0)
    if not predicts_masked(loaded):
        return (place,)
    masked = masked_places(loaded, tokens)
    return (min(masked, key=lambda at: abs(at - place)),) if masked else None


def effect_unchanged_run(read):
    """Pass the text through the model with our attention inside and nothing changed."""
    return kept_run(*read.source, positions=read.positions)


def effect_of(setup, read, before):
    """Pass the text through the model with what is changed, and put both passes side by side.

    Parameters
    ----------
    setup : Setup
    read : Reading
    before : Run
        The model as it is.

    Returns
    -------
    Effect

    Raises
    ------
    ModelError
        As `attn.pretrained.intervention.run.run`.
    """
    changes, left_out = changes_of_controls(setup, before)
    after = kept_run(*read.source, changes, read.positions)
    place = read.positions[0] if before.loaded.task == "tokens" else None
    comparison = compare_changed_runs(before, after, place)
    if before.loaded.task == "answer":
        answers = answer(before), answer(after)
        likely = answer_probability_of(answers[0].start, answers[0].end)
        numbers = answers[0].probability, likely(after)
        return Effect(read, changes, left_out, before, after, comparison, None, numbers, answers)
    if comparison.classes:
        comparison, word = _following_class(setup.word, comparison, before, after, place)
        shift = comparison.classes[word]
        return Effect(read, changes, left_out, before, after, comparison, word, (shift.before, shift.after))
    if comparison.words:
        comparison, word = _following(setup.word, comparison, before, after)
        shift = comparison.words[word]
        return Effect(read, changes, left_out, before, after, comparison, word, (shift.before, shift.after))
    numbers = _likeness(read, changes, before, after)
    return Effect(read, changes, left_out, before, after, comparison, None, numbers)


def compare_changed_runs(before, after, place):
    """Put both passes side by side; a class is that of the word at `place`."""
    return compare_runs(before, after, WORDS, place)


def _following_class(name, comparison, before, after, place):
    """Return the comparison with the class that is followed among its classes, and its place there."""
    classes, names = comparison.classes, class_names(before.loaded)
    if name not in names:
        return comparison, max(range(len(classes)), key=lambda at: classes[at].before)
    found = next((at for at, shift in enumerate(classes) if shift.text == name), None)
    if found is not None:
        return comparison, found
    id = names.index(name)
    shift = Shift(name, id, *(float(class_scores(run, place)[id]) for run in (before, after)))
    return comparison._replace(classes=(*classes[:-1], shift)), len(classes) - 1


def _following(word, comparison, before, after):
    """Return the comparison with the word that is followed among its words, and its place there."""
    words = comparison.words
    if not word.strip():
        return comparison, max(range(len(words)), key=lambda at: words[at].before)
    typed = word.strip("“”")  # as it is, or as the figure writes it, where a long one is cut
    place = next((at for at, shift in enumerate(words) if typed in (shift.text, charts.quoted(shift.text)[1:-1])), None)
    if place is None:
        id = id_of_label(word.replace(" ", SPACE), before.loaded.tokenizer)
        if id is None:  # of a text of several tokens, the first is followed
            id = token_id(before.loaded, word.replace(SPACE, " "))
        place = next((at for at, shift in enumerate(words) if shift.id == id), None)
    if place is None:
        count = len(before.probabilities())
        if id >= count:
            raise ModelError(
                f"The token to follow must be one of the {count:,} that the model predicts, got {word!r}, which is "
                f"number {id + 1:,} of its tokenizer."
            )
        shift = words[0]._replace(
            text=from_ids([id], before.loaded.tokenizer)[0].text,
            id=id,
            before=float(before.probabilities()[id]),
            after=float(after.probabilities()[id]),
        )
        return comparison._replace(words=(*words[:-1], shift)), len(words) - 1
    return comparison, place


def _likeness(read, changes, before, after):
    """Return how alike the two texts are to the model, before and after; without a second text, the text to itself."""
    if not read.other.strip():
        return 1.0, similarity(before, after)
    source = (*read.source[:2], read.other, "")
    others = kept_run(*source), kept_run(*source, changes_of_other_text(changes))
    return similarities_of_texts(before, after, others)


def similarities_of_texts(before, after, others):
    """Return how alike a text and another are to the model, both before the change and both after it."""
    return similarity(before, others[0]), similarity(after, others[1])


def effect_largest_move(read):
    """Return how far our attention moves what the model says with nothing changed; None where the text is too long."""
    return kept_run_gap(*read.source) if len(read.tokens) <= MOST_MEASURED else None
