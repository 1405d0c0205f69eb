"""Attention from scratch, in numpy: every step by name, checked against the real thing."""

from attn import (
    alignment,
    analysis,
    cost,
    examples,
    functional,
    images,
    mask_routes,
    masks,
    memory,
    multi_head,
    patterns,
    positions,
    published,
    recurrent,
    seq2seq,
    steps,
)
from attn.dot_product import Attention, scaled_dot_product_attention
from attn.functional import softmax
from attn.multi_head import MultiHead, MultiHeadParameters, multi_head_attention

__all__ = [
    "Attention",
    "MultiHead",
    "MultiHeadParameters",
    "alignment",
    "analysis",
    "cost",
    "examples",
    "functional",
    "images",
    "mask_routes",
    "masks",
    "memory",
    "multi_head",
    "multi_head_attention",
    "patterns",
    "positions",
    "published",
    "recurrent",
    "scaled_dot_product_attention",
    "seq2seq",
    "softmax",
    "steps",
]
