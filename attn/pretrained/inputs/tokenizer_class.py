"""What transformers makes of the files of a tokenizer, told without it.

Of some of its classes it takes vocabulary and merges alone from tokenizer.json, and makes the rest as the class has it.
Only where the file itself says the same does the file alone read as transformers does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attn.pretrained.errors import ModelError, first_line, made_in_numpy
from attn.pretrained.loading import model_files

_NAMED = tuple(f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_EXTRA = ("additional_special_tokens", "extra_special_tokens")  # before transformers 5, and since
_AS_FILE = "TokenizersBackend"  # the class that reads tokenizer.json as it is
_OF_FAMILY = {  # which class a family has; Llama and SmolLM 3 have none of their own
    **{"bert": "BertTokenizer", "distilbert": "BertTokenizer", "roberta": "RobertaTokenizer", "gpt2": "GPT2Tokenizer"},
    **{"xlm-roberta": "XLMRobertaTokenizer", "camembert": "CamembertTokenizer"},
    **dict.fromkeys(("qwen2", "qwen3"), "Qwen2Tokenizer"),
    **dict.fromkeys(("gemma", "gemma2", "gemma3_text"), "GemmaTokenizer"),
    **dict.fromkeys(("mistral", "phi3", "olmo2"), _AS_FILE),
}
_UNHEEDED = {"qwen2"}  # of which transformers has the class of the family whatever their files name
_QWEN = (  # how Qwen2Tokenizer finds words
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_OF_MODEL = (
    "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "dropout",
    "ignore_merges", "max_input_chars_per_word",
)  # fmt: skip


class Class(NamedTuple):
    """A tokenizer of transformers, as far as its class says what it does.

    Parameters
    ----------
    tokens
        Role -> special token, where the settings name no other.
    parts
        Takes the settings, the special tokens, and a function from a token to its id; returns normalizer, pre-tokenizer
        and an empty model, and what puts special tokens around a text, or None where that is the file's. None of a
        class that reads the whole file.
    """

    tokens: Mapping[str, str] = {}
    parts: Callable | None = None


def _bert(say, tokens, id_of):
    from tokenizers import models, normalizers, pre_tokenizers, processors

    cls, sep = tokens["cls_token"], tokens["sep_token"]
    around = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, id_of(cls)), (sep, id_of(sep))],
    )
    normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=say.get("tokenize_chinese_chars", True),
        strip_accents=say.get("strip_accents"),
        lowercase=say.get("do_lower_case", True),
    )
    return normalizer, pre_tokenizers.BertPreTokenizer(), models.WordPiece({}, unk_token=tokens["unk_token"]), around


def _gpt2(say, tokens, id_of):
    from tokenizers import models, pre_tokenizers

    return None, pre_tokenizers.ByteLevel(add_prefix_space=say.get("add_prefix_space", False)), models.BPE(), None


def _roberta(say, tokens, id_of):
    from tokenizers import processors

    spaced = say.get("add_prefix_space", False)
    ends = [(tokens[role], id_of(tokens[role])) for role in ("sep_token", "cls_token")]
    return *_gpt2(say, tokens, id_of)[:3], processors.RobertaProcessing(*ends, say.get("trim_offsets", True), spaced)


def _qwen2(say, tokens, id_of):
    from tokenizers import Regex, models, normalizers, pre_tokenizers

    words = pre_tokenizers.Split(Regex(_QWEN), behavior="isolated", invert=False)
    spaced = pre_tokenizers.ByteLevel(add_prefix_space=say.get("add_prefix_space") or False, use_regex=False)
    return normalizers.NFC(), pre_tokenizers.Sequence([words, spaced]), models.BPE(), None


def _llama(say, tokens, id_of):
    from tokenizers import models, pre_tokenizers

    spaced = say.get("add_prefix_space")
    scheme = ("always" if say.get("legacy", False) else "first") if spaced is None or spaced else "never"
    words = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=False)
    return None, words, models.BPE(fuse_unk=True, byte_fallback=True), None


def _gemma(say, tokens, id_of):
    from tokenizers import models, normalizers, pre_tokenizers

    words = pre_tokenizers.Split(" ", behavior="merged_with_previous", invert=False)
    model = models.BPE(fuse_unk=True, byte_fallback=True, unk_token=tokens["unk_token"])
    return normalizers.Replace(" ", "▁"), words, model, None


def _tokens(**roles):
    return {f"{role}_token": token for role, token in roles.items()}


_BERT = Class(_tokens(unk="[UNK]", sep="[SEP]", pad="[PAD]", cls="[CLS]", mask="[MASK]"), _bert)
CLASSES: Mapping[str, Class] = {
    _AS_FILE: Class(),
    "BertTokenizer": _BERT,
    "DistilBertTokenizer": _BERT,
    "GPT2Tokenizer": Class(_tokens(**dict.fromkeys(("unk", "bos", "eos"), "<|endoftext|>")), _gpt2),
    "RobertaTokenizer": Class(
        _tokens(bos="<s>", eos="</s>", sep="</s>", cls="<s>", unk="<unk>", pad="<pad>", mask="<mask>"), _roberta
    ),
    "Qwen2Tokenizer": Class(_tokens(**dict.fromkeys(("unk", "eos", "pad"), "<|endoftext|>")), _qwen2),
    "LlamaTokenizer": Class(_tokens(unk="<unk>", bos="<s>", eos="</s>"), _llama),
    "GemmaTokenizer": Class(
        _tokens(unk="<unk>", bos="<bos>", eos="<eos>", pad="<pad>", mask="<mask>"), _gemma
    ),
}  # fmt: skip
"""The classes of transformers that are known here, by name.

Those of XLM-RoBERTa and CamemBERT are not: what they make of a file of SentencePiece hangs on the file itself.
"""


class Settings(NamedTuple):
    """What is said of a tokenizer beside its tokenizer.json.

    Parameters
    ----------
    said
        What tokenizer_config.json says.
    own_class
        Name of the class that transformers would take.
    tokens
        Role, such as ``unk_token`` -> special token; that of the class where no file names one.
    longest
        Most tokens of a text; None where no file says it.
    """

    said: dict
    own_class: str
    tokens: dict
    longest: int | float | None


def settings_of(folder: Path, name: str) -> Settings:
    """Read what the files of a model say of its tokenizer beside tokenizer.json.

    Parameters
    ----------
    folder
    name
        The model as the user named it.

    Raises
    ------
    ModelError
        If a file is no JSON, or says something in another form than transformers reads it.
    """
    said, config = (_json(folder, file, name) for file in ("tokenizer_config.json", "config.json"))
    if "added_tokens_decoder" not in said:  # before transformers 4.34 the tokens had a file of their own
        said |= _json(folder, "special_tokens_map.json", name)
    with made_in_numpy(name):
        own_class = _class_of(said, config, folder)
        named = dict(CLASSES.get(own_class, Class()).tokens)
        named |= {role: _content(said[role]) for role in _NAMED if role in said}
        tokens = {role: token for role, token in named.items() if token is not None}
        if wrong := next((role for role, token in tokens.items() if not isinstance(token, str)), None):
            raise ValueError(f"{wrong} of its tokenizer must be a text, got {tokens[wrong]!r:.80}")
    return Settings(said, own_class, tokens, said.get("model_max_length", said.get("max_len")))


def check_file_is_read_alike(tokenizer: Any, settings: Settings, folder: Path, name: str) -> None:
    """Raise ModelError if transformers may cut a text otherwise than the tokenizer.json of a model alone does.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Of that file.
    settings
        As `settings_of` returns them.
    folder, name
        As for `settings_of`.
    """
    with made_in_numpy(name):
        why = next(_differences(tokenizer, settings, folder), "")
    if why:
        raise ModelError(f"the tokenizer of {name} may read otherwise in transformers: {why}")


def _json(folder, file, name):
    """Return what a JSON file of a folder holds, an object; nothing where there is no such file."""
    path = folder / file
    read = model_files.read_json(path.read_bytes(), file, name) if path.is_file() else {}
    if not isinstance(read, dict):
        raise ModelError(f"the {file} of {name} must be an object with names in it, got {read!r:.80}")
    return read


def _class_of(said, config, folder):
    """Return the name of the class that transformers takes, as its AutoTokenizer chooses it."""
    family, named = config.get("model_type"), said.get("tokenizer_class") or config.get("tokenizer_class")
    own = _OF_FAMILY.get(family)
    bare = (named or own or _AS_FILE).removesuffix("Fast")
    if own == _AS_FILE or bare == "PreTrainedTokenizer":
        return _AS_FILE
    file = folder / "tokenizer.json"
    if bare == "LlamaTokenizer" and file.is_file() and b'"ByteLevel"' in file.read_bytes():
        return _AS_FILE  # Llama 3 and later
    return own if family in _UNHEEDED else bare


def _content(token):
    """Return the text of a special token, which files write alone or as an object."""
    return token.get("content") if isinstance(token, dict) else token


def _differences(tokenizer, settings, folder):
    """Yield what transformers may do otherwise."""
    said, added = settings.said, tokenizer.get_added_tokens_decoder()
    own = CLASSES.get(settings.own_class)
    if own is None:
        yield f"its class is {settings.own_class}"
        return
    for file in folder.iterdir():
        if file.name == "tekken.json" or (file.match("tokenizer.*.json") and file.name != "tokenizer.json"):
            yield f"it has {file.name}"
    for key in ("auto_map", "split_special_tokens", "fix_mistral_regex"):
        if said.get(key):
            yield f"its tokenizer_config.json has {key}"
    special = {token.content for token in added.values() if token.special}
    if lost := sorted({*settings.tokens.values(), *_extra(said)} - special):
        yield f"“{lost[0]}” is none of the special tokens in its tokenizer.json"
    if "added_tokens_decoder" in said and _added(said["added_tokens_decoder"]) != _states(added):
        yield "its tokenizer_config.json adds other tokens than its tokenizer.json"
    legacy = _json(folder, "added_tokens.json", "it") if "added_tokens_decoder" not in said else {}
    if not legacy.items() <= {token.content: id for id, token in added.items()}.items():
        yield "its added_tokens.json adds other tokens than its tokenizer.json"
    unknown = getattr(tokenizer.model, "unk_token", None)
    if unknown not in (None, settings.tokens.get("unk_token")):
        yield f"“{unknown}” stands for unknown words in its tokenizer.json alone"
    if own.parts is not None:
        try:
            *parts, around = own.parts(said, settings.tokens, tokenizer.token_to_id)
        except (KeyError, TypeError) as error:
            yield f"its settings make no {settings.own_class}: {first_line(error)}"
            return
        file = (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model)
        if list(map(_state, file)) != list(map(_state, parts)):
            yield f"its tokenizer.json is none of a {settings.own_class}"
        if around is not None and _state(tokenizer.post_processor) != _state(around):
            yield f"its tokenizer.json puts other tokens around a text than a {settings.own_class}"


def _extra(said: dict) -> Iterable[str]:
    """Yield the special tokens that have no role, or one that the model alone knows."""
    for key, value in said.items():
        if key in _EXTRA:
            for token in (value.values() if isinstance(value, dict) else value) or ():
                yield _content(token)
        elif key.endswith("_token") and key not in _NAMED and isinstance(value, str):
            yield value


def _added(said):
    """Return the tokens that a tokenizer_config.json adds, as `_states` returns those of a tokenizer.json."""
    from tokenizers import AddedToken

    return _states({int(id): AddedToken(**token) for id, token in said.items()})


def _states(added):
    """Return what added tokens are, by their ids."""
    return {id: token.__getstate__() for id, token in added.items()}


def _state(part):
    """Return what a part of a tokenizer says of itself, but for its vocabulary and what changes nothing."""
    from tokenizers.models import Model

    if isinstance(part, Model):
        return type(part).__name__, [getattr(part, name, None) or None for name in _OF_MODEL]
    return None if part is None else _essential(json.loads(part.__getstate__()))


def _essential(said):
    """Leave out what a pre-tokenizer does not look at."""
    if isinstance(said, list):
        return [_essential(each) for each in said]
    if not isinstance(said, dict):
        return said
    unseen = "trim_offsets" if said.get("type") == "ByteLevel" else ""
    return {key: _essential(value) for key, value in said.items() if key != unseen}
