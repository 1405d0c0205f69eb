"""What the link of the page Scores holds."""

from dataclasses import dataclass

from attn.alignment import SCORES
from attn.ui.link import link_choice, link_flag, link_points, link_real, link_whole

PARAMETERS = {"example": "Worked example", "random": "Random"}


LOOKS = {"equal": "All equal", "score": "By the score"}


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
EVERY = _WORDS[len(SCORES)] if len(SCORES) < len(_WORDS) else str(len(SCORES))
"""How many scores there are, in words."""


TABS = {
    "moves": "What each score notices",
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

    across: float = link_real(1.0, -REACH, REACH)
    up: float = link_real(2.0, -REACH, REACH)
    keys: tuple = link_points(((2.0, 0.0), (1.0, 1.0), (-1.0, 2.0)), MOST_KEYS, REACH)
    moved: int = link_whole(1, 0, MOST_KEYS)
    parameters: str = link_choice("example", PARAMETERS)
    seed: int = link_whole(1, 0, 9999)
    double: bool = link_flag(False)
    turn: int = link_whole(0, 0, 180)
    swap: bool = link_flag(False)
    score: str = link_choice("dot", SCORES)
    draws: int = link_whole(100, 1, DRAWS[-1])
    looks: str = link_choice("equal", LOOKS)
    positions: int = link_whole(10, 2, 24)
    predicted: bool = link_flag(False)
    centre: float = link_real(4.2, 1, 24)
    half_width: int = link_whole(2, 1, 12)
    printed: str = link_choice(next(iter(PRINTED)), PRINTED)
    tab: str = link_choice("moves", TABS, aliases=_OLD_TABS)
