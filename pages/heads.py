"""Heads: several attentions at once, keys and values shared or not, merged into one output."""

from functools import partial

import streamlit as st

from attn import charts, ui
from attn.charts.heatmap import MOST_NUMBERS
from attn.multi_head import divisors, merge_heads
from attn.ui.controls.colour_scale import colour_scale_control, colour_scale_of
from attn.ui.controls.mask import mask_controls
from attn.ui.controls.sentence import (
    WRITTEN,
    need_sentence_words,
    say_if_sentence_cut,
    sentence_control,
    sentence_in_a_trained_model,
    sentence_seed_control,
    sentence_source_control,
    sentence_words,
    whose_untrained_numbers,
)
from attn.ui.pages.heads import MODES, MOST_HEADS, TABS, Setup, compute_heads_page, heads_page_code, heads_page_picture
from attn.ui.state import chosen_look
from attn.ui.width import page_map_size, page_plot_height

KEYS_ALONE = " Only the keys know where a word stands: that changes who looks at it, and not what it hands on."

page = ui.begin_page("heads", "What do several heads see at once?", Setup)


def sets_control():
    """Draw the choice of how many key/value heads there are; all of them are as many as query heads, however many."""
    key, most = page.key("sets"), page.get("num_heads")
    st.session_state[key] = page.choices().sets

    def take():
        chosen = st.session_state[key]
        page.set(num_kv_heads=MOST_HEADS if chosen == most else chosen)

    st.select_slider(
        "Key/value heads",
        divisors(most),
        key=key,
        on_change=take,
        help="How many sets of keys and values there are: one for each query head (multi-head), one for all "
        "(multi-query) or one for each group (grouped-query). It must divide the number of query heads.",
    )


with st.sidebar:
    if page.get("source") == "random":  # first what the first sentence speaks of
        st.slider(
            "Query heads",
            1,
            MOST_HEADS,
            key=page.key("num_heads"),
            help="How many heads there are, each with queries of its own.",
        )
        if page.get("num_heads") > 1:
            sets_control()
    sentence_source_control(page)
    st.segmented_control(
        "Reads from",
        MODES,
        format_func=MODES.get,
        key=page.key("mode"),
        required=True,
        help="In self-attention the words of a sentence look at one another, in cross-attention at those of a second "
        "sentence.",
    )
    if page.get("source") == "worked":
        st.caption(
            "The worked example has four heads, with 2 numbers per key and 1 per value. Its cross-attention has one "
            "head, which looks at eight tokens."
        )
        n = 6
    else:
        sentence_control(page)
        if page.get("mode") == "cross":
            sentence_control(page, "second", "Second sentence, which is looked at")
        n = len(sentence_words(page.get("text")))
        sentence_seed_control(page)
        st.slider("d_model", 1, 128, key=page.key("d_model"), help="How many numbers stand for each token.")
        st.slider("d_k", 1, 64, key=page.key("d_k"), help="How many numbers a query and a key of a head have.")
        st.slider("d_v", 1, 64, key=page.key("d_v"), help="How many numbers a value of a head has.")
        st.toggle("Output projection", key=page.key("project"), help="A matrix $W_O$ mixes the results of the heads.")
        st.toggle(
            "Output gate", key=page.key("gate"),
            help="Each token decides how much of every number from its heads gets through (Qiu et al., 2025).",
        )  # fmt: skip
        st.toggle(
            "Positions in the keys alone", key=page.key("key_positions"),
            help="Keys are made from vectors that also say where a token stands, values from vectors that do not, as "
            "where DETR looks at a picture (Carion et al., 2020).",
        )  # fmt: skip
    if n and page.get("mode") == "self":
        mask_controls(page, n)
    colour_scale_control(page)

if page.get("source") == "random":
    need_sentence_words(page, "text", *(["second"] if page.get("mode") == "cross" else []))
setup = page.commit()
theme = ui.page_theme()
result = compute_heads_page(setup)
if setup.source == "random":
    say_if_sentence_cut(setup.text)
page.tell(cache_share=1 - result.saved, tokens=len(result.tokens))
steps, parameters = result.steps, result.parameters
rows, columns = charts.token_labels(result.tokens), charts.token_labels(result.memory_tokens)
num_heads, num_kv_heads = parameters.num_heads, parameters.num_kv_heads
head = min(setup.head, num_heads) - 1

scale, grouped = colour_scale_of(setup.colour, steps.weights), not ui.window_low_for_hall()
if num_kv_heads == num_heads and chosen_look().present:  # no head shares, and the maps need the room
    grouped = False
tallest = ui.page_tallest(135 if grouped else 20)


def trained_heads_links():
    """Draw the ways to a trained model that reads the same sentence: to one head of it, and to all of them."""
    sentence_in_a_trained_model(setup)
    st.page_link(
        "pages/inside.py", label="All heads of a layer of it", icon=":material/arrow_forward:", width="content",
        query_params={"text": WRITTEN.get(setup.source, setup.text), "tab": "heads"},
    )  # fmt: skip


ui.page_reading(
    f"{whose_untrained_numbers(setup)} One softmax gives one mixture. Several heads look at several places for "
    f"several reasons{result.as_wide}. "
    f"{result.sharing}{result.gating}"
    f"{KEYS_ALONE if setup.source == 'random' and setup.key_positions else ''} {ui.as_text(result.words)} "
    "Choose a head to see it large.",
    ui.page_formula("Z") + r"\quad\text{in each head}",
    result.shapes,
    beside=trained_heads_links,
)
codes = partial(heads_page_code, setup, result, head, scale, ui.page_width(), tallest, grouped)
ui.page_figure(
    partial(
        heads_page_picture,
        steps,
        parameters,
        result.hidden,
        rows,
        columns,
        head,
        scale,
        theme,
        ui.page_width(),
        tallest,
        grouped,
    ),
    "heads.grid",
    on_pick=lambda head: page.set(head=head + 1),
    tables={f"head_{head + 1}_weights": lambda: charts.csv(steps.weights[head], rows, columns)},
    codes=codes,
)
if result.alike:
    st.caption(result.alike)

now, full = result.cache
numbers = st.columns(3)
numbers[0].metric(
    "Parameters", f"{parameters.count:,}", help="The numbers in all matrices of this layer, which training would set."
)
numbers[1].metric(
    "Cache per token",
    f"{now:,} bytes",
    None if now == full else f"-{result.saved:.0%} against multi-head",
    delta_color="inverse",
    help="A model that writes keeps the keys and values of every token it has read, in each layer: so many bytes.",
)
numbers[2].metric(
    "Output",
    " × ".join(map(str, steps.output.shape)),
    help="Tokens × numbers per token, after $W_O$ has mixed the heads if it is there.",
)
st.caption(result.cache_products)


def one_tab():
    """Draw the chosen head large."""
    title, cell = f"Head {head + 1}", result.cell(head, setup.cell)
    st.markdown(f"{result.most(head)}{result.cell_reading(head, cell)} Choose a cell to read its weight.")
    ui.page_figure(
        charts.panels(
            theme,
            ui.page_width(),
            charts.panel(
                steps.weights[head],
                rows,
                columns,
                hidden=result.hidden,
                title=title,
                pick=charts.Pick("cell", cell),
                style=charts.Style(numbers=True if steps.weights[head].size <= MOST_NUMBERS else None),
                **scale,
            ),
            tallest=page_plot_height(),
        ),
        "heads.one",
        on_pick=lambda row, column: page.set(cell=(row, column)),
    )


def merged_tab():
    """Draw the heads side by side, and the output made of them."""
    widths, outputs = charts.counted(steps.concat.shape[1]), charts.counted(steps.output.shape[1])
    if steps.gate is not None:
        gate = merge_heads(steps.gate)
        ui.page_figure(
            charts.panels(
                theme,
                ui.page_width(),
                charts.panel(
                    gate, rows, widths, title="Gate", axes=("token", "dimension"), scale=charts.Scale(1, name="gate")
                ),
                tallest=page_plot_height(),
            ),
            "heads.gate",
            tables={"gate": lambda: charts.csv(gate, rows, widths)},
        )
        st.caption(
            "Each number of each head's context is multiplied by its gate, from 0 to 1, before heads are joined."
        )
    most = min(640, page_plot_height(640) * max(1, len(widths) / len(rows)))
    wide = page_map_size(len(widths), most, beside=110)
    ui.page_figure(
        charts.beside(charts.concat_map(steps.concat, num_heads, rows, theme, title="Concatenation", size=wide)),
        "heads.concat",
        tables={"concatenation": lambda: charts.csv(steps.concat, rows, widths)},
    )
    st.caption(
        "Each band is one head's context: what each token takes from the others by this head. "
        + (
            "W_o then mixes the bands into the output."
            if parameters.w_o is not None
            else "Side by side they are the output."
        )
    )
    output = charts.panel(steps.output, rows, outputs, kind="signed", title="Output", axes=("token", "output"))
    ui.page_figure(charts.panels(theme, ui.page_width(), output, tallest=page_plot_height()), "heads.output")


SHOWN = {
    "one": one_tab,
    "merged": merged_tab,
    "code": lambda: ui.page_code(page, codes()),
}
ui.page_tabs(page, TABS, SHOWN)
ui.page_sources(page)
ui.page_next(page)
