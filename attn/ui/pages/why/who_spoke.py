"""Who spoke for a word: what each head and each feed-forward network added to its score, layer by layer."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import label_pixels, number
from attn.models import ledger
from attn.models.head_weights import num_heads
from attn.ui.page import page_columns, page_figure, page_reading, page_theme
from attn.ui.pages.why.method import spoke_method, why_method
from attn.ui.pages.why.part_names import part_in_words
from attn.ui.pages.why.setup import (
    after_control,
    half_map_size,
    two_words_control,
    why_code,
    why_look_at_head,
    why_opening,
    why_places,
    why_word_name,
    why_writer_offer,
    word_name,
)
from attn.ui.shown_code import LIGHT, Source, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_share

_MOST_BARS = 12
_SAVED = 'charts.save(picture, "why.svg")'
_AFTER = "After which token the word would come. A model that writes sees this token and those before it."
_OF = "Whose last state is taken apart."
FORMULA = r"\ell_w - \ell_r = \sum_a x^a \cdot (u_w - u_r)"
OF_STATE = r"\lVert y \rVert = \sum_a x^a \cdot \frac{y}{\lVert y \rVert}"


def spoke_tab(state, reading):
    """Draw who spoke for a word; of an encoder, who made the last state of a token."""
    why_writer_offer(state, reading, "which heads and networks spoke for a next word, and which against it")
    token = after_control(state, reading, _AFTER if reading.writes else _OF)
    words = None
    if reading.writes:
        logits = reading.passed.logits[token]
        words = two_words_control(state, reading, logits)
        made = ledger.word_contributions(reading.model, reading.passed, token, *words)
        real = difference_of_logits(reading.model, reading.passed, token, *words)
        said = _said_of_words(reading, made, token, words, logits)
    else:
        made = ledger.state_contributions(reading.model, reading.passed, token)
        real = length_of_state(reading.passed, token)
        said = _said_of_state(reading, made, token, real)
    page_reading(said, FORMULA if reading.writes else OF_STATE, terms=("logit", "residual"))
    setup, grid = state.choices(), shares_by_head(made, reading.model)
    scale = share_name(made, _whole(words))
    left, right = page_columns([1, 1], figures=True)
    with left:
        page_figure(
            functools.partial(
                spoke_map, grid, page_theme(), half_map_size(*grid.shape),
                (state.get("layer") - 1, state.get("head") - 1), scale,
            ),
            "why.spoke",
            on_pick=lambda row, column: _open(state, reading, token, row, column, grid.shape[1] - 1),
            tables={"shares": lambda: charts.csv(grid, *_rows_and_columns(grid))},
            codes=lambda: _spoke_code(reading, setup, token, words, grid.shape),
        )  # fmt: skip
    with right:
        shares = strongest_shares(made, _MOST_BARS)
        labels = spoke_labels(made, token, _MOST_BARS, reading.labels, reading.passed)
        width = int(page_share(0.5, column=True) - max(map(label_pixels, labels)) - 40)
        page_figure(
            functools.partial(spoke_bars, shares, labels, page_theme(), width, scale), "why.spoke_bars",
            tables={"strongest": lambda: charts.csv(shares[:, None], labels, ["share"])},
            codes=lambda: _bars_code(reading, token, words, width),
        )  # fmt: skip
    what = "scores of the two words" if reading.writes else "length of the state"
    st.markdown(
        f"| step | number |\n|---|---|\n| sum of all {len(made.parts)} parts | {made.total:.6f} |\n"
        f"| {what} as the model computed | {real:.6f} |\n"
        f"| **difference of the two** | **{number(abs(made.total - real), 2)}** |"
    )
    st.caption(
        f"Direct shares alone: what a head did for {'a word' if reading.writes else 'this state'} by way of a later "
        "head or network is in the share of that. Choose a head to have it in view, on the other tabs too."
    )
    why_method(spoke_method(reading.model, reading.writes, made.parts), "elhage", "kobayashi_norms")
    why_code(state, lambda: _spoke_code(reading, setup, token, words, grid.shape))


def difference_of_logits(model, passed, token, word, rival):
    """Return how far a pass has a word's score above that of its rival, before any softcap."""
    scores, cap = passed.logits[token, [word, rival]].astype(float), getattr(model, "logit_softcap", None)
    scores = scores if cap is None else cap * np.arctanh(scores / cap)
    return float(scores[0] - scores[1])


def length_of_state(passed, token):
    """Return how long the last state of a token is."""
    return float(np.linalg.norm(passed.output[token].astype(float)))


def _open(state, reading, token, row, column, heads):
    """Have a head in view, and the key that it gives most of the weight of the token that is asked about."""
    if column < heads:
        why_look_at_head(state, reading, row, column, token)


def shares_by_head(made, model):
    """Return shares by layer, down, and by head, across; the last column is of the feed-forward networks."""
    grid = np.zeros((len(model.layers), num_heads(model) + 1))
    for part, share in zip(made.parts, made.shares, strict=True):
        if part.kind in ("head", "feed_forward"):
            grid[part.layer, -1 if part.head is None else part.head] = share
    return grid


def _rows_and_columns(grid):
    """Return the names of layers and of heads, and of the feed-forward networks beside these."""
    return charts.counted(len(grid)), [*charts.counted(grid.shape[1] - 1), "ff"]


def _whole(words):
    """Return what all shares add up to, in a word."""
    return "difference" if words else "length"


def share_name(made, whole):
    """Return what a share is a part of, with how much that is."""
    return f"part of the {whole} {number(made.total)}"


def spoke_map(grid, theme, size, selected, scale):
    """Draw the shares of heads and feed-forward networks."""
    picture = charts.heatmap(
        grid, *_rows_and_columns(grid), theme, kind="signed", title="Heads and feed-forward networks (ff)", size=size,
        axes=("layer", "head"), scale=charts.Scale(name=scale), pick=charts.Pick("part", selected),
        style=charts.Style(numbers=False),
    )  # fmt: skip
    return charts.beside(picture)


def spoke_bars(shares, labels, theme, width, scale):
    """Draw the parts that spoke most as bars around 0."""
    picture = charts.bars(
        shares, labels, theme, kind="signed", title="Who spoke most, for or against", width=width,
        scale=charts.Scale(name=scale),
    )  # fmt: skip
    return charts.beside(picture)


def spoke_labels(made, token, most, token_labels, passed):
    """Return the labels of the strongest shares, and at the end that of all others."""
    strongest = [made.parts[at] for at in np.argsort(-np.abs(made.shares))[:most]]
    labels = [ledger.part_label(part, passed, token, token_labels) for part in strongest]
    if len(made.parts) > most:
        labels.append(f"the other {len(made.parts) - most} parts")
    return labels


def strongest_shares(made, most):
    """Return the strongest shares, and at the end the sum of all others."""
    order = np.argsort(-np.abs(made.shares))
    shares = made.shares[order]
    if len(shares) > most:
        shares = np.append(shares[:most], made.total - shares[:most].sum())
    return shares


def _strongest(reading, made, token):
    """Say which two parts spoke most for it, and which one against it."""
    order = np.argsort(-made.shares)
    sides = {
        "For it most": [at for at in order[:2] if made.shares[at] > 0],
        "Against it most": [at for at in order[-1:] if made.shares[at] < 0],
    }

    def named(at):
        return f"{part_in_words(reading, made.parts[at], token)}, with {number(made.shares[at])}"

    heads = [at for at in order if made.parts[at].kind == "head" and made.shares[at] > 0]
    if heads and heads[0] not in sides["For it most"]:
        sides = {"For it most": sides["For it most"], "Of the heads most": heads[:1]} | sides
    return " ".join(f"{side}: {'; '.join(map(named, found))}." for side, found in sides.items() if found)


def _said_of_words(reading, made, token, words, logits):
    """Say for which word who spoke."""
    word, rival = (as_text(word_name(reading, id)) for id in words)
    return (
        f"After **{as_text(reading.labels[token])}**, the logit of **{word}** is {number(made.total)} above that of "
        f"**{rival}**. Each head and each feed-forward network added something to the state from which words are read, "
        f"so the difference is a sum of what they said. {_strongest(reading, made, token)}"
    )


def _said_of_state(reading, made, token, real):
    """Say what made a last state."""
    return (
        f"The last state of **{as_text(reading.labels[token])}** is {number(real)} long. Each part adds to this length "
        f"as far as it points in the state's direction. {_strongest(reading, made, token)}"
    )


def _made(reading, token, words):
    """Return the settings and the lines that bind ``made``, what each part said, and those that say its sum."""
    settings = why_places(token=token)
    if words:
        settings |= {
            name: Source(f"{id}  # of the vocabulary") for name, id in zip(("word", "rival"), words, strict=True)
        }
        made = f"made = ledger.word_contributions(model, passed, token, word, rival){why_word_name(reading)}"
        real, what = (
            ("real", difference_of_logits),
            "how far the logit of {word_name(word)} is above that of {word_name(rival)} then",
        )
    else:
        made = "made = ledger.state_contributions(model, passed, token)"
        real, what = ("real", length_of_state), "how long its last state is"
    said = (
        f'print(f"{{token_labels[token]}}, {what}:")\n'
        'print(f"sum of {len(made.parts)} parts {made.total:.6f}, as the model computed {real:.6f}")'
    )
    return settings, (why_opening(reading), f"from attn.models import ledger\n{made}", real), said


def _bars_code(reading, token, words, width):
    """Return the lines that find the strongest shares, and those that draw them."""
    settings, steps, said = _made(reading, token, words)
    return page_codes(
        None, settings | {"most": _MOST_BARS}, (*steps, ("shares", strongest_shares), ("labels", spoke_labels)),
        ('for label, share in zip(labels, shares):\n    print(f"{share:9.4f}  {label}")', said),
        {"theme": LIGHT, "width": width, "whole": _whole(words)},
        (("scale", share_name), ("picture", spoke_bars), _SAVED, said),
    )  # fmt: skip


def _spoke_code(reading, setup, token, words, shape):
    """Return the lines that compute the shares by head, and those that draw them."""
    settings, steps, said = _made(reading, token, words)
    selected = Source(f"{(setup.layer - 1, setup.head - 1)}  # layer and head with a frame, from 0")
    return page_codes(
        None, settings, (*steps, ("grid", shares_by_head)), ("print(grid.round(4))", said),
        {"theme": LIGHT, "size": half_map_size(*shape), "selected": selected, "whole": _whole(words)},
        (("scale", share_name), ("picture", spoke_map), _SAVED, said),
    )  # fmt: skip
