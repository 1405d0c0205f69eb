"""Points of a plane in a few kinds, each with its name."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import LINE, label_pixels, number
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_alone
from attn.charts.marks import mark_channel, mark_column, mark_layer, mark_table
from attn.charts.message import message
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.functional import short_repr

_EDGE = 0.06  # of the plane, around the outermost points
_NAMED = 60  # points that have their name beside them; of more the pointer says it
_BESIDE, _POINT = 7, 4  # pixels from a point to its name, and of its radius
_TALL = LINE - 3  # pixels of a name's letters
_STEPS = 40  # places along a line that a name keeps off


@checked_arguments(numbers=(("places", 2),), pixels=("size",), labels=("labels", "kinds"))
def points(places, labels, kinds, colours, theme, *, title="", size=480, joined=None):
    """Draw points of a plane, whose axes mean nothing but near and far.

    A name stands on that side of its point where it covers neither another nor a point; where there is none, the
    pointer says it. Joined points have theirs in any case.

    Parameters
    ----------
    places : array_like, shape (n, 2)
    labels, kinds : sequence of str
        Of each point its name, and the kind that gives it its colour.
    colours : dict of str to str
        Kind -> colour ``#rrggbb``, in the order of the legend.
    theme : Theme
    title : str
    size : int, default 480
        Pixels along a side.
    joined : (int, int), optional
        Two points to be joined by a line.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If places are not finite pairs with a label and a kind each, or a kind has no colour.
    """
    if not isinstance(colours, dict):
        raise ValueError(f"colours must be a dictionary of colours by kind, got {short_repr(colours)}")
    places = np.asarray(places, dtype=float)
    if places.shape != (len(labels), 2) or len(kinds) != len(labels) or not np.isfinite(places).all():
        raise ValueError(
            f"places must be finite pairs with a label and a kind each, got {places.shape}, {len(labels)} labels and "
            f"{len(kinds)} kinds"
        )
    if missing := set(kinds) - set(colours):
        raise ValueError(f"colours must have one for each kind, got none for {', '.join(sorted(missing))}")
    if not len(places):
        return message("Nothing to show.", theme, title)
    low, high = places.min(axis=0), places.max(axis=0)
    span = max(float((high - low).max()), 1e-12)
    x, y = ((places - (low + high) / 2) / span * (1 - 2 * _EDGE) + 0.5).T
    size = least_plane(size)
    plane = Plane(size, size, columns=1, rows=1)
    named = len(labels) <= _NAMED
    table = mark_table(
        {"x": x, "y": 1 - y, "kind": list(kinds), "ink": [colours[kind] for kind in kinds], "text": list(labels)}
    )
    says = plane_tooltip(("text", "token"), ("kind", "kind"))
    color = {"color": mark_channel("ink:N", scale=None)}
    layers = [plane.outline(0, 0, 1, 1, theme.grid, 1)]
    if joined is not None:
        first, second = joined
        line = mark_table({"x": [x[first]], "y": [1 - y[first]], "x2": [x[second]], "y2": [1 - y[second]]})
        layers.append(mark_layer(line, "rule", plane.box(), color=theme.text, strokeDash=[4, 3], tooltip=None))
    layers.append(mark_layer(table, "circle", plane.at() | color | {"tooltip": says}, size=70, opacity=0.9))
    if named:
        which, middles = _name_places(np.column_stack([x, 1 - y]) * size, labels, size, joined)
        names = table.take(which).append_column("name_x", mark_column(middles[:, 0] / size))
        names = names.append_column("name_y", mark_column(middles[:, 1] / size))
        layers.append(plane.texts(names, "name_x", "name_y", says))
    layers.append(legend_alone(list(colours), list(colours.values())))
    wide = f"{number(high[0] - low[0])} × {number(high[1] - low[1])}"
    what = f"{title or 'Points'}: {len(labels)} points of {len(colours)} kinds in a plane of {wide}."
    return dressed_layout(plane.figure(layers, title), theme, what)


def _name_places(at, labels, size, joined):
    """Return which points have a name, and the middles of these names in pixels, (names, 2).

    Each takes the first side of its point on which it is within the plane and over no name that has a place, no other
    point and not the joining line. Joined points, which come first, are named where there is none, too.
    """
    ends = list(joined or ())
    line = at[ends[0]] + np.linspace(0, 1, _STEPS)[:, None] * (at[ends[1]] - at[ends[0]]) if ends else np.empty((0, 2))
    taken, which, middles = [], [], []
    for point in dict.fromkeys([*ends, *range(len(labels))]):
        half = np.array([label_pixels(str(labels[point])), _TALL]) / 2
        off = half[0] + _BESIDE, half[1] + _BESIDE
        sides = [(off[0], -6), (-off[0], -6), (off[0], 6), (-off[0], 6), (0, -off[1]), (0, off[1])]
        places = [at[point] + side for side in sides]
        places = [middle for middle in places if (middle - half >= 0).all() and (middle + half <= size).all()]
        others = np.delete(at, point, axis=0)
        clear = [
            middle for middle in places
            if not any((np.abs(middle - other) < half + wide).all() for other, wide in taken)
            and not (np.abs(line - middle) < half).all(axis=1).any()
            and not (np.abs(others - middle) < half + _POINT).all(axis=1).any()
        ]  # fmt: skip
        if clear or (point in ends and places):
            middle = (clear or places)[0]
            taken.append((middle, half))
            which.append(point)
            middles.append(middle)
    return which, np.reshape(middles, (-1, 2))
