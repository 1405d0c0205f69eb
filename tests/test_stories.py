"""Stories: their files, the links to their screens, and what each screen shows."""

import pytest
from driving import PAGES
from setups import SETUPS, fields

from attn.ui.link import from_link, to_link
from attn.ui.state import LOOK
from attn.ui.stories.running import COME_ALONG, story_that_comes_along
from attn.ui.stories.story import pack_story, read_story, unpack_story, write_story

SCREENS = [(name, number) for name in COME_ALONG for number in range(1, len(story_that_comes_along(name).screens) + 1)]


def screen_of(name, number):
    """Return a screen of a story that comes along."""
    return story_that_comes_along(name).screens[number - 1]


def test_no_page_has_a_choice_that_is_for_all_pages():
    assert [(page, name) for page, cls in SETUPS.items() for name in fields(cls) if name in LOOK] == []


@pytest.mark.parametrize(("name", "number"), SCREENS)
def test_a_screen_says_its_link_as_the_page_would(name, number):
    screen = screen_of(name, number)
    setup, notices = from_link(SETUPS[screen.page], dict(screen.query))
    assert notices == []
    assert to_link(setup) == (dict(screen.query), [])


@pytest.mark.parametrize("name", COME_ALONG)
def test_a_story_is_the_same_read_again_from_its_file_and_its_link(name):
    story = story_that_comes_along(name)
    assert read_story(write_story(story), PAGES) == story
    assert unpack_story(pack_story(story), PAGES) == story
