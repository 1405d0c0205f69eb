"""Pieces or words: what the rows and columns of a model's attention stand for."""

from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from attn import charts
from attn.analysis.word_level import mask_to_words, to_words
from attn.pretrained import words_of

LEVELS = {"pieces": "Pieces", "words": "Words"}


class WordLevel(NamedTuple):
    """The rows and columns of a layer, as they are or with the pieces of each word put together."""

    rows: tuple  # of Token, or of Word
    columns: tuple
    row_words: list | None  # number of the word of each piece; None where pieces stay as they are
    column_words: list | None

    @property
    def labels(self):
        """Labels of the rows, and of the columns."""
        return tuple(charts.token_labels([each.text for each in side]) for side in self[:2])

    @property
    def places(self):
        """Position in the text of the first piece of each row, and of each column."""
        if self.row_words is None:
            return tuple(list(range(len(side))) for side in self[:2])
        return tuple([word.pieces[0] for word in side] for side in self[:2])

    @property
    def num_given(self):
        """Number of rows, and of columns, without those behind them that only fill a sound up."""
        return tuple(sum(not each.filler for each in side) for side in self[:2])

    def cell(self, cell):
        """Return the row and the column of the query and key at two positions; the last given for one behind it."""
        sides = zip(cell, self.places, self.num_given, strict=True)
        return tuple(max(min(bisect_right(places, at), count) - 1, 0) for at, places, count in sides)

    def on_patches(self, grid):
        """Return where among our columns the patches of a picture lie, of a grid that says where among the pieces."""
        return grid._replace(keys=tuple(bisect_right(self.places[1], key) - 1 for key in grid.keys))

    def weights(self, weights):
        """Return weights of pieces, (..., n_q, n_k), as those of rows and columns."""
        return weights if self.row_words is None else to_words(weights, self.row_words, self.column_words)

    def averaged(self, weights):
        """Return what has a row for each piece and a column for each of ours, its rows averaged."""
        return weights if self.row_words is None else to_words(weights, self.row_words, range(len(self.columns)))

    def of_rows(self, numbers):
        """Return what has one number for each piece as one for each row, averaged, (rows,)."""
        return numbers if self.row_words is None else to_words(numbers[:, None], self.row_words, [0])[:, 0]

    def visible(self, mask):
        """Return where a row may look, of a mask over pieces: where any of its pieces may."""
        return mask if self.row_words is None else mask_to_words(mask, self.row_words, self.column_words)

    def hidden(self, hidden):
        """Return where a row may not look, of the cells that are hidden from pieces."""
        return ~self.visible(~hidden)


def word_level_of(level, query_tokens, key_tokens):
    """Return the rows and columns of a layer at a level.

    Parameters
    ----------
    level : {"pieces", "words"}
    query_tokens, key_tokens : sequence of Token
        Some of a layer's, or all.

    Returns
    -------
    WordLevel
    """
    if level == "pieces":
        return WordLevel(tuple(query_tokens), tuple(key_tokens), None, None)
    numbers = ([token.word for token in side] for side in (query_tokens, key_tokens))
    return WordLevel(words_of(query_tokens), words_of(key_tokens), *numbers)


class Look(NamedTuple):
    """How much one row looks at one column."""

    row: int
    column: int
    weight: float


def strongest_looks(level, weights):
    """Return where each word looks most among the other words, the strongest look first.

    A page on which no word was chosen begins with the first: it is the word worth looking at. Special tokens and
    signs are no words here, and pieces of one word are not others to each other.

    Parameters
    ----------
    level : WordLevel
    weights : ndarray, shape (rows, columns)
        Of one head.

    Returns
    -------
    list of Look
        One for each word that looks at another.
    """
    looking, seen = ([at for at, each in enumerate(side) if is_word(each)] for side in level[:2])
    if not looking or not seen:
        return []
    others = weights[np.ix_(looking, seen)]
    if level.rows == level.columns:
        of = [_whole_word(level.rows[at], at) for at in looking]
        others = np.where(np.equal.outer(of, of), 0, others)
    best = others.argmax(axis=1)
    found = (Look(looking[at], seen[key], float(others[at, key])) for at, key in enumerate(best))
    return sorted((look for look in found if look.weight > 0), key=lambda look: -look.weight)


def is_word(each):
    """Return whether a token or a word of a text is no special token and no sign."""
    return not each.special and any(map(str.isalnum, each.text))


def _whole_word(each, at):
    """Return a number that the pieces of a word share; a token of which no word is known is one of its own."""
    word = getattr(each, "word", None)
    return -1 - at if word is None else word


def word_level_labels_code(level):
    """Return the lines that bind ``rows`` and ``columns``, the labels of ``layer`` at a level."""
    one, of = ("word", "words") if level == "words" else ("token", "tokens")
    return "\n".join(
        f"{name} = charts.token_labels([{one}.text for {one} in layer.{side}_{of}])"
        for name, side in (("rows", "query"), ("columns", "key"))
    )


WORD_LEVEL_CODE = """from attn.analysis.word_level import mask_to_words, to_words
sides = [[token.word for token in side] for side in (layer.query_tokens, layer.key_tokens)]"""
"""Lines that bind ``sides``, the numbers of the words of the queries and keys of ``layer``."""
