"""Recording holds for every family in the registry: tiny random models of a hundred of them, and the table of all."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from driving import check, opened, said, tables

from attn import pretrained
from attn.pretrained import __main__ as command
from attn.pretrained.errors import NotCalledError
from attn.pretrained.families import check as family_check
from attn.pretrained.families import reading, tiny_models
from attn.pretrained.inputs.prepare import prepare
from attn.pretrained.intervention.run import run
from attn.pretrained.recording import record, registry
from attn.pretrained.recording.layer import layer_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
safetensors = pytest.importorskip("safetensors.torch")

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[1]
GROUPS = {
    "encoder": """bert roberta distilbert albert electra camembert xlm-roberta ernie modernbert eurobert esm roc_bert
        bert-generation roberta-prelayernorm xmod splinter data2vec-text gte""",
    "decoder": """gpt2 gpt_bigcode gpt_neox llama mistral mixtral qwen2 qwen3 qwen2_moe qwen3_moe gemma gemma2
        gemma3_text phi phi3 stablelm gpt_oss opt olmo olmo2 cohere cohere2 starcoder2 granite deepseek_v2 deepseek_v3
        glm4 smollm3 nemotron biogpt ctrl bitnet helium persimmon jamba bamba zamba recurrent_gemma llama4_text lfm2
        qwen3_next ministral ernie4_5 granitemoe doge""",
    "both": """bart mbart marian pegasus blenderbot m2m_100 t5 mt5 umt5 whisper speech_to_text t5gemma
        switch_transformers moonshine plbart nllb-moe pix2struct""",
    "vision": """vit deit beit dinov2 dinov2_with_registers dinov3_vit clip_vision_model siglip_vision_model segformer
        vit_msn ijepa videomae pixtral yolos vivit""",
    "audio": """wav2vec2 hubert wav2vec2-bert sew unispeech unispeech-sat parakeet_encoder data2vec-audio
        wav2vec2-conformer qwen2_audio_encoder""",
}
FAMILIES = {family: group for group, names in GROUPS.items() for family in names.split()}
OUTSIDE = ["gptj", "bloom", "falcon", "mpt", "deberta", "deberta-v2", "xlnet", "codegen", "longformer"]


class Case(NamedTuple):
    """A tiny model of a family, what it says of itself under eager attention, and what was recorded."""

    family: str
    inputs: dict
    own: torch.nn.Module  # what the model gave before it was ours
    loaded: pretrained.Loaded
    recording: pretrained.Recording


def look(family):
    """Build a tiny model, keep what it says itself, and record it."""
    built = tiny_models.tiny(family)
    loaded = pretrained.wrap(built.model)
    return Case(family, built.inputs, built.output, loaded, pretrained.record(loaded, inputs=built.inputs))


@pytest.fixture(scope="module", params=FAMILIES)
def case(request):
    return look(request.param)


def reported(case):
    """Return the weights that the model itself reports, by kind of attention."""
    found = record.reported(case.own)
    group = FAMILIES[case.family]
    if group == "both":
        return {kind: found[f"{kind}_attentions"] for kind in ("encoder", "decoder", "cross")}
    return {"decoder" if group == "decoder" else "encoder": found["attentions"]}


def passed(case, handle):
    """Pass the inputs through the model with something done to its attention, and return its first output."""
    with torch.inference_mode(), registry.handling(handle):
        output = case.loaded.model(**case.inputs)
    return output[0].numpy()


# -- every family ------------------------------------------------------------------------------------------------------


def test_every_layer_is_recorded_with_its_kind_and_name(case):
    own, layers = reported(case), case.recording.layers
    assert {kind: len(maps) for kind, maps in own.items()} == {
        kind: sum(layer.kind == kind for layer in layers) for kind in own
    }
    assert [layer.index for layer in layers] == list(range(sum(map(len, own.values()))))
    for layer in layers:
        assert case.loaded.model.get_submodule(layer.name) is layer.call.module


def test_weights_from_scratch_are_those_the_family_reports(case):
    own = reported(case)
    for layer in case.recording.layers:
        theirs = own[layer.kind][layer.block]
        attention = layer.attention()
        seen = 1 if layer.mask is None else layer.mask.any(axis=-1, keepdims=True)
        np.testing.assert_allclose(attention.weights, theirs * seen, rtol=0, atol=pretrained.TOLERANCE)
        np.testing.assert_allclose(layer.reference_weights(), theirs, rtol=0, atol=2e-6)
        np.testing.assert_allclose(attention.context, layer.output * seen, rtol=0, atol=1e-4)
        assert theirs.std() > 0.01  # an even attention would agree with anything


def test_it_is_our_function_that_ran(case):
    calls = []

    def nothing(call):
        calls.append(call)
        output, weights = registry.eager(call)
        return torch.zeros_like(output), weights

    with_ours = passed(case, registry.eager)
    without = passed(case, nothing)
    assert len(calls) == len(case.recording.layers)
    assert np.abs(with_ours - without).max() > 1e-2 * np.abs(with_ours).max()
    np.testing.assert_allclose(with_ours, case.own[0].numpy(), rtol=0, atol=1e-5 * np.abs(with_ours).max())


@pytest.mark.parametrize("family", ["bert", "gpt2", "qwen3", "gemma2", "gpt_oss", "bart", "t5", "vit", "wav2vec2"])
def test_a_plain_pass_of_a_wrapped_model_gives_what_it_gave_before(family):
    case = look(family)
    with torch.inference_mode():
        now = case.loaded.model(**case.inputs)[0].numpy()
    before = case.own[0].numpy()
    np.testing.assert_allclose(now, before, rtol=0, atol=2e-5 * np.abs(before).max())


def test_compare_has_a_row_per_layer_and_head(case):
    differences = pretrained.compare(case.recording)
    assert len(differences) == sum(layer.num_heads for layer in case.recording.layers)
    assert max(difference.largest for difference in differences) <= pretrained.TOLERANCE
    assert all(difference.mean <= difference.largest for difference in differences)


def test_arrays_are_read_only_float32(case):
    for layer in case.recording.layers:
        for array in (layer.query, layer.key, layer.value, layer.output, layer.hidden):
            assert array.dtype == np.float32
            assert not array.flags.writeable


def test_the_table_says_what_is_found_here(case):
    row = written()[case.family]
    assert row.verdict == family_check.AGREES
    assert row.layers == family_check.count_kinds(case.recording.layers)
    assert row.largest <= pretrained.TOLERANCE


# -- what must survive -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "part"),
    [("gemma2", "softcap"), ("gpt_oss", "sinks"), ("t5", "bias"), ("wav2vec2-bert", "bias"), ("llama", "mask")],
)
def test_what_a_family_adds_is_recorded_and_matters(family, part):
    layer = look(family).recording.layers[0]
    assert getattr(layer, part) is not None
    without = layer.changed(**{part: None})
    assert np.abs(without.attention().weights - layer.reference_weights()).max() > 0.01


@pytest.mark.parametrize(("family", "num_kv_heads"), [("mistral", 2), ("qwen3_moe", 2), ("gpt_bigcode", 1)])
def test_several_query_heads_share_a_key_head(family, num_kv_heads):
    case = look(family)
    assert (case.loaded.num_heads, case.recording.layers[0].num_heads) == (4, 4)
    assert case.recording.layers[0].num_kv_heads == num_kv_heads


@pytest.mark.parametrize("family", ["deepseek_v2", "deepseek_v3"])
def test_values_of_latent_attention_are_of_another_width_than_keys(family):
    layer = look(family).recording.layers[0]
    assert layer.key.shape[-1] != layer.value.shape[-1]
    assert layer.output.shape[-1] == layer.value.shape[-1]


@pytest.mark.parametrize("family", ["gemma3_text", "cohere2", "modernbert", "gpt_oss", "gemma2"])
def test_windows_alternate_by_layer(family):
    case = look(family)
    seen = [layer.mask[0, 0].sum(axis=-1).max() for layer in case.recording.layers]
    assert max(seen) == case.inputs["input_ids"].shape[1]
    assert min(seen) < max(seen)


@pytest.mark.parametrize("family", ["qwen3", "qwen3_moe"])
def test_queries_and_keys_are_recorded_after_their_norms(family):
    for layer in look(family).recording.layers:
        for array in (layer.query, layer.key):  # rotation keeps the length that the norm gave
            np.testing.assert_allclose(np.sqrt((array**2).mean(axis=-1)), 1, atol=1e-3)


@pytest.mark.parametrize("family", ["phi", "gpt_neox", "stablelm", "persimmon"])
def test_a_part_of_each_head_is_rotated(family):
    model = tiny_models.tiny(family).model
    once = pretrained.record(pretrained.wrap(model), inputs={"input_ids": torch.full((1, 6), 61)})
    turned = np.ptp(once.layers[0].query[0], axis=1).max(axis=0) > 1e-5  # the same token everywhere, (d_k,)
    assert 0 < turned.sum() < len(turned)


@pytest.mark.parametrize("family", ["bert", "gpt2", "bart"])
def test_padding_in_a_batch_is_hidden(family):
    case = look(family)
    layer = case.recording.layers[0]
    padded = case.inputs["attention_mask"].numpy() == 0
    assert padded.any()
    assert not layer.attention().weights[1][..., padded[1]].any()
    assert layer.attention().weights[0][..., padded[1]].any()


@pytest.mark.parametrize("family", ["zamba", "albert"])
def test_layers_that_share_their_weights_are_recorded_one_by_one(family):
    case = look(family)
    shared = {next(layer.call.module.parameters()).data_ptr() for layer in case.recording.layers}
    assert len(shared) == 1
    assert np.abs(np.subtract(*(layer.query for layer in case.recording.layers))).max() > 0.01


def test_attention_called_twice_in_a_layer_is_recorded_twice():
    case = look("diffllama")
    assert [layer.name for layer in case.recording.layers] == [f"layers.{i}.self_attn" for i in (0, 0, 1, 1)]
    assert max(difference.largest for difference in pretrained.compare(case.recording)) <= pretrained.TOLERANCE


@pytest.mark.parametrize("family", ["jamba", "bamba", "recurrent_gemma", "qwen3_next", "lfm2"])
def test_layers_without_attention_are_passed_over(family):
    case = look(family)
    assert 0 < len(case.recording.layers) <= case.loaded.model.config.num_hidden_layers
    if family != "lfm2":
        assert len(case.recording.layers) < case.loaded.model.config.num_hidden_layers


def test_cross_attention_is_rectangular_with_tokens_of_the_right_side():
    case = look("bart")
    cross = next(layer for layer in case.recording.batch[0].layers if layer.kind == "cross")
    assert (len(cross.query_tokens), len(cross.key_tokens)) == (5, 7)
    assert [token.id for token in cross.query_tokens] == case.inputs["decoder_input_ids"][0].tolist()
    assert [token.id for token in cross.key_tokens] == case.inputs["input_ids"][0].tolist()


@pytest.mark.parametrize("family", ["gemma2", "t5", "gpt_oss", "mistral", "vit"])
def test_heads_can_be_asked_for_one_by_one(family):
    for layer in look(family).recording.layers:
        everything = layer.attention()
        for head in (0, layer.num_heads - 1):
            alone = layer.attention(head)
            np.testing.assert_allclose(alone.weights[:, 0], everything.weights[:, head], rtol=0, atol=1e-6)
            np.testing.assert_allclose(alone.context[:, 0], everything.context[:, head], rtol=0, atol=1e-5)
            own = layer.reference_weights(head)  # one head alone is rounded otherwise than all at once
            np.testing.assert_allclose(own[:, 0], layer.reference_weights()[:, head], rtol=0, atol=1e-6)


def test_a_window_is_recorded_as_a_mask():
    sliding, full = (layer.mask[0, 0] for layer in look("gemma2").recording.layers)
    assert sliding.sum(axis=-1).max() == 5
    assert full.sum(axis=-1).max() == 7


def test_left_padding_leaves_queries_that_see_nothing_out_of_the_comparison():
    case = look("gpt2")
    inputs = case.inputs | {"attention_mask": case.inputs["attention_mask"].flip(1)}
    flipped = pretrained.record(case.loaded, inputs=inputs)
    assert max(difference.largest for difference in pretrained.compare(flipped)) <= pretrained.TOLERANCE
    assert not flipped.layers[0].attention().weights[1, :, 0].any()


def test_own_weights_of_a_family_in_the_registry_are_its_eager_ones():
    case = look("mistral")
    own = pretrained.own_weights(case.loaded, inputs=case.inputs)
    for weights, layer in zip(own.weights, case.recording.layers, strict=True):
        np.testing.assert_array_equal(weights, layer.reference_weights())


def test_wrapping_twice_changes_nothing():
    case = look("bert")
    twice = pretrained.record(pretrained.wrap(case.loaded.model), inputs=case.inputs)
    assert len(twice.layers) == len(case.recording.layers)
    np.testing.assert_array_equal(twice.layers[1].hidden, case.recording.layers[1].hidden)


def test_only_the_layers_asked_for_are_kept():
    case = look("bart")
    kept = pretrained.record(case.loaded, inputs=case.inputs, layers=[3, 4])
    assert [(layer.index, layer.kind, layer.block) for layer in kept.layers] == [(3, "cross", 0), (4, "decoder", 1)]
    with pytest.raises(ValueError, match="layers must be among 0 to 5, got 6"):
        pretrained.record(case.loaded, inputs=case.inputs, layers=[6])


def test_a_module_that_calls_itself_causal_sees_everything_where_there_is_no_mask():
    query, key, value = (torch.randn(1, 3, 5, 7, generator=torch.manual_seed(seed)) for seed in range(3))
    call = registry.Call(SimpleNamespace(is_causal=True), query, key, value, scaling=0.3)
    expected = torch.softmax(query @ key.transpose(-1, -2) * 0.3, dim=-1) @ value
    output, _ = registry.fused(call)
    np.testing.assert_allclose(output.transpose(1, 2).numpy(), expected.numpy(), atol=1e-6)


def test_an_additive_mask_of_ones_own_is_parted_into_mask_and_bias():
    case = look("gpt2")
    added = torch.zeros(1, 1, 7, 7)
    added[..., 0] = 1.5
    added[..., 3:5] = torch.finfo(torch.float32).min
    added[..., 6] = 0.9 * torch.finfo(torch.float32).min
    inputs = {"input_ids": case.inputs["input_ids"][:1], "attention_mask": added}
    layer = pretrained.record(case.loaded, inputs=inputs).layers[0]
    np.testing.assert_array_equal(np.unique((~layer.mask).nonzero()[-1]), [3, 4, 6])
    np.testing.assert_array_equal(layer.bias[0, 0, 0], [1.5] + [0] * 6)
    np.testing.assert_allclose(layer.attention().weights, layer.reference_weights(), atol=2e-6)


SMALL = {"vocab_size": 97, "hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 6}


def test_positions_that_begin_after_the_padding_shorten_the_longest_text():
    config = transformers.RobertaConfig(**SMALL, max_position_embeddings=43)  # padding is token and position 1
    loaded = pretrained.wrap(transformers.AutoModel.from_config(config))
    assert loaded.max_tokens == 41
    assert pretrained.record(loaded, inputs={"input_ids": np.full((1, 41), 5)}).layers
    with pytest.raises(pretrained.ModelError, match="at most 41 tokens here, got 42"):
        pretrained.record(loaded, inputs={"input_ids": np.full((1, 42), 5)})


def test_long_texts_of_wide_models_are_cut_before_they_fill_the_memory():
    config = transformers.LlamaConfig(**SMALL, num_key_value_heads=2, max_position_embeddings=100_000)
    loaded = pretrained.wrap(transformers.AutoModel.from_config(config))
    assert 1_000 < loaded.max_tokens < 100_000
    assert 4 * loaded.max_tokens**2 < 130_000_000  # the weights of one head: those of a long text are computed alone


# -- outside the registry ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", OUTSIDE)
def test_a_family_outside_the_registry_says_so_and_still_shows_its_own_weights(family):
    built = tiny_models.tiny(family)
    loaded = pretrained.wrap(built.model)
    assert not loaded.recordable
    with pytest.raises(pretrained.ModelError, match="keeps its attention to itself"):
        pretrained.record(loaded, inputs=built.inputs)
    own = pretrained.own_weights(loaded, inputs=built.inputs)
    theirs = built.output.attentions
    assert len(own.weights) == len(own.names) == len(theirs) > 0
    for weights, names, map_ in zip(own.weights, own.names, theirs, strict=True):
        np.testing.assert_allclose(weights, map_.numpy(), rtol=0, atol=1e-6)
        assert tuple(map(len, names)) == weights.shape[2:]
    assert written()[family] == family_check.check(family)


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer of few pieces, with ids that tiny models know."""
    pieces = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="?"))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=120, special_tokens=["_", "?"])
    pieces.train_from_iterator([TEXT] * 3, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="_", unk_token="?")


@pytest.fixture(scope="module")
def saved(case, tokenizer, tmp_path_factory):
    """A folder with the tiny model of a family as it saves itself, and what its one file holds."""
    if type(case.loaded.model).__name__ == "Pix2StructForConditionalGeneration":
        pytest.skip("no class of AutoModel opens it")
    folder = tmp_path_factory.mktemp("saved")
    case.loaded.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, safetensors.load_file(folder / "model.safetensors")


def everything(loaded):
    """Return all parameters and buffers of a model."""
    return dict(loaded.model.named_parameters(remove_duplicate=False)) | dict(loaded.model.named_buffers())


def demand_the_same(loaded, other):
    """Demand that two models hold the same numbers under the same names."""
    ours, theirs = everything(loaded), everything(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_what_a_family_saves_is_what_is_loaded_whatever_wrapped_it(case, saved):
    folder, tensors = saved
    first = pretrained.load(folder)
    demand_the_same(first, case.loaded)
    assert first.note == ""
    assert first.weights.taken == first.weights.expected > 0
    try:
        wrapped = {f"_orig_mod.module.{name}": tensor for name, tensor in tensors.items()}
        safetensors.save_file(wrapped, folder / "model.safetensors", metadata={"format": "pt"})
        second = pretrained.load(folder)
    finally:
        safetensors.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    demand_the_same(second, case.loaded)
    assert second.note.startswith("The names in its file begin with “_orig_mod.module.”,")


def test_a_file_that_lacks_one_tensor_of_attention_is_refused(saved):
    folder, tensors = saved
    of_attention = [name for name in tensors if re.search("attn|attention|temporal_block", name)]
    gone = next(name for name in reversed(of_attention) if tensors[name].ndim == 2)
    try:
        left = {name: tensor for name, tensor in tensors.items() if name != gone}
        safetensors.save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(pretrained.ModelError, match=r"must hold every tensor|does not fit its config\.json"):
            pretrained.load(folder)
    finally:
        safetensors.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


TEXT = "The animal did not cross the street because it was too tired"


@pytest.mark.parametrize("family", ["gptj", "bloom", "falcon", "mpt", "deberta", "xlnet"])
def test_the_page_shows_their_own_weights_and_says_why_there_is_no_comparison(family, tokenizer, tmp_path):
    tiny_models.tiny(family).model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    app = check(opened("pretrained", model=str(tmp_path), text=TEXT, layer="2", head="3"))
    assert any("nothing to compare them with" in sentence for sentence in said(app))
    (drawn,) = tables(app, "row", "column", "shade", "state")
    own = pretrained.own_weights(pretrained.load(tmp_path), TEXT).weights[1][0, 2]
    cells = drawn.sort_values(["row", "column"])["shade"].to_numpy().reshape(own.shape)
    np.testing.assert_allclose(cells, own, atol=1e-6)


def test_the_page_says_when_keys_are_not_tokens(tokenizer, tmp_path):
    tiny_models.tiny("longformer").model.save_pretrained(tmp_path)  # reports a window of 513 places around each token
    tokenizer.save_pretrained(tmp_path)
    app = check(opened("pretrained", model=str(tmp_path), text=TEXT))
    assert any("The keys have numbers" in sentence for sentence in said(app))


def test_weights_that_lie_in_the_decoder_have_its_tokens(tokenizer):
    """ProphetNet's encoder reports scores instead of weights, so only its decoder's are shown."""
    loaded = pretrained.wrap(tiny_models.tiny("prophetnet").model, tokenizer)
    own = pretrained.own_weights(loaded, TEXT, pair="too tired")
    assert [token.text for token in own.names[0][0]][1:] == ["too"]
    assert own.weights[0].shape[2:] == (2, 2)


def test_a_model_without_attention_is_refused():
    with pytest.raises(pretrained.ModelError, match="no attention in"):
        pretrained.wrap(tiny_models.tiny("mamba").model)


# -- the table and the command -----------------------------------------------------------------------------------------


def written():
    """Return the rows of the table that the command wrote, by family."""
    lines = (ROOT / "attn" / "pretrained" / "families.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[4:]]
    return {
        family: family_check.Row(family, verdict, float(largest) if largest else None, layers, against, why, reads)
        for family, verdict, largest, layers, against, reads, why in rows
    }


def test_the_table_is_of_these_families_and_its_count_is_right():
    rows = written()
    assert list(rows) == family_check.names()
    first = (ROOT / "attn" / "pretrained" / "families.md").read_text(encoding="utf-8").splitlines()[0]
    assert first == family_check.summary(list(rows.values()))
    assert all(row.verdict == family_check.AGREES or row.why for row in rows.values() if row.verdict != "no attention")


def test_the_readme_quotes_the_count_of_the_table():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert family_check.summary(list(written().values())) in readme


@pytest.mark.parametrize("family", ["marian", "m2m_100", "mbart", "nllb-moe", "t5", "plbart", "prophetnet", "pegasus"])
def test_translation_models_are_given_what_transformers_makes_of_a_text(family):
    found = reading.reads(family, tiny_models.tiny(family))
    assert found == written()[family].reads == "same ids, same shift"


def test_families_that_read_something_else_are_found_out(monkeypatch):
    def without_the_first(*given):
        made = prepare(*given)
        return made._replace(inputs={name: value[:, 1:] for name, value in made.inputs.items()})

    monkeypatch.setattr(reading, "prepare", without_the_first)
    monkeypatch.setattr(reading, "own_shift", lambda loaded, labels: labels)  # as if the decoder read what it is to say
    ids, shift = reading.reads("bart", tiny_models.tiny("bart")).split(", another ")
    assert ids.startswith("other ids: ")
    assert shift == "shift"
    monkeypatch.undo()
    assert reading.reads("udop", tiny_models.tiny("udop")).startswith("not known: ValueError, Words must")
    assert reading.reads("vit", tiny_models.tiny("vit")) == ""


@pytest.mark.parametrize("family", ["dia", "musicgen", "lfm2_vl"])
def test_inputs_that_no_tokenizer_names_are_recorded(family):
    """Codes of music, two texts of which each has a vocabulary, and places in a picture that is not given."""
    assert written()[family].verdict == family_check.check(family).verdict == "agrees"


def test_a_decoder_that_reads_no_text_is_given_none():
    """Grounding DINO calls itself an encoder and a decoder, and its decoder reads places in a picture."""
    assert reading.reads("grounding-dino", tiny_models.tiny("grounding-dino")) == "same ids"


@pytest.mark.parametrize(
    "family", ["mamba", "nougat", "dinat", "sam2_video", "fnet", "bark", "kosmos_2_5_vision_model"]
)
def test_families_that_cannot_be_compared_say_why(family):
    assert written()[family] == family_check.check(family)


def test_a_pass_that_calls_no_attention_is_told_from_other_errors():
    built = tiny_models.tiny("kosmos_2_5_vision_model")
    loaded = pretrained.wrap(built.model)
    for passed in (pretrained.record, run):
        with pytest.raises(NotCalledError, match="attention layer"):
            passed(loaded, inputs=built.inputs)


def test_a_part_without_a_model_of_its_own_is_checked_in_its_whole():
    row = family_check.check("sam_mask_decoder")
    assert (row.verdict, row.layers) == ("agrees", "2 decoder, 5 cross")
    assert row.why == "checked as a part of sam"
    assert row._replace(largest=None) == written()["sam_mask_decoder"]._replace(largest=None)


def test_a_family_that_is_recorded_wrong_is_found_out(monkeypatch):
    def wrong(*given):
        layer = layer_of(*given)
        return layer.changed(scale=0.9 * layer.scale, output=layer.output)

    monkeypatch.setattr(record, "layer_of", wrong)
    row = family_check.check("bert")
    assert row.verdict == "differs"
    assert row.largest > 1e-3


@pytest.fixture
def no_script(monkeypatch):
    """Let other processes begin with nothing: a page that was tested before left itself as the main script."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)


def test_the_command_walks_families_in_processes_of_their_own(capsys, tmp_path, no_script):
    command.main(["families", "bert", "gptj", "--processes", "1", "--write", str(tmp_path / "table.md")])
    told = capsys.readouterr()
    assert told.err.splitlines() == ["bert: agrees", "gptj: outside the registry"]
    assert told.out == (tmp_path / "table.md").read_text(encoding="utf-8")
    first, _, _, _, bert, gptj = told.out.splitlines()
    assert first.startswith(f"Of 2 families in transformers {transformers.__version__}, 1 agree (largest")
    assert bert.startswith("| bert | agrees | ")
    assert gptj == "| gptj | outside the registry |  | 2 of its own |  | same ids | shows its own weights |"


def test_a_process_that_takes_too_long_is_ended(no_script):
    (row,) = family_check.walk(["bert"], processes=1, seconds=0.01)
    assert (row.verdict, row.why) == ("cannot be built", "took longer than 0.01 seconds")


def test_the_command_knows_no_other_families(capsys):
    with pytest.raises(SystemExit):
        command.main(["families", "bert", "berta"])
    assert "transformers knows no family called berta" in capsys.readouterr().err
