"""A figure as a file."""


def svg(chart):
    """Return a figure as the text of an SVG file, drawn without a browser or a network.

    Parameters
    ----------
    chart : alt.Chart

    Returns
    -------
    str
        Text stays text, in the typeface of the page with a common one to fall back on.
    """
    import vl_convert  # of some weight, so loaded when first asked for

    return vl_convert.vegalite_to_svg(chart.to_json(indent=None), vl_version="6.4")
