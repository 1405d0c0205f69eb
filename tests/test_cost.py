import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn import cost

DATA = Path(__file__).parent / "data"
CHECKS = json.loads((DATA / "mechanism_checks.json").read_text())
GPT2 = json.loads((DATA / "worked_example_2.json").read_text())["gpt2_parameters"]


def test_known_numbers_of_parameters():
    assert cost.parameter_count(512, 8) == CHECKS["parameters_512"]
    # GPT-2 small, chapter 3 of Raschka's book: a bias on the output projection alone
    assert cost.parameter_count(768, 12) + 768 == GPT2
    # the article's four heads of width 1 against its one head of width 4
    assert cost.parameter_count(3, 4, d_k=2, d_v=1, output_projection=False) == 60
    assert cost.parameter_count(3, 1, d_k=2, d_v=4, output_projection=False) == 24


def test_the_number_of_heads_does_not_matter():
    assert {cost.parameter_count(24, num_heads) for num_heads in (1, 2, 3, 4, 6, 8, 12, 24)} == {4 * 24**2}


def test_sharing_keys_and_values_saves():
    counts = [cost.parameter_count(64, 8, num_kv_heads) for num_kv_heads in (8, 4, 2, 1)]
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
        ((10, 0), "num_heads must be at least 1, got 0"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cost.parameter_count(*arguments)
