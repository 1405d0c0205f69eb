"""Words as a person reads them, put together again from the tokens that they were cut into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attn.analysis.word_level import word_groups
from attn.pretrained.inputs.tokens import Token


class Word(NamedTuple):
    """One word of a text, or one token that is no piece of a word."""

    text: str  # as people read it, never empty
    ids: tuple[int | None, ...]  # of its pieces
    special: bool
    start: int | None  # where in the text it begins; None for what was not in the text
    end: int | None
    segment: int  # 1 in the second text of a pair
    unknown: bool  # some piece of it stands for what the vocabulary lacks
    pieces: tuple[int, ...]  # places of its tokens
    filler: bool = False  # fills up what was given, and stands for nothing of it


def words_of(tokens: Sequence[Token]) -> tuple[Word, ...]:
    """Put tokens together to the words that they are pieces of.

    Parameters
    ----------
    tokens : sequence of Token
        With the numbers of their words, as a recording names its rows and columns.

    Returns
    -------
    tuple of Word
        In the order of `attn.analysis.word_level.to_words`. Special tokens, patches of a picture and
        moments of a sound stay as they are.

    Examples
    --------
    >>> pieces = Token("un", 7, False, 0, 2, word=0, word_text="undo"), Token("do", 8, False, 2, 4, word=0)
    >>> [(word.text, word.ids) for word in words_of([*pieces, Token("[SEP]", 2, True, word=1)])]
    [('undo', (7, 8)), ('[SEP]', (2,))]
    """
    groups = word_groups([token.word for token in tokens], len(tokens))
    return tuple(_word(tokens, np.flatnonzero(groups == group)) for group in range(groups.max(initial=-1) + 1))


def _word(tokens, places):
    """Put the tokens at some places together."""
    pieces = [tokens[place] for place in places]
    first, last = pieces[0], pieces[-1]
    return Word(
        first.word_text or first.text,
        tuple(piece.id for piece in pieces),
        first.special,
        first.start,
        last.end,
        first.segment,
        any(piece.unknown for piece in pieces),
        tuple(places.tolist()),
        first.filler,
    )
