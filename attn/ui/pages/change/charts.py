"""Change: what the changes do, as pictures and as tables."""

from typing import NamedTuple

import numpy as np

from attn import charts
from attn.pretrained.intervention.classification import answer_ends, answer_places
from attn.pretrained.intervention.run import predicts_masked
from attn.ui.controls.colour_scale import colour_scale_of
from attn.ui.pages.change.controls import change_paint_controls_open, changed_head_name, every_head_to_control
from attn.ui.width import (
    page_bars_width,
    page_cell,
    page_layers_map_size,
    page_plot_height,
    page_rows,
    page_tallest,
    page_width,
    window_low_for_hall,
)
from attn.ui.word_level import word_level_of

_PAIR = 56  # pixels of two bars, one below the other
_LEAST_CELL = 10  # pixels of a head in the map of all, to be pointed at
_MOVED = "How far outputs moved"
MOVED_IN_WORDS = (
    "How far the numbers that a head gives, its output, have moved, divided by how long they were: 1 is as far as "
    "they were long."
)
_SHARE = "moved ÷ length"  # of the difference and of the output as it was


def change_number_chart(effect, theme, width):
    """Draw the number before and after: words or classes side by side, an answer's ends, or how alike the texts are."""
    if effect.answers is not None:
        return answer_ends_chart(effect.comparison, theme, int(width - 180))
    style = number_style(effect)
    if effect.word is None:
        labels, one, other = effect_numbers(effect)
        return number_pairs_chart(
            labels, one, other, style.title, style.scale, style.shares, charts.Pick(), theme,
            int(page_bars_width(width, _PAIR) - 160),
        )  # fmt: skip
    shown = change_chart_words(effect)
    labels, one, other = shift_numbers([effect.shifts[at] for at in shown])
    pick = charts.Pick("word", shown.index(effect.word))
    return number_pairs_chart(labels, one, other, style.title, style.scale, style.shares, pick, theme, int(width - 180))


class NumberStyle(NamedTuple):
    """How numbers before and after are drawn."""

    title: str
    scale: charts.Scale
    shares: bool  # whether they are probabilities


def number_style(effect):
    """Return how the numbers of an effect are drawn."""
    if effect.word is None:
        title = "Similarity of the two texts" if effect.read.other.strip() else "Similarity to itself unchanged"
        return NumberStyle(title, charts.Scale(1.0, name="cosine"), False)
    if effect.task is not None:
        of = charts.quoted(effect.read.tokens[effect.read.positions[0]].text) if effect.read.positions else "the text"
        scale = charts.Scale(1.0, name="probability") if effect.is_probability else charts.Scale(name="number")
        return NumberStyle(f"What it says of {of}", scale, effect.is_probability)
    title = "What stands here" if predicts_masked(effect.before.loaded) else "What comes next"
    return NumberStyle(title, charts.Scale(name="probability"), True)


def effect_numbers(effect):
    """Return what the numbers before and after are called, those before, and those after."""
    if effect.word is None:
        return similarity_numbers(effect.numbers)
    return shift_numbers(effect.shifts)


def change_chart_words(effect):
    """Return the places, among the shifts, of the words or classes that are drawn, the followed one among them."""
    most = page_rows(_PAIR, len(effect.shifts))
    return list(range(most)) if effect.word < most else [*range(most - 1), effect.word]


def similarity_numbers(similarities):
    """Return what a likeness is called, and that before and that after."""
    one, other = ([each] for each in similarities)
    labels = ["similarity"]
    return labels, one, other


def shift_numbers(shifts):
    """Return what words or classes are called, and their numbers before and after."""
    labels = [charts.quoted(shift.text) for shift in shifts]
    one, other = [shift.before for shift in shifts], [shift.after for shift in shifts]
    return labels, one, other


def number_pairs_chart(labels, one, other, title, scale, shares, pick, theme, width):
    """Draw numbers before and after side by side."""
    return charts.beside(
        charts.pairs(one, other, labels, theme, title=title, scale=scale, pick=pick, shares=shares, width=width)
    )


def answer_ends_chart(comparison, theme, width):
    """Draw where an answer begins and where it ends, before and after."""
    drawn = []
    for title, shifts in (("Where the answer begins", comparison.starts), ("Where it ends", comparison.ends)):
        labels = [f"{shift.id + 1} {shift.text}" for shift in shifts]  # the same word may stand in several places
        _, one, other = shift_numbers(shifts)
        scale = charts.Scale(1.0, name="probability")
        drawn.append(charts.pairs(one, other, labels, theme, title=title, scale=scale, shares=True, width=width))
    return charts.above(*drawn)


def change_turned_chart(effect, theme, width):
    """Draw how far the last vector of each token has turned, the farthest first."""
    one, other = effect.before.hidden, effect.after.hidden
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    turned = 1 - (one * other).sum(axis=1) / np.maximum(lengths, 1e-12)
    labels = charts.token_labels([token.text for token in effect.before.tokens])[: len(turned)]
    order = np.argsort(-turned, kind="stable")[: 3 if window_low_for_hall() else 8]
    return charts.beside(
        charts.bars(
            turned[order].clip(0), [labels[at] for at in order], theme, title="Tokens whose vector turns most",
            kind="magnitude", scale=charts.Scale(max(float(turned.max()), 1e-3), name="1 − cosine"),
            width=int(width / 2 - 180),
        )
    )  # fmt: skip


def change_head_chart(effect, setup, theme, width):
    """Draw by how much each head's output changes, with the heads that are changed by hand."""
    moved = moved_outputs(effect.before, effect.comparison)
    return charts.beside(
        charts.head_switches(
            moved, theme, off=effect.changes.off, replaced=[head for head, _ in effect.changes.patterns],
            title=_MOVED if effect.comparison.heads else "Heads", scale=charts.Scale(name=_SHARE),
            pick=charts.Pick("head", _at_hand(setup, effect.before)), size=_map_size(effect.before, width),
        )
    )  # fmt: skip


def _at_hand(setup, run):
    """Return the chosen head if the model has it."""
    return setup.chosen if setup.chosen in every_head_to_control(run) else None


def _map_size(run, width):
    """Return the pixels of the map: as wide as there is room, and not too tall."""
    down, across = len(run.num_heads), max(run.num_heads)
    least = page_plot_height(_LEAST_CELL * down) / down
    cell = max(min((width - 60) / across, page_tallest(most=max(520, 0.8 * width)) / down, 48), least)
    size = int(page_cell(cell, max(down, across))) * max(down, across)
    return page_layers_map_size((down, across), size, beside=page_width() - width + 60)


def change_chart_weights(effect, setup):
    """Return the weights of the chosen head before and after, what each hides, and both labels.

    Returns
    -------
    before, after : ndarray, shape (rows, columns)
        A head that is off has weights of 0.
    hidden : tuple of ndarray of bool
        Where the mask hides, before and after.
    rows, columns : list of str
    """
    layer, head = setup.chosen
    runs = effect.before, effect.after
    before, after = (run.weights(layer, head) for run in runs)
    if setup.chosen in effect.changes.off:
        after = np.zeros_like(after)
    hidden = tuple(
        np.zeros(before.shape, dtype=bool)
        if run.layers[layer].mask is None
        else ~np.broadcast_to(run.layers[layer].mask[0, 0], before.shape)
        for run in runs
    )
    level = change_chart_level(effect, setup)
    return level.weights(before), level.weights(after), tuple(map(level.hidden, hidden)), *level.labels


def change_chart_level(effect, setup):
    """Return the rows and columns of the chosen head: pieces where a pattern is painted, cell by cell."""
    kept = effect.before.layers[setup.layer - 1]
    level = "pieces" if change_paint_controls_open(setup) else setup.level
    return word_level_of(level, kept.query_tokens, kept.key_tokens)


def change_chart_after(effect, setup):
    """Return whether the chosen head is drawn after the change: off it has no weights, unless they are painted."""
    return setup.chosen not in effect.changes.off or change_paint_controls_open(setup)


def change_map_charts(look, setup, effect, theme, width):
    """Draw the weights of the chosen head before, and where it is not off after, and their difference."""
    before, after, hidden, rows, columns = look
    scale = colour_scale_of(setup.colour, before, after)
    off = ", off" if setup.chosen in effect.changes.off else ""
    first = charts.panel(
        before, rows, columns, title=f"Head {changed_head_name(setup.chosen)} before", hidden=hidden[0], **scale
    )
    if not change_chart_after(effect, setup):
        return charts.panels(theme, width, first)
    return charts.panels(
        theme,
        width,
        first,
        charts.panel(after, rows, columns, title=f"After{off}", hidden=hidden[1], pick=charts.Pick("paint"), **scale),
        charts.panel(
            after - before, rows, columns, title="After − before", kind="signed", scale=charts.Scale(name="difference")
        ),
    )


def change_downstream_chart(effect, theme, width):
    """Draw the heads that were not changed by hand and yet do otherwise, the farthest first."""
    first = change_chart_downstream(effect)
    labels = [f"head {changed_head_name((shift.layer, shift.head))}" for shift in first]
    common = {"kind": "magnitude", "width": int(width / 2 - 200)}
    drawn = [
        charts.bars(
            [shift.output for shift in first], labels, theme, title="Output moved by",
            scale=charts.Scale(name=_SHARE), pick=charts.Pick("output"), **common,
        )
    ]  # fmt: skip
    if all(shift.weights is not None for shift in first):
        drawn.append(
            charts.bars(
                [shift.weights for shift in first], labels, theme, title="Largest change of a weight",
                scale=charts.Scale(1.0, name="weight"), pick=charts.Pick("weights"), **common,
            )
        )  # fmt: skip
    return charts.beside(*drawn)


def change_chart_downstream(effect):
    """Return the ten heads that changed most without being changed by hand."""
    return effect.comparison.downstream(10)


def change_chart_downstream_csv(effect):
    """Return by how much the output and some weight of each head that was not changed by hand moved, as a table."""
    reached = effect.comparison.downstream(len(effect.comparison.heads))
    rows = [[shift.output, np.nan if shift.weights is None else shift.weights] for shift in reached]
    names = [f"head {changed_head_name((shift.layer, shift.head))}" for shift in reached]
    return charts.csv(np.array(rows), names, ["output moved", "largest change of a weight"])


def moved_outputs(before, comparison):
    """Return by how much each head's output changed, (num_layers, most heads); NaN where there is no such head."""
    moved = np.full((len(before.num_heads), max(before.num_heads)), np.nan)
    for layer, count in enumerate(before.num_heads):
        moved[layer, :count] = 0.0
    for shift in comparison.heads:
        moved[shift.layer, shift.head] = shift.output
    return moved


def moved_outputs_chart(moved, changes, theme):
    """Draw by how much each head's output changes."""
    replaced = [head for head, _ in changes.patterns]
    scale = charts.Scale(name=_SHARE)
    return charts.beside(
        charts.head_switches(moved, theme, off=changes.off, replaced=replaced, title=_MOVED, scale=scale)
    )


def change_chart_numbers_csv(effect):
    """Return the numbers before and after as a table: of an answer for each token that it may begin or end at."""
    if effect.answers is not None:
        before, after = answer_ends(effect.before), answer_ends(effect.after)
        rows = np.stack([before[0], after[0], before[1], after[1]], axis=1)
        names = charts.token_labels([token.text for token in effect.read.tokens])
        places = np.flatnonzero(answer_places(effect.before))
        columns = ["begins before", "begins after", "ends before", "ends after"]
        return charts.csv(rows[places], [names[place] for place in places], columns)
    labels, one, other = effect_numbers(effect)
    names = labels if effect.word is None else [shift.text for shift in effect.shifts]
    return charts.csv(list(zip(one, other, strict=True)), names, ["before", "after"])


def change_chart_shifts_csv(effect):
    """Return by how much each head's output moved as a table."""
    table = moved_outputs(effect.before, effect.comparison)
    return charts.csv(table, *map(charts.counted, table.shape))
