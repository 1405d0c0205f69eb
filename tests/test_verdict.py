"""The verdict on a recording: weights from the file, the input of the model's own preparation, the attention."""

import copy
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driving import check, opened
from test_families import FAMILIES

from attn import pretrained
from attn.data import pictures, sounds
from attn.functional import softmax
from attn.pretrained import __main__ as command
from attn.pretrained.families import tiny_models
from attn.pretrained.intervention.run import output_gap
from attn.pretrained.loading.weights_report import WeightsReport
from attn.pretrained.recording.compare import first_not_finite
from attn.pretrained.tolerances import LIMITS, LOGIT, STATE, WEIGHT
from attn.pretrained.verdict import input_finding, weights_finding
from attn.ui import models
from attn.ui.pages.change import effects
from attn.ui.terms import TERMS
from attn.words import number

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

pytestmark = pytest.mark.usefixtures("one_thread")

TEXT = "The keys to the cabinet are here"  # every word is one piece


@pytest.fixture(scope="module")
def minilm():
    return pretrained.load()


@pytest.fixture(scope="module")
def recording(minilm):
    return pretrained.record(minilm, TEXT, pair="a cabinet")


def test_all_three_hold_each_with_its_number(minilm, recording):
    verdict = pretrained.verdict_of(recording)
    largest = max(each.largest for each in pretrained.compare(recording))
    tensors = len(minilm.model.state_dict())
    ids = len(minilm.tokenizer(TEXT, "a cabinet")["input_ids"])
    assert verdict.holds
    assert str(verdict).splitlines() == [
        f"weights    yes        {tensors} of {tensors} tensors from its file",
        f"input      yes        {ids} of {ids} ids as its own tokenizer makes them",
        f"attention  yes        {number(largest, 2)} is the largest difference in 72 heads; up to 1e−5 is rounding "
        "(float32)",
    ]


def test_one_that_is_short_is_enough():
    good, open_, bad = (pretrained.Finding(holds, "1", "") for holds in (True, None, False))
    assert pretrained.Verdict(good, good, good).holds is True
    assert pretrained.Verdict(good, open_, good).holds is None
    assert pretrained.Verdict(bad, open_, good).holds is False


# weights


def test_weights_that_no_file_holds_are_not_those_of_the_file(minilm):
    drawn = weights_finding(pretrained.load(random_weights=True))
    wrapped = weights_finding(pretrained.wrap(minilm.model, minilm.tokenizer))
    count = len(minilm.model.state_dict())
    assert (drawn.holds, str(drawn)) == (None, f"0 of {count} tensors from a file: all were drawn at random")
    assert wrapped.holds is None
    assert str(wrapped) == f"{count} tensors in memory already: no file to hold them against"


def test_weights_are_counted_and_what_is_left_out_is_said(minilm):
    def said(*report):
        return weights_finding(replace(minilm, weights=WeightsReport(*report)))

    assert said(7, 9, (), ("pooler.w", "pooler.b"), ("float32",)) == (
        True, "7 of 7 tensors", "from its file; 2 more are not in it and not needed here",
    )  # fmt: skip
    assert said(9, 9, ("a", "b"), (), ("bfloat16",)).words == (
        "from its file, bfloat16 there and float32 here; 2 others in it are not used"
    )
    assert said(8, 9, (), ())[:2] == (False, "8 of 9 tensors")


def test_shorter_numbers_of_a_file_are_said(tmp_path):
    model = copy.deepcopy(tiny_models.tiny("bert").model)
    (tmp_path / "tokenizer.json").write_text((pretrained.inspect().folder / "tokenizer.json").read_text())
    model.to(torch.bfloat16).save_pretrained(tmp_path)
    loaded = pretrained.load(tmp_path)
    assert loaded.weights.number_types == ("bfloat16",)
    assert "bfloat16 there and float32 here" in str(weights_finding(loaded))
    assert loaded.number_type == "float32"


# input


def broken(recording, **inputs):
    """Judge the input of a recording as if the model had been given something else."""
    left = {name: value for name, value in (dict(recording.inputs) | inputs).items() if value is not None}
    return input_finding(replace(recording, inputs=left))


def test_an_input_that_is_not_the_tokenizers_own_is_found_out(recording):
    ids = recording.inputs["input_ids"]
    one = ids.clone()
    one[0, 3] += 1
    count = ids.shape[1]
    assert broken(recording, input_ids=one) == (
        False, f"{count - 1} of {count} ids",
        f"as its own tokenizer makes them: input_ids at 3 must be {ids[0, 3]}, got {ids[0, 3] + 1}",
    )  # fmt: skip
    bare = broken(recording, input_ids=ids[:, 1:-1])  # without special tokens
    assert bare.holds is False
    assert f"input_ids must have the shape (1, {count}), got (1, {count - 2})" in bare.words
    assert "token_type_ids is missing" in broken(recording, token_type_ids=None).words
    assert "it makes no position_ids" in broken(recording, position_ids=ids).words
    assert "attention_mask at 0 must be 1, got 0" in broken(recording, attention_mask=0 * ids).words


def test_a_text_read_in_another_way_than_its_tokenizer_does_is_found_out(minilm, recording, monkeypatch):
    whole = type(minilm.tokenizer).__call__
    plain = type(minilm.tokenizer)
    monkeypatch.setattr(plain, "__call__", lambda *args, **given: whole(*args, **given, add_special_tokens=False))
    without = pretrained.record(minilm, TEXT, pair="a cabinet")
    monkeypatch.undo()
    assert input_finding(without).holds is False
    assert input_finding(recording).holds is True


def test_given_ids_are_said_to_be_given(minilm, recording):
    given = pretrained.record(minilm, inputs=dict(recording.inputs))
    finding = input_finding(given)
    count = recording.inputs["input_ids"].numel()
    assert finding.holds is None
    assert str(finding) == f"{count} ids given as they are: nothing to hold them against"


def test_what_the_vocabulary_lacks_and_what_was_cut_is_said(minilm):
    assert input_finding(pretrained.record(minilm, "I saw 🤮 and 👍 here")).words.endswith(
        "; 2 of them unknown to its vocabulary"
    )
    short = replace(minilm, max_tokens=5)
    finding = input_finding(pretrained.record(short, TEXT))
    assert finding.holds
    assert str(finding) == "5 of 5 ids as its own tokenizer makes them, which cut 9 to 5"


def test_a_picture_is_held_against_the_image_processor():
    processor = transformers.models.vit.image_processing_pil_vit.ViTImageProcessorPil(size={"height": 64, "width": 64})
    loaded = pretrained.wrap(tiny_models.tiny("vit").model, image_processor=processor)
    picture, other = pictures.shapes(50), pictures.landscape(50)
    recording = pretrained.record(loaded, inputs=pretrained.image_inputs(loaded, picture))
    assert pretrained.verdict_of(recording, picture=picture).input == (
        True, "12,288 of 12,288 numbers", "as its own image processor makes them",
    )  # fmt: skip
    assert input_finding(recording, picture=other).holds is False
    assert input_finding(recording).number == "12,288 numbers"
    with pytest.raises(pretrained.ModelError, match="no image processor"):
        input_finding(replace(recording, loaded=pretrained.load()), picture=picture)


def test_a_sound_is_held_against_the_feature_extractor_and_what_is_said_against_the_shift():
    config = transformers.WhisperConfig(
        vocab_size=40, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=17, decoder_ffn_dim=17, num_mel_bins=8, max_source_positions=100,
        pad_token_id=1, eos_token_id=2, bos_token_id=2, decoder_start_token_id=3,
    )  # fmt: skip
    pieces = {word: at for at, word in enumerate(("[UNK]", "pad", "end", "start", "hi", "you"))}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(pieces, "[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        "start $A end", special_tokens=[("start", 3), ("end", 2)]
    )
    loaded = pretrained.wrap(
        transformers.WhisperForConditionalGeneration(config).eval(),
        transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", eos_token="end"),
        feature_extractor=transformers.WhisperFeatureExtractor(8, chunk_length=2),
    )
    sound = sounds.notes(16_000)
    for text, read in (("hi you", [3, 4, 5]), (None, [3])):
        inputs = pretrained.audio_inputs(loaded, sound, text)
        recording = pretrained.record(loaded, inputs=inputs)
        finding = input_finding(recording, sound=sound, text=text)
        assert finding.holds
        assert finding.number == f"{len(read)} of {len(read)} ids"
        assert inputs["decoder_input_ids"].tolist() == [read]
        assert input_finding(recording, sound=sound, text="you hi").holds is False
        assert input_finding(recording, sound=0.9 * sound, text=text).holds is False
        late = {"decoder_input_ids": torch.tensor([[3, *read]])}  # the first token twice
        assert input_finding(replace(recording, inputs=inputs | late), sound=sound, text=text).holds is False


# attention


def test_what_counts_as_rounding_is_said_once_and_with_the_numbers_in_use():
    """Each limit is above all that was measured, and the last one moves a probability as little as the words say."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert LIMITS in " ".join(readme.split())
    assert all(said in LIMITS for said in ("up to 1e−5 of it", "up to 0.0001 of the largest", "up to 0.001 of a logit"))
    assert (WEIGHT, STATE, LOGIT) == (1e-5, 1e-4, 1e-3)
    assert all(number(limit) in TERMS["rounding"] for limit in (WEIGHT, STATE, LOGIT))
    assert pretrained.TOLERANCE == WEIGHT
    families = (Path(pretrained.__file__).parent / "families.md").read_text(encoding="utf-8")
    assert max(map(float, re.findall(r"\| agrees \| (\S+) \|", families))) < WEIGHT
    logits = np.random.default_rng(0).normal(size=50)
    for likely in (0, 1):  # the likeliest, and the least likely: all others go the other way
        at = np.argsort(logits)[likely - 1]
        way = np.where(np.arange(50) == at, LOGIT, -LOGIT)
        before, after = (softmax(each)[at] for each in (logits, logits + way))
        assert 0.001 < after / before - 1 < 0.00201
    assert "by more than about 0.2% of itself" in LIMITS


def test_attention_that_is_not_ours_is_found_out(recording):
    layers = [layer.changed(scale=1.01 * layer.scale, output=layer.output) for layer in recording.layers]
    verdict = pretrained.verdict_of(replace(recording, layers=tuple(layers)))
    assert verdict.attention.holds is False
    assert verdict.holds is False
    assert float(verdict.attention.number) > 1e-3


@pytest.mark.parametrize("number_type", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "gemma2", "gpt_oss", "t5", "bart", "vit", "wav2vec2"])
def test_a_model_with_short_numbers_agrees_in_float32_and_its_rounding_is_said(family, number_type):
    assert family in FAMILIES
    built = tiny_models.tiny(family)
    short = getattr(torch, number_type)
    loaded = pretrained.wrap(built.model.to(short))
    inputs = {name: value.to(short) if value.is_floating_point() else value for name, value in built.inputs.items()}
    recording = pretrained.record(loaded, inputs=inputs)
    finding = pretrained.verdict_of(recording).attention
    rounding = max(each.largest for each in pretrained.compare(recording, in_float32=False))
    assert finding.holds
    assert f"from the {number_type} queries and keys" in finding.words
    assert finding.words.endswith(f"up to {number(rounding, 2)}")
    assert rounding > 10 * pretrained.TOLERANCE
    layers = [layer.changed(scale=1.01 * layer.scale, output=layer.output) for layer in recording.layers]
    assert pretrained.verdict_of(replace(recording, layers=tuple(layers))).attention.holds is False
    assert loaded.number_type == number_type
    assert output_gap(loaded, inputs=inputs) < LOGIT
    assert loaded.number_type == number_type  # a copy was compared


def overflowing(model, layer, by):
    """Stretch the queries and keys of one layer so far that their products are beyond the numbers that a type has."""
    attention = getattr(model, "bert", model).encoder.layer[layer].attention.self
    with torch.no_grad():
        for module in (attention.query, attention.key):
            module.weight *= by
    return model


@pytest.mark.parametrize(("number_type", "by", "most"), [("float16", 3e3, "6.6e+04"), ("float32", 1e22, "3.4e+38")])
@pytest.mark.parametrize("layer", [0, 2])
def test_scores_that_the_model_itself_cannot_hold_are_said_and_never_agree(minilm, number_type, by, most, layer):
    config = transformers.BertConfig(hidden_size=20, num_hidden_layers=3, num_attention_heads=5, intermediate_size=17)
    torch.manual_seed(0)
    model = overflowing(transformers.BertModel(config), layer, by).to(getattr(torch, number_type))
    recording = pretrained.record(pretrained.wrap(model), inputs={"input_ids": torch.tensor([[5, 6, 7, 8]])})
    attention = pretrained.verdict_of(recording).attention
    assert attention.holds is False
    assert str(attention) == (
        f"Layer {layer + 1} of 3 has scores that are infinite or not a number in the model itself: they grew beyond "
        f"{most}, the most that {number_type} holds, so there are no weights to compare"
    )
    each = pretrained.compare(recording, in_float32=False)
    assert all(math.isinf(found.largest) for found in each if found.layer == layer and found.head == 0)
    assert not max(found.largest for found in each) <= pretrained.TOLERANCE  # in whatever order they come


def test_what_overflows_from_scratch_alone_is_not_laid_on_the_model(recording):
    layer = recording.layers[2]
    with np.errstate(over="ignore"):
        large = layer.changed(query=layer.query * np.float32(1e39))
    found = first_not_finite([large], pretrained.compare_layer(large))
    assert found == (2, "queries", True)  # these were given
    query = np.concatenate([np.zeros_like(layer.query[..., :1, :]), layer.query[..., 1:, :]], axis=-2)
    large = layer.changed(query=query, scale=1e39)  # 0 times what float32 takes for infinite, on any processor
    found = first_not_finite([large], pretrained.compare_layer(large))
    assert found == (2, "scores", False)  # the model's own function works on what it was handed, which is as it was


# the command


@pytest.fixture
def folder(tmp_path):
    """A folder with a tiny BERT and the tokenizer of the default model."""
    config = transformers.BertConfig(
        hidden_size=20, num_hidden_layers=2, num_attention_heads=5, intermediate_size=17, max_position_embeddings=41
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text((pretrained.inspect().folder / "tokenizer.json").read_text())
    return tmp_path


def test_the_command_says_all_three_and_its_status_is_nothing(folder, capsys):
    assert command.main(["check", str(folder), "--text", TEXT]) == 0
    first, weights, ids, attention, last = capsys.readouterr().out.splitlines()
    assert first == f"{folder}: bert, 2 layers"
    assert weights.startswith("weights    yes        39 of 39 tensors from its file")
    assert ids.startswith("input      yes        9 of 9 ids as its own tokenizer makes them")
    assert attention.startswith("attention  yes        ")
    assert "in 10 heads; up to 1e−5 is rounding (float32)" in attention
    assert last == "Agrees: all three hold."


def test_the_readme_shows_what_the_command_says_of_the_model_that_comes_along(capsys):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    name, shown = re.search(r"\$ python -m attn\.pretrained check (\S+)\n(.*?)```", readme, re.S).groups()
    assert command.main(["check", name]) == 0
    rounding = re.compile(r"\d\.?\d*e−\d+(?= largest)")  # another machine may round otherwise
    assert rounding.sub("…", capsys.readouterr().out) == rounding.sub("…", shown)


def test_the_status_of_the_command_is_one_where_one_is_short(folder, capsys, monkeypatch):
    def wrong(*given, **options):
        recording = pretrained.record(*given, **options)
        return replace(recording, inputs=recording.inputs | {"input_ids": recording.inputs["input_ids"] + 1})

    monkeypatch.setattr(command, "record", wrong)
    assert command.main(["check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "input      no         0 of 16 ids" in out
    assert out.endswith("Does not agree.\n")


def test_numbers_that_are_none_are_said_by_the_command_and_on_pages(folder, capsys):
    overflowing(transformers.BertModel.from_pretrained(folder), 1, 1e22).save_pretrained(folder)
    assert command.main(["check", str(folder), "--text", TEXT]) == 1
    sentence = "Layer 2 of 2 has scores that are infinite or not a number in the model itself"
    out = capsys.readouterr().out
    assert f"attention  no         {sentence}" in out
    assert "nan" not in out
    for page in ("pretrained", "inside", "change"):
        app = check(opened(page, model=str(folder), text=TEXT), 0)
        (said,) = [error.value for error in app.error]
        assert sentence in said.replace("*", "")
        assert not app.success
        assert not any("nan" in each.value.split() or "(nan)" in each.value for each in app.markdown)


def test_a_family_that_keeps_its_attention_to_itself_is_not_known(tmp_path, capsys):
    tiny_models.tiny("bloom").model.save_pretrained(tmp_path)
    pieces = tokenizers.Tokenizer(tokenizers.models.WordLevel({"the": 0, "keys": 1, "?": 2}, "?"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=pieces, unk_token="?").save_pretrained(tmp_path)
    assert command.main(["check", str(tmp_path), "--text", "keys"]) == 1
    out = capsys.readouterr().out
    assert "attention  not known  0 heads compared: the bloom family keeps its attention to itself" in out
    assert "input      yes" in out
    assert out.endswith("Not all three can be told.\n")


def test_what_cannot_be_opened_has_status_two_and_one_sentence(folder, capsys):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    for name, sentence in ((folder, "must hold every tensor of the model"), (folder / "none", "there is no folder")):
        assert command.main(["check", str(name)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert sentence in told.err
        assert len(told.err.splitlines()) == 1


def test_the_command_lets_models_see_and_hear(tmp_path, capsys):
    seen, heard = tmp_path / "seen", tmp_path / "heard"
    tiny_models.tiny("vit").model.save_pretrained(seen)
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 64, "width": 64}}
    (seen / "preprocessor_config.json").write_text(json.dumps(processor))
    tiny_models.tiny("wav2vec2").model.save_pretrained(heard)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(heard)
    for folder, made_by in ((seen, "image processor"), (heard, "feature extractor")):
        assert command.main(["check", str(folder)]) == 0
        assert f"numbers as its own {made_by} makes them" in capsys.readouterr().out


# the pages


def box(app, kind="success"):
    """Return the verdict on a page, line by line, demanding that there is one of this colour."""
    (found,) = [each.value for each in getattr(app, kind) if "Weights: " in each.value]
    return found.split("  \n")


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_pages_name_all_three_each_with_its_number(page):
    shown = {"text": TEXT, "off": ""} if page == "change" else {"text": TEXT}
    app = check(opened(page, shown))
    if page == "inside":  # which computes without torch until it is asked to compare
        app = check(app.button(key="inside.compare").click().run())
    title, weights, ids, attention = box(app)
    assert title == "**Agrees.**"
    assert weights == ":material/check: Weights: **103 of 103 tensors** from its file"
    assert ids == ":material/check: Input: **9 of 9 ids** as its own tokenizer makes them"
    assert re.match(r":material/check: Attention: \*\*[\d.e−]+\*\* .* rounding \(float32\)$", attention)


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_pages_are_not_green_with_weights_that_were_drawn(page):
    title, weights, ids, _ = box(check(opened(page, text=TEXT, random="1")), "warning")
    assert title == "**Only the arithmetic agrees.**"
    assert weights.endswith("**0 of 103 tensors** from a file: all were drawn at random")
    assert "**9 of 9 ids**" in ids


def test_a_page_is_red_where_a_model_reads_something_else(monkeypatch):
    models.model_input_finding.clear()
    monkeypatch.setattr(models, "input_finding", lambda read: pretrained.Finding(False, "0 of 9 ids", "as it should"))
    title, _, ids, _ = box(check(opened("pretrained", text=TEXT)), "error")
    models.model_input_finding.clear()
    assert title == "**Only the arithmetic agrees.**"
    assert ids.startswith(":material/close: Input: **0 of 9 ids**")


def test_a_text_too_long_to_be_compared_is_not_green_on_change(monkeypatch):
    monkeypatch.setattr(effects, "MOST_MEASURED", 8)
    title, _, _, attention = box(check(opened("change", text=TEXT)), "warning")
    assert title == "**Not compared.**"
    assert "**Up to 512 tokens** our attention is compared" in attention
