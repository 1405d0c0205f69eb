"""From scratch in numpy: the lines of attention for whoever has nothing but numpy.

They are written out a second time here, to be read by whom an article tells how to code self-attention: one name and
one line for each step. Tests run them without this package, beside the lines that call it.
"""

import math
import re
import textwrap
from typing import NamedTuple

import numpy as np

WIDEST = 72  # characters of a line
HERE = "  ← this step"


class Paragraph(NamedTuple):
    """A few lines under a comment that says what they do."""

    heading: str
    lines: str
    stage: str = ""  # of the page's path, or what else a page lights
    shows: str = ""  # what is printed where it is lit


def numpy_code(*paragraphs, at=None):
    """Return paragraphs as one program, its imports first and those lit whose stage is `at`.

    Parameters
    ----------
    *paragraphs : Paragraph or None
        Imports at the beginning of their lines go to the top.
    at : str, optional

    Returns
    -------
    str

    Examples
    --------
    >>> print(numpy_code(Paragraph("Two numbers", "x = np.ones(2)", "ones", "x"), at="ones"))
    import numpy as np
    <BLANKLINE>
    # Two numbers  ← this step
    x = np.ones(2)
    print(x)
    <BLANKLINE>
    """
    imports, told = ["import numpy as np"], []
    for paragraph in filter(None, paragraphs):
        lines = paragraph.lines.strip("\n").split("\n")
        found = [line for line in lines if re.match(r"(import|from) \S", line)]
        imports += [line for line in found if line not in imports]
        lit = at is not None and paragraph.stage == at
        room = WIDEST - len(HERE) if lit else WIDEST
        heading = "\n".join(textwrap.wrap(paragraph.heading, room, initial_indent="# ", subsequent_indent="# "))
        body = [line for line in lines if line not in found]
        body += [f"print({paragraph.shows})"] if lit and paragraph.shows else []
        told.append("\n".join([heading + (HERE if lit else ""), *body]))
    imports.sort(key=lambda line: (line.split()[1].split(".")[0] not in ("importlib", "math"), line.split()[1]))
    return "\n\n".join(["\n".join(imports), *told]) + "\n"


def lit_lines(code):
    """Return the numbers, from 1, of the lines of a paragraph whose heading says that it is lit.

    Examples
    --------
    >>> lit_lines("a = 1\\n\\n# Two  ← this step\\nb = 2\\nc = 3\\n\\nd = 4")
    [3, 4, 5]
    """
    lit, found = False, []
    for place, line in enumerate(code.split("\n"), 1):
        lit = line.endswith(HERE) or (lit and bool(line))  # to the end of the paragraph
        if lit:
            found.append(place)
    return found


def numpy_array(name, values, comment=""):
    """Return the line that gives a name its numbers: a row a line, no digit more than tells them apart.

    Examples
    --------
    >>> print(numpy_array("x", np.float32([[0.1, 2], [3, 4]]), "(2, 2)"))
    x = np.array([  # (2, 2)
        [0.1, 2.0],
        [3.0, 4.0],
    ])
    """
    values = np.asarray(values)
    comment = f"  # {comment}" if comment else ""
    if values.ndim == 1:
        line = f"{name} = np.array([{_numbers(values)}])"
        if len(line) <= WIDEST:
            return line + comment
        return f"{name} = np.array([{comment}\n{_filled(_numbers(values))},\n])"
    rows = (f"[{_numbers(row)}]," for row in values)
    return f"{name} = np.array([{comment}\n" + "\n".join(map(_filled, rows)) + "\n])"


def numpy_list(name, items):
    """Return the line that gives a name its items, as many a line as it holds.

    Examples
    --------
    >>> print(numpy_list("tokens", ("Eat", "first")))
    tokens = ["Eat", "first"]
    """
    line = f"{name} = [{', '.join(map(numpy_literal, items))}]"
    if len(line) <= WIDEST:
        return line
    return f"{name} = [\n{_filled(', '.join(map(numpy_literal, items)))},\n]"


def numpy_text(name, text):
    """Return the line that gives a name its text, a long one in pieces that end between words.

    Examples
    --------
    >>> print(numpy_text("text", "Eat dessert first."))
    text = "Eat dessert first."
    >>> print(numpy_text("text", "Life is short, so eat dessert first, and then whatever else there may be."))
    text = (
        "Life is short, so eat dessert first, and then whatever else "
        "there may be."
    )
    """
    line = f"{name} = {numpy_literal(text)}"
    if len(line) <= WIDEST:
        return line
    room, pieces = WIDEST - 8, []
    while text:
        end = len(text) if len(text) <= room else text.rfind(" ", 0, room) + 1 or room
        pieces.append(numpy_literal(text[:end]))
        text = text[end:]
    return f"{name} = (\n" + "".join(f"    {piece}\n" for piece in pieces) + ")"


def numpy_literal(value):
    """Return a value as code, words in double quotes.

    Examples
    --------
    >>> print(numpy_literal("don't"), numpy_literal(np.float32(0.1)), numpy_literal(-np.inf))
    "don't" 0.1 -np.inf
    """
    if isinstance(value, str):
        written = repr(value)
        return written if '"' in written else f'"{written[1:-1]}"'
    if isinstance(value, np.generic):
        value = float(str(value)) if value.dtype.kind == "f" else value.item()
    if isinstance(value, float) and math.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def numpy_shapes(left, right):
    """Return how two matrices are multiplied, as a comment says it.

    Examples
    --------
    >>> numpy_shapes((6, 3), (3, 2))
    '(6, 3) @ (3, 2) -> (6, 2)'
    """
    return f"{left} @ {right} -> {(left[0], right[1])}"


def numpy_tokens(tokens, name="tokens", sizes=""):
    """Return the paragraph that names the tokens.

    Parameters
    ----------
    tokens : sequence of str
    name : str
    sizes : str
        A line more, such as ``n, d_model = 6, 3``.
    """
    lines = f"{numpy_list(name, tokens)}\n{sizes}"
    return Paragraph("Tokens", lines, "tokens", "*tokens")


def numpy_embeddings(x, seed=None, vectors=None):
    """Return the paragraph that gives each token its vector.

    Parameters
    ----------
    x : ndarray, shape (n, d_model)
    seed : int, optional
        Of the random vectors of `attn.random_example`; without one the numbers are written out.
    vectors : dict of str to str, optional
        Name of the vectors -> name of their tokens; by default ``x`` of ``tokens``.
    """
    heading, shows = f"Embeddings: {x.shape[1]} numbers for each token", "x.round(4)"
    if seed is None:
        return Paragraph(heading, numpy_array("x", x, x.shape), "embeddings", shows)
    lines = (
        "def vector(word):  # the same word has the same vector\n"
        f"    rng = np.random.default_rng([{seed}, *word.casefold().encode()])\n"
        "    return rng.normal(size=d_model)\n"
    )
    for name, tokens in (vectors or {"x": "tokens"}).items():
        lines += f"\n{name} = np.array([vector(word) for word in {tokens}])"
    lines += "" if vectors else f"  # {x.shape}"
    return Paragraph(f"{heading}, drawn at random", lines, "embeddings", shows)


def numpy_matrices(matrices, seed=None, after=""):
    """Return the paragraph with the matrices of a head.

    Parameters
    ----------
    matrices : dict of str to ndarray
        ``w_q``, ``w_k`` and ``w_v``.
    seed : int, optional
        Of the random matrices of `attn.random_example`; without one the numbers are written out.
    after : str
        Lines more, which change them.
    """
    if seed is None:
        lines = "\n".join(numpy_array(name, matrix, matrix.shape) for name, matrix in matrices.items())
        return Paragraph("Weight matrices, which training finds", f"{lines}\n{after}")
    lines = (
        f"streams = np.random.default_rng({seed}).spawn(3)\n"
        "w_q, w_k, w_v = (\n"
        "    stream.normal(0, d_model**-0.5, (width, d_model)).T\n"
        "    for stream, width in zip(streams, (d_k, d_k, d_v), strict=True)\n"
        ")\n"
    )
    return Paragraph("Weight matrices, which training finds: random here", lines + after)


def numpy_projections(x, matrices, shows="", biases=()):
    """Return the paragraph that makes query, key and value of the vectors.

    Parameters
    ----------
    x : tuple of int
        Shape of the vectors.
    matrices : dict of str to ndarray
        ``w_q``, ``w_k`` and ``w_v``.
    shows : str
    biases : collection of str
        Those there are of ``b_q``, ``b_k`` and ``b_v``.
    """
    lines = []
    for name in ("query", "key", "value"):
        bias = f" + b_{name[0]}" if f"b_{name[0]}" in biases else ""
        lines.append(f"{name} = x @ w_{name[0]}{bias}  # {numpy_shapes(x, matrices[f'w_{name[0]}'].shape)}")
    heading = "Query, key and value: what a token looks for, offers, hands on"
    return Paragraph(heading, "\n".join(lines), "projections", shows)


def numpy_scores(query, key):
    """Return the paragraph that multiplies queries (n_q, d_k) and keys (n_k, d_k)."""
    lines = f"scores = query @ key.T  # {numpy_shapes(query.shape, key.T.shape)}"
    return Paragraph("Scores: every query meets every key", lines, "products", "scores.round(4)")


def numpy_context(weights, value):
    """Return the paragraph that averages values (n_k, d_v) by weights (n_q, n_k)."""
    lines = f"context = weights @ value  # {numpy_shapes(weights.shape, value.shape)}"
    return Paragraph("Context: the mean of the values, by each row of weights", lines, "context", "context.round(4)")


def numpy_masked(scaled, lines, visible, bias=False):
    """Return the paragraph that hides what may not be seen.

    Parameters
    ----------
    scaled : str
        Name of the scores.
    lines : str
        What binds ``visible``, from `attn.ui.controls.mask`.
    visible : ndarray of bool, shape (n_q, n_k)
    bias : bool
        Whether positions are added to the scores first.
    """
    count = int((~np.asarray(visible)).sum())
    told = "nothing is hidden here" if not count else f"-inf in {count:,} of {np.size(visible):,} cells"
    before = f"{scaled} + bias" if bias else scaled
    return Paragraph(
        f"Masked: {told}" + (", positions added" if bias else ""),
        f"{lines}\nmasked = np.where(visible, {before}, -np.inf)",
        "masked",
        "masked.round(4)",
    )


def numpy_softmax(scores, visible=True, temperature=1.0, axes="each row sums to 1"):
    """Return the paragraph that turns scores into weights.

    Parameters
    ----------
    scores : str
        Name of the scores, hidden ones -inf.
    visible : ndarray of bool, shape (..., n_q, n_k)
        A row in which nothing may be seen asks for one line more.
    temperature : float
    axes : str
    """
    lines = []
    if temperature != 1:
        lines += [f"{scores} = {scores} / {temperature!r}  # the temperature"]
    if np.any(visible, axis=-1).all():
        lines += [
            f"exp = np.exp({scores} - {scores}.max(axis=-1, keepdims=True))",
            "weights = exp / exp.sum(axis=-1, keepdims=True)",
        ]
    else:
        lines += [
            f"highest = {scores}.max(axis=-1, keepdims=True)",
            "highest[np.isneginf(highest)] = 0  # of a row that sees nothing",
            f"exp = np.exp({scores} - highest)",
            "total = exp.sum(axis=-1, keepdims=True)",
            "weights = exp / np.where(total > 0, total, 1)",
        ]
    return Paragraph(f"Weights: the softmax of the scores, {axes}", "\n".join(lines), "weights", "weights.round(4)")


def _numbers(values):
    """Return numbers with commas between them."""
    return ", ".join(numpy_literal(value) for value in values)


def _filled(text):
    """Return items over as many lines as they need, indented; no string is torn."""
    pieces = re.findall(r"(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[^\s\"'])+", text)
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1]) + len(piece) + 5 > WIDEST:
            lines.append(piece)
        else:
            lines[-1] = f"{lines[-1]} {piece}".strip()
    return "\n".join(f"    {line}" for line in lines)
