"""A talk: title and figure alone fill the screen, keys walk it, a second window follows, and phones find the screen."""

import re
from urllib.parse import urlencode

import pytest
from driving import PAGES
from setups import SETUPS, fields, options

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from playwright.sync_api import expect  # noqa: E402
from serving import settled  # noqa: E402
from test_browser import PATHS, visit  # noqa: E402, F401  a fixture
from test_browser_widths import looking  # noqa: E402

from attn.ui.stories.running import COME_ALONG, story_that_comes_along  # noqa: E402

LEAST = {(1280, 720): 18, (1920, 1080): 24}  # pixels of words and numbers in figures, by the window
QUICK = {(1280, 720): ("inside",), (1920, 1080): ("masks",)}  # all of them with --every-width
SHOWN = """() => {
    const find = (selector) => document.querySelector(selector);
    const line = find("[data-said]");
    const words = "h1, .attn-story, .attn-join, [data-said], [data-presented], [data-strip]";
    const figure = find("[data-presented]");
    const title = (line ?? find(".attn-story") ?? find(".stMain h1")).getBoundingClientRect();
    const spoken = [...document.querySelectorAll(".attn-story span, [data-said] p")];
    const drawn = figure.querySelector("svg.marks, canvas");
    const strip = [...document.querySelectorAll("[data-strip]")].map((one) => one.getBoundingClientRect());
    const named = [...document.querySelectorAll("[data-strip] p")].filter((one) => one.checkVisibility());
    const foot = Math.min(innerHeight + 1, ...strip.map((one) => one.top));
    const [box, scale] = [drawn.getBoundingClientRect(), Number(drawn.dataset.scale)];
    const texts = [...figure.querySelectorAll("svg text")].filter((one) => one.textContent.trim());
    const around = [document.documentElement, document.body, ...document.querySelectorAll(".stApp, .stMain")];
    const beyond = (one) => [one.scrollHeight - one.clientHeight, one.scrollWidth - one.clientWidth];
    const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && one.getBoundingClientRect().width > 2
        && !one.closest(words) && !one.querySelector(words);
    return {
        place: `${attentionLabTalk.figure} ${attentionLabTalk.part}`,
        text: Math.min(
            ...texts.map((one) => parseFloat(getComputedStyle(one).fontSize) * scale),
            ...spoken.map((one) => parseFloat(getComputedStyle(one).fontSize)),
            ...named.map((one) => parseFloat(getComputedStyle(one).fontSize) * one.currentCSSZoom),
        ),
        filled: Math.max(box.width / innerWidth, box.height / innerHeight),
        inside: box.left >= 0 && box.right <= innerWidth && box.top >= title.bottom && box.bottom <= foot
            && strip.every((one) => one.left >= 0 && one.right <= innerWidth && one.bottom <= innerHeight),
        scrolls: Math.max(...around.flatMap(beyond)),
        other: [...document.querySelectorAll(".stApp *")].filter(shown).map((one) => one.outerHTML.slice(0, 90)),
    };
}"""


def presented_faults(page, size):
    """Return what is wrong with each figure of a presented page, part by part, as the keys walk through them."""
    found, place = [], None
    for _ in range(20):
        page.wait_for_function("document.querySelector('[data-presented] [data-scale]')")
        seen = page.evaluate(SHOWN)
        if seen["place"] == place:  # the last
            return found
        place = seen["place"]
        wrong = {
            f"words of {seen['text']} pixels": (seen["text"] or LEAST[size]) < LEAST[size] - 0.01,
            f"a figure that fills {seen['filled']:.0%}": seen["filled"] < 0.7,
            "a figure that goes beyond the window": not seen["inside"],
            "to be scrolled": seen["scrolls"] > 0,
            f"more to see than title, figure and controls: {seen['other'][:2]}": seen["other"],
        }
        found += [f"{place} has {fault}" for fault, there in wrong.items() if there]
        page.keyboard.press("ArrowDown")
    return [*found, "no end"]


@pytest.mark.parametrize("size", LEAST)
def test_every_page_fills_the_screen(server, chromium, request, size):
    every = request.config.getoption("--every-width")
    context = chromium.new_context(viewport=dict(zip(("width", "height"), size, strict=True)))
    context.set_default_timeout(90_000)
    page, wrong = context.new_page(), []
    for name in PAGES if every else QUICK[size]:
        tabs = fields(SETUPS[name]).get("tab")
        for tab in options(tabs) if tabs and every else [""]:
            page.goto(f"{server}/{PATHS[name]}?present=1{f'&tab={tab}' if tab else ''}")
            settled(page)
            wrong += [f"{name} {tab} {fault}" for fault in presented_faults(page, size)]
    context.close()
    assert wrong == []


CONTROLLED = {(1280, 720): (("ten_minutes", 7), ("why_attention", 7)), (1920, 1080): (("why_attention", 8),)}


@pytest.mark.parametrize("size", LEAST)
def test_what_a_task_is_done_with_stands_at_the_foot(server, chromium, request, size):
    every = [(name, at) for name in COME_ALONG for at, kind in story_that_comes_along(name).to_do if kind == "task"]
    context = chromium.new_context(viewport=dict(zip(("width", "height"), size, strict=True)))
    page, wrong = context.new_page(), []
    for name, number in every if request.config.getoption("--every-width") else CONTROLLED[size]:
        screen = story_that_comes_along(name).screens[number - 1]
        query = urlencode(dict(screen.query) | {"present": "1", "story": name, "screen": number})
        page.goto(f"{server}/{PATHS[screen.page]}?{query}")
        settled(page)
        if screen.task.controls:
            expect(page.locator("[data-strip]:visible")).to_have_count(len(screen.task.controls))
        wrong += [f"{name} {number} {fault}" for fault in presented_faults(page, size)]
    context.close()
    assert wrong == []


def test_a_task_is_done_while_presenting_and_the_keys_stay_with_the_talk(visit):  # noqa: F811
    page = visit.go("step_by_step", "?stage=weights&cell=5,2&story=ten_minutes&screen=7&present=1")
    strip = page.locator("[data-strip]")
    thumb = strip.get_by_role("slider")
    box = strip.locator('[data-testid="stSlider"] [role="group"]').bounding_box()
    page.mouse.move(*_middle(thumb.bounding_box()))
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 40, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    visit.wait_for_link(present="1", story="ten_minutes", screen="7", done="6")
    expect(strip).to_be_visible()  # to show it once more
    expect(thumb).not_to_be_focused()
    expect(page.locator(".attn-story")).to_have_count(0)  # its sentence is of another temperature
    expect(page.get_by_role("heading", level=1)).to_be_visible()  # the page's title in its place
    page.keyboard.press("ArrowLeft")  # a step, and no longer the slider
    visit.wait_for_link(stage="masked", screen="6")
    expect(strip).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(strip).to_be_visible()
    thumb.focus()
    page.keyboard.press("PageDown")  # a clicker's, whatever has the focus
    expect(page.locator(".attn-story b")).to_have_text("The context is a mean.")
    expect(strip).to_have_count(0)  # which has no task
    page.keyboard.press("PageUp")
    expect(strip).to_be_visible()
    page.keyboard.press("Escape")
    settled(page, figures=2)
    expect(strip).to_have_count(0)
    expect(page.get_by_test_id("stSidebar")).to_be_visible()


def _middle(box):
    """Return the middle of a box in the window."""
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("visit", ["dark"], indirect=True)
def test_keys_walk_a_talk_and_leave_it_where_it_began(visit):  # noqa: F811
    page = visit.go("step_by_step", "?source=random&stage=weights&temperature=0.5")
    main, link = page.get_by_test_id("stMain"), visit.link
    main.evaluate("main => { main.scrollTop = 300; }")
    page.get_by_role("button", name="Present").click()
    begins = page.locator(".attn-begins")
    expect(begins).to_have_text("Page Down: on · B: black · Q: code · Esc: leave")
    visit.wait_for_link(present="1", stage="weights", temperature="0.5")
    expect(begins).to_have_count(0, timeout=5000)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_role("button", name="Step on")).to_be_hidden()
    expect(page.locator(".attn-touch")).to_be_hidden()  # there is a pointer, and keys
    page.keyboard.press("ArrowRight")
    visit.wait_for_link(stage="context")
    page.keyboard.press("ArrowLeft")
    visit.wait_for_link(stage="weights")
    page.keyboard.press("b")
    cover = page.locator(".attn-cover")
    expect(cover).to_have_css("background-color", "rgb(0, 0, 0)")
    page.keyboard.press("Escape")
    expect(cover).to_have_count(0)
    page.keyboard.press("q")
    expect(cover.get_by_role("img")).to_be_visible()
    expect(cover).to_have_css("background-color", "rgb(255, 255, 255)")
    page.keyboard.press("q")
    visit.cell(1, 2, matrix=-1).click(force=True)
    visit.wait_for_link(cell="1,2")
    tooltip = page.locator("#vg-tooltip-element")
    expect(tooltip).to_be_attached()
    expect(tooltip).to_be_hidden()  # what it said was the old figure's
    visit.cell(2, 2, matrix=-1).hover(force=True)
    expect(tooltip).to_be_visible()
    page.get_by_test_id("stMain").dispatch_event("scroll")  # as a finger does that moves the page
    expect(tooltip).to_be_hidden()
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", level=1)).to_have_text("How do scores become weights?")
    settled(page)
    assert visit.link == {"present": "1"}
    page.keyboard.press("PageUp")
    expect(page.get_by_role("heading", level=1)).to_have_text("How does one word look at the others?")
    settled(page)
    page.keyboard.press("Escape")
    visit.wait_for_link(present=None)
    assert visit.link == link | {"cell": "1,2"}
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    assert page.locator("[data-presented], [data-scale]").count() == 0
    page.wait_for_function("document.querySelector('[data-testid=stMain]').scrollTop === 300")


def test_a_mark_is_left_by_escape_hidden_by_a_cover_and_never_taken_along(visit):  # noqa: F811
    page = visit.go("step_by_step", "?source=random&stage=weights&present=1")
    ring, cover, figure = (page.locator(name) for name in (".attn-ring", ".attn-cover", "[data-presented]"))
    tooltip = page.locator("#vg-tooltip-element")

    def mark():
        for _ in range(10):
            page.keyboard.press("Tab")
            if figure.evaluate("figure => figure === document.activeElement"):
                break
        page.keyboard.press("ArrowRight")
        expect(ring).to_be_visible()
        expect(tooltip).to_be_visible()

    mark()
    for key in "qb":
        page.keyboard.press(key)
        expect(cover).to_be_visible()
        for one in (ring, tooltip):
            expect(one).to_be_hidden()
        page.keyboard.press("Escape")
        expect(cover).to_have_count(0)
        expect(ring).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)  # in which a redrawing would bring it back
    expect(ring).to_have_count(0)
    expect(tooltip).to_be_hidden()
    expect(figure).not_to_be_focused()
    mark()
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", level=1)).to_have_text("How do scores become weights?")
    settled(page)
    expect(ring).to_have_count(0)
    expect(tooltip).to_be_hidden()
    expect(figure).not_to_be_focused()
    page.keyboard.press("PageUp")
    settled(page)
    visit.cell(1, 2, matrix=-1).click(force=True)
    visit.wait_for_link(cell="1,2")
    page.keyboard.press("q")
    expect(cover).to_be_visible()
    page.keyboard.press("q")
    if ring.count():
        page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    visit.wait_for_link(present=None)


def test_on_a_phone_buttons_walk_a_talk_and_a_figure_is_scrolled(server, chromium):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{server}/step_by_step?stage=weights")
    settled(page)
    page.get_by_test_id("stExpandSidebarButton").tap()
    page.get_by_role("button", name="Present").tap()
    figure = page.locator("[data-presented]")
    numbers = figure.locator("svg .mark-text text").filter(has_text=re.compile("^[01][.][0-9]{3}$"))
    expect(numbers).to_have_count(21)  # of the weights, none of them hidden for want of room
    title = figure.locator(".role-title-text", has_text="Weights")
    expect(title).to_be_visible()
    down, on = page.get_by_role("button", name="More below"), page.get_by_role("button", name="Next screen")
    while down.is_enabled():
        down.tap()
    room, last = figure.bounding_box(), numbers.last.bounding_box()
    assert room["y"] < last["y"] < last["y"] + last["height"] < room["y"] + room["height"]
    assert room["y"] + room["height"] <= down.bounding_box()["y"]
    on.tap()
    expect(page).to_have_url(re.compile("stage=context"))
    settled(page)
    on.tap()  # there is no step more
    expect(page).to_have_url(re.compile("/softmax[?]present=1"))
    settled(page)
    page.get_by_role("button", name="Leave").tap()
    expect(page).not_to_have_url(re.compile("present"))
    expect(page.locator(".attn-touch")).to_have_count(0)
    expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")  # not over the page
    context.close()


def test_the_speakers_window_follows_a_story_and_leads_it(visit):  # noqa: F811
    screens = story_that_comes_along("why_attention").screens
    number = next(at for at, screen in enumerate(screens, 1) if screen.page == "step_by_step") - 1
    here, following = screens[number - 1 : number + 1]
    page = visit.go("bottleneck", f"?{urlencode(here.query)}&story=why_attention&screen={number}")
    with page.expect_popup() as opening:
        page.get_by_role("button", name="Speaker's window").click()
    speaker = opening.value
    status, elapsed = speaker.locator("#presenting"), speaker.locator("#elapsed")
    expect(status).to_have_text("Press “Present” in the app's window first.")
    expect(speaker.get_by_role("button", name="Next screen")).to_be_hidden()
    expect(elapsed).to_have_text("0:00")
    page.get_by_role("button", name="Present").click()
    expect(speaker.locator("#title")).to_have_text(here.title)
    expect(speaker.locator("#place")).to_have_text(f"{number} of {len(screens)}")
    hint = re.compile("^Hint: “Economic” is a column of the map: its strongest square is in the row to choose[.]$")
    expect(speaker.locator("#notes p")).to_have_text([here.sentence, f"To do: {here.task.do}", hint])
    expect(speaker.locator("#next")).to_have_text(following.title)
    buttons = speaker.locator("#buttons button")
    names = buttons.all_inner_texts()
    places = [button.bounding_box() for button in buttons.all()]
    expect(speaker.get_by_role("button", name="Show the answer")).to_be_disabled()
    speaker.get_by_role("button", name="Code for phones").click()
    expect(page.locator(".attn-cover img")).to_be_visible()
    speaker.get_by_role("button", name="Code for phones").click()
    expect(page.locator(".attn-cover")).to_have_count(0)
    expect(speaker.get_by_role("img")).to_be_visible()
    address = speaker.locator("#address")
    expect(address).to_have_text(re.compile(rf"/bottleneck\?tab=published.*&story=why_attention&screen={number}$"))
    expect(speaker.locator("#warning")).to_have_text(re.compile("^(The server was|Phones must be|This machine is)"))
    speaker.keyboard.press("PageDown")
    visit.wait_for_link(present="1", story="why_attention", screen=str(number + 1))
    assert presented_faults(page, (1280, 720)) == []
    expect(speaker.locator("#title")).to_have_text(following.title)
    guess = re.compile(rf"^To guess: .* It is {following.guess.answer}[.]")
    told = [following.sentence, f"To do: {following.task.do}", f"Hint: {following.task.hint}", guess]
    expect(speaker.locator("#notes p")).to_have_text(told)
    assert buttons.all_inner_texts() == names
    assert [button.bounding_box() for button in buttons.all()] == places
    speaker.get_by_role("button", name="Step back").click()  # to the story's screen, on the page before
    expect(speaker.locator("#title")).to_have_text(here.title)
    expect(speaker.locator("#state")).to_have_text(re.compile("^Figure 1 of [0-9]"))
    more = page.get_by_role("button", name=re.compile("^Figure 1 of"))
    more.click()
    expect(page.get_by_role("button", name=re.compile("^Figure 2 of"))).to_be_visible()
    speaker.get_by_role("button", name="Figure before").click()
    expect(more).to_be_visible()
    page.keyboard.press("PageDown")
    expect(speaker.locator("#title")).to_have_text(following.title)
    page.reload()
    expect(speaker.locator("#presenting")).to_be_hidden()
    settled(page)
    speaker.keyboard.press("b")
    expect(page.locator(".attn-cover")).to_be_visible()
    expect(speaker.locator("#cover")).to_have_text("The screen is black.")
    page.keyboard.press("PageDown")
    expect(speaker.locator("#title")).to_have_text(screens[number + 1].title)
    expect(page.locator(".attn-cover")).to_have_count(0)
    expect(speaker.locator("#cover")).to_have_text("")
    expect(elapsed).not_to_have_text("0:00")
    expect(status).to_be_hidden()
    page.keyboard.press("Escape")
    expect(status).to_have_text(re.compile("^Presenting has ended[.]"))
    expect(speaker.locator("#title")).to_be_hidden()
    speaker.close()


def test_the_speakers_window_says_when_the_page_is_gone_and_finds_it_again(visit):  # noqa: F811
    page = visit.go("softmax")
    with page.expect_popup() as opening:
        page.get_by_role("button", name="Speaker's window").click()
    speaker = opening.value
    page.get_by_role("button", name="Present").click()
    title, status = speaker.locator("#title"), speaker.locator("#presenting")
    expect(title).to_have_text("How do scores become weights?")
    expect(status).to_be_hidden()
    app = page.locator(".stApp")
    app.evaluate("app => { app.dataset.testConnectionState = 'PINGING_SERVER'; }")  # as Streamlit says it
    expect(status).to_have_text(re.compile("^The server does not answer"))
    app.evaluate("app => { app.dataset.testConnectionState = 'CONNECTED'; }")
    expect(status).to_be_hidden()
    page.goto("about:blank")
    expect(status).to_have_text(re.compile("^The presented page does not answer"))
    page.goto(f"{visit.address}/masks?present=1")
    expect(title).to_have_text("Who may look at whom?")
    expect(status).to_be_hidden()
    speaker.close()
    page.keyboard.press("Escape")
    settled(page, figures=2)


def test_a_room_is_shown_the_answer_by_a_key_and_from_the_speakers_window(visit):  # noqa: F811
    page = visit.go("room")
    with page.expect_popup() as opening:
        page.get_by_role("button", name="Speaker's window").click()
    page.get_by_role("button", name="Present").click()
    expect(opening.value.get_by_role("button", name="Open a room")).to_be_visible()
    page.keyboard.press("a")
    line = page.locator("[data-said]")
    expect(line).to_have_text(re.compile("head 2 of layer 4[?] Nobody has guessed yet[.]$"))
    joins = page.locator(".attn-join")
    expect(joins).to_contain_text(re.compile("^[A-Z]{4}"))
    assert joins.get_by_role("img").bounding_box()["height"] >= 720 / 4
    assert presented_faults(page, (1280, 720)) == []
    page.keyboard.press("a")
    expect(line).to_have_text(re.compile("In the model it is “animal”, with a weight of 0[.]68"))
    expect(joins).to_have_count(0)  # no guess is taken any more
    opening.value.get_by_role("button", name="Hide the answer").click()
    expect(line).to_have_text(re.compile("yet[.]$"))
    opening.value.close()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Close the room").click()
    settled(page)


def test_every_screen_of_a_story_is_opened_once_before_the_talk(visit, request):  # noqa: F811
    page = visit.page
    page.goto(f"{visit.address}/talk")
    settled(page, figures=0)
    expect(page.get_by_text("its weights are the known ones")).to_be_visible()
    page.get_by_role("button", name="Open every screen once").click()
    lines = page.locator("ol li")
    for at in range(lines.count() if request.config.getoption("--every-width") else 2):
        expect(lines.nth(at)).to_have_text(re.compile(" [0-9.]+ s$"), timeout=60_000)
    if request.config.getoption("--every-width"):
        status = page.get_by_text(re.compile("^All [0-9]+ screens came, the slowest in [0-9.]+ s"))
        expect(status).to_contain_text("No other machine was asked by this browser.")


def test_presented_the_title_of_a_figure_stands_below_the_line_above_it(server, chromium):
    with looking(chromium, 1280, 720) as page:
        page.goto(f"{server}/masks?present=1")
        settled(page)
        said = page.locator("[data-said] p").evaluate("one => one.getBoundingClientRect().bottom")
        title = page.locator("[data-presented]").get_by_text("Scores, masked", exact=True)
        assert said + 8 <= title.bounding_box()["y"]
