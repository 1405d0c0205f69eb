"""A BERT encoder in numpy gives what transformers gives, without loading it."""

import math
import time

import numpy as np
import pytest
from processes import printed

from attn import functional, pretrained
from attn.pretrained import ModelError, bert

SENTENCE = "The café was closed 🙂, so they went to the bank."


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("transformers")
    return pretrained.load()


@pytest.mark.parametrize(
    ("text", "pair"),
    [(SENTENCE, None), ("", None), ("a", "It is shut"), ("word " * 600, None), ("a " * 700, "b c " * 300)],
    ids=["sentence", "empty", "pair", "long", "long pair"],
)
def test_every_layer_is_that_of_transformers(encoder, minilm, text, pair):
    encoded = bert.encode(encoder, text, pair)
    recording = pretrained.record(minilm, text, pair=pair)
    assert encoded.tokens == recording.tokens
    assert encoded.truncated_from == recording.truncated_from
    for block, layer in zip(encoded.blocks, recording.layers, strict=True):
        np.testing.assert_allclose(block.hidden, layer.hidden[0], rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(block.attention.weights, layer.reference_weights()[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(block.attention.context, layer.output[0], rtol=0, atol=2e-5)


def test_output_is_that_of_transformers(encoder, minilm):
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        own = minilm.model(**minilm.tokenizer(SENTENCE, return_tensors="pt"))[0][0].numpy()
    np.testing.assert_allclose(bert.encode(encoder, SENTENCE).output, own, rtol=0, atol=1e-5)


def test_numbers_stay_float32(encoder):
    encoded = bert.encode(encoder, SENTENCE)
    assert encoded.output.dtype == np.float32
    assert {array.dtype for array in encoded.blocks[0].attention if array is not None} == {np.dtype(np.float32)}


def test_neither_torch_nor_transformers_is_loaded():
    code = f"""
import sys
from attn.pretrained import bert
encoder = bert.load()
bert.encode(encoder, {SENTENCE!r})
print([name for name in ("torch", "transformers") if name in sys.modules])
"""
    assert printed(code).strip() == "[]"


def test_sixteen_tokens_take_less_than_a_tenth_of_a_second(encoder):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    times = []
    with threadpoolctl.threadpool_limits(1, user_api="blas"):  # several would wait for busy cores
        for _ in range(5):
            begin = time.thread_time()  # what others do meanwhile does not count
            bert.encode(encoder, SENTENCE)
            times.append(time.thread_time() - begin)
    assert min(times) < 0.1


def test_parameters_are_views_of_the_checkpoint(encoder):
    parameters = bert.parameters(encoder.tensors, 3, encoder.num_heads)
    assert (parameters.d_model, parameters.d_k, parameters.d_v, parameters.num_heads) == (384, 32, 32, 12)
    stored = encoder.tensors["encoder.layer.3.attention.self.query.weight"]
    np.testing.assert_array_equal(parameters.w_q, stored.T)
    assert np.shares_memory(parameters.w_q, stored)
    assert not parameters.w_q.flags.writeable


def test_parameters_of_another_checkpoint_are_refused(encoder):
    with pytest.raises(ModelError, match=r"encoder\.layer\.6\.attention"):
        bert.parameters(encoder.tensors, 6, 12)


def test_gelu_is_x_times_the_normal_distribution():
    x = np.linspace(-9, 9, 1001)
    expected = [value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x]
    np.testing.assert_allclose(functional.gelu(x), expected, rtol=0, atol=1e-6)


def test_layer_norm_has_mean_0_and_variance_1_before_it_is_stretched():
    x = np.random.default_rng(0).normal(3, 5, (7, 13))
    normed = functional.layer_norm(x, np.ones(13), np.zeros(13), 0)
    np.testing.assert_allclose(normed.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(normed.var(axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(functional.layer_norm(x, np.full(13, 2.0), np.full(13, 3.0), 0), 2 * normed + 3)


def test_text_too_long_is_one_sentence(encoder):
    with pytest.raises(ModelError, match="at most 200,000 characters"):
        bert.encode(encoder, "a" * 200_001)
