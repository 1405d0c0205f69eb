"""How far back the last step of a sequence looks, through layers of convolutions: a fan."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.labels import Ticks, counted, labelled_axis, number, tick_labels
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_channel, mark_layer, mark_table
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.charts.theme import LIGHT
from attn.functional import several, whole_number

_DOT = 150  # square pixels of a step
_APART = 16  # pixels between two steps, at least: a dot and a gap


@checked_arguments(numbers=(("moved", 1),), pixels=("width", "layer"))
def fan(dilations, moved, theme=LIGHT, *, attends=False, title="", width=640, layer=52):
    """Draw which steps of the past reach the last one, layer by layer.

    Parameters
    ----------
    dilations : sequence of int
        Of convolutions with a kernel of 2, from the first layer to the last.
    moved : array_like, shape (n,)
        At each lag, how far the last output was measured to move when the input so far back was
        replaced.
    theme : Theme, default LIGHT
    attends : bool, default False
        Whether attention to all earlier steps lies above the convolutions.
    title : str
    width : int, default 640
        Pixels that the steps take.
    layer : int, default 52
        Pixels from one layer to the next.

    Returns
    -------
    alt.LayerChart
        Full dots are steps on a path to the last output; at the bottom those whose replacement was
        measured to move it.
    """
    moved = np.asarray(moved, dtype=float)
    dilations = [whole_number("dilations", each, least=1) for each in several("dilations", dilations)]
    if not moved.size:
        raise ValueError(f"moved must have a lag at least, got shape {moved.shape}")
    n = len(moved)
    jumps = [(0, dilation) for dilation in dilations] + ([tuple(range(n))] if attends else [])
    names = ["input", *(f"dilation {dilation}" for dilation in dilations), *(["attention"] if attends else [])]
    lit, edges = _paths(n, jumps)
    lit[0] = moved[::-1] > 0
    width, height = max(least_plane(width), _APART * n), layer * len(names)
    level = Ticks([at + 0.5 for at in range(len(names))], names[::-1], 0)
    plane = Plane(
        width, height, columns=n, rows=len(names),
        x_axis=labelled_axis(tick_labels(counted(n), width / n, across=True), "step", theme.muted),
        y_axis=labelled_axis(level, "", theme.muted),
    )  # fmt: skip
    layers = [_edges(edges, plane, theme), _dots(lit, moved, names, plane, theme)]
    reached = int((moved > 0).sum())
    what = f"{title or 'Receptive field'}: of {n} steps {reached} reach the last output."
    return dressed_layout(plane.figure([layer for layer in layers if layer], title), theme, what)


def _paths(n, jumps):
    """Return which steps of each layer lie on a path to the last output, and the lines between them."""
    lit = np.zeros((len(jumps) + 1, n), dtype=bool)
    lit[-1, -1] = True
    edges = []
    for layer in range(len(jumps), 0, -1):
        for step in np.flatnonzero(lit[layer]):
            for jump in jumps[layer - 1]:
                if step >= jump:
                    lit[layer - 1, step - jump] = True
                    edges.append((step, layer, step - jump, layer - 1))
    return lit, edges


def _edges(edges, plane, theme):
    """Return a layer of lines from steps to those that they read."""
    if not edges:
        return None
    x, y, x2, y2 = np.array(edges).T + 0.5
    table = mark_table({"x": x, "y": plane.rows - y, "x2": x2, "y2": plane.rows - y2})
    look = {"color": theme.weight_half, "strokeWidth": 1.5, "opacity": 0.8}
    return mark_layer(table, "rule", plane.box(), **look, tooltip=None)


def _dots(lit, moved, names, plane, theme):
    """Return a layer of steps: full where they are on a path, hollow where not."""
    layer, step = np.indices(lit.shape).reshape(2, -1)
    on = lit.ravel()
    columns = {
        "x": step + 0.5,
        "y": plane.rows - layer - 0.5,
        "fill": np.where(on, theme.weight, theme.background),
        "edge": np.where(on, theme.weight, theme.hidden),
        "step": [str(s + 1) for s in step],
        "layer": [names[at] for at in layer],
        "shown": [
            number(moved[lit.shape[1] - 1 - s]) if at == 0 else ("on a path" if there else "no path")
            for at, s, there in zip(layer, step, on, strict=True)
        ],
    }
    says = plane_tooltip(("step", "step"), ("layer", "layer"), ("shown", "moves the last output"))
    colors = {"fill": mark_channel("fill:N", scale=None), "stroke": mark_channel("edge:N", scale=None)}
    look = {"shape": "circle", "size": _DOT, "opacity": 1, "strokeWidth": 2}
    return mark_layer(mark_table(columns), "point", plane.at() | colors | {"tooltip": says}, **look)
