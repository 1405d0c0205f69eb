"""Alignment scores and what is made of them: soft or hard, over all positions or near one.

Every score takes ``query`` (..., d_q) and ``keys`` (..., n_k, d_k) and returns (..., n_k), a number
per key; their leading axes broadcast. One query per sequence of a batch is (batch, d_q) with keys
(batch, n_k, d_k); several queries over the same keys are (n_q, d_q) with keys (n_k, d_k).
"""

from __future__ import annotations  # so that no signature loads numpy.random

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, finite_number, parameter, whole_number, width_of
from attn.local_attention import Local, local_m, local_p, predicted_centre  # noqa: F401, by this name, too


def content(query: ArrayLike, keys: ArrayLike) -> np.ndarray:
    r"""Score by the angle between query and key: the cosine, from -1 to 1.

    Parameters
    ----------
    query : shape (..., d)
    keys : shape (..., n_k, d)

    Returns
    -------
    shape (..., n_k)
        0 where a vector has no direction because it is 0.

    Raises
    ------
    ValueError
        If query and keys differ in width, or their leading axes do not fit together.

    Notes
    -----
    :math:`q^\top k / (\|q\| \|k\|)`, equation 6 of [1]_, which multiplies it by a sharpness
    :math:`\beta` before the softmax. The lengths of both vectors drop out.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.1. arXiv:1410.5401

    Examples
    --------
    >>> content([1, 2], [[2, 0], [1, 1], [-1, 2]]).round(6)
    array([0.447214, 0.948683, 0.6     ])
    """
    query, keys, dtype = _inputs(query, keys)
    return _products(_directions(query), _directions(keys)).astype(dtype, copy=False)


def additive(query: ArrayLike, keys: ArrayLike, *, w_q: ArrayLike, w_k: ArrayLike, v: ArrayLike) -> np.ndarray:
    r"""Score by a small network with one hidden layer.

    Parameters
    ----------
    query : shape (..., d_q)
    keys : shape (..., n_k, d_k)
    w_q : shape (d_q, d_hidden)
    w_k : shape (d_k, d_hidden)
    v : shape (d_hidden,)

    Returns
    -------
    shape (..., n_k)

    Raises
    ------
    ValueError
        If a parameter does not fit, or the leading axes do not fit together.

    Notes
    -----
    :math:`v^\top \tanh(W q + U k)`, appendix A.1.2 of [1]_, with :math:`W = w_q^\top`,
    :math:`U = w_k^\top`, :math:`q = s_{i-1}` and :math:`k = h_j`.

    References
    ----------
    .. [1] Bahdanau, Cho and Bengio, 2015. arXiv:1409.0473

    Examples
    --------
    >>> same = np.eye(2)
    >>> additive([1, 2], [[2, 0], [1, 1], [-1, 2]], w_q=same, w_k=same, v=[1, 1]).round(6)
    array([1.959082, 1.959082, 0.999329])
    """
    query, keys, dtype = _inputs(query, keys, same_width=False)
    d_hidden = width_of(v, "v")
    w_q = parameter(w_q, (query.shape[-1], d_hidden), "w_q", query.dtype)
    w_k = parameter(w_k, (keys.shape[-1], d_hidden), "w_k", query.dtype)
    v = parameter(v, (d_hidden,), "v", query.dtype)
    hidden = np.tanh((query @ w_q)[..., None, :] + keys @ w_k)  # (..., n_k, d_hidden)
    return (hidden @ v).astype(dtype, copy=False)


def concat(query: ArrayLike, keys: ArrayLike, *, w: ArrayLike, v: ArrayLike) -> np.ndarray:
    r"""Score by the same small network, its matrix written as one that reads query and key end to end.

    Parameters
    ----------
    query : shape (..., d_q)
    keys : shape (..., n_k, d_k)
    w : shape (d_q + d_k, d_hidden)
    v : shape (d_hidden,)

    Returns
    -------
    shape (..., n_k)
        What `additive` gives with ``w_q = w[:d_q]`` and ``w_k = w[d_q:]``.

    Raises
    ------
    ValueError
        If a parameter does not fit, or the leading axes do not fit together.

    Notes
    -----
    :math:`v_a^\top \tanh(W_a [h_t; \bar h_s])`, the third score of section 3.1 of [1]_.

    References
    ----------
    .. [1] Luong, Pham and Manning, 2015, section 3.1. arXiv:1508.04025

    Examples
    --------
    >>> concat([1, 2], [[2, 0], [1, 1]], w=np.vstack([np.eye(2), np.eye(2)]), v=[1, 1]).round(6)
    array([1.959082, 1.959082])
    """
    d_q, d_k = width_of(query, "query"), width_of(keys, "keys", axes=2)
    d_hidden = width_of(v, "v")
    w = parameter(w, (d_q + d_k, d_hidden), "w")
    return additive(query, keys, w_q=w[:d_q], w_k=w[d_q:], v=v)


def location(query: ArrayLike, keys: ArrayLike, *, w: ArrayLike) -> np.ndarray:
    r"""Score every place by the query alone, whatever key stands there.

    Parameters
    ----------
    query : shape (..., d_q)
    keys : shape (..., n_k, d_k)
        Only their number matters.
    w : shape (d_q, n_most)
        One column per place.

    Returns
    -------
    shape (..., n_k)
        ``-inf`` for keys beyond the last column: the number of places is fixed with the
        parameters, and longer inputs are not seen to their end.

    Raises
    ------
    ValueError
        If a parameter does not fit, or the leading axes do not fit together.

    Notes
    -----
    Equation 8 of [1]_, :math:`a_t = \mathrm{softmax}(W_a h_t)` with :math:`W_a = w^\top`.

    References
    ----------
    .. [1] Luong, Pham and Manning, 2015, section 3.1. arXiv:1508.04025

    Examples
    --------
    >>> w = np.array([[1, 0, 0.5], [0, 1, 0.5]])
    >>> location([1, 2], np.zeros((3, 5)), w=w), location([1, 2], np.zeros((4, 5)), w=w)
    (array([1. , 2. , 1.5]), array([ 1. ,  2. ,  1.5, -inf]))
    """
    query, keys, dtype = _inputs(query, keys, same_width=False)
    n_most = width_of(w, "w")
    w = parameter(w, (query.shape[-1], n_most), "w", query.dtype)
    leading, n_k = np.broadcast_shapes(query.shape[:-1], keys.shape[:-2]), keys.shape[-2]
    scores = np.full((*leading, n_k), -np.inf, dtype=query.dtype)
    scores[..., :n_most] = (query @ w)[..., :n_k]
    return scores.astype(dtype, copy=False)


def general(query: ArrayLike, keys: ArrayLike, *, w: ArrayLike) -> np.ndarray:
    r"""Score by a product that goes through a matrix.

    Parameters
    ----------
    query : shape (..., d_q)
    keys : shape (..., n_k, d_k)
    w : shape (d_q, d_k)

    Returns
    -------
    shape (..., n_k)

    Raises
    ------
    ValueError
        If a parameter does not fit, or the leading axes do not fit together.

    Notes
    -----
    :math:`h_t^\top W_a \bar h_s`, the second score of section 3.1 of [1]_. With :math:`W_a = W^Q {W^K}^\top`
    this is what a Transformer's head computes before it divides by :math:`\sqrt{d_k}`.

    References
    ----------
    .. [1] Luong, Pham and Manning, 2015. arXiv:1508.04025

    Examples
    --------
    >>> general([1, 2], [[2, 0], [1, 1], [-1, 2]], w=[[1, 0.5], [0, 1]])
    array([2. , 3.5, 4. ])
    """
    query, keys, dtype = _inputs(query, keys, same_width=False)
    w = parameter(w, (query.shape[-1], keys.shape[-1]), "w", query.dtype)
    return _products(query @ w, keys).astype(dtype, copy=False)


def dot(query: ArrayLike, keys: ArrayLike) -> np.ndarray:
    r"""Score by the plain product of query and key.

    Parameters
    ----------
    query : shape (..., d)
    keys : shape (..., n_k, d)

    Returns
    -------
    shape (..., n_k)

    Raises
    ------
    ValueError
        If query and keys differ in width, or their leading axes do not fit together.

    Notes
    -----
    :math:`h_t^\top \bar h_s`, the first score of section 3.1 of [1]_.

    References
    ----------
    .. [1] Luong, Pham and Manning, 2015. arXiv:1508.04025

    Examples
    --------
    >>> dot([1, 2], [[2, 0], [1, 1], [-1, 2]])
    array([2., 3., 3.])
    """
    query, keys, dtype = _inputs(query, keys)
    return _products(query, keys).astype(dtype, copy=False)


def scaled_dot(query: ArrayLike, keys: ArrayLike) -> np.ndarray:
    r"""Score by the product of query and key over the square root of their width.

    Parameters
    ----------
    query : shape (..., d)
    keys : shape (..., n_k, d)

    Returns
    -------
    shape (..., n_k)

    Raises
    ------
    ValueError
        If query and keys differ in width, or their leading axes do not fit together.

    Notes
    -----
    :math:`q^\top k / \sqrt{d}`, equation 1 of [1]_, where :math:`d` is the width of a key and not the
    number of keys: a table of scores in wide use has :math:`\sqrt n` under letters that stood for
    the length of the input a few lines before.

    References
    ----------
    .. [1] Vaswani et al., 2017, section 3.2.1. arXiv:1706.03762

    Examples
    --------
    >>> scaled_dot([1, 2], [[2, 0], [1, 1], [-1, 2]]).round(6)
    array([1.414214, 2.12132 , 2.12132 ])
    """
    query, keys, dtype = _inputs(query, keys)
    return (_products(query, keys) / math.sqrt(query.shape[-1])).astype(dtype, copy=False)


class Score(NamedTuple):
    """One way of matching a query with keys: all that is known of it but how it is computed."""

    name: str
    title: str
    score: Callable  # (query, keys, **parameters) -> (..., n_k)
    formula: str  # LaTeX; {q} and {k} stand for query and key, other braces are doubled
    reads: tuple  # what it reads of the query and of the keys, in words
    learns: str  # how many numbers it has to learn, as LaTeX
    parameters: dict  # name -> shape, in names of widths
    example: dict  # parameters for vectors of two numbers, to check by hand
    source: str
    in_numpy: str  # lines that bind ``scores`` (n,) for one ``query`` (d,) and ``keys`` (n, d), with numpy alone

    def draw_parameters(self, rng: np.random.Generator, **widths: int) -> dict[str, np.ndarray]:
        """Draw parameters at random.

        Parameters
        ----------
        rng : numpy.random.Generator
        **widths : int
            What the names of widths in ``parameters`` stand for, such as ``d_q=2``; 3 where none is given.

        Returns
        -------
        dict of str to ndarray
        """
        return {
            name: rng.normal(size=[widths.get(width, 3) for width in shape]) for name, shape in self.parameters.items()
        }


# New rows last: random parameters are drawn in this order, and links hold the seed.
SCORES = {
    score.name: score
    for score in (
        Score(
            "content",
            "Content (cosine)",
            content,
            formula=r"\frac{{{q}^\top {k}}}{{\lVert {q} \rVert\,\lVert {k} \rVert}}",
            reads=("direction only", "direction only"),
            learns="0",
            parameters={},
            example={},
            in_numpy=(
                "lengths = np.linalg.norm(query) * np.linalg.norm(keys, axis=1)\n"
                "scores = keys @ query / lengths  # the cosine of the angle"
            ),
            source="Graves et al., 2014",
        ),
        Score(
            "additive",
            "Additive",
            additive,
            formula=r"v^\top \tanh(W {q} + U {k})",
            reads=("yes", "yes"),
            learns=r"d_{hidden}\,(d_q + d_k + 1)",
            parameters={"w_q": ("d_q", "d_hidden"), "w_k": ("d_k", "d_hidden"), "v": ("d_hidden",)},
            example={"w_q": [[1, 0], [0, 1]], "w_k": [[1, 0], [0, 1]], "v": [1, 1]},
            in_numpy=("hidden = np.tanh(query @ w_q + keys @ w_k)  # (n, d_hidden)\nscores = hidden @ v"),
            source="Bahdanau et al., 2015",
        ),
        Score(
            "location",
            "Location",
            location,
            formula=r"(W {q})_{{\text{{place}}}}",
            reads=("yes", "**no**"),
            learns=r"n_{most}\, d_q",
            parameters={"w": ("d_q", "n_most")},
            example={"w": [[1, 0, 0.5], [0, 1, 0.5]]},
            in_numpy=(
                "scores = np.full(len(keys), -np.inf)  # beyond the last column\n"
                "scores[: w.shape[1]] = (query @ w)[: len(keys)]  # whatever the keys are"
            ),
            source="Luong et al., 2015",
        ),
        Score(
            "general",
            "General",
            general,
            formula=r"{q}^\top W\, {k}",
            reads=("yes", "yes"),
            learns=r"d_q\, d_k",
            parameters={"w": ("d_q", "d_k")},
            example={"w": [[1, 0.5], [0, 1]]},
            in_numpy="scores = keys @ (query @ w)",
            source="Luong et al., 2015",
        ),
        Score(
            "dot",
            "Dot",
            dot,
            formula=r"{q}^\top {k}",
            reads=("yes", "yes"),
            learns="0",
            parameters={},
            example={},
            in_numpy="scores = keys @ query",
            source="Luong et al., 2015",
        ),
        Score(
            "scaled_dot",
            "Scaled dot",
            scaled_dot,
            formula=r"\frac{{{q}^\top {k}}}{{\sqrt{{d}}}}",
            reads=("yes", "yes"),
            learns="0",
            parameters={},
            example={},
            in_numpy="scores = keys @ query / np.sqrt(len(query))",
            source="Vaswani et al., 2017",
        ),
    )
}


def soft_read(weights: ArrayLike, values: ArrayLike) -> np.ndarray:
    r"""Read all values at once, each by its weight.

    Parameters
    ----------
    weights : shape (..., n_k)
    values : shape (..., n_k, d_v)

    Returns
    -------
    shape (..., d_v)
        What hard reads are on average.

    Raises
    ------
    ValueError
        If there is not one weight per value.

    Notes
    -----
    :math:`\hat z = \sum_i \alpha_i a_i`, section 4.2 of [1]_. Every weight has a derivative, so
    that it is trained by plain backpropagation.

    References
    ----------
    .. [1] Xu et al., 2015. arXiv:1502.03044

    Examples
    --------
    >>> soft_read([0.1, 0.7, 0.2], [[1, 0], [0, 2], [4, 4]])
    array([0.9, 2.2])
    """
    weights, values, dtype = _weighted(weights, values)
    return (weights[..., None, :] @ values)[..., 0, :].astype(dtype, copy=False)


class HardReads(NamedTuple):
    """Reads of one place each, drawn by the weights."""

    places: np.ndarray  # (count,) which value was read
    reads: np.ndarray  # (count, d_v)
    running_mean: np.ndarray  # (count, d_v) mean of the reads so far


def hard_reads(weights: ArrayLike, values: ArrayLike, rng: np.random.Generator, count: int = 1) -> HardReads:
    r"""Read one value at a time, drawn with the weights as probabilities.

    Parameters
    ----------
    weights : shape (n_k,)
    values : shape (n_k, d_v)
    rng
    count
        How many reads.

    Raises
    ------
    ValueError
        If there is not one weight per value, weights are no probabilities, or `count` is below 1.

    Notes
    -----
    Section 4.1 of [1]_. A drawn place has no derivative by the weights; the paper trains through it
    with a sampled gradient (REINFORCE), less a baseline, plus the entropy of the weights.

    References
    ----------
    .. [1] Xu et al., 2015. arXiv:1502.03044

    Examples
    --------
    >>> drawn = hard_reads([0, 1, 0], [[1, 0], [0, 2], [4, 4]], np.random.default_rng(0), 3)
    >>> drawn.places, drawn.running_mean[-1]
    (array([1, 1, 1]), array([0., 2.]))
    """
    weights, values, dtype = _weighted(weights, values)
    if values.ndim != 2:
        raise ValueError(f"values must be (n_k, d_v), got {values.shape}")
    if weights.ndim != 1 or (weights < 0).any() or not math.isclose(weights.sum(), 1, abs_tol=1e-5):
        raise ValueError(f"weights must be one row of probabilities that sum to 1, got {weights.tolist()!r:.80}")
    count = whole_number("count", count, least=1)
    probabilities = weights.astype(np.float64) / weights.sum(dtype=np.float64)  # to the last digit, for the generator
    places = rng.choice(weights.size, size=count, p=probabilities)
    reads = values[places]  # (count, d_v)
    running_mean = reads.cumsum(axis=0) / np.arange(1, count + 1, dtype=reads.dtype)[:, None]
    return HardReads(places, reads.astype(dtype, copy=False), running_mean.astype(dtype, copy=False))


def hard_variance(weights: ArrayLike, values: ArrayLike) -> np.ndarray:
    r"""Return by how much single hard reads vary around the soft read.

    Parameters
    ----------
    weights : shape (..., n_k)
    values : shape (..., n_k, d_v)

    Returns
    -------
    shape (..., d_v)
        :math:`\sum_i \alpha_i (a_i - \hat z)^2`; the mean of n reads varies by an n-th of it.

    Raises
    ------
    ValueError
        If there is not one weight per value.

    Examples
    --------
    >>> hard_variance([0.1, 0.7, 0.2], [[1, 0], [0, 2], [4, 4]]).round(6)
    array([2.49, 1.16])
    """
    weights, values, dtype = _weighted(weights, values)
    apart = (values - soft_read(weights, values)[..., None, :]) ** 2  # (..., n_k, d_v)
    return soft_read(weights, apart).astype(dtype, copy=False)


def doubly_stochastic_penalty(weights: ArrayLike, strength: float = 1.0) -> np.ndarray:
    r"""Return how far a whole sequence of looks is from giving every place the same attention.

    Parameters
    ----------
    weights : shape (..., n_steps, n_k)
        Each row sums to 1; the penalty asks the columns to do so too.
    strength
        :math:`\lambda`.

    Returns
    -------
    shape (...)

    Raises
    ------
    ValueError
        If `weights` has one axis only, or `strength` is not a finite number.

    Notes
    -----
    :math:`\lambda \sum_i (1 - \sum_t \alpha_{ti})^2`, section 4.2.1 of [1]_, added to the loss.

    References
    ----------
    .. [1] Xu et al., 2015. arXiv:1502.03044

    Examples
    --------
    >>> doubly_stochastic_penalty(np.eye(3)).item(), doubly_stochastic_penalty([[1.0, 0], [1, 0]]).item()
    (0.0, 2.0)
    """
    (weights,), dtype = as_floats(weights=weights)
    if weights.ndim < 2:
        raise ValueError(f"weights must have axes (..., n_steps, n_k), got {weights.shape}")
    missing = 1 - weights.sum(axis=-2)  # (..., n_k)
    return np.asarray(finite_number(strength, "strength") * (missing**2).sum(axis=-1), dtype=dtype)


def _inputs(query: ArrayLike, keys: ArrayLike, same_width: bool = True) -> tuple[np.ndarray, np.ndarray, np.dtype]:
    """Return query and keys in the type to compute in, and the type to return, or say what does not fit."""
    d_q, d_k = width_of(query, "query"), width_of(keys, "keys", axes=2)
    (query, keys), dtype = as_floats(query=query, keys=keys)
    if same_width and d_q != d_k:
        raise ValueError(f"query and keys must have one width, got query {query.shape} and keys {keys.shape}")
    try:
        np.broadcast_shapes(query.shape[:-1], keys.shape[:-2])
    except ValueError:
        raise ValueError(
            f"query and keys must have leading axes that fit together, got query {query.shape} and keys {keys.shape}"
        ) from None
    return query, keys, dtype


def _products(query, keys):
    """Return the product of each query with each of its keys, (..., n_k)."""
    return (keys @ query[..., None])[..., 0]


def _directions(vectors):
    """Return vectors divided by their lengths; a vector of 0 stays 0."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def _weighted(weights: ArrayLike, values: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.dtype]:
    """Return weights and values in the type to compute in, or say that they do not fit."""
    (weights, values), dtype = as_floats(weights=weights, values=values)
    if weights.ndim < 1 or values.ndim < 2 or weights.shape[-1] != values.shape[-2]:
        raise ValueError(f"there must be one weight per value, got weights {weights.shape} and values {values.shape}")
    return weights, values, dtype
