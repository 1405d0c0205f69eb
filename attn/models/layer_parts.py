"""What the lines of descent call differently, by one name: the matrices of a layer, and what each head adds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attn import block
from attn.dot_product import Attention
from attn.functional import whole_number
from attn.models import bert, gpt2, llama, passes
from attn.multi_head import MultiHead


class AttentionMatrices(NamedTuple):
    """The matrices of a layer's attention, used as ``x @ w + b``; a bias that a model does without is None."""

    w_q: np.ndarray  # (d_model, num_heads * d_k)
    w_k: np.ndarray  # (d_model, num_kv_heads * d_k)
    w_v: np.ndarray  # (d_model, num_kv_heads * d_v)
    w_o: np.ndarray  # (num_heads * d_v, d_model)
    b_q: np.ndarray | None
    b_k: np.ndarray | None
    b_v: np.ndarray | None
    b_o: np.ndarray | None


class FeedForwardMatrices(NamedTuple):
    """The matrices of a layer's feed-forward network; what a model does without is None."""

    w_gate: np.ndarray | None  # (d_model, d_ff) beside w_1, where the network is gated
    b_gate: np.ndarray | None
    w_1: np.ndarray  # (d_model, d_ff)
    b_1: np.ndarray | None
    w_2: np.ndarray  # (d_ff, d_model)
    b_2: np.ndarray | None


Layer = llama.Layer | gpt2.Layer
Model = llama.Llama | gpt2.GPT2 | bert.Bert
Passed = passes.Pass | bert.Pass


def attention_matrices(layer: Layer | block.Layer) -> AttentionMatrices:
    """Return the matrices of a layer's attention; those of GPT-2, which lie side by side, one by one."""
    if isinstance(layer, gpt2.Layer):
        w_q, w_k, w_v = np.split(layer.w_qkv, 3, axis=-1)
        b_q, b_k, b_v = np.split(layer.b_qkv, 3, axis=-1)
        return AttentionMatrices(w_q, w_k, w_v, layer.w_o, b_q, b_k, b_v, layer.b_o)
    own = layer.attention if isinstance(layer, block.Layer) else layer
    assert own.w_o is not None  # without it `bert` makes no layer
    return AttentionMatrices(own.w_q, own.w_k, own.w_v, own.w_o, own.b_q, own.b_k, own.b_v, own.b_o)


def feed_forward_matrices(layer: Layer) -> FeedForwardMatrices:
    """Return the matrices of a layer's feed-forward network."""
    if isinstance(layer, gpt2.Layer):
        return FeedForwardMatrices(None, None, layer.w_1, layer.b_1, layer.w_2, layer.b_2)
    return FeedForwardMatrices(layer.w_gate, layer.b_gate, layer.w_up, layer.b_up, layer.w_down, layer.b_down)


def layer_attention(passed: Passed, layer: int) -> Attention | MultiHead:
    """Return the attention of a layer, with scores, weights and contexts by head, of a pass of any line.

    Parameters
    ----------
    passed
        Of a model that writes with ``steps=True``.
    layer
        From 0.

    Raises
    ------
    ValueError
        If the pass kept no such layer.
    """
    kept = passed.blocks if isinstance(passed, bert.Pass) else passed.layers
    return kept[whole_number("layer", layer, most=len(kept) - 1)].attention


def head_additions(layer: Layer, step: passes.LayerPass, token: int) -> np.ndarray:
    """Return what each head of a layer writes for a token, before any norm behind attention.

    Parameters
    ----------
    layer
    step
        Of a pass through it.
    token
        Position among the tokens of that pass.

    Returns
    -------
    shape (num_heads, d_model)
        They sum to what attention adds, but for its bias and the norm behind it.
    """
    context = step.attention.context[:, token]  # (num_heads, d_v)
    rows = layer.w_o.reshape(*context.shape, -1)  # (num_heads, d_v, d_model)
    return (context[:, None, :] @ rows)[:, 0]
