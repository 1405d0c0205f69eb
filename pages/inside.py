"""Inside: every head of a model at once, what kind of head each is, and one head from all sides."""

import streamlit as st

from attn import charts, pretrained, ui
from attn.ui import models
from attn.ui.controls.colour_scale import colour_scale_control, colour_scale_of
from attn.ui.controls.exact_window import exact_window_panel
from attn.ui.controls.folded import MORE, folded_controls
from attn.ui.controls.media_notes import media_notes
from attn.ui.controls.model_and_text import (
    model_and_text_controls,
    model_and_text_of,
    model_and_text_projections,
    model_layer_and_head_control,
    model_refused,
    record_model_and_text,
    say_if_model_untrained,
    strongest_look_in_words,
)
from attn.ui.controls.query_row import (
    PRODUCTS_SENTENCE,
    query_row_bars,
    query_row_left_out,
    query_row_products,
)
from attn.ui.controls.why_link import why_link
from attn.ui.pages.inside import (
    LINES,
    MEASURES,
    MOSAIC,
    MOSAIC_WIDTH,
    TABS,
    Setup,
    inside_code,
    inside_every_hidden,
    inside_faint_lines,
    inside_filter_control,
    inside_first_heads,
    inside_from_products_to_weight,
    inside_heads,
    inside_hidden,
    inside_kind_in_words,
    inside_left_out,
    inside_line,
    inside_listed_heads,
    inside_mean,
    inside_metric_controls,
    inside_one_product,
    inside_one_query_reading,
    inside_order_control,
    inside_over_picture,
    inside_over_sound,
    inside_overview_charts,
    inside_patch_number,
    inside_picture_shares,
    inside_reading,
    inside_results,
    inside_share_chart,
    inside_together_control,
    inside_verdict,
    inside_weights,
)
from attn.ui.stories.running import story_stands_alone
from attn.ui.width import page_plot_height
from attn.ui.word_level import word_level_of
from attn.words import capital

page = ui.begin_page("inside", "What does every head look at?", Setup)

alone = story_stands_alone(page)  # then what moves the map of all heads, and one head, would move nothing in sight
with st.sidebar:
    first_control = st.container()  # for the number that the map shows, which the model says whether it has
    seldom = ("several", "pair", "order", "kept", "together", "colour")
    controls, more = st.container(), folded_controls(page, MORE, seldom)
with controls:
    model_and_text_controls(page, more)
try:
    source, loaded, recording = record_model_and_text(page, model_and_text_of(page), in_numpy=True, place=controls)
except pretrained.ModelError as error:
    model_refused(page, error)
tables = models.model_metrics(*source, page.get("level"))

with first_control:
    inside_metric_controls(page, recording.layers, shown=not alone)
with controls:
    layer = model_layer_and_head_control(page, recording.layers)
    if model_and_text_projections(loaded, layer) is None:
        page.adjust(measure="weight")
    elif not alone:
        st.segmented_control(
            "Show",
            MEASURES,
            format_func=MEASURES.get,
            key=page.key("measure"),
            required=True,
            help="A weight says how much a token looks at another; what it takes from there is the weight times the "
            "other's value. A large weight on a short value adds little, so Weight × value shows the length of what "
            "each key really adds to the output.",
        )
with more:
    if not alone:
        inside_order_control(page)
        inside_filter_control(page, tables[page.get("metric")])
        inside_together_control(page, layer)
    colour_scale_control(page)

setup = page.commit()
say_if_model_untrained(loaded)
models.say_model_note(loaded)
models.say_if_model_truncated(recording)
for note in media_notes(loaded, recording, layer):
    st.caption(note)
theme, width = ui.page_theme(), ui.page_width()
numbers = tables[setup.metric]
page.tell(**inside_results(numbers, setup))


def open_head(row, column=None):
    """Open the head that was clicked, in the map (layer and head) or in the list (its place)."""
    at = (row, column) if column is not None else inside_listed_heads(numbers, setup)[row]
    page.set(layer=at[0] + 1, head=at[1] + 1, together=[])


def follow(row, column):
    """Draw the lines from the query that was clicked, or to the key."""
    if row < 0:
        page.set(cell=(setup.cell[0], places[1][column]), follow="key")
    else:
        page.set(cell=(places[0][row], setup.cell[1]), follow="query")


level = word_level_of(setup.level, layer.query_tokens, layer.key_tokens)
words, box = ui.page_columns([3, 2])
with words:
    inside_reading(setup, tables, layer, level)
with box:
    inside_verdict(page, source, loaded)
if not inside_first_heads(numbers, setup):
    st.info("Nothing to measure here: too few tokens come twice. Try the example with a phrase that comes twice.")


def codes():
    """Return the lines that draw every head as one number, and the chosen one."""
    return inside_code(setup, source, numbers, layer, scale, width)


ui.page_figure(
    inside_overview_charts(tables, setup, layer, theme, width),
    "inside.overview",
    on_pick=open_head,
    tables={setup.metric: lambda: charts.csv(numbers, *map(charts.counted, numbers.shape))},
    codes=codes,
    line=inside_line(setup, loaded),
)

rows, columns = level.labels
places = level.places
weights = inside_weights(setup, loaded, layer, level)
heads, named = inside_heads(setup), "words" if setup.level == "words" else "tokens"
together = inside_mean(weights)
what = ("mean of heads " if len(heads) > 1 else "head ") + ", ".join(str(head + 1) for head in heads)
titled = f"Layer {setup.layer}, {what}"
row, column = level.cell(setup.cell)
n_q, n_k = level.num_given  # what is behind only fills a sound up
hidden = inside_hidden(layer, level)
scale = {"kind": "magnitude"} if setup.measure != "weight" else colour_scale_of(setup.colour, together[:n_q, :n_k])


def matrix_tab():
    """Draw the heads in view as a matrix, on a picture or along a sound."""
    if grid := pretrained.patch_grid(recording, layer):
        ui.page_figure(
            inside_over_picture(source[2], level.on_patches(grid), together[row], row, rows[row], width),
            "inside.patches",
            on_pick=lambda row, column: page.set(cell=(inside_patch_number(grid, row, column), setup.cell[1])),
            tables={"patches": lambda: charts.csv(together[[row]], [rows[row]], columns)},
        )
    shares, written = inside_picture_shares(layer, heads, level)
    if len(written):
        ui.page_figure(
            inside_share_chart(shares, written, width),
            "inside.share",
            tables={"share_of_picture": lambda: charts.csv(shares[:, None], written, ["share of the picture"])},
        )
    if recording.seconds and layer.kind != "decoder":
        ui.page_figure(
            inside_over_sound(
                source[2], recording.seconds, together[row], f"Where {rows[row]} looks", width, recording.sound_seconds
            ),
            "inside.sound",
            tables={"moments": lambda: charts.csv(together[[row]], [rows[row]], columns)},
        )
    picture, choose = exact_window_panel(
        page, together, rows, columns, (row, column), titled, places=places, hidden=hidden, **scale
    )
    ui.page_figure(
        charts.panels(theme, width, picture, tallest=page_plot_height(620)),
        "inside.matrix",
        on_pick=choose,
        tables={"head": lambda: charts.csv(together, rows, columns)},
        codes=codes,
    )


def lines_tab():
    """Draw the heads in view as lines between tokens."""
    only = st.segmented_control(
        "Lines",
        LINES,
        format_func=LINES.get,
        key=page.key("follow"),
        required=True,
        help="Choose a token on the left to see where it looks, on the right to see who looks at it.",
    )
    if max(n_q, n_k) > charts.MOST_LINED:
        st.caption(f"Lines are drawn between the first {charts.MOST_LINED} {named}.")
    at = {"query": {"query": row}, "key": {"key": column}}.get(only, {})
    given, names = weights[:, :n_q, :n_k], (rows[:n_q], columns[:n_k])
    if faint := inside_faint_lines(given, **at):
        st.caption(faint)
    picture = charts.lines(given, *names, theme, heads=heads, select="token", across=int(width / 2), **at)
    ui.page_figure(charts.beside(picture), "inside.lines", on_pick=follow)


def query_tab():
    """Draw one query: its keys in order, and the products of its score with one of them."""
    with st.container(horizontal=True):
        ui.page_token_control(page, "Query", rows[:n_q], 0, places[0][:n_q])
        ui.page_token_control(page, "Key", columns[:n_k], 1, places[1][:n_k])
    title = f"Layer {setup.layer}, head {heads[0] + 1}: where {rows[row]} looks"
    bars = query_row_bars(weights[0][row], columns[:n_k], column, title, **scale)
    if left_out := query_row_left_out(weights[0][row], n_k):
        st.caption(left_out)
    if setup.level == "words":
        ui.page_figure(charts.beside(bars), "inside.query")
        st.caption("Only pieces have queries and keys. Choose Pieces among the controls to see how they multiply.")
        return
    query, key = inside_one_product(layer, heads[0], row, column)
    products = query_row_products(query, key, rows[row], columns[column])
    ui.page_figure(charts.above(bars, products), "inside.query")
    st.caption(PRODUCTS_SENTENCE)
    st.markdown(inside_from_products_to_weight(layer, heads[0], row, column, query, key))


def heads_tab():
    """Draw every head of the model small."""
    of_kind = [one.index for one in recording.layers if (one.kind, one.part) == (layer.kind, layer.part)]
    at = of_kind.index(layer.index), setup.head - 1
    every = models.model_every_head(*source, layer.kind, layer.part, MOSAIC, setup.level)
    st.caption(
        f"One small map for every head, of the first {MOSAIC} tokens at most: rows look at columns. A line on the "
        "diagonal is tokens that look at themselves; one step below it, at the token before; one step above, at the "
        "one after. A column in colour is one token at which almost all look."
    )
    masked = inside_every_hidden([recording.layers[at] for at in of_kind], setup.level, every.shape[-2:])
    picture = charts.mosaic(
        every, theme, title="All heads", pick=charts.Pick("head", at), width=max(width, MOSAIC_WIDTH),
        tallest=page_plot_height(1200),
        hidden=inside_left_out(numbers, setup.kept)[of_kind][:, : every.shape[1], None, None] | masked[:, None],
        **colour_scale_of(setup.colour, every),
    )  # fmt: skip
    ui.page_figure(charts.beside(picture), "inside.all", on_pick=lambda row, column: open_head(of_kind[row], column))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"Framed: {inside_kind_in_words(setup, tables, layer, level)}", width="content")
        st.button("Open it as a matrix", on_click=page.set, kwargs={"tab": "matrix"}, key=page.key("open"))


def rollout_tab():
    """Draw what reaches each place through all layers."""
    if models.model_last_queries(layer):
        st.caption(f"Rollout multiplies the maps of all layers, for texts of up to {models.MOST_WHOLE} tokens.")
    elif layer.kind == "cross":
        st.caption("Rollout follows one text through the layers. Choose a layer of the encoder or of the decoder.")
    else:
        st.caption(
            f"How much of each token has reached each place after layer {setup.layer}? In every layer up to this one "
            "the mean of the heads is taken, and the layers are multiplied. Half of every token passes each layer "
            "unchanged, as beside the attention of a real layer (Abnar and Zuidema, 2020)."
        )
        mixed = models.model_rollout(*source, layer.index, setup.level)
        unreached = None if hidden is None else hidden & (mixed == 0)  # layers together reach beyond a window
        if (filled := pretrained.filler_cells(layer)) is not None:
            unreached = unreached | level.hidden(filled)
        picture = charts.panel(
            mixed, rows, columns, title="Rollout", hidden=unreached, **colour_scale_of(setup.colour, mixed[:n_q, :n_k])
        )
        ui.page_figure(
            charts.panels(theme, width, picture, tallest=page_plot_height(620)),
            "inside.rollout",
            tables={"rollout": lambda: charts.csv(mixed, rows, columns)},
        )


SHOWN = {
    "matrix": matrix_tab,
    "lines": lines_tab,
    "query": query_tab,
    "heads": heads_tab,
    "rollout": rollout_tab,
    "code": lambda: ui.page_code(page, codes()),
}
grey = () if hidden is None else hidden[row]
told = inside_one_query_reading(setup, together[row], rows[row], columns, column, grey, capital(what))
if setup.measure == "weight" and len(heads) == 1:
    told += strongest_look_in_words(setup, layer, level, row, columns[column])
st.markdown(told)
model_name = source[0].name if models.is_in_numpy(source[0]) else source[0]
why_link((model_name, *source[1:]), loaded.family, setup.layer, setup.head, setup.cell)
ui.page_tabs(page, TABS, SHOWN)
ui.page_sources(page)
ui.page_next(page)
