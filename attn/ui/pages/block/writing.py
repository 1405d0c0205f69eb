"""Block, below the figure: what is written when each next word has its probability, by beam search."""

from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures import beam_search
from attn.charts import Curve
from attn.charts.labels import number, shorten_label
from attn.data import examples
from attn.ui.controls.sentence import sentence_words
from attn.ui.page import page_figure, page_reading, page_theme
from attn.ui.state import as_text
from attn.ui.width import page_width

_LONGEST = 24  # words of a sentence that is written
_SHOWN = 6  # sentences whose score is drawn
_BESIDE = 32  # columns of a sentence beside its curve


class Pairs(NamedTuple):
    """How often one word follows another."""

    words: tuple
    log_probabilities: np.ndarray  # (words + 1, words + 1) after each word and the start; the last column is the end


def block_writing_pairs(text):
    """Count which word follows which in a text and in the example sentences.

    Returns
    -------
    Pairs
    """
    texts = [text, *(sentence.text for sentence in examples.SENTENCES)]
    sentences = [[word.casefold() for word in sentence_words(one)] for one in texts]
    words = tuple(dict.fromkeys(word for sentence in sentences for word in sentence))
    place = {word: at for at, word in enumerate(words)}
    counts = np.zeros((len(words) + 1, len(words) + 1))
    for sentence in sentences:
        passed = [place[word] for word in sentence]
        np.add.at(counts, ([len(words), *passed], [*passed, len(words)]), 1)
    with np.errstate(divide="ignore"):
        return Pairs(words, np.log(counts / counts.sum(axis=1, keepdims=True)))


def block_writing_search(setup):
    """Search for the likeliest sentence that begins with the first word of the user's.

    Returns
    -------
    Pairs
    list of Hypothesis
    """
    pairs = block_writing_pairs(setup.text)
    first = pairs.words.index(sentence_words(setup.text)[0].casefold())

    def following(symbols):
        return pairs.log_probabilities[symbols[-1] if symbols else first]

    return pairs, beam_search.beam_search(
        following, len(pairs.words), beam=setup.beam, alpha=setup.alpha, longest=_LONGEST
    )


def block_writing_tab(state, result):
    """Draw which sentences a beam search ends with, and how the length penalty ranks them."""
    width, penalty = st.columns(2)
    width.slider(
        "Beam", 1, 8, key=state.key("beam"), help="How many beginnings are kept at every word: 4 in the paper."
    )
    penalty.slider(
        "α",
        0.0,
        2.0,
        step=0.05,
        key=state.key("alpha"),
        help="How much the length penalty helps long sentences: 0.6 in the paper.",
    )
    setup = state.choices()
    pairs, ended = block_writing_search(setup)
    start = result.tokens[0]
    page_reading(
        _writing_in_words(setup, pairs, ended, start),
        r"\frac{\log P(y)}{\left((5 + n) / 6\right)^{\alpha}}",
        f"{len(pairs.words)} words to choose from, and the end · {len(ended)} sentences ended",
    )
    if not ended:
        return  # there is nothing to draw
    page_figure(
        _scores_by_alpha(setup, pairs, ended, start),
        "block.beam",
        tables={"sentences": lambda: _table(setup, pairs, ended, start)},
    )
    st.markdown(block_writing_table(setup, pairs, ended, start))


def block_writing_sentence(pairs, one, start):
    """Return a sentence as a person writes it."""
    return " ".join([start, *(pairs.words[symbol] for symbol in one.symbols)])


def block_writing_table(setup, pairs, ended, start):
    """Return the sentences that ended as a Markdown table, whose cells break between words."""
    lines = ["| sentence | words n, with the end | log probability | penalty | score |", "|---|---:|---:|---:|---:|"]
    for one in ended:
        n = len(one.symbols) + 1
        numbers = one.log_probability, beam_search.length_penalty(n, setup.alpha), one.score
        cells = [
            as_text(block_writing_sentence(pairs, one, start)),
            str(n),
            *(f"{value:.3f}".replace("-", "−") for value in numbers),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) if ended else ""


def _writing_in_words(setup, pairs, ended, start):
    """Say what the search ends with, and what it would without a penalty."""
    if not ended:
        return f"No sentence that begins with **{as_text(start)}** ended within {_LONGEST} words. Try a wider beam."
    best = ended[0]
    plain = max(ended, key=lambda one: one.log_probability)
    told = (
        "Beam search does not settle for the likeliest next word: at every word it keeps the "
        f"{setup.beam} best beginnings. Here a word is as likely as it was to follow the word before it, in your "
        f"sentence and in the examples. With α = {setup.alpha:g} the best is "
        f"“**{as_text(block_writing_sentence(pairs, best, start))}**”, with a score of {number(best.score)}. "
    )
    if plain is best:
        return f"{told}It is also the likeliest: the penalty decides nothing here."
    return (
        f"{told}The likeliest of all is shorter, “{as_text(block_writing_sentence(pairs, plain, start))}”. Every "
        "further "
        "word makes a sentence less likely, and the length penalty makes up for that."
    )


def _scores_by_alpha(setup, pairs, ended, start):
    """Draw the scores of the best sentences as the penalty grows."""
    look, alphas = page_theme(), np.linspace(0, 2, 81)
    parts = []
    for one in _worth_drawing(ended):
        n = len(one.symbols) + 1
        scores = one.log_probability / np.array([beam_search.length_penalty(n, alpha) for alpha in alphas])
        parts.append(Curve(_short(block_writing_sentence(pairs, one, start)), alphas, scores))
    chart = charts.curves(
        parts, look, x=charts.Axis("α", ticks=[0, 0.5, 1, 1.5, 2]), y="score, the higher the better",
        marks=[(setup.alpha, f"α = {setup.alpha:g}")], title="Which sentence wins, by the penalty",
        width=int(min(page_width(), 1100)), height=360,
    )  # fmt: skip
    return charts.beside(chart)


def _worth_drawing(ended):
    """Return the best sentences as they are ranked, and the likeliest ones."""
    likely = sorted(ended, key=lambda one: -one.log_probability)[: _SHOWN // 2]
    return list(dict.fromkeys([*ended[: _SHOWN // 2], *likely]))


def _short(text):
    """Return how a sentence begins and ends, where it is too long to stand beside a curve."""
    words = text.split()
    if len(text) > _BESIDE:
        text = " ".join([*words[:2], "…", *words[-3:]])
    return shorten_label(text, _BESIDE)


def _table(setup, pairs, ended, start):
    """Return all sentences that ended, as comma-separated text."""
    rows = [[len(one.symbols) + 1, one.log_probability, one.score] for one in ended]
    names = [block_writing_sentence(pairs, one, start) for one in ended]
    return charts.csv(np.array(rows).reshape(-1, 3), names, ["n", "log probability", "score"])
