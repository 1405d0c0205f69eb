"""Several texts on the pages Pretrained and Inside: one per line, one of them in view, beside the same text alone."""

import re

import numpy as np
import pytest
from driving import check, matrices, opened, said

from attn import pretrained
from attn.ui.controls.model_and_text import LONGEST_LINE, MOST_TEXTS

pytest.importorskip("torch")

LINES = ["The cat sat.", "The animal did not cross the street because it was too tired."]
TEXT = f"{LINES[0]}\n\n  {LINES[1]}"
SEVERAL = {"text": TEXT, "several": "1"}


@pytest.fixture(scope="module")
def recording():
    return pretrained.record(pretrained.load(), LINES)


@pytest.mark.parametrize("shown", [1, 2])
def test_all_is_of_the_text_in_view_and_a_tab_shows_it_alone(recording, shown):
    app = check(opened("pretrained", SEVERAL, shown=str(shown), tab="alone"), charts=2)
    one, alone = recording.batch[shown - 1], pretrained.record(pretrained.load(), LINES[shown - 1])
    layer = one.layers[3]
    drawn = matrices(app)
    np.testing.assert_allclose(drawn["From scratch, in numpy"][0], layer.weights(1)[0, 0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(drawn["The text alone"][0], alone.layers[3].weights(1)[0, 0], rtol=0, atol=1e-6)
    row = drawn["In its row of the pass"][0]
    real = len(one.tokens)
    assert row.shape == (15, 15)
    assert np.isnan(row).sum() == 15**2 - real**2
    np.testing.assert_allclose(row[:real, :real], layer.weights(1)[0, 0], rtol=0, atol=1e-6)
    (sentence,) = [each for each in said(app) if each.startswith(f"Text {shown} of 2")]
    places = "No place of its row is padding" if real == 15 else "hidden: 9 of 15 places"
    assert places in sentence
    here, everywhere = map(float, re.findall(r"\*\*([\d.e-]+)\*\*", sentence.replace("−", "-")))
    differences = [  # head by head, as on the page: several at once are rounded otherwise
        np.abs(a.weights(head) - b.weights(head)).max()
        for a, b in zip(one.layers, alone.layers, strict=True)
        for head in range(12)
    ]
    assert here <= everywhere == pytest.approx(max(differences), abs=1e-6)  # rounding, which hangs on the threads
    assert everywhere < 3e-6
    assert app.success  # weights, input and attention of this text


def test_the_text_in_view_can_be_changed_and_stays_in_the_link():
    app = check(opened("pretrained", SEVERAL))
    (chosen,) = [box for box in app.selectbox if box.label == "Text in view"]
    assert chosen.options == [f"{number}: {line}" for number, line in enumerate(LINES, start=1)]
    chosen.select(2).run()
    assert (app.query_params["several"], app.query_params["shown"]) == ("1", "2")
    assert not [box for box in app.text_input if box.label == "Second text"]


def test_the_code_reads_all_texts_and_takes_the_one_in_view():
    app = check(opened("pretrained", SEVERAL, shown="2", tab="code", code="draw"))
    assert f"recording = pretrained.record(model, {LINES!r}).batch[1]" in app.code[0].value


def test_inside_measures_the_text_in_view(recording):
    app = check(opened("inside", SEVERAL, shown="1"))
    drawn = [matrix.shape for each in matrices(app).values() for matrix in each]
    assert (len(recording.batch[0].tokens),) * 2 in drawn


def test_texts_that_are_too_many_or_too_long_are_said():
    app = check(opened("pretrained", {"text": "\n".join(["a b"] * (MOST_TEXTS + 1)), "several": "1"}))
    assert app.warning[0].value == "At most 8 texts can be given: the first 8 of 9 are used."
    long = opened("pretrained", {"text": "a\n" + "b " * LONGEST_LINE + "c", "several": "1"})
    check(long, charts=0)
    assert any("may have at most 500 characters; text 2 has 1,001" in each.replace("\\", "") for each in said(long))


@pytest.mark.parametrize("given", [{"text": LINES[0], "several": "1"}, {}])
def test_what_compares_several_texts_is_there_for_several_alone(given):
    app = check(opened("pretrained", given, tab="alone"))
    assert app.session_state["pretrained.tab"] == "map"
    assert "Every layer and head" in [tab.label for tab in app.tabs]
    assert "With other texts and alone" not in [tab.label for tab in app.tabs]
