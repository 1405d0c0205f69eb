"""What the link of the page Memory holds."""

from dataclasses import dataclass

from attn import charts
from attn.data import pictures
from attn.ui.controls.published_tables import results_tab
from attn.ui.link import choice, flag, place, real, string, whole
from attn.ui.page import theme

PARTS = {
    "ntm": "Read and write",
    "pointer": "Point at inputs",
    "lstmn": "Look back in a cell",
    "snail": "Look far back",
    "image": "Pixels",
    "patches": "Words and patches",
    "published": "Published results",
}


TABS = {"more": "More", "code": "Code"}
OLD_TABS = {"More": "more", "Code": "code"}  # what older links call them


@dataclass(frozen=True)
class Shared:
    """What several parts ask for."""

    part: str = choice("ntm", PARTS)
    seed: int = whole(1, 0, 9999)
    picture: str = choice("shapes", pictures.PICTURES)
    contrast: float = real(12.0, 0, 40)
    tab: str = choice("more", TABS, OLD_TABS)


MEMORIES = {"example": "Worked example", "random": "Random"}
MATCH = {"kind": "signed", "scale": charts.Scale(1)}
STAGES = ["content", "before", "mixed", "shifted", "sharper"]


@dataclass(frozen=True)
class ReadAndWrite:
    """The part ntm."""

    memory: str = choice("example", MEMORIES)
    rows: int = whole(4, 2, 12)
    across: float = real(1.0, -5, 5)
    up: float = real(0.2, -5, 5)
    sharpness: float = real(5.0, 0, 50)
    previous: int = whole(3, 1, 12)
    gate: float = real(0.5, 0, 1)
    shift: float = real(0.0, -12, 12)
    blur: float = real(0.1, 0, 0.5)
    gamma: float = real(2.0, 1, 20)
    erase_1: float = real(1.0, 0, 1)
    erase_2: float = real(0.0, 0, 1)
    add_1: float = real(0.0, -5, 5)
    add_2: float = real(3.0, -5, 5)


DEFAULT_NUMBERS = "0.3, 0.9, 0.1, 0.6, 0.61, 0.05, 0.72"


@dataclass(frozen=True)
class Point:
    """The part pointer."""

    numbers: str = string(DEFAULT_NUMBERS)
    leave_out: bool = flag(True)


DEFAULT_SENTENCE = "The FBI is chasing a criminal on the run"


@dataclass(frozen=True)
class LookBack:
    """The part lstmn."""

    sentence: str = string(DEFAULT_SENTENCE)
    focus: float = real(4.0, 0, 20)


@dataclass(frozen=True)
class LookFar:
    """The part snail."""

    steps: int = whole(8, 2, 32)
    attends: bool = flag(False)
    channels: int = whole(4, 1, 16)


FEATURES = {"colour": "Colour", "place": "Colour and place", "random": "Random projections"}


@dataclass(frozen=True)
class Pixels:
    """The part image."""

    features: str = choice("colour", FEATURES)
    factor: float = real(0.5, -2, 2)
    pixel: tuple = place((8, 8))


@dataclass(frozen=True)
class WordsAndPatches:
    """The part patches."""

    caption: str = string("red blue green dark")
    word: int = whole(1, 1, 6)
    draws: int = whole(50, 1, 2000)


PRINTED = {
    "hulls": "Pointer network",
    "few_shots": "SNAIL",
    "sagan": "Image self-attention",
    "captions": "Captions",
}


@dataclass(frozen=True)
class Published:
    """The part of that name."""

    printed: str = choice(next(iter(PRINTED)), PRINTED)


# The fields of the last base come first, in a link, too.
@dataclass(frozen=True)
class Setup(Published, WordsAndPatches, Pixels, LookFar, LookBack, Point, ReadAndWrite, Shared):
    """Everything chosen on Memory."""


def memory_published_tab(state, setup):
    """Show what papers printed of the mechanisms on this page."""
    results_tab(state, PRINTED)


def memory_letter(role, name):
    """Return a letter as LaTeX in the colour of its role."""
    return rf"\textcolor{{{theme().role(role)}}}{{{name}}}"
