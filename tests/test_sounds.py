"""Sounds: made by rule or read from a file, and heard by models whose tokens are then moments."""

import io
import json
import tracemalloc
import wave
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from driving import check, opened, said, specs, tables

from attn import pretrained
from attn.data import sounds
from attn.pretrained.families import tiny_models
from attn.pretrained.inputs import tokens
from attn.ui import models
from attn.ui.controls.media_notes import media_notes
from attn.ui.media import AudioInput
from attn.ui.pages.inside import inside_over_sound

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16_000


def wav(samples, rate=RATE, width=2, channels=1):
    """Return a WAV file of numbers from -1 to 1, the same in all channels."""
    whole = np.rint(np.asarray(samples) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    whole = whole + 128 if width == 1 else whole
    raw = np.repeat(whole, channels)[:, None].view(np.uint8)[:, :width].tobytes()
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(raw)
    return file.getvalue()


@pytest.mark.parametrize("name", sounds.SOUNDS)
def test_sounds_made_by_rule_have_their_length_and_stay_within_one(name):
    for rate in (RATE, 8000):
        samples = sounds.SOUNDS[name].make(rate)
        assert samples.shape == (sounds.SECONDS * rate,)
        assert 0.3 < np.abs(samples).max() <= 1


def test_a_rising_tone_rises():
    samples = sounds.SOUNDS["sweep"].make(RATE)
    crossings = [np.count_nonzero(np.diff(np.sign(part))) for part in np.array_split(samples, 6)]
    assert crossings == sorted(crossings)
    assert crossings[-1] > 4 * crossings[0]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_file_is_read_as_it_was_written(width, channels):
    samples = np.sin(np.arange(200) / 7)
    read = sounds.read_sound(wav(samples, width=width, channels=channels), RATE)
    np.testing.assert_allclose(read, samples, atol=1.5 / 2 ** (8 * width - 1))


def test_a_file_is_cut_after_the_longest_and_brought_to_the_rate():
    assert len(sounds.read_sound(wav(np.zeros(40 * 1000), rate=1000), 500)) == sounds.LONGEST * 500
    slow = np.sin(2 * np.pi * 50 * np.arange(8000) / 8000)
    read = sounds.read_sound(wav(slow, rate=8000), 16_000)
    np.testing.assert_allclose(read[: 2 * 7999 : 2][50:-50], slow[50:7949], atol=1e-4)


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3", "WAV"])
def test_files_of_each_kind_are_read(kind):
    assert kind.lower() in sounds.ENDINGS
    samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=kind)
    read = sounds.read_sound(file.getvalue(), RATE)
    assert len(read) == pytest.approx(RATE, abs=0 if kind in ("FLAC", "WAV") else 2000)  # others fill whole frames
    inside = read[2000 : RATE - 2000]
    assert np.sqrt(2 * np.mean(inside**2)) == pytest.approx(0.5, abs=0.01)
    assert np.argmax(np.abs(np.fft.rfft(inside))) * RATE / len(inside) == pytest.approx(440, abs=2)


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes():
    data = wav(np.zeros(1000), channels=2)
    assert len(sounds.read_sound(data[:-3], RATE)) == 999


def test_a_file_may_not_have_any_number_of_samples_a_second():
    with pytest.raises(ValueError, match="must have 1,000 to 400,000 samples"):
        sounds.read_sound(wav(np.zeros(10), rate=2**31 - 1), RATE)


@pytest.mark.parametrize("data", [b"", b"no sound", b"RIFF\x00\x00\x00\x00WAVE", wav([])])
def test_what_is_no_sound_says_so(data):
    with pytest.raises(ValueError, match="a sound must"):
        sounds.read_sound(data, RATE)


@pytest.mark.parametrize(("own", "rate"), [(44_100, 16_000), (16_000, 44_100), (48_000, 16_000), (400_000, 8_000)])
def test_tones_that_fit_stay_and_others_go(own, rate):
    time, later = np.arange(own) / own, np.arange(rate) / rate
    low, high = 0.2 * min(own, rate), 0.7 * rate
    made = sounds.resampled(np.sin(2 * np.pi * low * time), own, rate)
    assert made.shape == (rate,)
    middle = slice(rate // 4, -rate // 4)
    np.testing.assert_allclose(made[middle], np.sin(2 * np.pi * low * later)[middle], atol=2e-4)
    if high < own / 2:
        assert np.abs(sounds.resampled(np.sin(2 * np.pi * high * time), own, rate)[middle]).max() < 1e-3


def test_a_sound_too_short_for_one_sample_says_so():
    with pytest.raises(ValueError, match="a sound must have samples"):
        sounds.read_sound(wav([0.8], rate=400_000), 8000)


def test_a_file_may_not_have_any_number_of_channels():
    message = "in 1 to 16 channels, got 16,000 in 17$"
    with pytest.raises(ValueError, match=message):
        sounds.read_sound(wav(np.zeros(10), channels=17), RATE)


@pytest.mark.parametrize(("rate", "width", "channels"), [(400_000, 1, 1), (48_000, 1, 16), (96_000, 3, 2)])
def test_a_sound_costs_little_more_than_its_file(rate, width, channels):
    """Whatever its header promises."""
    data = wav(np.zeros(min(30 * rate, 20_000_000 // (width * channels))), rate, width, channels)
    at = data.index(b"data") + 4
    data = data[:4] + b"\xff" * 4 + data[8:at] + b"\xff" * 4 + data[at + 4 :]
    tracemalloc.start()
    try:
        assert np.ptp(sounds.read_sound(data, RATE)) == 0
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
    finally:
        tracemalloc.stop()


def saved(family, folder, seconds=2):
    """Save a tiny model with what makes inputs of sounds for it; a Whisper reads so many seconds of whatever comes."""
    if family == "whisper":
        config = tiny_models.tiny(family).model.config
        config.decoder_start_token_id = 3
        config.max_source_positions = 50 * seconds  # a hundred frames a second, two to a token
        transformers.WhisperModel(config).save_pretrained(folder)
        transformers.WhisperFeatureExtractor(config.num_mel_bins, chunk_length=seconds).save_pretrained(folder)
    else:
        tiny_models.tiny(family).model.save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return pretrained.load(folder)


@pytest.fixture(scope="module", params=["whisper", "wav2vec2"])
def ear(request, tmp_path_factory):
    return saved(request.param, tmp_path_factory.mktemp(request.param))


def test_moments_of_a_sound_are_compared_like_words(ear):
    samples = sounds.SOUNDS["notes"].make(ear.feature_extractor.sampling_rate)
    recording = pretrained.record(ear, inputs=pretrained.audio_inputs(ear, samples))
    assert ear.takes == "sound"
    assert max(each.largest for each in pretrained.compare(recording)) < 2e-5
    first = recording.layers[0]
    times = [float(token.text.removesuffix("s")) for token in first.key_tokens]
    assert times == sorted(times)
    assert times[0] == 0
    assert recording.seconds * (1 - 1 / len(times)) == pytest.approx(times[-1], abs=0.01)


def test_a_model_of_texts_takes_no_sound_and_a_model_of_sounds_no_text(ear):
    with pytest.raises(pretrained.ModelError, match="no feature extractor"):
        pretrained.audio_inputs(pretrained.load(), np.zeros(100))
    with pytest.raises(pretrained.ModelError, match="takes a sound instead"):
        pretrained.record(ear, "words")
    with pytest.raises(ValueError, match="one row of finite samples"):
        pretrained.audio_inputs(ear, np.zeros((2, 100)))


@pytest.mark.parametrize("page", ["inside", "pretrained"])
def test_a_sound_takes_the_place_of_the_text(page, ear):
    app = check(opened(page, model=ear.name, layer="1", head="1"))
    assert app.selectbox(key=f"{page}.sound").value == "notes"
    assert not app.text_area
    app.selectbox(key=f"{page}.sound").select("clicks").run()
    assert check(app).query_params["sound"] in ("clicks", ["clicks"])


def test_the_sound_is_drawn_over_where_a_moment_looks(ear):
    app = check(opened("inside", model=ear.name, layer="1", head="1"), charts=3)
    assert len([one for one in tables(app, "x", "y", "name") if set(one["name"]) & {"loudness", "weight"}]) >= 2


def test_high_tones_are_drawn_as_loud_as_they_are():
    figure = inside_over_sound(AudioInput("clicks"), 3.0, np.full(150, 0.01), "", 880).to_dict()
    loud = [
        float(row["up"].replace("−", "-"))
        for table in figure["datasets"].values()
        for row in table
        if row.get("name") == "loudness"
    ]
    assert 0.4 < max(loud) <= 0.5


def test_the_decoder_reads_its_text_after_the_token_it_begins_with(tmp_path):
    ear = saved("whisper", tmp_path)
    start = ear.model.config.decoder_start_token_id
    words = ["[UNK]", *(f"w{i}" for i in range(1, start)), "start", "hi", "there"]
    model = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]")
    )
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model.post_processor = tokenizers.processors.TemplateProcessing("start $A", special_tokens=[("start", start)])
    transformers.PreTrainedTokenizerFast(tokenizer_object=model, bos_token="start").save_pretrained(tmp_path)
    ear = pretrained.load(tmp_path)
    samples = sounds.SOUNDS["notes"].make(RATE)
    ids = pretrained.audio_inputs(ear, samples, "hi there")["decoder_input_ids"]
    assert ids.tolist() == [[start, start + 1]]
    recording = pretrained.record(ear, inputs=pretrained.audio_inputs(ear, samples, "hi there"))
    assert [token.text for token in recording.decoder_tokens] == ["start", "hi"]
    with pytest.raises(pretrained.ModelError, match="takes a sound instead"):
        pretrained.record(ear, "hi")
    for page in ("inside", "change"):
        app = opened(page, model=str(tmp_path), pair="hi there")
        assert not app.exception


def test_the_code_hears_the_same_sound(ear, tmp_path, monkeypatch):
    (code,) = check(opened("inside", model=ear.name, sound="sweep", tab="Code", code="draw")).code
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "copied"}
    exec(code.value, namespace)
    assert namespace["recording"].seconds > 0
    assert {file.name for file in tmp_path.iterdir()} == {"heads.svg", "head.svg"}


def test_what_lies_behind_the_end_of_a_sound_is_padding(tmp_path):
    ear = saved("whisper", tmp_path)  # reads two seconds, whatever it is given
    samples = sounds.SOUNDS["notes"].make(RATE)[: RATE // 2]
    recording = pretrained.record(ear, inputs=pretrained.audio_inputs(ear, samples))
    assert (recording.seconds, recording.sound_seconds) == (2, 0.5)
    moments = recording.layers[0].key_tokens
    assert [moment.filler for moment in moments] == [place >= len(moments) / 4 for place in range(len(moments))]
    with_mask = ear.feature_extractor(samples, sampling_rate=RATE, return_attention_mask=True, return_tensors="pt")
    inputs = dict(with_mask) | {"decoder_input_ids": [[3]]}
    assert pretrained.record(ear, inputs=inputs).sound_seconds == pytest.approx(0.5, abs=0.01)


def test_alignment_heads_are_those_that_the_checkpoint_names(tmp_path):
    saved("whisper", tmp_path)
    model = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path)
    model.generation_config.alignment_heads = [[0, 1], [1, 0]]
    assert pretrained.wrap(model).alignment_heads == ((0, 1), (1, 0))
    model.save_pretrained(tmp_path)
    ear = pretrained.load(tmp_path)
    assert ear.alignment_heads == ((0, 1), (1, 0))
    assert saved("wav2vec2", tmp_path / "other").alignment_heads == ()
    written = json.loads((tmp_path / "generation_config.json").read_text())
    (tmp_path / "generation_config.json").write_text(json.dumps(written | {"alignment_heads": [[0, 1], [1, 99]]}))
    ear = pretrained.load(tmp_path)  # fine-tuned from a larger one, whose file came along
    assert ear.alignment_heads == ()
    assert "that of another model: it names as an alignment head layer 2, head 100, of 2 layers" in ear.note


def test_what_lies_behind_the_end_is_left_out_of_numbers_and_grey(tmp_path):
    ear = saved("whisper", tmp_path)
    samples = sounds.SOUNDS["notes"].make(RATE)[: RATE // 2]
    recording = pretrained.record(ear, inputs=pretrained.audio_inputs(ear, samples))
    encoder, cross = (next(each for each in recording.layers if each.kind == kind) for kind in ("encoder", "cross"))
    for layer in (encoder, cross):
        heads, cells = layer.weights()[0], pretrained.filler_cells(layer)
        part = pretrained.sound_part(layer, heads)
        n_q, n_k = (sum(not token.filler for token in side) for side in (layer.query_tokens, layer.key_tokens))
        assert part.shape == (layer.num_heads, n_q, n_k) == (*heads.shape[:1], n_q, heads.shape[2] // 4)
        np.testing.assert_allclose(part.sum(-1), 1, rtol=1e-5)
        np.testing.assert_allclose(part / part[..., :1], heads[:, :n_q, :n_k] / heads[:, :n_q, :1], rtol=1e-4)
        assert cells.shape == heads.shape[1:]
        assert not cells[:n_q, :n_k].any()
        assert cells[n_q:].all()
        assert cells[:, n_k:].all()
    short = np.full((1, 3, 100), 0.01)
    np.testing.assert_allclose(pretrained.sound_part(encoder, short, slice(20, 23)), np.full((1, 3, 25), 0.04))
    whole = pretrained.record(ear, inputs=pretrained.audio_inputs(ear, sounds.SOUNDS["notes"].make(RATE)[: 2 * RATE]))
    assert pretrained.filler_cells(whole.layers[0]) is None


def test_notes_say_where_a_sound_ends_and_which_heads_follow_it(tmp_path):
    ear = replace(saved("whisper", tmp_path), alignment_heads=((1, 0),))
    samples = sounds.SOUNDS["notes"].make(RATE)[: RATE // 2]
    recording = pretrained.record(ear, inputs=pretrained.audio_inputs(ear, samples))
    notes = " ".join(media_notes(ear, recording, recording.layers[0]))
    assert "The sound ends after 0.50 s" in notes
    assert "up to 2.00 s the model reads silence" in notes
    assert "layer 2, head 1" in notes


def test_what_the_decoder_reads_first_is_explained():
    read = [tokens.Token(f"<|{name}|>", 1, True) for name in ("startoftranscript", "de", "translate", "other")]
    recording = SimpleNamespace(seconds=2.0, decoder_tokens=(*read, tokens.Token("hi", 2, False)))
    assert [meaning for _, meaning in pretrained.decoder_start(recording)] == [
        "a transcript begins",
        "the language: German",
        "write it down in English",
        "",
    ]
    assert pretrained.decoder_start(SimpleNamespace(seconds=None, decoder_tokens=read)) == ()


def test_the_silence_behind_a_sound_is_a_curve_of_its_own():
    figure = inside_over_sound(AudioInput("clicks"), 6.0, np.full(150, 0.01), "", 880, 3.0).to_dict()
    named = {row["name"] for table in figure["datasets"].values() for row in table if "name" in row}
    assert {"loudness", "weight", "silence"} <= named


def multilingual_ear():
    """Return a tiny Whisper with a tokenizer that knows three languages and both tasks."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    named = ["endoftext", "startoftranscript", "en", "zh", "de", "translate", "transcribe", "notimestamps"]
    vocabulary = {each: at for at, each in enumerate([*alphabet, *(f"<|{name}|>" for name in named)])}
    tokenizer = transformers.WhisperTokenizer(vocab=vocabulary, merges=[], predict_timestamps=False)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{name}|>" for name in named[1:]]})
    config = transformers.WhisperConfig(
        vocab_size=len(vocabulary), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=17, decoder_ffn_dim=17, num_mel_bins=8, max_source_positions=100,
        pad_token_id=vocabulary["<|endoftext|>"], decoder_start_token_id=vocabulary["<|startoftranscript|>"],
        bos_token_id=vocabulary["<|endoftext|>"], eos_token_id=vocabulary["<|endoftext|>"],
    )  # fmt: skip
    torch.manual_seed(0)
    return pretrained.wrap(
        transformers.WhisperForConditionalGeneration(config).eval(), tokenizer,
        feature_extractor=transformers.WhisperFeatureExtractor(8, chunk_length=2),
    )  # fmt: skip


def test_whisper_is_told_what_language_it_hears():
    ear = multilingual_ear()
    assert (ear.source_languages, ear.target_languages) == ((), ("de", "en", "zh"))
    samples, read = sounds.SOUNDS["notes"].make(RATE), {}
    for language in (None, "de", "zh", None):
        told = ear.in_languages(target=language)
        recording = pretrained.record(told, inputs=pretrained.audio_inputs(told, samples, "hi"))
        read[language] = [token.text for token in recording.decoder_tokens]
        assert pretrained.verdict_of(recording).input.holds is not False
    begins = [f"<|{name}|>" for name in ("startoftranscript", "de", "transcribe", "notimestamps")]
    assert read["de"] == [*begins, "h", "i"]
    assert read["zh"] == [begins[0], "<|zh|>", *begins[2:], "h", "i"]
    assert read[None] == [begins[0], begins[-1], "h", "i"]  # as the tokenizer itself has it, before and after
    with pytest.raises(ValueError, match="target_language must be one of de, en, zh, got 'fr'"):
        ear.in_languages(target="fr")


def decoder_reads(ear, text=None):
    """Return the names of what a decoder reads beside half a second of sound, and whether the input is its own."""
    samples = sounds.SOUNDS["notes"].make(RATE)[: RATE // 2]
    recording = pretrained.record(ear, inputs=pretrained.audio_inputs(ear, samples, text))
    return [token.text for token in recording.decoder_tokens], pretrained.input_finding(recording, sound=samples)


def test_whisper_is_told_what_to_do_with_what_it_hears():
    ear = multilingual_ear()
    assert ear.speech_tasks == ("transcribe", "translate")
    assert pretrained.load().speech_tasks == ()
    for task in ("translate", "transcribe"):
        read, finding = decoder_reads(ear.in_languages(target="de", speech_task=task))
        assert read == ["<|startoftranscript|>", "<|de|>", f"<|{task}|>", "<|notimestamps|>"]
        assert finding.holds
    assert decoder_reads(ear)[0] == ["<|startoftranscript|>"]
    in_english = ear.in_languages(target="de", speech_task="translate").in_languages(target="zh")
    assert decoder_reads(in_english)[0][1:3] == ["<|zh|>", "<|translate|>"]
    with pytest.raises(ValueError, match="must come with a target_language, which is heard, got 'translate' alone"):
        ear.in_languages(speech_task="translate")
    with pytest.raises(ValueError, match="speech_task must be one of transcribe, translate, got 'sing'"):
        ear.in_languages(target="de", speech_task="sing")
    with pytest.raises(ValueError, match="speech_task cannot be chosen"):
        pretrained.load().in_languages(speech_task="translate")


def test_the_task_of_whisper_stands_beside_its_language_and_stays_in_the_link(tmp_path):
    ear = multilingual_ear()
    for part in (ear.model, ear.tokenizer, ear.feature_extractor):
        part.save_pretrained(tmp_path)
    app = check(opened("inside", model=str(tmp_path), target_language="de", speech_task="translate", layer="2"))
    box = app.selectbox(key="inside.speech_task")
    assert (box.value, app.selectbox(key="inside.target_language").value) == ("translate", "de")
    assert any("`<|translate|>` (write it down in English)" in note for note in said(app))
    box.select("transcribe").run()
    assert check(app).query_params["speech_task"] in ("transcribe", ["transcribe"])
    assert any("`<|transcribe|>` (write down what is said)" in note for note in said(app))
    app.selectbox(key="inside.target_language").select("").run()
    assert "speech_task" not in check(app).query_params
    assert "inside.speech_task" not in [each.key for each in app.selectbox]


@pytest.fixture(scope="module")
def filled_ear(tmp_path_factory):
    """The folder of a Whisper that reads four seconds: of the sounds made by rule one is silence that fills up."""
    folder = tmp_path_factory.mktemp("filled")
    saved("whisper", folder, seconds=4)
    return str(folder)


def test_no_tab_of_inside_shows_the_silence_behind_the_end(filled_ear):
    link = {"model": filled_ear, "layer": "1", "head": "1"}
    app = check(opened("inside", link, tab="query", cell="190,199"))
    query, key = (box for box in app.selectbox if box.label in ("Query", "Key"))
    assert query.options[-1] == key.options[-1] == "150: 2.98s"
    assert (query.value, key.value) == (149, 149)
    assert any("after the sound's end are left out; they come to 0.2" in each for each in said(app))
    assert any("Over the 200 keys that the query sees (50 of them silence" in each for each in said(app))
    ranked = [table for table in tables(app, "label", "shown") if table["label"].str.endswith("s").all()]
    assert max(float(label.split()[-1][:-1]) for label in ranked[0]["label"]) < sounds.SECONDS
    lines = tables(check(opened("inside", link, tab="lines")), "row", "column", "text")[0]
    assert (lines["row"] >= 0).sum() == (lines["column"] >= 0).sum() == 80
    every = models.model_every_head(filled_ear, False, AudioInput("notes"), "", "encoder", "", 300)
    assert every.shape[2:] == (150, 150)
    *_, rollout = specs(check(opened("inside", link, tab="rollout")))
    assert "Rollout" in str(rollout)
    assert "'hidden'" in str(rollout)  # in the legend


def test_the_query_of_pretrained_shows_no_silence(filled_ear):
    app = check(opened("pretrained", model=filled_ear, layer="1", head="1", tab="query", cell="190,199"))
    query, key = (box for box in app.selectbox if box.label in ("Query", "Key"))
    assert query.options[-1] == key.options[-1] == "150: 2.98s"
    assert any("The 50 moments of silence after" in each for each in said(app))


def test_patches_of_a_spectrogram_are_named_by_band_and_time():
    """Touch the first corner of a patch: of those that overlap there, it is the last that moves."""
    built = tiny_models.tiny("audio-spectrogram-transformer")
    names = pretrained.record(pretrained.wrap(built.model), inputs=built.inputs).layers[0].key_tokens
    assert [token.text for token in names[:4]] == ["[0]", "[1]", "f1 t1", "f1 t2"]
    config, values = built.model.config, built.inputs["input_values"]
    embed = next(part for part in built.model.modules() if hasattr(part, "patch_embeddings"))
    with torch.inference_mode():
        before = embed(values)
        for band, time in ((0, 1), (1, 0), (1, 2)):
            touched = values.clone()
            touched[:, time * config.time_stride, band * config.frequency_stride] += 1
            moved = (embed(touched) - before).abs().sum((0, 2)).nonzero().flatten()
            assert names[moved[-1]].text == f"f{band + 1} t{time + 1}"
