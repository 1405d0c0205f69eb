"""Vectors of two numbers as arrows in a plane, and what is made of them."""

import math

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import Ticks, labelled_axis, number
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_channel, mark_layer, mark_table, selectable_mark
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.charts.theme import LIGHT

_CLICKS = 24  # places to click at, across and down
_MOST_STEPS = 400  # points of a trail that are drawn
_HEAD = 130  # square pixels of an arrow's head


@checked_arguments(numbers=("vectors",), pixels=("size",), labels=("labels", "colors"))
def arrows(
    vectors,
    labels,
    colors,
    theme=LIGHT,
    *,
    title="",
    strong=None,
    trail=None,
    select=None,
    size=320,
):
    """Draw vectors as arrows from the origin.

    Parameters
    ----------
    vectors : array_like, shape (n, 2)
    labels : sequence of str
    colors : sequence of str
        One colour ``#rrggbb`` per arrow.
    theme : Theme, default LIGHT
    title : str
    strong : array_like, shape (n,), optional
        From 0 to 1: how wide each arrow is drawn; by default all alike.
    trail : array_like, shape (m, 2), optional
        Points to join by a line, such as a mean of more and more draws.
    select : str, optional
        Name of a selection that tells where in the plane was clicked, as ``{"across": x, "up": y}``.
    size : int, default 320
        Pixels along a side.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If the vectors are not pairs with a label and a colour each.
    """
    vectors = np.asarray(vectors, dtype=float)
    if vectors.ndim != 2 or vectors.shape[1:] != (2,) or not len(vectors) == len(labels) == len(colors):
        raise ValueError(
            f"vectors must be pairs with a label and a colour each, got {vectors.shape}, "
            f"{len(labels)} labels and {len(colors)} colours"
        )
    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite, got some that are not")
    limit = _reach(vectors if trail is None else np.vstack([vectors, trail]))
    plane = _plane(limit, least_plane(size), theme)
    strong = np.full(len(vectors), 0.4) if strong is None else np.asarray(strong, dtype=float)
    layers = _ground(plane, limit, theme)
    if trail is not None:
        layers += _trail(np.asarray(trail, dtype=float), plane, limit, theme)
    layers += _arrows(vectors, labels, colors, strong, plane, limit)
    if select:
        layers.append(_clicks(plane, limit, select))
    ends = "; ".join(f"{label} at {number(x)}, {number(y)}" for label, (x, y) in zip(labels, vectors, strict=True))
    return dressed_layout(plane.figure(layers, title), theme, f"{title or 'Vectors'}: arrows from the origin, {ends}.")


def _reach(vectors):
    """Return how far a plane must reach for vectors to lie in it, a round number.

    Examples
    --------
    >>> _reach(np.array([[1.0, 2.0], [-0.5, 0]])), _reach(np.array([[0.0, 0.3]])), _reach(np.array([[60.0, 0.0]]))
    (3.0, 1.0, 80.0)
    """
    longest = max(float(np.abs(vectors).max(initial=0)), 0.8) * 1.15
    step = 10.0 ** math.floor(math.log10(longest))
    return round(next(step * f for f in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * f >= longest), 9)


def _plane(limit, size, theme):
    """Return a square plane from -limit to limit, with round numbers along its sides."""
    thirds = f"{limit:.0e}"[0] in "36" or f"{limit:.1e}".startswith("1.5")
    at = np.linspace(0, 2 * limit, 7 if thirds else 5)
    texts = [number(value) for value in at - limit]
    across, down = Ticks(at.tolist(), texts, 0), Ticks(at.tolist(), texts[::-1], 0)
    return Plane(
        size, size, columns=2 * limit, rows=2 * limit,
        x_axis=labelled_axis(across, "", theme.muted, labelColor=theme.muted),
        y_axis=labelled_axis(down, "", theme.muted, labelColor=theme.muted),
    )  # fmt: skip


def _ground(plane, limit, theme):
    """Return the frame and the lines through the origin."""
    wide = plane.columns
    return [
        plane.outline(0, 0, wide, wide, theme.grid, 1),
        plane.outline(0, limit, wide, limit, theme.grid, 1.5),
        plane.outline(limit, 0, limit, wide, theme.grid, 1.5),
    ]


def _arrows(vectors, labels, colors, strong, plane, limit):
    """Return the shafts, heads and names of arrows."""
    x, y = vectors.T
    length = np.maximum(np.hypot(x, y), 1e-12)
    beyond = 16 * limit * 2 / plane.width  # pixels from a tip to its name
    table = mark_table(
        {
            "x": limit,
            "y": limit,
            "x2": limit + x,
            "y2": limit - y,
            "tip_x": limit + x,
            "tip_y": limit - y,
            "angle": np.degrees(np.arctan2(x, y)),  # clockwise from upright, as Vega turns a triangle
            "wide": 1.5 + 5 * strong,
            "ink": colors,
            "text": labels,
            "shown": [f"{number(a)}, {number(b)}" for a, b in vectors],
            "name_x": limit + x + beyond * x / length,
            "name_y": limit - y - beyond * y / length,
        }
    )
    says = plane_tooltip(("text", "vector"), ("shown", "is"))
    shared = {"color": mark_channel("ink:N", scale=None), "tooltip": says}
    wide, turned = {"size": mark_channel("wide:Q", scale=None)}, {"angle": mark_channel("angle:Q", scale=None)}
    shafts = mark_layer(table, "rule", plane.box() | shared | wide, strokeCap="round")
    look = {"shape": "triangle", "filled": True, "opacity": 1, "size": _HEAD}
    heads = mark_layer(table, "point", plane.at("tip_x", "tip_y") | shared | turned, **look)
    return [shafts, heads, plane.texts(table, "name_x", "name_y", says, fontWeight=700, fontSize=15)]


def _trail(points, plane, limit, theme):
    """Return a line through points in their order, and a dot at its end."""
    few = np.unique(np.geomspace(1, len(points), min(len(points), _MOST_STEPS)).round().astype(int)) - 1
    table = mark_table({"x": limit + points[few, 0], "y": limit - points[few, 1], "order": few.astype(np.int32)})
    look, ordered = {"color": theme.output, "tooltip": None}, {"order": mark_channel("order:Q")}
    line = mark_layer(table, "line", plane.at() | ordered, strokeWidth=1.5, opacity=0.8, **look)
    return [line, mark_layer(table[-1:], "circle", plane.at(), opacity=1, size=90, **look)]


def _clicks(plane, limit, select):
    """Return an invisible layer of places that answer to a click with where they are."""
    step = 2 * limit / _CLICKS
    down, across = np.indices((_CLICKS, _CLICKS)).reshape(2, -1)
    x, y, half = across * step, down * step, step / 2
    columns = {
        "x": np.maximum(x - half, 0),
        "x2": x + half,
        "y": np.maximum(y - half, 0),
        "y2": y + half,
        # the middle of a place is no round number, its nearest multiple of the step is
        "across": np.round(x - limit, 9),
        "up": np.round(limit - y, 9),
    }
    return selectable_mark(plane.rectangles(mark_table(columns), opacity=0), select, "across", "up")
