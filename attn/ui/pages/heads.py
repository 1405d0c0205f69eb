"""Heads: from the choices on the page to every head's attention, and the code for it."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from attn import MultiHead, MultiHeadParameters, charts, cost, multi_head, positions
from attn.charts.labels import number
from attn.data import examples
from attn.ui.controls.colour_scale import COLOURS
from attn.ui.controls.mask import MaskChoice, mask_in_numpy, mask_of
from attn.ui.controls.positions import positions_in_numpy
from attn.ui.controls.sentence import SOURCES, SentenceChoice, sentence_words
from attn.ui.link import link_choice, link_flag, link_place, link_string, link_whole
from attn.ui.numpy_code import (
    Paragraph,
    numpy_array,
    numpy_code,
    numpy_embeddings,
    numpy_masked,
    numpy_shapes,
    numpy_softmax,
    numpy_tokens,
)
from attn.ui.shown_code import LIGHT, Source, page_codes
from attn.ui.state import as_text
from attn.words import share

MODES = {"self": "Self-attention", "cross": "Cross-attention"}


MOST_HEADS = 16


TABS = {"one": "One head", "merged": "Concatenation and output", "code": "Code"}
OLD_TABS = {"One head": "one", "Concatenation and output": "merged", "Code": "code"}  # what older links call them


@dataclass(frozen=True)
class Setup(SentenceChoice, MaskChoice):
    """Everything chosen on Heads."""

    source: str = link_choice("random", SOURCES)
    mode: str = link_choice("self", MODES)
    second: str = link_string("Das Tier überquerte die Straße nicht.")
    d_model: int = link_whole(16, 1, 128)
    num_heads: int = link_whole(4, 1, MOST_HEADS)
    num_kv_heads: int = link_whole(MOST_HEADS, 1, MOST_HEADS)  # at most; see `sets`
    d_k: int = link_whole(4, 1, 64)
    d_v: int = link_whole(4, 1, 64)
    project: bool = link_flag(True)
    gate: bool = link_flag(False)
    key_positions: bool = link_flag(False)
    head: int = link_whole(1, 1, MOST_HEADS)
    cell: tuple = link_place((99999, 99999))  # of the large head; by default that of its largest weight
    colour: str = link_choice("auto", COLOURS)
    tab: str = link_choice("one", TABS, OLD_TABS)

    @property
    def sets(self):
        """How many sets of keys and values the heads have: as many as are chosen and the query heads can share."""
        return max(count for count in multi_head.divisors(self.num_heads) if count <= self.num_kv_heads)


class ManyHeads(NamedTuple):
    """What the page shows."""

    tokens: tuple  # the tokens that ask
    memory_tokens: tuple  # the tokens that are read
    parameters: MultiHeadParameters
    steps: MultiHead
    hidden: np.ndarray  # (n_q, n_k)
    words: str
    made: tuple  # settings and steps of the code that makes the inputs, ``parameters`` and ``mask``

    @property
    def sharing(self):
        """How query heads and key/value heads go together, as a sentence."""
        p = self.parameters
        if p.num_heads == 1:
            return "Here there is one."
        if p.num_kv_heads == p.num_heads:
            return f"Here there are {p.num_heads}, each with its own keys and values (multi-head attention)."
        if p.num_kv_heads == 1:
            return f"Here {p.num_heads} heads share one set of keys and values (multi-query attention)."
        return f"Here {p.num_heads} heads share {p.num_kv_heads} sets of keys and values (grouped-query attention)."

    @property
    def as_wide(self):
        """What so many heads cost beside one as wide as all of them together, where each has keys of its own."""
        p = self.parameters
        if p.num_heads == 1 or p.num_kv_heads < p.num_heads or p.d_k != p.d_v:
            return ""
        return f": {p.num_heads} heads of {p.d_k} numbers cost about as much as one head of {p.num_heads * p.d_k}"

    def most(self, head):
        """Say what looks most at what in a head, and by what; nothing where no token may look."""
        weights = self.steps.weights[head]
        row, column = np.unravel_index(int(weights.argmax()), weights.shape)
        if not weights[row, column]:
            return ""
        asks, found = (
            f"**{as_text(charts.token_labels(names)[at])}**"
            for names, at in ((self.tokens, row), (self.memory_tokens, column))
        )
        return (
            f"In head {head + 1} the *query* of {asks} (what it looks for) matches best the *key* of {found} (what "
            f"that one offers). So it takes **{weights[row, column]:.0%}** from the *value* of {found} (what that "
            "one hands on). "
        )

    def cell(self, head, chosen):
        """Return the row and column that are chosen, or those of the head's largest weight where that is no cell."""
        weights = self.steps.weights[head]
        if all(place < count for place, count in zip(chosen, weights.shape, strict=True)):
            return chosen
        return tuple(int(place) for place in np.unravel_index(int(weights.argmax()), weights.shape))

    def cell_reading(self, head, cell):
        """Say how much one token takes from another in a head."""
        asks, found = (
            f"**{as_text(charts.token_labels(names)[at])}**"
            for names, at in zip((self.tokens, self.memory_tokens), cell, strict=True)
        )
        if self.hidden[cell]:
            return f"{asks} may not look at {found}: the mask hides it."
        return f"{asks} looks at {found} with a weight of **{share(self.steps.weights[head][cell])}**."

    @property
    def alike(self):
        """Say of the first two tokens with equal rows why they are; nothing where no rows are equal."""
        asks = np.concatenate([self.steps.query.swapaxes(0, 1).reshape(len(self.tokens), -1), self.hidden], axis=1)
        first = np.array([np.isclose(asks, row).all(axis=1).argmax() for row in asks])
        again = np.flatnonzero(first < np.arange(len(first)))
        if not again.size:
            return ""
        one, other = (as_text(charts.token_labels(self.tokens)[at]) for at in (first[again[0]], again[0]))
        return f"**{one}** and **{other}** have equal rows: without positions (see Positions), equal words ask alike."

    @property
    def shapes(self):
        """What is drawn, and how large the result is."""
        heads, n_q, n_k = self.steps.weights.shape
        width = self.steps.concat.shape[1]
        each = "1 head" if heads == 1 else f"{heads} heads"
        return f"{each} × {n_q} × {n_k} weights · results joined: {n_q} tokens × {width} numbers"

    @property
    def gating(self):
        """What the output gate does, as a sentence; nothing without one."""
        if self.steps.gate is None:
            return ""
        least, most = self.steps.gate.min(), self.steps.gate.max()
        return f" The output gate lets {least:.0%} to {most:.0%} of each number through."

    @property
    def saved(self):
        """The share of the cache that is saved against one key/value head per query head."""
        now, full = self.cache
        return 1 - now / full

    @property
    def cache(self):
        """Bytes per token and layer that decoding keeps for these heads, and for one key/value head per query head."""
        p = self.parameters
        each = {"bytes_per_number": cost.FLOAT32}
        return tuple(cost.cache_bytes(1, heads, p.d_k, p.d_v, **each) for heads in (p.num_kv_heads, p.num_heads))

    @property
    def cache_products(self):
        """What the bytes that decoding keeps are multiplied from."""
        p = self.parameters
        heads = "1 key/value head" if p.num_kv_heads == 1 else f"{p.num_kv_heads} key/value heads"
        return (
            f"Cache per token: {heads} × ({p.d_k} numbers of a key + {p.d_v} of a value) × {cost.FLOAT32} bytes a "
            f"number = {self.cache[0]:,} bytes"
        )


def compute_heads_page(setup):
    """Compute everything the page shows.

    Returns
    -------
    ManyHeads
    """
    if setup.source == "worked":
        inputs, parameters, tokens, memory_tokens, settings, steps = _worked(setup)
    else:
        inputs, parameters, tokens, memory_tokens, settings, steps = _random(setup)
    n_q, n_k = len(tokens), len(memory_tokens)
    if setup.mode == "cross":
        mask, line, words = None, "None", "Every token may look at every token there."
        hidden = np.zeros((n_q, n_k), dtype=bool)
    else:
        mask, line = mask_of(setup, n_q)
        hidden, words = ~np.broadcast_to(mask.visible, (n_q, n_k)), mask.words
    made = settings | {"mask": Source(line)}, steps
    return ManyHeads(tokens, memory_tokens, parameters, _attend(*inputs, parameters, mask), hidden, words, made)


def _worked(setup):
    """Return the worked example's inputs, its four heads or its cross-attention, and the code that makes them."""
    e = examples.worked_example()
    made = {"e": Source("attn.examples.worked_example()"), "x": Source("e.x"), "value_memory": Source("None")}
    if setup.mode == "self":
        made |= {"memory": Source("x"), "parameters": Source("attn.examples.worked_example_heads()")}
        made |= {"tokens": Source("e.tokens"), "memory_tokens": Source("tokens")}
        return (e.x, e.x, None), examples.worked_example_heads(), e.tokens, e.tokens, made, ()
    memory = examples.worked_example_memory()
    names = tuple(f"x{row + 1}" for row in range(len(memory)))
    made |= {
        "memory": Source("attn.examples.worked_example_memory()"),
        "parameters": Source("attn.MultiHeadParameters(e.w_q, e.w_k, e.w_v)"),
        "tokens": Source("e.tokens"),
        "memory_tokens": names,
    }
    return (e.x, memory, None), MultiHeadParameters(e.w_q, e.w_k, e.w_v), e.tokens, names, made, ()


def _random(setup):
    """Return a sentence, one to read from, random vectors and weights, and the code that makes them."""
    tokens = sentence_words(setup.text)
    second = sentence_words(setup.second) if setup.mode == "cross" else tokens
    names = ("d_model", "seed", "num_heads", "d_k", "d_v", "project", "gate")
    settings = {name: getattr(setup, name) for name in names} | {"num_kv_heads": setup.sets}
    inputs = _vectors(tokens, second, setup.d_model, setup.seed, setup.key_positions)
    parameters = _random_heads(**settings)
    cross = Source(f"attn.examples.split_words({setup.second!r})[:{len(second)}]")
    made = {
        "tokens": Source(f"attn.examples.split_words({setup.text!r})[:{len(tokens)}]"),
        "memory_tokens": cross if setup.mode == "cross" else Source("tokens"),
    }
    steps = (("x, memory, value_memory", _vectors), ("parameters", _random_heads))
    return inputs, parameters, tokens, second, made | settings | {"key_positions": setup.key_positions}, steps


def _vectors(tokens, memory_tokens, d_model, seed, key_positions):
    """Return random vectors for the tokens that ask and for those that are read, by keys and by values."""
    x, memory = (examples.random_example(words, d_model, 1, 1, seed).x for words in (tokens, memory_tokens))
    value_memory = memory
    if key_positions:
        memory = memory + positions.sinusoidal(len(memory), d_model)
    return x, memory, value_memory


def _random_heads(d_model, num_heads, num_kv_heads, d_k, d_v, project, gate, seed):
    """Return heads with random matrices: those that share keep the first keys and values of as many as there are."""
    rng, options = np.random.default_rng(seed), {"output_projection": project, "output_gate": gate}
    drawn = multi_head.draw_parameters(rng, d_model, num_heads, d_k=d_k, d_v=d_v, **options)
    first = {"w_k": drawn.w_k[:, : num_kv_heads * d_k], "w_v": drawn.w_v[:, : num_kv_heads * d_v]}
    return replace(drawn, num_kv_heads=num_kv_heads, **first)


def _attend(x, memory, value_memory, parameters, mask):
    """Attend with all heads."""
    return multi_head.multi_head_attention(x, parameters, memory, mask, value_memory=value_memory)


def heads_page_picture(steps, parameters, hidden, rows, columns, head, scale, theme, room, tallest, grouped):
    """Draw every head, under its group where there is height for both."""
    grid = charts.head_grid(
        steps.weights,
        rows,
        columns,
        theme,
        hidden=hidden,
        pick=charts.Pick("head", head),
        width=(room, tallest),
        **scale,
    )
    groups = [charts.head_groups(parameters.num_heads, parameters.num_kv_heads, theme, width=room)] if grouped else []
    return charts.above(*groups, grid, spacing=24 if tallest > 180 else 8)  # pixels, in a low window


def heads_page_code(setup, result, head, scale, width, tallest, grouped):
    """Return the lines that compute every head, and those that draw them under their groups."""
    settings, made = result.made
    return page_codes(
        lambda: _numpy_code(setup, result),
        settings,
        (*made, ("steps", _attend)),
        ("print(steps.weights.round(4))\nprint(steps.output.round(4))",),
        {"head": head, "scale": scale, "theme": LIGHT, "room": round(width), "tallest": tallest, "grouped": grouped},
        (
            "rows, columns = charts.token_labels(tokens), charts.token_labels(memory_tokens)",
            "hidden = np.isneginf(steps.masked_scores[0])",
            ("picture", heads_page_picture),
            'charts.save(picture, "heads.svg")',
        ),
    )


def _numpy_code(setup, result):
    """Return the lines that compute every head in numpy alone."""
    steps, p = result.steps, result.parameters
    cross, drawn = setup.mode == "cross", setup.source == "random"
    memory = "memory" if cross or (drawn and setup.key_positions) else "x"
    n_q, n, d_model = len(result.tokens), len(result.memory_tokens), p.w_q.shape[0]
    sizes = f"n, d_model, d_k, d_v = {n}, {d_model}, {p.d_k}, {p.d_v}"
    seed = setup.seed if drawn else None
    inputs = [numpy_tokens(result.tokens, sizes="" if cross else sizes)]
    vectors = {"x": "tokens"}
    if cross:
        inputs.append(numpy_tokens(result.memory_tokens, "memory_tokens", sizes)._replace(heading="Tokens to read"))
        vectors["memory"] = "memory_tokens"
    x = examples.worked_example().x if seed is None else np.empty((n_q, d_model))
    inputs.append(numpy_embeddings(x, seed, vectors if cross else None))
    if cross and not drawn:
        read = examples.worked_example_memory()
        inputs.append(Paragraph("The vectors to read", numpy_array("memory", read, read.shape)))
    values = memory
    if drawn and setup.key_positions:
        values = "values_of" if cross else "x"
        kept = "values_of = memory  # without positions\n" if cross else "memory = x\n"
        lines = f"{kept}{positions_in_numpy('sinusoidal', 0)[1]}\nmemory = memory + positions"
        inputs.append(Paragraph("Positions in what the keys are made of, and there alone", lines))
    last = []
    if p.w_g is not None:
        gate = (
            f"gate = 1 / (1 + np.exp(-split(x @ w_g, {p.num_heads})))  # from 0 to 1\n"
            f"context = context * gate  # {steps.context.shape}"
        )
        last.append(Paragraph("Output gate: how much of each number passes", gate))
    last.append(
        Paragraph(
            "The heads side by side",
            f"concat = context.swapaxes(0, 1).reshape(len(x), -1)  # {steps.concat.shape}",
        )
    )
    if p.w_o is None:
        output = "output = concat  # no output projection"
    else:
        output = f"output = concat @ w_o  # {numpy_shapes(steps.concat.shape, p.w_o.shape)}"
    last.append(Paragraph("Output: the heads mixed", f"{output}\nprint(output.round(4))"))
    visible = ~result.hidden
    everything = f"visible = np.ones(({n_q}, {n}), dtype=bool)  # every token there"
    scaled = f"scaled = scores / np.sqrt(d_k)  # the square root of {p.d_k}: {number(np.sqrt(p.d_k))}"
    return numpy_code(
        *inputs,
        _numpy_parameters(setup, p),
        _numpy_split(p, memory, values, steps),
        Paragraph(
            "Scores: every query meets every key, in each head, scaled",
            f"scores = query @ key.swapaxes(1, 2)  # {steps.scores.shape}\n{scaled}",
        ),
        numpy_masked("scaled", everything if cross else mask_in_numpy(setup, n), visible),
        numpy_softmax("masked", visible),
        Paragraph(
            "Context: the mean of the values, by each row of weights",
            f"context = weights @ value  # {steps.context.shape}",
        ),
        *last,
        at="weights",
    )


def _numpy_parameters(setup, p):
    """Return the paragraph with the matrices of all heads."""
    names = [name for name in ("w_q", "w_k", "w_v", "w_o", "w_g") if getattr(p, name) is not None]
    heading = f"Weight matrices of all {p.num_heads} heads" if p.num_heads > 1 else "Weight matrices"
    if setup.source != "random":
        arrays = (numpy_array(name, getattr(p, name), getattr(p, name).shape) for name in names)
        return Paragraph(heading, "\n".join(arrays))
    widths = {"w_q": f"{p.num_heads} * d_k", "w_k": f"{p.num_heads} * d_k", "w_v": f"{p.num_heads} * d_v"}
    shared = {"w_k": "d_k", "w_v": "d_v"} if p.num_kv_heads < p.num_heads else {}
    first = {name: f"[:, :{p.num_kv_heads} * {width}]" for name, width in shared.items()}  # keys and values are shared
    shapes = {name: ("d_model", width) for name, width in widths.items()}
    shapes |= {"w_o": (f"{p.num_heads} * d_v", "d_model"), "w_g": ("d_model", f"{p.num_heads} * d_v")}
    lines = [
        f"rng = np.random.default_rng({setup.seed})",
        "",
        "def draw(rows, columns):",
        "    return rng.normal(0, rows**-0.5, (rows, columns))",
        "",
    ]
    lines += [
        f"{name} = draw({', '.join(shapes[name])}){first.get(name, '')}  # {getattr(p, name).shape}" for name in names
    ]
    return Paragraph(f"{heading}, drawn at random", "\n".join(lines))


def _numpy_split(p, memory, values, steps):
    """Return the paragraph that projects, and cuts what comes out into heads."""
    lines = [
        "def split(x, heads):  # (n, heads * d) -> (heads, n, d)",
        "    return x.reshape(len(x), heads, -1).swapaxes(0, 1)",
        "",
        f"query = split(x @ w_q, {p.num_heads})  # {steps.query.shape}",
        f"key = split({memory} @ w_k, {p.num_kv_heads})  # {steps.key.shape}",
        f"value = split({values} @ w_v, {p.num_kv_heads})  # {steps.value.shape}",
    ]
    shared = p.num_heads // p.num_kv_heads
    if shared > 1:
        lines += [f"key = np.repeat(key, {shared}, axis=0)  # {shared} query heads share each"]
        lines += [f"value = np.repeat(value, {shared}, axis=0)"]
    return Paragraph("Query, key and value, cut into heads", "\n".join(lines))
