"""Block: stages and tabs say what they draw, with the numbers of the sources, and the code makes the picture."""

import re

import numpy as np
import pytest
from driving import check, matrices, opened, said, specs, tables

from attn import block, cost
from attn.ui.pages.block import encoder_block, graph, heads_added_up, stack, three_uses, training, writing
from attn.ui.pages.block.architecture import CLICKED
from attn.ui.pages.block.encoder_block import compute_encoder_block
from attn.ui.pages.block.setup import LESSONS, STAGES, TABS, USES, Setup
from attn.words import number

MOVES = "Which rows one step moves"


def words(app):
    return " ".join(said(app))


def told(app, pattern):
    """Return the number that a sentence tells, as a person reads it."""
    return float(re.search(pattern, words(app))[1].replace("−", "-").replace(",", ""))


def drawn(app, title):
    """Return the matrix under a title, the first of them."""
    return matrices(app)[title][0]


# The block, stage by stage


def test_the_stages_are_walked_in_the_order_of_the_norm():
    app, seen = opened("block", stage="input", norm="pre"), []
    for _ in range(6):
        seen.append(app.session_state["block.stage"])
        app.button(key="block.next").click().run()
        check(app, charts=2)
    assert [*seen, app.session_state["block.stage"]] == list(Setup(norm="pre").stages)
    assert app.button(key="block.next").disabled
    assert sorted([*seen, "feed_forward_add"]) == sorted(Setup().stages) == sorted(STAGES)


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("stage", ["attention_add", "feed_forward_add"])
def test_a_sum_is_the_sum_of_what_is_drawn(stage, norm):
    found = matrices(opened("block", stage=stage, norm=norm))
    name = "Attention" if stage == "attention_add" else "Feed-forward"
    np.testing.assert_allclose(found["What came in"][0] + found[name][0], found["Sum"][0], atol=1e-5)
    assert np.abs(found[name][0]).max() > 0.1


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_all_stages_share_one_scale_on_which_all_have_room(norm):
    results = [compute_encoder_block(Setup(stage=stage, norm=norm)) for stage in STAGES]
    (limit,) = {result.limit for result in results}
    for result in results:
        for values, title in (
            part for part in encoder_block.encoder_block_parts(result, result.setup.stage) if not isinstance(part, str)
        ):
            assert title.startswith("Weights") or np.abs(values).max() <= limit


@pytest.mark.parametrize("stage", ["attention_norm", "feed_forward_norm"])
def test_a_normalised_row_has_mean_0_and_variance_1(stage):
    app = opened("block", stage=stage)
    rows = drawn(app, "Normalised")
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(rows.var(axis=1), 1, atol=1e-4)
    assert "now they are **2.83**" in words(app)


def test_embeddings_drown_without_the_root():
    scaled, plain = (opened("block", stage="input", d_model="32", scaled=flag) for flag in ("1", "0"))
    assert "√512 = 22.627" in words(scaled)
    rows = [drawn(app, title) for app, title in ((scaled, "Embeddings × √32"), (plain, "Embeddings"))]
    np.testing.assert_allclose(rows[0], np.sqrt(32) * rows[1], rtol=1e-5)
    assert np.linalg.norm(drawn(plain, "Positions"), axis=1) == pytest.approx(4)
    assert told(plain, r"embeddings are ([\d.]+) long") == pytest.approx(1, abs=0.2)
    assert told(scaled, r"the words are ([\d.]+) long") == pytest.approx(np.sqrt(32), abs=1)


def test_the_walk_begins_at_the_input_and_says_what_a_block_is():
    app = check(opened("block"), charts=2)
    assert app.button(key="block.back").disabled
    assert "A transformer is a stack of blocks" in words(app)
    assert "stage" not in app.query_params
    assert opened("block", stage="attention_add").session_state["block.stage"] == "attention_add"


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_only_attention_moves_other_rows(norm):
    app = opened("block", norm=norm, token="5", tab="steps")
    moved = encoder_block.encoder_block_moves(compute_encoder_block(Setup(norm=norm, token=5)))
    assert list(moved) == [stage for stage in Setup(norm=norm).stages if stage != "input"]
    for stage, row in moved.items():
        others = np.delete(row, 4)
        assert row[4] > 0.1
        assert others.min() > 1e-3 if stage == "attention" else others.max() == 0
    rows = np.stack(list(moved.values()))
    np.testing.assert_allclose(drawn(app, MOVES), np.maximum(rows, rows.max() / 1e4), rtol=1e-5)
    assert "In all other steps they move by **0**" in words(app)
    stated = told(app, r"by up to \*\*([\d.]+)\*\*")
    assert stated == pytest.approx(np.delete(moved["attention"], 4).max(), rel=5e-3)


def test_the_feed_forward_network_says_that_it_leaves_other_rows_alone():
    app = opened("block", stage="feed_forward")
    assert "all others by 0." in words(app)
    assert "280 numbers, at the paper's widths 2,099,712" in words(app)
    assert drawn(app, "Hidden, 0 or more").min() == 0


def test_a_chosen_cell_is_framed_and_says_its_number():
    app = check(opened("block", token="5", column="3"))
    figures = [app, check(opened("block", token="5", column="3", stage="attention"))]
    found = [{title: each[0] for title, each in matrices(app).items()} for app in figures]
    before, placed, read = (number(found[0][title][4, 2]) for title in ("Embeddings × √8", "Positions", "Input"))
    name = "**5 the**"
    assert (
        f"Dimension 3 of {name} is **{before}** in “Embeddings × √8”, **{placed}** in “Positions” and **{read}**"
        in (words(app))
    )
    weight = found[1]["Weights, mean of 2 heads"][4, 2]
    assert f"{name} looks at **3 didn\\'t** with a weight of **{weight:.2f}**" in words(figures[1])
    frames = [table for table in tables(app, "x", "x2", "y", "y2") if len(table) == 1 and table["x2"][0] == 3]
    assert [(frame["x"][0], frame["y"][0], frame["y2"][0]) for frame in frames] == [(2, 4, 5)]
    far = check(opened("block", token="5", column="12", stage="feed_forward"))
    assert re.search(r"Dimension 12 of \*\*5 the\*\* is \*\*[\d.]+\*\* in “Hidden, 0 or more”\. Choose", words(far))
    assert "Dimension 8 of" in words(check(opened("block", column="12", stage="attention_add")))  # the last it has


def test_a_bar_and_a_cell_go_to_their_step():
    result = compute_encoder_block(Setup(norm="pre"))
    app = opened("block", norm="pre")

    class State:
        def set(self, **choices):
            self.choices = choices

    state = State()
    encoder_block.go_to_encoder_block_stage(state, result, row=1)
    assert state.choices == {"stage": "attention_norm"}
    encoder_block.go_to_encoder_block_stage(state, result, row=4, column=6)
    assert state.choices == {"stage": "feed_forward", "token": 7}
    check(app)


# Heads added up


@pytest.mark.parametrize("heads", ["1", "2", "4", "8"])
def test_heads_add_up_to_the_output(heads):
    app = check(opened("block", num_heads=heads, d_model="8"), charts=2)
    assert told(app, r"the sum differs from the output by \*\*([\d.e−]+)\*\*") < 1e-14
    assert "= **256** numbers whether h is 1, 2, 4 or 8" in words(app)
    assert words(app).count("1,048,576") == 5


def test_a_head_that_is_off_is_missing_from_the_sum():
    found = matrices(opened("block", off="2"))
    np.testing.assert_allclose(found["Sum of those that are on"][0], found["Head 1"][0], atol=1e-6)
    assert np.isnan(found["Head 2 (off)"][0]).all()
    result = compute_encoder_block(Setup())
    each, total = heads_added_up.heads_added_up_contributions(result, (2,))
    alone = block.encoder_block(result.x, heads_added_up.heads_added_up_without(result.layer, (2,)))
    np.testing.assert_allclose(alone.attention.output, total, atol=1e-14)
    assert told(opened("block", off="2"), r"is \*\*([\d.]+)\*\* long instead") == pytest.approx(
        np.linalg.norm(each[0, 2]), rel=5e-3
    )


def test_heads_that_are_not_there_cannot_be_off():
    app = check(opened("block", off="2,7", num_heads="2"))
    assert app.query_params["off"] == "2"


# Three uses


@pytest.mark.parametrize("use", USES)
def test_each_use_has_its_shape(use):
    app = opened("block", tab="Three uses", use=use)
    title = "What comes next?" if use == "output" else "Weights of block 2"
    shape = {"encoder": (12, 12), "masked": (8, 8), "cross": (8, 12), "output": (8, 9)}[use]
    found = drawn(app, title)
    assert found.shape == shape
    np.testing.assert_allclose(np.nansum(found, axis=1), 1, atol=1e-5)
    assert np.isnan(found).sum() == (28 if use == "masked" else 0)


def test_the_boxes_that_can_be_clicked_are_those_of_the_uses():
    boxes = tables(opened("block", tab="Three uses"), "note", "edge")[0]
    assert {use: boxes["text"][row] for row, use in CLICKED.items()} == {
        "encoder": "Self-attention",
        "masked": "Masked attention",
        "cross": "Cross-attention",
        "output": "Softmax",
    }
    assert [boxes["note"][row] for row in CLICKED] == ["12 × 12", "8 × 8", "8 × 12", "8 × 9"]


@pytest.mark.parametrize("causal", ["1", "0"])
def test_a_target_moves_only_what_comes_after_it_under_the_mask(causal):
    app = opened("block", tab="Three uses", causal=causal, target="3", layers="3")
    moved = drawn(app, "Which predictions move")
    assert moved.shape == (7, 8)
    before = np.tri(7, 8, dtype=bool)
    assert moved[~before].min() > 1e-4
    assert (moved[before].max() == 0) == (causal == "1")
    stated = told(app, r"places 1 to 3 move by \*\*([\d.]+)\*\*")
    assert stated == pytest.approx(moved[2, :3].max(), rel=5e-3, abs=1e-12)


def test_what_is_read_is_what_was_to_be_predicted_one_place_before():
    both = three_uses.three_uses_translation(compute_encoder_block(Setup(second="so it goes")))
    assert both.lesson.inputs == ("⟨start⟩", "so", "it", "goes")
    assert both.lesson.targets == ("so", "it", "goes", "⟨end⟩")
    (table,) = opened("block", tab="Three uses", second="so it goes").dataframe
    assert list(table.value["reads"][1:]) == list(table.value["must predict"][:-1])


@pytest.mark.browser
def test_a_click_on_a_box_or_on_its_name_shows_that_use(server, tab):
    pytest.importorskip("playwright")
    from serving import FIGURE, settled

    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.goto(f"{server}/block?tab=Three+uses")
    settled(tab, figures=3)
    boxes = tab.locator(FIGURE).nth(1)
    for spot, use in (
        (boxes.locator('[aria-label*="part: Masked attention"]').first, "masked"),
        (boxes.locator('[aria-roledescription="text mark"]', has_text="Softmax").first, "output"),
    ):
        spot.click(force=True)
        tab.wait_for_url(f"**use={use}**", timeout=90_000)
        settled(tab, figures=3)


def test_a_long_translation_is_cut_aloud():
    app = check(opened("block", tab="Three uses", second="so " * 40))
    assert "Of the 40 words of the translation the first 32 are written." in words(app)


# Stack


def test_post_norm_stays_and_pre_norm_grows():
    app = opened("block", tab="Stack", depth="24")
    assert "back to a length of √8 = **2.83**" in words(app)
    assert told(app, r"vectors are \*\*([\d.]+)\*\* long") > 6
    assert "63,045,632" in words(app)
    for count in ("1,048,576", "2,099,712", "3,150,336", "4,199,936"):
        assert f" {count} |" in words(app)


# Training


def test_the_learning_rate_at_a_step():
    app = opened("block", tab="Training", step="100000")
    assert "is **0.00014**, falling" in words(app)
    assert "at step 4,000 with **0.000699**" in words(app)
    assert "still rising" in words(opened("block", tab="Training", step="5"))


def test_label_smoothing_names_the_least_loss():
    app = opened("block", tab="Training", lesson="smoothing")
    assert "gets **0.92**, each wrong one 0.02" in words(app)
    assert "**0.389673** nats" in words(app)
    assert "falls to 0" in words(opened("block", tab="Training", lesson="smoothing", epsilon="0"))


@pytest.mark.parametrize("dropped", ["weights", "sublayer"])
def test_dropout_doubles_what_it_keeps_and_rolls_anew(dropped):
    app = opened("block", tab="Training", lesson="dropout", dropped=dropped)
    title = "Weights of head 1" if dropped == "weights" else "Attention"
    found = matrices(app)
    whole, kept = found[title][-1], found["After dropout"][0]
    np.testing.assert_allclose(kept[kept != 0], 2 * whole[kept != 0], rtol=1e-5)
    assert told(app, r"(\d+) of \d+ numbers are 0") == (kept == 0).sum()
    (again,) = (button for button in app.button if button.label == "Draw again")
    again.click().run()
    assert app.query_params["roll"] == "2"
    assert ((drawn(app, "After dropout") == 0) != (kept == 0)).any()


def test_the_mean_of_more_checkpoints_is_nearer():
    ends = [training.block_training_descent(1, count)[1][20:].mean() for count in (1, 5, 20)]
    assert ends[0] > 1.7 * ends[1] > 1.7 * 1.7 * ends[2]
    app = opened("block", tab="Training", lesson="averaging", mean_of="5")
    assert told(app, r"the mean of the last 5 \*\*([\d.]+)\*\*") < told(app, r"last checkpoint is \*\*([\d.]+)\*\*")


def test_the_table_of_what_is_trained_adds_up():
    setup = Setup(d_model=16, d_ff=24, num_heads=4)
    rows = [line.split(" | ") for line in stack.stack_count_table(setup, 5).splitlines()[2:]]
    here, base = ({row[0].strip("| "): int(row[at].strip(" |").replace(",", "")) for row in rows} for at in (2, 3))
    assert base["Everything"] == cost.transformer_parameters()
    widths = {"d_model": 16, "d_ff": 24, "num_heads": 4, "d_k": 4, "d_v": 4}
    assert here["Everything"] == cost.transformer_parameters(num_layers=5, **widths)
    assert here["All blocks"] + here["Embedding"] == here["Everything"]
    assert f"**{here['Everything']:,}**" in stack.stack_count_in_words(setup, 5)


# Writing


def test_every_sentence_that_ended_stands_whole_in_the_table():
    setup = Setup()
    pairs, ended = writing.block_writing_search(setup)
    table = writing.block_writing_table(setup, pairs, ended, "The").replace("\\", "")
    for one in ended:
        assert f"| {writing.block_writing_sentence(pairs, one, 'The')} | {len(one.symbols) + 1} | " in table
        assert f"{one.score:.3f} |".replace("-", "−") in table


def test_the_penalty_decides_between_a_short_and_a_long_sentence():
    winners = {}
    for alpha in (0.0, 1.0):
        pairs, ended = writing.block_writing_search(Setup(alpha=alpha))
        winners[alpha] = writing.block_writing_sentence(pairs, ended[0], "The")
        assert winners[alpha] in words(opened("block", tab="Writing", alpha=str(alpha))).replace("\\", "")
    assert len(winners[1.0]) > len(winners[0.0])


def test_a_beam_of_1_may_go_round_for_ever():
    assert "ended within 24 words. Try a wider beam" in words(
        check(opened("block", tab="Writing", text="a a a b", beam="1"))
    )
    assert "the best is" in words(check(opened("block", tab="Writing", text="a a a b", beam="2")))


def test_what_may_follow_did_follow():
    pairs = writing.block_writing_pairs("one two one three")
    shares = np.exp(pairs.log_probabilities)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    one, two, three = (pairs.words.index(word) for word in ("one", "two", "three"))
    assert shares[one, two] == shares[one, three] == 0.5
    assert shares[three, -1] == 1


# Graph


def test_edges_have_a_direction_and_hang_on_the_words():
    result = compute_encoder_block(Setup())
    weights = result.block.attention.weights[0]
    assert np.abs(weights - weights.T).max() > 0.05
    app = opened("block", tab="Graph")
    assert told(app, r"move by up to \*\*([\d.]+)\*\*. The edges") == pytest.approx(
        graph.graph_moved_edges(result, 0), rel=5e-3
    )
    other = Setup(text="Another sentence of a few more words that says nothing of animals.")
    np.testing.assert_array_equal(graph.graph_fixed_weights(other, 12), graph.graph_fixed_weights(Setup(), 12))
    assert np.abs(compute_encoder_block(other).block.attention.weights[0][:12, :12] - weights).max() > 0.05


def test_gradients_add_up_to_more_than_the_weights_say():
    """With weights held still, gradients times inputs are what each word adds; they sum to the length."""
    result = compute_encoder_block(Setup())
    hangs = graph.graph_hangs_on(result)
    values = result.block.attention.value  # (heads, n, d_k)
    bands = result.layer.attention.w_o.reshape(2, 4, 8)
    added = np.einsum("hj,hjd,hde->je", result.block.attention.weights[:, result.at], values, bands)
    row = result.block.attention.output[result.at]
    added = added @ row / np.linalg.norm(row)
    assert added.sum() == pytest.approx(np.linalg.norm(row))
    assert np.abs(hangs - added).max() > 0.05


# Every tab at both ends of the text, and the code


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("text", ["one", "<b>*a* $x$ " * 40], ids=["one word", "long and marked up"])
def test_every_tab_of_any_text(tab, text):
    app = check(opened("block", tab=tab, text=text, second=text, num_heads="8", layers="1"), charts=1)
    assert not any("**1 <" in sentence or "*a*" in sentence for sentence in said(app))


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize("number", ["0", "1"])
def test_every_lesson_at_its_ends(lesson, number):
    low = {"step": "1", "warmup": "100", "classes": "2", "epsilon": "0", "p": "0", "mean_of": "1"}
    high = {"step": "100000", "warmup": "20000", "classes": "40", "epsilon": "0.9", "p": "0.9", "mean_of": "20"}
    check(opened("block", low if number == "0" else high, tab="Training", lesson=lesson), charts=2)


@pytest.mark.parametrize("stage", STAGES)
def test_what_can_be_clicked_has_a_name_that_the_browser_takes(stage):
    """It makes code of it, in which a comma or a hyphen is something else."""
    shown = specs(check(opened("block", stage=stage)))
    names = [each["name"] for figure in shown for each in figure.get("params", ())]
    assert any(name.startswith("row_") for name in names)
    assert all(name.isidentifier() for name in names)
