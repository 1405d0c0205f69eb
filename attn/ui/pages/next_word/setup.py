"""Next word: everything that is chosen on the page."""

from dataclasses import dataclass

from attn import cost
from attn.data.examples import Sentence
from attn.pretrained.loading import smollm2
from attn.ui.link import (
    link_choice,
    link_factors,
    link_flag,
    link_place,
    link_real,
    link_string,
    link_whole,
)

LARGEST_FACTOR = 2
MOST_WRITTEN = 60  # words
PARTS = {  # in the order in which a text passes them
    "tokens": "Tokens",
    "embedding": "Embedding",
    "attention": "Attention",
    "feed_forward": "Feed-forward",
    "norm": "Last norm",
    "logits": "Logits",
}
STAGES = {  # of a part: what of it is looked at
    "attention": {
        "read": "What it reads",
        "query": "Queries",
        "key": "Keys",
        "weights": "Weights",
        "value": "Values",
        "context": "Context",
        "adds": "What the head adds",
        "sum": "The sum",
    },
    "feed_forward": {
        "read": "What it reads",
        "inner": "Inner layer",
        "adds": "What it adds",
        "sum": "The sum",
    },
}
EVERY_STAGE = {**STAGES["attention"], **STAGES["feed_forward"]}
TABS = {
    "part": "The open part",
    "writing": "Writing",
    "cache": "The cache",
    "agreement": "Beside transformers",
    "code": "Code",
}
KNOWN = ("own", *(name for name, shape in cost.SHAPES.items() if shape.kind == "decoder"))
LONGEST = 2**17  # tokens of a text whose cache is counted
PROMPTS = (
    Sentence("capital", "The capital of France is", "A fact", "One word leads by far: the model knows the answer."),
    Sentence(
        "keys", "The keys to the cabinet", "Agreement", "“are” and “were” lead “is” and “was”: the keys count, not the "
        "cabinet, though that is nearer.",
    ),
    Sentence(
        "again", "Mr and Mrs Dursley live at number four. Mr and Mrs", "What came before",
        "A name comes a second time, and the model goes on as it went on before.",
    ),
    Sentence(
        "story", "Once upon a time, a young princess lived in a", "A story",
        "Many words are possible, and none leads by far. With another seed another story is written.",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Next word."""

    model: str = link_string(smollm2.NAME)
    text: str = link_string(PROMPTS[0].text)
    part: str = link_choice("attention", PARTS)
    stage: str = link_choice("weights", EVERY_STAGE)
    layer: int = link_whole(24, 1, 999)
    head: int = link_whole(5, 1, 999)
    cell: tuple = link_place((99999, 3))  # a token, by default the last, and what it looks at or one of its numbers
    word: int = link_whole(-1, -1, 10**9 - 1)  # id of the word in view; -1 for the likeliest
    factors: tuple = link_factors(LARGEST_FACTOR)
    count: int = link_whole(0, 0, MOST_WRITTEN)
    greedy: bool = link_flag(True)
    temperature: float = link_real(1.0, 0.05, 5.0)
    top_k: int = link_whole(0, 0, 1000)
    top_p: float = link_real(1.0, 0.05, 1.0)
    seed: int = link_whole(1, 0, 9999)
    known: str = link_choice("own", KNOWN)
    length: int = link_whole(8192, 1, LONGEST)
    tab: str = link_choice("part", TABS)
