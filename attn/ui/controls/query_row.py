"""One query of one head: its keys from the most to the least, and one product term by term."""

import math

import numpy as np

from attn import charts
from attn.charts.labels import number
from attn.ui.page import page_theme
from attn.ui.state import as_text
from attn.ui.width import page_width
from attn.words import share

MOST_RANKED = 12  # keys, from the most looked at
PRODUCTS_SENTENCE = (
    "The strip shows how a score comes about. The query and the key stand above one another, number by number. Each "
    "pair is multiplied, and the products add up, step by step, to the score before it is scaled."
)


def query_row_reading(weights, query, keys, column, hidden=(), verb="looks", preposition="at", say=share):
    """Say where one token or word looks most, and of the chosen key, if that is another, how much it gets.

    Parameters
    ----------
    weights : ndarray, shape (n_k,)
    query : str
        Its label.
    keys : list of str
    column : int
        The chosen key.
    hidden : sequence of bool, shape (n_k,), optional
        True where a key is hidden: by a mask, or because it only fills a sound up.
    verb, preposition : str
        What the query does, as in "takes from".
    say : callable
        What a sentence says of a number.

    Examples
    --------
    >>> query_row_reading(np.array([0.7, 0.3]), "it", ["animal", "street"], 1)
    '**it** looks most at **animal** (0.70), and at **street** (0.30)'
    >>> query_row_reading(np.array([1.0, 0.0]), "The", ["The", "cat"], 1, hidden=[False, True])
    '**The** looks most at **The** (1); **cat** is hidden from it'
    """
    hides = np.array(hidden, dtype=bool) if len(hidden) else np.zeros(weights.shape, dtype=bool)
    best = int(np.where(hides, -np.inf, weights).argmax())
    most, chosen = (f"**{as_text(keys[at])}**" for at in (best, column))
    told = f"**{as_text(query)}** {verb} most {preposition} {most} ({say(float(weights[best]))})"
    if column == best:
        return told
    if hides[column]:
        return f"{told}; {chosen} is hidden from it"
    return f"{told}, and {preposition} {chosen} ({say(float(weights[column]))})"


def query_row_left_out(weights, num_given):
    """Say which keys of one query have no bar, and what they come to; empty if all have one.

    Parameters
    ----------
    weights : ndarray, shape (n_k,)
    num_given : int
        Keys behind these only fill a sound up.

    Returns
    -------
    str
    """
    given, filled = np.sort(weights[:num_given])[::-1], weights[num_given:]
    said = []
    if (left := len(given) - MOST_RANKED) > 0:
        rest = number(float(given[MOST_RANKED:].sum()))
        said.append(
            f"Of {len(given):,} keys the bars show the {MOST_RANKED} with the most; the other {left:,} come to {rest} "
            "together."
        )
    if len(filled):
        rest = number(float(filled.sum()))
        said.append(
            f"The {len(filled):,} moments of silence after the sound's end are left out; they come to {rest} together."
        )
    return " ".join(said)


def query_row_bars(weights, labels, column, title, **options):
    """Draw the keys of one query as bars, the heaviest first.

    Parameters
    ----------
    weights : ndarray, shape (n_k,) or longer
        Those behind the labels only fill a sound up, and have no bar.
    labels : list of str
    column : int
        A key to mark.
    title : str
    **options
        Further keywords of `attn.charts.bars`.
    """
    order = np.argsort(-weights[: len(labels)], kind="stable")[:MOST_RANKED]
    names, marked = [labels[at] for at in order], np.flatnonzero(order == column)
    chosen = int(marked[0]) if len(marked) else None
    return charts.bars(weights[order], names, page_theme(), title=title, pick=charts.Pick(selected=chosen), **options)


def query_row_products(query, key, query_label, key_label):
    """Draw how a query and a key multiply to one score, term by term."""
    return charts.products(
        query,
        key,
        page_theme(),
        left_name=f"query of {query_label}",
        right_name=f"key of {key_label}",
        title=f"{query_label} · {key_label}",
        width=page_width(),
    )


def query_row_from_products_to_weight(layer, scale, query, key, column, scores, masked_scores, weights):
    """Say what becomes of the products of a query and a key: their sum, the score, and the weight.

    Parameters
    ----------
    layer : Layer
    scale : float
        What the sum is multiplied by.
    query, key : ndarray, shape (d_k,)
    column : int
        Which of all keys it is.
    scores, masked_scores, weights : ndarray, shape (n_k,)
        The query's, as `attn.dot_product.Attention` has them.

    Returns
    -------
    str
    """
    score, seen, weight = (float(each[column]) for each in (scores, masked_scores, weights))
    times = f"1/√{query.size}" if math.isclose(scale, query.size**-0.5, rel_tol=1e-5) else number(scale)
    capped = "" if layer.softcap is None else f", capped at ±{layer.softcap:g}"
    added = "" if seen == score else " The key is hidden." if np.isneginf(seen) else f" A bias makes it {number(seen)}."
    of = np.isfinite(masked_scores).sum()
    silence = sum(token.filler for token in layer.key_tokens)
    silent = f" ({silence} of them silence after the sound's end)" if silence else ""
    return (
        f"The products add up to {number(query @ key)}; times the scale {times}, that is a score of "
        f"**{number(score)}**{capped}.{added} Over the {of} keys that the query sees{silent}, the softmax turns it "
        f"into a weight of **{number(weight)}**."
    )
