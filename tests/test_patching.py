"""A step of one pass put into another: what it moves, and where it can move nothing."""

import numpy as np
import pytest

from attn.models import bert, gpt2, llama, patching
from attn.models.patching import Place

pytest.importorskip("torch")
pytest.importorskip("transformers")
from attn.pretrained.families.whole_models import VOCABULARY, in_numpy, random_model

IDS = np.random.default_rng(5).integers(3, VOCABULARY, 11)
OTHER = IDS.copy()
OTHER[4] = 3 if IDS[4] != 3 else 4


def measured(passed):
    return float(passed.logits[-1, 7]) - float(passed.logits[-1, 9])


@pytest.fixture(scope="module", params=["Llama", "Mistral", "GPT-2", "OLMo 2"])
def decoder(request):
    line, model = in_numpy(random_model(request.param))
    return model, line.forward(model, IDS, steps=True), line.forward(model, OTHER, steps=True)


def test_a_way_is_joined_and_layers_without_a_share_are_left_out():
    assert patching.hand_over([[0.2, 0.9], [-1.0, -0.5], [0.8, 0.1], [0.9, 0.3]]) == [
        patching.Leg(1, 0, 0, 0.9, 0.9), patching.Leg(0, 2, 3, 0.8, 0.9)
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"shares must be layers by positions, got shape \(2,\)"):
        patching.hand_over([1.0, 0.5])


def test_what_a_pass_computed_is_found_again(decoder):
    model, passed, _ = decoder
    heard = {}

    def keep(step, layer, array):
        heard[step, layer] = array
        return array

    line = gpt2 if isinstance(model, gpt2.GPT2) else llama
    line.forward(model, IDS, change=keep)
    for step in patching.STEPS:
        np.testing.assert_allclose(patching.recorded_step(model, passed, step, 1), heard[step, 1], atol=1e-6)


def test_an_encoders_steps_are_found_again():
    line, model = in_numpy(random_model("BERT"))
    heard = {}

    def keep(step, layer, array):
        heard[step, layer] = array
        return array

    passed = line.forward(model, IDS, change=keep)
    for step in patching.STEPS:
        np.testing.assert_allclose(patching.recorded_step(model, passed, step, 2), heard[step, 2], atol=1e-5)
    halved = line.forward(
        model, IDS, change=lambda name, layer, array: array / 2 if name == "feed_forward_output" else array
    )
    first = halved.blocks[0]
    np.testing.assert_allclose(
        patching.recorded_step(model, halved, "feed_forward_output", 0), first.feed_forward_output, atol=0
    )
    _, _, w_2, b_2 = model.layers[0].feed_forward
    np.testing.assert_allclose(first.feed_forward_output, (first.inner @ w_2 + b_2) / 2, atol=1e-5)
    both = [bert.forward(model, ids) for ids in (IDS, OTHER)]
    moved = patching.run(model, IDS, patching.put_there(model, both[1], "residual", Place(0, 4)))
    np.testing.assert_allclose(moved.output, both[1].output, atol=1e-5)  # the one token that differs


def test_all_of_the_difference_comes_along_with_the_state_that_differs(decoder):
    model, passed, other = decoder
    start, end = measured(other), measured(passed)
    places = [Place(0, 4), Place(0, 3), Place(len(model.layers) - 1, 0)]
    got = patching.patched(model, OTHER, passed, "residual", places, measured)
    assert patching.restored(list(got), start, end) == pytest.approx([1, 0, 0], abs=1e-4)


def test_outside_the_cone_nothing_moves_and_inside_something_does(decoder):
    model, passed, other = decoder
    start, end = measured(other), measured(passed)
    visible = [np.isfinite(step.attention.masked_scores[0]) for step in other.layers]
    cone = patching.causal_cone(visible, IDS != OTHER, 10)
    assert cone.any()
    assert not cone.all()
    for step, seen in (("residual", cone[:-1]), ("attention_output", cone[1:]), ("feed_forward_output", cone[1:])):
        places = [Place(layer, at) for layer in (0, 1, len(model.layers) - 1) for at in range(11)]
        shares = patching.restored(list(patching.patched(model, OTHER, passed, step, places, measured)), start, end)
        inside = np.array([seen[place] for place in places])
        np.testing.assert_allclose(shares[~inside], 0, atol=1e-4)
        assert np.abs(shares[inside]).max() > 1e-3


def test_all_heads_together_are_what_attention_adds(decoder):
    model, passed, _ = decoder
    heads = [patching.put_there(model, passed, "context", Place(1, head)) for head in range(model.num_heads)]

    def every(step, layer, array):
        for change in heads:
            array = change(step, layer, array)
        return array

    def whole(step, layer, array):
        return passed.layers[1].attention_output if (step, layer) == ("attention_output", 1) else array

    at_once, by_head = (patching.run(model, OTHER, change).logits for change in (whole, every))
    np.testing.assert_allclose(at_once, by_head, atol=1e-3)


@pytest.mark.parametrize("step", ["weights", "value"])
def test_weights_and_values_of_one_head_alone_are_put(decoder, step):
    model, passed, other = decoder
    start = measured(other)
    moved = measured(patching.run(model, OTHER, patching.put_there(model, passed, step, Place(1, 1))))
    assert abs(moved - start) > 1e-5

    def asked(name, layer, array):
        changed = patching.put_there(model, passed, step, Place(1, 1))(name, layer, array)
        if (name, layer) == (step, 1):
            assert (np.abs(changed - array).reshape(len(array), -1).max(axis=1) > 0).tolist() == [
                head == 1 for head in range(len(array))
            ]
        return changed

    patching.run(model, OTHER, asked)


def test_texts_of_other_lengths_are_put_by_their_partners():
    line, model = in_numpy(random_model("Llama"))
    longer = np.insert(IDS, 4, [5, 6])
    pairs = patching.aligned(IDS, longer)
    assert pairs == [(at, at if at < 4 else at + 2) for at in range(11)]
    source = line.forward(model, longer, steps=True)
    change = patching.put_there(model, source, "residual", Place(2, 6), pairs)
    kept = patching.run(model, IDS, lambda step, layer, array: change(step, layer, array))
    np.testing.assert_array_equal(kept.states[2][6], source.states[2][8])
    with pytest.raises(ValueError, match="as many tokens alone, got 13 for 11"):
        patching.run(model, IDS, patching.put_there(model, source, "weights", Place(2, 1), pairs))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"step": "scores"}, "step must be one of"),
        ({"place": Place(9, 0)}, "layer must be"),
        ({"place": Place(0, -1)}, "position must be a whole number of at least 0, got -1"),
        ({"step": "context", "place": Place(0, 99)}, "head must be a whole number from 0 to 3, got 99"),
        ({"step": "weights", "place": Place(0, -1)}, "head must be a whole number from 0 to 3, got -1"),
        ({"step": "value", "place": Place(0, 3.5)}, "head must be"),
    ],
)
def test_what_cannot_be_put_is_said(decoder, given, sentence):
    model, passed, _ = decoder
    with pytest.raises(ValueError, match=sentence):
        patching.put_there(model, passed, **({"step": "residual", "place": Place(0, 0)} | given))


@pytest.mark.parametrize(
    ("step", "number", "pairs", "sentence"),
    [
        ("residual", 99, None, "position must be a whole number from 0 to 10, got 99"),
        ("residual", 0, [(0, 11)], "position of the source must be a whole number from 0 to 10, got 11"),
        ("context", 0, [(-1, 0)], "position of the text must be a whole number from 0 to 10, got -1"),
    ],
)
def test_where_a_text_does_not_reach_is_said_as_soon_as_it_is_run(decoder, step, number, pairs, sentence):
    model, passed, _ = decoder
    with pytest.raises(ValueError, match=sentence):
        next(patching.patched(model, OTHER, passed, step, [Place(0, number)], measured, pairs))


def test_without_pairs_a_shorter_source_is_put_as_far_as_it_goes(decoder):
    model, passed, _ = decoder
    longer = [*OTHER, 5, 6]
    by_pairs, alone = (
        patching.run(model, longer, patching.put_there(model, passed, "context", Place(1, 2), pairs)).logits
        for pairs in ([(at, at) for at in range(11)], None)
    )
    np.testing.assert_array_equal(by_pairs, alone)


def test_no_difference_has_no_share():
    with pytest.raises(ValueError, match="must differ in what is measured, got 2 for both"):
        patching.restored([1.0], 2.0, 2.0)


def test_a_window_narrows_the_cone():
    window = np.tri(5, dtype=bool) & ~np.tri(5, k=-2, dtype=bool)  # itself and the one before
    cone = patching.causal_cone([window] * 2, [True, False, False, False, False], 4)
    assert not cone.any()  # two layers carry it two places, and it is four away
    cone = patching.causal_cone([window] * 4, [True, False, False, False, False], 4)
    assert np.argwhere(cone).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]]
