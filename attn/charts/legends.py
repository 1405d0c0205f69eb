"""What stands below a figure: how wide a scale is, and squares of colour with a word each."""

import numpy as np

from attn.charts.labels import label_pixels
from attn.charts.marks import mark_channel, mark_layer, mark_table

_INVALID = "not a number"
_BESIDE_SWATCH = 28  # pixels of a square, and to what stands before it


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
    colours = {hidden_name: theme.hidden, _INVALID: theme.invalid}
    names = _swatches(values, hidden, hidden_name)
    return [legend_alone(names, [colours[name] for name in names], offset=12)] if names else []


def legend_swatches_width(values, hidden, hidden_name="hidden"):
    """Return the pixels across that `legend_swatches` takes beside a scale."""
    return sum(_BESIDE_SWATCH + label_pixels(name) for name in _swatches(values, hidden, hidden_name))


def _swatches(values, hidden, hidden_name):
    """Return the names of what has a square: hidden cells, and those that are no number."""
    there = {hidden_name: hidden.any(), _INVALID: (~np.isfinite(values) & ~hidden).any()}
    return [name for name, is_there in there.items() if is_there]


def legend_alone(names, colours, **look):
    """Return a layer that draws nothing but a legend of these names, each with a square of its colour."""
    look |= {"symbolOpacity": 1, "symbolStrokeWidth": 0}
    color = legend_squares("kind", dict(zip(names, colours, strict=True)), **look)
    nowhere = {side: {"value": 0} for side in ("x", "x2", "y", "y2")}
    return mark_layer(mark_table({"kind": names}), "rect", {"color": color, **nowhere}, opacity=0, tooltip=None)
