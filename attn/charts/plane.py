"""The plane that every layer of a figure is drawn on: its size, its scales and its axes."""

import math
import textwrap
from dataclasses import dataclass, replace

from attn.charts.labels import labelled_axis, tick_labels
from attn.charts.marks import mark_channel, mark_layer, mark_table
from attn.charts.shown import LayeredFigure
from attn.charts.theme import FONT_SIZE, TITLE_SIZE

LEAST_PLOT = 120  # pixels across of any plot: where a page has less room, it scrolls sideways
LEAST_PICTURE = 96  # pixels along the longer side of a photograph, whose cells are not told apart
LEAST_CELL = 12  # pixels of a cell, as long as a plot has too few of them to be so wide
FINGER_CELL = 24  # pixels of a cell that a finger meets: target size of the Web Content Accessibility Guidelines 2.2
FINEST_CELL = 4  # pixels of a cell among others of its size, below which few of them would be a sliver
SELECTION = "selection"  # the style of marks that only show what is chosen
_TITLE_OFFSET = 12  # pixels between a title and the plot


@dataclass(frozen=True)
class Plane:
    """A plot of `width` x `height` pixels, counted from its top left corner.

    `columns` and `rows` say how many units lie across and down; with one unit a cell, a cell of
    a matrix is the rectangle from (column, row) to (column + 1, row + 1). Every layer of a figure
    takes its channels from one plane: an axis named in one layer only is lost when layers meet.
    """

    width: int
    height: int
    columns: float
    rows: float
    x_axis: dict | None = None  # as `labelled_axis` makes it
    y_axis: dict | None = None

    @property
    def cell_width(self):
        """Pixels from one column to the next."""
        return self.width / self.columns

    @property
    def cell_height(self):
        """Pixels from one row to the next."""
        return self.height / self.rows

    def labelled(self, rows, columns, axes, theme, row_labels=True, chosen=((), ()), columns_above=False):
        """Return this plane between axes that name every row and column for which there is room, and chosen ones."""
        down = tick_labels(rows, self.cell_height, across=False, chosen=chosen[0])
        over = tick_labels(columns, self.cell_width, across=True, chosen=chosen[1])
        x = labelled_axis(over, axes[1], theme.role(axes[1]), **({"orient": "top"} if columns_above else {}))
        y = labelled_axis(down, axes[0], theme.role(axes[0]))
        return replace(self, x_axis=x, y_axis=y if row_labels else None)

    def at(self, x="x", y="y"):
        """Return the channels of a point from the fields `x` and `y`."""
        across = {"domain": [0, self.columns], "nice": False, "zero": False}
        down = {"domain": [self.rows, 0], "nice": False, "zero": False}
        return {
            "x": mark_channel(f"{x}:Q", scale=across, axis=self.x_axis),
            "y": mark_channel(f"{y}:Q", scale=down, axis=self.y_axis),
        }

    def box(self, x="x", y="y"):
        """Return the channels of a rectangle from the fields `x`, x2, `y` and y2."""
        return self.at(x, y) | {"x2": {"field": "x2"}, "y2": {"field": "y2"}}

    def rectangles(self, table, channels=None, **look):
        """Return a layer of rectangles, one per row of `table`, that nothing answers from, nor is read aloud."""
        return mark_layer(table, "rect", self.box() | (channels or {}), tooltip=None, aria=False, **look)

    def texts(self, table, x="x", y="y", tooltip=None, **look):
        """Return a layer of the column "text", in the colours of the column "ink" if there is one.

        What lies under a text does not answer to the pointer, so the text says its `plane_tooltip`.
        """
        channels = self.at(x, y) | {"text": mark_channel("text:N")}
        if "ink" in table.column_names:
            channels["color"] = mark_channel("ink:N", scale=None)
        if tooltip:
            channels["tooltip"] = tooltip
        return mark_layer(table, "text", channels, baseline="middle", tooltip=None, **look)

    def outline(self, x, y, x2, y2, color, width=2.5, **look):
        """Return a layer with the outline of one rectangle."""
        box = mark_table({"x": [x], "y": [y], "x2": [x2], "y2": [y2]})
        return self.rectangles(box, filled=False, stroke=color, strokeWidth=width, **look)

    def selection_frame(self, x, y, x2, y2, color, width=2.5, **look):
        """Return an outline that only shows what is chosen: files for a paper go without it."""
        return self.outline(x, y, x2, y2, color, width, style=SELECTION, **look)

    def figure(self, layers, title=""):
        """Return the layers as one chart of this plane's size."""
        chart = LayeredFigure()  # filled by hand: alt.layer copies every layer several times, which takes long
        chart.layer, chart.width, chart.height = list(layers), self.width, self.height
        chart.resolve = {"scale": {"color": "independent"}}
        if not title:
            return chart
        # Vega sets a title off from the uppermost label, which stands out above rows lower than a line
        above = max(0.0, FONT_SIZE / 2 - self.cell_height / 2) if self.y_axis else 0.0
        chart.title = {"text": wrapped_over_plane(title, self.width), "offset": _TITLE_OFFSET - above}
        return chart


def least_plane(size, cells=LEAST_PLOT):
    """Return `size`, or the least pixels along a plot of so many cells if that is more.

    Cells of two or more pixels are whole ones, so that none are lost when a size is shared out.

    Examples
    --------
    >>> least_plane(360), least_plane(-25), least_plane(0, cells=3), least_plane(50, cells=3), least_plane(0, cells=11)
    (360, 120, 36, 50, 121)
    """
    cell = min(LEAST_PLOT / max(cells, 1), LEAST_CELL)
    return max(size, cells * math.ceil(cell) if cell >= 2 else LEAST_PLOT)


def plane_tooltip(*fields):
    """Return what the pointer says: pairs of a field and what it is called.

    A browser keeps one field of a name: a second one of two axes that are called alike is the other.

    Examples
    --------
    >>> [field["title"] for field in plane_tooltip(("down", "position"), ("across", "position"), ("shown", "score"))]
    ['position', 'other position', 'score']
    """
    titles = [title for _, title in fields]
    titles = [f"other {title}" if title in titles[:at] else title for at, title in enumerate(titles)]
    return [mark_channel(f"{field}:N", title=title) for (field, _), title in zip(fields, titles, strict=True)]


def wrapped_over_plane(title, width):
    """Return `title` as lines that fit over a plot of this width."""
    columns = max(16, int(1.25 * width / (0.52 * TITLE_SIZE)))
    return textwrap.wrap(title, columns) or [title]
