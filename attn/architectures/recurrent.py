"""Recurrent networks: a state carried from token to token, every gate by name.

A step is a function ``step(x, before, parameters)`` of one token, of what was carried so far and of
the weights. `rnn`, `lstm`, `gru` and `bahdanau_gru` are the steps; `run` takes one along a sequence,
`bidirectional` along it and back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, as_real, finite_number, sigmoid, whole_number


@dataclass(frozen=True, eq=False)
class Recurrent:
    """The weights of one recurrent layer in one direction, used as ``x @ w_x + b_x`` and ``state @ w_h + b_h``.

    Parameters
    ----------
    w_x : shape (d_in, gates * n)
        One gate beside the other, in torch's order: for `lstm` input, forget, candidate, output; for
        both kinds of gated unit reset, update, candidate; `rnn` has one.
    w_h : shape (n, gates * n)
    b_x, b_h : shape (gates * n,)
        0 by default. Where they are only added to one another, one of them is enough.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """

    w_x: np.ndarray
    w_h: np.ndarray
    b_x: np.ndarray = None  # type: ignore[assignment]  # then zeros
    b_h: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self):
        (w_x, w_h), _ = as_floats(self.w_x, self.w_h)
        if w_x.ndim != 2 or w_h.ndim != 2 or w_x.shape[1] != w_h.shape[1] or w_h.shape[1] % max(w_h.shape[0], 1):
            raise ValueError(
                f"w_x must have shape (d_in, gates * n) and w_h (n, gates * n), got {w_x.shape} and {w_h.shape}"
            )
        object.__setattr__(self, "w_x", w_x)
        object.__setattr__(self, "w_h", w_h)
        for name in ("b_x", "b_h"):
            bias = getattr(self, name)
            bias = np.zeros(w_h.shape[1], w_h.dtype) if bias is None else as_floats(bias)[0][0]
            if bias.shape != w_h.shape[1:]:
                raise ValueError(f"{name} must have shape {w_h.shape[1:]}, got {bias.shape}")
            object.__setattr__(self, name, bias)

    @property
    def n(self) -> int:
        """Width of the state."""
        return self.w_h.shape[0]

    @property
    def gates(self) -> int:
        """How many matrices lie side by side."""
        return self.w_h.shape[1] // self.n

    def split(self, array: np.ndarray) -> list[np.ndarray]:
        """Cut the last axis into the gates."""
        return np.split(array, self.gates, axis=-1)


class Carried(NamedTuple):
    """What a step needs of the one before it."""

    state: np.ndarray  # (..., n)
    cell: np.ndarray | None = None  # (..., n), of `lstm` only


class Rnn(NamedTuple):
    """One step of the plain network, or all of them along an axis of tokens."""

    state: np.ndarray  # (..., n)


class Lstm(NamedTuple):
    """One step of a long short-term memory, or all of them along an axis of tokens."""

    input_gate: np.ndarray  # (..., n) from 0 to 1, as all gates
    forget_gate: np.ndarray
    candidate: np.ndarray  # (..., n) from -1 to 1
    output_gate: np.ndarray
    cell: np.ndarray
    state: np.ndarray


class Gru(NamedTuple):
    """One step of a gated unit, or all of them along an axis of tokens."""

    reset_gate: np.ndarray  # (..., n)
    update_gate: np.ndarray
    candidate: np.ndarray
    state: np.ndarray


class Bidirectional(NamedTuple):
    """A sequence read in both directions."""

    forward: Rnn | Lstm | Gru  # steps of the reading from the first token to the last
    backward: Rnn | Lstm | Gru  # steps of the reading from the last to the first, in the order of the tokens
    states: np.ndarray  # (..., n_tokens, 2 * n) both states of each token end to end


Before = Carried | Rnn | Lstm | Gru
Taken = TypeVar("Taken", bound=Rnn | Lstm | Gru)  # what a step returned, or `run` with an axis of tokens
Step = Callable[[np.ndarray, Any, Recurrent], Taken]


def rnn(x: np.ndarray, before: Before, parameters: Recurrent) -> Rnn:
    r"""Take one step of the plain network.

    Parameters
    ----------
    x : shape (..., d_in)
    before : Carried, or what a step returned
    parameters

    Notes
    -----
    :math:`h_t = \tanh(x_t W_x + h_{t-1} W_h + b)`, as `torch.nn.RNN` has it [1]_.

    References
    ----------
    .. [1] Elman, 1990, Finding structure in time. Cognitive Science 14.
    """
    return Rnn(np.tanh(x @ parameters.w_x + parameters.b_x + before.state @ parameters.w_h + parameters.b_h))


def lstm(x: np.ndarray, before: Carried | Lstm, parameters: Recurrent) -> Lstm:
    r"""Take one step of a long short-term memory.

    Parameters
    ----------
    x : shape (..., d_in)
    before : Carried, or what a step returned
    parameters
        Four gates.

    Notes
    -----
    :math:`i, f, o = \sigma(\cdot)`, :math:`g = \tanh(\cdot)`, :math:`c_t = f \odot c_{t-1} + i \odot g`,
    :math:`h_t = o \odot \tanh c_t`: [1]_ with the forget gate of [2]_, as `torch.nn.LSTM` has it.

    References
    ----------
    .. [1] Hochreiter and Schmidhuber, 1997, Long short-term memory. Neural Computation 9.
    .. [2] Gers, Schmidhuber and Cummins, 2000, Learning to forget. Neural Computation 12.

    Examples
    --------
    Without weights every gate stands half open:

    >>> half = lstm(np.zeros(1), Carried(np.zeros(1), np.ones(1)), Recurrent(np.zeros((1, 4)), np.zeros((1, 4))))
    >>> half.cell.item(), round(half.state.item(), 6)
    (0.5, 0.231059)
    """
    sums = x @ parameters.w_x + parameters.b_x + before.state @ parameters.w_h + parameters.b_h
    i, f, g, o = parameters.split(sums)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    cell = f * before.cell + i * g
    return Lstm(i, f, g, o, cell, o * np.tanh(cell))


def gru(x: np.ndarray, before: Before, parameters: Recurrent) -> Gru:
    r"""Take one step of a gated unit in torch's form.

    Parameters
    ----------
    x : shape (..., d_in)
    before : Carried, or what a step returned
    parameters
        Three gates.

    Notes
    -----
    :math:`\tilde h = \tanh(x W + b_x + r \odot (h_{t-1} U + b_h))` and
    :math:`h_t = (1 - z) \odot \tilde h + z \odot h_{t-1}`: the reset comes after the product, and an
    open update gate keeps the old state. Both differ from `bahdanau_gru`.

    References
    ----------
    .. [1] https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html
    """
    r_x, z_x, n_x = parameters.split(x @ parameters.w_x + parameters.b_x)
    r_h, z_h, n_h = parameters.split(before.state @ parameters.w_h + parameters.b_h)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    candidate = np.tanh(n_x + r * n_h)
    return Gru(r, z, candidate, (1 - z) * candidate + z * before.state)


def bahdanau_gru(x: np.ndarray, before: Before, parameters: Recurrent) -> Gru:
    r"""Take one step of a gated unit in the form of Bahdanau et al.

    Parameters
    ----------
    x : shape (..., d_in)
        For a decoder the embedded word and the context end to end: the context enters every gate.
    before : Carried, or what a step returned
    parameters
        Three gates.

    Notes
    -----
    :math:`\tilde s = \tanh(x W + [r \odot s_{i-1}] U)` and
    :math:`s_i = (1 - z) \odot s_{i-1} + z \odot \tilde s`, appendix A.1.1 and A.2.2 of [1]_.

    References
    ----------
    .. [1] Bahdanau, Cho and Bengio, 2015. arXiv:1409.0473

    Examples
    --------
    >>> nothing = Recurrent(np.zeros((1, 3)), np.zeros((1, 3)))
    >>> bahdanau_gru(np.zeros(1), Carried(np.ones(1)), nothing).state
    array([0.5])
    """
    r_x, z_x, n_x = parameters.split(x @ parameters.w_x + parameters.b_x + parameters.b_h)
    w_r, w_z, w_n = parameters.split(parameters.w_h)
    r, z = sigmoid(r_x + before.state @ w_r), sigmoid(z_x + before.state @ w_z)
    candidate = np.tanh(n_x + (r * before.state) @ w_n)
    return Gru(r, z, candidate, (1 - z) * before.state + z * candidate)


_GATES: dict[Callable, int] = {rnn: 1, lstm: 4, gru: 3, bahdanau_gru: 3}


def run(
    step: Step[Taken],
    x: ArrayLike,
    parameters: Recurrent,
    start: Carried | None = None,
) -> Taken:
    """Carry a state along a sequence.

    Parameters
    ----------
    step
        `rnn`, `lstm`, `gru` or `bahdanau_gru`.
    x : shape (..., n_tokens, d_in)
    parameters
    start
        What is carried to the first token, zeros by default.

    Returns
    -------
    Rnn, Lstm or Gru
        Every array with an axis of tokens before the last.

    Raises
    ------
    ValueError
        If the parameters are not those of such a step, there is no token, or its width does not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> parameters = Recurrent(rng.normal(size=(3, 8)), rng.normal(size=(2, 8)))
    >>> run(lstm, rng.normal(size=(5, 3)), parameters).forget_gate.shape
    (5, 2)
    """
    (x,), _ = as_floats(x=x)
    if parameters.gates != _GATES[step]:
        raise ValueError(f"{step.__name__} must have {_GATES[step]} gates, got w_h {parameters.w_h.shape}")
    if x.ndim < 2 or not x.shape[-2] or x.shape[-1] != parameters.w_x.shape[0]:
        raise ValueError(
            f"x must have axes (..., n_tokens, d_in) with d_in {parameters.w_x.shape[0]} and a token, got {x.shape}"
        )
    nothing = np.zeros((*x.shape[:-2], parameters.n), dtype=x.dtype)
    before: Carried | Taken = start or Carried(nothing, nothing)
    taken = []
    for token in np.moveaxis(x, -2, 0):
        before = step(token, before, parameters)
        taken.append(before)
    return stacked(taken)


def stacked(taken: Sequence[Taken]) -> Taken:
    """Join single steps into one whose arrays have an axis of tokens before the last.

    Parameters
    ----------
    taken
        At least one.

    Returns
    -------
    NamedTuple
        Of the same type.
    """
    return type(taken[0])(*(np.stack(arrays, axis=-2) for arrays in zip(*taken, strict=True)))


def bidirectional(step: Step[Taken], x: ArrayLike, forward: Recurrent, backward: Recurrent) -> Bidirectional:
    r"""Read a sequence from both ends.

    Parameters
    ----------
    step
    x : shape (..., n_tokens, d_in)
    forward, backward

    Notes
    -----
    :math:`h_j = [\overrightarrow h_j; \overleftarrow h_j]`, section 3.2 of [1]_: the annotation of a
    token knows what comes before it from one half and what comes after it from the other.

    References
    ----------
    .. [1] Bahdanau, Cho and Bengio, 2015. arXiv:1409.0473
    """
    x = as_real(x, "x")
    there = run(step, x, forward)
    back = run(step, x[..., ::-1, :], backward)
    back = type(back)(*(array[..., ::-1, :] for array in back))
    return Bidirectional(there, back, np.concatenate([there.state, back.state], axis=-1))


def jacobian(step: Step[Taken], taken: Taken, before: Carried | Taken, parameters: Recurrent) -> np.ndarray:
    r"""Return the derivative of a state by the state before it.

    Parameters
    ----------
    step
    taken
        What ``step(x, before, parameters)`` returned for one token.
    before : Carried, or what a step returned
    parameters

    Returns
    -------
    shape (n, n)
        :math:`\partial h_t / \partial h_{t-1}`, output down and input across. For `lstm` (2n, 2n):
        state and cell end to end, since both are carried.
    """
    return _JACOBIANS[step](taken, before, parameters)


def _rnn_jacobian(taken, before, parameters):
    return _by_row(1 - taken.state**2, parameters.w_h)


def _lstm_jacobian(taken, before, parameters):
    i, f, g, o, cell, _ = taken
    w_i, w_f, w_g, w_o = parameters.split(parameters.w_h)
    squashed = np.tanh(cell)
    cell_by_state = (
        _by_row(g * i * (1 - i), w_i) + _by_row(before.cell * f * (1 - f), w_f) + _by_row(i * (1 - g**2), w_g)
    )
    state_by_cell = np.diag(o * (1 - squashed**2))
    state_by_state = _by_row(squashed * o * (1 - o), w_o) + state_by_cell @ cell_by_state
    return np.block([[state_by_state, state_by_cell @ np.diag(f)], [cell_by_state, np.diag(f)]])


def _gru_jacobian(taken, before, parameters):
    r, z, candidate, _ = taken
    w_r, w_z, w_n = parameters.split(parameters.w_h)
    n_h = before.state @ w_n + parameters.split(parameters.b_h)[2]
    inside = _by_row(r, w_n) + _by_row(n_h * r * (1 - r), w_r)
    candidate_by_state = (1 - candidate**2)[:, None] * inside
    return np.diag(z) + _by_row((before.state - candidate) * z * (1 - z), w_z) + (1 - z)[:, None] * candidate_by_state


def _bahdanau_jacobian(taken, before, parameters):
    r, z, candidate, _ = taken
    w_r, w_z, w_n = parameters.split(parameters.w_h)
    kept_by_state = np.diag(r) + _by_row(before.state * r * (1 - r), w_r)
    candidate_by_state = (1 - candidate**2)[:, None] * (w_n.T @ kept_by_state)
    return np.diag(1 - z) + _by_row((candidate - before.state) * z * (1 - z), w_z) + z[:, None] * candidate_by_state


def _by_row(slope, w):
    """Return the derivative of ``f(state @ w)`` by the state, where `slope` is that of f."""
    return slope[:, None] * w.T


_JACOBIANS: dict[Callable, Callable] = {
    rnn: _rnn_jacobian,
    lstm: _lstm_jacobian,
    gru: _gru_jacobian,
    bahdanau_gru: _bahdanau_jacobian,
}


def gradient_norms(step: Step[Taken], steps: Taken, parameters: Recurrent) -> np.ndarray:
    r"""Return how strongly the last state still depends on each state before it.

    Parameters
    ----------
    step
    steps
        What `run` returned for one sequence that began with zeros.
    parameters

    Returns
    -------
    shape (n_tokens,)
        Largest singular value of :math:`\partial h_T / \partial h_t` for t = 1 to T, for `lstm` of what is
        carried, state and cell together; the last is 1.

    Notes
    -----
    The chain rule makes it a product of T - t Jacobians: their sizes multiply, so the product
    vanishes or explodes exponentially in T - t [1]_.

    References
    ----------
    .. [1] Bengio, Simard and Frasconi, 1994, Learning long-term dependencies with gradient descent is
       difficult. IEEE Transactions on Neural Networks 5.
    """
    each = [type(steps)(*(array[t] for array in steps)) for t in range(len(steps.state))]
    width = parameters.n * (2 if step is lstm else 1)
    product, norms = np.eye(width), [1.0]
    for t in range(len(each) - 1, 0, -1):
        product = product @ jacobian(step, each[t], each[t - 1], parameters)  # (width, width)
        norms.append(float(np.linalg.norm(product, 2)))
    return np.array(norms[::-1])


def carried(factor: float, count: int) -> np.ndarray:
    """Return what is left of 1 after each of `count` steps that multiply it by a factor.

    Returns
    -------
    shape (count + 1,)
        1, `factor`, `factor` squared and so on: the share that the first token has in a state
        ``factor * state + token``, or the gradient that comes back to it.

    Raises
    ------
    ValueError
        If `factor` is not finite, or `count` not a whole number of at least 0.

    Examples
    --------
    >>> carried(0.8, 19)[-1].round(6), carried(1.1, 50)[-1].round(2)
    (np.float64(0.014412), np.float64(117.39))
    """
    return finite_number(factor, "factor") ** np.arange(whole_number("count", count) + 1)
