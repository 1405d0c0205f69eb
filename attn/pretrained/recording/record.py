"""What a pretrained model really does: its queries, keys and values, layer by layer."""

import functools
import itertools
from dataclasses import dataclass, replace
from typing import NamedTuple

from attn.pretrained.errors import ModelError
from attn.pretrained.inputs.prepare import prepare, run
from attn.pretrained.recording import registry, tiles
from attn.pretrained.recording.layer import LongLayer, call_is_causal, kind_of, layer_of, to_numpy


@dataclass(frozen=True, eq=False)
class Recording:
    """One pass of a model over one text.

    Parameters
    ----------
    text : str or None
    pair : str or None
        The second text: of a pair, or what the decoder reads.
    tokens : tuple of Token
        What the model read, in the first row of a batch; in an encoder-decoder, what its encoder
        read. Empty where it read no tokens, as of a picture.
    decoder_tokens : tuple of Token or None
        What the decoder read.
    truncated_from : int or None
        Number of tokens before the text was cut to what the model takes; None if it was not cut.
    layers : tuple of Layer
    patches : tuple of int, or None
        Rows and columns of patches that the model cut a picture into (`attn.pretrained.patch_grid`).
    seconds : float, or None
        How long the sound was that its encoder heard, with the silence that filled it up.
    """

    text: str | None
    pair: str | None
    tokens: tuple
    decoder_tokens: tuple | None
    truncated_from: int | None
    layers: tuple
    patches: tuple | None = None
    seconds: float | None = None

    @property
    def nbytes(self):
        """Bytes that the arrays of all layers take."""
        return sum(layer.nbytes for layer in self.layers)


class OwnWeights(NamedTuple):
    """What a model says of its attention itself, with nothing to compare it with."""

    text: str | None
    tokens: tuple
    truncated_from: int | None
    weights: tuple  # per layer an ndarray (batch, num_heads, n_q, n_k)
    names: tuple  # per layer the tokens of its rows and those of its columns


def record(loaded, text=None, *, pair=None, inputs=None, layers=None, watch=None):
    """Pass a text through a model once and keep what its attention layers did.

    Parameters
    ----------
    loaded : Loaded
    text : str, optional
        What the model reads.
    pair : str, optional
        A second text: read together with the first, or by the decoder of an encoder-decoder, which
        otherwise reads the first text again.
    inputs : dict, optional
        Instead of a text, the model's own inputs by name (``input_ids``, ``pixel_values`` ...).
    layers : iterable of int, optional
        Attention layers to keep; by default all.
    watch : callable, optional
        Called before each attention layer.

    Returns
    -------
    Recording
        Memory grows with the number of tokens, not with its square. Of a text so long that the weights
        of all heads of a layer would take more than 128 MB, the model runs with its fused attention
        and layers make their arrays when they are asked for (`LongLayer`).

    Raises
    ------
    ModelError
        If the model's family does not let its attention be recorded, it has no tokenizer, or the
        text gives no token.
    ValueError
        If not exactly one of text and inputs is given, or a layer does not exist.
    """
    if not loaded.recordable:
        raise ModelError(
            f"{loaded.name} is a {loaded.family} model, a family that keeps its attention to itself: "
            "its queries and keys cannot be recorded"
        )
    prepared = prepare(loaded, text, pair, inputs)
    recorder = _Recorder(None if layers is None else set(layers), watch)
    with registry.handling(recorder):
        run(loaded, prepared.inputs, predict=False)
    recorder.check()
    kept = _layers(loaded.model, recorder, prepared)
    if any(isinstance(layer, LongLayer) for layer in kept):
        tiles.give_back()
    return Recording(
        text, pair, prepared.tokens, prepared.decoder_tokens, prepared.truncated_from, kept, prepared.patches,
        prepared.seconds,
    )  # fmt: skip


def own_weights(loaded, text=None, *, pair=None, inputs=None):
    """Ask a model for its attention weights: all that a family outside the registry gives.

    Parameters
    ----------
    loaded : Loaded
    text, pair, inputs
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
    prepared = prepare(loaded, text, pair, inputs)
    with registry.handling(registry.eager):  # fused attention has no weights to give
        output = run(loaded, prepared.inputs, output_attentions=True)
    found = reported(output)
    weights = found.get("encoder_attentions") or found.get("attentions") or next(iter(found.values()), ())
    if not weights:
        raise ModelError(f"{loaded.name} gives no attention weights, so there is nothing to show")
    names = tuple(_names(prepared, *each.shape[2:]) for each in weights)
    return OwnWeights(text, prepared.tokens, prepared.truncated_from, tuple(weights), names)


def _names(prepared, n_q, n_k):
    """Name the rows and columns of weights of which nothing is known but how many they are."""
    in_decoder = prepared.decoder_tokens is not None and n_q != len(prepared.tokens)
    return prepared.axes("decoder" if in_decoder else "encoder", n_q, n_k)


def reported(output):
    """Return the attention weights in what a model gives, wherever in it they are.

    Parameters
    ----------
    output : transformers.utils.ModelOutput

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
    """Keeps the attention calls of one pass, and answers them with the family's own attention.

    Where the weights of all heads would take too much memory, it answers with fused attention, and
    keeps what went into the modules instead of what they made of it.
    """

    def __init__(self, wanted, watch):
        self.wanted, self.watch = wanted, watch
        self.modules = []  # every attention module called, in order, and whether it looked to the left
        self.kept = {}  # place in that order -> (call, output), or what went into the module and None
        self.masks = tiles.Masks()
        self.latest = None, False  # mask, and whether it hides later keys

    def __call__(self, call):
        if self.watch is not None:
            self.watch()
        short = call.given is None or tiles.fit((*call.query.shape[:3], call.key.shape[2]))
        output, weights = registry.eager(call) if short else registry.fused(call, self.masks.of(call)[1])
        index = len(self.modules)
        self.modules.append((call.module, self.call_is_causal(call)))
        if self.wanted is not None and index not in self.wanted:
            return output, weights
        if short:
            # A model may go on to change its hidden states in place, so they are copied.
            hidden = None if call.hidden is None else call.hidden.clone()
            self.kept[index] = replace(call, hidden=hidden, given=None), output
        else:
            self.kept[index] = tiles.keep(call, self.masks), None
        return output, weights

    def call_is_causal(self, call):
        """Say whether a call hides later keys; layers often share one mask, so the latest is remembered."""
        if call.mask is None or call.mask is not self.latest[0]:
            self.latest = call.mask, call_is_causal(call)
        return self.latest[1]

    def check(self):
        """Raise if what was to be kept has not come by."""
        count = len(self.modules)
        if count == 0:
            raise ModelError("no attention layer was called in this pass, so there is nothing to record")
        missing = sorted((self.wanted or set()) - set(range(count)))
        if missing:
            raise ValueError(f"layers must be among 0 to {count - 1}, got {missing[0]}")


def _layers(model, recorder, prepared):
    """Turn the calls of a pass into layers with names."""
    names = {module: name for name, module in model.named_modules()}
    blocks = {"encoder": itertools.count(), "decoder": itertools.count(), "cross": itertools.count()}
    masks = {}  # layers share one mask, and so should what is made of it
    layers = {}

    @functools.lru_cache(maxsize=2)
    def made(index):
        """Make the arrays of a long layer again."""
        return layer_of(tiles.again(layers[index].given), None, masks, prepared, index=index, **places[index])

    places = {}
    for index, (module, looks_left) in enumerate(recorder.modules):
        name = names.get(module, type(module).__name__)
        kind = kind_of(name, module, looks_left)
        places[index] = {"block": next(blocks[kind]), "name": name, "kind": kind}
        if index not in recorder.kept:
            continue
        call, output = recorder.kept[index]
        if output is None:
            layers[index] = LongLayer(call, made, prepared, index=index, **places[index])
        else:
            layers[index] = layer_of(call, output, masks, prepared, index=index, **places[index])
    return tuple(layers.values())
