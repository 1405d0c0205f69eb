"""One attention layer of one pass, as the model made it."""

import functools
import re
from dataclasses import dataclass

import numpy as np

from attn.dot_product import Attention
from attn.pretrained.errors import ModelError
from attn.pretrained.recording import registry, tiles
from attn.pretrained.recording.compare import from_scratch

_CROSS = re.compile(r"cross|encoder_attn|encdecattention|encoder_decoder_att|token_to_|_to_token", re.IGNORECASE)


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """One attention layer of one pass, as the model made it. Arrays are float32 and read-only.

    Parameters
    ----------
    index : int
        Place among all attention layers of the pass.
    block : int
        Place among those of its kind.
    name : str
        Qualified name of the attention module.
    kind : {"encoder", "decoder", "cross"}
        Self-attention in both directions, self-attention to the left or within a decoder, or from one
        sequence to another.
    query : ndarray, shape (batch, num_heads, n_q, d_k)
    key : ndarray, shape (batch, num_kv_heads, n_k, d_k)
    value : ndarray, shape (batch, num_kv_heads, n_k, d_v)
        After norms and rotary positions: what the dot products are made of.
    mask : ndarray of bool, shape (batch, 1, n_q, n_k), or None
        True where a query may look at a key; None if everywhere.
    bias : ndarray, broadcastable to (batch, num_heads, n_q, n_k), or None
        Added to the scores, as T5's relative positions are.
    scale : float
    softcap : float or None
    sinks : ndarray, broadcastable to (batch, num_heads, n_q, 1), or None
        Scores of one more key per head that takes weight and gives nothing (gpt-oss).
    output : ndarray, shape (batch, num_heads, n_q, d_v)
        By the model family's own function, before heads are merged and projected.
    hidden : ndarray, shape (batch, n_q, d_model), or None
        What went into the attention module.
    query_tokens, key_tokens : tuple of Token
        Names of rows and columns.
    call : Call
        What the model handed over, for its own function to be run again.
    """

    index: int
    block: int
    name: str
    kind: str
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    mask: np.ndarray | None
    bias: np.ndarray | None
    scale: float
    softcap: float | None
    sinks: np.ndarray | None
    output: np.ndarray
    hidden: np.ndarray | None
    query_tokens: tuple
    key_tokens: tuple
    call: registry.Call

    def __repr__(self):
        """Say which layer this is, without its numbers."""
        return f"<{self.kind} layer {self.index} {self.name}, {self.num_heads} heads of {self.query.shape[2:]}>"

    @property
    def num_heads(self):
        """Number of query heads."""
        return self.query.shape[1]

    @property
    def num_kv_heads(self):
        """Number of key/value heads."""
        return self.key.shape[1]

    def attention(self, heads=None):
        """Compute every step from scratch; see `attn.pretrained.from_scratch` for changed ones.

        Parameters
        ----------
        heads : int or sequence of int, optional
            By default all.

        Returns
        -------
        Attention
            (batch, len(heads), n_q, n_k) and (batch, len(heads), n_q, d_v).

        Raises
        ------
        ModelError
            If several heads are asked for whose weights together would take too much memory.
        """
        compute = functools.partial(self._of_rows, heads)
        return Attention(*tiles.in_tiles(compute, self._asked(heads)))

    def weights(self, heads=None):
        """Compute the weights from scratch, and no other step: a third of the memory.

        Parameters
        ----------
        heads : int or sequence of int, optional
            By default all.

        Returns
        -------
        ndarray, shape (batch, len(heads), n_q, n_k)

        Raises
        ------
        ModelError
            As `attention`.
        """
        return tiles.in_tiles(lambda rows: [self._of_rows(heads, rows).weights], self._asked(heads))[0]

    def reference_weights(self, heads=None, rows=None):
        """Run the model family's own eager function on the same queries, keys and mask.

        Parameters
        ----------
        heads : int or sequence of int, optional
            By default all.
        rows : slice or sequence of int, optional
            Queries; by default all.

        Returns
        -------
        ndarray, shape (batch, len(heads), n_q, n_k)

        Raises
        ------
        ModelError
            As `attention`, and if the family's function does not give its weights.
        """
        chosen = None if heads is None else np.atleast_1d(heads)
        if rows is not None:
            return to_numpy(tiles.eager_weights(self.call, chosen, rows))
        shape = self._asked(heads)
        return tiles.in_tiles(lambda rows: [to_numpy(tiles.eager_weights(self.call, chosen, rows))], shape)[0]

    @property
    def nbytes(self):
        """Bytes that its arrays take, without the mask and the bias, which layers share."""
        arrays = (self.query, self.key, self.value, self.output, self.hidden)
        return sum(array.nbytes for array in arrays if array is not None)

    def _of_rows(self, heads, rows):
        """Compute some rows of some heads from scratch."""
        return from_scratch(self, heads, rows=rows)

    def _asked(self, heads):
        """Return the shape of the weights of some heads, refusing what would take too much memory."""
        count = self.num_heads if heads is None else np.size(heads)
        shape = (len(self.query), count, self.query.shape[2], self.key.shape[2])
        if count > 1 and not tiles.fit(shape):
            raise ModelError(f"heads of {shape[2]:,} tokens must be computed one by one, got {count} at once")
        return shape


class LongLayer(Layer):
    """A layer of a text so long that only what went into it is kept.

    Queries, keys and values are made again from that when they are asked for, bit for bit what they
    were, and those of the last two layers are kept. The output is that of the fused attention.
    """

    def __init__(self, given, made, prepared, **place):
        lengths = given.query_shape[2], given.key_shape[2]
        place["query_tokens"], place["key_tokens"] = prepared.axes(place["kind"], *lengths)
        for name, value in {"given": given, "made": made, **place}.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name):
        if name not in Layer.__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        if name == "output":
            return to_numpy(registry.fused(self.call)[0].transpose(1, 2))
        return getattr(self.made(self.index), name)

    @property
    def num_heads(self):
        """Number of query heads."""
        return self.given.query_shape[1]

    @property
    def num_kv_heads(self):
        """Number of key/value heads."""
        return self.given.key_shape[1]

    @property
    def nbytes(self):
        """Bytes that what went into it takes, without the mask, which layers share."""
        given = (*self.given.args, *self.given.kwargs.values())
        return sum(value.nbytes for value in given if getattr(value, "ndim", 0) == 3)


def kind_of(name, module, looks_left):
    """Say what sort of attention a module is: cross, decoder or encoder."""
    if _CROSS.search(f"{name} {type(module).__name__}"):
        return "cross"
    within_decoder = name.rfind("decoder") > name.rfind("encoder")
    return "decoder" if looks_left or within_decoder else "encoder"


def call_is_causal(call):
    """Say whether a call hides later keys; of a module that calls itself causal, whether it hides most."""
    n_q, n_k = call.query.shape[2], call.key.shape[2]
    causal = bool(getattr(call.module, "is_causal", False))
    if call.mask is None or n_q == 1:
        return call.mask is not None and causal
    visible = _visible(call.mask)
    later = visible.triu(1 + n_k - n_q).sum()
    return bool(later == 0 or (causal and later < visible.tril(n_k - n_q - 1).sum()))


def layer_of(call, output, masks, prepared, **place):
    """Turn one call into numpy."""
    mask, bias = _mask_and_bias(call, masks)
    query_tokens, key_tokens = prepared.axes(place["kind"], call.query.shape[2], call.key.shape[2])
    return Layer(
        **place,
        query=to_numpy(call.query),
        key=to_numpy(call.key),
        value=to_numpy(call.value),
        mask=mask,
        bias=bias,
        scale=float(call.query.shape[-1] ** -0.5 if call.scaling is None else call.scaling),
        softcap=call.options.get("softcap"),
        sinks=to_numpy(registry.sinks(call)),
        output=None if output is None else to_numpy(output.transpose(1, 2)),  # (batch, num_heads, n_q, d_v)
        hidden=to_numpy(call.hidden),
        query_tokens=query_tokens,
        key_tokens=key_tokens,
        call=call,
    )


def _mask_and_bias(call, masks):
    """Part what is added to the scores into who may look at whom, and a bias where it is finite."""
    bias = call.options.get("position_bias")
    visible = None
    if call.mask is not None:
        if id(call.mask) not in masks:
            masks[id(call.mask)] = _part(call.mask)
        visible, added = masks[id(call.mask)]
        if added is not None:
            bias = added if bias is None else bias + added
    return visible, to_numpy(bias)


def _part(mask):
    """Part an additive mask into a boolean one and what it adds where it does not hide."""
    import torch

    visible, added = _visible(mask), None
    if mask.dtype != torch.bool:
        added = torch.where(visible, mask, 0)
        added = added if added.any() else None
    visible = visible.cpu().numpy()
    visible.flags.writeable = False
    return visible, added


def _visible(mask):
    """Return which keys a mask leaves visible."""
    import torch

    # half of the smallest number, because a bias may have been added to it
    return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2


def to_numpy(tensor):
    """Return a tensor as a read-only float32 array, sharing its memory where it can."""
    if tensor is None:
        return None
    array = tensor.detach().cpu().float().numpy()
    array.flags.writeable = False
    return array
