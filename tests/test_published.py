"""Printed results: they stand as in the papers, and pages draw all of them."""

import numpy as np
import pytest
from driving import check, drawn_figures, opened, strokes, tables

from attn import charts, cost
from attn.data import published
from attn.ui.pages.block.setup import PRINTED as BLOCK
from attn.ui.pages.memory.setup import PRINTED as MEMORY
from attn.ui.pages.scores.setup import PRINTED as SCORES

PAGES = {
    "scores": ({"tab": "published"}, SCORES),
    "memory": ({"part": "published"}, MEMORY),
    "block": ({"tab": "Published"}, BLOCK),
}


@pytest.mark.parametrize("name", published.results())
def test_a_table_has_names_numbers_and_a_source(name):
    table = published.results()[name]
    assert table.values.shape == (len(table.names), len(table.measures))
    assert np.isfinite(table.values).any(axis=0).all()
    assert np.isfinite(table.values).any(axis=1).all()
    assert "arXiv:" in table.source


def test_what_the_papers_say_of_their_tables():
    one = published.results()["luong_models"]
    bleu = dict(zip(one.names, one.values[:, one.measures.index("BLEU")], strict=True))
    assert bleu["+ global attention (location)"] - bleu["+ dropout"] == pytest.approx(2.8)
    assert bleu["+ input feeding"] - bleu["+ global attention (location)"] == pytest.approx(1.3)
    assert "attention alone brings 2.8 BLEU" in one.note
    one = published.results()["luong_scores"]
    assert "local-p with the general score is best by all three measures" in one.note
    best = one.values[one.names.index("local-p, general")]
    assert (best[0], *best[1:]) == (one.values[:, 0].min(), *one.values[:, 1:].max(axis=0))
    one = published.results()["translation"]
    assert {one.names[at] for at in np.nanargmax(one.values[:, :2], axis=0)} == {"Transformer, big"}
    work = np.nanmin(one.values[:, 2:])  # printed once for both languages
    assert one.values[one.names.index("Transformer, base"), 2] == work
    assert "highest BLEU in both languages, and the base one took the least work" in one.note
    one = published.results()["hulls"]
    right = {name: row[0] for name, row in zip(one.names, one.values, strict=True)}
    assert right["pointer network, 50 points"] > 1.8 * right["LSTM with attention, 50 points"]
    assert one.values[one.names.index("pointer network, 500 points"), 1] > 99
    assert "nearly all of the area" in one.note
    one = published.results()["few_shots"]
    assert np.diff(one.values[:, 0])[0] > 10


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        ("B: d_k 16", {"d_k": 16}),
        ("B: d_k 32", {"d_k": 32}),
        ("C: 2 layers", {"num_layers": 2}),
        ("C: 4 layers", {"num_layers": 4}),
        ("C: 8 layers", {"num_layers": 8}),
        ("C: d_ff 1024", {"d_ff": 1024}),
        ("C: d_ff 4096", {"d_ff": 4096}),
    ],
)
def test_parameters_differ_from_base_as_printed(row, changed):
    one = published.results()["variants"]
    printed = dict(zip(one.names, one.values[:, -1], strict=True))
    ours = (cost.transformer_parameters(**changed) - cost.transformer_parameters()) / 1e6
    assert ours == pytest.approx(printed[row] - printed["base"], abs=1)


def test_every_table_is_on_a_page():
    assert sorted(name for _, known in PAGES.values() for name in known) == sorted(published.results())


@pytest.mark.parametrize(("page", "name"), [(page, name) for page, (_, known) in PAGES.items() for name in known])
def test_a_page_draws_the_table_and_its_code_does(page, name, tmp_path, monkeypatch):
    drawn = drawn_figures(monkeypatch)
    app = opened(page, PAGES[page][0], printed=name)
    assert not app.exception
    monkeypatch.chdir(tmp_path)
    exec(app.code[-1].value, {"__name__": "copied"})
    assert strokes((tmp_path / f"{name}.svg").read_text(encoding="utf-8")) == strokes(charts.svg(drawn[-1]).decode())


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_numbers(page):
    params, known = PAGES[page]
    app = check(opened(page, params, printed=list(known)[-1]))
    table = published.results()[list(known)[-1]]
    shown = [set(one["shown"].astype(float)) for one in tables(app, "label", "shown")]
    expected = [set(column[np.isfinite(column)].round(2)) for column in table.values.T]
    assert all(column in shown for column in expected)
