"""How wide the page is, so that pictures fill a projector and fit a laptop."""

import streamlit as st

NARROW = 880  # pixels: what a laptop of 1280 leaves beside the sidebar, assumed until it is known
_STEP = 40  # pixels: smaller changes do not redraw the page

_RULER = """
export default function({ data, setStateValue }) {
    const main = document.querySelector('[data-testid="stMainBlockContainer"]');
    if (!main) return;
    const report = () => {
        const style = getComputedStyle(main);
        const inside = main.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
        const width = Math.floor(inside / data.step) * data.step;
        if (width > 0 && main.dataset.pageWidth !== String(width)) {
            main.dataset.pageWidth = width;
            setStateValue("width", width);
        }
    };
    let timer;
    const observer = new ResizeObserver(() => { clearTimeout(timer); timer = setTimeout(report, 150); });
    observer.observe(main);
    return () => observer.disconnect();
}
"""
_measure = st.components.v2.component("attention_lab.page_width", js=_RULER)


def measure_page_width():
    """Draw the invisible ruler; call it once a page."""
    result = _measure(key="ruler", data={"step": _STEP}, on_width_change=lambda: None, default={"width": None})
    if result.width:
        st.session_state["page_width"] = result.width


def page_width():
    """Return the width of the main column in pixels."""
    return st.session_state.get("page_width") or NARROW


def tallest_at_width(width):
    """Return how many pixels high a picture may be on a page of this width: taller in a wider window."""
    return int(max(440, min(600, 0.35 * width)))
