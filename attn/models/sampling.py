"""Which token comes next: what is drawn from, once the scores of all of them are there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_real, finite_number, softmax, whole_number


def sampling_probabilities(
    logits: ArrayLike, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0
) -> np.ndarray:
    r"""Return the probability with which each token is drawn.

    Parameters
    ----------
    logits : shape (vocabulary,)
    temperature
        Divides the logits; 0 always takes the likeliest token, and the first of several.
    top_k
        Only so many of the likeliest tokens can be drawn, and those as likely as the last of them; all by default.
    top_p
        Of these only the fewest likeliest whose probabilities together reach this share.

    Returns
    -------
    shape (vocabulary,), float64
        They sum to 1.

    Raises
    ------
    ValueError
        If `logits` are no row of numbers, one of them is not a number or infinite, or all are minus infinity, or
        another number is out of range.

    Notes
    -----
    :math:`p_i \propto e^{l_i / T}`; the k likeliest alone are section 5.4 of [1]_, the fewest that reach a share,
    called the nucleus, section 3.1 of [2]_.

    References
    ----------
    .. [1] Fan, Lewis and Dauphin, 2018. arXiv:1805.04833
    .. [2] Holtzman et al., 2020. arXiv:1904.09751

    Examples
    --------
    >>> logits = np.log([0.5, 0.25, 0.15, 0.1])
    >>> sampling_probabilities(logits, top_k=2).round(3)
    array([0.667, 0.333, 0.   , 0.   ])
    >>> sampling_probabilities(logits, top_p=0.8).round(3)
    array([0.556, 0.278, 0.167, 0.   ])
    >>> sampling_probabilities(logits, temperature=0.5).round(3)
    array([0.725, 0.181, 0.065, 0.029])
    """
    row = as_real(logits, "logits").astype(float)
    if row.ndim != 1 or not row.size:
        raise ValueError(f"logits must be a row of at least one number, got shape {row.shape}")
    if np.isnan(row).any() or np.isinf(row.max()):
        raise ValueError(f"logits must be numbers below infinity, one of them finite, got {row.max():g} as the largest")
    temperature = finite_number(temperature, "temperature", least=0)
    top_p = finite_number(top_p, "top_p", above=0, most=1)
    if temperature == 0:
        probabilities = np.zeros(row.size)
        probabilities[row.argmax()] = 1.0
        return probabilities
    row = (row - row.max()) / temperature  # the largest is 0, so that no temperature overflows
    if top_k is not None:
        top_k = min(whole_number("top_k", top_k, 1), row.size)
        row = np.where(row >= np.partition(row, -top_k)[-top_k], row, -np.inf)
    probabilities = softmax(row)
    if top_p < 1:
        order = np.argsort(-probabilities, kind="stable")
        before = np.cumsum(probabilities[order]) - probabilities[order]
        kept = np.zeros(row.size, dtype=bool)
        kept[order[before < top_p]] = True
        probabilities = np.where(kept, probabilities, 0)
    return probabilities / probabilities.sum()
