"""What weights tell: numbers of one matrix, of heads, and of what hangs on what."""

from attn.analysis.weights import (
    Leak,
    Products,
    Saturation,
    ScoreRank,
    effective_keys,
    first_token_share,
    leak_test,
    mean_distance,
    products,
    row_entropy,
    saturation,
    score_rank,
)

__all__ = [
    "Leak",
    "Products",
    "Saturation",
    "ScoreRank",
    "effective_keys",
    "first_token_share",
    "leak_test",
    "mean_distance",
    "products",
    "row_entropy",
    "saturation",
    "score_rank",
]
