"""A finished specification fitted to its page: bars shortened, rows broken, and everything enlarged alike."""

import json
import re

import numpy as np
import pytest
from test_room import FIGURES, LOOK, TOKENS, WEIGHTS, plots

from attn import charts
from attn.charts.fitting import plots_height, plots_width
from attn.charts.labels import label_pixels
from attn.charts.plane import LEAST_PLOT

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
    broken = charts.fit_to_room(spec, room)
    assert titles(broken) == rows
    assert (broken == spec) == (len(rows) == 1)
    for row in broken.get("vconcat", ()):
        assert len(plots(row)) == 1 or plots_width(row) <= room


def test_a_plot_that_begins_a_row_names_its_own():
    bare = charts.heatmap(WEIGHTS, TOKENS, TOKENS, LOOK, size=210, style=charts.Style(row_labels=False))
    spec = charts.specification(charts.beside(charts.heatmap(WEIGHTS, TOKENS, TOKENS, LOOK, size=210), "→", bare))
    beside, under = (charts.svg(charts.fit_to_room(spec, room)).decode() for room in (800, 400))
    for token in TOKENS:  # down the first and across both; and down the second
        assert [len(re.findall(f">{token}<", picture)) for picture in (beside, under)] == [3, 4]


def seen_width(spec):
    """Return the pixels across of a picture."""
    return float(re.search(r'width="([\d.]+)"', charts.svg(spec).decode())[1])


def test_a_width_is_guessed_well():
    spec = charts.specification(ROW)
    assert plots_width(spec) == pytest.approx(seen_width(spec), rel=0.1)


def test_a_figure_too_high_gives_up_its_scales_but_not_what_a_colour_means():
    hidden = ~np.tri(len(TOKENS), dtype=bool)
    spec = charts.specification(charts.beside(charts.heatmap(WEIGHTS, TOKENS, TOKENS, LOOK, title="A", hidden=hidden)))
    tall, picture = plots_height(spec), charts.svg(spec).decode()
    assert tall == pytest.approx(float(re.search(r'height="([\d.]+)"', picture)[1]), rel=0.1)
    assert charts.fit_to_room(spec, 1400, tall) == spec
    low = charts.fit_to_room(spec, 1400, tall - 1)
    assert plots_height(low) < tall - 20
    assert ("linearGradient" in picture, "linearGradient" in charts.svg(low).decode()) == (True, False)
    assert ">hidden<" in charts.svg(low).decode()


def test_a_row_that_only_its_scales_make_too_wide_is_not_broken_where_there_is_no_height_for_two():
    def row(legend):
        style = charts.Style(legend=legend)
        narrow = charts.heatmap(WEIGHTS[:, :2], TOKENS, TOKENS[:2], LOOK, title="A", size=(60, 150), style=style)
        return charts.specification(charts.beside(*[narrow] * 3))

    room, tall = plots_width(row(False)), plots_height(row(False))
    broken = charts.fit_to_room(row(True), room)
    assert len(broken["vconcat"]) > 1
    assert plots_height(charts.fit_to_room(row(True), room, tall)) <= tall < plots_height(broken)


@pytest.mark.parametrize("room", [300, 358, 500])
@pytest.mark.parametrize("kind", ["weights", "signed"])
@pytest.mark.parametrize("number", [1, 1234])
def test_bars_with_their_names_and_numbers_keep_to_the_room(room, kind, number):
    values = number * np.linspace(-1 if kind == "signed" else 0.1, 1, len(TOKENS))
    scale = charts.Scale(limit=float(number))
    picture = charts.bars(values, TOKENS, LOOK, kind=kind, title="How long each vector is", width=700, scale=scale)
    spec = charts.specification(charts.beside(picture))
    (plot,) = plots(fitted := charts.fit_to_room(spec, room))
    assert seen_width(spec) > room >= seen_width(fitted)
    assert plot["width"] >= room / 4
    assert charts.fit_to_room(spec, 1000) == spec
    assert plots(charts.fit_to_room(spec, 50))[0]["width"] == LEAST_PLOT


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
    for kind in ("legend", "axis"):  # a scale that enlarges brings none
        assert large.count(f"role-{kind}") == small.count(f"role-{kind}")
    assert charts.enlarged(spec, 1) is spec


def test_bars_stand_as_far_apart_as_the_lines_of_their_names():
    names = ["Right: zero after the softmax, then renormalise", "Wrong: zero after the softmax, nothing more"]
    spec = charts.fit_to_room(charts.specification(charts.beside(charts.bars([1.0, 2.0], names, LOOK))), 318)
    plot = plots(spec)[0]
    axis = next(layer["encoding"]["y"]["axis"] for layer in plot["layer"] if layer["encoding"].get("y", {}).get("axis"))
    lines = max(map(len, json.JSONDecoder().raw_decode(axis["labelExpr"])[0]))
    assert lines == 3
    assert plot["height"] / len(names) > lines * axis["labelLineHeight"]
    (large,) = plots(charts.enlarged(spec, 2))
    assert large["layer"][0]["encoding"]["y"]["axis"]["labelLineHeight"] == 2 * axis["labelLineHeight"]


def test_a_scale_of_colour_ends_where_the_page_does():
    labels = charts.token_labels(["incomprehensible"] * 16)
    tiny = 1.79e-7 * np.eye(16)
    picture = charts.heatmap(tiny, labels, labels, LOOK, kind="signed", size=480, scale=charts.Scale(name="difference"))
    spec = charts.specification(charts.beside(picture))

    def length(spec):
        colours = (layer["encoding"].get("color", {}) for layer in plots(spec)[0]["layer"])
        return next(colour["legend"]["gradientLength"] for colour in colours if colour.get("legend"))

    narrow = charts.fit_to_room(spec, 390)
    assert length(narrow) < length(spec)
    assert charts.fit_to_room(spec, 800) == spec
    words = label_pixels(labels[0]) + label_pixels("difference")
    assert words + length(narrow) < 390


@pytest.mark.parametrize(
    ("word", "name", "log", "hidden", "kept"),
    [
        ("feed-forward 1", "added to the score", False, False, 3),
        ("1", "share of the difference", False, True, 3),
        ("Feed-forward", "moved by", True, False, 2),  # its numbers alone would be wider than the room
    ],
)
def test_legends_below_a_map_wider_than_a_phone_end_within_its_frame(word, name, log, hidden, kept):
    gone = np.eye(16, dtype=bool) if hidden else None
    look = {"kind": "magnitude" if log else "signed", "scale": charts.Scale(5.15, log=log, name=name), "hidden": gone}
    style = charts.Style(hidden_name="out of reach")
    picture = charts.heatmap(np.eye(16), [word] * 16, TOKENS[:1] * 16, LOOK, size=480, style=style, **look)
    fitted = charts.fit_to_room(charts.specification(charts.beside(picture)), 328)
    drawn = charts.svg(fitted).decode()
    legend = next(
        layer["encoding"]["color"]["legend"]
        for layer in plots(fitted)[0]["layer"]
        if "gradientLength" in (layer["encoding"].get("color", {}).get("legend") or {})
    )
    assert legend["titleOrient"] == "top"
    assert len(json.JSONDecoder().raw_decode(legend["labelExpr"])[0]) == len(legend["values"]) == kept
    assert name in drawn
    plot = plots(fitted)[0]
    cells, whole = plot["width"], plots_width(fitted)
    plot["width"] = 1  # so that what it takes across is what its legends take
    assert plots_width(fitted) <= 1.05 * 328 < whole  # words are taken for rather too wide
    assert cells > 328


@pytest.mark.parametrize("room", [358, 288])
@pytest.mark.parametrize("kind", ["curves", "squares", "a scale and squares"])
def test_squares_of_a_legend_stand_in_columns_and_their_names_in_lines(kind, room):
    names = ["Bahdanau, trained up to 14", "Fixed vector, trained up to 14 and no further", "fixed"]
    if kind == "curves":
        picture = charts.curves([charts.Curve(name, [1, 2], [1, 2]) for name in names], LOOK, x="x", y="y", width=200)
    elif kind == "squares":
        states = np.arange(9).reshape(3, 3) % 3
        colours = dict(zip(names, ("#000000", "#777777", "#cccccc"), strict=True))
        picture = charts.work_grid(states, colours, TOKENS[:3], TOKENS[:3], LOOK, size=120)
    else:
        style, scale = charts.Style(hidden_name="filtered out or nothing to measure"), charts.Scale(name="share")
        picture = charts.heatmap(
            np.eye(3), hidden=np.eye(3, dtype=bool), theme=LOOK, size=120, style=style, scale=scale
        )
    spec = charts.specification(charts.beside(picture))

    def width(spec):
        return float(re.search(r'class="marks" width="([\d.]+)"', charts.svg(spec).decode())[1])

    fitted = charts.fit_to_room(spec, room)
    assert width(spec) > 358
    assert width(fitted) <= room
    for word in " ".join(names if kind != "a scale and squares" else [style.hidden_name]).split():
        assert word in charts.svg(fitted).decode()
    assert charts.fit_to_room(spec, 2000) == spec


def test_bars_above_longer_names_end_within_the_page_too():
    bars = charts.bars([0.7, 0.2, 0.1], ["1 a", "2 b", "3 c"], LOOK, width=360)
    rows = np.ones(6), np.ones(6)
    products = charts.products(*rows, LOOK, left_name="query of 11 it", right_name="key of 3 animal", width=328)
    fitted = charts.fit_to_room(charts.specification(charts.above(bars, products)), 328)
    drawn = charts.svg(fitted).decode()
    assert float(re.search(r'class="marks" width="([\d.]+)"', drawn)[1]) <= 328 + 12  # of which the margin is empty


@pytest.mark.parametrize(("room", "terms"), [(288, 3), (328, 3), (358, 4)])
def test_a_product_has_as_many_terms_as_a_phone_has_room_for(room, terms):
    rows = np.ones(32), np.ones(32)
    products = charts.products(*rows, LOOK, left_name="query of 11 it", right_name="key of 3 animal", width=room)
    drawn = charts.svg(charts.specification(products)).decode()
    assert float(re.search(r'class="marks" width="([\d.]+)"', drawn)[1]) <= room + 12
    assert f"other {32 - terms + 1}" in drawn
