"""What a pass through a decoder, a model that writes, leaves behind: states, every step of a layer, and its cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attn.dot_product import Attention
from attn.functional import MOST, whole_number

Change = Callable[[str, int, np.ndarray], np.ndarray]
"""What is done to a step of a pass: takes its name, the layer, and its array; returns the array that goes on.

It must leave the array that it is given as it is, and may return it. Names and shapes are those of `STEPS`.
"""

STEPS = {
    "residual": "(n, d_model)",  # what a layer reads; of as many layers as there are, the last state
    "query": "(num_heads, n, d_k)",  # as it is compared
    "key": "(num_kv_heads, n, d_k)",  # of the new tokens alone, as the others below
    "value": "(num_kv_heads, n, d_v)",
    "weights": "(num_heads, n, n_k)",
    "context": "(num_heads, n, d_v)",  # the output of each head, before w_o
    "attention_output": "(n, d_model)",  # what is added to the residual stream
    "feed_forward_output": "(n, d_model)",
}
"""The steps of a layer that a `Change` is asked about, in this order, and their shapes."""


class LayerPass(NamedTuple):
    """Every step of one layer of a model that writes."""

    x: np.ndarray  # (n, d_model) what comes in
    attention_input: np.ndarray  # (n, d_model) x as attention reads it: normalised, where the model does so
    query: np.ndarray  # (num_heads, n, d_k) as it is compared: normalised and turned where the model does so
    key: np.ndarray  # (num_kv_heads, n_k, d_k) with those of the cache before its own
    value: np.ndarray  # (num_kv_heads, n_k, d_v)
    attention: Attention  # by query head; after changed weights its scores are still those computed
    attention_output: np.ndarray  # (n, d_model) what attention adds to x
    feed_forward_input: np.ndarray  # (n, d_model) their sum as the feed-forward network reads it
    inner: np.ndarray  # (n, d_ff) the wide layer of that network
    feed_forward_output: np.ndarray  # (n, d_model) what the feed-forward network adds
    output: np.ndarray  # (n, d_model) x + attention_output + feed_forward_output


class Cache(NamedTuple):
    """Keys and values of the tokens that a model has read, by layer.

    A layer with a window keeps those alone that the next token can see.

    References
    ----------
    .. [1] Pope et al., 2022, section 2. arXiv:2211.05102
    """

    length: int = 0  # tokens read so far, of which a layer may keep fewer
    keys: tuple[np.ndarray, ...] = ()  # by layer: (num_kv_heads, kept, d_k), turned by their positions
    values: tuple[np.ndarray, ...] = ()  # by layer: (num_kv_heads, kept, d_v)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(array.nbytes for array in (*self.keys, *self.values))


class Pass(NamedTuple):
    """Token ids on their way through a model that writes."""

    ids: np.ndarray  # (n,) of the tokens
    states: tuple[np.ndarray, ...]  # (n, d_model) each: the embeddings, then what each layer gives on
    output: np.ndarray  # (n, d_model) the last state, normalised
    logits: np.ndarray  # (n, vocabulary), or (1, vocabulary) of the last token alone
    cache: Cache  # with these tokens: for those that follow
    layers: tuple[LayerPass, ...] = ()  # every step, where they were asked for


def checked_change(change: Change | None) -> Change:
    """Return what changes a pass, which then refuses an array of another shape and keeps the pass's numbers.

    Parameters
    ----------
    change
        None to leave all as it is.

    Raises
    ------
    ValueError
        By the function that is returned, if `change` returns an array of another shape than it was given.
    """
    if change is None:
        return lambda step, layer, array: array

    def checked(step, layer, array):
        changed = np.asarray(change(step, layer, array), array.dtype)
        if changed.shape != array.shape:
            raise ValueError(f"change must keep the shape {array.shape} of {step}, got {changed.shape}")
        return changed

    return checked


def changed_attention(change: Change, layer: int, attention: Attention, value: np.ndarray) -> Attention:
    """Return an attention with its weights changed, its context as they make it, and that changed in turn.

    Its scores stay those that were computed: changed weights are no softmax of theirs.

    Parameters
    ----------
    change
        As `checked_change` returns it.
    layer
    attention
    value : shape (num_kv_heads, n_k, d_v)

    Raises
    ------
    ValueError
        As `change`.
    """
    weights, context = change("weights", layer, attention.weights), attention.context
    if weights is not attention.weights:
        context = weights @ np.repeat(value, len(weights) // len(value), axis=0)  # (num_heads, n, d_v)
    return attention._replace(weights=weights, context=change("context", layer, context))


def with_cached(cache: Cache, layer: int, key: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys and values that a layer may look at: those of the cache, then those of the new tokens.

    Parameters
    ----------
    cache
    layer
    key : shape (num_kv_heads, n, d_k)
    value : shape (num_kv_heads, n, d_v)

    Returns
    -------
    key : shape (num_kv_heads, kept + n, d_k)
    value : shape (num_kv_heads, kept + n, d_v)

    Raises
    ------
    ValueError
        If the cache has no such layer.
    """
    whole_number("layer", layer, most=len(cache.keys) - 1 if cache.keys else MOST)
    if not cache.keys:
        return key, value
    return np.concatenate([cache.keys[layer], key], axis=-2), np.concatenate([cache.values[layer], value], axis=-2)


def within_window(array: np.ndarray, window: int | None) -> np.ndarray:
    """Return those rows of keys or values that the next token can see.

    Parameters
    ----------
    array : shape (num_kv_heads, n_k, d)
    window
        How many keys a token looks at, its own among them; None for all.

    Returns
    -------
    shape (num_kv_heads, min(n_k, window - 1), d)

    Raises
    ------
    ValueError
        If `window` is no whole number of at least 1.

    Examples
    --------
    >>> within_window(np.zeros((2, 7, 3)), 4).shape
    (2, 3, 3)
    """
    if window is None:
        return array
    return array[..., max(array.shape[-2] - whole_number("window", window, 1) + 1, 0) :, :]
