"""Block, below the figure: many blocks one above the other, how vectors grow through them, and what they train."""

import math

import numpy as np
import streamlit as st

from attn import block, charts, cost
from attn.charts.labels import number
from attn.ui.page import page_figure, page_footnote, page_reading, page_theme
from attn.ui.pages.block.encoder_block import encoder_block_norms
from attn.ui.width import page_width


def stack_tab(state, result):
    """Draw how long vectors are through a deep stack, with either place of the norm, and count what it trains."""
    st.slider(
        "Blocks in the stack",
        1,
        48,
        key=state.key("depth"),
        help="The Transformer of 2017 has 6 in its encoder and 6 in its decoder.",
    )
    depth = state.get("depth")
    with st.spinner("Running both stacks"):
        grown = {norm: _lengths_through(result, depth, norm == "pre") for norm in ("post", "pre")}
    page_reading(
        _stack_in_words(result, grown),
        r"\begin{aligned} \text{post: } & \mathrm{LN}(x + f(x)) \\ \text{pre: } & x + f(\mathrm{LN}(x)) \end{aligned}",
        f"every block: {len(result.tokens)} tokens × {result.setup.d_model} → {result.setup.d_model} numbers",
    )
    page_figure(
        _stack_picture(result, grown),
        "block.stack",
        tables={
            "lengths": lambda: charts.csv(
                np.stack([grown["post"], grown["pre"]], axis=1),
                [str(at) for at in range(depth + 1)],
                ["post-norm", "pre-norm"],
            )
        },
    )
    page_reading(stack_count_in_words(result.setup, depth))
    st.markdown(stack_count_table(result.setup, depth))
    page_footnote(stack_count_footnote())


def _lengths_through(result, depth, pre_norm):
    """Return the mean length of a vector before the first block and after each, (depth + 1,)."""
    setup, rng = result.setup, np.random.default_rng(result.setup.seed)
    layers = [block.draw_layer(rng, setup.d_model, setup.num_heads, setup.d_ff) for _ in range(depth)]
    run = block.encoder(result.x, layers, pre_norm=pre_norm)
    return np.array([encoder_block_norms(x).mean() for x in (result.x, *(one.output for one in run.blocks))])


def _stack_in_words(result, grown):
    """Say what the place of the norm does to lengths."""
    depth, root = len(grown["pre"]) - 1, math.sqrt(result.setup.d_model)
    blocks = "1 block" if depth == 1 else f"{depth} blocks"
    return (
        "Where should the layer norm stand? After each sum (post-norm), it brings every vector back to a length of "
        f"√{result.setup.d_model} = **{number(root)}**. Before each step (pre-norm), it leaves the sums alone, "
        f"and they grow: after {blocks} vectors are **{number(grown['pre'][-1])}** long. So such a stack ends with one "
        "more norm."
    )


def _stack_picture(result, grown):
    """Draw lengths by depth."""
    x, look = np.arange(len(grown["pre"])), page_theme()
    colors = {"pre": look.head(0), "post": look.head(1)}
    parts = [charts.Curve(f"{norm}-norm", x, grown[norm], color) for norm, color in colors.items()]
    high = max(float(part.y.max()) for part in parts) * 1.08
    return charts.beside(
        charts.curves(
            parts, look, x=charts.Axis("blocks passed", whole=True),
            y=charts.Axis("mean length of a vector", range=(0, high)), dots=len(x) <= 30,
            width=int(min(page_width(), 900)), height=340,
        )
    )  # fmt: skip


def stack_count_in_words(setup, depth):
    """Say how many numbers a Transformer of these widths and depth trains."""
    total = cost.transformer_parameters(**_widths(setup, depth))
    return (
        f"An encoder and a decoder of {depth} blocks each, with these widths and {_VOCABULARY:,} words, train "
        f"**{total:,}** numbers."
    )


def stack_count_footnote():
    """Say what is counted, and how near that comes to what the paper printed."""
    return (
        "One embedding is counted for both languages, and it also makes the output. Biases in attention are not "
        "counted, for the paper says nothing of them; nor are positions, for sinusoids are not trained. "
        f"For the paper's base model this comes to {cost.transformer_parameters():,}; its Table 3 prints 65 million. "
        "Rows of that table that differ from it in depth, d_ff or the width of heads differ by as much as is printed."
    )


def _widths(setup, depth):
    """Return the keywords of `attn.cost.transformer_parameters`."""
    each = setup.d_model // setup.num_heads
    return {
        "num_layers": depth, "d_model": setup.d_model, "d_ff": setup.d_ff, "num_heads": setup.num_heads,
        "d_k": each, "d_v": each,
    }  # fmt: skip


def stack_count_table(setup, depth):
    """Return what each part trains, here and in the paper's base model, as Markdown."""
    columns = [_counts(setup.d_model, setup.d_ff, setup.num_heads, depth), _counts(512, 2048, 8, 6)]
    lines = ["| part | made of | here | base model, 2017 |", "|---|---|---:|---:|"]
    for name, made_of in _MADE_OF.items():
        lines.append(f"| {name} | {made_of} | {columns[0][name]:,} | {columns[1][name]:,} |")
    return "\n".join(lines)


_VOCABULARY = 37_000  # of the paper's English and German, as `attn.cost.transformer_parameters` has it
_MADE_OF = {
    "Attention": "W_q, W_k, W_v, W_O",
    "Feed-forward": "W₁, b₁, W₂, b₂",
    "Layer norm": "gain, bias",
    "Encoder block": "1 attention, 1 feed-forward, 2 norms",
    "Decoder block": "2 attentions, 1 feed-forward, 3 norms",
    "All blocks": "encoder and decoder",
    "Embedding": "37,000 rows for both languages and the output",
    "Everything": "all blocks and the embedding",
}


def _counts(d_model, d_ff, num_heads, depth):
    """Return how many numbers each part trains."""
    attention = cost.attention_parameters(d_model, num_heads)
    feed, norm = 2 * d_model * d_ff + d_ff + d_model, 2 * d_model
    reads, writes = attention + feed + 2 * norm, 2 * attention + feed + 3 * norm
    blocks, embedding = depth * (reads + writes), _VOCABULARY * d_model
    counts = attention, feed, norm, reads, writes, blocks, embedding, blocks + embedding
    return dict(zip(_MADE_OF, counts, strict=True))
