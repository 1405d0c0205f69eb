"""Audio inputs: a sound made into what a model takes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np

from attn.pretrained.errors import ModelError, takes
from attn.pretrained.inputs.prepare import decoder_inputs
from attn.pretrained.inputs.prepared_inputs import PreparedInputs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from attn.pretrained.loading.load import Loaded


@takes(loaded="Loaded")
def audio_inputs(loaded: Loaded, samples: ArrayLike, text: str | None = None) -> PreparedInputs:
    """Make inputs of a sound, as the model was trained on.

    Parameters
    ----------
    loaded
    samples : shape (n,)
        From -1 to 1, ``loaded.feature_extractor.sampling_rate`` of them a second.
    text
        What the decoder reads, where there is a decoder and a tokenizer; by default its first token alone.

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
    accepted = inspect.signature(loaded.model.forward).parameters
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
