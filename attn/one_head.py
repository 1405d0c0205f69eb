"""One head walked from tokens to context, every step kept."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.dot_product import scaled_dot_product_attention
from attn.functional import as_floats, as_real, broadcasts, check_projections, finite_number
from attn.positions import Turn, turned


class Steps(NamedTuple):
    """One head's way from embeddings to context."""

    x: np.ndarray  # (n, d_model) one row per token
    added: np.ndarray  # (n, d_model) positions added to the tokens, 0 where there are none
    inputs: np.ndarray  # (n, d_model) x + added, what is projected
    unrotated_query: np.ndarray  # (n, d_k) as projected
    unrotated_key: np.ndarray  # (n, d_k) as projected
    query: np.ndarray  # (n, d_k) turned, where positions rotate
    key: np.ndarray  # (n, d_k) turned, where positions rotate
    value: np.ndarray  # (n, d_v)
    products: np.ndarray  # (n, n) query @ key.T
    scores: np.ndarray  # (n, n) products / divisor
    biased: np.ndarray  # (n, n) scores + bias
    masked_scores: np.ndarray  # (n, n) -inf where hidden
    weights: np.ndarray  # (n, n) softmax(masked_scores / temperature)
    context: np.ndarray  # (n, d_v)


def walk(
    x: ArrayLike,
    w_q: ArrayLike,
    w_k: ArrayLike,
    w_v: ArrayLike,
    *,
    b_q: ArrayLike = 0,
    b_k: ArrayLike = 0,
    b_v: ArrayLike = 0,
    added: ArrayLike | None = None,
    rotate: Turn | tuple[Turn, Turn] | None = None,
    bias: ArrayLike | Callable[[np.ndarray], np.ndarray] | None = None,
    mask: ArrayLike | None = None,
    divisor: float | None = None,
    temperature: float = 1.0,
) -> Steps:
    r"""Walk one head through every step of self-attention.

    Parameters
    ----------
    x : shape (n, d_model)
        One embedding per token.
    w_q, w_k : shape (d_model, d_k)
    w_v : shape (d_model, d_v)
    b_q, b_k, b_v
        Added to the projections.
    added : shape (n, d_model)
        Positions that are added to the embeddings, such as sinusoidal ones.
    rotate
        Positions that turn queries and keys, such as rotary ones; takes and returns (n, d_k). A pair
        where keys are turned in another way.
    bias : shape (n, n)
        Positions that are added to the scores, such as ALiBi; or a function that makes them of the
        queries (n, d_k), such as `attn.positions.shaw_bias`.
    mask : booleans, shape (n, n)
        True where a query may look at a key.
    divisor
        What the products are divided by; ``sqrt(d_k)`` by default.
    temperature
        What the scores are divided by once more before the softmax: below 1 sharpens, above 1
        flattens.

    Raises
    ------
    ValueError
        If shapes do not fit, or `divisor` or `temperature` is not a positive number.

    Notes
    -----
    Equation 1 of [1]_ with the parts of its section 3.2.1 named; the temperature is that of [2]_,
    section 2.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762
    .. [2] Hinton et al., 2015. arXiv:1503.02531

    Examples
    --------
    >>> from attn.data.examples import worked_example
    >>> e = worked_example()
    >>> steps = walk(e.x, e.w_q, e.w_k, e.w_v)
    >>> steps.weights[1].round(4)
    array([0.0386, 0.687 , 0.0204, 0.084 , 0.147 , 0.0229], dtype=float32)
    """
    temperature = finite_number(temperature, "temperature", above=0)
    (x, w_q, w_k, w_v), _ = as_floats(x=x, w_q=w_q, w_k=w_k, w_v=w_v)
    check_projections(x, w_q=w_q, w_k=w_k, w_v=w_v)
    added = np.zeros_like(x) if added is None else _fitting("added", added, x.shape).astype(x.dtype, copy=False)
    b_q, b_k, b_v = (
        _fitting(name, b, (len(x), w.shape[1])).astype(x.dtype, copy=False)
        for name, b, w in (("b_q", b_q, w_q), ("b_k", b_k, w_k), ("b_v", b_v, w_v))
    )
    inputs = x + added  # (n, d_model)
    unrotated_query, unrotated_key, value = inputs @ w_q + b_q, inputs @ w_k + b_k, inputs @ w_v + b_v
    query, key = turned(unrotated_query, unrotated_key, rotate)
    divisor = math.sqrt(query.shape[-1]) if divisor is None else finite_number(divisor, "divisor", above=0)
    bias = as_real(0.0 if bias is None else bias(query) if callable(bias) else bias, "bias")

    attention = scaled_dot_product_attention(
        query, key, value, mask, bias=bias / temperature, scale=1 / (divisor * temperature)
    )
    products = query @ key.T
    scores = products / divisor
    biased = scores + bias.astype(scores.dtype)
    masked_scores = np.where(np.isneginf(attention.masked_scores), -np.inf, biased)
    return Steps(
        x=x,
        added=added,
        inputs=inputs,
        unrotated_query=unrotated_query,
        unrotated_key=unrotated_key,
        query=query,
        key=key,
        value=value,
        products=products,
        scores=scores,
        biased=biased,
        masked_scores=masked_scores,
        weights=attention.weights,
        context=attention.context,
    )


def _fitting(name, array, shape):
    """Return an array that is added to another of this shape."""
    array = as_real(array, name)
    if not broadcasts(array.shape, shape):
        raise ValueError(f"{name} must broadcast to {shape}, got {array.shape}")
    return array
