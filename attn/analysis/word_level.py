"""From pieces to words: the attention between words that a tokenizer cut into several pieces."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, as_real, several, whole_number


def to_words(
    weights: ArrayLike, query_words: Sequence[int | None], key_words: Sequence[int | None] | None = None
) -> np.ndarray:
    r"""Return the attention between words, from that between their pieces.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    query_words : n_q of them
        Which word each query is a piece of: pieces of one number are of one word, None is a word of its
        own. Such are the ``word`` of a token of `attn.pretrained` and the ``word_ids()`` of tokenizers.
    key_words : n_k of them
        The same of the keys; by default that of the queries, as in self-attention.

    Returns
    -------
    shape (..., query words, key words)
        In the order in which the words begin. The columns of a word's pieces are summed, their rows are
        averaged, so that rows that sum to 1 still do.

    Raises
    ------
    ValueError
        If the weights have fewer than two axes, or there is not one number or None per row and column.

    Notes
    -----
    :math:`b_{IJ} = \frac{1}{|I|} \sum_{i \in I} \sum_{j \in J} a_{ij}` for words :math:`I` and :math:`J`,
    as in section 4.1 of [1]_: attention to a split word is the sum over its pieces, attention from it the
    mean. Under a causal mask the first piece of a word does not see those after it, so that the word
    sees only part of itself.

    References
    ----------
    .. [1] Clark et al., 2019. arXiv:1906.04341

    Examples
    --------
    >>> to_words([[0.5, 0.25, 0.25], [0.5, 0.5, 0], [0, 0.5, 0.5]], [0, 1, 1])
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    (weights,), dtype = as_floats(weights=weights)
    rows, columns = _groups(weights, query_words, key_words)
    summed = _over_groups(np.add, weights, columns, axis=-1)  # (..., n_q, key words)
    total = _over_groups(np.add, summed, rows, axis=-2)  # (..., query words, key words)
    pieces = np.bincount(rows)[:, None].astype(weights.dtype)
    return (total / pieces).astype(dtype, copy=False)


def mask_to_words(
    mask: ArrayLike, query_words: Sequence[int | None], key_words: Sequence[int | None] | None = None
) -> np.ndarray:
    """Return which words may look at which, from a mask over their pieces.

    Parameters
    ----------
    mask : booleans, shape (..., n_q, n_k)
        True where a query may look at a key.
    query_words, key_words
        As in `to_words`.

    Returns
    -------
    booleans, shape (..., query words, key words)
        True where any piece of the one word may look at any piece of the other.

    Raises
    ------
    ValueError
        If the mask is not boolean, or as `to_words`.

    Examples
    --------
    >>> mask_to_words(np.tri(3, dtype=bool), [0, 1, 1])
    array([[ True, False],
           [ True,  True]])
    """
    mask = as_real(mask, "mask")
    if mask.dtype != bool:
        raise ValueError(f"mask must be boolean, got {mask.dtype}")
    rows, columns = _groups(mask, query_words, key_words)
    return _over_groups(np.logical_or, _over_groups(np.logical_or, mask, columns, axis=-1), rows, axis=-2)


def word_groups(words: Sequence[int | None], length: int, name: str = "words") -> np.ndarray:
    """Return the numbers of words as an array that counts from 0, in the order in which the words begin.

    Parameters
    ----------
    words
        A number or None for each piece, as in `to_words`.
    length
        How many pieces there are.
    name
        What they are called in the error.

    Returns
    -------
    integers, shape (length,)

    Raises
    ------
    ValueError
        If they are not so many numbers or None.

    Examples
    --------
    >>> word_groups([None, 7, 7, 4, None], 5)
    array([0, 1, 1, 2, 3])
    """
    words, length = several(name, words), whole_number("length", length)
    whole = all(word is None or (isinstance(word, int | np.integer) and not isinstance(word, bool)) for word in words)
    if len(words) != length or not whole:
        raise ValueError(f"{name} must be {length} numbers of words or None, one for each piece, got {words!r:.80}")
    seen: dict = {}
    alone = (("alone", place) if word is None else word for place, word in enumerate(words))
    return np.array([seen.setdefault(word, len(seen)) for word in alone], dtype=int)


def _groups(cells, query_words, key_words):
    """Return to which word each row and each column belongs."""
    if cells.ndim < 2:
        raise ValueError(f"weights must have axes (..., n_q, n_k), got {cells.shape}")
    n_q, n_k = cells.shape[-2:]
    rows = word_groups(query_words, n_q, "query_words")
    shared = key_words is None
    return rows, word_groups(query_words if shared else key_words, n_k, "query_words" if shared else "key_words")


def _over_groups(function, cells, groups, axis):
    """Join the entries of each group along an axis by a function such as `np.add`."""
    if len(groups) == 0 or groups[-1] == len(groups) - 1:  # every group has one entry
        return cells
    if (np.diff(groups) < 0).any():
        order = np.argsort(groups, kind="stable")
        cells, groups = np.take(cells, order, axis=axis), groups[order]
    return function.reduceat(cells, np.flatnonzero(np.diff(groups, prepend=-1)), axis=axis)
