"""What the figures of each page cost to make, beside what Altair alone takes to write the same ones.

Run ``python tests/benchmarks/figures.py``, or name pages. Each page is drawn some times over without a browser, and the
CPU of the thread that runs its script is counted: to build its figures, to write them as specifications, to hand them
to Streamlit, and for all else, such as the mathematics and the controls. The last column is the second over the time
of Altair's own ``to_dict`` for the same figures.
"""

import functools
import gc
import inspect
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import streamlit as st
from driving import PAGES, opened
from streamlit.runtime.scriptrunner import script_runner

from attn import charts
from attn.ui.kept_figures import kept_figures

RUNS = 5
PARTS = ("build", "specify", "hand over", "all else")


class Clock:
    """CPU of the thread that runs a page, by what it is taken for; what runs inside something else is not its."""

    def __init__(self):
        self.taken, self._running = dict.fromkeys(PARTS, 0.0), []

    def counted(self, part, function):
        """Return `function`, its time counted as that of a part."""

        @functools.wraps(function)
        def run(*arguments, **keywords):
            start, inner = time.thread_time(), 0.0
            self._running.append(0.0)
            try:
                return function(*arguments, **keywords)
            finally:
                whole, inner = time.thread_time() - start, self._running.pop()
                self.taken[part] += whole - inner
                if self._running:
                    self._running[-1] += whole

        return run


def watched(clock, seen):
    """Count the time of everything that makes figures, and keep each figure that is drawn in `seen`."""
    for name in charts.__all__:
        made = getattr(charts, name)
        if (inspect.isfunction(made) and "theme" in inspect.signature(made).parameters) or name in ("beside", "above"):
            setattr(charts, name, clock.counted("build", made))
    write = clock.counted("specify", charts.specification)

    def specification(chart):
        seen.append(chart)
        return write(chart)

    charts.specification = specification
    st.vega_lite_chart = clock.counted("hand over", st.vega_lite_chart)
    script_runner.exec_func_with_error_handling = clock.counted("all else", script_runner.exec_func_with_error_handling)


def median_ms(function, *arguments):
    """Return the median milliseconds of CPU that a call takes."""
    times = []
    for _ in range(RUNS):
        start = time.thread_time()
        function(*arguments)
        times.append(time.thread_time() - start)
    return 1000 * statistics.median(times)


def main(pages):
    """Measure the pages and print the table."""
    clock, seen = Clock(), []
    watched(clock, seen)
    print(f"{'page':<14}{'figures':>8}" + "".join(f"{part:>11}" for part in (*PARTS, "together")) + "   over Altair's")
    for page in pages:
        app = opened(page, room=1200).run()  # the second run finds all that is loaded once
        rows = []
        for _ in range(RUNS):
            gc.collect()
            seen.clear()
            kept_figures().clear()  # else what was drawn before would only be shown again
            clock.taken = dict.fromkeys(PARTS, 0.0)
            app.run()
            rows.append([1000 * clock.taken[part] for part in PARTS])
        middle = [statistics.median(column) for column in zip(*rows, strict=True)]
        altair = sum(median_ms(chart.to_dict) for chart in seen)
        print(
            f"{page:<14}{len(seen):>8}"
            + "".join(f"{ms:>8.1f} ms" for ms in (*middle, sum(middle)))
            + f"   {middle[1] / altair:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:] or PAGES)
