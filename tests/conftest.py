"""What all tests share."""

import os

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
    """One window for all pages of all tests, light and 1280 wide: what the pages share is loaded once."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(90_000)  # a busy machine is no failure
    yield context
    context.close()
