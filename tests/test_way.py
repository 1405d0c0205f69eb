"""The way through the pages: one order in the menu, at the end of each page and in the README."""

import dataclasses
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl

import pytest
from driving import PAGES, ROOT, check, opened, said
from setups import setup_of
from streamlit.proto.WidgetStates_pb2 import WidgetState

from attn import pretrained
from attn.pretrained.loading import smollm2
from attn.ui.controls.model_and_text import SourceChoice
from attn.ui.link import from_link
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
    app = opened("home")
    first, *_ = [element.value for element in app.main.markdown]
    assert first == PURPOSE
    assert not app.get("latex")  # whoever is new meets no formula before Step by step
    assert len(re.findall(r"\. |\.$", PURPOSE)) == 2


def led(app):
    """Return where the menu leads once a page was run, by page: its address without what comes before the query."""
    drawn = [json.loads(each.proto.json) for each in app.sidebar.get("bidi_component")]
    (links,) = [json.loads(each["links"]) for each in drawn if "links" in each]
    return {page: dict(parse_qsl(address.partition("?")[2])) for page, address in links.items()}


def follow(app, page):
    """Go to another page by its link in the menu."""
    query = led(app)[page]
    app.switch_page(next(entry.script for entry in MENU if entry.page == page))
    app.query_params.clear()
    app.query_params.update(query)
    return check(app.run())


TYPED = "My sister gave the book to her friend."


def test_what_goes_along_is_what_the_pages_can_hold():
    for entry in MENU:
        fields = {each.name: each.default for each in dataclasses.fields(setup_of(entry.script))}
        assert {*entry.takes} <= {*fields}, entry
        begins_with_text = "text" in fields and fields.get("source", "random") == "random"
        assert ("text" in entry.takes) == begins_with_text, entry
        inputs = {each.name for each in dataclasses.fields(SourceChoice)} - {"colour"}
        if entry.page in ("pretrained", "inside"):
            assert {*entry.takes} == inputs | {"picture", "sound", "cell"}
        if entry.page == "change":
            assert {*entry.takes} == inputs


def test_a_sentence_typed_on_one_page_goes_along_to_those_not_left_with_one_of_their_own():
    app = opened("home")
    assert not any(led(app).values())
    app.text_input(key="home.text").set_value(TYPED).run()
    takes = [page for page, query in led(app).items() if query.get("text") == TYPED]
    assert takes == [entry.page for entry in MENU if "text" in entry.takes]
    assert not any(query for page, query in led(app).items() if page not in takes)  # the worked examples stay
    ways = [parse_qs(each.proto.query_string) for each in app.main.get("page_link") if each.proto.label[:2] == "**"]
    assert [query.get("text") for query in ways] == [[TYPED] if way.page in takes else None for way in WAYS]
    assert ways[3]["num_kv_heads"] == ["2"]  # beside what the way in sets up
    follow(app, "positions")
    assert app.text_area(key="positions.text").value == TYPED
    app.text_area(key="positions.text").set_value("Birds sing loudly.").run()  # a text of its own
    assert led(app)["heads"] == {"text": "Birds sing loudly."}
    follow(app, "heads")
    app.text_area(key="heads.text").set_value("He *ran*.").run()
    follow(app, "positions")
    assert app.text_area(key="positions.text").value == "Birds sing loudly."
    next(b for b in app.main.button if b.label == r"Yours: “He \*ran\*\.”").click().run()
    assert app.text_area(key="positions.text").value == "He *ran*."
    assert not [button for button in app.button if "Yours" in button.label]  # it stands there now
    follow(app, "home")
    (pills,) = [group for group in app.button_group if r"Yours: “He \*ran\*\.”" in group.options]
    pills.set_value("He *ran*.").run()
    assert app.text_input(key="home.text").value == "He *ran*."
    check(app)


def test_a_sentence_that_went_along_gives_way_to_the_next_but_not_where_the_page_was_reset():
    app = opened("heads")
    app.text_area(key="heads.text").set_value("Birds sing.").run()
    app.text_area(key="heads.text").set_value(TYPED).run()
    follow(app, "positions")
    assert led(app)["positions"] == {"text": TYPED}
    follow(app, "heads")
    app.text_area(key="heads.text").set_value("Fish swim.").run()
    assert led(app)["positions"] == {"text": "Fish swim."}
    follow(app, "positions")
    app.button(key="positions.reset").click().run()
    follow(app, "heads")
    assert led(app)["positions"] == {}


def test_a_text_too_long_for_a_link_stays_where_it_is():
    app = opened("heads")
    app.text_area(key="heads.text").set_value("Birds sing. " * 400).run()
    assert "text" not in led(app)["positions"]
    follow(app, "positions")
    assert [b for b in app.main.button if b.label.startswith("Yours: “Birds sing")]


def test_pages_of_real_models_are_led_to_with_the_head_and_the_word_that_were_looked_at():
    app = opened("home")
    app.text_input(key="home.text").set_value(TYPED).run()
    app.slider(key="home.layer").set_value(3).run()
    app.slider(key="home.head").set_value(11).run()
    app.selectbox(key="home.token.0").set_value(8).run()
    row, column = led(app)["inside"]["cell"].split(",")
    assert row == "8"
    assert any(f"**9 friend** looks most at **{int(column) + 1} " in sentence for sentence in said(app))
    same = {"text": TYPED, "layer": "3", "head": "11", "cell": f"{row},{column}"}
    assert led(app)["inside"] == led(app)["pretrained"] == led(app)["why"] == same
    assert led(app)["change"] == {name: value for name, value in same.items() if name != "cell"}
    follow(app, "change")  # which has no word to look at
    follow(app, "inside")
    assert app.session_state["inside.last"].cell == (int(row), int(column))
    app.slider(key="inside.head").set_value(5).run()
    assert led(app)["pretrained"]["head"] == "5"
    assert led(app)["home"]["head"] == led(app)["change"]["head"] == "11"  # as they were left
    app.text_area(key="inside.text").set_value("Birds sing loudly at night, and so do crickets.").run()
    assert led(app)["home"]["text"] == TYPED  # its own
    assert led(app)["pretrained"]["text"].startswith("Birds sing")
    app = check(opened("why", text=TYPED, layer="2", head="7", cell="5.7"))  # which counts from 1
    assert led(app)["inside"] == {"text": TYPED, "layer": "2", "head": "7", "cell": "4,6"}
    follow(app, "inside")
    assert app.session_state["inside.last"].cell == (4, 6)


SMOLLM2_IS_HERE = pytest.mark.skipif(
    not (smollm2.packaged() or smollm2.cached()), reason="SmolLM2 is not on this machine"
)
OF_A_MODEL = ("pretrained", "inside", "next_word", "change", "why")


def shown_by(query, page):
    """Return the model, text, layer and head that a page shows which is opened with a link."""
    script = next(entry.script for entry in MENU if entry.page == page)
    made, notices = from_link(setup_of(script), query)
    assert not notices
    return tuple(getattr(made, name, pretrained.DEFAULT) for name in ("model", "text", "layer", "head"))


@SMOLLM2_IS_HERE
@pytest.mark.parametrize("page", OF_A_MODEL)
def test_model_text_layer_and_head_go_along_together(page):
    look = (smollm2.NAME, "The capital of Italy is", 24, 5)
    app = check(opened(page, **dict(zip(("model", "text", "layer", "head"), map(str, look), strict=True))))
    assert shown_by(app.query_params, page) == look
    for other in OF_A_MODEL:
        assert shown_by(led(app)[other], other) == look, other
    assert led(app)["home"] == led(app)["heads"] == {"text": look[1]}  # whose model is another: none of its heads
    app = follow(follow(app, "home"), "next_word" if page != "next_word" else "why")
    for other in OF_A_MODEL:
        assert shown_by(led(app)[other], other) == look, other


@SMOLLM2_IS_HERE
@pytest.mark.parametrize("page", ["home", "pretrained", "inside", "change", "why"])
def test_a_head_of_a_model_that_only_reads_stays_out_of_the_page_of_next_words(page):
    look = {"text": TYPED, "layer": "3", "head": "11"}
    app = check(opened(page, **look))
    for other in ("home", *OF_A_MODEL):
        if other == "next_word":
            assert led(app)[other] == {"text": TYPED}
        else:
            assert shown_by(led(app)[other], other) == (pretrained.DEFAULT, TYPED, 3, 11), other


def test_the_text_of_the_link_with_which_one_came_goes_along_as_if_typed():
    app = check(opened("heads", text=TYPED, source="random"))
    assert led(app)["next_word"] == led(app)["positions"] == {"text": TYPED}
    assert not any(query for page, query in led(check(opened("heads"))).items() if page != "heads")


def test_a_story_shows_texts_of_its_own():
    app = opened("home")
    app.text_input(key="home.text").set_value(TYPED).run()
    app.switch_page("pages/inside.py")
    app.query_params.clear()
    app.query_params.update(story="ten_minutes", layer="2")
    app.run()
    assert not [button for button in app.button if "Yours" in button.label]
    assert led(app)["inside"] == {"layer": "2", "story": "ten_minutes"}
    assert "layer" not in led(app)["pretrained"]


def test_your_sentence_is_the_one_that_was_typed_last():
    app = opened("home")
    app.text_input(key="home.text").set_value("Birds sing.").run()
    app.switch_page("pages/step_by_step.py")
    app.query_params.clear()
    app.run()
    assert app.selectbox(key="step_by_step.source").options[2] == "A sentence"
    app.selectbox(key="step_by_step.source").set_value("random").run()
    assert app.selectbox(key="step_by_step.source").options[2] == "Your sentence"
    assert app.text_area(key="step_by_step.text").value == "Birds sing."
    check(app)


def say_as_before(box, label):
    """Have a choice sent under the name that it had before, as a browser does that was not told another yet."""
    sent = WidgetState(id=box.id, string_value=label)
    box.__class__ = type("Before", (type(box),), {"_widget_state": sent})


@pytest.mark.parametrize("page", ["step_by_step", "masks", "heads"])
def test_a_choice_is_kept_whatever_its_option_is_called(page):
    """A browser shows, and sends, the name that it was told: another for one's own sentence than for any."""
    app = opened("home")
    app.text_input(key="home.text").set_value("Birds sing.").run()
    app.switch_page(f"pages/{page}.py")
    app.query_params.clear()
    app.run()
    source = f"{page}.source"
    app.selectbox(key=source).set_value("worked").run()
    app.selectbox(key=source).set_value("random").run()
    told = app.selectbox(key=source).proto
    assert (told.set_value, told.raw_value) == (True, "Your sentence")
    say_as_before(app.selectbox(key=source), "A sentence")
    app.run()
    assert app.selectbox(key=source).value == "random"
    assert app.text_area(key=f"{page}.text").value == "Birds sing."
    check(app)


def test_a_text_in_view_stays_in_view_whatever_its_words_are():
    app = opened("inside", text="One.\nTwo.\nThree.", several="1", shown="2")
    say_as_before(app.selectbox(key="inside.shown"), "2: Too.")
    app.run()
    assert app.session_state["inside.last"].shown == 2
    check(app)


@pytest.mark.parametrize(("page", "name"), [("inside", "text"), ("positions", "text"), ("heads", "second")])
def test_the_enter_that_ends_a_text_is_not_read(page, name):
    app = opened(page, **({"mode": "cross"} if name == "second" else {}))
    app.text_area(key=f"{page}.{name}").set_value("Birds sing.\n\nThey do.\n\n").run()
    assert app.text_area(key=f"{page}.{name}").value == "Birds sing.\n\nThey do."
    assert check(app).query_params[name] == "Birds sing.\n\nThey do."


def test_a_link_whose_text_ends_with_a_line_break_is_read_as_it_is():
    assert opened("inside", text="Birds sing.\n").text_area(key="inside.text").value == "Birds sing.\n"
