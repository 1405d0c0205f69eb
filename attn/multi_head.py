"""Multi-head, multi-query, grouped-query and cross-attention, every step by head."""

from __future__ import annotations  # so that no signature loads numpy.random

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.dot_product import scaled_dot_product_attention
from attn.functional import as_floats, as_real, sigmoid, whole_number
from attn.masks import Window
from attn.positions import Turn, turned

_ARRAYS = [f"{kind}_{role}" for kind in "wb" for role in "qkvog"]


@dataclass(frozen=True, eq=False)
class MultiHeadParameters:
    """The weights of one attention layer, used as ``x @ w + b``.

    Parameters
    ----------
    w_q : shape (d_model, num_heads * d_k)
    w_k : shape (d_memory, num_kv_heads * d_k)
    w_v : shape (d_value_memory, num_kv_heads * d_v)
        `d_memory` is `d_model` unless keys and values are read from another sequence, and `d_value_memory`
        is `d_memory` unless values are read from a third.
    w_o : shape (num_heads * d_v, d_out)
        Without it the output is the plain concatenation of the heads.
    b_q, b_k, b_v, b_o
        One number per column of the matrix they belong to.
    w_g : shape (d_model, num_heads * d_v) or (d_model, num_heads)
        Output gate: a number between 0 and 1 for each number of a head's context, or for each head,
        made of the token that asks. Without it nothing is gated.
    b_g
        One number per column of `w_g`.
    num_heads
    num_kv_heads
        By default `num_heads` (multi-head); 1 is multi-query, what lies between grouped-query.

    Raises
    ------
    ValueError
        If the shapes do not fit the numbers of heads or one another.

    Notes
    -----
    Section 3.2.2 of [1]_; one key/value head is [2]_, groups are [3]_, the gate is that on the
    output of dot-product attention in [4]_, its position G1.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762
    .. [2] Shazeer, 2019. arXiv:1911.02150
    .. [3] Ainslie et al., 2023. arXiv:2305.13245
    .. [4] Qiu et al., 2025. arXiv:2505.06708
    """

    w_q: np.ndarray
    w_k: np.ndarray
    w_v: np.ndarray
    w_o: np.ndarray | None = None
    b_q: np.ndarray | None = None
    b_k: np.ndarray | None = None
    b_v: np.ndarray | None = None
    b_o: np.ndarray | None = None
    num_heads: int = 1
    num_kv_heads: int = None  # type: ignore[assignment]  # then as many as query heads
    w_g: np.ndarray | None = None
    b_g: np.ndarray | None = None

    def __post_init__(self):
        if self.num_kv_heads is None:
            object.__setattr__(self, "num_kv_heads", self.num_heads)
        for name in _ARRAYS:
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, as_real(array))
        _check(self)

    @property
    def d_model(self) -> int:
        """Width of the tokens that ask."""
        return self.w_q.shape[0]

    @property
    def d_k(self) -> int:
        """Width of one query or key."""
        return self.w_q.shape[1] // self.num_heads

    @property
    def d_v(self) -> int:
        """Width of one value."""
        return self.w_v.shape[1] // self.num_kv_heads

    @property
    def count(self) -> int:
        """How many numbers are trained, biases included."""
        return sum(array.size for name in _ARRAYS if (array := getattr(self, name)) is not None)


class MultiHead(NamedTuple):
    """Every step of one multi-head attention."""

    query: np.ndarray  # (..., num_heads, n_q, d_k)
    key: np.ndarray  # (..., num_kv_heads, n_k, d_k)
    value: np.ndarray  # (..., num_kv_heads, n_k, d_v)
    scores: np.ndarray  # (..., num_heads, n_q, n_k)
    masked_scores: np.ndarray  # (..., num_heads, n_q, n_k)
    weights: np.ndarray  # (..., num_heads, n_q, n_k)
    context: np.ndarray  # (..., num_heads, n_q, d_v)
    concat: np.ndarray  # (..., n_q, num_heads * d_v), of what the gate lets through
    output: np.ndarray  # (..., n_q, d_out), the concatenation itself without w_o
    gate: np.ndarray | None = None  # (..., num_heads, n_q, d_v or 1), None without w_g


def draw_parameters(
    rng: np.random.Generator,
    d_model: int,
    num_heads: int,
    *,
    num_kv_heads: int | None = None,
    d_k: int | None = None,
    d_v: int | None = None,
    d_memory: int | None = None,
    d_value_memory: int | None = None,
    output_projection: bool = True,
    bias: bool = False,
    output_gate: bool = False,
) -> MultiHeadParameters:
    """Draw the parameters of a multi-head attention at random.

    Parameters
    ----------
    rng
    d_model
        Width of the tokens that ask, and of the output.
    num_heads
    num_kv_heads
        By default `num_heads`.
    d_k, d_v
        Widths per head; by default ``d_model // num_heads``, which must then divide.
    d_memory
        Width of the tokens that are read; by default `d_model`.
    d_value_memory
        Width of the tokens that values are read from; by default `d_memory`.
    output_projection
    bias
    output_gate
        Whether each number of a head's context has a gate.

    Returns
    -------
    MultiHeadParameters
        Entries are normal with standard deviation ``1 / sqrt(rows)``, so that a projection keeps
        the size of what it projects. Biases are normal with standard deviation 0.1.

    Raises
    ------
    ValueError
        If a width or number of heads is no whole number, is below 1 or does not divide.

    Examples
    --------
    >>> draw_parameters(np.random.default_rng(0), d_model=512, num_heads=8).count
    1048576
    """
    num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
    given: dict[str, int | None] = {"d_model": d_model, "num_heads": num_heads, "num_kv_heads": num_kv_heads}
    given |= {"d_k": d_k, "d_v": d_v, "d_memory": d_memory, "d_value_memory": d_value_memory}
    for name, number in given.items():
        if number is not None or name in ("d_model", "num_heads"):
            whole_number(name, number, 1)
    if (d_k is None or d_v is None) and d_model % num_heads:
        raise ValueError(f"d_model must be a multiple of num_heads, got {d_model} and {num_heads}")
    d_k = d_model // num_heads if d_k is None else d_k
    d_v = d_model // num_heads if d_v is None else d_v
    d_memory = d_model if d_memory is None else d_memory
    d_value_memory = d_memory if d_value_memory is None else d_value_memory
    shapes = {
        "q": (d_model, num_heads * d_k),
        "k": (d_memory, num_kv_heads * d_k),
        "v": (d_value_memory, num_kv_heads * d_v),
    }
    if output_projection:
        shapes["o"] = (num_heads * d_v, d_model)
    if output_gate:
        shapes["g"] = (d_model, num_heads * d_v)
    drawn = {f"w_{role}": rng.normal(0, shape[0] ** -0.5, shape) for role, shape in shapes.items()}
    if bias:
        drawn |= {f"b_{role}": rng.normal(0, 0.1, shape[1]) for role, shape in shapes.items()}
    return MultiHeadParameters(**drawn, num_heads=num_heads, num_kv_heads=num_kv_heads)


def split_heads(x: ArrayLike, num_heads: int) -> np.ndarray:
    """Cut the columns of `x` into heads.

    Parameters
    ----------
    x : shape (..., n, num_heads * d)
    num_heads

    Returns
    -------
    shape (..., num_heads, n, d)

    Raises
    ------
    ValueError
        If `x` has one axis only, or its width is not a multiple of `num_heads`.

    Examples
    --------
    >>> split_heads(np.zeros((6, 12)), 4).shape
    (4, 6, 3)
    """
    x = as_real(x, "x")
    if x.ndim < 2 or whole_number("num_heads", num_heads) < 1 or x.shape[-1] % num_heads:
        raise ValueError(
            f"x must have axes (..., n, width) with a width that is a multiple of num_heads, "
            f"got {x.shape} and num_heads {num_heads}"
        )
    x = x.reshape(*x.shape[:-1], num_heads, x.shape[-1] // num_heads)  # (..., n, num_heads, d)
    return x.swapaxes(-2, -3)  # (..., num_heads, n, d)


def merge_heads(x: ArrayLike) -> np.ndarray:
    """Lay the heads side by side: the inverse of `split_heads`.

    Parameters
    ----------
    x : shape (..., num_heads, n, d)

    Returns
    -------
    shape (..., n, num_heads * d)

    Raises
    ------
    ValueError
        If `x` has fewer than three axes.

    Examples
    --------
    >>> merge_heads(np.zeros((4, 6, 3))).shape
    (6, 12)
    """
    x = as_real(x, "x")
    if x.ndim < 3:
        raise ValueError(f"x must have axes (..., num_heads, n, d), got {x.shape}")
    x = x.swapaxes(-2, -3)  # (..., n, num_heads, d)
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def multi_head_attention(
    x: ArrayLike,
    parameters: MultiHeadParameters,
    memory: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    value_memory: ArrayLike | None = None,
    rotate: Turn | tuple[Turn, Turn] | None = None,
    bias: ArrayLike | Callable[[np.ndarray], np.ndarray] | None = None,
    causal: bool = False,
    query_offset: int | None = None,
    window: Window | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    top_k: int | None = None,
    sinks: ArrayLike | None = None,
) -> MultiHead:
    r"""Project tokens to queries, keys and values, attend in every head, and merge the heads.

    Parameters
    ----------
    x : shape (..., n_q, d_model)
        The tokens that ask.
    parameters
    memory : shape (..., n_k, d_memory)
        The tokens that are read; by default `x` itself (self-attention).
    value_memory : shape (..., n_k, d_value_memory)
        The tokens that values are read from, where they are others than those of the keys; by
        default `memory`.
    rotate
        Applied to queries and to keys after the heads are split, as rotary positions are;
        takes and returns (..., heads, n, d_k). A pair where keys are turned in another way.
    bias
        As in `attn.scaled_dot_product_attention`; or a function that makes it of the queries
        (..., num_heads, n_q, d_k), as the relative positions of `attn.positions.shaw_bias` do.
    mask, causal, query_offset, window, scale, softcap, top_k, sinks
        As in `attn.scaled_dot_product_attention`.

    Returns
    -------
    MultiHead
        Every step, by head.

    Raises
    ------
    ValueError
        If the width of `x`, `memory` or `value_memory` is not that of the parameters, or a mask does
        not fit.

    Notes
    -----
    Section 3.2.2 of [1]_:
    :math:`\mathrm{Concat}(\mathrm{head}_1, \ldots, \mathrm{head}_h)\,W^O`. An output gate makes of
    each head :math:`\mathrm{head}_i \odot \sigma(X W^G_i)`, position G1 of [2]_.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762
    .. [2] Qiu et al., 2025. arXiv:2505.06708

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> parameters = draw_parameters(rng, d_model=12, num_heads=4, num_kv_heads=2)
    >>> steps = multi_head_attention(rng.normal(size=(5, 12)), parameters, causal=True)
    >>> steps.key.shape, steps.weights.shape, steps.output.shape
    ((2, 5, 3), (4, 5, 5), (5, 12))
    """
    memory = x if memory is None else memory
    query = split_heads(_project(x, parameters.w_q, parameters.b_q, "x"), parameters.num_heads)
    key = split_heads(_project(memory, parameters.w_k, parameters.b_k, "memory"), parameters.num_kv_heads)
    read, name = (memory, "memory") if value_memory is None else (value_memory, "value_memory")
    value = split_heads(_project(read, parameters.w_v, parameters.b_v, name), parameters.num_kv_heads)
    query, key = turned(query, key, rotate)
    attention = scaled_dot_product_attention(
        query,
        key,
        value,
        mask,
        bias=bias(query) if callable(bias) else bias,
        causal=causal,
        query_offset=query_offset,
        window=window,
        scale=scale,
        softcap=softcap,
        top_k=top_k,
        sinks=sinks,
    )
    gate, let_through = None, attention.context
    if parameters.w_g is not None:
        gate = sigmoid(split_heads(_project(x, parameters.w_g, parameters.b_g, "x"), parameters.num_heads))
        let_through = attention.context * gate  # (..., num_heads, n_q, d_v)
    concat = merge_heads(let_through)  # (..., n_q, num_heads * d_v)
    output = concat if parameters.w_o is None else _project(concat, parameters.w_o, parameters.b_o, "concat")
    return MultiHead(query, key, value, *attention, concat, output, gate)


def head_outputs(context: ArrayLike, w_o: ArrayLike) -> np.ndarray:
    r"""Return what each head alone adds to the output.

    Parameters
    ----------
    context : shape (..., num_heads, n_q, d_v)
        What the gate lets through, where there is one.
    w_o : shape (num_heads * d_v, d_out)

    Returns
    -------
    shape (..., num_heads, n_q, d_out)
        Summed over heads this is ``concat @ w_o``.

    Raises
    ------
    ValueError
        If `context` has fewer than three axes, or `w_o` not the rows of its heads.

    Notes
    -----
    :math:`\mathrm{Concat}(Z_1, \ldots, Z_h)\,W^O = \sum_i Z_i W^O_i`, where :math:`W^O_i` is the
    band of rows of :math:`W^O` that belongs to head :math:`i`.

    Examples
    --------
    >>> head_outputs(np.ones((4, 6, 3)), np.ones((12, 5))).shape
    (4, 6, 5)
    """
    (context, w_o), dtype = as_floats(context=context, w_o=w_o)
    if context.ndim < 3:
        raise ValueError(f"context must have axes (..., num_heads, n_q, d_v), got {context.shape}")
    num_heads, d_v = context.shape[-3], context.shape[-1]
    if w_o.ndim != 2 or w_o.shape[0] != num_heads * d_v:
        raise ValueError(f"w_o must be a matrix of num_heads * d_v = {num_heads * d_v} rows, got {w_o.shape}")
    bands = w_o.reshape(num_heads, d_v, -1)  # (num_heads, d_v, d_out)
    return (context @ bands).astype(dtype, copy=False)


def one_head(parameters: MultiHeadParameters, head: int) -> MultiHeadParameters:
    """Take one head out of the parameters of a layer.

    Returns
    -------
    MultiHeadParameters
        ``w_q, w_k, w_v`` (d_model, d_k) with their biases, and the gate; no output projection.

    Raises
    ------
    ValueError
        If there is no such head.
    """
    head = whole_number("head", head, most=parameters.num_heads - 1)
    group = parameters.num_heads // parameters.num_kv_heads
    columns = {
        "q": slice(head * parameters.d_k, (head + 1) * parameters.d_k),
        "k": slice(head // group * parameters.d_k, (head // group + 1) * parameters.d_k),
        "v": slice(head // group * parameters.d_v, (head // group + 1) * parameters.d_v),
    }
    if parameters.w_g is not None:
        width = parameters.w_g.shape[1] // parameters.num_heads
        columns["g"] = slice(head * width, (head + 1) * width)
    taken = {f"w_{role}": getattr(parameters, f"w_{role}")[:, place] for role, place in columns.items()}
    for role, place in columns.items():
        bias = getattr(parameters, f"b_{role}")
        taken[f"b_{role}"] = None if bias is None else bias[place]
    return MultiHeadParameters(**taken)


def _project(x, w, b, name):
    """Return ``x @ w + b``, in the number types of `as_floats`."""
    (x, w, b), dtype = as_floats(**{name: x}, w=w, b=np.zeros(1, w.dtype) if b is None else b)
    if x.ndim < 2 or x.shape[-1] != w.shape[0]:
        raise ValueError(f"{name} must have {w.shape[0]} columns to be projected by {w.shape}, got {x.shape}")
    return (x @ w + b).astype(dtype, copy=False)


def _check(p):
    """Raise ValueError where the shapes of the parameters do not fit."""
    if p.num_heads < 1 or p.num_kv_heads < 1 or p.num_heads % p.num_kv_heads:
        raise ValueError(
            f"num_heads must be a multiple of num_kv_heads, both at least 1, got {p.num_heads} and {p.num_kv_heads}"
        )
    for name, heads in (("w_q", p.num_heads), ("w_k", p.num_kv_heads), ("w_v", p.num_kv_heads)):
        shape = getattr(p, name).shape
        if len(shape) != 2 or shape[1] == 0 or shape[1] % heads:
            raise ValueError(f"{name} must be a matrix whose columns are a multiple of {heads} heads, got {shape}")
    if p.w_k.shape[1] // p.num_kv_heads != p.d_k:
        raise ValueError(f"w_q and w_k must agree in d_k, got {p.w_q.shape} and {p.w_k.shape}")
    if p.w_o is not None and (p.w_o.ndim != 2 or p.w_o.shape[0] != p.num_heads * p.d_v):
        raise ValueError(f"w_o must be a matrix of num_heads * d_v = {p.num_heads * p.d_v} rows, got {p.w_o.shape}")
    if p.w_g is not None and p.w_g.shape not in {(p.d_model, p.num_heads * p.d_v), (p.d_model, p.num_heads)}:
        raise ValueError(
            f"w_g must have d_model = {p.d_model} rows and a column per head or per number of a context, "
            f"{p.num_heads} or {p.num_heads * p.d_v}, got {p.w_g.shape}"
        )
    for role in "qkvog":
        w, b = getattr(p, f"w_{role}"), getattr(p, f"b_{role}")
        if b is not None and (w is None or b.shape != (w.shape[1],)):
            raise ValueError(f"b_{role} must have one number per column of w_{role}, got {b.shape}")


def divisors(number: int) -> list[int]:
    """Return the numbers of key/value heads that `number` query heads can share.

    Examples
    --------
    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    number = whole_number("number", number, 1)
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})
