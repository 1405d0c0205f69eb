"""Pretrained transformers: their own attention, recorded, beside attention from scratch.

Importing this loads neither torch nor transformers; the functions do, when they are called.
"""

from attn.pretrained import bert, language_model
from attn.pretrained.errors import ModelError
from attn.pretrained.inputs import tokens
from attn.pretrained.inputs.audio import audio_inputs, decoder_start, filler_cells, sound_part
from attn.pretrained.inputs.images import (
    PatchGrid,
    image_inputs,
    patch_grid,
    picture_share,
    prompt_without_picture,
)
from attn.pretrained.inputs.tokens import Patch, Token
from attn.pretrained.inputs.words import Word, words_of
from attn.pretrained.loading.catalogue import (
    DEFAULT,
    Preflight,
    Settings,
    check_hub_cache,
    check_size,
    fetch,
    folder_state,
    inspect,
    model_suggestions,
)
from attn.pretrained.loading.load import Loaded, load, wrap
from attn.pretrained.loading.weights_report import WeightsReport
from attn.pretrained.recording.compare import Difference, compare, compare_layer, from_scratch
from attn.pretrained.recording.from_input import Deeper, FromInput, compare_layer_from_input, from_input, parameters
from attn.pretrained.recording.layer import Layer
from attn.pretrained.recording.layer_metrics import keys_of_layer, layer_metrics
from attn.pretrained.recording.record import OwnWeights, Recording, own_weights, record
from attn.pretrained.threads import one_thread
from attn.pretrained.tolerances import WEIGHT as TOLERANCE
from attn.pretrained.verdict import Finding, Verdict, input_finding, verdict_of, weights_finding

__all__ = [
    "DEFAULT",
    "TOLERANCE",
    "Deeper",
    "Difference",
    "Finding",
    "FromInput",
    "Layer",
    "Loaded",
    "ModelError",
    "OwnWeights",
    "Patch",
    "PatchGrid",
    "Preflight",
    "Recording",
    "Settings",
    "Token",
    "Verdict",
    "WeightsReport",
    "Word",
    "audio_inputs",
    "bert",
    "check_hub_cache",
    "check_size",
    "compare",
    "compare_layer",
    "compare_layer_from_input",
    "decoder_start",
    "fetch",
    "filler_cells",
    "folder_state",
    "from_input",
    "from_scratch",
    "image_inputs",
    "input_finding",
    "inspect",
    "keys_of_layer",
    "language_model",
    "layer_metrics",
    "load",
    "model_suggestions",
    "one_thread",
    "own_weights",
    "parameters",
    "patch_grid",
    "picture_share",
    "prompt_without_picture",
    "record",
    "sound_part",
    "tokens",
    "verdict_of",
    "weights_finding",
    "words_of",
    "wrap",
]
