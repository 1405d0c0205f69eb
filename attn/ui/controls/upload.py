"""The choice of a picture or a sound: one made by rule, or a file of the visitor's."""

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from attn.ui.state import as_text


class Kind(NamedTuple):
    """What is chosen among."""

    word: str  # "picture" or "sound"
    holds: type
    check: Callable  # raises ValueError where a file is none
    by_rule: dict
    help_by_rule: str
    endings: tuple  # of files
    help_file: str


def given_control(state, kind):
    """Draw the choice of a picture or a sound, made by rule or a file of the visitor's, and return it."""
    st.selectbox(
        kind.word.capitalize(),
        kind.by_rule,
        format_func=lambda option: kind.by_rule[option].title,
        key=state.key(kind.word),
        help=kind.help_by_rule,
    )
    file = st.file_uploader("Or one of yours", kind.endings, key=state.key("upload"), help=kind.help_file)
    by_rule = kind.holds(state.get(kind.word))
    if file is None:
        return by_rule
    own = kind.holds(file.name, file.getvalue())
    try:
        kind.check(own)
    except ValueError as error:
        st.error(as_text(f"{str(error)[0].upper()}{str(error)[1:]}."))
        return by_rule
    st.caption(f":material/info: A {kind.word} of yours is not in the link to this page.")
    return own
