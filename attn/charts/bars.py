"""Single rows of numbers: bars with their values, products that add up, and how often values occur."""

from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import LINE, Ticks, aligned_labels, label_pixels, labelled_axis, number, percent
from attn.charts.layout import concatenation, dressed_layout
from attn.charts.marks import mark_channel, mark_colour, mark_column, mark_layer, mark_table, selectable_mark
from attn.charts.message import message
from attn.charts.options import Pick, Scale
from attn.charts.plane import SELECTION, Plane, least_plane, plane_tooltip, wrapped_over_plane
from attn.charts.scale import colour_scale, logarithmic
from attn.charts.theme import LIGHT, theme_ink

_MOST_BARS = 40
_LEAST_TERMS, _FEW_TERMS, _MOST_TERMS = 3, 4, 24
_WRITTEN = 42  # pixels of a product that has room for its decimals
_ROW = 28  # pixels from one bar to the next
_BESIDE = 60  # pixels for a number left of a negative bar
_AROUND_NUMBER = 14  # pixels left and right of a number beside its bar
_STEPS = 220  # pixels for the height of steps that add up


@checked_arguments(numbers=("values",), pixels=("width",), labels=("labels",))
def bars(
    values,
    labels,
    theme=LIGHT,
    *,
    kind="weights",
    title="",
    width=360,
    color=None,
    shares=False,
    scale=Scale(),
    pick=Pick(),
):
    """Draw numbers as level bars, each with its value at the end.

    Parameters
    ----------
    values : array_like, shape (n,)
    labels : sequence of str
    theme : Theme, default LIGHT
    kind : {"weights", "signed", "magnitude"}
        As in `attn.charts.heatmap`; bars of weights run from 0 to 1.
    title : str
    width : int, default 360
        Pixels of the longest possible bar; where they are too few to be read, more are taken.
    color : str or sequence of str, optional
        One colour ``#rrggbb`` for all bars, or one each; by default that of the kind.
    shares : bool, default False
        Whether the numbers are probabilities, which are written as per cent.
    scale : Scale, optional
        Its end, whether lengths are logarithmic, which the title then says and signed ones never are, and what a
        number is called.
    pick : Pick, optional
        Which bar is marked. Its selection tells which was chosen, as ``{"row": i}`` counted from 0.

    Returns
    -------
    alt.LayerChart
        Of more than 40 values the largest, in their order, and one bar for the sum of the others.

    Raises
    ------
    ValueError
        If there is not one label per value.
    """
    values, labels = _row(values, labels, "values")
    if not values.size:
        return message("Nothing to show.", theme, title)
    scale = replace(scale, log=scale.log and kind != "signed")
    scale = colour_scale(values, theme, kind, **vars(scale))
    values, labels, place = _largest(values, labels, _MOST_BARS)
    written = [percent(value) for value in values] if shares else aligned_labels(values)
    middle = np.arange(values.size) + 0.5
    names = labelled_axis(Ticks(middle.tolist(), labels, 0), "", theme.muted)
    width, (zero, *end) = bar_lengths(np.append(0, values), scale, width)
    plane = Plane(width, _ROW * values.size, columns=1, rows=values.size, y_axis=names)
    table = mark_table(
        {
            "row": place.astype(np.int32),  # the browser reads 64 bits as another kind of number
            "x": np.minimum(zero, end),
            "x2": np.maximum(zero, end),
            "y": middle - 0.34,
            "y2": middle + 0.34,
            "color": _bar_colours(values, place, scale, color),
            "label": labels,
            "shown": [f"{number(100 * value, 4)}%" if shares else number(value, 4) for value in values],
        }
    )
    says = plane_tooltip(("label", "at"), ("shown", scale.name))
    channels = plane.box() | {"color": mark_channel("color:N", scale=None), "tooltip": says}
    mark = mark_layer(table, "rect", channels, cornerRadius=2)
    layers = [
        _band(plane, row, bars_row_end(plane, end[row], written[row]), theme)
        for row in np.flatnonzero(place == pick.selected)
    ]
    layers += [selectable_mark(mark, pick.select, "row"), plane.outline(zero, 0, zero, values.size, theme.muted, 1)]
    layers += _ends(plane, end, middle, written, (values < 0) & (kind == "signed"))
    if scale.log:  # which no axis says
        title = logarithmic(title or scale.name)
    best = int(np.nan_to_num(np.abs(values)).argmax())
    most = written[best] if shares else number(values[best])
    what = f"{title or 'Bars'}: {len(values)} bars; the largest is {labels[best]}, {most}."
    return dressed_layout(plane.figure(layers, title), theme, what)


@checked_arguments(numbers=("left", "right"), pixels=("width",))
def products(left, right, theme=LIGHT, *, left_name="query", right_name="key", labels=None, title="", width=880):
    """Draw two rows, their products, and how the products add up to one number.

    Parameters
    ----------
    left, right : array_like, shape (d,)
    theme : Theme, default LIGHT
    left_name, right_name : str
        "query", "key", "value" and "output" bring their colours.
    labels : sequence of str, optional
        What each place is called; by default its number, counted from 1.
    title : str
    width : int, default 880
        Pixels that the columns may take; more are taken where four numbers would not fit.

    Returns
    -------
    alt.VConcatChart
        The two rows, their products, and below them a step per product that begins where the one
        before it ended, with the sum so far at its end; the last column is the total. Of more than 24
        places, or of more than have room for their decimals, those with the largest products, in their
        order, and one for the others together.

    Raises
    ------
    ValueError
        If the rows differ in length, or there is not one label per place.
    """
    left, right = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    if left.ndim != 1 or left.shape != right.shape:
        raise ValueError(
            f"{left_name} and {right_name} must be rows of equal length, got {left.shape} and {right.shape}"
        )
    names = [str(i) for i in range(1, left.size + 1)] if labels is None else labels
    terms, names = _row(left * right, names, "the products")
    if not terms.size:
        return message("Nothing to add up.", theme, title)
    total = terms.sum()
    gutter = 1.1 * max(map(label_pixels, (left_name, f"× {right_name}", "running sum"))) + 12  # names are bold
    columns = int((width - gutter) / _WRITTEN)
    least = min(max(columns - 1, _LEAST_TERMS), _FEW_TERMS)  # few stand close to one another, beside the total
    terms, names, place = _largest(terms, names, max(least, min(_MOST_TERMS, columns - 2)))
    pitch, kept = int(max(_WRITTEN, min(64, (width - gutter) / (terms.size + 1)))), np.flatnonzero(place >= 0)
    shared = max(np.abs(left).max(), np.abs(right).max()) or None
    largest = np.abs(terms).max()  # the total may lie beyond, or all products would be pale
    factors, sums = (left[place[kept]], right[place[kept]]), np.cumsum(np.nan_to_num(terms))
    texts = _short([*factors, np.append(terms, total), np.append(sums, sums[-1])], pitch)
    strip = partial(_strip, columns=terms.size + 1, pitch=pitch, theme=theme)
    rows = [
        strip(factors[0], texts[0], kept, left_name, limit=shared, color=theme.role(left_name)),
        strip(factors[1], texts[1], kept, f"× {right_name}", limit=shared, color=theme.role(right_name), below="sum"),
        strip(
            np.append(terms, total), texts[2], np.arange(terms.size + 1), "= product", limit=largest, color=theme.text
        ),
        _steps(terms, names, texts[3], theme, pitch),
    ]
    if title:
        rows[0].title = wrapped_over_plane(title, pitch * (terms.size + 1))
    what = f"{title or f'{left_name} times {right_name}'}: {left.size} products add up to {number(total)}."
    return dressed_layout(concatenation("vconcat", rows, spacing=5), theme, what)


def bar_lengths(values, scale, width):
    """Return the width of a plot of bars, and where they end as fractions of it.

    Negative bars have room for a number at their left, beside which the longest still has its least length.
    """
    beside = _BESIDE if scale.kind == "signed" else 0
    width = least_plane(width - beside) + beside
    return width, beside / width + (1 - beside / width) * scale.fraction(values)


def _row(values, labels, name):
    """Return one row of floats and its labels, or say that they do not fit."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or values.size != len(labels):
        raise ValueError(f"{name} must be one row with a label each, got {values.shape} and {len(labels)} labels")
    return values, [str(label) for label in labels]


def _largest(values, labels, most):
    """Keep at most `most` values: the largest in their order, then the sum of the others at place -1."""
    if values.size <= most:
        return values, labels, np.arange(values.size)
    ranked = np.argsort(-np.nan_to_num(np.abs(values), nan=np.inf), kind="stable")
    kept, others = np.sort(ranked[: most - 1]), ranked[most - 1 :]
    labels = [labels[i] for i in kept] + [f"other {others.size}"]
    return np.append(values[kept], values[others].sum()), labels, np.append(kept, -1)


def _bar_colours(values, place, scale, color):
    """Return the colour of each bar."""
    theme = scale.theme
    if color is None:
        own = [theme.bar(value) for value in values] if scale.kind == "signed" else theme.weight_half
    else:
        own = color if isinstance(color, str) else [color[p] for p in place]
    own = [own] * values.size if isinstance(own, str) else own
    own = [theme.muted if p < 0 else c for p, c in zip(place, own, strict=True)]
    return [c if np.isfinite(v) else theme.invalid for v, c in zip(values, own, strict=True)]


def bars_row_end(plane, end, text):
    """Return how far what marks a row of bars reaches, its number right of the bar in it, in units of the plane."""
    return max(plane.columns, end + (label_pixels(text) + _AROUND_NUMBER) / plane.width * plane.columns)


def _band(plane, row, end, theme):
    """Return a band behind one row."""
    band = mark_table({"x": [0.0], "x2": [end], "y": [row], "y2": [row + 1]})
    return plane.rectangles(band, color=theme.grid, cornerRadius=2, style=SELECTION)


def _ends(plane, end, middle, texts, left):
    """Return the values at the ends of the bars: left of those that run to the left, right of the others."""
    table = mark_table({"x": end, "y": middle, "text": texts})
    sides = ((left, {"align": "right", "dx": -6}), (~left, {"align": "left", "dx": 6}))
    return [plane.texts(table.filter(mark_column(side)), **place) for side, place in sides if side.any()]


def _strip(values, texts, at, name, *, columns, pitch, limit, color, theme, below=""):
    """Return a row of cells with their values as `texts`, those in the columns `at`.

    In place of a last cell may stand what the one below it is.
    """
    limit = limit if limit and np.isfinite(limit) else None
    scale = colour_scale(values, theme, "signed", limit, name=name)
    title = labelled_axis(Ticks([0.5], [name], 0), "", theme.muted, labelColor=color, labelFontWeight=700)
    plane = Plane(pitch * columns, 2 * LINE, columns=columns, rows=1, y_axis=title)
    last = mark_table({"x": [columns - 0.5], "y": [1 - LINE / 2 / plane.height], "text": [below]})
    named = [plane.texts(last, color=theme.muted)] if below else []
    columns = {"x": at, "x2": at + 1, "y": 0, "y2": 1, "middle": at + 0.5, "half": 0.5}
    columns |= {"shade": scale.shade(values), "state": np.where(np.isfinite(values), 0, 2)}
    columns |= {"text": texts, "ink": theme_ink(scale.colours(values))}
    table = mark_table(columns | {"shown": [number(value, 4) for value in values]})
    fill = mark_colour(scale.encoding("shade", legend=False), theme)
    says = plane_tooltip(("shown", name))
    mark = mark_layer(table, "rect", plane.box() | {"color": fill, "tooltip": says}, stroke=theme.grid)
    return plane.figure([mark, *named, plane.texts(table, "middle", "half", says)])


def _steps(terms, names, texts, theme, pitch):
    """Return the products as steps from 0 up or down to their total, each with the sum so far at its end."""
    ends = np.cumsum(np.nan_to_num(terms))
    start, end = np.append(np.append(0, ends[:-1]), 0), np.append(ends, ends[-1])
    low, high = min(0, ends.min()), max(0, ends.max())
    beside = 1.5 * LINE / _STEPS  # room for a sum above the highest step, and below the lowest

    def level(sums):
        return beside + (high - sums) / (high - low or 1) * (1 - 2 * beside)

    at, zero, up = np.arange(end.size), float(level(0)), end >= start
    names = Ticks((at + 0.5).tolist(), [*names, "total"], -45 if max(map(label_pixels, names)) + 6 > pitch else 0)
    sums = labelled_axis(Ticks([zero], ["running sum"], 0), "", theme.muted, labelColor=theme.muted)
    plane = Plane(
        pitch * end.size, _STEPS, columns=end.size, rows=1, x_axis=labelled_axis(names, "", theme.muted), y_axis=sums
    )
    written = level(end) + np.where(up, -1, 1) * (LINE / 2 + 1) / _STEPS
    columns = {
        "x": at + 0.1,
        "x2": at + 0.9,
        "middle": at + 0.5,
        "label": names.texts,
        "y": level(np.maximum(start, end)),
        "y2": level(np.minimum(start, end)),
        "written": written,
        "color": [theme.bar(term) for term in terms] + [theme.text],
        "text": texts,
        "shown": [number(term, 4) for term in np.append(terms, terms.sum())],
        "sum": [number(value, 4) for value in end],
    }
    table = mark_table(columns)
    says = plane_tooltip(("label", "place"), ("shown", "product"), ("sum", "sum so far"))
    channels = plane.box() | {"color": mark_channel("color:N", scale=None), "tooltip": says}
    mark = mark_layer(table, "rect", channels, cornerRadius=1)
    links = mark_table({"x": at[:-1] + 0.9, "x2": at[1:] + 0.1, "y": level(ends), "y2": level(ends)})
    links = mark_layer(links, "rule", plane.box(), color=theme.muted, strokeDash=[2, 2], tooltip=None)
    free = at[np.abs(written - zero) * _STEPS > LINE / 2]  # the line at zero goes through no number
    line = mark_table({"x": free, "x2": free + 1, "y": zero, "y2": zero})
    line = mark_layer(line, "rule", plane.box(), color=theme.muted, tooltip=None)
    return plane.figure([line, links, mark, plane.texts(table, "middle", "written")])


def _short(rows, room):
    """Return the numbers of rows, all written in one way that fits into so many pixels, or empty texts if none does."""
    for digits in (3, 2, 1):
        texts = [aligned_labels(values, digits) for values in rows]
        without_zero = [[text.replace("0.", ".", 1) for text in row] for row in texts]
        for attempt in (texts, without_zero):
            if max(map(label_pixels, chain.from_iterable(attempt)), default=0) + 4 <= room:
                return attempt
    return [[""] * len(values) for values in rows]
