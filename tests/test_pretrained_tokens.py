"""Tokens are shown as people wrote them, whatever the tokenizer does to them."""

import pytest

from attn import pretrained
from attn.pretrained.inputs import tokens

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


def named(tokenizer, *texts):
    """Return the tokens of one or two texts."""
    return tokens.from_encoding(tokenizer(*texts).encodings[0], texts, tokens.special_ids(tokenizer))


def labels(tokenizer, *texts):
    """Return the labels of the tokens."""
    return [token.text for token in named(tokenizer, *texts)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A café", ["[CLS]", "A", "café", "[SEP]"]),
        ("🙂 ok", ["[CLS]", "🙂", "ok", "[SEP]"]),
        ("playfulness", ["[CLS]", "playful", "ness", "[SEP]"]),
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


def test_tokens_that_share_a_character_are_numbered_together():
    def named(*places):
        return [token.text for token in tokens.numbered(tokens.Token(text, 0, False, *at) for text, *at in places)]

    assert named((" 👩", 1, 3), ("👩", 2, 3), ("👩", 2, 3)) == ["␣👩 1/3", "👩 2/3", "👩 3/3"]
    assert named(("ab", 0, 2), ("b", 1, 2), ("c", 2, 3)) == ["ab 1/2", "b 2/2", "c"]
    assert named(("a", 0, 1, 0), ("b", 0, 1, 1), ("c", None, None, 1)) == ["a", "b", "c"]


def test_places_in_the_text_are_kept(minilm):
    text = "Is it open"
    inside = [token for token in named(minilm, text) if token.start is not None]
    assert [text[token.start : token.end] for token in inside] == ["Is", "it", "open"]


def test_special_tokens_are_those_the_tokenizer_adds_or_reads_as_such(minilm):
    flags = [(token.text, token.special) for token in named(minilm, "one [SEP] 🙂")]
    assert flags == [("[CLS]", True), ("one", False), ("[SEP]", True), ("🙂", False), ("[SEP]", True)]


def test_ids_alone_are_decoded(minilm, byte_level):
    assert [token.text for token in tokens.from_ids([101, 2054, 102], minilm)] == ["[CLS]", "what", "[SEP]"]
    ids = byte_level("the cat")["input_ids"]
    assert [token.text for token in tokens.from_ids(ids, byte_level)] == ["the", "␣cat"]
    assert [token.text for token in tokens.from_ids([5, 7], None)] == ["5", "7"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" the ", "␣the␣"),
        ("\u00a0", "U+00A0"),
        ("  ", "␣␣"),
        ("\t", "⇥"),
        ("\x00", "␀"),
        ("\x7f", "␡"),
        ("\x85", "U+0085"),
        ("\u202eabc", "U+202Eabc"),
        ("\u200d", "U+200D"),
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
