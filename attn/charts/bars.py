"""Single rows of numbers: bars with their values, and products that add up."""

import altair as alt
import numpy as np
import pandas as pd

from attn.charts.heatmap import message, wrapped
from attn.charts.labels import LINE, Ticks, aligned, axis, number, pixels
from attn.charts.layout import dressed
from attn.charts.scale import colour_scale
from attn.charts.theme import ink_on

_MOST_BARS = 40
_MOST_TERMS = 24
_ROW = 28  # pixels from one bar to the next


def bars(
    values,
    labels,
    theme,
    *,
    title="",
    kind="weights",
    color=None,
    selected=None,
    select=None,
    limit=None,
    log=False,
    width=420,
):
    """Draw numbers as level bars, each with its value at the end.

    Parameters
    ----------
    values : array_like, shape (n,)
    labels : sequence of str
    theme : Theme
    title : str
    kind : {"weights", "signed", "magnitude"}
        As in `heatmap`; for weights the bars run from 0 to 1.
    color : str or sequence of str, optional
        One colour ``#rrggbb`` for all bars, or one each; by default that of the kind.
    selected : int, optional
        A bar to outline.
    select : str, optional
        Name of a selection that tells which bar was chosen, as ``{"row": i}``.
    limit : float, optional
        The value at the end of the scale.
    log : bool, default False
        Logarithmic lengths, for values that are not signed.
    width : int, default 420
        Pixels of the longest possible bar.

    Returns
    -------
    alt.LayerChart
        Of more than 40 values the largest, and one bar for the sum of the others.

    Raises
    ------
    ValueError
        If there is not one label per value.
    """
    values, labels = _row(values, labels, "values")
    if not values.size:
        return message("Nothing to show.", theme, title)
    scale = colour_scale(values, theme, kind, limit, log and kind != "signed")
    row = np.arange(values.size)
    values, labels, row = _largest(values, labels, row, _MOST_BARS)
    colours = _bar_colours(values, row, scale, color)
    signed = kind == "signed"
    zero = scale.floor if scale.log else 0.0
    end = scale.shade(values)
    order = np.arange(values.size)
    table = pd.DataFrame(
        {
            "row": row,
            "x": np.minimum(zero, end),
            "x2": np.maximum(zero, end),
            "y": order + 0.16,
            "y2": order + 0.84,
            "middle": order + 0.5,
            "end": end,
            "label": labels,
            "text": aligned(values),
            "shown": [number(v, 4) for v in values],
            "color": colours,
            "edge": [theme.text if r == selected else c for r, c in zip(row, colours, strict=True)],
        }
    )
    height = _ROW * values.size
    x = alt.X("x:Q", scale=alt.Scale(domain=scale.domain[:: 2 if signed else 1], nice=False, zero=False, type="log" if scale.log else "linear"), axis=None)
    down = alt.Scale(domain=[values.size, 0], nice=False, zero=False)
    named = Ticks((order + 0.5).tolist(), list(labels), 0)
    y = alt.Y("y:Q", scale=down, axis=axis(named, "", theme.muted))
    base = alt.Chart(table)
    mark = base.mark_rect(strokeWidth=2.5, cornerRadius=2).encode(
        x=x,
        x2="x2:Q",
        y=y,
        y2="y2:Q",
        color=alt.Color("color:N", scale=None),
        stroke=alt.Stroke("edge:N", scale=None),
        tooltip=[alt.Tooltip("label:N", title="token"), alt.Tooltip("shown:N", title="value")],
    )
    if select:
        mark = mark.add_params(alt.selection_point(name=select, fields=["row"], toggle=False, empty=False))
    layers = [mark, *_ends(table, x, y), *_zero_line(zero, values.size, x, y, theme)]
    chart = alt.layer(*layers).properties(width=width, height=height)
    if title:
        chart = chart.properties(title=wrapped(title, width))
    top = int(np.nanargmax(np.abs(np.where(row < 0, 0, np.nan_to_num(values)))))
    what = f"{title or 'Bars'}: {values.size} values; the largest is {labels[top]}, {number(values[top])}."
    return dressed(chart, theme, what)


def products(left, right, theme, *, left_name="query", right_name="key", labels=None, title="", width=880):
    """Draw two rows, their products, and how the products add up to one number.

    Parameters
    ----------
    left, right : array_like, shape (d,)
    theme : Theme
    left_name, right_name : str
        "query", "key", "value" and "output" bring their colours.
    labels : sequence of str, optional
        What each place is called; by default its number, counted from 1.
    title : str
    width : int, default 880
        Pixels that the figure may take.

    Returns
    -------
    alt.VConcatChart
        The two rows, and below them a bar per product that begins where the one before it ended;
        the last bar is the total. Of more than 24 places those with the largest products, in
        their order, and one for the others together.

    Raises
    ------
    ValueError
        If the rows differ in length.
    """
    left, right = np.asarray(left, dtype=float).ravel(), np.asarray(right, dtype=float).ravel()
    if left.shape != right.shape:
        raise ValueError(f"{left_name} and {right_name} must be equally long, got {left.size} and {right.size}")
    labels = [str(i) for i in range(1, left.size + 1)] if labels is None else labels
    terms, labels = _row(left * right, labels, "labels")
    if not terms.size:
        return message("Nothing to add up.", theme, title)
    place = np.arange(terms.size)
    terms, labels, place = _largest(terms, labels, place, _MOST_TERMS)
    pitch = int(min(64, width / (terms.size + 1)))
    rows = [_strip(row, place, name, theme, pitch) for row, name in ((left, left_name), (right, right_name))]
    steps = _waterfall(terms, labels, theme, pitch)
    total = number(terms.sum())
    if title:
        rows[0] = rows[0].properties(title=wrapped(title, pitch * terms.size))
    what = f"{title or f'{left_name} times {right_name}'}: {left.size} products add up to {total}."
    return dressed(alt.vconcat(*rows, steps, spacing=4), theme, what)


def distribution(values, theme, *, title="", name="value", color=None, bins=30, width=420, height=200):
    """Draw how often values occur, as a histogram.

    Parameters
    ----------
    values : array_like
        What is not finite is left out.
    theme : Theme
    title : str
    name : str
        What a value is called.
    color : str, optional
    bins : int, default 30
    width, height : int
        Pixels.

    Returns
    -------
    alt.Chart
        What is sent is the counts, however many values there are.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if not values.size:
        return message("Nothing to show.", theme, title)
    count, border = np.histogram(values, bins=bins)
    table = pd.DataFrame({"x": border[:-1], "x2": border[1:], "count": count, "zero": 0})
    table["range"] = [f"{number(a)} to {number(b)}" for a, b in zip(border[:-1], border[1:], strict=True)]
    mark = alt.Chart(table).mark_rect(color=color or theme.weight, stroke=theme.background, strokeWidth=1)
    chart = mark.encode(
        x=alt.X("x:Q", scale=alt.Scale(domain=[border[0], border[-1]], nice=False, zero=False), axis=alt.Axis(title=name, tickCount=5)),
        x2="x2:Q",
        y=alt.Y("zero:Q", axis=alt.Axis(title="how many", tickCount=4, grid=True)),
        y2="count:Q",
        tooltip=[alt.Tooltip("range:N", title=name), alt.Tooltip("count:Q", title="how many")],
    ).properties(width=width, height=height)
    if title:
        chart = chart.properties(title=wrapped(title, width))
    what = f"{title or name}: {values.size} values from {number(values.min())} to {number(values.max())}."
    return dressed(chart, theme, what)


def _row(values, labels, name):
    """Return one row of floats and its labels, or say that they do not fit."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or values.size != len(labels):
        raise ValueError(f"{name} must be one row with a label each, got {values.shape} and {len(labels)} labels")
    return values, [str(label) for label in labels]


def _largest(values, labels, place, most):
    """Keep at most `most` values: the largest in their order, then the others' sum at place -1."""
    if values.size <= most:
        return values, labels, place
    ranked = np.argsort(-np.abs(np.nan_to_num(values, nan=np.inf)), kind="stable")
    kept, others = np.sort(ranked[: most - 1]), ranked[most - 1 :]
    labels = [labels[i] for i in kept] + [f"the other {others.size}"]
    return np.append(values[kept], values[others].sum()), labels, np.append(place[kept], -1)


def _bar_colours(values, row, scale, color):
    """Return the colour of each bar."""
    theme = scale.theme
    if color is None:
        own = [theme.weight] * values.size
        if scale.kind == "signed":
            own = [theme.negative if v < 0 else theme.positive for v in values]
    else:
        own = [color if isinstance(color, str) else color[r] for r in row]
    return [theme.muted if r < 0 else (c if np.isfinite(v) else theme.invalid) for r, c, v in zip(row, own, values, strict=True)]


def _ends(table, x, y):
    """Return the values at the ends of the bars, to the right of positive and to the left of negative ones."""
    layers = []
    for negative in (False, True):
        part = table[(table["x"] < table["x2"]) & (table["end"] == table["x"]) if negative else ~((table["x"] < table["x2"]) & (table["end"] == table["x"]))]
        if len(part):
            mark = alt.Chart(part[["end", "middle", "text"]]).mark_text(
                align="right" if negative else "left", dx=-6 if negative else 6, baseline="middle", tooltip=None
            )
            place = alt.X("end:Q", scale=x["scale"], axis=None)
            layers.append(mark.encode(x=place, y=alt.Y("middle:Q", scale=y["scale"]), text="text:N"))
    return layers


def _zero_line(zero, count, x, y, theme):
    """Return the line from which the bars start."""
    line = alt.Chart(pd.DataFrame({"x": [zero], "y": [0], "y2": [count]})).mark_rule(color=theme.muted, tooltip=None)
    return [line.encode(x=alt.X("x:Q", scale=x["scale"], axis=None), y=alt.Y("y:Q", scale=y["scale"]), y2="y2:Q")]


def _strip(values, place, name, theme, pitch):
    """Return one row of numbered cells, those at `place`; place -1 is left empty."""
    kept = place >= 0
    shown = values[place[kept]]
    scale = colour_scale(values, theme, "signed")
    height = 2 * LINE
    cells = pd.DataFrame(
        {
            "x": np.flatnonzero(kept),
            "x2": np.flatnonzero(kept) + 1,
            "middle": np.flatnonzero(kept) + 0.5,
            "shade": scale.shade(shown),
            "text": _short(shown, pitch),
            "shown": [number(v, 4) for v in shown],
            "ink": ink_on(scale.colours(shown), theme),
        }
    )
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, place.size + 1], nice=False, zero=False), axis=None)
    named = axis(Ticks([0.5], [name], 0), "", theme.muted, labelColor=theme.role(name), labelFontWeight=700)
    y = alt.Y("row:Q", scale=alt.Scale(domain=[1, 0], nice=False), axis=named)
    cells["row"], cells["row2"] = 0, 1
    base = alt.Chart(cells)
    mark = base.mark_rect(stroke=theme.grid).encode(
        x=x, x2="x2:Q", y=y, y2="row2:Q",
        color=scale.encoding("shade", name, legend=False),
        tooltip=[alt.Tooltip("shown:N", title=name)],
    )  # fmt: skip
    text = base.mark_text(baseline="middle", tooltip=None).encode(
        x=alt.X("middle:Q", scale=x["scale"], axis=None),
        y=alt.value(height / 2),
        text="text:N",
        color=alt.Color("ink:N", scale=None),
    )
    return alt.layer(mark, text).resolve_scale(color="independent").properties(width=pitch * (place.size + 1), height=height)


def _waterfall(terms, labels, theme, pitch):
    """Return the products as steps from 0 to their total."""
    ends = np.cumsum(terms)
    total = ends[-1]
    start, end = np.append(ends - terms, 0.0), np.append(ends, total)
    size = np.append(terms, total)
    colours = [theme.negative if v < 0 else theme.positive for v in terms] + [theme.text]
    order = np.arange(size.size)
    steps = pd.DataFrame(
        {
            "x": order + 0.12,
            "x2": order + 0.88,
            "middle": order + 0.5,
            "next": order + 1.88,
            "start": start,
            "end": end,
            "top": np.maximum(start, end),
            "label": [*labels, "total"],
            "text": _short(size, pitch + 6),
            "shown": [number(v, 4) for v in size],
            "sum": [number(v, 4) for v in end],
            "color": colours,
        }
    )
    low, high = min(0.0, end.min(), start.min()), max(0.0, end.max(), start.max())
    room = (high - low or 1) * 0.12
    x = alt.Scale(domain=[0, size.size], nice=False, zero=False)
    y = alt.Scale(domain=[low - room / 3, high + room], nice=False, zero=False)
    tilted = max(map(pixels, steps["label"])) + 6 > pitch
    named = Ticks(steps["middle"].tolist(), steps["label"].tolist(), -45 if tilted else 0)
    sums = Ticks([0.0], ["running sum"], 0)
    base = alt.Chart(steps)
    mark = base.mark_rect(cornerRadius=1).encode(
        x=alt.X("x:Q", scale=x, axis=axis(named, "", theme.muted)),
        x2="x2:Q",
        y=alt.Y("start:Q", scale=y, axis=axis(sums, "", theme.muted)),
        y2="end:Q",
        color=alt.Color("color:N", scale=None),
        tooltip=[
            alt.Tooltip("label:N", title="place"),
            alt.Tooltip("shown:N", title="product"),
            alt.Tooltip("sum:N", title="sum so far"),
        ],
    )
    links = alt.Chart(steps.iloc[:-1]).mark_rule(color=theme.muted, strokeDash=[2, 2], tooltip=None)
    links = links.encode(x=alt.X("x2:Q", scale=x), x2="next:Q", y=alt.Y("end:Q", scale=y))
    text = base.mark_text(dy=-9, tooltip=None).encode(
        x=alt.X("middle:Q", scale=x), y=alt.Y("top:Q", scale=y), text="text:N"
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=theme.muted, tooltip=None).encode(y=alt.Y("zero:Q", scale=y))
    return alt.layer(zero, links, mark, text).properties(width=pitch * size.size, height=220)


def _short(values, room):
    """Return numbers that fit into so many pixels, or empty texts if none do."""
    for digits in (3, 2, 1):
        texts = aligned(values, digits)
        for attempt in (texts, [text.replace("0.", ".", 1) for text in texts]):
            if max(map(pixels, attempt), default=0) + 4 <= room:
                return attempt
    return [""] * len(values)
