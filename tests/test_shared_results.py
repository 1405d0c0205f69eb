"""Heavy work waits in a queue, and what was made for one visitor is there for the next, as long as its model is."""

import importlib
import inspect
import pkgutil
import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import attn.ui
from attn import pretrained
from attn.pretrained import threads
from attn.pretrained.intervention.run import output_gap
from attn.ui import models, shared_results
from attn.ui.pages.change import runs
from attn.ui.shared_results import LruCache, forget_shared_results, is_long, model_save, shared_once

MODEL = SimpleNamespace(num_layers=3)
LONG, SHORT = "word " * 1000, "word"


@pytest.mark.parametrize("text", [LONG, SHORT])
def test_of_two_visitors_with_one_text_the_second_takes_what_the_first_made(monkeypatch, text):
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
        found[at] = shared_once(kept, ("model", False, text), MODEL, is_long(text), make)

    visitors = [threading.Thread(target=ask, args=(at,)) for at in range(2)]
    visitors[0].start()
    begun.wait(10)
    visitors[1].start()
    visitors[1].join(0.3)
    assert visitors[1].is_alive()
    assert threads.heavy_queue.waiting == 0  # whoever waits for the same takes no place in the queue
    go_on.set()
    for visitor in visitors:
        visitor.join(10)
    assert len(made) == 1
    assert found[0] is found[1] is made[0]


def test_who_waits_for_what_another_visitor_makes_ends_when_leaving(monkeypatch):
    class Left(Exception):
        pass

    def leave():
        raise Left

    monkeypatch.setattr(shared_results, "end_if_visitor_left", leave)
    kept, key = LruCache(1_000_000, 2), ("model", False, SHORT)
    held, done = threading.Event(), threading.Event()

    def make():
        with kept.making(key, lambda: None):
            held.set()
            done.wait(10)

    other = threading.Thread(target=make)
    other.start()
    held.wait(10)
    try:
        with pytest.raises(Left):
            shared_once(kept, key, MODEL, False, lambda watch: np.ones(2))
    finally:
        done.set()
        other.join(10)


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


def test_all_that_is_kept_of_a_model_is_forgotten_with_it(monkeypatch):
    """Every cached function that is given a model is among what goes with it, on whatever page."""
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(attn.ui.__path__, "attn.ui.")]
    kept = {
        each
        for module in modules
        for each in vars(module).values()
        if not isinstance(each, type) and str(getattr(each, "__module__", "")).startswith("attn.ui")
        if hasattr(each, "clear") and callable(each) and "random_weights" in inspect.signature(each).parameters
    }
    kept = {each for each in kept if each.__name__ != "_loaded"}  # which begins by forgetting the others
    cleared = []
    for each in kept:
        monkeypatch.setattr(each, "clear", lambda each=each: cleared.append(each))
    forget_shared_results()
    assert len(kept) >= 9
    assert kept == set(cleared)


def save_model(folder, seed, spread=1):
    """Write a tiny model that reads the default model's tokens."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=17, max_position_embeddings=41
    )
    shutil.copy(pretrained.inspect().folder / "tokenizer.json", folder)
    torch.manual_seed(seed)
    model = transformers.BertForMaskedLM(config)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight *= spread
    model.save_pretrained(folder)


def test_a_folder_that_was_written_anew_is_read_anew(tmp_path):
    source = str(tmp_path), False, "the keys", ""
    kept, found, begun = LruCache(1_000_000, 2), [], []
    for seed, spread in enumerate((1, 9)):
        save_model(tmp_path, seed, spread)
        now = pretrained.load(tmp_path)
        query = models.model_recording(*source).layers[1].query
        np.testing.assert_array_equal(query, pretrained.record(now, source[2]).layers[1].query)
        assert runs.kept_run_gap(*source) == output_gap(now, source[2])
        assert models.model_attention_finding(*source).holds
        assert kept.get(source) is None
        kept.put(source, "of this save", 1)
        begun.append(model_save(models.ChosenModel(source[0])))  # under which a session keeps its sweeps
        found.append(query)
        assert models.loaded_model(*source[:2]) is models.loaded_model(*source[:2])
    assert np.abs(found[0] - found[1]).max() > 0.01
    assert begun[0] != begun[1]
    assert begun[1] == model_save(source[0])
    assert model_save(pretrained.DEFAULT) is None


def test_what_an_old_save_gave_is_given_to_nobody_once_there_is_a_new_one(tmp_path, monkeypatch):
    """Also where it was begun before, and done after, another visitor opened the new save."""
    source = str(tmp_path), False, "the keys", ""
    asked = {
        (pretrained, "record"): lambda: models.model_recording(*source).layers[1].query,
        (runs, "run"): lambda: runs.kept_run(*source).layers[1].query,
        (pretrained, "layer_metrics"): lambda: list(models.model_metrics(*source).values()),
    }
    save_model(tmp_path, seed=0)
    for seed, ((module, name), ask) in enumerate(asked.items(), start=1):
        own, saves = getattr(module, name), iter(["the new one"])

        def slow(*given, own=own, saves=saves, seed=seed, **more):
            made = own(*given, **more)
            if next(saves, None):
                save_model(tmp_path, seed, spread=1 + 3 * seed)
                models.loaded_model(*source[:2])
            return made

        with monkeypatch.context() as patched:
            patched.setattr(module, name, slow)
            old = ask()
        new = ask()
        forget_shared_results()
        np.testing.assert_array_equal(new, ask())
        assert np.nanmax(np.abs(np.subtract(new, old))) > 1e-3
