"""Tokens as a person reads them: the text they came from, not the vocabulary's spelling of it."""

from __future__ import annotations

import re
import threading
import unicodedata
import weakref
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from attn.data.examples import word_places
from attn.pretrained.errors import ModelError
from attn.words import visible_character

if TYPE_CHECKING:
    import tokenizers
    import transformers

LONGEST_LABEL = 32
LONGEST_TEXT = 200_000  # characters: far beyond what any model here reads, and tokenized in a moment

_JOINERS = "\u200c\u200d"  # part of how emoji and several scripts are written
_SPACES = "Ġ▁"  # how vocabularies write the space before a word
_UNREADABLE = "\ufffd"
_BYTE = "<0x[0-9A-F]{2}>"  # of a label
_LONGEST_WORD = 64  # tokens of a word that is written on
_MOST_TOGETHER = 8  # tokens of one emoji, or of two that share a token
_locks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # tokenizer -> its lock
_making_locks = threading.Lock()
# bytes that byte-level BPE writes as they are
_PRINTABLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_BYTES = {chr(byte): byte for byte in range(0x100)} | {
    chr(0x100 + place): byte for place, byte in enumerate(sorted({*range(0x100)} - _PRINTABLE))
}


class Patch(NamedTuple):
    """A place in a picture: a cell of a grid that covers all of it, counted from 0, row by row."""

    row: int
    column: int
    rows: int  # of the grid
    columns: int


class Token(NamedTuple):
    """One token of a text, or what a model reads in place of one."""

    # as people read it, with the sign of its vocabulary for a space (␣), for going on with a word (##) or for its end
    # (</w>); of an unknown token what the model read, then what was typed; empty of `PADDING`
    text: str
    id: int | None  # in the vocabulary; None for what is not a token, such as a patch of a picture
    special: bool  # put there by the tokenizer, or read as one of its special tokens
    start: int | None = None  # where in the text it begins; None for what was not in the text
    end: int | None = None
    segment: int = 0  # 1 in the second text of a pair
    unknown: bool = False  # stands for whatever the vocabulary lacks: the model does not read what was typed
    inside: bool = False  # goes on with the word of the token before
    word: int | None = None  # number of its word among those around it; None for what is no piece of a text
    word_text: str = ""  # its whole word as people read it
    picture: int | None = None  # which of the pictures it stands for or in, counted from 0
    filler: bool = False  # fills up what was given, as silence does a short sound, and stands for nothing of it
    patch: Patch | None = None  # the place that it stands for there; None where it stands for no one place


PADDING = Token("", None, True)  # stands in the row of a text of a batch where it has no token


def lock_of(tokenizer: transformers.PreTrainedTokenizerBase | None) -> threading.RLock:  # type: ignore[valid-type]
    """Return the lock to hold while a tokenizer works: it changes meanwhile, and decodes nothing while it is changed.

    Parameters
    ----------
    tokenizer
        None has a lock of nobody else.

    Returns
    -------
    threading.RLock
        The same one for every model that has this tokenizer.
    """
    if tokenizer is None:
        return threading.RLock()
    with _making_locks:
        return _locks.setdefault(tokenizer, threading.RLock())


def checked(text: str) -> str:
    """Return a text in the form that a tokenizer takes.

    Parameters
    ----------
    text : str

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

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Never empty. Control characters show as their byte, other spaces than the usual one and characters that change
        the direction of text as their number.

    Examples
    --------
    >>> readable(" the"), readable(" "), readable("\\n"), readable("\\x01"), readable("\\u202e")
    ('␣the', '␣', '↵', '<0x01>', 'U+202E')
    """
    text = text.replace("\ufe0e", "") or "␀"
    if not text.strip(f"{_JOINERS}\ufe0f"):  # nothing to be joined, or to be shown as an emoji
        label = "".join(f"U+{ord(character):04X}" for character in text)
    else:
        text = f"◌{text}" if unicodedata.category(text[0]).startswith("M") else text  # an accent with nothing below it
        label = "".join(character if character in _JOINERS else visible_character(character) for character in text)
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def written_piece(piece: str) -> str:
    """Return what a vocabulary's spelling of bytes stands for: text, and bytes that are no character as numbers.

    Parameters
    ----------
    piece
        As byte-level BPE writes bytes, each as a letter; any other piece is returned as it is.

    Examples
    --------
    >>> written_piece("ĠðŁ"), written_piece("ŀĭ"), written_piece("Ġcat"), written_piece("##ing")
    (' <0xF0><0x9F>', '<0x9E><0x8B>', ' cat', '##ing')
    """
    if piece.isascii() or not {*piece} <= {*_BYTES}:
        return piece
    text = bytes(_BYTES[character] for character in piece).decode(errors="surrogateescape")
    text = "".join(_byte(ord(each) - 0xDC00) if "\udc80" <= each <= "\udcff" else each for each in text)
    return text.replace(_UNREADABLE, "".join(map(_byte, _UNREADABLE.encode())))


def _byte(number):
    """Return a byte as a number."""
    return f"<0x{number:02X}>"


def from_encoding(
    encoding: tokenizers.Encoding,
    texts: Sequence[str],
    special_ids: Collection[int],
    unknown: Mapping[int, str] | None = None,
) -> tuple[Token, ...]:
    """Name the tokens of an encoding by the text that they stand for.

    Parameters
    ----------
    encoding : tokenizers.Encoding
    texts : sequence of str
        The text, or both texts of a pair.
    special_ids : collection of int
        Ids that are special wherever they come from. The unknown token is not among them: it stands
        for a word of the text.
    unknown : dict, optional
        Id -> name of the token that stands for what the vocabulary lacks; see `unknown_token`.

    Returns
    -------
    tuple of Token
        Tokens that share a character (the bytes of an emoji) are numbered, ``🙂 1/3``. An unknown token
        has what was typed behind its own name, ``[UNK] 🙂``. Words are those of `attn.examples.split_words`,
        whatever the tokenizer takes for one: a token that reaches into two joins them.
    """
    places = zip(
        encoding.ids,
        encoding.tokens,
        encoding.offsets,
        encoding.special_tokens_mask,
        encoding.sequence_ids,
        strict=True,
    )
    unknown, named = unknown or {}, []
    for id, piece, (start, end), added, segment in places:
        special = bool(added) or id in special_ids
        if segment is None:
            named.append(Token(readable(piece), id, special, segment=named[-1].segment if named else 0))
        else:
            text = texts[segment]
            if named and named[-1].start == start and not named[-1].text.strip("␣"):
                named[-1] = named[-1]._replace(end=start)  # a space that the tokenizer puts before a first word
            before = named[-1] if named and named[-1].segment == segment else None
            start, end = _place(piece, text, start, end, before)
            written = _written(piece, text[start:end])
            label = _unknown(unknown[id], written) if id in unknown else readable(_marked(written, piece))
            named.append(Token(label, id, special, start, end, segment, id in unknown))
    spans = [None if token.special or token.start is None else (token.start, token.end) for token in named]
    return tuple(_numbered(_with_words(named, spans, texts, unknown)))


def from_ids(ids: Sequence[int], tokenizer: transformers.PreTrainedTokenizerBase | None) -> tuple[Token, ...]:
    """Name tokens by their ids alone, as far as a tokenizer can tell.

    Parameters
    ----------
    ids : sequence of int
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Locked meanwhile.

    Returns
    -------
    tuple of Token
        Tokens that are readable together only (the bytes of an emoji) are numbered, ``🙂 1/3``.
    """
    if tokenizer is None:
        return tuple(Token(str(id), id, False) for id in ids)
    with lock_of(tokenizer):
        return _named_by_ids(ids, tokenizer)


def id_of_label(label: str, tokenizer: transformers.PreTrainedTokenizerBase | None) -> int | None:
    """Return the id of the token that `from_ids` names so.

    Parameters
    ----------
    label : str
        As figures show it: ``##ness``, ``ness</w>``, ``␣the``.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Locked meanwhile.

    Returns
    -------
    int or None
        None where no piece of the vocabulary is named so, or its label is too long to be told from others.
    """
    if tokenizer is None:
        return None
    with lock_of(tokenizer):
        for piece in _spellings(label):
            try:
                id = tokenizer.convert_tokens_to_ids(piece)
            except ValueError:  # CANINE, of whatever is more than one sign
                continue
            if id is not None and id < len(tokenizer) and _named_by_ids([id], tokenizer)[0].text == label:
                return int(id)
    return None


def _spellings(label):
    """Yield how vocabularies may write a piece of this label: as it is shown, with SentencePiece's space, in bytes."""
    yield label
    yield label.replace("␣", "▁")
    bare, end = (label.removesuffix("</w>"), "</w>") if label.endswith("</w>") else (label, "")
    written = b"".join(
        bytes.fromhex(part[3:5]) if re.fullmatch(_BYTE, part) else part.encode(errors="replace")
        for part in re.split(f"({_BYTE})", bare.replace("␣", " ").replace("↵", "\n").replace("⇥", "\t"))
    )
    sign = {byte: character for character, byte in _BYTES.items()}
    yield "".join(sign[byte] for byte in written) + end  # as GPT-2 writes bytes
    yield "".join(map(_byte, written))  # as SentencePiece
    yield "".join(map(chr, written))  # as ByT5


def _named_by_ids(ids, tokenizer):
    """Name tokens by their ids."""
    special, unknown = special_ids(tokenizer), unknown_token(tokenizer)
    named, spans, whole, before = [], [], "", ()
    for group, text in _readable_together(ids, tokenizer, {*special, *unknown}):
        begun = len(whole)
        if special & {*before, *group}:
            whole += f" {text}"
        else:
            whole += _added(before, group, text, tokenizer)
        spelled = "" if len(group) > 1 else str(tokenizer.convert_ids_to_tokens(group[0]) or "")
        for number, id in enumerate(group, start=1):
            label = f"{readable(text)} {number}/{len(group)}" if len(group) > 1 else readable(_marked(text, spelled))
            named.append(Token(label, id, id in special, unknown=id in unknown))
            spans.append(None if id in special else (begun, len(whole)))
        before = group
    return tuple(_with_words(named, spans, [whole], unknown))


def in_a_row(*parts: Sequence[Token]) -> tuple[Token, ...]:
    """Put tokens in a row, their words numbered through.

    Parameters
    ----------
    *parts : sequences of Token
        Each begins with another word than the one before ended with.

    Returns
    -------
    tuple of Token
    """
    row: list[Token] = []
    number = -1
    for part in parts:
        before = None
        for token in part:
            number += token.word is not None and token.word != before
            before = token.word
            row.append(token if token.word is None else token._replace(word=number))
    return tuple(row)


def following(token: Token, before: Sequence[Token], tokenizer: transformers.PreTrainedTokenizerBase | None) -> Token:
    """Number the word of a token that is written after others, which may go on with the last of their words.

    Parameters
    ----------
    token : Token
    before : sequence of Token
        What stands before it; not empty.
    tokenizer : transformers.PreTrainedTokenizerBase or None

    Returns
    -------
    Token
        Its ``word_text`` is the word as far as it is written.
    """
    last = before[-1]
    pieces = [each for each in before[-_LONGEST_WORD:] if each.word == last.word]
    *_, previous, named = from_ids([*(piece.id for piece in pieces), token.id], tokenizer)
    number = last.word + (named.word != previous.word)
    return token._replace(inside=named.inside, word=number, word_text=named.word_text)


def special_ids(tokenizer: transformers.PreTrainedTokenizerBase) -> set[int]:
    """Return the ids of the special tokens of a tokenizer, also those added as such, without the unknown one."""
    added = {id for id, token in getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special}
    return ({*tokenizer.all_special_ids} | added) - {*unknown_token(tokenizer)}


def unknown_token(tokenizer: transformers.PreTrainedTokenizerBase) -> dict[int, str]:
    """Return the token that stands for what the vocabulary lacks.

    Returns
    -------
    dict
        Id -> name. Empty where the token has another task, as in GPT-2, which reads every byte and lacks nothing.
    """
    id = tokenizer.unk_token_id
    return {} if id in (None, tokenizer.bos_token_id, tokenizer.eos_token_id) else {id: str(tokenizer.unk_token)}


def _readable_together(ids, tokenizer, whole):
    """Yield the shortest runs of ids that decode to something readable, and what they decode to."""
    place = 0
    while place < len(ids):
        group, text = [], ""
        for id in ids[place : place + _MOST_TOGETHER]:
            alone = "" if id in whole else _piece(id, tokenizer)
            if id in whole or (group and alone):
                break
            group.append(id)
            text = alone or _decoded(group, tokenizer)
            if text and _UNREADABLE not in text:
                break
        if not text or _UNREADABLE in text:  # special, or bytes that are no character
            group, text = [ids[place]], _spelling(ids[place], tokenizer)
        yield group, text
        place += len(group)


def _piece(id, tokenizer):
    """Return what one id stands for, with its space; nothing if it is not readable alone."""
    spelled = str(tokenizer.convert_ids_to_tokens(id) or "")
    if spelled.startswith("▁"):  # decoding leaves out the space of a first word
        return _written(spelled, "")
    text = _decoded([id], tokenizer)
    return "" if _UNREADABLE in text else text


def _decoded(ids, tokenizer):
    """Return the text of ids as the tokenizer puts it together."""
    return tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def _spelling(id, tokenizer):
    """Return how the vocabulary writes an id; as numbers if it is bytes that are no character."""
    piece = str(tokenizer.convert_ids_to_tokens(id) or id)
    if unicodedata.category(piece[0]) == "Co":  # CANINE gives its special tokens places where Unicode has no letters
        roles = {token: role for role, token in tokenizer.special_tokens_map.items()}
        return f"[{roles[piece].removesuffix('_token').upper()}]" if piece in roles else piece
    return written_piece(piece)


def _added(before, group, text, tokenizer):
    """Return what the tokenizer adds to the text of some ids when others follow, with a space between or without."""
    first = _decoded(before, tokenizer)
    if not first.strip() or not text.strip():
        return text
    return _decoded([*before, *group], tokenizer)[len(first.rstrip()) :]


def _with_words(named, spans, texts, unknown):
    """Return tokens that know their words, by the places in a text where each begins and ends, or None."""
    covers, reached, words = [_cover(text) for text in texts], set(), []
    for token, span in zip(named, spans, strict=True):
        reach = set() if span is None else _reach(token, span, texts[token.segment], covers[token.segment])
        if words and reach & reached:
            words[-1].append((token, span))
        else:
            words.append([(token, span)])
        reached = reach
    for number, pieces in enumerate(words):
        label = _word_text(pieces, texts, unknown)
        inside = False
        for token, _ in pieces:
            yield token._replace(inside=inside, word=number, word_text=label)
            inside = inside or not _is_space(token)


def _is_space(token):
    """Say whether a token is nothing but the space before a word."""
    return not token.text.strip("␣")


def _cover(text):
    """Return the place where the word begins that each character of a text belongs to; its own where there is none."""
    cover = [*range(len(text))]
    for start, end in word_places(text):
        cover[start:end] = [start] * (end - start)
    return cover


def _reach(token, span, text, cover):
    """Return the words, by where they begin, that a token reaches into; a space alone leads in the one behind it."""
    start, end = span
    leads = _is_space(token) and not text[end : end + 1].isspace()
    return {(token.segment, place) for place in cover[start : end + leads]}


def _word_text(pieces, texts, unknown):
    """Return what a word is called, given its tokens and their places: what was typed."""
    first, span = pieces[0]
    typed = "" if span is None else texts[first.segment][span[0] : pieces[-1][1][1]].strip()
    names = [unknown[token.id] for token, _ in pieces if token.id in unknown]
    if not typed or (len(pieces) == 1 and (names or _UNREADABLE in typed)):
        return first.text
    return _unknown(names[0], typed) if names else readable(typed)


def _place(piece, text, start, end, before):
    """Return where in the text a piece begins and ends, with the space that it begins with."""
    spaces = _spaces(piece, text[start:end] or " ")
    free = before is None or before.end is None or before.end < start
    if spaces and free and text[start - 1 : start].isspace() and not text[start : start + 1].isspace():
        return start - 1, start if spaces == len(piece) else end
    return start, end


def _spaces(piece, typed):
    """Return how many spaces a piece begins with; none if its first sign is a letter of the text."""
    return 0 if typed.startswith(piece[:1]) or piece[0] not in _SPACES else len(piece) - len(piece.lstrip(piece[0]))


def _written(piece, typed):
    """Return what a piece stands for: what was typed, after the spaces that the model reads."""
    spaces = _spaces(piece, typed or " ")
    if not spaces:
        return typed or piece
    bare = typed.lstrip() if piece[0] == "▁" else typed.lstrip(" ")  # SentencePiece reads a tab as a space
    return " " * spaces + ((bare or piece[spaces:]) if spaces < len(piece) else "")


def _marked(text, piece):
    """Return a text with the sign that its vocabulary has inside words: ``##`` where one goes on, ``</w>`` at its end.

    Other vocabularies write the space before a word, which `_written` keeps.
    """
    before = "##" if piece.startswith("##") and piece != "##" and not text.startswith("##") else ""
    behind = "</w>" if piece.endswith("</w>") and not text.endswith("</w>") else ""
    return f"{before}{text}{behind}"


def running_text(tokens: Sequence[Token]) -> str:
    """Return tokens as the text that they stand for.

    Parameters
    ----------
    tokens : sequence of Token
        Not special.

    Returns
    -------
    str

    Examples
    --------
    >>> pieces = Token("play", 1, False), Token("##ful", 2, False, inside=True), Token("cat", 3, False)
    >>> running_text(pieces), running_text([Token("a", 1, False), Token("␣cat", 2, False)])
    ('playful cat', 'a cat')
    """
    texts = [token.text.removesuffix("</w>") for token in tokens]
    if any("␣" in text for text in texts):  # pieces say themselves where a space is
        return "".join(texts).replace("␣", " ")
    bare = (text.removeprefix("##") if token.inside else f" {text}" for token, text in zip(tokens, texts, strict=True))
    return "".join(bare).removeprefix(" ")


def _unknown(name, typed):
    """Return the label of an unknown token: its own name, and what was typed."""
    typed = typed.strip()
    if not typed or typed == name:
        return readable(name)
    label = f"{readable(name)} {readable(typed)}"
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def _numbered(tokens):
    """Number the labels of tokens that share a character."""
    for group in _sharing(tokens):
        for number, token in enumerate(group, start=1):
            yield token._replace(text=f"{token.text} {number}/{len(group)}") if len(group) > 1 else token


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
