"""Ready for a talk? What this machine has, and every screen of a story opened once."""

import streamlit as st

from attn import ui
from attn.ui.pages.talk import Setup, talk_audience, talk_machine, talk_story_control, talk_walk

page = ui.begin_page("talk", "Ready for a talk?", Setup)
st.markdown(
    "Before a talk, look here whether this machine has all that a story needs, and open each of its screens once, so "
    "that none has to be loaded while people wait."
)
told = talk_story_control(page)
page.commit()
st.header("This machine", anchor=False)
talk_machine(told)
st.header("Every screen", anchor=False)
talk_walk(told)
st.header("For the audience", anchor=False)
talk_audience()
ui.page_next(page)
