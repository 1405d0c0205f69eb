"""Rooms: guesses of many people, bounded, without names, and the page that asks and shows them."""

import threading

import numpy as np
import pytest
from driving import check, matrices, opened, said

from attn import charts
from attn.ui import rooms
from attn.ui.models import model_layer_weights
from attn.ui.pages import room as room_page
from attn.ui.rooms import Question, Rooms

WORDS = Question("key", "the animal was tired", ("the", "animal", "was", "tired"), 2, layer=1, head=3)
HEADS = Question("head", "the animal", ("the", "animal"), 1, key=0, shape=(6, 12))


class Clock:
    """Seconds that a test moves on."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hall(clock):
    return Rooms(clock)


def test_each_person_has_one_guess_which_can_be_changed(hall):
    room = hall.open("speaker", WORDS)
    for who, place in (("a", 1), ("b", 1), ("c", 3), ("c", 0)):
        assert hall.guess(room.code, who, (place,), WORDS)
    np.testing.assert_allclose(room.shares(), [1 / 3, 2 / 3, 0, 0])


def test_heads_are_guessed_as_layer_and_head(hall):
    room = hall.open("speaker", HEADS)
    hall.guess(room.code.lower(), "a", (5, 11), HEADS)
    assert room.shares()[5, 11] == room.shares().sum() == 1


@pytest.mark.parametrize("place", [(4,), (-1,), (0, 0), ()])
def test_a_guess_outside_is_refused(hall, place):
    room = hall.open("speaker", WORDS)
    with pytest.raises(ValueError, match=r"a place in \(4,\)"):
        hall.guess(room.code, "a", place, WORDS)


def test_no_guess_counts_after_the_answer_or_for_another_question(hall):
    room = hall.open("speaker", WORDS)
    assert not hall.guess(room.code, "a", (0, 0), HEADS)
    room.reveal((1,))
    assert not hall.guess(room.code, "a", (0,), WORDS)
    room.reveal(None)
    assert hall.guess(room.code, "a", (0,), WORDS)
    room.ask(HEADS)
    assert room.guesses == {}
    hall.close(room)
    assert hall.find(room.code) is None
    assert not hall.guess(room.code, "a", (0, 0), HEADS)


def test_rooms_and_guesses_are_bounded(hall, clock, monkeypatch):
    monkeypatch.setattr(rooms, "MOST_ROOMS", 3)
    monkeypatch.setattr(rooms, "MOST_GUESSES", 2)
    opened_rooms = [hall.open(f"speaker {at}", WORDS) for at in range(3)]
    assert len({room.code for room in opened_rooms}) == 3
    assert hall.of("speaker 1") is opened_rooms[1]
    again = hall.open("speaker 0", WORDS)  # in place of their own
    assert hall.find(opened_rooms[0].code) is None
    with pytest.raises(ValueError, match="at most 3 rooms can be open"):
        hall.open("one more", WORDS)
    assert hall.guess(again.code, "a", (0,), WORDS)
    assert hall.guess(again.code, "b", (0,), WORDS)
    assert not hall.guess(again.code, "c", (0,), WORDS)
    assert hall.guess(again.code, "b", (1,), WORDS)
    clock.now += rooms.HOURS * 3600 + 1
    assert hall.of("speaker 0") is None
    assert hall.open("one more", WORDS)


def test_fifty_people_guess_at_once(hall):
    room = hall.open("speaker", WORDS)

    def guess(who):
        for place in (0, 1, who % 4):
            hall.guess(room.code, str(who), (place,), WORDS)

    threads = [threading.Thread(target=guess, args=(who,)) for who in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(room.shares() * 50, [13, 13, 12, 12])


def test_a_speaker_asks_phones_guess_and_the_model_stands_beside(monkeypatch):
    hall = Rooms()
    monkeypatch.setattr(room_page, "open_rooms", lambda: hall)
    monkeypatch.setattr("attn.ui.rooms.open_rooms", lambda: hall)
    speaker = check(opened("room"))
    next(button for button in speaker.button if button.label == "Open a room").click()
    check(speaker.run())
    code = speaker.query_params["room"]
    code = code[0] if isinstance(code, list) else code
    room = hall.find(code)
    assert room.question.names[room.question.query] == "it"

    owner, room.owner = room.owner, "somebody else"  # in a test all have the same browser
    phone = check(opened("room", {"room": code}), charts=0)
    assert any("Which word does “it” look at most in head 2 of layer 4?" in one.value for one in phone.header)
    pills = phone.get("button_group")[0]
    pills.set_value(2).run()
    assert list(room.guesses.values()) == [(2,)]

    room.owner = owner
    check(speaker.run())
    assert "**1** has guessed." in said(speaker)  # and nobody sees what
    assert matrices(speaker) == {}  # the words alone, without numbers that could be taken for a result
    line = "**Which word does “it” look at most in head 2 of layer 4?** **1** has guessed."
    assert line in [one.value for one in check(opened("room", present="1")).markdown]
    next(button for button in speaker.button if button.label == "Show the answer").click()
    check(speaker.run())
    assert [shares[0, 2] for shares in guesses(speaker)] == [1]
    weights = model_layer_weights(room_page.Setup().text, 3, 1)[room.question.query]
    assert room.answer == (int(weights.argmax()),)
    sentences = " ".join(said(speaker))
    assert f"with a weight of **{weights.max():.2f}**" in sentences
    assert "**100%** of the guesses were right" in sentences

    room.owner = "somebody else"
    phone = check(phone.run(), charts=0)
    assert "You were right." in [one.value for one in phone.markdown]
    assert f"with a weight of **{weights.max():.2f}**; **100%** of the guesses in the room" in phone.success[0].value
    assert any("each sign" in one.value for one in phone.caption)

    room.guesses = dict.fromkeys(room.guesses, ((room.answer[0] + 1) % 5,))
    phone = check(phone.run(), charts=0)
    assert any("That is not what the model does." in one.value for one in phone.markdown)
    assert not phone.success
    assert f"with a weight of **{weights.max():.2f}**" in phone.info[0].value

    hall.close(room)
    phone = check(phone.run())
    assert phone.info[0].value == f"The room {code} is closed. What was guessed in it is gone."
    assert phone.text_input(key="room.room").placeholder == "Four letters"


def guesses(app):
    """Return the maps of guesses that a page shows, the room in the first row."""
    return [shares for title, drawn in matrices(app).items() if title.startswith("Which word") for shares in drawn]


@pytest.mark.parametrize("question", [WORDS, HEADS], ids=["word", "head"])
def test_where_nobody_guessed_the_model_stands_alone(question):
    weights = np.random.default_rng(0).random(question.shape_of_guesses)
    zeros = np.zeros(question.shape_of_guesses)
    best = tuple(int(at) for at in np.unravel_index(weights.argmax(), weights.shape))
    for sentence in (
        room_page.room_reading(question, zeros, weights, 0), room_page.room_answer(question, best, weights, None),
    ):  # fmt: skip
        assert f"**{weights.max():.2f}**" in sentence
        assert "%" not in sentence
    for shares, wanted in ((None, [weights]), (zeros, [zeros, weights])):
        told = {"shares": shares, "weights": weights, "names": list(question.names), "title": "Which?"}
        drawn = room_page.room_picture(**told, theme=charts.LIGHT, room=600).to_dict()["datasets"].values()
        cells = [row["shade"] for table in drawn if "shade" in table[0] for row in table]
        assert sorted(cells) == pytest.approx(sorted(np.concatenate([each.ravel() for each in wanted])))


def test_an_unknown_code_is_said():
    assert any("No room ZZZZ is open" in info.value for info in check(opened("room", {"room": "zzzz"})).info)
