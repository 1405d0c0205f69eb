"""The stages of Step by step: what each shows, says and writes as a formula."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attn import analysis, charts
from attn.charts.labels import number
from attn.ui.rows import products, ranked
from attn.ui.state import as_text

MATRICES = {"q": "Query", "k": "Key", "v": "Value"}
DIVISORS = {
    "sqrt_d_k": "√d_k",
    "none": "Nothing",
    "d_k": "d_k",
    "sqrt_d_model": "√d_model",
    "sqrt_n": "√n",
    "own": "A number",
}
DIVISOR_FORMULAS = {
    "sqrt_d_k": r"\sqrt{d_k}",
    "none": "1",
    "d_k": "d_k",
    "sqrt_d_model": r"\sqrt{d_\mathrm{model}}",
    "sqrt_n": r"\sqrt{n}",
    "own": "c",
}


class View(NamedTuple):
    """Everything a stage needs to draw itself."""

    steps: tuple  # attn.steps.Steps
    weights: dict  # "q", "k", "v" -> the matrix that projects
    biases: dict  # "q", "k", "v" -> what is added, or 0
    tokens: tuple
    matrix: str  # which projection is in view: "q", "k" or "v"
    cell: tuple  # the chosen (row, column) of the stage's result
    divisor: float
    divisor_name: str
    temperature: float
    words: str  # what the mask does
    theme: charts.Theme
    room: float  # pixels across

    @property
    def labels(self):
        return charts.token_labels(self.tokens)

    def token(self, position):
        """Return a token fit to stand in a sentence."""
        return f"**{as_text(self.labels[position])}**"

    @property
    def projected(self):
        """The projection in view."""
        s = self.steps
        return {"q": s.unrotated_query, "k": s.unrotated_key, "v": s.value}[self.matrix]

    @property
    def bias(self):
        """The bias of the projection in view, (d,) or 0."""
        return self.biases[self.matrix]

    @property
    def hidden(self):
        """True where the mask hides."""
        return self.steps.masked_scores == -float("inf")


class Stage(NamedTuple):
    """One stop on the way."""

    label: str
    title: str
    formula: Callable  # View -> LaTeX
    draw: Callable  # View -> chart
    read: Callable  # View -> sentence
    explain: Callable  # View -> chart of the chosen cell, or None
    result: Callable  # View -> the matrix whose cells can be chosen
    square: bool = False  # whether its columns are tokens

    def columns(self, view):
        """Return the labels of the result's columns."""
        return view.labels if self.square else charts.counted(self.result(view).shape[1])


def shape_of(view, stage):
    """Return the shape of a stage's result, as a person writes it."""
    rows, columns = stage.result(view).shape
    return f"{rows} × {columns}"


def _signed(values, rows, columns, title, axes, **options):
    return charts.panel(values, rows, columns, kind="signed", title=title, axes=axes, **options)


def _limit(*matrices):
    """Return the end of one scale for several matrices, None where they hold no finite number but 0."""
    return max(float(abs(matrix[np.isfinite(matrix)]).max(initial=0)) for matrix in matrices) or None


def _weights(view, **options):
    labels = view.labels
    return charts.panel(view.steps.weights, labels, labels, title="Weights", hidden=view.hidden, **options)


def _chosen(view):
    """Return the keywords of the matrix whose cells can be chosen."""
    return {"selected": view.cell, "select": "cell"}


def _row(view):
    return {"highlight": {"row": view.cell[0]}}


def _column(view):
    return {"highlight": {"column": view.cell[1]}}


def _draw(view, *parts):
    return charts.panels(view.theme, view.room, *parts)


def _tokens(view):
    return charts.beside(
        charts.token_strip(view.tokens, view.theme, width=view.room, selected=view.cell[0], select="cell")
    )


def _embeddings(view):
    x, added, inputs = view.steps.x, view.steps.added, view.steps.inputs
    columns, axes = charts.counted(x.shape[1]), ("token", "dimension")
    if not added.any():
        return _draw(view, _signed(x, view.labels, columns, "X", axes, **_chosen(view)))
    return _draw(
        view,
        _signed(x, view.labels, columns, "Embeddings", axes),
        "+",
        _signed(added, view.labels, columns, "Positions", axes),
        "=",
        _signed(inputs, view.labels, columns, "X", axes, **_chosen(view)),
    )


def _project(view):
    x, w, projected = view.steps.inputs, view.weights[view.matrix], view.projected
    name, role = MATRICES[view.matrix], MATRICES[view.matrix].lower()
    dimensions, widths = charts.counted(x.shape[1]), charts.counted(projected.shape[1])
    return _draw(
        view,
        _signed(x, view.labels, dimensions, "X", ("token", "dimension"), **_row(view)),
        "×",
        _signed(w, dimensions, widths, f"W_{view.matrix}", ("dimension", role), **_column(view)),
        "=",
        _signed(projected, view.labels, widths, name, ("token", role), **_chosen(view)),
    )


def _products(view):
    s = view.steps
    widths = charts.counted(s.query.shape[1])
    return _draw(
        view,
        _signed(s.query, view.labels, widths, "Query", ("query", "dimension"), **_row(view)),
        "×",
        _signed(s.key.T, widths, view.labels, "Key, transposed", ("dimension", "key"), **_column(view)),
        "=",
        _signed(s.products, view.labels, view.labels, "Products", ("query", "key"), **_chosen(view)),
    )


def _scaled(view):
    s = view.steps
    both = {"axes": ("query", "key"), "limit": _limit(s.products, s.scores)}
    before = {"highlight": {"row": view.cell[0], "column": view.cell[1]}}
    return _draw(
        view,
        _signed(s.products, view.labels, view.labels, "Products", **both, **before),
        f"÷ {number(view.divisor)} =",
        _signed(s.scores, view.labels, view.labels, "Scores", **both, **_chosen(view)),
    )


def _masked(view):
    s = view.steps
    both = {"axes": ("query", "key"), "limit": _limit(s.scores, s.biased)}
    parts = [_signed(s.scores, view.labels, view.labels, "Scores", **both)]
    if (s.biased != s.scores).any():
        parts += ["→", _signed(s.biased, view.labels, view.labels, "With positions", **both)]
    masked = _signed(s.biased, view.labels, view.labels, "Masked scores", hidden=view.hidden, **both, **_chosen(view))
    return _draw(view, *parts, "→", masked)


def _softmax(view):
    scores = _signed(
        view.steps.biased, view.labels, view.labels, "Masked scores", ("query", "key"), hidden=view.hidden, **_row(view)
    )
    return _draw(view, scores, "→", _weights(view, **_chosen(view)))


def _context(view):
    s = view.steps
    widths = charts.counted(s.value.shape[1])
    return _draw(
        view,
        _weights(view, **_row(view)),
        "×",
        _signed(s.value, view.labels, widths, "Value", ("key", "value"), **_column(view)),
        "=",
        _signed(s.context, view.labels, widths, "Context", ("query", "output"), **_chosen(view)),
    )


def _role(view, role, letter):
    """Return a letter in the colour of its role, for a formula."""
    return rf"\textcolor{{{view.theme.role(role)}}}{{{letter}}}"


def _product(view):
    return rf"{_role(view, 'query', 'Q')}\,{_role(view, 'key', 'K')}^\top"


def _projection_formula(view):
    letter = view.matrix
    name = _role(view, MATRICES[letter].lower(), letter.upper())
    weight = _role(view, MATRICES[letter].lower(), f"W_{letter}")
    added = "" if np.ndim(view.bias) == 0 else f"+b_{letter}"
    return rf"{name} = X\,{weight}{added}"


def _bias(view):
    return "" if (view.steps.biased == view.steps.scores).all() else "+B"


def _softmax_formula(view):
    tau = "" if view.temperature == 1 else rf"\,/\,{view.temperature:g}"
    return rf"A = \mathrm{{softmax}}(S_\mathrm{{masked}}{tau})"


def _read_tokens(view):
    count, distinct = len(view.tokens), len({token.lower() for token in view.tokens})
    again = "no word comes twice" if count == distinct else f"{distinct} of them distinct"
    return f"The sentence is cut into {count} tokens, {again}. Each becomes one row of every matrix that follows."


def _read_embeddings(view):
    row, column = view.cell
    s = view.steps
    start = f"{view.token(row)} is now a vector of {s.x.shape[1]} numbers"
    if s.added.any():
        return (
            f"{start}: its own {number(s.x[row, column])} plus {number(s.added[row, column])} for its position "
            f"makes {number(s.inputs[row, column])} in dimension {column + 1}."
        )
    return f"{start}; dimension {column + 1} holds {number(view.steps.x[row, column])}. The same word has the same row."


def _read_project(view):
    row, column = view.cell
    role = MATRICES[view.matrix].lower()
    purpose = {"query": "what it looks for", "key": "what it offers", "value": "what it hands on"}[role]
    return (
        f"The row of {view.token(row)} times column {column + 1} of $W_{view.matrix}$ gives "
        f"{number(view.projected[row, column])}: one of the {view.projected.shape[1]} numbers that say {purpose}."
    )


def _read_products(view):
    row, column = view.cell
    rotates = view.steps.query is not view.steps.unrotated_query
    rank = analysis.score_rank(view.steps.products).rank
    turned = " Both were first turned by an angle that grows with their position." if rotates else ""
    return (
        f"The query of {view.token(row)} times the key of {view.token(column)} is "
        f"{number(view.steps.products[row, column])}: how well they match, before any scaling.{turned} "
        f"The whole matrix has rank {rank}, never more than d_k = {view.steps.query.shape[1]}."
    )


def _read_scaled(view):
    row, column = view.cell
    s = view.steps
    return (
        f"{number(s.products[row, column])} divided by {number(view.divisor)} is {number(s.scores[row, column])}. "
        f"The scores now spread by {number(s.scores.std())} (standard deviation) instead of {number(s.products.std())}."
    )


def _read_masked(view):
    row, column = view.cell
    verdict = "may not" if view.hidden[row, column] else "may"
    return f"{as_text(view.words)} {view.token(row)} {verdict} look at {view.token(column)}."


def _read_softmax(view):
    row, column = view.cell
    weights = view.steps.weights[row]
    if not weights.any():
        return f"Nothing is left for {view.token(row)} to look at: its weights are all 0."
    best, spread = int(weights.argmax()), float(analysis.effective_keys(weights))
    return (
        f"{view.token(row)} looks most at {view.token(best)} ({weights[best]:.0%}); {view.token(column)} gets "
        f"{number(weights[column])}. The row sums to 1 and is spread as if over {spread:.1f} tokens."
    )


def _read_context(view):
    row, column = view.cell
    return (
        f"The new vector of {view.token(row)} is the average of all values by its row of weights; "
        f"number {column + 1} is {number(view.steps.context[row, column])}."
    )


def _explain_project(view):
    row, column = view.cell
    left, right = view.steps.inputs[row], view.weights[view.matrix][:, column]
    labels = charts.counted(len(left))
    if np.ndim(view.bias):
        left, right, labels = np.append(left, 1), np.append(right, view.bias[column]), [*labels, "bias"]
    return charts.products(
        left,
        right,
        view.theme,
        left_name=f"X, row {view.labels[row]}",
        right_name=f"W_{view.matrix}, column {column + 1}",
        labels=labels,
        width=view.room,
    )


def _explain_products(view):
    row, column = view.cell
    return products(view.steps.query[row], view.steps.key[column], view.labels[row], view.labels[column])


def _explain_softmax(view):
    row, column = view.cell
    return ranked(view.steps.weights[row], view.labels, column, f"Where {view.labels[row]} looks")


def _explain_context(view):
    row, column = view.cell
    s = view.steps
    return charts.products(
        s.weights[row], s.value[:, column], view.theme, left_name=f"weights of {view.labels[row]}",
        right_name=f"value, number {column + 1}", labels=view.labels, width=view.room,
    )  # fmt: skip


STAGES = {
    "tokens": Stage(
        "Tokens", "The sentence in pieces", lambda v: r"\text{sentence} \to t_1, \dots, t_n",
        _tokens, _read_tokens, None, lambda v: v.steps.x[:, :1],
    ),
    "embeddings": Stage(
        "Embeddings", "Each token becomes a vector",
        lambda v: r"X = E_t + P" if v.steps.added.any() else r"X = E_t",
        _embeddings, _read_embeddings, None, lambda v: v.steps.x,
    ),
    "projections": Stage(
        "Query, key, value", "Three views of every token", _projection_formula,
        _project, _read_project, _explain_project, lambda v: v.projected,
    ),
    "products": Stage(
        "Scores", "Every query meets every key", _product,
        _products, _read_products, _explain_products, lambda v: v.steps.products, True,
    ),
    "scaled": Stage(
        "Scaled", "Why divide?",
        lambda v: rf"S = \frac{{{_product(v)}}}{{{DIVISOR_FORMULAS[v.divisor_name]}}}",
        _scaled, _read_scaled, _explain_products, lambda v: v.steps.scores, True,
    ),
    "masked": Stage(
        "Masked", "Who may look at whom?",
        lambda v: rf"S_\mathrm{{masked}} = S{_bias(v)} + M,\quad M_{{ij}} \in \{{0, -\infty\}}",
        _masked, _read_masked, None, lambda v: v.steps.scores, True,
    ),
    "weights": Stage(
        "Weights", "Who looks at whom?", _softmax_formula,
        _softmax, _read_softmax, _explain_softmax, lambda v: v.steps.weights, True,
    ),
    "context": Stage(
        "Context", "What each token takes away", lambda v: rf"{_role(v, 'output', 'Z')} = A\,{_role(v, 'value', 'V')}",
        _context, _read_context, _explain_context, lambda v: v.steps.context,
    ),
}  # fmt: skip
