"""How a mask can be applied: two routes that are right, and look-alikes that are not.

Every route takes ``scores`` (..., n_q, n_k), already scaled, ``value`` (..., n_k, d_v) and
``visible``, boolean and broadcastable to the scores, and returns a `RoutedAttention`. A row with
nothing left is 0, never NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.analysis import Leak, leak_test
from attn.dot_product import scaled_dot_product_attention
from attn.functional import as_floats, as_real, check_projections, softmax


class RoutedAttention(NamedTuple):
    """What a route shows and what comes out of it."""

    weights: np.ndarray  # (..., n_q, n_k)
    context: np.ndarray  # (..., n_q, d_v)


class Route(NamedTuple):
    """One way of applying a mask."""

    name: str
    title: str
    right: bool  # whether hidden tokens have no influence
    why: str  # one sentence
    attend: Callable  # (scores, value, visible) -> RoutedAttention


def before(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    """Set hidden scores to -inf, then softmax.

    Notes
    -----
    :math:`e^{-\\infty} = 0`, so a hidden key is in neither the numerator nor the sum below it.

    Examples
    --------
    >>> before([[0.0, 0.0, 9.0]], np.eye(3), [[True, True, False]]).weights
    array([[0.5, 0.5, 0. ]])
    """
    scores, value, visible, dtype = _inputs(scores, value, visible)
    return _read(softmax(np.where(visible, scores, -np.inf)), value, dtype)


def after(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    r"""Softmax, set hidden weights to 0, then divide each row by what is left of it.

    Notes
    -----
    The same as `before`: with Z the sum over all keys and Z' that over the visible ones, what is
    left of a row is Z'/Z, and :math:`(e^{s_j}/Z) / (Z'/Z) = e^{s_j}/Z'`. Hidden keys enter only
    through Z, which cancels. Only when a hidden score is so much larger than all visible ones that
    their weights round to 0 is there nothing left to divide by: the row comes out as 0.

    Examples
    --------
    >>> after([[0.0, 0.0, 9.0]], np.eye(3), [[True, True, False]]).weights
    array([[0.5, 0.5, 0. ]])
    """
    scores, value, visible, dtype = _inputs(scores, value, visible)
    kept = np.where(visible, softmax(scores), 0)
    total = kept.sum(axis=-1, keepdims=True)
    return _read(np.divide(kept, total, out=np.zeros_like(kept), where=total > 0), value, dtype)


def not_renormalised(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    """Softmax, set hidden weights to 0, and leave it at that: rows no longer sum to 1.

    Examples
    --------
    >>> not_renormalised([[0.0, 0.0, 0.0, 0.0]], np.eye(4), [[True, True, False, False]]).weights
    array([[0.25, 0.25, 0.  , 0.  ]])
    """
    scores, value, visible, dtype = _inputs(scores, value, visible)
    return _read(np.where(visible, softmax(scores), 0), value, dtype)


def zeroed_scores(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    """Set hidden scores to 0, then softmax: a score of 0 is no absence of weight.

    Examples
    --------
    >>> zeroed_scores([[0.0, 9.0]], np.eye(2), [[True, False]]).weights
    array([[0.5, 0.5]])
    """
    scores, value, visible, dtype = _inputs(scores, value, visible)
    return _read(softmax(np.where(visible, scores, 0)), value, dtype)


def zeroed_context(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    """Attend without a mask, then lay the mask over the context, as if features were keys.

    Features beyond the last key are treated as that key is.

    Examples
    --------
    >>> zeroed_context(np.zeros((3, 3)), np.ones((3, 2)), np.tri(3, dtype=bool)).context
    array([[1., 0.],
           [1., 1.],
           [1., 1.]])
    """
    scores, value, visible, dtype = _inputs(scores, value, visible)
    weights, context = _read(softmax(scores), value, dtype)
    columns = np.minimum(np.arange(context.shape[-1]), visible.shape[-1] - 1)
    return RoutedAttention(weights, np.where(visible[..., columns], context, 0).astype(dtype, copy=False))


def no_mask(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    """Forget the mask.

    Examples
    --------
    >>> no_mask([[0.0, 0.0]], np.eye(2), [[True, False]]).weights
    array([[0.5, 0.5]])
    """
    scores, value, _, dtype = _inputs(scores, value, visible)
    return _read(softmax(scores), value, dtype)


def self_hidden(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    """Hide the diagonal too, so that no token sees itself: ``triu(diagonal=0)`` in place of 1.

    With fewer queries than keys the queries are the last positions.

    Examples
    --------
    >>> self_hidden(np.zeros((3, 3)), np.eye(3), np.tri(3, dtype=bool)).weights
    array([[0. , 0. , 0. ],
           [1. , 0. , 0. ],
           [0.5, 0.5, 0. ]])
    """
    scores, value, visible, dtype = _inputs(scores, value, visible)
    n_q, n_k = scores.shape[-2:]
    others = visible & ~np.eye(n_q, n_k, k=n_k - n_q, dtype=bool)
    return _read(softmax(np.where(others, scores, -np.inf)), value, dtype)


def wrong_axis(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    """Set hidden scores to -inf, then softmax over the queries: columns sum to 1, rows do not.

    Examples
    --------
    >>> wrong_axis(np.zeros((2, 2)), np.eye(2), np.tri(2, dtype=bool)).weights
    array([[0.5, 0. ],
           [0.5, 1. ]])
    """
    scores, value, visible, dtype = _inputs(scores, value, visible)
    return _read(softmax(np.where(visible, scores, -np.inf), axis=-2), value, dtype)


def minus_1e9_added(scores: np.ndarray, value: np.ndarray, visible: np.ndarray) -> RoutedAttention:
    """Add -1e9 to hidden scores in float64, then softmax: a row with all hidden comes back unmasked.

    Examples
    --------
    >>> minus_1e9_added([[1.0, 2.0], [1.0, 2.0]], np.eye(2), [[True, False], [False, False]]).weights.round(3)
    array([[1.   , 0.   ],
           [0.269, 0.731]])
    """
    scores, value, visible, dtype = _inputs(scores, value, visible)
    return _read(softmax(scores + np.where(visible, 0.0, -1e9)).astype(scores.dtype), value, dtype)


ROUTES = {
    route.name: route
    for route in (
        Route(
            "before",
            "−∞ before the softmax",
            True,
            "A score of −∞ becomes a weight of exactly 0, and the rest share the whole row.",
            before,
        ),
        Route(
            "after",
            "Zero after the softmax, then renormalise",
            True,
            "Dividing each row by what is left of it cancels everything that hidden tokens had added to its sum.",
            after,
        ),
        Route(
            "not_renormalised",
            "Zero after the softmax, nothing more",
            False,
            "Hidden tokens still sit in the sum that each row was divided by, so they shrink what is left.",
            not_renormalised,
        ),
        Route(
            "zeroed_scores",
            "Zero the scores before the softmax",
            False,
            "The exponential of 0 is 1, so every hidden token keeps a real weight.",
            zeroed_scores,
        ),
        Route(
            "zeroed_context",
            "Zero the context instead of the weights",
            False,
            "The columns of the context are features, not tokens: features vanish and hidden tokens stay.",
            zeroed_context,
        ),
        Route(
            "no_mask",
            "No mask",
            False,
            "Every token sees every other one.",
            no_mask,
        ),
        Route(
            "self_hidden",
            "The diagonal hidden too",
            False,
            "Nothing leaks, but no token sees itself, and the first row of a causal mask has nothing left.",
            self_hidden,
        ),
        Route(
            "wrong_axis",
            "Softmax over the queries",
            False,
            "Columns sum to 1 instead of rows, so each query's weights depend on what the other queries ask.",
            wrong_axis,
        ),
        Route(
            "minus_1e9_added",
            "Add −1e9 in float64",
            False,
            "It passes for −∞ until a row has nothing left: then the −1e9 cancels and the row comes back unmasked.",
            minus_1e9_added,
        ),
    )
}


def leak(
    route: Route,
    x: ArrayLike,
    w_q: ArrayLike,
    w_k: ArrayLike,
    w_v: ArrayLike,
    visible: ArrayLike,
    token: int,
    replacement: ArrayLike | None = None,
) -> Leak:
    """Replace one token, and see which outputs of a route move that should not.

    Parameters
    ----------
    route
        One of `ROUTES`.
    x : shape (n, d_model)
    w_q, w_k : shape (d_model, d_k)
    w_v : shape (d_model, d_v)
    visible : booleans, shape (n, n)
    token
        Position of the token that is replaced.
    replacement : shape (d_model,)
        As in `attn.analysis.leak_test`.

    Examples
    --------
    >>> x, identity = np.eye(3), np.eye(3)
    >>> causal = np.tri(3, dtype=bool)
    >>> leak(ROUTES["before"], x, identity, identity, identity, causal, token=2).largest
    0.0
    >>> leak(ROUTES["no_mask"], x, identity, identity, identity, causal, token=2).largest > 0.1
    True
    """
    (x, w_q, w_k, w_v), _ = as_floats(x=x, w_q=w_q, w_k=w_k, w_v=w_v)
    check_projections(x, w_q=w_q, w_k=w_k, w_v=w_v)

    def context(tokens):
        value = tokens @ w_v
        scores = scaled_dot_product_attention(tokens @ w_q, tokens @ w_k, value).scores
        return route.attend(scores, value, visible).context

    return leak_test(context, x, visible, token, replacement)


def _inputs(scores, value, visible):
    """Return scores and value as floats of one type, the mask in the shape of the scores, and the type to return."""
    (scores, value), dtype = as_floats(scores=scores, value=value)
    visible = as_real(visible, "visible")
    if visible.dtype != bool:
        raise ValueError(f"visible must be boolean (True may look), got {visible.dtype}")
    try:
        return scores, value, np.broadcast_to(visible, scores.shape), dtype
    except ValueError:
        raise ValueError(f"visible must broadcast to the scores {scores.shape}, got {visible.shape}") from None


def _read(weights, value, dtype):
    """Return the weights with the context they give."""
    return RoutedAttention(weights.astype(dtype, copy=False), (weights @ value).astype(dtype, copy=False))
