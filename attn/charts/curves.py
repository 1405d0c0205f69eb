"""Numbers that depend on a number, as curves: level or logarithmic, each named at its end."""

import math
import textwrap
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import LINE, Ticks, label_pixels, labelled_axis, number
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_squares
from attn.charts.marks import mark_channel, mark_column, mark_layer, mark_table
from attn.charts.message import message
from attn.charts.options import Axis
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.charts.theme import LIGHT, blend, hex_of
from attn.functional import as_real, finite_number, several, short_repr

_HEADS = (0, 1, 4, 5, 3, 8, 7, 12)  # colours that can be told apart as thin lines on either ground
_MOST_DOTS = 64  # points of a curve that are marked one by one
_GAP = 24  # pixels from the end of a curve to its name
_APART = 1.25 * LINE  # between two names
_BETWEEN = 6  # pixels between two labels of an axis
_BESIDE = 70  # pixels for the numbers at the left
_AXIS = 36  # pixels for the name of the axis and the space beside its numbers
_NARROW = 200  # pixels of a plot below which the names beside it are broken into lines
_LEAST_BESIDE_NAMES = 180  # pixels of a plot below which the names stand under it
_BESIDE_LINE = 12  # pixels that a word takes beside its upright line beyond its letters
_MOST_LINES = 3  # of such a word, where it could stand on fewer if it crossed another line
_LEAST_DECIMAL = 1e-7  # of the numbers of an axis that are written as decimals
_DASH, _NO_DASH = [7, 5], [1, 0]  # pixels of a broken line, and of one that is not
_PIECE = 22  # pixels of a line in the legend: of a broken one, two dashes
_BROKEN_NAME = 15  # characters of such a line


class Curve(NamedTuple):
    """One curve to be drawn by `curves`."""

    name: str
    x: object  # (n,)
    y: object  # (n,), NaN where there is none
    color: str | None = None
    dashed: bool = False


@checked_arguments(pixels=("width", "height"), several=(("parts", Curve),))
def curves(parts, theme=LIGHT, *, x, y, title="", width=640, height=340, marks=(), dots=False):
    """Draw curves, each with its name at its end, or below them where that would leave little room for the plot.

    Parameters
    ----------
    parts : sequence of Curve
    theme : Theme, default LIGHT
    x, y : Axis or str
        A text names an axis that has nothing special.
    title : str
    width, height : int
        Pixels, the names at the ends of the curves included; more are taken where these leave too little for
        the plot.
    marks : sequence of (float, str) or (float, str, float)
        Places on the x axis to mark by an upright line, with a word each above all curves, and a ring at a y
        if one is given.
    dots : bool, default False
        Whether each point is marked, for numbers that were measured.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If a curve has not as many x as y, or an axis or a mark is none.
    """
    x, y, height = _axis_named("x", x), _axis_named("y", y), least_plane(height)
    marks = [_checked_mark(mark) for mark in several("marks", marks)]
    parts = [_checked_curve(part) for part in parts]
    x_axis = AxisScale.over([part.x for part in parts] + [[mark[0] for mark in marks]], x.log, x.range)
    y_axis = AxisScale.over([part.y for part in parts], y.log, y.range)
    parts = [_kept(part, x_axis, y_axis) for part in parts]
    if not any(len(part.x) for part in parts):
        return message("Nothing to show.", theme, title)
    colors = [part.color or theme.head(_HEADS[at % len(_HEADS)]) for at, part in enumerate(parts)]
    parts, colors = zip(*((part, color) for part, color in zip(parts, colors, strict=True) if len(part.x)), strict=True)
    longest = max(label_pixels(part.name) for part in parts)
    names = [part.name for part in parts]
    if width - longest - _GAP - _BESIDE < _NARROW:
        names = ["\n".join(textwrap.wrap(name, _BROKEN_NAME, break_long_words=False)) for name in names]
    gutter = max(label_pixels(line) for name in names for line in name.split("\n")) + _GAP + 4
    at_ends = width - gutter - _BESIDE >= _LEAST_BESIDE_NAMES
    numbers = max(map(label_pixels, _written(y.ticks or _round(y_axis, y, height / 42), y.format)))
    beside = _BESIDE if at_ends else numbers + _AXIS
    across = int(least_plane(width - (gutter if at_ends else _GAP) - beside))
    marks = [mark for mark in marks if x_axis.low <= mark[0] <= x_axis.high]
    upright = [across * float(x_axis.fraction(mark[0])) for mark in marks]
    texts = [_broken(mark[1], at, upright, across) for mark, at in zip(marks, upright, strict=True)]
    marks = [(mark[0], text, *mark[2:]) for mark, text in zip(marks, texts, strict=True)]
    words = curve_words_beside(upright, texts, across)
    rows = (row + text.count("\n") + 1.2 for (_, row), text in zip(words, texts, strict=True))
    y_axis = y_axis.raised(max(rows, default=0) * LINE / height)
    plane = Plane(
        across, height, columns=1, rows=1,
        x_axis=_axis(x_axis, x, theme, _round(x_axis, x, across / 70), across),
        y_axis=_axis(y_axis, y, theme, _within(_round(y_axis, y, height / 42), y.range), height, down=True),
    )  # fmt: skip
    layers = []
    for part, color in zip(parts, colors, strict=True):
        layers += _curve(part, color, x_axis, y_axis, plane, x, y, dots)
    layers += _marked(marks, words, x_axis, y_axis, plane, theme)
    inks = [hex_of(blend([color, theme.text], 0.3)) for color in colors]  # thin letters need more contrast
    if at_ends:
        layers.extend(_names(parts, names, inks, x_axis, y_axis, plane))
    else:
        layers.append(_legend(parts, colors))
    what = f"{title or y.name} by {x.name}: " + "; ".join(
        f"{part.name} ends at {y.format(part.y[-1])}" for part in parts
    )
    figure = plane.figure(layers, title)
    if not at_ends:  # colour and dashes of a name are one legend where each layer has scales of its own
        figure.resolve = {"scale": {"color": "independent", "strokeDash": "independent"}}
    return dressed_layout(figure, theme, f"{what}.")


def _axis_named(name, axis):
    """Return an axis that may be given by its name alone, or say what it must be."""
    axis = Axis(axis) if isinstance(axis, str) else axis
    if not isinstance(axis, Axis):
        raise ValueError(f"{name} must be an Axis or a text, got {short_repr(axis)}")
    if axis.range is not None:
        ends = as_real(axis.range, f"range of {name}")
        if ends.shape != (2,) or not np.isfinite(ends).all() or ends[0] > ends[1]:
            raise ValueError(f"range of {name} must be two finite numbers in order, got {short_repr(axis.range)}")
    return axis


def _checked_curve(part):
    """Return a curve whose numbers are arrays, or say what does not fit."""
    x, y = (as_real(values, f"{name} of a curve").ravel() for name, values in (("x", part.x), ("y", part.y)))
    if len(x) != len(y):
        raise ValueError(f"x and y of a curve must have one length, got {len(x)} and {len(y)}")
    return part._replace(x=x, y=y)


def _checked_mark(mark):
    """Return a mark of the x axis, or say what it must be."""
    if not isinstance(mark, tuple | list) or len(mark) not in (2, 3) or not isinstance(mark[1], str):
        raise ValueError(f"each of marks must be a number, a text and maybe a number, got {short_repr(mark)}")
    for place in (mark[0], *mark[2:]):
        finite_number(place, "a number of marks")
    return mark


class AxisScale(NamedTuple):
    """From numbers to fractions of an axis."""

    low: float
    high: float
    log: bool

    @classmethod
    def over(cls, values, log, limits):
        """Return the scale that spans all `values`, or these limits."""
        values = np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in [*values, []]])
        values = values[np.isfinite(values) & ((values > 0) | (not log))]
        low, high = limits or ((values.min(), values.max()) if values.size else (1.0, 10.0))
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
        return cls(float(low), float(high), bool(log))

    def fraction(self, values):
        """Return where values lie along the axis, from 0 to 1."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        values = np.asarray(values, dtype=float)
        return ((np.log(values) if self.log else values) - low) / (high - low)

    def raised(self, share):
        """Return the scale with so large a share of it left free at its upper end."""
        if self.log:
            return self._replace(high=self.high * (self.high / self.low) ** (share / (1 - share)))
        return self._replace(high=self.high + (self.high - self.low) * share / (1 - share))

    def ticks(self, most):
        """Return at most about so many round numbers along the axis."""
        most = max(2, int(most))
        if not self.log:
            raw = (self.high - self.low) / most
            steps = [s * 10.0**e for e in range(-15, 16) for s in (1, 2, 5)]
            at = next(at for at, step in enumerate(steps) if step >= raw)
            found = self._multiples(steps[at])
            return found if len(found) > 1 else self._multiples(steps[at - 1])  # one number alone is no measure
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [digit * 10.0**e for e in decades for digit in digits]
            found = [at for at in found if self.low * (1 - 1e-9) <= at <= self.high * (1 + 1e-9)]
            if len(found) <= most:
                break
        return found[:: math.ceil(len(found) / most)] if len(found) > 1 else [self.low, self.high]

    def _multiples(self, step):
        """Return the multiples of a number that lie on the axis."""
        first = math.ceil(self.low / step - 1e-9)
        return [step * i for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _kept(part, x_axis, y_axis):
    """Return a curve without the points that an axis cannot show."""
    x, y = (np.ravel(np.asarray(values, dtype=float)) for values in (part.x, part.y))
    fine = np.isfinite(x) & np.isfinite(y)
    for values, scale in ((x, x_axis), (y, y_axis)):
        fine &= (values >= scale.low * (1 - 1e-9) if scale.log else values >= scale.low) & (values <= scale.high)
    return part._replace(x=x[fine], y=y[fine])


def _axis(scale, asked, theme, round_ones, pixels, down=False):
    """Return an axis labelled where it is asked for, or at round numbers, with faint lines across the plot."""
    at = list(asked.ticks or round_ones)
    if asked.ticks and not down:
        wide = [label_pixels(text) for text in _written(at, asked.format)]
        at = _apart(at, scale.fraction(at) * pixels, wide)
    place = scale.fraction(at)
    place = 1 - place if down else place
    return labelled_axis(
        Ticks([float(p) for p in place], _written(at, asked.format), 0), asked.name, theme.muted,
        grid=True, gridColor=theme.grid, titleFontWeight=400, labelFlush=False,  # each stands under its point
    )  # fmt: skip


def _written(values, form):
    """Return the numbers of an axis in one way of writing: as decimals, or all with powers of ten where some are tiny.

    Examples
    --------
    >>> _written([1.0, 0.01, 1e-6], number), _written([1.0, 1e-9], number), _written([1, 20000], number)
    (['1', '0.01', '0.000001'], ['1e0', '1e−9'], ['1', '20,000'])
    """
    texts = [form(value) for value in values]
    if form is not number or not any("e" in text for text in texts):
        return texts
    if all(_LEAST_DECIMAL <= abs(value) < 1 / _LEAST_DECIMAL for value in values if value):
        return [f"{value:,.9f}".rstrip("0").rstrip(".").replace("-", "−") for value in values]
    powers = (f"{value:.2e}".split("e") for value in values)
    return [f"{digits.rstrip('0').rstrip('.')}e{int(power)}".replace("-", "−") for digits, power in powers]


def _round(scale, asked, most):
    """Return at most about so many round numbers along an axis, of what is counted whole ones alone.

    Examples
    --------
    >>> [_round(AxisScale(0, 1, False), Axis("layer", whole=whole), 5) for whole in (False, True)]
    [[0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0], [0.0, 1.0]]
    """
    return [at for at in scale.ticks(most) if not asked.whole or float(at).is_integer()]


def _within(ticks, limits):
    """Return the round numbers that lie within what an axis was asked to span: words may stand above that."""
    return [at for at in ticks if limits is None or at <= limits[1] + 1e-9 * abs(limits[1])]


def _legend(parts, colors):
    """Return a layer that draws nothing but the names of curves below the plot, each with a piece of its line."""
    names = [part.name for part in parts]
    look = {"symbolType": "stroke", "symbolSize": _PIECE**2, "symbolStrokeWidth": 3, "columns": 1}
    color = legend_squares("kind", dict(zip(names, colors, strict=True)), **look)
    dashes = {"domain": names, "range": [_DASH if part.dashed else _NO_DASH for part in parts]}
    dash = mark_channel("kind:N", scale=dashes, legend=color["legend"])
    nowhere = {side: {"value": 0} for side in ("x", "y")}
    return mark_layer(mark_table({"kind": names}), "line", {"color": color, "strokeDash": dash, **nowhere}, opacity=0)


def _apart(at, places, widths):
    """Return those ticks, from the last down, whose labels of these widths do not run into one another."""
    kept, free = [], math.inf
    for value, place, wide in sorted(zip(at, places, widths, strict=True), key=lambda tick: -tick[1]):
        if place + wide / 2 <= free:
            kept.append(value)
            free = place - wide / 2 - _BETWEEN
    return kept[::-1]


def _curve(part, color, x_axis, y_axis, plane, x, y, dots):
    """Return the layers of one curve: its line, and points that answer to the pointer."""
    across, up = x_axis.fraction(part.x), 1 - y_axis.fraction(part.y)
    table, dash = mark_table({"x": across, "y": up}), _DASH if part.dashed else _NO_DASH
    line = mark_layer(table, "line", plane.at(), color=color, strokeWidth=3, strokeDash=dash, tooltip=None)
    few = np.unique(np.linspace(0, across.size - 1, min(across.size, _MOST_DOTS)).round().astype(int))
    says = {"across": [x.format(value) for value in part.x[few]], "up": [y.format(value) for value in part.y[few]]}
    points = mark_table({"x": across[few], "y": up[few], "name": part.name} | says)
    seen = {"opacity": 1, "size": 60} if dots or across.size == 1 else {"opacity": 0, "size": 120}
    says = plane_tooltip(("name", "curve"), ("across", x.name), ("up", y.name))
    return [line, mark_layer(points, "circle", plane.at() | {"tooltip": says}, color=color, **seen)]


def _broken(text, at, upright, width):
    """Return a word broken into lines that fit beside its upright line: before the next one if its words are short."""
    before = max((end for end in upright if end < at), default=0)
    after = min((end for end in upright if end > at), default=width + _GAP)
    for room in (max(at - before, after - at), max(at, width + _GAP - at)):
        room -= _BESIDE_LINE
        if label_pixels(text) <= room:
            return text
        lines = textwrap.wrap(text, max(1, int(room / label_pixels("n"))), break_long_words=False)
        if len(lines) <= _MOST_LINES and max(map(label_pixels, lines)) <= room:
            return "\n".join(lines)
    return "\n".join(textwrap.wrap(text, max(8, int(room / label_pixels("n"))), break_long_words=False))


def curve_words_beside(x, texts, width):
    """Return whether each word lies at the left of its upright line, and in which row: across no line and no word.

    A word of several lines takes as many rows.

    Examples
    --------
    >>> curve_words_beside([90.0, 110.0], ["one", "two"], 200)
    [(True, 0), (False, 0)]
    >>> curve_words_beside([10.0, 190.0], ["first", "last"], 200)
    [(False, 0), (True, 0)]
    """
    taken, found = [], []
    for at, text in zip(x, texts, strict=True):
        lines = text.split("\n")
        need = max(map(label_pixels, lines)) + _BESIDE_LINE
        left, start = min(
            ((left, at - need if left else at) for left in (at > 0.6 * width, at <= 0.6 * width)),
            key=lambda side: (
                not 0 <= side[1] <= width + _GAP - need,
                sum(side[1] < other < side[1] + need for other in x if other != at),
            ),
        )
        row = next(
            row
            for row in count()
            if all(not row <= r < row + len(lines) or start >= end or start + need <= begin for r, begin, end in taken)
        )
        taken += [(row + at, start, start + need) for at in range(len(lines))]
        found.append((left, row))
    return found


def _marked(marks, words, x_axis, y_axis, plane, theme):
    """Return layers with an upright line and its word at each marked place, and a ring where one is asked for."""
    if not marks:
        return []
    x = x_axis.fraction([mark[0] for mark in marks])
    at = [(row + 0.6) * LINE / plane.height for _, row in words]  # of the first line
    table = mark_table({"x": x, "x2": x, "y": 0.0, "y2": 1.0, "text": [mark[1] for mark in marks], "at": at})
    dashed = {"color": theme.muted, "strokeDash": [3, 3], "strokeWidth": 1.5}
    layers = [mark_layer(table, "rule", plane.box(), **dashed, tooltip=None)]
    if crossing := _grounds(x * plane.width, marks, words, plane):
        layers.append(
            plane.rectangles(
                mark_table(dict(zip(("x", "x2", "y", "y2"), crossing, strict=True))), color=theme.background
            )
        )
    left = np.array([left for left, _ in words])
    for side, align, shift in ((left, "right", -6), (~left, "left", 6)):
        halo = {"stroke": theme.background, "strokeWidth": 5, "strokeJoin": "round"}
        for ink in (halo, {}) if side.any() else ():
            look = {"lineBreak": "\n", "lineHeight": LINE, "color": theme.text} | ink
            layers.append(plane.texts(table.filter(mark_column(side)), "x", "at", align=align, dx=shift, **look))
    rings = [(x_axis.fraction(mark[0]), 1 - y_axis.fraction(mark[2])) for mark in marks if len(mark) > 2]
    if rings:
        across, down = np.array(rings, dtype=float).T
        table = mark_table({"x": across, "y": down})
        look = {"color": theme.text, "size": 180, "strokeWidth": 2.5}
        layers.append(mark_layer(table, "point", plane.at(), **look, tooltip=None))
    return layers


def _grounds(upright, marks, words, plane):
    """Return x, x2, y, y2 of what lies under the words that another upright line would run through, or nothing."""
    found = []
    for at, (_, text, *_), (left, row) in zip(upright, marks, words, strict=True):
        lines = text.split("\n")
        wide = max(map(label_pixels, lines)) + _BESIDE_LINE
        start, end = (at - wide, at - 1) if left else (at + 1, at + wide)
        if any(start < other < end for other in upright):
            down = [(line + 0.1) * LINE / plane.height for line in (row, row + len(lines))]
            found.append((start / plane.width, end / plane.width, *down))
    return np.transpose(found).tolist()


def _names(parts, names, inks, x_axis, y_axis, plane):
    """Return layers with the name of each curve at its end, moved apart where ends meet and then tied to them."""
    ends = [plane.height * (1 - float(y_axis.fraction(part.y[-1]))) for part in parts]
    lines = np.array([name.count("\n") for name in names])  # more than one
    apart = spread_curves_apart(ends, _APART + LINE * max(lines), plane.height)
    first = np.array(apart) - lines * LINE / 2
    x = [max(1.0, float(x_axis.fraction(part.x[-1]))) for part in parts]
    table = mark_table({"x": x, "y": first / plane.height, "text": names, "ink": inks})
    layers = [plane.texts(table, align="left", dx=_GAP, fontWeight=600, lineBreak="\n", lineHeight=LINE)]
    for at, ink, end, moved in zip(x, inks, ends, apart, strict=True):
        if abs(moved - end) > LINE / 4:
            tie = mark_table(
                {"x": [at, at + (_GAP - 4) / plane.width], "y": [end / plane.height, moved / plane.height]}
            )
            layers.append(mark_layer(tie, "line", plane.at(), color=ink, strokeWidth=1.5, tooltip=None))
    return layers


def spread_curves_apart(places, least, height):
    """Return places moved as little as needed to lie `least` apart, none beyond `height`.

    Examples
    --------
    >>> spread_curves_apart([10.0, 12.0, 50.0], 17, 100)
    [10.0, 27.0, 50.0]
    >>> spread_curves_apart([99.0, 100.0], 17, 100)
    [83.0, 100.0]
    """
    order = np.argsort(places, kind="stable")
    spread = np.asarray(places, dtype=float)[order]
    for one, other in pairwise(range(len(spread))):
        spread[other] = max(spread[other], spread[one] + least)
    if len(spread) and spread[-1] > height:
        spread[-1] = height
        for one, other in reversed(list(pairwise(range(len(spread))))):
            spread[one] = min(spread[one], spread[other] - least)
    result = np.empty_like(spread)
    result[order] = spread
    return [float(place) for place in result]
