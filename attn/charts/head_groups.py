"""Heads as coloured boxes: which query heads share the keys and values of one head."""

import numpy as np
import pyarrow as pa

from attn.charts.arguments import checked_arguments
from attn.charts.labels import Ticks, label_pixels, labelled_axis
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_channel, mark_layer, mark_table
from attn.charts.plane import Plane, plane_tooltip
from attn.charts.theme import LIGHT, rgb, theme_ink

CHIP = 30  # pixels for the height of a box with the name of a head
_LEAST_PITCH = 24.0  # pixels from one box to the next that leave room for a number
_ASKING = 86  # pixels from the top to the boxes of query heads
_NAMES = 96  # pixels for the names of the two rows


@checked_arguments(pixels=("width",), counts=("num_heads", "num_kv_heads"))
def head_groups(num_heads, num_kv_heads, theme=LIGHT, *, title="", width=880):
    """Draw query heads bracketed under the key/value head that they share.

    Parameters
    ----------
    num_heads, num_kv_heads : int
        `num_heads` is a multiple of `num_kv_heads`.
    theme : Theme, default LIGHT
    title : str
    width : int, default 880
        Pixels, with the names at the left.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If the heads do not divide into groups.
    """
    if num_heads < 1 or num_kv_heads < 1 or num_heads % num_kv_heads:
        raise ValueError(
            f"num_heads must be a multiple of num_kv_heads, both at least 1, got {num_heads} and {num_kv_heads}"
        )
    group = num_heads // num_kv_heads
    pitch = max(_LEAST_PITCH, min(64.0, (width - _NAMES) / num_heads))
    names = labelled_axis(Ticks([4 + CHIP / 2, _ASKING + CHIP / 2], ["key, value", "query"], 0), "", theme.muted)
    height = _ASKING + CHIP + 4
    plane = Plane(round(pitch * num_heads), height, columns=pitch * num_heads, rows=height, y_axis=names)
    left = np.arange(num_heads) * pitch
    boxes = pa.concat_tables([_asking(left, pitch, group, theme), *_shared(left, pitch, group, theme)]).combine_chunks()
    says = plane_tooltip(("what", " "))
    channels = plane.box() | {"color": mark_channel("color:N", scale=None), "tooltip": says}
    layers = [
        _brackets(left + pitch / 2, group, plane, theme),
        mark_layer(boxes, "rect", channels, cornerRadius=3),
        plane.texts(boxes, "middle", "centre", says, fontWeight=600),
    ]
    what = f"{title or 'Heads'}: {num_heads} query heads share {num_kv_heads} key/value heads, {group} to each."
    return dressed_layout(plane.figure(layers, title), theme, what)


def _asking(left, pitch, group, theme):
    """Return the boxes of the query heads."""
    head = np.arange(left.size)
    texts = [f"{h + 1}" for h in head]
    says = [f"query head {h + 1} reads key/value head {h // group + 1}" for h in head]
    return head_group_chips(left + 3, left + pitch - 3, _ASKING, [theme.head(h) for h in head], texts, what=says)


def _shared(left, pitch, group, theme):
    """Return the boxes of the keys and of the values, side by side over the query heads that read them."""
    start, stop = left[::group] + 3, left[group - 1 :: group] + pitch - 3
    middle, half = (start + stop) / 2, np.minimum((stop - start) / 2, 46)
    head = range(left.size // group)
    for name, role, x, x2 in (("K", "key", middle - half, middle), ("V", "value", middle, middle + half)):
        texts = [f"{name} {h + 1}" if pitch * group > 84 else name for h in head]
        readers = [f"{h * group + 1} to {(h + 1) * group}" if group > 1 else f"{h + 1}" for h in head]
        says = [f"{role} head {h + 1}, read by query head {reader}" for h, reader in enumerate(readers)]
        yield head_group_chips(x, x2, 4, [theme.role(role)] * len(head), texts, what=says)


def _brackets(centre, group, plane, theme):
    """Return the lines from each key/value head to the query heads that read it."""
    first, last = centre[::group], centre[group - 1 :: group]
    above, below, between = CHIP + 6, _ASKING - 2, (CHIP + _ASKING) / 2 + 2
    middle, kinds = (first + last) / 2, [centre.size, first.size, first.size]
    lines = {
        "x": np.concatenate([centre, middle, first]),
        "x2": np.concatenate([centre, middle, last]),
        "y": np.repeat([between, above, between], kinds),
        "y2": np.repeat([below, between, between], kinds),
    }
    return mark_layer(mark_table(lines), "rule", plane.box(), color=theme.muted, strokeWidth=1.5, tooltip=None)


def head_group_chips(left, right, top, fills, texts, **more):
    """Return a table of coloured boxes with their texts, where these fit, and more columns."""
    sides = {"x": left, "x2": right, "y": top, "y2": top + CHIP, "color": fills}
    texts = [t if label_pixels(t) <= wide else "" for t, wide in zip(texts, right - left, strict=True)]
    inks = theme_ink(np.stack([rgb(fill) for fill in fills]))
    places = {"middle": (left + right) / 2, "centre": top + CHIP / 2}
    return mark_table(sides | places | {"text": texts, "ink": inks} | more)
