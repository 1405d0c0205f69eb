"""What a checkpoint holds: names, arrays, and a configuration, held against one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import ACTIVATIONS, as_real, whole_number

_HARMLESS = (  # ends of names: what computes nothing, or what was computed from sizes alone and kept
    ".rotary_emb.inv_freq",
    ".attn.bias",  # GPT-2's causal mask
    ".attn.masked_bias",
    ".EncDecAttention.relative_attention_bias.weight",  # of the first T5s: no distance has a meaning across texts
)


class Checkpoint:
    """The arrays of a checkpoint by their names within the model, each of the shape that is asked for.

    It keeps account of what was asked for, so that nothing of a layer is left out unseen.

    Parameters
    ----------
    tensors
        Name -> array.
    config
        As ``config.json`` holds it.
    usual
        Family -> what its configuration may leave out, and what is then meant.
    first : str
        Name of a tensor that every model of the line has: what stands before it in the checkpoint, such as
        ``model.``, stands before all names.

    Raises
    ------
    ValueError
        If the family is another, or there is no such tensor.
    """

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray],
        config: Mapping[str, Any],
        usual: Mapping[str, Mapping[str, Any]],
        first: str,
    ):
        if config.get("model_type") not in usual:
            raise ValueError(f"model_type must be one of {', '.join(usual)}, got {config.get('model_type')!r}")
        found = [name for name in tensors if name == first or name.endswith(f".{first}")]
        if len(found) != 1:
            raise ValueError(f"the checkpoint must have one tensor {first}, got {len(found)}")
        self.tensors, self.config = tensors, {**usual[config["model_type"]], **config}
        self._prefix, self._asked = found[0].removesuffix(first), set[str]()

    def size(self, name: str, least: int = 1, *, unsaid: int | None = None) -> int:
        """Return a whole number that the configuration says, or what it means where it says none."""
        number = self.config.get(name)
        return whole_number(f"{name} of the configuration", unsaid if number is None else number, least)

    def has(self, name: str) -> bool:
        """Say whether there is such a tensor."""
        return self._prefix + name in self.tensors

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a tensor that must be there in this shape, in float32: as it lies in the file if it is so there."""
        return self._checked(self._prefix + name, shape)

    def outer(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a tensor that stands beside the model, as the head of a language model does."""
        return self._checked(name, shape)

    def unembedding(self, embedding: np.ndarray) -> np.ndarray:
        """Return the table that makes scores of words: `embedding` where the model has one table for both.

        A model that says so, and yet brings another ``lm_head.weight``, means that one.
        """
        tied = self.config["tie_word_embeddings"]
        if tied and "lm_head.weight" not in self.tensors:
            return embedding
        own = self.outer("lm_head.weight", embedding.shape)
        return embedding if tied and np.array_equal(own, embedding) else own

    def activation(self, name: str) -> str:
        """Return what the configuration says under a name, which must be a key of `ACTIVATIONS`."""
        found = self.config.get(name)
        if not isinstance(found, str) or found not in ACTIVATIONS:
            raise ValueError(f"{name} must be one of {', '.join(ACTIVATIONS)}, got {found!r}")
        return found

    def require_all_asked(self, *places: str) -> None:
        """Refuse a tensor of a layer that was never asked for: the model would be computed without it.

        Parameters
        ----------
        *places
            What stands before the numbers of layers.

        Raises
        ------
        ValueError
            It names the first of them.
        """
        layers = tuple(f"{self._prefix}{place}." for place in places)
        left = [name for name in self.tensors if name.startswith(layers) and not name.endswith(_HARMLESS)]
        for name in left:
            if name not in self._asked:
                raise ValueError(f"the checkpoint has a tensor {name}, which is no part of the model as configured")

    def _checked(self, name, shape):
        if name not in self.tensors:
            raise ValueError(f"the checkpoint must have a tensor {name} of shape {shape}, it has none")
        array = self._floats(name)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape} by the configuration, got {array.shape}")
        self._asked.add(name)
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
