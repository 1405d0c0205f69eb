"""Cost, tab Tile by tile: the grid of tiles walked, and what is carried for one query."""

import math

import numpy as np
import streamlit as st

from attn import blockwise, charts, cost, scaled_dot_product_attention
from attn.charts.labels import number
from attn.ui.page import page_columns, page_figure, page_path_columns, page_reading
from attn.ui.pages.cost.curves import TILES_MOST
from attn.ui.pages.cost.units import bytes_in_units
from attn.ui.width import page_map_size, page_plot_height, page_share, page_width

_D = 8  # numbers of a query, a key and a value
_NAMES = 110  # pixels for the names of the two outputs
_LONG, _WIDE, _FAST = 8192, 64, (128, 128)  # a long text: tokens, numbers of a head, and a tile as on a GPU
TILES_FORMULA = r"""\begin{aligned}\ell' &= e^{m-m'}\,\ell + \textstyle\sum_j e^{s_j-m'}\\
c' &= e^{m-m'}\,c + \textstyle\sum_j e^{s_j-m'}\,v_j\end{aligned}"""


def tiles_inputs(n):
    """Return a query, a key and a value for each of n tokens, drawn at random: each (n, 8)."""
    return tuple(np.random.default_rng(7).standard_normal((3, TILES_MOST, _D))[:, :n] * 1.5)


def tiles_tab(state, theme):
    """Draw the walk over the tiles."""
    beside = _controls(state)
    setup = state.choices()
    inputs = tiles_inputs(setup.tiles_n)
    steps = blockwise.tile_steps(*inputs, causal=setup.tiles_causal, tile=(setup.tiles_side, setup.tiles_side))
    state.clamp("tiles_at", 1, len(steps))
    _path(state, len(steps))
    at = state.get("tiles_at") - 1
    step = steps[at]
    row = _query_control(state, beside, step.queries)
    state.tell(tiles_left=len(steps) - 1 - at)
    mine = [each for each in steps[: at + 1] if each.queries.start <= row < each.queries.stop]
    page_reading(
        tiles_sentence(setup, steps, at, row), TILES_FORMULA,
        f"{setup.tiles_n} × {setup.tiles_n} scores in {len(steps)} tiles of at most {setup.tiles_side} × "
        f"{setup.tiles_side}",
    )  # fmt: skip
    state.commit()
    whole = scaled_dot_product_attention(*inputs, causal=setup.tiles_causal).context[row]
    page_figure(
        charts.beside(
            charts.work_grid(
                _states(setup.tiles_n, steps, at), _kinds(theme), *2 * [charts.counted(setup.tiles_n)], theme,
                title="Scores, tile by tile", pick=charts.Pick("tile"),
                size=int(min(page_share(0.5) - 90, page_width() - _NAMES, page_plot_height(400))),
            ),
            _so_far(mine, row, whole, theme),
        ),
        "cost.tiles",
        on_pick=lambda row, column: _open(state, steps, row, column),
        tables={"tiles": lambda: _csv(steps, row)},
        line=tiles_line(steps, at, row),
    )  # fmt: skip
    st.markdown(_table(mine, row))
    st.markdown(tiles_moved_sentence(setup))


def _controls(state):
    """Draw how long the text is and how large a tile, and return the place between for which query is followed."""
    length, side, beside, hides = page_columns([3, 3, 3, 2])
    length.slider(
        "Tokens", 4, TILES_MOST, key=state.key("tiles_n"), help="Queries, keys and values of as many tokens, at random."
    )
    side.slider(
        "Side of a tile", 1, 8, key=state.key("tiles_side"), help="How many queries and how many keys a tile has."
    )
    hides.toggle(
        "Causal tiles", key=state.key("tiles_causal"), help="Tiles of which every score is hidden are never computed."
    )
    return beside


def _query_control(state, place, queries):
    """Draw which query of the tile in hand is followed, and return it, counted from 0: the nearest to the chosen one.

    What was chosen stays, so that it is followed again as soon as a tile has it.
    """
    row = min(max(state.get("tiles_row") - 1, queries.start), queries.stop - 1)
    if queries.stop - queries.start == 1:
        place.caption(f"Query {row + 1} is followed, the only one of this tile.")
        return row
    widget = state.key("tiles_row.shown")
    st.session_state[widget] = row + 1
    place.slider(
        "Follow query", queries.start + 1, queries.stop, key=widget,
        on_change=lambda: state.set(tiles_row=st.session_state[widget]),
        help="Of the queries of the tile in hand: whose largest score, sum and output are shown.",
    )  # fmt: skip
    return row


def _path(state, count):
    """Draw the way along the tiles."""

    def go(step):
        state.set(tiles_at=state.get("tiles_at") + step)

    back, along, forth = page_path_columns()
    back.button(
        "Back", key=state.key("tiles_back"), on_click=go, args=(-1,), disabled=state.get("tiles_at") <= 1,
        shortcut="Left", help="One tile back; the left arrow key does the same.",
    )  # fmt: skip
    if count > 1:
        along.slider(
            "Tile in hand", 1, count, key=state.key("tiles_at"), help="In the order in which they are computed."
        )
    forth.button(
        "Next", key=state.key("tiles_forth"), on_click=go, args=(1,), disabled=state.get("tiles_at") >= count,
        type="primary", shortcut="Right", help="One tile on; the right arrow key does the same.",
    )  # fmt: skip


def _open(state, steps, row, column):
    """Go to the tile that was clicked, and follow the query of that row."""
    found = next(
        (
            at
            for at, step in enumerate(steps, 1)
            if step.queries.start <= row < step.queries.stop and step.keys.start <= column < step.keys.stop
        ),
        None,
    )
    state.set(tiles_row=row + 1, **({} if found is None else {"tiles_at": found}))


def _states(n, steps, at):
    """Return of each score whether it is done, in hand, to come or never computed, (n, n)."""
    states = np.full((n, n), 3)
    for place, step in enumerate(steps):
        states[step.queries, step.keys] = 0 if place < at else 1 if place == at else 2
    return states


def _kinds(theme):
    return {"done": theme.weight_half, "in hand": theme.weight, "to come": theme.grid, "skipped": theme.hidden}


def _so_far(mine, row, whole, theme):
    """Draw the output of a query as it is so far, above what the whole matrix gives."""
    last = mine[-1]
    place = row - last.queries.start
    so_far = last.context[place] / last.total[place]
    values = np.array([so_far, whole])
    return charts.heatmap(
        values, ["so far", "whole matrix"], charts.counted(_D), theme, kind="signed",
        title=f"Output of query {row + 1}",
        size=(page_map_size(_D, min(page_share(0.5, beside=160), 420), _NAMES), 120), axes=("", "dimension"),
        style=charts.Style(square=False),
    )  # fmt: skip


def tiles_sentence(setup, steps, at, row):
    """Say what the tile in hand does to what is carried for one query."""
    step = steps[at]
    place = row - step.queries.start
    keys = f"keys {step.keys.start + 1} to {step.keys.stop}"
    largest, total = float(step.largest[place]), float(step.total[place])
    before = next((each for each in reversed(steps[:at]) if each.queries == step.queries), None)
    skipped = math.ceil(setup.tiles_n / setup.tiles_side) ** 2 - len(steps)
    told = "The numbers are drawn at random here: what is walked is the order of the work, which no text changes. "
    told += f"Tile {at + 1} of {len(steps)} brings {keys} to query {row + 1}. "
    if before is None:
        told += f"It is the first of its row: the largest score is **{number(largest)}**, the sum of exponentials "
        told += f"**{number(total)}**."
    else:
        old = float(before.largest[place])
        shrunk = float(np.exp(old - largest))
        told += (
            f"The largest score so far was {number(old)} and is now **{number(largest)}**, so what was carried is "
            f"multiplied by {number(shrunk)}. With this tile the sum becomes **{number(total)}**."
        )
    return told + (f" {skipped} tiles hold nothing that may be seen, and are skipped." if skipped else "")


def tiles_line(steps, at, row):
    """Say in a line which tile is in hand, and what is carried for one query after it."""
    step = steps[at]
    place = row - step.queries.start
    keys = f"keys {step.keys.start + 1} to {step.keys.stop}"
    return (
        f"Tile {at + 1} of {len(steps)} brings {keys} to query {row + 1} · largest score "
        f"**{number(float(step.largest[place]))}** · sum **{number(float(step.total[place]))}**"
    )


def _table(mine, row):
    """Return what was carried for a query after each of its tiles, as a Markdown table."""
    lines = ["| keys | largest score so far | sum of exponentials | first number of the output so far |"]
    lines.append("|---|---:|---:|---:|")
    for step in mine:
        place = row - step.queries.start
        cells = step.largest[place], step.total[place], step.context[place, 0] / step.total[place]
        lines.append(
            f"| {step.keys.start + 1} to {step.keys.stop} | " + " | ".join(number(float(each)) for each in cells) + " |"
        )
    return "\n".join(lines)


def tiles_moved_sentence(setup):
    """Say how many bytes are moved in tiles and with the whole matrix, here and in a long text."""
    n, side = setup.tiles_n, setup.tiles_side
    here = [cost.moved_bytes(n, _D, _D), cost.moved_bytes(n, _D, _D, tile=(side, side), causal=setup.tiles_causal)]
    long = [
        cost.moved_bytes(_LONG, _WIDE, _WIDE),
        cost.moved_bytes(_LONG, _WIDE, _WIDE, tile=_FAST, causal=setup.tiles_causal),
    ]
    return (
        f"To and from the slow memory: {bytes_in_units(here[1])} in these tiles, {bytes_in_units(here[0])} with the "
        f"whole matrix. What counts are long texts and larger tiles: for a head of {_WIDE} numbers and {_LONG:,} "
        f"tokens, tiles of {_FAST[0]} × {_FAST[1]} move **{bytes_in_units(long[1])}**, the whole matrix "
        f"**{bytes_in_units(long[0])}**."
    )


def _csv(steps, row):
    """Return what is carried for a query after each of its tiles, as comma-separated text."""
    mine = [each for each in steps if each.queries.start <= row < each.queries.stop]
    places = [row - each.queries.start for each in mine]
    rows = [
        [each.largest[place], each.total[place], *each.context[place]] for each, place in zip(mine, places, strict=True)
    ]
    names = [f"keys {each.keys.start + 1} to {each.keys.stop}" for each in mine]
    return charts.csv(rows, names, ["largest", "sum", *(f"context {at}" for at in range(1, _D + 1))])
