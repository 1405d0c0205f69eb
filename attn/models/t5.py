"""T5 in numpy: an encoder reads one text, a decoder writes another, from token ids to logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.dot_product import Attention, scaled_dot_product_attention
from attn.functional import ACTIVATIONS, rms_norm
from attn.models.checkpoint import Checkpoint, token_ids
from attn.multi_head import merge_heads, split_heads
from attn.positions import relative_bias

_USUAL = {"layer_norm_epsilon": 1e-6, "relative_attention_max_distance": 128, "relative_attention_num_buckets": 32}
_FAMILIES = {"t5": _USUAL | {"feed_forward_proj": "relu"}, "mt5": _USUAL | {"feed_forward_proj": "gated-gelu"}}
FAMILIES = tuple(_FAMILIES)
"""Names of the families, as configurations spell them in ``model_type``."""


class Heads(NamedTuple):
    """The weights of an attention with several heads."""

    norm: np.ndarray  # (d_model,) of what reads
    w_q: np.ndarray  # (d_model, num_heads * d_k)
    w_k: np.ndarray
    w_v: np.ndarray
    w_o: np.ndarray  # (num_heads * d_k, d_model)
    table: np.ndarray | None  # (num_buckets, num_heads) of the bias by distance; None for that of the layer before


class Layer(NamedTuple):
    """The weights of one layer; what a model does without is None."""

    attention: Heads
    cross: Heads | None  # of a decoder, which reads what the encoder made
    feed_forward_norm: np.ndarray
    w_gate: np.ndarray | None  # (d_model, d_ff)
    w_up: np.ndarray  # (d_model, d_ff)
    w_down: np.ndarray  # (d_ff, d_model)


class Stack(NamedTuple):
    """An encoder or a decoder."""

    layers: tuple[Layer, ...]
    norm: np.ndarray  # (d_model,)


@dataclass(frozen=True, eq=False)
class T5:
    """A T5 as its checkpoint holds it, safe to share between threads.

    Parameters
    ----------
    embedding : shape (vocabulary, d_model)
        Of the tokens of both texts.
    unembedding : shape (vocabulary, d_model)
        The embedding where the model has one table for both, in the first T5 divided by the root of its width.
    encoder, decoder
    num_heads
    max_distance
        Beyond it all distances have one bias.
    epsilon
        Added to mean squares in norms.
    activation
        A key of `attn.functional.ACTIVATIONS`.
    """

    embedding: np.ndarray
    unembedding: np.ndarray
    encoder: Stack
    decoder: Stack
    num_heads: int
    max_distance: int
    epsilon: float
    activation: str


class LayerPass(NamedTuple):
    """What one layer gave on, and how it looked."""

    output: np.ndarray  # (n, d_model)
    attention: Attention  # (num_heads, n, n)
    cross: Attention | None  # (num_heads, n, n_encoder)


class Pass(NamedTuple):
    """Two texts on their way through a model."""

    encoder: tuple[LayerPass, ...]
    memory: np.ndarray  # (n_encoder, d_model) what the decoder reads
    decoder: tuple[LayerPass, ...]
    output: np.ndarray  # (n_decoder, d_model)
    logits: np.ndarray  # (n_decoder, vocabulary)


def forward(model: T5, ids: ArrayLike, decoder_ids: ArrayLike) -> Pass:
    r"""Pass token ids through a model.

    Parameters
    ----------
    model
    ids : integers, shape (n_encoder,)
        Of the text that is read.
    decoder_ids : integers, shape (n_decoder,)
        Of what is written so far; the first is the token with which the decoder begins.

    Returns
    -------
    Pass

    Raises
    ------
    ValueError
        If `ids` or `decoder_ids` are no tokens of the model.

    Notes
    -----
    Section 2.1 of [1]_: norms without shift before each part, and a bias by distance that all layers share, of which
    the first layer of each stack has the table. Scores are not divided by the root of their width, as in the published
    code. The gated feed-forward network is that of [2]_, section 2.

    References
    ----------
    .. [1] Raffel et al., 2020. arXiv:1910.10683
    .. [2] Shazeer, 2020, GLU variants. arXiv:2002.05202
    """
    ids = token_ids(ids, len(model.embedding))
    decoder_ids = token_ids(decoder_ids, len(model.embedding), "decoder_ids")
    encoded = _stack(model, model.encoder, model.embedding[ids], None)
    memory = rms_norm(encoded[-1].output, model.encoder.norm, model.epsilon)  # (n_encoder, d_model)
    decoded = _stack(model, model.decoder, model.embedding[decoder_ids], memory)
    output = rms_norm(decoded[-1].output, model.decoder.norm, model.epsilon)  # (n_decoder, d_model)
    return Pass(encoded, memory, decoded, output, output @ model.unembedding.T)


def _stack(model, stack, x, memory):
    """Pass states (n, d_model) through a stack; a decoder, which has a memory, looks back only."""
    causal, activation = memory is not None, ACTIVATIONS[model.activation]
    passes, bias = [], None
    for layer in stack.layers:
        # attention: each token reads those of its own text, the more or less by how far away they are
        if layer.attention.table is not None:
            bias = relative_bias(  # (num_heads, n, n)
                layer.attention.table, len(x), max_distance=model.max_distance, bidirectional=not causal
            )
        normed_x = rms_norm(x, layer.attention.norm, model.epsilon)
        attention = _attend(model, layer.attention, normed_x, normed_x, bias, causal)
        x = x + merge_heads(attention.context) @ layer.attention.w_o

        # and a decoder's tokens read the other text
        cross = None
        if layer.cross is not None:
            normed_x = rms_norm(x, layer.cross.norm, model.epsilon)
            cross = _attend(model, layer.cross, normed_x, memory, None, False)
            x = x + merge_heads(cross.context) @ layer.cross.w_o

        # feed-forward: each token by itself
        normed_x = rms_norm(x, layer.feed_forward_norm, model.epsilon)
        if layer.w_gate is None:
            inner = activation(normed_x @ layer.w_up)  # (n, d_ff)
        else:
            inner = activation(normed_x @ layer.w_gate) * (normed_x @ layer.w_up)
        x = x + inner @ layer.w_down
        passes.append(LayerPass(x, attention, cross))
    return tuple(passes)


def _attend(model, heads, x, other, bias, causal):
    """Let states look at others: those of their own text, or of a decoder those that the encoder made."""
    query = split_heads(x @ heads.w_q, model.num_heads)  # (num_heads, n, d_k)
    key = split_heads(other @ heads.w_k, model.num_heads)  # (num_heads, n of the others, d_k)
    value = split_heads(other @ heads.w_v, model.num_heads)
    return scaled_dot_product_attention(query, key, value, bias=bias, causal=causal, scale=1.0)


def from_checkpoint(tensors: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> T5:
    """Make a model of what a checkpoint holds.

    Parameters
    ----------
    tensors
        Name -> array, matrices used as ``x @ w.T``.
    config
        As ``config.json`` holds it.

    Raises
    ------
    ValueError
        If the family is none of `FAMILIES`; if a tensor is missing, has another shape than the configuration says, or
        belongs to a layer and to nothing that is computed here; if the configuration does not say how large the model
        is.
    """
    checkpoint = Checkpoint(tensors, config, _FAMILIES, "shared.weight")
    config, width = checkpoint.config, checkpoint.size("d_model")
    embedding = checkpoint.array("shared.weight", (checkpoint.size("vocab_size"), width))
    has_own = "lm_head.weight" in checkpoint.tensors
    unembedding = checkpoint.outer("lm_head.weight", embedding.shape) if has_own else embedding
    if config["model_type"] == "t5" and config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True)):
        unembedding = unembedding * np.float32(width**-0.5)
    kind = config["feed_forward_proj"].removeprefix("gated-")
    activation = "gelu_new" if config["feed_forward_proj"] == "gated-gelu" else kind
    if activation not in ACTIVATIONS:
        raise ValueError(f"feed_forward_proj must be one of {', '.join(ACTIVATIONS)}, gated- or not, got {kind!r}")
    num_layers = checkpoint.size("num_layers")
    model = T5(
        embedding=embedding,
        unembedding=unembedding,
        encoder=_stack_of(checkpoint, "encoder", num_layers),
        decoder=_stack_of(checkpoint, "decoder", checkpoint.size("num_decoder_layers", unsaid=num_layers)),
        num_heads=checkpoint.size("num_heads"),
        max_distance=config["relative_attention_max_distance"],
        epsilon=config["layer_norm_epsilon"],
        activation=activation,
    )
    checkpoint.require_all_asked("encoder.block", "decoder.block")
    return model


def _stack_of(checkpoint, name, count):
    """Take an encoder or a decoder out of a checkpoint."""
    layers = tuple(_layer(checkpoint, name, number) for number in range(count))
    return Stack(layers, checkpoint.array(f"{name}.final_layer_norm.weight", (checkpoint.size("d_model"),)))


def _layer(checkpoint, stack, number):
    """Take one layer out of a checkpoint."""
    at, reads_other = f"{stack}.block.{number}.layer", stack == "decoder"
    last = f"{at}.{1 + reads_other}"
    width, inner = checkpoint.size("d_model"), checkpoint.size("d_ff")
    gated = checkpoint.config["feed_forward_proj"].startswith("gated-")
    up = "wi_1" if gated else "wi"
    return Layer(
        _attention(checkpoint, f"{at}.0", "SelfAttention", has_table=number == 0),
        _attention(checkpoint, f"{at}.1", "EncDecAttention", has_table=False) if reads_other else None,
        checkpoint.array(f"{last}.layer_norm.weight", (width,)),
        checkpoint.array(f"{last}.DenseReluDense.wi_0.weight", (inner, width)).T if gated else None,
        checkpoint.array(f"{last}.DenseReluDense.{up}.weight", (inner, width)).T,
        checkpoint.array(f"{last}.DenseReluDense.wo.weight", (width, inner)).T,
    )


def _attention(checkpoint, at, kind, has_table):
    """Take an attention out of a checkpoint."""
    width, num_heads = checkpoint.size("d_model"), checkpoint.size("num_heads")
    wide = num_heads * checkpoint.size("d_kv")
    matrices = [checkpoint.array(f"{at}.{kind}.{role}.weight", (wide, width)).T for role in "qkv"]
    w_o = checkpoint.array(f"{at}.{kind}.o.weight", (width, wide)).T
    table, shape = None, (checkpoint.config["relative_attention_num_buckets"], num_heads)
    if has_table:
        table = checkpoint.array(f"{at}.{kind}.relative_attention_bias.weight", shape)
    return Heads(checkpoint.array(f"{at}.layer_norm.weight", (width,)), *matrices, w_o, table)
