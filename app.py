"""Attention Lab: the way in."""

import streamlit as st

from attn import ui
from attn.ui.home import Setup

page = ui.begin("home", "Attention, seen and checked", Setup)
page.setup()
st.write("…")
