"""Safetensors files read with numpy alone: what is in them, and the numbers where they lie on disk."""

import hashlib
import json
import math
from functools import cache
from pathlib import Path

import numpy as np

from attn.pretrained.errors import ModelError

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}


def read_header(path):
    """Return what a safetensors file says about its tensors, after checking that the file is whole.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    entries : dict
        Name -> ``{"dtype": str, "shape": list, "data_offsets": [begin, end]}``.
    start : int
        Where in the file the numbers begin; offsets count from there.

    Raises
    ------
    ModelError
        If the file is damaged or cut off.
    """
    path = Path(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entries = json.loads(file.read(min(length, size)))
        entries.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ModelError(f"{path.name} is damaged: it does not begin like a safetensors file") from None
    if size != 8 + length + end:
        raise ModelError(f"{path.name} is damaged: it must have {8 + length + end} bytes, got {size}")
    return entries, 8 + length


def count_numbers(path):
    """Return how many numbers a safetensors file holds."""
    return sum(math.prod(entry["shape"]) for entry in read_header(path)[0].values())


def open_tensors(path):
    """Map the tensors of a safetensors file into memory, without reading them.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict
        Name -> read-only ndarray. Pages of the file are read when their numbers are first used.

    Raises
    ------
    ModelError
        If the file is damaged, or holds a number type that numpy does not know (bfloat16).

    References
    ----------
    .. [1] The safetensors format: https://huggingface.co/docs/safetensors/index#format
    """
    entries, start = read_header(path)
    unknown = {entry["dtype"] for entry in entries.values()} - set(_TYPES)
    if unknown:
        raise ModelError(f"{Path(path).name} must hold numbers that numpy knows, got {', '.join(sorted(unknown))}")
    data = np.memmap(path, mode="r", offset=start, dtype=np.uint8)

    def tensor(entry):
        begin, end = entry["data_offsets"]
        return np.asarray(data[begin:end].view(_TYPES[entry["dtype"]]).reshape(entry["shape"]))

    return {name: tensor(entry) for name, entry in entries.items()}


def write_tensors(path, shapes, tensors):
    """Write a safetensors file of float32 numbers, holding one tensor at a time.

    Parameters
    ----------
    path : str or Path
    shapes : dict
        Name -> shape.
    tensors : iterable of ndarray
        In the order of `shapes`.

    Raises
    ------
    ValueError
        If a tensor has not the shape that was announced.
    """
    entries, end = {"__metadata__": {"format": "pt"}}, 0
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
            file.write(np.ascontiguousarray(tensor, dtype="<f4"))


@cache  # an exception is not cached: a wrong file is refused each time
def verify(path, sha256):
    """Check once per process that a file is the one expected.

    Parameters
    ----------
    path : Path
    sha256 : str
        Hexadecimal digest.

    Raises
    ------
    ModelError
        If the file is another one.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(f"{path.name} must have the sha256 {sha256[:12]}…, got {found[:12]}…: reinstall the model")
