"""Writing the likeliest sequence: beam search, and the length penalty that keeps it from stopping early."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, finite_number, whole_number

_STRONGEST = 10  # penalty: the papers take less than 1, and far above it the numbers overflow


class Hypothesis(NamedTuple):
    """One sequence that a beam search has written to its end."""

    symbols: tuple  # without the end
    log_probability: float
    score: float  # by which it is ranked


def length_penalty(length: ArrayLike, alpha: float = 0.6) -> np.ndarray:
    r"""Return what the log probability of a sequence is divided by.

    Parameters
    ----------
    length
        Symbols, the end included.
    alpha
        From 0 to 10. 0 leaves long sequences at a disadvantage, since every symbol makes a sequence less likely.

    Raises
    ------
    ValueError
        If a length is below 0, or `alpha` is out of range.

    Notes
    -----
    :math:`((5 + n) / 6)^\alpha`, equation 14 of [1]_. Section 6.1 of [2]_ takes 0.6 with a beam of 4.

    References
    ----------
    .. [1] Wu et al., 2016. arXiv:1609.08144
    .. [2] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> length_penalty([1, 7, 19]).round(4)
    array([1.    , 1.5157, 2.2974])
    """
    (length,), _ = as_floats(length=length)
    if (length < 0).any():
        raise ValueError(f"length must be at least 0, got {length.min()}")
    return ((5 + length) / 6) ** finite_number(alpha, "alpha", least=0, most=_STRONGEST)


def beam_search(
    next_log_probabilities: Callable[[tuple[int, ...]], Sequence[float] | np.ndarray],
    end: int,
    *,
    beam: int = 4,
    alpha: float = 0.6,
    longest: int = 50,
) -> list[Hypothesis]:
    """Write symbol by symbol, keeping the few likeliest beginnings.

    Parameters
    ----------
    next_log_probabilities
        Takes the symbols so far as a tuple of int and returns the log probability of each next one,
        shape (symbols,); -inf where there is none.
    end
        The symbol that ends a sequence.
    beam
        Beginnings that are kept; 1 always takes the likeliest next symbol.
    alpha
        As in `length_penalty`.
    longest
        Symbols after which what has not ended is dropped.

    Returns
    -------
    list of Hypothesis
        All that ended, the best first.

    Raises
    ------
    ValueError
        If `end` is no symbol, `beam` or `longest` is below 1, or `alpha` is out of range.

    Notes
    -----
    Beginnings are compared by their probability, ends by that divided by the penalty. It goes on until
    no beginning is left, so that a long sequence is not lost to a short one that ended before it.

    Examples
    --------
    >>> table = np.log([[0.6, 0.1, 0.3], [0.0001, 0.0001, 0.9998]])  # after 0 and after 1
    >>> found = beam_search(lambda symbols: table[symbols[-1] if symbols else 0], end=2, longest=3)
    >>> found[0].symbols, round(found[0].log_probability, 3)
    ((), -1.204)
    """
    end, alpha = whole_number("end", end), finite_number(alpha, "alpha", least=0, most=_STRONGEST)
    beam, longest = whole_number("beam", beam, 1), whole_number("longest", longest, 1)
    beginnings: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[Hypothesis] = []
    for _ in range(longest):
        grown = [
            ((*symbols, symbol), likely + float(log))
            for symbols, likely in beginnings
            for symbol, log in enumerate(next_log_probabilities(symbols))
            if log > -np.inf
        ]
        best = sorted(grown, key=lambda one: -one[1])[:beam]
        ended += [_ended(symbols, likely, alpha) for symbols, likely in best if symbols[-1] == end]
        beginnings = [one for one in best if one[0][-1] != end]
        if not beginnings:
            break
    return sorted(ended, key=lambda one: -one.score)


def _ended(symbols, likely, alpha):
    """Return a sequence with the score by which it is ranked."""
    return Hypothesis(symbols[:-1], likely, float(likely / length_penalty(len(symbols), alpha)))
