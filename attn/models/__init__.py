"""Whole models in numpy alone, from token ids to what comes out: one file a line of descent.

Each file says how a checkpoint names its matrices (``from_checkpoint``) and has one forward pass that can be read from
top to bottom. Where the files of a checkpoint lie, and how text becomes token ids, is the business of
`attn.pretrained`.
"""

from attn.models import (
    ablation,
    bert,
    gpt2,
    head_weights,
    layer_parts,
    ledger,
    llama,
    patching,
    rotary_scaling,
    sampling,
    t5,
)
from attn.models.passes import STEPS, Cache, Change, LayerPass, Pass

__all__ = [
    "STEPS",
    "Cache",
    "Change",
    "LayerPass",
    "Pass",
    "ablation",
    "bert",
    "gpt2",
    "head_weights",
    "layer_parts",
    "ledger",
    "llama",
    "patching",
    "rotary_scaling",
    "sampling",
    "t5",
]
