"""The choice of a picture or a sound: one made by rule, or a file that the visitor uploads."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import streamlit as st
from streamlit.runtime.uploaded_file_manager import DeletedFile

from attn.ui.settings import MEGABYTE, visitor_settings
from attn.ui.state import as_text
from attn.words import capital


class UploadKind(NamedTuple):
    """What `upload_control` lets a visitor choose among, and how it says so."""

    word: str  # "picture" or "sound": the label, and the name of the choice in the link
    make: type  # ImageInput or AudioInput
    check: Callable  # takes what was made of a file; raises ValueError where the file is none
    by_rule: Mapping  # key -> what has a title
    help_by_rule: str
    endings: tuple  # of files
    help_file: str


def upload_control(state, kind):
    """Draw the choice of a picture or a sound, made by rule or uploaded, and return it.

    Parameters
    ----------
    state : PageState
        Holds the choice by rule under the word of the kind. A file is not in the link.
    kind : UploadKind

    Returns
    -------
    ImageInput or AudioInput
        Of a file that is none, which is said, what is chosen by rule.
    """
    st.selectbox(
        kind.word.capitalize(),
        kind.by_rule,
        format_func=lambda option: kind.by_rule[option].title,
        key=state.key(kind.word),
        help=kind.help_by_rule,
    )
    by_rule, settings = kind.make(state.get(kind.word)), visitor_settings()
    if not settings.uploads:
        st.caption(f"This server takes no {kind.word} of yours.")
        return by_rule
    file = st.file_uploader(
        "Or a file of yours",
        kind.endings,
        key=state.key("upload"),
        max_upload_size=math.ceil(settings.upload_size / MEGABYTE),
        help=kind.help_file,
    )
    if file is None:
        # the browser still names it, but it was held by a server that was started again, or by a session that ended
        if isinstance(st.session_state[state.key("upload")], DeletedFile):
            st.warning(f"The connection was lost, and with it the {kind.word} that you gave: choose the file again.")
        return by_rule
    own = kind.make(file.name, file.getvalue())
    try:
        if file.size > settings.upload_size:
            raise ValueError(f"a {kind.word} must have at most {settings.upload_size:,} bytes, got {file.size:,}")
        kind.check(own)
    except ValueError as error:
        st.error(as_text(f"{capital(str(error))}."))
        return by_rule
    st.caption(f":material/info: A {kind.word} of yours is not in the link to this page.")
    return own
