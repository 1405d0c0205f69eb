"""The page Why: accounts that add up, and what it says of them."""

import re

import numpy as np
import pytest
from driving import check, matrices, opened, said, tables

from attn import models
from attn.models import ledger
from attn.models.ledger import Part
from attn.pretrained import bert
from attn.ui.controls.sentence import DEFAULT_TEXT
from attn.ui.pages.why.ledger_of_score import MOST_PAIRS
from attn.ui.pages.why.part_names import part_in_words
from attn.ui.pages.why.setup import MOST_TOKENS, Reading


@pytest.fixture(scope="module")
def passed():
    opened_model = bert.load()
    return opened_model.model, bert.encode(opened_model, DEFAULT_TEXT).passed


def test_the_bars_of_a_cell_and_the_rest_sum_to_its_score(passed):
    model, read = passed
    app = check(opened("why", layer="3", head="5", cell="10,8"))
    score = read.blocks[2].attention.scores[4, 10, 8]
    (bars,) = tables(app, "label", "x2", "shown")
    assert len(bars) == MOST_PAIRS + 1
    assert bars["label"].iloc[-1].startswith("the other ")
    shares = bars["shown"].str.replace("−", "-").astype(float)
    assert shares.sum() == pytest.approx(score, abs=5e-3)
    made = ledger.score_ledger(model, read, 2, 4, 10, 8)
    np.testing.assert_allclose(shares[:3], [share for *_, share in made.largest(3)], rtol=1e-3)
    assert f"{float(score):.3g}" in next(
        each for each in said(app) if each.startswith("**11 it** looks at **9 street**")
    )


def test_a_head_in_the_account_names_the_token_it_copied(passed):
    _, read = passed
    labels = [f"t{at}" for at in range(len(read.ids))]
    reading = Reading("", "", None, (), labels, read)
    weights = read.blocks[3].attention.weights[1, 10]
    assert part_in_words(reading, Part("head", 3, 1), 10) == (
        f"layer 4 head 2's copy of **t{weights.argmax()}** (weight {weights.max():.2f})"
    )


def test_the_map_is_that_of_the_head_and_a_click_asks_of_its_cell(passed):
    _, read = passed
    app = check(opened("why", layer="2", head="7"))
    (drawn,) = matrices(app)["Layer 2 head 7: weights"]
    np.testing.assert_allclose(drawn, read.blocks[1].attention.weights[6], atol=1e-3)
    app.selectbox(key="why.token.0").set_value(4).run()
    assert app.query_params["cell"] == "4,2"


def test_a_long_text_is_cut_and_the_page_says_so():
    app = check(opened("why", text="one two three " * 40))
    assert [warning.value for warning in app.warning] == [f"This page reads the first {MOST_TOKENS} of 122 tokens."]


def test_a_model_of_another_family_is_refused_with_one_that_is_not():
    app = check(opened("why", model="nobody/nothing"), charts=0)
    assert len(app.error) == 1


def test_the_account_says_how_far_its_sum_is_from_the_score():
    (table,) = [each for each in said(check(opened("why"))) if each.startswith("| step")]
    assert float(re.search(r"difference of the two\*\* \| \*\*(\S+)\*\*", table)[1]) < 1e-5


def test_a_pass_is_what_the_ledger_takes(passed):
    assert isinstance(passed[1], models.bert.Pass)
