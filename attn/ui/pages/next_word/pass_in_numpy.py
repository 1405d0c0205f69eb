"""Next word from scratch: a whole pass in numpy alone, from the model's own files to the likeliest next words."""

from pathlib import Path
from typing import NamedTuple

from attn.models import gpt2
from attn.models.ablation import SUBLAYERS
from attn.pretrained.loading import smollm2
from attn.pretrained.loading.gguf_model import LAYER
from attn.ui.language_models import MOST_WALKED
from attn.ui.numpy_code import Paragraph, numpy_code, numpy_literal, numpy_text
from attn.ui.pages.next_word import part_values

_SAFETENSORS = """\
import json
from pathlib import Path
from tokenizers import Tokenizer
FOLDER

kinds = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
def tensors(file):  # safetensors: a header in JSON, then the numbers
    raw = np.fromfile(file, np.uint8)
    start = 8 + int(raw[:8].view("<u8")[0])
    for name, said in json.loads(raw[8:start].tobytes()).items():
        if said.get("dtype") in kinds:
            first, end = (start + at for at in said["data_offsets"])
            numbers = raw[first:end].view(kinds[said["dtype"]])
            if said["dtype"] == "BF16":  # the upper half of a float32
                numbers = (numbers.astype("<u4") << 16).view("<f4")
            yield name, np.float32(numbers).reshape(said["shape"])

w = {}  # name -> matrix
for file in sorted(folder.glob("*.safetensors")):
    w.update(tensors(file))
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
"""
_HUB = """\
from huggingface_hub import snapshot_download
files = ["*.safetensors", "tokenizer.json"]
folder = Path(snapshot_download({name}, allow_patterns=files))"""
_GGUF = """\
from importlib.util import find_spec
from gguf import GGUFReader, dequantize
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
(folder,) = find_spec("{package}").submodule_search_locations
reader = GGUFReader(f"{{folder}}/{file}")
w = {{  # name -> matrix, of 4 bits a number
    each.name: dequantize(each.data, each.tensor_type)
    for each in reader.tensors
}}

def apart(w, heads):  # this file has side by side what turns together
    pairs = w.reshape(heads, -1, 2, w.shape[1])
    return pairs.swapaxes(1, 2).reshape(w.shape)

for name in w:
    if name.endswith("attn_q.weight"):
        w[name] = apart(w[name], {num_heads})
    if name.endswith("attn_k.weight"):
        w[name] = apart(w[name], {num_kv_heads})

said = {{name: each.contents() for name, each in reader.fields.items()}}
pieces = said["tokenizer.ggml.tokens"]
vocabulary = {{piece: id for id, piece in enumerate(pieces)}}
pairs = said["tokenizer.ggml.merges"]
merges = [tuple(pair.split(" ")) for pair in pairs]
tokenizer = Tokenizer(models.BPE(vocabulary, merges))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Digits(individual_digits=True),
    pre_tokenizers.ByteLevel(add_prefix_space=False),
])
tokenizer.decoder = decoders.ByteLevel()
kinds = said["tokenizer.ggml.token_type"]
tokenizer.add_special_tokens(
    [piece for piece, kind in zip(pieces, kinds) if kind == 3]
)
"""
_IDS = """\
ids = tokenizer.encode(text).ids[:{most}]
n = len(ids)"""
_SOFTMAX = """\
def softmax(x):
    exp = np.exp(x - x.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
"""
_LLAMA_PIECES = """\
num_heads, num_kv = {num_heads}, {num_kv_heads}
d_k = {d_k}

def norm(x, name):  # mean square 1 in each row, times a gain
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + {epsilon})
    return x * w[f"{{name}}.weight"]

def dense(x, name):
    return x @ w[f"{{name}}.weight"].T

def split(x, heads):  # (n, heads * d_k) -> (heads, n, d_k)
    return x.reshape(n, heads, d_k).swapaxes(0, 1)

speeds = {base} ** (-np.arange(d_k // 2) / (d_k // 2))
cos, sin = (f(np.arange(n)[:, None] * speeds) for f in (np.cos, np.sin))

def turn(x):  # each pair of numbers turns by its position
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
"""
_LLAMA_ATTENTION = """\
def attention(x, number):
    at = f"model.layers.{number}"
    z = norm(x, f"{at}.input_layernorm")
    query = turn(split(dense(z, f"{at}.self_attn.q_proj"), num_heads))
    key = turn(split(dense(z, f"{at}.self_attn.k_proj"), num_kv))
    value = split(dense(z, f"{at}.self_attn.v_proj"), num_kv)
    key = np.repeat(key, num_heads // num_kv, axis=0)
    value = np.repeat(value, num_heads // num_kv, axis=0)
    scores = query @ key.swapaxes(1, 2) / np.sqrt(d_k)
    weights = softmax(np.where(np.tri(n, dtype=bool), scores, -np.inf))
    context = weights @ value  # (num_heads, n, d_k)
CONTEXT    merged = context.swapaxes(0, 1).reshape(n, -1)
    return dense(merged, f"{at}.self_attn.o_proj")
"""
_LLAMA_FEED_FORWARD = """\
def feed_forward(x, number):
    at = f"model.layers.{number}"
    z = norm(x, f"{at}.post_attention_layernorm")
    gate, up = dense(z, f"{at}.mlp.gate_proj"), dense(z, f"{at}.mlp.up_proj")
    inner = gate / (1 + np.exp(-gate)) * up  # (n, d_ff)
INNER    return dense(inner, f"{at}.mlp.down_proj")
"""
_GPT2_PIECES = """\
num_heads = {num_heads}
w = {{name.removeprefix("transformer."): w[name] for name in w}}

def norm(x, name):  # mean 0 and variance 1 in each row
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + {epsilon})
    return x * w[f"{{name}}.weight"] + w[f"{{name}}.bias"]

def dense(x, name):
    return x @ w[f"{{name}}.weight"] + w[f"{{name}}.bias"]
"""
_GPT2_ATTENTION = """\
def split(x):  # (n, d_model) -> (num_heads, n, d_k)
    return x.reshape(n, num_heads, -1).swapaxes(0, 1)

def attention(x, number):
    z = norm(x, f"h.{number}.ln_1")
    parts = np.split(dense(z, f"h.{number}.attn.c_attn"), 3, axis=-1)
    query, key, value = map(split, parts)
    scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1])
    weights = softmax(np.where(np.tri(n, dtype=bool), scores, -np.inf))
    context = weights @ value  # (num_heads, n, d_k)
CONTEXT    merged = context.swapaxes(0, 1).reshape(n, -1)
    return dense(merged, f"h.{number}.attn.c_proj")
"""
_GPT2_FEED_FORWARD = """\
def feed_forward(x, number):
    z = norm(x, f"h.{number}.ln_2")
    inner = dense(z, f"h.{number}.mlp.c_fc")
    wave = np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3))
    inner = inner * (1 + wave) / 2  # (n, d_ff)
INNER    return dense(inner, f"h.{number}.mlp.c_proj")
"""
_LOOP = """\
for number in range({layers}):
    added = attention(x, number)  # (n, d_model)
{attention}    x = x + added
ATTENTION    added = feed_forward(x, number)
{feed_forward}    x = x + added
FEED_FORWARD"""
_LIKELIEST = """\
p = softmax(logits[-1].astype(float))
for id in np.argsort(-p)[:10]:
    print(repr(tokenizer.decode([id])), p[id].round(4))"""
_OF_HEAD = ("query", "key", "value", "weights", "context")  # stages of attention that are arrays by head


class _Line(NamedTuple):
    """What a line of descent has of its own."""

    pieces: str
    embedding: str
    attention: str
    feed_forward: str
    norm: str
    logits: str
    rows: str  # of the matrix that mixes heads


def pass_in_numpy(walked, factors, ids=None):
    """Return what makes the lines of a pass from scratch, or None of a model that these lines do not compute.

    Parameters
    ----------
    walked : Walked
    factors : tuple of PartFactor
    ids : sequence of int, optional
        The words of the open logits. With them the lines end with the numbers of the open part, without them with the
        likeliest next words.

    Returns
    -------
    callable or None
        Without arguments; returns a str.
    """
    model, family = walked.language.model, walked.language.family
    if walked.setup.model.endswith(".gguf"):
        return None
    if isinstance(model, gpt2.GPT2):
        plain = (
            model.activation in ("gelu_new", "gelu_pytorch_tanh") and len({each.scale for each in model.layers}) == 1
        )
    else:
        layer, rope = model.layers[0], next(iter(model.ropes.values()))
        extra = (layer.b_q, layer.b_gate, layer.query_norm, layer.attention_output_norm, layer.window, model.softcap)
        plain = all(each is None for each in extra) and family in ("llama", "mistral") and model.activation == "silu"
        plain &= rope.get("rope_type", rope.get("type")) in (None, "default")
        plain &= model.d_k * model.num_heads == model.embedding.shape[1]
    return (lambda: _lines(walked, factors, ids)) if plain else None


def _lines(walked, factors, ids):
    """Return the program: what all models share around what a line of descent has of its own."""
    setup, model = walked.setup, walked.language.model
    line = _gpt2_line(model) if isinstance(model, gpt2.GPT2) else _llama_line(model)
    files, in_gguf = _files(setup.model, model), setup.model == smollm2.NAME and smollm2.packaged()
    changed = {(each.layer, each.part): each.factor for each in factors}
    heads = any(not isinstance(part, str) for _, part in changed)
    times = {
        part: f'    added = added * factors.get((number, "{part}"), 1)\n'
        if any(part == each for _, each in changed)
        else ""
        for part in SUBLAYERS
    }
    scaled = "    for head in range(num_heads):\n        context[head] *= factors.get((number, head), 1)\n"
    told = "\n".join(f"    ({layer}, {numpy_literal(part)}): {factor:g}," for (layer, part), factor in changed.items())
    seen = {} if ids is None else _seen(walked, line)
    attention = line.attention.replace("CONTEXT", (scaled if heads else "") + seen.get("inside attention", ""))
    loop = _LOOP.format(layers=len(model.layers), **times)
    for part in SUBLAYERS:
        loop = loop.replace(part.upper(), seen.get(part, ""))
    words = "logits[-1].max()" if ids is None else f"logits[:, {list(map(int, ids))}].round(4)"
    code = numpy_code(
        Paragraph("The model's files", files),
        Paragraph(
            "Tokens: pieces of words, each with its number in the vocabulary",
            f"{numpy_text('text', setup.text)}\n{_IDS.format(most=MOST_WALKED)}", "tokens", "ids",
        ),
        Paragraph("What adds less or more than it does: (layer, part), from 0", f"factors = {{\n{told}\n}}")
        if changed else None,
        Paragraph("What every layer is made of", f"{_SOFTMAX}\n{line.pieces}"),
        Paragraph("Embeddings: a row of the table for each token", line.embedding, "embedding", "x.round(4)"),
        Paragraph("Attention: each token reads those before it", attention, "attention"),
        Paragraph(
            "Feed-forward: a network for each token alone",
            line.feed_forward.replace("INNER", seen.get("inside feed_forward", "")), "feed_forward",
        ),
        Paragraph(f"All {len(model.layers)} layers, each adding to the residual stream", loop),
        Paragraph("The last norm", line.norm, "norm", "x.round(4)"),
        Paragraph("Logits: the last states times the row of every word", line.logits, "logits", words),
        Paragraph("The likeliest next words", _LIKELIEST) if ids is None else None,
        at=setup.part,
    )  # fmt: skip
    return _with_names_of_gguf(code) if in_gguf else code


def _seen(walked, line):
    """Return the lines that print the open stage, by where in the program they stand."""
    setup, head = walked.setup, walked.head
    if setup.part not in SUBLAYERS:
        return {}
    before, what = "", {"read": "z", "inner": "inner", "sum": "x", "adds": "added"}.get(setup.stage)
    if setup.stage in _OF_HEAD:
        what = f"{setup.stage}[{head}]"
    elif (setup.part, setup.stage) == ("attention", "adds"):
        width = walked.of(part_values.head_context).shape[1]
        before, what = f"rows = {line.rows}[{head * width}:{(head + 1) * width}]", f"(context[{head}] @ rows)"
    outside = setup.stage == "sum" or (setup.part, setup.stage) == ("feed_forward", "adds")
    lines = [f"if number == {setup.layer - 1}:  # the open part", *([f"    {before}"] if before else [])]
    lines = "".join(f"    {each}\n" for each in [*lines, f"    print({what}.round(4))"])
    return {setup.part if outside else f"inside {setup.part}": lines}


def _files(name, model):
    """Return the lines that open the files of a model, and bind ``w`` and ``tokenizer``."""
    if name == smollm2.NAME and smollm2.packaged():
        heads = {"num_heads": model.num_heads, "num_kv_heads": model.num_kv_heads}
        return _GGUF.format(package=smollm2.PACKAGE, file=smollm2.FILE, **heads)
    folder = smollm2.cached() if name == smollm2.NAME else Path(name)
    if folder and folder.is_dir():
        return _SAFETENSORS.replace("FOLDER", f"folder = Path({numpy_literal(str(folder))})")
    return _SAFETENSORS.replace("FOLDER", _HUB.format(name=numpy_literal(name)))


def _with_names_of_gguf(code):
    """Return lines with the names that a GGUF file has for the matrices."""
    names = {
        "model.layers": "blk",
        "model.embed_tokens": "token_embd",
        '"model.norm': '"output_norm',
        "lm_head": "output",
    }
    for theirs, own in (names | {theirs: own for own, theirs in LAYER.items()}).items():
        code = code.replace(theirs, own)
    return code


def _llama_line(model):
    """Return what is Llama's own."""
    rope = next(iter(model.ropes.values()))
    table = "model.embed_tokens" if model.unembedding is model.embedding else "lm_head"
    return _Line(
        pieces=_LLAMA_PIECES.format(
            num_heads=model.num_heads, num_kv_heads=model.num_kv_heads, d_k=model.d_k, epsilon=f"{model.epsilon:g}",
            base=f"{rope['rope_theta']:_.1f}",
        ),
        embedding='x = w["model.embed_tokens.weight"][ids]  # (n, d_model)',
        attention=_LLAMA_ATTENTION,
        feed_forward=_LLAMA_FEED_FORWARD,
        norm='x = norm(x, "model.norm")',
        logits=f'logits = x @ w["{table}.weight"].T  # (n, vocabulary)',
        rows='w[f"{at}.self_attn.o_proj.weight"].T',
    )  # fmt: skip


def _gpt2_line(model):
    """Return what is GPT-2's own."""
    table = "wte" if model.unembedding is model.embedding else "lm_head"
    return _Line(
        pieces=_GPT2_PIECES.format(num_heads=model.num_heads, epsilon=f"{model.epsilon:g}"),
        embedding='x = w["wte.weight"][ids] + w["wpe.weight"][:n]  # (n, d_model)',
        attention=_GPT2_ATTENTION,
        feed_forward=_GPT2_FEED_FORWARD,
        norm='x = norm(x, "ln_f")',
        logits=f'logits = x @ w["{table}.weight"].T  # (n, vocabulary)',
        rows='w[f"h.{number}.attn.c_proj.weight"]',
    )
