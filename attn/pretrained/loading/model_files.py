"""Which files of a folder or a repository make a model, and what is there instead where they do not.

Neither torch nor transformers is loaded, and of a repository on the hub only small files are read.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from attn.pretrained.errors import ModelError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"

_PLAIN = re.compile(r"[^/\\]+\.safetensors(\.index\.json)?")  # of a file beside the configuration
_PART = re.compile(r"(?P<name>.+-)(?P<number>\d+)(?P<of>-of-)(?P<total>\d+)\.safetensors")
_OTHER_WEIGHTS = ("consolidated", "adapter_")  # of Mistral's own programs, and of PEFT
_ENOUGH = 200  # bytes by which a file is known
_POINTER = b"version https://git-lfs"  # what git leaves in place of a large file that it has not fetched
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_INCOMPLETE = (".incomplete", ".part", ".crdownload", ".download", ".aria2", ".tmp")
_OF_A_MODEL = (".safetensors", ".json", ".txt", ".model")
_CARRY_CODE = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_FORMATS = {  # of weights that are not read here: ending -> whose they are
    ".gguf": "GGUF, which llama.cpp reads",
    ".h5": "TensorFlow",
    ".keras": "Keras",
    ".msgpack": "Flax",
    ".onnx": "ONNX",
    ".npz": "numpy",
    ".nemo": "NeMo",
    ".pb": "TensorFlow",
    ".index": "TensorFlow",
}
_LIBRARIES = {  # file -> which program reads such a folder
    "model_index.json": "diffusers",
    "open_clip_config.json": "OpenCLIP",
    "params.json": "the programs of Meta or Mistral",
    "adapter_config.json": "PEFT (an adapter, without its weights)",
    "modules.json": "sentence-transformers (without a transformer among its modules)",
    "keras_metadata.pb": "Keras",
}


_IN_TRAINING = {  # what training leaves of weights that no one process held: which it is -> names of files
    "parts of a DeepSpeed checkpoint, which its zero_to_fp32.py puts together": r"zero_to_fp32\.py$|_model_states\.pt$",
    "parts of an FSDP checkpoint, which `accelerate merge-weights` puts together": r"\.distcp$",
}


class Listing(NamedTuple):
    """The files of a folder or of a repository, and a way to read the small ones."""

    name: str  # of the model, as the user named it
    files: frozenset  # paths from its top on, with "/"
    read: Callable  # path -> bytes
    above: str  # what to put before a folder in it, to open that one
    is_folder: bool = True
    broken: frozenset = frozenset()  # links to files that are not there

    def json(self, file: str) -> Any:
        """Return what a JSON file holds.

        Raises
        ------
        ModelError
            If it cannot be read, or git has not fetched it.
        """
        return read_json(self.read(file), file, self.name)

    def within(self, inside: str) -> Listing:
        """Return the files of a folder in it."""
        if not inside:
            return self
        start = f"{inside}/"
        files = frozenset(file.removeprefix(start) for file in self.files if file.startswith(start))
        return self._replace(files=files, read=lambda file: self.read(start + file), above=f"{self.above}{start}")


def of_folder(folder: Path, name: str) -> Listing:
    """Return the files of a folder, and those of the folders in it."""
    paths = list(folder.iterdir())
    files = {path.name for path in paths if path.is_file()}
    broken = frozenset(path.name for path in paths if path.is_symlink() and not path.exists())
    if not ({"config.json", WHOLE} <= files):  # then they may be further down
        files |= {f"{path.parent.name}/{path.name}" for path in _second_level(folder)}
    above = f"{name.rstrip('/')}/"
    return Listing(name, frozenset(files), lambda file: (folder / file).read_bytes(), above, broken=broken)


def state(folder: Path) -> tuple:
    """Return the names of the files of a model, when each was written, and their sizes; empty of no folder."""
    found = []
    with contextlib.suppress(OSError):
        for path in (*folder.iterdir(), *_second_level(folder)):
            if path.suffix in _OF_A_MODEL:
                with contextlib.suppress(OSError):  # gone meanwhile
                    written = path.stat()
                    found.append((path.name, written.st_mtime_ns, written.st_size))
    return tuple(sorted(found))


def _second_level(folder):
    """Yield the files of the folders in a folder, as far as they may be looked at."""
    for each in folder.iterdir():
        try:
            if each.is_dir():
                yield from (path for path in each.iterdir() if path.is_file())
        except OSError:
            continue


def text_of(written: bytes, file: str, name: str) -> str:
    """Return the text of a file, in UTF-8 or UTF-16, with a byte-order mark or without.

    Parameters
    ----------
    written
        What is in it.
    file
        Its name.
    name
        The model as the user named it.

    Raises
    ------
    ModelError
        If it is in another encoding.
    """
    try:
        return written.decode(json.detect_encoding(written))
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{name} has a {file} that cannot be read: it must be in UTF-8, but byte {error.start:,} is not"
        ) from None


def read_json(written: bytes, file: str, name: str) -> Any:
    """Return what a JSON file holds.

    Parameters
    ----------
    written, file, name
        As for `text_of`.

    Raises
    ------
    ModelError
        With what is wrong and where, if it cannot be read, or git has not fetched it; if it says a thing twice, in
        two ways.

    Examples
    --------
    >>> read_json(b"", "config.json", "mine")
    Traceback (most recent call last):
    attn.pretrained.errors.ModelError: mine has a config.json that cannot be read: it is empty
    """
    if what := no_file_itself(file, written):
        raise ModelError(what)
    text, about = text_of(written, file, name), f"{name} has a {file} that cannot be read"
    if not text.strip():
        raise ModelError(f"{about}: it is empty")

    def object_of(pairs):
        said = dict(pairs)
        twice = next((key for key, value in pairs if said[key] is not value and said[key] != value), None)
        if twice is not None:
            values = " and ".join(f"{value!r:.40}" for key, value in pairs if key == twice)
            raise ModelError(f"{name} has a {file} that says {twice} more than once: {values}")
        return said

    try:
        return json.loads(text, object_pairs_hook=object_of)
    except json.JSONDecodeError as error:
        why = _why_no_json(text, error)
        raise ModelError(f"{about}: {why} in line {error.lineno:,}, column {error.colno:,}") from None
    except RecursionError:
        raise ModelError(f"{about}: it is nested too deeply") from None


def _why_no_json(text, error):
    """Say what is wrong at a place of a text that is no JSON."""
    rest = text[error.pos :].lstrip()
    if not rest or error.msg.startswith("Unterminated"):
        return "it ends too early"
    if rest.startswith(("//", "/*", "#")):
        return "a comment, which JSON does not have,"
    if "trailing comma" in error.msg or (rest[0] in "}]" and text[: error.pos].rstrip().endswith(",")):
        return "a comma too many"
    if python := re.match("'|None|True|False", rest):
        return f"{python[0]}, as Python and not JSON writes it,"
    return error.msg[0].lower() + error.msg[1:]


def begins(path: Path) -> bytes:
    """Return how a file begins: enough for `no_file_itself`."""
    with path.open("rb") as file:
        return file.read(_ENOUGH)


def no_file_itself(file: str, written: bytes) -> str:
    """Return what to say of a file that only stands in the place of another; an empty string for any other file.

    Parameters
    ----------
    file
        Its name.
    written
        How it begins.

    Examples
    --------
    >>> no_file_itself("config.json", b"<!DOCTYPE html>")[:44]
    'config.json is a web page, not the file itse'
    >>> no_file_itself("config.json", b'{"model_type": "bert"}')
    ''
    """
    if written.startswith(_POINTER):
        return f"{file} is a git-lfs pointer, not the file itself: run `git lfs pull` in the folder of the model"
    if written[:_ENOUGH].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return f"{file} is a web page, not the file itself: download it by the link that the hub calls resolve"
    return ""


def model_folder(listing: Listing) -> str:
    """Return the folder in a listing that holds the model; an empty string for its top.

    Sentence-transformers keeps the transformer in a folder that its ``modules.json`` names.

    Raises
    ------
    ModelError
        If there is none; `ModelError.offers` names models in its folders, such as the checkpoints of a Trainer.
    """
    if "config.json" in listing.files:
        return ""
    modules = listing.json("modules.json") if "modules.json" in listing.files else []
    paths = [each["path"] for each in modules if isinstance(each, dict) and isinstance(each.get("path"), str)]
    inside = next((path for path in paths if f"{path}/config.json" in listing.files), None)
    if inside is not None:
        return inside
    raise _no_model(listing)


def weights_entry(listing: Listing, config: dict) -> tuple[str | None, tuple[str, ...]]:
    """Return the file with which to begin reading weights, as transformers does, and all that hold them.

    Parameters
    ----------
    listing
    config
        What its ``config.json`` says; ``transformers_weights`` may name another file.

    Returns
    -------
    entry : str or None
        One safetensors file, or the index of several; None where there is no index, but the names of the files say
        that they belong together and that all are there.
    files : tuple of str
        The safetensors files: those that the index names, whatever they are called and whatever lies beside.

    Raises
    ------
    ModelError
        If there are none, one that the index names is missing, or a name is not that of a safetensors file beside
        the configuration.
    """
    own = config.get("transformers_weights")
    if own is not None and not (isinstance(own, str) and _PLAIN.fullmatch(own) and own in listing.files):
        raise ModelError(
            f"the config.json of {listing.name} must name as transformers_weights a safetensors file beside it, "
            f"got {own!r:.80}"
        )
    entry = own or next((file for file in (WHOLE, INDEX) if file in listing.files), None)
    if entry is None:
        lone = [file for file in _at_top(listing) if file.endswith(".safetensors")]
        if parts := _counted_parts(listing, lone):
            return None, parts
        if len(lone) != 1 or lone[0].startswith(_OTHER_WEIGHTS):
            raise _no_weights(listing)
        entry = lone[0]
    if not entry.endswith(".index.json"):
        return entry, (entry,)
    return entry, _indexed(listing, entry)


def _counted_parts(listing, files):
    """Return the files of weights whose names count them, after checking that all are there; none of other names."""
    found = [_PART.fullmatch(file) for file in files]
    if not found or not all(found) or len({(part["name"], part["total"]) for part in found}) > 1:
        return ()
    total, numbers = int(found[0]["total"]), {int(part["number"]) for part in found}
    if found[0]["name"].startswith(_OTHER_WEIGHTS):
        return ()
    first = 0 if 0 in numbers else 1
    missing = sorted({*range(first, first + total)} - numbers)
    if missing:
        part = found[0]
        number = str(missing[0]).zfill(len(part["number"]))
        file = f"{part['name']}{number}{part['of']}{part['total']}.safetensors"
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{listing.name} must have {total} safetensors files, as their names say, but {file}{more} is missing"
            f"{_traces(listing)}"
        )
    return tuple(files)


def _indexed(listing, index):
    """Return the files that an index names, after checking that they are there."""
    written = listing.json(index)
    places = written.get("weight_map") if isinstance(written, dict) else None
    if not places or not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise ModelError(f"the {index} of {listing.name} must say in a weight_map which file holds which tensor")
    files = sorted(set(places.values()))
    foreign = next((file for file in files if not _PLAIN.fullmatch(file) or file.endswith(".json")), None)
    if foreign is not None:
        raise ModelError(f"the {index} of {listing.name} must name safetensors files beside it, got {foreign!r:.80}")
    missing = [file for file in files if file not in listing.files]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{listing.name} must have the {len(files)} safetensors files that its {index} names, "
            f"but {missing[0]}{more} is missing{_traces(listing)}"
        )
    return tuple(files)


def _no_model(listing):
    """Return the error of a folder without a config.json."""
    if not listing.files and not listing.broken:
        return ModelError(f"{listing.name} is an empty {'folder' if listing.is_folder else 'repository'}")
    if inside := _models_inside(listing):
        return _offered(listing, inside)
    top = _at_top(listing)
    reader = next((reader for file, reader in _LIBRARIES.items() if file in top), None)
    kinds = sorted({of for file in top for ending, of in _FORMATS.items() if file.endswith(ending)})
    what = f", but files for {reader or kinds[0]}" if reader or kinds else ""
    return ModelError(f"{listing.name} is not a model of transformers: it has no config.json{what}{_traces(listing)}")


def _models_inside(listing):
    """Return the folders that hold a model or an adapter: the best checkpoint first if it is known, then the newest."""
    pairs = ((WHOLE, "config.json"), (INDEX, "config.json"), ("adapter_model.safetensors", "adapter_config.json"))
    folders = {file.rpartition("/")[0] for file in listing.files} - {""}
    found = [
        folder
        for folder in folders
        if any({f"{folder}/{weights}", f"{folder}/{about}"} <= listing.files for weights, about in pairs)
    ]
    best = _best_checkpoint(listing, found)
    return sorted(found, key=lambda folder: (folder != best, -_step(folder), folder))


def _step(folder):
    """Return how many steps a checkpoint was trained for; -1 of another folder."""
    found = _CHECKPOINT.fullmatch(folder.rpartition("/")[2])
    return int(found[1]) if found else -1


def _best_checkpoint(listing, folders):
    """Return the checkpoint that the newest trainer_state.json calls the best, if it is there."""
    states = [folder for folder in sorted(folders, key=_step) if f"{folder}/trainer_state.json" in listing.files]
    if not states:
        return None
    try:
        best = listing.json(f"{states[-1]}/trainer_state.json").get("best_model_checkpoint")
    except (ModelError, AttributeError):
        return None
    named = re.split(r"[\\/]", best)[-1] if isinstance(best, str) else None
    return next((folder for folder in folders if folder.rpartition("/")[2] == named), None)


def _offered(listing, inside):
    """Return the error of a folder that is no model but holds some."""
    offers = [f"{listing.above}{folder}" for folder in inside]
    first, kind = inside[0], "model"
    if _step(first) >= 0:
        kind = "checkpoint"
        best = first == _best_checkpoint(listing, inside)
        first += ", the best by its trainer_state.json" if best else ", the newest" if len(inside) > 1 else ""
    one, several = f"a {kind} in a folder of its own", f"{len(inside)} {kind}s in folders of their own"
    return ModelError(
        f"{listing.name} holds {one if len(inside) == 1 else several} and none at its top: open {listing.above}{first}",
        offers,
    )


def _no_weights(listing):
    """Return the error of a model without safetensors that can be opened."""
    if inside := _models_inside(listing):
        return _offered(listing, inside)
    top = _at_top(listing)
    name, parts = listing.name, [file for file in top if file.endswith(".safetensors")]
    if any(file.startswith("consolidated") for file in parts):
        return ModelError(
            f"{name} has its weights as Mistral's own programs read them ({parts[0]}) and not {WHOLE}, which "
            "transformers reads"
        )
    if len(parts) > 1:
        return ModelError(
            f"{name} has {len(parts)} safetensors files, such as {parts[0]}, but no {INDEX}, "
            "which says what is in each of them: download it too, or save the model again with save_pretrained"
        )
    if parts:
        return ModelError(f"{name} has an adapter ({parts[0]}) but not the weights of the model that it adapts")
    if listing.broken & {WHOLE, INDEX}:
        return ModelError(f"{name} has no weights ({WHOLE}){_traces(listing)}")
    if reader := next((of for of, marks in _IN_TRAINING.items() if _holds(listing, marks)), None):
        return ModelError(f"{name} has no weights ({WHOLE}), only {reader}")
    if code := [file for file in top if file.endswith(_CARRY_CODE) and not file.startswith("training_args")]:
        return ModelError(
            f"{name} has no safetensors file, only {code[0]}, a format that can carry code and is not opened: "
            "AutoModel.from_pretrained and save_pretrained write such a model as safetensors"
        )
    for ending, of in _FORMATS.items():
        if other := [file for file in sorted(listing.files) if file.endswith(ending)]:
            return ModelError(f"{name} has no safetensors file, only weights for {of} ({other[0]})")
    return ModelError(f"{name} has no weights ({WHOLE}){_traces(listing)}")


def _at_top(listing):
    """Return the files that lie beside a config.json, without those that a system hides."""
    return sorted(file for file in listing.files if "/" not in file and not file.startswith("."))


def _holds(listing, marks):
    """Say whether a listing holds a file by one of the patterns."""
    return any(re.search(marks, file) for file in listing.files)


def _traces(listing):
    """Return words on what became of files, if there are traces: links to nothing, a download that was not finished."""
    if listing.broken:
        first = sorted(listing.broken)[0]
        return f"; {first} is a link to a file that is not there, as when a folder of the hub's cache was copied alone"
    traces = sorted(file for file in listing.files if file.endswith(_INCOMPLETE))
    return f"; {traces[0]} is a download that was not finished" if traces else ""
