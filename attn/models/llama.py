"""Llama and its descendants in numpy: from token ids to the scores of the next token.

Llama 1 to 3, Mistral, Qwen 2 and 3, SmolLM 2 and 3, Phi-3, OLMo 2, Gemma 1 to 3: one forward pass serves them all.
What tells them apart is which norms stand where, whether queries and keys are normalised, which layers have a window
and which turn by position, and a few numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.dot_product import scaled_dot_product_attention
from attn.functional import ACTIVATIONS, rms_norm
from attn.models.checkpoint import Checkpoint, token_ids
from attn.models.passes import (
    Cache,
    Change,
    LayerPass,
    Pass,
    changed_attention,
    checked_change,
    with_cached,
    within_window,
)
from attn.models.rotary_scaling import turning
from attn.multi_head import merge_heads, split_heads
from attn.positions import rotate


class Layer(NamedTuple):
    """The weights of one layer; what a model does without is None."""

    w_q: np.ndarray  # (d_model, num_heads * d_k)
    w_k: np.ndarray  # (d_model, num_kv_heads * d_k)
    w_v: np.ndarray  # (d_model, num_kv_heads * d_k)
    w_o: np.ndarray  # (num_heads * d_k, d_model)
    w_gate: np.ndarray  # (d_model, d_ff)
    w_up: np.ndarray  # (d_model, d_ff)
    w_down: np.ndarray  # (d_ff, d_model)
    b_q: np.ndarray | None
    b_k: np.ndarray | None
    b_v: np.ndarray | None
    b_o: np.ndarray | None
    query_norm: np.ndarray | None  # (d_k,) for each head, or (num_heads * d_k,) for all together
    key_norm: np.ndarray | None
    attention_norm: np.ndarray | None  # (d_model,) of what attention reads
    attention_output_norm: np.ndarray | None  # of what it adds
    feed_forward_norm: np.ndarray | None
    feed_forward_output_norm: np.ndarray | None
    window: int | None  # keys that a token looks at, its own among them
    rope: str | None  # which entry of the model's `ropes` turns queries and keys


@dataclass(frozen=True, eq=False)
class Llama:
    """A model of this line as its checkpoint holds it, safe to share between threads.

    Parameters
    ----------
    embedding : shape (vocabulary, d_model)
    unembedding : shape (vocabulary, d_model)
        The same array where the model has one for both.
    layers
    norm : shape (d_model,)
    ropes
        Name -> what `attn.models.rotary_scaling.turning` takes.
    num_heads, num_kv_heads, d_k, max_tokens
    epsilon
        Added to mean squares in norms.
    activation
        A key of `attn.functional.ACTIVATIONS`.
    embedding_scale
    scale
        Of scores.
    softcap, logit_softcap
        Of scores, and of the scores of the next token; None for none.
    """

    embedding: np.ndarray
    unembedding: np.ndarray
    layers: tuple[Layer, ...]
    norm: np.ndarray
    ropes: Mapping[str, Mapping[str, Any]]
    num_heads: int
    num_kv_heads: int
    d_k: int
    max_tokens: int
    epsilon: float
    activation: str
    embedding_scale: float
    scale: float
    softcap: float | None
    logit_softcap: float | None


def forward(
    model: Llama,
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
    model
    ids : integers, shape (n,)
    cache
        Of the tokens before these, as an earlier pass returned it.
    steps
        Whether every step of every layer is kept. Its memory grows with the square of the number of tokens.
    last
        Whether the next token is asked for after the last of these only.
    change
        Is asked about every step of every layer, and may put another array in its place.

    Returns
    -------
    Pass

    Raises
    ------
    ValueError
        If `ids` are no tokens of the model, or `change` returns an array of another shape.

    Notes
    -----
    :math:`a = x + W_o\,\mathrm{Attention}(\mathrm{RMSNorm}(x))`,
    :math:`y = a + W_\downarrow (\mathrm{silu}(W_g z) \odot W_\uparrow z)` with :math:`z = \mathrm{RMSNorm}(a)`:
    sections 2.2 of [1]_ and 5 of [2]_. OLMo 2 normalises what is added instead ([3]_, section 3.2), Gemma 2 both
    ([4]_, section 2); normalised queries and keys are section 3.2 of [3]_.

    References
    ----------
    .. [1] Touvron et al., 2023. arXiv:2302.13971
    .. [2] Shazeer, 2020, GLU variants. arXiv:2002.05202
    .. [3] OLMo Team, 2024. arXiv:2501.00656
    .. [4] Gemma Team, 2024. arXiv:2408.00118
    """
    ids, cache = token_ids(ids, len(model.embedding)), cache or Cache()
    end = cache.length + len(ids)
    # rotary positions: by how much each pair of numbers of a query or key turns at the place of each new token
    turnings = {name: turning(rope, model.d_k, end, model.max_tokens) for name, rope in model.ropes.items()}
    angles = {name: each.angles(cache.length, len(ids)) for name, each in turnings.items()}  # (n, r)
    activation, change = ACTIVATIONS[model.activation], checked_change(change)

    x = model.embedding[ids] * np.float32(model.embedding_scale)  # (n, d_model), the residual stream
    x = change("residual", 0, x)  # which is x itself, here and below, unless somebody changes this step
    states, kept, keys, values = [x], [], [], []
    for number, layer in enumerate(model.layers):
        # attention: each token looks at those before it
        normed_x = _norm(model, x, layer.attention_norm)
        query = _heads(model, normed_x, layer.w_q, layer.b_q, layer.query_norm, model.num_heads)  # (num_heads, n, d_k)
        key = _heads(model, normed_x, layer.w_k, layer.b_k, layer.key_norm, model.num_kv_heads)
        value = _heads(model, normed_x, layer.w_v, layer.b_v, None, model.num_kv_heads)  # (num_kv_heads, n, d_k)
        if layer.rope is not None:
            factor = turnings[layer.rope].factor
            query, key = (rotate(each, angles[layer.rope], factor=factor) for each in (query, key))
        query, key = change("query", number, query), change("key", number, key)
        value = change("value", number, value)
        key, value = with_cached(cache, number, key, value)  # (num_kv_heads, n_k, d_k)
        window = None if layer.window is None else (layer.window - 1, 0)
        attention = scaled_dot_product_attention(  # the queries are those of the last keys, with a cache as well
            query, key, value, causal=True, window=window, scale=model.scale, softcap=model.softcap
        )
        attention = changed_attention(change, number, attention, value)
        attention_out = _linear(merge_heads(attention.context), layer.w_o, layer.b_o)
        attention_out = change("attention_output", number, _norm(model, attention_out, layer.attention_output_norm))
        middle = x + attention_out  # (n, d_model), the residual stream between attention and feed-forward

        # feed-forward: each token by itself
        normed_middle = _norm(model, middle, layer.feed_forward_norm)
        inner = activation(normed_middle @ layer.w_gate) * (normed_middle @ layer.w_up)  # (n, d_ff)
        feed_forward_out = _norm(model, inner @ layer.w_down, layer.feed_forward_output_norm)
        feed_forward_out = change("feed_forward_output", number, feed_forward_out)
        output = change("residual", number + 1, middle + feed_forward_out)

        if steps:
            kept.append(LayerPass(
                x, normed_x, query, key, value, attention, attention_out, normed_middle, inner, feed_forward_out, output
            ))  # fmt: skip
        keys.append(within_window(key, layer.window))  # for the cache: what the next token can see
        values.append(within_window(value, layer.window))
        states.append(x := output)

    output = _norm(model, x, model.norm)
    logits = (output[-1:] if last else output) @ model.unembedding.T  # (n, vocabulary)
    if model.logit_softcap is not None:
        logits = np.float32(model.logit_softcap) * np.tanh(logits / np.float32(model.logit_softcap))
    return Pass(ids, tuple(states), output, logits, Cache(end, tuple(keys), tuple(values)), tuple(kept))


def _norm(model, x, gain):
    """Normalise rows, where the model does."""
    return x if gain is None else rms_norm(x, gain, model.epsilon)


def _linear(x, w, b):
    """Multiply by a matrix, and add a bias where there is one."""
    return x @ w if b is None else x @ w + b


def _heads(model, x, w, b, gain, num_heads):
    """Make queries, keys or values of tokens, by head; a gain as wide as a head normalises each, a wider one all."""
    projected = _linear(x, w, b)  # (n, num_heads * d_k)
    if gain is None:
        return split_heads(projected, num_heads)
    if gain.size == model.d_k:
        return rms_norm(split_heads(projected, num_heads), gain, model.epsilon)
    return split_heads(rms_norm(projected, gain, model.epsilon), num_heads)


class _Family(NamedTuple):
    """What the name of a family says and its configuration does not."""

    norms: Mapping[str, str]
    shifted: bool = False  # whether norms multiply by 1 + what the checkpoint holds
    scaled: bool = False  # whether embeddings are multiplied by the root of their width
    tied: bool = False  # whether one table embeds and unembeds, unless the configuration says otherwise


_BEFORE = {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"}
_AFTER = {
    "attention_output_norm": "post_attention_layernorm",
    "feed_forward_output_norm": "post_feedforward_layernorm",
}
_AROUND = {"attention_norm": "input_layernorm", "feed_forward_norm": "pre_feedforward_layernorm", **_AFTER}
_FAMILIES = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "phi3"), _Family(_BEFORE)),
    "smollm3": _Family(_BEFORE, tied=True),
    "olmo2": _Family(_AFTER),
    "gemma": _Family(_BEFORE, shifted=True, scaled=True, tied=True),
    "gemma2": _Family(_AROUND, shifted=True, scaled=True, tied=True),
    "gemma3_text": _Family(_AROUND, shifted=True, scaled=True, tied=True),
}
FAMILIES = tuple(_FAMILIES)
"""Names of the families, as configurations spell them in ``model_type``."""


def from_checkpoint(tensors: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Llama:
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
        If the family is none of `FAMILIES`, or a tensor is missing or has another shape than the configuration says.
    """
    checkpoint = Checkpoint(tensors, config, "embed_tokens.weight", FAMILIES)
    family, num_heads = _FAMILIES[config["model_type"]], config["num_attention_heads"]
    d_k = config.get("head_dim") or config["hidden_size"] // num_heads
    embedding = checkpoint.array("embed_tokens.weight", (config["vocab_size"], config["hidden_size"]))
    tied = config.get("tie_word_embeddings", family.tied)
    scalar = config.get("query_pre_attn_scalar")
    ropes, max_tokens = _ropes(config), config["max_position_embeddings"]
    for rope in ropes.values():
        turning(rope, d_k, 1, max_tokens)  # refuses what no pass could compute
    return Llama(
        embedding=embedding,
        unembedding=embedding if tied else checkpoint.outer("lm_head.weight", embedding.shape),
        layers=tuple(_layer(checkpoint, family, number, d_k) for number in range(config["num_hidden_layers"])),
        norm=checkpoint.array("norm.weight", embedding.shape[1:]) + np.float32(family.shifted),
        ropes=ropes,
        num_heads=num_heads,
        num_kv_heads=config.get("num_key_value_heads") or num_heads,
        d_k=d_k,
        max_tokens=max_tokens,
        epsilon=config.get("rms_norm_eps", 1e-6),
        activation=checkpoint.activation("hidden_activation", "hidden_act", usual="silu"),
        embedding_scale=math.sqrt(config["hidden_size"]) if family.scaled else 1.0,
        scale=1 / math.sqrt(d_k if scalar is None else scalar),
        softcap=config.get("attn_logit_softcapping"),
        logit_softcap=config.get("final_logit_softcapping"),
    )


def _layer(checkpoint, family, number, d_k):
    """Take one layer out of a checkpoint."""
    config, at = checkpoint.config, f"layers.{number}"
    width, inner, num_heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    wide, narrow = num_heads * d_k, (config.get("num_key_value_heads") or num_heads) * d_k
    if checkpoint.has(f"{at}.self_attn.qkv_proj.weight"):  # Phi-3 keeps what is multiplied by the same x in one matrix
        fused = checkpoint.array(f"{at}.self_attn.qkv_proj.weight", (wide + 2 * narrow, width))
        projections = np.split(fused, [wide, wide + narrow])
        gate_up = np.split(checkpoint.array(f"{at}.mlp.gate_up_proj.weight", (2 * inner, width)), 2)
    else:
        rows = {"q": wide, "k": narrow, "v": narrow}
        projections = [checkpoint.array(f"{at}.self_attn.{r}_proj.weight", (n, width)) for r, n in rows.items()]
        gate_up = [checkpoint.array(f"{at}.mlp.{role}_proj.weight", (inner, width)) for role in ("gate", "up")]
    matrices = [
        *projections,
        checkpoint.array(f"{at}.self_attn.o_proj.weight", (width, wide)),
        *gate_up,
        checkpoint.array(f"{at}.mlp.down_proj.weight", (width, inner)),
    ]
    biases = [checkpoint.optional(f"{at}.self_attn.{role}_proj.bias") for role in "qkvo"]
    gains = [checkpoint.optional(f"{at}.self_attn.{role}_norm.weight") for role in "qk"]
    for name in ("attention_norm", "attention_output_norm", "feed_forward_norm", "feed_forward_output_norm"):
        place = family.norms.get(name)
        gains.append(place and checkpoint.array(f"{at}.{place}.weight", (width,)))
    gains = [None if gain is None else gain + np.float32(family.shifted) for gain in gains]
    kind = _kinds(config)[number]
    window = config.get("sliding_window") if kind == "sliding_attention" else None
    turns = (config.get("no_rope_layers") or [1] * (number + 1))[number]
    return Layer(*(each.T for each in matrices), *biases, *gains, window, _rope_of(config, kind) if turns else None)


def _kinds(config):
    """Return of each layer whether it has a window."""
    family, count = config["model_type"], config["num_hidden_layers"]
    if config.get("layer_types"):
        return config["layer_types"]
    every = {"gemma2": 2, "gemma3_text": config.get("sliding_window_pattern", 6)}.get(family)
    if every:
        slides = [bool((number + 1) % every) for number in range(count)]
    elif family in ("mistral", "phi3"):
        slides = [True] * count  # where the configuration has a window
    else:
        first = config.get("max_window_layers", 0) if config.get("use_sliding_window") else count
        slides = [number >= first for number in range(count)]
    return ["sliding_attention" if slide else "full_attention" for slide in slides]


def _rope_of(config, kind):
    """Return the name of what turns a layer: Gemma 3 turns layers with a window faster."""
    return kind if config["model_type"] == "gemma3_text" else "all"


def _ropes(config):
    """Return what turns queries and keys, by name, of a configuration of today or of before."""
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    before = {"rope_theta": config.get("rope_theta", 10_000.0)}
    before["partial_rotary_factor"] = config.get("partial_rotary_factor", 1.0)
    original = config.get("original_max_position_embeddings")
    if original is not None:
        before["original_max_position_embeddings"] = original
    if config["model_type"] == "gemma3_text":
        if "full_attention" in scaling:
            return {kind: before | rope for kind, rope in scaling.items()}
        whole = before | {"rope_theta": config.get("rope_theta", 1_000_000.0)} | scaling
        return {"full_attention": whole, "sliding_attention": {"rope_theta": config.get("rope_local_base_freq", 1e4)}}
    rope = before | scaling
    if config["model_type"] == "phi3" and rope.get("rope_type", rope.get("type")) in ("su", "yarn"):
        rope["rope_type"] = "longrope"  # as its first configurations called it
    return {"all": rope}
