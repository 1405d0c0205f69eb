"""The page on softmax: what is typed, and what it answers."""

import numpy as np
import pytest
from driving import check, matrices, opened, said, tables

from attn import softmax
from attn.analysis import saturation
from attn.ui.pages.softmax import TABS


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_shows_something(tab):
    check(opened("softmax", tab=tab), charts=1)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "There must be 1 to 24 finite scores, none beyond a million, got 0 numbers."),
        ("1, two", "Scores must be numbers with commas between them, got two."),
        ("1, nan", "There must be 1 to 24 finite scores, none beyond a million, got 2 numbers."),
        (",".join("1" * 25), "There must be 1 to 24 finite scores, none beyond a million, got 25 numbers."),
    ],
)
def test_scores_that_are_none(typed, sentence):
    app = check(opened("softmax", scores=typed))
    assert [info.value.replace("\\", "") for info in app.info] == [
        f"{sentence} The picture keeps the last scores that could be read."
    ]
    assert app.text_input(key="softmax.scores").value == typed


def test_a_shift_changes_nothing_and_says_so():
    app = check(opened("softmax", scores="1, 2, 3", shift="1000.0"))
    text = " ".join(said(app))
    assert "gets **66.5%**" in text
    assert "moved no weight by more than **0**, though exp(1,003) itself is more than a float can hold" in text


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ("0, 0, 0, 0", "All scores are equal, 0, so each gets **25.0%**."),
        ("3, 1, 3", "The 1st and 3rd score, 3 each, are the largest and get **46.8%** each."),
        ("3, 1, 2", "The 1st score, 3, is the largest and gets **66.5%**."),
    ],
)
def test_which_scores_get_most(scores, sentence):
    assert sentence in " ".join(said(check(opened("softmax", scores=scores))))


def test_how_much_more_a_higher_score_gets_and_over_how_many_keys_weights_are_spread():
    told = " ".join(said(check(opened("softmax", scores="1, 3, 4", temperature="2.0"))))
    lower, higher, most = weights = np.exp([0.5, 1.5, 2.0]) / np.exp([0.5, 1.5, 2.0]).sum()
    assert f"a score higher by 2 gets e = {higher / lower:.2f} times the weight" in told
    assert most == weights.max()
    spread = np.exp(-(weights * np.log(weights)).sum())
    assert f"The effective number of keys is **{spread:.2f}** of 3: as if so many shared equally." in told


def test_an_exponential_is_said_as_the_figure_draws_it():
    app = check(opened("softmax", scores="2, -1, 3", temperature="2.0"))
    told = " ".join(said(app))
    assert "An exponential is e to the power of (score − largest score) ÷ 2, the temperature, so the largest" in told
    drawn = [table["shown"].tolist() for table in tables(app, "shown", "label")]
    assert drawn[1] == [f"{value:.4g}" for value in np.exp([-0.5, -2, 0])]
    np.testing.assert_allclose(softmax([2, -1, 3]), softmax([-1, -4, 0]))  # to subtract the largest changes no weight
    assert "(score − largest score), so the largest gets 1." in " ".join(said(opened("softmax")))


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        (
            "0, 0, 0, 0",
            "These scores sum to 0, and one cannot divide by 0: the picture shows 0 in place of each share.",
        ),
        ("2, -1, 0.5, -2, 3", "scores add up to 1 as well. The 4th score gets −0.8, but a share cannot be negative."),
        (
            "1, -3",
            "The 1st score gets −0.5, but a share cannot be negative, and as the sum is negative, the order is turned",
        ),
        ("-1, -2, -3", "No score is above 0, so the order is turned round: the smallest score gets the largest share."),
        ("1, 2, 5", "Here the shares run from 0.125 to 0.625, those of softmax from"),
    ],
)
def test_what_comes_of_dividing_by_the_sum(scores, sentence):
    told = " ".join(said(check(opened("softmax", scores=scores, tab="sum"))))
    assert sentence in told
    assert ("turned round" in told) == (sum(map(float, scores.split(","))) < 0)


def test_the_jacobian_on_the_page():
    app = check(opened("softmax", scores="1 2 3"))
    ((jacobian,),) = matrices(app).values()
    assert "so every column sums to 0. So does every row" in " ".join(said(app))
    np.testing.assert_allclose(jacobian.sum(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(jacobian.diagonal(), [0.081925, 0.184836, 0.222695], atol=1e-6)
    np.testing.assert_allclose(jacobian.sum(axis=1), 0, atol=1e-7)


def test_the_jacobian_is_that_of_the_scores_as_typed():
    app = check(opened("softmax", scores="1 2 3", temperature="0.5"))
    ((jacobian,),) = matrices(app).values()
    step = 1e-6 * np.eye(3)
    up, down = (softmax((np.array([1.0, 2, 3]) + side * step) / 0.5) for side in (1, -1))
    np.testing.assert_allclose(jacobian.astype(float), ((up - down) / 2e-6).T, atol=1e-5)


def test_what_a_sink_takes_and_what_the_largest_get():
    app = check(opened("softmax", scores="2, 2, 1, -5", sink="1.0", top_k="2", tab="sinks"))
    told = " ".join(said(app))
    exponentials = np.exp([2.0, 2, 1, -5])
    share = np.e / (np.e + exponentials.sum())
    assert f"With a score of 1 it takes **{share:.1%}**, and the other weights sum to {1 - share:.3g}" in told
    lower = np.e / (np.e + exponentials.sum() * np.exp(-10))
    assert f"with 10 less on every score it would take {lower:.1%}" in told
    assert (
        "the 2 largest scores get weight: their "
        f"**{exponentials[:2].sum() / exponentials.sum():.1%}** of the whole become 100%" in told
    )
    app.slider(key="softmax.top_k").set_value(1).run()
    assert "the 2 largest scores get weight" in " ".join(said(check(app)))  # equal ones are kept together
    assert app.query_params["top_k"] in ("1", ["1"])


def test_off_by_one_says_nothing_where_nothing_fits():
    told = " ".join(said(opened("softmax", scores="0", shift="-1000.0", tab="sinks")))
    assert "it takes **100.0%**, and the other weights sum to 0." in told


def test_attention_without_any_weights():
    found = matrices(check(opened("softmax", tab="Without weights")))
    np.testing.assert_allclose(found["Context"][0][1], [0.4419, 0.6515, 0.5683], atol=1e-4)


def test_a_tied_key_gives_the_mean():
    found = matrices(check(opened("softmax", tab="Look it up", lookup="third")))
    np.testing.assert_allclose(found["Found"][0], [[550, 5.5]])


def test_what_dividing_keeps_and_why_the_derivative_rises_first_without_it():
    found = [saturation(d_k, np.random.default_rng(0), num_draws=600) for d_k in (1, 4, 16, 64, 256, 1024)]
    undivided, divided = zip(*(row.slope for row in found), strict=True)
    told = " ".join(said(check(opened("softmax", tab="scaling"))))
    *_, last = found
    assert f"it falls to **{undivided[-1]:.3f}**, divided it stays between **{min(divided):.3f}** and " in told
    assert f"the best gets **{last.largest[0]:.2f}** at $d_k$ = 1,024, and divided by" in told
    assert f"the root of that: measured as **{last.variance**0.5:.1f}** at $d_k$ = 1,024." in told
    assert last.variance == pytest.approx(1024, rel=0.02)
    assert f"near 1, here {(last.variance / 1024) ** 0.5:.2f}, and the softmax" in told
    assert undivided[1] == max(undivided) > undivided[0]
    assert undivided[1] >= divided[1]
    assert undivided[2] < divided[2]
    assert f"it first rises undivided, to {undivided[1]:.3f} at $d_k = 4$. From $d_k = 16$ on it is smaller" in told
    alike, two, one = (
        np.linalg.norm(np.diag(weights) - np.outer(weights, weights))
        for weights in (np.full(16, 1 / 16), np.array([0.5, 0.5]), np.array([1.0]))
    )
    assert f"The derivative is {alike:.3f} where 16 keys share alike" in told
    assert (two, one) == (0.5, 0)
    story = check(opened("softmax", tab="scaling", story="ten_minutes", screen="9"))
    beside = " ".join(said(story))
    assert "With random queries and keys each product has variance 1, so a score has variance $d_k$" in beside
    assert f"Undivided it falls to **{undivided[-1]:.3f}**: little can be learnt." in beside
    assert any("Var" in formula.value for formula in story.latex)
    for in_the_card in ("Why divide by the root?", "does not give everything to one key", "Largest weight:"):
        assert in_the_card in told
        assert in_the_card not in beside
