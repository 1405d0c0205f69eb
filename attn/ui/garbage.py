"""When the garbage collector looks for cycles: now and then, instead of after every answer.

Streamlit would let it look at every object of the process after every run of a script. Imports alone make 130,000,
torch and transformers 440,000, which takes up to a quarter of a second in which nobody is answered. So that is
switched off (`.streamlit/config.toml`), what imports and models have made is set aside, and the rest, which visitors
make, is looked at every few seconds at most. Python goes on collecting what is young as it always does.
"""

import ctypes
import gc
import sys
import threading
import time

_ARENA_MAX = -8  # as malloc.h of glibc numbers it


def set_garbage_aside():
    """Collect, then never look again at what is there now; for when modules and models have just been loaded.

    What is set aside is still freed once nothing refers to it; only if it is in a cycle it stays. So this is not for
    what visitors make.
    """
    gc.collect()
    gc.freeze()


def give_memory_back():
    """Give memory that is free again back to the system; C's library would keep some for every thread of a visitor.

    Only glibc, on Linux, has such a call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def share_arenas(most=2):
    """Let all threads take memory out of a few places; C's library would make eight a core, which fill with gaps.

    Every answer is computed in a thread of its own, and what it leaves behind keeps a whole page of memory from going
    back to the system. It must be called before many threads have been started. Only glibc, on Linux, has such places.

    Parameters
    ----------
    most : int
        How many there may be, beside those that are there already; one for each core of a small server, so that none
        waits for another.
    """
    choose = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if choose is not None:
        choose(_ARENA_MAX, most)


class Collector:
    """Collects garbage whenever it is asked and some seconds have passed; the first time it sets all aside.

    Parameters
    ----------
    every : float
        Seconds.
    """

    def __init__(self, every):
        self._every, self._next, self._turn = every, None, threading.Lock()

    def collect(self):
        """Collect, unless that was done a short while ago or another thread is about it."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            if self._next is None:
                gc.freeze()  # imports leave nothing to collect, and the first page is waited for
            elif time.monotonic() < self._next:
                return
            else:
                gc.collect()
                give_memory_back()
            self._next = time.monotonic() + self._every
        finally:
            self._turn.release()


collector = Collector(5)
