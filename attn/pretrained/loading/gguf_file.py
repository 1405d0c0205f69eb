"""GGUF files read with numpy alone: what they say of a model, and their numbers, however few bits each takes.

Only the types of numbers that SmolLM2's file holds are known: float32, float16, Q8_0 and Q4_1.
"""

import math
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attn.pretrained.errors import ModelError

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)
_BLOCK = 32  # numbers that share one scale

_PLAIN = {0: np.dtype("<f4"), 1: np.dtype("<f2")}
_Q4_1 = np.dtype([("scale", "<f2"), ("least", "<f2"), ("halves", "u1", _BLOCK // 2)])
_Q8_0 = np.dtype([("scale", "<f2"), ("numbers", "i1", _BLOCK)])


class Tensor(NamedTuple):
    """One tensor of a file, as it lies there."""

    kind: int  # of its numbers: 0 float32, 1 float16, 3 Q4_1, 8 Q8_0
    shape: tuple  # rows first, as in numpy
    data: np.ndarray  # mapped from the file


class Contents(NamedTuple):
    """What a GGUF file holds."""

    fields: dict  # name -> number, string or list
    tensors: dict  # name -> Tensor


def read(path):
    """Read what a GGUF file says of its model, and map its tensors into memory without reading them.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Contents

    Raises
    ------
    ModelError
        If the file is damaged, cut off, or holds types of numbers that are not known here.

    References
    ----------
    .. [1] The GGUF format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    """
    path = Path(path)
    try:
        return _contents(np.memmap(path, mode="r", dtype=np.uint8))
    except (ValueError, KeyError, TypeError, OverflowError):  # numbers that make no sense
        raise ModelError(f"{path.name} is damaged, or a GGUF file of a kind that is not known here") from None


def numbers(tensor):
    r"""Return the numbers of a tensor as float32.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    ndarray

    Notes
    -----
    Q8_0 and Q4_1 keep blocks of 32 numbers as small integers q with one scale d to each block:
    :math:`x = d\,q` with q from -127 to 127, and :math:`x = d\,q + m` with q from 0 to 15 and m the
    least of the block. Low halves of the 16 bytes of a Q4_1 block are its first 16 numbers [1]_.

    References
    ----------
    .. [1] https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h

    Examples
    --------
    >>> block = np.array([(0.5, -1, range(0x10, 0x20))], dtype=_Q4_1)
    >>> numbers(Tensor(3, (2, 16), block))[:, :3]
    array([[-1. , -0.5,  0. ],
           [-0.5, -0.5, -0.5]], dtype=float32)
    """
    data = tensor.data
    if tensor.kind in _PLAIN:
        return data.astype(np.float32).reshape(tensor.shape)
    scale = data["scale"].astype(np.float32)[:, None]
    if "least" not in data.dtype.names:
        return (scale * data["numbers"]).reshape(tensor.shape)
    small = np.concatenate([data["halves"] & 15, data["halves"] >> 4], axis=1)  # (blocks, 32)
    return (scale * small + data["least"].astype(np.float32)[:, None]).reshape(tensor.shape)


def _contents(data):
    """Read the file from its first byte on: counts, fields, places of the tensors, tensors."""
    reader = _Reader(data)
    if reader.bytes(4) != b"GGUF" or reader.scalar("<I") not in _VERSIONS:
        raise ValueError
    num_tensors, num_fields = reader.scalar("<Q"), reader.scalar("<Q")
    fields = {}
    for _ in range(num_fields):
        name = reader.string()  # before its value
        fields[name] = reader.value(reader.scalar("<I"))
    places = [reader.place() for _ in range(num_tensors)]
    alignment = fields.get("general.alignment", 32)
    start = -(-reader.at // alignment) * alignment
    return Contents(fields, {name: _tensor(data, start + at, kind, shape) for name, shape, kind, at in places})


def _tensor(data, begin, kind, shape):
    """Map one tensor."""
    dtype = _PLAIN[kind] if kind in _PLAIN else {3: _Q4_1, 8: _Q8_0}[kind]
    count = math.prod(shape) // (1 if kind in _PLAIN else _BLOCK)
    return Tensor(kind, shape, data[begin : begin + count * dtype.itemsize].view(dtype))


class _Reader:
    """Reads one value after the other from the beginning of a file."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def bytes(self, count):
        """Return the next bytes."""
        taken = self.data[self.at : self.at + count].tobytes()
        if len(taken) != count:
            raise ValueError
        self.at += count
        return taken

    def scalar(self, form):
        """Return the next number."""
        return struct.unpack(form, self.bytes(struct.calcsize(form)))[0]

    def string(self):
        """Return the next string."""
        return self.bytes(self.scalar("<Q")).decode("utf-8")

    def value(self, kind):
        """Return the next value of a kind: a number, a string or a list."""
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            kind, count = self.scalar("<I"), self.scalar("<Q")
            return [self.value(kind) for _ in range(count)]
        return self.scalar(_SCALARS[kind])

    def place(self):
        """Return name, shape, kind of number and place of the next tensor."""
        name, axes = self.string(), self.scalar("<I")
        shape = tuple(self.scalar("<Q") for _ in range(axes))[::-1]  # the file has the fastest axis first
        return name, shape, self.scalar("<I"), self.scalar("<Q")
