"""Next word: its controls, and what they may be for the model and the text in view."""

import streamlit as st

from attn import charts, pretrained
from attn.models.ablation import PartFactor
from attn.pretrained.loading import smollm2
from attn.ui.controls.model_and_text import about_model, model_refused
from attn.ui.language_models import HOW_TO_GET, suggested_language_models
from attn.ui.page import page_ask, page_figure, page_reading
from attn.ui.pages.next_word.code import part_codes, part_number_codes
from attn.ui.pages.next_word.parts import (
    part_chart,
    part_name,
    part_number_chart,
    part_number_csv,
    part_opened,
    part_stages,
)
from attn.ui.pages.next_word.setup import LARGEST_FACTOR, PARTS
from attn.ui.settings import visitor_settings
from attn.ui.state import as_text
from attn.ui.width import page_tallest
from attn.words import capital

OPENED = "opened"  # the place of the open part, to which a link leads


def next_word_model_control(state):
    """Draw the choice of a model that writes; without any at hand say how to get one, and stop."""
    settings, suggested = visitor_settings(), suggested_language_models()
    if settings.models == "default":
        page_ask(
            state,
            f"This server opens {pretrained.DEFAULT} alone, which reads and does not write. What it does with a text "
            "is on the pages Pretrained and Inside",
        )
    if state.get("model") == smollm2.NAME and smollm2.NAME not in suggested:
        others = [(f"Open {name.split('/')[-1]}", {"model": name}) for name in suggested]
        page_ask(state, f"The model of this page is not on this machine. {HOW_TO_GET}", instead=others)
    options = list(dict.fromkeys([*suggested, state.get("model")]))
    st.selectbox(
        "Model",
        options,
        key=state.key("model"),
        format_func=lambda name: name.rstrip("/").split("/")[-1] or name,
        accept_new_options=True,
        help="Pick one, or type the id of a model on the Hugging Face hub"
        + (" or the path of a folder" if settings.models == "any" else "")
        + ": GPT-2, Llama, Mistral, Qwen, Phi-3, Gemma, OLMo 2 or SmolLM. It is computed here in numpy, from its own "
        "weights.",
    )
    about_model(state.get("model"))


def next_word_refused(state, error):
    """Say why a model or a text cannot be walked, with another model to open."""
    if not error.offers and state.get("model") != smollm2.NAME and smollm2.NAME in suggested_language_models():
        page_ask(state, str(error), st.error, [("Open SmolLM2", {"model": smollm2.NAME})])
    model_refused(state, error)


def next_word_fit(state, language):
    """Bring what is chosen into what the model has."""
    state.clamp("layer", 1, len(language.model.layers))
    state.clamp("head", 1, language.model.num_heads)
    if (stages := part_stages(state.get("part"))) and state.get("stage") not in stages:
        state.adjust(stage={"attention": "weights", "feed_forward": "inner"}[state.get("part")])
    kept = tuple(each for each in state.get("factors") if _is_there(language.model, each))
    state.adjust(factors=kept)


def _is_there(model, factor):
    """Return whether a model has a part."""
    layer, part, _ = factor
    return layer < len(model.layers) and (isinstance(part, str) or part < model.num_heads)


def next_word_factors(chosen):
    """Return the parts that add less or more than they do."""
    return tuple(PartFactor(*each) for each in chosen)


def next_word_part_controls(state, language):
    """Draw what of the model is open, and by what it is multiplied."""
    st.selectbox(
        "Open", PARTS, format_func=PARTS.get, key=state.key("part"),
        help="The part whose numbers are shown below. A click on a box or a cell of the figure opens it, too.",
    )  # fmt: skip
    st.slider(
        "Layer", 1, len(language.model.layers), key=state.key("layer"),
        help="The layers come one after the other; each adds something to the state of every token.",
    )  # fmt: skip
    if language.model.num_heads > 1:
        st.slider(
            "Head", 1, language.model.num_heads, key=state.key("head"),
            help="Each head of a layer looks in its own way.",
        )  # fmt: skip
    if not (target := _target(state)):
        return
    key = state.key("factor")
    st.session_state[key] = _factor_of(state, target)

    def take():
        _set_factors(state, {target: st.session_state[key]})

    off = _off_with_all_heads(state, target)
    st.slider(
        "Multiply what it adds by", 0.0, float(LARGEST_FACTOR), step=0.05, key=key, on_change=take, disabled=off,
        help=f"Of {part_name(state.choices())}: 0 switches it off, 1 leaves it as it is, 2 doubles what it adds."
        + (f" Now all heads of layer {target[0] + 1} are off." if off else ""),
    )  # fmt: skip


def _target(state):
    """Return the (layer, part) that is open, if it can be switched off."""
    part = {"attention": state.get("head") - 1, "feed_forward": "feed_forward"}.get(state.get("part"))
    return None if part is None else (state.get("layer") - 1, part)


def _off_with_all_heads(state, target):
    """Return whether a part is a head that adds nothing whatever it is multiplied by: its layer's attention is off."""
    layer, part = target
    return part != "feed_forward" and _factor_of(state, (layer, "attention")) == 0


def _factor_of(state, target):
    """Return by what a part is multiplied now."""
    return next((factor for layer, part, factor in state.get("factors") if (layer, part) == target), 1.0)


def _set_factors(state, changed):
    """Multiply parts by other factors; those of 1 are no change."""
    factors = {(layer, part): factor for layer, part, factor in state.get("factors")} | changed
    state.set(factors=tuple((*target, factor) for target, factor in factors.items() if factor != 1))


def next_word_switches(state, language):
    """Draw the buttons that switch the open part off, or its whole layer, and take all changes back."""
    setup, target = state.choices(), _target(state)
    layer = state.get("layer") - 1
    whole = {(layer, part): 0.0 for part in ("attention", "feed_forward")}

    def button(name, parts, label):
        off = all(_factor_of(state, part) == 0 for part in parts)
        st.button(
            f"{'Switch on' if off else 'Switch off'} {label}", key=state.key(name), on_click=_set_factors,
            args=(state, dict.fromkeys(parts, 1.0 if off else 0.0)),
            icon=":material/toggle_on:" if off else ":material/toggle_off:",
        )  # fmt: skip

    # none has a help: it would hang over the sentence that says what became of the word
    with st.container(horizontal=True):
        if target and _off_with_all_heads(state, target):
            st.button(
                f"Head {setup.head} is off with all heads of layer {layer + 1}", key=state.key("switch"), disabled=True,
                icon=":material/toggle_off:",
            )  # fmt: skip
        elif target:
            button("switch", [target], part_name(setup))
        button("switch_layer", list(whole), f"attention and feed-forward of layer {layer + 1}")
        st.button(
            "Take all changes back", key=state.key("undo"), on_click=state.set, kwargs={"factors": ()},
            disabled=not setup.factors, icon=":material/undo:",
        )  # fmt: skip
    if setup.factors:
        st.caption(f"Changed: {_changes_in_words(setup.factors)}.")


def _changes_in_words(factors):
    """Say what is changed; of a layer that is off as a whole, this alone."""
    off = {(layer, part) for layer, part, factor in factors if not factor}
    whole = {layer for layer, _ in off if {(layer, "attention"), (layer, "feed_forward")} <= off}
    told = (
        f"attention and feed-forward of layer {layer + 1} off" if layer in whole
        else f"{_changed_part(part)} of layer {layer + 1} {'off' if not factor else f'× {factor:g}'}"
        for layer, part, factor in factors
    )  # fmt: skip
    return ", ".join(dict.fromkeys(told))


def _changed_part(part):
    """Return what a part is called."""
    return {"attention": "all heads", "feed_forward": "feed-forward"}.get(part) or f"head {part + 1}"


def next_word_part_tab(state, walked, factors, theme, width):
    """Draw the matrix of the open part with the choice of a stage and a number, and how that number comes about."""
    setup, n = walked.setup, len(walked.labels)
    stages = part_stages(setup.part)
    if stages:
        st.segmented_control(
            f"Of {part_name(setup)}", list(stages), format_func=stages.get, key=state.key("stage"), required=True,
            help="The steps inside this part, in the order in which they are computed.",
        )  # fmt: skip
    row = min(setup.cell[0], n - 1)
    if setup.part == "tokens":
        st.markdown(_token_table(walked))
        return
    opened = part_opened(walked, setup.part, setup.stage)
    column = min(setup.cell[1], len(opened.columns) - 1)
    if opened.words:
        column = opened.words.index(setup.word) if setup.word in opened.words else 0

    def choose(row, column):
        chosen = {"word": opened.words[column]} if opened.words else {}
        state.set(cell=(row, setup.cell[1] if opened.words else column), **chosen)

    _cell_controls(state, walked, opened, (row, column), choose)
    terms, told = opened.explain(row, column)
    chosen = f"{capital(opened.axis)} **{as_text(opened.columns[column])}** of **{as_text(walked.labels[row])}**"
    page_reading(f"{chosen}: {told}", opened.formula, f"{opened.values.shape[0]} × {opened.values.shape[1]:,}")
    drawn = {"place": (row, column), "width": width, "tallest": page_tallest(most=420)}
    page_figure(
        part_chart(
            opened.values, opened.hidden, walked.labels, opened.columns, theme=theme, kind=opened.kind,
            title=opened.title, axis=opened.axis, **drawn,
        ),
        f"next_word.{setup.part}.{setup.stage}",
        on_pick=choose,
        codes=lambda: part_codes(walked, opened, factors, drawn),
        tables={setup.part: lambda: charts.csv(opened.values, walked.labels, opened.columns)},
    )  # fmt: skip
    if terms is not None:
        page_figure(
            part_number_chart(terms, theme, width), f"next_word.number.{setup.part}",
            tables={"number": lambda: part_number_csv(terms)},
            codes=lambda: part_number_codes(walked, terms, (row, column), opened.words, factors, width),
        )  # fmt: skip


def _cell_controls(state, walked, opened, cell, choose):
    """Draw the choice of a token and of one of its numbers, for those who do not click."""
    token, other = state.key("token"), state.key("column")
    st.session_state[token], st.session_state[other] = cell

    def take():
        choose(st.session_state[token], st.session_state[other])

    with st.container(horizontal=True):
        st.selectbox(
            "Token", range(len(walked.labels)), format_func=walked.labels.__getitem__, key=token, on_change=take,
            help="Whose numbers are explained: a row of the matrix.",
        )  # fmt: skip
        st.selectbox(
            capital(opened.axis), range(len(opened.columns)), format_func=opened.columns.__getitem__, key=other,
            on_change=take, help="Which of them: a column of the matrix.",
        )  # fmt: skip


def _token_table(walked):
    """Return the tokens and their ids as a table."""
    lines = ["| place | token | id |", "|---:|---|---:|"]
    for at, token in enumerate(walked.read.tokens, 1):
        lines.append(f"| {at} | {as_text(token.text)} | {token.id:,} |")
    return "\n".join(lines)
