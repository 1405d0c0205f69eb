"""What the link of the page Scores holds."""

from dataclasses import dataclass

from attn.alignment import SCORES
from attn.ui.link import choice, flag, points, real, whole

PARAMETERS = {"example": "Worked example", "random": "Random"}


LOOKS = {"equal": "All equal", "score": "By the score"}


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
EVERY = _WORDS[len(SCORES)] if len(SCORES) < len(_WORDS) else str(len(SCORES))
"""How many scores there are, in words."""


TABS = {
    "moves": "What moves it",
    "reads": "Soft and hard",
    "windows": "Global and local",
    "every": f"The {EVERY} scores",
    "published": "Published",
    "code": "Code",
}


_OLD_TABS = {
    "What moves it": "moves",
    "Soft and hard": "reads",
    "Global and local": "windows",
    "The six scores": "every",
    "Published": "published",
    "Code": "code",
}


PRINTED = {"luong_models": "What each part adds", "luong_scores": "Score by score"}


DRAWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


REACH = 5  # numbers of a vector lie between -5 and 5


MOST_KEYS = 8


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Scores."""

    across: float = real(1.0, -REACH, REACH)
    up: float = real(2.0, -REACH, REACH)
    keys: tuple = points(((2.0, 0.0), (1.0, 1.0), (-1.0, 2.0)), MOST_KEYS, REACH)
    moved: int = whole(1, 0, MOST_KEYS)
    parameters: str = choice("example", PARAMETERS)
    seed: int = whole(1, 0, 9999)
    double: bool = flag(False)
    turn: int = whole(0, 0, 180)
    swap: bool = flag(False)
    score: str = choice("dot", SCORES)
    draws: int = whole(100, 1, DRAWS[-1])
    looks: str = choice("equal", LOOKS)
    positions: int = whole(10, 2, 24)
    predicted: bool = flag(False)
    centre: float = real(4.2, 1, 24)
    half_width: int = whole(2, 1, 12)
    printed: str = choice(next(iter(PRINTED)), PRINTED)
    tab: str = choice("moves", TABS, aliases=_OLD_TABS)
