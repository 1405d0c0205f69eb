"""How fast SmolLM2 runs in numpy beside transformers on torch, in one run, in turns.

Run ``python tests/benchmarks/language_model.py``. Each line is the least of several turns; nothing fails. Processor
time is that of all threads, so that a busy machine matters little to it.
"""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
import transformers

from attn.models import llama
from attn.pretrained import language_model
from attn.pretrained.loading import catalogue, smollm2

PROMPT, WRITTEN, TURNS = 250, 30, 5


def ours(model, ids):
    """Read a prompt and write on; return the seconds and processor seconds of each, and what was written."""
    start = time.perf_counter(), time.process_time()
    passed = llama.forward(model, ids, last=True)
    read = time.perf_counter(), time.process_time()
    written = [int(passed.logits[-1].argmax())]
    for _ in range(WRITTEN):
        passed = llama.forward(model, written[-1:], passed.cache)
        written.append(int(passed.logits[-1].argmax()))
    return np.diff([start, read, (time.perf_counter(), time.process_time())], axis=0), written


@torch.no_grad()
def theirs(model, ids):
    """The same with transformers."""
    start = time.perf_counter(), time.process_time()
    passed = model(torch.tensor(ids)[None], use_cache=True, logits_to_keep=1)
    read = time.perf_counter(), time.process_time()
    written = [int(passed.logits[0, -1].argmax())]
    for _ in range(WRITTEN):
        passed = model(torch.tensor([written[-1:]]), past_key_values=passed.past_key_values, use_cache=True)
        written.append(int(passed.logits[0, -1].argmax()))
    return np.diff([start, read, (time.perf_counter(), time.process_time())], axis=0), written


def main():
    """Measure eager and fused attention of transformers beside ours."""
    model = language_model.load(smollm2.NAME).model
    folder = catalogue.fetch(catalogue.inspect(smollm2.NAME))
    ids = np.random.default_rng(0).integers(3, len(model.embedding), PROMPT)
    for kind in ("eager", "sdpa"):
        other = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation=kind).float().eval()
        turns = [(ours(model, ids), theirs(other, ids)) for _ in range(TURNS + 1)][1:]  # the first warms up
        same = all(mine[1] == their[1] for mine, their in turns)
        for at, what in enumerate((f"{PROMPT} tokens read", f"{WRITTEN} tokens written")):
            for clock, name in enumerate(("seconds", "processor seconds")):
                pairs = [(mine[0][at, clock], their[0][at, clock]) for mine, their in turns]
                mine, their = (min(times) for times in zip(*pairs, strict=True))
                ratio = statistics.median(one / other for one, other in pairs)
                print(
                    f"{kind:<6} {what:<18} {name:<18} {mine:6.2f} numpy, {their:6.2f} torch, least; "
                    f"median ratio {ratio:.2f} (at most 1.2)"
                )
        print(f"{kind:<6} the same {WRITTEN + 1} tokens: {'yes' if same else 'no'}")


if __name__ == "__main__":
    main()
