"""Next word, the open part: its matrix, and how one number of it comes about."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attn import charts
from attn.charts.labels import number
from attn.functional import ACTIVATIONS
from attn.models import gpt2
from attn.models.layer_parts import attention_matrices, feed_forward_matrices
from attn.pretrained.language_model import LanguageModel, Read, token_label
from attn.ui.language_models import likeliest_tokens
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


class Terms(NamedTuple):
    """How a number is a sum of products."""

    left: np.ndarray
    right: np.ndarray
    names: tuple  # of both rows
    labels: list | None = None  # of the products


class Summands(NamedTuple):
    """How a number is a sum of a few others."""

    labels: list
    values: np.ndarray


class Opened(NamedTuple):
    """A matrix of the model's way, and what makes its numbers."""

    title: str
    values: np.ndarray  # (n, columns)
    columns: list  # labels
    axis: str  # what runs across
    formula: str
    explain: Callable  # (row, column) -> Terms, Summands or None, and a sentence
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


def part_chart(opened, labels, place, theme, width, tallest):
    """Draw a matrix with its chosen cell outlined."""
    options = {"kind": opened.kind, "hidden": opened.hidden, "title": opened.title}
    options["axes"], options["pick"] = ("token", opened.axis), charts.Pick("cell", place)
    return charts.panels(
        theme, width, charts.panel(opened.values, labels, opened.columns, **options), tallest=tallest
    )  # fmt: skip


def part_number_chart(terms, theme, width):
    """Draw how one number comes about."""
    if isinstance(terms, Summands):
        return charts.beside(
            charts.bars(terms.values, terms.labels, theme, kind="signed", title="What is added", width=width * 0.6)
        )  # fmt: skip
    return charts.products(
        terms.left, terms.right, theme, left_name=terms.names[0], right_name=terms.names[1], labels=terms.labels,
        width=width,
    )  # fmt: skip


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
    model, states = walked.language.model, walked.read.passed.states[0]

    def explain(row, column):
        id = walked.read.passed.ids[row]
        token = float(model.embedding[id, column])
        if isinstance(model, gpt2.GPT2):
            place = float(model.positions[row, column])
            return Summands(["of the token", "of its place"], np.array([token, place])), (
                f"The row of token {id:,} in the table of all tokens has {number(token)} here, the row of place "
                f"{row + 1} has {number(place)}. Their sum is **{number(states[row, column])}**."
            )
        scaled = "" if model.embedding_scale == 1 else f", times {number(model.embedding_scale)},"
        return None, (
            f"The row of token {id:,} in the table of all {len(model.embedding):,} tokens has {number(token)} here. "
            f"That{scaled} is what layer 1 reads: **{number(states[row, column])}**."
        )

    formula = "x_i = E_{t_i} + P_i" if isinstance(model, gpt2.GPT2) else "x_i = E_{t_i}"
    return Opened("Embeddings", states, _counted(states), "number", formula, explain)


def _normalised(walked, title, before, after, norm):
    """Return what a norm makes of states."""
    if norm is None:
        return Opened(
            title, after, _counted(after), "number", "z = x", lambda row, column: (None, "It is read as it is.")
        )
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
    return Opened(title, after, _counted(after), "number", formula, explain)


def _attention_read(walked):
    step = walked.step
    return _normalised(
        walked, "What attention reads: normalised", step.x, step.attention_input, walked.layer.attention_norm
    )


def _feed_forward_read(walked):
    step = walked.step
    return _normalised(
        walked, "What the feed-forward network reads: normalised", step.x + step.attention_output,
        step.feed_forward_input, walked.layer.feed_forward_norm,
    )  # fmt: skip


def _last_norm(walked):
    passed, norm = walked.read.passed, walked.language.model.norm
    return _normalised(walked, "The last states, normalised", passed.states[-1], passed.output, norm)


def _projected(walked, role, values, head):
    """Return queries, keys or values of a head, each a product of what is read and a column of its matrix."""
    matrices, d = attention_matrices(walked.layer), values.shape[-1]
    w, b = getattr(matrices, f"w_{role[0]}"), getattr(matrices, f"b_{role[0]}")
    layer = walked.layer
    turned = role != "value" and getattr(layer, "rope", None) is not None
    normed = role != "value" and getattr(layer, f"{role}_norm", None) is not None

    def explain(row, column):
        left, right = walked.step.attention_input[row], w[:, head * d + column]
        bias = "" if b is None else f" The bias adds {number(b[head * d + column])}."
        total = float(left @ right) + (0.0 if b is None else float(b[head * d + column]))
        told = f"{len(left)} products add up to {number(float(left @ right))}.{bias}"
        if turned or normed:
            then = " and ".join((["normalised"] if normed else []) + (["turned by its position"] if turned else []))
            told += f" So far it is {number(total)}; then the vector is {then}, which makes it "
        else:
            told += " That is "
        names = (f"what {walked.labels[row]} reads", f"column of w_{role[0]}")
        return Terms(left, right, names), f"{told}**{number(float(values[row, column]))}**."

    of = f"head {walked.head + 1}" if role == "query" else f"key/value head {head + 1}"
    formula = {"query": r"q_i = R_i\,(z_i W^Q)", "key": r"k_j = R_j\,(z_j W^K)", "value": "v_j = z_j W^V"}[role]
    formula = formula if turned else formula.replace(r"R_i\,(", "").replace(r"R_j\,(", "").replace(")", "")
    title = {"query": "Queries", "key": "Keys", "value": "Values"}[role]
    return Opened(f"{title} of {of}, layer {walked.setup.layer}", values, _counted(values), "number", formula, explain)


def _query(walked):
    return _projected(walked, "query", walked.step.query[walked.head], walked.head)


def _key(walked):
    return _projected(walked, "key", walked.step.key[walked.kv_head], walked.kv_head)


def _value(walked):
    return _projected(walked, "value", walked.step.value[walked.kv_head], walked.kv_head)


def _weights(walked):
    step, head = walked.step, walked.head
    weights, scores = step.attention.weights[head], step.attention.scores[head]
    hidden = np.isneginf(step.attention.masked_scores[head])

    def explain(row, column):
        query, key = step.query[head, row], step.key[walked.kv_head, column]
        names = (f"query of {walked.labels[row]}", f"key of {walked.labels[column]}")
        told = (
            f"{len(query)} products add up to {number(float(query @ key))}; scaled, that is a score of "
            f"{number(float(scores[row, column]))}. "
        )
        if hidden[row, column]:
            told += f"**{as_text(walked.labels[row])}** may not look there: the weight is **0**."
        else:
            seen = int((~hidden[row]).sum())
            told += (
                f"Over the {seen} keys that it sees the softmax makes of it **{number(float(weights[row, column]))}**."
            )
        return Terms(query, key, names), told

    title = f"Weights of head {head + 1}, layer {walked.setup.layer}"
    formula = r"A = \mathrm{softmax}(c\, Q K^\top)"
    return Opened(title, weights, walked.labels, "key", formula, explain, "weights", hidden)


def _context(walked):
    step, head = walked.step, walked.head
    context, weights, value = step.attention.context[head], step.attention.weights[head], step.value[walked.kv_head]

    def explain(row, column):
        left, right = weights[row], value[:, column]
        told = (
            f"The values of all tokens that {as_text(walked.labels[row])} sees, each times its weight, add up to "
            f"**{number(float(context[row, column]))}**."
        )
        return Terms(left, right, (f"weights of {walked.labels[row]}", "values"), walked.labels), told

    title = f"Context of head {head + 1}, layer {walked.setup.layer}"
    return Opened(title, context, _counted(context), "number", "Z = A\\,V", explain)


def _head_adds(walked):
    step, head = walked.step, walked.head
    context = step.attention.context[head]
    rows = walked.layer.w_o[head * context.shape[1] : (head + 1) * context.shape[1]]  # (d_v, d_model)
    added = context @ rows

    def explain(row, column):
        told = (
            f"The {context.shape[1]} numbers of the head's context go through its rows of w_o: together they add "
            f"**{number(float(added[row, column]))}** to number {column + 1} of {as_text(walked.labels[row])}."
        )
        return Terms(context[row], rows[:, column], (f"context of {walked.labels[row]}", "column of w_o")), told

    title = f"What head {head + 1} of layer {walked.setup.layer} adds"
    return Opened(title, added, _counted(added), "number", "Z_h\\,W^O_h", explain)


def _inner(walked):
    step, matrices, model = walked.step, feed_forward_matrices(walked.layer), walked.language.model
    inner, activation = step.inner, ACTIVATIONS[model.activation]

    def explain(row, column):
        left = step.feed_forward_input[row]
        up = float(left @ matrices.w_1[:, column])
        reads = f"what {walked.labels[row]} reads"
        if matrices.w_gate is None:
            bias = float(matrices.b_1[column])
            told = (
                f"{len(left)} products and the bias {number(bias)} make {number(up + bias)}; {model.activation} makes "
                f"of it **{number(float(inner[row, column]))}**."
            )
            return Terms(left, matrices.w_1[:, column], (reads, "column of w_1")), told
        gate = float(left @ matrices.w_gate[:, column])
        told = (
            f"{len(left)} products make the gate, {number(gate)}, of which {model.activation} makes "
            f"{number(float(activation(np.float64(gate))))}. Times the product with the same column of w_up, "
            f"{number(up)}, that is **{number(float(inner[row, column]))}**."
        )
        return Terms(left, matrices.w_gate[:, column], (reads, "column of w_gate")), told

    formula = (
        r"h = \mathrm{act}(z W_1 + b_1)" if matrices.w_gate is None
        else r"h = \mathrm{act}(z W_{gate}) \odot (z W_{up})"
    )  # fmt: skip
    title = f"Inner layer of the feed-forward network, layer {walked.setup.layer}"
    return Opened(title, inner, _counted(inner), "number", formula, explain)


def _feed_forward_adds(walked):
    step, matrices = walked.step, feed_forward_matrices(walked.layer)
    added = step.feed_forward_output
    norm = getattr(walked.layer, "feed_forward_output_norm", None)

    def explain(row, column):
        left, right = step.inner[row], matrices.w_2[:, column]
        bias = "" if matrices.b_2 is None else f", with the bias {number(float(matrices.b_2[column]))},"
        normed = "" if norm is None else " A norm stands behind it."
        told = (
            f"{len(left):,} products add up to {number(float(left @ right))}{bias} and what is added to number "
            f"{column + 1} of {as_text(walked.labels[row])} is **{number(float(added[row, column]))}**.{normed}"
        )
        return Terms(left, right, (f"inner layer of {walked.labels[row]}", "column of w_2")), told

    title = f"What the feed-forward network of layer {walked.setup.layer} adds"
    return Opened(title, added, _counted(added), "number", r"h\,W_2", explain)


def _sum_of_attention(walked):
    step = walked.step
    summed = step.x + step.attention_output

    def explain(row, column):
        values = [step.x[row, column], step.attention_output[row, column]]
        told = (
            f"What came into layer {walked.setup.layer} and what all heads of its attention add make "
            f"**{number(float(summed[row, column]))}**: attention adds to the state and does not replace it."
        )
        return Summands(["came in", "attention"], np.array(values, dtype=float)), told

    title = f"The residual stream after the attention of layer {walked.setup.layer}"
    return Opened(title, summed, _counted(summed), "number", "x + a", explain)


def _sum(walked):
    step, output = walked.step, walked.step.output

    def explain(row, column):
        values = [step.x[row, column], step.attention_output[row, column], step.feed_forward_output[row, column]]
        told = (
            f"What came into layer {walked.setup.layer}, what its attention adds and what its feed-forward network "
            f"adds make **{number(float(output[row, column]))}**, which goes on."
        )
        return Summands(["came in", "attention", "feed-forward"], np.array(values, dtype=float)), told

    title = f"The residual stream after layer {walked.setup.layer}"
    return Opened(title, output, _counted(output), "number", "y = x + a + f", explain)


def _logits(walked):
    model, passed = walked.language.model, walked.read.passed
    table = model.embedding if isinstance(model, gpt2.GPT2) else model.unembedding
    words = likeliest_tokens(walked.language, passed.logits[-1], _WORDS)
    ids = [word.id for word in words]
    if 0 <= walked.setup.word < len(table) and walked.setup.word not in ids:
        ids[-1] = walked.setup.word
    labels = [token_label(walked.language, id) for id in ids]
    values, cap = passed.logits[:, ids], getattr(model, "logit_softcap", None)

    def explain(row, column):
        left, right = passed.output[row], table[ids[column]]
        capped = "" if cap is None else f", capped at ±{cap:g},"
        logit = passed.logits[row].astype(float)
        share = float(np.exp(logit[ids[column]] - logit.max()) / np.exp(logit - logit.max()).sum())
        told = (
            f"The last state times the row of {as_text(labels[column])}: {len(left)} products make a "
            f"logit{capped} of {number(float(values[row, column]))}. Of all {len(logit):,} logits after "
            f"{as_text(walked.labels[row])} the softmax gives it **{number(100 * share)}%**."
        )
        return Terms(left, right, (f"state of {walked.labels[row]}", f"row of {labels[column]}")), told

    title, formula = "Logits of the likeliest words", r"\ell = z\,E^\top"
    return Opened(title, values, labels, "word", formula, explain, words=tuple(ids))


def part_name(setup):
    """Return what the open part is called in a sentence."""
    where = f" of layer {setup.layer}"
    return {
        "attention": f"head {setup.head}{where}",
        "feed_forward": f"the feed-forward network{where}",
    }.get(setup.part, PARTS[setup.part].lower())
