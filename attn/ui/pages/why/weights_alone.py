"""From the weights alone: which words a head matches, what it writes, whether it copies, and its queries and keys."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import label_pixels, number
from attn.models import head_weights, patching
from attn.models.layer_parts import layer_attention
from attn.ui.page import page_columns, page_figure, page_reading, page_theme
from attn.ui.pages.why.method import (
    match_formula,
    norms_behind,
    places_left_out,
    weights_method,
    why_method,
    word_formula,
)
from attn.ui.pages.why.setup import (
    cell_in_text,
    half_map_size,
    why_code,
    why_look_at_head,
    why_opening,
    why_places,
    why_word_name,
    word_name,
)
from attn.ui.shared_results import kept_with_models
from attn.ui.shown_code import LIGHT, Codes, Source, page_codes, shown_code
from attn.ui.state import as_text
from attn.ui.width import page_share, page_tallest

_FIRST = 8  # words listed: so many end within a laptop's window
_CLOUD, _KEYS = 420, 5  # pixels of the plane at least, where the page is so wide; keys that are named in any text
_SAVED = 'charts.save(picture, "why.svg")'
_COPYING = r"\frac{\sum_i \lambda_i}{\sum_i \lvert\lambda_i\rvert}"


@kept_with_models
@st.cache_data(max_entries=4, show_spinner="Reading the matrices of every head …", show_time=True)
def _copying_of(name, _reading, *, saved=None):
    """Return the copying score of every head, kept for all visitors."""
    return head_weights.copying_scores(_reading.model)


def weights_tab(state, reading):
    """Draw what the matrices of the head in view say by themselves."""
    st.text_input(
        "Ask the head about", key=state.key("asked"), max_chars=60,
        placeholder=f"{reading.tokens[_own_word(reading, state)].text}, the chosen query",
        help="A word. Which words would the head look at from here, and what would it write where it looks at this "
        "one? Left empty, it is the query in view on the first tab.",
    )  # fmt: skip
    setup = state.choices()
    layer, head = setup.layer - 1, setup.head - 1
    id, asked = _asked_id(reading, state), _asked_code(reading, state)
    matched = head_weights.matched_words(reading.model, layer, head, [id])[0]
    written = head_weights.written_words(reading.model, layer, head, [id])[0]
    copying = _copying_of(reading.name, reading)
    page_reading(
        _sentence(reading, setup, id, matched, written, copying),
        rf"\begin{{gathered}}{match_formula(reading.model, layer)} \\ e_j W_V W_O U^\top \\ "
        rf"{word_formula(reading.model)}\end{{gathered}}",
        terms=("projection", "embedding"),
    )
    left, right = page_columns([1, 1], figures=True)
    with left:
        _bars(reading, asked, matched, "Looked at from here: its best matches", "why.matched", "score")
    with right:
        _bars(reading, asked, written, "Written where it looks here", "why.written", "strength")
    st.caption("The bars are sums of products: scores of words and strengths have no unit.")
    with st.expander("Which heads copy: the score of every head"):
        page_figure(
            functools.partial(
                copying_map, copying, page_theme(), half_map_size(*copying.shape),
                (layer, head),
            ),
            "why.copying",
            on_pick=lambda row, column: why_look_at_head(state, reading, row, column, _own_word(reading, state)),
            tables={"copying": lambda: charts.csv(copying, *map(charts.counted, copying.shape))},
            codes=lambda: _weights_code(asked, copying.shape),
        )  # fmt: skip
        st.caption(
            f"The copying score of a head: ${_COPYING}$, over the eigenvalues $\\lambda_i$ of $W_U W_{{OV}} W_E$, the "
            "matrix by which looking at a word speaks for each next word. It is 1 where all of them are positive and "
            "−1 where all are negative. It sums up few directions of words, so a head with a high score need not "
            "write the very word that it looks at. After Elhage et al., 2021, [A mathematical framework for "
            "transformer circuits](https://transformer-circuits.pub/2021/framework/index.html), “Summarizing OV/QK "
            f"matrices”. Embeddings are normalised as the model does; {norms_behind(reading.model)}, and "
            f"{places_left_out(reading.model)}."
        )
    _cloud(state, reading, setup, layer, head)
    why_method(weights_method(reading.model, layer), "elhage", "yeh")
    why_code(state, lambda: _weights_code(asked, copying.shape))


def _own_word(reading, state):
    """Return the position of the query in view."""
    return cell_in_text(state, reading)[0]


def _typed_id(reading, state):
    """Return the token that was typed for the head to be asked about; None where none was."""
    typed = state.get("asked").strip()
    tokenizer = reading.opened.tokenizer.tokenizer if reading.writes else reading.opened.tokenizer
    ids = tokenizer.encode(f" {typed}", add_special_tokens=False).ids if typed else []
    return ids[0] if ids else None


def _asked_id(reading, state):
    """Return the token that the head is asked about."""
    typed = _typed_id(reading, state)
    return int(reading.passed.ids[_own_word(reading, state)]) if typed is None else typed


def first_words(numbers, count):
    """Return the places of the largest numbers, the largest first."""
    return np.argsort(-numbers, kind="stable")[:count]


def _bars(reading, asked, numbers, title, key, name):
    """Draw the words with the largest numbers as bars."""
    order = first_words(numbers, _FIRST)
    labels = [charts.quoted(word_name(reading, at)) for at in order]
    width = int(page_share(0.5, column=True) - max(map(label_pixels, labels)) - 40)

    def codes():
        settings, opening = asked
        made = "matched_words" if name == "score" else "written_words"
        what = "from {word_name(id)} it looks at" if name == "score" else "where it looks at {word_name(id)} it writes"
        said = (
            f'print(f"Layer {{layer + 1}} head {{head + 1}}: {what} {{labels[0]}} most, '
            f'with a {name} of {{numbers[0]:.6f}}")'
        )
        return page_codes(
            None, settings | {"count": _FIRST},
            (
                opening, "from attn.models import head_weights\n"
                f"numbers = head_weights.{made}(model, layer, head, [id])[0].astype(float)",
                ("order", first_words), "numbers = numbers[order]\n"
                "labels = [charts.quoted(word_name(at)) for at in order]",
            ),
            ('for label, number in zip(labels, numbers):\n    print(f"{number:9.4f}  {label}")', said),
            {"theme": LIGHT, "width": width, "title": title, "name": name}, (("picture", words_bars), _SAVED, said),
        )  # fmt: skip

    page_figure(
        functools.partial(words_bars, numbers[order].astype(float), labels, page_theme(), width, title, name),
        key,
        tables={name: lambda: charts.csv(numbers[order][:, None], labels, [name])},
        codes=codes,
    )


def words_bars(numbers, labels, theme, width, title, name):
    """Draw words with their numbers."""
    kind = "signed" if numbers.min() < 0 else "magnitude"
    picture = charts.bars(numbers, labels, theme, kind=kind, title=title, width=width, scale=charts.Scale(name=name))
    return charts.beside(picture)


def copying_map(copying, theme, size, selected):
    """Draw the copying score of every head."""
    rows, columns = map(charts.counted, copying.shape)
    picture = charts.heatmap(
        copying, rows, columns, theme, kind="signed", title="Copying score of every head", size=size,
        axes=("layer", "head"), scale=charts.Scale(limit=1.0, name="copying score"),
        pick=charts.Pick("head", selected), style=charts.Style(numbers=False),
    )  # fmt: skip
    return charts.beside(picture)


def _cloud(state, reading, setup, layer, head):
    """Draw the queries and keys of the text in one plane."""
    query, key = (patching.recorded_step(reading.model, reading.passed, step, layer) for step in ("query", "key"))
    plane = head_weights.query_key_plane(query[head], key[head // (len(query) // len(key))])
    row, column = cell_in_text(state, reading)
    theme, count = page_theme(), len(reading.labels)
    size = int(min(page_share(0.5, column=True) - 20, max(page_tallest(most=560), _CLOUD)))
    joined, first = (row, count + column), keys_named_first(reading.passed, layer, head, row)
    page_figure(
        functools.partial(
            cloud, np.concatenate([plane.queries, plane.keys]), reading.labels, theme, size, joined, first,
        ),
        "why.cloud",
        codes=lambda: _cloud_code(reading, setup, (row, column), size),
        tables={"plane": lambda: charts.csv(
            np.hstack([plane.queries, plane.keys]), reading.labels, ["query x", "query y", "key x", "key y"]
        )},
    )  # fmt: skip
    st.caption(
        f"The plane holds {plane.explained:.0%} of the spread of all queries and keys of this text. Keys are moved to "
        "the middle of the queries, which changes no weight; a key near a query, and far out, has a large score. The "
        "dashed line joins the query and the key in view. A name without room beside its point has a line to it; any "
        "other is said by the pointer and the arrow keys."
    )


def keys_named_first(passed, layer, head, query):
    """Return the keys that get most of a query, as places behind those of all queries."""
    weights = layer_attention(passed, layer).weights[head, query]
    return [len(weights) + int(at) for at in first_words(weights, _KEYS) if weights[at] > 0]


def _cloud_code(reading, setup, cell, size):
    """Return the lines that lay queries and keys into one plane, and those that draw it."""
    settings = why_places(layer=setup.layer - 1, head=setup.head - 1, query=cell[0], key=cell[1])
    lines = (
        "import numpy as np\nfrom attn.models import head_weights, patching\n"
        'queries, keys = (patching.recorded_step(model, passed, step, layer) for step in ("query", "key"))\n'
        "group = head // (len(queries) // len(keys))  # whose keys the head reads\n"
        "plane = head_weights.query_key_plane(queries[head], keys[group])\n"
        "places = np.concatenate([plane.queries, plane.keys])"
    )
    printed = (
        "print(charts.csv(np.hstack([plane.queries, plane.keys]).round(4), token_labels, "
        '["query x", "query y", "key x", "key y"]))'
    )
    said = 'print(f"Layer {layer + 1} head {head + 1}: the plane holds {plane.explained:.6f} of the spread")'
    return page_codes(
        None, settings, (why_opening(reading), lines), (printed, said), {"theme": LIGHT, "size": size},
        (
            "joined = (query, len(token_labels) + key)", ("first", keys_named_first), ("picture", cloud), _SAVED, said,
        ),
    )  # fmt: skip


def cloud(places, token_labels, theme, size, joined, first):
    """Draw queries and keys of the same tokens in their colours."""
    picture = charts.points(
        places, [*token_labels, *token_labels], ["query"] * len(token_labels) + ["key"] * len(token_labels),
        {"query": theme.role("query"), "key": theme.role("key")}, theme, title="Queries and keys of this text",
        size=size, joined=joined, first=first,
    )  # fmt: skip
    return charts.beside(picture)


def _sentence(reading, setup, id, matched, written, copying):
    """Say what the head does by its matrices alone."""
    layer, head = setup.layer - 1, setup.head - 1
    word = as_text(word_name(reading, id))
    best = ", ".join(f"**{as_text(word_name(reading, at))}**" for at in first_words(matched, 3))
    said = ", ".join(f"**{as_text(word_name(reading, at))}**" for at in first_words(written, 3))
    score = copying[layer, head]
    if abs(score) > 0.5:
        kind = "mostly positive, as of a head that copies" if score > 0 else "mostly negative"
    else:
        kind = "partly positive and partly negative"
    place = 1 + int(np.count_nonzero(written > written[id]))
    return (
        "Only the last figure reads your text. "
        f"If states were embeddings alone, layer {setup.layer} head {setup.head} would look from **{word}** at {best}. "
        f"Where it looks at **{word}** it would write {said}; **{word}** itself is in place "
        f"{place:,} of {written.size:,}. Its copying score is {number(float(score))}, from −1 to 1: its eigenvalues "
        f"are {kind}. In later layers states have moved far from embeddings, so there this says less."
    )


def _asked_code(reading, state):
    """Return the settings and the lines that bind ``id``, the word that the head in view is asked about."""
    setup, typed = state.choices(), _typed_id(reading, state)
    settings, opening = why_places(layer=setup.layer - 1, head=setup.head - 1), why_opening(reading)
    if typed is None:
        settings |= why_places(query=_own_word(reading, state))
        opening += "\nid = int(passed.ids[query])"
    else:
        settings["id"] = Source(f"{typed}  # of the vocabulary")
    return settings, f"{opening}{why_word_name(reading)}"


def _weights_code(asked, shape):
    """Return the lines that read a head's matrices, and those that draw the copying scores."""
    settings, opening = asked
    lines = (
        "from attn.models import head_weights\n"
        "for numbers in (head_weights.matched_words, head_weights.written_words):\n"
        "    found = numbers(model, layer, head, [id])[0]\n"
        f"    print(word_name(id), numbers.__name__, [word_name(at) for at in (-found).argsort()[:{_FIRST}]])"
    )
    copying = "from attn.models import head_weights\ncopying = head_weights.copying_scores(model)"
    said = 'print(f"Layer {layer + 1} head {head + 1}: copying score {copying[layer, head]:.6f}")'
    look = {"theme": LIGHT, "size": half_map_size(*shape)}
    return Codes(
        attn=lambda: shown_code(settings, opening, lines, copying, said),
        draw=lambda: shown_code(
            settings | look, opening, copying, "selected = (layer, head)", ("picture", copying_map), _SAVED, said,
        ),
    )  # fmt: skip
