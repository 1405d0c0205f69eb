"""Change: what the changes do, as pictures and as tables."""

import numpy as np

from attn import charts
from attn.pretrained.intervention.run import predicts_masked
from attn.ui.controls.colour_scale import colour_scale_of
from attn.ui.pages.change.controls import change_paint_controls_open, changed_head_name, every_head_to_control
from attn.ui.word_level import word_level_of


def change_number_chart(effect, theme, width):
    """Draw the number before and after: the words side by side, or how alike the texts are."""
    if effect.word is None:
        before, after = effect.numbers
        first = charts.pairs(
            [before], [after], ["similarity"], theme, scale=charts.Scale(1.0, name="cosine"), width=int(width - 160),
            title="Similarity of the two texts" if effect.read.other.strip() else "Similarity to itself unchanged",
        )  # fmt: skip
        return charts.above(first, _turned(effect, theme, width))
    words = effect.comparison.words
    return charts.beside(
        charts.pairs(
            [shift.before for shift in words],
            [shift.after for shift in words],
            [charts.quoted(shift.text) for shift in words],
            theme,
            title="What comes next" if not predicts_masked(effect.before.loaded) else "What stands here",
            scale=charts.Scale(name="probability"),
            pick=charts.Pick("word", effect.word),
            shares=True,
            width=int(width - 180),
        )
    )


def _turned(effect, theme, width):
    """Draw how far the last vector of each token has turned, the farthest first."""
    one, other = effect.before.hidden, effect.after.hidden
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    turned = 1 - (one * other).sum(axis=1) / np.maximum(lengths, 1e-12)
    labels = charts.token_labels([token.text for token in effect.before.tokens])[: len(turned)]
    order = np.argsort(-turned, kind="stable")[:8]
    return charts.bars(
        turned[order].clip(0), [labels[at] for at in order], theme, title="Tokens whose vector turns most",
        kind="magnitude", scale=charts.Scale(max(float(turned.max()), 1e-3), name="1 − cosine"), width=int(width - 180),
    )  # fmt: skip


def change_head_chart(effect, setup, theme, width):
    """Draw by how much each head's output changes, with the heads that are changed by hand."""
    return charts.beside(
        charts.head_switches(
            _shift_table(effect), theme, off=effect.changes.off, replaced=[head for head, _ in effect.changes.patterns],
            title="Outputs moved" if effect.comparison.heads else "Heads", scale=charts.Scale(name="moved by"),
            pick=charts.Pick("head", _at_hand(setup, effect.before)), size=_map_size(effect.before, width),
        )
    )  # fmt: skip


def _at_hand(setup, run):
    """Return the chosen head if the model has it."""
    return setup.chosen if setup.chosen in every_head_to_control(run) else None


def _map_size(run, width):
    """Return the pixels of the longer side of the map: as wide as there is room, and not too tall."""
    down, across = len(run.num_heads), max(run.num_heads)
    cell = max(min((width - 60) / across, max(520, 0.8 * width) / down, 48), 14)
    return int(cell) * max(down, across)


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


def change_map_charts(look, setup, effect, theme, width):
    """Draw the weights of the chosen head before, after, and their difference."""
    before, after, hidden, rows, columns = look
    scale = colour_scale_of(setup.colour, before, after)
    off = ", off" if setup.chosen in effect.changes.off else ""
    return charts.panels(
        theme,
        width,
        charts.panel(
            before, rows, columns, title=f"Head {changed_head_name(setup.chosen)} before", hidden=hidden[0], **scale
        ),
        charts.panel(after, rows, columns, title=f"After{off}", hidden=hidden[1], pick=charts.Pick("paint"), **scale),
        charts.panel(after - before, rows, columns, title="Difference", kind="signed"),
    )


def change_downstream_chart(effect, theme, width):
    """Draw the heads that were not changed by hand and yet do otherwise, the farthest first."""
    first = change_chart_downstream(effect)
    labels = [f"head {changed_head_name((shift.layer, shift.head))}" for shift in first]
    common = {"kind": "magnitude", "width": int(width / 2 - 200)}
    drawn = [
        charts.bars(
            [shift.output for shift in first], labels, theme, title="Output moved by",
            scale=charts.Scale(name="share of its length"), pick=charts.Pick("output"), **common,
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


def _shift_table(effect, name="output"):
    """Return by how much each head's output or weights changed, (num_layers, most heads); NaN where there is none."""
    run = effect.before
    table = np.full((len(run.num_heads), max(run.num_heads)), np.nan)
    for head in every_head_to_control(run):
        table[head] = 0.0
    for shift in effect.comparison.heads:
        table[shift.layer, shift.head] = getattr(shift, name) or 0.0
    return table


def change_chart_numbers_csv(effect):
    """Return the numbers before and after as a table."""
    if effect.word is None:
        return charts.csv([effect.numbers], ["similarity"], ["before", "after"])
    words = effect.comparison.words
    return charts.csv([shift[2:] for shift in words], [shift.text for shift in words], ["before", "after"])


def change_chart_shifts_csv(effect):
    """Return by how much each head's output moved as a table."""
    table = _shift_table(effect)
    return charts.csv(table, *map(charts.counted, table.shape))
