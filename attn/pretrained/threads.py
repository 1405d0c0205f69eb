"""How many threads compute, and how many visitors at once."""

import functools
import threading
from contextlib import contextmanager

from attn.pretrained.errors import ModelError

AT_ONCE = 2  # heavy runs: each keeps a core busy

_holding = threading.Lock()
_held = []  # what ends the hold on numpy's threads, and one more entry for everybody who relies on it


class Stopped(ModelError):
    """Somebody asked for the work to be stopped."""


@contextmanager
def one_numpy_thread():
    """Hold numpy's matrix products to one thread for as long as somebody is inside.

    torch and numpy each keep a pool of threads. Inside a pass of a model both would be awake and wait
    for one another: attention in numpy takes three times as long then.
    """
    with _holding:
        if not _held:
            _held.append(_controller().limit(limits=1, user_api="blas"))
        _held.append(None)
    try:
        yield
    finally:
        with _holding:
            _held.pop()
            if len(_held) == 1:
                _held.pop().restore_original_limits()


@functools.cache
def _controller():
    """Look once for the libraries that have threads."""
    import numpy as np  # noqa: F401  the library must be loaded to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class Queue:
    """Lets a few in at once; the others wait in the order in which they came and know their place.

    Parameters
    ----------
    at_once : int
        How many are inside at most.

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
        self._tickets = []  # those inside first, then those who wait

    @property
    def inside(self):
        """How many are inside."""
        return min(len(self._tickets), self.at_once)

    @property
    def waiting(self):
        """How many wait."""
        return max(len(self._tickets) - self.at_once, 0)

    @contextmanager
    def turn(self, on_wait=None, should_stop=None, *, patience=0.2):
        """Wait until it is one's turn, and give way to the next at the end of the block.

        Parameters
        ----------
        on_wait : callable, optional
            Called with one's place while one waits, 1 for the next, whenever it has changed.
        should_stop : callable, optional
            Asked while one waits whether to give up.
        patience : float
            Seconds between two looks at `should_stop`.

        Raises
        ------
        Stopped
            If `should_stop` said so.
        """
        ticket = object()
        with self._changed:
            self._tickets.append(ticket)
        try:
            self._wait(ticket, on_wait, should_stop, patience)
            yield
        finally:
            with self._changed:
                self._tickets.remove(ticket)
                self._changed.notify_all()

    def _wait(self, ticket, on_wait, should_stop, patience):
        """Wait until a ticket is among the first; those who are asked may take their time."""
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
            return max(self._tickets.index(ticket) - self.at_once + 1, 0)


_heavy = Queue(AT_ONCE)


def heavy(on_wait=None, should_stop=None):
    """Wait for one of the few places for heavy runs: sweeps, generation, long texts.

    Parameters
    ----------
    on_wait, should_stop : callable, optional
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
    return _heavy.turn(on_wait, should_stop)
