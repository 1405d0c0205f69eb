"""Pictures, drawn with what attention sees of them."""

import base64
import io

import numpy as np
from PIL import Image

from attn.charts.arguments import checked_arguments
from attn.charts.cells import cells_image_layer
from attn.charts.labels import counted, number
from attn.charts.layout import dressed_layout
from attn.charts.marks import mark_layer, mark_names, mark_table, selectable_mark
from attn.charts.options import Pick
from attn.charts.plane import LEAST_PICTURE, Plane, plane_tooltip
from attn.charts.theme import LIGHT, rgb

_DIMMEST = 0.12  # of a picture that is left where there is no weight


@checked_arguments(numbers=("image", "weights"), pixels=("size",))
def photo(
    image,
    theme=LIGHT,
    *,
    title="",
    size=320,
    weights=None,
    grid=None,
    lines=False,
    pick=Pick(),
):
    """Draw a picture, dimmed where little attention lies.

    Parameters
    ----------
    image : array_like, shape (height, width, 3)
        From 0 to 1; what lies beyond is cut off.
    theme : Theme, default LIGHT
    title : str
    size : int, default 320
        Pixels along the longer side.
    weights : array_like, shape (rows, columns), optional
        Attention to each cell of a grid over the picture; the largest leaves it as it is.
    grid : (int, int), optional
        Rows and columns of cells that answer to the pointer; by default those of `weights`, or the
        pixels.
    lines : bool, default False
        Whether lines between cells are drawn.
    pick : Pick, optional
        Which cell is outlined. Its selection tells which was chosen, as ``{"row": i, "column": j}``.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    ValueError
        If the picture is none, or its sides are no multiples of the grid's.
    """
    image = np.asarray(image, dtype=float)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"image must be (height, width, 3), got {image.shape}")
    weights = None if weights is None else np.asarray(weights, dtype=float)
    rows, columns = grid or (image.shape[:2] if weights is None else weights.shape)
    if image.shape[0] % rows or image.shape[1] % columns:
        raise ValueError(f"the grid must divide the picture {image.shape[:2]}, got {(rows, columns)}")
    if weights is not None:
        image = _dimmed(image, weights, theme)
    scale = max(size, LEAST_PICTURE) / max(image.shape[:2])
    plane = Plane(round(image.shape[1] * scale), round(image.shape[0] * scale), columns=columns, rows=rows)
    layers = [cells_image_layer(plane, _encoded(image)), plane.outline(0, 0, columns, rows, theme.grid, 1)]
    layers.append(selectable_mark(_cells(plane, weights, theme, lines), pick.select, "row", "column"))
    if pick.selected is not None:
        row, column = pick.selected
        for color, width in ((theme.background, 5), (theme.query, 3)):
            layers.append(plane.selection_frame(column, row, column + 1, row + 1, color, width))
    return dressed_layout(plane.figure(layers, title), theme, _described(title, image, weights))


def _encoded(image):
    """Return a picture, (height, width, 3) from 0 to 1, as the ``data:`` address of a PNG."""
    pixels = np.round(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _dimmed(image, weights, theme):
    """Return the picture fading into the background where weights are small."""
    share = weights / (weights.max() or 1)
    down, across = image.shape[0] // weights.shape[0], image.shape[1] // weights.shape[1]
    share = np.kron(share, np.ones((down, across)))[..., None]  # (height, width, 1)
    ground = rgb(theme.background) / 255
    return ground + (np.clip(image, 0, 1) - ground) * (_DIMMEST + (1 - _DIMMEST) * share)


def _cells(plane, weights, theme, lines):
    """Return a layer of cells that say where they are."""
    rows, columns = int(plane.rows), int(plane.columns)
    row, column = np.indices((rows, columns), dtype=np.int32).reshape(2, -1)
    table = {"row": row, "column": column, "x": column, "x2": column + 1, "y": row, "y2": row + 1}
    table |= {"down": mark_names(counted(rows), row), "across": mark_names(counted(columns), column)}
    says = [("down", "row"), ("across", "column")]
    if weights is not None:
        table["shown"] = [number(weight, 4) for weight in weights.ravel()]
        says.append(("shown", "weight"))
    look = {"stroke": theme.grid, "strokeWidth": 0.7, "fillOpacity": 0} if lines else {"opacity": 0}
    return mark_layer(mark_table(table), "rect", plane.box() | {"tooltip": plane_tooltip(*says)}, **look)


def _described(title, image, weights):
    """Return the picture in words."""
    what = f"{title or 'A picture'}: {image.shape[0]} by {image.shape[1]} pixels"
    if weights is None or not weights.size:
        return f"{what}."
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    return f"{what}; most attention, {number(weights.max())}, lies on row {row + 1}, column {column + 1}."
