"""What all tests share."""

import os
import sys

import pytest
from heads import TEXTS
from hypothesis import settings

# Set before anything imports huggingface_hub, which reads it once: no test asks the network.
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("attn", deadline=None)  # a busy machine is no failure
settings.load_profile("attn")


def pytest_addoption(parser):
    """Add what takes too long to be asked for each time."""
    parser.addoption("--every-width", action="store_true", help="Look at every tab of every page on every screen.")


@pytest.fixture(autouse=True)
def no_room_left_open():
    """Close the rooms that a test opened: all pages that run in a process of tests are of one visitor."""
    yield
    if rooms := sys.modules.get("attn.ui.rooms"):
        rooms.open_rooms.clear()


@pytest.fixture(scope="module")
def one_thread():
    """One thread of torch: the matrices are small, and threads that wait for one another are slow."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def encoder():
    """The default model, in numpy."""
    from attn.pretrained import bert

    return bert.load()


@pytest.fixture(scope="module", params=TEXTS.values(), ids=TEXTS)
def encoded(request, encoder):
    """Each of a few texts as that model reads it."""
    from attn.pretrained import bert

    return bert.encode(encoder, request.param)


@pytest.fixture(scope="session")
def server():
    """Address of the app, served to itself alone for as long as the tests run."""
    from serving import serve

    with serve() as running:
        yield running.address


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium; where there is none the test is skipped, but never under CI."""
    import serving

    with serving.chromium() as browser:
        if browser is None and os.environ.get("CI") == "true":
            pytest.fail("there must be a Chromium under CI, found none")
        if browser is None:
            pytest.skip("no Chromium")
        yield browser


@pytest.fixture(scope="session")
def window(chromium):
    """One window for all pages of all tests: what the pages share is loaded once."""
    context = chromium.new_context()
    context.set_default_timeout(90_000)  # a busy machine is no failure
    yield context
    context.close()


@pytest.fixture
def tab(window):
    """The one tab of that window, light, 1280 by 800, and as a new visitor has it.

    Each address that it opens is a new session. A tab of its own for each test would compile the app's code anew, which
    takes as long as the page itself.
    """
    page = window.pages[0] if window.pages else window.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    yield page
    for other in window.pages[1:]:
        other.close()
    page.evaluate("localStorage.clear(); sessionStorage.clear()")  # nothing of this visitor is left for the next
    page.goto("about:blank")
    window.clear_cookies()
