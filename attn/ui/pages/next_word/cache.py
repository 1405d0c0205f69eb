"""Next word, tab The cache: what a first pass computes, what each new word computes, and what is kept for it."""

from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts, cost
from attn.charts.labels import number
from attn.models.layer_parts import feed_forward_matrices
from attn.ui.language_models import MOST_WALKED
from attn.ui.page import page_columns, page_figure, page_reading
from attn.ui.pages.next_word.code import NEXT_WORD_SAVED, written_words_steps
from attn.ui.pages.next_word.setup import KNOWN
from attn.ui.pages.next_word.writing import writing_path, writing_steps
from attn.ui.shown_code import LIGHT, Codes, page_codes, shown_code
from attn.ui.state import as_text
from attn.ui.width import page_share

_BYTES = 4  # of a number here, float32
_WINDOW = 4096  # tokens that a window keeps, as in Mistral 7B


class CacheStep(NamedTuple):
    """One pass of a text that is written, with what is kept of those before."""

    n_kept: int  # tokens whose keys and values are there already
    n_new: int  # tokens that are passed through
    work: cost.PassWork
    again: cost.PassWork  # of all tokens without a cache
    kept_bytes: int  # of keys and values behind this pass, measured


def cache_tab(state, walked, factors, theme, width):
    """Draw the walk along the cache, and what it takes in known models."""
    setup = state.commit()
    steps = writing_steps(setup, factors, setup.count + 1)
    ended = len(steps) < setup.count + 1
    if len(steps) < setup.count:
        state.adjust(count=len(steps))
    writing_path(state, ended=ended, about="Tokens read after the text")
    step = _step(walked, steps, min(setup.count, len(steps)))
    labels = charts.token_labels([*(token.text for token in walked.read.tokens), *(each.label for each in steps)])
    labels = labels[: step.n_kept + step.n_new]
    page_reading(
        _reading(walked, step, labels), terms=["cache"],
        shapes=f"{_heads(walked)} key/value heads × {step.n_kept + step.n_new} tokens × 2 × {_d_k(walked)} numbers, in "
        f"each of {len(walked.language.model.layers)} layers",
    )  # fmt: skip
    size = int(min(page_share(0.5) - 120, 420))
    drawn = {
        "n_kept": step.n_kept, "num_kv_heads": _heads(walked), "window": getattr(walked.layer, "window", None),
        "layer": setup.layer, "size": size,
    }  # fmt: skip
    page_figure(
        cache_pictures(labels, theme=theme, **drawn), "next_word.cache",
        tables={"cache": lambda: _csv(walked, steps)},
        codes=lambda: _cache_codes(setup, factors, drawn),
    )  # fmt: skip
    st.header("How large it grows", anchor=False)
    _known(state, walked, theme)


def _heads(walked):
    """Return how many heads of keys and values a layer has."""
    model = walked.language.model
    return getattr(model, "num_kv_heads", model.num_heads)


def _d_k(walked):
    """Return the width of a head."""
    return walked.read.passed.layers[0].key.shape[-1]


def _shape(walked):
    """Return the sizes of a model as `attn.cost.pass_work` takes them."""
    model = walked.language.model
    return {
        "num_layers": len(model.layers), "d_model": model.embedding.shape[1], "num_heads": model.num_heads,
        "num_kv_heads": _heads(walked), "d_k": _d_k(walked), "d_ff": walked.read.passed.layers[0].inner.shape[1],
        "vocabulary": len(model.embedding), "gated": feed_forward_matrices(model.layers[0]).w_gate is not None,
    }  # fmt: skip


def _step(walked, steps, count):
    """Return the pass that makes the word after so many written ones."""
    n, shape = len(walked.read.tokens), _shape(walked)
    new, kept = (n, 0) if not count else (1, n + count - 1)
    measured = steps[count].kept_bytes if count < len(steps) else _bytes(walked, new + kept)
    return CacheStep(kept, new, cost.pass_work(new, kept, **shape), cost.pass_work(new + kept, **shape), measured)


def _bytes(walked, n):
    """Return the bytes of the keys and values of so many tokens."""
    sizes = _shape(walked)
    return cost.cache_bytes(
        n, sizes["num_kv_heads"], sizes["d_k"], sizes["d_k"], num_layers=sizes["num_layers"], bytes_per_number=_BYTES
    )


def _reading(walked, step, labels):
    """Say what the pass computes, and what the cache spares."""
    each, total = _bytes(walked, 1), f"{step.work.total / 1e6:,.0f}"
    held = f"**{step.kept_bytes / 1e3:,.0f} kB** of keys and values are kept now, {each / 1e3:,.1f} kB for each token"
    if not step.n_kept:
        return (
            f"Prefill: all {step.n_new} tokens of the text pass through the model together, {total} million "
            f"multiplications. Keys and values of every layer stay, queries are needed no more. {held}. Press “Next” "
            "to read the token that was written."
        )
    share = 100 * (1 - step.work.total / step.again.total)
    return (
        f"**{as_text(labels[-1])}** passes alone: one query for each head, which looks at {step.n_kept} kept keys and "
        f"its own. That is {total} million multiplications; the whole text again would be "
        f"{step.again.total / 1e6:,.0f} million. The cache saves **{number(share)}%**. {held}."
    )


def cache_pictures(labels, n_kept, num_kv_heads, window, layer, theme, size):
    """Draw which scores are computed in a pass, and which keys and values are kept.

    Parameters
    ----------
    labels : list of str
        Of all tokens, those of this pass at the end.
    n_kept : int
        Tokens whose keys and values were there before it.
    num_kv_heads : int
    window : int or None
        How many keys a token of this layer looks at, its own among them; None for all.
    layer : int
        Counted from 1.
    theme : Theme
    size : int
        Pixels.

    Returns
    -------
    alt.HConcatChart
    """
    n = len(labels)
    row, column = np.indices((n, n))
    seen = (column <= row) & (True if window is None else column > row - window)
    states = np.where(~seen, 2, np.where(row < n_kept, 0, 1))
    kinds = {"done before": theme.weight_half, "now": theme.weight, "never seen": theme.hidden}
    scores = charts.work_grid(
        states, kinds, labels, labels, theme, title=f"Scores of each head, layer {layer}", size=size
    )
    heads = [f"{what} {head}" for head in range(1, num_kv_heads + 1) for what in ("K", "V")]
    kept = np.where(np.arange(n) < n_kept, 0, 1)
    if window is not None:
        kept = np.where(np.arange(n) < n - window + 1, 2, kept)
    kinds = {"kept from before": theme.weight_half, "new": theme.weight, "let go": theme.hidden}
    cache = charts.work_grid(
        np.tile(kept, (len(heads), 1)), kinds, heads, labels, theme, title=f"Keys and values kept, layer {layer}",
        size=(size, min(24 * len(heads), size)), axes=("key/value head", "token"),
    )  # fmt: skip
    return charts.beside(scores, cache)


def _cache_codes(setup, factors, drawn):
    """Return the lines that count what is kept before each word, and those that draw the present pass."""
    settings, (opening, words) = written_words_steps(setup, factors, setup.count)
    labels = (
        f"read = language_model.read(opened, text, max_tokens={MOST_WALKED}, last=True)\n{words}\n"
        "labels = charts.token_labels([*(token.text for token in read.tokens), *labels])"
    )
    shown = settings | drawn | {"theme": LIGHT}
    return Codes(
        draw=lambda: shown_code(shown, opening, labels, ("picture", cache_pictures), NEXT_WORD_SAVED),
        attn=lambda: shown_code(
            settings | {"count": setup.count + 1}, opening,
            "for word in written:  # what is kept before each\n    print(word.cache.length, word.cache.nbytes)",
        ),
    )  # fmt: skip


def _csv(walked, steps):
    """Return every pass so far as comma-separated text."""
    found = [_step(walked, steps, count) for count in range(len(steps))]
    rows = [[each.n_kept, each.n_new, each.work.total, each.again.total, each.kept_bytes] for each in found]
    names = ["prefill", *(step.label for step in steps[:-1])]
    return charts.csv(rows, names, ["tokens kept", "tokens new", "multiplications", "without a cache", "bytes after"])


def _known(state, walked, theme):
    """Draw what the cache of a known model takes with other ways to share keys, at any length."""
    which, length = page_columns([1, 1])
    with which:
        st.selectbox(
            "Model", KNOWN, key=state.key("known"), format_func=lambda name: "The one above" if name == "own" else name,
            help="Layers, heads and widths as its published configuration says.",
        )  # fmt: skip
    with length:
        lengths = sorted({2**power for power in range(4, 18)} | {state.get("length")})
        st.select_slider(
            "Tokens of the text", lengths, key=state.key("length"), format_func=lambda n: f"{n:,}",
            help="How many tokens have been read and written. The cache grows with each.",
        )  # fmt: skip
    setup = state.commit()
    shape, width = _known_shape(setup.known, walked), page_share(0.55)
    names, found = cache_by_sharing(shape, setup.length)
    page_reading(cache_sharing_sentence(setup.known, setup.length, names, found))
    made = ("names, found", cache_by_sharing)
    page_figure(
        cache_sharing_bars(names, found, theme, width), "next_word.sharing",
        tables={"cache_by_sharing": lambda: charts.csv(np.array([found]).T, names, ["bytes"])},
        codes=lambda: page_codes(
            None, {"shape": shape, "n": setup.length}, (made,), ("print(*zip(names, found), sep='\\n')",),
            {"theme": LIGHT, "width": width}, (("picture", cache_sharing_bars), NEXT_WORD_SAVED),
        ),
    )  # fmt: skip


def cache_sharing_bars(names, found, theme, width):
    """Draw the bytes of a cache by the way in which heads share keys."""
    scale = charts.Scale(name="MB")
    megabytes = np.array(found) / 1e6
    drawn = charts.bars(megabytes, names, theme, kind="magnitude", title="MB of cache", width=width, scale=scale)
    return charts.beside(drawn)


def _known_shape(known, walked):
    """Return layers, heads, key/value heads and width of a head."""
    if known == "own":
        sizes = _shape(walked)
        return tuple(sizes[name] for name in ("num_layers", "num_heads", "num_kv_heads", "d_k"))
    shape = cost.SHAPES[known]
    return shape.num_layers, shape.num_heads, shape.num_kv_heads, shape.d_k


def cache_by_sharing(shape, n):
    """Return the bytes of a cache by the way in which heads share keys, two bytes a number.

    Parameters
    ----------
    shape : tuple of int
        Layers, heads, key/value heads and width of a head.
    n : int
        Tokens.

    Returns
    -------
    names : list of str
    found : list of int
    """
    num_layers, num_heads, own, d_k = shape
    grouped = own if 1 < own < num_heads else max(d for d in range(1, num_heads // 2 + 1) if num_heads % d == 0)
    ways = {
        f"Multi-head: {num_heads} key/value heads": (num_heads, None),
        f"Grouped: {grouped}": (grouped, None),
        "Multi-query: 1": (1, None),
        f"Multi-head, last {_WINDOW:,} tokens": (num_heads, _WINDOW),
    }
    found = [
        cost.cache_bytes(n, heads, d_k, d_k, num_layers=num_layers, window=window) for heads, window in ways.values()
    ]
    return list(ways), found


def cache_sharing_sentence(known, n, names, found):
    """Say how much less is kept where heads share keys."""
    times = found[0] / found[1]
    return (
        f"{'This model' if known == 'own' else known} with a set of keys and values for every head would keep "
        f"{found[0] / 1e6:,.0f} MB after {n:,} tokens, at two bytes a number. Grouped heads keep {number(times)} times "
        f"less, and one set for all heads {number(found[0] / found[2])} times less. A window stops the growth at "
        f"{_WINDOW:,} tokens."
    )
