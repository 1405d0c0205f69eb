"""Masks: who may look at whom, as a boolean array and as a sentence.

True means "may look". Every function returns a `Mask`, which goes as it is into
``attn.scaled_dot_product_attention(..., mask=...)``; all but `painted` and `top_k` make it of lengths.
"""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import MOST, as_array, as_floats, as_real, several, whole_number
from attn.words import capital, ordinal, small

Window = int | tuple[int | None, int | None]  # keys to the left and right of a query's own position, None for no limit


@dataclass(frozen=True, eq=False)
class Mask:
    """Who may look at whom.

    Masks combine: ``a & b`` lets through what both allow, ``a | b`` what either allows, and ``~a``
    what `a` hides. The words follow.

    Parameters
    ----------
    visible : booleans, shape (..., n_q, n_k)
        True where a query may look at a key. Kept as a read-only copy.
    words
        One sentence that says the same.

    Raises
    ------
    ValueError
        If `visible` is not boolean, has fewer than two axes, or two masks do not fit together.

    Examples
    --------
    >>> mask = causal(4) & padding(3, 4)
    >>> mask.visible.astype(int)
    array([[1, 0, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 1, 0],
           [1, 1, 1, 0]])
    >>> mask.words
    'Each of the 4 tokens sees itself and the tokens before it, and only the first 3 of 4 keys are seen.'
    """

    visible: np.ndarray
    words: str

    def __post_init__(self):
        visible = np.array(self.visible)
        if visible.dtype != bool or visible.ndim < 2:
            raise ValueError(
                f"visible must be boolean with axes (..., n_q, n_k), got {visible.dtype} of shape {visible.shape}"
            )
        visible.flags.writeable = False
        object.__setattr__(self, "visible", visible)

    def __array__(self, dtype=None, copy=None):
        """Return `visible`, so that numpy takes a mask for an array."""
        return np.array(self.visible, dtype=dtype, copy=copy)

    def __and__(self, other):
        """Let through what both masks allow."""
        return _joined(np.logical_and, self, other, "{}, and {}")

    def __or__(self, other):
        """Let through what either mask allows."""
        return _joined(np.logical_or, self, other, "either ({}) or ({})")

    def __invert__(self):
        """Let through what this mask hides."""
        return Mask(~self.visible, _sentence(f"exactly what this hides is seen: ({_clause(self.words)})"))


def everything(n_q: int, n_k: int | None = None) -> Mask:
    """Hide nothing.

    Parameters
    ----------
    n_q
    n_k
        By default `n_q`.

    Returns
    -------
    shape (n_q, n_k)

    Examples
    --------
    >>> everything(2, 3).words
    'Each of the 2 queries sees all 3 keys.'
    """
    n_q, n_k = _lengths(n_q, n_k)
    seen = f"all {n_k} {'tokens' if n_q == n_k else 'keys'}" if n_k != 1 else "the only key"
    return Mask(np.ones((n_q, n_k), dtype=bool), _sentence(f"{_each(n_q, n_k)} sees {seen}"))


def causal(n_q: int, n_k: int | None = None, *, query_offset: int | None = None) -> Mask:
    """Hide what comes later.

    Parameters
    ----------
    n_q
    n_k
        By default `n_q`.
    query_offset
        Position of the first query among the keys. By default ``n_k - n_q``: the queries are the
        last positions, as in cached decoding.

    Returns
    -------
    shape (n_q, n_k)
        Query ``i`` sees the key at ``i + query_offset`` and those before it.

    Notes
    -----
    Section 3.2.3 of [1]_.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> causal(2, 4).visible.astype(int)
    array([[1, 1, 1, 0],
           [1, 1, 1, 1]])
    >>> causal(2, 4).words
    'Each of the 2 queries, standing after 2 earlier keys, sees the key at its own position and those before it.'
    """
    n_q, n_k = _lengths(n_q, n_k)
    offset = first_position(query_offset, n_q, n_k)
    where = _standing(n_q, n_k, offset)
    seen = "the key at its own position and those before it" if where else "itself and the tokens before it"
    return Mask(distances(n_q, n_k, offset) <= 0, _sentence(f"{_each(n_q, n_k)}{where} sees {seen}"))


def padding(lengths: ArrayLike, n_k: int) -> Mask:
    """Hide the filling behind the end of each sequence.

    Parameters
    ----------
    lengths : integers, shape (...)
        How many of the `n_k` keys are real. For scores (batch, num_heads, n_q, n_k) give the shape
        (batch, 1).
    n_k

    Returns
    -------
    shape (..., 1, n_k)
        The same for every query.

    Raises
    ------
    ValueError
        If a length is not a whole number between 0 and `n_k`.

    Examples
    --------
    >>> padding([2, 3], 4).visible.astype(int)
    array([[[1, 1, 0, 0]],
    <BLANKLINE>
           [[1, 1, 1, 0]]])
    >>> padding([2, 3], 4).words
    'Only the first 2 to 3 of 4 keys are seen.'
    """
    n_k = whole_number("n_k", n_k)
    lengths = as_real(lengths, "lengths")
    if lengths.size == 0 or lengths.dtype.kind not in "iu" or lengths.min() < 0 or lengths.max() > n_k:
        raise ValueError(f"lengths must be whole numbers from 0 to n_k = {n_k}, got {lengths.tolist()}")
    shortest, longest = lengths.min(), lengths.max()
    first = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
    keys, be = _count(n_k, "key"), "is" if longest == 1 else "are"
    seen = f"only the first {first} of {keys} {be} seen" if longest else f"none of the {keys} is seen"
    visible = np.arange(n_k) < lengths[..., None, None]  # (..., 1, n_k)
    return Mask(visible, _sentence(seen))


def sliding_window(n_q: int, n_k: int, window: Window, *, query_offset: int | None = None) -> Mask:
    """Hide what is far away.

    Parameters
    ----------
    n_q, n_k
    window
        At most that many keys to the left and to the right of the query's own position; None on a
        side, or for the whole, for no limit.
    query_offset
        As in `causal`.

    Returns
    -------
    shape (n_q, n_k)

    Raises
    ------
    ValueError
        If `window` is anything else.

    Notes
    -----
    Section 3.1 of [1]_, whose window ``w`` counts both sides together.

    References
    ----------
    .. [1] Beltagy, Peters and Cohan, 2020. arXiv:2004.05150

    Examples
    --------
    >>> sliding_window(4, 4, (2, 0)).visible.astype(int)
    array([[1, 0, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 1, 0],
           [0, 1, 1, 1]])
    >>> sliding_window(4, 4, (2, 0)).words
    'Each of the 4 tokens sees at most 2 to its left and none to its right, besides its own position.'
    """
    n_q, n_k = _lengths(n_q, n_k)
    offset = first_position(query_offset, n_q, n_k)
    left, right = window_sides(window)
    distance = distances(n_q, n_k, offset)
    visible = np.ones((n_q, n_k), dtype=bool)
    if left is not None:
        visible &= distance >= -left
    if right is not None:
        visible &= distance <= right
    seen = f"{_at_most(left)} to its left and {_at_most(right)} to its right, besides its own position"
    return Mask(visible, _sentence(f"{_each(n_q, n_k)}{_standing(n_q, n_k, offset)} sees {seen}"))


def prefix(n_q: int, n_k: int, length: int, *, query_offset: int | None = None) -> Mask:
    """Show the first keys to everyone, and hide what comes later among the rest.

    Parameters
    ----------
    n_q, n_k
    length
        How many keys everyone sees.
    query_offset
        As in `causal`.

    Returns
    -------
    shape (n_q, n_k)

    Raises
    ------
    ValueError
        If `length` is not a whole number between 0 and `n_k`.

    Notes
    -----
    The "causal with prefix" pattern of [1]_, section 3.2.1.

    References
    ----------
    .. [1] Raffel et al., 2020. arXiv:1910.10683

    Examples
    --------
    >>> prefix(4, 4, 2).visible.astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 1, 0],
           [1, 1, 1, 1]])
    """
    n_q, n_k = _lengths(n_q, n_k)
    length = whole_number("length", length)
    if length > n_k:
        raise ValueError(f"length must be at most n_k = {n_k}, got {length}")
    later = causal(n_q, n_k, query_offset=query_offset)
    visible = later.visible | (np.arange(n_k) < length)
    seen = f"the first {_count(length, 'key')}; beyond {'it' if length == 1 else 'them'}"
    return Mask(visible, _sentence(f"everyone sees {seen}, {_clause(later.words)}"))


def blocks(sizes: Sequence[int] | None = None, *, ids: ArrayLike | None = None) -> Mask:
    """Keep documents that are packed into one sequence apart.

    Parameters
    ----------
    sizes
        Lengths of the documents, in order.
    ids : integers, shape (..., n)
        Instead of `sizes`: the document that each token belongs to.

    Returns
    -------
    shape (..., n, n)
        Tokens of one document see each other.

    Raises
    ------
    ValueError
        If not exactly one of the two is given, or not as whole numbers.

    Examples
    --------
    >>> blocks([1, 2]).visible.astype(int)
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 1, 1]])
    >>> blocks([1, 2]).words
    'Each of the 3 tokens sees its own document only, one of 2.'
    """
    if (sizes is None) == (ids is None):
        raise ValueError("blocks takes either sizes or ids, got " + ("neither" if sizes is None else "both"))
    if sizes is not None:
        sizes = [whole_number("sizes", size) for size in several("sizes", sizes)]
        ids = np.repeat(np.arange(len(sizes)), sizes)
    ids = as_real(ids, "ids")  # type: ignore[arg-type]
    if ids.ndim < 1 or ids.dtype.kind not in "iu":
        raise ValueError(f"ids must be whole numbers of shape (..., n), got {ids.dtype} of shape {ids.shape}")
    n, documents = ids.shape[-1], len(np.unique(ids))
    visible = ids[..., :, None] == ids[..., None, :]  # (..., n, n)
    return Mask(visible, _sentence(f"{_each(n, n)} sees its own document only, one of {documents}"))


def global_window(n: int, window: Window, global_tokens: int | Sequence[int]) -> Mask:
    """Hide what is far away, except from and to a few tokens that see all and are seen by all.

    Parameters
    ----------
    n
    window
        As in `sliding_window`.
    global_tokens
        The tokens that see and are seen everywhere: how many from the start, or their positions.

    Returns
    -------
    shape (n, n)

    Raises
    ------
    ValueError
        If a global token lies outside the sequence.

    Notes
    -----
    Section 3.1 of [1]_.

    References
    ----------
    .. [1] Beltagy, Peters and Cohan, 2020. arXiv:2004.05150

    Examples
    --------
    >>> global_window(5, 1, global_tokens=1).visible.astype(int)
    array([[1, 1, 1, 1, 1],
           [1, 1, 1, 0, 0],
           [1, 1, 1, 1, 0],
           [1, 0, 1, 1, 1],
           [1, 0, 0, 1, 1]])
    """
    n = whole_number("n", n)
    near = sliding_window(n, n, window)
    if not isinstance(global_tokens, Iterable) or getattr(global_tokens, "ndim", 1) == 0:
        tokens = list(range(whole_number("global_tokens", global_tokens, most=n)))
    else:  # the first that is too large ends it, however many are to come
        tokens = sorted({whole_number("global_tokens", token, most=n - 1) for token in global_tokens})
    visible = near.visible.copy()
    visible[tokens, :] = True
    visible[:, tokens] = True
    return Mask(visible, _sentence(f"{_clause(near.words)}; {_everywhere(len(tokens))}"))


def strided(n: int, stride: int) -> Mask:
    """Show each token its near past, and every `stride`-th token of the past beyond it.

    Parameters
    ----------
    n
    stride
        At least 1.

    Returns
    -------
    shape (n, n)

    Raises
    ------
    ValueError
        If `stride` is not a whole number of at least 1.

    Notes
    -----
    The strided pattern of [1]_, section 4.2, with its two heads merged into one: token ``i`` sees
    ``j <= i`` where ``i - j <= stride`` or ``i - j`` is a multiple of `stride`.

    References
    ----------
    .. [1] Child et al., 2019. arXiv:1904.10509

    Examples
    --------
    >>> strided(7, 3).visible[6].astype(int)
    array([1, 0, 0, 1, 1, 1, 1])
    """
    n, stride = whole_number("n", n), whole_number("stride", stride, least=1)
    back = -distances(n)
    visible = (back >= 0) & ((back <= stride) | (back % stride == 0))
    seen = f"itself, the {_count(stride, 'token')} before it, and every {ordinal(stride)} token further back"
    return Mask(visible, _sentence(f"{_each(n, n)} sees {seen}"))


def top_k(scores: ArrayLike, k: int) -> Mask:
    """Show each query the keys with its largest scores.

    Parameters
    ----------
    scores : shape (..., n_q, n_k)
        ``-inf`` where a key is hidden already, and stays so.
    k
        How many keys, at least 1. Those with the same score as the last of them are seen too.

    Returns
    -------
    shape (..., n_q, n_k)

    Raises
    ------
    ValueError
        If `scores` has fewer than two axes, or `k` is not a whole number of at least 1.

    Notes
    -----
    The explicit selection of [1]_: in each row, what lies below its k-th largest score becomes
    ``-inf`` before the softmax.

    References
    ----------
    .. [1] Zhao et al., 2019. arXiv:1912.11637

    Examples
    --------
    >>> top_k([[3.0, 1.0, 2.0], [5.0, 5.0, -np.inf]], 1).visible.astype(int)
    array([[1, 0, 0],
           [1, 1, 0]])
    """
    (scores,), _ = as_floats(scores=scores)
    if scores.ndim < 2:
        raise ValueError(f"scores must have axes (..., n_q, n_k), got {scores.shape}")
    k, (n_q, n_k) = whole_number("k", k, least=1), scores.shape[-2:]
    visible = ~np.isneginf(scores)
    if k < n_k:
        least = np.partition(scores, n_k - k, axis=-1)[..., n_k - k, None]  # (..., n_q, 1)
        visible &= ~(scores < least)  # and so NaN stays in sight
    keys = "key with the largest score" if k == 1 else f"{k} keys with the largest scores"
    return Mask(visible, _sentence(f"{_each(n_q, n_k)} sees the {keys}"))


def painted(visible: ArrayLike) -> Mask:
    """Take a mask as it was painted, cell by cell.

    Parameters
    ----------
    visible : booleans, or 0 and 1, shape (..., n_q, n_k)

    Returns
    -------
    shape (..., n_q, n_k)

    Raises
    ------
    ValueError
        If an entry is neither true nor false.

    Examples
    --------
    >>> painted([[1, 0], [1, 1]]).words
    'Painted by hand, 3 of 4 pairs of query and key are seen.'
    """
    cells = as_array(visible, "a painted mask")
    if cells.dtype.kind not in "buif" or not np.isin(cells, (0, 1)).all():
        raise ValueError(f"a painted mask must hold only 0 and 1, or false and true, got {cells.dtype}")
    cells = cells.astype(bool)
    pairs, be = _count(cells.size, "pair"), "is" if cells.sum() == 1 else "are"
    return Mask(cells, _sentence(f"painted by hand, {cells.sum()} of {pairs} of query and key {be} seen"))


def combine(*masks: Mask) -> Mask:
    """Let through what all the masks allow.

    Parameters
    ----------
    *masks
        At least one.

    Returns
    -------
    Mask
        The shapes broadcast.

    Examples
    --------
    >>> combine(everything(3), sliding_window(3, 3, 1), padding(2, 3)).visible.astype(int)
    array([[1, 1, 0],
           [1, 1, 0],
           [0, 1, 0]])
    """
    if not masks:
        raise ValueError("combine must be given at least one mask, got none")
    for mask in masks:
        if not isinstance(mask, Mask):
            raise ValueError(f"masks must each be a Mask, got {mask!r:.80}")
    return reduce(operator.and_, masks)


def _joined(join, a, b, words):
    """Return two masks joined, with their words."""
    if not isinstance(b, Mask):
        return NotImplemented
    try:
        visible = join(a.visible, b.visible)
    except ValueError:
        raise ValueError(f"masks must broadcast to one shape, got {a.visible.shape} and {b.visible.shape}") from None
    return Mask(visible, _sentence(words.format(_clause(a.words), _clause(b.words))))


def distances(n_q: int, n_k: int | None = None, query_offset: int | None = None) -> np.ndarray:
    """Return how far each key lies to the right of each query.

    Parameters
    ----------
    n_q
    n_k
        By default `n_q`.
    query_offset
        As in `causal`.

    Returns
    -------
    integers, shape (n_q, n_k)

    Examples
    --------
    >>> distances(2, 3)
    array([[-1,  0,  1],
           [-2, -1,  0]])
    """
    n_q, n_k = _lengths(n_q, n_k)
    return np.arange(n_k) - (np.arange(n_q)[:, None] + first_position(query_offset, n_q, n_k))


def _lengths(n_q, n_k):
    """Return both lengths as ints."""
    n_q = whole_number("n_q", n_q)
    return n_q, n_q if n_k is None else whole_number("n_k", n_k)


def first_position(query_offset: int | None, n_q: int, n_k: int) -> int:
    """Return the position of the first query among the keys."""
    if query_offset is None:
        return n_k - n_q
    return whole_number("query_offset", query_offset, least=-MOST)


def window_sides(window: Window | None) -> tuple[int | None, int | None]:
    """Return the window as (left, right), each an int or None."""
    sides = tuple(window) if isinstance(window, tuple | list) else (window, window)
    if len(sides) != 2:
        raise ValueError(f"window must be one number or a pair (left, right), got {window!r}")
    left, right = (None if side is None else whole_number("window", side) for side in sides)
    return left, right


def _each(n_q, n_k):
    """Name those that look: tokens where queries and keys are the same."""
    if n_q == 1:
        return "the only token" if n_k == 1 else "the only query"
    return f"each of the {n_q} {'tokens' if n_q == n_k else 'queries'}"


def _standing(n_q, n_k, offset):
    """Say where the queries stand among the keys, unless they are the same tokens."""
    if n_q == n_k and offset == 0:
        return ""
    if offset > 0:
        return f", standing after {_count(offset, 'earlier key')},"
    return f", standing {_count(-offset, 'place')} before the first key," if offset else ", starting at the first key,"


def _count(number, thing):
    """Say how many there are of a thing."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _everywhere(count):
    """Say how many tokens see and are seen everywhere."""
    return f"{count or 'no'} global token{' sees and is' if count == 1 else 's see and are'} seen everywhere"


def _at_most(limit):
    """Say how many keys a side of a window lets through."""
    if limit is None:
        return "any number"
    return f"at most {limit}" if limit else "none"


def _sentence(clause):
    """Return a clause with a capital and a full stop."""
    return capital(clause) + "."


def _clause(sentence):
    """Return a sentence without its capital and full stop, to be put into another."""
    return small(sentence).removesuffix(".")
