"""Attention to a window around one place (Luong's local attention): given, or predicted from the query."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, broadcasts, parameter, sigmoid, softmax, whole_number, width_of, with_axes


class Local(NamedTuple):
    """Every step of attention to a window."""

    visible: np.ndarray  # (..., n_k) True within the window
    aligned: np.ndarray  # (..., n_k) softmax over the window, sums to 1
    gaussian: np.ndarray  # (..., n_k) 1 at the centre; all 1 for local-m
    weights: np.ndarray  # (..., n_k) the product; local-p's do not sum to 1


def local_m(scores: ArrayLike, centre: ArrayLike, half_width: int) -> Local:
    r"""Attend to the keys near a given place only.

    Parameters
    ----------
    scores : shape (..., n_k)
    centre : shape (...)
        Place of the middle of the window, counted from 0.
    half_width
        Keys up to so far from the centre are seen; the window ends where the keys end.

    Returns
    -------
    Local
        Weights that sum to 1, or to 0 where the window holds no key.

    Raises
    ------
    ValueError
        If `half_width` is not a whole number of at least 0, or `centre` does not fit the scores.

    Notes
    -----
    Section 3.2 of [1]_, "monotonic": :math:`p_t = t`, window :math:`[p_t - D, p_t + D]`.

    References
    ----------
    .. [1] Luong, Pham and Manning, 2015. arXiv:1508.04025

    Examples
    --------
    >>> local_m(np.zeros(7), centre=3, half_width=2).weights
    array([0. , 0.2, 0.2, 0.2, 0.2, 0.2, 0. ])
    """
    (scores,), dtype = as_floats(scores=scores)
    with_axes(scores, "scores", 1)
    distance = _distance(scores, centre)
    visible = np.abs(distance) <= whole_number("half_width", half_width)
    aligned = softmax(np.where(visible, scores, -np.inf)).astype(dtype, copy=False)
    return Local(visible, aligned, np.ones_like(aligned), aligned)


def local_p(scores: ArrayLike, centre: ArrayLike, half_width: int) -> Local:
    r"""Attend near a predicted place, less the farther away.

    Parameters
    ----------
    scores : shape (..., n_k)
    centre : shape (...)
        Place of the middle of the window, counted from 0; need not be whole.
    half_width
        At least 1; the paper uses 10.

    Returns
    -------
    Local
        The sum of the weights is below 1: the bell is multiplied in after the softmax.

    Raises
    ------
    ValueError
        If `half_width` is not a whole number of at least 1, or `centre` does not fit the scores.

    Notes
    -----
    Equation 10 of [1]_,
    :math:`a_t(s) = \mathrm{align}(h_t, \bar h_s) \exp(-(s - p_t)^2 / 2\sigma^2)` with
    :math:`\sigma = D / 2`. The paper does not divide by the sum afterwards, nor does this.

    References
    ----------
    .. [1] Luong, Pham and Manning, 2015, section 3.2. arXiv:1508.04025

    Examples
    --------
    >>> local = local_p(np.zeros(10), centre=4.2, half_width=2)
    >>> local.weights[3:7].round(6), local.weights.sum().round(6)
    (array([0.121688, 0.24505 , 0.181537, 0.049475]), np.float64(0.59775))
    """
    half_width = whole_number("half_width", half_width, least=1)
    near = local_m(scores, centre, half_width)
    distance = _distance(near.aligned, centre)
    gaussian = np.exp(-((distance / (half_width / 2)) ** 2) / 2).astype(near.aligned.dtype, copy=False)
    return Local(near.visible, near.aligned, gaussian, near.aligned * gaussian)


def predicted_centre(query: ArrayLike, n_k: int, *, w: ArrayLike, v: ArrayLike) -> np.ndarray:
    r"""Predict from the query where local-p should look.

    Parameters
    ----------
    query : shape (..., d_q)
    n_k
        Length of the input.
    w : shape (d_q, d_hidden)
    v : shape (d_hidden,)

    Returns
    -------
    shape (...)
        Strictly between 0 and `n_k`; `n_k` / 2 where the network says 0.

    Raises
    ------
    ValueError
        If a parameter does not fit.

    Notes
    -----
    Equation 9 of [1]_, :math:`p_t = S \cdot \mathrm{sigmoid}(v_p^\top \tanh(W_p h_t))`.

    References
    ----------
    .. [1] Luong, Pham and Manning, 2015, section 3.2. arXiv:1508.04025

    Examples
    --------
    >>> predicted_centre([1.0, 2.0], 10, w=np.zeros((2, 3)), v=np.ones(3)).item()
    5.0
    """
    d_q = width_of(query, "query")
    (query,), dtype = as_floats(query=query)
    d_hidden = width_of(v, "v")
    w = parameter(w, (d_q, d_hidden), "w", query.dtype)
    v = parameter(v, (d_hidden,), "v", query.dtype)
    share = sigmoid(np.tanh(query @ w) @ v)
    return np.asarray(whole_number("n_k", n_k, least=1) * share, dtype=dtype)


def _distance(scores, centre):
    """Return how far each key lies to the right of the centre, (..., n_k)."""
    (centre,), _ = as_floats(centre=centre)
    distance = np.arange(scores.shape[-1], dtype=scores.dtype) - centre[..., None].astype(scores.dtype, copy=False)
    if not broadcasts(distance.shape, scores.shape):
        raise ValueError(f"centre must fit the leading axes of the scores {scores.shape}, got {centre.shape}")
    return np.broadcast_to(distance, scores.shape)
