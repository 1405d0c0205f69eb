"""Figures as files, drawn without a browser or a network."""

import functools
import json
import re
import struct
import zlib
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import altair as alt
import pyarrow as pa

from attn.charts.fitting import enlarged, fit_to_room, narrow_plots, plots_width
from attn.charts.outlines import FAMILY, SVG, outline_texts
from attn.charts.plane import SELECTION
from attn.charts.specification import specified
from attn.charts.theme import FONT, FONT_SIZE
from attn.functional import finite_number, short_repr

COLUMNS = {"one": 85, "two": 175}  # millimetres across of a figure in one column of a paper, and over both
DOTS = 300  # an inch, of a PNG file for a paper

_PARTS = ("layer", "hconcat", "vconcat")  # under which names a figure holds others
_VERSION = "6.4"  # of Vega-Lite, as Altair writes it
_PNG_SCALE = 2
_POINTS = 72 / 25.4  # a millimetre
_NARROWEST, _WIDEST = 20, 2000  # millimetres of a figure
_SMALL, _LARGE = 7, 10  # points that words of a figure in a paper should have at least, and at most
_LEAST = 6  # points that they never fall below: a figure that cannot be made narrower is then wider than its column
_LEAST_LETTER = 11  # pixels of the words of a figure in a browser's window: a narrower one scrolls


def svg(figure, *, width=None, about=None):
    """Return a figure as an SVG file.

    Parameters
    ----------
    figure : alt.Chart or dict
        A dictionary as `attn.charts.specification` returns it.
    width : float, optional
        Millimetres that it may take across, as in `COLUMNS`: it is laid out anew for that width, and its words become
        outlines, the same wherever it is opened. It is wider if its words would else be smaller than 6 points. By
        default it has the size and the text of the screen.
    about : dict of str to str, optional
        What is said of it in the file, by name; "Title" is what viewers show.

    Returns
    -------
    bytes
        Without `width` text stays text, in the typeface of the page with a common one to fall back on.

    Raises
    ------
    ValueError
        If a part of the figure has no data, or `width` is not from 20 to 2000.
    """
    about = _checked_about(about)
    if width is None and not about:
        return _drawn(_rows(figure)).encode()
    root = ElementTree.fromstring(_drawn(_on_paper(figure, width)))
    across, down = (float(root.get(side)) for side in ("width", "height"))
    if width is not None:
        outline_texts(root)
        millimetres = _millimetres(across, width)
        root.set("width", f"{millimetres:.3f}mm")
        root.set("height", f"{millimetres * down / across:.3f}mm")
    for tag, text in (("metadata", json.dumps(about, ensure_ascii=False)), ("title", about.get("Title"))):
        if about and text:
            said = ElementTree.Element(f"{{{SVG}}}{tag}")
            said.text = text
            root.insert(0, said)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def png(figure, *, width=None, about=None):
    """Return a figure as a PNG file, with `width` at 300 dots an inch, else at twice its size on the screen.

    Otherwise as `svg`; `about` stands in its text chunks.
    """
    import vl_convert  # of some weight, so loaded when first asked for

    about = _checked_about(about)
    root = ElementTree.fromstring(_drawn(_on_paper(figure, width)))
    outline_texts(root, only_signs=True)
    drawn = ElementTree.tostring(root, encoding="unicode")
    if width is None:
        picture = vl_convert.svg_to_png(drawn, scale=_PNG_SCALE)
    else:
        scale = _millimetres(_across(drawn), width) * _POINTS / _across(drawn)
        picture = vl_convert.svg_to_png(drawn, scale=scale, ppi=DOTS)
    return _with_png_texts(picture, about)


def pdf(figure, *, width=None, about=None):
    """Return a figure as a PDF file of one page of its size, its fonts embedded; otherwise as `svg`."""
    import vl_convert

    about = _checked_about(about)
    root = ElementTree.fromstring(_drawn(_on_paper(figure, width)))
    outline_texts(root, only_signs=True)
    across = float(root.get("width"))
    scale = _POINTS * (across * 25.4 / 96 if width is None else _millimetres(across, width)) / across
    for side in ("width", "height"):
        root.set(side, f"{float(root.get(side)) * scale:.3f}")  # taken for points
    return _with_pdf_info(vl_convert.svg_to_pdf(ElementTree.tostring(root, encoding="unicode")), about)


def html(figure, *, about=None):
    """Return a figure as one HTML file that draws without any network and says numbers under the pointer.

    It becomes smaller with its window, until its words are 11 pixels high; then it scrolls. Otherwise as `svg`. The
    libraries that draw it are in the file, 0.8 MB.
    """
    spec, about = _rows(figure), _checked_about(about)
    # "<" is written so that no word of a figure ends the script that holds it
    said, drawn = (json.dumps(each, ensure_ascii=False).replace("<", "\\u003c") for each in (about, spec))
    ground = spec.get("config", {}).get("background", "#FFFFFF")
    smallest = _LEAST_LETTER / spec.get("config", {}).get("text", {}).get("fontSize", FONT_SIZE)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(about.get('Title', 'Attention Lab'))}</title>\n"
        f"<style>body {{ margin: 16px; background: {ground}; }} #figure {{ overflow: auto; }} "
        "#figure svg { height: auto; }</style>\n"
        f'<script type="application/json" id="about">{said}</script>\n'
        f"<script>{_libraries()}</script>\n</head>\n<body>\n"
        f'<main id="figure"></main>\n<script>vegaEmbed("#figure", {drawn}, '
        '{ actions: false, renderer: "svg" }).then(() => {\n    const drawn = document.querySelector("#figure svg");\n'
        f"    drawn.style.maxWidth = `max(100%, ${{{smallest:.4g} * drawn.viewBox.baseVal.width}}px)`;\n"
        "});</script>\n</body>\n</html>\n"
    ).encode()


@functools.cache
def _libraries():
    """Return the libraries that draw a figure in a browser, as a script that gives `vegaEmbed`."""
    import vl_convert

    return vl_convert.javascript_bundle(vl_version=_VERSION).replace("</script", "<\\/script")


def save(figure, path, *, width=None, about=None):
    """Write a figure to a file.

    Parameters
    ----------
    figure : alt.Chart or dict
        As in `svg`.
    path : str or Path
        Its ending says what it becomes: ``.svg``, ``.png``, ``.pdf`` or ``.html``.
    width, about
        As in `svg`. An HTML file has the width of the screen.

    Raises
    ------
    ValueError
        If it ends otherwise, or a part of the figure has no data.
    """
    if not isinstance(path, str | Path):
        raise ValueError(f"path must be a text or a Path, got {short_repr(path)}")
    path = Path(path)
    if path.suffix not in _WRITERS:
        *endings, last = _WRITERS
        raise ValueError(f"a figure is saved as {', '.join(endings)} or {last}, got {path.name}")
    sized = {} if path.suffix == ".html" else {"width": width}
    path.write_bytes(_WRITERS[path.suffix](figure, about=about, **sized))


def without_selection(figure):
    """Return a figure without frames around what is chosen, and with nothing to choose.

    Parameters
    ----------
    figure : alt.Chart or dict
        As in `svg`.

    Returns
    -------
    alt.Chart or dict
        What was given is as it was.

    Examples
    --------
    >>> cell = {"mark": {"type": "rect"}, "params": [{"name": "cell", "select": "point"}]}
    >>> without_selection({"layer": [cell, {"mark": {"type": "rect", "style": "selection"}}]})
    {'layer': [{'mark': {'type': 'rect'}}]}
    """
    if isinstance(figure, dict):
        kept = {name: value for name, value in figure.items() if name != "params"}
        return kept | {kind: _not_chosen(kept[kind]) for kind in _PARTS if kind in kept}
    if not isinstance(figure, alt.TopLevelMixin):
        raise ValueError(f"figure must be a chart of Altair or its specification, got {short_repr(figure)}")
    kept = type(figure)()
    for name, value in figure._kwds.items():
        kept[name] = value
    kept.params = alt.Undefined
    for kind in _PARTS:
        if hasattr(kept, kind):
            setattr(kept, kind, _not_chosen(kept[kind]))
    return kept


def _not_chosen(parts):
    """Return those parts of a figure that do not only show what is chosen, each without such parts."""
    shown = (part for part in parts if not isinstance(mark := _mark_of(part), dict) or mark.get("style") != SELECTION)
    return [without_selection(part) for part in shown]


def _mark_of(part):
    """Return how the marks of a part of a figure look; None where it holds parts itself."""
    return part.get("mark") if isinstance(part, dict) else getattr(part, "mark", None)


def _checked_about(about):
    """Return what is said of a figure, which may be nothing, or say what it must be."""
    about = {} if about is None else about
    if not isinstance(about, dict) or not all(isinstance(word, str) for pair in about.items() for word in pair):
        raise ValueError(f"about must be a dictionary of texts, got {short_repr(about)}")
    return about


def _drawn(spec):
    """Return a specification with its rows as SVG."""
    import vl_convert

    return vl_convert.vegalite_to_svg(spec, vl_version=_VERSION)


def _across(drawn):
    """Return the pixels across of an SVG."""
    return float(re.search(r'<svg[^>]*? width="([\d.]+)"', drawn)[1])


def _millimetres(across, width):
    """Return the millimetres that a drawing of so many pixels takes of `width`: its words stay of 6 to 10 points."""
    least, most = (across * points / FONT_SIZE / _POINTS for points in (_LEAST, _LARGE))
    return max(least, min(width, most))


def _on_paper(figure, width):
    """Return a figure with its rows, and, if it shall take so many millimetres, laid out and set for that width.

    Rows of plots are broken where words would else become smaller than 7 points, and plots made narrower where they
    would become smaller than 6.
    """
    if width is None:
        return _rows(figure)
    finite_number(width, "width", least=_NARROWEST, most=_WIDEST)
    spec = specified(figure)
    spec = enlarged(spec, FONT_SIZE / spec["config"]["text"]["fontSize"])  # as on a laptop
    spec = fit_to_room(spec, width * _POINTS * FONT_SIZE / _SMALL)
    config = json.loads(json.dumps(spec["config"]).replace(json.dumps(FONT), json.dumps(FAMILY)))
    spec = spec | {"config": config}
    across, most = _across(_drawn(_rows(spec))), width * _POINTS * FONT_SIZE / _LEAST
    if across > most:
        spec = narrow_plots(spec, most - max(across - plots_width(spec), 0))  # words may reach beyond a plot
    return _rows(spec)


def _rows(figure):
    """Return a figure with its tables as rows.

    Not as JSON: the reader of that takes 1.7881393432617188e-07 for its neighbour, which then has no label.
    """
    spec = specified(figure)
    tables = spec.get("datasets", {})
    rows = {name: table.to_pylist() if isinstance(table, pa.Table) else table for name, table in tables.items()}
    return spec | {"datasets": rows}


def _with_png_texts(picture, about):
    """Return a PNG file with texts behind its header, in Unicode."""
    header = 8 + 25  # bytes of the signature and of the first chunk, IHDR
    chunks = b""
    for name, text in about.items():
        body = b"iTXt" + name.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
        chunks += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return picture[:header] + chunks + picture[header:]


def _with_pdf_info(document, about):
    """Return a PDF file that says what it holds: an update at its end, as PDF 32000-1:2008, section 7.5.6, has it."""
    if not about:
        return document
    trailer = document[document.rindex(b"trailer") :]
    size, root = (int(re.search(rb"/%s (\d+)" % name, trailer)[1]) for name in (b"Size", b"Root"))
    before = int(re.search(rb"startxref\s+(\d+)", trailer)[1])
    fields = {"Title": about.get("Title", ""), "Creator": about.get("Software", ""), "Keywords": about.get("Link", "")}
    fields["Subject"] = "; ".join(f"{n}: {t}" for n, t in about.items() if n not in ("Title", "Software", "Settings"))
    info = "".join(f"/{name} <FEFF{text.encode('utf-16-be').hex()}>\n" for name, text in fields.items() if text)
    start = len(document) + 1
    entry = f"\n{size} 0 obj\n<<\n{info}>>\nendobj\n".encode()
    table = f"xref\n{size} 1\n{start:010} 00000 n \ntrailer\n<< /Size {size + 1} /Root {root} 0 R /Info {size} 0 R "
    end = f"{table}/Prev {before} >>\nstartxref\n{len(document) + len(entry)}\n%%EOF\n"
    return document + entry + end.encode()


_WRITERS = {".svg": svg, ".png": png, ".pdf": pdf, ".html": html}
