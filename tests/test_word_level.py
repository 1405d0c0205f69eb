"""Attention between words, put together from that between their pieces: by hand, by slow loops, and in real models."""

import numpy as np
import pytest
from heads import random_weights
from hypothesis import given
from hypothesis import strategies as st

from attn import masks, pretrained
from attn.analysis import contribution
from attn.analysis.word_level import mask_to_words, to_words, word_groups

TEXT = "Unbelievably, tokenization of antidisestablishmentarianism isn't straightforward."


def slow_words(words):
    """Return the words in the order in which they begin, each as the places of its pieces."""
    found = []
    for place, word in enumerate(words):
        before = [pieces for name, pieces in found if word is not None and name == word]
        if before:
            before[0].append(place)
        else:
            found.append((word, [place]))
    return [pieces for _, pieces in found]


def slow_to_words(weights, query_words, key_words):
    """Sum columns and average rows, one cell after the other."""
    rows, columns = slow_words(query_words), slow_words(key_words)
    result = np.zeros((len(rows), len(columns)))
    for i, queries in enumerate(rows):
        for j, keys in enumerate(columns):
            result[i, j] = sum(float(weights[q, k]) for q in queries for k in keys) / len(queries)
    return result


def test_columns_are_summed_and_rows_averaged():
    weights = [[0.5, 0.25, 0.25], [0.5, 0.5, 0], [0, 0.5, 0.5]]
    np.testing.assert_array_equal(to_words(weights, [3, 3, 8]), [[0.875, 0.125], [0.5, 0.5]])
    np.testing.assert_array_equal(to_words(weights, [None, None, None]), weights)


numbers = st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=7)


@given(numbers, numbers, st.integers(0, 99))
def test_two_texts_by_slow_loops(query_words, key_words, seed):
    weights = random_weights(2, 3, len(query_words), len(key_words), seed=seed)
    words = to_words(weights, query_words, key_words)
    np.testing.assert_allclose(words[1, 2], slow_to_words(weights[1, 2], query_words, key_words))
    np.testing.assert_allclose(words.sum(axis=-1), 1)


@given(numbers)
def test_a_text_that_looks_at_itself(words):
    weights = random_weights(len(words), len(words))
    np.testing.assert_array_equal(to_words(weights, words), to_words(weights, words, words))


def test_a_causal_word_sees_only_part_of_itself():
    words, mask = [0, 1, 1, 1, 2], masks.causal(5).visible
    weights = mask / mask.sum(axis=1, keepdims=True)
    seen = mask_to_words(mask, words)
    np.testing.assert_array_equal(seen, np.tri(3, dtype=bool))
    result = to_words(weights, words)
    np.testing.assert_array_equal(result[~seen], 0)
    np.testing.assert_allclose(result[1], [(1 / 2 + 1 / 3 + 1 / 4) / 3, (1 / 2 + 2 / 3 + 3 / 4) / 3, 0])


def test_a_word_is_seen_where_a_piece_is():
    window = masks.sliding_window(5, 5, 1).visible
    seen = mask_to_words(window, [0, 0, 1, 1, 2], range(5))
    np.testing.assert_array_equal(seen, [[1, 1, 1, 0, 0], [0, 1, 1, 1, 1], [0, 0, 0, 1, 1]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_type_is_kept(dtype):
    assert to_words(random_weights(3, 3).astype(dtype), [0, 0, 1]).dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: to_words([1.0, 0.0], [0, 0]), r"weights must have axes \(\.\.\., n_q, n_k\), got \(2,\)"),
        (lambda: to_words(np.eye(3), [0, 1]), r"query_words must be 3 numbers of words or None.*got \[0, 1\]"),
        (lambda: to_words(np.eye(3), [0, 1, 1], [0]), r"key_words must be 3 numbers of words"),
        (lambda: to_words(np.eye(2), ["a", "b"]), r"query_words must be 2 numbers of words"),
        (lambda: to_words(np.eye(2), [True, False]), r"query_words must be 2 numbers of words"),
        (lambda: mask_to_words(np.eye(2), [0, 1]), r"mask must be boolean, got float64"),
        (lambda: contribution.value_weighted(np.eye(2), np.eye(2), np.eye(2), key_words=[0]), r"key_words must be 2"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_pieces_of_a_word_contribute_together():
    rng, words = np.random.default_rng(3), [0, 1, 1, 2, 2]
    weights, value, w_o = random_weights(2, 3, 5, seed=1), rng.normal(size=(1, 5, 7)), rng.normal(size=(14, 11))
    lengths = contribution.value_weighted(weights, value, w_o, key_words=words)
    for head, query, word in np.ndindex(2, 3, 3):
        band, keys = w_o[7 * head : 7 * head + 7], [key for key in range(5) if words[key] == word]
        added = sum(weights[head, query, key] * value[0, key] @ band for key in keys)
        np.testing.assert_allclose(lengths[head, query, word], np.sqrt((added**2).sum()))
    alone = contribution.value_weighted(weights, value, w_o, key_words=[None] * 5)
    np.testing.assert_allclose(alone, contribution.value_weighted(weights, value, w_o))
    opposite = contribution.value_weighted([[0.5, 0.5]], [[3, 4], [-3, -4]], np.eye(2), key_words=[0, 0])
    np.testing.assert_array_equal(opposite, [[0]])


def test_hidden_keys_of_a_word_add_nothing():
    lengths = contribution.value_weighted([[1, 0]], [[3, 4], [np.nan, np.inf]], np.eye(2), key_words=[0, 0])
    np.testing.assert_array_equal(lengths, [[5]])


# In a model


def test_a_recorded_layer_knows_its_words():
    recording = pretrained.record(pretrained.load(), TEXT)
    layer = recording.layers[3]
    names = ["[CLS]", "Unbelievably", ",", "tokenization", "of", "antidisestablishmentarianism", "isn't"]
    assert [word.text for word in layer.key_words] == [*names, "straightforward", ".", "[SEP]"]
    assert [len(word.pieces) for word in layer.key_words] == [1, 5, 1, 2, 1, 8, 3, 1, 1, 1]
    typed = [TEXT[word.start : word.end] for word in layer.key_words if not word.special]
    assert typed == [word.text for word in layer.key_words if not word.special]
    weights, numbers = layer.word_weights([1, 5]), [token.word for token in recording.tokens]
    assert weights.shape == (1, 2, 10, 10)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(weights[0, 1], slow_to_words(layer.weights(5)[0, 0], numbers, numbers), atol=1e-6)


def test_several_texts_have_words_of_their_own():
    loaded = pretrained.load()
    texts = [TEXT, "Playfulness isn't it."]
    layer = pretrained.record(loaded, texts).layers[3]
    with pytest.raises(pretrained.ModelError, match=r"got 2 texts: layer\.batch has a layer for each"):
        layer.word_weights(1)
    for text, one in zip(texts, layer.batch, strict=True):
        alone = pretrained.record(loaded, text).layers[3]
        assert [word.text for word in one.key_words] == [word.text for word in alone.key_words]
        np.testing.assert_allclose(one.word_weights(1), alone.word_weights(1), atol=1e-6)


def test_words_of_tokenizers_are_taken_as_they_are():
    loaded = pretrained.load()
    recording, ids = pretrained.record(loaded, TEXT), loaded.tokenizer(TEXT).word_ids()
    weights = recording.layers[0].weights(0)[0, 0]
    np.testing.assert_allclose(to_words(weights, ids), slow_to_words(weights, ids, ids), atol=1e-6)
    assert word_groups(ids, len(ids)).max() + 1 == len(recording.layers[0].key_words) + 2  # isn ' t


def test_queries_and_keys_of_a_decoder_have_words_of_their_own():
    transformers = pytest.importorskip("transformers")
    widths = {"d_model": 24, "encoder_attention_heads": 3, "decoder_attention_heads": 3}
    config = transformers.BartConfig(
        vocab_size=30522, encoder_layers=1, decoder_layers=1, decoder_start_token_id=102, **widths
    )
    loaded = pretrained.wrap(transformers.AutoModel.from_config(config), pretrained.load().tokenizer)
    own, cross = pretrained.record(loaded, "red playfulness", pair="tokenization isn't").layers[1:]
    assert [word.text for word in cross.query_words] == ["[SEP]", "[CLS]", "tokenization", "isn't"]
    assert [word.text for word in cross.key_words] == ["[CLS]", "red", "playfulness", "[SEP]"]
    sides = [[token.word for token in side] for side in (cross.query_tokens, cross.key_tokens)]
    assert sides == [[0, 1, 2, 2, 3, 3, 3], [0, 1, 2, 2, 3]]
    expected = slow_to_words(cross.weights(2)[0, 0], *sides)
    np.testing.assert_allclose(cross.word_weights(2)[0, 0], expected, atol=1e-6)
    assert own.word_weights().shape == (1, 3, 4, 4)


def test_a_picture_has_patches_and_no_words():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=1, num_attention_heads=3, image_size=30, patch_size=10
    )
    loaded = pretrained.wrap(transformers.AutoModel.from_config(config))
    import torch

    layer = pretrained.record(loaded, inputs={"pixel_values": torch.zeros(1, 3, 30, 30)}).layers[0]
    assert [word.text for word in layer.key_words] == [token.text for token in layer.key_tokens]
    np.testing.assert_array_equal(layer.word_weights(), layer.weights())
