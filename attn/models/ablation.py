"""Parts of a model switched off, or adding less or more than they do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from attn.functional import finite_number, whole_number
from attn.models.passes import Change

SUBLAYERS = ("attention", "feed_forward")
"""What each layer adds to the residual stream."""


class PartFactor(NamedTuple):
    """One part of a model, and by what its result is multiplied."""

    layer: int  # counted from 0
    part: int | str  # a head, counted from 0, or one of `SUBLAYERS`
    factor: float = 0.0  # 0 switches it off, 1 leaves it as it is


def ablation(factors: Iterable[PartFactor]) -> Change:
    """Return the change of a pass in which some parts add less or more than they do, or nothing.

    Parameters
    ----------
    factors
        A part that no pass has is never asked about.

    Returns
    -------
    callable
        To be given to ``forward`` as ``change``.

    Raises
    ------
    ValueError
        If a layer or head is no whole number from 0 on, a part another word, or a factor not finite.

    Notes
    -----
    Of a head the context is multiplied, which then goes through its own rows of :math:`W_o`: with a factor of 0 it
    adds nothing, which [1]_, section 2.3, calls masking a head. Of a sublayer what it adds is multiplied.

    References
    ----------
    .. [1] Michel, Levy and Neubig, 2019. arXiv:1905.10650

    Examples
    --------
    >>> switched_off = ablation([PartFactor(2, 1)])
    >>> switched_off("context", 2, np.ones((3, 1, 2))).tolist()
    [[[1.0, 1.0]], [[0.0, 0.0]], [[1.0, 1.0]]]
    """
    heads: dict[int, dict[int, float]] = {}
    sublayers: dict[tuple[str, int], float] = {}
    for layer, part, factor in factors:
        whole_number("layer", layer)
        factor = finite_number(factor, "factor")
        if not isinstance(part, str):
            heads.setdefault(layer, {})[whole_number("part", part)] = factor
        elif part in SUBLAYERS:
            sublayers[f"{part}_output", layer] = factor
        else:
            raise ValueError(f"part must be a head or one of {', '.join(SUBLAYERS)}, got {part!r}")

    def change(step, layer, array):
        if step == "context" and layer in heads:
            each = np.ones((len(array), 1, 1), array.dtype)
            for head, factor in heads[layer].items():
                if head < len(each):
                    each[head] = factor
            return array * each
        factor = sublayers.get((step, layer))
        return array if factor is None else array * np.asarray(factor, array.dtype)

    return change
