"""What a story is, and how its file is read and written: one readable YAML file a story.

Nothing here knows Streamlit, and nothing of what a file says is run: it is text, which is checked.
"""

import base64
import binascii
import math
import re
import zlib
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import yaml

from attn.ui.link import LONGEST_LINK_VALUE, shortened
from attn.ui.stories.conditions import RESULTS, Conditions, read_conditions, write_conditions
from attn.words import number

MOST_BYTES = 100_000  # of a file
MOST_UNPACKED = 20_000  # bytes that a link may hold packed: whoever opens it waits until they are read
MOST_SCREENS = 60
DEEPEST = 8  # levels of a file: that of a task's numbers is the seventh
MOST_LETTERS = {
    "title": 80, "about": 300, "sentence": 400, "link": 6000, "first": 80, "do": 300, "ask": 300, "because": 300,
    "answer": 60, "knows": 160, "hint": 300,
}  # fmt: skip
OPTIONS = (2, 8)  # to guess among, at least and at most
TAB = "tab"  # that is open
VIEWS = ("stage", TAB)  # choices of what a page shows, not of how it computes it
MOST_CONTROLS = 4  # of a task: more would be no strip
_LEAST = 0.001  # from here on three decimals of a number are enough for a hint
PACKED = "~"  # how a story begins that a link holds whole


@dataclass(frozen=True)
class Task:
    """One thing to do on a screen, which is done as soon as the page shows it."""

    do: str
    when: Conditions
    controls: tuple | None = None  # of str: what it is done with, by the keys of the page; None: the choices of `when`
    hint: str = ""  # what to look for, said to who chose something else; may hold {names} of what the page told

    def answered(self, told):
        """Return the hint with the numbers that a page told, each in place of its name in braces."""
        named = {f"{{{name}}}": _written_number(value) for name, value in told.items() if name in RESULTS}
        return re.sub(r"\{\w+\}", lambda found: named.get(found[0], found[0]), self.hint)

    def done_with(self):
        """Return the names of the controls that it is done with, each as its page's key has it."""
        if self.controls is not None:
            return self.controls
        return tuple(bound.name for bound in self.when.setup if bound.name not in VIEWS)


@dataclass(frozen=True)
class Guess:
    """A question that is answered before the answer is shown."""

    ask: str
    options: tuple  # of str
    answer: str  # one of them
    because: str = ""


@dataclass(frozen=True)
class Screen:
    """One screen of a story: a page as a link sets it up, what is to be seen there, and perhaps what is to be done."""

    page: str  # its key in the menu
    query: tuple  # of pairs (name, value), as the page's link says them
    title: str
    sentence: str = ""
    first: str = ""  # what stands at the top in place of the page's first figure: a figure's key, or `TAB`
    task: Task | None = None
    guess: Guess | None = None
    shows: Conditions | None = None  # what its sentence claims: tests hold it, the card watches it
    knows: str = ""  # what one knows of it at the end of the story

    @property
    def link(self):
        """The page and its query as one line, as in the browser's address."""
        return f"{self.page}?{urlencode(self.query)}" if self.query else self.page


@dataclass(frozen=True)
class Story:
    """Screens in an order."""

    title: str
    about: str
    screens: tuple

    @property
    def screens_to_do(self):
        """The numbers of the screens with something to do, counted from 1."""
        return sorted({number for number, _ in self.to_do})

    def screens_done(self, done):
        """Return the numbers of the screens of which all was done, from numbers of `to_do`, counted from 1."""
        left = {number for at, (number, _) in enumerate(self.to_do, 1) if at not in set(done)}
        return [number for number in self.screens_to_do if number not in left]

    @property
    def to_do(self):
        """What there is to do: pairs of a screen's number, counted from 1, and ``"task"`` or ``"guess"``."""
        kinds = ("task", "guess")
        return [(at, kind) for at, each in enumerate(self.screens, 1) for kind in kinds if getattr(each, kind)]


def read_story(text, pages, without=()):
    """Read a story from its file.

    Parameters
    ----------
    text : str or bytes
        YAML: a ``title``, a sentence ``about`` it and ``screens``, each with a ``link``, a ``title`` and, as they are
        needed, a ``sentence``, a ``first``, a ``task`` (what to ``do``, ``when`` it is done, perhaps with which
        ``controls``, and a ``hint`` for who chose something else), a ``guess`` (what to ``ask``, the ``options``, the
        ``answer`` and ``because``), what it ``shows``, and in a line what one ``knows`` of it at the end.
    pages : container of str
        The keys of the pages that there are.
    without : container of str
        Names in a link that say how a visitor looks at all pages; a screen leaves them out.

    Returns
    -------
    Story

    Raises
    ------
    ValueError
        One sentence that says what must hold and what came.

    Examples
    --------
    >>> story = read_story("title: Masks\\nscreens:\\n- link: masks?mask=causal\\n  title: Causal", ["masks"])
    >>> story.screens[0].page, story.screens[0].query
    ('masks', (('mask', 'causal'),))
    >>> read_story("title: Masks\\nscreens:\\n- link: https://example.org\\n  title: Away", ["masks"])
    Traceback (most recent call last):
    ...
    ValueError: screen 1: the link must begin with a page, one of masks, got https://example.org
    """
    told = _mapping(_plain(text), "a story", ("title", "screens"), ("about",))
    screens = told["screens"]
    if not isinstance(screens, list) or not 1 <= len(screens) <= MOST_SCREENS:
        raise ValueError(f"screens must be a list of 1 to {MOST_SCREENS} screens, got {_kind(screens)}")
    read = tuple(_screen(each, f"screen {at}", pages, without) for at, each in enumerate(screens, 1))
    return Story(_words(told, "title", "a story"), _words(told, "about", "a story"), read)


def write_story(story):
    """Return the file of a story, which `read_story` reads."""
    return yaml.safe_dump(_told(story), sort_keys=False, allow_unicode=True, width=100)


def _told(story):
    """Return what a story's file says, as mappings, lists and words."""
    told = {"title": story.title} | ({"about": story.about} if story.about else {})
    return told | {"screens": [_written(screen) for screen in story.screens]}


def story_file_name(story):
    """Return the name of a story's file: its title, without what a file's name may not hold.

    Examples
    --------
    >>> story_file_name(Story("Who sees whom? A class", "", ()))
    'who-sees-whom-a-class.yaml'
    """
    return (re.sub(r"\W+", "-", story.title.lower()).strip("-") or "story") + ".yaml"


def _written(screen):
    """Return one screen as it stands in a file."""
    told = {"link": screen.link, "title": screen.title}
    told |= {name: getattr(screen, name) for name in ("sentence", "first", "knows") if getattr(screen, name)}
    if screen.task:
        told["task"] = {"do": screen.task.do, "when": write_conditions(screen.task.when)}
        told["task"] |= {} if screen.task.controls is None else {"controls": list(screen.task.controls)}
        told["task"] |= {"hint": screen.task.hint} if screen.task.hint else {}
    if guess := screen.guess:
        told["guess"] = {"ask": guess.ask, "options": list(guess.options), "answer": guess.answer}
        told["guess"] |= {"because": guess.because} if guess.because else {}
    if screen.shows:
        told["shows"] = write_conditions(screen.shows)
    return told


def pack_story(story):
    """Return a story as a link holds it whole, or None of one that is too long for a link."""
    # nobody reads these lines: without breaks and indents more of a story fits
    written = yaml.safe_dump(
        _told(story), sort_keys=False, allow_unicode=True, width=math.inf, default_flow_style=True
    ).encode()
    packed = PACKED + base64.urlsafe_b64encode(zlib.compress(written, 9)).decode().rstrip("=")
    return packed if len(packed) <= LONGEST_LINK_VALUE and len(written) <= MOST_UNPACKED else None


def unpack_story(packed, pages, without=()):
    """Read a story that a link holds whole.

    Raises
    ------
    ValueError
        If it is cut off or says what no story says.
    """
    try:
        squeezed = base64.urlsafe_b64decode(packed.removeprefix(PACKED) + "=" * (-len(packed.removeprefix(PACKED)) % 4))
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(squeezed, MOST_UNPACKED + 1)  # and no more, however much is in it
        whole = unpacking.eof or len(text) > MOST_UNPACKED
    except (binascii.Error, ValueError, zlib.error):
        whole = False
    if not whole:
        raise ValueError("a story in a link must be whole, and this one is cut off or was changed on its way")
    if len(text) > MOST_UNPACKED:
        raise ValueError(f"a story in a link must have at most {MOST_UNPACKED:,} bytes, got more; load it from a file")
    return read_story(text, pages, without)


def _plain(text):
    """Return what a file says, as mappings, lists and words."""
    raw = text if isinstance(text, bytes) else text.encode()
    if len(raw) > MOST_BYTES:
        raise ValueError(f"a story must have at most {MOST_BYTES:,} bytes, got {len(raw):,}")
    try:
        decoded = raw.decode("utf-8-sig")
        _demand_simple(yaml.parse(decoded, Loader=_WordsLoader))
        return yaml.load(decoded, Loader=_WordsLoader)
    except UnicodeDecodeError:
        raise ValueError("a story must be text in UTF-8, got other bytes") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(
            f"a story must be readable as YAML, got {where}{getattr(error, 'problem', None) or 'no YAML'}"
        ) from None


def _demand_simple(events):
    """Refuse what makes YAML more than words in lists and mappings: a few lines of it can be a gigabyte."""
    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("a story must say everything where it stands, got an alias (*)")
        if getattr(event, "tag", None):
            raise ValueError(f"a story must hold words alone, got the tag {shortened(event.tag)}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"a story must be at most {DEEPEST} levels deep, got more")


class _WordsLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # in C, where it is built, ten times as fast
    """Reads every word as it is written: no dates, no yes and no, no numbers."""


_WordsLoader.yaml_implicit_resolvers = {}


def _screen(told, where, pages, without):
    """Read one screen."""
    told = _mapping(told, where, ("link", "title"), ("sentence", "first", "task", "guess", "shows", "knows"))
    page, _, query = _words(told, "link", where).partition("?")
    if page not in pages:
        raise ValueError(f"{where}: the link must begin with a page, one of {', '.join(pages)}, got {shortened(page)}")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return Screen(
        page,
        tuple((name, value) for name, value in pairs.items() if name not in without),
        _words(told, "title", where),
        _words(told, "sentence", where),
        _words(told, "first", where),
        _task(told["task"], f"{where}: task") if "task" in told else None,
        _guess(told["guess"], f"{where}: guess") if "guess" in told else None,
        read_conditions(told["shows"], f"{where}: shows") if "shows" in told else None,
        _words(told, "knows", where),
    )


def _task(told, where):
    """Read a task."""
    told = _mapping(told, where, ("do", "when"), ("controls", "hint"))
    when = read_conditions(told["when"], f"{where}: when")
    return Task(_words(told, "do", where), when, _controls(told, where), _words(told, "hint", where))


def _controls(told, where):
    """Read with which controls a task is done, or None where its file does not say."""
    names = told.get("controls")
    if names is None:
        return None
    if not isinstance(names, list) or len(names) > MOST_CONTROLS:
        raise ValueError(f"{where}: controls must be a list of at most {MOST_CONTROLS} names, got {_kind(names)}")
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.]{1,40}", name):
            raise ValueError(f"{where}: a control must be a name as a page's keys have it, got {shortened(str(name))}")
    return tuple(names)


def _guess(told, where):
    """Read a guess."""
    told = _mapping(told, where, ("ask", "options", "answer"), ("because",))
    options = told["options"]
    if not isinstance(options, list) or not OPTIONS[0] <= len(options) <= OPTIONS[1]:
        raise ValueError(f"{where}: options must be a list of {OPTIONS[0]} to {OPTIONS[1]} words, got {_kind(options)}")
    read = tuple(_words({"answer": option}, "answer", where) for option in options)
    answer = _words(told, "answer", where)
    if answer not in read or len(set(read)) < len(read):
        raise ValueError(f"{where}: answer must be one of the options, which differ, got {shortened(answer)}")
    return Guess(_words(told, "ask", where), read, answer, _words(told, "because", where))


def _mapping(told, where, needed, may):
    """Demand a mapping that has these names and no others."""
    if not isinstance(told, dict):
        raise ValueError(f"{where} must be a mapping with {' and '.join(needed)}, got {_kind(told)}")
    for name in needed:
        if name not in told:
            raise ValueError(f"{where} must have a {name}, got only {', '.join(map(str, told)) or 'nothing'}")
    for name in told:
        if name not in (*needed, *may):
            raise ValueError(f"{where} may have {', '.join((*needed, *may))}, got {shortened(str(name))}")
    return told


def _words(told, name, where):
    """Return the text under a name, in one line; empty where there is none."""
    text = told.get(name, "")
    if not isinstance(text, str):
        raise ValueError(f"{where}: {name} must be text, got {_kind(text)}")
    line = " ".join(text.split())
    if len(line) > MOST_LETTERS[name]:
        raise ValueError(f"{where}: {name} must have at most {MOST_LETTERS[name]} characters, got {len(line)}")
    if not line and name in ("title", "link", "do", "ask", "answer") and name in told:
        raise ValueError(f"{where}: {name} must not be empty")
    return line


def _written_number(value):
    """Return a number that a page told as a sentence says it; nothing is told of what the page does not have."""
    if value is None:
        return "no number"
    return f"{value:,}" if isinstance(value, int) else number(round(value, 3) if abs(value) >= _LEAST else value)


def _kind(told):
    """Return what something is, in a word or two."""
    if isinstance(told, list):
        return f"a list of {len(told)}"
    return "a mapping" if isinstance(told, dict) else "nothing" if told in (None, "") else shortened(str(told))
