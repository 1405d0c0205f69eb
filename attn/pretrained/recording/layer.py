"""One attention layer of one pass, as the model made it."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn.analysis.word_level import to_words
from attn.dot_product import Attention
from attn.pretrained.errors import ModelError
from attn.pretrained.inputs.tokens import PADDING
from attn.pretrained.inputs.words import Word, words_of
from attn.pretrained.recording import registry, tiles
from attn.pretrained.recording.compare import chosen_heads, from_scratch
from attn.pretrained.recording.one_of_batch import OneOfBatch, places

if TYPE_CHECKING:
    import torch

    from attn.pretrained.inputs.prepare import Prepared
    from attn.pretrained.recording.pass_masks import PassMask

_CROSS = re.compile(r"cross|encoder_attn|encdecattention|encoder_decoder_att|token_to_|_to_token", re.IGNORECASE)


class Arrays(NamedTuple):
    """What attention in one layer is computed from, see `Layer`."""

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    mask: np.ndarray | None
    bias: np.ndarray | None
    scale: float
    softcap: float | None
    sinks: np.ndarray | None
    hidden: np.ndarray | None
    call: registry.Call


@dataclass(frozen=True, eq=False)
class Kept:
    """Source of the arrays of a layer: they are kept, and so is the output; None until it is computed."""

    kept: Arrays
    output: np.ndarray | None

    def arrays(self) -> Arrays:
        """Return the arrays."""
        return self.kept

    @property
    def query_shape(self) -> tuple[int, ...]:
        """Shape of the queries."""
        return self.kept.query.shape

    @property
    def key_shape(self) -> tuple[int, ...]:
        """Shape of the keys."""
        return self.kept.key.shape

    @property
    def nbytes(self) -> int:
        """Bytes that are kept, without the mask and the bias, which layers share."""
        arrays = (self.kept.query, self.kept.key, self.kept.value, self.output, self.kept.hidden)
        return sum(array.nbytes for array in arrays if array is not None)

    def of_text(self, one: OneOfBatch) -> Kept:
        """Return the source of one text of a batch."""
        return Kept(one.arrays(self.kept), one.output(self.output))


@dataclass(frozen=True, eq=False)
class MadeAgain:
    """Source of the arrays of a layer that read a text so long that only what went into it is kept.

    Parameters
    ----------
    given : attn.pretrained.recording.tiles.Given
    make
        Makes `Arrays` of what went in, bit for bit what they were; it keeps those of the last layers.
    """

    given: tiles.Given
    make: Callable

    def arrays(self) -> Arrays:
        """Return the arrays, made again unless this layer was among the last that were asked."""
        return self.make(self.given)

    @property
    def output(self) -> np.ndarray:
        """The output by the fused attention, computed anew each time."""
        return to_numpy(registry.fused(self.arrays().call)[0].transpose(1, 2))

    @property
    def query_shape(self) -> tuple[int, ...]:
        """Shape of the queries, which are not made for it."""
        return self.given.query_shape

    @property
    def key_shape(self) -> tuple[int, ...]:
        """Shape of the keys, which are not made for it."""
        return self.given.key_shape

    @property
    def nbytes(self) -> int:
        """Bytes that what went in takes, without the mask, which layers share."""
        given = (*self.given.args, *self.given.kwargs.values())
        return sum(value.nbytes for value in given if getattr(value, "ndim", 0) == 3)

    def of_text(self, one: OneOfBatch) -> MadeAgain:
        """Return the source of one text of a batch, which makes the arrays of all."""
        query_shape = one.shape(self.given.query_shape, one.queries)
        key_shape = one.shape(self.given.key_shape, one.keys)
        given = replace(self.given, query_shape=query_shape, key_shape=key_shape)
        return MadeAgain(given, lambda _: one.arrays(self.arrays()))


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """One attention layer of one pass, as the model made it. Arrays are float32 and read-only.

    Their first axis counts texts of a batch, or the tiles of a picture that a vision tower reads side by side:
    ``layer.weights()[2]`` is of the third.

    Parameters
    ----------
    index
        Place among all attention layers of the pass.
    block
        Place among those of its kind in its part.
    name
        Qualified name of the attention module.
    kind : {"encoder", "decoder", "cross"}
        Self-attention in both directions, causal self-attention or that within a decoder, or from one
        sequence to another.
    part
        Which part of a model of several it belongs to, as its configuration names them: ``vision``, ``text``,
        ``audio``, ``qformer`` ...; empty in a model of one.
    query_tokens, key_tokens : tuple of Token
        Names of rows and columns; numbers where those of several texts differ.
    source
        Where the arrays come from. Of a long text they are made again when they are asked for.
    names
        For each text of a batch, the names of its rows and columns, with `PADDING` among them. Empty where one
        text was read and nothing is padding.
    """

    index: int
    block: int
    name: str
    kind: str
    part: str
    query_tokens: tuple
    key_tokens: tuple
    source: Kept | MadeAgain
    names: tuple = ()

    def __repr__(self):
        """Say which layer this is, without its numbers."""
        return f"<{self.kind} layer {self.index} {self.name}, {self.num_heads} heads of {self.source.query_shape[2:]}>"

    @property
    def query(self) -> np.ndarray:
        """Queries after norms and rotary positions, (batch, num_heads, n_q, d_k)."""
        return self.source.arrays().query

    @property
    def key(self) -> np.ndarray:
        """Keys after norms and rotary positions, (batch, num_kv_heads, n_k, d_k)."""
        return self.source.arrays().key

    @property
    def value(self) -> np.ndarray:
        """Values, (batch, num_kv_heads, n_k, d_v)."""
        return self.source.arrays().value

    @property
    def mask(self) -> np.ndarray | None:
        """Booleans (batch, 1 or num_heads, n_q, n_k), True where a query may look at a key; None if everywhere."""
        return self.source.arrays().mask

    @property
    def bias(self) -> np.ndarray | None:
        """What is added to the scores, such as T5's positions; it fits (batch, num_heads, n_q, n_k). Or None."""
        return self.source.arrays().bias

    @property
    def scale(self) -> float:
        """What the dot products are multiplied by."""
        return self.source.arrays().scale

    @property
    def softcap(self) -> float | None:
        """What the scores are capped at, or None."""
        return self.source.arrays().softcap

    @property
    def sinks(self) -> np.ndarray | None:
        """Scores of one more key per head that takes weight and gives nothing (gpt-oss), or None.

        They fit (batch, num_heads, n_q, 1).
        """
        return self.source.arrays().sinks

    @property
    def hidden(self) -> np.ndarray | None:
        """What went into the attention module, (batch, n_q, d_model), or None."""
        return self.source.arrays().hidden

    @property
    def call(self) -> registry.Call:
        """What the model handed over, for its own function to be run again (`Call`)."""
        return self.source.arrays().call

    @property
    def output(self) -> np.ndarray | None:
        """Context before heads are merged and projected, (batch, num_heads, n_q, d_v).

        By the model family's own function; of a long text, by the fused one.
        """
        return self.source.output

    @property
    def num_heads(self) -> int:
        """Number of query heads."""
        return self.source.query_shape[1]

    @property
    def num_kv_heads(self) -> int:
        """Number of key/value heads."""
        return self.source.key_shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes that it keeps, without the mask and the bias, which layers share."""
        return self.source.nbytes

    @property
    def batch(self) -> tuple[Layer, ...]:
        """The layer for each text of a batch, without padding and with its own names: as if it had been read alone.

        Arrays share the memory of the batch. Where one text was read and nothing is padding it is the layer itself.
        """
        return tuple(self._of_text(row) for row in range(len(self.names))) or (self,)

    def _of_text(self, row):
        """Return what belongs to one text of a batch."""
        sides = self.names[row]
        where = [places(side) for side in sides]
        one = OneOfBatch(row, len(self.names), *(len(side) for side in sides), *where)
        tokens = [tuple(name for name in side if name != PADDING) for side in sides]
        source = self.source.of_text(one)
        return replace(self, query_tokens=tokens[0], key_tokens=tokens[1], source=source, names=())

    def changed(self, *, output: np.ndarray | None = None, **arrays: Any) -> Layer:
        """Return the layer with other arrays, all of them kept.

        Parameters
        ----------
        output
            What the new arrays give. By default it is not computed yet, and None.
        **arrays
            As in `Arrays`.
        """
        return replace(self, source=Kept(self.source.arrays()._replace(**arrays), output))

    def attention(self, heads: int | Sequence[int] | None = None) -> Attention:
        """Compute every step from scratch; see `attn.pretrained.from_scratch` for changed ones.

        Parameters
        ----------
        heads
            By default all.

        Returns
        -------
        Attention
            (batch, len(heads), n_q, n_k) and (batch, len(heads), n_q, d_v).

        Raises
        ------
        ModelError
            If several heads are asked for whose weights together would take too much memory.
        """
        compute = functools.partial(self._of_rows, heads)
        return Attention(*tiles.in_tiles(compute, self._asked(heads)))

    def weights(self, heads: int | Sequence[int] | None = None) -> np.ndarray:
        """Compute the weights from scratch, and no other step: a third of the memory.

        Parameters
        ----------
        heads
            By default all.

        Returns
        -------
        shape (batch, len(heads), n_q, n_k)

        Raises
        ------
        ModelError
            As `attention`.
        """
        return tiles.in_tiles(lambda rows: [self._of_rows(heads, rows).weights], self._asked(heads))[0]

    @property
    def query_words(self) -> tuple[Word, ...]:
        """Names of the rows of `word_weights`."""
        return words_of(self.query_tokens)

    @property
    def key_words(self) -> tuple[Word, ...]:
        """Names of the columns of `word_weights`."""
        return words_of(self.key_tokens)

    def word_weights(self, heads: int | Sequence[int] | None = None) -> np.ndarray:
        """Compute the weights from scratch, and put the pieces of each word together.

        Parameters
        ----------
        heads
            By default all.

        Returns
        -------
        shape (batch, len(heads), query words, key words)
            As `attn.analysis.word_level.to_words`: columns summed, rows averaged.

        Raises
        ------
        ModelError
            As `attention`, and if several texts were read, which have words of their own: ask each of `batch`.
        """
        if len(self.names) > 1:
            raise ModelError(
                f"words must be asked of one text, got {len(self.names)} texts: layer.batch has a layer for each"
            )
        sides = ([token.word for token in side] for side in (self.query_tokens, self.key_tokens))
        return to_words(self.weights(heads), *sides)

    def reference_weights(
        self,
        heads: int | Sequence[int] | None = None,
        rows: slice | Sequence[int] | None = None,
        *,
        in_float32: bool = False,
    ) -> np.ndarray:
        """Run the model family's own eager function on the same queries, keys and mask.

        Parameters
        ----------
        heads
            By default all.
        rows
            Queries; by default all.
        in_float32
            Whether the function computes in float32 where the model has shorter numbers, bfloat16 or float16. By
            default it rounds as the model does.

        Returns
        -------
        shape (batch, len(heads), n_q, n_k)

        Raises
        ------
        ModelError
            As `attention`, and if the family's function does not give its weights.
        """
        chosen = None if heads is None else chosen_heads(heads, self.num_heads)

        def own(rows):
            call = registry.in_float32(self.call) if in_float32 else self.call
            return to_numpy(tiles.eager_weights(call, chosen, rows))

        return own(rows) if rows is not None else tiles.in_tiles(lambda rows: [own(rows)], self._asked(heads))[0]

    def _of_rows(self, heads, rows):
        """Compute some rows of some heads from scratch."""
        return from_scratch(self, heads, rows=rows)

    def _asked(self, heads):
        """Return the shape of the weights of some heads, refusing what would take too much memory."""
        count = self.num_heads if heads is None else np.size(heads)
        shape = (self.source.query_shape[0], count, self.source.query_shape[2], self.source.key_shape[2])
        if count > 1 and not tiles.fit(shape):
            raise ModelError(f"heads of {shape[2]:,} tokens must be computed one by one, got {count} at once")
        return shape


class Place(NamedTuple):
    """Which layer of a pass this is, see `Layer`."""

    index: int  # type: ignore[assignment]  # and not what `tuple.index` does
    block: int
    name: str
    kind: str
    part: str
    first: int = 0  # rows of earlier calls of its module, which some towers call for one window after another


class Places:
    """Names the attention layers of a pass, in the order in which they are called.

    Parameters
    ----------
    model : torch.nn.Module
    """

    def __init__(self, model):
        self._names = {module: name for name, module in model.named_modules()}
        self._parts = _parts_by_configuration(getattr(model, "config", None))
        self.begin()

    def begin(self, first: int = 0) -> None:
        """Begin a pass, which calls the layers from `first` on."""
        self._index = itertools.count(first)
        self._blocks = defaultdict(itertools.count)
        self._rows = Counter()

    def next(self, call: registry.Call, is_causal: bool) -> Place:
        """Name the next layer.

        Parameters
        ----------
        call
        is_causal
            As `PassMasks.is_causal` says of the call.
        """
        name = self._names.get(call.module, "") or type(call.module).__name__
        kind = kind_of(name, call.module, is_causal, call.crosses)
        part = self._parts.get(type(getattr(call.module, "config", None)), "")
        first = self._rows[call.module]
        self._rows[call.module] += call.query.shape[2]
        return Place(next(self._index), next(self._blocks[kind, part]), name, kind, part, first)


def _parts_by_configuration(config):
    """Return what the parts of a model are called, by the class of their configuration; none that two parts share."""
    below = getattr(config, "sub_configs", ())
    named = [(name, part) for name in below if hasattr(part := getattr(config, name, None), "sub_configs")]
    classes = Counter(type(part) for _, part in named)
    parts = {type(part): name.removesuffix("_config") for name, part in named if classes[type(part)] == 1}
    within = [each for _, part in named for each in _parts_by_configuration(part).items()]
    return dict(within) | parts


def kind_of(name: str, module: torch.nn.Module, is_causal: bool, crosses: bool | None = None) -> str:
    """Say what sort of attention a module is.

    Parameters
    ----------
    name
        Qualified name of the module in its model.
    module
    is_causal
        Whether its call hides later keys.
    crosses
        Whether its keys are of another sequence; None where only its name tells.

    Returns
    -------
    {"cross", "decoder", "encoder"}
        Names tell cross-attention and what lies within a decoder; of the rest, what is causal is a decoder's.
    """
    if crosses or (crosses is None and _CROSS.search(f"{name} {type(module).__name__}")):
        return "cross"
    within_decoder = name.rfind("decoder") > name.rfind("encoder")
    return "decoder" if is_causal or within_decoder else "encoder"


def layer_of(
    call: registry.Call, mask: PassMask, prepared: Prepared, place: Place, output: torch.Tensor | None = None
) -> Layer:
    """Turn one call into a layer whose arrays are kept.

    Parameters
    ----------
    call
    mask
        What the mask of the call does.
    prepared
        What the pass reads, by which rows and columns are named.
    place
    output : shape (batch, n_q, num_heads, d_v)
        What the call was answered, if it has been.
    """
    names = prepared.axes(place.kind, call.query.shape[2], call.key.shape[2], place.part, place.first)
    context = None if output is None else to_numpy(output.transpose(1, 2))  # (batch, num_heads, n_q, d_v)
    each = _names_of_texts(prepared, place, call.query.shape[2], call.key.shape[2])
    return Layer(*place[:5], *names, Kept(arrays_of(call, mask), context), each)


def long_layer_of(
    call: registry.Call, mask: PassMask, prepared: Prepared, place: Place, make: Callable[[tiles.Given], Arrays]
) -> Layer:
    """Turn one call into a layer of which only what went into its module is kept.

    Parameters
    ----------
    call, mask, prepared, place
        As for `layer_of`.
    make
        As for `MadeAgain`, see `made_again`.
    """
    given = tiles.keep(call, mask)
    names = prepared.axes(place.kind, given.query_shape[2], given.key_shape[2], place.part, place.first)
    each = _names_of_texts(prepared, place, given.query_shape[2], given.key_shape[2])
    return Layer(*place[:5], *names, MadeAgain(given, make), each)


def _names_of_texts(prepared, place, n_q, n_k):
    """Name rows and columns for each text of a batch."""
    return tuple(one.axes(place.kind, n_q, n_k, place.part) for one in prepared.batch)


def made_again() -> Callable[[tiles.Given], Arrays]:
    """Return a function that makes arrays of what went into a layer, and keeps those of the last two layers."""
    return functools.lru_cache(maxsize=2)(lambda given: arrays_of(tiles.again(given), given.mask))


def arrays_of(call: registry.Call, mask: PassMask) -> Arrays:
    """Turn what a model handed over into numpy."""
    bias = call.options.get("position_bias")
    if mask.bias is not None:
        bias = mask.bias if bias is None else bias + mask.bias
    return Arrays(
        query=to_numpy(call.query),
        key=to_numpy(call.key),
        value=to_numpy(call.value),
        mask=mask.visible,
        bias=to_numpy(bias),
        scale=float(call.query.shape[-1] ** -0.5 if call.scaling is None else call.scaling),
        softcap=call.options.get("softcap"),
        sinks=to_numpy(registry.sinks(call)),
        hidden=to_numpy(call.hidden),
        call=call,
    )


def to_numpy(tensor: torch.Tensor | None) -> Any:
    """Return a tensor as an array.

    Returns
    -------
    ndarray of float32, or None
        Read-only, sharing the memory of the tensor where it can.
    """
    if tensor is None:
        return None
    array = tensor.detach().cpu().float().numpy()
    array.flags.writeable = False
    return array
