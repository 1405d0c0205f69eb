"""What people type or paste for a model: a folder, an id of the hub with or without a revision, a link."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from attn.pretrained.errors import ModelError

_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“"}
_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_VIEWS = ("tree", "blob", "resolve", "raw", "blame", "edit", "commits", "commit")  # what a link on the hub shows
_OF_ONE_FILE = ("blob", "resolve", "raw", "blame", "edit")
_OWNERS = {"all-MiniLM-L6-v2": "sentence-transformers"}  # of models that are called without: the one that comes along
_NO_MODELS = ("datasets", "spaces", "collections", "docs", "papers", "blog", "posts", "models")
_OF_A_MODEL = (".json", ".safetensors", ".model", ".txt", ".md")  # a file that lies in a model's folder


class Address(NamedTuple):
    """Where a model is to be looked for: a folder of this machine, or a repository on the hub."""

    name: str  # as it is called from here on
    folder: Path | None
    id: str = ""  # on the hub: owner/name
    revision: str | None = None  # None for the main one
    inside: str = ""  # the folder within the repository


def read_address(typed: str | Path, *, folders: bool = True) -> Address:
    """Tell from what was typed or pasted where a model is.

    Parameters
    ----------
    typed
        A folder, with or without quotes, as a path or as a file link; a file in such a folder; an id of the hub
        (owner/name, owner/name@revision), or a link to the hub, to one of its revisions, folders or files.
    folders
        Whether a folder of this machine may be meant.

    Raises
    ------
    ModelError
        If it can be none of these.

    Examples
    --------
    >>> read_address("https://huggingface.co/openai-community/gpt2/tree/main").id
    'openai-community/gpt2'
    >>> read_address("EleutherAI/pythia-70m@step3000").revision
    'step3000'
    >>> read_address("all-MiniLM-L6-v2").id  # comes along, and is known without its owner
    'sentence-transformers/all-MiniLM-L6-v2'
    """
    written = _unquoted(str(typed).strip())
    if folders and (path := _path(written)) is not None:
        return Address(str(path) if written.startswith("file:") else written, _folder_of(path))
    return _on_hub(written)


def _unquoted(written):
    """Take off the quotes around a path that was copied with them."""
    while len(written) > 1 and _QUOTES.get(written[0]) == written[-1]:
        written = written[1:-1].strip()
    return written


def _path(written):
    """Return the path of this machine that is meant if there is something at it, otherwise None."""
    try:
        if written.startswith("file:"):
            written = url2pathname(urlsplit(written).path)
        spellings = [written, written.replace("\\ ", " ")]  # as a terminal writes spaces
        paths = [Path(each).expanduser() for each in spellings if each]
        return next((path for path in paths if path.exists()), None)
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL in it, of an unknown user
        return None


def _folder_of(path):
    """Return the folder of a model: the one given, the one around a file, or the newest snapshot in the hub's cache."""
    if path.is_file():
        if path.suffix == ".gguf":
            raise ModelError(
                f"{path.name} is a GGUF file, as llama.cpp reads; "
                "open the model it was made from, which has safetensors and a config.json"
            )
        if path.suffix not in _OF_A_MODEL:
            raise ModelError(f"a model must be given by its folder, got the file {path}")
        path = path.parent
    snapshots = path / "snapshots"
    if not (path.name.startswith("models--") and snapshots.is_dir()):
        return path
    named = path / "refs" / "main"
    if named.is_file() and (current := snapshots / named.read_text().strip()).is_dir():
        return current
    kept = [each for each in snapshots.iterdir() if each.is_dir()]
    return max(kept, key=lambda each: each.stat().st_mtime, default=path)


def _on_hub(written):
    """Read an id or a link."""
    at_home = _HOSTS + tuple(filter(None, [urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc]))
    link = re.match(r"(?:https?://|hf://|git@)?([\w.-]+(?::\d+)?)[/:](.*)", written)
    if link and link[1] in at_home:
        return _of_link(link[2], written)
    if written.startswith("hf://"):
        return _of_link(written.removeprefix("hf://"), written)
    if re.match(r"[a-z]+\d?://", written, re.IGNORECASE) and not written.startswith("file:"):
        raise ModelError(f"a model must be on the Hugging Face hub or in a folder, got the link {written}")
    parts = written.split("/")
    if len(parts) > 3 and parts[2] in _VIEWS:  # a link without its beginning
        return _of_link(written, written)
    id, _, revision = written.partition("@")
    return _checked(id, revision or None, "", written)


def _of_link(path, written):
    """Read what follows the host in a link to the hub."""
    parts = [unquote(part) for part in re.split(r"[?#]", path)[0].split("/") if part]
    if parts[:1] == ["models"] and len(parts) > 2:  # hf://models/owner/name
        parts = parts[1:]
    if parts[:1] and parts[0] in _NO_MODELS:
        raise ModelError(f"a link must lead to a model, got {written}")
    count = 1 if len(parts) < 2 or parts[1] in _VIEWS else 2  # the oldest models have no owner
    id, _, revision = "/".join(parts[:count]).partition("@")
    view, rest = parts[count : count + 1], parts[count + 1 :]
    if view and view[0] in _VIEWS and rest:
        named = 3 if rest[0] == "refs" else 1  # refs/pr/1
        revision, rest = "/".join(rest[:named]), rest[named:]
        inside = rest[:-1] if view[0] in _OF_ONE_FILE else [] if view[0].startswith("commit") else rest
    else:
        inside = [] if view and (view[0] in _VIEWS or view[0] in ("discussions", "settings")) else parts[count:]
    return _checked(id.removesuffix(".git"), revision or None, "/".join(inside), written)


def _checked(id, revision, inside, written):
    """Return the address of a repository, after checking that its id can be one."""
    if written.startswith((".", "~", "/", "\\", "file:")) or re.match(r"[A-Za-z]:[\\/]", written) or id.count("/") > 1:
        raise ModelError(f"there is no folder {written} to open here")
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(id)
    except HFValidationError:
        raise ModelError(
            f"a model must be named as on the hub (owner/name) or by a folder, got {written[:200]!r}"
        ) from None
    id = f"{_OWNERS[id]}/{id}" if id in _OWNERS else id
    revision = None if revision == "main" else revision
    if not re.fullmatch(r"[\w./-]*", f"{revision or ''}{inside}") or ".." in f"{revision or ''}{inside}":
        raise ModelError(f"a revision must be a branch, a tag or a commit of {id}, got {written[:200]!r}")
    name = f"{id}@{revision}" if revision else id
    if inside:
        name = f"https://huggingface.co/{id}/tree/{revision or 'main'}/{inside}"
    return Address(name, None, id, revision, inside)
