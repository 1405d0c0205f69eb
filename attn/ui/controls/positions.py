"""The choice of how positions are said to attention."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import attn

TRAINED = 512  # tokens of the longest text in training: as many as the default model has positions
SHAW_REACH = 16  # tokens to each side that have a row of their own


class _Of(NamedTuple):
    """What a scheme is built for."""

    n: int
    d_model: int
    d_k: int
    seed: int
    head: int
    base: str  # as it stands in a call, after a comma; nothing where it is the usual one
    stretch: float


class PositionScheme(NamedTuple):
    """A scheme of positions to choose: all that the pages know of it."""

    title: str
    help: str
    name: str  # in a sentence
    code: Callable  # (_Of) -> keywords of `attn.one_head.walk` as code
    pairs: str | None = None  # the width that it turns in pairs, where it does


def _halves(of):
    """Return the code of sinusoids in halves."""
    return f"added=attn.positions.sinusoidal({of.n}, {of.d_model}{of.base}, halves=True, endpoint=True)"


def _yarn(of):
    """Return the code of rotary positions for longer texts."""
    angles = f"attn.positions.yarn({of.n}, {of.d_k}, {of.stretch}, trained={TRAINED}{of.base})"
    return f"rotate=lambda x: attn.positions.rotate(x, {angles}, factor=attn.positions.yarn_factor({of.stretch}))"


def _xpos(of):
    """Return the code of rotary positions that fade: queries and keys are turned apart."""
    angles = f"attn.positions.rotary({of.n}, {of.d_k}{of.base})"
    factors = f"attn.positions.xpos_factors({of.n}, {of.d_k})"
    ways = (
        f"lambda {x}: attn.positions.rotate({x}, {angles}, factor={factor})"
        for x, factor in (("query", factors), ("key", f"1 / {factors}"))
    )
    return f"rotate=({', '.join(ways)})"


def _shaw_table(seed, d_k):
    """Return the code of a random row for each distance."""
    return f"np.random.default_rng({seed}).normal(size=({2 * SHAW_REACH + 1}, {d_k}))"


def _shaw(of):
    """Return the code of relative positions after Shaw, with a random row for each distance."""
    table = _shaw_table(of.seed, of.d_k)
    return f"bias=lambda query: attn.positions.shaw_bias(query, {table}, {of.n}, query_offset=0)"


POSITIONS = {
    "none": PositionScheme(
        "None",
        "Shuffling the tokens shuffles the rows and nothing else.",
        "no positions",
        lambda of: "",
    ),
    "sinusoidal": PositionScheme(
        "Sinusoidal",
        "Waves of many lengths are added to the embeddings (Vaswani et al., 2017).",
        "sinusoidal positions",
        lambda of: f"added=attn.positions.sinusoidal({of.n}, {of.d_model}{of.base})",
        pairs="d_model",
    ),
    "halves": PositionScheme(
        "Sinusoidal, in halves",
        "The same waves, all sines before all cosines and the last one longer, as in fairseq, M2M100 and Whisper.",
        "sinusoids in halves",
        _halves,
        pairs="d_model",
    ),
    "learned": PositionScheme(
        "Learned (random here)",
        "One trained vector per position is added to the embeddings; here it is drawn at random.",
        "learned positions",
        lambda of: f"added=attn.positions.learned(np.random.default_rng({of.seed}), {of.n}, {of.d_model})",
    ),
    "rotary": PositionScheme(
        "Rotary",
        "Queries and keys are turned by an angle that grows with the position (Su et al., 2021).",
        "rotary positions",
        lambda of: f"rotate=lambda x: attn.positions.rotate(x, attn.positions.rotary({of.n}, {of.d_k}{of.base}))",
        pairs="d_k",
    ),
    "yarn": PositionScheme(
        "Rotary, stretched (YaRN)",
        "Slow pairs turn slower and all grow a little, so that longer texts show no new angle (Peng et al., 2023).",
        "YaRN",
        _yarn,
        pairs="d_k",
    ),
    "xpos": PositionScheme(
        "Rotary, fading (xPos)",
        "Turned queries grow with the position and keys shrink, so that far keys count less (Sun et al., 2022).",
        "xPos",
        _xpos,
        pairs="d_k",
    ),
    "alibi": PositionScheme(
        "ALiBi",
        "Scores lose half a point per token of distance: the steepest of eight heads (Press et al., 2021).",
        "ALiBi",
        lambda of: f"bias=attn.positions.alibi_bias(8, {of.n}, {of.n})[{of.head}]",
    ),
    "relative": PositionScheme(
        "Relative bias (random here)",
        "Scores gain a trained number per distance, as in T5; here it is drawn at random.",
        "a relative bias",
        lambda of: (
            f"bias=attn.positions.relative_bias("
            f"np.random.default_rng({of.seed}).normal(size=(32, 1)), {of.n}, {of.n})[0]"
        ),
    ),
    "shaw": PositionScheme(
        "Relative keys (random here)",
        "Scores gain the query times a trained row per distance (Shaw et al., 2018); here it is drawn at random.",
        "relative keys",
        _shaw,
    ),
}
"""One row a scheme; the keys stand in links."""


def shaw_table(seed, d_k):
    """Return the random rows of relative keys, one for each distance from far left to far right."""
    return eval(_shaw_table(seed, d_k), {"np": np})


def positions_of(name, n, d_model, d_k, seed, *, head=0, base=10000, stretch=4):
    """Build what the chosen positions do to one head: of eight, where heads differ.

    Returns
    -------
    keywords : dict
        ``added``, ``rotate`` or ``bias`` for `attn.one_head.walk`.
    lines : str
        The same keywords as code, which is what they are made of.

    Raises
    ------
    ValueError
        If the scheme does not fit the widths.
    """
    of = _Of(n, d_model, d_k, seed, head, "" if base == 10000 else f", base={base}", stretch)
    lines = POSITIONS[name].code(of)
    # what is shown is what was run: a second copy could say something else
    return eval(f"dict({lines})", {"attn": attn, "np": np}), lines
