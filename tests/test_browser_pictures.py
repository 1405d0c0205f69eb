"""Each page's main figure looks as it did when somebody last looked at it."""

import io

import numpy as np
import pytest
from driving import PAGES
from PIL import Image
from refresh_pictures import FOLDER, taken

SHADE = 16  # of 255: what a spot may differ by; the edge of a letter differs by less when fonts are smoothed otherwise
SPOT = 5  # pixels across, over which shades are averaged
SHIFT = 1  # pixels by which anything may have moved
SPOTS = 20  # pixels around which spots may differ more: less than a cell or a short label takes


def pixels(picture):
    """Return a picture's shades, (height, width, 3) from 0 to 255."""
    return np.asarray(Image.open(picture).convert("RGB"), dtype=np.float64)


def difference(expected, actual):
    """Return by how much the spot around each pixel differs from the nearest one of the other picture.

    Parameters
    ----------
    expected, actual : ndarray, shape (height, width, 3)
        They may differ in size; what one of them lacks is as far from white as can be.

    Returns
    -------
    ndarray, shape (height, width)
        From 0 to 255.
    """
    height, width = np.maximum(expected.shape, actual.shape)[:2]
    common = [_averaged(_grown(picture, height, width)) for picture in (expected, actual)]
    moves = range(-SHIFT, SHIFT + 1)
    shifted = (np.roll(common[1], (down, right), (0, 1)) for down in moves for right in moves)
    return np.min([np.abs(common[0] - each).max(axis=2) for each in shifted], axis=0)


def differing(expected, actual):
    """Return how many pixels stand in spots that differ."""
    return int((difference(expected, actual) > SHADE).sum())


def _grown(picture, height, width):
    """Return a picture with white to the right and below; more than a pixel or two of it is black instead."""
    missing = height - len(picture), width - picture.shape[1]
    fill = 255 if max(missing) <= 2 * SHIFT else 0
    return np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), constant_values=fill)


def _averaged(picture):
    """Return the mean around each pixel, over a square of SPOT pixels."""
    for axis in (0, 1):
        sides = [(SPOT // 2 + 1, SPOT // 2) if axis == at else (0, 0) for at in range(3)]
        sums = np.pad(picture, sides, mode="edge").cumsum(axis)
        length = picture.shape[axis]
        picture = (np.take(sums, range(SPOT, SPOT + length), axis) - np.take(sums, range(length), axis)) / SPOT
    return picture


def side_by_side(expected, actual):
    """Return what was expected, what came, and in black where they differ, as one picture."""
    dark = 255 * (1 - np.clip(difference(expected, actual) / (2 * SHADE), 0, 1))
    height, width = dark.shape
    parts = [_grown(expected, height, width), _grown(actual, height, width), np.repeat(dark[..., None], 3, axis=2)]
    return Image.fromarray(np.concatenate(parts, axis=1).astype(np.uint8))


@pytest.mark.browser
@pytest.mark.parametrize("page", PAGES)
def test_the_main_figure_of_a_page_looks_as_it_did(page, server, tab, tmp_path):
    pytest.importorskip("playwright")
    expected, actual = pixels(FOLDER / f"{page}.png"), pixels(io.BytesIO(taken(tab, server, page)))
    count = differing(expected, actual)
    if count > SPOTS:
        side_by_side(expected, actual).save(tmp_path / f"{page}.png")
        pytest.fail(
            f"the figure of {page} must look as in {FOLDER / page}.png, got {count} pixels that differ: expected, "
            f"actual and difference are in {tmp_path / page}.png; if it is meant, run python tests/refresh_pictures.py"
        )


# The comparison itself


@pytest.fixture(scope="module")
def kept():
    return pixels(FOLDER / "masks.png")


def test_what_fonts_and_rounding_change_is_no_difference(kept):
    noise = np.random.default_rng(0).normal(0, 8, kept.shape)
    assert differing(kept, kept) == 0
    assert differing(kept, np.roll(kept, (1, -1), (0, 1))) == 0
    assert differing(kept, kept[:-1, :-1]) == 0
    assert differing(kept, np.clip(kept + noise, 0, 255)) == 0
    assert differing(kept, 255 * (kept / 255) ** 1.15) <= SPOTS  # letters smoothed otherwise


def label_gone(picture):
    picture[58:76, 38:78] = 255


def label_moved(picture):
    picture[58:76, 38:78] = np.roll(picture[58:76, 38:78], -6, axis=1)


def everything_moved(picture):
    picture[:] = np.roll(picture, 6, axis=0)


def cell_gone(picture):
    picture[219:275, 262:319] = 255  # a pale one


def colour_changed(picture):
    picture[99:155, 82:139] = picture[99:155, 82:139, ::-1]  # pale blue becomes pale orange


def number_changed(picture):
    picture[58:76, 98:124] = picture[178:196, 98:124]


@pytest.mark.parametrize(
    "spoil", [label_gone, label_moved, everything_moved, cell_gone, colour_changed, number_changed]
)
def test_what_a_person_would_notice_is_a_difference(kept, spoil):
    actual = kept.copy()
    spoil(actual)
    assert differing(kept, actual) > 2 * SPOTS


def test_a_picture_of_another_size_is_different(kept):
    assert differing(kept, kept[:-8]) > SPOTS
    assert differing(kept, np.pad(kept, ((0, 0), (0, 8), (0, 0)), mode="edge")) > SPOTS


def test_the_three_stand_side_by_side(kept):
    shown = np.asarray(side_by_side(kept, np.roll(kept, 6, axis=1)))
    height, width = kept.shape[:2]
    assert shown.shape == (height, 3 * width, 3)
    np.testing.assert_array_equal(shown[:, :width], kept)
    assert (shown[:, 2 * width :].min(), shown[:, 2 * width :].max()) == (0, 255)
