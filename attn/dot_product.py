"""Scaled dot-product attention: scores -> weights -> context, every step by name."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, as_real, broadcasts, finite_number, softmax, whole_number
from attn.masks import Window, first_position, sliding_window
from attn.masks import causal as causal_mask
from attn.masks import top_k as top_k_mask


class Attention(NamedTuple):
    """Every step of one attention, queries down and keys across."""

    scores: np.ndarray  # (..., n_q, n_k) scaled and capped, before bias and mask
    masked_scores: np.ndarray  # (..., n_q, n_k) with the bias, -inf where hidden
    weights: np.ndarray  # (..., n_q, n_k) rows sum to 1, to less with a sink, to 0 where nothing may be seen
    context: np.ndarray  # (..., n_q, d_v)


def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    bias: ArrayLike | None = None,
    causal: bool = False,
    query_offset: int | None = None,
    window: Window | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    top_k: int | None = None,
    sinks: ArrayLike | None = None,
) -> Attention:
    r"""Attend from each query to every key it may see.

    Parameters
    ----------
    query : shape (..., num_heads, n_q, d_k) or (n_q, d_k)
    key : shape (..., num_kv_heads, n_k, d_k) or (n_k, d_k)
    value : shape (..., num_kv_heads, n_k, d_v) or (n_k, d_v)
        `num_heads` is a multiple of `num_kv_heads`; query head ``h`` reads key/value head
        ``h // (num_heads // num_kv_heads)``.
    mask : booleans, broadcastable to (..., n_q, n_k)
        True where a query may look at a key. Two axes, or as many as the scores.
    bias : broadcastable to (..., n_q, n_k)
        Added to the scaled scores. ``-inf`` hides, as a False in `mask` does.
    causal
        Query ``i`` stands at key position ``i + query_offset`` and sees that key and those
        before it.
    query_offset
        Position of the first query among the keys, for `causal` and `window`. By default
        ``n_k - n_q``: the queries are the last positions, as in cached decoding. 0 aligns the
        first query with the first key.
    window
        At most that many keys to the left and right of the query's own position; None on a side
        for no limit.
    scale
        Multiplies the dot products; by default ``1 / sqrt(d_k)``.
    softcap
        Squashes the scaled scores into (-softcap, softcap) by ``softcap * tanh(scores / softcap)``.
    top_k
        Of the keys that it may see, a query looks at those with so many largest scores, as
        `attn.masks.top_k` does.
    sinks : broadcastable to (..., n_q, 1)
        Scores of one more key that takes weight and gives nothing, as in `attn.softmax`: for one a
        head give the shape (num_heads, 1, 1), and 0 for the softmax "off by one". They are neither
        scaled nor capped.

    Returns
    -------
    Attention
        ``scores``, ``masked_scores`` and ``weights`` (..., n_q, n_k), ``context`` (..., n_q, d_v).
        A query that may see no key has weights and context of zero. Hidden keys change nothing,
        whatever they hold.

    Raises
    ------
    ValueError
        If query and key differ in d_k, key and value in n_k, heads do not divide, leading axes do
        not fit together, mask, bias or sinks do not fit the scores, or a number is out of range.

    Notes
    -----
    Equation 1 of [1]_, :math:`\mathrm{softmax}(QK^\top / \sqrt{d_k})\,V`, masked as in its
    section 3.2.3. Grouped key/value heads are those of [2]_, the cap that of [3]_, section 2, the k
    largest those of [4]_, sinks those of `attn.softmax`.

    Without masks, options and checks it is three lines:

    >>> rng = np.random.default_rng(0)
    >>> query, key, value = rng.normal(size=(2, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    >>> scores = query @ key.T / math.sqrt(query.shape[-1])
    >>> weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    >>> context = weights @ value
    >>> np.allclose(context, scaled_dot_product_attention(query, key, value).context)
    True

    References
    ----------
    .. [1] Vaswani et al., 2017, section 3.2.1. arXiv:1706.03762
    .. [2] Ainslie et al., 2023, section 2.2. arXiv:2305.13245
    .. [3] Gemma Team, 2024. arXiv:2408.00118
    .. [4] Zhao et al., 2019, explicit selection. arXiv:1912.11637

    Examples
    --------
    >>> keys = [[10, 0, 0], [0, 10, 0], [0, 0, 10], [0, 0, 10]]
    >>> values = [[1, 0], [10, 0], [100, 5], [1000, 6]]
    >>> attention = scaled_dot_product_attention([[0, 0, 10]], keys, values)
    >>> attention.weights.round(3)
    array([[0. , 0. , 0.5, 0.5]])
    >>> attention.context.round(3)
    array([[550. ,   5.5]])
    """
    (query, key, value), dtype = as_floats(query=query, key=key, value=value)
    key, value = _match_heads(query, key, value)
    n_q, n_k, d_k = query.shape[-2], key.shape[-2], query.shape[-1]
    scale = 1 / math.sqrt(d_k) if scale is None else finite_number(scale, "scale")
    query_offset = first_position(query_offset, n_q, n_k)

    with np.errstate(over="ignore", invalid="ignore"):  # hidden keys may hold anything
        scores = query @ key.swapaxes(-1, -2)  # (..., n_q, n_k)
        scores *= scale
        if softcap is not None:
            softcap = finite_number(softcap, "softcap", above=0)
            scores = softcap * np.tanh(scores / softcap)
        bias = _fitted(0 if bias is None else bias, scores, "bias")
        biased = scores + bias
    visible = _visible(mask, n_q, n_k, scores, causal, query_offset, window) & ~np.isneginf(bias)
    masked_scores = np.where(visible, biased, -np.inf).astype(scores.dtype, copy=False)
    if top_k is not None:
        visible = top_k_mask(masked_scores, whole_number("top_k", top_k, least=1)).visible
        masked_scores = np.where(visible, masked_scores, -np.inf).astype(scores.dtype, copy=False)
    weights = softmax(masked_scores, sinks=sinks)
    context = _weighted_sum(weights, value, visible)
    with np.errstate(over="ignore"):
        return Attention(*(a.astype(dtype, copy=False) for a in (scores, masked_scores, weights, context)))


def _match_heads(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check the shapes and repeat each key/value head for the query heads that share it."""
    leading_shape(query, key, value)
    return _repeated(key, query), _repeated(value, query)


def leading_shape(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> tuple[int, ...]:
    """Return the axes before the last two that attention has, refusing arrays that do not fit together."""
    for name, array in (("query", query), ("key", key), ("value", value)):
        if array.ndim < 2:
            raise ValueError(f"{name} must have at least two axes (n, d), got {array.shape}")
    if query.shape[-1] != key.shape[-1] or query.shape[-1] == 0:
        raise ValueError(f"query and key must share d_k >= 1, got query {query.shape} and key {key.shape}")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"key and value must share n_k, got key {key.shape} and value {value.shape}")
    if query.ndim > 2 and key.ndim > 2 and value.ndim > 2 and key.shape[-3] != value.shape[-3]:
        raise ValueError(f"key and value must share num_kv_heads, got key {key.shape} and value {value.shape}")
    leading = query.shape[:-2], _with_heads(key, query, "key"), _with_heads(value, query, "value")
    try:
        return np.broadcast_shapes(*leading)
    except ValueError:
        raise ValueError(
            f"query, key and value must have leading axes that fit together, "
            f"got {query.shape}, {key.shape} and {value.shape}"
        ) from None


def _with_heads(array, query, name):
    """Return the leading axes of a key or value once each query head has its own."""
    if not _is_grouped(array, query):
        return array.shape[:-2]
    num_heads, num_kv_heads = query.shape[-3], array.shape[-3]
    if num_kv_heads == 0 or num_heads % num_kv_heads:
        raise ValueError(
            f"num_heads must be a multiple of num_kv_heads, got query {query.shape} and {name} {array.shape}"
        )
    return (*array.shape[:-3], num_heads)


def _is_grouped(array, query):
    """Say whether several query heads share a head of a key or value; numpy broadcasts a single one by itself."""
    return query.ndim > 2 and array.ndim > 2 and array.shape[-3] not in (1, query.shape[-3])


def _repeated(array, query):
    """Repeat the heads of a key or value so that each query head has its own."""
    if not _is_grouped(array, query):
        return array
    return np.repeat(array, query.shape[-3] // array.shape[-3], axis=-3)  # (..., num_heads, n_k, d)


def _fitted(array: ArrayLike, scores: np.ndarray, name: str) -> np.ndarray:
    """Return `array` if it broadcasts to the scores without adding to their shape."""
    (array,), _ = as_floats(**{name: array})
    check_fit(array.shape, scores.shape, name)
    return array.astype(scores.dtype, copy=False)


def check_fit(shape: tuple[int, ...], scores_shape: tuple[int, ...], name: str) -> None:
    """Refuse an array that does not broadcast to the scores, or adds to their shape."""
    if not broadcasts(shape, scores_shape):
        raise ValueError(f"{name} must broadcast to the scores {scores_shape}, got {shape}")


def checked_mask(mask: ArrayLike, scores_shape: tuple[int, ...]) -> np.ndarray:
    """Return `mask` as an array that broadcasts to scores of this shape, refusing what is no mask."""
    mask = as_real(mask, "mask")
    if mask.dtype != bool:
        raise ValueError(f"mask must be boolean (True may look; give additive masks as bias), got {mask.dtype}")
    if mask.ndim not in (2, len(scores_shape)):
        raise ValueError(
            f"mask must have 2 axes or the {len(scores_shape)} of the scores {scores_shape}, got {mask.shape}"
        )
    check_fit(mask.shape, scores_shape, "mask")
    return mask


def _visible(mask, n_q, n_k, scores, causal, query_offset, window):
    """Combine mask, causal and window into one boolean array that broadcasts to the scores."""
    visible = np.ones((n_q, n_k), dtype=bool)
    if causal:
        visible &= causal_mask(n_q, n_k, query_offset=query_offset).visible
    if window is not None:
        visible &= sliding_window(n_q, n_k, window, query_offset=query_offset).visible
    return visible if mask is None else visible & checked_mask(mask, scores.shape)


def _weighted_sum(weights, value, visible):
    """Return weights @ value, where a hidden value that is not finite counts as nothing."""
    broken = ~np.isfinite(value)
    if not broken.any():
        return weights @ value  # (..., n_q, d_v)
    context = weights @ np.where(broken, 0, value)
    seen = visible.astype(value.dtype) @ broken.astype(value.dtype)  # how many broken values are in view
    return np.where(seen > 0, np.nan, context).astype(value.dtype, copy=False)
