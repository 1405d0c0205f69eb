"""What attention costs: operations, steps in a row, paths, parameters to train, bytes to hold."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attn.functional import finite_number, whole_number

FLOAT32 = 4  # bytes of a number, as models compute; many keep them in half as many


class LayerCost(NamedTuple):
    """What one layer costs for a sequence of tokens."""

    operations: int  # multiplications that are added up, those of the projections of attention left out
    steps: int  # operations that must wait for one another
    path: float  # layers, or steps of one, until the last token can hear of the first
    projections: int = 0  # multiplications to make queries, keys and values, and the output

    @property
    def whole(self) -> int:
        """Multiplications of the whole layer."""
        return self.operations + self.projections


class Kind(NamedTuple):
    """A kind of layer, with what its cost grows like: an order, without the factors that `layer_cost` counts."""

    title: str
    operations: str  # LaTeX
    steps: str
    path: str


KINDS = {
    "self_attention": Kind("Self-attention", "n^2 d", "1", "1"),
    "recurrent": Kind("Recurrent", "n d^2", "n", "n"),
    "convolution": Kind("Convolution", "k n d^2", "1", "n / k"),
    "dilated": Kind("Dilated convolution", "k n d^2", "1", r"\log_k n"),
    "separable": Kind("Separable convolution", "k n d + n d^2", "1", "n / k"),
    "window": Kind("Self-attention in a window", "r n d", "1", "n / r"),
}


def layer_cost(kind: str, n: int, d: int, *, kernel: int = 3, window: int = 64, centred: bool = False) -> LayerCost:
    r"""Return what one layer costs, with the projections of attention apart.

    Parameters
    ----------
    kind
        One of `KINDS`.
    n, d
        Tokens, and numbers per token.
    kernel
        Tokens k that a convolution sees at once.
    window
        Keys r that a query sees in a window.
    centred
        Whether kernels and windows lie around a token, half of them to each side, as in an encoder
        and in [1]_; by default they end with it, as in a decoder, and reach twice as far back.

    Raises
    ------
    ValueError
        If `kind` is unknown, or a number is no whole one or below 1.

    Notes
    -----
    Table 1 of [1]_ and, for separable convolutions, the text below it. The table gives orders of
    growth, such as :math:`O(n^2 d)` and :math:`O(n/k)`; here all is counted. Attention multiplies
    :math:`n^2 d` times for the scores and as often for the sums of values, and :math:`4 n d^2` times
    in its projections, which the table leaves out. A recurrent layer has two matrices, for the token
    and for the state before: :math:`2 n d^2`; one with four gates, an LSTM, has four times as many.
    A convolution multiplies :math:`k n d^2` times. So scores and sums cost as much as recurrence at
    n = d and as a convolution at n = k d / 2. Nothing is counted for biases and exponentials.

    A path ends when what the last token sees, edges left aside, reaches back to the first. A layer of
    reach k brings it s = k - 1 tokens on if its kernels end with a token, and s = k // 2 if they are
    centred: :math:`\lceil (n-1)/s \rceil` layers are needed. If each skips k times as far as the one before,
    l layers bring it :math:`s\,(k^l - 1)/(k - 1)` on, so that :math:`\lceil \log_k n \rceil` are
    enough if kernels end with a token.

    References
    ----------
    .. [1] Vaswani et al., 2017, section 4. arXiv:1706.03762

    Examples
    --------
    >>> layer_cost("self_attention", 512, 512).operations == layer_cost("recurrent", 512, 512).operations
    True
    >>> layer_cost("self_attention", 512, 512).whole, layer_cost("recurrent", 512, 512).whole
    (805306368, 268435456)
    >>> [layer_cost(kind, 4096, 512).path for kind in ("recurrent", "convolution", "dilated", "self_attention")]
    [4096, 2048, 8, 1]
    >>> [layer_cost(kind, 1024, 512, centred=True).path for kind in ("convolution", "window")]
    [1023, 32]
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    sizes = {"n": n, "d": d, "kernel": kernel, "window": window}
    n, d, kernel, window = (whole_number(name, size, 1) for name, size in sizes.items())
    projections = 4 * n * d * d

    def step(reach):
        return reach // 2 if centred else reach - 1

    return {
        "self_attention": LayerCost(2 * n * n * d, 1, 1, projections),
        "recurrent": LayerCost(2 * n * d * d, n, n),
        "convolution": LayerCost(kernel * n * d * d, 1, _layers(n, step(kernel))),
        "dilated": LayerCost(kernel * n * d * d, 1, _layers(n, step(kernel), kernel)),
        "separable": LayerCost(kernel * n * d + n * d * d, 1, _layers(n, step(kernel))),
        "window": LayerCost(2 * min(window, n) * n * d, 1, _layers(n, step(window)), projections),
    }[kind]


def _layers(n, step, widening=1):
    """Return how many layers bring the first of n tokens to the last, each so many times as far as the one before."""
    if n == 1:
        return 1
    if step == 0:
        return math.inf
    if widening == 1:
        return -(-(n - 1) // step)
    layers, seen = 1, 1 + step
    while seen < n:
        step *= widening
        layers, seen = layers + 1, seen + step
    return layers


class Work(NamedTuple):
    """Multiplications that a whole attention layer adds up."""

    projections: int  # to queries, keys and values, and of the output
    scores: int
    sums: int  # of weighted values

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def attention_work(
    n: int,
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    d_k: int | None = None,
    d_v: int | None = None,
) -> Work:
    r"""Return what a whole attention layer computes for n tokens that see one another.

    Parameters
    ----------
    n
    d_model, num_heads, num_kv_heads, d_k, d_v
        As in `attention_parameters`.

    Raises
    ------
    ValueError
        As `attention_parameters` does.

    Notes
    -----
    With as many key/value heads as heads and the default widths :math:`4 n d^2` for the projections
    and :math:`2 n^2 d` for the rest: the part that grows with the square of n is the larger one only
    beyond n = 2d, not beyond the n = d at which scores and sums meet recurrence, as in Table 1 of [1]_.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> attention_work(1024, 512, 8)
    Work(projections=1073741824, scores=536870912, sums=536870912)
    """
    n, weights = whole_number("n", n), attention_parameters(d_model, num_heads, num_kv_heads, d_k, d_v)
    num_heads, (_, d_k, d_v) = whole_number("num_heads", num_heads, 1), _widths(d_model, num_heads, d_k, d_v)
    return Work(n * weights, n * n * num_heads * d_k, n * n * num_heads * d_v)


class PassWork(NamedTuple):
    """Multiplications of one pass through a whole model that writes."""

    projections: int  # to queries, keys and values, and of the outputs
    scores: int
    sums: int  # of weighted values
    feed_forward: int
    logits: int  # of the last token

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def pass_work(
    n_new: int,
    n_kept: int = 0,
    *,
    num_layers: int,
    d_model: int,
    num_heads: int,
    d_k: int,
    d_ff: int,
    vocabulary: int,
    num_kv_heads: int | None = None,
    gated: bool = False,
    window: int | None = None,
) -> PassWork:
    r"""Return what a model that writes computes for new tokens, the keys and values of earlier ones being kept.

    Parameters
    ----------
    n_new
        Tokens that are passed through.
    n_kept
        Tokens before them, in the cache.
    num_layers, d_model, num_heads, d_k, d_ff, vocabulary
    num_kv_heads
        By default `num_heads`.
    gated
        Whether the feed-forward network has a gate: three matrices in place of two.
    window
        Keys that a token looks at in every layer, its own among them; all before it by default.

    Raises
    ------
    ValueError
        If a number is no whole one or out of range.

    Notes
    -----
    A token looks at itself and at those before it, so that the i-th of all has i scores: what a causal mask hides is
    not counted, though a program that computes whole rectangles does compute it. The cache is section 2 of [1]_.

    References
    ----------
    .. [1] Pope et al., 2022. arXiv:2211.05102

    Examples
    --------
    >>> model = {"num_layers": 2, "d_model": 8, "num_heads": 2, "d_k": 4, "d_ff": 16, "vocabulary": 10}
    >>> pass_work(3, **model).scores, pass_work(1, 2, **model).scores
    (96, 48)
    """
    n_new, n_kept = whole_number("n_new", n_new, 1), whole_number("n_kept", n_kept)
    sizes = {"num_layers": num_layers, "d_k": d_k, "d_ff": d_ff, "vocabulary": vocabulary}
    num_layers, d_k, d_ff, vocabulary = (whole_number(name, size, 1) for name, size in sizes.items())
    weights = attention_parameters(d_model, num_heads, num_kv_heads, d_k, d_k)
    d_model, num_heads = _whole(d_model=d_model, num_heads=num_heads)
    if window is None:
        seen = n_new * n_kept + n_new * (n_new + 1) // 2
    else:
        window = whole_number("window", window, 1)
        short = min(max(window - n_kept, 0), n_new)  # of the new tokens see fewer than a window
        seen = short * n_kept + short * (short + 1) // 2 + (n_new - short) * window
    each = num_layers * seen * num_heads * d_k
    fed = num_layers * n_new * (3 if gated else 2) * d_model * d_ff
    return PassWork(num_layers * n_new * weights, each, each, fed, d_model * vocabulary)


def crossover(
    d_model: int, num_heads: int, num_kv_heads: int | None = None, d_k: int | None = None, d_v: int | None = None
) -> float:
    """Return from how many tokens on scores and sums cost more than the projections.

    Parameters
    ----------
    d_model, num_heads, num_kv_heads, d_k, d_v
        As in `attention_parameters`.

    Examples
    --------
    >>> crossover(512, 8), crossover(576, 9, 3)
    (1024.0, 768.0)
    """
    one = attention_work(1, d_model, num_heads, num_kv_heads, d_k, d_v)
    return one.projections / (one.scores + one.sums)


def attention_parameters(
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    d_k: int | None = None,
    d_v: int | None = None,
    *,
    d_memory: int | None = None,
    d_value_memory: int | None = None,
    output_projection: bool = True,
    bias: bool = False,
    output_gate: bool = False,
) -> int:
    """Return how many numbers one attention layer trains.

    Parameters
    ----------
    d_model, num_heads
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
        One more number per column of each matrix.
    output_gate
        Whether each number of a head's context has a gate.

    Raises
    ------
    ValueError
        If a number is no whole one or below 1, or a width is left to the default and `d_model` is not
        a multiple of `num_heads`.

    Notes
    -----
    With the default widths and as many key/value heads as heads this is ``4 * d_model**2`` whatever
    the number of heads, [1]_, section 3.2.2.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> attention_parameters(512, 8), attention_parameters(512, 8, num_kv_heads=1)
    (1048576, 589824)
    """
    num_heads, (d_model, d_k, d_v) = whole_number("num_heads", num_heads, 1), _widths(d_model, num_heads, d_k, d_v)
    num_kv_heads = num_heads if num_kv_heads is None else whole_number("num_kv_heads", num_kv_heads, 1)
    d_memory = d_model if d_memory is None else whole_number("d_memory", d_memory, 1)
    d_value_memory = d_memory if d_value_memory is None else whole_number("d_value_memory", d_value_memory, 1)
    matrices = [(d_model, num_heads * d_k), (d_memory, num_kv_heads * d_k), (d_value_memory, num_kv_heads * d_v)]
    if output_projection:
        matrices.append((num_heads * d_v, d_model))
    if output_gate:
        matrices.append((d_model, num_heads * d_v))
    return sum((rows + bool(bias)) * columns for rows, columns in matrices)


def _widths(d_model, num_heads, d_k, d_v):
    """Return the width of a token and the two of a head, those that were not given as shares of `d_model`."""
    d_model, num_heads = whole_number("d_model", d_model, 1), whole_number("num_heads", num_heads, 1)
    given = {"d_k": d_k, "d_v": d_v}
    if None in given.values() and d_model % num_heads:
        raise ValueError(f"d_model must be a multiple of num_heads, got {d_model} and {num_heads}")
    share = d_model // num_heads
    return d_model, *(share if width is None else whole_number(name, width, 1) for name, width in given.items())


def cache_bytes(
    n_tokens: int,
    num_kv_heads: int,
    d_k: int,
    d_v: int,
    *,
    num_layers: int = 1,
    bytes_per_number: int = 2,
    window: int | None = None,
) -> int:
    """Return how much memory the keys and values of `n_tokens` take while decoding.

    Parameters
    ----------
    n_tokens, num_kv_heads, d_k, d_v
    num_layers
    bytes_per_number
        2 for float16 and bfloat16, 4 for float32.
    window
        Tokens back that layers look, if not to the first: older keys and values need not be kept.

    Raises
    ------
    ValueError
        If a number is no whole one, or below 0.

    Notes
    -----
    Why [1]_ shares one key/value head among all query heads: the cache shrinks by their number.

    References
    ----------
    .. [1] Shazeer, 2019, section 3. arXiv:1911.02150

    Examples
    --------
    >>> cache_bytes(1000, num_kv_heads=8, d_k=64, d_v=64)
    2048000
    >>> cache_bytes(32768, 8, 128, 128, num_layers=32, window=4096) == 2**29
    True
    """
    n_tokens = whole_number("n_tokens", n_tokens)
    n_tokens = n_tokens if window is None else min(n_tokens, whole_number("window", window))
    num_kv_heads, d_k, d_v, num_layers, bytes_per_number = _whole(
        num_kv_heads=num_kv_heads, d_k=d_k, d_v=d_v, num_layers=num_layers, bytes_per_number=bytes_per_number
    )
    return n_tokens * num_kv_heads * (d_k + d_v) * num_layers * bytes_per_number


def score_bytes(num_heads: int, n_q: int, n_k: int, *, bytes_per_number: int = 4) -> int:
    """Return how much memory the scores of one layer take when they are all held at once.

    Raises
    ------
    ValueError
        If a number is no whole one, or below 0.

    Examples
    --------
    >>> score_bytes(8, 512, 512) == 8 * 2**20, score_bytes(8, 1024, 1024) == 32 * 2**20
    (True, True)
    """
    num_heads, n_q, n_k, bytes_per_number = _whole(
        num_heads=num_heads, n_q=n_q, n_k=n_k, bytes_per_number=bytes_per_number
    )
    return num_heads * n_q * n_k * bytes_per_number


def _whole(**numbers):
    """Return numbers as ints, which do not overflow as numpy's do; refuse those that count nothing."""
    return (whole_number(name, number) for name, number in numbers.items())


def moved_bytes(
    n: int, d_k: int, d_v: int, *, tile: tuple[int, int] | None = None, causal: bool = False, bytes_per_number: int = 4
) -> int:
    """Return how many bytes one head moves to and from a large, slow memory.

    Parameters
    ----------
    n, d_k, d_v
    tile
        Queries and keys of one tile, whose scores are never written; by default the whole matrix of scores is.
    causal
        Whether tiles that causality hides are left out. The whole matrix is computed with what is hidden.
    bytes_per_number

    Raises
    ------
    ValueError
        If a number is no whole one or below 1.

    Notes
    -----
    The whole matrix: queries and keys are read, scores written and read, weights written and read with the values, the
    output written (algorithm 0 of [1]_). In tiles: queries are read and the output is written once, keys and values of
    each tile that is computed are read for its block of queries, as in algorithm 1 of [2]_, whose blocks of queries
    are outermost.

    References
    ----------
    .. [1] Dao, Fu, Ermon, Rudra and Ré, 2022, section 2.2. arXiv:2205.14135
    .. [2] Dao, 2023, section 3.1. arXiv:2307.08691

    Examples
    --------
    >>> moved_bytes(4096, 64, 64), moved_bytes(4096, 64, 64, tile=(128, 128))
    (272629760, 69206016)
    """
    sizes = {"n": n, "d_k": d_k, "d_v": d_v, "bytes_per_number": bytes_per_number}
    n, d_k, d_v, bytes_per_number = (whole_number(name, size, 1) for name, size in sizes.items())
    once = n * (d_k + d_v)  # queries read, outputs written
    if tile is None:
        return bytes_per_number * (once + n * (d_k + d_v) + 4 * n * n)
    if not isinstance(tile, tuple | list) or len(tile) != 2:
        raise ValueError(f"tile must be a pair (queries, keys), got {tile!r:.80}")
    rows, _ = (whole_number("tile", size, 1) for size in tile)
    read = sum(min(start + rows, n) if causal else n for start in range(0, n, rows))  # keys, block by block
    return bytes_per_number * (once + read * (d_k + d_v))


def growth(lengths: Sequence[float], values: Sequence[float], last: int = 3) -> float:
    r"""Return the exponent with which values grow: 1 for in proportion, 2 for the square.

    Parameters
    ----------
    lengths, values
        Positive, in the order of growing lengths.
    last
        How many of the longest count; shorter ones hold much that does not grow.

    Returns
    -------
    float
        The slope of the straight line that fits best through the logarithms; NaN for fewer than two.

    Raises
    ------
    ValueError
        If a number is not positive and finite, there are not as many of both, or `last` is below 1.

    Examples
    --------
    >>> round(growth([1, 2, 4, 8], [9, 4, 16, 64]), 6)
    2.0
    """
    if np.ndim(lengths) != 1 or np.shape(lengths) != np.shape(values):
        raise ValueError(f"lengths and values must be as many numbers, got {lengths!r:.80} and {values!r:.80}")
    logarithms = [
        [math.log(finite_number(number, name, above=0)) for number in numbers]
        for name, numbers in (("lengths", lengths), ("values", values))
    ]
    pairs = list(zip(*logarithms, strict=True))[-whole_number("last", last, 1) :]
    if len(pairs) < 2:
        return math.nan
    middle = [sum(part) / len(pairs) for part in zip(*pairs, strict=True)]
    spread = sum((x - middle[0]) ** 2 for x, _ in pairs)
    return sum((x - middle[0]) * (y - middle[1]) for x, y in pairs) / spread if spread else math.nan


class Shape(NamedTuple):
    """What a published model's attention is shaped like."""

    kind: str  # "encoder" or "decoder"; only decoders keep a cache
    num_layers: int
    d_model: int
    num_heads: int
    num_kv_heads: int
    d_k: int  # the same for values
    most_tokens: int  # that it was made for
    window: int | None = None  # tokens that every layer looks back, if not to the first

    def cache_bytes(self, n_tokens: int, bytes_per_number: int = 2) -> int:
        """Return what keys and values of all layers take."""
        return cache_bytes(
            n_tokens, self.num_kv_heads, self.d_k, self.d_k,
            num_layers=self.num_layers, bytes_per_number=bytes_per_number, window=self.window,
        )  # fmt: skip


SHAPES = {  # as the published configurations say
    "all-MiniLM-L6-v2": Shape("encoder", 6, 384, 12, 12, 32, 512),
    "BERT base": Shape("encoder", 12, 768, 12, 12, 64, 512),
    "BERT large": Shape("encoder", 24, 1024, 16, 16, 64, 512),
    "GPT-2": Shape("decoder", 12, 768, 12, 12, 64, 1024),
    "GPT-2 XL": Shape("decoder", 48, 1600, 25, 25, 64, 1024),
    "GPT-3 175B": Shape("decoder", 96, 12288, 96, 96, 128, 2048),
    "SmolLM2-135M": Shape("decoder", 30, 576, 9, 3, 64, 8192),
    "Falcon 7B": Shape("decoder", 32, 4544, 71, 1, 64, 2048),
    "Llama 2 7B": Shape("decoder", 32, 4096, 32, 32, 128, 4096),
    "Llama 2 70B": Shape("decoder", 80, 8192, 64, 8, 128, 4096),
    "Mistral 7B v0.1": Shape("decoder", 32, 4096, 32, 8, 128, 32768, window=4096),
    "Gemma 2B": Shape("decoder", 18, 2048, 8, 1, 256, 8192),
    "Llama 3 8B": Shape("decoder", 32, 4096, 32, 8, 128, 8192),
}


def transformer_parameters(
    *,
    num_layers: int = 6,
    d_model: int = 512,
    d_ff: int = 2048,
    num_heads: int = 8,
    d_k: int = 64,
    d_v: int = 64,
    vocabulary: int = 37_000,
) -> int:
    """Return how many numbers the encoder-decoder of the paper trains.

    Parameters
    ----------
    num_layers
        Of the encoder, and of the decoder.
    d_model, d_ff, num_heads, d_k, d_v
    vocabulary
        Rows of the one matrix that embeds both languages and also makes the output.

    Notes
    -----
    Counted from section 3 of [1]_: no bias in attention, biases in the feed-forward networks, a gain
    and a bias in each layer norm. Table 3 prints 65 million for the defaults, two more than this;
    the differences of its rows from the first come out as printed to within a million, as rounding
    allows, save where `d_model` changes: there they are up to three million off.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762

    Examples
    --------
    >>> transformer_parameters()
    63045632
    """
    num_layers, d_ff, vocabulary = _whole(num_layers=num_layers, d_ff=d_ff, vocabulary=vocabulary)
    attention = attention_parameters(d_model, num_heads, d_k=d_k, d_v=d_v)
    d_model = whole_number("d_model", d_model)
    feed_forward = d_model * d_ff + d_ff + d_ff * d_model + d_model
    norm = 2 * d_model
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    return num_layers * (encoder + decoder) + vocabulary * d_model


def training_operations(hours: float, processors: int, operations_per_second: float) -> float:
    """Return how many operations a training takes at most.

    Parameters
    ----------
    hours
    processors
    operations_per_second
        Of one processor.

    Raises
    ------
    ValueError
        If a number is negative or not finite, or `processors` no whole number.

    Notes
    -----
    How the work in Table 2 of [1]_ was estimated, with 9.5e12 operations a second for a P100.

    References
    ----------
    .. [1] Vaswani et al., 2017, section 6.1. arXiv:1706.03762

    Examples
    --------
    >>> training_operations(12, 8, 9.5e12)
    3.2832e+18
    """
    seconds = finite_number(hours, "hours", least=0) * 3600
    each = finite_number(operations_per_second, "operations_per_second", least=0)
    return seconds * whole_number("processors", processors) * each


class Variant(NamedTuple):
    """One row of Table 3 of the paper."""

    name: str
    changes: dict  # keywords of `transformer_parameters`
    perplexity: float
    bleu: float
    millions: int  # parameters, as printed


TABLE_3 = (
    Variant("base", {}, 4.92, 25.8, 65),
    Variant("d_k 16", {"d_k": 16}, 5.16, 25.1, 58),
    Variant("d_k 32", {"d_k": 32}, 5.01, 25.4, 60),
    Variant("2 layers", {"num_layers": 2}, 6.11, 23.7, 36),
    Variant("4 layers", {"num_layers": 4}, 5.19, 25.3, 50),
    Variant("8 layers", {"num_layers": 8}, 4.88, 25.5, 80),
    Variant("d_model 256", {"d_model": 256, "d_k": 32, "d_v": 32}, 5.75, 24.5, 28),
    Variant("d_model 1024", {"d_model": 1024, "d_k": 128, "d_v": 128}, 4.66, 26.0, 168),
    Variant("d_ff 1024", {"d_ff": 1024}, 5.12, 25.4, 53),
    Variant("d_ff 4096", {"d_ff": 4096}, 4.75, 26.2, 90),
    Variant("big", {"d_model": 1024, "d_ff": 4096, "num_heads": 16}, 4.33, 26.4, 213),
)
"""Rows (B), (C) and big of Vaswani et al., 2017, Table 3: those in which the number of parameters changes."""
