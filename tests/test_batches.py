"""Several texts in one pass: each is read, named, measured and compared as if it were alone."""

import copy

import numpy as np
import pytest

from attn import pretrained
from attn.analysis.head_table import METRICS, measure_each
from attn.pretrained import ModelError
from attn.pretrained.families import tiny_models
from attn.pretrained.recording import registry, tiles

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = ["The cat sat.", "The animal did not cross the street because it was too tired.", "It was unbelievable"]
SIZES = {"vocab_size": 30522, "pad_token_id": 0, "bos_token_id": 101, "eos_token_id": 102, "initializer_range": 0.2}
SMALL = SIZES | {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "intermediate_size": 17}
BART = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in
        {"layers": 2, "attention_heads": 3, "ffn_dim": 17}.items()}  # fmt: skip
MODELS = {
    "bert": (transformers.BertModel, SMALL),
    "roberta": (transformers.RobertaModel, SMALL | {"max_position_embeddings": 61}),
    "llama": (transformers.LlamaForCausalLM, SMALL | {"num_key_value_heads": 3}),
    "gpt2": (transformers.GPT2LMHeadModel, SIZES | {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 59}),
    "bart": (transformers.BartForConditionalGeneration, SIZES | BART | {"d_model": 24, "init_std": 0.2,
             "decoder_start_token_id": 102}),
    "t5": (transformers.T5ForConditionalGeneration, SIZES | {"d_model": 24, "d_kv": 8, "d_ff": 17, "num_layers": 2,
           "num_heads": 3, "decoder_start_token_id": 0}),
}  # fmt: skip
# read by their ids alone, in a batch of two rows
FAMILIES = """bert roberta distilbert albert electra modernbert esm xmod splinter gpt2 gpt_neox llama mistral qwen3
    gemma2 gpt_oss opt biogpt ctrl cohere2 jamba t5gemma m2m_100 t5 bart marian"""
FROM_THE_LEFT = ["bart", "marian"]  # count their places from there, whatever stands in them


@pytest.fixture(scope="module")
def tokenizer():
    return pretrained.load().tokenizer


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    model_class, config = MODELS[request.param]
    torch.manual_seed(5)
    return model_class._from_config(model_class.config_class(**config), attn_implementation="eager").eval()


@pytest.fixture(params=["left", "right"])
def side(request):
    return request.param


def padding(tokenizer, side, **changes):
    """Return a tokenizer that pads on one side."""
    other = copy.deepcopy(tokenizer)
    other.padding_side = side
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def backend_of(tokenizer):
    """Return a copy of what cuts the text; a tokenizer that has filled up a batch would remember its padding token."""
    backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    return backend


def assert_alike(one, other, atol=1e-6):
    """Check that two recordings are the same in all that they tell."""
    assert (one.text, one.pair, one.tokens, one.decoder_tokens) == (
        other.text, other.pair, other.tokens, other.decoder_tokens,
    )  # fmt: skip
    assert len(one.layers) == len(other.layers) > 0
    for ours, theirs in zip(one.layers, other.layers, strict=True):
        assert (ours.kind, ours.query_tokens, ours.key_tokens) == (theirs.kind, theirs.query_tokens, theirs.key_tokens)
        assert theirs.weights().std() > 0.01  # an even attention would agree with anything
        assert ours.source.query_shape == ours.query.shape == theirs.query.shape
        assert ours.source.key_shape == ours.key.shape == theirs.key.shape
        np.testing.assert_allclose(ours.weights(), theirs.weights(), rtol=0, atol=atol)
        np.testing.assert_allclose(ours.reference_weights(), theirs.reference_weights(), rtol=0, atol=atol)
        np.testing.assert_allclose(ours.output, theirs.output, rtol=0, atol=1e-5 * np.abs(theirs.output).max())
        np.testing.assert_allclose(ours.hidden, theirs.hidden, rtol=0, atol=1e-5 * np.abs(theirs.hidden).max())


# -- a list of texts ---------------------------------------------------------------------------------------------------


def test_each_text_is_read_as_if_it_were_alone(model, tokenizer, side):
    loaded = pretrained.wrap(model, padding(tokenizer, side))
    recording = pretrained.record(loaded, TEXTS)
    assert (recording.text, recording.tokens) == (None, ())
    assert [one.text for one in recording.batch] == TEXTS
    for text, one in zip(TEXTS, recording.batch, strict=True):
        assert_alike(one, pretrained.record(loaded, text))
        assert one.batch == (one,)


def test_what_the_model_reads_is_what_its_tokenizer_makes_of_the_list(model, tokenizer, side):
    given = []
    loaded = pretrained.wrap(model, padding(tokenizer, side))
    hook = model.register_forward_pre_hook(lambda *call: given.append(call[2]), with_kwargs=True)
    pretrained.record(loaded, TEXTS)
    hook.remove()
    encoder_decoder = model.config.is_encoder_decoder
    theirs = padding(tokenizer, "right" if encoder_decoder else side)(TEXTS, padding=True, return_tensors="pt")
    for name in ("input_ids", "attention_mask"):
        assert torch.equal(given[0][name], theirs[name])
    if encoder_decoder:
        labels = theirs["input_ids"]
        moved = model.prepare_decoder_input_ids_from_labels(labels=labels)
        mask = given[0]["decoder_attention_mask"].bool()
        assert mask.sum() == theirs["attention_mask"].sum()
        assert torch.equal(given[0]["decoder_input_ids"][mask], moved[mask])


def test_metrics_of_a_text_are_those_of_the_text_alone(tokenizer, side):
    loaded = pretrained.wrap(pretrained.load().model, padding(tokenizer, side))
    layer, alone = pretrained.record(loaded, TEXTS).batch[0].layers[3], pretrained.record(loaded, TEXTS[0]).layers[3]
    metrics = [
        measure_each(
            each.weights()[0],
            tokens=[token.id for token in each.key_tokens],
            special=[token.special for token in each.key_tokens],
            words=[token.text for token in each.key_tokens],
            cross=False,
            mask=None if each.mask is None else each.mask[0, 0],
        )
        for each in (layer, alone)
    ]
    assert metrics[0].keys() == metrics[1].keys() == METRICS.keys()
    for name, values in metrics[0].items():
        np.testing.assert_allclose(values, metrics[1][name], rtol=0, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(
        pretrained.from_input(loaded, layer).steps.output, pretrained.from_input(loaded, alone).steps.output, atol=1e-5
    )


def test_a_comparison_is_of_all_texts_and_of_no_padding(model, tokenizer):
    loaded = pretrained.wrap(model, padding(tokenizer, "left"))
    recording = pretrained.record(loaded, TEXTS)
    whole, parts = pretrained.compare(recording, scale=0.9), [
        pretrained.compare(one, scale=0.9) for one in recording.batch
    ]  # fmt: skip
    sizes = [
        [layer.query.shape[2] * layer.key.shape[2] for layer in one.layers for _ in range(layer.num_heads)]
        for one in recording.batch
    ]
    for all_texts, each, weights in zip(whole, zip(*parts, strict=True), zip(*sizes, strict=True), strict=True):
        assert all_texts.largest == max(one.largest for one in each) > 1e-3
        assert all_texts.mean == pytest.approx(np.average([one.mean for one in each], weights=weights))
    assert max(each.largest for each in pretrained.compare(recording)) < 1e-6


def test_the_verdict_is_on_each_text_and_on_all(tokenizer, side):
    minilm = pretrained.load()
    recording = pretrained.record(pretrained.wrap(minilm.model, padding(tokenizer, side)), TEXTS)
    for text, one in zip(TEXTS, recording.batch, strict=True):
        finding = pretrained.verdict_of(one).input
        count = len(tokenizer(text)["input_ids"])
        assert (finding.holds, finding.number) == (True, f"{count} of {count} ids")
    verdict = pretrained.verdict_of(recording)
    assert str(verdict.input) == "3 of 3 texts as the model's own preparation makes each alone"
    assert (verdict.input.holds, verdict.attention.holds) == (True, True)
    recording.batch[1].inputs["input_ids"][0, 2] += 1
    wrong = pretrained.verdict_of(recording).input
    assert wrong.holds is False
    assert str(wrong).startswith("2 of 3 texts as")
    assert "of text 2, 14 of 15 ids as its own tokenizer makes them: input_ids at 2 must be" in str(wrong)


def test_one_text_in_a_list_is_that_text(tokenizer):
    minilm = pretrained.load()
    recording = pretrained.record(minilm, TEXTS[:1])
    assert recording.batch == (recording,)
    assert_alike(recording, pretrained.record(minilm, TEXTS[0]), atol=0)


def test_second_texts_are_given_one_for_each(tokenizer):
    minilm = pretrained.load()
    seconds = ["It purred.", "Why was it tired of the long street?", "No"]
    for one, text, second in zip(pretrained.record(minilm, TEXTS, pair=seconds).batch, TEXTS, seconds, strict=True):
        assert_alike(one, pretrained.record(minilm, text, pair=second), atol=3e-6)


def test_decoders_read_their_own_texts(tokenizer):
    model_class, config = MODELS["bart"]
    torch.manual_seed(5)
    loaded = pretrained.wrap(model_class(model_class.config_class(**config)), tokenizer)
    seconds = ["a b c d e", "f", "g h"]
    for one, text, second in zip(pretrained.record(loaded, TEXTS, pair=seconds).batch, TEXTS, seconds, strict=True):
        assert_alike(one, pretrained.record(loaded, text, pair=second))


def test_long_texts_are_made_again_one_by_one(tokenizer, side, monkeypatch):
    loaded = pretrained.wrap(pretrained.load().model, padding(tokenizer, side))
    alone = [pretrained.record(loaded, text) for text in TEXTS]
    monkeypatch.setattr(tiles, "LARGEST", 4 * 3 * 12 * 15 * 15 - 1)  # of three texts, but not of one
    recording = pretrained.record(loaded, TEXTS)
    assert all("MadeAgain" in type(layer.source).__name__ for one in recording.batch for layer in one.layers)
    for one, same in zip(recording.batch, alone, strict=True):
        assert_alike(one, same, atol=3e-6)
    assert max(each.largest for each in pretrained.compare(recording)) < pretrained.TOLERANCE


def test_without_padding_token_the_end_token_fills_up_and_that_is_said(tokenizer):
    bare = transformers.PreTrainedTokenizerFast(tokenizer_object=backend_of(tokenizer), eos_token="[SEP]")
    loaded = pretrained.wrap(pretrained.load().model, bare, name="a model")
    recording = pretrained.record(loaded, TEXTS)
    assert recording.note == (
        "The tokenizer of a model has no padding token: shorter texts are filled up with its end token [SEP], "
        "which is hidden and left out."
    )
    for text, one in zip(TEXTS, recording.batch, strict=True):
        assert_alike(one, pretrained.record(loaded, text))
    assert pretrained.record(loaded, TEXTS[:1] * 2).note == ""  # nothing had to be filled up


# -- inputs that are padded already ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES.split())
def test_rows_of_padded_inputs_are_read_as_if_they_were_alone(family, side):
    built = tiny_models.tiny(family)
    loaded, ids = pretrained.wrap(built.model), built.inputs["input_ids"]
    mask = torch.ones_like(ids)
    mask[1, : 3 if side == "left" else 0] = 0
    mask[1, 4 if side == "right" else 7 :] = 0
    padded = torch.where(mask.bool(), ids, getattr(built.model.config, "pad_token_id", None) or 0)
    inputs = built.inputs | {"input_ids": padded, "attention_mask": mask}
    if side == "left" and family in FROM_THE_LEFT:
        with pytest.raises(ModelError, match="lets padding change the texts: queries of text 2 move by"):
            pretrained.record(loaded, inputs=inputs)
        return
    recording = pretrained.record(loaded, inputs=inputs)
    for row, one in enumerate(recording.batch):
        alone = {name: value[row : row + 1] for name, value in built.inputs.items()}
        real = mask[row].bool()
        alone |= {"input_ids": ids[row : row + 1, real], "attention_mask": mask[row : row + 1, real]}
        assert_alike(one, pretrained.record(loaded, inputs=alone), atol=pretrained.TOLERANCE)
        assert [token.id for token in one.tokens] == alone["input_ids"][0].tolist()


def test_padding_may_lie_anywhere():
    built = tiny_models.tiny("llama")
    loaded, ids = pretrained.wrap(built.model), built.inputs["input_ids"][:1]
    mask = torch.tensor([[0, 1, 1, 0, 1, 0, 1]])
    one = pretrained.record(loaded, inputs={"input_ids": ids, "attention_mask": mask}).batch[0]
    assert_alike(one, pretrained.record(loaded, inputs={"input_ids": ids[mask.bool()][None]}))


def test_places_that_are_given_stay():
    built = tiny_models.tiny("gpt2")
    loaded, ids = pretrained.wrap(built.model), built.inputs["input_ids"]
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [1] * 7])
    inputs = {"input_ids": ids, "attention_mask": mask}
    plain = pretrained.record(loaded, inputs=inputs)
    with torch.inference_mode(), registry.handling(registry.eager):
        own = built.model(**inputs, position_ids=torch.arange(7)[None], output_attentions=True).attentions
    there = pretrained.record(loaded, inputs=inputs | {"position_ids": torch.arange(7)[None]})
    seen = there.layers[1].mask.any(axis=-1, keepdims=True)
    np.testing.assert_allclose(there.layers[1].weights(), own[1].numpy() * seen, rtol=0, atol=1e-6)
    assert np.abs(there.layers[1].weights() - plain.layers[1].weights()).max() > 0.01


def test_names_of_a_batch_are_those_of_all_its_rows_or_numbers(tokenizer):
    minilm = pretrained.load()
    layer = pretrained.record(minilm, TEXTS).layers[0]
    assert [token.text for token in layer.query_tokens] == [str(i) for i in range(15)]
    assert layer.query_tokens == layer.key_tokens
    pictures = tiny_models.tiny("vit")
    layer = pretrained.record(pretrained.wrap(pictures.model), inputs=pictures.inputs).layers[0]
    assert [token.text for token in layer.key_tokens][:3] == ["[0]", "1·1", "1·2"]
    assert [each.query.shape[0] for each in layer.batch] == [1, 1]


# -- what cannot be read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"text": []}, ValueError, "there must be at least one text, got an empty list"),
        ({"text": ["a", 5]}, ValueError, "text 2: text must be a string, got int"),
        ({"text": ["a", ["b"]]}, ValueError, "text 2: text must be a string, got list"),
        ({"text": [None]}, ValueError, "text 1: text must be a string, got NoneType"),
        ({"text": ["a", "b" * 200_001]}, ModelError, "text 2: text must have at most 200,000 characters"),
        ({"text": ["a", "b"], "pair": "c"}, ValueError, "a second text for each of the 2 texts, got one"),
        ({"text": ["a", "b"], "pair": ["c"]}, ValueError, "a second text for each of the 2 texts, got 1"),
        ({"text": "a", "pair": ["c"]}, ValueError, "text must be a string, got list"),
        ({"text": ["a"], "inputs": {}}, ValueError, "either a text or inputs must be given, got both"),
        ({"inputs": {"input_ids": [[7, 8], [7, 8]], "attention_mask": [[1, 1], [0, 0]]}}, ModelError,
         "each row of attention_mask must show at least one token, but row 1 "),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence(arguments, error, message):
    with pytest.raises(error, match=message) as raised:
        pretrained.record(pretrained.load(), **arguments)
    assert "\n" not in str(raised.value)


def test_a_text_without_tokens_is_named_by_its_number(tokenizer):
    backend = backend_of(tokenizer)
    backend.post_processor = None
    bare = transformers.PreTrainedTokenizerFast(tokenizer_object=backend)
    loaded = pretrained.wrap(pretrained.load().model, bare)
    with pytest.raises(ModelError, match="text 2: the text has no token"):
        pretrained.record(loaded, ["one", ""])
    with pytest.raises(ModelError, match="no padding token and no end token"):
        pretrained.record(loaded, ["one", "one two"])
    assert len(pretrained.record(loaded, ["one", "two"]).batch) == 2


def test_a_model_that_mixes_padding_into_a_text_says_so(tokenizer):
    config = transformers.MobileBertConfig(**SMALL | {"embedding_size": 12, "intra_bottleneck_size": 12})
    torch.manual_seed(5)
    # it reads each token together with its neighbours, of which only its own padding token is nothing
    loaded = pretrained.wrap(transformers.MobileBertModel(config), padding(tokenizer, "right", pad_token="[SEP]"))
    with pytest.raises(ModelError, match=r"lets padding change the texts: queries of text 1 move by .* in layer 1"):
        pretrained.record(loaded, TEXTS[::-1])
    assert len(pretrained.record(loaded, TEXTS[:1] * 2).batch) == 2


def test_a_layer_of_padded_texts_does_not_start_from_its_input(tokenizer):
    minilm = pretrained.load()
    layer = pretrained.record(minilm, TEXTS).layers[0]
    with pytest.raises(ValueError, match=r"must be without padding: take that of one text"):
        pretrained.from_input(minilm, layer)
