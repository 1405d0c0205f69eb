"""A pointer network: attention whose weights are the answer, so that it points at its inputs, however many."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.alignment import additive
from attn.architectures.recurrent import Carried, Lstm, Recurrent, lstm, run
from attn.functional import as_floats, as_real, softmax


class Pointing(NamedTuple):
    """One step of a pointer network: the weights are the output, and nothing is read."""

    scores: np.ndarray  # (..., n)
    weights: np.ndarray  # (..., n) 0 for inputs already pointed at


def point(
    encoded: ArrayLike,
    decoded: ArrayLike,
    *,
    w_encoded: ArrayLike,
    w_decoded: ArrayLike,
    v: ArrayLike,
    visited: ArrayLike | None = None,
) -> Pointing:
    r"""Point at one of the inputs.

    Parameters
    ----------
    encoded : shape (..., n, d_encoded)
        The inputs, one state each.
    decoded : shape (..., d_decoded)
        The state of the one who points.
    w_encoded : shape (d_encoded, d_hidden)
    w_decoded : shape (d_decoded, d_hidden)
    v : shape (d_hidden,)
    visited : booleans, shape (..., n)
        True for inputs that must not be pointed at again.

    Returns
    -------
    Pointing
        There is one weight per input, so the same parameters serve inputs of any number.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    :math:`u_j = v^\top \tanh(W_1 e_j + W_2 d_i)` and :math:`p = \mathrm{softmax}(u)`, equation 3 of
    [1]_. Leaving out what was visited is the inference of one who wants a permutation; the
    paper's networks are free to point twice.

    References
    ----------
    .. [1] Vinyals, Fortunato and Jaitly, 2015, section 2.3. arXiv:1506.03134

    Examples
    --------
    >>> inputs = np.array([[0.3], [0.9], [0.1], [0.6]])
    >>> pointing = point(inputs, [0], w_encoded=[[1]], w_decoded=[[0]], v=[-9], visited=[0, 0, 1, 0])
    >>> pointing.weights.round(2)
    array([0.88, 0.02, 0.  , 0.1 ])
    """
    scores = additive(decoded, encoded, w_q=w_decoded, w_k=w_encoded, v=v)
    return Pointing(scores, leaving_out(scores, visited))


def leaving_out(scores: ArrayLike, visited: ArrayLike | None = None) -> np.ndarray:
    """Return the softmax of scores with nothing for what was visited.

    Parameters
    ----------
    scores : shape (..., n)
    visited : booleans, shape (..., n)

    Returns
    -------
    shape (..., n)

    Raises
    ------
    ValueError
        If `visited` does not fit the scores.

    Examples
    --------
    >>> leaving_out([-2.0, -8.0, 0.0, -5.0], [False, False, True, False]).round(6)
    array([0.95033 , 0.002356, 0.      , 0.047314])
    """
    (scores,), dtype = as_floats(scores=scores)
    visited = as_real(False if visited is None else visited, "visited").astype(bool)
    try:
        visited = np.broadcast_to(visited, scores.shape)
    except ValueError:
        raise ValueError(f"visited must fit the scores {scores.shape}, got {visited.shape}") from None
    return softmax(np.where(visited, -np.inf, scores)).astype(dtype, copy=False)


@dataclass(frozen=True, eq=False)
class PointerNetwork:
    """The weights of a network that reads numbers and points at them one after another.

    Parameters
    ----------
    encoder, decoder
        Of `attn.recurrent.lstm`; both read what stands at an input, (d_in,).
    start : shape (d_in,)
        What the decoder reads first; later it reads the input it has pointed at.
    w_encoded : shape (n, d_hidden)
    w_decoded : shape (n, d_hidden)
    v : shape (d_hidden,)
    """

    encoder: Recurrent
    decoder: Recurrent
    start: np.ndarray
    w_encoded: np.ndarray
    w_decoded: np.ndarray
    v: np.ndarray


class Pointed(NamedTuple):
    """All steps of a pointer network, one row each."""

    scores: np.ndarray  # (n, n)
    weights: np.ndarray  # (n, n)
    visited: np.ndarray  # (n, n) True where an input was pointed at before
    order: np.ndarray  # (n,) the input each step points at


def point_at_all(network: PointerNetwork, inputs: ArrayLike, *, leave_out_visited: bool = True) -> Pointed:
    """Point at as many inputs as there are, each time at the likeliest.

    Parameters
    ----------
    network
    inputs : shape (n, d_in)
    leave_out_visited
        Whether an input can be pointed at once only.

    Raises
    ------
    ValueError
        If there is no input, or its width does not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> lstms = (Recurrent(rng.normal(size=(1, 12)), rng.normal(size=(3, 12))) for _ in range(2))
    >>> network = PointerNetwork(*lstms, np.zeros(1), rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), np.ones(5))
    >>> sorted(point_at_all(network, [[0.3], [0.9], [0.1], [0.6]]).order.tolist())
    [0, 1, 2, 3]
    """
    (inputs,), _ = as_floats(inputs=inputs)
    encoded = run(lstm, inputs, network.encoder)
    before: Carried | Lstm = Carried(encoded.state[-1], encoded.cell[-1])
    x = network.start
    visited, steps = np.zeros(len(inputs), dtype=bool), []
    for _ in inputs:
        before = lstm(x, before, network.decoder)
        pointing = point(
            encoded.state,
            before.state,
            w_encoded=network.w_encoded,
            w_decoded=network.w_decoded,
            v=network.v,
            visited=visited if leave_out_visited else None,
        )
        best = int(pointing.weights.argmax())
        steps.append((*pointing, visited, best))
        visited, x = visited | (np.arange(len(inputs)) == best), inputs[best]
    return Pointed(*(np.stack(parts) for parts in zip(*steps, strict=True)))
