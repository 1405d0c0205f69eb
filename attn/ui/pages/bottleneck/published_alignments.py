"""The tab with alignments read from figures of papers."""

import numpy as np
import streamlit as st

from attn import charts, trained
from attn.data import published
from attn.ui.controls.query_row import query_row_bars
from attn.ui.page import page_figure, page_theme
from attn.ui.pages.bottleneck.accuracy_by_length import LOOK_FOR
from attn.ui.pages.bottleneck.setup import PANELS
from attn.ui.state import as_text
from attn.ui.width import page_map_size, page_plot_height, page_width
from attn.words import share


def published_alignments_tab(state):
    """Draw one of the alignment matrices of the paper."""
    st.segmented_control(
        "Figure 3", PANELS, key=state.key("panel"), required=True, help="The four sentences of the paper's figure."
    )
    one = published.alignments()[state.get("panel")]
    row, column = (min(at, size - 1) for at, size in zip(state.get("cell"), one.weights.shape, strict=True))
    state.tell(row=row + 1, column=column + 1, attention=(one.target, one.source, one.weights))
    heaviest = np.argsort(-one.weights[row])[:3]
    words = ", ".join(f"{as_text(one.source[at])} {share(one.weights[row, at])}" for at in heaviest)
    st.markdown(
        "Where the model of Bahdanau et al. looked as it translated from English into French. "
        f"{LOOK_FOR[state.get('panel')]} To write **{as_text(one.target[row])}** it looks at {words}. Choose a row to "
        "see where it looked for another word."
    )
    rows, columns = charts.token_labels(one.target), charts.token_labels(one.source)
    matrix = charts.heatmap(
        one.weights, rows, columns, page_theme(), title=f"Bahdanau et al., Figure 3{state.get('panel')}",
        pick=charts.Pick("row", (row, column)), style=charts.Style(numbers=False), axes=("French", "English"),
        size=page_map_size(max(one.weights.shape), min(page_width() * 0.55, page_plot_height(640))),
    )  # fmt: skip
    bars = query_row_bars(one.weights[row], columns, column, f"To write {rows[row]}", width=int(page_width() * 0.16))
    page_figure(
        charts.beside(matrix, bars),
        f"bottleneck.published.{state.get('panel')}",
        on_pick=lambda row, column: state.set(cell=(row, column)),
        tables={f"figure_3{state.get('panel')}": lambda: charts.csv(one.weights, rows, columns)},
    )
    ours = trained.load("pair", "bahdanau")
    weights = sum(array.size for array in (ours.w_a, ours.u_a, ours.v_a))
    steps = trained.training_of("pair", "bahdanau").steps
    n = 1000  # the published model's width: W_a of n × n, U_a of n × 2n, v_a of n
    with st.expander("About these numbers"):
        st.markdown(
            "The authors' numbers are not public. These are read from the grey of each cell of the printed figure, "
            f"good to 0.01. Their model has states of {n} numbers and {n * n + n * 2 * n + n:,} parameters for the "
            "alignment, and was trained for about five days. The model on this page has states of "
            f"{ours.decoder.n} numbers and {weights:,} parameters for the alignment, and was trained for {steps:,} "
            "steps."
        )
