"""The languages that a tokenizer knows, to translate or to write down: by its codes, chosen for one text at a time.

With them goes what a model of speech is to do with what it hears.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import transformers

    from attn.pretrained.loading.load import Loaded

_CODE = re.compile(r"_*[a-z]{2,3}(_[A-Za-z]+)?_*")  # en, en_XX, eng_Latn, __eng__


def source_languages(tokenizer: transformers.PreTrainedTokenizerBase | None) -> tuple[str, ...]:
    """Return the codes of the languages that the encoder's text may be in.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase or None

    Returns
    -------
    tuple of str
        Sorted; empty where the tokenizer knows no languages.
    """
    if not hasattr(tokenizer, "src_lang"):
        return ()
    return tuple(sorted(_codes(tokenizer)))


def ids(tokenizer: transformers.PreTrainedTokenizerBase | None) -> set[int]:
    """Return the tokens that stand for a language.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase or None

    Returns
    -------
    set of int
    """
    return set(_codes(tokenizer).values()) if hasattr(tokenizer, "src_lang") else set()


def _codes(tokenizer):
    """Return the code of each language and its token, of a tokenizer that has languages."""
    own = getattr(tokenizer, "lang_code_to_id", None)
    if own is None:
        named = [str(token) for token in tokenizer.extra_special_tokens if _CODE.fullmatch(str(token))]
        own = {code: tokenizer.convert_tokens_to_ids(code) for code in named}
    return {code: id for code, id in own.items() if id is not None and id != tokenizer.unk_token_id}


def target_languages(tokenizer: transformers.PreTrainedTokenizerBase | None) -> tuple[str, ...]:
    """Return the codes of the languages that the decoder's text may be in.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase or None

    Returns
    -------
    tuple of str
        As `source_languages`; those of a Marian model that translates into several, as it writes them (``>>fra<<``);
        those that Whisper can be told it hears.
    """
    marian = tuple(sorted(getattr(tokenizer, "supported_language_codes", ())))
    return source_languages(tokenizer) or marian or _heard(tokenizer)


def _heard(tokenizer):
    """Return the languages that a tokenizer of Whisper has a token for; those of its English models have none."""
    if not hasattr(tokenizer, "set_prefix_tokens"):
        return ()
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    known = tokenizer.get_vocab()
    return tuple(sorted(code for code in LANGUAGES if f"<|{code}|>" in known))


def speech_tasks(tokenizer: transformers.PreTrainedTokenizerBase | None) -> tuple[str, ...]:
    """Return what a Whisper can be told to do with the speech that it hears.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase or None

    Returns
    -------
    tuple of str
        Of "transcribe" and "translate", those that the tokenizer has a token for; empty where it knows no languages.
    """
    if not _heard(tokenizer):
        return ()
    known = tokenizer.get_vocab()
    return tuple(task for task in ("transcribe", "translate") if f"<|{task}|>" in known)


def check(name: str, code: str | None, known: tuple[str, ...]) -> None:
    """Raise if a language is none of those that are known.

    Parameters
    ----------
    name : str
        Of the argument.
    code : str or None
    known : tuple of str

    Raises
    ------
    ValueError
    """
    if code is None or code in known:
        return
    if not known:
        raise ValueError(f"{name} cannot be chosen, because this tokenizer knows no languages there, got {code!r}")
    shown = ", ".join(known[:8]) + (f" ... ({len(known)} in all)" if len(known) > 8 else "")
    raise ValueError(f"{name} must be one of {shown}, got {code!r}")


@contextmanager
def chosen(loaded: Loaded) -> Iterator[None]:
    """Let the tokenizer of a model work in the languages chosen for it inside the block, and as before afterwards.

    Parameters
    ----------
    loaded
        A language of None leaves what the tokenizer has; where it has no target, that is the source.
    """
    tokenizer, source, target = loaded.tokenizer, loaded.source_language, loaded.target_language
    if target and hasattr(tokenizer, "set_prefix_tokens"):
        with _told(tokenizer, target, loaded.speech_task):
            yield
        return
    if not hasattr(tokenizer, "src_lang"):
        yield
        return
    before = tokenizer.src_lang, tokenizer.tgt_lang
    tokenizer.src_lang = source or before[0]
    tokenizer.tgt_lang = target or before[1] or tokenizer.src_lang
    try:
        yield
    finally:
        tokenizer.src_lang, tokenizer.tgt_lang = before


@contextmanager
def _told(tokenizer, language, task):
    """Let a tokenizer of Whisper begin with a language inside the block; with it goes a task, if only to transcribe."""
    before = tokenizer.language, tokenizer.task
    tokenizer.set_prefix_tokens(language=language, task=task or before[1] or "transcribe")
    try:
        yield
    finally:
        tokenizer.language, tokenizer.task = before
        tokenizer.set_prefix_tokens()


def led_in(text: str, tokenizer: transformers.PreTrainedTokenizerBase, target: str | None) -> str:
    """Return a text as the encoder is to read it: a Marian model is told in it what to translate into.

    Parameters
    ----------
    text : str
    tokenizer : transformers.PreTrainedTokenizerBase
    target : str or None

    Returns
    -------
    str
    """
    return f"{target} {text}" if target and target in getattr(tokenizer, "supported_language_codes", ()) else text
