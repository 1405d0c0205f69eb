"""Inside: from the choices on the page to every head's numbers and one head's pictures, and the code for it."""

import math
from dataclasses import dataclass

import numpy as np
import streamlit as st

from attn import charts, pretrained
from attn.analysis import contribution, head_kinds
from attn.analysis.head_table import METRICS, Text
from attn.charts.labels import number
from attn.data import pictures, sounds
from attn.pretrained.recording.in_numpy import InNumpy
from attn.ui import models
from attn.ui.controls.model_and_text import (
    SourceChoice,
    model_and_text_lines,
    model_and_text_projections,
    text_in_view,
)
from attn.ui.controls.query_row import query_row_from_products_to_weight, query_row_reading
from attn.ui.controls.word_level import say_word_level
from attn.ui.link import link_choice, link_place, link_span, link_wholes, shortened
from attn.ui.media import PictureAndText
from attn.ui.minilm_in_numpy import head_numpy_code
from attn.ui.page import page_theme
from attn.ui.present import MOST_IN_LINE
from attn.ui.shown_code import LIGHT, Codes, shown_code
from attn.ui.state import as_text
from attn.ui.terms import terms_help
from attn.ui.width import (
    page_cell,
    page_held,
    page_layers_map_size,
    page_share,
    page_tallest,
    window_low_for_hall,
)
from attn.ui.word_level import WORD_LEVEL_CODE, word_level_labels_code, word_level_of
from attn.words import listed, small

ORDERS = {"highest": "Highest", "lowest": "Lowest"}
MEASURES = {"weight": "Weight", "contribution": "Weight × value"}
TABS = {
    "matrix": "Matrix",
    "lines": "Lines",
    "query": "One query",
    "heads": "All heads",
    "rollout": "Through all layers",
    "code": "Code",
}
OLD_TABS = {  # what older links call them
    "Matrix": "matrix",
    "Lines": "lines",
    "One query": "query",
    "All heads": "heads",
    "Rollout": "rollout",
    "Code": "code",
}
_TERMS = {  # of a metric, that its words do not name
    "evenness": ("normalised entropy",),
    "first_token": ("attention sink",),
    "special_tokens": ("attention sink",),
}
LINES = {"all": "All", "query": "From the chosen query", "key": "To the chosen key"}
_LEAST_ROW = 10  # pixels of a layer in the map of all heads, to be pointed at
_LISTED, _LISTED_LOW = 10, 5  # heads beside the map of all, and with words for a hall in a low window
_MOST_NAMED = 3  # special tokens
MOSAIC_WIDTH = 640  # pixels across of the picture of all heads, at least: on a phone it is scrolled
MOSAIC = 48  # tokens of every head that the picture of all heads shows


@dataclass(frozen=True)
class Setup(SourceChoice):
    """Everything chosen on Inside."""

    metric: str = link_choice("previous_token", METRICS)
    order: str = link_choice("highest", ORDERS)
    kept: tuple = link_span(0, 100)
    together: tuple = link_wholes()
    measure: str = link_choice("weight", MEASURES)
    cell: tuple = link_place((10, 2))
    follow: str = link_choice("all", LINES)
    window: tuple = link_place((0, 0))
    picture: str = link_choice(next(iter(pictures.PICTURES)), pictures.PICTURES)
    sound: str = link_choice(next(iter(sounds.SOUNDS)), sounds.SOUNDS)
    tab: str = link_choice("matrix", TABS, OLD_TABS)


def inside_results(numbers, setup):
    """Return the number of the chosen head and the highest of all, by the names that a story may ask for."""
    row, column = setup.layer - 1, setup.head - 1
    there = row < numbers.shape[0] and column < numbers.shape[1]
    measured = numbers[np.isfinite(numbers)]  # a text in which nothing comes twice has no number of repetition
    return {
        "metric": float(numbers[row, column]) if there else None,
        "highest": float(measured.max()) if measured.size else None,
    }


def _special_names(layer):
    """Return the special tokens among the keys of a layer, as a sentence names them; empty without any."""
    seen = list(dict.fromkeys(token.text for token in layer.key_tokens if token.special and token.text))
    return listed(seen if len(seen) <= _MOST_NAMED else [*seen[: _MOST_NAMED - 1], "others"])


def _metric(name, layer):
    """Return a metric by its key, which of special tokens names those that are seen."""
    metric = METRICS[name]
    if name != "special_tokens" or not (special := _special_names(layer)):
        return metric
    words = f"How much of the weight lies on {special}, which are no part of the text."
    return metric._replace(name=special, words=words)


def inside_metric_controls(state, layers, shown=True):
    """Draw the choice of a number per head; what the model has not is not chosen, whether it is shown or not."""
    layer = layers[min(state.get("layer"), len(layers)) - 1]
    there = [_there(layer) for layer in layers]  # of a model with two towers one reads and the other sees
    known = [name for name, metric in METRICS.items() if any(metric.needs <= each for each in there)]
    if state.get("metric") not in known:
        state.adjust(metric="first_token")  # where heads rest that have no special token
    if not shown:
        return
    st.selectbox(
        "Measure heads by",
        known,
        format_func=lambda name: _metric(name, layer).name,
        key=state.key("metric"),
        help="Every head gets one number, the average over all tokens that look.",
    )
    metric = _metric(state.get("metric"), layer)
    st.caption(f"{as_text(metric.words)} A high number means: {small(metric.higher_means)}")


def inside_order_control(state):
    """Draw the order in which the heads are listed."""
    st.segmented_control(
        "First in the list", ORDERS, format_func=ORDERS.get, key=state.key("order"), required=True,
        help=f"The bars show {_LISTED} heads, those with the highest numbers or with the lowest, and below them the "
        "one in view.",
    )  # fmt: skip


def _there(layer):
    """Return what there is among the keys of a layer of that which a metric may need."""
    keys = pretrained.keys_of_layer(layer)
    return Text(**keys).known - (set() if any(keys["special"]) else {"special"})


def inside_filter_control(state, table):
    """Draw the span of numbers whose heads are shown."""
    if not np.isfinite(table).any():
        state.adjust(kept=(0, 100))
        return
    st.slider(
        "Only heads from … to",
        0,
        100,
        key=state.key("kept"),
        format="%d%%",
        help="Keeps the heads whose number lies between these two, where 0% is the lowest of any head and 100% the "
        "highest. The others turn grey in the maps and leave the bars.",
    )
    low, high = map(number, _bounds(table, state.get("kept")))
    has, gone = np.isfinite(table), inside_left_out(table, state.get("kept"))
    st.caption(f"From {low} to {high}: {(has & ~gone).sum()} of {has.sum()} heads.")


def _bounds(table, kept):
    """Return the numbers that lie so many percent of the way from the lowest number of a head to the highest."""
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    return tuple(low * (1 - at / 100) + high * (at / 100) for at in kept)


def inside_left_out(table, kept):
    """Return which heads lie outside the span that is kept, (num_layers, num_heads)."""
    if kept == (0, 100):
        return np.zeros(table.shape, dtype=bool)
    low, high = _bounds(table, kept)
    return (table < low) | ((table > high) & (kept[1] < 100))


def inside_together_control(state, layer):
    """Draw the choice of further heads of the layer to look at together."""
    if models.model_last_queries(layer):
        state.adjust(together=())  # the maps of several heads would take much memory
        return
    kept = tuple(head for head in state.get("together") if head <= layer.num_heads)
    state.adjust(together=kept)
    st.pills(
        "Heads together",
        range(1, layer.num_heads + 1),
        selection_mode="multi",
        key=state.key("together"),
        help="Choose several heads of this layer: the matrix shows their mean, the lines show each in its colour. "
        "Choose none to look at the one head above.",
    )


def inside_verdict(state, source, loaded):
    """Show what is known of the agreement with transformers; of a recording without torch, once that was asked for."""
    if not isinstance(loaded, InNumpy):
        models.say_model_verdict(
            pretrained.weights_finding(loaded),
            models.model_input_finding(*source),
            models.model_attention_finding(*source),
        )
        return
    asked = state.key("compared")
    found = models.model_comparison(source)
    if found is None and st.session_state.get(asked) == source:
        found = models.compare_model_with_transformers(source)
    if found is None:
        st.caption("Computed here in numpy, without torch or transformers.")
        st.button(
            "Compare with transformers", key=state.key("compare"), icon=":material/fact_check:", type="tertiary",
            on_click=st.session_state.__setitem__, args=(asked, source),
            help="Loads torch and transformers, and holds the weights, the input and the attention of every head "
            "against theirs. It takes some seconds, and memory for the model once more.",
        )  # fmt: skip
        return
    findings, gap = found
    models.say_model_verdict(*findings)
    st.caption(
        f"The whole model in numpy gives the same weights as transformers to within {number(gap, 2)}, in every head."
    )


def inside_heads(setup):
    """Return the heads in view, counted from 0."""
    return [head - 1 for head in setup.together] or [setup.head - 1]


def _numbers_of(tables, setup):
    """Return every metric of the chosen head."""
    return {name: float(table[setup.layer - 1, setup.head - 1]) for name, table in tables.items()}


def inside_overview_charts(tables, setup, layer, theme, width):
    """Draw one number for every head as a map, and beside it the first heads in order and the one in view."""
    table = tables[setup.metric]
    return _overview(table, inside_left_out(table, setup.kept), **_overview_of(table, setup, layer, width), theme=theme)


def _overview_of(table, setup, layer, page_width):
    """Return what `_overview` needs to know besides the numbers."""
    metric = _metric(setup.metric, layer)
    return {
        "name": metric.name,
        "unit": setup.level if metric.unit == "tokens" else metric.unit,
        "order": setup.order,
        "places": inside_listed_heads(table, setup),
        "chosen": (setup.layer - 1, setup.head - 1),
        "size": _map_size(table, page_width),
        "width": min(page_share(0.2, least=120), page_width - 140),  # for the names of heads
        "brief": page_width < 500,  # pixels, where map and bars lie one above the other, at the right of the names
    }


def _overview(table, gone, name, unit, order, places, chosen, size, width, brief, theme):
    """Draw one number for every head as a map, and beside it the first heads in order and the one in view, marked."""
    heads = charts.layer_head_map(
        table, theme, title=name, hidden=gone, size=size,
        scale=charts.Scale(1.0 if unit in ("share", "ratio") else None, name=unit), pick=charts.Pick("map", chosen),
    )  # fmt: skip
    values = [table[place] for place in places]
    called = "L{0} H{1}" if brief else "layer {0}, head {1}"
    names = [called.format(layer + 1, head + 1) for layer, head in places]
    bars = charts.bars(
        values, names, theme, kind="magnitude", title=f"{name}: {order}", width=width,
        scale=charts.Scale(name=unit), pick=charts.Pick("bar", places.index(chosen) if chosen in places else None),
    )  # fmt: skip
    return charts.beside(heads, bars)


def _map_size(table, width):
    """Return the pixels of the map of all heads: a deep model's is tall."""
    num_layers, num_heads = table.shape
    if num_heads < num_layers:
        row = page_cell(max(page_tallest(most=640) / num_layers, _LEAST_ROW), num_layers)
        return page_layers_map_size(table.shape, int(row * num_layers), beside=width - page_share(0.5) + 60)
    size = page_share(0.5)
    return int(page_cell((size - 60) / num_heads, num_heads)) * num_heads if size > width / 2 or page_held() else size


def inside_line(setup, loaded):
    """Say in a line which model reads what."""
    read = f" reads “{as_text(shortened(text_in_view(setup).strip(), MOST_IN_LINE))}”" if loaded.takes == "text" else ""
    return f"{as_text(loaded.name.split('/')[-1])}{read}"


def inside_first_heads(table, setup):
    """Return the (layer, head) of the first heads by their number, of those that are kept and have one."""
    table = np.where(inside_left_out(table, setup.kept), np.nan, table)
    ranked = np.argsort(table if setup.order == "lowest" else -table, axis=None, kind="stable")
    places = (np.unravel_index(at, table.shape) for at in ranked if np.isfinite(table.flat[at]))
    return [(int(layer), int(head)) for layer, head in list(places)[:_LISTED]]


def inside_listed_heads(table, setup):
    """Return the (layer, head) of the heads that have a bar: the first by their number, and the one in view below."""
    first = inside_first_heads(table, setup)[: _LISTED_LOW if window_low_for_hall() else None]
    chosen = (setup.layer - 1, setup.head - 1)
    gone = inside_left_out(table, setup.kept)[chosen] or not np.isfinite(table[chosen])
    return first if gone or chosen in first else [*first, chosen]


def inside_weights(setup, loaded, layer, level):
    """Return what the pictures of the chosen heads show: weights, or weights times the length of the value.

    Parameters
    ----------
    setup : Setup
    loaded : Loaded
    layer : Layer
    level : WordLevel

    Returns
    -------
    ndarray, shape (heads in view, rows, columns)
    """
    in_view = inside_heads(setup)
    weights = _weights_in_view(layer, in_view)
    if setup.measure == "weight":
        return level.weights(weights)
    w_o = model_and_text_projections(loaded, layer).w_o
    return level.averaged(_lengths_in_view(weights, layer, in_view, w_o, level.column_words))


def _weights_in_view(layer, in_view):
    """Return the weights of heads, (heads, n_q, n_k)."""
    # one head alone is not copied: of a long text it takes 64 MB
    one = len(in_view) == 1
    return layer.weights(in_view[0])[0] if one else np.stack([layer.weights(head)[0, 0] for head in in_view])


def _lengths_in_view(weights, layer, in_view, w_o, key_words):
    """Return the weights of heads times the length of what each value adds to the output, (heads, n_q, keys)."""
    group, d_v = layer.num_heads // layer.num_kv_heads, layer.value.shape[-1]
    bands = w_o.reshape(layer.num_heads, d_v, -1)[in_view]
    values = [layer.value[0, head // group] for head in in_view]
    each = zip(weights, values, bands, strict=True)
    return np.stack([contribution.value_weighted(*of_head, key_words=key_words) for of_head in each])


def inside_hidden(layer, level):
    """Return where no head of a layer may look, and what only fills a sound up; None where nothing is hidden.

    Parameters
    ----------
    layer : Layer
    level : WordLevel

    Returns
    -------
    ndarray of bool, shape (rows, columns), or None
    """
    filled = pretrained.filler_cells(layer)
    cells = np.zeros((layer.query.shape[-2], layer.key.shape[-2]), dtype=bool) if filled is None else filled
    if layer.mask is not None:
        cells = cells | ~layer.mask[0, 0]
    return level.hidden(cells) if cells.any() else None


def inside_every_hidden(layers, level, shape):
    """Return where the heads of each of some layers may not look, among the first tokens, (layers, rows, columns).

    Parameters
    ----------
    layers : sequence of Layer
    level : {"pieces", "words"}
    shape : (int, int)
        Rows and columns.
    """
    found = [inside_hidden(one, word_level_of(level, one.query_tokens, one.key_tokens)) for one in layers]
    rows, columns = shape
    return np.stack([np.zeros(shape, dtype=bool) if each is None else each[:rows, :columns] for each in found])


def inside_mean(weights):
    """Return the mean of the heads in view, (n_q, n_k); one alone is not copied."""
    return weights[0] if len(weights) == 1 else contribution.mean_over(weights)


def inside_over_picture(seen, grid, weights, row, name, width):
    """Draw a picture whole, its patches marked, and beside it what one patch or word sees of it.

    Parameters
    ----------
    seen : ImageInput or PictureAndText
    grid : PatchGrid
    weights : ndarray, shape (n_k,)
        Of the chosen query.
    row : int
        The query.
    name : str
        What it is called.
    width : float
        Pixels across.

    Returns
    -------
    alt.HConcatChart
    """
    seen = seen.picture if isinstance(seen, PictureAndText) else seen
    side = math.lcm(grid.rows, grid.columns)
    image = seen.pixels(side * max(1, models.SIDE // side))
    patch = grid.patch_of(row)
    on_patches = weights[list(grid.keys)].reshape(grid.rows, grid.columns)
    options = {"size": int(min(width / 2 - 40, 420)), "lines": True}
    left = charts.photo(
        image, page_theme(), title="The picture in patches", grid=grid[:2], pick=charts.Pick("patch", patch), **options
    )
    right = charts.photo(
        image,
        page_theme(),
        title="What the chosen one sees" if patch else f"Where {name} looks in the picture",
        weights=on_patches,
        pick=charts.Pick(selected=patch),
        **options,
    )
    return charts.beside(left, right)


def inside_picture_shares(layer, heads, level):
    """Return how much of its weight each written token or word gives to the picture, and the label of each.

    Parameters
    ----------
    layer : Layer
    heads : sequence of int
        Counted from 0; their mean is taken.
    level : WordLevel

    Returns
    -------
    ndarray, shape (rows that are written,)
        Empty where the keys hold no picture.
    list of str
    """
    if not any(token.picture is not None for token in layer.key_tokens):
        return np.zeros(0), []
    shares = level.of_rows(pretrained.picture_share(layer, heads).mean(axis=0))
    firsts = level.places[0]
    written = [row for row, place in enumerate(firsts) if layer.query_tokens[place].picture is None]
    return shares[written], [level.labels[0][row] for row in written]


def inside_share_chart(shares, words, width):
    """Draw how much of its weight each written word gives to the picture."""
    return charts.beside(
        charts.bars(
            shares, words, page_theme(), title="Share of the picture, word by word", width=int(min(width * 0.6, 700)),
            scale=charts.Scale(name="share"),
        )
    )  # fmt: skip


def inside_over_sound(heard, seconds, weights, title, width, end=None):
    """Draw how loud a sound is from moment to moment, and below it where one query looks.

    Parameters
    ----------
    heard : AudioInput
    seconds : float
        From the first moment to the end of the last, with the silence that fills the sound up.
    weights : ndarray, shape (n_k,)
        Of the query, one per moment.
    title : str
    width : float
        Pixels across.
    end : float, optional
        Where the sound ends; what lies behind is grey.

    Returns
    -------
    alt.VConcatChart
    """
    rate = 16_000  # samples a second: at fewer, high tones would be silent
    end = seconds if end is None else min(end, seconds)
    times = np.arange(len(weights)) * seconds / len(weights)
    loud = np.abs(heard.samples(rate))
    moment = np.minimum((np.arange(loud.size) / rate * len(weights) / seconds).astype(int), len(weights) - 1)
    loudness = np.zeros(len(weights))
    np.maximum.at(loudness, moment, loud)
    theme, heard_at, marks = page_theme(), times < end, [(end, "the sound ends")] if end < seconds else []

    def drawn(name, values, words):
        """Draw one of the two, and grey what lies behind the end."""
        parts = [charts.Curve(name, times[heard_at], values[heard_at])]
        if marks:
            parts.append(charts.Curve("silence", times[~heard_at], values[~heard_at], theme.muted, dashed=True))
        return charts.curves(
            parts, theme, x="seconds", y=charts.Axis(name, range=(0, float(values[heard_at].max(initial=0)) or 1.0)),
            title=words, width=int(min(width, 1100)), height=180, marks=marks,
        )  # fmt: skip

    return charts.above(drawn("loudness", loudness, "The sound"), drawn("weight", weights, title))


def inside_patch_number(grid, row, column):
    """Return which token of the model a patch is, counted from 0."""
    return grid.keys[row * grid.columns + column]


def inside_one_product(layer, head, row, column):
    """Return the query and the key, each (d_k,), whose product is one score of a head."""
    group = layer.num_heads // layer.num_kv_heads
    return layer.query[0, head, row], layer.key[0, head // group, column]


def inside_from_products_to_weight(layer, head, row, column, query, key):
    """Say what becomes of the products of a query and a key: their sum, the score, and the weight."""
    steps = pretrained.from_scratch(layer, head, rows=slice(row, row + 1))
    of_row = [step[0, 0, 0] for step in steps[:3]]
    return query_row_from_products_to_weight(layer, layer.scale, query, key, column, *of_row)


def inside_reading(setup, tables, layer, level):
    """Say what kind of head is in view, and whether it is among those that are kept."""
    if (rows := models.model_last_queries(layer)) and rows.stop is None:
        st.caption(f"This text is long: every head is measured over its last {models.LAST} tokens that look.")
    elif rows:
        count = rows.stop - rows.start
        st.caption(f"This sound is long: every head is measured over the {count} moments that look before its end.")
    metric, own = _metric(setup.metric, layer), float(tables[setup.metric][setup.layer - 1, setup.head - 1])
    there = f", and this one has {number(own)}" * bool(np.isfinite(own))
    over = ", on average over all tokens that look"
    others = "Trained heads specialise: one looks at the word before, another at the first token. "
    told = (
        f"In view, and framed in the map, is {inside_kind_in_words(setup, tables, layer, level, over)} "
        f"{others * (not window_low_for_hall())}Each cell is a head. Its colour says "
        f"{as_text(small(metric.words.removesuffix('.')))}{there}. Choose a cell to look into another."
    )
    st.markdown(told, help=terms_help(f"{told} {METRICS[setup.metric].name}", *_TERMS.get(setup.metric, ())))
    say_word_level(level, None if layer.mask is None else layer.mask[0, 0])
    if setup.level == "words":
        st.caption("All numbers are measured between words: where a sentence says token, a word is meant.")
    if inside_left_out(tables[setup.metric], setup.kept)[setup.layer - 1, setup.head - 1]:
        st.caption(":material/filter_alt: The filter among the controls leaves this head out.")


def inside_kind_in_words(setup, tables, layer, level, over=""):
    """Say which head is in view, and what kind of head its numbers, taken over what is said, make it look like."""
    called = {"special": _special_names(layer) or "special tokens"}
    if layer.key_tokens and layer.key_tokens[0].text:
        called["first"] = f"the first token, {layer.key_tokens[0].text}"
    kind = head_kinds.kind_of_head(_numbers_of(tables, setup), level.num_given[1], **called)
    named = f"**head {setup.head} of layer {setup.layer}**{over}"
    return f"{named}: **{as_text(kind.label)}**, {as_text(kind.reason)}"


def inside_one_query_reading(setup, weights, query, keys, column, hidden, name):
    """Say where one token or word looks: its head on average, above the map, may look elsewhere.

    Parameters
    ----------
    setup : Setup
    weights : ndarray, shape (n_k,)
        What the picture shows of the query: weights, or weights times the length of the value.
    query : str
        Its label.
    keys : list of str
    column : int
        The chosen key.
    hidden : sequence of bool, shape (n_k,)
        True where the picture is grey; empty where it is nowhere.
    name : str
        Of the head or heads in view.
    """
    taken = {} if setup.measure == "weight" else {"verb": "takes", "preposition": "from", "say": number}
    looks = query_row_reading(weights, query, keys, column, hidden, **taken)
    return f"A head's average hides what its tokens do one by one. {name} in layer {setup.layer}: {looks}."


def inside_faint_lines(weights, query=None, key=None):
    """Say which weights draw no line because they are too faint for one; empty where each draws one.

    Parameters
    ----------
    weights : ndarray, shape (heads, n_q, n_k)
        What the lines show.
    query, key : int, optional
        The only query, or the only key, that has lines.

    Returns
    -------
    str
    """
    least = charts.FAINTEST_LINE * max(1.0, float(weights.max(initial=0)))
    shown = weights if query is None else weights[:, [query]]
    shown = shown if key is None else shown[:, :, [key]]
    faint = int(((shown > 0) & (shown < least)).sum())
    if not faint:
        return ""
    if faint == (shown > 0).sum():
        return (
            f"No line is drawn: every number here is below {number(least)}, too faint for a line. The matrix shows "
            "them all."
        )
    return f"Numbers below {number(least)} draw no line; the matrix shows them, too."


def inside_code(setup, source, table, layer, scale, width):
    """Return the lines that compute the chosen head, and those that measure every head and draw both."""
    recorded = f"{model_and_text_lines(source)}\nlayer = recording.layers[{layer.index}]\n"
    head, words = min(setup.head, layer.num_heads) - 1, None
    if setup.level == "words":
        words = [[token.word for token in side] for side in (layer.query_tokens, layer.key_tokens)]
    return Codes(
        numpy=lambda: head_numpy_code(source, layer, head, recorded, words=words),
        attn=lambda: shown_code(
            {},
            f"from attn import pretrained\n{recorded}",
            f"weights = pretrained.from_scratch(layer, {head}).weights[0, 0]",
            f"{WORD_LEVEL_CODE}\nweights = to_words(weights, *sides)" if words else "",
            "print(weights.round(4))",
        ),
        draw=lambda: _drawing_code(setup, source, table, layer, scale, width),
    )


def _drawing_code(setup, source, table, layer, scale, width):
    """Return the lines that measure every head, and draw the map of them and the chosen head."""
    masked = layer.mask is not None and not layer.mask[0, 0].all()
    hidden = "~mask_to_words(layer.mask[0, 0], *sides)" if setup.level == "words" else "~layer.mask[0, 0]"
    return shown_code(
        {"metric": setup.metric, "level": setup.level, "kept": setup.kept}
        | _overview_of(table, setup, layer, width)
        | {"in_view": inside_heads(setup), "scale": scale, "theme": LIGHT, "room": round(width)},
        f"from attn import contribution, pretrained\n{model_and_text_lines(source)}\n",
        "layers = recording.layers",
        ("tables", models.metrics_by_layer),
        inside_left_out,
        "table = tables[metric]\ngone = inside_left_out(table, kept)",
        ("picture", _overview),
        'charts.save(picture, "heads.svg")\n',
        f"layer = recording.layers[{layer.index}]",
        *_steps_in_view(setup, source),
        word_level_labels_code(setup.level),
        f"hidden = {hidden}" if masked else "",
        f"head = charts.panel(contribution.mean_over(shown), rows, columns{', hidden=hidden' * masked}, **scale)",
        'charts.save(charts.panels(theme, room, head, tallest=620), "head.svg")',
    )


def _steps_in_view(setup, source):
    """Return the steps that bind ``shown``, as `inside_weights` computes it."""
    words = setup.level == "words"
    steps = [WORD_LEVEL_CODE if words else "", ("weights", _weights_in_view)]
    if setup.measure == "weight":
        return [*steps, "shown = to_words(weights, *sides)" if words else "shown = weights"]
    matrices = "model.matrices(layer)" if models.is_in_numpy(source[0]) else "pretrained.parameters(model, layer)"
    given = f"w_o = {matrices}.w_o\nkey_words = {'sides[1]' if words else None}"
    averaged = "to_words(lengths, sides[0], range(lengths.shape[-1]))" if words else "lengths"
    return [*steps, given, ("lengths", _lengths_in_view), f"shown = {averaged}"]
