"""Where a token stands: added to its embedding, turned into its query and key, or added to its scores.

Attention without a mask does not know the order of its tokens: shuffle them and the outputs shuffle along.
`sinusoidal` and `learned` are added to the embeddings, `rotary` turns queries and keys (`yarn` for
texts longer than those of training, `xpos_factors` so that far keys count less), and `alibi_bias`,
`relative_bias` and `shaw_bias` go in as ``bias=``.
"""

from __future__ import annotations  # so that no signature loads numpy.random

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, broadcasts, finite_number, whole_number
from attn.masks import distances

Turn = Callable[[np.ndarray], np.ndarray]  # turns queries or keys (..., n, d_k), as `rotate` does


def sinusoidal(
    n: int, d_model: int, *, base: float = 10000, halves: bool = False, endpoint: bool = False
) -> np.ndarray:
    r"""Return waves of many lengths, one row per position, to be added to the embeddings.

    Parameters
    ----------
    n, d_model, base
    halves
        Whether all sines come first and then all cosines, as in fairseq, Marian and Whisper; in the
        paper they take turns.
    endpoint
        Whether the longest wave is ``2 * pi * base`` positions long, as in tensor2tensor, fairseq and
        Whisper; an odd `d_model` then ends in a column of zeros. In the paper it falls one step short.

    Returns
    -------
    shape (n, d_model)

    Raises
    ------
    ValueError
        If `n` is negative, `d_model` below 1, or `base` not positive.

    Notes
    -----
    Section 3.5 of [1]_: :math:`PE_{p,2i} = \sin(p / b^{2i/d})` and
    :math:`PE_{p,2i+1} = \cos(p / b^{2i/d})` with b `base` and d `d_model`. With `endpoint` the
    exponent is :math:`i / (d/2 - 1)`, as the published code of [1]_ and of [2]_ has it. The dot product
    of two rows depends only on how far apart they are, in whatever order the waves stand.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762
    .. [2] Radford et al., 2022, section 2.2. arXiv:2212.04356

    Examples
    --------
    >>> sinusoidal(2, 4).round(6)
    array([[0.      , 1.      , 0.      , 1.      ],
           [0.841471, 0.540302, 0.01    , 0.99995 ]])
    >>> sinusoidal(2, 4, halves=True).round(6)
    array([[0.      , 0.      , 1.      , 1.      ],
           [0.841471, 0.01    , 0.540302, 0.99995 ]])
    """
    whole_number("d_model", d_model, 1)
    angles = _angles(n, d_model, base, endpoint)  # (n, ceil(d_model / 2)), or d_model // 2 with endpoint
    waves = np.zeros((n, d_model))
    sines, cosines = _places(d_model - d_model % 2 if endpoint else d_model, halves)
    waves[:, sines] = np.sin(angles)
    waves[:, cosines] = np.cos(angles[:, : d_model // 2])
    return waves


def wavelengths(d: int, *, base: float = 10000, endpoint: bool = False) -> np.ndarray:
    r"""Return after how many positions each pair of numbers comes round, for `sinusoidal` and `rotary`.

    Parameters
    ----------
    d
        `d_model` of sinusoidal positions or `d_k` of rotary ones.
    base
    endpoint
        As in `sinusoidal`.

    Returns
    -------
    shape (ceil(d / 2),)
        :math:`2\pi b^{2i/d}`. With `endpoint` (d // 2,), and :math:`2\pi b^{i/(d/2-1)}`.

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
    return 2 * math.pi * finite_number(base, "base", above=0) ** _exponents(d, endpoint)


def offset_matrix(
    offset: float, d_model: int, *, base: float = 10000, halves: bool = False, endpoint: bool = False
) -> np.ndarray:
    r"""Return the rotation that moves sinusoidal positions along by `offset`, the same wherever they start.

    Parameters
    ----------
    offset
    d_model
        Even.
    base, halves, endpoint
        As in `sinusoidal`.

    Returns
    -------
    shape (d_model, d_model)
        R with :math:`PE_{p+k} = R_k PE_p` for all p: each pair of a sine and a cosine turns by itself, in
        blocks of 2 x 2 along the diagonal where the two are neighbours.

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
    _even("d_model", d_model)
    turn = (
        finite_number(offset, "offset") * 2 * math.pi / wavelengths(d_model, base=base, endpoint=endpoint)
    )  # (d_model / 2,)
    sine, cosine = (np.arange(d_model)[place] for place in _places(d_model, halves))
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
    return rng.normal(0, 0.02, (whole_number("n", n), whole_number("d_model", d_model, 1)))


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
    _even("d_k", d_k)
    return _angles(n, d_k, base)


def yarn(
    n: int,
    d_k: int,
    stretch: float,
    *,
    trained: int = 4096,
    base: float = 10000,
    fast: float = 32,
    slow: float = 1,
    truncate: bool = True,
) -> np.ndarray:
    r"""Return the angles of `rotary` for texts `stretch` times as long as those of training.

    Pairs that came round often in training keep their speed, which tells near tokens apart; those that
    did not come round once turn `stretch` times slower, so that no new angle is seen; between the two
    it goes over evenly.

    Parameters
    ----------
    n
    d_k
        Even.
    stretch
        At least 1.
    trained
        Tokens of the longest text in training.
    base
    fast, slow
        A pair that comes round more often than `fast` times in `trained` tokens keeps its speed, one
        that does so less often than `slow` times is slowed down.
    truncate
        Whether what lies between begins and ends at a whole pair; gpt-oss has False.

    Returns
    -------
    shape (n, d_k / 2)
        For `rotate`, with `yarn_factor` as its `factor`.

    Raises
    ------
    ValueError
        If `d_k` is odd or below 2, `stretch` below 1, `base` not above 1, or another number is not
        positive.

    Notes
    -----
    The "NTK-by-parts" interpolation of [1]_. As in its published code the ramp runs evenly over pairs,
    where the paper's runs over how often they come round.

    References
    ----------
    .. [1] Peng, Quesnelle, Fan and Shippole, 2023. arXiv:2309.00071

    Examples
    --------
    >>> yarn(2, 8, 4.0, trained=64)[1] / rotary(2, 8)[1]
    array([1.   , 0.625, 0.25 , 0.25 ])
    """
    angles = rotary(n, d_k, base=base)
    stretch = _stretch(stretch)
    whole_number("trained", trained, 1)
    for name, number in (("fast", fast), ("slow", slow)):
        finite_number(number, name, above=0)
    base = finite_number(base, "base", above=1)
    turns = [d_k * math.log(trained / (number * 2 * math.pi)) / (2 * math.log(base)) for number in (fast, slow)]
    first, last = (math.floor(turns[0]), math.ceil(turns[1])) if truncate else turns
    first, last = max(first, 0), min(last, d_k - 1)
    slowed = np.clip((np.arange(d_k // 2) - first) / ((last - first) or 0.001), 0, 1)  # (d_k / 2,)
    return angles * (1 - slowed + slowed / stretch)


def yarn_factor(stretch: float) -> float:
    r"""Return by how much turned queries and keys grow with `yarn`, each.

    Parameters
    ----------
    stretch
        At least 1.

    Returns
    -------
    float
        :math:`0.1 \ln s + 1`, for `rotate`. Scores grow by its square: the longer the text, the more
        keys there are to share the weight.

    Raises
    ------
    ValueError
        If `stretch` is below 1.

    Notes
    -----
    The attention scaling of [1]_, where it is :math:`\sqrt{1/t}` with t the temperature of the softmax.

    References
    ----------
    .. [1] Peng, Quesnelle, Fan and Shippole, 2023. arXiv:2309.00071

    Examples
    --------
    >>> round(yarn_factor(16), 4)
    1.2773
    """
    return 0.1 * math.log(_stretch(stretch)) + 1


def xpos_factors(n: int, d_k: int, *, gamma: float = 0.4, scale_base: float = 512) -> np.ndarray:
    r"""Return by how much each turned pair of a query grows at each position; keys shrink by as much.

    The product of a query and a key then falls with their distance, most in the pairs that turn
    fastest, and a key to the left of its query counts less the farther it is. One to the right counts
    more: it is meant for causal attention.

    Parameters
    ----------
    n
    d_k
        Even.
    gamma
        Above 0; the larger, the slower far keys fade.
    scale_base
        Positions after which a pair has faded by its own :math:`\zeta_i`.

    Returns
    -------
    shape (n, d_k / 2)
        For `rotate`: ``factor`` of queries, and ``1 / factor`` of keys, both of `rotary` angles.

    Raises
    ------
    ValueError
        If `d_k` is odd or below 2, or a number is out of range.

    Notes
    -----
    The xPos of [1]_: :math:`\zeta_i^{p/B}` with :math:`\zeta_i = (2i/d + \gamma) / (1 + \gamma)`, B
    `scale_base` and i from 0. Positions are counted from the middle, as in its published code, which
    keeps the numbers in range and cancels in every product.

    References
    ----------
    .. [1] Sun et al., 2022. arXiv:2212.10554

    Examples
    --------
    >>> xpos_factors(4, 4, scale_base=1).round(3)
    array([[12.25 ,  2.42 ],
           [ 3.5  ,  1.556],
           [ 1.   ,  1.   ],
           [ 0.286,  0.643]])
    """
    _even("d_k", d_k)
    n, gamma = whole_number("n", n), finite_number(gamma, "gamma", above=0)
    zeta = (np.arange(0, d_k, 2) / d_k + gamma) / (1 + gamma)  # (d_k / 2,)
    from_the_middle = np.arange(n) - math.ceil(n / 2)
    return zeta ** (from_the_middle[:, None] / finite_number(scale_base, "scale_base", above=0))


def turned(
    query: np.ndarray, key: np.ndarray, rotate: Turn | tuple[Turn, Turn] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Turn queries and keys: both in one way, each in its own where a pair is given, or not at all."""
    if rotate is None:
        return query, key
    of_query, of_key = rotate if isinstance(rotate, tuple) else (rotate, rotate)
    return of_query(query), of_key(key)


def rotate(x: ArrayLike, angles: ArrayLike, *, interleaved: bool = False, factor: ArrayLike = 1) -> np.ndarray:
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
    factor : broadcastable to (n, r)
        What the turned pairs are multiplied by: `yarn_factor` or `xpos_factors`. What is not turned is
        not multiplied.

    Returns
    -------
    shape (..., n, d_k)

    Raises
    ------
    ValueError
        If `x` has not n rows of at least ``2 * r`` numbers, or `factor` does not fit the angles.

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
    (x,), dtype = as_floats(x=x)
    (angles,), _ = as_floats(angles=angles)
    if x.ndim < 2 or angles.ndim != 2 or x.shape[-2] != len(angles) or x.shape[-1] < 2 * angles.shape[1]:
        raise ValueError(
            f"x must have a row per row of angles and two numbers per angle, got x {x.shape} and angles {angles.shape}"
        )
    (factor,), _ = as_floats(factor=factor)
    if not broadcasts(factor.shape, angles.shape):
        raise ValueError(f"factor must broadcast to the angles {angles.shape}, got {factor.shape}")
    width = 2 * angles.shape[1]
    first, second = _places(width, halves=not interleaved)
    cosine, sine = ((wave(angles) * factor).astype(x.dtype) for wave in (np.cos, np.sin))  # (n, r)
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
    distance = np.abs(distances(n_q, n_k, query_offset))  # (n_q, n_k)
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
    whole_number("num_buckets", num_buckets), whole_number("max_distance", max_distance)
    directions = 2 if bidirectional else 1
    per_direction = num_buckets // directions
    exact = per_direction // 2
    if exact < 1 or max_distance <= exact:
        raise ValueError(
            f"num_buckets must be at least {2 * directions} and max_distance above {exact}, "
            f"got {num_buckets} and {max_distance}"
        )
    to_the_right = distances(n_q, n_k, query_offset)
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
    (table,), dtype = as_floats(table=table)
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


def shaw_bias(
    query: ArrayLike,
    table: ArrayLike,
    n_k: int | None = None,
    *,
    left: int | None = None,
    scale: float | None = None,
    query_offset: int | None = None,
) -> np.ndarray:
    r"""Return what relative positions add to the scores: each query times the row of its distance to each key.

    Parameters
    ----------
    query : shape (..., n_q, d_k)
    table : shape (rows, d_k)
        A trained row for each distance from `left` keys to the left to ``rows - 1 - left`` to the right;
        what is farther takes the last row of its side.
    n_k
        By default n_q.
    left
        By default half of the rows beside the middle one: as far to the left as to the right.
    scale
        Multiplies the products, as those of queries and keys; by default ``1 / sqrt(d_k)``.
    query_offset
        Position of the first query among the keys; by default ``n_k - n_q``.

    Returns
    -------
    shape (..., n_q, n_k)
        To be given as ``bias``; to `attn.multi_head_attention` as a function of the queries.

    Raises
    ------
    ValueError
        If the table has not rows of d_k numbers, or does not reach so far to the left.

    Notes
    -----
    Equation 4 of [1]_: :math:`e_{ij} = q_i (k_j + a^K_{ij})^\top / \sqrt{d_k}` with
    :math:`a^K_{ij} = w^K_{\mathrm{clip}(j-i,\,-k,\,k)}`, its second half. Equation 3 treats values
    alike (`shaw_context`); in its comparison of the two keys alone do as well.

    References
    ----------
    .. [1] Shaw, Uszkoreit and Vaswani, 2018. arXiv:1803.02155

    Examples
    --------
    >>> shaw_bias([[1.0], [1.0], [2.0]], [[-1.0], [0.0], [3.0]])
    array([[ 0.,  3.,  3.],
           [-1.,  0.,  3.],
           [-2., -2.,  0.]])
    """
    (query, table), dtype = as_floats(query=query, table=table)
    if query.ndim < 2:
        raise ValueError(f"query must have at least two axes (n_q, d_k), got {query.shape}")
    row = _shaw_rows(table, query.shape[-2], n_k, query.shape[-1], left, query_offset)
    products = query @ table.T  # (..., n_q, rows)
    products *= 1 / math.sqrt(query.shape[-1]) if scale is None else finite_number(scale, "scale")
    return products[..., np.arange(len(row))[:, None], row].astype(dtype, copy=False)  # (..., n_q, n_k)


def shaw_context(
    weights: ArrayLike, table: ArrayLike, *, left: int | None = None, query_offset: int | None = None
) -> np.ndarray:
    r"""Return what relative positions add to the context: the rows of all distances, by the weight of their keys.

    Parameters
    ----------
    weights : shape (..., n_q, n_k)
    table : shape (rows, d_v)
    left, query_offset
        As in `shaw_bias`.

    Returns
    -------
    shape (..., n_q, d_v)
        To be added to ``context``, before heads are merged.

    Raises
    ------
    ValueError
        If the table has not two axes, or does not reach so far to the left.

    Notes
    -----
    Equation 3 of [1]_: :math:`z_i = \sum_j \alpha_{ij} (v_j + a^V_{ij})`, its second half.

    References
    ----------
    .. [1] Shaw, Uszkoreit and Vaswani, 2018. arXiv:1803.02155

    Examples
    --------
    >>> shaw_context([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]], [[-1.0], [0.0], [4.0]], query_offset=0)
    array([[2.],
           [0.]])
    """
    (weights, table), dtype = as_floats(weights=weights, table=table)
    if weights.ndim < 2 or table.ndim != 2:
        raise ValueError(
            f"weights must have axes (..., n_q, n_k) and table (rows, d_v), got {weights.shape} and {table.shape}"
        )
    n_q, n_k = weights.shape[-2:]
    row = _shaw_rows(table, n_q, n_k, table.shape[1], left, query_offset)
    return np.einsum("...qk,qkd->...qd", weights, table[row]).astype(dtype, copy=False)


def _shaw_rows(table, n_q, n_k, width, left, query_offset):
    """Return which row of the table the distance between each query and key has, (n_q, n_k)."""
    if table.ndim != 2 or table.shape[1] != width or not len(table):
        raise ValueError(f"table must have rows of {width} numbers, got {table.shape}")
    if left is None and len(table) % 2 == 0:
        raise ValueError(f"table must have a middle row, or left say how far it reaches, got {len(table)} rows")
    left = len(table) // 2 if left is None else whole_number("left", left)
    if left >= len(table):
        raise ValueError(f"left must be below the {len(table)} rows of the table, got {left}")
    return np.clip(distances(n_q, n_k, query_offset) + left, 0, len(table) - 1)


def _angles(n, d, base, endpoint=False):
    """Return position times the speed of each pair, (n, pairs)."""
    base = finite_number(base, "base", above=0)
    return np.arange(whole_number("n", n))[:, None] * base ** -_exponents(d, endpoint)


def _exponents(d, endpoint):
    """Return the power of the base that slows each pair down: from 0 to below 1, or to 1."""
    return np.arange(d // 2) / max(d // 2 - 1, 1) if endpoint else np.arange(0, d, 2) / d


def _places(d, halves):
    """Return where the first and the second number of each pair stand among d numbers."""
    half = (d + 1) // 2
    return (slice(0, half), slice(half, d)) if halves else (slice(0, d, 2), slice(1, d, 2))


def _even(name, width):
    """Refuse a width that cannot be turned in pairs."""
    if whole_number(name, width) < 2 or width % 2:
        raise ValueError(f"{name} must be even to be turned in pairs, got {width}")


def _stretch(stretch):
    """Return `stretch` as a float of at least 1."""
    return finite_number(stretch, "stretch", least=1)
