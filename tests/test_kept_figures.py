"""Figures that are kept for all visitors: drawn once from the same numbers and words, never taken for another."""

import dataclasses
from functools import partial

import numpy as np
import pytest
from driving import check, opened, specs, strokes, tables

from attn import charts
from attn.ui import kept_figures
from attn.ui.kept_figures import figure_digest, finished_once
from attn.ui.shared_results import LruCache

WINDOW = (880, 1000, False, charts.LIGHT)
WEIGHTS = np.array([[0.25, 0.75], [1.0, 0.0]])
calls = []


def draw(weights, labels, theme=charts.LIGHT):
    """Draw a map, and note that it was drawn."""
    calls.append(labels)
    return charts.beside(charts.heatmap(weights, labels, labels, theme))


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    """Begin with nothing kept, and nothing drawn."""
    kept = LruCache(kept_figures.MOST_BYTES, 1)
    monkeypatch.setattr(kept_figures, "kept_figures", lambda: kept)
    calls.clear()
    return kept


def finished(*given, window=WINDOW, **named):
    return finished_once(partial(draw, *given, **named), window, charts.specification)


def test_the_same_is_drawn_once_and_is_each_visitors_own():
    first = finished(WEIGHTS, ["a", "b"])
    whole = strokes(charts.svg(first).decode())
    second = finished(WEIGHTS.copy(), ["a", "b"])
    assert (len(calls), first) == (1, second)
    first["hconcat"][0]["layer"].clear()
    first["datasets"].clear()
    assert finished(WEIGHTS, ["a", "b"]) == second
    assert strokes(charts.svg(second).decode()) == whole
    assert second == charts.specification(draw(WEIGHTS, ["a", "b"]))


def test_what_differs_in_anything_is_another_figure():
    tiny = WEIGHTS + np.array([[0, 0], [0, 5e-324]])
    setups = [
        ((WEIGHTS, ["a", "b"]), {}),
        ((tiny, ["a", "b"]), {}),
        ((WEIGHTS.T, ["a", "b"]), {}),
        ((WEIGHTS.astype(np.float32), ["a", "b"]), {}),
        ((WEIGHTS, ["a", "B"]), {}),
        ((WEIGHTS, ["ab", ""]), {}),
        ((WEIGHTS, ["a", "b"]), {"theme": charts.DARK}),
        ((WEIGHTS, ["a", "b"]), {"window": (840, 1000, False, charts.LIGHT)}),
        ((WEIGHTS, ["a", "b"]), {"window": (880, 960, False, charts.LIGHT)}),
        ((WEIGHTS, ["a", "b"]), {"window": (880, 1000, True, charts.LIGHT)}),
        ((WEIGHTS, ["a", "b"]), {"window": (880, 1000, False, charts.DARK)}),
    ]
    for given, named in setups:
        finished(*given, **named)
    assert len(calls) == len(setups)


def test_digests_tell_shapes_types_and_functions_apart():
    eight = np.arange(8.0)
    different = [
        eight, eight.reshape(2, 4), eight.reshape(4, 2), eight.view(np.int64), list(eight), tuple(eight), eight[::-1],
        (eight[:4], eight[4:]), draw, charts.heatmap, charts.LIGHT, dataclasses.replace(charts.LIGHT, text="#000000"),
        1, 1.0, True, "1", None,
    ]  # fmt: skip
    assert len({figure_digest(one) for one in different}) == len(different)
    assert figure_digest(eight[::2]) == figure_digest(eight[::2])


def test_no_more_is_kept_than_there_is_room_for(empty):
    empty.most_bytes = 60_000
    for at in range(30):
        finished(WEIGHTS, [f"{at}", "b"])
    assert len(calls) == 30
    finished(WEIGHTS, ["29", "b"])  # the last are still there
    assert len(calls) == 30
    finished(WEIGHTS, ["0", "b"])  # the first is not
    assert len(calls) == 31


def test_an_error_is_not_kept():
    for _ in range(2):
        with pytest.raises(ValueError, match="a row and a column per label"):
            finished(WEIGHTS, ["a"])
    assert len(calls) == 2


@pytest.mark.parametrize("page", ["masks", "heads", "softmax", "positions", "block", "scores"])
def test_a_page_seen_again_shows_the_same_and_another_does_not(page):
    def shown(**more):
        app = check(opened(page, **more))
        return specs(app), [table.to_dict() for table in tables(app)]

    first = shown(room=600)
    assert shown(room=600) == first
    assert shown(room=1000) != first


@pytest.mark.parametrize(
    ("page", "moved", "drawn"),
    [
        ("positions", {"d_k": "8"}, 1),  # not the waves, which are added to embeddings
        ("positions", {"shuffle": "2"}, 1),
        ("block", {"d_ff": "8"}, 1),  # not the heads of attention
        ("block", {"depth": "7"}, 0),  # of another tab
    ],
)
def test_a_figure_that_does_not_depend_on_what_moved_is_not_drawn_again(page, moved, drawn, monkeypatch):
    made, specified = [], charts.specified
    monkeypatch.setattr(charts, "specified", lambda figure: made.append(figure) or specified(figure))
    opened(page)
    assert len(made) == 2
    opened(page, **moved)
    assert len(made) - 2 == drawn
