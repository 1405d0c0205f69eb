"""Picture files of strangers: read in one place, one at a time, at a cost in memory that is known before."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import threading
import zlib
from typing import TYPE_CHECKING

import numpy as np

from attn.functional import whole_number

if TYPE_CHECKING:
    import PIL.Image

ENDINGS = ("png", "jpg", "jpeg", "webp", "gif")
# So many pixels cost a decoder about 100 MB: 4 bytes each for most; WebP holds its canvas four times, and what is
# lossless once more; a JPEG in several scans takes 2 bytes for each number of up to four colours until the last came.
MOST_PIXELS = {
    "PNG": 25_000_000,
    "GIF": 25_000_000,
    "WebP": 5_000_000,
    "JPEG": 25_000_000,
    "progressive JPEG": 12_500_000,
}
MOST_SHRUNK = 64_000_000  # of a JPEG that is made small row by row, and so never held whole
_MOST_SCANS = 50  # of a progressive JPEG, which has about 10: a few bytes make each pass over the whole picture
_MOST_READS = 100_000  # of pieces of a file; each costs Pillow many times its bytes
_MEANS_DOWN_TO = 3  # times the size asked for, down to which means are taken; a better filter goes on from there
_BAND_PIXELS = 250_000  # pixels that are made red, green and blue at once
_ORIENTATION = 0x0112  # the tag of a camera
_TURNS = {  # how a camera was held, and what puts the picture upright
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
_one_at_a_time = threading.Lock()  # so that the pictures of several visitors cost no more than one


def read_picture(data: bytes, size: int) -> np.ndarray:
    """Read a picture file, cut to its middle square and made small.

    Parameters
    ----------
    data
        PNG, JPEG, WebP or GIF; of a film the first picture.
    size
        Pixels along a side of the result.

    Returns
    -------
    shape (size, size, 3)
        From 0 to 1; what was transparent is white.

    Raises
    ------
    ValueError
        If the file is no picture, is broken, or would take too much memory or time.
    """
    whole_number("size", size, least=1, most=math.isqrt(MOST_SHRUNK))
    with _one_at_a_time:
        small = _middle(data, size)  # all that is left when the next one's turn comes
    return np.asarray(small, dtype=float) / 255


def read_whole(data: bytes) -> PIL.Image.Image:
    """Read a picture file with all its pixels.

    Parameters
    ----------
    data
        As `read_picture` takes them.

    Returns
    -------
    PIL.Image.Image
        In red, green and blue; what was transparent is white.

    Raises
    ------
    ValueError
        As `read_picture`.
    """
    with _one_at_a_time, _decoded(data) as image:
        return _upright(image, _on_white(image, (0, 0, *image.size)))


class _CountedReads(io.BytesIO):
    """A file that is read in a limited number of pieces."""

    reads = 0

    def read(self, size=-1):
        self.reads += 1
        if self.reads > _MOST_READS:
            raise OSError(f"more than {_MOST_READS} pieces")
        return super().read(size)


class _TooMuchError(ValueError):
    """A picture that would take too much memory or time."""


def _middle(data, size):
    """Return the middle square of a picture, made small."""
    from PIL import Image

    with _decoded(data, size) as image:
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2  # may be halves of pixels
        box = (math.floor(left), math.floor(top), math.ceil(left + side), math.ceil(top + side))
        factor = max(1, side // (_MEANS_DOWN_TO * size))
        means = _on_white(image, box, factor)
        exact = [edge / factor for edge in (left % 1, top % 1, left % 1 + side, top % 1 + side)]
        small = means.resize((size, size), Image.Resampling.LANCZOS, box=exact)
        return _upright(image, small)


@contextlib.contextmanager
def _decoded(data, size=None):
    """Hold a picture as it is in its file, but a JPEG shrunk towards a size."""
    from PIL import Image, PngImagePlugin

    if not isinstance(data, bytes | bytearray | memoryview):
        raise ValueError(f"data must be the bytes of a file, got {type(data).__name__}")
    PngImagePlugin.MAX_TEXT_MEMORY = PngImagePlugin.MAX_TEXT_CHUNK  # texts in it, which nobody sees, may blow up
    try:
        image = Image.open(_CountedReads(data), formats=("PNG", "JPEG", "WEBP", "GIF"))  # reads the header alone
        with contextlib.closing(image):  # frees its pixels, also where an error still holds the picture
            _check(image, data, size)
            image.load()
            yield image
    except _TooMuchError:
        raise
    except Image.DecompressionBombError as error:
        least = f"more than {2 * Image.MAX_IMAGE_PIXELS / 1e6:.0f} million"
        raise _TooMuchError(f"a picture must have at most {MOST_SHRUNK / 1e6:g} million pixels, got {least}") from error
    except _BROKEN as error:
        raise ValueError("the file must be a picture, PNG, JPEG, WebP or GIF, that can be read to its end") from error


def _check(image, data, size):
    """Refuse a picture whose header promises too many pixels; let a JPEG be made small while it is decoded."""
    width, height = image.size
    kind = {"WEBP": "WebP", "MPO": "JPEG"}.get(image.format, image.format)
    if kind == "JPEG":
        if size:
            image.draft(image.mode, (_MEANS_DOWN_TO * size, _MEANS_DOWN_TO * size))
        if not _row_by_row(data):
            kind = "progressive JPEG"
            scans = data.count(b"\xff\xda")
            if scans > _MOST_SCANS:
                raise _TooMuchError(f"a progressive JPEG must have at most {_MOST_SCANS} scans, got {scans:,}")
    most = MOST_PIXELS[kind]
    if kind == "JPEG" and image.width * image.height <= most:  # as it will be held
        most = MOST_SHRUNK
    if width * height > most:
        raise _TooMuchError(f"a {kind} must have at most {most / 1e6:g} million pixels, got {width:,} × {height:,}")


def _row_by_row(data):
    """Return whether a JPEG is decoded a few rows at a time: sequential, with all colours in its first scan."""
    at, colours = 2, None
    while data[at : at + 1] == b"\xff":
        marker = data[at + 1]
        if marker == 0xDA:  # a scan begins
            return data[at + 4] == colours
        if marker in (0xC0, 0xC1):  # the two frames that are sequential
            colours = data[at + 9]
        elif not 0xC0 < marker < 0xFF or 0xD0 <= marker <= 0xD9:  # has no length: seldom here
            return False
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return False


def _on_white(image, box, factor=1):
    """Return a part of a picture on white, in red, green and blue, means taken over squares; band by band."""
    from PIL import Image

    left, top, right, bottom = box
    small = Image.new("RGB", (math.ceil((right - left) / factor), math.ceil((bottom - top) / factor)))
    rows = factor * max(1, _BAND_PIXELS // (factor * (right - left)))
    for start in range(top, bottom, rows):
        band = image.crop((left, start, right, min(start + rows, bottom)))
        if band.mode == "I;16":  # Pillow would cut off what is above 255
            band = Image.fromarray((np.asarray(band) >> 8).astype(np.uint8))
        ground = Image.new("RGBA", band.size, "white")
        ground.alpha_composite(band.convert("RGBA"))
        small.paste(ground.convert("RGB").reduce(factor), (0, (start - top) // factor))
    return small


def _upright(image, made):
    """Return what was made of a picture, turned as its camera was held."""
    from PIL import Image

    turn = image.getexif().get(_ORIENTATION)
    return made.transpose(Image.Transpose[_TURNS[turn]]) if turn in _TURNS else made
