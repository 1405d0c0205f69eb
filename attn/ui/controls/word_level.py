"""The choice between pieces and words, and the sentence that says what it does."""

import streamlit as st

from attn.ui.state import as_text
from attn.ui.word_level import LEVELS


def word_level_control(state, *sides):
    """Draw the choice between pieces and words, where some of the tokens are pieces of words.

    Parameters
    ----------
    state : PageState
    *sides : sequence of Token
    """
    if all(token.word is None for side in sides for token in side):
        state.adjust(level="pieces")
        return
    st.segmented_control(
        "Text as",
        LEVELS,
        format_func=LEVELS.get,
        key=state.key("level"),
        required=True,
        help="A tokenizer cuts rare words into pieces, and the model looks from piece to piece. Words puts the pieces "
        "of each word together: what they receive is summed, and where they look is averaged. A sign stands alone; in "
        "scripts without spaces between words a piece is a word.",
    )


def say_word_level(level, mask=None):
    """Say what was done to put the pieces of words together, if they are.

    Parameters
    ----------
    level : WordLevel
    mask : ndarray of bool, shape (n_q, n_k), optional
        Where pieces may look.
    """
    if level.row_words is not None:
        st.caption(word_level_sentence(level, mask))


def word_level_sentence(level, mask=None):
    """Return the sentence of `say_word_level`."""
    longest = max((*level.rows, *level.columns), key=lambda word: len(word.pieces))
    if len(longest.pieces) == 1:
        return "As words: every word of this text is one piece, so the map is the same."
    said = (
        "As words: what the pieces of a word receive is summed, and where they look is averaged, so that each row adds "
        f"up to what it did (Clark et al., 2019, section 4.1). The longest word here, {as_text(longest.text)}, has "
        f"{len(longest.pieces)} pieces."
    )
    if mask is not None and (level.visible(mask) & level.visible(~mask)).any():
        said += (
            " The mask hides pieces, not words: a word looks wherever any of its pieces may, and so it sees some "
            "words, or itself, only in part."
        )
    return said
