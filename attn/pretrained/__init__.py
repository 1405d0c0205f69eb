"""Pretrained transformers: their own attention, recorded, beside attention from scratch.

Importing this loads neither torch nor transformers; the functions do, when they are called.
"""

from attn.pretrained import bert
from attn.pretrained.catalogue import DEFAULT, SUGGESTIONS, Preflight, Settings, inspect
from attn.pretrained.comparison import TOLERANCE, Difference, compare, compare_layer, from_scratch
from attn.pretrained.errors import ModelError
from attn.pretrained.loading import Loaded, load, wrap
from attn.pretrained.recording import Layer, Recording, record
from attn.pretrained.tokens import Token

__all__ = [
    "DEFAULT",
    "SUGGESTIONS",
    "TOLERANCE",
    "Difference",
    "Layer",
    "Loaded",
    "ModelError",
    "Preflight",
    "Recording",
    "Settings",
    "Token",
    "bert",
    "compare",
    "compare_layer",
    "from_scratch",
    "inspect",
    "load",
    "record",
    "wrap",
]
