"""Step by step: from the choices on the page to one walked head, and to the code that walks it."""

import math
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from attn import charts, one_head, pretrained
from attn.data import examples
from attn.ui import models
from attn.ui.carried import default_model_head
from attn.ui.controls.mask import MASKS, MaskChoice, mask_of
from attn.ui.controls.positions import POSITIONS, positions_of
from attn.ui.controls.sentence import SentenceChoice, sentence_words
from attn.ui.link import link_choice, link_numbers, link_place, link_real, link_whole
from attn.ui.pages.step_by_step import stages
from attn.ui.pages.step_by_step.stages import DIVISORS, MATRICES, STAGES, View
from attn.ui.pages.step_by_step.walk_in_numpy import walk_numpy_code
from attn.ui.shown_code import Source, page_codes

STEP_SOURCES = {
    "worked": "Worked example",
    "journey": "Second example",
    "random": "A sentence",
    "pretrained": "A trained model's layer",
}
TABS = {"cell": "This cell", "edit": "Edit the numbers", "code": "Code"}
OLD_TABS = {"This cell": "cell", "Edit the numbers": "edit", "Code": "code"}  # what older links call them
CUTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]  # numbers of heads that divide 384
EDITABLE = {"x": "X, the embeddings", "w_q": "W_q", "w_k": "W_k", "w_v": "W_v"}


@dataclass(frozen=True)
class Setup(SentenceChoice, MaskChoice):
    """Everything chosen on Step by step."""

    source: str = link_choice("worked", STEP_SOURCES)
    d_model: int = link_whole(6, 1, 64)
    d_k: int = link_whole(4, 1, 64)
    d_v: int = link_whole(3, 1, 64)
    layer: int = link_whole(4, 1, 6)
    heads: int = link_whole(12, 1, 48)
    head: int = link_whole(2, 1, 48)
    positions: str = link_choice("none", POSITIONS)
    divisor: str = link_choice("sqrt_d_k", DIVISORS)
    own: float = link_real(1.0, 0.01, 1000)
    temperature: float = link_real(1.0, 0.05, 10)
    mask: str = link_choice("causal", MASKS)
    stage: str = link_choice("tokens", STAGES)
    matrix: str = link_choice("q", MATRICES)
    cell: tuple = link_place((4, 3))
    edits: tuple = link_numbers(EDITABLE)
    tab: str = link_choice("cell", TABS, OLD_TABS)
    editing: str = link_choice("x", EDITABLE)

    @property
    def about(self):
        """What files say otherwise than by the choices: layer and head are those of the trained model alone."""
        trained = self.source == "pretrained"
        return super().about | ({"model": pretrained.DEFAULT} if trained else {"layer": "", "head": ""})

    @staticmethod
    def unsaid(chosen):
        """Return the defaults that the numbers of the trained model have."""
        return {"mask": _usual_mask(chosen.get("source"))}


def _usual_mask(source):
    """Return the mask that numbers come with: an encoder has none, and all others show what a mask does."""
    return "none" if source == "pretrained" else "causal"


def walk_change_source(state, before):
    """Drop what was typed into the numbers of the source `before`, and with them their usual mask.

    A trained layer is opened at the head that was looked at last; one's own choice of a head or a text stays.
    """
    state.set(edits=())
    untouched = all(state.get(name) == getattr(Setup, name) for name in ("text", "layer", "heads", "head"))
    if state.get("source") == "pretrained" and untouched:
        state.set(**default_model_head())
    if state.get("mask") == _usual_mask(before):
        state.set(mask=_usual_mask(state.get("source")))


def walk_example(setup):
    """Return the chosen head's example, before any edit, and the code that makes it.

    Returns
    -------
    Example
    dict
        The settings that the steps use.
    tuple
        Steps of `shown_code` that bind ``e``.
    """
    if setup.source == "worked":
        return examples.worked_example(), {}, ("e = attn.examples.worked_example()",)
    if setup.source == "journey":
        return examples.journey_example(), {}, ("e = attn.examples.journey_example()",)
    tokens = sentence_words(setup.text)
    if setup.source == "pretrained":
        return models.model_layer_example(setup.text, setup.layer, setup.heads, setup.head)
    example = examples.random_example(tokens, setup.d_model, setup.d_k, setup.d_v, setup.seed)
    line = (
        f"tokens = attn.examples.split_words({setup.text!r})[:{len(tokens)}]\n"
        f"e = attn.examples.random_example(tokens, {setup.d_model}, {setup.d_k}, {setup.d_v}, {setup.seed})"
    )
    return example, {}, (line,)


def walk_layer_controls(state):
    """Draw the choice of a layer of the default model and of how it is cut into heads."""
    st.caption(
        "The trained numbers of all-MiniLM-L6-v2, a small language model: 6 layers of 12 heads, 384 numbers per token "
        "(d_model), 32 per head."
    )
    st.slider(
        "Layer", 1, 6, key=state.key("layer"), help="Whose matrices are used, on the vectors that enter this layer."
    )
    state.adjust(heads=max(count for count in CUTS if count <= state.get("heads")))
    st.select_slider(
        "Cut into heads",
        CUTS,
        key=state.key("heads"),
        help="The model was trained with 12 heads. Its matrices can be cut into more or fewer.",
    )
    state.clamp("head", 1, state.get("heads"))
    if state.get("heads") > 1:
        st.slider("Head", 1, state.get("heads"), key=state.key("head"), help="Which head to walk through.")


def _edited(example, changes):
    """Return the example with the numbers a person typed, leaving out those that are none.

    Returns
    -------
    Example
    problems : list of str
        One sentence per number that could not be used.
    """
    arrays = {name: np.array(getattr(example, name)) for name in EDITABLE}
    problems = []
    for name, row, column, number in changes:
        array = arrays[name]
        if row >= array.shape[0] or column >= array.shape[1]:
            continue  # typed when the matrix was larger; kept in case it grows again
        with np.errstate(over="ignore"):  # what is too large for the type is told below
            taken = array.dtype.type(number)
        if np.isfinite(taken):
            array[row, column] = taken
        else:
            problems.append(
                f"{EDITABLE[name]} must hold finite numbers; row {row + 1}, column {column + 1} holds none, "
                f"so {array[row, column]:.3g} is used there."
            )
    return replace(example, **arrays), problems


def _divisor_of(setup, d_model, d_k, n):
    """Return the number that the products are divided by."""
    return {
        "sqrt_d_k": math.sqrt(d_k),
        "none": 1.0,
        "d_k": float(d_k),
        "sqrt_d_model": math.sqrt(d_model),
        "sqrt_n": math.sqrt(n),
        "own": setup.own,
    }[setup.divisor]


def compute_walk(setup, theme, width, tallest):
    """Compute everything the page shows.

    Returns
    -------
    View
    codes : Codes
    problems : list of str
    """
    base, settings, made = walk_example(setup)
    example, problems = _edited(base, setup.edits)
    n, d_model, d_k = len(example.tokens), example.x.shape[1], example.w_q.shape[1]
    mask, mask_line = mask_of(setup, n)
    positions, position_line = positions_of(setup.positions, n, d_model, d_k, setup.seed)
    divisor = _divisor_of(setup, d_model, d_k, n)
    view = View(
        _walk(example, np.broadcast_to(mask.visible, (n, n)), divisor, setup.temperature, positions),
        example,
        setup.matrix,
        setup.cell,
        divisor,
        setup.divisor,
        setup.temperature,
        mask.words,
        theme,
        width,
        tallest,
        setup.source == "pretrained",
    )
    stage = STAGES[setup.stage]
    shape = stage.result(view).shape
    view = view._replace(cell=tuple(min(at, size - 1) for at, size in zip(setup.cell, shape, strict=True)))

    settings |= {
        "mask": Source(mask_line),
        "divisor": divisor,
        "temperature": setup.temperature,
        "positions": Source(f"dict({position_line})" if position_line else "{}"),
    }
    typed = _edits(setup, example)
    codes = page_codes(
        lambda: walk_numpy_code(setup, view, typed),
        settings,
        (*made, _edit_lines(typed), ("steps", _walk)),
        (f"print({stages.stage_numbers(view, stage)})",),
        {},
        (f"\n{stages.stage_code(view, stage)}", 'charts.save(picture, "step.svg")'),
    )
    return view, codes, problems


def _walk(e, mask, divisor, temperature, positions):
    """Walk one head."""
    matrices = {"w_q": e.w_q, "w_k": e.w_k, "w_v": e.w_v, "b_q": e.b_q, "b_k": e.b_k, "b_v": e.b_v}
    return one_head.walk(e.x, **matrices, mask=mask, divisor=divisor, temperature=temperature, **positions)


def _edits(setup, example):
    """Return the numbers a person typed that can be used: matrix, row, column, number."""
    return [
        (name, row, column, number)
        for name, row, column, number in setup.edits
        if math.isfinite(number) and row < getattr(example, name).shape[0] and column < getattr(example, name).shape[1]
    ]


def _edit_lines(typed):
    """Return the lines that put the numbers a person typed into the example."""
    if not typed:
        return ""
    copied = "e = replace(e, x=e.x.copy(), w_q=e.w_q.copy(), w_k=e.w_k.copy(), w_v=e.w_v.copy())"
    return "\n".join([copied, *(f"e.{name}[{row}, {column}] = {number:.9g}" for name, row, column, number in typed)])


def _typed(name, key):
    """Return what was typed into a grid: (matrix, row, column) -> number."""
    return {
        (name, int(row), int(column)): math.nan if number is None else float(number)
        for row, changed in st.session_state.get(key, {}).get("edited_rows", {}).items()
        for column, number in changed.items()
    }


def walk_editor(state, example):
    """Let a person type into one of the matrices; what is typed becomes an edit in the link."""
    st.segmented_control(
        "Matrix",
        EDITABLE,
        format_func=EDITABLE.get,
        key=state.key("editing"),
        required=True,
        label_visibility="collapsed",
    )
    name = state.get("editing")
    # The grid keeps what was typed as long as its key stays, so it gets a new one where that was undone elsewhere.
    undone = st.session_state.setdefault(state.key("undone"), 0)
    grid = f"{state.key('edit')}.{name}"
    if not _typed(name, f"{grid}.{undone}").keys() <= {edit[:3] for edit in state.get("edits")}:
        undone = st.session_state[state.key("undone")] = undone + 1
    key = f"{grid}.{undone}"

    def keep():
        before = {tuple(place): number for *place, number in state.get("edits")}
        typed = _typed(name, key)
        state.set(edits=tuple((*place, number) for place, number in sorted((before | typed).items())))

    def undo():
        state.set(edits=tuple(edit for edit in state.get("edits") if edit[0] != name))

    shown, _ = _edited(example, state.get("edits"))
    matrix = getattr(shown, name)
    columns = [str(column) for column in range(matrix.shape[1])]
    rows = charts.token_labels(example.tokens) if name == "x" else charts.counted(len(matrix))
    st.space("small")  # the tools of the table lie over what is above it
    st.data_editor(
        {"row": rows, **dict(zip(columns, matrix.T, strict=True))},
        key=key,
        on_change=keep,
        hide_index=True,
        column_config={
            "row": st.column_config.TextColumn("token" if name == "x" else "dimension", disabled=True, pinned=True)
        }
        | {column: st.column_config.NumberColumn(str(int(column) + 1), format="%.4g") for column in columns},
    )
    st.caption("Type into a cell: all that is computed from it changes.")
    if any(edit[0] == name for edit in state.get("edits")):
        st.button("Undo these edits", on_click=undo, icon=":material/undo:", key=state.key("undo"))
