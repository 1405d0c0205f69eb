"""Which families of transformers are recorded right: each one tried on a tiny model with random weights."""

from typing import NamedTuple

import numpy as np

from attn.pretrained import comparison, recording, registry, samples, tiny
from attn.pretrained.errors import ModelError
from attn.pretrained.loading import wrap

TOLERANCE = 2e-5
_MOVED = 1e-4  # of an output, relative to its largest number
_SECONDS = 120  # for one family; then its process is ended
_BYTES = 8 * 2**30  # of address space for one process

AGREES, DIFFERS, OUTSIDE, NO_ATTENTION, NOT_BUILT = VERDICTS = (
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
    largest: float | None = None  # largest difference of a weight
    layers: str = ""  # how many of each kind were recorded
    against: str = ""  # what the weights were compared with
    why: str = ""


def check(family):
    """Record a tiny model of a family and compare it with what the model itself reports.

    Parameters
    ----------
    family : str
        A `model_type` of transformers.

    Returns
    -------
    Row
    """
    import torch

    try:
        built = tiny.tiny(family)
        loaded = wrap(built.model)
    except ModelError as error:
        verdict = NO_ATTENTION if "there is no attention in" in str(error) else NOT_BUILT
        return Row(family, verdict, why="" if verdict == NO_ATTENTION else str(error))
    if not loaded.recordable:
        return _outside(family, loaded, built.inputs)
    torch.manual_seed(0)
    try:
        recorded = recording.record(loaded, inputs=built.inputs)
    except ModelError as error:
        return Row(family, DIFFERS, why=str(error))
    return _judged(family, loaded, recorded, built)


def reported(output):
    """Return the attention weights in a model's output, wherever in it they are.

    Parameters
    ----------
    output : transformers.utils.ModelOutput or tuple

    Returns
    -------
    dict
        Name of the field -> list of ndarray (batch, num_heads, n_q, n_k).
    """
    found = {}
    for name, value in output.items() if hasattr(output, "items") else ():
        if hasattr(value, "items"):
            found |= {f"{name}.{inner}": weights for inner, weights in reported(value).items()}
        elif "attention" in name and isinstance(value, tuple | list):
            found |= {name: weights} if (weights := [each.float().numpy() for each in value if _is_map(each)]) else {}
    return found


def _is_map(tensor):
    """Say whether a tensor holds weights; some families report feature maps under the name of attention."""
    if getattr(tensor, "ndim", 0) != 4:
        return False
    sums = tensor[~tensor.isnan().any(-1)].sum(-1)
    return bool((tensor.nan_to_num() >= 0).all() and (sums <= 1 + 1e-3).all())


def matched(recorded, weights):
    """Pair each reported map with the recorded layer that it comes from.

    Parameters
    ----------
    recorded : Recording
    weights : dict
        From `reported`.

    Returns
    -------
    list of (str, int, float)
        Name of the field, index of the layer, largest difference of a weight. In one field, later
        maps come from later layers; a map that no layer left could give has index -1 and difference
        infinity. Queries that may see no key are left out.
    """
    pairs = []
    for name, maps in weights.items():
        last = -1
        for reference in maps:
            left = [layer for layer in recorded.layers if layer.index > last]
            difference, index = min(
                ((_difference(layer, reference), layer.index) for layer in left), default=(np.inf, -1)
            )
            last = last if np.isinf(difference) else index
            pairs.append((name, -1 if np.isinf(difference) else index, difference))
    return pairs


def _difference(layer, reference):
    """Return how far weights from scratch are from those a model reports; infinity where shapes differ."""
    weights = layer.weights()
    if layer.sinks is not None and np.allclose(reference.sum(axis=-1), 1, atol=1e-5):
        weights = weights / weights.sum(axis=-1, keepdims=True)  # reported before the sink takes its share
    n_k = reference.shape[3]
    # Some report what a decoder sees of itself and of the encoder as two maps.
    parts = [weights] if weights.shape[3] == n_k else [weights[..., :n_k], weights[..., -n_k:]]
    if parts[0].shape != reference.shape:
        return np.inf
    seen = True if layer.mask is None else layer.mask.any(axis=-1, keepdims=True)
    return min(float(np.where(seen, np.abs(part - reference), 0).max()) for part in parts)


def _judged(family, loaded, recorded, built):
    """Say whether what was recorded is what the model reports, or what its own function gives."""
    pairs = matched(recorded, reported(built.output))
    differences = [difference for _, index, difference in pairs if index >= 0]
    left = [layer for layer in recorded.layers if layer.index not in {index for _, index, _ in pairs}]
    differences += [each.largest for layer in left for each in comparison.compare_layer(layer)]
    strays = sum(index < 0 for _, index, _ in pairs)
    moved = _moved(loaded, built)
    why = [f"{strays} of {len(pairs)} reported maps come from attention outside the registry"] if strays else []
    why += [f"its output moves by {moved:.1e}"] if moved > _MOVED else []
    against = " and ".join(text for text, here in (("output_attentions", pairs), ("its own function", left)) if here)
    right = max(differences) <= TOLERANCE and moved <= _MOVED
    return Row(family, AGREES if right else DIFFERS, max(differences), _kinds(recorded), against, "; ".join(why))


def _kinds(recorded):
    """Count the layers of each kind."""
    kinds = [layer.kind for layer in recorded.layers]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _moved(loaded, built):
    """Return how far a pass through our function moves what the model gives, relative to its size."""
    import torch

    torch.manual_seed(0)
    with torch.inference_mode(), registry.handling(registry.eager):
        now = _first_tensor(loaded.model(**built.inputs, **samples.options(loaded.model)))
    before = _first_tensor(built.output)
    if before is None or now.shape != before.shape:
        return 0.0
    return float((now - before).abs().max() / before.abs().max().clamp(min=1e-9))


def _first_tensor(output):
    """Return the first tensor of real numbers in an output."""
    values = output.values() if isinstance(output, dict) else output if isinstance(output, tuple) else [output]
    return next((value for value in values if hasattr(value, "is_floating_point") and value.is_floating_point()), None)


def _outside(family, loaded, inputs):
    """Say what is left of a family that keeps its attention to itself."""
    try:
        own = recording.own_weights(loaded, inputs=inputs)
    except ModelError as error:
        return Row(family, OUTSIDE, why=str(error))
    return Row(family, OUTSIDE, layers=f"{len(own.weights)} own", why="shows its own weights")
