"""Every head of a model at once: layers down, heads across, one picture on one scale of colour."""

import numpy as np

from attn.charts import raster
from attn.charts.arguments import checked_arguments
from attn.charts.cells import cells_image_layer
from attn.charts.labels import number
from attn.charts.layout import dressed_layout
from attn.charts.legends import legend_length, legend_swatches
from attn.charts.marks import mark_layer, mark_table, selectable_mark
from attn.charts.message import message
from attn.charts.options import Pick, Scale
from attn.charts.plane import Plane, plane_tooltip
from attn.charts.scale import colour_scale
from attn.charts.theme import LIGHT

_AXIS = 60  # pixels left of the maps, for the names of the layers
_LEAST_TILE, _LARGEST_TILE = 24, 240  # pixels along one map


@checked_arguments(numbers=("weights",), pixels=("width", "tallest"))
def mosaic(
    weights,
    theme=LIGHT,
    *,
    kind="weights",
    title="",
    hidden=None,
    width=900,
    tallest=1200,
    scale=Scale(),
    pick=Pick(),
):
    """Draw the maps of all heads of all layers as one picture.

    Parameters
    ----------
    weights : array_like, shape (num_layers, num_heads, n_q, n_k)
        NaN throughout for a head that a layer does not have.
    theme : Theme, default LIGHT
    kind, scale
        As in `attn.charts.heatmap`.
    title : str
    hidden : array_like of bool, broadcastable to the shape of the weights, optional
        True in the maps of heads that are filtered out.
    width, tallest : int
        Pixels that all maps may take across and down.
    pick : Pick, optional
        Which layer and head are outlined. Its selection tells which were chosen, as ``{"row": layer, "column": head}``
        counted from 0; the labels count from 1.

    Returns
    -------
    alt.LayerChart
        What is sent does not grow with the number of tokens: a map larger than its place is pooled.

    Raises
    ------
    ValueError
        If the weights do not have four axes.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.ndim != 4:
        raise ValueError(f"weights must be (num_layers, num_heads, n_q, n_k), got {weights.shape}")
    if not weights.size:
        return message("Nothing to show.", theme, title)
    hidden = np.broadcast_to(False if hidden is None else hidden, weights.shape)
    num_layers, num_heads, n_q, n_k = weights.shape
    colours = colour_scale(weights, theme, kind, shown=~hidden, **vars(scale))
    tile_height, tile_width = _tile(num_layers, num_heads, n_q, n_k, width, tallest)
    names = [str(layer + 1) for layer in range(num_layers)], [str(head + 1) for head in range(num_heads)]
    plane = Plane(num_heads * tile_width, num_layers * tile_height, columns=num_heads, rows=num_layers)
    plane = plane.labelled(*names, ("layer", "head"), theme, chosen=pick.places())

    small, gone = _whole(weights, hidden, tile_height, tile_width)
    url = raster.raster_picture(small, gone, colours, small.shape[1], small.shape[0])
    layers = [cells_image_layer(plane, url), *_touch(weights, hidden, plane, colours, pick.select)]
    layers += legend_swatches(small, gone, theme, "filtered out")
    if pick.selected is not None:
        layer, head = pick.selected
        layers.append(plane.selection_frame(head, layer, head + 1, layer + 1, theme.text, 3))
    what = f"{title or 'All heads'}: {num_layers} layers of {num_heads} heads, each a map of {n_q} by {n_k}."
    return dressed_layout(plane.figure(layers, title), theme, what)


def _tile(num_layers, num_heads, n_q, n_k, width, tallest):
    """Return the height and the width of one map: whole pixels a cell, if there are so many."""
    longest = max(n_q, n_k)
    room = min((width - _AXIS) / num_heads, tallest / num_layers, _LARGEST_TILE)
    room = max(room, _LEAST_TILE)
    cell = int(room / longest) if room >= longest else room / longest
    return max(1, round(n_q * cell)), max(1, round(n_k * cell))


def _whole(weights, hidden, most_rows, most_columns):
    """Return all maps as one matrix, pooled where there are more cells than pixels."""
    pooled = [
        [raster.pool_raster(w, h, most_rows, most_columns) for w, h in zip(*layer, strict=True)]
        for layer in zip(weights, hidden, strict=True)
    ]
    return tuple(np.block([[tile[part] for tile in layer] for layer in pooled]) for part in (0, 1))


def _touch(weights, hidden, plane, scale, select):
    """Return frames around the maps, and over each a block that answers to the pointer."""
    num_layers, num_heads = weights.shape[:2]
    layer, head = np.divmod(np.arange(num_layers * num_heads, dtype=np.int32), num_heads)
    largest = np.where(hidden | ~np.isfinite(weights), 0, np.abs(weights)).max(axis=(2, 3)).ravel()
    boxes = {"x": head, "x2": head + 1, "y": layer, "y2": layer + 1}
    says = {
        "shade": scale.shade(largest).astype(np.float32),
        "name": [f"layer {at + 1}, head {which + 1}" for at, which in zip(layer, head, strict=True)],
        "shown": [number(value, 4) for value in largest],
    }
    table = mark_table(boxes | {"row": layer, "column": head} | says)
    color = scale.encoding("shade", legend_length(plane), room=plane.width)
    says = plane_tooltip(("name", "head"), ("shown", f"largest {scale.name}"))
    touch = mark_layer(table, "rect", plane.box() | {"color": color, "tooltip": says}, opacity=0)
    frames = plane.rectangles(mark_table(boxes), filled=False, stroke=scale.theme.muted, strokeWidth=1)
    return [frames, selectable_mark(touch, select, "row", "column")]
