import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as gptj_rotate
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as llama_rotate
from transformers.models.t5.modeling_t5 import T5Attention

from attn import masks, multi_head_attention, positions, scaled_dot_product_attention
from attn.multi_head import draw_parameters

CHECKS = json.loads((Path(__file__).parent / "data" / "mechanism_checks.json").read_text())["sinusoidal"]


# Sinusoidal


def test_sinusoidal_by_hand():
    np.testing.assert_allclose(positions.sinusoidal(4, 4), CHECKS["width_4"], atol=5e-7)


def test_sinusoidal_products_depend_on_the_offset_alone():
    waves = positions.sinusoidal(300, 512)
    products = waves @ waves.T
    for offset, product in CHECKS["product_at_offset_512"].items():
        np.testing.assert_allclose(products.diagonal(int(offset)), product, atol=1e-4)


def test_an_offset_is_one_rotation_for_every_position():
    waves = positions.sinusoidal(50, 8)
    shift, *_ = np.linalg.lstsq(waves[:-7], waves[7:], rcond=None)
    np.testing.assert_allclose(waves[:-7] @ shift, waves[7:], atol=1e-12)
    np.testing.assert_allclose(shift @ shift.T, np.eye(8), atol=1e-9)


def test_wavelengths_are_how_often_columns_come_round():
    lengths = positions.wavelengths(8, base=16)
    np.testing.assert_allclose(lengths, 2 * np.pi * np.array([1, 2, 4, 8]))
    angles = positions.rotary(50, 8, base=16)
    np.testing.assert_allclose(angles, np.arange(50)[:, None] * 2 * np.pi / lengths)
    # the paper speaks of 10000 times 2 pi
    assert positions.wavelengths(512)[-1] == pytest.approx(60611.5, abs=0.05)
    assert 10000 * 2 * np.pi == pytest.approx(62831.9, abs=0.05)


@given(st.floats(-50, 50), st.integers(1, 8), st.sampled_from([100, 10000]))
def test_an_offset_is_one_rotation_known_beforehand(offset, pairs, base):
    shift = positions.offset_matrix(offset, 2 * pairs, base=base)
    np.testing.assert_allclose(shift @ shift.T, np.eye(2 * pairs), atol=1e-12)
    back = positions.offset_matrix(-offset, 2 * pairs, base=base)
    np.testing.assert_allclose(shift @ back, np.eye(2 * pairs), atol=1e-12)
    waves = positions.sinusoidal(60, 2 * pairs, base=base)
    whole = round(abs(offset))
    moved = waves[: 60 - whole] @ positions.offset_matrix(whole, 2 * pairs, base=base).T
    np.testing.assert_allclose(moved, waves[whole:], atol=1e-12)


def test_the_rotation_by_seven_at_512():
    waves = positions.sinusoidal(300, 512)
    assert np.abs(waves[:-7] @ positions.offset_matrix(7, 512).T - waves[7:]).max() < 1e-12


@pytest.mark.parametrize("d_model", [0, 1, 7])
def test_an_odd_width_cannot_be_turned(d_model):
    with pytest.raises(ValueError, match=f"d_model must be even to be turned in pairs, got {d_model}"):
        positions.offset_matrix(1, d_model)


@given(st.integers(0, 5), st.integers(1, 9))
def test_sinusoidal_entry_by_entry(n, d_model):
    waves = positions.sinusoidal(n, d_model, base=100)
    assert waves.shape == (n, d_model)
    for p in range(n):
        for c in range(d_model):
            angle = p / 100 ** ((c - c % 2) / d_model)
            assert waves[p, c] == pytest.approx(np.cos(angle) if c % 2 else np.sin(angle), abs=1e-12)


def test_order_shows_only_with_positions():
    rng = np.random.default_rng(0)
    x, order = rng.normal(size=(5, 12)), [3, 1, 4, 0, 2]
    parameters = draw_parameters(rng, 12, 3)
    without = multi_head_attention(x, parameters).output
    np.testing.assert_allclose(multi_head_attention(x[order], parameters).output, without[order], atol=1e-12)
    waves = positions.sinusoidal(5, 12)
    with_positions = multi_head_attention(x + waves, parameters).output
    shuffled = multi_head_attention(x[order] + waves, parameters).output
    assert np.abs(shuffled - with_positions[order]).max() > 0.01


def test_learned_rows_are_small_and_come_from_the_rng():
    rows = positions.learned(np.random.default_rng(0), 500, 64)
    assert rows.shape == (500, 64)
    assert rows.mean() == pytest.approx(0, abs=1e-3)
    assert rows.std() == pytest.approx(0.02, rel=0.05)
    np.testing.assert_array_equal(rows, positions.learned(np.random.default_rng(0), 500, 64))


# Rotary


def test_a_single_pair_turns_by_its_position():
    np.testing.assert_array_equal(positions.rotary(3, 2), [[0], [1], [2]])


def test_a_quarter_turn_by_hand():
    angles = [[np.pi / 2, np.pi]]
    np.testing.assert_allclose(positions.rotate([[1, 2, 3, 4]], angles), [[-3, -2, 1, -4]], atol=1e-12)
    np.testing.assert_allclose(
        positions.rotate([[1, 2, 3, 4]], angles, interleaved=True), [[-2, 1, -3, -4]], atol=1e-12
    )


@pytest.mark.parametrize("interleaved", [True, False])
def test_scores_depend_on_the_offset_alone(interleaved):
    rng = np.random.default_rng(0)
    query, key = np.tile(rng.normal(size=10), (7, 1)), np.tile(rng.normal(size=10), (7, 1))
    angles = positions.rotary(7, 10)
    turned = (positions.rotate(array, angles, interleaved=interleaved) for array in (query, key))
    scores = np.matmul(*(array if i == 0 else array.T for i, array in enumerate(turned)))
    for offset in range(-6, 7):
        assert np.ptp(scores.diagonal(offset)) < 1e-12
    assert np.ptp(scores) > 0.1


@pytest.mark.parametrize("interleaved", [True, False])
def test_turning_keeps_lengths_and_the_first_token(interleaved):
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 10))
    turned = positions.rotate(x, positions.rotary(7, 10), interleaved=interleaved)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(x, axis=-1))
    np.testing.assert_array_equal(turned[..., 0, :], x[..., 0, :])


def test_the_two_layouts_are_one_rotation_in_another_order():
    x, angles = np.random.default_rng(0).normal(size=(7, 10)), positions.rotary(7, 10)
    order = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]  # even numbers first
    interleaved = positions.rotate(x, angles, interleaved=True)
    np.testing.assert_allclose(positions.rotate(x[:, order], angles), interleaved[:, order], atol=1e-12)


def test_what_lies_beyond_the_angles_stays():
    x = np.random.default_rng(0).normal(size=(7, 10))
    part = positions.rotate(x, positions.rotary(7, 4))
    np.testing.assert_array_equal(part[:, 4:], x[:, 4:])
    np.testing.assert_array_equal(part[:, :4], positions.rotate(x[:, :4], positions.rotary(7, 4)))


def test_llama_agrees():
    heads, n, d_k = 3, 11, 16
    x = np.random.default_rng(0).normal(size=(1, heads, n, d_k)).astype(np.float32)
    config = LlamaConfig(hidden_size=heads * d_k, num_attention_heads=heads)
    cosine, sine = LlamaRotaryEmbedding(config)(torch.from_numpy(x), torch.arange(n)[None])
    expected, _ = llama_rotate(torch.from_numpy(x), torch.from_numpy(x), cosine, sine)
    angles = positions.rotary(n, d_k)
    np.testing.assert_allclose(np.cos(angles), cosine[0, :, : d_k // 2].numpy(), atol=1e-6)
    np.testing.assert_allclose(positions.rotate(x, angles), expected.numpy(), atol=1e-5)


def test_gptj_agrees():
    x = np.random.default_rng(0).normal(size=(1, 11, 3, 16)).astype(np.float32)  # (batch, n, heads, d_k)
    angles = positions.rotary(11, 16)
    cosine, sine = (torch.from_numpy(f(angles).astype(np.float32))[None] for f in (np.cos, np.sin))
    expected = gptj_rotate(torch.from_numpy(x), sine, cosine).transpose(1, 2)
    ours = positions.rotate(x.swapaxes(1, 2), angles, interleaved=True)
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_turning_keeps_the_type_and_its_argument(dtype):
    x = np.ones((7, 10), dtype)
    assert positions.rotate(x, positions.rotary(7, 10)).dtype == dtype
    assert (x == 1).all()


# ALiBi


@pytest.mark.parametrize("num_heads", [1, 2, 3, 8, 12, 16, 20, 71])
def test_bloom_has_the_same_slopes(num_heads):
    theirs = build_alibi_tensor(torch.ones(1, 2), num_heads, torch.float32)  # slope times position
    np.testing.assert_allclose(positions.alibi_slopes(num_heads), theirs[:, 0, 1].numpy(), rtol=1e-6)


def test_bloom_has_the_same_weights():
    """BLOOM adds slope times key position, which under a causal mask is the same up to a constant per row."""
    rng = np.random.default_rng(0)
    query, key, value = (rng.normal(size=(12, 7, 4)) for _ in range(3))
    theirs = build_alibi_tensor(torch.ones(1, 7), 12, torch.float64).numpy()  # (num_heads, 1, n_k)
    ours, bloom = (
        scaled_dot_product_attention(query, key, value, bias=bias, causal=True).weights
        for bias in (positions.alibi_bias(12, 7), theirs)
    )
    np.testing.assert_allclose(ours, bloom, atol=1e-7)


def test_alibi_by_hand():
    np.testing.assert_array_equal(positions.alibi_slopes(8), [2.0**-i for i in range(1, 9)])
    np.testing.assert_array_equal(positions.alibi_bias(8, 2, 4)[2], -np.array([[2, 1, 0, 1], [3, 2, 1, 0]]) / 8)
    np.testing.assert_array_equal(positions.alibi_bias(8, 1, 3, query_offset=0)[0], [[0, -0.5, -1]])


# Relative buckets


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (64, 1000), (6, 7)])
def test_t5_has_the_same_buckets(bidirectional, num_buckets, max_distance):
    n_q, n_k = 503, 1009
    relative = torch.arange(n_k)[None] - torch.arange(n_q)[:, None] - 251
    theirs = T5Attention._relative_position_bucket(relative, bidirectional, num_buckets, max_distance)
    ours = positions.relative_buckets(
        n_q, n_k, num_buckets=num_buckets, max_distance=max_distance, bidirectional=bidirectional, query_offset=251
    )
    np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.parametrize("options", [{}, {"bidirectional": False}, {"max_distance": 17, "query_offset": 1}])
@pytest.mark.parametrize("num_buckets", [32, 8])
def test_the_bias_is_looked_up(num_buckets, options):
    table = np.random.default_rng(0).normal(size=(num_buckets, 3)).astype(np.float32)
    bias = positions.relative_bias(table, 5, 29, **options)
    buckets = positions.relative_buckets(5, 29, num_buckets=num_buckets, **options)
    assert bias.dtype == np.float32
    for head, i, j in np.ndindex(3, 5, 29):
        assert bias[head, i, j] == table[buckets[i, j], head]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_keys_to_the_left_are_in_the_lower_half_of_the_buckets(bidirectional):
    buckets = positions.relative_buckets(5, 7, bidirectional=bidirectional)
    assert (buckets[masks.causal(5, 7).visible] < 16).all()


def test_the_bias_depends_on_the_offset_alone():
    bias = positions.relative_bias(np.random.default_rng(0).normal(size=(32, 3)), 40)
    for offset in range(-39, 40):
        assert (np.ptp(bias.diagonal(offset, axis1=1, axis2=2), axis=-1) == 0).all()


def test_defaults_are_those_of_the_papers():
    """A base of 10000, whose root is 100; 32 buckets for distances up to 128, in both directions."""
    assert positions.sinusoidal(2, 4)[1, 2] == pytest.approx(np.sin(0.01), rel=1e-12)
    assert positions.offset_matrix(1, 4)[2, 3] == pytest.approx(np.sin(0.01), rel=1e-12)
    assert positions.rotary(2, 4)[1, 1] == pytest.approx(0.01, rel=1e-12)
    assert positions.wavelengths(4)[1] == pytest.approx(200 * np.pi, rel=1e-12)
    both, left = (
        positions.relative_buckets(99, num_buckets=32, max_distance=128, bidirectional=bidirectional)
        for bidirectional in (True, False)
    )
    np.testing.assert_array_equal(positions.relative_buckets(99), both)
    np.testing.assert_array_equal(positions.relative_buckets(99, bidirectional=False), left)
    np.testing.assert_array_equal(positions.relative_bias(np.arange(32)[:, None], 99), [both])


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: positions.sinusoidal(3, 0), "d_model must be a whole number of at least 1, got 0"),
        (lambda: positions.sinusoidal(-1, 4), "n must be at least 0, got -1"),
        (lambda: positions.wavelengths(0), "d must be a whole number of at least 1, got 0"),
        (lambda: positions.rotary(3, 5), "d_k must be even to be turned in pairs, got 5"),
        (lambda: positions.rotary(3, 0), "d_k must be even to be turned in pairs, got 0"),
        (lambda: positions.alibi_slopes(2.5), "num_heads must be a whole number of at least 1, got 2.5"),
        (lambda: positions.alibi_slopes(0), "num_heads must be a whole number of at least 1, got 0"),
        (
            lambda: positions.rotate(np.ones((5, 4)), positions.rotary(7, 4)),
            "x must have a row per row of angles and two numbers per angle, got x (5, 4) and angles (7, 2)",
        ),
        (
            lambda: positions.rotate(np.ones(4), positions.rotary(1, 4)),
            "x must have a row per row of angles and two numbers per angle, got x (4,) and angles (1, 2)",
        ),
        (
            lambda: positions.rotate(np.ones((7, 3)), positions.rotary(7, 4)),
            "x must have a row per row of angles and two numbers per angle, got x (7, 3) and angles (7, 2)",
        ),
        (
            lambda: positions.relative_buckets(3, num_buckets=3),
            "num_buckets must be at least 4 and max_distance above 0, got 3 and 128",
        ),
        (
            lambda: positions.relative_buckets(3, num_buckets=32, max_distance=8),
            "num_buckets must be at least 4 and max_distance above 8, got 32 and 8",
        ),
        (
            lambda: positions.relative_bias(np.ones(32), 3),
            "table must have two axes (num_buckets, num_heads), got (32,)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
