"""The table of mechanisms: everything that it names is there."""

import importlib
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from setups import SETUPS

from attn.ui.link import from_link
from attn.ui.pages.step_by_step.stages import STAGES

TESTS = Path(__file__).parent
EVERY = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (TESTS.parent / "attn" / "mechanisms.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| mechanism", "| it says"))
]
ROWS = [row for row in EVERY if len(row) == 4]
SAYINGS = [row for row in EVERY if len(row) == 3]  # of an article, each with where it is seen and a link


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_a_row_names_is_there(row):
    _, code, page, test = row
    _found(code.strip("`"))
    _seen(page)
    assert (TESTS / f"{test}.py").exists()


@pytest.mark.parametrize("row", SAYINGS, ids=[row[0] for row in SAYINGS])
def test_what_an_article_says_is_where_the_link_leads(row):
    _, page, link = row
    key, places = _seen(page)
    path, _, query = link.strip("`").partition("?")
    setup, notices = from_link(SETUPS[key], dict(parse_qsl(query)))
    assert (path, notices) == (key, [])
    if places:
        assert places == (STAGES[setup.stage].label if key == "step_by_step" else _labels(key)[setup.tab])


def test_every_kind_of_thing_that_an_article_says_is_seen():
    said = [row[0] for row in SAYINGS]
    assert sum(saying.startswith("Intuition: ") for saying in said) == 4
    assert len(said) == len(set(said))
    assert {row[1].split(":")[0] for row in SAYINGS} == {
        "step_by_step", "heads", "masks", "block", "bottleneck", "scores", "cost"
    }  # fmt: skip


def _seen(page):
    """Demand that a page and its places are there, and return its key and them."""
    key, _, places = page.partition(": ")
    assert key in SETUPS
    for place in places.split(", ") if places and key != "step_by_step" else ():
        assert places in _places(key) or place in _places(key), f"{key} has no {place}"
    if key == "step_by_step" and places:
        assert _stages(places), f"{places} is no stage"
    return key, places


def _found(name):
    """Import what a dotted name stands for."""
    parts = name.split(".")
    for at in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:at]))
        except ModuleNotFoundError:
            continue
        for part in parts[at:]:
            thing = getattr(thing, part)
        return thing
    raise LookupError(name)


def _places(key):
    """Return the labels of the tabs of a page."""
    labels = _labels(key)
    return list(labels.values()) if isinstance(labels, dict) else labels


def _labels(key):
    """Return the tabs of a page as its module has them."""
    return importlib.import_module(SETUPS[key].__module__).TABS


def _stages(places):
    """Return the stages of Step by step that a row names."""
    return [stage.label for stage in STAGES.values() if stage.label in places]
