"""Llama and its descendants in numpy: from token ids to logits, the scores of each next token.

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
from attn.functional import ACTIVATIONS, rms_norm, whole_number
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
from attn.models.rotary_scaling import kind_of, turning
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
    b_gate: np.ndarray | None
    b_up: np.ndarray | None
    b_down: np.ndarray | None
    query_norm: np.ndarray | None  # (d_k,) for each head, or (num_heads * d_k,) for all together
    key_norm: np.ndarray | None  # (d_k,) for each head, or (num_kv_heads * d_k,) for all together
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
    num_heads, num_kv_heads, d_k
    max_tokens
        Of the texts that the model was made for; a longer one is passed all the same.
    epsilon
        Added to mean squares in norms.
    activation
        A key of `attn.functional.ACTIVATIONS`.
    embedding_scale
        What embeddings are multiplied by; 1 but for Gemma.
    scale
        What the scores of queries and keys are multiplied by.
    softcap, logit_softcap
        Of these scores, and of logits; None for none.
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
        Of the tokens before these, as an earlier pass returned it. Where the length of a text decides how fast
        positions turn (``dynamic`` and ``longrope``), keys stay turned as the pass that made them turned them, as they
        do in transformers: beyond the length at which that changes, a text in parts is not what it is as a whole.
    steps
        Whether every step of every layer is kept. Its memory grows with the square of the number of tokens.
    last
        Whether logits are asked for after the last of these only.
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
    section 2.2 of [1]_, and section 2 of [2]_, equations 5 and 6. OLMo 2 normalises what is added instead, and queries
    and keys ([3]_, section 2.1, and 3.3 for why); Gemma 2 both what is read and what is added ([4]_, section 2).

    References
    ----------
    .. [1] Touvron et al., 2023. arXiv:2302.13971
    .. [2] Shazeer, 2020, GLU variants. arXiv:2002.05202
    .. [3] OLMo Team, 2024. arXiv:2501.00656
    .. [4] Gemma Team, 2024. arXiv:2408.00118
    """
    ids, cache = token_ids(ids, len(model.embedding)), cache or Cache()
    end = cache.length + len(ids)
    # rotary positions: by how much each of r pairs of a head's numbers turns at the place of each new token
    turnings = {name: turning(rope, model.d_k, end, model.max_tokens) for name, rope in model.ropes.items()}
    angles = {name: each.angles(cache.length, len(ids)) for name, each in turnings.items()}  # (n, r)
    activation, change = ACTIVATIONS[model.activation], checked_change(change)

    x = model.embedding[ids] * np.float32(model.embedding_scale)  # (n, d_model), the residual stream
    x = change("residual", 0, x)  # which is x itself, here and below, unless somebody changes this step
    states, kept, keys, values = [x], [], [], []
    for number, layer in enumerate(model.layers):
        # attention: each token looks at those before it
        attention_input = _norm(model, x, layer.attention_norm)
        query = _linear(attention_input, layer.w_q, layer.b_q)  # (n, num_heads * d_k)
        key = _linear(attention_input, layer.w_k, layer.b_k)  # (n, num_kv_heads * d_k)
        value = split_heads(_linear(attention_input, layer.w_v, layer.b_v), model.num_kv_heads)
        query = _heads(model, query, layer.query_norm, model.num_heads)  # (num_heads, n, d_k)
        key = _heads(model, key, layer.key_norm, model.num_kv_heads)  # (num_kv_heads, n, d_k)
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
        attention_output = _linear(merge_heads(attention.context), layer.w_o, layer.b_o)
        attention_output = _norm(model, attention_output, layer.attention_output_norm)
        attention_output = change("attention_output", number, attention_output)
        middle = x + attention_output  # (n, d_model), the residual stream between attention and feed-forward

        # feed-forward: each token by itself
        feed_forward_input = _norm(model, middle, layer.feed_forward_norm)
        gate = activation(_linear(feed_forward_input, layer.w_gate, layer.b_gate))
        inner = gate * _linear(feed_forward_input, layer.w_up, layer.b_up)  # (n, d_ff)
        feed_forward_output = _linear(inner, layer.w_down, layer.b_down)
        feed_forward_output = _norm(model, feed_forward_output, layer.feed_forward_output_norm)
        feed_forward_output = change("feed_forward_output", number, feed_forward_output)
        output = change("residual", number + 1, middle + feed_forward_output)

        if steps:
            kept.append(LayerPass(
                x=x, attention_input=attention_input, query=query, key=key, value=value, attention=attention,
                attention_output=attention_output, feed_forward_input=feed_forward_input, inner=inner,
                feed_forward_output=feed_forward_output, output=output,
            ))  # fmt: skip
        keys.append(within_window(key, layer.window))  # for the cache: what the next token can see
        values.append(within_window(value, layer.window))
        states.append(x := output)

    output = _norm(model, x, model.norm)
    logits = (output[-1:] if last else output) @ model.unembedding.T  # (n, vocabulary)
    logits = capped(model, logits)
    return Pass(ids, tuple(states), output, logits, Cache(end, tuple(keys), tuple(values)), tuple(kept))


def capped(model: Llama, logits: np.ndarray) -> np.ndarray:
    """Return logits drawn together below a cap, :math:`c \\tanh(l / c)`, where the model has one."""
    if model.logit_softcap is None:
        return logits
    cap = np.asarray(model.logit_softcap, logits.dtype)
    return cap * np.tanh(logits / cap)


def outgrows_cache(model: Llama, length: int) -> bool:
    """Say whether the next token makes a text so long that all of it turns otherwise, and a cache is of no more use.

    Parameters
    ----------
    model
    length
        Tokens of the text without it.

    Returns
    -------
    bool
        True at one length of models with ``longrope``, which from then on has other factors. With ``dynamic`` scaling
        every token beyond a length changes the speeds, and older keys are kept as they are.

    Raises
    ------
    ValueError
        If `length` is no whole number from 0 on.
    """
    whole_number("length", length)
    limits = [rope["original_max_position_embeddings"] for rope in model.ropes.values() if kind_of(rope) == "longrope"]
    return length in limits


def _norm(model, x, gain):
    """Normalise rows, where the model does."""
    return x if gain is None else rms_norm(x, gain, model.epsilon)


def _linear(x, w, b):
    """Multiply by a matrix, and add a bias where there is one."""
    return x @ w if b is None else x @ w + b


def _heads(model, projected, gain, num_heads):
    """Cut queries or keys into heads; a gain as wide as a head normalises each of them, a wider one all before."""
    if gain is None:
        return split_heads(projected, num_heads)
    if gain.size == model.d_k:
        return rms_norm(split_heads(projected, num_heads), gain, model.epsilon)
    return split_heads(rms_norm(projected, gain, model.epsilon), num_heads)


class _Family(NamedTuple):
    """What the name of a family says and its configuration does not, or may leave out."""

    norms: Mapping[str, str]
    shifted: bool = False  # whether norms multiply by 1 + what the checkpoint holds
    scaled: bool = False  # whether embeddings are multiplied by the root of their width
    query_key_norm: str | None = None  # of each "head", or of "all" together
    biases: str = ""  # of which projections, whatever the configuration says
    windows: str = "none"  # which layers have one: "all", "late", "unturned", "alternate"
    activation: str = "hidden_act"  # how the configuration calls it
    usual: Mapping[str, Any] = {}  # what is meant where the configuration does not say


_BEFORE = {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"}
_AFTER = {
    "attention_output_norm": "post_attention_layernorm",
    "feed_forward_output_norm": "post_feedforward_layernorm",
}
_AROUND = {"attention_norm": "input_layernorm", "feed_forward_norm": "pre_feedforward_layernorm", **_AFTER}
_USUAL = {"hidden_act": "silu", "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "rope_theta": 1e4}
_LATE = {"max_window_layers": 28, "sliding_window": 4096, "num_key_value_heads": 32}
_GEMMA = {"tie_word_embeddings": True, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh"}
_LATER_GEMMA = {"hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True, "head_dim": 256}
_LATER_GEMMA |= {"num_key_value_heads": 4, "query_pre_attn_scalar": 256, "sliding_window": 4096}
_FAMILIES = {
    "llama": _Family(_BEFORE),
    "mistral": _Family(_BEFORE, windows="all", usual={"num_key_value_heads": 8, "sliding_window": 4096}),
    "qwen2": _Family(_BEFORE, biases="qkv", windows="late", usual=_LATE),
    "qwen3": _Family(_BEFORE, query_key_norm="head", windows="late", usual=_LATE | {"head_dim": 128}),
    "phi3": _Family(_BEFORE, windows="all", usual={"rms_norm_eps": 1e-5, "original_max_position_embeddings": 4096}),
    "smollm3": _Family(
        _BEFORE,
        windows="unturned",
        usual={"num_key_value_heads": 4, "tie_word_embeddings": True, "rope_theta": 2e6, "no_rope_layer_interval": 4},
    ),
    "olmo2": _Family(_AFTER, query_key_norm="all", usual={"rms_norm_eps": 1e-5}),
    "gemma": _Family(_BEFORE, shifted=True, scaled=True, usual=_GEMMA | {"num_key_value_heads": 16}),
    "gemma2": _Family(
        _AROUND,
        shifted=True,
        scaled=True,
        windows="alternate",
        activation="hidden_activation",
        usual=_LATER_GEMMA
        | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window_pattern": 2},
    ),
    "gemma3_text": _Family(
        _AROUND,
        shifted=True,
        scaled=True,
        query_key_norm="head",
        windows="alternate",
        activation="hidden_activation",
        usual=_LATER_GEMMA | {"sliding_window_pattern": 6, "rope_theta": 1e6, "rope_local_base_freq": 1e4},
    ),
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
        As ``config.json`` holds it. What a family may leave out means what it means in transformers.

    Raises
    ------
    ValueError
        If the family is none of `FAMILIES`; if a tensor is missing, has another shape than the configuration says, or
        belongs to a layer and to nothing that is computed here; if the configuration does not say how large the model
        is, or asks for what is not computed here.
    """
    usual = {name: {**_USUAL, **family.usual} for name, family in _FAMILIES.items()}
    checkpoint = Checkpoint(tensors, config, usual, "embed_tokens.weight")
    config, family = checkpoint.config, _FAMILIES[config["model_type"]]
    if config.get("use_bidirectional_attention"):
        raise ValueError("use_bidirectional_attention must be false, for each token looks at those before it alone")
    width, num_heads = checkpoint.size("hidden_size"), checkpoint.size("num_attention_heads")
    d_k, max_tokens = checkpoint.size("head_dim", unsaid=width // num_heads), checkpoint.size("max_position_embeddings")
    embedding = checkpoint.array("embed_tokens.weight", (checkpoint.size("vocab_size"), width))
    activation = checkpoint.activation(family.activation)
    if config["model_type"] == "gemma" and activation == "gelu":
        activation = "gelu_pytorch_tanh"  # which its first configurations called so
    ropes, scalar = _ropes(config), config.get("query_pre_attn_scalar")
    for rope in ropes.values():
        turning(rope, d_k, 1, max_tokens)  # refuses what no pass could compute
    places = _places(config, family, checkpoint.size("num_hidden_layers", 0))
    model = Llama(
        embedding=embedding,
        unembedding=checkpoint.unembedding(embedding),
        layers=tuple(_layer(checkpoint, family, number, d_k, *place) for number, place in enumerate(places)),
        norm=checkpoint.array("norm.weight", (width,)) + np.float32(family.shifted),
        ropes=ropes,
        num_heads=num_heads,
        num_kv_heads=checkpoint.size("num_key_value_heads", unsaid=num_heads),
        d_k=d_k,
        max_tokens=max_tokens,
        epsilon=config["rms_norm_eps"],
        activation=activation,
        embedding_scale=math.sqrt(width) if family.scaled else 1.0,
        scale=1 / math.sqrt(d_k if scalar is None else scalar),
        softcap=config.get("attn_logit_softcapping"),
        logit_softcap=config.get("final_logit_softcapping"),
    )
    checkpoint.require_all_asked("layers")
    return model


def _layer(checkpoint, family, number, d_k, window, rope):
    """Take one layer out of a checkpoint."""
    config, at = checkpoint.config, f"layers.{number}"
    width, inner = checkpoint.size("hidden_size"), checkpoint.size("intermediate_size")
    num_heads = checkpoint.size("num_attention_heads")
    wide, narrow = num_heads * d_k, checkpoint.size("num_key_value_heads", unsaid=num_heads) * d_k
    if config["model_type"] == "phi3":  # which keeps what is multiplied by the same x in one matrix
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
    biases = []
    for role, rows in {"q": wide, "k": narrow, "v": narrow, "o": width}.items():
        there = role in family.biases or config.get("attention_bias")
        biases.append(checkpoint.array(f"{at}.self_attn.{role}_proj.bias", (rows,)) if there else None)
    for role, rows in {"gate": inner, "up": inner, "down": width}.items():
        there = config.get("mlp_bias")
        biases.append(checkpoint.array(f"{at}.mlp.{role}_proj.bias", (rows,)) if there else None)
    gains = []
    for role, rows in {"q": wide, "k": narrow}.items():
        size = {"head": d_k, "all": rows}.get(family.query_key_norm)
        gains.append(size and checkpoint.array(f"{at}.self_attn.{role}_norm.weight", (size,)))
    for name in ("attention_norm", "attention_output_norm", "feed_forward_norm", "feed_forward_output_norm"):
        place = family.norms.get(name)
        gains.append(place and checkpoint.array(f"{at}.{place}.weight", (width,)))
    gains = [None if gain is None else gain + np.float32(family.shifted) for gain in gains]
    return Layer(*(each.T for each in matrices), *biases, *gains, window, rope)


def _places(config, family, count):
    """Return of each layer its window and the name of what turns its queries and keys, None where it has none."""
    numbers = range(count)
    turned = [True] * count
    if config["model_type"] == "smollm3":
        every = config["no_rope_layer_interval"]
        turned = _by_layer(config, "no_rope_layers", count) or [(number + 1) % every > 0 for number in numbers]
    if family.windows in ("none", "all"):
        slides = [family.windows == "all"] * count
    elif kinds := _by_layer(config, "layer_types", count):
        slides = [kind == "sliding_attention" for kind in kinds]
    elif family.windows == "late":
        slides = [number >= config["max_window_layers"] for number in numbers]
    elif family.windows == "unturned":
        slides = [not each for each in turned]
    else:
        slides = [(number + 1) % config["sliding_window_pattern"] > 0 for number in numbers]
    asked = family.windows in ("all", "alternate") or config.get("use_sliding_window")
    window = config.get("sliding_window") if asked else None
    ropes = ["all"] * count
    if config["model_type"] == "gemma3_text":  # which turns layers with a window faster
        ropes = ["sliding_attention" if slide else "full_attention" for slide in slides]
    return [
        (window if slide else None, rope if turns else None)
        for slide, rope, turns in zip(slides, ropes, turned, strict=True)
    ]


def _by_layer(config, name, count):
    """Return what the configuration says of each layer under a name, or None where it says nothing."""
    said = config.get(name)
    if said and len(said) < count:
        raise ValueError(f"{name} must be of {count} layers, got {len(said)}")
    return said and said[:count]


def _ropes(config):
    """Return what turns queries and keys, by name, of a configuration of today or of before."""
    scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
    usual = {
        "rope_theta": config["rope_theta"],
        "partial_rotary_factor": config.get("partial_rotary_factor", 1.0),
        "original_max_position_embeddings": config["max_position_embeddings"],
    }
    if config["model_type"] == "gemma3_text":
        bases = {"full_attention": config["rope_theta"], "sliding_attention": config["rope_local_base_freq"]}
        if not bases.keys() & scaling.keys():
            scaling = {"full_attention": scaling}
        return {kind: usual | {"rope_theta": base} | (scaling.get(kind) or {}) for kind, base in bases.items()}
    rope = usual | scaling
    if config["model_type"] == "phi3":
        rope["original_max_position_embeddings"] = config["original_max_position_embeddings"]
        if rope.get("rope_type", rope.get("type")) in ("su", "yarn"):  # as its first configurations called it
            rope["rope_type"] = "longrope"
    return {"all": rope}
