"""From the layer's input: attention from what goes into a layer and the checkpoint's own matrices.

A checkpoint holds the matrices, not what is done between them and the dot products. Queries and keys
may be normalised and turned by their positions; which of it a layer does is found by trying, against
the queries and keys that were recorded.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn import positions
from attn.dot_product import scaled_dot_product_attention
from attn.multi_head import MultiHead, MultiHeadParameters, merge_heads, split_heads
from attn.pretrained.errors import ModelError, takes
from attn.pretrained.inputs.tokens import PADDING
from attn.pretrained.recording.compare import Difference, weight_differences
from attn.pretrained.recording.layer import to_numpy
from attn.pretrained.recording.tiles import fit

if TYPE_CHECKING:
    from attn.pretrained.loading.load import Loaded
    from attn.pretrained.recording.layer import Layer

_APART = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"), ("q_lin", "k_lin", "v_lin"), ("q", "k", "v"))
_TOGETHER = ("c_attn", "qkv_proj", "Wqkv", "query_key_value")  # one matrix for all three
_OUT = ("o_proj", "out_proj", "c_proj", "out_lin", "Wo", "o", "dense", "output.dense")
_ROWS = 64  # of a text on which what a layer does is tried
_ROUNDING = 3e-5  # of the largest number, by which queries may differ from the recorded ones


class FromInput(NamedTuple):
    """One layer computed from its input, beside the model's own output of it."""

    parameters: MultiHeadParameters
    steps: MultiHead  # from scratch, (batch, ...)
    reference_output: np.ndarray  # (batch, n, d_model) the model's own, after its output projection


Deeper = FromInput  # its earlier name, which notebooks hold


class _Way(NamedTuple):
    """How a layer comes from its input to queries and keys: matrices first, then what is done to each head."""

    parameters: MultiHeadParameters
    query: Callable  # (..., num_heads, n, d_k) -> the same shape
    key: Callable


@takes(loaded="Loaded", layer="Layer")
def parameters(loaded: Loaded, layer: Layer) -> MultiHeadParameters:
    """Return the matrices and biases that a model's attention layer uses.

    Returns
    -------
    MultiHeadParameters
        Sharing the memory of the model where they can: read them, do not change them.

    Raises
    ------
    ModelError
        If the layer is cross-attention, or comes to its queries and keys in a way that is not known
        here: other than by one matrix each, norms as in Qwen3 or Gemma 3, and rotary positions.
    """
    return _way(loaded, layer).parameters


@takes(loaded="Loaded", layer="Layer")
def from_input(loaded: Loaded, layer: Layer) -> Deeper:
    """Compute a layer from what goes into it, through projection, heads and output projection.

    Parameters
    ----------
    loaded
    layer
        Recorded from this model.

    Raises
    ------
    ModelError
        As `parameters`, and if the text is so long that all heads together take too much memory.
    ValueError
        If the layer holds padding.
    """
    import torch

    if any(token == PADDING for text in layer.names for side in text for token in side):
        raise ValueError("the layer must be without padding: take that of one text, of layer.batch")
    way = _way(loaded, layer)
    batch, n_tokens = layer.hidden.shape[:2]
    if not fit((batch, layer.num_heads, n_tokens, n_tokens)):
        raise ModelError(
            f"the weights of all heads of {n_tokens:,} tokens take too much memory at once, "
            "so attention starts from the recorded queries, keys and values"
        )
    project = _out(loaded.model, layer.name)
    with torch.inference_mode():
        merged = torch.tensor(layer.output).transpose(1, 2).flatten(2)  # (batch, n, num_heads * d_v)
        reference = project(merged.to(project.weight)).cpu().float().numpy()
    return FromInput(way.parameters, _steps(layer, way), reference)


@takes(loaded="Loaded", layer="Layer")
def compare_layer_from_input(loaded: Loaded, layer: Layer) -> list[Difference]:
    """Compare one layer, computed from what goes into it, with the model's own weights.

    Parameters
    ----------
    loaded
    layer
        Recorded from this model, of one text.

    Returns
    -------
    list of Difference
        As `compare_layer`, which begins with the recorded queries and keys instead.

    Raises
    ------
    ModelError, ValueError
        As `from_input`.
    """
    ours, own = from_input(loaded, layer).steps.weights, layer.reference_weights()
    return weight_differences(layer, np.arange(layer.num_heads), [(None, ours, own)])


def _steps(layer, way):
    """Compute every step of a layer from its input."""
    own = way.parameters
    query, key = way.query(_heads(layer.hidden, own, "q")), way.key(_heads(layer.hidden, own, "k"))
    value = _heads(layer.hidden, own, "v")
    options = {"bias": layer.bias, "scale": layer.scale, "softcap": layer.softcap, "sinks": layer.sinks}
    attention = scaled_dot_product_attention(query, key, value, layer.mask, **options)
    concat = merge_heads(attention.context)  # (batch, n, num_heads * d_v)
    output = concat @ own.w_o + (0 if own.b_o is None else own.b_o)
    return MultiHead(query, key, value, *attention, concat, output)


def _heads(hidden, own, role):
    """Project to queries, keys or values, and split the heads."""
    weight, bias = getattr(own, f"w_{role}"), getattr(own, f"b_{role}")
    projected = hidden @ weight + (0 if bias is None else bias)
    return split_heads(projected, own.num_heads if role == "q" else own.num_kv_heads)


def _way(loaded, layer):
    """Find how a layer comes to its queries and keys."""
    known = layer.kind != "cross" and _fits(layer)
    own = _parameters(loaded.model, layer) if known else None
    if own is None:
        raise _refusal(loaded, layer)
    hidden = layer.hidden[:, :_ROWS]
    query, key = _heads(hidden, own, "q"), _heads(hidden, own, "k")
    module = loaded.model.get_submodule(layer.name)
    for norms, turn in itertools.product(_norms(module), _turns(loaded.model, own.d_k)):
        way = _Way(own, *(lambda x, norm=norm, turn=turn: turn(norm(x)) for norm in norms))
        if _same(way.query(query), layer.query) and _same(way.key(key), layer.key):
            return way
    raise _refusal(loaded, layer)


def _fits(layer):
    """Say whether queries and keys have a row for each row of what went in."""
    rows = [(len(array), array.shape[2]) for array in (layer.query, layer.key)]
    return layer.hidden is not None and layer.hidden.ndim == 3 and rows == [layer.hidden.shape[:2]] * 2


def _refusal(loaded, layer):
    """Return the error of a layer that comes to its queries and keys in another way."""
    return ModelError(
        f"{layer.name} of this {loaded.family} model comes to its queries and keys in a way of its own, "
        "so its attention starts from the recorded queries, keys and values"
    )


def _same(ours, recorded):
    """Say whether the first rows of what was recorded are ours, but for rounding."""
    return np.abs(ours - recorded[:, :, :_ROWS]).max() <= _ROUNDING * np.abs(ours).max()


# matrices


def _parameters(model, layer):
    """Return the matrices of a layer, or None if they are not where they are looked for."""
    named = dict(model.named_modules())
    module, out = named.get(layer.name), _out(model, layer.name)
    if module is None or out is None:
        return None
    projections = _projections(module, layer)
    if projections is None or not hasattr(out, "weight"):
        return None
    projections["o"] = _matrix(out)
    weights = {f"w_{role}": weight for role, (weight, _) in projections.items()}
    biases = {f"b_{role}": bias for role, (_, bias) in projections.items()}
    try:
        own = MultiHeadParameters(**weights, **biases, num_heads=layer.num_heads, num_kv_heads=layer.num_kv_heads)
    except ValueError:  # matrices of these names that are used in another way
        return None
    return own if own.d_model == layer.hidden.shape[-1] and own.d_k == layer.query.shape[-1] else None


def _projections(module, layer):
    """Return matrix and bias of queries, keys and values."""
    for names in _APART:
        if all(hasattr(getattr(module, name, None), "weight") for name in names):
            return {role: _matrix(getattr(module, name)) for role, name in zip("qkv", names, strict=True)}
    name = next((name for name in _TOGETHER if hasattr(getattr(module, name, None), "weight")), None)
    if name is not None:
        weight, bias = _matrix(getattr(module, name))
    elif getattr(module, "in_proj_weight", None) is not None:  # torch.nn.MultiheadAttention
        weight, bias = to_numpy(module.in_proj_weight).T, to_numpy(module.in_proj_bias)
    else:
        return None
    widths = [layer.num_heads * layer.query.shape[-1], *(x.shape[1] * x.shape[-1] for x in (layer.key, layer.value))]
    if weight.shape[1] != sum(widths):
        return None
    if name == "query_key_value":  # the three of a head side by side, as in GPT-NeoX
        places = np.arange(sum(widths)).reshape(layer.num_heads, 3, -1).swapaxes(0, 1).reshape(-1)
        weight, bias = weight[:, places], bias if bias is None else bias[places]
    starts = np.cumsum(widths)[:-1]
    biases = [None] * 3 if bias is None else np.split(bias, starts)
    return dict(zip("qkv", zip(np.split(weight, starts, axis=1), biases, strict=True), strict=True))


def _out(model, name):
    """Return the output projection of an attention module: its own, or beside it as in BERT."""
    named = dict(model.named_modules())
    for place in (name, name.removesuffix(".self"), name.removesuffix(".attention")):
        found = [f"{place}.{out}" for out in _OUT if f"{place}.{out}" in named]
        if found:
            return named[found[0]]
    return None


def _matrix(module):
    """Return the matrix and the bias of a projection, to be used as ``x @ w + b``."""
    weight, bias = to_numpy(module.weight), to_numpy(module.bias)
    return weight if type(module).__name__ == "Conv1D" else weight.T, bias  # GPT-2 keeps it as it is used


# what is done to queries and keys


def _norms(module):
    """Yield pairs of what may be done to queries and to keys before they are turned."""
    norms = [getattr(module, name, None) for name in ("q_norm", "k_norm")]
    if any(getattr(norm, "weight", None) is None for norm in norms):
        yield _as_it_is, _as_it_is
        return
    for offset in (0, 1):  # Gemma trains how far the factors are from 1
        factors = [norm.weight.detach().cpu().float().numpy() + np.float32(offset) for norm in norms]
        epsilon = next(
            (norms[0].__dict__[name] for name in ("variance_epsilon", "eps") if name in norms[0].__dict__), 0
        )
        yield tuple(lambda x, factor=factor, epsilon=epsilon: _rms_norm(x, factor, epsilon) for factor in factors)


def _as_it_is(x):
    """Do nothing."""
    return x


def _rms_norm(x, factor, epsilon):
    r"""Bring every row to a root mean square of 1, then stretch it as trained.

    :math:`x / \sqrt{\overline{x^2} + \epsilon} \cdot w`, equation 4 of Zhang and Sennrich, 2019,
    arXiv:1910.07467.
    """
    num_heads, _, d_k = x.shape[-3:]
    if len(factor) == num_heads * d_k > d_k:  # all heads at once, as in OLMo 2
        return split_heads(_rms_norm(merge_heads(x)[..., None, :, :], factor, epsilon)[..., 0, :, :], num_heads)
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + x.dtype.type(epsilon)) * factor


def _turns(model, d_k):
    """Yield what may be done to queries and keys last: nothing, or turning by rotary positions."""
    yield _as_it_is
    config = getattr(model, "config", None)  # a model of torch's own parts has none, or one of its author's
    given = getattr(config.get_text_config(), "rope_parameters", None) if hasattr(config, "get_text_config") else None
    given = given or {}
    kinds = [kind for kind in given.values() if isinstance(kind, dict)] or [given]  # Gemma 3 has two kinds of layers
    for kind, interleaved in itertools.product(filter(None, kinds), (False, True)):
        width = int(d_k * kind.get("partial_rotary_factor", 1)) // 2 * 2
        if width == 0 or (kind.get("rope_type") == "yarn" and not (kind.get("factor") or 0) >= 1):
            continue
        way = {"interleaved": interleaved, "factor": rope_factor(kind)}
        yield functools.partial(_turned, frequencies=rope_frequencies(kind, width), **way)


def _turned(x, frequencies, interleaved, factor):
    """Turn queries or keys, whose first stands at position 0, and stretch what is turned."""
    # Angles in float32, as transformers has them.
    angles = np.arange(x.shape[-2], dtype=np.float32)[:, None] * frequencies  # (n, d_k / 2)
    return positions.rotate(x, angles, interleaved=interleaved, factor=factor)


def rope_frequencies(rope: dict, width: int) -> np.ndarray:
    r"""Return the angle from one position to the next for every pair of numbers.

    Parameters
    ----------
    rope : dict
        As a configuration has it: ``rope_theta``, ``rope_type`` and what belongs to it.
    width : int
        How many numbers of a query are turned.

    Returns
    -------
    ndarray of float32, shape (width / 2,)

    Notes
    -----
    Linear scaling divides all by a factor [1]_. Llama 3's divides slow ones only, in whose wavelength
    the text that the model was first trained on fits less than `low_freq_factor` times; those that it
    fits `high_freq_factor` times stay, and in between the two are mixed [2]_. YaRN is `attn.positions.yarn`.

    References
    ----------
    .. [1] Chen et al., 2023. arXiv:2306.15595
    .. [2] Llama Team, 2024, section 3.4.1. arXiv:2407.21783; the rule is that of its published code.
    """
    frequencies = positions.rotary(2, width, base=rope["rope_theta"])[1]
    kind, factor = rope.get("rope_type", "default"), rope.get("factor", 1)
    if kind == "linear":
        frequencies = frequencies / factor
    elif kind == "llama3":
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        fits = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)
        stays = np.clip((fits - low) / (high - low), 0, 1)
        frequencies = stays * frequencies + (1 - stays) * frequencies / factor
    elif kind == "yarn":
        frequencies = positions.yarn(
            2,
            width,
            factor,
            trained=rope["original_max_position_embeddings"],
            base=rope["rope_theta"],
            fast=rope.get("beta_fast") or 32,
            slow=rope.get("beta_slow") or 1,
            truncate=rope.get("truncate", True),
        )[1]
    return frequencies.astype(np.float32)


def rope_factor(rope: dict) -> float:
    """Return by how much queries and keys grow where they are turned.

    Parameters
    ----------
    rope : dict
        As for `rope_frequencies`.

    Notes
    -----
    `attn.positions.yarn_factor` after YaRN, unless a configuration has an ``attention_factor`` of its own, or, as
    DeepSeek does, weights of the logarithm for what is turned and for all (``mscale``, ``mscale_all_dim``).
    """
    if rope.get("rope_type") != "yarn":
        return 1.0
    if (given := rope.get("attention_factor")) is not None:
        return float(given)
    stretched = positions.yarn_factor(rope.get("factor", 1))
    turned, whole = rope.get("mscale"), rope.get("mscale_all_dim")
    return (1 + turned * (stretched - 1)) / (1 + whole * (stretched - 1)) if turned and whole else stretched
