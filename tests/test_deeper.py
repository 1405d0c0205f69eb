"""From a layer's input and the checkpoint's own matrices: the same queries, weights and outputs, family by family."""

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained import ModelError
from attn.pretrained.recording import from_input

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BERT = {"vocab_size": 97, "hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 2, "intermediate_size": 37}
LLAMA = {
    "vocab_size": 97,
    "hidden_size": 30,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 37,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
WIDE = LLAMA | {"head_dim": 14}  # heads of another width than hidden_size / num_attention_heads
EVEN = LLAMA | {"hidden_size": 48, "num_attention_heads": 6}  # where the width of heads follows from it
ROPE = {"rope_theta": 500.0, "factor": 4.0}
LLAMA_3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
YARN = {"original_max_position_embeddings": 16, "rope_type": "yarn"}

FAMILIES = {
    "BERT, two directions": ("Roberta", BERT),
    "one layer many times": ("Albert", BERT | {"embedding_size": 12}),
    "other names": ("DistilBert", {"vocab_size": 97, "dim": 24, "n_layers": 2, "n_heads": 3, "hidden_dim": 37}),
    "three in one matrix, transposed": ("GPT2", {"vocab_size": 97, "n_embd": 24, "n_layer": 2, "n_head": 3}),
    "three in one matrix": ("Phi3", EVEN),
    "three in one matrix, head by head": ("GPTNeoX", EVEN | {"rotary_pct": 0.5}),
    "three in one matrix, two directions": ("ModernBert", BERT | {"pad_token_id": 0, "hidden_size": 36}),
    "grouped heads, rotary": ("Llama", WIDE),
    "rotary, all slower": ("Llama", WIDE | {"rope_parameters": ROPE | {"rope_type": "linear"}}),
    "rotary, the slow ones slower": ("Llama", WIDE | {"rope_parameters": ROPE | LLAMA_3 | {"rope_type": "llama3"}}),
    "rotary, slower for longer texts only": ("Llama", WIDE | {"rope_parameters": ROPE | {"rope_type": "dynamic"}}),
    "biases everywhere": ("Llama", WIDE | {"attention_bias": True}),
    "biases but on the way out": ("Qwen2", EVEN),
    "norms of queries and keys": ("Qwen3", WIDE),
    "norms of all heads at once": ("Olmo2", EVEN),
    "norms around 1, two kinds of rotary": (
        "Gemma3Text",
        WIDE | {"sliding_window": 3, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "capped scores": ("Gemma2", WIDE | {"attn_logit_softcapping": 0.5}),
    "part of each head turned": ("Phi", EVEN | {"partial_rotary_factor": 0.5}),
    "neighbours turned": ("Cohere", EVEN),
    "layers without positions": ("SmolLM3", EVEN | {"no_rope_layers": [1, 0]}),
    "another scale": ("Granite", EVEN | {"attention_multiplier": 0.3}),
    "rotary, stretched unevenly": ("Llama", WIDE | {"rope_parameters": ROPE | YARN}),
    "the same, with a factor of its own": (
        "Llama",
        WIDE | {"rope_parameters": ROPE | YARN | {"attention_factor": 1.3}},
    ),
    "a sink for each head, stretched unevenly": (
        "GptOss",
        EVEN
        | {"head_dim": 14, "intermediate_size": 40, "num_local_experts": 2, "num_experts_per_tok": 1}
        | {"sliding_window": 3},
    ),
}
REFUSED = {
    "queries scaled before": ("OPT", {"vocab_size": 97, "hidden_size": 24, "num_attention_heads": 3, "ffn_dim": 37}),
}


def recorded(family, options, **inputs):
    """Return a tiny model of a family, all of whose numbers are random, and what was recorded of it."""
    config = getattr(transformers, f"{family}Config")(**options)
    torch.manual_seed(5)
    model = transformers.AutoModel.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms begin as 0 and 1
            parameter += 0.1 * torch.randn_like(parameter)
    loaded = pretrained.wrap(model)
    ids = torch.randint(3, 97, (2, 13))
    return loaded, pretrained.record(loaded, inputs={"input_ids": ids, **inputs})


@pytest.mark.parametrize("case", FAMILIES)
def test_from_its_input_a_layer_comes_out_as_in_the_model(case):
    loaded, recording = recorded(*FAMILIES[case])
    for layer in recording.layers:
        found = pretrained.from_input(loaded, layer)
        for name in ("query", "key", "value"):
            np.testing.assert_allclose(getattr(found.steps, name), getattr(layer, name), rtol=0, atol=1e-5)
        np.testing.assert_allclose(found.steps.weights, layer.reference_weights(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(found.steps.context, layer.output, rtol=0, atol=1e-5)
        np.testing.assert_allclose(found.steps.output, found.reference_output, rtol=0, atol=1e-5)
        parameters = pretrained.parameters(loaded, layer)
        assert (parameters.num_heads, parameters.num_kv_heads) == (layer.num_heads, layer.num_kv_heads)
        assert parameters.d_model == layer.hidden.shape[-1]


def test_the_output_is_that_of_the_module():
    loaded, recording = recorded("Llama", WIDE)
    outputs = []
    for layer in loaded.model.layers:
        layer.self_attn.register_forward_hook(lambda *call: outputs.append(call[2][0]))
    recording = pretrained.record(loaded, inputs={"input_ids": torch.arange(3, 16)[None]})
    for layer, output in zip(recording.layers, outputs, strict=True):
        np.testing.assert_allclose(pretrained.from_input(loaded, layer).steps.output, output, rtol=0, atol=1e-5)


def test_a_bias_of_positions_is_part_of_it():
    options = {"vocab_size": 97, "d_model": 24, "d_kv": 7, "d_ff": 37, "num_layers": 2, "num_heads": 3}
    decoder = {"decoder_input_ids": torch.arange(3, 10).repeat(2, 1)}
    loaded, recording = recorded("T5", options | {"decoder_start_token_id": 0}, **decoder)
    for layer in recording.layers:
        if layer.kind == "cross":
            with pytest.raises(ModelError, match="starts from the recorded queries"):
                pretrained.parameters(loaded, layer)
        else:
            found = pretrained.from_input(loaded, layer)
            np.testing.assert_allclose(found.steps.weights, layer.reference_weights(), rtol=0, atol=1e-5)
            np.testing.assert_allclose(found.steps.output, found.reference_output, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_here_is_refused_in_one_sentence(case):
    loaded, recording = recorded(*REFUSED[case])
    for look in (pretrained.parameters, pretrained.from_input):
        with pytest.raises(ModelError, match="in a way of its own, so its attention starts") as raised:
            look(loaded, recording.layers[1])
        assert "\n" not in str(raised.value)


def test_frequencies_are_those_of_transformers():
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    kinds = [
        {"rope_type": "linear"},
        {"rope_type": "llama3"} | LLAMA_3 | {"original_max_position_embeddings": 300},
        YARN,
        YARN | {"truncate": False, "beta_fast": 20.0, "beta_slow": 2.0},
        YARN | {"attention_factor": 1.3},
        YARN | {"mscale": 0.7, "mscale_all_dim": 1.2},
    ]
    for further in kinds:
        rope = {"rope_theta": 5e5, "factor": 8.0} | further
        kind = rope["rope_type"]
        config = transformers.LlamaConfig(**LLAMA | {"head_dim": 26, "rope_parameters": rope})
        theirs, stretch = ROPE_INIT_FUNCTIONS[kind](config, "cpu")
        np.testing.assert_allclose(from_input.rope_frequencies(rope, 26), theirs, rtol=1e-6)
        assert from_input.rope_factor(rope) == pytest.approx(stretch, rel=1e-12)
        assert (stretch == 1) == (kind != "yarn")


def test_every_head_is_compared_from_the_input_of_its_layer():
    loaded, recording = recorded(*FAMILIES["BERT, two directions"])
    layer = recording.layers[1]
    gaps = np.abs(pretrained.from_input(loaded, layer).steps.weights - layer.reference_weights())
    found = pretrained.compare_layer_from_input(loaded, layer)
    assert [(each.layer, each.head) for each in found] == [(1, head) for head in range(layer.num_heads)]
    assert [each.largest for each in found] == gaps.max(axis=(0, 2, 3)).tolist()


def test_padding_is_no_input_of_a_layer():
    shown = torch.ones(2, 13, dtype=torch.long)
    shown[1, -4:] = 0
    loaded, recording = recorded("Bert", WIDE, attention_mask=shown)
    with pytest.raises(ValueError, match="the layer must be without padding: take that of one"):
        pretrained.from_input(loaded, recording.layers[0])
    for layer in recording.layers[0].batch:
        np.testing.assert_allclose(
            pretrained.from_input(loaded, layer).steps.weights, layer.reference_weights(), rtol=0, atol=1e-5
        )
