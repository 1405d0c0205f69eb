// What a mouse does in figures, done by keys; each figure's numbers as a table; the keys of menu, tabs and pages.
// A figure is one stop of the tabulator key. In it arrows move a ring from mark to mark, whose words are said as the
// pointer would show them, and Enter sends the very events of a click there: what becomes of it is Vega's own affair.
const FIGURE = '[data-testid="stVegaLiteChart"]';
const MENU = ".attn-menu a";
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const OWN_ARROWS = 'input, textarea, select, [role="radiogroup"], [role="tablist"], [role="slider"], [role="listbox"]';
const MOVE = ["pointerover", "pointermove", "mousemove"];
const CLICK = [...MOVE, "pointerdown", "mousedown", "pointerup", "mouseup", "click"];
const BESIDE = 8; // pixels to each side of a mark from where to where a part is dragged out
const THIN = 4; // pixels around a mark without a size of its own
const PLACE = ["x", "x2", "y", "y2"]; // columns of a table that only say where something is drawn

/** Return the Vega view of a figure: Streamlit's component keeps it in one of its references. */
function viewOf(figure) {
    const key = Object.keys(figure).find((name) => name.startsWith("__reactFiber$"));
    const drawn = figure.querySelector("svg, canvas");
    for (let fiber = figure[key], up = 0; fiber && up < 12; fiber = fiber.return, up++) {
        for (let hook = fiber.memoizedState; hook && "next" in hook; hook = hook.next) {
            const held = hook.memoizedState?.current;
            const view = held?.scenegraph ? held : held?.view;
            const { _svg, _canvas } = view?.scenegraph ? view._renderer ?? {} : {};
            if (drawn && [_svg, _canvas].includes(drawn)) return view; // not one that was drawn before
        }
    }
}

/** Return the names of what can be chosen in a figure. */
function selections(view) {
    const state = view.getState({ data: (name) => name?.endsWith("_store"), signals: () => false, recurse: false });
    return Object.keys(state.data ?? {}).map((name) => name.slice(0, -"_store".length));
}

/** Return whether a part of a figure is dragged out, instead of a mark clicked: such a part is a mark itself. */
function isDragged(view) {
    const parts = selections(view).map((name) => `${name}_brush`);
    const within = (group) => group.items.some(
        (mark) => parts.includes(mark.name) || (mark.marktype === "group" && mark.items.some(within)),
    );
    return view.scenegraph().root.items.some(within);
}

/** Return what a mark says as pairs of a name and a value. */
function pairs({ item }) {
    if (typeof item.tooltip === "string") return [["", item.tooltip]];
    const said = item.tooltip ?? item.datum;
    return Object.entries(said ?? {}).filter(([name]) => item.tooltip || !PLACE.includes(name));
}

function words(mark) {
    const said = ([name, value]) => (`${value}`.startsWith(name.trim()) ? `${value}` : `${name} ${value}`);
    return pairs(mark).map(said).join(", ");
}

/** Return the words over a plot. */
function titleOf(group) {
    const title = group.items.find((mark) => mark.role === "title");
    const texts = (title?.items ?? []).flatMap((each) => each.items).filter((mark) => mark.role === "title-text");
    return texts.flatMap((mark) => mark.items.map((item) => [item.text].flat().join(" "))).join(" ");
}

/** Return every mark of a figure that says or does something: its box in pixels of the view, and its plot. */
function marksOf(view) {
    const choosable = selections(view).length > 0;
    const [marks, seen] = [[], new Map()];
    const walk = (group, left, top) => {
        for (const mark of group.items) {
            if (mark.marktype === "group") {
                if (/^(axis|legend|title)/.test(mark.role)) continue;
                for (const inner of mark.items) walk(inner, left + (inner.x || 0), top + (inner.y || 0));
                continue;
            }
            if (mark.role !== "mark" || mark.marktype === "image" || mark.interactive === false) continue;
            for (const item of mark.items) {
                if (item.tooltip == null && !choosable) continue;
                const line = ["line", "area", "trail"].includes(mark.marktype);
                const box = line || !item.bounds
                    ? { x1: item.x - THIN, x2: item.x + THIN, y1: item.y - THIN, y2: item.y + THIN }
                    : item.bounds;
                const found = {
                    item, group, x1: left + box.x1, x2: left + box.x2, y1: top + box.y1, y2: top + box.y2,
                    x: left + (box.x1 + box.x2) / 2, y: top + (box.y1 + box.y2) / 2,
                };
                // a cell and the number in it say the same, as do the parts of an arrow: one stop
                const said = JSON.stringify(item.tooltip ?? [found.x, found.y]);
                const known = seen.get(group) ?? seen.set(group, new Set()).get(group);
                if (!known.has(said) && Number.isFinite(found.x + found.y)) marks.push(found);
                known.add(said);
            }
        }
    };
    for (const whole of view.scenegraph().root.items) walk(whole, whole.x || 0, whole.y || 0);
    return marks;
}

/** Return the mark next to one in a direction: in its row or column, else in that of another plot, else askew. */
function neighbour(marks, at, [dx, dy]) {
    const overlap = (mark) => (dx ? mark.y1 < at.y && at.y < mark.y2 : mark.x1 < at.x && at.x < mark.x2);
    const along = (mark) => (mark.x - at.x) * dx + (mark.y - at.y) * dy;
    const across = (mark) => Math.abs(dx ? mark.y - at.y : mark.x - at.x);
    const ahead = marks.filter((mark) => along(mark) >= 1);
    const here = (mark) => mark.group === at.group;
    const askew = (mark) => across(mark) <= along(mark);
    const choices = [
        ahead.filter((mark) => here(mark) && overlap(mark)), ahead.filter(overlap),
        ahead.filter((mark) => here(mark) && askew(mark)), ahead.filter(askew),
    ];
    const closest = (some) => some.reduce((a, b) => (along(b) + across(b) < along(a) + across(a) ? b : a));
    const found = choices.find((some) => some.length);
    return found && closest(found);
}

/** Return a table per plot of a figure. */
function numbers(view) {
    const marks = marksOf(view).filter(({ item }) => item.tooltip != null);
    return [...new Set(marks.map(({ group }) => group))].map((group) => {
        const rows = marks.filter((mark) => mark.group === group).map((mark) => new Map(pairs(mark)));
        return tableOf(titleOf(group), rows);
    });
}

function tableOf(title, rows) {
    const names = [...new Set(rows.flatMap((row) => [...row.keys()]))];
    const table = document.createElement("table");
    if (title) table.createCaption().textContent = title;
    const line = (texts, heads) => {
        const row = table.insertRow();
        texts.forEach((text, at) => {
            const cell = document.createElement(heads === "all" || at < heads ? "th" : "td");
            if (cell.tagName === "TH") cell.scope = heads === "all" ? "col" : "row";
            cell.textContent = text ?? "";
            row.append(cell);
        });
    };
    const values = (name) => [...new Set(rows.map((row) => row.get(name)))];
    const [first, second, third] = names;
    // a matrix: each pair of row and column once
    if (names.length === 3 && values(first).length * values(second).length === rows.length && rows.length > 1) {
        const cells = new Map(rows.map((row) => [JSON.stringify([row.get(first), row.get(second)]), row.get(third)]));
        line([`${third}: ${first} \\ ${second}`, ...values(second)], "all");
        for (const down of values(first)) {
            line([down, ...values(second).map((across) => cells.get(JSON.stringify([down, across])))], 1);
        }
        return table;
    }
    line(names, "all");
    for (const row of rows) line(names.map((name) => row.get(name)), names.length > 1 ? 1 : 0);
    return table;
}

function element(tag, properties) {
    return Object.assign(document.createElement(tag), properties);
}

/** Return the sentences of a text that can be heard in a breath, or its first words. */
function shortened(text, most) {
    if (text.length <= most) return text;
    const head = text.slice(0, most - 1);
    const end = head.lastIndexOf(". ");
    return end > 0 ? head.slice(0, end + 1) : `${head.slice(0, head.lastIndexOf(" "))} …`;
}

export default function ({ data, parentElement }) {
    const sayer = element("div", { className: "attn-said", role: "status", ariaLive: "polite" });
    const ring = element("div", { className: "attn-ring" });
    const help = element("div", { className: "attn-said", id: "attn-figure-keys", textContent: data.help });
    help.setAttribute("aria-hidden", "true"); // read as the description of a figure only
    document.body.append(sayer, help);
    let at = null; // where the ring is or was: the number of its figure and plot, its place, and what is said there
    let held = null; // the figure that has the focus, or had it until it was drawn anew
    let tries = 0;
    const figures = () => [...document.querySelectorAll(FIGURE)].filter((one) => one.querySelector("svg, canvas"));
    const groups = (marks) => [...new Set(marks.map((mark) => mark.group))];
    const say = (text) => { sayer.textContent = text; };

    /** Return how a drawing lies on the page: it is shown larger, or a part of it, where somebody presents. */
    const lying = (drawn) => {
        if (drawn.tagName === "svg") return drawn.getScreenCTM();
        const [box, scale] = [drawn.getBoundingClientRect(), Number(drawn.dataset.scale ?? 1)];
        return { a: scale, d: scale, e: box.left, f: box.top };
    };
    /** Return the pixels of the page at a place of a figure. */
    const onPage = (figure, view, x, y) => {
        const { a, d, e, f } = lying(figure.querySelector("svg.marks, canvas"));
        const [padding, [left, top]] = [view.padding(), view.origin()];
        return { clientX: e + a * (padding.left + left + x), clientY: f + d * (padding.top + top + y) };
    };
    const send = (figure, view, mark, types, shift = 0) => {
        const target = mark.item._svg ?? figure.querySelector("svg, canvas");
        const spot = onPage(figure, view, mark.x + shift, mark.y + shift);
        for (const type of types) {
            const Kind = type.startsWith("pointer") ? PointerEvent : MouseEvent;
            const more = { pointerId: 1, isPrimary: true, pointerType: "mouse", buttons: type.endsWith("down") ? 1 : 0 };
            target.dispatchEvent(new Kind(type, { bubbles: true, cancelable: true, view: window, ...spot, ...more }));
        }
    };
    /** Put the ring around a mark, and say its words. */
    const look = (figure, view, marks, mark, spoken = true) => {
        const plot = groups(marks).indexOf(mark.group);
        const news = at?.plot !== plot ? titleOf(mark.group) : "";
        const { x, y } = mark;
        held = figure;
        at = { number: figures().indexOf(figure), plot, x, y, words: words(mark), path: location.pathname };
        const corner = onPage(figure, view, mark.x1, mark.y1);
        const other = onPage(figure, view, mark.x2, mark.y2);
        const frame = figure.getBoundingClientRect();
        Object.assign(ring.style, {
            left: `${corner.clientX - frame.left + figure.scrollLeft}px`,
            top: `${corner.clientY - frame.top + figure.scrollTop}px`,
            width: `${other.clientX - corner.clientX}px`,
            height: `${other.clientY - corner.clientY}px`,
        });
        figure.append(ring);
        ring.scrollIntoView({ block: "nearest", inline: "nearest" });
        if (spoken) say([news, at.words].filter(Boolean).join(": "));
        send(figure, view, mark, MOVE); // so that its words are shown, too
    };
    /** Return the mark where the ring is, or was before the figure was drawn anew. */
    const current = (figure, marks) => {
        if (!at || at.number !== figures().indexOf(figure)) return marks[0];
        const here = marks.filter((mark) => mark.group === groups(marks)[at.plot]);
        const far = (mark) => Math.hypot(mark.x - at.x, mark.y - at.y);
        return (here.length ? here : marks).reduce((a, b) => (far(b) < far(a) ? b : a));
    };
    const leave = () => {
        ring.parentElement?.querySelector("svg, canvas")?.dispatchEvent(new PointerEvent("pointerout", { bubbles: true }));
        ring.remove();
    };
    /** Leave the mark for good: no redrawing brings it back. */
    const letGo = () => {
        leave();
        held = null;
    };

    /** Do what a key means in a figure; return whether it means anything. */
    const inFigure = (figure, key) => {
        const view = viewOf(figure);
        const marks = view ? marksOf(view) : [];
        if (!marks.length) return false;
        const [here, shown] = [current(figure, marks), ring.isConnected];
        const move = (mark) => look(figure, view, marks, mark ?? here);
        if (key in DIRECTIONS) move(shown ? neighbour(marks, here, DIRECTIONS[key]) : here);
        else if (key === "Home" || key === "End") {
            const row = marks.filter((mark) => mark.group === here.group && mark.y1 < here.y && here.y < mark.y2);
            row.sort((a, b) => a.x - b.x);
            move(row.at(key === "Home" ? 0 : -1));
        } else if (key === "PageUp" || key === "PageDown") {
            const plots = groups(marks);
            const next = plots[plots.indexOf(here.group) + (key === "PageUp" ? -1 : 1)];
            move(marks.find((mark) => mark.group === next));
        } else if (key === "Enter" || key === " ") {
            move(here);
            if (isDragged(view)) {
                send(figure, view, here, ["pointerdown", "mousedown"], -BESIDE);
                send(figure, view, here, ["pointermove", "mousemove", "pointerup", "mouseup"], BESIDE);
            } else send(figure, view, here, CLICK);
        } else if (key === "Escape" && shown) letGo();
        else return false;
        return true;
    };

    /** Move along the menu, which is one stop of the tabulator key. */
    const inMenu = (link, key) => {
        const links = [...document.querySelectorAll(MENU)];
        const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key];
        const ends = { Home: 0, End: links.length - 1 };
        if (!step && !(key in ends)) return false;
        const to = links[key in ends ? ends[key] : (links.indexOf(link) + step + links.length) % links.length];
        for (const one of links) one.tabIndex = one === to ? 0 : -1;
        to.focus();
        return true;
    };
    const here = (links) => links.findIndex((link) => link.innerText.endsWith(document.title.split(" · ")[0]));
    const turn = (step) => {
        const links = [...document.querySelectorAll(MENU)];
        links[(here(links) + step + links.length) % links.length]?.click();
    };
    const jumps = {
        N: () => turn(1),
        P: () => turn(-1),
        M: () => [...document.querySelectorAll(MENU)].find((link) => link.tabIndex === 0)?.focus(),
        F: () => {
            const all = figures();
            all[(all.indexOf(document.activeElement.closest(FIGURE)) + 1) % all.length]?.focus();
        },
        S: () => {
            const tabs = [...document.querySelectorAll('[data-testid="stMain"] [role="tab"]')];
            const open = tabs.findIndex((tab) => tab.ariaSelected === "true");
            const next = tabs[(open + 1) % tabs.length];
            next?.focus();
            next?.click();
        },
    };
    const pressed = (event) => {
        const { altKey, shiftKey, ctrlKey, metaKey, key, code, target } = event;
        if (ctrlKey || metaKey) return;
        let done = false;
        if (altKey && shiftKey) {
            const letter = /^[a-z]$/i.test(key) ? key.toUpperCase() : code.replace("Key", ""); // of a Mac, too
            done = letter in jumps;
            jumps[letter]?.();
        } else if (!altKey && target.matches(FIGURE)) done = inFigure(target, key);
        else if (!altKey && target.matches(MENU)) done = inMenu(target, key);
        if (done) event.preventDefault();
        // what has arrows of its own keeps them from the buttons Back and Next, which listen further out
        const own = target.matches(FIGURE) || target.closest(OWN_ARROWS);
        if (done || (key in DIRECTIONS && own)) event.stopPropagation();
    };
    const touched = (event) => {
        if (!event.isTrusted) return; // one of our own
        const figure = event.target.closest(FIGURE);
        const view = figure && viewOf(figure);
        held = figure;
        if (!view) return;
        ring.remove();
        const marks = marksOf(view);
        const [zero, one] = [onPage(figure, view, 0, 0), onPage(figure, view, 1, 1)];
        const x = (event.clientX - zero.clientX) / (one.clientX - zero.clientX);
        const y = (event.clientY - zero.clientY) / (one.clientY - zero.clientY);
        const far = (mark) => Math.hypot(mark.x - x, mark.y - y);
        const plot = marks.length ? groups(marks).indexOf(marks.reduce((a, b) => (far(b) < far(a) ? b : a)).group) : 0;
        at = { number: figures().indexOf(figure), plot, x, y, path: location.pathname };
    };
    const entered = ({ target }) => {
        held = target.matches(FIGURE) ? target : null;
        const view = held?.matches(":focus-visible") && viewOf(held);
        const marks = view ? marksOf(view) : [];
        if (marks.length) look(held, view, marks, current(held, marks), false); // as its name is being said
    };
    const left = ({ target }) => target.matches(FIGURE) && leave();

    /** Make every figure and the menu ready for keys, and bring back what a redrawing took away. */
    const refresh = () => {
        for (const figure of figures()) {
            if (figure.tabIndex !== 0) figure.tabIndex = 0;
            const says = { role: "application", "aria-roledescription": "figure", "aria-describedby": help.id };
            for (const [name, value] of Object.entries(says)) {
                if (figure.getAttribute(name) !== value) figure.setAttribute(name, value);
            }
            if (figure.ariaLabel !== figure.dataset.name) { // Vega has said it anew
                figure.dataset.description = figure.ariaLabel ?? "";
                figure.dataset.name = figure.ariaLabel = shortened(figure.dataset.description, data.most);
            }
            // its marks one by one would take minutes to hear: they are said one at a time, or read in the table
            figure.querySelector("svg")?.setAttribute("aria-hidden", "true");
            let table = figure.parentElement.querySelector(":scope > .attn-numbers");
            if (!table) {
                table = element("details", { className: "attn-numbers" });
                table.append(element("summary", { textContent: data.numbers }));
                table.append(element("div", { tabIndex: 0, role: "region", ariaLabel: data.numbers }));
                table.addEventListener("toggle", () => fill(figure, table));
                figure.after(table);
            }
            fill(figure, table);
        }
        const links = [...document.querySelectorAll(MENU)];
        if (links.filter((link) => link.tabIndex === 0).length !== 1) {
            const stop = Math.max(here(links), 0);
            links.forEach((link, number) => { link.tabIndex = number === stop ? 0 : -1; });
        }
        const skip = document.querySelector('[data-testid="stSkipToContent"]');
        if (skip && !skip.parentElement.querySelector(".attn-skip")) {
            const more = element("a", { className: `${skip.className} attn-skip`, textContent: data.skip, href: "#stMain" });
            more.addEventListener("click", (event) => {
                event.preventDefault();
                figures()[0]?.focus();
            });
            skip.after(more);
        }
        restore();
    };
    const fill = (figure, table) => {
        const view = table.open && viewOf(figure); // no work while it is closed
        if (!view) return;
        const whole = element("p", { textContent: figure.dataset.description });
        const [now, frame] = [[whole, ...numbers(view)], table.lastElementChild];
        if (now.map((one) => one.outerHTML).join("") !== frame.innerHTML) frame.replaceChildren(...now);
    };
    /** Give the focus back to a figure that was drawn anew, with the ring where it was, and say what is there now. */
    const restore = () => {
        const figure = at && figures()[at.number];
        if (!held || !figure || at.path !== location.pathname) return;
        const before = at.words;
        if (!held.isConnected && document.activeElement === document.body) figure.focus({ preventScroll: true });
        if (document.activeElement !== figure || !figure.matches(":focus-visible")) return;
        const view = viewOf(figure);
        const marks = view ? marksOf(view) : [];
        const mark = marks.length && current(figure, marks);
        if (mark && (!ring.isConnected || words(mark) !== before)) look(figure, view, marks, mark);
        tries = view ? 0 : tries + 1;
        if (!view && tries < 30) setTimeout(later, 100); // its drawing is not finished
    };
    let waiting = null;
    const later = () => { waiting ??= requestAnimationFrame(() => { waiting = null; refresh(); }); };
    const observer = new MutationObserver(later);
    observer.observe(document.body, { childList: true, subtree: true });
    const listeners = { "attn-let-go": letGo, keydown: pressed, pointerdown: touched, focusin: entered, focusout: left };
    for (const [type, listener] of Object.entries(listeners)) document.body.addEventListener(type, listener);
    refresh();
    const stop = () => {
        observer.disconnect();
        cancelAnimationFrame(waiting);
        for (const [type, listener] of Object.entries(listeners)) document.body.removeEventListener(type, listener);
        for (const one of [sayer, help, ring]) one.remove();
    };
    parentElement.stopKeys?.();
    parentElement.stopKeys = stop;
    return stop;
}
