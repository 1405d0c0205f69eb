"""Positions: from the choices on the page to what a scheme does to one head, and the code for it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts, examples, positions, scaled_dot_product_attention, steps
from attn.charts.labels import number
from attn.ui import models
from attn.ui.choices import POSITION_HELP, POSITIONS, positions_of
from attn.ui.room import room
from attn.ui.sentences import words_of
from attn.ui.setup import choice, flag, string, whole
from attn.ui.state import as_text

BASES = {"100": "100", "1000": "1,000", "10000": "10,000", "100000": "100,000", "500000": "500,000"}
TABS = ("By distance", "Only the distance counts", "Longer texts", "All schemes", "Code")
NUM_HEADS = 8
D_V = 4
TRAINED = 512  # positions in the table of the default model
NEAR = 16  # keys that count as near
_SHOWN = 40  # positions that the picture of a scheme shows
_DIALS = 6
_STARTS = (0, 1, 5, 20, 100, 400)  # positions of the query at which one distance is looked at
_OFFSETS = (0, 1, 2, 5, 10, 50, 100)  # distances
WORDS, COUNT = 24, 400  # of the random sentences over which weights are averaged


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Positions."""

    text: str = string("The dog chased the cat.")
    seed: int = whole(1, 0, 9999)
    positions: str = choice("sinusoidal", POSITIONS)
    base: str = choice("10000", BASES)
    head: int = whole(1, 1, NUM_HEADS)
    d_model: int = whole(32, 2, 128)
    d_k: int = whole(16, 2, 64)
    causal: bool = flag(False)
    shuffle: int = whole(1, 0, 9999)
    at: int = whole(5, 0, 400)
    apart: int = whole(3, 0, 100)
    n: int = whole(2048, 64, 8192)
    tab: str = choice("By distance", TABS)

    @property
    def about_pairs(self):
        """Whether the scheme turns pairs of numbers."""
        return self.positions in ("sinusoidal", "rotary")


class Placed(NamedTuple):
    """What the page shows."""

    tokens: tuple
    order: np.ndarray  # (n,) which token stands where after the shuffle
    written: steps.Steps  # the words as written
    shuffled: steps.Steps
    difference: np.ndarray  # (n, n) between the weights, once the shuffle is undone
    context_difference: float  # the largest between the contexts
    hidden: np.ndarray  # (n, n)

    @property
    def labels(self):
        return charts.token_labels(self.tokens)

    @property
    def shuffled_labels(self):
        return charts.token_labels([self.tokens[at] for at in self.order])

    @property
    def largest(self):
        """The largest difference between the weights."""
        return float(np.abs(self.difference).max(initial=0))


def tokens_of(setup):
    """Return the tokens the page works on."""
    return words_of(setup.text)


def placed(setup, scheme=None):
    """Attend to the words as written and shuffled, with one scheme of positions.

    Parameters
    ----------
    setup : Setup
    scheme : str, optional
        Another than the chosen one.

    Returns
    -------
    Placed

    Raises
    ------
    ValueError
        If the scheme does not fit the widths.
    """
    tokens = tokens_of(setup)
    n = len(tokens)
    e = examples.random_example(tokens, setup.d_model, setup.d_k, D_V, setup.seed)
    keywords = keywords_of(setup, n, scheme)[0]
    visible = ~hidden(setup, n)
    order = another_order(n, setup.shuffle)
    written, shuffled = (steps.walk(x, e.w_q, e.w_k, e.w_v, mask=visible, **keywords) for x in (e.x, e.x[order]))
    back = np.argsort(order)
    difference = shuffled.weights[np.ix_(back, back)] - written.weights
    moved = np.abs(shuffled.context[back] - written.context).max(initial=0)
    return Placed(tokens, order, written, shuffled, difference, float(moved), ~visible)


def keywords_of(setup, n, scheme=None):
    """Return what the scheme gives to `attn.steps.walk`, and the same as code."""
    scheme = scheme or setup.positions
    return positions_of(
        scheme, n, setup.d_model, setup.d_k, setup.seed, head=setup.head - 1, base=int(setup.base)
    )  # fmt: skip


def another_order(n, seed):
    """Return an order of n things, another than the one they have if there is one.

    Examples
    --------
    >>> another_order(3, 0).tolist() != [0, 1, 2], another_order(1, 0).tolist()
    (True, [0])
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    while n > 1 and (order == np.arange(n)).all():
        order = rng.permutation(n)
    return order


# Controls


def scheme_controls(state):
    """Draw the choice of a scheme and its numbers."""
    st.selectbox(
        "Positions",
        POSITIONS,
        format_func=POSITIONS.get,
        key=state.key("positions"),
        help="What tells attention where a token stands.",
    )
    scheme = state.get("positions")
    st.caption(POSITION_HELP[scheme])
    if scheme in ("sinusoidal", "rotary"):
        st.select_slider(
            "Base", list(BASES), format_func=BASES.get, key=state.key("base"),
            help="The larger, the longer the waves. 10,000 in both papers; Llama 3 has 500,000.",
        )  # fmt: skip
    if scheme == "alibi":
        st.slider("Head", 1, NUM_HEADS, key=state.key("head"), help="Each of the eight heads has a slope of its own.")


def head_picker(state):
    """Return what a click on the slope of a head does, or None for schemes that are alike in all heads."""
    return (lambda row: state.set(head=row + 1)) if state.get("positions") == "alibi" else None


# The words shuffled


def shuffle_picture(result, theme):
    """Draw the weights as written, shuffled, and what differs once the shuffle is undone."""
    labels, others = result.labels, result.shuffled_labels
    parts = [
        charts.panel(result.written.weights, labels, labels, title="As written", hidden=result.hidden),
        charts.panel(result.shuffled.weights, others, others, title="Shuffled", hidden=result.hidden),
        charts.panel(
            result.difference,
            labels,
            labels,
            kind="signed",
            title="Put back, minus as written",
            limit=limit_of(result.largest),
        ),
    ]
    return charts.panels(theme, room(), *parts)


def limit_of(difference):
    """Return the end of the scale of differences: small ones, such as rounding, are not to look large."""
    return max(0.1, difference)


def name_of(setup):
    """Return the chosen scheme as it stands in a sentence."""
    name = POSITIONS[setup.positions].split(" (")[0]
    return name if name == "ALiBi" else name.lower()


def hidden(setup, n):
    """Return which cells the mask hides, (n, n)."""
    return ~np.tri(n, dtype=bool) if setup.causal else np.zeros((n, n), dtype=bool)


def reading(setup, result):
    """Say what shuffling the words did."""
    n = len(result.tokens)
    if n == 1:
        return "One word has no order. Type a second one, and see whether attention can tell which comes first."
    shuffled = as_text(" ".join(result.tokens[at] for at in result.order))
    if setup.positions == "none" and not setup.causal:
        return (
            f"Shuffled to “{shuffled}”, the rows and columns are shuffled **and nothing else**: put back in order, no "
            f"weight differs by more than **{result.largest:.1e}** and no context by more than "
            f"{result.context_difference:.1e}, which is rounding. Attention alone does not know the order."
        )
    without = placed(setup, "none").largest
    if setup.positions == "none":
        return (
            f"Shuffled to “{shuffled}” and put back in order, weights differ by up to **{result.largest:.3g}** with no "
            "positions at all: a causal mask tells order by itself, for the word that comes first sees only itself."
        )
    return (
        f"Shuffled to “{shuffled}” and put back in order, weights differ by up to **{result.largest:.3g}** with {name_of(setup)} "
        f"positions, and by {without:.1e} without any: "
        + ("the causal mask tells some of the order by itself." if setup.causal else "only the positions tell order.")
    )


def formula(setup, role):
    """Return the scheme's formula in LaTeX; `role` tells the colour of a letter."""
    q, k = rf"\textcolor{{{role('query')}}}{{q}}", rf"\textcolor{{{role('key')}}}{{k}}"
    return {
        "none": r"\mathrm{attention}(PX) = P\,\mathrm{attention}(X)",
        "sinusoidal": r"\begin{aligned}x_p &+ \mathrm{PE}_p\\ \mathrm{PE}_{p,2i} &= \sin(p\,/\,b^{2i/d})\\"
        r"\mathrm{PE}_{p,2i+1} &= \cos(p\,/\,b^{2i/d})\end{aligned}",
        "learned": r"x_p + P_p, \qquad P \in \mathbb{R}^{n_{\max} \times d}",
        "rotary": rf"(R_i\,{q}_i)^\top (R_j\,{k}_j) = {q}_i^\top R_{{j-i}}\,{k}_j",
        "alibi": rf"\frac{{{q}_i^\top {k}_j}}{{\sqrt{{d_k}}}} - m_h\,|i - j|, \quad m_h = 2^{{-8h/{NUM_HEADS}}}",
        "relative": rf"\frac{{{q}_i^\top {k}_j}}{{\sqrt{{d_k}}}} + b_{{\mathrm{{bucket}}(j - i)}}",
    }[setup.positions]


# The scheme itself


def scheme_picture(setup, theme):
    """Draw the scheme: what is added, or by how much is turned, or the bias; None where there is nothing."""
    labels, width = charts.counted(_SHOWN), setup.d_model
    signed = {"kind": "signed", "axes": ("position", "dimension")}
    if setup.positions == "sinusoidal":
        waves = positions.sinusoidal(_SHOWN, width, base=int(setup.base))
        return _pair(
            theme,
            charts.panel(waves, labels, charts.counted(width), title="What is added", **signed),
            charts.panel(waves @ waves.T, labels, labels, kind="signed", title="Products of two positions",
                         axes=("position", "position")),
        )  # fmt: skip
    if setup.positions == "learned":
        table = models.position_table()
        near = cosines(table)
        names = charts.counted(len(table))
        return _pair(
            theme,
            charts.panel(near, names, names, kind="signed", title="all-MiniLM-L6-v2, trained: cosines",
                         axes=("position", "position")),
            charts.panel(table, names, charts.counted(table.shape[1]), title="Its table", **signed),
        )  # fmt: skip
    if setup.positions == "rotary":
        angles = positions.rotary(_SHOWN, setup.d_k, base=int(setup.base))
        ones = positions.rotate(np.ones((_SHOWN, setup.d_k)), angles)
        return _pair(
            theme,
            charts.panel(np.cos(angles), labels, charts.counted(setup.d_k // 2), title="Cosine of each pair's turn",
                         kind="signed", axes=("position", "pair")),
            charts.panel(ones @ ones.T, labels, labels, kind="signed", title="Equal query and key, turned: products"),
        )  # fmt: skip
    if setup.positions == "alibi":
        bias = positions.alibi_bias(NUM_HEADS, _SHOWN)[setup.head - 1]
        slopes = positions.alibi_slopes(NUM_HEADS)
        bars = charts.bars(
            slopes, [f"head {head}" for head in range(1, NUM_HEADS + 1)], theme, title="Slope of each head",
            kind="magnitude", selected=setup.head - 1, select="slope", width=int(room() * 0.25), tooltip_name="slope",
        )  # fmt: skip
        matrix = charts.heatmap(bias, labels, labels, theme, kind="signed", title=f"Bias of head {setup.head}",
                                size=int(min(440, room() * 0.45)))  # fmt: skip
        return charts.beside(bars, matrix)
    if setup.positions == "relative":
        buckets = positions.relative_buckets(_SHOWN)
        return _pair(
            theme,
            charts.panel(buckets, labels, labels, kind="magnitude", title="Bucket of each distance, of 32",
                         tooltip_name="bucket"),
            charts.panel(keywords_of(setup, _SHOWN)[0]["bias"], labels, labels, kind="signed", title="Its number"),
        )  # fmt: skip
    return None


def _pair(theme, *parts):
    """Draw two pictures of a scheme side by side."""
    return charts.panels(theme, room(), *parts)


def scheme_csv(setup):
    """Return what the scheme adds, turns by, or gives as bias, as comma-separated text."""
    labels = charts.counted(_SHOWN)
    if setup.positions == "learned":
        table = models.position_table()
        return charts.csv(table, *map(charts.counted, table.shape))
    if setup.positions == "rotary":
        return charts.csv(positions.rotary(_SHOWN, setup.d_k, base=int(setup.base)), labels,
                          charts.counted(setup.d_k // 2))  # fmt: skip
    (values,) = keywords_of(setup, _SHOWN)[0].values()
    return charts.csv(values, labels, charts.counted(values.shape[1]))


def scheme_reading(setup):
    """Say how to read the picture of the scheme."""
    if setup.about_pairs:
        width = setup.d_model if setup.positions == "sinusoidal" else setup.d_k
        waves = positions.wavelengths(width, base=int(setup.base))
        longest = positions.wavelengths(512)[-1]
        what = "dimensions come round" if setup.positions == "sinusoidal" else "pairs come round"
        return (
            f"The first {what} every {waves[0]:.2f} positions, the last every **{waves[-1]:,.0f}**. The paper on "
            f"sinusoidal positions speaks of 10,000 · 2π = 62,832, but its exponent ends at (d − 2)/d, so that at "
            f"d = 512 the longest wave is **{longest:,.0f}**."
        )
    if setup.positions == "learned":
        return (
            f"A table that was trained: the {TRAINED} positions of all-MiniLM-L6-v2. Nobody told it that 7 is near 8, "
            "and yet neighbours have become alike: the bright diagonal. In the first picture the table is drawn at "
            "random, as training would begin. In Vaswani et al., 2017, Table 3 (E), a trained table reached BLEU "
            "25.7 and sinusoids 25.8."
        )
    if setup.positions == "alibi":
        slope = positions.alibi_slopes(NUM_HEADS)[setup.head - 1]
        return (
            f"Head {setup.head} loses **{number(slope)}** per token of distance: a key {4 / slope:,.0f} tokens away "
            f"has e⁴ = 55 times less weight than an equal one beside the query."
        )
    return (
        "Half of the 32 buckets are for keys to the left, half for keys to the right; of each half eight hold one "
        "distance each, the other eight hold ever more, and from 128 on all share the last. One number is trained "
        "per bucket and head; here it is drawn at random."
    )


def cosines(table):
    """Return the cosine between every two rows."""
    rows = table / np.linalg.norm(table, axis=1, keepdims=True)
    return rows @ rows.T


# By distance


def distance_picture(setup, theme):
    """Draw the mean map of many random sentences in this head, and the mean weight by distance."""
    names = charts.counted(WORDS)
    weights, without = mean_weights(setup), mean_weights(setup, "none")
    offsets = np.arange(1 - WORDS, 1 if setup.causal else WORDS)
    parts = [charts.Curve("without positions", offsets, by_offset(without, offsets), theme.muted, dashed=True)]
    if setup.positions != "none":
        parts.append(charts.Curve(name_of(setup), offsets, by_offset(weights, offsets), theme.weight_half))
    tall = int(min(420, room() * 0.4))
    options = {"limit": float(weights.max()), "hidden": hidden(setup, WORDS), "title": "Mean weights"}
    return charts.beside(
        charts.heatmap(weights, names, names, theme, size=tall, **options),
        charts.curves(
            parts,
            theme,
            dots=True,
            title="Mean weight by distance",
            x_name="key − query, in tokens",
            y_name="weight",
            width=int(room() - tall - 90),
            height=tall,
            y_range=(0.0, max(max(part.y) for part in parts)),
        ),
    )


def distance_reading(setup):
    """Say what the head favours by distance."""
    near = np.abs(np.subtract.outer(np.arange(WORDS), np.arange(WORDS))) <= 2
    own, without = (float(mean_weights(setup, scheme)[near].sum() / WORDS) for scheme in (None, "none"))
    told = (
        f"{COUNT} sentences of {WORDS} random words, all read by this one head. A query gives **{own:.0%}** of its "
        "weight to keys at most two tokens away"
    )
    if setup.positions == "none":
        return f"{told}. Nothing but the mask depends on distance." if setup.causal else f"{told}, as its share is."
    return (
        f"{told}, {without:.0%} without positions. "
        + {
            "sinusoidal": "What it favours comes of its matrices: these are random, training would shape them.",
            "learned": "At the start of training the rows are too small to matter.",
            "rotary": "By itself rotation favours no distance: it lets a head that has learned to do so.",
            "alibi": "ALiBi favours near keys from the start, with nothing to learn.",
            "relative": "Each distance has its number, here a random one; training would shape them.",
        }[setup.positions]
    )


def distance_csv(setup):
    """Return the mean weights as comma-separated text."""
    return charts.csv(mean_weights(setup), charts.counted(WORDS), charts.counted(WORDS))


def by_offset(weights, offsets):
    """Return the mean weight on keys so many tokens to the right of the query."""
    return [float(weights.diagonal(int(offset)).mean()) for offset in offsets]


@st.cache_data(max_entries=64, show_spinner=False)
def mean_weights(setup, scheme=None):
    """Return the weights of this head, averaged over sentences of random words, (WORDS, WORDS)."""
    e = examples.random_example((), setup.d_model, setup.d_k, D_V, setup.seed)
    keywords, _ = keywords_of(setup, WORDS, scheme)
    x = np.random.default_rng(setup.seed).normal(size=(COUNT, WORDS, setup.d_model)) + keywords.get("added", 0)
    rotate = keywords.get("rotate", lambda each: each)
    attention = scaled_dot_product_attention(
        rotate(x @ e.w_q),
        rotate(x @ e.w_k),
        np.zeros((COUNT, WORDS, 1)),
        bias=keywords.get("bias"),
        causal=setup.causal,
    )
    return attention.weights.mean(axis=0)


# Only the distance counts


def distance_controls(state):
    """Draw the choice of the query's position and of the distance to its key."""
    left, right = st.columns(2)
    left.slider("Query at position", 0, 400, key=state.key("at"), help="Move it: both hands turn together.")
    right.slider("Key so many further on", 0, 100, key=state.key("apart"), help="Only this changes the angle between.")


def dials_picture(setup, theme):
    """Draw the turn of a few pairs for the chosen query and key, or None where nothing is turned."""
    if not setup.about_pairs:
        return None
    width = setup.d_model if setup.positions == "sinusoidal" else setup.d_k
    speed = 2 * np.pi / positions.wavelengths(width, base=int(setup.base))
    pairs = np.unique(np.linspace(0, len(speed) - 1, min(len(speed), _DIALS)).round().astype(int))
    return charts.beside(
        charts.dials(
            setup.at * speed[pairs], (setup.at + setup.apart) * speed[pairs], theme,
            names=[f"pair {pair + 1}" for pair in pairs], query_name=f"query at {setup.at}",
            key_name=f"key at {setup.at + setup.apart}", width=room(),
        )
    )  # fmt: skip


class Relation(NamedTuple):
    """What position alone gives to a query and a key."""

    values: np.ndarray  # (starts, offsets), NaN beyond the end of a table
    what: str


@st.cache_data(max_entries=64, show_spinner=False)
def relation(setup):
    """Return what position gives to queries at several places and keys at several distances."""
    n = max(_STARTS) + max(_OFFSETS) + 1
    query_at = np.array(_STARTS)[:, None]
    key_at = query_at + np.array(_OFFSETS)
    if setup.positions == "sinusoidal":
        waves = positions.sinusoidal(n, setup.d_model, base=int(setup.base))
        return Relation((waves @ waves.T)[query_at, key_at], "PE(query) · PE(key)")
    if setup.positions == "learned":
        near = cosines(models.position_table())
        return Relation(near[query_at, key_at], "cosine of two rows of the trained table")
    if setup.positions == "rotary":
        rng = np.random.default_rng(setup.seed)
        query, key = rng.normal(size=(2, setup.d_k))
        angles = positions.rotary(n, setup.d_k, base=int(setup.base))
        turned = [positions.rotate(np.tile(vector, (n, 1)), angles) for vector in (query, key)]
        return Relation((turned[0] @ turned[1].T)[query_at, key_at], "one query · one key, both turned")
    if setup.positions == "none":
        return Relation(np.zeros(key_at.shape), "nothing")
    return Relation(keywords_of(setup, n)[0]["bias"][query_at, key_at], "bias")


def relation_picture(setup, theme):
    """Draw what position gives, a row per place of the query and a column per distance."""
    values, what = relation(setup)
    rows, columns = [f"query at {at}" for at in _STARTS], [f"+{offset}" for offset in _OFFSETS]
    panel = charts.panel(
        values, rows, columns, kind="signed", title=what[0].upper() + what[1:], axes=("query", "key"), numbers=True
    )
    return charts.panels(theme, room(), panel, tallest=300)


def relation_csv(setup):
    """Return the same as comma-separated text."""
    return charts.csv(relation(setup).values, [str(at) for at in _STARTS], [str(offset) for offset in _OFFSETS])


def relation_reading(setup):
    """Say whether only the distance counts."""
    values = relation(setup).values
    apart = float(np.ptp(values, axis=0).max())
    if setup.positions == "none":
        return "Without positions nothing depends on where query and key stand."
    if setup.positions == "learned":
        return (
            f"A table is free to treat each place as it likes: within a column the numbers differ by up to "
            f"**{apart:.2g}**. What depends on distance alone was learned, and holds roughly."
        )
    sentence = (
        f"Down a column the query moves from position {_STARTS[0]} to {_STARTS[-1]} and its key with it. The numbers "
        f"differ by **{apart:.1e}**: only the distance counts."
    )
    if setup.positions == "sinusoidal" and setup.d_model % 2 == 0:
        return f"{sentence} {_shift_reading(setup)}"
    return sentence


def _shift_reading(setup):
    """Say how well one rotation moves every position along."""
    waves = positions.sinusoidal(100 + setup.apart, setup.d_model, base=int(setup.base))
    shift = positions.offset_matrix(setup.apart, setup.d_model, base=int(setup.base))
    error = float(np.abs(waves[:100] @ shift.T - waves[setup.apart :]).max())
    return (
        f"One matrix, the same for all positions, turns each of them into the one {setup.apart} further on, to "
        f"{error:.0e}."
    )


# Longer texts


def longer_controls(state):
    """Draw the choice of a length."""
    lengths = sorted({64, 128, 256, 512, 1024, 2048, 4096, 8192} | {state.get("n")})
    st.select_slider(
        "Tokens of the text", lengths, key=state.key("n"), format_func=lambda n: f"{n:,}", width=420,
        help=f"Longer than the {TRAINED} tokens that a model was trained on, or not.",
    )  # fmt: skip


@st.cache_data(max_entries=64, show_spinner=False)
def profile(setup, scheme, n):
    """Return what position alone adds to the score of a key so many tokens before the query, (n,).

    The contents of all tokens are alike: for rotary positions a query and a key of ones, for sinusoidal
    ones the positions themselves. A learned table ends, and so does its profile.
    """
    distance = np.arange(n)
    base = int(setup.base)
    if scheme == "learned":
        near = cosines(models.position_table())
        return np.array([near.diagonal(-offset).mean() for offset in range(min(n, len(near)))])
    if scheme in ("sinusoidal", "rotary"):
        width = setup.d_model if scheme == "sinusoidal" else setup.d_k
        speed = 2 * np.pi / positions.wavelengths(width, base=base)
        turns = np.cos(distance[:, None] * speed).mean(axis=1)
        return turns * np.sqrt(width) / (2 if scheme == "sinusoidal" else 1)
    if scheme == "none":
        return np.zeros(n)
    if scheme == "alibi":
        return -positions.alibi_slopes(NUM_HEADS)[setup.head - 1] * distance
    table = np.random.default_rng(setup.seed).normal(size=(32, 1))
    return positions.relative_bias(table, 1, n)[0, 0, ::-1]


def near_share(scores, lengths):
    """Return the share of weight on the nearest keys, for a query that ends a text of each length."""
    exponentials = np.exp(scores - scores.max())
    sums = np.cumsum(exponentials)
    return [float(sums[min(NEAR, n) - 1] / sums[n - 1]) for n in lengths if n <= len(sums)]


def longer_picture(setup, theme):
    """Draw what position adds at each distance, and how much weight stays near as the text grows."""
    n = setup.n
    own = profile(setup, setup.positions, n)
    at = np.unique(np.linspace(0, len(own) - 1, 600).astype(int))
    mark = [(TRAINED, f"trained on {TRAINED}")]
    tall = 300
    wide = int(room() / 2 - 12)
    first = charts.curves(
        [charts.Curve(name_of(setup), at, own[at])], theme, title="What position adds to a score", x_name="tokens back",
        y_name="score", marks=mark, width=wide, height=tall, x_range=(0, n), x_format="{:,.0f}".format,
    )  # fmt: skip
    lengths = np.unique(np.geomspace(NEAR, n, 60).astype(int))
    schemes = [scheme for scheme in POSITIONS if scheme not in ("learned", setup.positions)]
    parts = []
    for scheme in [setup.positions, *schemes]:
        share = near_share(profile(setup, scheme, n), lengths)
        color = theme.text if scheme == setup.positions else theme.muted
        title = POSITIONS[scheme].split(" (")[0]
        parts.append(charts.Curve(title, lengths[: len(share)], share, color, dashed=scheme != setup.positions))
    second = charts.curves(
        parts, theme, title=f"Weight on the nearest {NEAR} keys", x_name="tokens of the text", y_name="share",
        x_log=True, marks=mark, width=wide, height=tall, y_range=(0, 1), x_format="{:,.0f}".format,
    )  # fmt: skip
    return charts.beside(first, second)


def longer_reading(setup):
    """Say what happens beyond the length that was trained on."""
    n = setup.n
    if setup.positions == "learned":
        if n > TRAINED:
            return (
                f"**The table ends.** It has {TRAINED} rows, so token {TRAINED + 1} has no position at all: "
                f"all-MiniLM-L6-v2 cuts a text of {n:,} tokens to its first {TRAINED}."
            )
        return f"Within its {TRAINED} rows a learned table is as good as any scheme. Choose a longer text."
    share = near_share(profile(setup, setup.positions, n), [n])[0]
    even = min(NEAR / n, 1)
    beyond = f"With equal contents the nearest {NEAR} of {n:,} keys get **{share:.1%}** of the weight"
    if setup.positions == "none":
        return f"{beyond}: {NEAR} / {n:,}. Without positions every key is as near as any other."
    if setup.positions == "alibi":
        far = float(np.exp(profile(setup, "alibi", TRAINED + 1)[-1]))
        return (
            f"{beyond}, whatever the length ({even:.1%} without positions): a key {TRAINED} tokens back has "
            f"{far:.1e} times the weight of the nearest. What is longer than the training looks like what was trained."
        )
    if setup.positions == "relative":
        return (
            f"{beyond} ({even:.1%} without positions). The rule goes on for ever: from 128 tokens on all distances "
            "share one bucket, so none is new and none can be told from another."
        )
    width = setup.d_model if setup.positions == "sinusoidal" else setup.d_k
    waves = positions.wavelengths(width, base=int(setup.base))
    slow = int((waves > TRAINED).sum())
    return (
        f"{beyond} ({even:.1%} without positions). The formula goes on for ever, but **{slow} of {len(waves)} pairs** "
        f"do not come round once in {TRAINED} tokens: beyond, they show angles that training never saw. A larger base "
        "makes them more."
    )


# All schemes


def schemes_picture(setup, theme):
    """Draw how far shuffling moves the weights under each scheme."""
    moved = {}
    for scheme in POSITIONS:
        try:
            moved[scheme] = placed(setup, scheme).largest
        except ValueError:  # rotary positions need an even width
            continue
    bars = charts.bars(
        list(moved.values()), [POSITIONS[scheme] for scheme in moved], theme, kind="magnitude",
        title="Largest difference of a weight after shuffling and putting back", width=int(room() * 0.5),
        selected=list(moved).index(setup.positions), select="scheme", tooltip_name="difference",
    )  # fmt: skip
    return charts.beside(bars), list(moved)


# Code


def code_of(setup, result):
    """Return the lines that shuffle the words and draw what differs."""
    n = len(tokens_of(setup))
    _, line = keywords_of(setup, n)
    order = another_order(n, setup.shuffle).tolist()
    mask = f"attn.masks.causal({n})" if setup.causal else f"attn.masks.everything({n})"
    keywords = f"dict({line})" if line else "{}"
    limit = limit_of(result.largest)
    return f"""import numpy as np
import attn
from attn import charts

tokens = attn.examples.split_words({setup.text!r})[:{n}]
e = attn.examples.random_example(tokens, {setup.d_model}, {setup.d_k}, {D_V}, seed={setup.seed})
positions = {keywords}
order = np.array({order})
written, shuffled = (
    attn.steps.walk(x, e.w_q, e.w_k, e.w_v, mask={mask}, **positions)
    for x in (e.x, e.x[order])
)
back = np.argsort(order)
difference = shuffled.weights[np.ix_(back, back)] - written.weights
print(np.abs(difference).max())

labels, others = charts.token_labels(tokens), charts.token_labels([tokens[at] for at in order])
hidden = written.masked_scores == -np.inf
picture = charts.panels(
    charts.LIGHT, {room():.0f},
    charts.panel(written.weights, labels, labels, title="As written", hidden=hidden),
    charts.panel(shuffled.weights, others, others, title="Shuffled", hidden=hidden),
    charts.panel(difference, labels, labels, kind="signed", title="Put back, minus as written", limit={limit:.3g}),
)
charts.save(picture, "positions.svg")
"""
