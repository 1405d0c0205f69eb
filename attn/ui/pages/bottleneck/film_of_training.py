"""The tab that shows training as a film of alignments."""

from functools import lru_cache

import streamlit as st

from attn import charts, trained
from attn.architectures import seq2seq
from attn.charts import Curve
from attn.charts.labels import label_pixels
from attn.trained.training import RECIPE
from attn.ui.page import page_figure, page_theme
from attn.ui.pages.bottleneck.setup import FRAMES
from attn.ui.pages.bottleneck.two_models import BESIDE, two_models_spread
from attn.ui.terms import terms_help
from attn.ui.width import page_cell, page_held, page_width


@lru_cache(maxsize=64)
def _frames(task, source):
    """Return the alignment of the right answer after each kept step of training.

    Returns
    -------
    dict of int to Written
    """
    task = trained.TASKS[task]
    ids, target = task.source_ids(source), task.target_ids(task.answer(list(source)))
    return {step: seq2seq.write(model, ids, given=target) for step, model in trained.film(task.name).items()}


def film_of_training_tab(state, result):
    """Draw one alignment at several times of the training, from uniform to sharp."""
    frames = _frames(result.task.name, result.source)
    steps = list(frames)
    st.select_slider(
        "Steps of training",
        range(1, FRAMES + 1),
        format_func=lambda at: f"{steps[at - 1]:,}",
        key=state.key("frame"),
        help=f"At each step the model sees {RECIPE.batch} examples, and its numbers are moved a little.",
    )
    at = state.get("frame") - 1
    target = [*result.target, "end"]
    right = [_share_right(one) for one in frames.values()]
    spread = [two_models_spread(one.weights) for one in frames.values()]
    untrained = " It is still random and untrained, but its $v_a$ begins at 0, so that all weights are equal."
    untrained = "" if at else untrained
    st.markdown(
        f"Bahdanau's model learns where to look. After **{steps[at]:,}** steps of training it would choose "
        f"{right[at]:.0%} of the answer right. Of the {len(result.columns)} symbols that it read, it then looks at an "
        f"effective number of **{spread[at]:.1f}** for each that it writes.{untrained}",
        help=terms_help("effective number of symbols", "weight"),
    )
    alone = len(result.columns) > BESIDE or page_held()
    picture = charts.heatmap(
        frames[steps[at]].weights, charts.token_labels(target), result.columns, page_theme(),
        style=charts.Style(numbers=False), title=f"Bahdanau after {steps[at]:,} steps", axes=("written", "read"),
        size=_film_size(result, alone),
    )  # fmt: skip
    left = page_width() - (
        0 if alone else _film_size(result, alone) + max(map(label_pixels, charts.token_labels(target))) + 80
    )

    def step_of(frame):
        return f"{steps[min(FRAMES, max(1, round(frame))) - 1]:,}"

    curve = charts.curves(
        [Curve("", range(1, FRAMES + 1), spread)], page_theme(),
        x=charts.Axis("steps of training, not to scale", format=step_of),
        y=charts.Axis("effective number of symbols", range=(0, max(spread) * 1.05)),
        title="From everywhere to one place", dots=True, marks=[(at + 1, f"{steps[at]:,} steps")], height=260,
        width=int(min(560, left)),
    )  # fmt: skip
    page_figure((charts.above if alone else charts.beside)(picture, curve), "bottleneck.film")


def _film_size(result, alone):
    """Return the pixels of the longer side of the picture, which stands alone in its row or not."""
    share, count = 0.66 if page_held() else 0.88 if alone else 0.45, max(len(result.columns), len(result.target) + 1)
    return int(page_cell(min(page_width() * share / count, 30), count) * count)


def _share_right(written):
    """Return how many symbols of the answer the model would itself have chosen, each after the right ones before."""
    return float((written.probabilities.argmax(axis=-1) == written.symbols).mean())
