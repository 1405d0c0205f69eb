"""Figures and pages in rooms of every size: no plot is ever a sliver, none runs backwards, no page breaks."""

import inspect
import json

import numpy as np
import pytest
from driving import check, opened, specs
from setups import SETUPS, fields, options

from attn import charts
from attn.charts.plane import FINEST_CELL, FINGER_CELL, LEAST_CELL, LEAST_PICTURE, LEAST_PLOT, least_plane
from attn.ui import width
from attn.ui.state import Look

ROOMS = (-300, 40, 130, 600, 4000)  # what is left beside others may be none
STATES = {"done": "#112233", "now": "#445566"}
LOOK = charts.LIGHT
TOKENS = charts.token_labels(["an", "incomprehensible", "sentence", "of", "seven", "short", "tokens"])
N = len(TOKENS)
RNG = np.random.default_rng(0)
WEIGHTS = RNG.dirichlet(np.ones(N), size=N)
SIGNED = np.array([2.0, -1.0, 0.5, -0.25, 1.5, -2.0, 0.0])
LONG = RNG.dirichlet(np.ones(90), size=90)
CURVES = [charts.Curve(name, [1, 2, 3], [1, 4, 9]) for name in ("short", "a name that is longer than many a screen is")]
LOG = charts.Axis("n", log=True)
KINDS = {"k": "#D55E00", "q": "#0072B2"}
AXES = {"x": "x", "y": "y"}
PANELS = (charts.panel(WEIGHTS, TOKENS, TOKENS), "softmax", charts.panel(WEIGHTS[:, :2], TOKENS, charts.counted(2)))

FIGURES = {  # name -> the least width of each of its plots, and the figure in a room
    "arrows": (LEAST_PLOT, lambda room: charts.arrows([[1, 2], [-1, 0]], "ab", ["#000000"] * 2, LOOK, size=room)),
    "bars": (LEAST_PLOT, lambda room: charts.bars(WEIGHTS[0], TOKENS, LOOK, width=room)),
    "bars, signed": (LEAST_PLOT, lambda room: charts.bars(SIGNED, TOKENS, LOOK, kind="signed", width=room)),
    "concat_map": (LEAST_PLOT, lambda room: charts.concat_map(np.ones((3, 12)), 4, TOKENS[:3], LOOK, size=room)),
    "curves": (LEAST_PLOT, lambda room: charts.curves(CURVES, LOOK, width=room, marks=[(2, "here")], **AXES)),
    "curves, log": (LEAST_PLOT, lambda room: charts.curves(CURVES, LOOK, width=room, x=LOG, y=LOG)),
    "dials": (5 * LEAST_PLOT, lambda room: charts.dials(SIGNED[:5], WEIGHTS[0, :5], LOOK, names="abcde", width=room)),
    "fan": (LEAST_PLOT, lambda room: charts.fan([1, 2], np.ones(32), LOOK, attends=True, width=room)),
    "growing_square": (LEAST_PLOT, lambda room: charts.growing_square(8, 16, LOOK, size=room)),
    "work_grid": (
        4 * LEAST_CELL, lambda room: charts.work_grid(np.eye(4, dtype=int), STATES, "abcd", "abcd", LOOK, size=room),
    ),
    "head_grid": (N * LEAST_CELL, lambda room: charts.head_grid([WEIGHTS] * 3, TOKENS, TOKENS, LOOK, width=room)),
    "head_grid, long": (
        LEAST_PLOT,
        lambda room: charts.head_grid([LONG] * 3, charts.counted(90), charts.counted(90), LOOK, width=room),
    ),
    "head_groups": (LEAST_PLOT, lambda room: charts.head_groups(8, 2, LOOK, width=room)),
    "head_switches": (LEAST_PLOT, lambda room: charts.head_switches(LONG[:6, :12], LOOK, off=[(0, 1)], size=room)),
    "heatmap": (N * LEAST_CELL, lambda room: charts.heatmap(WEIGHTS, TOKENS, TOKENS, LOOK, size=room)),
    "heatmap, two sides": (
        N * FINEST_CELL,
        lambda room: charts.heatmap(WEIGHTS, TOKENS, TOKENS, LOOK, size=(room, room), style=charts.Style(square=False)),
    ),
    "heatmap, long": (
        LEAST_PLOT,
        lambda room: charts.heatmap(LONG, charts.counted(90), charts.counted(90), LOOK, size=room),
    ),
    "layer_head_map": (LEAST_PLOT, lambda room: charts.layer_head_map(LONG[:6, :12], LOOK, tolerance=0.5, size=room)),
    "lines": (LEAST_PLOT, lambda room: charts.lines([WEIGHTS], TOKENS, TOKENS, LOOK, across=room)),
    "mosaic": (2 * N, lambda room: charts.mosaic([[WEIGHTS] * 2] * 3, LOOK, width=room)),
    "overview": (
        LEAST_PLOT,
        lambda room: charts.overview(LONG, charts.counted(90), charts.counted(90), LOOK, size=room),
    ),
    "pairs": (LEAST_PLOT, lambda room: charts.pairs(WEIGHTS[0], WEIGHTS[1], TOKENS, LOOK, width=room)),
    "pairs, signed": (LEAST_PLOT, lambda room: charts.pairs(SIGNED, -SIGNED, TOKENS, LOOK, width=room)),
    "panels": (2 * FINEST_CELL, lambda room: charts.panels(LOOK, room, *PANELS)),
    "photo": (LEAST_PICTURE, lambda room: charts.photo(np.ones((8, 8, 3)), LOOK, size=room)),
    "places": (LEAST_PLOT, lambda room: charts.places(WEIGHTS[0], TOKENS, LOOK, width=room)),
    "products": (LEAST_PLOT, lambda room: charts.products(SIGNED, SIGNED, LOOK, width=room)),
    "points": (LEAST_PLOT, lambda room: charts.points(np.eye(5, 2), TOKENS[:5], "kqkqk", KINDS, LOOK, size=room)),
    "word_map": (
        4 * LEAST_CELL,
        lambda room: charts.word_map([["a", "word", "in", "each"]] * 3, np.eye(3, 4), "abc", "abcd", LOOK, width=room),
    ),
    "token_strip": (LEAST_PLOT, lambda room: charts.token_strip(TOKENS, LOOK, width=room)),
}  # fmt: skip


def plots(view):
    """Return every plot of a figure, without the operators between them."""
    parts = [part for kind in ("hconcat", "vconcat") for part in view.get(kind, ())]
    if parts:
        return [plot for part in parts for plot in plots(part)]
    return [view] if "layer" in view else []


def test_every_figure_that_is_told_its_room_is_tried():
    told = {
        name
        for name, figure in vars(charts).items()
        if inspect.isfunction(figure)
        and {"width", "size", "room", "across"} & set(inspect.signature(figure).parameters)
    }
    # a picture is read and a file saved at so many pixels, a diagram has coordinates of its own, and three tell of
    # sizes alone
    files = {"png", "svg", "pdf", "save", "read_picture"}
    assert told - files - {"diagram", "touched_cell", "fit_to_room", "token_strip_width"} == {
        name.partition(",")[0] for name in FIGURES
    }


@pytest.mark.parametrize("name", FIGURES)
def test_a_plot_has_its_least_width_in_every_room(name):
    least, figure = FIGURES[name]
    for room in ROOMS:
        spec = figure(room).to_dict()
        assert min(plot["width"] for plot in plots(spec)) >= least, room
        assert min(plot["height"] for plot in plots(spec)) >= FINEST_CELL, room


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", ["bars, signed", "pairs, signed"])
def test_bars_lie_on_their_side_of_zero(name, room):
    spec = FIGURES[name][1](room).to_dict()
    table = next(rows for rows in spec["datasets"].values() if "shown" in rows[0] and "x2" in rows[0])
    values = [float(row["shown"].replace("−", "-")) for row in table]
    zero = next(row["x"] for row, value in zip(table, values, strict=True) if value == 0)
    for row, value in zip(table, values, strict=True):
        assert 0 <= row["x"] <= row["x2"] <= 1
        assert row["x2"] == pytest.approx(zero) if value <= 0 else row["x"] == pytest.approx(zero)
        assert (row["x2"] - row["x"] > 0) == (value != 0)


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"lines"}))  # which are told their inner part
def test_where_there_is_room_a_figure_keeps_to_it(name):
    assert max(plot["width"] for plot in plots(FIGURES[name][1](880).to_dict())) <= 880


@pytest.mark.parametrize(("size", "cells"), [(0, 1), (-5, 7), (0, 11), (0, 41), (0, 60), (0, 61), (0, 119), (10, 500)])
def test_a_least_size_is_one_of_whole_cells(size, cells):
    least = least_plane(size, cells)
    assert least % cells == 0 or least == LEAST_PLOT
    assert least >= min(LEAST_PLOT, LEAST_CELL * cells)
    assert least_plane(least + 1, cells) == least + 1


# Pages


def narrow_visits():
    """Return a page, a tab and a room: every tab on two phones, and every page in two rooms more.

    A phone of 320 pixels leaves 240.
    """
    for page, cls in SETUPS.items():
        tabs = options(fields(cls)["tab"]) if "tab" in fields(cls) else [None]
        yield from ((page, tab, room) for tab in tabs if tab != "code" for room in (280, 350))  # code draws nothing
        yield from ((page, tabs[0], room) for room in (240, 600))


@pytest.mark.parametrize(("page", "tab", "room"), list(narrow_visits()))
def test_every_page_and_tab_in_a_narrow_room(page, tab, room):
    drawn(opened(page, {"tab": tab} if tab else None, room=room))


def drawn(app):
    """Demand that a page ran to its end, and that no plot on it is a sliver."""
    for spec in specs(check(app)):
        for plot in plots(spec):
            assert plot["width"] >= 2 * FINEST_CELL, json.dumps(plot.get("title"))
            assert plot["height"] > 0


@pytest.mark.parametrize(("room", "height"), [(880, 720), (880, 800), (1520, 1080)])
def test_words_for_a_hall_make_no_phone_of_a_window(monkeypatch, room, height):
    chosen = {"page_width": room, "page_height": height, "look": Look(large=True)}
    monkeypatch.setattr(width.st, "session_state", chosen)
    drawn = width.page_tallest() * width.page_enlargement()
    assert drawn <= 0.6 * height  # the figure is seen whole, with its title, axes and what stands above it
    assert width.page_cell(11, 14) == 11


@pytest.mark.parametrize(("room", "height", "tallest"), [(358, 844, 440), (760, 390, 240)])
@pytest.mark.parametrize("large", [False, True])
def test_a_phone_is_scrolled_and_touched_upright_and_on_its_side(monkeypatch, room, height, tallest, large):
    chosen = {"page_width": room, "page_height": height, "look": Look(large=large)}
    monkeypatch.setattr(width.st, "session_state", chosen)
    assert width.page_tallest() == tallest
    assert width.page_cell(11, 14) == FINGER_CELL


def test_a_deep_model_s_heads_are_wide_enough_to_be_seen(monkeypatch):
    monkeypatch.setattr(width.st, "session_state", {"page_width": 880, "page_height": 720})
    assert width.page_layers_map_size((6, 12), 300) == 300
    assert width.page_layers_map_size((30, 9), 300) == (9 * 34, 300)
    assert width.page_layers_map_size((30, 9), 300, beside=700) == (9 * 20, 300)


@pytest.mark.parametrize(("room", "height", "factor"), [(1200, 720, 1), (1520, 900, 20 / 14), (880, 1080, 1)])
def test_words_grow_only_where_the_window_is_large_both_ways(monkeypatch, room, height, factor):
    monkeypatch.setattr(width.st, "session_state", {"page_width": room, "page_height": height})
    assert width.page_enlargement() == pytest.approx(factor)
    assert width.page_width() == int(room / factor)


def test_a_formula_for_a_hall_stands_beside_the_words_only_where_it_is_not_cut():
    def columns(room, large):
        return len(check(opened("positions", {"large": large}, room=room)).columns)

    assert columns(880, "1") + 2 == columns(880, "0") == columns(1520, "1")


def test_figures_for_a_hall_stand_side_by_side_only_where_both_fit():
    def columns(room, large):
        return len(check(opened("change", {"large": large}, room=room), charts=3).columns)

    beside = columns(880, "0")
    assert columns(1520, "1") == beside
    assert columns(880, "1") == beside - 4  # nor does the formula stand beside the words
