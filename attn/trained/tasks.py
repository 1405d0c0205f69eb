"""Three tasks whose answers a person can judge by eye: reversing, dates, and a small language pair.

Each task draws examples of any length, reads what a person types, and knows the right answer by rule.
"""

from __future__ import annotations  # so that no signature loads numpy.random

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from string import ascii_lowercase

import numpy as np

from attn.words import ordinal

START, END = "<start>", "<end>"


@dataclass(frozen=True)
class Task:
    """What is read, what is to be written, and how examples are made.

    Parameters
    ----------
    name, title
    about
        One sentence.
    unit
        What the length of an input counts, in the plural.
    source_symbols, target_symbols
        Everything that can be read, ended by `END`; and written, from `START` and `END`.
    limits
        The longest input of the short and of the long training.
    longest
        The longest input that is tested, or may be typed.
    split
        Cuts what a person typed into symbols, or raises ValueError with one sentence.
    answer
        Returns the right output for the symbols of an input, or raises ValueError with one sentence.
    draw
        Returns the symbols of a random input, from an rng and the longest length wanted.
    glue
        What stands between symbols when they are written out.
    examples
        Inputs to begin with.
    vocabulary
        Kind of word -> all words of it, where an input is made of a few words.
    grammar
        How its words follow one another, in a sentence.
    """

    name: str
    title: str
    about: str
    unit: str
    source_symbols: tuple[str, ...]
    target_symbols: tuple[str, ...]
    limits: tuple[int, int]
    longest: int
    split: Callable
    answer: Callable
    draw: Callable
    glue: str
    examples: tuple[str, ...]
    vocabulary: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    grammar: str = ""

    def read(self, text: str) -> tuple[list[str], list[str]]:
        """Return the symbols of a typed input and the right answer to it.

        Returns
        -------
        source, target : list of str
            Without `START` and `END`.

        Raises
        ------
        ValueError
            If the text is no input of this task; the message is one sentence.
        """
        source = self.split(text)
        if len(source) > self.longest:
            raise ValueError(f"An input must have at most {self.longest} {self.unit}, got {len(source)}.")
        return source, self.answer(source)

    def source_ids(self, source: Sequence[str]) -> list[int]:
        """Return the numbers of the symbols that are read, `END` last."""
        return [self.source_symbols.index(symbol) for symbol in (*source, END)]

    def target_ids(self, target: Sequence[str]) -> list[int]:
        """Return the numbers of the symbols to be written, `END` last."""
        return [self.target_symbols.index(symbol) for symbol in (*target, END)]

    def pairs(self, rng: np.random.Generator, count: int, longest: int) -> list[tuple[list[int], list[int]]]:
        """Draw examples as numbers.

        Parameters
        ----------
        rng
        count
        longest
            Most symbols of an input.

        Returns
        -------
        list of (list of int, list of int)
            Source and target, both ended by `END`.

        Examples
        --------
        >>> import numpy as np
        >>> REVERSE.pairs(np.random.default_rng(0), 1, longest=3)
        [([16, 13, 7, 26], [9, 15, 18, 1])]
        """
        sources = (self.draw(rng, longest) for _ in range(count))
        return [(self.source_ids(source), self.target_ids(self.answer(source))) for source in sources]


# reversing -----------------------------------------------------------------------------------------


def _letters(text):
    """Return the letters of a typed word."""
    word = text.strip().lower()
    if not word or set(word) - set(ascii_lowercase):
        raise ValueError(f"Type letters from a to z without spaces, such as “attention”, got {_quoted(text)}.")
    return list(word)


def _random_letters(rng, longest):
    """Return letters drawn evenly, of any length up to `longest`."""
    return [ascii_lowercase[i] for i in rng.integers(26, size=rng.integers(1, longest + 1))]


REVERSE = Task(
    name="reverse",
    title="Reverse letters",
    about="Write the letters of a word from last to first.",
    unit="letters",
    source_symbols=(*ascii_lowercase, END),
    target_symbols=(START, END, *ascii_lowercase),
    limits=(8, 16),
    longest=24,
    split=_letters,
    answer=lambda source: source[::-1],
    draw=_random_letters,
    glue="",
    examples=("recurrentnetwork", "attention", "bottleneck", "abcabcabcabc", "recurrentneuralnetworks", "zzzzzzzz"),
)

# dates ---------------------------------------------------------------------------------------------

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
FIRST_YEAR, LAST_YEAR = 1900, 2099


def _spellings(day):
    """Return a date in every spelling, from short to long."""
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    return [
        f"{day.day}.{day.month}.{day.year}",
        f"{day.day} {month[:3]} {day.year}",
        f"{day.day} {month} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{weekday[:3]} {day.day} {month[:3]} {day.year}",
        f"the {ordinal(day.day)} of {month} {day.year}",
        f"{weekday}, {day.day} {month} {day.year}",
        f"{weekday} the {ordinal(day.day)} of {month} {day.year}",
        f"{weekday} the {ordinal(day.day)} of {month} in the year {day.year}",
    ]


_PATTERNS = [
    r"(?P<day>\d{1,2})\.(?P<number>\d{1,2})\.(?P<year>\d{4})",
    r"(?:(?P<weekday>(?!the )[a-z]+),? )?(?:the )?(?P<day>\d{1,2})(?:st|nd|rd|th)?(?: of)? (?P<month>[a-z]+)"
    r"(?: in the year)? (?P<year>\d{4})",
    r"(?P<month>[a-z]+) (?P<day>\d{1,2}), (?P<year>\d{4})",
]


def _characters(text):
    """Return the characters of a typed date, with capitals where the spellings have them."""
    text = " ".join(text.split())
    for word in (*MONTHS, *WEEKDAYS, *(name[:3] for name in (*MONTHS, *WEEKDAYS))):
        text = re.sub(rf"\b{word}\b", word, text, flags=re.IGNORECASE)
    unknown = sorted(set(text) - set(DATES.source_symbols))
    if unknown:
        raise ValueError(f"Type a date such as “3 March 1999”, got {_quoted(text)} with {_quoted(unknown[0])}.")
    return list(text)


def _iso(source):
    """Return a date as year, month and day."""
    text = "".join(source)
    found = next(filter(None, (re.fullmatch(pattern, text, re.IGNORECASE) for pattern in _PATTERNS)), None)
    if not found:
        raise ValueError(
            f"Type a date such as “3 March 1999” or “Wednesday the 3rd of March 1999”, got {_quoted(text)}."
        )
    parts = found.groupdict()
    if parts.get("weekday") and not _place(parts["weekday"], WEEKDAYS):
        raise ValueError(f"A day of the week must be one, got {_quoted(parts['weekday'])}.")
    month = int(parts["number"]) if parts.get("number") else _place(parts["month"], MONTHS)
    year = int(parts["year"])
    try:
        day = date(year, month, int(parts["day"]))
    except ValueError:
        raise ValueError(f"A date must stand in the calendar, got {_quoted(text)}.") from None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"A year must lie between {FIRST_YEAR} and {LAST_YEAR}, got {year}.")
    return list(day.isoformat())


def _place(name, names):
    """Return which month or weekday a name or its first three letters stand for, from 1; 0 for none."""
    known = [known.lower() for known in names]
    short = [known[:3] for known in known]
    name = name.lower()
    return (known.index(name) if name in known else short.index(name) if name in short else -1) + 1


def _random_date(rng, longest):
    """Return a date drawn evenly, in a spelling drawn evenly from those that are short enough."""
    if longest < 10:
        raise ValueError(f"a date must have room for 10 characters, got {longest}")
    first = date(FIRST_YEAR, 1, 1)
    day = first + timedelta(days=int(rng.integers((date(LAST_YEAR + 1, 1, 1) - first).days)))
    short_enough = [spelling for spelling in _spellings(day) if len(spelling) <= longest]
    return list(short_enough[rng.integers(len(short_enough))])


DATES = Task(
    name="dates",
    title="Rewrite dates",
    about="Write a date as year, month and day, however it is spelt.",
    unit="characters",
    source_symbols=(*sorted({c for w in (*MONTHS, *WEEKDAYS, "0123456789 .,thendrstofiyearMSTWFJ") for c in w}), END),
    target_symbols=(START, END, *"0123456789-"),
    limits=(18, 36),
    longest=50,
    split=_characters,
    answer=_iso,
    draw=_random_date,
    glue="",
    examples=(
        "Wednesday the 3rd of March 1999",
        "3 March 1999",
        "24.12.1987",
        "the 21st of July 1969",
        "Saturday the 30th of September in the year 2017",
    ),
)

# a language pair -----------------------------------------------------------------------------------

NOUNS = {  # English: Spanish, with its gender
    "house": ("casa", "f"),
    "table": ("mesa", "f"),
    "door": ("puerta", "f"),
    "apple": ("manzana", "f"),
    "flower": ("flor", "f"),
    "moon": ("luna", "f"),
    "window": ("ventana", "f"),
    "tree": ("árbol", "m"),
    "book": ("libro", "m"),
    "dog": ("perro", "m"),
    "cat": ("gato", "m"),
    "boat": ("barco", "m"),
    "garden": ("jardín", "m"),
    "bird": ("pájaro", "m"),
}
ADJECTIVES = {  # English: masculine, feminine
    "red": ("rojo", "roja"),
    "white": ("blanco", "blanca"),
    "black": ("negro", "negra"),
    "yellow": ("amarillo", "amarilla"),
    "old": ("viejo", "vieja"),
    "new": ("nuevo", "nueva"),
    "small": ("pequeño", "pequeña"),
    "big": ("grande", "grande"),
    "green": ("verde", "verde"),
    "blue": ("azul", "azul"),
}
ARTICLES = {"the": ("el", "la"), "a": ("un", "una")}
VERBS = {"sees": "ve", "has": "tiene", "wants": "quiere", "hides": "esconde", "finds": "encuentra"}
PLACES = {"in": "en", "with": "con", "behind": "detrás de", "near": "cerca de", "under": "debajo de"}
LINKS = {**VERBS, **PLACES, "and": "y"}
_MOST_ADJECTIVES = 3


def _words(text):
    """Return the words of a typed sentence."""
    words = text.lower().replace(".", " ").split()
    unknown = next((word for word in words if word == END or word not in PAIR.source_symbols), None)
    if unknown:
        raise ValueError(f"Type words of the small vocabulary, such as “the big red house”, got {_quoted(unknown)}.")
    return words


def _translated(source):
    """Translate by rule: the noun first, its adjectives after it in reverse, all of its gender."""
    target, words = [], [*source, END]
    while True:
        article = words.pop(0)
        adjectives = []
        while words and words[0] in ADJECTIVES:
            adjectives.append(words.pop(0))
        noun = words.pop(0) if words else END
        if article not in ARTICLES or noun not in NOUNS or len(adjectives) > _MOST_ADJECTIVES:
            raise ValueError(
                "Type an article, at most three adjectives and a noun, joined by a verb, a place or “and”, "
                f"such as “the big red house sees a cat”, got {_quoted(' '.join(source))}."
            )
        target += _noun_first(article, adjectives, noun, target)
        link = words.pop(0)
        if link == END:
            return target
        if link not in LINKS:
            raise ValueError(f"After a noun must come a verb, a place or “and”, got {_quoted(f'{noun} {link}')}.")
        target += LINKS[link].split()


def _noun_first(article, adjectives, noun, before):
    """Translate article, adjectives and noun; after ``de`` the article ``el`` becomes one word with it."""
    noun, gender = NOUNS[noun]
    article = ARTICLES[article][gender == "f"]
    if article == "el" and before and before[-1] == "de":
        before.pop()
        article = "del"
    return [article, noun, *(ADJECTIVES[adjective][gender == "f"] for adjective in reversed(adjectives))]


def _random_sentence(rng, longest):
    """Return a sentence by the rules whose length is drawn evenly from 2 to `longest` words."""
    n = int(rng.integers(2, longest + 1))
    # n words are 1 + links nouns with articles, links between them, and adjectives for the rest
    fitting = [links for links in range(n) if 2 + 3 * links <= n <= 2 + 3 * links + _MOST_ADJECTIVES * (links + 1)]
    links = int(rng.choice(fitting))
    room = [place for place in range(links + 1) for _ in range(_MOST_ADJECTIVES)]
    chosen = list(rng.choice(room, size=n - 2 - 3 * links, replace=False))
    words = _random_phrase(rng, chosen.count(0))
    for place in range(1, links + 1):
        kinds = VERBS if place == 1 else LINKS
        words += [_one_of(rng, kinds), *_random_phrase(rng, chosen.count(place))]
    return words


def _random_phrase(rng, adjectives):
    """Return article, that many adjectives, and noun."""
    described = [str(word) for word in rng.choice(list(ADJECTIVES), size=adjectives, replace=False)]
    return [_one_of(rng, ARTICLES), *described, _one_of(rng, NOUNS)]


def _one_of(rng, words):
    """Return one word, drawn evenly."""
    return str(rng.choice(list(words)))


PAIR = Task(
    name="pair",
    title="Translate by rule",
    about="Translate into Spanish words by rule: the noun comes before its adjectives, which take its gender.",
    unit="words",
    source_symbols=(*ARTICLES, *ADJECTIVES, *NOUNS, *LINKS, END),
    target_symbols=(
        START,
        END,
        *dict.fromkeys(
            word
            for entry in (
                *ARTICLES.values(),
                *ADJECTIVES.values(),
                *((noun,) for noun, _ in NOUNS.values()),
                *(link.split() for link in LINKS.values()),
                ("del",),
            )
            for word in entry
        ),
    ),
    limits=(7, 14),
    longest=21,
    split=_words,
    answer=_translated,
    draw=_random_sentence,
    glue=" ",
    examples=(
        "the old dog behind the tree sees a cat",
        "the big old white house has a small green garden and a tree",
        "the big red house",
        "a small black cat sees the moon",
        "a new blue boat finds the small yellow bird near a big old green tree under the white moon",
    ),
    vocabulary={
        "Articles": tuple(ARTICLES),
        "Adjectives": tuple(ADJECTIVES),
        "Nouns": tuple(NOUNS),
        "Verbs": tuple(VERBS),
        "Places, and “and”": (*PLACES, "and"),
    },
    grammar="An article, up to three adjectives and a noun; then, if you like, a verb, a place or “and”, and the same "
    "again.",
)

TASKS = {task.name: task for task in (REVERSE, DATES, PAIR)}


def _quoted(text):
    """Return a text for a message, cut where it is long."""
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"
