"""Visitors who leave, and visitors who want much: what they began ends, and nobody waits behind all of it."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from serving import ROOT, serve
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string
from visiting import Visitor

from attn import pretrained
from attn.pretrained.threads import Queue, Stopped
from attn.ui import jobs, models, visitor

PAGE = f"""
import sys
import time
from pathlib import Path

sys.path.insert(0, {str(ROOT)!r})

import streamlit as st

from attn.ui import jobs, visitor

visitor.GONE = 0.2
told = Path(__file__).parent / "told"


def tell(words):
    with told.open("a") as file:
        file.write(words + "\\n")


def work(progress, should_stop):
    tell("job begins")
    while not should_stop():
        time.sleep(0.01)
    tell("job ends")


tell("browser " + visitor.this_visit().browser)
if "job" in st.query_params:
    st.session_state.job = jobs.Job(work)
if "loop" in st.query_params:
    tell("loop begins")
    try:
        for _ in visitor.while_visited(range(2000)):
            time.sleep(0.01)
        tell("loop is done")
    finally:
        tell("loop ends")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A page whose work takes long, and the file in which it tells what it does."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "app.py").write_text(PAGE)
    with serve(folder) as running:
        yield running.address, folder / "told"


def run(visit):
    """Run a visit in a thread of its own: the browser of other tests may have the loop of this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, visit()).result()


async def until(told, words):
    """Wait until a page has told something."""
    end = time.monotonic() + 15
    while words not in (told.read_text().splitlines() if told.exists() else ()):
        assert time.monotonic() < end, f"{words} was never told"
        await asyncio.sleep(0.02)


def test_a_long_run_of_a_page_ends_when_its_visitor_leaves(served):
    address, told = served

    async def visit():
        one = Visitor(address)
        opening = asyncio.create_task(one.open("", "loop=1"))
        await until(told, "loop begins")
        await one.close()
        await until(told, "loop ends")
        opening.cancel()

    run(visit)
    assert "loop is done" not in told.read_text()


def test_work_beside_a_page_ends_when_the_page_is_closed_and_not_before(served):
    address, told = served

    async def visit():
        one = Visitor(address)
        await one.open("", "job=1")
        await until(told, "job begins")
        await asyncio.sleep(0.5)  # longer than after the page is closed
        assert "job ends" not in told.read_text()
        await one.close()
        await until(told, "job ends")

    run(visit)


def test_pages_of_one_browser_are_known_to_be_of_one(served):
    """Streamlit masks the token in its cookie anew with each page."""
    address, told = served
    tokens = [bytes(range(16)), bytes(range(16)), b"another browser."]

    async def visit():
        for token in tokens:
            one = Visitor(address)
            one.cookie = f"_streamlit_xsrf={generate_xsrf_token_string(token)}"
            await one.open("")
            await one.close()

    run(visit)
    browsers = [line for line in told.read_text().splitlines() if line.startswith("browser")][-3:]
    assert browsers == [f"browser {token.hex()}" for token in tokens]


def test_nobody_waits_behind_many_of_one_visitor():
    queue, order, let_go = Queue(1), [], threading.Event()

    def enter(owner):
        with queue.turn(owner=owner):
            order.append(owner)
            let_go.wait(10)

    threads = []
    for owner in ["many"] * 10 + ["one", "many", "other", "one"]:
        threads.append(threading.Thread(target=enter, args=(owner,)))
        threads[-1].start()
        while queue.inside + queue.waiting < len(threads):
            time.sleep(0.005)
    assert (order, queue.waiting) == (["many"], 13)
    let_go.set()
    for thread in threads:
        thread.join(10)
    assert order == ["many", "one", "other", "many", "one", *["many"] * 9]


def test_what_a_visitor_left_says_so_to_one_who_comes_back(monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.05)

    def work(progress, should_stop):
        while not should_stop():
            time.sleep(0.01)

    job = jobs.Job(work)
    job.wait(10)
    assert not job.stopped
    assert job.error == "The run ended because its page was left: begin it again, and stay until it is done."


def go_on(progress, should_stop):
    """Work without an end of its own."""
    while not should_stop():
        time.sleep(0.01)


@pytest.fixture
def reach(monkeypatch):
    """The sessions of a server whose pages are out of reach, to be changed by a test."""
    away = set()
    server = SimpleNamespace(is_active_session=lambda session: session not in away)
    monkeypatch.setattr(visitor, "runtime", SimpleNamespace(exists=lambda: True, get_instance=lambda: server))
    return away


def test_a_page_is_left_only_after_it_was_away_for_some_seconds(reach, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(visitor, "time", SimpleNamespace(monotonic=lambda: clock.now))
    page, other = visitor.Visit("page", "browser"), visitor.Visit("other", "browser")
    assert not page.is_over
    for _ in range(2):  # it comes back, and the seconds begin anew
        reach.add("page")
        assert page.is_away
        assert not page.is_over
        clock.now += visitor.GONE - 1
        assert not page.is_over
        reach.clear()
        assert not page.is_over
    reach.add("page")
    assert not page.is_over
    clock.now += visitor.GONE
    assert visitor.Visit("page", "browser").is_over  # every run of a page has a visit of its own
    assert not other.is_over


def test_a_page_that_comes_back_soon_keeps_its_work_whatever_other_pages_of_its_browser_do(reach, monkeypatch):
    monkeypatch.setattr(jobs.st, "session_state", {})
    monkeypatch.setattr(jobs, "await_job_end", lambda left: None)
    pages = [visitor.Visit(name, "browser") for name in "ab"]
    monkeypatch.setattr(jobs, "this_visit", lambda: pages[0])
    job = jobs.Job(go_on, about="text")
    job.key = "page.job"
    monkeypatch.setattr(jobs, "this_visit", lambda: pages[1])
    reach.add("a")
    assert jobs.job_failure("page.job", "text") is None
    time.sleep(0.1)
    reach.clear()
    assert jobs.job_failure("page.job", "text") is None
    assert job.running
    assert not job.stopped
    job.stop()
    job.wait(10)


def test_a_page_that_was_loaded_anew_says_that_what_it_had_begun_has_ended(reach, monkeypatch):
    monkeypatch.setattr(visitor, "GONE", 0.05)
    state, awaited = {}, []
    monkeypatch.setattr(jobs.st, "session_state", state)
    monkeypatch.setattr(jobs, "await_job_end", lambda left: awaited.extend(left))
    visits = {name: visitor.Visit(name, name[0]) for name in ("a old", "a", "b")}
    monkeypatch.setattr(jobs, "this_visit", lambda: visits["a old"])
    let_go = threading.Event()

    def work(progress, should_stop):
        go_on(progress, should_stop)
        let_go.wait(10)

    job = jobs.Job(work, about="text")
    job.key = "page.job"
    reach.add("a old")
    for other, key, about in (("b", "page.job", "text"), ("a", "page.other", "text"), ("a", "page.job", "other text")):
        monkeypatch.setattr(jobs, "this_visit", lambda other=other: visits[other])
        assert jobs.job_failure(key, about) is None
    assert not awaited
    assert jobs.job_failure("page.job", "text") is None
    assert awaited == [job]  # the page is drawn again when it has ended
    let_go.set()
    job.wait(10)
    assert not job.running
    for _ in range(2):  # the page runs again once it knows its width
        assert jobs.job_failure("page.job", "text").startswith("The run ended because its page was left")
    assert jobs.job_failure("page.job", "other text") is None
    assert jobs.job_failure("page.job", "text") is None


def test_why_work_failed_is_said_until_the_page_is_about_something_else(monkeypatch):
    state = {}
    monkeypatch.setattr(jobs.st, "session_state", state)

    def fail(progress, should_stop):
        raise OSError("no room")

    for about, last in (("text", "other text"), ("text", "text")):
        state["page.job"] = jobs.Job(fail, about=about)
        state["page.job"].wait(10)
        assert jobs.running_job("page.job") is None
        for _ in range(2):
            assert jobs.job_failure("page.job", about) == "The run could not go on: no room"
        assert (jobs.job_failure("page.job", last) is None) == (last != about)
    state["page.job"] = jobs.Job(lambda progress, should_stop: None, about="text")
    state["page.job"].wait(10)
    jobs.running_job("page.job")
    assert jobs.job_failure("page.job", "text") is None


def test_work_is_begun_while_other_pages_look_for_theirs(monkeypatch):
    monkeypatch.setattr(jobs.st, "session_state", {})
    ended, begun = [], []

    def look():
        try:
            while not begun:
                jobs.job_failure("page.job", "text")
        except RuntimeError as error:
            ended.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    kept = [jobs.Job(lambda progress, should_stop: None) for _ in range(200)]
    begun.append(True)
    looking.join(10)
    assert len(kept) == 200
    assert not ended


def test_a_download_ends_when_its_visitor_leaves(reach, monkeypatch):
    """Also where what brings the files tells of them in another thread than the page's."""
    monkeypatch.setattr(visitor, "GONE", 0)
    told, ended = [], []
    monkeypatch.setattr(models, "this_visit", lambda: visitor.Visit("page", "browser"))
    monkeypatch.setattr(models.st, "button", lambda *args, **kwargs: True)

    def fetch(found, progress):
        progress(1_000_000, 3_000_000)
        progress(2_000_000, None)  # the hub does not say how large it is
        told.append("while it is visited")
        reach.add("page")
        try:
            progress(3_000_000, 3_000_000)
        except Stopped:
            ended.append(found.name)
            raise

    def missing(name, settings):
        return pretrained.Preflight(name, "hub", 3_000_000, None, None, ())

    monkeypatch.setattr(models.pretrained, "inspect", missing)
    monkeypatch.setattr(models.pretrained, "fetch", fetch)
    with pytest.raises(Stopped):
        models.permit_model("lab/one")
    assert told
    assert ended == ["lab/one"]


def test_outside_a_server_nobody_leaves():
    assert not visitor.this_visit().is_over
    assert list(visitor.while_visited("ab")) == ["a", "b"]
