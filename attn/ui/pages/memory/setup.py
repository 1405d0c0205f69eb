"""What the link of the page Memory holds."""

from dataclasses import dataclass

from attn import charts
from attn.data import pictures
from attn.ui.controls.published_tables import published_tables_tab
from attn.ui.link import link_choice, link_flag, link_place, link_real, link_string, link_whole
from attn.ui.page import page_theme

PARTS = {
    "ntm": "Read and write",
    "pointer": "Point at inputs",
    "lstmn": "Look back in a cell",
    "snail": "Look far back",
    "image": "Pixels",
    "patches": "Words and patches",
    "published": "Published results",
}


TABS = {"more": "Write", "code": "Code"}  # of the first part; elsewhere the first tab has a name of its own
OLD_TABS = {"More": "more", "Code": "code"}  # what older links call them


@dataclass(frozen=True)
class Shared:
    """What several parts ask for."""

    part: str = link_choice("ntm", PARTS)
    seed: int = link_whole(1, 0, 9999)
    picture: str = link_choice("shapes", pictures.PICTURES)
    contrast: float = link_real(12.0, 0, 40)
    tab: str = link_choice("more", TABS, OLD_TABS)


MEMORIES = {"example": "Worked example", "random": "Random"}
MATCH = {"kind": "signed", "scale": charts.Scale(1)}
STAGES = ["content", "before", "mixed", "shifted", "sharper"]


@dataclass(frozen=True)
class ReadAndWrite:
    """The part ntm."""

    memory: str = link_choice("example", MEMORIES)
    rows: int = link_whole(4, 2, 12)
    across: float = link_real(1.0, -5, 5)
    up: float = link_real(0.2, -5, 5)
    sharpness: float = link_real(5.0, 0, 50)
    previous: int = link_whole(3, 1, 12)
    gate: float = link_real(0.5, 0, 1)
    shift: float = link_real(0.0, -12, 12)
    blur: float = link_real(0.1, 0, 0.5)
    gamma: float = link_real(2.0, 1, 20)
    erase_1: float = link_real(1.0, 0, 1)
    erase_2: float = link_real(0.0, 0, 1)
    add_1: float = link_real(0.0, -5, 5)
    add_2: float = link_real(3.0, -5, 5)


DEFAULT_NUMBERS = "0.3, 0.9, 0.1, 0.6, 0.61, 0.05, 0.72"


@dataclass(frozen=True)
class Point:
    """The part pointer."""

    numbers: str = link_string(DEFAULT_NUMBERS)
    leave_out: bool = link_flag(True)


DEFAULT_SENTENCE = "The FBI is chasing a criminal on the run"


@dataclass(frozen=True)
class LookBack:
    """The part lstmn."""

    sentence: str = link_string(DEFAULT_SENTENCE)
    focus: float = link_real(4.0, 0, 20)


@dataclass(frozen=True)
class LookFar:
    """The part snail."""

    steps: int = link_whole(8, 2, 32)
    attends: bool = link_flag(False)
    channels: int = link_whole(4, 1, 16)


FEATURES = {"colour": "Colour", "place": "Colour and place", "random": "Random projections"}


@dataclass(frozen=True)
class Pixels:
    """The part image."""

    features: str = link_choice("colour", FEATURES)
    factor: float = link_real(0.5, -2, 2)
    pixel: tuple = link_place((8, 8))


@dataclass(frozen=True)
class WordsAndPatches:
    """The part patches."""

    caption: str = link_string("red blue green dark")
    word: int = link_whole(1, 1, 6)
    draws: int = link_whole(50, 1, 2000)


PRINTED = {
    "hulls": "Pointer network",
    "few_shots": "SNAIL",
    "sagan": "Image self-attention",
    "captions": "Captions",
}


@dataclass(frozen=True)
class Published:
    """The part of that name."""

    printed: str = link_choice(next(iter(PRINTED)), PRINTED)


# The fields of the last base come first, in a link, too.
@dataclass(frozen=True)
class Setup(Published, WordsAndPatches, Pixels, LookFar, LookBack, Point, ReadAndWrite, Shared):
    """Everything chosen on Memory."""


def memory_setup_published_tab(state, setup):
    """Show what papers printed of the mechanisms on this page."""
    published_tables_tab(state, PRINTED)


def memory_setup_tabs(more):
    """Return the labels of a part's tabs, the first of which is called `more`."""
    return TABS | {"more": more}


def memory_setup_letter(role, name):
    """Return a letter as LaTeX in the colour of its role."""
    return rf"\textcolor{{{page_theme().role(role)}}}{{{name}}}"
