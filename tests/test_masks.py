import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import slow_visible

from attn import masks, softmax
from attn.masks import Mask

LENGTHS = st.integers(0, 7)
OFFSETS = st.none() | st.integers(-4, 9)
SIDES = st.none() | st.integers(0, 5)


def shown(mask):
    return ["".join("#" if cell else "." for cell in row) for row in mask.visible]


# Values by hand


@pytest.mark.parametrize(
    ("mask", "rows"),
    [
        (masks.everything(2, 3), ["###", "###"]),
        (masks.causal(3), ["#..", "##.", "###"]),
        (masks.causal(2, 4), ["###.", "####"]),
        (masks.causal(2, 4, query_offset=0), ["#...", "##.."]),
        (masks.causal(4, 2), ["..", "..", "#.", "##"]),
        (masks.causal(3, 3, query_offset=-1), ["...", "#..", "##."]),
        (masks.padding(2, 3), ["##."]),
        (masks.padding(0, 3), ["..."]),
        (masks.sliding_window(4, 4, 1), ["##..", "###.", ".###", "..##"]),
        (masks.sliding_window(4, 4, (2, 0)), ["#...", "##..", "###.", ".###"]),
        (masks.sliding_window(4, 4, (None, 1)), ["##..", "###.", "####", "####"]),
        (masks.sliding_window(2, 5, (1, 0)), ["..##.", "...##"]),
        (masks.sliding_window(2, 3, None), ["###", "###"]),
        (masks.prefix(4, 4, 2), ["##..", "##..", "###.", "####"]),
        (masks.prefix(2, 4, 1), ["###.", "####"]),
        (masks.blocks([2, 1]), ["##.", "##.", "..#"]),
        (masks.blocks([2, 0, 1]), ["##.", "##.", "..#"]),
        (masks.blocks(ids=[7, 3, 7]), ["#.#", ".#.", "#.#"]),
        (masks.global_window(5, 1, [2]), ["###..", "###..", "#####", "..###", "..###"]),
        (masks.global_window(4, 0, 1), ["####", "##..", "#.#.", "#..#"]),
        (masks.strided(6, 2), ["#.....", "##....", "###...", ".###..", "#.###.", ".#.###"]),
        (masks.painted([[1, 0], [0, 0]]), ["#.", ".."]),
        (masks.top_k([[3, 1, 2], [1, 1, 0]], 2), ["#.#", "##."]),
        (masks.top_k([[3, 1, 2], [1, 1, 0]], 1), ["#..", "##."]),  # equal scores are seen alike
        (masks.top_k([[0, -np.inf, -np.inf], [np.nan, 5, 1]], 2), ["#..", "##."]),
        (masks.top_k([[3, 1]], 9), ["##"]),
        (masks.combine(masks.causal(3), masks.padding(2, 3)), ["#..", "##.", "##."]),
        (masks.causal(3) | masks.padding(2, 3), ["##.", "##.", "###"]),
        (~masks.causal(3), [".##", "..#", "..."]),
    ],
)
def test_by_hand(mask, rows):
    assert shown(mask) == rows


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (masks.everything(6), "Each of the 6 tokens sees all 6 tokens."),
        (masks.everything(1), "The only token sees the only key."),
        (masks.everything(1, 3), "The only query sees all 3 keys."),
        (masks.everything(3, 1), "Each of the 3 queries sees the only key."),
        (masks.causal(6), "Each of the 6 tokens sees itself and the tokens before it."),
        (
            masks.causal(1, 5),
            "The only query, standing after 4 earlier keys, sees the key at its own position and those before it.",
        ),
        (
            masks.causal(2, 5, query_offset=0),
            "Each of the 2 queries, starting at the first key, sees the key at its own position and those before it.",
        ),
        (
            masks.causal(4, 2),
            "Each of the 4 queries, standing 2 places before the first key, "
            "sees the key at its own position and those before it.",
        ),
        (
            masks.causal(3, query_offset=2),
            "Each of the 3 tokens, standing after 2 earlier keys, "
            "sees the key at its own position and those before it.",
        ),
        (
            masks.causal(2, 3),
            "Each of the 2 queries, standing after 1 earlier key, "
            "sees the key at its own position and those before it.",
        ),
        (
            masks.causal(2, query_offset=-1),
            "Each of the 2 tokens, standing 1 place before the first key, "
            "sees the key at its own position and those before it.",
        ),
        (masks.padding(4, 6), "Only the first 4 of 6 keys are seen."),
        (masks.padding([2, 6], 10), "Only the first 2 to 6 of 10 keys are seen."),
        (masks.padding(1, 4), "Only the first 1 of 4 keys is seen."),
        (masks.padding([0, 1], 1), "Only the first 0 to 1 of 1 key is seen."),
        (masks.padding(0, 5), "None of the 5 keys is seen."),
        (
            masks.sliding_window(6, 6, (2, 0)),
            "Each of the 6 tokens sees at most 2 to its left and none to its right, besides its own position.",
        ),
        (
            masks.sliding_window(2, 5, (None, 1), query_offset=-3),
            "Each of the 2 queries, standing 3 places before the first key, "
            "sees any number to its left and at most 1 to its right, besides its own position.",
        ),
        (
            masks.prefix(6, 6, 2),
            "Everyone sees the first 2 keys; beyond them, each of the 6 tokens sees itself and the tokens before it.",
        ),
        (
            masks.prefix(6, 6, 1),
            "Everyone sees the first 1 key; beyond it, each of the 6 tokens sees itself and the tokens before it.",
        ),
        (masks.blocks([2, 3]), "Each of the 5 tokens sees its own document only, one of 2."),
        (
            masks.global_window(5, 1, 0),
            "Each of the 5 tokens sees at most 1 to its left and at most 1 to its right, besides its own position; "
            "no global tokens see and are seen everywhere.",
        ),
        (
            masks.global_window(5, 0, [3]),
            "Each of the 5 tokens sees none to its left and none to its right, besides its own position; "
            "1 global token sees and is seen everywhere.",
        ),
        (
            masks.global_window(5, None, 2),
            "Each of the 5 tokens sees any number to its left and any number to its right, besides its own position; "
            "2 global tokens see and are seen everywhere.",
        ),
        (
            masks.strided(9, 3),
            "Each of the 9 tokens sees itself, the 3 tokens before it, and every 3rd token further back.",
        ),
        (
            masks.strided(9, 1),
            "Each of the 9 tokens sees itself, the 1 token before it, and every 1st token further back.",
        ),
        (masks.painted([[1, 0], [0, 0]]), "Painted by hand, 1 of 4 pairs of query and key is seen."),
        (masks.top_k(np.eye(3), 1), "Each of the 3 tokens sees the key with the largest score."),
        (masks.top_k(np.ones((2, 5)), 3), "Each of the 2 queries sees the 3 keys with the largest scores."),
        (
            masks.causal(6) & masks.padding(4, 6),
            "Each of the 6 tokens sees itself and the tokens before it, and only the first 4 of 6 keys are seen.",
        ),
        (
            masks.causal(3) | masks.padding(2, 3),
            "Either (each of the 3 tokens sees itself and the tokens before it) "
            "or (only the first 2 of 3 keys are seen).",
        ),
        (
            ~masks.causal(3),
            "Exactly what this hides is seen: (each of the 3 tokens sees itself and the tokens before it).",
        ),
    ],
)
def test_words(mask, words):
    assert mask.words == words


@pytest.mark.parametrize(
    ("ending", "strides"),
    [("st", [1, 21, 121]), ("nd", [2, 22]), ("rd", [3, 23]), ("th", [4, 10, 11, 12, 13, 14, 111, 112, 113])],
)
def test_a_stride_in_words(ending, strides):
    for stride in strides:
        assert f" every {stride}{ending} token " in masks.strided(3, stride).words


# Slow loops agree


@given(LENGTHS, LENGTHS, OFFSETS)
def test_causal_pair_by_pair(n_q, n_k, offset):
    expected = slow_visible(n_q, n_k, causal=True, query_offset=offset)
    np.testing.assert_array_equal(masks.causal(n_q, n_k, query_offset=offset).visible, expected)


@given(LENGTHS, LENGTHS, OFFSETS, SIDES, SIDES)
def test_window_pair_by_pair(n_q, n_k, offset, left, right):
    expected = slow_visible(n_q, n_k, query_offset=offset, window=(left, right))
    np.testing.assert_array_equal(masks.sliding_window(n_q, n_k, (left, right), query_offset=offset).visible, expected)


@given(LENGTHS, st.integers(1, 8))
def test_strided_pair_by_pair(n, stride):
    """Two heads of Child et al. in one: the last few, and every so-many-th."""
    near = {(i, j) for i in range(n) for j in range(max(0, i - stride), i + 1)}
    far = {(i, j) for i in range(n) for j in range(i + 1) if (i - j) % stride == 0}
    assert set(map(tuple, np.argwhere(masks.strided(n, stride).visible).tolist())) == near | far


@given(LENGTHS, LENGTHS, st.data(), OFFSETS)
def test_prefix_pair_by_pair(n_q, n_k, data, offset):
    length = data.draw(st.integers(0, n_k))
    expected = slow_visible(n_q, n_k, causal=True, query_offset=offset)
    expected[:, :length] = True
    np.testing.assert_array_equal(masks.prefix(n_q, n_k, length, query_offset=offset).visible, expected)


@given(st.lists(st.integers(0, 4), max_size=5))
def test_blocks_pair_by_pair(sizes):
    ids = [document for document, size in enumerate(sizes) for _ in range(size)]
    expected = [[one == other for other in ids] for one in ids]
    np.testing.assert_array_equal(masks.blocks(sizes).visible, np.array(expected, bool).reshape(len(ids), len(ids)))


# Properties


@given(st.integers(1, 7), SIDES, SIDES)
def test_every_token_sees_itself(n, left, right):
    for mask in (
        masks.everything(n),
        masks.causal(n),
        masks.sliding_window(n, n, (left, right)),
        masks.prefix(n, n, n // 2),
        masks.blocks([n]),
        masks.global_window(n, (left, right), 1),
        masks.strided(n, 3),
    ):
        assert mask.visible.diagonal().all()


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_x_transformers_keeps_the_same_keys(k):
    checks = json.loads((Path(__file__).parent / "data" / "peer_checks.json").read_text())["top_k"]
    scores = np.array(checks["scores"])
    weights = softmax(np.where(masks.top_k(scores, k), scores, -np.inf))
    np.testing.assert_allclose(weights, checks["weights"][str(k)], atol=1e-12)


def test_padding_takes_an_array_of_any_shape():
    assert masks.padding(3, 5).visible.shape == (1, 5)
    assert masks.padding([3, 4], 5).visible.shape == (2, 1, 5)
    lengths = np.array([[3], [4]])
    mask = masks.padding(lengths, 5)
    assert mask.visible.shape == (2, 1, 1, 5)
    np.testing.assert_array_equal(mask.visible.sum(axis=-1)[..., 0], lengths)


def test_block_ids_take_leading_axes():
    ids = np.array([[0, 0, 1], [0, 1, 1]])
    mask = masks.blocks(ids=ids)
    assert mask.visible.shape == (2, 3, 3)
    assert mask.words == "Each of the 3 tokens sees its own document only, one of 2."
    np.testing.assert_array_equal(mask.visible[1], masks.blocks([1, 2]).visible)


def test_numpy_takes_a_mask_for_an_array():
    mask = masks.causal(3)
    assert np.asarray(mask).dtype == bool
    np.testing.assert_array_equal(np.array(mask, dtype=float), np.tri(3))
    np.testing.assert_array_equal(np.where(mask, 1, 0), np.tri(3))


def test_a_mask_cannot_be_changed():
    cells = np.ones((2, 2), bool)
    mask = Mask(cells, "All of them.")
    cells[0, 0] = False
    assert mask.visible.all()
    with pytest.raises(ValueError, match="read-only"):
        mask.visible[0, 0] = False
    with pytest.raises(AttributeError):
        mask.words = "Something else."


def test_masks_combine_with_masks_only():
    assert masks.causal(2).__and__(np.ones((2, 2), bool)) is NotImplemented
    with pytest.raises(TypeError):
        masks.causal(2) & "x"


def test_combining_broadcasts():
    mask = masks.combine(masks.causal(3), masks.padding([[2], [3]], 3))
    assert mask.visible.shape == (2, 1, 3, 3)
    np.testing.assert_array_equal(mask.visible[0, 0], masks.causal(3).visible & [True, True, False])


# Bad input

BAD = [
    (lambda: masks.causal(-1), "n_q must be a whole number of at least 0, got -1"),
    (lambda: masks.causal(2.5), "n_q must be a whole number of at least 0, got 2.5"),
    (lambda: masks.everything(2, "x"), "n_k must be a whole number of at least 0, got 'x'"),
    (lambda: masks.causal(2, query_offset="x"), "query_offset must be a whole number, got 'x'"),
    (lambda: masks.padding(5, 4), "lengths must be whole numbers from 0 to n_k = 4, got 5"),
    (lambda: masks.padding([1, -1], 4), "lengths must be whole numbers from 0 to n_k = 4, got [1, -1]"),
    (lambda: masks.padding(1.5, 4), "lengths must be whole numbers from 0 to n_k = 4, got 1.5"),
    (lambda: masks.padding(1, -1), "n_k must be a whole number of at least 0, got -1"),
    (lambda: masks.padding(np.zeros(0, int), 4), "lengths must be whole numbers from 0 to n_k = 4, got []"),
    (lambda: masks.sliding_window(3, 3, -1), "window must be a whole number of at least 0, got -1"),
    (lambda: masks.sliding_window(3, 3, (1, "x")), "window must be a whole number of at least 0, got 'x'"),
    (lambda: masks.sliding_window(3, 3, (1,)), "window must be one number or a pair (left, right), got (1,)"),
    (lambda: masks.prefix(3, 3, 4), "length must be at most n_k = 3, got 4"),
    (lambda: masks.prefix(3, 3, -1), "length must be a whole number of at least 0, got -1"),
    (lambda: masks.blocks(), "blocks takes either sizes or ids, got neither"),
    (lambda: masks.blocks([1], ids=[1]), "blocks takes either sizes or ids, got both"),
    (lambda: masks.blocks([-1]), "sizes must be a whole number of at least 0, got -1"),
    (lambda: masks.blocks(ids=[0.5]), "ids must be whole numbers of shape (..., n), got float64 of shape (1,)"),
    (lambda: masks.blocks(ids=3), "ids must be whole numbers of shape (..., n), got int64 of shape ()"),
    (lambda: masks.global_window(3, 1, -1), "global_tokens must be a whole number from 0 to 3, got -1"),
    (lambda: masks.global_window(3, 1, [0, 1, 3]), "global_tokens must be a whole number from 0 to 2, got 3"),
    (lambda: masks.global_window(3, 1, [-1]), "global_tokens must be a whole number from 0 to 2, got -1"),
    (lambda: masks.strided(-1, 2), "n must be a whole number of at least 0, got -1"),
    (lambda: masks.global_window(5, 2, 10**12), "global_tokens must be a whole number from 0 to 5, got 1000000000000"),
    (lambda: masks.global_window(5, 2, range(10**12)), "global_tokens must be a whole number from 0 to 4, got 5"),
    (lambda: masks.combine("2"), "masks must each be a Mask, got '2'"),
    (
        lambda: masks.causal(2, query_offset=10**30),
        f"query_offset must be a whole number from -2147483647 to 2147483647, got {10**30}",
    ),
    (lambda: masks.strided(3, 0), "stride must be a whole number of at least 1, got 0"),
    (lambda: masks.painted([[2, 0]]), "a painted mask must hold only 0 and 1, or false and true, got int64"),
    (lambda: masks.painted([[np.nan]]), "a painted mask must hold only 0 and 1, or false and true, got float64"),
    (lambda: masks.painted([["x"]]), "a painted mask must hold only 0 and 1, or false and true, got <U1"),
    (lambda: masks.painted([[1], [1, 0]]), "a painted mask must have rows of equal length, got ragged rows"),
    (lambda: masks.painted([1, 0]), "visible must be boolean with axes (..., n_q, n_k), got bool of shape (2,)"),
    (
        lambda: Mask(np.ones((2, 2)), ""),
        "visible must be boolean with axes (..., n_q, n_k), got float64 of shape (2, 2)",
    ),
    (lambda: masks.top_k([1, 2], 1), "scores must have axes (..., n_q, n_k), got (2,)"),
    (lambda: masks.top_k([[1, 2]], 0), "k must be a whole number of at least 1, got 0"),
    (lambda: masks.top_k([[1, 2]], 1.5), "k must be a whole number of at least 1, got 1.5"),
    (lambda: masks.combine(), "combine must be given at least one mask, got none"),
    (lambda: masks.causal(2) & masks.causal(3), "masks must broadcast to one shape, got (2, 2) and (3, 3)"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
