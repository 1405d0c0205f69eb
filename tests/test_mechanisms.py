"""The table of mechanisms: everything that it names is there."""

import importlib
from pathlib import Path

import pytest
from setups import SETUPS

from attn.ui.pages.step_by_step.stages import STAGES

TESTS = Path(__file__).parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (TESTS.parent / "attn" / "mechanisms.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| mechanism")
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_a_row_names_is_there(row):
    _, code, page, test = row
    _found(code.strip("`"))
    key, _, places = page.partition(": ")
    assert key in SETUPS
    for place in places.split(", ") if places and key != "step_by_step" else ():
        assert places in _places(key) or place in _places(key), f"{key} has no {place}"
    if key == "step_by_step" and places:
        assert _stages(places), f"{places} is no stage"
    assert (TESTS / f"{test}.py").exists()


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
    labels = importlib.import_module(SETUPS[key].__module__).TABS
    return list(labels.values()) if isinstance(labels, dict) else labels


def _stages(places):
    """Return the stages of Step by step that a row names."""
    return [stage.label for stage in STAGES.values() if stage.label in places]
