"""SNAIL: dilated causal convolutions that carry the recent past, between causal attention that reads all of it."""

from __future__ import annotations  # so that no signature loads numpy.random

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.dot_product import Attention, scaled_dot_product_attention
from attn.functional import as_floats, check_projections, parameter, several, sigmoid, whole_number


class DenseBlock(NamedTuple):
    """Parameters of one dense block: two convolutions of kernel 2, one of them a gate."""

    w_past: np.ndarray  # (2, d_in, d_out) what stands `dilation` back: filter, gate
    w_now: np.ndarray  # (2, d_in, d_out)


class AttentionBlock(NamedTuple):
    """Parameters of one attention block."""

    w_q: np.ndarray  # (d_in, d_k)
    w_k: np.ndarray  # (d_in, d_k)
    w_v: np.ndarray  # (d_in, d_v)


def causal_convolution(x: ArrayLike, w_past: ArrayLike, w_now: ArrayLike, dilation: int) -> np.ndarray:
    """Convolve along time with a kernel of 2: each step sees itself and the step `dilation` before.

    Parameters
    ----------
    x : shape (..., n, d_in)
    w_past, w_now : shape (d_in, d_out)
    dilation

    Returns
    -------
    shape (..., n, d_out)
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
    (x, w_past, w_now), dtype = as_floats(x=x, w_past=w_past, w_now=w_now)
    dilation = whole_number("dilation", dilation, least=1)
    if x.ndim < 2 or w_past.shape != w_now.shape or w_past.ndim != 2 or x.shape[-1] != w_past.shape[0]:
        raise ValueError(
            f"x must be (..., n, d_in) for two matrices (d_in, d_out), got {x.shape}, {w_past.shape} and {w_now.shape}"
        )
    past = np.zeros_like(x)
    past[..., dilation:, :] = x[..., :-dilation, :] if dilation < x.shape[-2] else x[..., :0, :]
    return (past @ w_past + x @ w_now).astype(dtype, copy=False)


def dense_block(x: ArrayLike, block: DenseBlock, dilation: int) -> np.ndarray:
    r"""Append what a gated causal convolution makes of `x`.

    Parameters
    ----------
    x : shape (..., n, d_in)
    block
    dilation

    Returns
    -------
    shape (..., n, d_in + d_out)

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


def dilations(n: int, *, as_printed: bool = False) -> tuple[int, ...]:
    r"""Return the dilations of the dense blocks that a sequence of `n` steps needs.

    Parameters
    ----------
    n
    as_printed
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


def temporal_block(x: ArrayLike, blocks: Sequence[DenseBlock], dilated: Sequence[int]) -> np.ndarray:
    """Stack dense blocks, each with its dilation.

    Parameters
    ----------
    x : shape (..., n, d_in)
    blocks
    dilated
        One per block.

    Returns
    -------
    shape (..., n, d_in + len(blocks) * d_out)

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
    dilated = [whole_number("dilated", dilation, least=1) for dilation in several("dilated", dilated)]
    if len(blocks) != len(dilated):
        raise ValueError(f"dilated must be one dilation per block, got {len(dilated)} for {len(blocks)} blocks")
    for block, dilation in zip(blocks, dilated, strict=True):
        x = dense_block(x, block, dilation)
    return np.asarray(x)


def attention_block(x: ArrayLike, block: AttentionBlock) -> tuple[np.ndarray, Attention]:
    r"""Append what causal attention reads.

    Parameters
    ----------
    x : shape (..., n, d_in)
    block

    Returns
    -------
    output : shape (..., n, d_in + d_v)
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
    >>> drawn = draw_attention_block(np.random.default_rng(0), 3, 2, 4)
    >>> attention_block(np.ones((5, 3)), drawn)[0].shape
    (5, 7)
    """
    (x, *matrices), dtype = as_floats(x=x, **block._asdict())
    check_projections(x, batched=True, **dict(zip(block._fields, matrices, strict=True)))
    attention = scaled_dot_product_attention(*((x @ w).astype(dtype, copy=False) for w in matrices), causal=True)
    return np.concatenate([x.astype(dtype, copy=False), attention.context], axis=-1), attention


def draw_temporal_block(rng: np.random.Generator, d_in: int, d_out: int, count: int) -> list[DenseBlock]:
    """Draw `count` dense blocks at random, each reading what the ones before it appended.

    Examples
    --------
    >>> [block.w_now.shape for block in draw_temporal_block(np.random.default_rng(0), 3, 5, 2)]
    [(2, 3, 5), (2, 8, 5)]
    """
    d_in, d_out = whole_number("d_in", d_in, least=1), whole_number("d_out", d_out, least=1)
    widths = [d_in + i * d_out for i in range(whole_number("count", count, most=1000))]
    return [DenseBlock(*(rng.normal(0, width**-0.5, (2, width, d_out)) for _ in range(2))) for width in widths]


def draw_attention_block(rng: np.random.Generator, d_in: int, d_k: int, d_v: int) -> AttentionBlock:
    """Draw an attention block at random.

    Examples
    --------
    >>> draw_attention_block(np.random.default_rng(0), 3, 2, 4).w_v.shape
    (3, 4)
    """
    d_in, d_k, d_v = (whole_number(name, n, least=1) for name, n in (("d_in", d_in), ("d_k", d_k), ("d_v", d_v)))
    return AttentionBlock(*(rng.normal(0, d_in**-0.5, (d_in, width)) for width in (d_k, d_k, d_v)))


def lags_reached(
    function: Callable[[np.ndarray], np.ndarray], x: ArrayLike, replacement: ArrayLike | None = None
) -> np.ndarray:
    """Measure how far back the last output of a sequence looks.

    Parameters
    ----------
    function
        Takes (n, d) and returns one output row per step.
    x : shape (n, d)
    replacement : shape (d,)
        What is put in place of each step in turn; by default its own numbers turned around,
        ``1 - 2 * x``.

    Returns
    -------
    shape (n,)
        At ``lag``, how far the last output moved when the step ``lag`` before the end was
        replaced; 0 where it cannot see it.

    Examples
    --------
    >>> lags_reached(lambda x: causal_convolution(x, [[1.0]], [[1.0]], 2), np.ones((4, 1)))
    array([2., 0., 2., 0.])
    """
    (x,), _ = as_floats(x=x)
    if x.ndim != 2 or not len(x):
        raise ValueError(f"x must be (n, d) with a step, got {x.shape}")
    last = np.asarray(function(x))[-1]
    moved = np.zeros(len(x))
    for lag in range(len(x)):
        changed = x.copy()
        step = len(x) - 1 - lag
        changed[step] = 1 - 2 * x[step] if replacement is None else parameter(replacement, x.shape[1:], "replacement")
        moved[lag] = np.abs(np.asarray(function(changed))[-1] - last).max(initial=0)
    return moved
