"""A Neural Turing Machine's memory: by hand, by loops, and at its limits."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn.architectures import turing_machine

NTM = json.loads((Path(__file__).parent / "data" / "memory_checks.json").read_text())["ntm"]
DIGITS = 5e-7  # six decimals are written down
EYE = np.eye(2)


def ring(n, steps):
    """Return weights of steps along a ring, given as a dict."""
    shift = np.zeros(n)
    for step, weight in steps.items():
        shift[int(step) % n] += weight
    return shift


def test_addressing_by_hand():
    steps = turing_machine.address(
        NTM["M"],
        NTM["key"],
        NTM["w_prev"],
        sharpness=NTM["beta"],
        gate=NTM["g"],
        shift=ring(4, NTM["shift"]),
        gamma=NTM["gamma"],
    )
    np.testing.assert_allclose(steps.similarity, NTM["cosine"], atol=DIGITS)
    np.testing.assert_allclose(steps.content, NTM["w_content"], atol=DIGITS)
    np.testing.assert_allclose(steps.gated, NTM["w_gated"], atol=DIGITS)
    np.testing.assert_allclose(steps.shifted, NTM["w_shifted"], atol=DIGITS)
    np.testing.assert_allclose(steps.weights, NTM["w_final"], atol=DIGITS)
    np.testing.assert_allclose(turing_machine.read(NTM["M"], steps.weights), NTM["read"], atol=DIGITS)
    written = turing_machine.write(NTM["M"], steps.weights, NTM["erase"], NTM["add"])
    np.testing.assert_allclose(written.memory, NTM["M_after_write"], atol=DIGITS)
    np.testing.assert_array_equal(turing_machine.ring_shift(4, 0, 0.1), ring(4, NTM["shift"]))


def test_without_sharpness_content_is_uniform_and_without_gate_it_is_ignored():
    np.testing.assert_array_equal(turing_machine.content_addressing(NTM["M"], NTM["key"], 0), np.full(4, 0.25))
    for key in ([1, 0], [-3, 2]):
        steps = turing_machine.address(NTM["M"], key, NTM["w_prev"], sharpness=9, gate=0)
        np.testing.assert_array_equal(steps.weights, NTM["w_prev"])


def test_a_shift_goes_round_the_ring():
    np.testing.assert_allclose(
        turing_machine.convolve([0, 0, 0, 1], turing_machine.ring_shift(4, 1)), NTM["pure_shift_plus1"]
    )
    np.testing.assert_allclose(turing_machine.convolve([1, 0, 0, 0], turing_machine.ring_shift(4, -1)), [0, 0, 0, 1])
    np.testing.assert_allclose(
        turing_machine.convolve([0, 1, 0, 0], turing_machine.ring_shift(4, 0, 0.1)), NTM["one_hot_blur"]
    )
    np.testing.assert_allclose(
        turing_machine.sharpen(NTM["one_hot_blur"], 2), NTM["one_hot_blur_sharpened_gamma2"], atol=DIGITS
    )


def test_a_fraction_of_a_step_is_shared_out():
    shift = turing_machine.ring_shift(10, 6.7)
    np.testing.assert_allclose(shift[6:8], [0.3, 0.7])
    assert shift.sum() == pytest.approx(1)
    np.testing.assert_allclose(turing_machine.ring_shift(5, -0.25), [0.75, 0, 0, 0, 0.25])
    np.testing.assert_allclose(turing_machine.ring_shift(3, 7), turing_machine.ring_shift(3, 1))


@given(
    st.integers(0, 10**6),
    st.integers(2, 7),
    st.floats(0, 50),
    st.floats(0, 1),
    st.floats(-9, 9),
    st.floats(0, 0.5),
    st.floats(1, 20),
)
def test_weights_are_weights_at_every_step(seed, n_rows, sharpness, gate, shift, blur, gamma):
    rng = np.random.default_rng(seed)
    rows, key, previous = rng.normal(size=(n_rows, 3)), rng.normal(size=3), rng.dirichlet(np.ones(n_rows))
    moved = turing_machine.ring_shift(n_rows, shift, blur)
    steps = turing_machine.address(rows, key, previous, sharpness=sharpness, gate=gate, shift=moved, gamma=gamma)
    for weights in steps[1:]:
        np.testing.assert_allclose(weights.sum(), 1)
        assert (weights >= 0).all()
    read = turing_machine.read(rows, steps.weights)
    assert (read >= rows.min(axis=0) - 1e-9).all()
    assert (read <= rows.max(axis=0) + 1e-9).all()


def test_convolve_against_a_loop():
    rng = np.random.default_rng(0)
    weights, shift = rng.normal(size=(3, 7)), rng.normal(size=7)
    expected = np.zeros((3, 7))
    for b in range(3):
        for i in range(7):
            expected[b, i] = sum(weights[b, j] * shift[(i - j) % 7] for j in range(7))
    np.testing.assert_allclose(turing_machine.convolve(weights, shift), expected)


@given(st.integers(0, 10**6), st.floats(1, 20))
def test_sharpening_against_a_loop(seed, gamma):
    weights = np.random.default_rng(seed).dirichlet(np.ones(5))
    total = sum(w**gamma for w in weights)
    np.testing.assert_allclose(turing_machine.sharpen(weights, gamma), [w**gamma / total for w in weights], atol=1e-12)
    np.testing.assert_allclose(turing_machine.sharpen(weights, 1), weights)


def test_sharpening_does_not_vanish():
    np.testing.assert_allclose(turing_machine.sharpen(np.full(5, 1e-30), 20), np.full(5, 0.2))
    np.testing.assert_array_equal(turing_machine.sharpen(np.zeros(3), 2), np.zeros(3))


def test_several_heads_at_once():
    rng = np.random.default_rng(0)
    rows, keys, previous = rng.normal(size=(5, 3)), rng.normal(size=(2, 3)), rng.dirichlet(np.ones(5), size=2)
    shift = turing_machine.ring_shift(5, 1.5)
    both = turing_machine.address(rows, keys, previous, sharpness=3, gate=0.7, shift=shift, gamma=2)
    for head in range(2):
        one = turing_machine.address(rows, keys[head], previous[head], sharpness=3, gate=0.7, shift=shift, gamma=2)
        np.testing.assert_allclose(both.weights[head], one.weights)


def test_writing_nothing_and_writing_over():
    rows = np.random.default_rng(0).normal(size=(5, 3))
    nothing = turing_machine.write(rows, np.zeros(5), np.ones(3), np.ones(3))
    np.testing.assert_array_equal(nothing.memory, rows)
    over = turing_machine.write(rows, np.eye(5)[2], np.ones(3), [7, 8, 9])
    np.testing.assert_array_equal(over.memory[2], [7, 8, 9])
    np.testing.assert_array_equal(np.delete(over.memory, 2, 0), np.delete(rows, 2, 0))


def test_a_write_by_hand():
    weights = NTM["w_final"]
    np.testing.assert_allclose(
        turing_machine.write(NTM["M"], weights, NTM["erase"], NTM["add"]).memory[2], [0.249583, 3.251251], atol=2e-6
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_types_are_kept(dtype):
    rng = np.random.default_rng(0)
    rows, key, weights = (rng.random(shape).astype(dtype) for shape in ((5, 3), 3, 5))
    weights /= weights.sum()
    steps = turing_machine.address(rows, key, weights, shift=turing_machine.ring_shift(5, 1).astype(dtype), gamma=2)
    assert {a.dtype for a in steps} == {np.dtype(dtype)}
    assert {a.dtype for a in turing_machine.write(rows, weights, key, key)} == {np.dtype(dtype)}
    assert turing_machine.read(rows, weights).dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: turing_machine.content_addressing(EYE, [1, 2], -1), "sharpness must be at least 0, got -1"),
        (
            lambda: turing_machine.address(EYE, [1, 2, 3], [1, 0]),
            "query and keys must have one width, got query (3,) and keys (2, 2)",
        ),
        (lambda: turing_machine.interpolate([1, 0], [0, 1], 1.5), "gate must be from 0 to 1, got 1.5"),
        (
            lambda: turing_machine.interpolate([1, 0], [0, 1, 0], 0.5),
            "the weights by content and the previous weights must be over the same rows, got (2,) and (3,)",
        ),
        (lambda: turing_machine.ring_shift(4, np.inf), "shift must be a finite number, got inf"),
        (lambda: turing_machine.ring_shift(4, 1, 0.7), "blur must be from 0 to 0.5, got 0.7"),
        (lambda: turing_machine.ring_shift(0, 1), "n_rows must be a whole number of at least 1, got 0"),
        (
            lambda: turing_machine.convolve([1, 0], [1, 0, 0]),
            "weights and shift must be over the same rows, got (2,) and (3,)",
        ),
        (lambda: turing_machine.sharpen([1, 0], 0.5), "gamma must be at least 1, got 0.5"),
        (
            lambda: turing_machine.read(EYE, [1]),
            "there must be one weight per value, got weights (1,) and values (2, 2)",
        ),
        (
            lambda: turing_machine.write(EYE, [1], [1, 0], [0, 0]),
            "there must be one weight per row, got weights (1,) and memory (2, 2)",
        ),
        (
            lambda: turing_machine.write(EYE, [1, 0], [1, 0, 0], [0, 0]),
            "erase must be as wide as the memory (2, 2), got (3,)",
        ),
        (lambda: turing_machine.write(EYE, [1, 0], [2, 0], [0, 0]), "erase must lie between 0 and 1, got [2.0, 0.0]"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
