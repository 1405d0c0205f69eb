"""Files that are damaged at random, with a fixed seed: whatever comes of one, it is a result or one sentence."""

import io
import json
import struct
import time
import tracemalloc

import numpy as np
import pytest
import soundfile
from gguf_files import string, tiny_file
from PIL import Image

from attn import pretrained
from attn.data import picture_files, sounds
from attn.pretrained import ModelError
from attn.pretrained.loading import gguf_file, safetensors_file

RATE = 8_000
ODD = (b"\0" * 8, b"\xff" * 8, struct.pack("<Q", 2**60), struct.pack("<Q", 2**31), struct.pack("<I", 2**31 - 1), b"\1")
VALUES = (None, True, -1, 0, 1e308, 10**30, "", "x" * 1000, [], {}, [[[]]], {"type": "x"}, float("nan"))


def damaged(data, rng, head):
    """Return a file with a few of its first bytes changed, taken away or put in."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at, odd = int(rng.integers(min(head, len(data)) or 1)), ODD[rng.integers(len(ODD))]
        kind = rng.integers(5)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + len(odd)] = odd
        elif kind == 2:
            data[at:at] = odd
        elif kind == 3:
            del data[at : at + int(rng.integers(1, 9))]
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def altered(said, rng):
    """Return what a JSON file says with one value somewhere in it changed or taken out."""
    said = json.loads(json.dumps(said))
    places, left = [], [said]
    while left:
        one = left.pop()
        inside = list(one.items() if isinstance(one, dict) else enumerate(one))
        places += [(one, key) for key, _ in inside]
        left += [value for _, value in inside if isinstance(value, dict | list) and value]
    one, key = places[rng.integers(len(places))]
    value = rng.integers(len(VALUES) + 1)
    if value == len(VALUES):
        del one[key]
    else:
        one[key] = VALUES[value]
    return json.dumps(said).encode()


def survives(read, data):
    """Say whether a file is read, after checking that it is refused in one sentence if not."""
    try:
        read(data)
    except ValueError as error:  # ModelError is one
        said = str(error)
        assert said, "an error without words"
        assert "\n" not in said
        return False
    return True


def of_file(path, read):
    """Return a function that reads bytes as a file at a path."""

    def written(data):
        path.write_bytes(data)
        return read(path)

    return written


def all_numbers(path):
    """Read a GGUF file and all numbers in it."""
    for tensor in gguf_file.read(path).tensors.values():
        gguf_file.numbers(tensor)


def with_arrays(*parts):
    """Return the tiny GGUF file with one more field, of a type and a content."""
    data = bytearray(tiny_file()[0])
    data[16:24] = struct.pack("<Q", 4)
    data[24:24] = string("more") + b"".join(parts)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (with_arrays(struct.pack("<IIQ", 9, 0, 2**60)), "at most 5,000,000 values in arrays"),
        (with_arrays(struct.pack("<IIQ", 9, 0, 4_000_000)), "4,000,000 bytes must follow byte"),
        (with_arrays(struct.pack("<IIQ", 9, 8, 4_000_000)), "bytes must follow byte"),
        (with_arrays(struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5_000), "must hold numbers or strings"),
        (with_arrays(struct.pack("<IQ", 8, 2**40)), "must follow byte"),
        (with_arrays(struct.pack("<II", 77, 0)), "one of the types 0 to 12, got 77"),
        (with_arrays(struct.pack("<II", 4, 0)).replace(string("more"), string("general.name")), "once"),
        (with_arrays(struct.pack("<II", 4, 0)).replace(string("more"), string("general.alignment")), "power of two"),
        (with_arrays(struct.pack("<II", 4, 3)).replace(string("more"), string("general.alignment")), "power of two"),
        (tiny_file()[0].replace(string("eight"), string("plain")), "stand there once, got 'plain'"),
        (tiny_file()[0].replace(struct.pack("<QQ", 5, 3), struct.pack("<QQ", 2**60, 2**60)), "must end within"),
        (tiny_file()[0].replace(struct.pack("<QQ", 5, 3), struct.pack("<QQ", 2**33, 2**31)), "must end within"),
        (tiny_file()[0].replace(struct.pack("<IQQ", 2, 5, 3), struct.pack("<IQQ", 2**31, 5, 3)), "at most 4 axes"),
        (tiny_file()[0].replace(struct.pack("<QI", 2, 8), struct.pack("<QI", 2, 99)), "known type, got 99"),
        (tiny_file()[0].replace(struct.pack("<QQ", 32, 2), struct.pack("<QQ", 33, 2)), "blocks of 32 numbers, got 33"),
        (tiny_file()[0][:8] + struct.pack("<Q", 2**60) + tiny_file()[0][16:], "at most 100,000 tensors"),
        (tiny_file()[0][:16] + struct.pack("<Q", 2**60) + tiny_file()[0][24:], "at most 100,000 fields"),
    ],
)
def test_a_head_that_asks_for_too_much_is_refused_before_anything_is_made_of_it(data, why, tmp_path):
    (tmp_path / "tiny.gguf").write_bytes(data)
    tracemalloc.start()
    begun = time.perf_counter()
    with pytest.raises(ModelError, match=f"^tiny.gguf is damaged, or a GGUF file of a kind .+: .*{why}"):
        gguf_file.read(tmp_path / "tiny.gguf")
    assert time.perf_counter() - begun < 5
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_whole_gguf_file_is_read_as_its_own_package_reads_it(tmp_path):
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "tiny.gguf"
    path.write_bytes(with_arrays(struct.pack("<IIQ", 9, 10, 3), struct.pack("<3Q", 5, 2**60, 7)))
    ours, theirs = gguf_file.read(path), gguf.GGUFReader(path)
    known = {name: field.contents() for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert ours.fields == known
    assert len(ours.tensors) == len(theirs.tensors) == 3
    for tensor in theirs.tensors:
        assert ours.tensors[tensor.name].kind == tensor.tensor_type
        assert ours.tensors[tensor.name].shape == tuple(tensor.shape[::-1])
        np.testing.assert_array_equal(ours.tensors[tensor.name].data, tensor.data)


def sound(kind, **options):
    """Return the file of a short sound."""
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(np.arange(2000) / 3), RATE, format=kind, **options)
    return file.getvalue()


def picture(kind, **options):
    """Return the file of a small picture."""
    file = io.BytesIO()
    colours = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    Image.fromarray(colours).save(file, format=kind, **options)
    return file.getvalue()


def read_sound(data):
    return sounds.read_sound(data, RATE)


def read_picture(data):
    return picture_files.read_picture(data, 8)


@pytest.mark.parametrize(
    ("data", "read"),
    [
        *((sound(kind), read_sound) for kind in ("WAV", "FLAC", "OGG", "MP3")),
        *((picture(kind), read_picture) for kind in ("PNG", "JPEG", "WEBP", "GIF")),
        (picture("JPEG", progressive=True), read_picture),
        (picture("WEBP", lossless=True), read_picture),
    ],
    ids=["WAV", "FLAC", "OGG", "MP3", "PNG", "JPEG", "WebP", "GIF", "progressive JPEG", "lossless WebP"],
)
def test_a_damaged_picture_or_sound_is_read_or_refused_in_one_sentence(data, read):
    rng = np.random.default_rng(11)
    assert survives(read, data)
    assert sum(survives(read, damaged(data, rng, 200)) for _ in range(80)) < 80


def test_a_damaged_gguf_file_is_read_or_refused_in_one_sentence(tmp_path):
    rng, data = np.random.default_rng(11), tiny_file()[0]
    read = of_file(tmp_path / "tiny.gguf", all_numbers)
    assert survives(read, data)
    assert sum(survives(read, damaged(data, rng, 400)) for _ in range(300)) < 300


def test_a_damaged_head_of_safetensors_is_read_or_refused_in_one_sentence(tmp_path):
    rng, path = np.random.default_rng(11), tmp_path / "tiny.safetensors"
    safetensors_file.write_tensors(path, {"a": (2, 3), "b.c": (4,)}, [np.ones((2, 3)), np.ones(4)])
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    read, head = of_file(path, safetensors_file.open_tensors), json.loads(data[8 : 8 + length])
    assert survives(read, data)
    assert sum(survives(read, damaged(data, rng, 8 + length)) for _ in range(150)) < 150
    for _ in range(100):
        changed = altered(head, rng)
        survives(read, len(changed).to_bytes(8, "little") + changed + data[8 + length :])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a tiny BERT and a tokenizer of a few words."""
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("tiny")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c"]
    made = tokenizers.BertWordPieceTokenizer({word: id for id, word in enumerate(words)})
    tokenizer = transformers.BertTokenizerFast(tokenizer_object=made._tokenizer)
    tokenizer.save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=8, hidden_size=6, num_hidden_layers=1, num_attention_heads=3, intermediate_size=5
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_file_about_a_model_is_read_or_refused_in_one_sentence(folder, file, one_thread):
    rng, whole = np.random.default_rng(11), (folder / file).read_bytes()
    read = of_file(folder / file, lambda path: pretrained.record(pretrained.load(path.parent), "a bc a").layers)
    assert survives(read, whole)
    try:
        assert sum(survives(read, altered(json.loads(whole), rng)) for _ in range(25)) < 25
        assert sum(survives(read, damaged(whole, rng, len(whole))) for _ in range(10)) < 10
    finally:
        (folder / file).write_bytes(whole)


def test_a_token_for_unknown_words_that_is_itself_unknown_is_named(folder):
    file = folder / "tokenizer_config.json"
    whole = file.read_bytes()
    file.write_text(json.dumps(json.loads(whole) | {"unk_token": ""}))
    try:
        with pytest.raises(ModelError, match="must know its token for words that it does not know, got ''"):
            pretrained.load(folder)
    finally:
        file.write_bytes(whole)
