"""Bottleneck: from the choices on the page to two models at work on one input, and the code for it."""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import analysis, charts, trained
from attn.architectures import seq2seq
from attn.architectures.seq2seq import Bahdanau, Luong
from attn.trained import TASKS
from attn.ui.page import page_path_columns, page_theme
from attn.ui.pages.bottleneck.seq2seq_in_numpy import seq2seq_numpy_code
from attn.ui.pages.bottleneck.setup import MODELS, SHOWN, SIDES
from attn.ui.shown_code import LIGHT, Codes, Source, shown_code
from attn.ui.state import as_text
from attn.ui.width import page_held, page_tallest
from attn.words import share

FORMULAS = {
    "fixed": r"«output c_i» &= \big[«value \overrightarrow h_{T_x}»;\,«value \overleftarrow h_1»\big]",
    "bahdanau": r"«output c_i» &= \textstyle\sum_j \alpha_{ij}\,«value h_j» \\ "
    r"\alpha_i &= \mathrm{softmax}_j\;v_a^\top\tanh(W_a «query s_{i-1}» + U_a «key h_j»)",
    "global": r"«output c_t» &= \textstyle\sum_s a_{ts}\,«value \bar h_s» \\ "
    r"a_t &= \mathrm{softmax}_s(«query h_t»^\top W_a «key \bar h_s»)",
    "local-m": r"«output c_t» &= \textstyle\sum_{|s-t|\le 3} a_{ts}\,«value \bar h_s» \\ "
    r"a_t &= \mathrm{softmax}_s(«query h_t»^\top W_a «key \bar h_s»)",
    "local-p": r"«output c_t» &= \textstyle\sum_{|s-p_t|\le 3} a_{ts}\,e^{-(s-p_t)^2/2\sigma^2}\,«value \bar h_s» \\ "
    r"p_t &= T_x\,\sigma(v_p^\top\tanh(W_p «query h_t»))",
    "transformer": r"«output Z» &= \mathrm{softmax}\big(«query Q»«key K»^\top/\sqrt{d_k}\big)«value V»",
}  # a letter's colour is that of its role, written before it
_LUONG = r"Each $\bar h_s$ is a state of the encoder, as key and value; $h_t$, the decoder's, is the query. "
LETTERS = {  # what the letters of a formula stand for
    "fixed": "Of the states $h$ of the encoder only the last of either direction are kept.",
    "bahdanau": "Each $h_j$ is a state of the encoder, as key and value; $s_{i-1}$, the decoder's, is the query. "
    "$W_a$, $U_a$ and $v_a$ are trained.",
    "global": f"{_LUONG}$W_a$ is trained.",
    "local-m": f"{_LUONG}$W_a$ is trained.",
    "local-p": f"{_LUONG}$p_t$ is the middle of the window. $W_p$ and $v_p$ are trained.",
    "transformer": "Self-attention dropped the recurrence: each symbol has a query, a key and a value.",
}


BESIDE = 30  # symbols read: with more, the two pictures stand one above the other


class Side(NamedTuple):
    """One model at work on the input."""

    title: str
    model: object
    written: seq2seq.Written
    symbols: tuple  # (T_y,) as people write them
    right: tuple  # (T_y,) True where a symbol is the right one
    map: np.ndarray  # (T_y, T_x) what is drawn
    influence: bool  # whether the map is influence, not weights

    @property
    def attends(self):
        """Whether the model has weights over the source."""
        return self.written.weights is not None

    @property
    def faultless(self):
        """Whether the answer is right to its end."""
        return all(self.right) and self.symbols[-1] == "end"


class Shown(NamedTuple):
    """What the page shows."""

    task: trained.Task
    source: tuple  # (T_x - 1,) symbols of the input
    target: tuple  # the right answer
    problem: str  # what is wrong with what was typed, or nothing
    left: Side
    right: Side

    @property
    def rows(self):
        """How many symbols the longer answer has."""
        return max(len(self.left.symbols), len(self.right.symbols))

    @property
    def columns(self):
        """Labels of the source."""
        return charts.token_labels([*self.source, "end"])


def _input_of(setup):
    """Return the task, the symbols of the input, the right answer, and what is wrong with what was typed.

    Where something is wrong, the first example stands in.
    """
    task, problem = TASKS[setup.task], ""
    try:
        source, target = task.read(setup.typed if setup.typed.strip() else task.examples[0])
    except ValueError as error:
        problem = str(error)
        source, target = task.read(task.examples[0])
    return task, tuple(source), tuple(target), problem


def compute_two_models(setup):
    """Let both models read the input and write.

    Returns
    -------
    Shown
    """
    task, source, target, problem = _input_of(setup)
    sides = (
        one_of_two_models(setup.task, name, setup.trained_on, source, setup.show) for name in (setup.left, setup.right)
    )
    return Shown(task, source, target, problem, *sides)


@lru_cache(maxsize=256)
def one_of_two_models(task, name, trained_on, source, show):
    """Let one model read an input and write.

    Returns
    -------
    Side
    """
    task, model = TASKS[task], trained.load(task, name, trained_on)
    ids, target = task.source_ids(source), [*task.answer(list(source)), "end"]
    written, symbols, drawn, influence = one_model_at_work(task, model, ids, target, show)
    right = tuple(one == other for one, other in zip(symbols, [*target, *[""] * len(symbols)], strict=False))
    return Side(MODELS[name], model, written, symbols, right, drawn, influence)


def one_model_at_work(task, model, ids, answer, show):
    """Let a model write, and return what it wrote, what is drawn of it, and whether that is influence."""
    written = seq2seq.write(model, ids, most=len(answer) + 4)
    symbols = tuple("end" if i == seq2seq.END else task.target_symbols[i] for i in written.symbols)
    influence = show == "influence" or written.weights is None
    if influence:
        drawn = seq2seq.influence(model, ids, written.symbols)
    else:  # of a Transformer the mean of the heads of its last layer
        drawn = written.weights if written.weights.ndim == 2 else written.weights[-1].mean(axis=0)
    return written, symbols, drawn, influence


def two_models_input_controls(state):
    """Draw the choice of the task, the box for the input, and the examples that fill it."""
    st.selectbox(
        "Task",
        TASKS,
        format_func=lambda name: TASKS[name].title,
        key=state.key("task"),
        on_change=lambda: state.set(typed="", unwritten=0),
        help="Small models were trained on each of these tasks. You can tell a right answer from a wrong one yourself.",
    )
    task = TASKS[state.get("task")]
    st.caption(task.about)
    st.text_area(
        "Input",
        key=state.key("typed"),
        height=80,
        max_chars=400,
        placeholder=task.examples[0],
        on_change=lambda: state.set(unwritten=0),
        help=f"At most {task.longest} {task.unit}. If you leave it empty, the first example is used.",
    )
    if task.vocabulary:
        _vocabulary_controls(state, task)
    picked = state.key("example")

    def fill():
        if st.session_state[picked]:
            state.set(typed=st.session_state[picked], unwritten=0)
            st.session_state[picked] = None

    st.pills("Examples", task.examples, key=picked, on_change=fill, label_visibility="collapsed")


def _vocabulary_controls(state, task):
    """Draw all words of a task, each to be added to the input."""

    def add(key):
        if st.session_state[key]:
            state.set(typed=f"{state.get('typed').strip()} {st.session_state[key]}".strip(), unwritten=0)
            st.session_state[key] = None

    with st.expander("Words to choose from"):
        st.caption(task.grammar)
        for kind, words in task.vocabulary.items():
            key = state.key(f"vocabulary.{kind}")
            st.pills(kind, words, key=key, on_change=add, args=(key,), help="Choosing a word adds it to the input.")


def two_models_choice_controls(state):
    """Draw the choice of the two models, of their training, and of what is drawn."""
    for name, label in SIDES.items():
        st.selectbox(
            label,
            MODELS,
            format_func=MODELS.get,
            key=state.key(name),
            help="Fixed vector puts all of the input into one vector; the wider one has about as many parameters as "
            "Bahdanau's model. All others look back at every symbol. “Context fixed” is Bahdanau's trained model with "
            "its attention switched off, and “input not fed” is Luong's without what it read at the step before: "
            "neither was trained so.",
        )
    task = TASKS[state.get("task")]
    limits = dict(zip(trained.TRAINED_ON, task.limits, strict=True))
    st.segmented_control(
        "Trained on inputs",
        trained.TRAINED_ON[::-1],
        format_func=lambda name: f"up to {limits[name]} {task.unit}",
        key=state.key("trained_on"),
        required=True,
        help="How long the inputs were in training. Longer ones are new to a model: the tab Accuracy by length shows "
        "what it makes of them.",
    )
    st.segmented_control(
        "Show",
        SHOWN,
        format_func=SHOWN.get,
        key=state.key("show"),
        required=True,
        help="Weights say where a model looks. Influence says what it depends on: how much of the probability of a "
        "written symbol moves elsewhere when a symbol of the input is blurred. Models without attention have it, too.",
    )


def two_models_step_control(state, rows):
    """Draw the rows to walk back and forth, and return how many are written.

    The choice is how many are not, so that a new input is first seen whole.
    """
    at, key = max(1, rows - state.get("unwritten")), f"{state.page}.at"
    st.session_state[key] = at

    def go(to):
        state.set(unwritten=rows - to)

    back, slider, ahead = page_path_columns()
    back.button(
        "Back", on_click=go, args=(at - 1,), disabled=at == 1, shortcut="Left", key=f"{state.page}.back",
        help="One symbol less; the left arrow key does the same.",
    )  # fmt: skip
    slider.slider(
        "Symbols written",
        1,
        max(rows, 2),
        key=key,
        disabled=rows < 2,
        on_change=lambda: go(st.session_state[key]),
        help="Each row of the figures is one written symbol. The left and right arrow keys walk, too.",
    )
    ahead.button(
        "Step on",
        on_click=go,
        args=(at + 1,),
        disabled=at == rows,
        shortcut="Right",
        key=f"{state.page}.next",
        type="primary",
        help="One symbol more; the right arrow key does the same.",
    )
    return at


def two_models_picture(result, step, width):
    """Draw what both models looked at for the symbols written so far.

    Returns
    -------
    alt.ConcatChart
    """
    answer, size = [*result.target, "end"], (result.rows, step, page_held())
    panels = [
        one_model_panel(side.symbols, side.map, side.influence, answer, result.columns, side.title, *size)
        for side in (result.left, result.right)
    ]
    return _placed(panels, len(result.columns) <= BESIDE, page_theme(), width, page_tallest(35))


def _placed(panels, beside, theme, room, tallest):
    """Draw matrices beside or above one another."""
    rows = [panels] if beside else [[one] for one in panels]
    drawn = [charts.panels(theme, room, *row, tallest=tallest) for row in rows]
    return drawn[0] if beside else charts.above(*drawn)


def one_model_panel(symbols, looked, influence, answer, columns, title, n_rows, step, brief):
    """Return one model's matrix, its rows beyond the step still empty."""
    done, count = min(step, len(symbols)), len(answer) if step == n_rows else min(step, len(answer))
    right = sum(one == other for one, other in zip(symbols[:done], answer, strict=False))
    drawn = np.zeros((n_rows, len(columns)))
    drawn[:done] = looked[:done]
    newest = {"row": step - 1} if step < n_rows and step <= len(symbols) else None
    return charts.panel(
        drawn,
        one_model_row_labels(symbols, answer, n_rows, step, brief),
        columns,
        title=f"{title}: {right} of {count} right",
        axes=("written", "read"),
        scale=charts.Scale(name="influence" if influence else "weight"),
        pick=charts.Pick(highlight=newest),
        style=charts.Style(numbers=False),
    )


def one_model_row_labels(symbols, answer, n_rows, step, brief):
    """Return the written symbols, each right or wrong; what is still to come has its number only.

    Brief ones, for a phone, do not say what a wrong one should be.
    """
    labels = charts.marked(symbols, answer)
    labels = [label.split(" ≠ ")[0] + " ≠" if " ≠ " in label else label for label in labels] if brief else labels
    return [labels[at] if at < min(step, len(labels)) else str(at + 1) for at in range(n_rows)]


def two_models_results(result):
    """Return what both models wrote, by the names that a story may ask for."""
    return {
        "left_right": sum(result.left.right),
        "left_wrong": len(result.target) + 1 - sum(result.left.right),
        "right_right": sum(result.right.right),
        "symbols": len(result.target) + 1,
    }


def two_models_line(result):
    """Say in a line what is to be translated or turned into what."""
    source, answer = (as_text(result.task.glue.join(symbols)) for symbols in (result.source, result.target))
    return f"{source} → **{answer}**"


def two_models_reading(result, step):
    """Say how both models did, or, while symbols are still to come, how to read the row of the newest one."""
    answer = as_text(result.task.glue.join(result.target))
    says = _in_all if step == result.rows else _in_row
    back = " Go back to watch them write." if 1 < step == result.rows else ""
    sides = " ".join(says(side, result, step - 1) for side in (result.left, result.right))
    return (
        "A recurrent network hands on its last state, one vector for the whole input; attention (Bahdanau et al., "
        "2015) looks back at every state. Two small trained models read the same input. "
        f"The right answer is **{answer}**. "
        f"{'' if step == result.rows else f'Row {step}: '}{sides}{back}"
    )


def _in_all(side, result, _):
    """Say what one model wrote."""
    text = as_text(result.task.glue.join(symbol for symbol in side.symbols if symbol != "end"))
    wrote = f"**{text}**: {sum(side.right)} of {len(result.target) + 1} right"
    return f"*{side.title}* wrote {'the right answer' if side.faultless else wrote}.{_untrained(side)}"


def _from_how_much(side, result):
    """Say from how much one model wrote."""
    if not side.attends:
        return (
            f"*{side.title}* keeps one vector of {side.written.context.shape[1]} numbers. It has no weights, so its "
            "figure shows influence."
        )
    spread, unit = two_models_spread(side.written.weights), result.task.unit
    return (
        f"For each of its {unit} *{side.title}* looks back at an effective number of **{spread:.1f}** of the "
        f"{len(result.columns)} that it read."
    )


def _untrained(side):
    """Say that a model was not trained as it stands, if it was changed afterwards."""
    if side.title not in (changed[1] for changed in trained.CHANGED.values()):
        return ""
    return " It was not trained so: a part was switched off after its training."


def two_models_spread(weights):
    """Return how many symbols a row of weights looks at in effect, on average; local-p's rows do not sum to 1."""
    weights = weights / np.maximum(weights.sum(axis=-1, keepdims=True), np.finfo(weights.dtype).tiny)
    return float(analysis.effective_keys(weights).mean())


def _in_row(side, result, row):
    """Say what one model did in a row."""
    title = f"*{side.title}*"
    if row >= len(side.symbols):
        return f"{title} has finished."
    verdict = "right" if side.right[row] else "wrong"
    wrote = f"{title} wrote **{as_text(side.symbols[row])}** ({verdict})"
    at = int(side.map[row].argmax())
    most = f"**{as_text(result.columns[at])}** ({share(side.map[row, at])})"
    if not side.influence:
        return f"{wrote}, looking most at {most}{_window(side, row)}."
    same = "" if side.attends else f" from the same {side.written.context.shape[1]} numbers as every row"
    return f"{wrote}{same}; it depends most on {most}."


def _window(side, row):
    """Say where the window of local attention stood, and that the weights of local-p do not sum to 1."""
    if side.written.centre is None:
        return ""
    place = f", in a window around place {side.written.centre[row] + 1:.1f}"
    if side.model.reach == "local-m":
        return place
    return f"{place}; its weights add up to {side.map[row].sum():.2f}, not to 1 (Luong et al., equation 10)"


def two_models_memory(result):
    """Say from how much each model wrote, what influence is where it is drawn, and what the formulas' letters mean."""
    sides = (result.left, result.right)
    told = [_from_how_much(side, result) for side in sides]
    if any(side.influence for side in sides):
        told.append(
            "Influence is the share of a written symbol's probability that goes to others when one symbol of the input "
            "is blurred. Each cell is measured by itself, so several in a row may reach 1."
        )
    return " ".join(dict.fromkeys([*told, *(LETTERS[_formula_of(side.model)] for side in sides)]))


def two_models_shapes(result):
    """Say how large everything is."""
    n_x, each = len(result.columns), []
    for side in (result.left, result.right):
        read, n_y = side.written.read, len(side.symbols)
        kept = f"all kept, {n_y} × {n_x} weights" if side.attends else f"{read.summary.size} kept"
        each.append(f"{side.title}: {n_x} × {read.annotations.shape[1]} numbers read, {kept}.")
    return " ".join(each)


def two_models_formula(result):
    """Return how each model comes to its context, as LaTeX with every letter in the colour of its role."""
    lines = dict.fromkeys(one_model_formula(side.model) for side in (result.left, result.right))
    text = r"\begin{aligned}" + r"\\[6pt]".join(lines) + r"\end{aligned}"
    return re.sub(r"«(\w+) (.+?)»", lambda found: rf"\textcolor{{{page_theme().role(found[1])}}}{{{found[2]}}}", text)


def one_model_formula(model):
    """Return one model's formula, its coloured letters as ``«role letter»``."""
    return FORMULAS[_formula_of(model)]


def _formula_of(model):
    """Return which of `FORMULAS` says how a model comes to its context."""
    if isinstance(model, Bahdanau):
        return "bahdanau" if model.attends else "fixed"
    return model.reach if isinstance(model, Luong) else "transformer"


def one_model_table(side, result):
    """Return one model's picture as CSV text."""
    return charts.csv(side.map, charts.marked(side.symbols, [*result.target, "end"]), result.columns)


def two_models_code(setup, result, step, width):
    """Return the lines that let a model read and write, and those that draw both models' pictures.

    In numpy and without a picture it is the second model, unless only the first has weights over its source.
    """
    ids, most = result.task.source_ids(result.source), len(result.target) + 1 + 4
    side, name = (result.right, setup.right), (result.left, setup.left)
    side, name = name if name[0].attends and not side[0].attends else side
    looked = "looked" if not side.attends or side.written.weights.ndim == 2 else "looked[-1].mean(axis=0)"
    return Codes(
        numpy=lambda: seq2seq_numpy_code(
            setup.task, name, setup.trained_on, side.title, side.model, ids, result.source, most
        ),
        attn=lambda: shown_code(
            {"typed": result.task.glue.join(result.source)},
            "from attn import trained\nfrom attn.architectures import seq2seq\n"
            f"task = trained.TASKS[{setup.task!r}]\n"
            "source, answer = task.read(typed)\n"
            f"model = trained.load({setup.task!r}, {name!r}, {setup.trained_on!r})\n"
            f"written = seq2seq.write(model, task.source_ids(source), most={most})\n"
            f"looked = written.{'weights' if side.attends else 'context'}\n"
            f"print(written.symbols.tolist())\nprint({looked}.round(4))",
        ),
        draw=lambda: _drawing_code(setup, result, step, width),
    )


def _drawing_code(setup, result, step, width):
    """Return the lines that draw the picture of the page."""
    return shown_code(
        {
            "task": Source(f"trained.TASKS[{setup.task!r}]"),
            "typed": result.task.glue.join(result.source),
            "models": [(name, MODELS[name]) for name in (setup.left, setup.right)],
            "show": setup.show,
            "n_rows": result.rows,
            "step": step,
            "brief": page_held(),
            "beside": len(result.columns) <= BESIDE,
            "theme": LIGHT,
            "room": round(width),
            "tallest": page_tallest(35),
        },
        "source, answer = task.read(typed)",
        'ids, answer = task.source_ids(source), [*answer, "end"]',
        'columns = charts.token_labels([*source, "end"])\n',
        one_model_at_work,
        one_model_panel,
        "panels = []\n"
        "for name, title in models:\n"
        f"    model = trained.load({setup.task!r}, name, {setup.trained_on!r})\n"
        "    _, symbols, looked, influence = one_model_at_work(task, model, ids, answer, show)\n"
        "    panels.append(one_model_panel(symbols, looked, influence, answer, columns, title, n_rows, step, brief))\n",
        ("picture", _placed),
        'charts.save(picture, "bottleneck.svg")',
    )
