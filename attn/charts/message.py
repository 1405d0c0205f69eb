"""A figure that only says something."""

from attn.charts.arguments import checked_arguments
from attn.charts.labels import LINE
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_table
from attn.charts.plane import Plane


@checked_arguments()
def message(text, theme, title=""):
    """Return a figure that only says `text`."""
    plane = Plane(280, 2 * LINE, 1, 1)
    table = mark_table({"x": [0], "y": [0.5], "text": [text]})
    figure = plane.figure([plane.texts(table, color=theme.muted, align="left")], title)
    return dressed_layout(figure, theme, " ".join(filter(None, [title, text])))
