"""When garbage is collected on a server."""

import gc
import sys
import threading
import weakref
from pathlib import Path

import pytest
from processes import printed
from streamlit import config

from attn.ui.garbage import Collector, give_memory_back


class Node:
    """Can be in a cycle, and be watched."""


def cycle():
    """Make something that only the collector can free, and return a way to see whether it is there."""
    node = Node()
    node.itself = node
    return weakref.ref(node)


@pytest.fixture(autouse=True)
def _only_when_asked():
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def test_what_is_there_at_first_is_set_aside_and_what_comes_later_is_collected():
    collector, kept = Collector(0), Node()
    kept.itself, before = kept, weakref.ref(kept)
    collector.collect()
    assert gc.get_freeze_count()
    del kept
    later = cycle()
    collector.collect()
    assert before() is not None  # in a cycle and set aside: the price, which only what was loaded at first pays
    assert later() is None


def test_within_some_seconds_it_is_collected_once():
    collector = Collector(1000)
    collector.collect()
    later = cycle()
    collector.collect()
    assert later() is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps memory of its own for every thread")
def test_memory_that_a_thread_has_left_goes_back_to_the_system():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def visit():
        pieces = [bytearray(10_000) for _ in range(5000)]
        last.append(pieces[-1])  # at the end of the thread's memory, which so cannot shrink by itself

    last = []
    visitor = threading.Thread(target=visit)
    visitor.start()
    visitor.join()
    before = resident()
    give_memory_back()
    assert before - resident() > 40e6


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps memory of its own for every thread")
def test_threads_take_their_memory_out_of_two_places():
    code = """if True:
        import ctypes, sys, threading
        from attn.ui.garbage import share_arenas
        if sys.argv[1:]:
            share_arenas()
        together = threading.Barrier(6)
        def visit():
            piece = bytearray(10_000)
            together.wait()
        visitors = [threading.Thread(target=visit) for _ in range(6)]
        [each.start() for each in visitors], [each.join() for each in visitors]
        libc = ctypes.CDLL(None)
        libc.fdopen.restype, libc.malloc_info.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
        out = libc.fdopen(1, b"w")
        libc.malloc_info(0, out)
        libc.fflush(ctypes.c_void_p(out))
    """
    assert printed(code, "share").count("<heap nr=") == 2
    assert printed(code).count("<heap nr=") > 2


def test_streamlit_neither_collects_after_every_answer_nor_watches_files():
    """Its own names for both: the first is not among those that it lists."""
    config.get_config_options(force_reparse=True)  # a test that ran in another folder may have read none
    assert config.get_option("runner.postScriptGC") is False
    assert config.get_option("server.fileWatcherType") == "none"
