"""The words of the field are explained once, beside the sentences that use them."""

import pytest
from driving import opened

from attn.ui.terms import TERMS, terms_help, terms_in


def test_terms_are_found_in_any_form_and_the_longest_alone():
    assert terms_in("Queries meet keys.") == ["query", "key"]
    assert terms_in("Causal masks hide what comes after.") == ["causal mask"]
    assert terms_in("A monkey and a keyboard.") == []
    assert terms_in("They differ by **5.6e−17**.") == ["4.8e−7"]  # a number marked as such
    assert terms_in("**key** and $softmax$ and `mask` are no words of the page.") == []


def test_an_explanation_is_one_or_two_sentences_and_stands_once():
    assert all(meaning.endswith(".") and len(meaning) < 200 for meaning in TERMS.values())
    assert len(set(TERMS.values())) == len(TERMS)
    assert terms_help("Nothing to explain.") is None
    assert terms_help("The score of a query.", "key").count("**Score**: ") == 1


def test_a_page_explains_the_terms_beside_the_sentence_that_uses_them():
    app = opened("step_by_step", stage="products")
    reading = next(each for each in app.markdown if each.proto.help)
    assert "**Query**: " + TERMS["query"] in reading.proto.help
    assert "**Key**: " + TERMS["key"] in reading.proto.help


@pytest.mark.parametrize("page", ["pretrained", "change"])
def test_a_page_that_compares_says_what_counts_as_rounding(page):
    helps = [
        each.proto.help for each in opened(page).markdown if f"**Rounding**: {TERMS['rounding']}" in each.proto.help
    ]
    assert helps
    assert all(TERMS["4.8e−7"] in each for each in helps)  # what is said there has such a number
