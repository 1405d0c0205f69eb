"""The other text of a patch: where none was chosen, it begins as the page's own with one word changed."""

import re

import numpy as np
import streamlit as st

from attn.ui.controls.sentence import DEFAULT_TEXT
from attn.ui.pages.why.put_it_there import PRESETS
from attn.ui.pages.why.setup import OTHER_TEXT_BEGUN, SECOND_TEXT, Setup
from attn.ui.pages.why.word_kinds import words_of_its_kind

_NEAREST = 200  # words of the vocabulary that are tried
_LONG = 4  # letters of a word that is rather changed than "the" or "is"
_STEM = 3  # letters that forms of one word share: "dog" is not changed for "dogs"
_ENDING = 2  # letters at the end of a word that mostly say of which form it is
_TRIED = 6  # words that are held against the whole vocabulary
_AFTER_ARTICLE = re.compile(r"\ban? $", re.IGNORECASE)
_KNOWN = {DEFAULT_TEXT: SECOND_TEXT} | {texts["text"]: texts["second"] for texts in PRESETS.values()}


def why_other_text(state, reading):
    """Let the other text follow the page's own as long as nobody has chosen one; what was chosen stays.

    Parameters
    ----------
    state : PageState
    reading : Reading
    """
    usual, about, second = Setup(), (reading.name, reading.text), state.get("second")
    *of, begun = st.session_state.get(OTHER_TEXT_BEGUN, (usual.model, usual.text, usual.second))
    if second.strip() and (state.just_read or second != begun or about == tuple(of)):
        return
    begun = _KNOWN.get(reading.text, "")
    if not begun and state.get("tab") == "patch":  # the only one that reads it
        begun = one_word_changed(reading)
    st.session_state[OTHER_TEXT_BEGUN] = (*about, begun)
    state.adjust(second=begun)


def one_word_changed(reading):
    """Return a text with one word changed for another of its kind.

    Parameters
    ----------
    reading : Reading

    Returns
    -------
    str
        Of as many tokens, of which one differs: rather a long word than a short one, and rather a late one, but of a
        model that writes not the last token, after which is measured. It is one of `words_of_its_kind`; where no word
        has any, one that is near to it in the model's embedding. The text itself if no word can be changed so.
    """
    text, tokenizer = reading.text, reading.opened.tokenizer
    tokenizer = tokenizer.tokenizer if reading.writes else tokenizer
    encoded = tokenizer.encode(text)
    last = len(reading.tokens) - 1 if reading.writes else None
    words = _words(text, encoded.offsets[: len(reading.tokens)])
    words = sorted(words, key=lambda each: (len(each[2]) < _LONG, each[0] == last, -each[0]))

    def changed(at, start, word, other):
        """Return the text with one word changed; "" where it would have other tokens beside."""
        if other in text or (_AFTER_ARTICLE.search(text[:start]) and _begins_otherwise(word, other)):
            return ""
        new = text[:start] + other + text[start + len(word) :]
        ids = tokenizer.encode(new).ids
        same = len(ids) == len(encoded.ids) and np.flatnonzero(np.not_equal(ids, encoded.ids)).tolist() == [at]
        return new if same else ""

    made = (changed(*each, other) for each in words for other in words_of_its_kind(each[2]))
    near = (
        changed(*each, other) for each in words[:_TRIED] for other in _near_words(reading, encoded, tokenizer, *each)
    )
    return next(filter(None, made), "") or next(filter(None, near), text)


def _near_words(reading, encoded, tokenizer, at, start, word):
    """Return words that are near to one in the model's embedding, and no forms of it; first those that end alike."""
    del start
    table = reading.model.embedding
    cosines = table @ table[encoded.ids[at]] / np.maximum(np.linalg.norm(table, axis=-1), np.float32(1e-12))
    near = (tokenizer.decode([int(id)]).strip() for id in np.argsort(-cosines)[:_NEAREST])
    found = [other.capitalize() if word.istitle() else other for other in near if _is_another_word(word, other)]
    found = [other for other in found if other.islower() == word.islower()]
    return sorted(found, key=lambda other: other[-_ENDING:].lower() != word[-_ENDING:].lower())


def _begins_otherwise(word, other):
    """Return whether “a” before a word would be “an” before another, or the other way round."""
    return (word[0].lower() in "aeiou") != (other[0].lower() in "aeiou")


def _words(text, offsets):
    """Return the tokens that are a whole word: position, where the word begins in the text, and the word."""
    found = []
    for at, (start, end) in enumerate(offsets):
        word = text[start:end].lstrip()
        start = end - len(word)
        if word.isalpha() and not text[:start][-1:].isalpha() and not text[end : end + 1].isalpha():
            found.append((at, start, word))
    return found


def _is_another_word(word, other):
    """Return whether a word is written in the same letters as another, and is no form of it."""
    mine, its = word.casefold(), other.casefold()
    return (
        other.isalpha()
        and len(other) >= min(len(word), _STEM)
        and word.isascii() == other.isascii()
        and mine[:_STEM] not in its
        and its[:_STEM] not in mine
    )
