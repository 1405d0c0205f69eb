"""A picture or a sound in place of a text or beside one: made by rule, or out of a file that the visitor uploads."""

from typing import NamedTuple

import streamlit as st

from attn.data import picture_files, pictures, sounds


class _Given(NamedTuple):
    """What a model is given in place of a text."""

    name: str  # its key among those made by rule, or the name of the file
    data: bytes | None = None  # of the file; None if it is made by rule


class ImageInput(_Given):
    """A picture."""

    def pixels(self, side):
        """Return the picture, (side, side, 3) from 0 to 1; ValueError if the file is none."""
        return pictures.PICTURES[self.name].draw(side) if self.data is None else _read_picture(self.data, side)

    def code(self, side):
        """Return the expression that makes the picture, given ``attn``."""
        if self.data is None:
            return f"attn.pictures.PICTURES[{self.name!r}].draw({side})"
        return f"attn.picture_files.read_picture(open({self.name!r}, 'rb').read(), {side})"


class PictureAndText(NamedTuple):
    """A picture, and what is read with it."""

    picture: ImageInput
    text: str


class AudioInput(_Given):
    """A sound."""

    def samples(self, rate):
        """Return the sound at so many samples a second, (n,) from -1 to 1; ValueError if the file is none."""
        return sounds.SOUNDS[self.name].make(rate) if self.data is None else sounds.read_sound(self.data, rate)

    def code(self, rate):
        """Return the expression that makes the sound at a rate, itself an expression, given ``sounds``."""
        if self.data is None:
            return f"sounds.SOUNDS[{self.name!r}].make({rate})"
        return f"sounds.read_sound(open({self.name!r}, 'rb').read(), {rate})"


@st.cache_data(max_entries=8, show_spinner=False)
def _read_picture(data, side):
    """Read a picture file once, not at every rerun."""
    return picture_files.read_picture(data, side)
