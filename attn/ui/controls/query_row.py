"""One query of one head: its keys from the most to the least, and one product term by term."""

import numpy as np

from attn import charts
from attn.ui.page import page_theme
from attn.ui.width import page_width

MOST_RANKED = 12  # keys, from the most looked at


def query_row_bars(weights, labels, column, title, **options):
    """Draw the keys of one query as bars, the heaviest first.

    Parameters
    ----------
    weights : ndarray, shape (n_k,)
    labels : list of str
    column : int
        A key to mark.
    title : str
    **options
        Further keywords of `attn.charts.bars`.
    """
    order = np.argsort(-weights, kind="stable")[:MOST_RANKED]
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
