"""What the model would say now: the word that the state of each token is nearest to, after each layer."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.models import ledger
from attn.ui.numpy_models import numpy_model_code
from attn.ui.page import page_figure, page_reading, page_theme
from attn.ui.pages.why.method import lens_method, why_method
from attn.ui.pages.why.setup import MOST_TOKENS, after_control, why_code, why_writer_offer, word_name
from attn.ui.shared_results import kept_with_models
from attn.ui.shown_code import LIGHT, Codes, page_codes, shown_code
from attn.ui.state import as_text
from attn.ui.width import page_width

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
    setup, lens = state.choices(), _lens_of(reading.name, reading, reading.text)
    words = lens_labels(reading, lens)
    page_reading(_sentence(reading, lens, words, token), FORMULA if reading.writes else None, terms=("logit",))
    rows = ["embedding", *(f"layer {layer + 1}" for layer in range(len(words) - 1))]
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
        codes=lambda: _lens_code(reading, setup, words, rows, token),
    )
    ranks = lens.ranks[:, token]
    page_figure(
        functools.partial(rank_curve, ranks, words[-1][token], page_theme(), int(min(page_width(), 720))),
        "why.ranks",
        tables={"ranks": lambda: charts.csv(ranks[:, None], rows, ["rank"])},
        codes=lambda: _ranks_code(reading, setup, words[-1][token], token),
    )
    why_method(lens_method(reading.writes), *(["nostalgebraist"] if reading.writes else []))
    why_code(state, lambda: _lens_code(reading, setup, words, rows, token))


def lens_labels(reading, lens):
    """Return the word of each state, spelled once for each word."""
    names = {id: word_name(reading, id) for id in np.unique(lens.ids)}
    return [[names[id] for id in row] for row in lens.ids]


def lens_map(words, shares, rows, columns, theme, width, token, name):
    """Draw the words, in a stronger colour where the state is surer, or nearer to the word."""
    title = (
        "What it would say if it stopped here" if name == "probability" else "The word that each state is nearest to"
    )
    picture = charts.word_map(
        words, shares, rows, columns, theme, title=title, width=width,
        axes=("after", "token"), scale=charts.Scale(name=name),
        pick=charts.Pick("state", highlight={"column": token}),
    )  # fmt: skip
    return charts.beside(picture)


def rank_curve(ranks, word, theme, width):
    """Draw at which place the word that comes out stands after each layer."""
    curve = charts.Curve(word, np.arange(len(ranks)), ranks)
    picture = charts.curves(
        [curve], theme, x=charts.Axis("layer"), y=charts.Axis("rank", log=True), width=width, height=240, dots=True,
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
            "Here each state is held against the embeddings of all words, by their cosine. "
            f"**{as_text(reading.labels[token])}** goes through {walked}. The word nearest in the end is nearest for "
            f"the first time {where}{kept}. This model was not trained to say a word, so do not take the last ones for "
            "its opinion."
        )
    return (
        f"Each state is read as if it were the last. After **{as_text(reading.labels[token])}** the model would say "
        f"{walked}. The word that comes out in the end comes first for the first time {where}{kept}. Choose a cell to "
        "follow another token."
    )


def _ranks_code(reading, setup, word, token):
    """Return the lines that find the place of the last word after each layer, and those that draw it."""
    opening = numpy_model_code(setup.model, setup.text, MOST_TOKENS, reading.opened)
    made = "from attn.models import ledger\nranks = ledger.lens_words(model, passed).ranks[:, token]"
    look = {"word": word, "theme": LIGHT, "width": int(min(page_width(), 720))}
    return page_codes(
        None, {"token": token}, (opening, made), ("print(ranks)",), look,
        (("picture", rank_curve), 'charts.save(picture, "why.svg")'),
    )  # fmt: skip


def _lens_code(reading, setup, words, rows, token):
    """Return the lines that read every state, and those that draw the words."""
    opening = numpy_model_code(setup.model, setup.text, MOST_TOKENS, reading.opened)
    lens = "from attn.models import ledger\nlens = ledger.lens_words(model, passed)"
    look = {
        "words": words, "rows": rows, "columns": reading.labels, "theme": LIGHT, "width": page_width(), "token": token,
        "name": "probability" if reading.writes else "cosine",
    }  # fmt: skip
    decode = "opened.tokenizer.tokenizer.decode" if reading.writes else "opened.tokenizer.decode"
    return Codes(
        attn=lambda: shown_code(
            {"token": token}, opening, lens,
            "for id, rank in zip(lens.ids[:, token], lens.ranks[:, token]):\n"
            f"    print(rank, repr({decode}([int(id)])))",
        ),
        draw=lambda: shown_code(
            look, opening, lens, "import numpy as np\nshares = np.clip(lens.probabilities, 0, 1)",
            ("picture", lens_map), 'charts.save(picture, "why.svg")',
        ),
    )  # fmt: skip
