"""Block, below the figure: the three uses of attention in encoder and decoder, and targets shifted by one."""

import math
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import block, charts
from attn.charts.labels import number
from attn.data import examples
from attn.training_recipe import Lesson, teacher_forcing
from attn.ui.controls.sentence import sentence_words
from attn.ui.page import page_figure, page_reading, page_theme
from attn.ui.pages.block.architecture import CLICKED, WIDTH, Sizes, architecture_picture
from attn.ui.pages.block.setup import MOST_WRITTEN, USES
from attn.ui.state import as_text
from attn.ui.width import NARROW, page_map_size, page_plot_height, page_share, page_width
from attn.words import share

START, END = "⟨start⟩", "⟨end⟩"
_NAMED, _LEAST_MAP = 160, 150  # pixels of the names at the left of a map, and of the map beside the boxes


class Translated(NamedTuple):
    """A sentence that is read, and one that is written under teacher forcing."""

    lesson: Lesson
    vocabulary: tuple  # of what is written
    table: np.ndarray  # (vocabulary, d_model)
    written: np.ndarray  # (n_q, d_model) what the decoder reads
    encoder: block.Stack
    decoder: block.Stack
    layers: tuple  # of the decoder
    options: dict  # keywords of `attn.block.decoder`

    @property
    def rows(self):
        """What the decoder reads, as labels."""
        return charts.token_labels(self.lesson.inputs)

    @property
    def probabilities(self):
        """How likely each word is at each place, (n_q, vocabulary)."""
        return block.next_token(self.decoder.output, self.table)

    def weights(self, use):
        """The weights of the last block, mean of its heads."""
        stack = self.encoder if use == "encoder" else self.decoder
        step = stack.blocks[-1].cross if use == "cross" else stack.blocks[-1].attention
        return step.weights.mean(axis=0)


def three_uses_translation(result):
    """Read the sentence and write its translation, each place from the words before it.

    Returns
    -------
    Translated
    """
    setup = result.setup
    rng = np.random.default_rng(setup.seed)
    widths = (setup.d_model, setup.num_heads, setup.d_ff)
    readers = [block.draw_layer(rng, *widths) for _ in range(setup.layers)]
    writers = [block.draw_layer(rng, *widths, cross=True) for _ in range(setup.layers)]
    options = {"pre_norm": setup.pre_norm, "norm": result.layer.attention_norm if setup.pre_norm else None}
    lesson = teacher_forcing(sentence_words(setup.second)[:MOST_WRITTEN], START, END)
    words = [word.casefold() for word in (*lesson.inputs, END)]
    vocabulary = tuple(dict.fromkeys(words))
    table = examples.random_example(vocabulary, setup.d_model, 1, 1, setup.seed).x / math.sqrt(setup.d_model)
    written = block.embed([vocabulary.index(word) for word in words[:-1]], table, scaled=setup.scaled)
    encoder = block.encoder(result.x, readers, **options)
    options["causal"] = setup.causal
    decoder = block.decoder(written, encoder.output, writers, **options)
    return Translated(lesson, vocabulary, table, written, encoder, decoder, tuple(writers), options)


def three_uses_tab(state, result):
    """Draw where attention stands in encoder and decoder, its weights there, and which outputs see which targets."""
    blocks, mask = st.columns(2, vertical_alignment="bottom")
    blocks.slider("Blocks", 1, 6, key=state.key("layers"), help="How many the encoder has, and the decoder too.")
    mask.toggle(
        "Causal mask in the decoder", key=state.key("causal"),
        help="Without it a place sees the very word it must predict.",
    )  # fmt: skip
    setup = result.setup
    with st.spinner("Running encoder and decoder"):
        both = three_uses_translation(result)
    if (count := len(examples.split_words(setup.second))) > MOST_WRITTEN:
        st.caption(f"Of the {count:,} words of the translation the first {MOST_WRITTEN} are written.")
    st.segmented_control(
        "Use", USES, format_func=USES.get, key=state.key("use"), required=True, label_visibility="collapsed"
    )
    page_reading(_use_in_words(result, both), _use_formula(setup.use), _use_shapes(result, both))
    boxes = architecture_picture(
        _sizes(result, both), page_theme(), setup.use, pre_norm=setup.pre_norm, room=page_width()
    )
    weights = _use_map(result, both)
    tables = {setup.use: lambda: _use_csv(result, both)}

    def pick(row, column=None):
        state.set(use=CLICKED.get(row, setup.use))

    if page_width() >= WIDTH + _NAMED + _LEAST_MAP:
        page_figure(charts.beside(boxes, weights, spacing=30), f"block.uses.{setup.norm}", on_pick=pick, tables=tables)
    else:  # in one figure the boxes would begin where the map does, at the right of its names
        page_figure(charts.beside(boxes), f"block.boxes.{setup.norm}", on_pick=pick)
        page_figure(charts.beside(weights), "block.uses", tables=tables)
    st.header("All places trained at once", anchor=False)
    _forced(state, result, both)


def _sizes(result, both):
    """Return what the shapes in the figure are made of."""
    setup = result.setup
    lengths = len(result.tokens), len(both.lesson.inputs)
    return Sizes(*lengths, setup.d_model, setup.d_ff, len(both.vocabulary), setup.layers)


def _use_map(result, both):
    """Draw the weights of the chosen use."""
    use, columns = result.setup.use, result.labels
    beside = page_width() - WIDTH - _NAMED
    longest = max(len(result.tokens), len(both.rows), len(both.vocabulary) if use == "output" else 0)
    size = min(beside, page_plot_height(440)) if beside >= _LEAST_MAP else page_map_size(longest, 340, _NAMED)
    if use == "output":
        return charts.heatmap(
            both.probabilities, both.rows, charts.token_labels(both.vocabulary), page_theme(), title="What comes next?",
            axes=("place", "word"), scale=charts.Scale(float(both.probabilities.max()), name="probability"), size=size,
        )  # fmt: skip
    weights = both.weights(use)
    rows = columns if use == "encoder" else both.rows
    columns = both.rows if use == "masked" else columns
    hidden = _hidden(both) if use == "masked" else None
    title = f"Weights of block {result.setup.layers}"
    return charts.heatmap(
        weights,
        rows,
        columns,
        page_theme(),
        title=title,
        hidden=hidden,
        size=size,
        scale=charts.Scale(float(weights.max())),
    )


def _hidden(both):
    """Return where the decoder may not look at what is written."""
    n = len(both.lesson.inputs)
    return ~np.tri(n, dtype=bool) if both.options["causal"] else np.zeros((n, n), dtype=bool)


def _use_csv(result, both):
    """Return the numbers of the chosen use as comma-separated text."""
    use = result.setup.use
    if use == "output":
        return charts.csv(both.probabilities, both.rows, charts.token_labels(both.vocabulary))
    rows = result.labels if use == "encoder" else both.rows
    return charts.csv(both.weights(use), rows, both.rows if use == "masked" else result.labels)


def _use_in_words(result, both):
    """Say what the chosen use is for."""
    use, n, m = result.setup.use, len(result.tokens), len(both.lesson.inputs)
    if use == "encoder":
        return f"In the encoder every word looks at every word of its own sentence: {n} queries, {n} keys."
    if use == "masked":
        hidden = int(_hidden(both).sum())
        seen = (
            f". {hidden} of {m * m} cells are hidden, for a place must not see the word that it is to predict."
            if hidden
            else " and, without the mask, also at those after it: among them the word that it is to predict."
        )
        return f"In the decoder every place looks at the words written before it{seen}"
    if use == "cross":
        weights = both.weights("cross")
        row = min(result.setup.target, m - 1)
        best = int(weights[row].argmax())
        return (
            "Here the decoder looks at the sentence that was read. Queries come from what is written, keys and values "
            f"from the encoder: {m} × {n} weights. After **{as_text(both.rows[row])}** it takes most, "
            f"{share(weights[row, best])}, from **{as_text(result.labels[best])}**."
        )
    place, word = np.unravel_index(int(both.probabilities.argmax()), both.probabilities.shape)
    return (
        f"Which word comes next? Each of {len(both.vocabulary)} words gets a score, the product of the decoder's "
        "output with the word's own embedding, and the softmax turns scores into probabilities. The surest guess here: "
        f"after **{as_text(both.rows[place])}** comes **{as_text(both.vocabulary[word])}**, with a probability of "
        f"{number(both.probabilities[place, word])}. Nothing is trained, so that is chance."
    )


def _use_formula(use):
    """Return the formula of a use, letters in the colours of their roles."""
    if use == "output":
        return rf"\mathrm{{softmax}}(\textcolor{{{page_theme().output}}}{{Z}}\,E^\top)"
    source = {"encoder": ("X", "X"), "masked": ("Y", "Y"), "cross": ("Y", r"X_{\mathrm{encoder}}")}[use]
    q, k, v = (rf"\textcolor{{{page_theme().role(role)}}}{{{role[0].upper()}}}" for role in ("query", "key", "value"))
    made = rf"{q} &= {source[0]}\,W_q \\ {k} &= {source[1]}\,W_k \\ {v} &= {source[1]}\,W_v"
    return rf"\begin{{aligned}} {made} \end{{aligned}}"


def _use_shapes(result, both):
    """Return the shapes of the chosen use."""
    n, m, d = len(result.tokens), len(both.lesson.inputs), result.setup.d_model
    return {
        "encoder": f"queries, keys and values from {n} tokens × {d} numbers",
        "masked": f"queries, keys and values from {m} tokens × {d} numbers",
        "cross": f"queries from {m} tokens × {d} numbers, keys and values from {n} × {d}",
        "output": f"{m} tokens × {d} numbers, times {d} numbers × {len(both.vocabulary)} words",
    }[result.setup.use]


# Teacher forcing


def _moved_outputs(both):
    """Return how far each output moves when each target is replaced, (targets, places).

    Row ``i`` replaces target ``i``, which is read at place ``i + 1``.
    """
    count = len(both.lesson.inputs) - 1
    others = np.repeat(both.written[None], count, axis=0)  # (targets, places, d_model)
    for target in range(count):
        others[target, target + 1] = both.written[target + 1, ::-1]
    made = block.decoder(others, both.encoder.output, both.layers, **both.options).output
    return np.linalg.norm(made - both.decoder.output, axis=-1)


def _forced(state, result, both):
    """Draw what each place reads and must predict, and which places feel a target that is replaced."""
    count = len(both.lesson.inputs) - 1
    state.clamp("target", 1, count)
    if count > 1:
        st.slider("Replace target", 1, count, key=state.key("target"), help="Another vector is put in its place.")
    target = state.get("target") - 1
    with st.spinner("Replacing each target in turn"):
        moved = _moved_outputs(both)
    page_reading(_forced_in_words(both, moved, target))
    left, right = st.columns([2, 3]) if page_width() >= NARROW else (st.container(), st.container())
    places = len(both.lesson.inputs)
    left.dataframe(
        {
            "place": list(range(1, places + 1)),
            "reads": list(both.lesson.inputs),
            "must predict": list(both.lesson.targets),
            "moves by": [number(size) for size in moved[target]],
        },
        hide_index=True,
        height=min(35 * (places + 1) + 3, 440),
    )
    targets, columns = charts.token_labels(both.lesson.targets[:-1]), charts.token_labels(both.lesson.targets)
    with right:
        map_ = charts.heatmap(
            moved, targets, columns, page_theme(), kind="magnitude", axes=("target replaced", "place that predicts"),
            title="Which predictions move", scale=charts.Scale(name="moved by"),
            pick=charts.Pick("target", highlight={"row": target}), size=_forced_map_size(places),
        )  # fmt: skip
        page_figure(
            charts.beside(map_),
            f"block.forced.{count}",
            on_pick=lambda row, column: state.set(target=row + 1),
            tables={"moved_outputs": lambda: charts.csv(moved, targets, columns)},
        )


def _forced_map_size(places):
    """Return the pixels of a side of the map, beside the table or below it."""
    beside = page_share(0.6, least=350) - 170
    return int(min(beside, 40 * places)) if page_width() >= NARROW else page_map_size(places, 40 * places, _NAMED)


def _forced_in_words(both, moved, target):
    """Say that a target moves only the predictions after it, with the largest change before."""
    name = as_text(charts.token_labels(both.lesson.targets)[target])
    before, after = (float(part.max()) for part in (moved[target, : target + 1], moved[target, target + 1 :]))
    told = (
        "In training the decoder reads the right words, one place later than it must predict them (teacher forcing). "
        f"Place {target + 1} must predict **{name}**, and place {target + 2} reads it. Replace that word, and places 1 "
        f"to {target + 1} move by **{number(before)}**, those after it by up to {number(after)}. "
    )
    if both.options["causal"]:
        return f"{told}So one pass trains all {moved.shape[1]} places, and none can copy its answer."
    return f"{told}Without the mask places see their own answers: they would learn to copy, not to predict."
