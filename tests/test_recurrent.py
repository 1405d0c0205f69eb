"""Recurrent steps against numbers by hand, slow loops, torch's modules and their derivatives."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from attn.architectures import recurrent
from attn.architectures.recurrent import Carried, Recurrent, bahdanau_gru, gru, lstm, rnn, run

D_IN, N, TOKENS = 5, 3, 7
STEPS = {"rnn": (rnn, 1), "lstm": (lstm, 4), "gru": (gru, 3), "bahdanau_gru": (bahdanau_gru, 3)}


def drawn(gates, seed=0, d_in=D_IN, n=N):
    """Return random weights."""
    rng = np.random.default_rng(seed)
    return Recurrent(*(rng.normal(size=shape) for shape in ((d_in, gates * n), (n, gates * n), gates * n, gates * n)))


def tokens(*leading, seed=1):
    return np.random.default_rng(seed).normal(size=(*leading, TOKENS, D_IN))


def ported(module):
    """Return the weights of a torch layer, as many as it has directions."""
    numbers = {name: tensor.detach().numpy().astype(np.float64) for name, tensor in module.named_parameters()}
    return [
        Recurrent(
            numbers[f"weight_ih_l0{side}"].T,
            numbers[f"weight_hh_l0{side}"].T,
            numbers[f"bias_ih_l0{side}"],
            numbers[f"bias_hh_l0{side}"],
        )
        for side in ("", "_reverse")
        if f"weight_ih_l0{side}" in numbers
    ]


# By hand


def test_without_weights_every_gate_stands_half_open():
    nothing = Recurrent(np.zeros((1, 4)), np.zeros((1, 4)))
    taken = lstm(np.zeros(1), Carried(np.zeros(1), np.ones(1)), nothing)
    assert taken.cell.item() == 0.5
    assert_allclose(taken.state, 0.231059, atol=5e-7)
    nothing = Recurrent(np.zeros((1, 3)), np.zeros((1, 3)))
    for step in (gru, bahdanau_gru):
        assert step(np.zeros(1), Carried(np.ones(1)), nothing).state.item() == 0.5


def test_what_is_carried_shrinks_or_grows_by_powers():
    assert_allclose(recurrent.carried(0.8, 19)[-1], 0.014412, atol=5e-7)
    assert_allclose(recurrent.carried(0.5, 20)[-1], 9.5367431640625e-07)
    assert_allclose(recurrent.carried(0.9, 50)[-1], 0.005154, atol=5e-7)
    assert_allclose(recurrent.carried(1.1, 50)[-1], 117.39, atol=5e-3)
    assert recurrent.carried(0.8, 0).tolist() == [1.0]


def test_a_step_of_the_bahdanau_form_written_out():
    parameters, x = drawn(3), tokens()[0]
    state = np.array([0.5, -0.25, 1.0])
    w_r, w_z, w_n = np.split(parameters.w_x, 3, axis=1)
    u_r, u_z, u_n = np.split(parameters.w_h, 3, axis=1)
    b_r, b_z, b_n = np.split(parameters.b_x + parameters.b_h, 3)
    r = 1 / (1 + np.exp(-(x @ w_r + state @ u_r + b_r)))
    z = 1 / (1 + np.exp(-(x @ w_z + state @ u_z + b_z)))
    new = np.tanh(x @ w_n + (r * state) @ u_n + b_n)
    taken = bahdanau_gru(x, Carried(state), parameters)
    for found, expected in zip(taken, (r, z, new, (1 - z) * state + z * new), strict=True):
        assert_allclose(found, expected)


# torch's modules


@pytest.mark.parametrize(
    ("module", "step"), [(torch.nn.RNN, rnn), (torch.nn.LSTM, lstm), (torch.nn.GRU, gru)], ids=["rnn", "lstm", "gru"]
)
def test_torch_agrees_in_both_directions(module, step):
    torch.manual_seed(0)
    layer = module(D_IN, N, bidirectional=True, batch_first=True)
    x = tokens(2)
    expected = layer(torch.tensor(x, dtype=torch.float32))[0].detach().numpy()
    found = recurrent.bidirectional(step, x, *ported(layer))
    assert_allclose(found.states, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "step"),
    [(torch.nn.RNNCell, rnn), (torch.nn.LSTMCell, lstm), (torch.nn.GRUCell, gru)],
    ids=["rnn", "lstm", "gru"],
)
def test_torch_agrees_in_one_step(module, step):
    torch.manual_seed(0)
    cell = module(D_IN, N).double()
    parameters = Recurrent(*(tensor.detach().numpy().T for tensor in cell.parameters()))
    x, state, memory = (torch.randn(2, width, dtype=torch.float64) for width in (D_IN, N, N))
    expected = cell(x, (state, memory) if step is lstm else state)
    taken = step(x.numpy(), Carried(state.numpy(), memory.numpy()), parameters)
    state, memory = expected if step is lstm else (expected, None)
    assert_allclose(taken.state, state.detach(), atol=1e-12)
    if memory is not None:
        assert_allclose(taken.cell, memory.detach(), atol=1e-12)


def test_the_two_gated_units_are_not_the_same():
    """Even with the update gate turned round, the reset still comes before the product or after it."""
    parameters, x = drawn(3), tokens()
    turned = Recurrent(
        *(a * np.repeat([1, -1, 1], N) for a in (parameters.w_x, parameters.w_h, parameters.b_x, parameters.b_h))
    )
    ours, theirs = run(bahdanau_gru, x, parameters), run(gru, x, turned)
    assert np.abs(ours.state - theirs.state).max() > 0.05
    without_recurrence = Recurrent(parameters.w_x, np.zeros_like(parameters.w_h), parameters.b_x)
    turned = Recurrent(turned.w_x, turned.w_h * 0, turned.b_x)
    assert_allclose(run(bahdanau_gru, x, without_recurrence).state, run(gru, x, turned).state)


# Properties


@pytest.mark.parametrize("name", STEPS)
def test_a_run_is_its_steps(name):
    step, gates = STEPS[name]
    parameters, x = drawn(gates), tokens()
    found = run(step, x, parameters)
    before = Carried(np.zeros(N), np.zeros(N))
    for t in range(TOKENS):
        before = step(x[t], before, parameters)
        for array, one in zip(found, before, strict=True):
            assert_allclose(array[t], one)


@pytest.mark.parametrize("name", STEPS)
def test_a_batch_is_its_sequences_and_keeps_its_type(name):
    step, gates = STEPS[name]
    parameters = drawn(gates)
    x = tokens(2, 11)
    found = run(step, x, parameters).state
    assert found.shape == (2, 11, TOKENS, N)
    assert_allclose(found[1, 4], run(step, x[1, 4], parameters).state)
    small = Recurrent(*(getattr(parameters, name).astype(np.float32) for name in ("w_x", "w_h", "b_x", "b_h")))
    assert run(step, x.astype(np.float32), small).state.dtype == np.float32


def test_the_last_word_moves_only_the_backward_half_of_what_stands_before_it():
    x, weights = tokens(), (drawn(3, 1), drawn(3, 2))
    other = x.copy()
    other[-1] += 1
    before, after = (recurrent.bidirectional(bahdanau_gru, each, *weights).states for each in (x, other))
    np.testing.assert_array_equal(before[:-1, :N], after[:-1, :N])
    assert (before[0, N:] != after[0, N:]).all()
    assert (before[-1] != after[-1]).all()


def test_a_run_can_go_on_where_another_ended():
    parameters, x = drawn(4), tokens()
    whole, begun = run(lstm, x, parameters), run(lstm, x[:3], parameters)
    rest = run(lstm, x[3:], parameters, Carried(begun.state[-1], begun.cell[-1]))
    assert_allclose(rest.state, whole.state[3:])


# Derivatives


@pytest.mark.parametrize("name", STEPS)
def test_jacobians_are_the_slopes(name):
    step, gates = STEPS[name]
    parameters, x = drawn(gates), tokens()[0]
    carried = np.random.default_rng(3).normal(size=2 * N)
    width = 2 * N if step is lstm else N

    def after(carried):
        taken = step(x, Carried(carried[:N], carried[N:]), parameters)
        return np.concatenate([taken.state, taken.cell]) if step is lstm else taken.state

    shift = 1e-6 * np.eye(2 * N)[:width]
    slopes = np.stack([(after(carried + one) - after(carried - one)) / 2e-6 for one in shift], axis=1)
    before = Carried(carried[:N], carried[N:])
    found = recurrent.jacobian(step, step(x, before, parameters), before, parameters)
    assert_allclose(found, slopes, atol=1e-8)


@pytest.mark.parametrize("name", STEPS)
def test_gradients_through_time_are_the_slopes_of_the_whole_run(name):
    """The last state by the first, through all steps at once."""
    step, gates = STEPS[name]
    parameters, x = drawn(gates), tokens()
    steps = run(step, x, parameters)

    def last(carried):
        before = Carried(carried[:N], carried[N:])
        for token in x[1:]:
            before = step(token, before, parameters)
        return np.concatenate([before.state, before.cell]) if step is lstm else before.state

    first = np.concatenate([steps.state[0], steps.cell[0] if step is lstm else np.zeros(N)])
    width = 2 * N if step is lstm else N
    shift = 1e-6 * np.eye(2 * N)[:width]
    slopes = np.stack([(last(first + one) - last(first - one)) / 2e-6 for one in shift], axis=1)
    norms = recurrent.gradient_norms(step, steps, parameters)
    assert norms.shape == (TOKENS,)
    assert norms[-1] == 1
    assert_allclose(norms[0], np.linalg.norm(slopes, 2), rtol=1e-5)


def test_a_linear_memory_forgets_by_the_factor():
    """Small numbers pass tanh almost unchanged: the gradient is a power of the weight."""
    parameters = Recurrent(np.array([[1e-6]]), np.array([[0.8]]))
    steps = run(rnn, np.ones((20, 1)), parameters)
    assert_allclose(recurrent.gradient_norms(rnn, steps, parameters)[::-1], recurrent.carried(0.8, 19), rtol=1e-6)


# Bad inputs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Recurrent(np.zeros((2, 6)), np.zeros((3, 9))), "w_x must have shape (d_in, gates * n) and w_h (n, "),
        (lambda: Recurrent(np.zeros((2, 7)), np.zeros((3, 7))), "got (2, 7) and (3, 7)"),
        (lambda: Recurrent(np.zeros((2, 3)), np.zeros((3, 3)), np.zeros(2)), "b_x must have shape (3,), got (2,)"),
        (lambda: run(lstm, tokens(), drawn(3)), "lstm must have 4 gates, got w_h (3, 9)"),
        (lambda: run(rnn, tokens()[:, :4], drawn(1)), "with d_in 5 and a token, got (7, 4)"),
        (lambda: run(rnn, tokens()[:0], drawn(1)), "got (0, 5)"),
        (lambda: run(rnn, tokens()[0], drawn(1)), "got (5,)"),
        (lambda: recurrent.carried(0.5, -1), "count must be a whole number"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    assert message in str(error.value)
