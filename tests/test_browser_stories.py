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
    expect(card).to_contain_text("1 of 11 done")
    card.get_by_role("link", name="Next screen").click()
    visit.wait_for_link(stage="products", story="ten_minutes", screen="4", done="2")
    settled(page)
    page.reload()
    settled(page)
    expect(card).to_contain_text("4 of 12 · 1 of 11 done")
    top = page.locator('[data-testid="stVegaLiteChart"]').first.bounding_box()["y"]
    assert top < 500  # the figure is in view under the card
