"""Recording holds for every family in the registry: tiny models with random weights, one a family."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained import registry

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

N_TOKENS = 11
BASE = {"vocab_size": 97, "hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 3}
GROUPED = BASE | {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
NO_SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SEQ2SEQ = {
    "vocab_size": 97,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 31,
    "decoder_start_token_id": 2,
}

# family: (configuration, number of heads, number of key/value heads, kinds of the layers in order)
FAMILIES = {
    "Bert": (BASE, 3, 3, ["encoder"] * 2),
    "Roberta": (BASE, 3, 3, ["encoder"] * 2),
    "DistilBert": ({"vocab_size": 97, "dim": 24, "hidden_dim": 37, "n_layers": 2, "n_heads": 3}, 3, 3, ["encoder"] * 2),
    "Albert": (BASE | {"embedding_size": 13, "num_hidden_layers": 3}, 3, 3, ["encoder"] * 3),
    "GPT2": ({"vocab_size": 97, "n_embd": 24, "n_layer": 2, "n_head": 3, **NO_SPECIAL}, 3, 3, ["decoder"] * 2),
    "Llama": (GROUPED, 6, 2, ["decoder"] * 2),
    "Qwen3": (GROUPED, 6, 2, ["decoder"] * 2),
    "Gemma2": (
        GROUPED | {"sliding_window": 3, "attn_logit_softcapping": 0.7, "query_pre_attn_scalar": 5},
        6,
        2,
        ["decoder"] * 2,
    ),
    "GPTNeoX": (BASE | NO_SPECIAL, 3, 3, ["decoder"] * 2),
    "Bart": (SEQ2SEQ, 3, 3, ["encoder"] * 2 + ["decoder", "cross"] * 3),
    "T5": (
        {"vocab_size": 97, "d_model": 24, "d_kv": 7, "d_ff": 37, "num_layers": 2, "num_heads": 3, **NO_SPECIAL},
        3,
        3,
        ["encoder"] * 2 + ["decoder", "cross"] * 2,
    ),
    "ModernBert": (
        BASE
        | NO_SPECIAL
        | {"local_attention": 4, "global_attn_every_n_layers": 2, "cls_token_id": 1, "sep_token_id": 2},
        3,
        3,
        ["encoder"] * 2,
    ),
    "ViT": (
        {key: BASE[key] for key in BASE if key != "vocab_size"} | {"image_size": 12, "patch_size": 4},
        3,
        3,
        ["encoder"] * 2,
    ),
    "GptOss": (
        GROUPED | {"intermediate_size": 36, "num_local_experts": 3, "num_experts_per_tok": 2, "sliding_window": 3},
        6,
        2,
        ["decoder"] * 2,
    ),
}


def build(family):
    """Return a tiny model of a family with weights large enough to make attention uneven."""
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family][0])
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 or "sinks" in name:
                parameter.normal_(0, 0.3)
    return model


def inputs_for(family):
    """Return inputs with padding in the second row, and targets for a decoder."""
    if family == "ViT":
        return {"pixel_values": torch.randn(2, 3, 12, 12, generator=torch.manual_seed(1))}
    ids = torch.randint(3, 97, (2, N_TOKENS), generator=torch.manual_seed(1))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs["attention_mask"][1, 7:] = 0
    if family in ("Bart", "T5"):
        inputs["decoder_input_ids"] = torch.randint(3, 97, (2, 5), generator=torch.manual_seed(2))
    return inputs


def own_attentions(model, inputs):
    """Return what the family itself reports under its eager implementation, by kind."""
    with torch.inference_mode():
        output = model(**inputs, output_attentions=True)
    if "encoder_attentions" in output:
        return {
            "encoder": output.encoder_attentions,
            "decoder": output.decoder_attentions,
            "cross": output.cross_attentions,
        }
    return {"encoder": output.attentions, "decoder": output.attentions}


@pytest.fixture(scope="module", params=FAMILIES)
def case(request):
    family = request.param
    model, inputs = build(family), inputs_for(family)
    loaded = pretrained.wrap(copy.deepcopy(model))
    return family, model, inputs, loaded, pretrained.record(loaded, inputs=inputs)


def test_every_layer_is_recorded_in_order_with_its_kind_and_name(case):
    family, model, _, loaded, recording = case
    _, num_heads, num_kv_heads, kinds = FAMILIES[family]
    assert [layer.kind for layer in recording.layers] == kinds
    assert [layer.index for layer in recording.layers] == list(range(len(kinds)))
    assert loaded.num_layers == len(kinds)
    assert (loaded.num_heads, loaded.num_kv_heads) == (num_heads, num_kv_heads)
    for layer in recording.layers:
        assert isinstance(model.get_submodule(layer.name), torch.nn.Module)


def test_weights_from_scratch_are_those_the_family_reports(case):
    _, model, inputs, _, recording = case
    own = own_attentions(model, inputs)
    for layer in recording.layers:
        reported = own[layer.kind][layer.block].numpy()
        attention = layer.attention()
        seen = 1 if layer.mask is None else layer.mask.any(axis=-1, keepdims=True)
        np.testing.assert_allclose(attention.weights, reported * seen, rtol=0, atol=2e-5)
        np.testing.assert_allclose(layer.reference_weights(), reported, rtol=0, atol=2e-6)
        np.testing.assert_allclose(attention.context, layer.output * seen, rtol=0, atol=2e-5)
        assert reported.std() > 0.01  # an even attention would agree with anything


def test_compare_has_a_row_per_layer_and_head(case):
    *_, recording = case
    differences = pretrained.compare(recording)
    assert len(differences) == sum(layer.num_heads for layer in recording.layers)
    assert max(difference.largest for difference in differences) < 2e-5
    assert all(difference.mean <= difference.largest for difference in differences)


def test_heads_can_be_asked_for_one_by_one(case):
    *_, recording = case
    for layer in recording.layers:
        everything = layer.attention()
        for head in (0, layer.num_heads - 1):
            alone = layer.attention(head)
            np.testing.assert_allclose(alone.weights[:, 0], everything.weights[:, head], rtol=0, atol=1e-6)
            np.testing.assert_allclose(alone.context[:, 0], everything.context[:, head], rtol=0, atol=1e-5)
            own = layer.reference_weights(head)  # one head alone is rounded otherwise than all at once
            np.testing.assert_allclose(own[:, 0], layer.reference_weights()[:, head], rtol=0, atol=1e-6)


def test_a_plain_pass_of_a_wrapped_model_gives_what_it_gave_before(case):
    _, model, inputs, loaded, _ = case
    with torch.inference_mode():
        before, after = model(**inputs), loaded.model(**inputs)
    seen = inputs.get("attention_mask", torch.ones(1, 1)).bool()
    before, after = before[0], after[0]
    if seen.shape[:2] == before.shape[:2]:  # what stands at padding means nothing
        before, after = before[seen], after[seen]
    np.testing.assert_allclose(after.numpy(), before.numpy(), rtol=0, atol=5e-5)


def test_our_function_is_called_once_a_layer(case):
    _, _, inputs, loaded, recording = case
    calls = []

    def count(call):
        calls.append(call)
        return registry.fused(call)

    with torch.inference_mode(), registry.handling(count):
        loaded.model(**inputs)
    assert len(calls) == len(recording.layers)


def test_arrays_are_read_only_float32(case):
    *_, recording = case
    for layer in recording.layers:
        for array in (layer.query, layer.key, layer.value, layer.output, layer.hidden):
            assert array.dtype == np.float32
            assert not array.flags.writeable


@pytest.mark.parametrize(
    ("family", "part"), [("Gemma2", "softcap"), ("T5", "bias"), ("GptOss", "sinks"), ("Llama", "mask")]
)
def test_what_a_family_adds_is_recorded_and_matters(family, part):
    recording = pretrained.record(pretrained.wrap(build(family)), inputs=inputs_for(family))
    layer = recording.layers[0]
    assert getattr(layer, part) is not None
    object.__setattr__(layer, part, None)
    assert np.abs(layer.attention().weights - layer.reference_weights()).max() > 0.01


def test_a_window_is_recorded_as_a_mask():
    loaded = pretrained.wrap(build("Gemma2"))
    sliding, full = (layer.mask[0, 0] for layer in pretrained.record(loaded, inputs=inputs_for("Gemma2")).layers)
    assert sliding.sum(axis=-1).max() == 3
    assert full.sum(axis=-1).max() == N_TOKENS


def test_left_padding_leaves_queries_that_see_nothing_out_of_the_comparison():
    inputs = inputs_for("GPT2")
    inputs["attention_mask"] = inputs["attention_mask"].flip(1)
    recording = pretrained.record(pretrained.wrap(build("GPT2")), inputs=inputs)
    assert max(difference.largest for difference in pretrained.compare(recording)) < 2e-5
    assert not recording.layers[0].attention().weights[1, :, 0].any()


@pytest.mark.parametrize("family", ["DebertaV2", "GPTJ"])
def test_a_family_outside_the_registry_says_so_and_still_shows_its_own_weights(family):
    small = {"vocab_size": 97, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
    small |= {"intermediate_size": 37} if family == "DebertaV2" else {"n_inner": 37, "rotary_dim": 4}
    config = getattr(transformers, f"{family}Config")(**small)
    loaded = pretrained.wrap(transformers.AutoModel.from_config(config, attn_implementation="eager"))
    inputs = {"input_ids": torch.arange(3, 3 + N_TOKENS)[None]}
    assert not loaded.recordable
    with pytest.raises(pretrained.ModelError, match="cannot be recorded"):
        pretrained.record(loaded, inputs=inputs)
    own = pretrained.own_weights(loaded, inputs=inputs)
    assert [weights.shape for weights in own.weights] == [(1, 3, N_TOKENS, N_TOKENS)] * 2
    np.testing.assert_allclose(own.weights[0].sum(axis=-1), 1, atol=1e-6)


def test_a_model_without_attention_is_refused():
    config = transformers.MambaConfig(vocab_size=97, hidden_size=24, num_hidden_layers=2, state_size=5)
    with pytest.raises(pretrained.ModelError, match="no attention in"):
        pretrained.wrap(transformers.AutoModel.from_config(config))


def test_own_weights_of_a_family_in_the_registry_are_its_eager_ones():
    loaded = pretrained.wrap(build("Llama"))
    own = pretrained.own_weights(loaded, inputs=inputs_for("Llama"))
    for weights, layer in zip(own.weights, pretrained.record(loaded, inputs=inputs_for("Llama")).layers, strict=True):
        np.testing.assert_array_equal(weights, layer.reference_weights())


def test_wrapping_twice_changes_nothing():
    model = build("Bert")
    once = pretrained.record(pretrained.wrap(model), inputs=inputs_for("Bert"))
    twice = pretrained.record(pretrained.wrap(model), inputs=inputs_for("Bert"))
    assert len(twice.layers) == len(once.layers)
    np.testing.assert_array_equal(twice.layers[1].hidden, once.layers[1].hidden)


def test_only_the_layers_asked_for_are_kept():
    loaded = pretrained.wrap(build("Bart"))
    recording = pretrained.record(loaded, inputs=inputs_for("Bart"), layers=[3, 6])
    assert [(layer.index, layer.kind, layer.block) for layer in recording.layers] == [
        (3, "cross", 0),
        (6, "decoder", 2),
    ]
    with pytest.raises(ValueError, match="layers must be among 0 to 7, got 8"):
        pretrained.record(loaded, inputs=inputs_for("Bart"), layers=[8])


def test_a_module_that_calls_itself_causal_sees_everything_where_there_is_no_mask():
    query, key, value = (torch.randn(1, 3, 5, 7, generator=torch.manual_seed(seed)) for seed in range(3))
    call = registry.Call(SimpleNamespace(is_causal=True), query, key, value, scaling=0.3)
    expected = torch.softmax(query @ key.transpose(-1, -2) * 0.3, dim=-1) @ value
    output, _ = registry.fused(call)
    np.testing.assert_allclose(output.transpose(1, 2).numpy(), expected.numpy(), atol=1e-6)


def test_an_additive_mask_of_ones_own_is_parted_into_mask_and_bias():
    added = torch.zeros(1, 1, N_TOKENS, N_TOKENS)
    added[..., 0] = 1.5
    added[..., 3:5] = torch.finfo(torch.float32).min
    added[..., 6] = 0.9 * torch.finfo(torch.float32).min
    inputs = {"input_ids": inputs_for("GPT2")["input_ids"][:1], "attention_mask": added}
    layer = pretrained.record(pretrained.wrap(build("GPT2")), inputs=inputs).layers[0]
    np.testing.assert_array_equal(np.unique((~layer.mask).nonzero()[-1]), [3, 4, 6])
    np.testing.assert_array_equal(layer.bias[0, 0, 0], [1.5] + [0] * (N_TOKENS - 1))
    np.testing.assert_allclose(layer.attention().weights, layer.reference_weights(), atol=2e-6)


def test_positions_that_begin_after_the_padding_shorten_the_longest_text():
    config = transformers.RobertaConfig(**BASE, max_position_embeddings=43)  # padding is token and position 1
    loaded = pretrained.wrap(transformers.AutoModel.from_config(config))
    assert loaded.max_tokens == 41
    assert pretrained.record(loaded, inputs={"input_ids": np.full((1, 41), 5)}).layers
    with pytest.raises(pretrained.ModelError, match="at most 41 tokens here, got 42"):
        pretrained.record(loaded, inputs={"input_ids": np.full((1, 42), 5)})


def test_long_texts_of_wide_models_are_cut_before_they_fill_the_memory():
    config = transformers.LlamaConfig(**GROUPED, max_position_embeddings=100_000)
    loaded = pretrained.wrap(transformers.AutoModel.from_config(config))
    assert 1_000 < loaded.max_tokens < 100_000
    assert 4 * loaded.max_tokens**2 < 130_000_000  # the weights of one head: those of a long text are computed alone
