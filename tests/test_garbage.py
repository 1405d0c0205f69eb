"""When garbage is collected on a server."""

import gc
import weakref

import pytest
from streamlit import config

from attn.ui.garbage import Collector


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


def test_streamlit_neither_collects_after_every_answer_nor_watches_files():
    """Its own names for both: the first is not among those that it lists."""
    assert config.get_option("runner.postScriptGC") is False
    assert config.get_option("server.fileWatcherType") == "none"
