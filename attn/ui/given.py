"""A picture or a sound in place of a text: made by rule, or out of a file of the visitor's."""

from typing import NamedTuple

import streamlit as st

from attn.data import picture_files, pictures, sounds


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
        return sounds.SOUNDS[self.name].make(rate) if self.data is None else sounds.read_sound(self.data, rate)


@st.cache_data(max_entries=8, show_spinner=False)
def _of_file(data, side):
    """Read a picture file once, not at every rerun."""
    return picture_files.read_picture(data, side)
