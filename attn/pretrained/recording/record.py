"""What a pretrained model really does: its queries, keys and values, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn.functional import whole_number
from attn.pretrained.errors import ModelError, NotCalledError, takes
from attn.pretrained.inputs import batches
from attn.pretrained.inputs.prepare import Prepared, forward, prepare, prepare_texts
from attn.pretrained.inputs.tokens import PADDING
from attn.pretrained.recording import registry, tiles
from attn.pretrained.recording.layer import MadeAgain, Places, layer_of, long_layer_of, made_again, to_numpy
from attn.pretrained.recording.pass_masks import PassMasks

if TYPE_CHECKING:
    import transformers

    from attn.pretrained.loading.load import Loaded


_MOVED = 1e-3  # of queries, relative to the largest, that padding may do by rounding


@dataclass(frozen=True, eq=False)
class Recording:
    """One pass of a model over one text, or over several at once.

    Of several texts, ``batch`` has a recording for each; what is said here of a text is None or empty then, and the
    arrays of the layers have a row for each, with padding.

    Parameters
    ----------
    text
    pair
        The second text: of a pair, or what the decoder reads.
    tokens : tuple of Token
        What the model read; in an encoder-decoder, what its encoder read. Empty where it read no tokens, as of a
        picture.
    decoder_tokens : tuple of Token or None
        What the decoder read.
    truncated_from
        Number of tokens before the text was cut to what the model takes; None if it was not cut.
    layers : tuple of Layer
    seconds
        How long the audio input was, with the silence that filled it up.
    sound_seconds
        How long the sound itself was, where that is known. The moments behind it are `Token.filler`.
    loaded
        The model, in the languages that it read.
    inputs
        What the model was given: name -> tensor.
    images
        Pictures that they were made of, as they were given; None where there were none.
    note
        What to know of how several texts were put together, as a sentence; otherwise empty.
    texts : tuple of Recording
        What `batch` gives; empty where one text was read and nothing is padding.
    """

    text: str | None
    pair: str | None
    tokens: tuple
    decoder_tokens: tuple | None
    truncated_from: int | None
    layers: tuple
    seconds: float | None
    sound_seconds: float | None
    loaded: Loaded = field(repr=False)
    inputs: Mapping = field(repr=False)
    images: Any = field(default=None, repr=False)
    note: str = ""
    texts: tuple = ()

    @property
    def batch(self) -> tuple[Recording, ...]:
        """A recording for each text, without padding and with its own names: as if it had been read alone.

        Arrays share the memory of the batch. Where one text was read and nothing is padding it is this recording.
        """
        return self.texts or (self,)

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays of all layers and the inputs take."""
        read = sum(getattr(value, "nbytes", 0) for value in self.inputs.values())  # some are switches
        return read + sum(layer.nbytes for layer in self.layers)


class OwnWeights(NamedTuple):
    """What a model says of its attention itself, with nothing to compare it with."""

    text: str | None
    tokens: tuple
    truncated_from: int | None
    weights: tuple  # per layer an ndarray (batch, num_heads, n_q, n_k)
    names: tuple  # per layer the tokens of its rows and those of its columns
    pair: str | None
    decoder_tokens: tuple | None
    loaded: Loaded
    inputs: Mapping  # name -> tensor, as the model was given them
    images: Any = None  # that they were made of, as they were given


@takes(loaded="Loaded")
def record(
    loaded: Loaded,
    text: str | Sequence[str] | None = None,
    *,
    pair: str | Sequence[str] | None = None,
    images: Any = None,
    inputs: dict | None = None,
    layers: Iterable[int] | None = None,
    watch: Callable | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
) -> Recording:
    """Pass a text through a model once and keep what its attention layers did.

    Parameters
    ----------
    loaded
    text
        What the model reads. Of several, a list: they are filled up to one length, as the tokenizer pads, and each
        is read as if it were alone (`Recording.batch`).
    pair
        A second text: read together with the first, or by the decoder of an encoder-decoder, which
        otherwise reads the first text again. Of several texts, one for each.
    images : str, Path, PIL.Image.Image or array_like, or a list of them
        What a model of pictures sees, or one of pictures and texts besides the text: see `image_inputs`.
    inputs
        Instead of all these, the model's own inputs by name (``input_ids``, ``pixel_values`` ...). Where padding
        comes before a text, its tokens are counted from its first, unless ``position_ids`` are given.
    layers
        Attention layers to keep; by default all.
    watch
        Called before each attention layer.
    source_language, target_language : str, optional
        Languages of the texts that the encoder and the decoder of a translation model read, among
        `Loaded.source_languages` and `Loaded.target_languages`. By default those that the tokenizer has.

    Returns
    -------
    Recording
        Memory grows with the number of tokens, not with its square. Of a text so long that the weights
        of all heads of a layer would take more than 128 MB, the model runs with its fused attention
        and layers make their arrays when they are asked for.

    Raises
    ------
    ModelError
        If the model's family does not let its attention be recorded, it has no tokenizer, or the
        text gives no token; of several texts, if what fills up the shorter ones changes them.
    ValueError
        If not exactly one of text or images and inputs is given, or a layer or a language does not exist.
    """
    loaded = loaded.in_languages(source_language, target_language)
    if not loaded.recordable:
        raise ModelError(
            f"{loaded.name} is a {loaded.family} model, a family that keeps its attention to itself: "
            "its queries and keys cannot be recorded"
        )
    wanted = _numbers_of(layers)
    if isinstance(text, list | tuple) and inputs is None and images is None:
        prepared = prepare_texts(loaded, text, pair)
    else:
        prepared = prepare(loaded, text, pair, inputs, images)  # type: ignore[arg-type]  # it says what is no string
    kept = _pass(loaded, prepared, wanted, watch)
    if prepared.doubted is not None:
        _refuse_if_padding_shows(loaded, prepared, kept, wanted, watch)
    of_texts = zip(*(layer.batch for layer in kept), strict=True) if prepared.batch else ()
    each = tuple(_recording(loaded, one, layers) for one, layers in zip(prepared.batch, of_texts, strict=True))
    whole = _recording(loaded, prepared, kept, each)
    return whole if images is None else replace(whole, text=text, pair=pair, images=images)


def _recording(loaded, prepared, layers, texts=()):
    """Put together what was prepared and what was recorded."""
    several = len(texts) > 1
    return Recording(
        prepared.text,
        prepared.pair,
        () if several else _real(prepared.tokens),
        None if prepared.decoder_tokens is None else () if several else _real(prepared.decoder_tokens),
        prepared.truncated_from,
        layers,
        prepared.seconds,
        prepared.sound_seconds,
        loaded,
        prepared.inputs,
        note=prepared.note,
        texts=texts,
    )


def _real(tokens):
    """Return tokens without padding."""
    return tuple(token for token in tokens if token != PADDING)


def _refuse_if_padding_shows(loaded, prepared, layers, wanted, watch):
    """Raise if a text of a batch is not read as if it were alone, of which only a pass of it alone can tell."""
    row = prepared.doubted
    instead = "pad on the right, or record" if batches.begins_late(prepared.inputs) else "record"
    alone = _pass(loaded, Prepared(batches.alone(prepared.inputs, row), ()), wanted, watch)
    for layer, same in zip(layers, alone, strict=True):
        ours, theirs = layer.batch[row].query, same.query
        moved = float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-9))
        if not moved <= _MOVED:
            raise ModelError(
                f"{loaded.name} lets padding change the texts: queries of text {row + 1} move by {moved:.0%} in layer "
                f"{layer.index + 1}; {instead} one text at a time"
            )


def _pass(loaded, prepared, wanted, watch):
    """Pass inputs through a model and return the layers that are wanted."""
    recorder = _Recorder(loaded.model, prepared, wanted, watch)
    with registry.handling(recorder, loaded.model):
        forward(loaded, prepared.inputs, predict=False)
    recorder.check()
    kept = tuple(recorder.layers)
    del recorder  # and with it the masks as numbers
    if any(isinstance(layer.source, MadeAgain) for layer in kept):
        tiles.give_back()
    return kept


@takes(loaded="Loaded")
def own_weights(
    loaded: Loaded,
    text: str | None = None,
    *,
    pair: str | None = None,
    images: Any = None,
    inputs: dict | None = None,
) -> OwnWeights:
    """Ask a model for its attention weights: all that a family outside the registry gives.

    Parameters
    ----------
    loaded
    text, pair, images, inputs
        As in `record`.

    Returns
    -------
    OwnWeights
        Of the encoder, where a model has an encoder that gives them and a decoder. Memory grows with
        the square of the number of tokens.

    Raises
    ------
    ModelError
        If the model gives no weights either, or for what `record` refuses in its input.
    """
    prepared = prepare(loaded, text, pair, inputs, images)
    with registry.handling(registry.eager, loaded.model):  # fused attention has no weights to give
        output = forward(loaded, prepared.inputs, output_attentions=True)
    found = reported(output)
    weights = found.get("encoder_attentions") or found.get("attentions") or next(iter(found.values()), ())
    if not weights:
        raise ModelError(f"{loaded.name} gives no attention weights, so there is nothing to show")
    names = tuple(_names(prepared, *each.shape[2:]) for each in weights)
    read = pair, prepared.decoder_tokens, loaded, prepared.inputs
    return OwnWeights(text, prepared.tokens, prepared.truncated_from, tuple(weights), names, *read, images)


def _numbers_of(layers):
    """Return the layers that are wanted as a set of their numbers; None for all."""
    if layers is None:
        return None
    if not isinstance(layers, Iterable):
        raise ValueError(f"layers must be several numbers, such as [0, 1], got {layers!r}")
    return {whole_number("a layer", layer) for layer in layers}


def _names(prepared, n_q, n_k):
    """Name the rows and columns of weights of which nothing is known but how many they are."""
    in_decoder = prepared.decoder_tokens is not None and n_q != len(prepared.tokens)
    return prepared.axes("decoder" if in_decoder else "encoder", n_q, n_k)


def reported(output: transformers.utils.ModelOutput) -> dict:
    """Return the attention weights in what a model gives, wherever in it they are.

    Returns
    -------
    dict
        Name of the field -> list of ndarray (batch, num_heads, n_q, n_k). Empty if there are none.
    """
    found = {}
    for name, value in output.items() if isinstance(output, dict) else ():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": weights for inner, weights in reported(value).items()}
        elif "attention" in name and isinstance(value, tuple | list):
            flat = [each for part in value for each in (part if isinstance(part, tuple | list) else (part,))]
            weights = [to_numpy(each) for each in flat if _are_weights(each)]
            found |= {name: weights} if weights else {}
    return found


def _are_weights(tensor):
    """Say whether a tensor holds weights: some families report other things under the name of attention."""
    if getattr(tensor, "ndim", 0) != 4:
        return False
    sums = tensor[~tensor.isnan().any(-1)].sum(-1)
    return bool((tensor.nan_to_num() >= 0).all() and (sums <= 1 + 1e-3).all())


class _Recorder:
    """Keeps the attention layers of one pass, and answers their calls with the family's own attention.

    Where the weights of all heads would take too much memory, it answers with fused attention, and
    keeps what went into the modules instead of what they made of it.
    """

    def __init__(self, model, prepared, wanted, watch):
        self.prepared, self.wanted, self.watch = prepared, wanted, watch
        self.called = 0
        self.layers = []  # those that are wanted
        self.places, self.masks, self.make = Places(model), PassMasks(), made_again()

    def __call__(self, call):
        if self.watch is not None:
            self.watch()
        lengths = call.query.shape[2], call.key.shape[2]
        short = call.given is None or tiles.fit((*call.query.shape[:2], *lengths))
        mask, place = self.masks.of(call), self.places.next(call, self.masks.is_causal(call))
        if short:
            output, weights = registry.eager(call)
        else:
            only_causal = mask.bias is None and self.masks.is_only_causal(mask.visible, *lengths)
            output, weights = registry.fused(call, only_causal)
        self.called += 1
        if self.wanted is not None and place.index not in self.wanted:
            return output, weights
        if short:
            # A model may go on to change its hidden states in place, so they are copied.
            hidden = None if call.hidden is None else call.hidden.clone()
            layer = layer_of(replace(call, hidden=hidden, given=None), mask, self.prepared, place, output)
        else:
            layer = long_layer_of(call, mask, self.prepared, place, self.make)
        self.layers.append(layer)
        return output, weights

    def check(self):
        """Raise if what was to be kept has not come by."""
        if self.called == 0:
            raise NotCalledError("no attention layer was called in this pass, so there is nothing to record")
        missing = sorted((self.wanted or set()) - set(range(self.called)))
        if missing:
            raise ValueError(f"layers must be among 0 to {self.called - 1}, got {missing[0]}")
