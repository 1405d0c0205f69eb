"""Next word: which steps agree with transformers, and by how much, once that was asked for."""

import streamlit as st

from attn import charts
from attn.charts.labels import number
from attn.pretrained import ModelError
from attn.pretrained.families.whole_models import TOLERANCE
from attn.ui import language_models
from attn.ui.page import page_figure
from attn.ui.state import as_text
from attn.words import small

_ASKED = "next_word.asked"


def agreement_line(state, setup):
    """Say in a line what is known of the agreement with transformers, with a button that finds it out."""
    found = language_models.kept_agreement(setup.model, setup.text)
    if found is None:
        st.button(
            "Compare with transformers", key=state.key("compare"), icon=":material/fact_check:", type="tertiary",
            on_click=_ask, args=(setup.model, setup.text),
            help="Loads torch and transformers, passes the same tokens through the same weights, and compares the "
            "state after every layer and the logits. It takes some seconds, and memory for the model once more. "
            "Without this nothing here needs either of them.",
        )  # fmt: skip
        return
    worst = max(found, key=lambda each: each.relative)
    mark = ":material/check:" if worst.relative <= TOLERANCE else ":material/close:"
    says = "All steps agree with transformers" if worst.relative <= TOLERANCE else "Some step differs from transformers"
    st.caption(
        f"{mark} {says}: {len(found)} compared without changes, the largest difference is {number(worst.relative, 2)} "
        f"of the largest number ({worst.name})."
    )


def _ask(model, text):
    """Remember that the comparison was asked for: it takes its time in the run that follows, not in the callback."""
    st.session_state[_ASKED] = model, text


def agreement_asked(state, setup):
    """Compare with transformers if that was just asked for, and say why where it cannot be done."""
    if st.session_state.get(_ASKED) != (setup.model, setup.text):
        return
    del st.session_state[_ASKED]
    try:
        language_models.compared_with_transformers(setup.model, setup.text)
    except ModelError as error:
        st.error(as_text(f"There is nothing to compare with: {small(str(error))}."))


def agreement_figure(setup, theme, width):
    """Draw how far each step is from transformers, where that is known."""
    found = language_models.kept_agreement(setup.model, setup.text)
    if found is None:
        st.caption("Press “Compare with transformers” above the figure: then each step has a bar here.")
        return
    st.markdown(
        f"Each bar is the largest difference between a number computed here and the same number of transformers, as a "
        f"part of the largest number of that step. Both use float32, which keeps about seven digits; up to "
        f"{number(TOLERANCE)} counts as agreement."
    )
    values, names = [each.relative for each in found], [each.name for each in found]
    page_figure(
        charts.beside(
            charts.bars(
                values, names, theme, kind="magnitude", title="Relative difference, step by step", width=0.6 * width,
                scale=charts.Scale(log=True, name="relative difference"),
            )
        ),
        "next_word.agreement",
        tables={
            "agreement": lambda: charts.csv(
                [[each.absolute, each.relative] for each in found], names, ["absolute", "relative"]
            )
        },
    )  # fmt: skip
