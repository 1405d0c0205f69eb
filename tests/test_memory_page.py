"""Memory in rooms of several sizes: its pictures grow, and write their numbers alike."""

import pytest
from driving import check, opened, specs, tables

from attn import charts
from attn.ui.pages.memory.setup import PARTS

ROOMS = {1280: (880, 720), 1920: (1560, 1080)}  # pixels of a window -> across its main column, and down


def shown(room, **params):
    """Open the page where its main column is so many pixels wide, and its window so many high."""
    app = opened("memory", params)
    app.session_state["page_width"], app.session_state["page_height"] = room
    return check(app.run())


def widths(app):
    """Return how many pixels across the parts of each figure take together."""
    return [sum(part.get("width", 0) for part in spec.get("hconcat", ())) for spec in specs(app)]


def decimals(app):
    """Return how many decimals the numbers of each figure have, figure by figure."""
    texts = [table["text"] for table in tables(app, "text", "across")]
    return [{len(text.partition(".")[2]) for text in column} for column in texts]


@pytest.mark.parametrize("part", [part for part in PARTS if part != "published"])
def test_pictures_grow_with_the_window(part):
    narrow, wide = (widths(shown(room, part=part)) for room in ROOMS.values())
    assert len(narrow) == len(wide) == 2
    for before, after in zip(narrow, wide, strict=True):
        assert before <= ROOMS[1280][0]
        assert 1.15 * before < after <= ROOMS[1920][0]


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
@pytest.mark.parametrize("rows", [2, 5, 12])
def test_a_memory_is_written_with_the_same_decimals_throughout(room, rows):
    """What is added may be larger than a memory, whose numbers on their own would have more digits."""
    app = shown(room, memory="random", rows=str(rows), seed="5", add_2="5")
    found = decimals(app)
    assert len(found) == 6  # memory, match and weights; before, erased and added
    first, second = found[:3], found[3:]
    for figure in (first, second):
        assert figure in ([{3}] * 3, [{2}] * 3)


def test_a_sentence_has_room_for_its_words():
    app = shown((880, 1000), part="lstmn", sentence="The FBI is chasing a criminal on the run")
    assert app.text_area(key="memory.sentence").value.endswith("on the run")


def test_one_matrix_that_has_no_room_for_decimals_leaves_none_to_the_others():
    """All or none: numbers in some matrices only would look as if the others held nothing."""

    def texts(*values, room=400):
        parts = [charts.panel([[value]], ["row"], ["column"], kind="magnitude") for value in values]
        made = charts.panels(charts.LIGHT, room, *parts, largest=60, decimals=3).to_dict()
        return [row["text"] for rows in made["datasets"].values() for row in rows if "text" in row]

    assert texts(0.5, 12.25) == ["0.500", "12.250"]
    assert texts(0.5, 1234.5) == ["0.50", "1,234.50"]  # one less fits all
    assert texts(0.5, 123456789.0) == []
