"""A long short-term memory network (LSTMN): a recurrent cell that attends over its own past at every step."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.alignment import additive
from attn.architectures.recurrent import Carried, Lstm, Recurrent, lstm
from attn.functional import as_floats, parameter, softmax, width_of


class LookingBack(NamedTuple):
    """Every step of a recurrent network whose cell attends over its own past."""

    weights: np.ndarray  # (n, n) of each step over the steps before it; the first has none
    summary: np.ndarray  # (n, width) the past states, by weight
    state: np.ndarray  # (n, width)


def look_back(
    x: ArrayLike, parameters: Recurrent, *, w_past: ArrayLike, w_now: ArrayLike, w_summary: ArrayLike, v: ArrayLike
) -> LookingBack:
    r"""Carry a state along a sequence, each step starting from a look over all states so far.

    Parameters
    ----------
    x : shape (n, d_in)
    parameters
        Of `attn.recurrent.lstm`.
    w_past : shape (width, d_hidden)
        Reads each state of the past.
    w_now : shape (d_in, d_hidden)
        Reads the token at hand.
    w_summary : shape (width, d_hidden)
        Reads what the step before made of its past.
    v : shape (d_hidden,)

    Returns
    -------
    LookingBack
        Causal by construction: no step can see what has not been computed yet.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Section 3.1 of [1]_:
    :math:`a_i = v^\top \tanh(W_h h_i + W_x x_t + W_{\tilde h} \tilde h_{t-1})`, its softmax over
    :math:`i < t` mixes past states and past cells, and a long short-term memory goes on from the
    mixture in place of the last of them.

    References
    ----------
    .. [1] Cheng, Dong and Lapata, 2016. arXiv:1601.06733

    Examples
    --------
    >>> from attn.architectures.recurrent import Recurrent
    >>> rng = np.random.default_rng(0)
    >>> cell = Recurrent(rng.normal(size=(3, 8)), rng.normal(size=(2, 8)))
    >>> matrices = {"w_past": np.ones((2, 5)), "w_now": np.ones((3, 5)), "w_summary": np.ones((2, 5))}
    >>> look_back(rng.normal(size=(4, 3)), cell, **matrices, v=np.zeros(5)).weights.round(3)
    array([[0.   , 0.   , 0.   , 0.   ],
           [1.   , 0.   , 0.   , 0.   ],
           [0.5  , 0.5  , 0.   , 0.   ],
           [0.333, 0.333, 0.333, 0.   ]])
    """
    (x,), dtype = as_floats(x=x)
    if x.ndim != 2 or not len(x) or x.shape[1] != parameters.w_x.shape[0]:
        raise ValueError(f"x must be (n, d_in) with d_in {parameters.w_x.shape[0]} and a token, got {x.shape}")
    d_hidden = width_of(v, "v")
    w_now = parameter(w_now, (x.shape[1], d_hidden), "w_now", x.dtype)
    w_summary = parameter(w_summary, (parameters.n, d_hidden), "w_summary", x.dtype)
    n, nothing = len(x), np.zeros(parameters.n, dtype=x.dtype)
    weights = np.zeros((n, n), dtype=x.dtype)
    past: list[Lstm] = []
    summary, cell, summaries = nothing, nothing, []
    for step, token in enumerate(x):
        if past:
            states, cells = (np.stack([getattr(one, name) for one in past]) for name in ("state", "cell"))
            asks = np.concatenate([token, summary])
            scores = additive(asks, states, w_q=np.vstack([w_now, w_summary]), w_k=w_past, v=v)
            weights[step, :step] = softmax(scores)
            summary, cell = weights[step, :step] @ states, weights[step, :step] @ cells
        summaries.append(summary)
        past.append(lstm(token, Carried(summary, cell), parameters))
    steps = (weights, np.stack(summaries), np.stack([one.state for one in past]))
    return LookingBack(*(array.astype(dtype, copy=False) for array in steps))
