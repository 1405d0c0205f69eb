"""Tokens as a person reads them: the text they came from, not the vocabulary's spelling of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from attn.pretrained.errors import ModelError

if TYPE_CHECKING:
    import tokenizers
    import transformers

LONGEST_LABEL = 32
LONGEST_TEXT = 200_000  # characters: far beyond what any model here reads, and tokenized in a moment

_JOINERS = "\u200c\u200d"  # part of how emoji and several scripts are written
_SPACES = "Ġ▁"  # how vocabularies write the space before a word
_UNREADABLE = "\ufffd"


class Token(NamedTuple):
    """One token of a text."""

    text: str  # as people read it, never empty
    id: int | None  # in the vocabulary; None for what is not a token, such as a patch of a picture
    special: bool  # put there by the tokenizer, or read as one of its special tokens
    start: int | None = None  # where in the text it begins; None for what was not in the text
    end: int | None = None
    segment: int = 0  # 1 in the second text of a pair


def checked(text: str) -> str:
    """Return a text in the form that a tokenizer takes.

    Returns
    -------
    str
        Of the same length: lone surrogates, which no tokenizer takes, are replaced one for one.

    Raises
    ------
    ModelError
        If the text is longer than `LONGEST_TEXT`.
    ValueError
        If it is not a string.
    """
    if not isinstance(text, str):
        raise ValueError(f"text must be a string, got {type(text).__name__}")
    if len(text) > LONGEST_TEXT:
        raise ModelError(f"text must have at most {LONGEST_TEXT:,} characters, got {len(text):,}")
    return "".join(_UNREADABLE if "\ud800" <= character <= "\udfff" else character for character in text)


def readable(text: str) -> str:
    """Return a piece of text as a label: one line, nothing invisible, spaces included, not too long.

    Returns
    -------
    str
        Never empty. Control characters, other spaces than the usual one, and characters that change
        the direction of text show as symbols or numbers.

    Examples
    --------
    >>> readable(" the"), readable(" "), readable("\\n"), readable("\\u202e")
    ('␣the', '␣', '↵', 'U+202E')
    """
    text = text.replace("\ufe0e", "").replace(" ", "␣") or "␀"
    if unicodedata.category(text[0]).startswith("M"):
        text = "◌" + text  # an accent with nothing to stand on
    if any(character not in _JOINERS for character in text):
        label = "".join(character if character in _JOINERS else _visible(character) for character in text)
    else:
        label = "".join(f"U+{ord(character):04X}" for character in text)
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def _visible(character):
    """Return a character, or something to see in its place."""
    code = ord(character)
    if character in "\n\t":
        return "↵" if character == "\n" else "⇥"
    if code < 0x20:
        return chr(0x2400 + code)  # ␀ ␁ ␂ ...
    if code == 0x7F:
        return "␡"
    if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Zs"):
        return f"U+{code:04X}"
    return character


def from_encoding(encoding: tokenizers.Encoding, texts: Sequence[str], special_ids: set[int]) -> tuple[Token, ...]:
    """Name the tokens of an encoding by the text that they stand for.

    Parameters
    ----------
    encoding
    texts
        The text, or both texts of a pair.
    special_ids
        Ids that are special wherever they come from. The unknown token is not among them: it stands
        for a word of the text.

    Returns
    -------
    tuple of Token
        Tokens that share a character (the bytes of an emoji) are numbered, ``🙂 1/3``.
    """
    places = zip(
        encoding.ids,
        encoding.tokens,
        encoding.offsets,
        encoding.special_tokens_mask,
        encoding.sequence_ids,
        strict=True,
    )
    named = []
    for id, piece, (start, end), added, segment in places:
        special = bool(added) or id in special_ids
        if segment is None:
            named.append(Token(readable(piece), id, special, segment=named[-1].segment if named else 0))
        elif end > start:
            start -= _leaves_out_its_space(piece, texts[segment], start, named[-1:])
            named.append(Token(texts[segment][start:end], id, special, start, end, segment))
        else:
            named.append(Token(piece.replace("▁", " ").replace("Ġ", " "), id, special, start, end, segment))
    return tuple(numbered(named))


def from_ids(ids: Sequence[int], tokenizer: transformers.PreTrainedTokenizerBase | None) -> tuple[Token, ...]:
    """Name tokens by their ids alone, as far as a tokenizer can tell."""
    if tokenizer is None:
        return tuple(Token(str(id), id, False) for id in ids)
    special = special_ids(tokenizer)
    return tuple(Token(readable(_piece(id, tokenizer)), id, id in special) for id in ids)


def special_ids(tokenizer: transformers.PreTrainedTokenizerBase) -> set[int]:
    """Return the ids of the special tokens of a tokenizer, without the unknown token."""
    return set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}


def _piece(id, tokenizer):
    """Return what one id decodes to, or its spelling in the vocabulary where that is unreadable."""
    text = tokenizer.decode([id], clean_up_tokenization_spaces=False)
    return text if text and _UNREADABLE not in text else str(tokenizer.convert_ids_to_tokens(id) or id)


def _leaves_out_its_space(piece, text, start, before):
    """Say whether a piece begins with a space of the text that lies just before its place."""
    free = not before or before[0].end is None or before[0].end < start
    begins_a_word = text[start - 1 : start] == " " and text[start] != " "
    return free and piece[0] in _SPACES and begins_a_word


def numbered(tokens):
    """Make labels of the tokens, numbering those that share a character."""
    for group in _sharing(tokens):
        for number, token in enumerate(group, start=1):
            label = readable(token.text)
            yield token._replace(text=f"{label} {number}/{len(group)}" if len(group) > 1 else label)


def _sharing(tokens):
    """Yield lists of tokens that follow one another: each reaches into the place of the one before."""
    group = []
    for token in tokens:
        last = group[-1] if group else None
        if last and (last.start is None or token.start is None or not _overlap(last, token)):
            yield group
            group = []
        group.append(token)
    if group:
        yield group


def _overlap(first, second):
    """Say whether two tokens of one text share a character."""
    return first.segment == second.segment and max(first.start, second.start) < min(first.end, second.end)
