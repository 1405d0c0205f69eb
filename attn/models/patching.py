"""Activation patching: a step of one pass put into another, and how much of their difference it carries.

Two texts that differ in a word make a model say two things. Where along the way is that difference? A step of the one
pass, such as the output of one head, is put into the other; what then comes out lies somewhere between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.functional import MOST, as_real, finite_number, whole_number
from attn.models import bert, gpt2, llama
from attn.models.layer_parts import Model, Passed
from attn.models.passes import Change

STEPS = {
    "residual": "positions",
    "attention_output": "positions",
    "feed_forward_output": "positions",
    "context": "heads",
    "weights": "heads",
    "query": "heads",
    "key": "heads",
    "value": "heads",
}
"""The steps that can be put into another pass, each by position or by head (keys and values by their own heads)."""


class Place(NamedTuple):
    """Where a step of one pass is put into another."""

    layer: int
    number: int  # of the position in the text that is run, or of the head, counted from 0


def recorded_step(model: Model, passed: Passed, step: str, layer: int) -> np.ndarray:
    """Return a step of a layer as a pass computed it, in the shape that `attn.models.passes.STEPS` says.

    Parameters
    ----------
    model
    passed
        Of the model's ``forward``, without a cache; of a model that writes with ``steps=True``.
    step
        One of `STEPS`.
    layer
        From 0.

    Raises
    ------
    ValueError
        If there is no such step or layer.
    """
    if step not in STEPS:
        raise ValueError(f"step must be one of {', '.join(STEPS)}, got {step}")
    whole_number("layer", layer, most=len(model.layers) - 1)
    if isinstance(model, bert.Bert) and isinstance(passed, bert.Pass):
        block = passed.blocks[layer]
        named = {
            "residual": block.hidden,
            "attention_output": block.attention.output,
            "feed_forward_output": block.feed_forward_output,
        }
        return named[step] if step in named else getattr(block.attention, step)
    if isinstance(passed, bert.Pass):
        raise ValueError("passed must be a pass of the model, got one of an encoder")
    kept = passed.layers[layer]
    if step == "residual":
        return kept.x
    return getattr(kept.attention if step in ("context", "weights") else kept, step)


def put_there(
    model: Model, source: Passed, step: str, place: Place, pairs: Sequence[tuple[int, int]] | None = None
) -> Change:
    """Return what puts a step of one pass into another.

    Parameters
    ----------
    model
    source
        As `recorded_step` takes it.
    step
        One of `STEPS`.
    place
        A position of the text that is run, or a head.
    pairs
        Positions of that text, each with the one of the source that stands for it, as `aligned` returns them; by
        default each with itself, as far as both texts go.

    Returns
    -------
    Change
        For the ``change`` of a ``forward``. A position without a partner is left as it is.

    Raises
    ------
    ValueError
        As `recorded_step`, and if there is no such head; by the function that is returned, if the text that is run has
        no such position, if one of `pairs` names a position that its text has not, or if the texts differ in length
        and ``weights`` are put.

    Notes
    -----
    Interchange interventions: [1]_, section 3; [2]_, section 2, patches states and heads of a model that writes.

    References
    ----------
    .. [1] Geiger et al., 2021, Causal abstractions of neural networks. arXiv:2106.02997
    .. [2] Zhang and Nanda, 2023, Towards best practices of activation patching. arXiv:2309.16042
    """
    there = recorded_step(model, source, step, place.layer)
    by_head = STEPS[step] == "heads"
    whole_number("head" if by_head else "position", place.number, most=len(there) - 1 if by_head else MOST)

    def change(name, layer, array):
        if (name, layer) != (step, place.layer):
            return array
        n, n_source = array.shape[-2], there.shape[-2]
        if not by_head:
            whole_number("position", place.number, most=n - 1)
        known = [(at, at) for at in range(min(n, n_source))] if pairs is None else pairs
        for at, partner in known:
            whole_number("a position of the text", at, most=n - 1)
            whole_number("a position of the source", partner, most=n_source - 1)
        changed = array.copy()
        if step == "weights":
            if there.shape != array.shape:
                raise ValueError(
                    f"weights can be put into a text of as many tokens alone, got {there.shape[-1]} for "
                    f"{array.shape[-1]}"
                )
            changed[place.number] = there[place.number]
        elif by_head:
            for at, partner in known:
                changed[place.number, at] = there[place.number, partner]
        else:
            for at, partner in known:
                if at == place.number:
                    changed[at] = there[partner]
        return changed

    return change


def aligned(ids: ArrayLike, source_ids: ArrayLike) -> list[tuple[int, int]]:
    """Return which position of one text stands for which of another.

    Parameters
    ----------
    ids, source_ids : integers, shape (n,) and (m,)

    Returns
    -------
    list of (int, int)
        Of texts of one length all, each with itself. Otherwise the stretches that are the same, and of stretches that
        differ the last tokens of both, for as many as the shorter has: the last token of a name is where it is known.

    Raises
    ------
    ValueError
        If one is not a row of numbers.

    Examples
    --------
    >>> aligned([1, 2, 3], [1, 9, 3])
    [(0, 0), (1, 1), (2, 2)]
    >>> aligned([1, 2, 3], [1, 8, 9, 3])
    [(0, 0), (1, 2), (2, 3)]
    """
    rows = as_real(ids, "ids"), as_real(source_ids, "source_ids")
    for name, row in zip(("ids", "source_ids"), rows, strict=True):
        if row.ndim != 1:
            raise ValueError(f"{name} must be one row, got shape {row.shape}")
    own, others = (row.tolist() for row in rows)
    if len(own) == len(others):
        return [(at, at) for at in range(len(own))]
    found = []
    for _, first, end, first_source, end_source in SequenceMatcher(None, own, others, autojunk=False).get_opcodes():
        count = min(end - first, end_source - first_source)
        found += [(end - back, end_source - back) for back in range(count, 0, -1)]
    return found


def patched(
    model: Model,
    ids: ArrayLike,
    source: Passed,
    step: str,
    places: Sequence[Place],
    measure: Callable[[Passed], float],
    pairs: Sequence[tuple[int, int]] | None = None,
) -> Iterator[float]:
    """Run a text once for each place with a step of another pass put there, and measure what comes out.

    Parameters
    ----------
    model
    ids : integers, shape (n,)
        The text that is run.
    source, step, pairs
        As `put_there` takes them.
    places
    measure
        Takes what a ``forward`` returns: of a model that writes with the logits of the last token alone.

    Yields
    ------
    float

    Raises
    ------
    ValueError
        As `put_there`.
    """
    for place in places:
        yield measure(run(model, ids, change=put_there(model, source, step, place, pairs)))


def run(model: Model, ids: ArrayLike, change: Change | None = None) -> Passed:
    """Pass a text through a model of any line, of one that writes with the logits of the last token alone.

    Raises
    ------
    ValueError
        As the model's own ``forward``.
    """
    if isinstance(model, bert.Bert):
        return bert.forward(model, ids, change=change)
    if isinstance(model, gpt2.GPT2):
        return gpt2.forward(model, ids, last=True, change=change)
    return llama.forward(model, ids, last=True, change=change)


def restored(measured: ArrayLike, start: float, end: float) -> np.ndarray:
    r"""Return which share of the difference of two runs is there.

    Parameters
    ----------
    measured : array_like
        With something put into the run that starts.
    start, end
        Measured on the run that something is put into, and on that which it is taken from.

    Returns
    -------
    ndarray
        0 where nothing moved, 1 where all of the difference is there; below 0 and above 1 where it went farther.

    Raises
    ------
    ValueError
        If the two runs do not differ.

    Notes
    -----
    :math:`(m - m_{start}) / (m_{end} - m_{start})`: section 2 of [1]_, with the difference of two logits as measure.

    References
    ----------
    .. [1] Zhang and Nanda, 2023. arXiv:2309.16042

    Examples
    --------
    >>> restored([1.0, 3.0, 5.0], start=1.0, end=5.0)
    array([0. , 0.5, 1. ])
    """
    measured = as_real(measured, "measured")
    start, end = finite_number(start, "start"), finite_number(end, "end")
    if end == start:
        raise ValueError(f"the two runs must differ in what is measured, got {start:g} for both")
    return (measured - start) / (end - start)


class Leg(NamedTuple):
    """A stretch of layers through which one position carries most of a difference."""

    position: int
    first: int  # layer, counted from 0
    last: int
    begins: float  # the share that it carries in the first of them
    ends: float  # and in the last


def hand_over(shares: ArrayLike) -> list[Leg]:
    """Return which position carries a difference through which layers, from the first to the last.

    Parameters
    ----------
    shares : shape (num_layers, n)
        What `restored` returns of a step put there by position, layers down.

    Returns
    -------
    list of Leg
        Of each layer the position with the largest share, layers with the same one after the other joined. A layer in
        which no share is above 0 is left out.

    Raises
    ------
    ValueError
        If `shares` are not layers by positions, at least one of each.

    Notes
    -----
    Such a path, from the last token of what is asked about to the last of the text, is what [1]_, section 2.2, finds.

    References
    ----------
    .. [1] Meng et al., 2022, Locating and editing factual associations in GPT. arXiv:2202.05262

    Examples
    --------
    >>> hand_over([[1.0, 0.0], [0.9, 0.2], [0.1, 0.8]])
    [Leg(position=0, first=0, last=1, begins=1.0, ends=0.9), Leg(position=1, first=2, last=2, begins=0.8, ends=0.8)]
    """
    rows = as_real(shares, "shares")
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"shares must be layers by positions, got shape {rows.shape}")
    legs: list[Leg] = []
    for layer, row in enumerate(rows):
        position, share = int(row.argmax()), float(row.max())
        if share <= 0:
            continue
        if legs and legs[-1].position == position:
            legs[-1] = legs[-1]._replace(last=layer, ends=share)
        else:
            legs.append(Leg(position, layer, layer, share, share))
    return legs


def causal_cone(visible: Sequence[ArrayLike], differing: ArrayLike, measured: int) -> np.ndarray:
    """Return where a state may carry a difference that is seen in the end.

    Parameters
    ----------
    visible : sequence of booleans, shape (n, n), one for each layer
        True where a query, down, may look at a key, across.
    differing : booleans, shape (n,)
        Positions where the two texts differ.
    measured
        The position after which is measured.

    Returns
    -------
    booleans, shape (num_layers + 1, n)
        Of the state that each layer reads, and of the last: True where it can differ between the runs *and* can reach
        the end.

    Raises
    ------
    ValueError
        If shapes do not fit, or there is no such position.

    Examples
    --------
    >>> causal_cone([np.tri(3, dtype=bool)] * 2, [False, True, False], 2).astype(int)
    array([[0, 1, 0],
           [0, 1, 1],
           [0, 0, 1]])
    """
    differs = np.asarray(as_real(differing, "differing"), bool)
    if differs.ndim != 1:
        raise ValueError(f"differing must be one for each position, got shape {differs.shape}")
    masks = [np.asarray(as_real(mask, "visible"), bool) for mask in visible]
    if any(mask.shape != (differs.size, differs.size) for mask in masks):
        raise ValueError(f"visible must be (n, n) for {differs.size} positions, got {[m.shape for m in masks]}")
    reaches = np.zeros(differs.size, bool)
    reaches[whole_number("measured", measured, most=differs.size - 1)] = True
    before, after = [differs], [reaches]
    for mask in masks:
        before.append(before[-1] | (mask & before[-1]).any(axis=1))
    for mask in reversed(masks):
        after.append(after[-1] | (mask & after[-1][:, None]).any(axis=0))
    return np.array(before) & np.array(after[::-1])
