"""The ledger of a score from scratch: of the default model from its file on, of others from a pass that is recorded."""

from attn import models
from attn.ui.minilm_in_numpy import minilm_paragraphs, reads_minilm
from attn.ui.numpy_code import Paragraph, numpy_code, numpy_list
from attn.ui.numpy_models import numpy_model_code
from attn.ui.pages.why.setup import MOST_TOKENS

_MINILM_NORM = """\
def dense(x, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

def held(parts, name, biases):  # parts: name -> (n, 384)
    x = sum(parts.values())
    scale = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
    parts = {
        part: (rows - rows.mean(axis=-1, keepdims=True)) / scale
        * w[f"{name}.weight"]
        for part, rows in parts.items()
    }
    shift = np.tile(w[f"{name}.bias"], (n, 1))
    return parts | {biases: parts.get(biases, 0) + shift}"""
_MINILM_EMBEDDED = """\
place = "embeddings.position_embeddings"
segment = "embeddings.token_type_embeddings"
parts = {
    "embedding": w["embeddings.word_embeddings.weight"][ids],
    "position": w[f"{place}.weight"][:n],
    "segment": w[f"{segment}.weight"][encoded.type_ids],
}
parts = {part: rows.astype(float) for part, rows in parts.items()}
parts = held(parts, "embeddings.LayerNorm", "first norm")"""
_MINILM_LAYERS = """\
from math import erf
def gelu(x):
    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2

def by_head(x):  # (n, 384) -> (12, n, 32)
    return x.reshape(n, 12, 32).swapaxes(0, 1)

looked_at = []  # by layer: where each head looks most, (12, n)
for number in range(layer):
    name, biases = f"encoder.layer.{number}", f"biases of {number + 1}"
    x = sum(parts.values())
    q, k, v = (
        by_head(dense(x, f"{name}.attention.self.{role}"))
        for role in ("query", "key", "value")
    )
    scores = q @ k.swapaxes(1, 2) / np.sqrt(32)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)  # (12, n, n)
    looked_at.append(weights.argmax(axis=-1))
    w_o = w[f"{name}.attention.output.dense.weight"].T
    written = weights @ v @ w_o.reshape(12, 32, 384)  # (12, n, 384)
    parts |= {(number, one): rows for one, rows in enumerate(written)}
    b_o = w[f"{name}.attention.output.dense.bias"]
    parts[biases] = np.tile(b_o, (n, 1))
    parts = held(parts, f"{name}.attention.output.LayerNorm", biases)
    x = sum(parts.values())
    inner = gelu(dense(x, f"{name}.intermediate.dense"))  # (n, 1536)
    made = dense(inner, f"{name}.output.dense")
    parts[f"feed-forward {number + 1}"] = made
    parts = held(parts, f"{name}.output.LayerNorm", biases)"""
_MINILM_PROJECTED = """\
columns = slice(head * 32, (head + 1) * 32)
names = [*parts, f"biases of {layer + 1}"]

def projected(role, token):
    name = f"encoder.layer.{layer}.attention.self.{role}"
    rows = np.array([rows[token] for rows in parts.values()])
    rows = rows @ w[f"{name}.weight"].T[:, columns]
    return np.vstack([rows, w[f"{name}.bias"][columns]])

scale = 1 / np.sqrt(32)"""
_BERT_PARTS = """\
def held(parts, norm, biases):
    x = sum(parts.values())
    scale = np.sqrt(x.var() + model.epsilon)
    parts = {
        part: (row - row.mean()) / scale * norm.gain
        for part, row in parts.items()
    }
    return parts | {biases: parts.get(biases, 0) + norm.bias}

def parts_of(token):  # name -> (d_model,)
    parts = {
        "embedding": model.embedding[passed.ids[token]].astype(float),
        "position": model.positions[token],
    }
    if model.types is not None:
        parts["segment"] = model.types[passed.types[token]]
    parts = held(parts, model.embedding_norm, "first norm")
    for number in range(layer):
        own, step = model.layers[number], passed.blocks[number]
        context = step.attention.context[:, token]  # (heads, d_v)
        w_o = own.attention.w_o.reshape(*context.shape, -1)
        for one, (row, matrix) in enumerate(zip(context, w_o)):
            parts[number, one] = row @ matrix
        biases = f"biases of {number + 1}"
        parts[biases] = own.attention.b_o
        parts = held(parts, own.attention_norm, biases)
        made = step.feed_forward_output[token]
        parts[f"feed-forward {number + 1}"] = made
        parts = held(parts, own.feed_forward_norm, biases)
    return parts"""
_BERT_PROJECTED = """\
own = model.layers[layer].attention
columns = slice(head * own.d_k, (head + 1) * own.d_k)  # of this head
names = [*parts_of(query), f"biases of {layer + 1}"]

def projected(role, token):
    matrices = {"query": (own.w_q, own.b_q), "key": (own.w_k, own.b_k)}
    w, b = matrices[role]
    rows = np.array(list(parts_of(token).values()))
    return np.vstack([rows @ w[:, columns], b[columns]])

scale = 1 / np.sqrt(own.d_k)"""
_LLAMA_PARTS = """\
def parts_of(token):  # name -> (d_model,)
    parts = {"embedding": passed.states[0][token].astype(float)}
    for number in range(layer):
        own, step = model.layers[number], passed.layers[number]
        context = step.attention.context[:, token]  # (heads, d_v)
        w_o = own.w_o.reshape(*context.shape, -1)
        for one, (row, matrix) in enumerate(zip(context, w_o)):
            parts[number, one] = row @ matrix
        made = step.feed_forward_output[token]
        parts[f"feed-forward {number + 1}"] = made
    return parts"""
_LLAMA_PROJECTED = """\
own, d_k = model.layers[layer], model.d_k
group = head // (model.num_heads // model.num_kv_heads)  # of its keys
names = list(parts_of(query))

def turned(rows, position):
    half = d_k // 2
    angles = position * base ** (-np.arange(half) / half)
    cos, sin = np.cos(angles), np.sin(angles)
    first, second = rows[:, :half], rows[:, half:]
    return np.hstack([first * cos - second * sin,
                      second * cos + first * sin])

def projected(role, token):
    w, at = {"query": (own.w_q, head), "key": (own.w_k, group)}[role]
    rows = np.array(list(parts_of(token).values()))
    size = np.sqrt((rows.sum(axis=0) ** 2).mean() + model.epsilon)
    rows = rows / size * own.attention_norm  # the norm, its scale held
    return turned(rows @ w[:, at * d_k : (at + 1) * d_k], token)

scale = model.scale"""
_TABLE = """\
q, k = projected("query", query), projected("key", key)
if against:  # other keys: the mean of the same parts is taken away
    k = k - np.mean([projected("key", at) for at in against], axis=0)
table = scale * q @ k.T

def label(part, token):
    if isinstance(part, str):
        return part
    number, one = part  # a head, and the token at which it looks most
    source = looked_at[number][one, token]
    return f"{number + 1}.{one + 1} → {labels[source]}"

for at in np.argsort(-abs(table), axis=None)[:12]:
    a, b = np.unravel_index(at, table.shape)
    pair = f"{label(names[a], query)} × {label(names[b], key)}"
    print(f"{table[a, b]:9.4f}  {pair}")"""
_SUM = """\
real = scores[key]
if against:
    real = real - np.mean([scores[at] for at in against])
cell = f"{labels[query]} asks {labels[key]}"
print(f"Layer {layer + 1} head {head + 1}, {cell}:")
total = f"sum of {table.size} pairs {table.sum():.6f}"
print(f"{total}, score {real:.6f}")"""
_MINILM_SCORES = """\
x, name = sum(parts.values()), f"encoder.layer.{layer}.attention.self"
keys = dense(x, f"{name}.key")[:, columns]  # (n, 32)
scores = dense(x, f"{name}.query")[query, columns] @ keys.T * scale
"""
_OWN_SCORES = "scores = passed.{kept}[layer].attention.scores[head, query]\n"


def ledger_numpy_code(reading, layer, head, query, key, against):
    """Return what makes the lines that take a score apart in numpy, of families whose steps they hold; else None.

    Parameters
    ----------
    reading : Reading
    layer, head, query, key : int
        Counted from 0.
    against : sequence of int or None
        Other keys.
    """
    model, said = reading.model, "the model's own score, rounded to some seven digits"
    scores = _OWN_SCORES.format(kept="layers" if reading.writes else "blocks")
    if reads_minilm((reading.name, False, reading.text, "")):
        steps, said, scores = _from_file, "the score of the whole states", _MINILM_SCORES
    elif isinstance(model, models.bert.Bert):
        steps = _of_relatives
    elif isinstance(model, models.llama.Llama) and _is_plain(model, layer):
        steps = _of_llama
    else:
        return None
    others = numpy_list("against", [] if against is None else against)
    chosen = Paragraph(
        "The chosen cell: code counts from 0, what it prints from 1",
        f"layer, head = {layer}, {head}  # {layer + 1} and {head + 1} on the page\n"
        f"query, key = {query}, {key}  # {query + 1} and {key + 1} on the page\n{others}",
    )
    return lambda: numpy_code(
        *steps(reading, chosen, layer),
        Paragraph("Every part of the query with every part of the key", _TABLE),
        Paragraph(f"Their sum, beside {said}", f"{scores}{_SUM}"),
    )


def _is_plain(model, layer):
    """Return whether a Llama has no norm, bias and turning but those of the lines."""
    kinds = ("query_norm", "attention_output_norm", "b_q", "b_k", "b_o")
    rope = model.ropes[model.layers[layer].rope] if model.layers[layer].rope else {"rope_type": None}
    return (
        all(getattr(each, kind) is None for each in model.layers for kind in kinds)
        and model.layers[layer].attention_norm is not None
        and model.softcap is None
        and rope.get("rope_type", "default") == "default"
        and rope.get("partial_rotary_factor", 1.0) == 1.0
    )


def _from_file(reading, chosen, layer):
    """Return the paragraphs that take states of the default model apart, from its file on."""
    del layer
    file, tokens, *_ = minilm_paragraphs(reading.text, 0, most_tokens=MOST_TOKENS)
    labels = 'labels = [f"{at} {token}" for at, token in enumerate(tokens, 1)]'
    return [
        file,
        tokens._replace(lines=f"{tokens.lines}\n{labels}"),
        chosen,
        Paragraph("A norm, its scale held at what it is: each part goes through alone", _MINILM_NORM),
        Paragraph("The first parts of each state: the word, its place, its segment", _MINILM_EMBEDDED),
        Paragraph("The layers before: what each head and each network adds is a part", _MINILM_LAYERS),
        Paragraph("The head's matrices: of each part its query or key, (parts, 32)", _MINILM_PROJECTED),
    ]


def _of_relatives(reading, chosen, layer):
    """Return the paragraphs that take states of an encoder apart."""
    del layer
    return _of_pass(reading, chosen, "blocks", _BERT_PARTS, _BERT_PROJECTED)


def _of_llama(reading, chosen, layer):
    """Return the paragraphs that take states of a Llama apart."""
    base = reading.model.ropes[reading.model.layers[layer].rope]["rope_theta"]
    return _of_pass(reading, chosen, "layers", _LLAMA_PARTS, f"base = {base}  # of its angles\n{_LLAMA_PROJECTED}")


def _of_pass(reading, chosen, kept, parts, projected):
    """Return the paragraphs that take states apart of which a pass was recorded with this package."""
    opening = numpy_model_code(reading.name, reading.text, MOST_TOKENS, reading.opened)
    named = (
        'labels = [f"{at} {token.text}" for at, token in enumerate(tokens, 1)]\n'
        f"looked_at = [\n    step.attention.weights.argmax(axis=-1) for step in passed.{kept}\n]"
    )
    return [
        Paragraph("The model and its pass, recorded by this package", f"{opening}\n{named}"),
        chosen,
        Paragraph("What each head and each network before wrote is a part of a state", parts),
        Paragraph("Each part through the norm, its scale held, and the head's matrices", projected),
    ]
