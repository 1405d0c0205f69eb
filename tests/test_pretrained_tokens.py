"""Tokens are shown as people wrote them, whatever the tokenizer does to them."""

import json
import re

import pytest

from attn import pretrained
from attn.pretrained.inputs import tokens
from attn.pretrained.inputs.tokenizer_file import spelled_token

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def minilm():
    return pretrained.load().tokenizer


@pytest.fixture(scope="module")
def byte_level():
    """A byte-level tokenizer as GPT-2 has, trained on a line of text."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(["the cat and the hat and the bat, naïve"] * 9, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


@pytest.fixture(scope="module")
def sentence_bpe():
    """BPE over a text that begins with a space, with bytes for what it lacks, as Llama 2 has."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"unbatxhe今日", "▁t", "▁th"]
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    merges = [("▁", "t"), ("▁t", "h")]
    model = tokenizers.models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = tokenizers.Tokenizer(model)
    steps = [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = tokenizers.normalizers.Sequence(steps)
    decoders = tokenizers.decoders
    undo = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(undo)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


@pytest.fixture(scope="module")
def unigram():
    """Unigram pieces of words that begin with a space, as T5 and XLM-R have."""
    pieces = ["<s>", "</s>", "<unk>", "▁", "▁the", "今日", *"unbatxhe"]
    model = tokenizers.models.Unigram([(piece, -float(place)) for place, piece in enumerate(pieces)], unk_id=2)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


@pytest.fixture(scope="module")
def marian(tmp_path_factory):
    """A tokenizer in Python, which does not say where its pieces come from."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("marian")
    lines = ["the unbatx hat and the bat"] * 20
    where = {"model_prefix": str(folder / "both"), "vocab_size": 24, "hard_vocab_limit": False, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_type="bpe", **where)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "both.model"))
    names = dict.fromkeys(
        ["</s>", "<unk>", *(pieces.id_to_piece(id) for id in range(pieces.get_piece_size())), "<pad>"]
    )
    (folder / "vocab.json").write_text(json.dumps({name: id for id, name in enumerate(names)}))
    files = {"source_spm": str(folder / "both.model"), "target_spm": str(folder / "both.model")}
    return transformers.MarianTokenizer(**files, vocab=str(folder / "vocab.json"), source_lang="en", target_lang="de")


@pytest.fixture(scope="module")
def byt5():
    return transformers.ByT5Tokenizer()


@pytest.fixture(scope="module")
def canine():
    return transformers.CanineTokenizer()


def by_any_means(tokenizer, text):
    """Return the tokens of a text by their places if the tokenizer tells them, otherwise by their ids."""
    return named(tokenizer, text) if tokenizer.is_fast else tokens.from_ids(tokenizer(text)["input_ids"], tokenizer)


def together(found):
    """Return the labels of tokens as one text, a numbered character once."""
    whole = [re.sub(" 1/[0-9]+$", "", token.text) for token in found if not token.special]
    return "".join(label for label in whole if not re.search(" [0-9]+/[0-9]+$", label)).replace("◌", "")


def named(tokenizer, *texts):
    """Return the tokens of one or two texts."""
    known = tokens.special_ids(tokenizer), tokens.unknown_token(tokenizer)
    return tokens.from_encoding(tokenizer(*texts).encodings[0], texts, *known)


def labels(tokenizer, *texts):
    """Return the labels of the tokens."""
    return [token.text for token in named(tokenizer, *texts)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A café", ["[CLS]", "A", "café", "[SEP]"]),
        ("🙂 ok", ["[CLS]", "[UNK] 🙂", "ok", "[SEP]"]),
        ("playfulness", ["[CLS]", "playful", "##ness", "[SEP]"]),
        ("##ness ## a##b", ["[CLS]", "#", "#", "ness", "#", "#", "a", "#", "#", "b", "[SEP]"]),
        ("<b>*x*</b>", ["[CLS]", "<", "b", ">", "*", "x", "*", "<", "/", "b", ">", "[SEP]"]),
        ("", ["[CLS]", "[SEP]"]),
    ],
)
def test_word_pieces_show_the_text_as_written(minilm, text, expected):
    assert labels(minilm, text) == expected


def test_byte_level_pieces_show_the_text_as_written(byte_level):
    assert labels(byte_level, "the cat and\n the  hat") == ["the", "␣cat", "␣and", "↵", "␣the", "␣", "␣hat"]


def test_a_space_is_shown_where_the_tokenizer_leaves_it_out_of_the_place(byte_level):
    trimming = tokenizers.Tokenizer.from_str(byte_level.backend_tokenizer.to_str())
    trimming.post_processor = tokenizers.processors.ByteLevel(trim_offsets=True)
    text = "the cat  and"
    places = [(token.text, token.start, token.end) for token in tokens.from_encoding(trimming.encode(text), [text], ())]
    assert [label for label, _, _ in places] == ["the", "␣cat", "␣", "␣and"]
    assert text[places[1][1] : places[1][2]] == " cat"


def test_bytes_of_one_character_are_numbered(byte_level):
    assert labels(byte_level, "🙂") == ["🙂 1/4", "🙂 2/4", "🙂 3/4", "🙂 4/4"]
    assert labels(byte_level, "a é") == ["a", "␣", "é 1/2", "é 2/2"]


def test_places_in_the_text_are_kept(minilm):
    text = "Is it open"
    inside = [token for token in named(minilm, text) if token.start is not None]
    assert [text[token.start : token.end] for token in inside] == ["Is", "it", "open"]


def test_special_tokens_are_those_the_tokenizer_adds_or_reads_as_such(minilm):
    flags = [(token.text, token.special) for token in named(minilm, "one [SEP] 🙂")]
    assert flags == [("[CLS]", True), ("one", False), ("[SEP]", True), ("[UNK] 🙂", False), ("[SEP]", True)]


def test_ids_alone_are_decoded(minilm, byte_level):
    assert [token.text for token in tokens.from_ids([101, 2054, 102], minilm)] == ["[CLS]", "what", "[SEP]"]
    ids = byte_level("the cat")["input_ids"]
    assert [token.text for token in tokens.from_ids(ids, byte_level)] == ["the", "␣cat"]
    assert [token.text for token in tokens.from_ids([5, 7], None)] == ["5", "7"]


TEXTS = ["the 👍 👩", "crème é", "e\u0301 a\u0301", "今日は良い", "مرحبا بكم", "a   b", " the", "a\n\nb", "a\tb"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["byte_level", "sentence_bpe", "byt5", "canine"])
def test_labels_say_the_text_where_a_tokenizer_keeps_all_of_it(request, kind, text):
    tokenizer = request.getfixturevalue(kind)
    added = "␣" if kind == "sentence_bpe" else ""
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert together(by_any_means(tokenizer, text)) == added + tokens.readable(text)


@pytest.fixture(scope="module")
def word_ends():
    """A tokenizer that writes the end of a word, as those of CLIP and of the first GPT do."""
    vocabulary = {piece: at for at, piece in enumerate(["<unk>", "a", "b", "t", "a</w>", "b</w>", "t</w>"])}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="<unk>", end_of_word_suffix="</w>"))
    made.pre_tokenizer, made.decoder = tokenizers.pre_tokenizers.WhitespaceSplit(), tokenizers.decoders.BPEDecoder()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("minilm", "playfulness a", ["playful", "##ness", "a"]),
        ("word_ends", "bat a", ["b", "a", "t</w>", "a</w>"]),
        ("byte_level", "the cat", ["the", "␣cat"]),
    ],
)
def test_pieces_are_shown_as_the_tokenizer_writes_them(request, kind, text, shown):
    """Also by their ids alone; and they can be put together to what they stand for."""
    tokenizer = request.getfixturevalue(kind)
    for found in (named(tokenizer, text), tokens.from_ids(tokenizer(text)["input_ids"], tokenizer)):
        read = [token for token in found if not token.special]
        assert [token.text for token in read] == shown
        assert tokens.running_text(read) == text
        assert [word.text for word in pretrained.words_of(read)] == text.split()


@pytest.mark.parametrize(
    ("kind", "pieces"),
    [
        ("minilm", {"##ness": "##ness", "play": "play", "[MASK]": "[MASK]"}),
        ("word_ends", {"t</w>": "t</w>", "t": "t"}),
        ("byte_level", {"the": "the", "␣cat": "Ġcat", "↵": "Ċ", "<0xC3>": "Ã", "<|endoftext|>": "<|endoftext|>"}),
        ("sentence_bpe", {"␣th": "▁th", "今": "今", "h": "h"}),
        ("unigram", {"␣the": "▁the", "今日": "今日"}),
    ],
)
def test_a_label_leads_to_the_token_that_is_named_so(request, kind, pieces):
    tokenizer = request.getfixturevalue(kind)
    for label, piece in pieces.items():
        id = tokens.id_of_label(label, tokenizer)
        assert tokenizer.convert_ids_to_tokens(id) == piece
        assert tokens.from_ids([id], tokenizer)[0].text == label
    assert tokens.id_of_label("no piece of any", tokenizer) is None


@pytest.mark.parametrize("kind", ["minilm", "byte_level", "sentence_bpe", "unigram", "marian", "byt5", "canine"])
def test_labels_and_ids_lead_to_one_another(request, kind):
    tokenizer = request.getfixturevalue(kind)
    count = min(len(tokenizer), 30522)
    shown = [tokens.from_ids([id], tokenizer)[0].text for id in range(count // 3, count, count // 60 or 1)]
    plain = [label for label in shown if not re.search("◌|U[+]|…", label)]
    assert len(plain) > len(shown) / 2 or kind == "canine"
    for label in plain:
        id = tokens.id_of_label(label, tokenizer)
        assert id is not None, label
        assert tokens.from_ids([id], tokenizer)[0].text == label


def test_without_a_tokenizer_no_label_leads_anywhere():
    assert tokens.id_of_label("5", None) is None


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["byte_level", "sentence_bpe"])
def test_ids_alone_give_the_names_that_the_text_gives(request, kind, text):
    tokenizer = request.getfixturevalue(kind)
    by_id = tokens.from_ids(tokenizer(text)["input_ids"], tokenizer)
    assert [token.text for token in by_id] == labels(tokenizer, text)


@pytest.mark.parametrize("kind", ["minilm", "byte_level", "sentence_bpe", "unigram", "marian", "byt5", "canine"])
def test_pieces_of_a_word_go_on_with_it(request, kind):
    words = []
    for token in by_any_means(request.getfixturevalue(kind), "unbatx the hat"):
        piece = token.text.replace("␣", "").removeprefix("##")
        if token.inside:
            words[-1] += piece
        elif piece and not token.special:
            words.append(piece)
    assert words == ["unbatx", "the", "hat"]


def words(found):
    """Return the words of tokens, each once."""
    return [word.text for word in pretrained.words_of(found) if not word.special]


KINDS = ["minilm", "byte_level", "sentence_bpe", "unigram", "marian", "byt5", "canine"]


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_the_same_whatever_the_tokenizer_takes_for_one(request, kind):
    tokenizer = request.getfixturevalue(kind)
    found = words(by_any_means(tokenizer, "the hat, unbatx."))
    lacking = {"unigram", "marian"} & {kind}  # have no comma and no point
    assert found == ["the", "hat", *([] if lacking else [","]), "unbatx", *([] if lacking else ["."])] or lacking
    assert [word for word in found if word.isalpha()] == ["the", "hat", "unbatx"]


@pytest.mark.parametrize("kind", ["minilm", "byte_level", "sentence_bpe", "unigram"])
def test_a_word_keeps_its_apostrophe(request, kind):
    found = by_any_means(request.getfixturevalue(kind), "the hat hasn't")
    assert [word.split(" ")[-1] for word in words(found)] == [
        "the",
        "hat",
        "hasn't",
    ]  # behind the name of what it lacks


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_is_a_piece_of_one_word(request, kind):
    for text in [*TEXTS, "the hat, unbatx."]:
        found = by_any_means(request.getfixturevalue(kind), text)
        together = pretrained.words_of(found)
        assert [place for word in together for place in word.pieces] == list(range(len(found)))
        assert [token.word for token in found] == [number for number, word in enumerate(together) for _ in word.pieces]
        begun = {word.pieces[0] for word in together}
        assert not any(token.inside for place, token in enumerate(found) if place in begun)
        assert all(len(word.pieces) == 1 for word in together if word.special)
        assert all(word.text.isprintable() or "\u200d" in word.text for word in together)


def test_bytes_and_spaces_of_a_word_belong_to_it(byte_level, sentence_bpe, unigram, byt5):
    assert words(named(byte_level, "a é 🙂🙂")) == ["a", "é", "🙂", "🙂"]
    assert words(named(byte_level, "a  the\n\nhat")) == ["a", "␣", "the", "↵", "↵", "hat"]
    assert [len(word.pieces) for word in pretrained.words_of(named(byte_level, "a é"))] == [1, 3]
    assert words(named(sentence_bpe, "今日 今")) == ["今", "日", "今"]
    assert words(named(unigram, "今日 今日")) == ["今日", "今日"]  # one token is not cut
    assert words(by_any_means(byt5, "é 🙂, a")) == ["é", "🙂", ",", "a"]


def test_unknown_words_say_so(minilm, unigram):
    assert words(named(minilm, "🙂 ok")) == ["[UNK] 🙂", "ok"]
    (word,) = [word for word in pretrained.words_of(named(unigram, "the hatΩ")) if word.unknown]
    assert word.text == "<unk> hatΩ"
    assert len(word.pieces) > 1


def test_both_texts_of_a_pair_have_words_of_their_own(minilm):
    found = named(minilm, "it isn't", "it is")
    assert [(word.text, word.segment) for word in pretrained.words_of(found)] == [
        ("[CLS]", 0), ("it", 0), ("isn't", 0), ("[SEP]", 0), ("it", 1), ("is", 1), ("[SEP]", 1),
    ]  # fmt: skip


def test_ids_alone_have_the_words_that_the_tokenizer_writes(minilm, byte_level):
    for tokenizer, expected in (
        (minilm, ["playfulness", "isn", "'", "t", "."]),
        (byte_level, ["playfulness", "isn't", "."]),
    ):
        ids = tokenizer("playfulness isn't.")["input_ids"]
        assert words(tokens.from_ids(ids, tokenizer)) == expected
    assert words(tokens.from_ids([5, 7], None)) == ["5", "7"]


@pytest.mark.parametrize("kind", ["minilm", "byte_level", "sentence_bpe", "unigram"])
def test_what_is_written_goes_on_with_the_word_before(request, kind):
    tokenizer, text = request.getfixturevalue(kind), "the unbatx hat unbatx"
    whole = [token for token in named(tokenizer, text) if not token.special]
    for read in (1, 3, 6):
        row = whole[:read]
        for token in whole[read:]:
            (alone,) = tokens.from_ids([token.id], tokenizer)
            row.append(tokens.following(alone, row, tokenizer))
        assert [token.word for token in row] == [token.word - whole[0].word + row[0].word for token in whole]
        assert [token.inside for token in row] == [token.inside for token in whole]
        assert row[-1].word_text == "unbatx"
        assert "unbatx".startswith(row[-2].word_text)  # as far as it was written then


def test_words_are_numbered_through_where_tokens_are_put_in_a_row(minilm):
    row = tokens.in_a_row(named(minilm, "playfulness"), named(minilm, "hat"), [tokens.Token("1·1", None, False)])
    assert [token.word for token in row] == [0, 1, 1, 2, 3, 4, 5, None]
    assert words(row) == ["playfulness", "hat", "1·1"]


def test_a_space_before_the_first_word_is_a_token_of_its_own(sentence_bpe, unigram):
    assert labels(sentence_bpe, "今日") == ["␣", "今", "日"]
    assert labels(unigram, "今日 今日") == ["␣", "今日", "␣", "今日"]
    assert [(token.start, token.end) for token in named(unigram, "今日 今日")] == [(0, 0), (0, 2), (2, 3), (3, 5)]


def test_pieces_of_a_slow_tokenizer_keep_their_space(marian):
    ids = marian("the bat")["input_ids"]
    assert together(tokens.from_ids(ids, marian)) == "".join(marian.convert_ids_to_tokens(ids[:-1])).replace("▁", "␣")


@pytest.mark.parametrize(("kind", "name"), [("minilm", "[UNK]"), ("unigram", "<unk>"), ("marian", "<unk>")])
def test_what_the_vocabulary_lacks_is_called_unknown(request, kind, name):
    tokenizer = request.getfixturevalue(kind)
    one, other = by_any_means(tokenizer, "the 👍 bat"), by_any_means(tokenizer, "the 🤮 bat")
    assert [token.id for token in one] == [token.id for token in other]
    for mine, its in zip(one, other, strict=True):
        assert mine.unknown == its.unknown == (mine.id == tokenizer.unk_token_id)
        typed = (" 👍", " 🤮") if mine.unknown and tokenizer.is_fast else ("", "")
        assert mine.text.removesuffix(typed[0]) == its.text.removesuffix(typed[1])
        assert not mine.unknown or mine.text == name + typed[0]
    assert any(token.unknown for token in one)


def test_bytes_that_are_no_character_are_shown_as_numbers(byte_level, byt5):
    for tokenizer in (byte_level, byt5):
        (token,) = tokens.from_ids([tokenizer("🙂")["input_ids"][1]], tokenizer)
        assert token.text == "<0x9F>"


def test_bytes_beside_letters_are_shown_as_numbers_and_lead_to_their_token():
    """A space, or a whole letter, stays what it is."""
    shown = {
        "Ġ": "␣",
        "ĠÃ": "␣<0xC3>",
        "Ð¾Ð": "о<0xD0>",
        "ŀĭ": "<0x9E><0x8B>",
        "ï¿½": "<0xEF><0xBF><0xBD>",
        "ā": "<0x01>",
    }
    vocabulary = {piece: id for id, piece in enumerate(shown)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    made.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made)
    for id, label in enumerate(shown.values()):
        assert spelled_token(made, id) == tokens.from_ids([id], tokenizer)[0].text == label
        assert tokens.id_of_label(label, tokenizer) == id


def test_a_token_with_another_task_is_not_unknown(byte_level, canine):
    gpt2 = transformers.PreTrainedTokenizerFast(
        tokenizer_object=byte_level.backend_tokenizer, eos_token="<|endoftext|>", unk_token="<|endoftext|>"
    )
    (token,) = tokens.from_ids([gpt2.eos_token_id], gpt2)
    assert token.special
    assert not token.unknown
    assert [token.text for token in by_any_means(canine, "a")] == ["[CLS]", "a", "[SEP]"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" the ", "␣the␣"),
        ("\u00a0", "U+00A0"),
        ("  ", "␣␣"),
        ("\t", "⇥"),
        ("\x00", "<0x00>"),
        ("\x7f", "<0x7F>"),
        ("\x85", "U+0085"),
        ("\u202eabc", "U+202Eabc"),
        ("\u200d", "U+200D"),
        ("\ufe0f", "U+FE0F"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("\u0301", "◌\u0301"),
        ("", "␀"),
        ("x" * 40, "x" * 31 + "…"),
    ],
)
def test_labels_are_one_line_with_nothing_invisible(text, label):
    assert tokens.readable(text) == label


@pytest.mark.parametrize("text", ["a\x00b", "\u202e\u2066x", "e\u0301 \ufe0f", "\n\r\t", "𝔘𝔫𝔦 ٤٢ 漢字"])
def test_no_label_is_empty_or_breaks_the_line(minilm, byte_level, text):
    for tokenizer in (minilm, byte_level):
        for label in labels(tokenizer, text):
            assert label.strip()
            assert label.isprintable() or "\u200d" in label


def test_a_text_is_taken_with_its_length():
    assert tokens.checked("a\ud800b") == "a\ufffdb"
    with pytest.raises(ValueError, match="text must be a string, got NoneType"):
        tokens.checked(None)
    with pytest.raises(pretrained.ModelError, match="at most 200,000 characters, got 200,001"):
        tokens.checked("x" * 200_001)
