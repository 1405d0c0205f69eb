"""When the garbage collector looks for cycles: now and then, instead of after every answer.

Streamlit would let it look at every object of the process after every run of a script. Imports alone make 130,000,
torch and transformers 440,000, which takes up to a quarter of a second in which nobody is answered. So that is
switched off (`.streamlit/config.toml`), what imports and models have made is set aside, and the rest, which visitors
make, is looked at every few seconds at most. Python goes on collecting what is young as it always does.
"""

import gc
import threading
import time

EVERY = 10  # seconds
_turn = threading.Lock()
_next = 0.0  # by `time.monotonic`; 0 before the first time


def set_garbage_aside():
    """Collect, then never look again at what is there now; for when modules and models have just been loaded.

    What is set aside is still freed once nothing refers to it; only if it is in a cycle it stays. So this is not for
    what visitors make.
    """
    gc.collect()
    gc.freeze()


def collect_garbage_now_and_then():
    """Collect garbage unless that was done in the last seconds, or is being done; the first time set it aside."""
    global _next
    if time.monotonic() < _next or not _turn.acquire(blocking=False):
        return
    try:
        if not _next:
            set_garbage_aside()
        elif time.monotonic() >= _next:
            gc.collect()
        _next = time.monotonic() + EVERY
    finally:
        _turn.release()
