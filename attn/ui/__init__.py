"""What the pages share: choices that live in the link, controls, figures (Streamlit)."""

from attn.ui.page import begin, code, explain, figure, path, reading, theme
from attn.ui.state import as_text

__all__ = ["as_text", "begin", "code", "explain", "figure", "path", "reading", "theme"]
