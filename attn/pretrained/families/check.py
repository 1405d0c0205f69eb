"""Which families of transformers are recorded right: each one tried on a tiny model with random weights."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.pretrained.errors import ModelError, NotCalledError, first_line
from attn.pretrained.families import reading, tiny_models
from attn.pretrained.families.inputs import forward_options
from attn.pretrained.loading.load import wrap
from attn.pretrained.recording import compare, record, registry
from attn.pretrained.tolerances import WEIGHT
from attn.words import number

if TYPE_CHECKING:
    from attn.pretrained.recording.layer import Layer
    from attn.pretrained.recording.record import Recording

_MOVED = 1e-3  # of what a model gives with ours inside, as a part of its largest number: some grow roundings (ZoeDepth)
_SECONDS = 300  # for one family; then its process is ended
_BYTES = 8 * 2**30  # of address space for one process
_CHECKS = 50  # in one process, which keeps the Python modules of all its families

VERDICTS = AGREES, DIFFERS, OUTSIDE, NO_ATTENTION, NOT_BUILT = (
    "agrees",
    "differs",
    "outside the registry",
    "no attention",
    "cannot be built",
)


class Row(NamedTuple):
    """What became of one family."""

    family: str
    verdict: str  # one of VERDICTS
    largest: float | None = None  # difference of a weight
    layers: str = ""  # how many of each kind were recorded
    against: str = ""  # what the weights were compared with
    why: str = ""
    reads: str = ""  # whether what it reads is what transformers makes of a text; empty where it reads none


def names() -> list[str]:
    """Return the families that transformers knows.

    Returns
    -------
    list of str
        Every `model_type`, sorted.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return sorted(CONFIG_MAPPING_NAMES)


def check(family: str) -> Row:
    """Record a tiny model of a family and compare it with what the model itself reports.

    Parameters
    ----------
    family
        A `model_type` of transformers.
    """
    try:
        built = tiny_models.tiny(family)
    except ModelError as error:
        return _as_a_part(family) or Row(family, NOT_BUILT, why=str(error))
    row = _checked(family, built)
    return row if row.verdict == NO_ATTENTION else row._replace(reads=reading.reads(family, built))


def matched(recorded: Recording, weights: dict) -> list[tuple[str, int, float]]:
    """Pair each map that a model reports with the recorded layer that it comes from.

    Parameters
    ----------
    recorded
    weights
        From `attn.pretrained.recording.record.reported`.

    Returns
    -------
    list of (str, int, float)
        Name of the field, index of the layer, largest difference of a weight. In one field, later
        maps come from later layers. A map that agrees with none is paired with the nearest layer that
        nothing agrees with; where none of its shape is left it comes from attention that was not
        recorded, and has index -1. Queries that may see no key are left out.
    """
    pairs = []
    for name, maps in weights.items():
        last = -1
        for reference in maps:
            later = ((layer.index, _difference(layer, reference)) for layer in recorded.layers if layer.index > last)
            pair = next(((index, difference) for index, difference in later if difference <= WEIGHT), None)
            last = last if pair is None else pair[0]
            pairs.append((name, reference, pair))
    taken = {pair[0] for _, _, pair in pairs if pair is not None}
    left = [layer for layer in recorded.layers if layer.index not in taken]
    return [(name, *(_nearest(left, reference) if pair is None else pair)) for name, reference, pair in pairs]


def walk(
    families: Iterable[str],
    *,
    processes: int | None = None,
    seconds: float = _SECONDS,
    progress: Callable | None = None,
) -> list[Row]:
    """Check families in other processes, so that none can take all time and memory, or end the walk.

    Parameters
    ----------
    families
    processes
        By default one for each core.
    seconds
        Longest time for one family.
    progress
        Called with each row when it is there.

    Returns
    -------
    list of Row
        In the order of the families.
    """
    families = list(families)
    todo, rows, lock = iter(families), {}, threading.Lock()

    def work():
        checker = _Checker(seconds)
        while (family := _next(todo, lock)) is not None:
            rows[family] = checker.check(family)
            if progress is not None:
                progress(rows[family])
        checker.end()

    threads = [threading.Thread(target=work) for _ in range(processes or os.cpu_count() or 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [rows[family] for family in families]


def summary(rows: list[Row]) -> str:
    """Return the counts of verdicts, and of families that read what transformers makes, as two sentences."""
    import transformers

    counts = Counter(row.verdict for row in rows)
    largest = max((row.largest for row in rows if row.verdict == AGREES), default=0)
    parts = [f"{counts[verdict]} {words}" for verdict, words in zip(VERDICTS, _WORDS, strict=True)]
    reading_text = [row.reads for row in rows if row.reads]
    same = sum(reads in reading.ALL_SAME for reads in reading_text)
    return (
        f"Of {len(rows)} families in transformers {transformers.__version__}, {parts[0]} "
        f"(largest difference of a weight {number(largest, 2)}), {', '.join(parts[1:-1])}, and {parts[-1]}. "
        f"Of the {len(reading_text)} that read a text, {same} are given the ids that transformers itself makes of it."
    )


_WORDS = (
    "agree",
    "differ",
    "keep their attention outside the registry",
    "have no attention",
    "cannot be built here as a tiny model",
)


def table(rows: list[Row]) -> str:
    """Return the rows as a table in Markdown, with the counts above it."""
    head = "| family | verdict | largest difference | layers | compared with | what it reads | remark |"
    lines = [head, "|---" * 7 + "|"]
    for row in rows:
        largest = "" if row.largest is None else f"{row.largest:.1e}"
        spoken = (text.replace("|", "\\|") for text in (row.reads, row.why))
        cells = (row.family, row.verdict, largest, row.layers, row.against, *spoken)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([summary(rows), "", *lines, ""])


def _checked(family, built, part=False):
    """Record a tiny model and compare it; of a larger model, only the layers that are of this family."""
    import torch

    if not registry.has_attention(built.model):
        return Row(family, NO_ATTENTION)
    loaded = wrap(built.model)
    if not loaded.recordable:
        return _outside(family, loaded, built.inputs)
    torch.manual_seed(0)
    try:
        recorded = record.record(loaded, inputs=built.inputs)
    except NotCalledError:
        row = _outside(family, loaded, built.inputs)
        return row._replace(why=f"its attention names the registry but is not called through it; {row.why}")
    except ModelError as error:
        return Row(family, DIFFERS, why=str(error))
    layers = [layer for layer in recorded.layers if not part or _family(layer.call.module) == family]
    return _judged(family, loaded, recorded, layers, built, part)


def _as_a_part(family):
    """Check a family in a larger model that it is a part of; None if there is no such model."""
    for whole in tiny_models.siblings(family):
        try:
            built = tiny_models.tiny(whole)
        except ModelError:
            continue
        if built.inputs and family in {_family(module) for module in registry.attention_modules(built.model).values()}:
            row = _checked(family, built, part=True)
            if row.layers:
                return row._replace(why="; ".join(filter(None, [f"checked as a part of {whole}", row.why])))
    return None


def _family(module):
    """Return the family whose configuration an attention module has."""
    return getattr(getattr(module, "config", None), "model_type", None)


def _judged(family, loaded, recorded, layers, built, part):
    """Say whether layers are what the model reports, or what its own function gives."""
    pairs = matched(recorded, record.reported(built.output))
    reported, own = {index for _, index, _ in pairs}, {layer.index for layer in layers}
    left = [layer for layer in layers if layer.index not in reported]
    differences = [difference for _, index, difference in pairs if index in own]
    differences += [each.largest for layer in left for each in compare.compare_layer(layer)]
    moved = _moved(loaded, recorded, built)
    why = [] if part else _unseen(loaded, recorded, pairs)
    if not moved <= _MOVED:
        why.append(_broken(recorded) or f"its output moves by {moved:.1e}")
    against = " and ".join(text for text, here in (("its report", reported & own), ("its own function", left)) if here)
    largest = float(np.max(differences, initial=0.0))  # nan, if one is
    verdict = AGREES if largest <= WEIGHT and moved <= _MOVED else DIFFERS
    return Row(family, verdict, largest, count_kinds(layers), against, "; ".join(why))


def _unseen(loaded, recorded, pairs):
    """Say what attention of a model was not recorded."""
    strays = sum(index < 0 for _, index, _ in pairs)
    modules = registry.attention_modules(loaded.model).values()
    silent = len(set(modules) - {layer.call.module for layer in recorded.layers})
    return [
        *([f"{strays} of {len(pairs)} reported maps come from attention outside the registry"] if strays else []),
        *([f"{silent} of its {len(modules)} attention modules had nothing to read"] if silent else []),
    ]


def count_kinds(layers: Iterable[Layer]) -> str:
    """Count the layers of each kind."""
    kinds = Counter(layer.kind for layer in layers)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _difference(layer, reference):
    """Return how far weights from scratch are from those a model reports; infinity where shapes differ."""
    if reference.shape[:3] != layer.query.shape[:3] or reference.shape[3] > layer.key.shape[2]:
        return np.inf
    weights, n_k = layer.weights(), reference.shape[3]
    if layer.sinks is not None and np.allclose(reference.sum(axis=-1), 1, atol=1e-5):
        weights = weights / weights.sum(axis=-1, keepdims=True)  # reported before the sink takes its share
    # Some report as two maps what a decoder sees of itself and of the encoder.
    parts = [weights] if weights.shape[3] == n_k else [weights[..., :n_k], weights[..., -n_k:]]
    seen = True if layer.mask is None else layer.mask.any(axis=-1, keepdims=True)
    return min(float(np.where(seen, np.abs(part - reference), 0).max()) for part in parts)


def _nearest(layers, reference):
    """Return the layer whose weights are nearest to a map that agrees with none, and how far they are."""
    differences = {layer.index: _difference(layer, reference) for layer in layers}
    index = min(differences, key=differences.get, default=-1)
    return (-1, np.inf) if differences.get(index, np.inf) == np.inf else (index, differences[index])


def _moved(loaded, recorded, built):
    """Return how far passes through our function move what the model gives, relative to its size."""
    import torch

    before = _first_tensor(built.output)
    moved = 0.0
    # Queries that see nothing get other weights from the fused function than from the eager one.
    blind = any(layer.mask is not None and not layer.mask.any(axis=-1).all() for layer in recorded.layers)
    for handle in (registry.eager,) if blind else (registry.eager, registry.fused):
        torch.manual_seed(0)
        with torch.inference_mode(), registry.handling(handle):
            now = _first_tensor(loaded.model(**built.inputs, **forward_options(loaded.model)))
        if before is not None and now.shape == before.shape:
            moved = max(moved, float((now - before).abs().max() / before.abs().max().clamp(min=1e-9)), key=_badness)
    return moved


def _broken(recorded):
    """Say what is wrong with a family's own eager attention, if something is."""
    if any(layer.call.mask is not None and not layer.call.mask.is_floating_point() for layer in recorded.layers):
        return "its own eager attention adds a boolean mask to the scores, where its fused one hides"
    return "its own eager attention gives nan" if any(np.isnan(layer.output).any() for layer in recorded.layers) else ""


def _badness(number):
    """Order numbers with nan as the largest."""
    return np.inf if np.isnan(number) else number


def _first_tensor(output):
    """Return the first tensor of real numbers in an output."""
    values = output.values() if isinstance(output, dict) else output if isinstance(output, tuple) else [output]
    return next((value for value in values if hasattr(value, "is_floating_point") and value.is_floating_point()), None)


def _outside(family, loaded, inputs):
    """Say what is left of a family that keeps its attention to itself."""
    if inputs is None:
        return Row(family, OUTSIDE, why="what it reads is not known here")
    try:
        own = record.own_weights(loaded, inputs=inputs)
    except ModelError as error:
        return Row(family, OUTSIDE, why=str(error))
    return Row(family, OUTSIDE, layers=f"{len(own.weights)} of its own", why="shows its own weights")


def _next(iterator, lock):
    """Take the next thing from what threads share, or None."""
    with lock:
        return next(iterator, None)


class _Checker:
    """A process that checks families one by one, and is replaced when it hangs or dies."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.process = None

    def check(self, family):
        """Return the row of a family, whatever happens to the process."""
        if self.process is None:
            self._begin()
        self.left -= 1
        with suppress(OSError, EOFError):
            self.connection.send(family)
            if not self.connection.poll(self.seconds):
                self.end()
                return Row(family, NOT_BUILT, why=f"took longer than {self.seconds:g} seconds")
            row = self.connection.recv()
            if self.left == 0:
                self.end()
            return row
        self.end()
        return Row(family, NOT_BUILT, why="its process died, most likely for want of memory")

    def end(self):
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def _begin(self):
        """Start a process."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.left = _CHECKS


def _serve(connection):
    """Check the families that come in, quietly, with one thread and bounded memory."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    with suppress(ImportError, ValueError, OSError):  # another system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    import torch

    torch.set_num_threads(1)
    while True:
        family = connection.recv()
        try:
            row = check(family)
        except Exception as error:  # whatever a family does that nobody thought of
            row = Row(family, DIFFERS, why=f"{type(error).__name__}: {first_line(error)}")
        connection.send(row)
