"""Cost: from the shape chosen on the page to curves, a table and a measurement, and the code for it."""

import math
import textwrap
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from attn import charts, cost
from attn.charts.labels import number
from attn.multi_head import divisors
from attn.ui.link import link_choice, link_flag, link_whole
from attn.ui.numpy_code import Paragraph, numpy_array, numpy_code
from attn.ui.pages.cost.units import bytes_in_units, count_in_units, ratio_in_units
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.width import page_curves_height, page_share, page_tallest, page_width

TWICE = "twice the text: 4× the scores"  # of a line of the figure, short enough for half of it
VIEWS = {"square": "Scores", "kinds": "Kinds of layer", "layer": "Parts of a layer", "memory": "Memory"}
BYTES = {"4": "4", "2": "2", "1": "1"}
CORES = {"one": "One", "all": "All"}
TABS = {
    "kinds": "By kind of layer",
    "tiles": "Tile by tile",
    "models": "Known models",
    "parameters": "Parameters",
    "code": "Code",
}
OLD_TABS = {  # what older links call them
    "By kind of layer": "kinds",
    "Known models": "models",
    "Parameters": "parameters",
    "Code": "code",
}
SIDES = {"before": "Tokens before", "both": "Tokens on both sides"}
MOST_TOKENS = 2**20
TILES_MOST = 32  # tokens whose tiles are walked
DRAWN = ("self_attention", "recurrent", "convolution", "separable", "window")  # dilated ones cost as much as others
_GPUS, _PER_SECOND = 8, 9.5e12  # operations, section 5.2 and footnote 5 of the paper
WHOLE = "Self-attention, whole layer"  # with its projections
DRAWN_AS = {
    cost.KINDS["convolution"].title: "Convolution, also dilated",
    cost.KINDS["self_attention"].title: "Self-attention: scores, sums",
}
DASHED = ("whole layer", WHOLE, cost.KINDS["separable"].title)  # run close to another curve
_FRAME, _WIDER = 64, 8  # tokens along the smallest frame of the square, and how many times as wide the next one is
_DRAWN = 64  # points of the curve beside it
_GATES = 4  # of an LSTM: each is as large as a plain recurrent layer


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Cost."""

    n: int = link_whole(1024, 1, MOST_TOKENS)
    d_model: int = link_whole(512, 1, 16384)
    num_heads: int = link_whole(8, 1, 128)
    num_kv_heads: int = link_whole(8, 1, 128)
    d_k: int = link_whole(64, 1, 512)
    num_layers: int = link_whole(6, 1, 200)
    kept: int = link_whole(0, 0, MOST_TOKENS)
    size: str = link_choice(str(cost.FLOAT32), BYTES)
    kernel: int = link_whole(3, 1, 64)
    window: int = link_whole(64, 1, 4096)
    sides: str = link_choice("before", SIDES)
    view: str = link_choice("square", VIEWS)
    most: int = link_whole(2048, 256, 8192)
    heads: int = link_whole(4, 1, 16)
    causal: bool = link_flag(False)
    cores: str = link_choice("one", CORES)
    tiles_n: int = link_whole(16, 4, TILES_MOST)
    tiles_side: int = link_whole(4, 1, 8)
    tiles_row: int = link_whole(10, 1, TILES_MOST)
    tiles_at: int = link_whole(1, 1, 1024)
    tiles_causal: bool = link_flag(True)
    tab: str = link_choice("kinds", TABS, OLD_TABS)

    @property
    def widths(self):
        """The widths of the layer, as the functions of `attn.cost` take them."""
        return self.d_model, self.num_heads, self.num_kv_heads, self.d_k, self.d_k

    @property
    def cache_window(self):
        """Tokens that the cache keeps at most, or None."""
        return self.kept or None

    @property
    def bytes_per_number(self):
        return int(self.size)


# Controls


def cost_curves_doubling(state):
    """Draw the buttons that make the text twice as long, and half as long."""
    n = state.get("n")

    def become(length):
        state.set(n=length)

    with st.container(horizontal=True):
        st.button(
            "Double the text", key=state.key("double"), type="primary", icon=":material/open_in_full:",
            on_click=become, args=(2 * n,), disabled=2 * n > MOST_TOKENS,
            help=f"From {n:,} to {2 * n:,} tokens. The square grows within its frame; when it fills it, the next frame "
            f"is {_WIDER} times as wide.",
        )  # fmt: skip
        st.button(
            "Halve it", key=state.key("halve"), on_click=become, args=(n // 2,), disabled=n < 2,
            help=f"From {n:,} to {n // 2:,} tokens.",
        )  # fmt: skip


def cost_curves_controls(state):
    """Draw the choice of a shape: a known model's, or any."""
    picked = state.key("known")

    def fill():
        if name := st.session_state[picked]:
            shape = cost.SHAPES[name]
            state.set(
                d_model=shape.d_model, num_heads=shape.num_heads, num_kv_heads=shape.num_kv_heads, d_k=shape.d_k,
                num_layers=shape.num_layers, n=shape.most_tokens, kept=shape.window or 0,
            )  # fmt: skip

    st.session_state[picked] = _known(state, st.session_state.get(picked))
    st.selectbox(
        "Shape of a known model",
        cost.SHAPES,
        key=picked,
        on_change=fill,
        placeholder="Your own",
        help="Fills in what its published configuration says, and the longest text it was made for.",
    )
    lengths = sorted({2**power for power in range(4, 21)} | {state.get("n")})
    st.select_slider(
        "Tokens n", lengths, key=state.key("n"), format_func=lambda n: f"{n:,}", help="The length of the text."
    )
    numbers = (
        ("d_model", "d_model", "How many numbers stand for each token."),
        ("num_heads", "Query heads", "How many heads there are; each computes scores of its own."),
        ("d_k", "Width of a head", "How many numbers a query, a key and a value of a head have."),
        ("num_layers", "Layers", "Each keeps its own keys and values."),
    )
    for name, label, words in numbers[:2]:
        st.number_input(label, *_bounds(name), key=state.key(name), help=words)
    state.adjust(num_kv_heads=max(d for d in divisors(state.get("num_heads")) if d <= state.get("num_kv_heads")))
    if state.get("num_heads") > 1:
        st.select_slider(
            "Key/value heads",
            divisors(state.get("num_heads")),
            key=state.key("num_kv_heads"),
            help="As many as query heads, or fewer that several query heads share.",
        )
    for name, label, words in numbers[2:]:
        st.number_input(label, *_bounds(name), key=state.key(name), help=words)
    st.number_input(
        "Tokens the cache keeps", *_bounds("kept"), key=state.key("kept"),
        help="0 means all of them. Layers that look back over a window need not keep more than that.",
    )  # fmt: skip
    st.segmented_control(
        "Bytes per number", BYTES, format_func=BYTES.get, key=state.key("size"), required=True,
        help="Of a score, a key or a value: 4 as float32, 2 as float16 or bfloat16, 1 with 8 bits.",
    )  # fmt: skip
    with st.expander("Other kinds of layer"):
        st.number_input(
            "Kernel k of a convolution",
            *_bounds("kernel"),
            key=state.key("kernel"),
            help="How many tokens it sees at once.",
        )
        st.number_input(
            "Window r of attention", *_bounds("window"), key=state.key("window"), help="How many keys a query sees."
        )


def _bounds(name):
    """Return the least and the largest value of a whole number."""
    return {
        "d_model": (1, 16384),
        "num_heads": (1, 128),
        "d_k": (1, 512),
        "num_layers": (1, 200),
        "kept": (0, MOST_TOKENS),
        "kernel": (1, 64),
        "window": (1, 4096),
    }[name]


def _known(state, before):
    """Return the known model whose numbers are chosen, or None; of several the one picked before, if it is one."""
    names = ("d_model", "num_heads", "num_kv_heads", "d_k", "num_layers")
    same = [
        name
        for name, shape in cost.SHAPES.items()
        if all(state.get(number) == getattr(shape, number) for number in names)
        and state.get("kept") == (shape.window or 0)
    ]
    return before if before in same else next(iter(same), None)


# Pictures


def _frame_of(n):
    """Return how many tokens lie along the frame of the square."""
    most = _FRAME
    while most < n:
        most *= _WIDER
    return most


def _lengths_of(setup):
    """Return the lengths over which the curves run: around the chosen one and where curves cross."""
    if setup.view == "square":
        most = _frame_of(setup.n)
        return sorted({most * at // _DRAWN for at in range(_DRAWN + 1)} | {setup.n})
    around = [16, setup.n, setup.d_model, cost.crossover(*setup.widths)]
    if setup.view == "kinds":
        around += [2 * setup.d_model, _convolution_crossing(setup)]
    low, high = math.floor(math.log2(min(around))) - 1, math.ceil(math.log2(max(around))) + 2
    return [2**power for power in range(max(low, 0), min(high, 24) + 1)]


def cost_curves_series(setup):
    """Return the curves of the view in view: their names and their values at every length.

    Returns
    -------
    lengths : list of int
    series : dict of str to list
    """
    count, sizes = _counted(setup)
    lengths = _lengths_of(setup)
    return lengths, count(lengths, **sizes)


def _counted(setup):
    """Return the function that counts what is in view, and the sizes that it takes."""
    if setup.view == "square":
        return _scores_of_a_head, {"n": setup.n}
    if setup.view == "kinds":
        return _costs_of_kinds, {"d_model": setup.d_model, "kernel": setup.kernel, "window": setup.window}
    if setup.view == "layer":
        return _costs_of_a_layer, {"widths": setup.widths}
    names = ("num_heads", "num_kv_heads", "d_k", "num_layers", "bytes_per_number", "cache_window")
    return _memory_taken, {name: getattr(setup, name) for name in names}


def _scores_of_a_head(lengths, n):
    """Count the scores of a head, and what they would be if they grew in proportion to the text from `n` on."""
    return {"n × n scores": [length**2 for length in lengths], "in proportion": [length * n for length in lengths]}


def _costs_of_kinds(lengths, d_model, kernel, window):
    """Count the multiplications of every kind of layer."""
    costs = {}
    for kind in DRAWN:
        each = (cost.layer_cost(kind, n, d_model, kernel=kernel, window=window) for n in lengths)
        costs[cost.KINDS[kind].title] = [one.operations for one in each]
    costs[WHOLE] = [cost.layer_cost("self_attention", n, d_model).whole for n in lengths]
    return costs


def _costs_of_a_layer(lengths, widths):
    """Count the multiplications of the parts of an attention layer."""
    work = [cost.attention_work(n, *widths) for n in lengths]
    return {
        "projections": [w.projections for w in work],
        "scores and sums": [w.scores + w.sums for w in work],
        "whole layer": [w.total for w in work],
    }


def _memory_taken(lengths, num_heads, num_kv_heads, d_k, num_layers, bytes_per_number, cache_window):
    """Count the bytes of scores, and of keys and values."""
    each = {"num_layers": num_layers, "bytes_per_number": bytes_per_number, "window": cache_window}
    return {
        "scores of one layer": [cost.score_bytes(num_heads, n, n, bytes_per_number=bytes_per_number) for n in lengths],
        "keys and values of all layers": [cost.cache_bytes(n, num_kv_heads, d_k, d_k, **each) for n in lengths],
    }


def _layer(setup, kind, n=None):
    """Return what a layer of a kind costs at this width."""
    sizes = {"kernel": setup.kernel, "window": setup.window, "centred": setup.sides == "both"}
    return cost.layer_cost(kind, n or setup.n, setup.d_model, **sizes)


def _convolution_crossing(setup):
    """Return from how many tokens on scores and sums cost more than a convolution."""
    return setup.kernel * setup.d_model / 2


def _scores(setup, n):
    """Return the bytes of one layer's scores."""
    return cost.score_bytes(setup.num_heads, n, n, bytes_per_number=setup.bytes_per_number)


def _cache(setup, n):
    """Return the bytes of all layers' keys and values."""
    return cost.cache_bytes(
        n, setup.num_kv_heads, setup.d_k, setup.d_k,
        num_layers=setup.num_layers, bytes_per_number=setup.bytes_per_number, window=setup.cache_window,
    )  # fmt: skip


def cost_curves_results(setup):
    """Return what the chosen length takes, by the names that a story may ask for."""
    return {"scores": setup.n**2, "score_bytes": _scores(setup, setup.n)}


def cost_curves_picture(setup, theme):
    """Draw the curves of the view, with the chosen length and the crossing marked."""
    lengths, costs = cost_curves_series(setup)
    if setup.view == "square":
        return _draw_square(lengths, costs, setup.n, _frame_of(setup.n), theme, *_sides_of(_frame_of(setup.n)))
    written = "{:,.0f}".format, bytes_in_units if setup.view == "memory" else count_in_units
    across, up = (replace(axis, format=form) for axis, form in zip(_axes_of(setup), written, strict=True))
    return charts.beside(_draw(lengths, costs, _marks_of(setup), across, up, theme, **_size_of()))


def _sides_of(most):
    """Return the pixels along the square of so many tokens, and across the curve beside it."""
    tall = page_tallest(10, most=min(420, max(240, page_width() * 0.36), page_width() - 110))
    tall = page_curves_height(page_width(), tall)
    return tall, page_share(1, beside=tall + 110) - 8 * max(len(f"{most**2:,}") - 8, 0)  # long numbers at the left


def _draw_square(lengths, costs, n, most, theme, tall, wide):
    """Draw the square of all scores, and how many they become as the text grows."""
    square = charts.growing_square(n, most, theme, title="Each token looks at each", size=tall)
    marks = [(n, f"here: {n:,}", n * n)]
    if 2 * n <= most:
        marks.append((2 * n, TWICE, 4 * n * n))
    drawn = [charts.Curve(name, lengths, counts, dashed=name != "n × n scores") for name, counts in costs.items()]
    across, up = (charts.Axis(name, format="{:,.0f}".format) for name in ("tokens", "scores of a head"))
    title = "Scores by the length of the text"
    curve = charts.curves(drawn, theme, x=across, y=up, marks=marks, title=title, width=wide, height=tall)
    return charts.beside(square, curve, spacing=40)


def _marks_of(setup):
    """Return the lengths that are marked, and with which words."""
    marks = [(setup.n, f"here: {setup.n:,}")]
    if setup.view == "kinds":
        d = setup.d_model
        marks.append((d, f"n = d = {d:,}: as much as recurrence", _layer(setup, "self_attention", d).operations))
    elif setup.view == "layer":
        even = cost.crossover(*setup.widths)
        height = cost.attention_work(1, *setup.widths).projections * even
        marks.append((even, f"{even:,.0f}: as much as the projections", height))
    return sorted(marks)


def _axes_of(setup):
    """Return what the curves show, across and up."""
    name = "memory" if setup.view == "memory" else "multiplications"
    return charts.Axis("tokens", log=True), charts.Axis(name, log=True)


def _size_of():
    """Return how large the curves are drawn."""
    height = page_tallest(10, most=min(520, max(340, page_width() * 0.36)))
    return {"width": round(page_width()), "height": page_curves_height(page_width(), height)}


def _draw(lengths, costs, marks, across, up, theme, **size):
    """Draw costs by length."""
    curves = [
        charts.Curve(DRAWN_AS.get(name, name), lengths, values, dashed=name in DASHED) for name, values in costs.items()
    ]
    return charts.curves(curves, theme, x=across, y=up, marks=marks, **size)


def cost_curves_reading(setup):
    """Say what the curves show at the chosen length."""
    n, d = setup.n, setup.d_model
    if setup.view == "square":
        return (
            f"**Twice the text, four times the scores.** Each of the **{n:,} tokens** is compared with each of them, "
            f"so a head computes {n:,} × {n:,} = **{n * n:,} scores**. A text of {2 * n:,} tokens takes {4 * n * n:,}."
        )
    if setup.view == "kinds":
        own, recurrent = _layer(setup, "self_attention"), _layer(setup, "recurrent").operations
        verdict = "as many" if own.operations == recurrent else f"{ratio_in_units(own.operations, recurrent)} as many"
        return (
            "Which kind of layer is the cheapest depends on how long the text is. "
            f"At **{n:,} tokens** of {d:,} numbers the scores and sums of self-attention take "
            f"**{count_in_units(own.operations)}** multiplications, {verdict} as a plain recurrent layer. And whatever "
            f"the length, attention takes one step where a recurrent layer takes {n:,}, one after the other."
        )
    if setup.view == "layer":
        work, even = cost.attention_work(n, *setup.widths), cost.crossover(*setup.widths)
        share = (work.scores + work.sums) / work.total
        return (
            "A layer spends its work in two places: the projections make queries, keys and values and join the heads; "
            "scores and sums make the context. "
            f"At **{n:,} tokens** scores and sums are **{share:.0%}** of all {count_in_units(work.total)} "
            "multiplications. The projections grow only in proportion to the text and are "
            f"the larger part up to **{even:,.0f} tokens**" + (", which is twice the width." if even == 2 * d else ".")
        )
    return (
        f"At **{n:,} tokens** the scores of one layer take **{bytes_in_units(_scores(setup, n))}** of memory if all "
        "are "
        "held at once. The keys and values of all layers, which a decoder keeps in its cache while it writes, take "
        f"**{bytes_in_units(_cache(setup, n))}**. Twice the text: four times the scores, "
        + (
            f"and the cache stops growing at the {setup.kept:,} tokens that it keeps."
            if setup.kept
            else "twice the cache."
        )
    )


def cost_curves_line(setup):
    """Say in a line what is counted at the chosen length."""
    n, at = setup.n, f"At **{setup.n:,} tokens**"
    if setup.view == "square":
        return f"{at} a head has {n:,} × {n:,} = **{n * n:,} scores**; at {2 * n:,} it has {4 * n * n:,}."
    if setup.view == "kinds":
        own, other = (count_in_units(_layer(setup, kind).operations) for kind in ("self_attention", "recurrent"))
        return f"{at}: **{own}** multiplications in self-attention, **{other}** in a recurrent layer."
    if setup.view == "layer":
        work = cost.attention_work(n, *setup.widths)
        return f"{at} scores and sums are **{(work.scores + work.sums) / work.total:.0%}** of all multiplications."
    scores, cache = bytes_in_units(_scores(setup, n)), bytes_in_units(_cache(setup, n))
    return f"{at}: **{scores}** for the scores of one layer, **{cache}** for the keys and values of all."


def cost_curves_footnote(setup):
    """Return from which lengths on another kind of layer is cheaper; empty for the other views."""
    if setup.view != "kinds":
        return ""
    d = setup.d_model
    own, recurrent = _layer(setup, "self_attention"), _layer(setup, "recurrent").operations
    return (
        f"Against a plain recurrent layer, scores and sums take fewer below n = d = {d:,} tokens, and fewer than a "
        f"convolution below k d / 2 = {_convolution_crossing(setup):,.10g}. The projections are left out there: with "
        "them "
        f"the whole layer takes **{count_in_units(own.whole)}**, the recurrent one {count_in_units(recurrent)}. So "
        "attention is never the cheaper one of these two, but it is cheaper than an LSTM "
        f"({_GATES} gates, each of that size) below 2d = {2 * d:,} tokens."
    )


def cost_curves_formula(setup, role):
    """Return the formula of the view in LaTeX; `role` tells the colour of a letter."""

    def letter(text, name):
        return rf"\textcolor{{{role(name)}}}{{{text}}}"

    if setup.view == "square":
        return rf"2{letter('n', 'query')} \cdot 2{letter('n', 'key')} = 4\,n^2"
    q, k = letter("h", "query"), letter("h_{kv}", "key")
    if setup.view == "kinds":
        return r"\begin{gathered} 2n^2 d = 2n d^2 \iff n = d \\ 2n^2 d = k n d^2 \iff n = \tfrac{k d}{2} \end{gathered}"
    if setup.view == "layer":
        projections, rest = rf"2\,n\,d\,d_k({q} + {k})", rf"2\,n^2 {q}\,d_k"
        return (
            rf"\underbrace{{{projections}}}_{{\text{{projections}}}} + \underbrace{{{rest}}}_{{\text{{scores, sums}}}}"
        )
    kept = rf"\min(n, {setup.kept})" if setup.kept else "n"
    return rf"{q}\,n^2 b \qquad 2\,L\,{kept}\,{k}\,d_k\,b"


def cost_curves_shapes(setup):
    """Return the sizes in view as a person writes them."""
    if setup.view == "square":
        return f"scores of a head: {setup.n:,} × {setup.n:,}"
    kept, each = min(setup.n, setup.cache_window or setup.n), ""
    if setup.view == "memory":
        each = f" × {setup.bytes_per_number} byte{'s' * (setup.bytes_per_number > 1)} a number"
    return (
        f"scores: {setup.num_heads} × {setup.n:,} × {setup.n:,}{each} · keys and values: {setup.num_layers} × 2 × "
        f"{setup.num_kv_heads} × {kept:,} × {setup.d_k}{each}"
    )


def cost_curves_csv(setup):
    """Return the numbers behind the curves as comma-separated text."""
    lengths, series = cost_curves_series(setup)
    return charts.csv(np.array(list(series.values()), dtype=float).T, [str(n) for n in lengths], list(series))


# Tables


def cost_curves_sides_control(state):
    """Draw the choice of where kernels and windows lie."""
    st.segmented_control(
        "What kernels and windows cover",
        SIDES,
        format_func=SIDES.get,
        key=state.key("sides"),
        required=True,
        help="Up to the token itself, as in a decoder, or half to each side of it, as in an encoder.",
    )


def cost_curves_paths_reading(setup):
    """Say which paths the table counts."""
    which = {
        "before": "of one-sided (causal) layers, whose kernels and windows end with the token itself",
        "both": "of centred layers, whose kernels and windows reach half as far, but to each side",
    }[setup.sides]
    return (
        f"Here d = {setup.d_model:,} numbers per token, a convolution sees k = {setup.kernel:,} tokens at once, and a "
        f"window holds r = {setup.window:,} keys. The longest path says through how many layers, or steps of a "
        "recurrent one, the first token must pass to reach the last. The shorter it is, the easier to learn from. "
        f"These paths are those {which}. O(n² d) means: grows in proportion to n² d. These orders are those of Vaswani "
        "et al., 2017, Table 1, where the window is centred."
    )


def cost_curves_kinds_table(setup):
    """Return every kind of layer at the chosen setting as a Markdown table."""
    rows = [
        f"**At {setup.n:,} tokens** | multiplications | with projections | grow as | steps in a row | longest path "
        "| grows as",
        "---|---:|---:|:---|---:|---:|:---",
    ]
    for name, kind in cost.KINDS.items():
        one = _layer(setup, name)
        path = "never" if math.isinf(one.path) else f"{one.path:,}"
        rows.append(
            f"{kind.title} | {count_in_units(one.operations)} | {count_in_units(one.whole)} | $O({kind.operations})$ "
            f"| {one.steps:,} | {path} | $O({kind.path})$"
        )
    return "\n".join(rows)


def cost_curves_models_picture(setup, theme):
    """Draw what the cache of known decoders takes at the chosen length."""
    names = [name for name, shape in cost.SHAPES.items() if shape.kind == "decoder"]
    sizes = [cost.SHAPES[name].cache_bytes(setup.n, setup.bytes_per_number) for name in names]
    order = np.argsort(sizes, kind="stable")[::-1]
    labels = []
    for at in order:
        shape = cost.SHAPES[names[at]]
        window = f" · last {shape.window:,}" if shape.window else ""
        labels.append(f"{names[at]} · {shape.num_kv_heads} of {shape.num_heads}{window}")
    return charts.beside(
        charts.bars(
            [sizes[at] / 1e6 for at in order],
            labels,
            theme,
            kind="magnitude",
            scale=charts.Scale(log=True, name="MB"),
            title=f"Keys and values of {setup.n:,} tokens in all layers, in MB",
            color=theme.key,
            width=int(min(page_width() * 0.75, 1000)),
        )
    )


def cost_curves_models_csv(setup):
    """Return the known models' numbers as comma-separated text."""
    columns = ["layers", "d_model", "heads", "kv_heads", "d_k", "most_tokens", "window", "cache_bytes", "score_bytes"]
    rows = [
        [*shape[1:-1], shape.window or np.nan, shape.cache_bytes(setup.n, setup.bytes_per_number),
         cost.score_bytes(shape.num_heads, setup.n, setup.n, bytes_per_number=setup.bytes_per_number)]
        for shape in cost.SHAPES.values()
    ]  # fmt: skip
    return charts.csv(rows, list(cost.SHAPES), columns)


def cost_curves_parameters_table():
    """Return Table 3 of the paper, its parameters beside those counted here, as Markdown."""
    base = cost.transformer_parameters()
    rows = [
        "Vaswani et al., 2017, Table 3 | printed | counted here | printed − base | counted − base | BLEU",
        "---|---:|---:|---:|---:|---:",
    ]
    for row in cost.TABLE_3:
        counted = cost.transformer_parameters(**row.changes)
        rows.append(
            f"{row.name} | {row.millions} M | {counted / 1e6:.1f} M | {row.millions - cost.TABLE_3[0].millions:+d} M "
            f"| {(counted - base) / 1e6:+.1f} M | {row.bleu}"
        )
    return "\n".join(rows).replace("| -", "| −")


def cost_curves_training_reading():
    """Say what training the two models of the paper took."""
    base, big = (hours * 3600 * _GPUS * _PER_SECOND for hours in (12, 3.5 * 24))
    return (
        f"Counted with one matrix of 37,000 rows for both languages and no bias in attention: the base model comes out "
        "two million short of the table. Its differences come out as printed to within a million, as rounding allows, "
        "save where $d_\\text{model}$ changes: there they are up to three million off. Training it for 12 hours on "
        f"{_GPUS} GPUs of 9.5 "
        f"trillion operations a second took {number(base, 2)} operations, the big one in 3.5 days {number(big, 2)}: "
        "what Table 2 prints as 3.3e18 and 2.3e19."
    )


def cost_curves_parameters_reading(setup):
    """Say how many parameters the chosen layer has."""
    own = cost.attention_parameters(*setup.widths)
    return (
        "A longer text trains no more numbers. An attention layer of your setting has "
        f"**{count_in_units(own)}**, and {setup.num_layers} of them have **{count_in_units(own * setup.num_layers)}**."
    )


# Code


def cost_curves_code(setup):
    """Return the lines that compute the curves in view, and those that draw them."""
    lengths, (count, sizes), (across, up) = _lengths_of(setup), _counted(setup), _axes_of(setup)
    if setup.view == "square":
        most = _frame_of(setup.n)
        tall, wide = _sides_of(most)
        look, draw = {"most": most, "tall": tall, "wide": wide, "theme": LIGHT}, _draw_square
    else:
        look = {"marks": _marks_of(setup), "across": across, "up": up, "size": _size_of(), "theme": LIGHT}
        draw = _draw
    return page_codes(
        lambda: _numpy_code(setup, lengths),
        {"lengths": lengths} | sizes,
        (("costs", count),),
        ("for name, values in costs.items():\n    print(name, values)",),
        look,
        (("picture", draw), 'charts.save(picture, "cost.svg")'),
    )


_IN_NUMPY = {  # view -> the counts of its curves, which know n, the lengths
    "square": """\
"n x n scores": n * n,  # each token looks at each
"in proportion": n * {n},  # if {n:,} tokens set the pace""",
    "kinds": """\
"self-attention": 2 * n * n * d,  # scores, and sums of values
"recurrent": 2 * n * d * d,  # for the token, for the state
"convolution": k * n * d * d,  # k tokens at once
"separable convolution": k * n * d + n * d * d,
"in a window": 2 * np.minimum(r, n) * n * d,  # r keys a query
"self-attention, whole layer": 2 * n * n * d + 4 * n * d * d,""",
    "layer": """\
"projections": projections,
"scores and sums": scores,
"whole layer": projections + scores,""",
    "memory": """\
"scores of one layer": h * n * n * size,
"keys and values": layers * kept * kv * 2 * d_k * size,""",
}


def _numpy_code(setup, lengths):
    """Return the lines that count what is in view in numpy alone."""
    kept = f"np.minimum(n, {setup.cache_window})  # in the cache" if setup.cache_window else "n  # all tokens"
    sizes = {
        "square": "",
        "kinds": f"d, k, r = {setup.d_model}, {setup.kernel}, {setup.window}  # width, kernel, window",
        "layer": (
            f"d_model, d_k = {setup.d_model}, {setup.d_k}\n"
            f"h, kv = {setup.num_heads}, {setup.num_kv_heads}  # heads of queries, and of keys and values\n"
            "projections = n * d_model * 2 * (h + kv) * d_k  # W_q, W_k, W_v, W_o\n"
            "scores = 2 * n * n * h * d_k  # as many for the sums of values"
        ),
        "memory": (
            f"h, kv, d_k = {setup.num_heads}, {setup.num_kv_heads}, {setup.d_k}  # heads, key/value heads\n"
            f"layers, size = {setup.num_layers}, {setup.bytes_per_number}  # size: bytes of a number\n"
            f"kept = {kept}"
        ),
    }[setup.view]
    counts = _IN_NUMPY[setup.view].format(n=setup.n)
    return numpy_code(
        Paragraph("Lengths of the text, in tokens", numpy_array("n", np.array(lengths))),
        Paragraph("The layer", sizes) if sizes else None,
        Paragraph(
            {"memory": "Bytes", "square": "Scores of a head"}.get(setup.view, "Multiplications"),
            f"costs = {{\n{textwrap.indent(counts, '    ')}\n}}\n"
            "for name, counts in costs.items():\n    print(name, counts.tolist())",
            "counts",
        ),
        at="counts",
    )
