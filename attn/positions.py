"""Where a token stands: added to its embedding, turned into its query and key, or added to its scores.

Attention alone does not know the order of its tokens: shuffle them and the outputs shuffle along.
`sinusoidal` and `learned` are added to the embeddings, `rotary` turns queries and keys, and
`alibi_bias` and `relative_bias` go in as ``bias=``.
"""

from __future__ import annotations  # so that no signature loads numpy.random

import math

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, whole_number


def sinusoidal(n: int, d_model: int, *, base: float = 10000) -> np.ndarray:
    r"""Return waves of many lengths, one row per position, to be added to the embeddings.

    Returns
    -------
    shape (n, d_model)

    Notes
    -----
    Section 3.5 of [1]_: :math:`PE_{p,2i} = \sin(p / b^{2i/d})` and
    :math:`PE_{p,2i+1} = \cos(p / b^{2i/d})` with b `base` and d `d_model`. The dot product of two
    rows depends only on how far apart they are.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> sinusoidal(2, 4).round(6)
    array([[0.      , 1.      , 0.      , 1.      ],
           [0.841471, 0.540302, 0.01    , 0.99995 ]])
    """
    whole_number("d_model", d_model, 1)
    angles = _angles(n, d_model, base)  # (n, ceil(d_model / 2))
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1)  # (n, ceil(d_model / 2), 2)
    return waves.reshape(n, 2 * angles.shape[1])[:, :d_model]  # (n, d_model)


def wavelengths(d: int, *, base: float = 10000) -> np.ndarray:
    r"""Return after how many positions each pair of numbers comes round, for `sinusoidal` and `rotary`.

    Parameters
    ----------
    d
        `d_model` of sinusoidal positions or `d_k` of rotary ones.
    base

    Returns
    -------
    shape (ceil(d / 2),)
        :math:`2\pi b^{2i/d}`.

    Notes
    -----
    Section 3.5 of [1]_ says that they run from :math:`2\pi` to :math:`10000 \cdot 2\pi`, which is
    62,832. The longest falls short of it, since its exponent is only :math:`(d - 2) / d`.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> wavelengths(512)[-1].round(1).item()
    60611.5
    """
    whole_number("d", d, 1)
    return 2 * math.pi * float(base) ** (np.arange(0, d, 2) / d)


def offset_matrix(offset: float, d_model: int, *, base: float = 10000) -> np.ndarray:
    r"""Return the rotation that moves sinusoidal positions along by `offset`, the same wherever they start.

    Parameters
    ----------
    offset
    d_model
        Even.
    base

    Returns
    -------
    shape (d_model, d_model)
        R with :math:`PE_{p+k} = R_k PE_p` for all p: blocks of 2 x 2 along the diagonal, each the turn
        of one pair.

    Raises
    ------
    ValueError
        If `d_model` is odd or below 2.

    Notes
    -----
    Section 3.5 of [1]_ says that there is such a matrix.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> waves = sinusoidal(9, 4)
    >>> bool(np.allclose(offset_matrix(7, 4) @ waves[1], waves[8]))
    True
    """
    if d_model < 2 or d_model % 2:
        raise ValueError(f"d_model must be even to be turned in pairs, got {d_model}")
    turn = offset * 2 * math.pi / wavelengths(d_model, base=base)  # (d_model / 2,)
    sine, cosine = np.arange(0, d_model, 2), np.arange(1, d_model, 2)
    matrix = np.zeros((d_model, d_model))
    matrix[sine, sine] = matrix[cosine, cosine] = np.cos(turn)
    matrix[sine, cosine], matrix[cosine, sine] = np.sin(turn), -np.sin(turn)
    return matrix


def learned(rng: np.random.Generator, n: int, d_model: int) -> np.ndarray:
    """Return one row per position as training would start from, to be added to the embeddings.

    Returns
    -------
    shape (n, d_model)
        Normal with standard deviation 0.02, where BERT and GPT-2 begin.

    Notes
    -----
    Row (E) of Table 3 in [1]_: as good as `sinusoidal`, up to the longest sequence trained on.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> learned(np.random.default_rng(0), 5, 3).shape
    (5, 3)
    """
    return rng.normal(0, 0.02, (n, d_model))


def rotary(n: int, d_k: int, *, base: float = 10000) -> np.ndarray:
    r"""Return the angle by which each position turns each pair of numbers.

    Parameters
    ----------
    n
    d_k
        Even.
    base

    Returns
    -------
    shape (n, d_k / 2)
        :math:`p \cdot b^{-2i/d_k}` for position p and pair i, for `rotate`.

    Raises
    ------
    ValueError
        If `d_k` is odd or below 2.

    Notes
    -----
    Section 3.2.2 of [1]_.

    References
    ----------
    .. [1] Su et al., 2021. arXiv:2104.09864

    Examples
    --------
    >>> rotary(3, 4)
    array([[0.  , 0.  ],
           [1.  , 0.01],
           [2.  , 0.02]])
    """
    if d_k < 2 or d_k % 2:
        raise ValueError(f"d_k must be even to be turned in pairs, got {d_k}")
    return _angles(n, d_k, base)


def rotate(x: ArrayLike, angles: ArrayLike, *, interleaved: bool = False) -> np.ndarray:
    r"""Turn pairs of numbers in each query or key by the angles of its position.

    Parameters
    ----------
    x : shape (..., n, d_k)
    angles : shape (n, r)
        The first ``2 * r`` numbers are turned, what lies beyond them stays (GPT-NeoX turns only a
        part).
    interleaved
        Which numbers make a pair. By default ``i`` and ``i + r``, as Llama and GPT-NeoX lay them
        out; if True ``2 * i`` and ``2 * i + 1``, as the paper and GPT-J do.

    Returns
    -------
    shape (..., n, d_k)

    Raises
    ------
    ValueError
        If `x` has not n rows of at least ``2 * r`` numbers.

    Notes
    -----
    Equation 34 of [1]_:
    :math:`(a, b) \to (a \cos\theta - b \sin\theta,\; b \cos\theta + a \sin\theta)`. The product of
    a turned query and a turned key depends only on how far apart they are.

    References
    ----------
    .. [1] Su et al., 2021. arXiv:2104.09864

    Examples
    --------
    >>> rotate([[1, 0], [1, 0]], [[0], [np.pi / 2]]).round(6)
    array([[1., 0.],
           [0., 1.]])
    """
    (x,), dtype = as_floats(x)
    angles = np.asarray(angles)
    if x.ndim < 2 or angles.ndim != 2 or x.shape[-2] != len(angles) or x.shape[-1] < 2 * angles.shape[1]:
        raise ValueError(
            f"x must have a row per row of angles and two numbers per angle, got x {x.shape} and angles {angles.shape}"
        )
    turned = 2 * angles.shape[1]
    first, second = (slice(0, turned, 2), slice(1, turned, 2)) if interleaved else np.split(np.arange(turned), 2)
    cosine, sine = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)  # (n, r)
    rotated = x.copy()
    rotated[..., first] = x[..., first] * cosine - x[..., second] * sine
    rotated[..., second] = x[..., second] * cosine + x[..., first] * sine
    return rotated.astype(dtype, copy=False)


def alibi_slopes(num_heads: int) -> np.ndarray:
    r"""Return how fast each head's scores fall with distance.

    Returns
    -------
    shape (num_heads,)
        :math:`2^{-8/h}, 2^{-16/h}, \ldots` for a power of two h. Otherwise those of the power of
        two below, then every other one of the power of two above.

    Notes
    -----
    Section 3 of [1]_; the rule for other numbers of heads is that of its published code.

    References
    ----------
    .. [1] Press, Smith and Lewis, 2021. arXiv:2108.12409

    Examples
    --------
    >>> alibi_slopes(4)
    array([0.25      , 0.0625    , 0.015625  , 0.00390625])
    """
    whole_number("num_heads", num_heads, 1)
    power = 2 ** int(math.log2(num_heads))
    slopes = 2.0 ** (-8 / power * np.arange(1, power + 1))
    between = 2.0 ** (-4 / power * np.arange(1, 2 * (num_heads - power), 2))
    return np.concatenate([slopes, between])  # (num_heads,)


def alibi_bias(num_heads: int, n_q: int, n_k: int | None = None, *, query_offset: int | None = None) -> np.ndarray:
    r"""Return a penalty that grows with distance, at each head's own rate.

    Parameters
    ----------
    num_heads, n_q
    n_k
        By default `n_q`.
    query_offset
        Position of the first query among the keys; by default ``n_k - n_q``.

    Returns
    -------
    shape (num_heads, n_q, n_k)
        :math:`-m_h |i - j|`, to be given as ``bias``.

    Notes
    -----
    Section 3 of [1]_, where attention is causal; the same in both directions here.

    References
    ----------
    .. [1] Press, Smith and Lewis, 2021. arXiv:2108.12409

    Examples
    --------
    >>> alibi_bias(8, 3)[0]
    array([[-0. , -0.5, -1. ],
           [-0.5, -0. , -0.5],
           [-1. , -0.5, -0. ]])
    """
    distance = np.abs(_distance(n_q, n_k, query_offset))  # (n_q, n_k)
    return -alibi_slopes(num_heads)[:, None, None] * distance  # (num_heads, n_q, n_k)


def relative_buckets(
    n_q: int,
    n_k: int | None = None,
    *,
    num_buckets: int = 32,
    max_distance: int = 128,
    bidirectional: bool = True,
    query_offset: int | None = None,
) -> np.ndarray:
    """Sort the distances between queries and keys into buckets that widen with distance.

    Parameters
    ----------
    n_q
    n_k
        By default `n_q`.
    num_buckets
    max_distance
        Here the last bucket ends, would the buckets go on to widen: all distances beyond share it, and it begins
        well before.
    bidirectional
        Whether keys to the right get the upper half of the buckets; if False they share bucket 0.
    query_offset
        Position of the first query among the keys; by default ``n_k - n_q``.

    Returns
    -------
    integers, shape (n_q, n_k)

    Raises
    ------
    ValueError
        If there are too few buckets, or `max_distance` lies among the buckets of one distance each.

    Notes
    -----
    Section 2.1 of [1]_ in words; the formula is that of its published code: half of the buckets of a
    direction hold one distance each, the other half logarithmically more.

    References
    ----------
    .. [1] Raffel et al., 2020. arXiv:1910.10683

    Examples
    --------
    >>> relative_buckets(1, 7, num_buckets=8, max_distance=16, bidirectional=False)
    array([[5, 4, 4, 3, 2, 1, 0]])
    """
    directions = 2 if bidirectional else 1
    per_direction = num_buckets // directions
    exact = per_direction // 2
    if exact < 1 or max_distance <= exact:
        raise ValueError(
            f"num_buckets must be at least {2 * directions} and max_distance above {exact}, "
            f"got {num_buckets} and {max_distance}"
        )
    to_the_right = _distance(n_q, n_k, query_offset)
    away = np.abs(to_the_right) if bidirectional else np.maximum(-to_the_right, 0)
    # float32, as the published code computes it, so that distances on an edge fall on the same side
    ratio = np.log(np.maximum(away, exact).astype(np.float32) / exact) / math.log(max_distance / exact)
    wide = exact + (ratio * (per_direction - exact)).astype(int)
    buckets = np.where(away < exact, away, np.minimum(wide, per_direction - 1))
    return buckets + per_direction * (bidirectional & (to_the_right > 0))


def relative_bias(
    table: ArrayLike,
    n_q: int,
    n_k: int | None = None,
    *,
    max_distance: int = 128,
    bidirectional: bool = True,
    query_offset: int | None = None,
) -> np.ndarray:
    """Look up each head's bias for the distance between each query and key.

    Parameters
    ----------
    table : shape (num_buckets, num_heads)
        Trained; shared by all layers in T5.
    n_q, n_k, max_distance, bidirectional, query_offset
        As in `relative_buckets`.

    Returns
    -------
    shape (num_heads, n_q, n_k)
        To be given as ``bias``.

    Raises
    ------
    ValueError
        If `table` has not two axes.

    Examples
    --------
    >>> relative_bias(np.zeros((32, 8)), 3, 5).shape
    (8, 3, 5)
    """
    (table,), dtype = as_floats(table)
    if table.ndim != 2:
        raise ValueError(f"table must have two axes (num_buckets, num_heads), got {table.shape}")
    buckets = relative_buckets(
        n_q,
        n_k,
        num_buckets=len(table),
        max_distance=max_distance,
        bidirectional=bidirectional,
        query_offset=query_offset,
    )
    return np.moveaxis(table[buckets], -1, 0).astype(dtype, copy=False)  # (num_heads, n_q, n_k)


def _angles(n, d, base):
    """Return position times ``base ** (-2 * i / d)`` for each pair i, (n, ceil(d / 2))."""
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    return np.arange(n)[:, None] * float(base) ** (-np.arange(0, d, 2) / d)


def _distance(n_q, n_k, query_offset):
    """Return how far each key lies to the right of each query, (n_q, n_k)."""
    n_k = n_q if n_k is None else n_k
    offset = n_k - n_q if query_offset is None else query_offset
    return np.arange(n_k) - np.arange(n_q)[:, None] - offset
