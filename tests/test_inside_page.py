"""Inside: which heads are shown, and whose lines."""

import numpy as np
from driving import check, matrices, opened, tables


def overview(app, title):
    """Return the map of all heads, NaN where left out, and the numbers in the list beside it."""
    (heads,) = matrices(app)[title]
    return heads, tables(app, "label", "shown")[0]["shown"].astype(float).to_numpy()


def test_heads_outside_the_span_are_left_out_of_map_and_list():
    every, most = overview(check(opened("inside", metric="distance")), "Mean distance")
    some, first = overview(check(opened("inside", metric="distance", kept="20,70")), "Mean distance")
    low, high = every.min() + 0.2 * np.ptp(every), every.min() + 0.7 * np.ptp(every)
    inside = (every >= low) & (every <= high)
    assert 0 < inside.sum() < every.size
    np.testing.assert_array_equal(np.isfinite(some), inside)
    assert first.max() <= high + 0.01 < most.max()


def test_a_head_is_left_out_of_the_picture_of_all_heads():
    app = check(opened("inside", metric="distance", kept="0,50", tab="All heads"))
    assert any(caption.value.endswith("of 72 heads.") and "72 of" not in caption.value for caption in app.caption)


def test_lines_of_one_query_and_one_key():
    for follow, side, token in (("query", "query", "11 it"), ("key", "key", "3 animal")):
        (drawn,) = tables(check(opened("inside", tab="Lines", follow=follow, cell="10,2")), "wide", "query", "key")
        assert set(drawn[side]) == {token}
        assert len(drawn) > 1
    (drawn,) = tables(check(opened("inside", tab="Lines")), "wide", "query", "key")
    assert len(set(drawn["query"])) > 1 < len(set(drawn["key"]))
