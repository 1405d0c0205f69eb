"""What a person chose on a page, as a frozen dataclass that a link can carry.

A page declares its choices once::

    @dataclass(frozen=True)
    class Setup:
        seed: int = link_whole(1, 0, 9999)
        mask: str = link_choice("causal", MASKS)

and from then on `from_link` and `to_link` translate between an instance and the query string.
Nothing here knows Streamlit.
"""

import base64
import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

LONGEST_LINK_VALUE = 4000  # bytes as the address spells it; longer texts stay out of the link, which says so


class Codec(NamedTuple):
    """How one choice is read from a link and written into it."""

    read: Callable[[str], Any]  # raises ValueError with what must hold
    write: Callable[[Any], str]
    options: tuple = ()  # its names, where it is one of a few


def link_whole(default, low, high):
    """Declare a whole number between `low` and `high`."""

    def read(raw):
        if not re.fullmatch(r"[+-]?\d{1,9}", raw) or not low <= int(raw) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(raw)

    return _field(default, read, str)


def link_real(default, low, high):
    """Declare a number between `low` and `high`."""

    def read(raw):
        try:
            number = float(raw) + 0.0  # -0 is 0, as a link spells it
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return number

    return _field(default, read, _digits)


def link_choice(default, options, aliases=None):
    """Declare one of a few names; `aliases` maps what older links call an option to its name."""

    def read(raw):
        raw = (aliases or {}).get(raw, raw)
        if raw not in options:
            raise ValueError(f"one of {', '.join(options)}")
        return raw

    return _field(default, read, str, tuple(options))


def link_flag(default):
    """Declare a switch."""

    def read(raw):
        if raw not in ("0", "1"):
            raise ValueError("0 or 1")
        return raw == "1"

    return _field(default, read, lambda on: "1" if on else "0")


def link_string(default):
    """Declare free text."""
    return _field(default, str, str)


def link_code(longest):
    """Declare a code of at most so many letters, none by default."""

    def read(raw):
        if not re.fullmatch(rf"[A-Za-z]{{0,{longest}}}", raw):
            raise ValueError(f"a code of at most {longest} letters")
        return raw

    return _field("", read, str)


def link_place(default=(0, 0)):
    """Declare the row and column of a cell, counted from 0."""

    def read(raw):
        match = re.fullmatch(r"(\d{1,5}),(\d{1,5})", raw)
        if not match:
            raise ValueError("a row and a column such as 2,0")
        return int(match[1]), int(match[2])

    return _field(default, read, lambda pair: f"{pair[0]},{pair[1]}")


def link_cell(default):
    """Declare a query and a key, counted from 0, which a link counts from 1: ``11.3``.

    In older links, which have a comma, both were counted from 0: ``10,2``.
    """

    def read(raw):
        match = re.fullmatch(r"([1-9]\d{0,4})\.([1-9]\d{0,4})", raw)
        older = re.fullmatch(r"(\d{1,5}),(\d{1,5})", raw)
        if not match and not older:
            raise ValueError("a query and a key such as 11.3")
        return (int(match[1]) - 1, int(match[2]) - 1) if match else (int(older[1]), int(older[2]))

    return _field(default, read, lambda pair: f"{pair[0] + 1}.{pair[1] + 1}")


def link_span(low, high):
    """Declare a span of whole numbers, by default all from `low` to `high`: ``20,60``."""

    def read(raw):
        ends = tuple(map(int, raw.split(","))) if re.fullmatch(r"\d{1,5},\d{1,5}", raw) else ()
        if not ends or not low <= ends[0] <= ends[1] <= high:
            raise ValueError(f"two whole numbers from {low} to {high}, the lower first")
        return ends

    return _field((low, high), read, lambda ends: f"{ends[0]},{ends[1]}")


def link_wholes():
    """Declare a set of whole numbers, such as ``1,4``, kept in order as a tuple."""

    def read(raw):
        if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", raw):
            raise ValueError("whole numbers such as 1,4")
        return tuple(sorted({int(part) for part in raw.split(",")}))

    return _field((), read, lambda numbers: ",".join(map(str, numbers)))


def link_heads(default=()):
    """Declare a set of heads, pairs of a layer and a head counted from 0, which a link counts from 1: ``4.12;6.6``."""

    def read(raw):
        if raw and not re.fullmatch(r"[1-9][0-9]{0,2}\.[1-9][0-9]{0,2}(;[1-9][0-9]{0,2}\.[1-9][0-9]{0,2})*", raw):
            raise ValueError("heads such as 4.12;6.6, a layer and a head each")
        pairs = (part.split(".") for part in raw.split(";") if part)
        return tuple(sorted({(int(layer) - 1, int(head) - 1) for layer, head in pairs}))

    return _field(default, read, lambda pairs: ";".join(f"{layer + 1}.{head + 1}" for layer, head in sorted(pairs)))


def link_factors(most):
    """Declare factors of parts of a model, a tuple of (layer, part, factor): ``4.12=0;6.feed_forward=0.5``.

    A part is a head counted from 0, or "attention" or "feed_forward"; a link counts layers and heads from 1.
    Factors are from 0 to `most`.
    """
    pattern = re.compile(r"([1-9]\d{0,2})\.([1-9]\d{0,2}|attention|feed_forward)=(\d+(?:\.\d+)?)")

    def read(raw):
        found = [pattern.fullmatch(part) for part in raw.split(";")]
        factors = {
            (int(match[1]) - 1, int(match[2]) - 1 if match[2].isdigit() else match[2]): float(match[3])
            for match in found
            if match and float(match[3]) <= most
        }
        if not all(found) or len(factors) < len(found):
            raise ValueError(f"factors such as 4.12=0;6.feed_forward=0.5, each once and from 0 to {most:g}")
        return tuple((*part, factor) for part, factor in factors.items())

    def write(factors):
        return ";".join(
            f"{layer + 1}.{part if isinstance(part, str) else part + 1}={_digits(factor)}"
            for layer, part, factor in factors
        )

    return _field((), read, write)


def link_points(default, most, limit=100):
    """Declare up to `most` points of a plane, pairs of numbers from -`limit` to `limit`: ``2,0;1,1;-1,2``."""

    def read(raw):
        try:
            pairs = tuple(tuple(float(number) + 0.0 for number in part.split(",")) for part in raw.split(";"))
        except ValueError:
            pairs = ()
        if not 1 <= len(pairs) <= most or any(len(p) != 2 or not all(abs(x) <= limit for x in p) for p in pairs):
            raise ValueError(f"1 to {most} points such as 2,0;1,1, of numbers from {-limit} to {limit}")
        return pairs

    return _field(default, read, lambda pairs: ";".join(f"{_digits(x)},{_digits(y)}" for x, y in pairs))


def link_cells():
    """Declare a set of painted cells, a sorted tuple of (row, column).

    A link spells few cells as ``0,1;2,3``, and many as the bits of a square, row by row: ``4.gAE`` are the
    first and the last cell of 4 × 4.
    """

    def read(raw):
        try:
            pairs = _from_bits(raw) if "." in raw else [_pair(part) for part in raw.split(";")]
        except ValueError:
            raise ValueError("painted cells such as 0,1;2,3") from None
        return tuple(sorted(set(pairs)))

    def write(pairs):
        return min(";".join(f"{row},{column}" for row, column in pairs), _to_bits(pairs), key=len)

    return _field((), read, write)


def _pair(raw):
    """Read a row and a column."""
    match = re.fullmatch(r"(\d{1,3}),(\d{1,3})", raw)
    if not match:
        raise ValueError(raw)
    return int(match[1]), int(match[2])


def _from_bits(raw):
    """Read the cells of a square whose bits are set."""
    side, _, packed = raw.partition(".")
    if not re.fullmatch(r"\d{1,3}", side) or not re.fullmatch(r"[A-Za-z0-9_-]+", packed):
        raise ValueError(raw)
    data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    bits = "".join(f"{byte:08b}" for byte in data)[: int(side) ** 2]
    return [divmod(at, int(side)) for at, bit in enumerate(bits) if bit == "1"]


def _to_bits(pairs):
    """Spell cells as the bits of the smallest square that holds them."""
    side = 1 + max(max(pair) for pair in pairs)
    bits = bytearray((side * side + 7) // 8)
    for row, column in pairs:
        at = row * side + column
        bits[at // 8] |= 128 >> at % 8
    return f"{side}.{base64.urlsafe_b64encode(bits).decode().rstrip('=')}"


def link_numbers(matrices):
    """Declare numbers typed into matrices: a tuple of (matrix, row, column, number).

    In a link an edit reads ``x.1.2=0.5``; several are joined by semicolons.
    """
    pattern = re.compile(rf"({'|'.join(matrices)})\.(\d{{1,4}})\.(\d{{1,4}})=([-+0-9.eEnaif]{{1,24}})")

    def read(raw):
        found = [pattern.fullmatch(part) for part in raw.split(";")]
        try:
            return tuple((m[1], int(m[2]), int(m[3]), float(m[4])) for m in found)
        except (TypeError, ValueError):
            raise ValueError("edits such as x.1.2=0.5") from None

    def write(edited):
        return ";".join(f"{name}.{row}.{column}={_digits(number)}" for name, row, column, number in edited)

    return _field((), read, write)


def from_link(cls, params, longest=math.inf):
    """Read a Setup from a query string.

    Parameters
    ----------
    cls : type
        A dataclass whose fields were declared with the functions above. A method ``unsaid`` of it may
        give defaults that depend on what else is chosen.
    params : Mapping of str to str
    longest : int, optional
        Most characters that a value may have.

    Returns
    -------
    setup
        An instance of `cls`: the default wherever the link says nothing or nothing sensible.
    notices : list of str
        One sentence for each value that was not used.
    """
    chosen, unknown, refused = {}, [], {}
    codecs = {field.name: field.metadata["codec"] for field in dataclasses.fields(cls)}
    for name, raw in params.items():
        if name in codecs:
            try:
                if len(raw) > longest:
                    raise ValueError(f"at most {longest:,} characters long")
                chosen[name] = codecs[name].read(raw)
            except ValueError as error:
                refused[name] = error
        elif not name.startswith("embed"):  # Streamlit's own parameters
            unknown.append(f"The link holds a setting this page does not have: {shortened(name)}.")
    defaults = _defaults(cls, chosen)
    notices = [
        f"In the link, {name} must be {error}, got {shortened(params[name])}; using "
        f"{shortened(codecs[name].write(defaults[name])) if defaults[name] not in ('', ()) else 'nothing'}."
        for name, error in refused.items()
    ]
    return cls(**defaults | chosen), unknown + notices


def to_link(setup, longest=LONGEST_LINK_VALUE, *, whole=False):
    """Write a Setup as a query string that holds only what differs from the defaults.

    Parameters
    ----------
    setup
        An instance of a class as `from_link` takes it.
    longest : int, optional
        Most bytes that a value may have, as the address spells it.
    whole : bool, default False
        Whether it holds what is at its default, too: for what is read again when defaults may be others.

    Returns
    -------
    params : dict of str to str
    left_out : list of str
        Names of choices too long for a link.
    """
    params, left_out = {}, []
    chosen = {field.name: getattr(setup, field.name) for field in dataclasses.fields(setup)}
    defaults = _defaults(type(setup), chosen)
    for field in dataclasses.fields(setup):
        value = chosen[field.name]
        if value == defaults[field.name] and (not whole or value in ((), None)):  # no link spells an empty choice
            continue
        raw = field.metadata["codec"].write(value)
        if len(quote(raw)) > longest:
            left_out.append(field.name)
        else:
            params[field.name] = raw
    return params, left_out


def _defaults(cls, chosen):
    """Return what a link means that does not say otherwise."""
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    return defaults | (cls.unsaid(chosen) if hasattr(cls, "unsaid") else {})


def _field(default, read, write, options=()):
    """Return a dataclass field that knows how a link spells it."""
    return dataclasses.field(default=default, metadata={"codec": Codec(read, write, options)})


def _digits(number):
    """Return the fewest digits that read back as the same number."""
    return repr(float(number)).removesuffix(".0")


def shortened(raw, most=40):
    """Return `raw` fit to be quoted in a sentence, with at most so many characters."""
    printable = "".join(c if c.isprintable() else "�" for c in raw)
    return printable if len(printable) <= most else printable[: most - 1] + "…"
