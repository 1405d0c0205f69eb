"""Encoder and decoder as boxes with their shapes, to be clicked where attention stands."""

from itertools import pairwise
from typing import NamedTuple

from attn import charts
from attn.charts.labels import label_pixels
from attn.words import capital

CLICKED = {2: "encoder", 8: "masked", 10: "cross", 14: "output"}  # boxes that stand for a use
WIDTH = 502  # pixels of the whole, where there is room
_READ = ("words", "embedding", "self", "sum", "feed", "sum")
_WRITE = ("shifted", "embedding", "masked", "sum", "cross", "sum", "feed", "sum", "output")
_NAMES = {
    "words": "Words",
    "shifted": "Words, shifted",
    "embedding": "Embedding",
    "self": "self-attention",
    "masked": "masked attention",
    "cross": "cross-attention",
    "feed": "feed-forward",
    "output": "Softmax",
}
_LEFT, _BETWEEN = 20, 48  # pixels from the left edge to the encoder, and from it to the decoder
_FLOOR = 446  # pixels from the top to the lower edge of the lowest boxes
_WIDE, _TALL, _THIN, _GAP = 200, 36, 28, 16  # pixels of a box, of a thin one, and between two
_FRAME = 14  # pixels from a box to the frame around a block
_WORD = 12  # pixels more below the upper edge of a frame, for its word


class Sizes(NamedTuple):
    """What the shapes are made of."""

    read: int  # words that are read
    written: int  # words that are written, the start included
    d_model: int
    d_ff: int
    vocabulary: int
    layers: int  # of the encoder, and of the decoder


def architecture_picture(sizes, theme, use, *, pre_norm=False, room=WIDTH):
    """Draw encoder and decoder, the chosen use of attention outlined.

    Parameters
    ----------
    sizes : Sizes
    theme : Theme
    use : {"encoder", "masked", "cross", "output"}
    pre_norm : bool, default False
    room : float
        Pixels across; more are taken where boxes would be narrower than what they are called.

    Returns
    -------
    alt.LayerChart
        A click tells the box as ``{"row": i}``, see `CLICKED`.
    """
    names = max(label_pixels(_name(part, pre_norm)) for part in (*_READ, *_WRITE))
    wide = int(min(max(_WIDE - (WIDTH - room) / 2, 1.1 * names + 8), _WIDE))
    reader = _column(_READ, _LEFT, wide, sizes.read, sizes, theme, pre_norm)
    writer = _column(_WRITE, _LEFT + wide + _BETWEEN, wide, sizes.written, sizes, theme, pre_norm)
    arrows = [*_upward(reader), *_upward(writer), _across(reader[-1], writer[4])]
    frames = [_frame(column, f"× {sizes.layers}") for column in (reader[2:], writer[2:-1])]
    at = next(row for row, name in CLICKED.items() if name == use)
    return charts.diagram(
        reader + writer, arrows, theme, frames=frames, pick=charts.Pick("box", at), title="Encoder and decoder",
        width=WIDTH - 2 * (_WIDE - wide), height=_FLOOR + 4,
    )  # fmt: skip


def _column(parts, left, wide, length, sizes, theme, pre_norm):
    """Return the boxes of the encoder or the decoder, from the lowest up."""
    boxes, floor = [], _FLOOR
    for at, part in enumerate(parts):
        tall = _THIN if part in ("words", "shifted", "sum") else _TALL
        note, color = _shape(part, length, sizes), _color(part, theme)
        boxes.append(charts.Box(_name(part, pre_norm), left, floor - tall, wide, tall, note, color))
        last = part == "sum" and "sum" not in parts[at + 1 :]
        floor -= tall + _GAP + (_WORD if last else 0)
    return boxes


def _name(part, pre_norm):
    """Return what a box is called."""
    if part == "sum":
        return "Add" if pre_norm else "Add, norm"
    name = _NAMES[part]
    name = f"norm, {name}" if pre_norm and name[0].islower() else name
    return capital(name)


def _shape(part, length, sizes):
    """Return the shape of what a box makes."""
    return {
        "words": f"{length}",
        "shifted": f"{length}",
        "self": f"{length} × {length}",
        "masked": f"{length} × {length}",
        "cross": f"{length} × {sizes.read}",
        "feed": f"{length} × {sizes.d_ff}",
        "output": f"{length} × {sizes.vocabulary}",
    }.get(part, f"{length} × {sizes.d_model}")


def _color(part, theme):
    """Return the colour of a box: one for attention wherever it stands, one for the output."""
    if part in ("self", "masked", "cross"):
        return theme.weight_half
    return theme.output if part == "output" else None


def _upward(boxes):
    """Return the arrows up through a column, and around each sublayer to its sum."""
    middle, right = boxes[0].x + boxes[0].width / 2, boxes[0].x + boxes[0].width
    arrows = [[(middle, lower.y), (middle, upper.y + upper.height + 4)] for lower, upper in pairwise(boxes)]
    for sublayer, total in pairwise(boxes):
        if total.text.startswith("Add"):
            start, end = sublayer.y + sublayer.height + _GAP / 2, total.y + total.height / 2
            arrows.append([(middle, start), (right + 9, start), (right + 9, end), (right + 5, end)])
    return arrows


def _across(memory, cross):
    """Return the arrow from the top of the encoder to the cross-attention of the decoder."""
    middle, between, top = memory.x + memory.width / 2, (memory.x + memory.width + cross.x) / 2, memory.y - _GAP - _WORD
    into = cross.y + cross.height / 2
    return [(middle, memory.y), (middle, top), (between, top), (between, into), (cross.x - 5, into)]


def _frame(boxes, text):
    """Return the frame around the boxes of one block, its word in the gap at the top."""
    top, bottom = boxes[-1].y - _GAP / 2 - _WORD, boxes[0].y + boxes[0].height + _GAP - 4
    return charts.Frame(text, boxes[0].x - _FRAME, top, boxes[0].width + 2 * _FRAME, bottom - top)
