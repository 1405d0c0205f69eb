"""Figures beside and above one another, dressed alike."""

import altair as alt

from attn.charts.marks import mark_channel, mark_layer, mark_table
from attn.charts.shown import FigureColumn, FigureRow
from attn.charts.theme import theme_config
from attn.functional import finite_number, short_repr

_OPERATOR_SIZE = 30
_PADDING = {"left": 0, "top": 6, "right": 12, "bottom": 8}  # so that a saved file cuts nothing


def dressed_layout(chart, theme, description):
    """Return `chart` in the type and colours of `theme`, with `description` for those who cannot see it."""
    return _altered(chart, description=description, config=theme_config(theme), padding=_PADDING)


def undressed_layout(chart):
    """Return `chart` without what only a whole figure may carry, ready to be part of another."""
    return _altered(chart, config=alt.Undefined, padding=alt.Undefined)


def _altered(chart, **changes):
    """Return a copy of `chart` with some of its properties changed; by hand, for Altair's copies every part as well."""
    copy = type(chart)()
    for name, value in (chart._kwds | changes).items():
        copy[name] = value
    return copy


def concatenation(direction, parts, spacing):
    """Return charts in a row ("hconcat") or a column ("vconcat"), not dressed yet."""
    whole = FigureRow() if direction == "hconcat" else FigureColumn()
    setattr(whole, direction, [undressed_layout(part) for part in parts])  # by hand, see `Plane.figure`
    whole.spacing = spacing
    return whole


def beside(*charts, spacing=24):
    """Lay figures side by side, keeping the size of their cells.

    Parameters
    ----------
    *charts : alt.Chart or str
        A text, such as "×" or "=", is an operator between two figures.
    spacing : int, default 24
        Pixels between them.

    Returns
    -------
    alt.HConcatChart
        Streamlit squeezes a single chart into its column and leaves a concatenation as it is, so
        one figure alone is also passed through here.

    Raises
    ------
    ValueError
        If there is no chart among `charts`.
    """
    _check_parts(charts, spacing)
    heights = [chart.height for chart in charts if isinstance(getattr(chart, "height", None), int | float)]
    height = min(heights, default=2 * _OPERATOR_SIZE)
    parts = [_operator(chart, height) if isinstance(chart, str) else chart for chart in charts]
    return _joined("hconcat", parts, spacing)


def above(*charts, spacing=24):
    """Lay figures one above the other; otherwise as `beside`."""
    _check_parts(charts, spacing)
    parts = [_operator(chart, 2 * _OPERATOR_SIZE) if isinstance(chart, str) else chart for chart in charts]
    return _joined("vconcat", parts, spacing)


def _check_parts(parts, spacing):
    """Refuse what is neither a chart nor a text between two."""
    for part in parts:
        if not isinstance(part, alt.TopLevelMixin | str):
            raise ValueError(f"each of charts must be a chart or a text, got {short_repr(part)}")
    finite_number(spacing, "spacing", least=0)


def _joined(direction, parts, spacing):
    """Return the parts in a row or a column, wearing what the first of them wears."""
    dress = next((part.config for part in parts if part._get("config") is not alt.Undefined), None)
    if dress is None:
        raise ValueError("there must be at least one chart to lay out, got none")
    whole = concatenation(direction, parts, spacing)
    descriptions = [part.description for part in parts if part._get("description") is not alt.Undefined]
    whole.config, whole.padding, whole.description = dress, _PADDING, " ".join(descriptions)
    return whole


def rows_that_fit(parts, is_operator, fits):
    """Return the parts of a row in as few rows as fit one after the other; an operator goes with what it stands before.

    Parameters
    ----------
    parts : sequence
        From left to right.
    is_operator : callable
        Whether a part only says what joins its neighbours.
    fits : callable
        Whether a list of parts fits into one row. A row of one plot is drawn in any case.

    Returns
    -------
    list of list

    Examples
    --------
    >>> rows_that_fit(["x", "×", "w", "=", "q"], "×=".__contains__, lambda row: len(row) <= 3)
    [['x', '×', 'w'], ['=', 'q']]
    """
    rows, waiting = [], []
    for part in [] if fits(parts) else parts:
        waiting.append(part)
        if not is_operator(part):
            if rows and fits([*rows[-1], *waiting]):
                rows[-1].extend(waiting)
            else:
                rows.append(waiting)
            waiting = []
    if not rows:
        return [list(parts)]
    rows[-1].extend(waiting)
    return rows


def _operator(text, height):
    """Return a chart that only says `text`, half way down a figure of this height."""
    wide = max(20, 16 * len(text))
    middle = {"x": {"value": wide / 2}, "y": {"value": height / 2}, "text": mark_channel("text:N")}
    mark = mark_layer(mark_table({"text": [text]}), "text", middle, fontSize=_OPERATOR_SIZE, tooltip=None)
    mark.width, mark.height = wide, height
    return mark
