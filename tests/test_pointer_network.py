"""A pointer network: one step by hand and against torch, all steps, and the one that was trained to sort."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attn.architectures import pointer_network
from attn.architectures.recurrent import Recurrent
from attn.trained import pointer

CHECK = json.loads((Path(__file__).parent / "data" / "memory_checks.json").read_text())["pointer"]
DIGITS = 5e-7  # six decimals are written down


def test_pointing_by_hand():
    scores = -10 * np.abs(np.array(CHECK["inputs"]) - 0.1)
    np.testing.assert_allclose(scores, CHECK["u"], atol=1e-12)
    weights = pointer_network.leaving_out(CHECK["u"])
    np.testing.assert_allclose(weights, CHECK["p"], atol=DIGITS)
    assert weights.argmax() == CHECK["argmax"]
    visited = np.arange(4) == CHECK["argmax"]
    np.testing.assert_allclose(pointer_network.leaving_out(CHECK["u"], visited), CHECK["masked_next"], atol=DIGITS)
    np.testing.assert_array_equal(pointer_network.leaving_out(CHECK["u"], np.ones(4, bool)), np.zeros(4))


def test_a_point_against_torch():
    rng = np.random.default_rng(0)
    encoded, decoded = rng.normal(size=(2, 7, 5)), rng.normal(size=(2, 3))
    w_encoded, w_decoded, v = rng.normal(size=(5, 11)), rng.normal(size=(3, 11)), rng.normal(size=11)
    pointing = pointer_network.point(encoded, decoded, w_encoded=w_encoded, w_decoded=w_decoded, v=v)
    e, d, w1, w2, vt = (torch.tensor(a) for a in (encoded, decoded, w_encoded, w_decoded, v))
    expected = torch.softmax(torch.tanh(e @ w1 + (d @ w2)[:, None]) @ vt, dim=-1)
    np.testing.assert_allclose(pointing.weights, expected, atol=1e-12)


def network(width=5, d_hidden=7, seed=0):
    """Return a pointer network with random weights."""
    rng = np.random.default_rng(seed)
    lstms = (Recurrent(rng.normal(size=(1, 4 * width)), rng.normal(size=(width, 4 * width))) for _ in range(2))
    w_encoded, w_decoded = rng.normal(size=(width, d_hidden)), rng.normal(size=(width, d_hidden))
    return pointer_network.PointerNetwork(*lstms, np.zeros(1), w_encoded, w_decoded, rng.normal(size=d_hidden))


@given(st.integers(0, 10**6), st.integers(1, 11))
def test_what_was_visited_is_left_out_for_any_number_of_inputs(seed, n):
    inputs = np.random.default_rng(seed).random((n, 1))
    pointed = pointer_network.point_at_all(network(seed=seed), inputs)
    assert sorted(pointed.order.tolist()) == list(range(n))
    assert (pointed.weights[pointed.visited] == 0).all()
    np.testing.assert_allclose(pointed.weights.sum(axis=1), 1)
    assert pointed.visited.sum(axis=1).tolist() == list(range(n))


def test_the_forward_pass_is_that_of_training():
    p = pointer.initial(np.random.default_rng(0), width=11)
    ours = pointer.build({name: tensor.numpy() for name, tensor in pointer.folded(p).items()})
    numbers = pointer.draw(np.random.default_rng(1), 5, 7)
    for leave_out in (False, True):
        expected, order = pointer.scores(p, torch.from_numpy(numbers), leave_out_visited=leave_out)
        for at, row in enumerate(numbers):
            pointed = pointer_network.point_at_all(ours, row[:, None], leave_out_visited=leave_out)
            assert pointed.order.tolist() == order[at].tolist()
            seen = ~pointed.visited if leave_out else np.ones((7, 7), bool)
            np.testing.assert_allclose(pointed.scores[seen], expected[at].detach().numpy()[seen], atol=1e-5)


def test_the_trained_network_sorts():
    trained, accuracy = pointer.load()
    rng = np.random.default_rng(12345)
    for n in (5, 8, 10):
        right = 0
        for numbers in pointer.draw(rng, 100, n):
            order = pointer_network.point_at_all(trained, numbers[:, None]).order
            right += bool((numbers[order] == np.sort(numbers)).all())
        assert abs(right / 100 - accuracy[n][1]) < 0.1  # as it was measured after training
    assert accuracy[5][1] > 0.99
    assert accuracy[10][1] > 0.95
    assert all(free <= left_out for free, left_out in accuracy.values())
    assert pointer.PATH.stat().st_size < 300_000


@pytest.mark.usefixtures("one_thread")
def test_training_learns():
    """A small network, from nothing, in seconds."""
    losses = []
    p = pointer.train(steps=250, batch=64, width=16, most=4, watch=lambda step, loss: losses.append(loss))
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    right = pointer.measure(p, (3,), count=300)
    assert right[3][1] > 0.5  # one in six by chance


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"^there must be trained weights .*none: run python -m attn\.trained\.pointer$"
    ):
        pointer.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_types_are_kept(dtype):
    scores = np.array([-2, -8, 0, -5], dtype=dtype)
    assert pointer_network.leaving_out(scores).dtype == dtype
    encoded, decoded, v = (np.ones(shape, dtype=dtype) for shape in ((7, 5), 3, 11))
    matrices = {"w_encoded": np.ones((5, 11), dtype=dtype), "w_decoded": np.ones((3, 11), dtype=dtype)}
    assert {a.dtype for a in pointer_network.point(encoded, decoded, **matrices, v=v)} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pointer_network.leaving_out([1, 2], [True] * 3), "visited must fit the scores (2,), got (3,)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
