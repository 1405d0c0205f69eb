"""A model that writes, opened from its files and run in numpy alone."""

import json

import numpy as np
import pytest
from processes import printed

from attn.models.ablation import PartFactor, ablation
from attn.pretrained import ModelError, language_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WORDS = ["<s>", "</s>", "the", "tired", "animal", "did", "not", "cross", "street", "it", "was", "too", "."]
TEXT = "the animal did not cross the street ."
SIZES = {"vocab_size": len(WORDS), "hidden_size": 24, "intermediate_size": 31, "num_hidden_layers": 3}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 23}
SIZES |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}


def save(folder, config, number_type=torch.float32):
    """Write a random model and a tokenizer that knows a few words; return the model as it was written."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config).eval().to(number_type)
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(WORDS)}, unk_token="it"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return model.to(torch.float32)


@pytest.fixture(scope="module", params=[torch.float32, torch.float16, torch.bfloat16], ids=str)
def both(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    return save(folder, transformers.LlamaConfig(**SIZES), request.param), language_model.load(folder)


def test_a_text_gets_the_scores_that_transformers_gives_it(both):
    theirs, ours = both
    read = language_model.read(ours, TEXT)
    assert [token.text for token in read.tokens] == TEXT.split()
    assert read.truncated_from is None
    with torch.no_grad():
        logits = theirs(torch.tensor([[token.id for token in read.tokens]])).logits[0].numpy()
    np.testing.assert_allclose(read.passed.logits, logits, rtol=0, atol=1e-5 * np.abs(logits).max())


@pytest.mark.parametrize("layer", range(3))
@pytest.mark.parametrize(
    "family",
    [
        transformers.LlamaConfig(**SIZES),
        transformers.MistralConfig(**SIZES, sliding_window=4),
        transformers.GPT2Config(vocab_size=len(WORDS), n_embd=24, n_layer=3, n_head=4, n_positions=23),
    ],
    ids=lambda config: config.model_type,
)
def test_a_text_read_again_from_a_changed_layer_on_is_what_the_whole_pass_makes(tmp_path, family, layer):
    save(tmp_path, family)
    opened, asked = language_model.load(tmp_path), set()
    changes = ablation([PartFactor(layer, 1, 0.0), PartFactor(2, "feed_forward", 1.5)])

    def change(step, number, array):
        asked.add(number)
        doubled = 2 if (step, number) == ("residual", layer + 1) else 1
        return changes(step, number, array) * np.asarray(doubled, array.dtype)

    before, expected = (language_model.read(opened, TEXT, steps=True, change=each) for each in (None, change))
    asked.clear()
    again = language_model.read_again(opened, before, layer, change)
    assert min(asked) == layer
    np.testing.assert_equal(again, expected)
    assert np.abs(again.passed.logits - before.passed.logits).max() > 1e-3


def test_a_text_is_read_again_only_with_the_steps_of_a_layer_that_there_is(both):
    _, opened = both
    with pytest.raises(ValueError, match="before must have the steps of 3 layers, got 0"):
        language_model.read_again(opened, language_model.read(opened, TEXT), 1, ablation([]))
    with pytest.raises(ValueError, match="layer must be"):
        language_model.read_again(opened, language_model.read(opened, TEXT, steps=True), 3, ablation([]))


def test_it_writes_what_transformers_writes(both):
    theirs, ours = both
    written = list(language_model.write(ours, TEXT, 7))
    ids = torch.tensor([[WORDS.index(word) for word in TEXT.split()]])
    expected = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=7, do_sample=False)[0]
    assert [one.id for one in written] == expected[ids.shape[1] :].tolist()
    assert [one.text for one in written] == [WORDS[one.id] for one in written]
    for at, one in enumerate(written):
        assert one.cache.length == ids.shape[1] + at
        assert one.probabilities.sum() == pytest.approx(1)
        assert one.probabilities.argmax() == one.id


def test_a_text_that_outgrows_the_short_factors_is_read_anew_as_in_transformers(tmp_path):
    factors = {"long_factor": [9.0, 1.0, 7.0], "short_factor": [1.0, 1.1, 1.3]}
    scaling = {"rope_type": "longrope", "rope_theta": 1e4, **factors}
    config = transformers.Phi3Config(
        **SIZES, rope_parameters=scaling, original_max_position_embeddings=11, initializer_range=0.5
    )
    theirs, ours = save(tmp_path, config), language_model.load(tmp_path)
    expected = theirs.generate(
        torch.tensor([[WORDS.index(word) for word in TEXT.split()]]), max_new_tokens=12, do_sample=False,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    written = list(language_model.write(ours, TEXT, 12))
    assert [one.id for one in written] == expected.sequences[0, len(TEXT.split()) :].tolist()
    assert len(written) > 5
    for one, logits in zip(written, expected.logits, strict=True):
        np.testing.assert_allclose(one.logits, logits[0].numpy(), atol=1e-4)


def test_drawing_follows_the_probabilities(both):
    _, ours = both
    drawn = [
        next(language_model.write(ours, TEXT, 1, temperature=0.7, rng=np.random.default_rng(n))) for n in range(300)
    ]
    counts = np.bincount([one.id for one in drawn], minlength=len(WORDS)) / len(drawn)
    assert np.abs(counts - drawn[0].probabilities).max() < 0.1


def test_it_ends_where_the_model_has_no_more_positions(both):
    _, ours = both
    long = " ".join(["tired"] * 21)
    ids = [one.id for one in language_model.write(ours, long, 50)]
    assert 1 <= len(ids) <= 3  # the 22nd and 23rd token are read; what follows the last is written and not read
    assert language_model.read(ours, " ".join(["tired"] * 40)).truncated_from == 40


def test_it_ends_with_a_token_that_ends_a_text(both):
    _, ours = both
    first = next(language_model.write(ours, TEXT, 1)).id
    ending = language_model.LanguageModel(**(vars(ours) | {"end_ids": frozenset([first])}))
    assert [one.id for one in language_model.write(ending, TEXT, 7)] == [first]


def test_gpt2_is_opened_by_the_same_function(tmp_path):
    config = transformers.GPT2Config(
        n_embd=20, n_layer=2, n_head=4, n_positions=23, vocab_size=len(WORDS), bos_token_id=0, eos_token_id=1
    )
    theirs = save(tmp_path, config)
    read = language_model.read(language_model.load(tmp_path), TEXT, steps=True)
    with torch.no_grad():
        logits = theirs(torch.tensor([[token.id for token in read.tokens]])).logits[0].numpy()
    np.testing.assert_allclose(read.passed.logits, logits, rtol=0, atol=1e-5)
    assert len(read.passed.layers) == 2


def test_neither_torch_nor_transformers_is_loaded(tmp_path):
    save(tmp_path, transformers.LlamaConfig(**SIZES))
    code = f"""if True:
        import sys
        from attn.pretrained import language_model
        model = language_model.load({str(tmp_path)!r})
        list(language_model.write(model, {TEXT!r}, 3))
        print(*sys.modules)
    """
    assert not {"torch", "transformers"} & {name.split(".")[0] for name in printed(code).split()}


def edited(folder, **changes):
    """Change the configuration of a folder; None takes a field out."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "t5"}, "must be of one of these families to be computed in numpy: llama, .*; it is t5"),
        ({"intermediate_size": 33}, r"cannot be computed in numpy: .*gate_proj.weight must have shape \(33, 24\)"),
        ({"hidden_size": None}, "cannot be computed in numpy: hidden_size of the configuration must be .*, got None"),
        ({"num_hidden_layers": 4}, r"must have a tensor model.layers.3.* it has none"),
        ({"rope_parameters": {"rope_type": "magic", "rope_theta": 1e4}}, "rope_type must be one of default"),
        ({"hidden_act": "magic"}, "hidden_act must be one of gelu, .*, got 'magic'"),
        ({"is_causal": False}, "cannot be computed in numpy: is_causal must be true"),
        ({"num_hidden_layers": "x"}, "cannot be computed in numpy: num_hidden_layers of the configuration must be"),
        ({"rope_parameters": "x"}, "cannot be computed in numpy: "),
        ({"num_hidden_layers": 10**9}, "must have num_hidden_layers up to 1,000, got 1,000,000,000"),
    ],
)
def test_what_cannot_be_computed_is_said_in_a_sentence(tmp_path, changes, sentence):
    save(tmp_path, transformers.LlamaConfig(**SIZES))
    edited(tmp_path, **changes)
    with pytest.raises(ModelError, match=sentence):
        language_model.load(tmp_path)


def test_a_weight_must_be_a_number(tmp_path):
    from safetensors.numpy import load_file, save_file

    save(tmp_path, transformers.LlamaConfig(**SIZES))
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = np.nan
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"must be numbers, but 1 of the 744 of model.layers.1.mlp.up_proj.weight are"):
        language_model.load(tmp_path)


def test_a_configuration_with_a_mark_of_its_encoding_is_read_and_a_broken_tokenizer_is_said(tmp_path):
    save(tmp_path, transformers.LlamaConfig(**SIZES))
    config = tmp_path / "config.json"
    config.write_text(config.read_text(), encoding="utf-8-sig")
    assert language_model.load(tmp_path).family == "llama"
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has a tokenizer\.json that cannot be opened: "):
        language_model.load(tmp_path)


def test_what_stands_for_unknown_words_is_as_the_settings_say(tmp_path):
    save(tmp_path, transformers.LlamaConfig(**SIZES))
    assert language_model.load(tmp_path).tokenizer.unknown == {
        WORDS.index("it"): "it"
    }  # as the tokenizer itself has it
    said = tmp_path / "tokenizer_config.json"
    said.write_text(json.dumps({"unk_token": {"content": "too"}, "eos_token": "</s>"}))
    assert language_model.load(tmp_path).tokenizer.unknown == {WORDS.index("too"): "too"}
    said.write_text(json.dumps({"unk_token": "</s>", "eos_token": "</s>"}))  # which then has another task
    assert language_model.load(tmp_path).tokenizer.unknown == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"num_tokens": -1}, "num_tokens must be"),
        ({"temperature": -1.0}, "temperature must be"),
        ({"temperature": 0.5}, "rng must be given to draw at a temperature of 0.5"),
        ({"text": ""}, "at least one token"),
    ],
)
def test_bad_arguments_are_refused(both, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        list(language_model.write(both[1], **({"text": TEXT, "num_tokens": 2} | given)))
