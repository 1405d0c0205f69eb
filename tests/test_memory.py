import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attn import images, memory, scaled_dot_product_attention, softmax
from attn.analysis import leak_test
from attn.recurrent import Recurrent, lstm, run
from attn.trained import pointer

CHECKS = json.loads((Path(__file__).parent / "data" / "memory_checks.json").read_text())
NTM, SAGAN = CHECKS["ntm"], CHECKS["sagan"]
DIGITS = 5e-7  # six decimals are written down
EYE = np.eye(2)


def ring(n, steps):
    """Return weights of steps along a ring, given as a dict."""
    shift = np.zeros(n)
    for step, weight in steps.items():
        shift[int(step) % n] += weight
    return shift


# A Neural Turing Machine's memory


def test_addressing_by_hand():
    steps = memory.address(
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
    np.testing.assert_allclose(memory.read(NTM["M"], steps.weights), NTM["read"], atol=DIGITS)
    written = memory.write(NTM["M"], steps.weights, NTM["erase"], NTM["add"])
    np.testing.assert_allclose(written.memory, NTM["M_after_write"], atol=DIGITS)
    np.testing.assert_array_equal(memory.ring_shift(4, 0, 0.1), ring(4, NTM["shift"]))


def test_without_sharpness_content_is_uniform_and_without_gate_it_is_ignored():
    np.testing.assert_array_equal(memory.content_addressing(NTM["M"], NTM["key"], 0), np.full(4, 0.25))
    for key in ([1, 0], [-3, 2]):
        steps = memory.address(NTM["M"], key, NTM["w_prev"], sharpness=9, gate=0)
        np.testing.assert_array_equal(steps.weights, NTM["w_prev"])


def test_a_shift_goes_round_the_ring():
    np.testing.assert_allclose(memory.convolve([0, 0, 0, 1], memory.ring_shift(4, 1)), NTM["pure_shift_plus1"])
    np.testing.assert_allclose(memory.convolve([1, 0, 0, 0], memory.ring_shift(4, -1)), [0, 0, 0, 1])
    np.testing.assert_allclose(memory.convolve([0, 1, 0, 0], memory.ring_shift(4, 0, 0.1)), NTM["one_hot_blur"])
    np.testing.assert_allclose(
        memory.sharpen(NTM["one_hot_blur"], 2), NTM["one_hot_blur_sharpened_gamma2"], atol=DIGITS
    )


def test_a_fraction_of_a_step_is_shared_out():
    shift = memory.ring_shift(10, 6.7)
    np.testing.assert_allclose(shift[6:8], [0.3, 0.7])
    assert shift.sum() == pytest.approx(1)
    np.testing.assert_allclose(memory.ring_shift(5, -0.25), [0.75, 0, 0, 0, 0.25])
    np.testing.assert_allclose(memory.ring_shift(3, 7), memory.ring_shift(3, 1))


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
    moved = memory.ring_shift(n_rows, shift, blur)
    steps = memory.address(rows, key, previous, sharpness=sharpness, gate=gate, shift=moved, gamma=gamma)
    for weights in steps[1:]:
        np.testing.assert_allclose(weights.sum(), 1)
        assert (weights >= 0).all()
    read = memory.read(rows, steps.weights)
    assert (read >= rows.min(axis=0) - 1e-9).all()
    assert (read <= rows.max(axis=0) + 1e-9).all()


def test_convolve_against_a_loop():
    rng = np.random.default_rng(0)
    weights, shift = rng.normal(size=(3, 7)), rng.normal(size=7)
    expected = np.zeros((3, 7))
    for b in range(3):
        for i in range(7):
            expected[b, i] = sum(weights[b, j] * shift[(i - j) % 7] for j in range(7))
    np.testing.assert_allclose(memory.convolve(weights, shift), expected)


@given(st.integers(0, 10**6), st.floats(1, 20))
def test_sharpening_against_a_loop(seed, gamma):
    weights = np.random.default_rng(seed).dirichlet(np.ones(5))
    total = sum(w**gamma for w in weights)
    np.testing.assert_allclose(memory.sharpen(weights, gamma), [w**gamma / total for w in weights], atol=1e-12)
    np.testing.assert_allclose(memory.sharpen(weights, 1), weights)


def test_sharpening_does_not_vanish():
    np.testing.assert_allclose(memory.sharpen(np.full(5, 1e-30), 20), np.full(5, 0.2))
    np.testing.assert_array_equal(memory.sharpen(np.zeros(3), 2), np.zeros(3))


def test_several_heads_at_once():
    rng = np.random.default_rng(0)
    rows, keys, previous = rng.normal(size=(5, 3)), rng.normal(size=(2, 3)), rng.dirichlet(np.ones(5), size=2)
    shift = memory.ring_shift(5, 1.5)
    both = memory.address(rows, keys, previous, sharpness=3, gate=0.7, shift=shift, gamma=2)
    for head in range(2):
        one = memory.address(rows, keys[head], previous[head], sharpness=3, gate=0.7, shift=shift, gamma=2)
        np.testing.assert_allclose(both.weights[head], one.weights)


def test_writing_nothing_and_writing_over():
    rows = np.random.default_rng(0).normal(size=(5, 3))
    nothing = memory.write(rows, np.zeros(5), np.ones(3), np.ones(3))
    np.testing.assert_array_equal(nothing.memory, rows)
    over = memory.write(rows, np.eye(5)[2], np.ones(3), [7, 8, 9])
    np.testing.assert_array_equal(over.memory[2], [7, 8, 9])
    np.testing.assert_array_equal(np.delete(over.memory, 2, 0), np.delete(rows, 2, 0))


def test_a_write_by_hand():
    weights = NTM["w_final"]
    np.testing.assert_allclose(
        memory.write(NTM["M"], weights, NTM["erase"], NTM["add"]).memory[2], [0.249583, 3.251251], atol=2e-6
    )


# Pointer networks


def test_pointing_by_hand():
    check = CHECKS["pointer"]
    scores = -10 * np.abs(np.array(check["inputs"]) - 0.1)
    np.testing.assert_allclose(scores, check["u"], atol=1e-12)
    weights = memory.leaving_out(check["u"])
    np.testing.assert_allclose(weights, check["p"], atol=DIGITS)
    assert weights.argmax() == check["argmax"]
    visited = np.arange(4) == check["argmax"]
    np.testing.assert_allclose(memory.leaving_out(check["u"], visited), check["masked_next"], atol=DIGITS)
    np.testing.assert_array_equal(memory.leaving_out(check["u"], np.ones(4, bool)), np.zeros(4))


def test_a_point_against_torch():
    rng = np.random.default_rng(0)
    encoded, decoded = rng.normal(size=(2, 7, 5)), rng.normal(size=(2, 3))
    w_encoded, w_decoded, v = rng.normal(size=(5, 11)), rng.normal(size=(3, 11)), rng.normal(size=11)
    pointing = memory.point(encoded, decoded, w_encoded=w_encoded, w_decoded=w_decoded, v=v)
    e, d, w1, w2, vt = (torch.tensor(a) for a in (encoded, decoded, w_encoded, w_decoded, v))
    expected = torch.softmax(torch.tanh(e @ w1 + (d @ w2)[:, None]) @ vt, dim=-1)
    np.testing.assert_allclose(pointing.weights, expected, atol=1e-12)


def network(width=5, d_hidden=7, seed=0):
    """Return a pointer network with random weights."""
    rng = np.random.default_rng(seed)
    lstms = (Recurrent(rng.normal(size=(1, 4 * width)), rng.normal(size=(width, 4 * width))) for _ in range(2))
    w_encoded, w_decoded = rng.normal(size=(width, d_hidden)), rng.normal(size=(width, d_hidden))
    return memory.PointerNetwork(*lstms, np.zeros(1), w_encoded, w_decoded, rng.normal(size=d_hidden))


@given(st.integers(0, 10**6), st.integers(1, 11))
def test_what_was_visited_is_left_out_for_any_number_of_inputs(seed, n):
    inputs = np.random.default_rng(seed).random((n, 1))
    pointed = memory.point_at_all(network(seed=seed), inputs)
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
            pointed = memory.point_at_all(ours, row[:, None], leave_out_visited=leave_out)
            assert pointed.order.tolist() == order[at].tolist()
            seen = ~pointed.visited if leave_out else np.ones((7, 7), bool)
            np.testing.assert_allclose(pointed.scores[seen], expected[at].detach().numpy()[seen], atol=1e-5)


def test_the_trained_network_sorts():
    trained, accuracy = pointer.load()
    rng = np.random.default_rng(12345)
    for n in (5, 8, 10):
        right = 0
        for numbers in pointer.draw(rng, 100, n):
            order = memory.point_at_all(trained, numbers[:, None]).order
            right += bool((numbers[order] == np.sort(numbers)).all())
        assert abs(right / 100 - accuracy[n][1]) < 0.1  # as it was measured after training
    assert accuracy[5][1] > 0.99
    assert accuracy[10][1] > 0.95
    assert all(free <= left_out for free, left_out in accuracy.values())
    assert pointer.PATH.stat().st_size < 300_000


@pytest.fixture
def one_thread():
    """Small matrices on one core: on a busy machine a second would only be waited for."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


# Attention inside a recurrent cell


def cell(d_in=3, width=5, d_hidden=7, seed=0):
    """Return the parameters of a cell that looks back."""
    rng = np.random.default_rng(seed)
    shapes = {"w_past": (width, d_hidden), "w_now": (d_in, d_hidden), "w_summary": (width, d_hidden), "v": (d_hidden,)}
    looks = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return Recurrent(rng.normal(size=(d_in, 4 * width)), rng.normal(size=(width, 4 * width))), looks


def test_looking_back_is_a_growing_triangle():
    parameters, looks = cell()
    steps = memory.look_back(np.random.default_rng(1).normal(size=(11, 3)), parameters, **looks)
    np.testing.assert_array_equal(np.triu(steps.weights), 0)
    np.testing.assert_allclose(steps.weights[1:].sum(axis=1), 1)
    np.testing.assert_allclose(steps.summary, steps.weights @ steps.state, atol=1e-12)


def test_looking_back_at_the_last_state_alone_is_a_plain_lstm():
    parameters, looks = cell()
    x = np.random.default_rng(1).normal(size=(2, 3))
    steps = memory.look_back(x, parameters, **looks)  # with one state in the past there is nothing to choose
    np.testing.assert_allclose(steps.state, run(lstm, x, parameters).state, atol=1e-12)


def test_no_step_looks_ahead():
    parameters, looks = cell()
    x = np.random.default_rng(1).normal(size=(7, 3))
    for token in range(7):
        leak = leak_test(lambda x: memory.look_back(x, parameters, **looks).state, x, np.tri(7, dtype=bool), token)
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
    np.testing.assert_allclose(memory.look_back(x, parameters, **looks).state, torch.stack(states), atol=1e-12)


# SNAIL


def lags(n, dilated, seed=0):
    """Return the lags that a random stack of dense blocks was measured to see."""
    rng = np.random.default_rng(seed)
    blocks = memory.draw_temporal_block(rng, 3, 2, len(dilated))
    moved = memory.lags_reached(lambda x: memory.temporal_block(x, blocks, dilated), rng.normal(size=(n, 3)))
    return np.flatnonzero(moved).tolist()


@pytest.mark.parametrize("row", CHECKS["snail"], ids=lambda row: f"T={row['T']}")
def test_the_receptive_field_is_measured(row):
    right, printed = memory.dilations(row["T"]), memory.dilations(row["T"], as_printed=True)
    assert list(right) == row["dilations_from_1"]
    assert list(printed) == row["dilations_as_printed"]
    assert len(right) == len(printed) == row["blocks"]
    assert lags(row["T"], right) == row["lags_reached_from_1"]
    assert lags(row["T"], printed) == row["lags_reached_as_printed"]


def test_dilations_from_one_reach_any_length():
    for n in range(1, 20):
        assert lags(n, memory.dilations(n)) == list(range(n))


def test_a_causal_convolution_against_torch():
    rng = np.random.default_rng(0)
    x, w_past, w_now = rng.normal(size=(2, 11, 3)), rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    weight = torch.tensor(np.stack([w_past.T, w_now.T], axis=-1))  # (out, in, kernel)
    for dilation in (1, 2, 13):
        padded = torch.nn.functional.pad(torch.tensor(x).transpose(1, 2), (dilation, 0))
        expected = torch.nn.functional.conv1d(padded, weight, dilation=dilation).transpose(1, 2)
        np.testing.assert_allclose(memory.causal_convolution(x, w_past, w_now, dilation), expected, atol=1e-12)


def test_channels_grow_by_what_each_block_appends():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 3))
    blocks = memory.draw_temporal_block(rng, 3, 5, 3)
    hidden = memory.temporal_block(x, blocks, memory.dilations(7))
    assert hidden.shape == (7, 3 + 3 * 5)
    np.testing.assert_array_equal(hidden[:, :3], x)
    above = memory.draw_snail_attention(rng, 18, 2, 11)
    output, attention = memory.attention_block(hidden, above)
    assert output.shape == (7, 18 + 11)
    np.testing.assert_array_equal(output[:, :18], hidden)
    np.testing.assert_array_equal(np.triu(attention.weights, 1), 0)


def test_no_block_sees_the_future():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 3))
    blocks, above = memory.draw_temporal_block(rng, 3, 5, 3), memory.draw_snail_attention(rng, 18, 2, 11)

    def whole(x):
        return memory.attention_block(memory.temporal_block(x, blocks, (1, 2, 4)), above)[0]

    for token in range(7):
        assert leak_test(whole, x, np.tri(7, dtype=bool), token).largest == 0


def test_attention_above_sees_what_the_convolutions_leave_out():
    rng = np.random.default_rng(0)
    x, printed = rng.normal(size=(8, 3)), memory.dilations(8, as_printed=True)
    blocks, above = memory.draw_temporal_block(rng, 3, 5, 3), memory.draw_snail_attention(rng, 18, 2, 11)
    moved = memory.lags_reached(
        lambda x: memory.attention_block(memory.temporal_block(x, blocks, printed), above)[0], x
    )
    assert (moved > 0).all()


# Images


def test_image_attention_by_hand():
    x = np.array(SAGAN["x_columns_are_pixels"]).T
    still, half = (images.image_attention(x, EYE, EYE, EYE, gamma=gamma) for gamma in (0, 0.5))
    np.testing.assert_allclose(half.scores.T, SAGAN["s_ij"], atol=1e-12)
    np.testing.assert_allclose(half.weights.T, SAGAN["alpha_columns_sum_to_1"], atol=DIGITS)
    np.testing.assert_allclose(half.weights.sum(axis=1), SAGAN["col_sums"])
    np.testing.assert_allclose(half.weights.sum(axis=0), SAGAN["row_sums"], atol=2 * DIGITS)
    np.testing.assert_allclose(half.attended.T, SAGAN["o"], atol=DIGITS)
    np.testing.assert_allclose(half.output.T, SAGAN["y_gamma_half"], atol=DIGITS)
    np.testing.assert_array_equal(still.output.T, SAGAN["y_gamma0"])


def test_image_attention_against_torch():
    rng = np.random.default_rng(0)
    x, w_f, w_g = rng.normal(size=(11, 5)), rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    w_h, w_v = rng.normal(size=(5, 3)), rng.normal(size=(3, 5))
    steps = images.image_attention(x, w_f, w_g, w_h, w_v, gamma=0.3)
    t, f, g, h, v = (torch.tensor(a) for a in (x, w_f, w_g, w_h, w_v))
    scores = (t @ f) @ (t @ g).T  # s_ij, softmax over i
    alpha = torch.softmax(scores, dim=0)
    expected = t + 0.3 * (alpha.T @ (t @ h)) @ v
    np.testing.assert_allclose(steps.output, expected, atol=1e-12)


def test_image_attention_has_no_root():
    x = np.random.default_rng(0).normal(size=(7, 3))
    eye = np.eye(3)
    ours = images.image_attention(x, eye, eye, eye).weights
    np.testing.assert_allclose(ours, scaled_dot_product_attention(x, x, x, scale=1).weights)
    assert np.abs(ours - scaled_dot_product_attention(x, x, x).weights).max() > 0.05


def test_moving_the_pixels_moves_the_output_along():
    rng = np.random.default_rng(0)
    x, order = rng.normal(size=(13, 3)), rng.permutation(13)
    matrices = [rng.normal(size=(3, 3)) for _ in range(4)]
    plain, moved = (images.image_attention(pixels, *matrices, gamma=1).output for pixels in (x, x[order]))
    np.testing.assert_allclose(moved, plain[order], atol=1e-12)


def test_patches_are_cut_row_by_row():
    image = np.arange(6 * 4 * 3).reshape(6, 4, 3)
    cut = images.patches(image, 2)
    assert cut.shape == (6, 4, 3)
    for at in range(6):
        row, column = divmod(at, 2)
        np.testing.assert_array_equal(
            cut[at].reshape(2, 2, 3), image[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        )
    assert images.patches(np.zeros((224, 224, 2)), 16).shape == (196, 256, 2)  # 14 × 14 of the paper


def test_features_of_patches():
    picture = np.zeros((8, 8, 3))
    picture[:4, :4, 0] = 1  # red at the top left
    features = images.patch_features(images.patches(picture, 4), 2)
    np.testing.assert_allclose(features[0], [0.5, -0.5, -0.5, 0, -0.5, 0.5])
    np.testing.assert_allclose(features[3], [-0.5, -0.5, -0.5, 0, 0.5, -0.5])
    weights = softmax(9 * features @ np.array([1, -0.7, -0.7, 0, 0, 0]))
    assert weights.argmax() == 0


@pytest.mark.parametrize("picture", images.PICTURES.values(), ids=images.PICTURES)
@pytest.mark.parametrize("size", [1, 7, 32])
def test_every_picture_is_one(picture, size):
    drawn = picture.draw(size)
    assert drawn.shape == (size, size, 3)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert size < 7 or len(np.unique(drawn.reshape(-1, 3), axis=0)) > 1


# Number types and bad input


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_types_are_kept(dtype):
    rng = np.random.default_rng(0)
    rows, key, weights = (rng.random(shape).astype(dtype) for shape in ((5, 3), 3, 5))
    weights /= weights.sum()
    steps = memory.address(rows, key, weights, shift=memory.ring_shift(5, 1).astype(dtype), gamma=2)
    assert {a.dtype for a in steps} == {np.dtype(dtype)}
    assert {a.dtype for a in memory.write(rows, weights, key, key)} == {np.dtype(dtype)}
    assert {a.dtype for a in images.image_attention(rows, *(np.eye(3, dtype=dtype),) * 3)} == {np.dtype(dtype)}
    assert memory.leaving_out(weights).dtype == dtype
    assert memory.causal_convolution(rows, rows.T[:3, :2], rows.T[:3, :2], 2).dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: memory.content_addressing(EYE, [1, 2], -1), "sharpness must be at least 0, got -1"),
        (
            lambda: memory.address(EYE, [1, 2, 3], [1, 0]),
            "query and keys must have one width, got query (3,) and keys (2, 2)",
        ),
        (lambda: memory.interpolate([1, 0], [0, 1], 1.5), "gate must be from 0 to 1, got 1.5"),
        (
            lambda: memory.interpolate([1, 0], [0, 1, 0], 0.5),
            "the weights by content and the previous weights must be over the same rows, got (2,) and (3,)",
        ),
        (lambda: memory.ring_shift(4, np.inf), "shift must be a finite number, got inf"),
        (lambda: memory.ring_shift(4, 1, 0.7), "blur must be from 0 to 0.5, got 0.7"),
        (lambda: memory.ring_shift(0, 1), "n_rows must be a whole number of at least 1, got 0"),
        (
            lambda: memory.convolve([1, 0], [1, 0, 0]),
            "weights and shift must be over the same rows, got (2,) and (3,)",
        ),
        (lambda: memory.sharpen([1, 0], 0.5), "gamma must be at least 1, got 0.5"),
        (lambda: memory.read(EYE, [1]), "there must be one weight per value, got weights (1,) and values (2, 2)"),
        (
            lambda: memory.write(EYE, [1], [1, 0], [0, 0]),
            "there must be one weight per row, got weights (1,) and memory (2, 2)",
        ),
        (
            lambda: memory.write(EYE, [1, 0], [1, 0, 0], [0, 0]),
            "erase must be as wide as the memory (2, 2), got (3,)",
        ),
        (lambda: memory.write(EYE, [1, 0], [2, 0], [0, 0]), "erase must lie between 0 and 1, got [2.0, 0.0]"),
        (lambda: memory.leaving_out([1, 2], [True] * 3), "visited must fit the scores (2,), got (3,)"),
        (
            lambda: memory.causal_convolution(EYE, EYE, np.eye(3), 1),
            "x must be (..., n, d_in) for two matrices (d_in, d_out), got (2, 2), (2, 2) and (3, 3)",
        ),
        (lambda: memory.causal_convolution(EYE, EYE, EYE, 0), "dilation must be a whole number of at least 1, got 0"),
        (
            lambda: memory.look_back(EYE, cell()[0], **cell()[1]),
            "x must be (n, d_in) with d_in 3 and a token, got (2, 2)",
        ),
        (lambda: memory.dilations(0), "n must be a whole number of at least 1, got 0"),
        (lambda: memory.temporal_block(EYE, [], (1,)), "there must be one dilation per block, got 1 for 0 blocks"),
        (
            lambda: images.image_attention(EYE, np.eye(3), EYE, EYE),
            "x must be (n, d) for matrices of d rows, got (2, 2) for (3, 3), (2, 2) and (2, 2)",
        ),
        (
            lambda: images.image_attention(EYE, EYE, EYE, np.ones((2, 3))),
            "what is read must be as wide as the image (2, 2), got (2, 3)",
        ),
        (
            lambda: images.patches(np.zeros((6, 5, 3)), 2),
            "image must be (height, width, channels) with sides that 2 divides, got (6, 5, 3)",
        ),
        (
            lambda: images.patch_features(np.zeros((5, 4, 3)), 2),
            "cut must be (n_patches, n_pixels, 3) in rows of 2 patches, got (5, 4, 3)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
