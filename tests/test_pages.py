"""Every page, every preset and every kind of bad input: a picture or a sentence, never a traceback."""

import json
import math
import re
from dataclasses import replace
from urllib.parse import parse_qs

import numpy as np
import pytest
from driving import PAGES, check, matrices, notices, opened, said, specs, tables
from hypothesis import HealthCheck, given, settings
from setups import ABSURD, SETUPS, extremes, fields, links, options, painted

from attn import charts, cost, pretrained, scaled_dot_product_attention, softmax
from attn.charts.labels import number, token_labels
from attn.data import examples
from attn.mask_routes import ROUTES
from attn.pretrained.recording import from_input
from attn.ui import models
from attn.ui.controls.mask import MASKS
from attn.ui.controls.positions import POSITIONS
from attn.ui.controls.sentence import WORKED, SentenceChoice
from attn.ui.link import from_link
from attn.ui.pages.heads import Setup as HeadsSetup
from attn.ui.pages.heads import compute_heads_page
from attn.ui.pages.home import WAYS
from attn.ui.pages.masks import WRONG, compute_masks_page, masks_page_routes_reading
from attn.ui.pages.masks import Setup as MasksSetup
from attn.ui.pages.pretrained import Setup as PretrainedSetup
from attn.ui.pages.pretrained import pretrained_page_picture
from attn.ui.pages.step_by_step.stages import DIVISORS, MATRICES, STAGES
from attn.ui.pages.step_by_step.walk import STEP_SOURCES, Setup, compute_walk
from attn.ui.pages.why.setup import SECOND_TEXT
from attn.ui.sources import PAGE_SOURCES, SOURCES
from attn.ui.state import as_text
from attn.words import share, small

TEXT_PAGES = [page for page, cls in SETUPS.items() if "text" in fields(cls)]
SPLIT_PAGES = [page for page, cls in SETUPS.items() if issubclass(cls, SentenceChoice)]  # whose tokens are words
MODEL_PAGES = [page for page, cls in SETUPS.items() if "model" in fields(cls)]
LOOKING = ("home", "pretrained", "inside", "why")  # a new text there has another cell worth a look
OWN_TEXT = {page: {"source": "random"} for page in SPLIT_PAGES}


def with_text(page, text=None, **more):
    """Open a page that reads a sentence of the visitor's."""
    return opened(page, OWN_TEXT.get(page), **more, **({} if text is None else {"text": text}))


def text_box(app, page):
    return (app.text_input if page == "home" else app.text_area)(key=f"{page}.text")


def typed(page, text):
    """Open a page and type a text into it."""
    return text_box(with_text(page), page).set_value(text).run()


# Every page and every preset


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_a_cold_link_shows_something_at_once(page, theme):
    app = opened(page)
    app.context = {"theme": theme}
    check(app.run())
    assert app.query_params == {}
    assert notices(app) == []
    assert all(spec["description"] for spec in specs(app))


@pytest.mark.parametrize("way", WAYS, ids=[way.title for way in WAYS])
def test_every_way_in(way):
    app = check(opened(way.page, way.settings))
    assert from_link(SETUPS[way.page], app.query_params) == from_link(SETUPS[way.page], way.settings)
    assert notices(app) == []


@pytest.mark.parametrize("source", STEP_SOURCES)
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_every_source(stage, source):
    for matrix in MATRICES if stage == "projections" else ["q"]:
        check(opened("step_by_step", stage=stage, source=source, matrix=matrix))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("page", SPLIT_PAGES)
def test_every_mask(page, mask):
    app = check(with_text(page, mask=mask))
    assert app.selectbox(key=f"{page}.mask").value == mask


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("source", ["worked", "random"])
def test_every_kind_of_positions(positions, source):
    check(opened("step_by_step", positions=positions, source=source, d_k="6", stage="masked"))


def test_rotary_positions_need_an_even_width():
    app = check(opened("step_by_step", source="random", positions="rotary", d_k="5"), charts=0)
    (error,) = app.error
    assert "even" in error.value
    assert app.query_params["d_k"] == "5"


@pytest.mark.parametrize("divisor", DIVISORS)
def test_every_divisor(divisor):
    check(opened("step_by_step", divisor=divisor, stage="scaled", own="2.5"))


@pytest.mark.parametrize("sentence", examples.SENTENCES, ids=lambda sentence: sentence.key)
@pytest.mark.parametrize("page", TEXT_PAGES)
def test_every_example_sentence(page, sentence):
    check(with_text(page, sentence.text))


PICKED = [(page, name) for page, cls in SETUPS.items() for name in fields(cls) if options(fields(cls)[name])]
ABOVE = [(page, "mask") for page in SPLIT_PAGES]
ABOVE += [("step_by_step", name) for name in ("stage", "source", "positions", "divisor")]


@pytest.mark.parametrize(("page", "name"), [choice for choice in PICKED if choice not in ABOVE])
def test_every_option(page, name):
    """Whatever else a page offers to pick from."""
    for option in options(fields(SETUPS[page])[name]):
        app = check(with_text(page, **{name: option}))
        assert notices(app) == []


def test_a_gate_lets_a_part_of_each_number_through():
    app = check(opened("heads", text="one two three", gate="1", tab="merged"))
    (gate,) = matrices(app)["Gate"]
    assert gate.shape == (3, 16)  # four heads of four numbers
    told = " ".join(said(app))
    assert f"The output gate lets {gate.min():.0%} to {gate.max():.0%} of each number through." in told
    assert "Gate" not in matrices(opened("heads", tab="merged"))


def test_positions_in_the_keys_alone_move_weights_and_not_values():
    plain, apart = (
        compute_heads_page(HeadsSetup(key_positions=key_positions)).steps for key_positions in (False, True)
    )
    np.testing.assert_array_equal(plain.value, apart.value)
    np.testing.assert_array_equal(plain.query, apart.query)
    assert np.abs(plain.weights - apart.weights).max() > 0.1
    assert "that changes who looks at it, and not what it hands on" in " ".join(
        said(opened("heads", key_positions="1"))
    )


@pytest.mark.parametrize(
    "params",
    [
        {"source": "worked"},
        {"source": "worked", "mode": "cross"},
        {"mode": "cross", "second": "Short."},
        {"num_heads": "1", "num_kv_heads": "1"},
        {"num_heads": "16", "num_kv_heads": "1", "d_model": "128", "d_k": "64", "d_v": "64"},
        {"num_heads": "6", "num_kv_heads": "4"},  # 4 does not divide 6: the largest divisor below is taken
        {"project": "0"},
        {"gate": "1", "tab": "merged"},
        {"mode": "cross", "key_positions": "1"},
    ],
    ids=str,
)
def test_heads_of_every_kind(params):
    check(opened("heads", params), charts=2)


@pytest.mark.parametrize(
    "params",
    [
        {"random": "1"},
        {"pair": "It is asleep now."},
        {"start": "input"},
        {"unscaled": "1"},
        {"mask": "none"},
        {"mask": "causal"},
        {"cut": "6"},
        {"special": "0", "first": "0"},
        {"colour": "log", "first": "0"},
        {"text": " ".join(["A long text about attention."] * 16)},  # more than 64 tokens: an overview and a window
    ],
    ids=lambda params: next(iter(params)),
)
def test_pretrained_of_every_kind(params):
    app = check(opened("pretrained", params))
    broken = {"unscaled", "cut"} & set(params) or params.get("mask") == "causal"
    assert len(app.error) == bool(broken)
    assert len(app.warning) == ("random" in params)  # of random weights the arithmetic agrees, and no more
    assert len(app.success) == (not broken and "random" not in params)
    scale = {"unscaled": "1", "cut": "1/√64 = 0.125"}.get(next(iter(params), ""), "1/√32 = 0.177")
    assert f"where the scale is {scale}." in " ".join(said(app))


def test_tokens_that_are_all_words_are_said_to_be():
    for link, whole in (({}, True), ({"source": "random", "text": "It rains."}, False)):
        view = compute_walk(from_link(SETUPS["step_by_step"], link)[0], None, 800, 400)[0]
        assert ("here all are words, and no token comes twice" in STAGES["tokens"].read(view)) == whole


# Choices, and the link that says them


def test_a_control_changes_the_picture_and_the_link():
    app = opened("step_by_step", source="random", stage="weights")
    before = matrices(app)["Weights"][0]
    app.slider(key="step_by_step.d_k").set_value(7).run()
    assert app.query_params == {"source": "random", "stage": "weights", "d_k": "7"}
    assert not np.array_equal(matrices(check(app))["Weights"][0], before)


@pytest.mark.parametrize("page", PAGES)
def test_a_link_gives_the_picture_it_was_copied_from(page):
    app = with_text(page, "One two three two one.", seed="7") if page in SPLIT_PAGES else with_text(page, "One two.")
    again = opened(page, app.query_params)
    assert [spec["description"] for spec in specs(again)] == [spec["description"] for spec in specs(app)]
    for one, other in zip(tables(app, "shade"), tables(again, "shade"), strict=True):
        np.testing.assert_array_equal(one["shade"], other["shade"])


def test_a_page_keeps_its_choices_while_another_is_open():
    app = opened("heads", num_heads="3", seed="5")
    app.switch_page("pages/masks.py")
    app.query_params.clear()
    check(app.run())
    app.switch_page("pages/heads.py")
    app.query_params.clear()
    app.query_params.update({"num_heads": "3", "num_kv_heads": "1", "seed": "5"})  # as the menu's entry says
    check(app.run())
    assert app.slider(key="heads.num_heads").value == 3
    assert app.number_input(key="heads.seed").value == 5


def test_a_choice_outlives_its_slider():
    """A slider of another range is another widget, and one off the screen is none."""
    app = opened("masks", source="random", text="a b c d e f g h", mask="window", window="3", token="7")
    text_box(app, "masks").set_value("a b c d e f g h i j k l").run()
    assert app.slider(key="masks.window").value == 3
    assert app.slider(key="masks.token").value == 7
    app.selectbox(key="masks.mask").set_value("causal").run()
    app.number_input(key="masks.seed").set_value(2).run()
    app.selectbox(key="masks.mask").set_value("window").run()
    assert check(app).slider(key="masks.window").value == 3
    assert app.query_params["window"] == "3"


def test_a_slider_on_its_way_is_not_pushed_back():
    """Streamlit tells the browser a value that the script has set, over one that is on its way."""
    for page, name in (("step_by_step", "d_k"), ("masks", "window")):
        app = opened(page, source="random", mask="window")
        app.slider(key=f"{page}.{name}").set_value(5).run()
        assert check(app).slider(key=f"{page}.{name}").value == 5
        assert not app.slider(key=f"{page}.{name}").proto.set_value


def test_a_link_that_is_late_undoes_nothing_and_another_one_is_followed():
    """The browser sends the link it shows with every change, and may not show the newest yet."""
    app = opened("step_by_step", source="random")
    app.slider(key="step_by_step.d_k").set_value(7).run()
    app.query_params = {"source": "random"}  # as before the change
    app.slider(key="step_by_step.d_k").set_value(8).run()
    assert check(app).query_params == {"source": "random", "d_k": "8"}
    assert app.slider(key="step_by_step.d_k").value == 8
    app.query_params = {"source": "random", "d_k": "3"}
    assert check(app.run()).slider(key="step_by_step.d_k").value == 3


def test_a_path_is_walked_forward_and_back():
    app = opened("step_by_step")
    assert app.session_state["step_by_step.stage"] == "tokens"  # a walk begins at its beginning
    assert app.button(key="step_by_step.back").disabled
    for stage in list(STAGES)[1:]:
        app.button(key="step_by_step.next").click().run()
        assert check(app).query_params["stage"] in (stage, [stage])
    assert app.button(key="step_by_step.next").disabled
    app.button(key="step_by_step.back").click().run()
    assert check(app).query_params["stage"] in ("weights", ["weights"])


def test_the_walk_has_a_mask_that_does_something_and_a_trained_encoder_its_own():
    app = opened("step_by_step", stage="masked")
    assert np.isnan(matrices(app)["Masked scores"][0]).sum() == 6 * 5 // 2  # the pairs that look ahead
    app.selectbox(key="step_by_step.source").set_value("pretrained").run()
    assert check(app).selectbox(key="step_by_step.mask").value == "none"
    assert "mask" not in app.query_params
    app.selectbox(key="step_by_step.source").set_value("worked").run()
    assert check(app).selectbox(key="step_by_step.mask").value == "causal"
    app.selectbox(key="step_by_step.mask").set_value("window").run()
    app.selectbox(key="step_by_step.source").set_value("pretrained").run()
    assert check(app).selectbox(key="step_by_step.mask").value == "window"  # one's own stays
    assert opened("step_by_step", stage="masked", mask="none").query_params["mask"] == "none"


def test_a_trained_layer_is_opened_at_the_head_that_was_looked_at_last():
    def opened_at(looked_at, **link):
        app = opened("step_by_step", link)
        app.session_state["carried.looked_at"] = looked_at
        app.selectbox(key="step_by_step.source").set_value("pretrained").run()
        return [check(app).session_state[f"step_by_step.{name}"] for name in ("layer", "head", "text")]

    seen, text = {"layer": "6", "head": "12", "cell": "3,0"}, Setup.text
    assert opened_at({}) == [4, 2, text]
    assert opened_at(seen) == [6, 12, text]
    assert opened_at(seen | {"text": "A cat sat."}) == [6, 12, "A cat sat."]
    assert opened_at(seen, layer="3") == [3, 2, text]  # one's own stays
    assert opened_at(seen | {"model": "gpt2"}) == [4, 2, text]


def test_an_example_fills_the_box():
    app = with_text("masks")
    app.selectbox(key="masks.text.example").set_value(examples.SENTENCES[3].text).run()
    assert text_box(check(app), "masks").value == examples.SENTENCES[3].text
    assert app.query_params["text"] == examples.SENTENCES[3].text


# Links with garbage


@pytest.mark.parametrize("raw", ABSURD, ids=ascii)
@pytest.mark.parametrize("page", PAGES)
def test_garbage_in_every_parameter(page, raw):
    """Texts may hold anything; a model of that name is another test's."""
    names = [name for name in fields(SETUPS[page]) if name not in ("model", "text", "second", "pair")]
    app = check(opened(page, dict.fromkeys([*names, "<b>unknown</b>"], raw)))
    found = notices(app)
    assert any("unknown" in notice for notice in found)
    assert len(found) >= 1 + sum(options(fields(SETUPS[page])[name]) is not None for name in names)
    assert set(app.query_params) <= set(names)  # what came of it is in the link, the rest is gone


def test_a_notice_stays_where_the_page_brings_a_number_into_range():
    for page, params in [
        ("masks", {"source": "random", "text": "one two three"}),  # fewer tokens than the one replaced
        ("heads", {"num_heads": "6", "num_kv_heads": "4"}),
    ]:
        app = opened(page, params, unknown="1")
        assert len(notices(app)) == 1
        assert len(notices(app.run())) == 1
        app.number_input(key=f"{page}.seed").set_value(3).run()
        assert notices(app) == []


def test_a_notice_is_said_once():
    for page, params in [
        ("home", {"text": ""}),
        ("step_by_step", {"source": "random", "positions": "rotary", "d_k": "5"}),
    ]:
        assert len(notices(opened(page, params, unknown="1"))) == 1


@pytest.mark.parametrize("page", PAGES)
def test_numbers_at_their_ends(page):
    for params in extremes(SETUPS[page]):
        check(with_text(page, **params))
        if page == "step_by_step":
            check(opened(page, params, source="pretrained"))


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "![x](https://example.org/x.png)", "no/such", "/etc", ""]
)
@pytest.mark.parametrize("page", MODEL_PAGES)
def test_a_model_that_is_none(page, name):
    app = check(opened(page, model=name), charts=0)
    assert len(app.error) == 1
    assert app.query_params["model"] == name
    assert not any("![x](" in sentence for sentence in said(app))


@pytest.mark.parametrize("page", PAGES)
def test_any_link(page):
    """Whatever may be chosen together gives a picture, a button that begins its runs, or says what must hold."""

    @given(links(SETUPS[page], without=("model", "text", "second", "pair")))
    @settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    def open_it(params):
        app = opened(page, params)
        asked = [button.key for button in app.button if button.key == "why.patch.begin"]
        asked += [error.value for error in app.error if "must be even to be turned in pairs" in error.value]
        check(app, charts=not asked)
        assert notices(app) == []

    open_it()


@pytest.mark.parametrize("page", [page for page, cls in SETUPS.items() if len(fields(cls)) > 5])
def test_a_page_is_reset_to_what_its_bare_address_shows(page):
    app = with_text(page, **extremes(SETUPS[page])[0])
    assert app.query_params != {}
    check(app.button(key=f"{page}.reset").click().run())
    assert app.query_params == {}
    assert notices(app) == []


def test_every_page_names_what_it_stands_on():
    cited = {one.source for each in PAGE_SOURCES.values() for one in each}
    assert set(PAGE_SOURCES) == set(PAGES)
    assert cited == set(SOURCES)
    assert all(publication.address.startswith("https://") for publication in SOURCES.values())
    (sources,) = (each for each in said(opened("masks")) if each.startswith("**Sources**"))
    assert all(SOURCES[one.source].address in sources for one in PAGE_SOURCES["masks"])


# What people type


@pytest.mark.parametrize("text", ["", "   \n ", "\u202e\u200b\x07"], ids=["empty", "blank", "invisible"])
@pytest.mark.parametrize("page", TEXT_PAGES)
def test_no_text(page, text):
    app = check(typed(page, text), charts=0)
    if len(app.get("vega_lite_chart")) == 0:
        (sentence,) = [element.value for element in (*app.info, *app.error)]
        assert sentence.startswith("Type ")
    assert text_box(app, page).value == text
    check(text_box(app, page).set_value("And on").run())


@pytest.mark.parametrize("page", TEXT_PAGES)
def test_an_empty_box_keeps_every_other_choice(page):
    others = OWN_TEXT.get(page, {}) | ({"seed": "77", "mask": "window"} if page in SPLIT_PAGES else {"layer": "2"})
    app = opened(page, others)
    text_box(app, page).set_value("").run()
    for text in ("", "On and on and on and on and on and on"):
        text_box(app, page).set_value(text).run()
        setup, _ = from_link(SETUPS[page], app.query_params)
        own = {"cell": setup.cell} if page in LOOKING else {}
        own |= {"head": 2} if page == "why" else {}  # it stays, and Why's link to another text names it
        own |= {"second": SECOND_TEXT} if page == "why" and not text else {}  # until there is a text to begin it with
        assert setup == replace(from_link(SETUPS[page], others | {"text": text})[0], **own)
    check(app)


@pytest.mark.parametrize("text", ["one", "1", "🙂", "ش"], ids=["word", "digit", "emoji", "Arabic"])
@pytest.mark.parametrize("page", TEXT_PAGES)
def test_one_token(page, text):
    check(typed(page, text))


@pytest.mark.parametrize("page", TEXT_PAGES)
def test_ten_thousand_words(page):
    text = "word " * 10_000
    app = check(typed(page, text))
    assert text_box(app, page).value == text
    assert any("leaves out: text" in notice for notice in notices(app))
    assert "text" not in app.query_params
    spoken = [warning.value for warning in app.warning] + [caption.value for caption in app.caption]
    assert any("10,00" in sentence for sentence in spoken)  # cut, and by how much is said


STRANGE = {
    "emoji": "👩‍👩‍👧‍👦 🇳🇱 👍🏽 ❤️‍🔥 e\u0301",
    "right to left": "החתול ישב על المحصلة كتاب",
    "Chinese": "学习注意力，很有意思。",
    "markup": "<script>alert(1)</script> **bold** [a](https://example.org) $x^2$ :red[no] `code` # | ~~s~~ &lt;b&gt;",
    "control": "a\x00b\x1b[31mc\x7f \u202ed\u2066 e\ud7ff \ufeff f",
    "one long word": "antidis" * 300,
    "repeated": "the the the The THE",
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("page", TEXT_PAGES)
def test_strange_texts(page, text):
    app = check(typed(page, text))
    assert text_box(app, page).value == text


@pytest.mark.parametrize("page", ["step_by_step", "masks"])
def test_markup_in_tokens_stays_text(page):
    app = check(with_text(page, "<b>x</b> *y* $z$ [a](b)", mask="painted", cell="0,0", token="1"))
    assert not any(bad in sentence for sentence in said(app) for bad in ("1 <", "**1 *", "](b)"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a*b_c", r"a\*b\_c"),
        ("<b>", r"\<b\>"),
        ("&lt;", r"\&lt\;"),
        ("$x$ :smile:", r"\$x\$ \::gray[]smile\:"),
        ("http://a.b WWW.a.b", r"http\::gray[]\/\/a\.b WWW:gray[]\.a\.b"),
        ("a@b.c", r"a\@:gray[]b\.c"),
        ("-> >= --", r"\-:gray[]\> \>:gray[]\= \-:gray[]\-"),
        ("a\nb\0\u202e", "a�b��"),
        ("1 \u2068קטן\u2069 héllo 👩‍👧", "1 \u2068קטן\u2069 héllo 👩‍👧"),
    ],
    ids=[
        "emphasis",
        "tag",
        "entity",
        "formula and emoji code",
        "addresses",
        "mail",
        "arrows",
        "control",
        "other scripts",
    ],
)
def test_as_text_escapes_what_markdown_would_read(text, shown):
    assert as_text(text) == shown


# Matrices, masks and widths


def test_edits_move_everything_downstream():
    plain = opened("step_by_step", stage="projections")
    app = check(opened("step_by_step", stage="projections", edits="x.0.0=5;w_q.1.1=-2"))
    (before,), (after,) = matrices(plain)["X"], matrices(app)["X"]
    assert after[0, 0] == 5
    np.testing.assert_array_equal(np.delete(after.ravel(), 0), np.delete(before.ravel(), 0))
    assert not np.array_equal(matrices(app)["Query"][0], matrices(plain)["Query"][0])


def test_edits_to_nothing():
    edits = ";".join(f"x.{row}.{column}=0" for row in range(6) for column in range(3))
    for stage in STAGES:
        check(opened("step_by_step", stage=stage, edits=edits))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e308", "-1e308", "1e-320"])
@pytest.mark.parametrize("stage", ["embeddings", "scaled", "weights", "context"])
def test_edits_that_are_no_good_numbers(stage, number):
    edits = f"x.0.0={number};w_k.0.1={number}"
    app = check(opened("step_by_step", stage=stage, edits=edits))
    if not math.isfinite(float(number)):
        assert len(app.warning) == 2
        assert all("must hold finite numbers" in warning.value for warning in app.warning)
    assert len(app.query_params["edits"].split(";")) == 2  # kept


def test_edits_outside_the_matrix_wait():
    app = check(opened("step_by_step", edits="x.50.0=1;w_v.0.99=2"))
    assert app.query_params["edits"] == "x.50.0=1;w_v.0.99=2"
    assert len(app.warning) == 0


@pytest.mark.parametrize("page", SPLIT_PAGES)
def test_a_painted_mask_that_hides_everything(page):
    every = painted(*((row, column) for row in range(3) for column in range(3)))
    stage = {"stage": "weights"} if page == "step_by_step" else {}
    app = check(with_text(page, "one two three", mask="painted", painted=every, **stage))
    weights = matrices(app).get("Weights") or matrices(app)["Head 1"]
    assert np.isnan(weights[0]).all()  # every cell is drawn hidden
    if page == "masks":
        (warning,) = app.warning
        assert "Nothing is left to see for" in warning.value
        assert any("jax.nn.dot_product_attention and the Attention of keras put" in text for text in said(app))


def test_masks_shows_what_zeroing_the_upper_triangle_of_the_context_does():
    """What an article calls the same as a mask: on its example, whose context has four features for six tokens."""
    app = check(opened("masks", wrong="zeroed_context"))
    shown = {title: values for title, values in matrices(app).items() if title.startswith("Context: ")}
    e = examples.worked_example()
    query, key, value = e.x @ e.w_q, e.x @ e.w_k, e.x @ e.w_v
    right = scaled_dot_product_attention(query, key, value, causal=True).context
    zeroed = np.tril(scaled_dot_product_attention(query, key, value).context)
    before, after, wrong = (values[0] for values in shown.values())
    for drawn, computed in ((before, right), (after, right), (wrong, zeroed)):
        np.testing.assert_allclose(drawn, computed, atol=1e-6)
    assert not zeroed[0, 1:].any()
    assert f"Its context is off by up to **{number(np.abs(right - zeroed).max())}**." in " ".join(said(app))
    assert "Context" not in " ".join(matrices(opened("masks")))


def test_masks_shows_where_the_second_route_loses_a_row():
    app = opened("masks")
    told = " ".join(said(check(app)))
    assert "by **110**" in told
    assert "renormalise gives it **0** in float32 and **1** in float64" in told
    assert "from a lead of 104 on in float32, and of 746 in float64" in told
    app.slider(key="masks.lead").set_value(103).run()
    assert "renormalise gives it **1** in float32 and **1** in float64" in " ".join(said(check(app)))


def test_home_counts_what_it_offers():
    told = " ".join(said(check(opened("home"))))
    wrong = [route for route in ROUTES.values() if not route.right]
    assert (len(wrong), "seven look-alikes" in told) == (7, True)
    assert (len(POSITIONS) - 1, "Nine ways to tell attention the order" in told) == (9, True)
    eight, shared = (cost.cache_bytes(1, heads, 4, 4) for heads in (8, 2))
    assert (shared / eight, "a quarter of the cache" in told) == (1 / 4, True)


def test_the_name_of_the_first_ways_in_stands_above_them():
    drawn = [getattr(node, "value", None) or getattr(node.proto, "label", "") for node in opened("home").main]
    assert drawn.index("The path") + 1 < drawn.index("**Walk from words to context**") < drawn.index("Real models")


STEPS_CONTROLS = {
    "tokens": "Positions",
    "embeddings": "Positions",
    "scaled": "Divide the scores by",
    "masked": "Mask",
    "weights": "Softmax temperature",
}


@pytest.mark.parametrize("stage", STEPS_CONTROLS)
def test_whose_numbers_they_are_is_always_the_first_control_and_that_of_the_step_the_second(stage):
    app = check(opened("step_by_step", stage=stage))
    kinds = ("selectbox", "slider")
    controls = [node.label for node in app.sidebar if node.type in kinds]
    assert controls[:2] == ["Numbers from", STEPS_CONTROLS[stage]]


def test_hidden_tokens_are_said_to_get_nothing_where_bars_show_them():
    app = check(opened("step_by_step", stage="weights", cell="4,5"))
    assert any("what a mask hides gets 0. The chosen cell is marked" in text for text in said(app))
    bars = [table for table in tables(app, "label", "shown") if "6 first" in table["label"].tolist()]
    assert [table["shown"].tolist()[table["label"].tolist().index("6 first")] for table in bars] == ["0"]


def test_agreement_is_seen_as_such_in_the_map_of_every_head():
    app = check(opened("pretrained"), charts=2)
    told = " ".join(said(app))
    (largest,) = re.findall(r"The largest is \*\*([\d.e−]+)\*\*; up to 1e−5 is rounding", told)
    (table,) = matrices(app)["Largest difference by layer and head"]
    worst = table.max()
    assert largest == number(worst, 2)
    assert worst < 1e-6  # a tenth of what is rounding, which a scale of equal steps would leave without colour
    drawn = json.dumps(specs(app)[-1])
    assert '"type": "log"' in drawn
    assert [len(table) for table in tables(app, "kind", "x2")] == [0]  # no head is outlined as one that differs
    assert "on a logarithmic scale: a step of colour is a power of ten" in told


def test_a_head_that_differs_jumps_out_of_the_map_of_every_head(monkeypatch):
    def differing(*source, **changes):
        return [each._replace(largest=0.02 if each.head == 5 else 3e-7) for each in found(*source, **changes)]

    found = models.model_differences
    monkeypatch.setattr(models, "model_differences", differing)
    app = opened("pretrained")
    (outlined,) = tables(app, "kind", "x2")
    assert outlined["kind"].tolist() == ["above 1e−5"] * 6
    assert app.error[0].value.startswith("**Differs.**")


@pytest.mark.parametrize(
    ("page", "given"),
    [("pretrained", {"special": "0"}), ("pretrained", {"pair": "It slept."}), ("inside", {"order": "lowest"})],
)
def test_what_is_seldom_chosen_is_folded_until_it_is_not_as_the_page_opens(page, given):
    def more(app):
        (folded,) = [each for each in app.expander if each.label == "More"]
        return folded

    app = check(opened(page))
    assert not more(app).proto.expanded
    assert {"Colour", "Second text", "Several texts, one per line"} <= {each.label for each in controls(more(app))}
    app = check(opened(page, given))
    assert more(app).proto.expanded
    app.segmented_control(key=f"{page}.colour").set_value("log").run()
    assert more(app).proto.expanded


def controls(block):
    """Return the controls in a block."""
    return [*block.toggle, *block.text_input, *block.segmented_control, *block.slider, *block.selectbox]


def test_what_begins_with_the_input_offers_to_be_broken_from_its_queries_and_keys():
    app = check(opened("pretrained", start="input"))
    assert "Break it" not in [each.label for each in app.expander]
    app.button(key="pretrained.breakable").click().run()
    (folded,) = [each for each in check(app).expander if each.label == "Break it"]
    assert folded.proto.expanded
    assert "start" not in app.query_params


def test_all_heads_are_compared_from_where_the_head_in_view_is():
    loaded = pretrained.load()
    layers = pretrained.record(loaded, PretrainedSetup.text).layers
    found = {
        "recorded": [each for layer in layers for each in pretrained.compare_layer(layer)],
        "input": [each for layer in layers for each in pretrained.compare_layer_from_input(loaded, layer)],
    }
    worst = {start: number(max(each.largest for each in of_start), 2) for start, of_start in found.items()}
    for start, of_start in found.items():
        app = check(opened("pretrained", start=start, layer="2", head="12"), charts=2)
        (verdict,) = app.success
        one = next(each for each in of_start if (each.layer, each.head) == (1, 11))
        begun = ", both computed from the layer's input" if start == "input" else ""
        told = (
            f"**{number(one.largest, 2)}** is the largest difference in this head, **{worst[start]}** in all 72 heads"
        )
        assert f"{told}{begun}; up to 1e−5 is rounding" in verdict.value
        (table,) = matrices(app)["Largest difference by layer and head"]
        assert number(table.max(), 2) == worst[start]


def test_an_error_from_the_input_is_seen_in_every_head(monkeypatch):
    """Of the recorded queries and keys all heads still agree: each start has a verdict and a map of its own."""

    def wrong(loaded, layer):
        found = right(loaded, layer)
        weights = found.steps.weights.copy()
        weights[:, 2] += 0.02 * (layer.index == 5)
        return found._replace(steps=found.steps._replace(weights=weights))

    right = from_input.from_input
    monkeypatch.setattr(from_input, "from_input", wrong)
    models.model_differences_from_input.clear()
    app = opened("pretrained", start="input")
    assert "**0.02** in all 72 heads, both computed from the layer's input" in app.error[0].value
    (outlined,) = tables(app, "kind", "x2")
    assert outlined[["y", "x"]].to_numpy().astype(int).tolist() == [[5, 2]]  # layer 6, head 3, and no other
    models.model_differences_from_input.clear()
    assert check(opened("pretrained")).success


@pytest.mark.parametrize("start", ["recorded", "input"])
def test_one_query_goes_on_from_the_products_to_the_weight(start):
    own = check(opened("inside", tab="One query", cell="10,2", layer="4", head="2"))
    told = [shown.value for shown in own.markdown if "products add up" in shown.value]
    app = check(opened("pretrained", tab="query", cell="10,2", layer="4", head="2", start=start))
    assert [shown.value for shown in app.markdown if "products add up" in shown.value] == told
    assert "times the scale 1/√32, that is a score of" in told[0]


def test_a_computation_that_was_broken_says_how_it_comes_to_its_weight():
    app = opened("pretrained", tab="query", cell="10,2", layer="4", head="2", unscaled="1")
    (told,) = (shown.value for shown in app.markdown if "products add up" in shown.value)
    total, score = re.search(r"up to ([\d.]+); times the scale 1, that is a score of \*\*([\d.]+)\*\*", told).groups()
    assert total == score


def test_painting_goes_on_from_the_mask_in_view():
    app = opened("masks", mask="painted")
    assert " ".join(said(app)).count(" of 36 ") == 1  # the words of a painted mask are its count
    invert = next(button for button in app.button if button.label == "Invert")
    invert.click().run()
    every = painted(*((row, column) for row in range(6) for column in range(6)))
    assert check(app).query_params["painted"] in (every, [every])
    next(button for button in app.button if button.label == "Show all").click().run()
    assert "painted" not in check(app).query_params


def test_heads_begin_with_keys_of_their_own_and_share_them_by_choice():
    app = opened("heads")
    assert "Here there are 4, each with its own keys and values (multi-head attention)." in " ".join(said(app))
    assert "**1 The** and **5 the** have equal rows" in " ".join(said(app))
    weights = compute_heads_page(HeadsSetup()).steps.weights
    assert np.allclose(weights[:, 0], weights[:, 4])
    assert compute_heads_page(HeadsSetup(mask="causal")).alike == ""  # what the second sees, the first does not
    check(app.slider(key="heads.num_heads").set_value(6).run())
    assert "Here there are 6, each with its own keys" in " ".join(said(app))
    check(app.select_slider(key="heads.sets").set_value(3).run())
    assert "Here 6 heads share 3 sets of keys and values" in " ".join(said(app))
    assert app.query_params["num_kv_heads"] in ("3", ["3"])


def test_heads_say_what_several_are_for_and_lead_to_all_of_a_trained_layer():
    app = opened("heads", text="The cat sat.")
    told = " ".join(said(app))
    assert "for several reasons: 4 heads of 4 numbers cost about as much as one head of 16." in told
    for other in ({"num_kv_heads": "1"}, {"num_heads": "1"}):
        assert "cost about as much" not in " ".join(said(opened("heads", other)))
    one, four = (
        compute_heads_page(HeadsSetup(num_heads=heads, d_k=16 // heads, d_v=16 // heads)).parameters.count
        for heads in (1, 4)
    )
    assert one == four
    (link,) = (each for each in app.get("page_link") if each.proto.label == "All heads of a layer of it")
    assert parse_qs(link.proto.query_string) == {"text": ["The cat sat."], "tab": ["heads"]}


def test_heads_say_with_a_word_what_query_key_and_value_are():
    """The largest weight of the head in view, by its row and column."""
    told = " ".join(said(opened("heads", source="random", head="2")))
    result = compute_heads_page(from_link(HeadsSetup, {"source": "random", "head": "2"})[0])
    weights = result.steps.weights[1]
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    asks, found = (f"**{as_text(token_labels(result.tokens)[at])}**" for at in (row, column))
    assert f"the *query* of {asks} (what it looks for) matches best the *key* of {found} (what that" in told
    assert f"So it takes **{weights.max():.0%}** from the *value* of {found} (what that one hands on)." in told


@pytest.mark.parametrize("page", ["step_by_step", "heads", "masks", "positions", "block"])
def test_random_numbers_are_called_so_and_lead_to_a_trained_model(page):
    step = {"stage": "embeddings"} if page == "step_by_step" else {}  # the tokens alone are no numbers
    app = opened(page, OWN_TEXT.get(page), text=examples.SENTENCES[0].text, **step)
    (first,) = (text for text in said(app) if text.startswith("**Random, untrained"))
    assert first
    (link,) = (each for each in app.get("page_link") if each.proto.label.startswith("What a trained model"))
    assert link.proto.page == ""  # Home, where the words of the sentence stand
    assert "animal" in link.proto.query_string
    assert not any(sentence.look_for in said(app) for sentence in examples.SENTENCES)


def test_masks_mark_right_and_wrong_routes():
    app = opened("masks", mask="causal")
    told = " ".join(said(app))
    (bars,) = tables(app, "label", "color")
    assert [label.split(":")[0] for label in bars["label"]] == ["Right", "Right", "Wrong"]  # that in view
    every = sum(
        f"**{'Right' if route.right else 'Wrong'}: {small(route.title)}.**" in told for route in ROUTES.values()
    )
    assert every == len(ROUTES)
    assert "Of the 7 wrong routes 2 leak nothing here" in told
    assert re.search(r"\| \*\*Wrong: the diagonal hidden too\.\*\* [^|]+ \| 0 \|", told)


EVERY_CELL = frozenset((row, column) for row in range(6) for column in range(6))
DIAGONAL = frozenset((at, at) for at in range(6))
HAPPENS = {  # what is hidden when a wrong route is right, and what Masks then says shows it fail
    "nothing": (frozenset(), "hide any cell of the scores", lambda hidden: [{cell} for cell in EVERY_CELL]),
    "all": (EVERY_CELL, "show any cell of the scores", lambda hidden: [hidden - {cell} for cell in EVERY_CELL]),
    "the diagonal": (DIAGONAL, "let a token see itself", lambda hidden: [hidden - {cell} for cell in DIAGONAL]),
    "all others": (EVERY_CELL - DIAGONAL, "let a token see two", lambda hidden: [hidden - {cell} for cell in hidden]),
    "what comes later": (
        frozenset((row, column) for row, column in EVERY_CELL if column > row),
        "hide all of a row",
        lambda hidden: [hidden | {(row, column) for column in range(6)} for row in range(6)],
    ),
}


@pytest.mark.parametrize("hides", HAPPENS)
def test_masks_say_what_shows_a_wrong_route_fail_and_it_does(hides):
    hidden, words, changes = HAPPENS[hides]
    tried = 0
    for wrong in WRONG:
        chosen = MasksSetup(mask="painted", painted=tuple(sorted(hidden)), wrong=wrong)
        result = compute_masks_page(chosen)
        told = masks_page_routes_reading(chosen, result, charts.token_labels(result.tokens))
        assert ("happen to be right" in told) == result.agrees(wrong)
        if f"{words} to see it fail" in told:
            tried += 1
            for cells in changes(hidden):
                changed = compute_masks_page(replace(chosen, painted=tuple(sorted(cells))))
                assert not changed.agrees(wrong), (wrong, sorted(cells))
    assert tried


def test_masks_say_where_nothing_can_leak():
    told = said(opened("masks", mask="causal", token="1"))
    assert any(text.startswith(WORKED) for text in told)
    assert sum("Every row may see **1 Life**, so nothing of it can leak" in text for text in told) == 2
    assert not any("leak nothing here" in text or "must not see it changes" in text for text in told)


@pytest.mark.parametrize(("off_by", "sign", "limits"), [(1.8e-7, "=", []), (0.612, "≠", [(-0.612, 0.612)])])
def test_a_difference_that_is_more_than_rounding_is_drawn(off_by, sign, limits):
    own, hidden, names = np.full((2, 2), 0.1), np.zeros((2, 2), dtype=bool), ["1 a", "2 b"]
    scratch = own + np.array([[0, off_by], [0, 0]])
    picture = pretrained_page_picture(own, scratch, hidden, hidden, names, names, None, {}, charts.LIGHT, 900, 300)
    spec = charts.specification(picture)
    domains = [color["scale"]["domain"] for color in shades(spec)]
    assert sorted({(domain[0], domain[-1]) for domain in domains if domain[0] < 0}) == limits
    assert f">{sign}<" in charts.svg(spec).decode()


def shades(part):
    """Return what colours the cells of every map in a specification."""
    if isinstance(part, list):
        return [color for each in part for color in shades(each)]
    if not isinstance(part, dict):
        return []
    color = part.get("color")
    own = [color] if isinstance(color, dict) and color.get("field") == "shade" else []
    return own + [color for name, each in part.items() if name != "color" for color in shades(each)]


def test_scores_that_no_mask_hides_are_not_called_masked():
    app = opened("step_by_step", mask="none", stage="weights")
    assert list(matrices(app)) == ["Scores, none hidden", "Weights"]


def test_what_breaks_a_computation_stays_in_sight_when_it_is_mended():
    app = opened("pretrained", unscaled="1")
    app.toggle(key="pretrained.unscaled").set_value(False).run()
    (folded,) = [each for each in app.expander if each.label == "Break it"]
    assert folded.proto.expanded
    assert "unscaled" not in app.query_params


def test_the_numbers_in_the_sentences_of_step_by_step():
    """By the arrays of the worked example: row 5 looks, column 2 is looked at."""
    e = examples.worked_example()
    query, key, value = e.x @ e.w_q, e.x @ e.w_k, e.x @ e.w_v
    products = query @ key.T
    weights = softmax(products / 2**0.5)
    entropy = -(weights[4] * np.log(weights[4])).sum()
    told = {stage: " ".join(said(opened("step_by_step", stage=stage, cell="4,2", mask="none"))) for stage in STAGES}
    assert "cut into **6 tokens**" in told["tokens"]
    assert f"number 3 is {number(e.x[4, 2])}." in told["embeddings"]
    assert f"gives number 2 of its query: {number(query[4, 1])}." in told["projections"]
    assert f"is the score {number(products[4, 2])}:" in told["products"]
    rank = np.linalg.matrix_rank(products)
    assert f"has rank {rank}, never more than $d_k = 2$." in told["products"]
    assert f"{number(products[4, 2])} by 1.41 is {number(products[4, 2] / 2**0.5)}." in told["scaled"]
    assert f"was {number(products.std())} and is now {number((products / 2**0.5).std())}." in told["scaled"]
    assert f"({share(weights[4].max(), 3)})" in told["weights"]
    assert f"gives {share(weights[4, 2], 3)} to **3 short**" in told["weights"]
    assert f"as if {np.exp(entropy):.1f} tokens shared it equally" in told["weights"]
    assert f"number 3 of it is {number((weights @ value)[4, 2])}." in told["context"]


def test_a_cell_that_is_a_sum_of_few_is_written_as_one():
    e = examples.worked_example()
    scaled = number((((e.x @ e.w_q) @ (e.x @ e.w_k).T) / 2**0.5)[0, 5])
    masked = {"stage": "masked", "cell": "0,5"}
    assert any(f"**{scaled} + (−∞) = −∞**: to what is hidden" in text for text in said(opened("step_by_step", masked)))
    assert any(f"**{scaled} + 0 = {scaled}**" in text for text in said(opened("step_by_step", masked, mask="none")))
    biased = compute_walk(from_link(SETUPS["step_by_step"], {"positions": "alibi"})[0], None, 800, 400)[0].steps
    added = number((biased.biased - biased.scores)[5, 2])
    told = " ".join(said(opened("step_by_step", stage="masked", cell="5,2", positions="alibi")))
    assert f"**{number(biased.scores[5, 2])} + ({added}) + 0 = {number(biased.biased[5, 2])}**" in told
    placed = compute_walk(from_link(SETUPS["step_by_step"], {"positions": "sinusoidal"})[0], None, 800, 400)[0].steps
    told = " ".join(said(opened("step_by_step", stage="embeddings", cell="5,1", positions="sinusoidal")))
    assert f"{number(placed.added[5, 1])} = {number(placed.inputs[5, 1])}**: the token's own number" in told
    for link in ({}, {"stage": "embeddings"}):  # where a cell is no sum there is no tab for it
        assert [tab.label for tab in opened("step_by_step", link).tabs] == ["Edit the numbers", "Code"]


def test_the_usual_divisor_is_said_with_its_reason():
    assert "divided by $\\sqrt{d_k} = \\sqrt{2}$ = 1.41, as each query has 2 numbers:" in " ".join(
        said(opened("step_by_step", stage="scaled"))
    )
    told = " ".join(said(opened("step_by_step", stage="scaled", divisor="d_k")))
    assert "as each query has" not in told


def test_a_cell_of_a_large_head_is_read():
    result = compute_heads_page(HeadsSetup(mask="causal"))
    weights = result.steps.weights[1]
    best = tuple(map(int, np.unravel_index(weights.argmax(), weights.shape)))
    assert result.cell(1, HeadsSetup().cell) == best
    assert f"with a weight of **{share(weights[best])}**" in result.cell_reading(1, best)
    assert result.cell(1, (2, 1)) == (2, 1)
    assert "the mask hides it" in result.cell_reading(1, (0, 3))
    app = check(opened("heads", cell="2,1"))
    weight = compute_heads_page(HeadsSetup()).steps.weights[0][2, 1]
    assert any(f"with a weight of **{share(weight)}**" in sentence for sentence in said(app))
