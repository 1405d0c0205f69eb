"""The other text of a patch: where none was chosen, it begins as the page's own with one word changed."""

import numpy as np
import streamlit as st

from attn.ui.controls.sentence import DEFAULT_TEXT
from attn.ui.pages.why.put_it_there import PRESETS
from attn.ui.pages.why.setup import SECOND_TEXT, Setup

_NEAREST = 200  # words of the vocabulary that are tried
_LONG = 4  # letters of a word that is rather changed than "the" or "is"
_STEM = 3  # letters that forms of one word share: "dog" is not changed for "dogs"
_BEGUN = "why.other_text"  # what the session holds: of which model and text the other began, and as what
_KNOWN = {DEFAULT_TEXT: SECOND_TEXT} | {texts["text"]: texts["second"] for texts in PRESETS.values()}


def why_other_text(state, reading):
    """Let the other text follow the page's own as long as nobody has chosen one; what was chosen stays.

    Parameters
    ----------
    state : PageState
    reading : Reading
    """
    usual, about, second = Setup(), (reading.name, reading.text), state.get("second")
    *of, begun = st.session_state.get(_BEGUN, (usual.model, usual.text, usual.second))
    if second.strip() and (state.just_read or second != begun or about == tuple(of)):
        return
    begun = _KNOWN.get(reading.text, "")
    if not begun and state.get("tab") == "patch":  # the only one that reads it
        begun = one_word_changed(reading)
    st.session_state[_BEGUN] = (*about, begun)
    state.adjust(second=begun)


def one_word_changed(reading):
    """Return a text with one word changed for another that is near to it in the model's embedding.

    Parameters
    ----------
    reading : Reading

    Returns
    -------
    str
        Of as many tokens, of which one differs: rather a long word than a short one, and rather a late one, but of a
        model that writes not the last token, after which is measured. The text itself if no word can be changed so.
    """
    text, tokenizer = reading.text, reading.opened.tokenizer
    tokenizer = tokenizer.tokenizer if reading.writes else tokenizer
    encoded, table = tokenizer.encode(text), reading.model.embedding
    sizes = np.maximum(np.linalg.norm(table, axis=-1), np.float32(1e-12))
    last = len(reading.tokens) - 1 if reading.writes else None
    words = _words(text, encoded.offsets[: len(reading.tokens)])
    for at, start, word in sorted(words, key=lambda each: (len(each[2]) < _LONG, each[0] == last, -each[0])):
        cosines = table @ table[encoded.ids[at]] / sizes
        for id in np.argsort(-cosines)[:_NEAREST]:
            other = tokenizer.decode([int(id)]).strip()
            if not _is_another_word(word, other):
                continue
            changed = text[:start] + (other.capitalize() if word.istitle() else other) + text[start + len(word) :]
            ids = tokenizer.encode(changed).ids
            if len(ids) == len(encoded.ids) and np.flatnonzero(np.not_equal(ids, encoded.ids)).tolist() == [at]:
                return changed
    return text


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
