"""Hands on dials: how far each pair of numbers is turned."""

import math

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import LINE, label_pixels, number
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_channel, mark_layer, mark_table
from attn.charts.message import message
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.charts.theme import LIGHT

_RADIUS = 0.4  # of a dial's width
_FINE = 96  # corners of a circle
_ROUND = {"order": mark_channel("corner:Q"), "detail": mark_channel("dial:N")}  # from corner to corner, dial by dial


@checked_arguments(numbers=("query", "key"), pixels=("width",), labels=("names",))
def dials(query, key, theme=LIGHT, *, names, query_name="query", key_name="key", title="", width=880):
    """Draw one dial for each pair of numbers, with a hand for the query and one for the key.

    Parameters
    ----------
    query, key : array_like, shape (n_pairs,)
        Angles from the right, counter-clockwise, in radians.
    theme : Theme, default LIGHT
    names : sequence of str
        What stands under each dial.
    query_name, key_name : str
        What the hands are.
    title : str
    width : int, default 880
        Pixels for all of them; more are taken where a dial would be too small.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If there is not one query, key and name per dial.
    """
    query, key = np.asarray(query, dtype=float), np.asarray(key, dtype=float)
    if query.ndim != 1 or query.shape != key.shape or len(names) != len(query):
        raise ValueError(
            f"there must be one query, key and name per dial, got {query.shape}, {key.shape} and {len(names)}"
        )
    if not query.size:
        return message("Nothing to show.", theme, title)
    side = int(least_plane(min(width / query.size, 260)))
    plane = Plane(side * query.size, int(side + 2.6 * LINE), columns=query.size, rows=1 + 2.6 * LINE / side)
    layers = [_circles(query.size, plane, theme), _between(query, key, plane, theme)]
    for angles, color, name in ((query, theme.query, query_name), (key, theme.key, key_name)):
        layers += _hands(angles, color, name, names, plane)
    layers += [_words(names, key - query, plane, theme), _legend(query_name, key_name, plane, theme)]
    what = f"{title or 'Dials'}: " + "; ".join(
        f"{name}: {_degrees(b - a)} apart" for name, a, b in zip(names, query, key, strict=True)
    )
    return dressed_layout(plane.figure(layers, title), theme, f"{what}.")


def _degrees(angle):
    """Return an angle as people say it, between -180 and 180 degrees."""
    turned = math.degrees(math.remainder(float(angle), 2 * math.pi))
    return f"{number(turned if abs(turned) > 1e-9 else 0.0)}°"


def _at(dial, angle, radius=_RADIUS):
    """Return where a hand ends."""
    return dial + 0.5 + radius * np.cos(angle), 0.5 - radius * np.sin(angle)


def _circles(count, plane, theme):
    """Return a layer with one circle a dial."""
    turn = np.linspace(0, 2 * np.pi, _FINE + 1)
    dial = np.repeat(np.arange(count), turn.size)
    x, y = _at(dial, np.tile(turn, count))
    table = mark_table({"x": x, "y": y, "dial": dial, "corner": np.tile(np.arange(turn.size), count)})
    return mark_layer(table, "line", plane.at() | _ROUND, tooltip=None, color=theme.muted, strokeWidth=1.5)


def _between(query, key, plane, theme):
    """Return a layer with an arc from each query to its key, the short way round."""
    apart = [math.remainder(end - start, 2 * math.pi) for start, end in zip(query, key, strict=True)]
    turn = np.linspace(query, query + np.array(apart), 40, axis=1)  # (dials, 40)
    dial, corner = np.indices(turn.shape).reshape(2, -1)
    x, y = _at(dial, turn.ravel(), 0.55 * _RADIUS)
    look = {"color": theme.muted, "strokeWidth": 4, "opacity": 0.6}
    table = mark_table({"x": x, "y": y, "dial": dial, "corner": corner})
    return mark_layer(table, "line", plane.at() | _ROUND, **look, tooltip=None)


def _hands(angles, color, name, names, plane):
    """Return the layers of one kind of hand: lines from the middle, and their tips."""
    dial = np.arange(angles.size)
    x2, y2 = _at(dial, angles)
    turned = [f"{number(math.degrees(angle), 4)}°" for angle in angles]
    ends = {"x": dial + 0.5, "y": 0.5, "x2": x2, "y2": y2}
    table = mark_table(ends | {"hand": name, "dial": list(names), "turned": turned})
    says = plane_tooltip(("hand", "hand"), ("dial", "dial"), ("turned", "turned by"))
    line = mark_layer(table, "rule", plane.box(), color=color, strokeWidth=4, strokeCap="round", tooltip=None)
    tip = plane.at("x2", "y2") | {"tooltip": says}
    return [line, mark_layer(table, "circle", tip, color=color, size=130, opacity=1)]


def _words(names, apart, plane, theme):
    """Return a layer with what stands under each dial."""
    dial = np.arange(len(names))
    columns = {
        "x": np.tile(dial + 0.5, 2),
        "y": 1 + np.repeat([0.4, 1.5], dial.size) * LINE / plane.cell_width,
        "text": [*names, *(f"{_degrees(angle)} apart" for angle in apart)],
        "ink": np.repeat([theme.text, theme.muted], dial.size),
    }
    return plane.texts(mark_table(columns), align="center")


def _legend(query_name, key_name, plane, theme):
    """Return a layer that says in their colours what the hands are, above the first dials."""
    apart = (label_pixels(query_name) * 1.1 + 20) / plane.cell_width  # bold
    columns = {"x": [0.1, 0.1 + apart], "y": 0.0, "text": [query_name, key_name], "ink": [theme.query, theme.key]}
    return plane.texts(mark_table(columns), align="left", fontWeight=700)
