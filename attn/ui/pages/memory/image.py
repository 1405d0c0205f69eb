"""The part Image: every pixel looks at every other."""

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures import image_attention
from attn.data import picture_files, pictures
from attn.ui.controls.upload import UploadKind, upload_control
from attn.ui.media import ImageInput
from attn.ui.page import code, figure, reading, tabs, theme
from attn.ui.pages.memory.setup import FEATURES, TABS, letter
from attn.ui.width import page_width

SIDE = 32  # pixels along a picture


PATCH = 4  # pixels along a patch


GRID = SIDE // PATCH


PICTURE = UploadKind(
    "picture",
    ImageInput,
    lambda own: own.pixels(SIDE),
    pictures.PICTURES,
    f"Drawn by rule, {SIDE} × {SIDE} pixels.",
    picture_files.ENDINGS,
    f"Its middle square is made {SIDE} × {SIDE} pixels small.",
)


def picture_control(state):
    """Draw the choice of a picture, one of those at hand or a file, and return it with the code that makes it."""
    seen = upload_control(state, PICTURE)
    return seen.pixels(SIDE), f"picture = {seen.code(SIDE)}"


def image_controls(state):
    """Draw the picture, what its pixels compare, and how much of what they read is added."""
    chosen = picture_control(state)
    st.segmented_control(
        "Pixels compare", FEATURES, format_func=FEATURES.get, key=state.key("features"), required=True,
        help="No trained weights of this network are at hand. Colour: queries and keys are the colours themselves. "
        "Colour and place: and where the pixel lies. Random projections: matrices drawn from a seed.",
    )  # fmt: skip
    if state.get("features") == "random":
        st.number_input("Seed", 0, 9999, key=state.key("seed"), help="Another seed draws other matrices.")
    st.slider(
        "Sharpness", 0.0, 40.0, step=0.5, key=state.key("contrast"),
        help="Multiplies the queries. This attention does not divide by a square root, so larger weights mean "
        "sharper looks.",
    )  # fmt: skip
    st.slider(
        "γ", -2.0, 2.0, step=0.05, key=state.key("factor"),
        help="How much of what is read is added. Training starts at 0, where nothing is.",
    )  # fmt: skip
    state.adjust(pixel=tuple(min(at, SIDE - 1) for at in state.get("pixel")))
    for axis, column in enumerate(st.columns(2)):
        key = state.key(f"pixel.{axis}")
        st.session_state[key] = state.get("pixel")[axis] + 1  # also after a click into the picture
        column.number_input(("Row", "Column")[axis], 1, SIDE, key=key, on_change=_typed, args=(state, axis))
    return chosen


def pixels(state, setup, chosen):
    """Show where one pixel looks, and what the picture becomes."""
    picture, made = chosen
    matrices, lines = matrices_of(setup)
    x, _ = features_of(picture, setup.features)
    steps = image_attention.image_attention(x, *matrices, gamma=setup.factor)
    at = setup.pixel[0] * SIDE + setup.pixel[1]
    weights = steps.weights[at].reshape(SIDE, SIDE)
    output = picture + (steps.output - x)[:, :3].reshape(picture.shape)
    q, k, o = letter("query", "g(x_j)"), letter("key", "f(x_i)"), letter("output", "o_j")
    reading(
        _pixels_in_words(setup, weights, output - picture),
        rf"\begin{{gathered}} \alpha_{{ij}} = \mathrm{{softmax}}_i\left({k}^\top {q}\right) \\ "
        rf"y_j = x_j + \gamma\, {o} \end{{gathered}}",
        f"pixels: {SIDE * SIDE} × {x.shape[1]} · weights: {SIDE * SIDE} × {SIDE * SIDE} · output: {SIDE * SIDE} × 3",
    )
    size = int(min((page_width() - 60) / 3, 500))
    look = {"selected": setup.pixel, "size": size}
    figure(
        charts.beside(
            charts.photo(picture, theme(), title="Click a pixel", select="pixel", **look),
            charts.photo(picture, theme(), weights=weights, title="Where it looks", select="seen", **look),
            charts.photo(output, theme(), title=f"Output, γ = {setup.factor:g}", size=size),
        ),
        "memory.pixels",
        on_pick=lambda row, column: state.set(pixel=(row, column)),
        tables={"weights": lambda: charts.csv(weights, charts.counted(SIDE), charts.counted(SIDE))},
    )  # fmt: skip
    tabs(
        state,
        TABS,
        {"more": lambda: _looked_at(steps, picture), "code": lambda: code(_pixels_code(setup, made, lines, size))},
    )


def _typed(state, axis):
    """Look at the pixel whose row or column was typed."""
    pixel = list(state.get("pixel"))
    pixel[axis] = st.session_state[state.key(f"pixel.{axis}")] - 1
    state.set(pixel=tuple(pixel))


def features_of(picture, kind):
    """Return what each pixel is described by, (n, d), and the line of code for it."""
    colour = picture.reshape(-1, 3) - 0.5
    if kind != "place":
        return colour, "x = picture.reshape(-1, 3) - 0.5"
    down, across = np.indices(picture.shape[:2]).reshape(2, -1, 1) / SIDE - 0.5
    return (
        np.hstack([colour, across, down]),
        f"down, across = np.indices({picture.shape[:2]}).reshape(2, -1, 1) / {SIDE} - 0.5\n"
        "x = np.hstack([picture.reshape(-1, 3) - 0.5, across, down])",
    )


def matrices_of(setup):
    """Return w_f, w_g, w_h and w_v, and the lines of code that make them."""
    if setup.features == "random":
        rng = np.random.default_rng(setup.seed)
        w_f, w_g, w_h = rng.normal(size=(3, 3)), setup.contrast * rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
        return (w_f, w_g, w_h, rng.normal(size=(3, 3)) / 3), (
            f"rng = np.random.default_rng({setup.seed})\n"
            f"w_f, w_g, w_h = rng.normal(size=(3, 3)), {setup.contrast:g} * rng.normal(size=(3, 3)), "
            "rng.normal(size=(3, 3))\n"
            "w_v = rng.normal(size=(3, 3)) / 3"
        )
    d = 5 if setup.features == "place" else 3
    return (np.eye(d), setup.contrast * np.eye(d), np.eye(d, 3), np.eye(3, d)), (
        f"w_f, w_g, w_h, w_v = np.eye({d}), {setup.contrast:g} * np.eye({d}), np.eye({d}, 3), np.eye(3, {d})"
    )


def _pixels_in_words(setup, weights, change):
    """Say how the pixel's look is spread, and how far the picture moved."""
    row, column = (at + 1 for at in setup.pixel)
    entropy = -np.sum(weights * np.log(np.where(weights > 0, weights, 1)))
    moved = float(np.abs(change).max())
    alike = {
        "colour": "those whose colour is like its own, near or far",
        "place": "those like it in colour and on the same side of the picture, the outermost most of all",
        "random": "those that the random matrices happen to bring close",
    }[setup.features]
    sentence = (
        f"The pixel in row {row}, column {column} spreads its look over about **{np.exp(entropy):.0f} of "
        f"{weights.size}** pixels: {alike}. They stay bright in the middle. "
    )
    if setup.factor == 0:
        return f"{sentence}γ is 0, as at the start of training: the output is the picture itself, to the last digit."
    return (
        f"{sentence}What each pixel reads, times γ, is added to it; no colour moves by more than **{moved:.2f}**. "
        "Colours are numbers around a middle grey of 0, so what is added drives them away from it; beyond black, white "
        "or a full colour nothing more can be shown."
    )


def _looked_at(steps, picture):
    """Show what each pixel reads, and how much each is looked at by all."""
    received = steps.weights.sum(axis=0).reshape(SIDE, SIDE)
    read = picture * 0 + 0.5 + steps.attended[:, :3].reshape(picture.shape)
    st.markdown(
        f"Every pixel gives away a weight of 1 in all. What it receives is another matter: between "
        f"**{received.min():.2f}** and **{received.max():.2f}** here, since what many resemble is looked at by many. "
        "A trained network of this kind keeps queries and keys an eighth as wide as its channels; three colours "
        "leave nothing to save."
    )
    names, size = charts.counted(SIDE), SIDE * int(min((page_width() - 180) / 2, 460) / SIDE)
    figure(
        charts.beside(
            charts.photo(read, theme(), title="What each reads", size=size),
            charts.heatmap(
                received - 1, names, names, theme(), kind="signed", title="Looked at more or less than it looks",
                axes=("row", "column"), tooltip_name="received − 1", size=size,
            ),
        ),
        "memory.looked_at",
        tables={"received": lambda: charts.csv(received, names, names)},
    )  # fmt: skip


def _pixels_code(setup, made, lines, size):
    _, described = features_of(np.zeros((SIDE, SIDE, 3)), setup.features)
    row, column = setup.pixel
    return f"""import numpy as np
import attn
from attn import charts

{made}
{described}
{lines}
steps = attn.image_attention.image_attention(x, w_f, w_g, w_h, w_v, gamma={setup.factor:g})
weights = steps.weights[{row} * {SIDE} + {column}].reshape({SIDE}, {SIDE})
output = picture + (steps.output - x)[:, :3].reshape(picture.shape)
print(weights.sum(), weights.max(), abs(output - picture).max())

look = charts.LIGHT
figure = charts.beside(
    charts.photo(picture, look, title="Click a pixel", selected=({row}, {column}), size={size}),
    charts.photo(picture, look, weights=weights, title="Where it looks", selected=({row}, {column}), size={size}),
    charts.photo(output, look, title="Output, γ = {setup.factor:g}", size={size}),
)
charts.save(figure, "pixels.svg")
"""
