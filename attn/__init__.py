"""Attention from scratch, in numpy: every step by name, checked against the real thing."""

from types import SimpleNamespace

from attn import (
    alignment,
    analysis,
    block,
    blockwise,
    cost,
    dot_product,
    functional,
    local_attention,
    mask_routes,
    masks,
    multi_head,
    one_head,
    positions,
    training_recipe,
)
from attn.analysis import contribution, head_kinds, head_metrics, head_table, sensitivity, word_level
from attn.architectures import (
    beam_search,
    image_attention,
    lstmn,
    pointer_network,
    recurrent,
    seq2seq,
    snail,
    turing_machine,
)
from attn.data import examples, picture_files, pictures, published, sounds
from attn.dot_product import Attention, scaled_dot_product_attention
from attn.functional import softmax
from attn.multi_head import MultiHead, MultiHeadParameters, multi_head_attention

__version__ = "0.1.0"  # the one place: the build reads it here

# Names of before, so that notebooks written with them go on.
steps, learning, head_measures = one_head, training_recipe, head_table
beam, memory = beam_search, turing_machine
images = SimpleNamespace(**(vars(pictures) | vars(image_attention)))

__all__ = [
    "Attention",
    "MultiHead",
    "MultiHeadParameters",
    "__version__",
    "alignment",
    "analysis",
    "beam",
    "beam_search",
    "block",
    "blockwise",
    "contribution",
    "cost",
    "dot_product",
    "examples",
    "functional",
    "head_kinds",
    "head_measures",
    "head_metrics",
    "head_table",
    "image_attention",
    "images",
    "learning",
    "local_attention",
    "lstmn",
    "mask_routes",
    "masks",
    "memory",
    "multi_head",
    "multi_head_attention",
    "one_head",
    "picture_files",
    "pictures",
    "pointer_network",
    "positions",
    "published",
    "recurrent",
    "scaled_dot_product_attention",
    "sensitivity",
    "seq2seq",
    "snail",
    "softmax",
    "sounds",
    "steps",
    "training_recipe",
    "turing_machine",
    "word_level",
]
