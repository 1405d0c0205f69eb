"""How long SmolLM2 takes to start, to be recorded on 4,096 tokens, and to change the head; and the memory.

Needs the package of requirements-smollm2.txt. Run from the root: ``python tests/benchmarks/long_text.py``.
Memory is what the process has in RAM, on Linux, above the loaded model.
"""

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from attn import pretrained
from attn.pretrained.loading import smollm2
from attn.pretrained.recording import registry


def megabytes():
    """Return what this process has in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


class Peak:
    """Watches the memory beside what runs."""

    def __init__(self):
        self.highest = 0
        self.base = None
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        """Look every few milliseconds."""
        while True:
            self.highest = max(self.highest, megabytes())
            time.sleep(0.003)

    def timed(self, name, function, *arguments):
        """Call a function and print how long it took and how high the memory went."""
        self.highest, start, cpu = megabytes(), time.perf_counter(), time.process_time()
        result = function(*arguments)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        over = "" if self.base is None else f", {self.highest - self.base:5.0f} MB above the model at most"
        print(f"{name:40s} {seconds:6.2f} s ({cpu:5.2f} s of processor){over}", flush=True)
        return result


def main():
    """Measure."""
    peak = Peak()
    smollm2.convert(smollm2.packaged())  # the first start, if it has not been yet
    peak.timed("torch and transformers", lambda: __import__("transformers").AutoModelForCausalLM)
    loaded = peak.timed("start, converted already", pretrained.load, smollm2.NAME)
    text = " ".join(Path(registry.__file__).read_text(encoding="utf-8").split()) * 3
    peak.timed("a first pass, of five words", pretrained.record, loaded, "The keys to the cabinet")
    peak.base = megabytes()
    recording = peak.timed("record", pretrained.record, loaded, text)
    print(f"{len(recording.tokens):,} tokens; kept: {megabytes() - peak.base:.0f} MB")
    for place, head in ((3, 2), (3, 4), (20, 8), (29, 0)):
        layer, name = recording.layers[place], f"layer {place}, head {head}"
        weights = peak.timed(f"{name}: from scratch", layer.weights, head)
        own = peak.timed(f"{name}: the model's own", layer.reference_weights, head)
        del weights, own


if __name__ == "__main__":
    main()
