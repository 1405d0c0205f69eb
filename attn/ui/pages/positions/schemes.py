"""A scheme of positions on its own: as a picture, and what it gives to a query and a key wherever they stand."""

import functools
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts, positions
from attn.charts.labels import number
from attn.charts.plane import LEAST_PLOT
from attn.ui import models
from attn.ui.controls.positions import POSITIONS, SHAW_REACH, TRAINED, shaw_table
from attn.ui.pages.positions.shuffle import NUM_HEADS, shuffle_scheme_keywords
from attn.ui.width import page_plot_height, page_width

_SHOWN = 40  # positions that the picture of a scheme shows
_FAR = 256  # tokens among which every bucket has a distance
_FAR_STEP = 64  # tokens from one row to the next where keys fade
_DIALS = 6
_STARTS = (0, 1, 5, 20, 100, 400)  # positions of the query at which one distance is looked at
_OFFSETS = (0, 1, 2, 5, 10, 50, 100)  # distances
_BOTH = {"kind": "signed", "axes": ("position", "position")}


# As a picture


class Part(NamedTuple):
    """One matrix of a scheme's picture."""

    values: np.ndarray  # (positions, anything)
    options: dict  # keywords of `attn.charts.panel`
    rows: list[str] | None = None  # names of the rows; by default they are counted

    @property
    def names(self):
        """Names of rows and columns."""
        rows, columns = map(charts.counted, self.values.shape)
        return self.rows or rows, columns


def schemes_parts(setup):
    """Return the matrices of the scheme's picture, that which the scheme works with first; none without positions."""
    make = {
        "sinusoidal": _waves,
        "halves": _waves,
        "learned": _table,
        "rotary": _turns,
        "yarn": _turns,
        "xpos": _fading_turns,
        "alibi": _slopes,
        "relative": _buckets,
        "shaw": _distance_rows,
    }
    return make[setup.positions](setup) if setup.positions in make else []


def _waves(setup):
    waves = shuffle_scheme_keywords(setup, _SHOWN)[0]["added"]
    added = {"title": "What is added", "kind": "signed", "axes": ("position", "dimension")}
    return [Part(waves, added), Part(waves @ waves.T, {"title": "Products of two positions", **_BOTH})]


def _table(setup):
    table = models.model_position_table()
    few = float(np.quantile(np.abs(table), 0.99))  # a few numbers are far larger than the rest
    shown = {
        "title": "all-MiniLM-L6-v2: its trained table",
        "kind": "signed",
        "axes": ("position", "dimension"),
        "scale": charts.Scale(few),
    }
    return [Part(table, shown), Part(schemes_trained_cosines(), {"title": "Cosines of its rows", **_BOTH})]


def _turns(setup):
    angles = np.arange(_SHOWN)[:, None] * 2 * np.pi / schemes_wavelengths(setup)
    ones = np.ones((_SHOWN, setup.d_k))
    query, key = positions.turned(ones, ones, shuffle_scheme_keywords(setup, _SHOWN)[0]["rotate"])
    turned = {"title": "Cosine of turn", "kind": "signed", "axes": ("position", "pair")}
    return [
        Part(np.cos(angles), turned),
        Part(query @ key.T, {"title": "Equal query and key, turned: products", "kind": "signed"}),
    ]


def _fading_turns(setup):
    back = _FAR_STEP * np.arange(_SHOWN)
    left = np.array([schemes_fading(setup, distance) for distance in back])  # (distances, pairs)
    shown = {"title": "Left of a product", "kind": "magnitude", "scale": charts.Scale(1.0, name="share")}
    return [*_turns(setup), Part(left, shown | {"axes": ("tokens back", "pair")}, [str(distance) for distance in back])]


def _slopes(setup):
    bias = positions.alibi_bias(NUM_HEADS, _SHOWN)[setup.head - 1]
    return [Part(bias, {"title": f"Bias of head {setup.head}", "kind": "signed"})]


def _buckets(setup):
    buckets = positions.relative_buckets(_SHOWN)
    which = {"title": "Bucket of each distance, of 32", "kind": "magnitude", "scale": charts.Scale(name="bucket")}
    return [
        Part(buckets, which),
        Part(shuffle_scheme_keywords(setup, _SHOWN)[0]["bias"], {"title": "Its number", "kind": "signed"}),
    ]


def _distance_rows(setup):
    table = shaw_table(setup.seed, setup.d_k)
    query = np.random.default_rng(setup.seed).normal(size=(2, 1, setup.d_k))[0].repeat(_SHOWN, axis=0)
    bias = shuffle_scheme_keywords(setup, _SHOWN)[0]["bias"](query)
    rows = {"title": "Row of each distance", "kind": "signed", "axes": ("key − query", "dimension")}
    return [
        Part(table, rows, [f"{distance}".replace("-", "−") for distance in range(-SHAW_REACH, SHAW_REACH + 1)]),
        Part(bias, {"title": "What one query adds", "kind": "signed"}),
    ]


def schemes_picture(parts, slope, theme):
    """Draw the scheme: what is added, or by how much is turned, or the bias.

    Parameters
    ----------
    parts : list of Part
        As `schemes_parts` returns them.
    slope : int or None
        The head, counted from 0, of a scheme with another slope for each.
    theme : Theme
    """
    if slope is not None:
        (bias,) = parts
        size = int(min(page_plot_height(600), page_width() * 0.45))
        return charts.beside(
            _slope_bars(slope, theme), charts.heatmap(bias.values, *bias.names, theme, size=size, **bias.options)
        )
    matrices = [charts.panel(part.values, *part.names, **part.options) for part in parts]
    return charts.panels(
        theme, page_width(), *matrices, tallest=page_plot_height(int(min(640, max(440, page_width() * 0.4))))
    )


def schemes_slope(setup):
    """Return the head, counted from 0, under a scheme with another slope for each, else None."""
    return setup.head - 1 if setup.positions == "alibi" else None


def _slope_bars(head, theme):
    """Draw the slopes of all heads, to be clicked."""
    return charts.bars(
        positions.alibi_slopes(NUM_HEADS),
        [f"head {head}" for head in range(1, NUM_HEADS + 1)],
        theme,
        title="Slope of each head",
        kind="magnitude",
        scale=charts.Scale(name="slope"),
        pick=charts.Pick("slope", head),
        width=int(page_width() * 0.25),
    )


def schemes_csv(setup):
    """Return what the scheme works with as comma-separated text."""
    part = schemes_parts(setup)[0]
    return charts.csv(part.values, *part.names)


def schemes_reading(setup):
    """Say how to read the picture of the scheme."""
    if setup.about_pairs:
        width, waves = POSITIONS[setup.positions].pairs, schemes_wavelengths(setup)
        idea = (
            "Each pair of columns is a wave, and no two positions have the same numbers in all of them"
            if width == "d_model"
            else "Pairs of numbers in queries and keys are turned like the hands of a clock, each pair at its own speed"
        )
        said = f"{idea}. The first begins anew every {waves[0]:.2f} positions, the last every **{waves[-1]:,.0f}**."
        more = {"halves": _halves_reading, "yarn": _yarn_reading, "xpos": _xpos_reading}
        return f"{said} {more[setup.positions](setup)}" if setup.positions in more else said
    if setup.positions == "learned":
        return (
            f"This table was trained: one row for each of the {TRAINED} positions that all-MiniLM-L6-v2 can read. "
            "Nobody told it that position 7 is near 8, and yet rows of near positions have become alike: that is the "
            "strong diagonal in the map of cosines. The weights at the top of the page use a random table instead, "
            "such as training begins with."
        )
    if setup.positions == "alibi":
        slope = positions.alibi_slopes(NUM_HEADS)[setup.head - 1]
        return (
            f"The farther a key, the lower its score. In head {setup.head} it loses **{number(slope)}** for each token "
            f"of distance: a key {4 / slope:,.0f} tokens away gets e⁴ = {np.exp(4):.0f} times less weight than an "
            "equal "
            "one at the query's own place. Choose another head."
        )
    if setup.positions == "shaw":
        return (
            "Each distance has a list of numbers, and the query decides what it is worth: their product is added to "
            "the "
            f"score. There are {2 * SHAW_REACH + 1} rows, one for each distance up to {SHAW_REACH} tokens to each "
            "side; "
            "what is farther takes the last row of its side. Training would set the rows; here they are random."
        )
    buckets, exact = positions.relative_buckets(_FAR), len(_one_distance_buckets())
    return (
        "Distances are sorted into buckets, and each bucket has one number that is added to the score. "
        f"Half of the {buckets.max() + 1} buckets are for the query's own place and keys to the left, half for keys to "
        f"the right. The first {exact} of a half hold one distance each, the other {exact} hold ever more, and from "
        f"{schemes_last_bucket()} on all distances share the last. Training would set the numbers; here they are "
        "random."
    )


def schemes_footnote(setup):
    """Return what only some readers look for about the scheme; empty where there is nothing."""
    if setup.positions == "sinusoidal":
        paper = positions.wavelengths(512)[-1]
        return (
            f"The paper gives the longest wave as 10,000 · 2π = {20_000 * np.pi:,.0f}. But its exponent ends at "
            f"(d − 2)/d, so that at d = 512 the longest wave is **{paper:,.0f}**."
        )
    if setup.positions == "halves":
        return (
            "In the formula of the paper the exponent ends at (d − 2)/d. Here it ends at 1, so that the last wave is "
            "as "
            f"long as the paper says in words: {int(setup.base):,} · 2π."
        )
    if setup.positions == "learned":
        return (
            "In Vaswani et al., 2017, Table 3, row (E), a trained table translated about as well as sinusoids: a BLEU "
            "score (how much a translation shares with one by a person) of 25.7, and 25.8 with sinusoids."
        )
    if setup.positions == "relative":
        buckets = positions.relative_buckets(_FAR)
        unused = next(bucket for bucket in range(buckets.max()) if bucket not in buckets)
        return (
            f"Bucket {unused} is never used: it would hold keys 0 tokens to the right. Every head has its own numbers."
        )
    if setup.positions == "shaw":
        return "A second table may be added to the values. In the paper, keys alone do as well."
    return ""


def _halves_reading(setup):
    """Say in which order the waves stand."""
    return "All sines stand before all cosines: the products of two positions are the same as with pairs side by side."


def _yarn_reading(setup):
    """Say which pairs are slowed down, and by how much all grow."""
    slower = schemes_wavelengths(setup) / schemes_wavelengths(setup, "rotary")
    kept, slowed = (int(np.isclose(slower, by).sum()) for by in (1, int(setup.stretch)))
    factor = positions.yarn_factor(int(setup.stretch))
    return (
        f"**{kept} of {len(slower)}** pairs turn round at least 32 times in {TRAINED} tokens and keep their speed. "
        f"**{slowed}** turn round at most once and are made {setup.stretch} times slower, so that longer texts show "
        f"them no new angle; {len(slower) - kept - slowed} lie between. Queries and keys are multiplied by "
        f"0.1 ln {setup.stretch} + 1 = **{factor:.3f}**, so scores by {factor**2:.3f}."
    )


def _xpos_reading(setup):
    """Say how far keys fade."""
    kept = schemes_fading(setup, TRAINED)
    return (
        f"Queries also grow with the position and keys shrink, so that far keys count less: {TRAINED} tokens back, "
        f"the product keeps **{kept[0]:.1%}** of its size in the fastest pair and {kept[-1]:.1%} in the slowest. Keys "
        "after the query would gain as much, so this scheme needs a causal mask."
    )


def _one_distance_buckets():
    """Return the buckets to the left that hold one distance only."""
    buckets, counts = np.unique(positions.relative_buckets(1, _FAR), return_counts=True)
    return buckets[counts == 1]


def schemes_last_bucket():
    """Return the least distance that falls in the last bucket to the left."""
    away = positions.relative_buckets(1, _FAR)[0, ::-1]  # from the query's own place back
    return int(away.argmax())


def schemes_head_picker(state):
    """Return what a click on the slope of a head does, or None for schemes that are alike in all heads."""
    return (lambda row: state.set(head=row + 1)) if state.get("positions") == "alibi" else None


def schemes_wavelengths(setup, scheme=None):
    """Return after how many positions each pair comes round, under the chosen scheme or another."""
    scheme, base = scheme or setup.positions, int(setup.base)
    if scheme == "yarn":
        _, speed = positions.yarn(2, setup.d_k, int(setup.stretch), trained=TRAINED, base=base)
        return 2 * np.pi / speed
    width = setup.d_model if POSITIONS[scheme].pairs == "d_model" else setup.d_k
    return positions.wavelengths(width, base=base, endpoint=scheme == "halves")


def schemes_fading(setup, distance):
    """Return what is left of each pair of a product so many tokens back, with xPos."""
    here, there = positions.xpos_factors(distance + 1, setup.d_k)[[0, -1]]
    return there / here


def schemes_cosines(table):
    """Return the cosine between every two rows."""
    rows = table / np.linalg.norm(table, axis=1, keepdims=True)
    return rows @ rows.T


@functools.cache
def schemes_trained_cosines():
    """Return the cosine between every two rows of the trained table."""
    return schemes_cosines(models.model_position_table())


# Only the distance counts


def schemes_distance_controls(state):
    """Draw the choice of the query's position and of the distance to its key."""
    left, right = st.columns(2)
    left.slider("Position of the query", 0, 400, key=state.key("at"), help="Move it: both hands turn together.")
    right.slider(
        "Tokens from the query on to the key",
        0,
        100,
        key=state.key("apart"),
        help="Only this changes the angle between.",
    )


def schemes_dials_picture(setup, theme):
    """Draw the turn of a few pairs for the chosen query and key, or None where nothing is turned."""
    if not setup.about_pairs:
        return None
    speed = 2 * np.pi / schemes_wavelengths(setup)
    count = min(len(speed), _DIALS, max(2, int(page_width() / LEAST_PLOT)))
    pairs = np.unique(np.linspace(0, len(speed) - 1, count).round().astype(int))
    dials = charts.dials(
        setup.at * speed[pairs],
        (setup.at + setup.apart) * speed[pairs],
        theme,
        names=[f"pair {pair + 1}" for pair in pairs],
        query_name=f"query at {setup.at}",
        key_name=f"key at {setup.at + setup.apart}",
        width=page_width(),
    )
    return charts.beside(dials)


WHAT = {  # what position gives to a query and a key, by scheme
    "none": "What is added to the score",
    "sinusoidal": "Product of both positions",
    "halves": "Product of both positions",
    "learned": "Cosine of two rows of the trained table",
    "rotary": "One query times one key, both turned",
    "yarn": "One query times one key, both turned",
    "xpos": "One query times one key, both turned",
    "alibi": "What is added to the score",
    "relative": "What is added to the score",
    "shaw": "What one query adds to the score",
}


def _given(setup, query_at, key_at):
    """Return what position gives to queries and keys at these places, in the shape they broadcast to."""
    n = int(max(np.max(query_at), np.max(key_at))) + 1
    if setup.positions == "learned":
        return schemes_trained_cosines()[query_at, key_at]
    keywords, _ = shuffle_scheme_keywords(setup, n)
    if "added" in keywords:
        return (keywords["added"] @ keywords["added"].T)[query_at, key_at]
    query, key = np.random.default_rng(setup.seed).normal(size=(2, 1, setup.d_k)).repeat(n, axis=1)
    if "rotate" in keywords:
        query, key = positions.turned(query, key, keywords["rotate"])
        return (query @ key.T)[query_at, key_at]
    bias = keywords.get("bias", np.zeros((n, n)))
    return (bias(query) if callable(bias) else bias)[query_at, key_at]


def _relation(setup):
    """Return what position gives to queries at several places and keys at several distances."""
    starts, offsets = _looked_at(setup)
    query_at = np.array(starts)[:, None]
    return _given(setup, query_at, query_at + np.array(offsets))


def _looked_at(setup):
    """Return the positions of the query and the distances of the key; those that are chosen are among them."""
    chosen = ({setup.at}, {setup.apart}) if setup.about_pairs else (set(), set())
    return [sorted({*usual, *own}) for usual, own in zip((_STARTS, _OFFSETS), chosen, strict=True)]


def schemes_relation_picture(setup, theme):
    """Draw what position gives, a row per place of the query and a column per distance."""
    starts, offsets = _looked_at(setup)
    rows, columns = ([str(number) for number in numbers] for numbers in (starts, offsets))
    chosen = (starts.index(setup.at), offsets.index(setup.apart)) if setup.about_pairs else None
    panel = charts.panel(
        _relation(setup), rows, columns, kind="signed", title=WHAT[setup.positions],
        axes=("query at position", "key further on by"), pick=charts.Pick(selected=chosen),
        style=charts.Style(numbers=True),
    )  # fmt: skip
    return charts.panels(theme, page_width(), panel, tallest=340)


def schemes_relation_csv(setup):
    """Return the same as comma-separated text."""
    return charts.csv(_relation(setup), *([str(number) for number in numbers] for numbers in _looked_at(setup)))


def schemes_relation_reading(setup):
    """Say whether only the distance counts."""
    apart = float(np.ptp(_relation(setup), axis=0).max())
    if setup.positions == "none":
        return "Without positions no score depends on where query and key stand."
    if setup.positions == "learned":
        return (
            "A table is free to treat each place as it likes. In a column of the map query and key stand equally far "
            f"apart, and yet the numbers differ by up to **{number(apart, 2)}**. That rows of near places are alike "
            "was "
            "learned from texts, and is only roughly so."
        )
    sentence = (
        "Only the distance between query and key counts, and not where they stand. Down a column of the map they move "
        f"on together, from position {_STARTS[0]} to {_STARTS[-1]}: the numbers differ by **{number(apart, 2)}**."
    )
    if not setup.about_pairs:
        return sentence
    end = setup.at + setup.apart
    here = number(_given(setup, setup.at, end))
    sentence = f"{sentence} For the query at {setup.at} and the key at {end} the product is **{here}**."
    turns = POSITIONS[setup.positions].pairs == "d_model" and setup.d_model % 2 == 0
    return f"{sentence} {_shift_reading(setup)}" if turns else sentence


def _shift_reading(setup):
    """Say how well one rotation moves every position along."""
    waves = shuffle_scheme_keywords(setup, 100 + setup.apart)[0]["added"]
    other = setup.positions == "halves"
    shift = positions.offset_matrix(setup.apart, setup.d_model, base=int(setup.base), halves=other, endpoint=other)
    error = float(np.abs(waves[:100] @ shift.T - waves[setup.apart :]).max())
    return (
        f"And one rotation, the same for all positions, turns each of them into the one {setup.apart} further on "
        f"(off by at most {number(error, 1)})."
    )
