"""Attention is not contribution: what weights alone do not say."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from attn.analysis.word_level import word_groups
from attn.functional import as_floats, finite_number


def value_weighted(
    weights: ArrayLike, value: ArrayLike, w_o: ArrayLike, *, key_words: Sequence[int | None] | None = None
) -> np.ndarray:
    r"""Return how much each key adds to each query's output: its weight times the length of its value.

    Parameters
    ----------
    weights : shape (..., num_heads, n_q, n_k), or (n_q, n_k) for one head
    value : shape (..., num_kv_heads, n_k, d_v), or (n_k, d_v) for one head
        With its bias. `num_heads` is a multiple of `num_kv_heads`.
    w_o : shape (num_heads * d_v, d_out), or (d_v, d_out) for one head
        The output projection.
    key_words : n_k of them
        Which word each key is a piece of, as in `attn.analysis.word_level.to_words`. By default each key
        stands for itself.

    Returns
    -------
    shape of the weights, with `key_words` a column per word
        :math:`a_{ij} \lVert v_j W^O_h \rVert`, at least 0; a hidden key adds 0. Rows need not sum
        to 1. The pieces of a word add up as vectors: :math:`\lVert \sum_j a_{ij} v_j W^O_h \rVert`.

    Raises
    ------
    ValueError
        If value, w_o or key_words do not fit the weights.

    Notes
    -----
    The norm-based analysis of [1]_, where :math:`f(x) = (x W^V + b^V) W^O`, head by head; the paper also adds the
    vectors of all heads before it takes the length. The bias of the output projection belongs to no
    key. Residual and layer norm, which the authors add in a later paper, are left out.

    References
    ----------
    .. [1] Kobayashi et al., 2020. arXiv:2004.10102

    Examples
    --------
    >>> value_weighted([[0.9, 0.1]], [[0.3, 0.4], [6, 8]], np.eye(2)).round(2)  # the lesser weight adds more
    array([[0.45, 1.  ]])
    """
    (weights, value, w_o), dtype = as_floats(weights=weights, value=value, w_o=w_o)
    if weights.ndim < 2 or value.ndim != weights.ndim or value.shape[-2] != weights.shape[-1]:
        raise ValueError(
            "weights (..., num_heads, n_q, n_k) and value (..., num_kv_heads, n_k, d_v) must share n_k "
            f"and the number of axes, got {weights.shape} and {value.shape}"
        )
    if weights.ndim == 2:
        return value_weighted(weights[None], value[None], w_o, key_words=key_words)[0].astype(dtype, copy=False)
    vectors = _projected(value, w_o, num_heads=weights.shape[-3])  # (..., num_heads, n_k, d_out)
    if key_words is not None:
        return _lengths_of_words(weights, vectors, key_words).astype(dtype, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # hidden keys may hold anything
        lengths = np.linalg.norm(vectors, axis=-1)[..., None, :]  # (..., num_heads, 1, n_k)
    # a hidden key adds nothing, whatever it holds
    product = np.multiply(weights, lengths, out=np.zeros_like(weights), where=weights != 0)
    return product.astype(dtype, copy=False)


def rollout(weights_per_layer: Iterable[ArrayLike], *, residual: float = 0.5) -> np.ndarray:
    r"""Follow the attention through the layers down to the tokens of the text.

    Parameters
    ----------
    weights_per_layer : each of shape (n, n) or (num_heads, n, n)
        From the first layer on; heads are averaged. A generator holds one layer at a time. For what
        reaches a layer in the middle, give the layers up to it.
    residual
        The share of a token that passes the attention by, from 0 to 1.

    Returns
    -------
    shape (n, n)
        How much of each token of the text (a column) reaches each place of the last layer (a row),
        from 0 to 1; rows sum to 1. A row without weight keeps its token.

    Raises
    ------
    ValueError
        If there is no layer, a layer is not square or of another length, or `residual` is not from 0
        to 1.

    Notes
    -----
    Section 3 of [1]_: :math:`\tilde A_l = 0.5\,A_l + 0.5\,I`, rows brought back to a sum of 1, and
    :math:`R_l = \tilde A_l R_{l-1}`. It takes the weights for the whole of what a layer does and
    mixes all heads alike, which is a rough picture: values, feed-forward networks and the true size
    of the residual do not enter.

    References
    ----------
    .. [1] Abnar and Zuidema, 2020. arXiv:2005.00928

    Examples
    --------
    >>> rollout([[[1, 0], [1, 0]], [[1, 0], [1, 0]]])
    array([[1.  , 0.  ],
           [0.75, 0.25]])
    """
    residual = finite_number(residual, "residual", least=0, most=1)
    reached = None
    for weights in weights_per_layer:
        mixed, dtype = _mixed(weights, residual)
        if reached is not None and reached.shape != mixed.shape:
            raise ValueError(f"all layers must be of one length, got {reached.shape} and then {mixed.shape}")
        reached = mixed if reached is None else mixed @ reached  # (n, n)
    if reached is None:
        raise ValueError("rollout must be given at least one layer, got none")
    return reached.astype(dtype, copy=False)


def mean_over(weights: ArrayLike, heads: int | Sequence[int] | None = None) -> np.ndarray:
    """Average a chosen set of heads.

    Parameters
    ----------
    weights : shape (..., num_heads, n_q, n_k)
    heads
        By default all.

    Returns
    -------
    shape (..., n_q, n_k)
        Rows sum to 1 where those of all chosen heads do.

    Raises
    ------
    ValueError
        If there is no axis of heads, none is chosen, or one does not exist.

    Examples
    --------
    >>> mean_over([[[1.0, 0.0]], [[0.0, 1.0]], [[0.5, 0.5]]], heads=[0, 2])
    array([[0.75, 0.25]])
    """
    (weights,), dtype = as_floats(weights=weights)
    if weights.ndim < 3:
        raise ValueError(f"weights must have axes (..., num_heads, n_q, n_k), got {weights.shape}")
    num_heads = weights.shape[-3]
    chosen = np.unique(np.arange(num_heads) if heads is None else heads)
    if chosen.dtype.kind not in "iu" or not chosen.size or chosen[0] < 0 or chosen[-1] >= num_heads:
        raise ValueError(f"heads must be at least one of 0 to {num_heads - 1}, got {chosen.tolist()}")
    return weights[..., chosen, :, :].mean(axis=-3).astype(dtype, copy=False)


def _lengths_of_words(weights, vectors, key_words):
    """Return the length of what the pieces of each word add to each query together, (..., num_heads, n_q, words)."""
    groups = word_groups(key_words, weights.shape[-1], "key_words")
    seen = weights.any(axis=-2)[..., None]  # (..., num_heads, n_k, 1)
    vectors = np.where(seen, vectors, 0)  # a hidden key adds nothing, whatever it holds
    words = (np.flatnonzero(groups == word) for word in range(groups.max(initial=-1) + 1))
    added = [np.linalg.norm(weights[..., at] @ vectors[..., at, :], axis=-1) for at in words]
    return np.stack(added, axis=-1) if added else weights


def _projected(value, w_o, num_heads):
    """Return each head's value after the output projection, (..., num_heads, n_k, d_out)."""
    num_kv_heads, d_v = value.shape[-3], value.shape[-1]
    if num_kv_heads == 0 or num_heads % num_kv_heads:
        raise ValueError(f"num_heads must be a multiple of num_kv_heads, got {num_heads} and {num_kv_heads}")
    if w_o.ndim != 2 or w_o.shape[0] != num_heads * d_v:
        raise ValueError(f"w_o must be a matrix of num_heads * d_v = {num_heads * d_v} rows, got {w_o.shape}")
    bands = w_o.reshape(num_heads, d_v, -1)  # (num_heads, d_v, d_out)
    value = np.repeat(value, num_heads // num_kv_heads, axis=-3)  # (..., num_heads, n_k, d_v)
    with np.errstate(over="ignore", invalid="ignore"):  # hidden keys may hold anything
        return value @ bands


def _mixed(weights, residual):
    """Return one layer averaged over heads, with the residual, and the type to return."""
    (weights,), dtype = as_floats(weights=weights)
    if weights.ndim not in (2, 3) or weights.shape[-1] != weights.shape[-2]:
        raise ValueError(f"a layer must be (n, n) or (num_heads, n, n), got {weights.shape}")
    weights = mean_over(weights) if weights.ndim == 3 else weights
    mixed = (1 - residual) * weights  # (n, n), a copy
    mixed[np.diag_indices(len(mixed))] += residual
    total = mixed.sum(axis=-1, keepdims=True)
    identity = np.eye(len(mixed), dtype=mixed.dtype)
    return np.divide(mixed, total, out=identity, where=total > 0), dtype
