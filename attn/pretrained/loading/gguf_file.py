"""GGUF files by llama.cpp's own reader: what they say of a model, and their numbers, however few bits each takes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from attn.pretrained.errors import ModelError

_NO_SENSE = (ValueError, LookupError, TypeError, ArithmeticError, NotImplementedError, RecursionError, MemoryError)


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
    from gguf import GGUFReader  # of some weight, and needed once a machine

    path = Path(path)
    try:
        reader = GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    except _NO_SENSE:  # counts, places and types of which nothing can be made
        raise ModelError(f"{path.name} is damaged, or a GGUF file of a kind that is not known here") from None
    # the file, and the reader with it, has the fastest axis first
    shapes = {tensor.name: tuple(int(n) for n in tensor.shape[::-1]) for tensor in reader.tensors}
    return Contents(
        fields, {each.name: Tensor(each.tensor_type, shapes[each.name], each.data) for each in reader.tensors}
    )


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
