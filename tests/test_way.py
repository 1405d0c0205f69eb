"""The way through the pages: one order in the menu, at the end of each page and in the README."""

import json
import re
from pathlib import Path

import pytest
from driving import PAGES, ROOT, check, opened

from attn.ui.menu import GROUPS, MENU
from attn.ui.pages.home import PURPOSE, WAYS
from attn.ui.pages.softmax import TABS as SOFTMAX_TABS

# where no text is given a page asks for one, and stops
ASKING = ("home", "step_by_step", "pretrained", "inside", "why")


def links(place):
    """Return the script and the label of every link to a page, in the order of the keyboard."""
    return [(link.proto.page, link.proto.label) for link in place.get("page_link")]


def target(entry):
    """Return what a link to a page leads to, as Streamlit spells it."""
    return "" if entry.script == "app.py" else Path(entry.script).stem


@pytest.mark.parametrize("page", PAGES)
def test_every_page_ends_with_the_next(page):
    at = PAGES.index(page) + 1
    following = MENU[at % len(MENU)]
    words = "Next:" if at < len(MENU) else "Back to"
    app = check(opened(page, {"text": " ", "source": "random"} if page in ASKING else {}), charts=0)
    (last,) = [link for link in links(app) if link[1].startswith(words)]
    assert last == (target(following), f"{words} **{following.label}**, {following.shows}")


def test_the_menu_goes_by_groups_in_one_order():
    app = opened("masks", mask="window").run()
    menu, *_ = [each.proto for each in app.sidebar.get("bidi_component") if "groups" in each.proto.json]
    groups = json.loads(json.loads(menu.json)["groups"])
    assert [name for name, _ in groups][1:] == list(GROUPS)
    listed = [(page, label) for _, entries in groups for page, label, *_ in entries]
    assert listed == [(entry.page, entry.label) for entry in MENU]
    addresses = {page: address for _, entries in groups for page, _, _, address in entries}
    assert (addresses["masks"], addresses["heads"], addresses["home"]) == ("masks?mask=window", "heads", "./")


def test_the_readme_lists_the_pages_in_the_order_of_the_menu():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.search(r"\| page \| what it answers \|\n.*?\n\n", text, re.DOTALL)[0]
    listed = [line.split("|")[1].strip() for line in table.splitlines()[2:] if line]
    groups = [[f"***{group}***", *(entry.label for entry in entries)] for group, entries in GROUPS.items()]
    assert listed == ["Home", *(name for group in groups for name in group)]


def test_a_link_keeps_what_was_chosen_on_the_next_page():
    app = opened("softmax", tab="scaling")
    app.switch_page("pages/step_by_step.py")
    app.query_params.clear()
    (following,) = [link for link in app.run().get("page_link") if link.proto.label.startswith("Next:")]
    assert following.proto.query_string == "tab=scaling"


def test_home_has_a_way_into_every_page_in_the_order_of_the_menu():
    ways = list(dict.fromkeys(way.page for way in WAYS))
    assert ways == [entry.page for entry in MENU[1:]]
    shown = [label for _, label in links(opened("home").main) if label.startswith("**")]
    assert shown == [f"**{way.title}**" for way in WAYS]


def test_the_way_in_that_asks_why_scores_are_divided_leads_to_the_tab_that_answers():
    (way,) = [way for way in WAYS if way.title == SOFTMAX_TABS["scaling"]]
    assert (way.page, way.settings) == ("softmax", {"tab": "scaling"})


def test_home_says_first_what_it_is():
    first, *_ = [element.value for element in opened("home").main.markdown]
    assert first == PURPOSE
    assert len(re.findall(r"\. |\.$", PURPOSE)) == 2


def test_a_sentence_typed_on_one_page_is_offered_on_the_others():
    app = opened("home")
    assert not [button for button in app.button if "Yours" in button.label]  # nothing was typed yet
    app.text_input(key="home.text").set_value("My sister gave the book to her friend.").run()
    app.switch_page("pages/why.py")
    app.query_params.clear()
    app.run()
    next(b for b in app.button if b.label == r"Yours: “My sister gave the book to her friend\.”").click().run()
    assert app.text_area(key="why.text").value == "My sister gave the book to her friend."
    assert not [button for button in app.button if "Yours" in button.label]  # it stands there now
    app.text_area(key="why.text").set_value("He *ran*.").run()
    app.switch_page("app.py")
    app.query_params.clear()
    app.run()
    (pills,) = [group for group in app.button_group if r"Yours: “He \*ran\*\.”" in group.options]
    pills.set_value("He *ran*.").run()
    assert app.text_input(key="home.text").value == "He *ran*."
    check(app)


def test_your_sentence_is_the_one_that_was_typed_last():
    app = opened("home")
    app.text_input(key="home.text").set_value("Birds sing.").run()
    app.switch_page("pages/step_by_step.py")
    app.query_params.clear()
    app.run()
    app.selectbox(key="step_by_step.source").set_value("random").run()
    assert app.text_area(key="step_by_step.text").value == "Birds sing."
    check(app)
