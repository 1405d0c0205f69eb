"""Measuring attention on this machine: the controls, the run with its progress, and what came of it."""

import math
from contextlib import closing
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import blockwise, charts, cost, scaled_dot_product_attention
from attn.pretrained import timing
from attn.ui import jobs
from attn.ui.jobs import Job
from attn.ui.page import page_draw, page_figure
from attn.ui.pages.cost.curves import CORES, Setup
from attn.ui.pages.cost.tiles import TILES_FORMULA
from attn.ui.pages.cost.units import bytes_in_units, growth_in_units, ratio_in_units, seconds_in_units
from attn.ui.state import as_text
from attn.ui.width import page_width
from attn.words import listed

TILES_FOOTNOTE = (  # letters are those of the formula
    "`attn.blockwise` does this. For each query $m$ is the largest score so far, $\\ell$ the sum of exponentials, $c$ "
    "that of values; $m'$, $\\ell'$ and $c'$ are the same after one tile more, with scores $s_j$ and values $v_j$:"
    f"\n\n$${TILES_FORMULA}$$\n\nThe output is $c / \\ell$ after the last tile."
)
RUNNING = "cost.measuring.job"  # where the session holds the measurement that runs


def cost_timing_controls(state):
    """Draw what is measured, and return whether to begin."""
    longest = sorted({512, 1024, 2048, 4096, 8192} | {state.get("most")})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.select_slider(
            "Longest text", longest, key=state.key("most"), width=220,
            format_func=lambda n: f"{n:,}", help="In tokens. Lengths double from 128 up to this one.",
        )  # fmt: skip
        st.slider(
            "Heads measured",
            1,
            16,
            key=state.key("heads"),
            width=180,
            help="How many heads are measured, each of 64 numbers.",
        )
        st.segmented_control(
            "Cores", CORES, format_func=CORES.get, key=state.key("cores"), required=True,
            help="One core gives steady numbers even while the machine has other work.",
        )  # fmt: skip
        st.toggle(
            "Causal",
            key=state.key("causal"),
            help="Each token sees itself and what came before, never what comes after.",
        )
        return st.button(
            "Measure on this machine", type="primary", icon=":material/timer:", key=state.key("measure"),
            disabled=jobs.running_job(RUNNING) is not None,
        )  # fmt: skip


def cost_timing_tiles_reading():
    """Say what the tiles are, and how exact."""
    return (
        "Not all scores need be there at once. Queries and keys can be gone through in small tiles, of which three "
        "things are kept for each query: the largest score so far, the sum of exponentials, and the values added up "
        "by them. No n × n matrix is ever held, and the result is the same: for 512 tokens the largest difference is "
        f"**{_difference():.8f}**, which is rounding."
    )


def cost_timing_results():
    """Return how exact the tiles are, by the name that a story may ask for."""
    return {"gap": _difference()}


@st.cache_data(show_spinner=False)
def _difference():
    """Return the largest difference between attention in tiles and with the whole matrix, in float32."""
    inputs = np.random.default_rng(0).standard_normal((3, 4, 512, 64), dtype=np.float32)
    return float(np.abs(blockwise.attention(*inputs) - scaled_dot_product_attention(*inputs).context).max())


class Run(NamedTuple):
    """One measurement: what was asked for and what has come of it."""

    setup: Setup
    found: list  # of Measured

    @property
    def lengths(self):
        """The lengths that were asked for."""
        return timing.timing_lengths(self.setup.most)

    @property
    def job(self):
        """What is asked for, as `attn.pretrained.timing.measure_timing` takes it."""
        threads = timing.timing_cores() if self.setup.cores == "all" else 1
        return {"num_heads": self.setup.heads, "causal": self.setup.causal, "threads": threads}

    def of(self, contestant):
        """Return what is known of one contestant, by length."""
        return [one for one in self.found if one.contestant == contestant]


def _last_run(state):
    """Return what this visitor measured last, or None."""
    return st.session_state.get(state.key("run"))


def _asked(setup):
    """Return the choices that a measurement depends on."""
    return setup.most, setup.heads, setup.causal, setup.cores


def begin_cost_timing(state, setup):
    """Begin to measure, with no other heavy run beside it; what has come is kept when the visitor stops it."""
    run = st.session_state[state.key("run")] = Run(setup, [])

    def work(progress, should_stop):
        limit = timing.timing_memory()
        expected = sum(
            timing.timing_fits(name, n, setup.heads, limit) for name in timing.CONTESTANTS for n in run.lengths
        )
        progress(0, expected)
        with closing(timing.measure_timing(run.lengths, limit=limit, **run.job)) as found:
            for one in found:
                if should_stop():
                    break
                if one is not None:
                    run.found.append(one)
                    progress(len(run.found), expected)

    st.session_state[RUNNING] = Job(work, alone=True, about=_asked(setup))


def show_cost_timing(state, theme):
    """Show the measurement that runs, with a button that stops it, or else the last one."""
    run = _last_run(state)
    if jobs.running_job(RUNNING):
        jobs.watch_job(RUNNING, "Measured", lambda: _draw(run, theme))
        return
    if reason := jobs.job_failure(RUNNING, _asked(state.choices())):
        st.error(as_text(reason))
    if run is not None and run.found:
        st.markdown(_measured_reading(run))
        page_figure(_measured_picture(run, theme), "cost.measured", tables={"measured": lambda: _measured_csv(run)})


def _draw(run, theme):
    """Draw what has come so far."""
    if run.found:
        st.caption("What is measured so far. Each of the four runs in a process of its own, one after the other.")
        page_draw(_measured_picture(run, theme))


def _measured_picture(run, theme):
    """Draw time and memory over length, with how each grows."""
    time, memory = (
        [_measured_curve(run, name, field) for name in timing.CONTESTANTS] for field in ("seconds", "bytes")
    )
    wide = page_width() >= 1100
    size = {"width": int(page_width() / 2 - 12) if wide else page_width(), "height": 360 if wide else 280}
    options = {"x": charts.Axis("tokens", log=True, ticks=run.lengths, format="{:,.0f}".format), "dots": True} | size
    seconds, in_all = (
        charts.Axis(name, log=True, format=form)
        for name, form in (("time of a run", seconds_in_units), ("memory", bytes_in_units))
    )
    figures = [charts.curves(time, theme, title="Time", y=seconds, **options)]
    if any(len(curve.x) for curve in memory):
        figures.append(charts.curves(memory, theme, title="Memory beyond the inputs", y=in_all, **options))
    return (charts.beside if wide else charts.above)(*figures)


def _measured_curve(run, contestant, field):
    """Return one contestant's numbers as a curve that says how they grow."""
    known = [(one.n, getattr(one, field)) for one in run.of(contestant) if getattr(one, field)]
    lengths, values = [n for n, _ in known], [value for _, value in known]
    grows = cost.growth(lengths, values)
    name = timing.CONTESTANTS[contestant] + ("" if math.isnan(grows) else f": {growth_in_units(grows)}")
    return charts.Curve(name, lengths, values)


def _measured_reading(run):
    """Say what was measured, and what it shows at the longest length that all of them reached."""
    s = run.setup
    cores = "one core each, by its own clock" if s.cores == "one" else f"{timing.timing_cores()} cores"
    heads = f"{s.heads} head{'s' if s.heads > 1 else ''} of 64"
    sentences = [
        f"Measured here: {heads}, float32, {'causal, ' if s.causal else ''}{cores}, each the fastest of "
        f"{cost_timing_runs(run.found)} runs. The exponents are fitted through the three longest texts."
    ]
    shared = [n for n in run.lengths if all(any(one.n == n for one in run.of(name)) for name in timing.CONTESTANTS)]
    if shared:
        n = shared[-1]
        at = {name: next(one for one in run.of(name) if one.n == n) for name in timing.CONTESTANTS}
        sentences.append(
            f"At {n:,} tokens tiles take **{seconds_in_units(at['tiles'].seconds)}**, "
            f"the whole matrix in numpy {ratio_in_units(at['naive'].seconds, at['tiles'].seconds)} as long; torch's "
            f"fused attention takes {seconds_in_units(at['fused'].seconds)}."
        )
        if at["tiles"].bytes and at["naive"].bytes:
            sentences.append(
                f"Memory: {bytes_in_units(at['tiles'].bytes)} instead of {bytes_in_units(at['naive'].bytes)}, the "
                "most that each process took beyond its inputs, as the operating system counts it."
            )
    left_out = [name for name in timing.WHOLE if len(run.of(name)) < len(run.of("fused"))]
    if left_out:
        names = listed(timing.CONTESTANTS[name] for name in left_out)
        sentences.append(f"For {names} the longest texts are left out: their matrices would not fit the spare memory.")
    if unmeasured := [timing.CONTESTANTS[name] for name in timing.CONTESTANTS if not run.of(name)]:
        sentences.append(f"Stopped before {listed(unmeasured)} had a turn.")
    return " ".join(sentences)


def cost_timing_runs(found):
    """Say of how many runs those measured are the fastest.

    Examples
    --------
    >>> cost_timing_runs([timing.Measured("tiles", 128, 0.1, 3, None), timing.Measured("tiles", 64, 0.01, 30, None)])
    '3 to 30'
    """
    fewest, most = (pick(one.runs for one in found) for pick in (min, max))
    return f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"


def _measured_csv(run):
    """Return what was measured as comma-separated text."""
    rows = [f"{timing.CONTESTANTS[one.contestant]}, {one.n} tokens" for one in run.found]
    values = [[one.seconds, one.runs, np.nan if one.bytes is None else one.bytes] for one in run.found]
    return charts.csv(values, rows, ["seconds", "runs", "bytes"])
