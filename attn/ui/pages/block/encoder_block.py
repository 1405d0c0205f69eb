"""Block: from the choices on the page to one block of a Transformer, walked step by step, and the code for it."""

import math
import re
from dataclasses import fields
from functools import partial
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import block, charts, multi_head_attention, positions
from attn.analysis import sensitivity
from attn.charts.labels import LINE, label_pixels, number
from attn.charts.plane import least_plane
from attn.data import examples
from attn.functional import layer_norm
from attn.multi_head import divisors
from attn.ui.controls.sentence import LONGEST, sentence_control, sentence_seed_control, sentence_words
from attn.ui.pages.block.block_in_numpy import block_numpy_code
from attn.ui.pages.block.setup import MOST_HEADS, NORMS, STAGES, Block
from attn.ui.settings import visitor_settings
from attn.ui.shown_code import LIGHT, Source, page_codes
from attn.ui.state import as_text
from attn.ui.width import NARROW, page_cell, page_share, page_tallest, page_width
from attn.words import listed, share

_PICKS = ("cell", "row")  # in code: what is marked in a matrix with the chosen cell, and in one without


class Walked(NamedTuple):
    """One block and everything it was made from."""

    tokens: tuple
    table: np.ndarray  # (n, d_model) the embedding of each token
    x: np.ndarray  # (n, d_model)
    layer: block.Layer
    block: block.EncoderBlock
    setup: Block

    @property
    def labels(self):
        return charts.token_labels(self.tokens)

    @property
    def at(self):
        """Position, counted from 0, of the token that is followed."""
        return min(self.setup.token, len(self.tokens)) - 1

    @property
    def followed(self):
        """The token that is followed, fit to stand in a sentence."""
        return f"**{as_text(self.labels[self.at])}**"

    @property
    def weights(self):
        """The mean of the heads' weights, (n, n)."""
        return self.block.attention.weights.mean(axis=0)

    def result(self, stage):
        """What a stage ends with, (n, d_model)."""
        if stage == "input":
            return self.x
        step = self.step(stage)
        if stage.endswith("_add"):
            return step.added
        if stage.endswith("_norm"):
            return step.read if self.setup.pre_norm else step.output
        return step.made

    def step(self, stage):
        """The sublayer that a stage belongs to."""
        return self.block.after_feed_forward if stage.startswith("feed_forward") else self.block.after_attention

    @property
    def limit(self):
        """The end of the one scale on which every stage is drawn."""
        drawn = (part for stage in STAGES for part in self.matrices(stage))
        return max(float(np.abs(values).max()) for values, title in drawn if title != _weights_title(self))

    def matrices(self, stage):
        """The matrices of a stage, each with its title."""
        return [part for part in encoder_block_parts(self, stage) if not isinstance(part, str)]

    def cell(self, values):
        """The row and column of the chosen cell in a matrix of the stage in view, None where it has none there."""
        widest = max(each.shape[1] for each, _ in self.matrices(self.setup.stage))
        column = min(self.setup.column, widest) - 1
        return (self.at, column) if column < values.shape[1] else None


def encoder_block_controls(state):
    """Draw the choices that make the block, in the order in which it uses them."""
    sentence_control(state)
    st.text_input(
        "Its translation, which a decoder writes", key=state.key("second"), max_chars=visitor_settings().text_length,
        help="Used in the tab “Three uses”.",
    )  # fmt: skip
    sentence_seed_control(state)
    st.slider(
        "d_model", 2, 64, key=state.key("d_model"), help="How many numbers stand for each token, all the way through."
    )
    st.toggle(
        "Embeddings × √d_model",
        key=state.key("scaled"),
        help="Makes embeddings larger, so that the positions added to them do not drown them.",
    )
    heads = [d for d in divisors(state.get("d_model")) if d <= MOST_HEADS]
    state.adjust(num_heads=max(d for d in heads if d <= state.get("num_heads")))
    st.select_slider(
        "Heads",
        heads,
        key=state.key("num_heads"),
        help="They share the $d_\\text{model}$ numbers, which must divide by them.",
    )
    st.segmented_control(
        "Layer norm", NORMS, format_func=NORMS.get, key=state.key("norm"), required=True,
        help="After each sum, as in 2017, or before each step, as in most models since.",
    )  # fmt: skip
    if state.get("stage") not in state.choices().stages:
        state.adjust(stage="input")
    st.slider(
        "d_ff",
        1,
        256,
        key=state.key("d_ff"),
        help="How many numbers the feed-forward network has inside, often $4\\,d_\\text{model}$.",
    )
    n = len(sentence_words(state.get("text")))
    state.clamp("token", 1, n or LONGEST)  # without words the choice waits
    if n > 1:
        st.slider(
            "Follow token",
            1,
            n,
            key=state.key("token"),
            help="Whom the sentences speak of. Or choose a cell of its row.",
        )


def compute_encoder_block(setup):
    """Compute the block.

    Returns
    -------
    Walked
    """
    tokens = sentence_words(setup.text)
    table, x = _embedded(tokens, setup.d_model, setup.scaled, setup.seed)
    layer, steps = _in_block(x, **_sizes_of(setup))
    return Walked(tokens, table, x, layer, steps, setup)


def encoder_block_alone(result):
    """Return the block without what was chosen in a tab, on which its own figures do not depend."""
    own = {field.name: getattr(result.setup, field.name) for field in fields(Block) if field.name != "tab"}
    return result._replace(setup=Block(**own))


def _sizes_of(setup):
    """Return the choices that make the block, as `_in_block` takes them."""
    return {name: getattr(setup, name) for name in ("d_model", "num_heads", "d_ff", "pre_norm", "seed")}


def _embedded(words, d_model, scaled, seed):
    """Return an embedding for each word, and what goes into the block."""
    table = examples.random_example(words, d_model, 1, 1, seed).x / math.sqrt(d_model)  # each about as long as 1
    x = block.embed(np.arange(len(words)), table, scaled=scaled)
    return table, x


def _in_block(x, d_model, num_heads, d_ff, pre_norm, seed):
    """Return a random layer, and every step through it."""
    layer = block.draw_layer(np.random.default_rng(seed), d_model, num_heads, d_ff)
    steps = block.encoder_block(x, layer, pre_norm=pre_norm)
    return layer, steps


def encoder_block_norms(rows):
    """Return the norm of each row: how long it is."""
    return np.linalg.norm(rows, axis=-1)


def _mean_norm(rows):
    """Return the mean norm of rows, as text."""
    return number(encoder_block_norms(rows).mean())


def encoder_block_parts(result, stage):
    """Return the matrices of a stage, each with its title, and the operators between them."""
    step, d_model = result.step(stage), result.setup.d_model
    if stage == "input":
        factor = f" × √{d_model}" if result.setup.scaled else ""
        placed = positions.sinusoidal(len(result.tokens), d_model)
        return [(result.x - placed, f"Embeddings{factor}"), "+", (placed, "Positions"), "=", (result.x, "Input")]
    if stage.endswith("_add"):
        name = STAGES[stage.removesuffix("_add")]
        return [(step.x, "What came in"), "+", (step.made, name), "=", (step.added, "Sum")]
    if stage.endswith("_norm"):
        before = step.x if result.setup.pre_norm else step.added
        name = "What came in" if result.setup.pre_norm else "Sum"
        return [(before, name), "→", (result.result(stage), "Normalised")]
    if stage == "attention":
        return [(step.read, "What it reads"), "→", (result.weights, _weights_title(result)), "→", (step.made, "Result")]
    hidden = result.block.feed_forward.hidden
    return [(step.read, "What it reads"), "→", (hidden, "Hidden, 0 or more"), "→", (step.made, "Result")]


def _weights_title(result):
    """Return what the weights in view are."""
    return "Weights" if result.setup.num_heads == 1 else f"Weights, mean of {result.setup.num_heads} heads"


def encoder_block_picture(result, theme):
    """Draw a stage, on the scale that all of them share."""
    drawn, limit = [], result.limit
    for part in encoder_block_parts(result, result.setup.stage):
        drawn.append(part if isinstance(part, str) else _panel(result, limit, *part))
    return charts.panels(theme, page_width(), *drawn, tallest=_tallest(result))


def _tallest(result):
    """Return how many pixels high a matrix may be: more is said above the first stage."""
    stage = result.setup.stage
    parts = [part for part in encoder_block_parts(result, stage) if not isinstance(part, str)]
    most = max(max(values.shape) for values, _ in parts)
    return page_tallest(20 if stage == "input" else 0, most=480, count=most)


def _panel(result, limit, values, title):
    """Return one matrix; a click on it follows the token of the row, and reads the number of the cell."""
    labels = result.labels
    pick = charts.Pick(re.sub(r"\W", "_", f"row_{title.lower()}"), result.cell(values), {"row": result.at})
    if title == _weights_title(result):
        scale = charts.Scale(float(values.max()))
        return charts.panel(values, labels, labels, title=title, scale=scale, pick=pick)
    columns = charts.counted(values.shape[1])
    return charts.panel(
        values, labels, columns, kind="signed", title=title, axes=("token", "dimension"), scale=charts.Scale(limit),
        pick=pick,
    )  # fmt: skip


def encoder_block_cell_reading(result):
    """Say what the chosen cell is, and its number in each matrix of the stage in view that has such a cell."""
    numbers, weight = [], ""
    for values, title in result.matrices(result.setup.stage):
        if (cell := result.cell(values)) is None:
            continue
        if title == _weights_title(result):
            key = as_text(result.labels[cell[1]])
            weight = f"{result.followed} looks at **{key}** with a weight of **{share(values[cell])}**. "
        else:
            numbers.append(f"**{number(values[cell])}** in “{title}”")
            dimension = f"Dimension {cell[1] + 1} of {result.followed} is "
    told = f"{dimension}{listed(numbers)}. " if numbers else ""
    return f"{told}{weight}Choose a cell to read its number."


def encoder_block_reading(result):
    """Say how to read the stage in view, with its numbers."""
    return _READINGS[result.setup.stage](result, result.step(result.setup.stage))


def _input_reading(result, step):
    return (
        "A transformer is a stack of blocks: in each, tokens look at one another by attention, then a feed-forward "
        "network treats each alone. “Step on” walks through one. Into the first goes each token's embedding plus "
        "numbers for its position."
    )


def _input_lengths(result):
    """Say how long embeddings and positions are, and what comes of the factor between them."""
    d_model = result.setup.d_model
    placed = number(math.sqrt(d_model / 2))
    root = f"√{d_model} = {number(math.sqrt(d_model))}"
    if result.setup.scaled:
        return (
            f"Embeddings have a length of about {_mean_norm(result.table)}, positions of {placed}. So that "
            f"positions do not drown the words, embeddings are multiplied by {root}: now the words are "
            f"{_mean_norm(math.sqrt(d_model) * result.table)} long."
        )
    return (
        f"Without the factor {root} embeddings are {_mean_norm(result.table)} long beside positions of {placed}: the "
        "sum says more of places than of words."
    )


def _attention_reading(result, step):
    weights = result.weights[result.at]
    best = int(weights.argmax())
    return (
        f"Here, and only here, tokens look at one another: {result.followed} takes most, {share(weights[best])}, from "
        f"**{as_text(result.labels[best])}**. What attention makes has a mean length of {_mean_norm(step.made)}; what "
        f"came in had {_mean_norm(step.x)}."
    )


def _add_reading(result, step):
    one = [number(encoder_block_norms(rows)[result.at]) for rows in (step.x, step.made, step.added)]
    return (
        "The result is added to what came in and does not replace it: a residual connection. The vector of "
        f"{result.followed} came in with a length of **{one[0]}**; one of length {one[1]} is added; the sum has a "
        f"length of **{one[2]}**."
    )


def _norm_reading(result, step):
    before = encoder_block_norms(step.x if result.setup.pre_norm else step.added)
    after = encoder_block_norms(result.result(result.setup.stage))
    after = number(after.min()) if np.ptp(after) < 5e-3 else f"{number(after.min())} to {number(after.max())}"
    root = f"√{result.setup.d_model} = {number(math.sqrt(result.setup.d_model))}"
    return (
        "Layer norm keeps vectors from growing or shrinking: the numbers of every row get mean 0 and variance 1. "
        f"Lengths were **{number(before.min())} to {number(before.max())}**; now they are **{after}**, {root}."
    )


def _feed_forward_reading(result, step):
    moved = encoder_block_moves(result)["feed_forward"]
    others = np.delete(moved, result.at)
    still = f", all others by {number(others.max())}" if others.size else ""
    zeros = float((result.block.feed_forward.hidden == 0).mean())
    return (
        "The same network works on each token by itself. Change what it reads of "
        f"{result.followed}, and that row moves by **{number(moved[result.at])}**{still}. Between its two matrices "
        f"negative numbers become 0, here {zeros:.0%} of them."
    )


def encoder_block_footnote(result):
    """Return what only some readers look for about the stage in view; empty where there is nothing."""
    stage = result.setup.stage
    if stage == "input":
        return "At the width of Vaswani et al., 2017, the factor is √512 = 22.627 (section 3.4)."
    if stage.endswith("_norm"):
        return "Layer norm also has a trained gain and bias for each number. They are 1 and 0 here, as training begins."
    if stage == "feed_forward":
        count = block.parameter_count(result.layer.feed_forward)
        return f"This network trains {count:,} numbers, at the paper's widths 2,099,712."
    return ""


_READINGS = {
    "input": _input_reading,
    "attention": _attention_reading,
    "attention_add": _add_reading,
    "attention_norm": _norm_reading,
    "feed_forward": _feed_forward_reading,
    "feed_forward_add": _add_reading,
    "feed_forward_norm": _norm_reading,
}


def encoder_block_formula(result, theme):
    """Return the formula of the stage in view."""
    stage, pre = result.setup.stage, result.setup.pre_norm
    q, k, v = (rf"\textcolor{{{theme.role(role)}}}{{{role[0].upper()}}}" for role in ("query", "key", "value"))
    x = r"\mathrm{LN}(x)" if pre else "x"
    makes = rf"\mathrm{{Attention}}({x})" if stage.startswith("attention") else rf"\mathrm{{FFN}}({x})"
    if stage == "input":
        return r"x_p = \sqrt{d}\,E_{w_p} + \mathrm{PE}_p" if result.setup.scaled else r"x_p = E_{w_p} + \mathrm{PE}_p"
    if stage == "attention":
        return rf"\mathrm{{softmax}}\!\left(\frac{{{q}\,{k}^\top}}{{\sqrt{{d_k}}}}\right){v}\;W^O"
    if stage == "feed_forward":
        return r"\max(0,\; x W_1 + b_1)\, W_2 + b_2"
    if stage.endswith("_add"):
        return f"x + {makes}"
    return r"\mathrm{LN}(x) = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \odot g + b"


def encoder_block_shapes(result):
    """Return the shapes of the stage in view."""
    n, setup = len(result.tokens), result.setup
    if setup.stage == "attention":
        each = setup.d_model // setup.num_heads
        heads = "1 head" if setup.num_heads == 1 else f"{setup.num_heads} heads"
        return f"{n} tokens × {setup.d_model} numbers · {heads} of {each} numbers · weights of each: {n} × {n}"
    if setup.stage == "feed_forward":
        return f"{n} tokens × {setup.d_model} → {setup.d_ff} → {setup.d_model} numbers"
    shape = f"{n} tokens × {setup.d_model} numbers, as at every stage of the block"
    return f"{_input_lengths(result)} {shape}." if setup.stage == "input" else shape


def encoder_block_moves(result):
    """Return, for each step alone, how far its rows move when what it reads of one token is replaced."""
    setup, layer = result.setup, result.layer
    moved = partial(sensitivity.moved_rows, token=result.at)
    found = {}
    for name, norm in (("attention", layer.attention_norm), ("feed_forward", layer.feed_forward_norm)):
        step = result.step(name)
        look = name == "attention"
        found[name] = moved(partial(_attend if look else _feed, layer=layer), step.read)
        found[f"{name}_add"] = moved(partial(np.add, step.made), step.x)
        found[f"{name}_norm"] = moved(lambda rows, own=norm: layer_norm(rows, *own), _before_norm(step, setup))
    return {stage: found[stage] for stage in setup.stages if stage != "input"}


def _attend(x, layer):
    return multi_head_attention(x, layer.attention).output


def _feed(x, layer):
    return block.feed_forward(x, layer.feed_forward).output


def _before_norm(step, setup):
    return step.x if setup.pre_norm else step.added


def encoder_block_effects_reading(result):
    """Say that only attention moves other rows."""
    moved = encoder_block_moves(result)
    others = {name: np.delete(rows, result.at).max(initial=0) for name, rows in moved.items()}
    rest = max(size for name, size in others.items() if name != "attention")
    return (
        "Which step carries something from one token to another? For the map, the numbers that each step reads of "
        f"{result.followed} are put in reverse order. In attention the rows of other tokens move too, by up to "
        f"**{number(others['attention'])}**. In all other steps they move by **{number(rest)}**, for there each token "
        "is on its own. Choose a bar or a cell to go to its step."
    )


def encoder_block_effects_picture(result, theme):
    """Draw how long vectors are along the block, and beside it which rows each step moves."""
    stages, moved = list(result.setup.stages), encoder_block_moves(result)
    names = [STAGES[stage] for stage in stages]
    values = [float(encoder_block_norms(result.result(stage)).mean()) for stage in stages]
    wide = min(page_share(0.22, least=140), 360)
    bars = charts.bars(
        values, names, theme, title="Mean length of a vector", kind="magnitude", scale=charts.Scale(name="length"),
        pick=charts.Pick("bar", stages.index(result.setup.stage)), width=wide,
    )  # fmt: skip
    map_ = charts.heatmap(
        np.stack(list(moved.values())), names[1:], result.labels, theme, kind="magnitude",
        scale=charts.Scale(log=True, name="moved by"), pick=charts.Pick("cell", highlight={"column": result.at}),
        title="Which rows one step moves", axes=("step", "token"),
        size=_map_size(len(result.tokens), len(moved), _map_room(names, wide)),
    )  # fmt: skip
    return charts.beside(bars, map_, spacing=48)


def _map_room(names, bars):
    """Return the pixels across that are left for the map beside bars of this width, or below them."""
    named = max(map(label_pixels, names)) + 40
    return page_share(1, beside=bars + 400) if page_width() >= NARROW else page_width() - named


def _map_size(columns, rows, free):
    """Return width and height in pixels: square cells, unless rows would be too low for their names."""
    cell = page_cell(min(least_plane(free, columns) / columns, 34), columns)
    return int(cell * columns), int(max(cell, LINE + 4) * rows)


def encoder_block_effects_csv(result):
    """Return how far each step moves each row as comma-separated text."""
    moved = encoder_block_moves(result)
    return charts.csv(np.stack(list(moved.values())), [STAGES[stage] for stage in moved], result.labels)


def go_to_encoder_block_stage(state, result, row, column=None):
    """Go to the stage of a bar, or to the step and the token of a cell."""
    stages = list(result.setup.stages)
    if column is None:
        state.set(stage=stages[row])
    else:
        state.set(stage=stages[row + 1], token=column + 1)


def encoder_block_code(result):
    """Return the lines that make the block, and those that draw the stage in view."""
    setup, expressions = result.setup, _expressions(result)
    parts = zip(expressions, encoder_block_parts(result, setup.stage), strict=True)
    lines = [repr(one) if isinstance(one, str) else _panel_code(result, *one, part[0]) for one, part in parts]
    drawn = "".join(f"    {line},\n" for line in lines)
    cells = dict.fromkeys(result.cell(values) for values, _ in result.matrices(setup.stage))
    picks = {_PICKS[cell is None]: charts.Pick(selected=cell, highlight={"row": result.at}) for cell in cells}
    return page_codes(
        lambda: block_numpy_code(result),
        {"words": Source(f"attn.examples.split_words({setup.text!r})[:{len(result.tokens)}]"), "scaled": setup.scaled}
        | _sizes_of(setup),
        (("table, x", _embedded), ("layer, steps", _in_block)),
        (f"print({expressions[-1][0]}.round(4))",),
        {"scale": charts.Scale(result.limit)} | picks | {"theme": LIGHT, "room": round(page_width())},
        (
            "labels, dimensions = charts.token_labels(words), charts.counted(d_model)",
            'shared = dict(kind="signed", axes=("token", "dimension"), scale=scale)',
            f"picture = charts.panels(\n    theme, room,\n{drawn}    tallest={_tallest(result)},\n)",
            'charts.save(picture, "block.svg")',
        ),
    )


def _expressions(result):
    """Return the parts of the stage in view, with the expression of each in place of its numbers."""
    stage, setup = result.setup.stage, result.setup
    step = f"steps.after_{'feed_forward' if stage.startswith('feed_forward') else 'attention'}"
    placed = f"attn.positions.sinusoidal({len(result.tokens)}, {setup.d_model})"
    if stage == "input":
        names = [f"x - {placed}", placed, "x"]
    elif stage.endswith("_add"):
        names = [f"{step}.x", f"{step}.made", f"{step}.added"]
    elif stage.endswith("_norm"):
        names = [f"{step}.x", f"{step}.read"] if setup.pre_norm else [f"{step}.added", f"{step}.output"]
    else:
        between = "steps.attention.weights.mean(axis=0)" if stage == "attention" else "steps.feed_forward.hidden"
        names = [f"{step}.read", between, f"{step}.made"]
    names = iter(names)
    return [part if isinstance(part, str) else (next(names), part[1]) for part in encoder_block_parts(result, stage)]


def _panel_code(result, expression, title, values):
    """Return the line that makes one matrix."""
    pick = f"pick={_PICKS[result.cell(values) is None]}"
    if title == _weights_title(result):
        options = f"scale={charts.Scale(float(result.weights.max()))}, {pick}"
        return f'charts.panel({expression}, labels, labels, title="{title}", {options})'
    columns = f"charts.counted({result.setup.d_ff})" if title.startswith("Hidden") else "dimensions"
    return f'charts.panel({expression}, labels, {columns}, title="{title}", {pick}, **shared)'
