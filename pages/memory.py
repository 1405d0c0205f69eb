"""Memory: attention that writes, points, looks far back, and looks at pictures."""

import streamlit as st

from attn import ui
from attn.ui.pages.memory import image, lstmn, ntm, pointer
from attn.ui.pages.memory.ntm import PARTS, Setup

CONTROLS = {
    "ntm": ntm.ntm_controls,
    "pointer": pointer.pointer_controls,
    "lstmn": lstmn.cell_controls,
    "snail": lstmn.snail_controls,
    "image": image.image_controls,
    "patches": image.patches_controls,
}
SHOWN = {
    "ntm": ntm.ntm,
    "pointer": pointer.pointing,
    "lstmn": lstmn.looking_back,
    "snail": lstmn.far_back,
    "image": image.pixels,
    "patches": image.words_and_patches,
    "published": ntm.published_results,
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
