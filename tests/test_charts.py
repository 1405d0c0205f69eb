"""What the figures promise: square cells, one labelled scale, names that do not overlap, bounded size."""

import base64
import dataclasses
import importlib
import inspect
import io
import math
import re
import sys
import threading
from itertools import pairwise

import altair as alt
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from attn import charts
from attn.charts import labels, raster, theme
from attn.charts.outlines import text_width
from attn.charts.scale import colour_scale

HALF_LOADED = """
import time
time.sleep(0.2)
class Timestamp: pass
"""
THEMES = [charts.LIGHT, charts.DARK]


def named(count):
    """Return labels of so many tokens."""
    return charts.token_labels([f"word{i}" for i in range(count)])


def weights(n_q, n_k, seed=0):
    """Return rows that sum to 1."""
    return np.random.default_rng(seed).dirichlet(np.ones(n_k), size=n_q)


def spec_of(chart):
    """Return the specification of a chart, with the name of its data in every layer."""

    def handed_down(view, data=None):
        data = view.get("data", data)
        parts = [part for kind in ("layer", "hconcat", "vconcat") for part in view.get(kind, [])]
        for part in parts:
            handed_down(part, data)
        if not parts:
            view["data"] = data

    spec = chart.to_dict()
    handed_down(spec)
    return spec


def map_of(values, theme=charts.LIGHT, **options):
    """Return the specification of a heat map of `values`."""
    return spec_of(charts.heatmap(values, named(values.shape[0]), named(values.shape[1]), theme, **options))


def rows_of(spec, layer):
    """Return the data of one layer."""
    return spec["datasets"][layer["data"]["name"]]


def cells_of(spec):
    """Return the data of the cells of a heat map."""
    return rows_of(spec, spec["layer"][0])


def scale_of(spec):
    """Return the colour scale of the first layer that has one with a legend."""
    colors = [layer["encoding"]["color"] for layer in spec["layer"] if "color" in layer["encoding"]]
    return next(color["scale"] for color in colors if color.get("field") == "shade")


def legend_entries(spec):
    """Return what the legends name besides the scale."""
    scales = [
        c.get("scale") or {} for layer in spec["layer"] for c in layer["encoding"].values() if isinstance(c, dict)
    ]
    return [entry for scale in scales for entry in scale.get("domain", []) if isinstance(entry, str)]


def pixels_of(spec):
    """Return the picture in a chart as red, green and blue, (height, width, 3)."""
    image = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "image")
    url = rows_of(spec, image)[0]["url"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB")).astype(int)


class TestThemes:
    def test_names(self):
        assert [charts.theme_named(name) for name in ("light", "dark")] == THEMES
        with pytest.raises(ValueError, match='must be "light" or "dark", got \'blue\''):
            charts.theme_named("blue")

    @pytest.mark.parametrize("theme_", THEMES, ids=lambda t: t.name)
    def test_text_can_be_read(self, theme_):
        background = theme.rgb(theme_.background)
        for colour, least in (
            (theme_.text, 7),
            (theme_.muted, 4.5),
            (theme_.query, 3),
            (theme_.key, 3),
            (theme_.value, 3),
        ):
            assert theme.contrast_ratio(theme.rgb(colour), background) >= least, colour

    @pytest.mark.parametrize("theme_", THEMES, ids=lambda t: t.name)
    def test_sixteen_heads_differ_and_then_start_again(self, theme_):
        assert len({theme_.head(h) for h in range(16)}) == 16
        assert theme_.head(16) == theme_.head(0)

    @pytest.mark.parametrize("theme_", THEMES, ids=lambda t: t.name)
    @pytest.mark.parametrize("kind", ["weights", "signed", "magnitude"])
    def test_numbers_can_be_read_on_every_shade(self, theme_, kind):
        scale = colour_scale(np.array([1.0]), theme_, kind)
        fills = scale.colours(np.linspace(-1, 1, 401))
        inks = np.stack([theme.rgb(ink) for ink in theme.theme_ink(fills)])
        contrast = theme.contrast_ratio(fills, inks)
        assert contrast.min() >= 4.5  # what WCAG 2.1 asks of text
        for other in ("#000000", "#FFFFFF"):
            assert (contrast >= theme.contrast_ratio(fills, theme.rgb(other))).all()

    @pytest.mark.parametrize("theme_", THEMES, ids=lambda t: t.name)
    def test_no_weight_is_no_colour(self, theme_):
        scale = colour_scale(np.zeros(1), theme_)
        assert theme.hex_of(scale.colours(0.0)) == theme_.background
        assert theme.hex_of(scale.colours(1.0)) == theme_.weight

    def test_lightness_falls_evenly_along_the_weights(self):
        lightness = theme.to_lab(colour_scale(np.zeros(1), charts.LIGHT).colours(np.linspace(0, 1, 101)))[:, 0]
        assert np.diff(lightness).max() < 0
        assert np.diff(lightness).min() > 2 * np.diff(lightness).max()


class TestLabels:
    def test_positions_keep_repeated_words_apart(self):
        assert charts.token_labels(["the", "cat", "the"]) == ["1 the", "2 cat", "3 the"]

    @pytest.mark.parametrize(
        ("token", "label"),
        [
            ("", "1 ␣"),
            (" ", "1 ␣"),
            ("a\nb\t", "1 a↵b⇥"),
            ("\x00\x7f", "1 <0x00><0x7F>"),
            ("\u202eabc", "1 U+202Eabc"),
            ("<script>", "1 <script>"),
            ("incomprehensibilities", "1 incomprehen…"),
            ("東京都東京都東京都", "1 東京都東京…"),
            ("שלום", "1 \u2068שלום\u2069"),
            ("👩‍🚀", "1 👩‍🚀"),
        ],
    )
    def test_every_token_can_be_seen(self, token, label):
        assert charts.token_labels([token]) == [label]

    @given(st.text())
    def test_any_text_makes_a_short_label_without_control_characters(self, token):
        (label,) = charts.token_labels([token])
        assert len(label) >= 3
        assert labels.label_columns(label) <= 3 + 12
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067]", label)

    @given(st.integers(1, 700), st.floats(0.5, 90), st.booleans(), st.integers(1, 12), st.integers(0, 700))
    def test_labels_never_overlap_and_a_chosen_one_is_named(self, count, pitch, across, length, place):
        names = [f"{i + 1} {'m' * length}" for i in range(count)]
        chosen = labels.tick_labels(names, pitch, across=across, chosen=[place])
        assert chosen.texts
        assert place >= count or chosen.texts[chosen.at.index(place + 0.5)] == names[place]
        gaps = np.diff(chosen.at) * pitch
        if not across:
            assert gaps.min(initial=99) >= 15
        elif chosen.angle:
            assert gaps.min(initial=99) * math.sin(math.radians(-chosen.angle)) >= 13
        else:
            halves = [labels.label_pixels(text) / 2 for text in chosen.texts]
            assert all(gap >= a + b for gap, (a, b) in zip(gaps, pairwise(halves), strict=True))

    def test_labels_tilt_then_thin_out_then_give_way_to_positions(self):
        names = named(60)
        assert labels.tick_labels(names, 80, across=True).angle == 0
        assert labels.tick_labels(names, 30, across=True) == ([i + 0.5 for i in range(60)], names, -45)
        assert labels.tick_labels(names, 10, across=True).texts == names[::2]
        assert labels.tick_labels(names, 3, across=True).texts == ["1", "10", "20", "30", "40", "50", "60"]

    def test_rows_are_all_named_where_their_letters_do_not_meet(self):
        names = named(12)
        assert labels.tick_labels(names, 15, across=False).texts == names
        assert labels.tick_labels(names, 14, across=False).texts == names[::2]

    def test_a_map_names_what_is_picked(self):
        names = named(40)
        pick = charts.Pick(selected=(7, 8), highlight={"row": 1})
        spec = charts.heatmap(weights(40, 40), names, names, charts.LIGHT, size=240, pick=pick).to_dict()
        x, y = (spec["layer"][0]["encoding"][side]["axis"]["labelExpr"] for side in "xy")
        assert names[8] in x
        assert names[7] in y
        assert names[1] in y

    @pytest.mark.parametrize("across", [False, True])
    @pytest.mark.parametrize("more", [[], ["FF"]])
    @pytest.mark.parametrize("count", [9, 12, 30, 48])
    def test_layers_and_heads_are_numbered_evenly_at_every_width(self, count, more, across):
        names = charts.counted(count) + more
        for pitch in np.arange(2, 40, 0.5):
            for place in range(len(names)):
                ticks = labels.tick_labels(names, pitch, across=across, chosen=[place])
                assert ticks.angle == 0
                assert ticks.texts[len(ticks.texts) - len(more) :] == more
                numbers = [int(text) for text in ticks.texts if text not in more]
                first, *steps = np.diff(numbers) if len(numbers) > 1 else [1]
                assert len(set(steps)) <= 1
                assert first - (steps or [first])[0] in (0, -1)  # 1, 5, 10 as a ruler has them

    def test_plain_numbers_stay_level(self):
        assert labels.tick_labels([str(i + 1) for i in range(48)], 12, across=True).angle == 0


class TestScale:
    def test_weights_reach_from_0_to_1_whatever_they_are(self):
        assert scale_of(map_of(weights(3, 5)))["domain"][::2] == [0, 1]

    def test_signed_values_lie_around_0(self):
        domain = scale_of(map_of(np.array([[-3.0, 1.0]]), kind="signed"))["domain"]
        assert domain == [-3, -1.5, 0, 1.5, 3]

    def test_magnitudes_reach_to_the_largest_that_is_shown(self):
        spec = map_of(np.array([[2.0, 99.0]]), kind="magnitude", hidden=[[False, True]])
        assert scale_of(spec)["domain"] == [0, 1, 2]

    def test_a_limit_that_is_exceeded_says_so(self):
        legend = next(
            layer["encoding"]["color"]["legend"]
            for layer in map_of(np.array([[2.0]]), scale=charts.Scale(1.5))["layer"]
        )
        assert '"\\u2265 1.5"' in legend["labelExpr"]
        assert legend["title"] == "weight"

    @pytest.mark.parametrize(("kind", "name"), [("weights", "weight"), ("signed", "number"), ("magnitude", "size")])
    def test_a_number_is_no_value_in_the_field_s_sense(self, kind, name):
        drawn = map_of(np.array([[0.5, 1.0]]), kind=kind, axes=("value", "dimension"))["layer"][0]["encoding"]
        assert drawn["color"]["legend"]["title"] == name
        assert [field["title"] for field in drawn["tooltip"]] == ["value", "dimension", name]

    @pytest.mark.parametrize(("kind", "name"), [("signed", "difference"), ("magnitude", "size")])
    def test_where_all_is_zero_the_legend_names_no_other_number(self, kind, name):
        def legend(values, **scale):
            drawn = map_of(np.array(values), kind=kind, scale=charts.Scale(name=name, **scale))
            return next(x["encoding"]["color"]["legend"] for x in drawn["layer"] if "legend" in x["encoding"]["color"])

        assert (legend([[0.0, 0.0]])["title"], legend([[0.0, 0.0]])["values"]) == ("0 everywhere", [0])
        assert (legend([[0.0, 2.0]])["title"], legend([[0.0, 2.0]])["values"][-1]) == (name, 2)
        assert legend([[0.0, 0.0]], limit=1)["values"][-1] == 1  # a scale that was asked for, as beside another figure

    def test_numbers_of_a_legend_stand_apart(self):
        legend = map_of(np.array([[1.79e-7, -1e-9]]), kind="signed")["layer"][0]["encoding"]["color"]["legend"]
        first, middle, last = (labels.label_pixels(text) for text in ("−1.79e−7", "0", "1.79e−7"))
        assert legend["gradientLength"] > first + middle + last + 10

    def test_zeros_and_nothing_have_a_scale(self):
        assert colour_scale(np.zeros((2, 2)), charts.LIGHT, "signed").limit == 1
        assert colour_scale(np.full((2, 2), np.nan), charts.LIGHT, "magnitude").limit == 1

    @pytest.mark.parametrize("kind", ["weights", "signed", "magnitude"])
    def test_a_logarithmic_scale_takes_zero_and_grows(self, kind):
        fraction = colour_scale(np.ones(1), charts.LIGHT, kind, log=True).fraction([0, 1e-3, 1e-2, 0.1, 1])
        assert fraction[0] == (0.5 if kind == "signed" else 0)
        assert fraction[-1] == 1
        assert np.diff(fraction).min() > 0

    @pytest.mark.parametrize("kind", ["weights", "signed", "magnitude"])
    def test_the_legend_of_a_logarithmic_scale_says_so(self, kind):
        values, scale = np.full((2, 2), 0.5), charts.Scale(log=True, name="share")
        map_ = charts.heatmap(values, named(2), named(2), charts.LIGHT, kind=kind, scale=scale)
        many = charts.heatmap(np.full((200, 200), 0.5), named(200), named(200), charts.LIGHT, kind=kind, scale=scale)
        heads = charts.layer_head_map(np.full((2, 3), 0.5), charts.LIGHT, scale=scale)
        for chart in (map_, many, heads):
            colors = [layer["encoding"].get("color") or {} for layer in charts.specification(chart)["layer"]]
            assert {color["legend"]["title"] for color in colors if color.get("legend")} == {"share (logarithmic)"}
        assert colour_scale(values, charts.LIGHT, kind, name="share").title == "share"

    def test_the_legend_of_a_logarithmic_scale_is_no_wider_than_its_map_where_that_can_be(self):
        values, scale = np.full((3, 5), 10.1), charts.Scale(log=True, name="relative length")
        for across, written in ((290, 2), (400, 3)):
            chart = charts.heatmap(
                values, named(3), named(5), charts.LIGHT, kind="magnitude", scale=scale, size=(across, 90)
            )
            (legend,) = [
                layer["encoding"]["color"]["legend"]
                for layer in charts.specification(chart)["layer"]
                if (layer["encoding"].get("color") or {}).get("legend")
            ]
            assert len(legend["values"]) == written
            assert text_width(legend["title"], 14) + legend["gradientLength"] < across

    def test_the_legend_of_a_logarithmic_scale_leaves_room_for_what_is_hidden(self):
        values, hidden, scale = np.full((3, 5), 10.1), np.eye(3, 5, dtype=bool), charts.Scale(log=True, name="length")

        def gradient(**options):
            given = {"kind": "magnitude", "scale": scale, "size": (290, 90), **options}
            drawn = charts.specification(charts.heatmap(values, named(3), named(5), charts.LIGHT, **given))["layer"]
            colors = [layer["encoding"].get("color") or {} for layer in drawn]
            (legend,) = [each["legend"] for each in colors if "gradientLength" in (each.get("legend") or {})]
            return legend["gradientLength"], text_width(legend["title"], 14)

        length, title = gradient(hidden=hidden, style=charts.Style(square=False, hidden_name="off"))
        assert length < gradient(style=charts.Style(square=False))[0]
        assert title + length + 28 + labels.label_pixels("off") < 290

    @pytest.mark.parametrize("log", [False, True])
    @pytest.mark.parametrize("kind", ["weights", "signed", "magnitude"])
    @pytest.mark.parametrize("theme_", THEMES, ids=lambda t: t.name)
    def test_the_browser_draws_the_colours_computed_here(self, theme_, kind, log):
        pytest.importorskip("vl_convert")
        values = np.array(
            [[0.003, 0.04, 0.3, 0.62, 0.97, -0.01 if kind == "signed" else 0.0, -0.8 if kind == "signed" else 1]]
        )
        chart = charts.heatmap(
            values,
            named(1),
            named(7),
            theme_,
            kind=kind,
            scale=charts.Scale(1, log=log),
            style=charts.Style(numbers=False, legend=False),
        )
        drawn = re.findall(
            r'aria-roledescription="rect mark"[^>]*fill="rgb\((\d+), (\d+), (\d+)\)"', charts.svg(chart).decode()
        )
        expected = colour_scale(values, theme_, kind, 1, log).colours(values[0])
        assert np.abs(np.array(drawn, dtype=float)[:7] - expected).max() <= 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"kind": "heat"}, "kind must be one of weights, signed, magnitude, got 'heat'"),
            ({"scale": charts.Scale(0)}, "limit must be a positive number, got 0"),
            ({"scale": charts.Scale(float("nan"))}, "limit must be a positive number, got nan"),
        ],
    )
    def test_bad_scales(self, options, message):
        with pytest.raises(ValueError, match=message):
            map_of(np.ones((2, 2)), **options)


class TestHeatmap:
    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (64, 64), (11, 200), (300, 211)])
    def test_cells_are_square(self, shape):
        spec = map_of(np.zeros(shape))
        assert spec["width"] / shape[1] == pytest.approx(spec["height"] / shape[0], abs=0.1)
        assert max(spec["width"], spec["height"]) <= 420

    @pytest.mark.parametrize("count", [1, 2, 6, 16, 40, 64, 100, 200])
    def test_cells_are_whole_pixels(self, count):
        assert map_of(np.zeros((count, count)))["width"] % count == 0

    def test_a_long_matrix_may_be_made_thicker(self):
        spec = map_of(np.zeros((384, 8)), style=charts.Style(square=False))
        assert spec["height"] == 420
        assert spec["width"] >= 100

    def test_queries_go_down_and_keys_across(self):
        cells = cells_of(map_of(np.array([[0.0, 0.25], [0.5, 0.75], [0.1, 1.0]])))
        assert [(c["row"], c["column"], c["shown"]) for c in cells[:3]] == [(0, 0, "0"), (0, 1, "0.25"), (1, 0, "0.5")]
        spec = map_of(np.zeros((3, 2)))
        assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == [3, 0]

    def test_the_pointer_is_told_both_tokens_and_the_value(self):
        spec = map_of(np.array([[0.123456, 0.5]]))
        cell = cells_of(spec)[0]
        says = [(field["title"], cell[field["field"]]) for field in spec["layer"][0]["encoding"]["tooltip"]]
        assert says == [("query", "1 word0"), ("key", "1 word0"), ("weight", "0.1235")]

    def test_equal_labels_are_allowed(self):
        spec = spec_of(charts.heatmap(np.zeros((1, 2)), [""], ["b", "b"], charts.LIGHT))
        assert [cell["across"] for cell in cells_of(spec)] == ["b", "b"]

    def test_hidden_cells_are_flat_grey_and_named(self):
        hidden = np.array([[False, True], [False, False]])
        spec = map_of(np.array([[0.5, 0.9], [0.1, 0.2]]), hidden=hidden)
        assert [cell["state"] for cell in cells_of(spec)] == [0, 1, 0, 0]
        assert cells_of(spec)[1]["shown"] == "hidden"
        for channel in ("color", "stroke"):
            condition = spec["layer"][0]["encoding"][channel]["condition"]
            first = condition[0] if isinstance(condition, list) else condition
            assert first == {"test": "datum.state === 1", "value": charts.LIGHT.hidden}
        assert legend_entries(spec) == ["hidden"]

    def test_hidden_cells_say_what_they_are_told_to(self):
        def texts(**style):
            spec = map_of(np.array([[0.25, 0.5]]), hidden=[[False, True]], style=charts.Style(**style))
            return [row["text"] for row in rows_of(spec, spec["layer"][1])]

        assert (texts(), texts(hidden_number="−∞")) == (["0.250"], ["0.250", "−∞"])

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_shown_as_such(self, value):
        spec = map_of(np.array([[value, 0.5]]), kind="signed")
        assert [cell["state"] for cell in cells_of(spec)] == [2, 0]
        assert scale_of(spec)["domain"][-1] == 0.5
        assert legend_entries(spec) == ["not a number"]

    def test_hidden_cells_may_hold_anything(self):
        spec = map_of(np.array([[np.nan, 0.5]]), hidden=[[True, False]])
        assert legend_entries(spec) == ["hidden"]

    def test_numbers_stand_where_there_is_room(self):
        def texts(n_q, n_k, **options):
            layers = map_of(weights(n_q, n_k), **options)["layer"]
            return [layer for layer in layers if layer["mark"]["type"] == "text"]

        assert texts(6, 6)
        assert not texts(6, 6, style=charts.Style(numbers=False))
        assert not texts(30, 30, style=charts.Style(numbers=True))
        # more than 144 numbers are not read, and come only where they are asked for
        assert texts(12, 12, size=800)
        assert not texts(13, 12, size=800)
        assert texts(13, 12, style=charts.Style(numbers=True), size=800)

    def test_beside_a_sign_the_zero_goes_where_numbers_have_no_room_for_it(self):
        def texts(cell, values):
            spec = map_of(np.array([values]), kind="signed", size=(cell * 4, 40))
            (layer,) = [layer for layer in spec["layer"] if layer["mark"]["type"] == "text"]
            return [row["text"] for row in rows_of(spec, layer)]

        assert texts(50, [-0.25, 0.5, 0, 0.125]) == ["−0.250", "0.500", "0.000", "0.125"]
        assert texts(42, [-0.25, 0.5, 0, 0.125]) == ["−0.25", "0.50", "0.00", "0.12"]
        assert texts(36, [-0.25, 0.5, 0, 0.125]) == ["−.25", ".50", ".00", ".12"]
        assert texts(36, [-1.25, 0.5, 0, 0.125]) == ["−1.2", "0.5", "0.0", "0.1"]
        assert texts(36, [-1, 0.5, -0.25, 0.125]) == ["−1.0", "0.5", "−0.2", "0.1"]

    def test_numbers_are_as_small_as_a_theme_lets_them_be_where_there_is_no_room_for_larger_ones(self):
        def sizes(size, least):
            theme = dataclasses.replace(charts.LIGHT, number_size=least)
            layers = spec_of(charts.heatmap(weights(6, 6), named(6), named(6), theme, size=size))["layer"]
            return [layer["mark"].get("fontSize", 14) for layer in layers if layer["mark"]["type"] == "text"]

        assert sizes(6 * 40, 8) == sizes(6 * 40, 14) == [14]
        (small,) = sizes(6 * 24, 8)
        assert 8 <= small < 14
        assert sizes(6 * 24, 14) == sizes(6 * 24, small + 0.01) == []

    def test_numbers_answer_as_their_cells_do(self):
        spec = map_of(np.array([[0.25, 0.5]]), pick=charts.Pick("cell"))
        text = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "text")
        assert [(t["row"], t["column"], t["text"]) for t in rows_of(spec, text)] == [(0, 0, "0.250"), (0, 1, "0.500")]
        assert text["encoding"]["tooltip"] == spec["layer"][0]["encoding"]["tooltip"]

    @pytest.mark.parametrize("n", [4, 300])
    def test_a_selection_tells_row_and_column(self, n):
        spec = map_of(weights(n, n), pick=charts.Pick("cell"))
        (param,) = spec["params"]
        assert param["name"] == "cell"
        assert param["select"]["fields"] == ["row", "column"]
        assert not param["select"]["toggle"]
        view = next(layer for layer in spec["layer"] if layer.get("name") in param["views"])
        assert {type(cell["row"]) for cell in rows_of(spec, view)} == {int}

    def test_outlines_have_the_colour_of_their_axis(self):
        spec = map_of(weights(3, 5), pick=charts.Pick(selected=(2, 4), highlight={"row": 2, "column": 4}))
        boxes = [
            (layer["mark"]["stroke"], rows_of(spec, layer)[0]) for layer in spec["layer"] if "filled" in layer["mark"]
        ]
        assert boxes == [
            (charts.LIGHT.query, {"x": 0, "y": 2, "x2": 5, "y2": 3}),
            (charts.LIGHT.key, {"x": 4, "y": 0, "x2": 5, "y2": 3}),
            (charts.LIGHT.text, {"x": 4, "y": 2, "x2": 5, "y2": 3}),
        ]

    def test_axes_have_the_colour_of_their_role(self):
        encoding = map_of(weights(3, 5), axes=("value", "dimension"))["layer"][0]["encoding"]
        assert encoding["y"]["axis"]["titleColor"] == charts.LIGHT.value
        assert encoding["x"]["axis"]["titleColor"] == charts.LIGHT.muted

    def test_every_layer_names_the_axes(self):
        spec = map_of(weights(3, 3), pick=charts.Pick(selected=(0, 0)), hidden=np.eye(3, dtype=bool))
        placed = [layer["encoding"] for layer in spec["layer"] if "field" in layer["encoding"]["x"]]
        assert len(placed) >= 3
        assert all(encoding["x"]["axis"] == placed[0]["x"]["axis"] for encoding in placed)

    @pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
    def test_nothing_is_said_in_words(self, shape):
        spec = map_of(np.zeros(shape))
        assert rows_of(spec, spec["layer"][0])[0]["text"] == "Nothing to show."

    def test_the_figure_is_told_in_words(self):
        spec = map_of(np.array([[0.25, 0.5]]), title="Who", hidden=[[True, False]])
        assert spec["description"] == (
            "Who: a heat map of 1 rows (query) and 2 columns (key). The largest weight, 0.5, is at 1 word0, 2 word1. "
            "1 of 2 cells are hidden."
        )

    @pytest.mark.parametrize(
        ("values", "hidden", "message"),
        [
            (np.zeros((2, 3)), None, r"values must have a row and a column per label, got \(2, 3\) for 3 and 3"),
            (np.zeros(3), None, r"got \(3,\) for 3 and 3"),
            (np.zeros((3, 3)), np.zeros((2, 3), bool), r"hidden must fit values, got \(2, 3\) for \(3, 3\)"),
        ],
    )
    def test_bad_input(self, values, hidden, message):
        with pytest.raises(ValueError, match=message):
            charts.heatmap(values, named(3), named(3), charts.LIGHT, hidden=hidden)


class TestPictures:
    def test_up_to_4096_cells_are_drawn_one_by_one(self):
        assert map_of(np.zeros((64, 64)))["layer"][0]["mark"]["type"] == "rect"
        spec = map_of(np.zeros((64, 65)))
        assert spec["layer"][0]["mark"] == {"type": "image", "aspect": False, "smooth": False, "tooltip": None}

    @pytest.mark.parametrize("theme_", THEMES, ids=lambda t: t.name)
    @pytest.mark.parametrize("kind", ["weights", "signed", "magnitude"])
    def test_a_pixel_has_the_colour_of_its_value(self, theme_, kind):
        values = np.random.default_rng(0).uniform(-1 if kind == "signed" else 0, 1, size=(101, 89))
        drawn = pixels_of(map_of(values, theme_, kind=kind, scale=charts.Scale(1)))
        assert drawn.shape == (101, 89, 3)
        assert np.abs(drawn - colour_scale(values, theme_, kind, 1).colours(values)).max() <= 3

    def test_hidden_and_invalid_cells_have_their_own_colours(self):
        values = np.full((80, 90), 0.5)
        values[3, 4] = np.nan
        spec = map_of(values, hidden=np.arange(90) > 60)
        drawn = pixels_of(spec)
        assert (drawn[:, 61:] == theme.rgb(charts.LIGHT.hidden)).all()
        assert (drawn[3, 4] == theme.rgb(charts.LIGHT.invalid)).all()
        assert legend_entries(spec) == ["hidden", "not a number"]

    @pytest.mark.parametrize("sign", [1, -1])
    def test_a_peak_survives_however_small_the_picture(self, sign):
        values = np.zeros((1999, 1999))
        values[1234, 567] = sign
        pooled, _ = raster.pool_raster(values, np.zeros(values.shape, bool), 420, 420)
        assert np.abs(pooled).sum() == 1
        assert pooled.sum() == sign

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**31))
    def test_pooling_against_a_slow_loop(self, n_rows, n_columns, most_rows, most_columns, seed):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(n_rows, n_columns))
        values[rng.random(values.shape) < 0.05] = np.inf
        hidden = rng.random(values.shape) < 0.5
        pooled, gone = raster.pool_raster(values, hidden, most_rows, most_columns)
        assert pooled.shape[0] <= most_rows
        assert pooled.shape[1] <= most_columns
        down, across = raster.raster_edges(n_rows, pooled.shape[0]), raster.raster_edges(n_columns, pooled.shape[1])
        for i, j in np.ndindex(pooled.shape):
            block = slice(down[i], down[i + 1]), slice(across[j], across[j + 1])
            seen = values[block][~hidden[block]]
            assert gone[i, j] == (seen.size == 0)
            if seen.size and np.isfinite(seen).all():
                assert pooled[i, j] == seen[np.abs(seen).argmax()]
            elif seen.size:
                assert np.isnan(pooled[i, j])

    def test_blocks_are_of_nearly_one_size(self):
        values = np.ones((512, 512))
        pooled, _ = raster.pool_raster(values, np.zeros(values.shape, bool), 420, 420)
        assert pooled.shape == (256, 256)

    def test_what_is_sent_does_not_grow(self):
        def size(n):
            return len(charts.beside(charts.heatmap(weights(n, n), named(n), named(n), charts.LIGHT)).to_json())

        assert size(2048) < 1.2 * size(512) < 600_000

    def test_a_block_answers_with_its_peak(self):
        values = np.zeros((500, 400))
        values[321, 123] = 0.75
        spec = map_of(values, pick=charts.Pick("cell"))
        view = next(layer for layer in spec["layer"] if layer.get("name") in spec["params"][0]["views"])
        block = max(rows_of(spec, view), key=lambda row: row["shade"])
        assert (block["row"], block["column"], block["shown"]) == (321, 123, "0.75")
        assert (block["down"], block["across"]) == ("322 word321", "124 word123")
        assert len(rows_of(spec, view)) <= 24 * 24


class TestOverview:
    def test_a_part_can_be_marked_out(self):
        window = slice(4, 36), slice(50, 82)
        spec = spec_of(charts.overview(weights(100, 100), named(100), named(100), charts.LIGHT, window=window))
        assert spec["params"][0]["select"]["type"] == "interval"
        assert spec["params"][0]["name"] == "brush"
        boxes = [rows_of(spec, layer)[0] for layer in spec["layer"] if "filled" in layer["mark"]]
        assert {"x": 50, "y": 4, "x2": 82, "y2": 36} in boxes

    def test_a_window_by_hand(self):
        assert charts.window_of({"x": [105.5, 135.5], "y": [65, 95]}, (200, 200)) == (slice(65, 95), slice(105, 136))
        assert charts.window_of({"x": [0, 199], "y": [150, 199]}, (200, 200)) == (slice(158, 190), slice(83, 115))

    @pytest.mark.parametrize("brush", [None, {}, {"x": []}, {"x": [1]}, {"x": ["a", "b"]}, {"x": [float("nan"), 2]}])
    def test_no_brush_is_the_beginning(self, brush):
        assert charts.window_of(brush, (300, 20)) == (slice(0, 32), slice(0, 20))

    @given(st.integers(1, 3000), st.integers(1, 64), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
    def test_a_window_lies_within(self, count, span, low, high):
        rows, columns = charts.window_of({"x": [low, high], "y": [high, low]}, (count, count), span)
        assert rows == columns
        assert 0 <= rows.start < rows.stop <= count
        assert rows.stop - rows.start <= span


class TestLayout:
    def test_what_is_shared_is_said_once(self):
        parts = [charts.heatmap(weights(3, 3), named(3), named(3), charts.DARK, title=title) for title in "AB"]
        spec = spec_of(charts.beside(parts[0], "×", parts[1]))
        assert spec["config"]["background"] == charts.DARK.background
        assert spec["config"]["axis"]["labelFontSize"] >= 14
        assert not any("config" in part or "padding" in part for part in spec["hconcat"])
        assert spec["description"] == " ".join(part.description for part in parts)

    def test_an_operator_stands_at_the_middle(self):
        part = charts.heatmap(weights(3, 3), named(3), named(3), charts.LIGHT)
        operator = charts.beside(part, "=", part).to_dict()["hconcat"][1]
        assert operator["mark"]["type"] == "text"
        assert operator["encoding"]["y"]["value"] == part.height / 2

    def test_one_figure_alone_is_a_concatenation_too(self):
        spec = spec_of(charts.beside(charts.heatmap(weights(3, 3), named(3), named(3), charts.LIGHT)))
        assert len(spec["hconcat"]) == 1
        assert spec["hconcat"][0]["width"] == spec["hconcat"][0]["height"]

    def test_rows_of_rows(self):
        row = charts.beside(charts.heatmap(weights(3, 3), named(3), named(3), charts.LIGHT, pick=charts.Pick("cell")))
        spec = spec_of(charts.above(row, charts.bars([0.5], ["a"], charts.LIGHT)))
        assert len(spec["vconcat"]) == 2
        assert [param["name"] for param in spec["params"]] == ["cell"]

    def test_arguments_are_left_as_they_are(self):
        part = charts.heatmap(weights(3, 3), named(3), named(3), charts.LIGHT, title="A")
        before = part.to_json()
        charts.beside(part, part)
        assert part.to_json() == before

    @pytest.mark.parametrize("lay", [charts.beside, charts.above])
    def test_nothing_to_lay_out(self, lay):
        with pytest.raises(ValueError, match="there must be at least one chart to lay out, got none"):
            lay("×")


class TestPanels:
    def row(self, *shapes, room=900):
        matrices = [charts.panel(weights(*shape), named(shape[0]), named(shape[1])) for shape in shapes]
        return spec_of(charts.panels(charts.LIGHT, room, *matrices))["hconcat"]

    def test_cells_of_one_size(self):
        one, two = self.row((6, 4), (4, 6))
        assert one["width"] / 4 == one["height"] / 6 == two["width"] / 6 == two["height"] / 4

    def test_rows_are_named_once_where_they_are_the_same(self):
        named_ = [bool(part["layer"][0]["encoding"]["y"]["axis"]) for part in self.row((6, 4), (6, 5), (3, 6))]
        assert named_ == [True, False, True]

    def test_rows_are_named_beside_a_neighbour_with_others(self):
        one, other = named(6), named(6)[::-1]
        matrices = [charts.panel(weights(6, 6), rows, one) for rows in (one, other, one)]
        for room in (900, 1500):
            parts = spec_of(charts.panels(charts.LIGHT, room, *matrices))["hconcat"]
            assert all(part["layer"][0]["encoding"]["y"]["axis"] for part in parts)

    def test_a_product_names_its_rows_unless_its_numbers_need_the_room(self):
        for room, product_named in ((720, False), (1200, True)):
            parts = self.row((6, 2), (2, 6), (6, 6), room=room)
            assert [bool(part["layer"][0]["encoding"]["y"]["axis"]) for part in parts] == [True, True, product_named]
            assert all("text" in [layer["mark"]["type"] for layer in part["layer"]] for part in parts)

    def test_in_a_hand_they_stand_one_above_the_other_where_numbers_then_fit(self):
        few = [charts.panel(np.full((4, n), 0.25), named(4), named(n)) for n in (2, 1, 5)]
        signed = charts.panel(np.full((6, 4), -1.5), named(6), named(4), kind="signed")
        for matrices in (few, [charts.panel(weights(6, 6), named(6), named(6)), signed]):
            for row in spec_of(charts.panels(charts.LIGHT, 358, *matrices))["vconcat"]:
                for part in row["hconcat"]:
                    assert "text" in [layer["mark"]["type"] for layer in part["layer"]]

    @pytest.mark.parametrize(("room", "tallest", "rows"), [(660, 440, 2), (660, 300, 1), (900, 440, 1)])
    def test_a_page_that_is_scrolled_has_cells_with_their_numbers(self, room, tallest, rows):
        matrices = [charts.panel(weights(6, 6), named(6), named(6)) for _ in range(3)]
        spec = spec_of(charts.panels(charts.LIGHT, room, *matrices, tallest=tallest))
        drawn = [row["hconcat"] for row in spec.get("vconcat", [spec])]
        assert len(drawn) == rows
        for part in (part for row in drawn for part in row):
            written = "text" in [layer["mark"]["type"] for layer in part["layer"]]
            assert written or rows == 1
            assert part["width"] >= 6 * 24

    def test_numbers_that_are_asked_for_have_room_on_a_phone(self):
        matrix = charts.panel(weights(12, 12), named(12), named(12), style=charts.Style(numbers=True))
        (part,) = spec_of(charts.panels(charts.LIGHT, 358, matrix))["hconcat"]
        assert "text" in [layer["mark"]["type"] for layer in part["layer"]]

    @given(st.integers(1, 60), st.integers(1, 60), st.integers(520, 1600))
    @settings(max_examples=20, deadline=None)
    def test_they_fit_the_room(self, n_q, n_k, room):
        matrix = charts.panel(np.ones((n_q, n_k)), named(n_q), named(n_k))
        spec = spec_of(charts.panels(charts.LIGHT, room, matrix, matrix, tallest=300))  # low: no page to be scrolled
        gutter = max(map(labels.label_pixels, named(n_q))) + 40
        for row in spec.get("vconcat", [spec]):
            assert sum(part["width"] + 14 for part in row["hconcat"]) - 14 + gutter <= room

    def test_they_stand_one_above_the_other_where_they_would_be_too_narrow_with_cells_for_a_finger_in_a_hand(self):
        matrix = charts.panel(np.ones((14, 14)), named(14), named(14), title="one")
        for room, side_by_side, cell in ((880, 2, 26), (358, 1, 24)):
            spec = spec_of(charts.panels(charts.LIGHT, room, matrix, "=", matrix))
            rows = [[part for part in row["hconcat"] if "layer" in part] for row in spec.get("vconcat", [spec])]
            assert [len(row) for row in rows] == [side_by_side] * (2 // side_by_side)
            assert all(part["width"] == cell * 14 for row in rows for part in row)
            assert rows[-1][-1]["title"]["text"] == (["one"] if side_by_side == 2 else ["= one"])


class TestBars:
    def test_bars_end_at_their_values(self):
        spec = spec_of(charts.bars([0.25, 1.0], ["a", "b"], charts.LIGHT, pick=charts.Pick("bar")))
        assert [(bar["row"], bar["x"], bar["x2"]) for bar in rows_of(spec, spec["layer"][0])] == [
            (0, 0, 0.25),
            (1, 0, 1),
        ]
        texts = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "text")
        assert [text["text"] for text in rows_of(spec, texts)] == ["0.250", "1.000"]
        assert spec["params"][0]["select"]["fields"] == ["row"]

    def test_what_marks_a_row_reaches_beyond_its_number(self):
        spec = spec_of(charts.bars([0.25, 1.0], ["a", "b"], charts.LIGHT, pick=charts.Pick(selected=1), width=200))
        (band,) = rows_of(spec, spec["layer"][0])
        assert (band["x2"] - 1) * 200 >= labels.label_pixels("1.000")
        spec = spec_of(charts.pairs([0.5], [1.0], ["a"], charts.LIGHT, pick=charts.Pick(selected=0), width=200))
        (frame,) = rows_of(spec, spec["layer"][0])
        assert (frame["x2"] - 1) * 200 >= labels.label_pixels("1.000")

    def test_logarithmic_bars_say_so(self):
        look = {"kind": "magnitude", "scale": charts.Scale(log=True, name="difference")}
        spec = spec_of(charts.bars([1.0, 0.1], ["a", "b"], charts.LIGHT, title="Each", **look))
        assert spec["title"]["text"] == ["Each (logarithmic)"]
        assert [bar["x2"] for bar in rows_of(spec, spec["layer"][0])] == [1, 0.75]  # a tenth is shorter by a quarter
        spec = spec_of(charts.bars([1.0, 0.1], ["a", "b"], charts.LIGHT, **look))
        assert spec["title"]["text"] == ["difference (logarithmic)"]

    def test_probabilities_are_written_as_per_cent(self):
        spec = spec_of(charts.bars([0.773, 8.18e-6], ["a", "b"], charts.LIGHT, shares=True))
        assert [text["text"] for text in rows_of(spec, spec["layer"][-1])] == ["77.3%", "< 0.001%"]
        assert "the largest is a, 77.3%." in spec["description"]

    def test_signed_bars_start_at_zero_and_tell_their_sign(self):
        spec = spec_of(charts.bars([-2.0, 1.0], ["a", "b"], charts.LIGHT, kind="signed"))
        first, second = rows_of(spec, spec["layer"][0])
        assert first["x2"] == second["x"]
        assert first["x2"] - first["x"] == pytest.approx(2 * (second["x2"] - second["x"]))
        assert first["color"] != second["color"]

    def test_many_bars_become_the_largest_and_the_others(self):
        values = weights(1, 500)[0]
        spec = spec_of(charts.bars(values, named(500), charts.LIGHT))
        bars = rows_of(spec, spec["layer"][0])
        assert len(bars) == 40
        assert bars[-1]["label"] == "other 461"
        assert [bar["row"] for bar in bars[:-1]] == sorted(np.argsort(-values)[:39].tolist())
        assert sum(bar["x2"] for bar in bars) == pytest.approx(1)

    @pytest.mark.parametrize(("count", "last"), [(40, "the last"), (41, "other 2")])
    def test_up_to_40_bars_are_all_drawn(self, count, last):
        names = [*named(count - 1), "the last"]
        spec = spec_of(charts.bars(np.linspace(0.1, 1, count), names, charts.LIGHT))
        bars = rows_of(spec, spec["layer"][0])
        assert (len(bars), bars[-1]["label"]) == (40, last)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"values must be one row with a label each, got \(2,\) and 1 labels"):
            charts.bars([1.0, 2.0], ["a"], charts.LIGHT)

    @pytest.mark.parametrize("values", [[], [np.nan, 0.5], [0.0, 0.0]])
    @pytest.mark.parametrize("kind", ["weights", "signed", "magnitude"])
    @pytest.mark.parametrize("log", [False, True])
    def test_odd_values_make_a_figure(self, values, kind, log):
        charts.bars(values, named(len(values)), charts.LIGHT, kind=kind, scale=charts.Scale(log=log)).to_dict()


class TestProducts:
    def test_the_steps_add_up(self):
        left, right = np.array([1.0, -2.0, 3.0]), np.array([4.0, 5.0, 0.5])
        spec = spec_of(charts.products(left, right, charts.LIGHT))
        strips, steps = spec["vconcat"][:3], spec["vconcat"][3]
        texts = [[cell["shown"] for cell in rows_of(spec, strip["layer"][0])] for strip in strips]
        assert texts == [["1", "−2", "3"], ["4", "5", "0.5"], ["4", "−10", "1.5", "−4.5"]]
        bars = next(layer for layer in steps["layer"] if "color" in layer["encoding"])
        assert [bar["sum"] for bar in rows_of(spec, bars)] == ["4", "−6", "−4.5", "−4.5"]

    def test_a_step_begins_where_the_last_one_ended(self):
        spec = spec_of(charts.products(np.array([1.0, 2.0, 3.0]), np.ones(3), charts.LIGHT))
        bars = next(layer for layer in spec["vconcat"][3]["layer"] if "color" in layer["encoding"])
        one, two, three, total = rows_of(spec, bars)
        assert one["y"] == pytest.approx(two["y2"])
        assert two["y"] == pytest.approx(three["y2"])
        assert (total["y"], total["y2"]) == pytest.approx((three["y"], one["y2"]))

    def test_a_sum_stands_at_the_end_of_its_step_and_no_line_goes_through_it(self):
        spec = spec_of(charts.products([1.0, 1.0, 1.0, 1.0], [0.5, -0.48, -0.3, 0.27], charts.LIGHT))
        line, _, _, texts = spec["vconcat"][3]["layer"]
        (zero,) = {row["y"] for row in rows_of(spec, line)}
        steps = rows_of(spec, texts)
        assert [step["written"] < step["y"] for step in steps] == [True, False, False, True, False]  # 0.5 0.02 −0.28 …
        assert all(step["written"] < step["y"] or step["written"] > step["y2"] for step in steps)
        height = spec["vconcat"][3]["height"]
        struck = [at for at, step in enumerate(steps) if abs(step["written"] - zero) * height < 8]
        assert struck == [1, 3]
        assert not {row["x"] for row in rows_of(spec, line)} & set(struck)

    def test_the_last_cell_of_the_products_is_named(self):
        spec = spec_of(charts.products([1.0, 2.0], [3.0, 4.0], charts.LIGHT))
        (named,) = rows_of(spec, spec["vconcat"][1]["layer"][1])
        assert (named["x"], named["text"]) == (2.5, "sum")

    def test_many_places_become_the_largest_and_the_others(self):
        rng = np.random.default_rng(0)
        left, right = rng.normal(size=(2, 64))
        for width, other in ((1400, 41), (880, 49)):
            spec = spec_of(charts.products(left, right, charts.LIGHT, width=width))
            bars = next(layer for layer in spec["vconcat"][3]["layer"] if "color" in layer["encoding"])
            steps = rows_of(spec, bars)
            assert len(steps) == 64 - other + 2
            assert steps[-2]["label"] == f"other {other}"
            assert steps[-1]["shown"] == labels.number(left @ right, 4)
            assert all("." in step["text"] for step in steps)  # whole numbers would multiply wrongly

    def test_all_its_numbers_are_written_in_one_way(self):
        spec = spec_of(charts.products([0.315, 0.5], [-0.569, 2.0], charts.LIGHT, width=200))
        texts = [row["text"] for part in spec["vconcat"] for row in rows_of(spec, part["layer"][-1])]
        assert {text.lstrip("−")[:1] == "." or text.lstrip("−")[0] != "0" for text in texts} == {True}, texts
        wide = spec_of(charts.products([0.315, 0.5], [-0.569, 2.0], charts.LIGHT))
        texts = [row["text"] for part in wide["vconcat"] for row in rows_of(wide, part["layer"][-1])]
        assert all(text.lstrip("−")[0].isdigit() for text in texts), texts

    @pytest.mark.parametrize(("count", "last"), [(24, "24"), (25, "other 2")])
    def test_up_to_24_products_are_all_drawn(self, count, last):
        spec = spec_of(charts.products(np.arange(1.0, count + 1), np.ones(count), charts.LIGHT, width=4000))
        bars = next(layer for layer in spec["vconcat"][3]["layer"] if "color" in layer["encoding"])
        steps = rows_of(spec, bars)
        assert (len(steps), steps[-2]["label"]) == (25, last)

    def test_rows_are_told_by_colour(self):
        spec = spec_of(charts.products([1.0], [2.0], charts.LIGHT, right_name="value"))
        colours = [part["layer"][0]["encoding"]["y"]["axis"]["labelColor"] for part in spec["vconcat"][:2]]
        assert colours == [charts.LIGHT.query, charts.LIGHT.value]

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"query and key must be rows of equal length, got \(2,\) and \(3,\)"):
            charts.products(np.ones(2), np.ones(3), charts.LIGHT)

    @pytest.mark.parametrize("left", [[], [0.0, 0.0], [np.nan, 1.0], [1e-9, 1e9]])
    def test_odd_values_make_a_figure(self, left):
        charts.products(left, np.ones(len(left)), charts.LIGHT).to_dict()


class TestHeads:
    def grid(self, num_heads, n_q, n_k, **options):
        values = np.stack([weights(n_q, n_k, seed) for seed in range(num_heads)])
        return values, spec_of(charts.head_grid(values, named(n_q), named(n_k), charts.LIGHT, **options))

    def test_one_scale_for_all_heads(self):
        _, spec = self.grid(5, 3, 7)
        scales = [
            layer["encoding"]["color"] for layer in spec["layer"] if "scale" in layer["encoding"].get("color", {})
        ]
        assert [color["scale"]["domain"] for color in scales if color["scale"]] == [[0, 0.5, 1]]

    def test_up_to_4096_cells_of_all_heads_are_drawn_one_by_one(self):
        assert self.grid(4, 32, 32)[1]["layer"][0]["mark"]["type"] == "rect"
        assert self.grid(5, 32, 32)[1]["layer"][0]["mark"]["type"] == "image"

    def test_cells_are_square_and_heads_apart(self):
        _, spec = self.grid(5, 3, 7)
        cells = cells_of(spec)
        assert len(cells) == 5 * 3 * 7
        assert {(round(c["x2"] - c["x"], 3), round(c["y2"] - c["y"], 3)) for c in cells} == {
            (cells[0]["x2"], cells[0]["x2"])
        }
        places = {(c["x"], c["y"]) for c in cells}
        assert len(places) == len(cells)
        assert max(c["x2"] for c in cells) <= spec["width"] <= 1000
        assert max(c["y2"] for c in cells) <= spec["height"]

    @pytest.mark.parametrize("n", [3, 100])
    def test_a_selection_tells_the_head(self, n):
        _, spec = self.grid(4, n, n, pick=charts.Pick("head", 2))
        assert spec["params"][0]["select"]["fields"] == ["head"]
        view = next(layer for layer in spec["layer"] if layer.get("name") in spec["params"][0]["views"])
        assert {cell["head"] for cell in rows_of(spec, view)} == {0, 1, 2, 3}

    def test_many_cells_become_one_picture(self):
        values, spec = self.grid(6, 50, 50)
        drawn = pixels_of(spec)
        assert drawn.shape[:2] == (spec["height"], spec["width"])
        box = max(
            rows_of(spec, next(la for la in spec["layer"] if "tooltip" in la["encoding"])), key=lambda b: b["shade"]
        )
        assert box["shown"] == labels.number(values.max(), 4)
        head = box["head"]
        inside = drawn[box["y"] : box["y2"], box["x"] : box["x2"]]
        cell = (box["x2"] - box["x"]) / 50
        assert cell == int(cell)
        expected = colour_scale(values, charts.LIGHT).colours(values[head])
        assert np.abs(inside[:: int(cell), :: int(cell)] - expected).max() <= 3

    def test_what_is_sent_does_not_grow(self):
        sizes = [len(str(self.grid(12, n, n)[1])) for n in (200, 400)]
        assert sizes[1] < 1.2 * sizes[0] < 600_000

    def test_hidden_cells_of_every_head(self):
        _, spec = self.grid(2, 3, 3, hidden=np.triu(np.ones((3, 3), bool), 1))
        assert sum(cell["state"] for cell in cells_of(spec)) == 6
        assert legend_entries(spec) == ["hidden"]

    @pytest.mark.parametrize(
        ("shape", "options", "message"),
        [
            ((3, 3), {}, r"weights must be \(num_heads, n_q, n_k\), got \(3, 3\)"),
            ((2, 3, 3), {"titles": ["a"]}, "titles must be one per head, got 1 for 2 heads"),
            ((2, 3, 3), {"hidden": np.zeros((3, 2), bool)}, r"hidden must fit weights, got \(3, 2\) for \(2, 3, 3\)"),
        ],
    )
    def test_bad_input(self, shape, options, message):
        with pytest.raises(ValueError, match=message):
            charts.head_grid(np.zeros(shape), named(3), named(3), charts.LIGHT, **options)

    @pytest.mark.parametrize(
        ("num_heads", "per_row"), [(1, 1), (4, 4), (6, 6), (7, 4), (8, 4), (11, 6), (12, 6), (16, 4), (25, 5), (32, 4)]
    )
    def test_rows_of_maps_are_full_or_nearly_so(self, num_heads, per_row):
        _, spec = self.grid(num_heads, 2, 2)
        tops = [cell["y"] for cell in cells_of(spec)[:: 2 * 2]]
        assert tops.count(tops[0]) == per_row

    @pytest.mark.parametrize(("num_heads", "num_kv_heads"), [(1, 1), (6, 6), (6, 2), (6, 1), (64, 8)])
    def test_groups_name_the_head_that_is_read(self, num_heads, num_kv_heads):
        spec = spec_of(charts.head_groups(num_heads, num_kv_heads, charts.LIGHT))
        chips = rows_of(spec, next(layer for layer in spec["layer"] if "tooltip" in layer["encoding"]))
        said = [chip["what"] for chip in chips if chip["what"].startswith("query")]
        group = num_heads // num_kv_heads
        assert said == [f"query head {h + 1} reads key/value head {h // group + 1}" for h in range(num_heads)]
        assert len(chips) == num_heads + 2 * num_kv_heads

    def test_groups_must_divide(self):
        with pytest.raises(
            ValueError, match="num_heads must be a multiple of num_kv_heads, both at least 1, got 6 and 4"
        ):
            charts.head_groups(6, 4, charts.LIGHT)

    @pytest.mark.parametrize(("n", "num_heads", "d_v"), [(3, 2, 5), (7, 16, 1), (200, 12, 32)])
    def test_bands_stand_over_the_columns_of_their_head(self, n, num_heads, d_v):
        chart = charts.concat_map(np.zeros((n, num_heads * d_v)), num_heads, named(n), charts.LIGHT)
        spec = spec_of(chart)
        band, plot = spec["vconcat"]
        assert band["width"] == plot["width"]
        bands = rows_of(spec, band["layer"][0])
        assert [b["color"] for b in bands] == [charts.LIGHT.head(h) for h in range(num_heads)]
        assert np.allclose([b["x2"] - b["x"] for b in bands], plot["width"] / num_heads)

    def test_a_concatenation_must_divide(self):
        with pytest.raises(ValueError, match=r"concat must be \(n, num_heads \* d_v\), got \(3, 5\) and num_heads 2"):
            charts.concat_map(np.zeros((3, 5)), 2, named(3), charts.LIGHT)

    def test_layers_and_heads_count_from_1(self):
        spec = spec_of(charts.layer_head_map(np.ones((2, 3)), charts.LIGHT, pick=charts.Pick("pick")))
        with pytest.raises(ValueError, match="letters, digits and _, got row_hidden,"):
            charts.layer_head_map(np.ones((2, 3)), charts.LIGHT, pick=charts.Pick("row_hidden,"))
        last = cells_of(spec)[-1]
        assert (last["row"], last["column"], last["down"], last["across"]) == (1, 2, "2", "3")

    def test_what_exceeds_the_tolerance_is_outlined(self):
        values = np.array([[1e-7, 2e-5, 1e-6], [np.nan, 1e-5, 0.0]])
        spec = spec_of(charts.layer_head_map(values, charts.LIGHT, tolerance=1e-5))
        layer = next(layer for layer in spec["layer"] if "stroke" in layer["encoding"] and "filled" in layer["mark"])
        assert [(round(b["y"]), round(b["x"])) for b in rows_of(spec, layer)] == [(0, 1), (1, 0)]
        assert "above 1e−5" in legend_entries(spec)
        assert scale_of(spec)["domain"][-1] == 1e-5


class TestTokenStrip:
    def test_tokens_in_their_order_on_as_many_lines_as_they_need(self):
        tokens = ["the", " ", "cat"] * 20
        spec = spec_of(charts.token_strip(tokens, charts.LIGHT, width=400, pick=charts.Pick("token")))
        boxes = rows_of(spec, spec["layer"][0])
        assert [box["text"] for box in boxes[:3]] == ["the", "␣", "cat"]
        assert [(box["y"], box["x"]) for box in boxes] == sorted((box["y"], box["x"]) for box in boxes)
        assert max(box["x2"] for box in boxes) + 16 <= 400  # with its border and what is around a figure
        assert all(a["x2"] <= b["x"] for a, b in pairwise(boxes) if a["y"] == b["y"])

    def test_weights_colour_the_boxes(self):
        spec = spec_of(charts.token_strip(["a", "b"], charts.LIGHT, weights=[0.0, 1.0]))
        assert [box["fill"] for box in rows_of(spec, spec["layer"][0])] == [
            charts.LIGHT.background,
            charts.LIGHT.weight,
        ]

    def test_a_weight_that_two_decimals_would_call_none_is_said_to_be_small(self):
        spec = spec_of(charts.token_strip(["a", "b", "c"], charts.LIGHT, weights=[0.0, 0.0021, 0.9979], size=14))
        texts = [row["text"] for row in rows_of(spec, spec["layer"][-1])]
        assert texts == ["0.00", "<0.01", "1.00"]
        boxes = rows_of(spec, spec["layer"][0])
        assert [box["shown"] for box in boxes] == ["0", "0.0021", "0.998"]
        assert all(labels.label_pixels("<0.01") <= box["x2"] - box["x"] for box in boxes)

    def test_positions_stand_above_weights_where_they_are_asked_for(self):
        spec = spec_of(charts.token_strip(["a", "b"], charts.LIGHT, weights=[0.0, 1.0], numbered=True))
        (weights, lower), (numbers, upper) = (
            ([row["text"] for row in rows], rows[0]["below"])
            for rows in (rows_of(spec, layer) for layer in spec["layer"][-2:])
        )
        assert (weights, numbers) == (["0.00", "1.00"], ["1", "2"])
        assert upper < lower < spec["height"]

    @pytest.mark.parametrize(("count", "drawn"), [(199, 199), (200, 200), (201, 200)])
    def test_the_first_200_tokens_are_drawn_but_all_are_counted(self, count, drawn):
        chart = charts.token_strip([f"t{at}" for at in range(count)], charts.LIGHT)
        boxes = rows_of(spec := spec_of(chart), spec["layer"][0])
        assert [box["text"] for box in boxes] == [f"t{at}" for at in range(drawn)]
        assert chart.description.startswith(f"{count} tokens: ")

    @pytest.mark.parametrize("count", [1, 6, 16, 60])
    def test_lines_are_broken_where_the_strip_is_shown_largest(self, count):
        tokens, room = ["attention", "is", "all", "you", "need", "."] * 10, (900, 400)

        def scale(width):
            spec = spec_of(charts.token_strip(tokens[:count], charts.LIGHT, width=width))
            return min(room[0] / spec["width"], room[1] / spec["height"])

        best = charts.token_strip_width(tokens[:count], *room)
        assert best <= room[0]
        assert scale(best) >= max(scale(width) for width in range(150, 901, 50))

    def test_no_tokens(self):
        charts.token_strip([], charts.LIGHT).to_dict()
        assert charts.token_strip_width([], 900, 400) == 900


class TestTables:
    def test_labels_and_empty_cells(self):
        frame = charts.table([[0.5, 0.25], [-np.inf, 1.0]], ["1 a", "2 b"], ["1 a", "2 b"], hidden=[[False, True]] * 2)
        assert frame.loc["1 a"].tolist()[0] == 0.5
        assert frame.isna().to_numpy().tolist() == [[False, True], [True, True]]

    def test_text_that_a_spreadsheet_reads(self):
        text = charts.csv([[0.5, 1 / 3]], ['1 "a, b"'], ["1 =SUM(A1)", "2 <b>"])
        assert text == ',1 =SUM(A1),2 <b>\n"1 ""a, b""",0.5,0.333333333\n'

    def test_bad_input(self):
        with pytest.raises(ValueError, match="values must have a row and a column per label"):
            charts.table(np.zeros((2, 2)), ["a"], ["a", "b"])


@pytest.mark.parametrize("theme_", THEMES, ids=lambda t: t.name)
def test_every_text_is_large_enough_and_every_figure_valid(theme_):
    figures = [
        charts.heatmap(weights(6, 6), named(6), named(6), theme_),
        charts.bars(weights(1, 6)[0], named(6), theme_),
        charts.products(np.ones(4), np.ones(4), theme_),
        charts.head_groups(6, 3, theme_),
        charts.head_grid(np.ones((2, 3, 3)), named(3), named(3), theme_),
    ]
    text = charts.above(*figures).to_json()
    assert min(map(float, re.findall(r'"(?:label|title|subtitle)?[fF]ontSize": ([\d.]+)', text))) >= 14


def test_a_saved_figure_is_an_svg():
    pytest.importorskip("vl_convert")
    chart = charts.beside(charts.heatmap(weights(90, 90), named(90), named(90), charts.LIGHT, title="<Who>"))
    text = charts.svg(chart).decode()
    assert text.startswith("<svg")
    assert "data:image/png;base64" in text
    assert "&lt;Who&gt;" in text
    assert isinstance(chart, alt.HConcatChart)


def test_figures_are_altair_charts_to_whoever_takes_one(tmp_path):
    bars = charts.bars([1.0, 2.0], ["a", "b"], charts.LIGHT)
    map_ = charts.heatmap(weights(3, 5), named(3), named(5), charts.LIGHT, pick=charts.Pick("cell", (1, 2)))
    figure = charts.beside(map_, "=", bars)
    assert figure.properties(title="Mine").to_dict()["title"] == "Mine"
    assert figure.configure_axis(labelFontSize=20).to_dict()["config"]["axis"] == {"labelFontSize": 20}
    assert bars.interactive().resolve_scale(color="shared").to_dict()["resolve"] == {"scale": {"color": "shared"}}
    rule = alt.Chart(alt.Data(values=[{}])).mark_rule()
    assert len((map_ + rule).to_dict()["layer"]) == 1 + len(map_.to_dict()["layer"])
    pale = map_.layer[0].mark_circle(size=9).encode(opacity=alt.value(0.5)).to_dict()
    assert (pale["mark"], pale["encoding"]["opacity"]) == ({"type": "circle", "size": 9}, {"value": 0.5})
    assert {"x", "x2", "color", "tooltip"} <= set(pale["encoding"])
    figure.save(tmp_path / "figure.html")
    assert "vegaEmbed" in (tmp_path / "figure.html").read_text()


FIGURES = {
    name: inspect.signature(made) for name in charts.__all__ if inspect.isfunction(made := getattr(charts, name))
}


@pytest.mark.parametrize("name", [name for name, signature in FIGURES.items() if "theme" in signature.parameters])
def test_figures_take_what_they_share_in_one_order(name):
    shared = ["theme", "kind", "title", "hidden", "size", "width", "height", "axes", "scale", "pick", "style"]
    own = FIGURES[name].parameters
    assert [parameter for parameter in own if parameter in shared] == [each for each in shared if each in own]
    assert sum(parameter.kind is parameter.KEYWORD_ONLY for parameter in own.values()) <= 9


def test_the_square_of_all_pairs_says_both_numbers_and_fits_its_frame():
    figure = charts.growing_square(30, 64, charts.LIGHT, size=320)
    assert "30 tokens make a square of 30 × 30 = 900 scores, in a frame of 64." in figure.description
    (square,) = (layer.data for layer in figure.layer if "pairs" in layer.data.column_names)
    assert (square["x2"].to_pylist(), square["y2"].to_pylist()) == ([30], [30])
    for n, beside in ((8, True), (64, False)):  # the numbers where there is room
        texts = charts.growing_square(n, 64, charts.LIGHT).layer[-1].data
        assert texts["text"].to_pylist() == [f"{n} tokens", f"{n * n:,}", "scores"]
        assert (min(texts["x"].to_pylist()) > n) == beside
    with pytest.raises(ValueError, match="from 1 to most = 64 tokens, got 65"):
        charts.growing_square(65, 64, charts.LIGHT)


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_most_numbers_are_written_the_short_way_and_alike(digits):
    """Just below and above where an exponent or a comma begins to be needed."""
    edges = np.array([9.4e-5, 1e-4, 1.00001e-4, 0.00995, 0.99995, 9.995, 98.9, 98.9999, 99.0, 99.95, 999.6])
    for value in [*edges, *-edges]:
        text = labels.number(value, digits)
        assert float(text.replace("−", "-").replace(",", "")) == float(f"{value:.{digits}g}"), value
        assert ("e" in text) == (abs(value) < 1e-4), value


def test_words_in_cells_are_cut_only_where_the_cell_ends_and_are_whole_under_the_pointer():
    words = [["because", "it", "misunderstandings"], ["␣animal", "street", "weakness"]]
    for width in (900, 230):  # where all cells have room, and where they are as wide as words need
        spec = spec_of(
            charts.word_map(words, np.eye(2, 3), ["a", "b"], ["1 a", "2 b", "3 c"], charts.LIGHT, width=width)
        )
        cell = spec["width"] / 3
        layers = {layer["mark"]["type"]: layer for layer in reversed(spec["layer"])}
        cells, texts = rows_of(spec, layers["rect"]), rows_of(spec, layers["text"])
        assert [each["word"] for each in texts] == [each["word"] for each in cells] == [*words[0], *words[1]]
        assert sum(each["text"] == each["word"] for each in texts) == 5
        for each in texts:
            assert text_width(each["text"], 14) <= cell - 6
            longer = each["word"][: len(each["text"])] + "…"
            assert each["text"] == each["word"] or text_width(longer, 14) > cell - 6  # no letter more has room
        said = [[field["field"] for field in layers[kind]["encoding"]["tooltip"]] for kind in ("rect", "text")]
        assert said[0] == said[1] == ["down", "across", "shown", "word"]  # one stop of the arrow keys


def test_a_table_of_words_is_read_back():
    text = charts.words_csv([["the", 'a, "b"'], ["", "␣"]], ["r", "s"], ["1 a", "2 b"])
    held = np.load(io.BytesIO(charts.npz({"words": text})))
    assert held["words"].tolist() == [["the", 'a, "b"'], ["", "␣"]]
    assert held["words.columns"].tolist() == ["1 a", "2 b"]
    with pytest.raises(ValueError, match="one for each row and column"):
        charts.words_csv([["a"]], ["r"], ["1 a", "2 b"])


def test_names_of_points_cover_nothing_and_joined_points_have_theirs():
    """Where most lie close together, names farther off have a line; no line runs over a name or a point."""
    rng, size, count = np.random.default_rng(0), 340, 30
    at, names, joined = rng.normal(size=(count, 2)) ** 3, named(count), (10, 17)
    kinds, colours = ["query"] * count, {"query": "#0072B2"}
    spec = spec_of(charts.points(at, names, kinds, colours, charts.LIGHT, size=size, joined=joined))
    layers = [(layer["mark"]["type"], rows_of(spec, layer)) for layer in spec["layer"][1:]]
    marks = dict(reversed(layers))
    (_, dashed), (_, led) = (layer for layer in layers if layer[0] == "rule")
    assert {names[place] for place in joined} <= {name["text"] for name in marks["text"]}
    assert count / 3 < len(marks["text"]) < count
    assert len(dashed) == 1
    assert len(led) >= 3
    boxes = {
        name["text"]: (name["name_x"] * size, name["name_y"] * size, labels.label_pixels(name["text"]) / 2)
        for name in marks["text"]
    }
    dots = {point["text"]: (point["x"] * size, point["y"] * size) for point in marks["circle"]}
    for text, (x, y, half) in boxes.items():
        assert half <= x <= size - half
        assert not any(abs(a - x) < half and abs(b - y) < 7 for other, (a, b) in dots.items() if other != text)
        for other, (a, b, wide) in boxes.items():
            assert other == text or abs(a - x) >= half + wide or abs(b - y) >= 14
    for line in led:
        start, end = (np.array([line[f"x{side}"], line[f"y{side}"]]) * size for side in ("", "2"))
        own = min(dots, key=lambda text: np.hypot(*(dots[text] - start)))
        x, y, half = boxes[own]
        assert abs(x - end[0]) <= half + 0.1
        assert abs(y - end[1]) <= 7.1
        for share in np.linspace(0.1, 1, 50):
            a, b = start + share * (end - start)
            far = [dot for dot in dots.values() if np.hypot(*(start - dot)) > 15]  # not those that overlap its own
            assert not any(np.hypot(a - c, b - d) < 4 for c, d in far)
            over = [text for text, (c, d, wide) in boxes.items() if abs(a - c) < wide - 3 and abs(b - d) < 4]
            assert set(over) <= {own}


def test_of_many_points_those_that_are_named_first_are_the_only_ones():
    at, names = np.random.default_rng(1).normal(size=(61, 2)), named(61)
    made = {"labels": names, "kinds": ["query"] * 61, "colours": {"query": "#0072B2"}, "theme": charts.LIGHT}
    spec = spec_of(charts.points(at, **made, size=400, joined=(3, 5), first=[7, 5, np.int64(20)]))
    (texts,) = (rows_of(spec, layer) for layer in spec["layer"] if layer["mark"]["type"] == "text")
    wanted = {names[place] for place in (3, 5, 7, 20)}
    assert {names[3], names[5], names[20]} <= {each["text"] for each in texts} <= wanted
    with pytest.raises(ValueError, match="numbers of points from 0 to 60, got"):
        charts.points(at, **made, first=[61])


def test_a_figure_waits_for_the_pandas_that_another_visitor_loads(tmp_path, monkeypatch):
    chart = alt.Chart(pa.table({"x": [1]}), title="late").mark_point()
    (tmp_path / "pandas.py").write_text(HALF_LOADED, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "pandas", None)  # is put back afterwards
    del sys.modules["pandas"]
    other = threading.Thread(target=importlib.import_module, args=["pandas"])
    other.start()
    while "pandas" not in sys.modules:
        pass
    assert charts.specification(chart)["title"] == "late"
    other.join()
