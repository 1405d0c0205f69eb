"""Every page and tab read by axe-core, which knows what stops people who see, hear or move otherwise."""

import pytest
from driving import PAGES
from setups import SETUPS, fields, options

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from axe_playwright_python.base import AXE_SCRIPT  # noqa: E402
from serving import FIGURE, settled  # noqa: E402
from test_browser import PATHS  # noqa: E402

from attn.ui.keyboard import MOST_HEARD  # noqa: E402

GRAVE = ("moderate", "serious", "critical")

RUN = """async ([where, rules]) => {
    const options = { resultTypes: ["violations"] };
    if (rules) options.runOnly = { type: "rule", values: rules };
    const { violations } = await axe.run({ include: [where], exclude: ["svg.marks"] }, options);
    return violations.flatMap(({ id, impact, nodes }) =>
        nodes.map(({ html, any, all, none }) => {
            const why = [...any, ...all, ...none].map((check) => check.message).join(" ");
            return { id, impact, html, why };
        }),
    );
}"""
WHOLE, MAIN = "body", '[data-testid="stMain"]'


def tabs_of(name):
    """Return the tabs of a page that has any."""
    tabs = fields(SETUPS[name]).get("tab")
    return options(tabs) if tabs else []


def faults(page, where=WHOLE, rules=None):
    """Return what axe finds in a page, and which figures have no name that can be heard."""
    settled(page, figures=0)
    found = [one for one in page.evaluate(RUN, [where, rules]) if one["impact"] in GRAVE]
    names = page.locator(FIGURE).evaluate_all("all => all.map((one) => one.ariaLabel ?? '')")
    yield from (f"{one['impact']} {one['id']}: {one['html'][:160]} {one['why']}" for one in found)
    yield from (f"a figure must have a short name, got {name}" for name in names if not 0 < len(name) <= MOST_HEARD)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_of_ours_stops_anyone(server, readers, name):
    """Every tab in light; in dark, where only colours differ, the page as it opens."""
    light, dark = readers
    light.goto(f"{server}/{PATHS[name]}")
    wrong = [("light", fault) for fault in faults(light)]
    for tab in tabs_of(name)[1:]:  # the first is open
        light.goto(f"{server}/{PATHS[name]}?tab={tab}")
        wrong += [(tab, fault) for fault in faults(light, MAIN)]
    dark.goto(f"{server}/{PATHS[name]}{'?tab=code' if name == 'softmax' else ''}")
    wrong += [("dark", fault) for fault in faults(dark, rules=["color-contrast"])]
    assert wrong == []


@pytest.fixture(scope="module")
def readers(chromium):
    """A page in each theme, which axe can read."""
    pages = []
    for scheme in ("light", "dark"):
        context = chromium.new_context(viewport={"width": 1280, "height": 720}, color_scheme=scheme)
        context.set_default_timeout(90_000)
        context.add_init_script(AXE_SCRIPT)
        pages.append(context.new_page())
    yield pages
    for page in pages:
        page.context.close()


MOTION = """() => {
    const times = [...document.querySelectorAll("*")].flatMap((one) => {
        const { transitionDuration, animationName, animationDuration, animationIterationCount } = getComputedStyle(one);
        const times = animationName === "none" ? [transitionDuration] : [transitionDuration, animationDuration];
        const longest = Math.max(...times.join().split(",").map(parseFloat));
        return animationName !== "none" && animationIterationCount === "infinite" ? Infinity : longest;
    });
    return Math.max(...times);
}"""


def test_nothing_moves_for_those_who_ask_for_that(server, chromium):
    """Seconds of the longest animation or transition on a page, in a window that asks for none and in one that does."""
    longest = {}
    for wish in ("no-preference", "reduce"):
        context = chromium.new_context(viewport={"width": 1280, "height": 720}, reduced_motion=wish)
        context.set_default_timeout(90_000)
        page = context.new_page()
        page.goto(f"{server}/heads")
        settled(page)
        longest[wish] = page.evaluate(MOTION)
        context.close()
    assert longest["no-preference"] >= 0.1
    assert longest["reduce"] <= 0.001
