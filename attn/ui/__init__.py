"""What the pages share: choices that live in the link, controls, figures (Streamlit)."""
