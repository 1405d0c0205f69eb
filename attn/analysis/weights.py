"""Numbers that describe an attention: how spread, how far, how much on the first token, what leaks."""

from __future__ import annotations  # so that no signature loads numpy.random

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, as_real, parameter, softmax, softmax_jacobian, whole_number, with_axes
from attn.masks import distances


class Saturation(NamedTuple):
    """What softmax does with the scores of random queries and keys, on average."""

    d_k: int
    variance: float  # of a score before any scaling; in theory d_k
    largest: tuple  # weight, without and with scaling
    entropy: tuple  # nats
    slope: tuple  # size of the softmax's derivative, as the Frobenius norm of its Jacobian


class ScoreRank(NamedTuple):
    """How many independent directions the scores have."""

    rank: np.ndarray  # (...), whole numbers
    singular_values: np.ndarray  # (..., min(n_q, n_k)), largest first


class Products(NamedTuple):
    """A dot product, term by term."""

    terms: np.ndarray  # (..., d)
    total: np.ndarray  # (...)


class Leak(NamedTuple):
    """What moved when one token was replaced."""

    change: np.ndarray  # (n,) largest change in each output row
    blind: np.ndarray  # (n,) True for the rows that must not see the token
    largest: float  # largest change among the blind rows: 0 without a leak


def row_entropy(weights: ArrayLike) -> np.ndarray:
    r"""Return how spread out each row of weights is.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)

    Returns
    -------
    shape (..., n_q)
        :math:`-\sum_j a_{ij} \ln a_{ij}` in nats, from 0 (one key) to :math:`\ln n_k` (all alike).
        A row without weight has 0.

    Examples
    --------
    >>> row_entropy([[1, 0], [0.5, 0.5], [0, 0]]).round(6)
    array([0.      , 0.693147, 0.      ])
    """
    (weights,), dtype = as_floats(weights=weights)
    with_axes(weights, "weights", 1)
    logarithms = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return np.abs(-(weights * logarithms).sum(axis=-1)).astype(dtype, copy=False)  # abs: no -0.0


def effective_keys(weights: ArrayLike) -> np.ndarray:
    r"""Return how many keys each row attends to in effect.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)

    Returns
    -------
    shape (..., n_q)
        The exponential of the entropy: ``m`` for a row spread evenly over ``m`` keys, and 0 for a
        row without weight.

    Examples
    --------
    >>> effective_keys([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]]).round(6)
    array([1., 2., 0.])
    """
    (weights,), dtype = as_floats(weights=weights)
    return np.where(_has_weight(weights), np.exp(row_entropy(weights)), 0).astype(dtype, copy=False)


def mean_distance(weights: ArrayLike, query_offset: int | None = None) -> np.ndarray:
    r"""Return how far from its own position each query looks on average.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    query_offset
        Position of the first query among the keys; by default ``n_k - n_q``.

    Returns
    -------
    shape (..., n_q)
        :math:`\sum_j a_{ij} |j - i - \mathrm{offset}|`, in tokens. A row without weight has 0.

    Examples
    --------
    >>> mean_distance([[1, 0, 0], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    array([0. , 1. , 1.5])
    """
    (weights,), dtype = as_floats(weights=weights)
    n_q, n_k = with_axes(weights, "weights", 2).shape[-2:]
    distance = np.abs(distances(n_q, n_k, query_offset))  # (n_q, n_k)
    return (weights * distance).sum(axis=-1, dtype=weights.dtype).astype(dtype, copy=False)


def first_token_share(weights: ArrayLike) -> np.ndarray:
    """Return how much of each row lies on the first key, where many heads park their attention.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)

    Returns
    -------
    shape (..., n_q)

    Notes
    -----
    Keys that take attention without being needed are the "sinks" of [1]_.

    References
    ----------
    .. [1] Xiao et al., 2023. arXiv:2309.17453

    Examples
    --------
    >>> first_token_share([[1, 0], [0.25, 0.75]])
    array([1.  , 0.25])
    """
    (weights,), dtype = as_floats(weights=weights)
    if with_axes(weights, "weights", 1).shape[-1] == 0:
        return np.zeros(weights.shape[:-1], dtype=dtype)
    return weights[..., 0].astype(dtype)


def saturation(d_k: int, rng: np.random.Generator, *, num_keys: int = 16, num_draws: int = 2000) -> Saturation:
    r"""Measure how far softmax saturates where the components of queries and keys have mean 0 and variance 1.

    Parameters
    ----------
    d_k
    rng
    num_keys
    num_draws
        Queries, each with keys of its own.

    Raises
    ------
    ValueError
        If a number is below 1.

    Notes
    -----
    The :math:`d_k` products of a score are uncorrelated with variance 1, so a score has variance
    :math:`d_k`; divided by :math:`\sqrt{d_k}` it has variance 1. Footnote 4 of [1]_.

    References
    ----------
    .. [1] Vaswani et al., 2017, section 3.2.1. arXiv:1706.03762

    Examples
    --------
    >>> found = saturation(64, np.random.default_rng(0))
    >>> found.largest[0] > 0.8, found.largest[1] < 0.3
    (True, True)
    """
    for name, number in {"d_k": d_k, "num_keys": num_keys, "num_draws": num_draws}.items():
        whole_number(name, number, 1)
    query, key = rng.normal(size=(num_draws, d_k)), rng.normal(size=(num_draws, num_keys, d_k))
    scores = (key @ query[..., None])[..., 0]  # (num_draws, num_keys)
    both = [softmax(scores), softmax(scores / math.sqrt(d_k))]
    return Saturation(
        d_k,
        float(scores.var()),
        tuple(float(weights.max(axis=-1).mean()) for weights in both),
        tuple(float(row_entropy(weights).mean()) for weights in both),
        tuple(float(np.linalg.norm(softmax_jacobian(weights), axis=(1, 2)).mean()) for weights in both),
    )


def score_rank(scores: ArrayLike) -> ScoreRank:
    r"""Return the rank of the scores, which is at most d_k.

    Parameters
    ----------
    scores : shape (..., n_q, n_k)
        Before any mask.

    Returns
    -------
    ScoreRank
        Singular values below the rounding error of the largest do not count.

    Raises
    ------
    ValueError
        If a score is not finite.

    Notes
    -----
    :math:`QK^\top = X (W_q W_k^\top) X^\top`, and the matrix in the middle has rank d_k at most.

    Examples
    --------
    >>> score_rank([[1, 2], [2, 4]]).rank
    np.int64(1)
    """
    (scores,), _ = as_floats(scores=scores)
    if not np.isfinite(with_axes(scores, "scores", 2)).all():
        raise ValueError("scores must be finite to have a rank, got infinite or undefined ones")
    singular_values = np.linalg.svd(scores, compute_uv=False)
    rounding = max(scores.shape[-2:]) * np.finfo(scores.dtype).eps
    largest = singular_values.max(axis=-1, keepdims=True, initial=0)
    return ScoreRank((singular_values > largest * rounding).sum(axis=-1), singular_values)


def products(left_row: ArrayLike, right_column: ArrayLike) -> Products:
    """Return the products that add up to one number of a matrix product.

    Parameters
    ----------
    left_row : shape (..., d)
        A row of the matrix on the left.
    right_column : shape (..., d)
        A column of the matrix on the right.

    Returns
    -------
    Products
        ``terms`` (..., d) and their sum ``total`` (...).

    Raises
    ------
    ValueError
        If the two differ in length.

    Examples
    --------
    >>> products([1, 2, 3], [4, 0, -1])
    Products(terms=array([ 4.,  0., -3.]), total=np.float64(1.0))
    """
    (left, right), dtype = as_floats(left_row=left_row, right_column=right_column)
    if left.ndim < 1 or right.ndim < 1 or left.shape[-1] != right.shape[-1]:
        raise ValueError(f"the row and the column must be of one length, got {left.shape} and {right.shape}")
    terms = left * right
    return Products(terms.astype(dtype, copy=False), terms.sum(axis=-1).astype(dtype, copy=False))


def leak_test(
    attend: Callable[[np.ndarray], np.ndarray],
    x: ArrayLike,
    visible: ArrayLike,
    token: int,
    replacement: ArrayLike | None = None,
) -> Leak:
    """Replace one token and see which outputs move that should not.

    Parameters
    ----------
    attend
        Takes `x` and returns one output row per token, shape (n, d).
    x : shape (n, d_model)
    visible : booleans, broadcastable to (n, n)
        The mask that `attend` is meant to obey.
    token
        Position of the token that is replaced.
    replacement : shape (d_model,)
        What takes its place; by default its own numbers turned around, ``1 - 2 * x[token]``.

    Returns
    -------
    Leak
        A row is ``blind`` if it may not look at the token and is not the token itself, whose own
        query changes in any case.

    Raises
    ------
    ValueError
        If `token` lies outside the sequence, `replacement` is not one token wide, or `visible` is
        not a mask for the tokens.

    Examples
    --------
    >>> leak_test(lambda x: x.cumsum(axis=0), np.ones((3, 2)), np.tri(3, dtype=bool), token=1)
    Leak(change=array([0., 2., 2.]), blind=array([ True, False, False]), largest=0.0)
    """
    (x,), _ = as_floats(x=x)
    if x.ndim != 2:
        raise ValueError(f"x must have two axes (n, d_model), got {x.shape}")
    token = whole_number("token", token, most=len(x) - 1)
    blind = ~_fitted(visible, len(x))[:, token] & (np.arange(len(x)) != token)
    changed = x.copy()
    changed[token] = 1 - 2 * x[token] if replacement is None else parameter(replacement, x.shape[1:], "replacement")
    difference = np.abs(np.asarray(attend(changed)) - np.asarray(attend(x)))  # (n, d)
    change = difference.max(axis=-1, initial=0)
    return Leak(change, blind, float(change[blind].max(initial=0)))


def _fitted(visible, n):
    """Return the mask in the shape (n, n)."""
    visible = as_real(visible, "visible")
    try:
        fitted = np.broadcast_to(visible, (n, n))
    except ValueError:
        fitted = None
    if fitted is None or visible.dtype != bool:
        raise ValueError(
            f"visible must be boolean and broadcast to {(n, n)}, got {visible.dtype} of shape {visible.shape}"
        )
    return fitted


def _has_weight(weights):
    """Tell which rows have any weight at all."""
    return (weights != 0).any(axis=-1)
