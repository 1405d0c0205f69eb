"""Room: a hall guesses where a head looks, each on a phone, before the answer is shown."""

import streamlit as st

from attn import pretrained, ui
from attn.ui import models
from attn.ui.controls.sentence import need_sentence_words, sentence_control
from attn.ui.pages import room
from attn.ui.pages.room import Setup
from attn.ui.present import ANSWER_KEY
from attn.ui.rooms import HOURS, open_rooms
from attn.ui.visitor import this_visit
from attn.ui.width import page_held

page = ui.begin_page("room", "What does the room guess?", Setup)

owned = room.room_owned(page)
code = page.get("room").strip().upper()
asked = open_rooms().find(code) if code and owned is None else None
if asked is not None:
    page.commit()
    room.room_guess_control(code)
    ui.page_sources(page)
    ui.page_next(page)
    st.stop()
if code and owned is None:
    st.info(room.room_missing(code))

with st.sidebar:
    sentence_control(page)
need_sentence_words(page, "text")
try:
    read = models.model_reading(page.get("text"))
except pretrained.ModelError as error:
    ui.page_ask(page, str(error), st.error)
names = [token.text for token in read.tokens[: room.MOST]]
cell = page.get("cell")
page.adjust(cell=(min(cell[0], len(names) - 1), min(cell[1], len(names) - 1)))
with st.sidebar:
    room.room_question_controls(page, names)
setup = page.commit()
models.say_if_model_truncated(read)
if len(read.tokens) > room.MOST:
    st.caption(f"Of the {len(read.tokens)} tokens the first {room.MOST} can be guessed.")
question = room.room_question(setup, names)
ui.page_reading(
    "Ask everybody in the hall where a head of a real model looks. Each guesses on a phone; then you show what the "
    "model does beside what the room thought."
)
if owned is None:
    st.header(room.question_in_words(question), anchor=False)

    def open_one():
        """Open a room that asks what the page shows."""
        try:
            page.set(room=open_rooms().open(this_visit().browser, question).code)
        except ValueError as error:
            page.say_of_link(str(error))

    def open_control():
        """Draw the button of whoever asks a hall."""
        st.button(
            "Open a room", on_click=open_one, type="primary", icon=":material/meeting_room:", key=f"{ANSWER_KEY}.open",
            help=f"Phones then join by a code. A room closes {HOURS} hours after the last guess.",
        )  # fmt: skip

    def join_control():
        """Draw the box of whoever is asked."""
        st.text_input(
            "Join a room by its code", key=page.key("room"), max_chars=room.LONGEST_CODE, width=220,
            placeholder="Four letters", help="Four letters, on the screen.",
        )  # fmt: skip

    with st.container(horizontal=True, vertical_alignment="bottom"):
        for draw in (join_control, open_control) if page_held() else (open_control, join_control):
            draw()
    room.room_choices(question)
    st.caption("Guesses stay in the memory of this server, without names, and are gone when the room closes.")
else:
    room.room_for_the_speaker(page, owned, question)
if owned is None or owned.answer is not None:  # not before the answer is shown, which the code gives away
    with st.expander("Code"):
        ui.page_code(page, room.room_code(owned, question, ui.page_width()))
ui.page_sources(page)
ui.page_next(page)
