"""GPT-2 in numpy: from token ids to logits, the scores of each next token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.block import Norm
from attn.dot_product import scaled_dot_product_attention
from attn.functional import ACTIVATIONS, layer_norm
from attn.models.checkpoint import Checkpoint, token_ids
from attn.models.passes import Cache, Change, LayerPass, Pass, changed_attention, checked_change, with_cached
from attn.multi_head import merge_heads, split_heads

_USUAL = {
    "gpt2": {"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True},
}
FAMILIES = tuple(_USUAL)
"""Names of the families, as configurations spell them in ``model_type``."""


class Layer(NamedTuple):
    """The weights of one layer."""

    attention_norm: Norm
    w_qkv: np.ndarray  # (d_model, 3 * d_model) queries, keys and values side by side
    b_qkv: np.ndarray
    w_o: np.ndarray  # (d_model, d_model)
    b_o: np.ndarray
    feed_forward_norm: Norm
    w_1: np.ndarray  # (d_model, d_ff)
    b_1: np.ndarray
    w_2: np.ndarray  # (d_ff, d_model)
    b_2: np.ndarray
    scale: float  # of scores


@dataclass(frozen=True, eq=False)
class GPT2:
    """A GPT-2 as its checkpoint holds it, safe to share between threads.

    Parameters
    ----------
    embedding : shape (vocabulary, d_model)
    unembedding : shape (vocabulary, d_model)
        The same array where the model has one for both.
    positions : shape (max_tokens, d_model)
    layers
    norm
    num_heads
    epsilon
        Added to variances in layer norms.
    activation
        A key of `attn.functional.ACTIVATIONS`.
    """

    embedding: np.ndarray
    unembedding: np.ndarray
    positions: np.ndarray
    layers: tuple[Layer, ...]
    norm: Norm
    num_heads: int
    epsilon: float
    activation: str


def forward(
    model: GPT2,
    ids: ArrayLike,
    cache: Cache | None = None,
    *,
    steps: bool = False,
    last: bool = False,
    change: Change | None = None,
) -> Pass:
    r"""Pass token ids through a model.

    Parameters
    ----------
    model, ids, cache, steps, last, change
        As `attn.models.llama.forward` takes them.

    Returns
    -------
    Pass

    Raises
    ------
    ValueError
        If `ids` are no tokens of the model, or more than it has positions for, or `change` returns an array of
        another shape.

    Notes
    -----
    The block of [1]_, section 3.1, with its norm moved to where a sublayer reads and one more at the end ([2]_,
    section 2.3): :math:`a = x + \mathrm{MultiHead}(\mathrm{LN}(x))`, :math:`y = a + W_2\,\mathrm{GELU}(W_1 z + b_1) +
    b_2` with :math:`z = \mathrm{LN}(a)`.

    References
    ----------
    .. [1] Radford et al., 2018, Improving language understanding by generative pre-training.
    .. [2] Radford et al., 2019, Language models are unsupervised multitask learners.
    """
    ids, cache = token_ids(ids, len(model.embedding)), cache or Cache()
    end = cache.length + len(ids)
    if end > len(model.positions):
        raise ValueError(f"the text must have at most {len(model.positions)} tokens, got {end}")
    activation, change = ACTIVATIONS[model.activation], checked_change(change)

    x = model.embedding[ids] + model.positions[cache.length : end]  # (n, d_model), the residual stream
    x = change("residual", 0, x)  # which is x itself, here and below, unless somebody changes this step
    states, kept, keys, values = [x], [], [], []
    for number, layer in enumerate(model.layers):
        # attention: each token looks at those before it
        attention_input = layer_norm(x, *layer.attention_norm, model.epsilon)
        projected = np.split(attention_input @ layer.w_qkv + layer.b_qkv, 3, axis=-1)
        query, key, value = (split_heads(each, model.num_heads) for each in projected)  # (num_heads, n, d_k)
        query, key = change("query", number, query), change("key", number, key)
        value = change("value", number, value)
        key, value = with_cached(cache, number, key, value)  # (num_heads, n_k, d_k)
        attention = scaled_dot_product_attention(query, key, value, causal=True, scale=layer.scale)
        attention = changed_attention(change, number, attention, value)
        attention_output = change("attention_output", number, merge_heads(attention.context) @ layer.w_o + layer.b_o)
        middle = x + attention_output  # (n, d_model), the residual stream between attention and feed-forward

        # feed-forward: each token by itself
        feed_forward_input = layer_norm(middle, *layer.feed_forward_norm, model.epsilon)
        inner = activation(feed_forward_input @ layer.w_1 + layer.b_1)  # (n, d_ff)
        feed_forward_output = change("feed_forward_output", number, inner @ layer.w_2 + layer.b_2)
        output = change("residual", number + 1, middle + feed_forward_output)

        if steps:
            kept.append(LayerPass(
                x=x, attention_input=attention_input, query=query, key=key, value=value, attention=attention,
                attention_output=attention_output, feed_forward_input=feed_forward_input, inner=inner,
                feed_forward_output=feed_forward_output, output=output,
            ))  # fmt: skip
        keys.append(key)  # for the cache
        values.append(value)
        states.append(x := output)

    output = layer_norm(x, *model.norm, model.epsilon)
    logits = (output[-1:] if last else output) @ model.unembedding.T  # (n, vocabulary)
    return Pass(ids, tuple(states), output, logits, Cache(end, tuple(keys), tuple(values)), tuple(kept))


def from_checkpoint(tensors: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> GPT2:
    """Make a model of what a checkpoint holds.

    Parameters
    ----------
    tensors
        Name -> array, matrices used as ``x @ w``: GPT-2 keeps them so, where others keep ``x @ w.T``.
    config
        As ``config.json`` holds it.

    Raises
    ------
    ValueError
        If the family is none of `FAMILIES`; if a tensor is missing, has another shape than the configuration says, or
        belongs to a layer and to nothing that is computed here; if the configuration does not say how large the model
        is.
    """
    checkpoint = Checkpoint(tensors, config, _USUAL, "wte.weight")
    config, width = checkpoint.config, checkpoint.size("n_embd")
    embedding = checkpoint.array("wte.weight", (checkpoint.size("vocab_size"), width))
    model = GPT2(
        embedding=embedding,
        unembedding=checkpoint.unembedding(embedding),
        positions=checkpoint.array("wpe.weight", (checkpoint.size("n_positions"), width)),
        layers=tuple(_layer(checkpoint, number) for number in range(checkpoint.size("n_layer", 0))),
        norm=_norm(checkpoint, "ln_f"),
        num_heads=checkpoint.size("n_head"),
        epsilon=config["layer_norm_epsilon"],
        activation=checkpoint.activation("activation_function"),
    )
    checkpoint.require_all_asked("h")
    return model


def _layer(checkpoint, number):
    """Take one layer out of a checkpoint."""
    config, at = checkpoint.config, f"h.{number}"
    width = checkpoint.size("n_embd")
    inner = checkpoint.size("n_inner", unsaid=4 * width)
    scale = 1 / math.sqrt(width // checkpoint.size("n_head")) if config.get("scale_attn_weights", True) else 1.0
    if config.get("scale_attn_by_inverse_layer_idx"):
        scale /= number + 1
    return Layer(
        _norm(checkpoint, f"{at}.ln_1"),
        *_dense(checkpoint, f"{at}.attn.c_attn", width, 3 * width),
        *_dense(checkpoint, f"{at}.attn.c_proj", width, width),
        _norm(checkpoint, f"{at}.ln_2"),
        *_dense(checkpoint, f"{at}.mlp.c_fc", width, inner),
        *_dense(checkpoint, f"{at}.mlp.c_proj", inner, width),
        scale,
    )


def _norm(checkpoint, name):
    """Take a layer norm out of a checkpoint."""
    shape = (checkpoint.size("n_embd"),)
    return Norm(checkpoint.array(f"{name}.weight", shape), checkpoint.array(f"{name}.bias", shape))


def _dense(checkpoint, name, rows, columns):
    """Take a matrix and its bias out of a checkpoint."""
    return checkpoint.array(f"{name}.weight", (rows, columns)), checkpoint.array(f"{name}.bias", (columns,))
