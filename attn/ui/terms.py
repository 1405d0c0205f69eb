"""What the field's words mean: each explained once, and shown wherever a sentence on a page uses it."""

import functools
import re

from attn.pretrained.tolerances import LOGIT, STATE, WEIGHT
from attn.words import capital, number

POWER = "4.8e−7"  # how small numbers are written, here and by numpy

TERMS = {  # in the order in which a reader meets them; the shortest explanation that is true
    "token": "a piece of text that is read as one: a word, a part of a word or a punctuation mark.",
    "special token": "no part of the text: the model's tokenizer adds it, such as [CLS] at the beginning and [SEP] at "
    "the end.",
    "embedding": "the list of numbers that stands for a token.",
    "query": "what a token looks for. It is a list of numbers made from the token, and is compared with every key.",
    "key": "what a token offers to be found by. It is a list of numbers made from the token, and every query is "
    "compared with it.",
    "value": "what a token hands on when another looks at it. It is a list of numbers made from the token.",
    "projection": "a matrix that turns each token's vector into another one, such as its query, key or value.",
    "dot product": "two lists of numbers multiplied place by place and added up. It is large where both point the same "
    "way.",
    "score": "one number that says how well a query matches a key.",
    "logit": "a number before the softmax, which turns several of them into shares.",
    "softmax": "turns a row of numbers into shares between 0 and 1 that add up to 1. A larger number gets a larger "
    "share.",
    "weight": "in attention, the share that one token gives to another: from 0 to 1, and those of a row add up to 1. "
    "The weights of a model are its trained numbers.",
    "context": "what attention gives back for a token: the values of all tokens, mixed by its weights.",
    "NaN": "“not a number”, what a computer answers to 0 divided by 0.",
    "attention sink": "a token, often the first, that takes the attention a head has no other use for.",
    "temperature": "divides the scores before the softmax. Below 1 the largest score gets more, above 1 the shares "
    "become more alike.",
    "variance": "how far numbers lie from their mean: the mean of the squared distances from it.",
    "standard deviation": "how far numbers typically lie from their mean: the root of the variance.",
    "mask": "says which token may look at which. What it hides gets weight 0.",
    "causal mask": "lets each token look at itself and at what came before, never at what comes after.",
    "self-attention": "the tokens of a text look at one another.",
    "cross-attention": "the tokens of one text look at those of another.",
    "head": "one attention with its own queries, keys and values. Several work side by side, and their results are "
    "joined.",
    "multi-head attention": "several heads side by side, each with its own keys and values.",
    "multi-query attention": "several query heads that all share one set of keys and values.",
    "grouped-query attention": "query heads in groups, and each group shares one set of keys and values.",
    "effective number of tokens": "over how many tokens a row of weights is spread: 1 where one token gets everything, "
    "5 where five get a fifth each. It is the exponential of the entropy.",
    "entropy": "how evenly shares are spread: 0 where one gets everything, and most where all get the same.",
    "normalised entropy": "the entropy as a part of the largest possible one: 0 where one token gets everything, 1 "
    "where all get the same.",
    "rank": "how many rows of a matrix are needed to make all others by adding multiples of them.",
    "cosine": "how alike the directions of two lists of numbers are: 1 for the same, 0 at a right angle, −1 for "
    "opposite ones.",
    "position": "where a token stands in the text. Attention cannot tell unless it is told.",
    "sinusoid": "a wave of sines and cosines. A wave of another length for each pair of numbers tells positions apart.",
    "residual": "a way around a part of the network: what went in is added to what comes out, often drawn as “Add”.",
    "length of a vector": "the root of the sum of its numbers' squares; also called its norm.",
    "bias": "numbers that are added whatever was read: they are the same for every token.",
    "segment": "which of two texts read together a token is in. A model of one text alone says the same of all tokens.",
    "layer norm": "brings the numbers of each token's vector to mean 0 and spread 1.",
    "RMS norm": "divides the numbers of each token's vector by the root of the mean of their squares.",
    "feed-forward network": "two matrices with a nonlinear function between them, applied to each token by itself.",
    "sublayer": "one part of a block: attention, or the feed-forward network.",
    "encoder": "the part of a model that reads a text; in a Transformer, each token sees all others.",
    "decoder": "the part of a model that writes, one token after the other, each seeing only what came before.",
    "parameter": "a number of the model that training sets.",
    "gradient": "how fast a result changes when a number it depends on is moved a little.",
    "derivative": "the change of a result, divided by the small change of the number that caused it.",
    "saturation": "weights so close to 0 or 1 that they hardly move when the scores do, so that training stands still.",
    "cross-entropy": "the loss of a guess: minus the logarithm of the probability it gave to what was right.",
    "nat": "a unit of information: 1 nat is 1.44 bits.",
    "BLEU": "how much a translation shares with those by people, from 0 to 100.",
    "learning rate": "how far each step of training moves the numbers.",
    "checkpoint": "the numbers of a model as they are at one moment of training.",
    "perplexity": "how uncertain a model is of the next token: as if it chose among so many equally likely ones.",
    "dropout": "in training, numbers set to 0 at random so that nothing relies on a single one.",
    "label smoothing": "in training, a little of the probability that the right token should get is spread over the "
    "others.",
    "teacher forcing": "in training, the decoder reads the right words so far, and not those it wrote itself.",
    "beam search": "writing that keeps the few best beginnings at every step, and not only the best one.",
    "cache": "the keys and values of earlier tokens, kept so that a decoder need not compute them again.",
    "alignment": "which part of the input belongs to each part of the output, read off the weights.",
    "recurrent": "read one step after the other, each from the input and from what is remembered of the steps before. "
    "Self-attention did without.",
    "hidden state": "the list of numbers in which a recurrent network keeps what it has read so far.",
    "gate": "a number between 0 and 1 that says how much of another gets through.",
    "rounding": "what adding in another order changes by itself, of numbers of seven digits: up to "
    f"{number(WEIGHT)} of a weight, {number(STATE)} of a token's largest number after whole layers, {number(LOGIT)} "
    "of a logit.",
    POWER: "the short way to write 0.00000048: what stands behind “e−” says how often 4.8 is divided by 10.",
    "logarithmic": "drawn so that each step on the axis multiplies by the same number, where otherwise it adds.",
}
"""Term -> what it means, to stand after a colon."""


_FORMS = {  # where a plural is not all
    "layer norm": "layer norm(?:alisation)?s?",
    "saturation": "saturat(?:ion|es?|ed)",
    "logarithmic": "logarithmic(?:ally)?",
    "multi-head attention": "multi-head",
    "multi-query attention": "multi-query",
    "grouped-query attention": "grouped-query",
    "effective number of tokens": "effective number(?: of (?:tokens|keys|symbols))?",
}
_POWER = re.compile(r"\de−\d")
_NOT_WORDS_OF_OURS = re.compile(r"\*\*.*?\*\*|\$.*?\$|`.*?`", re.DOTALL)  # a visitor's tokens, formulas, code


def _form(term):
    """Return a pattern for a term, in the plural too."""
    return _FORMS.get(term) or (f"{term}s?" if term == "key" or term[-1] != "y" else f"{term[:-1]}(?:y|ies)")


# Small letters and no groups: a page asks this of every sentence, and is told four times as soon.
_EVERY = re.compile(rf"\b(?:{'|'.join(_form(term).lower() for term in sorted(TERMS, key=len, reverse=True))})\b")


@functools.cache
def _term_of(found):
    """Return the term of which a word of a sentence, in small letters, is a form."""
    return next(term for term in TERMS if re.fullmatch(_form(term).lower(), found))


def terms_in(sentence):
    """Return the terms of the field that a sentence of a page uses, as they follow one another in `TERMS`.

    What stands between asterisks is a visitor's own and is left out, as are formulas and code.

    Examples
    --------
    >>> terms_in("**key** looks most at **mask**: its queries meet the causal mask.")
    ['query', 'causal mask']
    """
    used = {_term_of(found) for found in _EVERY.findall(_NOT_WORDS_OF_OURS.sub("", sentence).lower())}
    if _POWER.search(sentence):  # also where it is marked, as numbers are
        used.add(POWER)
    return [term for term in TERMS if term in used]


def terms_help(sentence, *more):
    """Return what the terms in a sentence mean, and `more` terms, as the help that stands beside it.

    Returns
    -------
    str or None
        Markdown; None where no term is used.
    """
    named = {*terms_in(sentence), *more}
    if any(_POWER.search(TERMS[term]) for term in named):  # what explains a term is read, too
        named.add(POWER)
    return "\n\n".join(f"**{capital(term)}**: {TERMS[term]}" for term in TERMS if term in named) or None
