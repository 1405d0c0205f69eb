"""BERT and its relatives in numpy: from token ids to a vector for each token, every step by name.

BERT (MiniLM among them), RoBERTa and DistilBERT: one forward pass serves them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.block import FeedForward, Layer, Norm
from attn.dot_product import scaled_dot_product_attention
from attn.functional import ACTIVATIONS, layer_norm
from attn.models.checkpoint import Checkpoint, token_ids
from attn.models.passes import Change, changed_attention, checked_change
from attn.multi_head import MultiHead, MultiHeadParameters, merge_heads, split_heads


class Padding(NamedTuple):
    """A token that stands at no place of a text, in models that count the others alone, as RoBERTa does."""

    id: int
    position: np.ndarray  # (d_model,) in place of that of a place


@dataclass(frozen=True, eq=False)
class Bert:
    """An encoder as its checkpoint holds it, safe to share between threads.

    Parameters
    ----------
    embedding : shape (vocabulary, d_model)
    positions : shape (max_tokens, d_model)
    types : shape (num_types, d_model)
        Which text of a pair a token is in; None in models that do not say.
    embedding_norm
    layers : tuple of attn.block.Layer
    epsilon
        Added to variances in layer norms.
    activation
        A key of `attn.functional.ACTIVATIONS`.
    padding
        None where every token has the place at which it stands.
    """

    embedding: np.ndarray
    positions: np.ndarray
    types: np.ndarray | None
    embedding_norm: Norm
    layers: tuple[Layer, ...]
    epsilon: float
    activation: str
    padding: Padding | None = None


class Block(NamedTuple):
    """Every step of one layer."""

    hidden: np.ndarray  # (n, d_model) what goes in
    attention: MultiHead  # every step by head; its output is (n, d_model)
    attended: np.ndarray  # (n, d_model) hidden plus what attention found, normalised
    inner: np.ndarray  # (n, d_ff) the wide layer of the feed-forward network
    feed_forward_output: np.ndarray  # (n, d_model) what the network made of it
    output: np.ndarray  # (n, d_model) attended plus that, normalised


class Pass(NamedTuple):
    """Token ids on their way through an encoder."""

    ids: np.ndarray  # (n,) of the tokens
    types: np.ndarray  # (n,) which text of a pair each is in
    blocks: tuple[Block, ...]
    output: np.ndarray  # (n, d_model)


def forward(model: Bert, ids: ArrayLike, types: ArrayLike | None = None, *, change: Change | None = None) -> Pass:
    r"""Pass token ids through an encoder, keeping every step.

    Parameters
    ----------
    model
    ids : integers, shape (n,)
    types : integers, shape (n,)
        0 for tokens of the first text, 1 for those of the second, where the model has two types; by default all are
        of the first.
    change
        As `attn.models.llama.forward` takes it.

    Returns
    -------
    Pass
        Weights of all heads are kept: the memory grows with the square of the number of tokens.

    Raises
    ------
    ValueError
        If `ids` are no tokens of the model, or more than it has positions for; if `types` are not one for
        each, or a type that the model has not; if `change` returns an array of another shape.

    Notes
    -----
    Section 3 of [1]_, with layer norm after each sum as in [2]_, section 3.1:
    :math:`a = \mathrm{LN}(x + \mathrm{MultiHead}(x))`,
    :math:`y = \mathrm{LN}(a + W_2\,\mathrm{GELU}(W_1 a + b_1) + b_2)`.

    References
    ----------
    .. [1] Devlin et al., 2019. arXiv:1810.04805
    .. [2] Vaswani et al., 2017. arXiv:1706.03762
    """
    ids = token_ids(ids, len(model.embedding))
    if len(ids) > len(model.positions):
        raise ValueError(f"the text must have at most {len(model.positions)} tokens, got {len(ids)}")
    num_types = 2 if model.types is None else len(model.types)  # where a model does not say them, both are alike
    types = np.zeros_like(ids) if types is None else token_ids(types, num_types, "types")
    if len(types) != len(ids):
        raise ValueError(f"types must be one for each of {len(ids)} ids, got {len(types)}")
    activation, change = ACTIVATIONS[model.activation], checked_change(change)

    # change(name, layer, array), here and below, is the array itself, unless somebody changes this step
    hidden = model.embedding[ids] + _positions(model, ids)  # (n, d_model)
    if model.types is not None:
        hidden = hidden + model.types[types]
    hidden = change("residual", 0, layer_norm(hidden, *model.embedding_norm, model.epsilon))
    blocks = []
    for number, layer in enumerate(model.layers):
        # attention: each token reads all
        own = layer.attention
        query = change("query", number, split_heads(hidden @ own.w_q + own.b_q, own.num_heads))  # (num_heads, n, d_k)
        key = change("key", number, split_heads(hidden @ own.w_k + own.b_k, own.num_heads))
        value = change("value", number, split_heads(hidden @ own.w_v + own.b_v, own.num_heads))
        attention = scaled_dot_product_attention(query, key, value)
        attention = changed_attention(change, number, attention, value)
        concat = merge_heads(attention.context)  # (n, d_model)
        attention_output = change("attention_output", number, concat @ own.w_o + own.b_o)
        attended = layer_norm(hidden + attention_output, *layer.attention_norm, model.epsilon)  # (n, d_model)

        # feed-forward: each token by itself
        w_1, b_1, w_2, b_2 = layer.feed_forward
        inner = activation(attended @ w_1 + b_1)  # (n, d_ff)
        feed_forward_output = change("feed_forward_output", number, inner @ w_2 + b_2)
        output = layer_norm(attended + feed_forward_output, *layer.feed_forward_norm, model.epsilon)
        output = change("residual", number + 1, output)

        heads = MultiHead(query, key, value, *attention, concat, attention_output)
        blocks.append(Block(hidden, heads, attended, inner, feed_forward_output, output))
        hidden = output
    return Pass(ids, types, tuple(blocks), hidden)


def _positions(model, ids):
    """Return what is added to tokens for their places, (n, d_model)."""
    if model.padding is None:
        return model.positions[: len(ids)]
    counted = ids != model.padding.id
    return np.where(counted[:, None], model.positions[np.cumsum(counted) - 1], model.padding.position)


class _Names(NamedTuple):
    """How a family calls the parts of a layer, and what its configuration calls its numbers."""

    layer: str
    query: str
    key: str
    value: str
    output: str
    attention_norm: str
    first: str
    second: str
    feed_forward_norm: str
    numbers: Mapping[str, str]


_BERT = _Names(
    layer="encoder.layer",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    output="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    first="intermediate.dense",
    second="output.dense",
    feed_forward_norm="output.LayerNorm",
    numbers={
        "width": "hidden_size",
        "inner": "intermediate_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "activation": "hidden_act",
    },
)
_DISTILBERT = _Names(
    layer="transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    output="attention.out_lin",
    attention_norm="sa_layer_norm",
    first="ffn.lin1",
    second="ffn.lin2",
    feed_forward_norm="output_layer_norm",
    numbers={
        "width": "dim",
        "inner": "hidden_dim",
        "layers": "n_layers",
        "heads": "n_heads",
        "activation": "activation",
    },
)
_FAMILIES = {"bert": _BERT, "roberta": _BERT, "xlm-roberta": _BERT, "camembert": _BERT, "distilbert": _DISTILBERT}
_USUAL = {"hidden_act": "gelu", "activation": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2, "pad_token_id": 1}
FAMILIES = tuple(_FAMILIES)
"""Names of the families, as configurations spell them in ``model_type``."""


def from_checkpoint(tensors: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> Bert:
    """Make an encoder of what a checkpoint holds.

    Parameters
    ----------
    tensors
        Name -> array, matrices used as ``x @ w.T``. Names of first checkpoints (``LayerNorm.gamma``) are understood.
    config
        As ``config.json`` holds it.

    Raises
    ------
    ValueError
        If the family is none of `FAMILIES`; if a tensor is missing, has another shape than the configuration says, or
        belongs to a layer and to nothing that is computed here; if the configuration does not say how large the model
        is, or that it computes otherwise: with relative positions, or as a decoder.
    """
    newer = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    tensors = {_renamed(name, newer): array for name, array in tensors.items()}
    checkpoint = Checkpoint(tensors, config, dict.fromkeys(FAMILIES, _USUAL), "embeddings.word_embeddings.weight")
    config, names = checkpoint.config, _FAMILIES[config["model_type"]]
    for key, expected in {"position_embedding_type": "absolute", "is_decoder": False}.items():
        if config.get(key, expected) != expected:
            raise ValueError(f"{key} must be {expected}, got {config[key]}")
    width, most = checkpoint.size(names.numbers["width"]), checkpoint.size("max_position_embeddings")
    positions = checkpoint.array("embeddings.position_embeddings.weight", (most, width))
    padding = None
    if names is _BERT and config["model_type"] != "bert":  # RoBERTa counts positions from the padding's number on
        id = checkpoint.size("pad_token_id", 0)
        positions, padding = positions[id + 1 :], Padding(id, positions[id])
    types = (checkpoint.size("type_vocab_size"), width) if names is _BERT else None
    model = Bert(
        embedding=checkpoint.array("embeddings.word_embeddings.weight", (checkpoint.size("vocab_size"), width)),
        positions=positions,
        types=types and checkpoint.array("embeddings.token_type_embeddings.weight", types),
        embedding_norm=_norm(checkpoint, "embeddings.LayerNorm", width),
        layers=tuple(
            _layer(checkpoint, names, number) for number in range(checkpoint.size(names.numbers["layers"], 0))
        ),
        epsilon=config["layer_norm_eps"],
        activation=checkpoint.activation(names.numbers["activation"]),
        padding=padding,
    )
    checkpoint.require_all_asked(names.layer)
    return model


def _renamed(name, newer):
    """Return a name as newer checkpoints have it."""
    for old, new in newer.items():
        name = name.replace(old, new)
    return name


def _layer(checkpoint, names, number):
    """Take one layer out of a checkpoint."""
    at = f"{names.layer}.{number}"
    width, inner = (checkpoint.size(names.numbers[name]) for name in ("width", "inner"))
    places = {"q": names.query, "k": names.key, "v": names.value, "o": names.output}
    attention: dict[str, Any] = {}
    for role, place in places.items():
        attention[f"w_{role}"], attention[f"b_{role}"] = _dense(checkpoint, f"{at}.{place}", width, width)
    return Layer(
        MultiHeadParameters(**attention, num_heads=checkpoint.size(names.numbers["heads"])),
        _norm(checkpoint, f"{at}.{names.attention_norm}", width),
        FeedForward(
            *_dense(checkpoint, f"{at}.{names.first}", width, inner),
            *_dense(checkpoint, f"{at}.{names.second}", inner, width),
        ),
        _norm(checkpoint, f"{at}.{names.feed_forward_norm}", width),
    )


def _norm(checkpoint, name, width):
    """Take a layer norm out of a checkpoint."""
    return Norm(checkpoint.array(f"{name}.weight", (width,)), checkpoint.array(f"{name}.bias", (width,)))


def _dense(checkpoint, name, rows, columns):
    """Take a matrix and its bias out of a checkpoint, as views used as ``x @ w + b``."""
    return checkpoint.array(f"{name}.weight", (columns, rows)).T, checkpoint.array(f"{name}.bias", (columns,))
