"""The way through the pages in a browser: the menu by keyboard, on to the next page, addresses that are not there."""

import re

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from playwright.sync_api import expect  # noqa: E402
from serving import settled  # noqa: E402
from test_browser import visit  # noqa: E402, F401  a fixture

from attn.ui.menu import MENU  # noqa: E402

NO_PAGE = re.compile("page that you have requested does not seem to exist")  # what Streamlit writes into the log


def opened_address(visit, address):  # noqa: F811
    """Open an address as a visitor types it."""
    visit.page.goto(f"{visit.address}/{address}")
    settled(visit.page)
    visit.complaints[:] = [line for line in visit.complaints if not NO_PAGE.search(line)]
    return visit.page


def test_an_address_that_is_not_there_is_named_on_home(visit):  # noqa: F811
    page = opened_address(visit, "no<b>such:smile:page?layer=2")
    told = page.get_by_text("There is no page at /no<b>such:smile:page, so this is Home.")
    expect(told).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("the look of head 2 in layer 2")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Masks").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who may look at whom?")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who looks at whom?")
    settled(page)
    expect(told).to_have_count(0)


def test_an_address_in_capitals_opens_the_page(visit):  # noqa: F811
    page = opened_address(visit, "MASKS/?mask=window")
    expect(page.get_by_role("heading", level=1)).to_have_text("Who may look at whom?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(f"{visit.address}/masks?mask=window")


def test_the_menu_is_read_as_it_is_walked_and_the_next_page_is_a_click_away(visit):  # noqa: F811
    """Down one column and then the other, as the tabulator goes."""
    page = visit.go("masks", "?mask=window")
    menu = page.locator(".attn-menu a")
    assert [link.inner_text().split("\n")[-1] for link in menu.all()] == [entry.label for entry in MENU]
    home, *boxes = [link.bounding_box() for link in menu.all()]
    assert sorted(boxes, key=lambda box: (box["x"], box["y"])) == boxes
    assert home["y"] < min(box["y"] for box in boxes)
    assert len({box["x"] for box in boxes}) == 2
    assert max(box["y"] + box["height"] for box in boxes) < 360  # half a low window: the first controls are in view
    page.get_by_test_id("stSidebar").get_by_role("link", name="Softmax").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("How do scores become weights?")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who may look at whom?")
    visit.wait_for_link(mask="window")
    page.go_forward()
    expect(page.get_by_role("heading", level=1)).to_have_text("How do scores become weights?")
    page.get_by_role("link", name="Next: Masks, how a word").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who may look at whom?")
    visit.wait_for_link(mask="window")  # as it was left
    here = page.get_by_role("navigation", name="Pages").get_by_role("link", name="Masks")
    expect(here).to_have_attribute("aria-current", "page")
    assert here.evaluate("one => one.href") == f"{visit.address}/masks?mask=window"  # to copy, or for another window


def test_what_was_typed_goes_along_by_the_menu_and_by_next(visit):  # noqa: F811
    page = visit.go("home")
    page.get_by_role("textbox", name="A sentence").fill("She hid the cat.")
    page.keyboard.press("Enter")
    visit.wait_for_link(text="She hid the cat.")
    settled(page)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Pretrained").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Is it the same in a real model?")
    visit.wait_for_link(text="She hid the cat.")
    settled(page)
    cell = visit.link["cell"]
    page.get_by_role("link", name="Next: Inside, what").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What does every head look at?")
    visit.wait_for_link(text="She hid the cat.", cell=cell)


def test_a_number_under_the_pointer_goes_with_its_figure(visit):  # noqa: F811
    page = visit.go("home")
    tooltip = page.locator("#vg-tooltip-element")
    for word, cell in (("cross", "6,0"), ("street", "8,0")):
        named = page.locator("svg.marks text", has_text=word).first
        place = named.bounding_box()
        page.mouse.move(place["x"] + 4, place["y"] + 8)
        expect(tooltip).to_contain_text(word)
        page.mouse.down()
        page.mouse.up()
        visit.wait_for_link(cell=cell)
        settled(page)
        expect(tooltip).to_be_hidden()
        page.mouse.move(5, 5)
        place = named.bounding_box()  # the words above may be more now
        page.mouse.move(place["x"] + 6, place["y"] + 8)
        expect(tooltip).to_contain_text(word)  # what it says now is the new figure's


def test_ones_own_sentence_stays_as_a_cell_is_chosen(visit):  # noqa: F811
    page = visit.go("home")
    page.get_by_role("textbox", name="A sentence").fill("She hid the cat.")
    page.keyboard.press("Enter")
    visit.wait_for_link(text="She hid the cat.")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Masks").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who may look at whom?")
    settled(page, 2)
    page.get_by_role("combobox", name="Numbers from").click()
    page.get_by_role("option", name="A sentence").click()
    visit.wait_for_link(source="random", text="She hid the cat.")
    expect(page.get_by_role("combobox", name="Numbers from")).to_have_value("Your sentence")
    visit.click(1, 3)
    visit.wait_for_link(source="random", text="She hid the cat.", mask="painted")
