"""Boxes and arrows, and how lines between tokens are scaled."""

import numpy as np
import pytest

from attn.charts import DARK, LIGHT, Box, Frame, Pick, diagram, lines

BOXES = [Box("Low", 10, 60, 120, 30, "3 × 4"), Box("A name that leaves no room", 10, 10, 160, 30, "5 × 6", "#0072B2")]


def rows(chart, *fields):
    """Return the first table of a figure that has these fields, as a list of dicts."""
    data = chart.to_dict()["datasets"].values()
    return next(table for table in data if set(fields) <= set(table[0]))


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_box_shows_its_note_where_there_is_room(theme):
    chart = diagram(BOXES, [[(70, 60), (70, 44)]], theme, pick=Pick("box", 1))
    texts = [row["text"] for table in chart.to_dict()["datasets"].values() for row in table if "text" in row]
    assert "3 × 4" in texts
    assert "5 × 6" not in texts
    assert [row["note"] for row in rows(chart, "note", "edge")] == ["3 × 4", "5 × 6"]  # the pointer says both
    assert rows(chart, "note", "edge")[1]["edge"] == "#0072B2"
    assert "Low 3 × 4; A name that leaves no room 5 × 6" in chart.description


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_box_that_does_nothing_is_grey_whatever_its_colour(theme):
    chart = diagram([BOXES[0]._replace(color="#0072B2", off=True), BOXES[0]], [], theme)
    off, on = rows(chart, "fill", "edge")
    assert off["fill"] == off["edge"] == theme.hidden
    assert on["fill"] != theme.hidden


@pytest.mark.parametrize(("end", "angle"), [((50, 40), 0), ((60, 50), 90), ((50, 60), 180), ((40, 50), -90)])
def test_heads_point_where_arrows_go(end, angle):
    chart = diagram(BOXES, [[(0, 0), (50, 50), end]], LIGHT)
    (head,) = rows(chart, "angle")
    assert (head["x"], head["y"], head["angle"]) == (*end, pytest.approx(angle))
    assert [(row["x"], row["y"]) for row in rows(chart, "arrow")] == [(0, 0), (50, 50), end]


def test_a_diagram_of_boxes_alone_and_one_with_a_frame():
    assert len(diagram(BOXES, [], LIGHT).layer) < len(
        diagram(BOXES, [], LIGHT, frames=[Frame("× 6", 0, 0, 9, 9)]).layer
    )


def test_the_widest_line_is_the_limit():
    weights = np.array([[[0.1, 0.2], [0.4, 0.3]]])
    plain, scaled = (rows(lines(weights, "ab", "ab", LIGHT, limit=limit), "wide") for limit in (None, 0.4))
    assert max(row["wide"] for row in plain) == pytest.approx(0.8 + 5 * 0.4)
    assert max(row["wide"] for row in scaled) == pytest.approx(5.8)
    assert {row["shown"] for row in plain} == {row["shown"] for row in scaled} == {"0.1", "0.2", "0.3", "0.4"}


def test_lines_from_one_query_or_to_one_key():
    weights = np.arange(1, 7).reshape(1, 2, 3) / 10
    one = rows(lines(weights, "ab", "cde", LIGHT, query=1), "wide")
    assert {(row["query"], row["key"]) for row in one} == {("b", "c"), ("b", "d"), ("b", "e")}
    one = rows(lines(weights, "ab", "cde", LIGHT, key=2), "wide")
    assert {(row["query"], row["key"]) for row in one} == {("a", "e"), ("b", "e")}


def test_words_on_both_sides_can_be_chosen():
    chart = lines(np.ones((1, 2, 3)), "ab", "cde", LIGHT, select="token")
    (chosen,) = chart.to_dict()["params"]
    assert chosen["select"]["fields"] == ["row", "column"]
    words = [(row["row"], row["column"], row["text"]) for row in rows(chart, "row", "column", "text")]
    assert words == [(0, -1, "a"), (1, -1, "b"), (-1, 0, "c"), (-1, 1, "d"), (-1, 2, "e")]


def test_a_line_takes_a_fiftieth_of_the_limit():
    weights = np.array([[[0.02, 0.0199, 1.0]]])
    assert {row["key"] for row in rows(lines(weights, "a", "bcd", LIGHT), "wide")} == {"b", "d"}
    weights = weights / 4  # the fiftieth is that of the limit
    assert {row["key"] for row in rows(lines(weights, "a", "bcd", LIGHT, limit=0.25), "wide")} == {"b", "d"}


@pytest.mark.parametrize(("n", "shown", "drawn"), [(20, 20, 400), (21, 21, 400), (80, 80, 400), (81, 80, 400)])
def test_of_the_first_80_tokens_the_400_heaviest_lines_are_drawn(n, shown, drawn):
    weights = np.linspace(1, 0.5, n * n).reshape(1, n, n)  # the first are the heaviest
    chart = lines(weights, [str(at) for at in range(n)], ["key"] * n, LIGHT)
    found = rows(chart, "wide")
    assert len(found) == drawn
    assert {int(row["query"]) for row in found} == set(range(-(-drawn // shown)))
    assert len(rows(chart, "ink")) == 2 * shown


def test_lines_have_the_room_they_are_given():
    for across in (120, 360):
        (line, *_) = rows(lines(np.ones((1, 1, 1)), "a", "b", LIGHT, across=across), "wide")
        assert line["x2"] - line["x"] == across
