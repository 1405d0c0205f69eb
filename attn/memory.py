"""Attention beyond reading: a memory that is also written, inputs that are pointed at, causal convolutions."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attn.alignment import additive, content, soft_read
from attn.dot_product import scaled_dot_product_attention
from attn.functional import as_floats, finite_number, sigmoid, softmax, whole_number
from attn.recurrent import Carried, Recurrent, lstm, run

# A Neural Turing Machine's memory


class Addressing(NamedTuple):
    """Every step from a key to the weights of a head over the rows of a memory."""

    similarity: np.ndarray  # (..., n_rows) cosine of the key and each row
    content: np.ndarray  # (..., n_rows) softmax of sharpness * similarity
    gated: np.ndarray  # (..., n_rows) mixed with the weights of the step before
    shifted: np.ndarray  # (..., n_rows) moved along the ring of rows
    weights: np.ndarray  # (..., n_rows) sharpened, sums to 1


class Written(NamedTuple):
    """The two halves of a write."""

    erased: np.ndarray  # (..., n_rows, width)
    memory: np.ndarray  # (..., n_rows, width) what was added is in


def address(memory, key, previous, *, sharpness=1.0, gate=1.0, shift=None, gamma=1.0):
    r"""Find the weights of a read or write head, by content and by place.

    Parameters
    ----------
    memory : array_like, shape (..., n_rows, width)
    key : array_like, shape (..., width)
        What the head looks for: the part that a query plays elsewhere.
    previous : array_like, shape (..., n_rows)
        The weights of the step before.
    sharpness : float, default 1
        :math:`\beta \ge 0`; 0 gives every row the same.
    gate : float, default 1
        :math:`g`, from 0 (the previous weights, content ignored) to 1 (content alone).
    shift : array_like, shape (n_rows,), optional
        Weight of each step along the ring, as `ring_shift` makes it; by default none.
    gamma : float, default 1
        :math:`\gamma \ge 1`; larger undoes the blur of the shift.

    Returns
    -------
    Addressing

    Raises
    ------
    ValueError
        If the shapes do not fit or a number is out of range.

    Notes
    -----
    Equations 5 to 9 of [1]_, one function each: `content_addressing`, `interpolate`, `convolve`,
    `sharpen`.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3. arXiv:1410.5401

    Examples
    --------
    >>> memory = [[1, 0], [0, 1], [1, 1], [-1, 0]]
    >>> steps = address(memory, [1, 0.2], [0, 0, 1, 0], sharpness=5, gate=0.5, shift=ring_shift(4, 0, 0.1), gamma=2)
    >>> steps.weights.round(6)
    array([0.193529, 0.029477, 0.750417, 0.026577])
    """
    similarity = content(key, memory)
    by_content = content_addressing(memory, key, sharpness)
    gated = interpolate(by_content, previous, gate)
    shifted = gated if shift is None else convolve(gated, shift)
    return Addressing(similarity, by_content, gated, shifted, sharpen(shifted, gamma))


def content_addressing(memory, key, sharpness):
    r"""Weigh each row by how much it looks like the key.

    Parameters
    ----------
    memory : array_like, shape (..., n_rows, width)
    key : array_like, shape (..., width)
    sharpness : float

    Returns
    -------
    ndarray, shape (..., n_rows)

    Raises
    ------
    ValueError
        If the widths differ, or `sharpness` is negative.

    Notes
    -----
    :math:`w^c(i) = \mathrm{softmax}_i(\beta \cos(k, M(i)))`, equations 5 and 6 of [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.1. arXiv:1410.5401

    Examples
    --------
    >>> content_addressing([[1, 0], [0, 1], [1, 1], [-1, 0]], [1, 0.2], 5).round(6)
    array([6.68583e-01, 1.32350e-02, 3.18145e-01, 3.70000e-05])
    """
    similarity = content(key, memory)
    return softmax(_between(sharpness, "sharpness", 0) * similarity)


def interpolate(by_content, previous, gate):
    r"""Mix the weights by content with those of the step before.

    Parameters
    ----------
    by_content, previous : array_like, shape (..., n_rows)
    gate : float
        From 0 to 1.

    Returns
    -------
    ndarray, shape (..., n_rows)

    Raises
    ------
    ValueError
        If the shapes do not fit or `gate` is out of range.

    Notes
    -----
    :math:`w^g = g\,w^c + (1 - g)\,w_{t-1}`, equation 7 of [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.2. arXiv:1410.5401

    Examples
    --------
    >>> interpolate([1, 0, 0], [0, 0, 1], 0.25)
    array([0.25, 0.  , 0.75])
    """
    gate = _between(gate, "gate", 0, 1)
    (by_content, previous), dtype = as_floats(by_content, previous)
    _same_rows(by_content, previous, "the weights by content", "the previous weights")
    return (gate * by_content + (1 - gate) * previous).astype(dtype, copy=False)


def ring_shift(n_rows, shift, blur=0.0):
    """Return the weight of each step along a ring of rows.

    Parameters
    ----------
    n_rows : int
    shift : float
        Rows to move on; a fraction is shared out between the two whole steps around it.
    blur : float, default 0
        Share, up to 1/2, that goes to the step before and to the step after.

    Returns
    -------
    ndarray, shape (n_rows,)
        The weight of the shift by ``i`` rows at ``i``; shifts backwards stand at the end.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    The second way of section 3.3.2 of [1]_, in whose example a shift of 6.7 gives the step by 6 a weight of
    0.3 and the step by 7 one of 0.7.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014. arXiv:1410.5401

    Examples
    --------
    >>> ring_shift(10, 6.7).round(6)
    array([0. , 0. , 0. , 0. , 0. , 0. , 0.3, 0.7, 0. , 0. ])
    >>> ring_shift(4, 0, blur=0.1)
    array([0.8, 0.1, 0. , 0.1])
    """
    n_rows, shift = whole_number("n_rows", n_rows, least=1), finite_number(shift, "shift")
    blur = _between(blur, "blur", 0, 0.5)
    below = math.floor(shift)
    ring = np.zeros(n_rows)
    for step, share in ((below, 1 - (shift - below)), (below + 1, shift - below)):
        for side, part in ((-1, blur), (0, 1 - 2 * blur), (1, blur)):
            ring[(step + side) % n_rows] += share * part
    return ring


def convolve(weights, shift):
    r"""Move weights along the ring of rows: past the last row comes the first.

    Parameters
    ----------
    weights : array_like, shape (..., n_rows)
    shift : array_like, shape (..., n_rows)
        Weight of each step, as `ring_shift` makes it.

    Returns
    -------
    ndarray, shape (..., n_rows)

    Raises
    ------
    ValueError
        If the two differ in the number of rows.

    Notes
    -----
    :math:`\tilde w(i) = \sum_j w^g(j)\,s(i - j)`, indices modulo the number of rows, equation 8 of
    [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.2. arXiv:1410.5401

    Examples
    --------
    >>> convolve([0, 0, 0, 1], ring_shift(4, 1))
    array([1., 0., 0., 0.])
    """
    (weights, shift), dtype = as_floats(weights, shift)
    _same_rows(weights, shift, "weights", "shift")
    row = np.arange(weights.shape[-1])
    steps = shift[..., (row[:, None] - row) % row.size]  # (..., n_rows, n_rows): to row i from row j
    return (steps @ weights[..., None])[..., 0].astype(dtype, copy=False)


def sharpen(weights, gamma):
    r"""Make large weights larger.

    Parameters
    ----------
    weights : array_like, shape (..., n_rows)
    gamma : float
        At least 1, which changes nothing.

    Returns
    -------
    ndarray, shape (..., n_rows)
        Sums to 1; where all weights are 0 they stay 0.

    Raises
    ------
    ValueError
        If `gamma` is below 1.

    Notes
    -----
    :math:`w(i) = \tilde w(i)^\gamma / \sum_j \tilde w(j)^\gamma`, equation 9 of [1]_; taken relative
    to the largest weight, which changes nothing and keeps the powers from vanishing.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.3.2. arXiv:1410.5401

    Examples
    --------
    >>> sharpen([0.1, 0.8, 0.1, 0], 2).round(4)
    array([0.0152, 0.9697, 0.0152, 0.    ])
    """
    gamma = _between(gamma, "gamma", 1)
    (weights,), dtype = as_floats(weights)
    largest = weights.max(axis=-1, keepdims=True, initial=0)
    powers = np.divide(weights, largest, out=np.zeros_like(weights), where=largest > 0) ** gamma
    total = powers.sum(axis=-1, keepdims=True)
    return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0).astype(dtype, copy=False)


def read(memory, weights):
    r"""Read the memory, each row by its weight.

    Parameters
    ----------
    memory : array_like, shape (..., n_rows, width)
    weights : array_like, shape (..., n_rows)

    Returns
    -------
    ndarray, shape (..., width)

    Raises
    ------
    ValueError
        If there is not one weight per row.

    Notes
    -----
    :math:`r = \sum_i w(i)\,M(i)`, equations 1 and 2 of [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.1. arXiv:1410.5401

    Examples
    --------
    >>> read([[1, 0], [0, 1]], [0.25, 0.75])
    array([0.25, 0.75])
    """
    return soft_read(weights, memory)


def write(memory, weights, erase, add):
    r"""Erase from every row by its weight, then add to every row by its weight.

    Parameters
    ----------
    memory : array_like, shape (..., n_rows, width)
    weights : array_like, shape (..., n_rows)
    erase : array_like, shape (..., width)
        From 0, keep, to 1, erase.
    add : array_like, shape (..., width)

    Returns
    -------
    Written

    Raises
    ------
    ValueError
        If the shapes do not fit or `erase` is out of range.

    Notes
    -----
    :math:`\tilde M(i) = M(i) \odot [1 - w(i)\,e]`, then :math:`M(i) = \tilde M(i) + w(i)\,a`,
    equations 3 and 4 of [1]_.

    References
    ----------
    .. [1] Graves, Wayne and Danihelka, 2014, section 3.2. arXiv:1410.5401

    Examples
    --------
    >>> write([[1.0, 1.0], [2.0, 2.0]], [1, 0], erase=[1, 0], add=[0, 5]).memory
    array([[0., 6.],
           [2., 2.]])
    """
    (memory, weights, erase, add), dtype = as_floats(memory, weights, erase, add)
    if memory.ndim < 2 or weights.shape[-1:] != memory.shape[-2:-1]:
        raise ValueError(f"there must be one weight per row, got weights {weights.shape} and memory {memory.shape}")
    for name, vector in (("erase", erase), ("add", add)):
        if vector.shape[-1:] != memory.shape[-1:]:
            raise ValueError(f"{name} must be as wide as the memory {memory.shape}, got {vector.shape}")
    if not ((erase >= 0) & (erase <= 1)).all():
        raise ValueError(f"erase must lie between 0 and 1, got {erase.tolist()}")
    erased = memory * (1 - weights[..., None] * erase[..., None, :])  # (..., n_rows, width)
    written = erased + weights[..., None] * add[..., None, :]
    return Written(erased.astype(dtype, copy=False), written.astype(dtype, copy=False))


# A pointer network's step


class Pointing(NamedTuple):
    """One step of a pointer network: the weights are the output, and nothing is read."""

    scores: np.ndarray  # (..., n)
    weights: np.ndarray  # (..., n) 0 for inputs already pointed at


def point(encoded, decoded, *, w_encoded, w_decoded, v, visited=None):
    r"""Point at one of the inputs.

    Parameters
    ----------
    encoded : array_like, shape (..., n, d_encoded)
        The inputs, one state each.
    decoded : array_like, shape (..., d_decoded)
        The state of the one who points.
    w_encoded : array_like, shape (d_encoded, d_hidden)
    w_decoded : array_like, shape (d_decoded, d_hidden)
    v : array_like, shape (d_hidden,)
    visited : array_like of bool, shape (..., n), optional
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


def leaving_out(scores, visited=None):
    """Return the softmax of scores with nothing for what was visited.

    Parameters
    ----------
    scores : array_like, shape (..., n)
    visited : array_like of bool, shape (..., n), optional

    Returns
    -------
    ndarray, shape (..., n)

    Raises
    ------
    ValueError
        If `visited` does not fit the scores.

    Examples
    --------
    >>> leaving_out([-2.0, -8.0, 0.0, -5.0], [False, False, True, False]).round(6)
    array([0.95033 , 0.002356, 0.      , 0.047314])
    """
    (scores,), dtype = as_floats(scores)
    visited = np.asarray(False if visited is None else visited, dtype=bool)
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
    encoder, decoder : Recurrent
        Of `attn.recurrent.lstm`; both read what stands at an input, (d_in,).
    start : ndarray, shape (d_in,)
        What the decoder reads first; later it reads the input it has pointed at.
    w_encoded : ndarray, shape (n, d_hidden)
    w_decoded : ndarray, shape (n, d_hidden)
    v : ndarray, shape (d_hidden,)
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


def point_at_all(network, inputs, *, leave_out_visited=True):
    """Point at as many inputs as there are, each time at the likeliest.

    Parameters
    ----------
    network : PointerNetwork
    inputs : array_like, shape (n, d_in)
    leave_out_visited : bool, default True
        Whether an input can be pointed at once only.

    Returns
    -------
    Pointed

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
    (inputs,), _ = as_floats(inputs)
    encoded = run(lstm, inputs, network.encoder)
    before, x = Carried(encoded.state[-1], encoded.cell[-1]), network.start
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


# Attention inside a recurrent cell


class LookingBack(NamedTuple):
    """Every step of a recurrent network whose cell attends over its own past."""

    weights: np.ndarray  # (n, n) of each step over the steps before it; the first has none
    summary: np.ndarray  # (n, width) the past states, by weight
    state: np.ndarray  # (n, width)


def look_back(x, parameters, *, w_past, w_now, w_summary, v):
    r"""Carry a state along a sequence, each step starting from a look over all states so far.

    Parameters
    ----------
    x : array_like, shape (n, d_in)
    parameters : Recurrent
        Of `attn.recurrent.lstm`.
    w_past : array_like, shape (width, d_hidden)
        Reads each state of the past.
    w_now : array_like, shape (d_in, d_hidden)
        Reads the token at hand.
    w_summary : array_like, shape (width, d_hidden)
        Reads what the step before made of its past.
    v : array_like, shape (d_hidden,)

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
    >>> rng = np.random.default_rng(0)
    >>> cell = Recurrent(rng.normal(size=(3, 8)), rng.normal(size=(2, 8)))
    >>> matrices = {"w_past": np.ones((2, 5)), "w_now": np.ones((3, 5)), "w_summary": np.ones((2, 5))}
    >>> look_back(rng.normal(size=(4, 3)), cell, **matrices, v=np.zeros(5)).weights.round(3)
    array([[0.   , 0.   , 0.   , 0.   ],
           [1.   , 0.   , 0.   , 0.   ],
           [0.5  , 0.5  , 0.   , 0.   ],
           [0.333, 0.333, 0.333, 0.   ]])
    """
    (x,), _ = as_floats(x)
    if x.ndim != 2 or not len(x) or x.shape[1] != parameters.w_x.shape[0]:
        raise ValueError(f"x must be (n, d_in) with d_in {parameters.w_x.shape[0]} and a token, got {x.shape}")
    n, nothing = len(x), np.zeros(parameters.n, dtype=x.dtype)
    weights, past = np.zeros((n, n), dtype=x.dtype), []
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
    return LookingBack(weights, np.stack(summaries), np.stack([one.state for one in past]))


# SNAIL: causal convolutions between causal attention


class DenseBlock(NamedTuple):
    """Parameters of one dense block: two convolutions of kernel 2, one of them a gate."""

    w_past: np.ndarray  # (2, d_in, d_out) what stands `dilation` back: filter, gate
    w_now: np.ndarray  # (2, d_in, d_out)


class SnailAttention(NamedTuple):
    """Parameters of one attention block."""

    w_q: np.ndarray  # (d_in, d_k)
    w_k: np.ndarray  # (d_in, d_k)
    w_v: np.ndarray  # (d_in, d_v)


def causal_convolution(x, w_past, w_now, dilation):
    """Convolve along time with a kernel of 2: each step sees itself and the step `dilation` before.

    Parameters
    ----------
    x : array_like, shape (..., n, d_in)
    w_past, w_now : array_like, shape (d_in, d_out)
    dilation : int

    Returns
    -------
    ndarray, shape (..., n, d_out)
        Before the first step there is 0.

    Raises
    ------
    ValueError
        If the widths do not fit or `dilation` is below 1.

    Examples
    --------
    >>> causal_convolution([[1.0], [2.0], [4.0]], [[10.0]], [[1.0]], dilation=2).ravel()
    array([ 1.,  2., 14.])
    """
    (x, w_past, w_now), dtype = as_floats(x, w_past, w_now)
    dilation = whole_number("dilation", dilation, least=1)
    if x.ndim < 2 or w_past.shape != w_now.shape or w_past.ndim != 2 or x.shape[-1] != w_past.shape[0]:
        raise ValueError(
            f"x must be (..., n, d_in) for two matrices (d_in, d_out), got {x.shape}, {w_past.shape} and {w_now.shape}"
        )
    past = np.zeros_like(x)
    past[..., dilation:, :] = x[..., :-dilation, :] if dilation < x.shape[-2] else x[..., :0, :]
    return (past @ w_past + x @ w_now).astype(dtype, copy=False)


def dense_block(x, block, dilation):
    r"""Append what a gated causal convolution makes of `x`.

    Parameters
    ----------
    x : array_like, shape (..., n, d_in)
    block : DenseBlock
    dilation : int

    Returns
    -------
    ndarray, shape (..., n, d_in + d_out)

    Raises
    ------
    ValueError
        As `causal_convolution`.

    Notes
    -----
    :math:`[x;\ \tanh(x_f) \odot \sigma(x_g)]`, section 3 of [1]_.

    References
    ----------
    .. [1] Mishra et al., 2018. arXiv:1707.03141

    Examples
    --------
    >>> block = DenseBlock(np.ones((2, 3, 5)), np.ones((2, 3, 5)))
    >>> dense_block(np.zeros((7, 3)), block, dilation=2).shape
    (7, 8)
    """
    filtered = causal_convolution(x, block.w_past[0], block.w_now[0], dilation)
    gate = causal_convolution(x, block.w_past[1], block.w_now[1], dilation)
    activation = np.tanh(filtered) * sigmoid(gate)
    return np.concatenate([x, activation.astype(filtered.dtype, copy=False)], axis=-1)


def dilations(n, *, as_printed=False):
    r"""Return the dilations of the dense blocks that a sequence of `n` steps needs.

    Parameters
    ----------
    n : int
    as_printed : bool, default False
        Take the pseudo-code at its word.

    Returns
    -------
    tuple of int
        :math:`\lceil \log_2 n \rceil` of them.

    Notes
    -----
    The pseudo-code of [1]_ counts blocks from 1 and dilates the i-th by :math:`2^i`: 2, 4, 8. With a
    kernel of 2 no path of such steps has an odd length, so that every other step of the past is
    out of reach. From :math:`2^{i-1}`, 1, 2, 4, all are.

    References
    ----------
    .. [1] Mishra et al., 2018, section 3. arXiv:1707.03141

    Examples
    --------
    >>> dilations(8), dilations(8, as_printed=True), dilations(1)
    ((1, 2, 4), (2, 4, 8), ())
    """
    blocks = math.ceil(math.log2(whole_number("n", n, least=1)))
    return tuple(2 ** (i if as_printed else i - 1) for i in range(1, blocks + 1))


def temporal_block(x, blocks, dilated):
    """Stack dense blocks, each with its dilation.

    Parameters
    ----------
    x : array_like, shape (..., n, d_in)
    blocks : sequence of DenseBlock
    dilated : sequence of int
        One per block.

    Returns
    -------
    ndarray, shape (..., n, d_in + len(blocks) * d_out)

    Raises
    ------
    ValueError
        If there is not one dilation per block, or as `causal_convolution`.

    Examples
    --------
    >>> drawn = draw_temporal_block(np.random.default_rng(0), 3, 5, len(dilations(8)))
    >>> temporal_block(np.zeros((8, 3)), drawn, dilations(8)).shape
    (8, 18)
    """
    if len(blocks) != len(dilated):
        raise ValueError(f"there must be one dilation per block, got {len(dilated)} for {len(blocks)} blocks")
    for block, dilation in zip(blocks, dilated, strict=True):
        x = dense_block(x, block, dilation)
    return x


def attention_block(x, block):
    r"""Append what causal attention reads.

    Parameters
    ----------
    x : array_like, shape (..., n, d_in)
    block : SnailAttention

    Returns
    -------
    output : ndarray, shape (..., n, d_in + d_v)
    attention : attn.Attention

    Notes
    -----
    Section 3 of [1]_: scaled dot-product attention over the past and the present, and the read set
    beside what came in.

    References
    ----------
    .. [1] Mishra et al., 2018. arXiv:1707.03141

    Examples
    --------
    >>> drawn = draw_snail_attention(np.random.default_rng(0), 3, 2, 4)
    >>> attention_block(np.ones((5, 3)), drawn)[0].shape
    (5, 7)
    """
    (x, *matrices), _ = as_floats(x, *block)
    attention = scaled_dot_product_attention(*(x @ w for w in matrices), causal=True)
    return np.concatenate([x, attention.context], axis=-1), attention


def draw_temporal_block(rng, d_in, d_out, count):
    """Draw `count` dense blocks at random, each reading what the ones before it appended.

    Examples
    --------
    >>> [block.w_now.shape for block in draw_temporal_block(np.random.default_rng(0), 3, 5, 2)]
    [(2, 3, 5), (2, 8, 5)]
    """
    widths = [d_in + i * d_out for i in range(count)]
    return [DenseBlock(*(rng.normal(0, width**-0.5, (2, width, d_out)) for _ in range(2))) for width in widths]


def draw_snail_attention(rng, d_in, d_k, d_v):
    """Draw an attention block at random.

    Examples
    --------
    >>> draw_snail_attention(np.random.default_rng(0), 3, 2, 4).w_v.shape
    (3, 4)
    """
    return SnailAttention(*(rng.normal(0, d_in**-0.5, (d_in, width)) for width in (d_k, d_k, d_v)))


def lags_reached(function, x, replacement=None):
    """Measure how far back the last output of a sequence looks.

    Parameters
    ----------
    function : callable
        Takes (n, d) and returns one output row per step.
    x : array_like, shape (n, d)
    replacement : array_like, shape (d,), optional
        What is put in place of each step in turn; by default its own numbers turned around,
        ``1 - 2 * x``.

    Returns
    -------
    ndarray, shape (n,)
        At ``lag``, how far the last output moved when the step ``lag`` before the end was
        replaced; 0 where it cannot see it.

    Examples
    --------
    >>> lags_reached(lambda x: causal_convolution(x, [[1.0]], [[1.0]], 2), np.ones((4, 1)))
    array([2., 0., 2., 0.])
    """
    (x,), _ = as_floats(x)
    last = np.asarray(function(x))[-1]
    moved = np.zeros(len(x))
    for lag in range(len(x)):
        changed = x.copy()
        step = len(x) - 1 - lag
        changed[step] = 1 - 2 * x[step] if replacement is None else replacement
        moved[lag] = np.abs(np.asarray(function(changed))[-1] - last).max(initial=0)
    return moved


def _between(number, name, low, high=math.inf):
    """Return `number` as a float from `low` to `high`."""
    number = finite_number(number, name)
    if not low <= number <= high:
        wanted = f"at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"{name} must be {wanted}, got {number:g}")
    return number


def _same_rows(one, other, name, other_name):
    """Say if two rows of weights are not over the same rows of memory."""
    if one.ndim < 1 or one.shape[-1:] != other.shape[-1:]:
        raise ValueError(f"{name} and {other_name} must be over the same rows, got {one.shape} and {other.shape}")
