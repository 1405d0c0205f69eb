"""What one pass of a model does otherwise: heads, patterns, masks, scores, positions."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from attn.functional import finite_number, whole_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

UNIFORM, FIRST, PREVIOUS = PATTERNS = ("uniform", "first", "previous")

_LARGEST_PAINTING = 256  # tokens: a painted pattern is a text
_STEPS = 255  # into which painted weights are rounded


@dataclass(frozen=True)
class Changes:
    """What is changed inside attention during one pass; nothing, if nothing is given.

    Hashable. Layers count all attention layers of a pass, as `Layer.index` does.

    Parameters
    ----------
    off : iterable of (int, int)
        Heads, as (layer, head), that give nothing: their context is 0.
    patterns : dict or iterable of pairs, (int, int) -> str
        Heads whose weights are replaced, within what they may see: ``"uniform"`` (equal over all
        keys), ``"first"`` (all on the first key), ``"previous"`` (all on the token before; the
        first token looks at itself), or what `painted` returns.
    hidden : iterable of int
        Tokens that no other token may look at.
    causal_mask_removed
        Whether tokens also look at later ones, in layers with a causal mask.
    window
        Most tokens to each side that a token may look at.
    scale
        Instead of the model's own, usually ``1 / sqrt(d_k)``; 1 leaves the scaling out.
    temperature
        Divides the scores just before the softmax: below 1 sharpens, above 1 flattens.
    shuffled
        Seed with which the positions of all tokens but special ones are shuffled.

    Raises
    ------
    ValueError
        If a head, token or number is not one, or a pattern is unknown.

    Examples
    --------
    >>> changes = Changes(off=[(5, 7), (5, 3)], patterns={(0, 1): "previous"}, temperature=0.5)
    >>> sorted(changes.heads)
    [(0, 1), (5, 3), (5, 7)]
    >>> bool(changes), bool(Changes())
    (True, False)
    """

    off: Iterable = frozenset()
    patterns: Mapping | Iterable = ()
    hidden: Iterable = frozenset()
    causal_mask_removed: bool = False
    window: int | None = None
    scale: float | None = None
    temperature: float = 1.0
    shuffled: int | None = None

    def __post_init__(self):
        for name in ("off", "patterns", "hidden"):
            if not isinstance(getattr(self, name), Iterable):
                raise ValueError(f"{name} must be several, such as a list, got {getattr(self, name)!r}")
        patterns = self.patterns.items() if isinstance(self.patterns, Mapping) else tuple(self.patterns)
        if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in patterns):
            raise ValueError(f"patterns must be pairs of a head and a pattern, got {self.patterns!r:.60}")
        patterns = sorted({_head(head): _checked(pattern) for head, pattern in patterns}.items())
        checked = {
            "off": frozenset(_head(head) for head in self.off),
            "patterns": tuple(patterns),
            "hidden": frozenset(whole_number("a hidden token", token) for token in self.hidden),
            "causal_mask_removed": bool(self.causal_mask_removed),
            "window": None if self.window is None else whole_number("window", self.window),
            "scale": None if self.scale is None else finite_number(self.scale, "scale"),
            "temperature": finite_number(self.temperature, "temperature", above=0),
            "shuffled": None if self.shuffled is None else whole_number("shuffled", self.shuffled),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __bool__(self):
        """Say whether anything is changed."""
        return any(getattr(self, field.name) != field.default for field in fields(self))

    @property
    def heads(self) -> frozenset[tuple[int, int]]:
        """Heads that are changed themselves, and not only by what reaches them."""
        return frozenset(self.off) | {head for head, _ in self.patterns}


def painted(weights: ArrayLike) -> str:
    """Turn a pattern painted by hand into one that `Changes` takes.

    Parameters
    ----------
    weights : shape (n_q, n_k)
        Booleans, where a query looks, or weights of at least 0. Rows are scaled to sum to 1 when
        the pattern is used; what a query may not see, it does not see.

    Returns
    -------
    str
        Weights are rounded to 255 steps of the largest.

    Raises
    ------
    ValueError
        If there are more than 256 queries or keys, or a weight is negative or not finite.

    Examples
    --------
    >>> pattern = painted([[True, False], [True, True]])
    >>> weights_painted(pattern).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    >>> Changes(patterns={(2, 5): pattern}).heads
    frozenset({(2, 5)})
    """
    weights = np.asarray(weights)
    if weights.ndim != 2 or not 0 < max(weights.shape) <= _LARGEST_PAINTING or weights.dtype.kind not in "fiub":
        raise ValueError(
            f"a painted pattern must have 2 axes of at most {_LARGEST_PAINTING}, "
            f"got {weights.dtype} of shape {weights.shape}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("a painted pattern must have finite weights of at least 0")
    largest = max(float(weights.max()), np.finfo(np.float32).tiny)
    steps = np.round(weights / largest * _STEPS).astype(np.uint8)
    kind = "P" if np.isin(steps, (0, _STEPS)).all() else "W"
    packed = np.packbits(steps > 0) if kind == "P" else steps
    letters = base64.urlsafe_b64encode(zlib.compress(packed.tobytes(), 9)).decode().rstrip("=")
    return f"{kind}{weights.shape[0]}x{weights.shape[1]}-{letters}"


def weights_painted(pattern: str) -> np.ndarray:
    """Return the weights that `painted` was given, the largest as 1.

    Returns
    -------
    ndarray of float32, shape (n_q, n_k)

    Raises
    ------
    ValueError
        If it is no painted pattern.
    """
    try:
        size, _, letters = pattern[1:].partition("-")
        n_q, n_k = map(int, size.split("x"))
        if pattern[0] not in "PW" or not 0 < max(n_q, n_k) <= _LARGEST_PAINTING or min(n_q, n_k) < 1:
            raise ValueError
        unpack = zlib.decompressobj()
        packed = unpack.decompress(base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4)), n_q * n_k)
        steps: np.ndarray = np.frombuffer(packed, dtype=np.uint8)
        steps = np.unpackbits(steps)[: n_q * n_k] if pattern[0] == "P" else steps / np.float32(_STEPS)
        return steps.reshape(n_q, n_k).astype(np.float32)
    except (ValueError, IndexError, binascii.Error, zlib.error):
        raise ValueError(f"a pattern must be one of {', '.join(PATTERNS)} or painted, got {pattern[:40]!r}") from None


def _checked(pattern):
    """Return a pattern if there is such a one."""
    if not isinstance(pattern, str):
        raise ValueError(f"a pattern must be one of {', '.join(PATTERNS)} or painted, got {pattern!r}")
    if pattern not in PATTERNS:
        weights_painted(pattern)
    return pattern


def _head(head):
    """Return a head as (layer, head)."""
    try:
        layer, head = head
    except (TypeError, ValueError):
        raise ValueError(f"a head must be a pair (layer, head), got {head!r}") from None
    return whole_number("a layer", layer), whole_number("a head", head)
