"""Pretrained: a real model's own attention beside attention from scratch, with the difference as a number."""

from functools import partial

import streamlit as st

from attn import charts, multi_head, pretrained, ui
from attn.ui import models
from attn.ui.controls.colour_scale import colour_scale_control, colour_scale_of
from attn.ui.controls.exact_window import exact_window_control, needs_exact_window
from attn.ui.controls.folded import MORE, folded_controls
from attn.ui.controls.media_notes import media_notes
from attn.ui.controls.model_and_text import (
    model_and_text_controls,
    model_and_text_of,
    model_and_text_projections,
    model_layer_and_head_control,
    model_refused,
    record_model_and_text,
)
from attn.ui.controls.query_row import PRODUCTS_SENTENCE
from attn.ui.pages.pretrained import (
    STARTS,
    TABLES,
    TABS,
    Setup,
    compute_pretrained_page,
    pretrained_page_adapter_picture,
    pretrained_page_adapter_reading,
    pretrained_page_alone,
    pretrained_page_break_controls,
    pretrained_page_code,
    pretrained_page_differences,
    pretrained_page_from_products_to_weight,
    pretrained_page_largest_by_layer,
    pretrained_page_line,
    pretrained_page_matrices,
    pretrained_page_picture,
    pretrained_page_query_charts,
    pretrained_page_reading,
    pretrained_page_rounding,
    pretrained_page_shapes,
    pretrained_page_verdict,
)
from attn.ui.width import page_layers_map_size, page_map_size

page = ui.begin_page("pretrained", "Is it the same in a real model?", Setup)

with st.sidebar:
    controls, more = st.container(), folded_controls(page, MORE, ("several", "pair", "colour", "special", "first"))
with controls:
    model_and_text_controls(page, more)
try:
    chosen, loaded, recording = record_model_and_text(page, model_and_text_of(page), place=controls)
    models.model_differences(*chosen)  # what stands in its way is said before anything is drawn
except pretrained.ModelError as error:
    model_refused(page, error)

with controls:
    layer = model_layer_and_head_control(page, recording.layers)
    matrices = model_and_text_projections(loaded, layer)
    if matrices is None or models.model_last_queries(layer):  # of a long text, all heads at once would fill the memory
        page.adjust(start="recorded")
    else:
        st.segmented_control(
            "From scratch, starting at",
            STARTS,
            format_func=STARTS.get,
            key=page.key("start"),
            required=True,
            help="Where the computation on this page begins: with the queries and keys that the model itself made, or "
            "one step earlier, with the layer's input, from which the model's matrices $W_Q$, $W_K$ and $W_V$ make "
            "them.",
        )
    pretrained_page_break_controls(page, layer)
with more:
    colour_scale_control(page)
    st.toggle("Special tokens", key=page.key("special"), help="Show what the tokenizer added, such as [CLS] and [SEP].")
    st.toggle(
        "First token",
        key=page.key("first"),
        help="Show the column of the first token. Many heads put most of their weight there.",
    )

setup = page.commit()
result = compute_pretrained_page(setup, loaded, layer)
theme, width, tallest = ui.page_theme(), ui.page_width(), ui.page_tallest(35, count=max(result.own.shape))
unbroken = pretrained_page_differences(setup, chosen, len(recording.layers))
head = setup.head - 1
page.tell(gap=result.largest)

words, box = ui.page_columns([1, 1])
with words:
    pretrained_page_reading(setup, loaded, recording, layer, result)
with box:
    pretrained_page_verdict(setup, chosen, recording, result, unbroken)
for note in media_notes(loaded, recording, layer):
    st.caption(note)

part, scale = result, colour_scale_of(setup.colour, result.own, result.scratch)
cut = slice(None), slice(None)
if needs_exact_window(result.own):
    cut = exact_window_control(
        page, result.own, result.rows, result.columns, "The model's own, whole", hidden=result.own_hidden, **scale
    )
    part = result.part(*cut)
position = part.position
cell = part.cell(result.position(*result.nearest(setup.cell)))


def table_of(side):
    """Return the whole head by the model or from scratch as CSV, computed again."""
    again = compute_pretrained_page(setup, loaded, layer)
    return charts.csv(getattr(again, side), again.rows, again.columns)


codes = partial(pretrained_page_code, setup, chosen, layer, part, cell, scale, width, tallest)
ui.page_figure(
    partial(
        pretrained_page_picture,
        part.own,
        part.scratch,
        part.own_hidden,
        part.hidden,
        part.rows,
        part.columns,
        cell,
        scale,
        theme,
        width,
        tallest,
    ),
    "pretrained.maps",
    on_pick=lambda row, column: page.set(cell=position(row, column)),
    tables={name: lambda side=side: table_of(side) for name, side in TABLES.items()},
    codes=codes,
    line=pretrained_page_line(setup, loaded, result, unbroken),
)
st.caption(pretrained_page_shapes(setup, layer, result))


def map_tab():
    """Draw the largest difference of every head."""
    table = unbroken
    if setup.broken:
        table = pretrained_page_largest_by_layer(
            models.model_differences(*chosen, **setup.broken), len(recording.layers)
        )
    how = ", with everything that you broke" if setup.broken else ""
    over = f" over the last {models.LAST} queries" if models.model_last_queries(layer) else ""
    st.caption(
        f"Every cell is one head, and its colour shows the largest difference between the two computations{over}{how}"
        f"{'' if setup.broken else ', on a logarithmic scale: a step of colour is a power of ten'}. "
        f"{pretrained_page_rounding(table)} Choose a head to look into it."
    )
    heads = charts.layer_head_map(
        table,
        theme,
        title="Largest difference by layer and head",
        size=page_layers_map_size(table.shape, page_map_size(max(table.shape), 520)),
        pick=charts.Pick("head", (setup.layer - 1, head) if head < table.shape[1] else None),
        scale=charts.Scale(1.0, name="difference") if setup.broken else charts.Scale(log=True, name="difference"),
        tolerance=None if setup.broken else pretrained.TOLERANCE,
    )
    ui.page_figure(
        charts.beside(heads),
        "pretrained.map",
        on_pick=lambda row, column: page.set(layer=row + 1, head=column + 1),
        tables={"largest_differences": lambda: charts.csv(table, *map(charts.counted, table.shape))},
    )


def query_tab():
    """Draw one row of the weights, key by key."""
    with st.container(horizontal=True):
        for side, label in enumerate(("Query", "Key")):
            count = result.level.num_given[side]
            names, places = result.level.labels[side][:count], result.level.places[side][:count]
            ui.page_token_control(page, label, names, side, places)
    drawn, left_out = pretrained_page_query_charts(setup, result, scale)
    ui.page_figure(charts.above(*drawn), "pretrained.query")
    if left_out:
        st.caption(left_out)
    if setup.level == "pieces":
        st.caption(PRODUCTS_SENTENCE)
        st.markdown(pretrained_page_from_products_to_weight(setup, loaded, layer, result))
    if setup.level == "words":
        st.caption("Only pieces have queries and keys. Choose Pieces among the controls to see how they multiply.")


def matrices_tab():
    """Draw the checkpoint's own matrices of this head."""
    if matrices is None:
        st.caption(f"Models of the {loaded.family} family keep these matrices in another form, so they are not drawn.")
    else:
        one = multi_head.one_head(matrices, head)
        shape = " × ".join(map(str, one.w_q.shape))
        st.caption(
            "Multiplied with what goes into the layer, and its bias added, $W_Q$ makes this head's queries, $W_K$ its "
            f"keys and $W_V$ its values. Training chose the numbers; each matrix has {shape} of them."
        )
        ui.page_figure(pretrained_page_matrices(one), "pretrained.matrices")


def adapter_tab():
    """Draw what the adapter changed in this head and, as one number, in every head."""
    before, after = (
        compute_pretrained_page(setup, loaded, layers[layer.index]).part(*cut).own
        for layers in models.model_layers_without_and_with_adapter(*chosen)
    )
    st.markdown(pretrained_page_adapter_reading(before, after, part.rows, part.columns))
    ui.page_figure(
        pretrained_page_adapter_picture(
            before, after, part.rows, part.columns, colour_scale_of(setup.colour, before, after), theme, width
        ),
        "pretrained.adapter",
        tables={
            "without_adapter": lambda: charts.csv(before, part.rows, part.columns),
            "with_adapter": lambda: charts.csv(after, part.rows, part.columns),
            "with_minus_without": lambda: charts.csv(after - before, part.rows, part.columns),
        },
    )
    st.caption(
        "Every cell is one head, and its colour shows the largest change of a weight. Choose a head to look into it."
    )
    table = models.model_adapter_changes(*chosen)
    every = charts.layer_head_map(
        table,
        theme,
        title="Largest change by layer and head",
        size=page_layers_map_size(table.shape, page_map_size(max(table.shape), 520)),
        pick=charts.Pick("head", (setup.layer - 1, head) if head < table.shape[1] else None),
        scale=charts.Scale(1.0),
    )
    ui.page_figure(
        charts.beside(every),
        "pretrained.adapter_map",
        on_pick=lambda row, column: page.set(layer=row + 1, head=column + 1),
        tables={"largest_changes": lambda: charts.csv(table, *map(charts.counted, table.shape))},
    )


def alone_tab():
    """Draw a text of several beside the same text read alone."""
    chart, sentence, tables = pretrained_page_alone(setup, chosen, layer, scale)
    st.markdown(sentence)
    ui.page_figure(chart, "pretrained.alone", tables=tables)
    if setup.level == "words":
        st.caption("These maps show pieces.")


SHOWN = {
    "map": map_tab,
    "query": query_tab,
    "matrices": matrices_tab,
    **({"adapter": adapter_tab} if loaded.base is not None or not setup.adapter else {}),
    **({"alone": alone_tab} if isinstance(chosen[2], models.SeveralTexts) else {}),
    "code": lambda: ui.page_code(page, codes()),
}
if setup.tab not in SHOWN:
    page.adjust(tab="map")
ui.page_tabs(page, {name: label for name, label in TABS.items() if name in SHOWN}, SHOWN)
result = part = None  # of a long text 150 MB, which what answers to a click would keep until the next head is drawn
ui.page_sources(page)
ui.page_next(page)
