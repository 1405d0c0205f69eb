"""Next word, the figure: all steps of a model on one screen, what each part adds, and the words that may come next."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from attn import charts
from attn.charts.labels import label_pixels
from attn.models.layer_parts import head_additions

_LEFT, _FRAME = 18, 10  # pixels beside boxes, and to the frame of a layer
_BETWEEN = 0.35  # of a box down, to the next
_WIDE = 200  # pixels of a box, where there is room
_WORD = 22  # pixels for the words of the frame, and the way that leads around a part under them
_BOXES = (  # what is clicked opens a part, at one of its stages
    ("Tokens", "tokens", None),
    ("Embedding", "embedding", None),
    ("Norm", "attention", "read"),
    ("Attention", "attention", "weights"),
    ("Add", "attention", "sum"),
    ("Norm", "feed_forward", "read"),
    ("Feed-forward", "feed_forward", "inner"),
    ("Add again", "feed_forward", "sum"),
    ("Last norm", "norm", None),
    ("Logits", "logits", None),
)
OPENS = tuple((part, stage) for _, part, stage in _BOXES)
"""Box -> the part and the stage that a click on it opens."""
OFF = "off"  # what a box says that adds nothing
_SUBLAYERS = ((2, 4), (5, 7))  # the first box and the last of each, around which a way leads


class Sizes(NamedTuple):
    """What the shapes of the boxes are made of."""

    n: int
    d_model: int
    num_layers: int
    num_heads: int
    d_ff: int
    vocabulary: int


def whole_way_notes(sizes):
    """Return what the boxes say beside their names."""
    return {
        "Tokens": f"{sizes.n}",
        "Embedding": f"{sizes.n} × {sizes.d_model}",
        "Attention": f"{sizes.num_heads} heads",
        "Feed-forward": f"{sizes.n} × {sizes.d_ff}",
        "Add": f"{sizes.n} × {sizes.d_model}",
        "Add again": f"{sizes.n} × {sizes.d_model}",
        "Logits": f"{sizes.vocabulary:,}",
    }


def whole_way_changes(factors, layer, num_heads):
    """Return what the boxes of a layer say in place of their shapes, where it adds less or more than it does.

    Parameters
    ----------
    factors : sequence of (int, int or str, float)
        As `attn.models.ablation.PartFactor`.
    layer : int
        Counted from 1.
    num_heads : int

    Returns
    -------
    dict of str to str
    """
    own = {part: factor for at, part, factor in factors if at == layer - 1}
    left, notes = sum(own.get(head) != 0 for head in range(num_heads)), {}
    if left < num_heads:
        notes["Attention"] = f"{left} of {num_heads} heads" if left else OFF
    for name, part in (("Attention", "attention"), ("Feed-forward", "feed_forward")):
        if part in own:
            notes[name] = f"× {own[part]:g}" if own[part] else OFF
    return notes


def whole_way_boxes(notes, layer, num_layers, part, stage, theme, width, tall=23):
    """Draw the way from tokens to logits as boxes, the open one outlined.

    Parameters
    ----------
    notes : dict of str to str
        As `whole_way_notes` returns them, with those of `whole_way_changes` in their place.
    layer, num_layers : int
        The one in view, counted from 1, and how many there are.
    part, stage : str
        What is open.
    theme : Theme
    width : float
        Pixels.
    tall : int, default 23
        Pixels of a box down.

    Returns
    -------
    alt.LayerChart
    """
    gap = round(_BETWEEN * tall)
    colors = {"Attention": theme.weight_half, "Logits": theme.output}
    wide, boxes, top = _box_width(notes, width), [], 2
    for at, (name, *_) in enumerate(_BOXES):
        top += {2: _WORD + gap, 8: gap}.get(at, 0)  # room for the frame around a layer
        note = notes.get(name, "")
        boxes.append(charts.Box(name, _LEFT, top, wide, tall, note, colors.get(name), off=note == OFF))
        top += tall + gap
    middle = _LEFT + wide / 2
    arrows = [[(middle, one.y + tall), (middle, next_.y - 4)] for one, next_ in pairwise(boxes)]
    inside, beside = boxes[2:8], _LEFT + wide + 9
    for first, last in _SUBLAYERS:
        start, end = boxes[first].y - gap / 2, boxes[last].y + tall / 2
        arrows.append([(middle, start), (beside, start), (beside, end), (_LEFT + wide + 4, end)])
    frame_top = inside[0].y - gap - _WORD + 4
    frame = charts.Frame(
        f"Layer {layer} of {num_layers}", _LEFT - _FRAME, frame_top,
        wide + 2 * _FRAME + 4, inside[-1].y + tall + _FRAME - frame_top,
    )  # fmt: skip
    return charts.diagram(
        boxes, arrows, theme, title="The way to the next word", frames=[frame],
        width=whole_way_boxes_width(notes, width), height=int(top), pick=charts.Pick("box", _open_box(part, stage)),
    )  # fmt: skip


def whole_way_boxes_width(notes, width):
    """Return the pixels across of the boxes with what leads around them; arguments as for `whole_way_boxes`."""
    return int(_box_width(notes, width) + 2 * _LEFT + 4)


def _box_width(notes, width):
    """Return the pixels across of a box, in which its words have room."""
    widest = max(1.1 * label_pixels(name) + label_pixels(notes.get(name, "")) + 36 for name, *_ in _BOXES)
    return max(min(width - 2 * _LEFT - 8, _WIDE), widest)


def _open_box(part, stage):
    """Return which box is open."""
    return OPENS.index((part, stage)) if (part, stage) in OPENS else _first(part)


def _first(part):
    """Return the box that stands for a part as a whole."""
    return {"attention": 3, "feed_forward": 6}.get(part) or [opened for opened, _ in OPENS].index(part)


def whole_way_additions(model, passed):
    """Return how far each part moves the state of the last token.

    Parameters
    ----------
    model : Llama or GPT2
    passed : Pass
        With every step.

    Returns
    -------
    ndarray, shape (num_layers, num_heads + 1)
        The length of what each head adds, and in the last column the feed-forward network, as a part of the length of
        the state that it is added to.
    """
    rows = []
    for weights, step in zip(model.layers, passed.layers, strict=True):
        between = step.x[-1] + step.attention_output[-1]
        heads = np.linalg.norm(head_additions(weights, step, -1), axis=-1) / np.linalg.norm(step.x[-1])
        rows.append([*heads, np.linalg.norm(step.feed_forward_output[-1]) / np.linalg.norm(between)])
    return np.array(rows)


def whole_way_csv(model, passed):
    """Return what each part adds, a layer a row, as comma-separated text; arguments as for `whole_way_additions`."""
    additions = whole_way_additions(model, passed)
    heads = [f"head {at}" for at in range(1, additions.shape[1])]
    return charts.csv(additions, charts.counted(len(additions)), [*heads, "feed-forward"])


def whole_way_map(additions, factors, chosen, theme, size):
    """Draw what each head and feed-forward network adds to the last token, layers down.

    Parameters
    ----------
    additions : ndarray, shape (num_layers, num_heads + 1)
        Without any change, as `whole_way_additions` returns it.
    factors : sequence of (int, int or str, float)
        What adds less or more than it does, as `attn.models.ablation.PartFactor`; what is switched off is hidden.
    chosen : (int, int) or None
    theme : Theme
    size : (int, int)
        Pixels across and down.

    Returns
    -------
    alt.LayerChart
    """
    num_layers, num_heads = additions.shape[0], additions.shape[1] - 1
    off = np.zeros(additions.shape, dtype=bool)
    for layer, part, factor in factors:
        if factor == 0:
            off[layer, {"attention": slice(0, -1), "feed_forward": -1}.get(part, part)] = True
    rows, columns = charts.counted(num_layers), [*charts.counted(num_heads), "FF"]
    return charts.heatmap(
        additions, rows, columns, theme, kind="magnitude", title="What each part adds", hidden=off,
        size=size, axes=("layer", "head, and feed-forward (FF)"),
        scale=charts.Scale(log=True, name="length"), pick=charts.Pick("part", chosen),
        style=charts.Style(square=False, numbers=False, hidden_name="off"),
    )  # fmt: skip


def whole_way_picture(
    additions, notes, layer, num_layers, part, stage, factors, chosen, theme, width, tall, size, above
):  # fmt: skip
    """Draw the boxes of the way and what each part adds, one above the other or side by side."""
    boxes = whole_way_boxes(notes, layer, num_layers, part, stage, theme, width, tall)
    parts = whole_way_map(additions, factors, chosen, theme, size)
    return charts.above(boxes, parts) if above else charts.beside(boxes, parts, spacing=20)


def whole_way_words(before, after, labels, selected, theme, width):
    """Draw the likeliest next words, before a change beside after it.

    Parameters
    ----------
    before : ndarray, shape (words,)
        Probabilities.
    after : ndarray or None
        With the changes; None where there are none.
    labels : list of str
    selected : int or None
        The word in view.
    theme : Theme
    width : float
        Pixels of the longest possible bar.

    Returns
    -------
    alt.HConcatChart
    """
    scale = charts.Scale(1.0, name="probability")
    look = {"title": "The next word", "width": width, "shares": True, "scale": scale}
    look["pick"] = charts.Pick("word", selected)
    if after is None:
        drawn = charts.bars(before, labels, theme, **look)
    else:
        drawn = charts.pairs(before, after, labels, theme, **look)
    return charts.beside(drawn)
