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

from attn.pretrained.threads import Queue
from attn.ui import jobs, visitor

PAGE = f"""
import sys
import time
from pathlib import Path

sys.path.insert(0, {str(ROOT)!r})

import streamlit as st

from attn.ui import jobs, visitor

jobs.GONE = 0.2
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


def test_a_page_that_was_loaded_anew_ends_what_it_had_begun_and_says_so(monkeypatch):
    state = {}
    monkeypatch.setattr(jobs.st, "session_state", state)

    def work(progress, should_stop):
        while not should_stop():
            time.sleep(0.01)

    visits = {name: SimpleNamespace(browser=name[0], is_over=name.endswith("old")) for name in ("a old", "a", "b")}
    monkeypatch.setattr(jobs, "this_visit", lambda: visits["a old"])
    job = jobs.Job(work)
    job.key = "page.job"
    for other, key in (("b", "page.job"), ("a", "page.other")):
        monkeypatch.setattr(jobs, "this_visit", lambda other=other: visits[other])
        assert jobs.job_failure(key) is None
        assert job.running
    monkeypatch.setattr(jobs, "this_visit", lambda: visits["a"])
    for _ in range(2):  # the page runs again once it knows its width
        assert jobs.job_failure("page.job").startswith("The run ended because its page was left")
    job.wait(10)
    assert not job.running
    state["page.job"] = jobs.Job(lambda progress, should_stop: None)
    jobs.running_job("page.job")
    assert jobs.job_failure("page.job") is None


def test_outside_a_server_nobody_leaves():
    assert not visitor.this_visit().is_over
    assert list(visitor.while_visited("ab")) == ["a", "b"]
