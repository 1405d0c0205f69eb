"""Why: everything that is chosen on the page, and the model and text that all its tabs read."""

from dataclasses import dataclass
from typing import NamedTuple

import streamlit as st

from attn import charts, pretrained
from attn.ui import models
from attn.ui.code_tabs import page_code
from attn.ui.controls.model_and_text import model_control, model_head_control
from attn.ui.controls.sentence import DEFAULT_TEXT, sentence_control
from attn.ui.link import link_choice, link_flag, link_place, link_string, link_whole
from attn.ui.numpy_models import is_writer, numpy_model_pass, opened_numpy_model
from attn.ui.page import page_ask

MOST_TOKENS = 48  # of a text: all of its maps are drawn cell by cell
MEASURES = {"weights": "Weights", "scores": "Scores"}
TABS = {
    "ledger": "The ledger of a score",
}


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Why."""

    model: str = link_string(pretrained.DEFAULT)
    text: str = link_string(DEFAULT_TEXT)
    layer: int = link_whole(4, 1, 999)
    head: int = link_whole(2, 1, 999)
    cell: tuple = link_place((10, 2))
    measure: str = link_choice("weights", MEASURES)
    lines: bool = link_flag(False)
    tab: str = link_choice("ledger", TABS)


class Reading(NamedTuple):
    """What all tabs read: a model, and a text that passed through it."""

    name: str
    text: str
    opened: object  # as `attn.ui.numpy_models.opened_numpy_model` returns it
    tokens: tuple  # of Token
    labels: list
    passed: object  # as `attn.ui.numpy_models.numpy_model_pass` returns it

    @property
    def model(self):
        """What computes."""
        return self.opened.model

    @property
    def writes(self):
        """Whether the model says a next word."""
        return is_writer(self.opened)


def why_text_controls(state):
    """Draw the choice of a model and of a text."""
    model_control(state)
    sentence_control(
        state, label="Text", help=f"What the model reads: its first {MOST_TOKENS} tokens are looked at on this page."
    )


def why_reading(state):
    """Open the model that was chosen and pass the text through it; ask for a text where there is none.

    Returns
    -------
    Reading

    Raises
    ------
    ModelError
        As `attn.ui.numpy_models.opened_numpy_model`.
    """
    name, text = state.get("model"), state.get("text")
    models.permit_model(name)
    if not text.strip():
        page_ask(state, "Type a text in the sidebar, or pick an example there.")
    opened = opened_numpy_model(name)
    read = numpy_model_pass(name, text, MOST_TOKENS)
    if read.truncated_from:
        st.warning(f"This page reads the first {MOST_TOKENS} of {read.truncated_from:,} tokens.")
    labels = charts.token_labels([token.text for token in read.tokens])
    return Reading(name, text, opened, read.tokens, labels, read.passed)


def why_head_controls(state, reading):
    """Draw the choice of a layer and a head."""
    heads = attention_in(reading.passed, 0).weights.shape[0]
    model_head_control(state, [heads] * len(reading.model.layers))


def why_code(state, make):
    """Draw the switch of a tab's code, and the code where it is on.

    Parameters
    ----------
    state : PageState
    make : callable
        Without arguments: the Codes.
    """
    st.toggle(
        "Code of this tab", key=state.key("lines"),
        help="The lines that compute what this tab shows for the present choices, and those that draw it.",
    )  # fmt: skip
    if state.get("lines"):
        page_code(state, make())


def attention_in(passed, layer):
    """Return the scores, weights and contexts of a layer, counted from 0, of a pass of either kind."""
    return (passed.layers[layer] if hasattr(passed, "layers") else passed.blocks[layer]).attention


def cell_in_text(state, reading):
    """Return the query and the key in view: the chosen ones, or the last that there are."""
    last = len(reading.tokens) - 1
    row, column = (min(at, last) for at in state.get("cell"))
    return row, column
