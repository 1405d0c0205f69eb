"""Next word: the code that computes what the page shows, from scratch and with this package, and draws it."""

from attn.models import gpt2
from attn.models.layer_parts import feed_forward_matrices
from attn.ui.language_models import MOST_WALKED
from attn.ui.numpy_code import Paragraph, numpy_code, numpy_literal, numpy_text
from attn.ui.pages.next_word.whole_way import whole_way_words
from attn.ui.shown_code import LIGHT, page_codes

_FILES = """\
import json
from tokenizers import Tokenizer
from attn.pretrained import fetch, inspect
from attn.pretrained.loading.catalogue import open_weights
name = {name}
folder = fetch(inspect(name))
w = open_weights(folder, name)  # name -> matrix
config = json.loads((folder / "config.json").read_text())
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
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
num_heads, num_kv = config["num_attention_heads"], config["num_key_value_heads"]
d_k = config["hidden_size"] // num_heads

def norm(x, name):  # mean square 1 in each row, times a gain
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + {epsilon})
    return x * w[f"model.{{name}}.weight"]

def dense(x, name):
    return x @ w[f"model.{{name}}.weight"].T

def split(x, heads):  # (n, heads * d_k) -> (heads, n, d_k)
    return x.reshape(n, heads, d_k).swapaxes(0, 1)

speeds = {base} ** (-np.arange(d_k // 2) / (d_k // 2))
cos, sin = (f(np.arange(n)[:, None] * speeds) for f in (np.cos, np.sin))

def turn(x):  # each pair of numbers turns by its position
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
"""
_LLAMA_ATTENTION = """\
def attention(x, number):
    at = f"layers.{number}.self_attn"
    z = norm(x, f"layers.{number}.input_layernorm")
    query = turn(split(dense(z, f"{at}.q_proj"), num_heads))
    key = turn(split(dense(z, f"{at}.k_proj"), num_kv))
    value = split(dense(z, f"{at}.v_proj"), num_kv)
    key, value = (np.repeat(a, num_heads // num_kv, 0) for a in (key, value))
    scores = query @ key.swapaxes(1, 2) / np.sqrt(d_k)  # (num_heads, n, n)
    scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
    context = softmax(scores) @ value  # (num_heads, n, d_k)
CONTEXT    return dense(context.swapaxes(0, 1).reshape(n, -1), f"{at}.o_proj")
"""
_LLAMA_FEED_FORWARD = """\
def feed_forward(x, number):
    at = f"layers.{number}.mlp"
    z = norm(x, f"layers.{number}.post_attention_layernorm")
    gate, up = dense(z, f"{at}.gate_proj"), dense(z, f"{at}.up_proj")
    return dense(gate / (1 + np.exp(-gate)) * up, f"{at}.down_proj")
"""
_GPT2_PIECES = """\
num_heads = config["n_head"]
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
    scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
    context = softmax(scores) @ value  # (num_heads, n, d_k)
CONTEXT    merged = context.swapaxes(0, 1).reshape(n, -1)
    return dense(merged, f"h.{number}.attn.c_proj")
"""
_GPT2_FEED_FORWARD = """\
def feed_forward(x, number):
    z = norm(x, f"h.{number}.ln_2")
    inner = dense(z, f"h.{number}.mlp.c_fc")
    wave = np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3))
    return dense(inner * (1 + wave) / 2, f"h.{number}.mlp.c_proj")
"""
_LOOP = """\
for number in range({layers}):
    x = x + {a}attention(x, number)
    x = x + {f}feed_forward(x, number)"""
_SHOWN = """\
p = softmax(logits.astype(float))
for id in np.argsort(-p)[:10]:
    print(repr(tokenizer.decode([id])), p[id].round(4))"""


def next_word_codes(walked, found, factors, width):
    """Return the code of the page in its three tabs.

    Parameters
    ----------
    walked : Walked
    found : NextWords
    factors : tuple of PartFactor
    width : float
        Pixels of the page.

    Returns
    -------
    Codes
    """
    ids = [word.id for word in found.words]
    settings = {"name": walked.setup.model, "text": walked.setup.text}
    reading = [
        "from attn import softmax\nfrom attn.pretrained import language_model\nmodel = language_model.load(name)",
        f"before = language_model.read(model, text, max_tokens={MOST_WALKED}, last=True)",
    ]
    if factors:
        settings["factors"] = [tuple(each) for each in factors]
        reading.append(
            "from attn.models.ablation import PartFactor, ablation\n"
            "change = ablation(PartFactor(*each) for each in factors)\n"
            f"after = language_model.read(model, text, max_tokens={MOST_WALKED}, last=True, change=change)"
        )
    settings["ids"] = ids
    shares = "{0} = softmax({0}.passed.logits[-1].astype(float))[ids]"
    reading.append(
        f"{shares.format('before')}\n{shares.format('after') if factors else 'after = None'}\n"
        "labels = [language_model.token_label(model, id) for id in ids]"
    )
    printed = ["print(*zip(labels, before.round(4)), sep='\\n')"] + (["print(after.round(4))"] if factors else [])
    return page_codes(
        _numpy_of(walked, factors), settings, tuple(reading), tuple(printed),
        {"selected": found.selected, "theme": LIGHT, "width": round(width / 3)},
        (whole_way_words, "picture = whole_way_words(before, after, labels, selected, theme, width)",
         'charts.save(picture, "next_words.svg")'),
    )  # fmt: skip


def _numpy_of(walked, factors):
    """Return what makes the lines from scratch, or None for a model that these lines do not compute."""
    model = walked.language.model
    if isinstance(model, gpt2.GPT2):
        plain = (
            model.activation in ("gelu_new", "gelu_pytorch_tanh") and len({each.scale for each in model.layers}) == 1
        )
        return (lambda: _lines(walked, factors, _gpt2_paragraphs)) if plain else None
    layer = model.layers[0]
    extra = (layer.b_q, layer.b_o, layer.query_norm, layer.attention_output_norm, layer.window, model.softcap)
    rope = next(iter(model.ropes.values()))
    plain = all(each is None for each in extra) and walked.language.family in ("llama", "mistral")
    plain &= rope.get("rope_type", rope.get("type")) in (None, "default") and model.activation == "silu"
    plain &= feed_forward_matrices(layer).b_1 is None and model.d_k * model.num_heads == model.embedding.shape[1]
    return (lambda: _lines(walked, factors, _llama_paragraphs)) if plain else None


def _lines(walked, factors, paragraphs):
    """Return the program: what all models share around what a line of descent has of its own."""
    setup, model = walked.setup, walked.language.model
    embedding, pieces, attention, feed_forward, last = paragraphs(model)
    changed = {(each.layer, each.part): each.factor for each in factors}
    heads = any(not isinstance(part, str) for _, part in changed)
    times = {
        part[0]: f'factors.get((number, "{part}"), 1) * ' if any(part == each for _, each in changed) else ""
        for part in ("attention", "feed_forward")
    }
    scaled = "    for head in range(num_heads):\n        context[head] *= factors.get((number, head), 1)\n"
    told = "\n".join(f"    ({layer}, {numpy_literal(part)}): {factor:g}," for (layer, part), factor in changed.items())
    return numpy_code(
        Paragraph("The model's files", _FILES.format(name=numpy_literal(setup.model))),
        Paragraph(
            "Tokens: pieces of words, each with its number in the vocabulary",
            f"{numpy_text('text', setup.text)}\n{_IDS.format(most=MOST_WALKED)}", "tokens", "ids",
        ),
        Paragraph("What adds less or more than it does: (layer, part), from 0", f"factors = {{\n{told}\n}}")
        if changed else None,
        Paragraph("What every layer is made of", f"{_SOFTMAX}\n{pieces}"),
        Paragraph("Embeddings: a row of the table for each token", embedding, "embedding", "x.round(4)"),
        Paragraph("Attention: each token reads those before it", attention.replace("CONTEXT", scaled if heads else ""),
                  "attention"),
        Paragraph("Feed-forward: a network for each token alone", feed_forward, "feed_forward"),
        Paragraph(
            f"All {len(model.layers)} layers, each adding to the residual stream",
            _LOOP.format(layers=len(model.layers), a=times["a"], f=times["f"]),
        ),
        Paragraph("The last norm", last[0], "norm", "x[-1].round(4)"),
        Paragraph("Logits: the last state times the row of every word", last[1], "logits", "logits.max()"),
        Paragraph("The likeliest next words", _SHOWN),
        at=setup.part,
    )  # fmt: skip


def _llama_paragraphs(model):
    """Return what is Llama's own: the embedding, pieces, attention, feed-forward, and the end."""
    rope = next(iter(model.ropes.values()))
    pieces = _LLAMA_PIECES.format(epsilon=f"{model.epsilon:g}", base=f"{rope['rope_theta']:_.1f}")
    table = "model.embed_tokens" if model.unembedding is model.embedding else "lm_head"
    end = ('x = norm(x, "norm")', f'logits = x[-1] @ w["{table}.weight"].T')
    return 'x = w["model.embed_tokens.weight"][ids]  # (n, d_model)', pieces, _LLAMA_ATTENTION, _LLAMA_FEED_FORWARD, end


def _gpt2_paragraphs(model):
    """Return what is GPT-2's own."""
    pieces = _GPT2_PIECES.format(epsilon=f"{model.epsilon:g}")
    end = ('x = norm(x, "ln_f")', 'logits = x[-1] @ w["wte.weight"].T')
    embedding = 'x = w["wte.weight"][ids] + w["wpe.weight"][:n]  # (n, d_model)'
    return embedding, pieces, _GPT2_ATTENTION, _GPT2_FEED_FORWARD, end
