"""Block, below the figure: heads added up, and attention as a graph whose edges hang on the words."""

from dataclasses import replace

import numpy as np
import streamlit as st

from attn import block, charts, cost, multi_head, multi_head_attention, softmax
from attn.analysis import sensitivity
from attn.charts.labels import number, pixels
from attn.ui.controls.sentence import LONGEST
from attn.ui.page import figure, reading, theme
from attn.ui.pages.block.encoder_block import lengths
from attn.ui.pages.heads import divisors
from attn.ui.state import as_text
from attn.ui.width import room

_IN_A_ROW = 4  # heads that are drawn as one sum, where there is room; more become small multiples
_SUMMAND, _BESIDE = 150, 250  # pixels that each part of such a sum takes at least, and all that is around them
_WIDE_HEAD = 24  # columns of a head's map beyond which only two stand side by side
TABLE_3A = {1: (5.29, 24.9), 4: (5.00, 25.5), 8: (4.92, 25.8), 16: (4.91, 25.8), 32: (5.01, 25.4)}
"""Perplexity and BLEU by number of heads: Vaswani et al., 2017, Table 3, rows (A) and base."""


# Heads added up


def heads(state, result):
    """Draw what each head adds to the result of attention, any of them switched off."""
    count = result.setup.num_heads
    state.adjust(off=tuple(head for head in state.get("off") if 1 <= head <= count))
    st.pills(
        "Heads off", range(1, count + 1), selection_mode="multi", key=state.key("off"),
        help="A head that is off adds nothing; the others do not notice.",
    )  # fmt: skip
    off = state.get("off")
    each, total = contributions(result, off)
    reading(
        heads_in_words(result, off, total),
        r"\mathrm{Concat}(Z_1, \ldots, Z_h)\,W^O = \sum_i Z_i\, W^O_i",
        f"each head: {len(result.tokens)} × {result.setup.d_model // count} → {len(result.tokens)} × "
        f"{result.setup.d_model}",
    )
    figure(
        _heads_picture(result, each, total, off),
        f"block.heads.{count}",
        tables={"sum": lambda: charts.csv(total, result.labels, charts.counted(result.setup.d_model))},
    )
    st.markdown(cost_in_words(result.setup))
    st.markdown(cost_table())


def contributions(result, off):
    """Return what each head adds to the output, (num_heads, n, d_model), and the sum of those that are on."""
    each = multi_head.head_outputs(result.block.attention.context, result.layer.attention.w_o)
    on = [head for head in range(len(each)) if head + 1 not in off]
    return each, each[on].sum(axis=0)


def without(layer, off):
    """Return the layer with heads, counted from 1, switched off: their rows of W_O are 0."""
    w_o = layer.attention.w_o.copy()
    for head in off:
        w_o[(head - 1) * layer.attention.d_v : head * layer.attention.d_v] = 0
    return layer._replace(attention=replace(layer.attention, w_o=w_o))


def heads_in_words(result, off, total):
    """Say that the sum is the output, or what is missing from it."""
    output, at = result.block.attention.output, result.at
    if not off:
        apart = number(float(np.abs(output - total).max()), 2)
        return (
            f"Each head's context goes through its own rows of W_O, and the results are added: the sum differs from "
            f"the output by **{apart}**. For {result.followed} the sum is {number(lengths(total)[at])} long. "
            "Switch a head off to see what it brought."
        )
    left = block.encoder_block(result.x, without(result.layer, off), pre_norm=result.setup.pre_norm).output
    moved = lengths(left - result.block.output)
    names = ("head " if len(off) == 1 else "heads ") + " and ".join(map(str, off))
    return (
        f"Without {names} the row of {result.followed} is **{number(lengths(total)[at])}** long instead of "
        f"{number(lengths(output)[at])}. After the rest of the block its vector has moved by **{number(moved[at])}**, "
        f"and the rows by up to {number(moved.max())}."
    )


def _heads_picture(result, each, total, off):
    """Draw the heads as a sum, on one scale."""
    count, labels = len(each), result.labels
    columns = charts.counted(each.shape[-1])
    limit = max(float(np.abs(each).max()), float(np.abs(result.block.attention.output).max())) or 1.0
    shared = {"kind": "signed", "limit": limit, "axes": ("token", "dimension")}
    name = "Sum of those that are on" if off else "Output"
    whole = charts.panel(total, labels, columns, title=name, highlight={"row": result.at}, **shared)
    hidden = np.zeros(each.shape, dtype=bool)
    hidden[[head - 1 for head in off]] = True
    if count > _IN_A_ROW or room() < _SUMMAND * (count + 1) + _BESIDE:
        wide = len(columns) > _WIDE_HEAD
        grid = charts.head_grid(
            each, labels, columns, theme(), hidden=hidden, width=room(), per_row=2 if wide else None, **shared
        )
        return charts.above(grid, charts.panels(theme(), room(), whole, tallest=340))
    row = []
    for head in range(count):
        row += ["+"] if head else []
        title = f"Head {head + 1}" + (" (off)" if head + 1 in off else "")
        row.append(charts.panel(each[head], labels, columns, title=title, hidden=hidden[head], **shared))
    return charts.panels(theme(), room(), *row, "=", whole)


def cost_in_words(setup):
    """Say that the number of heads costs nothing."""
    d_model = setup.d_model
    counts = sorted({cost.attention_parameters(d_model, h) for h in divisors(d_model)})
    return (
        f"**More heads, same cost.** Each head gets d_model / h of the width, so attention trains 4 · {d_model}² = "
        f"**{counts[0]:,}** numbers whether h is {_listed(divisors(d_model))}. In the paper they did differ in what "
        "they were worth:"
    )


def _listed(numbers):
    """Return numbers as a person lists them."""
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last}" if most else last


def cost_table():
    """Return the published effect of the number of heads as Markdown."""
    lines = [
        "| heads | d_k = d_v | numbers trained, d_model 512 | perplexity | BLEU |",
        "|---:|---:|---:|---:|---:|",
    ]
    for h, (perplexity, bleu) in TABLE_3A.items():
        lines.append(f"| {h} | {512 // h} | {cost.attention_parameters(512, h):,} | {perplexity:.2f} | {bleu} |")
    return "\n".join([*lines, "", "English to German, development set; Vaswani et al., 2017, Table 3, rows (A)."])


# A graph


def graph(state, result):
    """Draw attention as edges from word to word beside a layer with fixed weights, and what the output hangs on."""
    state.clamp("head", 1, result.setup.num_heads)
    if result.setup.num_heads > 1:
        st.slider("Head", 1, result.setup.num_heads, key=state.key("head"), help="Whose edges are drawn.")
    head = state.get("head") - 1
    weights, fixed = result.block.attention.weights[head], fixed_weights(result.setup, len(result.tokens))
    reading(
        graph_in_words(result, head, weights),
        r"z_i = \sum_j a_{ij}(X)\, v_j \qquad z_i = \sum_j m_{ij}\, x_j",
        f"edges: {len(weights)} × {len(weights)}, from each word to those it takes from",
    )
    figure(
        _graph_picture(result, weights, fixed, head),
        "block.graph",
        on_pick=lambda row, column: state.set(token=max(row, column) + 1),
        tables={
            "attention_edges": lambda: charts.csv(weights, result.labels, result.labels),
            "fixed_edges": lambda: charts.csv(fixed, result.labels, result.labels),
        },
    )
    st.subheader("Explicit and implicit attention", anchor=False)
    with st.spinner("Measuring what the output hangs on"):
        hangs = hangs_on(result)
    reading(
        hangs_in_words(result, hangs),
        r"\sum_k x_{jk}\, \frac{\partial \lVert z_i W^O \rVert}{\partial x_{jk}}",
        f"{len(hangs)} weights, the mean of the heads, and {len(hangs)} gradients times inputs",
    )
    figure(
        _hangs_picture(result, hangs),
        "block.hangs",
        tables={
            "weight_and_gradient": lambda: charts.csv(
                np.stack([result.weights[result.at], hangs], axis=1), result.labels, ["weight", "gradient × input"]
            )
        },
    )


def fixed_weights(setup, n):
    """Return a layer that mixes words by their places, with the same weights for every sentence: rows sum to 1."""
    every = np.random.default_rng([setup.seed, 1]).normal(size=(LONGEST, LONGEST))
    return softmax(every[:n, :n])


def moved_edges(result, head):
    """Return by how much a head's weights move when the followed token is replaced by another."""
    read = result.block.after_attention.read
    other = read.copy()
    other[result.at] = read[result.at, ::-1]
    both = [multi_head_attention(x, result.layer.attention).weights[head] for x in (read, other)]
    return float(np.abs(both[1] - both[0]).max())


def graph_in_words(result, head, weights):
    """Say that edges have a direction and hang on the words."""
    at, labels = result.at, result.labels
    gap = np.abs(weights[at] - weights[:, at])
    other = int(gap.argmax())
    sentence = (
        f"Edges have a direction: {result.followed} takes **{number(weights[at, other])}** from "
        f"**{as_text(labels[other])}**, which takes {number(weights[other, at])} back. "
        if gap[other] > 0
        else ""
    )
    return (
        f"{sentence}And they hang on the words: with another vector in place of {result.followed} weights of head "
        f"{head + 1} move by up to **{number(moved_edges(result, head))}**. The edges at the right belong to places: "
        "they are the same whatever stands there."
    )


def _graph_picture(result, weights, fixed, head):
    """Draw both graphs."""
    words = max(map(pixels, result.labels)) + 16
    shared = {
        "limit": float(max(weights.max(), fixed.max())),
        "across": int(min(max(room() / 2 - 2 * words - 30, 120), 460)),
    }
    drawn = [
        charts.lines(one[None], result.labels, result.labels, theme(), title=title, select=name, **shared)
        for one, title, name in (
            (weights, f"Attention, head {head + 1}", "attention"), (fixed, "A linear layer over places", "layer"),
        )
    ]  # fmt: skip
    return charts.beside(*drawn, spacing=30)


def hangs_on(result):
    """Return how much a token's result of attention, along its own direction, hangs on every token, (n,)."""
    at, parameters = result.at, result.layer.attention
    row = result.block.attention.output[at]
    direction = row / (lengths(row) or 1.0)

    def along(x):
        return multi_head_attention(x[at : at + 1], parameters, x).output[0] @ direction

    return sensitivity.gradient_times_input(along, result.block.after_attention.read)


def hangs_in_words(result, hangs):
    """Say whether weights and gradients rank the words alike."""
    weights, labels = result.weights[result.at], result.labels
    by_weight, by_gradient = int(weights.argmax()), int(np.abs(hangs).argmax())
    told = (
        f"A weight says how much of a word's value is taken. Gradient × input says how much longer the result for "
        f"{result.followed} grows as a word's vector does, by every way: through values, keys and queries. "
    )
    if len(weights) == 1:
        return f"{told}With one word there is nothing to rank."
    alike = sensitivity.rank_agreement(weights, np.abs(hangs))
    return (
        f"{told}By weight the first is **{as_text(labels[by_weight])}**, by gradient "
        f"**{as_text(labels[by_gradient])}**; the two orders agree to **{number(alike, 2)}**, where 1 is the same "
        "order and 0 no relation."
    )


def _hangs_picture(result, hangs):
    """Draw the weights and the gradients of one output side by side."""
    wide = int(min((room() - 330) / 2, 420))
    weights = charts.bars(
        result.weights[result.at], result.labels, theme(), title="Weight", limit=float(result.weights[result.at].max()),
        selected=result.at, width=wide,
    )  # fmt: skip
    gradients = charts.bars(
        hangs, result.labels, theme(), title="Gradient × input", kind="signed", selected=result.at, width=wide,
        tooltip_name="gradient × input",
    )  # fmt: skip
    return charts.beside(weights, gradients, spacing=30)
