// Opens the screens of a story one after the other, as the talk will, and says how long each takes.
const READY = '.stApp[data-test-script-state="notRunning"]';
const PATIENCE = 120000; // milliseconds for a screen
const REST = 400; // milliseconds without a change after which a screen has come
const LOOK = 50; // milliseconds between two looks

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

export default function ({ data, parentElement }) {
    const [button, status, list, frame] = ["button", "p", "ol", ".attn-walked"].map((one) => parentElement.querySelector(one));
    const { screens, words } = data;
    if (list.dataset.of === JSON.stringify(screens)) return; // a run of the page leaves what was found
    list.dataset.of = JSON.stringify(screens);
    status.textContent = "";
    button.textContent = words.open;
    const base = location.pathname.replace(/[^/]*$/, "");
    const lines = screens.map(({ title }) => {
        const line = document.createElement("li");
        line.textContent = `${title} ${words.waiting}`;
        return line;
    });
    list.replaceChildren(...lines);

    /** Open a screen; return the seconds it took, NaN if it does not come, and whom it asked. */
    const open = async ({ page, query }) => {
        const view = document.createElement("iframe");
        view.title = words.opening;
        const start = performance.now();
        view.src = `${base}${page}?${new URLSearchParams(query)}`;
        frame.replaceChildren(view);
        let since = null;
        while (performance.now() < start + PATIENCE && parentElement.isConnected) {
            await wait(LOOK);
            const inside = view.contentDocument;
            const come = inside?.querySelector(READY) && inside.querySelector("[data-presented] [data-scale]")
                && !inside.querySelector("[data-stale=true]");
            if (!come) since = null;
            else since ??= performance.now();
            if (since && performance.now() - since > REST) break;
        }
        const asked = view.contentWindow.performance.getEntriesByType("resource").map(({ name }) => new URL(name));
        const hosts = asked.filter(({ protocol, host }) => /^http/.test(protocol) && host !== location.host);
        const wrong = view.contentDocument.querySelector('[data-testid="stException"]');
        return { seconds: since && !wrong ? (since - start) / 1000 : NaN, hosts: hosts.map(({ host }) => host) };
    };
    button.onclick = async () => {
        button.disabled = true;
        const found = [];
        for (const [at, screen] of screens.entries()) {
            lines[at].textContent = `${screen.title} ${words.opening}`;
            const came = await open(screen);
            found.push(came);
            const said = Number.isNaN(came.seconds) ? words.failed : fill(words.came, { seconds: came.seconds.toFixed(1) });
            lines[at].textContent = `${screen.title} ${said}`;
            if (!parentElement.isConnected) return;
        }
        frame.replaceChildren();
        const wrong = found.filter(({ seconds }) => Number.isNaN(seconds)).length;
        const hosts = [...new Set(found.flatMap((each) => each.hosts))];
        const slowest = Math.max(...found.map(({ seconds }) => seconds)).toFixed(1);
        status.textContent = [
            fill(wrong ? words.some : words.all, { wrong, count: found.length, seconds: slowest }),
            hosts.length ? fill(words.abroad, { hosts: hosts.join(", ") }) : words.alone,
        ].join(" ");
        button.disabled = false;
    };
}
