"""A cell that attends over its own past: causal by itself, a plain LSTM at its limit, and as torch steps it."""

import re

import numpy as np
import pytest
import torch

from attn.analysis import leak_test
from attn.architectures import lstmn
from attn.architectures.recurrent import Recurrent, lstm, run


def cell(d_in=3, width=5, d_hidden=7, seed=0):
    """Return the parameters of a cell that looks back."""
    rng = np.random.default_rng(seed)
    shapes = {"w_past": (width, d_hidden), "w_now": (d_in, d_hidden), "w_summary": (width, d_hidden), "v": (d_hidden,)}
    looks = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return Recurrent(rng.normal(size=(d_in, 4 * width)), rng.normal(size=(width, 4 * width))), looks


def test_looking_back_is_a_growing_triangle():
    parameters, looks = cell()
    steps = lstmn.look_back(np.random.default_rng(1).normal(size=(11, 3)), parameters, **looks)
    np.testing.assert_array_equal(np.triu(steps.weights), 0)
    np.testing.assert_allclose(steps.weights[1:].sum(axis=1), 1)
    np.testing.assert_allclose(steps.summary, steps.weights @ steps.state, atol=1e-12)


def test_looking_back_at_the_last_state_alone_is_a_plain_lstm():
    parameters, looks = cell()
    x = np.random.default_rng(1).normal(size=(2, 3))
    steps = lstmn.look_back(x, parameters, **looks)  # with one state in the past there is nothing to choose
    np.testing.assert_allclose(steps.state, run(lstm, x, parameters).state, atol=1e-12)


def test_no_step_looks_ahead():
    parameters, looks = cell()
    x = np.random.default_rng(1).normal(size=(7, 3))
    for token in range(7):
        leak = leak_test(lambda x: lstmn.look_back(x, parameters, **looks).state, x, np.tri(7, dtype=bool), token)
        assert leak.largest == 0


def test_looking_back_against_torch():
    parameters, looks = cell()
    x = np.random.default_rng(1).normal(size=(7, 3))
    torch_cell = torch.nn.LSTMCell(3, 5).double()
    w_p, w_n, w_s, v = (torch.tensor(looks[name]) for name in ("w_past", "w_now", "w_summary", "v"))
    with torch.no_grad():
        torch_cell.weight_ih.copy_(torch.tensor(parameters.w_x.T))
        torch_cell.weight_hh.copy_(torch.tensor(parameters.w_h.T))
        torch_cell.bias_ih.zero_()
        torch_cell.bias_hh.zero_()
        states, cells, summary = [], [], torch.zeros(5, dtype=torch.float64)
        for token in torch.tensor(x):
            c = torch.zeros(5, dtype=torch.float64)
            if states:
                past = torch.stack(states)
                share = torch.softmax(torch.tanh(past @ w_p + token @ w_n + summary @ w_s) @ v, dim=0)
                summary, c = share @ past, share @ torch.stack(cells)
            h, c = torch_cell(token[None], (summary[None], c[None]))
            states.append(h[0])
            cells.append(c[0])
    np.testing.assert_allclose(lstmn.look_back(x, parameters, **looks).state, torch.stack(states), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_types_are_kept(dtype):
    rng = np.random.default_rng(0)
    parameters = Recurrent(rng.normal(size=(3, 20)).astype(dtype), rng.normal(size=(5, 20)).astype(dtype))
    looks = {name: matrix.astype(dtype) for name, matrix in cell()[1].items()}
    steps = lstmn.look_back(rng.normal(size=(7, 3)).astype(dtype), parameters, **looks)
    assert {a.dtype for a in steps} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lstmn.look_back(np.eye(2), cell()[0], **cell()[1]),
            "x must be (n, d_in) with d_in 3 and a token, got (2, 2)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
