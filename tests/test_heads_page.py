"""Heads: what changes when heads share keys and values, and what that saves."""

import numpy as np
import pytest
from driving import check, opened, said
from setups import SETUPS

from attn import cost
from attn.ui.link import from_link
from attn.ui.pages.heads import compute_heads_page


def heads_of(**choices):
    """Return what Heads shows by a link with these choices."""
    return compute_heads_page(from_link(SETUPS["heads"], choices)[0])


@pytest.mark.parametrize("sharing", [1, 2, 4])
def test_heads_that_share_keep_their_queries_and_the_first_keys_and_values(sharing):
    choices = {"num_heads": "8", "d_model": "32", "gate": "1"}
    alone, shared = heads_of(**choices), heads_of(**choices, num_kv_heads=str(sharing))
    for name in ("w_q", "w_o", "w_g"):
        np.testing.assert_array_equal(getattr(shared.parameters, name), getattr(alone.parameters, name))
    for name in ("key", "value"):
        np.testing.assert_array_equal(getattr(shared.steps, name), getattr(alone.steps, name)[:sharing])
    np.testing.assert_array_equal(shared.steps.weights[0], alone.steps.weights[0])  # its key is still its own
    assert not np.allclose(shared.steps.weights[7], alone.steps.weights[7])  # it looks by another's key


def test_one_number_has_as_many_bytes_on_heads_as_on_cost_and_the_products_say_so():
    app = check(opened("heads", num_heads="8", d_model="32", num_kv_heads="2"))
    told = "2 key/value heads × (4 numbers of a key + 4 of a value) × 4 bytes a number = 64 bytes"
    assert f"Cache per token: {told}" in said(app)
    assert [metric.value for metric in app.metric if metric.label == "Cache per token"] == ["64 bytes"]
    counted = from_link(SETUPS["cost"], {})[0]
    assert counted.bytes_per_number == cost.FLOAT32 == np.dtype(np.float32).itemsize
    (products,) = [text for text in said(opened("cost", view="memory")) if text.startswith("scores: ")]
    assert products.count(" × 4 bytes a number") == 2
