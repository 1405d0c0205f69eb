"""Take the pictures of the README.

Run ``python tests/screenshots.py`` to start a server for it, or give the address of one that runs.
"""

import contextlib
import sys
from pathlib import Path

from serving import chromium, serve, settled

FOLDER = Path(__file__).parent / "screenshots"
SHOTS = (  # file, link, colour scheme, figures
    ("step_by_step.png", "step_by_step?stage=products", "light", 2),
    ("pretrained.png", "pretrained", "dark", 2),
)
LARGEST = 300_000  # bytes


def take(browser, address):
    """Save every picture, 1280 by 800 pixels."""
    FOLDER.mkdir(exist_ok=True)
    for name, link, scheme, figures in SHOTS:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{address}/{link}")
        settled(page, figures, rest=1500)
        page.screenshot(path=FOLDER / name)
        context.close()
        size = (FOLDER / name).stat().st_size
        if size >= LARGEST:
            sys.exit(f"{name} must be smaller than {LARGEST} bytes, got {size}")
        print(f"{FOLDER / name}: {size / 1000:.0f} kB")


def main():
    """Take the pictures from the server whose address is given, or from a new one."""
    given = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else None
    with chromium() as browser, contextlib.nullcontext() if given else serve() as running:
        if browser is None:
            sys.exit("there must be a Chromium, found none")
        take(browser, given or running.address)


if __name__ == "__main__":
    main()
