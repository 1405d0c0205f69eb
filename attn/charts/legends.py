"""What stands below a figure: how wide a scale is, and squares of colour with a word each."""

import altair as alt
import numpy as np
import pandas as pd


def legend_length(plane):
    """Return how long a legend below this plane is, in pixels."""
    return int(min(max(plane.width * 0.5, 110), 220))


def legend_squares(field, colours, **look):
    """Return the colour channel for the names in `field`, each of its colour, with squares for a legend."""
    legend = alt.Legend(
        title=None, orient="bottom", direction="horizontal", symbolType="square", symbolSize=150, **look
    )
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Color(f"{field}:N", scale=scale, legend=legend)


def legend_swatches(values, hidden, theme, hidden_name="hidden"):
    """Return a layer that draws nothing but the legend entries of hidden and invalid cells."""
    entries = {}
    if hidden.any():
        entries[hidden_name] = theme.hidden
    if (~np.isfinite(values) & ~hidden).any():
        entries["not a number"] = theme.invalid
    if not entries:
        return []
    color = legend_squares("kind", entries, symbolOpacity=1, symbolStrokeWidth=0, offset=12)
    nowhere = {"x": alt.XValue(0), "x2": alt.X2Value(0), "y": alt.YValue(0), "y2": alt.Y2Value(0)}
    mark = alt.Chart(pd.DataFrame({"kind": list(entries)})).mark_rect(opacity=0, tooltip=None)
    return [mark.encode(color=color, **nowhere)]
