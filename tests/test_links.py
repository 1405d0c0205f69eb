"""A link says what was chosen, and what it cannot say it leaves out aloud."""

import importlib
from dataclasses import dataclass

import pytest
from driving import check, notices, opened
from hypothesis import given, settings
from hypothesis import strategies as st
from setups import ABSURD, SETUPS, bounds, demand, fields, links, read
from streamlit.testing.v1 import AppTest

from attn.ui.link import (
    LONGEST_LINK_VALUE,
    from_link,
    link_cell,
    link_choice,
    link_flag,
    link_numbers,
    link_place,
    link_real,
    link_string,
    link_whole,
    to_link,
)

CHOICES = [(page, name) for page, cls in SETUPS.items() for name in fields(cls)]


@dataclass(frozen=True)
class Small:
    """One choice of most kinds."""

    seed: int = link_whole(1, 0, 9)
    mask: str = link_choice("none", ("none", "causal"))
    on: bool = link_flag(False)
    text: str = link_string("so it goes")
    cell: tuple = link_place((1, 2))
    scale: float = link_real(1.0, 0.1, 10)
    edits: tuple = link_numbers(("x", "w_q"))
    tab: str = link_choice("map", {"map": "Every head", "code": "Code"}, aliases={"Map": "map", "Code": "code"})


def same(one, other):
    """Return whether two setups hold the same, a number that is none being itself."""
    return repr(one) == repr(other)


def test_by_hand():
    params = {"seed": "3", "mask": "causal", "on": "1", "text": "a & b", "cell": "0,5", "scale": "2.5"}
    setup, notices = from_link(Small, params | {"edits": "x.1.2=0.5;w_q.0.0=-3"})
    assert setup == Small(3, "causal", True, "a & b", (0, 5), 2.5, (("x", 1, 2, 0.5), ("w_q", 0, 0, -3.0)))
    assert notices == []
    assert to_link(setup) == (params | {"edits": "x.1.2=0.5;w_q.0.0=-3"}, [])


def test_a_query_and_a_key_are_counted_from_1_and_in_older_links_from_0():
    codec = link_cell((10, 2)).metadata["codec"]
    assert (codec.write((10, 2)), codec.read("11.3"), codec.read("10,2")) == ("11.3", (10, 2), (10, 2))
    for odd in ("0.1", "1", "1.2.3", "-1,2", "a.b", ""):
        with pytest.raises(ValueError, match=r"a query and a key such as 11\.3"):
            codec.read(odd)


def test_an_option_is_known_by_its_old_name_too():
    setup, notices = from_link(Small, {"tab": "Code"})
    assert (setup, notices) == (Small(tab="code"), [])
    assert to_link(setup) == ({"tab": "code"}, [])
    setup, notices = from_link(Small, {"tab": "Every head"})  # a label is no name
    assert setup == Small()
    assert notices == ["In the link, tab must be one of map, code, got Every head; using map."]


OLD_TABS = {  # what links of old call the tabs: these stay as they are, however tabs are called now
    "masks": {"What leaks, by route": "leaks", "Code": "code"},
    "step_by_step": {"This cell": "cell", "Edit the numbers": "edit", "Code": "code"},
    "heads": {"One head": "one", "Concatenation and output": "merged", "Code": "code"},
    "softmax": {
        "Gradient": "gradient",
        "Why divide by √d_k?": "scaling",
        "Divide by the sum": "sum",
        "Without weights": "plain",
        "Look it up": "lookup",
        "Code": "code",
    },
    "positions": {
        "By distance": "distance",
        "Only the distance counts": "relation",
        "Longer texts": "longer",
        "All schemes": "schemes",
        "Code": "code",
    },
    "block": {
        "Heads added up": "heads",
        "Three uses": "uses",
        "Stack": "stack",
        "Training": "training",
        "Writing": "writing",
        "Graph": "graph",
        "Published": "published",
        "Code": "code",
    },
    "cost": {"By kind of layer": "kinds", "Known models": "models", "Parameters": "parameters", "Code": "code"},
    "pretrained": {
        "Every layer and head": "map",
        "One query, key by key": "query",
        "W_q, W_k, W_v": "matrices",
        "Code": "code",
    },
    "inside": {
        "Matrix": "matrix",
        "Lines": "lines",
        "One query": "query",
        "All heads": "heads",
        "Rollout": "rollout",
        "Code": "code",
    },
    "change": {"One head": "head", "Downstream": "downstream", "Sweep": "sweep", "Writing": "writing", "Code": "code"},
    "bottleneck": {
        "States and gates": "states",
        "Accuracy by length": "accuracy",
        "Film of training": "film",
        "Published alignments": "published",
        "Gradient through time": "gradient",
        "Code": "code",
    },
    "scores": {
        "What moves it": "moves",
        "Soft and hard": "reads",
        "Global and local": "windows",
        "The six scores": "every",
        "Published": "published",
        "Code": "code",
    },
    "memory": {"More": "more", "Code": "code"},
}


@pytest.mark.parametrize(
    ("page", "label", "key"), [(page, label, key) for page, known in OLD_TABS.items() for label, key in known.items()]
)
def test_a_link_with_the_old_label_of_a_tab_opens_it(page, label, key):
    step = {"stage": "weights"} if page == "step_by_step" else {}  # tokens have no cell that is computed
    app = check(opened(page, step, tab=label), charts=0)
    assert notices(app) == []
    assert app.session_state[f"{page}.tab"] == key
    labels = importlib.import_module(SETUPS[page].__module__).TABS
    assert next(tab.label for tab in app.tabs if tab.children) == labels[key]  # tabs in it come after it


def test_defaults_are_not_written():
    for cls in (Small, *SETUPS.values()):
        assert from_link(cls, {}) == (cls(), [])
        assert to_link(cls()) == ({}, [])


@pytest.mark.parametrize("page", SETUPS)
@given(data=st.data())
@settings(max_examples=150)
def test_there_and_back(page, data):
    """What a link sets, the next link sets again, to the last digit."""
    cls = SETUPS[page]
    setup, notices = from_link(cls, data.draw(links(cls)))
    assert notices == []
    params, left_out = to_link(setup)
    assert left_out == []
    assert all(isinstance(value, str) for value in params.values())
    again, notices = from_link(cls, params)
    assert notices == []
    assert same(again, setup)
    assert to_link(again) == (params, [])
    hash(setup)  # fit to be a key


@pytest.mark.parametrize(("page", "name"), CHOICES)
def test_absurd_values_fall_back_with_a_sentence_each(page, name):
    cls = SETUPS[page]
    field = fields(cls)[name]
    for raw in ABSURD:
        setup, notices = from_link(cls, {name: raw})
        try:
            taken = read(field, raw)
        except ValueError:
            assert same(setup, cls()), raw
            (notice,) = notices
            assert notice.startswith(f"In the link, {name} must be {demand(field)}, got ")
            assert notice.isprintable()
            assert notice.endswith(".")
            assert len(notice) < 400
        else:
            assert notices == []
            assert same(getattr(setup, name), taken)
            assert type(taken) is type(field.default)


@pytest.mark.parametrize(
    ("page", "name"), [(page, name) for page, name in CHOICES if bounds(fields(SETUPS[page])[name])]
)
def test_bounds_are_what_the_sentence_says(page, name):
    field = fields(SETUPS[page])[name]
    for end, outside in zip(bounds(field), (-1, 1), strict=True):
        assert read(field, end) == float(end)
        with pytest.raises(ValueError, match="number from"):
            read(field, str(float(end) + outside) if "whole" not in demand(field) else str(int(end) + outside))


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=60), max_size=5))
@pytest.mark.parametrize("page", SETUPS)
def test_any_query_string_gives_a_setup(page, params):
    cls = SETUPS[page]
    _, notices = from_link(cls, params)
    assert len(notices) <= len(params)
    assert all(notice.isprintable() for notice in notices)


def test_what_holds_on_all_pages_is_in_the_link_of_each():
    app = check(opened("masks", large="1", token="3"))
    assert notices(app) == []
    assert app.toggle(key="look.large").value
    assert app.query_params == {"large": "1", "token": "3"}
    app.toggle(key="look.large").set_value(False).run()
    assert app.query_params == {"token": "3"}
    assert not app.toggle(key="look.large").value
    (notice,) = notices(opened("masks", large="7"))
    assert notice.replace("\\", "").endswith("In the link, large must be 0 or 1, got 7; using 0.")


def test_unknown_names_are_told_and_those_of_streamlit_are_not():
    setup, notices = from_link(Small, {"colour": "red", "embed": "true", "embed_options": "dark_theme"})
    assert setup == Small()
    assert notices == ["The link holds a setting this page does not have: colour."]


@pytest.mark.parametrize("page", [page for page, cls in SETUPS.items() if "text" in fields(cls)])
def test_what_is_too_long_is_left_out_and_named(page):
    cls = SETUPS[page]
    name = next(name for name in fields(cls) if name != "text")
    beside = set(cls.unsaid({"text": "x"})) if hasattr(cls, "unsaid") else set()  # what hangs on the text
    params, left_out = to_link(cls(text="x" * (LONGEST_LINK_VALUE + 1)))
    assert (set(params) - beside, left_out) == (set(), ["text"]), name
    params, left_out = to_link(cls(text="x" * LONGEST_LINK_VALUE))
    assert (set(params) - beside, left_out) == ({"text"}, [])


def test_many_edits_are_left_out_and_the_rest_stays():
    edits = tuple(("x", row, column, 0.125) for row in range(20) for column in range(20))
    assert to_link(Small(seed=4, edits=edits)) == ({"seed": "4"}, ["edits"])


def test_a_choice_brought_into_range_is_told_to_the_browser_though_the_run_was_cut_off():
    """Else the browser shows one choice, and the page computes with another."""

    def script():
        import streamlit as st

        from attn.ui.pages.step_by_step.walk import Setup
        from attn.ui.state import PageState

        state = PageState("small", Setup)
        state.clamp("seed", 3, 5)
        st.slider("Seed", 3, 5, key=state.key("seed"))
        if "again" not in st.session_state:
            st.session_state["again"] = True
            st.stop()  # as when the visitor does something else meanwhile
        state.commit()

    app = AppTest.from_function(script).run()
    assert app.slider[0].proto.set_value
    assert app.run().slider[0].value == 3
    assert app.slider[0].proto.set_value


@pytest.mark.parametrize(
    ("page", "name", "sent", "meant"),
    [
        ("change", "off", ["4.12", "1.1 (not in this model)"], ((0, 0), (3, 11))),
        ("change", "hidden", ["2: 7", 3], (2, 3)),
        ("inside", "together", ["2", 3], (2, 3)),
        ("change", "off", ["no head"], ((3, 11), (5, 0), (5, 5))),
    ],
)
def test_options_that_come_back_as_their_labels_are_read(page, name, sent, meant):
    """As the browser sends what it still shows, when a run that changed the options was cut off."""
    app = opened(page)
    app.session_state[f"{page}.{name}"] = sent
    app = check(app.run())
    assert sorted(app.session_state[f"{page}.{name}"]) == sorted(meant)
