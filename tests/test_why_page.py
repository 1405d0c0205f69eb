"""The page Why: accounts that add up, and what it says of them."""

import contextlib
import functools
import io
import json
import re
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
import pytest
from driving import check, draw_by_codes, matrices, offered_codes, opened, said, specs, tables

from attn import charts, models, pretrained
from attn.charts.labels import number, percent
from attn.models import head_weights, ledger, patching
from attn.models.ledger import Part
from attn.pretrained import bert, language_model
from attn.pretrained.loading import smollm2
from attn.ui.controls.sentence import DEFAULT_TEXT
from attn.ui.pages.why.logit_lens import rank_curve
from attn.ui.pages.why.part_names import part_in_words
from attn.ui.pages.why.put_it_there import PRESETS, RUNNING
from attn.ui.pages.why.setup import GOES_ON, MOST_TOKENS, SECOND_TEXT, Reading, Setup, why_look_at_head
from attn.ui.pages.why.word_kinds import KINDS, words_of_its_kind
from attn.ui.state import as_text

needs_smollm2 = pytest.mark.skipif(smollm2.packaged() is None and smollm2.cached() is None, reason="no SmolLM2 here")


@pytest.fixture(scope="module")
def passed():
    opened_model = bert.load()
    return opened_model.model, bert.encode(opened_model, DEFAULT_TEXT).passed


def place_of(app):
    """Return the query and the key of a page's link, counted from 0."""
    said = app.query_params["cell"]
    query, key = (said if isinstance(said, str) else said[0]).split(".")
    return int(query) - 1, int(key) - 1


def test_the_bars_of_a_cell_and_the_rest_sum_to_its_score(passed):
    model, read = passed
    app = check(opened("why", layer="3", head="5", cell="10,8", against="none"))
    score = read.blocks[2].attention.scores[4, 10, 8]
    (bars,) = tables(app, "label", "x2", "shown")
    assert len(bars) == Setup().pairs + 1
    assert bars["label"].iloc[-1].startswith("the other ")
    shares = bars["shown"].str.replace("−", "-").astype(float)
    assert shares.sum() == pytest.approx(score, abs=5e-3)
    made = ledger.score_ledger(model, read, 2, 4, 10, 8)
    np.testing.assert_allclose(shares[:3], [share for *_, share in made.largest(3)], rtol=1e-3)
    assert f"{float(score):.3g}" in next(
        each for each in said(app) if each.startswith("**11 it** gives **9 street** a weight of ")
    )
    rest = [share for *_, share in made.largest(made.table.size)][len(bars) - 1 :]
    (told,) = [each for each in said(app) if "The last bar is " in each]
    up, down = (number(sum(share for share in rest if (share > 0) is above)) for above in (True, False))
    assert f"is {len(rest):,} pairs together" in told
    assert f"Of these {len(rest):,} pairs, those for it add up to {up}, those against it to {down}." in told
    advised = "choose **By layer** or **By kind**, which sum up more" in told
    assert advised is (abs(sum(rest)) > abs(float(score)) / 2)
    above = number(sum(share for *_, share in made.largest(Setup().pairs)))
    assert f"The 12 bars above the last add up to {above} of {number(float(score))}" in told


@pytest.mark.parametrize(("cell", "decides"), [("10,2", False), ("10,6", True)])
def test_that_no_pair_decides_is_said_where_the_largest_is_less_than_half(passed, cell, decides):
    model, read = passed
    row, column = map(int, cell.split(","))
    made = ledger.score_ledger(model, read, 3, 1, row, column, tuple(range(16)))
    assert (abs(made.largest(1)[0][2]) >= abs(made.score) / 2) == decides
    (told,) = [each for each in said(check(opened("why", cell=cell))) if "bars above the last" in each]
    assert ("no single pair decides" in told) != decides


@pytest.mark.parametrize(("bars_of", "most"), [("layer", 900), ("kind", 36)])
def test_parts_are_joined_and_more_of_them_have_a_bar(passed, bars_of, most):
    model, read = passed
    app = check(opened("why", bars_of=bars_of, pairs="39", against="none"))
    (bars,) = tables(app, "label", "x2", "shown")
    made = ledger.grouped(ledger.score_ledger(model, read, 3, 1, 10, 2), bars_of)
    assert 12 < made.table.size <= most
    assert len(bars) == min(made.table.size, 40)
    shares = bars["shown"].str.replace("−", "-").astype(float)
    assert shares.sum() == pytest.approx(made.score, abs=5e-3)


@pytest.mark.parametrize(
    ("link", "others"), [({"against": "mean"}, range(16)), ({"against": "key", "other_key": "6"}, [5])]
)
def test_a_score_is_held_against_others(passed, link, others):
    _, read = passed
    scores = read.blocks[3].attention.scores[1, 10].astype(float)
    app = check(opened("why", link))
    apart = number(abs(float(scores[2] - scores[list(others)].mean())))
    assert any(
        f"**11 it** gives **3 animal** a weight of 0.68: its score is {apart} above " in each for each in said(app)
    )
    (table,) = [each for each in said(app) if each.startswith("| step")]
    assert float(re.search(r"difference of the two above\*\* \| \*\*(\S+)\*\*", table)[1].replace("−", "-")) < 1e-5


def test_the_other_key_is_at_first_the_strongest_rival(passed):
    _, read = passed
    scores = read.blocks[3].attention.scores[1, 10].copy()
    scores[2] = -np.inf
    app = check(opened("why", against="key"))
    assert app.selectbox(key="why.other_key.shown").value == scores.argmax()
    app.selectbox(key="why.other_key.shown").set_value(6).run()
    assert app.query_params["other_key"] == "7"


@pytest.mark.parametrize(
    "link", [{"text": "The bank of the river was steep."}, {"text": "Is it?", "layer": "5", "head": "3"}]
)
def test_a_text_is_looked_at_where_a_head_looks_far(link):
    app = check(opened("why", link))
    layer, head = (int(app.query_params.get(name, usual)) for name, usual in (("layer", 4), ("head", 2)))
    read = bert.encode(bert.load(), link["text"])
    words = [at for at, token in enumerate(read.tokens) if token.text.isalpha()]
    heads = range(12) if "head" not in link else [head - 1]
    layers = range(1, 6) if "layer" not in link else [layer - 1]
    far = [
        (read.passed.blocks[at].attention.weights[one, row, column], (at + 1, one + 1, row, column))
        for at in layers for one in heads for row in words for column in words if abs(row - column) > 1
    ] or [
        (read.passed.blocks[at].attention.weights[one, row, column], (at + 1, one + 1, row, column))
        for at in layers for one in heads for row in words for column in words
    ]  # fmt: skip
    assert (layer, head, *place_of(app)) == max(far)[1]
    app.text_area(key="why.text").set_value(DEFAULT_TEXT).run()
    assert (app.query_params.get("layer"), app.query_params.get("head")) == (str(layer), str(head))  # of this model


def test_another_text_keeps_the_head_and_is_looked_at_where_that_looks_far():
    app = check(opened("why"))
    app.text_area(key="why.text").set_value("The bank of the river was steep.").run()
    assert (check(app).query_params["layer"], app.query_params["head"]) == ("4", "2")
    assert "bars_of" not in app.query_params
    read = bert.encode(bert.load(), "The bank of the river was steep.")
    words = [at for at, token in enumerate(read.tokens) if token.text.isalpha()]
    weights = read.passed.blocks[3].attention.weights[1]
    far = max((weights[row, column], row, column) for row in words for column in words if abs(row - column) > 1)
    assert place_of(app) == far[1:]


BANK = "The bank of the river was steep, and the old man fell into it."


@pytest.mark.parametrize(("layer", "head", "query", "key"), [(4, 2, 10, 2), (4, 2, 3, 1), (2, 7, 10, 2)])
def test_a_link_to_a_place_of_another_text_opens_that_place(layer, head, query, key):
    """Even where it is the place at which the page's own text opens."""
    app = check(opened("why", text=BANK, layer="3", head="5", cell="6.6"))
    for name, value in (("why.layer", layer), ("why.head", head)):
        app.session_state[name] = value
    app.selectbox(key="why.token.0").set_value(query)
    app.selectbox(key="why.token.1").set_value(key)
    link = {
        name: value if isinstance(value, str) else value[0] for name, value in check(app.run()).query_params.items()
    }
    assert link == {"text": BANK, "layer": str(layer), "head": str(head), "cell": f"{query + 1}.{key + 1}"}
    again = check(opened("why", link))
    assert (again.session_state["why.layer"], again.session_state["why.head"]) == (layer, head)
    assert again.session_state["why.cell"] == (query, key)


def test_older_links_open_what_they_did(passed):
    """A comma counts from 0, and what they leave out of a head is layer 4, head 2."""
    app = check(opened("why", text=BANK, cell="5,2"))
    assert (app.session_state["why.layer"], app.session_state["why.head"]) == (4, 2)
    assert app.session_state["why.cell"] == (5, 2)
    app = check(opened("why", cell="6,2"))
    assert app.session_state["why.cell"] == (6, 2)


def test_a_link_to_a_head_without_a_place_keeps_the_head():
    app = check(opened("why", text=BANK, layer="4", head="2"))
    assert (app.query_params["layer"], app.query_params["head"]) in ((["4"], ["2"]), ("4", "2"))
    weights = bert.encode(bert.load(), BANK).passed.blocks[3].attention.weights[1]
    assert weights[place_of(app)] > 0.3


@pytest.mark.parametrize(
    ("link", "asks"),
    [
        ({}, "why does **11 it** look at **3 animal**, in layer 4 head 2?"),
        ({"cell": "10,6"}, "why does **11 it** hardly look at **7 cross**, in layer 4 head 2?"),
    ],
)
def test_where_a_weight_is_small_the_question_is_why_it_hardly_looks(passed, link, asks):
    row, column = map(int, link.get("cell", "10,2").split(","))
    assert (passed[1].blocks[3].attention.weights[1, row, column] < 0.05) == ("hardly" in asks)
    assert any(asks in each for each in said(check(opened("why", link))))


def test_another_model_is_looked_at_anew_and_the_first_one_in_its_own_place(passed):
    app = check(opened("why", layer="3", head="5", cell="6,2"))
    app.session_state["why.about"] = "another/model", DEFAULT_TEXT  # as if it had been open until now
    app.text_area(key="why.text").set_value(DEFAULT_TEXT).run()
    assert set(check(app).query_params) == set()


def test_a_head_in_the_account_names_the_token_it_looks_at_most(passed):
    _, read = passed
    labels = [f"t{at}" for at in range(len(read.ids))]
    reading = Reading("", "", None, (), labels, read)
    weights = read.blocks[3].attention.weights[1, 10]
    assert part_in_words(reading, Part("head", 3, 1), 10) == (
        f"layer 4 head 2, which looks most at **t{weights.argmax()}** (weight {weights.max():.2f})"
    )


def test_the_map_is_that_of_the_head_and_a_click_asks_of_its_cell(passed):
    _, read = passed
    app = check(opened("why", layer="2", head="7"))
    (drawn,) = matrices(app)["Layer 2 head 7: weights"]
    np.testing.assert_allclose(drawn, read.blocks[1].attention.weights[6], atol=1e-3)
    app.selectbox(key="why.token.0").set_value(4).run()
    assert place_of(app) == (4, 2)


def test_a_long_text_is_cut_and_the_page_says_so():
    app = check(opened("why", text="one two three " * 40))
    (told,) = [warning.value for warning in app.warning]
    assert told.startswith(
        f"This page reads the first {MOST_TOKENS} of 122 tokens, for each map is drawn cell by cell."
    )
    assert MOST_TOKENS - 2 == 46  # pieces of the text itself, of which the 47th is the first that is left out
    assert told.endswith(f"It leaves out “{('two three one ' * 40)[:119]}…”.")


@needs_smollm2
def test_the_end_of_another_text_is_cut_and_the_page_says_so():
    words = " ".join(f"word{at}" for at in range(30))
    app = check(opened("why", tab="patch", model=smollm2.NAME, text="A word", second=f"A {words} end"), charts=0)
    (told,) = [warning.value for warning in app.warning]
    read = language_model.read(language_model.load(smollm2.NAME), f"A {words} end", max_tokens=MOST_TOKENS)
    assert told.startswith(f"Of the other text this page reads the first {MOST_TOKENS} of {read.truncated_from} tokens")
    left = as_text(f"A {words} end"[len("".join(token.text for token in read.tokens)) :].strip())
    assert left.endswith("end") or "…" in told
    assert as_text(left[:20]) in told or left[:20] in told


def test_a_model_of_another_family_is_refused_with_one_that_is_not():
    app = check(opened("why", model="nobody/nothing"), charts=0)
    assert len(app.error) == 1


def test_the_account_says_how_far_its_sum_is_from_the_score():
    (table,) = [each for each in said(check(opened("why"))) if each.startswith("| step")]
    apart = re.search(r"difference of the two above\*\* \| \*\*(\S+)\*\*", table)[1]
    assert float(apart.replace("−", "-")) < 1e-5


def test_the_account_says_what_its_difference_comes_of_and_what_would_be_a_mistake(passed):
    model, read = passed
    app = check(opened("why"))
    (table,) = [each for each in said(app) if each.startswith("| step")]
    apart = re.search(r"difference of the two above\*\* \| \*\*(\S+)\*\*", table)[1]
    made = ledger.score_ledger(model, read, 3, 1, 10, 2, tuple(range(16)))
    most = number(1e-6 * float(np.abs(made.table).sum()), 2)
    (told,) = [each.value for each in app.caption if each.value.startswith("The difference of")]
    assert told.startswith(f"The difference of {apart} is rounding: the model keeps about seven digits of its numbers")
    assert f"and up to {most} can come of that here" in told


def test_a_ledger_that_lacks_a_part_is_not_taken_for_rounding(passed, monkeypatch):
    whole = ledger.score_ledger

    def lacking(*asked):
        made = whole(*asked)
        table = made.table.copy()
        table[:, 0] = 0
        return made._replace(table=table)

    monkeypatch.setattr(ledger, "score_ledger", lacking)
    app = check(opened("why", layer="5", head="11", cell="13.7"))
    assert any("is more than rounding" in each.value for each in app.caption)


def test_the_text_of_why_says_how_much_of_it_is_read_before_one_types():
    assert f"16 tokens, of at most {MOST_TOKENS} on this page." in [each.value for each in check(opened("why")).caption]
    app = check(opened("why", text="one two three " * 40))
    assert any(each.value.startswith(f"{MOST_TOKENS} tokens, of at most {MOST_TOKENS}") for each in app.caption)


@pytest.mark.parametrize("bars_of", ["part", "kind"])
def test_the_strongest_pair_has_the_digits_of_its_bar(bars_of):
    app = check(opened("why", bars_of=bars_of))
    (told,) = [
        re.search(r"the strongest is .*, with (\S+)\.", each) for each in said(app) if "the strongest is" in each
    ]
    drawn = [text for table in tables(app, "text") for text in table["text"]]
    assert told[1] in drawn


def test_a_pass_is_what_the_ledger_takes(passed):
    assert isinstance(passed[1], models.bert.Pass)


@pytest.mark.parametrize("step", ["residual", "weights"])
def test_what_comes_along_is_what_the_core_measures(passed, step):
    model, read = passed
    app = check(opened("why", tab="patch", step=step, cell="10,2"))
    cells = tables(app, "row", "column", "shade", "state")[0]
    drawn = np.full((6, cells["column"].max() + 1), np.nan)
    drawn[cells["row"], cells["column"]] = np.where(cells["state"] == 0, cells["shade"], np.nan)
    other = bert.encode(bert.load(), SECOND_TEXT).passed
    way = (read.output[10] - other.output[10]).astype(float)

    def measure(passed):
        return float((passed.output[10] - other.output[10]) @ way / (way @ way))

    place = patching.Place(3, 10 if patching.STEPS[step] == "positions" else 1)
    (share,) = patching.patched(model, other.ids, read, step, [place], measure)
    assert drawn[place] == pytest.approx(share, abs=2e-3)
    if step == "residual":
        assert np.isnan(drawn[0]).sum() == len(drawn[0]) - 1  # only the word that differs, before any layer
        assert drawn[0, 13] == pytest.approx(1)
        assert share > 0.5  # from layer 4 on the word "it" carries most of what "tired" or "wide" means


def test_the_account_says_where_biases_of_a_feed_forward_network_are(passed):
    model, read = passed
    told = "\n".join(said(check(opened("why", bars_of="kind"))))
    assert "attention and norms add to every token alike; a feed-forward network's own are counted with it." in told
    parts = ledger.state_parts(model, read, 1, 10)
    made = dict(zip(parts.names, parts.vectors, strict=True))[Part("feed_forward", 0)]
    block, norm = read.blocks[0], model.layers[0].feed_forward_norm
    scale = np.sqrt((block.attended + block.feed_forward_output)[10].var() + model.epsilon)
    own = block.feed_forward_output[10]  # with its output biases
    np.testing.assert_allclose(made, (own - own.mean()) / scale * norm.gain, atol=1e-5)


def test_a_legend_says_of_which_length_a_share_is_a_part(passed):
    _, read = passed
    length = number(float(np.linalg.norm(read.output[10].astype(float))))
    drawn = words_of(specs(check(opened("why", tab="spoke")))[0])  # of the query in view
    assert f"part of the length {length}" in drawn


@pytest.mark.parametrize("tab", ["spoke", "lens"])
def test_the_query_one_came_with_stays_chosen(tab):
    app = check(opened("why", tab=tab, text=BANK, layer="3", head="5", cell="6.2"))
    at = app.selectbox(key="why.after")
    assert (at.value, at.options[0]) == (0, "the query in view, 6 river")
    assert any("**6 river**" in each for each in said(app))


def test_texts_that_are_the_same_have_nothing_to_carry():
    app = check(opened("why", tab="patch", second=DEFAULT_TEXT), charts=0)
    assert [info.value for info in app.info] == ["The two texts must differ: change a word of one."]


def test_who_made_the_last_state_is_drawn_by_head(passed):
    model, read = passed
    app = check(opened("why", tab="spoke", after="11"))
    assert app.selectbox(key="why.after").label == "Token"
    assert any("what a head did for this state by way of" in each for each in said(app))
    assert not any(re.search(r"\) \(", each) for each in said(app))
    (drawn,) = matrices(app)["Heads and feed-forward networks (ff)"]
    made = ledger.state_contributions(model, read, 10)
    (told,) = [each for each in said(app) if each.startswith("The last state of **11 it** is ")]
    for_it, against_it = told.split("For it most: ")[1].split("Against it most: ")
    for side, shares in ((for_it, sorted(made.shares)[::-1][:2]), (against_it, sorted(made.shares)[:1])):
        assert all(f"with {number(share)}" in side for share in shares)
    for part, share in zip(made.parts, made.shares, strict=True):
        if part.kind in ("head", "feed_forward"):
            assert drawn[part.layer, 12 if part.head is None else part.head] == pytest.approx(share, abs=2e-3)


@pytest.mark.skipif(smollm2.packaged() is None and smollm2.cached() is None, reason="no SmolLM2 here")
def test_the_head_that_spoke_most_is_named_beside_networks_that_spoke_more():
    app = check(opened("why", tab="spoke", model=smollm2.NAME, text=GOES_ON))
    (told,) = [each for each in said(app) if "For it most: " in each]
    (drawn,) = matrices(app)["Heads and feed-forward networks (ff)"]
    layer, head = np.unravel_index(drawn[:, :-1].argmax(), drawn[:, :-1].shape)
    named = re.search(
        r"Of the heads most: layer (\d+) head (\d+), which looks most at \*\*(.+?)\*\* .*?, with (\d+\.\d+)", told
    )
    assert (int(named[1]), int(named[2])) == (layer + 1, head + 1) == (24, 5)
    assert (named[3], float(named[4])) == ("4 ␣France", pytest.approx(drawn[layer, head], abs=5e-3))


def test_a_head_that_is_chosen_is_asked_about_its_strongest_key(passed):
    _, read = passed
    reading = SimpleNamespace(passed=read, tokens=tuple(range(len(read.ids))))
    for query in (None, 4):
        chosen = {}
        why_look_at_head(SimpleNamespace(set=chosen.update), reading, 1, 6, query)
        row = len(read.ids) - 1 if query is None else query
        assert chosen == {"layer": 2, "head": 7, "cell": (row, read.blocks[1].attention.weights[6, row].argmax())}


@pytest.mark.skipif(smollm2.packaged() is None and smollm2.cached() is None, reason="no SmolLM2 here")
@pytest.mark.parametrize("tab", ["spoke", "lens"])
def test_a_tab_on_words_offers_a_model_that_writes_first(tab):
    app = check(opened("why", tab=tab))
    assert any(told.startswith(f"“{as_text(DEFAULT_TEXT)}”: wh") for told in said(app))
    assert any(told.startswith("Of a model that writes, this tab shows which") for told in said(app))
    app.button(key="why.writer").click().run()
    assert app.query_params["model"] == smollm2.NAME
    assert not any("This one only reads" in told for told in said(check(app)))


def test_each_state_has_its_word(passed):
    app = check(opened("why", tab="lens"))
    cells, words = tables(app, "word", "row", "column")
    assert cells["word"].tolist() == words["word"].tolist()
    assert words["word"].iloc[:16].tolist()[1:4] == ["the", "animal", "didn"]
    assert len(words) == 7 * 16
    assert '"orient": "top"' in json.dumps(specs(app)[0])  # more rows than a window has: columns are named above


def test_a_head_is_asked_about_a_word(passed):
    model, _ = passed
    app = check(opened("why", tab="weights", asked="animal", layer="2", head="3"))
    (drawn,) = matrices(app)["Copying score of every head"]
    np.testing.assert_allclose(drawn[1], head_weights.copying_scores(model, [1])[0], atol=1e-3)
    tokenizer = bert.load().tokenizer
    id = tokenizer.token_to_id("animal")
    best = head_weights.matched_words(model, 1, 2, [id])[0].argmax()
    assert any(f"**{tokenizer.id_to_token(int(best))}**" in sentence for sentence in said(app))
    assert any("(e_i W_Q + b_Q) \\cdot (e_j W_K + b_K)" in each.value for each in app.latex)
    assert any("e_i = \\mathrm{norm}(E_i)" in each.value for each in app.latex)
    assert any("scores of words and strengths have no unit" in each.value for each in app.caption)
    (told,) = (each.value for each in app.caption if "copying score of a head" in each.value)
    assert told.endswith("no norm behind the head is in it, and positions and segments are left out.")
    written = head_weights.written_words(model, 1, 2, [id])[0]
    place = f"**animal** itself is in place {1 + (written > written[id]).sum():,} of {len(written):,}"
    assert any(place in sentence for sentence in said(app))


@pytest.mark.parametrize("page", ["inside", "change"])
def test_a_head_leads_to_the_account_of_its_scores(page):
    app = opened(
        page, text=DEFAULT_TEXT, layer="3", head="2", **({"cell": "5,4"} if page == "inside" else {"pair": ""})
    )
    (link,) = [link for link in app.get("page_link") if link.proto.label.startswith("Why?")]
    asked = dict(parse_qsl(link.proto.query_string))
    assert (asked["layer"], asked["head"], asked["text"]) == ("3", "2", DEFAULT_TEXT)
    assert asked.get("cell") == ("6.5" if page == "inside" else None)
    check(opened("why", asked))


@pytest.fixture(scope="module", params=["RoBERTa", "DistilBERT"])
def relative(request, tmp_path_factory):
    """Write a small random relative of BERT, with a tokenizer whose words begin with their space."""
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import WordLevel

    from attn.pretrained.families.whole_models import VOCABULARY, random_model

    folder, model = tmp_path_factory.mktemp(request.param), random_model(request.param)
    model.save_pretrained(folder)
    words = ["Ġit", "Ġpad", "Ġthe", "Ġanimal", "Ġwas", "Ġtired", *(f"Ġw{at}" for at in range(6, VOCABULARY))]
    tokenizer = Tokenizer(WordLevel({word: id for id, word in enumerate(words)}, unk_token="Ġit"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder, model


@pytest.mark.parametrize("tab", ["ledger", "lens", "weights"])
def test_relatives_of_bert_are_taken_apart(relative, tab):
    torch = pytest.importorskip("torch")
    folder, theirs = relative
    link = {"model": str(folder), "text": "the animal was tired", "layer": "2", "head": "3", "cell": "3,1"}
    app = check(opened("why", link, tab=tab, asked="animal"))
    told = "\n".join(said(app))
    if tab == "ledger":
        with torch.no_grad():
            weights = theirs(torch.tensor([[2, 3, 4, 5]]), output_attentions=True).attentions[1][0, 2]
        (drawn,) = matrices(app)["Layer 2 head 3: weights"]
        np.testing.assert_allclose(drawn, weights, atol=1e-3)
        apart = re.search(r"difference of the two above\*\* \| \*\*(\S+)\*\*", told)[1]
        assert float(apart.replace("−", "-")) < 1e-5
    elif tab == "lens":
        assert all(word.startswith("␣") for word in tables(app, "word", "row", "column")[0]["word"])
    else:
        assert "would look from **␣animal** at **␣" in told


def footnote(app):
    """Return the method of the open tab."""
    (found,) = [each for each in app.expander if each.label == "How this is computed"]
    return " ".join(" ".join(each.value for each in found.markdown).split())


def test_the_method_of_a_ledger_counts_its_parts_and_says_where_biases_are(passed):
    model, read = passed
    told = footnote(check(opened("why", layer="3", head="5", cell="10,8")))
    kinds = [part.kind for part in ledger.score_ledger(model, read, 2, 4, 10, 8).query_parts]
    heads, networks, biases = (kinds.count(kind) for kind in ("head", "feed_forward", "bias"))
    assert (heads, networks) == (24, 2)
    assert (
        f"a sum of {len(kinds)} parts: the embedding, the position, the segment, {heads} heads, {networks} "
        f"feed-forward networks and {biases} sums of biases."
    ) in told
    assert "of the layer in view, $b_Q$ or $b_K$ are one part for each layer" in told
    assert "neither mask nor softmax is in it" in told
    assert "the appendix: norms held at their scale" in told
    assert "$b_Q$" not in footnote(check(opened("why", tab="spoke")))


@pytest.mark.parametrize(
    ("tab", "says", "cites"),
    [
        ("spoke", "projected on the direction of the last state", "Elhage"),
        ("lens", "The cosine of each state with each row of the embedding", ""),
        ("patch", "how far the last state of the query in view has come", "Zhang"),
        ("weights", "for no norm behind the head is in it", "Yeh"),
    ],
)
def test_each_tab_says_how_it_is_computed(tab, says, cites):
    told = footnote(check(opened("why", tab=tab)))
    assert says in told
    assert f"[{cites}" in told if cites else "[" not in told
    assert "Left out" in told or tab == "weights"


def printed(code):
    """Return what code prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {"__name__": "copied"})
    return out.getvalue()


@pytest.mark.parametrize("against", ["none", "key", "mean"])
@pytest.mark.parametrize("model", [pretrained.DEFAULT, pytest.param(smollm2.NAME, marks=needs_smollm2)])
def test_the_lines_in_numpy_make_the_pairs_that_those_with_attn_make(model, against):
    """And their sum beside the score, with the same names."""
    link = {"model": model, "layer": "3", "head": "5", "cell": "6,2", "lines": "1", "against": against}
    told = []
    for tab in ("numpy", "attn"):
        (code,) = check(opened("why", link, code=tab)).code
        assert ("ledger" in code.value) == (tab == "attn")
        told.append(printed(code.value).splitlines())
    pairs = [{line.split("  ")[-1]: float(line.split()[0]) for line in lines[:12]} for lines in told]
    assert pairs[0] == pytest.approx(pairs[1], abs=2e-4)
    for cell, ends in (lines[-2:] for lines in told):
        assert cell.startswith("Layer 3 head 5, 7 ")
        assert re.search(r" asks 3 \S+:$", cell)
        sums = [float(number) for number in re.findall(r"-?\d+\.\d{6}", ends)]
        assert sums[0] == pytest.approx(sums[1], abs=1e-5)
        assert sums[0] == pytest.approx(float(re.findall(r"-?\d+\.\d{6}", told[1][-1])[0]), abs=1e-5)


LOOKS = [{"tab": tab} for tab in ("spoke", "lens", "patch", "weights")] + [
    {"against": "none", "bars_of": "kind", "layer": "5"},
    {"tab": "patch", "step": "weights", "noising": "1"},
    *(
        pytest.param({"model": smollm2.NAME, "text": "The capital of France is", "tab": tab}, marks=needs_smollm2)
        for tab in ("ledger", "weights")
    ),
]


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_lines_of_each_figure_draw_it(look, tmp_path, monkeypatch):
    found = offered_codes(monkeypatch)
    check(opened("why", look))
    for module in (bert, language_model):
        load = functools.cache(module.load)
        monkeypatch.setattr(module, "load", lambda *name, load=load, **_: load(*name))
    assert found.keys() > {"why.map"} or "tab" in look
    draw_by_codes(found, tmp_path)


@pytest.mark.parametrize(
    ("ranks", "ticks"),
    [([1, 1, 1], ["1", "10"]), ([49152, 700, 1], ["1", "10", "100", "1,000", "10,000"]), ([3, 2], ["1", "10"])],
)
def test_ranks_are_whole_numbers_from_1(ranks, ticks):
    for axis, layer in zip("yx", (ticks, [str(at) for at in range(len(ranks))]), strict=True):
        drawn = charts.specification(rank_curve(np.array(ranks), "it", charts.LIGHT, 600))["hconcat"][0]["layer"]
        labels = next(filter(None, (part["encoding"].get(axis, {}).get("axis") for part in drawn)))["labelExpr"]
        assert json.JSONDecoder().raw_decode(labels)[0] == layer


OTHER = "A small bird sings in the old tree."
TYPED = [  # a tab, and which figures' lines name tokens of the text
    ("ledger", {"why.map": "Layer 3 head 4: weights", "why.ledger": " × ", "why.by_layer": "heads 2"}),
    ("spoke", {"why.spoke": "", "why.spoke_bars": " → "}),
    ("lens", {"why.lens": "5 sings", "why.ranks": ""}),
    ("patch", {"why.patch": "5 sings"}),
    ("weights", {"why.cloud": "4 bird", "why.copying": "", "why.matched": "", "why.written": ""}),
]


def words_of(picture):
    """Return all that a picture says, as one text."""
    spec = picture if isinstance(picture, dict) else charts.specification(picture)
    return json.dumps(spec, default=pa.Table.to_pylist, ensure_ascii=False)


@pytest.mark.parametrize(("tab", "shows"), TYPED, ids=[tab for tab, _ in TYPED])
def test_what_is_typed_into_the_lines_is_what_they_name(tab, shows, tmp_path, monkeypatch):
    """Another text, layer, head and query: labels, titles and what is printed follow, and nothing old is left."""
    found, load = offered_codes(monkeypatch), functools.cache(bert.load)
    check(opened("why", tab=tab))
    monkeypatch.setattr(bert, "load", lambda *name, **_: load(*name))
    monkeypatch.chdir(tmp_path)
    assert set(shows) == set(found)
    typed = {"layer": 2, "head": 3, "query": 3, "key": 1, "against": [0, 1], "token": 3, "measured": 3, "number": 3}
    for figure, shown in shows.items():
        codes = found[figure][1]()
        for make in filter(None, (codes.attn, codes.draw)):
            lines = make().replace(DEFAULT_TEXT, OTHER).replace(SECOND_TEXT, "A small cat sings in the old tree.")
            for name, value in typed.items():
                lines = re.sub(rf"^{name} = (\d+|\[.*?\])(?=  # )", f"{name} = {value}", lines, flags=re.M | re.S)
            names, out = {"__name__": "copied"}, io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(lines, names)
            *_, last = out.getvalue().strip().splitlines()
            assert re.search(r"\d\.\d{6}", last), lines
            said = out.getvalue() + (words_of(names["picture"]) if make is codes.draw else "")
            assert shown in said or make is codes.attn, (figure, said)
            assert not re.search(r"animal|tired|wide|11 it|[Ll]ayer 4,? head 2", said), figure


@needs_smollm2
def test_the_capital_is_said_by_a_head_that_copies_the_country():
    link = {"model": smollm2.NAME, **PRESETS["Paris or Madrid"], "rival": "Madrid"}
    app = check(opened("why", link, tab="spoke"))
    (told,) = [each for each in said(app) if each.startswith("After **5 ␣is**")]
    assert "the logit of **␣Paris** is 6.95 above that of **␣Madrid**" in told
    assert "layer 24 head 5, which looks most at **4 ␣France**" in told
    app = check(opened("why", link, tab="patch"), charts=0)  # no grey map before there is anything to draw
    (begin,) = [button for button in app.button if button.label == "Begin"]
    assert begin.key == "why.patch.begin"
    assert (
        "Each cell takes a step of the run with **France** and puts it into the run with **Spain**. How much of the "
        "difference comes along, in how far **␣Paris** is above **␣Madrid**?"
    ) in said(app)
    assert (
        "As they are, “The capital of Spain is” goes on with **␣Madrid** and measures −3.99; “The capital of France "
        "is” goes on with **␣Paris** and measures 6.95."
    ) in [each.value for each in app.caption]
    assert not [each for each in app.slider if each.key in ("why.layer", "why.head")]
    check(opened("why", link, tab="lens"))


def test_the_other_text_is_the_visitors_own_with_one_word_changed_until_one_is_typed():
    own = "I love you"
    app = check(opened("why", tab="patch", text=own))
    boxes = {box.label: box for box in app.text_area}
    assert boxes["Take the step from this text"].value == boxes["Text"].value == own
    assert boxes["Run this text"].value == "I hate you" == app.query_params["second"]
    ids = [bert.encode(bert.load(), text).passed.ids for text in (own, "I hate you")]
    assert np.flatnonzero(ids[0] != ids[1]).tolist() == [2]
    assert all("animal" not in each for each in said(app))
    (told,) = [
        each.value for each in app.caption if each.value.startswith("What is measured is how far the last state")
    ]
    row = app.session_state["why.cell"][0]
    states = [bert.encode(bert.load(), text).passed.output[row].astype(float) for text in (own, "I hate you")]
    assert f"The two states are {number(float(np.linalg.norm(states[1] - states[0])))} apart." in told
    app.text_area(key="why.text.shown").set_value("She ran home").run()
    assert app.text_area(key="why.text").value == "She ran home"
    made = check(app).text_area(key="why.second").value
    assert made.startswith("She ")
    assert made != "She ran home"
    app.text_area(key="why.second").set_value("He ran home").run()
    app.text_area(key="why.text").set_value("They ran home").run()
    assert check(app).text_area(key="why.second").value == "He ran home"
    app.text_area(key="why.text").set_value(DEFAULT_TEXT).run()
    app.text_area(key="why.second").set_value("").run()
    assert check(app).text_area(key="why.second").value == SECOND_TEXT


def test_an_own_text_names_no_other_in_the_link_before_one_is_read():
    app = check(opened("why"))
    app.text_area(key="why.text").set_value("I love you").run()
    assert "second" not in check(app).query_params
    again = check(opened("why", tab="patch", text="I love you", second=SECOND_TEXT), charts=0)
    assert again.text_area(key="why.second").value == SECOND_TEXT  # a link says what it says


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("Paris is the capital of France.", "Paris is the capital of Spain."),  # not of French
        ("My brother is taller than me.", "My brother is shorter than me."),
        ("The dog saw an old man", "The dog saw an old woman"),
        ("It is an old", "It was an old"),  # an young would be no English
        ("If you heat water, it boils", "If you heat milk, it boils"),
        ("Anna gave Maria her book", "Anna gave Maria her letter"),
    ],
)
def test_one_word_is_changed_for_another_of_its_kind(own, other):
    app = check(opened("why", tab="patch", text=own))
    assert app.text_area(key="why.second").value == other
    made = "One word of it was changed for you. Type what you would rather compare."
    assert made in [each.value for each in app.caption]
    app.text_area(key="why.second").set_value(f"{other} now").run()
    assert made not in [each.value for each in check(app).caption]


def test_words_of_one_kind_stand_in_one_anothers_place():
    words = [word for line in KINDS.split("\n") for word in line.split()]
    for word in words:
        others = words_of_its_kind(word)
        assert word not in others
        assert all(word in words_of_its_kind(other) for other in others)


@pytest.mark.parametrize(
    ("own", "other", "told"),
    [
        ("A big dog barks.", "A dog barks.", "the run with **big** and puts it into the run without **big**."),
        ("A dog barks.", "A big dog barks.", "the run without **big** and puts it into the run with **big**."),
    ],
)
def test_a_patch_names_its_runs_by_what_tells_the_texts_apart(own, other, told):
    app = check(opened("why", tab="patch", text=own, second=other))
    assert any(f"Each cell takes a step of {told}" in each for each in said(app))


def test_the_boxes_of_a_patch_say_which_text_is_run():
    app = check(opened("why", tab="patch", noising="1"))
    boxes = {box.label: box.value for box in app.text_area}
    assert (boxes["Run this text"], boxes["Take the step from this text"]) == (DEFAULT_TEXT, SECOND_TEXT)


@needs_smollm2
def test_a_share_on_the_page_is_stopped_and_kept():
    link = {"model": smollm2.NAME, **PRESETS["Paris or Madrid"], "tab": "patch"}
    app = opened("why", link)
    app.button(key="why.patch.begin").click().run()
    job = app.session_state[RUNNING]
    job.stop()
    job.wait(60)
    assert not job.running
    assert job.error is None
    assert 0 < job.done < job.total
    done, runs = job.done, f" of {job.total} runs are done, one for each place."
    assert f"{done}{runs}" in said(check(app.run()))
    assert app.button(key="why.patch.begin").label == "Go on"


@needs_smollm2
def test_the_capital_is_handed_over_by_layer_24():
    """As the page says of the whole map: from the country to the place where its capital is named."""
    opened_model, texts = language_model.load(smollm2.NAME), PRESETS["Paris or Madrid"].values()
    source, run = (language_model.read(opened_model, text, steps=True).passed for text in texts)
    word, rival = (int(each.logits[-1].argmax()) for each in (source, run))

    def measure(passed):
        return float(passed.logits[-1, word]) - float(passed.logits[-1, rival])

    places = [patching.Place(layer, number) for layer in (23, 24) for number in (3, 4)]
    got = patching.patched(opened_model.model, run.ids, source, "residual", places, measure)
    shares = patching.restored(list(got), measure(run), measure(source)).reshape(2, 2)
    assert [leg.position for leg in patching.hand_over(shares)] == [0, 1]
    assert min(shares[0, 0], shares[1, 1]) > 0.9 > 0.1 > max(shares[0, 1], shares[1, 0])


def test_the_way_of_a_difference_is_said_and_the_map_of_before_stays(passed):
    model, read = passed
    other = bert.encode(bert.load(), SECOND_TEXT).passed
    way = (read.output[10] - other.output[10]).astype(float)
    places = [patching.Place(layer, number) for layer in range(6) for number in (10, 13)]
    got = patching.patched(
        model, other.ids, read, "residual", places,
        lambda passed: float((passed.output[10] - other.output[10]) @ way / (way @ way)),
    )  # fmt: skip
    first, second = patching.hand_over(np.reshape(list(got), (6, 2)))
    app = check(opened("why", tab="patch"))
    (told,) = [each for each in said(app) if each.startswith("Each cell takes a step")]
    assert "the run with **tired** and puts it into the run with **wide**. How much of the difference comes" in told
    assert f"Up to what layer {first.last + 1} reads, it travels at **14 wide**" in told
    assert f"from there **{percent(first.ends)}** still comes along" in told
    assert f"Layer {second.first} hands it over to **11 it**, which then carries **{percent(second.begins)}**." in told
    app.text_area(key="why.second").set_value(DEFAULT_TEXT).run()
    (before,) = [each for each in said(check(app)) if "The map of before" in each]
    assert before.startswith(
        f"**Not of these settings.** The map of before: {as_text('State that a layer reads, of “')}"
    )
    assert as_text(DEFAULT_TEXT) in before
    assert as_text(SECOND_TEXT) in before  # whole: what tells them apart may stand at their end
    assert before.endswith(as_text(f"both read by {pretrained.DEFAULT}") + ".")
    assert any("why_map_of_before { opacity: 0.45; }" in each.value for each in app.get("html"))


@needs_smollm2
def test_the_method_of_a_model_without_biases_says_so():
    link = {"model": smollm2.NAME, "text": "The capital of France is", "layer": "3", "head": "2", "cell": "4,1"}
    told = footnote(check(opened("why", link)))
    assert "a sum of 21 parts: the embedding, 18 heads and 2 feed-forward networks." in told
    assert "Positions are no part" in told
    assert "There are none to be a part of their own" in told
    assert r"\mathrm{mean}(x^2)" in told
    model = language_model.load(smollm2.NAME)
    read = language_model.read(model, link["text"], steps=True).passed
    assert len(ledger.score_ledger(model.model, read, 2, 1, 4, 1).query_parts) == 21


@needs_smollm2
@pytest.mark.parametrize(("text", "then"), [(DEFAULT_TEXT, "The capital of France is"), ("Birds can", "Birds can")])
def test_the_model_that_is_offered_reads_a_text_that_goes_on_unless_one_was_chosen(text, then):
    app = check(opened("why", tab="spoke", text=text))
    app.button(key="why.writer").click().run()
    assert (app.query_params["model"], app.text_area(key="why.text").value) == (smollm2.NAME, then)
    check(app)
