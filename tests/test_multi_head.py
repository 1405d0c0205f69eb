import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen3_next.configuration_qwen3_next import Qwen3NextConfig
from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextAttention

from attn import MultiHeadParameters, cost, masks, multi_head_attention, scaled_dot_product_attention
from attn.multi_head import divisors, draw_parameters, head_outputs, merge_heads, one_head, split_heads

N_Q, N_K, D_MODEL, D_MEMORY, D_K, D_V, KV_HEADS, GROUP, BATCH = 5, 7, 23, 19, 3, 11, 2, 13, 17
HEADS = KV_HEADS * GROUP


def rng(seed=0):
    return np.random.default_rng(seed)


def uneven(**options):
    """Parameters in which every size differs."""
    return draw_parameters(
        rng(), D_MODEL, HEADS, num_kv_heads=KV_HEADS, d_k=D_K, d_v=D_V, d_memory=D_MEMORY, **({"bias": True} | options)
    )


def tokens(dtype=np.float64):
    return rng(1).normal(size=(BATCH, N_Q, D_MODEL)).astype(dtype), rng(2).normal(size=(BATCH, N_K, D_MEMORY)).astype(
        dtype
    )


# Values by hand


def test_two_heads_by_hand():
    """Head 1 reads the first column, head 2 the second; with one key all weights are 1."""
    parameters = MultiHeadParameters(
        np.eye(2), np.eye(2), np.array([[10, 0], [0, 100]]), w_o=np.array([[1, 0, 1], [0, 1, 1]]), num_heads=2
    )
    steps = multi_head_attention([[1, 2]], parameters)
    np.testing.assert_array_equal(steps.query, [[[1]], [[2]]])
    np.testing.assert_array_equal(steps.value, [[[10]], [[200]]])
    np.testing.assert_array_equal(steps.weights, [[[1]], [[1]]])
    np.testing.assert_array_equal(steps.concat, [[10, 200]])
    np.testing.assert_array_equal(steps.output, [[10, 200, 210]])


def test_heads_are_cut_from_neighbouring_columns():
    np.testing.assert_array_equal(split_heads([[1, 2, 3, 4], [5, 6, 7, 8]], 2), [[[1, 2], [5, 6]], [[3, 4], [7, 8]]])


def test_divisors():
    assert divisors(12) == [1, 2, 3, 4, 6, 12]


# Properties


def test_shapes_of_every_step():
    shapes = [step.shape for step in multi_head_attention(*_with_memory(uneven(output_gate=True)))]
    scores = (BATCH, HEADS, N_Q, N_K)
    assert shapes == [
        (BATCH, HEADS, N_Q, D_K),
        (BATCH, KV_HEADS, N_K, D_K),
        (BATCH, KV_HEADS, N_K, D_V),
        scores,
        scores,
        scores,
        (BATCH, HEADS, N_Q, D_V),
        (BATCH, N_Q, HEADS * D_V),
        (BATCH, N_Q, D_MODEL),
        (BATCH, HEADS, N_Q, D_V),
    ]
    assert multi_head_attention(*_with_memory(uneven())).gate is None


def _with_memory(parameters, dtype=np.float64):
    x, memory = tokens(dtype)
    return x, parameters, memory


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_merging_undoes_splitting(batch, n, num_heads, d):
    x = rng().normal(size=(batch, n, num_heads * d))
    np.testing.assert_array_equal(merge_heads(split_heads(x, num_heads)), x)


def test_widths_that_parameters_tell():
    parameters = uneven(output_gate=True)
    assert (parameters.d_model, parameters.d_k, parameters.d_v) == (D_MODEL, D_K, D_V)
    arrays = (getattr(parameters, f"{kind}_{role}") for kind in "wb" for role in "qkvog")
    assert parameters.count == sum(array.size for array in arrays)


def test_the_number_of_heads_does_not_change_the_cost():
    assert {draw_parameters(rng(), 24, num_heads).count for num_heads in (1, 2, 3, 4, 6, 8, 12, 24)} == {4 * 24**2}


def test_later_tokens_change_nothing_before_them():
    parameters = draw_parameters(rng(), 12, 4, num_kv_heads=2, bias=True)
    x = rng(1).normal(size=(N_K, 12))
    changed = np.concatenate([x[:4], -x[4:]])
    one, other = (multi_head_attention(tokens, parameters, causal=True).output for tokens in (x, changed))
    np.testing.assert_allclose(one[:4], other[:4], atol=1e-14)
    assert np.abs(one[4:] - other[4:]).max() > 0.01


def test_parameters_are_drawn_from_the_rng_alone():
    one, other = draw_parameters(rng(3), 6, 2), draw_parameters(rng(3), 6, 2)
    np.testing.assert_array_equal(one.w_q, other.w_q)
    np.testing.assert_array_equal(one.w_o, other.w_o)


def test_a_projection_keeps_the_size():
    parameters = draw_parameters(rng(), 512, 8, d_v=16, bias=True)
    for w in (parameters.w_q, parameters.w_v, parameters.w_o):
        assert (rng(1).normal(size=(64, len(w))) @ w).std() == pytest.approx(1, abs=0.05)
    assert parameters.w_q.mean() == pytest.approx(0, abs=1e-3)
    assert parameters.b_q.mean() == pytest.approx(0, abs=0.01)
    assert parameters.b_q.std() == pytest.approx(0.1, rel=0.05)


# A slow loop as oracle


def test_one_head_after_the_other():
    parameters, (x, memory) = uneven(), tokens()
    steps = multi_head_attention(x, parameters, memory)
    for item in range(BATCH):
        for head in range(HEADS):
            shared = head // GROUP
            q = x[item] @ parameters.w_q[:, head * D_K :][:, :D_K] + parameters.b_q[head * D_K :][:D_K]
            k = memory[item] @ parameters.w_k[:, shared * D_K :][:, :D_K] + parameters.b_k[shared * D_K :][:D_K]
            v = memory[item] @ parameters.w_v[:, shared * D_V :][:, :D_V] + parameters.b_v[shared * D_V :][:D_V]
            alone = scaled_dot_product_attention(q, k, v)
            np.testing.assert_allclose(steps.weights[item, head], alone.weights, atol=1e-12)
            columns = slice(head * D_V, (head + 1) * D_V)
            np.testing.assert_allclose(steps.concat[item][:, columns], alone.context, atol=1e-12)
    np.testing.assert_allclose(steps.output, steps.concat @ parameters.w_o + parameters.b_o, atol=1e-12)


# Two of our own routes agree


def test_grouped_heads_are_multi_head_with_repeated_columns():
    grouped, (x, memory) = uneven(), tokens()

    def repeated(columns, d):
        heads = columns.reshape(*columns.shape[:-1], KV_HEADS, d)
        return np.repeat(heads, GROUP, axis=-2).reshape(*columns.shape[:-1], HEADS * d)

    multi = MultiHeadParameters(
        grouped.w_q,
        repeated(grouped.w_k, D_K),
        repeated(grouped.w_v, D_V),
        grouped.w_o,
        grouped.b_q,
        repeated(grouped.b_k, D_K),
        repeated(grouped.b_v, D_V),
        grouped.b_o,
        num_heads=HEADS,
    )
    np.testing.assert_allclose(
        multi_head_attention(x, grouped, memory).output, multi_head_attention(x, multi, memory).output, atol=1e-12
    )


def test_one_head_with_identity_output_is_plain_attention():
    parameters = draw_parameters(rng(), D_MODEL, 1, d_k=D_K, d_v=D_V, output_projection=False)
    x, _ = tokens()
    alone = scaled_dot_product_attention(x @ parameters.w_q, x @ parameters.w_k, x @ parameters.w_v)
    steps = multi_head_attention(x, parameters)
    np.testing.assert_allclose(steps.output, alone.context, atol=1e-12)
    identity = MultiHeadParameters(parameters.w_q, parameters.w_k, parameters.w_v, np.eye(D_V))
    np.testing.assert_allclose(multi_head_attention(x, identity).output, steps.output, atol=1e-12)


def test_reading_oneself_is_self_attention():
    parameters, (x, _) = draw_parameters(rng(), D_MODEL, 1), tokens()
    np.testing.assert_array_equal(
        multi_head_attention(x, parameters, x).output, multi_head_attention(x, parameters).output
    )


@pytest.mark.parametrize("output_gate", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_one_head_does_what_it_does_among_all(bias, output_gate):
    parameters, (x, memory) = uneven(bias=bias, output_gate=output_gate), tokens()
    together = multi_head_attention(x, parameters, memory)
    heads = together.context * together.gate if output_gate else together.context
    for head in (0, GROUP - 1, GROUP, HEADS - 1):
        alone = multi_head_attention(x, one_head(parameters, head), memory)
        np.testing.assert_allclose(alone.weights[:, 0], together.weights[:, head], atol=1e-12)
        np.testing.assert_allclose(alone.output, heads[:, head], atol=1e-12)


def test_what_heads_add_is_the_output():
    parameters, (x, memory) = uneven(bias=False), tokens()
    steps = multi_head_attention(x, parameters, memory)
    parts = head_outputs(steps.context, parameters.w_o)
    assert parts.shape == (BATCH, HEADS, N_Q, D_MODEL)
    np.testing.assert_allclose(parts.sum(axis=-3), steps.output, atol=1e-12)


def test_a_head_switched_off_takes_away_what_it_adds():
    parameters, (x, memory) = uneven(bias=False), tokens()
    steps = multi_head_attention(x, parameters, memory)
    context = steps.context.copy()
    context[:, 5] = 0
    without = merge_heads(context) @ parameters.w_o
    np.testing.assert_allclose(steps.output - without, head_outputs(steps.context, parameters.w_o)[:, 5], atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"mask": masks.causal(N_Q, N_K)},
        {"mask": rng(4).random((BATCH, HEADS, N_Q, N_K)) < 0.7},
        {"bias": rng(5).normal(size=(HEADS, N_Q, N_K))},
        {"causal": True, "query_offset": 1},
        {"window": (2, 0)},
        {"scale": 0.1},
        {"softcap": 0.5},
        {"top_k": 2},
        {"sinks": 0},
        {"sinks": rng(6).normal(size=(HEADS, 1, 1))},
    ],
)
def test_options_reach_the_attention(options):
    parameters, (x, memory) = uneven(), tokens()
    steps = multi_head_attention(x, parameters, memory, **options)
    alone = scaled_dot_product_attention(steps.query, steps.key, steps.value, **options)
    np.testing.assert_array_equal(steps.weights, alone.weights)
    plain = multi_head_attention(x, parameters, memory)
    assert (steps.weights != plain.weights).any()


def test_rotation_is_applied_to_queries_and_keys_alone():
    parameters, (x, memory) = uneven(), tokens()
    plain = multi_head_attention(x, parameters, memory)
    steps = multi_head_attention(x, parameters, memory, rotate=lambda heads: 2 * heads)
    np.testing.assert_allclose(steps.query, 2 * plain.query)
    np.testing.assert_allclose(steps.key, 2 * plain.key)
    np.testing.assert_array_equal(steps.value, plain.value)
    np.testing.assert_allclose(steps.scores, 4 * plain.scores)


def test_queries_and_keys_may_be_turned_apart():
    parameters, (x, memory) = uneven(), tokens()
    plain = multi_head_attention(x, parameters, memory)
    steps = multi_head_attention(x, parameters, memory, rotate=(lambda heads: 3 * heads, lambda heads: -heads))
    np.testing.assert_allclose(steps.query, 3 * plain.query)
    np.testing.assert_allclose(steps.key, -plain.key)


def test_a_bias_may_be_made_of_the_queries():
    parameters, (x, memory) = uneven(), tokens()
    plain = multi_head_attention(x, parameters, memory)
    steps = multi_head_attention(x, parameters, memory, bias=lambda query: query[..., :1])
    np.testing.assert_allclose(steps.masked_scores, plain.scores + plain.query[..., :1])


def test_values_may_be_read_from_other_tokens():
    parameters, (x, memory) = uneven(), tokens()
    other = rng(7).normal(size=memory.shape)
    steps = multi_head_attention(x, parameters, memory, value_memory=other)
    np.testing.assert_array_equal(steps.weights, multi_head_attention(x, parameters, memory).weights)
    np.testing.assert_array_equal(steps.value, multi_head_attention(x, parameters, other).value)
    np.testing.assert_array_equal(steps.context, steps.weights @ np.repeat(steps.value, GROUP, axis=1))


def test_a_gate_by_hand():
    parameters = MultiHeadParameters(
        np.eye(2), np.eye(2), np.eye(2), num_heads=2, w_g=[[0, 0], [0, 0]], b_g=[np.log(3), -np.log(3)]
    )
    steps = multi_head_attention([[8, 4]], parameters)
    np.testing.assert_allclose(steps.gate, [[[0.75]], [[0.25]]])
    np.testing.assert_allclose(steps.context, [[[8]], [[4]]])
    np.testing.assert_allclose(steps.output, [[6, 1]])


def test_a_gate_of_each_head_is_one_of_all_its_numbers():
    parameters, (x, memory) = uneven(), tokens()
    w_g, b_g = rng(8).normal(size=(D_MODEL, HEADS)), rng(9).normal(size=HEADS)
    one, each = (
        multi_head_attention(x, replace(parameters, w_g=w, b_g=b), memory)
        for w, b in ((w_g, b_g), (np.repeat(w_g, D_V, axis=1), np.repeat(b_g, D_V)))
    )
    assert one.gate.shape == (BATCH, HEADS, N_Q, 1)
    np.testing.assert_allclose(one.output, each.output, atol=1e-12)


# An independent implementation agrees


@pytest.mark.parametrize("bias", [True, False])
def test_qwen3_next_agrees_on_its_gate(bias):
    config = Qwen3NextConfig(
        hidden_size=24, num_attention_heads=6, num_key_value_heads=2, head_dim=4, attention_bias=bias
    )
    config._attn_implementation = "eager"
    theirs = Qwen3NextAttention(config, 0).double().eval()
    x = rng(1).normal(size=(1, N_Q, 24))
    still = torch.ones(1, N_Q, 4, dtype=torch.float64), torch.zeros(1, N_Q, 4, dtype=torch.float64)
    with torch.no_grad():
        for parameter in theirs.parameters():
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
        output, _ = theirs(torch.from_numpy(x), still, None)
    given = {}
    for name in "qkvo":
        module = getattr(theirs, f"{name}_proj")
        given[f"w_{name}"] = module.weight.detach().numpy().T
        given[f"b_{name}"] = module.bias.detach().numpy() if bias else None
    for kind in "wb":  # their queries and gates take turns, head by head
        both = given[f"{kind}_q"]
        if both is not None:
            both = both.reshape(*both.shape[:-1], 6, 2, 4)
            given[f"{kind}_q"], given[f"{kind}_g"] = (both[..., i, :].reshape(*both.shape[:-3], 24) for i in (0, 1))
    norms = iter([theirs.q_norm, theirs.k_norm])

    def normed(heads):
        return next(norms)(torch.from_numpy(heads)).detach().numpy()

    steps = multi_head_attention(x, MultiHeadParameters(**given, num_heads=6, num_kv_heads=2), rotate=(normed, normed))
    np.testing.assert_allclose(steps.output, output.numpy(), atol=2e-5)  # their softmax is of float32


def test_torch_agrees_on_keys_and_values_of_their_own_and_on_off_by_one():
    d_values = 13
    parameters = draw_parameters(rng(), 12, 3, d_memory=D_MEMORY, d_value_memory=d_values, bias=True)
    x, memory, values = (rng(i).normal(size=(2, n, d)) for i, n, d in ((1, 5, 12), (2, 7, D_MEMORY), (3, 7, d_values)))
    for options, ours in (({}, {}), ({"add_zero_attn": True}, {"sinks": 0})):
        theirs = torch.nn.MultiheadAttention(
            12, 3, kdim=D_MEMORY, vdim=d_values, batch_first=True, dtype=torch.float64, **options
        )
        _give(theirs, parameters)
        with torch.no_grad():
            output, weights = theirs(*map(torch.from_numpy, (x, memory, values)), average_attn_weights=False)
        steps = multi_head_attention(x, parameters, memory, value_memory=values, **ours)
        np.testing.assert_allclose(steps.weights, weights[..., :7].numpy(), atol=1e-12)
        np.testing.assert_allclose(steps.output, output.numpy(), atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_torch_self_attention_agrees(bias, causal):
    parameters = draw_parameters(rng(), 33, 3, bias=bias)
    x = rng(1).normal(size=(BATCH, N_Q, 33))
    theirs = torch.nn.MultiheadAttention(33, 3, bias=bias, batch_first=True, dtype=torch.float64)
    _give(theirs, parameters)
    mask = torch.from_numpy(~masks.causal(N_Q).visible) if causal else None  # in torch True hides
    x_torch = torch.from_numpy(x)
    with torch.no_grad():
        output, weights = theirs(x_torch, x_torch, x_torch, attn_mask=mask, average_attn_weights=False)
    steps = multi_head_attention(x, parameters, causal=causal)
    np.testing.assert_allclose(steps.weights, weights.numpy(), atol=1e-12)
    np.testing.assert_allclose(steps.output, output.numpy(), atol=1e-12)


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.data())
def test_torch_cross_attention_with_padding_agrees(num_heads, d_k, n_q, n_k, batch, data):
    d_model, d_memory = num_heads * d_k, data.draw(st.integers(1, 6))
    lengths = np.array(data.draw(st.lists(st.integers(1, n_k), min_size=batch, max_size=batch)))
    parameters = draw_parameters(rng(), d_model, num_heads, d_memory=d_memory, bias=True)
    x, memory = rng(1).normal(size=(batch, n_q, d_model)), rng(2).normal(size=(batch, n_k, d_memory))
    theirs = torch.nn.MultiheadAttention(
        d_model, num_heads, kdim=d_memory, vdim=d_memory, batch_first=True, dtype=torch.float64
    )
    _give(theirs, parameters)
    mask = masks.padding(lengths[:, None], n_k)  # (batch, 1, 1, n_k)
    hidden = torch.from_numpy(~mask.visible[:, 0, 0])
    query, key = torch.from_numpy(x), torch.from_numpy(memory)
    with torch.no_grad():
        output, weights = theirs(query, key, key, key_padding_mask=hidden, average_attn_weights=False)
    steps = multi_head_attention(x, parameters, memory, mask)
    np.testing.assert_allclose(steps.weights, weights.numpy(), atol=1e-12)
    np.testing.assert_allclose(steps.output, output.numpy(), atol=1e-12)


def _give(module, parameters):
    """Copy our parameters into torch's module, which keeps matrices transposed."""
    q, k, v = (torch.from_numpy(getattr(parameters, f"w_{role}").T.copy()) for role in "qkv")
    with torch.no_grad():
        if module.in_proj_weight is not None:
            module.in_proj_weight.copy_(torch.cat([q, k, v]))
        else:
            for name, matrix in (("q", q), ("k", k), ("v", v)):
                getattr(module, f"{name}_proj_weight").copy_(matrix)
        module.out_proj.weight.copy_(torch.from_numpy(parameters.w_o.T.copy()))
        if parameters.b_q is not None:
            biases = [torch.from_numpy(getattr(parameters, f"b_{role}")) for role in "qkv"]
            module.in_proj_bias.copy_(torch.cat(biases))
            module.out_proj.bias.copy_(torch.from_numpy(parameters.b_o))


# Number types


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_types_are_kept(dtype):
    parameters = uneven(output_gate=True)
    names = [f"{kind}_{role}" for kind in "wb" for role in "qkvog"]
    arrays = {name: getattr(parameters, name).astype(dtype) for name in names}
    parameters = MultiHeadParameters(**arrays, num_heads=HEADS, num_kv_heads=KV_HEADS)
    steps = multi_head_attention(*_with_memory(parameters, dtype))
    assert {step.dtype for step in steps} == {np.dtype(dtype)}
    assert head_outputs(steps.context, parameters.w_o).dtype == dtype
    exact = multi_head_attention(*_with_memory(uneven(output_gate=True)))
    np.testing.assert_allclose(steps.output, exact.output, atol={np.float16: 2e-2, np.float32: 1e-5}.get(dtype, 0))


def test_whole_numbers_become_float64():
    ones = np.ones((3, 2), int)
    steps = multi_head_attention(np.ones((4, 3), int), MultiHeadParameters(ones, ones, ones, w_g=ones))
    assert {step.dtype for step in steps} == {np.dtype(np.float64)}


# Bad input

A = np.ones
BAD_PARAMETERS = [
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 4)), "num_heads": 4, "num_kv_heads": 3},
        "num_heads must be a multiple of num_kv_heads, both at least 1, got 4 and 3",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 4)), "num_heads": 0},
        "num_heads must be a multiple of num_kv_heads, both at least 1, got 0 and 0",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 4)), "num_heads": 0, "num_kv_heads": 1},
        "num_heads must be a multiple of num_kv_heads, both at least 1, got 0 and 1",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 4)), "num_heads": 2, "num_kv_heads": 0},
        "num_heads must be a multiple of num_kv_heads, both at least 1, got 2 and 0",
    ),
    (
        {"w_q": A((6, 5)), "w_k": A((6, 4)), "w_v": A((6, 4)), "num_heads": 2},
        "w_q must be a matrix whose columns are a multiple of 2 heads, got (6, 5)",
    ),
    (
        {"w_q": A(6), "w_k": A((6, 4)), "w_v": A((6, 4))},
        "w_q must be a matrix whose columns are a multiple of 1 heads, got (6,)",
    ),
    (
        {"w_q": A((6, 0)), "w_k": A((6, 0)), "w_v": A((6, 4))},
        "w_q must be a matrix whose columns are a multiple of 1 heads, got (6, 0)",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 6)), "w_v": A((6, 4)), "num_heads": 2},
        "w_q and w_k must agree in d_k, got (6, 4) and (6, 6)",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 8)), "w_g": A((6, 4)), "num_heads": 2},
        "w_g must have d_model = 6 rows and a column per head or per number of a context, 2 or 8, got (6, 4)",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 4)), "b_g": A(4)},
        "b_g must have one number per column of w_g, got (4,)",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 8)), "w_o": A((4, 6)), "num_heads": 2},
        "w_o must be a matrix of num_heads * d_v = 8 rows, got (4, 6)",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 8)), "w_o": A(8), "num_heads": 2},
        "w_o must be a matrix of num_heads * d_v = 8 rows, got (8,)",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 4)), "b_k": A(3)},
        "b_k must have one number per column of w_k, got (3,)",
    ),
    (
        {"w_q": A((6, 4)), "w_k": A((6, 4)), "w_v": A((6, 4)), "b_o": A(4)},
        "b_o must have one number per column of w_o, got (4,)",
    ),
    (
        {"w_q": [["a"]], "w_k": A((1, 1)), "w_v": A((1, 1))},
        "an array must hold real numbers, got <U1",
    ),
]


@pytest.mark.parametrize(("arrays", "message"), BAD_PARAMETERS)
def test_bad_parameters(arrays, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MultiHeadParameters(**arrays)


BAD_CALLS = [
    (lambda p: multi_head_attention(A((5, 7)), p), "x must have 6 columns to be projected by (6, 4), got (5, 7)"),
    (lambda p: multi_head_attention(A(6), p), "x must have 6 columns to be projected by (6, 4), got (6,)"),
    (
        lambda p: multi_head_attention(A((5, 6)), p, A((5, 7))),
        "memory must have 6 columns to be projected by (6, 4), got (5, 7)",
    ),
    (
        lambda p: multi_head_attention(A((5, 6)), p, value_memory=A((5, 7))),
        "value_memory must have 6 columns to be projected by (6, 4), got (5, 7)",
    ),
    (
        lambda p: multi_head_attention(A((5, 6)), p, value_memory=A((4, 6))),
        "key and value must share n_k, got key (2, 5, 2) and value (2, 4, 2)",
    ),
    (
        lambda p: multi_head_attention(A((2, 5, 6)), p, mask=A((2, 5, 5), bool)),
        "mask must have 2 axes or the 4 of the scores (2, 2, 5, 5), got (2, 5, 5)",
    ),
    (lambda p: multi_head_attention([["a"] * 6], p), "x must hold real numbers, got <U1"),
    (
        lambda p: draw_parameters(rng(), 10, 4),
        "d_model must be a multiple of num_heads, got 10 and 4",
    ),
    (
        lambda p: draw_parameters(rng(), 10, 4, d_k=3),
        "d_model must be a multiple of num_heads, got 10 and 4",
    ),
    (
        lambda p: draw_parameters(rng(), 10, 0),
        "num_heads must be a whole number of at least 1, got 0",
    ),
    (
        lambda p: draw_parameters(rng(), 0, 2),
        "d_model must be a whole number of at least 1, got 0",
    ),
    (
        lambda p: draw_parameters(rng(), 10, 2, num_kv_heads=0),
        "num_kv_heads must be a whole number of at least 1, got 0",
    ),
    (
        lambda p: draw_parameters(rng(), 10, 2, d_k=0),
        "d_k must be a whole number of at least 1, got 0",
    ),
    (
        lambda p: draw_parameters(rng(), 10, 2, d_v=-3),
        "d_v must be a whole number of at least 1, got -3",
    ),
    (
        lambda p: draw_parameters(rng(), 10, 2, d_k=1.5),
        "d_k must be a whole number of at least 1, got 1.5",
    ),
    (
        lambda p: draw_parameters(rng(), 10, 2, d_memory=0),
        "d_memory must be a whole number of at least 1, got 0",
    ),
    (
        lambda p: draw_parameters(rng(), 12, 4, num_kv_heads=3),
        "num_heads must be a multiple of num_kv_heads, both at least 1, got 4 and 3",
    ),
    (
        lambda p: split_heads(A((5, 7)), 2),
        "x must have axes (..., n, width) with a width that is a multiple of num_heads, got (5, 7) and num_heads 2",
    ),
    (
        lambda p: split_heads(A(4), 2),
        "x must have axes (..., n, width) with a width that is a multiple of num_heads, got (4,) and num_heads 2",
    ),
    (
        lambda p: split_heads(A((5, 4)), 0),
        "x must have axes (..., n, width) with a width that is a multiple of num_heads, got (5, 4) and num_heads 0",
    ),
    (lambda p: one_head(p, 2), "head must be a whole number from 0 to 1, got 2"),
    (lambda p: one_head(p, -1), "head must be a whole number from 0 to 1, got -1"),
    (lambda p: merge_heads(A((5, 7))), "x must have axes (..., num_heads, n, d), got (5, 7)"),
    (
        lambda p: head_outputs(A((5, 7)), A((7, 3))),
        "context must have axes (..., num_heads, n_q, d_v), got (5, 7)",
    ),
    (
        lambda p: head_outputs(A((2, 5, 7)), A((7, 3))),
        "w_o must be a matrix of num_heads * d_v = 14 rows, got (7, 3)",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD_CALLS)
def test_bad_calls(call, message):
    parameters = MultiHeadParameters(A((6, 4)), A((6, 4)), A((6, 4)), num_heads=2)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call(parameters)


def test_parameters_are_frozen():
    with pytest.raises(AttributeError):
        uneven().num_heads = 3


# What it costs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("output_projection", [True, False])
@pytest.mark.parametrize("more", [{}, {"output_gate": True, "d_value_memory": 29}])
def test_the_count_is_known_before_anything_is_drawn(bias, output_projection, more):
    options = {"num_kv_heads": KV_HEADS, "d_k": D_K, "d_v": D_V, "d_memory": D_MEMORY}
    options |= {"output_projection": output_projection, "bias": bias} | more
    drawn = draw_parameters(rng(), D_MODEL, HEADS, **options)
    assert cost.attention_parameters(D_MODEL, HEADS, **options) == drawn.count
