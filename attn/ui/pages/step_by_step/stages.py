"""The stages of Step by step: what each shows, says and writes as a formula."""

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from attn import analysis, charts
from attn.charts.labels import fixed_labels, number
from attn.data import examples
from attn.ui.controls.query_row import query_row_bars, query_row_products
from attn.ui.state import as_text
from attn.ui.width import page_strip_width
from attn.words import share

MATRICES = {"q": "Query", "k": "Key", "v": "Value"}
DIVISORS = {
    "sqrt_d_k": "√dₖ",
    "none": "Nothing",
    "d_k": "dₖ",
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

    steps: tuple  # attn.one_head.Steps
    e: examples.Example  # named as in the code on the page
    matrix: str  # which projection is in view: "q", "k" or "v"
    cell: tuple  # the chosen (row, column) of the stage's result
    divisor: float
    divisor_name: str
    temperature: float
    words: str  # what the mask does
    theme: charts.Theme
    width: float  # pixels across
    tallest: int  # pixels that a matrix may be high
    trained: bool = False  # whether the numbers are those of a trained model

    @property
    def labels(self):
        return charts.token_labels(self.e.tokens)

    def token(self, position):
        """Return a token fit to stand in a sentence."""
        return f"**{as_text(self.labels[position])}**"

    @property
    def strip(self):
        """Pixels after which the row of tokens goes on below."""
        return min(self.width, page_strip_width(self.e.tokens))

    @property
    def projected(self):
        """The projection in view."""
        return attrgetter(_PROJECTED[self.matrix])(self)

    @property
    def weight(self):
        """The matrix of the projection in view, (d_model, d)."""
        return getattr(self.e, f"w_{self.matrix}")

    @property
    def bias(self):
        """The bias of the projection in view, (d,) or 0."""
        return getattr(self.e, f"b_{self.matrix}")

    @property
    def hidden(self):
        """True where the mask hides."""
        return self.steps.masked_scores == -float("inf")


_WEIGHT_DECIMALS = 3  # as maps and bars write weights, so that a sentence beside them says the same number
_MOST_SUMMED = 6  # exponentials whose sum is written out
_LEAST_SUM = 620  # pixels across that such a sum takes
_HIGHEST = 12  # exponents up to this are written as they are: e to the power of it is 162,755
_PROJECTED = {"q": "steps.unrotated_query", "k": "steps.unrotated_key", "v": "steps.value"}


class Part(NamedTuple):
    """One matrix of a stage's picture, told once for the picture and for the code that makes it."""

    expression: str  # where its numbers are, both in a View and in the code
    title: str
    axes: tuple = ("query", "key")
    down: bool = True  # whether its rows are tokens
    across: bool = True  # whether its columns are
    mark: str = ""  # "cell": the chosen cell; "row", "column", "same": the row, column or cell that comes from
    limit: float | None = None
    hides: bool = False  # whether the mask is shown
    picks: bool = False  # whether a cell is chosen by a click in it, as in that with the chosen cell

    def panel(self, view):
        """Return the matrix to be drawn."""
        values = attrgetter(self.expression)(view)
        names = [
            view.labels if tokens else charts.counted(n) for tokens, n in zip(self[3:5], values.shape, strict=True)
        ]
        options = self._options(view) | ({"hidden": view.hidden} if self.hides else {})
        if self.picks or self.mark in ("cell", "same"):
            options["pick"] = replace(options.get("pick", charts.Pick()), select="cell")
        return charts.panel(values, *names, **options)

    def code(self, view):
        """Return the line that makes this matrix."""
        shape = attrgetter(self.expression)(view).shape
        names = ("labels" if tokens else f"charts.counted({n})" for tokens, n in zip(self[3:5], shape, strict=True))
        options = [f"{name}={value!r}" for name, value in self._options(view).items()]
        options += ["hidden=hidden"] if self.hides else []
        return f"charts.panel({', '.join([self.expression, *names, *options])})"

    def _options(self, view):
        """Return the keywords of the matrix that are plain values."""
        row, column = view.cell
        options = {"title": self.title, "axes": self.axes}
        options |= {} if self.expression == "steps.weights" else {"kind": "signed"}
        options |= {} if self.limit is None else {"scale": charts.Scale(self.limit)}
        if self.hides and self.expression == "steps.biased":
            options["style"] = charts.Style(hidden_number="−∞")  # what a mask makes of a score
        if self.mark in ("cell", "same"):
            return options | {"pick": charts.Pick(selected=(row, column))}
        places = {name: at for name, at in (("row", row), ("column", column)) if name in self.mark}
        return options | ({"pick": charts.Pick(highlight=places)} if places else {})


class Stage(NamedTuple):
    """One stop on the way."""

    label: str
    title: str
    formula: Callable  # View -> LaTeX
    parts: Callable  # View -> matrices and the operators between them; the sentence itself has none
    read: Callable  # View -> sentence
    explain: Callable  # View -> chart of the chosen cell, or None
    result: Callable  # View -> the matrix whose cells can be chosen
    square: bool = False  # whether its columns are tokens
    sum_up: Callable = lambda view: ""  # View -> how the chosen cell comes about, in a line, or nothing

    def has_cell(self, view):
        """Return whether it is shown how the chosen cell comes about."""
        return self.explain is not None or bool(self.sum_up(view))

    @property
    def explained(self):
        """How to read the chart of the chosen cell."""
        if self.explain is _explain_softmax:
            return (
                "How much the chosen token looks at each, from the most to the least; what a mask hides gets 0. The "
                "chosen cell is marked."
            )
        return (
            "Each pair of numbers is multiplied, and these products add up, one after the other, to the chosen cell"
            + (", before it is divided." if self.label == "Scaled" else ".")
        )

    def columns(self, view):
        """Return the labels of the result's columns."""
        return view.labels if self.square else charts.counted(self.result(view).shape[1])


def stage_shape(view, stage):
    """Return the shape of a stage's result, as a person writes it."""
    rows, columns = stage.result(view).shape
    if stage.label == "Tokens":
        return f"{rows} tokens"
    return f"{rows} tokens × {columns} {'tokens' if stage.square else 'numbers'}"


def stage_results(view, stage):
    """Return what a stage shows, by the names that a story may ask for: of its chosen cell, and of all its numbers."""
    numbers, (row, column) = stage.result(view), view.cell
    told = {"row": row + 1, "column": column + 1, "tokens": len(view.e.tokens)}
    told |= {"width": numbers.shape[1], "attention": (view.e.tokens, view.e.tokens, view.steps.weights)}
    told |= {"row_sum": float(numbers[row].sum()), "spread": float(numbers.std())}
    told["rank"] = 1 + int((numbers > numbers[row, column]).sum())
    if stage.label == "Weights":
        told["effective"] = float(analysis.effective_keys(numbers[row]))
    return told


def stage_picture(view, stage):
    """Return the picture of a stage."""
    parts = stage.parts(view)
    if not parts:
        pick = charts.Pick("cell", view.cell[0])
        strip = charts.token_strip(view.e.tokens, view.theme, width=view.strip, pick=pick)
        return charts.beside(strip)
    drawn = (part if isinstance(part, str) else part.panel(view) for part in parts)
    return charts.panels(view.theme, view.width, *drawn, tallest=view.tallest)


def stage_code(view, stage):
    """Return the lines that make the same picture; they know ``steps``, ``e`` and ``charts``."""
    parts = stage.parts(view)
    if not parts:
        pick = charts.Pick(selected=view.cell[0])
        strip = f"charts.token_strip(e.tokens, charts.LIGHT, width={view.strip:.0f}, pick={pick})"
        return f"picture = charts.beside({strip})"
    lines = [repr(part) if isinstance(part, str) else part.code(view) for part in parts]
    start = ["labels = charts.token_labels(e.tokens)"]
    start += ["hidden = steps.masked_scores == -float('inf')"] if any("hidden=hidden" in line for line in lines) else []
    inside = "".join(
        f"    {line},\n" for line in [f"charts.LIGHT, {view.width:.0f}", *lines, f"tallest={view.tallest}"]
    )
    return "\n".join([*start, f"picture = charts.panels(\n{inside})"])


def stage_numbers(view, stage):
    """Return the numbers that the picture of a stage ends with, as code that knows ``steps`` and ``e``."""
    parts = stage.parts(view)
    if not parts:
        return "*e.tokens"
    last = parts[-1]
    return f"{'steps.masked_scores' if last.expression == 'steps.biased' else last.expression}.round(4)"


def _limit(*matrices):
    """Return the end of one scale for several matrices, None where they hold no finite number but 0."""
    return max(float(abs(matrix[np.isfinite(matrix)]).max(initial=0)) for matrix in matrices) or None


def _tokens(view):
    return []


def _embeddings(view):
    each = {"axes": ("token", "dimension"), "across": False}
    inputs = Part("steps.inputs", "X", mark="cell", **each)
    if not view.steps.added.any():
        return [inputs]
    return [Part("steps.x", "Embeddings", **each), "+", Part("steps.added", "Positions", **each), "=", inputs]


def _project(view):
    name, role = MATRICES[view.matrix], MATRICES[view.matrix].lower()
    return [
        Part("steps.inputs", "X", ("token", "dimension"), across=False, mark="row"),
        "×",
        Part(f"e.w_{view.matrix}", f"W_{view.matrix}", ("dimension", role), False, False, "column"),
        "=",
        Part(_PROJECTED[view.matrix], name, ("token", role), across=False, mark="cell"),
    ]


def _products(view):
    limit = _limit(view.steps.query, view.steps.key)  # one scale, whose legend under the query would take cells' room
    return [
        Part("steps.query", "Query", ("query", "dimension"), across=False, mark="row", limit=limit),
        "×",
        Part("steps.key.T", "Key, transposed", ("dimension", "key"), down=False, mark="column", limit=limit),
        "=",
        Part("steps.products", "Scores", mark="cell"),
    ]


def _scaled(view):
    limit = _limit(view.steps.products, view.steps.scores)
    if view.divisor_name == "none":
        return [Part("steps.scores", "Scores, not divided", mark="cell", limit=limit)]
    return [
        Part("steps.products", "Scores", mark="same", limit=limit),
        f"÷ {number(view.divisor)} =",
        Part("steps.scores", "Scaled scores", mark="cell", limit=limit),
    ]


def _masked(view):
    s = view.steps
    limit = _limit(s.scores, s.biased)
    title = "Scores" if view.divisor_name == "none" else "Scaled scores"
    parts = [Part("steps.scores", title, mark="same", limit=limit), "→"]
    if (s.biased != s.scores).any():
        parts += [Part("steps.biased", "With positions", mark="same", limit=limit), "→"]
    return [*parts, Part("steps.biased", _masked_title(view), mark="cell", limit=limit, hides=True)]


def _masked_title(view):
    """Return what the scores are called once the mask was applied, which may hide nothing."""
    return "Masked scores" if view.hidden.any() else "Scores, none hidden"


def _softmax(view):
    return [
        Part("steps.biased", _masked_title(view), mark="row", hides=True, picks=True),
        "→" if view.temperature == 1 else f"÷ {number(view.temperature)} →",
        Part("steps.weights", "Weights", mark="cell", hides=True),
    ]


def _context(view):
    return [
        Part("steps.weights", "Weights", mark="row", hides=True),
        "×",
        Part("steps.value", "Value", ("key", "value"), across=False, mark="column"),
        "=",
        Part("steps.context", "Context", ("query", "context"), across=False, mark="cell"),
    ]


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
    count, distinct = len(view.e.tokens), len({token.lower() for token in view.e.tokens})
    again = "no token comes twice" if count == distinct else f"{distinct} of them are different"
    whole = not view.trained and all(any(map(str.isalnum, token)) for token in view.e.tokens)
    return (
        f"A model reads a sentence piece by piece. This one is cut into **{count} tokens**. A token is a word, a piece "
        f"of a word or a punctuation mark; {'here all are words, and ' * whole}{again}. Each token gets a row of its "
        "own in every matrix that follows."
    )


def _read_embeddings(view):
    row, column = view.cell
    s = view.steps
    start = (
        f"A model computes with numbers. So {view.token(row)} becomes a list of {s.x.shape[1]} numbers, its embedding; "
        f"number {column + 1} is"
    )
    if s.added.any():
        return (
            f"{start} {number(s.x[row, column])} for the token plus {number(s.added[row, column])} for its position: "
            f"{number(s.inputs[row, column])}."
        )
    again = (
        "Layers before this one, if there are any, have already mixed in other tokens."
        if view.trained
        else "The same word gets the same list wherever it stands: $E_t$ is the row of token t in the table E."
    )
    return f"{start} {number(s.x[row, column])}. {again}"


def _read_project(view):
    row, column = view.cell
    role = MATRICES[view.matrix].lower()
    return (
        f"Every token gets three new lists of numbers. The *query* of {view.token(row)} asks: what do I look for? Its "
        f"*key* answers the queries of others: what do I offer? Its *value* is what it hands on{_value_width(view)}. "
        f"Here the row of {view.token(row)} in X, times column {column + 1} of $W_{view.matrix}$, gives number "
        f"{column + 1} of its {role}: {number(view.projected[row, column])}."
    )


def _value_width(view):
    """Say why a value has another number of numbers than a query, where it has."""
    d_k, d_v = view.steps.query.shape[1], view.steps.value.shape[1]
    if d_k == d_v:
        return ""
    return f", {d_v} numbers where a query and a key have {d_k}, as only these two are compared with one another"


def _read_products(view):
    row, column = view.cell
    rotates = view.steps.query is not view.steps.unrotated_query
    turned = " Both were first turned by an angle that grows with their position." if rotates else ""
    return (
        f"Does {view.token(column)} offer what {view.token(row)} looks for? The query of {view.token(row)} times the "
        f"key of {view.token(column)}, number by number and added up, is the score "
        f"{number(view.steps.products[row, column])}: the larger, the better they match.{turned}"
    )


def stage_footnote(view, stage):
    """Return what only some readers look for at a stage, or nothing."""
    if stage.label != "Scores":
        return ""
    rank = analysis.score_rank(view.steps.products).rank
    return (
        f"Multiples of {rank} row{'' if rank == 1 else 's'} of scores, added up, make all the others: the matrix has "
        f"rank {rank}, never more than $d_k = {view.steps.query.shape[1]}$."
    )


def _read_scaled(view):
    row, column = view.cell
    s = view.steps
    if view.divisor_name == "none":
        return (
            "The more numbers queries and keys have, the larger their scores, until one token takes all attention. "
            f"Here they are not divided, and {number(s.scores[row, column])} stays as it was. So does their spread "
            f"(the standard deviation), {number(s.scores.std())}."
        )
    return (
        "The more numbers queries and keys have, the larger their scores, until one token takes all attention. "
        f"So scores are divided{_divisor_in_words(view)}: {number(s.products[row, column])} by {number(view.divisor)} "
        f"is {number(s.scores[row, column])}. Their spread (the standard deviation) was {number(s.products.std())} and "
        f"is now {number(s.scores.std())}."
    )


def _divisor_in_words(view):
    """Say what the usual divisor is here, and why."""
    d_k = view.steps.query.shape[1]
    if view.divisor_name != "sqrt_d_k":
        return ""
    return f" by $\\sqrt{{d_k}} = \\sqrt{{{d_k}}}$ = {number(view.divisor)}, as each query has {_numbers(d_k)}"


def _numbers(count):
    """Say how many numbers there are."""
    return f"{count} number{'s' * (count > 1)}"


def _read_masked(view):
    row, column = view.cell
    hidden = view.hidden[row, column]
    verdict = "may not look" if hidden else "may look"
    end = ": its score becomes −∞, and its weight will be 0." if hidden else "."
    return (
        f"A mask says who may look at whom. {as_text(view.words)} {view.token(row)} {verdict} at "
        f"{view.token(column)}{end}"
    )


def _read_softmax(view):
    row, column = view.cell
    weights = view.steps.weights[row]
    if not weights.any():
        return f"Nothing is left for {view.token(row)} to look at: its weights are all 0."
    best, spread = int(weights.argmax()), float(analysis.effective_keys(weights))
    most, chosen = (share(weights[at], _WEIGHT_DECIMALS) for at in (best, column))
    other = "" if column == best else f" and gives {chosen} to {view.token(column)}"
    return (
        "The softmax turns scores into weights: shares that add up to 1 in each row. "
        f"{view.token(row)} looks most at {view.token(best)} ({most}){other}. "
        f"Its attention is spread as widely as if {spread:.1f} tokens shared it equally: that is the effective number "
        "of tokens."
    )


def _read_context(view):
    row, column = view.cell
    return (
        f"{view.token(row)} takes from each token as much as its weight says: the values of all tokens, each times its "
        f"weight, are added up. The sum is its context, a new list of numbers; number {column + 1} of it is "
        f"{number(view.steps.context[row, column])}."
    )


def _sum_up_positions(view):
    """Write a number of the input as that of the token and that of its position."""
    (row, column), s = view.cell, view.steps
    if not s.added.any():
        return ""
    summands = (s.x[row, column], s.added[row, column])
    return f"{_sum_of(summands, s.inputs[row, column])}: the token's own number, and that of its position."


def _sum_up_mask(view):
    """Write a masked score as the score, what positions add to it, and what the mask adds."""
    (row, column), s = view.cell, view.steps
    hidden = view.hidden[row, column]
    bias = s.biased[row, column] - s.scores[row, column]
    summands = (s.scores[row, column], *((bias,) if (s.biased != s.scores).any() else ()), -np.inf if hidden else 0)
    of, adds = "what may be seen", "0, so the score stays as it is"
    if hidden:
        of, adds = "what is hidden", "−∞. So the sum is −∞, of which the softmax makes 0"
    return f"{_sum_of(summands, s.masked_scores[row, column])}: to {of} the mask adds {adds}."


def _sum_up_softmax(view):
    """Write a weight as e to the power of its score over the temperature, divided by the sum of such powers."""
    (row, column), s = view.cell, view.steps
    scores, weight = s.masked_scores[row].astype(float), float(s.weights[row, column])
    seen = np.isfinite(scores)
    if not seen.any():
        return "The mask hides the whole row: there is no sum to divide by, and the weight is 0."
    far = bool(np.abs(scores[seen] / view.temperature).max() > _HIGHEST)
    largest, wide = scores.max(), view.width >= _LEAST_SUM and not far
    scores = scores - largest if far else scores
    terms = np.flatnonzero(seen) if wide and seen.sum() <= _MOST_SUMMED else ()
    digits = _enough_digits(scores, view.temperature, column, weight, bool(len(terms)))
    powers, divided = np.exp(scores / view.temperature), "" if view.temperature == 1 else f"/{view.temperature:g}"

    def power(at):
        return f"e^{{{_in_formula(scores[at], digits)}{divided}}}"

    every = "+".join(map(power, terms)) if len(terms) else rf"\sum_k e^{{s_k{divided}}}"
    over, under = (_in_formula(each, digits) for each in (powers[column], powers.sum()))
    exactly = r"\approx" if weight not in (0, 1) and f"{weight:.{_WEIGHT_DECIMALS}f}" in ("0.000", "1.000") else "="
    power_of = "(score ÷ temperature)" if divided else "its score"
    ends = [
        f"A weight is e = 2.718… to the power of {power_of}, divided by the sum of these powers in its row.",
        f"The largest score of the row, {number(largest)}, is taken from each first, which changes no weight." * far,
        "What the mask hides adds e to the power of −∞, which is 0." * (not all(seen)),
    ]
    shown = fixed_labels([weight], _WEIGHT_DECIMALS)[0]
    formula = rf"\dfrac{{{power(column)}}}{{{every}}} = \dfrac{{{over}}}{{{under}}} {exactly} \mathbf{{{shown}}}"
    return f"{view.token(row)} at {view.token(column)}: ${formula}$  \n{' '.join(filter(None, ends))}"


def _enough_digits(scores, temperature, column, weight, summed):
    """Return how many digits it takes until every step, done with what is written, gives what is written."""
    powers, shown = np.exp(scores / temperature), fixed_labels([weight], _WEIGHT_DECIMALS)
    for digits in range(3, 8):
        over, under = (_rounded(each, digits) for each in (powers[column], powers.sum()))
        again = np.exp(_rounded(scores, digits) / temperature)
        agree = not summed or _rounded(again.sum(), digits) == under
        agree = agree and (weight < 10.0**-_WEIGHT_DECIMALS or _rounded(again[column], digits) == over)
        if agree and fixed_labels([over / under], _WEIGHT_DECIMALS) == shown:
            break
    return digits


def _rounded(values, digits):
    """Return numbers with so many significant digits."""
    return np.vectorize(lambda value: float(f"{value:.{digits}g}"))(values)


def _in_formula(value, digits):
    """Return a number as a formula writes it."""
    if np.isneginf(value):
        return r"-\infty"
    written = number(float(value), digits)
    return rf"\text{{{written}}}" if "e" in written else written.replace("−", "-").replace(",", "{,}")


def _sum_of(summands, total):
    """Write a sum of few numbers, in bold."""
    first, *others = (_in_a_sum(each) for each in summands)
    return f"**{' + '.join([first.strip('()'), *others])} = {_in_a_sum(total).strip('()')}**"


def _in_a_sum(value):
    """Return a number as a summand: what is below 0 in parentheses."""
    written = "−∞" if np.isneginf(value) else number(value)
    return f"({written})" if value < 0 else written


def _explain_project(view):
    row, column = view.cell
    left, right = view.steps.inputs[row], view.weight[:, column]
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
        width=view.width,
    )


def _explain_products(view):
    row, column = view.cell
    return query_row_products(view.steps.query[row], view.steps.key[column], view.labels[row], view.labels[column])


def _explain_softmax(view):
    row, column = view.cell
    return query_row_bars(view.steps.weights[row], view.labels, column, f"Where {view.labels[row]} looks")


def _explain_context(view):
    row, column = view.cell
    s = view.steps
    return charts.products(
        s.weights[row], s.value[:, column], view.theme, left_name=f"weights of {view.labels[row]}",
        right_name=f"value, number {column + 1}", labels=view.labels, width=view.width,
    )  # fmt: skip


STAGES = {
    "tokens": Stage(
        "Tokens", "The sentence in pieces", lambda v: r"\text{sentence} \to t_1, \dots, t_n",
        _tokens, _read_tokens, None, lambda v: v.steps.x[:, :1],
    ),
    "embeddings": Stage(
        "Embeddings", "Each token becomes a vector",
        lambda v: r"X = E_t + P" if v.steps.added.any() else r"X = E_t",
        _embeddings, _read_embeddings, None, lambda v: v.steps.x, sum_up=_sum_up_positions,
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
        _masked, _read_masked, None, lambda v: v.steps.scores, True, _sum_up_mask,
    ),
    "weights": Stage(
        "Weights", "Who looks at whom?", _softmax_formula,
        _softmax, _read_softmax, _explain_softmax, lambda v: v.steps.weights, True, _sum_up_softmax,
    ),
    "context": Stage(
        "Context", "What each token takes away", lambda v: rf"{_role(v, 'output', 'Z')} = A\,{_role(v, 'value', 'V')}",
        _context, _read_context, _explain_context, lambda v: v.steps.context,
    ),
}  # fmt: skip
