import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn.data import examples
from attn.data.examples import SENTENCES, random_example, split_words

JOINER, SELECTOR = "\u200d", "\ufe0f"
ASTRONAUT = "\U0001f469\U0001f3fd" + JOINER + "\U0001f680"
FAMILY = JOINER.join("\U0001f468\U0001f469\U0001f467")
HEART = "❤" + SELECTOR
NETHERLANDS, JAPAN = "\U0001f1f3\U0001f1f1", "\U0001f1ef\U0001f1f5"


# Words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Life is short, eat dessert first", "Life is short , eat dessert first"),
        ("Don't say “l’été”!", "Don't say “ l’été ” !"),
        ("x_1 = (3.5 + y)**2", "x_1 = ( 3.5 + y ) * * 2"),
        ("1,000.50 at 3.14e5, v1.0. A.b", "1,000.50 at 3.14e5 , v1.0 . A . b"),
        ("ภาษาไทย ที่", "ภ า ษ า ไ ท ย ที่"),
        ("rock 'n' roll", "rock ' n ' roll"),
        ("<script>alert(1)</script>", "< script > alert ( 1 ) < / script >"),
        ("**bold** _it_", "* * bold * * _it_"),
        ("我爱学习。", "我 爱 学 习 。"),
        ("カタカナ", "カ タ カ ナ"),
        ("한국어 문장", "한국어 문장"),
        ("הילד קרא.", "הילד קרא ."),
        ("हिन्दी भाषा", "हिन्दी भाषा"),
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("e\u0301te\u0301", "e\u0301te\u0301"),
        (f"go {ASTRONAUT}{FAMILY}{HEART}!", f"go {ASTRONAUT} {FAMILY} {HEART} !"),
        (f"{NETHERLANDS}{JAPAN}", f"{NETHERLANDS} {JAPAN}"),
        ("a\x00b\x07 c\x1b[0m", "ab c [ 0m"),
        ("\u202eevil\u202c \ufefftext\u200b", "evil text"),
        ("one\ttwo\nthree\u00a0four\u3000five", "one two three four five"),
        ("bad \ud800 surrogate", "bad surrogate"),
        ("", ""),
        (" \n\t ", ""),
        ("\x00\x01\u200d", ""),
    ],
)
def test_split_by_hand(text, words):
    assert split_words(text) == tuple(words.split())


@given(st.text())
def test_what_can_be_seen_is_kept_in_order(text):
    words = split_words(text)
    assert all(words)
    assert not any(character.isspace() for word in words for character in word)
    lost = list(text)
    for character in "".join(words):
        lost = lost[lost.index(character) :]  # fails where the order is not kept
    seen = [c for c in text if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf", "Cs")]
    assert [c for word in words for c in word if unicodedata.category(c) != "Cf"] == seen


@given(st.text())
def test_splitting_twice_changes_nothing(text):
    words = split_words(text)
    assert split_words(" ".join(words)) == words


def test_words_lie_where_they_stand_in_the_text():
    text = "L’été\u200b co\u00adop, 3.5!\n🇳🇱"
    places = examples.word_places(text)
    assert [text[start:end] for start, end in places] == ["L’été", "co\u00adop", ",", "3.5", "!", "🇳🇱"]


@given(st.text(alphabet="ab é1९ش한你ภ🙂,.'’-()\n\u0301", max_size=12))
def test_words_are_those_of_unicode(text):
    regex = pytest.importorskip("regex")  # whose words are those of UAX #29
    other = r"\w\.(?!\d)\w|\d\.[^\d\W]|\d['’]|['’]\d|(^|[\s,.'’])\u0301|\u0301[,.'’]"  # where ours differ from them
    if not re.search(other, text):
        by_rule = [part.strip() for part in regex.split(r"(?w)\b", text, flags=regex.V1)]
        assert list(split_words(text)) == [part for part in by_rule if part]


# Random examples


def test_widths():
    example = random_example(("a", "b", "c"), d_model=5, d_k=2, d_v=7)
    shapes = [array.shape for array in (example.x, example.w_q, example.w_k, example.w_v)]
    assert shapes == [(3, 5), (5, 2), (5, 2), (5, 7)]
    assert random_example((), 5, 2, 7).x.shape == (0, 5)


def test_a_word_has_one_row_in_every_sentence():
    x = random_example(("The", "dog", "saw", "the", "DOG"), 5, 2, 7).x
    np.testing.assert_array_equal(x[0], x[3])
    np.testing.assert_array_equal(x[1], x[4])
    assert (x[0] != x[1]).all()
    np.testing.assert_array_equal(random_example(("A", "Dog"), 5, 2, 7).x[1], x[1])


def test_weights_do_not_move_with_the_sentence_or_with_one_another():
    one, other = random_example(("a",), 5, 2, 3), random_example(("b", "c"), 5, 4, 7)
    np.testing.assert_array_equal(one.w_q, other.w_q[:, :2])
    np.testing.assert_array_equal(one.w_k, other.w_k[:, :2])
    np.testing.assert_array_equal(one.w_v, other.w_v[:, :3])
    assert (one.w_q != one.w_k).all()


def test_the_seed_decides():
    one, again, other = (random_example(("a", "b"), 5, 2, 3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.x, again.x)
    np.testing.assert_array_equal(one.w_v, again.w_v)
    assert (one.x != other.x).all()
    assert (one.w_v != other.w_v).all()


def test_projections_have_the_size_of_what_they_project():
    example = random_example([str(i) for i in range(200)], 64, 32, 32)
    assert example.x.std() == pytest.approx(1, abs=0.05)
    assert (example.x @ example.w_q).std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("widths", "seed", "message"),
    [
        (
            (0, 2, 3),
            0,
            "d_model must be a whole number from 1 to 65536, got 0",
        ),
        (
            (1, 2, 3),
            -1,
            "seed must be a whole number of at least 0, got -1",
        ),
    ],
)
def test_bad_input(widths, seed, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        random_example(("a",), *widths, seed=seed)


# Sentences


def test_sentences_are_short_and_say_what_to_look_for():
    assert len(SENTENCES) >= 10
    assert len({sentence.key for sentence in SENTENCES}) == len({s.text for s in SENTENCES}) == len(SENTENCES)
    for sentence in SENTENCES:
        assert 4 <= len(split_words(sentence.text)) <= 20
        assert sentence.title
        assert sentence.look_for[-1] in ".?"


def test_worked_examples_are_fresh_each_time():
    examples.worked_example().x[0] = 0
    assert examples.worked_example().x[0].all()
