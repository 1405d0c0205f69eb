"""SNAIL: convolutions against torch, and how far back its blocks look, measured."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from attn.analysis import leak_test
from attn.architectures import snail

ROWS = json.loads((Path(__file__).parent / "data" / "memory_checks.json").read_text())["snail"]
EYE = np.eye(2)


def lags(n, dilated, seed=0):
    """Return the lags that a random stack of dense blocks was measured to see."""
    rng = np.random.default_rng(seed)
    blocks = snail.draw_temporal_block(rng, 3, 2, len(dilated))
    moved = snail.lags_reached(lambda x: snail.temporal_block(x, blocks, dilated), rng.normal(size=(n, 3)))
    return np.flatnonzero(moved).tolist()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"T={row['T']}")
def test_the_receptive_field_is_measured(row):
    right, printed = snail.dilations(row["T"]), snail.dilations(row["T"], as_printed=True)
    assert list(right) == row["dilations_from_1"]
    assert list(printed) == row["dilations_as_printed"]
    assert len(right) == len(printed) == row["blocks"]
    assert lags(row["T"], right) == row["lags_reached_from_1"]
    assert lags(row["T"], printed) == row["lags_reached_as_printed"]


def test_dilations_from_one_reach_any_length():
    for n in range(1, 20):
        assert lags(n, snail.dilations(n)) == list(range(n))


def test_a_causal_convolution_against_torch():
    rng = np.random.default_rng(0)
    x, w_past, w_now = rng.normal(size=(2, 11, 3)), rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    weight = torch.tensor(np.stack([w_past.T, w_now.T], axis=-1))  # (out, in, kernel)
    for dilation in (1, 2, 13):
        padded = torch.nn.functional.pad(torch.tensor(x).transpose(1, 2), (dilation, 0))
        expected = torch.nn.functional.conv1d(padded, weight, dilation=dilation).transpose(1, 2)
        np.testing.assert_allclose(snail.causal_convolution(x, w_past, w_now, dilation), expected, atol=1e-12)


def test_channels_grow_by_what_each_block_appends():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 3))
    blocks = snail.draw_temporal_block(rng, 3, 5, 3)
    hidden = snail.temporal_block(x, blocks, snail.dilations(7))
    assert hidden.shape == (7, 3 + 3 * 5)
    np.testing.assert_array_equal(hidden[:, :3], x)
    above = snail.draw_attention_block(rng, 18, 2, 11)
    output, attention = snail.attention_block(hidden, above)
    assert output.shape == (7, 18 + 11)
    np.testing.assert_array_equal(output[:, :18], hidden)
    np.testing.assert_array_equal(np.triu(attention.weights, 1), 0)


def test_no_block_sees_the_future():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 3))
    blocks, above = snail.draw_temporal_block(rng, 3, 5, 3), snail.draw_attention_block(rng, 18, 2, 11)

    def whole(x):
        return snail.attention_block(snail.temporal_block(x, blocks, (1, 2, 4)), above)[0]

    for token in range(7):
        assert leak_test(whole, x, np.tri(7, dtype=bool), token).largest == 0


def test_attention_above_sees_what_the_convolutions_leave_out():
    rng = np.random.default_rng(0)
    x, printed = rng.normal(size=(8, 3)), snail.dilations(8, as_printed=True)
    blocks, above = snail.draw_temporal_block(rng, 3, 5, 3), snail.draw_attention_block(rng, 18, 2, 11)
    moved = snail.lags_reached(lambda x: snail.attention_block(snail.temporal_block(x, blocks, printed), above)[0], x)
    assert (moved > 0).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_types_are_kept(dtype):
    rng = np.random.default_rng(0)
    x, w_past, w_now = (rng.random(shape).astype(dtype) for shape in ((7, 3), (3, 5), (3, 5)))
    block = snail.DenseBlock(np.stack([w_past] * 2), np.stack([w_now] * 2))
    above = snail.AttentionBlock(*(rng.random((3, width)).astype(dtype) for width in (2, 2, 5)))
    assert snail.causal_convolution(x, w_past, w_now, 2).dtype == dtype
    assert snail.dense_block(x, block, 2).dtype == dtype
    output, attention = snail.attention_block(x, above)
    assert output.dtype == attention.weights.dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: snail.causal_convolution(EYE, EYE, np.eye(3), 1),
            "x must be (..., n, d_in) for two matrices (d_in, d_out), got (2, 2), (2, 2) and (3, 3)",
        ),
        (lambda: snail.causal_convolution(EYE, EYE, EYE, 0), "dilation must be a whole number of at least 1, got 0"),
        (lambda: snail.dilations(0), "n must be a whole number of at least 1, got 0"),
        (lambda: snail.temporal_block(EYE, [], (1,)), "dilated must be one dilation per block, got 1 for 0 blocks"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
