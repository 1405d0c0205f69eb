"""A story walked in a browser: within a page the address keeps up, a task ticks itself, and a guess is answered."""

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from playwright.sync_api import expect  # noqa: E402
from serving import settled  # noqa: E402
from test_browser import visit  # noqa: E402, F401  a fixture


def test_a_story_is_walked_within_a_page_and_says_so_in_the_address(visit):  # noqa: F811
    page = visit.go("step_by_step", "?stage=embeddings&story=ten_minutes&screen=2")
    card = page.locator(".st-key-story_card")
    card.get_by_role("link", name="Next screen").click()
    visit.wait_for_link(stage="projections", story="ten_minutes", screen="3")
    settled(page)
    expect(card).to_contain_text("To do:")
    page.get_by_test_id("stMain").get_by_text("Key", exact=True).first.click()
    expect(card).to_contain_text("Done:")
    expect(card).to_contain_text("screen 3 of 14")
    page.get_by_role("link", name="Next screen: Every query meets every key.").click()  # at the foot
    visit.wait_for_link(stage="products", story="ten_minutes", screen="4", done="2")
    settled(page)
    page.reload()
    settled(page)
    expect(card).to_contain_text("screen 4 of 14")
    top = page.locator('[data-testid="stVegaLiteChart"]').first.bounding_box()["y"]
    assert top < 500  # the figure is in view under the card


def test_what_a_screen_is_about_stands_alone_until_the_rest_is_asked_for(visit):  # noqa: F811
    page = visit.go("softmax", "?tab=scaling&story=ten_minutes&screen=9")
    charts = page.locator('[data-testid="stVegaLiteChart"]:visible')
    expect(charts).to_have_count(1)
    expect(page.get_by_text("Sources", exact=True)).to_be_visible()
    expect(page.get_by_role("tab", name="Gradient")).to_be_hidden()
    page.get_by_text("Show the rest of this page").click()
    expect(page.get_by_role("tab", name="Gradient")).to_be_visible()
    expect(charts).to_have_count(2)


def test_the_keys_of_a_step_take_the_story_along_though_its_buttons_are_away(visit):  # noqa: F811
    page = visit.go("step_by_step", "?stage=weights&cell=5,2&story=ten_minutes&screen=7")
    expect(page.get_by_role("button", name="Step on")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    visit.wait_for_link(stage="context", story="ten_minutes", screen="8")


def test_the_ways_of_a_last_screen_stand_in_one_row(visit):  # noqa: F811
    page = visit.go("cost", "?story=ten_minutes&screen=14&done=1,2")
    page.set_viewport_size({"width": 1280, "height": 720})
    settled(page)
    card = page.locator(".st-key-story_ways")
    names = ("Screen before", "Next story", "Again", "Hand in", "Leave")
    boxes = [card.get_by_text(name, exact=True).first.bounding_box() for name in names]
    assert max(box["y"] for box in boxes) - min(box["y"] for box in boxes) < 10, boxes


def test_a_window_measured_while_a_link_is_followed_does_not_call_the_old_page(visit):  # noqa: F811
    page = visit.go("step_by_step", "?stage=context&story=ten_minutes&screen=8")
    page.locator(".st-key-story_card").get_by_role("link", name="Next screen").evaluate(
        """(link) => {
            const seen = new ResizeObserver(() => {
                seen.disconnect();
                setTimeout(() => {
                    for (const end = performance.now() + 200; performance.now() < end; );
                    link.click(); // and the ruler, whose turn has come meanwhile, is next
                }, 20);
            });
            document.querySelector('[data-testid="stMain"]').style.width = "700px";
            seen.observe(document.querySelector('[data-testid="stMainBlockContainer"]'));
        }"""
    )
    page.wait_for_url("**/softmax?*")
    settled(page)
    expect(page.get_by_role("heading", name="How do scores become weights?")).to_be_visible()
    assert "The link holds" not in page.get_by_test_id("stMain").inner_text()


def test_somebody_puts_a_story_together_and_another_opens_its_link(visit):  # noqa: F811
    page = visit.go("masks", "?mask=window")
    page.get_by_role("button", name="My story").click()
    window = page.get_by_role("dialog")
    add = window.get_by_role("button", name="Add this screen to my story")
    add.click()
    sentence = window.get_by_role("textbox", name="Its sentence")
    sentence.fill("Only neighbours are seen.")
    sentence.press("Enter")
    add.click()
    expect(window.get_by_role("combobox", name="Screen")).to_have_value("2. Masks: Masks")
    title = window.get_by_role("textbox", name="Its title")
    title.fill("Once more")
    title.press("Enter")
    window.get_by_role("button", name="Earlier").click()
    expect(window.get_by_role("combobox", name="Screen")).to_have_value("1. Masks: Once more")
    window.get_by_role("button", name="Remove").click()
    expect(sentence).to_have_value("Only neighbours are seen.")
    link = window.get_by_test_id("stCode").inner_text().strip()
    window.get_by_text("Begin with another story, or with a file").click()
    file = {
        "name": "story.yaml",
        "mimeType": "application/yaml",
        "buffer": b"title: [x]\nscreens: [{link: heads, title: y}]",
    }
    window.locator('input[type="file"]').set_input_files(file)
    expect(window.get_by_text("A story: title must be text, got a list of 1.")).to_be_visible()
    expect(sentence).to_have_value("Only neighbours are seen.")  # what was there stays
    file["buffer"] = b"title: For my class\nscreens: [{link: heads, title: Many heads}]"
    window.locator('input[type="file"]').set_input_files(file)
    expect(window.get_by_role("combobox", name="Screen")).to_have_value("1. Heads: Many heads")
    page.goto(link)
    settled(page)
    expect(page.locator(".st-key-story_card")).to_contain_text("Masks Only neighbours are seen.")
