"""Block: one block of a Transformer in numpy alone, with the present setting's numbers in its comments."""

from attn.charts.labels import number
from attn.ui.controls.positions import positions_in_numpy
from attn.ui.numpy_code import Paragraph, numpy_code, numpy_embeddings, numpy_shapes, numpy_tokens

_NORM = """\
def norm(x):  # mean 0 and variance 1 in each row; gain 1 and bias 0
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
"""
_LABELS = {"attention": "Attention", "feed_forward": "Feed-forward"}


def block_numpy_code(result):
    """Return the lines that make the block, those of the stage in view lit.

    Parameters
    ----------
    result : Walked

    Returns
    -------
    str
    """
    setup = result.setup
    around = {True: _pre_norm, False: _post_norm}[setup.pre_norm]
    return numpy_code(
        *_inputs(result),
        _weights(result),
        Paragraph("Layer norm, which each sublayer needs", _NORM),
        _attention_function(result),
        Paragraph("Feed-forward: a network for each token alone", _feed_forward_function(result)),
        *around("attention", "what tokens find in one another"),
        *around("feed_forward", "what a network makes of each token"),
        at=setup.stage,
    )


def _inputs(result):
    """Return the paragraphs of the tokens, their embeddings and the block's input."""
    setup, (n, d_model) = result.setup, result.x.shape
    sizes = f"n, d_model, num_heads, d_ff = {n}, {d_model}, {setup.num_heads}, {setup.d_ff}"
    embedded = numpy_embeddings(result.x, setup.seed)
    factor = f" * np.sqrt(d_model)  # times {number(d_model**0.5)}" if setup.scaled else ""
    return [
        numpy_tokens(result.tokens, sizes=sizes),
        embedded._replace(lines=f"{embedded.lines}\nx = x / np.sqrt(d_model)  # each about as long as 1", stage=""),
        Paragraph(
            "Input: embeddings with sinusoidal positions",
            f"{positions_in_numpy('sinusoidal', 0)[1]}\nx = x{factor}\nx = x + positions  # {result.x.shape}",
            "input",
            "x.round(4)",
        ),
    ]


def _weights(result):
    """Return the paragraph that draws every matrix."""
    p, fed = result.layer.attention, result.layer.feed_forward
    lines = [
        f"rng = np.random.default_rng({result.setup.seed})",
        "",
        "def draw(rows, columns):",
        "    return rng.normal(0, rows**-0.5, (rows, columns))",
        "",
        *(f"{name} = draw(d_model, d_model)  # {p.w_q.shape}" for name in ("w_q", "w_k", "w_v", "w_o")),
        f"w_1 = draw(d_model, d_ff)  # {fed.w_1.shape}",
        f"w_2 = draw(d_ff, d_model)  # {fed.w_2.shape}",
    ]
    return Paragraph("Weight matrices, drawn at random; all biases are 0", "\n".join(lines))


def _attention_function(result):
    """Return the paragraph that defines attention with several heads."""
    steps = result.block.attention
    return Paragraph(
        "Attention: every token looks at every other, in each head",
        "def split(x):  # (n, d_model) -> (num_heads, n, d_k)\n"
        "    return x.reshape(n, num_heads, -1).swapaxes(0, 1)\n"
        "\n"
        "def attention(x):\n"
        "    query, key, value = split(x @ w_q), split(x @ w_k), split(x @ w_v)\n"
        "    d_k = query.shape[-1]\n"
        f"    scores = query @ key.swapaxes(1, 2) / np.sqrt(d_k)  # {steps.scores.shape}\n"
        "    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
        "    weights = exp / exp.sum(axis=-1, keepdims=True)\n"
        f"    context = weights @ value  # {steps.context.shape}\n"
        f"    concat = context.swapaxes(0, 1).reshape(n, d_model)  # {steps.concat.shape}\n"
        "    return concat @ w_o\n",
    )


def _feed_forward_function(result):
    """Return the lines that define the feed-forward network."""
    fed = result.layer.feed_forward
    wide = numpy_shapes(result.x.shape, fed.w_1.shape)
    return f"def feed_forward(x):\n    hidden = np.maximum(x @ w_1, 0)  # {wide}\n    return hidden @ w_2\n"


def _post_norm(name, told):
    """Return the paragraphs of a sublayer whose sum is normalised."""
    return [
        Paragraph(f"{_LABELS[name]}: {told}", f"made = {name}(x)", name, "made.round(4)"),
        Paragraph("Add: the residual connection", "added = x + made", f"{name}_add", "added.round(4)"),
        Paragraph("Norm, after the sum", "x = norm(added)", f"{name}_norm", "x.round(4)"),
    ]


def _pre_norm(name, told):
    """Return the paragraphs of a sublayer that reads what is normalised."""
    return [
        Paragraph("Norm, before the sublayer", "read = norm(x)", f"{name}_norm", "read.round(4)"),
        Paragraph(f"{_LABELS[name]}: {told}", f"made = {name}(read)", name, "made.round(4)"),
        Paragraph("Add: the residual connection", "x = x + made", f"{name}_add", "x.round(4)"),
    ]
