"""How many threads compute, and how many visitors at once."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from attn.pretrained.errors import ModelError

AT_ONCE = 2  # heavy runs: each keeps a core busy

_holding = threading.Lock()
_held = []  # what ends the hold on the threads of matrix products, once for everybody who relies on it


class Stopped(ModelError):
    """Somebody asked for the work to be stopped."""


def one_thread() -> None:
    """Let torch and numpy compute with one thread each, in the whole process.

    For a server, whose cores are busy with visitors. Both keep a pool of threads that wait for one
    another; on busy cores a pass of 15 tokens took 0.2 s with two threads and 0.014 s with one.
    """
    with _holding, _in_control():
        _libraries.cache_clear()  # some may have been loaded since
        hold = _libraries().limit(limits=1)
        _held[:] = [hold] * len(_held)  # what they go back to at the end is one thread, too
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@contextmanager
def one_numpy_thread() -> Iterator[None]:
    """Hold numpy's matrix products to one thread for as long as somebody is inside.

    torch and numpy each keep a pool of threads. Inside a pass of a model both would be awake and wait
    for one another: attention in numpy takes three times as long then.
    """
    with _holding, _in_control():
        _held.append(_held[-1] if _held else _libraries().limit(limits=1))
    try:
        yield
    finally:
        with _holding, _in_control():
            hold = _held.pop()
            if not _held:
                hold.restore_original_limits()


@contextmanager
def _in_control():
    """Let whichever thread this is set how many there are; else only the first that did so can, while it lives."""
    from threadpoolctl import OpenBLASController

    OpenBLASController.clear_controlling_thread(force=True)
    try:
        yield
    finally:
        OpenBLASController.clear_controlling_thread(force=True)


@functools.cache
def _libraries():
    """Find the libraries of matrix products, numpy's and others', that have threads."""
    import numpy as np  # noqa: F401  the library must be loaded to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


class Queue:
    """Lets a few in at once; the others wait, know their place, and nobody waits behind many of one owner.

    It goes in rounds: in each an owner has one turn, in the order in which they came.

    Parameters
    ----------
    at_once : int
        How many are inside at most; who asks for more room counts for more.

    Examples
    --------
    >>> queue = Queue(1)
    >>> with queue.turn():
    ...     queue.inside, queue.waiting
    (1, 0)
    """

    def __init__(self, at_once):
        self.at_once = at_once
        self._changed = threading.Condition()
        self._inside = []  # tickets
        self._waiting = []  # tickets, the next one first
        self._round = 0  # of the one that was let in last

    @property
    def inside(self) -> int:
        """How many are inside."""
        with self._changed:
            return len(self._inside)

    @property
    def waiting(self) -> int:
        """How many wait."""
        with self._changed:
            return len(self._waiting)

    @contextmanager
    def turn(
        self,
        on_wait: Callable[[int], object] | None = None,
        should_stop: Callable[[], bool] | None = None,
        *,
        alone: bool = False,
        owner: Hashable = None,
        patience: float = 0.2,
    ) -> Iterator[None]:
        """Wait until it is one's turn, and give way to the next at the end of the block.

        Parameters
        ----------
        on_wait
            Called with one's place while one waits, 1 for the next, whenever it has changed.
        should_stop
            Asked while one waits whether to give up.
        alone
            Whether nobody else may be inside.
        owner
            For whom it is; by default for somebody who has nothing else here.
        patience
            Seconds between two looks at `should_stop`.

        Raises
        ------
        Stopped
            If `should_stop` said so.
        """
        with self._changed:
            ticket = self._ticket(self.at_once if alone else 1, object() if owner is None else owner)
            self._waiting.append(ticket)
            self._waiting.sort(key=lambda each: each.round)  # who came first stays first in a round
            self._admit()
        try:
            self._wait(ticket, on_wait, should_stop, patience)
            yield
        finally:
            with self._changed:
                (self._inside if ticket in self._inside else self._waiting).remove(ticket)
                self._admit()

    def _wait(self, ticket, on_wait, should_stop, patience):
        """Wait until a ticket is inside; those who are asked may take their time."""
        told = None
        while place := self._place(ticket):
            if place != told and on_wait is not None:
                on_wait(place)
            told = place
            if should_stop is not None and should_stop():
                raise Stopped("stopped while waiting")
            with self._changed:
                if self._place(ticket) == place:
                    self._changed.wait(patience)

    def _place(self, ticket):
        """Return the place of a ticket among those who wait, 0 if it is inside."""
        with self._changed:
            return self._waiting.index(ticket) + 1 if ticket in self._waiting else 0

    def _ticket(self, room, owner):
        """Return a ticket for this round, or for the one after the last in which its owner has a turn."""
        taken = [each.round for each in self._inside + self._waiting if each.owner == owner]
        return _Ticket(room, owner, max(taken) + 1 if taken else self._round)

    def _admit(self):
        """Let in whoever is next, as long as there is room; nobody passes one that is next and needs more of it."""
        while self._waiting and sum(each.room for each in self._inside) + self._waiting[0].room <= self.at_once:
            ticket = self._waiting.pop(0)
            self._inside.append(ticket)
            self._round = ticket.round
        self._changed.notify_all()


@dataclass(frozen=True, eq=False)
class _Ticket:
    """A turn that somebody has or waits for."""

    room: int
    owner: Hashable
    round: int


heavy_queue = Queue(AT_ONCE)
loading_queue = Queue(1)  # for models: transformers builds one at a time


def heavy(
    on_wait: Callable[[int], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
    *,
    alone: bool = False,
    owner: Hashable = None,
) -> AbstractContextManager[None]:
    """Wait for one of the few places for heavy runs: head ablation, generation, long texts, and all of them to measure.

    Parameters
    ----------
    on_wait, should_stop, alone, owner
        As in `Queue.turn`.

    Returns
    -------
    context manager
        The place is held inside its block. Blocks must not be nested in one another.

    Examples
    --------
    >>> with heavy(lambda place: print(f"{place} before you")):
    ...     sum(range(10))
    45
    """
    return heavy_queue.turn(on_wait, should_stop, alone=alone, owner=owner)
