"""A recording without torch: one pass of `attn.models`, kept as that of transformers is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from attn.models import llama
from attn.models.layer_parts import AttentionMatrices, attention_matrices
from attn.multi_head import MultiHeadParameters
from attn.pretrained import bert, language_model
from attn.pretrained.recording.layer import Arrays, Kept, Layer
from attn.pretrained.recording.record import Recording

MOST_TOKENS = 256  # of a text: an encoder keeps every step of every head
_NAMES = {"gpt2": "transformer.h.{}.attn"}  # of attention modules; otherwise as Llama has them
_WRITER, _READER = "model.layers.{}.self_attn", "encoder.layer.{}.attention.self"


@dataclass(frozen=True, eq=False)
class InNumpy:
    """A model that is computed in numpy, as far as `attn.pretrained.Loaded` is asked for of one that reads texts.

    Parameters
    ----------
    opened
        What reads.
    note
        What to know of its weights, as a sentence.
    """

    opened: bert.Encoder | language_model.LanguageModel = field(repr=False)
    note: str = ""
    takes: str = "text"
    recordable: bool = True
    random_weights: bool = False
    base: None = None
    speech_tasks: tuple = ()
    source_languages: tuple = ()
    target_languages: tuple = ()
    alignment_heads: tuple = ()

    @property
    def name(self) -> str:
        """As the user named it."""
        return self.opened.name

    @property
    def family(self) -> str:
        """As its configuration spells it."""
        return self.opened.family

    @property
    def num_layers(self) -> int:
        """Layers that a pass goes through."""
        return len(self.opened.model.layers)

    @property
    def writes(self) -> bool:
        """Whether it is a language model, and no encoder."""
        return isinstance(self.opened, language_model.LanguageModel)

    def matrices(self, layer: Layer) -> MultiHeadParameters | AttentionMatrices:
        """Return the matrices of a layer's attention."""
        if isinstance(self.opened, bert.Encoder):
            return self.opened.model.layers[layer.index].attention
        return attention_matrices(self.opened.model.layers[layer.index])


def record_in_numpy(loaded: InNumpy, text: str) -> Recording:
    """Pass a text through a model in numpy, and keep what its attention layers did.

    Parameters
    ----------
    loaded
    text

    Raises
    ------
    ModelError
        If the text has no token, or is too long to be tokenized.
    """
    return _of_writer(loaded, text) if loaded.writes else _of_encoder(loaded, text)


def fits_in_numpy(loaded: InNumpy, text: str) -> bool:
    """Return whether a text is short enough to be recorded in numpy."""
    opened = loaded.opened
    tokenizer = opened.tokenizer if isinstance(opened, bert.Encoder) else opened.tokenizer.tokenizer
    return len(text) < 8 * MOST_TOKENS and len(tokenizer.encode(text).ids) <= min(MOST_TOKENS, opened.max_tokens)


def _of_encoder(loaded, text):
    """Record an encoder."""
    read = bert.encode(loaded.opened, text)
    layers = [
        _layer(at, _READER, "encoder", read.tokens, each.query, each.key, each.value, each.context, None,
               each.query.shape[-1] ** -0.5, None)
        for at, each in enumerate(block.attention for block in read.blocks)
    ]  # fmt: skip
    return _recording(loaded, text, read, layers)


def _of_writer(loaded, text):
    """Record a model that writes, without keeping its scores and weights."""
    model, steps = loaded.opened.model, {}

    def keep(step, number, array):
        if step in ("query", "key", "value", "context"):
            steps[step, number] = array
        return array

    read = language_model.read(loaded.opened, text, last=True, change=keep)
    n, pattern = len(read.tokens), _NAMES.get(loaded.opened.family, _WRITER)
    masks = {}
    for window in {getattr(layer, "window", None) for layer in model.layers}:
        behind = np.arange(n)[:, None] - np.arange(n)
        masks[window] = ((behind >= 0) & (behind < (n if window is None else window)))[None, None]
    layers = []
    for at, weights in enumerate(model.layers):
        arrays = (steps[step, at] for step in ("query", "key", "value", "context"))
        scale = model.scale if isinstance(model, llama.Llama) else weights.scale
        softcap = model.softcap if isinstance(model, llama.Llama) else None
        mask = masks[getattr(weights, "window", None)]
        layers.append(_layer(at, pattern, "decoder", read.tokens, *arrays, mask, scale, softcap))
    return _recording(loaded, text, read, layers)


def _layer(at, pattern, kind, tokens, query, key, value, context, mask, scale, softcap):
    """Return what one layer did."""
    kept = [np.ascontiguousarray(each[None], dtype=np.float32) for each in (query, key, value, context)]
    for each in (*kept, mask):
        if each is not None:
            each.flags.writeable = False
    arrays = Arrays(*kept[:3], mask, None, float(scale), softcap, None, None, None)  # type: ignore[arg-type]
    return Layer(at, at, pattern.format(at), kind, "", tokens, tokens, Kept(arrays, kept[3]))


def _recording(loaded, text, read, layers):
    """Return a recording of one text."""
    ids = {"input_ids": read.passed.ids[None]}
    return Recording(text, None, read.tokens, None, read.truncated_from, tuple(layers), None, None, loaded, ids)
