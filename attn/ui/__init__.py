"""What the pages share: choices that live in the link, controls, figures (Streamlit)."""

from attn.ui.code_tabs import page_code
from attn.ui.page import (
    begin_page,
    page_ask,
    page_columns,
    page_figure,
    page_footnote,
    page_formula,
    page_next,
    page_path,
    page_reading,
    page_sources,
    page_tabs,
    page_theme,
    page_token_control,
)
from attn.ui.state import as_text
from attn.ui.width import page_share, page_tallest, page_width, window_low_for_hall

__all__ = [
    "as_text",
    "begin_page",
    "page_ask",
    "page_code",
    "page_columns",
    "page_figure",
    "page_footnote",
    "page_formula",
    "page_next",
    "page_path",
    "page_reading",
    "page_share",
    "page_sources",
    "page_tabs",
    "page_tallest",
    "page_theme",
    "page_token_control",
    "page_width",
    "window_low_for_hall",
]
