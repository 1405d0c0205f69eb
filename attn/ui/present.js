// Presenting: which figure fills the screen, how large, and the keys of whoever speaks; the speaker's second window.
// Style alone hides the rest of the page (attn/ui/present.py): nothing here changes what the page holds.
const TALK = "attention-lab-talk"; // the channel between the windows of one browser: it needs neither server nor network
const TURNS = ["PageDown", "PageUp"]; // what a clicker sends, whatever has the focus
const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
const MENU = ".attn-menu a";
const TYPED = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable=true]";
const LARGEST = 3.5; // times as large as drawn: a figure of two bars need not fill a hall
const BELOW = 8; // pixels between words and the figure
const BUTTON = 180; // pixels across of a button among the controls of a task, before it is enlarged
const SIZES = [4.8, 4.4, 4, 3.7, 3.4, 3]; // of a story's sentence, in hundredths of the window's height
const USUAL = 3.4; // the size for which a figure gives up its room
const ENLARGED = [1.4, 720]; // times as large as on a laptop are the controls of a task, in a window so high; more in a higher
const APART = 24; // pixels between two of them
const BEAT = 2000; // milliseconds after which the speaker's window calls the presented page again
const UNANSWERED = 2; // calls that may stay unanswered: a page that is busy answers late
const SCROLLED = 0.8; // of what is seen of a figure at a time
const BEGINS = 3000; // milliseconds for which the keys are said
const PATIENCE = 2000; // milliseconds in which a page that is shown again has come to its old length

const main = () => document.querySelector('[data-testid="stMain"]');
const block = () => document.querySelector('[data-testid="stMainBlockContainer"]');
const heading = () => block()?.querySelector(".attn-story") ?? block()?.querySelector("h1");
const title = () => (block()?.querySelector(".attn-story b") ?? heading())?.textContent.trim() ?? "";
/** The buttons of those who touch a screen: their signs, by the words that say what each does. */
const SIGNS = { back: "‹", up: "↑", down: "↓", on: "›", leave: "×" };
const bottom = (one) => one?.getBoundingClientRect().bottom ?? 0;

/** Return the line that belongs to a figure: the last before it, unless another figure stands between the two. */
function lineOf(figure, lines, figures) {
    const before = (one, other) => one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
    const line = lines.filter((one) => before(one, figure)).at(-1);
    return line && figures.some((one) => before(line, one) && before(one, figure)) ? undefined : line;
}

/** Return the figures that can be shown, those of the tab first that a link opened. */
function figuresOf(selector) {
    const all = [...(block()?.querySelectorAll(selector) ?? [])];
    const shown = all.filter((one) => one.querySelector("svg, canvas") && !one.closest("details:not([open])"));
    if (!new URLSearchParams(location.search).has("tab")) return shown;
    const inTab = (one) => (one.closest('[data-testid="stTabs"]') ? 0 : 1);
    return shown.sort((a, b) => inTab(a) - inTab(b)); // stable
}

/** Return where a figure can be cut between its plots, as pixels of its drawing from the top: none from its legend. */
function seams(drawn, height) {
    const place = drawn.getScreenCTM(); // knows of the part that is shown now
    const inLegend = (one) => one.closest(".role-legend") !== null;
    const scopes = [...drawn.querySelectorAll("g.role-scope")].filter((one) => !inLegend(one));
    const plots = scopes.filter((one) => [...one.querySelectorAll("g.role-scope")].every(inLegend));
    const boxesOf = (all) => all.map((one) => one.getBoundingClientRect()).filter((box) => box.height > 0)
        .sort((a, b) => a.top - b.top).map((box) => [box.top, box.bottom].map((one) => (one - place.f) / place.d));
    const rows = [];
    for (const [from, to] of boxesOf(plots)) {
        const row = rows.at(-1);
        if (row && from < row.to - 4) row.to = Math.max(row.to, to); // a title may stand out a little
        else rows.push({ from, to });
    }
    for (const [from, to] of boxesOf([...drawn.querySelectorAll(".role-legend")])) {
        const row = rows.findLast((one) => one.from <= from);
        if (row) row.to = Math.max(row.to, to);
    }
    return [0, ...rows.slice(1).map((row, at) => (rows[at].to + row.from) / 2), height];
}

/** Return the parts of a figure that fit the screen one after the other: [top, bottom] in pixels of its drawing. */
function partsOf(drawn, height, room) {
    const places = seams(drawn, height);
    const parts = [];
    let from = 0;
    for (let at = 1; at < places.length; at++) {
        if (at === places.length - 1 || places[at + 1] - from > room) {
            parts.push([from, places[at]]);
            from = places[at];
        }
    }
    return parts;
}

/** The window for whoever speaks: it follows the channel by itself, also when the page here is opened anew. */
function speakersWindow(words) {
    const text = (html) => html.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    const keys = { // all of them always, so that none moves under the hand: those without use are disabled
        PageUp: words.back, PageDown: words.on, ArrowLeft: words.stepBack, ArrowRight: words.stepOn,
        ArrowUp: words.figureBefore, ArrowDown: words.figureOn, b: words.blank, q: words.code, a: words.answer,
    };
    const buttons = Object.entries(keys).map(([key, said]) => `<button data-key="${key}">${text(said)}</button>`).join("");
    return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${text(words.speaker)}</title><style>
    :root { color-scheme: light dark; font: 1.1rem/1.45 "Source Sans", "Source Sans Pro", Arial, sans-serif; }
    body { margin: 1.5rem; background: light-dark(#fff, #0f1419); color: light-dark(#14202b, #e8edf2); }
    .clocks { display: flex; flex-wrap: wrap; gap: 0 3rem; }
    .clocks b { display: block; font-size: 3rem; line-height: 1.1; font-variant-numeric: tabular-nums; }
    small { color: light-dark(#55606e, #a3afbc); } h1 { margin: .2rem 0; font-size: 1.9rem; }
    h2 { margin: .2rem 0; font-size: 1.35rem; font-weight: 500; } section { margin-top: 1.1rem; }
    button { font: inherit; padding: .3rem .9rem; margin: .2rem .4rem .2rem 0; }
    #notes { font-size: 1.35rem; } #notes p { margin: .5rem 0; } #code { float: right; width: 13rem; margin-left: 1.5rem; } #qr img { display: block; width: 13rem; height: 13rem; }
    #address { overflow-wrap: anywhere; } #code small { display: block; margin-top: .4rem; }
    #cover { margin: .8rem 0 0; padding: .3rem .8rem; width: fit-content; font-size: 1.35rem; font-weight: 600;
        background: #000; color: #fff; border: 2px solid light-dark(#000, #fff); border-radius: 8px; }
    [hidden], :empty:not(img), body:not([data-shown]) .shown { display: none !important; }
    #presenting { font-size: 1.9rem; }
    body { padding-bottom: 9rem; }
    #buttons { position: fixed; inset: auto 0 0; margin: 0; padding: .6rem 1.5rem; display: flex; flex-wrap: wrap;
        border-top: 1px solid light-dark(#d8dee4, #2b3641); background: light-dark(#fff, #0f1419); }
    </style></head><body>
    <div id="code" class="shown"><div id="qr"></div><small id="address"></small><small id="warning"></small></div>
    <div class="clocks"><span><small>${text(words.clock)}</small><b id="clock" role="timer">…</b></span>
    <span><small>${text(words.elapsed)}</small><b id="elapsed" role="timer">0:00</b></span></div>
    <button id="again">${text(words.again)}</button>
    <p id="presenting" role="status">${text(words.before)}</p>
    <p id="cover" role="status"></p>
    <section class="shown"><small>${text(words.now)} <b id="place"></b></small><h1 id="title"></h1><p id="line"></p>
    <div id="notes"></div></section>
    <section class="shown"><small>${text(words.next)}</small><h2 id="next"></h2></section>
    <section class="shown"><small id="state"></small></section>
    <section id="buttons" class="shown">${buttons}</section>
    <script>
    const channel = new BroadcastChannel(${JSON.stringify(TALK)});
    const place = (id) => document.getElementById(id);
    let began = null;  // when presenting did
    const two = (number) => String(number).padStart(2, "0");
    const tick = () => {
        const now = new Date(), seconds = began ? Math.floor((Date.now() - began) / 1000) : 0;
        place("clock").textContent = two(now.getHours()) + ":" + two(now.getMinutes());
        const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
        place("elapsed").textContent = (hours ? hours + ":" + two(minutes) : minutes) + ":" + two(seconds % 60);
    };
    tick();
    setInterval(tick, 500);
    place("again").addEventListener("click", () => { began &&= Date.now(); tick(); });
    const send = (key) => channel.postMessage({ key });
    document.addEventListener("click", (event) => event.target.dataset.key && send(event.target.dataset.key));
    document.addEventListener("keydown", (event) => {
        const keys = ["PageUp", "PageDown", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "b", ".", "q", "a"];
        if (!keys.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        send(event.key);
    });
    let unanswered = 0; // calls, one after the other: a window in the background calls late, and is answered as soon
    const ask = () => {
        if (document.body.dataset.shown === undefined) return;
        if (++unanswered > ${UNANSWERED}) place("presenting").textContent = ${JSON.stringify(words.lost)};
        channel.postMessage({ call: true });
    };
    setInterval(ask, ${BEAT});
    channel.onmessage = ({ data }) => {
        if (data.here) {
            if (unanswered > ${UNANSWERED}) channel.postMessage({ hello: true });
            unanswered = 0;
            place("presenting").textContent = data.connected ? "" : ${JSON.stringify(words.cut)};
        }
        if (data.ended) {
            delete document.body.dataset.shown;
            place("cover").textContent = "";
            place("presenting").textContent = data.ended;
        }
        if (!data.screen) return;
        began ??= Date.now();
        unanswered = 0;
        document.body.dataset.shown = "";
        place("presenting").textContent = "";
        for (const name of ["title", "place", "line", "next", "state", "cover", "address", "warning"]) {
            if (place(name).textContent !== data.screen[name]) place(name).textContent = data.screen[name];
        }
        const { answer, state, steps } = data.screen;
        const does = { a: answer, ArrowUp: state, ArrowDown: state, ArrowLeft: steps, ArrowRight: steps };
        for (const [key, there] of Object.entries(does)) document.querySelector(\`[data-key=\${key}]\`).disabled = !there;
        document.querySelector("[data-key=a]").textContent = answer || ${JSON.stringify(words.answer)};
        place("notes").replaceChildren(...data.screen.notes.map((note) => {
            return Object.assign(document.createElement("p"), { textContent: note });
        }));
        if (place("qr").dataset.for !== data.screen.address) {
            place("qr").innerHTML = data.screen.qr;  // drawn by the app's own server
            place("qr").dataset.for = data.screen.address;
        }
    };
    channel.postMessage({ hello: true });
    </script></body></html>`;
}

export default function ({ data, parentElement, setTriggerValue }) {
    parentElement.stopTalk?.();
    const presenting = data.present;
    const words = JSON.parse(data.words);
    const talk = (window.attentionLabTalk ??= { figure: 0, part: 0, scroll: null, blank: false, code: false });
    const channel = new BroadcastChannel(TALK);
    let parts = 1;
    let count = 0;
    let line;

    const screenNow = () => `${location.pathname} ${data.place}`;
    /** Begin with the first figure of a screen that has just come; black that a key was to lift goes with the old one. */
    const arrive = () => {
        if (talk.place && talk.place !== screenNow()) unmark();
        talk.place = screenNow();
        const screen = `${screenNow()} ${title()}`;
        if (talk.screen === screen) return;
        Object.assign(talk, { screen, figure: 0, part: 0 });
        if (talk.lifts) uncover();
    };
    /** Lay the controls of what is to be done side by side at the foot, and keep their height free of the figure. */
    const layControls = () => {
        const named = presenting && data.controls ? data.controls.split(", ") : [];
        const found = named.map((name) => {
            const all = [...document.querySelectorAll(name)]; // two where Streamlit still has that of the run before
            return all.find((one) => one.dataset.stale !== "true") ?? all[0];
        }).filter(Boolean);
        for (const one of document.querySelectorAll("[data-strip]")) if (!found.includes(one)) delete one.dataset.strip;
        const bar = document.querySelector(".attn-touch");
        const foot = bar && getComputedStyle(bar).display !== "none" ? bar.getBoundingClientRect().height : 0;
        const zoom = held() ? 1 : ENLARGED[0] * Math.max(1, innerHeight / ENLARGED[1]);
        const edge = innerWidth / 50, wide = innerWidth - 2 * edge;
        const rows = held() ? found.map((one) => [one]) : [found];
        let above = foot + innerHeight / 100;
        for (const row of rows.reverse()) {
            const buttons = row.filter(isButton).length;
            const width = (wide - APART * (row.length - 1) - buttons * BUTTON * zoom) / Math.max(1, row.length - buttons);
            let left = edge;
            for (const one of row) {
                const own = isButton(one) ? BUTTON * zoom : width;
                const style = { left, bottom: above, width: own };
                if (one.dataset.strip !== "") one.dataset.strip = "";
                for (const [name, pixels] of Object.entries(style)) put(one, `--attn-${name}`, `${pixels / zoom}px`);
                put(one, "--attn-zoom", zoom);
                one.closest("details:not([open])")?.querySelector("summary").click();
                left += own + APART;
            }
            above += Math.max(0, ...row.map((one) => one.getBoundingClientRect().height)) + BELOW;
        }
        if (block()) put(block(), "--attn-foot", found.length ? `${above - foot - innerHeight / 100}px` : "0px");
    };
    const put = (one, name, value) => {
        if (one.style.getPropertyValue(name) !== `${value}`) one.style.setProperty(name, value);
    };
    const isButton = (one) => Boolean(one.querySelector('[data-testid="stButton"]'));
    /** Show one figure, or a part of it, as large as the screen lets it be, with the line that belongs to it. */
    const show = () => {
        arrive();
        layControls();
        const figures = figuresOf(data.figures);
        count = figures.length;
        talk.figure = Math.min(talk.figure, Math.max(count - 1, 0));
        const chosen = figures[talk.figure];
        for (const one of block()?.querySelectorAll("[data-presented]") ?? []) {
            if (one === chosen) continue;
            delete one.dataset.presented;
            restore(one.querySelector("svg.marks, canvas"));
        }
        const drawn = chosen?.querySelector("svg.marks, canvas");
        const lines = [...(block()?.querySelectorAll(data.line) ?? [])];
        line = chosen && lineOf(chosen, lines, figures);
        for (const one of lines) one.toggleAttribute("data-said", one === line);
        if (drawn) {
            if (chosen.dataset.presented !== "true") chosen.dataset.presented = "true";
            layWords(chosen, drawn);
            fit(chosen, drawn);
        }
        touch();
        sayWhich();
        say();
        if (drawn && talk.begins) begin();
    };
    /** Make the words as large as they can be beside the figure, and lay what comes below them out. */
    const layWords = (figure, drawn) => {
        const page = block();
        const set = (name, value) => page.style.setProperty(name, value);
        const laid = () => JSON.stringify([
            page.style.cssText, bottom(heading()), bottom(line), innerWidth, innerHeight, natural(drawn), talk.part,
        ]);
        if (talk.laid === laid()) return;
        const scaleBelow = (size) => {
            set("--attn-size", size);
            set("--attn-line", `${bottom(heading()) + BELOW / 2}px`);
            set("--attn-figure", `${bottom(line ?? heading()) + BELOW}px`);
            const cuts = cutsOf(figure, drawn);
            const [from, to] = cuts[Math.min(Math.max(talk.part, 0), cuts.length - 1)];
            return scaleOf(figure, natural(drawn)[0], to - from);
        };
        if (held()) return void (scaleBelow(USUAL), talk.laid = laid());
        const usual = scaleBelow(USUAL), widest = figure.getBoundingClientRect().width / natural(drawn)[0];
        const enough = Math.min(widest, Math.max(1, 0.97 * usual)); // below 1 the figure's words would be too small
        SIZES.find((size) => scaleBelow(size) >= enough);
        talk.laid = laid();
    };
    /** Whether the screen is held upright in a hand, where a figure that is larger than its room is scrolled. */
    const held = () => innerWidth < data.hand;
    /** Return how many times as large a drawing can be in the room of its figure. */
    const scaleOf = (figure, width, height) => {
        const room = figure.getBoundingClientRect();
        if (held()) return Math.max(1, Math.min(room.width / width, room.height / height, LARGEST));
        return Math.min(room.width / width, room.height / height, LARGEST);
    };
    /** Return the pixels across and down that a drawing was made for. */
    const natural = (drawn) => {
        if (drawn.tagName === "svg") return [drawn.getAttribute("width"), drawn.getAttribute("height")].map(Number);
        return [drawn.width, drawn.height].map((side) => side / devicePixelRatio);
    };
    /** Show the pixels from top to bottom of a drawing, so many times as large. */
    const place = (drawn, width, top, bottom, scale) => {
        const box = `0 ${top} ${width} ${bottom - top}`;
        const size = { width: `${width * scale}px`, height: `${(bottom - top) * scale}px` };
        if (drawn.tagName === "svg" && drawn.getAttribute("viewBox") !== box) drawn.setAttribute("viewBox", box);
        if (drawn.style.width !== size.width || drawn.style.height !== size.height) Object.assign(drawn.style, size);
        drawn.dataset.scale = scale;
    };
    const restore = (drawn) => {
        if (!drawn?.dataset.scale) return;
        const [width, height] = natural(drawn);
        place(drawn, width, 0, height, 1);
        delete drawn.dataset.scale;
    };
    /** Return the parts in which a figure is shown: [top, bottom] in pixels of its drawing. */
    const cutsOf = (figure, drawn) => {
        const [height, room] = [natural(drawn)[1], figure.getBoundingClientRect()];
        const long = drawn.tagName === "svg" && !held() && height > room.height * 1.01;
        return long ? partsOf(drawn, height, room.height) : [[0, height]];
    };
    const fit = (figure, drawn) => {
        const [[width, height], room] = [natural(drawn), figure.getBoundingClientRect()];
        if (!width || !height || !room.width || !room.height) return;
        const cuts = cutsOf(figure, drawn);
        parts = cuts.length;
        talk.part = Math.min(talk.part < 0 ? parts - 1 : talk.part, parts - 1);
        const [from, to] = cuts[talk.part];
        place(drawn, width, from, to, scaleOf(figure, width, to - from));
    };
    /** Return the pixels of a figure that lie above what is seen of it, or below. */
    const rest = (by) => {
        const figure = block()?.querySelector("[data-presented]");
        if (!figure || !held()) return 0;
        return by < 0 ? figure.scrollTop : figure.scrollHeight - figure.clientHeight - figure.scrollTop;
    };
    /** Return whether there is more above or below: of a figure, a part of it, or another figure. */
    const more = (by) => {
        const within = (at, number) => at >= 0 && at < number;
        return rest(by) > BELOW || within(talk.part + by, parts) || within(talk.figure + by, count);
    };

    const links = () => [...document.querySelectorAll(MENU)];
    const here = () => links().findIndex((link) => link.innerText.endsWith(document.title.split(" · ")[0]));
    const stepButton = (by) => {
        const named = by < 0 ? ["Back"] : ["Next", "Step on"];
        const buttons = [...(block()?.querySelectorAll(".st-key-page_path button") ?? [])];
        return buttons.find((one) => named.some((name) => one.innerText.trim().startsWith(name)));
    };
    const step = (by) => {
        const found = stepButton(by);
        if (!found) return look(by);
        uncover();
        if (!found.disabled) found.click();
        return true;
    };
    const marked = () => document.querySelector(".attn-ring");
    /** Leave the mark that keys or a click have found, and the figure with it: they are of this screen. */
    const unmark = () => {
        document.body.dispatchEvent(new Event("attn-let-go"));
        document.activeElement?.closest(data.figures)?.blur();
        hush();
    };
    /** Go to another screen: of a story that runs, or of the menu. */
    const turn = (by) => {
        const all = links();
        const to = data.story
            ? document.querySelector(by < 0 ? data.before : data.after)
            : all[(here() + by + all.length) % all.length];
        talk.lifts = true;
        unmark();
        if (to) to.click();
        else uncover();
        return true;
    };
    /** Go on or back by a finger: a step where there is one, otherwise to another screen. */
    const walk = (by) => (!data.story && stepButton(by)?.disabled === false ? step(by) : turn(by));
    const look = (by) => {
        uncover();
        if (rest(by) > BELOW) {
            const figure = block().querySelector("[data-presented]");
            figure.scrollBy(0, by * SCROLLED * figure.clientHeight);
            touch();
            return true;
        }
        talk.part += by;
        if (talk.part >= parts || talk.part < 0) {
            const figure = talk.figure + by;
            const there = figure >= 0 && figure < count;
            talk.part = there ? (by < 0 ? -1 : 0) : Math.max(0, Math.min(talk.part, parts - 1));
            if (there) talk.figure = figure;
        }
        show();
        return true;
    };
    const toggle = (name) => {
        Object.assign(talk, { [name]: !talk[name], lifts: false });
        cover();
        say();
        return true;
    };
    /** Lift what lies over the screen. */
    const uncover = () => {
        if (talk.blank || talk.code) Object.assign(talk, { blank: false, code: false });
        talk.lifts = false;
        cover();
    };
    const answer = () => {
        const button = document.querySelector(data.answer);
        button?.click();
        return Boolean(button);
    };
    /** Lay black over the screen, or the code that phones read. */
    const cover = () => {
        document.querySelectorAll(".attn-cover").forEach((one) => one.remove());
        if (!presenting || !(talk.blank || talk.code)) return;
        const over = Object.assign(document.createElement("div"), { className: "attn-cover" });
        over.dataset.kind = talk.blank ? "blank" : "code";
        over.onclick = uncover;
        const code = document.querySelector(data.code);
        if (!talk.blank && code) over.innerHTML = code.innerHTML;
        document.body.append(over);
    };
    /** Draw the buttons of those who have no keys, which style shows to them alone. */
    const touch = () => {
        let bar = document.querySelector(".attn-touch");
        if (!presenting) return bar?.remove();
        if (!bar) {
            bar = Object.assign(document.createElement("nav"), { className: "attn-touch", ariaLabel: words.touch });
            for (const [name, sign] of Object.entries({ ...SIGNS, answer: "" })) {
                const button = Object.assign(document.createElement("button"), { type: "button", textContent: sign });
                if (sign) button.ariaLabel = words[name];
                button.dataset.touch = name;
                bar.append(button);
            }
            document.body.append(bar);
        }
        const button = (name) => bar.querySelector(`[data-touch=${name}]`);
        const does = {
            back: () => walk(-1), on: () => walk(1), up: () => look(-1), down: () => look(1), leave, answer,
        };
        for (const [name, done] of Object.entries(does)) button(name).onclick = done;
        for (const [name, by] of [["up", -1], ["down", 1]]) {
            Object.assign(button(name), { hidden: !more(-1) && !more(1), disabled: !more(by) });
        }
        const said = answerWords();
        if (button("answer").textContent !== said) button("answer").textContent = said;
        button("answer").hidden = !said;
    };
    const answerWords = () => document.querySelector(`${data.answer} p`)?.textContent ?? "";
    const enter = () => {
        talk.scroll = { screen: screenNow(), top: main()?.scrollTop ?? 0 };
        setTriggerValue("present", true);
    };
    const leave = () => {
        uncover();
        setTriggerValue("present", false);
        return true;
    };
    const escape = () => {
        if (talk.blank || talk.code) return toggle(talk.blank ? "blank" : "code");
        if (!marked()) return leave();
        unmark();
        return true;
    };
    const keys = {
        ArrowRight: () => step(1), ArrowLeft: () => step(-1), ArrowDown: () => look(1), ArrowUp: () => look(-1),
        PageDown: () => turn(1), PageUp: () => turn(-1), b: () => toggle("blank"), ".": () => toggle("blank"),
        q: () => toggle("code"), a: answer, Escape: escape,
    };
    /** Whether a key is for what has the focus: what is typed, and what moves a control of a task. */
    const heldBy = (target, key) => target.closest?.(TYPED) || (target.closest?.("[data-strip]") && MOVES.includes(key));
    const named = (key) => (key.length === 1 ? key.toLowerCase() : key); // a letter is one with and without capitals
    const pressed = (event) => {
        const { key, altKey, shiftKey, ctrlKey, metaKey, target } = event;
        if (ctrlKey || metaKey) return;
        const letter = event.code === "KeyD" || key.toUpperCase() === "D";
        let done = false;
        if (altKey && shiftKey && letter) {
            done = true;
            if (presenting) leave();
            else enter();
        } else if (presenting && !altKey && (TURNS.includes(key) || !heldBy(target, key))) {
            const moved = marked() && !talk.blank && !talk.code && MOVES.includes(key); // the mark, by the figure's own keys
            if (!moved) done = keys[named(key)]?.() ?? false;
        }
        if (!done) return;
        event.preventDefault();
        event.stopImmediatePropagation();
    };

    /** Say the keys for a moment, but to nobody who sees this in a frame of another page. */
    const begin = () => {
        talk.begins = false;
        if (window !== window.top) return;
        const line = Object.assign(document.createElement("div"), { className: "attn-begins", textContent: words.begins });
        line.style.setProperty("--attn-foot", block()?.style.getPropertyValue("--attn-foot") || "0px");
        document.body.append(line);
        setTimeout(() => line.remove(), BEGINS);
    };
    const whichFigure = () => {
        const many = parts > 1 || count > 1 ? `Figure ${talk.figure + 1} of ${count}` : "";
        return many + (parts > 1 ? `, part ${talk.part + 1} of ${parts}` : "");
    };
    /** Say beside the title which figure is shown, and lead to the next: from the last back to the first. */
    const sayWhich = () => {
        const [said, shown] = [presenting ? whichFigure() : "", document.querySelector(".attn-more")];
        if (!said) return shown?.remove();
        const button = shown ?? Object.assign(document.createElement("button"), { type: "button", className: "attn-more" });
        const text = `${said} ${more(1) ? "↓" : "↑"}`;
        if (button.textContent !== text) button.textContent = text;
        button.onclick = () => {
            button.blur();
            if (more(1)) return void look(1);
            Object.assign(talk, { figure: 0, part: 0 });
            show();
        };
        if (!shown) document.body.append(button);
        if (block()) put(block(), "--attn-more", `${button.offsetWidth + APART}px`);
    };
    /** Tell the speaker's window what is shown, if that has changed or the window is new. */
    let told = "";
    const say = (anew = false) => {
        if (!presenting) return;
        const code = document.querySelector(data.code);
        const screen = {
            title: title(),
            place: data.place,
            line: line?.textContent.trim() ?? "",
            notes: JSON.parse(data.notes),
            next: data.next,
            state: whichFigure(),
            steps: Boolean(stepButton(-1) ?? stepButton(1)),
            cover: talk.blank ? words.blanked : talk.code ? words.coded : "",
            answer: answerWords(),
            qr: code?.querySelector("img")?.outerHTML ?? "",
            address: code?.querySelector("[data-address]")?.textContent ?? "",
            warning: code?.querySelector("[data-warning]")?.textContent ?? "",
        };
        if (!anew && told === JSON.stringify(screen)) return;
        told = JSON.stringify(screen);
        channel.postMessage({ screen });
    };
    const connected = () => {
        return document.querySelector(".stApp")?.dataset.testConnectionState === "CONNECTED";
    };
    channel.onmessage = ({ data: heard }) => {
        if (heard.hello) say(true);
        else if (heard.call && presenting) channel.postMessage({ here: true, connected: connected() });
        else if (heard.key && presenting && heard.key in keys) keys[heard.key]();
    };
    const open = () => {
        const opened = window.open("", "attention-lab-speaker", "width=900,height=760");
        if (!opened) return;
        opened.document.open();
        opened.document.write(speakersWindow(words));
        opened.document.close();
        opened.focus();
    };

    /** Hide what Vega says of a mark until the pointer moves: a finger that scrolls takes no leave of the mark. */
    const hush = () => document.querySelector("#vg-tooltip-element")?.classList.remove("visible");
    /** Once the figure under the pointer is drawn anew, whole or in part, what is said of the old one is hushed. */
    const forget = new MutationObserver((changes) => {
        const drawn = (one) => one.matches?.("svg.marks, canvas") || one.querySelector?.("svg.marks, canvas");
        const anew = ({ target, addedNodes }) => target.parentElement?.closest("svg.marks") || [...addedNodes].some(drawn);
        if (changes.some(anew)) hush();
    });
    const watch = () => {
        const parts = ["d", "fill", "fill-opacity", "opacity", "stroke", "stroke-width", "transform", "width", "height"];
        forget.disconnect();
        if (!talk.pointed?.isConnected) return;
        forget.observe(block(), { childList: true, subtree: true });
        forget.observe(talk.pointed, { childList: true, characterData: true, subtree: true, attributeFilter: parts });
    };
    const point = ({ target }) => {
        const figure = target.closest?.(data.figures);
        if (!figure || figure === talk.pointed) return;
        talk.pointed = figure;
        watch();
    };
    watch();
    /** A control of a task that the pointer moved leaves the keys to the talk. */
    const released = ({ target }) => setTimeout(() => {
        const one = document.activeElement;
        if (one?.closest("[data-strip]") && (!one.matches(TYPED) || target.closest?.('[role="option"]'))) one.blur();
    }, 100);
    parentElement.querySelector("[data-talk=present]").onclick = enter;
    parentElement.querySelector("[data-talk=speaker]").onclick = open;
    let waiting = null;
    const later = () => { waiting ??= requestAnimationFrame(() => { waiting = null; show(); }); };
    const observer = new MutationObserver(later);
    const resized = new ResizeObserver(later);
    document.body.classList.toggle("attn-presenting", presenting);
    if (talk.presented && !presenting) channel.postMessage({ ended: words.ended });
    talk.begins = presenting && (talk.begins || !talk.presented);
    talk.presented = presenting;
    if (presenting) {
        const what = { childList: true, subtree: true, characterData: true, attributeFilter: ["width", "height"] };
        observer.observe(document.body, what);
        resized.observe(document.body);
        if (document.activeElement?.closest('[data-testid="stSidebar"]')) document.activeElement.blur();
        show();
    } else {
        document.querySelector(".attn-begins")?.remove();
        layControls();
        for (const one of document.querySelectorAll("[data-presented]")) {
            delete one.dataset.presented;
            restore(one.querySelector("svg.marks, canvas"));
        }
        const [back, began] = [talk.scroll, performance.now()];
        talk.scroll = null;
        let moved = false; // by somebody, who is then left alone
        const move = () => { moved = true; };
        for (const kind of ["wheel", "pointerdown", "touchstart", "keydown"]) {
            document.addEventListener(kind, move, { capture: true, once: true });
        }
        const scroll = () => { // again and again: the page above is still being laid out, and moves what was reached
            if (!main() || moved || performance.now() > began + PATIENCE) return;
            if (main().scrollTop !== back.top) main().scrollTop = back.top;
            requestAnimationFrame(scroll);
        };
        if (back?.screen === screenNow()) scroll();
    }
    cover();
    touch();
    sayWhich();
    say();
    document.addEventListener("keydown", pressed, true);
    document.addEventListener("scroll", touch, true);
    document.addEventListener("scroll", hush, true);
    document.addEventListener("pointerover", point, true);
    document.addEventListener("pointerup", released, true);
    const stop = () => {
        document.removeEventListener("keydown", pressed, true);
        document.removeEventListener("scroll", touch, true);
        document.removeEventListener("scroll", hush, true);
        document.removeEventListener("pointerover", point, true);
        forget.disconnect();
        document.removeEventListener("pointerup", released, true);
        observer.disconnect();
        resized.disconnect();
        cancelAnimationFrame(waiting);
        channel.close();
    };
    parentElement.stopTalk = stop;
    return stop;
}
