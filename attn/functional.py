"""Softmax, its relatives, and the handling of numbers and shapes that every mechanism shares."""

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def as_floats(*arrays: ArrayLike) -> tuple[list[np.ndarray], np.dtype]:
    """Return the arrays as one floating-point type to compute in, and the type to return.

    float32 stays float32, float16 is computed in float32 and returned as float16,
    integers and booleans become float64.

    Parameters
    ----------
    *arrays
        Real numbers of any shape.

    Returns
    -------
    arrays : list of ndarray
        The inputs in the type to compute in.
    dtype : numpy.dtype
        The type in which results are to be returned.

    Raises
    ------
    ValueError
        If an array is ragged or does not hold real numbers.

    Examples
    --------
    >>> (x,), dtype = as_floats([1, 2, 3])
    >>> x.dtype.name, dtype.name
    ('float64', 'float64')
    """
    real = [as_real(array) for array in arrays]
    dtype = np.result_type(*(a.dtype if a.dtype.kind == "f" else np.float64 for a in real))
    compute = np.float32 if dtype == np.float16 else dtype
    return [a.astype(compute, copy=False) for a in real], dtype


def as_real(array: ArrayLike) -> np.ndarray:
    """Return `array` as an ndarray of real numbers, in whatever type it came.

    Raises
    ------
    ValueError
        If `array` is ragged or does not hold real numbers.

    Examples
    --------
    >>> as_real([True, False]).dtype.name
    'bool'
    """
    try:
        array = np.asarray(array)
    except ValueError:
        raise ValueError("an array must have rows of equal length, got ragged rows") from None
    if array.dtype.kind not in "fiub":
        raise ValueError(f"an array must hold real numbers, got {array.dtype}")
    return array


def whole_number(name: str, number: Any, least: int = 0) -> int:
    """Return `number` as an int of at least `least`."""
    try:
        whole = operator.index(number)
    except TypeError:
        whole = None
    if whole is None or whole < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {number!r}")
    return whole


def finite_number(number: Any, name: str, above: float = -math.inf) -> float:
    """Return `number` as a finite float greater than `above`."""
    try:
        finite = float(number)
    except (TypeError, ValueError):
        finite = math.nan
    if not above < finite < math.inf:
        kind = "a finite number" if above == -math.inf else "positive and finite"
        raise ValueError(f"{name} must be {kind}, got {number!r}")
    return finite


def broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Say whether an array of one shape broadcasts to another without adding to it.

    Examples
    --------
    >>> broadcasts((1, 5), (3, 5)), broadcasts((2, 3, 5), (3, 5)), broadcasts((2, 5), (3, 5))
    (True, False, False)
    """
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def softmax(scores: ArrayLike, axis: int = -1, *, sinks: ArrayLike | None = None) -> np.ndarray:
    r"""Turn scores into weights that are positive and sum to 1.

    Parameters
    ----------
    scores
        Any shape; ``-inf`` marks an entry that must get no weight, and entries of ``inf`` share all
        of it.
    axis
        The axis that sums to 1: for attention the key axis.
    sinks
        Scores of one more entry, which takes its share and is left out, so that what remains sums to
        less than 1. Broadcastable to `scores` with 1 in place of `axis`; ``-inf`` takes nothing.

    Returns
    -------
    ndarray
        Same shape. Entries whose scores are all ``-inf`` along `axis` are all 0, never NaN.

    Raises
    ------
    ValueError
        If `sinks` does not fit.

    Notes
    -----
    :math:`a_j = e^{s_j - m} / \sum_k e^{s_k - m}` with :math:`m = \max_k s_k`. Subtracting the
    largest score changes nothing in exact arithmetic and keeps the exponential from overflowing.

    A sink :math:`s_0` makes it :math:`a_j = e^{s_j} / (e^{s_0} + \sum_k e^{s_k})`: trained, one a
    head, in [1]_, section 2; fixed at 0 it is the softmax "off by one" of [2]_, whose sum below
    begins with 1.

    References
    ----------
    .. [1] OpenAI, gpt-oss model card, 2025. arXiv:2508.10925
    .. [2] Miller, Attention Is Off By One, 2023.

    Examples
    --------
    >>> softmax([1.0, 2.0, 3.0]).round(6)
    array([0.090031, 0.244728, 0.665241])
    >>> softmax([1001.0, 1002.0, 1003.0]).round(6)
    array([0.090031, 0.244728, 0.665241])
    >>> softmax([-np.inf, -np.inf])
    array([0., 0.])
    >>> softmax([0.0, 0.0], sinks=0)
    array([0.33333333, 0.33333333])
    """
    (scores,), dtype = as_floats(scores)
    largest = scores.max(axis=axis, keepdims=True, initial=-np.inf)
    if sinks is not None:
        sinks = fitted_sinks(sinks, largest.shape, scores.dtype)
        largest = np.maximum(largest, sinks)
    largest = np.where(np.isneginf(largest), 0, largest)
    exponentials = _exponentials(scores, largest)
    total = exponentials.sum(axis=axis, keepdims=True)
    if sinks is not None:
        total = total + _exponentials(sinks, largest)
    weights = np.divide(exponentials, total, out=np.zeros_like(exponentials), where=total != 0)
    return weights.astype(dtype, copy=False)


def fitted_sinks(sinks: ArrayLike, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return sinks in the type to compute in, if they broadcast to a number a row of scores."""
    (sinks,), _ = as_floats(sinks)
    if not broadcasts(sinks.shape, shape):
        raise ValueError(f"sinks must broadcast to {shape}, a number a row of scores, got {sinks.shape}")
    return sinks.astype(dtype, copy=False)


def _exponentials(scores, largest):
    """Return exponentials below the largest score; where both are infinite their difference is 0, not NaN."""
    out = np.zeros(np.broadcast_shapes(scores.shape, largest.shape), dtype=scores.dtype)
    return np.exp(np.subtract(scores, largest, out=out, where=scores != largest))


def softmax_jacobian(weights: ArrayLike) -> np.ndarray:
    r"""Return the derivative of each weight by each score.

    Parameters
    ----------
    weights : shape (..., n_k)
        The output of `softmax`.

    Returns
    -------
    shape (..., n_k, n_k)
        :math:`\partial a_i / \partial s_j = a_i (\delta_{ij} - a_j)`; every row sums to 0.

    Examples
    --------
    >>> softmax_jacobian(softmax([1.0, 2.0, 3.0])).diagonal().round(6)
    array([0.081925, 0.184836, 0.222695])
    """
    (weights,), dtype = as_floats(weights)
    identity = np.eye(weights.shape[-1], dtype=weights.dtype)
    jacobian = weights[..., :, None] * (identity - weights[..., None, :])
    return jacobian.astype(dtype, copy=False)


def share_of_sum(scores: ArrayLike) -> np.ndarray:
    r"""Divide every score by their sum: what softmax is better than.

    Parameters
    ----------
    scores : shape (..., n_k)

    Returns
    -------
    shape (..., n_k)
        :math:`s_j / \sum_k s_k`; rows sum to 1, but a negative score becomes a negative share, and where
        scores nearly cancel the shares have no bound. Zeros where the sum is 0.

    Examples
    --------
    >>> share_of_sum([1.0, 2.0, 5.0])
    array([0.125, 0.25 , 0.625])
    """
    (scores,), dtype = as_floats(scores)
    total = scores.sum(axis=-1, keepdims=True)
    return np.divide(scores, total, out=np.zeros_like(scores), where=total != 0).astype(dtype, copy=False)


def sigmoid(x: np.ndarray) -> np.ndarray:
    r"""Return :math:`1 / (1 + e^{-x})` without overflow.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return (1 + np.tanh(x / 2)) / 2


def layer_norm(x: np.ndarray, gain: ArrayLike, bias: ArrayLike, epsilon: float = 1e-5) -> np.ndarray:
    r"""Bring every row to mean 0 and variance 1, then stretch and shift it as trained.

    Parameters
    ----------
    x : shape (..., d_model)
    gain, bias : shape (d_model,)
    epsilon

    Returns
    -------
    shape (..., d_model)

    Notes
    -----
    :math:`(x - \mu) / \sqrt{\sigma^2 + \epsilon} \cdot g + b`, equation 4 of [1]_.

    References
    ----------
    .. [1] Ba et al., 2016. arXiv:1607.06450

    Examples
    --------
    >>> layer_norm(np.array([1.0, 2.0, 3.0, 4.0]), 1.0, 0.0).round(6)
    array([-1.341635, -0.447212,  0.447212,  1.341635])
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(epsilon)) * gain + bias


def width_of(array: ArrayLike, name: str, axes: int = 1) -> int:
    """Return the size of the last axis, or say that there are too few axes or numbers."""
    shape = np.shape(array)
    if len(shape) < axes or shape[-1] == 0:
        wanted = "(..., d)" if axes == 1 else "(..., n_k, d)"
        raise ValueError(f"{name} must have axes {wanted} with d >= 1, got {shape}")
    return shape[-1]


def parameter(array: ArrayLike, shape: tuple[int, ...], name: str, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a parameter in the type to compute in, or say that its shape does not fit."""
    (array,), own = as_floats(array)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array.astype(dtype or own, copy=False)
