"""The tab Graph: attention as edges between tokens, and what an output hangs on."""

import numpy as np
import streamlit as st

from attn import charts, multi_head_attention, softmax
from attn.analysis import sensitivity
from attn.charts.labels import label_pixels, number
from attn.ui.controls.sentence import LONGEST
from attn.ui.page import page_figure, page_reading, page_theme
from attn.ui.pages.block.encoder_block import encoder_block_norms
from attn.ui.state import as_text
from attn.ui.width import page_width
from attn.words import share


def graph_tab(state, result):
    """Draw attention as edges from word to word beside a layer with fixed weights, and what the output hangs on."""
    state.clamp("head", 1, result.setup.num_heads)
    if result.setup.num_heads > 1:
        st.slider("Head", 1, result.setup.num_heads, key=state.key("head"), help="Whose edges are drawn.")
    head = state.get("head") - 1
    weights, fixed = result.block.attention.weights[head], graph_fixed_weights(result.setup, len(result.tokens))
    page_reading(
        _graph_in_words(result, head, weights),
        r"z_i = \sum_j a_{ij}(X)\, v_j \qquad z_i = \sum_j m_{ij}\, x_j",
        f"{len(weights)} × {len(weights)} edges, from each word to those that it takes from",
    )
    page_figure(
        _graph_picture(result, weights, fixed, head),
        "block.graph",
        on_pick=lambda row, column: state.set(token=max(row, column) + 1),
        tables={
            "attention_edges": lambda: charts.csv(weights, result.labels, result.labels),
            "fixed_edges": lambda: charts.csv(fixed, result.labels, result.labels),
        },
    )
    st.header("Explicit and implicit attention", anchor=False)
    with st.spinner("Measuring what the output depends on"):
        hangs = graph_hangs_on(result)
    page_reading(
        _hangs_in_words(result, hangs),
        r"\sum_k x_{jk}\, \frac{\partial \lVert z_i W^O \rVert}{\partial x_{jk}}",
        f"{len(hangs)} weights, the mean of the heads · {len(hangs)} gradients times inputs",
    )
    page_figure(
        _hangs_picture(result, hangs),
        "block.hangs",
        tables={
            "weight_and_gradient": lambda: charts.csv(
                np.stack([result.weights[result.at], hangs], axis=1), result.labels, ["weight", "gradient × input"]
            )
        },
    )


def graph_fixed_weights(setup, n):
    """Return a layer that mixes words by their places, with the same weights for every sentence: rows sum to 1."""
    every = np.random.default_rng([setup.seed, 1]).normal(size=(LONGEST, LONGEST))
    return softmax(every[:n, :n])


def graph_moved_edges(result, head):
    """Return by how much a head's weights move when the followed token is replaced by another."""
    read = result.block.after_attention.read
    other = read.copy()
    other[result.at] = read[result.at, ::-1]
    both = [multi_head_attention(x, result.layer.attention).weights[head] for x in (read, other)]
    return float(np.abs(both[1] - both[0]).max())


def _graph_in_words(result, head, weights):
    """Say that edges have a direction and hang on the words."""
    at, labels = result.at, result.labels
    gap = np.abs(weights[at] - weights[:, at])
    other = int(gap.argmax())
    sentence = (
        f"Edges have a direction: {result.followed} takes **{share(weights[at, other])}** from "
        f"**{as_text(labels[other])}**, which takes {share(weights[other, at])} in return. "
        if gap[other] > 0
        else ""
    )
    return (
        f"Attention is a graph: each word has an edge to every word that it takes from. {sentence}And edges depend on "
        f"the words: with another vector in place of {result.followed} weights of head {head + 1} move by up to "
        f"**{number(graph_moved_edges(result, head))}**. The edges of “A linear layer over places” are the same "
        "whatever words stand there."
    )


def _graph_picture(result, weights, fixed, head):
    """Draw both graphs."""
    words = max(map(label_pixels, result.labels)) + 16
    shared = {
        "limit": float(max(weights.max(), fixed.max())),
        "across": int(min(max(page_width() / 2 - 2 * words - 30, 120), 460)),
    }
    drawn = [
        charts.lines(one[None], result.labels, result.labels, page_theme(), title=title, select=name, **shared)
        for one, title, name in (
            (weights, f"Attention, head {head + 1}", "attention"), (fixed, "A linear layer over places", "layer"),
        )
    ]  # fmt: skip
    return charts.beside(*drawn, spacing=30)


def graph_hangs_on(result):
    """Return how much a token's result of attention, along its own direction, hangs on every token, (n,)."""
    at, parameters = result.at, result.layer.attention
    row = result.block.attention.output[at]
    direction = row / (encoder_block_norms(row) or 1.0)

    def along(x):
        return multi_head_attention(x[at : at + 1], parameters, x).output[0] @ direction

    return sensitivity.gradient_times_input(along, result.block.after_attention.read)


def _hangs_in_words(result, hangs):
    """Say whether weights and gradients rank the words alike."""
    weights, labels = result.weights[result.at], result.labels
    by_weight, by_gradient = int(weights.argmax()), int(np.abs(hangs).argmax())
    told = (
        "A weight says how much of a word's value is taken. But a word also acts by its key and its query. Gradient × "
        f"input counts everything: how much longer the result for {result.followed} becomes as the word's vector "
        "grows. "
    )
    if len(weights) == 1:
        return f"{told}With one word there is nothing to rank."
    alike = sensitivity.rank_agreement(weights, np.abs(hangs))
    first, other = (f"**{as_text(labels[at])}**" for at in (by_weight, by_gradient))
    both = f"Both put {first} first" if first == other else f"By weight {first} comes first, by gradient {other}"
    return f"{told}{both}. Their orders agree to **{number(alike, 2)}**, where 1 is the same order and 0 no relation."


def _hangs_picture(result, hangs):
    """Draw the weights and the gradients of one output side by side."""
    wide = int(min((page_width() - 330) / 2, 420))
    weights = charts.bars(
        result.weights[result.at], result.labels, page_theme(), title="Weight",
        scale=charts.Scale(float(result.weights[result.at].max())), pick=charts.Pick(selected=result.at), width=wide,
    )  # fmt: skip
    gradients = charts.bars(
        hangs, result.labels, page_theme(), title="Gradient × input", kind="signed",
        scale=charts.Scale(name="gradient × input"), pick=charts.Pick(selected=result.at), width=wide,
    )  # fmt: skip
    return charts.beside(weights, gradients, spacing=30)
