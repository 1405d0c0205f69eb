"""Letters as outlines: a figure that looks the same wherever it is opened, whatever fonts are there.

The outlines, in `outlines.json`, were taken from Liberation Sans 2.1.5, with which PNG and PDF files are drawn, too.
They are under the SIL Open Font License 1.1, which stands beside them.
"""

import functools
import json
from pathlib import Path
from xml.etree import ElementTree

from attn.charts.labels import label_pixels

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
FAMILY = "Liberation Sans"  # comes with vl-convert, so that widths of words are measured by it on every machine
_EM = 2048  # units of an outline to the size of a letter
_BOLD = 600  # weight from which on letters are bold
# What stands for a space, a line break and a tabulator in labels, which the font lacks: a width and an outline each.
_SIGNS = {
    "␣": (1139, "M150,-100h839v300h-100v-200h-639v200h-100Z"),
    "↵": (1200, "M950,1100h110v-755h-560v-195l-380,250l380,250v-195h450Z"),
    "⇥": (1360, "M100,455h650v195l380,-250l-380,-250v195h-650ZM1150,150h110v500h-110Z"),
}

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


@functools.cache
def _letters():
    """Return for "regular" and "bold" the width and the outline of each letter, in units of which `_EM` are a size."""
    held = json.loads(Path(__file__).with_name("outlines.json").read_text(encoding="utf-8"))
    return {kind: letters | _SIGNS for kind, letters in held.items()}


def text_width(text, size, bold=False):
    """Return the width of a text; of a letter that has no outline, as `attn.charts.labels.label_pixels` guesses it.

    Examples
    --------
    >>> round(text_width("query", 14), 1), round(text_width("query", 14, bold=True), 1), round(text_width("型", 14), 1)
    (35.0, 38.1, 15.7)
    """
    letters = _letters()["bold" if bold else "regular"]
    return sum(letters[each][0] * size / _EM if each in letters else label_pixels(each, size) for each in text)


def outline_texts(root, only_signs=False):
    """Replace each text of a drawing by its outline; one with a letter that has none here stays a text.

    Parameters
    ----------
    root : xml.etree.ElementTree.Element
        An ``svg`` as Vega writes it. It is changed.
    only_signs : bool, default False
        Only the texts with a sign that the font lacks, such as ␣, where the others are set in the font itself.
    """
    used = {}
    for parent in list(root.iter()):
        for at, child in enumerate(parent):
            if child.tag != f"{{{SVG}}}text" or (only_signs and not _SIGNS.keys() & set("".join(child.itertext()))):
                continue
            if (drawn := _outlined(child, used)) is not None:
                drawn.tail = child.tail
                parent[at] = drawn
    defined = ElementTree.Element(f"{{{SVG}}}defs")
    for (kind, letter), name in used.items():
        ElementTree.SubElement(defined, f"{{{SVG}}}path", id=name, d=_letters()[kind][letter][1])
    root.insert(0, defined)


def _outlined(text, used):
    """Return the outline of a text, its letters defined once in `used`, or None if a letter has none."""
    kind = "bold" if _weight(text.get("font-weight", "")) >= _BOLD else "regular"
    letters, size = _letters()[kind], float(text.get("font-size", "16px").removesuffix("px"))
    lines = [(text, text.text or ""), *((each, each.text or "") for each in text)]
    if any(letter not in letters for _, line in lines for letter in line) or text.get("font-style") == "italic":
        return None
    taken = {"text-anchor", "font-family", "font-size", "font-weight"}
    group = ElementTree.Element(f"{{{SVG}}}g", {n: v for n, v in text.attrib.items() if n not in taken})
    down = 0.0
    for element, line in lines:
        down += float(element.get("dy", 0))
        left = float(element.get("x", 0))
        left -= {"middle": 0.5, "end": 1.0}.get(text.get("text-anchor"), 0.0) * text_width(line, size, kind == "bold")
        row = ElementTree.SubElement(
            group, f"{{{SVG}}}g", transform=f"translate({left:.3f},{down:g}) scale({size / _EM:.6f},-{size / _EM:.6f})"
        )
        across = 0
        for letter in line:
            if letters[letter][1]:  # a space has no outline
                name = used.setdefault((kind, letter), f"{kind[0]}{ord(letter):x}")
                ElementTree.SubElement(row, f"{{{SVG}}}use", {f"{{{XLINK}}}href": f"#{name}", "x": str(across)})
            across += letters[letter][0]
    return group


def _weight(said):
    """Return a weight as a number."""
    return {"": 400, "normal": 400, "bold": 700}.get(said) or int(said)
