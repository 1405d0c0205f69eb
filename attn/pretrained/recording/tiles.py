"""Tiles of a recorded call, some heads or rows of it, and what is kept of a call that is too large to keep."""

from __future__ import annotations

import copy
import ctypes
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attn.pretrained.errors import ModelError
from attn.pretrained.recording import registry
from attn.pretrained.recording.pass_masks import PassMask

if TYPE_CHECKING:
    import torch

    from attn.pretrained.recording.registry import Call

LARGEST = 128_000_000  # bytes that the weights of all heads of a layer may take at once
TILE = 1_000_000  # weights computed at once for a long text: they stay in the cache of a core
WHOLE = 4 * TILE  # weights of one head from which on its rows are cut into tiles


@dataclass(frozen=True, eq=False)
class Given:
    """What went into an attention module, enough to call it again.

    Parameters
    ----------
    module : torch.nn.Module
    args, kwargs : tuple, dict
        With a `_Packed` in place of the mask, which takes more memory than all the rest.
    query_shape, key_shape
        Of what the module made of it.
    mask
        Layers of one pass share it.
    """

    module: Any
    args: tuple
    kwargs: dict
    query_shape: tuple
    key_shape: tuple
    mask: PassMask


@dataclass(frozen=True)
class _Packed:
    """Stands for a mask to be added, of the type `dtype`, that is kept as booleans elsewhere."""

    dtype: Any


def fit(shape: Sequence[int]) -> bool:
    """Say whether weights of the shape (batch, num_heads, n_q, n_k) may be held all at once."""
    return 4 * math.prod(shape) <= LARGEST


def keep(call: Call, mask: PassMask) -> Given:
    """Keep what went into a module, from which its queries, keys and values can be made again.

    Parameters
    ----------
    call
    mask
        What the mask of the call does.
    """
    args, kwargs = call.given
    # A model may go on to change its hidden states in place, so they are copied.
    changed = {} if call.hidden is None else {id(call.hidden): call.hidden.clone()}
    if mask.compact is not call.mask:
        changed[id(call.mask)] = _Packed(call.mask.dtype)
    give_back()
    return Given(
        call.module,
        tuple(changed.get(id(value), value) for value in args),
        {name: changed.get(id(value), value) for name, value in kwargs.items() if not _is_cache(value)},
        tuple(call.query.shape),
        tuple(call.key.shape),
        mask,
    )


def again(given: Given) -> Call:
    """Make the queries, keys and values of a module again from what went into it.

    Returns
    -------
    Call
        As the module made it in the recorded pass, bit for bit.
    """
    import torch

    calls = []

    def take(call):
        calls.append(call)
        batch, num_heads, n_q = call.query.shape[:3]
        return call.query.new_zeros(batch, n_q, num_heads, call.value.shape[-1]), None

    def unpacked(value):
        return registry.additive(given.mask.compact, value.dtype) if isinstance(value, _Packed) else value

    args = [unpacked(value) for value in given.args]
    kwargs = {name: unpacked(value) for name, value in given.kwargs.items()}
    with torch.inference_mode(), registry.handling(take):
        given.module(*args, **kwargs)
    give_back()
    return replace(calls[0], mask=given.mask.compact, given=None)


def eager_weights(
    call: Call, heads: np.ndarray | None = None, rows: slice | Sequence[int] | np.ndarray | None = None
) -> torch.Tensor:
    """Compute weights by the model family's own eager function, for some heads and rows only.

    Parameters
    ----------
    call
    heads
        By default all.
    rows
        Queries; by default all.

    Returns
    -------
    torch.Tensor, shape (batch, len(heads), n_q, n_k)

    Raises
    ------
    ModelError
        If the family's function gives no weights.
    """
    import torch

    if call.own_weights is not None:
        with torch.inference_mode():
            weights = call.own_weights()
        return weights[:, slice(None) if heads is None else heads][:, :, slice(None) if rows is None else rows]
    asked = call if rows is None else _of_rows(call, rows)
    alone = heads is not None and not _by_head(call)
    with torch.inference_mode():
        asked = _of_heads(asked, heads) if alone else asked
        output, weights = registry.eager(asked)
        if weights is None:
            raise ModelError(f"the eager attention of {type(call.module).__name__} does not give its weights")
        weights = registry.less_the_sink(asked, output, weights)
    return weights if heads is None or alone else weights[:, heads]


def in_tiles(compute: Callable, shape: tuple) -> list[np.ndarray]:
    """Compute steps of attention, where they are large a few rows at a time.

    Parameters
    ----------
    compute
        Takes rows; returns arrays (batch, heads, rows, d).
    shape
        (batch, heads, n_q, n_k) of all weights.

    Returns
    -------
    list of ndarray
        The same arrays of all rows.
    """
    places, steps = tiles(shape), None
    if len(places) == 1:
        return list(compute(None))
    give_back()
    for rows in places:
        part = compute(rows)
        steps = steps or [np.empty((*step.shape[:2], shape[2], step.shape[3]), step.dtype) for step in part]
        for step, some in zip(steps, part, strict=True):
            step[:, :, rows] = some
    return steps


def tiles(shape: Sequence[int]) -> list[slice]:
    """Return slices of rows that cut weights of the shape (batch, heads, n_q, n_k) into tiles, if they are large."""
    if shape[2] * shape[3] <= WHOLE:
        return [slice(0, shape[2])]
    step = max(1, TILE * shape[2] // math.prod(shape))
    return [slice(start, start + step) for start in range(0, shape[2], step)]


def give_back() -> None:
    """Give memory that was freed back to the system, where the C library would keep it.

    That of Linux does: what comes and goes in a pass of 4,096 tokens left holes of 300 MB.
    """
    with suppress(OSError, AttributeError):  # another system
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _is_cache(value):
    """Say whether an argument is where a model keeps keys and values of earlier passes: here there are none."""
    return "Cache" in type(value).__name__


def _by_head(call):
    """Say whether an option of a call has numbers for each head: then its heads are computed together."""
    return any(call.options.get(name) is not None for name in ("position_bias", "s_aux", "sinks"))


def _of_heads(call, heads):
    """Return a call of some query heads, each with its key and value head."""
    module = copy.copy(call.module)  # its family's function asks it how many query heads share a key head
    module.num_key_value_groups = 1
    shared = heads // (call.query.shape[1] // call.key.shape[1])
    mask = call.mask if call.mask is None or call.mask.shape[1] == 1 else call.mask[:, heads]
    return replace(
        call,
        module=module,
        query=call.query[:, heads],
        key=call.key[:, shared],
        value=call.value[:, shared],
        mask=mask,
    )


def _of_rows(call, rows):
    """Return a call of some queries."""
    options = dict(call.options)
    for name in ("position_bias", "sinks"):
        if (given := options.get(name)) is not None and given.ndim == 4 and given.shape[2] > 1:
            options[name] = given[:, :, rows]
    mask = call.mask if call.mask is None or call.mask.shape[2] == 1 else call.mask[:, :, rows]
    return replace(call, query=call.query[:, :, rows], mask=mask, options=options)
