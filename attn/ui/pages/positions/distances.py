"""What a scheme of positions does with distance: to the weights of one head, and in texts longer than any before."""

import functools

import numpy as np
import streamlit as st

from attn import charts, positions, scaled_dot_product_attention
from attn.charts.labels import number
from attn.data import examples
from attn.ui.controls.positions import POSITIONS, SHAW_REACH, TRAINED, positions_of, shaw_table
from attn.ui.pages.positions.schemes import (
    schemes_fading,
    schemes_last_bucket,
    schemes_trained_cosines,
    schemes_wavelengths,
)
from attn.ui.pages.positions.shuffle import D_V, NUM_HEADS, shuffle_hidden
from attn.ui.width import page_cell, page_share, page_width

NEAR = 16  # keys that count as near
WORDS, COUNT = 24, 100  # of the random sentences over which weights are averaged
_TICKS = [4**power for power in range(2, 7)]  # lengths, from as many keys as are near
_POINTS = 600  # of a curve


# By distance


def distances_picture(weights, without, scheme, causal, theme):
    """Draw the mean map of many random sentences in this head, and the mean weight by distance.

    Parameters
    ----------
    weights, without : ndarray, shape (WORDS, WORDS)
        As `distances_mean_weights` returns them.
    scheme : str
    causal : bool
    theme : Theme
    """
    names = charts.counted(WORDS)
    offsets = np.arange(1 - WORDS, 1 if causal else WORDS)
    parts = [charts.Curve("no positions", offsets, _by_offset(without, offsets), theme.muted, dashed=True)]
    if scheme != "none":
        name = POSITIONS[scheme].name
        parts.append(charts.Curve(name, offsets, _by_offset(weights, offsets), theme.weight_half))
    tall = max(min(420, page_share(0.34, least=180)), WORDS * page_cell(0, WORDS))
    options = {
        "scale": charts.Scale(float(weights.max())),
        "hidden": shuffle_hidden(causal, WORDS),
        "title": "Mean weights",
    }
    curves = charts.curves(
        parts,
        theme,
        dots=True,
        title="Mean weight by distance",
        x="key − query, in tokens",
        y=charts.Axis("weight", range=(0.0, max(max(part.y) for part in parts))),
        width=page_share(1, beside=tall + 90),
        height=tall,
    )
    return charts.beside(charts.heatmap(weights, names, names, theme, size=tall, **options), curves)


def distances_reading(setup):
    """Say what the head favours by distance."""
    near = np.abs(np.subtract.outer(np.arange(WORDS), np.arange(WORDS))) <= 2
    own, without = (float(weights[near].sum() / WORDS) for weights in distances_mean_weights(setup))
    told = (
        "Does a head look at near words more than at far ones? This is the mean over "
        f"{COUNT} sentences of {WORDS} random words. A query gives **{own:.0%}** of its weight to keys at most two "
        "tokens away"
    )
    if setup.positions == "none":
        return f"{told}: their share of what it sees, for nothing tells it how far they are."
    return (
        f"{told}, and {without:.0%} without positions. "
        + {
            "sinusoidal": "Which distances it favours depends on its matrices. These are random; training would set "
            "them.",
            "halves": "Which distances it favours depends on its matrices. These are random; training would set them.",
            "learned": "At the start of training the rows of the table are too small to matter.",
            "rotary": "Between unrelated words, as these are, rotation favours no distance. A head can learn to.",
            "yarn": "Between unrelated words, as these are, rotation favours no distance, stretched or not.",
            "xpos": f"Between unrelated words, as these are, rotation favours no distance, and {WORDS} tokens are too "
            "few for scores to fade.",
            "alibi": "ALiBi favours near keys from the start, with nothing to learn.",
            "relative": "Each distance has a number of its own. Here it is random; training would set it.",
            "shaw": "Each distance has a row of its own, here a random one, and what it is worth depends on the query.",
        }[setup.positions]
    )


def distances_csv(setup):
    """Return the mean weights as comma-separated text."""
    return charts.csv(distances_mean_weights(setup)[0], charts.counted(WORDS), charts.counted(WORDS))


def _by_offset(weights, offsets):
    """Return the mean weight on keys so many tokens to the right of the query.

    Examples
    --------
    >>> _by_offset(np.array([[0.75, 0.25], [0.5, 0.5]]), [-1, 0, 1])
    [0.5, 0.625, 0.25]
    """
    return [float(weights.diagonal(int(offset)).mean()) for offset in offsets]


def distances_mean_weights(setup):
    """Return the weights of this head, averaged over sentences of random words, and those without positions.

    Returns
    -------
    ndarray, shape (2, WORDS, WORDS)
    """
    scheme = setup.positions
    varied = {"head": setup.head - 1} if scheme == "alibi" else {"base": int(setup.base)}
    if scheme == "yarn":
        varied["stretch"] = int(setup.stretch)
    return _mean_weights(scheme, setup.d_model, setup.d_k, setup.seed, setup.causal, **varied)


@functools.lru_cache(maxsize=32)
def _mean_weights(scheme, d_model, d_k, seed, causal, **varied):
    """Compute them, some 10 milliseconds at the largest widths; nobody can change them, so all share them."""
    e = examples.random_example((), d_model, d_k, D_V, seed)
    keywords, _ = positions_of(scheme, WORDS, d_model, d_k, seed, **varied)
    words, none = _random_words(d_model, seed), np.zeros((COUNT, WORDS, 1))
    means = []
    for given in (keywords, {}):
        x = words + given.get("added", 0)
        query, key = positions.turned(x @ e.w_q, x @ e.w_k, given.get("rotate"))
        bias = given.get("bias")
        attention = scaled_dot_product_attention(
            query, key, none, bias=bias(query) if callable(bias) else bias, causal=causal
        )
        means.append(attention.weights.mean(axis=0))
    both = np.stack(means)
    both.setflags(write=False)
    return both


@functools.lru_cache(maxsize=4)
def _random_words(d_model, seed):
    """Return sentences of random words, (COUNT, WORDS, d_model): to draw them takes longer than to attend."""
    words = np.random.default_rng(seed).normal(size=(COUNT, WORDS, d_model))
    words.setflags(write=False)
    return words


# Longer texts


def distances_longer_controls(state):
    """Draw the choice of a length."""
    lengths = sorted({64, 128, 256, 512, 1024, 2048, 4096, 8192} | {state.get("n")})
    st.select_slider(
        "Tokens of the text",
        lengths,
        key=state.key("n"),
        format_func=lambda n: f"{n:,}",
        width=420,
        help=f"Up to {TRAINED} tokens are as in training; beyond, the model meets distances that it never saw.",
    )


def _profile(setup, scheme, n):
    """Return what position alone adds to the score of a key so many tokens before the query, (n,).

    The contents of all tokens are alike: for rotary positions and relative keys a query and a key of ones,
    for sinusoidal ones the positions themselves. A learned table ends, and so does its profile, of cosines.
    """
    if scheme == "learned":
        near = schemes_trained_cosines()
        return np.array([near.diagonal(-distance).mean() for distance in range(min(n, len(near)))])
    if POSITIONS[scheme].pairs:
        back, speed = np.arange(n)[:, None], 2 * np.pi / schemes_wavelengths(setup, scheme)  # (n, 1), (pairs,)
        pairs = np.cos(back * speed)  # (n, pairs)
        if scheme == "xpos":
            first, second = positions.xpos_factors(2, setup.d_k)
            pairs *= (second / first) ** back
        if scheme == "yarn":
            pairs *= positions.yarn_factor(int(setup.stretch)) ** 2
        if POSITIONS[scheme].pairs == "d_model":  # a sine and a cosine, of length 1
            return pairs.sum(axis=1) / np.sqrt(setup.d_model)
        return 2 * pairs.sum(axis=1) / np.sqrt(setup.d_k)  # two ones
    if scheme == "alibi":
        return -positions.alibi_slopes(NUM_HEADS)[setup.head - 1] * np.arange(n)
    if scheme == "relative":
        table = np.random.default_rng(setup.seed).normal(size=(32, 1))
        return positions.relative_bias(table, 1, n)[0, 0, ::-1]
    if scheme == "shaw":
        table = shaw_table(setup.seed, setup.d_k)
        return positions.shaw_bias(np.ones((1, setup.d_k)), table, n)[0, ::-1]
    return np.zeros(n)


def _near_share(scores, lengths):
    """Return the share of weight on the nearest keys, for a query that ends a text of each length.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Of the key at each distance.
    lengths : sequence of int
        Those beyond n are left out.

    Examples
    --------
    >>> _near_share(np.zeros(100), [8, 64])
    [1.0, 0.25]
    """
    sums = np.cumsum(np.exp(scores - scores.max()))
    return [float(sums[min(NEAR, n) - 1] / sums[n - 1]) for n in lengths if n <= len(sums)]


def distances_longer_picture(setup, theme):
    """Draw what position adds at each distance, and how much weight stays near as the text grows."""
    width = page_width()
    wide = width >= 1100
    options = {
        "marks": [(TRAINED, f"trained on {TRAINED}")],
        "width": int(width / 2 - 12) if wide else int(width),
    }
    options["height"] = int(min(400, max(300, width / 4)))
    tokens = "{:,.0f}".format
    own = _profile(setup, setup.positions, setup.n)
    at = np.unique(np.linspace(0, len(own) - 1, _POINTS).astype(int))
    added = charts.Curve(POSITIONS[setup.positions].name, at, own[at], theme.weight_half)
    title, what = "What position adds to a score", "added to the score"
    if setup.positions == "learned":
        title, what = "Cosine of two positions", "cosine"
    return (charts.beside if wide else charts.above)(
        charts.curves(
            [added],
            theme,
            title=title,
            x=charts.Axis("tokens back", range=(0, setup.n), format=tokens),
            y=what,
            **options,
        ),
        charts.curves(
            _shares(setup, theme),
            theme,
            title=f"Weight on the nearest {NEAR} keys",
            x=charts.Axis("tokens of the text", log=True, ticks=[n for n in _TICKS if n <= setup.n], format=tokens),
            y=charts.Axis("share", range=(0, 1)),
            **options,
        ),
    )


def _shares(setup, theme):
    """Return a curve for every scheme, all but the chosen one dashed; a table says nothing of longer texts."""
    lengths = np.unique(np.geomspace(NEAR, setup.n, 60).astype(int))
    curves = []
    for scheme in POSITIONS:
        try:
            share = _near_share(_profile(setup, scheme, setup.n), lengths)
        except ValueError:  # pairs need an even width
            continue
        if scheme != "learned":
            curves.append(charts.Curve(POSITIONS[scheme].name, lengths, share, dashed=scheme != setup.positions))
    return curves


def distances_longer_reading(setup):
    """Say what happens beyond the length that was trained on."""
    n = setup.n
    if setup.positions == "learned" and n > TRAINED:
        return (
            f"**The table ends.** It has {TRAINED} rows, so token {TRAINED + 1} has no position at all: "
            f"all-MiniLM-L6-v2 cuts a text of {n:,} tokens to its first {TRAINED}."
        )
    if setup.positions == "learned":
        return f"Within its {TRAINED} rows a learned table serves as well as any scheme. Choose a longer text."
    share = _near_share(_profile(setup, setup.positions, n), [n])[0]
    beyond = (
        f"Suppose that all words are alike. Then the nearest {NEAR} of {n:,} keys get **{share:.1%}** of the weight"
    )
    if setup.positions == "none":
        return f"{beyond}: {NEAR} / {n:,}. Without positions every key is as near as any other."
    beyond += f" ({min(NEAR / n, 1):.1%} without positions)"
    if setup.positions == "alibi":
        far = float(np.exp(_profile(setup, "alibi", TRAINED + 1)[-1]))
        return (
            f"{beyond}. A key {TRAINED} tokens back has {number(far, 2)} times the weight of the nearest: the smaller "
            "this is, the more a longer text looks like those of training."
        )
    if setup.positions == "relative":
        return (
            f"{beyond}. The rule has no end: from {schemes_last_bucket()} tokens on all distances share one "
            "bucket, so that none is new, and none differs from another."
        )
    if setup.positions == "shaw":
        return (
            f"{beyond}. The rule has no end: from {SHAW_REACH} tokens on all distances share one row, so that "
            "none is new, and none differs from another."
        )
    if setup.positions == "xpos":
        kept = schemes_fading(setup, TRAINED)
        return (
            f"{beyond}. Far keys fade: {TRAINED} tokens back the fastest pair keeps {kept[0]:.0%} of its size "
            f"and the slowest {kept[-1]:.0%}. A score that has faded to 0 still takes some weight: its exponential is "
            "e⁰ = 1."
        )
    waves = schemes_wavelengths(setup, "rotary" if setup.positions == "yarn" else None)
    if setup.positions == "yarn":
        stretched = TRAINED * int(setup.stretch)
        return (
            f"{beyond}. **{(waves > TRAINED).sum()} of {len(waves)} pairs** would not turn round once in "
            f"{TRAINED} tokens. They are made {setup.stretch} times slower, so that up to {stretched:,} tokens they "
            "show no angle that training never saw."
        )
    return (
        f"{beyond}. The formula has no end, but **{(waves > TRAINED).sum()} of {len(waves)} pairs** do not turn round "
        f"once in the {TRAINED} tokens of training. In longer texts they show angles that training never saw. A larger "
        "base makes such pairs more, and all turns slower."
    )
