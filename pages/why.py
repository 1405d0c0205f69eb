"""Why: the account of a score and of a word, what each layer would say, and what one step carries."""

import streamlit as st

from attn import pretrained, ui
from attn.ui.controls.model_and_text import model_refused
from attn.ui.pages.why.ledger_of_score import ledger_tab
from attn.ui.pages.why.logit_lens import lens_tab
from attn.ui.pages.why.other_text import why_other_text
from attn.ui.pages.why.put_it_there import patch_tab
from attn.ui.pages.why.setup import (
    TABS,
    Setup,
    why_head_controls,
    why_look_somewhere,
    why_reading,
    why_task,
    why_text_controls,
)
from attn.ui.pages.why.weights_alone import weights_tab
from attn.ui.pages.why.who_spoke import spoke_tab

page = ui.begin_page("why", "Why did it look there?", Setup)

with st.sidebar:
    why_text_controls(page)
try:
    reading = why_reading(page)
except pretrained.ModelError as error:
    model_refused(page, error)
why_look_somewhere(page, reading)
why_other_text(page, reading)
with st.sidebar:
    why_head_controls(page, reading)

st.markdown(why_task(reading, page.commit()))
SHOWN = {
    "ledger": lambda: ledger_tab(page, reading),
    "spoke": lambda: spoke_tab(page, reading),
    "lens": lambda: lens_tab(page, reading),
    "patch": lambda: patch_tab(page, reading),
    "weights": lambda: weights_tab(page, reading),
}
ui.page_tabs(page, TABS, SHOWN)
page.commit()
ui.page_sources(page)
ui.page_next(page)
