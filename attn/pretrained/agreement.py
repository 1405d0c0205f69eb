"""How far a model computed here in numpy is from transformers, step by step: this alone loads torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.functional import as_real
from attn.models.ablation import PartFactor
from attn.pretrained.errors import ModelError, takes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from attn.pretrained.language_model import Read
    from attn.pretrained.loading.load import Loaded


class StageDifference(NamedTuple):
    """How far one step of a pass is from that of transformers."""

    name: str  # embedding, layer 1 to the last but one, last norm, logits
    absolute: float  # the largest difference of a number
    relative: float  # as `token_difference` measures it


def token_difference(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Return how far two computations of states are apart, each token by its own size.

    Parameters
    ----------
    ours, theirs : shape (tokens, width)

    Returns
    -------
    float
        Of each token the largest difference, as a part of the largest number in its own row of `theirs`; of all tokens
        the largest of these. A number of one token may be hundreds of times as large as all of the others: measured by
        that one, an error in another token would not be seen.

    Raises
    ------
    ValueError
        If they are not rows of the same shape.

    Examples
    --------
    >>> round(token_difference([[1000.0, 0.0], [1.0, 0.9]], [[1000.0, 0.0], [1.0, 1.0]]), 3)
    0.1
    """
    one, other = as_real(ours, "ours"), as_real(theirs, "theirs")
    if one.shape != other.shape or one.ndim != 2 or not one.size:
        raise ValueError(f"ours and theirs must be rows of one shape, got {one.shape} and {other.shape}")
    gaps, sizes = np.abs(one - other).max(axis=-1), np.abs(other).max(axis=-1)  # (tokens,)
    return float((gaps / np.maximum(sizes, np.finfo(np.float32).tiny)).max())


@takes(read="Read", loaded="Loaded")
def transformers_differences(
    read: Read, loaded: Loaded, factors: Iterable[PartFactor] = ()
) -> tuple[StageDifference, ...]:
    """Pass the same token ids through transformers, and compare every state on the way.

    Parameters
    ----------
    read
    loaded
        The same model, as `attn.pretrained.load` opens it.
    factors
        What adds less or more in `read` than it does, as `attn.models.ablation.ablation` takes it: hooks do the same
        in transformers.

    Returns
    -------
    tuple of StageDifference
        In the order in which they are computed. What the last layer gives is compared behind the last norm.

    Raises
    ------
    ModelError
        If the model of transformers has another number of layers or states of another width, or has its parts where
        the same change cannot be made.
    """
    import torch

    ids = torch.tensor(np.asarray(read.passed.ids)[None].astype(np.int64))
    with loaded.lock, torch.no_grad(), _changed(loaded, factors):
        theirs = loaded.model(input_ids=ids, output_hidden_states=True)
    states = [*(state[0].float().numpy() for state in theirs.hidden_states), theirs.logits[0].float().numpy()]
    ours = [*read.passed.states[:-1], read.passed.output, read.passed.logits]
    shapes = [[each.shape for each in side] for side in (ours, states)]
    if shapes[0] != shapes[1]:
        raise ModelError(f"{loaded.name} must have as many states as in numpy, got {len(states)} for {len(ours)}")
    layers = (f"layer {number}" for number in range(1, len(ours) - 2))
    return tuple(
        StageDifference(name, float(np.abs(mine - their).max()), token_difference(mine, their))
        for name, mine, their in zip(("embedding", *layers, "last norm", "logits"), ours, states, strict=True)
    )


@contextmanager
def _changed(loaded: Loaded, factors: Iterable[PartFactor]) -> Iterator[None]:
    """Have parts of a model of transformers add less or more than they do, by hooks, for the time being."""
    hooks = []
    try:
        base = loaded.model.base_model
        layers = base.h if hasattr(base, "h") else base.layers
        for number, part, factor in factors:
            layer = layers[number]
            attention, feed_forward = (layer.attn if hasattr(layer, "attn") else layer.self_attn), layer.mlp
            if hasattr(layer, "post_feedforward_layernorm"):  # what is added is what comes out of these norms
                added = {"attention": layer.post_attention_layernorm, "feed_forward": layer.post_feedforward_layernorm}
            else:
                added = {"attention": attention, "feed_forward": feed_forward}
            if isinstance(part, str):
                hooks.append(added[part].register_forward_hook(_multiplied(factor)))
            else:
                mixing = attention.c_proj if hasattr(attention, "c_proj") else attention.o_proj
                columns = slice(part * attention.head_dim, (part + 1) * attention.head_dim)
                hooks.append(mixing.register_forward_pre_hook(_multiplied_columns(columns, factor)))
    except AttributeError as error:
        for hook in hooks:
            hook.remove()
        raise ModelError(f"the same change cannot be made in {loaded.name} as transformers has it: {error}") from None
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _multiplied(factor):
    """Return a hook that multiplies what a module gives, of several things the first."""
    return lambda module, given, out: (out[0] * factor, *out[1:]) if isinstance(out, tuple) else out * factor


def _multiplied_columns(columns, factor):
    """Return a hook that multiplies some columns of what a module takes: those of one head, before heads are mixed."""

    def before(module, given):
        context = given[0].clone()
        context[..., columns] *= factor
        return (context, *given[1:])

    return before
