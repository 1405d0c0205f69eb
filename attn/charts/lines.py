"""Lines from token to token: who looks at whom, several heads in their colours."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import label_pixels, number
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_channel, mark_layer, mark_table, selectable_mark
from attn.charts.message import message
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.charts.theme import LIGHT

_LINE = 24  # pixels from one token to the next
_ACROSS = 360  # pixels that the lines have between the two columns of tokens
_MOST_LINES = 400
MOST_LINED = 80
FAINTEST_LINE = 0.02  # of the limit: what is below this draws no line


@checked_arguments(numbers=(("weights", 3),), pixels=("across",), labels=("rows", "columns"))
def lines(
    weights,
    rows,
    columns,
    theme=LIGHT,
    *,
    title="",
    across=_ACROSS,
    limit=None,
    heads=None,
    query=None,
    key=None,
    select=None,
):
    """Draw queries on the left, keys on the right, and a line for every weight that is not faint.

    Parameters
    ----------
    weights : array_like, shape (num_heads, n_q, n_k)
        The wider a line and the stronger its colour, the larger the weight.
    rows, columns : sequence of str
        Labels of queries and keys.
    theme : Theme, default LIGHT
    title : str
    across : int, default 360
        Pixels between the two columns of tokens.
    limit : float, optional
        The weight that is drawn widest and in the strongest colour; by default 1, or the largest if that is above 1.
    heads : sequence of int, optional
        Numbers of the heads, counted from 0, for their colours; by default 0, 1 and so on.
    query, key : int, optional
        Draw only the lines from this query, or to this key.
    select : str, optional
        Name of a selection that tells which token was chosen: a query as ``{"row": i, "column": -1}``, a
        key as ``{"row": -1, "column": j}``.

    Returns
    -------
    alt.LayerChart
        Of the first 80 tokens, the 400 heaviest lines.
    """
    if np.shape(weights)[1:] != (len(rows), len(columns)):
        raise ValueError(
            f"weights must be (num_heads, n_q, n_k) with a label each, got {np.shape(weights)}, {len(rows)} and "
            f"{len(columns)} labels"
        )
    weights = np.asarray(weights, dtype=float)[:, :MOST_LINED, :MOST_LINED]
    if not weights.size:
        return message("Nothing to show.", theme, title)
    limit = max(1.0, float(weights.max())) if limit is None else limit
    heads = list(range(len(weights))) if heads is None else list(heads)
    rows, columns = list(rows)[:MOST_LINED], list(columns)[:MOST_LINED]
    left, right = (int(max(map(label_pixels, labels))) + 16 for labels in (rows, columns))
    tall = _LINE * max(len(rows), len(columns))
    across = least_plane(across)
    plane = Plane(left + across + right, tall, columns=left + across + right, rows=tall)
    table = _lines(weights, rows, columns, heads, theme, (query, key), limit, (left, left + across))
    channels = {
        "color": mark_channel("color:N", scale=None),
        "opacity": mark_channel("opacity:Q", scale=None),
        "size": mark_channel("wide:Q", scale=None),
        "tooltip": plane_tooltip(("query", "query"), ("key", "key"), ("head", "head"), ("shown", "weight")),
    }
    rules = mark_layer(table, "rule", plane.box() | channels, strokeCap="round")
    words = _words((rows, left - 8, theme.query), (columns, left + across + 8, theme.key), plane)
    layers = [rules, selectable_mark(words, select, "row", "column")]
    what = f"{title or 'Lines'}: {len(table)} lines from {len(rows)} queries to {len(columns)} keys."
    return dressed_layout(plane.figure(layers, title), theme, what)


def _lines(weights, rows, columns, heads, theme, only, limit, ends):
    """Return the heaviest lines, `only` from a query or to a key; the heaviest last, so that they lie on top."""
    for axis, place in enumerate(only, 1):
        if place is not None:
            weights = np.where(np.indices(weights.shape, sparse=True)[axis] == place, weights, 0)
    heaviest = np.argsort(weights, axis=None, kind="stable")[-_MOST_LINES:]
    heaviest = heaviest[weights.ravel()[heaviest] >= FAINTEST_LINE * limit]
    head, row, column = np.unravel_index(heaviest, weights.shape)
    weight = weights.ravel()[heaviest]
    strength = np.minimum(weight / limit, 1)
    return mark_table(
        {
            "x": float(ends[0]),
            "x2": float(ends[1]),
            "y": (row + 0.5) * _LINE,
            "y2": (column + 0.5) * _LINE,
            "color": [theme.head(heads[h]) if len(heads) > 1 else theme.weight for h in head],
            "opacity": 0.15 + 0.85 * strength,
            "wide": 0.8 + 5 * strength,
            "query": [rows[r] for r in row],
            "key": [columns[c] for c in column],
            "head": [str(heads[h] + 1) for h in head],
            "shown": [number(w) for w in weight],
        }
    )


def _words(queries, keys, plane):
    """Return one layer of both columns of tokens, so that one selection tells which was clicked, on whichever side."""
    (rows, x, ink), (columns, x2, other_ink) = queries, keys
    down, across = (np.arange(len(labels), dtype=np.int32) for labels in (rows, columns))
    side = np.repeat([0, 1], [down.size, across.size])
    columns = {
        "row": np.append(down, np.full_like(across, -1)),
        "column": np.append(np.full_like(down, -1), across),
        "x": np.array([x, x2], dtype=float)[side],
        "y": (np.append(down, across) + 0.5) * _LINE,
        "text": [*rows, *columns],
        "ink": np.array([ink, other_ink])[side],
    }
    return plane.texts(mark_table(columns), align={"expr": "datum.row < 0 ? 'left' : 'right'"})
