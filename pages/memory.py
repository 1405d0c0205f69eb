"""Memory: attention that writes, points, looks far back, and looks at pictures."""

import streamlit as st

from attn import ui
from attn.ui import pointing, recalling, remembering, seeing
from attn.ui.remembering import PARTS, Setup

CONTROLS = {
    "ntm": remembering.ntm_controls,
    "pointer": pointing.pointer_controls,
    "lstmn": recalling.cell_controls,
    "snail": recalling.snail_controls,
    "image": seeing.image_controls,
    "patches": seeing.patches_controls,
}
SHOWN = {
    "ntm": remembering.ntm,
    "pointer": pointing.pointing,
    "lstmn": recalling.looking_back,
    "snail": recalling.far_back,
    "image": seeing.pixels,
    "patches": seeing.words_and_patches,
    "published": remembering.published_results,
}

page = ui.begin("memory", "Can attention also write, point and see?", Setup)
st.segmented_control(
    "Part", PARTS, format_func=PARTS.get, key=page.key("part"), required=True, label_visibility="collapsed"
)
part = page.get("part")
with st.sidebar:
    given = CONTROLS[part](page) if part in CONTROLS else None
setup = page.setup()
SHOWN[part](page, setup, *([given] if given else []))
