"""Inputs to look at: two worked examples with known numbers, random ones from a seed, and sentences."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attn.functional import whole_number
from attn.multi_head import MultiHeadParameters

_WIDEST = 65_536  # wider than any model is


@dataclass(frozen=True, eq=False)
class Example:
    """Tokens with their embeddings, and one head's weights, used as ``x @ w + b``."""

    tokens: tuple
    x: np.ndarray  # (n, d_model)
    w_q: np.ndarray  # (d_model, d_k)
    w_k: np.ndarray  # (d_model, d_k)
    w_v: np.ndarray  # (d_model, d_v)
    b_q: np.ndarray | float = 0.0  # (d_k,)
    b_k: np.ndarray | float = 0.0  # (d_k,)
    b_v: np.ndarray | float = 0.0  # (d_v,)


class Sentence(NamedTuple):
    """A sentence chosen because it shows something."""

    key: str
    text: str
    title: str
    look_for: str


SENTENCES = (
    Sentence(
        "tired",
        "The animal didn't cross the street because it was too tired.",
        "What is “it”? Tired",
        "Where does “it” look? Only the animal can be tired.",
    ),
    Sentence(
        "wide",
        "The animal didn't cross the street because it was too wide.",
        "What is “it”? Wide",
        "One word differs from the sentence with “tired”, and “it” becomes the street. Which heads follow?",
    ),
    Sentence(
        "repeated",
        "The quick brown fox jumps, and the quick brown fox rests.",
        "A phrase that comes twice",
        "Does the second “quick” look back at the first, or at “brown”, which followed it there?",
    ),
    Sentence(
        "negation",
        "The film was not good, but the music was good.",
        "Good, and not good",
        "Two times “good”. Does “not” reach only the first of them?",
    ),
    Sentence(
        "garden_path",
        "The old man the boats.",
        "A garden path",
        "“Man” is the verb here. Which words does it look at to find out?",
    ),
    Sentence(
        "attraction",
        "The keys to the old wooden cabinet are on the table.",
        "What agrees with the verb?",
        "“Are” belongs to “keys”, but “cabinet” stands nearer. Does any head skip the nearer noun?",
    ),
    Sentence(
        "coreference",
        "Anna gave Maria her book because she had finished reading it.",
        "Who is she?",
        "“Her” and “she” may each be Anna or Maria. Is the attention divided, too?",
    ),
    Sentence(
        "bank",
        "She sat on the bank of the river and called her bank.",
        "One word, two meanings",
        "Both “bank” start from one embedding. Which neighbours tell them apart?",
    ),
    Sentence(
        "list",
        "We bought apples, pears, plums, and a bag of walnuts.",
        "A list",
        "Do the commas gather the items, and do the items look at one another?",
    ),
    Sentence(
        "arithmetic",
        "12 + 7 = 19, so 19 - 7 = 12.",
        "Arithmetic",
        "Do equal numbers find each other, or do the signs draw the attention?",
    ),
    Sentence(
        "code",
        "def area(width, height): return width * height",
        "A line of code",
        "Each name comes twice: once where it is defined, once where it is used. Is the use linked to the definition?",
    ),
    Sentence(
        "order",
        "The dog chased the cat, and the cat chased the dog.",
        "Same words, other order",
        "Without positions both halves would look alike. Where does the order show?",
    ),
    Sentence(
        "right_to_left",
        "הילד קרא את הספר כי הוא היה מעניין.",
        "From right to left",
        "“The boy read the book because it was interesting”: the first token stands on the right of the sentence.",
    ),
)


def worked_example(d_v: int = 4) -> Example:
    """Return “Life is short, eat dessert first” with the numbers of Raschka's article.

    Parameters
    ----------
    d_v
        Width of the values. 4 is the article's single head; 1 is the first head of its multi-head
        part.

    Returns
    -------
    Example
        float32, d_model 3, d_k 2: with six tokens and d_v 4, four sizes that all differ.

    Notes
    -----
    Every number of [1]_ is drawn by torch from seed 123. Its generator is the Mersenne Twister that
    numpy has as well, so torch is not needed: uniform numbers come out bit for bit, the embeddings
    to 4e-7.

    References
    ----------
    .. [1] Raschka, 2024. Understanding and Coding Self-Attention, Multi-Head Attention,
       Causal-Attention, and Cross-Attention in LLMs.

    Examples
    --------
    >>> example = worked_example()
    >>> example.tokens
    ('Life', 'is', 'short', 'eat', 'dessert', 'first')
    >>> example.x[1].round(4)
    array([0.1794, 1.8951, 0.4954], dtype=float32)
    """
    d_v = whole_number("d_v", d_v, least=1, most=_WIDEST)
    tokens = ("Life", "is", "short", "eat", "dessert", "first")
    ids = [sorted(tokens).index(token) for token in tokens]
    embedding = _torch_normal(32)[: 3 * len(ids)].reshape(len(ids), 3)
    w_q, w_k, w_v = _torch_uniform((3, 2), (3, 2), (3, d_v))
    return Example(tokens, embedding[ids], w_q, w_k, w_v)


def worked_example_heads() -> MultiHeadParameters:
    """Return the article's four heads with values of width 1, without output projection.

    Returns
    -------
    attn.MultiHeadParameters
        For the tokens of `worked_example`. The first head is that of ``worked_example(d_v=1)``.

    Examples
    --------
    >>> from attn import multi_head_attention
    >>> multi_head_attention(worked_example().x, worked_example_heads()).output[1].round(4)
    array([0.4003, 1.7137, 1.3981, 1.0497], dtype=float32)
    """
    drawn = _torch_uniform(*[(3, 2), (3, 2), (3, 1)] * 4)  # query, key, value of one head after the other
    w_q, w_k, w_v = (np.hstack(drawn[role::3]) for role in range(3))
    return MultiHeadParameters(w_q, w_k, w_v, num_heads=4)


def worked_example_memory() -> np.ndarray:
    """Return the second input of the article's cross-attention.

    Returns
    -------
    shape (8, 3)
        Eight tokens to be read by those of ``worked_example(d_v=4)``, with the same weights.

    Examples
    --------
    >>> worked_example_memory()[0].round(4)
    array([0.2745, 0.6584, 0.2775], dtype=float32)
    """
    return _torch_uniform((24,), (8, 3))[1]  # the weights take the first 24 numbers


def journey_example() -> Example:
    """Return “Your journey starts with one step” with the numbers of Raschka's book.

    Returns
    -------
    Example
        float32, d_model 3, d_k 2, d_v 2. `w_q` and `w_k` are those of `worked_example`.

    Notes
    -----
    Chapter 3 of [1]_; weights drawn by torch from seed 123.

    References
    ----------
    .. [1] Raschka, 2024. Build a Large Language Model (From Scratch).

    Examples
    --------
    >>> example = journey_example()
    >>> (example.x @ example.w_q)[1].round(4)
    array([0.4306, 1.4551], dtype=float32)
    """
    tokens = ("Your", "journey", "starts", "with", "one", "step")
    x = [
        [0.43, 0.15, 0.89],
        [0.55, 0.87, 0.66],
        [0.57, 0.85, 0.64],
        [0.22, 0.58, 0.33],
        [0.77, 0.25, 0.10],
        [0.05, 0.80, 0.55],
    ]
    return Example(tokens, np.array(x, dtype=np.float32), *_torch_uniform((3, 2), (3, 2), (3, 2)))


def random_example(tokens: Sequence[str], d_model: int, d_k: int, d_v: int, seed: int = 0) -> Example:
    """Draw embeddings and weights for any tokens.

    Returns
    -------
    Example
        Embeddings are standard normal, weights normal with variance ``1 / d_model``. A word has one
        row wherever it stands, in whatever sentence and whether or not it is capitalised; adding a
        column to a weight matrix leaves the others as they were.

    Raises
    ------
    ValueError
        If a width is below 1 or the seed below 0.

    Examples
    --------
    >>> example = random_example(["The", "dog", "the"], d_model=5, d_k=2, d_v=3)
    >>> example.x.shape, example.w_q.shape, example.w_v.shape
    ((3, 5), (5, 2), (5, 3))
    >>> bool((example.x[0] == example.x[2]).all())
    True
    """
    for name, width in {"d_model": d_model, "d_k": d_k, "d_v": d_v}.items():
        whole_number(name, width, least=1, most=_WIDEST)
    whole_number("seed", seed)
    words = {token.casefold() for token in tokens}
    rows = {word: np.random.default_rng([seed, *word.encode()]).normal(size=d_model) for word in words}
    x = np.array([rows[token.casefold()] for token in tokens]).reshape(-1, d_model)  # (n, d_model)
    streams = np.random.default_rng(seed).spawn(3)
    weights = (
        stream.normal(0, d_model**-0.5, (width, d_model)).T  # drawn column by column
        for stream, width in zip(streams, (d_k, d_k, d_v), strict=True)
    )
    return Example(tuple(tokens), x, *weights)


def split_words(text: str) -> tuple[str, ...]:
    """Split a text into words and signs, as people see them.

    Returns
    -------
    tuple of str
        Words keep apostrophes and accents, numbers their points and commas. Scripts without spaces
        between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) give one token a character, an emoji
        is one token however it is put together, and every other sign stands alone. What has no
        appearance of its own (control characters, marks of direction) is dropped.

    Examples
    --------
    >>> split_words("Don't panic: l'été, 3 × 4.5!")
    ("Don't", 'panic', ':', "l'été", ',', '3', '×', '4.5', '!')
    >>> split_words("学习 🇳🇱 שלום")
    ('学', '习', '🇳🇱', 'שלום')
    >>> split_words("")
    ()
    """
    words = (text[start:end] for start, end in word_places(text))
    return tuple("".join(character for character in word if _kind(character)) for word in words)


def word_places(text: str) -> list[tuple[int, int]]:
    """Return where in a text the words and signs of `split_words` begin and end.

    Examples
    --------
    >>> word_places("Don't panic!")
    [(0, 5), (6, 11), (11, 12)]
    """
    if not isinstance(text, str):
        raise ValueError(f"text must be a str, got {type(text).__name__}")
    kinds = [(place, kind) for place, kind in enumerate(map(_kind, text)) if kind]
    found = _TOKEN.finditer("".join(kind for _, kind in kinds))
    return [(kinds[word.start()][0], kinds[word.end() - 1][0] + 1) for word in found]


# A token in terms of the kinds of its characters, see `_kind`
_TOKEN = re.compile(
    "[LN][LNMJ]*(?:A[LN][LNMJ]*|(?<=N)D(?=N)[LNMJ]*)*"  # a word, with apostrophes inside; a number
    "|FF?"  # a flag is a pair of letters
    "|[CSAD]M*(?:JSM*)*"  # one sign, or several emoji joined into one
    "|M+"  # marks with nothing to stand on
)
_ONE_A_CHARACTER = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese and Japanese
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"  # Thai and Lao, Burmese, Khmer
)
_JOINERS = "\u200c\u200d"


def _kind(character):
    """Tell what a character does in a word.

    L is a letter, N a digit, M marks another, C is of a script without spaces, J joins, A an apostrophe, D a point
    or a comma, F half a flag, S a sign; nothing has no appearance of its own.
    """
    category = unicodedata.category(character)
    if character.isspace():
        return " "
    if character in _JOINERS:
        return "J"
    if category in ("Cc", "Cf", "Cs"):
        return ""
    if "\U0001f1e6" <= character <= "\U0001f1ff":
        return "F"
    if category[0] == "M" or "\U0001f3fb" <= character <= "\U0001f3ff":  # accents; skin tones
        return "M"
    if category[0] == "N":
        return "N"
    if _ONE_A_CHARACTER.match(character):
        return "C"
    if category[0] == "L" or character == "_":
        return "L"
    return "A" if character in "'’" else "D" if character in ".," else "S"


def _torch_uniform(*shapes):
    """Return the first numbers that ``torch.rand`` gives after ``torch.manual_seed(123)``, one array per shape."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    drawn = np.random.RandomState(123).randint(0, 2**32, size=sum(sizes), dtype=np.uint32)
    uniform = ((drawn & 0xFFFFFF) / 2**24).astype(np.float32)
    parts = np.split(uniform, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _torch_normal(size):
    """Return the first numbers that ``torch.randn`` gives after ``torch.manual_seed(123)``: Box-Muller by sixteens."""
    (uniform,) = _torch_uniform((size // 16, 2, 8))
    radius = np.sqrt(-2 * np.log(1 - uniform[:, 0].astype(float)))  # (size / 16, 8)
    angle = 2 * np.pi * uniform[:, 1].astype(float)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32).reshape(-1)
