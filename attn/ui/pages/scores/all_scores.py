"""The tab with all scores on the same query and keys."""

import math

import numpy as np

from attn import alignment, softmax
from attn.alignment import SCORES
from attn.ui.pages.scores.scores import scores_formula, scores_parameters


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
        "Additive is also known as **concat**: one matrix that reads query and key end to end, $v^\\top \\tanh(W [q; "
        f"k])$, in place of two. On these vectors the two differ by **{np.abs(scores[0] - scores[1]).max():g}**."
    )


def all_scores_misread_root(result):
    """Say what dividing by the root of the number of keys would do, and by how much."""
    products = alignment.dot(result.query, result.keys)
    right, wrong = (softmax(products / math.sqrt(n)) for n in (2, len(result.keys)))
    best = int(right.argmax())
    return (
        "**A slip to know.** A table of these scores that many have copied divides by $\\sqrt n$, a few lines below "
        "a sentence in which $n$ is the length of the input; its own legend says the width of the hidden state. "
        f"Read as the number of keys, here {len(result.keys)} instead of the width 2, it would give "
        f"{result.labels[best]} a weight of **{wrong[best]:.4f}** instead of **{right[best]:.4f}**: a score that "
        "changes with the company a key keeps."
    )
