"""The ledger of a score: the pairs of parts that made it, ranked, and how the score becomes a weight."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import aligned_labels, label_pixels, number
from attn.models import ledger
from attn.models.layer_parts import layer_attention
from attn.ui.page import page_columns, page_figure, page_reading, page_theme, page_token_control
from attn.ui.pages.why.ledger_in_numpy import ledger_numpy_code
from attn.ui.pages.why.method import ledger_method, why_method
from attn.ui.pages.why.part_names import part_in_words
from attn.ui.pages.why.setup import (
    AGAINST,
    BARS_OF,
    MEASURES,
    MOST_PAIRS,
    cell_in_text,
    why_against,
    why_code,
    why_opening,
    why_places,
)
from attn.ui.shared_results import kept_with_models
from attn.ui.shown_code import LIGHT, Source, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_map_size, page_share, page_tallest, page_width, window_low_for_hall
from attn.words import share

_FIRST_LINE = 50  # pixels of what the page is about, above the figure
_SCALE = 40  # pixels that a scale of colour, given up in a low window with words for a hall, leaves the map
_BESIDE_BARS, _BROKEN = 76, 0.6  # pixels for numbers and spaces beside bars; what is left of a name in two lines
_PAIRS_LOW = 6  # at most have a bar of their own in such a window
FORMULA = r"s_{ij} = c \sum_{a,\,b} q_i^a \cdot k_j^b"
AGAINST_FORMULA = {
    "key": r"s_{ij} - s_{ij'} = c \sum_{a,\,b} q_i^a \cdot (k_j^b - k_{j'}^b)",
    "mean": r"s_{ij} - \bar s_i = c \sum_{a,\,b} q_i^a \cdot (k_j^b - \bar k^b)",
}
_ROUNDING = 1e-6  # of the pairs without their signs; at most 3e-7 of them was seen, in two models
_SAVED = 'charts.save(picture, "why.svg")'


@kept_with_models
@st.cache_data(max_entries=64, show_spinner=False)
def score_ledger_of(name, _reading, text, layer, head, query, key, against, *, saved=None):
    """Return the ledger of a score, kept for all visitors who ask for the same."""
    return ledger.score_ledger(_reading.model, _reading.passed, layer, head, query, key, against)


def ledger_tab(state, reading):
    """Draw the map of a head, and of the cell in view the pairs that made its score."""
    setup = state.choices()
    layer, head, (query, key) = setup.layer - 1, setup.head - 1, cell_in_text(state, reading)
    attention = layer_attention(reading.passed, layer)
    against = why_against(setup, attention, head, query, key)
    made = score_ledger_of(setup.model, reading, setup.text, layer, head, query, key, against)
    formula = FORMULA if against is None else AGAINST_FORMULA[setup.against]
    weight = float(attention.weights[head, query, key])
    page_reading(
        _sentence(reading, setup, made, query, key, against, weight),
        formula,
        terms=("score", "residual", *_terms(made)),
    )
    line = _line(reading, setup, made, query, key, against)
    shares = _shares()
    left, right = page_columns(shares, figures=True)
    with left:
        _head_map(state, reading, attention, head, (query, key), setup, line, shares[0])
        with st.container(horizontal=True):
            page_token_control(state, "Query", reading.labels, 0)
            page_token_control(state, "Key", reading.labels, 1)
            st.segmented_control(
                "Map of", MEASURES, format_func=MEASURES.get, key=state.key("measure"), required=True,
                help="The score is what the ledger takes apart; the softmax over a row of scores makes the weights.",
            )  # fmt: skip
    with right:
        _bars(state, reading, made, (query, key), against, line)
    _account(reading, setup, made, attention, (query, key), against)
    why_method(ledger_method(reading.model, layer, made.query_parts), "elhage", "kobayashi_norms")
    _by_layer(reading, setup, made, (query, key), against)
    why_code(state, lambda: _ledger_code(reading, setup, (query, key), against))


def _against_controls(state, reading, against):
    """Draw what the score is held against."""
    st.selectbox(
        "Hold it against", AGAINST, format_func=AGAINST.get, key=state.key("against"),
        help="Why this key rather than that one? A weight hangs on how far a score is above the other scores of its "
        "query, and the difference of two scores is a table of pairs, too.",
    )  # fmt: skip
    if state.get("against") != "key" or not against:
        return
    widget = state.key("other_key.shown")
    st.session_state[widget] = against[0]
    st.selectbox(
        "The other key", range(len(reading.labels)), format_func=reading.labels.__getitem__, key=widget,
        on_change=lambda: state.set(other_key=st.session_state[widget] + 1),
        help="At first its strongest rival: the key with the largest score beside it.",
    )  # fmt: skip


def _bars(state, reading, made, cell, against, line):
    """Draw the strongest pairs as bars, and how many of them there are and of what."""
    setup = state.choices()
    joined, most = joined_ledger(made, setup.bars_of), _most_pairs(setup)
    labels = ledger_labels(joined, *cell, most, setup.bars_of, reading.labels, reading.passed)
    page_figure(
        functools.partial(ledger_bars, ledger_shares(joined, most), labels, page_theme(), *_bars_width(labels)),
        "why.ledger",
        tables={"ledger": lambda: _table(reading, made, *cell)},
        codes=lambda: _ledger_code(reading, setup, cell, against),
        line=line,
    )
    with st.container(horizontal=True):
        _against_controls(state, reading, against)
        st.segmented_control(
            "Bars of", BARS_OF, format_func=BARS_OF.get, key=state.key("bars_of"), required=True,
            help="Each part by itself; the heads of a layer as one part, and all biases; or all heads as one, all "
            "feed-forward networks as one.",
        )  # fmt: skip
        if not window_low_for_hall():
            st.slider(
                "Bars", 4, MOST_PAIRS, key=state.key("pairs"),
                help="How many pairs have a bar of their own; all others share the last one.",
            )  # fmt: skip
    alike = " What a pair gives to every key alike, the softmax cancels: "
    alike += (
        "hold the score against the mean of the keys to leave it out." if against is None else "it is left out here."
    )
    st.caption(f"{_rest_in_words(joined, most, setup.bars_of)} {_labels_in_words(reading, joined, cell, most)}{alike}")


def joined_ledger(made, bars_of):
    """Return a ledger with its parts joined as the bars show them."""
    return made if bars_of == "part" else ledger.grouped(made, bars_of)


def _rest_in_words(made, most, bars_of):
    """Say what the pairs without a bar of their own are."""
    order = np.sort(np.abs(made.table), axis=None)[::-1]
    if order.size <= most:
        return f"All {order.size} pairs have a bar."
    rest = np.array(sorted(made.table.ravel(), key=abs)[: order.size - most])
    up, down = float(rest[rest > 0].sum()), float(rest[rest < 0].sum())
    moved = np.array([share for *_, share in made.largest(most)])
    alone = ": no single pair decides" if abs(moved[0]) < abs(made.score) / 2 else ""
    return (
        f"The {most} bars above the last add up to {number(float(moved.sum()))} of {number(made.score)}{alone}. "
        f"The last bar is {rest.size:,} pairs together. None of them alone moves it by more than "
        f"{number(float(abs(rest).max()))}. Of these {rest.size:,} pairs, those for it add up to {number(up)}, those "
        f"against it to {number(down)}.{_sum_up_instead(bars_of) * (abs(up + down) > abs(made.score) / 2)}"
    )


def _sum_up_instead(bars_of):
    """Say which other bars have a smaller rest."""
    fewer = [f"**{BARS_OF[each]}**" for each in list(BARS_OF)[list(BARS_OF).index(bars_of) + 1 :]]
    return f" That is more than half of the whole: choose {' or '.join(fewer)}, which sum up more." if fewer else ""


def _labels_in_words(reading, made, cell, most):
    """Say what the labels of the bars stand for, each kind by the first of its labels that there is."""
    found = {}
    for a, b, _ in made.largest(min(most, made.table.size)):
        for part, token in ((a, cell[0]), (b, cell[1])):
            found.setdefault(part.kind, (part, token))
    said = []
    if (head := found.get("head")) and head[0].head is not None:
        part, token = head
        source, _ = ledger.head_source(reading.passed, part, token)
        label = ledger.part_label(part, reading.passed, token, reading.labels)
        said.append(
            f"{as_text(label)}: all that head {part.head + 1} of layer {part.layer + 1} "
            f"added, which looks most at {as_text(reading.labels[source])}."
        )
    if "type" in found:
        said.append("Segment: the numbers for which of two texts a token is in.")
    if "bias" in found:
        said.append(
            "Biases: what a layer's attention and norms add to every token alike; a feed-forward network's own are "
            "counted with it."
        )
    return " ".join(said)


def _terms(made):
    """Return the terms that the names of the parts use."""
    kinds = {part.kind for part in made.query_parts}
    return [name for kind, name in (("type", "segment"), ("bias", "bias")) if kind in kinds]


def _shares():
    """Return how map and bars share the page: the names of pairs need more of it."""
    return (0.44, 0.56) if window_low_for_hall() else (0.42, 0.58)


def _most_pairs(setup):
    """Return how many pairs have a bar of their own: fewer in a low window with words for a hall."""
    return min(setup.pairs, _PAIRS_LOW) if window_low_for_hall() else setup.pairs


def _head_map(state, reading, attention, head, cell, setup, line, share):
    """Draw the weights or scores of the head in view, a cell to be clicked."""
    seen = np.isfinite(attention.masked_scores[head])
    values = attention.weights[head] if setup.measure == "weights" else attention.scores[head]
    tallest = page_tallest(_FIRST_LINE - _SCALE * window_low_for_hall())
    beside = page_width() - page_share(share, column=True) + max(map(label_pixels, reading.labels)) + 40
    size, place = page_map_size(len(values), tallest, beside), (setup.layer - 1, head)
    page_figure(
        head_map(
            values, None if seen.all() else ~seen, reading.labels, page_theme(), setup.measure, *place, *cell, size
        ),
        "why.map",
        on_pick=lambda row, column: state.set(cell=(row, column)),
        tables={"head": lambda: charts.csv(values, reading.labels, reading.labels)},
        codes=lambda: _map_code(reading, setup, cell, size),
        line=line,
    )
    st.caption("Choose a cell for its own account.")


def head_map(values, hidden, token_labels, theme, measure, layer, head, query, key, size):
    """Draw the weights or scores of a head."""
    picture = charts.heatmap(
        values, token_labels, token_labels, theme, kind="weights" if measure == "weights" else "signed",
        title=f"Layer {layer + 1} head {head + 1}: {measure}", hidden=hidden, size=size,
        pick=charts.Pick("cell", (query, key)),
    )  # fmt: skip
    return charts.beside(picture)


def _map_code(reading, setup, cell, size):
    """Return the lines that compute the map of the head in view, and those that draw it."""
    settings = why_places(layer=setup.layer - 1, head=setup.head - 1, query=cell[0], key=cell[1])
    lines = (
        "import numpy as np\nfrom attn.models import layer_parts\n"
        "attention = layer_parts.layer_attention(passed, layer)\nvalues = getattr(attention, measure)[head]\n"
        "hidden = np.isneginf(attention.masked_scores[head])\nhidden = hidden if hidden.any() else None"
    )
    said = (
        'print(f"Layer {layer + 1} head {head + 1}, {token_labels[query]} looks at {token_labels[key]}:")\n'
        'print(f"score {attention.scores[head, query, key]:.6f}, weight {attention.weights[head, query, key]:.6f}")'
    )
    return page_codes(
        None, settings | {"measure": setup.measure}, (why_opening(reading), lines), ("print(values.round(4))", said),
        {"theme": LIGHT, "size": size}, (("picture", head_map), _SAVED, said),
    )  # fmt: skip


def ledger_labels(made, query, key, most, bars_of, token_labels, passed):
    """Return the labels of the bars of a ledger: the strongest pairs, and all others together."""

    def label(part, token):
        """Name a part, or parts that were joined."""
        return ledger.part_label(part, passed, token, token_labels) if bars_of == "part" else ledger.group_label(part)

    largest = made.largest(min(most, made.table.size))
    labels = [f"{label(a, query)} × {label(b, key)}" for a, b, _ in largest]
    if made.table.size > len(largest):
        labels.append(f"the other {made.table.size - len(largest):,} pairs")
    return labels


def ledger_shares(made, most):
    """Return how far each of the strongest pairs moved a score, and at the end all others together."""
    largest = made.largest(min(most, made.table.size))
    shares = [share for _, _, share in largest]
    if made.table.size > len(largest):
        shares.append(made.score - sum(shares))
    return shares


def ledger_bars(shares, labels, theme, width, room):
    """Draw the pairs of a ledger as bars around 0, long names broken into lines, no wider than the room."""
    title = "Query's part × key's part"
    picture = charts.bars(
        shares, labels, theme, kind="signed", title=title, width=width, scale=charts.Scale(name="added to the score")
    )
    return charts.fit_to_room(charts.specification(charts.beside(picture)), room)


def _sentence(reading, setup, made, query, key, against, weight):
    """Say which pair made most of the score in view, or of its difference from others, joined as the bars are."""
    asks, asked = as_text(reading.labels[query]), as_text(reading.labels[key])
    joined = joined_ledger(made, setup.bars_of)
    ((a, b, moved),) = joined.largest(1)
    shown = aligned_labels(ledger_shares(joined, _most_pairs(setup)))[0]  # as its bar says it
    shown = shown if any(digit in shown for digit in "123456789") else number(moved)
    if setup.bars_of == "part":
        strongest = f"the strongest is {_pair_in_words(reading, a, b, query, key)}"
    else:
        pair = f"{ledger.group_label(a)} × {ledger.group_label(b)}"
        strongest = f"summed {BARS_OF[setup.bars_of].lower()}, the strongest is {pair}"
    summed = f"That is the sum of {made.table.size:,} pairs of parts of their states; {strongest}, with {shown}."
    gives = f"**{asks}** gives **{asked}** a weight of {share(weight)}"
    if against is None:
        return f"{gives}, for a score of {number(made.score)}. {summed}"
    other = f"that of **{as_text(reading.labels[against[0]])}**"
    if len(against) > 1:
        other = "the mean of its keys"
    where = "above" if made.score > 0 else "below"
    return f"{gives}: its score is {number(abs(made.score))} {where} {other}. {summed}"


def _pair_in_words(reading, a, b, query, key):
    return f"{part_in_words(reading, a, query)} × {part_in_words(reading, b, key)}"


def _line(reading, setup, made, query, key, against):
    """Say in a line whose score is taken apart, against what it is held, and which pair made most of it."""
    asks, asked = as_text(reading.labels[query]), as_text(reading.labels[key])
    ((a, b, moved),) = made.largest(1)
    what = "score" if against is None else "difference of scores"
    return (
        f"Layer {setup.layer}, head {setup.head} · **{asks}** looks at **{asked}**: {what} **{number(made.score)}** · "
        f"the strongest of {made.table.size:,} pairs: {_pair_in_words(reading, a, b, query, key)} (**{number(moved)}**)"
    )


def _account(reading, setup, made, attention, cell, against):
    """Say how far the sum is from the score, and what becomes of the score."""
    (query, key), head = cell, setup.head - 1
    cap = getattr(reading.model, "softcap", None)
    real = ledger.score_of_states(reading.model, reading.passed, setup.layer - 1, head, query, key, against)
    scores = attention.scores[head, query].astype(float)
    uncapped = cap * np.arctanh(scores / cap) if cap else scores
    single = float(uncapped[key]) - (0.0 if against is None else float(uncapped[list(against)].mean()))
    seen = np.isfinite(attention.masked_scores[head, query])
    what = f"the {'score' if against is None else 'difference of scores'}{' before the softcap' if cap else ''}"
    lines = [
        "| step | number |", "|---|---|",
        f"| sum of all {made.table.size:,} pairs, the scale in it | {made.score:.6f} |",
        f"| {what}, computed again from the layer's input, in double precision | {real:.6f} |",
        f"| **difference of the two above** | **{number(abs(made.score - real), 2)}** |",
        f"| {what}, as the model computed it, in single precision | {single:.6f} |",
        *([f"| score after the softcap of ±{cap:g} | {scores[key]:.6f} |"] if cap else []),
        f"| softmax over the {int(seen.sum())} keys that it sees: weight | {attention.weights[head, query, key]:.6f} |",
    ]  # fmt: skip
    st.markdown("\n".join(lines))
    st.caption(_difference_in_words(made, abs(made.score - real)))
    if not seen[key]:
        st.caption("The query may not look at this key: the mask hides the score, and its weight is 0.")
    st.caption(
        "Each norm is held at the scale that it really had, so a share says what the part itself gave to this score. "
        "Without the part the scale would change, too, and so would all that later parts made of it. The model itself "
        "rounds each number to about seven digits, and so its score."
    )


def _difference_in_words(made, apart):
    """Say what the difference of a ledger's sum from its score comes of, and from where on it would be a mistake."""
    most = _ROUNDING * float(np.abs(made.table).sum())
    verdict = "is rounding" if apart <= most else "is more than rounding"
    return (
        f"The difference of {number(apart, 2)} {verdict}: the model keeps about seven digits of its numbers, and up to "
        f"{number(most, 2)} can come of that here, a millionth of the sum of all pairs without their signs. More would "
        "mean that the account lacks a part, or has one twice."
    )


def _by_layer(reading, setup, made, cell, against):
    """Draw the whole account, the heads of each layer joined, folded away."""
    joined = ledger.grouped(made)
    size = page_map_size(max(joined.table.shape), page_tallest(most=560), beside=130)
    rows, columns = ([ledger.group_label(part) for part in side] for side in (joined.query_parts, joined.key_parts))
    with st.expander("All pairs in one map"):
        st.markdown(
            "The heads of each layer are joined: a row is a part of the query's token, a column one of the key's. All "
            "cells together are the sum above."
        )
        page_figure(
            functools.partial(ledger_map, joined, page_theme(), size),
            "why.by_layer",
            tables={"by_layer": lambda: charts.csv(joined.table, rows, columns)},
            codes=lambda: _by_layer_code(reading, setup, cell, against, size),
        )


def _made(reading, setup, cell, against):
    """Return the settings and the lines that bind ``made``, the ledger in view, and those that say what it sums to."""
    settings = why_places(layer=setup.layer - 1, head=setup.head - 1, query=cell[0], key=cell[1])
    settings["against"] = Source("None" if against is None else f"{list(against)}  # from 0; None for no other key")
    call = "(model, passed, layer, head, query, key, against)"
    said = (
        f"score = ledger.score_of_states{call}\n"
        'print(f"Layer {layer + 1} head {head + 1}, {token_labels[query]} asks {token_labels[key]}:")\n'
        'print(f"sum of {made.table.size} pairs {made.score:.6f}, the score from the states {score:.6f}")'
    )
    return settings, (why_opening(reading), f"from attn.models import ledger\nmade = ledger.score_ledger{call}"), said


def _by_layer_code(reading, setup, cell, against, size):
    """Return the lines that compute the whole account by layers, and those that draw it."""
    settings, steps, said = _made(reading, setup, cell, against)
    table = (
        "rows, columns = ([ledger.group_label(part) for part in side] for side in joined[:2])\n"
        "print(charts.csv(joined.table.round(4), rows, columns))"
    )
    return page_codes(
        None, settings, (*steps, "joined = ledger.grouped(made)"), (table, said),
        {"theme": LIGHT, "size": size}, (("picture", ledger_map), _SAVED, said),
    )  # fmt: skip


def ledger_map(joined, theme, size):
    """Draw a ledger with joined parts as a map."""
    rows, columns = ([ledger.group_label(part) for part in side] for side in (joined.query_parts, joined.key_parts))
    picture = charts.heatmap(
        joined.table, rows, columns, theme, kind="signed", title="The query's parts × the key's parts", size=size,
        axes=("query", "key"), scale=charts.Scale(name="added to the score"), style=charts.Style(numbers=False),
    )  # fmt: skip
    return charts.beside(picture)


def _table(reading, made, query, key):
    """Return the whole ledger as CSV."""
    rows, columns = (
        [ledger.part_label(part, reading.passed, token, reading.labels) for part in side]
        for side, token in ((made.query_parts, query), (made.key_parts, key))
    )
    return charts.csv(made.table, rows, columns)


def _bars_width(labels):
    """Return the pixels across of the bars, and of them with their names, the longest perhaps in two lines."""
    room = page_share(_shares()[1], column=True)
    names = max(map(label_pixels, labels))
    return int(room - (names if names <= room / 2 else _BROKEN * names) - _BESIDE_BARS), room


def _ledger_code(reading, setup, cell, against):
    """Return the lines that compute the ledger of the cell in view, and those that draw it."""
    settings, steps, said = _made(reading, setup, cell, against)
    found = score_ledger_of(setup.model, reading, setup.text, setup.layer - 1, setup.head - 1, *cell, against)
    most = _most_pairs(setup)
    joined = joined_ledger(found, setup.bars_of)
    labels = ledger_labels(joined, *cell, most, setup.bars_of, reading.labels, reading.passed)
    width, room = _bars_width(labels)
    named = (("made", joined_ledger), ("shares", ledger_shares), ("labels", ledger_labels))
    return page_codes(
        ledger_numpy_code(reading, setup.layer - 1, setup.head - 1, *cell, against),
        settings | {"bars_of": setup.bars_of, "most": most}, (*steps, *named),
        ('for label, share in zip(labels, shares):\n    print(f"{share:9.4f}  {label}")', said),
        {"theme": LIGHT, "width": width, "room": room}, (("picture", ledger_bars), _SAVED, said),
    )  # fmt: skip
