"""What people bring as a model: good files open whatever they are called, and others are named as what they are."""

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from driving import check, opened

from attn import pretrained
from attn.pretrained import ModelError, bert
from attn.pretrained.families.check import check as check_family
from attn.pretrained.intervention.run import run
from attn.pretrained.loading import quantized
from attn.pretrained.loading.address import read_address

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 440473133\n"
INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a tiny BERT and the tokenizer of the default model."""
    folder = tmp_path_factory.mktemp("tiny")
    config = transformers.BertConfig(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=17, max_position_embeddings=41
    )
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    for file in TOKENIZER_FILES:
        shutil.copy(pretrained.inspect().folder / file, folder)
    return folder


@pytest.fixture
def copied(tiny, tmp_path):
    """A copy of the tiny model to change."""
    return Path(shutil.copytree(tiny, tmp_path / "copied"))


@pytest.fixture(scope="module")
def query(tiny):
    """The queries of the last layer of the tiny model, by which its weights are known."""
    return queries_of(tiny)


def queries_of(folder):
    """Load a model and return the queries of its last layer over a text."""
    return pretrained.record(pretrained.load(folder), "a b").layers[-1].query


def edited(folder, file="config.json", **changes):
    """Change what a JSON file of a folder says; None takes a name out."""
    path = folder / file
    said = (json.loads(path.read_text()) if path.exists() else {}) | changes
    path.write_text(json.dumps({name: value for name, value in said.items() if value is not None}))


def in_shards(folder, name=lambda at, count: f"model-{at + 1:05d}-of-{count:05d}.safetensors", count=3):
    """Spread the weights of a folder over several files, named by a function."""
    tensors = safetensors.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {tensor: name(at % count, count) for at, tensor in enumerate(sorted(tensors))}
    for file in set(places.values()):
        part = {tensor: tensors[tensor] for tensor in tensors if places[tensor] == file}
        safetensors.save_file(part, folder / file, {"format": "pt"})
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return sorted(set(places.values()))


# weights in several files


@pytest.mark.parametrize(
    "name",
    [
        lambda at, count: f"model-{at:05d}-of-{count:05d}.safetensors",
        lambda at, count: f"model-{at:05d}-of-{count - 1:05d}.safetensors",
        lambda at, count: f"model.safetensors-{at + 1:05d}-of-{count:05d}.safetensors",
        lambda at, count: f"consolidated-{at}.safetensors",
        lambda at, count: f"layers_{'abc'[at]}.safetensors",
    ],
    ids=["from zero", "one more than it says", "ending first", "consolidated", "by letters"],
)
def test_the_index_says_which_files_hold_the_weights(copied, query, name):
    files = in_shards(copied, name)
    (copied / "model-00001-of-00009.safetensors").write_bytes((copied / files[0]).read_bytes())  # of an older save
    np.testing.assert_array_equal(queries_of(copied), query)
    assert pretrained.inspect(copied).bytes == sum((copied / file).stat().st_size for file in files)


@pytest.mark.parametrize("first", [0, 1])
def test_files_whose_names_count_them_need_no_index(copied, query, first):
    files = in_shards(copied, lambda at, count: f"model-{at + first:05d}-of-{count:05d}.safetensors")
    (copied / INDEX).unlink()
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    np.testing.assert_array_equal(queries_of(copied), query)
    assert pretrained.inspect(copied).bytes == sum((copied / file).stat().st_size for file in files)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before  # nothing is written there


@pytest.mark.parametrize("metadata", [None, []])
def test_an_index_needs_no_metadata(copied, query, metadata):
    in_shards(copied)
    edited(copied, INDEX, metadata=metadata)
    np.testing.assert_array_equal(queries_of(copied), query)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_json_is_read_in_the_encodings_that_editors_write(copied, query, encoding):
    in_shards(copied)
    for path in copied.iterdir():
        if path.suffix in (".json", ".txt"):
            path.write_bytes(path.read_text(encoding="utf-8").replace("\n", "\r\n").encode(encoding))
    np.testing.assert_array_equal(queries_of(copied), query)
    assert run(pretrained.load(copied), "a b").tokens[1].text == "a"


def test_a_full_disk_for_temporary_files_is_one_sentence(copied, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    edited(copied, auto_map=5)
    assert pretrained.load(copied).num_layers
    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with pytest.raises(ModelError, match=f"^there is no room left on the disk for {copied}$"):
        pretrained.load(copied)


@pytest.mark.parametrize(
    "name", ["pytorch_model.safetensors", "model.fp16.safetensors", "bert-base-finetuned.safetensors"]
)
def test_the_only_file_of_weights_may_be_called_anything(copied, query, name):
    (copied / "model.safetensors").rename(copied / name)
    np.testing.assert_array_equal(queries_of(copied), query)


def test_config_may_name_the_file_of_weights(copied, query):
    (copied / "model.safetensors").rename(copied / "own.safetensors")
    (copied / "other.safetensors").write_bytes((copied / "own.safetensors").read_bytes())
    edited(copied, transformers_weights="own.safetensors")
    np.testing.assert_array_equal(queries_of(copied), query)


# addresses


def spellings(folder):
    """Return what people paste for a folder."""
    spaced = str(folder).replace(" ", "\\ ")
    return [
        *(f'"{folder}"', f"'{folder}'", f"  “{folder}” ", f"`{folder}`", f"{folder}/", spaced),
        *(folder.as_uri(), f'"{folder.as_uri()}"', folder / "config.json", f"{folder / 'model.safetensors'}"),
    ]


def test_a_folder_is_found_however_it_is_written(tiny, tmp_path, monkeypatch):
    folder = tmp_path / "my model"
    shutil.copytree(tiny, folder)
    for written in spellings(folder):
        assert pretrained.inspect(written).folder.samefile(folder), written
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pretrained.inspect("~/my model").folder == folder
    assert pretrained.load(f'"{folder}"').name == str(folder)


def test_a_folder_of_the_hubs_cache_is_its_current_snapshot(tiny, tmp_path):
    folder = tmp_path / "models--lab--tiny"
    for commit in ("abc", "def"):
        shutil.copytree(tiny, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    assert pretrained.inspect(folder).folder == folder / "snapshots" / "abc"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("owner/name", ("owner/name", None, "")),
        ("gpt2", ("gpt2", None, "")),
        ("owner/name@v1.0", ("owner/name", "v1.0", "")),
        ("owner/name@main", ("owner/name", None, "")),
        ("owner/name@refs/pr/3", ("owner/name", "refs/pr/3", "")),
        ("'owner/name'", ("owner/name", None, "")),
        ("https://huggingface.co/owner/name", ("owner/name", None, "")),
        ("https://huggingface.co/owner/name/", ("owner/name", None, "")),
        ("http://www.huggingface.co/owner/name?library=transformers", ("owner/name", None, "")),
        ("https://huggingface.co/owner/name#usage", ("owner/name", None, "")),
        ("huggingface.co/owner/name", ("owner/name", None, "")),
        ("hf.co/owner/name", ("owner/name", None, "")),
        ("hf://owner/name@dev", ("owner/name", "dev", "")),
        ("hf://models/owner/name", ("owner/name", None, "")),
        ("git@hf.co:owner/name.git", ("owner/name", None, "")),
        ("https://huggingface.co/gpt2", ("gpt2", None, "")),
        ("https://huggingface.co/gpt2/tree/main", ("gpt2", None, "")),
        ("https://huggingface.co/owner/name/tree/main", ("owner/name", None, "")),
        ("https://huggingface.co/owner/name/tree/v2", ("owner/name", "v2", "")),
        ("https://huggingface.co/owner/name/tree/refs%2Fpr%2F1", ("owner/name", "refs/pr/1", "")),
        ("https://huggingface.co/owner/name/tree/main/0_Transformer", ("owner/name", None, "0_Transformer")),
        ("https://huggingface.co/owner/name/blob/main/config.json", ("owner/name", None, "")),
        ("https://huggingface.co/owner/name/resolve/dev/sub/model.safetensors", ("owner/name", "dev", "sub")),
        ("https://huggingface.co/owner/name/commit/0a1b2c", ("owner/name", "0a1b2c", "")),
        ("https://huggingface.co/owner/name/discussions/7", ("owner/name", None, "")),
        ("owner/name/tree/main", ("owner/name", None, "")),
    ],
)
def test_a_model_on_the_hub_is_found_however_it_is_written(written, found):
    address = read_address(written)
    assert (address.id, address.revision, address.inside) == found
    assert read_address(address.name) == address  # its own name leads to it again


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("https://huggingface.co/datasets/owner/name", "a link must lead to a model"),
        ("https://huggingface.co/spaces/owner/name", "a link must lead to a model"),
        ("https://huggingface.co/", "a model must be named"),
        ("https://example.org/owner/name", "must be on the Hugging Face hub or in a folder, got the link"),
        ("file:///no/such/folder", "there is no folder file:///no/such/folder"),
        ("'/no/such/folder'", "there is no folder /no/such/folder"),
        ("owner/name@", None),
        ("owner/name@a b", "a revision must be a branch, a tag or a commit of owner/name"),
        ("owner/name@../../etc", "a revision must be"),
        ("https://huggingface.co/owner/name/tree/main/../..", "a revision must be"),
        ("https://", "a model must be"),
        ('"', "a model must be named"),
        ('""', "a model must be named"),
        ("@", "a model must be named"),
    ],
)
def test_what_is_no_address_is_one_sentence(written, message):
    if message is None:
        assert read_address(written).revision is None
        return
    with pytest.raises(ModelError, match=message):
        read_address(written)


def test_a_link_to_the_default_model_is_the_one_that_comes_along():
    assert pretrained.inspect(f"https://huggingface.co/{pretrained.DEFAULT}/tree/main").where == "package"


def test_a_file_that_is_no_part_of_a_model_is_named(tmp_path):
    for file, message in (("model-q4.gguf", "is a GGUF file"), ("model.zip", "must be given by its folder, got")):
        (tmp_path / file).write_bytes(b"")
        with pytest.raises(ModelError, match=message):
            pretrained.inspect(tmp_path / file)


# folders around a model


def trainers_folder(tiny, folder, best=None, steps=(500, 1000, 1500)):
    """Write what a Trainer leaves: checkpoints, of which the newest says which was best."""
    for step in steps:
        shutil.copytree(tiny, folder / f"checkpoint-{step}")
        state = {"global_step": step, "best_model_checkpoint": best and f"./somewhere/{best}"}
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))
    (folder / "runs").mkdir()


@pytest.mark.parametrize(
    ("best", "steps", "first", "words"),
    [
        (
            "checkpoint-500",
            (500, 1000, 1500),
            "checkpoint-500",
            "3 checkpoints in folders of .*the best by its trainer_",
        ),
        (None, (500, 1000, 1500), "checkpoint-1500", "3 checkpoints in folders of .*: open .*1500, the newest"),
        ("checkpoint-9", (900, 1000), "checkpoint-1000", "2 checkpoints in folders of .*: open .*1000, the newest"),
        (
            None,
            (500,),
            "checkpoint-500",
            "a checkpoint in a folder of its own and none at its top: open .*/checkpoint-500$",
        ),
    ],
)
def test_checkpoints_of_a_trainer_are_offered(tiny, tmp_path, best, steps, first, words):
    trainers_folder(tiny, tmp_path, best, steps)
    with pytest.raises(ModelError, match=words) as raised:
        pretrained.load(tmp_path)
    offers = raised.value.offers
    assert Path(offers[0]) == tmp_path / first
    assert len(offers) == len(steps)
    assert pretrained.inspect(offers[0]).folder == tmp_path / first


def test_checkpoints_are_offered_where_only_weights_are_missing_at_the_top(tiny, tmp_path):
    trainers_folder(tiny, tmp_path)
    shutil.copy(tiny / "config.json", tmp_path)
    with pytest.raises(ModelError) as raised:
        pretrained.load(tmp_path)
    assert Path(raised.value.offers[0]) == tmp_path / "checkpoint-1500"


def test_checkpoints_that_hold_an_adapter_alone_are_offered(tmp_path):
    for step in (20, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
        for file in ("adapter_config.json", "adapter_model.safetensors", "trainer_state.json"):
            (tmp_path / f"checkpoint-{step}" / file).write_text("{}")
    with pytest.raises(ModelError, match="2 checkpoints in folders of their own") as raised:
        pretrained.inspect(tmp_path)
    assert [Path(offer).name for offer in raised.value.offers] == ["checkpoint-100", "checkpoint-20"]


def test_a_folder_around_a_model_offers_it(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "unpacked")
    with pytest.raises(ModelError, match=r"holds a model in a folder of its own and none at its top: .*unpacked"):
        pretrained.load(tmp_path)


@pytest.mark.parametrize("inside", ["", "0_Transformer", "0_BERT"])
def test_a_folder_of_sentence_transformers_is_opened(tiny, tmp_path, query, inside):
    shutil.copytree(tiny, tmp_path / inside, dirs_exist_ok=True)
    modules = [
        {"idx": 0, "name": "0", "path": inside, "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 12}')
    np.testing.assert_array_equal(queries_of(tmp_path), query)


# quantised weights

METHODS = {
    "GPTQ, 4 bits": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "AWQ, 4 bits": {"quant_method": "awq", "bits": 4, "version": "gemm"},
    "bitsandbytes, 4 bits": {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False},
    "bitsandbytes, 8 bits": {"load_in_8bit": True},
    "FP8": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "compressed-tensors": {"quant_method": "compressed-tensors", "format": "pack-quantized"},
    "MXFP4": {"quant_method": "mxfp4", "modules_to_not_convert": []},
    "AQLM": {"quant_method": "aqlm"},
    "HQQ, 4 bits": {"quant_method": "hqq", "nbits": 4},
    "torchao": {"quant_method": "torchao"},
    "BitNet": {"quant_method": "bitnet"},
    "quark": {"quant_method": "quark"},
    "ModelOpt": {"quant_method": "modelopt", "quant_algo": "NVFP4"},
    "newest": {"quant_method": "newest"},
}


def packed(folder, dtype=torch.int8):
    """Store one matrix as codes."""
    tensors = safetensors.load_file(folder / "model.safetensors")
    name = "bert.encoder.layer.0.attention.self.query.weight"
    tensors[name] = tensors[name].to(dtype)
    safetensors.save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("method", METHODS)
def test_quantised_weights_are_named_by_their_method(copied, method):
    edited(copied, quantization_config=METHODS[method])
    packed(copied)
    (copied / "README.md").write_text("---\nlicense: mit\nbase_model:\n- lab/tiny\n---\n# A model")
    with pytest.raises(ModelError) as raised:
        pretrained.load(copied)
    assert f"are quantised ({method})" in str(raised.value)
    assert "open lab/tiny, the model they were made from, with weights in float32" in str(raised.value)
    assert "install" not in str(raised.value)
    assert raised.value.offers == ("lab/tiny",)


@pytest.mark.parametrize(
    ("names", "dtype", "method"),
    [
        (["l.q_proj.qweight", "l.q_proj.qzeros", "l.q_proj.scales"], torch.int32, "GPTQ or AWQ"),
        (["l.q_proj.weight", "l.q_proj.SCB"], torch.int8, "bitsandbytes"),
        (["l.q_proj.weight", "l.q_proj.weight.absmax"], torch.uint8, "bitsandbytes"),
        (["l.q_proj.weight", "l.q_proj.weight_scale_inv"], torch.float8_e4m3fn, "scaled integers or 8-bit floats"),
        (["l.q_proj.weight_packed", "l.q_proj.weight_scale"], torch.int32, "scaled integers or 8-bit floats"),
        (["l.experts.gate_up_proj_blocks", "l.experts.gate_up_proj_scales"], torch.uint8, "MXFP4"),
        (["l.q_proj.weight", "l.q_proj.scales", "l.q_proj.biases"], torch.uint32, "scaled integers or 8-bit floats"),
        (["l.q_proj.codes", "l.q_proj.codebooks"], torch.int8, "AQLM"),
        (["l.q_proj.weight"], torch.int8, "whole numbers as l.q_proj.weight"),
    ],
)
def test_quantised_weights_are_known_by_their_tensors(copied, names, dtype, method):
    tensors = safetensors.load_file(copied / "model.safetensors")
    tensors |= {name: torch.ones(4, 4).to(dtype if at == 0 else torch.float16) for at, name in enumerate(names)}
    safetensors.save_file(tensors, copied / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=rf"are quantised \({method}\)"):
        pretrained.load(copied)


def test_old_files_beside_the_weights_name_the_method(copied):
    (copied / "quantize_config.json").write_text('{"bits": 4}')
    packed(copied, torch.int32)
    with pytest.raises(ModelError, match=r"quantised \(GPTQ\)"):
        pretrained.load(copied)


def test_plain_weights_open_though_the_configuration_speaks_of_a_method(copied, query):
    edited(copied, quantization_config=METHODS["bitsandbytes, 4 bits"])
    np.testing.assert_array_equal(queries_of(copied), query)
    note = pretrained.load(copied).note
    assert "speaks of quantised weights (bitsandbytes, 4 bits), but they are plain" in note
    edited(copied, quantization_config=METHODS["BitNet"])  # which computes with other layers
    with pytest.raises(ModelError, match=r"quantised \(BitNet\)"):
        pretrained.load(copied)


@pytest.mark.parametrize("said", ["gptq", ["gptq"], "", None])
def test_a_method_may_be_named_in_any_form(copied, query, said):
    path = copied / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": said, "auto_map": None}))
    np.testing.assert_array_equal(queries_of(copied), query)
    assert ("quantised weights (GPTQ), but they are plain" in pretrained.load(copied).note) == (said == "gptq")
    packed(copied)
    with pytest.raises(ModelError, match="are quantised .GPTQ" if said == "gptq" else "are quantised"):
        pretrained.load(copied)


def test_buffers_of_whole_numbers_are_no_quantised_weights(copied, query):
    tensors = safetensors.load_file(copied / "model.safetensors")
    tensors["bert.embeddings.position_ids"] = torch.arange(41)[None]
    tensors["bert.encoder.layer.0.attention.bias"] = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
    safetensors.save_file(tensors, copied / "model.safetensors", {"format": "pt"})
    np.testing.assert_array_equal(queries_of(copied), query)


def test_what_a_model_was_made_from_is_read_from_its_card():
    assert quantized.base_of(b"---\nbase_model: a/b-1.5\n---\n") == "a/b-1.5"
    assert quantized.base_of(b"---\nbase_model: [a/b]\n---\n") == "a/b"
    assert quantized.base_of(b"---\nlicense: mit\n---\nbase_model: a/b") is None
    assert quantized.base_of(b"# no head\n\xff") is None


# other files


def renamed(old, *new):
    """Return what renames a file of a folder, also to several names."""

    def spoil(folder):
        held = (folder / old).read_bytes()
        (folder / old).unlink()
        for name in new:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(held)

    return spoil


def holding(file, content):
    """Return what writes a file of a folder."""

    def spoil(folder):
        (folder / file).write_bytes(content)

    return spoil


def configured(**changes):
    """Return what changes the configuration of a folder."""
    return lambda folder: edited(folder, **changes)


def emptied(*kept):
    """Return what takes everything out of a folder but some files, and makes others."""

    def spoil(folder):
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink()
        for name in kept:
            (folder / name).touch()

    return spoil


def missing_shard(folder):
    (folder / in_shards(folder)[1]).unlink()


def half_a_shard(folder):
    file = in_shards(folder)[1]
    (folder / file).rename(folder / f"{file}.incomplete")


def parts_by_letter(folder):
    in_shards(folder, lambda at, count: f"layers_{'abc'[at]}.safetensors")
    (folder / INDEX).unlink()


def missing_part(folder):
    missing_shard(folder)
    (folder / INDEX).unlink()


def part_twice(folder):
    files = in_shards(folder)
    (folder / INDEX).unlink()
    shutil.copy(folder / files[0], folder / files[1])


def odd_index(folder):
    in_shards(folder)
    (folder / INDEX).write_text('{"weight_map": []}')


def index_of(file):
    """Return what makes an index name a file, which is there and holds all weights."""

    def spoil(folder):
        places = dict.fromkeys(safetensors.load_file(folder / "model.safetensors"), file)
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / "model.safetensors").rename(folder / file)
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))

    return spoil


def configured_weights(file):
    """Return what makes a config.json name a file, which is there and holds all weights, beside the usual one."""

    def spoil(folder):
        if isinstance(file, str):
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copy(folder / "model.safetensors", folder / file)
        edited(folder, transformers_weights=file)

    return spoil


def without_number(folder):
    tensors = safetensors.load_file(folder / "model.safetensors")
    tensors["bert.encoder.layer.1.attention.self.query.weight"][3, 5] = torch.nan
    safetensors.save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def with_header(header):
    """Return what gives the file of weights another header."""

    def spoil(folder):
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)

    return spoil


def tokenizer_with_code(folder):
    emptied("model.safetensors", "config.json")(folder)
    auto_map = {"AutoTokenizer": ["own.Tokenizer", None]}
    edited(folder, "tokenizer_config.json", tokenizer_class="Own", auto_map=auto_map)


def link_to_nothing(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../../blobs/4d7a2146")


def parts_of_training(*names):
    """Return what replaces the weights of a folder by what training leaves of them."""

    def spoil(folder):
        (folder / "model.safetensors").unlink()
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()

    return spoil


def empty_tensors(folder):
    tensors = safetensors.load_file(folder / "model.safetensors")
    empty = {name: torch.zeros(0) for name in tensors}
    safetensors.save_file(empty, folder / "model.safetensors", {"format": "pt"})


def newer_tokenizer(folder):
    edited(folder, "tokenizer.json", pre_tokenizer={"type": "Newest"})


def japanese_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    edited(folder, "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer", word_tokenizer_type="mecab")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (link_to_nothing, "has no weights .*; model.safetensors is a link to a file that is not there"),
        (parts_of_training("zero_to_fp32.py", "global_step5/mp_rank_00_model_states.pt"), "parts of a DeepSpeed check"),
        (parts_of_training("pytorch_model_fsdp_0/__0_0.distcp"), "parts of an FSDP checkpoint, which `accelerate"),
        (empty_tensors, "holds empty tensors, .* as DeepSpeed's ZeRO-3 leaves it: the zero_to_fp32.py"),
        (emptied("bert_config.json", "bert_model.ckpt.index", "vocab.txt"), "no config.json, but files for TensorFlow"),
        (newer_tokenizer, r"did not match any variant .*\(tokenizers [\d.]+ is here\)"),
        (japanese_tokenizer, "it needs the Python package fugashi .pip install fugashi"),
        (holding("tokenizer_config.json", b"{"), "has a tokenizer_config.json that cannot be read: it ends too early"),
        (holding("tokenizer.json", b"[]"), r"its tokenizer.json must be an object with names in it, got \[\]"),
        (holding("config.json", b"[1]"), r"config.json of .* must be an object with names in it, got \[1\]"),
        (holding("config.json", b" "), "has a config.json that cannot be read: it is empty$"),
        (holding("config.json", '{"é": 1}'.encode("latin-1")), "it must be in UTF-8, but byte 2 is not"),
        (holding("config.json", b'{"a": 1, // of mine\n}'), "a comment, which JSON does not have, in line 1, c"),
        (holding("config.json", b"{'a': None}"), "', as Python and not JSON writes it, in line 1, column 2"),
        (holding("config.json", b'{"a": NaN, "a": 2}'), "has a config.json that says a more than once: nan and 2"),
        (configured(num_attention_heads="3"), "must have a whole number as num_attention_heads, got '3'"),
        (configured(pad_token_id="0"), "must have a whole number or null as pad_token_id, got '0'"),
        (configured(num_attention_heads=0), "has a 0 where at least 1 is needed, such as num_attention_heads"),
        (configured(model_type=["bert"]), r"must have a text as model_type, got \['bert'\]"),
        (configured(model_type="BERT"), "knows no kind of model called BERT, though bert, which"),
        (configured(id2label=["a"]), r"must have an object as id2label, got \['a'\]"),
        (holding("config.json", b"\n<html></html>"), "config.json is a web page, not the file itself"),
        (configured(hidden_size="12"), "the config.json of .* must have a whole number as hidden_size, got '12'$"),
        (configured(hidden_act="newest"), "cannot be opened: transformers knows no 'newest'"),
        (missing_shard, "must have the 3 safetensors files that its .* names, but model-00002-of-00003.* is missing$"),
        (half_a_shard, "is missing; model-00002-of-00003.safetensors.incomplete is a download that was not finished"),
        (parts_by_letter, "has 3 safetensors files, such as layers_a.*, but no model.safetensors.index.json"),
        (missing_part, "must have 3 safetensors files, as their names say, but model-00002-of-00003.* is missing$"),
        (part_twice, "has no model.safetensors.index.json, which would say whether its .* is that of model-00001-of"),
        (odd_index, "must say in a weight_map which file holds which tensor"),
        (index_of("../own.safetensors"), "must name safetensors files beside it, got '../own.safetensors'"),
        (index_of("inside/own.safetensors"), "must name safetensors files beside it, got 'inside/own.safetensors'"),
        (index_of("own.bin"), "must name safetensors files beside it, got 'own.bin'"),
        (configured_weights("own.bin"), "must name as transformers_weights a safetensors file beside it, got 'own.bin"),
        (configured_weights("inside/own.safetensors"), "a safetensors file beside it, got 'inside/own.safetensors'"),
        (configured_weights("../own.safetensors"), "a safetensors file beside it, got '../own.safetensors'"),
        (configured_weights(["model.safetensors"]), r"a safetensors file beside it, got \['model.safetensors'\]"),
        (without_number, "must be numbers, but 1 of the 144 of .*layer.1.attention.self.query.weight are NaN"),
        (with_header(b'{"a":' * 200_000 + b"1" + b"}" * 200_000), "is damaged .* recursion limit exceeded"),
        (with_header(b'{"a":{"dtype":"F32","data_offsets":[0,4]}}'), "is damaged .* missing field `shape`"),
        (with_header(b'{"a":' + b" " * 100_000_000), "is damaged .*: header too large"),
        (holding("tokenizer_config.json", b'{"model_max_length": "5"}'), "must be a number, got '5'"),
        (configured(hidden_size=60_000), "must ask for at most 2 GB of numbers here"),
        (configured(num_hidden_layers=1_000_000), "must have num_hidden_layers up to 1,000, got 1,000,000"),
        (configured(num_labels=10**9), "must have num_labels up to 100,000, got 1,000,000,000"),
        (holding("model.safetensors", POINTER), "model.safetensors is a git-lfs pointer, .*git lfs pull"),
        (holding("tokenizer.json", POINTER), "tokenizer.json is a git-lfs pointer"),
        (holding("config.json", POINTER), "config.json is a git-lfs pointer"),
        (holding("model.safetensors", b"<!DOCTYPE html><html>"), "model.safetensors is a web page, not the file"),
        (holding("model.safetensors", b"PK\x03\x04" + bytes(300)), "is a file of torch.save under another name"),
        (holding("tokenizer.json", b'{"model": {"type": "Newest"}}'), "has no tokenizer that can be opened, .*: "),
        (emptied(), "is an empty folder$"),
        (emptied("config.json"), r"has no weights \(model.safetensors\)$"),
        (emptied("weights-Q4_K_M.gguf"), "it has no config.json, but files for GGUF, which llama.cpp reads"),
        (emptied("model_index.json"), "it has no config.json, but files for diffusers"),
        (emptied("params.json", "consolidated.00.pth"), "but files for the programs of Meta or Mistral"),
        (emptied("adapter_config.json"), "no config.json, but files for PEFT"),
        (emptied("notes.txt"), "it has no config.json$"),
        (renamed("model.safetensors", "pytorch_model.bin"), "no safetensors file, only pytorch_model.bin, a format"),
        (renamed("model.safetensors", "model.pt", "training_args.bin"), "no safetensors file, only model.pt"),
        (renamed("model.safetensors", "last.ckpt"), "no safetensors file, only last.ckpt"),
        (renamed("model.safetensors", "tf_model.h5"), "only weights for TensorFlow .tf_model.h5"),
        (renamed("model.safetensors", "flax_model.msgpack"), "only weights for Flax .flax_model.msgpack"),
        (renamed("model.safetensors", "model-q8.gguf"), "only weights for GGUF, which llama.cpp reads .model-q8.gguf"),
        (renamed("model.safetensors", "onnx/model.onnx"), "only weights for ONNX .onnx/model.onnx"),
        (renamed("model.safetensors", "weights.npz"), "only weights for numpy .weights.npz"),
        (renamed("model.safetensors", "adapter_model.safetensors"), "an adapter .adapter_model.safetensors. but not"),
        (renamed("model.safetensors", "consolidated.safetensors"), "as Mistral's own programs read them"),
        (renamed("model.safetensors", "model.safetensors.part"), "model.safetensors.part is a download that was not"),
        (configured(model_type=None, architectures=None), "must name a model_type that transformers knows"),
        (configured(model_type=None, architectures=["Own"]), "must name a model_type that transformers knows"),
        (configured(model_type=None, architectures=None, pretrained_cfg={}), "is a model for timm, not for"),
        (configured(model_type=None, architectures=None, _diffusers_version="1"), "is a model for diffusers"),
        (configured(model_type="brand_new"), "transformers knows no kind of model called brand_new.*version"),
        (tokenizer_with_code, "needs Python code from its repository, and such code is never run here"),
    ],
)  # fmt: skip
def test_other_files_are_named_as_what_they_are(copied, spoil, message):
    spoil(copied)
    with pytest.raises(ModelError, match=message) as raised:
        pretrained.load(copied)
    assert "\n" not in str(raised.value)


def test_in_numpy_too_a_weight_must_be_a_number(copied):
    without_number(copied)
    with pytest.raises(ModelError, match=r"1 of the 144 of .*layer\.1\.attention\.self\.query\.weight are NaN"):
        bert.load(copied)


@pytest.mark.parametrize("asked", [{"hidden_size": 60_000}, {"hidden_size": 1_200, "num_hidden_layers": 1_000}])
def test_random_weights_are_counted_before_they_are_drawn(copied, asked):
    edited(copied, **asked)
    with pytest.raises(ModelError, match=r"must ask for at most 2 GB of numbers here, got [\d.]+ GB or more"):
        pretrained.load(copied, random_weights=True)


def test_the_size_that_is_counted_is_the_size_that_is_built(copied):
    edited(copied, num_hidden_layers=9)  # more than the file holds, whose size is looked at first
    model = pretrained.load(copied, random_weights=True).model
    size = 4 * sum(each.numel() for each in model.parameters())  # tied embeddings once
    size += sum(each.numel() * each.element_size() for each in model.buffers())
    assert pretrained.load(copied, random_weights=True, size_limit=size).num_layers == 9
    with pytest.raises(ModelError, match="must ask for at most"):
        pretrained.load(copied, random_weights=True, size_limit=size - 1)


def test_the_family_is_told_from_the_architectures_where_no_model_type_is_named(copied, query):
    edited(copied, model_type=None)
    np.testing.assert_array_equal(queries_of(copied), query)
    assert "names no model_type; it was opened as bert" in pretrained.load(copied).note


def test_code_of_a_repository_that_was_not_run_is_said(copied):
    edited(copied, auto_map={"AutoModel": "own.Model"})
    assert "Code that its repository has for it was not run" in pretrained.load(copied).note


# tokens that a model has no embedding for


def with_added_tokens(folder, *tokens):
    """Add tokens to the tokenizer of a folder, and leave its model as it is."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(list(tokens))
    tokenizer.save_pretrained(folder)


def test_an_added_token_without_an_embedding_is_refused_before_the_model_runs(copied):
    with_added_tokens(copied, "<speaker>", "<pause>")
    loaded = pretrained.load(copied)
    assert "knows 2 tokens that the model has no embedding for, such as “<speaker>” with the id 30,522 where there" in (
        loaded.note
    )
    pretrained.record(loaded, "a text without it")
    loaded.model.register_forward_pre_hook(lambda *given: pytest.fail("the model ran"))
    message = r"the token “<pause>” \(id 30,523\) has no embedding in .*, which has 30,522 \(ids 0 to 30,521\): tokens"
    for given in ({"text": "a <pause> b"}, {"inputs": {"input_ids": [[1, 30523]]}}):
        with pytest.raises(ModelError, match=message):
            pretrained.record(loaded, **given)
        with pytest.raises(ModelError, match=message):
            run(loaded, **given)
    with pytest.raises(ModelError, match=r"the id 40,000 has no embedding in .*which has 30,522 \(ids 0 to 30,521\)$"):
        pretrained.record(loaded, inputs={"input_ids": [[40000]]})


def test_a_decoder_has_embeddings_of_its_own(tmp_path):
    config = transformers.T5Config(vocab_size=50, d_model=8, d_ff=8, num_layers=1, num_heads=2, d_kv=4)
    loaded = pretrained.wrap(transformers.T5Model(config), name="t5")
    pretrained.record(loaded, inputs={"input_ids": [[49]], "decoder_input_ids": [[49]]})
    with pytest.raises(ModelError, match="the id 50 has no embedding in t5, which has 50"):
        pretrained.record(loaded, inputs={"input_ids": [[4]], "decoder_input_ids": [[50]]})


@pytest.mark.parametrize("family", ["musicgen", "dia"])  # several texts, and several books of codes for each place
def test_ids_that_are_no_words_of_one_text_are_let_through(family):
    assert check_family(family).verdict == "agrees"


def test_resized_embeddings_are_read(copied):
    with_added_tokens(copied, "<pause>")
    model = transformers.BertForMaskedLM.from_pretrained(copied)
    model.resize_token_embeddings(30523)
    model.save_pretrained(copied)
    loaded = pretrained.load(copied)
    assert "no embedding" not in loaded.note
    assert pretrained.record(loaded, "a <pause>").tokens[2].id == 30522


# on the pages


def test_a_page_says_why_and_opens_what_is_offered(tiny, tmp_path):
    trainers_folder(tiny, tmp_path, "checkpoint-1000")
    app = opened("pretrained", model=f'"{tmp_path}"')
    assert app.exception == []
    assert "3 checkpoints in folders" in app.error[0].value
    assert [button.label for button in app.button if button.label.startswith("Open ")] == [
        *("Open checkpoint\\-1000", "Open checkpoint\\-1500", "Open checkpoint\\-500")
    ]
    next(button for button in app.button if button.label.startswith("Open ")).click().run()
    check(app)
    assert app.session_state["pretrained.model"] == str(tmp_path / "checkpoint-1000")


@pytest.mark.parametrize("page", ["pretrained", "change"])
def test_a_folder_that_is_not_there_is_no_dead_end(page):
    app = opened(page, model="/no/such/folder")
    assert "There is no folder" in app.error[0].value
    offered = [button for button in app.button if button.label.startswith("Open ")]
    assert offered[0].label.replace("\\", "") == "Open all-MiniLM-L6-v2"
    offered[0].click().run()
    check(app)
    assert app.session_state[f"{page}.model"] == pretrained.DEFAULT
    assert list(app.error) == []


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_pages_say_what_a_model_that_cannot_be_opened_is(copied, page):
    edited(copied, quantization_config=METHODS["AWQ, 4 bits"])
    packed(copied)
    app = opened(page, model=copied)
    assert app.exception == []
    assert "are quantised (AWQ, 4 bits)" in app.error[0].value.replace("\\", "")
    assert app.session_state[f"{page}.model"] == str(copied)


def test_files_that_a_system_hides_are_no_weights(copied, query):
    (copied / "model.safetensors").rename(copied / "renamed.safetensors")
    (copied / "._renamed.safetensors").write_bytes(b"of a Mac")
    np.testing.assert_array_equal(queries_of(copied), query)
