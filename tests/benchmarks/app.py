"""How fast the app is, and how much memory it takes, measured in a real browser on a server of its own.

Run ``python tests/benchmarks/app.py``. It prints each figure beside the one that is wanted; nothing fails.
"""

import functools
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import FIGURE, QUIET, chromium, serve, settled
from visitors import serve_smallest

STARTS = 3
MOVES = 12
VISITORS = 5
SIXTEEN = "the quick brown fox jumps over a lazy dog while two small cats look on quietly"  # words

WATCH = """([figure, label]) => {
    const first = () => [...(document.querySelector(figure)?.querySelectorAll('[aria-roledescription="rect mark"]')
        ?? [])].map((mark) => mark.getAttribute("aria-label")).join();
    window.drawn = new Promise((resolve) => {
        const before = first();
        let begun, sent;
        document.querySelector(`input[type="range"][aria-label="${label}"]`).addEventListener(
            "keydown", () => { begun = performance.now(); }, { once: true, capture: true });
        const running = new MutationObserver(() => {
            if (document.querySelector('.stApp[data-test-script-state="running"]')) sent ??= performance.now();
            const now = first();
            if (begun === undefined || now === before || !now) return;
            running.disconnect();
            requestAnimationFrame(() => resolve({ picture: performance.now() - begun, heard: sent - begun }));
        });
        running.observe(document.body, { subtree: true, childList: true, attributes: true });
    });
}"""
"""Watch for the first figure to change after a key is pressed on a slider; in milliseconds."""


def drawn(page):
    """Wait until the smallest page, which does not measure its room, has run and its figure is there."""
    page.locator(QUIET).wait_for()
    page.locator(f"{FIGURE} :is(svg, canvas)").first.wait_for()


def starts(browser, path, wait, server=serve):
    """Return the seconds from the start of the process to a page that is drawn and rests, several times."""
    times = []
    for _ in range(STARTS):
        with server() as running:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(120_000)
            page.goto(f"{running.address}/{path}")
            wait(page)
            times.append(time.perf_counter() - running.started)
            page.close()
    return times


def moves(page, address, path, label):
    """Return the seconds from a key on a slider to the new picture, and of them to the start of the script."""
    page.goto(f"{address}/{path}")
    settled(page)
    pictures, heard = [], []
    for move in range(MOVES):
        page.locator(f'input[type="range"][aria-label="{label}"]').focus()
        page.evaluate(WATCH, [FIGURE, label])
        page.keyboard.press("ArrowRight" if move % 2 == 0 else "ArrowLeft")
        times = page.evaluate("window.drawn")
        pictures.append(times["picture"] / 1000)
        heard.append((times["heard"] or 0) / 1000)
        settled(page)
    return pictures[2:], heard[2:]  # the first ones warm up what is loaded once


def memory(process):
    """Return the resident memory of a process in MB, or None where the system does not tell."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def visited(browser, running):
    """Return the memory of the server with several visitors, each on all pages and with a text of their own."""
    contexts = [browser.new_context(viewport={"width": 1280, "height": 800}) for _ in range(VISITORS)]
    for number, context in enumerate(contexts):
        page = context.new_page()
        page.set_default_timeout(120_000)
        for path in ("", "step_by_step?source=random&", "heads?", "masks?", "pretrained?"):
            page.goto(f"{running.address}/{path}{'' if not path else f'text=visitor%20{number}%20is%20here'}")
            settled(page)
    used = memory(running.process)
    for context in contexts:
        context.close()
    return used


def row(name, wanted, times, unit="s"):
    """Print one figure."""
    if not times:
        measured = "not measured"
    elif len(times) == 1:
        measured = f"{times[0]:.0f} {unit}"
    else:
        measured = f"{min(times):.2f} / {statistics.median(times):.2f} {unit}"
    print(f"{name:<62} {wanted:>9}   {measured}", flush=True)


def main():
    """Measure everything and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a start compiles what the one before has compiled nowhere else
    print(f"{'figure':<62} {'wanted':>9}   measured (least / median)")
    with chromium() as browser:
        if browser is None:
            sys.exit("there must be a Chromium, found none")
        row("start of the process to the smallest page, shown", "", starts(browser, "", drawn, serve_smallest))
        for name, wanted, path, figures in (
            ("start of the process to Home, interactive", "< 3 s", "", 1),
            ("start of the process to Pretrained, shown", "< 6 s", "pretrained", 2),
        ):
            row(name, wanted, starts(browser, path, functools.partial(settled, figures=figures, rest=0)))
        with serve() as running:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(120_000)
            text = f"source=random&text={SIXTEEN.replace(' ', '%20')}"
            for name, wanted, path, label in (
                ("Step by step, slider to picture, 16 tokens", "< 0.3 s", f"step_by_step?{text}", "d_k"),
                ("Masks, slider to picture, 16 tokens", "< 0.3 s", f"masks?{text}&mask=window", "Width to each side, in tokens"),  # noqa: E501
                ("Pretrained, another head", "< 0.4 s", "pretrained", "Head"),
                ("Pretrained, another layer", "< 0.4 s", "pretrained", "Layer"),
            ):  # fmt: skip
                pictures, heard = moves(page, running.address, path, label)
                row(name, wanted, pictures)
                row("  of which until the script runs", "", heard)
            page.close()
            used = visited(browser, running)
        row(f"memory of the server, MiniLM loaded, {VISITORS} visitors", "< 900 MB", [used] if used else [], "MB")


if __name__ == "__main__":
    main()
