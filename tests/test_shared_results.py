"""Heavy work waits in a queue, and what was made for one visitor is there for the next."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from attn.pretrained import threads
from attn.ui.shared_results import LruCache, forget_shared_results, is_long, shared_once

MODEL = SimpleNamespace(num_layers=3)
LONG, SHORT = "word " * 1000, "word"


def test_of_two_visitors_with_one_long_text_the_second_takes_what_the_first_made(monkeypatch):
    monkeypatch.setattr(threads, "heavy_queue", threads.Queue(1))
    kept, made, begun, go_on = LruCache(1_000_000, 2), [], threading.Event(), threading.Event()

    def make(watch):
        watch()
        begun.set()
        go_on.wait(10)
        made.append(np.zeros(3))
        return made[-1]

    found = [None, None]

    def ask(at):
        found[at] = shared_once(kept, ("model", False, LONG), MODEL, is_long(LONG), make)

    visitors = [threading.Thread(target=ask, args=(at,)) for at in range(2)]
    visitors[0].start()
    begun.wait(10)
    visitors[1].start()
    while not threads.heavy_queue.waiting:
        pass
    go_on.set()
    for visitor in visitors:
        visitor.join(10)
    assert len(made) == 1
    assert found[0] is found[1] is made[0]


def test_a_short_text_does_not_wait(monkeypatch):
    monkeypatch.setattr(threads, "heavy_queue", threads.Queue(1))
    with threads.heavy():
        found = shared_once(
            LruCache(1_000_000, 2), ("model", False, SHORT), MODEL, is_long(SHORT), lambda watch: np.ones(2)
        )
    assert found.sum() == 2


def test_what_fails_is_not_kept():
    kept = LruCache(1_000_000, 2)

    def fail(watch):
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            shared_once(kept, ("model", False, SHORT), MODEL, False, fail)
    assert kept.get(("model", False, SHORT)) is None


def test_what_is_forgotten_is_kept_nowhere():
    kept = LruCache(1_000_000, 2), LruCache(1_000_000, 2)
    for one in kept:
        one.put(("model", False), "result", 1)
    forget_shared_results()
    assert [one.get(("model", False)) for one in kept] == [None, None]
