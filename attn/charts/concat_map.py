"""The outputs of all heads side by side, each under a band of its colour."""

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.charts.head_groups import CHIP, head_group_chips
from attn.charts.heatmap import heatmap
from attn.charts.labels import label_pixels
from attn.charts.layout import concatenation, dressed_layout, undressed_layout
from attn.charts.marks import mark_channel
from attn.charts.options import Style
from attn.charts.plane import Plane
from attn.charts.theme import LIGHT


@checked_arguments(numbers=("concat",), pixels=("size",), labels=("rows",), counts=("num_heads",))
def concat_map(concat, num_heads, rows, theme=LIGHT, *, title="", size=640):
    """Draw the heads' outputs side by side, a coloured band over each.

    Parameters
    ----------
    concat : array_like, shape (n, num_heads * d_v)
    num_heads : int
    rows : sequence of str
        Labels of tokens.
    theme : Theme, default LIGHT
    title : str
    size : int, default 640
        Pixels along the longer side.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If the width is not a multiple of `num_heads`.
    """
    concat = np.asarray(concat)
    if concat.ndim != 2 or num_heads < 1 or concat.shape[1] % num_heads:
        raise ValueError(f"concat must be (n, num_heads * d_v), got {concat.shape} and num_heads {num_heads}")
    columns = [f"{column + 1}" for column in range(concat.shape[1])]
    figure = heatmap(
        concat, rows, columns, theme, kind="signed", axes=("token", "dimension"),
        size=size, style=Style(square=False),
    )  # fmt: skip
    if not concat.size:
        return figure
    plot = undressed_layout(figure)
    plane = Plane(plot.width, CHIP, columns=plot.width, rows=CHIP)
    head = np.arange(num_heads)
    texts = [f"head {h + 1}" for h in head]
    if max(map(label_pixels, texts)) + 8 > plot.width / num_heads:
        texts = [f"{h + 1}" for h in head]
    pitch = plot.width / num_heads
    bands = head_group_chips(head * pitch, (head + 1) * pitch, 0, [theme.head(h) for h in head], texts)
    color = mark_channel("color:N", scale=None)
    strip = plane.rectangles(bands, {"color": color}, cornerRadius=2, stroke=theme.background)
    above = plane.figure([strip, plane.texts(bands, "middle", "centre", fontWeight=600)], title)
    whole = concatenation("vconcat", [above, plot], spacing=3)
    return dressed_layout(whole, theme, f"{title or 'The concatenation of the heads'}: {plot.description}")
