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


def numpy_random_vectors(seed, **names):
    """Return the lines that draw a random vector for each word of some tokens, the same wherever the word stands."""
    return (
        "def vector(word):  # the same word has the same vector\n"
        f"    rng = np.random.default_rng([{seed}, *word.casefold().encode()])\n"
        "    return rng.normal(size=d_model)\n\n"
    ) + "\n".join(f"{name} = np.array([vector(word) for word in {tokens}])" for name, tokens in names.items())


def numpy_random_matrices(seed):
    """Return the lines that draw the three matrices of a head, each from a stream of numbers of its own."""
    return (
        f"streams = np.random.default_rng({seed}).spawn(3)\n"
        "w_q, w_k, w_v = (\n"
        "    stream.normal(0, d_model**-0.5, (width, d_model)).T\n"
        "    for stream, width in zip(streams, (d_k, d_k, d_v), strict=True)\n"
        ")"
    )


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
