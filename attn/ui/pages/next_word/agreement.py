"""Next word: which steps agree with transformers, and by how much, from when that was asked for."""

import streamlit as st

from attn import charts
from attn.charts.labels import number
from attn.pretrained import ModelError
from attn.pretrained.tolerances import STATE as TOLERANCE
from attn.ui import language_models
from attn.ui.numpy_models import ONE_THREAD_CODE
from attn.ui.page import page_figure
from attn.ui.pages.next_word.code import NEXT_WORD_SAVED
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.state import as_text
from attn.ui.terms import terms_help
from attn.words import small

_ASKED = "next_word.asked"  # where the session holds the model that is compared, whatever is changed


def agreement_line(state, setup, factors):
    """Say in a line what is known of the agreement with transformers, with a button that finds it out."""
    found = language_models.kept_agreement(setup.model, setup.text, factors)
    if found is None:
        _compare_button(state, setup, "compare")
        return
    worst = max(found, key=lambda each: each.relative)
    mark = ":material/check:" if worst.relative <= TOLERANCE else ":material/close:"
    says = "All steps agree with transformers" if worst.relative <= TOLERANCE else "Some step differs from transformers"
    changes = "with your changes in both" if factors else "without changes"
    st.caption(
        f"{mark} {says}: {len(found)} compared {changes}. The largest difference is {number(worst.relative, 2)} "
        f"of the largest number of its token ({worst.name})."
    )


def _compare_button(state, setup, name):
    """Draw the button that finds out how far each step is from that of transformers."""
    st.button(
        "Compare with transformers", key=state.key(name), icon=":material/fact_check:", type="tertiary",
        on_click=_ask, args=(setup.model,),
        help="Loads torch and transformers, passes the same tokens through the same weights, and compares the "
        "state after every layer and the logits, now and after every change. What is switched off here is switched "
        "off there, too. It takes some seconds, and memory for the model once more. Without this nothing here "
        "needs either of them.",
    )  # fmt: skip


def _ask(model):
    """Remember that the comparison was asked for: it takes its time in the run that follows, not in the callback."""
    st.session_state[_ASKED] = model


def agreement_asked(setup, factors):
    """Compare with transformers if that was asked for, also after a change, and say why where it cannot be done."""
    asked = st.session_state.get(_ASKED) == setup.model
    if not asked or language_models.kept_agreement(setup.model, setup.text, factors) is not None:
        return
    try:
        language_models.compared_with_transformers(setup.model, setup.text, factors)
    except ModelError as error:
        del st.session_state[_ASKED]
        st.error(as_text(f"There is nothing to compare with: {small(str(error))}."))


def agreement_figure(state, setup, factors, theme, width):
    """Draw how far each step is from transformers, where that is known, and else say how to find it out."""
    found = language_models.kept_agreement(setup.model, setup.text, factors)
    if found is None:
        st.markdown("Each step has a bar here once it was compared.")
        _compare_button(state, setup, "compare.here")
        return
    told = (
        "Each bar is the largest difference between a number computed here and the same number of transformers. Each "
        "is taken as a part of the largest number that the same token has in that step, for the first token's can be "
        "more than a hundred times as large as any other's. Both use float32, which keeps about seven digits; up to "
        f"{number(TOLERANCE)} counts as agreement. Bars are logarithmic: a bar that is shorter by a quarter of the "
        "longest stands for a number ten times smaller."
    )
    st.markdown(told, help=terms_help(told))
    values, names = [each.relative for each in found], [each.name for each in found]
    page_figure(
        agreement_bars(values, names, theme, width),
        "next_word.agreement",
        codes=lambda: _codes(setup, factors, width),
        tables={
            "agreement": lambda: charts.csv(
                [[each.absolute, each.relative] for each in found], names, ["absolute", "relative"]
            )
        },
    )  # fmt: skip


def agreement_bars(values, names, theme, width):
    """Draw how far each step is from that of transformers."""
    scale = charts.Scale(log=True, name="relative difference")
    title = "Relative difference, step by step"
    drawn = charts.bars(values, names, theme, kind="magnitude", title=title, width=0.6 * width, scale=scale)
    return charts.beside(drawn)


def _codes(setup, factors, width):
    """Return the lines that compare each step with transformers, and those that draw it."""
    settings = {"name": setup.model, "text": setup.text, "factors": [tuple(each) for each in factors]}
    steps = (
        "from attn import pretrained\nfrom attn.models.ablation import PartFactor, ablation\n"
        "from attn.pretrained import agreement, language_model\n"
        f"{ONE_THREAD_CODE}\nopened = language_model.load(name)\n"
        "factors = [PartFactor(*each) for each in factors]\n"
        f"read = language_model.read(\n    opened, text, max_tokens={language_models.MOST_WALKED}, steps=True, "
        "change=ablation(factors),\n)\n"
        "found = agreement.transformers_differences(read, pretrained.load(name), factors)\n"
        "values, names = [each.relative for each in found], [each.name for each in found]",
    )
    printed = ('for name, value in zip(names, values):\n    print(name, f"{value:.2g}")',)
    look, drawing = {"theme": LIGHT, "width": width}, (("picture", agreement_bars), NEXT_WORD_SAVED)
    return page_codes(None, settings, steps, printed, look, drawing)
