"""The ledger of a score: the pairs of parts that made it, ranked, and how the score becomes a weight."""

import functools

import numpy as np
import streamlit as st

from attn import charts, models
from attn.charts.labels import label_pixels, number
from attn.models import ledger
from attn.ui.numpy_code import Paragraph, numpy_code
from attn.ui.numpy_models import numpy_model_code
from attn.ui.page import page_columns, page_figure, page_reading, page_theme, page_token_control
from attn.ui.pages.why.part_names import group_label, part_in_words, part_label
from attn.ui.pages.why.setup import MEASURES, MOST_TOKENS, attention_in, cell_in_text, why_code
from attn.ui.shared_results import kept_with_models
from attn.ui.shown_code import LIGHT, Codes, shown_code
from attn.ui.state import as_text
from attn.ui.width import page_map_size, page_share, page_tallest, page_width, window_low_for_hall

_FIRST_LINE = 40  # pixels of what the page is about, above the figure
_SCALE = 60  # pixels that a scale of colour, given up in a low window with words for a hall, leaves the map
MOST_PAIRS, _PAIRS_LOW = 12, 6  # that have a bar of their own, and in such a window
FORMULA = r"s_{ij} = c \sum_{a,\,b} q_i^a \cdot k_j^b"


@kept_with_models
@st.cache_data(max_entries=64, show_spinner=False)
def score_ledger_of(name, _reading, text, layer, head, query, key, *, saved=None):
    """Return the ledger of a score, kept for all visitors who ask for the same."""
    return ledger.score_ledger(_reading.model, _reading.passed, layer, head, query, key)


def ledger_tab(state, reading):
    """Draw the map of a head, and of the cell in view the pairs that made its score."""
    setup = state.choices()
    layer, head, (query, key) = setup.layer - 1, setup.head - 1, cell_in_text(state, reading)
    made = score_ledger_of(setup.model, reading, setup.text, layer, head, query, key)
    attention = attention_in(reading.passed, layer)
    score = float(attention.scores[head, query, key])
    page_reading(_sentence(reading, made, query, key), FORMULA, terms=("score", "residual"))
    line = _line(reading, setup, made, query, key)
    shares = _shares()
    left, right = page_columns(shares, figures=True)
    with left:
        _head_map(state, reading, attention, head, (query, key), setup, line, shares[0])
    with right:
        with st.container(horizontal=True):
            st.segmented_control(
                "Map of", MEASURES, format_func=MEASURES.get, key=state.key("measure"), required=True,
                help="The score is what the ledger takes apart; the softmax over a row of scores makes the weights.",
            )  # fmt: skip
            page_token_control(state, "Query", reading.labels, 0)
            page_token_control(state, "Key", reading.labels, 1)
        labels = ledger_labels(reading, made, query, key)
        width = _bars_width(labels)
        page_figure(
            functools.partial(ledger_bars, ledger_shares(made, _most_pairs()), labels, page_theme(), width),
            "why.ledger",
            room=page_share(shares[1], column=True),
            tables={"ledger": lambda: _table(reading, made, query, key)},
            codes=lambda: _ledger_code(reading, setup, (query, key)),
            line=line,
        )
        st.caption(
            "2.5 of 3 animal: what head 5 of layer 2 copied from there. Segment: which of two texts a token is in. "
            "Biases of 4: what layer 4 adds to every token alike. The map below has all pairs."
        )
    _account(reading, made, score, attention, head, query, key)
    _by_layer(made)
    why_code(state, lambda: _ledger_code(reading, setup, (query, key)))


def _shares():
    """Return how map and bars share the page: with words for a hall the names of parts need more of it."""
    return (0.44, 0.56) if window_low_for_hall() else (1 / 2, 1 / 2)


def _most_pairs():
    """Return how many pairs have a bar of their own."""
    return _PAIRS_LOW if window_low_for_hall() else MOST_PAIRS


def _head_map(state, reading, attention, head, cell, setup, line, share):
    """Draw the weights or scores of the head in view, a cell to be clicked."""
    seen = np.isfinite(attention.masked_scores[head])
    values = attention.weights[head] if setup.measure == "weights" else attention.scores[head]
    tallest = page_tallest(_FIRST_LINE - _SCALE * window_low_for_hall())
    beside = page_width() - page_share(share, column=True) + max(map(label_pixels, reading.labels)) + 40
    picture = charts.heatmap(
        values, reading.labels, reading.labels, page_theme(),
        kind="weights" if setup.measure == "weights" else "signed",
        title=f"Layer {setup.layer} head {setup.head}: {MEASURES[setup.measure].lower()}",
        hidden=None if seen.all() else ~seen, pick=charts.Pick("cell", cell),
        size=page_map_size(len(values), tallest, beside),
    )  # fmt: skip
    page_figure(
        charts.beside(picture),
        "why.map",
        on_pick=lambda row, column: state.set(cell=(row, column)),
        tables={"head": lambda: charts.csv(values, reading.labels, reading.labels)},
        line=line,
    )
    st.caption("Choose a cell for its own account.")


def ledger_labels(reading, made, query, key):
    """Return the labels of the bars of a ledger: the strongest pairs, and all others together."""
    largest = made.largest(min(_most_pairs(), made.table.size))
    labels = [f"{part_label(reading, a, query)} × {part_label(reading, b, key)}" for a, b, _ in largest]
    rest = made.table.size - len(largest)
    return [*labels, f"the other {rest:,} pairs"] if rest else labels


def ledger_shares(made, most):
    """Return how far each of the strongest pairs moved a score, and at the end all others together."""
    largest = made.largest(min(most, made.table.size))
    shares = [share for _, _, share in largest]
    if made.table.size > len(largest):
        shares.append(made.score - sum(shares))
    return shares


def ledger_bars(shares, labels, theme, width):
    """Draw the pairs of a ledger as bars around 0."""
    title = "Query's part × key's part"
    picture = charts.bars(
        shares, labels, theme, kind="signed", title=title, width=width, scale=charts.Scale(name="share of the score")
    )
    return charts.beside(picture)


def _sentence(reading, made, query, key):
    """Say which pair made most of the score in view."""
    asks, asked = as_text(reading.labels[query]), as_text(reading.labels[key])
    ((a, b, share),) = made.largest(1)
    return (
        f"**{asks}** looks at **{asked}** with a score of {number(made.score)}. Each token's state is a sum of parts, "
        f"so the score is a sum over pairs of parts. The strongest is {part_in_words(reading, a, query)} × "
        f"{part_in_words(reading, b, key)} ({number(share)})."
    )


def _line(reading, setup, made, query, key):
    """Say in a line whose score is taken apart, and which pair made most of it."""
    asks, asked = as_text(reading.labels[query]), as_text(reading.labels[key])
    ((a, b, share),) = made.largest(1)
    strongest = f"{part_in_words(reading, a, query)} × {part_in_words(reading, b, key)} (**{number(share)}**)"
    return (
        f"Layer {setup.layer}, head {setup.head} · **{asks}** looks at **{asked}**: score **{number(made.score)}** · "
        f"the strongest pair: {strongest}"
    )


def _account(reading, made, score, attention, head, query, key):
    """Say how far the sum is from the score, and what becomes of the score."""
    cap = getattr(reading.model, "softcap", None)
    capped = cap * np.tanh(made.score / cap) if cap else made.score
    seen = np.isfinite(attention.masked_scores[head, query])
    weight = float(attention.weights[head, query, key])
    lines = [
        "| step | number |", "|---|---|",
        f"| sum of all {made.table.size:,} pairs, the scale in it | {made.score:.6f} |",
        *([f"| after the softcap of ±{cap:g} | {capped:.6f} |"] if cap else []),
        f"| score that the model computed | {score:.6f} |",
        f"| **difference of the two** | **{number(abs(capped - score), 2)}** |",
        f"| softmax over the {int(seen.sum())} keys that it sees: weight | {weight:.6f} |",
    ]  # fmt: skip
    st.markdown("\n".join(lines))
    if not seen[key]:
        st.caption("The query may not look at this key: the mask hides the score, and its weight is 0.")
    st.caption(
        "Each norm is held at the scale that it really had, so a share says what the part itself gave to this score. "
        "Without the part the scale would change, too, and so would all that later parts made of it."
    )


def _by_layer(made):
    """Draw the whole account, the heads of each layer joined."""
    joined = ledger.grouped(made)
    rows, columns = ([group_label(part) for part in side] for side in (joined.query_parts, joined.key_parts))
    st.markdown(
        "All pairs at once, the heads of each layer joined: a row is a part of the query's token, a column one of the "
        "key's, and all cells together are the score."
    )
    size = page_map_size(max(len(rows), len(columns)), page_tallest(most=560), beside=130)
    page_figure(
        functools.partial(ledger_map, joined.table, rows, columns, page_theme(), size),
        "why.by_layer",
        tables={"by_layer": lambda: charts.csv(joined.table, rows, columns)},
    )


def ledger_map(table, rows, columns, theme, size):
    """Draw a ledger as a map."""
    picture = charts.heatmap(
        table, rows, columns, theme, kind="signed", title="Who of the query met whom of the key", size=size,
        axes=("query", "key"), scale=charts.Scale(name="share of the score"), style=charts.Style(numbers=False),
    )  # fmt: skip
    return charts.beside(picture)


def _table(reading, made, query, key):
    """Return the whole ledger as CSV."""
    rows = [part_label(reading, part, query) for part in made.query_parts]
    columns = [part_label(reading, part, key) for part in made.key_parts]
    return charts.csv(made.table, rows, columns)


def _bars_width(labels):
    """Return the pixels of the bars beside their labels."""
    return int(page_share(_shares()[1], column=True) - max(map(label_pixels, labels)) - 40)


def _ledger_code(reading, setup, cell):
    """Return the lines that compute the ledger of the cell in view, and those that draw it."""
    opening = numpy_model_code(setup.model, setup.text, MOST_TOKENS, reading.opened)
    settings = {"layer": setup.layer - 1, "head": setup.head - 1, "query": cell[0], "key": cell[1]}
    made = "from attn.models import ledger\nmade = ledger.score_ledger(model, passed, layer, head, query, key)"
    labels = ledger_labels(reading, ledger.score_ledger(reading.model, reading.passed, *settings.values()), *cell)
    return Codes(
        numpy=_numpy_code(reading, settings, opening),
        attn=lambda: shown_code(
            settings, opening, made, "print(round(made.score, 6))\nfor a, b, share in made.largest(12):\n"
            "    print(f\"{share:9.4f}\", *a, \"×\", *b)",
        ),
        draw=lambda: shown_code(
            settings | {"most": _most_pairs(), "labels": labels, "theme": LIGHT, "width": _bars_width(labels)},
            opening, made, ("shares", ledger_shares), ("picture", ledger_bars), 'charts.save(picture, "why.svg")',
        ),
    )  # fmt: skip


_OF_BERT = """
own = model.layers[layer].attention
columns = slice(head * own.d_k, (head + 1) * own.d_k)  # of this head
q = np.vstack([asking @ own.w_q[:, columns], own.b_q[columns]])
k = np.vstack([asked @ own.w_k[:, columns], own.b_k[columns]])
scale = 1 / np.sqrt(own.d_k)
"""
_OF_LLAMA = """
own = model.layers[layer]
asking, asked = (
    parts / np.sqrt((parts.sum(axis=0) ** 2).mean() + model.epsilon) * own.attention_norm
    for parts in (asking, asked)
)
group = head // (model.num_heads // model.num_kv_heads)
q = asking @ own.w_q[:, head * model.d_k : (head + 1) * model.d_k]
k = asked @ own.w_k[:, group * model.d_k : (group + 1) * model.d_k]
scale = model.scale
"""
_TURNED = """
def turned(rows, position):
    half = rows.shape[1] // 2
    angles = position * base ** (-np.arange(half) / half)
    cos, sin = np.cos(angles), np.sin(angles)
    first, second = rows[:, :half], rows[:, half:]
    return np.hstack([first * cos - second * sin, second * cos + first * sin])


q, k = turned(q, query), turned(k, key)
"""


def _numpy_code(reading, settings, opening):
    """Return what makes the lines that take a score apart in numpy, of families whose steps they hold; else None."""
    model = reading.model
    own = model.layers[settings["layer"]]
    if isinstance(model, models.bert.Bert):
        lines = _OF_BERT
    elif isinstance(model, models.llama.Llama) and own.query_norm is None and own.b_q is None and own.rope:
        rope = model.ropes[own.rope]
        if rope.get("rope_type", "default") != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
            return None
        lines = f"{_OF_LLAMA}base = {rope['rope_theta']}\n{_TURNED}"
    else:
        return None
    chosen = "\n".join(f"{name} = {value}" for name, value in settings.items())
    return lambda: numpy_code(
        Paragraph("The pass of the text, by attn, and the chosen cell, counted from 0", f"{opening}\n{chosen}"),
        Paragraph(
            "What each state that the layer reads is a sum of: (parts, d_model)",
            "from attn.models import ledger\n"
            "asking = ledger.state_parts(model, passed, layer, query).vectors\n"
            "asked = ledger.state_parts(model, passed, layer, key).vectors",
        ),
        Paragraph("Each part through the norm at its real scale, and the head's matrices: (parts, d_k)", lines),
        Paragraph(
            "Every part of the query with every part of the key, and their sum",
            "table = scale * q @ k.T\nprint(table.shape, table.sum().round(6))\n"
            "print(-np.sort(-table.ravel())[:12].round(4))",
        ),
    )
