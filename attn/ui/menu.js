// The menu: links of a page's address each, so that they can be copied and opened in a window of their own. A plain
// click opens the page in this session: Streamlit does so when the browser goes back or on to an address.
export default function({ data, parentElement }) {
    const menu = parentElement.querySelector("nav");
    const groups = JSON.parse(data.groups);
    const words = JSON.stringify([groups, data.here]);
    if (menu.dataset.words !== words) {
        menu.dataset.words = words;
        const focused = menu.contains(document.activeElement) ? document.activeElement.dataset.page : null;
        menu.replaceChildren(...groups.flatMap(([name, links]) => [caption(name), ...links.map((each) => link(each, data.here))]));
        menu.querySelector(`[data-page="${focused}"]`)?.focus();
    }
    menu.onclick = (event) => {
        const chosen = event.target.closest("a");
        if (!chosen || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
        event.preventDefault();
        history.pushState({}, "", chosen.href);
        window.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
    };
}

function caption(name) {
    const said = document.createElement("p");
    said.textContent = name;
    return said;
}

function link([page, label, icon, address], here) {
    const made = document.createElement("a");
    made.href = address;
    made.dataset.page = page;
    if (page === here) made.ariaCurrent = "page";
    const sign = document.createElement("span");
    sign.textContent = icon;
    sign.ariaHidden = "true";
    const words = document.createElement("span");
    words.textContent = label;
    made.append(sign, words);
    return made;
}
