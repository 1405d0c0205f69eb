"""What the matrices of a head say by themselves, held against the head at work."""

import dataclasses

import numpy as np
import pytest

from attn.models import bert as bert_line
from attn.models import head_weights
from attn.pretrained import bert
from attn.ui.pages.why.method import match_formula, norms_behind, places_left_out, word_formula

pytest.importorskip("torch")
pytest.importorskip("transformers")
from attn.pretrained.families.whole_models import VOCABULARY, in_numpy, random_model

FAMILIES = ["Llama with biases", "YaRN", "Phi-3 for long texts", "Qwen 3", "SmolLM 3", "Gemma 2", "OLMo 2", "GPT-2"]
FAMILIES += ["BERT"]


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return in_numpy(random_model(request.param))


def test_a_word_is_matched_as_the_first_layer_matches_it(model):
    """One token alone, its position taken away: the score of its query with its own key, at a distance of 0."""
    line, opened = model
    heard = {}
    read = head_weights.read_embeddings(opened, [7])

    def bare(step, layer, array):
        heard[step, layer] = array
        if (step, layer) != ("residual", 0):
            return array
        return read if line.__name__.endswith("bert") else opened.embedding[[7]] * getattr(opened, "embedding_scale", 1)

    line.forward(opened, [7], change=bare)
    for head in range(head_weights.num_heads(opened)):
        group = head // (len(heard["query", 0]) // len(heard["key", 0]))
        scale = head_weights.head_matrices(opened, 0, head).scale
        score = scale * heard["query", 0][head, 0] @ heard["key", 0][group, 0]
        got = head_weights.matched_words(opened, 0, head, [7], [7])
        assert got[0, 0] == pytest.approx(score, rel=1e-3, abs=1e-3)
        assert head_weights.matched_words(opened, 0, head, [7]).shape == (1, VOCABULARY)


def test_what_is_written_is_what_the_head_alone_would_have_the_model_say(model):
    """One word alone, read by one head of layer 1, and nothing else in the last state, which its norm then shrinks."""
    line, opened = model
    if line is bert_line:
        own = head_weights.head_matrices(opened, 1, 2)
        read = head_weights.read_embeddings(opened, [5, 9])
        written = head_weights.written_words(opened, 1, 2, [5, 9])
        np.testing.assert_allclose(written, read @ own.w_v @ own.w_o @ opened.embedding.T, rtol=1e-3, atol=1e-3)
        return
    opened = without_shifts(opened)
    for word in (5, 9):
        heard = {}

        def alone(step, layer, array, word=word, heard=heard):
            if (step, layer) == ("residual", 1):
                return opened.embedding[[word]] * getattr(opened, "embedding_scale", 1)
            if (step, layer) == ("residual", len(opened.layers)):
                return heard["attention_output"]
            if (step, layer) == ("context", 1):
                array = np.array([row if head == 2 else 0 * row for head, row in enumerate(array)])
            if layer == 1:
                heard[step] = array
            return array

        logits = line.forward(opened, [word], change=alone).logits[0].astype(float)
        if getattr(opened, "logit_softcap", None):
            logits = opened.logit_softcap * np.arctanh(logits / opened.logit_softcap)
        got = head_weights.written_words(opened, 1, 2, [word])[0]
        assert got.shape == (VOCABULARY,)
        np.testing.assert_allclose(got / np.abs(got).max(), logits / np.abs(logits).max(), atol=1e-4)


def without_shifts(opened):
    """Return a model whose biases, but for those of the norms that layers read by, are 0: no word decides them."""
    if hasattr(opened.norm, "bias"):
        kept = np.arange(3 * len(opened.norm.gain)) < 2 * len(opened.norm.gain)  # of queries and keys
        layers = tuple(each._replace(b_qkv=each.b_qkv * kept, b_o=0 * each.b_o) for each in opened.layers)
        return dataclasses.replace(opened, layers=layers, norm=opened.norm._replace(bias=0 * opened.norm.bias))
    return dataclasses.replace(opened, layers=tuple(each._replace(b_v=None, b_o=None) for each in opened.layers))


def test_the_page_names_the_norms_behind_a_head_that_count(model):
    """A gain changed behind the head changes what is written just where the page says that gains are in it."""
    _, opened = model
    if isinstance(opened, bert_line.Bert):
        layers = tuple(
            each._replace(
                attention_norm=each.attention_norm._replace(gain=2 * each.attention_norm.gain),
                feed_forward_norm=each.feed_forward_norm._replace(gain=2 * each.feed_forward_norm.gain),
            )
            for each in opened.layers
        )
        changed, factor = dataclasses.replace(opened, layers=layers), 1
        assert norms_behind(opened) == "no norm behind the head is in it"
        assert places_left_out(opened) == "positions and segments are left out"
    else:
        norm = opened.norm
        gain = norm._replace(gain=2 * norm.gain) if hasattr(norm, "gain") else 2 * norm
        changed, factor = dataclasses.replace(opened, norm=gain), 2
        assert norms_behind(opened).startswith("of the norms behind the head only the gains")
        assert ("centre" in norms_behind(opened)) == hasattr(norm, "bias")
        assert places_left_out(opened) == "positions are left out"
    written = head_weights.written_words(opened, 1, 2, [5])
    np.testing.assert_allclose(head_weights.written_words(changed, 1, 2, [5]), factor * written, rtol=1e-4, atol=1e-4)


def test_the_formula_of_a_match_has_the_biases_and_norms_of_the_model(model):
    _, opened = model
    formula = match_formula(opened, 1)
    assert formula.startswith(r"c\, ")
    for name, letter in (("b_q", "Q"), ("b_k", "K")):
        assert (f"+ b_{letter}" in formula) == bool(np.any(getattr(head_weights.head_matrices(opened, 1, 2), name)))
    assert formula.count("norm") == 2 * (getattr(opened.layers[1], "query_norm", None) is not None)


def test_the_formula_of_a_word_has_a_norm_where_the_length_of_its_embedding_is_lost(model):
    _, opened = model
    doubled = dataclasses.replace(opened, embedding=2 * opened.embedding)
    words, of_doubled = (head_weights.read_embeddings(each, [3, 5]) for each in (opened, doubled))
    assert ("norm" in word_formula(opened)) == np.allclose(words, of_doubled, rtol=0.05, atol=0.05)


def test_a_whole_vocabulary_is_matched_in_blocks_as_words_are_alone():
    model, ids = bert.load().model, [0, 4095, 4096, 30_521]
    whole = head_weights.matched_words(model, 2, 3, [2_003])
    assert whole.shape == (1, len(model.embedding))
    np.testing.assert_allclose(
        whole[:, ids], head_weights.matched_words(model, 2, 3, [2_003], ids), rtol=1e-4, atol=1e-4
    )


def test_copying_scores_are_those_of_the_whole_matrix_of_words(model):
    """The eigenvalues of the small matrix against those of all words by all words."""
    _, opened = model
    got = head_weights.copying_scores(opened, [1])
    assert got.shape == (1, head_weights.num_heads(opened))
    for head in range(2):
        whole = head_weights.written_words(opened, 1, head, np.arange(VOCABULARY)).astype(float)
        norm = getattr(opened.layers[1], "attention_norm", None)
        if norm is not None and hasattr(norm, "bias") and type(opened).__name__ != "Bert":
            own = head_weights.head_matrices(opened, 1, head)  # the shift of a norm is no word's own
            shift = norm.bias @ own.w_v @ own.w_o
            whole = whole - ((shift - shift.mean()) * opened.norm.gain) @ opened.unembedding.T
        values = np.linalg.eigvals(whole)
        assert got[0, head] == pytest.approx(values.real.sum() / np.abs(values).sum(), abs=0.02)


def test_a_head_that_writes_what_it_reads_copies():
    _, opened = in_numpy(random_model("Llama"))
    layer = opened.layers[0]
    read = head_weights.read_embeddings(opened) * layer.attention_norm
    said = opened.unembedding * opened.norm
    back = np.linalg.pinv(read @ layer.w_v[:, :12]) @ np.linalg.pinv(said).T  # of values, the words they came from
    w_o = layer.w_o.copy()
    for sign in (1, -1):
        w_o[:12] = sign * back
        changed = type(opened)(**(vars(opened) | {"layers": (layer._replace(w_o=w_o), *opened.layers[1:])}))
        assert head_weights.copying_scores(changed, [0])[0, 0] == pytest.approx(sign, abs=1e-2)


def test_queries_and_keys_of_one_cloud():
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(7, 5)) + 3, rng.normal(size=(4, 5)) * 0.1 - 2
    plane = head_weights.query_key_plane(query, key)
    assert plane.queries.shape == (7, 2)
    assert plane.keys.shape == (4, 2)
    np.testing.assert_allclose(plane.queries.mean(axis=0), plane.keys.mean(axis=0), atol=1e-9)
    sizes = [np.sqrt((side**2).sum(axis=-1).mean()) for side in (plane.queries, plane.keys)]
    assert 0.5 < sizes[0] / sizes[1] < 2
    assert 0 < plane.explained <= 1
    flat = head_weights.query_key_plane(query[:, :2], key[:, :2])  # what lies in a plane already is kept
    assert flat.explained == pytest.approx(1)
    moved = (query - query.mean(axis=0))[:, :2] @ (key - key.mean(axis=0))[:, :2].T
    np.testing.assert_allclose(flat.queries @ flat.keys.T, moved, atol=1e-9)
    with pytest.raises(ValueError, match="rows of one width"):
        head_weights.query_key_plane(query, key[:, :3])
    with pytest.raises(ValueError, match="query must be finite"):
        head_weights.query_key_plane(query * np.nan, key)


def test_what_is_not_there_is_said(model):
    _, opened = model
    with pytest.raises(ValueError, match="layer must be"):
        head_weights.head_matrices(opened, 99, 0)
    with pytest.raises(ValueError, match="head must be"):
        head_weights.head_matrices(opened, 0, 99)
    for layers in ([99], [-1], ["a"], [0.5]):
        with pytest.raises(ValueError, match=r"layers? must "):
            head_weights.copying_scores(opened, layers)
