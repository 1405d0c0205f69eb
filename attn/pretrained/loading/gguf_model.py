"""What a GGUF file says of a decoder, in the words of transformers: its configuration, its tokenizer, its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attn.pretrained.errors import ModelError
from attn.pretrained.loading import gguf_file, weights_report
from attn.pretrained.loading.gguf_file import Contents, Tensor

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FAMILIES = ("llama", "qwen2", "qwen3")  # `general.architecture`, which are model types of transformers, too

_SPECIAL = 3  # type of a token that no text is cut into
_OUTER = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Parts of a layer: name in a file -> name of transformers."""
_WORDS_OF_QWEN2 = (  # as its tokenizer finds them
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_WORDS_OF_LLAMA3 = _WORDS_OF_QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def configuration(contents: Contents, name: str) -> dict[str, Any]:
    """Return what ``config.json`` would say.

    Parameters
    ----------
    contents
    name
        The file as the user named it.

    Raises
    ------
    ModelError
        If the family is none of `FAMILIES`, its positions are scaled, or the file does not say what it must.
    """
    fields = contents.fields
    family = fields.get("general.architecture")
    if family not in FAMILIES:
        raise ModelError(f"{name} must be of one of the families {', '.join(FAMILIES)}, it is of {family!r:.80}")
    scaling = fields.get(f"{family}.rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in contents.tensors:
        raise ModelError(f"{name} scales its rotary positions, which is read from safetensors only")
    of = _family_fields(fields, family, name)
    width, num_heads = of("embedding_length"), of("attention.head_count")
    d_k = fields.get(f"{family}.attention.key_length", width // num_heads)
    if (turned := fields.get(f"{family}.rope.dimension_count", d_k)) != d_k:
        raise ModelError(f"{name} must turn all {d_k} numbers of a head by position, it turns {turned!r:.80}")
    ids = {role: fields.get(f"tokenizer.ggml.{role}_token_id") for role in ("bos", "eos", "padding")}
    return {
        "architectures": [{"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[family] + "ForCausalLM"],
        "model_type": family,
        "hidden_act": "silu",
        "attention_bias": family == "llama" and "blk.0.attn_q.bias" in contents.tensors,
        "mlp_bias": "blk.0.ffn_gate.bias" in contents.tensors,
        "tie_word_embeddings": "output.weight" not in contents.tensors,  # else it has a matrix for the way out
        "hidden_size": width,
        "intermediate_size": of("feed_forward_length"),
        "num_hidden_layers": of("block_count"),
        "num_attention_heads": num_heads,
        "num_key_value_heads": fields.get(f"{family}.attention.head_count_kv", num_heads),
        "head_dim": d_k,
        "max_position_embeddings": of("context_length"),
        "rms_norm_eps": of("attention.layer_norm_rms_epsilon"),
        "rope_theta": fields.get(f"{family}.rope.freq_base", 10_000.0),
        "vocab_size": contents.tensors["token_embd.weight"].shape[0] if "token_embd.weight" in contents.tensors else 0,
        "bos_token_id": ids["bos"],
        "eos_token_id": ids["eos"],
        "pad_token_id": ids["padding"],
    }


def _family_fields(fields, family, name):
    """Return a function that reads a positive number that the file must say of its family."""

    def field(key):
        found = fields.get(f"{family}.{key}")
        if isinstance(found, bool) or not isinstance(found, int | float) or not found > 0:
            raise ModelError(f"{name} must say {family}.{key} as a number above 0, it says {found!r:.80}")
        return found

    return field


def tokenizer(fields: Mapping[str, Any], name: str) -> Tokenizer:
    """Build what cuts text into the tokens of a file: words, in bytes, then pieces by their merges.

    Parameters
    ----------
    fields
    name
        The file as the user named it.

    Raises
    ------
    ModelError
        If its words are found in a way that is not known here, or a list is missing.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    kind, words = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def found_by(expression):
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(expression), "isolated"), in_bytes])

    ways: dict[str, Callable] = {
        "gpt-2": lambda: plain,
        "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain]),
        "qwen2": lambda: found_by(_WORDS_OF_QWEN2),
        "llama-bpe": lambda: found_by(_WORDS_OF_LLAMA3),
    }
    if kind != "gpt2" or words not in ways:
        raise ModelError(
            f"{name} must cut text into words as one of {', '.join(ways)} does, with merges (gpt2); "
            f"it says {words!r:.80}, {kind!r:.80}"
        )
    pieces, merges, kinds = (_list(fields, f"tokenizer.ggml.{key}", name) for key in ("tokens", "merges", "token_type"))
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    pairs: list = [tuple(str(merge).split(" ")) for merge in merges]
    first = fields.get("tokenizer.ggml.bos_token_id") if fields.get("tokenizer.ggml.add_bos_token") else None
    joined = ("".join(pair) for pair in pairs)
    if len(kinds) != len(pieces) or any(len(pair) != 2 or not vocabulary.keys() >= {*pair} for pair in pairs):
        raise ModelError(f"{name} must have a type for each token and merges of two tokens each, it has others")
    if not vocabulary.keys() >= {*joined} or not (first is None or first in range(len(pieces))):
        raise ModelError(f"{name} must have in its vocabulary what merges make and texts begin with, it has not")
    built = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=words == "llama-bpe"))
    if words == "qwen2":
        built.normalizer = normalizers.NFC()
    built.pre_tokenizer = ways[words]()
    built.decoder = decoders.ByteLevel()
    special = [piece for piece, kind in zip(pieces, kinds, strict=True) if kind == _SPECIAL]
    built.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special])
    if first is not None:
        begin = pieces[first]
        built.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, first)])
    return built


def _list(fields, key, name):
    """Return a list that a file must have."""
    if not isinstance(fields.get(key), list):
        raise ModelError(f"{name} must have a list {key}, it has none")
    return fields[key]


def require_weights(contents: Contents, config: Mapping[str, Any], name: str) -> None:
    """Raise ModelError if a tensor that the model needs is missing or has another shape."""
    width, inner, num_heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    wide, narrow = num_heads * config["head_dim"], config["num_key_value_heads"] * config["head_dim"]
    shapes = {
        "attn_norm": (width,),
        "attn_q": (wide, width),
        "attn_k": (narrow, width),
        "attn_v": (narrow, width),
        "attn_output": (width, wide),
        "ffn_norm": (width,),
        "ffn_gate": (inner, width),
        "ffn_up": (inner, width),
        "ffn_down": (width, inner),
    }
    layers = range(config["num_hidden_layers"])
    needed = {
        "token_embd.weight": (config["vocab_size"], width),
        "output_norm.weight": (width,),
        **{f"blk.{layer}.{role}.weight": shape for layer in layers for role, shape in shapes.items()},
    }
    weights_report.require_all(needed, contents.tensors, contents.tensors, name)


def weight_name(name: str) -> str:
    """Return what transformers calls a tensor of a file.

    Examples
    --------
    >>> weight_name("blk.3.attn_q.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    stem, _, kind = name.rpartition(".")
    if stem in _OUTER:
        return f"{_OUTER[stem]}.{kind}"
    _, layer, role = stem.split(".")
    return f"model.layers.{layer}.{LAYER[role]}.{kind}"


def weight_numbers(name: str, tensor: Tensor, config: Mapping[str, Any]) -> np.ndarray:
    """Return the numbers of a tensor as float32, in the order in which transformers has them.

    Parameters
    ----------
    name
        As the file has it.
    tensor
    config
        As `configuration` returns it.
    """
    numbers = gguf_file.numbers(tensor)
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    role = name.split(".")[-2]
    if role not in heads or config["model_type"] != "llama":
        return numbers
    # Files of this family have the two numbers that rotary positions turn together side by side; transformers has
    # them half a head apart.
    pairs = numbers.reshape(config[heads[role]], -1, 2, *numbers.shape[1:])  # (heads, d_k / 2, 2, d_model)
    return pairs.swapaxes(1, 2).reshape(numbers.shape)


def open_weights(contents: Contents, config: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
    """Return the tensors of a file as `attn.models` takes them, float32: name of transformers -> array.

    Raises
    ------
    ModelError
        If one is missing, has another shape, or belongs to no part of the model that is known here.
    """
    require_weights(contents, config, name)
    return dict(_opened(contents, config, name))


def _opened(contents, config, name):
    """Yield each tensor under its other name."""
    for each, tensor in contents.tensors.items():
        try:
            named = weight_name(each)
        except (KeyError, ValueError):
            raise ModelError(f"{name} has a tensor {each!r:.80}, which is no part of {config['model_type']}") from None
        yield named, weight_numbers(each, tensor, config)
