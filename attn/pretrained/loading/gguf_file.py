"""GGUF files: what they say of a model, and their numbers, however few bits each takes.

The head of a file is read here, with every count held against the file before anything is made of it: the reader of
the package `gguf` takes an array of 10¹⁸ numbers at its word. What the bits of a block mean is that package's.
"""

import math
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attn.pretrained.errors import ModelError

_VERSIONS = (2, 3)
_NUMBERS = dict(enumerate(["<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?"])) | {10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9  # kinds of values beside these
_PLAIN = {0: "<f4", 1: "<f2", 24: "i1", 25: "<i2", 26: "<i4", 27: "<i8", 28: "<f8"}  # kinds of tensors as numpy has
_ALIGNMENT = 32  # of the tensors, where the file says nothing
_MOST_AXES = 4
_MOST_VALUES = 5_000_000  # in all arrays: a vocabulary of 300,000 pieces has three
_MOST_NAMES = 100_000  # of fields, and of tensors


class Tensor(NamedTuple):
    """One tensor of a file, as it lies there."""

    kind: int  # of its numbers, as the format counts them: 0 float32, 1 float16, 3 Q4_1, 8 Q8_0 ...
    shape: tuple  # rows first, as in numpy
    data: np.ndarray  # mapped from the file


class Contents(NamedTuple):
    """What a GGUF file holds."""

    fields: dict  # name -> number, string or list
    tensors: dict  # name -> Tensor


def read(path: str | Path) -> Contents:
    """Read what a GGUF file says of its model, and map its tensors into memory without reading them.

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
        return _contents(_Head(np.memmap(path, mode="r", dtype=np.uint8)))
    except ValueError as error:  # also of an empty file, and of letters that are not UTF-8
        raise ModelError(f"{path.name} is damaged, or a GGUF file of a kind that is not known here: {error}") from None


class _Head:
    """The head of a file, read from its beginning on."""

    def __init__(self, data):
        self.data, self.at, self.values = data, 0, 0

    def take(self, count):
        """Return the next bytes."""
        if count > len(self.data) - self.at:
            raise ValueError(f"{count:,} bytes must follow byte {self.at:,}, which is beyond its end")
        self.at += count
        return self.data[self.at - count : self.at].tobytes()

    def number(self, form="<Q"):
        """Return the next number."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def count(self, what, most):
        """Return the next number, of things of which no model has more than so many."""
        count = self.number()
        if count > most:
            raise ValueError(f"it must have at most {most:,} {what}, got {count:,}")
        return count

    def string(self):
        """Return the next string."""
        return self.take(self.number()).decode()

    def value(self, kind):
        """Return the next value of a field."""
        if kind == _STRING:
            return self.string()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind != _ARRAY:
            raise ValueError(f"a value must be of one of the types 0 to 12, got {kind}")
        kind, count = self.number("<I"), self.count("values in arrays", _MOST_VALUES - self.values)
        self.values += count
        if kind == _STRING:
            return [self.string() for _ in range(count)]
        if kind not in _NUMBERS:
            raise ValueError(f"an array must hold numbers or strings, got the type {kind}")
        return np.frombuffer(self.take(count * struct.calcsize(_NUMBERS[kind])), dtype=_NUMBERS[kind]).tolist()


def _contents(head):
    """Read a file whose head has not been looked at yet."""
    if head.take(4) != b"GGUF" or head.number("<I") not in _VERSIONS:
        raise ValueError("it must begin with GGUF and the version 2 or 3")
    num_tensors, num_fields = head.count("tensors", _MOST_NAMES), head.count("fields", _MOST_NAMES)
    fields = _named((head.string(), head.value(head.number("<I"))) for _ in range(num_fields))
    announced = _named((head.string(), _announced(head)) for _ in range(num_tensors))
    alignment = fields.get("general.alignment", _ALIGNMENT)
    if not (isinstance(alignment, int) and alignment > 0 and alignment.bit_count() == 1):
        raise ValueError(f"general.alignment must be a power of two, got {alignment!r:.80}")
    start = -(-head.at // alignment) * alignment
    return Contents(fields, {name: _tensor(head.data, start, name, *each) for name, each in announced.items()})


def _named(pairs):
    """Return names and what they name, each once."""
    found = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"each name must stand there once, got {name!r:.80} again")
        found[name] = value
    return found


def _announced(head):
    """Return kind, shape and place of a tensor, as the head has them."""
    axes = head.number("<I")
    if axes > _MOST_AXES:
        raise ValueError(f"a tensor must have at most {_MOST_AXES} axes, got {axes:,}")
    shape = [head.number() for _ in range(axes)]
    return head.number("<I"), tuple(reversed(shape)), head.number()  # the file has the fastest axis first


def _tensor(data, start, name, kind, shape, place):
    """Return a tensor where it lies in a file."""
    from gguf import GGML_QUANT_SIZES  # of some weight, and needed once a machine

    if kind not in GGML_QUANT_SIZES:
        raise ValueError(f"the tensor {name!r:.80} must have numbers of a known type, got {kind}")
    block, size = GGML_QUANT_SIZES[kind]
    if shape and shape[-1] % block:
        raise ValueError(f"the rows of {name!r:.80} must have whole blocks of {block} numbers, got {shape[-1]:,}")
    begin = start + place
    end = begin + math.prod(shape) // block * size
    if end > len(data):
        raise ValueError(f"the tensor {name!r:.80} must end within {len(data):,} bytes, got {end:,}")
    rows = (*shape[:-1], -1) if math.prod(shape) and shape else shape
    return Tensor(kind, shape, data[begin:end].view(_PLAIN.get(kind, np.uint8)).reshape(rows))


def numbers(tensor: Tensor) -> np.ndarray:
    """Return the numbers of a tensor as float32.

    Raises
    ------
    ModelError
        If its kind of numbers is not known here.

    Examples
    --------
    >>> block = np.array([(0.5, -1, range(0x10, 0x20))], dtype="<f2,<f2,16u1")  # of Q4_1: scale, least, halves
    >>> numbers(Tensor(3, (2, 16), block.view(np.uint8)))[:, :3]
    array([[-1. , -0.5,  0. ],
           [-0.5, -0.5, -0.5]], dtype=float32)
    """
    from gguf import GGMLQuantizationType, dequantize

    try:
        kind = GGMLQuantizationType(tensor.kind)
        return dequantize(np.asarray(tensor.data), kind).astype(np.float32, copy=False).reshape(tensor.shape)
    except (ValueError, NotImplementedError):
        raise ModelError(f"numbers of the GGUF type {tensor.kind} are not known here") from None
