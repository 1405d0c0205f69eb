"""Every page with its choices, and links that set them: sensible, extreme and absurd."""

import ast
import dataclasses
import importlib
import re
from pathlib import Path

from hypothesis import strategies as st

from attn.ui.link import link_cells
from attn.ui.menu import MENU

ROOT = Path(__file__).parents[1]


def setup_of(script):
    """Return the Setup that a page imports, without running the page."""
    for node in ast.walk(ast.parse((ROOT / script).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and any(name.name == "Setup" for name in node.names):
            return importlib.import_module(node.module).Setup
    raise LookupError(f"{script} must import its Setup")


SETUPS = {page: setup_of(script) for page, script, *_ in MENU}

ABSURD = (
    "",
    "NaN",
    "-1",
    "1e309",
    "9" * 400,
    "٣",
    "<script>alert(1)</script>",
    "**bold** ![x](https://example.org/x.png) :smile: $x$",
    "1,2,3",
    "-1,0",
    "nothing\0to\u202esee\n",
    "x.0.0=nan;x.0.0",
)
"""Values that hardly any choice can take."""


def fields(cls):
    """Return the choices of a page by name."""
    return {field.name: field for field in dataclasses.fields(cls)}


def read(field, raw):
    """Return what a choice makes of a value in a link; ValueError says what must hold."""
    return field.metadata["codec"].read(raw)


def demand(field):
    """Return what a choice asks of a value in a link, or None if it takes any text.

    Examples
    --------
    >>> demand(fields(SETUPS["home"])["layer"]), demand(fields(SETUPS["home"])["text"])
    ('a whole number from 1 to 6', None)
    """
    try:
        read(field, "\0")
    except ValueError as error:
        return str(error)
    return None


def bounds(field):
    """Return the least and the largest number a choice takes, as a link spells them, or None.

    Examples
    --------
    >>> bounds(fields(SETUPS["step_by_step"])["own"])
    ('0.01', '1000')
    """
    match = re.fullmatch(r"a (?:whole )?number from (\S+) to (\S+)", demand(field) or "")
    return match and match.groups()


def options(field):
    """Return the names a choice picks from, or None."""
    match = re.fullmatch(r"one of (.+)", demand(field) or "")
    return match and match[1].split(", ")


def painted(*pairs):
    """Return painted cells as a link spells them.

    Examples
    --------
    >>> painted((0, 0), (3, 3))
    '4.gAE'
    >>> painted((0, 94))
    '0,94'
    """
    return link_cells().metadata["codec"].write(pairs)


def values(field):
    """Return a strategy for the values of one choice in a link, made from what it says must hold."""
    asks = demand(field)
    if asks is None:
        return st.text(max_size=40)
    if names := options(field):
        return st.sampled_from(names)
    if ends := bounds(field):
        if "whole" in asks:
            return st.integers(*map(int, ends)).map(str)
        return st.floats(*map(float, ends)).map(repr)
    if asks.startswith("whole numbers"):
        return st.lists(st.integers(0, 999), min_size=1, max_size=5).map(lambda found: ",".join(map(str, found)))
    if match := re.match(r"two whole numbers from (\d+) to (\d+)", asks):
        ends = st.integers(int(match[1]), int(match[2]))
        return st.tuples(ends, ends).map(sorted).map(_pair)
    if match := re.match(r"a code of at most (\d+) letters", asks):
        return st.text("ABCxyz", max_size=int(match[1]))
    if asks.startswith("heads"):
        head = st.tuples(st.integers(1, 999), st.integers(1, 999)).map("{0[0]}.{0[1]}".format)
        return st.lists(head, max_size=5).map(";".join)
    if asks.startswith("factors"):
        part = st.integers(1, 40).map(str) | st.sampled_from(["attention", "feed_forward"])
        each = st.tuples(st.integers(1, 40), part, st.floats(0, 2).map("{:.3f}".format))
        several = st.lists(each, min_size=1, max_size=5, unique_by=lambda one: one[:2])
        return several.map(lambda found: ";".join("{}.{}={}".format(*one) for one in found))
    if match := re.match(r"1 to (\d+) points .* to (\d+)$", asks):
        number = st.floats(-float(match[2]), float(match[2])).map(repr)
        return st.lists(st.tuples(number, number).map(_pair), min_size=1, max_size=int(match[1])).map(";".join)
    spot = st.tuples(st.integers(0, 200), st.integers(0, 200))
    if asks.startswith("a row and a column"):
        return spot.map(_pair)
    if asks.startswith("a query and a key"):
        return st.tuples(st.integers(1, 201), st.integers(1, 201)).map("{0[0]}.{0[1]}".format)
    if asks.startswith("painted cells"):
        return st.lists(spot, min_size=1, max_size=9).map(lambda pairs: painted(*pairs))
    if asks.startswith("edits"):
        number = st.floats(allow_nan=True, allow_infinity=True).map(repr)
        edit = st.builds("{0}.{1[0]}.{1[1]}={2}".format, st.sampled_from(["x", "w_q", "w_k", "w_v"]), spot, number)
        return st.lists(edit, min_size=1, max_size=5).map(";".join)
    assert asks == "0 or 1"
    return st.sampled_from("01")


def links(cls, without=()):
    """Return a strategy for query strings that set some of a page's choices."""
    return st.fixed_dictionaries(
        {}, optional={name: values(field) for name, field in fields(cls).items() if name not in without}
    )


def extremes(cls):
    """Return two query strings: every number at its least, and every number at its largest."""
    ends = {name: bounds(field) for name, field in fields(cls).items() if bounds(field)}
    return tuple({name: both[at] for name, both in ends.items()} for at in (0, 1))


def _pair(pair):
    return f"{pair[0]},{pair[1]}"
