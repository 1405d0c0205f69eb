"""Pretrained transformers: their own attention, recorded, beside attention from scratch.

Importing this loads neither torch nor transformers; the functions do, when they are called.
"""

from attn.pretrained import bert
from attn.pretrained.catalogue import DEFAULT, SUGGESTIONS, Preflight, Settings, check_size, fetch, inspect
from attn.pretrained.comparison import TOLERANCE, Difference, compare, compare_layer, from_scratch
from attn.pretrained.deeper import Deeper, from_input, parameters
from attn.pretrained.errors import ModelError
from attn.pretrained.filling import WeightsReport
from attn.pretrained.hearing import audio_inputs
from attn.pretrained.loading import Loaded, load, wrap
from attn.pretrained.pictures import PatchGrid, image_inputs, patch_grid
from attn.pretrained.recording import Layer, OwnWeights, Recording, own_weights, record
from attn.pretrained.threads import one_thread
from attn.pretrained.tokens import Token

__all__ = [
    "DEFAULT",
    "SUGGESTIONS",
    "TOLERANCE",
    "Deeper",
    "Difference",
    "Layer",
    "Loaded",
    "ModelError",
    "OwnWeights",
    "PatchGrid",
    "Preflight",
    "Recording",
    "Settings",
    "Token",
    "WeightsReport",
    "audio_inputs",
    "bert",
    "check_size",
    "compare",
    "compare_layer",
    "fetch",
    "from_input",
    "from_scratch",
    "image_inputs",
    "inspect",
    "load",
    "one_thread",
    "own_weights",
    "parameters",
    "patch_grid",
    "record",
    "wrap",
]
