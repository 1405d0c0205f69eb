"""Attention timed on this machine: in numpy and in torch, with the whole matrix and in tiles.

Each contestant runs in a process of its own (``python -m attn.pretrained.timing``), so that the memory
that the operating system counts is its alone, and so that it can be ended at any moment.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attn import blockwise, cost
from attn.pretrained.errors import ModelError
from attn.pretrained.threads import one_numpy_thread

CONTESTANTS = {
    "naive": "numpy, whole",
    "tiles": "numpy, tiles",
    "eager": "torch, whole",
    "fused": "torch, fused",
}
WHOLE = ("naive", "eager")  # hold the scores of all heads at once
LONGEST_RUN = 240.0  # seconds, for all contestants together
FEWEST_RUNS = 3  # of which the fastest counts, also where one alone takes long
_ROOT = Path(__file__).parents[2]
_COPIES = {"naive": 2, "eager": 4}  # matrices as large as the scores that are alive at once, at most
_PATIENCE = 0.25  # seconds between two looks at whether to go on
_BUDGET = 0.3  # seconds in which a run is repeated, for the fastest
_LIBRARIES = ("OMP", "OPENBLAS", "MKL", "VECLIB")  # each reads how many threads it may have


class Measured(NamedTuple):
    """One contestant at one length."""

    contestant: str
    n: int
    seconds: float  # of the fastest run; with one thread by its own clock, which other work does not slow
    runs: int  # of which it is the fastest
    bytes: int | None  # the most memory beyond the inputs; None where the system does not tell


def timing_lengths(most: int, least: int = 128) -> list[int]:
    """Return the lengths to measure: powers of two from `least`, and `most` itself at the end.

    Examples
    --------
    >>> timing_lengths(1500)
    [128, 256, 512, 1024, 1500]
    """
    lengths = []
    while least < most:
        lengths.append(least)
        least *= 2
    return [*lengths, most]


def timing_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def timing_memory(most: float = 2e9) -> float:
    """Return how many bytes may be taken without harm: half of what is free, and never more than `most`."""
    free = [2 * most]
    with suppress(OSError, ValueError, StopIteration):
        free.append(_size(Path("/proc/meminfo"), "MemAvailable"))
    with suppress(OSError, ValueError):  # a server may allow less than there is
        allowed, used = (float(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        free.append(allowed - used)
    return max(0.0, min(free) / 2)


def timing_fits(contestant: str, n: int, num_heads: int, limit: float) -> bool:
    """Return whether a contestant needs at most so many bytes for n tokens.

    Examples
    --------
    >>> timing_fits("naive", 8192, 4, 2e9), timing_fits("tiles", 8192, 4, 2e9)
    (False, True)
    """
    return _COPIES.get(contestant, 0) * cost.score_bytes(num_heads, n, n) <= limit


def measure_timing(
    lengths: Sequence[int],
    *,
    num_heads: int = 4,
    d_k: int = 64,
    causal: bool = False,
    threads: int = 1,
    contestants: Sequence[str] = tuple(CONTESTANTS),
    limit: float | None = None,
) -> Iterator[Measured | None]:
    """Time every contestant over growing lengths.

    Parameters
    ----------
    lengths
        In ascending order.
    num_heads, d_k
    causal
    threads
        Cores that a contestant may use.
    contestants
        Some of `CONTESTANTS`.
    limit
        Bytes; what would take more is left out. By default `timing_memory`.

    Yields
    ------
    Measured or None
        None while nothing has come for a quarter of a second, so that the caller can stop. Closing the
        generator ends the process that is running.

    Raises
    ------
    ValueError
        If a contestant is unknown.
    ModelError
        If a process breaks down, or all together take longer than four minutes.
    """
    if unknown := set(contestants) - set(CONTESTANTS):
        raise ValueError(f"contestants must be among {', '.join(CONTESTANTS)}, got {', '.join(sorted(unknown))}")
    until = time.monotonic() + LONGEST_RUN
    limit = timing_memory() if limit is None else limit
    for name in contestants:
        job = {
            "contestant": name,
            "lengths": [n for n in lengths if timing_fits(name, n, num_heads, limit)],
            "num_heads": num_heads,
            "d_k": d_k,
            "causal": causal,
            "threads": threads,
        }
        with closing(_lines(job, until)) as lines:
            for line in lines:
                yield None if line is None else Measured(name, **json.loads(line))


def _lines(job, until):
    """Run one process and yield the lines that it prints, or None while there is none."""
    command = [sys.executable, "-m", "attn.pretrained.timing", json.dumps(job)]
    environment = os.environ | {f"{library}_NUM_THREADS": str(job["threads"]) for library in _LIBRARIES}
    try:
        complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115  a pipe that nobody reads would fill up and block it
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": complaints, "text": True}
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, **pipes)  # ends when its input is closed
    except OSError as error:
        raise ModelError(f"no process can be started to measure in: {error}") from error
    said = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(process.stdout, said), daemon=True).start()
    try:
        while True:
            try:
                line = said.get(timeout=_PATIENCE)
            except queue.Empty:
                line = None
            if line == "":
                break
            if time.monotonic() > until:
                raise ModelError(f"measuring must end within {LONGEST_RUN:.0f} seconds; choose shorter texts")
            yield line
        if process.wait():
            complaints.seek(0)
            raise ModelError(f"measuring broke off: {(complaints.read().strip() or 'no reason given')[-300:]}")
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, complaints):
            with suppress(OSError):
                pipe.close()


def _listen(pipe, said):
    """Pass on each line, and an empty one at the end."""
    with suppress(ValueError):  # closed while being read
        for line in pipe:
            said.put(line)
    said.put("")


def timing_whole_matrix(query: np.ndarray, key: np.ndarray, value: np.ndarray, *, causal: bool = False) -> np.ndarray:
    """Return the context, with one matrix of scores that becomes that of the weights.

    What a reader of the formula would write in numpy: unlike `attn.scaled_dot_product_attention` it keeps no
    step to show, so it is the fair opponent of tiles.

    Examples
    --------
    >>> timing_whole_matrix(np.zeros((1, 2, 1)), np.zeros((1, 2, 1)), np.array([[[1.0], [3.0]]]), causal=True).ravel()
    array([1., 2.])
    """
    scores = query @ key.swapaxes(-1, -2)  # (num_heads, n, n)
    scores *= query.shape[-1] ** -0.5
    if causal:
        np.copyto(scores, -np.inf, where=~np.tri(scores.shape[-1], dtype=bool))
    scores -= scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores, out=scores)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights @ value


# In the process of a contestant


def main(text: str) -> None:
    """Measure one contestant and print one line per length."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads(text)
    attend = _prepared(job["contestant"], job["causal"], job["threads"])
    attend(*_inputs(64, job["num_heads"], job["d_k"]))  # loads what is loaded late
    clock = time.thread_time if job["threads"] == 1 else time.perf_counter
    base = _resident()
    for n in job["lengths"]:
        inputs = _inputs(n, job["num_heads"], job["d_k"])
        _forgetpeak_memory()
        attend(*inputs)
        peak = peak_memory()
        seconds, runs = _fastest(attend, inputs, clock)
        extra = None if peak is None else max(0, peak - base - sum(array.nbytes for array in inputs))
        print(json.dumps({"n": n, "seconds": seconds, "runs": runs, "bytes": extra}), flush=True)


def _end_with_parent():
    """End this process when the one that started it has gone."""
    sys.stdin.read()
    os._exit(1)


def _inputs(n, num_heads, d_k):
    """Draw query, key and value, (num_heads, n, d_k) in float32."""
    rng = np.random.default_rng(n)
    return [rng.standard_normal((num_heads, n, d_k), dtype=np.float32) for _ in range(3)]


def _fastest(attend, inputs, clock):
    """Return the seconds of the fastest of a few runs, and how many there were."""
    runs, until = [], time.perf_counter() + _BUDGET
    while len(runs) < FEWEST_RUNS or time.perf_counter() < until:
        start = clock()
        attend(*inputs)
        runs.append(clock() - start)
    return min(runs), len(runs)


def _prepared(contestant, causal, threads):
    """Return a function of query, key and value."""
    if contestant == "naive":
        return partial(timing_whole_matrix, causal=causal)
    if contestant == "tiles":

        def in_tiles(*inputs):
            with one_numpy_thread():
                return blockwise.attention(*inputs, causal=causal, threads=threads)

        return in_tiles
    return _torch(contestant, causal, threads)


def _torch(contestant, causal, threads):
    """Return the same for torch's own two ways."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention as fused

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)

    def in_torch(*inputs):
        query, key, value = (torch.from_numpy(array)[None] for array in inputs)
        if contestant == "fused":
            return fused(query, key, value, is_causal=causal)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if causal:
            n = scores.shape[-1]
            scores = scores + torch.full((n, n), float("-inf")).triu(1)
        return torch.softmax(scores, dim=-1) @ value

    return in_torch


def _size(file, name):
    """Return a size from a file in which Linux keeps many, in bytes."""
    lines = file.read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def _status(name):
    """Return a size that Linux keeps for this process, in bytes, or None on another system."""
    with suppress(OSError, ValueError, StopIteration):
        return _size(Path("/proc/self/status"), name)
    return None


def peak_memory() -> int | None:
    """Return the most memory this process has had, in bytes, or None where the system does not tell."""
    if (found := _status("VmHWM")) is not None:
        return found
    with suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    return None


def _resident():
    """Return the memory this process has now; where only the most is told, that."""
    return _status("VmRSS") or peak_memory()


def _forgetpeak_memory():
    """Begin a new peak, where the system can; elsewhere longer texts, which come later, have the higher ones."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main(sys.argv[1])
