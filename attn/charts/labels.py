"""Words and numbers beside the figures: token labels, tick rules, and digits."""

import functools
import json
import math
import unicodedata
from typing import NamedTuple

import numpy as np

from attn.functional import finite_number, several, whole_number
from attn.words import number, visible_character

LINE = 17  # pixels from one line of 14 px text to the next
_TALL = 15  # pixels from one label to the next below it, at which no letters meet
_LONGEST = 12  # columns of a token that a label shows
_JOINERS = "\u200c\u200d"  # these shape Persian words and emoji


def token_labels(tokens):
    """Return a label for each token: its position, counted from 1, and its text.

    Parameters
    ----------
    tokens : sequence of str

    Returns
    -------
    list of str
        Positions keep repeated words apart. Spaces, empty tokens and control characters are
        made visible, and long tokens end in an ellipsis.

    Examples
    --------
    >>> token_labels(["the", "cat", "", " the", "a\\nb", "incomprehensibilities", "9"])
    ['1 the', '2 cat', '3 ␣', '4 ␣the', '5 a↵b', '6 incomprehen…', '7: 9']
    """
    texts = [_isolated(shorten_label(visible_label(str(token)))) for token in several("tokens", tokens)]
    # a token of digits would run together with its position
    return [f"{place}{':' if text[0].isdigit() else ''} {text}" for place, text in enumerate(texts, 1)]


def quoted(token, columns=14):
    """Return a token without its position as a label: in quotes, so that “,” and “_” are seen to be tokens.

    Examples
    --------
    >>> quoted(" the"), quoted(","), quoted("")
    ('“␣the”', '“,”', '“␣”')
    """
    columns = finite_number(columns, "columns")
    return f"“{_isolated(shorten_label(visible_label(str(token)), columns))}”"


def marked(written, wanted):
    """Return a label for each written symbol, as `token_labels` does, with a tick or with what it should be.

    Examples
    --------
    >>> marked(["a", "c", "end"], ["a", "b"])
    ['1 a ✓', '2 c ≠ “b”', '3 end ≠']
    """
    written = several("written", written)
    wanted = [*several("wanted", wanted), *[None] * len(written)]
    marks = [
        "✓" if one == right else "≠" if right is None else f"≠ {quoted(right)}"
        for one, right in zip(written, wanted, strict=False)
    ]
    return [f"{label} {mark}" for label, mark in zip(token_labels(written), marks, strict=True)]


def counted(number):
    """Return the labels of things that only have a number, counted from 1.

    Examples
    --------
    >>> counted(3)
    ['1', '2', '3']
    """
    return [str(place) for place in range(1, whole_number("number", number) + 1)]


def visible_label(token):
    """Return `token` with spaces, control and format characters made visible.

    Examples
    --------
    >>> visible_label(" a\\t"), visible_label("x\\u202ey"), visible_label("")
    ('␣a⇥', 'xU+202Ey', '␣')
    """
    shown = (each if each in _JOINERS else visible_character(each) for each in token)
    return "".join(shown) or "␣"


def shorten_label(text, columns=_LONGEST):
    """Return `text` cut to a number of columns, wide characters counting as two.

    Examples
    --------
    >>> shorten_label("attention"), shorten_label("attention", 6)
    ('attention', 'atten…')
    """
    if label_columns(text) <= columns:
        return text
    kept, used = "", 0
    for character in text:
        used += _columns(character)
        if used > columns - 1:
            break
        kept += character
    return kept.rstrip("\u200d") + "…"


def label_columns(text):
    """Return how many columns `text` takes, wide characters two and combining marks none."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(_columns(character) for character in text)


@functools.lru_cache(maxsize=10_000)  # a page asks for the same ones a hundred times
def label_pixels(text, size=14):
    """Return roughly how wide `text` is in a common sans-serif face, rather too much than too little."""
    narrow = sum(character in ".,:;'|! ijl1I" for character in text)
    return size * (0.56 * label_columns(text) - 0.22 * narrow)


def percent(share):
    """Return a probability as per cent, with the digits that a person reads.

    Examples
    --------
    >>> percent(0.6838), percent(0.0655), percent(0.0081), percent(8.18e-6)
    ('68.4%', '6.55%', '0.81%', '< 0.001%')
    >>> percent(0.0), percent(0.99999), percent(1.0)
    ('0%', '> 99.9%', '100%')
    """
    if 0 < share < 1e-5:
        return "< 0.001%"
    if 0.9995 <= share < 1:
        return "> 99.9%"
    return f"{number(100 * share, 3 if share >= 0.01 else 2)}%"


def aligned_labels(values, digits=3):
    """Return numbers with the same decimals, so many that the largest shows `digits` digits.

    Parameters
    ----------
    values : array_like
    digits : int, default 3

    Returns
    -------
    list of str, in the order of ``values.ravel()``

    Examples
    --------
    >>> aligned_labels([0.5, -0.25, -1e-9]), aligned_labels([12.5, 3]), aligned_labels([3.25e-7, 0])
    (['0.500', '−0.250', '0.000'], ['12.5', '3.0'], ['3.25e−7', '0'])
    """
    values = np.asarray(values, dtype=float).ravel()
    finite = np.abs(values[np.isfinite(values)])
    largest = finite.max(initial=0)
    if largest and not 1e-3 <= largest < 1e6:
        return [number(value, digits) for value in values]
    before = math.floor(math.log10(largest)) + 1 if largest > 1 else 0
    return fixed_labels(values, max(0, digits - before))


def fixed_labels(values, decimals):
    """Return numbers with so many decimals.

    Examples
    --------
    >>> fixed_labels([12.5, -0.25, -1e-9, 1024, float("inf")], 2)
    ['12.50', '−0.25', '0.00', '1,024.00', '∞']
    """
    rounded = np.asarray(values, dtype=float).ravel().round(decimals) + 0.0  # no −0.00
    return [f"{v:,.{decimals}f}".replace("-", "−") if math.isfinite(v) else number(v) for v in rounded]


class Ticks(NamedTuple):
    """Where an axis is labelled, with what, and how far the labels are turned."""

    at: list[float]  # in cells from the edge
    texts: list[str]
    angle: int  # degrees; 0 is level


def tick_labels(labels, pitch, *, across, chosen=()):
    """Choose the labels of an axis so that none overlaps another.

    Parameters
    ----------
    labels : sequence of str
        One per cell.
    pitch : float
        Pixels from one cell to the next.
    across : bool
        True for the axis along which text runs.
    chosen : iterable of int
        Cells that are spoken of, counted from 0: they are named in full, and what is too near gives way. Numbers that
        only count cells, as those of layers and heads, are left as evenly spaced as they are.

    Returns
    -------
    Ticks
        All labels, level where they fit; else tilted; else every second or third; else a ruler
        of positions.

    Examples
    --------
    >>> tick_labels(["1 a", "2 b"], 60, across=True)
    Ticks(at=[0.5, 1.5], texts=['1 a', '2 b'], angle=0)
    >>> tick_labels([f"{i} word" for i in range(1, 401)], 1, across=False).texts[:3]
    ['1', '50', '100']
    >>> tick_labels(["1 a", "2 b", "3 c", "4 d", "5 e"], 10, across=False, chosen=[3]).texts
    ['1 a', '4 d']
    >>> tick_labels(["1", "2", "3", "4", "5", "6", "FF"], 17, across=True, chosen=[3]).texts
    ['1', '3', '5', 'FF']
    """
    count = len(labels)
    if not count:
        return Ticks([], [], 0)
    level = not across or max(map(label_pixels, labels)) + 8 <= pitch
    angle = 0 if level else (-45 if pitch >= 1.2 * LINE else -60)
    step = 1 if across and level else max(1, math.ceil(LINE / pitch - 0.1 if across else _TALL / pitch))
    words = [i for i, label in enumerate(labels) if label != str(i + 1)]
    counted = not words or words == [count - 1] != [0]  # layers; or heads, and something more
    chosen = words if counted else chosen
    if step > 3 or (counted and across and not level):  # numbers read best level
        ticks = _ruler(count - counted * len(words), pitch, across)
    else:
        shown = range(0, count, step)
        ticks = Ticks([i + 0.5 for i in shown], [labels[i] for i in shown], angle)
    return _naming(ticks, labels, pitch, across, chosen)


def _naming(ticks, labels, pitch, across, chosen):
    """Return ticks with those of chosen cells among them, in place of what they would overlap."""
    beside, level = LINE - 0.1 * pitch if across else _TALL, across and ticks.angle == 0
    for place in dict.fromkeys(place for place in chosen if 0 <= place < len(labels)):
        new = (place + 0.5, labels[place])
        named = list(zip(ticks.at, ticks.texts, strict=True))
        if new in named:
            continue
        kept = [
            (at, text) for at, text in named
            if abs(at - new[0]) * pitch
            >= ((label_pixels(text) + label_pixels(new[1])) / 2 + 8 if level else beside)
        ]  # fmt: skip
        at, texts = zip(*sorted([*kept, new]), strict=True)
        ticks = ticks._replace(at=list(at), texts=list(texts))
    return ticks


def labelled_axis(ticks, name, colour, **options):
    """Return an axis with exactly these ticks, titled `name` in `colour`.

    The labels are looked up in the browser, so that any text is safe and none is sent twice.
    """
    return {
        "values": ticks.at,
        "labelExpr": label_lookup(ticks.texts, ticks.at),
        "labelAngle": ticks.angle,
        "title": name or None,
        "titleColor": colour,
        "titlePadding": 8,
        "labelPadding": 6,
        **options,
    }


def label_lookup(texts, at):
    """Return a Vega expression that names each of the values `at` with its text."""
    return f"{json.dumps(texts)}[indexof({json.dumps(at)}, datum.value)]"


def _ruler(count, pitch, across):
    """Return the first position and round ones, far enough apart to be read."""
    room = (label_pixels(str(count)) + 14 if across else 1.4 * LINE) / pitch  # in cells
    step = next(s * 10**e for e in range(12) for s in (1, 2, 5) if s * 10**e >= room)
    positions = range(1, count + 1, step) if step < 5 else [1, *range(step, count + 1, step)]
    return Ticks([p - 0.5 for p in positions], [str(p) for p in positions], 0)


def _columns(character):
    """Return how many columns one character takes."""
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _isolated(text):
    """Return `text` set apart from what stands before it, where it runs from right to left."""
    right_to_left = any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text)
    return f"\u2068{text}\u2069" if right_to_left else text
