"""Many visitors, one model: no change leaks into another's pass, heavy runs wait their turn, stop stops."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from test_intervention import GROUPED, SENTENCE, build
from threadpoolctl import threadpool_info

from attn import pretrained
from attn.pretrained import threads
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.generation import generate
from attn.pretrained.intervention.head_ablation import ablate_heads
from attn.pretrained.intervention.prediction import predictions, probability_of, similarity
from attn.pretrained.intervention.run import run
from attn.pretrained.threads import Queue, Stopped, heavy, one_numpy_thread

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VISITORS = [
    Changes(),
    Changes(off=[(0, 1), (2, 3)]),
    Changes(patterns={(1, 2): "uniform", (2, 0): "first"}),
    Changes(hidden=[3]),
    Changes(causal_mask_removed=True),
    Changes(window=1),
    Changes(scale=1),
    Changes(temperature=0.3),
    Changes(shuffled=5),
    Changes(off=[(1, 1)], window=3, temperature=2),
]


@pytest.fixture(scope="module")
def decoder():
    config = GROUPED | {"vocab_size": 30522, "eos_token_id": 102}
    return pretrained.wrap(build("LlamaForCausalLM", **config), pretrained.load().tokenizer)


def at_once(work, count):
    """Begin `count` calls of a function in the same moment, each in a thread of its own."""
    start = threading.Barrier(count)

    def begin(number):
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_no_change_leaks_into_the_pass_of_another(decoder):
    """Ten visitors with ten changes on one model, besides plain passes, recordings, sweeps and writing."""
    ids = decoder.tokenizer(SENTENCE, return_tensors="pt")["input_ids"]
    alone = [run(decoder, SENTENCE, changes, positions=range(ids.shape[1])) for changes in VISITORS]
    for one, changes in enumerate(alone):
        for other in alone[:one]:
            assert np.abs(changes.logits - other.logits).max() > 0.01  # they could be told apart
    texts = [generate(decoder, SENTENCE, 3, changes).text for changes in VISITORS]
    ablation = ablate_heads(decoder, SENTENCE, probability_of(7), changes=VISITORS[1]).after
    queries = pretrained.record(decoder, SENTENCE).layers[2].query
    with torch.inference_mode():
        plain = decoder.model(ids).logits[0].numpy()

    def visit(number):
        for turn in range(3):
            this = run(decoder, SENTENCE, VISITORS[number], positions=range(ids.shape[1]))
            np.testing.assert_allclose(this.logits, alone[number].logits, rtol=0, atol=1e-5)
            for one, other in zip(this.layers, alone[number].layers, strict=True):
                np.testing.assert_allclose(one.output, other.output, rtol=0, atol=1e-5)
            if (number + turn) % 3 == 0:
                assert generate(decoder, SENTENCE, 3, VISITORS[number]).text == texts[number]
            elif (number + turn) % 3 == 1:
                again = ablate_heads(decoder, SENTENCE, probability_of(7), changes=VISITORS[1]).after
                np.testing.assert_allclose(again, ablation, rtol=1e-3)
            np.testing.assert_allclose(pretrained.record(decoder, SENTENCE).layers[2].query, queries, atol=1e-5)
            with torch.inference_mode():
                np.testing.assert_allclose(decoder.model(ids).logits[0], plain, rtol=0, atol=1e-4)

    at_once(visit, len(VISITORS))


def test_no_change_leaks_between_visitors_of_minilm():
    minilm = pretrained.load()
    pair = "Apple sells phones.", "She ate an apple."

    def visit(number):
        changes = Changes(off=[(5, 5)]) if number % 2 else None
        return similarity(*(run(minilm, text, changes, keep=False) for text in pair))

    numbers = at_once(visit, 10)
    np.testing.assert_allclose(numbers[::2], numbers[0], atol=1e-5)
    np.testing.assert_allclose(numbers[1::2], numbers[1], atol=1e-5)
    assert numbers[0] - numbers[1] > 0.1


def test_a_tokenizer_works_for_one_visitor_at_a_time(decoder, monkeypatch):
    """While a text is cut, a tokenizer can decode nothing: writing and naming predictions wait for it, too."""
    inside = threading.RLock()  # a tokenizer calls itself

    def alone(method):
        def guarded(*args, **options):
            assert inside.acquire(blocking=False), "two are in one tokenizer"
            time.sleep(0.001)
            try:
                return method(*args, **options)
            finally:
                inside.release()

        return guarded

    for name in ("decode", "convert_ids_to_tokens", "set_truncation_and_padding"):
        monkeypatch.setattr(decoder.tokenizer, name, alone(getattr(decoder.tokenizer, name)))
    again = pretrained.wrap(decoder.model, decoder.tokenizer)  # the lock is the tokenizer's

    def visit(number):
        if number % 2:
            return generate(decoder, SENTENCE, 3).text
        return tuple(word.text for word in predictions(run(again, SENTENCE), 5))

    found = at_once(visit, 4)
    assert found[0] == found[2]
    assert len(found[0]) == 5
    assert found[1] == found[3] != ""


def test_a_pass_that_fails_or_stops_leaves_nothing_behind(decoder):
    before, threads_before = run(decoder, SENTENCE).logits, numpy_threads()
    for attempt in (
        lambda: run(decoder, SENTENCE, Changes(off=[(2, 99)])),
        lambda: run(decoder, SENTENCE, Changes(causal_mask_removed=True), should_stop=lambda: True),
    ):
        with pytest.raises(pretrained.ModelError):
            attempt()
        np.testing.assert_array_equal(run(decoder, SENTENCE).logits, before)
    assert numpy_threads() == threads_before


# a queue for heavy runs


def test_at_most_so_many_are_inside_and_the_others_come_in_order():
    queue, inside, most, order = Queue(2), [], [], []
    places = {number: [] for number in range(8)}
    lock = threading.Lock()

    def visit(number):
        time.sleep(0.05 * number)
        with queue.turn(places[number].append):
            with lock:
                inside.append(number)
                order.append(number)
                most.append(len(inside))
            time.sleep(0.3)
            with lock:
                inside.remove(number)

    at_once(visit, 8)
    assert max(most) == 2
    # two that are let in at one moment may be written down either way round
    assert all(abs(place - number) <= 1 for place, number in enumerate(order))
    assert places[0] == places[1] == []
    assert places[2][0] == 1
    for told in places.values():  # nobody falls back, and everybody who waits hears of each step
        assert told == sorted(told, reverse=True)
        assert len(set(told)) == len(told)
        assert not told or told[-1] <= 2  # the second is let in with the first where both places fall free at once
    assert max(places[7]) >= 4
    assert (queue.inside, queue.waiting) == (0, 0)


def test_who_waits_can_give_up_and_those_behind_move_up():
    queue, gave_up, told = Queue(1), threading.Event(), []
    entered = threading.Event()

    def impatient():
        with pytest.raises(Stopped, match="stopped while waiting"), queue.turn(should_stop=gave_up.is_set):
            raise AssertionError

    def patient():
        with queue.turn(told.append):
            entered.set()

    with queue.turn():
        first = threading.Thread(target=impatient)
        first.start()
        while queue.waiting < 1:
            time.sleep(0.01)
        second = threading.Thread(target=patient)
        second.start()
        while queue.waiting < 2 or not told:
            time.sleep(0.01)
        gave_up.set()
        first.join(5)
        while queue.waiting > 1 or told[-1] > 1:
            time.sleep(0.01)
        assert told == [2, 1]
        assert not entered.is_set()
    second.join(5)
    assert entered.is_set()
    assert (queue.inside, queue.waiting) == (0, 0)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_inside_or_while_waiting_frees_the_place(error):
    queue = Queue(1)

    def fail(*_):
        raise error

    with pytest.raises(error), queue.turn():
        fail()
    with queue.turn():
        caught = []

        def wait():
            try:
                with queue.turn(fail):
                    pass
            except error as raised:
                caught.append(raised)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(5)
        assert len(caught) == 1
        assert (queue.inside, queue.waiting) == (1, 0)
    assert queue.inside == 0


def test_who_wants_to_be_alone_waits_for_all_and_is_overtaken_by_nobody():
    queue, order, let_go = Queue(2), [], threading.Event()

    def enter(name, alone):
        with queue.turn(alone=alone):
            order.append((name, queue.inside))
            let_go.wait(10)

    with queue.turn():
        others = [threading.Thread(target=enter, args=each) for each in (("alone", True), ("last", False))]
        for waiting, thread in enumerate(others, 1):
            thread.start()
            while queue.waiting < waiting:
                time.sleep(0.005)
        assert (queue.inside, order) == (1, [])  # a place is free, and stays so
    while not order:
        time.sleep(0.005)
    assert (order, queue.waiting) == ([("alone", 1)], 1)
    let_go.set()
    for thread in others:
        thread.join(10)
    assert [name for name, _ in order] == ["alone", "last"]
    assert (queue.inside, queue.waiting) == (0, 0)


@pytest.fixture
def alone():
    """Wait until work that a page began in another test, and that nobody waits for any more, has ended."""
    until = time.monotonic() + 60
    while threads.heavy_queue.inside and time.monotonic() < until:
        time.sleep(0.05)


@pytest.mark.usefixtures("alone")
def test_heavy_runs_share_one_queue():
    assert threads.AT_ONCE >= 1
    told = []
    with heavy(told.append):
        assert threads.heavy_queue.inside == 1
    assert told == []
    assert threads.heavy_queue.inside == 0


# threads of numpy


def numpy_threads():
    """Return how many threads numpy's matrix product uses."""
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.usefixtures("alone")
def test_numpy_is_held_to_one_thread_until_the_last_is_done():
    before = numpy_threads()
    with one_numpy_thread():
        assert numpy_threads() == {1}
        with one_numpy_thread():
            assert numpy_threads() == {1}
        assert numpy_threads() == {1}
    assert numpy_threads() == before


@pytest.mark.usefixtures("alone")
def test_who_leaves_last_gives_back_what_another_has_taken_who_is_still_alive():
    before, hold = numpy_threads(), one_numpy_thread()
    with ThreadPoolExecutor(1) as other:
        other.submit(hold.__enter__).result()
        with one_numpy_thread():
            other.submit(hold.__exit__, None, None, None).result()
            assert numpy_threads() == {1}
        assert numpy_threads() == before


@pytest.mark.usefixtures("alone")
def test_a_pass_does_not_change_how_many_threads_there_are(decoder):
    before = numpy_threads(), torch.get_num_threads()
    at_once(lambda number: run(decoder, SENTENCE, VISITORS[number]), 6)
    assert (numpy_threads(), torch.get_num_threads()) == before
