"""Next word, the open part: its matrix, and how one number of it comes about."""

import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attn import charts
from attn.charts.labels import number
from attn.functional import ACTIVATIONS
from attn.models import gpt2
from attn.models.head_weights import head_matrices
from attn.models.layer_parts import attention_matrices, feed_forward_matrices
from attn.pretrained.language_model import LanguageModel, Read, token_label
from attn.ui.language_models import likeliest_tokens
from attn.ui.pages.next_word import part_values
from attn.ui.pages.next_word.setup import PARTS, STAGES, Setup
from attn.ui.state import as_text

_WORDS = 12  # whose logits are shown


class Walked(NamedTuple):
    """A text on its way through a model, and what of it is looked at."""

    language: LanguageModel
    read: Read  # with the changes that are made
    setup: Setup
    labels: list  # of the tokens

    @property
    def layer(self):
        """The weights of the layer in view."""
        return self.language.model.layers[self.setup.layer - 1]

    @property
    def step(self):
        """What that layer did."""
        return self.read.passed.layers[self.setup.layer - 1]

    @property
    def head(self):
        """The head in view, counted from 0."""
        return self.setup.head - 1

    @property
    def kv_head(self):
        """Whose keys and values it reads, counted from 0."""
        model = self.language.model
        return self.head // (model.num_heads // getattr(model, "num_kv_heads", model.num_heads))

    def given(self, function, **more):
        """Return what a function of `part_values` takes, by name: the layer and heads in view, and `more`."""
        known = {"layer": self.setup.layer - 1, "head": self.head, "kv_head": self.kv_head} | more
        return {name: known[name] for name in inspect.signature(function).parameters if name in known}

    def of(self, function, **more):
        """Return what a function of `part_values` gives of this pass."""
        both = {"model": self.language.model, "passed": self.read.passed}
        return function(**self.given(function, **both, **more))


class Terms(NamedTuple):
    """How a number is a sum of products."""

    left: np.ndarray
    right: np.ndarray
    names: tuple  # of both rows
    made: Callable  # of `part_values`, which gives both
    labels: list | None = None  # of the products


class Summands(NamedTuple):
    """How a number is a sum of a few others."""

    labels: list
    values: np.ndarray
    made: Callable  # of `part_values`, which gives them


class Opened(NamedTuple):
    """A matrix of the model's way, and what makes its numbers."""

    title: str
    values: np.ndarray  # (n, columns)
    columns: list  # labels
    axis: str  # what runs across
    formula: str
    explain: Callable  # (row, column) -> Terms, Summands or None, and a sentence
    made: Callable  # of `part_values`, which gives the matrix
    kind: str = "signed"
    hidden: np.ndarray | None = None
    words: tuple = ()  # ids of the columns, where they are words


def part_stages(part):
    """Return what of a part can be looked at: key -> label; empty where there is one thing only."""
    return STAGES.get(part, {})


def part_opened(walked, part, stage):
    """Return the matrix of a part at one of its stages.

    Parameters
    ----------
    walked : Walked
    part : str
        A key of `PARTS` other than "tokens".
    stage : str
        A key of `STAGES`, where the part has any.

    Returns
    -------
    Opened
    """
    makers = {
        "embedding": _embedding, "norm": _last_norm, "logits": _logits,
        ("attention", "read"): _attention_read, ("attention", "query"): _query, ("attention", "key"): _key,
        ("attention", "value"): _value, ("attention", "weights"): _weights, ("attention", "context"): _context,
        ("attention", "adds"): _head_adds, ("attention", "sum"): _sum_of_attention,
        ("feed_forward", "read"): _feed_forward_read, ("feed_forward", "inner"): _inner,
        ("feed_forward", "adds"): _feed_forward_adds, ("feed_forward", "sum"): _sum,
    }  # fmt: skip
    return makers[(part, stage) if part in STAGES else part](walked)


def part_chart(values, hidden, labels, columns, place, theme, width, tallest, kind, title, axis):
    """Draw a matrix with its chosen cell outlined."""
    options = {"kind": kind, "hidden": hidden, "title": title, "axes": ("token", axis)}
    panel = charts.panel(values, labels, columns, pick=charts.Pick("cell", place), **options)
    return charts.panels(theme, width, panel, tallest=tallest)


def part_products_chart(left, right, names, labels, theme, width):
    """Draw how one number is a sum of products."""
    drawn = charts.products(left, right, theme, left_name=names[0], right_name=names[1], labels=labels, width=width)
    return charts.beside(drawn)


def part_summands_chart(added, labels, theme, width):
    """Draw how one number is a sum of a few others."""
    return charts.beside(charts.bars(added, labels, theme, kind="signed", title="What is added", width=width * 0.6))


def part_number_chart(terms, theme, width):
    """Draw how one number comes about."""
    if isinstance(terms, Summands):
        return part_summands_chart(terms.values, terms.labels, theme, width)
    return part_products_chart(terms.left, terms.right, terms.names, terms.labels, theme, width)


def part_number_csv(terms):
    """Return what one number is made of as comma-separated text: what is added, or the factors of each product."""
    if isinstance(terms, Summands):
        return charts.csv(np.asarray(terms.values)[:, None], terms.labels, ["added"])
    factors = np.column_stack([terms.left, terms.right])
    return charts.csv(factors, terms.labels or charts.counted(len(factors)), terms.names)


def _counted(values):
    return charts.counted(values.shape[1])


def _named(what, values):
    """Return the labels of the numbers of a vector."""
    return [f"{what} {at}" for at in range(1, values.shape[1] + 1)]


def _embedding(walked):
    model, states = walked.language.model, walked.of(part_values.embeddings)

    def explain(row, column):
        id = walked.read.passed.ids[row]
        token = float(model.embedding[id, column])
        if isinstance(model, gpt2.GPT2):
            summands = part_values.embedding_summands
            added = np.array(walked.of(summands, row=row, column=column))
            place = float(added[1])
            return Summands(["of the token", "of its place"], added, summands), (
                f"The row of token {id:,} in the table of all tokens has {number(token)} here, the row of place "
                f"{row + 1} has {number(place)}. Their sum is **{number(states[row, column])}**."
            )
        read, scale = f"**{number(states[row, column])}**", model.embedding_scale
        has = f"{read} here. That is what layer 1 reads."
        if scale != 1:
            has = f"{number(token)} here. Times {number(scale)}, that is what layer 1 reads: {read}."
        return None, f"The row of token {id:,} in the table of all {len(model.embedding):,} tokens has {has}"

    formula = "x_i = E_{t_i} + P_i" if isinstance(model, gpt2.GPT2) else "x_i = E_{t_i}"
    return Opened("Embeddings", states, _counted(states), "dimension", formula, explain, part_values.embeddings)


def _normalised(walked, title, before, made, norm):
    """Return what a norm makes of states."""
    after = walked.of(made)
    if norm is None:
        as_it_is = None, "It is read as it is."
        return Opened(title, after, _counted(after), "dimension", "z = x", lambda row, column: as_it_is, made)
    model, is_layer_norm = walked.language.model, isinstance(walked.language.model, gpt2.GPT2)

    def explain(row, column):
        x = before[row].astype(float)
        if is_layer_norm:
            mean, spread = x.mean(), float(np.sqrt(x.var() + model.epsilon))
            return None, (
                f"The number was {number(x[column])}. Less the mean of its token's numbers, {number(mean)}, divided by "
                f"their spread, {number(spread)}, times the gain {number(norm.gain[column])} and plus the bias "
                f"{number(norm.bias[column])}, it is **{number(after[row, column])}**."
            )
        spread = float(np.sqrt((x * x).mean() + model.epsilon))
        return None, (
            f"The number was {number(x[column])}. Divided by the root of the mean square of its token's numbers, "
            f"{number(spread)}, and times the gain {number(norm[column])}, it is **{number(after[row, column])}**."
        )

    formula = (
        r"z = \frac{x - \bar x}{\sqrt{\mathrm{var}(x) + \epsilon}}\, g + b" if is_layer_norm
        else r"z = \frac{x}{\sqrt{\overline{x^2} + \epsilon}}\, g"
    )  # fmt: skip
    return Opened(title, after, _counted(after), "dimension", formula, explain, made)


def _attention_read(walked):
    title, made = "What attention reads: normalised", part_values.normalised_for_attention
    return _normalised(walked, title, walked.step.x, made, walked.layer.attention_norm)


def _feed_forward_read(walked):
    title, made = "What the feed-forward network reads: normalised", part_values.normalised_for_feed_forward
    return _normalised(walked, title, walked.of(part_values.after_attention), made, walked.layer.feed_forward_norm)


def _last_norm(walked):
    passed, norm = walked.read.passed, walked.language.model.norm
    return _normalised(walked, "The last states, normalised", passed.states[-1], part_values.last_norm, norm)


def _projected(walked, role, made, factors, head):
    """Return queries, keys or values of a head, each a product of what is read and a column of its matrix."""
    values, layer = walked.of(made), walked.layer
    b, d = getattr(attention_matrices(layer), f"b_{role[0]}"), values.shape[-1]
    turned = role != "value" and getattr(layer, "rope", None) is not None
    normed = role != "value" and getattr(layer, f"{role}_norm", None) is not None

    def explain(row, column):
        left, right = walked.of(factors, row=row, column=column)
        names = (f"what {walked.labels[row]} reads", f"column of w_{role[0]}")
        last = f"**{number(float(values[row, column]))}**"
        told, total = f"{len(left)} products add up to ", float(left @ right)
        if b is not None:
            bias = float(b[head * d + column])
            told, total = f"{told}{number(total)}. With the bias {number(bias)} it is ", total + bias
        if turned or normed:
            turn = f"turned by its position (${'R_i' if role == 'query' else 'R_j'}$)"
            then = " and ".join((["normalised"] if normed else []) + ([turn] if turned else []))
            told = f"{told}{number(total)}. Then the vector is {then}, which makes it "
        return Terms(left, right, names, factors), f"{told}{last}."

    of = f"head {walked.head + 1}" if role == "query" else f"key/value head {head + 1}"
    formula = {"query": r"q_i = R_i\,(z_i W^Q)", "key": r"k_j = R_j\,(z_j W^K)", "value": "v_j = z_j W^V"}[role]
    formula = formula if turned else formula.replace(r"R_i\,(", "").replace(r"R_j\,(", "").replace(")", "")
    title = {"query": "Queries", "key": "Keys", "value": "Values"}[role]
    title = f"{title} of {of}, layer {walked.setup.layer}"
    return Opened(title, values, _counted(values), "dimension", formula, explain, made)


def _query(walked):
    return _projected(walked, "query", part_values.queries, part_values.query_factors, walked.head)


def _key(walked):
    return _projected(walked, "key", part_values.keys, part_values.key_factors, walked.kv_head)


def _value(walked):
    return _projected(walked, "value", part_values.values_read, part_values.value_factors, walked.kv_head)


def _weights(walked):
    step, head = walked.step, walked.head
    weights, scores = walked.of(part_values.head_weights), step.attention.scores[head]
    hidden = walked.of(part_values.hidden_keys)
    own = head_matrices(walked.language.model, walked.setup.layer - 1, head)
    scale, d_k, softcap = own.scale, own.w_q.shape[1], getattr(walked.language.model, "softcap", None)
    usual = math.isclose(scale, d_k**-0.5, rel_tol=1e-5)
    scaled = f"Divided by √{d_k}" if usual else f"Times {number(scale)}"
    capped = "" if softcap is None else f", capped at ±{softcap:g}"

    def explain(row, column):
        query, key = walked.of(part_values.score_factors, row=row, column=column)
        names = (f"query of {walked.labels[row]}", f"key of {walked.labels[column]}")
        told = (
            f"{len(query)} products add up to {number(float(query @ key))}. {scaled}, that is a score of "
            f"{number(float(scores[row, column]))}{capped}. "
        )
        if hidden[row, column]:
            told += f"**{as_text(walked.labels[row])}** may not look there: the weight is **0**."
        else:
            seen = int((~hidden[row]).sum())
            told += (
                f"Over the {seen} keys that it sees the softmax makes of it **{number(float(weights[row, column]))}**."
            )
        return Terms(query, key, names, part_values.score_factors), told

    title = f"Weights of head {head + 1}, layer {walked.setup.layer}"
    scaled_in_formula = r"\tfrac{Q K^\top}{\sqrt{d_k}}" if usual else rf"{number(scale)}\,Q K^\top"
    formula = rf"A = \mathrm{{softmax}}({scaled_in_formula})"
    made = part_values.head_weights
    return Opened(title, weights, walked.labels, "key", formula, explain, made, "weights", hidden)


def _context(walked):
    context, head = walked.of(part_values.head_context), walked.head

    def explain(row, column):
        left, right = walked.of(part_values.context_factors, row=row, column=column)
        told = (
            f"The values of all tokens that {as_text(walked.labels[row])} sees, each times its weight, add up to "
            f"**{number(float(context[row, column]))}**."
        )
        names = (f"weights of {walked.labels[row]}", "values")
        return Terms(left, right, names, part_values.context_factors, walked.labels), told

    title = f"Context of head {head + 1}, layer {walked.setup.layer}"
    return Opened(title, context, _counted(context), "dimension", "Z = A\\,V", explain, part_values.head_context)


def _head_adds(walked):
    added, head = walked.of(part_values.head_adds), walked.head

    def explain(row, column):
        left, right = walked.of(part_values.head_adds_factors, row=row, column=column)
        told = (
            f"The {len(left)} numbers of the head's context go through its rows of $W_O$: together they add "
            f"**{number(float(added[row, column]))}** to number {column + 1} of {as_text(walked.labels[row])}."
        )
        names = (f"context of {walked.labels[row]}", "column of w_o")
        return Terms(left, right, names, part_values.head_adds_factors), told

    title = f"What head {head + 1} of layer {walked.setup.layer} adds"
    return Opened(title, added, _counted(added), "dimension", "Z_h\\,W^O_h", explain, part_values.head_adds)


def _inner(walked):
    matrices, model = feed_forward_matrices(walked.layer), walked.language.model
    inner, activation = walked.of(part_values.inner_layer), ACTIVATIONS[model.activation]
    factors = part_values.inner_factors

    def explain(row, column):
        left, right = walked.of(factors, row=row, column=column)
        reads, products = f"what {walked.labels[row]} reads", f"{len(left)} products"
        up, gate = (
            float(left @ w[:, column] + (0 if b is None else b[column])) if w is not None else None
            for w, b in ((matrices.w_1, matrices.b_1), (matrices.w_gate, matrices.b_gate))
        )
        first = matrices.b_1 if gate is None else matrices.b_gate
        if first is not None:
            products = f"{products} and the bias {number(float(first[column]))}"
        if gate is None:
            told = (
                f"{products} make {number(up)}; {model.activation} makes of it **{number(float(inner[row, column]))}**."
            )
            return Terms(left, right, (reads, "column of w_1"), factors), told
        told = (
            f"{products} make the gate, {number(gate)}, of which {model.activation} makes "
            f"{number(float(activation(np.float64(gate))))}. Times the product with the same column of w_up, "
            f"{number(up)}, that is **{number(float(inner[row, column]))}**."
        )
        return Terms(left, right, (reads, "column of w_gate"), factors), told

    formula = (
        r"h = \mathrm{act}(z W_1 + b_1)" if matrices.w_gate is None
        else r"h = \mathrm{act}(z W_{gate}) \odot (z W_{up})"
    )  # fmt: skip
    title = f"Inner layer of the feed-forward network, layer {walked.setup.layer}"
    return Opened(title, inner, _counted(inner), "dimension", formula, explain, part_values.inner_layer)


def _feed_forward_adds(walked):
    matrices, added = feed_forward_matrices(walked.layer), walked.of(part_values.feed_forward_adds)
    norm = getattr(walked.layer, "feed_forward_output_norm", None)

    def explain(row, column):
        left, right = walked.of(part_values.feed_forward_factors, row=row, column=column)
        bias = "" if matrices.b_2 is None else f", with the bias {number(float(matrices.b_2[column]))},"
        normed = "" if norm is None else " A norm stands behind it."
        last, of = f"**{number(float(added[row, column]))}**", f"number {column + 1} of {as_text(walked.labels[row])}"
        made = number(float(left @ right))
        told = f"{len(left):,} products add up to {made}{bias} and what is added to {of} is {last}.{normed}"
        if not bias and norm is None:
            told = f"{len(left):,} products add up to what is added to {of}: {last}."
        names = (f"inner layer of {walked.labels[row]}", "column of w_2")
        return Terms(left, right, names, part_values.feed_forward_factors), told

    title = f"What the feed-forward network of layer {walked.setup.layer} adds"
    return Opened(title, added, _counted(added), "dimension", r"h\,W_2", explain, part_values.feed_forward_adds)


def _sum_of_attention(walked):
    summed, summands = walked.of(part_values.after_attention), part_values.after_attention_summands

    def explain(row, column):
        values = walked.of(summands, row=row, column=column)
        told = (
            f"What came into layer {walked.setup.layer} and what all heads of its attention add make "
            f"**{number(float(summed[row, column]))}**: attention adds to the state and does not replace it."
        )
        return Summands(["came in", "attention"], np.array(values, dtype=float), summands), told

    title = f"The residual stream after the attention of layer {walked.setup.layer}"
    return Opened(title, summed, _counted(summed), "dimension", "x + a", explain, part_values.after_attention)


def _sum(walked):
    output, summands = walked.of(part_values.after_layer), part_values.after_layer_summands

    def explain(row, column):
        values = walked.of(summands, row=row, column=column)
        told = (
            f"What came into layer {walked.setup.layer}, what its attention adds and what its feed-forward network "
            f"adds make **{number(float(output[row, column]))}**, which goes on."
        )
        return Summands(["came in", "attention", "feed-forward"], np.array(values, dtype=float), summands), told

    title = f"The residual stream after layer {walked.setup.layer}"
    return Opened(title, output, _counted(output), "dimension", "y = x + a + f", explain, part_values.after_layer)


def _logits(walked):
    model, passed = walked.language.model, walked.read.passed
    words = likeliest_tokens(walked.language, passed.logits[-1], _WORDS)
    ids = [word.id for word in words]
    if 0 <= walked.setup.word < len(model.unembedding) and walked.setup.word not in ids:
        ids[-1] = walked.setup.word
    labels = [token_label(walked.language, id) for id in ids]
    values, cap = walked.of(part_values.word_logits, ids=ids), getattr(model, "logit_softcap", None)

    def explain(row, column):
        left, right = walked.of(part_values.logit_factors, ids=ids, row=row, column=column)
        capped = "" if cap is None else f", capped at ±{cap:g},"
        logit = passed.logits[row].astype(float)
        share = float(np.exp(logit[ids[column]] - logit.max()) / np.exp(logit - logit.max()).sum())
        told = (
            f"The last state times the row of {as_text(labels[column])}: {len(left)} products make a "
            f"logit{capped} of {number(float(values[row, column]))}. Of all {len(logit):,} logits after "
            f"{as_text(walked.labels[row])} the softmax gives it **{number(100 * share)}%**."
        )
        names = (f"state of {walked.labels[row]}", f"row of {labels[column]}")
        return Terms(left, right, names, part_values.logit_factors), told

    title, formula = "Logits of the likeliest words", r"\ell = z\,E^\top"
    return Opened(title, values, labels, "word", formula, explain, part_values.word_logits, words=tuple(ids))


def part_name(setup):
    """Return what the open part is called in a sentence."""
    where = f" of layer {setup.layer}"
    return {
        "attention": f"head {setup.head}{where}",
        "feed_forward": f"the feed-forward network{where}",
    }.get(setup.part, PARTS[setup.part].lower())
