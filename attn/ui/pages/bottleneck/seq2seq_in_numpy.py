"""Bottleneck: a trained model from its weights to what it writes, in numpy alone."""

import textwrap

import numpy as np

from attn.architectures.seq2seq import Bahdanau, Luong
from attn.trained import CHANGED
from attn.ui.numpy_code import Paragraph, numpy_array, numpy_code, numpy_list

_WEIGHTS = """\
from importlib.resources import files
from safetensors.numpy import load_file
folder = files("attn.trained") / "weights"
w = load_file(folder / "{name}.safetensors")
w = {{name: matrix.astype(np.float32) for name, matrix in w.items()}}"""
_SOFTMAX = """\
def softmax(x):
    exp = np.exp(x - x.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
"""
_SIGMOID = """\
def sigmoid(x):
    return 1 / (1 + np.exp(-x))

"""
_GRU = """\
def gru(x, state, part):
    r_x, z_x, c_x = np.split(x @ w[f"{part}.w_x"] + w[f"{part}.b_x"], 3)
    w_r, w_z, w_c = np.split(w[f"{part}.w_h"], 3, axis=1)
    r, z = sigmoid(r_x + state @ w_r), sigmoid(z_x + state @ w_z)
    return (1 - z) * state + z * np.tanh(c_x + (r * state) @ w_c)
"""
_LSTM = """\
def lstm(x, state, cell, part):
    gates = x @ w[f"{part}.w_x"] + state @ w[f"{part}.w_h"]
    i, f, g, o = np.split(gates + w[f"{part}.b_x"], 4)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell
"""
_READ_BOTH_WAYS = """\
def read(part, x):
    state, states = np.zeros(len(w["b_s"])), []
    for vector in x:
        state = gru(vector, state, part)
        states.append(state)
    return np.array(states)

x = w["source.embedding"][source]
forward = read("forward", x)
backward = read("backward", x[::-1])[::-1]
h = np.hstack([forward, backward])  # a row for each symbol read
state = np.tanh(backward[0] @ w["w_s"] + w["b_s"])"""
_READ = """\
state = cell = np.zeros(len(w["w_s"]))
states = []
for vector in w["source.embedding"][source]:
    state, cell = lstm(vector, state, cell, "encoder")
    states.append(state)
h = np.array(states)  # a row for each symbol read
fed = np.zeros_like(state)"""
_LOOK = {
    "bahdanau": """\
def look(query, step):  # the query: the state before this symbol
    scores = np.tanh(query @ w["w_a"] + h @ w["u_a"]) @ w["v_a"]
    return softmax(scores)  # a weight for each symbol read
""",
    "fixed": """\
fixed = np.concatenate([forward[-1], backward[0]])  # one vector for all
""",
    "luong": """\
def look(query, step):  # the query: the state of this symbol
    return softmax(h @ (query @ w["w_a"]))  # a weight for each symbol
""",
    "local-m": """\
def look(query, step):  # in a window around the same place
    scores = h @ (query @ w["w_a"])
    far = abs(np.arange(len(h)) - step) > {half_width}
    if far.all():
        return np.zeros(len(h))
    return softmax(np.where(far, -np.inf, scores))
""",
    "local-p": """\
def look(query, step):  # in a window around a place that it predicts
    centre = len(h) * sigmoid(np.tanh(query @ w["w_p"]) @ w["v_p"])
    away = np.arange(len(h)) - centre
    far = abs(away) > {half_width}
    weights = softmax(np.where(far, -np.inf, h @ (query @ w["w_a"])))
    return weights * np.exp(-(away**2) / (2 * ({half_width} / 2) ** 2))
""",
}
_WRITE_BAHDANAU = """\
symbol, symbols, looked = 0, [], []  # 0 begins, 1 ends
while symbol != 1 and len(symbols) < {most}:
{context}
    embedded = w["target.embedding"][symbol]
    deep = state @ w["u_o"] + embedded @ w["v_o"]
    deep = deep + context @ w["c_o"] + w["b_o"]
    logits = deep.reshape(-1, 2).max(axis=-1) @ w["w_o"]
    symbol = int(logits.argmax())
    state = gru(np.concatenate([embedded, context]), state, "decoder")
    symbols.append(symbol)"""
_ATTENDED = """\
weights = look(state, len(symbols))
context = weights @ h  # (2 n,)
looked.append(weights)"""
_FIXED = """\
context = fixed  # the same at every step: the bottleneck
looked.append(context)"""
_WRITE_LUONG = """\
symbol, symbols, looked = 0, [], []  # 0 begins, 1 ends
while symbol != 1 and len(symbols) < {most}:
    x = w["target.embedding"][symbol]
    {fed}
    weights = look(state, len(symbols))
    context = weights @ h
    fed = np.tanh(np.concatenate([context, state]) @ w["w_c"])
    symbol = int((fed @ w["w_s"] + w["b_s"]).argmax())
    symbols.append(symbol), looked.append(weights)"""
_FED = 'state, cell = lstm(np.concatenate([x, fed]), state, cell, "decoder")'
_UNFED = 'state, cell = lstm(x, state, cell, "decoder")'
_NOT_FED = """
width = w["target.embedding"].shape[1]
w["decoder.w_x"] = w["decoder.w_x"][:width]  # nothing is fed"""
_BLOCK = """\
def norm(x, name):
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
    return x * w[f"{name}.gain"] + w[f"{name}.b_norm"]

def attend(x, memory, name, causal=False):
    def heads(x, role):  # (n, 48) -> (4, n, 12)
        x = x @ w[f"{name}.w_{role}"] + w[f"{name}.b_{role}"]
        return x.reshape(len(x), 4, -1).swapaxes(0, 1)
    query = heads(x, "q")
    key, value = heads(memory, "k"), heads(memory, "v")
    scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1])
    if causal:
        scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    weights = softmax(scores)
    concat = (weights @ value).swapaxes(0, 1).reshape(len(x), -1)
    found = concat @ w[f"{name}.w_o"] + w[f"{name}.b_o"]
    return norm(x + found, name), weights

def feed_forward(x, name):
    hidden = np.maximum(x @ w[f"{name}.w_1"] + w[f"{name}.b_1"], 0)
    return norm(x + hidden @ w[f"{name}.w_2"] + w[f"{name}.b_2"], name)

def placed(x):  # sinusoidal positions
    place, wave = np.indices(x.shape)
    angles = place / 10000 ** (wave // 2 * 2 / x.shape[1])
    return x + np.where(wave % 2 == 0, np.sin(angles), np.cos(angles))
"""
_READ_TRANSFORMER = """\
h = placed(w["source.embedding"][source])
for layer in range({layers}):
    h, _ = attend(h, h, f"encoder.{{layer}}.self")
    h = feed_forward(h, f"encoder.{{layer}}.feed_forward")"""
_WRITE_TRANSFORMER = """\
symbol, symbols, looked = 0, [], []  # 0 begins, 1 ends
while symbol != 1 and len(symbols) < {most}:
    x = placed(w["target.embedding"][[0, *symbols]])
    for layer in range({layers}):
        x, _ = attend(x, x, f"decoder.{{layer}}.self", causal=True)
        x, weights = attend(x, h, f"decoder.{{layer}}.cross")
        x = feed_forward(x, f"decoder.{{layer}}.feed_forward")
    symbol = int((x[-1] @ w["w_out"] + w["b_out"]).argmax())
    symbols.append(symbol)
    looked.append(weights.mean(axis=0)[-1])  # the mean of the heads"""


def seq2seq_numpy_code(task, name, trained_on, title, model, ids, source, most):
    """Return the lines that let one model read and write, where it looks lit.

    Parameters
    ----------
    task, name, trained_on : str
        As for `attn.trained.load`.
    title : str
        What the model is called.
    model : Bahdanau, Luong or Transformer
    ids : sequence of int
        What it reads.
    source : sequence of str
        The same as people write it.
    most : int
        Symbols after which it stops.

    Returns
    -------
    str
    """
    whole = CHANGED[name][0] if name in CHANGED else name
    where = (
        "Where it looks" if getattr(model, "attends", True) else "Where it cannot look: all that is kept is one vector"
    )
    if isinstance(model, Bahdanau):
        look = _LOOK["bahdanau" if model.attends else "fixed"]
        context = textwrap.indent(_ATTENDED if model.attends else _FIXED, "    ")
        parts = _SIGMOID + _GRU, _READ_BOTH_WAYS, look, _WRITE_BAHDANAU.format(most=most, context=context)
    elif isinstance(model, Luong):
        look = _LOOK["luong" if model.reach == "global" else model.reach].format(half_width=model.half_width)
        fed = _FED if model.input_feeding else _UNFED
        unfed = "" if model.input_feeding else _NOT_FED
        parts = _SIGMOID + _LSTM, _READ + unfed, look, _WRITE_LUONG.format(most=most, fed=fed)
    else:
        layers = len(model.encoder)
        parts = _BLOCK, _READ_TRANSFORMER.format(layers=layers), "", _WRITE_TRANSFORMER.format(most=most, layers=layers)
    steps, read, look, write = parts
    return numpy_code(
        Paragraph(
            f"{title}: what training has found comes with the package",
            _WEIGHTS.format(name=f"{task}-{whole}-{trained_on}"),
        ),
        Paragraph(
            "What it reads: each symbol by its number",
            f"{numpy_list('read_symbols', [*source, 'end'])}\n{numpy_array('source', np.array(ids))}",
        ),
        Paragraph("Softmax: weights that sum to 1", _SOFTMAX),
        Paragraph("A step of the network" if look else "What every layer is made of", steps, "" if look else "look"),
        Paragraph("Read", read),
        Paragraph(where, look, "look") if look else None,
        Paragraph("Write: one symbol after the other, each the likeliest", write),
        Paragraph("What was written, by numbers", "print(symbols)\nprint(np.array(looked).round(4))"),
        at="look",
    )
