"""Whole models in numpy give what transformers gives: every state and score, with a cache and without one."""

import dataclasses
import inspect
import re

import numpy as np
import pytest
from processes import ROOT

from attn.models import bert, gpt2, llama, t5
from attn.models.passes import STEPS, within_window
from attn.models.rotary_scaling import SCALINGS, turning

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from attn.pretrained import __main__ as command  # noqa: E402
from attn.pretrained.families import whole_models  # noqa: E402
from attn.pretrained.families.whole_models import (  # noqa: E402
    DECODERS,
    ENCODERS,
    MOST,
    READERS_AND_WRITERS,
    TOKENS,
    VOCABULARY,
    in_numpy,
    random_model,
)
from attn.pretrained.tolerances import STATE  # noqa: E402


def apart(ours, theirs):
    """Return the largest difference of two arrays, relative to the largest number of the second."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request):
    return random_model(request.param)


@pytest.fixture(scope="module")
def ids():
    return np.random.default_rng(3).integers(3, VOCABULARY, TOKENS)


def test_every_state_and_every_score_is_that_of_transformers(decoder, ids):
    line, model = in_numpy(decoder)
    with torch.no_grad():
        theirs = decoder(torch.tensor(ids)[None], output_hidden_states=True, output_attentions=True)
    ours = line.forward(model, ids, steps=True)
    assert apart(ours.logits, theirs.logits[0]) < 1e-4
    for state, their in zip((*ours.states[:-1], ours.output), theirs.hidden_states, strict=True):
        assert apart(state, their[0]) < 1e-4
    for layer, their in zip(ours.layers, theirs.attentions, strict=True):
        assert np.abs(layer.attention.weights - their[0].numpy()).max() < 1e-5
        np.testing.assert_allclose(
            layer.output, layer.x + layer.attention_output + layer.feed_forward_output, atol=1e-4
        )


def test_with_a_cache_each_token_gets_what_transformers_gives_it(decoder, ids):
    line, model = in_numpy(decoder)
    ours, theirs = line.forward(model, ids[:11]), decoder(torch.tensor(ids[:11])[None], use_cache=True)
    assert ours.cache.length == 11
    for at in range(11, TOKENS):
        with torch.no_grad():
            more = torch.tensor(ids[at : at + 1])[None]
            theirs = decoder(more, past_key_values=theirs.past_key_values, use_cache=True)
        ours = line.forward(model, ids[at : at + 1], ours.cache)
        assert apart(ours.logits, theirs.logits[0]) < 1e-4
    assert ours.cache.length == TOKENS


def test_with_a_cache_in_parts_is_without_one(decoder, ids):
    line, model = in_numpy(decoder)
    cache, parts = None, []
    grows = any(kind in str(decoder.config) for kind in ("dynamic", "longrope"))
    if grows:  # a limit of 16 tokens, up to which nothing changes
        beyond = line.forward(model, ids[16:], line.forward(model, ids[:16]).cache)
        assert apart(beyond.logits, torch.tensor(line.forward(model, ids).logits[16:])) > 1e-3
        assert [length for length in range(TOKENS) if llama.outgrows_cache(model, length)] in ([16], [])
        ids = ids[:16]
    for part in np.split(ids, [5, 6, 13]):
        passed = line.forward(model, part, cache)
        cache = passed.cache
        parts.append(passed.logits)
    whole = line.forward(model, ids).logits
    assert apart(np.concatenate(parts), torch.tensor(whole)) < 1e-5
    assert line.forward(model, ids, last=True).logits.shape == (1, VOCABULARY)
    np.testing.assert_allclose(line.forward(model, ids, last=True).logits, whole[-1:], atol=1e-4)


def test_a_window_trims_the_cache(ids):
    line, model = in_numpy(random_model("Gemma 2"))
    cache = line.forward(model, ids).cache
    assert [key.shape[1] for key in cache.keys] == [4, TOKENS, 4, TOKENS, 4]
    assert {key.shape[0] for key in (*cache.keys, *cache.values)} == {2}  # key/value heads, fewer than query heads
    assert cache.nbytes == 2 * 4 * 2 * 12 * (3 * 4 + 2 * TOKENS)  # key and value, float32, heads, d_k, tokens kept


@pytest.mark.parametrize("family", ENCODERS)
def test_encoders_give_what_transformers_gives(family, ids):
    theirs = random_model(family)
    line, model = in_numpy(theirs)
    with torch.no_grad():
        states = theirs(torch.tensor(ids)[None], output_hidden_states=True).hidden_states
    ours = line.forward(model, ids)
    for state, their in zip((*(block.hidden for block in ours.blocks), ours.output), states, strict=True):
        assert apart(state, their[0]) < 1e-4


@pytest.mark.parametrize("name", READERS_AND_WRITERS)
def test_a_text_that_reads_another_looks_as_in_transformers(name, ids):
    theirs = random_model(name)
    line, model = in_numpy(theirs)
    with torch.no_grad():
        passed = theirs(
            input_ids=torch.tensor(ids)[None], decoder_input_ids=torch.tensor(ids[:7])[None], output_attentions=True
        )
    ours = line.forward(model, ids, ids[:7])
    assert apart(ours.logits, passed.logits[0]) < 1e-4
    for layers, part, found in (
        (ours.encoder, "attention", passed.encoder_attentions),
        (ours.decoder, "attention", passed.decoder_attentions),
        (ours.decoder, "cross", passed.cross_attentions),
    ):
        for layer, their in zip(layers, found, strict=True):
            # scores are not divided by the root of their width, so they are large, and their rounding is, too
            assert np.abs(getattr(layer, part).weights - their[0].numpy()).max() < 5e-5


def test_a_pair_of_texts_is_told_apart(ids):
    theirs = random_model("BERT")
    _, model = in_numpy(theirs)
    types = (np.arange(TOKENS) > 13).astype(int)
    with torch.no_grad():
        output = theirs(torch.tensor(ids)[None], token_type_ids=torch.tensor(types)[None]).last_hidden_state
    assert apart(bert.forward(model, ids, types).output, output[0]) < 1e-4


@pytest.mark.parametrize("line", [bert, gpt2, llama, t5])
def test_a_pass_can_be_read_from_top_to_bottom(line):
    for _, function in inspect.getmembers(line, inspect.isfunction):
        source = inspect.getsource(function)
        assert len(source.splitlines()) - len((function.__doc__ or "").splitlines()) <= 80


def test_every_kind_of_scaling_is_held_against_transformers():
    tried = {numbers.get("rope_parameters", {}).get("rope_type", "default") for _, numbers in DECODERS.values()}
    assert tried == set(SCALINGS)


def test_every_family_is_held_against_transformers():
    tried = {
        getattr(transformers, f"{kind}Config").model_type
        for kind, _ in (DECODERS | ENCODERS | READERS_AND_WRITERS).values()
    }
    same_as_roberta = {"xlm-roberta", "camembert"}  # classes of transformers without a line of their own
    assert tried | same_as_roberta == {*llama.FAMILIES, *gpt2.FAMILIES, *bert.FAMILIES, *t5.FAMILIES}


@pytest.mark.parametrize(("window", "kept"), [(None, 7), (1, 0), (3, 2), (8, 7), (20, 7)])
def test_a_window_keeps_what_the_next_token_sees_beside_itself(window, kept):
    rows = np.arange(7.0)[None, :, None]
    assert within_window(rows, window)[0, :, 0].tolist() == list(range(7 - kept, 7))


BAD = {
    "family": (llama, {"model_type": "t6"}, {}, "model_type must be one of llama"),
    "first": (llama, {"model_type": "llama"}, {}, "must have one tensor embed_tokens.weight, got 0"),
    "shape": (
        gpt2,
        {"model_type": "gpt2", "n_embd": 3, "vocab_size": 5},
        {"wte.weight": np.zeros((5, 4))},
        r"wte.weight must have shape \(5, 3\) by the configuration, got \(5, 4\)",
    ),
    "missing": (
        gpt2,
        {"model_type": "gpt2", "n_embd": 3, "vocab_size": 5, "n_positions": 7},
        {"transformer.wte.weight": np.zeros((5, 3))},
        r"must have a tensor transformer.wpe.weight of shape \(7, 3\), it has none",
    ),
    "relative": (
        bert,
        {"model_type": "bert", "position_embedding_type": "relative_key"},
        {"embeddings.word_embeddings.weight": np.zeros((5, 3))},
        "position_embedding_type must be absolute, got relative_key",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_said(name):
    line, config, tensors, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence):
        line.from_checkpoint(tensors, config)


@pytest.mark.parametrize("given", [[], [[1]], [0.5], [-1], [VOCABULARY], "a", None])
def test_what_is_no_token_is_refused(given):
    _, model = in_numpy(random_model("GPT-2"))
    with pytest.raises(ValueError, match="must"):
        gpt2.forward(model, given)


def test_a_text_beyond_the_positions_is_refused(ids):
    _, model = in_numpy(random_model("GPT-2"))
    with pytest.raises(ValueError, match=f"at most {MOST} tokens, got {MOST + 1}"):
        gpt2.forward(model, [1], gpt2.forward(model, np.ones(MOST, int)).cache)


def test_an_unknown_scaling_is_refused():
    with pytest.raises(ValueError, match="rope_type must be one of default, linear"):
        turning({"rope_type": "magic", "rope_theta": 1e4}, 8, 5, 64)


def test_the_readme_has_the_table_that_the_command_prints():
    rows = list(whole_models.walk())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (.+?) \| (\S+) \| (\S*) ?\| (\d+) \|$", readme, re.MULTILINE)
    for (name, states, scores, tokens), row in zip(shown, rows, strict=True):
        assert (name, int(tokens), bool(scores)) == (row.name, row.tokens, row.scores is not None)
        for said, found in ((states, row.states), (scores, row.scores)):
            if found is not None:  # another processor rounds another way, within a few roundings
                assert found < 4 * float(said.replace("−", "-")) < STATE
    assert f"**{len(rows)} whole models**" in readme


def test_a_model_that_differs_is_told(monkeypatch, capsys):
    theirs = random_model("Llama")
    _, ours = in_numpy(theirs)
    wrong = dataclasses.replace(ours, scale=ours.scale * 1.01)
    ids = np.arange(3, 20)
    assert whole_models.parity("Llama", ours, theirs, [ids]).scores < 1e-5
    row = whole_models.parity("Llama", wrong, theirs, [ids])
    assert min(row.states, row.scores) > STATE
    monkeypatch.setattr(whole_models, "walk", lambda: iter([row]))
    assert command.main(["whole"]) == command.SHORT
    assert capsys.readouterr().out.count("\n") == 3


def keeping(heard):
    """Return what changes nothing and keeps the shape of each step that it is asked about."""

    def change(step, layer, array):
        heard[step, layer] = array.shape
        return array

    return change


@pytest.mark.parametrize("family", ["Llama", "Gemma 2", "GPT-2", *ENCODERS])
def test_a_change_is_asked_about_every_step_of_every_layer(family, ids):
    line, model = in_numpy(random_model(family))
    heard = {}
    plain, asked = line.forward(model, ids), line.forward(model, ids, change=keeping(heard))
    np.testing.assert_array_equal(plain.output, asked.output)
    layers = range(len(model.layers))
    assert set(heard) == {(step, layer) for step in STEPS for layer in layers} | {("residual", len(layers))}
    kv_heads, d_k = getattr(model, "num_kv_heads", 4), getattr(model, "d_k", 11)
    sizes = {
        "n": TOKENS,
        "n_k": TOKENS,
        "d_model": 44,
        "num_heads": 4,
        "num_kv_heads": kv_heads,
        "d_k": d_k,
        "d_v": d_k,
    }
    for (step, _), shape in heard.items():
        assert shape == tuple(sizes[size] for size in STEPS[step].strip("()").split(", "))


@pytest.mark.parametrize("family", ["Llama", "GPT-2", "BERT"])
def test_changes_reach_what_follows(family, ids):
    line, model = in_numpy(random_model(family))
    outputs = {}
    for step in STEPS:

        def moved(name, layer, array, step=step):
            return array[..., ::-1, :] if (name, layer) == (step, 1) else array

        outputs[step] = line.forward(model, ids, change=moved).output
    plain = line.forward(model, ids).output
    for output in outputs.values():
        assert np.abs(output - plain).max() > 1e-3

    def even(name, layer, array):
        """Return equal weights, and so contexts that are means of values."""
        return np.full_like(array, 1 / array.shape[-1]) if name == "weights" else array

    def means(name, layer, array):
        """Keep the values, and return their means in the place of contexts."""
        if name == "value":
            kept.append(np.repeat(array, 4 // len(array), axis=0))
        return np.broadcast_to(kept[-1].mean(axis=1, keepdims=True), array.shape) if name == "context" else array

    kept = []
    np.testing.assert_allclose(
        line.forward(model, ids, change=even).output, line.forward(model, ids, change=means).output, atol=1e-4
    )


def test_a_change_must_keep_shapes(ids):
    line, model = in_numpy(random_model("GPT-2"))
    with pytest.raises(ValueError, match=r"keep the shape \(29, 44\) of residual, got \(44,\)"):
        line.forward(model, ids, change=lambda step, layer, array: array[0])
    changed = line.forward(model, ids, change=lambda step, layer, array: array.astype(float))
    assert changed.output.dtype == np.float32
