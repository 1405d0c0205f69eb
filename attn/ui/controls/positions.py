"""The choice of how positions are said to attention."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import streamlit as st

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
    numpy: Callable  # (_Of) -> lines in numpy alone, which bind what `positions_in_numpy` says
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


_SINUSOIDAL = """\
place, wave = np.indices((n, d_model))  # place: of the token
angles = place / {base} ** (wave // 2 * 2 / d_model)
positions = np.where(wave % 2 == 0, np.sin(angles), np.cos(angles))"""
_HALVES = """\
half = d_model // 2  # all sines first, then all cosines
speeds = {base} ** -(np.arange(half) / max(half - 1, 1))
angles = np.arange(n)[:, None] * speeds  # (n, half)
positions = np.hstack([np.sin(angles), np.cos(angles)])"""
_ANGLES = """\
pairs = np.arange(d_k // 2)
speeds = {base} ** (-2.0 * pairs / d_k)
angles = np.arange(n)[:, None] * speeds  # (n, pairs)"""
_ROTATE = """
def rotate(x, grow=1):  # number i and number i + d_k / 2 are a pair
    a, b = x[:, : d_k // 2], x[:, d_k // 2 :]
    first = a * np.cos(angles) - b * np.sin(angles)
    second = b * np.cos(angles) + a * np.sin(angles)
    return np.hstack([first * grow, second * grow])
"""
_YARN = """\
pairs = np.arange(d_k // 2)
turns = np.array([32, 1]) * 2 * np.pi  # fast and slow pairs
first, last = d_k * np.log({trained} / turns) / (2 * np.log({base}))
first, last = max(np.floor(first), 0), min(np.ceil(last), d_k - 1)
slowed = np.clip((pairs - first) / ((last - first) or 0.001), 0, 1)
speeds = {base} ** (-2.0 * pairs / d_k) * (1 - slowed + slowed / {stretch})
angles = np.arange(n)[:, None] * speeds  # (n, pairs)
grow = 0.1 * np.log({stretch}) + 1"""
_FADE = """\
zeta = (2 * pairs / d_k + 0.4) / 1.4
fade = zeta ** ((np.arange(n) - np.ceil(n / 2))[:, None] / 512)"""
_RELATIVE = """\
table = np.random.default_rng({seed}).normal(size=32)  # one a bucket
to, at = np.indices((n, n))  # to: who looks, at: at whom
away = abs(at - to)
far = 8 + (2 * np.log2(np.maximum(away, 8) / 8)).astype(int)
bucket = np.where(away < 8, away, np.minimum(far, 15)) + 16 * (at > to)
bias = table[bucket]  # (n, n)"""
_SHAW_KEYS = """\
table = np.random.default_rng({seed}).normal(size=({rows}, d_k))
to, at = np.indices((n, n))  # to: who looks, at: at whom
row = np.clip(at - to, -{reach}, {reach}) + {reach}  # of their distance
bias = (query[:, None] * table[row]).sum(axis=-1) / np.sqrt(d_k)"""


def _halves_in_numpy(of):
    """Return the lines of sinusoids in halves, which leave the last of an odd number of columns empty."""
    odd = "\npositions = np.pad(positions, ((0, 0), (0, 1)))  # d_model is odd" if of.d_model % 2 else ""
    return _HALVES.format(base=_base(of)) + odd


def _turned(lines, *growth):
    """Return lines that bind ``angles`` and what queries and keys grow by, and those that turn both."""
    query, key = (f", {each}" for each in growth) if growth else ("", "")
    return f"{lines}\n{_ROTATE}\nquery, key = rotate(query{query}), rotate(key{key})"


def _alibi_in_numpy(of):
    """Return ALiBi's lines: each of eight heads has a slope of its own."""
    return (
        f"slope = 2.0 ** -{of.head + 1}  # of head {of.head + 1} of 8\n"
        "to, at = np.indices((n, n))  # to: who looks, at: at whom\n"
        "bias = -slope * abs(at - to)"
    )


POSITIONS = {
    "none": PositionScheme(
        "None",
        "Without a mask, shuffling the tokens shuffles the rows and nothing else.",
        "no positions",
        lambda of: "",
        lambda of: "",
    ),
    "sinusoidal": PositionScheme(
        "Sinusoidal",
        "Waves of many lengths are added to the embeddings (Vaswani et al., 2017).",
        "sinusoidal positions",
        lambda of: f"added=attn.positions.sinusoidal({of.n}, {of.d_model}{of.base})",
        lambda of: _SINUSOIDAL.format(base=_base(of)),
        pairs="d_model",
    ),
    "halves": PositionScheme(
        "Sinusoidal, in halves",
        "The same waves, all sines before all cosines and the last one longer, as in fairseq, M2M100 and Whisper.",
        "sinusoids in halves",
        _halves,
        _halves_in_numpy,
        pairs="d_model",
    ),
    "learned": PositionScheme(
        "Learned (random here)",
        "One trained vector per position is added to the embeddings; here it is drawn at random.",
        "learned positions",
        lambda of: f"added=attn.positions.learned(np.random.default_rng({of.seed}), {of.n}, {of.d_model})",
        lambda of: f"positions = np.random.default_rng({of.seed}).normal(0, 0.02, (n, d_model))",
    ),
    "rotary": PositionScheme(
        "Rotary",
        "Queries and keys are turned by an angle that grows with the position (Su et al., 2021).",
        "rotary positions",
        lambda of: f"rotate=lambda x: attn.positions.rotate(x, attn.positions.rotary({of.n}, {of.d_k}{of.base}))",
        lambda of: _turned(_ANGLES.format(base=_base(of))),
        pairs="d_k",
    ),
    "yarn": PositionScheme(
        "Rotary, stretched (YaRN)",
        "Slow pairs turn slower and all grow a little, so that longer texts show no new angle (Peng et al., 2023).",
        "YaRN",
        _yarn,
        lambda of: _turned(_YARN.format(base=_base(of), trained=TRAINED, stretch=of.stretch), "grow", "grow"),
        pairs="d_k",
    ),
    "xpos": PositionScheme(
        "Rotary, fading (xPos)",
        "Turned queries grow with the position and keys shrink, so that far keys count less (Sun et al., 2022).",
        "xPos",
        _xpos,
        lambda of: _turned(f"{_ANGLES.format(base=_base(of))}\n{_FADE}", "fade", "1 / fade"),
        pairs="d_k",
    ),
    "alibi": PositionScheme(
        "ALiBi",
        "Scores lose half a point per token of distance: the steepest of eight heads (Press et al., 2021).",
        "ALiBi",
        lambda of: f"bias=attn.positions.alibi_bias(8, {of.n}, {of.n})[{of.head}]",
        _alibi_in_numpy,
    ),
    "relative": PositionScheme(
        "Relative bias (random here)",
        "Scores gain a trained number per distance, as in T5; here it is drawn at random.",
        "a relative bias",
        lambda of: (
            f"bias=attn.positions.relative_bias("
            f"np.random.default_rng({of.seed}).normal(size=(32, 1)), {of.n}, {of.n})[0]"
        ),
        lambda of: _RELATIVE.format(seed=of.seed),
    ),
    "shaw": PositionScheme(
        "Relative keys (random here)",
        "Scores gain the query times a trained row per distance (Shaw et al., 2018); here it is drawn at random.",
        "relative keys",
        _shaw,
        lambda of: _SHAW_KEYS.format(seed=of.seed, rows=2 * SHAW_REACH + 1, reach=SHAW_REACH),
    ),
}
"""One row a scheme; the keys stand in links."""


def positions_control(state, **said):
    """Draw the choice of a scheme, and below it what the chosen one does.

    Parameters
    ----------
    state : PageState
        Of a page whose Setup has ``positions``.
    **said : str
        What stands below a scheme on this page in place of its help, by the scheme's key; nothing keeps the help.
    """
    st.selectbox(
        "Positions",
        POSITIONS,
        format_func=lambda name: POSITIONS[name].title,
        key=state.key("positions"),
        help="What tells attention where a token stands. Without it, only a mask can tell the order of the words.",
    )
    chosen = state.get("positions")
    st.caption(said.get(chosen) or POSITIONS[chosen].help)


def no_positions_but_a_mask(visible):
    """Say what tells the order where positions do not and a mask hides something; nothing where it hides nothing.

    Parameters
    ----------
    visible : ndarray of bool, shape (n, n)
        True where a query may look.
    """
    return "" if visible.all() else "Only the mask tells the order: who may look at whom depends on where they stand."


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
    lines = POSITIONS[name].code(_of(n, d_model, d_k, seed, head, base, stretch))
    # what is shown is what was run: a second copy could say something else
    return eval(f"dict({lines})", {"attn": attn, "np": np}), lines


def positions_in_numpy(name, seed, *, head=0, base=10000, stretch=4, d_model=None):
    """Return what the chosen positions do to one head, in numpy alone.

    Returns
    -------
    str
        Which keyword of `attn.one_head.walk` does the same: "added", "rotate", "bias", or nothing without positions.
    str
        Lines that know ``n``, ``d_model`` and ``d_k``, ``query`` and ``key``. They bind ``positions`` (n, d_model), to
        be added to the inputs; or turn ``query`` and ``key``; or bind ``bias`` (n, n), to be added to the scores.
    """
    of = _of(None, d_model, None, seed, head, base, stretch)
    return POSITIONS[name].code(of).partition("=")[0], POSITIONS[name].numpy(of)


def _of(n, d_model, d_k, seed, head, base, stretch):
    """Return what a scheme is built for."""
    return _Of(n, d_model, d_k, seed, head, "" if base == 10000 else f", base={base}", stretch)


def _base(of):
    """Return the base as code."""
    return of.base.partition("=")[2] or "10000"
