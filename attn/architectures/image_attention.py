"""Attention over images: every pixel to every other, and words to patches."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.dot_product import scaled_dot_product_attention
from attn.functional import as_floats, as_real, check_projections, finite_number, parameter, whole_number


class ImageAttention(NamedTuple):
    """Every step of self-attention over the pixels of an image, the pixel that looks a row."""

    scores: np.ndarray  # (n, n)
    weights: np.ndarray  # (n, n) rows sum to 1
    attended: np.ndarray  # (n, d) what each pixel reads
    output: np.ndarray  # (n, d) the image plus gamma times that


def image_attention(
    x: ArrayLike, w_f: ArrayLike, w_g: ArrayLike, w_h: ArrayLike, w_v: ArrayLike | None = None, gamma: float = 0.0
) -> ImageAttention:
    r"""Let every pixel read every other and add what it reads, times a factor that training starts at 0.

    Parameters
    ----------
    x : shape (n, d)
        One row per pixel.
    w_f, w_g : shape (d, d_k)
        Pixels to keys and to queries.
    w_h : shape (d, d_v)
    w_v : shape (d_v, d)
        Back to the width of the image; without it `d_v` is `d`.
    gamma
        At 0 the output is the image itself.

    Raises
    ------
    ValueError
        If the widths do not fit.

    Notes
    -----
    Section 3 of [1]_: :math:`s_{ij} = f(x_i)^\top g(x_j)`, :math:`\beta_{j,i}` its softmax over
    :math:`i`, :math:`o_j = v(\sum_i \beta_{j,i} h(x_i))`, :math:`y_j = \gamma o_j + x_j`. The scores
    are not divided by a square root.

    References
    ----------
    .. [1] Zhang et al., 2019. arXiv:1805.08318

    Examples
    --------
    >>> same = np.eye(2)
    >>> image_attention([[1, 0], [0, 1], [1, 1]], same, same, same, gamma=0.5).output.round(6)
    array([[1.422319, 0.288841],
           [0.288841, 1.422319],
           [1.394029, 1.394029]])
    """
    (x, w_f, w_g, w_h), dtype = as_floats(x=x, w_f=w_f, w_g=w_g, w_h=w_h)
    check_projections(x, w_f=w_f, w_g=w_g, w_h=w_h)
    attention = scaled_dot_product_attention(x @ w_g, x @ w_f, x @ w_h, scale=1)
    attended = attention.context
    if w_v is not None:
        attended = attended @ parameter(w_v, (w_h.shape[1], x.shape[1]), "w_v", x.dtype)
    if attended.shape != x.shape:
        raise ValueError(f"what is read must be as wide as the image {x.shape}, got {attended.shape}")
    output = x + finite_number(gamma, "gamma") * attended
    return ImageAttention(
        *(a.astype(dtype, copy=False) for a in (attention.scores, attention.weights, attended, output))
    )


def patches(image: ArrayLike, size: int) -> np.ndarray:
    """Cut an image into square patches.

    Parameters
    ----------
    image : shape (height, width, channels)
    size
        Pixels along a side, which divides height and width.

    Returns
    -------
    shape (n_patches, size * size, channels)
        Row by row from the top left.

    Raises
    ------
    ValueError
        If `size` does not divide both sides.

    Examples
    --------
    >>> patches(np.zeros((224, 224, 3)), 16).shape
    (196, 256, 3)
    """
    image, size = as_real(image, "image"), whole_number("size", size, least=1)
    if image.ndim != 3 or not image.size or image.shape[0] % size or image.shape[1] % size:
        raise ValueError(f"image must be (height, width, channels) with sides that {size} divides, got {image.shape}")
    down, across = image.shape[0] // size, image.shape[1] // size
    cut = image.reshape(down, size, across, size, -1).swapaxes(1, 2)  # (down, across, size, size, channels)
    return cut.reshape(down * across, size * size, image.shape[2])


def patch_features(cut: ArrayLike, columns: int) -> np.ndarray:
    """Describe each patch by its mean colour, its contrast and its place.

    Parameters
    ----------
    cut : shape (n_patches, n_pixels, 3)
        As `patches` makes them.
    columns
        How many patches lie side by side.

    Returns
    -------
    shape (n_patches, 6)
        Red, green and blue around 0, the standard deviation of its pixels, and how far to the right
        and how far up it lies, from -1 to 1.

    Raises
    ------
    ValueError
        If `columns` does not divide the number of patches.

    Examples
    --------
    >>> patch_features(np.full((4, 16, 3), 0.75), 2)[0]
    array([ 0.25,  0.25,  0.25,  0.  , -0.5 ,  0.5 ])
    """
    cut, columns = as_real(cut, "cut").astype(float), whole_number("columns", columns, least=1)
    if cut.ndim != 3 or cut.shape[2] != 3 or not cut.shape[1] or len(cut) % columns:
        raise ValueError(f"cut must be (n_patches, n_pixels, 3) in rows of {columns} patches, got {cut.shape}")
    down, across = np.divmod(np.arange(len(cut)), columns)
    place = [2 * (across + 0.5) / columns - 1, 1 - 2 * (down + 0.5) / (len(cut) // columns)]
    contrast = cut.std(axis=1).mean(axis=1)
    return np.column_stack([cut.mean(axis=1) - 0.5, contrast, *place])
