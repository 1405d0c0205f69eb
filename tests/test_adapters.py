"""Adapters (LoRA) are applied as their papers say, whether or not PEFT is installed, and the base stays."""

import json
import math
import shutil

import numpy as np
import pytest
from driving import check, opened, said, specs

from attn import pretrained
from attn.charts.labels import number
from attn.pretrained import ModelError
from attn.pretrained import bert as encoders
from attn.pretrained.inputs import vocabulary
from attn.pretrained.loading import adapters
from attn.ui.controls import sentence

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import save_file  # noqa: E402
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM  # noqa: E402

TEXT = "The animal was too tired."
BERT = BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20)
GPT2 = GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=40, n_positions=30)
LLAMA = LlamaConfig(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, intermediate_size=20,
    vocab_size=40, tie_word_embeddings=True,
)  # fmt: skip
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + math.prod(shape)))


def model_of(config, cls):
    torch.manual_seed(0)
    return cls(config).eval()


def write_adapter(folder, tensors, **settings):
    folder.mkdir(exist_ok=True)
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4} | settings
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file(
        {f"base_model.model.{name}": each.contiguous() for name, each in tensors.items()},
        folder / "adapter_model.safetensors",
    )
    return folder


def low_rank(module, d_in, d_out, r=2):
    return {f"{module}.lora_A.weight": drawn(r, d_in), f"{module}.lora_B.weight": drawn(d_out, r, seed=1)}


def merged(model, folder, tensors, **settings):
    from attn.pretrained.loading import model_files

    write_adapter(folder, tensors, **settings)
    return adapters.merge(model, adapters.read_adapter(model_files.of_folder(folder, "mine"), folder))


@pytest.fixture
def bert(tmp_path):
    """A folder with a tiny BERT and the tokenizer of the default model."""
    folder = tmp_path / "bert"
    model_of(BERT, BertModel).save_pretrained(folder)
    for file in TOKENIZER_FILES:
        shutil.copy(pretrained.inspect().folder / file, folder)
    return folder


QUERY = "encoder.layer.0.attention.self.query"


@pytest.mark.parametrize("alone", [False, True], ids=["beside the model", "alone"])
@pytest.mark.parametrize("peft", [False, True], ids=["without PEFT", "with PEFT"])
def test_the_model_is_shown_with_its_adapter_and_without(bert, tmp_path, monkeypatch, alone, peft):
    for module in ("modeling_utils", "integrations.peft", "models.auto.auto_factory"):
        monkeypatch.setattr(f"transformers.{module}.is_peft_available", lambda: peft, raising=False)
    tensors = low_rank(QUERY, 16, 16)
    folder = write_adapter(
        tmp_path / "adapter" if alone else bert,
        tensors,
        base_model_name_or_path=str(bert) if alone else "somewhere/else",
    )
    loaded = pretrained.load(folder)
    assert loaded.note == f"Its adapter (LoRA, rank 2) is applied and changes {QUERY}."
    assert loaded.name == str(folder)
    assert loaded.weights.taken == loaded.weights.expected
    assert pretrained.weights_finding(loaded).holds
    assert pretrained.weights_finding(loaded).words == "from its file, 1 of them changed by its adapter"
    with_it, without = pretrained.record(loaded, TEXT), pretrained.record(loaded.base, TEXT)

    by_hand = BertModel.from_pretrained(bert, adapter_kwargs={"subfolder": "none"}, attn_implementation="eager").eval()
    inputs = loaded.tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        before = by_hand(**inputs, output_attentions=True).attentions
        a, b = tensors.values()
        by_hand.get_submodule(QUERY).weight += 4 / 2 * b @ a
        after = by_hand(**inputs, output_attentions=True).attentions
    for layer in range(2):
        np.testing.assert_allclose(without.layers[layer].weights(), before[layer], atol=1e-6)
        np.testing.assert_allclose(with_it.layers[layer].weights(), after[layer], atol=1e-6)
    assert (before[0] - after[0]).abs().max() > 0.01
    assert max(each.largest for each in pretrained.compare(with_it)) < 1e-5


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({}, 4 / 2),
        ({"lora_alpha": 3}, 3 / 2),
        ({"use_rslora": True}, 4 / math.sqrt(2)),
        ({"alpha_pattern": {"q_proj": 10}}, 10 / 2),
        ({"alpha_pattern": {r"layers\.1\..*": 10}}, 4 / 2),
        ({"alpha_pattern": {r".*\.q_proj": 6, "q_proj": 10}}, 6 / 2),
        ({"r": 8, "rank_pattern": {"q_proj": 2}}, 4 / 2),
    ],
)
def test_the_factor_is_that_of_the_module(tmp_path, settings, factor):
    model, tensors = model_of(LLAMA, LlamaForCausalLM), low_rank("model.layers.0.self_attn.q_proj", 16, 16)
    adapted, said = merged(model, tmp_path, tensors, **settings)
    a, b = tensors.values()
    old, new = (each.model.layers[0].self_attn.q_proj.weight for each in (model, adapted))
    torch.testing.assert_close(new, old + factor * b @ a)
    assert said.changed == ("model.layers.0.self_attn.q_proj",)
    assert said.ranks == (2,)


def test_what_the_adapter_leaves_is_shared():
    """So a model with an adapter takes the memory of one model and of the matrices that changed."""
    model = model_of(LLAMA, LlamaForCausalLM)
    adapted, _ = adapters.merge(
        model, adapters.Adapter("mine", {}, low_rank("model.layers.0.self_attn.q_proj", 16, 16))
    )
    own = {name for name, each in adapted.named_parameters() if each is not model.get_parameter(name)}
    assert own == {"model.layers.0.self_attn.q_proj.weight"}


def test_gpt2_keeps_its_matrices_turned(tmp_path):
    model, tensors = model_of(GPT2, GPT2LMHeadModel), low_rank("transformer.h.1.attn.c_attn", 16, 48)
    adapted, _ = merged(model, tmp_path, tensors, fan_in_fan_out=True)
    a, b = tensors.values()
    old, new = (each.transformer.h[1].attn.c_attn.weight for each in (model, adapted))
    torch.testing.assert_close(new, old + 2 * (b @ a).T)


def test_rows_have_the_learnt_length_with_dora(tmp_path):
    """Liu et al., 2024, equation 5: m (W + s B A) over the length of each row of the sum."""
    model, name, lengths = model_of(LLAMA, LlamaForCausalLM), "model.layers.0.self_attn.q_proj", drawn(16).abs() + 1
    tensors = low_rank(name, 16, 16) | {f"{name}.lora_magnitude_vector.weight": lengths}
    adapted, _ = merged(model, tmp_path, tensors, use_dora=True)
    total = model.get_submodule(name).weight + 2 * tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"]
    new = adapted.get_submodule(name).weight
    torch.testing.assert_close(new.norm(dim=1), lengths)
    torch.testing.assert_close(torch.cosine_similarity(new, total, dim=1), torch.ones(16))


def test_an_embedding_is_adapted_but_not_what_is_tied_to_it(tmp_path):
    model, name = model_of(LLAMA, LlamaForCausalLM), "model.embed_tokens"
    tensors = {f"{name}.lora_embedding_A": drawn(2, 40), f"{name}.lora_embedding_B": drawn(16, 2)}
    adapted, _ = merged(model, tmp_path, tensors)
    a, b = tensors.values()
    torch.testing.assert_close(adapted.model.embed_tokens.weight, model.model.embed_tokens.weight + 2 * (b @ a).T)
    assert adapted.lm_head.weight is model.lm_head.weight


@pytest.mark.parametrize(
    ("settings", "tied"),
    [({}, True), ({"modules_to_save": ["embed_tokens"]}, False),
     ({"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}, True)],
)  # fmt: skip
def test_what_was_trained_whole_takes_the_places_that_peft_gives_it(tmp_path, settings, tied):
    """PEFT trains a copy of each of `modules_to_save`, and what was tied to it keeps the base's, unless it says so."""
    model, whole = model_of(LLAMA, LlamaForCausalLM), drawn(40, 16)
    adapted, said = merged(model, tmp_path, {"model.embed_tokens.weight": whole}, **settings)
    torch.testing.assert_close(adapted.model.embed_tokens.weight, whole)
    assert adapted.lm_head.weight is (adapted.model.embed_tokens.weight if tied else model.lm_head.weight)
    assert adapters.sentence(said) == "Its adapter (whole modules) is applied and changes model.embed_tokens."


def test_tokens_that_an_adapter_added_are_predicted_too(tmp_path):
    """As PEFT saves them, whole; by hand the base is resized first."""
    base = model_of(LlamaConfig(**LLAMA.to_dict() | {"tie_word_embeddings": False}), LlamaForCausalLM)
    embedding, head = drawn(43, 16), drawn(43, 16, seed=1)
    tensors = {"model.embed_tokens.weight": embedding, "lm_head.weight": head}
    adapted, _ = merged(base, tmp_path, tensors, modules_to_save=["embed_tokens", "lm_head"])
    base.resize_token_embeddings(43)
    base.load_state_dict(tensors, strict=False)
    ids = torch.tensor([[3, 42, 41]])
    with torch.inference_mode():
        torch.testing.assert_close(adapted(ids).logits, base(ids).logits)
    assert adapted.lm_head.out_features == 43


def test_embeddings_of_more_tokens_are_counted(tmp_path):
    model, longer = model_of(LLAMA, LlamaForCausalLM), drawn(43, 16)
    adapted, _ = merged(model, tmp_path, {"model.embed_tokens.modules_to_save.weight": longer})
    assert [vocabulary.embedding_rows(each) for each in (model, adapted)] == [40, 43]
    ids = torch.tensor([[42, 1]])
    vocabulary.check_ids(pretrained.wrap(adapted), {"input_ids": ids})
    with pytest.raises(ModelError, match="the id 42 has no embedding"):
        vocabulary.check_ids(pretrained.wrap(model), {"input_ids": ids})
    assert adapted(ids).logits.shape == (1, 2, 43)


def test_a_bias_that_was_trained_is_taken(tmp_path):
    model, bias = model_of(BERT, BertModel), drawn(16)
    adapted, _ = merged(model, tmp_path, low_rank(QUERY, 16, 16) | {f"{QUERY}.bias": bias}, bias="lora_only")
    torch.testing.assert_close(adapted.get_submodule(QUERY).bias.detach(), bias)


def test_an_adapter_of_a_model_with_a_head_fits_one_without(tmp_path):
    tensors = low_rank(f"bert.{QUERY}", 16, 16) | {"classifier.weight": drawn(3, 16)}
    _, said = merged(model_of(BERT, BertModel), tmp_path, tensors)
    assert said.changed == (QUERY,)
    assert adapters.sentence(said).endswith("It also has 1 tensor for a head that this model is shown without.")


@pytest.mark.parametrize(
    ("tensors", "settings", "message"),
    [
        (
            low_rank("layers.0.q", 16, 16),
            {},
            "must be made for this model, but it has no place for any of its 2 tensors",
        ),
        (
            low_rank(QUERY, 16, 16) | low_rank("layers.0.q", 4, 4),
            {},
            "no place for 2 of its 4 tensors, such as base_mod",
        ),
        (low_rank(QUERY, 8, 16), {}, r"whose product has its shape \(16, 16\), got \(16, 2\) and \(2, 8\)"),
        ({f"{QUERY}.lora_A.weight": drawn(2, 16)}, {}, f"must have both matrices for {QUERY}, got lora_A"),
        (low_rank(QUERY, 16, 16) | {f"{QUERY}.bias": drawn(3)}, {}, r"must have the model's shape \(16,\)"),
        (low_rank(QUERY, 16, 16) | {f"{QUERY}.lora_A.weight": torch.tensor(1.0)}, {}, "."),  # a number, no matrix
        (low_rank(QUERY, 16, 16), {"lora_alpha": "much"}, "must say lora_alpha as a number, .* got 'much' and None"),
        (low_rank(QUERY, 16, 16), {"alpha_pattern": {"(": 1}}, r"alpha_pattern as numbers .* got 4 and \{'\(': 1\}"),
        (low_rank(QUERY, 16, 16), {"peft_type": "IA3"}, "must be of the kind LoRA, got IA3"),
        (low_rank(QUERY, 16, 16), {"layer_replication": [[0, 1]]}, "sum of matrices, got one with layer_replication"),
        (low_rank(QUERY, 16, 16), {"peft_type": None}, "must be of the kind LoRA, got NONE"),
    ],
)
def test_an_adapter_that_cannot_be_applied_is_refused(bert, tensors, settings, message):
    write_adapter(bert, tensors, **settings)
    with pytest.raises(ModelError, match=message):
        pretrained.load(bert)


def test_an_adapter_alone_names_its_base(bert, tmp_path):
    missing = write_adapter(tmp_path / "one", low_rank(QUERY, 16, 16), base_model_name_or_path=str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=r"one is an adapter for .*gone, which cannot be opened: "):
        pretrained.load(missing)
    silent = write_adapter(tmp_path / "two", low_rank(QUERY, 16, 16))
    with pytest.raises(ModelError, match="does not say which model it adapts"):
        pretrained.load(silent)
    loop = write_adapter(tmp_path / "three", low_rank(QUERY, 16, 16), base_model_name_or_path=str(tmp_path / "three"))
    with pytest.raises(ModelError, match="is itself an adapter"):
        pretrained.load(loop)
    (bert / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (bert / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="a format that can carry code"):
        pretrained.load(bert)


def test_an_adapter_is_not_passed_over_in_numpy(bert):
    assert encoders.load(bert).family == "bert"
    write_adapter(bert, low_rank(QUERY, 16, 16))
    with pytest.raises(ModelError, match="has an adapter, which is not put into the weights in numpy"):
        encoders.load(bert)


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_pages_show_the_model_with_its_adapter_and_without(bert, page):
    write_adapter(bert, low_rank(QUERY, 16, 16))
    app = opened(page, {"model": str(bert), "layer": "1", "head": "1"})
    check(app)
    assert any("is applied and changes" in each for each in said(app))
    toggle = next(each for each in app.toggle if each.label == "With its adapter")
    shown = specs(app)
    toggle.set_value(False).run()
    check(app)
    assert not any("is applied and changes" in each for each in said(app))
    assert specs(app) != shown


def test_the_page_shows_what_the_adapter_changed(bert):
    write_adapter(bert, low_rank(QUERY, 16, 16))
    app = opened("pretrained", {"model": str(bert), "layer": "1", "head": "1", "tab": "adapter"})
    check(app)
    loaded = pretrained.load(bert)
    before, after = (pretrained.record(each, sentence.DEFAULT_TEXT).layers for each in (loaded.base, loaded))
    changes = [abs(one.weights() - other.weights())[0, 0].max() for one, other in zip(before, after, strict=True)]
    assert any(f"no weight by more than **{number(float(changes[0]), 2)}**" in each for each in said(app))
    app = opened("pretrained", {"tab": "adapter"})
    check(app)
    assert "What the adapter changed" not in [tab.label for tab in app.tabs]
