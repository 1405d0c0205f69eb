"""Every page on screens from a phone to a hall's: nothing of it is cut off, too small to touch or too small to read."""

import contextlib
import re
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from driving import PAGES
from setups import SETUPS, fields, options

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from playwright.sync_api import expect  # noqa: E402
from serving import FIGURE, by_menu, settled  # noqa: E402
from test_browser import PATHS, visit  # noqa: E402, F401  a fixture

from attn.ui.menu import MENU  # noqa: E402

LABELS = {entry.page: entry.label for entry in MENU}


class Screen(NamedTuple):
    """A window: its pixels across and down, whether words are large in it, and whether its menu is folded by hand."""

    width: int
    height: int
    large: bool = False
    folded: bool = False


SCREENS = ((1280, 720), (390, 844))
HALL = ("step_by_step", "heads", "why", "pretrained", "bottleneck", "memory")  # with large words, in each run
LOW = 500  # pixels down a window in which no figure can be seen whole
EVERY_SCREEN = (  # with --every-width, with all tabs
    *(Screen(*size) for size in (*SCREENS, (320, 640), (430, 932), (768, 1024), (844, 390), (1024, 768), (1920, 1080))),
    Screen(1280, 720, folded=True),
    Screen(1280, 720, large=True),
    Screen(1920, 1080, large=True),
)
PHONE, LAPTOP, PROJECTOR = 430, 1280, 1920  # pixels across: the widest that is held in a hand
FINGER, POINTER = 24, 10  # pixels of a cell or a button that is touched, and of a cell that is pointed at
MOST_TOUCHED = 32  # cells a side of a map that is no overview
LEAST_PLOT = 100  # pixels across of any figure
NUMBER = 14 - 1e-6  # pixels of a number in a cell, which with large words is no smaller than on a laptop
FOLD = 12  # pixels from the bottom of the window that stay free below the first figure, where one is to see it whole
SEEN = {"next_word": 1}  # which figure a page is seen whole with where not the first: the words beside the way to them
OF_A_TAB = {"spoke", "lens", "patch", "weights"}  # tabs of Why but the first: their figure stands below their controls
WORDS = "lens"  # the tab of Why whose cells hold words, which are read whole before all of them are seen: it scrolls
SEEN_WHOLE = {(1280, 720, False), (1280, 720, True), (1920, 1080, True)}  # windows, with large words or without

ROOM = "document.querySelector('[data-page-width]').dataset.pageWidth"
MEASURED = """(figure) => {
    const main = document.querySelector('[data-testid="stMain"]');
    const [style, title] = [(one) => getComputedStyle(one), main.querySelector("h1")];
    const box = (one) => one.getBoundingClientRect();
    const choices = [...main.querySelectorAll('[data-testid="stButtonGroup"] button')]
        .filter((one) => !one.closest('[data-cut~="left"], [data-cut~="right"]')).map(box);  // else their row scrolls
    const touched = [...main.querySelectorAll('button, [role="tab"], summary, [data-testid="stPageLink-NavLink"]')];
    const named = (name) => [...main.querySelectorAll("button")].find((one) => one.innerText.startsWith(name));
    const steps = ["Back", "Next", "Step on"].map(named).filter(Boolean).map((one) => box(one).top);
    const padding = parseFloat(style(title).paddingTop) + parseFloat(style(title).paddingBottom);
    return {
        beyond: Math.max(...[main, document.documentElement].map((one) => one.scrollWidth - one.clientWidth)),
        lines: Math.round((title.clientHeight - padding) / parseFloat(style(title).lineHeight)),
        hidden: choices.filter((one) => one.left < 0 || one.right > window.innerWidth).length,
        touched: Math.round(
            Math.min(...touched.map(box).filter((one) => one.width).flatMap((one) => [one.width, one.height])),
        ),
        apart: steps.length == 2 ? Math.abs(steps[0] - steps[1]) : 0,
        figures: [...main.querySelectorAll(figure)].filter((one) => one.querySelector("svg, canvas")).map((one) => {
            const drawn = box(one.querySelector("svg, canvas"));
            const cells = [...one.querySelectorAll('path[aria-label^="column: "][aria-label*="; row: "]')];
            const places = cells.map((cell) => cell.ariaLabel.match(/\\d+/g).slice(0, 2).map(Number));
            const texts = [...one.querySelectorAll("svg text")].filter((text) => text.textContent.trim());
            const inCell = (text) => {
                return cells.length && text.closest(".mark-text") && /^−?[\\d.,∞]+$/.test(text.textContent);
            };
            const size = (all) => Math.min(...all.map((text) => parseFloat(style(text).fontSize)));
            return {
                width: drawn.width,
                // beyond its margin, which holds nothing; on the left alone where it is scrolled to what is chosen
                unmarked: ((one.dataset.cut ?? "") !== "") != one.scrollWidth > one.clientWidth + 12,
                right: drawn.right,
                bottom: drawn.bottom + main.scrollTop,
                cell: Math.min(...cells.flatMap((cell) => [box(cell).width, box(cell).height])) + 1,  // and its edge
                count: 1 + Math.max(0, ...places.flat()),
                text: size(texts.filter((text) => !inCell(text))),
                number: size(texts.filter(inCell)),
            };
        }),
    };
}"""


def faults(page, width, large=False):
    """Return what is wrong with a page that is shown on a screen of this width, with words for a hall or without."""
    seen = page.evaluate(MEASURED, FIGURE)
    height = page.viewport_size["height"]
    opened = parse_qs(urlsplit(page.url).query).get("tab", [""])[0]
    whole = (width, height, large) in SEEN_WHOLE and opened not in OF_A_TAB
    least = 24 if large else 14
    held = width <= PHONE or height < LOW
    cell = FINGER if held else POINTER
    figures = seen["figures"]
    first = min(SEEN.get(page.url.split("?")[0].split("/")[-1], 0) * large, len(figures) - 1)
    found = {
        f"is {seen['beyond']} pixels wider than the screen": seen["beyond"] > 0,
        f"has a title of {seen['lines']} lines": seen["lines"] > 2,
        f"hides {seen['hidden']} choices": seen["hidden"],
        f"has a button of {seen['touched']} pixels": held and seen["touched"] < FINGER,
        "has Back and Next in two rows": seen["apart"] > 1,
        "has a figure that is a sliver": any(figure["width"] < LEAST_PLOT for figure in figures),
        f"has cells below {cell} pixels": any(
            figure["cell"] < cell for figure in figures if figure["count"] <= MOST_TOUCHED and figure["cell"]
        ),
        "has a figure that its frame cuts": width >= LAPTOP
        and f"tab={WORDS}" not in page.url
        and any(figure["right"] > width for figure in figures),
        "does not say that a figure goes on": any(figure["unmarked"] for figure in figures),
        f"has words in figures below {least} pixels": any((figure["text"] or least) < least for figure in figures),
        f"has numbers below {NUMBER} pixels": any((figure["number"] or NUMBER) < NUMBER for figure in figures),
        f"has a first figure that ends below {height - FOLD}": whole
        and figures
        and figures[first]["bottom"] > height - FOLD,
    }
    return [fault for fault, there in found.items() if there]


@contextlib.contextmanager
def looking(chromium, width, height, touched=False):
    """Open a page of a window of this size, or of a screen that is touched, until the block ends."""
    context = chromium.new_context(viewport={"width": width, "height": height}, has_touch=touched, is_mobile=touched)
    context.set_default_timeout(90_000)
    try:
        yield context.new_page()
    finally:
        context.close()


def lasting_faults(page, width, large=False):
    """Return what is wrong with a page that has come to rest: its first picture knows nothing of the window yet."""
    for _ in range(20):
        found = faults(page, width, large)
        if not found:
            break
        page.wait_for_timeout(250)
    return found


def resize(page, width, height):
    """Make the window another size, and wait until the page has measured its room and is drawn again."""
    if page.viewport_size == {"width": width, "height": height}:
        return
    before = page.evaluate(ROOM)
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(f"before => {ROOM} !== before", arg=before)
    settled(page, figures=0)


def fold(page):
    """Fold the menu away, unless it was left so, and wait until the page has measured its room and is drawn again."""
    if page.get_by_test_id("stSidebar").get_attribute("data-collapsed") == "true":
        return
    before = page.evaluate(ROOM)
    page.get_by_test_id("stSidebar").hover()
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    page.wait_for_function(f"before => {ROOM} !== before", arg=before)
    settled(page, figures=0)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_opened_on_a_laptop_and_goes_to_a_phone(visit, name):  # noqa: F811
    """By a cold link in the light theme, and then drawn again in the dark one."""
    page, wrong = visit.page, []
    for (width, height), theme in zip(SCREENS, ("light", "dark"), strict=True):
        page.emulate_media(color_scheme=theme)
        if theme == "light":
            page.set_viewport_size({"width": width, "height": height})
            visit.go(name)
            expect(page.get_by_role("link", name="Pretrained").first).to_be_visible()  # the menu
        else:
            resize(page, width, height)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        wrong += [f"at {width} {fault}" for fault in lasting_faults(page, width)]
    assert visit.link == {}
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("screen", EVERY_SCREEN, ids=str)
def test_every_tab_on_every_screen(server, chromium, request, screen, name):
    """A window of each size opens every tab by its link, as a visitor's does; in some minutes, so only when asked."""
    if not request.config.getoption("--every-width"):
        pytest.skip("--every-width was not asked for")
    wrong = []
    with looking(chromium, screen.width, screen.height) as page:
        tabs = fields(SETUPS[name]).get("tab")
        for tab in options(tabs) if tabs else [""]:
            links = {"tab": tab} if tab else {}
            page.goto(f"{server}/{PATHS[name]}?{urlencode(links | ({'large': 1} if screen.large else {}))}")
            settled(page, figures=0)
            if screen.folded:
                fold(page)
            wrong += [f"{tab or name} {fault}" for fault in lasting_faults(page, screen.width, screen.large)]
    assert wrong == [], "\n".join(wrong)


def test_in_a_hall_the_first_figure_of_a_page_is_seen_whole(server, chromium):
    wrong = []
    with looking(chromium, LAPTOP, 720) as page:
        page.goto(f"{server}/{PATHS[HALL[0]]}?large=1")
        for name in HALL:
            by_menu(page, LABELS[name])
            settled(page)
            wrong += [f"{name} {fault}" for fault in lasting_faults(page, LAPTOP, large=True)]
    assert wrong == [], "\n".join(wrong)


def test_a_map_wider_than_a_phone_keeps_the_names_of_its_rows_in_sight(visit):  # noqa: F811
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go("heads")
    frame = page.locator(FIGURE).last
    expect(frame).to_have_attribute("data-chosen", re.compile(".+"))  # it was scrolled to what is chosen
    frame.evaluate("frame => { frame.scrollLeft = 0; }")
    expect(frame).to_have_attribute("data-cut", "right")
    names = frame.locator(".pinned text")
    expect(names).to_have_count(0)
    frame.evaluate("frame => { frame.scrollLeft = frame.scrollWidth; }")
    expect(frame).to_have_attribute("data-cut", "left")
    expect(names.filter(has_text="animal")).to_be_visible()
    assert 0 <= names.filter(has_text="animal").bounding_box()["x"] - frame.bounding_box()["x"] < 60
    title, seen = frame.locator(".role-title").bounding_box(), frame.bounding_box()
    assert seen["x"] <= title["x"] < title["x"] + title["width"] < seen["x"] + seen["width"]
    plot = frame.locator(".role-scope > g > .background").first.bounding_box()
    assert frame.locator(".pinned > g > path").count() == 1  # the sign that there is more at the left
    ground = frame.locator(".pinned > g > rect").bounding_box()
    assert ground["y"] <= plot["y"]
    assert ground["y"] + ground["height"] >= plot["y"] + plot["height"]
    columns = frame.locator('.role-axis[aria-label^="X-axis"] .role-axis-label text')
    expect(columns.first).to_have_css("visibility", "hidden")  # its cells are under the names
    expect(columns.last).to_have_css("visibility", "visible")
    frame.evaluate("frame => { frame.scrollLeft = 0; }")
    expect(names).to_have_count(0)
    bar = page.get_by_test_id("stHeader")  # what scrolls goes under it, and not through its words
    expect(bar).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
    assert bar.bounding_box()["width"] == 390


def test_a_phone_scrolls_to_the_chosen_cell_and_the_open_tab(visit):  # noqa: F811
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go("heads", "?cell=0,10")
    frame = page.locator(FIGURE).last
    page.wait_for_function("figure => [...document.querySelectorAll(figure)].at(-1).scrollLeft > 0", arg=FIGURE)
    cell = frame.locator("path[stroke-width='3']:not([fill])").bounding_box()
    seen = frame.bounding_box()
    assert seen["x"] + 40 < cell["x"] < seen["x"] + seen["width"] - cell["width"]
    page = visit.go("scores", "?tab=code")
    page.wait_for_function("""() => document.querySelector('[role="tablist"]').scrollLeft > 0""")
    tab = page.get_by_role("tab", selected=True).first.bounding_box()
    assert 0 <= tab["x"] < tab["x"] + tab["width"] <= 390


def test_words_in_figures_grow_with_the_room_and_once_more_for_a_hall(visit):  # noqa: F811
    page = visit.go("masks")
    resize(page, PROJECTOR, 1080)
    assert least_text(page) >= 20
    page.get_by_test_id("stSidebar").get_by_text("Large", exact=True).click()
    visit.wait_for_link(large="1")
    assert least_text(page) >= 24
    pages = page.locator(".attn-menu a")
    assert pages.evaluate_all("all => Math.min(...all.map((one) => parseFloat(getComputedStyle(one).fontSize)))") >= 18
    assert pages.evaluate_all("all => all.filter((one) => one.scrollWidth > one.clientWidth).length") == 0
    controls = page.get_by_test_id("stSidebar").get_by_text("Numbers from", exact=True)
    assert controls.bounding_box()["y"] < 0.6 * page.viewport_size["height"]
    page.get_by_test_id("stSidebar").get_by_role("link", name="Softmax").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("How do scores become weights?")
    settled(page)
    assert visit.link == {"large": "1"}
    assert least_text(page) >= 24
    resize(page, 1280, 720)
    assert least_text(page) >= 24


def least_text(page):
    """Return the height of the smallest words and numbers in the figures of a page, in pixels."""
    return min(figure["text"] for figure in page.evaluate(MEASURED, FIGURE)["figures"])


def test_a_phone_on_its_side_begins_with_its_menu_folded_and_may_open_it(server, chromium):
    page = chromium.new_page(viewport={"width": 844, "height": 390})
    page.goto(f"{server}/masks")
    menu = page.get_by_test_id("stSidebar")
    expect(menu).to_have_attribute("data-collapsed", "true")
    settled(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(menu).to_have_attribute("data-collapsed", "false")
    home = menu.get_by_role("link", name="Home").bounding_box()
    assert home["y"] >= sum(
        page.get_by_test_id("stSidebarCollapseButton").bounding_box()[side] for side in ("y", "height")
    )
    menu.get_by_role("link", name="Softmax").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("How do scores become weights?")
    expect(menu).to_have_attribute("data-collapsed", "true")
    # the browser's next window, a large one, begins with its menu open
    page.wait_for_function("!Object.keys(localStorage).some((key) => key.startsWith('stSidebarCollapsed'))")
    page.close()


def test_a_phone_closes_the_menu_after_a_choice(visit):  # noqa: F811
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go("masks")
    menu = page.get_by_test_id("stSidebar")
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(menu).to_have_attribute("data-collapsed", "false")
    menu.get_by_role("link", name="Softmax").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("How do scores become weights?")
    expect(menu).to_have_attribute("data-collapsed", "true")


def test_what_is_touched_beside_the_menu_of_a_phone_closes_it_and_does_nothing_else(server, chromium):
    with looking(chromium, 390, 844, touched=True) as page:
        page.goto(f"{server}/masks")
        settled(page)
        menu, close = page.get_by_test_id("stSidebar"), page.get_by_test_id("stSidebarCollapseButton")
        cell = page.locator(f"{FIGURE} path[aria-label^='column: 5; row: 2;']").first.bounding_box()
        page.get_by_test_id("stExpandSidebarButton").tap()
        expect(menu).to_have_attribute("data-collapsed", "false")
        place = close.bounding_box()["y"]
        content = page.get_by_test_id("stSidebarContent")
        assert content.evaluate("content => { content.scrollTop = 1000; return content.scrollTop; }") > 0
        assert close.bounding_box()["y"] == place  # it is not scrolled away
        page.wait_for_function("document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().left === 0")
        page.touchscreen.tap(cell["x"] + cell["width"] / 2, cell["y"] + cell["height"] / 2)
        expect(menu).to_have_attribute("data-collapsed", "true")
        settled(page)
        assert urlsplit(page.url).query == ""  # the cell was not hidden


def test_the_controls_of_a_phone_leave_the_figure_that_they_change_in_sight(server, chromium):
    with looking(chromium, 390, 844, touched=True) as page:
        page.emulate_media(reduced_motion="reduce")
        page.goto(f"{server}/scores")
        settled(page)
        menu, opener = page.get_by_test_id("stSidebar"), page.get_by_role("button", name="Controls", exact=True)
        expect(opener).to_have_attribute("aria-expanded", "false")
        opener.tap()
        expect(opener).to_have_attribute("aria-expanded", "true")
        slider = menu.get_by_role("slider").first
        expect(menu.get_by_test_id("stSlider").first).to_be_in_viewport()
        expect(menu.get_by_role("link", name="Softmax")).to_be_hidden()  # the controls alone
        expect(menu.get_by_test_id("stElementToolbar").first).to_be_hidden()  # it would lie over a slider
        plot, bar = page.locator(FIGURE).first.locator(".role-scope > g > .background").first, 48
        scrolled = "([figure, top]) => document.querySelector(figure).getBoundingClientRect().top < top"
        page.wait_for_function(scrolled, arg=[FIGURE, bar + 20])
        box = plot.bounding_box()
        assert bar <= box["y"] < box["y"] + box["height"] <= menu.bounding_box()["y"]
        slider.press("ArrowRight")
        page.wait_for_function("location.search.includes('across=1.1')")
        settled(page)
        assert plot.bounding_box() == box
        opener.tap()
        expect(menu).to_have_attribute("data-collapsed", "true")
        page.get_by_test_id("stExpandSidebarButton").tap()  # the menu has all
        expect(menu.get_by_role("link", name="Softmax")).to_be_visible()


def test_the_controls_of_a_phone_show_what_they_make_and_not_what_it_is_made_of(server, chromium):
    places = f"""[...document.querySelector('{FIGURE}').querySelectorAll('.role-scope > g > .background')]
        .map((plot) => plot.getBoundingClientRect()).filter((place) => place.height > 50)"""  # and no legend's
    with looking(chromium, 390, 844, touched=True) as page:
        page.emulate_media(reduced_motion="reduce")
        for link in ("step_by_step?stage=weights", "step_by_step?stage=scaled", "softmax"):
            page.goto(f"{server}/{link}")
            settled(page)
            page.get_by_role("button", name="Controls", exact=True).tap()
            page.wait_for_function(f"""() => {{
                const plot = {places}.at(-1);
                const sheet = document.querySelector('[data-testid="stSidebar"]').getBoundingClientRect();
                return plot.top > 48 && plot.bottom <= sheet.top && sheet.top < window.innerHeight;
            }}""")


def test_a_phone_shows_what_came_of_a_task_and_says_in_its_bar_that_it_is_done(server, chromium):
    with looking(chromium, 390, 844, touched=True) as page:
        page.emulate_media(reduced_motion="reduce")
        page.goto(f"{server}/step_by_step?stage=projections&cell=5,0&story=ten_minutes&screen=3")
        settled(page)
        sign = page.locator(".attn-task")
        expect(sign).to_have_text("○ To do")
        page.get_by_test_id("stMain").get_by_role("radio", name="Key", exact=True).tap()
        expect(sign).to_have_text("✓ Next screen")
        title = page.locator(FIGURE).first.get_by_text("= Key", exact=True)
        expect(title).to_be_in_viewport()  # the last of three parts, where that asked for is seen
        expect(sign).to_be_in_viewport()
        todo = page.locator(".st-key-story_card").get_by_text("Done:")
        expect(todo).not_to_be_in_viewport()
        sign.tap()
        expect(page.locator(".st-key-story_card").get_by_text("screen 4 of")).to_be_in_viewport()


def test_a_map_stays_under_the_finger_when_the_sentence_above_it_becomes_longer_or_shorter(server, chromium):
    top = "figure => document.querySelector(figure).getBoundingClientRect().top"
    given = """figure => document.querySelector('[data-testid="stMain"]').scrollTop
        - (parseFloat(document.querySelector(figure).style.marginTop) || 0)"""
    with looking(chromium, 390, 844, touched=True) as page:
        for name, cells in (("change", [(0, 3), (1, 4), (1, 4), (0, 3)]), ("masks", [(0, 3), (2, 4), (2, 4)])):
            page.goto(f"{server}/{name}")
            settled(page)
            above, begun = set(), page.evaluate(top, FIGURE)
            for row, column in cells:
                plot = page.locator(FIGURE).first.locator(".role-scope > g > .background").first.bounding_box()
                size = plot["width"] / (12 if name == "change" else 6)
                link = page.url
                page.touchscreen.tap(plot["x"] + (column + 0.5) * size, plot["y"] + (row + 0.5) * size)
                page.wait_for_function("before => location.href !== before", arg=link)
                settled(page)
                assert abs(page.evaluate(top, FIGURE) - begun) <= 2
                above.add(page.evaluate(given, FIGURE))
            assert len(above) > 1, name  # or nothing would have moved in any case


# it may be gone before it can be asked for: what is touched chooses a head, and the figure is drawn anew
TELLS = """() => new MutationObserver(() => {
    window.told ||= document.querySelector("#vg-tooltip-element")?.classList.contains("visible");
}).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] })"""


def test_what_a_touch_on_a_cell_said_goes_with_the_next_touch(server, chromium):
    with looking(chromium, 390, 844, touched=True) as page:
        page.goto(f"{server}/heads")
        settled(page)
        plot = page.locator(FIGURE).first.locator(".role-scope > g > .background").last.bounding_box()
        page.evaluate(TELLS)
        finger = page.context.new_cdp_session(page)
        for kind, moved in (("touchStart", 0), ("touchMove", 3)):  # as a finger does, which is never quite still
            place = {"x": plot["x"] + 40 + moved, "y": plot["y"] + 40}
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_function("window.told")
        said = page.locator("#vg-tooltip-element")
        page.get_by_role("heading", level=1).tap()
        expect(said).to_be_hidden()


@pytest.mark.parametrize("slower", [1, 20], ids=["phone", "slow phone"])
def test_a_touch_on_a_small_head_brings_the_large_one_into_sight(server, chromium, slower):
    with looking(chromium, 390, 844, touched=True) as page:
        page.emulate_media(reduced_motion="reduce")
        page.goto(f"{server}/heads")
        settled(page)
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
        box = page.locator(FIGURE).first.get_by_text("head 2", exact=True).bounding_box()
        page.touchscreen.tap(box["x"] + 20, box["y"] + 60)
        page.wait_for_function("location.search.includes('head=2')")
        title = page.locator(".st-key-heads-one").get_by_text("Head 2", exact=True)
        expect(title).to_be_in_viewport()
        said = page.get_by_role("tabpanel").get_by_text("In head 2", exact=False).first
        for one in (title, said):
            page.wait_for_function("one => one.getBoundingClientRect().top > 48", arg=one.element_handle())


def test_a_phone_shows_what_a_head_switched_off_changes_without_scrolling(server, chromium):
    with looking(chromium, 390, 844, touched=True) as page:
        page.goto(f"{server}/change")
        settled(page)
        told = page.get_by_text("Choose heads in the map to go on.").bounding_box()
        plot = page.locator('[class*="st-key-change-heads"] .role-scope > g > .background').first.bounding_box()
        assert told["y"] + told["height"] < plot["y"] < plot["y"] + plot["height"] < 844


def test_a_finger_finds_the_question_marks_of_a_large_screen(server, chromium):
    with looking(chromium, 1280, 800, touched=True) as page:
        page.goto(f"{server}/scores")
        settled(page)
        sizes = "all => all.map((one) => one.getBoundingClientRect()).flatMap((one) => [one.width, one.height])"
        found = page.locator('[data-testid="stTooltipIcon"] button[aria-label^="Help"]').evaluate_all(sizes)
        assert len(found) > 10
        assert min(found) >= FINGER
        page.get_by_test_id("stMain").get_by_role("button", name="Help").first.tap()
        expect(page.get_by_test_id("stTooltipContent").locator("p").first).to_have_css("font-size", "16px")


def test_without_a_pointer_the_sign_that_closes_the_menu_is_always_seen(server, chromium):
    with looking(chromium, 844, 390, touched=True) as page:
        page.goto(f"{server}/masks")
        settled(page)
        page.get_by_test_id("stExpandSidebarButton").tap()
        close = page.get_by_test_id("stSidebarCollapseButton")
        expect(close).to_be_visible()
        close.tap()
        expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")


def test_on_a_phone_a_finger_finds_each_step_and_the_title_is_the_largest(server, chromium):
    with looking(chromium, 390, 844, touched=True) as page:
        size = "one => parseFloat(getComputedStyle(one).fontSize)"
        for name, wide in (("", 358), ("cost", 324)):  # on Cost they are folded away, in a frame
            page.goto(f"{server}/{name}")
            settled(page)
            found = page.get_by_test_id("stMain").get_by_test_id("stSlider")
            assert [found.nth(at).bounding_box()["width"] for at in range(2)] == [wide] * 2
            headings = page.get_by_test_id("stMain").get_by_role("heading", level=2)
            assert headings.first.evaluate(size) < page.get_by_role("heading", level=1).evaluate(size)


def test_a_phone_on_its_side_shows_a_matrix_whole_with_its_numbers(server, chromium):
    with looking(chromium, 844, 390, touched=True) as page:
        page.goto(f"{server}/masks")
        settled(page)
        figure = page.locator(FIGURE).first
        plot = figure.locator(".role-scope > g > .background").first.bounding_box()
        bar = page.get_by_test_id("stHeader").bounding_box()
        assert plot["height"] < page.viewport_size["height"] - bar["height"] - 60  # with its title and its names
        expect(figure.get_by_text("−∞").first).to_be_visible()
        page.goto(f"{server}/pretrained")  # 16 tokens are too many for that, and have cells for a finger
        settled(page)
        assert lasting_faults(page, 844) == []
        words = "The animal did not cross the street because it was too tired"
        page.goto(f"{server}/step_by_step?stage=weights&source=random&text={words}")
        settled(page)
        assert lasting_faults(page, 844) == []


def test_presented_on_a_phone_on_its_side_a_matrix_has_its_numbers_or_a_line_says_that_they_have_no_room(
    server, chromium
):
    presented = "[data-presented] svg.marks"
    size = """(svg) => Math.min(...[...svg.querySelectorAll("text")].filter((text) => text.textContent.trim())
        .map((text) => parseFloat(getComputedStyle(text).fontSize)))
        * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"""
    with looking(chromium, 844, 390, touched=True) as page:
        for link in ("masks", "step_by_step?stage=products"):
            page.goto(f"{server}/{link}{'&' if '?' in link else '?'}present=1")
            settled(page)
            figure = page.locator(presented).first
            expect(figure.get_by_text("−0.1", exact=True).first).to_be_visible()  # with a digit less than on a laptop
            assert figure.evaluate(size) >= 11
            expect(page.get_by_text("No room for numbers")).to_have_count(0)
        page.goto(f"{server}/positions?present=1")
        settled(page)
        expect(page.get_by_text("No room for numbers: the page has them as a table")).to_be_visible()
        page.goto(f"{server}/inside?present=1")  # the map of its heads has no numbers anywhere
        settled(page)
        expect(page.locator(presented).first).to_be_visible()
        expect(page.get_by_text("No room for numbers")).to_have_count(0)


def test_a_window_of_a_dark_page_has_words_that_can_be_read(server, chromium):
    with looking(chromium, 390, 844, touched=True) as page:
        page.emulate_media(color_scheme="dark")
        page.goto(f"{server}/cost?story=ten_minutes&screen=14&done=1,2")
        settled(page)
        page.get_by_role("button", name="Hand in").tap()
        window = page.get_by_role("dialog")
        words = window.get_by_text("Copy this line and send it to whoever asked for it.")
        expect(words).to_have_css("color", "rgb(163, 175, 188)")
        expect(window.get_by_role("button", name="Copy to clipboard")).to_be_visible()


def test_on_a_phone_nothing_stands_over_a_sentence_that_is_typed(server, chromium):
    with looking(chromium, 390, 844, touched=True) as page:
        page.goto(server)
        settled(page)
        box = page.get_by_test_id("stMain").get_by_role("textbox").first
        box.press("End")
        box.press("x")
        hint = page.get_by_test_id("InputInstructions")
        expect(hint).to_have_count(1)
        expect(hint).to_be_hidden()
