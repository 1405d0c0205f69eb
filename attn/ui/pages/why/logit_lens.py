"""What the model would say now: the word that the state of each token is nearest to, after each layer."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.models import ledger
from attn.ui.page import page_figure, page_reading, page_theme
from attn.ui.pages.why.method import lens_method, why_method
from attn.ui.pages.why.setup import (
    after_control,
    why_code,
    why_opening,
    why_places,
    why_word_name,
    why_writer_offer,
    word_name,
)
from attn.ui.shared_results import kept_with_models
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_width

_SAVED = 'charts.save(picture, "why.svg")'
FORMULA = r"\mathrm{softmax}\bigl(\mathrm{norm}(x_l)\, U^\top\bigr)"


@kept_with_models
@st.cache_data(max_entries=16, show_spinner="Reading every state as if it were the last …", show_time=True)
def _lens_of(name, _reading, text, *, saved=None):
    """Return the words of all states, kept for all visitors who ask for the same."""
    return ledger.lens_words(_reading.model, _reading.passed)


def lens_tab(state, reading):
    """Draw the word that each state would say, and how the word that comes out rises through the layers."""
    why_writer_offer(state, reading, "which word each state would say if the model stopped there")
    help = "The column whose words are followed below."
    token = after_control(state, reading, help)
    lens = _lens_of(reading.name, reading, reading.text)
    words = lens_labels(lens, functools.partial(word_name, reading))
    page_reading(_sentence(reading, lens, words, token), FORMULA if reading.writes else None, terms=("logit",))
    rows = states_in_order(lens)
    shares = np.clip(lens.probabilities, 0, 1)
    page_figure(
        functools.partial(
            lens_map,
            words,
            shares,
            rows,
            reading.labels,
            page_theme(),
            page_width(),
            token,
            "probability" if reading.writes else "cosine",
        ),
        "why.lens",
        on_pick=lambda row, column: state.set(after=column + 1),
        tables={
            "probabilities" if reading.writes else "cosines": lambda: charts.csv(shares, rows, reading.labels),
            "words": lambda: charts.words_csv(words, rows, reading.labels),
        },
        codes=lambda: _lens_code(reading, token),
    )
    ranks = lens.ranks[:, token]
    page_figure(
        functools.partial(rank_curve, ranks, words[-1][token], page_theme(), int(min(page_width(), 720))),
        "why.ranks",
        tables={"ranks": lambda: charts.csv(ranks[:, None], rows, ["rank"])},
        codes=lambda: _ranks_code(reading, token),
    )
    why_method(lens_method(reading.writes), *(["nostalgebraist"] if reading.writes else []))
    why_code(state, lambda: _lens_code(reading, token))


def lens_labels(lens, word_name):
    """Return the word of each state, spelled once for each word."""
    names = {id: word_name(id) for id in np.unique(lens.ids)}
    return [[names[id] for id in row] for row in lens.ids]


def states_in_order(lens):
    """Return what the states are after: the embedding, then each layer."""
    return ["embedding", *(f"layer {layer}" for layer in range(1, len(lens.ids)))]


def lens_map(words, shares, rows, token_labels, theme, width, token, name):
    """Draw the words, in a stronger colour where the state is surer, or nearer to the word."""
    title = (
        "What it would say if it stopped here" if name == "probability" else "The word that each state is nearest to"
    )
    picture = charts.word_map(
        words, shares, rows, token_labels, theme, title=title, width=width,
        axes=("after", "token"), scale=charts.Scale(name=name),
        pick=charts.Pick("state", highlight={"column": token}),
    )  # fmt: skip
    return charts.beside(picture)


def rank_curve(ranks, word, theme, width):
    """Draw at which place the word that comes out stands after each layer."""
    curve = charts.Curve(word, np.arange(len(ranks)), ranks)
    most = max(10, int(max(ranks)))
    tens = [10**power for power in range(len(str(most)))]
    picture = charts.curves(
        [curve], theme, x=charts.Axis("layer", whole=True), width=width, height=240, dots=True,
        y=charts.Axis("rank", log=True, range=(1, most), ticks=tens),
        title="Place of the word that comes out, among all words",
    )  # fmt: skip
    return charts.beside(picture)


def _sentence(reading, lens, words, token):
    """Say what the states of a token would say on the way, and when the last word comes first."""
    path = [words[0][token]]
    for row in words[1:]:
        if row[token] != path[-1]:
            path.append(row[token])
    if len(path) > 8:
        path = [*path[:3], "…", *path[-4:]]
    ranks = lens.ranks[:, token]
    first, others = int(np.argmax(ranks == 1)), np.flatnonzero(ranks != 1)
    stays = int(others[-1]) + 1 if others.size else 0
    where = "by its embedding alone" if first == 0 else f"after layer {first}"
    kept = "" if stays == first else f", and stays there from layer {stays} on"
    walked = " → ".join(f"**{as_text(word)}**" for word in path)
    if not reading.writes:
        return (
            "This is no logit lens: the model gives no logits of words. Each state is held against the embeddings of "
            "all words, by their cosine. "
            f"**{as_text(reading.labels[token])}** is nearest to {walked}. The word nearest in the end is nearest for "
            f"the first time {where}{kept}. This model was not trained to say a word, so do not take the last ones for "
            "its opinion."
        )
    return (
        f"Each state is read as if it were the last. After **{as_text(reading.labels[token])}** the model would say "
        f"{walked}. The word that comes out in the end comes first for the first time {where}{kept}. Choose a cell to "
        "follow another token."
    )


def _made(reading):
    """Return the lines that bind ``lens`` and ``words``, and those that say what comes of a token in the end."""
    made = f"from attn.models import ledger\nlens = ledger.lens_words(model, passed){why_word_name(reading)}"
    what = "probability" if reading.writes else "cosine"
    said = (
        'print(f"{token_labels[token]}, place of {words[-1][token]} after each layer:", *lens.ranks[:, token])\n'
        f'print(f"its {what} in the end: {{lens.probabilities[-1, token]:.6f}}")'
    )
    return (why_opening(reading), made, ("words", lens_labels), ("rows", states_in_order)), said


def _ranks_code(reading, token):
    """Return the lines that find the place of the last word after each layer, and those that draw it."""
    steps, said = _made(reading)
    found = "ranks, word = lens.ranks[:, token], words[-1][token]"
    look = {"theme": LIGHT, "width": int(min(page_width(), 720))}
    return page_codes(
        None, why_places(token=token), (*steps, found), (said,), look, (("picture", rank_curve), _SAVED, said)
    )


def _lens_code(reading, token):
    """Return the lines that read every state, and those that draw the words."""
    steps, said = _made(reading)
    shares = "import numpy as np\nshares = np.clip(lens.probabilities, 0, 1)"
    printed = (
        'for row, said, ranks in zip(rows, words, lens.ranks):\n    print(f"{row:10} {ranks[token]:6} {said[token]}")'
    )
    look = {"theme": LIGHT, "width": page_width(), "name": "probability" if reading.writes else "cosine"}
    return page_codes(
        None, why_places(token=token), steps, (printed, said), look, (shares, ("picture", lens_map), _SAVED, said)
    )
