"""Boxes and the arrows between them: how the parts of a model are joined."""

from typing import NamedTuple

import numpy as np

from attn.charts.arguments import MOST_PIXELS, checked_arguments
from attn.charts.labels import label_pixels
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_channel, mark_column, mark_layer, mark_table, selectable_mark
from attn.charts.message import message
from attn.charts.options import Pick
from attn.charts.plane import Plane, plane_tooltip
from attn.charts.theme import LIGHT, blend, hex_of
from attn.functional import as_real, finite_number, several, short_repr, whole_number

_TINT = 0.28  # of a box's colour in its ground
_HEAD = 70  # square pixels of an arrow's head


class Box(NamedTuple):
    """One box, in pixels from the top left corner."""

    text: str
    x: float
    y: float
    width: float
    height: float
    note: str = ""  # what the pointer says, such as shapes; at the right of the box where there is room
    color: str | None = None  # ``#rrggbb``; quiet without
    off: bool = False  # whether it does nothing: grey as hidden cells are, whatever its colour


class Frame(NamedTuple):
    """A frame around boxes, with a word at its upper left corner."""

    text: str
    x: float
    y: float
    width: float
    height: float


@checked_arguments(pixels=("width", "height"), several=(("boxes", Box), ("frames", Frame)))
def diagram(boxes, arrows, theme=LIGHT, *, title="", frames=(), width=640, height=440, pick=Pick()):
    """Draw boxes joined by arrows.

    Parameters
    ----------
    boxes : sequence of Box
    arrows : sequence of sequence of (float, float)
        The corners of each, from its start to its head, in pixels.
    theme : Theme, default LIGHT
    title : str
    frames : sequence of Frame
    width, height : int
        Pixels.
    pick : Pick, optional
        Which box is outlined. Its selection tells which was chosen, as ``{"row": i}`` counted from 0.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If a box or a frame is no rectangle of finite numbers, an arrow has fewer than two corners, or the box to be
        outlined is not there.
    """
    if not len(boxes):
        return message("Nothing to show.", theme, title)
    for one in (*boxes, *frames):
        for side in (one.x, one.y, one.width, one.height):
            finite_number(side, "a side of boxes and frames", least=-MOST_PIXELS, most=MOST_PIXELS)
    arrows = several("arrows", arrows)
    for arrow in arrows:
        corners = as_real(arrow, "each of arrows")
        if corners.ndim != 2 or corners.shape[0] < 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
            raise ValueError(f"each of arrows must have two or more corners (x, y), got {short_repr(arrow)}")
    if pick.selected is not None:
        whole_number("selected", pick.selected, most=len(boxes) - 1)
    plane = Plane(width, height, columns=width, rows=height)
    layers = _frames(frames, plane, theme) if len(frames) else []
    layers += _arrows(arrows, plane, theme) if arrows else []
    layers += _boxes(boxes, plane, theme, pick.select)
    if pick.selected is not None:
        box = boxes[pick.selected]
        frame = plane.selection_frame(
            box.x, box.y, box.x + box.width, box.y + box.height, theme.text, 3, cornerRadius=5
        )
        layers.append(frame)
    what = "; ".join(f"{box.text} {box.note}".strip() for box in boxes)
    return dressed_layout(plane.figure(layers, title), theme, f"{title or 'Diagram'}: {what}.")


def _frames(frames, plane, theme):
    """Return dashed frames with their words."""
    columns = {
        "x": [f.x for f in frames],
        "y": [f.y for f in frames],
        "text": [f.text for f in frames],
        "x2": [f.x + f.width for f in frames],
        "y2": [f.y + f.height for f in frames],
        "left": [f.x + 10 for f in frames],
        "top": [f.y + 14 for f in frames],
    }
    table = mark_table(columns)
    dashed = plane.rectangles(table, filled=False, stroke=theme.muted, strokeDash=[4, 4], cornerRadius=8)
    return [dashed, plane.texts(table, "left", "top", align="left", color=theme.muted, fontWeight=600)]


def _arrows(arrows, plane, theme):
    """Return the lines, and a head at the end of each."""
    points = [(i, order, x, y) for i, arrow in enumerate(arrows) for order, (x, y) in enumerate(arrow)]
    arrow, order, x, y = zip(*points, strict=True)
    places = {"arrow": np.array(arrow, dtype=np.int32), "order": np.array(order, dtype=np.int32)}
    table = mark_table(places | {"x": np.array(x, dtype=float), "y": np.array(y, dtype=float)})
    each = {"detail": mark_channel("arrow:N"), "order": mark_channel("order:Q")}
    look = {"color": theme.muted, "strokeWidth": 1.5, "strokeJoin": "round"}
    line = mark_layer(table, "line", plane.at() | each, **look, tooltip=None)
    ends = np.array([(arrow[-2], arrow[-1]) for arrow in arrows], dtype=float)  # (arrows, 2, 2)
    across, down = (ends[:, 1] - ends[:, 0]).T
    angle = np.degrees(np.arctan2(across, -down))  # clockwise from upright, as Vega turns a triangle
    heads = mark_table({"x": ends[:, 1, 0], "y": ends[:, 1, 1], "angle": angle})
    turned = {"color": {"value": theme.muted}, "angle": mark_channel("angle:Q", scale=None)}
    look = {"shape": "triangle", "filled": True, "opacity": 1, "size": _HEAD}
    return [line, mark_layer(heads, "point", plane.at() | turned, **look, tooltip=None)]


def _boxes(boxes, plane, theme, select):
    """Return the boxes with their texts, and their notes where both fit."""
    x, y, wide, tall = np.array([(box.x, box.y, box.width, box.height) for box in boxes], dtype=float).T
    edges = [theme.hidden if box.off else box.color or theme.hidden for box in boxes]
    tints = [1 if box.off else _TINT for box in boxes]
    fits = np.array([bool(b.note) and label_pixels(b.text) * 1.1 + label_pixels(b.note) + 34 <= b.width for b in boxes])
    columns = {
        "row": np.arange(len(boxes), dtype=np.int32),
        "x": x,
        "x2": x + wide,
        "y": y,
        "y2": y + tall,
        "text": [box.text for box in boxes],
        "note": [box.note for box in boxes],
        "edge": edges,
        "fill": [hex_of(blend([theme.background, edge], tint)) for edge, tint in zip(edges, tints, strict=True)],
        "noted": [theme.text if box.off else theme.muted for box in boxes],
        "left": x + 12,
        "middle": x + wide / 2,
        "right": x + wide - 12,
        "centre": y + tall / 2,
    }
    table = mark_table(columns)
    says = plane_tooltip(("text", "part"), ("note", "shape"))
    colors = {"fill": mark_channel("fill:N", scale=None), "stroke": mark_channel("edge:N", scale=None)}
    mark = mark_layer(table, "rect", plane.box() | colors | {"tooltip": says}, cornerRadius=5, strokeWidth=1.5)
    layers = [selectable_mark(mark, select, "row")]
    bold = {"fontWeight": 600, "color": theme.text}
    if (~fits).any():
        layers.append(plane.texts(table.filter(mark_column(~fits)), "middle", "centre", says, **bold))
    if fits.any():
        beside = table.filter(mark_column(fits))
        layers.append(plane.texts(beside, "left", "centre", says, align="left", **bold))
        notes = beside.set_column(beside.column_names.index("text"), "text", beside["note"])
        notes = notes.append_column("ink", beside["noted"])
        layers.append(plane.texts(notes, "right", "centre", says, align="right"))
    return layers
