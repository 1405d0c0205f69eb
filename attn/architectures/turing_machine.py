"""A Neural Turing Machine's memory, read and written by weights that are found by content and by place."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.alignment import content, soft_read
from attn.functional import as_floats, finite_number, softmax, whole_number


class Addressing(NamedTuple):
    """Every step from a key to the weights of a head over the rows of a memory."""

    similarity: np.ndarray  # (..., n_rows) cosine of the key and each row
    content: np.ndarray  # (..., n_rows) softmax of sharpness * similarity
    gated: np.ndarray  # (..., n_rows) mixed with the weights of the step before
    shifted: np.ndarray  # (..., n_rows) moved along the ring of rows
    weights: np.ndarray  # (..., n_rows) sharpened, sums to 1


class Written(NamedTuple):
    """The two halves of a write."""

    erased: np.ndarray  # (..., n_rows, width)
    memory: np.ndarray  # (..., n_rows, width) what was added is in


def address(
    memory: ArrayLike,
    key: ArrayLike,
    previous: ArrayLike,
    *,
    sharpness: float = 1.0,
    gate: float = 1.0,
    shift: ArrayLike | None = None,
    gamma: float = 1.0,
) -> Addressing:
    r"""Find the weights of a read or write head, by content and by place.

    Parameters
    ----------
    memory : shape (..., n_rows, width)
    key : shape (..., width)
        What the head looks for: the part that a query plays elsewhere.
    previous : shape (..., n_rows)
        The weights of the step before.
    sharpness
        :math:`\beta \ge 0`; 0 gives every row the same.
    gate
        :math:`g`, from 0 (the previous weights, content ignored) to 1 (content alone).
    shift : shape (n_rows,)
        Weight of each step along the ring, as `ring_shift` makes it; by default none.
    gamma
        :math:`\gamma \ge 1`; larger undoes the blur of the shift.

    Raises
    ------
    ValueError
        If the shapes do not fit or a number is out of range.

    Notes
    -----
    Equations 5 to 9 of [1]_, one function each: `content_addressing`, `interpolate`, `convolve`,
    `sharpen`.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3. arXiv:1410.5401

    Examples
    --------
    >>> memory = [[1, 0], [0, 1], [1, 1], [-1, 0]]
    >>> steps = address(memory, [1, 0.2], [0, 0, 1, 0], sharpness=5, gate=0.5, shift=ring_shift(4, 0, 0.1), gamma=2)
    >>> steps.weights.round(6)
    array([0.193529, 0.029477, 0.750417, 0.026577])
    """
    similarity = content(key, memory)
    by_content = content_addressing(memory, key, sharpness)
    gated = interpolate(by_content, previous, gate)
    shifted = gated if shift is None else convolve(gated, shift)
    return Addressing(similarity, by_content, gated, shifted, sharpen(shifted, gamma))


def content_addressing(memory: ArrayLike, key: ArrayLike, sharpness: float) -> np.ndarray:
    r"""Weigh each row by how much it looks like the key.

    Parameters
    ----------
    memory : shape (..., n_rows, width)
    key : shape (..., width)
    sharpness

    Returns
    -------
    shape (..., n_rows)

    Raises
    ------
    ValueError
        If the widths differ, or `sharpness` is negative.

    Notes
    -----
    :math:`w^c(i) = \mathrm{softmax}_i(\beta \cos(k, M(i)))`, equations 5 and 6 of [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.1. arXiv:1410.5401

    Examples
    --------
    >>> content_addressing([[1, 0], [0, 1], [1, 1], [-1, 0]], [1, 0.2], 5).round(6)
    array([6.68583e-01, 1.32350e-02, 3.18145e-01, 3.70000e-05])
    """
    similarity = content(key, memory)
    return softmax(finite_number(sharpness, "sharpness", least=0) * similarity)


def interpolate(by_content: ArrayLike, previous: ArrayLike, gate: float) -> np.ndarray:
    r"""Mix the weights by content with those of the step before.

    Parameters
    ----------
    by_content, previous : shape (..., n_rows)
    gate
        From 0 to 1.

    Returns
    -------
    shape (..., n_rows)

    Raises
    ------
    ValueError
        If the shapes do not fit or `gate` is out of range.

    Notes
    -----
    :math:`w^g = g\,w^c + (1 - g)\,w_{t-1}`, equation 7 of [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.2. arXiv:1410.5401

    Examples
    --------
    >>> interpolate([1, 0, 0], [0, 0, 1], 0.25)
    array([0.25, 0.  , 0.75])
    """
    gate = finite_number(gate, "gate", least=0, most=1)
    (by_content, previous), dtype = as_floats(by_content=by_content, previous=previous)
    _same_rows(by_content, previous, "the weights by content", "the previous weights")
    return (gate * by_content + (1 - gate) * previous).astype(dtype, copy=False)


def ring_shift(n_rows: int, shift: float, blur: float = 0.0) -> np.ndarray:
    """Return the weight of each step along a ring of rows.

    Parameters
    ----------
    n_rows
    shift
        Rows to move on; a fraction is shared out between the two whole steps around it.
    blur
        Share, up to 1/2, that goes to the step before and to the step after.

    Returns
    -------
    shape (n_rows,)
        The weight of the shift by ``i`` rows at ``i``; shifts backwards stand at the end.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    The second way of section 3.3.2 of [1]_, in whose example a shift of 6.7 gives the step by 6 a weight of
    0.3 and the step by 7 one of 0.7.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014. arXiv:1410.5401

    Examples
    --------
    >>> ring_shift(10, 6.7).round(6)
    array([0. , 0. , 0. , 0. , 0. , 0. , 0.3, 0.7, 0. , 0. ])
    >>> ring_shift(4, 0, blur=0.1)
    array([0.8, 0.1, 0. , 0.1])
    """
    n_rows, shift = whole_number("n_rows", n_rows, least=1), finite_number(shift, "shift")
    blur = finite_number(blur, "blur", least=0, most=0.5)
    below = math.floor(shift)
    ring = np.zeros(n_rows)
    for step, share in ((below, 1 - (shift - below)), (below + 1, shift - below)):
        for side, part in ((-1, blur), (0, 1 - 2 * blur), (1, blur)):
            ring[(step + side) % n_rows] += share * part
    return ring


def convolve(weights: ArrayLike, shift: ArrayLike) -> np.ndarray:
    r"""Move weights along the ring of rows: past the last row comes the first.

    Parameters
    ----------
    weights : shape (..., n_rows)
    shift : shape (..., n_rows)
        Weight of each step, as `ring_shift` makes it.

    Returns
    -------
    shape (..., n_rows)

    Raises
    ------
    ValueError
        If the two differ in the number of rows.

    Notes
    -----
    :math:`\tilde w(i) = \sum_j w^g(j)\,s(i - j)`, indices modulo the number of rows, equation 8 of
    [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.2. arXiv:1410.5401

    Examples
    --------
    >>> convolve([0, 0, 0, 1], ring_shift(4, 1))
    array([1., 0., 0., 0.])
    """
    (weights, shift), dtype = as_floats(weights=weights, shift=shift)
    _same_rows(weights, shift, "weights", "shift")
    row = np.arange(weights.shape[-1])
    steps = shift[..., (row[:, None] - row) % row.size]  # (..., n_rows, n_rows): to row i from row j
    return (steps @ weights[..., None])[..., 0].astype(dtype, copy=False)


def sharpen(weights: ArrayLike, gamma: float) -> np.ndarray:
    r"""Make large weights larger.

    Parameters
    ----------
    weights : shape (..., n_rows)
    gamma
        At least 1, which changes nothing.

    Returns
    -------
    shape (..., n_rows)
        Sums to 1; where all weights are 0 they stay 0.

    Raises
    ------
    ValueError
        If `gamma` is below 1.

    Notes
    -----
    :math:`w(i) = \tilde w(i)^\gamma / \sum_j \tilde w(j)^\gamma`, equation 9 of [1]_; taken relative
    to the largest weight, which changes nothing and keeps the powers from vanishing.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.2. arXiv:1410.5401

    Examples
    --------
    >>> sharpen([0.1, 0.8, 0.1, 0], 2).round(4)
    array([0.0152, 0.9697, 0.0152, 0.    ])
    """
    gamma = finite_number(gamma, "gamma", least=1)
    (weights,), dtype = as_floats(weights=weights)
    largest = weights.max(axis=-1, keepdims=True, initial=0)
    powers = np.divide(weights, largest, out=np.zeros_like(weights), where=largest > 0) ** gamma
    total = powers.sum(axis=-1, keepdims=True)
    return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0).astype(dtype, copy=False)


def read(memory: ArrayLike, weights: ArrayLike) -> np.ndarray:
    r"""Read the memory, each row by its weight.

    Parameters
    ----------
    memory : shape (..., n_rows, width)
    weights : shape (..., n_rows)

    Returns
    -------
    shape (..., width)

    Raises
    ------
    ValueError
        If there is not one weight per row.

    Notes
    -----
    :math:`r = \sum_i w(i)\,M(i)`, equations 1 and 2 of [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.1. arXiv:1410.5401

    Examples
    --------
    >>> read([[1, 0], [0, 1]], [0.25, 0.75])
    array([0.25, 0.75])
    """
    return soft_read(weights, memory)


def write(memory: ArrayLike, weights: ArrayLike, erase: ArrayLike, add: ArrayLike) -> Written:
    r"""Erase from every row by its weight, then add to every row by its weight.

    Parameters
    ----------
    memory : shape (..., n_rows, width)
    weights : shape (..., n_rows)
    erase : shape (..., width)
        From 0, keep, to 1, erase.
    add : shape (..., width)

    Raises
    ------
    ValueError
        If the shapes do not fit or `erase` is out of range.

    Notes
    -----
    :math:`\tilde M(i) = M(i) \odot [1 - w(i)\,e]`, then :math:`M(i) = \tilde M(i) + w(i)\,a`,
    equations 3 and 4 of [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.2. arXiv:1410.5401

    Examples
    --------
    >>> write([[1.0, 1.0], [2.0, 2.0]], [1, 0], erase=[1, 0], add=[0, 5]).memory
    array([[0., 6.],
           [2., 2.]])
    """
    (memory, weights, erase, add), dtype = as_floats(memory=memory, weights=weights, erase=erase, add=add)
    if memory.ndim < 2 or weights.shape[-1:] != memory.shape[-2:-1]:
        raise ValueError(f"there must be one weight per row, got weights {weights.shape} and memory {memory.shape}")
    for name, vector in (("erase", erase), ("add", add)):
        if vector.shape[-1:] != memory.shape[-1:]:
            raise ValueError(f"{name} must be as wide as the memory {memory.shape}, got {vector.shape}")
    if not ((erase >= 0) & (erase <= 1)).all():
        raise ValueError(f"erase must lie between 0 and 1, got {erase.tolist()}")
    erased = memory * (1 - weights[..., None] * erase[..., None, :])  # (..., n_rows, width)
    written = erased + weights[..., None] * add[..., None, :]
    return Written(erased.astype(dtype, copy=False), written.astype(dtype, copy=False))


def _same_rows(one, other, name, other_name):
    """Say if two rows of weights are not over the same rows of memory."""
    if one.ndim < 1 or one.shape[-1:] != other.shape[-1:]:
        raise ValueError(f"{name} and {other_name} must be over the same rows, got {one.shape} and {other.shape}")
