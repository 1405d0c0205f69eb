"""Positions: what the page says of the order, every scheme in every tab, and the code that makes the picture."""

import re

import numpy as np
import pytest
from driving import check, matrices, opened, said, tables

from attn import masks, one_head, positions
from attn.data import examples
from attn.ui import models
from attn.ui.controls.positions import POSITIONS
from attn.ui.pages.positions import distances, shuffle

BACK = "What the shuffle changed"
SAID = {
    "Longer texts": {
        "none": "as near as any other",
        "sinusoidal": "do not turn round",
        "halves": "do not turn round",
        "yarn": "show no angle that training never saw",
        "xpos": "Far keys fade",
        "shaw": "share one row",
        "learned": "The table ends",
        "rotary": "do not turn round",
        "alibi": "times the weight of the nearest",
        "relative": "share one bucket",
    },
    "Only the distance counts": {
        "none": "no score depends",
        "sinusoidal": "And one rotation",
        "halves": "And one rotation",
        "yarn": "Only the distance between query and key counts",
        "xpos": "Only the distance between query and key counts",
        "shaw": "Only the distance between query and key counts",
        "learned": "free to treat",
        "rotary": "Only the distance between query and key counts",
        "alibi": "Only the distance between query and key counts",
        "relative": "Only the distance between query and key counts",
    },
}


def words(app):
    return " ".join(said(app))


@pytest.mark.parametrize("tab", SAID)
@pytest.mark.parametrize("scheme", POSITIONS)
def test_every_scheme_says_what_it_does(scheme, tab):
    assert SAID[tab][scheme] in words(check(opened("positions", positions=scheme, tab=tab), charts=2))


def test_without_positions_the_rows_are_shuffled_and_nothing_else():
    app = check(opened("positions", positions="none", shuffle="3"))
    drawn = matrices(app)
    (written,), (shuffled,), (back,) = drawn["As written"], drawn["Shuffled"], drawn[BACK]
    assert np.abs(back).max() < 1e-15
    order = shuffle.shuffle_order(6, 3)
    np.testing.assert_allclose(shuffled, written[np.ix_(order, order)], atol=1e-7)
    assert "and nothing else" in words(app)


@pytest.mark.parametrize("scheme", [scheme for scheme in POSITIONS if scheme != "none"])
def test_with_positions_the_order_shows(scheme):
    (back,) = matrices(check(opened("positions", positions=scheme)))[BACK]
    assert np.abs(back).max() > 0.01
    assert "which is rounding: only the positions tell the order" in words(opened("positions", positions=scheme))


def test_a_causal_mask_tells_order_by_itself():
    app = check(opened("positions", positions="none", causal="1"))
    assert np.nanmax(np.abs(matrices(app)[BACK][0])) > 0.1
    assert "A causal mask tells order by itself" in words(app)
    assert r"(PX) \neq P" in app.get("latex")[0].value
    assert r"(PX) = P" in opened("positions", positions="none").get("latex")[0].value


NOTHING_ELSE = "Without a mask, shuffling the tokens shuffles the rows and nothing else."
BY_THE_MASK = "Only the mask tells the order: who may look at whom depends on where they stand."


@pytest.mark.parametrize(
    ("page", "chosen", "sentence"),
    [
        ("positions", {"causal": "0"}, NOTHING_ELSE),
        ("positions", {"causal": "1"}, BY_THE_MASK),
        ("positions", {"causal": "1", "text": "One"}, NOTHING_ELSE),  # a mask that hides nothing
        ("step_by_step", {"mask": "none"}, NOTHING_ELSE),
        ("step_by_step", {"mask": "causal"}, BY_THE_MASK),
        ("step_by_step", {"mask": "window", "window": "5"}, NOTHING_ELSE),
        ("step_by_step", {"source": "pretrained"}, "Nothing is added here: the model's own positions are in X already"),
    ],
)
def test_what_no_positions_mean_is_said_by_what_the_mask_hides(page, chosen, sentence):
    said_here = words(check(opened(page, chosen, positions="none"), charts=0))
    may_be = (NOTHING_ELSE, BY_THE_MASK, "Nothing is added here: the model's own positions are in X already")
    assert [each for each in may_be if each in said_here] == [sentence]


def test_the_first_word_alone_looks_at_others_once_it_stands_last_under_a_causal_mask():
    e = examples.worked_example()
    moved = [1, 2, 3, 4, 5, 0]
    for mask, same in ((masks.everything(6), True), (masks.causal(6), False)):
        written, shuffled = (one_head.walk(x, e.w_q, e.w_k, e.w_v, mask=mask).context for x in (e.x, e.x[moved]))
        assert np.allclose(shuffled[-1], written[0]) == same


LETTERS = {  # of each scheme's formula
    "none": ("$P$", "$X$"),
    "sinusoidal": ("$p$", "$2i$", "$2i+1$", "$d$", "$b$"),
    "halves": ("$p$", "$i$", "$d/2+i$", "$d$", "$b$"),
    "learned": ("$p$", "$P$", r"$n_{\max}$", "$d$"),
    "rotary": ("$i$", "$j$", "$R_i$"),
    "yarn": ("$i$", "$j$", "$R_i$", "$R'$", "$s$", "$f$"),
    "xpos": ("$i$", "$j$", "$R_i$", r"$\zeta$"),
    "alibi": ("$i$", "$j$", "$m_h$", "$h$"),
    "relative": ("$i$", "$j$", "$b$"),
    "shaw": ("$i$", "$j$", "$w$"),
}


@pytest.mark.parametrize("scheme", POSITIONS)
def test_each_letter_of_a_formula_is_explained(scheme):
    app = check(opened("positions", positions=scheme, d_model="30"))
    (told,) = [each.value for each in app.caption if each.value.startswith("In the formula ")]
    assert [letter for letter in LETTERS[scheme] if letter not in told] == []
    assert ("how many there are, 30" in told) == (scheme in ("sinusoidal", "halves"))


def test_the_largest_difference_is_that_of_the_picture():
    app = opened("positions", positions="alibi")
    largest = np.abs(matrices(app)[BACK][0]).max()
    told = re.search(r"they then differ by up to \*\*([\d.]+)\*\*", words(app))
    assert float(told[1]) == pytest.approx(largest, rel=5e-3)


def test_the_buckets_are_counted():
    """The distances by hand: 8 · 16^(7/8) = 90.5."""
    told = words(opened("positions", positions="relative", tab="As a picture"))
    assert "Half of the 32 buckets" in told
    assert "The first 8 of a half hold one distance each, the other 8 hold ever more, and from 91 on all" in told
    assert "Bucket 16 is never used" in told
    used = np.unique(positions.relative_buckets(1000))
    assert used.tolist() == [bucket for bucket in range(32) if bucket != 16]
    assert "from 91 tokens on all distances share one bucket" in words(
        opened("positions", positions="relative", tab="Longer texts")
    )


def test_rotation_favours_no_distance_between_unrelated_words_and_near_keys_between_equal_ones():
    app = opened("positions", positions="rotary", tab="By distance")
    assert "Between unrelated words, as these are, rotation favours no distance" in words(app)
    angles = positions.rotary(512, 64)
    rng = np.random.default_rng(0)
    query, key = rng.standard_normal((2, 4000, 1, 64))
    turned = positions.rotate(key.repeat(4, axis=1), angles[[0, 8, 64, 511]])
    products = (query * turned).sum(axis=-1)  # of a query at position 0 with keys farther and farther away
    assert np.abs(products.mean(axis=0)).max() < 4 * 8 / 4000**0.5  # of unrelated vectors, deviation 8: none favoured
    alike = (key * turned).sum(axis=-1).mean(axis=0)
    assert alike[0] > 1.2 * alike[1] > 1.2 * alike[2] > 0


def test_one_word_has_no_order():
    assert "One word has no order" in words(check(opened("positions", text="Alone")))


def test_rotary_positions_need_an_even_width():
    app = check(opened("positions", positions="rotary", d_k="7"), charts=0)
    (error,) = app.error
    assert "even" in error.value
    assert app.query_params["d_k"] == "7"
    check(opened("positions", positions="sinusoidal", d_k="7", d_model="9", tab="Only the distance counts"), charts=3)
    check(opened("positions", positions="sinusoidal", d_k="7", tab="All schemes"))


def test_the_position_of_the_query_turns_the_hands_and_not_the_product():
    where = {"positions": "rotary", "tab": "Only the distance counts"}
    here, there = (opened("positions", where, at=at, apart="4") for at in ("3", "90"))
    hands = [tables(app, "hand", "x2")[0]["x2"].to_numpy() for app in (here, there)]
    assert np.abs(hands[0] - hands[1]).max() > 0.1
    products = [re.search(r"the product is \*\*(.+?)\*\*", words(app))[1] for app in (here, there)]
    assert products[0] == products[1]
    further = opened("positions", where, at="3", apart="5")
    assert re.search(r"the product is \*\*(.+?)\*\*", words(further))[1] != products[0]


@pytest.mark.parametrize("scheme", [scheme for scheme in POSITIONS if scheme not in ("none", "learned")])
def test_down_a_column_only_the_distance_counts(scheme):
    app = opened("positions", positions=scheme, tab="Only the distance counts")
    turned = POSITIONS[scheme].pairs  # then the distance that was chosen, 3, is a column of its own
    (found,) = (m for drawn in matrices(app).values() for m in drawn if m.shape == ((6, 8) if turned else (6, 7)))
    assert np.ptp(found, axis=0).max() < 1e-6
    assert np.ptp(found, axis=1).max() > 0.1
    if turned:
        product = re.search(r"the product is \*\*(.+?)\*\*", words(app))[1].replace("−", "-")
        assert found[2, 3] == pytest.approx(float(product), rel=0.01)


def test_a_trained_table_has_learned_that_near_is_near():
    near = models.model_position_table()
    assert near.shape == (512, 384)
    app = opened("positions", positions="learned", tab="Only the distance counts")
    (found,) = (matrix for drawn in matrices(app).values() for matrix in drawn if matrix.shape == (6, 7))
    row = near[100] / np.linalg.norm(near[100])
    assert found[4, 1] == pytest.approx(row @ near[101] / np.linalg.norm(near[101]), abs=1e-5)
    assert found[4, 1] > 0.8 > found[4, 6]


def test_the_table_ends_where_it_ends():
    assert "The table ends" not in words(opened("positions", positions="learned", tab="Longer texts", n="512"))
    assert "token 513" in words(opened("positions", positions="learned", tab="Longer texts", n="1024"))


def test_alibi_stays_near_however_long_the_text():
    shares = []
    for n in ("512", "8192"):
        told = words(opened("positions", positions="alibi", tab="Longer texts", n=n, head="4"))
        shares.append(re.search(r"get \*\*([\d.]+)%\*\*", told)[1])
    assert shares[0] == shares[1]
    assert float(shares[0]) == pytest.approx(100 * (1 - np.exp(-16 / 16)), abs=0.1)  # its slope is 1/16


def test_pairs_too_slow_to_come_round():
    told = words(opened("positions", positions="rotary", tab="Longer texts", d_k="64"))
    slow = (positions.wavelengths(64) > 512).sum()
    assert f"**{slow} of 32 pairs**" in told


def test_the_last_wave_of_halves_is_the_one_that_the_paper_speaks_of():
    told = words(opened("positions", positions="halves"))
    assert "the last every **62,832**" in told
    assert "10,000 · 2π" in told
    assert round(positions.wavelengths(32, endpoint=True)[-1]) == 62832
    check(opened("positions", positions="halves", d_model="7"), charts=2)


def test_yarn_counts_its_pairs():
    told = words(opened("positions", positions="yarn", stretch="16", d_k="64"))
    turns = 512 / positions.wavelengths(64)
    kept, slowed = (turns >= 32).sum(), (turns <= 1).sum()
    assert f"**{kept} of 32** pairs turn round at least 32 times in 512 tokens and keep their speed" in told
    assert f"**{slowed}** turn round at most once and are made 16 times slower" in told
    assert f"{32 - kept - slowed} lie between" in told
    assert "= **1.277**, so scores by 1.631" in told
    longer = words(opened("positions", positions="yarn", stretch="16", d_k="64", tab="longer"))
    assert f"**{slowed} of 32 pairs** would not turn round once in 512 tokens" in longer
    assert "up to 8,192 tokens they show no angle that training never saw" in longer
    slow = positions.yarn(8193, 64, 16, trained=512)[8192] <= positions.rotary(513, 64)[512] * (1 + 1e-9)
    assert slow[turns <= 1].all()


def test_xpos_fades():
    told = words(opened("positions", positions="xpos"))
    assert (
        "512 tokens back, the product keeps **28.6%** of its size in the fastest pair and 91.1% in the slowest" in told
    )
    zeta = (np.arange(8) / 8 + 0.4) / 1.4
    assert [f"{share:.1%}" for share in zeta[[0, -1]]] == ["28.6%", "91.1%"]
    products = matrices(opened("positions", positions="xpos"))["Equal query and key, turned: products"][0]
    assert products[39, 0] < products[0, 39]  # back it fades, ahead it grows


def test_another_query_makes_another_bias_of_the_same_rows():
    drawn = matrices(opened("positions", positions="shaw", seed="3", d_k="6"))
    (table,), (bias,) = drawn["Row of each distance"], drawn["What one query adds"]
    np.testing.assert_allclose(table, np.random.default_rng(3).normal(size=(33, 6)), atol=1e-6)
    query = np.random.default_rng(3).normal(size=(2, 1, 6))[0]
    np.testing.assert_allclose(bias[0, 1], query @ table[17] / 6**0.5, atol=1e-6)
    np.testing.assert_allclose(bias[0, 20:], bias[0, 16], atol=1e-6)


def test_every_head_of_alibi_has_its_slope():
    app = check(opened("positions", positions="alibi", head="5"))
    (bias,) = matrices(app)["Bias of head 5"]
    np.testing.assert_allclose(bias[0], -np.arange(40) / 32, atol=1e-6)


def test_mean_weights_follow_every_choice_that_they_depend_on():
    changes = {
        "sinusoidal": {"base": "100", "d_model": 16, "seed": 2, "causal": True},
        "rotary": {"base": "100", "d_k": 8, "seed": 2, "causal": True},
        "alibi": {"head": 5, "d_k": 8, "causal": True},
        "relative": {"seed": 2, "d_model": 16},
        "halves": {"base": "100", "d_model": 16},
        "yarn": {"stretch": "32", "d_k": 8},
        "xpos": {"base": "100", "d_k": 8},
        "shaw": {"seed": 2, "d_k": 8},
    }
    for scheme, different in changes.items():
        usual, without = distances.distances_mean_weights(shuffle.Setup(positions=scheme))
        assert usual.sum(axis=-1) == pytest.approx(1)
        for name, value in different.items():
            other, _ = distances.distances_mean_weights(shuffle.Setup(positions=scheme, **{name: value}))
            assert not np.allclose(usual, other), (scheme, name)
        none = shuffle.Setup(positions="none")
        np.testing.assert_array_equal(without, distances.distances_mean_weights(none)[0])
