"""How far a model computed here in numpy is from transformers, step by step: this alone loads torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.pretrained.errors import ModelError, takes

if TYPE_CHECKING:
    from attn.pretrained.language_model import Read
    from attn.pretrained.loading.load import Loaded


class StageDifference(NamedTuple):
    """How far one step of a pass is from that of transformers."""

    name: str  # embedding, layer 1 to the last but one, last norm, logits
    absolute: float  # the largest difference of a number
    relative: float  # the same, as a part of the largest number there


@takes(read="Read", loaded="Loaded")
def transformers_differences(read: Read, loaded: Loaded) -> tuple[StageDifference, ...]:
    """Pass the same token ids through transformers, and compare every state on the way.

    Parameters
    ----------
    read
        Without changes.
    loaded
        The same model, as `attn.pretrained.load` opens it.

    Returns
    -------
    tuple of StageDifference
        In the order in which they are computed. What the last layer gives is compared behind the last norm.

    Raises
    ------
    ModelError
        If the model of transformers has another number of layers or states of another width.
    """
    import torch

    ids = torch.tensor(np.asarray(read.passed.ids)[None].astype(np.int64))
    with loaded.lock, torch.no_grad():
        theirs = loaded.model(input_ids=ids, output_hidden_states=True)
    states = [*(state[0].float().numpy() for state in theirs.hidden_states), theirs.logits[0].float().numpy()]
    ours = [*read.passed.states[:-1], read.passed.output, read.passed.logits]
    shapes = [[each.shape for each in side] for side in (ours, states)]
    if shapes[0] != shapes[1]:
        raise ModelError(f"{loaded.name} must have as many states as in numpy, got {len(states)} for {len(ours)}")
    layers = (f"layer {number}" for number in range(1, len(ours) - 2))
    return tuple(
        StageDifference(name, gap := float(np.abs(mine - their).max()), gap / float(np.abs(their).max()))
        for name, mine, their in zip(("embedding", *layers, "last norm", "logits"), ours, states, strict=True)
    )
