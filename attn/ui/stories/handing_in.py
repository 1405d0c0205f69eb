"""A line of text that says what was done of a story, for a student to hand in and a teacher to check.

Its end is a check sum: it finds slips of the hand and lines of another story, not somebody who reads this file.
"""

import hashlib
import re

from attn.ui.stories.story import write_story

MOST_LETTERS = 60  # of a name
_LINE = re.compile(
    r"(?P<who>.*) · (?P<title>.*) · screens done, \d+ of \d+:(?P<done>(?: \d{1,3})*) · (?P<sum>[0-9a-f]{8})"
)


def hand_in_line(story, done, who=""):
    """Return on which screens of a story all was done, in one line.

    Parameters
    ----------
    story : Story
    done : iterable of int
        Numbers of `Story.to_do`, counted from 1.
    who : str
        Who did it; "Somebody" without a name.

    Examples
    --------
    >>> from attn.ui.stories.story import Story
    >>> hand_in_line(Story("Masks", "", ()), [], "Ada")
    'Ada · Masks · screens done, 0 of 0: · 0d8fa06c'
    """
    return _line_of(story, story.screens_done(done), who)


def _line_of(story, numbers, who):
    """Return the line of somebody and these screens."""
    who = " ".join(who.replace("·", " ").split())[:MOST_LETTERS] or "Somebody"
    listed = "".join(f" {at}" for at in numbers)
    count = len(story.screens_to_do)
    return f"{who} · {story.title} · screens done, {len(numbers)} of {count}:{listed} · {_sum(story, numbers, who)}"


def check_hand_in_line(line, stories):
    """Return who did how much of which story, in a sentence.

    Parameters
    ----------
    line : str
        As `hand_in_line` returns it.
    stories : iterable of Story
        Among which it may be.

    Raises
    ------
    ValueError
        If it is no such line, or not as it was handed in.
    """
    match = _LINE.fullmatch(line.strip())
    if not match:
        raise ValueError("a line that was handed in must be whole, from the name to the eight letters at its end")
    done = [int(number) for number in match["done"].split()]
    for story in stories:
        if _line_of(story, done, match["who"]) == line.strip():
            return f"{match['who']} did {len(done)} of {len(story.screens_to_do)} screens in “{story.title}”"
    raise ValueError("a line that was handed in must be as it was made, for the same story, and this one is not")


def _sum(story, numbers, who):
    """Return the check sum of a line: of the name, the story to its last word, and what was done."""
    what = f"{who}\0{write_story(story)}\0{numbers}"
    return hashlib.blake2b(what.encode(), digest_size=4).hexdigest()
