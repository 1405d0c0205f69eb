"""Safetensors files: what is in them by the library's own reading, and the numbers where they lie on disk.

The library copies every tensor that it hands to numpy. Mapped instead, the weights of all-MiniLM-L6-v2 take no
memory of a process's own where a copy takes 87 MB, and 44 MB of the file are read: of the largest tensor, the
embeddings, only the rows of words that come up.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attn.pretrained.errors import ModelError, first_line
from attn.pretrained.loading import model_files

_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"},
}

_REAL = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"},
}


class Entry(NamedTuple):
    """What a file says of one tensor."""

    dtype: str  # as the format spells it: F32, BF16 ...
    shape: tuple


def read_header(path: str | Path) -> dict[str, Entry]:
    """Return what a safetensors file says about its tensors, after checking that the file is whole.

    Returns
    -------
    dict
        Name -> Entry, in the order in which the numbers lie in the file.

    Raises
    ------
    ModelError
        If the file is damaged or cut off.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            parts = {name: file.get_slice(name) for name in file.offset_keys()}
            return {name: Entry(part.get_dtype(), tuple(part.get_shape())) for name, part in parts.items()}
    except SafetensorError as error:
        raise ModelError(_no_tensors(path, error)) from None


def number_types(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the types of the real numbers among tensors, by the names that torch has for them.

    Examples
    --------
    >>> number_types([Entry("BF16", (2, 3)), Entry("I64", (1,)), Entry("BF16", (3,))])
    ('bfloat16',)
    """
    return tuple(sorted({_REAL[entry.dtype] for entry in entries if entry.dtype in _REAL}))


def _no_tensors(path, error):
    """Return the sentence for a file that is not what its name says."""
    begins = model_files.begins(path)
    if what := model_files.no_file_itself(path.name, begins):
        return what
    if begins.startswith((b"PK\x03\x04", b"\x80\x02")):
        return f"{path.name} is a file of torch.save under another name, a format that can carry code and is not opened"
    size = f"{path.stat().st_size:,} bytes"
    return f"{path.name} is damaged or was not downloaded to its end ({size} are here): {first_line(error)}"


def open_tensors(path: str | Path) -> dict:
    """Map the tensors of a safetensors file into memory, without reading them.

    Returns
    -------
    dict
        Name -> read-only ndarray. Pages of the file are read when their numbers are first used; but bfloat16, which
        numpy does not know, is read at once, into float32.

    Raises
    ------
    ModelError
        If the file is damaged, or holds a number type of 8 bits, which only a library can read.

    References
    ----------
    .. [1] The safetensors format: https://huggingface.co/docs/safetensors/index#format
    """
    entries = read_header(path)
    types = _TYPES | {"BF16": "<u2"}  # the upper half of a float32
    unknown = {entry.dtype for entry in entries.values()} - set(types)
    if unknown:
        raise ModelError(f"{Path(path).name} must hold numbers that numpy knows, got {', '.join(sorted(unknown))}")
    data = np.memmap(path, mode="r", dtype=np.uint8)
    sizes = [np.dtype(types[entry.dtype]).itemsize * math.prod(entry.shape) for entry in entries.values()]
    ends = len(data) - sum(sizes) + np.cumsum(sizes, dtype=int)  # the format leaves no gaps, nor anything behind

    def tensor(entry, size, end):
        array = np.asarray(data[end - size : end].view(types[entry.dtype]).reshape(entry.shape))
        return (array.astype("<u4") << 16).view("<f4") if entry.dtype == "BF16" else array

    places = zip(entries.items(), sizes, ends, strict=True)
    return {name: tensor(entry, size, end) for (name, entry), size, end in places}


def write_tensors(path: str | Path, shapes: dict, tensors: Iterable[np.ndarray]) -> None:
    """Write a safetensors file of float32 numbers, holding one tensor at a time.

    Parameters
    ----------
    path
    shapes
        Name -> shape.
    tensors
        In the order of `shapes`.

    Raises
    ------
    ValueError
        If a tensor has not the shape that was announced.
    """
    entries: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)  # so that the numbers begin where a processor likes them to
    with Path(path).open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for (name, shape), tensor in zip(shapes.items(), tensors, strict=True):
            if tensor.shape != tuple(shape):
                raise ValueError(f"{name} must have the shape {tuple(shape)}, got {tensor.shape}")
            file.write(np.ascontiguousarray(tensor, dtype="<f4"))  # type: ignore[arg-type]


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache  # an exception is not cached: a wrong file is refused each time
def verify(path: Path, sha256: str) -> None:
    """Check once per process that a file is the one expected.

    Parameters
    ----------
    path
    sha256
        Hexadecimal digest.

    Raises
    ------
    ModelError
        If the file is another one.
    """
    found = digest(path)
    if found != sha256:
        raise ModelError(f"{path.name} must have the sha256 {sha256[:12]}…, got {found[:12]}…: reinstall the model")
