"""The app without a mouse: every cell, row, head, vector and painted mask, the menu, the steps, tabs and pages."""

import csv
import io
import re

import pytest
from PIL import Image
from setups import painted

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from playwright.sync_api import expect  # noqa: E402
from serving import FIGURE, settled, taken_away  # noqa: E402
from test_browser import visit  # noqa: E402, F401  a fixture

from attn.ui.keyboard import KEYS  # noqa: E402
from attn.ui.present import PRESENT_KEYS  # noqa: E402

MOST_STOPS = 10  # of the tabulator key, before a page's own controls


class Keys:
    """A visitor who has only a keyboard, and what is said to them."""

    def __init__(self, visitor):
        self.visit, self.page = visitor, visitor.page

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def to_figure(self, number=0):
        """Go to a figure, and wait until it has the focus."""
        figure = self.page.locator(FIGURE).nth(number)
        for _ in range(number + 1):
            if not figure.evaluate("figure => figure === document.activeElement"):
                self.press("Alt+Shift+F")
        expect(figure).to_be_focused()

    def hear(self, words):
        expect(self.page.locator(".attn-said[role=status]")).to_have_text(re.compile(words))

    @property
    def focused(self):
        return self.page.evaluate("[document.activeElement.ariaLabel, document.activeElement.innerText].join(' ')")


@pytest.fixture
def keys(visit):  # noqa: F811
    return Keys(visit)


def test_a_cell_on_step_by_step(keys):
    keys.visit.go("step_by_step", "?source=random&text=one%20two%20three%20four&stage=weights")
    stage = keys.visit.link.get("stage")
    keys.to_figure()
    keys.press("PageDown", "ArrowRight")
    keys.hear("^query 1 one, key 2 two, weight ")
    keys.press("ArrowDown", "ArrowDown", "ArrowDown", "Home")
    keys.hear("^query 4 four, key 1 one, weight ")
    keys.press("Enter")
    keys.visit.wait_for_link(cell="3,0")
    expect(keys.page.locator(FIGURE).first).to_be_focused()
    expect(keys.page.locator(".attn-ring")).to_be_visible()
    keys.press("ArrowRight")  # from where it was, and no step on
    keys.hear("^query 4 four, key 2 two, weight ")
    assert keys.visit.link.get("stage") == stage
    keys.press("Escape")
    keys.page.wait_for_timeout(300)  # in which a redrawing would bring it back
    expect(keys.page.locator(".attn-ring")).to_have_count(0)
    keys.press("ArrowRight")
    expect(keys.page.locator(".attn-ring")).to_be_visible()


def test_a_head_on_heads(keys):
    keys.visit.go("heads")
    keys.to_figure()
    keys.press("End")
    keys.hear("^query head 4 reads")
    keys.press("ArrowRight", "End")
    keys.hear("head 4, query 1 The, key 12")
    keys.press("Enter")
    keys.visit.wait_for_link(head="4")
    expect(keys.page.locator(FIGURE).first).to_be_focused()


def test_a_mask_is_painted(keys):
    keys.visit.go("masks", "?mask=none", figures=2)
    keys.to_figure()
    keys.press("ArrowRight", "ArrowRight", "Enter")
    keys.visit.wait_for_link(mask="painted", painted=painted((0, 2)))
    keys.hear("hidden$")  # of the figure drawn anew, which has the focus again
    expect(keys.page.locator(FIGURE).first).to_be_focused()
    keys.press("ArrowDown", "Space")
    keys.visit.wait_for_link(painted=painted((0, 2), (1, 2)))


def test_a_vector_is_moved_and_a_row_chosen_on_scores(keys):
    keys.visit.go("scores")
    keys.to_figure()
    keys.press("ArrowRight", "ArrowDown", "Enter")
    page = keys.page
    keys.visit.wait_for_link(keys="0.75,0.75;1,1;-1,2")
    keys.press("PageDown", "ArrowDown", "Enter")
    keys.visit.wait_for_link(score="additive")
    expect(page.locator(FIGURE).first).to_be_focused()


def test_a_head_on_inside_and_on_change(keys):
    keys.visit.go("inside")
    keys.to_figure()
    keys.press("ArrowDown", "ArrowRight", "Enter")
    keys.visit.wait_for_link(layer="2", head=None)  # 2, where the page opens
    keys.visit.go("change", figures=2)
    keys.to_figure(1)
    keys.press("ArrowDown", "ArrowRight", "Enter")
    keys.visit.wait_for_link(off="2.2;4.12;6.1;6.6")  # beside those that the page opens with


def test_a_map_on_canvas_and_a_part_of_a_long_text(keys):
    words = "%20".join(["A long text about attention."] * 16)
    page = keys.visit.go("pretrained", f"?text={words}", figures=2)
    keys.to_figure()
    keys.press(*["ArrowRight"] * 12, *["ArrowDown"] * 12)
    keys.hear("largest weight here")
    keys.press("Enter")
    page.wait_for_function("location.search.includes('window=')")
    settled(page, 2)
    expect(page.locator(FIGURE).first).to_be_focused()
    keys.to_figure(1)
    expect(page.locator(FIGURE).nth(1).locator("canvas")).to_be_visible()
    keys.press("ArrowRight", "ArrowDown")
    keys.hear("^query .*, key .*, weight ")
    keys.press("Enter")
    page.wait_for_function("location.search.includes('cell=')")


def test_the_numbers_of_a_figure_are_a_table(keys):
    page = keys.visit.go("masks")
    rows = list(csv.reader(taken_away(page, "weights.csv").read_text(encoding="utf-8-sig").splitlines()))
    keys.press("Escape")
    page.get_by_text("Numbers as a table").first.focus()
    keys.press("Enter")
    table = page.get_by_role("table", name="Weights")
    expect(table).to_be_visible()
    assert table.get_by_role("columnheader").all_inner_texts()[1:] == rows[0][1:]
    assert table.get_by_role("rowheader").all_inner_texts() == [row[0] for row in rows[1:]]
    said = [float(text) if text != "hidden" else 0.0 for text in table.get_by_role("cell").all_inner_texts()]
    assert said == pytest.approx([float(number) for row in rows[1:] for number in row[1:]], abs=1e-3)


def test_numbers_that_go_on_beyond_their_frame_have_a_shadow_there(visit):  # noqa: F811
    def opened(page, query=""):
        shown = visit.go(page, query)
        shown.get_by_text("Numbers as a table").first.click()
        return shown.locator(".attn-numbers > div").first

    def edge(frame, upper=False):
        """Return the colours along the lower or upper edge of a frame, where no number stands."""
        frame.evaluate("frame => frame.scrollIntoView({ block: 'end' })")
        picture = Image.open(io.BytesIO(frame.screenshot())).convert("L")
        top = 0 if upper else picture.height - 3
        return picture.crop((picture.width // 2, top, picture.width // 2 + 9, top + 3)).getextrema()

    def scrolled(frame, down):
        frame.evaluate("(frame, down) => { frame.scrollTop = down; }", down)
        return frame

    visit.page.set_viewport_size({"width": 390, "height": 844})
    assert opened("home").evaluate("frame => frame.scrollHeight === frame.clientHeight")  # 16 tokens
    visit.page.set_viewport_size({"width": 1280, "height": 720})
    frame = opened("inside")
    (darkest, _), at_the_top = edge(frame), frame.evaluate("frame => frame.scrollTop")
    assert at_the_top == 0
    assert 180 < darkest < 220  # seen, and words on it are read
    assert any(edge(scrolled(frame, down), upper=True) == (255, 255) for down in range(4, 36, 3))  # between two lines
    assert edge(scrolled(frame, 10_000)) == (255, 255)


def test_few_stops_come_before_the_controls(keys):
    page = keys.visit.go("step_by_step")
    stops = []
    while "Numbers from" not in keys.focused:
        keys.press("Tab")
        stops.append(keys.focused)
        assert len(stops) <= MOST_STOPS, f"the page's first control must come within these stops, got {stops}"
    page.reload()
    settled(page)
    keys.press("Tab", "Tab", "Enter")  # the links to skip
    expect(page.locator(FIGURE).first).to_be_focused()


def test_the_menu_the_tabs_and_the_pages_have_keys(keys):
    page = keys.visit.go("masks", figures=2)
    keys.press("Alt+Shift+S")
    keys.visit.wait_for_link(tab="code")
    keys.press("Alt+Shift+N")
    expect(page.get_by_role("heading", name="Who may look at whom?")).to_have_count(0)
    settled(page)
    keys.press("Alt+Shift+P")
    expect(page.get_by_role("heading", name="Who may look at whom?")).to_be_visible()
    settled(page, 2)
    keys.press("Alt+Shift+M")
    assert "Masks" in keys.focused
    keys.press("Home")
    assert "Home" in keys.focused
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Who looks at whom?")).to_be_visible()
    page.get_by_text("Keyboard", exact=True).click()
    assert page.locator(".attn-keys dt").all_inner_texts() == [name for name, _ in (*KEYS, *PRESENT_KEYS)]


def test_arrows_belong_to_what_has_the_focus(keys):
    keys.visit.go("step_by_step", "?source=random&stage=weights")
    link = keys.visit.link
    keys.to_figure()
    keys.press("ArrowRight", "ArrowRight")
    keys.visit.slider("Softmax temperature").focus()
    keys.press("ArrowRight")
    keys.visit.wait_for_link(temperature="1.01")
    assert keys.visit.link.get("stage") == link.get("stage")
