"""The tokenizer.json of a model, read without transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attn.pretrained.errors import ModelError, first_line
from attn.pretrained.inputs import tokens, vocabulary
from attn.pretrained.inputs.tokenizer_class import settings_of


class TokenizerFile(NamedTuple):
    """What cuts text into tokens."""

    tokenizer: Any  # tokenizers.Tokenizer, which neither cuts texts short nor fills them up
    special_ids: frozenset  # of int: special wherever they come from, without that of the unknown token
    unknown: dict  # id -> name of the token that stands for what the vocabulary lacks


def open_tokenizer(folder: Path, name: str) -> TokenizerFile:
    """Open the tokenizer of a model.

    Parameters
    ----------
    folder
    name
        The model as the user named it.

    Raises
    ------
    ModelError
        If there is no tokenizer.json, or it or a file beside it cannot be read.
    """
    from tokenizers import Tokenizer

    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"{name} has no tokenizer.json, so text cannot be given to it")
    roles = settings_of(folder, name).tokens
    try:
        return whole_texts(Tokenizer.from_file(str(folder / "tokenizer.json")), roles)
    except Exception as error:  # of tokenizers, which has no kind of its own
        raise ModelError(f"{name} has a tokenizer.json that cannot be opened: {first_line(error)}") from error


def whole_texts(tokenizer: Any, roles: Mapping[str, str] | None = None) -> TokenizerFile:
    """Return a tokenizer with what is known of its special tokens, after telling it to leave texts at their length.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        It is changed.
    roles
        Special tokens by what they are for, such as ``unk_token``. By default the tokenizer itself says which token
        stands for what the vocabulary lacks.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    roles = {"unk_token": getattr(tokenizer.model, "unk_token", None), **(roles or {})}
    name = roles["unk_token"]
    if name in (roles.get("bos_token"), roles.get("eos_token")):
        name = None  # as in GPT-2, which reads every byte and lacks nothing
    unknown = {id: name for id in [name and tokenizer.token_to_id(name)] if id is not None}
    added = tokenizer.get_added_tokens_decoder()
    return TokenizerFile(tokenizer, frozenset(id for id, token in added.items() if token.special) - {*unknown}, unknown)


def spelled_token(tokenizer: Any, id: int) -> str:
    """Return a token of the vocabulary as figures show it: ␣ for a space, <0xE2> for a byte that is no character.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
    id
    """
    spelled = tokenizer.id_to_token(int(id)) or str(id)
    text = tokenizer.decode([int(id)], skip_special_tokens=False)
    if "\ufffd" in text:  # bytes that are no character alone
        return tokens.readable(tokens.written_piece(spelled))
    if spelled.startswith("▁") and not text.startswith(" "):  # decoding leaves out the space of a first word
        text = f" {text}"
    return tokens.readable(text or spelled)


def encoded(opened: TokenizerFile, texts: list[str], max_tokens: int, rows: int, name: str) -> tuple:
    """Cut a text, or a pair of texts, into tokens.

    Parameters
    ----------
    opened
    texts
        One or two.
    max_tokens
        What is beyond them is cut off.
    rows
        Tokens of the model's embeddings.
    name
        The model as the user named it.

    Returns
    -------
    encoding : tokenizers.Encoding
    names : tuple of Token
    truncated_from : int or None
        Number of tokens before the text was cut.

    Raises
    ------
    ModelError
        If a text is too long to be tokenized, or has a token for which the model has no row.
    """
    texts = [tokens.checked(each) for each in texts]
    encoding = opened.tokenizer.encode(*texts)
    count = len(encoding.ids)
    if count > max_tokens:  # a copy, because threads share the tokenizer
        cutting = type(opened.tokenizer).from_str(opened.tokenizer.to_str())
        cutting.enable_truncation(max_tokens)
        encoding = cutting.encode(*texts)
    if beyond := [id for id in encoding.ids if id >= rows]:
        token = opened.tokenizer.id_to_token(beyond[0])
        raise ModelError(vocabulary.sentence(name, token, beyond[0], rows))
    names = tokens.from_encoding(encoding, texts, opened.special_ids, opened.unknown)
    return encoding, names, count if count > max_tokens else None
