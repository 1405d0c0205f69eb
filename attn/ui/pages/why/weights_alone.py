"""From the weights alone: which words a head matches, what it writes, whether it copies, and its queries and keys."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import label_pixels, number
from attn.models import head_weights
from attn.ui.numpy_models import numpy_model_code
from attn.ui.page import page_columns, page_figure, page_reading, page_theme
from attn.ui.pages.why.method import match_formula, norms_behind, places_left_out, weights_method, why_method
from attn.ui.pages.why.setup import MOST_TOKENS, attention_in, cell_in_text, half_map_size, why_code, word_name
from attn.ui.shared_results import kept_with_models
from attn.ui.shown_code import LIGHT, Codes, page_codes, shown_code
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
    id = _asked_id(reading, state)
    matched = head_weights.matched_words(reading.model, layer, head, [id])[0]
    written = head_weights.written_words(reading.model, layer, head, [id])[0]
    copying = _copying_of(reading.name, reading)
    page_reading(
        _sentence(reading, setup, id, matched, written, copying),
        rf"\begin{{gathered}}{match_formula(reading.model, layer)} \\ e_j W_V W_O U^\top\end{{gathered}}",
        terms=("projection", "embedding"),
    )
    left, right = page_columns([1, 1], figures=True)
    with left:
        _bars(reading, setup, id, matched, "Looked at from here: its best matches", "why.matched", "score")
    with right:
        _bars(reading, setup, id, written, "Written where it looks here", "why.written", "strength")
    left, right = page_columns([1, 1], figures=True)
    with left:
        page_figure(
            functools.partial(
                copying_map, copying, page_theme(), half_map_size(*copying.shape),
                (layer, head),
            ),
            "why.copying",
            on_pick=lambda row, column: state.set(layer=row + 1, head=column + 1),
            tables={"copying": lambda: charts.csv(copying, *map(charts.counted, copying.shape))},
            codes=lambda: _weights_code(reading, setup, id, copying),
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
    with right:
        _cloud(state, reading, setup, layer, head)
    why_method(weights_method(reading.model, layer), "elhage", "yeh")
    why_code(state, lambda: _weights_code(reading, setup, id, copying))


def _own_word(reading, state):
    """Return the position of the query in view."""
    return cell_in_text(state, reading)[0]


def _asked_id(reading, state):
    """Return the token that the head is asked about."""
    typed = state.get("asked").strip()
    if not typed:
        return int(reading.passed.ids[_own_word(reading, state)])
    tokenizer = reading.opened.tokenizer.tokenizer if reading.writes else reading.opened.tokenizer
    ids = tokenizer.encode(f" {typed}", add_special_tokens=False).ids
    return ids[0] if ids else int(reading.passed.ids[_own_word(reading, state)])


def first_words(numbers, count):
    """Return the places of the largest numbers, the largest first."""
    return np.argsort(-numbers, kind="stable")[:count]


def _bars(reading, setup, id, numbers, title, key, name):
    """Draw the words with the largest numbers as bars."""
    order = first_words(numbers, _FIRST)
    labels = [charts.quoted(word_name(reading, at)) for at in order]
    width = int(page_share(0.5, column=True) - max(map(label_pixels, labels)) - 40)

    def codes():
        opening = numpy_model_code(setup.model, setup.text, MOST_TOKENS, reading.opened)
        made = "matched_words" if name == "score" else "written_words"
        return page_codes(
            None, {"layer": setup.layer - 1, "head": setup.head - 1, "id": id, "count": _FIRST},
            (
                opening, "from attn.models import head_weights\n"
                f"numbers = head_weights.{made}(model, layer, head, [id])[0].astype(float)",
                ("order", first_words), "numbers = numbers[order]",
            ),
            ("print(order, numbers.round(4))",),
            {"labels": labels, "theme": LIGHT, "width": width, "title": title, "name": name},
            (("picture", words_bars), _SAVED),
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
    attention = _steps(reading, layer)
    query, key = attention
    plane = head_weights.query_key_plane(query[head], key[head // (len(query) // len(key))])
    row, column = cell_in_text(state, reading)
    theme, count = page_theme(), len(reading.labels)
    size = int(min(page_share(0.5, column=True) - 20, max(page_tallest(most=560), _CLOUD)))
    joined, first = (row, count + column), [count + at for at in _looked_at_most(reading, layer, head, row)]
    page_figure(
        functools.partial(
            cloud, np.concatenate([plane.queries, plane.keys]), reading.labels, theme, size, joined, first,
        ),
        "why.cloud",
        codes=lambda: _cloud_code(reading, setup, {"size": size, "joined": joined, "first": first}),
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


def _looked_at_most(reading, layer, head, row):
    """Return the positions of the keys that get most of a query, which are named first."""
    weights = attention_in(reading.passed, layer).weights[head, row]
    return [int(at) for at in first_words(weights, _KEYS) if weights[at] > 0]


def _steps(reading, layer):
    """Return queries and keys of a layer as they are compared."""
    passed = reading.passed
    step = passed.layers[layer] if hasattr(passed, "layers") else attention_in(passed, layer)
    return step.query, step.key


def _cloud_code(reading, setup, look):
    """Return the lines that lay queries and keys into one plane, and those that draw it."""
    opening = numpy_model_code(setup.model, setup.text, MOST_TOKENS, reading.opened)
    step = "passed.layers[layer]" if reading.writes else "passed.blocks[layer].attention"
    lines = (
        f"import numpy as np\nfrom attn.models import head_weights\nstep = {step}\n"
        "group = head // (len(step.query) // len(step.key))  # whose keys the head reads\n"
        "plane = head_weights.query_key_plane(step.query[head], step.key[group])\n"
        "places = np.concatenate([plane.queries, plane.keys])\n"
        "labels = charts.token_labels([token.text for token in tokens])"
    )
    return page_codes(
        None, {"layer": setup.layer - 1, "head": setup.head - 1}, (opening, lines),
        ("print(round(plane.explained, 4))\nprint(places.round(4))",), look | {"theme": LIGHT},
        (("picture", cloud), _SAVED),
    )  # fmt: skip


def cloud(places, labels, theme, size, joined, first):
    """Draw queries and keys of the same tokens in their colours."""
    picture = charts.points(
        places, [*labels, *labels], ["query"] * len(labels) + ["key"] * len(labels),
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
        f"No text is needed here. If states were embeddings alone, layer {setup.layer} head {setup.head} would look "
        f"from **{word}** at {best}. Where it looks at **{word}** it would write {said}; **{word}** itself is in place "
        f"{place:,} of {written.size:,}. Its copying score is {number(float(score))}, from −1 to 1: its eigenvalues "
        f"are {kind}. In later layers states have moved far from embeddings, so there this says less."
    )


def _weights_code(reading, setup, id, copying):
    """Return the lines that read a head's matrices, and those that draw the copying scores."""
    opening = numpy_model_code(setup.model, setup.text, MOST_TOKENS, reading.opened)
    settings = {"layer": setup.layer - 1, "head": setup.head - 1, "id": id}
    decode = "opened.tokenizer.tokenizer.decode" if reading.writes else "opened.tokenizer.decode"
    lines = (
        "from attn.models import head_weights\n"
        "for numbers in (head_weights.matched_words, head_weights.written_words):\n"
        "    found = numbers(model, layer, head, [id])[0]\n"
        f"    print([{decode}([int(at)]) for at in (-found).argsort()[:10]])\n"
        "print(head_weights.copying_scores(model, [layer])[0, head].round(4))"
    )
    size, chosen = half_map_size(*copying.shape), (setup.layer - 1, setup.head - 1)
    look = {"theme": LIGHT, "size": size, "selected": chosen}
    return Codes(
        attn=lambda: shown_code(settings, opening, lines),
        draw=lambda: shown_code(
            look, opening, "from attn.models import head_weights\ncopying = head_weights.copying_scores(model)",
            ("picture", copying_map), _SAVED,
        ),
    )  # fmt: skip
