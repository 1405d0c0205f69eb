"""Memory: its parts about the past, a cell that looks back at its own states, and convolutions that look far back."""

import numpy as np
import streamlit as st

from attn import charts
from attn.analysis import leak_test
from attn.architectures import lstmn, snail
from attn.architectures.recurrent import Recurrent
from attn.charts.plane import at_least
from attn.data import examples
from attn.ui.page import code, figure, reading, tabs, theme
from attn.ui.pages.memory.ntm import DEFAULT_SENTENCE, TABS, letter
from attn.ui.state import as_text
from attn.ui.width import room, tallest

MOST_WORDS = 24
D_MODEL, WIDTH = 8, 8  # of the cell that looks back
LOOKS = {"w_past": WIDTH, "w_now": D_MODEL, "w_summary": WIDTH}  # its matrices, and their rows

# Look back in a cell


def cell_controls(state):
    """Draw the sentence and how sharply the cell looks back."""
    st.text_area(
        "Sentence", key=state.key("sentence"), height=96, max_chars=400,
        help=f"Up to {MOST_WORDS} words and signs; each gets a random vector.",
    )  # fmt: skip
    st.slider("Sharpness", 0.0, 20.0, step=0.5, key=state.key("focus"), help="Multiplies the scores; 0 looks evenly.")
    st.number_input("Seed", 0, 9999, key=state.key("seed"), help="For the words and the weights, which are random.")


def cell_of(words, seed, focus):
    """Return the words as vectors, the cell, and how it looks back, all random."""
    x = examples.random_example(words, D_MODEL, 1, 1, seed).x
    rng = np.random.default_rng(seed)
    parameters = Recurrent(rng.normal(size=(D_MODEL, 4 * WIDTH)) / 3, rng.normal(size=(WIDTH, 4 * WIDTH)) / 3)
    looks = {name: rng.normal(size=(rows, WIDTH)) / 3 for name, rows in LOOKS.items()}
    return x, parameters, looks | {"v": focus * rng.normal(size=WIDTH)}


def looking_back(state, setup):
    """Show over which of its own past states each step of a cell looks."""
    words = examples.split_words(setup.sentence)
    if not words:
        st.error("Type at least one word. Below stands the example.")
        words = examples.split_words(DEFAULT_SENTENCE)
    if len(words) > MOST_WORDS:
        st.warning(f"This part reads at most {MOST_WORDS} words: the first {MOST_WORDS} of {len(words):,} are used.")
    words = words[:MOST_WORDS]
    labels = charts.token_labels(words)
    x, parameters, looks = cell_of(words, setup.seed, setup.focus)
    steps = lstmn.look_back(x, parameters, **looks)
    moved = _moved_before(x, parameters, looks)
    h, q, z = letter("key", "h_i"), letter("query", "x_t"), letter("output", r"\tilde h_t")
    reading(
        _looking_back_in_words(labels, steps, moved),
        rf"\begin{{gathered}} a_i = v^\top \tanh(W_h {h} + W_x {q} + W_s \tilde h_{{t-1}}) \\ "
        rf"{z} = \textstyle\sum_{{i<t}} \mathrm{{softmax}}(a)_i\, {h} \end{{gathered}}",
        f"words: {len(words)} × {D_MODEL} · states: {len(words)} × {WIDTH} · weights: {len(words)} × {len(words)}",
    )
    hidden = np.triu(np.ones((len(words),) * 2, dtype=bool))
    options = {"hidden": hidden, "title": "Where each step looks back", "axes": ("query", "key")}
    figure(
        charts.panels(theme(), room(), charts.panel(steps.weights, labels, labels, **options), tallest=tallest(room())),
        "memory.looking_back",
        tables={"weights": lambda: charts.csv(steps.weights, labels, labels, hidden)},
    )
    more, code_tab = tabs(state, TABS)
    if more.open:
        with more:
            _states(steps, labels)
    if code_tab.open:
        with code_tab:
            code(_looking_back_code(setup, words))


def _moved_before(x, parameters, looks):
    """Measure how far replacing any word moves a state before it."""

    def states(x):
        return lstmn.look_back(x, parameters, **looks).state

    return max(leak_test(states, x, np.tri(len(x), dtype=bool), token).largest for token in range(len(x)))


def _looking_back_in_words(labels, steps, moved):
    """Say how the triangle grows, and that it cannot look ahead."""
    first = f"**{as_text(labels[0])}** has nothing to look back at"
    if len(labels) > 1:
        last = int(steps.weights[-1].argmax())
        first += (
            f"; **{as_text(labels[-1])}** looks most at **{as_text(labels[last])}** ({steps.weights[-1, last]:.2f})"
        )
    return (
        f"A recurrent cell that attends over its own past states before every step: the triangle grows by a row a "
        f"word. {first}. Each word was replaced in turn, and the states before it moved by **{moved:g}**: nobody had "
        "to mask anything. The weights are random, not trained."
    )


def _states(steps, labels):
    """Show what each step takes from its past, and the state it comes to."""
    st.markdown("What each step takes from its past, in place of the last state alone, and the state it comes to.")
    columns = charts.counted(WIDTH)
    options = {"kind": "signed", "limit": 1.0, "axes": ("", "number")}
    figure(
        charts.panels(
            theme(),
            room(),
            charts.panel(steps.summary, labels, columns, title="From the past", **options),
            "→",
            charts.panel(steps.state, labels, columns, title="State", **options),
            tallest=tallest(room()),
            decimals=2,
        ),
        "memory.states",
        tables={"states": lambda: charts.csv(steps.state, labels, columns)},
    )


def _looking_back_code(setup, words):
    return f"""import numpy as np
import attn
from attn import charts
from attn.architectures.recurrent import Recurrent

words = {list(words)}
x = attn.examples.random_example(words, {D_MODEL}, 1, 1, {setup.seed}).x
rng = np.random.default_rng({setup.seed})
cell = Recurrent(rng.normal(size=({D_MODEL}, {4 * WIDTH})) / 3, rng.normal(size=({WIDTH}, {4 * WIDTH})) / 3)
looks = {{name: rng.normal(size=(rows, {WIDTH})) / 3 for name, rows in {LOOKS}.items()}}
steps = attn.lstmn.look_back(x, cell, **looks, v={setup.focus:g} * rng.normal(size={WIDTH}))
print(steps.weights.round(3))

labels = charts.token_labels(words)
hidden = np.triu(np.ones(({len(words)}, {len(words)}), dtype=bool))
picture = charts.panels(
    charts.LIGHT, {room():.0f},
    charts.panel(steps.weights, labels, labels, hidden=hidden, title="Where each step looks back"),
    tallest={tallest(room())},
)
charts.save(picture, "looking_back.svg")
"""


# Look far back


def snail_controls(state):
    """Draw the length of the sequence and what is put on it."""
    st.slider("Steps", 2, 32, key=state.key("steps"), help="T, the length of the sequence.")
    st.slider("Channels a block adds", 1, 16, key=state.key("channels"), help="D, what each dense block appends.")
    st.toggle(
        "Attention above", key=state.key("attends"),
        help="An attention block on top of the convolutions: the last step then reads all that came before.",
    )  # fmt: skip
    st.number_input("Seed", 0, 9999, key=state.key("seed"), help="For the input and the weights, which are random.")


def far_back(state, setup):
    """Show how far back the last step looks, with two rules for the dilations."""
    right, printed = (snail.dilations(setup.steps, as_printed=printed) for printed in (False, True))
    moved = {dilated: _measured(setup, dilated) for dilated in (right, printed)}
    reading(
        _snail_in_words(setup, right, printed, moved),
        r"\begin{gathered} x \leftarrow [\,x;\ \tanh(x_f) \odot \sigma(x_g)\,] \\ "
        r"x_f(t) = x(t)\,W + x(t - d)\,W' \end{gathered}",
        f"channels: {' → '.join(str(3 + at * setup.channels) for at in range(len(right) + 1))}"
        + (f" → {3 + (len(right) + 1) * setup.channels} with the read" if setup.attends else ""),
    )
    titles = {right: "Dilations from 1", printed: "Dilations as printed"}
    lay, wide, layer = _fan_layout(setup.steps)
    figure(
        getattr(charts, lay)(
            *(
                charts.fan(
                    dilated,
                    moved[dilated],
                    theme(),
                    attends=setup.attends,
                    title=f"{titles[dilated]}: {int((moved[dilated] > 0).sum())} of {setup.steps} seen",
                    width=wide,
                    layer=layer,
                )
                for dilated in (right, printed)
            )
        ),
        "memory.fan",
    )
    more, code_tab = tabs(state, TABS)
    if more.open:
        with more:
            _lags(setup, moved, titles)
    if code_tab.open:
        with code_tab:
            code(_snail_code(setup, lay, wide, layer))


def _fan_layout(steps):
    """Return whether two fans stand beside or above one another, how wide each is, and how far apart its layers."""
    half, layer = room() / 2 - 130, int(max(52, min(72, room() / 20)))
    if half >= 26 * steps:
        return "beside", int(min(half, 96 * steps)), layer
    return "above", int(min(at_least(room() - 130), 96 * steps)), layer


def _measured(setup, dilated):
    """Measure how far the last output moves when each step is replaced, by how far back it is."""
    rng = np.random.default_rng(setup.seed)
    x = rng.normal(size=(setup.steps, 3))
    blocks = snail.draw_temporal_block(rng, 3, setup.channels, len(dilated))
    above = snail.draw_attention_block(rng, 3 + len(dilated) * setup.channels, 8, setup.channels)

    def network(x):
        hidden = snail.temporal_block(x, blocks, dilated)
        return snail.attention_block(hidden, above)[0] if setup.attends else hidden

    return snail.lags_reached(network, x)


def _snail_in_words(setup, right, printed, moved):
    """Say which steps are out of reach."""
    seen = [int((moved[dilated] > 0).sum()) for dilated in (right, printed)]
    numbers = [", ".join(map(str, dilated)) for dilated in (right, printed)]
    sentence = (
        f"Each step was replaced in turn, and the last output watched. With dilations {numbers[0]} it sees "
        f"**{seen[0]} of {setup.steps}** steps; with {numbers[1]}, as the pseudo-code has them, **{seen[1]}**"
    )
    if setup.attends:
        return f"{sentence}: attention above reads every step, whatever the convolutions leave out."
    return f"{sentence}: a kernel of 2 with even dilations only reaches what is an even number of steps back."


def _lags(setup, moved, titles):
    """Show how far the last output moved, by how far back the replaced step is."""
    st.markdown(
        "How far the last output moved when the step so far back was replaced, on a logarithmic scale. 0 means "
        "not at all, to the last digit."
    )
    rows, columns = [titles[dilated] for dilated in moved], [str(lag) for lag in range(setup.steps)]
    values, wide = np.stack(list(moved.values())), int(min(at_least(room() - 280, setup.steps), 88 * setup.steps))
    options = {"kind": "magnitude", "log": True, "axes": ("", "steps back"), "tooltip_name": "moved by"}
    figure(
        charts.beside(charts.heatmap(values, rows, columns, theme(), size=(wide, 112), square=False, **options)),
        "memory.lags",
        tables={"moved": lambda: charts.csv(values, rows, columns)},
    )


def _snail_code(setup, lay, wide, layer):
    network, above = "snail.temporal_block(x, blocks, dilations)", ""
    if setup.attends:
        network = f"snail.attention_block({network}, above)[0]"
        width = f"3 + len(dilations) * {setup.channels}"
        above = f"\n    above = snail.draw_attention_block(rng, {width}, 8, {setup.channels})"
    return f"""import numpy as np
from attn import charts, snail

fans = []
for as_printed, title in ((False, "Dilations from 1"), (True, "Dilations as printed")):
    rng = np.random.default_rng({setup.seed})
    x = rng.normal(size=({setup.steps}, 3))
    dilations = snail.dilations({setup.steps}, as_printed=as_printed)
    blocks = snail.draw_temporal_block(rng, 3, {setup.channels}, len(dilations)){above}
    moved = snail.lags_reached(lambda x: {network}, x)
    print(dilations, moved.round(3))
    title += f": {{(moved > 0).sum()}} of {setup.steps} seen"
    look = {{"attends": {setup.attends}, "width": {wide}, "layer": {layer}}}
    fans.append(charts.fan(dilations, moved, charts.LIGHT, title=title, **look))
charts.save(charts.{lay}(*fans), "fan.svg")
"""
