"""Pretrained: from the choices on the page to a model's own attention beside ours, and the code for it."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts, pretrained
from attn.charts.labels import number
from attn.charts.plane import FINGER_CELL
from attn.data import pictures, sounds
from attn.multi_head import merge_heads, split_heads
from attn.pretrained.inputs.tokens import PADDING
from attn.pretrained.recording import tiles
from attn.pretrained.verdict import Finding, weights_finding
from attn.ui import models
from attn.ui.controls.folded import folded_controls, unfold_controls
from attn.ui.controls.model_and_text import (
    SourceChoice,
    model_and_text_lines,
    say_if_model_untrained,
    strongest_look_in_words,
    text_in_view,
)
from attn.ui.controls.query_row import (
    query_row_bars,
    query_row_from_products_to_weight,
    query_row_left_out,
    query_row_products,
    query_row_reading,
)
from attn.ui.controls.word_level import say_word_level
from attn.ui.link import link_choice, link_flag, link_place, link_whole, shortened
from attn.ui.minilm_in_numpy import head_numpy_code
from attn.ui.page import page_reading, page_theme
from attn.ui.present import MOST_IN_LINE
from attn.ui.shown_code import LIGHT, Codes, Source, shown_code
from attn.ui.state import as_text
from attn.ui.width import page_cell, page_plot_height, page_width
from attn.ui.word_level import WORD_LEVEL_CODE, WordLevel, word_level_labels_code, word_level_of

STARTS = {"recorded": "Its queries and keys", "input": "Its input"}
TABS = {
    "map": "Every layer and head",
    "query": "One query, key by key",
    "matrices": "Its matrices",
    "adapter": "What the adapter changed",
    "alone": "With other texts and alone",
    "code": "Code",
}
TABLES = {"own": "own", "from_scratch": "scratch", "difference": "difference"}
"""Name of a table to download -> the numbers of `Compared` that it holds."""
OLD_TABS = {  # what older links call them
    "Every layer and head": "map",
    "One query, key by key": "query",
    "W_q, W_k, W_v": "matrices",
    "Code": "code",
}
_BESIDE, _TALL, _COLUMN = 90, 300, 10  # pixels of the names beside a matrix, of it down, and of its columns at least
_VERDICTS = {False: ("Agrees", "Differs"), True: ("Still agrees", "Broken")}  # by whether something is broken
_BREAK = "Break it"
BROKEN_MASKS = {"own": "The model's own", "none": "None", "causal": "Its own and a causal one"}


@dataclass(frozen=True)
class Setup(SourceChoice):
    """Everything chosen on Pretrained."""

    start: str = link_choice("recorded", STARTS)
    special: bool = link_flag(True)
    first: bool = link_flag(True)
    unscaled: bool = link_flag(False)
    mask: str = link_choice("own", BROKEN_MASKS)
    cut: int = link_whole(0, 0, 999)
    cell: tuple = link_place((10, 2))
    window: tuple = link_place((0, 0))
    picture: str = link_choice(next(iter(pictures.PICTURES)), pictures.PICTURES)
    sound: str = link_choice(next(iter(sounds.SOUNDS)), sounds.SOUNDS)
    tab: str = link_choice("map", TABS, OLD_TABS)

    @property
    def broken(self):
        """What was broken on purpose, as keywords of `attn.pretrained.from_scratch`."""
        faults = {"scale": 1.0} if self.unscaled else {}
        if self.mask == "none":
            faults["mask"] = None
        if self.mask == "causal":
            faults["causal"] = True
        if self.cut:
            faults["num_heads"] = self.cut
        return faults


class Compared(NamedTuple):
    """One head by the model and from scratch, cut down to what is in the picture."""

    own: np.ndarray  # (rows, columns)
    scratch: np.ndarray  # (rows, columns)
    own_hidden: np.ndarray  # (rows, columns) True where the model's mask hides
    hidden: np.ndarray  # (rows, columns) True where ours does
    level: WordLevel  # what all rows and columns stand for
    rows: list  # labels
    columns: list
    row_places: list  # which of all rows these are
    column_places: list
    query: np.ndarray  # (n_q, d_k)
    key: np.ndarray  # (n_k, d_k)
    scale: float  # what their products were multiplied by
    largest: float  # over the whole head, whatever is in the picture

    @property
    def difference(self):
        """From scratch minus the model's own."""
        return self.scratch - self.own

    def nearest(self, cell):
        """Return the row and column of the picture that stand for two positions in the text."""
        places = zip(self.level.cell(cell), (self.row_places, self.column_places), strict=True)
        return tuple(min(range(len(kept)), key=lambda at: abs(kept[at] - place)) for place, kept in places)

    def position(self, row, column):
        """Return the positions in the text that a row and a column of the picture begin at."""
        down, across = self.level.places
        return down[self.row_places[row]], across[self.column_places[column]]

    def cell(self, position):
        """Return the row and column that begin at two positions in the text, or None if the picture has no such."""
        cell = self.nearest(position)
        return cell if self.position(*cell) == position else None

    def part(self, rows, columns):
        """Return the part of the picture that two slices cut out."""
        return self._replace(
            own=self.own[rows, columns],
            scratch=self.scratch[rows, columns],
            own_hidden=self.own_hidden[rows, columns],
            hidden=self.hidden[rows, columns],
            rows=self.rows[rows],
            columns=self.columns[columns],
            row_places=self.row_places[rows],
            column_places=self.column_places[columns],
        )


def compute_pretrained_page(setup, loaded, layer):
    """Compute one head both ways.

    Parameters
    ----------
    setup : Setup
    loaded : Loaded
    layer : Layer

    Returns
    -------
    Compared
    """
    head = min(setup.head, layer.num_heads) - 1
    own = layer.reference_weights(head)[0, 0]
    if setup.start == "input":
        steps = pretrained.from_input(loaded, layer).steps
        weights, hidden = steps.weights[0, head], np.isneginf(steps.masked_scores[0, head])
        query, key = steps.query[0, head], steps.key[0, head]
    else:
        ours = min(head, (setup.cut or layer.num_heads) - 1)
        weights, hidden = _from_scratch(layer, ours, setup.broken)
        query, key = _query_and_key(layer, ours, setup.cut)
    largest = _largest(weights, own, ~hidden.all(axis=1))
    own_hidden = np.zeros(own.shape, dtype=bool) if layer.mask is None else ~layer.mask[0, 0]
    if (filled := pretrained.filler_cells(layer)) is not None:
        own_hidden, hidden = own_hidden | filled, hidden | filled
    level = word_level_of(setup.level, layer.query_tokens, layer.key_tokens)
    rows = _places(level.rows, setup.special, first=True)
    columns = _places(level.columns, setup.special, setup.first)
    whole = *map(level.weights, (own, weights)), *map(level.hidden, (own_hidden, hidden))
    names = zip(level.labels, (rows, columns), strict=True)
    return Compared(
        *(_window(array, rows, columns) for array in whole),
        level,
        *([labels[place] for place in places] for labels, places in names),
        rows,
        columns,
        query,
        key,
        1.0 if setup.unscaled else layer.scale * (layer.query.shape[-1] / query.shape[-1]) ** 0.5,
        largest,
    )


def _from_scratch(layer, head, faults):
    """Return our weights of one head, (n_q, n_k), and where our mask hides; of a long text a few rows at a time."""

    def steps(rows):
        attention = pretrained.from_scratch(layer, head, rows=rows, **faults)
        return attention.weights, np.isneginf(attention.masked_scores)

    shape = (len(layer.query), 1, layer.query.shape[2], layer.key.shape[2])
    return (step[0, 0] for step in tiles.in_tiles(steps, shape))


def _largest(ours, own, seen):
    """Return the largest difference in the rows that see a key; a long text is not copied."""
    differences = (np.abs(ours[rows] - own[rows])[seen[rows]] for rows in tiles.tiles((1, 1, *own.shape)))
    return float(np.max([difference.max(initial=0) for difference in differences]))  # nan, if one is


def _window(array, rows, columns):
    """Return the rows and columns at some places, without a copy where they follow one another."""
    rows, columns = (slice(at[0], at[-1] + 1) if len(at) == at[-1] - at[0] + 1 else at for at in (rows, columns))
    return array[rows][:, columns]


def _query_and_key(layer, head, cut):
    """Return the queries and keys, each (n, d_k), of one head, the layer cut into another number of heads or not."""
    if cut:
        return tuple(split_heads(merge_heads(array[0]), cut)[head] for array in (layer.query, layer.key))
    return layer.query[0, head], layer.key[0, head // (layer.num_heads // layer.num_kv_heads)]


def _places(tokens, special, first):
    """Return which tokens or words stay in the picture."""
    return [
        place for place, token in enumerate(tokens) if (special or not token.special) and (first or place > 0)
    ] or list(range(len(tokens)))


def pretrained_page_differences(setup, source, num_layers):
    """Compare every head with nothing broken, beginning where the head in view begins.

    Parameters
    ----------
    setup : Setup
    source : tuple
        The model and what it reads, as the cached functions of `attn.ui.models` take them.
    num_layers : int

    Returns
    -------
    ndarray, shape (num_layers, most heads)
        The largest difference of each; NaN where a layer has fewer heads, or cannot begin with its input.
    """
    compared = models.model_differences_from_input if setup.start == "input" else models.model_differences
    return pretrained_page_largest_by_layer(compared(*source), num_layers)


def pretrained_page_largest_by_layer(differences, num_layers):
    """Arrange the largest differences as layers × heads.

    Returns
    -------
    ndarray, shape (num_layers, most heads)
        NaN where a layer has fewer heads.
    """
    table = np.full((num_layers, max(difference.head for difference in differences) + 1), np.nan)
    for difference in differences:
        table[difference.layer, difference.head] = difference.largest
    return table


def pretrained_page_rounding(table):
    """Say what of the largest differences is rounding, and how large the largest is.

    Parameters
    ----------
    table : ndarray, shape (num_layers, most heads)
        As `pretrained_page_largest_by_layer` returns it.
    """
    return f"The largest is **{number(np.nanmax(table), 2)}**; up to {number(pretrained.TOLERANCE)} is rounding."


def pretrained_page_query_charts(setup, result, scale):
    """Draw one query's keys from the most to the least, and of pieces one product of query and key term by term.

    Returns
    -------
    tuple of alt.Chart
    str
        Which keys have no bar.
    """
    row, column = result.nearest(setup.cell)
    query, key = result.rows[row], result.columns[column]
    num_given = bisect_left(result.column_places, result.level.num_given[1])
    bars = query_row_bars(result.scratch[row], result.columns[:num_given], column, f"Where {query} looks", **scale)
    left_out = query_row_left_out(result.scratch[row], num_given)
    if setup.level == "words":
        return (bars,), left_out
    at = result.position(row, column)
    return (bars, query_row_products(result.query[at[0]], result.key[at[1]], query, key)), left_out


def pretrained_page_from_products_to_weight(setup, loaded, layer, result):
    """Say what becomes of the products of the chosen query and key: their sum, the score, and the weight."""
    query, key = result.position(*result.nearest(setup.cell))
    head = min(setup.head, layer.num_heads) - 1
    if setup.start == "input":
        steps, at = pretrained.from_input(loaded, layer).steps, (0, head, query)
        of_row = [step[at] for step in (steps.scores, steps.masked_scores, steps.weights)]
    else:
        ours, rows = min(head, (setup.cut or layer.num_heads) - 1), slice(query, query + 1)
        of_row = [step[0, 0, 0] for step in pretrained.from_scratch(layer, ours, rows=rows, **setup.broken)[:3]]
    return query_row_from_products_to_weight(layer, result.scale, result.query[query], result.key[key], key, *of_row)


def pretrained_page_matrices(one):
    """Draw one head's W_q, W_k and W_v on one scale, each above its bias, whose columns are as wide as its own."""
    room, most = page_width(), max(w.shape[1] for w in (one.w_q, one.w_k, one.w_v))
    cell = max((room / 3 - _BESIDE) / most, min(_COLUMN, (room - _BESIDE) / most))
    cell, down = page_cell(cell, most), page_plot_height(_TALL)
    limit = float(max(abs(w).max() for w in (one.w_q, one.w_k, one.w_v)))
    drawn = []
    for role, name in (("q", "query"), ("k", "key"), ("v", "value")):
        w, b = getattr(one, f"w_{role}"), getattr(one, f"b_{role}")
        widths, dimensions = charts.counted(w.shape[1]), charts.counted(w.shape[0])
        common = {"kind": "signed", "scale": charts.Scale(limit)}
        across = int(cell * w.shape[1])
        matrix = charts.heatmap(
            w, dimensions, widths, page_theme(), title=f"W_{role}", axes=("dimension", name),
            size=(across, down), style=charts.Style(square=False), **common,
        )  # fmt: skip
        bias = charts.heatmap(
            b[None], ["b"], widths, page_theme(), title=f"b_{role}", axes=("", name),
            size=(across, FINGER_CELL), style=charts.Style(square=False, legend=False), **common,
        )  # fmt: skip
        drawn.append(charts.above(matrix, bias))
    return charts.beside(*drawn)


def pretrained_page_adapter_reading(before, after, rows, columns):
    """Say where an adapter changed a head most."""
    moved = np.abs(after - before)
    row, column = np.unravel_index(moved.argmax(), moved.shape)
    return (
        "An adapter is a small addition to a model's weights, made by training it further. In the head in view it "
        f"moves no weight by more than **{number(float(moved[row, column]), 2)}**; that one says how much "
        f"**{as_text(rows[row])}** looks at **{as_text(columns[column])}**."
    )


def pretrained_page_adapter_picture(before, after, rows, columns, scale, theme, room):
    """Draw the weights of one head without the adapter, with it, and what it changed."""
    return charts.panels(
        theme,
        room,
        charts.panel(before, rows, columns, title="Without the adapter", **scale),
        charts.panel(after, rows, columns, title="With the adapter", **scale),
        charts.panel(
            after - before, rows, columns, title="With − without", kind="signed", scale=charts.Scale(name="difference")
        ),
    )


def pretrained_page_break_controls(state, layer):
    """Draw the switches that make the from-scratch side wrong on purpose, or a button that leads to them."""
    if state.get("start") == "input":
        state.adjust(unscaled=False, mask="own", cut=0)
        st.button(
            "Break it, from its queries and keys", on_click=_begin_to_break, args=(state,), key=state.key("breakable"),
            icon=":material/handyman:", help="Lets the computation begin with the model's queries and keys, and shows "
            "what of it can then be made wrong on purpose.",
        )  # fmt: skip
        return
    with folded_controls(state, _BREAK, ("unscaled", "mask", "cut")):
        _break_controls(state, layer)


def _begin_to_break(state):
    """Begin with the queries and keys, with the switches in sight."""
    state.set(start="recorded")
    unfold_controls(state, _BREAK)


def _break_controls(state, layer):
    """Draw the switches that make the from-scratch side wrong on purpose."""
    st.toggle(
        "No scaling",
        key=state.key("unscaled"),
        help="Leave out the division of the products by $\\sqrt{d_k}$. The weights then become more extreme than the "
        "model's.",
    )
    st.selectbox(
        "Mask",
        BROKEN_MASKS,
        format_func=BROKEN_MASKS.get,
        key=state.key("mask"),
        help="A mask hides tokens from one another; a causal one hides what comes later. Choose another than the "
        "model's for the computation on this page, and watch the two sides part.",
    )
    width, shared = layer.num_heads * layer.query.shape[-1], layer.num_kv_heads < layer.num_heads
    cuts = (
        [0]
        if shared
        else [0, *(n for n in range(1, layer.num_heads * 2 + 1) if width % n == 0 and n != layer.num_heads)]
    )
    state.adjust(cut=state.get("cut") if state.get("cut") in cuts else 0)
    if len(cuts) > 1:
        st.select_slider(
            "Cut into heads",
            cuts,
            format_func=lambda n: str(n) if n else f"{layer.num_heads}, its own",
            key=state.key("cut"),
            help="Share the same columns of numbers out to more or fewer heads than the model was trained with.",
        )


def pretrained_page_reading(setup, loaded, recording, layer, result):
    """Say what is in view and where the chosen token looks."""
    name = loaded.name.split("/")[-1]
    start = {
        "recorded": "the model's own queries and keys",
        "input": "the layer's input and the model's own matrices $W_Q$, $W_K$, $W_V$ and biases",
    }[setup.start]
    right = "They should be the same." if not setup.broken else "The computation here is broken, as you chose."
    row, column = result.nearest(setup.cell)
    weights, query = result.scratch[row], result.rows[row]
    looks = f"**{as_text(query)}** has weights that are no numbers"
    if np.isfinite(weights).all():
        looks = query_row_reading(weights, query, result.columns, column, result.hidden[row])
    say_if_model_untrained(loaded)
    told = (
        f"The attention of a real model, computed twice: layer {setup.layer}, head {setup.head} of {as_text(name)}. "
        f"The first picture is what the model itself computed, the second what numpy makes here from {start}. {right} "
        f"Here {looks}."
    )
    if not setup.broken:
        whole_row = result.level.cell(setup.cell)[0]
        told += strongest_look_in_words(setup, layer, result.level, whole_row, result.columns[column])
    page_reading(told, terms=("query", "key", "softmax", "rounding"))
    models.say_model_note(loaded)
    say_word_level(result.level, None if layer.mask is None else layer.mask[0, 0])
    if setup.level == "words":
        st.caption("The two sides are compared piece by piece.")
    models.say_if_model_truncated(recording)


def pretrained_page_shapes(setup, layer, result):
    """Say how many queries and keys there are, and how weights are made of them."""
    n_q, n_k, d_k = len(result.query), len(result.key), result.query.shape[1]
    scores = "scale · q·k" if layer.softcap is None else f"{layer.softcap:g} · tanh(scale · q·k / {layer.softcap:g})"
    scores += "" if layer.bias is None else " + bias"
    queries = "1 query looks" if n_q == 1 else f"{n_q:,} queries look"
    keys = "1 key" if n_k == 1 else f"{n_k:,} keys"
    pieces = ", one a piece of a word" if setup.level == "words" else ""
    usual = f"1/√{d_k} = " if np.isclose(result.scale, d_k**-0.5) else ""
    return (
        f"{queries} at {keys}{pieces}; each is a vector of $d_k = {d_k}$ numbers. Weights = softmax({scores}), where "
        f"the scale is {usual}{result.scale:.3g}."
    )


def pretrained_page_verdict(setup, source, recording, result, table):
    """Say whether this is the model reading the text, and whether both sides agree, in a coloured box.

    Parameters
    ----------
    setup : Setup
    source : tuple
        The model and what it reads, as the cached functions of `attn.ui.models` take them.
    recording : Recording
    result : Compared
    table : ndarray, shape (num_layers, num_heads)
        As `pretrained_page_differences` returns it.
    """
    tolerance, worst = pretrained.TOLERANCE, float(np.nanmax(table))
    agrees, words_of_it = _agrees(setup, result, table), _VERDICTS[bool(setup.broken)]
    whole = f"**{number(worst, 2)}** in {_heads_compared(recording, table)}{' unbroken' if setup.broken else ''}"
    begun = ", both computed from the layer's input" if setup.start == "input" else ""
    words = f"is the largest difference in this head, {whole}{begun}; up to {number(tolerance)} is rounding (float32)"
    models.say_model_verdict(
        weights_finding(recording.loaded),
        models.model_input_finding(*source),
        models.model_not_finite(*source) or Finding(agrees, number(result.largest, 2), words),
        words_of_it,
    )


def _heads_compared(recording, table):
    """Say how many heads were compared: all, but of a model with layers that cannot begin with their input."""
    count, every = np.count_nonzero(~np.isnan(table)), sum(layer.num_heads for layer in recording.layers)
    return f"all {every} heads" if count == every else f"{count} of {every} heads"


def _agrees(setup, result, table):
    """Return whether both sides agree: in the head in view, and in all heads unless something is broken on purpose."""
    return max(result.largest, 0 if setup.broken else float(np.nanmax(table))) <= pretrained.TOLERANCE


def pretrained_page_line(setup, loaded, result, table):
    """Say in a line whether both sides agree, which head it is, and what was read."""
    read = f" · “{as_text(shortened(text_in_view(setup).strip(), MOST_IN_LINE))}”" if loaded.takes == "text" else ""
    agrees, (yes, no) = _agrees(setup, result, table), _VERDICTS[bool(setup.broken)]
    return (
        f"**{yes if agrees else no}**: the largest difference is **{number(result.largest, 2)}** · "
        f"{as_text(loaded.name.split('/')[-1])}, layer {setup.layer}, head {setup.head}{read}"
    )


def pretrained_page_picture(own, scratch, own_hidden, hidden, rows, columns, cell, scale, theme, room, tallest):
    """Draw one head by the model and from scratch, and the difference where there is more than rounding of it."""
    equal = float(np.abs(scratch - own).max(initial=0)) <= pretrained.TOLERANCE
    one, other, apart = (charts.Pick(name, cell) for name in ("own", "scratch", "difference"))
    difference = charts.panel(
        scratch - own, rows, columns, title="The difference", kind="signed", scale=charts.Scale(name="difference"),
        pick=apart,
    )  # fmt: skip
    return charts.panels(
        theme,
        room,
        charts.panel(own, rows, columns, title="The model's own", pick=one, hidden=own_hidden, **scale),
        "=" if equal else "≠",
        charts.panel(scratch, rows, columns, title="From scratch, in numpy", pick=other, hidden=hidden, **scale),
        *([] if equal else [difference]),
        tallest=tallest,
    )


def pretrained_page_alone(setup, source, layer, scale):
    """Draw one head of a text in its padded row of a batch, of the same text alone, and the difference.

    Parameters
    ----------
    setup : Setup
    source : tuple
        The model and several texts, as the cached functions of `attn.ui.models` take them.
    layer : Layer
        Of the text in view.
    scale : dict
        Of the colours.

    Returns
    -------
    chart : alt.Chart
    sentence : str
    tables : dict
        Name -> function that gives CSV.
    """
    text, head = source[2], min(setup.head, layer.num_heads) - 1
    whole = models.model_batch(*source[:3]).layers[layer.index]
    alone, everywhere = models.model_alone(*source[:3])
    row, single = text.shown, alone.layers[layer.index].weights(head)[0, 0]
    names = whole.names[row] if whole.names else (layer.query_tokens, layer.key_tokens)
    real_rows, real_columns = ([name != PADDING for name in side] for side in names)
    padded, ours = whole.weights(head)[row, 0], layer.weights(head)[0, 0]
    visible = (
        np.ones(padded.shape, dtype=bool)
        if whole.mask is None
        else np.broadcast_to(whole.mask[row if len(whole.mask) > 1 else 0, 0], padded.shape)
    )
    hidden = ~(visible & np.outer(real_rows, real_columns))
    labels = [charts.token_labels([name.text or "padding" for name in side]) for side in names]
    own = [charts.token_labels([token.text for token in side]) for side in (layer.query_tokens, layer.key_tokens)]
    own_hidden = None if layer.mask is None else ~np.broadcast_to(layer.mask[0, 0], single.shape)
    chart = charts.panels(
        page_theme(),
        page_width(),
        charts.panel(np.where(hidden, 0, padded), *labels, title="In its row of the pass", hidden=hidden, **scale),
        charts.panel(single, *own, title="The text alone", hidden=own_hidden, **scale),
        charts.panel(
            ours - single, *own, title="In its row − alone", kind="signed", scale=charts.Scale(name="difference")
        ),
    )
    filling = len(real_columns) - sum(real_columns)
    places = (
        "No place of its row is padding."
        if filling == 0
        else f"Its row is filled up with padding, which is hidden: {filling} of {len(real_columns)} places."
    )
    largest = number(float(np.abs(ours - single).max()), 2)
    sentence = (
        f"Text {row + 1} of {len(text.texts)} is read in one pass with the others, and once alone. {places} No weight "
        f"differs by more than **{largest}** in this head, and by more than **{number(everywhere, 2)}** in all heads."
    )
    tables = {
        "in_the_row": lambda: charts.csv(padded, *labels),
        "alone": lambda: charts.csv(single, *own),
        "difference": lambda: charts.csv(ours - single, *own),
    }
    return chart, sentence, tables


def pretrained_page_code(setup, source, layer, part, cell, scale, room, tallest):
    """Return the lines that compare the same head and draw the same part of it."""
    head = min(setup.head, layer.num_heads) - 1
    if setup.start == "input":
        steps, at = "pretrained.from_input(model, layer).steps", f"0, {head}"
    else:
        faults = "".join(f", {name}={value!r}" for name, value in setup.broken.items())
        ours = min(head, (setup.cut or layer.num_heads) - 1)
        steps, at = f"pretrained.from_scratch(layer, {ours}{faults})", "0, 0"
    own_hidden, hidden = "~layer.mask[0, 0]", f"np.isneginf(steps.masked_scores[{at}])"
    if pretrained.filler_cells(layer) is not None:  # what fills a sound up
        filled = "pretrained.filler_cells(layer)"
        own_hidden = filled if layer.mask is None else f"{own_hidden} | {filled}"
        hidden = f"{hidden} | {filled}"
    to_level = ""
    if setup.level == "words":
        own_hidden, hidden = (f"~mask_to_words(~({cells}), *sides)" for cells in (own_hidden, hidden))
        to_level = f"{WORD_LEVEL_CODE}\nown, scratch = (to_words(weights, *sides) for weights in (own, scratch))\n"
    own_hidden = f"({own_hidden})[part]" if part.own_hidden.any() else "None"
    recorded = f"{model_and_text_lines(source)}\nlayer = recording.layers[{layer.index}]\n"
    computed = f"from attn import pretrained\nsteps = {steps}\nscratch = steps.weights[{at}]"
    words, to_level_alone = None, ""
    if setup.level == "words":
        words = [[token.word for token in side] for side in (layer.query_tokens, layer.key_tokens)]
        to_level_alone = f"{WORD_LEVEL_CODE}\nscratch = to_words(scratch, *sides)\n"
    broken = {} if setup.start == "input" else setup.broken
    ours = min(head, (broken.get("num_heads") or layer.num_heads) - 1)
    return Codes(
        numpy=lambda: head_numpy_code(source, layer, ours, recorded, **broken, words=words),
        attn=lambda: shown_code({}, recorded, computed, to_level_alone, "print(scratch.round(4))"),
        draw=lambda: shown_code(
            {
                "rows_at": Source(_spelled(part.row_places)),
                "columns_at": Source(_spelled(part.column_places)),
                "cell": cell,
                "scale": scale,
                "theme": LIGHT,
                "room": round(room),
                "tallest": tallest,
            },
            recorded,
            f"{computed}\nown = layer.reference_weights({head})[0, 0]",
            "print(abs(scratch - own).max())\n",
            to_level,
            "part = np.ix_(rows_at, columns_at)",
            f"own, scratch, own_hidden = own[part], scratch[part], {own_hidden}",
            f"hidden = ({hidden})[part]",
            word_level_labels_code(setup.level),
            "rows, columns = [rows[at] for at in rows_at], [columns[at] for at in columns_at]",
            ("picture", pretrained_page_picture),
            'charts.save(picture, "comparison.svg")',
        ),
    )


def _spelled(places):
    """Return positions as code: a range where none is left out."""
    whole = range(places[0], places[-1] + 1)
    return repr(whole) if places == list(whole) else repr(places)
