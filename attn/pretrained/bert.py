"""An encoder from scratch: from a model's files and a text to every step of every layer, in numpy.

BERT, and its relatives RoBERTa and DistilBERT, whose files name their matrices otherwise.

Neither torch nor transformers is loaded. Names of checkpoints such as ``attention.self.query.weight``
end here; elsewhere the same matrices are ``w_q`` and so on, used as ``x @ w + b``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn import models
from attn.functional import whole_number
from attn.multi_head import MultiHead, MultiHeadParameters, multi_head_attention
from attn.pretrained.errors import ModelError, made_in_numpy, takes
from attn.pretrained.inputs.tokenizer_file import TokenizerFile, encoded, open_tokenizer, spelled_token
from attn.pretrained.loading import catalogue, weights_report

_USUAL = {  # what a configuration need not say, because BERT has it so
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike

    from attn.pretrained.loading.catalogue import Settings


@dataclass(frozen=True, eq=False)
class Encoder:
    """An encoder as its checkpoint holds it, safe to share between threads.

    Parameters
    ----------
    name
    family
        As its configuration spells it.
    tensors
        Checkpoint name -> ndarray, mapped from the file.
    tokenizer : tokenizers.Tokenizer
    model
        What computes, of the same tensors.
    num_layers, num_heads, max_tokens
    special_ids : frozenset of int
        Without that of the unknown token.
    unknown : dict
        Id -> name of the token that stands for what the vocabulary lacks.
    """

    name: str
    family: str
    tensors: dict
    tokenizer: Any
    model: models.bert.Bert
    num_layers: int
    num_heads: int
    max_tokens: int
    special_ids: frozenset
    unknown: dict


class Encoded(NamedTuple):
    """A text on its way through an encoder."""

    tokens: tuple  # of Token
    truncated_from: int | None  # number of tokens before the text was cut; None if it was not
    blocks: tuple  # of attn.models.bert.Block
    output: np.ndarray  # (n, d_model)
    passed: models.bert.Pass  # what all of these are taken from, as `attn.models.ledger` takes it


@takes(settings="Settings")
def load(
    name_or_path: str | Path = catalogue.DEFAULT, *, size_limit: int | None = None, settings: Settings | None = None
) -> Encoder:
    """Open an encoder without torch or transformers.

    Parameters
    ----------
    name_or_path
        A hub id (owner/name) or a folder; see `attn.pretrained.load`.
    size_limit
    settings

    Raises
    ------
    ModelError
        As `attn.pretrained.load`, and if the family is none of `attn.models.bert.FAMILIES`, there is no
        tokenizer.json, or the tensors are not those the configuration speaks of.

    Examples
    --------
    >>> encoder = load()
    >>> encoder.num_layers, encoder.num_heads
    (6, 12)
    """
    folder, name, config = catalogue.checked_folder(name_or_path, size_limit, settings)
    config = _config(config, name)
    tokenizer, special_ids, unknown = open_tokenizer(folder, name)
    is_bert = config["model_type"] == "bert"
    with made_in_numpy(name):
        tensors = _tensors(folder, config, name) if is_bert else dict(catalogue.open_weights(folder, name))
        model = models.bert.from_checkpoint(tensors, config)
    return Encoder(
        name=name,
        family=config["model_type"],
        tensors=tensors,
        tokenizer=tokenizer,
        model=model,
        num_layers=len(model.layers),
        num_heads=model.layers[0].attention.num_heads,
        max_tokens=len(model.positions),
        special_ids=special_ids,
        unknown=unknown,
    )


def parameters(tensors: Mapping, layer: int | str, num_heads: int) -> MultiHeadParameters:
    """Take the parameters of one attention layer out of a checkpoint.

    Parameters
    ----------
    tensors
        Checkpoint name -> array.
    layer
        Number of the layer, or the qualified name of its attention module, such as
        ``encoder.layer.0.attention.self``.
    num_heads

    Returns
    -------
    MultiHeadParameters
        Views of the checkpoint, transposed: a checkpoint is used as ``x @ w.T + b``.

    Raises
    ------
    ModelError
        If the checkpoint does not name its matrices as BERT does.
    """
    if not isinstance(layer, int | str):
        raise ValueError(f"layer must be a number or the name of an attention module, got {layer!r}")
    whole_number("num_heads", num_heads, least=1)
    name = f"encoder.layer.{layer}.attention.self" if isinstance(layer, int) else layer
    places = {"q": f"{name}.query", "k": f"{name}.key", "v": f"{name}.value"}
    places["o"] = f"{name.removesuffix('.self')}.output.dense"
    try:
        weights: dict[str, Any] = {
            f"w_{role}": np.asarray(tensors[f"{place}.weight"]).T for role, place in places.items()
        }
        biases: dict[str, Any] = {f"b_{role}": np.asarray(tensors[f"{place}.bias"]) for role, place in places.items()}
    except KeyError as missing:
        raise ModelError(f"the checkpoint must name its matrices as BERT does, it has no {missing}") from None
    return MultiHeadParameters(**weights, **biases, num_heads=num_heads)


def from_scratch(hidden: ArrayLike, parameters: MultiHeadParameters, mask: ArrayLike | None = None) -> MultiHead:
    """Compute an attention layer from what goes into it.

    Parameters
    ----------
    hidden : shape (..., n, d_model)
    parameters
    mask : booleans, broadcastable to (..., num_heads, n, n)
        True where a token may look at another.

    Returns
    -------
    MultiHead
        Every step, the output projection included.
    """
    return multi_head_attention(hidden, parameters, mask=mask)


@takes(encoder="Encoder")
def encode(encoder: Encoder, text: str, pair: str | None = None, *, max_tokens: int | None = None) -> Encoded:
    """Pass a text through an encoder, keeping every step.

    Parameters
    ----------
    encoder
    text
    pair
        A second text, read together with the first.
    max_tokens
        What is beyond them is cut off; by default what the model has no positions for.

    Returns
    -------
    Encoded
        Weights of all heads are kept: the memory grows with the square of the number of tokens.

    Raises
    ------
    ModelError
        If the text is too long to be tokenized.

    Notes
    -----
    The pass is `attn.models.bert.forward`.
    """
    texts, rows = [text] if pair is None else [text, pair], len(encoder.model.embedding)
    opened = TokenizerFile(encoder.tokenizer, encoder.special_ids, encoder.unknown)
    most = encoder.max_tokens
    most = most if max_tokens is None else min(whole_number("max_tokens", max_tokens, 1), most)
    encoding, names, truncated_from = encoded(opened, texts, most, rows, encoder.name)
    passed = models.bert.forward(encoder.model, encoding.ids, encoding.type_ids)
    return Encoded(names, truncated_from, passed.blocks, passed.output, passed)


@takes(encoder="Encoder")
def token_label(encoder: Encoder, id: int) -> str:
    """Return a token of the vocabulary as figures show it, as `attn.pretrained.language_model.token_label` does."""
    return spelled_token(encoder.tokenizer, id)


def _config(config, name):
    """Return the configuration of an encoder, refusing what is of another family."""
    if config.get("model_type", "bert") == "bert":
        return _USUAL | config
    if config["model_type"] not in models.bert.FAMILIES:
        raise ModelError(
            f"{name} must be of one of these families to be computed from scratch: "
            f"{', '.join(models.bert.FAMILIES)}; it is {config['model_type']}"
        )
    return config


def _tensors(folder, config, name):
    """Open the tensors of a BERT under the names that newer checkpoints use, all that `encode` needs."""
    opened = catalogue.open_weights(folder, name)
    tensors, prefix = {}, weights_report.wrapper_prefix(opened)
    for each, tensor in opened.items():
        bare = each.removeprefix(prefix).removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
        tensors[bare.replace("LayerNorm.beta", "LayerNorm.bias")] = tensor
    weights_report.require_all(_needed(config), tensors, opened, name, "bert.")
    return {each: t.astype(np.float32, copy=False) if t.dtype.kind == "f" else t for each, t in tensors.items()}


def _needed(config):
    """Return the tensors that a BERT computes with: name -> shape."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    rows = {"word": "vocab_size", "position": "max_position_embeddings", "token_type": "type_vocab_size"}
    needed = {f"embeddings.{kind}_embeddings.weight": (config[size], width) for kind, size in rows.items()}
    norms, dense = ["embeddings.LayerNorm"], {}
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
        dense |= {f"{at}.attention.self.{role}": (width, width) for role in ("query", "key", "value")}
        dense[f"{at}.attention.output.dense"] = (width, width)
        dense[f"{at}.intermediate.dense"] = (inner, width)
        dense[f"{at}.output.dense"] = (width, inner)
    for norm in norms:
        needed |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    for name, shape in dense.items():
        needed |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return needed
