"""Attention in tiles against torch's own two ways, at 12 heads of 64: time, memory, share of the machine's peak.

Run from the root: ``python tests/benchmarks/blockwise.py [rounds]``. All take turns, so that a busy machine
slows each of them, and the fastest turns are compared. With one thread each is timed by its own clock, which
other work does not slow; with all cores by the clock on the wall, which needs a quiet machine. Eager means
the whole matrix of scores in torch, fused torch's scaled_dot_product_attention. Memory is what the operating
system counts for a process of its own, above its inputs.
"""

import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention as fused

from attn import blockwise, cost
from attn.pretrained import timing
from attn.pretrained.threads import one_numpy_thread

HEADS, D = 12, 64


def eager(query, key, value):
    """Attend in torch with all scores held at once."""
    return torch.softmax(query @ key.transpose(-1, -2) * D**-0.5, dim=-1) @ value


def contestants(n, threads):
    """Return a function of nothing for each way, all on the same numbers."""
    rng = np.random.default_rng(n)
    arrays = [rng.standard_normal((1, HEADS, n, D), dtype=np.float32) for _ in range(3)]
    tensors = [torch.from_numpy(array) for array in arrays]
    return {
        "tiles": lambda: blockwise.attention(*arrays, threads=threads),
        "eager": lambda: eager(*tensors),
        "fused": lambda: fused(*tensors),
        "tiles, causal": lambda: blockwise.attention(*arrays, causal=True, threads=threads),
        "fused, causal": lambda: fused(*tensors, is_causal=True),
    }


def fastest(ways, rounds, clock):
    """Return the seconds of the fastest turn of each way."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, attend in ways.items():
            attend()  # torch's threads keep their cores for some milliseconds after the turn before
            start = clock()
            attend()
            best[name] = min(best[name], clock() - start)
    return best


def peak(rounds, clock):
    """Return the multiplications a second of a large matrix product in numpy."""
    a, b = np.random.default_rng(0).standard_normal((2, 1536, 1536), dtype=np.float32)
    return 1536**3 / fastest({"product": lambda: a @ b}, max(rounds, 5), clock)["product"]


def speed(rounds, threads):
    """Print times and ratios with so many threads."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    torch.set_num_threads(threads)
    most = timing.timing_cores()
    product = peak(rounds, clock) if threads == most > 1 else None
    with one_numpy_thread():
        product = product or peak(rounds, clock)
        print(f"{threads} of {most} cores, matrix product {2 * product / 1e9:.0f} GFLOP/s")
        for n in (1024, 2048, 4096):
            best = fastest(contestants(n, threads), rounds, clock)
            share = cost.attention_work(n, HEADS * D, HEADS)
            share = (share.scores + share.sums) / best["tiles"] / product
            print(
                f"  {n:5,} tokens: tiles {1e3 * best['tiles']:5.0f} ms, {share:.0%} of the peak; "
                f"eager takes {best['eager'] / best['tiles']:.2f} times as long (wanted: 3); "
                f"tiles take {best['tiles'] / best['fused']:.2f} of fused (1.15), "
                f"causal {best['tiles, causal'] / best['fused, causal']:.2f} (1.00)",
                flush=True,
            )


def memory(n=8192):
    """Print the memory of each way for a long text, with as many heads as eager has room for."""
    heads = HEADS
    while heads > 1 and not timing.timing_fits("eager", n, heads, 1.6 * timing.timing_memory(math.inf)):
        heads -= 1
    found = {}
    for name in ("tiles", "eager", "fused"):
        run = timing.measure_timing([n], num_heads=heads, contestants=(name,), limit=float("inf"))
        (found[name],) = (one.bytes for one in run if one)
    told = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in found.items())
    print(f"{n:,} tokens, {heads} heads: {told}; tiles take {found['tiles'] / found['eager']:.3f} of eager (0.1)")


def main(rounds=5):
    """Measure."""
    torch.set_grad_enabled(False)
    for threads in sorted({1, timing.timing_cores()}):
        speed(rounds, threads)
    memory()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
