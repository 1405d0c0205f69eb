"""Curves and dials: where things lie, what is left out, and what is said."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest

from attn import charts
from attn.charts.curves import AxisScale, curve_words_beside, spread_curves_apart
from attn.charts.labels import LINE, label_pixels
from attn.ui.pages.cost.curves import TWICE

LIGHT = charts.LIGHT
NAMES = {"x": "tokens", "y": "seconds"}
LOG = {"x": charts.Axis("tokens", log=True), "y": charts.Axis("seconds", log=True)}


def tables(chart, *columns):
    """Return the tables of the layers that have these columns."""
    layers = [layer for part in getattr(chart, "layer", [chart]) for layer in getattr(part, "layer", [part])]
    found = [layer.data.to_pandas() for layer in layers if isinstance(layer.data, pa.Table)]
    return [table for table in found if set(columns) <= set(table)]


def test_a_curve_by_hand():
    chart = charts.curves([charts.Curve("one", [0, 1, 2], [0, 5, 10])], LIGHT, **NAMES)
    line = tables(chart, "x", "y")[0]
    np.testing.assert_allclose(line["x"], [0, 0.5, 1])
    np.testing.assert_allclose(line["y"], [1, 0.5, 0])
    assert chart.description == "seconds by tokens: one ends at 10."


def test_logarithms_make_powers_straight_lines():
    x = np.array([1, 10, 100, 1000])
    chart = charts.curves([charts.Curve("square", x, x**2), charts.Curve("same", x, x)], LIGHT, **LOG)
    square, same = (table for table in tables(chart, "x", "y") if list(table) == ["x", "y"])
    np.testing.assert_allclose(np.diff(square["y"]), -1 / 3)
    np.testing.assert_allclose(np.diff(same["y"]), -1 / 6)


def test_what_has_no_logarithm_or_is_no_number_is_left_out():
    parts = [charts.Curve("some", [1, 2, 4, 8], [0, np.nan, -1, 8]), charts.Curve("none", [1, 2], [np.nan, -5])]
    chart = charts.curves(parts, LIGHT, **LOG)
    lines = [table for table in tables(chart, "x", "y") if list(table) == ["x", "y"]]
    assert [len(line) for line in lines] == [1]
    assert "none" not in chart.description


@pytest.mark.parametrize(("count", "marked"), [(64, 64), (65, 64)])
def test_up_to_64_points_of_a_curve_answer_to_the_pointer(count, marked):
    x = np.arange(count)
    points = tables(charts.curves([charts.Curve("one", x, x)], LIGHT, **NAMES), "across", "up")[0]
    assert len(points) == marked
    assert points["across"].iloc[[0, -1]].tolist() == ["0", str(count - 1)]


def test_a_name_is_an_axis_with_nothing_special():
    parts = [charts.Curve("one", [1, 2], [3, 5])]
    named = charts.curves(parts, LIGHT, x=charts.Axis("tokens"), y=charts.Axis("seconds"))
    assert named.to_dict() == charts.curves(parts, LIGHT, **NAMES).to_dict()


@pytest.mark.parametrize("parts", [[], [charts.Curve("empty", [], [])], [charts.Curve("nan", [1], [np.nan])]])
def test_nothing_to_show_says_so(parts):
    assert "Nothing to show." in charts.curves(parts, LIGHT, **NAMES).description


def test_a_curve_keeps_its_colour_when_another_is_empty():
    full, empty = charts.Curve("full", [1, 2], [3, 4]), charts.Curve("empty", [], [])
    inks = [
        tables(charts.curves(parts, LIGHT, **NAMES), "text", "ink")[0].set_index("text")["ink"]["full"]
        for parts in ([empty, full], [charts.Curve("other", [1, 2], [3, 5]), full])
    ]
    assert inks[0] == inks[1]


def test_marks_lie_where_they_are_and_only_within_the_axis():
    chart = charts.curves(
        [charts.Curve("one", [0, 10], [0, 1])],
        LIGHT,
        marks=[(5, "half", 0.5), (7, "more")],
        x=charts.Axis("tokens", range=(0, 6)),
        y="seconds",
    )
    texts = [text for table in tables(chart, "text") for text in table["text"]]
    assert "half" in texts
    assert "more" not in texts
    rings = [layer.data.to_pandas() for layer in chart.layer if layer.mark["type"] == "point"]
    free = 1.2 * LINE / chart.height  # above the curve, for the word
    np.testing.assert_allclose([ring.loc[0] for ring in rings], [[5 / 6, free + 0.5 * (1 - free)]])


def test_words_of_marks_lie_above_every_curve():
    chart = charts.curves(
        [charts.Curve("one", [0, 10], [3, 3])],
        LIGHT,
        marks=[(5, "half")],
        x="tokens",
        y=charts.Axis("seconds", range=(0, 3)),
    )
    (word,) = {at for table in tables(chart, "text", "at") for at in table["at"]}
    (height,) = {y for layer in chart.layer if layer.mark["type"] == "line" for y in layer.data["y"].to_pylist()}
    assert word * chart.height + LINE / 2 < height * chart.height


def test_words_of_marks_cross_no_line_and_no_word():
    assert curve_words_beside([100.0, 150.0], ["one word", "another word"], 400) == [(True, 0), (False, 0)]
    assert curve_words_beside([20.0, 30.0, 40.0], ["first of all", "second", "third"], 400) == [
        (False, 0),
        (False, 1),
        (False, 2),
    ]
    assert curve_words_beside([390.0], ["at the end"], 400) == [(True, 0)]


@pytest.mark.parametrize("width", [334, 440])  # on a phone, and beside the square on a laptop
def test_a_word_is_broken_before_the_next_upright_line(width):
    numbers = charts.Axis("tokens", format="{:,.0f}".format)
    parts = [charts.Curve("n × n scores", [0, 4096], [0, 4096**2])]
    marks = [(1024, "here: 1,024"), (2048, "twice the text: four times the scores")]
    chart = charts.curves(parts, charts.LIGHT, x=numbers, y=numbers, marks=marks, width=width, height=240)
    places = {
        (x * chart.width, text)
        for table in tables(chart, "text", "at")
        for x, text in zip(table["x"], table["text"], strict=True)
    }
    (at, here), (next_at, _) = sorted(places)
    assert at + max(map(label_pixels, here.split("\n"))) + 6 <= next_at


def test_ticks_that_are_asked_for_stand_under_their_points_up_to_the_ends():
    widths = [4**power for power in range(6)]
    axis = charts.Axis("d_k", log=True, ticks=widths)
    chart = charts.curves([charts.Curve("one", widths, widths)], LIGHT, x=axis, y="size", width=359)
    drawn = charts.specified(chart)["layer"][0]["encoding"]["x"]["axis"]
    assert json.loads(drawn["labelExpr"].partition("[indexof")[0]) == ["1", "4", "16", "64", "256", "1,024"]
    assert drawn["values"] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert drawn["labelFlush"] is False


@pytest.mark.parametrize(("n", "crossed"), [(1024, 0), (2048, 1)])
def test_no_upright_line_runs_through_words_that_have_no_other_place(n, crossed):
    parts = [charts.Curve("n × n scores", [0, 4096], [0, 4096**2])]
    marks = [(n, "here"), (2 * n, "twice the text: four times the scores")]
    chart = charts.curves(parts, LIGHT, **NAMES, marks=marks, width=330, height=240)
    grounds = [table for table in tables(chart, "x", "x2", "y2") if list(table) == ["x", "x2", "y", "y2"]]
    assert len(grounds) == crossed
    for ground in grounds:
        assert ground["x"][0] < n / 4096 < ground["x2"][0] < 1


@pytest.mark.parametrize("width", [334, 440])
@pytest.mark.parametrize("n", [1024, 2048])
def test_the_word_of_a_text_twice_as_long_crosses_no_other_line(n, width):
    parts = [charts.Curve("n × n scores", [0, 4096], [0, 4096**2])]
    chart = charts.curves(parts, LIGHT, **NAMES, marks=[(n, "here"), (2 * n, TWICE)], width=width, height=240)
    assert [table for table in tables(chart, "x", "x2", "y", "y2") if list(table) == ["x", "x2", "y", "y2"]] == []


def test_broken_curves_are_broken_in_the_legend_too():
    names = {"with attention, trained up to 14": False, "with attention, trained up to 7": True}
    parts = [charts.Curve(name, [1, 2], [1, 0], "#E69F00", dashed) for name, dashed in names.items()]
    drawn = charts.svg(charts.specification(charts.curves(parts, LIGHT, width=330, **NAMES))).decode()
    pieces = re.findall(r'<path[^>]*d="M-[^>]*>', drawn[drawn.index("role-legend-entry") :])
    assert [re.search(r'stroke-dasharray="(.*?)"', piece)[1] == "7,5" for piece in pieces] == list(names.values())
    assert all("#E69F00" in piece for piece in pieces)


def test_words_above_curves_lengthen_no_axis_beyond_what_it_was_asked_to_span():
    shares = charts.Axis("right", range=(0, 1), format="{:.0%}".format)
    marks = [(7, "trained up to 7"), (14, "trained up to 14")]
    chart = charts.curves([charts.Curve("one", [3, 21], [1, 0])], LIGHT, x="words", y=shares, marks=marks, width=330)
    axes = (layer["encoding"].get("y", {}).get("axis") for layer in charts.specification(chart)["layer"])
    texts = json.JSONDecoder().raw_decode(next(filter(None, axes))["labelExpr"])[0]
    assert texts == ["0%", "20%", "40%", "60%", "80%", "100%"]


def test_an_axis_of_numbers_has_two_of_them_at_least():
    assert AxisScale(0, 4096, False).ticks(2) == [0, 2000, 4000]
    assert AxisScale(0, 10, False).ticks(2) == [0, 5, 10]


def test_names_moved_apart_are_tied_to_their_curves():
    parts = [charts.Curve(name, [0, 1], [0, end]) for name, end in (("low", 0.1), ("next", 0.11), ("high", 1.0))]
    chart = charts.curves(parts, LIGHT, **NAMES)
    lines = [layer.data.to_pandas() for layer in chart.layer if layer.mark["type"] == "line"]
    ties = [line for line in lines if line["x"].min() >= 1]
    ends = {round(line["y"].iloc[-1], 9) for line in lines if line["x"].max() <= 1}
    assert ties
    assert all(round(tie["y"].iloc[0], 9) in ends for tie in ties)


def test_a_short_logarithmic_axis_has_more_than_its_decades():
    assert AxisScale(8, 2000, True).ticks(10) == [10, 20, 50, 100, 200, 500, 1000, 2000]
    assert AxisScale(1, 1e6, True).ticks(8) == [1, 10, 100, 1000, 1e4, 1e5, 1e6]
    assert len(AxisScale(1, 1e30, True).ticks(8)) <= 8


def test_names_at_the_ends_do_not_overlap():
    places = [50.0, 52.0, 51.0, 98.0, 99.0]
    spread = spread_curves_apart(places, 17, 100)
    assert np.diff(sorted(spread)).min() >= 17
    assert max(spread) <= 100
    assert np.argsort(spread).tolist() == np.argsort(places).tolist()
    assert spread_curves_apart([], 17, 100) == []


@pytest.mark.parametrize(("low", "high", "log"), [(0, 1, False), (-3, 97, False), (3e-7, 2, True), (16, 1e9, True)])
def test_ticks_are_few_and_inside(low, high, log):
    scale = AxisScale(low, high, log)
    for most in (2, 5, 10):
        at = scale.ticks(most)
        assert 1 <= len(at) <= most + 2
        assert all(low <= value <= high for value in at)
        fraction = scale.fraction(at)
        assert (fraction >= 0).all()
        assert (fraction <= 1).all()


@pytest.mark.parametrize("log", [False, True])
def test_equal_values_still_have_an_axis(log):
    assert AxisScale.over([[3, 3]], log, None).fraction(3) == pytest.approx(0.5)
    chart = charts.curves([charts.Curve("flat", [1, 2], [3, 3])], LIGHT, **(LOG if log else NAMES))
    assert "flat ends at 3" in chart.description


def test_hands_point_where_they_should():
    chart = charts.dials([0, np.pi], [np.pi / 2, np.pi], LIGHT, names=["a", "b"])
    query, key = tables(chart, "x2", "hand")[0], tables(chart, "x2", "hand")[2]
    np.testing.assert_allclose(query["x2"] - query["x"], [0.4, -0.4], atol=1e-12)
    np.testing.assert_allclose(key["y2"] - key["y"], [-0.4, 0], atol=1e-12)  # up is towards zero
    assert chart.description == "Dials: a: 90° apart; b: 0° apart."


def test_dials_that_do_not_fit():
    with pytest.raises(ValueError, match="there must be one query, key and name per dial"):
        charts.dials([0, 1], [0], LIGHT, names=["a", "b"])
    assert "Nothing to show." in charts.dials([], [], LIGHT, names=[]).description
