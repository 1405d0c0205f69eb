"""What happens around attention: residual connections, layer norm, the feed-forward network, and stacks of blocks."""

from __future__ import annotations  # so that no signature loads numpy.random

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_floats, as_real, finite_number, layer_norm, softmax, whole_number
from attn.multi_head import MultiHead, MultiHeadParameters, draw_parameters, multi_head_attention
from attn.positions import sinusoidal
from attn.training_recipe import dropout as dropped


class Norm(NamedTuple):
    """The weights of a layer norm, (d_model,) each."""

    gain: np.ndarray
    bias: np.ndarray


class FeedForward(NamedTuple):
    """The weights of a network that is applied to each token by itself."""

    w_1: np.ndarray  # (d_model, d_ff)
    b_1: np.ndarray  # (d_ff,)
    w_2: np.ndarray  # (d_ff, d_model)
    b_2: np.ndarray  # (d_model,)


class Layer(NamedTuple):
    """The weights of one layer of a Transformer; only a decoder's has cross-attention."""

    attention: MultiHeadParameters
    attention_norm: Norm
    feed_forward: FeedForward
    feed_forward_norm: Norm
    cross: MultiHeadParameters | None = None
    cross_norm: Norm | None = None


class Fed(NamedTuple):
    """Both steps of a feed-forward network."""

    hidden: np.ndarray  # (..., n, d_ff) 0 or more
    output: np.ndarray  # (..., n, d_model)


class Residual(NamedTuple):
    """A sublayer and what it is added to, (..., n, d_model) each."""

    x: np.ndarray  # what comes in
    read: np.ndarray  # the sublayer's input: x, in pre-norm normalised
    made: np.ndarray  # the sublayer's output, after dropout
    added: np.ndarray  # the residual sum, x + made
    output: np.ndarray  # what goes on: added, in post-norm normalised


class EncoderBlock(NamedTuple):
    """Every step of one layer of an encoder."""

    attention: MultiHead
    after_attention: Residual
    feed_forward: Fed
    after_feed_forward: Residual

    @property
    def output(self) -> np.ndarray:
        """What goes on to the next block, (..., n, d_model)."""
        return self.after_feed_forward.output


class DecoderBlock(NamedTuple):
    """Every step of one layer of a decoder."""

    attention: MultiHead
    after_attention: Residual
    cross: MultiHead
    after_cross: Residual
    feed_forward: Fed
    after_feed_forward: Residual

    @property
    def output(self) -> np.ndarray:
        """What goes on to the next block, (..., n, d_model)."""
        return self.after_feed_forward.output


class Stack(NamedTuple):
    """Blocks one above the other."""

    blocks: tuple
    output: np.ndarray  # (..., n, d_model), normalised once more if asked for


def draw_layer(rng: np.random.Generator, d_model: int, num_heads: int, d_ff: int, *, cross: bool = False) -> Layer:
    """Draw the weights of one layer at random, as training would begin.

    Parameters
    ----------
    rng
    d_model, num_heads
        `num_heads` must divide `d_model`.
    d_ff
        Width inside the feed-forward network.
    cross
        Whether the layer also reads a memory, as a decoder's does.

    Returns
    -------
    Layer
        Matrices are normal with standard deviation ``1 / sqrt(rows)``, gains 1 and biases 0.

    Raises
    ------
    ValueError
        If a width is no whole number, is below 1 or the heads do not divide.

    Examples
    --------
    >>> layer = draw_layer(np.random.default_rng(0), d_model=512, num_heads=8, d_ff=2048)
    >>> parameter_count(layer.attention), parameter_count(layer.feed_forward), parameter_count(layer)
    (1048576, 2099712, 3150336)
    """
    whole_number("d_ff", d_ff, 1)
    attention = draw_parameters(rng, d_model, num_heads)
    feed_forward = FeedForward(
        rng.normal(0, d_model**-0.5, (d_model, d_ff)),
        np.zeros(d_ff),
        rng.normal(0, d_ff**-0.5, (d_ff, d_model)),
        np.zeros(d_model),
    )
    norm = Norm(np.ones(d_model), np.zeros(d_model))
    more = (draw_parameters(rng, d_model, num_heads), norm) if cross else ()
    return Layer(attention, norm, feed_forward, norm, *more)


def parameter_count(weights: Layer | Norm | FeedForward | MultiHeadParameters | np.ndarray | None) -> int:
    """Return how many numbers a layer, or a part of it, trains."""
    if isinstance(weights, MultiHeadParameters):
        return weights.count
    if isinstance(weights, tuple):
        return sum(map(parameter_count, weights))
    return 0 if weights is None else weights.size


def embed(ids: ArrayLike, table: ArrayLike, *, scaled: bool = True) -> np.ndarray:
    r"""Turn tokens into what the first block reads: their embeddings, enlarged, plus their positions.

    Parameters
    ----------
    ids : integers, shape (..., n)
        Rows of `table`.
    table : shape (vocabulary, d_model)
    scaled
        Whether embeddings are multiplied by the root of their width. Without, those of a table that also
        makes the output are short beside the positions.

    Returns
    -------
    shape (..., n, d_model)

    Raises
    ------
    ValueError
        If `table` is no matrix or has no such row.

    Notes
    -----
    :math:`\sqrt{d}\,E_{id} + \mathrm{PE}`, sections 3.4 and 3.5 of [1]_.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> embed([1, 1], [[0.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5]]).round(4)
    array([[1.    , 2.    , 1.    , 2.    ],
           [1.8415, 1.5403, 1.01  , 2.    ]])
    """
    ids, ((table,), dtype) = as_real(ids), as_floats(table)
    if table.ndim != 2 or ids.ndim < 1:
        raise ValueError(f"ids must be a row and table a matrix, got {ids.shape} and {table.shape}")
    if ids.dtype.kind not in "iu" or ((ids < 0) | (ids >= len(table))).any():
        raise ValueError(f"ids must be rows of the table, from 0 to {len(table) - 1}, got {ids.tolist()!r:.80}")
    d_model = table.shape[1]
    factor = math.sqrt(d_model) if scaled else 1.0
    return (factor * table[ids] + sinusoidal(ids.shape[-1], d_model)).astype(dtype, copy=False)


def next_token(output: ArrayLike, table: ArrayLike) -> np.ndarray:
    r"""Return how likely each token of the vocabulary is, by the table that also embeds them.

    Parameters
    ----------
    output : shape (..., n, d_model)
        Of the last block.
    table : shape (vocabulary, d_model)

    Returns
    -------
    shape (..., n, vocabulary)
        Rows sum to 1.

    Raises
    ------
    ValueError
        If the two differ in width.

    Notes
    -----
    :math:`\mathrm{softmax}(z E^\top)`: one matrix for input, output and softmax, section 3.4 of [1]_.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> next_token([[2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]).round(3)
    array([[0.881, 0.119]])
    """
    (output, table), dtype = as_floats(output=output, table=table)
    if table.ndim != 2 or output.ndim < 2 or output.shape[-1] != table.shape[1]:
        raise ValueError(f"output and table must share d_model, got {output.shape} and {table.shape}")
    return softmax(output @ table.T).astype(dtype, copy=False)


def feed_forward(x: ArrayLike, weights: FeedForward) -> Fed:
    r"""Apply a small network to each token by itself.

    Parameters
    ----------
    x : shape (..., n, d_model)
    weights

    Returns
    -------
    Fed
        ``hidden`` (..., n, d_ff) and ``output`` (..., n, d_model).

    Raises
    ------
    ValueError
        If the widths do not fit.

    Notes
    -----
    :math:`\max(0, x W_1 + b_1) W_2 + b_2`, equation 2 of [1]_.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> one = FeedForward(np.array([[1.0, -1.0]]), np.zeros(2), np.array([[1.0], [10.0]]), np.zeros(1))
    >>> feed_forward([[3.0], [-2.0]], one).output
    array([[ 3.],
           [20.]])
    """
    (x,), dtype = as_floats(x=x)
    w_1, b_1, w_2, b_2 = weights
    if x.ndim < 1 or x.shape[-1] != w_1.shape[0] or w_1.shape[1] != w_2.shape[0]:
        raise ValueError(f"x, w_1 and w_2 must fit one another, got {x.shape}, {w_1.shape} and {w_2.shape}")
    hidden = np.maximum(x.astype(dtype, copy=False) @ w_1 + b_1, 0)  # (..., n, d_ff)
    return Fed(hidden, hidden @ w_2 + b_2)


def residual(
    x: np.ndarray,
    sublayer: Callable[[np.ndarray], Any],
    norm: Norm,
    *,
    pre_norm: bool = False,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[Any, Residual]:
    r"""Add what a sublayer makes to what it reads, and normalise after the sum or before the sublayer.

    Parameters
    ----------
    x : shape (..., n, d_model)
    sublayer
        Takes (..., n, d_model) and returns steps with an ``output`` of the same shape.
    norm
    pre_norm
        Normalise what the sublayer reads, and not the sum.
    dropout
        Chance of each number that the sublayer makes to become 0.
    rng
        Needed for dropout.

    Returns
    -------
    steps
        What `sublayer` returned.
    Residual

    Raises
    ------
    ValueError
        If the sublayer returns another shape than it reads.

    Notes
    -----
    Post-norm, :math:`\mathrm{LayerNorm}(x + \mathrm{Sublayer}(x))`, is section 3.1 of [1]_; pre-norm,
    :math:`x + \mathrm{Sublayer}(\mathrm{LayerNorm}(x))`, is [2]_, figure 1.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762
    .. [2] Xiong et al., 2020. arXiv:2002.04745
    """
    dropout = finite_number(dropout, "dropout", least=0, below=1)
    read = layer_norm(x, *norm) if pre_norm else x
    steps = sublayer(read)
    if steps.output.shape != x.shape:
        raise ValueError(f"a sublayer must return the shape it is added to, got {steps.output.shape} for {x.shape}")
    made = dropped(steps.output, dropout, rng)
    added = x + made
    return steps, Residual(x, read, made, added, added if pre_norm else layer_norm(added, *norm))


def encoder_block(
    x: ArrayLike,
    layer: Layer,
    mask: ArrayLike | None = None,
    *,
    pre_norm: bool = False,
    causal: bool = False,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> EncoderBlock:
    r"""Let every token look around, then work on each by itself.

    Parameters
    ----------
    x : shape (..., n, d_model)
    layer
    mask, causal
        As in `attn.scaled_dot_product_attention`. With `causal` this is the block of a model that only
        writes, such as GPT.
    pre_norm, dropout, rng
        As in `residual`.

    Raises
    ------
    ValueError
        If `x` has not the layer's width, or the mask does not fit.

    Notes
    -----
    Section 3.1 of [1]_: self-attention and a feed-forward network, a residual connection around each.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> block = encoder_block(rng.normal(size=(5, 12)), draw_layer(rng, 12, num_heads=4, d_ff=48))
    >>> block.attention.weights.shape, block.feed_forward.hidden.shape, block.output.shape
    ((4, 5, 5), (5, 48), (5, 12))
    >>> bool(np.allclose(block.output.std(axis=-1), 1, atol=1e-4))
    True
    """
    x = _checked(x, layer, "x")
    around = partial(residual, pre_norm=pre_norm, dropout=dropout, rng=rng)
    look = partial(multi_head_attention, parameters=layer.attention, mask=mask, causal=causal)
    attention, one = around(x, look, layer.attention_norm)
    fed, two = around(one.output, partial(feed_forward, weights=layer.feed_forward), layer.feed_forward_norm)
    return EncoderBlock(attention, one, fed, two)


def decoder_block(
    x: ArrayLike,
    memory: ArrayLike,
    layer: Layer,
    mask: ArrayLike | None = None,
    memory_mask: ArrayLike | None = None,
    *,
    pre_norm: bool = False,
    causal: bool = True,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> DecoderBlock:
    r"""Let every token look at those before it, then at another sequence, then work on each by itself.

    Parameters
    ----------
    x : shape (..., n_q, d_model)
        What has been written.
    memory : shape (..., n_k, d_model)
        What an encoder made of what it read.
    layer
        With cross-attention.
    mask, causal
        Among what has been written, as in `attn.scaled_dot_product_attention`.
    memory_mask : booleans, broadcastable to (..., n_q, n_k)
        True where what is written may look at what was read.
    pre_norm, dropout, rng
        As in `residual`.

    Raises
    ------
    ValueError
        If the layer has no cross-attention, `x` or `memory` not its width, or a mask does not fit.

    Notes
    -----
    Section 3.1 of [1]_. The decoder reads the memory through its cross-attention alone.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layer = draw_layer(rng, 12, num_heads=4, d_ff=48, cross=True)
    >>> block = decoder_block(rng.normal(size=(3, 12)), rng.normal(size=(5, 12)), layer)
    >>> block.attention.weights.shape, block.cross.weights.shape
    ((4, 3, 3), (4, 3, 5))
    """
    if layer.cross is None or layer.cross_norm is None:
        raise ValueError("the layer of a decoder must have cross-attention and its norm, got none")
    x, memory = _checked(x, layer, "x"), _checked(memory, layer, "memory")
    around = partial(residual, pre_norm=pre_norm, dropout=dropout, rng=rng)
    look = partial(multi_head_attention, parameters=layer.attention, mask=mask, causal=causal)
    read = partial(multi_head_attention, parameters=layer.cross, memory=memory, mask=memory_mask)
    attention, one = around(x, look, layer.attention_norm)
    cross, two = around(one.output, read, layer.cross_norm)
    fed, three = around(two.output, partial(feed_forward, weights=layer.feed_forward), layer.feed_forward_norm)
    return DecoderBlock(attention, one, cross, two, fed, three)


def encoder(
    x: ArrayLike, layers: Sequence[Layer], mask: ArrayLike | None = None, *, norm: Norm | None = None, **options: Any
) -> Stack:
    """Run encoder blocks one after the other.

    Parameters
    ----------
    x : shape (..., n, d_model)
    layers
    mask : booleans
    norm
        Normalises the output once more, as pre-norm needs it.
    **options
        Further keywords of `encoder_block`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> stack = encoder(rng.normal(size=(5, 12)), [draw_layer(rng, 12, 4, 48) for _ in range(6)])
    >>> len(stack.blocks), stack.output.shape
    (6, (5, 12))
    """
    return _stacked(x, layers, norm, partial(encoder_block, mask=mask, **options))


def decoder(
    x: ArrayLike,
    memory: ArrayLike,
    layers: Sequence[Layer],
    mask: ArrayLike | None = None,
    memory_mask: ArrayLike | None = None,
    *,
    norm: Norm | None = None,
    **options: Any,
) -> Stack:
    """Run decoder blocks one after the other, all reading the same memory; otherwise as `encoder`."""

    def one_more(x, layer):
        return decoder_block(x, memory, layer, mask, memory_mask, **options)

    return _stacked(x, layers, norm, one_more)


def _stacked(x, layers, norm, run):
    """Return the blocks, each reading what the one before it made."""
    blocks = []
    for layer in layers:
        blocks.append(run(blocks[-1].output if blocks else x, layer))
    output = blocks[-1].output if blocks else _floating(x)
    return Stack(tuple(blocks), output if norm is None else layer_norm(output, *norm))


def _floating(x: ArrayLike) -> np.ndarray:
    """Return `x` as floats: whole numbers become float64."""
    (x,), dtype = as_floats(x=x)
    return x.astype(dtype, copy=False)


def _checked(x: ArrayLike, layer: Layer, name: str) -> np.ndarray:
    """Return `x` as floats, or say that it has not the layer's width."""
    x, d_model = _floating(x), layer.attention.d_model
    if x.ndim < 2 or x.shape[-1] != d_model:
        raise ValueError(f"{name} must be (..., n, {d_model}) to fit the layer, got {x.shape}")
    return x
