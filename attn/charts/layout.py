"""Figures beside and above one another, dressed alike."""

import altair as alt
import pandas as pd

from attn.charts.theme import config

_OPERATOR_SIZE = 30


def dressed(chart, theme, description):
    """Return `chart` with the type and colours of `theme`, and `description` for those who cannot see it."""
    return chart.properties(description=description).configure(**config(theme))


def undressed(chart):
    """Return `chart` without what only a whole figure may carry, ready to be part of another."""
    chart = chart.copy(deep=False)
    chart.config = alt.Undefined
    return chart


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
    heights = [chart.height for chart in charts if isinstance(getattr(chart, "height", None), int | float)]
    height = min(heights, default=2 * _OPERATOR_SIZE)
    parts = [_operator(chart, height) if isinstance(chart, str) else chart for chart in charts]
    return _joined(alt.hconcat, parts, spacing)


def above(*charts, spacing=24):
    """Lay figures one above the other; otherwise as `beside`."""
    parts = [_operator(chart, 2 * _OPERATOR_SIZE) if isinstance(chart, str) else chart for chart in charts]
    return _joined(alt.vconcat, parts, spacing)


def _joined(concat, parts, spacing):
    """Return the concatenation, wearing what its first dressed part wore."""
    dress = next((part for part in parts if part._get("config") is not alt.Undefined), None)
    if dress is None:
        raise ValueError("there must be at least one chart to lay out, got none")
    descriptions = [part.description for part in parts if part._get("description") is not alt.Undefined]
    whole = concat(*map(undressed, parts), spacing=spacing)
    whole.config = dress.config
    return whole.properties(description=" ".join(descriptions))


def _operator(text, height):
    """Return a chart that only says `text`, half way down a figure of this height."""
    wide = max(20, 16 * len(text))
    mark = alt.Chart(pd.DataFrame({"text": [text]})).mark_text(fontSize=_OPERATOR_SIZE, tooltip=None)
    mark = mark.encode(text=alt.Text("text:N"), x=alt.XValue(wide / 2), y=alt.YValue(height / 2))
    return mark.properties(width=wide, height=height)
