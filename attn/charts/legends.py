"""What stands below a figure: how wide a scale is, and squares of colour with a word each."""

import numpy as np

from attn.charts.marks import mark_channel, mark_layer, mark_table


def legend_length(plane):
    """Return how long a legend below this plane is, in pixels."""
    return int(min(max(plane.width * 0.5, 110), 220))


def legend_squares(field, colours, **look):
    """Return the colour channel for the names in `field`, each of its colour, with squares for a legend."""
    legend = {"title": None, "orient": "bottom", "direction": "horizontal", "symbolType": "square", "symbolSize": 150}
    scale = {"domain": list(colours), "range": list(colours.values())}
    return mark_channel(f"{field}:N", scale=scale, legend=legend | look)


def legend_swatches(values, hidden, theme, hidden_name="hidden"):
    """Return a layer that draws nothing but the legend entries of hidden and invalid cells."""
    entries = {}
    if hidden.any():
        entries[hidden_name] = theme.hidden
    if (~np.isfinite(values) & ~hidden).any():
        entries["not a number"] = theme.invalid
    if not entries:
        return []
    return [legend_alone(list(entries), list(entries.values()), offset=12)]


def legend_alone(names, colours, **look):
    """Return a layer that draws nothing but a legend of these names, each with a square of its colour."""
    look |= {"symbolOpacity": 1, "symbolStrokeWidth": 0}
    color = legend_squares("kind", dict(zip(names, colours, strict=True)), **look)
    nowhere = {side: {"value": 0} for side in ("x", "x2", "y", "y2")}
    return mark_layer(mark_table({"kind": names}), "rect", {"color": color, **nowhere}, opacity=0, tooltip=None)
