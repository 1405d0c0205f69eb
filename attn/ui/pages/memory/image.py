"""The part Image: every pixel looks at every other."""

from functools import partial

import numpy as np
import streamlit as st

from attn import charts
from attn.architectures import image_attention
from attn.data import picture_files, pictures
from attn.ui.code_tabs import page_code
from attn.ui.controls.sentence import UNTRAINED
from attn.ui.controls.upload import UploadKind, upload_control
from attn.ui.media import ImageInput
from attn.ui.numpy_code import Paragraph, numpy_code
from attn.ui.page import page_figure, page_reading, page_tabs, page_theme
from attn.ui.pages.memory.setup import FEATURES, memory_setup_letter, memory_setup_tabs
from attn.ui.shown_code import LIGHT, Source, function_body, page_codes
from attn.ui.width import page_share, page_width

SIDE = 32  # pixels along a picture


PATCH = 4  # pixels along a patch


GRID = SIDE // PATCH


PICTURE = UploadKind(
    "picture",
    ImageInput,
    lambda own: own.pixels(SIDE),
    pictures.PICTURES,
    f"Drawn by a rule, {SIDE} × {SIDE} pixels.",
    picture_files.ENDINGS,
    f"Its middle square is shrunk to {SIDE} × {SIDE} pixels.",
)


def memory_image_picture_control(state):
    """Draw the choice of a picture, one of those at hand or a file, and return its pixels and the choice."""
    seen = upload_control(state, PICTURE)
    return seen.pixels(SIDE), seen


def memory_image_controls(state):
    """Draw the picture, what its pixels compare, and how much of what they read is added."""
    chosen = memory_image_picture_control(state)
    st.segmented_control(
        "Pixels compare", FEATURES, format_func=FEATURES.get, key=state.key("features"), required=True,
        help="What queries and keys are made of; nothing is trained. Colour: they are the colours themselves. Colour "
        "and place: also where the pixel lies. Random projections: the colours times random matrices.",
    )  # fmt: skip
    if state.get("features") == "random":
        st.number_input("Seed", 0, 9999, key=state.key("seed"), help="Another seed draws other random matrices.")
    st.slider(
        "Sharpness", 0.0, 40.0, step=0.5, key=state.key("contrast"),
        help="Multiplies the queries. The larger it is, the more each pixel looks only at those most like it.",
    )  # fmt: skip
    st.slider(
        "γ", -2.0, 2.0, step=0.05, key=state.key("factor"),
        help="How much of what a pixel reads is added to it. Training begins at 0, where nothing is added.",
    )  # fmt: skip
    state.adjust(pixel=tuple(min(at, SIDE - 1) for at in state.get("pixel")))
    for axis, column in enumerate(st.columns(2)):
        key = state.key(f"pixel.{axis}")
        st.session_state[key] = state.get("pixel")[axis] + 1  # also after a click into the picture
        column.number_input(
            ("Row", "Column")[axis], 1, SIDE, key=key, on_change=_typed, args=(state, axis),
            help="Of the pixel that looks.",
        )  # fmt: skip
    return chosen


def memory_image_tab(state, setup, chosen):
    """Show where one pixel looks, and what the picture becomes."""
    picture, seen = chosen
    x = memory_image_features(setup)(picture)
    steps, weights, output = _look(picture, x, *memory_image_matrices(setup), setup.factor, setup.pixel)
    q, k, o = (
        memory_setup_letter("query", "g(x_j)"),
        memory_setup_letter("key", "f(x_i)"),
        memory_setup_letter("output", "o_j"),
    )
    page_reading(
        _pixels_in_words(setup, weights, output - picture),
        rf"\begin{{gathered}} \alpha_{{ij}} = \mathrm{{softmax}}_i\left({k}^\top {q}\right) \\ "
        rf"y_j = x_j + \gamma\, {o} \end{{gathered}}",
        f"The picture has {SIDE * SIDE:,} pixels, each compared by {x.shape[1]} numbers: {SIDE * SIDE:,} × "
        f"{SIDE * SIDE:,} weights.",
        terms=("effective number of tokens",),
    )
    size = min(page_share(1 / 3, least=150, beside=20), 500)
    codes = partial(_pixels_code, setup, seen, size)
    page_figure(
        _photos(picture, weights, output, setup.factor, setup.pixel, size, page_theme()),
        "memory.pixels",
        on_pick=lambda row, column: state.set(pixel=(row, column)),
        tables={"weights": lambda: charts.csv(weights, charts.counted(SIDE), charts.counted(SIDE))},
        codes=codes,
    )  # fmt: skip
    page_tabs(
        state,
        memory_setup_tabs("What pixels read and receive"),
        {
            "more": lambda: _looked_at(steps, picture),
            "code": lambda: page_code(state, codes()),
        },
    )


def _typed(state, axis):
    """Look at the pixel whose row or column was typed."""
    pixel = list(state.get("pixel"))
    pixel[axis] = st.session_state[state.key(f"pixel.{axis}")] - 1
    state.set(pixel=tuple(pixel))


def memory_image_features(setup):
    """Return the function that describes the pixels of a picture."""
    return memory_image_colours_and_places if setup.features == "place" else memory_image_colours


def memory_image_colours(picture):
    """Describe each pixel by its colour, (n, 3)."""
    return picture.reshape(-1, 3) - 0.5


def memory_image_colours_and_places(picture):
    """Describe each pixel by its colour and its place, (n, 5)."""
    down, across = np.indices(picture.shape[:2]).reshape(2, -1, 1) / len(picture) - 0.5
    return np.hstack([picture.reshape(-1, 3) - 0.5, across, down])


def memory_image_matrices(setup):
    """Return w_f, w_g, w_h and w_v."""
    if setup.features == "random":
        return _random_matrices(setup.contrast, setup.seed)
    return _plain_matrices(setup.contrast, 5 if setup.features == "place" else 3)


def _plain_matrices(contrast, d):
    """Return matrices that compare pixels as they are."""
    return np.eye(d), contrast * np.eye(d), np.eye(d, 3), np.eye(3, d)


def _random_matrices(contrast, seed):
    """Return random projections of colours."""
    rng = np.random.default_rng(seed)
    w_f, w_g, w_h = rng.normal(size=(3, 3)), contrast * rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    w_v = rng.normal(size=(3, 3)) / 3
    return w_f, w_g, w_h, w_v


def _look(picture, x, w_f, w_g, w_h, w_v, gamma, pixel):
    """Return all steps, where one pixel looks, and what the picture becomes."""
    steps = image_attention.image_attention(x, w_f, w_g, w_h, w_v, gamma=gamma)
    weights = steps.weights.reshape(*picture.shape[:2], *picture.shape[:2])[tuple(pixel)]
    output = picture + (steps.output - x)[:, :3].reshape(picture.shape)
    return steps, weights, output


def _photos(picture, weights, output, gamma, pixel, size, theme):
    """Draw the picture, where one pixel looks, and what the picture becomes."""
    return charts.beside(
        charts.photo(picture, theme, title="Choose a pixel", size=size, pick=charts.Pick("pixel", pixel)),
        charts.photo(
            picture, theme, title="Where it looks", size=size, weights=weights, pick=charts.Pick("seen", pixel)
        ),
        charts.photo(output, theme, title=f"Output, γ = {gamma:g}", size=size),
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
        f"{_UNTRAINED[setup.features]} Each pixel of a picture looks at all others, as words do in a text. "
        f"The pixel in row {row}, column {column} looks at an effective number of **{np.exp(entropy):,.0f} of "
        f"{weights.size:,}** pixels: {alike}. They stay bright in the second picture. "
    )
    if setup.factor == 0:
        return f"{sentence}γ is 0, as at the start of training: the output is the picture itself, to the last digit."
    return (
        f"{sentence}What a pixel reads, times γ, is added to it; no colour moves by more than **{moved:.2f}**. "
        "A middle grey counts as 0, so what is added drives colours away from grey, at most to black, white or a full "
        "colour."
    )


_UNTRAINED = {  # how the sentence begins, by what is compared
    "colour": "**Untrained.**",
    "place": "**Untrained.**",
    "random": UNTRAINED,
}


def _looked_at(steps, picture):
    """Show what each pixel reads, and how much each is looked at by all."""
    received = steps.weights.sum(axis=0).reshape(SIDE, SIDE)
    read = picture * 0 + 0.5 + steps.attended[:, :3].reshape(picture.shape)
    st.markdown(
        "Every pixel gives away a weight of 1 in all, but it may receive more or less: between "
        f"**{received.min():.2f}** and **{received.max():.2f}** here, since what many resemble is looked at by many. A "
        "trained network of this kind makes queries and keys an eighth as wide as its channels; here there are only "
        "three colours."
    )
    names, size = charts.counted(SIDE), SIDE * int(min((page_width() - 180) / 2, 460) / SIDE)
    page_figure(
        charts.beside(
            charts.photo(read, page_theme(), title="What each reads", size=size),
            charts.heatmap(
                received - 1, names, names, page_theme(), kind="signed", title="Looked at more or less than it looks",
                axes=("row", "column"), scale=charts.Scale(name="received − 1"), size=size,
            ),
        ),
        "memory.looked_at",
        tables={"received": lambda: charts.csv(received, names, names)},
    )  # fmt: skip


def memory_image_in_numpy(seen):
    """Return the paragraph that binds ``picture`` (32, 32, 3) in numpy alone: by its rule, or out of a file.

    Parameters
    ----------
    seen : ImageInput
    """
    if seen.data is not None:
        return Paragraph("The middle square of your picture, made small", _FILE.format(name=seen.name, side=SIDE))
    drawn = function_body("picture", pictures.PICTURES[seen.name].draw)
    rule = "\n".join(line for line in drawn.split("\n") if "_plane(" not in line)
    return Paragraph(f"A picture of {SIDE} × {SIDE} pixels, drawn by a rule", f"{_PLANE.format(side=SIDE)}\n{rule}")


_PLANE = """\
size = {side}
middle = (np.arange(size) + 0.5) / size
x, y = np.meshgrid(middle, middle)  # from the left, from the top"""
_FILE = """\
from math import ceil, floor
from PIL import Image
size = {side}
image = Image.open({name!r})
image.draft(image.mode, (3 * size, 3 * size))  # a JPEG can be read small
white = Image.new("RGBA", image.size, "white")
white.alpha_composite(image.convert("RGBA"))
side = min(image.size)
left, top = (image.width - side) / 2, (image.height - side) / 2
square = (floor(left), floor(top), ceil(left + side), ceil(top + side))
step = max(1, side // (3 * size))  # means of so many pixels each way
small = white.convert("RGB").crop(square).reduce(step)
left, top = left % 1, top % 1
box = [edge / step for edge in (left, top, left + side, top + side)]
small = small.resize((size, size), Image.Resampling.LANCZOS, box)
picture = np.asarray(small) / 255  # a camera's turn is left as it is"""


def _pixels_code(setup, seen, size):
    if setup.features == "random":
        matrices, extra = _random_matrices, {"seed": setup.seed}
    else:
        matrices, extra = _plain_matrices, {"d": 5 if setup.features == "place" else 3}
    settings = {"picture": Source(seen.code(SIDE)), "contrast": setup.contrast} | extra
    return page_codes(
        lambda: _numpy_code(setup, seen),
        settings | {"gamma": setup.factor, "pixel": setup.pixel},
        (
            ("x", memory_image_features(setup)),
            ("w_f, w_g, w_h, w_v", matrices),
            ("steps, weights, output", _look),
        ),
        ("print(weights.round(6))\nprint(weights.max(), abs(output - picture).max())",),
        {"size": size, "theme": LIGHT},
        (("shown", _photos), 'charts.save(shown, "pixels.svg")'),
    )


def _numpy_code(setup, seen):
    """Return the lines that let every pixel look at every other in numpy alone."""
    d, n = 5 if setup.features == "place" else 3, SIDE * SIDE
    row, column = setup.pixel
    return numpy_code(
        memory_image_in_numpy(seen),
        Paragraph(
            f"What pixels compare: {d} numbers each",
            "colour = picture.reshape(-1, 3) - 0.5"
            + (
                "\ndown, across = np.indices((size, size)).reshape(2, -1, 1) / size - 0.5\n"
                "x = np.hstack([colour, across, down])"
                if d == 5
                else "\nx = colour"
            )
            + f"  # {(n, d)}",
        ),
        Paragraph(
            "Matrices of keys, queries and values, drawn at random"
            if setup.features == "random"
            else "Matrices of keys, queries and values, which leave pixels as they are",
            _RANDOM.format(seed=setup.seed, contrast=setup.contrast)
            if setup.features == "random"
            else f"w_k, w_q = np.eye({d}), {setup.contrast!r} * np.eye({d})\nw_v, w_o = np.eye({d}, 3), np.eye(3, {d})",
        ),
        Paragraph(
            "Every pixel looks at every other; nothing divides the scores",
            f"scores = (x @ w_q) @ (x @ w_k).T  # {(n, n)}\n"
            "exp = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "weights = exp / exp.sum(axis=-1, keepdims=True)",
            "weights",
            f"weights[{row} * size + {column}].reshape(size, size).round(6)",
        ),
        Paragraph(
            f"What each reads is added, times {setup.factor:g}: the first three numbers are the colour",
            f"read = weights @ (x @ w_v) @ w_o  # {(n, d)}\n"
            f"output = picture + {setup.factor!r} * read[:, :3].reshape(picture.shape)\n"
            f"print(weights[{row} * size + {column}].max(), abs(output - picture).max())",
        ),
        at="weights",
    )


_RANDOM = """\
rng = np.random.default_rng({seed})
w_k = rng.normal(size=(3, 3))
w_q = {contrast!r} * rng.normal(size=(3, 3))
w_v = rng.normal(size=(3, 3))
w_o = rng.normal(size=(3, 3)) / 3"""
