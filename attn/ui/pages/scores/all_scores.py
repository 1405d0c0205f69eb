"""The tab with all scores on the same query and keys."""

import math

import numpy as np

from attn import alignment, softmax
from attn.alignment import SCORES
from attn.ui.pages.scores.scores import scores_formula, scores_parameters
from attn.words import number


def all_scores_table():
    """Return the table of all scores as Markdown."""
    lines = [
        "| score | formula | reads the query | reads the keys | numbers to learn | source |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in SCORES.items():
        learns = one.learns if one.learns == "0" else f"${one.learns}$"
        lines.append(f"| {one.title} | ${scores_formula(name)}$ | {' | '.join(one.reads)} | {learns} | {one.source} |")
    return "\n".join(lines)


def all_scores_one_matrix(setup, result):
    """Say that additive is also written with one matrix, and by how much the two differ."""
    apart = scores_parameters(setup)["additive"]
    together = {"w": np.vstack([apart["w_q"], apart["w_k"]]), "v": apart["v"]}
    scores = [alignment.additive(result.query, result.keys, **apart)]
    scores.append(alignment.concat(result.query, result.keys, **together))
    return (
        "The additive score is also called **concat**. Then one matrix stands in place of two, and reads query and key "
        "end to end: $v^\\top \\tanh(W [q; k])$ (Luong et al., 2015, section 3.1). On these vectors the two differ by "
        f"**{number(np.abs(scores[0] - scores[1]).max(), 2)}**."
    )


def all_scores_misread_root(result):
    """Say what dividing by the root of the number of keys would do, and by how much."""
    products = alignment.dot(result.query, result.keys)
    right, wrong = (softmax(products / math.sqrt(n)) for n in (2, len(result.keys)))
    best = int(right.argmax())
    return (
        "A table of these scores that is often copied divides by $\\sqrt n$. A few lines above, $n$ was the length of "
        "the input; under the table, it is the width of the hidden state. Only the width is right. Whoever divides by "
        f"the root of the number of keys, here {len(result.keys)} instead of the width 2, gives {result.labels[best]} "
        f"a weight of **{wrong[best]:.4f}** instead of **{right[best]:.4f}**, and every further key changes the scores "
        "of all others."
    )
