"""How fast each pair of numbers turns, in models that read longer texts than those they were first trained on.

Rotary positions (RoPE) turn pairs of numbers of a query or key by an angle: its position times the speed of the pair,
which other code calls its inverse frequency. To read longer texts, models change these speeds, each kind in its way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from attn.functional import whole_number
from attn.positions import rotary, yarn, yarn_factor


class Turning(NamedTuple):
    """How queries and keys are turned by their positions."""

    speeds: np.ndarray  # (r,) radians a position, of each pair of numbers
    factor: float = 1.0  # what the turned numbers are multiplied by, called attention factor in configurations

    def angles(self, start: int, n: int) -> np.ndarray:
        """Return the angles of n positions from `start` on, (n, r), for `attn.positions.rotate`."""
        return np.arange(start, start + n)[:, None] * self.speeds


def turning(rope: Mapping[str, Any], d_k: int, length: int, max_tokens: int) -> Turning:
    """Return how fast a model turns the pairs of numbers of its queries and keys.

    Parameters
    ----------
    rope
        As configurations have it: ``rope_theta`` is the base, ``rope_type`` the kind of scaling, and the rest what that
        kind asks for.
    d_k
        Width of a head, of which ``partial_rotary_factor`` may turn a part only.
    length
        Tokens of the whole text, on which ``dynamic`` and ``longrope`` depend.
    max_tokens
        Of the model.

    Raises
    ------
    ValueError
        If the kind of scaling is none of `SCALINGS`, or a number that it needs is missing or out of range.
    """
    for name, number in (("d_k", d_k), ("length", length), ("max_tokens", max_tokens)):
        whole_number(name, number, 1)
    kind = kind_of(rope)
    if kind not in SCALINGS:
        raise ValueError(f"rope_type must be one of {', '.join(SCALINGS)}, got {kind!r}")
    turned = int(d_k * rope.get("partial_rotary_factor", 1.0))
    try:
        return SCALINGS[kind](rope, turned, length, max_tokens)
    except KeyError as missing:
        raise ValueError(f"positions of rope_type {kind} need {missing.args[0]}, which is not said") from None


def kind_of(rope: Mapping[str, Any]) -> str:
    """Return the kind of scaling that a configuration says, under its newer or its older name."""
    return rope.get("rope_type", rope.get("type")) or "default"


def _speeds(base, d):
    """Return the speed of each pair without any scaling."""
    return rotary(2, d, base=base)[1]  # the angles of position 1


def _default(rope, d, length, max_tokens):
    return Turning(_speeds(rope["rope_theta"], d))


def _linear(rope, d, length, max_tokens):
    """Every pair turns more slowly: positions are interpolated (Chen et al., 2023, equation 4. arXiv:2306.15595)."""
    return Turning(_speeds(rope["rope_theta"], d) / rope["factor"])


def _dynamic(rope, d, length, max_tokens):
    """The base grows with the text once that is too long ("dynamic NTK", Peng et al., 2023. arXiv:2309.00071).

    Section 3.3 has the stretch max(1, length / max_tokens); with ``factor`` it is as transformers computes it.
    """
    stretch = rope["factor"] * max(length, max_tokens) / max_tokens - (rope["factor"] - 1)
    return Turning(_speeds(rope["rope_theta"] * stretch ** (d / (d - 2)), d))


def _yarn(rope, d, length, max_tokens):
    """As `attn.positions.yarn` says, with the factor that some models give themselves."""
    trained = rope["original_max_position_embeddings"]
    stretch = rope.get("factor") or max_tokens / trained
    fast, slow = rope.get("beta_fast") or 32, rope.get("beta_slow") or 1
    truncate = rope.get("truncate", True)
    angles = yarn(2, d, stretch, trained=trained, base=rope["rope_theta"], fast=fast, slow=slow, truncate=truncate)
    attention_factor = rope.get("attention_factor") or yarn_factor(stretch)
    if rope.get("mscale") and rope.get("mscale_all_dim") and not rope.get("attention_factor"):
        own, all_dim = (1 + scale * (yarn_factor(stretch) - 1) for scale in (rope["mscale"], rope["mscale_all_dim"]))
        attention_factor = own / all_dim
    return Turning(angles[1], attention_factor)


def _llama3(rope, d, length, max_tokens):
    """Slow pairs turn more slowly, fast ones as before, and those between partly (Llama 3.1)."""
    speeds, stretch = _speeds(rope["rope_theta"], d), rope["factor"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    rounds = rope["original_max_position_embeddings"] * speeds / (2 * math.pi)  # in the longest text of training
    kept = np.clip((rounds - low) / (high - low), 0, 1)
    return Turning(speeds * (kept + (1 - kept) / stretch))


def _longrope(rope, d, length, max_tokens):
    """Each pair has a factor of its own, others for long texts (Ding et al., 2024, section 3. arXiv:2402.13753)."""
    trained = rope["original_max_position_embeddings"]
    stretch = rope.get("factor") or max_tokens / trained
    factors: Sequence[float] = rope["long_factor" if length > trained else "short_factor"]
    attention_factor = rope.get("attention_factor")
    if attention_factor is None:
        attention_factor = math.sqrt(1 + math.log(stretch) / math.log(trained)) if stretch > 1 else 1.0
    return Turning(_speeds(rope["rope_theta"], d) / np.array(factors), attention_factor)


SCALINGS = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "yarn": _yarn,
    "llama3": _llama3,
    "longrope": _longrope,
}
"""Kind of scaling, as configurations name it -> what makes a `Turning` of it."""
