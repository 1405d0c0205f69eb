"""Our attention inside a model, for one pass: it answers every attention call, as it is or changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attn import blockwise
from attn.dot_product import scaled_dot_product_attention
from attn.masks import sliding_window
from attn.pretrained.errors import ModelError, NotCalledError
from attn.pretrained.intervention.changes import FIRST, PREVIOUS, UNIFORM, weights_painted
from attn.pretrained.recording.compare import from_scratch
from attn.pretrained.recording.layer import Places, layer_of
from attn.pretrained.recording.pass_masks import PassMasks
from attn.pretrained.threads import Stopped

if TYPE_CHECKING:
    from attn.pretrained.recording.compare import from_scratch
from attn.pretrained.recording.layer import Layer

SMALL = 2**18  # scores of a layer up to which tiles are not worth their while
_ROWS = 512  # rows of a replaced pattern that are held at once


class Inside:
    """Answers the attention calls of one pass, or of the passes that write one text.

    All that is changed lives here and nothing in the model, which others use at the same time.

    Parameters
    ----------
    loaded : Loaded
    prepared : Prepared
        What the pass reads.
    changes : Changes
    off : sequence of (int, int), optional
        One more head that is off in each row of the batch.
    orders : dict, optional
        Kind of layer -> positions of its tokens, where those are shuffled in the bias.
    watch : callable, optional
        Called with each `Layer` as it was computed, with its output.
    should_stop : callable, optional
        Asked before each layer whether to give up.
    """

    def __init__(self, loaded, prepared, changes, *, off=(), orders=None, watch=None, should_stop=None):
        self.name = loaded.name
        self.prepared = prepared
        self.changes = changes
        self.off = off
        self.orders = orders
        self.watch = watch
        self.should_stop = should_stop
        self.places = Places(loaded.model)
        self.begin()

    def begin(self, first: int = 0, total: int | None = None) -> None:
        """Begin a pass; one that goes on with a text calls the layers from `first` on and knows `total` tokens."""
        self.first = first
        self.total = total
        self.called = []  # (kind, number of heads) of each layer so far
        self.masks = PassMasks()
        self.places.begin(first)

    def __call__(self, call):
        if self.should_stop is not None and self.should_stop():
            raise Stopped(f"the run of {self.name} was stopped")
        layer = self._layer(call)
        only_causal = self.masks.is_only_causal(layer.mask, layer.query.shape[2], layer.key.shape[2])
        context = attention(layer, only_causal)
        for (index, head), pattern in self.changes.patterns:
            if index == layer.index:
                self._replace(context, layer, head, pattern)
        for index, head in self.changes.off:
            if index == layer.index:
                context[:, self._head(layer, head)] = 0
        for row, (index, head) in enumerate(self.off):
            if index == layer.index:
                context[row, self._head(layer, head)] = 0
        if self.watch is not None:
            self.watch(layer.changed(output=context))
        return _like(context, call.query), self._weights(layer, call) if call.wants_weights else None

    def check(self) -> None:
        """Raise if nothing was called, or not the layers that were to be changed."""
        if not self.called:
            raise NotCalledError(f"{self.name} called no attention layer in this pass, so there is nothing to change")
        missing = sorted(layer for layer, _ in self.changes.heads if layer >= self.first + len(self.called))
        if missing:
            raise ModelError(f"layers must be among 0 to {self.first + len(self.called) - 1}, got {missing[0]}")

    def _layer(self, call):
        """Turn a call into a layer, with all changed that comes before the softmax."""
        place = self.places.next(call, self.masks.is_causal(call))
        self.called.append((place.kind, call.query.shape[1]))
        layer = layer_of(replace(call, hidden=None, given=None), self.masks.of(call), self.prepared, place)
        return layer.changed(**self._settings(layer)) if self.changes else layer

    def _settings(self, layer):
        """Return what is changed of a layer: mask, bias, scale, cap and sinks."""
        changes, settings = self.changes, {"mask": self._visible(layer)}
        if self.orders is not None:
            settings["bias"] = self._shuffled(layer)
        if changes.scale is not None:
            settings["scale"] = changes.scale
        if changes.temperature != 1:  # all that the softmax sees, the cap's own limits included
            for name in ("scale", "bias", "softcap", "sinks"):
                number = settings.get(name, getattr(layer, name))
                settings[name] = None if number is None else number / changes.temperature
        return settings

    def _visible(self, layer):
        """Return the changed mask of a layer; layers share it as they share their own."""
        changes, n_q, n_k = self.changes, layer.query.shape[2], layer.key.shape[2]
        if not (changes.causal_mask_removed or changes.hidden or changes.window is not None):
            return layer.mask
        own_text = layer.kind != "cross"
        return self.masks.once(_changed_mask, layer.mask, changes, self._hidden(layer), own_text, n_q, n_k)

    def _hidden(self, layer):
        """Return the columns of the hidden tokens; in an encoder-decoder they are those that its encoder read."""
        if self.prepared.decoder_tokens is not None and layer.kind == "decoder":
            return ()
        n_k = layer.key.shape[2]
        gone = 0  # keys that a model with a window has dropped
        if self.total is not None and layer.kind != "cross":
            gone = self.total - n_k
        return tuple(token - gone for token in sorted(self.changes.hidden) if 0 <= token - gone < n_k)

    def _shuffled(self, layer):
        """Return a bias of positions as if the tokens stood in another order."""
        if layer.kind == "cross":
            return layer.bias
        if layer.bias is None:
            raise ModelError(f"{self.name} has no positions that can be shuffled")
        n_q, n_k = layer.bias.shape[-2:]
        order = self.orders[layer.kind]
        order = np.concatenate([order, np.arange(len(order), n_k)])  # what is written stands where it is
        columns = layer.bias[..., order]
        return columns[..., order, :] if n_q == n_k else columns

    def _replace(self, context, layer, head, pattern):
        """Replace the context of a head by that of a pattern, some rows at a time."""
        head = self._head(layer, head)
        n_q, n_k = layer.query.shape[2], layer.key.shape[2]
        if pattern == PREVIOUS and layer.kind == "cross":
            raise ModelError(f"keys of layer {layer.index} are another text, where no token comes before")
        value = layer.value[:, head // (layer.num_heads // layer.num_kv_heads)]
        for start in range(0, n_q, _ROWS):
            rows = slice(start, min(start + _ROWS, n_q))
            visible = np.ones((1, n_k), dtype=bool) if layer.mask is None else _one_head(layer.mask, head)
            visible = np.broadcast_to(visible, (*visible.shape[:-2], n_q, n_k))[..., rows, :]
            weights = pattern_weights(pattern, visible, self.first_query(layer) + start)
            if weights is not None:
                context[:, head, rows] = weights @ value

    def _weights(self, layer, call):
        """Return the weights of all heads as they are changed, for a module that goes on to use them."""
        import torch

        weights = from_scratch(layer).weights  # (batch, num_heads, n_q, n_k)
        for (index, head), pattern in self.changes.patterns:
            if index == layer.index:
                visible = np.ones(weights.shape[-2:], dtype=bool)
                visible = visible if layer.mask is None else visible & _one_head(layer.mask, head)
                weights[:, head] = pattern_weights(pattern, visible, self.first_query(layer))
        return torch.from_numpy(weights).to(call.query)

    def first_query(self, layer: Layer) -> int:
        """Return where the first query of a layer stands in its own text."""
        n_q, n_k = layer.query.shape[2], layer.key.shape[2]
        if layer.kind != "cross":
            return n_k - n_q
        return 0 if self.total is None else self.total - n_q  # keys are another text

    def _head(self, layer, head):
        """Return a head if the layer has it."""
        if head >= layer.num_heads:
            raise ModelError(f"heads of layer {layer.index} must be among 0 to {layer.num_heads - 1}, got {head}")
        return head


def attention(layer: Layer, only_causal: bool = False) -> np.ndarray:
    """Compute the context of a layer with our own attention: in one piece, or in tiles where it is large.

    Parameters
    ----------
    layer
    only_causal
        Whether its mask hides later keys and no others, which tiles can do without it.

    Returns
    -------
    shape (batch, num_heads, n_q, d_v)
    """
    query, key, value, mask = layer.query, layer.key, layer.value, layer.mask
    options: dict[str, Any] = {name: getattr(layer, name) for name in ("bias", "scale", "softcap", "sinks")}
    if query[..., 0].size * key.shape[2] <= SMALL:
        return scaled_dot_product_attention(query, key, value, mask, **options).context
    import torch

    if only_causal:
        mask, options["causal"] = None, True
    return blockwise.attention(query, key, value, mask, **options, threads=torch.get_num_threads())


def pattern_weights(pattern: str, visible: np.ndarray, first: int = 0) -> np.ndarray | None:
    """Return the weights of a replaced pattern.

    Parameters
    ----------
    pattern
        As `Changes` takes it.
    visible : booleans, shape (..., rows, n_k)
        Where a query may look.
    first
        Position of the first of these rows among the keys.

    Returns
    -------
    ndarray of float32, shape (..., rows, n_k), or None
        Rows sum to 1, or to 0 where the pattern has nothing that may be seen. None for rows that
        come after a painted pattern.

    Raises
    ------
    ModelError
        If a painted pattern is for another number of tokens.

    Examples
    --------
    >>> pattern_weights("previous", np.ones((3, 3), dtype=bool))
    array([[1., 0., 0.],
           [1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    rows, n_k = visible.shape[-2:]
    positions = np.arange(first, first + rows)[:, None]
    if pattern == UNIFORM:
        wanted = visible
    elif pattern == FIRST:
        wanted = visible & (np.cumsum(visible, axis=-1) == 1)
    elif pattern == PREVIOUS:
        wanted = visible & (np.arange(n_k) == np.maximum(positions - 1, 0))
        alone = ~wanted.any(axis=-1, keepdims=True)
        wanted = wanted | (alone & visible & (np.arange(n_k) == positions))
    else:
        painting = weights_painted(pattern)
        if first >= len(painting):
            return None
        if painting.shape[1] != n_k or first + rows > len(painting):
            raise ModelError(f"a pattern painted for {len(painting)} tokens cannot serve for {n_k}")
        wanted = visible * painting[first : first + rows]
    total = wanted.sum(axis=-1, keepdims=True, dtype=np.float32)
    return wanted / np.where(total == 0, np.float32(1), total)


def _changed_mask(mask, changes, columns, own_text, n_q, n_k):
    """Return what the changes make of a mask: of a text that looks at itself or, in cross-attention, at another."""
    given = np.ones((1, 1, 1, 1), dtype=bool) if mask is None else mask
    visible = np.array(np.broadcast_to(given, (*given.shape[:2], n_q, n_k)))
    if own_text:
        visible = _reached(visible, changes)
    return _hide(visible, columns, others_only=own_text)


def _reached(visible, changes):
    """Return which keys of its own text a query reaches: with later ones, and not farther than a window."""
    n_q, n_k = visible.shape[-2:]
    if changes.causal_mask_removed and n_q == n_k:  # what nobody saw is padding, and stays hidden
        visible = (visible | visible.swapaxes(-1, -2)) & visible.any(axis=-2, keepdims=True)
    if changes.window is not None:
        visible = visible & sliding_window(n_q, n_k, changes.window).visible
    return visible


def _hide(visible, columns, others_only):
    """Hide columns from all rows, or from all but the token that stands there itself."""
    n_q, n_k = visible.shape[-2:]
    columns = np.array(columns, dtype=int)
    own = (np.arange(n_q)[:, None] + n_k - n_q) == columns  # (n_q, columns)
    visible[..., columns] &= own if others_only else False
    return visible


def _one_head(mask, head):
    """Return the mask of one head, (batch, n_q or 1, n_k)."""
    return mask[:, head if mask.shape[1] > 1 else 0]


def _like(context, query):
    """Return a context as the model wants it, (batch, n_q, num_heads, d_v)."""
    import torch

    return torch.from_numpy(context).to(query).transpose(1, 2).contiguous()
