"""A head from its weights alone: which words it matches, what it writes when it looks at one, and whether it copies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.block import Norm
from attn.functional import as_real, layer_norm, rms_norm, whole_number
from attn.models import bert, gpt2, llama
from attn.models.checkpoint import token_ids
from attn.models.layer_parts import Model, attention_matrices
from attn.models.rotary_scaling import turning
from attn.positions import rotate

_BLOCK = 4096  # words at once


class HeadMatrices(NamedTuple):
    """The four matrices of one head, its biases, and what multiplies its products."""

    w_q: np.ndarray  # (d_model, d_k)
    b_q: np.ndarray  # (d_k,)
    w_k: np.ndarray
    b_k: np.ndarray
    w_v: np.ndarray  # (d_model, d_v)
    b_v: np.ndarray
    w_o: np.ndarray  # (d_v, d_model)
    scale: float


def head_matrices(model: Model, layer: int, head: int) -> HeadMatrices:
    """Cut the matrices of one head out of a layer.

    Parameters
    ----------
    model
    layer, head
        From 0. Where heads share keys and values, those of the group.

    Raises
    ------
    ValueError
        If there is no such layer or head.
    """
    weights = model.layers[whole_number("layer", layer, most=len(model.layers) - 1)]
    whole_number("head", head, most=num_heads(model) - 1)
    matrices = attention_matrices(weights)
    d_k = matrices.w_q.shape[1] // num_heads(model)
    num_kv_heads = matrices.w_k.shape[1] // d_k
    group = head // (num_heads(model) // num_kv_heads)
    w_q, b_q = _cut(matrices.w_q, matrices.b_q, num_heads(model), head)
    w_k, b_k = _cut(matrices.w_k, matrices.b_k, num_kv_heads, group)
    w_v, b_v = _cut(matrices.w_v, matrices.b_v, num_kv_heads, group)
    d_v = w_v.shape[1]
    if isinstance(weights, gpt2.Layer):
        scale = weights.scale
    else:
        scale = model.scale if isinstance(model, llama.Llama) else d_k**-0.5
    return HeadMatrices(w_q, b_q, w_k, b_k, w_v, b_v, matrices.w_o[head * d_v : (head + 1) * d_v], scale)


def _cut(w, b, count, at):
    """Return the columns of one of so many heads, and its bias."""
    width = w.shape[1] // count
    columns = slice(at * width, (at + 1) * width)
    return w[:, columns], np.zeros(width, w.dtype) if b is None else b[columns]


def read_embeddings(model: Model, ids: ArrayLike | None = None) -> np.ndarray:
    """Return the embeddings of words as the first layer reads them, without a position and a segment.

    Parameters
    ----------
    model
    ids : integers, shape (w,)
        By default all of the vocabulary.

    Returns
    -------
    shape (w, d_model)
        Normalised, but for the gain of a norm that each layer has for itself.
    """
    embedded = model.embedding if ids is None else model.embedding[token_ids(ids, len(model.embedding))]
    if isinstance(model, bert.Bert):
        return layer_norm(embedded, *model.embedding_norm, model.epsilon)
    ones = np.ones(embedded.shape[-1], embedded.dtype)
    if isinstance(model, gpt2.GPT2):
        return layer_norm(embedded, ones, 0 * ones, model.epsilon)
    if model.layers and model.layers[0].attention_norm is None:
        return embedded * np.float32(model.embedding_scale)
    return rms_norm(embedded * np.float32(model.embedding_scale), ones, model.epsilon)


def _as_layer_reads(model, embedded, layer):
    """Return words as a layer reads them: with the gain, and the shift, of its norm."""
    norm = None if isinstance(model, bert.Bert) else model.layers[layer].attention_norm
    if norm is None:
        return embedded
    return embedded * norm.gain + norm.bias if isinstance(norm, Norm) else embedded * norm


def matched_words(model: Model, layer: int, head: int, queries: ArrayLike, keys: ArrayLike | None = None) -> np.ndarray:
    r"""Return how well a head would match words by themselves, each at the place of the other.

    Parameters
    ----------
    model, layer, head
        As `head_matrices` takes them.
    queries, keys : integers, shape (a,) and (b,)
        Ids of words; keys are by default all of the vocabulary.

    Returns
    -------
    shape (a, b)
        Scores as the head would give them if the states were the embeddings alone, before any softcap.

    Raises
    ------
    ValueError
        As `head_matrices`, and if `queries` or `keys` are no words of the model.

    Notes
    -----
    :math:`c\,(e_i W_q + b_q)(e_j W_k + b_k)^\top`: the full QK circuit of [1]_, section "The QK circuit", with
    embeddings normalised as the model does, queries and keys as well, and no rotation by position, which is that of a
    distance of 0. What some scaled positions multiply queries and keys by is in it.

    References
    ----------
    .. [1] Elhage et al., 2021, A mathematical framework for transformer circuits.
    """
    ids = np.arange(len(model.embedding)) if keys is None else token_ids(keys, len(model.embedding), "keys")
    query = _compared(model, layer, head, queries, "query")
    scores = [query @ _compared(model, layer, head, block, "key").T for block in _blocks(ids)]
    return head_matrices(model, layer, head).scale * np.concatenate(scores, axis=-1)


def _compared(model, layer, head, ids, role):
    """Return the queries or the keys of words, (w, d_k), as a head compares them where they stand in one place."""
    own, weights = head_matrices(model, layer, head), model.layers[layer]
    read = _as_layer_reads(model, read_embeddings(model, ids), layer)
    vectors = read @ own.w_q + own.b_q if role == "query" else read @ own.w_k + own.b_k
    if not isinstance(model, llama.Llama):
        return vectors
    gain = weights.query_norm if role == "query" else weights.key_norm
    if gain is not None and gain.size == model.d_k:
        vectors = rms_norm(vectors, gain, model.epsilon)
    elif gain is not None:  # of all heads together
        w, b = (weights.w_q, weights.b_q) if role == "query" else (weights.w_k, weights.b_k)
        at = head if role == "query" else head // (model.num_heads // model.num_kv_heads)
        whole = rms_norm(read @ w if b is None else read @ w + b, gain, model.epsilon)
        vectors = whole[:, at * model.d_k : (at + 1) * model.d_k]
    if weights.rope is None:
        return vectors
    turned = turning(model.ropes[weights.rope], model.d_k, 1, model.max_tokens)
    if turned.factor == 1:  # as of most: turned by no angle and multiplied by 1 they are what they were
        return vectors
    return rotate(vectors, np.zeros((len(vectors), len(turned.speeds))), factor=turned.factor)


def written_words(model: Model, layer: int, head: int, words: ArrayLike) -> np.ndarray:
    r"""Return which next words a head speaks for, or of an encoder which embeddings, when it looks at a word.

    Parameters
    ----------
    model, layer, head
        As `head_matrices` takes them.
    words : integers, shape (w,)
        Ids of the words that are looked at.

    Returns
    -------
    shape (w, vocabulary)
        What the head would add to the score of each word, in no unit: of the norms on the way, one that stands behind
        attention and the last, only the gains count, and that a layer norm centres. How much they shrink what they
        read depends on the text. Of an encoder (BERT, MiniLM), which normalises after each sum, no norm behind the
        head counts, not even by its gain.

    Raises
    ------
    ValueError
        As `head_matrices`, and if `words` are no words of the model.

    Notes
    -----
    :math:`e\,W_v W_o U^\top`: the full OV circuit of [1]_, section "The OV circuit".

    References
    ----------
    .. [1] Elhage et al., 2021, A mathematical framework for transformer circuits.
    """
    own = head_matrices(model, layer, head)
    read = _as_layer_reads(model, read_embeddings(model, words), layer)
    written = read @ own.w_v @ own.w_o * _gain_behind(model, layer)  # (w, d_model)
    gain, centres = _last_norm(model)
    return ((written - centres * written.mean(axis=-1, keepdims=True)) * gain) @ _words(model).T


def copying_scores(model: Model, layers: ArrayLike | None = None) -> np.ndarray:
    r"""Return of each head whether what it writes points along the words that it looks at, or against them.

    Parameters
    ----------
    model
    layers : integers
        Of which layers; by default of all.

    Returns
    -------
    shape (layers, num_heads)
        From -1 to 1: 1 where all eigenvalues are positive, as of a head that copies, -1 where all are negative. They
        sum up the few directions of words that a head passes on: it need not write the very word that it looks at.

    Raises
    ------
    ValueError
        If there is no such layer.

    Notes
    -----
    :math:`\sum_i \lambda_i / \sum_i |\lambda_i|` over the eigenvalues of :math:`W_U W_{OV} W_E` ([1]_, "Summarizing
    OV/QK matrices"), of embeddings as `read_embeddings` gives them and with the norms of which `written_words` speaks.
    They are those of the small :math:`W_o U^\top E W_v`, of (d_v, d_v): the product of two matrices has, but for
    zeros, the eigenvalues of the product in the other order.

    References
    ----------
    .. [1] Elhage et al., 2021, A mathematical framework for transformer circuits.
    """
    numbers = np.arange(len(model.layers)) if layers is None else np.atleast_1d(as_real(layers, "layers"))
    rows = _words(model)
    last_gain, centres = _last_norm(model)
    between = sum(read_embeddings(model, block).T @ rows[block] for block in _blocks(np.arange(len(rows))))
    between = (between * last_gain).T  # (d_model written, d_model read)
    between = between - centres * between.mean(axis=0)
    scores = []
    for layer in numbers.tolist():
        whole_number("layer", layer, most=len(model.layers) - 1)
        norm = None if isinstance(model, bert.Bert) else model.layers[layer].attention_norm
        gain = 1.0 if norm is None else norm.gain if isinstance(norm, Norm) else norm
        row = []
        for head in range(num_heads(model)):
            own = head_matrices(model, layer, head)
            small = (own.w_o * _gain_behind(model, layer)) @ (between * gain) @ own.w_v  # (d_v, d_v)
            values = np.linalg.eigvals(small.astype(float))
            row.append(values.real.sum() / max(np.abs(values).sum(), 1e-300))
        scores.append(row)
    return np.array(scores)


def num_heads(model: Model) -> int:
    """Return how many heads ask in a layer."""
    return model.layers[0].attention.num_heads if isinstance(model, bert.Bert) else model.num_heads


def _words(model):
    """Return the row of each word that a last state is multiplied by."""
    return model.embedding if isinstance(model, bert.Bert) else model.unembedding


def _last_norm(model):
    """Return the gain of the norm behind the last layer, and whether it centres."""
    if isinstance(model, bert.Bert):
        return 1.0, False
    return (model.norm.gain, True) if isinstance(model.norm, Norm) else (model.norm, False)


def _gain_behind(model, layer):
    """Return the gain of a norm that stands behind attention, before its output is added."""
    gain = model.layers[layer].attention_output_norm if isinstance(model, llama.Llama) else None
    return 1.0 if gain is None else gain


def _blocks(ids):
    """Return ids in blocks: normalised embeddings of a whole vocabulary would take as much memory as a model."""
    return np.split(ids, range(_BLOCK, len(ids), _BLOCK))


class Plane(NamedTuple):
    """Queries and keys of a head as points of one plane."""

    queries: np.ndarray  # (n, 2)
    keys: np.ndarray  # (n, 2)
    explained: float  # share of the variance of all points that the plane holds


def query_key_plane(query: ArrayLike, key: ArrayLike) -> Plane:
    r"""Lay the queries and the keys of a head into one plane, in which near points are large scores.

    Parameters
    ----------
    query, key : shape (n, d_k) and (m, d_k)

    Returns
    -------
    Plane

    Raises
    ------
    ValueError
        If they are not rows of one width, at least one of each, or not finite.

    Notes
    -----
    Queries and keys lie apart in the space of a head. Moving all keys by one vector adds one number to all scores of a
    query, which the softmax does not see; multiplying queries by a number and dividing keys by it changes no score at
    all. So keys are moved to the mean of the queries, and both are brought to one size, before the plane of the
    largest variance of all points is taken: section 4.1 of [1]_.

    References
    ----------
    .. [1] Yeh et al., 2023, AttentionViz. arXiv:2305.03210
    """
    asking, asked = as_real(query, "query").astype(float), as_real(key, "key").astype(float)
    for name, rows in (("query", asking), ("key", asked)):
        if not np.isfinite(rows).all():
            raise ValueError(f"{name} must be finite, got some that are not")
    if asking.ndim != 2 or asked.ndim != 2 or asking.shape[1] != asked.shape[1] or not asking.size or not asked.size:
        raise ValueError(f"query and key must be rows of one width, got {asking.shape} and {asked.shape}")
    asking, asked = asking - asking.mean(axis=0), asked - asked.mean(axis=0)
    sizes = [float(np.sqrt((side**2).sum(axis=-1).mean())) for side in (asking, asked)]
    ratio = np.sqrt(sizes[1] / sizes[0]) if min(sizes) else 1.0
    points = np.concatenate([asking * ratio, asked / ratio])
    _, spread, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    total = float((spread**2).sum())
    placed = points @ np.pad(axes, [(0, max(0, 2 - len(axes))), (0, 0)])[:2].T  # (n + m, 2)
    return Plane(placed[: len(asking)], placed[len(asking) :], float((spread[:2] ** 2).sum()) / total if total else 1.0)
