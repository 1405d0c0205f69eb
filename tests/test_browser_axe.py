"""Every page and tab read by axe-core, which knows what stops people who see, hear or move otherwise."""

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from axe_playwright_python.base import AXE_SCRIPT  # noqa: E402
from serving import FIGURE, by_menu, settled  # noqa: E402

from attn.ui.keyboard import MOST_HEARD  # noqa: E402
from attn.ui.menu import MENU  # noqa: E402

GRAVE = ("moderate", "serious", "critical")
SOON = 100  # milliseconds of rest

RUN = """async ([where, rules]) => {
    const options = { resultTypes: ["violations"] };
    if (rules) options.runOnly = { type: "rule", values: rules };
    // axe walks all that is there, and half of a page are the marks of its figures, which it is not asked about
    const marks = [...document.querySelectorAll("svg.marks")].map((figure) => [figure, [...figure.childNodes]]);
    for (const [figure] of marks) figure.replaceChildren();
    try {
        const { violations } = await axe.run({ include: [where], exclude: ["svg.marks"] }, options);
        return violations.flatMap(({ id, impact, nodes }) =>
            nodes.map(({ html, any, all, none }) => {
                const why = [...any, ...all, ...none].map((check) => check.message).join(" ");
                return { id, impact, html, why };
            }),
        );
    } finally {
        for (const [figure, all] of marks) figure.replaceChildren(...all);
    }
}"""
WHOLE, TABS = "body", '[data-testid="stTabs"]'
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(15, 20, 25)"  # grounds of the two themes


KINDS = """where => {
    const kind = (one) => {
        const seen = [one.localName, one.className, one.closest("[data-testid]")?.dataset.testid];
        const { color, fontSize, fontWeight } = getComputedStyle(one);
        seen.push(color, fontSize, fontWeight);
        for (let around = one; around; around = around.parentElement) {
            const { backgroundColor, opacity } = getComputedStyle(around);
            if (backgroundColor !== "rgba(0, 0, 0, 0)" || opacity !== "1") seen.push(backgroundColor, opacity);
        }
        return seen.join(" ");
    };
    const words = (one) => [...one.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    const all = [...document.querySelectorAll(`${where} *`)].filter((one) => words(one) && !one.closest("svg.marks"));
    return [...new Set(all.map(kind))];
}"""
"""What tells words from others that may have other colours: their element, their own colour, and all grounds below."""


def faults(page, where=WHOLE, rules=None):
    """Return what axe finds in a page, and which figures have no name that can be heard."""
    found = [one for one in page.evaluate(RUN, [where, rules]) if one["impact"] in GRAVE]
    names = page.locator(FIGURE).evaluate_all("all => all.map((one) => one.ariaLabel ?? '')")
    yield from (f"{one['impact']} {one['id']}: {one['html'][:160]} {one['why']}" for one in found)
    yield from (f"a figure must have a short name, got {name}" for name in names if not 0 < len(name) <= MOST_HEARD)


def wear(page, theme):
    """Put on a theme."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(
        "ground => getComputedStyle(document.querySelector('.stApp')).backgroundColor === ground",
        arg=LIGHT if theme == "light" else DARK,
    )


@pytest.mark.parametrize("entry", MENU, ids=lambda entry: entry.page)
def test_nothing_of_ours_stops_anyone(reader, kinds, entry):
    """Every page and tab: all rules in one theme, and in the other the one of colours, for nothing else differs.

    The other theme is put on where there are words of a kind that no tab before had, and the next tab is opened in it.
    """
    by_menu(reader, entry.label)
    settled(reader, 0, SOON)
    tabs, wrong, theme = reader.get_by_role("tablist").first.get_by_role("tab"), [], "light"
    for number in range(max(tabs.count(), 1)):
        if number:
            shown = reader.evaluate("location.href")
            tabs.nth(number).click()
            reader.wait_for_function("shown => location.href !== shown", arg=shown)  # for the link names the tab
            settled(reader, 0, SOON)
        where, tab = (TABS, tabs.nth(number).inner_text()) if number else (WHOLE, "")
        wrong += [f"{tab} {theme}: {fault}" for fault in faults(reader, where)]
        if kinds.issuperset(words := reader.evaluate(KINDS, where)):
            continue
        kinds.update(words)
        theme = "dark" if theme == "light" else "light"
        wear(reader, theme)
        wrong += [f"{tab} {theme}: {fault}" for fault in faults(reader, where, ["color-contrast"])]
        kinds.update(reader.evaluate(KINDS, where))
    if theme == "dark":
        wear(reader, "light")
    assert wrong == []


def test_the_card_of_a_story_stops_nobody(reader, server):
    reader.goto(f"{server}/cost?story=why_attention&screen=7")
    settled(reader, 0, SOON)
    card = ".st-key-story_card"
    wrong = list(faults(reader, card))
    wear(reader, "dark")
    wrong += faults(reader, card, ["color-contrast"])
    wear(reader, "light")
    assert wrong == []


@pytest.fixture(scope="module")
def kinds():
    """The kinds of words that were read in both themes."""
    return set()


@pytest.fixture(scope="module")
def reader(server, chromium):
    """One window that goes through all pages by the menu, with axe in it."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, color_scheme="light")
    context.set_default_timeout(90_000)
    context.add_init_script(AXE_SCRIPT)
    page = context.new_page()
    page.goto(server)
    settled(page)
    # what is old while the answer is on its way fades, and is nothing to read
    page.add_style_tag(content="[data-stale=true] { opacity: 1 !important; transition: none !important; }")
    yield page
    context.close()


MOTION = """() => {
    const times = [...document.querySelectorAll("*")].flatMap((one) => {
        const { transitionDuration, animationName, animationDuration, animationIterationCount } = getComputedStyle(one);
        const times = animationName === "none" ? [transitionDuration] : [transitionDuration, animationDuration];
        const longest = Math.max(...times.join().split(",").map(parseFloat));
        return animationName !== "none" && animationIterationCount === "infinite" ? Infinity : longest;
    });
    return Math.max(...times);
}"""


def test_nothing_moves_for_those_who_ask_for_that(reader):
    """Seconds of the longest animation or transition on a page, for those who ask for none and those who do not."""
    longest = {}
    for wish in ("no-preference", "reduce"):
        reader.emulate_media(reduced_motion=wish)
        longest[wish] = reader.evaluate(MOTION)
    assert longest["no-preference"] >= 0.1
    assert longest["reduce"] <= 0.001
