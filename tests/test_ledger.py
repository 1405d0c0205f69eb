"""Scores and next words as sums over what made them: the sums are what the model computed."""

import numpy as np
import pytest

from attn import models
from attn.models import ledger
from attn.models.ledger import Part
from attn.pretrained import bert, language_model
from attn.pretrained.loading import smollm2

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from attn.pretrained.families.whole_models import DECODERS, ENCODERS, VOCABULARY, in_numpy, random_model  # noqa: E402

IDS = np.random.default_rng(5).integers(3, VOCABULARY, 11)


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request):
    line, model = in_numpy(random_model(request.param))
    return model, line.forward(model, IDS, steps=True)


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request):
    line, model = in_numpy(random_model(request.param))
    return model, line.forward(model, IDS, (np.arange(11) > 6).astype(int) if model.types is not None else None)


def uncapped(scores, cap):
    """Return scores as they were before a softcap."""
    return scores if cap is None else cap * np.arctanh(scores.astype(float) / cap)


def test_the_parts_of_a_state_sum_to_it(decoder):
    model, passed = decoder
    for layer, state in enumerate(passed.states):
        for token in (0, 4, 10):
            parts = ledger.state_parts(model, passed, layer, token)
            np.testing.assert_allclose(parts.vectors.sum(axis=0), state[token], atol=1e-5 * np.abs(state).max())


def test_a_ledger_sums_to_the_score(decoder):
    model, passed = decoder
    for layer, step in enumerate(passed.layers):
        scores = uncapped(step.attention.scores, getattr(model, "softcap", None))
        for head, query, key in ((0, 10, 3), (1, 5, 5), (2, 7, 0), (3, 10, 9)):
            got = ledger.score_ledger(model, passed, layer, head, query, key)
            assert got.table.shape == (len(got.query_parts), len(got.key_parts))
            assert len(set(got.query_parts)) == len(got.query_parts)
            # a window hides keys, but not their scores
            size = float(np.abs(scores).max())
            assert got.score == pytest.approx(scores[head, query, key], abs=2e-5 * size)
            assert got.score == pytest.approx(
                ledger.score_of_states(model, passed, layer, head, query, key), abs=2e-6 * size
            )


@pytest.mark.parametrize("against", [6, [6], [1, 2, 6], range(11)])
def test_a_ledger_against_other_keys_sums_to_the_difference(decoder, encoder, against):
    for model, passed in (decoder, encoder):
        attention = (passed.layers if hasattr(passed, "layers") else passed.blocks)[1].attention
        scores = uncapped(attention.scores, getattr(model, "softcap", None))[2, 10].astype(float)
        got = ledger.score_ledger(model, passed, 1, 2, 10, 3, against)
        close = {"abs": 4e-5 * float(np.abs(scores).max())}
        assert got.score == pytest.approx(scores[3] - scores[np.atleast_1d(against)].mean(), **close)
        double = ledger.score_of_states(model, passed, 1, 2, 10, 3, against)
        assert got.score == pytest.approx(double, abs=close["abs"] / 10)
        assert ledger.score_ledger(model, passed, 1, 2, 10, 3, 3).table == pytest.approx(0, abs=1e-12)


def test_what_was_said_for_a_word_sums_to_its_score(decoder):
    model, passed = decoder
    logits = uncapped(passed.logits, getattr(model, "logit_softcap", None))
    for token, word, rival in ((10, 3, 7), (0, 5, 4)):
        got = ledger.word_contributions(model, passed, token, word)
        assert got.total == pytest.approx(logits[token, word], abs=2e-5 * float(np.abs(logits).max()))
        apart = ledger.word_contributions(model, passed, token, word, instead_of=rival)
        assert apart.total == pytest.approx(
            logits[token, word] - logits[token, rival], abs=2e-5 * float(np.abs(logits).max())
        )


def test_the_lens_ends_with_what_the_model_says(decoder):
    model, passed = decoder
    lens = ledger.logit_lens(model, passed)
    assert lens.shape == (len(model.layers) + 1, len(IDS), VOCABULARY)
    np.testing.assert_allclose(lens.sum(axis=-1), 1, atol=1e-5)
    shares = np.exp(passed.logits - passed.logits.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(lens[-1], shares / shares.sum(axis=-1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(ledger.logit_lens(model, passed, [4, 2]), lens[..., [4, 2]])


def test_in_an_encoder_each_part_goes_through_every_norm(encoder):
    model, passed = encoder
    for layer, block in enumerate(passed.blocks):
        parts = ledger.state_parts(model, passed, layer, 4)
        np.testing.assert_allclose(parts.vectors.sum(axis=0), block.hidden[4], atol=1e-5)
        for head, query, key in ((0, 10, 3), (3, 2, 9)):
            score = block.attention.scores[head, query, key]
            got = ledger.score_ledger(model, passed, layer, head, query, key)
            assert got.score == pytest.approx(score, abs=1e-5 * float(np.abs(block.attention.scores).max()))


@pytest.mark.parametrize(
    "text", ["The animal didn't cross the street because it was too tired.", "Er liest, sie schreibt."]
)
def test_every_score_of_minilm_is_the_sum_of_its_ledger(encoder_minilm, text):
    encoding = encoder_minilm.tokenizer.encode(text)
    passed = models.bert.forward(encoder_minilm.model, encoding.ids, encoding.type_ids)
    places = np.random.default_rng(0).integers(0, len(encoding.ids), (4, 2))
    for layer, block in enumerate(passed.blocks):
        for head, (query, key) in enumerate(places):
            got = ledger.score_ledger(encoder_minilm.model, passed, layer, head, query, key)
            assert abs(got.score - block.attention.scores[head, query, key]) < 1e-5


@pytest.mark.skipif(smollm2.packaged() is None and smollm2.cached() is None, reason="no SmolLM2 here")
def test_scores_of_smollm2_are_the_sums_of_their_ledgers():
    """Of its states in double precision: the score that it computed is rounded by more than that."""
    opened = language_model.load(smollm2.NAME)
    passed = language_model.read(opened, "The animal was too tired.", steps=True).passed
    for layer in (0, 11, 18, 29):
        head, query, key = 7, len(passed.ids) - 1, layer % 5
        given = (opened.model, passed, layer, head, query, key)
        double = ledger.score_of_states(*given)
        assert abs(ledger.score_ledger(*given).score - double) < 1e-5
        assert passed.layers[layer].attention.scores[head, query, key] == pytest.approx(double, abs=1e-4)


@pytest.fixture(scope="module")
def encoder_minilm():
    return bert.load()


def test_a_head_that_is_taken_out_takes_its_row_with_it():
    """In a model without norms between: what the ledger says of a head is how far the score falls without it."""
    line, model = in_numpy(random_model("Llama"))
    passed = line.forward(model, IDS, steps=True)
    got = ledger.score_ledger(model, passed, 1, 0, 10, 3)
    rows = {part: at for at, part in enumerate(got.query_parts)}
    assert set(rows) == {Part("embedding"), *(Part("head", 0, head) for head in range(4)), Part("feed_forward", 0)}
    parts = ledger.state_parts(model, passed, 1, 10)
    without = parts.vectors.sum(axis=0) - parts.vectors[rows[Part("head", 0, 2)]]
    gain = model.layers[1].attention_norm
    held = gain / np.sqrt((passed.states[1][10].astype(float) ** 2).mean() + model.epsilon)
    step, d_k = passed.layers[1], model.d_k
    turned = models.rotary_scaling.turning(model.ropes["all"], d_k, len(IDS), model.max_tokens).angles(10, 1)
    query = models.llama.rotate((without * held @ model.layers[1].w_q[:, :d_k])[None], turned)[0]
    score = model.scale * query @ step.key[0, 3].astype(float)
    assert got.score - got.table[rows[Part("head", 0, 2)]].sum() == pytest.approx(score, abs=1e-5)


def test_a_ledger_predicts_what_a_score_does_without_the_part_of_a_head(encoder_minilm):
    """Of MiniLM, with the norms' scales as they are once the part is gone; the benchmark does so over 200 cells."""
    model = encoder_minilm.model
    passed = bert.encode(encoder_minilm, "The animal didn't cross the street because it was too tired.").passed
    rng, said, done = np.random.default_rng(1), [], []
    for _ in range(16):
        layer, head = int(rng.integers(1, 6)), int(rng.integers(12))
        query, key = rng.integers(0, len(passed.ids), 2)
        made = ledger.score_ledger(model, passed, layer, head, query, key)
        source = next(part for pair in made.largest(made.table.size) for part in pair[:2] if part.kind == "head")
        row, column = made.query_parts.index(source), made.key_parts.index(source)
        said.append(-(made.table[row].sum() + made.table[:, column].sum() - made.table[row, column]))
        less = {}
        for token in {query, key}:
            parts = ledger.state_parts(model, passed, layer, token)
            less[token] = parts.vectors[parts.names.index(source)]

        def without(step, at, array, layer=layer, less=less):
            if (step, at) != ("residual", layer):
                return array
            array = array.copy()
            for token, part in less.items():
                array[token] -= part
            return array

        moved = models.bert.forward(model, passed.ids, change=without).blocks[layer].attention.scores
        done.append(moved[head, query, key] - passed.blocks[layer].attention.scores[head, query, key])
    ranks = [np.argsort(np.argsort(row)) for row in (said, done)]
    assert np.corrcoef(*ranks)[0, 1] > 0.95


def test_parts_are_named_by_what_their_head_looks_at(decoder, encoder):
    labels = [f"{at} t" for at in range(1, 12)]
    for model, passed in (decoder, encoder):
        made = ledger.state_parts(model, passed, 2, 7)
        named = dict(zip(made.names, (ledger.part_label(part, passed, 7, labels) for part in made.names), strict=True))
        assert len(set(named)) == len(named)
        weights = models.layer_parts.layer_attention(passed, 1).weights[2, 7]
        assert ledger.head_source(passed, Part("head", 1, 2), 7) == (weights.argmax(), weights.max())
        assert named[Part("head", 1, 2)] == f"2.3 → {weights.argmax() + 1} t"
        assert named[Part("feed_forward", 0)] == "feed-forward 1"
        assert named[Part("embedding")] == "embedding"
        for part in (Part("type"), Part("bias"), Part("bias", 1)):
            told = ledger.part_label(part, passed, 7, labels)
            assert told == {"type": "segment", "bias": "first norm" if part.layer is None else "biases of 2"}[part.kind]
    kinds = [ledger.group_label(part) for part in (Part("head", 1), Part("head"), Part("bias"), Part("position"))]
    assert kinds == ["heads 2", "all heads", "biases", "position"]


@pytest.mark.parametrize(
    ("part", "token", "count", "sentence"),
    [
        (Part("head", 9, 0), 1, 11, "layer must be"),
        (Part("head", 0, 99), 1, 11, "head must be"),
        (Part("head", 0), 1, 11, "part must have a head"),
        (Part("feed_forward"), 1, 11, "part must have a layer"),
        (Part("head", 0, 0), 11, 11, "token must be"),
        (Part("embedding"), 1, 10, "labels must be one for each of 11 tokens, got 10"),
    ],
)
def test_a_part_that_is_not_there_has_no_name(decoder, part, token, count, sentence):
    with pytest.raises(ValueError, match=sentence):
        ledger.part_label(part, decoder[1], token, ["t"] * count)


def test_joined_parts_have_the_same_sum(decoder):
    model, passed = decoder
    made = ledger.score_ledger(model, passed, 2, 1, 10, 3)
    joined = ledger.grouped(made)
    assert joined.score == pytest.approx(made.score, rel=1e-9)
    heads = [at for at, part in enumerate(made.query_parts) if (part.kind, part.layer) == ("head", 1)]
    at = joined.query_parts.index(Part("head", 1))
    assert joined.table[at].sum() == pytest.approx(made.table[heads].sum(), rel=1e-9)
    assert len(heads) == 4
    kinds = ledger.grouped(made, "kind")
    assert kinds.score == pytest.approx(made.score, rel=1e-9)
    assert len(set(kinds.query_parts)) == len(kinds.query_parts) <= 5
    with pytest.raises(ValueError, match="by must be layer or kind, got 'head'"):
        ledger.grouped(made, "head")


def test_words_of_the_lens_are_those_of_its_probabilities(decoder):
    model, passed = decoder
    lens, words = ledger.logit_lens(model, passed), ledger.lens_words(model, passed)
    np.testing.assert_array_equal(words.ids, lens.argmax(axis=-1))
    np.testing.assert_allclose(words.probabilities, lens.max(axis=-1), atol=1e-6)
    assert (words.ranks[-1] == 1).all()
    said = words.ids[-1, 4]
    assert words.ranks[1, 4] == 1 + (lens[1, 4] > lens[1, 4, said]).sum()


def test_the_length_of_a_last_state_is_a_sum(decoder, encoder):
    for model, passed in (decoder, encoder):
        state = passed.states[-1][4] if hasattr(passed, "states") else passed.output[4]
        made = ledger.state_contributions(model, passed, 4)
        assert made.total == pytest.approx(np.linalg.norm(state), rel=1e-4)


def test_an_encoders_states_are_held_against_embeddings(encoder):
    model, passed = encoder
    words = ledger.lens_words(model, passed)
    rows = model.embedding / np.linalg.norm(model.embedding, axis=-1, keepdims=True)
    state = passed.blocks[1].hidden[3] / np.linalg.norm(passed.blocks[1].hidden[3])
    assert words.ids[1, 3] == (rows @ state).argmax()
    assert words.probabilities[1, 3] == pytest.approx((rows @ state).max(), abs=1e-5)
    assert len(words.ids) == len(model.layers) + 1


def test_the_strongest_pairs_come_first():
    table = np.array([[1.0, -5.0], [2.0, 0.5]])
    parts = (Part("embedding"), Part("feed_forward", 0))
    got = ledger.Ledger(parts, parts, table)
    assert got.score == -1.5
    assert got.largest(2) == [(parts[0], parts[1], -5.0), (parts[1], parts[0], 2.0)]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"layer": 9}, "layer must be"),
        ({"head": 4}, "head must be"),
        ({"query": 11}, "token must be"),
        ({"key": -1}, "token must be"),
        ({"against": 11}, "token must be"),
        ({"against": []}, "against must name at least one key"),
    ],
)
def test_what_is_not_there_is_said(given, sentence):
    line, model = in_numpy(random_model("GPT-2"))
    passed = line.forward(model, IDS, steps=True)
    for account in (ledger.score_ledger, ledger.score_of_states):
        with pytest.raises(ValueError, match=sentence):
            account(model, passed, **({"layer": 1, "head": 0, "query": 3, "key": 2} | given))
    with pytest.raises(ValueError, match="role must be query or key, got 'value'"):
        ledger.projected_parts(model, passed, 1, 0, 3, "value")
    with pytest.raises(ValueError, match="must hold every step"):
        ledger.state_parts(model, line.forward(model, IDS), 1, 0)
    part = line.forward(model, IDS[5:], line.forward(model, IDS[:5]).cache, steps=True)
    with pytest.raises(ValueError, match="must hold the whole text, got the last 6 of 11 tokens"):
        ledger.state_parts(model, part, 1, 0)


def test_an_encoder_says_no_word():
    line, model = in_numpy(random_model("BERT"))
    passed = line.forward(model, IDS)
    with pytest.raises(ValueError, match="must write words"):
        ledger.word_contributions(model, passed, 0, 1)
    with pytest.raises(ValueError, match="must write words"):
        ledger.logit_lens(model, passed)
