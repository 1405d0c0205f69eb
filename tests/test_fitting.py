"""A finished specification fitted to its page: rows broken, and everything enlarged alike."""

import re

import pytest
from test_room import FIGURES, LOOK, TOKENS, WEIGHTS, plots

from attn import charts
from attn.charts.fitting import plots_width

ROW = charts.beside(
    *(part for title in "AB" for part in (charts.heatmap(WEIGHTS, TOKENS, TOKENS, LOOK, title=title, size=210), "=")),
    charts.heatmap(WEIGHTS[:1], TOKENS[:1], TOKENS, LOOK, title="C", size=210),
)


def titles(spec):
    """Return the titles of a specification's plots, row by row."""
    return [[plot["title"]["text"] for plot in plots(row)] for row in spec.get("vconcat", [spec])]


@pytest.mark.parametrize(
    ("room", "rows"),
    [
        (1400, [[["A"], ["B"], ["C"]]]),
        (800, [[["A"], ["B"]], [["= C"]]]),
        (400, [[["A"]], [["= B"]], [["= C"]]]),
        (50, [[["A"]], [["= B"]], [["= C"]]]),
    ],
)
def test_a_row_is_broken_where_it_is_wider_than_the_page(room, rows):
    spec = charts.specification(ROW)
    broken = charts.wrapped_rows(spec, room)
    assert titles(broken) == rows
    assert (broken == spec) == (len(rows) == 1)
    for row in broken.get("vconcat", ()):
        assert len(plots(row)) == 1 or plots_width(row) <= room


def test_a_width_is_guessed_well():
    seen = float(re.search(r'width="([\d.]+)"', charts.svg(ROW).decode())[1])
    assert plots_width(charts.specification(ROW)) == pytest.approx(seen, rel=0.1)


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_everything_in_a_figure_is_enlarged_alike(name):
    spec = charts.specification(charts.beside(FIGURES[name][1](600)))
    twice = charts.enlarged(spec, 2)
    for one, other in zip(plots(spec), plots(twice), strict=True):  # in whole pixels for each cell
        assert (other["width"], other["height"]) == pytest.approx((2 * one["width"], 2 * one["height"]), rel=0.02)
    small, large = (charts.svg(each).decode() for each in (spec, twice))
    heights = [{float(size) for size in re.findall(r'font-size="([\d.]+)px"', each)} for each in (small, large)]
    assert heights[1] == {2 * size for size in heights[0]}
    widths = [float(re.search(r'class="marks" width="([\d.]+)"', each)[1]) for each in (small, large)]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.1)
    assert charts.enlarged(spec, 1) is spec
