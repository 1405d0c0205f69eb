import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, VitsConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as gptj_rotate
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as llama_rotate
from transformers.models.m2m_100.modeling_m2m_100 import M2M100SinusoidalPositionalEmbedding
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding
from transformers.models.t5.modeling_t5 import T5Attention
from transformers.models.vits.modeling_vits import VitsAttention
from transformers.models.wav2vec2_bert.modeling_wav2vec2_bert import _apply_relative_key_position_encoding
from transformers.models.whisper.modeling_whisper import sinusoids

from attn import masks, multi_head_attention, positions, scaled_dot_product_attention
from attn.multi_head import MultiHeadParameters, draw_parameters, merge_heads

DATA = Path(__file__).parent / "data"
CHECKS = json.loads((DATA / "mechanism_checks.json").read_text())["sinusoidal"]


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


@given(st.floats(-50, 50), st.integers(1, 8), st.sampled_from([100, 10000]), st.booleans(), st.booleans())
def test_an_offset_is_one_rotation_known_beforehand(offset, pairs, base, halves, endpoint):
    options = {"base": base, "halves": halves, "endpoint": endpoint}
    shift = positions.offset_matrix(offset, 2 * pairs, **options)
    np.testing.assert_allclose(shift @ shift.T, np.eye(2 * pairs), atol=1e-12)
    back = positions.offset_matrix(-offset, 2 * pairs, **options)
    np.testing.assert_allclose(shift @ back, np.eye(2 * pairs), atol=1e-12)
    waves = positions.sinusoidal(60, 2 * pairs, **options)
    whole = round(abs(offset))
    moved = waves[: 60 - whole] @ positions.offset_matrix(whole, 2 * pairs, **options).T
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


@pytest.mark.parametrize("d_model", [4, 10, 64])
def test_whisper_and_fairseq_have_the_same_waves(d_model):
    ours = positions.sinusoidal(300, d_model, halves=True, endpoint=True)
    np.testing.assert_allclose(ours, sinusoids(300, d_model).numpy(), atol=5e-5)
    np.testing.assert_allclose(ours, M2M100SinusoidalPositionalEmbedding.get_embedding(300, d_model), atol=5e-5)
    odd = positions.sinusoidal(300, d_model + 1, halves=True, endpoint=True)
    theirs = M2M100SinusoidalPositionalEmbedding.get_embedding(300, d_model + 1)
    np.testing.assert_allclose(odd, theirs, atol=5e-5)
    assert positions.wavelengths(d_model, endpoint=True)[-1] == pytest.approx(20000 * np.pi)


@pytest.mark.parametrize("d_model", [1, 4, 7, 64])
def test_marian_has_the_same_waves(d_model):
    theirs = MarianSinusoidalPositionalEmbedding(300, d_model)
    np.testing.assert_allclose(positions.sinusoidal(300, d_model, halves=True), theirs.create_weight(), atol=1e-6)


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
    assert positions.rotate(x, positions.rotary(7, 10), factor=np.full((7, 5), 1.5)).dtype == dtype
    assert (x == 1).all()


def test_a_factor_stretches_what_is_turned_and_nothing_else():
    x, angles = np.random.default_rng(0).normal(size=(3, 7, 10)), positions.rotary(7, 6)
    factor = np.random.default_rng(1).normal(size=(7, 3))
    turned = positions.rotate(x, angles, factor=factor)
    np.testing.assert_allclose(turned[..., :6], positions.rotate(x, angles)[..., :6] * np.tile(factor, 2))
    np.testing.assert_array_equal(turned[..., 6:], x[..., 6:])


def rope_parameters(n, **parameters):
    """Return what transformers makes of the settings of rotary positions."""
    config = LlamaConfig(
        hidden_size=64,
        num_attention_heads=2,
        max_position_embeddings=n,
        rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0} | parameters,
    )
    speeds, factor = ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")
    return speeds.numpy(), factor


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"stretch": 4}, {}),
        ({"stretch": 16, "trained": 512}, {}),
        ({"stretch": 2.5, "trained": 131072, "base": 500000}, {"rope_theta": 500000.0}),
        ({"stretch": 8, "fast": 8, "slow": 4}, {"beta_fast": 8, "beta_slow": 4}),
        ({"stretch": 40, "trained": 16}, {}),
        ({"stretch": 1}, {}),
        ({"stretch": 32, "base": 150000, "truncate": False}, {"rope_theta": 150000.0, "truncate": False}),
    ],
)
def test_yarn_agrees_with_transformers(ours, theirs):
    trained = ours.get("trained", 4096)
    given = {"factor": float(ours["stretch"]), "original_max_position_embeddings": trained} | theirs
    speeds, factor = rope_parameters(int(trained * ours["stretch"]), **given)
    np.testing.assert_allclose(positions.yarn(2, 32, **ours)[1], speeds, rtol=1e-5)
    assert positions.yarn_factor(ours["stretch"]) == pytest.approx(factor, rel=1e-12)


def test_yarn_turns_a_llama_as_transformers_does():
    heads, n, d_k = 2, 11, 32
    x = np.random.default_rng(0).normal(size=(1, heads, n, d_k)).astype(np.float32)
    parameters = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 256}
    config = LlamaConfig(
        hidden_size=heads * d_k,
        num_attention_heads=heads,
        max_position_embeddings=2048,
        rope_parameters=parameters,
    )
    cosine, sine = LlamaRotaryEmbedding(config)(torch.from_numpy(x), torch.arange(n)[None])
    expected, _ = llama_rotate(torch.from_numpy(x), torch.from_numpy(x), cosine, sine)
    ours = positions.rotate(x, positions.yarn(n, d_k, 8, trained=256), factor=positions.yarn_factor(8))
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-5)


def test_xpos_agrees_with_its_published_code():
    checks = json.loads((DATA / "peer_checks.json").read_text())["xpos"]
    x = np.array(checks["x"])
    angles, factors = positions.rotary(*x.shape), positions.xpos_factors(*x.shape)
    query, key = (positions.rotate(x, angles, interleaved=True, factor=each) for each in (factors, 1 / factors))
    np.testing.assert_allclose(query, checks["query"], atol=1e-7)
    np.testing.assert_allclose(key, checks["key"], atol=1e-7)


def test_xpos_scores_fall_by_the_distance_alone():
    angles, factors = positions.rotary(40, 8), positions.xpos_factors(40, 8, scale_base=16)
    ones = np.ones((40, 8))
    scores = positions.rotate(ones, angles, factor=factors) @ positions.rotate(ones, angles, factor=1 / factors).T
    zeta = (np.arange(4) / 4 + 0.4) / 1.4
    for distance in (0, 1, 7, 39):  # the published formula: cos(m theta) zeta^m, summed over pairs of ones
        own = 2 * (np.cos(distance * angles[1]) * zeta ** (distance / 16)).sum()
        np.testing.assert_allclose(scores.diagonal(-distance), own, atol=1e-12)


# Relative positions after Shaw


def slow_shaw(query, weights, key_table, value_table, left, n_k, offset):
    """Add up equations 3 and 4 term by term."""
    n_q, d_k = query.shape
    bias, context = np.zeros((n_q, n_k)), np.zeros((n_q, value_table.shape[1]))
    for i in range(n_q):
        for j in range(n_k):
            row = min(max(j - (i + offset), -left), len(key_table) - 1 - left) + left
            bias[i, j] = sum(query[i, d] * key_table[row, d] for d in range(d_k)) / math.sqrt(d_k)
            context[i] += weights[i, j] * value_table[row]
    return bias, context


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 6), st.integers(0, 5), st.none() | st.integers(-3, 9))
def test_shaw_term_by_term(n_q, n_k, rows, left, offset):
    left = min(left, rows - 1)
    rng = np.random.default_rng(0)
    query, weights = rng.normal(size=(n_q, 3)), rng.normal(size=(n_q, n_k))
    key_table, value_table = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))
    standing = n_k - n_q if offset is None else offset
    bias, context = slow_shaw(query, weights, key_table, value_table, left, n_k, standing)
    options = {"left": left, "query_offset": offset}
    np.testing.assert_allclose(positions.shaw_bias(query, key_table, n_k, **options), bias, atol=1e-12)
    np.testing.assert_allclose(positions.shaw_context(weights, value_table, **options), context, atol=1e-12)


def test_wav2vec2_bert_has_the_same_bias():
    rng = np.random.default_rng(0)
    query, table = rng.normal(size=(2, 3, 11, 5)).astype(np.float32), rng.normal(size=(7, 5)).astype(np.float32)
    module = SimpleNamespace(
        left_max_position_embeddings=4,
        right_max_position_embeddings=2,
        distance_embedding=torch.nn.Embedding.from_pretrained(torch.from_numpy(table)),
        scaling=0.3,
    )
    _, theirs = _apply_relative_key_position_encoding(module, torch.from_numpy(query), torch.from_numpy(query))
    ours = positions.shaw_bias(query, table, left=4, scale=0.3)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)


def test_vits_agrees_on_keys_and_values():
    config = VitsConfig(hidden_size=12, num_attention_heads=3, window_size=6, attention_dropout=0.0)
    theirs, x = VitsAttention(config).double().eval(), np.random.default_rng(0).normal(size=(2, 7, 12))
    with torch.no_grad():
        output, weights = theirs(torch.from_numpy(x), output_attentions=True)
    linear = {name: getattr(theirs, f"{name}_proj") for name in "qkv"}
    given = {f"w_{name}": module.weight.detach().numpy().T for name, module in linear.items()}
    given |= {f"b_{name}": module.bias.detach().numpy() for name, module in linear.items()}
    key_table, value_table = (table.detach().numpy()[0] for table in (theirs.emb_rel_k, theirs.emb_rel_v))
    steps = multi_head_attention(
        x,
        MultiHeadParameters(**given, num_heads=3),
        bias=lambda query: positions.shaw_bias(query, key_table),
    )
    merged = merge_heads(steps.context + positions.shaw_context(steps.weights, value_table))
    projected = merged @ theirs.out_proj.weight.detach().numpy().T + theirs.out_proj.bias.detach().numpy()
    np.testing.assert_allclose(steps.weights, weights.numpy(), atol=1e-12)
    np.testing.assert_allclose(projected, output.numpy(), atol=1e-12)


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
        (lambda: positions.sinusoidal(-1, 4), "n must be a whole number of at least 0, got -1"),
        (lambda: positions.yarn(3, 5, 2), "d_k must be even to be turned in pairs, got 5"),
        (lambda: positions.yarn(3, 4, 0.5), "stretch must be at least 1, got 0.5"),
        (lambda: positions.yarn(3, 4, "x"), "stretch must be at least 1, got 'x'"),
        (lambda: positions.yarn(3, 4, 2, trained=0), "trained must be a whole number of at least 1, got 0"),
        (lambda: positions.yarn(3, 4, 2, slow=0), "slow must be positive and finite, got 0"),
        (lambda: positions.yarn(3, 4, 2, base=1), "base must be above 1, got 1"),
        (lambda: positions.yarn_factor(0), "stretch must be at least 1, got 0"),
        (lambda: positions.xpos_factors(3, 5), "d_k must be even to be turned in pairs, got 5"),
        (lambda: positions.xpos_factors(3, 4, gamma=-1), "gamma must be positive and finite, got -1"),
        (lambda: positions.xpos_factors(3, 4, scale_base=0), "scale_base must be positive and finite, got 0"),
        (
            lambda: positions.rotate(np.ones((7, 4)), positions.rotary(7, 4), factor=np.ones(3)),
            "factor must broadcast to the angles (7, 2), got (3,)",
        ),
        (
            lambda: positions.shaw_bias(np.ones(4), np.ones((3, 4))),
            "query must have at least two axes (n_q, d_k), got (4,)",
        ),
        (
            lambda: positions.shaw_bias(np.ones((5, 4)), np.ones((3, 2))),
            "table must have rows of 4 numbers, got (3, 2)",
        ),
        (
            lambda: positions.shaw_bias(np.ones((5, 4)), np.ones((2, 4))),
            "table must have a middle row, or left say how far it reaches, got 2 rows",
        ),
        (
            lambda: positions.shaw_bias(np.ones((5, 4)), np.ones((3, 4)), left=3),
            "left must be below the 3 rows of the table, got 3",
        ),
        (
            lambda: positions.shaw_context(np.ones((5, 4)), np.ones(3)),
            "weights must have axes (..., n_q, n_k) and table (rows, d_v), got (5, 4) and (3,)",
        ),
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
