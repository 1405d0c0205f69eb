"""Sounds: made by rule, or read from a file, as numbers from -1 to 1."""

import io
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import as_real, whole_number

SECONDS = 3.0  # of a sound made by rule
LONGEST = 30.0  # seconds that are read of a file
_LOUD = 0.5
ENDINGS = ("wav", "flac", "ogg", "mp3")  # of files that are read
_SLOWEST, _FASTEST = 1_000, 400_000  # samples a second that a file may have
_MOST_CHANNELS = 16
_BLOCK = 65_536  # moments that are read at once, so that many channels cost no more than one


class Sound(NamedTuple):
    """A sound made by rule."""

    title: str
    make: Callable  # samples a second -> (n,)


def notes(rate: int) -> np.ndarray:
    """Return three notes, a silence after each.

    Parameters
    ----------
    rate
        Samples a second.

    Returns
    -------
    shape (n,)
    """
    time = _time(rate)
    tone = np.select([time < 0.7, (time >= 1) & (time < 1.7), (time >= 2) & (time < 2.7)], [262, 330, 392], 0)
    return _LOUD * np.sin(2 * np.pi * tone * time)


def sweep(rate: int) -> np.ndarray:
    """Return a tone that rises from 200 to 2,000 hertz; otherwise as `notes`."""
    time = _time(rate)
    rises = math.log(2000 / 200) / SECONDS
    return _LOUD * np.sin(2 * np.pi * 200 * (np.exp(rises * time) - 1) / rises)


def clicks(rate: int) -> np.ndarray:
    """Return clicks that come twice as often after the middle; otherwise as `notes`."""
    time = _time(rate)
    since = np.where(time < SECONDS / 2, time % 0.5, time % 0.25)
    return _LOUD * np.exp(-since / 0.01) * np.sin(2 * np.pi * 1000 * since)


SOUNDS = {"notes": Sound("Three notes", notes), "sweep": Sound("Rising tone", sweep), "clicks": Sound("Clicks", clicks)}


def read_sound(data: bytes, rate: int) -> np.ndarray:
    """Read a sound file, its channels mixed into one, at so many samples a second.

    Parameters
    ----------
    data
        The file: WAV, FLAC, OGG or MP3.
    rate
        Samples a second that are wanted.

    Returns
    -------
    shape (n,)
        Of the first 30 seconds.

    Raises
    ------
    ValueError
        If the file is no such file, has too many channels, or there is nothing in it.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ValueError(f"data must be the bytes of a file, got {type(data).__name__}")
    _checked_rate("rate", rate)
    import soundfile  # loaded when a file is given, so that `import attn` needs numpy alone

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            own, channels = file.samplerate, file.channels
            if not (_SLOWEST <= own <= _FASTEST and channels <= _MOST_CHANNELS):
                raise ValueError(
                    f"a sound must have {_SLOWEST:,} to {_FASTEST:,} samples a second in 1 to {_MOST_CHANNELS} "
                    f"channels, got {own:,} in {channels:,}"
                )
            made = _mixed(file, rate)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"a sound must be a {', '.join(ENDINGS).upper()} file: {error.error_string}") from None
    if not len(made):
        raise ValueError("a sound must have samples, got a file without any, or too short for one")
    return made


read_wav = read_sound  # by its name from when there was one kind of file


def resampled(samples: ArrayLike, own: int, rate: int) -> np.ndarray:
    """Return a sound at another number of samples a second, without tones that the new number cannot hold.

    Parameters
    ----------
    samples : shape (n,)
    own, rate
        Samples a second, as they are and as they shall be.

    Returns
    -------
    shape (n * rate / own,)

    Examples
    --------
    >>> resampled(np.ones(44_100), 44_100, 16_000).shape
    (16000,)
    """
    import soxr

    given = as_real(samples, "samples")
    if given.ndim != 1 or not len(given):
        raise ValueError(f"samples must be numbers in a row, at least one, got the shape {given.shape}")
    return soxr.resample(given.astype(np.float32), _checked_rate("own", own), _checked_rate("rate", rate))


def _mixed(file, rate):
    """Read an open file to the longest, mixing its channels and resampling it as it is read."""
    import soxr

    stream = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32")
    left, made = int(LONGEST * file.samplerate), []
    while left > 0 and len(part := file.read(min(_BLOCK, left), dtype="float32", always_2d=True)):
        left -= len(part)
        made.append(stream.resample_chunk(part.mean(axis=1)))
    return np.concatenate([*made, stream.resample_chunk(np.zeros(0, np.float32), last=True)])


def _time(rate):
    """Return the second of each sample."""
    return np.arange(int(SECONDS * _checked_rate("rate", rate))) / rate


def _checked_rate(name, rate):
    """Return so many samples a second as an int."""
    return whole_number(name, rate, least=1, most=_FASTEST)
