"""Rooms: what the people in a hall guess before they see the answer, in the server's memory and nowhere else."""

import secrets
import threading
import time
from typing import NamedTuple

import numpy as np
import streamlit as st

MOST_ROOMS = 40  # open on one server
MOST_GUESSES = 1000  # people in one room
HOURS = 3  # that a room stays open while nothing happens in it

_LETTERS = "ACDEFGHJKLMNPQRTUVWXY"  # none that is taken for another on a screen far away
_LENGTH = 4


class Question(NamedTuple):
    """What a room is asked: which of some words, or which of the heads of a model."""

    kind: str  # "key" or "head"
    text: str
    names: tuple  # of the words, as they are shown
    query: int  # the word that looks
    key: int | None = None  # where it looks, when a head is asked for
    layer: int | None = None  # whose head it is, counted from 1, when a word is asked for
    head: int | None = None
    shape: tuple = ()  # layers and heads to choose from, when a head is asked for

    @property
    def shape_of_guesses(self):
        """The shape of an array with a place for each possible guess."""
        return self.shape if self.kind == "head" else (len(self.names),)


class Room:
    """One room: its question, and the guess of everybody in it."""

    def __init__(self, code, owner, question):
        self.code, self.owner = code, owner
        self.touched = time.monotonic()
        self.ask(question)

    def ask(self, question):
        """Ask something else, which nobody has answered yet."""
        self.question, self.guesses, self.answer = question, {}, None

    def reveal(self, answer):
        """Show everybody the right guess.

        Parameters
        ----------
        answer : tuple of int
            A place in the array of guesses, or empty to hide it again.
        """
        self.answer = answer

    def shares(self):
        """Return what share of the guesses each place has, as the map of a head has shares of its weight.

        Returns
        -------
        ndarray, of `Question.shape_of_guesses`
            Zeros while nobody has guessed.
        """
        counts = np.zeros(self.question.shape_of_guesses)
        guesses = list(self.guesses.values())
        np.add.at(counts, tuple(np.array(guesses, dtype=int).reshape(-1, counts.ndim).T), 1)
        return counts / max(len(guesses), 1)


class Rooms:
    """All rooms of a server."""

    def __init__(self, clock=time.monotonic):
        self._rooms, self._lock, self._clock = {}, threading.Lock(), clock

    def open(self, owner, question):
        """Open a room in place of another of the same owner.

        Parameters
        ----------
        owner : str
            Who may ask, reveal and close.
        question : Question

        Returns
        -------
        Room

        Raises
        ------
        ValueError
            If as many are open as the server holds.
        """
        with self._lock:
            self._forget()
            for code in [code for code, room in self._rooms.items() if room.owner == owner]:
                del self._rooms[code]
            if len(self._rooms) >= MOST_ROOMS:
                raise ValueError(
                    f"at most {MOST_ROOMS} rooms can be open on this server, and they are: try again later"
                )
            code = next(code for code in iter(_code, None) if code not in self._rooms)
            room = self._rooms[code] = Room(code, owner, question)
            room.touched = self._clock()
            return room

    def find(self, code):
        """Return the room of a code, however its letters are written, or None if none is open."""
        with self._lock:
            self._forget()
            return self._rooms.get(code.strip().upper())

    def of(self, owner):
        """Return the room that somebody has open, or None."""
        with self._lock:
            self._forget()
            return next((room for room in self._rooms.values() if room.owner == owner), None)

    def guess(self, code, who, place, question):
        """Take somebody's guess, in place of an earlier one.

        Parameters
        ----------
        code : str
        who : str
            One guess each.
        place : tuple of int
            In the array of guesses.
        question : Question
            What was seen when it was guessed. If the room is asked something else meanwhile, the guess is left out.

        Returns
        -------
        bool
            Whether it counts: not in a closed room, after the answer, or beyond `MOST_GUESSES` people.

        Raises
        ------
        ValueError
            If there is no such place.
        """
        with self._lock:
            room = self._rooms.get(code.strip().upper())
            if room is None or room.answer is not None or room.question != question:
                return False
            size = question.shape_of_guesses
            if len(place) != len(size) or not all(0 <= at < most for at, most in zip(place, size, strict=True)):
                raise ValueError(f"a guess must be a place in {size}, got {place}")
            if who not in room.guesses and len(room.guesses) >= MOST_GUESSES:
                return False
            room.guesses[who] = tuple(place)
            room.touched = self._clock()
            return True

    def touch(self, room):
        """Keep a room open for `HOURS` more."""
        room.touched = self._clock()

    def close(self, room):
        """Close a room: what was guessed in it is gone."""
        with self._lock:
            self._rooms.pop(room.code, None)

    def _forget(self):
        """Close rooms in which nothing has happened for hours."""
        long_ago = self._clock() - HOURS * 3600
        for code in [code for code, room in self._rooms.items() if room.touched < long_ago]:
            del self._rooms[code]


def _code():
    """Return the code of a room, to be read from a screen and typed into a phone."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


@st.cache_resource(show_spinner=False)
def open_rooms():
    """Return the rooms of this server."""
    return Rooms()
