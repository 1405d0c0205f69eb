"""A picture or a sound in place of a text: made by rule, or a file of the visitor's."""

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from attn.data import picture_files, pictures, sounds
from attn.ui.state import as_text


class _Given(NamedTuple):
    """What is seen or heard."""

    name: str  # of what is made by rule, or of a file
    data: bytes | None = None  # of the file


class Seen(_Given):
    """A picture."""

    def pixels(self, side):
        """Return the picture, (side, side, 3) from 0 to 1."""
        return pictures.PICTURES[self.name].draw(side) if self.data is None else _of_file(self.data, side)

    def code(self, side):
        """Return the code that makes it."""
        if self.data is None:
            return f"attn.pictures.PICTURES[{self.name!r}].draw({side})"
        return f"attn.picture_files.read_picture(open({self.name!r}, 'rb').read(), {side})"


class Heard(_Given):
    """A sound."""

    def samples(self, rate):
        """Return the sound at so many samples a second, (n,) from -1 to 1."""
        return sounds.SOUNDS[self.name].make(rate) if self.data is None else sounds.read_wav(self.data, rate)


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


@st.cache_data(max_entries=8, show_spinner=False)
def _of_file(data, side):
    """Read a picture file once, not at every rerun."""
    return picture_files.read_picture(data, side)
