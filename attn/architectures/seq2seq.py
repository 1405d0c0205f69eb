"""Encoder-decoders: read a sequence of symbols, write another, with and without attention.

`Bahdanau` (searching its source, or with one fixed vector), `Luong` and `Transformer` hold the weights
of a model. Each can ``read`` a source and ``advance`` by one symbol; `write` does both to the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from attn import alignment, local_attention
from attn.architectures.recurrent import Carried, Recurrent, bahdanau_gru, bidirectional, lstm, run, stacked
from attn.block import Layer, decoder_block, encoder_block
from attn.functional import as_array, softmax, whole_number
from attn.positions import sinusoidal

START, END = 0, 1  # among the symbols that are written
SCORES = ("general", "dot", "concat")
REACHES = ("global", "local-m", "local-p")


class Moment(NamedTuple):
    """The decoder after one symbol."""

    probabilities: np.ndarray | None  # (symbols,) of the next symbol
    weights: np.ndarray | None  # (T_x,), or (num_layers, num_heads, T_x); None without attention
    context: np.ndarray | None  # (d,) what was read for it
    carried: Any  # what goes on to the next step: Gru, Lstm or Carried; a Transformer carries nothing
    fed: np.ndarray | None = None  # (n,) Luong's attentional state
    centre: np.ndarray | np.float64 | None = None  # (), where a local window stands
    symbols: tuple = ()  # what was written before, `START` first


class Read(NamedTuple):
    """What is known of a source before the first symbol is written."""

    annotations: np.ndarray  # (T_x, d) one row per symbol: what attention reads
    summary: np.ndarray | None  # what is left of the whole source in one vector; a Transformer keeps none
    start: Moment
    steps: tuple  # the encoder's steps: Bidirectional, Lstm, or one MultiHead per layer


class Written(NamedTuple):
    """A source read and a target written, every step by name."""

    symbols: np.ndarray  # (T_y,) what was written, `END` last if the model came to an end
    probabilities: np.ndarray  # (T_y, symbols)
    weights: np.ndarray | None  # (T_y, T_x), or (num_layers, num_heads, T_y, T_x)
    context: np.ndarray  # (T_y, d)
    steps: tuple | None  # the decoder's steps: Gru or Lstm with an axis of symbols in front
    centre: np.ndarray | None  # (T_y,) where a local window stood
    read: Read


@dataclass(frozen=True, eq=False)
class Bahdanau:
    r"""The weights of an encoder-decoder that searches its source, or reads one fixed vector.

    Parameters
    ----------
    source_embedding, target_embedding : shape (symbols, m)
    forward, backward
        The encoder, from m to n.
    decoder
        From m + 2n to n: the embedded symbol and the context end to end.
    w_s, b_s : shapes (n, n) and (n,)
    u_o, v_o, c_o, b_o, w_o : shapes (n, 2l), (m, 2l), (2n, 2l), (2l,) and (l, symbols)
    w_a, u_a, v_a : shapes (n, d_hidden), (2n, d_hidden) and (d_hidden,)
        The alignment. Without it the context of every symbol is the same: the last state of each
        direction of the encoder.

    Notes
    -----
    Appendix A.2 of [1]_ with all matrices transposed:
    :math:`\tilde t_i = U_o s_{i-1} + V_o E y_{i-1} + C_o c_i`, then the larger of each pair. Equation 4
    there makes the output a function of :math:`s_i`, the appendix, and this, of :math:`s_{i-1}`.
    Fixing :math:`c_i` to :math:`\overrightarrow h_{T_x}` makes the model the plain encoder-decoder, says
    A.2.2. Here the fixed vector keeps the last state of the other direction too: a stronger
    opponent, from which only the alignment is missing.

    References
    ----------
    .. [1] Bahdanau, Cho and Bengio, 2015. arXiv:1409.0473
    """

    source_embedding: np.ndarray
    target_embedding: np.ndarray
    forward: Recurrent
    backward: Recurrent
    decoder: Recurrent
    w_s: np.ndarray
    b_s: np.ndarray
    u_o: np.ndarray
    v_o: np.ndarray
    c_o: np.ndarray
    b_o: np.ndarray
    w_o: np.ndarray
    w_a: np.ndarray | None = None
    u_a: np.ndarray | None = None
    v_a: np.ndarray | None = None

    @property
    def attends(self) -> bool:
        """Whether the model has an alignment."""
        return self.v_a is not None

    def without_attention(self) -> Self:
        """Return the same weights with the context fixed to the last states."""
        return replace(self, w_a=None, u_a=None, v_a=None)

    def read(self, source: Sequence[int] | np.ndarray) -> Read:
        """Read a source in both directions."""
        steps = bidirectional(bahdanau_gru, self.source_embedding[source], self.forward, self.backward)
        last, first = steps.forward.state[-1], steps.backward.state[0]  # each has read all of the source
        start = Carried(np.tanh(first @ self.w_s + self.b_s))
        return Read(steps.states, np.concatenate([last, first]), Moment(None, None, None, start), steps)

    def advance(self, read: Read, before: Moment, symbol: int) -> Moment:
        """Write one symbol after `symbol`."""
        state, embedded = before.carried.state, self.target_embedding[symbol]
        weights, context = self.look(read, state)
        deep = state @ self.u_o + embedded @ self.v_o + context @ self.c_o + self.b_o  # (2l,)
        probabilities = softmax(deep.reshape(-1, 2).max(axis=-1) @ self.w_o)
        carried = bahdanau_gru(np.concatenate([embedded, context]), before.carried, self.decoder)
        return Moment(probabilities, weights, context, carried, symbols=(*before.symbols, symbol))

    def look(self, read: Read, state: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """Return weights over the source, if any, and the context, for the decoder's previous state."""
        if not self.attends:
            return None, read.summary
        scores = alignment.additive(state, read.annotations, w_q=self.w_a, w_k=self.u_a, v=self.v_a)
        weights = softmax(scores)
        return weights, alignment.soft_read(weights, read.annotations)


@dataclass(frozen=True, eq=False)
class Luong:
    r"""The weights of an encoder-decoder that looks with its present state, everywhere or near one place.

    Parameters
    ----------
    source_embedding, target_embedding : shape (symbols, m)
    encoder
        A long short-term memory from m to n.
    decoder
        A long short-term memory to n, from m + n with input feeding and from m without.
    w_c, w_s, b_s : shapes (2n, n), (n, symbols) and (symbols,)
    w_a : shape (n, n) for "general", (2n, d_hidden) for "concat"
    v_a : shape (d_hidden,)
        For "concat".
    w_p, v_p : shapes (n, d_hidden) and (d_hidden,)
        Where "local-p" looks.
    score : {"general", "dot", "concat"}
    reach : {"global", "local-m", "local-p"}
    half_width
        Of a local window, to each side.
    input_feeding
        Whether the next step is told what came out of this one.

    Raises
    ------
    ValueError
        If `score` or `reach` is not one, or the window is too narrow.

    Notes
    -----
    Equations 5 to 10 of [1]_, in one layer instead of four:
    :math:`\tilde h_t = \tanh(W_c [c_t; h_t])` and :math:`p = \mathrm{softmax}(W_s \tilde h_t)`. The query
    is the present state :math:`h_t`, where Bahdanau's is the one before.

    References
    ----------
    .. [1] Luong, Pham and Manning, 2015. arXiv:1508.04025
    """

    source_embedding: np.ndarray
    target_embedding: np.ndarray
    encoder: Recurrent
    decoder: Recurrent
    w_c: np.ndarray
    w_s: np.ndarray
    b_s: np.ndarray
    w_a: np.ndarray | None = None
    v_a: np.ndarray | None = None
    w_p: np.ndarray | None = None
    v_p: np.ndarray | None = None
    score: str = "general"
    reach: str = "global"
    half_width: int = 10
    input_feeding: bool = True

    def __post_init__(self):
        for name, known in (("score", SCORES), ("reach", REACHES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        whole_number("half_width", self.half_width, least=1)

    def read(self, source: Sequence[int] | np.ndarray) -> Read:
        """Read a source from its first symbol to its last."""
        steps = run(lstm, self.source_embedding[source], self.encoder)
        last = Carried(steps.state[-1], steps.cell[-1])
        return Read(steps.state, last.state, Moment(None, None, None, last, fed=np.zeros_like(last.state)), steps)

    def advance(self, read: Read, before: Moment, symbol: int) -> Moment:
        """Write one symbol after `symbol`."""
        x = self.target_embedding[symbol]
        x = np.concatenate([x, before.fed]) if self.input_feeding else x
        carried = lstm(x, before.carried, self.decoder)
        weights, centre = self.look(read, carried.state, len(before.symbols))
        context = alignment.soft_read(weights, read.annotations)
        fed = np.tanh(np.concatenate([context, carried.state]) @ self.w_c)
        probabilities = softmax(fed @ self.w_s + self.b_s)
        return Moment(probabilities, weights, context, carried, fed, centre, (*before.symbols, symbol))

    def without_feeding(self) -> Self:
        """Return the same weights, each step no longer told what came out of the one before."""
        known = self.decoder.w_x[: self.target_embedding.shape[1]]
        return replace(self, decoder=replace(self.decoder, w_x=known), input_feeding=False)

    def look(self, read: Read, state: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray | np.float64 | None]:
        """Return weights over the source, and the centre of the window if there is one."""
        scores = self._scores(state, read.annotations)
        if self.reach == "global":
            return softmax(scores), None
        if self.reach == "local-m":
            return local_attention.local_m(scores, step, self.half_width).weights, np.float64(step)
        centre = local_attention.predicted_centre(state, len(read.annotations), w=self.w_p, v=self.v_p)
        return local_attention.local_p(scores, centre, self.half_width).weights, centre

    def _scores(self, state, annotations):
        if self.score == "dot":
            return alignment.dot(state, annotations)
        if self.score == "concat":
            return alignment.concat(state, annotations, w=self.w_a, v=self.v_a)
        return alignment.general(state, annotations, w=self.w_a)


@dataclass(frozen=True, eq=False)
class Transformer:
    r"""The weights of a Transformer that reads with its encoder and writes with its decoder.

    Parameters
    ----------
    source_embedding, target_embedding : shape (symbols, d_model)
    encoder, decoder
    w_out, b_out : shapes (d_model, symbols) and (symbols,)

    Notes
    -----
    Section 3 of [1]_: :math:`\mathrm{LayerNorm}(x + \mathrm{Sublayer}(x))` and sinusoidal positions.
    Embeddings are not multiplied by :math:`\sqrt{d_\mathrm{model}}` but drawn that much larger.

    References
    ----------
    .. [1] Vaswani et al., 2017. arXiv:1706.03762
    """

    source_embedding: np.ndarray
    target_embedding: np.ndarray
    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    w_out: np.ndarray
    b_out: np.ndarray

    def read(self, source: Sequence[int] | np.ndarray) -> Read:
        """Let every symbol of a source look at every other, layer by layer."""
        x, steps = self.placed(self.source_embedding, source), []
        for layer in self.encoder:
            block = encoder_block(x, layer)
            x = block.output
            steps.append(block.attention)
        return Read(x, None, Moment(None, None, None, None), tuple(steps))

    def advance(self, read: Read, before: Moment, symbol: int) -> Moment:
        """Write one symbol after `symbol`, reading all symbols so far anew."""
        symbols = (*before.symbols, symbol)
        x, weights = self.placed(self.target_embedding, list(symbols)), []
        for layer in self.decoder:
            block = decoder_block(x, read.annotations, layer)
            x = block.output
            weights.append(block.cross.weights[:, -1])  # (num_heads, T_x)
        probabilities = softmax(x[-1] @ self.w_out + self.b_out)
        return Moment(probabilities, np.stack(weights), block.cross.output[-1], None, symbols=symbols)

    @staticmethod
    def placed(embedding: np.ndarray, symbols: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the embeddings of symbols with their positions added, in the type of the embeddings."""
        return embedding[symbols] + sinusoidal(len(symbols), embedding.shape[1]).astype(embedding.dtype)


Model = Bahdanau | Luong | Transformer


def write(model: Model, source: ArrayLike, most: int | None = None, *, given: ArrayLike | None = None) -> Written:
    """Read a source and write the likeliest symbol, one after another.

    Parameters
    ----------
    model
    source : integers, shape (T_x,)
    most
        Symbols after which to stop; by default ``2 * T_x + 10``.
    given : integers
        Symbols to be written whatever the model would choose: teacher forcing.

    Raises
    ------
    ValueError
        If there is nothing to read or to write, or a symbol is not one of the model's.
    """
    source = _symbols(source, len(model.source_embedding), "source")
    forced = None if given is None else _symbols(given, len(model.target_embedding), "given")
    most = 2 * len(source) + 10 if most is None else whole_number("most", most, least=1)
    read = model.read(source)
    before, symbol, moments, symbols = read.start, START, [], []
    for step in range(most if forced is None else len(forced)):
        before = model.advance(read, before, symbol)
        symbol = int(before.probabilities.argmax() if forced is None else forced[step])
        moments.append(before)
        symbols.append(symbol)
        if forced is None and symbol == END:
            break
    return _joined(symbols, moments, read)


def influence(model: Model, source: ArrayLike, symbols: ArrayLike) -> np.ndarray:
    r"""Return how much each written symbol hangs on each symbol that was read.

    Parameters
    ----------
    model
    source : integers, shape (T_x,)
    symbols : integers, shape (T_y,)
        What is written, whatever is read.

    Returns
    -------
    shape (T_y, T_x)
        From 0 to 1: the share of the probability of the next symbol that moves elsewhere when the
        embedding of one source symbol is replaced by the mean of all embeddings.

    Raises
    ------
    ValueError
        If there is nothing to read or to write, or a symbol is not one of the model's.

    Notes
    -----
    :math:`\frac12 \sum_y |p(y) - p_{\setminus j}(y)|`, the total variation distance. Attention
    weights say where a model looks, this says what it would miss; it is there without attention too.
    """
    source = _symbols(source, len(model.source_embedding), "source")
    symbols = _symbols(symbols, len(model.target_embedding), "symbols")
    with_mean = np.vstack([model.source_embedding, model.source_embedding.mean(axis=0)])
    blurred = replace(model, source_embedding=with_mean)
    as_it_is = write(model, source, given=symbols).probabilities  # (T_y, symbols)
    moved = np.empty((len(symbols), len(source)))
    for place in range(len(source)):
        one_less = np.where(np.arange(len(source)) == place, len(with_mean) - 1, source)
        moved[:, place] = np.abs(write(blurred, one_less, given=symbols).probabilities - as_it_is).sum(axis=-1) / 2
    return moved


def _joined(symbols, moments, read):
    """Return single moments as arrays with an axis of written symbols before the last."""

    def joined(name, axis=-2):
        each = [getattr(moment, name) for moment in moments]
        return None if each[0] is None else np.stack(each, axis=axis)

    steps = None if moments[0].carried is None else stacked([moment.carried for moment in moments])
    return Written(
        np.array(symbols),
        joined("probabilities"),
        joined("weights"),  # also (num_layers, num_heads, T_y, T_x): keys are the last axis
        joined("context"),
        steps,
        joined("centre", axis=0),
        read,
    )


def _symbols(symbols: ArrayLike, count: int, name: str) -> np.ndarray:
    """Return symbols as an array of numbers below `count`."""
    symbols = as_array(symbols, name)
    if symbols.ndim != 1 or not symbols.size or symbols.dtype.kind not in "iu":
        raise ValueError(f"{name} must be one row of whole numbers, got {symbols.dtype} of shape {symbols.shape}")
    if symbols.min() < 0 or symbols.max() >= count:
        raise ValueError(f"{name} must hold numbers from 0 to {count - 1}, got {symbols.min()} to {symbols.max()}")
    return symbols
