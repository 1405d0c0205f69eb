"""Memory: attention that writes, points, looks far back, and looks at pictures."""

import streamlit as st

from attn import ui
from attn.ui.pages.memory import image, lstmn, ntm, patches, pointer, snail
from attn.ui.pages.memory.setup import PARTS, Setup, memory_setup_published_tab

CONTROLS = {
    "ntm": ntm.memory_ntm_controls,
    "pointer": pointer.memory_pointer_controls,
    "lstmn": lstmn.memory_lstmn_controls,
    "snail": snail.memory_snail_controls,
    "image": image.memory_image_controls,
    "patches": patches.memory_patches_controls,
}
SHOWN = {
    "ntm": ntm.memory_ntm_tab,
    "pointer": pointer.memory_pointer_tab,
    "lstmn": lstmn.memory_lstmn_tab,
    "snail": snail.memory_snail_tab,
    "image": image.memory_image_tab,
    "patches": patches.memory_patches_tab,
    "published": memory_setup_published_tab,
}

page = ui.begin_page("memory", "Can attention also write, point and see?", Setup)
st.segmented_control(
    "Part", PARTS, format_func=PARTS.get, key=page.key("part"), required=True, label_visibility="collapsed"
)
part = page.get("part")
with st.sidebar:
    given = CONTROLS[part](page) if part in CONTROLS else None
setup = page.commit()
SHOWN[part](page, setup, *([given] if given else []))
ui.page_sources(page)
ui.page_next(page)
