"""Figures as files, drawn without a browser or a network."""

from pathlib import Path

import pyarrow as pa

from attn.charts.specification import specification

_VERSION = "6.4"  # of Vega-Lite, as Altair writes it
_PNG_SCALE = 2


def svg(figure):
    """Return a figure as an SVG file.

    Parameters
    ----------
    figure : alt.Chart or dict
        A dictionary as `attn.charts.specification` returns it.

    Returns
    -------
    bytes
        Text stays text, in the typeface of the page with a common one to fall back on.

    Raises
    ------
    ValueError
        If a part of the figure has no data.
    """
    import vl_convert  # of some weight, so loaded when first asked for

    return vl_convert.vegalite_to_svg(_rows(figure), vl_version=_VERSION).encode()


def png(figure):
    """Return a figure as a PNG file, at twice its size on the screen; otherwise as `svg`."""
    import vl_convert

    return vl_convert.vegalite_to_png(_rows(figure), vl_version=_VERSION, scale=_PNG_SCALE)


def save(figure, path):
    """Write a figure to a file.

    Parameters
    ----------
    figure : alt.Chart or dict
        As in `svg`.
    path : str or Path
        Its ending says what it becomes: ``.svg`` or ``.png``.

    Raises
    ------
    ValueError
        If it ends otherwise, or a part of the figure has no data.
    """
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise ValueError(f"a figure is saved as {' or '.join(_WRITERS)}, got {path.name}")
    path.write_bytes(_WRITERS[path.suffix](figure))


def _rows(figure):
    """Return a figure with its tables as rows.

    Not as JSON: the reader of that takes 1.7881393432617188e-07 for its neighbour, which then has no label.
    """
    spec = figure if isinstance(figure, dict) else specification(figure)
    tables = spec.get("datasets", {})
    rows = {name: table.to_pylist() if isinstance(table, pa.Table) else table for name, table in tables.items()}
    return spec | {"datasets": rows}


_WRITERS = {".svg": svg, ".png": png}
