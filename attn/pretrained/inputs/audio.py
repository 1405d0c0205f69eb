"""Audio inputs: a sound made into what a model takes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from attn.pretrained.errors import ModelError, takes
from attn.pretrained.inputs.prepare import decoder_inputs
from attn.pretrained.inputs.prepared_inputs import PreparedInputs, accepted_inputs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from attn.pretrained.inputs.tokens import Token
    from attn.pretrained.loading.load import Loaded
    from attn.pretrained.recording.layer import Layer
    from attn.pretrained.recording.record import Recording

_TASKS = {  # Radford et al., 2022, section 2.3, arXiv:2212.04356
    "<|startoftranscript|>": "a transcript begins",
    "<|transcribe|>": "write down what is said",
    "<|translate|>": "write it down in English",
    "<|notimestamps|>": "without times",
}


@takes(loaded="Loaded")
def audio_inputs(loaded: Loaded, samples: ArrayLike, text: str | None = None) -> PreparedInputs:
    """Make inputs of a sound, as the model was trained on.

    Parameters
    ----------
    loaded
    samples : shape (n,)
        From -1 to 1, ``loaded.feature_extractor.sampling_rate`` of them a second.
    text
        What the decoder reads, where there is a decoder and a tokenizer; by default its first token alone, or those
        that say which language was chosen.

    Returns
    -------
    PreparedInputs
        For `record`, which says by them where the sound ends.

    Raises
    ------
    ModelError
        If the model takes no sound.
    ValueError
        If the samples are not one row of finite numbers.
    """
    if loaded.feature_extractor is None:
        raise ModelError(f"{loaded.name} has no feature extractor, so it takes inputs instead of a sound")
    extract = loaded.feature_extractor
    samples = audio_samples(samples)
    made = extract(samples, sampling_rate=extract.sampling_rate, return_tensors="pt")
    accepted = accepted_inputs(loaded)
    inputs = PreparedInputs({name: value for name, value in made.items() if name in accepted})
    inputs.seconds = len(samples) / extract.sampling_rate
    if "decoder_input_ids" in accepted:
        inputs.update(decoder_inputs(loaded, text))
    return inputs


def audio_samples(samples: ArrayLike) -> np.ndarray:
    """Return samples as float32, refusing what is no sound; see `audio_inputs`."""
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise ValueError(f"a sound must be one row of finite samples, got {samples.shape}")
    return samples


def decoder_start(recording: Recording) -> tuple[tuple[Token, str], ...]:
    """Return what the decoder of a model of sounds reads before the first word, and what each token tells it.

    Parameters
    ----------
    recording

    Returns
    -------
    tuple of (Token, str)
        The meaning is empty where it is not known. Nothing of a model that hears no sound, or has no decoder.
    """
    if recording.seconds is None or not recording.decoder_tokens:
        return ()
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    start = itertools.takewhile(lambda token: token.special, recording.decoder_tokens)
    languages = {f"<|{code}|>": f"the language: {name.title()}" for code, name in LANGUAGES.items()}
    return tuple((token, (languages | _TASKS).get(token.text, "")) for token in start)


def filler_cells(layer: Layer) -> np.ndarray | None:
    """Return which weights of a layer come from what fills a sound up, or go there.

    Parameters
    ----------
    layer

    Returns
    -------
    booleans, shape (n_q, n_k), or None
        None where nothing fills it up.
    """
    rows, columns = (np.array([token.filler for token in side]) for side in (layer.query_tokens, layer.key_tokens))
    return rows[:, None] | columns if rows.any() or columns.any() else None


def sound_part(layer: Layer, weights: np.ndarray, rows: slice | None = None) -> np.ndarray:
    """Return weights among what was given, without what fills it up; rows sum to what they summed to.

    Parameters
    ----------
    layer
    weights : shape (..., n_q, n_k)
    rows
        Which queries of the layer they are of; by default all.

    Returns
    -------
    shape (..., queries that are no filler, keys that are none)
        The weights themselves where nothing is filler. A query that gives all its weight to filler has NaN.
    """
    sides = layer.query_tokens[rows or slice(None)], layer.key_tokens
    kept_rows, kept_columns = (np.array([not token.filler for token in side]) for side in sides)
    if kept_columns.all() and kept_rows.all():
        return weights
    part = weights[..., kept_rows, :]
    kept = part[..., kept_columns]
    with np.errstate(invalid="ignore"):
        return kept * (part.sum(axis=-1, keepdims=True) / kept.sum(axis=-1, keepdims=True))
