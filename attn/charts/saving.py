"""Figures as files, drawn without a browser or a network."""

from pathlib import Path

_VERSION = "6.4"  # of Vega-Lite, as Altair writes it
_PNG_SCALE = 2


def svg(chart):
    """Return a figure as an SVG file.

    Parameters
    ----------
    chart : alt.Chart

    Returns
    -------
    bytes
        Text stays text, in the typeface of the page with a common one to fall back on.
    """
    import vl_convert  # of some weight, so loaded when first asked for

    return vl_convert.vegalite_to_svg(chart.to_json(indent=None), vl_version=_VERSION).encode()


def png(chart):
    """Return a figure as a PNG file, at twice its size on the screen.

    Parameters
    ----------
    chart : alt.Chart

    Returns
    -------
    bytes
    """
    import vl_convert

    return vl_convert.vegalite_to_png(chart.to_json(indent=None), vl_version=_VERSION, scale=_PNG_SCALE)


def save(chart, path):
    """Write a figure to a file.

    Parameters
    ----------
    chart : alt.Chart
    path : str or Path
        Its ending says what it becomes: ``.svg`` or ``.png``.

    Raises
    ------
    ValueError
        If it ends otherwise.
    """
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise ValueError(f"a figure is saved as {' or '.join(_WRITERS)}, got {path.name}")
    path.write_bytes(_WRITERS[path.suffix](chart))


_WRITERS = {".svg": svg, ".png": png}
