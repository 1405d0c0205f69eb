"""A text as a line and all pairs of its tokens as the square over it, so that growth with the square is seen as one."""

from attn.charts.arguments import checked_arguments
from attn.charts.labels import LINE, Ticks, label_pixels, labelled_axis
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_layer, mark_table
from attn.charts.plane import Plane, least_plane, plane_tooltip
from attn.charts.theme import LIGHT

_THICK = 7  # pixels of the line that stands for the text
_GAP = 8  # pixels between the square and what is written beside it


@checked_arguments(pixels=("size",), counts=("n", "most"))
def growing_square(n, most, theme=LIGHT, *, title="", size=320):
    """Draw a text of `n` tokens across and down, and the square of all pairs of a query and a key.

    Parameters
    ----------
    n : int
        At least 1.
    most : int
        Tokens along a side of the frame, which stays while texts grow in it.
    theme : Theme, default LIGHT
    title : str
    size : int, default 320
        Pixels along a side of the frame.

    Returns
    -------
    alt.LayerChart
        In the square a dashed one of half the text, a quarter of the pairs.

    Raises
    ------
    ValueError
        If the text does not fit into the frame.
    """
    if not 1 <= n <= most:
        raise ValueError(f"a text must have from 1 to most = {most} tokens, got {n}")
    size = least_plane(size)
    ends = Ticks([0.0, most / 2, float(most)], ["0", f"{most // 2:,}", f"{most:,}"], 0)
    plane = Plane(
        size, size, columns=most, rows=most,
        x_axis=labelled_axis(ends, "tokens looked at (keys)", theme.key, grid=True, gridColor=theme.grid),
        y_axis=labelled_axis(ends, "tokens that look (queries)", theme.query, grid=True, gridColor=theme.grid),
    )  # fmt: skip
    pairs = f"{n * n:,} scores"
    whole = mark_table({"x": [0], "y": [0], "x2": [n], "y2": [n], "text": [f"{n:,} tokens"], "pairs": [pairs]})
    says = plane_tooltip(("text", "text"), ("pairs", "pairs of them"))
    thick = _THICK * most / size
    layers = [
        plane.outline(0, 0, most, most, theme.grid, 1.5),
        mark_layer(whole, "rect", plane.box() | {"tooltip": says}, color=theme.weight_half),
        plane.outline(0, 0, n / 2, n / 2, theme.background, 2, strokeDash=[5, 4]),
        plane.rectangles(mark_table({"x": [0], "y": [0], "x2": [n], "y2": [thick]}), color=theme.key),
        plane.rectangles(mark_table({"x": [0], "y": [0], "x2": [thick], "y2": [n]}), color=theme.query),
        _written(n, plane, theme),
    ]
    what = f"{title or 'All pairs'}: {n:,} tokens make a square of {n:,} × {n:,} = {pairs}, in a frame of {most:,}."
    return dressed_layout(plane.figure(layers, title), theme, what)


def _written(n, plane, theme):
    """Return a layer with both numbers, beside the square or, where it leaves no room, in it."""
    lines = [f"{n:,} tokens", f"{n * n:,}", "scores"]
    side, tokens = n * plane.cell_width, plane.columns / plane.width
    wide = max(map(label_pixels, lines)) + 2 * _GAP
    beside = plane.width - side >= min(wide, side)  # where neither has all the room, beside a small square
    x, first = (side + _GAP, LINE) if beside else (side / 2, 3 * side / 4 - LINE)  # below the square of half the text
    table = mark_table({"text": lines, "x": x * tokens, "y": [(first + at * LINE) * tokens for at in range(3)]})
    look = {"align": "left" if beside else "center", "fontWeight": 600}
    return plane.texts(table, color=theme.text, **look)
