"""Memory: attention that writes, points, looks far back, and looks at pictures."""

import streamlit as st

from attn import ui
from attn.ui.pages.memory import image, lstmn, ntm, patches, pointer, snail
from attn.ui.pages.memory.setup import PARTS, Setup, published_results

CONTROLS = {
    "ntm": ntm.ntm_controls,
    "pointer": pointer.pointer_controls,
    "lstmn": lstmn.cell_controls,
    "snail": snail.snail_controls,
    "image": image.image_controls,
    "patches": patches.patches_controls,
}
SHOWN = {
    "ntm": ntm.ntm,
    "pointer": pointer.pointing,
    "lstmn": lstmn.looking_back,
    "snail": snail.far_back,
    "image": image.pixels,
    "patches": patches.words_and_patches,
    "published": published_results,
}

page = ui.begin("memory", "Can attention also write, point and see?", Setup)
st.segmented_control(
    "Part", PARTS, format_func=PARTS.get, key=page.key("part"), required=True, label_visibility="collapsed"
)
part = page.get("part")
with st.sidebar:
    given = CONTROLS[part](page) if part in CONTROLS else None
setup = page.commit()
SHOWN[part](page, setup, *([given] if given else []))
