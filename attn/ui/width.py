"""How much room the page has, so that pictures fill a projector and fit a laptop and a phone."""

import json

import streamlit as st

from attn.charts import token_strip_width, touched_cell
from attn.ui.state import chosen_look
from attn.ui.stories.running import story_now

NARROW = 880  # pixels: what a laptop of 1280 leaves beside the sidebar, assumed until it is known
TALL = 1000  # pixels of a window's height, assumed until it is known
FIGURES = '[data-testid="stVegaLiteChart"]'
FRAMES = f'{FIGURES}, .katex-display, [data-testid="stMarkdownContainer"] table'  # in which what is too wide scrolls
# a figure -> the one further down that shows large what is chosen in it
_OPENS = {".st-key-heads-grid": ".st-key-heads-one", ".st-key-inside-overview": ".st-key-inside-matrix"}
_HELD = f'{FIGURES}, [data-testid="stSlider"], [data-testid="stButtonGroup"]'  # what is touched more than once
_STEPS = '.st-key-page_path [role="radiogroup"]'  # a row of buttons, which on a phone scrolls, too
_WIDE, _LARGER = 1520, 20 / 14  # what a projector of 1920 leaves, and how much larger words are there than on a laptop
_LOW, _HIGH = 720, 900  # pixels of a laptop's window down, and of one that is high enough for such words
_LARGEST = 3
_WORDS = 14  # pixels of words in figures on a laptop
_LARGE = 24 / _WORDS  # how much larger words in figures are at least for a hall
_SMALL = {"narrow": 900, "low": 500}  # pixels of a window: one below either has no room for the menu beside the page
_SMALL_LARGE = {"narrow": 1500, "low": 500}  # and with words for a hall, where figures need all of a laptop's width
HAND = 520  # pixels of a page held upright in a hand, which is scrolled: only its width limits a picture
SHEET = 50  # hundredths of the height of a phone's window that controls alone take
_LAID_OVER = 768  # pixels across up to which Streamlit lays its menu over the page
_BAR = 56  # pixels of such a window that the bar above the page takes, with a space below it
_SEEN = 0.75  # of the room that a figure has, where it counts as seen
_SIGNS = "→=≠×÷+−"  # before the title of a part that stands below another, and is made of it or held against it
_OPENING = 350  # milliseconds in which a menu opens
_STEP = 40  # pixels: smaller changes do not redraw the page, nor a quarter of them one held in a hand
_LEAVING = 2000  # milliseconds in which a page that was left is not measured: the answer to the click comes first
_MARGIN = 12  # pixels at the right of a figure that hold nothing, and may be out of sight without a sign
_SIGN = 18  # pixels of the strip that says at a side of a figure that there is more of it
_PRESENTED = 1 / 60, 6  # pixels of words presented, a pixel of the window's height, and besides: 18 at 720, 24 at 1080
_TITLE, _STORY = 0.15, 0.1  # of a presented window's height, for the title, and for a story's sentence
_SHAPE = 2.25  # of the room that a presented figure has, across by down
_EDGES = 0.065  # of its width
# of a low window's height, for a presented plot, and pixels of the smallest numbers in it: the browser makes such a
# figure so much smaller that these are seen at 11, which is the least that is read in a hand
_SIDEWAYS = 0.49, 13
_ABOVE = 235  # pixels above a page's first figure
_ABOVE_LARGE, _ABOVE_LOW = 330, 190  # with words for a hall, and in a low window then
_CONTROLS_LOW = 50  # pixels of a row of controls among them, which some pages have
_CARD, _WORK = 30, 15  # pixels that plots give up for a story's card and its task: their cells must still hold numbers
_HEAD = 34  # pixels of a column of a deep model's map
_AROUND_HELD = 150  # pixels of a low window for the bar above the page, and a figure's title and axes
_AROUND, _LEAST_TALL = 165, 120  # pixels of a figure's title and axes, and of a plot
_LEAST_BARS = 480  # pixels across of a figure of bars, its names included
_AROUND_CURVES = 85  # pixels of the title of curves and of what stands under them

_RULER = """
export default function({ data, setStateValue }) {
    const main = document.querySelector('[data-testid="stMainBlockContainer"]');
    const app = document.querySelector(".stApp[data-test-connection-state]");
    if (!main) return;
    const whole = (pixels) => {
        const step = pixels < data.hand ? data.step / 4 : data.step;
        return Math.floor(pixels / step) * step;
    };
    const report = () => {
        const style = getComputedStyle(main);
        const width = whole(main.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
        const height = whole(window.innerHeight);
        if (width > 0 && main.dataset.pageWidth !== `${width} ${height}`) {
            main.dataset.pageWidth = `${width} ${height}`;
            setStateValue("room", { width, height });
        }
    };
    let timer;
    let left = -data.leaving;
    const later = () => {
        clearTimeout(timer);
        timer = setTimeout(report, Math.max(150, left + data.leaving - performance.now()));
    };
    // What is sent between a click that leads to another page and the answer to it would call this page once more.
    const leave = (event) => {
        if (!event.target.closest('[data-testid="stPageLink-NavLink"]')) return;
        left = performance.now();
        later();
    };
    document.addEventListener("click", leave, true);
    const observer = new ResizeObserver(() => { keepHeld(); later(); cutSoon(); });
    observer.observe(main);
    window.addEventListener("resize", later);
    // In a small window, such as a phone's, the menu leaves no room for the page: it begins folded away, and is folded
    // again once a page is chosen, or large words are, or what lies beside it is touched. A window that is made small
    // later keeps its menu.
    const sidebar = document.querySelector('[data-testid="stSidebar"]');
    const small = () => window.innerWidth < data.narrow || window.innerHeight < data.low;
    // Streamlit remembers for all windows of a browser that its menu was folded. What a small one needs, no other does.
    const fold = () => {
        sidebar.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
        const forget = (key) => key.startsWith("stSidebarCollapsed") && localStorage.removeItem(key);
        setTimeout(() => Object.keys(localStorage).forEach(forget), 500);
    };
    const close = (event) => {
        const beside = event.target === sidebar && event.clientX >= sidebar.getBoundingClientRect().right;
        if (small() && (beside || event.target.closest(".attn-menu a, [data-talk=present]"))) setTimeout(fold, 0);
    };
    sidebar?.addEventListener("click", close);
    // The controls alone leave the figure that they change in sight: of a phone they take the lower part, and the page
    // above them is used as ever. What is open is said where it was opened, and closes there, too.
    const controls = (event) => {
        if (!event.target.closest?.(".attn-controls")) return;
        if (sidebar.dataset.collapsed === "false") return fold();
        document.body.dataset.controls = "";
        document.querySelector('[data-testid="stExpandSidebarButton"]')?.click();
        setTimeout(showFigure, data.opening);
    };
    // A part that the controls add to a figure, or take away, moves the one that counts.
    const titles = () => {
        return [...main.querySelectorAll(`:is(${data.figures}) .role-title text`)].map((one) => one.textContent).join();
    };
    let shown = "";
    const showChanged = () => {
        if (!("controls" in document.body.dataset) || titles() === shown) return;
        shown = titles();
        showFigure();
    };
    // Of a figure whose parts stand one below another, each with a sign before its title that says how it is made of
    // those above, the last is what counts.
    const resultOf = (figure) => {
        const [, ...titles] = figure.querySelectorAll(".role-title text");
        const chain = titles.length && titles.every((title) => data.signs.includes(title.textContent[0]));
        return (chain ? titles.at(-1).closest(".role-scope") : figure).getBoundingClientRect();
    };
    const showFigure = () => {
        const laid = "controls" in document.body.dataset && window.innerWidth <= data.narrowest;
        const [top, bottom] = [data.bar, window.innerHeight * (laid ? 1 - data.sheet / 100 : 1) - data.margin];
        const figures = [...main.querySelectorAll(data.figures)];
        const inSight = (place) => Math.min(place.bottom, bottom) - Math.max(place.top, top);
        const seen = (place) => inSight(place) >= Math.min(data.seen * (bottom - top), place.height);
        if (figures.map(resultOf).some(seen)) return;
        const nearest = figures.find((figure) => resultOf(figure).bottom > top) ?? figures.at(-1);
        if (!nearest) return;
        const [whole, place] = [nearest.getBoundingClientRect(), resultOf(nearest)];
        // from the figure's beginning where that leaves the result in sight, and else its end before what it is made of
        scrollBy(Math.min(place.top, Math.max(whole.top, place.bottom - bottom + top)) - top);
    };
    // What a touch opens in a figure further down comes into sight once it is drawn. Keys stay where they are.
    const opens = JSON.parse(data.opens);
    let opening = null, opened = false;
    const follow = (event) => {
        if (event.pointerType !== "touch" || !small() || !event.target.closest?.(".role-mark")) return;
        const touched = Object.keys(opens).find((figure) => event.target.closest(figure));
        if (touched) opening = { show: () => showOpened(opens[touched]), from: location.search, run: false };
        opened = Boolean(touched);
    };
    // What is touched next is what is looked at, and nothing leaves a word that a touch brought but the next one.
    const forget = (event) => {
        opening = held = null;
        opened = false;
        if (event.pointerType === "touch") document.querySelector("#vg-tooltip-element")?.classList.remove("visible");
    };
    // What was touched stays under the finger when the sentence above it becomes longer or shorter: the page is
    // scrolled by as much or, where it begins, gives it room.
    let held = null, pushed = null;
    const holdable = () => [...main.querySelectorAll(data.held)];
    const hold = (event) => {
        const touched = event.pointerType === "touch" && event.target.closest?.(data.held);
        const at = holdable().indexOf(touched);
        if (at >= 0) held = { at, top: touched.getBoundingClientRect().top, page: location.pathname };
    };
    const keepHeld = () => {
        if (pushed && pushed.page !== location.pathname) push(pushed.part, 0);
        // drawn anew it is another, before the one that goes
        const part = held?.page === location.pathname && holdable()[held.at];
        const moved = part ? part.getBoundingClientRect().top - held.top : 0;
        if (Math.abs(moved) < 1 || Math.abs(moved) > data.seen * window.innerHeight) return;
        const pane = main.closest('[data-testid="stMain"]');
        const before = parseFloat(part.style.marginTop) || 0;
        const room = Math.max(0, before - moved - (moved < 0 ? pane.scrollTop : 0));
        push(part, room);
        pane.scrollBy({ top: moved + room - before, behavior: "instant" });
    };
    const push = (part, room) => {
        if (pushed && pushed.part !== part) pushed.part.style.marginTop = "";
        part.style.marginTop = room ? `${room}px` : "";
        pushed = room ? { part, page: location.pathname } : null;
    };
    document.addEventListener("pointerup", hold);
    // However long the answer takes: it has come when the page has run, or its link has changed, and it runs no more.
    const showAnswer = () => {
        const running = app.dataset.testScriptState === "running";
        if (!running) setTimeout(showChanged, data.opening);
        if (!opening) return;
        opening.run ||= running;
        if (running || !(opening.run || location.search !== opening.from)) return;
        setTimeout(opening.show, data.opening);
        opening = null;
    };
    // What came of a story's task comes into sight once it is done; its sign in the bar then leads on, and until then
    // to what is to be done.
    const showDone = () => {
        const task = document.querySelector(".attn-task");
        const done = task && "done" in task.dataset;
        const isNew = done && document.body.dataset.task === task.dataset.screen;
        document.body.dataset.task = task && !done ? task.dataset.screen : "";
        if (isNew && small() && !opened) opening = { show: showFigure, run: true };
    };
    const toTask = (event) => {
        const sign = event.target.closest?.(".attn-task");
        const on = sign && "done" in sign.dataset && document.querySelector(".st-key-story_on a");
        if (on) on.click();
        else if (sign) scrollBy(-main.closest('[data-testid="stMain"]').scrollTop);
    };
    document.addEventListener("click", toTask);
    const answering = new MutationObserver(showAnswer);
    if (app) answering.observe(app, { attributes: true, attributeFilter: ["data-test-script-state"] });
    const showOpened = (figure) => {
        const drawn = document.querySelector(`[data-testid="stMain"] ${figure}`);
        if (!drawn) return;
        const place = drawn.getBoundingClientRect();
        const room = window.innerHeight - data.bar;
        const least = Math.min(place.height, data.seen * room);
        // with its tab and the sentence above it, where both leave room for most of that
        const tabs = drawn.closest('[data-testid="stTabs"]') ?? drawn;
        const above = place.top - tabs.getBoundingClientRect().top;
        const fits = above > 0 && above + data.seen * least <= room;
        const [top, part] = fits ? [place.top - above, data.seen * least] : [place.top, least];
        if (top >= data.bar && place.top + part <= window.innerHeight) return;
        scrollBy(top - data.bar);
    };
    document.addEventListener("pointerdown", forget);
    document.addEventListener("pointerup", follow);
    const scrollBy = (pixels) => {
        held = null;
        const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
        main.closest('[data-testid="stMain"]').scrollBy({ top: pixels, behavior: calm ? "auto" : "smooth" });
    };
    const sayOpened = () => {
        const opened = sidebar?.dataset.collapsed === "false";
        if (!opened) delete document.body.dataset.controls;
        document.querySelector(".attn-controls")?.setAttribute("aria-expanded", opened);
    };
    document.addEventListener("click", controls);
    const folding = new MutationObserver(sayOpened);
    if (sidebar) folding.observe(sidebar, { attributes: true, attributeFilter: ["data-collapsed"] });
    if (sidebar && document.body.dataset.menuBegun !== String(data.narrow)) {
        document.body.dataset.menuBegun = String(data.narrow);
        if (small() && sidebar.dataset.collapsed === "false") fold();
    }
    // What is wider than its frame says so at the side where there is more, and the names of its rows stay in sight.
    const cut = (frame) => {
        const more = { left: frame.scrollLeft, right: frame.scrollWidth - frame.clientWidth - frame.scrollLeft };
        const figure = frame.matches(data.figures);
        if (figure) showChosen(frame);
        const sides = Object.keys(more).filter((side) => more[side] > (figure ? data.margin : 1));
        if (figure) pinNames(frame);
        else if (frame.matches(data.steps)) showOpen(frame);
        else if (sides.length) frame.tabIndex = 0; // it is scrolled by keys, as is a figure by those of its own
        else frame.removeAttribute("tabindex");
        frame.dataset.cut = sides.join(" ");
        frame.style.setProperty("--scrolled", `${frame.scrollLeft}px`);
    };
    // What a figure outlines as chosen is what the page speaks of: it is scrolled into sight once, where it is new.
    const showChosen = (frame) => {
        if (frame.scrollWidth <= frame.clientWidth + data.margin) return;
        const outlines = [...frame.querySelectorAll("svg.marks path[stroke-width]:not([fill])")];
        const boxes = outlines.filter((one) => parseFloat(one.getAttribute("stroke-width")) >= 2.5)
            .map((one) => one.getBoundingClientRect()).filter((box) => 2 * box.width < frame.clientWidth);
        const chosen = boxes.at(-1);
        if (!chosen) return;
        const seen = frame.getBoundingClientRect();
        const at = Math.round(chosen.left - seen.left + frame.scrollLeft);
        if (frame.dataset.chosen === String(at)) return;
        frame.dataset.chosen = at;
        const names = namesWidth(frame) + data.sign;
        if (chosen.left < seen.left + names || chosen.right > seen.right - data.margin) {
            frame.scrollLeft = at + chosen.width / 2 - (names + frame.clientWidth) / 2;
        }
    };
    // Of tabs, or steps, that do not fit side by side the open one is in sight.
    const showOpen = (list) => {
        const open = list.querySelector('[role="tab"][aria-selected="true"], [role="radio"][aria-checked="true"]');
        const now = `${open?.innerText} ${list.clientWidth} ${list.scrollWidth}`; // it may change
        if (!open || list.dataset.open === now) return;
        const [box, seen] = [open.getBoundingClientRect(), list.getBoundingClientRect()];
        const whole = box.left > seen.left - 1 && box.right < seen.right + 1;
        if (whole || list.scrollWidth <= list.clientWidth || box.width > seen.width) list.dataset.open = now;
        if (list.dataset.open === now) return;
        list.scrollLeft += (box.left + box.right - seen.left - seen.right) / 2;
        cutSoon(); // Streamlit may put it back as it draws the row
    };
    // Vega knows its parts by their order, so that what moves along is a copy at the end, which it may take away. Under
    // the names nothing of their plot is seen, and a sign at their side says that there is more of it.
    const pinNames = (frame) => {
        const svg = frame.querySelector("svg.marks");
        if (!svg) return;
        const drawn = svg.querySelector(":scope > .pinned");
        const made = frame.scrollLeft && (drawn ?? pinnedNames(frame, svg));
        if (drawn && !made) drawn.remove();
        if (made && !drawn) svg.appendChild(made);
        if (made) made.setAttribute("transform", `translate(${frame.scrollLeft} 0)`);
        const end = frame.getBoundingClientRect().left + (made ? namesWidth(frame) : 0) + data.sign;
        keepWordsInSight(frame, svg, frame.scrollLeft ? end : null);
        nameSeenColumns(frame, svg, made ? end : null);
    };
    const plotOf = (part) => part.closest(".role-scope, .role-frame").querySelector(":scope > g > .background");
    const namesWidth = (frame) => {
        return frame.querySelector('.role-axis[aria-label^="Y-axis"]')?.getBoundingClientRect().width ?? 0;
    };
    const drawnPart = (parent, kind, attributes) => {
        const part = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", kind));
        for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
        return part;
    };
    const pinnedNames = (frame, svg) => {
        const pinned = document.createElementNS(svg.namespaceURI, "g");
        pinned.classList.add("pinned");
        pinned.setAttribute("aria-hidden", "true");
        const half = frame.getBoundingClientRect().left + frame.clientWidth / 2 - frame.scrollLeft;
        for (const axis of svg.querySelectorAll('.role-axis[aria-label^="Y-axis"]')) {
            if (axis.getBoundingClientRect().right > half) continue;
            const [box, plot] = [axis.getBBox(), plotOf(axis).getBBox()];
            const place = svg.getScreenCTM().inverse().multiply(axis.getScreenCTM());
            const copy = drawnPart(pinned, "g", { transform: `translate(${place.e} ${place.f})` });
            const top = Math.min(box.y, plot.y - 2), right = box.x + box.width + data.sign;
            const height = Math.max(box.y + box.height, plot.y + plot.height + 2) - top;
            drawnPart(copy, "rect", { x: -place.e, y: top, width: right + place.e, height });
            const signs = [`M${right} ${top}v${height}`];
            for (let y = top + Math.min(64, height / 2); y < top + height; y += 128) {
                signs.push(`M${right - 4} ${y - 5}l-4 5 4 5`);
            }
            drawnPart(copy, "path", { d: signs.join(""), "stroke-width": 2 });
            for (const part of axis.children) copy.appendChild(part.cloneNode(true));
        }
        return pinned.childElementCount ? pinned : null;
    };
    // What is said of a plot, its title and its scale, goes along as far as the plot does.
    const keepWordsInSight = (frame, svg, end) => {
        const edge = frame.getBoundingClientRect();
        const said = ".role-title, .role-legend, .role-axis[aria-label^='X-axis'] .role-axis-title";
        for (const words of svg.querySelectorAll(said)) {
            const box = words.getBoundingClientRect();
            const left = box.left - (parseFloat(words.style.translate) || 0);
            const start = Math.min(end, Math.max(edge.left + data.sign, edge.right - data.margin - box.width));
            const most = plotOf(words).getBoundingClientRect().right - box.width - left;
            const move = end === null ? 0 : Math.max(0, Math.min(start - left, most));
            words.style.translate = move ? `${move}px` : "";
        }
    };
    // and the name of a column that has gone under them goes, too: turned, it would hang below where no column is
    const nameSeenColumns = (frame, svg, end) => {
        for (const name of svg.querySelectorAll('.role-axis[aria-label^="X-axis"] .role-axis-label text')) {
            name.style.visibility = end !== null && name.getScreenCTM().e < end ? "hidden" : "";
        }
    };
    // Streamlit's windows lie beside the app in the page, and know nothing of its theme, which may not be the system's
    const dress = () => {
        document.documentElement.style.colorScheme = getComputedStyle(main).colorScheme;
    };
    const cutAll = () => {
        dress();
        showDone();
        showAnswer(); // that of a run too short for its beginning to be seen
        sayOpened();
        main.querySelectorAll(data.frames).forEach(cut);
        main.querySelectorAll('[role="tablist"]').forEach(showOpen);
    };
    const scrolled = (event) => event.target.matches?.(data.frames) && cut(event.target);
    main.addEventListener("scroll", scrolled, true);
    let soon;
    const cutSoon = () => { clearTimeout(soon); soon = setTimeout(cutAll, 150); };
    window.addEventListener("resize", cutSoon);
    const drawing = new MutationObserver(() => { keepHeld(); cutSoon(); });
    drawing.observe(main, { childList: true, subtree: true });
    cutSoon(); // what was drawn before the ruler came, or came again
    // Vega points from a legend to its gradient by the whole address that the page had when it was drawn, where nothing
    // is to be found once a click has changed it: of the reference the part within this page stays.
    const paint = () => {
        for (const one of main.querySelectorAll('[fill^="url("]:not([fill^="url(#"])')) {
            one.setAttribute("fill", one.getAttribute("fill").replace(/^url\\(.*#/, "url(#"));
        }
    };
    const painting = new MutationObserver(paint);
    painting.observe(main, { childList: true, subtree: true, attributes: true, attributeFilter: ["fill"] });
    paint();
    // Home says in a sentence that an address is not there, in place of the window that Streamlit opens over the page
    const windows = [...document.querySelectorAll('[role="dialog"]')];
    const missed = windows.find((one) => one.innerText.startsWith("Page not found"));
    missed?.querySelector('button[aria-label="Close"]')?.click();
    // A connection that is there again may be to a server started anew, or to another. That knows nothing of this
    // session, nor of its buttons that save a file, until the page is run: from its link, as when it is opened.
    const connected = () => app.dataset.testConnectionState === "CONNECTED";
    let broken = false;
    const connection = new MutationObserver(() => {
        if (broken && connected()) setStateValue("reconnected", Date.now());
        broken = !connected();
    });
    if (app) connection.observe(app, { attributes: true, attributeFilter: ["data-test-connection-state"] });
    return () => {
        observer.disconnect();
        drawing.disconnect();
        painting.disconnect();
        window.removeEventListener("resize", cutSoon);
        main.removeEventListener("scroll", scrolled, true);
        connection.disconnect();
        window.removeEventListener("resize", later);
        document.removeEventListener("click", leave, true);
        sidebar?.removeEventListener("click", close);
        document.removeEventListener("click", controls);
        document.removeEventListener("click", toTask);
        document.removeEventListener("pointerdown", forget);
        document.removeEventListener("pointerup", follow);
        document.removeEventListener("pointerup", hold);
        answering.disconnect();
        folding.disconnect();
    };
}
"""
_measure = st.components.v2.component("attention_lab.page_width", js=_RULER)


def measure_page_room():
    """Draw the invisible ruler; call it once a page.

    It also marks what is cut by its frame, scrolls to what is chosen in it and to the open tab, keeps the colours
    of legends when the address changes, folds the menu of a small window at first and after a choice, closes the
    window that Streamlit opens where an address is not there, and has the page run again when a broken connection
    is back.
    """
    said = _measure(
        key="ruler",
        data=(_SMALL_LARGE if chosen_look().large else _SMALL)
        | {
            "step": _STEP,
            "hand": HAND,
            "figures": FIGURES,
            "frames": f"{FRAMES}, {_STEPS}",
            "steps": _STEPS,
            "margin": _MARGIN,
            "sign": _SIGN,
            "sheet": SHEET,
            "narrowest": _LAID_OVER,
            "bar": _BAR,
            "seen": _SEEN,
            "opening": _OPENING,
            "signs": _SIGNS,
            "held": _HELD,
            "opens": json.dumps(_OPENS),  # as text: Streamlit would load pandas to ask whether it is a table
        }
        | {"leaving": _LEAVING},
        on_room_change=lambda: None,
        on_reconnected_change=lambda: None,
        default={"room": None, "reconnected": None},
    )
    if said.room:
        st.session_state["page_width"], st.session_state["page_height"] = said.room["width"], said.room["height"]


def _filled():
    """Return whether a figure is to fill a screen on which it is presented; in a hand it is as on its page."""
    return chosen_look().present and _room() >= HAND


def page_enlargement():
    """Return how many times as large as on a laptop everything in figures is drawn: more in a larger window."""
    if _filled():
        return max(1.0, (_height() * _PRESENTED[0] + _PRESENTED[1]) / _WORDS)
    spare = (_room() - NARROW) / (_WIDE - NARROW), (_height() - _LOW) / (_HIGH - _LOW)
    natural = 1 + (_LARGER - 1) * min(spare)
    natural = min(max(natural, 1), _LARGEST)
    return max(_LARGE, natural * _LARGE / _LARGER) if chosen_look().large else natural


def presented_low():
    """Return whether a figure is presented in a window as low as that of a phone on its side."""
    return _filled() and _height() < _SMALL["low"]


def least_number():
    """Return the pixels of the smallest numbers in cells that are read, before figures are enlarged.

    It is as on a laptop, or as on a phone on its side where one presents.
    """
    return _SIDEWAYS[1] if presented_low() else _WORDS / page_enlargement()


def page_width():
    """Return the width of the main column in pixels, counted before figures are enlarged."""
    return int(_room() * (1 - _EDGES * chosen_look().present) / page_enlargement())


def page_share(part, least=300, beside=0, column=False):
    """Return the pixels across of a figure that stands beside others, or of one alone where it would be too narrow.

    Parameters
    ----------
    part : float
        Of the page's width, from 0 to 1.
    least : float, default 300
        Pixels below which it takes a row of its own, without `beside`.
    beside : float, default 0
        Pixels taken by what stands beside it.
    column : bool, default False
        Whether it is a figure in a column of its own, which has all of the page where each is presented alone.
    """
    if column and chosen_look().present:
        part, beside = 1, 0
    share = page_width() * part - beside
    return int(share if share >= least or page_width() >= NARROW else page_width())


def page_strip_width(tokens, **look):
    """Return the pixels after which a strip of tokens breaks: the page's width, or what makes it largest presented.

    Parameters
    ----------
    tokens : sequence of str
    **look
        What `attn.charts.token_strip` is told of its size.
    """
    wide = page_width()
    return token_strip_width(tokens, wide, wide / _SHAPE, **look) if _filled() else wide


def page_held():
    """Return whether the page is held in a hand, upright or on its side: it is touched, and scrolled to see a figure.

    A figure is made so high that a matrix fits into a low window; where it is presented, the browser makes it smaller.
    """
    return _room() < HAND or (_height() < _SMALL["low"] and not chosen_look().present)


def page_cell(cell, count):
    """Return the pixels of a cell in a map of so many cells a side: enough for a finger on a page held in a hand."""
    return touched_cell(cell, count) if page_held() else cell


def page_map_size(count, most, beside=60):
    """Return the pixels along the longer side of a map that is alone in its row.

    Parameters
    ----------
    count : int
        Cells along that side: no fewer pixels than a finger needs for each, on a page held in a hand.
    most : float
        Pixels.
    beside : float, default 60
        Pixels that the names at its left take.
    """
    size = min(page_width() - beside, most)
    return int(page_cell(size / count, count) * count)


def page_layers_map_size(shape, size, beside=60):
    """Return the size of a map of layers and heads: its longer side, or width and height where a model is deep.

    The rows of many layers are low; so that its cells are not as small across, too, they are not square then.

    Parameters
    ----------
    shape : (int, int)
        Layers and heads.
    size : int
        Pixels along the longer side of square cells.
    beside : float, default 60
        Pixels of the page that such a map does not have.
    """
    layers, heads = shape
    if heads >= layers:
        return size
    row = size // layers
    return int(max(row, min((page_width() - beside) / heads, _HEAD))) * heads, row * layers


def page_tallest(controls=0, most=None, count=0):
    """Return how many pixels high a plot of a page's first figure may be, so that the figure ends within the window.

    Parameters
    ----------
    controls : float
        Pixels of what stands above the figure beyond a title and a few lines, or in it, before all is enlarged.
    most : float, optional
        By default 440 on a laptop, and up to 600 in a wider window.
    count : int, default 0
        Cells along the longer side of the largest matrix. One that a phone on its side does not show whole with cells
        for a finger is as high as upright, and scrolled.
    """
    if presented_low():
        return int(_SIDEWAYS[0] * _height())
    if _filled():
        words = _TITLE + _STORY * bool(chosen_look().story)
        return int(max(_LEAST_TALL, _height() * (1 - words) / page_enlargement() - _AROUND))
    most = max(440, min(600, 0.35 * page_width())) if most is None else most
    if page_held():
        low = _height() - _AROUND_HELD if _height() < _SMALL["low"] else most
        low = most if count and touched_cell(0, count) * count > low else low
        return int(max(_LEAST_TALL, min(most, low)))
    above = _ABOVE_LOW if window_low_for_hall() else _ABOVE_LARGE if chosen_look().large else _ABOVE
    room = (_height() - above - _card()) / page_enlargement() - controls - _AROUND
    return int(max(_LEAST_TALL, min(most, room)))


def page_plot_height(most=440):
    """Return how many pixels high a plot further down a page may be: `most`, or less where it is presented alone."""
    return min(most, page_tallest()) if _filled() else most


def page_curves_height(wide, usual):
    """Return the pixels down of curves that are so wide: as many as usual, or so that they fill a presented screen.

    Parameters
    ----------
    wide : float
        Pixels across of the whole figure.
    usual : int
    """
    return int(max(_LEAST_TALL, wide / _SHAPE - _AROUND_CURVES)) if _filled() else usual


def page_bars_width(wide, high):
    """Return the pixels across of a figure of bars: presented, a low one is narrow, so that it is shown large.

    Parameters
    ----------
    wide : float
        Pixels that there are.
    high : float
        Of all bars.
    """
    return min(wide, max(_LEAST_BARS, int(_SHAPE * (high + _AROUND_CURVES)))) if _filled() else wide


def page_rows(row, usual):
    """Return how many rows so many pixels high a figure has: as many as usual, or as fit a presented screen.

    Parameters
    ----------
    row : float
        Pixels, before figures are enlarged.
    usual : int
    """
    return min(usual, max(1, page_curves_height(page_width(), 0) // row)) if _filled() else usual


def _card():
    """Return the pixels that a page's first figure gives up for the card of a story above it."""
    now = story_now()
    return 0 if now is None or chosen_look().present else _CARD + _WORK * bool(now.screen.task or now.screen.guess)


def window_low_for_hall():
    """Return whether words are large in a window that leaves a figure little height beside them."""
    look = chosen_look()
    return look.large and not look.present and _height() < _HIGH


def window_figure_height():
    """Return the pixels, before figures are enlarged, that a whole figure has below a title and a sentence.

    It is what `attn.charts.fit_to_room` is told where words are large. Otherwise a page may be scrolled, or its
    figure is made smaller by the browser, as where it is presented alone, and it is without end: None.
    """
    if not window_low_for_hall():
        return None
    return (_height() - _ABOVE_LOW - _CONTROLS_LOW) / page_enlargement()


def window_measures():
    """Return all that the sizes of figures depend on."""
    return _room(), _height(), chosen_look().large, chosen_look().present, bool(chosen_look().story)


def _height():
    """Return the pixels down the window."""
    return st.session_state.get("page_height", TALL)


def _room():
    """Return the pixels across the main column."""
    return st.session_state.get("page_width") or NARROW
