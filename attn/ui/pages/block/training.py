"""Block, below the figure: what a Transformer is trained with."""

import numpy as np
import streamlit as st

from attn import charts, cost, training_recipe
from attn.charts import Curve
from attn.charts.labels import aligned_labels, number
from attn.ui.page import page_figure, page_footnote, page_reading, page_theme
from attn.ui.pages.block.setup import DROPPED, LESSONS
from attn.ui.width import page_width

_STEPS = 100_000
_ROLLS = 1000  # dropouts whose mean is taken
_RATE, _NUMBERS = 0.1, 50  # of a noisy descent, and how many numbers it trains
_CHECKPOINTS, _APART = 60, 20  # that are written on the way, and steps from one to the next
_TWO_CHARTS = 1000  # pixels of room from which two charts stand side by side


def block_training_tab(state, result):
    """Draw the chosen part of training."""
    st.segmented_control(
        "Part of training", LESSONS, format_func=LESSONS.get, key=state.key("lesson"), required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    show = {"rate": _rate, "smoothing": _smoothing, "dropout": _dropout, "averaging": _averaging}[state.get("lesson")]
    show(state, result)


# Learning rate


def _rate(state, result):
    """Draw the learning rate over the steps of training."""
    at, warm, wide = st.columns(3)
    at.slider(
        "Step", 1, _STEPS, key=state.key("step"), format="%,d",
        help="Of the 100,000 for which the base model of Vaswani et al. was trained.",
    )  # fmt: skip
    warm.slider("Warm-up steps", 100, 20_000, key=state.key("warmup"), format="%,d", help="4,000 in the paper.")
    wide.slider("Width of the model", 64, 4096, step=64, key=state.key("width"), format="%,d", help="512 in the paper.")
    step, warmup, d_model = state.get("step"), state.get("warmup"), state.get("width")
    page_reading(
        _rate_in_words(step, warmup, d_model),
        r"d^{-0.5}\,\min\left(t^{-0.5},\; t \cdot w^{-1.5}\right)",
        f"t = {step:,} · w = {warmup:,} · d = {d_model:,}",
    )
    steps = np.unique(np.append(np.linspace(1, _STEPS, 400).round(), warmup))
    rates = training_recipe.learning_rate(steps, d_model, warmup)
    here, peak = (float(training_recipe.learning_rate(t, d_model, warmup)) for t in (step, warmup))
    parts = [Curve("here", steps, rates, page_theme().head(1))]
    if (warmup, d_model) != (4000, 512):
        parts.append(
            Curve("as in the paper", steps, training_recipe.learning_rate(steps), page_theme().muted, dashed=True)
        )
    marks = [(step, f"step {step:,}", here), (warmup, "peak", peak)]
    chart = charts.curves(
        parts, page_theme(), x=charts.Axis("step", format=lambda t: f"{t:,.0f}"),
        y=charts.Axis("learning rate", range=(0, 1.08 * max(float(part.y.max()) for part in parts))), marks=marks,
        width=int(min(page_width(), 980)), height=340,
    )  # fmt: skip
    page_figure(
        charts.beside(chart),
        "block.rate",
        tables={
            "learning_rate": lambda: charts.csv(rates[:, None], [f"{t:.0f}" for t in steps], ["learning rate"]),
        },
    )


def _rate_in_words(step, warmup, d_model):
    """Say what the rate is at a step, and at its peak."""
    here, peak = (number(training_recipe.learning_rate(t, d_model, warmup)) for t in (step, warmup))
    way = "still rising in a straight line" if step < warmup else "falling with the root of the step"
    if step == warmup:
        way = "at its peak"
    return (
        "The learning rate says how far each step of training moves the numbers. It grows while training warms up, and "
        f"shrinks from then on. At step {step:,} the rate is **{here}**, {way}. It peaks at step {warmup:,} with "
        f"**{peak}**; at step {4 * warmup:,} it has halved. The wider the model, the smaller every step."
    )


# Label smoothing


def _smoothing(state, result):
    """Draw smoothed targets, and what a prediction costs under them."""
    how_many, spread = st.columns(2)
    how_many.slider(
        "Classes", 2, 40, key=state.key("classes"), help="How many words there are to choose from: 37,000 in the paper."
    )
    spread.slider(
        "ε",
        0.0,
        0.9,
        step=0.01,
        key=state.key("epsilon"),
        help="How much of the probability is spread evenly: 0.1 in the paper.",
    )
    count, epsilon = state.get("classes"), state.get("epsilon")
    targets = training_recipe.smoothed_targets(0, count, epsilon)
    page_reading(
        _smoothing_in_words(targets, epsilon),
        r"t_k = (1 - \epsilon)\,[k = \text{right}] + \frac{\epsilon}{K}",
        f"targets: {count} numbers that sum to 1",
    )
    names = ["right", *(f"wrong {at}" for at in range(1, count))]
    bars = charts.bars(targets, names, page_theme(), title="Target", width=int(min(page_width() * 0.28, 300)))
    join = charts.beside if page_width() >= _TWO_CHARTS or count <= 12 else charts.above
    page_figure(
        join(bars, _loss_curve(targets, epsilon), spacing=36),
        "block.smoothing",
        tables={"targets": lambda: charts.csv(targets[:, None], names, ["target"])},
    )
    page_footnote(_SMOOTHING_FOOTNOTE)


def _smallest_loss(targets):
    """Return the loss of predicting the targets themselves: no prediction has less."""
    return float(training_recipe.cross_entropy(targets, targets))


def _smoothing_in_words(targets, epsilon):
    """Say what the targets are, and that a loss below their entropy is out of reach."""
    best, least = float(targets[0]), _smallest_loss(targets)
    certain = (
        "In training a model is told which probabilities it should give. With label smoothing not even the right word "
        f"should be certain: it gets **{number(best)}**, each wrong one {number(targets[1])}"
    )
    if epsilon == 0:
        return (
            "Without label smoothing the right word should get a probability of 1. The loss falls to 0 only where the "
            "model is certain, so training pushes scores apart for ever."
        )
    return (
        f"{certain}. The loss is least, **{number(least, 6)}** nats, for exactly these probabilities, and grows again "
        "for a surer guess."
    )


_SMOOTHING_FOOTNOTE = (
    "In the paper label smoothing made perplexity worse, 4.67 to 4.92, and BLEU better, 25.3 to 25.8 (Table 3, row D)."
)


def _loss_curve(targets, epsilon):
    """Draw the loss by the probability given to the right word, the others sharing the rest evenly."""
    count, look = len(targets), page_theme()
    sure = np.linspace(0.02, 0.999, 400)
    rest = np.repeat((1 - sure[:, None]) / (count - 1), count - 1, axis=1)
    predicted = np.concatenate([sure[:, None], rest], axis=1)  # (points, classes)
    hard = training_recipe.smoothed_targets(0, count, 0.0)
    parts = [Curve("no smoothing", sure, training_recipe.cross_entropy(hard, predicted), look.muted, dashed=True)]
    floor = _smallest_loss(targets)
    if epsilon:
        parts.append(Curve("smoothed", sure, training_recipe.cross_entropy(targets, predicted), look.head(1)))
        parts.append(Curve("least", [0.02, 0.999], [floor, floor], look.head(0), dashed=True))
    best = min(max(float(targets[0]), 0.02), 0.999)
    marks = [(best, f"least at {number(best)}", floor)] if epsilon else ()
    width = page_width()
    return charts.curves(
        parts, look, x=charts.Axis("probability of the right word", range=(0, 1)),
        y=charts.Axis("loss, nats", range=(0, 4)), title="What a prediction costs", marks=marks,
        width=int(min(width - width * 0.28 - 170, 760)), height=340,
    )  # fmt: skip


# Dropout


def _dropout(state, result):
    """Draw what dropout makes of the block's weights, or of what its attention adds."""
    what, chance, again = st.columns([2, 2, 1], vertical_alignment="bottom")
    what.segmented_control("Drop", DROPPED, format_func=DROPPED.get, key=state.key("dropped"), required=True)
    chance.slider("p", 0.0, 0.9, step=0.05, key=state.key("p"), help="The chance of each number to become 0.")
    again.button(
        "Draw again", on_click=lambda: state.set(roll=state.get("roll") % 9999 + 1), help="Another pattern of zeros.",
        width="stretch",
    )  # fmt: skip
    p, weights = state.get("p"), state.get("dropped") == "weights"
    whole = result.block.attention.weights[0] if weights else result.block.after_attention.made
    kept = training_recipe.dropout(whole, p, np.random.default_rng(state.get("roll")))
    page_reading(
        _dropout_in_words(result, whole, kept, p, weights),
        r"\begin{cases} 0 & \text{with chance } p \\ x / (1 - p) & \text{otherwise} \end{cases}",
        f"{whole.shape[0]} × {whole.shape[1]}, each number by itself",
    )
    page_figure(
        _dropped_weights(result, whole, kept) if weights else _dropped_sublayer(result, whole, kept),
        f"block.dropout.{state.get('dropped')}",
        tables={
            "dropped": lambda: charts.csv(
                kept, result.labels, result.labels if weights else charts.counted(whole.shape[1])
            )
        },
    )


def _dropout_in_words(result, whole, kept, p, weights):
    """Say how many numbers are gone, what became of the rows, and that the mean stays."""
    if p == 0:
        return "With p = 0 nothing is dropped, as when a trained model is used."
    rng = np.random.default_rng(0)
    mean = sum(training_recipe.dropout(whole, p, rng) for _ in range(_ROLLS)) / _ROLLS
    gone = int((kept == 0).sum() - (whole == 0).sum())
    apart = number(float(np.abs(mean - whole).max()), 2)
    told = (
        "In training dropout sets numbers to 0 at random, so that the model relies on no single one. Here "
        f"{gone} of {whole.size} numbers are 0, and the others **{number(1 / (1 - p))}** times as large. "
    )
    if weights:
        sums = kept.sum(axis=1)
        told += f"Rows no longer sum to 1, but to **{number(sums.min())} to {number(sums.max())}**. "
    else:
        told += "What came into the block is not dropped, so no token is lost. "
    return f"{told}The mean of {_ROLLS:,} such draws is what it was before, to within {apart}."


def _dropped_weights(result, whole, kept):
    """Draw the weights of a head before and after, and what rows sum to."""
    labels, scale = result.labels, charts.Scale(float(max(whole.max(), kept.max())))
    sums = aligned_labels(kept.sum(axis=1))
    return charts.panels(
        page_theme(),
        page_width(),
        charts.panel(whole, labels, labels, title="Weights of head 1", scale=scale),
        "→",
        charts.panel(kept, sums, labels, title="After dropout", axes=("sum of the row", "key"), scale=scale),
    )  # fmt: skip


def _dropped_sublayer(result, whole, kept):
    """Draw what attention makes before and after, and the sum it goes into."""
    x, labels, columns = result.block.after_attention.x, result.labels, charts.counted(whole.shape[1])
    limit = max(float(np.abs(part).max()) for part in (x, kept, x + kept)) or 1.0
    shared = {"kind": "signed", "scale": charts.Scale(limit), "axes": ("token", "dimension")}
    panel = charts.panel
    return charts.panels(
        page_theme(),
        page_width(),
        panel(whole, labels, columns, title="Attention", **shared),
        "→",
        panel(kept, labels, columns, title="After dropout", **shared),
        "+ x =",
        panel(x + kept, labels, columns, title="Sum", **shared),
    )


# Averaging


def _averaging(state, result):
    """Draw how far the last checkpoint of a noisy descent is from the best, and how far the mean of the last few."""
    st.slider(
        "Mean of the last", 1, 20, key=state.key("mean_of"),
        help="Checkpoints, of which the paper's base model averaged 5 and its big one 20, one every ten minutes.",
    )  # fmt: skip
    count = state.get("mean_of")
    last, mean = block_training_descent(result.setup.seed, count)
    page_reading(
        _averaging_in_words(last, mean, count),
        r"\bar w = \frac{1}{m} \sum_{i=0}^{m-1} w_{t-i}",
        f"{_CHECKPOINTS} checkpoints of {_NUMBERS} numbers, {_APART} steps apart",
    )
    places, look = np.arange(1, _CHECKPOINTS + 1), page_theme()
    parts = [Curve("one checkpoint", places, last, look.muted)]
    if count > 1:
        parts.append(Curve(f"mean of {count}", places, mean, look.head(1)))
    chart = charts.curves(
        parts, look, x="checkpoint",
        y=charts.Axis("distance from the best numbers", range=(0, 1.05 * float(max(last.max(), mean.max())))),
        width=int(min(page_width(), 980)), height=340, dots=True,
    )  # fmt: skip
    both = np.stack([last, mean], axis=1)
    page_figure(
        charts.beside(chart),
        "block.averaging",
        tables={"distance": lambda: charts.csv(both, charts.counted(_CHECKPOINTS), ["one", "mean"])},
    )


def block_training_descent(seed, count):
    """Descend a bowl by noisy gradients, and return how far the checkpoints are from its lowest point.

    Returns
    -------
    last, mean : ndarray, shape (checkpoints,)
        Of each, and of the mean of the last `count`.
    """
    rng = np.random.default_rng(seed)
    weights, written = rng.normal(size=_NUMBERS), []
    for _ in range(_CHECKPOINTS):
        for _ in range(_APART):
            weights = weights - _RATE * (weights + rng.normal(size=_NUMBERS))  # the bowl's gradient is its weights
        written.append({"w": weights})
    means = [training_recipe.averaged(written[max(0, at + 1 - count) : at + 1])["w"] for at in range(_CHECKPOINTS)]
    return tuple(np.linalg.norm(rows, axis=1) for rows in (np.stack([one["w"] for one in written]), np.stack(means)))


def _averaging_in_words(last, mean, count):
    """Say how much nearer the mean is than one checkpoint."""
    told = (
        "Each step of training sees only a few examples, so near its end the numbers keep jumping about the best ones. "
        f"Here {_NUMBERS} numbers do so. The last checkpoint is **{number(last[-1])}** away from the best"
    )
    if count == 1:
        return f"{told}. Take the mean of more checkpoints."
    way = "the jumps cancel out" if mean[-1] < last[-1] else "that is chance, for mostly the jumps cancel out"
    return f"{told}, the mean of the last {count} **{number(mean[-1])}**: {way}."


def block_training_work():
    """Say how the printed work of training comes from hours and processors, and parameters from the settings."""
    base, big = (cost.training_operations(hours, 8, 9.5e12) for hours in (12, 3.5 * 24))
    return {
        "translation": f"The two Transformers' {number(base)} and {number(big)} operations are 12 hours and 3.5 days "
        "of 8 processors at 9.5e12 a second.",
        "variants": "The page Cost counts the parameters of every variant from its settings.",
    }
