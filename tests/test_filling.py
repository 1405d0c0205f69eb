"""Weights come out of the file, every one: what a file does not hold is refused or said, never drawn and shown."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from driving import check, opened, said

from attn import pretrained
from attn.pretrained import ModelError, bert
from attn.pretrained.loading import gguf_file, smollm2, weights_report

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

pytestmark = pytest.mark.usefixtures("one_thread")

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")
CONFIG = {
    "hidden_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 5,
    "intermediate_size": 37,
    "max_position_embeddings": 41,
}
QUERY = "encoder.layer.1.attention.self.query.weight"
WORDS = "The animal did not cross the street"


@pytest.fixture(scope="module")
def masked():
    """A BERT that fills in words, with weights unlike those that a model is made with."""
    torch.manual_seed(3)
    model = transformers.BertForMaskedLM(transformers.BertConfig(**CONFIG)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


@pytest.fixture
def folder(masked, tmp_path):
    """A folder with that model, to break."""
    masked.save_pretrained(tmp_path)
    for file in TOKENIZER_FILES:
        shutil.copy(pretrained.inspect().folder / file, tmp_path)
    return tmp_path


def change(folder, make):
    """Replace the tensors of a folder, in each of its files, by what `make` makes of them."""
    for path in folder.glob("*.safetensors"):
        safetensors.save_file(make(safetensors.load_file(path)), path, metadata={"format": "pt"})


def prefixed(prefix):
    return lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()}


def without(*parts):
    return lambda tensors: {name: t for name, t in tensors.items() if not any(part in name for part in parts)}


def settings(folder, **changes):
    """Change the configuration of a folder."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def same(model, other):
    """Say whether two models hold the same tensors under the same names."""
    ours, theirs = model.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


# files that fill their model


def test_a_file_that_fills_its_model_has_no_note(folder, masked):
    loaded = pretrained.load(folder)
    assert same(loaded.model, masked)
    assert loaded.note == ""
    tensors = len(list(masked.parameters()))  # the way out is tied to the way in, and counts once
    assert loaded.weights == weights_report.WeightsReport(tensors, tensors, (), (), ("float32",))


WRAPPERS = ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "_fsdp_wrapped_module."]


@pytest.mark.parametrize("prefix", WRAPPERS)
def test_what_training_put_before_every_name_is_taken_off_and_said(folder, masked, prefix):
    change(folder, prefixed(prefix))
    loaded = pretrained.load(folder)
    assert same(loaded.model, masked)
    assert f"begin with “{prefix}”," in loaded.note
    assert loaded.weights.taken == loaded.weights.expected == len(list(masked.parameters()))


def test_wrappers_of_single_layers_are_taken_out(folder, masked):
    change(folder, lambda t: {re.sub(r"(layer\.\d\.)", r"\1_orig_mod.", name): tensor for name, tensor in t.items()})
    loaded = pretrained.load(folder)
    assert same(loaded.model, masked)
    assert "parts that training put there" in loaded.note


def test_a_wrapper_is_taken_off_in_every_shard(folder, masked):
    (folder / "model.safetensors").unlink()
    masked.save_pretrained(folder, max_shard_size="1MB")
    change(folder, prefixed("module."))
    assert len(list(folder.glob("*.safetensors"))) > 1
    loaded = pretrained.load(folder)
    assert same(loaded.model, masked)
    assert "begin with “module.”," in loaded.note


def test_a_name_that_only_some_tensors_begin_with_is_no_wrapper():
    assert weights_report.wrapper_prefix(["module.a.weight", "b.weight"]) == ""
    assert weights_report.wrapper_prefix([]) == ""
    assert weights_report.renaming(["module.a.weight", "b.weight"]) == {}


# files that do not


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (without("layer.1."), 16),
        (without(QUERY), 1),
        (without("position_embeddings"), 1),
        (without("layer.2.output.LayerNorm.bias"), 1),
        (without("layer.2.intermediate.dense.weight"), 1),
        (without("word_embeddings", "decoder.weight"), 1),
    ],
)
def test_a_file_that_lacks_a_tensor_is_refused(folder, masked, make, missing):
    change(folder, make)
    with pytest.raises(ModelError, match=rf"but {missing} of {len(list(masked.parameters()))} are missing: ") as raised:
        pretrained.load(folder)
    assert "\n" not in str(raised.value)
    assert "begin with" not in str(raised.value)


def test_the_sentence_names_two_tensors_of_attention_first(folder):
    change(folder, without("layer.1."))
    at = "bert.encoder.layer.1.attention"
    with pytest.raises(ModelError, match=f"missing: {at}.output.dense.weight and {at}.self.key.weight …$"):
        pretrained.load(folder)


@pytest.mark.parametrize("prefix", ["encoder.", "backbone.bert_model."])
def test_a_prefix_of_ones_own_is_named(folder, prefix):
    change(folder, prefixed(prefix))
    with pytest.raises(ModelError, match=rf"but (\d+) of \1 are missing: .*; all names .* begin with “{prefix}”$"):
        pretrained.load(folder)


def test_a_tensor_of_another_shape_is_refused_with_both_shapes(folder):
    settings(folder, intermediate_size=31)
    with pytest.raises(ModelError, match=r"must have the shape \((31, 20|31,)\), got \((37, 20|37,)\) and .* in all"):
        pretrained.load(folder)


# what is missing, or left over, and does no harm


def test_a_missing_pooler_is_said_and_always_the_same(folder, masked):
    change(folder, lambda t: {name.removeprefix("bert."): t for name, t in without("cls.")(t).items()})
    settings(folder, architectures=["BertModel"])
    first, second = pretrained.load(folder), pretrained.load(folder)
    assert same(first.model, second.model)
    assert first.note == "Its file has no pooler (2 tensors), and nothing here depends on one."
    assert first.weights.missing == ("pooler.dense.bias", "pooler.dense.weight")
    assert first.weights.expected - first.weights.taken == 2
    assert torch.equal(first.model.get_parameter(QUERY), masked.bert.get_parameter(QUERY))


def test_a_head_for_another_task_is_said(folder, masked):
    change(folder, lambda t: without("cls.")(t) | {"classifier.weight": torch.ones(1, 20), "lstm.bias": torch.ones(2)})
    settings(folder, architectures=["BertForMultipleChoice"])
    loaded = pretrained.load(folder)
    assert "Its file also holds 2 tensors of parts that are not looked at here: classifier, lstm." in loaded.note
    assert loaded.weights.unused == ("classifier.weight", "lstm.bias")
    assert torch.equal(loaded.model.get_parameter(QUERY), masked.bert.get_parameter(QUERY))


def test_a_model_whose_file_has_no_head_is_shown_without_one(folder, masked):
    change(folder, without("cls."))  # as many models of sentences come
    loaded = pretrained.load(folder)
    assert type(loaded.model) is transformers.BertModel
    assert same(loaded.model, masked.bert)
    assert loaded.note == "Its file has no head (cls), so it is shown without one."
    assert loaded.weights.taken == loaded.weights.expected == len(list(masked.bert.parameters()))
    assert pretrained.compare(pretrained.record(loaded, WORDS))[0].largest <= pretrained.TOLERANCE


def test_layers_that_the_configuration_does_not_count_are_said(folder):
    settings(folder, num_hidden_layers=2)
    loaded = pretrained.load(folder)
    assert len(loaded.weights.unused) == 16
    assert "Without a place in the model: 16 tensors of its file, such as bert.encoder.layer.2." in loaded.note


def test_buffers_of_old_files_are_passed_over(folder):
    change(folder, lambda t: t | {"bert.embeddings.position_ids": torch.arange(41)[None]})
    loaded = pretrained.load(folder)
    assert (loaded.note, loaded.weights.unused) == ("", ())


def test_random_weights_and_models_in_memory_have_no_report(folder, masked):
    assert pretrained.load(folder, random_weights=True).weights is None
    assert pretrained.wrap(masked).weights is None


# the encoder in numpy, and the decoder out of its package


@pytest.mark.parametrize("prefix", ["", "bert.", "module._orig_mod.bert."])
def test_the_encoder_in_numpy_reads_the_same_numbers(folder, masked, prefix):
    change(folder, lambda t: prefixed(prefix)({n.removeprefix("bert."): t for n, t in without("cls.")(t).items()}))
    encoder = bert.load(folder)
    np.testing.assert_array_equal(encoder.tensors[QUERY], masked.bert.get_parameter(QUERY).detach().numpy())
    recording = pretrained.record(pretrained.load(folder), WORDS)
    blocks = bert.encode(encoder, WORDS).blocks
    np.testing.assert_allclose(blocks[2].attention.weights, recording.layers[2].weights()[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (without(QUERY), rf"but 1 of 53 are missing: {QUERY}$"),
        (without("layer.1."), "but 16 of 53 are missing: encoder.layer.1.attention.*and encoder.layer.1.attention"),
        (prefixed("encoder."), "but 53 of 53 are missing: .* begin with “encoder.”$"),
    ],
)
def test_the_encoder_in_numpy_refuses_a_file_that_lacks_a_tensor(folder, make, message):
    change(folder, make)
    with pytest.raises(ModelError, match=message):
        bert.load(folder)


def test_the_encoder_in_numpy_refuses_tensors_of_another_shape(folder):
    settings(folder, vocab_size=30000)
    with pytest.raises(ModelError, match=r"word_embeddings.weight must have .* \(30000, 20\), got \(30522, 20\)"):
        bert.load(folder)


FIELDS = {
    "general.architecture": "llama",
    "llama.context_length": 8,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.embedding_length": 6,
    "llama.feed_forward_length": 7,
    "llama.attention.head_count": 3,
    "llama.attention.head_count_kv": 1,
    "llama.block_count": 1,
    "llama.vocab_size": 11,
}
SHAPES = {
    "token_embd": (11, 6),
    "output_norm": (6,),
    "blk.0.attn_norm": (6,),
    "blk.0.attn_q": (6, 6),
    "blk.0.attn_k": (2, 6),
    "blk.0.attn_v": (2, 6),
    "blk.0.attn_output": (6, 6),
    "blk.0.ffn_norm": (6,),
    "blk.0.ffn_gate": (7, 6),
    "blk.0.ffn_up": (7, 6),
    "blk.0.ffn_down": (6, 7),
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blk.0.attn_v": None}, r"but 1 of 11 are missing: blk.0.attn_v.weight$"),
        ({"blk.0.attn_k": (6, 6)}, r"blk.0.attn_k.weight must have the shape \(2, 6\), got \(6, 6\)$"),
    ],
)
def test_a_packaged_file_that_lacks_a_tensor_is_not_converted(tmp_path, monkeypatch, changes, message):
    shapes = {f"{name}.weight": shape for name, shape in (SHAPES | changes).items() if shape}
    tensors = {name: gguf_file.Tensor(0, shape, np.zeros(shape, np.float32)) for name, shape in shapes.items()}
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(smollm2.safetensors_file, "verify", lambda path, sha256: None)
    monkeypatch.setattr(gguf_file, "read", lambda path: gguf_file.Contents(FIELDS, tensors))
    with pytest.raises(ModelError, match=message):
        smollm2.convert(tmp_path / smollm2.FILE)
    assert list(tmp_path.iterdir()) == []


# the pages


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_pages_show_the_note(folder, page):
    change(folder, prefixed("_orig_mod."))
    app = check(opened(page, model=str(folder), text=WORDS))
    assert any("which training put there" in sentence for sentence in said(app))


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_pages_refuse_in_one_sentence_and_keep_what_was_typed(folder, page):
    change(folder, prefixed("encoder."))
    app = check(opened(page, model=str(folder), text=WORDS), charts=0)
    (sentence,) = [error.value for error in app.error]
    assert "are missing" in sentence
    assert "Agrees" not in " ".join(said(app))
    assert app.selectbox[0].value == str(folder) or str(folder) in [box.value for box in app.selectbox]
    assert WORDS in [area.value for area in (*app.text_area, *app.text_input)]
    assert Path(app.query_params["model"]) == folder
