"""Heads: from the choices on the page to every head's attention, and the code for it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attn import MultiHead, MultiHeadParameters, cost, multi_head
from attn.data import examples
from attn.ui.controls.colour_scale import COLOURS
from attn.ui.controls.mask import MaskChoice, mask_of
from attn.ui.controls.sentence import SOURCES, SentenceChoice, words_of
from attn.ui.link import choice, flag, string, whole

MODES = {"self": "Self-attention", "cross": "Cross-attention"}


MOST_HEADS = 16


TABS = {"one": "One head", "merged": "Concatenation and output", "code": "Code"}
OLD_TABS = {"One head": "one", "Concatenation and output": "merged", "Code": "code"}  # what older links call them


@dataclass(frozen=True)
class Setup(SentenceChoice, MaskChoice):
    """Everything chosen on Heads."""

    source: str = choice("random", SOURCES)
    mode: str = choice("self", MODES)
    second: str = string("Das Tier überquerte die Straße nicht.")
    d_model: int = whole(16, 1, 128)
    num_heads: int = whole(4, 1, MOST_HEADS)
    num_kv_heads: int = whole(2, 1, MOST_HEADS)
    d_k: int = whole(4, 1, 64)
    d_v: int = whole(4, 1, 64)
    project: bool = flag(True)
    head: int = whole(1, 1, MOST_HEADS)
    colour: str = choice("auto", COLOURS)
    tab: str = choice("one", TABS, OLD_TABS)


class ManyHeads(NamedTuple):
    """What the page shows."""

    tokens: tuple  # the tokens that ask
    memory_tokens: tuple  # the tokens that are read
    parameters: MultiHeadParameters
    steps: MultiHead
    hidden: np.ndarray  # (n_q, n_k)
    words: str
    made: str  # the lines that compute ``steps``

    @property
    def sharing(self):
        """How query heads and key/value heads go together, as a sentence."""
        p = self.parameters
        if p.num_heads == 1:
            return "One head with its own keys and values."
        if p.num_kv_heads == p.num_heads:
            return f"{p.num_heads} heads, each with its own keys and values (multi-head attention)."
        if p.num_kv_heads == 1:
            return f"{p.num_heads} query heads share one key/value head (multi-query attention)."
        return f"{p.num_heads} query heads share {p.num_kv_heads} key/value heads (grouped-query attention)."

    @property
    def saved(self):
        """The share of the cache that is saved against one key/value head per query head."""
        now, full = self.cache
        return 1 - now / full

    @property
    def cache(self):
        """Bytes per token and layer that decoding keeps for these heads, and for one key/value head per query head."""
        p = self.parameters
        return tuple(cost.cache_bytes(1, heads, p.d_k, p.d_v) for heads in (p.num_kv_heads, p.num_heads))


def many_heads(setup):
    """Compute everything the page shows.

    Returns
    -------
    ManyHeads
    """
    if setup.source == "worked":
        x, memory, parameters, tokens, memory_tokens, made = _worked(setup)
    else:
        x, memory, parameters, tokens, memory_tokens, made = _random(setup)
    n_q, n_k = len(tokens), len(memory_tokens)
    if setup.mode == "cross":
        hidden, words, mask, line = (
            np.zeros((n_q, n_k), dtype=bool),
            "Every token may look at every token there.",
            None,
            "",
        )
    else:
        mask, line = mask_of(setup, n_q)
        hidden, words = ~np.broadcast_to(mask.visible, (n_q, n_k)), mask.words
    steps = multi_head.multi_head_attention(x, parameters, memory, mask)
    return ManyHeads(tokens, memory_tokens, parameters, steps, hidden, words, _made(made, line))


def _worked(setup):
    """Return the worked example's inputs: its four heads, or its cross-attention."""
    e = examples.worked_example()
    if setup.mode == "self":
        made = "x = memory = attn.examples.worked_example().x\nparameters = attn.examples.worked_example_heads()"
        return e.x, e.x, examples.worked_example_heads(), e.tokens, e.tokens, made
    memory = examples.worked_example_memory()
    made = (
        "e = attn.examples.worked_example()\nx, memory = e.x, attn.examples.worked_example_memory()\n"
        "parameters = attn.MultiHeadParameters(e.w_q, e.w_k, e.w_v)"
    )
    names = tuple(f"x{row + 1}" for row in range(len(memory)))
    return e.x, memory, MultiHeadParameters(e.w_q, e.w_k, e.w_v), e.tokens, names, made


def _random(setup):
    """Return a sentence, and a second one to read from, with random vectors and weights."""
    tokens = words_of(setup.text)
    second = words_of(setup.second) if setup.mode == "cross" else tokens
    x, memory = (examples.random_example(words, setup.d_model, 1, 1, setup.seed).x for words in (tokens, second))
    parameters = multi_head.draw_parameters(
        np.random.default_rng(setup.seed),
        setup.d_model,
        setup.num_heads,
        num_kv_heads=setup.num_kv_heads,
        d_k=setup.d_k,
        d_v=setup.d_v,
        output_projection=setup.project,
    )
    text = setup.second if setup.mode == "cross" else setup.text
    made = f"""words = attn.examples.split_words({setup.text!r})[:{len(tokens)}]
others = attn.examples.split_words({text!r})[:{len(second)}]
x = attn.examples.random_example(words, {setup.d_model}, 1, 1, {setup.seed}).x
memory = attn.examples.random_example(others, {setup.d_model}, 1, 1, {setup.seed}).x
parameters = attn.multi_head.draw_parameters(
    np.random.default_rng({setup.seed}), {setup.d_model}, {setup.num_heads}, num_kv_heads={setup.num_kv_heads},
    d_k={setup.d_k}, d_v={setup.d_v}, output_projection={setup.project},
)"""
    return x, memory, parameters, tokens, second, made


def _made(made, mask_line):
    mask = f", {mask_line}" if mask_line else ""
    return f"{made}\nsteps = attn.multi_head_attention(x, parameters, memory{mask})"


def code_of(result, head, scale, width):
    """Return the lines that compute every head and draw them under their groups."""
    needed = "import numpy as np\n" if "np." in result.made else ""
    hidden = ", hidden=hidden" if result.hidden.any() else ""
    options = "".join(f", {name}={value!r}" for name, value in scale.items())
    bind = "hidden = steps.masked_scores[0] == -float('inf')\n" if hidden else ""
    same = result.tokens == result.memory_tokens
    return f"""{needed}import attn
from attn import charts

{result.made}
print(steps.output.shape)

rows = charts.token_labels({list(result.tokens)!r})
columns = {"rows" if same else f"charts.token_labels({list(result.memory_tokens)!r})"}
{bind}picture = charts.above(
    charts.head_groups(parameters.num_heads, parameters.num_kv_heads, charts.LIGHT, width={width:.0f}),
    charts.head_grid(steps.weights, rows, columns, charts.LIGHT, selected={head}, width={width:.0f}{hidden}{options}),
)
charts.save(picture, "heads.svg")
"""
