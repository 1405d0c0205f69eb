"""How much an output hangs on each token, attention or not: small changes, measured."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, finite_number, parameter, whole_number


def gradient_times_input(function: Callable[[np.ndarray], float], x: ArrayLike, *, step: float = 1e-5) -> np.ndarray:
    r"""Return how much an output changes as each token's vector grows.

    Parameters
    ----------
    function
        Takes (n, d_model) and returns one number.
    x : shape (n, d_model)
    step
        By how large a share a vector is made longer and shorter.

    Returns
    -------
    shape (n,)
        The change per share of growth: the gradient by a token's vector, times that vector.

    Raises
    ------
    ValueError
        If `x` is no matrix, or `step` not positive.

    Notes
    -----
    :math:`\sum_k x_{jk}\, \partial y / \partial x_{jk}` [1]_, which is the derivative of :math:`y` as
    row :math:`j` is multiplied by :math:`1 + s`; central differences, two passes a token.

    References
    ----------
    .. [1] Shrikumar et al., 2016. arXiv:1605.01713

    Examples
    --------
    >>> gradient_times_input(lambda x: (x[0] * x[1]).sum() + x[2, 0], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).round(6)
    array([11., 11.,  5.])
    """
    (x,), _ = as_floats(x=x)
    if x.ndim != 2:
        raise ValueError(f"x must be (n, d_model), got {x.shape}")
    x, step = x.astype(np.float64, copy=False), finite_number(step, "step", above=0)
    changes = np.empty(len(x))
    for token in range(len(x)):
        longer, shorter = x.copy(), x.copy()
        longer[token] *= 1 + step
        shorter[token] *= 1 - step
        changes[token] = (function(longer) - function(shorter)) / (2 * step)
    return changes


def moved_rows(
    function: Callable[[np.ndarray], np.ndarray], x: ArrayLike, token: int, replacement: ArrayLike | None = None
) -> np.ndarray:
    """Replace one token's vector, and say how far each row of the output moves.

    Parameters
    ----------
    function
        Takes (n, d_model) and returns one row per token, (n, anything).
    x : shape (n, d_model)
    token
    replacement : shape (d_model,)
        What takes its place; by default its own numbers in the reverse order.

    Returns
    -------
    shape (n,)
        The length of each row's change.

    Raises
    ------
    ValueError
        If there is no such token.

    Examples
    --------
    >>> moved_rows(lambda x: x.cumsum(axis=0), [[1.0, 0.0], [3.0, 4.0], [5.0, 6.0]], token=1).round(3)
    array([0.   , 1.414, 1.414])
    """
    (x,), _ = as_floats(x=x)
    if x.ndim != 2:
        raise ValueError(f"x must be (n, d_model), got {x.shape}")
    token = whole_number("token", token, most=len(x) - 1)
    other = x.copy()
    other[token] = x[token, ::-1] if replacement is None else parameter(replacement, x.shape[1:], "replacement")
    return np.linalg.norm(np.asarray(function(other)) - np.asarray(function(x)), axis=-1)


def rank_agreement(one: ArrayLike, other: ArrayLike) -> float:
    """Say how alike two rows of numbers rank the same things, from -1 to 1.

    Parameters
    ----------
    one, other : shape (n,)

    Returns
    -------
    float
        Spearman's correlation of ranks, ties sharing their mean rank; NaN where all of a row are equal.

    Raises
    ------
    ValueError
        If the rows differ in length.

    Examples
    --------
    >>> rank_agreement([0.1, 0.2, 0.7], [5, 6, 100]), rank_agreement([1, 2, 3], [3, 2, 1])
    (1.0, -1.0)
    """
    (one, other), _ = as_floats(one=one, other=other)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"one and other must be rows of equal length, got {one.shape} and {other.shape}")
    a, b = (_ranks(row) - (row.size - 1) / 2 for row in (one, other))
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else float("nan")


def _ranks(row):
    """Return the place of each number, from 0; equal ones share the mean of theirs."""
    ordered = np.sort(row)
    return (np.searchsorted(ordered, row, "left") + np.searchsorted(ordered, row, "right") - 1) / 2
