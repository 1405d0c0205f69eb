"""Pictures drawn by rule, to look at without any file."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attn.functional import whole_number


class Picture(NamedTuple):
    """A picture made by rule."""

    title: str
    draw: Callable  # size -> (size, size, 3) from 0 to 1


def shapes(size: int = 32) -> np.ndarray:
    """Draw a red disc, a blue square, a green triangle and a smaller red disc far from the first.

    Examples
    --------
    >>> shapes(16).shape
    (16, 16, 3)
    """
    x, y = _plane(size)
    picture = np.full((size, size, 3), 0.93)
    picture[(x - 0.25) ** 2 + (y - 0.27) ** 2 < 0.17**2] = (0.85, 0.2, 0.15)
    picture[(np.abs(x - 0.75) < 0.15) & (np.abs(y - 0.27) < 0.15)] = (0.1, 0.4, 0.75)
    picture[(y > 0.55) & (y < 0.92) & (np.abs(x - 0.28) < (y - 0.55) * 0.6)] = (0.1, 0.6, 0.4)
    picture[(x - 0.77) ** 2 + (y - 0.75) ** 2 < 0.1**2] = (0.85, 0.2, 0.15)
    return picture


def landscape(size: int = 32) -> np.ndarray:
    """Draw a sky that grows pale towards the ground, a sun, a field and a tree."""
    x, y = _plane(size)
    sky = np.stack([0.35 + 0.5 * y, 0.6 + 0.3 * y, 0.95 - 0.05 * y], axis=-1)
    field = np.stack([0.35 - 0.1 * y, 0.65 - 0.2 * y, 0.25 + 0 * y], axis=-1)
    picture = np.where((y > 0.65 + 0.05 * np.sin(6 * x))[..., None], field, sky)
    picture[(x - 0.78) ** 2 + (y - 0.22) ** 2 < 0.11**2] = (1.0, 0.85, 0.3)
    picture[(np.abs(x - 0.28) < 0.03) & (y > 0.5) & (y < 0.78)] = (0.4, 0.25, 0.15)
    picture[(x - 0.28) ** 2 + (y - 0.42) ** 2 < 0.14**2] = (0.1, 0.4, 0.2)
    return np.clip(picture, 0, 1)


def stripes(size: int = 32) -> np.ndarray:
    """Draw stripes of two colours, so that what is alike lies far apart."""
    x, y = _plane(size)
    dark = np.floor((x + y) * 5).astype(int) % 2 == 0
    return np.where(dark[..., None], (0.15, 0.2, 0.45), (0.95, 0.8, 0.45))


def faces(size: int = 32) -> np.ndarray:
    """Draw two faces alike, side by side."""
    x, y = _plane(size)
    picture = np.full((size, size, 3), 0.85) * np.array([0.8, 0.9, 1.0])
    for centre in (0.27, 0.73):
        picture[(x - centre) ** 2 + (y - 0.5) ** 2 < 0.2**2] = (0.95, 0.75, 0.55)
        picture[(np.abs(x - centre) < 0.2) & (y > 0.29) & (y < 0.37)] = (0.3, 0.2, 0.1)
        for eye in (-0.08, 0.08):
            picture[(x - centre - eye) ** 2 + (y - 0.47) ** 2 < 0.032**2] = (0.1, 0.1, 0.15)
        picture[(np.abs(x - centre) < 0.08) & (np.abs(y - 0.6) < 0.02)] = (0.75, 0.2, 0.2)
    return picture


PICTURES = {
    "shapes": Picture("Shapes", shapes),
    "landscape": Picture("Landscape", landscape),
    "stripes": Picture("Stripes", stripes),
    "faces": Picture("Two faces", faces),
}


def _plane(size):
    """Return how far each pixel lies from the left and from the top, from 0 to 1."""
    middle = (np.arange(whole_number("size", size, least=1)) + 0.5) / size
    return np.meshgrid(middle, middle)
