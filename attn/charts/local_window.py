"""Weights along a sequence as upright bars, with the window and the bell that shape them."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import Ticks, labelled_axis, number, tick_labels
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_layer, mark_table
from attn.charts.message import message
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.charts.theme import LIGHT


@checked_arguments(numbers=("weights",), pixels=("width", "height"), labels=("labels",))
def places(
    weights,
    labels,
    theme=LIGHT,
    *,
    title="",
    width=760,
    height=150,
    limit=None,
    before=None,
    window=None,
    bell=None,
    centre=None,
):
    """Draw one weight per place as an upright bar.

    Parameters
    ----------
    weights : array_like, shape (n,)
    labels : sequence of str
    theme : Theme, default LIGHT
    title : str
    width, height : int
        Pixels.
    limit : float, optional
        The weight at the top; by default the largest.
    before : array_like, shape (n,), optional
        Weights to outline behind the bars, as they would be without the bell.
    window : array_like of bool, shape (n,), optional
        Which places are seen; the others lie on grey.
    bell : array_like, shape (m,), optional
        A curve from 0 to 1, evenly spaced from the left edge of the first place to the right edge
        of the last; 1 is the top of the picture.
    centre : float, optional
        A place to mark, counted from 0; need not be whole.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If there is not one label per weight.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.ndim != 1 or len(weights) != len(labels):
        raise ValueError(f"weights must be one row with a label each, got {weights.shape} and {len(labels)} labels")
    if not weights.size:
        return message("Nothing to show.", theme, title)
    shown = [weights] if before is None else [weights, np.asarray(before, dtype=float)]
    limit = limit or max(float(row.max()) for row in shown) or 1.0
    levels = Ticks([0.0, 0.5, 1.0], [number(limit), number(limit / 2), "0"], 0)
    width = least_plane(width)
    plane = Plane(
        width, height, columns=weights.size, rows=1,
        x_axis=labelled_axis(tick_labels(labels, width / weights.size, across=True), "position", theme.muted),
        y_axis=labelled_axis(levels, "weight", theme.muted, grid=True, gridColor=theme.grid),
    )  # fmt: skip
    layers = [*_unseen(window, plane, theme)]
    layers += [_bars(row, labels, plane, limit, theme, outline=at > 0) for at, row in enumerate(shown)]
    layers += [*_bell(bell, plane, theme), *_centre(centre, plane, theme)]
    best = int(weights.argmax())
    what = f"{title or 'Weights'}: {len(labels)} bars, the tallest at {labels[best]}, {number(weights[best])}."
    return dressed_layout(plane.figure(layers, title), theme, what)


def _bars(weights, labels, plane, limit, theme, outline):
    """Return a layer of bars, filled or as outlines."""
    at = np.flatnonzero(weights > 0)
    labels, shown = [labels[place] for place in at], [number(weights[place], 4) for place in at]
    bars = {"x": at + 0.14, "x2": at + 0.86, "y": 1 - weights[at] / limit, "y2": 1.0}
    table = mark_table(bars | {"label": labels, "shown": shown})
    says = plane_tooltip(("label", "position"), ("shown", "without the bell" if outline else "weight"))
    look = {"filled": False, "stroke": theme.muted, "strokeWidth": 1.5} if outline else {"color": theme.weight_half}
    return mark_layer(table, "rect", plane.box() | {"tooltip": says}, **look)


def _unseen(window, plane, theme):
    """Return a layer of grey behind the places that are not seen."""
    if window is None or np.all(window):
        return
    at = np.flatnonzero(~np.asarray(window, dtype=bool))
    yield plane.rectangles(mark_table({"x": at, "x2": at + 1, "y": 0, "y2": 1}), color=theme.hidden, opacity=0.45)


def _bell(bell, plane, theme):
    """Return a layer with the curve over the bars."""
    if bell is None:
        return
    bell = np.asarray(bell, dtype=float)
    table = mark_table({"x": np.linspace(0, plane.columns, bell.size), "y": 1 - bell})
    yield mark_layer(table, "line", plane.at(), color=theme.positive, strokeWidth=2.5, tooltip=None)


def _centre(centre, plane, theme):
    """Return a layer with an upright line where the window has its middle."""
    if centre is not None and 0 <= centre + 0.5 <= plane.columns:
        yield plane.outline(centre + 0.5, 0, centre + 0.5, 1, theme.query, 2.5)
