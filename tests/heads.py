"""Heads that tests look at: at random, of a known kind, and those of all-MiniLM-L6-v2 on three texts."""

import numpy as np

from attn import softmax
from attn.analysis.head_table import measure

SENTENCE = "The animal didn't cross the street because it was too tired."
KEYS = (
    "The keys to the old wooden cabinet are on the table in the hall, and the keys to the new cabinet are in the "
    "old wooden box under the table."
)
RIVER = (
    "When the river rose, the people of the village carried their grain, their tools and their animals up the hill; "
    "when the river fell, the people of the village carried them down again, although the bank had been washed away "
    "and nobody knew where it had been."
)
TEXTS = {"animal": SENTENCE, "keys": KEYS, "river": RIVER}
# A special token, and then a phrase of four words that comes twice, the second time after another word.
PHRASE = ["[CLS]", "the", "quick", "brown", "fox", "and", "the", "quick", "brown", "fox", "[SEP]"]
SPECIAL = np.array([word.startswith("[") for word in PHRASE])
N = len(PHRASE)


def random_weights(*shape, seed=0, causal=False):
    scores = np.random.default_rng(seed).normal(size=shape) * 2
    return softmax(np.where(np.tri(*shape[-2:], dtype=bool), scores, -np.inf) if causal else scores)


def looking(targets, strength=0.9):
    """A head that puts `strength` of each query's weight on its target, the rest evenly; None: all evenly."""
    n = len(targets)
    weights = np.full((n, n), 1 / n)
    for query, target in enumerate(targets):
        if target is not None:
            weights[query] = (1 - strength) / n
            weights[query, target] += strength
    return weights


HEADS = {
    "broad head": looking([None] * N),
    "previous-token head": looking([max(i - 1, 0) for i in range(N)]),
    "next-token head": looking([min(i + 1, N - 1) for i in range(N)]),
    "same-token head": looking(range(N)),
    "first-token head": looking([0] * N),
    "special-token head": looking([N - 1] * N),
    # like real ones, these rest on the first token where they find nothing
    "duplicate-token head": looking([0] * 6 + [1, 2, 3, 4, 0]),
    "induction head": looking([0] * 6 + [2, 3, 4, 5, 0]),
    "positional head": looking([(i + 3) % N for i in range(N)]),
    "no clear pattern": looking(np.random.default_rng(5).permutation(N), strength=0.5),
}


def ids_and_flags(tokens):
    return [token.id for token in tokens], np.array([token.special for token in tokens])


def measured(encoded):
    """Every metric of every head of an encoded text, each (num_layers, num_heads)."""
    weights = np.stack([block.attention.weights for block in encoded.blocks])
    return measure(weights, *ids_and_flags(encoded.tokens))
