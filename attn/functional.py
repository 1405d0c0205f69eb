"""Softmax, its relatives, and the handling of numbers and shapes that every mechanism shares."""

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

MOST = 2**31 - 1  # of whole numbers: no position, and no distance between two, leaves numpy's integers


def as_floats(*arrays: ArrayLike, **named: ArrayLike) -> tuple[list[np.ndarray], np.dtype]:
    """Return the arrays as one floating-point type to compute in, and the type to return.

    float32 stays float32, float16 is computed in float32 and returned as float16,
    integers and booleans become float64.

    Parameters
    ----------
    *arrays
        Real numbers of any shape.
    **named
        The same, each by the name that an error calls it.

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
    real = [as_real(array) for array in arrays] + [as_real(array, name) for name, array in named.items()]
    dtype = np.result_type(*(a.dtype if a.dtype.kind == "f" else np.float64 for a in real))
    compute = np.float32 if dtype == np.float16 else dtype
    return [a.astype(compute, copy=False) for a in real], dtype


def as_real(array: ArrayLike, name: str = "an array") -> np.ndarray:
    """Return `array` as an ndarray of real numbers, in whatever type it came.

    Parameters
    ----------
    array
    name
        What it is called in the error.

    Raises
    ------
    ValueError
        If `array` is ragged or does not hold real numbers.

    Examples
    --------
    >>> as_real([True, False]).dtype.name
    'bool'
    """
    array = as_array(array, name)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got {array.dtype}")
    return array


def as_array(array: ArrayLike, name: str = "an array") -> np.ndarray:
    """Return `array` as an ndarray of whatever it holds.

    Raises
    ------
    ValueError
        If it is ragged.
    """
    try:
        return np.asarray(array)
    except ValueError:
        raise ValueError(f"{name} must have rows of equal length, got ragged rows") from None


def with_axes(array: np.ndarray, name: str, axes: int) -> np.ndarray:
    """Return `array` if it has at least so many axes."""
    axes = whole_number("axes", axes)
    if array.ndim < axes:
        raise ValueError(f"{name} must have at least {axes} {'axes' if axes > 1 else 'axis'}, got shape {array.shape}")
    return array


def check_projections(x: np.ndarray, *, batched: bool = False, **matrices: np.ndarray) -> None:
    """Refuse matrices that do not project tokens (n, d_model), or (..., n, d_model) where they may be batched."""
    fits = x.ndim == 2 or (batched and x.ndim > 2)
    if not fits or any(w.ndim != 2 or w.shape[0] != x.shape[-1] for w in matrices.values()):
        shapes = ", ".join(str(array.shape) for array in (x, *matrices.values()))
        leading = "..., " if batched else ""
        raise ValueError(
            f"x must be ({leading}n, d_model) and {', '.join(matrices)} must have d_model rows, got {shapes}"
        )


def short_repr(given: Any) -> str:
    """Return what was given as one line of at most 80 characters, to be said in an error.

    Examples
    --------
    >>> short_repr(np.zeros((2, 2)))
    'array([[0., 0.], [0., 0.]])'
    """
    return " ".join(f"{given!r:.200}".split())[:80]


def several(name: str, items: Any) -> list:
    """Return a list of what is given one after another, or say that it must be."""
    try:
        return list(items)
    except TypeError:
        raise ValueError(f"{name} must be a sequence, got {short_repr(items)}") from None


def whole_number(name: str, number: Any, least: int = 0, most: int = MOST) -> int:
    """Return `number` as an int from `least` to `most`.

    Raises
    ------
    ValueError
        If it is no whole number, or out of range.

    Examples
    --------
    >>> whole_number("d_k", np.int64(64), least=1)
    64
    """
    try:
        whole = operator.index(number)
    except TypeError:
        whole = None
    if whole is None or not least <= whole <= most:
        raise ValueError(f"{name} must be {_range(whole, least, most)}, got {short_repr(number)}")
    return whole


def finite_number(
    number: Any,
    name: str,
    above: float = -math.inf,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """Return `number` as a finite float above and below two limits, or from one to another.

    Raises
    ------
    ValueError
        If it is no number, not finite, or out of range. A text is no number, even one of digits.

    Examples
    --------
    >>> finite_number(1, "gate", least=0, most=1)
    1.0
    """
    try:
        is_one = hasattr(number, "__float__") and np.ndim(number) == 0 and not np.iscomplexobj(number)
        finite = float(number) if is_one else math.nan
    except (TypeError, ValueError, OverflowError):
        finite = math.nan
    if not (math.isfinite(finite) and above < finite < below and least <= finite <= most):
        raise ValueError(f"{name} must be {_kind(above, least, most, below)}, got {short_repr(number)}")
    return finite


def _range(whole, least, most):
    """Say what a whole number must be: its upper limit where it was given, or exceeded."""
    if least == -MOST and whole is None:
        return "a whole number"
    above = most != MOST or (whole is not None and whole > most)
    return f"a whole number from {least} to {most}" if above else f"a whole number of at least {least}"


def _kind(above, least, most, below):
    """Say what a finite number must be."""
    if above == 0 and most == below == math.inf:
        return "positive and finite"
    if math.isfinite(least) and math.isfinite(most):
        return f"from {least} to {most}"
    limits = {"above": above, "at least": least, "at most": most, "below": below}
    return " and ".join(f"{words} {at}" for words, at in limits.items() if math.isfinite(at)) or "a finite number"


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
        If there is no such axis, or `sinks` does not fit.

    Notes
    -----
    :math:`a_j = e^{s_j - m} / \sum_k e^{s_k - m}` with :math:`m = \max_k s_k`. Subtracting the
    largest score changes nothing in exact arithmetic and keeps the exponential from overflowing.

    A sink :math:`s_0` makes it :math:`a_j = e^{s_j} / (e^{s_0} + \sum_k e^{s_k})`: trained, one a
    head, it is the learned bias in the denominator of [1]_; fixed at 0 the softmax "off by one" of
    [2]_, whose sum below begins with 1.

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
    (scores,), dtype = as_floats(scores=scores)
    with_axes(scores, "scores", 1)
    axis = whole_number("axis", axis, least=-scores.ndim, most=scores.ndim - 1)
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
    (sinks,), _ = as_floats(sinks=sinks)
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
    (weights,), dtype = as_floats(weights=weights)
    with_axes(weights, "weights", 1)
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
    (scores,), dtype = as_floats(scores=scores)
    with_axes(scores, "scores", 1)
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
        At least 0.

    Returns
    -------
    shape (..., d_model)

    Raises
    ------
    ValueError
        If `gain` or `bias` does not fit, or `epsilon` is negative.

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
    for name, array in (("gain", gain), ("bias", bias)):
        if not broadcasts(as_real(array, name).shape, x.shape):
            raise ValueError(f"{name} must broadcast to x {x.shape}, got {np.shape(array)}")
    epsilon = finite_number(epsilon, "epsilon", least=0)
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(epsilon)) * gain + bias


def rms_norm(x: np.ndarray, gain: ArrayLike, epsilon: float = 1e-6) -> np.ndarray:
    r"""Bring every row to a mean square of 1, then stretch it as trained.

    Parameters
    ----------
    x : shape (..., d_model)
    gain : shape (d_model,)
    epsilon
        At least 0.

    Returns
    -------
    shape (..., d_model)

    Raises
    ------
    ValueError
        If `gain` does not fit, or `epsilon` is negative.

    Notes
    -----
    :math:`x / \sqrt{\overline{x^2} + \epsilon} \cdot g`, equation 4 of [1]_: layer norm without the mean.

    References
    ----------
    .. [1] Zhang and Sennrich, 2019. arXiv:1910.07467

    Examples
    --------
    >>> rms_norm(np.array([1.0, 7.0]), 1.0).round(6)
    array([0.2, 1.4])
    """
    if not broadcasts(as_real(gain, "gain").shape, x.shape):
        raise ValueError(f"gain must broadcast to x {x.shape}, got {np.shape(gain)}")
    epsilon = finite_number(epsilon, "epsilon", least=0)
    mean_square = (x * x).mean(axis=-1, keepdims=True)
    return x / np.sqrt(mean_square + x.dtype.type(epsilon)) * gain


def gelu(x: np.ndarray) -> np.ndarray:
    r"""Let numbers through the more the larger they are.

    Notes
    -----
    :math:`x\,\Phi(x)`, with the distribution function of the normal distribution, section 2 of [1]_.
    Its error function is formula 7.1.26 of [2]_, off by 1.5e-7 at most.

    References
    ----------
    .. [1] Hendrycks and Gimpel, 2016. arXiv:1606.08415
    .. [2] Abramowitz and Stegun, 1964. Handbook of Mathematical Functions.

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    z = np.abs(x) * math.sqrt(0.5)
    t = 1 / (1 + 0.3275911 * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.copysign(1 - series * np.exp(-z * z), x)
    return x * (0.5 + 0.5 * erf)


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    r"""Return nearly what `gelu` does, as GPT-2 and Gemma compute it.

    Notes
    -----
    :math:`x\,(1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3))) / 2`, section 2 of [1]_.

    References
    ----------
    .. [1] Hendrycks and Gimpel, 2016. arXiv:1606.08415

    Examples
    --------
    >>> gelu_tanh(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1588,  0.    ,  0.8412])
    """
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2


def silu(x: np.ndarray) -> np.ndarray:
    r"""Let numbers through by their own sigmoid: :math:`x\,\sigma(x)`, section 2 of [1]_, there with :math:`\beta = 1`.

    References
    ----------
    .. [1] Ramachandran, Zoph and Le, 2017, Swish. arXiv:1710.05941

    Examples
    --------
    >>> silu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    return x * sigmoid(x)


def _relu(x):
    return np.maximum(x, 0)


ACTIVATIONS = {
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "silu": silu,
    "swish": silu,
    "relu": _relu,
}
"""What a feed-forward network lets through, by the names that configurations have for it."""


def width_of(array: ArrayLike, name: str, axes: int = 1) -> int:
    """Return the size of the last axis, or say that there are too few axes or numbers."""
    shape = as_array(array, name).shape
    if len(shape) < axes or shape[-1] == 0:
        wanted = "(..., d)" if axes == 1 else "(..., n_k, d)"
        raise ValueError(f"{name} must have axes {wanted} with d >= 1, got {shape}")
    return shape[-1]


def parameter(array: ArrayLike, shape: tuple[int, ...], name: str, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a parameter in the type to compute in, or say that its shape does not fit."""
    (array,), own = as_floats(**{name: array})
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array.astype(dtype or own, copy=False)
