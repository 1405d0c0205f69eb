"""What a pretrained model really does: its queries, keys and values, layer by layer."""

import functools
import itertools
import re
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from attn.dot_product import Attention
from attn.pretrained.errors import ModelError
from attn.pretrained.inputs.prepare import prepare, run
from attn.pretrained.recording import registry, tiles
from attn.pretrained.recording.compare import from_scratch

_CROSS = re.compile(r"cross|encoder_attn|encdecattention|encoder_decoder_att|token_to_|_to_token", re.IGNORECASE)


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """One attention layer of one pass, as the model made it. Arrays are float32 and read-only.

    Parameters
    ----------
    index : int
        Place among all attention layers of the pass.
    block : int
        Place among those of its kind.
    name : str
        Qualified name of the attention module.
    kind : {"encoder", "decoder", "cross"}
        Self-attention in both directions, self-attention to the left or within a decoder, or from one
        sequence to another.
    query : ndarray, shape (batch, num_heads, n_q, d_k)
    key : ndarray, shape (batch, num_kv_heads, n_k, d_k)
    value : ndarray, shape (batch, num_kv_heads, n_k, d_v)
        After norms and rotary positions: what the dot products are made of.
    mask : ndarray of bool, shape (batch, 1, n_q, n_k), or None
        True where a query may look at a key; None if everywhere.
    bias : ndarray, broadcastable to (batch, num_heads, n_q, n_k), or None
        Added to the scores, as T5's relative positions are.
    scale : float
    softcap : float or None
    sinks : ndarray, broadcastable to (batch, num_heads, n_q, 1), or None
        Scores of one more key per head that takes weight and gives nothing (gpt-oss).
    output : ndarray, shape (batch, num_heads, n_q, d_v)
        By the model family's own function, before heads are merged and projected.
    hidden : ndarray, shape (batch, n_q, d_model), or None
        What went into the attention module.
    query_tokens, key_tokens : tuple of Token
        Names of rows and columns.
    call : Call
        What the model handed over, for its own function to be run again.
    """

    index: int
    block: int
    name: str
    kind: str
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    mask: np.ndarray | None
    bias: np.ndarray | None
    scale: float
    softcap: float | None
    sinks: np.ndarray | None
    output: np.ndarray
    hidden: np.ndarray | None
    query_tokens: tuple
    key_tokens: tuple
    call: registry.Call

    def __repr__(self):
        """Say which layer this is, without its numbers."""
        return f"<{self.kind} layer {self.index} {self.name}, {self.num_heads} heads of {self.query.shape[2:]}>"

    @property
    def num_heads(self):
        """Number of query heads."""
        return self.query.shape[1]

    @property
    def num_kv_heads(self):
        """Number of key/value heads."""
        return self.key.shape[1]

    def attention(self, heads=None):
        """Compute every step from scratch; see `attn.pretrained.from_scratch` for changed ones.

        Parameters
        ----------
        heads : int or sequence of int, optional
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

    def weights(self, heads=None):
        """Compute the weights from scratch, and no other step: a third of the memory.

        Parameters
        ----------
        heads : int or sequence of int, optional
            By default all.

        Returns
        -------
        ndarray, shape (batch, len(heads), n_q, n_k)

        Raises
        ------
        ModelError
            As `attention`.
        """
        return tiles.in_tiles(lambda rows: [self._of_rows(heads, rows).weights], self._asked(heads))[0]

    def reference_weights(self, heads=None, rows=None):
        """Run the model family's own eager function on the same queries, keys and mask.

        Parameters
        ----------
        heads : int or sequence of int, optional
            By default all.
        rows : slice or sequence of int, optional
            Queries; by default all.

        Returns
        -------
        ndarray, shape (batch, len(heads), n_q, n_k)

        Raises
        ------
        ModelError
            As `attention`, and if the family's function does not give its weights.
        """
        chosen = None if heads is None else np.atleast_1d(heads)
        if rows is not None:
            return _numpy(tiles.eager_weights(self.call, chosen, rows))
        shape = self._asked(heads)
        return tiles.in_tiles(lambda rows: [_numpy(tiles.eager_weights(self.call, chosen, rows))], shape)[0]

    @property
    def nbytes(self):
        """Bytes that its arrays take, without the mask and the bias, which layers share."""
        arrays = (self.query, self.key, self.value, self.output, self.hidden)
        return sum(array.nbytes for array in arrays if array is not None)

    def _of_rows(self, heads, rows):
        """Compute some rows of some heads from scratch."""
        return from_scratch(self, heads, rows=rows)

    def _asked(self, heads):
        """Return the shape of the weights of some heads, refusing what would take too much memory."""
        count = self.num_heads if heads is None else np.size(heads)
        shape = (len(self.query), count, self.query.shape[2], self.key.shape[2])
        if count > 1 and not tiles.fit(shape):
            raise ModelError(f"heads of {shape[2]:,} tokens must be computed one by one, got {count} at once")
        return shape


class LongLayer(Layer):
    """A layer of a text so long that only what went into it is kept.

    Queries, keys and values are made again from that when they are asked for, bit for bit what they
    were, and those of the last two layers are kept. The output is that of the fused attention.
    """

    def __init__(self, given, made, prepared, **place):
        lengths = given.query_shape[2], given.key_shape[2]
        place["query_tokens"], place["key_tokens"] = prepared.axes(place["kind"], *lengths)
        for name, value in {"given": given, "made": made, **place}.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name):
        if name not in Layer.__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        if name == "output":
            return _numpy(registry.fused(self.call)[0].transpose(1, 2))
        return getattr(self.made(self.index), name)

    @property
    def num_heads(self):
        """Number of query heads."""
        return self.given.query_shape[1]

    @property
    def num_kv_heads(self):
        """Number of key/value heads."""
        return self.given.key_shape[1]

    @property
    def nbytes(self):
        """Bytes that what went into it takes, without the mask, which layers share."""
        given = (*self.given.args, *self.given.kwargs.values())
        return sum(value.nbytes for value in given if getattr(value, "ndim", 0) == 3)


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
            weights = [_numpy(each) for each in flat if _are_weights(each)]
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
        self.modules.append((call.module, self._looks_left(call)))
        if self.wanted is not None and index not in self.wanted:
            return output, weights
        if short:
            # A model may go on to change its hidden states in place, so they are copied.
            hidden = None if call.hidden is None else call.hidden.clone()
            self.kept[index] = replace(call, hidden=hidden, given=None), output
        else:
            self.kept[index] = tiles.keep(call, self.masks), None
        return output, weights

    def _looks_left(self, call):
        """Say whether a call hides later keys; layers often share one mask, so the latest is remembered."""
        if call.mask is None or call.mask is not self.latest[0]:
            self.latest = call.mask, _looks_left(call)
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
        return _layer(tiles.again(layers[index].given), None, masks, prepared, index=index, **places[index])

    places = {}
    for index, (module, looks_left) in enumerate(recorder.modules):
        name = names.get(module, type(module).__name__)
        kind = _kind(name, module, looks_left)
        places[index] = {"block": next(blocks[kind]), "name": name, "kind": kind}
        if index not in recorder.kept:
            continue
        call, output = recorder.kept[index]
        if output is None:
            layers[index] = LongLayer(call, made, prepared, index=index, **places[index])
        else:
            layers[index] = _layer(call, output, masks, prepared, index=index, **places[index])
    return tuple(layers.values())


def _kind(name, module, looks_left):
    """Say what sort of attention a module is: cross, decoder or encoder."""
    if _CROSS.search(f"{name} {type(module).__name__}"):
        return "cross"
    within_decoder = name.rfind("decoder") > name.rfind("encoder")
    return "decoder" if looks_left or within_decoder else "encoder"


def _looks_left(call):
    """Say whether a call hides later keys; of a module that calls itself causal, whether it hides most."""
    n_q, n_k = call.query.shape[2], call.key.shape[2]
    causal = bool(getattr(call.module, "is_causal", False))
    if call.mask is None or n_q == 1:
        return call.mask is not None and causal
    visible = _visible(call.mask)
    later = visible.triu(1 + n_k - n_q).sum()
    return bool(later == 0 or (causal and later < visible.tril(n_k - n_q - 1).sum()))


def _layer(call, output, masks, prepared, **place):
    """Turn one call into numpy."""
    mask, bias = _mask_and_bias(call, masks)
    query_tokens, key_tokens = prepared.axes(place["kind"], call.query.shape[2], call.key.shape[2])
    return Layer(
        **place,
        query=_numpy(call.query),
        key=_numpy(call.key),
        value=_numpy(call.value),
        mask=mask,
        bias=bias,
        scale=float(call.query.shape[-1] ** -0.5 if call.scaling is None else call.scaling),
        softcap=call.options.get("softcap"),
        sinks=_numpy(registry.sinks(call)),
        output=None if output is None else _numpy(output.transpose(1, 2)),  # (batch, num_heads, n_q, d_v)
        hidden=_numpy(call.hidden),
        query_tokens=query_tokens,
        key_tokens=key_tokens,
        call=call,
    )


def _mask_and_bias(call, masks):
    """Part what is added to the scores into who may look at whom, and a bias where it is finite."""
    bias = call.options.get("position_bias")
    visible = None
    if call.mask is not None:
        if id(call.mask) not in masks:
            masks[id(call.mask)] = _part(call.mask)
        visible, added = masks[id(call.mask)]
        if added is not None:
            bias = added if bias is None else bias + added
    return visible, _numpy(bias)


def _part(mask):
    """Part an additive mask into a boolean one and what it adds where it does not hide."""
    import torch

    visible, added = _visible(mask), None
    if mask.dtype != torch.bool:
        added = torch.where(visible, mask, 0)
        added = added if added.any() else None
    visible = visible.cpu().numpy()
    visible.flags.writeable = False
    return visible, added


def _visible(mask):
    """Return which keys a mask leaves visible."""
    import torch

    # half of the smallest number, because a bias may have been added to it
    return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2


def _numpy(tensor):
    """Return a tensor as a read-only float32 array, sharing its memory where it can."""
    if tensor is None:
        return None
    array = tensor.detach().cpu().float().numpy()
    array.flags.writeable = False
    return array
