"""Sounds: made by rule, or read from a file, as numbers from -1 to 1."""

import io
import math
import wave
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

SECONDS = 3.0  # of a sound made by rule
LONGEST = 30.0  # seconds that are read of a file
_LOUD = 0.5
_SLOWEST, _FASTEST = 1_000, 400_000  # samples a second that a file may have
_MOST_CHANNELS = 16
_BLOCK = 1_000  # samples that are made at once: before, there may be 800 times as many, at eight times their bytes


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


def read_wav(data: bytes, rate: int) -> np.ndarray:
    """Read a WAV file, its channels mixed into one, at so many samples a second.

    Returns
    -------
    shape (n,)
        Of the first 30 seconds.

    Raises
    ------
    ValueError
        If the file is no WAV file of whole numbers, has too many channels, or there is nothing in it.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, own = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if not (_SLOWEST <= own <= _FASTEST and 1 <= width <= 4 and channels <= _MOST_CHANNELS):
                raise ValueError(
                    f"a sound must have {_SLOWEST:,} to {_FASTEST:,} samples a second of 1 to 4 bytes in 1 to "
                    f"{_MOST_CHANNELS} channels, got {own:,} of {width} in {channels:,}"
                )
            raw = file.readframes(int(LONGEST * own))
    except (wave.Error, EOFError) as error:
        raise ValueError(f"a sound must be a WAV file of whole numbers, got one that says: {error}") from None
    frame = width * channels
    count = len(raw) // frame  # a file may break off
    if not count:
        raise ValueError("a sound must have samples, got a file without any")

    def mixed(first, last):
        return _whole_numbers(raw[first * frame : last * frame], width).reshape(-1, channels).mean(axis=1)

    return _resampled(mixed, count, own, rate)


def resampled(samples: ArrayLike, own: int, rate: int) -> np.ndarray:
    """Return a sound at another number of samples a second.

    Parameters
    ----------
    samples : shape (n,)
    own, rate
        Samples a second, as they are and as they shall be.

    Returns
    -------
    shape (n * rate / own,)
        Straight lines between samples; where there become fewer, of means over as many as fall on one,
        so that high tones do not come back as low ones.

    Examples
    --------
    >>> resampled([0, 1, 2, 3], 4, 8)
    array([0. , 0.5, 1. , 1.5, 2. , 2.5, 3. , 3. ])
    """
    samples = np.asarray(samples, dtype=float)
    return _resampled(lambda first, last: samples[first:last], len(samples), own, rate)


def _resampled(part, count, own, rate):
    """Return a sound of so many samples, given by a function of the first and the last, at another rate."""
    made = np.empty(max(1, round(count * rate / own)))
    width = max(1, math.ceil(own / rate))
    for start in range(0, len(made), _BLOCK):
        places = np.arange(start, min(start + _BLOCK, len(made))) * own / rate
        first, last = max(0, int(places[0]) - width), min(count, int(places[-1]) + width + 2)
        means = np.convolve(part(first, last), np.full(width, 1 / width))[(width - 1) // 2 :][: last - first]
        made[start : start + _BLOCK] = np.interp(places, np.arange(first, last), means)
    return made


def _time(rate):
    """Return the second of each sample."""
    return np.arange(int(SECONDS * rate)) / rate


def _whole_numbers(raw, width):
    """Return PCM bytes as numbers from -1 to 1."""
    if width == 1:  # the only width without a sign
        return np.frombuffer(raw, dtype=np.uint8) / 128 - 1
    padded = np.zeros((len(raw) // width, 4), dtype=np.uint8)
    padded[:, 4 - width :] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, width)
    return padded.reshape(-1).view("<i4") / 2**31
