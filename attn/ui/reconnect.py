"""A page whose connection broke is run again when it has one: the server may have been started anew, or be another.

The browser goes on showing the page as it was, but to such a server its session is unknown, and so are its buttons that
save a file, until something is changed. Being run again the page reads its link, as when it is opened.
"""

import streamlit as st

_WATCH = """
export default function({ setStateValue }) {
    const app = document.querySelector(".stApp[data-test-connection-state]");
    if (!app) return;
    const connected = () => app.dataset.testConnectionState === "CONNECTED";
    let broken = false;
    const observer = new MutationObserver(() => {
        if (broken && connected()) setStateValue("since", Date.now());
        broken = !connected();
    });
    observer.observe(app, { attributes: true, attributeFilter: ["data-test-connection-state"] });
    return () => observer.disconnect();
}
"""
_watch = st.components.v2.component("attention_lab.reconnect", js=_WATCH)


def run_again_when_reconnected():
    """Draw what watches the connection and is not seen; call it once a page."""
    _watch(key="reconnect", on_since_change=lambda: None, default={"since": None})
