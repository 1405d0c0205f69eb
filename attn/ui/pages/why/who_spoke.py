"""Who spoke for a word: what each head and each feed-forward network added to its score, layer by layer."""

import functools

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import label_pixels, number
from attn.models import ledger
from attn.models.head_weights import num_heads
from attn.ui.numpy_models import numpy_model_code
from attn.ui.page import page_columns, page_figure, page_reading, page_theme
from attn.ui.pages.why.method import spoke_method, why_method
from attn.ui.pages.why.part_names import part_in_words, part_label
from attn.ui.pages.why.setup import (
    MOST_TOKENS,
    after_control,
    half_map_size,
    two_words_control,
    why_code,
    why_writer_offer,
    word_name,
)
from attn.ui.shown_code import LIGHT, Codes, page_codes, shown_code
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
        scores = [_uncapped(reading.model, float(logits[word])) for word in words]
        real = scores[0] - scores[1]
        said = _said_of_words(reading, made, token, words, logits)
    else:
        made = ledger.state_contributions(reading.model, reading.passed, token)
        real = float(np.linalg.norm(reading.passed.output[token].astype(float)))
        said = _said_of_state(reading, made, token, real)
    page_reading(said, FORMULA if reading.writes else OF_STATE, terms=("logit", "residual"))
    setup, grid = state.choices(), shares_by_head(made, len(reading.model.layers), num_heads(reading.model))
    left, right = page_columns([1, 1], figures=True)
    with left:
        layers = [str(layer + 1) for layer in range(len(grid))]
        heads = [*(str(head + 1) for head in range(grid.shape[1] - 1)), "ff"]
        page_figure(
            functools.partial(
                spoke_map, grid, layers, heads, page_theme(), half_map_size(*grid.shape),
                (state.get("layer") - 1, state.get("head") - 1),
            ),
            "why.spoke",
            on_pick=lambda row, column: _open(state, row, column, grid.shape[1] - 1),
            tables={"shares": lambda: charts.csv(grid, layers, heads)},
            codes=lambda: _spoke_code(reading, setup, token, words, grid),
        )  # fmt: skip
    with right:
        shares, labels = _ranked(reading, made, token)
        width = int(page_share(0.5, column=True) - max(map(label_pixels, labels)) - 40)
        page_figure(
            functools.partial(spoke_bars, shares, labels, page_theme(), width), "why.spoke_bars",
            tables={"strongest": lambda: charts.csv(shares[:, None], labels, ["share"])},
            codes=lambda: _bars_code(reading, setup, token, words, {"labels": labels, "width": width}),
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
    why_code(state, lambda: _spoke_code(reading, setup, token, words, grid))


def _uncapped(model, score):
    """Return a word's score as it was before any softcap."""
    cap = getattr(model, "logit_softcap", None)
    return score if cap is None else cap * float(np.arctanh(score / cap))


def _open(state, row, column, heads):
    """Have a head in view."""
    if column < heads:
        state.set(layer=row + 1, head=column + 1)


def shares_by_head(made, num_layers, num_heads):
    """Return shares by layer, down, and by head, across; the last column is of the feed-forward networks."""
    grid = np.zeros((num_layers, num_heads + 1))
    for part, share in zip(made.parts, made.shares, strict=True):
        if part.kind in ("head", "feed_forward"):
            grid[part.layer, num_heads if part.head is None else part.head] = share
    return grid


def spoke_map(grid, layers, heads, theme, size, selected):
    """Draw the shares of heads and feed-forward networks."""
    picture = charts.heatmap(
        grid, layers, heads, theme, kind="signed", title="Heads and feed-forward networks (ff)", size=size,
        axes=("layer", "head"), scale=charts.Scale(name="share"), pick=charts.Pick("part", selected),
        style=charts.Style(numbers=False),
    )  # fmt: skip
    return charts.beside(picture)


def spoke_bars(shares, labels, theme, width):
    """Draw the parts that spoke most as bars around 0."""
    picture = charts.bars(
        shares, labels, theme, kind="signed", title="Who spoke most, for or against", width=width,
        scale=charts.Scale(name="share"),
    )  # fmt: skip
    return charts.beside(picture)


def _ranked(reading, made, token):
    """Return the strongest shares, the remainder, and their labels."""
    order = np.argsort(-np.abs(made.shares))[:_MOST_BARS]
    labels = [part_label(reading, made.parts[at], token) for at in order]
    rest = len(made.parts) - len(order)
    return strongest_shares(made, _MOST_BARS), [*labels, f"the other {rest} parts"] if rest else labels


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


def _contributions(token, words):
    """Return the settings and the lines that bind ``made``, what each part said."""
    settings = {"token": token}
    if words:
        settings |= {"word": words[0], "rival": words[1]}
        made = "made = ledger.word_contributions(model, passed, token, word, rival)"
    else:
        made = "made = ledger.state_contributions(model, passed, token)"
    return settings, f"from attn.models import ledger\n{made}"


def _bars_code(reading, setup, token, words, look):
    """Return the lines that find the strongest shares, and those that draw them."""
    opening = numpy_model_code(setup.model, setup.text, MOST_TOKENS, reading.opened)
    settings, made = _contributions(token, words)
    return page_codes(
        None, settings | {"most": _MOST_BARS}, (opening, made, ("shares", strongest_shares)),
        ("print(shares.round(4))",), look | {"theme": LIGHT}, (("picture", spoke_bars), _SAVED),
    )  # fmt: skip


def _spoke_code(reading, setup, token, words, grid):
    """Return the lines that compute the shares, and those that draw them."""
    opening = numpy_model_code(setup.model, setup.text, MOST_TOKENS, reading.opened)
    settings, made = _contributions(token, words)
    sizes = {"num_layers": grid.shape[0], "num_heads": grid.shape[1] - 1}
    look = {
        "layers": [str(layer + 1) for layer in range(grid.shape[0])],
        "heads": [*(str(head + 1) for head in range(grid.shape[1] - 1)), "ff"],
        "theme": LIGHT, "size": half_map_size(*grid.shape), "selected": (setup.layer - 1, setup.head - 1),
    }  # fmt: skip
    return Codes(
        attn=lambda: shown_code(
            settings, opening, made,
            "print(round(made.total, 6))\nfor part, share in sorted(zip(made.parts, made.shares), "
            "key=lambda pair: -abs(pair[1]))[:12]:\n    print(f\"{share:9.4f}\", *part)",
        ),
        draw=lambda: shown_code(
            settings | sizes | look, opening, made, ("grid", shares_by_head), ("picture", spoke_map),
            _SAVED,
        ),
    )  # fmt: skip
