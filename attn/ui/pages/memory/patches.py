"""The part on words that look at the patches of a picture."""

from functools import partial
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import alignment, charts, softmax
from attn.architectures import image_attention
from attn.ui.code_tabs import page_code
from attn.ui.numpy_code import Paragraph, numpy_array, numpy_code, numpy_list
from attn.ui.page import page_figure, page_reading, page_tabs, page_theme
from attn.ui.pages.memory.image import GRID, PATCH, SIDE, memory_image_in_numpy, memory_image_picture_control
from attn.ui.pages.memory.setup import memory_setup_letter, memory_setup_tabs
from attn.ui.shown_code import LIGHT, Source, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_width
from attn.words import listed

MOST_WORDS = 6


WORDS = {  # what each word looks for in a patch: red, green, blue, contrast, how far right, how far up
    "red": (1, -0.7, -0.7, 0, 0, 0),
    "green": (-0.7, 1, -0.7, 0, 0, 0),
    "blue": (-0.7, -0.7, 1, 0, 0, 0),
    "yellow": (0.6, 0.6, -1, 0, 0, 0),
    "bright": (0.6, 0.6, 0.6, 0, 0, 0),
    "dark": (-0.6, -0.6, -0.6, 0, 0, 0),
    "edge": (0, 0, 0, 2, 0, 0),
    "plain": (0, 0, 0, -2, 0, 0),
    "left": (0, 0, 0, 0, -0.8, 0),
    "right": (0, 0, 0, 0, 0.8, 0),
    "top": (0, 0, 0, 0, 0, 0.8),
    "bottom": (0, 0, 0, 0, 0, -0.8),
}


_DEFAULT_CAPTION = ("red", "blue", "green", "dark")


class Looks(NamedTuple):
    """Where each word of a caption looks."""

    words: tuple
    patches: np.ndarray  # (n, PATCH * PATCH, 3)
    weights: np.ndarray  # (n_words, n) rows sum to 1


def memory_patches_controls(state):
    """Draw the picture, the words, and how sharply they look."""
    chosen = memory_image_picture_control(state)
    st.text_input(
        "Words", key=state.key("caption"), max_chars=200,
        help=f"Up to {MOST_WORDS} words of a caption. These are known: {', '.join(WORDS)}.",
    )  # fmt: skip
    st.slider(
        "Sharpness", 0.0, 40.0, step=0.5, key=state.key("contrast"),
        help="Multiplies the scores; at 0 all patches count alike.",
    )  # fmt: skip
    count = len(memory_patches_known_words(state.get("caption"))[0])
    state.clamp("word", 1, count)
    if count > 1:
        st.slider("Word", 1, count, key=state.key("word"), help="Whose soft and hard reading is shown below.")
    st.number_input("Seed", 0, 9999, key=state.key("seed"), help="Another seed draws other hard reads.")
    return chosen


def memory_patches_known_words(caption):
    """Return the words of a caption that have a vector, at most six, and those that have none."""
    typed = caption.lower().replace(",", " ").split()
    known = tuple(word for word in typed if word in WORDS)[:MOST_WORDS]
    return known or _DEFAULT_CAPTION, [word for word in typed if word not in WORDS]


def compute_memory_patches(picture, words, sharpness):
    """Let each word look at the patches of a picture.

    Returns
    -------
    Looks
    """
    return Looks(words, *_look(picture, [WORDS[word] for word in words], sharpness))


def _look(picture, queries, sharpness):
    """Return the patches of a picture, and the weight that each word's query gives them."""
    cut = image_attention.patches(picture, PATCH)
    scores = alignment.dot(queries, image_attention.patch_features(cut, GRID))
    weights = softmax(sharpness * scores)
    return cut, weights


def _photos(picture, words, weights, size, theme):
    """Draw the picture, and where each word looks."""
    return charts.beside(
        charts.photo(picture, theme, grid=(GRID, GRID), lines=True, title="Picture", size=size),
        *(
            charts.photo(picture, theme, weights=row.reshape(GRID, GRID), title=f"{step} {word}", size=size)
            for step, (word, row) in enumerate(zip(words, weights, strict=True), 1)
        ),
        spacing=16,
    )


def memory_patches_tab(state, setup, chosen):
    """Show where each word looks, and what it reads softly and hard."""
    picture, seen = chosen
    words, unknown = memory_patches_known_words(setup.caption)
    result = compute_memory_patches(picture, words, setup.contrast)
    if unknown:
        named = ", ".join(as_text(word) for word in unknown[:6])
        st.warning(f"There is no vector for {named}. These words have one: {', '.join(WORDS)}.")
    at = min(setup.word, len(words)) - 1
    k, q, z = (
        memory_setup_letter("key", "a_i"),
        memory_setup_letter("query", "h_t"),
        memory_setup_letter("output", "z_t"),
    )
    page_reading(
        _looks_in_words(result),
        rf"\begin{{gathered}} \alpha_{{ti}} = \mathrm{{softmax}}_i\left({q}^\top {k}\right) \\ "
        rf"{z} = \textstyle\sum_i \alpha_{{ti}}\, {k} \end{{gathered}}",
        f"The picture is cut into {GRID} × {GRID} patches of {PATCH} × {PATCH} pixels. The weights are {len(words)} × "
        f"{GRID * GRID}, one for each word and patch.",
    )
    size = int(min((page_width() - 24 * len(words)) / (len(words) + 1), 300))
    codes = partial(_words_code, setup, seen, words, size)
    page_figure(
        _photos(picture, words, result.weights, size, page_theme()),
        "memory.words",
        tables={"weights": lambda: charts.csv(result.weights, words, charts.counted(GRID * GRID))},
        codes=codes,
    )
    page_tabs(
        state,
        memory_setup_tabs("Soft and hard"),
        {
            "more": lambda: _soft_and_hard(state, setup, result, at),
            "code": lambda: page_code(state, codes()),
        },
    )


def _looks_in_words(result):
    """Say where the words look, and what their vectors are."""
    best = result.weights.argmax(axis=1)
    places = [
        f"**{word}**{'' if later else ' looks most'} at row {at // GRID + 1}, column {at % GRID + 1}"
        for later, (word, at) in enumerate(zip(result.words, best, strict=True))
    ]
    return (
        "**Untrained.** A network that describes a picture looks at it anew for each word. Here "
        f"{listed(places)}. The network of the paper read 14 × 14 patches of 512 trained numbers each. Here a patch is "
        "its mean colour, its contrast and its place, and the vector of each word was written by hand."
    )


def _soft_and_hard(state, setup, result, at):
    """Show one word's soft read beside the mean of its hard reads, and what all words leave unseen."""
    st.slider(
        "Hard reads", 1, 2000, key=state.key("draws"),
        help="How often one patch is drawn, with its weight as probability.",
    )  # fmt: skip
    draws = state.commit().draws
    flat = result.patches.reshape(len(result.patches), -1)
    soft = alignment.soft_read(result.weights[at], flat)
    hard = alignment.hard_reads(result.weights[at], flat, np.random.default_rng(setup.seed), draws)
    counts = np.bincount(hard.places, minlength=len(flat)).reshape(GRID, GRID)
    penalty = float(alignment.doubly_stochastic_penalty(result.weights))
    received = result.weights.sum(axis=0).reshape(GRID, GRID)
    gap = float(np.abs(hard.running_mean[-1] - soft).max())
    st.markdown(
        f"For **{result.words[at]}**, soft reading gives one blurred patch: the mean of all patches, by their weights. "
        f"Hard reading draws one patch at a time; the mean of {draws:,} draws comes within **{gap:.3f}** of the soft "
        "patch. Each word gives away a weight of 1 in all, and so the patches receive between "
        f"**{received.min():.2f}** and **{received.max():.2f}**. In training the paper adds a penalty, λ Σ (1 − "
        f"received)², here **{penalty:.3g}** for λ = 1, so that a caption looks at every patch."
    )
    shape, names, size = (PATCH, PATCH, 3), charts.counted(GRID), int(min((page_width() - 220) / 3.4, 380))
    options = {"kind": "magnitude", "axes": ("row", "column"), "size": size}
    page_figure(
        charts.beside(
            charts.photo(soft.reshape(shape), page_theme(), title="Soft patch", size=size // 2),
            charts.photo(hard.running_mean[-1].reshape(shape), page_theme(), title="Mean of hard", size=size // 2),
            charts.heatmap(
                counts,
                names,
                names,
                page_theme(),
                title="Hard reads",
                scale=charts.Scale(name="draws"),
                style=charts.Style(decimals=0),
                **options,
            ),
            charts.heatmap(
                received,
                names,
                names,
                page_theme(),
                title="Received in all",
                scale=charts.Scale(name="sum of weights"),
                style=charts.Style(decimals=2),
                **options,
            ),
        ),
        "memory.soft_and_hard",
        tables={
            "received": lambda: charts.csv(received, names, names),
            "draws": lambda: charts.csv(counts, names, names),
        },
    )


def _words_code(setup, seen, words, size):
    settings = {
        "picture": Source(seen.code(SIDE)),
        "words": words,
        "queries": [WORDS[word] for word in words],
        "sharpness": setup.contrast,
    }
    return page_codes(
        lambda: _numpy_code(setup, seen, words),
        settings,
        (("cut, weights", _look),),
        ("print(weights.round(6))\nprint(alignment.doubly_stochastic_penalty(weights))",),
        {"size": size, "theme": LIGHT},
        (("shown", _photos), 'charts.save(shown, "words.svg")'),
    )


def _numpy_code(setup, seen, words):
    """Return the lines that let each word look at the patches in numpy alone."""
    queries = np.array([WORDS[word] for word in words], dtype=float)
    n = GRID * GRID
    return numpy_code(
        memory_image_in_numpy(seen),
        Paragraph(
            f"Cut into {GRID} × {GRID} patches of {PATCH} × {PATCH} pixels",
            _CUT.format(grid=GRID, patch=PATCH) + f"  # {(n, PATCH * PATCH, 3)}",
        ),
        Paragraph("Keys: the mean colour of a patch, its contrast and its place", _KEYS + f"  # {(n, 6)}"),
        Paragraph(
            "Queries: what each word looks for, of the same six numbers",
            f"{numpy_list('words', words)}\n{numpy_array('queries', queries, queries.shape)}",
        ),
        Paragraph(
            "Weights: the softmax of the scores, a row for each word",
            f"scores = {setup.contrast!r} * (queries @ keys.T)  # {(len(words), n)}\n"
            "exp = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "weights = exp / exp.sum(axis=-1, keepdims=True)",
            "weights",
            "weights.round(6)",
        ),
        Paragraph(
            "How far patches are from getting a weight of 1 in all words",
            "print(((1 - weights.sum(axis=0)) ** 2).sum())",
        ),
        at="weights",
    )


_CUT = """\
grid, patch = {grid}, {patch}
cut = picture.reshape(grid, patch, grid, patch, 3).swapaxes(1, 2)
cut = cut.reshape(grid * grid, patch * patch, 3)"""
_KEYS = """\
down, across = np.divmod(np.arange(grid * grid), grid)
right, up = 2 * (across + 0.5) / grid - 1, 1 - 2 * (down + 0.5) / grid
colour, contrast = cut.mean(axis=1) - 0.5, cut.std(axis=1).mean(axis=1)
keys = np.column_stack([colour, contrast, right, up])"""
