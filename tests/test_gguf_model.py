"""A GGUF file as a model in numpy: held against what transformers makes of the same file."""

import numpy as np
import pytest

from attn.pretrained import ModelError, language_model
from attn.pretrained.loading import gguf_file, gguf_model

gguf = pytest.importorskip("gguf")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LETTERS = sorted({*"thecatsonmd.Ġ", *"123'"})
MERGES = ["t h", "th e", "Ġ the", "c a", "ca t", "Ġ cat", "s a", "o n", "1 2"]
PIECES = ["<s>", "</s>", *LETTERS, *(merge.replace(" ", "") for merge in MERGES)]
TEXT = "the cat's on the mat 123 the cats."
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES |= {"num_key_value_heads": 2, "max_position_embeddings": 61, "vocab_size": len(PIECES)}
KINDS = {"llama": ("Llama", "smollm"), "qwen2": ("Qwen2", "qwen2"), "qwen3": ("Qwen3", "qwen2")}
ROLES = {there: here for here, there in gguf_model.LAYER.items()}


def interleaved(matrix, heads):
    """Return the rows of queries or keys in the order in which files of Llama have them."""
    return matrix.reshape(heads, 2, -1, *matrix.shape[1:]).swapaxes(1, 2).reshape(matrix.shape)


def write(path, family, kind=0, fields=(), without=()):
    """Write a random model of a family with the writer of the package, and return it as transformers has it."""
    config = getattr(transformers, f"{KINDS[family][0]}Config")(**SIZES, head_dim=16, tie_word_embeddings=False)
    torch.manual_seed(2)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    writer = gguf.GGUFWriter(path, family)
    writer.add_context_length(61)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(16)
    writer.add_key_length(16)
    writer.add_vocab_size(len(PIECES))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(KINDS[family][1])
    writer.add_token_list(PIECES)
    writer.add_token_types([3, 3] + [1] * (len(PIECES) - 2))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for add, value in fields:
        getattr(writer, add)(value)
    for name, tensor in model.state_dict().items():
        array = tensor.numpy()
        if array.ndim == 1 and name.endswith("weight"):
            array = array + np.linspace(-0.2, 0.2, array.size, dtype=np.float32)  # no norm at its start
            tensor.copy_(torch.from_numpy(array))
        if ".layers." in name:
            _, _, layer, *rest, ending = name.split(".")
            role = ROLES[".".join(rest)]
            heads = {"attn_q": 4, "attn_k": 2}.get(role)
            array = interleaved(array, heads) if heads and family == "llama" else array
            named = f"blk.{layer}.{role}.{ending}"
        else:
            named = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}[
                name.rpartition(".")[0]
            ] + ".weight"
        if named in without:
            continue
        if kind and array.ndim == 2:
            writer.add_tensor(named, gguf.quantize(array, gguf.GGMLQuantizationType(kind)), raw_dtype=kind)
        else:
            writer.add_tensor(named, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


@pytest.mark.parametrize("family", KINDS)
def test_a_file_gives_the_scores_of_the_model_that_it_was_made_of(tmp_path, family):
    theirs = write(tmp_path / "model.gguf", family)
    ours = language_model.load(tmp_path / "model.gguf")
    read = language_model.read(ours, TEXT)
    assert "".join(token.text for token in read.tokens) == TEXT.replace(" ", "␣")
    with torch.no_grad():
        logits = theirs(torch.tensor(read.passed.ids)[None]).logits[0].numpy()
    np.testing.assert_allclose(read.passed.logits, logits, rtol=0, atol=1e-5 * np.abs(logits).max())


def test_numbers_of_eight_bits_are_those_that_transformers_reads(tmp_path):
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    made = write(tmp_path / "model.gguf", "llama", kind=int(gguf.GGMLQuantizationType.Q8_0))
    theirs = load_gguf_checkpoint(str(tmp_path / "model.gguf"), return_tensors=True, model_to_load=made)
    contents = gguf_file.read(tmp_path / "model.gguf")
    config = gguf_model.configuration(contents, "model.gguf")
    ours = gguf_model.open_weights(contents, config, "model.gguf")
    for name, tensor in theirs["tensors"].items():
        np.testing.assert_array_equal(ours[name], tensor.numpy())
    assert ours.keys() == theirs["tensors"].keys()
    assert {name: config[name] for name in SIZES} == {name: theirs["config"][name] for name in SIZES}


@pytest.mark.parametrize(("words", "kind"), [("qwen2", "Qwen2Tokenizer"), ("gpt-2", "GPT2Tokenizer")])
def test_words_are_found_as_the_tokenizers_of_transformers_find_them(words, kind):
    fields = {"model": "gpt2", "pre": words, "tokens": PIECES, "merges": MERGES}
    fields |= {"token_type": [3, 3] + [1] * (len(PIECES) - 2)}
    ours = gguf_model.tokenizer({f"tokenizer.ggml.{key}": value for key, value in fields.items()}, "model.gguf")
    vocabulary, merges = {piece: id for id, piece in enumerate(PIECES)}, [tuple(merge.split()) for merge in MERGES]
    theirs = getattr(transformers, kind)(vocab=vocabulary, merges=merges).backend_tokenizer
    for text in (TEXT, "the cat's  mat the 123", "on  the mat."):
        assert ours.encode(text).ids == theirs.encode(text).ids


def test_a_text_begins_as_the_file_says(tmp_path):
    write(tmp_path / "model.gguf", "llama", fields=[("add_add_bos_token", True)])
    first = language_model.read(language_model.load(tmp_path / "model.gguf"), "the cat").tokens[0]
    assert (first.text, first.special) == ("<s>", True)


@pytest.mark.parametrize(
    ("family", "fields", "without", "sentence"),
    [
        ("llama", [("add_rope_scaling_type", gguf.RopeScalingType.YARN)], (), "scales its rotary positions"),
        ("llama", [("add_tokenizer_pre", "magic")], (), "must cut text into words as one of gpt-2, smollm"),
        ("llama", [("add_rope_dimension_count", 8)], (), "must turn all 16 numbers of a head by position, it turns 8"),
        ("llama", [("add_block_count", 0)], (), "must say llama.block_count as a number above 0, it says 0"),
        ("llama", [("add_token_merges", ["t"])], (), "a type for each token and merges of two tokens each"),
        ("llama", [("add_token_merges", ["m d"])], (), "in its vocabulary what merges make"),
        ("llama", [("add_bos_token_id", 99), ("add_add_bos_token", True)], (), "what merges make and texts begin with"),
        ("qwen3", [], ("blk.1.ffn_up.weight",), "blk.1.ffn_up.weight"),
        ("qwen3", [("add_feed_forward_length", 95)], (), "ffn"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, family, fields, without, sentence):
    write(tmp_path / "model.gguf", family, fields=fields, without=without)
    with pytest.raises(ModelError, match=sentence):
        language_model.load(tmp_path / "model.gguf")


def test_a_file_above_the_limit_is_not_opened(tmp_path):
    write(tmp_path / "model.gguf", "llama")
    with pytest.raises(ModelError, match="must have at most"):
        language_model.load(tmp_path / "model.gguf", size_limit=100_000)


def test_a_weight_must_be_a_number(tmp_path):
    write(tmp_path / "model.gguf", "llama")
    with (tmp_path / "model.gguf").open("r+b") as file:
        file.seek(-4, 2)  # the last number of the last tensor
        file.write(np.float32(np.nan).tobytes())
    with pytest.raises(ModelError, match=r"must be numbers, but 1 of the [\d,]+ of .* are NaN"):
        language_model.load(tmp_path / "model.gguf")
