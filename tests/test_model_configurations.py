"""What a configuration says, leaves out, or gets wrong means to a model in numpy what it means to transformers."""

import json
import re

import numpy as np
import pytest

from attn.models import bert, gpt2, llama, t5

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors_numpy = pytest.importorskip("safetensors.numpy")
from attn.pretrained.families.whole_models import VOCABULARY, pass_in_numpy  # noqa: E402

IDS = np.random.default_rng(5).integers(3, VOCABULARY, 13)
LINES = (llama, gpt2, bert, t5)
SIZES = {"vocab_size": VOCABULARY, "max_position_embeddings": 41, "hidden_size": 64, "intermediate_size": 71}
SIZES |= {"num_hidden_layers": 7, "num_attention_heads": 32}  # as many heads as the families that say least have keys
GPT2_SIZES = {"vocab_size": VOCABULARY, "n_positions": 41, "n_embd": 44, "n_layer": 3, "n_head": 4}
T5_SIZES = {"vocab_size": VOCABULARY, "d_model": 44, "d_kv": 12, "d_ff": 71, "num_layers": 2, "num_heads": 4}
DISTILBERT_SIZES = {"vocab_size": VOCABULARY, "max_position_embeddings": 41, "dim": 44, "hidden_dim": 71}
DISTILBERT_SIZES |= {"n_layers": 3, "n_heads": 4}
KINDS = ["full_attention", "sliding_attention"]
SAID = {
    **dict.fromkeys((*llama.FAMILIES, *bert.FAMILIES), SIZES),
    **dict.fromkeys(t5.FAMILIES, T5_SIZES),
    "gpt2": GPT2_SIZES,
    "distilbert": DISTILBERT_SIZES,
}  # fmt: skip


def line_of(family):
    return next(line for line in LINES if family in line.FAMILIES)


def made(family, **said):
    """Return a configuration that says little, the random model that transformers makes of it, and its tensors."""
    config = {"model_type": family, **SAID[family], **said}
    if family in ("phi3", "smollm3"):
        config["pad_token_id"] = 0  # transformers refuses its own default, which is no token of so small a vocabulary
    torch.manual_seed(0)
    auto = {bert: transformers.AutoModel, t5: transformers.AutoModelForSeq2SeqLM}.get(
        line_of(family), transformers.AutoModelForCausalLM
    )
    understood = transformers.AutoConfig.for_model(**{"bos_token_id": 1, "eos_token_id": 2, **config})
    model = auto.from_config(understood, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return config, model, {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def differs(family, config, theirs, tensors):
    """Return how far what is computed from a configuration is from a model of transformers, relative to its size."""
    line = line_of(family)
    with torch.no_grad():
        given = {"decoder_input_ids": torch.tensor(IDS)[None]} if line is t5 else {}
        passed = theirs(input_ids=torch.tensor(IDS)[None], **given)
    states, scores = pass_in_numpy(line.from_checkpoint(tensors, config), IDS)
    ours = states[-1] if scores is None else scores
    found = (passed.last_hidden_state if scores is None else passed.logits)[0].numpy()
    return np.abs(ours - found).max() / np.abs(found).max()


@pytest.mark.parametrize("family", SAID)
def test_what_is_left_out_means_what_it_means_in_transformers(family):
    config, theirs, tensors = made(family)
    assert differs(family, config, theirs, tensors) < 1e-5
    if family in llama.FAMILIES:
        ours = llama.from_checkpoint(tensors, config)
        assert ours.epsilon == theirs.config.rms_norm_eps
        kinds = getattr(theirs.config, "layer_types", None) or ["sliding_attention"] * 7
        width = getattr(theirs.config, "sliding_window", None)
        assert [layer.window for layer in ours.layers] == [
            width if kind == "sliding_attention" else None for kind in kinds
        ]


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("llama", {"mlp_bias": True}),
        ("llama", {"attention_bias": True}),
        ("smollm3", {"mlp_bias": True, "no_rope_layer_interval": 3}),
        ("smollm3", {"use_sliding_window": True, "sliding_window": 5}),
        ("smollm3", {"no_rope_layers": [0, 1, 1, 0, 1, 1, 1, 1]}),
        ("mistral", {"sliding_window": None}),
        ("mistral", {"head_dim": None, "sliding_window": 4}),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2}),
        ("qwen3", {"use_sliding_window": False, "sliding_window": 5, "max_window_layers": 2}),
        ("qwen3", {"attention_bias": True}),
        ("gemma", {"hidden_act": "gelu"}),
        ("gemma", {"hidden_act": "gelu_pytorch_tanh"}),
        ("gemma2", {"hidden_act": "silu", "attn_logit_softcapping": None, "sliding_window": 5}),
        ("gemma3_text", {"rope_theta": 5e4, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
        ("gemma3_text", {"sliding_window": 5, "num_hidden_layers": 2, "layer_types": KINDS}),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_theta": 500.0}),
        ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}),
        ("phi3", {"partial_rotary_factor": 0.5, "hidden_size": 128}),
        ("olmo2", {"attention_bias": True}),
        ("gpt2", {"tie_word_embeddings": False}),
        ("gpt2", {"scale_attn_weights": False, "n_inner": 31}),
        ("roberta", {"pad_token_id": 3}),
        ("t5", {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
        ("mt5", {"feed_forward_proj": "gated-silu"}),
    ],
)  # fmt: skip
def test_what_is_said_means_what_it_means_in_transformers(family, said):
    config, theirs, tensors = made(family, **said)
    assert differs(family, config, theirs, tensors) < 1e-5


def test_late_windows_begin_where_transformers_has_them():
    config, theirs, tensors = made("qwen2", use_sliding_window=True, num_hidden_layers=30)
    windows = [layer.window for layer in llama.from_checkpoint(tensors, config).layers]
    assert windows == [None] * 28 + [4096] * 2
    assert theirs.config.layer_types.count("sliding_attention") == 2


@pytest.mark.parametrize("family", ["gpt2", "gemma", "smollm3"])
def test_a_head_of_its_own_counts_where_the_configuration_forgot_it(family, tmp_path):
    """transformers ties nothing that a file holds twice and differently."""
    config, _, tensors = made(family)
    opened = line_of(family).from_checkpoint(tensors, config)
    assert opened.unembedding is opened.embedding
    drawn = np.random.default_rng(1).normal(size=opened.embedding.shape).astype(np.float32)
    both = tensors | {"lm_head.weight": drawn}
    safetensors_numpy.save_file(both, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(config))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    np.testing.assert_array_equal(theirs.lm_head.weight.detach().numpy(), drawn)
    assert differs(family, config, theirs, both) < 1e-5


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("llama", "model.layers.1.mlp.up_proj.bias"),
        ("llama", "model.layers.7.self_attn.q_proj.weight"),
        ("qwen2", "model.layers.2.self_attn.o_proj.bias"),
        ("mistral", "model.layers.0.self_attn.q_norm.weight"),
        ("gpt2", "transformer.h.1.crossattention.c_attn.weight"),
        ("bert", "encoder.layer.0.attention.self.distance_embedding.weight"),
        ("distilbert", "transformer.layer.0.adapter.weight"),
        ("t5", "encoder.block.1.layer.1.DenseReluDense.wi_0.weight"),
        ("t5", "decoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"),
    ],
)
def test_nothing_of_a_layer_is_left_out_unseen(family, name):
    config, _, tensors = made(family)
    with pytest.raises(ValueError, match=f"a tensor {name}, which is no part of the model as configured"):
        line_of(family).from_checkpoint(tensors | {name: np.ones(3)}, config)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("llama", "model.layers.1.self_attn.rotary_emb.inv_freq"),
        ("gpt2", "transformer.h.1.attn.bias"),
        ("gpt2", "transformer.h.1.attn.masked_bias"),
        ("t5", "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"),
        ("bert", "cls.predictions.bias"),
    ],
)
def test_what_computes_nothing_may_be_there(family, name):
    config, theirs, tensors = made(family)
    assert differs(family, config, theirs, tensors | {name: np.ones(3)}) < 1e-5


@pytest.mark.parametrize(
    ("family", "said", "name", "shape"),
    [
        ("qwen2", {}, "model.layers.2.self_attn.k_proj.bias", (64,)),
        ("qwen3", {}, "model.layers.6.self_attn.q_norm.weight", (128,)),
        ("olmo2", {}, "model.layers.0.self_attn.k_norm.weight", (64,)),
        ("gemma3_text", {}, "model.layers.1.self_attn.k_norm.weight", (256,)),
        ("llama", {"attention_bias": True}, "model.layers.1.self_attn.o_proj.bias", (64,)),
        ("llama", {"mlp_bias": True}, "model.layers.1.mlp.down_proj.bias", (64,)),
        ("gpt2", {"tie_word_embeddings": False}, "lm_head.weight", (VOCABULARY, 44)),
        ("t5", {}, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", (32, 4)),
    ],
)  # fmt: skip
def test_what_a_model_needs_must_be_there_in_its_shape(family, said, name, shape):
    config, _, tensors = made(family, **said)
    assert tensors[name].shape == shape
    without = {each: array for each, array in tensors.items() if each != name}
    wanted = re.escape(f"{name} of shape {shape}, it has none")
    with pytest.raises(ValueError, match=wanted):
        line_of(family).from_checkpoint(without, config)
    with pytest.raises(ValueError, match=re.escape(f"{name} must have shape {shape} by the configuration, got (5,)")):
        line_of(family).from_checkpoint(tensors | {name: np.ones(5)}, config)


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, said in SAID.items() for name in said])
def test_a_size_that_is_not_said_is_a_sentence(family, name):
    config, _, tensors = made(family)
    for wrong in ({each: number for each, number in config.items() if each != name}, config | {name: "many"}):
        with pytest.raises(ValueError, match=f"{name} of the configuration must be a whole number"):
            line_of(family).from_checkpoint(tensors, wrong)


@pytest.mark.parametrize(
    ("family", "said", "sentence"),
    [
        ("llama", {"rope_scaling": {"rope_type": "linear"}}, "rope_type linear need factor, which is not said"),
        ("llama", {"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}, "rope_type llama3 need low_freq_factor"),
        ("gemma3_text", {"use_bidirectional_attention": True}, "use_bidirectional_attention must be false"),
        ("qwen2", {"use_sliding_window": True, "layer_types": ["full_attention"]}, "must be of 7 layers, got 1"),
        ("llama", {"hidden_act": None}, "hidden_act must be one of gelu, .*, got None"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_said(family, said, sentence):
    config, _, tensors = made(family)
    with pytest.raises(ValueError, match=sentence):
        line_of(family).from_checkpoint(tensors, config | said)
