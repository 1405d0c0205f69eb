"""Take the pictures of the pages' main figures that `test_browser_pictures` compares with: one command after a change.

Run ``python tests/refresh_pictures.py``, look at what has changed, and commit it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, tests know their own folder alone

from driving import PAGES
from serving import FIGURE, chromium, serve, settled

FOLDER = Path(__file__).parent / "pictures"
LINKS = {page: f"/{page}" for page in PAGES} | {
    "home": "/",
    "step_by_step": "/step_by_step?stage=weights",  # the tokens alone, where it begins, hold no matrix
    "pretrained": "/pretrained?unscaled=1",  # else its difference is that of rounding, which processors do unlike
}
SIZE = {"width": 1280, "height": 2000}  # pixels of the window


def taken(tab, address, page):
    """Return the first figure of a page as PNG bytes, as it looks in a light window of `SIZE`."""
    tab.set_viewport_size(SIZE)
    tab.goto(f"{address}{LINKS[page]}")
    settled(tab)
    return tab.locator(FIGURE).first.screenshot(animations="disabled")


def main():
    """Take every picture from a server of its own."""
    FOLDER.mkdir(exist_ok=True)
    with chromium() as browser, serve() as running:
        if browser is None:
            sys.exit("there must be a Chromium, found none")
        tab = browser.new_page(color_scheme="light")
        tab.set_default_timeout(90_000)  # a busy machine is no failure
        for page in PAGES:
            path = FOLDER / f"{page}.png"
            path.write_bytes(taken(tab, running.address, page))
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
