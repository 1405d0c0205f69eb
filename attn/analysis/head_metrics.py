"""Numbers that tell heads apart, one per head: where its weights lie, and how they are spread.

Every number is an average over the queries of one head. Queries without any weight (or with NaN) are
left out, and where no query is left the number is NaN: it cannot be told, which is not the same as 0.
Weights are taken as they are: what a model puts on a sink beside its keys is missing from every share.

Each function takes weights of any leading axes, (..., num_heads, n_q, n_k) or one head alone,
(n_q, n_k), so that memory can be kept to one head at a time.
"""

import numpy as np
from numpy.typing import ArrayLike

from attn import analysis
from attn.functional import as_array, as_floats, as_real, broadcasts, whole_number
from attn.masks import first_position


def entropy(weights: ArrayLike) -> np.ndarray:
    r"""Return how spread out the weights of a head are.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)

    Returns
    -------
    shape (...)
        The mean over queries of :math:`-\sum_j a_{ij} \ln a_{ij}`, from 0 (one key each) to
        :math:`\ln n_k` nats (all alike); NaN without weight.

    Notes
    -----
    Section 3.3 of [1]_ averages over many texts, this over the queries of one.

    References
    ----------
    .. [1] Clark et al., 2019. arXiv:1906.04341

    Examples
    --------
    >>> entropy([[1, 0], [0.5, 0.5]]).round(6)  # half of ln 2
    np.float64(0.346574)
    """
    weights, rows, dtype = _weights(weights)
    return _mean(analysis.row_entropy(weights), rows, dtype)


def normalised_entropy(weights: ArrayLike, mask: ArrayLike | None = None) -> np.ndarray:
    r"""Return the entropy as a share of the largest that the keys in sight allow.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    mask : booleans, broadcastable to the weights
        True where a query may look at a key. By default read off the weights: in sight are keys that
        get weight from any query, no further to either side than any query of the head looks. This
        finds causal masks, windows and padding.

    Returns
    -------
    shape (...)
        The mean over queries of entropy divided by :math:`\ln m_i`, with :math:`m_i` the number of
        keys that query ``i`` has in sight, from 0 to 1. Queries with one key in sight are left out;
        NaN if none has two.

    Raises
    ------
    ValueError
        If `mask` is no mask for the weights.

    Notes
    -----
    Section 3.3 of [1]_ compares heads with one that attends uniformly; the quotient lets texts of
    different lengths be compared.

    References
    ----------
    .. [1] Clark et al., 2019. arXiv:1906.04341

    Examples
    --------
    >>> normalised_entropy([[1, 0], [0.5, 0.5]])
    np.float64(1.0)
    """
    weights, _, dtype = _weights(weights)
    keys = _in_sight(weights, mask).sum(axis=-1)  # (..., n_q)
    largest = np.log(np.maximum(keys, 2))
    return _mean(analysis.row_entropy(weights) / largest, keys > 1, dtype)


evenness = normalised_entropy  # its earlier name, which is still its key in METRICS and in links


def distance(weights: ArrayLike, query_offset: int | None = None) -> np.ndarray:
    r"""Return how far a head looks on average.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    query_offset
        Position of the first query among the keys; by default ``n_k - n_q``.

    Returns
    -------
    shape (...)
        The mean over queries of :math:`\sum_j a_{ij} |j - i|`, from 0 to ``n_k - 1`` tokens;
        NaN without weight.

    Notes
    -----
    As in [1]_, which looks at a decoder and needs no absolute value, except that it pools the weight
    of many texts.

    References
    ----------
    .. [1] Vig and Belinkov, 2019. arXiv:1906.04284

    Examples
    --------
    >>> distance([[1, 0, 0], [1, 0, 0], [1, 0, 0]])  # (0 + 1 + 2) / 3
    np.float64(1.0)
    """
    weights, rows, dtype = _weights(weights)
    return _mean(analysis.mean_distance(weights, query_offset), rows, dtype)


def first_token(weights: ArrayLike) -> np.ndarray:
    r"""Return the share of the weight that lies on the first key.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)

    Returns
    -------
    shape (...)
        The mean over queries of :math:`a_{i0}`, from 0 to 1; NaN without weight. Under a causal mask
        the first query counts too, which can look nowhere else.

    Notes
    -----
    The "attention sink" of [1]_.

    References
    ----------
    .. [1] Xiao et al., 2023. arXiv:2309.17453

    Examples
    --------
    >>> first_token([[1, 0], [0.5, 0.5]])
    np.float64(0.75)
    """
    weights, rows, dtype = _weights(weights)
    return _mean(analysis.first_token_share(weights), rows, dtype)


def special_tokens(weights: ArrayLike, special: ArrayLike) -> np.ndarray:
    r"""Return the share of the weight that lies on special tokens such as [CLS] and [SEP].

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    special : booleans, shape (n_k,)

    Returns
    -------
    shape (...)
        The mean over queries of :math:`\sum_{j\ \mathrm{special}} a_{ij}`, from 0 to 1; NaN without
        weight. Weights that are all alike give the share of special tokens among the keys.

    Raises
    ------
    ValueError
        If there is not one flag per key.

    Notes
    -----
    Section 3.2 of [1]_, for all special tokens together; the "vertical" pattern of [2]_, section 4.1.

    References
    ----------
    .. [1] Clark et al., 2019. arXiv:1906.04341
    .. [2] Kovaleva et al., 2019. arXiv:1908.08593

    Examples
    --------
    >>> special_tokens([[0.5, 0.25, 0.25], [0, 1, 0]], [True, False, True])
    np.float64(0.375)
    """
    weights, rows, dtype = _weights(weights)
    return _mean(weights @ _flags(special, weights.shape[-1]).astype(weights.dtype), rows, dtype)


def picture_tokens(weights: ArrayLike, picture: ArrayLike, query_offset: int | None = None) -> np.ndarray:
    r"""Return the share of the weight of written tokens that lies on the tokens of a picture.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    picture : booleans, shape (n_k,)
        True for what stands for a picture. Queries that do so themselves are left out.
    query_offset
        As in `distance`.

    Returns
    -------
    shape (...)
        The mean over written queries of :math:`\sum_{j\ \mathrm{picture}} a_{ij}`, from 0 to 1; NaN without
        weight, or where nothing is written.

    Raises
    ------
    ValueError
        If there is not one flag per key.

    Notes
    -----
    What section 3 of [1]_ calls the attention allocation of the image, there for the token that is written next.

    References
    ----------
    .. [1] Chen et al., 2024. arXiv:2403.06764

    Examples
    --------
    >>> picture_tokens([[1, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5]], [True, False, False])
    np.float64(0.375)
    """
    weights, rows, dtype = _weights(weights)
    n_q, n_k = weights.shape[-2:]
    seen, positions = _flags(picture, n_k, "picture"), _positions(n_q, n_k, query_offset)
    inside = (positions >= 0) & (positions < n_k)
    written = ~(inside & seen[np.where(inside, positions, 0)])
    return _mean(weights @ seen.astype(weights.dtype), rows & written, dtype)


def previous_token(weights: ArrayLike, query_offset: int | None = None) -> np.ndarray:
    r"""Return the share of the weight that lies one token back.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    query_offset
        As in `distance`.

    Returns
    -------
    shape (...)
        The mean of :math:`a_{i,i-1}` over the queries that have a token before them, from 0 to 1;
        NaN if none has.

    Notes
    -----
    Section 3.1 of [1]_, and ``previous_token_head`` of TransformerLens, which divides by all the
    weight: there the first token, with nothing before it, keeps a perfect head below 1. Section 5.1
    of [2]_ asks instead how often the largest weight lies there.

    References
    ----------
    .. [1] Clark et al., 2019. arXiv:1906.04341
    .. [2] Voita et al., 2019. arXiv:1905.09418

    Examples
    --------
    >>> previous_token([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]])
    np.float64(0.75)
    """
    return _neighbour(weights, -1, query_offset)


def next_token(weights: ArrayLike, query_offset: int | None = None) -> np.ndarray:
    r"""Return the share of the weight that lies one token ahead.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    query_offset
        As in `distance`.

    Returns
    -------
    shape (...)
        The mean of :math:`a_{i,i+1}` over the queries that have a token after them, from 0 to 1; NaN
        if none has. Under a causal mask 0.

    Notes
    -----
    Section 3.1 of [1]_, as in `previous_token`.

    References
    ----------
    .. [1] Clark et al., 2019. arXiv:1906.04341

    Examples
    --------
    >>> next_token([[0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]])
    np.float64(0.75)
    """
    return _neighbour(weights, 1, query_offset)


def same_token(weights: ArrayLike, query_offset: int | None = None) -> np.ndarray:
    r"""Return the share of the weight that a token keeps on itself.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    query_offset
        As in `distance`.

    Returns
    -------
    shape (...)
        The mean of :math:`a_{ii}` over queries, from 0 to 1; NaN without weight. Other places where
        the same word stands are those of `duplicate_token`.

    Notes
    -----
    The "current token" of section 3.1 of [1]_.

    References
    ----------
    .. [1] Clark et al., 2019. arXiv:1906.04341

    Examples
    --------
    >>> same_token([[1, 0], [0.5, 0.5]])
    np.float64(0.75)
    """
    return _neighbour(weights, 0, query_offset)


def duplicate_token(
    weights: ArrayLike,
    tokens: ArrayLike,
    special: ArrayLike | None = None,
    query_offset: int | None = None,
    *,
    fewest: int = 1,
) -> np.ndarray:
    r"""Return the share of the weight that lies on earlier places of the same token.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    tokens : shape (n_k,)
        Ids or words.
    special : booleans, shape (n_k,)
        Special tokens repeat nothing: they are left out.
    query_offset
        As in `distance`.
    fewest
        How many queries must have somewhere to look.

    Returns
    -------
    shape (...)
        The mean of :math:`\sum_j a_{ij}` over the keys with :math:`t_j = t_i` and
        :math:`0 < j < i - 1`, and over the queries that have such a key, from 0 to 1; NaN if these
        queries are fewer than `fewest`.

    Raises
    ------
    ValueError
        If there is not one token and one flag per key.

    Notes
    -----
    The duplicate token heads of [1]_. ``duplicate_token_head`` of TransformerLens divides
    by all the weight, so that a perfect head scores little in a text with few repetitions; here only
    queries count that have somewhere to look. It also counts the first key and the key just before,
    which here are left to `first_token` and `previous_token`: a head that looks there whatever the
    tokens are has found no repetition.

    References
    ----------
    .. [1] Wang et al., 2022. arXiv:2211.00593

    Examples
    --------
    >>> weights = np.eye(5)
    >>> weights[4] = [0, 0.75, 0, 0, 0.25]
    >>> duplicate_token(weights, ["so", "it", "is", "as", "it"])
    np.float64(0.75)
    """
    return _on_pairs(weights, tokens, special, query_offset, fewest, after=0)


def induction(
    weights: ArrayLike,
    tokens: ArrayLike,
    special: ArrayLike | None = None,
    query_offset: int | None = None,
    *,
    fewest: int = 1,
) -> np.ndarray:
    r"""Return the share of the weight that lies on what followed the same token before.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    tokens : shape (n_k,)
        Ids or words.
    special : booleans, shape (n_k,)
        Special tokens are left out, as tokens that come again and as what followed.
    query_offset
        As in `distance`.
    fewest
        As in `duplicate_token`.

    Returns
    -------
    shape (...)
        The mean of :math:`\sum_j a_{ij}` over the keys with :math:`t_{j-1} = t_i` and
        :math:`0 < j < i - 1`, and over the queries that have such a key, from 0 to 1; NaN if these
        queries are fewer than `fewest`.

    Raises
    ------
    ValueError
        If there is not one token and one flag per key.

    Notes
    -----
    The induction heads of [1]_: after ``A B ... A`` they look at ``B``. The "prefix matching" score
    of [2]_ is this number on random tokens that are repeated, where no meaning can help; on a text
    that makes sense it may be high for other reasons. ``induction_head`` of TransformerLens divides
    by all the weight, and also counts the key just before and the query itself; see `duplicate_token`.

    References
    ----------
    .. [1] Elhage et al., 2021. A Mathematical Framework for Transformer Circuits.
    .. [2] Olsson et al., 2022. arXiv:2209.11895

    Examples
    --------
    >>> weights = np.eye(5)
    >>> weights[4] = [0, 0, 0.75, 0, 0.25]
    >>> induction(weights, ["so", "it", "is", "as", "it"])
    np.float64(0.75)
    """
    return _on_pairs(weights, tokens, special, query_offset, fewest, after=1)


def positional(weights: ArrayLike, mask: ArrayLike | None = None) -> np.ndarray:
    r"""Return how much of the pattern depends on distance alone, whatever the tokens are.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    mask : booleans, broadcastable to the weights
        As in `normalised_entropy`.

    Returns
    -------
    shape (...)
        From 0 (content decides) to 1 (every weight follows from how far the key is from the query).
        NaN for weights that are all alike, in which there is nothing to explain, and where each
        distance occurs once only, so that it could explain anything.

    Raises
    ------
    ValueError
        If `mask` is no mask for the weights.

    Notes
    -----
    With :math:`e_{ij} = a_{ij} - \sum_k a_{ik} / m_i`, what sets a weight apart from looking alike at
    all :math:`m_i` keys in sight (see `normalised_entropy`), and :math:`\bar e_d` its mean over the
    :math:`n_d` cells with :math:`j - i = d`, the share of the variance that the means explain is
    :math:`R^2 = \sum_d n_d \bar e_d^2 / \sum_{ij} e_{ij}^2`. In a text of few tokens chance alone
    explains ``D / N``, with D distances and N cells; as in an adjusted :math:`R^2` this is taken out,
    :math:`1 - (1 - R^2) N / (N - D)`, and what falls below 0 is 0.

    [1]_ compares the weights with their means over many texts at each pair of places, which takes
    many texts; this takes one. Section 5.1 of [2]_ calls a head positional by where its largest
    weight lies. A head that always looks at the first or last token is not positional here: its
    pattern is a column, not a diagonal.

    References
    ----------
    .. [1] Vig and Belinkov, 2019. arXiv:1906.04284
    .. [2] Voita et al., 2019. arXiv:1905.09418

    Examples
    --------
    >>> diagonal, column = [[0.75, 0.25], [0.25, 0.75]], [[0.75, 0.25], [0.75, 0.25]]
    >>> positional(diagonal), positional(column)
    (np.float64(1.0), np.float64(0.0))
    """
    weights, _, dtype = _weights(weights)
    seen = _in_sight(weights, mask)
    even = weights.sum(axis=-1, keepdims=True) / np.maximum(seen.sum(axis=-1, keepdims=True), 1)
    apart = np.where(seen, weights - even, 0)
    number = diagonals(seen).sum(axis=-2)  # (..., n_q + n_k - 1)
    explained = (diagonals(apart).sum(axis=-2) ** 2 / np.maximum(number, 1)).sum(axis=-1)
    total = (apart**2).sum(axis=(-2, -1))
    cells, distances = number.sum(axis=-1), (number > 0).sum(axis=-1)
    rounding = (8 * np.finfo(weights.dtype).eps) ** 2 * (weights**2).sum(axis=(-2, -1))
    left = 1 - np.divide(explained, total, out=np.zeros_like(total), where=total > rounding)
    adjusted = 1 - left * cells / np.maximum(cells - distances, 1)
    told = (total > rounding) & (cells > distances)
    return np.where(told, np.clip(adjusted, 0, 1), np.nan).astype(dtype)[()]


def _weights(weights: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.dtype]:
    """Return the weights with NaN rows emptied, which rows have weight, and the type to return."""
    (weights,), dtype = as_floats(weights=weights)
    if weights.ndim < 2 or 0 in weights.shape[-2:]:
        raise ValueError(f"weights must have axes (..., n_q, n_k), neither of them empty, got {weights.shape}")
    total = weights.sum(axis=-1)  # NaN where any weight of the row is, and one pass instead of two
    undefined = np.isnan(total)
    if undefined.any():
        weights = np.where(undefined[..., None], 0, weights)
    return weights, total > 0, dtype


def _mean(values, rows, dtype, fewest=1):
    """Average over the rows that count; NaN where they are fewer than `fewest`."""
    number = rows.sum(axis=-1)
    total = np.where(rows, values, 0).sum(axis=-1)
    return np.where(number >= max(fewest, 1), total / np.maximum(number, 1), np.nan).astype(dtype)[()]


def _positions(n_q, n_k, query_offset):
    """Return where among the keys each query stands."""
    return np.arange(n_q) + first_position(query_offset, n_q, n_k)


def _neighbour(weights, step, query_offset):
    """Average the weight that lies `step` tokens from each query."""
    weights, rows, dtype = _weights(weights)
    n_q, n_k = weights.shape[-2:]
    keys = _positions(n_q, n_k, query_offset) + step
    queries = np.flatnonzero((keys >= 0) & (keys < n_k))
    return _mean(weights[..., queries, keys[queries]], rows[..., queries], dtype)


def _on_pairs(weights, tokens, special, query_offset, fewest, after):
    """Average the weight on the places `after` earlier ones of the query's token."""
    weights, rows, dtype = _weights(weights)
    n_q, n_k = weights.shape[-2:]
    special = np.zeros(n_k, dtype=bool) if special is None else _flags(special, n_k)
    fewest = whole_number("fewest", fewest)
    pairs = _pairs(_names(tokens, n_k), special, _positions(n_q, n_k, query_offset), after)
    shares = np.einsum("...ij,ij->...i", weights, pairs.astype(weights.dtype))
    return _mean(shares, rows & pairs.any(axis=-1), dtype, fewest)


def _pairs(tokens, special, positions, after):
    """Tell which keys stand `after` an earlier place of each query's token, (n_q, n_k)."""
    n_k = len(tokens)
    keys, inside = np.arange(n_k), (positions >= 0) & (positions < n_k)
    own = np.where(inside, positions, 0)
    same = (tokens[own][:, None] == tokens) & (inside & ~special[own])[:, None]
    pairs = np.zeros((len(positions), n_k), dtype=bool)
    pairs[:, after:] = same[:, : n_k - after]
    return pairs & ~special & (keys > 0) & (keys < positions[:, None] - 1)


def _names(tokens, n_k):
    """Return one id or word per key."""
    tokens = as_array(tokens, "tokens")
    if tokens.shape != (n_k,) or tokens.dtype.kind not in "iuU":
        raise ValueError(f"tokens must be {n_k} ids or words, one per key, got {tokens.dtype} of {tokens.shape}")
    return tokens


def _flags(flags, n_k, name="special"):
    """Return one flag per key."""
    flags = as_real(flags, name)
    if flags.shape != (n_k,) or flags.dtype != bool:
        raise ValueError(f"{name} must be {n_k} booleans, one per key, got {flags.dtype} of {flags.shape}")
    return flags


def _in_sight(weights, mask):
    """Tell which keys each query has in sight, by the mask or by the weights of the head alone."""
    some = weights != 0
    if mask is not None:
        return np.broadcast_to(_fitted(mask, weights.shape), weights.shape) & some.any(axis=-1, keepdims=True)
    n_q, n_k = weights.shape[-2:]
    used = diagonals(some).any(axis=-2)  # (..., n_q + n_k - 1)
    lowest, highest = used.argmax(axis=-1), used.shape[-1] - 1 - used[..., ::-1].argmax(axis=-1)
    diagonal = np.arange(n_k) - np.arange(n_q)[:, None] + n_q - 1  # (n_q, n_k)
    band = (diagonal >= lowest[..., None, None]) & (diagonal <= highest[..., None, None])
    return band & some.any(axis=-1, keepdims=True) & some.any(axis=-2, keepdims=True)


def _fitted(mask, shape):
    """Return a mask that broadcasts to `shape`."""
    mask = as_real(mask, "mask")
    if not broadcasts(mask.shape, shape) or mask.dtype != bool:
        raise ValueError(f"mask must be boolean and broadcast to {shape}, got {mask.dtype} of shape {mask.shape}")
    return mask


def diagonals(cells: np.ndarray) -> np.ndarray:
    """Lay each diagonal in a column: (..., n_q, n_k) -> (..., n_q, n_q + n_k - 1), 0 elsewhere."""
    *leading, n_q, n_k = cells.shape
    wide = np.zeros((*leading, n_q, n_q + n_k), dtype=cells.dtype)
    wide[..., :n_k] = cells[..., ::-1, :]
    # Read in rows one shorter, each row stands one place further right than the one above it.
    flat = wide.reshape(*leading, n_q * (n_q + n_k))[..., : n_q * (n_q + n_k - 1)]
    return flat.reshape(*leading, n_q, n_q + n_k - 1)
