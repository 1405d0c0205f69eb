"""A finished specification made to fit where it is shown: bars shortened, rows broken, and everything enlarged."""

import functools
import itertools
import json
import math
import textwrap

from attn.charts.labels import LINE, label_lookup, label_pixels
from attn.charts.layout import rows_that_fit
from attn.charts.plane import LEAST_PLOT, wrapped_over_plane
from attn.charts.scale import least_gradient
from attn.charts.specification import checked_specification
from attn.functional import finite_number

_AXIS = 34  # pixels for the name of an axis and the space beside its labels
_BESIDE_LEGEND, _AROUND_SQUARE = 8, 12  # pixels between a scale and its name, and beside a square of colour
_SQUARE = 24  # pixels down of a square of colour
_TOLERANCE = 1.05  # by which a row may seem too wide: how wide words are is guessed rather too wide
_BESIDE_BARS, _RIGHT = 12, 12  # pixels between names and bars, and at the right of a figure
_BOLD = 1.15  # how much wider the words of a title are than `wrapped_over_plane` takes them for over a plot
_TITLE_LINE, _TITLE_SPACE, _SCALE = 22, 10, 48  # pixels down: a line of a title, the space below; a scale of colour
_NO_WORDS = "\u00a0"  # a line that is only passed over
_SPACING = 20  # pixels between two plots where a specification does not say: Vega-Lite's own
_SHARED = ""  # the name of the table that a part has from what it lies in
_SIDES = ("value", "condition", "left", "right", "top", "bottom")  # of a channel, and of a padding
_LENGTHS = ("x", "y", "x2", "y2", "dx", "dy", "offset", "padding", "spacing", "strokeWidth", "strokeDash")
_LENGTHS += ("cornerRadius", "gradientLength", "gradientThickness", "gradientStrokeWidth", "symbolStrokeWidth")
_LENGTHS += ("fontSize", "labelFontSize", "titleFontSize", "subtitleFontSize", "labelPadding", "titlePadding")
_LENGTHS += ("lineHeight", "labelLineHeight", "labelOffset")
_PIXELS = dict.fromkeys(_LENGTHS, 1) | {"size": 2, "symbolSize": 2}  # what is measured in pixels -> 1, or 2 for an area
_TITLE_LEFT = 4  # pixels by which large letters of an axis' title are higher than Vega thinks, at the left edge
_UNTOUCHED = ("datasets", "data", "params", "scale", "values")


def fit_to_room(spec, room, tall=None):
    """Return a specification that keeps to the width of the page where it can, and to a height if there is one.

    Bars are shortened, down to a least length. A row of plots that is wider than the page is broken: an operator, such
    as "×", that would begin a row goes into the title of the plot behind it, and a plot that shares the names of its
    rows with one before it has names of its own where it begins a row.

    What would be too high is fitted without its scales of colour: cells of stronger colour still are larger numbers,
    which the pointer and the table below a figure say. How large cells are is for who draws them to say, see
    `attn.ui.width.page_tallest`: scales, which also may make a row too wide, are what a finished figure can give up.

    Parameters
    ----------
    spec : dict
        As `attn.charts.specification` returns it.
    room : float
        Pixels across.
    tall : float, optional
        Pixels down, before the figure is enlarged.

    Returns
    -------
    dict
        The same one where everything fits.
    """
    checked_specification(spec)
    room, tables = finite_number(room, "room"), spec.get("datasets", {})
    fitted = _fit(spec, room, tables)
    if tall is None or plots_height(fitted) <= finite_number(tall, "tall"):
        return fitted
    return _fit(_without_scales(spec), room, tables)


def narrow_plots(spec, room):
    """Return a specification whose curves and maps are made narrower where they are too wide, with words as they are.

    Curves keep their height, maps their proportions, and names along an axis that would meet are left out. A map whose
    words stand on its cells, as their numbers do, stays as it is: they would have no room there.

    Parameters
    ----------
    spec : dict
        As `attn.charts.specification` returns it.
    room : float
        Pixels across.

    Returns
    -------
    dict
    """
    checked_specification(spec)
    return _narrow(spec, finite_number(room, "room"))


def _narrow(spec, room):
    """Return a part of a specification with its plots made narrower."""
    for direction in ("hconcat", "vconcat"):
        if direction in spec:
            spec = spec | {direction: [_narrow(part, room) for part in spec[direction]]}
    over, layers = plots_width(spec) - room, spec.get("layer", ())
    marks = {layer["mark"]["type"] for layer in layers}
    curves = "line" in marks and [_domain(spec, side) for side in "xy"] == [[0, 1], [1, 0]]
    cells = "line" not in marks and "rect" in marks
    if over <= 0 or not (curves or cells) or any(map(_is_word_on_mark, layers)):
        return spec
    factor = max(spec["width"] - over, LEAST_PLOT) / spec["width"]
    spec = spec | {"width": _whole(spec, "width", factor)}
    if not curves:
        spec = spec | {"height": _whole(spec, "height", factor)}
    return _rewrapped(spec | {"layer": list(map(_without_names_that_meet, spec["layer"]))}, spec["width"])


def _domain(plot, name):
    """Return the ends of a plot's scale, "x" or "y", or None."""
    return ((_channel(plot, name) or {}).get("scale") or {}).get("domain")


def _is_word_on_mark(layer):
    """Return whether a layer writes on marks: only then a word says what the pointer would hear from them."""
    return layer["mark"]["type"] == "text" and bool(layer["encoding"].get("tooltip"))


def _without_names_that_meet(layer):
    """Return a layer with those names along its axes left out that would meet others."""
    encoding = layer["encoding"]
    for name in ("x", "y"):
        if axis := encoding.get(name, {}).get("axis"):
            encoding = encoding | {name: encoding[name] | {"axis": axis | {"labelOverlap": True}}}
    return layer | {"encoding": encoding}


def _without_scales(spec):
    """Return a part of a specification without its scales of colour; squares with a word stay."""
    for kind in ("hconcat", "vconcat", "layer"):
        if kind in spec:
            spec = spec | {kind: [_without_scales(part) for part in spec[kind]]}
    color = spec.get("encoding", {}).get("color", {})
    if "gradientLength" not in (color.get("legend") or {}):
        return spec
    return spec | {"encoding": spec["encoding"] | {"color": color | {"legend": None}}}


def _fit(spec, room, tables):
    """Return a part of a specification with its bars shortened and its rows broken."""
    tables = _with_shared(tables, spec)
    if "hconcat" in spec:
        spec = spec | {"hconcat": [_fit(part, room, tables) for part in spec["hconcat"]]}
    if "vconcat" in spec:  # all begin where the one with the longest names does
        left = _left(spec)
        spec = spec | {"vconcat": [_fit(part, room - left + _left(part), tables) for part in spec["vconcat"]]}
    if _has_bars(spec):
        return _shortened(spec, room, tables)
    if "layer" in spec:
        return _with_legends_in(spec, room - _gutter(spec) - _RIGHT)
    if "hconcat" not in spec or plots_width(spec) <= _TOLERANCE * room:
        return spec
    parts, spacing = spec["hconcat"], spec.get("spacing", _SPACING)

    def begun(row):
        """Return a row whose first plot names its rows, and has in its title what the row begins with."""
        if row[0] is parts[0]:
            return row
        operators = list(itertools.takewhile(is_operator, row))
        plot, *rest = row[len(operators) :]
        signs = [tables[each["data"]["name"]]["text"][0].as_py() for each in operators]
        before = list(itertools.takewhile(lambda part: part is not plot, parts))
        return [_titled(signs, _named(plot, before)), *rest]

    def fits(row):
        return plots_width({"hconcat": begun(row), "spacing": spacing}) <= room

    rows = [begun(row) for row in rows_that_fit(parts, is_operator, fits)]
    lines = [_alone(row[0], room) if len(row) == 1 else {"hconcat": row, "spacing": spacing} for row in rows]
    return {("vconcat" if name == "hconcat" else name): value for name, value in (spec | {"hconcat": lines}).items()}


def _with_legends_in(plot, room):
    """Return a plot whose legends fit into the room, one beside the other.

    Squares of colour stand in columns, and names that are too long alone are broken into lines. A scale of colour is
    shortened; where that is not enough its name goes above it, and then the numbers between its ends go.
    """
    scales = [layer for layer in plot["layer"] if _has_scale(layer)]
    least = sum(_legend_width(_with_scale_in(layer, 0)) + _BESIDE_LEGEND for layer in scales)
    layers = [layer if _has_scale(layer) else _with_squares_in(layer, room - least) for layer in plot["layer"]]
    squares = [_legend_width(layer) for layer in layers if not _has_scale(layer)]
    room -= sum(wide + _BESIDE_LEGEND for wide in squares if wide)
    return plot | {"layer": [_with_scale_in(layer, room) if _has_scale(layer) else layer for layer in layers]}


def _with_squares_in(layer, room):
    """Return a layer whose names beside squares of colour end within the room, if it has any."""
    channel, legend = _legend(layer)
    if not legend or _legend_width(layer) <= room:
        return layer
    encoding, names = layer["encoding"], channel["scale"]["domain"]
    square, widest = _square_width(legend), max(map(label_pixels, names))
    changes = {"columns": max(1, int(room // (square + widest)))}
    if square + widest > room:
        letters = max(1, int((room - square) / widest * max(map(len, names))))
        lines = [textwrap.wrap(name, letters, break_long_words=False) for name in names]
        changes["labelExpr"] = label_lookup(lines, names)
    drawn = {name: each for name, each in encoding.items() if isinstance(each, dict) and each.get("legend") == legend}
    return layer | {"encoding": encoding | {name: drawn[name] | {"legend": legend | changes} for name in drawn}}


def _square_width(legend):
    """Return the pixels of a square of colour in a legend, or of a piece of a line, with the spaces around it."""
    return math.sqrt(legend.get("symbolSize", 100)) + _AROUND_SQUARE


def _has_scale(layer):
    """Return whether a scale of colour below a plot says what a layer shows."""
    return "gradientLength" in (_legend(layer)[1] or {})


def _legend(layer):
    """Return the channel of the colours of a layer, and the legend that explains them, None if there is none."""
    channel = layer.get("encoding", {}).get("color") or {}
    return channel, channel.get("legend")


def _legend_names(channel, legend):
    """Return the names beside the squares of a legend, each as its lines."""
    names = (
        json.JSONDecoder().raw_decode(legend["labelExpr"])[0] if "labelExpr" in legend else channel["scale"]["domain"]
    )
    return [[name] if isinstance(name, str) else name for name in names]


def _with_scale_in(layer, room):
    """Return a layer with its scale of colour no wider than the room, or as narrow as it can be."""
    legend = layer["encoding"]["color"]["legend"]
    names = json.JSONDecoder().raw_decode(legend["labelExpr"])[0]
    ends = [names[0], names[-1]], [legend["values"][0], legend["values"][-1]]
    narrower = ({}, {"titleOrient": "top"}, {"titleOrient": "top", "labelExpr": label_lookup(*ends), "values": ends[1]})
    tried = [_shortened_scale(layer, changes, room) for changes in (narrower if len(names) > 1 else narrower[:2])]
    return min(tried, key=lambda layer: max(0, _legend_width(layer) - room))  # the first of those that fit


def _shortened_scale(layer, changes, room):
    """Return a layer with its legend changed, and its scale no longer than the room or than its numbers need."""
    color = layer["encoding"]["color"]
    legend = color["legend"] | changes
    name, beside = _scale_words(legend)
    names = json.JSONDecoder().raw_decode(legend["labelExpr"])[0]
    free = room - beside - (0 if legend.get("titleOrient") == "top" else name)
    length = min(legend["gradientLength"], max(least_gradient(names), int(free)))
    color = color | {"legend": legend | {"gradientLength": length}}
    return layer | {"encoding": layer["encoding"] | {"color": color}}


def _scale_words(legend):
    """Return the pixels of a scale's name, with the space behind it, and of what its last number stands out."""
    last = json.JSONDecoder().raw_decode(legend["labelExpr"])[0][-1]
    name = label_pixels(legend.get("title") or "")
    return name + _BESIDE_LEGEND * bool(name), label_pixels(last) / 2


def _with_shared(tables, part):
    """Return the tables with that of a part under a name that all within it find, too."""
    return tables | {_SHARED: tables[part["data"]["name"]]} if "data" in part else tables


def _has_bars(plot):
    """Return whether all that lies across a plot are lengths that nothing below it measures."""
    across = _channel(plot, "x")
    return across is not None and across.get("axis") is None and across["scale"].get("domain") == [0, 1]


def _shortened(plot, room, tables):
    """Return a plot of bars that, with its names and the numbers at the ends of the bars, is no wider than the room.

    Names that would take more than half of it are broken into lines, for which bars stand as far apart as they need.
    """
    axis = _channel(plot, "y").get("axis")
    if _bars_width(plot, axis, room, tables) >= plot["width"]:
        return plot
    if _names_width(axis) > room / 2:
        names, rest = json.JSONDecoder().raw_decode(axis["labelExpr"])
        half = 1 + max(map(len, names)) // 2
        names = [textwrap.wrap(name, half, break_long_words=False) for name in names]
        lines = max(map(len, names))  # of which the first stands at the bar, unless all are moved up
        names = [[_NO_WORDS] * ((lines - len(name)) // 2) + name for name in names]
        moved = {"labelLineHeight": LINE, "labelOffset": -(lines - 1) / 2 * LINE}
        axis = axis | {"labelExpr": json.dumps(names) + axis["labelExpr"][rest:]} | moved
        tall = max(plot["height"], (lines + 0.6) * LINE * len(names))
        plot = _with_axis(plot, axis) | {"height": round(tall)}
    width = max(LEAST_PLOT, int(_bars_width(plot, axis, room, tables)))
    plot = _rewrapped(plot, room / _BOLD)
    return plot | {"width": width} | ({"title": plot["title"] | {"frame": "bounds"}} if "title" in plot else {})


def _bars_width(plot, axis, room, tables):
    """Return the pixels that the longest bar may take, at most those it has."""
    room -= _names_width(axis) + (_AXIS if axis and axis.get("title") else _BESIDE_BARS) + _RIGHT
    width = min(plot["width"], room)
    for layer in plot["layer"]:
        mark, x = layer["mark"], layer["encoding"].get("x", {})
        if mark["type"] == "text" and mark.get("align") == "left" and "field" in x:
            table = _with_shared(tables, layer)[_SHARED]
            for end, text in zip(table[x["field"]].to_pylist(), table["text"].to_pylist(), strict=True):
                free = room - mark.get("dx", 0) - label_pixels(text)
                width = min(width, free / end if end > 0 else width)
    return width


def _named(plot, before):
    """Return a plot with the axis of the nearest one before it that has the same rows, if it has none of its own."""
    down = _channel(plot, "y")
    if down is None or down.get("axis") is not None:
        return plot
    others = (_channel(other, "y") for other in reversed(before))
    axis = next((o["axis"] for o in others if o and o.get("axis") and o["scale"] == down["scale"]), None)
    return _with_axis(plot, axis)


def _with_axis(plot, axis):
    """Return a plot with another axis at its left."""
    layers = []
    for layer in plot["layer"]:
        channels = layer.get("encoding", {})
        named = {"y": channels["y"] | {"axis": axis}} if "scale" in channels.get("y", {}) else {}
        layers.append(layer | {"encoding": channels | named})
    return plot | {"layer": layers}


def _alone(part, room):
    """Return a plot in a row of its own, its title as long as the row is; anything else as it is."""
    return _rewrapped(part, (room - _gutter(part)) / _BOLD) if "layer" in part else part


def _rewrapped(plot, width):
    """Return a plot with its title broken into lines that fit over so many pixels."""
    title = plot.get("title")
    return plot | {"title": title | {"text": wrapped_over_plane(" ".join(title["text"]), width)}} if title else plot


def _channel(plot, name):
    """Return the first channel of a plot's layers, "x" or "y", that has a scale, or None."""
    channels = (layer.get("encoding", {}).get(name, {}) for layer in plot.get("layer", ()))
    return next((channel for channel in channels if channel.get("scale")), None)


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
    legends = [wide for wide in map(_legend_width, spec.get("layer", ())) if wide]  # in a row
    return _gutter(spec) + max(spec.get("width", 0), sum(legends) + _BESIDE_LEGEND * (len(legends) - 1))


def plots_height(spec):
    """Return roughly how many pixels a specification takes down, with titles, axes and legends."""
    if "vconcat" in spec:
        return sum(map(plots_height, spec["vconcat"])) + spec.get("spacing", _SPACING) * (len(spec["vconcat"]) - 1)
    if "hconcat" in spec:
        return max(map(plots_height, spec["hconcat"]), default=0)
    if is_operator(spec):
        return spec["height"]
    lines = spec["title"]["text"] if isinstance(spec.get("title"), dict) else spec.get("title", [])
    title = _TITLE_LINE * len(lines) + _TITLE_SPACE if lines else 0
    axis = (_channel(spec, "x") or {}).get("axis")
    names = 0
    if axis:
        turned = math.sin(math.radians(abs(axis["labelAngle"]))) * _names_width(axis)
        names = max(LINE, turned) + 6 + (LINE + 8 if axis.get("title") else 0)
    legends = (_legend_height(layer) for layer in spec.get("layer", ()))
    return title + spec.get("height", 0) + names + max(legends, default=0)


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
    checked_specification(spec)
    if finite_number(factor, "factor", 0) == 1:
        return spec
    grown = _grown(spec, factor)
    around = grown.get("padding", {})
    return grown | {"padding": around | {"left": around.get("left", 0) + _TITLE_LEFT * factor}}


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
        scale = {"type": "linear", "domain": [0, 1], "range": [0, factor]}
        return value | {"scale": scale, "legend": None}  # a scale would bring a legend with it
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


def _left(part):
    """Return the pixels of the names at the left of a part of a figure."""
    if "vconcat" in part:
        return max(map(_left, part["vconcat"]), default=0)
    if "hconcat" in part:
        return _left(part["hconcat"][0])
    axis = (_channel(part, "y") or {}).get("axis") or {}
    return _names_width(axis) + _AXIS * bool(axis.get("title"))


def _gutter(plot):
    """Return the pixels left of a plot."""
    axis = (_channel(plot, "y") or {}).get("axis")
    return _names_width(axis) + _AXIS if axis else 0


def _names_width(axis):
    """Return the pixels of the longest name along an axis."""
    return _longest_label((axis or {}).get("labelExpr", "[]"))


@functools.lru_cache(maxsize=1000)  # each is asked for several times while a figure is fitted
def _longest_label(expression):
    """Return the pixels of the longest name of those with which an expression of `label_lookup` begins."""
    names = json.JSONDecoder().raw_decode(expression)[0]
    lines = (line for name in names for line in ([name] if isinstance(name, str) else name))
    return max(map(label_pixels, lines), default=0)


def _legend_height(layer):
    """Return the pixels down of what stands under a plot and says what the colours of a layer mean."""
    channel, legend = _legend(layer)
    if not legend:
        return 0
    if "gradientLength" in legend:
        return _SCALE + LINE * (legend.get("titleOrient") == "top")
    names = _legend_names(channel, legend)
    rows = math.ceil(len(names) / (legend.get("columns") or len(names)))
    return rows * (_SQUARE + LINE * (max(map(len, names)) - 1))


def _legend_width(layer):
    """Return the pixels of what stands under a plot and says what the colours of a layer mean."""
    channel, legend = _legend(layer)
    if not legend:
        return 0
    if "gradientLength" not in legend:
        names = _legend_names(channel, legend)
        widths = [_square_width(legend) + max(map(label_pixels, lines)) for lines in names]
        columns = legend.get("columns") or len(widths)
        return sum(max(widths[at::columns]) for at in range(min(columns, len(widths))))
    name, beside = _scale_words(legend)
    scale = legend["gradientLength"] + beside
    return max(name, scale) if legend.get("titleOrient") == "top" else name + scale
