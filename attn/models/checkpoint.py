"""What a checkpoint holds: names, arrays, and a configuration, held against one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import ACTIVATIONS, as_real, whole_number


class Checkpoint:
    """The arrays of a checkpoint by their names within the model, each of the shape that is asked for.

    Parameters
    ----------
    tensors
        Name -> array.
    config
        As ``config.json`` holds it.
    first : str
        Name of a tensor that every model of the line has: what stands before it in the checkpoint, such as
        ``model.``, stands before all names.
    families
        Allowed in the configuration as ``model_type``.

    Raises
    ------
    ValueError
        If the family is another, or there is no such tensor.
    """

    def __init__(
        self, tensors: Mapping[str, np.ndarray], config: Mapping[str, Any], first: str, families: Sequence[str]
    ):
        if config.get("model_type") not in families:
            raise ValueError(f"model_type must be one of {', '.join(families)}, got {config.get('model_type')!r}")
        found = [name for name in tensors if name == first or name.endswith(f".{first}")]
        if len(found) != 1:
            raise ValueError(f"the checkpoint must have one tensor {first}, got {len(found)}")
        self.tensors, self.config, self._prefix = tensors, config, found[0].removesuffix(first)

    def has(self, name: str) -> bool:
        """Say whether there is such a tensor."""
        return self._prefix + name in self.tensors

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a tensor that must be there in this shape, in float32: as it lies in the file if it is so there."""
        return self._checked(self._prefix + name, shape)

    def outer(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a tensor that stands beside the model, as the head of a language model does."""
        return self._checked(name, shape)

    def optional(self, name: str) -> np.ndarray | None:
        """Return a tensor, or None where there is none."""
        return self._floats(self._prefix + name) if self.has(name) else None

    def activation(self, *names: str, usual: str) -> str:
        """Return what the configuration says under the first of these names that it has, a key of `ACTIVATIONS`."""
        for name in names:
            if found := self.config.get(name):
                if found not in ACTIVATIONS:
                    raise ValueError(f"{name} must be one of {', '.join(ACTIVATIONS)}, got {found!r}")
                return found
        return usual

    def _checked(self, name, shape):
        if name not in self.tensors:
            raise ValueError(f"the checkpoint must have a tensor {name} of shape {shape}, it has none")
        array = self._floats(name)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape} by the configuration, got {array.shape}")
        return array

    def _floats(self, name):
        return np.asarray(self.tensors[name]).astype(np.float32, copy=False)


def token_ids(ids: ArrayLike, vocabulary: int, name: str = "ids") -> np.ndarray:
    """Return token ids as an array, (n,) with n at least 1, refusing what is no row of a vocabulary.

    Raises
    ------
    ValueError
        It names them `name`.
    """
    whole_number("vocabulary", vocabulary, 1)
    array = as_real(ids, name)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a row of at least one whole number, got {array.dtype} {array.shape}")
    if ((array < 0) | (array >= vocabulary)).any():
        raise ValueError(f"{name} must be from 0 to {vocabulary - 1}, got {array.min()} to {array.max()}")
    return array
