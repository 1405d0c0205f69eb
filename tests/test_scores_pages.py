"""Scores and Memory: what the two pages show and say, and the figures that only they draw."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from driving import check, matrices, opened, said, specs, tables
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attn import alignment, charts, local_attention
from attn.alignment import SCORES
from attn.architectures import image_attention, snail
from attn.data import pictures
from attn.trained import pointer
from attn.ui.controls.sentence import UNTRAINED
from attn.ui.link import from_link
from attn.ui.pages.memory import image, patches
from attn.ui.pages.memory import pointer as pointer_part
from attn.ui.pages.memory.setup import FEATURES, PARTS
from attn.ui.pages.memory.setup import Setup as MemorySetup
from attn.ui.pages.scores import global_and_local, keys, what_moves_it
from attn.ui.pages.scores.scores import compute_scores, scores_picture
from attn.ui.pages.scores.setup import EVERY, Setup
from attn.ui.state import as_text
from attn.ui.width import NARROW

CHECKS = json.loads((Path(__file__).parent / "data" / "memory_checks.json").read_text())
BY_HAND = CHECKS["scores"]


def words(app):
    """Return everything a page says."""
    return "\n".join(said(app))


class Choices:
    """What a callback is given in place of a page's state."""

    def __init__(self, setup):
        self.setup = setup

    def choices(self):
        return self.setup

    def get(self, name):
        return getattr(self.setup, name)

    def set(self, **choices):
        self.setup = type(self.setup)(**{**vars(self.setup), **choices})


def wide(app):
    """Show a page with room for everything side by side."""
    app.session_state["page_width"] = 1560
    return check(app.run())


# Scores


def test_the_scores_are_those_written_down():
    app = check(opened("scores"))
    for title, written in (("Scores", BY_HAND["scores"]), ("Weights", BY_HAND["weights"])):
        drawn = dict(zip(SCORES, matrices(app)[title][0], strict=True))
        for name, row in written.items():
            np.testing.assert_allclose(drawn[name], row, atol=1e-6)
    for name, preferred in (("general", "key 3"), ("additive", "key 1 and key 2")):
        told = f"{name.capitalize()}, the score in view, prefers **{preferred}**, but not all {EVERY} scores agree."
        assert told in words(opened("scores", score=name))


def test_doubling_every_key_leaves_cosine_and_location_alone():
    (plain,), (doubled,) = (matrices(opened("scores", params))["Scores"] for params in ({}, {"double": "1"}))
    for row, name in enumerate(SCORES):
        factor = {"content": 1, "location": 1, "dot": 2, "scaled_dot": 2, "general": 2}.get(name)
        if factor:
            np.testing.assert_allclose(doubled[row], factor * plain[row], rtol=1e-5)
        else:
            assert np.abs(doubled[row] - plain[row]).max() > 0.01


def test_turning_everything_leaves_what_has_no_parameters_alone():
    (plain,), (turned,) = (matrices(opened("scores", params))["Scores"] for params in ({}, {"turn": "70"}))
    for one, before, after in zip(SCORES.values(), plain, turned, strict=True):
        assert (np.abs(after - before).max() < 1e-5) == (not one.parameters)


def test_swapping_the_order_moves_location_only():
    (plain,), (swapped,) = (matrices(opened("scores", params))["Weights"] for params in ({}, {"swap": "1"}))
    location = list(SCORES).index("location")
    np.testing.assert_array_equal(swapped[location], plain[location])  # place by place
    np.testing.assert_allclose(np.delete(swapped, location, 0), np.delete(plain, location, 0)[:, ::-1], atol=1e-7)


def test_what_moves_each_score():
    moved = what_moves_it.what_moves_each_score(Setup())
    still = {
        name: [c for c, x in zip(what_moves_it.CHANGES, row, strict=True) if x < 1e-9]
        for name, row in zip(SCORES, moved, strict=True)
    }
    known = {
        "content": ["query × 2", "keys × 2", "both turned", "swapped"],
        "additive": ["swapped"],
        "location": ["keys turned", "keys × 2"],
        "general": ["swapped"],
        "dot": ["both turned", "swapped"],
        "scaled_dot": ["both turned", "swapped"],
    }  # fmt: skip
    assert still | known == still
    told = words(opened("scores", score="content"))
    unmoved = "“**query × 2**”, “**keys × 2**”, “**both turned**” and “**swapped**”"
    assert f"Of these, Content (cosine) does not notice {unmoved}." in told
    switched = opened("scores", score="content", double="1", turn="40")
    assert "Switched on among the controls: every key doubled and all turned by 40°" in words(switched)
    assert "by up to **0.000**" in words(switched)
    assert matrices(switched)["Largest change of a weight"][0].shape == (len(SCORES), len(what_moves_it.CHANGES) + 1)


def test_more_keys_than_location_has_learnt():
    app = wide(opened("scores", keys="2,0;1,1;-1,2;3,3"))
    location = list(SCORES).index("location")
    assert np.isnan(matrices(app)["Weights"][0][location, 3])
    assert "location has parameters for only 3 places" in words(app)
    random = wide(opened("scores", keys="2,0;1,1;-1,2;3,3", parameters="random"))
    assert not np.isnan(matrices(random)["Weights"][0]).any()
    assert UNTRAINED in words(random)  # in its first line
    assert UNTRAINED not in words(app)


def test_keys_that_agree():
    assert f"All {EVERY} prefer **key 1**" in words(opened("scores", keys="3,3;0,0", across="2", up="1"))
    assert "A single key has all the weight" in words(opened("scores", keys="3,3"))


@pytest.mark.parametrize(("moved", "named"), [("0", "the query"), ("2", "key 2")])
def test_it_is_said_which_vector_a_place_in_the_plane_moves(moved, named):
    assert any(
        f"or a place in the plane, to which {named} then points." in text
        for text in said(opened("scores", moved=moved))
    )


@given(st.integers(0, 3), st.integers(-20, 20), st.integers(-20, 20), st.integers(0, 180), st.booleans(), st.booleans())
def test_a_vector_goes_where_the_plane_was_clicked(moved, across, up, turn, double, swap):
    """Also while everything is turned, doubled and swapped."""
    state = Choices(Setup(moved=moved, turn=turn, double=double, swap=swap))
    keys.keys_editor_move(state, across / 10, up / 10)
    result = compute_scores(state.setup)
    seen = result.query if moved == 0 else result.keys[result.labels.index(f"key {moved}")]
    np.testing.assert_allclose(seen, [across / 10, up / 10], atol=1e-6)
    assert from_link(Setup, {})[0].seed == state.setup.seed


def test_a_click_beyond_what_may_be_chosen_goes_to_the_edge():
    state = Choices(Setup(moved=2))
    keys.keys_editor_move(state, 8.0, -8.0)
    assert state.setup.keys[1] == (5.0, -5.0)


def test_keys_are_added_and_removed():
    def press(app, label):
        return check(next(button for button in app.button if button.label == label).click().run())

    app = press(opened("scores"), "Add a key")
    assert app.query_params["keys"].count(";") == 3
    assert "keys" not in press(app, "Remove one").query_params


def test_soft_and_hard():
    app = check(opened("scores", tab="reads", draws="1990", score="general"))
    assert app.query_params["draws"] == "2000"  # the nearest that is offered
    weights = BY_HAND["weights"]["general"]
    soft, variance = (f(weights, BY_HAND["keys"]) for f in (alignment.soft_read, alignment.hard_variance))
    for vector in (soft, variance):
        assert f"({vector[0]:.3f}, {vector[1]:.3f})" in words(app)
    trail = max(tables(app, "order"), key=len)
    assert len(trail) <= 400
    limit = tables(app, "tip_x")[-1]["x"].iloc[0]
    end = trail.iloc[-1]
    np.testing.assert_allclose([end["x"] - limit, limit - end["y"]], soft, atol=0.1)


def test_the_bell_takes_weight_away():
    app = check(opened("scores", tab="windows"))
    assert f"add up to **{CHECKS['local']['sum']:.3f}**" in words(app)
    assert "sees positions 3 to 6" in words(app)
    titles = [view["title"]["text"] for view in specs(app)[1]["vconcat"]]
    assert titles == [
        ["Global: the weights sum to 1"],
        ["Local-m, a window: they sum to 1"],
        ["Local-p, a window and a bell: they sum to 0.598"],
    ]


def test_the_centre_can_follow_the_query():
    for across in ("1", "-2.5"):
        app = check(opened("scores", tab="windows", predicted="1", across=across))
        setup = Setup(predicted=True, across=float(across))
        assert f"Local-p looks around {global_and_local.global_and_local_centre(setup):.4g} " in words(app)
        assert app.slider(key="scores.centre").disabled
    assert global_and_local.global_and_local_centre(Setup(predicted=True)) != global_and_local.global_and_local_centre(
        setup
    )


def test_the_slip_about_the_root_is_told_with_its_numbers():
    said_here = words(opened("scores", tab="every"))
    assert "weight of **0.3904** instead of **0.4011**" in said_here
    assert "On these vectors the two differ by **0**" in said_here
    assert len(re.findall(r"^\| ", said_here, re.MULTILINE)) == 1 + len(SCORES)  # a heading, and a row each


# Memory


def test_addressing_on_the_page_is_that_written_down():
    app, ntm = check(opened("memory")), CHECKS["ntm"]
    (stages,) = matrices(app)["Weights, step by step"]
    for column, name in enumerate(["w_content", "w_prev", "w_gated", "w_shifted", "w_final"]):
        np.testing.assert_allclose(stages[:, column], ntm[name], atol=1e-6)
    np.testing.assert_allclose(matrices(app)["Match"][0][:, 0], ntm["cosine"], atol=1e-6)
    np.testing.assert_allclose(matrices(app)["Added"][0], ntm["M_after_write"], atol=1e-6)
    assert "**(0.917, 0.780)**" in words(app)
    assert "**(0.250, 3.251)**" in words(app)


@pytest.mark.parametrize(
    ("params", "column", "expected"),
    [
        ({"sharpness": "0"}, 0, [0.25] * 4),
        ({"gate": "0"}, 2, [0, 0, 1, 0]),
        ({"gate": "0", "blur": "0", "shift": "1"}, 3, [0, 0, 0, 1]),
        ({"gate": "0", "blur": "0", "shift": "2"}, 3, [1, 0, 0, 0]),  # past the last row comes the first
        ({"gate": "0", "blur": "0", "shift": "-0.25"}, 3, [0, 0.25, 0.75, 0]),
        ({"gate": "0", "gamma": "2"}, 4, [0, 0.015152, 0.969697, 0.015152]),
    ],
)
def test_every_slider_of_the_memory(params, column, expected):
    (stages,) = matrices(check(opened("memory", params)))["Weights, step by step"]
    np.testing.assert_allclose(stages[:, column], expected, atol=1e-6)


def test_a_memory_of_another_size():
    app = check(opened("memory", memory="random", rows="9", previous="9", shift="-9"))
    assert matrices(app)["Weights, step by step"][0].shape == (9, 5)


def test_the_network_sorts_what_is_typed():
    app = check(opened("memory", part="pointer", numbers="0.5 0.25;0.75, .05"))
    assert "**0.05, 0.25, 0.5, 0.75**. Sorted, without a mistake" in words(app)
    (weights,) = matrices(app)["Where each step points"]
    assert np.isnan(weights).sum() == 6  # what was visited, a triangle
    free = check(opened("memory", part="pointer", numbers="0.5 0.25;0.75, .05", leave_out="0"))
    assert not np.isnan(matrices(free)["Where each step points"][0]).any()
    _, accuracy = pointer.load()
    assert f"**{accuracy[10][1]:.1%}**" in words(app)


@pytest.mark.parametrize(
    ("typed", "got"),
    [
        ("", "got no number."),
        ("0.5", "got 1 number."),
        ("0.1 " * 21, "got 21 numbers."),
        ("0.1, 2", "got 2, which is above 1."),
        ("0.1, -0.5", "got -0.5, which is below 0."),
        ("0.1, nan", "got nan, which is not a number."),
        ("0.1, <b>", "got <b>, which is not a number."),
        ("0.1, " + "9" * 300, f"got {'9' * 19}…, which is above 1."),
    ],
)
def test_numbers_that_are_none(typed, got):
    app = check(opened("memory", part="pointer", numbers=typed))
    (error,) = app.error
    assert error.value.startswith("Type 2 to 20 numbers from 0 to 1")
    assert as_text(got) in error.value
    assert app.text_area(key="memory.numbers").value == typed


def test_a_wrong_order_is_said():
    assert "Wrong from step 2 on, where 0.2 should come" in pointer_part.memory_pointer_in_words(
        [0.3, 0.1, 0.2], [0.1, 0.3, 0.2]
    )


def test_looking_back_cannot_look_ahead():
    app = check(opened("memory", part="lstmn", sentence="one two three four five"))
    assert "moved by **0**" in words(app)
    (weights,) = matrices(app)["Where each step looks back"]
    np.testing.assert_array_equal(np.isnan(weights), np.triu(np.ones((5, 5), bool)))
    even = matrices(opened("memory", part="lstmn", sentence="one two three four five", focus="0"))
    np.testing.assert_allclose(even["Where each step looks back"][0][4, :4], 0.25)
    assert len(opened("memory", part="lstmn", sentence=" \u202e").error) == 1
    assert "first 24 of 30" in opened("memory", part="lstmn", sentence="word " * 30).warning[0].value


@pytest.mark.parametrize("row", CHECKS["snail"], ids=lambda row: f"T={row['T']}")
def test_the_slip_about_dilations_is_shown(row):
    app = check(opened("memory", part="snail", steps=str(row["T"])))
    steps, printed = row["T"], len(row["lags_reached_as_printed"])
    assert f"sees **{steps} of {steps}** steps" in words(app)
    assert f"as the pseudo-code has them, **{printed}**" in words(app)
    fans = [t[t["layer"] == "input"]["fill"] for t in tables(app, "layer", "fill")]
    assert sorted(int((fill == charts.LIGHT.weight).sum()) for fill in fans) == sorted([steps, printed])
    above = opened("memory", part="snail", steps=str(row["T"]), attends="1")
    assert f"as the pseudo-code has them, **{steps}**" in words(above)


def test_gamma_0_gives_the_picture_back():
    still, moved = (opened("memory", part="image", factor=factor, tab="Code") for factor in ("0", "0.5"))
    assert "the output is the picture itself, to the last digit" in words(check(still))
    assert [len({table["url"].iloc[0] for table in tables(app, "url")}) for app in (still, moved)] == [2, 3]


@pytest.mark.parametrize("features", FEATURES)
def test_a_pixel_and_where_it_looks(features):
    app = check(opened("memory", part="image", features=features, pixel="7,24", tab="Code"))
    assert "The pixel in row 8, column 25" in words(app)
    assert app.number_input(key="memory.pixel.0").value == 8
    app.number_input(key="memory.pixel.1").set_value(3).run()
    assert check(app).query_params["pixel"] == "7,2"


def test_pixels_of_one_colour_look_at_one_another():
    setup = MemorySetup(part="image", contrast=40.0)
    picture = pictures.shapes(32)
    x = image.memory_image_features(setup)(picture)
    weights = (
        image_attention.image_attention(x, *image.memory_image_matrices(setup)).weights[8 * 32 + 8].reshape(32, 32)
    )
    red = (picture == picture[8, 8]).all(axis=2)
    assert red[24, 24]  # the other red disc, far away
    assert weights[red].sum() > 0.9
    assert np.ptp(weights[red]) < 1e-9  # near or far alike


def test_words_look_at_patches():
    app = check(opened("memory", part="patches", caption="Red, left zebra <i>"))
    assert "There is no vector for zebra, \\<i\\>" in app.warning[0].value
    assert "**red** looks most at row 2, column 2" in words(app)
    result = patches.compute_memory_patches(pictures.shapes(32), ("red", "left"), 12.0)
    penalty = float(alignment.doubly_stochastic_penalty(result.weights))
    assert f"here **{penalty:.3g}** for λ = 1" in words(app)
    assert (
        patches.memory_patches_known_words("")[0]
        == patches.memory_patches_known_words("nothing known")[0]
        == ("red", "blue", "green", "dark")
    )
    assert len(patches.memory_patches_known_words("red " * 9)[0]) == 6


def test_many_hard_looks_average_to_the_soft_patch():
    gaps = []
    for draws in ("3", "2000"):
        app = check(opened("memory", part="patches", caption="bright", draws=draws, contrast="2"))
        gaps.append(float(re.search(r"comes within \*\*([0-9.]+)\*\*", words(app))[1]))
    assert gaps[1] < 0.05 < gaps[0]


# The code on the pages


@pytest.mark.parametrize(
    ("page", "params"),
    [
        ("scores", {}),
        ("scores", {"keys": "2,0;1,1;-1,2;3,3;1,-1;0,2", "double": "1", "turn": "33", "swap": "1", "score": "content"}),
        ("scores", {"parameters": "random", "seed": "5"}),
        ("memory", {}),
        ("memory", {"memory": "random", "rows": "7", "shift": "-1.5"}),
        ("memory", {"part": "pointer"}),
        ("memory", {"part": "pointer", "leave_out": "0", "numbers": "0.5 0.5 0.1"}),
        ("memory", {"part": "lstmn"}),
        ("memory", {"part": "snail"}),
        ("memory", {"part": "snail", "attends": "1", "steps": "19"}),
        ("memory", {"part": "image"}),
        ("memory", {"part": "image", "features": "place"}),
        ("memory", {"part": "image", "features": "random", "picture": "faces"}),
        ("memory", {"part": "patches"}),
    ],
    ids=str,
)
def test_the_code_draws_the_picture(page, params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = check(opened(page, params, tab="Code", code="draw"))
    drawn = []
    monkeypatch.setattr(charts, "save", lambda picture, name: drawn.append((picture, name)))
    exec(app.code[0].value, {"__name__": "copied"})
    ((picture, name),) = drawn
    assert name.endswith(".svg")
    made, shown = picture.to_dict(), specs(app)[0]
    assert made["description"] == shown["description"]
    assert _sizes(charts.fit_to_room(charts.specification(picture), NARROW)) == _sizes(shown)
    colours = [[row["shade"] for row in data] for data in made["datasets"].values() if "shade" in data[0]]
    assert sorted(map(sorted, colours)) == sorted(sorted(table["shade"].tolist()) for table in tables(app, "shade"))


def _sizes(spec):
    """Return the size of every part of a figure."""
    parts = [part for kind in ("hconcat", "vconcat") for part in spec.get(kind, [])]
    return [spec.get("width"), spec.get("height"), *(_sizes(part) for part in parts)]


def test_every_part_says_its_shapes_and_its_formula():
    for part in set(PARTS) - {"published"}:
        app = check(opened("memory", part=part))
        assert len(app.latex) >= 1
        trained = part == "pointer" or part == "ntm"  # whose weights are learnt, or typed
        assert any("ntrained" in each.value.partition(".")[0] for each in app.markdown) != trained
        assert any("×" in caption.value or "→" in caption.value for caption in app.caption)


# Figures


def test_arrows_lie_where_their_vectors_end():
    look = charts.LIGHT
    picture = charts.arrows([[1, 2], [-3, 0.5]], ["a", "b"], [look.query, look.key], look, select="plane")
    made = picture.to_dict()
    (shafts,) = [data for data in made["datasets"].values() if "tip_x" in data[0]]
    limit = shafts[0]["x"]
    assert [(row["tip_x"] - limit, limit - row["tip_y"]) for row in shafts] == [(1, 2), (-3, 0.5)]
    assert limit >= 3
    (clicks,) = [data for data in made["datasets"].values() if "across" in data[0]]
    for row in clicks:
        assert row["x"] <= row["across"] + limit <= row["x2"]
        assert row["y"] <= limit - row["up"] <= row["y2"]
    assert {(0.0, 0.0), (limit / 2, -limit / 2)} <= {(row["across"], row["up"]) for row in clicks}


def test_a_trail_of_any_length_is_bounded():
    look = charts.LIGHT
    trail = np.random.default_rng(0).normal(size=(100_000, 2))
    made = charts.arrows([[1, 2]], ["a"], [look.query], look, trail=trail).to_dict()
    assert sum(map(len, made["datasets"].values())) < 1000


def test_bars_along_a_sequence():
    local = local_attention.local_p(np.zeros(10), 3.2, 2)
    made = charts.places(
        local.weights, charts.counted(10), charts.LIGHT, before=local.aligned, window=local.visible, centre=3.2
    ).to_dict()
    bars = [data for data in made["datasets"].values() if "shown" in data[0]]
    assert [len(data) for data in bars] == [4, 4]
    top = max(local.aligned)
    for at, row in zip(np.flatnonzero(local.visible), bars[0], strict=True):
        assert 1 - row["y"] == pytest.approx(local.weights[at] / top)


def png(size, mode="RGB", color="red", form="PNG"):
    """Return a picture file."""
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, format=form)
    return file.getvalue()


def test_a_photo_fades_where_little_is_looked_at():
    look, picture = charts.DARK, np.ones((4, 4, 3))
    made = charts.photo(picture, look, weights=[[1, 0], [0, 0.5]]).to_dict()
    (address,) = [data[0]["url"] for data in made["datasets"].values() if "url" in data[0]]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))).astype(int)
    np.testing.assert_array_equal(shown[:2, :2], 255)
    assert (shown[:2, 2:] < 60).all()  # nearly the dark background
    assert (shown[2:, 2:] < shown[:2, :2]).all()
    assert (shown[2:, 2:] > shown[:2, 2:]).all()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: charts.arrows([[1, 2, 3]], ["a"], ["#000000"], charts.LIGHT),
            "vectors must be pairs with a label and a colour each, got (1, 3), 1 labels and 1 colours",
        ),
        (
            lambda: charts.places([1, 2], ["a"], charts.LIGHT),
            "weights must be one row with a label each, got (2,) and 1 labels",
        ),
        (lambda: charts.photo(np.zeros((4, 4)), charts.LIGHT), "image must be (height, width, 3), got (4, 4)"),
        (
            lambda: charts.photo(np.zeros((4, 4, 3)), charts.LIGHT, grid=(3, 2)),
            "the grid must divide the picture (4, 4), got (3, 2)",
        ),
    ],
)
def test_figures_that_cannot_be_drawn(draw, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        draw()


def test_a_fan_of_one_step():
    made = charts.fan((), snail.lags_reached(lambda x: x, np.zeros((1, 1))), charts.LIGHT)
    assert "of 1 steps 1 reach" in made.description


def test_on_a_phone_each_map_takes_the_width_and_shows_its_numbers():
    """358 pixels of room, 140 of them for the names of scores: 72 a key, of which 40 hold a number."""
    setup = Setup()
    drawn = scores_picture(setup, compute_scores(setup), 358).to_dict()["vconcat"]
    assert [part["title"]["text"] for part in drawn] == [["Query and keys"], ["Scores"], ["→ Weights"]]
    for part in drawn[1:]:
        assert part["width"] == 72 * 3
        assert "text" in [layer["mark"]["type"] for layer in part["layer"]]
