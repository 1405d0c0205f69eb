"""A large matrix as one small picture, pooled so that peaks survive."""

import base64
import io
import math

import numpy as np
from PIL import Image

from attn.charts.theme import blend, rgb

LARGEST = 600  # pixels along the longer side of a picture
_AT_ONCE = 100_000  # values pooled at once, so that what is made of them stays in a cache
_LEVELS = 253  # shades of the scale; what follows in the palette has a colour of its own
_HIDDEN, _INVALID, _BLANK = 253, 254, 255


def pool_raster(values, hidden, most_rows, most_columns):
    """Shrink a matrix to at most `most_rows` x `most_columns`, keeping the largest size of each block.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
    hidden : ndarray of bool, shape (rows, columns)
    most_rows, most_columns : int

    Returns
    -------
    values : ndarray, shape (blocks down, blocks across)
        Of each block the visible value farthest from 0, with its sign; NaN if any is not finite.
    hidden : ndarray of bool, same shape
        Where the whole block is hidden.

    Notes
    -----
    Blocks are of one size but for a few: among blocks of 1 and of 2, the larger would look brighter
    and show a pattern that is not there.

    Examples
    --------
    >>> values, hidden = pool_raster(np.array([[0.1, 0.0, 0.9, -2.0]]), np.zeros((1, 4), bool), 1, 3)
    >>> values
    array([[ 0.1, -2. ]])
    """
    if not values.size:
        return values, hidden
    sides = zip(values.shape, (most_rows, most_columns), strict=True)
    down, across = (raster_edges(count, math.ceil(count / math.ceil(count / most)))[:-1] for count, most in sides)
    strips = np.array_split(down, min(len(down), math.ceil(values.size / _AT_ONCE)) or 1)
    bounds = [strip[0] for strip in strips] + [len(values)]
    pooled = [
        _pooled(values[start:stop], hidden[start:stop], (strip - start, across))
        for strip, start, stop in zip(strips, bounds, bounds[1:], strict=False)
    ]
    return tuple(np.concatenate(side) for side in zip(*pooled, strict=True))


def _pooled(values, hidden, starts):
    """Pool a strip of a matrix, whose blocks begin at `starts`."""
    broken = ~np.isfinite(values) & ~hidden
    left_out = hidden | broken
    high = _reduce(np.maximum, np.where(left_out, -np.inf, values), starts)
    low = _reduce(np.minimum, np.where(left_out, np.inf, values), starts)
    pooled = np.where(high >= -low, high, low)
    pooled[_reduce(np.logical_or, broken, starts)] = np.nan
    gone = _reduce(np.logical_and, hidden, starts)
    return np.where(gone, 0, pooled), gone


def raster_peaks(values, hidden, n_rows, n_columns):
    """Return where each block of at most `n_rows` x `n_columns` has the value farthest from 0.

    Returns
    -------
    rows, columns : ndarray of int, shape (blocks down, blocks across)
        Places in `values`; for a wholly hidden block its first cell.
    """
    down, across = raster_edges(values.shape[0], n_rows), raster_edges(values.shape[1], n_columns)
    rows = np.empty((len(down) - 1, len(across) - 1), dtype=int)
    columns = np.empty_like(rows)
    for i, j in np.ndindex(rows.shape):
        block = slice(down[i], down[i + 1]), slice(across[j], across[j + 1])
        size = np.abs(values[block])
        size[np.isnan(size)] = np.inf
        size[hidden[block]] = -1
        row, column = np.unravel_index(size.argmax(), size.shape)
        rows[i, j], columns[i, j] = down[i] + row, across[j] + column
    return rows, columns


def raster_edges(count, parts):
    """Return the borders of at most `parts` nearly equal runs of `count` things.

    Examples
    --------
    >>> raster_edges(7, 3), raster_edges(2, 3)
    (array([0, 2, 5, 7]), array([0, 1, 2]))
    """
    parts = min(count, parts)
    return np.round(np.linspace(0, count, parts + 1)).astype(int)


def raster_picture(values, hidden, scale, width, height):
    """Draw a matrix as a PNG of at most `width` x `height` pixels.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
    hidden : ndarray of bool, shape (rows, columns)
    scale : ColourScale
    width, height : int

    Returns
    -------
    str
        A ``data:`` address for an image mark.
    """
    return _encoded(_levels(values, hidden, scale, width, height), scale)


def raster_mosaic(maps, hidden, scale, corners, map_size, size):
    """Draw several matrices as one PNG.

    Parameters
    ----------
    maps, hidden : ndarray, shape (n, rows, columns)
    scale : ColourScale
    corners : sequence of (int, int)
        Left and top edge of each, in pixels.
    map_size, size : (int, int)
        Width and height in pixels of each matrix and of the whole.

    Returns
    -------
    str
        A ``data:`` address for an image mark.
    """
    (wide, tall), canvas = map_size, np.full(size[::-1], _BLANK, dtype=np.uint8)
    for values, gone, (left, top) in zip(maps, hidden, corners, strict=True):
        levels = _levels(values, gone, scale, wide, tall)
        down, across = (np.arange(side) * n // side for side, n in zip((tall, wide), levels.shape, strict=True))
        canvas[top : top + tall, left : left + wide] = levels[np.ix_(down, across)]
    return _encoded(canvas, scale)


def _levels(values, hidden, scale, width, height):
    """Return a matrix, pooled to at most `width` x `height`, as palette indices."""
    values, hidden = pool_raster(values, hidden, height, width)
    levels = np.round(scale.fraction(values) * (_LEVELS - 1)).astype(np.uint8)
    levels[np.isnan(values)] = _INVALID
    levels[hidden] = _HIDDEN
    return levels


def _encoded(levels, scale):
    """Return palette indices, (height, width), as the ``data:`` address of a PNG in the colours of `scale`."""
    image = Image.frombytes("P", levels.shape[::-1], levels.tobytes())
    image.putpalette(_palette(scale).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _palette(scale):
    """Return the 256 colours of a picture, (256, 3)."""
    values = np.linspace(0, 1, _LEVELS)
    theme = scale.theme
    special = [rgb(colour) for colour in (theme.hidden, theme.invalid, theme.background)]
    return np.round(np.vstack([blend(scale.stops, values), *special])).astype(np.uint8)


def _reduce(operation, values, starts):
    """Reduce the blocks that begin at `starts` along rows and columns."""
    return operation.reduceat(operation.reduceat(values, starts[0], axis=0), starts[1], axis=1)
