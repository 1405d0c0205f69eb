"""Published worked examples, number by number: Raschka's article and the third chapter of his book."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from attn import MultiHeadParameters, mask_routes, masks, multi_head_attention, scaled_dot_product_attention
from attn.data import examples

DATA = Path(__file__).parent / "data"
ARTICLE = json.loads((DATA / "worked_example.json").read_text())
BOOK = json.loads((DATA / "worked_example_2.json").read_text())
CAUSAL = masks.causal(6).visible


def close(actual, expected, atol=2e-6):
    expected = np.array(expected, dtype=float)
    assert np.shape(actual) == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def exact(actual, expected):
    """Equal in every bit of float32."""
    np.testing.assert_array_equal(np.float32(actual), np.float32(expected))


def differs(actual, expected):
    """A wrong variant must not pass for the right one."""
    assert np.abs(np.asarray(actual) - np.array(expected)).max() > 0.01


def attend(example, memory=None, **options):
    memory = example.x if memory is None else memory
    return scaled_dot_product_attention(example.x @ example.w_q, memory @ example.w_k, memory @ example.w_v, **options)


# The article


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("part", "d_v"), [("A", 4), ("C", 1), ("E", 4)])
def test_every_matrix_of_one_head(part, d_v, dtype):
    numbers = ARTICLE[part]
    example = examples.worked_example(d_v)
    x, w_q, w_k, w_v = (array.astype(dtype) for array in (example.x, example.w_q, example.w_k, example.w_v))
    memory = x if part != "E" else examples.worked_example_memory().astype(dtype)
    if part == "E":
        exact(memory, numbers["memory"])
    close(x, ARTICLE["x"])
    for array, name in ((w_q, "w_q"), (w_k, "w_k"), (w_v, "w_v")):
        exact(array, numbers[name])
    query, key, value = x @ w_q, memory @ w_k, memory @ w_v
    attention = scaled_dot_product_attention(query, key, value)
    steps = {"query": query, "key": key, "value": value, "products": query @ key.T, **attention._asdict()}
    for name in ("query", "key", "value", "products", "scores", "weights", "context"):
        close(steps[name], numbers[name])
    close(scaled_dot_product_attention(query, key, value, scale=1).scores, numbers["products"])
    assert attention.context.dtype == dtype


def test_every_matrix_of_four_heads():
    steps = multi_head_attention(examples.worked_example().x, examples.worked_example_heads())
    parameters = examples.worked_example_heads()
    for head, numbers in enumerate(ARTICLE["D"]["heads"]):
        exact(parameters.w_q[:, 2 * head : 2 * head + 2], numbers["w_q"])
        exact(parameters.w_k[:, 2 * head : 2 * head + 2], numbers["w_k"])
        exact(parameters.w_v[:, head : head + 1], numbers["w_v"])
        for name in ("query", "key", "value", "scores", "weights", "context"):
            close(getattr(steps, name)[head], numbers[name])
    close(steps.concat, ARTICLE["D"]["concat"])
    close(steps.output, ARTICLE["D"]["concat"])
    assert steps.output.dtype == np.float32
    assert parameters.count == 60


def test_parts_that_share_their_draws():
    one, wide = attend(examples.worked_example(1)), attend(examples.worked_example(4))
    heads = multi_head_attention(examples.worked_example().x, examples.worked_example_heads())
    np.testing.assert_array_equal(one.weights, wide.weights)
    np.testing.assert_allclose(heads.output[:, :1], one.context, atol=1e-7)
    differs(wide.context[:, :1], one.context)


def test_the_printed_numbers():
    close(attend(examples.worked_example(4)).context, ARTICLE["printed"]["context_A"], atol=6e-5)
    close(attend(examples.worked_example(1)).context, ARTICLE["printed"]["context_C"], atol=6e-5)
    memory = examples.worked_example_memory()
    close(attend(examples.worked_example(4), memory).context, ARTICLE["printed"]["cross_context_E"], atol=6e-5)
    heads = multi_head_attention(examples.worked_example().x, examples.worked_example_heads())
    close(heads.output, ARTICLE["printed"]["context_D"], atol=6e-5)


def test_both_routes_of_the_causal_mask():
    example, (before, after) = examples.worked_example(), (ARTICLE["B"]["before"], ARTICLE["B"]["after"])
    scores, value = attend(example).scores, example.x @ example.w_v
    close(attend(example, scale=1, causal=True).masked_scores, before["masked_scores"])
    for routed in (attend(example, causal=True), mask_routes.before(scores, value, CAUSAL)):
        close(routed.weights, before["weights"])
        close(routed.context, before["context"])
    zeroed = mask_routes.not_renormalised(scores, value, CAUSAL).weights
    close(zeroed, after["zeroed"])
    close(zeroed.sum(axis=1), after["row_sums_before_renormalising"])
    routed = mask_routes.after(scores, value, CAUSAL)
    close(routed.weights, after["renormalised"])
    close(routed.context, after["context"])
    close(mask_routes.minus_1e9_added(scores, value, CAUSAL).weights, ARTICLE["B"]["minus_1e9_added"])


def test_what_causal_rows_mean():
    example = examples.worked_example()
    causal, free = attend(example, causal=True), attend(example)
    np.testing.assert_allclose(causal.context[0], (example.x @ example.w_v)[0], atol=1e-7)
    np.testing.assert_array_equal(causal.weights[-1], free.weights[-1])
    assert np.count_nonzero(causal.weights) == 21


@pytest.mark.parametrize("name", ["not_renormalised", "zeroed_scores"])
def test_look_alikes_of_the_mask(name):
    example, numbers = examples.worked_example(), ARTICLE["wrong"][name]
    routed = mask_routes.ROUTES[name].attend(attend(example).scores, example.x @ example.w_v, CAUSAL)
    close(routed.weights, numbers["weights"])
    close(routed.context, numbers["context"])
    differs(attend(example, causal=True).context, numbers["context"])


def test_more_look_alikes():
    example, wrong = examples.worked_example(), ARTICLE["wrong"]
    scores, value = attend(example).scores, example.x @ example.w_v
    close(mask_routes.self_hidden(scores, value, CAUSAL).weights, wrong["self_hidden"])
    close(mask_routes.zeroed_context(scores, value, CAUSAL).context, wrong["zeroed_context"])
    columns = mask_routes.wrong_axis(scores, value, np.ones((6, 6), bool)).weights
    close(columns, wrong["wrong_axis"]["weights"])
    close(columns.sum(axis=1), wrong["wrong_axis"]["row_sums"])
    for lookalike in (wrong["wrong_axis"]["weights"][1], wrong["key_query"]):
        differs(attend(example).weights[1], lookalike)


@pytest.mark.parametrize(
    ("name", "divisor"), [("none", 1), ("d_k", 2), ("sqrt_d_model", math.sqrt(3)), ("sqrt_n", math.sqrt(6))]
)
def test_wrong_divisors(name, divisor):
    weights, context = ARTICLE["wrong"]["scale"][name]
    wrong, right = attend(examples.worked_example(), scale=1 / divisor), attend(examples.worked_example())
    close(wrong.weights[1], weights)
    close(wrong.context[1], context)
    differs(right.weights[1], weights)
    differs(right.context[1], context)


def test_queries_and_keys_swapped():
    example = examples.worked_example()
    swapped = scaled_dot_product_attention(example.x @ example.w_k, example.x @ example.w_q, example.x)
    close(swapped.weights[1], ARTICLE["wrong"]["key_query"])


# The book


def test_attention_without_weights():
    numbers = BOOK["no_weights"]
    x = np.array(numbers["inputs"])
    close(examples.journey_example().x, x, atol=1e-7)
    attention = scaled_dot_product_attention(x, x, x, scale=1)
    for name in ("scores", "weights", "context"):
        close(getattr(attention, name), numbers[name])
    plain = attention.scores[1] / attention.scores[1].sum()
    close(plain, numbers["sum_normalised_row_2"])
    differs(attention.weights[1], plain)


def test_the_journey_with_weights():
    example, numbers = examples.journey_example(), BOOK["self_attention"]
    for array, name in ((example.w_q, "W_query"), (example.w_k, "W_key"), (example.w_v, "W_value")):
        close(array, numbers[name])
    query, key, value = example.x @ example.w_q, example.x @ example.w_k, example.x @ example.w_v
    close(query, numbers["queries"])
    close(key, numbers["keys"])
    close(value, numbers["values"])
    close(query @ key.T, numbers["scores"])
    attention = scaled_dot_product_attention(query, key, value)
    close(attention.weights, numbers["weights"])
    close(attention.context, numbers["context"])
    np.testing.assert_array_equal(example.w_q, examples.worked_example().w_q)


def journey(numbers, **options):
    """The journey's tokens through one head whose matrices are given."""
    arrays = [np.array(numbers[name]) for name in ("W_query", "W_key", "W_value")]
    return multi_head_attention(examples.journey_example().x, MultiHeadParameters(*arrays), **options)


def test_linear_projections_and_both_routes():
    numbers = BOOK["linear"]
    free, causal = journey(numbers), journey(numbers, causal=True)
    products = journey(numbers, scale=1, causal=True)
    close(products.scores[0], numbers["scores"], atol=4e-6)  # from matrices of six digits
    close(free.weights[0], numbers["weights"])
    close(free.output, numbers["context_unmasked"])
    close(products.masked_scores[0], numbers["masked_scores"], atol=4e-6)
    close(causal.weights[0], numbers["causal_weights"])
    close(causal.output, numbers["causal_context"])
    routed = mask_routes.not_renormalised(free.scores[0], free.value[0], CAUSAL)
    close(routed.weights, numbers["zeroed"])
    close(routed.weights.sum(axis=1), numbers["zeroed_row_sums"])
    close(mask_routes.after(free.scores[0], free.value[0], CAUSAL).weights, numbers["renormalised"])


def test_causal_heads_beside_each_other():
    close(journey(BOOK["causal"], causal=True).output, BOOK["causal"]["context"])
    close(journey(BOOK["causal"]).output, BOOK["unmasked"]["context"])
    heads = BOOK["two_heads"]["heads"]
    arrays = [np.hstack([head[name] for head in heads]) for name in ("W_query", "W_key", "W_value")]
    steps = multi_head_attention(examples.journey_example().x, MultiHeadParameters(*arrays, num_heads=2), causal=True)
    close(steps.output, BOOK["two_heads"]["context"])
    for head, numbers in enumerate(heads):
        close(steps.context[head], numbers["context"])


def test_heads_of_width_one_with_an_output_projection():
    numbers = BOOK["output_projection"]
    arrays = [np.array(numbers[name]) for name in ("W_query", "W_key", "W_value", "W_out")]
    parameters = MultiHeadParameters(*arrays, b_o=numbers["b_out"], num_heads=2)
    steps = multi_head_attention(examples.journey_example().x, parameters, causal=True)
    close(steps.weights, numbers["weights_per_head"])
    close(steps.output, numbers["context"])


def test_a_printed_answer_that_took_the_wrong_axis():
    """Two heads of width 1, their weights the same 18 draws: the answer printed in the book sums over queries."""
    draws = np.concatenate([np.ravel(BOOK["causal"][name], "F") for name in ("W_query", "W_key", "W_value")])
    heads = draws.reshape(2, 3, 3)  # (head, role, d_model)
    parameters = MultiHeadParameters(*(heads[:, role].T for role in range(3)), num_heads=2)
    steps = multi_head_attention(examples.journey_example().x, parameters, causal=True)
    close(steps.output, BOOK["width_1"]["context"])
    wrong = mask_routes.wrong_axis(steps.scores, steps.value, CAUSAL).context  # (2, 6, 1)
    close(wrong[..., 0].T, BOOK["width_1"]["wrong_axis_context"], atol=4e-6)
    differs(steps.output, BOOK["width_1"]["wrong_axis_context"])


def test_products_per_head():
    a = np.array(BOOK["head_products"]["a"])
    close(scaled_dot_product_attention(a, a, a, scale=1).scores, BOOK["head_products"]["result"])


@pytest.mark.parametrize("case", BOOK["dictionary"]["cases"])
def test_a_dictionary_that_answers_softly(case):
    attention = scaled_dot_product_attention([case["q"]], BOOK["dictionary"]["key"], BOOK["dictionary"]["value"])
    close(attention.weights, [case["weights"]])
    close(attention.context, [case["output"]])


def test_padding_over_equal_keys_is_a_plain_mean():
    value = np.arange(40).reshape(10, 4)
    batch = np.ones((2, 1, 2)), np.ones((2, 10, 2)), np.stack([value, value])
    context = scaled_dot_product_attention(*batch, masks.padding([2, 6], 10)).context
    np.testing.assert_allclose(context, [[[2, 3, 4, 5]], [[10, 11, 12, 13]]])


def test_whole_numbers_by_hand():
    numbers = BOOK["integers"]
    x, w_q, w_k, w_v = (np.array(numbers[name], int) for name in ("x", "W_query", "W_key", "W_value"))
    steps = multi_head_attention(x, MultiHeadParameters(w_q, w_k, w_v), scale=1)
    np.testing.assert_array_equal(steps.query[0], numbers["queries"])
    np.testing.assert_array_equal(steps.key[0], numbers["keys"])
    np.testing.assert_array_equal(steps.value[0], numbers["values"])
    np.testing.assert_array_equal(steps.scores[0], numbers["scores"])
    close(steps.weights[0], numbers["weights"])
    close(steps.output, numbers["context"])
    scaled = multi_head_attention(x, MultiHeadParameters(w_q, w_k, w_v))
    close(scaled.weights[0], numbers["weights_scaled_sqrt3"])
    close(scaled.output, numbers["context_scaled"])


def test_thinking_machines():
    """The Illustrated Transformer: scores 112 and 96, divided by 8."""
    query = np.zeros((1, 64))
    query[0, 0] = 1
    key = np.zeros((2, 64))
    key[:, 0] = 112, 96
    attention = scaled_dot_product_attention(query, key, np.eye(2))
    np.testing.assert_array_equal(attention.scores, [[14, 12]])
    close(attention.weights, [[0.880797, 0.119203]])
    unscaled = scaled_dot_product_attention(query, key, np.eye(2), scale=1)
    np.testing.assert_allclose(unscaled.weights[0, 1], 1.12535162e-07)
