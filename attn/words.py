"""Words and numbers as they stand in a sentence: its first letter, several of a kind, few digits, and shares."""

import math
import unicodedata
from collections.abc import Iterable

_SIGNS = {" ": "␣", "\n": "↵", "\t": "⇥"}
_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"}  # categories of Unicode


def capital(text: str) -> str:
    """Return a text with a capital as its first letter, and the rest as it is.

    Examples
    --------
    >>> capital("no key of the KV cache"), capital("")
    ('No key of the KV cache', '')
    """
    return text[:1].upper() + text[1:]


def small(text: str) -> str:
    """Return a text with a small first letter, to be put into a sentence.

    Examples
    --------
    >>> small("Looks at Q and K.")
    'looks at Q and K.'
    """
    return text[:1].lower() + text[1:]


def visible_character(character: str) -> str:
    """Return something to see, in any font, in place of a character that would not show; other characters as they are.

    Parameters
    ----------
    character
        A control character becomes its byte, another invisible one its number in Unicode. What shapes Persian words
        and emoji by joining letters is for the caller to keep.

    Examples
    --------
    >>> visible_character(" "), visible_character("\\n"), visible_character("\\x01"), visible_character("\\u202e")
    ('␣', '↵', '<0x01>', 'U+202E')
    """
    if character in _SIGNS:
        return _SIGNS[character]
    if character < " " or character == "\x7f":
        return f"<0x{ord(character):02X}>"
    if unicodedata.category(character) in _INVISIBLE or character.isspace():
        return f"U+{ord(character):04X}"
    return character


def listed(items: Iterable[object], last: str = "and") -> str:
    """Return several things in a row.

    Parameters
    ----------
    items
        Of which each is written as it is printed.
    last
        The word before the last one.

    Examples
    --------
    >>> listed([1, 4, 6]), listed(["dot", "general"], "or"), listed(["dot"]), listed([])
    ('1, 4 and 6', 'dot or general', 'dot', '')
    """
    *most, end = [str(item) for item in items] or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def ordinal(place: int) -> str:
    """Return a place in a row as a word that is written with a number.

    Examples
    --------
    >>> [ordinal(place) for place in (1, 2, 3, 4, 11, 12, 13, 21, 112)]
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '112th']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{'th' if place % 100 in (11, 12, 13) else ending}"


def share(value: float, decimals: int = 2) -> str:
    """Return a share of 1, such as a weight, as a sentence says it: never 0 or 1 by rounding.

    Parameters
    ----------
    value
        Between 0 and 1.
    decimals
        As many as a figure beside the sentence writes.

    Examples
    --------
    >>> share(0.676848), share(1.0), share(0.0), share(0.0021), share(0.9987)
    ('0.68', '1', '0', 'less than 0.01', 'more than 0.99')
    >>> share(0.3147, 3), share(0.0021, 3), share(0.0004, 3)
    ('0.315', '0.002', 'less than 0.001')
    """
    value, least = float(value), 10.0**-decimals
    if not 0 < value < 1:
        return number(value)
    if value < least / 2 or value >= 1 - least / 2:
        return f"less than {least:.{decimals}f}" if value < 0.5 else f"more than {1 - least:.{decimals}f}"
    return f"{value:.{decimals}f}"


def numbers(values: Iterable[float], digits: int = 3) -> list[str]:
    """Return what `number` says of each of many values.

    Examples
    --------
    >>> numbers([0.51234, -3.25e-7, 1200.4, float("nan")])
    ['0.512', '−3.25e−7', '1,200', 'not a number']
    """
    short = f"%.{digits}g"  # a map says thousands, and a call for each took half the time of its cells
    return [
        (short % value).replace("-", "−") if 1e-4 <= abs(value) < 99 and digits > 1 else number(value, digits)
        for value in values
    ]


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, as short as it reads well, with commas in its thousands.

    Examples
    --------
    >>> number(0.51234), number(-3.25e-7), number(1200.4), number(0.0), number(float("nan"))
    ('0.512', '−3.25e−7', '1,200', '0', 'not a number')
    >>> number(9664), number(-1234.56, 6)
    ('9,664', '−1,234.56')
    >>> number(999.7)
    '1,000'
    """
    value = float(value)
    if 1e-4 <= abs(value) < 99 and digits > 1:  # most are, and a figure says thousands: neither exponent nor thousands
        return f"{value:.{digits}g}".replace("-", "−")
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("−∞" if value < 0 else "∞")
    text = f"{value:.{digits}g}"
    if "e+" in text and abs(value) < 1e6:
        text = f"{value:.0f}"
    mantissa, _, exponent = text.partition("e")
    whole, point, rest = text.partition(".")
    if exponent:
        text = f"{mantissa}e{int(exponent)}"
    elif len(whole.lstrip("-")) > 3:
        text = f"{int(whole):,}{point}{rest}"
    return "0" if text in ("0", "-0") else text.replace("-", "−")
