"""The tab Accuracy by length: how many symbols each model gets right as texts grow."""

from itertools import takewhile

import numpy as np
import streamlit as st

from attn import charts, trained
from attn.charts import Curve
from attn.data import published
from attn.ui.page import page_figure, page_footnote, page_theme
from attn.ui.pages.bottleneck.setup import COUNTED, MODELS
from attn.ui.state import chosen_look
from attn.ui.width import page_curves_height, page_width

LOOK_FOR = {
    "a": "*European Economic Area* becomes *zone économique européenne*, the other way round: there the weights step "
    "backward.",
    "b": "*marine environment* changes its order in *environnement marin*; around it the weights follow the diagonal.",
    "c": "*La* and *destruction* both look at *Destruction*: one word read, two written.",
    "d": "To choose *l'* and not *le* or *la*, the model reads *man* more than *the*: the noun decides the article.",
}


_WELL = 0.9  # share right that counts as doing well


_WIDE = 1100  # pixels of room from which two charts stand side by side


_SEARCH, _VECTOR = 0, 4  # colours of heads, for models with attention and without in the published curves


def accuracy_by_length_tab(state, result):
    """Draw how often the models are right by the length of the input, and the published curves beside."""
    st.segmented_control(
        "Count", COUNTED, format_func=COUNTED.get, key=state.key("counted"), required=True,
        help="A whole answer counts only if every symbol of it is right.",
    )  # fmt: skip
    setup = state.choices()
    state.tell(**_accuracy_results(setup, result.task))
    st.markdown(_accuracy_reading(setup, result.task))
    width, join = two_curves_layout()
    page_figure(join(_ours(setup, result.task, width), _theirs(width)), "bottleneck.accuracy", tables={
        "accuracy": lambda: _accuracy_csv(setup),
    })  # fmt: skip
    page_footnote(_trained_reading(setup, result.task), "How these models were trained")
    scores = published.bleu_scores()
    with st.expander("About the published curves"):
        st.markdown(
            "These curves are read off Figure 2 of Bahdanau et al. (2015), good to 0.3 BLEU, which goes from 0 to 100. "
            "RNNsearch is their model with attention, RNNenc "
            "the one with a fixed vector; 30 and 50 are the most words of a sentence in training. Section 5.1 calls "
            "both RNNsearch models robust to length; the figure has RNNsearch-30, trained on sentences of up to 30 "
            "words, at 7.6 for length 59. The tables call RNNenc RNNencdec; their BLEU over all sentences: "
            + ", ".join(f"{name} {scores[name][0]}" for name in list(scores)[:4])
            + "."
        )


def two_curves_layout():
    """Return the pixels across of each of two figures of curves, and how they are joined: presented one by one."""
    side_by_side = page_width() >= _WIDE and not chosen_look().present
    width = int((page_width() - 24) / 2 if side_by_side else min(page_width(), 960))
    return width, charts.beside if side_by_side else charts.above


def _accuracy_reading(setup, task):
    """Say up to which length the two models do well, and what they do at the end of their training."""
    at, said = list(COUNTED).index(setup.counted), ["A long input overflows one vector."]
    for name in dict.fromkeys((setup.left, setup.right)):
        ours = {length: shares[at] for length, shares in trained.accuracy(task.name, name, setup.trained_on).items()}
        well = list(takewhile(lambda length, ours=ours: ours[length] >= _WELL, ours))
        limit = max(length for length in ours if length <= _limit(task, setup.trained_on))
        upto = f"up to {well[-1]} {task.unit}" if well else "at no length"
        said.append(
            f"*{MODELS[name]}* gets at least {_WELL:.0%} right **{upto}**. At {limit}, the longest that it was trained "
            f"on, it gets **{ours[limit]:.0%}**."
        )
    if task.name == "dates":
        said.append("A date is the same few facts in any spelling, so one vector can hold it up to that length.")
    return " ".join(said) + (
        " Dashed curves are of models that were trained on short inputs only. The published curves count in BLEU: how "
        "much of the wording of a translation agrees with a human one."
    )


def _trained_reading(setup, task):
    """Say how large the two models are, and how long they were trained."""
    said = ["Each model was trained until its loss on examples kept aside no longer fell."]
    for name in dict.fromkeys((setup.left, setup.right)):
        said.append(f"*{MODELS[name]}*: {_trained(task, name, setup.trained_on)}")
    if "fixed-wide" not in (setup.left, setup.right):
        said.append(
            f"The model *{MODELS['fixed-wide']}* is a fairer match for *{MODELS['bahdanau']}*: the two have about as "
            "many parameters."
        )
    return " ".join(said)


def _accuracy_results(setup, task):
    """Return how often both models are right at the longest length of their training, as a story may ask for it."""
    told = {}
    for side in ("left", "right"):
        shares = trained.accuracy(task.name, getattr(setup, side), setup.trained_on)
        told[f"{side}_share"] = shares[max(n for n in shares if n <= _limit(task, setup.trained_on))][0]
    return told


def _trained(task, name, trained_on):
    """Say how large a model is and how long it was trained."""
    took = trained.training_of(task.name, name, trained_on)
    return f"{took.parameters:,} parameters, trained for {took.steps:,} steps."


def _limit(task, trained_on):
    return task.limits[trained.TRAINED_ON.index(trained_on)]


def accuracy_by_length_colours():
    """Return the colour of the left model and of models without attention, and that of the right and of those with."""
    return page_theme().head(_VECTOR), page_theme().head(_SEARCH)


def _ours(setup, task, width):
    """Draw the measured accuracy of both models for both trainings."""
    at, parts = list(COUNTED).index(setup.counted), []
    colours = dict(reversed(list(zip((setup.left, setup.right), accuracy_by_length_colours(), strict=True))))
    for name, colour in colours.items():
        for trained_on in (setup.trained_on,) if chosen_look().present else reversed(trained.TRAINED_ON):
            ours = trained.accuracy(task.name, name, trained_on)
            shares = [share[at] for share in ours.values()]
            trained_to = "" if chosen_look().present else f", trained up to {_limit(task, trained_on)}"
            title = f"{MODELS[name]}{trained_to}"
            parts.append(Curve(title, list(ours), shares, colour, trained_on == "short"))
    limits = (_limit(task, setup.trained_on),) if chosen_look().present else task.limits
    marks = [(limit, f"trained up to {limit}") for limit in limits]
    return charts.curves(
        parts, page_theme(), x=task.unit, y=charts.Axis("right", range=(0, 1), format=lambda share: f"{share:.0%}"),
        title=f"{task.title}: {COUNTED[setup.counted].lower()} right", width=width,
        height=page_curves_height(width, 300), marks=marks,
    )  # fmt: skip


def _theirs(width):
    """Draw the published curves."""
    lengths, curves = published.bleu_by_length()
    vector, search = accuracy_by_length_colours()
    parts = [
        Curve(name, lengths, bleu, search if "search" in name else vector, name.endswith("30"))
        for name, bleu in curves.items()
    ]
    return charts.curves(
        parts, page_theme(), x="words", y=charts.Axis("BLEU", range=(0, 30)), title="Bahdanau et al., Figure 2",
        width=width, height=page_curves_height(width, 300), marks=[(30, "≤ 30"), (50, "≤ 50")],
    )  # fmt: skip


def _accuracy_csv(setup):
    """Return the accuracy of both models for both trainings as CSV text."""
    at = list(COUNTED).index(setup.counted)
    columns = {
        f"{MODELS[name]}, {trained_on}": trained.accuracy(setup.task, name, trained_on)
        for name in dict.fromkeys((setup.left, setup.right))
        for trained_on in trained.TRAINED_ON
    }
    lengths = sorted(set().union(*columns.values()))
    values = [[ours.get(length, (np.nan, np.nan))[at] for ours in columns.values()] for length in lengths]
    return charts.csv(np.array(values), [str(length) for length in lengths], list(columns))
