"""Bottleneck, below the figure: gates, accuracy by length, the film of training, published pictures, gradients."""

from functools import lru_cache
from itertools import takewhile

import numpy as np
import streamlit as st

from attn import charts, trained
from attn.architectures import recurrent, seq2seq
from attn.architectures.seq2seq import Bahdanau
from attn.charts import Curve
from attn.charts.labels import number, pixels
from attn.charts.plane import at_least
from attn.data import published
from attn.ui.controls.query_row import ranked
from attn.ui.page import figure, theme
from attn.ui.pages.bottleneck.two_models import BESIDE, COUNTED, FRAMES, MODELS, PANELS, PARTS, SIDES, spread_of
from attn.ui.state import as_text
from attn.ui.width import room

GATES = {
    "state": "State",
    "cell": "Cell",
    "update_gate": "Update gate",
    "reset_gate": "Reset gate",
    "forget_gate": "Forget gate",
    "input_gate": "Input gate",
    "output_gate": "Output gate",
}
LOOK_FOR = {
    "a": "*European Economic Area* becomes *zone économique européenne*: there the weights step backward.",
    "b": "*marine environment* changes its order in *environnement marin*; around it the weights follow the diagonal.",
    "c": "*La* and *destruction* both look at *Destruction*: one word read, two written.",
    "d": "To choose *l'* and not *le* or *la* the model reads *man* more than *the*: the article hangs on the noun.",
}
_WELL = 0.9  # share right that counts as doing well
_WIDE = 1100  # pixels of room from which two charts stand side by side
_SEARCH, _VECTOR = 0, 4  # colours of heads, for models with attention and without in the published curves
_OPEN = {
    "update gate": "Where it is open a number is written anew, where it is closed it is kept; where the reset gate is "
    "closed what is written does not look at the old state.",
    "forget gate": "Where it is open a number is kept.",
}


# states and gates ----------------------------------------------------------------------------------


def states(state, result):
    """Draw what a model carries from symbol to symbol, and the gates that decide it."""
    left, right = st.columns(2)
    left.segmented_control("Model", SIDES, format_func=SIDES.get, key=state.key("side"), required=True)
    side = getattr(result, state.get("side"))
    if side.written.steps is None:
        _every_head(side, result)
        return
    parts = [name for name in PARTS if name != "backward" or isinstance(side.model, Bahdanau)]
    if state.get("part") not in parts:
        state.adjust(part=parts[0])
    right.segmented_control("While", parts, format_func=PARTS.get, key=state.key("part"), required=True)
    steps, labels = _part(side, state.get("part"), result)
    keeping = steps.forget_gate if "forget_gate" in steps._fields else 1 - steps.update_gate
    order = np.argsort(-keeping.mean(axis=0), kind="stable")  # what is kept longest on top
    gate = "forget gate" if "forget_gate" in steps._fields else "update gate"
    st.markdown(
        f"Each column is one symbol, each row one of the {len(order)} numbers that *{side.title}* carries on, those it "
        f"keeps longest on top. By its {gate} the first keeps **{keeping[:, order[0]].mean():.0%}** of itself at a "
        f"symbol on average, the last **{keeping[:, order[-1]].mean():.0%}**. {_OPEN[gate]}"
    )
    figure(_gates(steps, order, labels), f"bottleneck.states.{type(steps).__name__}")
    if isinstance(side.model, Bahdanau):
        st.caption(_of_writing(side, result) if state.get("part") == "decoder" else _of_reading(side, result))


def _of_writing(side, result):
    """Say what the paper says about the decoder, and where it says two things."""
    n_x, n_y = len(result.columns), len(side.symbols)
    return (
        f"$U_a h_j$ does not depend on the row, so it is computed {n_x} times and not {n_x} × {n_y}. In the paper, "
        "equation 4 makes the output a function of $s_i$, appendix A.2.2 one of $s_{i-1}$; these models follow the "
        "appendix. $W_a$ is n × n in A.1.2 and n′ × n in A.2.2, the same there, where both are 1000. The gated unit is "
        "the paper's: torch.nn.GRU resets after the product instead of before, and its open update gate keeps."
    )


def _of_reading(side, result):
    """Say which half of the first annotation hears of the last symbol, by changing that symbol."""
    if len(result.source) < 2:
        return "With a longer input the two directions differ in what they have read of it."
    source = result.task.source_ids(result.source)
    source[-2] = (source[-2] + 1) % (len(result.task.source_symbols) - 1)
    moved = np.abs(side.model.read(source).annotations - side.written.read.annotations)[0]
    forward, backward = (number(half.max()) for half in np.split(moved, 2))
    other, last = (as_text(symbol) for symbol in (result.task.source_symbols[source[-2]], result.source[-1]))
    return (
        f"With **{other}** in place of the last **{last}**, the forward half of the annotation of "
        f"**{as_text(result.columns[0])}** moves by {forward}, the backward half by {backward}: only one of the two "
        "has read the end by then."
    )


def _part(side, part, result):
    """Return the steps of one part of a model, and what the columns are called."""
    if part == "decoder":
        return side.written.steps, charts.token_labels(side.symbols)
    steps = side.written.read.steps
    if isinstance(side.model, Bahdanau):
        steps = steps.forward if part == "encoder" else steps.backward
    return steps, result.columns


def _gates(steps, order, labels):
    """Draw the state and every gate, units down and symbols across."""
    names = [name for name in GATES if name in steps._fields]
    rows = [names] if len(names) <= 3 else [names[:2], names[2:]]
    drawn = []
    for row in rows:
        width = int(at_least((room() - 70) / len(row) - 24))
        drawn.append(charts.beside(*(_gate(steps, name, order, labels, width, name == row[0]) for name in row)))
    return charts.above(*drawn)


def _gate(steps, name, order, labels, width, first):
    """Draw one of them."""
    kind = {"kind": "signed"} if name in ("state", "cell") else {"tooltip_name": "open"}
    return charts.heatmap(
        getattr(steps, name).T[order], charts.counted(len(order)), labels, theme(), title=GATES[name], square=False,
        axes=("unit", "symbol"), size=(width, 300), row_labels=first, numbers=False, **kind,
    )  # fmt: skip


def _every_head(side, result):
    """Draw what each head of a Transformer's cross-attention looks at."""
    weights = side.written.weights  # (num_layers, num_heads, T_y, T_x)
    num_layers, num_heads = weights.shape[:2]
    st.markdown(
        "A Transformer carries no state: every symbol reads all others anew. These are the heads of its "
        f"cross-attention; the figure above shows the mean of those in layer {num_layers}."
    )
    titles = [f"layer {layer + 1}, head {head + 1}" for layer in range(num_layers) for head in range(num_heads)]
    picture = charts.head_grid(
        weights.reshape(-1, *weights.shape[2:]), charts.token_labels(side.symbols), result.columns, theme(),
        titles=titles, per_row=num_heads, axes=("written", "read"), width=int(room()),
    )  # fmt: skip
    figure(charts.beside(picture), "bottleneck.every_head")


# accuracy by length --------------------------------------------------------------------------------


def accuracy(state, result):
    """Draw how often the models are right by the length of the input, and the published curves beside."""
    st.segmented_control("Count", COUNTED, format_func=COUNTED.get, key=state.key("counted"), required=True)
    setup = state.choices()
    st.markdown(_accuracy_reading(setup, result.task))
    side_by_side = room() >= _WIDE
    width = int((room() - 24) / 2 if side_by_side else min(room(), 960))
    join = charts.beside if side_by_side else charts.above
    figure(join(_ours(setup, result.task, width), _theirs(width)), "bottleneck.accuracy", tables={
        "accuracy": lambda: _accuracy_csv(setup),
    })  # fmt: skip
    scores = published.bleu_scores()
    st.caption(
        "Figure 2 of Bahdanau et al. (2015) is read from the paper, good to 0.3 BLEU. Its section 5.1 calls both "
        "RNNsearch models robust to length; the figure has RNNsearch-30, trained on sentences of up to 30 "
        "words, at 7.6 for length 59. What the figures call RNNenc is RNNencdec in the tables: over all sentences "
        + ", ".join(f"{name} {scores[name][0]}" for name in list(scores)[:4])
        + "."
    )


def _accuracy_reading(setup, task):
    """Say up to which length the two models do well, and what they do at the end of their training."""
    at, said = list(COUNTED).index(setup.counted), []
    for name in dict.fromkeys((setup.left, setup.right)):
        ours = {length: shares[at] for length, shares in trained.accuracy(task.name, name, setup.trained_on).items()}
        well = list(takewhile(lambda length, ours=ours: ours[length] >= _WELL, ours))
        limit = max(length for length in ours if length <= _limit(task, setup.trained_on))
        upto = f"up to {well[-1]} {task.unit}" if well else "at no length"
        said.append(
            f"*{MODELS[name]}* gets at least {_WELL:.0%} right **{upto}**; at {limit}, the longest it was trained on, "
            f"**{ours[limit]:.0%}**."
        )
    if task.name == "dates":
        said.append("A date is the same few facts in any spelling, so one vector holds it, up to that length.")
    return " ".join(said) + " Dashed: trained on short inputs only, which is a limit of its own."


def _limit(task, trained_on):
    return task.limits[trained.TRAINED_ON.index(trained_on)]


def _colours():
    """Return the colour of the left model and of models without attention, and that of the right and of those with."""
    return theme().head(_VECTOR), theme().head(_SEARCH)


def _ours(setup, task, width):
    """Draw the measured accuracy of both models for both trainings."""
    at, parts = list(COUNTED).index(setup.counted), []
    colours = dict(reversed(list(zip((setup.left, setup.right), _colours(), strict=True))))
    for name, colour in colours.items():
        for trained_on in reversed(trained.TRAINED_ON):
            ours = trained.accuracy(task.name, name, trained_on)
            shares = [share[at] for share in ours.values()]
            title = f"{MODELS[name]}-{_limit(task, trained_on)}"
            parts.append(Curve(title, list(ours), shares, colour, trained_on == "short"))
    marks = [(limit, f"≤ {limit}") for limit in task.limits]
    return charts.curves(
        parts, theme(), x_name=task.unit, y_name="right", title=f"{task.title}: {COUNTED[setup.counted].lower()} right",
        y_range=(0, 1), y_format=lambda share: f"{share:.0%}", width=width, height=300, marks=marks,
    )  # fmt: skip


def _theirs(width):
    """Draw the published curves."""
    lengths, curves = published.bleu_by_length()
    vector, search = _colours()
    parts = [
        Curve(name, lengths, bleu, search if "search" in name else vector, name.endswith("30"))
        for name, bleu in curves.items()
    ]
    return charts.curves(
        parts, theme(), x_name="words", y_name="BLEU", title="Bahdanau et al., Figure 2", y_range=(0, 30), width=width,
        height=300, marks=[(30, "≤ 30"), (50, "≤ 50")],
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


# film of training ----------------------------------------------------------------------------------


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


def film(state, result):
    """Draw one alignment at several times of the training, from uniform to sharp."""
    frames = _frames(result.task.name, result.source)
    steps = list(frames)
    st.select_slider(
        "Steps of training",
        range(1, FRAMES + 1),
        format_func=lambda at: f"{steps[at - 1]:,}",
        key=state.key("frame"),
        help="A step is one batch of 96 examples.",
    )
    at = state.get("frame") - 1
    target = [*result.target, "end"]
    right = [_share_right(one) for one in frames.values()]
    spread = [spread_of(one.weights) for one in frames.values()]
    uniform = " Its $v_a$ begins at 0, so every weight is the same." if not at else ""
    st.markdown(
        f"After **{steps[at]:,}** steps a symbol of the answer looks at **{spread[at]:.1f}** of {len(result.columns)} "
        f"symbols in effect, and the model would choose {right[at]:.0%} of them right.{uniform}"
    )
    picture = charts.heatmap(
        frames[steps[at]].weights, charts.token_labels(target), result.columns, theme(), numbers=False,
        title=f"Bahdanau after {steps[at]:,} steps", axes=("written", "read"), size=_film_size(result),
    )  # fmt: skip
    alone = len(result.columns) > BESIDE
    left = room() - (0 if alone else _film_size(result) + max(map(pixels, charts.token_labels(target))) + 80)
    curve = charts.curves(
        [Curve("", range(1, FRAMES + 1), spread)], theme(), x_name="steps of training, not to scale",
        y_name="symbols looked at in effect", title="From everywhere to one place",
        dots=True, y_range=(0, max(spread) * 1.05), marks=[(at + 1, f"{steps[at]:,} steps")], height=260,
        width=int(min(560, left)), x_format=lambda frame: f"{steps[min(FRAMES, max(1, round(frame))) - 1]:,}",
    )  # fmt: skip
    figure((charts.above if alone else charts.beside)(picture, curve), "bottleneck.film")


def _film_size(result):
    """Return the pixels of the longer side of the picture, which stands alone in its row for a long input."""
    share = 0.88 if len(result.columns) > BESIDE else 0.45
    return int(min(room() * share, 30 * max(len(result.columns), len(result.target) + 1)))


def _share_right(written):
    """Return how many symbols of the answer the model would itself have chosen, each after the right ones before."""
    return float((written.probabilities.argmax(axis=-1) == written.symbols).mean())


# published alignments ------------------------------------------------------------------------------


def alignments(state):
    """Draw one of the alignment matrices of the paper."""
    st.segmented_control("Figure 3", PANELS, key=state.key("panel"), required=True)
    one = published.alignments()[state.get("panel")]
    row, column = (min(at, size - 1) for at, size in zip(state.get("cell"), one.weights.shape, strict=True))
    heaviest = np.argsort(-one.weights[row])[:3]
    words = ", ".join(f"{as_text(one.source[at])} {one.weights[row, at]:.2f}" for at in heaviest)
    st.markdown(
        f"{LOOK_FOR[state.get('panel')]} To write **{as_text(one.target[row])}** it looks at {words}. Click a row to "
        "read another."
    )
    rows, columns = charts.token_labels(one.target), charts.token_labels(one.source)
    matrix = charts.heatmap(
        one.weights, rows, columns, theme(), title=f"Bahdanau et al., Figure 3{state.get('panel')}", numbers=False,
        axes=("French", "English"), select="row", selected=(row, column), size=int(min(room() * 0.55, 640)),
    )  # fmt: skip
    bars = ranked(one.weights[row], columns, column, f"To write {rows[row]}", width=int(room() * 0.16))
    figure(
        charts.beside(matrix, bars),
        f"bottleneck.published.{state.get('panel')}",
        on_pick=lambda row, column: state.set(cell=(row, column)),
        tables={f"figure_3{state.get('panel')}": lambda: charts.csv(one.weights, rows, columns)},
    )
    ours = trained.load("pair", "bahdanau")
    weights = sum(array.size for array in (ours.w_a, ours.u_a, ours.v_a))
    st.caption(
        "Read from the grey of each cell of the printed figure, good to 0.01; the authors' numbers are not public. "
        "Their model has states of 1000 numbers and an alignment of 3,001,000 weights, trained for about five days; "
        f"the models here have states of {ours.decoder.n} and an alignment of {weights:,}, trained for a minute."
    )


# gradient through time -----------------------------------------------------------------------------


def gradient(state, result):
    """Draw how a number shrinks or grows from step to step, and how the gradient does in the trained models."""
    left, right = st.columns(2)
    left.slider(
        "Factor at each step",
        0.1,
        1.5,
        step=0.05,
        key=state.key("factor"),
        help="A linear memory keeps so much of itself.",
    )
    right.slider("Steps", 1, 100, key=state.key("count"), help="From the first symbol to the last.")
    factor, count = state.get("factor"), state.get("count")
    norms = _gradients(result)
    left_over = recurrent.carried(factor, count)[-1]
    st.markdown(
        f"A factor of {factor:g} at each of {count} steps leaves **{number(left_over)}**: so much of the first symbol "
        f"in a memory that keeps {factor:.0%} of itself, and so much of the gradient that comes back to it. Gates let "
        f"a model choose the factor for each number and symbol. {_measured(norms)}"
    )
    side_by_side = room() >= _WIDE
    width = int((room() - 24) / 2 if side_by_side else min(room(), 960))
    join = charts.beside if side_by_side else charts.above
    figure(join(_powers(factor, count, width), _norms(norms, result, width)), "bottleneck.gradient")


def _measured(norms):
    """Say how much the last state of each encoder still hangs on the first symbol."""
    said = " and ".join(f"**{number(each[-1])}** in *{title}*" for title, each in norms.items())
    if not said:
        return "A Transformer needs none: every symbol is one step away."
    return (
        f"Measured in the trained encoders, {said} reaches from the last symbol to the first. That is no fault of "
        "a model with attention: it goes there in one step, and its state need not carry the first symbol all the way. "
        "One with a fixed vector has no other way, and has learnt to carry it."
    )


def _powers(factor, count, width):
    """Draw the powers of the factor, beside some known ones."""
    steps = np.arange(count + 1)
    parts = [Curve(f"{factor:g}", steps, recurrent.carried(factor, count), theme().text)]
    parts += [
        Curve(f"{other:g}", steps, recurrent.carried(other, count), dashed=True)
        for other in (0.5, 0.9, 1.1)
        if abs(other - factor) > 0.01
    ]
    return charts.curves(
        parts, theme(), x_name="steps", y_name="what is left", title="A factor at each step", log=True, x_log=False,
        width=width, height=300,
    )  # fmt: skip


def _norms(norms, result, width):
    """Draw the measured gradients of the encoders."""
    if not norms:
        return charts.message("A Transformer reads every symbol in one step: nothing is carried.", theme(), "Measured")
    colours = dict(zip((result.left.title, result.right.title), _colours(), strict=True))
    parts = [Curve(title, np.arange(len(each)), each, colours[title]) for title, each in norms.items()]
    return charts.curves(
        parts, theme(), x_name="symbols back from the end", y_name="largest gradient", log=True, x_log=False, dots=True,
        title="Measured in the encoders, on this input", width=width, height=300,
    )  # fmt: skip


def _gradients(result):
    """Return how much the last state of each model that has one hangs on each state before it, from the last on."""
    encoders = {side.title: _encoder(side) for side in (result.left, result.right) if side.written.steps is not None}
    return {title: recurrent.gradient_norms(*encoder)[::-1] for title, encoder in encoders.items()}


def _encoder(side):
    """Return the step of a model's reading from first to last, all its steps, and its weights."""
    if isinstance(side.model, Bahdanau):
        return recurrent.bahdanau_gru, side.written.read.steps.forward, side.model.forward
    return recurrent.lstm, side.written.read.steps, side.model.encoder
