"""A finished specification made to fit where it is shown: rows too wide are broken, and everything is enlarged."""

import json

from attn.charts.labels import label_pixels

_AXIS = 34  # pixels for the name of an axis and the space beside its labels
_LEGEND = 132  # pixels that a legend takes, however narrow the plot above it
_TOLERANCE = 1.05  # by which a row may seem too wide: how wide words are is guessed rather too wide
_SPACING = 20  # pixels between two plots where a specification does not say: Vega-Lite's own
_SIDES = ("value", "condition", "left", "right", "top", "bottom")  # of a channel, and of a padding
_LENGTHS = ("x", "y", "x2", "y2", "dx", "dy", "offset", "padding", "spacing", "strokeWidth", "strokeDash")
_LENGTHS += ("cornerRadius", "gradientLength", "gradientThickness", "gradientStrokeWidth", "symbolStrokeWidth")
_LENGTHS += ("fontSize", "labelFontSize", "titleFontSize", "subtitleFontSize", "labelPadding", "titlePadding")
_LENGTHS += ("lineHeight",)
_PIXELS = dict.fromkeys(_LENGTHS, 1) | {"size": 2, "symbolSize": 2}  # what is measured in pixels -> 1, or 2 for an area
_UNTOUCHED = ("datasets", "data", "params", "scale", "values")


def wrapped_rows(spec, room):
    """Return a specification whose rows of plots are broken where they are wider than the page.

    An operator, such as "×", that would begin a row goes into the title of the plot behind it.

    Parameters
    ----------
    spec : dict
        As `attn.charts.specification` returns it.
    room : float
        Pixels across.

    Returns
    -------
    dict
        The same one where everything fits.
    """
    return _wrapped(spec, room, spec.get("datasets", {}))


def _wrapped(spec, room, tables):
    """Return a part of a specification with its rows broken."""
    for direction in ("hconcat", "vconcat"):
        if direction in spec:
            spec = spec | {direction: [_wrapped(part, room, tables) for part in spec[direction]]}
    if "hconcat" not in spec or plots_width(spec) <= _TOLERANCE * room:
        return spec
    spacing, rows, waiting = spec.get("spacing", _SPACING), [[]], []
    for part in spec["hconcat"]:
        waiting = [*waiting, part]
        if is_operator(part):
            continue
        if rows[-1] and plots_width({"hconcat": [*rows[-1], *waiting], "spacing": spacing}) > room:
            rows.append([])
            waiting = [_titled([tables[each["data"]["name"]]["text"].iloc[0] for each in waiting[:-1]], part)]
        rows[-1] += waiting
        waiting = []
    rows[-1] += waiting
    lines = [row[0] if len(row) == 1 else {"hconcat": row, "spacing": spacing} for row in rows]
    return {("vconcat" if name == "hconcat" else name): value for name, value in (spec | {"hconcat": lines}).items()}


def _titled(operators, plot):
    """Return a plot with the operators that stand before it in its title."""
    if not operators:
        return plot
    title = plot.get("title", {"text": []})
    return plot | {"title": title | {"text": [" ".join([*operators, *title["text"][:1]]), *title["text"][1:]]}}


def plots_width(spec):
    """Return roughly how many pixels a specification takes across, the names of its rows included."""
    if "hconcat" in spec:
        spaces = spec.get("spacing", _SPACING) * (len(spec["hconcat"]) - 1)
        return sum(map(plots_width, spec["hconcat"])) + spaces
    if "vconcat" in spec:
        return max(map(plots_width, spec["vconcat"]), default=0)
    if is_operator(spec):
        return spec["width"]
    return _gutter(spec) + max(spec.get("width", 0), _LEGEND if _has_legend(spec) else 0)


def enlarged(spec, factor):
    """Return a specification drawn so many times as large, its words and numbers as well.

    Cells of two or more pixels stay whole pixels wide, so that no seam shows between them.

    Parameters
    ----------
    spec : dict
        As `attn.charts.specification` returns it.
    factor : float

    Returns
    -------
    dict
    """
    return spec if factor == 1 else _grown(spec, factor)


def _grown(part, factor):
    """Return a part of a specification with its pixels multiplied."""
    if isinstance(part, list):
        return [_grown(each, factor) for each in part]
    if not isinstance(part, dict):
        return part
    grown = {name: value if name in _UNTOUCHED else _grown(value, factor) for name, value in part.items()}
    for name, power in _PIXELS.items():
        if name in grown:
            grown[name] = _times(grown[name], factor**power)
    return grown | {side: _whole(part, side, factor) for side in ("width", "height") if side in part}


def _times(value, factor):
    """Return one or several numbers, or what a channel says of them, times a factor."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return [_times(each, factor) for each in value]
    if not isinstance(value, dict):
        return value * factor
    if "field" in value and value.get("scale", {}) is None:  # pixels as they stand in the table
        return value | {"scale": {"type": "linear", "domain": [0, 1], "range": [0, factor]}}
    numbers = {name: _times(each, factor) for name, each in value.items() if name in _SIDES}
    return value | numbers


def _whole(plot, side, factor):
    """Return the pixels of a side of a plot, a whole number for each of its cells."""
    pixels = plot[side]
    channels = (layer.get("encoding", {}).get("x" if side == "width" else "y", {}) for layer in plot.get("layer", ()))
    domain = next(filter(None, ((channel.get("scale") or {}).get("domain") for channel in channels)), [0, 1])
    count = abs(domain[1] - domain[0])
    cell = int(pixels * factor / count)
    return cell * count if pixels >= 2 * count and count == int(count) else round(pixels * factor)


def is_operator(part):
    """Return whether a part of a row only says what joins its neighbours: a lone text, where a plot has layers."""
    return "mark" in part


def _gutter(plot):
    """Return the pixels left of a plot."""
    axes = (layer.get("encoding", {}).get("y", {}).get("axis") for layer in plot.get("layer", ()))
    axis = next(filter(None, axes), None)
    if axis is None:
        return 0
    names = json.JSONDecoder().raw_decode(axis.get("labelExpr", "[]"))[0]  # `label_lookup` begins with them
    return max(map(label_pixels, names), default=0) + _AXIS


def _has_legend(plot):
    """Return whether anything stands under a plot that says what its colours mean."""
    return any(layer.get("encoding", {}).get("color", {}).get("legend") for layer in plot.get("layer", ()))
