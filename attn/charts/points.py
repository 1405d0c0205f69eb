"""Points of a plane in a few kinds, each with its name."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import LINE, label_pixels, number
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_alone
from attn.charts.marks import mark_channel, mark_column, mark_layer, mark_table
from attn.charts.message import message
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.functional import several, short_repr

_EDGE = 0.06  # of the plane, around the outermost points
_NAMED = 60  # points that are all named; of more those that are to be
_BESIDE, _POINT = 7, 4  # pixels from a point to its name, and of its radius
_TALL = LINE - 3  # pixels of a name's letters
_STEPS = 40  # places along a line that a name keeps off
_WAYS, _FAR = 24, (16, 24, 34, 46, 60, 76, 94, 114)  # to names farther off: directions, and pixels
_APART = 3  # pixels between two lines to names


@checked_arguments(numbers=(("places", 2),), pixels=("size",), labels=("labels", "kinds"))
def points(places, labels, kinds, colours, theme, *, title="", size=480, joined=None, first=()):
    """Draw points of a plane, whose axes mean nothing but near and far.

    A name stands on that side of its point where it covers neither another nor a point, or farther away with a line
    that leads to it; where there is no room, the pointer says it. Joined points have theirs in any case.

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
    first : sequence of int, optional
        Points that are named before others. Of more than 60 points these and the joined ones alone are named.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If places are not finite pairs with a label and a kind each, a kind has no colour, or `joined` or `first` names
        no point.
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
    order = [*(joined or ()), *several("first", first), *(range(len(labels)) if len(labels) <= _NAMED else ())]
    if not all(isinstance(point, (int, np.integer)) and 0 <= point < len(labels) for point in order):
        raise ValueError(f"joined and first must be numbers of points from 0 to {len(labels) - 1}, got {order}")
    table = mark_table(
        {"x": x, "y": 1 - y, "kind": list(kinds), "ink": [colours[kind] for kind in kinds], "text": list(labels)}
    )
    says = plane_tooltip(("text", "token"), ("kind", "kind"))
    color = {"color": mark_channel("ink:N", scale=None)}
    layers = [plane.outline(0, 0, 1, 1, theme.grid, 1)]
    if joined is not None:
        one, other = joined
        line = mark_table({"x": [x[one]], "y": [1 - y[one]], "x2": [x[other]], "y2": [1 - y[other]]})
        layers.append(mark_layer(line, "rule", plane.box(), color=theme.text, strokeDash=[4, 3], tooltip=None))
    layers.append(mark_layer(table, "circle", plane.at() | color | {"tooltip": says}, size=70, opacity=0.9))
    if order:
        at = np.column_stack([x, 1 - y]) * size
        which, middles, ends = _name_places(at, labels, size, list(dict.fromkeys(order)), joined)
        led = np.isfinite(ends).all(axis=1)
        if led.any():
            places = np.hstack([at[which][led], ends[led]]).T / size
            leaders = mark_table(dict(zip(("x", "y", "x2", "y2"), places, strict=True)))
            layers.insert(-1, mark_layer(leaders, "rule", plane.box(), color=theme.muted, tooltip=None))
        names = table.take(which).append_column("name_x", mark_column(middles[:, 0] / size))
        names = names.append_column("name_y", mark_column(middles[:, 1] / size))
        layers.append(plane.texts(names, "name_x", "name_y", says))
    layers.append(legend_alone(list(colours), list(colours.values())))
    wide = f"{number(high[0] - low[0])} × {number(high[1] - low[1])}"
    what = f"{title or 'Points'}: {len(labels)} points of {len(colours)} kinds in a plane of {wide}."
    return dressed_layout(plane.figure(layers, title), theme, what)


def _name_places(at, labels, size, order, joined):
    """Return which points have a name, the middles of these names, and of each where the line to it ends.

    Each takes the first side of its point on which it is within the plane and over no name that has a place, no other
    point and not the joining line. Those that have none are then tried farther away, led to by a line. Joined points
    are named in any case.

    Returns
    -------
    which : list of int
    middles, ends : ndarray, shape (names, 2)
        In pixels; `ends` is no number where a name stands at its point.
    """
    halves = np.array([[label_pixels(str(label)), _TALL] for label in labels]) / 2
    joining, leaders, found = [_along(*at[list(joined)])] if joined else [], [], {}

    def clear(point, middles):
        """Return those of the places of a name at which it covers nothing."""
        half, others = halves[point], np.delete(at, point, axis=0)
        taken = [(middle, half + halves[other]) for other, (middle, _) in found.items()]
        taken += [(other, half + _POINT) for other in others]
        taken += [(place, half) for line in joining + leaders for place in line]
        where, wide = (np.reshape(side, (-1, 2)) for side in zip(*taken, strict=True)) if taken else 2 * [at[:0]]
        return middles[~(np.abs(middles[:, None] - where) < wide).all(axis=2).any(axis=1)]

    def take(point, middles, led):
        """Give a name the first place where it covers nothing, nor does the line that leads to it."""
        half, others = halves[point], np.delete(at, point, axis=0)
        names = [(middle, halves[other]) for other, (middle, _) in found.items()]
        for middle in clear(point, middles):
            leader = _leader(at[point], middle, half) if led else None
            if leader is None or not _crosses(leader, others, names, leaders):
                found[point] = middle, leader
                leaders.extend([] if leader is None else [leader])
                return

    def within(point, middles):
        return middles[((middles >= halves[point]) & (middles <= size - halves[point])).all(axis=1)]

    near = {point: within(point, _beside(at[point], halves[point])) for point in order}
    far = {point: within(point, _around(at[point], halves[point])) for point in order}
    for point in joined or ():
        take(point, near[point], False)
        if point not in found:
            take(point, far[point], True)
        if point not in found and len(near[point]):
            found[point] = near[point][0], None
    for sides in (near, far):
        for point in order:
            if point not in found:
                take(point, sides[point], sides is far)
    middles = [middle for middle, _ in found.values()]
    ends = [[np.nan, np.nan] if leader is None else leader[-1] for _, leader in found.values()]
    return list(found), np.reshape(middles, (-1, 2)), np.reshape(ends, (-1, 2))


def _beside(point, half):
    """Return the middles of a name at the sides of its point."""
    right, below = half + _BESIDE
    return point + np.array([(right, -6), (-right, -6), (right, 6), (-right, 6), (0, -below), (0, below)])


def _around(point, half):
    """Return the middles of a name some way from its point, the nearest first."""
    ways = 2 * np.pi * np.arange(_WAYS) / _WAYS
    ways = np.column_stack([np.cos(ways), np.sin(ways)])
    return np.concatenate([point + ways * (half + far) for far in _FAR])


def _leader(point, middle, half):
    """Return the places along the line from a point to the nearest edge of its name."""
    end = np.clip(point, middle - half, middle + half)
    way = (end - point) / max(float(np.hypot(*(end - point))), 1e-9)
    return _along(point + way * (_POINT + 1), end)


def _along(start, end):
    """Return places along a line."""
    return start + np.linspace(0, 1, _STEPS)[:, None] * (end - start)


def _crosses(line, points, names, lines):
    """Say whether a line to a name runs over a point, over a name or across another such line."""
    around = points[np.hypot(*(points - line[0]).T) > 2 * _POINT + 1]  # what lies under its own point is not run over
    return (
        any((np.hypot(*(line - point).T) < _POINT + 2).any() for point in around)
        or any((np.abs(line - middle) < half).all(axis=1).any() for middle, half in names)
        or any((np.hypot(*(line[:, None] - other[None]).T) < _APART).any() for other in lines)
    )
