"""Step by step: the walk of one head in numpy alone, with the present setting's numbers in its comments."""

import numpy as np

from attn.charts.labels import number
from attn.ui.controls.mask import mask_in_numpy
from attn.ui.controls.positions import POSITIONS, positions_in_numpy
from attn.ui.minilm_in_numpy import minilm_paragraphs
from attn.ui.numpy_code import (
    Paragraph,
    numpy_array,
    numpy_code,
    numpy_list,
    numpy_masked,
    numpy_random_matrices,
    numpy_random_vectors,
    numpy_shapes,
    numpy_softmax,
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
    return numpy_code(
        *_tokens_and_embeddings(setup, e, "" if changed == "added" else "embeddings"),
        _weights(setup, e, edits),
        Paragraph(
            f"{scheme} are added to the embeddings",
            f"{lines}\nx = x + positions  # {e.x.shape}",
            "embeddings",
            "x.round(4)",
        )
        if changed == "added"
        else None,
        _projections(e, setup.matrix),
        Paragraph(f"{scheme}: queries and keys are turned", lines) if changed == "rotate" else None,
        Paragraph(
            "Scores: every query meets every key",
            f"scores = query @ key.T  # {numpy_shapes(steps.query.shape, steps.key.T.shape)}",
            "products",
            "scores.round(4)",
        ),
        _scaled(setup, view),
        Paragraph(f"{scheme}: what the place adds to a score", lines) if changed == "bias" else None,
        numpy_masked("scaled", mask_in_numpy(setup, len(e.tokens)), ~view.hidden, changed == "bias"),
        numpy_softmax("masked", ~view.hidden, setup.temperature),
        Paragraph(
            "Context: the mean of the values, by each row of weights",
            f"context = weights @ value  # {numpy_shapes(steps.weights.shape, steps.value.shape)}",
            "context",
            "context.round(4)",
        ),
        at=setup.stage,
    )


def _tokens_and_embeddings(setup, e, stage):
    """Return the paragraphs that bind the tokens and their vectors, those lit that belong to a stage."""
    n, d_model = e.x.shape
    if setup.source == "pretrained":
        *before, last = minilm_paragraphs(setup.text, setup.layer - 1)
        before = [part._replace(shows="*tokens") if part.stage == "tokens" else part for part in before]
        last = last._replace(heading=f"{last.heading}: what goes into layer {setup.layer}")
        widths = f"d_model, d_k, d_v = {d_model}, {e.w_k.shape[1]}, {e.w_v.shape[1]}"
        return [*before, last._replace(lines=f"{last.lines}\n{widths}", stage=stage, shows="x.round(4)")]
    sizes = f"n, d_model, d_k, d_v = {n}, {d_model}, {e.w_k.shape[1]}, {e.w_v.shape[1]}"
    tokens = Paragraph("Tokens", f"{numpy_list('tokens', e.tokens)}\n{sizes}", "tokens", "*tokens")
    if setup.source == "random":
        drawn = f"{numpy_random_vectors(setup.seed, x='tokens')}  # {e.x.shape}"
        return [tokens, Paragraph("Embeddings: a random vector for each word", drawn, stage, "x.round(4)")]
    heading = f"Embeddings: {d_model} numbers for each token"
    return [tokens, Paragraph(heading, numpy_array("x", e.x, e.x.shape), stage, "x.round(4)")]


def _weights(setup, e, edits):
    """Return the paragraph that binds the matrices of the head, and puts in what was typed."""
    typed = "".join(f"\n{name}[{row}, {column}] = {value:.9g}" for name, row, column, value in edits)
    if setup.source == "random":
        drawn = numpy_random_matrices(setup.seed)
        return Paragraph(
            "Weight matrices, drawn at random" + (", numbers typed by hand" if typed else ""), drawn + typed
        )
    if setup.source != "pretrained":  # with the typed numbers in them
        arrays = (numpy_array(name, getattr(e, name), getattr(e, name).shape) for name in ("w_q", "w_k", "w_v"))
        return Paragraph("Weight matrices, which training finds", "\n".join(arrays))
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
    copied = "\nx, w_q, w_k, w_v = (each.copy() for each in (x, w_q, w_k, w_v))" if typed else ""
    return Paragraph(
        f"Weight matrices of layer {setup.layer}, head {setup.head} of {setup.heads}", lines + copied + typed
    )


def _projections(e, matrix):
    """Return the paragraph that projects the vectors, all three in view."""
    lines = []
    for letter, name in _PROJECTED.items():
        weight = getattr(e, f"w_{letter}")
        bias = f" + b_{letter}" if np.ndim(getattr(e, f"b_{letter}")) else ""
        lines.append(f"{name} = x @ w_{letter}{bias}  # {numpy_shapes(e.x.shape, weight.shape)}")
    return Paragraph(
        "Query, key and value: what a token looks for, offers, hands on",
        "\n".join(lines),
        "projections",
        f"{_PROJECTED[matrix]}.round(4)",
    )


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
