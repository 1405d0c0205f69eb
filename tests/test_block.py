"""Blocks of a Transformer and what they are trained with, against numbers by hand, torch, and one another."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from attn import block, cost, multi_head, multi_head_attention
from attn.analysis import sensitivity
from attn.architectures.beam_search import beam_search, length_penalty
from attn.block import FeedForward, Layer, Norm, decoder_block, draw_layer, embed, encoder_block, next_token
from attn.functional import layer_norm
from attn.multi_head import MultiHeadParameters
from attn.positions import sinusoidal
from attn.training_recipe import averaged, cross_entropy, dropout, learning_rate, smoothed_targets, teacher_forcing

BATCH, N_Q, N_K, D_MODEL, HEADS, D_FF = 3, 5, 7, 22, 2, 13


def rng(seed=0):
    return np.random.default_rng(seed)


def written(dtype=np.float64):
    return rng(1).normal(size=(BATCH, N_Q, D_MODEL)).astype(dtype)


def read(dtype=np.float64):
    return rng(2).normal(size=(BATCH, N_K, D_MODEL)).astype(dtype)


def drawn(seed=3, **options):
    return draw_layer(rng(seed), D_MODEL, HEADS, D_FF, **options)


def torch_layer(kind, pre_norm):
    """Return a layer of torch whose norms have been trained away from 1 and 0."""
    torch.manual_seed(5)
    module = getattr(torch.nn, kind)(
        D_MODEL, HEADS, D_FF, dropout=0, batch_first=True, norm_first=pre_norm, dtype=torch.float64
    )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return module.eval()


def ported(module):
    """Return the weights of a layer of torch as ours."""
    weights = {name: tensor.detach().numpy() for name, tensor in module.named_parameters()}

    def attention(name):
        w, b = (np.split(weights[f"{name}.in_proj_{kind}"], 3) for kind in ("weight", "bias"))
        out = weights[f"{name}.out_proj.weight"].T, weights[f"{name}.out_proj.bias"]
        return MultiHeadParameters(*(one.T for one in w), out[0], *b, out[1], num_heads=HEADS)

    def norm(name):
        return Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])

    feed = FeedForward(*(weights[f"linear{at}.{kind}"].T for at in (1, 2) for kind in ("weight", "bias")))
    if "norm3.weight" not in weights:
        return Layer(attention("self_attn"), norm("norm1"), feed, norm("norm2"))
    return Layer(attention("self_attn"), norm("norm1"), feed, norm("norm3"), attention("multihead_attn"), norm("norm2"))


# Values by hand


def test_layer_norm_by_hand():
    assert_allclose(
        layer_norm(np.array([1.0, 2, 3, 4]), 1.0, 0.0), [-1.341635, -0.447212, 0.447212, 1.341635], atol=5e-7
    )


def test_feed_forward_by_hand():
    weights = FeedForward(
        np.array([[1.0, -1], [0, 2]]), np.array([0.0, 1]), np.array([[1.0, 0], [3, 1]]), np.array([0, 5])
    )
    steps = block.feed_forward([[2, 1], [-4, 0]], weights)
    assert_array_equal(steps.hidden, [[2, 1], [0, 5]])
    assert_array_equal(steps.output, [[5, 6], [15, 10]])


def test_the_paper_s_widths_train_as_many_numbers_as_it_says():
    layer = draw_layer(rng(), 512, 8, 2048, cross=True)
    assert block.parameter_count(layer.feed_forward) == 2_099_712
    assert block.parameter_count(layer.attention) == 1_048_576
    encoder = layer._replace(cross=None, cross_norm=None)
    blocks = 6 * (block.parameter_count(encoder) + block.parameter_count(layer))
    assert blocks + 37_000 * 512 == cost.transformer_parameters() == 63_045_632
    with_bias = multi_head.draw_parameters(rng(), 768, 12)
    assert with_bias.count + 768 == 2_360_064  # GPT-2 small, with a bias on the output projection


@pytest.mark.parametrize("heads", [1, 2, 4, 8, 16, 32])
def test_the_number_of_heads_costs_nothing(heads):
    assert block.parameter_count(draw_layer(rng(), 512, heads, 1).attention) == 1_048_576


def test_embeddings_are_enlarged_by_the_root_of_their_width():
    table = rng().normal(size=(3, 512))
    scaled, plain = (embed([2, 0], table, scaled=scaled) - sinusoidal(2, 512) for scaled in (True, False))
    assert_allclose(plain, table[[2, 0]], atol=1e-14)
    assert_allclose(scaled / plain, 22.627417, rtol=1e-6)


def test_the_learning_rate_of_the_paper():
    steps = {1: 1.74693e-07, 1000: 0.000174693, 4000: 0.000698771, 16000: 0.000349386, 100_000: 0.000139754}
    assert_allclose(learning_rate(list(steps)), list(steps.values()), rtol=3e-6)
    every = learning_rate(np.arange(1, 20_001), 128, 700)
    assert every.argmax() + 1 == 700
    assert_allclose(every[:700] / every[0], np.arange(1, 701))
    assert_allclose(learning_rate(50, 1024) * 2, learning_rate(50, 256))


def test_label_smoothing_of_the_paper():
    targets = smoothed_targets(0, 5, 0.1)
    assert_allclose(targets, [0.92, 0.02, 0.02, 0.02, 0.02])
    assert cross_entropy(targets, targets) == pytest.approx(0.389673, abs=5e-7)
    assert_array_equal(smoothed_targets([[1], [2]], 3, 0), [[[0, 1, 0]], [[0, 0, 1]]])
    assert cross_entropy([0, 1], [1, 0]) == math.inf


def test_the_length_penalty_by_hand():
    assert_allclose(length_penalty([1, 7, 25], 1), [1, 2, 5])
    assert_allclose(length_penalty([7, 25]), [2**0.6, 5**0.6])
    assert_array_equal(length_penalty([1, 99], 0), [1, 1])


def test_targets_are_read_one_place_later():
    assert teacher_forcing("abc", "<", ">") == (("<", "a", "b", "c"), ("a", "b", "c", ">"))
    assert teacher_forcing([], 0, 1) == ((0,), (1,))


def test_checkpoints_averaged():
    mean = averaged([{"w": [[1, 2]], "b": 3}, {"w": [[5, 0]], "b": 4}])
    assert_array_equal(mean["w"], [[3, 1]])
    assert mean["b"] == 3.5


# Properties


def test_the_feed_forward_network_works_on_each_token_by_itself():
    layer, x = drawn(), written()[0]
    moved = sensitivity.moved_rows(lambda x: block.feed_forward(x, layer.feed_forward).output, x, 3)
    assert moved[3] > 0.1
    assert_array_equal(np.delete(moved, 3), 0)
    by_itself = [block.feed_forward(row, layer.feed_forward).output for row in x]
    assert_allclose(block.feed_forward(x, layer.feed_forward).output, by_itself, atol=1e-14)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_every_step_of_a_block_is_the_sum_it_says(pre_norm):
    layer, x = drawn(), written()
    steps = encoder_block(x, layer, pre_norm=pre_norm)
    one, two = steps.after_attention, steps.after_feed_forward
    for step, norm in ((one, layer.attention_norm), (two, layer.feed_forward_norm)):
        assert_array_equal(step.added, step.x + step.made)
        assert_array_equal(step.read, layer_norm(step.x, *norm) if pre_norm else step.x)
        assert_array_equal(step.output, step.added if pre_norm else layer_norm(step.added, *norm))
    assert_array_equal(one.x, x)
    assert_array_equal(one.made, multi_head_attention(one.read, layer.attention).output)
    assert_array_equal(two.x, one.output)
    assert_array_equal(two.made, block.feed_forward(two.read, layer.feed_forward).output)
    assert_array_equal(steps.output, two.output)


def test_post_norm_leaves_every_vector_as_long_as_the_root_of_its_width():
    length = np.linalg.norm(encoder_block(written(), drawn()).output, axis=-1)
    assert_allclose(length, math.sqrt(D_MODEL), rtol=1e-4)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_a_target_moves_nothing_that_is_predicted_before_it(pre_norm):
    layers, memory, x = [drawn(seed, cross=True) for seed in (1, 2)], read()[0], written()[0]
    for target in range(1, N_Q):
        moved = sensitivity.moved_rows(lambda x: block.decoder(x, memory, layers, pre_norm=pre_norm).output, x, target)
        assert_array_equal(moved[:target], 0)
        assert moved[target:].min() > 0
    assert sensitivity.moved_rows(lambda x: block.decoder(x, memory, layers, causal=False).output, x, 4)[0] > 0


def test_the_decoder_reads_its_memory_and_only_what_the_mask_lets_through():
    layer, x, memory = drawn(cross=True), written()[0], read()[0]
    mask = np.ones((N_Q, N_K), dtype=bool)
    mask[:, 2] = False
    seen, hidden = (
        sensitivity.moved_rows(lambda m, mask=mask: decoder_block(x, m, layer, memory_mask=mask).output, memory, 2)
        for mask in (None, mask)
    )
    assert seen.min() > 0
    assert_array_equal(hidden, 0)


@given(p=st.floats(0, 0.95), seed=st.integers(0, 99))
def test_dropout_drops_or_enlarges(p, seed):
    x = rng().normal(size=(7, 11))
    kept = dropout(x, p, rng(seed))
    assert (np.isclose(kept, x / (1 - p)) | (kept == 0)).all()


def test_dropout_keeps_the_mean_and_not_the_row_sums():
    weights = np.full((2, 5), 0.2)
    rolls = np.stack([dropout(weights, 0.5, rng(seed)) for seed in range(4000)])
    assert_allclose(rolls.mean(axis=0), weights, atol=0.012)
    assert_allclose((rolls == 0).mean(), 0.5, atol=0.01)
    assert set(np.unique(rolls)) == {0.0, 0.4}
    assert np.ptp(rolls.sum(axis=-1)) == pytest.approx(2.0)
    assert_array_equal(dropout(weights, 0, None), weights)


def test_residual_dropout_drops_what_is_made_and_not_what_came_in():
    x, layer = written(), drawn()
    plain, steps = encoder_block(x, layer), encoder_block(x, layer, dropout=0.5, rng=rng())
    made = steps.after_attention.made
    assert_array_equal(made[made != 0], 2 * plain.after_attention.made[made != 0])
    assert 0.3 < (made == 0).mean() < 0.7
    assert_array_equal(steps.after_attention.added, x + made)
    again = encoder_block(x, layer, dropout=0.5, rng=rng())
    assert_array_equal(again.output, steps.output)


def test_smoothed_targets_sum_to_1_and_cost_least_when_predicted():
    targets = smoothed_targets([0, 3], 7, 0.3)
    assert_allclose(targets.sum(axis=-1), 1)
    others = rng().dirichlet(np.ones(7), size=(200, 1))
    assert (cross_entropy(targets, others) >= cross_entropy(targets, targets)).all()


def test_one_table_embeds_and_predicts():
    table = rng().normal(size=(11, D_MODEL))
    probabilities = next_token(10 * table[[4, 7]], table)
    assert_allclose(probabilities.sum(axis=-1), 1)
    assert_array_equal(probabilities.argmax(axis=-1), [4, 7])


# Independent implementations


def test_layer_norm_is_torch_s():
    module = torch.nn.LayerNorm(D_MODEL, dtype=torch.float64)
    with torch.no_grad():
        module.weight.normal_()
        module.bias.normal_()
    theirs = module(torch.tensor(written())).detach().numpy()
    assert_allclose(layer_norm(written(), module.weight.detach().numpy(), module.bias.detach().numpy()), theirs)


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_an_encoder_block_is_torch_s(pre_norm, masked):
    module = torch_layer("TransformerEncoderLayer", pre_norm)
    mask = rng(9).random((N_K, N_K)) < 0.6
    mask |= np.eye(N_K, dtype=bool)
    hidden = torch.tensor(~mask) if masked else None
    theirs = module(torch.tensor(read()), src_mask=hidden).detach().numpy()
    ours = encoder_block(read(), ported(module), mask if masked else None, pre_norm=pre_norm)
    assert_allclose(ours.output, theirs, atol=1e-12)


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_a_decoder_block_is_torch_s(pre_norm, causal):
    module = torch_layer("TransformerDecoderLayer", pre_norm)
    seen = rng(9).random((N_Q, N_K)) < 0.6
    seen[:, 1] = True
    later = torch.tensor(~np.tri(N_Q, dtype=bool)) if causal else None
    tensors = torch.tensor(written()), torch.tensor(read())
    theirs = module(*tensors, tgt_mask=later, memory_mask=torch.tensor(~seen)).detach().numpy()
    ours = decoder_block(written(), read(), ported(module), memory_mask=seen, causal=causal, pre_norm=pre_norm)
    assert_allclose(ours.output, theirs, atol=1e-12)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("pre_norm", [False, True])
def test_stacks_are_torch_s(pre_norm):
    norm = torch.nn.LayerNorm(D_MODEL, dtype=torch.float64)
    last = Norm(norm.weight.detach().numpy(), norm.bias.detach().numpy())
    reader = torch.nn.TransformerEncoder(torch_layer("TransformerEncoderLayer", pre_norm), 3, norm=norm).eval()
    writer = torch.nn.TransformerDecoder(torch_layer("TransformerDecoderLayer", pre_norm), 2, norm=norm).eval()
    memory = reader(torch.tensor(read()))
    theirs = writer(torch.tensor(written()), memory, tgt_is_causal=True, tgt_mask=~torch.ones(N_Q, N_Q).tril().bool())
    encoder = block.encoder(read(), map(ported, reader.layers), norm=last, pre_norm=pre_norm)
    decoder = block.decoder(written(), encoder.output, map(ported, writer.layers), norm=last, pre_norm=pre_norm)
    assert_allclose(encoder.output, memory.detach().numpy(), atol=1e-12)
    assert_allclose(decoder.output, theirs.detach().numpy(), atol=1e-12)
    assert (len(encoder.blocks), len(decoder.blocks)) == (3, 2)


def test_the_loss_is_torch_s():
    logits, right = rng().normal(size=(N_Q, 11)), np.array([3, 0, 10, 3, 7])
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(logits), torch.tensor(right), label_smoothing=0.2, reduction="none"
    )
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    assert_allclose(cross_entropy(smoothed_targets(right, 11, 0.2), probabilities), theirs.numpy(), rtol=1e-12)


def test_gradient_times_input_is_torch_s():
    module = torch_layer("TransformerEncoderLayer", False)
    x, direction = read()[0], rng().normal(size=D_MODEL)
    tensor = torch.tensor(x, requires_grad=True)
    (module(tensor[None])[0, 4] @ torch.tensor(direction)).backward()
    theirs = (tensor * tensor.grad).sum(dim=-1).detach().numpy()
    layer = ported(module)
    ours = sensitivity.gradient_times_input(lambda x: encoder_block(x, layer).output[4] @ direction, x)
    assert_allclose(ours, theirs, atol=1e-8)
    assert np.abs(theirs).min() > 1e-3


def test_rank_agreement_by_hand():
    assert sensitivity.rank_agreement([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) == pytest.approx(0.8207826816681233)
    assert sensitivity.rank_agreement([3, 1, 2], [30, 10, 20]) == 1
    assert math.isnan(sensitivity.rank_agreement([1, 1], [1, 2]))


def random_walk(symbols=4, longest=4, seed=0):
    """Return log probabilities that depend on the whole beginning, and every sequence that ends in time."""
    tables = {}

    def following(beginning):
        if beginning not in tables:
            tables[beginning] = np.log(rng([seed, *beginning]).dirichlet(np.ones(symbols)))
        return tables[beginning]

    end, ends = symbols - 1, []
    for length in range(longest):
        for beginning in itertools.product(range(end), repeat=length):
            steps = [following(beginning[:at])[symbol] for at, symbol in enumerate((*beginning, end))]
            ends.append((beginning, sum(steps)))
    return following, end, ends


@pytest.mark.parametrize("alpha", [0, 0.6, 2])
def test_a_beam_that_is_wide_enough_finds_the_best_of_all(alpha):
    following, end, ends = random_walk()
    best = max(ends, key=lambda one: one[1] / length_penalty(len(one[0]) + 1, alpha))
    found = beam_search(following, end, beam=200, alpha=alpha, longest=4)
    assert found[0].symbols == best[0]
    assert found[0].log_probability == pytest.approx(best[1])
    assert sorted(one.symbols for one in found) == sorted(symbols for symbols, _ in ends)


def test_a_beam_of_1_always_takes_the_likeliest_symbol():
    for seed in range(20):
        following, end, _ = random_walk(longest=0, seed=seed)
        symbols = ()
        while len(symbols) < 50 and (symbol := int(following(symbols).argmax())) != end:
            symbols = (*symbols, symbol)
        found = beam_search(following, end, beam=1, longest=51)
        assert [one.symbols for one in found] == [symbols]


def test_a_wider_beam_finds_what_greed_misses():
    """0 is the end; 1 begins better and goes on worse than 2."""
    shares = {(): [0, 0.6, 0.4], (1,): [0.4, 0.3, 0.3], (2,): [1, 0, 0]}

    def following(symbols):
        with np.errstate(divide="ignore"):
            return np.log(shares.get(symbols, [1, 0, 0]))

    greedy, wide = (beam_search(following, 0, beam=beam, alpha=0)[0] for beam in (1, 2))
    assert (greedy.symbols, math.exp(greedy.log_probability)) == ((1,), pytest.approx(0.24))
    assert (wide.symbols, math.exp(wide.log_probability)) == ((2,), pytest.approx(0.4))


def test_the_penalty_lets_a_longer_sequence_win():
    logs = {
        (): [-1.0, -1.2, -np.inf],
        (0,): [-np.inf, -np.inf, 0.0],
        (1,): [-np.inf, -0.1, -9.0],
        (1, 1): [-9.0, -9.0, 0],
    }
    following = lambda symbols: np.array(logs.get(symbols, [-np.inf, -np.inf, 0.0]))  # noqa: E731
    assert beam_search(following, 2, alpha=0)[0].symbols == (0,)
    assert beam_search(following, 2, alpha=2)[0].symbols == (1, 1)


# Types


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_type_of_the_numbers_is_kept(dtype):
    layer = drawn(cross=True)
    layer = Layer(*(_as(part, dtype) for part in layer))
    steps = decoder_block(written(dtype), read(dtype), layer)
    for part in (steps.attention, steps.after_attention, steps.cross, steps.after_cross, steps.feed_forward):
        assert {array.dtype for array in part if array is not None} == {np.dtype(dtype)}
    assert steps.output.dtype == dtype
    assert dropout(written(dtype), 0.5, rng()).dtype == dtype
    assert embed([0, 1], written(dtype)[0]).dtype == dtype
    assert next_token(written(dtype)[0], written(dtype)[1]).dtype == dtype


def _as(part, dtype):
    """Return weights in another type."""
    if isinstance(part, MultiHeadParameters):
        arrays = {f"w_{role}": getattr(part, f"w_{role}").astype(dtype) for role in "qkvo"}
        return MultiHeadParameters(**arrays, num_heads=part.num_heads)
    return type(part)(*(array.astype(dtype) for array in part))


def test_whole_numbers_become_floats():
    assert encoder_block(np.eye(D_MODEL, dtype=int), drawn()).output.dtype == np.float64


# Bad inputs


def narrow(*_):
    return block.Fed(None, np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encoder_block(np.ones((2, 5)), drawn()), "x must be (..., n, 22) to fit the layer, got (2, 5)"),
        (lambda: encoder_block(np.ones(22), drawn()), "x must be (..., n, 22) to fit the layer, got (22,)"),
        (
            lambda: decoder_block(np.ones((2, 22)), np.ones((2, 22)), drawn()),
            "the layer of a decoder must have cross-attention and its norm, got none",
        ),
        (
            lambda: decoder_block(np.ones((2, 22)), np.ones((2, 4)), drawn(cross=True)),
            "memory must be (..., n, 22) to fit the layer, got (2, 4)",
        ),
        (
            lambda: block.feed_forward(np.ones((2, 5)), drawn().feed_forward),
            "x, w_1 and w_2 must fit one another, got (2, 5), (22, 13) and (13, 22)",
        ),
        (
            lambda: block.residual(np.ones((2, 4)), narrow, Norm(np.ones(4), np.zeros(4))),
            "a sublayer must return the shape it is added to, got (2, 3) for (2, 4)",
        ),
        (lambda: draw_layer(rng(), 8, 2, 0), "d_ff must be a whole number of at least 1, got 0"),
        (lambda: draw_layer(rng(), 8, 2, 4.5), "d_ff must be a whole number of at least 1, got 4.5"),
        (lambda: draw_layer(rng(), 8, 3, 4), "d_model must be a multiple of num_heads, got 8 and 3"),
        (lambda: embed([3], np.ones((3, 4))), "ids must be rows of the table, from 0 to 2, got [3]"),
        (lambda: embed([0.0], np.ones((3, 4))), "ids must be rows of the table, from 0 to 2, got [0.0]"),
        (lambda: embed(0, np.ones((3, 4))), "ids must be a row and table a matrix, got () and (3, 4)"),
        (
            lambda: next_token(np.ones((2, 5)), np.ones((3, 4))),
            "output and table must share d_model, got (2, 5) and (3, 4)",
        ),
        (lambda: dropout([1.0], 1, rng()), "p must be at least 0 and below 1, got 1"),
        (lambda: dropout([1.0], 0.5, None), "rng must be a numpy.random.Generator where p is above 0, got None"),
        (lambda: learning_rate([0, 4]), "step must be counted from 1, got 0.0"),
        (lambda: learning_rate(1, warmup=0), "warmup must be a whole number of at least 1, got 0"),
        (lambda: smoothed_targets(5, 5), "target must hold classes from 0 to 4, got 5"),
        (lambda: smoothed_targets(1, 5, 1.5), "epsilon must be from 0 to 1, got 1.5"),
        (lambda: averaged([]), "there must be checkpoints of the same names and shapes, got []"),
        (
            lambda: averaged([{"w": [1]}, {"w": 2}]),
            "there must be checkpoints of the same names and shapes, got [{'w': (1,)}, {'w': ()}]",
        ),
        (lambda: length_penalty(-1), "length must be at least 0, got -1.0"),
        (lambda: beam_search(None, 0, beam=0), "beam must be a whole number of at least 1, got 0"),
        (lambda: sensitivity.gradient_times_input(None, [1.0]), "x must be (n, d_model), got (1,)"),
        (lambda: sensitivity.moved_rows(None, [[1.0]], 1), "token must be a whole number from 0 to 0, got 1"),
        (
            lambda: sensitivity.rank_agreement([1, 2], [1]),
            "one and other must be rows of equal length, got (2,) and (1,)",
        ),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_arguments_are_left_alone():
    x, layer = written(), drawn()
    encoder_block(x, layer, dropout=0.5, rng=rng())
    sensitivity.gradient_times_input(lambda x: x.sum(), x[0])
    sensitivity.moved_rows(lambda x: x, x[0], 1)
    assert_array_equal(x, written())
    assert_array_equal(layer.feed_forward.w_1, drawn().feed_forward.w_1)
    checkpoint = {"w": np.ones(3)}
    averaged([checkpoint, {"w": np.zeros(3)}])
    assert_array_equal(checkpoint["w"], 1)
