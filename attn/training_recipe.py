"""What a Transformer is trained with: shifted targets, dropout, a learning rate, smoothed targets, averaged weights."""

from __future__ import annotations  # so that no signature loads numpy.random

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, as_real, finite_number, whole_number


class Lesson(NamedTuple):
    """What a decoder reads in training, and what it must predict at each place."""

    inputs: tuple
    targets: tuple


def teacher_forcing(sequence: Sequence, start: object, end: object) -> Lesson:
    """Shift a sequence to the right, so that each place predicts what the next one reads.

    Parameters
    ----------
    sequence
        What is to be written.
    start, end
        What is read first, and predicted last.

    Returns
    -------
    Lesson
        Two tuples, one longer than `sequence`: all places are trained at once, and under a causal mask
        place ``i`` reads only what stands before target ``i``.

    Notes
    -----
    Section 3.1 of [1]_: the output embeddings are offset by one position.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> teacher_forcing(["we", "rest"], "<s>", "</s>")
    Lesson(inputs=('<s>', 'we', 'rest'), targets=('we', 'rest', '</s>'))
    """
    return Lesson((start, *sequence), (*sequence, end))


def dropout(x: ArrayLike, p: float, rng: np.random.Generator | None) -> np.ndarray:
    r"""Set numbers to 0 at random, and make the others larger so that the mean stays.

    Parameters
    ----------
    x
    p
        The chance of each number to become 0, at least 0 and below 1.
    rng
        Not used where `p` is 0.

    Returns
    -------
    ndarray
        The shape of `x`. Of dropped attention weights the rows no longer sum to 1.

    Raises
    ------
    ValueError
        If `p` is no such chance, or `rng` no generator.

    Notes
    -----
    0 with chance p, else :math:`x / (1 - p)` [1]_. Section 5.4 of [2]_ drops what each sublayer makes;
    most implementations drop attention weights as well.

    References
    ----------
    .. [1] Srivastava et al., 2014. JMLR 15, 1929-1958
    .. [2] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> sorted({float(kept) for kept in dropout(np.ones(100), 0.5, np.random.default_rng(0))})
    [0.0, 2.0]
    """
    (x,), dtype = as_floats(x=x)
    p = finite_number(p, "p", least=0, below=1)
    if p == 0:
        return x.astype(dtype, copy=False)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator where p is above 0, got {rng!r}")
    return np.where(rng.random(x.shape) < p, 0, x / (1 - p)).astype(dtype, copy=False)


def learning_rate(step: ArrayLike, d_model: int = 512, warmup: int = 4000) -> np.ndarray:
    r"""Return how large a step of training is: growing at first, then falling with the root.

    Parameters
    ----------
    step
        Counted from 1.
    d_model
    warmup
        Steps until the peak.

    Returns
    -------
    ndarray
        The shape of `step`.

    Raises
    ------
    ValueError
        If a number is below 1.

    Notes
    -----
    :math:`d^{-0.5} \min(t^{-0.5}, t\, w^{-1.5})`, equation 3 of [1]_.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> (1e4 * learning_rate([1000, 4000, 100_000])).round(5)
    array([1.74693, 6.98771, 1.39754])
    """
    d_model, warmup = whole_number("d_model", d_model, 1), whole_number("warmup", warmup, 1)
    (step,), _ = as_floats(step=step)
    if not (step >= 1).all():
        raise ValueError(f"step must be counted from 1, got {step.min()}")
    return d_model**-0.5 * np.minimum(step**-0.5, step * warmup**-1.5)


def smoothed_targets(target: ArrayLike, num_classes: int, epsilon: float = 0.1) -> np.ndarray:
    r"""Spread a little of each target over all classes.

    Parameters
    ----------
    target : integers, shape (...)
        The right class of each, counted from 0.
    num_classes
    epsilon
        What is spread, from 0 to 1.

    Returns
    -------
    shape (..., num_classes)
        Rows sum to 1.

    Raises
    ------
    ValueError
        If a class does not exist, or `epsilon` is no share.

    Notes
    -----
    :math:`(1 - \epsilon)\,\mathrm{onehot} + \epsilon / K`, as in [1]_, section 7, which section 5.4 of
    [2]_ uses with 0.1. The right class takes part in what is spread.

    References
    ----------
    .. [1] Szegedy et al., 2015. arXiv:1512.00567
    .. [2] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> smoothed_targets(0, 5).round(3)
    array([0.92, 0.02, 0.02, 0.02, 0.02])
    """
    num_classes, target = whole_number("num_classes", num_classes, 1), as_real(target, "target")
    if target.dtype.kind not in "iu" or ((target < 0) | (target >= num_classes)).any():
        raise ValueError(f"target must hold classes from 0 to {num_classes - 1}, got {target.tolist()!r:.80}")
    epsilon = finite_number(epsilon, "epsilon", least=0, most=1)
    return (1 - epsilon) * np.eye(num_classes)[target] + epsilon / num_classes


def cross_entropy(targets: ArrayLike, probabilities: ArrayLike) -> np.ndarray:
    r"""Return what predicting `probabilities` costs when `targets` are right, in nats.

    Parameters
    ----------
    targets, probabilities : shape (..., num_classes)
        Rows sum to 1.

    Returns
    -------
    shape (...)
        Infinite where something with a target above 0 is held impossible. Least where both are the same,
        and then the entropy of the targets.

    Raises
    ------
    ValueError
        If the two do not fit together.

    Notes
    -----
    :math:`-\sum_k t_k \log p_k`, where :math:`0 \log 0 = 0`.

    Examples
    --------
    >>> smoothed = smoothed_targets(0, 5)
    >>> cross_entropy(smoothed, smoothed).round(6), cross_entropy([1, 0], [0.5, 0.5]).round(6)
    (np.float64(0.389673), np.float64(0.693147))
    """
    (targets, probabilities), _ = as_floats(targets=targets, probabilities=probabilities)
    with np.errstate(divide="ignore"):
        surprise = -np.log(probabilities)
    try:
        targets, surprise = np.broadcast_arrays(targets, surprise)
    except ValueError:
        raise ValueError(
            f"targets and probabilities must broadcast together, got {targets.shape} and {surprise.shape}"
        ) from None
    return np.multiply(targets, surprise, out=np.zeros(targets.shape), where=targets != 0).sum(axis=-1)


def averaged(checkpoints: Sequence[Mapping[str, ArrayLike]]) -> dict[str, np.ndarray]:
    """Return the mean of the weights that training passed through last.

    Parameters
    ----------
    checkpoints
        The same names and shapes in each.

    Raises
    ------
    ValueError
        If there is none, or their names or shapes differ.

    Notes
    -----
    Section 6.1 of [1]_ averages the last 5 checkpoints of the base model, written every ten minutes, and
    the last 20 of the big one.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> averaged([{"w": [1.0, 3.0]}, {"w": [3.0, 5.0]}])
    {'w': array([2., 4.])}
    """
    shapes = [{name: np.shape(array) for name, array in checkpoint.items()} for checkpoint in checkpoints]
    if not shapes or any(shape != shapes[0] for shape in shapes):
        raise ValueError(f"there must be checkpoints of the same names and shapes, got {shapes}")
    return {name: np.mean([np.asarray(checkpoint[name]) for checkpoint in checkpoints], axis=0) for name in shapes[0]}
