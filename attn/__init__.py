"""Attention from scratch, in numpy: every step by name, checked against the real thing."""

from attn import analysis, cost, examples, functional, mask_routes, masks, multi_head, patterns, positions, steps
from attn.dot_product import Attention, scaled_dot_product_attention
from attn.functional import softmax
from attn.multi_head import MultiHead, MultiHeadParameters, multi_head_attention

__all__ = [
    "Attention",
    "MultiHead",
    "MultiHeadParameters",
    "analysis",
    "cost",
    "examples",
    "functional",
    "mask_routes",
    "masks",
    "multi_head",
    "multi_head_attention",
    "patterns",
    "positions",
    "scaled_dot_product_attention",
    "softmax",
    "steps",
]
