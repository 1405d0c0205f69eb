import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from attn.functional import (
    as_floats,
    as_real,
    finite_number,
    layer_norm,
    parameter,
    share_of_sum,
    softmax,
    softmax_jacobian,
    whole_number,
    width_of,
)

CHECKS = json.loads((Path(__file__).parent / "data" / "mechanism_checks.json").read_text())["softmax"]
FINITE = st.floats(-1e4, 1e4, width=32)


def test_softmax_of_one_two_three():
    np.testing.assert_allclose(softmax([1, 2, 3]), CHECKS["weights"], atol=5e-7)
    np.testing.assert_allclose(softmax([0, 0, math.log(2)]), [0.25, 0.25, 0.5], rtol=1e-15)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 7)), elements=FINITE))
def test_rows_are_positive_and_sum_to_one(scores):
    weights = softmax(scores)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-12)


@given(hnp.arrays(np.float64, (3, 5), elements=FINITE), st.floats(-1e3, 1e3))
def test_a_shift_changes_nothing(scores, shift):
    np.testing.assert_allclose(softmax(scores + shift), softmax(scores), atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_the_axis_is_the_one_that_torch_takes(axis):
    scores = np.random.default_rng(0).normal(size=(2, 3, 5))
    np.testing.assert_allclose(softmax(scores, axis=axis), torch.from_numpy(scores).softmax(axis).numpy(), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shift", [-6e4, 0, 6e4])
def test_scores_of_any_size_do_not_overflow(dtype, shift):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights = softmax(np.array([shift, shift], dtype))
    assert weights.dtype == dtype
    np.testing.assert_array_equal(weights, [0.5, 0.5])


def test_a_sink_by_hand():
    np.testing.assert_allclose(softmax([np.log(2), np.log(5)], sinks=np.log([3])), [0.2, 0.5])
    np.testing.assert_allclose(softmax([[0, 0], [0, np.log(3)]], axis=0, sinks=0), [[1 / 3, 0.2], [1 / 3, 0.6]])


def test_a_sink_is_an_entry_that_is_left_out():
    rng = np.random.default_rng(0)
    scores, sinks = rng.normal(size=(3, 5, 7)), rng.normal(size=(3, 1, 1))
    with_entry = np.concatenate([scores, np.broadcast_to(sinks, (3, 5, 1))], axis=-1)
    np.testing.assert_allclose(softmax(scores, sinks=sinks), softmax(with_entry)[..., :-1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_sink_of_any_size(dtype):
    scores = np.zeros((1, 2), dtype)
    for sink, weight in ((-np.inf, 0.5), (-1e9, 0.5), (0, 1 / 3), (1e9, 0), (np.inf, 0)):
        weights = softmax(scores, sinks=np.array([[sink]]))
        assert weights.dtype == dtype
        np.testing.assert_allclose(weights, weight, rtol=1e-3)
    np.testing.assert_array_equal(softmax([-np.inf, -np.inf], sinks=0), [0, 0])
    np.testing.assert_array_equal(softmax([-np.inf, -np.inf], sinks=-np.inf), [0, 0])
    np.testing.assert_array_equal(softmax([np.inf, 0], sinks=np.inf), [0.5, 0])


def test_infinite_scores():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(softmax([[-np.inf, -np.inf], [-np.inf, 0]]), [[0, 0], [0, 1]])
        np.testing.assert_array_equal(softmax([[np.inf, np.inf, 3, -np.inf]]), [[0.5, 0.5, 0, 0]])


def test_undefined_scores_stay_in_their_row():
    weights = softmax([[np.nan, 0.0], [0.0, 0.0]])
    assert np.isnan(weights[0]).all()
    np.testing.assert_array_equal(weights[1], [0.5, 0.5])


def test_no_scores_give_no_weights():
    assert softmax(np.zeros((3, 0))).shape == (3, 0)


def test_jacobian_by_hand():
    jacobian = softmax_jacobian(softmax([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(jacobian, CHECKS["jacobian"], atol=5e-7)
    np.testing.assert_allclose(jacobian.sum(axis=-1), 0, atol=1e-15)


def test_jacobian_is_what_torch_derives():
    scores = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    derived = torch.stack([torch.autograd.functional.jacobian(lambda s: s.softmax(-1), row) for row in scores])
    np.testing.assert_allclose(softmax_jacobian(softmax(scores.numpy())), derived.numpy(), atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_kept(dtype):
    (array,), returned = as_floats(np.ones((2, 3), dtype))
    assert returned == dtype
    assert array.dtype == (np.float32 if dtype == np.float16 else dtype)
    assert softmax(array.astype(dtype)).dtype == dtype
    assert softmax_jacobian(array.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.int64])
def test_whole_numbers_become_float64(dtype):
    (array,), returned = as_floats(np.ones((2, 3), dtype))
    assert array.dtype == returned == np.float64


def test_the_widest_type_wins():
    assert as_floats(np.float16([1]), np.float32([1]))[1] == np.float32
    assert as_floats(np.float32([1]), [1])[1] == np.float64


def test_floats_are_not_copied():
    x = np.ones(3, np.float32)
    assert as_floats(x)[0][0] is x


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (["a"], "an array must hold real numbers, got <U1"),
        ([1j], "an array must hold real numbers, got complex128"),
        ([None], "an array must hold real numbers, got object"),
        ([[1, 2], [3]], "an array must have rows of equal length, got ragged rows"),
    ],
)
def test_bad_arrays(array, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        as_real(array)


def test_shares_of_a_sum_by_hand():
    scores = [0.9544, 1.4950, 1.4754, 0.8434, 0.7070, 1.0865]
    np.testing.assert_allclose(share_of_sum(scores), [0.1455, 0.2278, 0.2249, 0.1285, 0.1077, 0.1656], atol=5e-5)
    np.testing.assert_allclose(softmax(scores), [0.1385, 0.2379, 0.2333, 0.1240, 0.1082, 0.1581], atol=5e-5)
    np.testing.assert_array_equal(share_of_sum([1.0, -1.0]), [0, 0])
    assert share_of_sum(np.float32([1, 2])).dtype == np.float32


def test_each_row_is_shared_by_its_own_sum():
    np.testing.assert_array_equal(share_of_sum([[1, 3], [4, 1]]), [[0.25, 0.75], [0.8, 0.2]])


def test_epsilon_holds_rows_that_hardly_vary_below_one():
    """A variance of 1e-4 with the usual 1e-5 on top."""
    np.testing.assert_allclose(layer_norm(np.array([-0.01, 0.01]), 2, 3), 3 + np.array([-2, 2]) / math.sqrt(1.1))


def test_parameters_come_in_the_type_to_compute_in():
    rows = np.ones((2, 3), np.float32)
    assert parameter(rows, (2, 3), "w").dtype == np.float32
    assert parameter(rows, (2, 3), "w", np.float64).dtype == np.float64


def test_numbers_are_taken_as_they_are():
    assert (whole_number("n", 0), whole_number("n", np.int8(3)), finite_number(-2, "scale")) == (0, 3, -2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: whole_number("n", -1), "n must be a whole number of at least 0, got -1"),
        (
            lambda: softmax(np.ones((3, 4)), sinks=[0, 1]),
            "sinks must broadcast to (3, 1), a number a row of scores, got (2,)",
        ),
        (lambda: whole_number("n", 2.5), "n must be a whole number of at least 0, got 2.5"),
        (lambda: whole_number("n", "2", 1, 7), "n must be a whole number from 1 to 7, got '2'"),
        (lambda: whole_number("n", 2**31), "n must be a whole number from 0 to 2147483647, got 2147483648"),
        (lambda: finite_number(-math.inf, "scale"), "scale must be a finite number, got -inf"),
        (lambda: finite_number("2", "scale"), "scale must be a finite number, got '2'"),
        (lambda: finite_number([2.0], "scale"), "scale must be a finite number, got [2.0]"),
        (lambda: finite_number(np.complex128(2), "scale"), "scale must be a finite number, got np.complex128(2+0j)"),
        (lambda: finite_number(math.nan, "base", above=0), "base must be positive and finite, got nan"),
        (lambda: finite_number(1, "base", above=1), "base must be above 1, got 1"),
        (lambda: finite_number(1, "p", least=0, below=1), "p must be at least 0 and below 1, got 1"),
        (lambda: finite_number(2, "gate", least=0, most=1), "gate must be from 0 to 1, got 2"),
        (lambda: softmax([1.0], axis=1), "axis must be a whole number from -1 to 0, got 1"),
        (lambda: softmax(1.0), "scores must have at least 1 axis, got shape ()"),
        (lambda: width_of(np.ones((3, 0)), "query"), "query must have axes (..., d) with d >= 1, got (3, 0)"),
        (lambda: width_of([1, 2], "keys", axes=2), "keys must have axes (..., n_k, d) with d >= 1, got (2,)"),
        (lambda: parameter([1, 2], (3,), "v"), "v must have shape (3,), got (2,)"),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
