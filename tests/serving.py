"""The app on a server of its own, and a headless Chromium to look at it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
QUIET = '.stApp[data-test-script-state="notRunning"]'  # the script has run to its end
REST = 250  # milliseconds after which nothing more is to be expected
FIGURE = '[data-testid="stVegaLiteChart"]'


class Served(NamedTuple):
    """A running server."""

    address: str
    process: subprocess.Popen
    started: float  # by `time.perf_counter`


@contextlib.contextmanager
def serve(folder=ROOT, port=None, **settings):
    """Run the app on a port of this machine, without a network for models, until the block ends.

    Parameters
    ----------
    folder : Path
        Of the app: what runs is its app.py, with the settings that it has there.
    port : int, optional
        By default a free one.
    **settings
        More environment variables.
    """
    port = free_port() if port is None else port
    command = [
        sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true",
        "--server.address", "127.0.0.1", "--server.port", str(port),
    ]  # fmt: skip
    environment = os.environ | {"HF_HUB_OFFLINE": "1"} | settings
    with tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            running = Served(f"http://127.0.0.1:{port}", process, started)
            _wait_for(running, log)
            yield running
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextlib.contextmanager
def chromium():
    """Start a headless Chromium: one that is installed, or Playwright's own; None where there is neither."""
    from playwright.sync_api import Error, sync_playwright

    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=installed, args=list(FLAGS))
        except Error:
            browser = None
        try:
            yield browser
        finally:
            if browser:
                browser.close()


def settled(page, figures=1, rest=REST):
    """Wait until a page has measured its room, its script has rested for a while, and its figures are drawn.

    A page that never does says what it shows instead.
    """
    page.evaluate("window.restingSince = undefined")
    try:
        page.wait_for_function(
            """([quiet, figure, figures, rest]) => {
                const drawn = [...document.querySelectorAll(figure)].filter((one) => one.querySelector("svg, canvas"));
                const still = document.querySelector(quiet) && !document.querySelector("[data-stale=true]");
                const measured = document.querySelector("[data-page-width]");
                if (!still || !measured || drawn.length < figures) window.restingSince = undefined;
                else window.restingSince ??= performance.now();
                return performance.now() - window.restingSince >= rest;
            }""",
            arg=[QUIET, FIGURE, figures, rest],
        )
    except Exception as error:  # Playwright's own, which is not imported where there is no browser
        shown = page.evaluate(
            """([quiet, figure]) => ({
                resting: Boolean(document.querySelector(quiet)),
                stale: document.querySelectorAll("[data-stale=true]").length,
                measured: document.querySelector("[data-page-width]")?.dataset.pageWidth,
                figures: [...document.querySelectorAll(figure)].map((one) => Boolean(one.querySelector("svg, canvas"))),
                words: document.body.innerText.slice(0, 2000),
            })""",
            [QUIET, FIGURE],
        )
        raise AssertionError(f"{page.url} must come to rest with {figures} figures, shows {shown}") from error


def by_menu(page, label):
    """Go to another page by its name in the menu, folded or not: that takes a third of the time."""
    link = page.get_by_test_id("stSidebar").get_by_role("link", name=label, include_hidden=True)
    link.first.dispatch_event("click")
    page.wait_for_function("label => document.title.startsWith(label)", arg=label)


def taken_away(page, name, figure=0):
    """Return the path of a file that the menu "Take it away" of a figure saves under this name."""
    page.get_by_role("button", name="Take it away").nth(figure).click()
    settled(page)
    button = page.get_by_test_id("stPopoverBody").get_by_role("button", name=name)
    with page.expect_download() as waiting:
        button.click()
    return waiting.value.path()


def free_port():
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(running, log):
    """Return when the server answers; say what it printed if it never does."""
    while time.perf_counter() < running.started + 60:
        if running.process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{running.address}/_stcore/health", timeout=5).close()
            return
        time.sleep(0.02)
    log.seek(0)
    raise RuntimeError(f"the server must answer within a minute, got:\n{log.read().decode(errors='replace')}")
