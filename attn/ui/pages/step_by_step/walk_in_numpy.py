"""Step by step: the walk of one head in numpy alone, with the present setting's numbers in its comments."""

import numpy as np

from attn.charts.labels import number
from attn.ui.controls.mask import mask_in_numpy
from attn.ui.controls.positions import POSITIONS, positions_in_numpy
from attn.ui.minilm_in_numpy import minilm_paragraphs
from attn.ui.numpy_code import (
    Paragraph,
    numpy_code,
    numpy_context,
    numpy_embeddings,
    numpy_masked,
    numpy_matrices,
    numpy_projections,
    numpy_scores,
    numpy_softmax,
    numpy_tokens,
)
from attn.words import capital

_DIVISORS = {
    "sqrt_d_k": ("the square root of d_k", "np.sqrt(d_k)"),
    "d_k": ("d_k", "d_k"),
    "sqrt_d_model": ("the square root of d_model", "np.sqrt(d_model)"),
    "sqrt_n": ("the square root of n", "np.sqrt(n)"),
}
_PROJECTED = {"q": "query", "k": "key", "v": "value"}


def walk_numpy_code(setup, view, edits):
    """Return the lines that walk the same head, those of the stage in view lit.

    Parameters
    ----------
    setup : Setup
    view : View
    edits : list of (str, int, int, float)
        Numbers typed by hand: matrix, row, column, number.

    Returns
    -------
    str
    """
    e, steps = view.e, view.steps
    changed, lines = positions_in_numpy(setup.positions, setup.seed, d_model=e.x.shape[1])
    scheme = capital(POSITIONS[setup.positions].name)
    placed = Paragraph(
        f"{scheme} are added to the embeddings",
        f"{lines}\nx = x + positions  # {e.x.shape}",
        "embeddings",
        "x.round(4)",
    )
    matrices = {name: getattr(e, name) for name in ("w_q", "w_k", "w_v")}
    biases = [name for name in ("b_q", "b_k", "b_v") if np.ndim(getattr(e, name))]
    before = _tokens_and_embeddings(setup, e)
    if changed == "added":  # the picture of that stage has both
        before = [part._replace(stage="" if part.stage == "embeddings" else part.stage) for part in before]
    return numpy_code(
        *before,
        _weights(setup, e, matrices, edits),
        placed if changed == "added" else None,
        numpy_projections(e.x.shape, matrices, f"{_PROJECTED[setup.matrix]}.round(4)", biases),
        Paragraph(f"{scheme}: queries and keys are turned", lines) if changed == "rotate" else None,
        numpy_scores(steps.query, steps.key),
        _scaled(setup, view),
        Paragraph(f"{scheme}: what the place adds to a score", lines) if changed == "bias" else None,
        numpy_masked("scaled", mask_in_numpy(setup, len(e.tokens)), ~view.hidden, changed == "bias"),
        numpy_softmax("masked", ~view.hidden, setup.temperature),
        numpy_context(steps.weights, steps.value),
        at=setup.stage,
    )


def _tokens_and_embeddings(setup, e):
    """Return the paragraphs that bind the tokens and their vectors."""
    n, d_model = e.x.shape
    widths = f"{d_model}, {e.w_k.shape[1]}, {e.w_v.shape[1]}"
    if setup.source == "pretrained":
        *before, last = minilm_paragraphs(setup.text, setup.layer - 1)
        last = last._replace(
            heading=f"{last.heading}: what goes into layer {setup.layer}",
            lines=f"{last.lines}\nd_model, d_k, d_v = {widths}",
            stage="embeddings",
            shows="x.round(4)",
        )
        return [*before, last]
    tokens = numpy_tokens(e.tokens, sizes=f"n, d_model, d_k, d_v = {n}, {widths}")
    return [tokens, numpy_embeddings(e.x, setup.seed if setup.source == "random" else None)]


def _weights(setup, e, matrices, edits):
    """Return the paragraph that binds the matrices of the head, and puts in what was typed."""
    typed = "\n".join(f"{name}[{row}, {column}] = {value:.9g}" for name, row, column, value in edits)
    if setup.source != "pretrained":
        drawn = setup.source == "random"
        return numpy_matrices(matrices, setup.seed if drawn else None, typed if drawn else "")
    width = e.w_k.shape[1]
    at = f'f"encoder.layer.{setup.layer - 1}.attention.self.{{role}}'
    lines = (
        f"head = slice({(setup.head - 1) * width}, {setup.head * width})  # its columns\n"
        "w_q, w_k, w_v = (\n"
        f'    w[{at}.weight"].T[:, head]\n'
        '    for role in ("query", "key", "value")\n'
        ")\n"
        "b_q, b_k, b_v = (\n"
        f'    w[{at}.bias"][head]\n'
        '    for role in ("query", "key", "value")\n'
        ")"
    )
    copied = "\nx, w_q, w_k, w_v = (each.copy() for each in (x, w_q, w_k, w_v))\n" if typed else ""
    heading = f"Weight matrices of layer {setup.layer}, head {setup.head} of {setup.heads}"
    return Paragraph(heading, lines + copied + typed)


def _scaled(setup, view):
    """Return the paragraph that divides the scores."""
    if setup.divisor in _DIVISORS:
        words, divisor = _DIVISORS[setup.divisor]
        heading, divided = f"Scaled: divided by {words}, {number(view.divisor)}", f" / {divisor}"
    elif setup.divisor == "own":
        heading, divided = f"Scaled: divided by {setup.own:g}", f" / {setup.own!r}"
    else:
        heading, divided = "Scaled: divided by nothing here", ""
    return Paragraph(heading, f"scaled = scores{divided}", "scaled", "scaled.round(4)")
