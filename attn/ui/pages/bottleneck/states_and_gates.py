"""The tab of hidden states and gates, symbol by symbol."""

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures.seq2seq import Bahdanau
from attn.charts.labels import number
from attn.charts.plane import least_plane
from attn.ui.page import page_figure, page_theme
from attn.ui.pages.bottleneck.setup import PARTS, SIDES
from attn.ui.state import as_text
from attn.ui.terms import terms_help
from attn.ui.width import page_width

GATES = {
    "state": "State",
    "cell": "Cell",
    "update_gate": "Update gate",
    "reset_gate": "Reset gate",
    "forget_gate": "Forget gate",
    "input_gate": "Input gate",
    "output_gate": "Output gate",
}

_NAMES = 70  # pixels that the numbers of the rows take
_LEAST_MAP = 200  # pixels across of a map beside others, whose symbols are all named
_HIGH, _HIGH_ALONE = 300, 576  # pixels down of maps side by side, and of one alone, whose rows are told apart


_OPEN = {
    "update gate": "Where it is open, a number is written anew; where it is closed, the number is kept. Where the "
    "reset gate is closed, what is written does not look at the old state.",
    "forget gate": "Where it is open, a number is kept.",
}


def states_and_gates_tab(state, result):
    """Draw what a model carries from symbol to symbol, and the gates that decide it."""
    left, right = st.columns(2)
    left.segmented_control(
        "Model", SIDES, format_func=SIDES.get, key=state.key("side"), required=True, help="Whose states are shown."
    )
    side = getattr(result, state.get("side"))
    if side.written.steps is None:
        _every_head(side, result)
        return
    parts = [name for name in PARTS if name != "backward" or isinstance(side.model, Bahdanau)]
    if state.get("part") not in parts:
        state.adjust(part=parts[0])
    right.segmented_control(
        "While", parts, format_func=PARTS.get, key=state.key("part"), required=True,
        help="What the model is doing: reading the input, from the front or from the back, or writing the answer.",
    )  # fmt: skip
    steps, labels = _part(side, state.get("part"), result)
    keeping = steps.forget_gate if "forget_gate" in steps._fields else 1 - steps.update_gate
    order = np.argsort(-keeping.mean(axis=0), kind="stable")  # what is kept longest on top
    gate = "forget gate" if "forget_gate" in steps._fields else "update gate"
    st.markdown(
        f"Each column is one symbol, each row one of the {len(order)} numbers that *{side.title}* carries from symbol "
        f"to symbol; those it keeps longest are on top. Its {gate} decides how much it keeps: at each symbol the first "
        f"keeps **{keeping[:, order[0]].mean():.0%}** of itself on average, the last "
        f"**{keeping[:, order[-1]].mean():.0%}**. {_OPEN[gate]}",
        help=terms_help("gate", "hidden state"),
    )
    page_figure(_gates(steps, order, labels), f"bottleneck.states.{type(steps).__name__}")
    if isinstance(side.model, Bahdanau):
        if state.get("part") == "decoder":
            with st.expander("What the paper says, and where it says two things"):
                st.markdown(_of_writing(side, result))
        else:
            st.markdown(_of_reading(side, result))


def _of_writing(side, result):
    """Say what the paper says about the decoder, and where it says two things."""
    n_x, n_y = len(result.columns), len(side.symbols)
    return (
        f"$U_a h_j$ does not depend on the row, so it is computed {n_x} times and not {n_x} × {n_y}. In the paper "
        "(Bahdanau et al., 2015), equation 4 makes the output a function of $s_i$, appendix A.2.2 one of $s_{i-1}$; "
        "these models follow the appendix. $W_a$ is n × n in A.1.2 and n′ × n in A.2.2, which is the same there: both "
        "are 1000. The gated unit is the paper's. That of torch.nn.GRU resets after the product instead of before it, "
        "and keeps a number where its update gate is open."
    )


def _of_reading(side, result):
    """Say which half of the first annotation hears of the last symbol, by changing that symbol."""
    if len(result.source) < 2:
        return "With a longer input, the two directions differ in what they have read of it."
    source = result.task.source_ids(result.source)
    source[-2] = (source[-2] + 1) % (len(result.task.source_symbols) - 1)
    moved = np.abs(side.model.read(source).annotations - side.written.read.annotations)[0]
    forward, backward = (number(half.max()) for half in np.split(moved, 2))
    other, last = (as_text(symbol) for symbol in (result.task.source_symbols[source[-2]], result.source[-1]))
    return (
        "What the model keeps of a symbol has two halves: one that was read from the front, and one from the back. Put "
        f"**{other}** in place of the last symbol, **{last}**: of **{as_text(result.columns[0])}** the half from the "
        f"front then moves by {forward}, the half from the back by {backward}. Only that one has read the end by then."
    )


def _part(side, part, result):
    """Return the steps of one part of a model, and what the columns are called."""
    if part == "decoder":
        return side.written.steps, charts.token_labels(side.symbols)
    steps = side.written.read.steps
    if isinstance(side.model, Bahdanau):
        steps = steps.forward if part == "encoder" else steps.backward
    return steps, result.columns


def _gates(steps, order, labels):
    """Draw the state and every gate, units down and symbols across."""
    names = [name for name in GATES if name in steps._fields]
    rows = [names] if len(names) <= 3 else [names[:2], names[2:]]
    most = max(1, int((page_width() - _NAMES) // _LEAST_MAP))  # side by side
    height = _HIGH if most > 1 else _HIGH_ALONE
    drawn = []
    for shown in (row[at : at + most] for row in rows for at in range(0, len(row), most)):
        size = int(least_plane((page_width() - _NAMES) / len(shown) - 24)), height
        drawn.append(charts.beside(*(_gate(steps, name, order, labels, size, name == shown[0]) for name in shown)))
    return charts.above(*drawn)


def _gate(steps, name, order, labels, size, first):
    """Draw one of them."""
    kind = {"kind": "signed"} if name in ("state", "cell") else {"scale": charts.Scale(name="open")}
    return charts.heatmap(
        getattr(steps, name).T[order], charts.counted(len(order)), labels, page_theme(), title=GATES[name],
        style=charts.Style(square=False, numbers=False, row_labels=first), axes=("unit", "symbol"), size=size,
        **kind,
    )  # fmt: skip


def _every_head(side, result):
    """Draw what each head of a Transformer's cross-attention looks at."""
    weights = side.written.weights  # (num_layers, num_heads, T_y, T_x)
    num_layers, num_heads = weights.shape[:2]
    st.markdown(
        "A Transformer carries nothing from symbol to symbol: each reads all others anew. These are the heads of its "
        f"cross-attention; the figure above shows the mean of those in layer {num_layers}."
    )
    titles = [f"layer {layer + 1}, head {head + 1}" for layer in range(num_layers) for head in range(num_heads)]
    picture = charts.head_grid(
        weights.reshape(-1, *weights.shape[2:]), charts.token_labels(side.symbols), result.columns, page_theme(),
        titles=titles, per_row=num_heads, axes=("written", "read"), width=int(page_width()),
    )  # fmt: skip
    page_figure(charts.beside(picture), "bottleneck.every_head")
