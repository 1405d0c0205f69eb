"""A recording without torch: one pass of `attn.models`, kept as that of transformers is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attn.models import llama
from attn.models.layer_parts import AttentionMatrices, attention_matrices
from attn.multi_head import MultiHeadParameters
from attn.pretrained import bert, language_model
from attn.pretrained.errors import ModelError, takes
from attn.pretrained.inputs import tokenizer_class, vocabulary
from attn.pretrained.inputs.tokenizer_file import open_tokenizer
from attn.pretrained.loading import catalogue, weights_report
from attn.pretrained.recording.layer import Arrays, Kept, Layer
from attn.pretrained.recording.record import Recording

MOST_TOKENS = 256  # of a text: an encoder keeps every step of every head
_WRITER, _READER = "model.layers.{}.self_attn", "encoder.layer.{}.attention.self"  # names of attention modules
_NAMES = {"gpt2": "transformer.h.{}.attn", "distilbert": "transformer.layer.{}.attention"}  # where they are others


@dataclass(frozen=True, eq=False)
class InNumpy:
    """A model that is computed in numpy, as far as `attn.pretrained.Loaded` is asked for of one that reads texts.

    Parameters
    ----------
    opened
        What reads.
    note
        What to know of its weights, as a sentence.
    most_tokens
        Of a text that is recorded in numpy.
    """

    opened: bert.Encoder | language_model.LanguageModel = field(repr=False)
    note: str = ""
    most_tokens: int = MOST_TOKENS
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


@takes(settings="Settings")
def like_transformers(
    name_or_path: str | Path,
    open_model: Callable[[str | Path], bert.Encoder | language_model.LanguageModel],
    *,
    settings: catalogue.Settings | None = None,
) -> InNumpy:
    """Open a model to be recorded in numpy, if transformers makes the same of its files.

    Parameters
    ----------
    name_or_path
        As `attn.pretrained.load` takes it.
    open_model
        Such as `attn.pretrained.bert.load`. It is called after all that can be known without the weights.
    settings

    Raises
    ------
    ModelError
        As `open_model`, and if transformers may cut texts otherwise, compute with tensors that are not computed with
        here, or refuse the weights.
    """
    preflight = catalogue.inspect(name_or_path, settings=settings)
    folder, name = catalogue.fetch(preflight), preflight.name
    said = tokenizer_class.settings_of(folder, name)
    longest = MOST_TOKENS if said.longest is None else said.longest
    if not isinstance(longest, int | float):
        raise ModelError(f"model_max_length of the tokenizer must be a number, got {longest!r:.80}")
    known = preflight.where == "package"  # its files
    if not known:
        tokenizer_class.check_file_is_read_alike(open_tokenizer(folder, name).tokenizer, said, folder, name)
    opened, notes = open_model(name_or_path), [preflight.note]
    if not known:
        entries = catalogue.weights_in(folder, name).entries
        words, rows = _tokenizer(opened).get_vocab(), len(opened.model.embedding)
        notes += [weights_report.about_wrappers(entries), vocabulary.about_tokens_beyond(words, rows)]
    return InNumpy(opened, " ".join(filter(None, notes)), int(min(MOST_TOKENS, opened.max_tokens, longest)))


def _tokenizer(opened):
    """Return what cuts texts for an opened model."""
    return opened.tokenizer if isinstance(opened, bert.Encoder) else opened.tokenizer.tokenizer


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
    return len(text) < 8 * MOST_TOKENS and len(_tokenizer(loaded.opened).encode(text).ids) <= loaded.most_tokens


@takes(recording="Recording")
def stayed_finite(recording: Recording) -> bool:
    """Return whether no number of a recording, and no score, can have become infinite or none."""
    most = float(np.finfo(np.float32).max)
    for layer in recording.layers:
        query, key = (float(np.abs(side).max()) for side in (layer.query, layer.key))
        if not query * key * layer.query.shape[-1] <= most:  # nor if one is none
            return False
    return bool(np.isfinite(recording.layers[-1].output).all())


def _of_encoder(loaded, text):
    """Record an encoder."""
    read, pattern = bert.encode(loaded.opened, text), _NAMES.get(loaded.family, _READER)
    layers = [
        _layer(at, pattern, "encoder", read.tokens, each.query, each.key, each.value, each.context, None,
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
