"""The part SNAIL: how far back its layers reach."""

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures import snail
from attn.charts.plane import at_least
from attn.ui.page import code, figure, reading, tabs, theme
from attn.ui.pages.memory.setup import TABS
from attn.ui.width import page_width


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
    tabs(
        state,
        TABS,
        {"more": lambda: _lags(setup, moved, titles), "code": lambda: code(_snail_code(setup, lay, wide, layer))},
    )


def _fan_layout(steps):
    """Return whether two fans stand beside or above one another, how wide each is, and how far apart its layers."""
    half, layer = page_width() / 2 - 130, int(max(52, min(72, page_width() / 20)))
    if half >= 26 * steps:
        return "beside", int(min(half, 96 * steps)), layer
    return "above", int(min(at_least(page_width() - 130), 96 * steps)), layer


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
    values, wide = np.stack(list(moved.values())), int(min(at_least(page_width() - 280, setup.steps), 88 * setup.steps))
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
