"""The folder of a model as transformers reads it, made of one that people bring.

Editors write JSON with a byte-order mark or in UTF-16, and tools leave an index without its metadata, or none beside
weights in several files. What such a folder says is clear, but transformers does not read it.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attn.pretrained.errors import explain
from attn.pretrained.loading import catalogue, model_files

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextlib.contextmanager
def tidied(folder: Path, name: str) -> Iterator[Path]:
    """Give a folder that transformers reads: the same one, or for the block one of links to it and of mended files.

    Parameters
    ----------
    folder
        Of a model, with its weights.
    name
        The model as the user named it.

    Raises
    ------
    ModelError
        If what a file says is not clear either, or there is no room for the other folder.
    """
    mended = _mended_texts(folder, name) | _mended_index(folder, name) | _mended_config(folder, name)
    if not mended:
        yield folder
        return
    with contextlib.ExitStack() as until_read:
        try:
            place = Path(until_read.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
            for path in folder.iterdir():
                if path.is_file() and path.name not in mended:
                    _put(path.resolve(), place / path.name)
            for file, text in mended.items():
                (place / file).write_text(text, encoding="utf-8")
        except OSError as error:  # as where the disk is full
            raise explain(error, name) from error
        yield place


def _mended_texts(folder, name):
    """Return what the text files say that begin with a mark of their encoding, or are in UTF-16 without one."""
    mended = {}
    for path in folder.iterdir():
        if path.suffix not in (".json", ".txt") or not path.is_file():
            continue
        begins = model_files.begins(path)[:4]
        if begins.startswith(_MARKS) or b"\0" in begins:
            mended[path.name] = model_files.text_of(path.read_bytes(), path.name, name)
    return mended


def _mended_index(folder, name):
    """Return an index with metadata, of one without, or of weights in several files with no index."""
    found = catalogue.weights_in(folder, name)
    if len(found.files) == 1:
        return {}
    said = {} if found.entry is None else model_files.of_folder(folder, name).json(found.entry.name)
    if isinstance(said.get("metadata"), dict):
        return {}
    written = json.dumps({"weight_map": found.places} | said | {"metadata": {}})
    return {model_files.INDEX if found.entry is None else found.entry.name: written}


def _mended_config(folder, name):
    """Return a config.json without what transformers stumbles over and nothing here needs; empty of any other."""
    said = model_files.of_folder(folder, name).json("config.json")
    useless = [key for key in ("quantization_config", "auto_map") if key in said and not isinstance(said[key], dict)]
    if not useless:
        return {}
    return {"config.json": json.dumps({key: value for key, value in said.items() if key not in useless})}


def _put(path, place):
    """Put a file at another place: a link to it, or where a system gives none a copy."""
    for put in (os.symlink, os.link):
        with contextlib.suppress(OSError, NotImplementedError):
            put(path, place)
            return
    shutil.copy(path, place)
