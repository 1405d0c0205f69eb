"""The tab Heads: the output of attention as a sum over its heads."""

from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from attn import block, charts, cost, multi_head
from attn.charts.labels import number
from attn.multi_head import divisors
from attn.ui.page import page_figure, page_footnote, page_reading, page_theme
from attn.ui.pages.block.encoder_block import encoder_block_norms
from attn.ui.width import page_width
from attn.words import listed

_IN_A_ROW = 4  # heads that are drawn as one sum, where there is room; more become small multiples


_SUMMAND, _BESIDE = 150, 250  # pixels that each part of such a sum takes at least, and all that is around them


_WIDE_HEAD = 24  # columns of a head's map beyond which only two stand side by side


TABLE_3A = {1: (5.29, 24.9), 4: (5.00, 25.5), 8: (4.92, 25.8), 16: (4.91, 25.8), 32: (5.01, 25.4)}


"""Perplexity and BLEU by number of heads: Vaswani et al., 2017, Table 3, rows (A) and base."""


def heads_added_up_tab(state, result):
    """Draw what each head adds to the result of attention, any of them switched off."""
    count = result.setup.num_heads
    state.adjust(off=tuple(head for head in state.get("off") if 1 <= head <= count))
    st.pills(
        "Heads off", range(1, count + 1), selection_mode="multi", key=state.key("off"),
        help="A head that is switched off adds nothing; the others stay as they are.",
    )  # fmt: skip
    off = state.get("off")
    each, total = heads_added_up_contributions(result, off)
    page_reading(
        _heads_in_words(result, off, total),
        r"\mathrm{Concat}(Z_1, \ldots, Z_h)\,W^O = \sum_i Z_i\, W^O_i",
        f"each head: {len(result.tokens)} tokens × {result.setup.d_model // count} → {result.setup.d_model} numbers",
    )
    page_figure(
        partial(
            _heads_picture,
            each,
            total,
            result.block.attention.output,
            off,
            result.labels,
            result.at,
            page_theme(),
        ),
        f"block.heads.{count}",
        tables={"sum": lambda: charts.csv(total, result.labels, charts.counted(result.setup.d_model))},
    )
    page_reading(_cost_in_words(result.setup))
    page_footnote(_cost_table(), "What the paper measured with more and fewer heads")


def heads_added_up_contributions(result, off):
    """Return what each head adds to the output, (num_heads, n, d_model), and the sum of those that are on."""
    each = multi_head.head_outputs(result.block.attention.context, result.layer.attention.w_o)
    on = [head for head in range(len(each)) if head + 1 not in off]
    return each, each[on].sum(axis=0)


def heads_added_up_without(layer, off):
    """Return the layer with heads, counted from 1, switched off: their rows of W_O are 0."""
    w_o = layer.attention.w_o.copy()
    for head in off:
        w_o[(head - 1) * layer.attention.d_v : head * layer.attention.d_v] = 0
    return layer._replace(attention=replace(layer.attention, w_o=w_o))


def _heads_in_words(result, off, total):
    """Say that the sum is the output, or what is missing from it."""
    output, at = result.block.attention.output, result.at
    if not off:
        apart = number(float(np.abs(output - total).max()), 2)
        return (
            "The output of attention is a sum with one part per head: its context times its own rows of $W_O$. Added "
            f"up here, the sum differs from the output by **{apart}**. For {result.followed} it is "
            f"{number(encoder_block_norms(total)[at])} long. Switch a head off to see what it brought."
        )
    left = block.encoder_block(
        result.x, heads_added_up_without(result.layer, off), pre_norm=result.setup.pre_norm
    ).output
    moved = encoder_block_norms(left - result.block.output)
    names = ("head " if len(off) == 1 else "heads ") + listed(off)
    return (
        f"Without {names} the row of {result.followed} is **{number(encoder_block_norms(total)[at])}** long instead of "
        f"{number(encoder_block_norms(output)[at])}. After the rest of the block its vector has moved by "
        f"**{number(moved[at])}**, and no vector by more than {number(moved.max())}."
    )


def _heads_picture(each, total, output, off, labels, at, theme):
    """Draw the heads as a sum, on one scale, which goes as far as what all of them make."""
    count, columns = len(each), charts.counted(each.shape[-1])
    limit = max(float(np.abs(each).max()), float(np.abs(output).max())) or 1.0
    shared = {"kind": "signed", "scale": charts.Scale(limit), "axes": ("token", "dimension")}
    name = "Sum of those that are on" if off else "Output"
    whole = charts.panel(total, labels, columns, title=name, pick=charts.Pick(highlight={"row": at}), **shared)
    hidden = np.zeros(each.shape, dtype=bool)
    hidden[[head - 1 for head in off]] = True
    if count > _IN_A_ROW or page_width() < _SUMMAND * (count + 1) + _BESIDE:
        wide = len(columns) > _WIDE_HEAD
        grid = charts.head_grid(
            each,
            labels,
            columns,
            theme,
            hidden=hidden,
            width=page_width(),
            per_row=2 if wide else None,
            **shared,
        )
        return charts.above(grid, charts.panels(theme, page_width(), whole, tallest=340))
    row = []
    for head in range(count):
        row += ["+"] if head else []
        title = f"Head {head + 1}" + (" (off)" if head + 1 in off else "")
        row.append(charts.panel(each[head], labels, columns, title=title, hidden=hidden[head], **shared))
    return charts.panels(theme, page_width(), *row, "=", whole)


def _cost_in_words(setup):
    """Say that the number of heads costs nothing."""
    d_model = setup.d_model
    counts = sorted({cost.attention_parameters(d_model, h) for h in divisors(d_model)})
    heads = listed(divisors(d_model), "or")
    return (
        f"**More heads, same cost.** The h heads share the width, $d_\\text{{model}} / h$ numbers each. So attention "
        f"trains 4 · {d_model}² = **{counts[0]:,}** numbers whether h is {heads}. How well a model does can still "
        "depend on h."
    )


def _cost_table():
    """Return the published effect of the number of heads as Markdown."""
    lines = [
        "| heads | dₖ = dᵥ | numbers trained, d_model 512 | perplexity | BLEU |",
        "|---:|---:|---:|---:|---:|",
    ]
    for h, (perplexity, bleu) in TABLE_3A.items():
        lines.append(f"| {h} | {512 // h} | {cost.attention_parameters(512, h):,} | {perplexity:.2f} | {bleu} |")
    return "\n".join([*lines, "", "English to German, development set; Vaswani et al., 2017, Table 3, rows (A)."])
