"""What only a browser shows: links on a cold server, clicks in figures, both colour schemes, no word to the outside."""

import io
import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from driving import PAGES
from PIL import Image

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from playwright.sync_api import expect  # noqa: E402
from serving import FIGURE, settled, taken_away  # noqa: E402
from setups import painted  # noqa: E402

expect.set_options(timeout=30_000)

PATHS = {page: "" if page == "home" else page for page in PAGES}
ODD_LINKS = {
    "home": ("?layer=2&head=7", "head 7 in layer 2"),
    "step_by_step": ("?source=random&text=one%20two%20two&stage=scaled&cell=2,1", "3 two"),
    "heads": ("?num_heads=6&num_kv_heads=3", "Here 6 heads share 3 sets of keys and values"),
    "masks": ("?mask=window&window=1", "1"),
    "pretrained": ("?layer=2&head=7", "Layer 2, head 7 of"),
}
HARMLESS = (
    r"status of 404.*/_stcore/(health|host-config)",  # Streamlit asks for both below the page's path first
    r'Autosize "fit" only works for single views',  # Vega, on figures side by side
)


class Visit:
    """One visitor's page, and everything it said and asked for."""

    def __init__(self, page, address):
        self.address, self.page = address, page
        self.complaints, self.requests = [], []
        self._listeners = {"console": self._heard, "pageerror": self._failed, "request": self._asked}
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def leave(self):
        """Listen no more: the tab is the next visitor's."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)

    def _failed(self, error):
        self.complaints.append(str(error))

    def _asked(self, request):
        self.requests.append(request.url)

    def _heard(self, message):
        line = f"{message.text} {message.location.get('url', '')}"
        if message.type in ("error", "warning") and not any(re.search(known, line) for known in HARMLESS):
            self.complaints.append(f"{message.type}: {line}")

    def go(self, page, query="", figures=1):
        """Open a page by a link, as on a server that has never seen this visitor."""
        self.page.goto(f"{self.address}/{PATHS[page]}{query}")
        settled(self.page, figures)
        return self.page

    @property
    def link(self):
        """What the address bar says was chosen."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.page.url).query).items()}

    def wait_for_link(self, **choices):
        """Wait until the address bar says this of these choices; None: nothing."""
        wanted = ", ".join(f"{name}={value}" for name, value in choices.items())
        until = time.monotonic() + 30
        while any(self.link.get(name) != value for name, value in choices.items()):
            assert time.monotonic() < until, f"the link must say {wanted}, got {self.page.url}"
            self.page.wait_for_timeout(50)
        settled(self.page)

    def cell(self, row, column, figure=0, matrix=0):
        """Return a cell of a heat map: of which figure, and of which matrix in it."""
        name = f'[aria-roledescription="rect mark"][aria-label^="column: {column}; row: {row};"]'
        return self.page.locator(FIGURE).nth(figure).locator(name).nth(matrix)

    def click(self, row, column, **where):
        """Click into the middle of a cell, where its number may stand."""
        cell = self.cell(row, column, **where)
        cell.scroll_into_view_if_needed()
        cell.click(force=True)

    def slide(self, label, keys):
        """Move a slider by keys."""
        self.slider(label).focus()
        for key in keys:
            self.slider(label).press(key)

    def slider(self, label):
        return self.page.locator(f'input[type="range"][aria-label="{label}"]')


@pytest.fixture
def visit(server, tab, request):
    """A new visitor; afterwards nothing must have been complained about or asked of another machine."""
    tab.emulate_media(color_scheme=getattr(request, "param", "light"))
    visitor = Visit(tab, server)
    yield visitor
    visitor.leave()
    abroad = [url for url in visitor.requests if not url.startswith((server, "data:", "blob:"))]
    assert visitor.complaints == []
    assert abroad == []


def test_a_cold_link_to_the_pretrained_page(visit):
    """First of all, so that the server has loaded nothing yet."""
    page = visit.go("pretrained", "?layer=2&head=7", figures=2)
    expect(page.get_by_text("Layer 2, head 7 of")).to_be_visible()
    expect(page.get_by_text("Agrees.")).to_be_visible()


@pytest.mark.parametrize("visit", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("page", ODD_LINKS)
def test_a_cold_link_to_a_page_as_somebody_set_it_up(visit, page):
    """Every page as it is at first is opened in `test_browser_widths`."""
    query, words = ODD_LINKS[page]
    shown = visit.go(page, query)
    expect(shown.get_by_text(words).first).to_be_visible()
    expect(shown.get_by_test_id("stException")).to_have_count(0)
    assert parse_qs(query[1:]) == {name: [value] for name, value in visit.link.items()}


@pytest.mark.parametrize("visit", ["light", "dark"], indirect=True)
def test_the_figures_wear_the_colours_of_the_page(visit):
    page = visit.go("masks")
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ground = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    text = page.locator(f"{FIGURE} svg text").first.evaluate("text => getComputedStyle(text).fill")
    assert (_brightness(ground) < 64) == dark
    assert (_brightness(text) > 128) == dark


def test_a_control_is_followed_by_the_picture_and_the_link_and_survives_a_reload(visit):
    page = visit.go("step_by_step", "?source=random&text=one%20two%20three%20four&stage=weights")
    figure = page.locator(FIGURE).first
    before = figure.locator("svg").inner_html()
    visit.slide("d_k", ["ArrowRight", "ArrowRight"])
    visit.wait_for_link(d_k="6")
    assert figure.locator("svg").inner_html() != before
    after = [visit.cell(row, 0, matrix=1).get_attribute("aria-label") for row in range(4)]
    page.reload()
    settled(page)
    assert visit.link == {"source": "random", "text": "one two three four", "stage": "weights", "d_k": "6"}
    assert visit.slider("d_k").input_value() == "6"
    assert [visit.cell(row, 0, matrix=1).get_attribute("aria-label") for row in range(4)] == after


def test_a_slider_moved_fast_stays_where_it_was_left(visit):
    visit.go("step_by_step", "?source=random&text=one%20two%20three%20four&d_k=7")
    for pause, end in ((0, "12"), (120, "17")):
        for _ in range(5):
            visit.slide("d_k", ["ArrowRight"])
            visit.page.wait_for_timeout(pause)
        visit.wait_for_link(d_k=end)
        assert visit.slider("d_k").input_value() == end


def test_the_browser_goes_back(visit):
    page = visit.go("step_by_step", "?source=random&cell=1,4")
    visit.slide("d_k", ["ArrowRight"])
    visit.wait_for_link(d_k="5")
    page.wait_for_timeout(1500)  # a link replaced a moment ago counts as late
    page.go_back()
    visit.wait_for_link(d_k=None)
    assert visit.slider("d_k").input_value() == "4"


def test_a_cell_chosen_on_step_by_step(visit):
    page = visit.go("step_by_step", "?source=random&text=one%20two%20three%20four&stage=weights")
    visit.click(3, 0, matrix=1)
    visit.wait_for_link(cell="3,0")
    expect(page.get_by_text(re.compile("4 four looks most at")).first).to_be_visible()
    expect(page.get_by_label(re.compile("^Where 4 four looks")).first).to_be_visible()
    page.get_by_role("radio", name="Scores").click()
    visit.wait_for_link(stage="products", cell="3,0")
    expect(page.get_by_label(re.compile("4 four")).first).to_be_visible()


@pytest.mark.parametrize("stage", ["scaled", "masked", "weights"])
def test_of_alike_matrices_of_a_step_each_can_be_clicked(visit, stage):
    visit.go("step_by_step", f"?source=random&text=one%20two%20three%20four&stage={stage}")
    visit.click(2, 1, matrix=0)
    visit.wait_for_link(cell="2,1")
    visit.click(3, 0, matrix=1)
    visit.wait_for_link(cell="3,0")


@pytest.mark.parametrize("frame", ["", "&embed=true", "&present=1"])
def test_a_click_leaves_every_legend_its_colours(visit, frame):
    page = visit.go("step_by_step", f"?source=random&text=one%20two%20three%20four&stage=products{frame}", figures=2)
    visit.click(3, 0, matrix=-1)
    visit.wait_for_link(cell="3,0")
    bars = [bar for bar in page.locator(f'{FIGURE} .role-legend-gradient [fill^="url("]').all() if bar.is_visible()]
    assert len(bars) >= (1 if "present" in frame else 2)
    for bar in bars:
        picture = Image.open(io.BytesIO(bar.screenshot())).convert("RGB")
        assert len(set(picture.get_flattened_data())) > 20


def test_the_path_is_walked_by_the_arrow_keys(visit):
    page = visit.go("step_by_step")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("ArrowRight")
    visit.wait_for_link(stage="embeddings")
    page.keyboard.press("ArrowRight")
    visit.wait_for_link(stage="projections")
    page.keyboard.press("ArrowLeft")
    visit.wait_for_link(stage="embeddings")
    page.keyboard.press("ArrowLeft")
    visit.wait_for_link(stage=None)


def test_a_number_is_typed_into_a_matrix(visit):
    page = visit.go("step_by_step", "?tab=Edit+the+numbers&stage=embeddings")
    grid = page.get_by_test_id("stDataFrame").first
    grid.scroll_into_view_if_needed()
    page.wait_for_timeout(300)  # until scrolling has come to rest
    box = grid.bounding_box()
    page.mouse.dblclick(box["x"] + 160, box["y"] + 52)  # the first number, right of the token
    editor = page.locator(".gdg-input")
    expect(editor).to_be_focused()
    editor.fill("7.5")
    page.wait_for_timeout(300)  # the grid takes what is typed with a delay
    editor.press("Enter")
    visit.wait_for_link(edits="x.0.0=7.5")
    grid.hover()
    tools, matrices = page.get_by_test_id("stElementToolbar").last, page.get_by_role("radio", name="W_q")
    assert tools.bounding_box()["y"] >= matrices.bounding_box()["y"] + matrices.bounding_box()["height"]
    tools.get_by_role("button", name="Fullscreen", exact=True).click()
    expect(tools.get_by_role("button", name="Close fullscreen")).to_be_visible()
    page.keyboard.press("Escape")
    expect(matrices).to_be_in_viewport()
    expect(visit.cell(0, 0)).to_have_attribute("aria-label", re.compile("number: 7.5"))
    visit.cell(0, 0).hover(force=True)  # its number lies over it
    figure, signs = page.get_by_test_id("stVegaLiteChart").first, page.get_by_test_id("stElementToolbar").first
    assert signs.bounding_box()["y"] >= figure.bounding_box()["y"] + figure.bounding_box()["height"]  # above are words
    shown = signs.get_by_role("button").filter(visible=True)  # its numbers and its files are below it
    expect(shown).to_have_count(1)
    expect(shown).to_have_accessible_name("Fullscreen")
    page.get_by_role("button", name="Reset this page").click()
    visit.wait_for_link(edits=None)
    page = visit.go("step_by_step", "?tab=edit&stage=embeddings&edits=x.0.0%3D7.5")
    page.get_by_role("button", name=re.compile("Undo")).click()
    visit.wait_for_link(edits=None)


def test_cells_of_a_mask_are_painted(visit):
    page = visit.go("masks", "?mask=none", figures=2)
    visit.click(1, 4)
    visit.wait_for_link(mask="painted", painted=painted((1, 4)))
    expect(visit.cell(1, 4)).to_have_attribute("aria-label", re.compile("hidden"))
    visit.click(0, 2)
    expect(visit.cell(0, 2)).to_have_attribute("aria-label", re.compile("hidden"))
    visit.click(1, 4)
    expect(visit.cell(1, 4)).not_to_have_attribute("aria-label", re.compile("hidden"))
    assert visit.link["painted"] == painted((0, 2))
    expect(page.get_by_text("35 of 36 pairs of query and key are seen")).to_be_visible()


def test_the_menu_keeps_what_was_chosen(visit):
    page = visit.go("heads", "?seed=5")
    visit.slide("Query heads", ["ArrowRight"])
    visit.wait_for_link(num_heads="5", seed="5")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Masks").click()
    page.wait_for_url("**/masks*")
    visit.wait_for_link(seed=None)
    expect(page.get_by_role("heading", name="Who may look at whom?")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Heads").click()
    page.wait_for_url("**/heads*")
    visit.wait_for_link(num_heads="5", seed="5")
    expect(page.get_by_text("Here there are 5, each").first).to_be_visible()


def test_a_way_in_sets_up_a_page(visit):
    page = visit.go("home")
    page.get_by_role("link", name="Read another sentence").click()
    expect(page).to_have_url(re.compile("/heads.*mode=cross"))
    settled(page)
    expect(page.get_by_role("radio", name="Cross-attention")).to_be_checked()


def test_a_word_on_home_shows_where_it_looks(visit):
    page = visit.go("home")
    page.locator(f'{FIGURE} [aria-label*="tired"][aria-roledescription="rect mark"]').click(force=True)
    expect(page.get_by_text(re.compile("14 tired looks most at"))).to_be_visible()
    visit.wait_for_link(cell="13,0")


def test_pretrained_from_end_to_end(visit):
    page = visit.go("pretrained", figures=2)
    verdict = page.get_by_test_id("stAlert")
    for title in ("The model's own", "From scratch, in numpy"):
        expect(page.locator(f"{FIGURE} svg text", has_text=title).first).to_be_visible()
    expect(verdict).to_contain_text("Agrees.")
    largest = float(
        re.search(r"Attention: (\S+) is the largest difference in this head", verdict.inner_text())[1].replace("−", "-")
    )
    assert largest <= 1e-5

    visit.slide("Head", ["ArrowRight"])
    visit.wait_for_link(head="3")
    expect(page.get_by_text("Layer 4, head 3 of")).to_be_visible()
    expect(verdict).to_contain_text("Agrees.")

    visit.click(1, 8, figure=1)  # the map of layers and heads
    visit.wait_for_link(layer="2", head="9")
    expect(page.get_by_text("Layer 2, head 9 of")).to_be_visible()

    visit.click(4, 6, matrix=1)  # from scratch
    visit.wait_for_link(cell="4,6")

    page.get_by_text("Break it").click()
    page.get_by_text("No scaling").click()
    visit.wait_for_link(unscaled="1")
    expect(verdict).to_contain_text("Broken.")
    page.get_by_text("No scaling").click()
    visit.wait_for_link(unscaled=None)
    expect(verdict).to_contain_text("Agrees.")

    page.get_by_role("radio", name="Its input").click()
    visit.wait_for_link(start="input")
    expect(verdict).to_contain_text("Agrees.")

    page.get_by_role("tab", name="Its matrices").click()
    expect(page.locator(f"{FIGURE} text", has_text="W_q").first).to_be_visible()


def test_a_part_of_a_long_text_is_marked(visit):
    page = visit.go("pretrained", "?text=" + "%20".join(["A long text about attention."] * 16), figures=2)
    whole = page.locator(FIGURE).first
    box = whole.locator("svg, canvas").first.bounding_box()
    x, y = box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 60, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("window="))
    settled(page, 2)


def test_numbers_are_downloaded(visit):
    page = visit.go("masks")
    rows = taken_away(page, "weights.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 7
    assert "2 is" in rows[0]
    assert sum(map(float, rows[2].split(",")[1:])) == pytest.approx(1)


def test_markup_stays_text(visit):
    page = visit.go("step_by_step", "?source=random&cell=1,4&stage=weights")
    box = page.get_by_role("textbox", name="Sentence")
    box.fill("<img src=x onerror=alert(1)> **bold** :smile: $x$")
    box.press("ControlOrMeta+Enter")
    expect(page.get_by_text(re.compile("2 img looks most at")).first).to_be_visible()
    visit.wait_for_link(text="<img src=x onerror=alert(1)> **bold** :smile: $x$")
    assert page.locator("img[src=x]").count() == 0
    page.goto(f"{visit.address}/masks?nothing=![x](https://example.org/x.png)&%3Cb%3E=1")
    settled(page)
    expect(page.get_by_text("a setting this page does not have: <b>")).to_be_visible()


def test_an_embedded_page_keeps_its_link(visit):
    page = visit.go("home", "?embed=true&layer=2")
    visit.slide("Head", ["ArrowRight"])
    visit.wait_for_link(head="3", layer="2", embed="true")
    for name in ("Softmax", "Attention in ten minutes", "Next: Step by step"):  # nothing leads away from the frame
        expect(page.get_by_role("link", name=name)).to_have_count(0)
    expect(page.get_by_role("button", name="Present")).to_have_count(0)
    page.goto(f"{visit.address}/softmax?embed=true")
    settled(page)
    expect(page.get_by_test_id("stSidebar").get_by_role("slider").first).to_be_attached()  # the page's own controls
    page = visit.go("home", "?embed=true&layer=2&head=3")
    expect(page.get_by_text("head 3 in layer 2")).to_be_visible()


def _brightness(colour):
    """Return how bright a CSS colour is, from 0 to 255."""
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_a_tab_opens_by_a_click_and_by_an_older_link(visit):
    page = visit.go("masks", "?tab=Code", figures=2)
    visit.wait_for_link(tab="code")
    expect(page.get_by_role("tab", name="Code")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="What leaks, by route").click()
    visit.wait_for_link(tab=None)
    expect(page.locator(FIGURE)).to_have_count(3)
    page.get_by_role("tab", name="Code").click()
    visit.wait_for_link(tab="code")
    expect(page.locator(FIGURE)).to_have_count(2)
