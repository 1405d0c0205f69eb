"""Translation models: what their decoder reads is what transformers itself would make, in the languages one chooses."""

import io
import json
from dataclasses import replace

import pytest
from driving import check, opened

from attn import pretrained
from attn.pretrained.intervention.generation import generate
from attn.pretrained.intervention.run import run
from attn.pretrained.verdict import input_finding

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers  # noqa: E402

ENGLISH = ["the keys are on the table", "a table stands near the door", "she reads a letter at noon"] * 20
GERMAN = ["die Schlüssel liegen auf dem Tisch", "ein Tisch steht an der Tür", "sie liest mittags einen Brief"] * 20
TEXT, SAID = "the keys are near the door", "die Schlüssel liegen an der Tür"
SIZES = {"d_model": 24, "max_position_embeddings": 64} | {
    f"{side}_{name}": value
    for side in ("encoder", "decoder")
    for name, value in {"layers": 2, "attention_heads": 2, "ffn_dim": 17}.items()
}
IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
NAMED = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def trained(model, trainer, extra=()):
    """Return a tokenizer trained on both texts, as its own file says it."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.train_from_iterator(ENGLISH + GERMAN, trainer(vocab_size=150, special_tokens=[*NAMED, *extra],
                                                            show_progress=False))  # fmt: skip
    return tokenizer, json.loads(tokenizer.to_str())["model"]


def piece_model(lines, size):
    """Return a sentencepiece model of some lines, as bytes."""
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=made, vocab_size=size, model_type="bpe", minloglevel=2
    )
    return made.getvalue()


def marian(folder, codes=()):
    pieces = {"</s>": 0, "<unk>": 1} | {code: 2 + i for i, code in enumerate(codes)}
    for name, lines in (("source", ENGLISH), ("target", GERMAN)):
        (folder / f"{name}.spm").write_bytes(piece_model(lines, 60))
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.spm"))
        for i in range(3, model.get_piece_size()):
            pieces.setdefault(model.id_to_piece(i), len(pieces))
    pieces["<pad>"] = len(pieces)
    (folder / "vocab.json").write_text(json.dumps(pieces), encoding="utf-8")
    pad = pieces["<pad>"]
    tokenizer = transformers.MarianTokenizer(
        source_spm=str(folder / "source.spm"), target_spm=str(folder / "target.spm"), vocab=str(folder / "vocab.json"),
        source_lang="en", target_lang="de",
    )  # fmt: skip
    ids = {"pad_token_id": pad, "decoder_start_token_id": pad, "eos_token_id": 0, "vocab_size": len(pieces)}
    return transformers.MarianMTModel, transformers.MarianConfig(**SIZES | ids), tokenizer


def nllb(folder, codes=("deu_Latn", "eng_Latn", "fra_Latn")):
    _, model = trained(models.BPE(unk_token="<unk>"), trainers.BpeTrainer, codes)
    tokenizer = transformers.NllbTokenizer(
        vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]], src_lang="eng_Latn",
        extra_special_tokens=[*codes, "<hint>"],
    )  # fmt: skip
    config = transformers.M2M100Config(**SIZES | IDS, vocab_size=len(tokenizer))
    return transformers.M2M100ForConditionalGeneration, config, tokenizer


def unigram(codes):
    """Return the vocabulary of a unigram tokenizer, with its scores."""
    _, model = trained(models.Unigram(), lambda **options: trainers.UnigramTrainer(unk_token="<unk>", **options), codes)
    return [tuple(entry) for entry in model["vocab"]]


def mbart(folder):
    tokenizer = transformers.MBartTokenizer(vocab=unigram(("de_DE", "en_XX")), src_lang="en_XX", tgt_lang="de_DE")
    config = transformers.MBartConfig(**SIZES | IDS, vocab_size=len(tokenizer))
    return transformers.MBartForConditionalGeneration, config, tokenizer


def mbart50(folder):
    tokenizer = transformers.MBart50Tokenizer(vocab=unigram(("de_DE", "en_XX")), src_lang="en_XX", tgt_lang="de_DE")
    config = transformers.MBartConfig(**SIZES | IDS, vocab_size=len(tokenizer))
    return transformers.MBartForConditionalGeneration, config, tokenizer


def m2m100(folder):
    (folder / "pieces.model").write_bytes(piece_model(ENGLISH + GERMAN, 90))
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "pieces.model"))
    pieces = NAMED[:4] + [model.id_to_piece(i) for i in range(3, model.get_piece_size())]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}), encoding="utf-8")
    tokenizer = transformers.M2M100Tokenizer(
        str(folder / "vocab.json"), str(folder / "pieces.model"), src_lang="en", tgt_lang="de"
    )
    config = transformers.M2M100Config(**SIZES | IDS, vocab_size=max(tokenizer.lang_code_to_id.values()) + 9)
    return transformers.M2M100ForConditionalGeneration, config, tokenizer


def plain(begin="", end="</s>"):
    """Return a tokenizer without languages, with what stands around a text."""
    tokenizer, _ = trained(models.BPE(unk_token="<unk>"), trainers.BpeTrainer)
    single = f"{begin} $A {end}".strip()
    tokenizer.post_processor = processors.TemplateProcessing(single, special_tokens=[("<s>", 0), ("</s>", 2)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def t5(folder):
    tokenizer = plain()
    sizes = {"d_model": 24, "d_kv": 12, "d_ff": 17, "num_layers": 2, "num_heads": 2, "vocab_size": len(tokenizer)}
    config = transformers.T5Config(**sizes, pad_token_id=1, eos_token_id=2, decoder_start_token_id=1)
    return transformers.T5ForConditionalGeneration, config, tokenizer


def bart(folder, start=2):
    tokenizer = plain("<s>")
    config = transformers.BartConfig(**SIZES | IDS | {"decoder_start_token_id": start}, vocab_size=len(tokenizer))
    return transformers.BartForConditionalGeneration, config, tokenizer


def bart_that_begins_twice(folder):
    """Its decoder begins with what its tokenizer writes as well: trained so, it reads both."""
    return bart(folder, start=0)


FAMILIES = {
    make.__name__: make for make in (marian, nllb, mbart, mbart50, m2m100, t5, bart, bart_that_begins_twice)
}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request, tmp_path_factory):
    return wrapped(FAMILIES[request.param], tmp_path_factory.mktemp(request.param))


def wrapped(make, folder, **options):
    model_class, config, tokenizer = make(folder, **options)
    torch.manual_seed(0)
    config.init_std = config.initializer_range = 0.3
    return pretrained.wrap(model_class(config).eval(), tokenizer)


def label_ids(loaded, said=SAID):
    """Return what transformers makes of what the decoder is to say."""
    return loaded.tokenizer(text_target=said, return_tensors="pt")["input_ids"]


def moved_on(loaded, labels):
    """Move labels on as the model does when it is given them: what its decoder then embeds."""
    read = []
    decoder = loaded.model.get_decoder()
    hook = decoder.register_forward_pre_hook(
        lambda module, args, given: read.append(given["input_ids"]), with_kwargs=True
    )
    with torch.inference_mode():
        loaded.model(input_ids=torch.tensor([[3, 4]]), labels=labels)
    hook.remove()
    return read[0]


def read(recording):
    return [token.id for token in recording.decoder_tokens]


def test_the_decoder_reads_what_transformers_itself_would_make(loaded):
    recording = pretrained.record(loaded, TEXT, pair=SAID)
    labels = label_ids(loaded)
    assert read(recording) == moved_on(loaded, labels)[0].tolist()
    assert read(recording)[1:] == labels[0, :-1].tolist()
    assert [token.id for token in recording.tokens] == loaded.tokenizer(TEXT)["input_ids"]
    cross = next(layer for layer in recording.layers if layer.kind == "cross")
    assert cross.query.shape[2] == labels.shape[1]
    assert recording.decoder_tokens[0].special
    assert len(label_ids(loaded)[0]) > 5  # words of the vocabulary, not unknown ones
    assert loaded.tokenizer.unk_token_id not in read(recording)


def test_the_verdict_counts_what_both_sides_read(loaded):
    recording = pretrained.record(loaded, TEXT, pair=SAID)
    count = len(recording.tokens) + len(recording.decoder_tokens)
    finding = input_finding(recording)
    assert finding == (
        True, f"{count} of {count} ids", "as its own tokenizer and its own shift make them"
    )  # fmt: skip
    labels = label_ids(loaded)
    for wrong in (labels, torch.cat([labels[:, :1], labels[:, :-1]], 1) + 1):  # not moved on; another first token
        assert input_finding(replace(recording, inputs=recording.inputs | {"decoder_input_ids": wrong})).holds is False
    other = replace(recording, pair=TEXT)  # a target cut with other words
    assert input_finding(other).holds is False


def test_a_model_without_its_head_reads_the_same(tmp_path):
    model_class, config, tokenizer = mbart(tmp_path)
    with_head = pretrained.wrap(model_class(config).eval(), tokenizer)
    without = pretrained.wrap(transformers.MBartModel(config).eval(), tokenizer)
    one, other = (pretrained.record(each, TEXT, pair=SAID) for each in (with_head, without))
    assert read(one) == read(other)
    assert input_finding(other).holds
    assert read(one)[0] == tokenizer.convert_tokens_to_ids("de_DE")  # mBART moves the last token to the front


CHOICES = {"nllb": ("eng_Latn", "fra_Latn", "deu_Latn"), "mbart": ("en_XX", "de_DE"), "mbart50": ("en_XX", "de_DE"),
           "m2m100": ("en", "de", "fr")}  # fmt: skip


@pytest.mark.parametrize("family", CHOICES)
def test_two_languages_can_be_chosen(family, tmp_path):
    loaded = wrapped(FAMILIES[family], tmp_path)
    tokenizer = loaded.tokenizer
    before = tokenizer.src_lang, tokenizer.tgt_lang
    assert set(CHOICES[family]) <= set(loaded.source_languages)
    assert loaded.source_languages == loaded.target_languages
    assert "<hint>" not in loaded.source_languages
    for source in CHOICES[family]:
        for target in CHOICES[family]:
            recording = pretrained.record(loaded, TEXT, pair=SAID, source_language=source, target_language=target)
            assert (tokenizer.src_lang, tokenizer.tgt_lang) == before
            tokenizer.src_lang, tokenizer.tgt_lang = source, target
            assert [token.id for token in recording.tokens] == tokenizer(TEXT)["input_ids"]
            assert read(recording) == moved_on(loaded, label_ids(loaded))[0].tolist()
            tokenizer.src_lang, tokenizer.tgt_lang = before
            assert input_finding(recording).holds
            again = run(loaded.in_languages(source, target), TEXT, pair=SAID)
            assert [token.id for token in again.decoder_tokens] == read(recording)


@pytest.mark.parametrize("family", CHOICES)
def test_writing_begins_with_the_language_that_was_chosen(family, tmp_path):
    loaded = wrapped(FAMILIES[family], tmp_path)
    target = CHOICES[family][1]
    wanted = getattr(loaded.tokenizer, "lang_code_to_id", {}).get(
        target, loaded.tokenizer.convert_tokens_to_ids(target)
    )
    written = generate(loaded.in_languages(CHOICES[family][0], target), TEXT, 4)
    start, *others = [token.id for token in written.tokens]
    encoded = loaded.tokenizer(TEXT, return_tensors="pt")
    options = {
        "decoder_start_token_id": start,
        "max_new_tokens": 9,
        "do_sample": False,
    }  # the last is forced to be an end
    own = loaded.model.generate(**encoded, **options, forced_bos_token_id=wanted if others else None)
    assert wanted in (start, *others)
    ids = [start, *others, *(word.token.id for word in written.written)]
    assert own[0, : len(ids)].tolist() == ids


def test_a_tokenizer_without_a_target_language_stays_in_that_of_the_source(tmp_path):
    loaded = wrapped(m2m100, tmp_path)
    loaded.tokenizer.tgt_lang = None
    recording = pretrained.record(loaded, TEXT, source_language="fr")
    assert loaded.tokenizer.tgt_lang is None
    assert recording.tokens[0].id == recording.decoder_tokens[1].id == loaded.tokenizer.get_lang_id("fr")


def test_a_model_into_several_languages_is_told_which(tmp_path):
    loaded = wrapped(marian, tmp_path, codes=(">>deu<<", ">>fra<<"))
    assert loaded.source_languages == ()
    assert loaded.target_languages == (">>deu<<", ">>fra<<")
    recording = pretrained.record(loaded, TEXT, pair=SAID, target_language=">>fra<<")
    assert [token.id for token in recording.tokens] == loaded.tokenizer(f">>fra<< {TEXT}")["input_ids"]
    assert recording.tokens[0].id == 3


def test_a_language_that_is_not_known_is_named(tmp_path):
    loaded = wrapped(nllb, tmp_path)
    with pytest.raises(ValueError, match="target_language must be one of deu_Latn, eng_Latn, fra_Latn, got 'French'"):
        pretrained.record(loaded, TEXT, target_language="French")
    with pytest.raises(ValueError, match=r"source_language must be one of .*, got 'fr'"):
        loaded.in_languages("fr")
    with pytest.raises(ValueError, match="source_language cannot be chosen, because this tokenizer knows no languages"):
        pretrained.record(wrapped(t5, tmp_path), TEXT, source_language="en")


# the pages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    loaded = wrapped(nllb, folder)
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_languages_are_chosen_on_the_pages_and_carried_by_the_link(page, folder):
    app = check(opened(page, model=folder, text=TEXT, pair=SAID, tab="code", code="draw"), charts=0)
    target = app.selectbox(key=f"{page}.target_language")
    assert target.options == ["As its tokenizer sets it", "deu_Latn", "eng_Latn", "fra_Latn"]
    check(target.set_value("deu_Latn").run(), charts=0)
    check(app.selectbox(key=f"{page}.source_language").set_value("fra_Latn").run(), charts=0)
    assert app.query_params["target_language"] == "deu_Latn"
    code = " ".join(each.value for each in app.code)
    assert f"pretrained.load({folder!r}).in_languages('fra_Latn', 'deu_Latn')" in code
    again = check(opened(page, {name: value for name, value in dict(app.query_params).items() if name != "tab"}))
    assert again.selectbox(key=f"{page}.source_language").value == "fra_Latn"
    assert any("deu_Latn" in chart.proto.spec for chart in again.get("vega_lite_chart"))


@pytest.mark.parametrize("page", ["pretrained", "change"])
def test_a_link_with_a_language_that_the_model_does_not_know_opens(page, folder):
    app = check(opened(page, model=folder, text=TEXT, pair=SAID, target_language="French"))
    assert app.selectbox(key=f"{page}.target_language").value == ""
    plain = check(opened(page, target_language="fra_Latn"))
    assert not [box for box in plain.selectbox if box.key == f"{page}.target_language"]
