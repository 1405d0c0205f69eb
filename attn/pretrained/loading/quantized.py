"""Quantised weights: by which method, told from the configuration and from the tensors themselves.

What such a file holds in place of a matrix is codes and scales for kernels of its own; read as numbers they would be
wrong, and the packages that know them run on graphics cards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attn.pretrained.errors import ModelError

if TYPE_CHECKING:
    from attn.pretrained.loading.safetensors_file import Entry

_NAMES = {
    **{"gptq": "GPTQ", "awq": "AWQ", "fp8": "FP8", "fbgemm_fp8": "FBGEMM FP8", "mxfp4": "MXFP4", "nvfp4": "NVFP4"},
    **{"aqlm": "AQLM", "vptq": "VPTQ", "spqr": "SpQR", "hqq": "HQQ", "eetq": "EETQ", "bitnet": "BitNet"},
    **{"auto-round": "AutoRound", "intel/auto-round": "AutoRound", "modelopt": "ModelOpt", "exl2": "EXL2"},
}
_WHERE = ("quantization_config", "compression_config", "quantization")  # the last is MLX's
_BITS = ("bits", "w_bit", "wbits", "nbits", "num_bits", "weight_bits")
_OWN_FILES = {"quantize_config.json": "gptq", "quant_config.json": "awq"}  # before config.json had a place for it
_BY_TENSOR = {  # names of tensors that no other model has
    "GPTQ or AWQ": r"\.(qweight|qzeros)$",
    "bitsandbytes": r"\.SCB$|\.(absmax|quant_map|nested_absmax)$|\.quant_state\.",
    "AQLM": r"\.codebooks$",
    "MXFP4": r"_blocks$",
    "scaled integers or 8-bit floats": r"\.(weight_scale(_inv|_2)?|weight_packed|scales)$",
}
_PLAIN = {"F64", "F32", "F16", "BF16"}
_BUFFERS = {"I64", "BOOL"}  # positions and masks, which no method stores weights as


def method(config: Mapping, files: frozenset | set) -> str | None:
    """Return how the weights of a model were quantised by what is written beside them, or None.

    Parameters
    ----------
    config
        What ``config.json`` says.
    files
        Of its folder.

    Examples
    --------
    >>> method({"quantization_config": {"quant_method": "gptq", "bits": 4}}, frozenset())
    'GPTQ, 4 bits'
    >>> method({"quantization_config": "awq"}, frozenset())
    'AWQ'
    """
    for part in (config, *(each for each in config.values() if isinstance(each, Mapping))):
        for said in (part.get(where) for where in _WHERE):
            if isinstance(said, Mapping):
                return _described(said)
            if said and isinstance(said, str):
                return _NAMES.get(said.lower(), said)
    return next((_NAMES[of] for file, of in _OWN_FILES.items() if file in files), None)


def is_plain(types: set[str]) -> bool:
    """Say whether all types of numbers in a file are those of plain weights, whatever is written beside them."""
    return types <= _PLAIN | _BUFFERS


def by_tensors(entries: Mapping[str, Entry]) -> str | None:
    """Return how weights were quantised by the names and types of their tensors, or None if they are plain.

    Examples
    --------
    >>> from attn.pretrained.loading.safetensors_file import Entry
    >>> by_tensors({"q_proj.weight": Entry("I8", (8, 8)), "q_proj.SCB": Entry("F32", (8,))})
    'bitsandbytes'
    >>> by_tensors({"q_proj.weight": Entry("BF16", (8, 8))}) is None
    True
    """
    packed = {name: entry for name, entry in entries.items() if entry.dtype not in _PLAIN | _BUFFERS}
    if not packed:
        return None
    found = next((of for of, marks in _BY_TENSOR.items() if any(re.search(marks, name) for name in entries)), None)
    whole = [name for name, entry in packed.items() if name.endswith(".weight") and entry.dtype[0] in "IU"]
    return found or (f"whole numbers as {whole[0]}" if whole else None)


def refuse(name: str, how: str, base: str | None = None) -> ModelError:
    """Return the error of a model with quantised weights.

    Parameters
    ----------
    name
        The model as the user named it.
    how
        By which method.
    base
        The model that it was made from, where it is known.
    """
    instead = f"{base}, the model they were made from," if base else "the model they were made from"
    return ModelError(
        f"the weights of {name} are quantised ({how}), codes that only kernels of their own can read, mostly on "
        f"graphics cards: open {instead} with weights in float32, float16 or bfloat16",
        [base] if base else (),
    )


def keeps_its_method(config: Mapping) -> bool:
    """Say whether a model computes in its own way even where its weights lie in the file as plain numbers."""
    said = config.get("quantization_config")
    return isinstance(said, Mapping) and said.get("quant_method") == "bitnet"


def base_of(card: bytes) -> str | None:
    """Return the model from which another was made, as the first lines of its README say.

    Examples
    --------
    >>> base_of(b"---\\nbase_model:\\n- Qwen/Qwen2-7B\\n---\\n")
    'Qwen/Qwen2-7B'
    """
    head = re.match(r"---\s*\n(.*?)\n---", card[:20_000].decode("utf-8", "replace"), re.DOTALL)
    found = head and re.search(r"^base_model:[ \t]*(?:\n\s*-\s*)?[\[\"' ]*(\w[\w./-]*)", head[1], re.MULTILINE)
    return found[1] if found else None


def _described(said):
    """Return the method that a configuration names, with its number of bits."""
    method = str(said.get("quant_method") or said.get("quant_algo") or "").lower()
    if not method:
        method = "bitsandbytes" if {"load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type"} & set(said) else "MLX"
    bits = next((said[key] for key in _BITS if isinstance(said.get(key), int)), None)
    bits = 4 if said.get("load_in_4bit") else 8 if said.get("load_in_8bit") else bits
    return _NAMES.get(method, method) + (f", {bits} bits" if bits else "")
