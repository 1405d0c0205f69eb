"""The masks of one pass: who may look at whom, what is added where one may, and whether that is causal.

A model makes its masks once and hands them to every layer, so all that is made of one is made once here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch

    from attn.pretrained.recording.registry import Call


class PassMask(NamedTuple):
    """What one mask does."""

    visible: np.ndarray | None  # (batch, 1 or num_heads, n_q, n_k) bool, read-only; None: everything
    bias: Any  # tensor that is added where a query may look; None where the mask does nothing but hide
    compact: Any  # tensor: booleans, a quarter of the memory, if the mask does nothing but hide; else as it came


NO_MASK = PassMask(None, None, None)


class PassMasks:
    """The masks of one pass and what is made of them, each once.

    Everything is known by the identity of a tensor or array. That is held as long as this lives, or another
    could take its identity over.
    """

    def __init__(self):
        self._made = {}  # what is made, and the identity of what it is made of -> that itself, and the result

    def once(self, make: Callable, mask: torch.Tensor | np.ndarray | None, *settings: Hashable) -> Any:
        """Return what a function makes of a mask, made at the first time of asking.

        Parameters
        ----------
        make
            A function of a module, which holds on to nothing. Takes the mask and the settings.
        mask
        *settings
            Hashable.
        """
        key = (make, id(mask), *settings)
        if key not in self._made:
            self._made[key] = mask, make(mask, *settings)
        return self._made[key][1]

    def of(self, call: Call) -> PassMask:
        """Return what the mask of a call does.

        Returns
        -------
        PassMask
            Layers that share a mask share its arrays.
        """
        return self.once(_taken_apart, call.mask, call.query.shape[2])

    def is_causal(self, call: Call) -> bool:
        """Say whether a call hides later keys, which makes a self-attention one of a decoder.

        Parameters
        ----------
        call
            Its queries stand at the last places of the keys, as in cached decoding.

        Returns
        -------
        bool
            True where no token sees a later one. Also in a module that calls itself causal if fewer pairs of
            tokens see the later than the earlier one: some let the patches of a picture within a text look both
            ways. Without a mask everything is visible, whatever the module calls itself; where the mask hides
            every token from every other, or there is one alone, only the module can tell.

        Notes
        -----
        Keys that no query sees are padding, which lies at one end and would make any mask look one-sided: they
        are left out, as queries and as keys. So are the keys before the first query, which are all earlier.
        """
        if call.mask is None:
            return False
        calls_itself_causal = bool(getattr(call.module, "is_causal", False))
        later, earlier = self.once(_pairs, self.of(call).visible, call.query.shape[2], call.key.shape[2])
        if later == earlier == 0:
            return calls_itself_causal
        return later == 0 or (calls_itself_causal and later < earlier)

    def is_only_causal(self, visible: np.ndarray | None, n_q: int, n_k: int) -> bool:
        """Say whether booleans hide later keys and no others, so that the flag of a faster function can replace them.

        Parameters
        ----------
        visible : booleans, broadcastable to (..., n_q, n_k), or None
            Of the model (`PassMask.visible`), or as they were changed.
        n_q, n_k
            Queries, which stand at the last places of the keys, and keys.

        Returns
        -------
        bool
            Of one query True if it sees every key: it is the last. False where padding, a window or anything
            else is hidden in any text of a batch.
        """
        return visible is not None and self.once(_is_only_causal, visible, n_q, n_k)


def _taken_apart(mask, n_q):
    """Part an additive mask into booleans, a row for each query, and what it adds where it does not hide."""
    import torch

    if mask is None:
        return NO_MASK
    if mask.dtype == torch.bool:
        return PassMask(_for_each_query(mask, n_q), None, mask)
    # half of the smallest number, because a bias may have been added to it
    visible = mask > torch.finfo(mask.dtype).min / 2
    if not ((mask != 0) & visible).any():
        return PassMask(_for_each_query(visible, n_q), None, visible)
    return PassMask(_for_each_query(visible, n_q), torch.where(visible, mask, 0), mask)


def _for_each_query(booleans, n_q):
    """Return a tensor as a read-only array that shares its memory where it can; one row may stand for all queries."""
    array = booleans.cpu().numpy()
    if array.shape[-2] == 1:
        array = np.broadcast_to(array, (*array.shape[:-2], n_q, array.shape[-1]))
    array.flags.writeable = False
    return array


def _pairs(visible, n_q, n_k):
    """Count the pairs of tokens of which the first sees the second, a later one and an earlier one."""
    size = min(n_q, n_k)
    square = np.broadcast_to(visible, (*visible.shape[:-2], n_q, n_k))[..., n_q - size :, n_k - size :]
    pairs = square & square.any(axis=-2)[..., None]  # (..., size, size), without the rows of padding
    return int(np.triu(pairs, 1).sum()), int(np.tril(pairs, -1).sum())


def _is_only_causal(visible, n_q, n_k):
    """Compare booleans with the causal mask."""
    return bool((visible == np.tri(n_q, n_k, n_k - n_q, dtype=bool)).all())
