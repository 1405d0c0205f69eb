"""Positions: from the choices on the page to what a scheme does to one head, and the code for it."""

import textwrap
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts, one_head
from attn.charts.labels import number
from attn.data import examples
from attn.ui.controls.positions import (
    POSITIONS,
    SHAW_REACH,
    TRAINED,
    no_positions_but_a_mask,
    positions_control,
    positions_in_numpy,
    positions_of,
)
from attn.ui.controls.sentence import sentence_words
from attn.ui.link import link_choice, link_flag, link_string, link_whole
from attn.ui.numpy_code import (
    Paragraph,
    numpy_array,
    numpy_code,
    numpy_embeddings,
    numpy_matrices,
    numpy_tokens,
)
from attn.ui.shown_code import LIGHT, Source, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_tallest, page_width, window_low_for_hall
from attn.words import capital

BASES = {"100": "100", "1000": "1,000", "10000": "10,000", "100000": "100,000", "500000": "500,000"}
STRETCHES = {"2": "2", "4": "4", "16": "16", "32": "32"}
TABS = {
    "scheme": "The scheme",
    "distance": "By distance",
    "relation": "Only the distance counts",
    "longer": "Longer texts",
    "schemes": "All schemes",
    "code": "Code",
}
OLD_TABS = {  # what older links call them
    "By distance": "distance",
    "Only the distance counts": "relation",
    "Longer texts": "longer",
    "All schemes": "schemes",
    "Code": "code",
}
NUM_HEADS = 8
D_V = 4


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Positions."""

    text: str = link_string("The dog chased the cat.")
    seed: int = link_whole(1, 0, 9999)
    positions: str = link_choice("sinusoidal", POSITIONS)
    base: str = link_choice("10000", BASES)
    stretch: str = link_choice("4", STRETCHES)
    head: int = link_whole(1, 1, NUM_HEADS)
    d_model: int = link_whole(32, 2, 128)
    d_k: int = link_whole(16, 2, 64)
    causal: bool = link_flag(False)
    shuffle: int = link_whole(1, 0, 9999)
    at: int = link_whole(5, 0, 400)
    apart: int = link_whole(3, 0, 100)
    n: int = link_whole(2048, 64, 8192)
    tab: str = link_choice("scheme", TABS, OLD_TABS)

    @property
    def about_pairs(self):
        """Whether the scheme turns pairs of numbers."""
        return POSITIONS[self.positions].pairs is not None


class Placed(NamedTuple):
    """What the page shows."""

    tokens: tuple
    order: np.ndarray  # (n,) which token stands where after the shuffle
    written: one_head.Steps  # the words as written
    shuffled: one_head.Steps
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


def _tokens_of(setup):
    """Return the tokens the page works on."""
    return sentence_words(setup.text)


def compute_shuffle(setup, scheme=None):
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
    tokens = _tokens_of(setup)
    n = len(tokens)
    e = examples.random_example(tokens, setup.d_model, setup.d_k, D_V, setup.seed)
    keywords = shuffle_scheme_keywords(setup, n, scheme)[0]
    visible = ~shuffle_hidden(setup.causal, n)
    order = shuffle_order(n, setup.shuffle)
    written, shuffled, difference = _in_both_orders(e, order, visible, keywords)
    moved = np.abs(shuffled.context[np.argsort(order)] - written.context).max(initial=0)
    return Placed(tokens, order, written, shuffled, difference, float(moved), ~visible)


def _in_both_orders(e, order, mask, positions):
    """Attend to the words as written and in another order, and compare the weights once that is undone."""
    written, shuffled = (one_head.walk(x, e.w_q, e.w_k, e.w_v, mask=mask, **positions) for x in (e.x, e.x[order]))
    back = np.argsort(order)
    difference = shuffled.weights[np.ix_(back, back)] - written.weights
    return written, shuffled, difference


def shuffle_scheme_keywords(setup, n, scheme=None):
    """Return what the scheme gives to `attn.one_head.walk`, and the same as code."""
    scheme = scheme or setup.positions
    varied = {"head": setup.head - 1, "base": int(setup.base), "stretch": int(setup.stretch)}
    return positions_of(scheme, n, setup.d_model, setup.d_k, setup.seed, **varied)


def shuffle_order(n, seed):
    """Return an order of n things, another than the one they have if there is one.

    Examples
    --------
    >>> shuffle_order(3, 0).tolist() != [0, 1, 2], shuffle_order(1, 0).tolist()
    (True, [0])
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    while n > 1 and (order == np.arange(n)).all():
        order = rng.permutation(n)
    return order


# Controls


def shuffle_scheme_controls(state):
    """Draw the choice of a scheme and its numbers."""
    words = len(sentence_words(state.get("text")))
    positions_control(
        state,
        none=no_positions_but_a_mask(~shuffle_hidden(state.get("causal"), words)),
        alibi="The farther a key, the lower its score, in each head at its own rate (Press et al., 2021).",
    )
    scheme = state.get("positions")
    if POSITIONS[scheme].pairs:
        st.select_slider(
            "Base b", list(BASES), format_func=BASES.get, key=state.key("base"),
            help="The larger, the longer the slowest wave. Vaswani et al. and Su et al. have 10,000, Llama 3 has "
            "500,000.",
        )  # fmt: skip
    if scheme == "yarn":
        st.select_slider(
            "Stretch", list(STRETCHES), format_func=STRETCHES.get, key=state.key("stretch"),
            help=f"How many times longer a text may become than the {TRAINED} tokens of training.",
        )  # fmt: skip
    if scheme == "alibi":
        st.slider(
            "Head", 1, NUM_HEADS, key=state.key("head"), help="In each of eight heads scores fall at another rate."
        )


# The words shuffled


def shuffle_picture(result, theme):
    """Draw the weights of the words shuffled, as written, and what differs once the shuffle is undone."""
    names = result.labels, result.shuffled_labels
    legend = not window_low_for_hall()
    return _picture(
        result.written, result.shuffled, result.difference, result.hidden, *names, theme, page_width(),
        page_tallest(count=len(result.tokens)), legend,
    )  # fmt: skip


def _picture(written, shuffled, difference, hidden, labels, others, theme, room, tallest, legend):
    """Draw the weights of the words shuffled, as written, and what differs once the shuffle is undone."""
    style = charts.Style(legend=legend)
    limit = max(0.1, float(np.abs(difference).max(initial=0)))  # rounding is not to look large
    return charts.panels(
        theme,
        room,
        # first, so that the two after it share the names of their rows, and all have room for their numbers
        charts.panel(shuffled.weights, others, others, title="Shuffled", hidden=hidden, style=style),
        charts.panel(written.weights, labels, labels, title="As written", hidden=hidden, style=style),
        charts.panel(
            difference,
            labels,
            labels,
            kind="signed",
            title="What the shuffle changed",
            scale=charts.Scale(limit, name="difference"),
            style=style,
        ),
        tallest=tallest,
    )


def shuffle_hidden(causal, n):
    """Return which cells the mask hides, (n, n)."""
    return ~np.tri(n, dtype=bool) if causal else np.zeros((n, n), dtype=bool)


def shuffle_reading(setup, result):
    """Say what shuffling the words did."""
    n = len(result.tokens)
    if n == 1:
        return "One word has no order. Type a second one, and see whether attention can tell which comes first."
    shuffled = as_text(" ".join(result.tokens[at] for at in result.order))
    if setup.positions == "none" and not setup.causal:
        return (
            f"Attention alone does not notice the order of words. Shuffled to “{shuffled}”, rows and columns are "
            "shuffled **and nothing else**. Put back in order, no weight differs by more than "
            f"**{number(result.largest, 2)}** and no context by more than {number(result.context_difference, 2)}: "
            "that is rounding."
        )
    without = compute_shuffle(setup, "none").largest
    if setup.positions == "none":
        return (
            "A causal mask tells order by itself, for the first word sees only itself. Shuffled to "
            f"“{shuffled}”, and the weights put back in order, they differ by up to **{number(result.largest)}** with "
            "no positions at all."
        )
    return (
        "Attention must be told where each word stands. The same words are also read shuffled, "
        f"“{shuffled}”, and the weights are put back in order. With {POSITIONS[setup.positions].name} they then differ "
        f"by up to **{number(result.largest)}**, with no positions by {number(without, 2)}"
        + (
            ": the causal mask tells some of the order by itself."
            if setup.causal
            else ", which is rounding: only the positions tell the order."
        )
        + " Choose other positions among the controls."
    )


def shuffle_formula(setup, role):
    """Return the scheme's formula in LaTeX; `role` tells the colour of a letter."""
    same = r"\neq" if setup.causal else "="
    q, k = rf"\textcolor{{{role('query')}}}{{q}}", rf"\textcolor{{{role('key')}}}{{k}}"
    return {
        "none": rf"\mathrm{{attention}}(PX) {same} P\,\mathrm{{attention}}(X)",
        "sinusoidal": r"\begin{aligned}x_p &+ \mathrm{PE}_p\\ \mathrm{PE}_{p,2i} &= \sin(p\,/\,b^{2i/d})\\"
        r"\mathrm{PE}_{p,2i+1} &= \cos(p\,/\,b^{2i/d})\end{aligned}",
        "halves": r"\begin{aligned}x_p &+ \mathrm{PE}_p\\ \mathrm{PE}_{p,i} &= \sin(p\,/\,b^{i/(d/2-1)})\\"
        r"\mathrm{PE}_{p,d/2+i} &= \cos(p\,/\,b^{i/(d/2-1)})\end{aligned}",
        "learned": r"x_p + P_p, \qquad P \in \mathbb{R}^{n_{\max} \times d}",
        "rotary": rf"(R_i\,{q}_i)^\top (R_j\,{k}_j) = {q}_i^\top R_{{j-i}}\,{k}_j",
        "yarn": rf"\begin{{aligned}}(f R'_i\,{q}_i)^\top (f R'_j\,{k}_j) &= f^2\,{q}_i^\top R'_{{j-i}}\,{k}_j\\"
        r"f &= 0.1 \ln s + 1\end{aligned}",
        "xpos": rf"(\zeta^i R_i\,{q}_i)^\top (\zeta^{{-j}} R_j\,{k}_j) = {q}_i^\top \zeta^{{i-j}} R_{{j-i}}\,{k}_j",
        "alibi": rf"\frac{{{q}_i^\top {k}_j}}{{\sqrt{{d_k}}}} - m_h\,|i - j|, \quad m_h = 2^{{-8h/{NUM_HEADS}}}",
        "relative": rf"\frac{{{q}_i^\top {k}_j}}{{\sqrt{{d_k}}}} + b_{{\mathrm{{bucket}}(j - i)}}",
        "shaw": rf"\frac{{{q}_i^\top ({k}_j + w_{{\mathrm{{clip}}(j - i,\,\pm {SHAW_REACH})}})}}{{\sqrt{{d_k}}}}",
    }[setup.positions]


def shuffle_letters(setup):
    """Say what the letters of the scheme's formula stand for."""
    where = "$i$ and $j$ are the positions of query and key"
    turns = f"{where}; $R_i$ turns each pair of numbers by an angle that grows with $i$"
    dimensions, width = "are dimensions", f"$d$ is how many there are, {setup.d_model}, and $b$ the base"
    return {
        "none": "$P$ puts the rows of $X$ into another order",
        "sinusoidal": f"$p$ is the position; $2i$ and $2i+1$ {dimensions}; {width}",
        "halves": f"$p$ is the position; $i$ and $d/2+i$ {dimensions}; {width}",
        "learned": "$p$ is the position; $P$ is the trained table of $n_{\\max}$ positions with $d$ numbers each",
        "rotary": turns,
        "yarn": f"{turns}, the slow pairs less ($R'$); $s$ is the stretch, and $f$ what all grow by",
        "xpos": f"{turns}; $\\zeta$ is a number for each pair, below 1",
        "alibi": f"{where}; $m_h$ is the slope of head $h$",
        "relative": f"{where}; $b$ is the trained number of the bucket that their distance falls into",
        "shaw": f"{where}; $w$ is the trained row of their distance, which is cut at {SHAW_REACH} to each side",
    }[setup.positions]


# All schemes


def shuffle_by_scheme_picture(setup, theme):
    """Draw how far shuffling moves the weights under each scheme."""
    moved = {}
    for scheme in POSITIONS:
        try:
            moved[scheme] = compute_shuffle(setup, scheme).largest
        except ValueError:  # pairs need an even width
            continue
    bars = charts.bars(
        list(moved.values()), [POSITIONS[scheme].title for scheme in moved], theme, kind="magnitude",
        title="How far shuffling moves a weight, at most",
        width=int(min(page_width() * 0.7, 900)), scale=charts.Scale(name="difference"),
        pick=charts.Pick("scheme", list(moved).index(setup.positions)),
    )  # fmt: skip
    return charts.beside(bars), list(moved)


# Code


def shuffle_code(setup, result):
    """Return the lines that shuffle the words and compare, and those that draw what differs."""
    n = len(result.tokens)
    _, line = shuffle_scheme_keywords(setup, n)
    widths = f"{setup.d_model}, {setup.d_k}, {D_V}, seed={setup.seed}"
    return page_codes(
        lambda: _numpy_code(setup, result),
        {
            "tokens": Source(f"attn.examples.split_words({setup.text!r})[:{n}]"),
            "e": Source(f"attn.examples.random_example(tokens, {widths})"),
            "order": result.order,
            "mask": Source(f"attn.masks.{'causal' if setup.causal else 'everything'}({n})"),
            "positions": Source(f"dict({line})" if line else "{}"),
        },
        (("written, shuffled, difference", _in_both_orders),),
        ("print(written.weights.round(4))\nprint(shuffled.weights.round(4))\nprint(difference.round(4))",),
        {"theme": LIGHT, "room": round(page_width()), "tallest": page_tallest(count=n)}
        | {"legend": not window_low_for_hall()},
        (
            "labels, others = charts.token_labels(tokens), charts.token_labels([tokens[at] for at in order])",
            "hidden = np.isneginf(written.masked_scores)",
            ("picture", _picture),
            'charts.save(picture, "positions.svg")',
        ),
    )


def _numpy_code(setup, result):
    """Return the lines that attend to the words in both orders in numpy alone."""
    n, d_model, d_k = len(result.tokens), setup.d_model, setup.d_k
    varied = {"head": setup.head - 1, "base": int(setup.base), "stretch": int(setup.stretch), "d_model": d_model}
    changed, lines = positions_in_numpy(setup.positions, setup.seed, **varied)
    inside = [line for line in lines.split("\n") if "query" in line]  # the rest is the same for both orders
    before = "\n".join(line for line in lines.split("\n") if line not in inside)
    matrices = {"w_q": np.empty((d_model, d_k)), "w_k": np.empty((d_model, d_k)), "w_v": np.empty((d_model, D_V))}
    bias = " + bias" if changed == "bias" else ""
    mask = "j <= i  # causal" if setup.causal else "np.ones((n, n), dtype=bool)"
    body = [
        *(["x = x + positions"] if changed == "added" else []),
        f"query, key = x @ w_q, x @ w_k  # {result.written.query.shape}",
        *inside,
        f"scaled = query @ key.T / np.sqrt(d_k){bias}  # {(n, n)}",
        *(["i, j = np.indices((n, n))  # i: who looks, j: at whom"] if setup.causal else []),
        f"visible = {mask}",
        "masked = np.where(visible, scaled, -np.inf)",
        "exp = np.exp(masked - masked.max(axis=-1, keepdims=True))",
        "weights = exp / exp.sum(axis=-1, keepdims=True)",
        "return weights, weights @ (x @ w_v)",
    ]
    return numpy_code(
        numpy_tokens(result.tokens, sizes=f"n, d_model, d_k, d_v = {n}, {d_model}, {d_k}, {D_V}"),
        numpy_embeddings(result.written.x, setup.seed),
        numpy_matrices(matrices, setup.seed),
        Paragraph(f"{capital(POSITIONS[setup.positions].name)}: what tells where a token stands", before, "scheme")
        if before
        else None,
        Paragraph("Attention of one head", "def attend(x):\n" + textwrap.indent("\n".join(body), "    ")),
        Paragraph(
            "The words as written, and in another order",
            f"{numpy_array('order', result.order)}\n"
            "written, context = attend(x)\nprint(written.round(4))\n"
            "shuffled, moved = attend(x[order])\nprint(shuffled.round(4))",
        ),
        Paragraph(
            "Put back into the first order: what order alone has changed",
            "back = np.argsort(order)\ndifference = shuffled[np.ix_(back, back)] - written\nprint(difference.round(4))",
        ),
        at="scheme",
    )
