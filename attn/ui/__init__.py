"""What the pages share: choices that live in the link, controls, figures (Streamlit)."""

from attn.ui.page import ask, begin, code, figure, formula, path, reading, tabs, theme, token_control
from attn.ui.state import as_text
from attn.ui.width import page_width

__all__ = [
    "as_text",
    "ask",
    "begin",
    "code",
    "figure",
    "formula",
    "page_width",
    "path",
    "reading",
    "tabs",
    "theme",
    "token_control",
]
