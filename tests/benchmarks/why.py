"""How exact the accounts of the page Why are, how well they predict what a head's absence does, and what a click costs.

Run ``python tests/benchmarks/why.py``. It prints, for MiniLM and SmolLM2: the largest difference of a ledger's sum from
the score, over every cell of every layer and head on five texts: from the score in double precision of the states that
the layer read, wanted within 1e-5, and from the one that the pass computed in single precision; the Spearman
correlation between what a ledger predicts and what the score does when the head of its strongest part is really taken
out, over 200 cells, with the norms' scales as they then are, and with the scales held; and the time of one ledger.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from attn import pretrained
from attn.models import bert as bert_model
from attn.models import ledger, llama
from attn.pretrained import bert, language_model
from attn.pretrained.loading import smollm2

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "When Mary and John went to the store, John gave a drink to",
    "The capital of France is",
    "Er liest, sie schreibt, und beide schweigen.",
    "One, two, three, four: one, two, three,",
)
CELLS = 200  # in which a head is taken out


def ranks(values):
    """Return the ranks of numbers, equal ones with their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[group]


def spearman(one, other):
    """Return the rank correlation of two rows of numbers."""
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def taken_out(layer, head):
    """Return what sets the output of one head to nothing."""

    def change(step, at, array):
        if (step, at) != ("context", layer):
            return array
        changed = array.copy()
        changed[head] = 0
        return changed

    return change


def steps(passed):
    """Return the layers of a pass."""
    return passed.layers if hasattr(passed, "layers") else passed.blocks


def largest_differences(model, passed):
    """Return how far any ledger's sum is from its score in double precision, and from that in single precision.

    The sum of a table of products is the product of two sums, so that not every table need be made.
    """
    worst, n = np.zeros(2), len(passed.ids)
    for layer, step in enumerate(steps(passed)):
        parts = [ledger.state_parts(model, passed, layer, token) for token in range(n)]
        for head, single in enumerate(step.attention.scores):
            query, key = (
                np.array([
                    ledger.projected_parts(model, passed, layer, head, token, role, parts[token]).vectors.sum(axis=0)
                    for token in range(n)
                ])
                for role in ("query", "key")
            )  # fmt: skip
            double = np.array([
                [ledger.score_of_states(model, passed, layer, head, row, column) for column in range(n)]
                for row in range(n)
            ])  # fmt: skip
            worst = np.maximum(worst, [np.abs(query @ key.T - scores).max() for scores in (double, single)])
    return worst


def predictions(model, read, rng):
    """Return predicted and real moves of scores when the head that speaks most in the query or the key is taken out.

    Returns
    -------
    predicted, held, real : ndarray, shape (CELLS,)
        What the ledger says of the head; what the score does if only the direct way is taken away, with the norms'
        scales as they then are; and what it does when the head is gone from the whole run, with all that it did by way
        of others.
    """
    predicted, direct, real = [], [], []
    while len(predicted) < CELLS:
        ids, passed = read[rng.integers(len(read))]
        layer = int(rng.integers(1, len(model.layers)))
        scores = steps(passed)[layer].attention.scores
        head, query = int(rng.integers(len(scores))), int(rng.integers(1, len(ids)))
        key = int(rng.integers(query + 1))
        made = ledger.score_ledger(model, passed, layer, head, query, key)
        pairs = [(a, b, share) for a, b, share in made.largest(made.table.size) if "head" in (a.kind, b.kind)]
        source = next(part for part in pairs[0][:2] if part.kind == "head")
        rows = [at for at, part in enumerate(made.query_parts) if part == source]
        columns = [at for at, part in enumerate(made.key_parts) if part == source]
        gone = made.table[rows].sum() + made.table[:, columns].sum() - made.table[np.ix_(rows, columns)].sum()
        forward = bert_model.forward if isinstance(model, bert_model.Bert) else llama.forward
        options = {} if isinstance(model, bert_model.Bert) else {"steps": True}
        without = forward(model, ids, change=taken_out(source.layer, source.head), **options)
        moved = float(steps(without)[layer].attention.scores[head, query, key]) - float(scores[head, query, key])
        predicted.append(-gone)
        direct.append(_direct(model, passed, source, layer, head, query, key) - float(scores[head, query, key]))
        real.append(moved)
    return np.array(predicted), np.array(direct), np.array(real)


def _direct(model, passed, source, layer, head, query, key):
    """Return the score when a head's own part is subtracted from both states that the layer reads, and no other."""
    states = {}
    for token in {query, key}:
        parts = ledger.state_parts(model, passed, layer, token)
        at = parts.names.index(source) if source in parts.names else None
        states[token] = parts.vectors.sum(axis=0) - (0 if at is None else parts.vectors[at])

    def change(step, at, array):
        if (step, at) != ("residual", layer):
            return array
        changed = array.copy()
        for token, state in states.items():
            changed[token] = state
        return changed

    is_bert = isinstance(model, bert_model.Bert)
    forward, options = (bert_model.forward, {}) if is_bert else (llama.forward, {"steps": True})
    return float(steps(forward(model, passed.ids, change=change, **options))[layer].attention.scores[head, query, key])


def report(name, model, read):
    """Print the figures of one model."""
    rng = np.random.default_rng(0)
    double, single = np.max([largest_differences(model, passed) for _, passed in read], axis=0)
    count = sum(step.attention.scores.size for _, passed in read for step in steps(passed))
    print(
        f"{name}: largest |sum − score| over all {count:,} cells of {len(read)} texts: {double:.1e} (at most 1e-5); "
        f"{single:.1e} from the score as the pass rounded it"
    )
    predicted, direct, real = predictions(model, read, rng)
    print(
        f"  Spearman over {CELLS} cells of what the ledger says of a head: {spearman(predicted, direct):.3f} with what "
        f"the score does once that part is taken from both states, norms as they then are; "
        f"{spearman(predicted, real):.3f} "
        "with the head gone from the whole run, what it did by way of other parts included"
    )
    ids, passed = read[0]
    last = len(model.layers) - 1
    began = time.perf_counter()
    for query in range(len(ids)):
        ledger.score_ledger(model, passed, last, 0, query, 0)
    print(f"  {1000 * (time.perf_counter() - began) / len(ids):.0f} ms a ledger of the last layer")


def main():
    """Print the figures of both models."""
    pretrained.one_thread()
    encoder = bert.load()
    read = [bert.encode(encoder, text).passed for text in TEXTS]
    report("MiniLM", encoder.model, [(passed.ids, passed) for passed in read])
    if smollm2.packaged() or smollm2.cached():
        opened = language_model.load(smollm2.NAME)
        read = [language_model.read(opened, text, steps=True).passed for text in TEXTS]
        report("SmolLM2", opened.model, [(passed.ids, passed) for passed in read])


if __name__ == "__main__":
    main()
