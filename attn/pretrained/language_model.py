"""A model that writes, from its files and in numpy: neither torch nor transformers is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn import models
from attn.functional import finite_number, softmax, whole_number
from attn.models.sampling import sampling_probabilities
from attn.pretrained.errors import ModelError, made_in_numpy, takes
from attn.pretrained.inputs.tokenizer_file import TokenizerFile, encoded, open_tokenizer, spelled_token, whole_texts
from attn.pretrained.loading import catalogue, gguf_file, gguf_model, weights_report
from attn.pretrained.loading.catalogue import Settings

if TYPE_CHECKING:
    from attn.pretrained.inputs.tokens import Token

_LINES = (models.llama, models.gpt2)
FAMILIES = tuple(family for line in _LINES for family in line.FAMILIES)
"""Families that can be opened, as configurations spell them in ``model_type``."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A model that writes and what cuts text for it, safe to share between threads.

    Parameters
    ----------
    name
    family
        As its configuration spells it.
    model
    tokenizer
    max_tokens
    end_ids
        With these tokens a text ends.
    """

    name: str
    family: str
    model: models.llama.Llama | models.gpt2.GPT2
    tokenizer: TokenizerFile
    max_tokens: int
    end_ids: frozenset[int]


class Read(NamedTuple):
    """A text that a model has read."""

    tokens: tuple[Token, ...]
    truncated_from: int | None  # number of tokens before the text was cut; None if it was not
    passed: models.Pass


class Written(NamedTuple):
    """A token that a model wrote."""

    id: int
    text: str
    probabilities: np.ndarray  # (vocabulary,) of all that could have come
    cache: models.Cache
    logits: np.ndarray  # (vocabulary,) that made them


@takes(settings="Settings")
def load(name_or_path: str | Path, *, size_limit: int | None = None, settings: Settings | None = None) -> LanguageModel:
    """Open a model that writes, without torch or transformers.

    Parameters
    ----------
    name_or_path
        A hub id (owner/name) or a folder, see `attn.pretrained.load`; or a GGUF file, if its family is one of
        `attn.pretrained.loading.gguf_model.FAMILIES`.
    size_limit
    settings

    Raises
    ------
    ModelError
        As `attn.pretrained.load`, and if the family is none of `FAMILIES`, there is no tokenizer.json, or a tensor
        is missing.
    """
    settings, path = settings or Settings(), Path(str(name_or_path))
    if settings.models == "any" and path.suffix == ".gguf" and path.is_file():
        name, config, tensors, tokenizer = _of_gguf(path, size_limit, settings)
    else:
        folder, name, config = catalogue.checked_folder(name_or_path, size_limit, settings)
        tokenizer = open_tokenizer(folder, name)
        tensors = catalogue.open_weights(folder, name)
    line = next((line for line in _LINES if config.get("model_type") in line.FAMILIES), None)
    if line is None:
        raise ModelError(
            f"{name} must be of one of these families to be computed in numpy: {', '.join(FAMILIES)}; "
            f"it is {config.get('model_type')}"
        )
    with made_in_numpy(name):
        if not config.get("is_causal", True):
            raise ValueError("is_causal must be true, for each token looks at those before it alone")
        model = line.from_checkpoint(tensors, config)
    ends = config.get("eos_token_id")
    return LanguageModel(
        name=name,
        family=config["model_type"],
        model=model,
        tokenizer=tokenizer,
        max_tokens=model.max_tokens if isinstance(model, models.llama.Llama) else len(model.positions),
        end_ids=frozenset(ends if isinstance(ends, list) else [ends] if ends is not None else []),
    )


@takes(language_model="LanguageModel")
def read(
    language_model: LanguageModel,
    text: str,
    *,
    max_tokens: int | None = None,
    steps: bool = False,
    last: bool = False,
    change: models.Change | None = None,
) -> Read:
    """Pass a text through a model that writes.

    Parameters
    ----------
    language_model
    text
    max_tokens
        What is beyond them is cut off; by default what the model takes.
    steps, last, change
        As `attn.models.llama.forward` takes them.

    Raises
    ------
    ModelError
        If the text is empty or too long to be tokenized.
    """
    model, rows = language_model.model, len(language_model.model.embedding)
    most = min(language_model.max_tokens, language_model.max_tokens if max_tokens is None else max_tokens)
    cut = encoded(language_model.tokenizer, [text], most, rows, language_model.name)
    encoding, names, truncated_from = cut
    if not encoding.ids:
        raise ModelError("the text must have at least one token")
    return Read(names, truncated_from, _forward(model)(model, encoding.ids, steps=steps, last=last, change=change))


@takes(language_model="LanguageModel")
def read_again(language_model: LanguageModel, before: Read, layer: int, change: models.Change) -> Read:
    """Pass a text that was read through a model again, with a change that begins at a layer.

    What lies below that layer is as it was, and is taken from the first reading.

    Parameters
    ----------
    language_model
    before
        The text as `read` returns it, with its steps and without a change.
    layer
        The first that the change touches, counted from 0. It is asked neither of those below nor of what this reads.
    change
        As `attn.models.llama.forward` takes it.

    Returns
    -------
    Read
        What `read` returns for the same text with this change, every step kept.

    Raises
    ------
    ValueError
        If `layer` is none of the model, or the steps of `before` are not those of its layers.
    """
    model, passed = language_model.model, before.passed
    whole_number("layer", layer, most=len(model.layers) - 1)
    if len(passed.layers) != len(model.layers):
        raise ValueError(f"before must have the steps of {len(model.layers)} layers, got {len(passed.layers)}")

    def from_here(step, number, array):
        if step == "residual" and number == 0:  # where a model has its embeddings
            return passed.states[layer]
        return change(step, layer + number, array)

    above: dict[str, Any] = {"layers": model.layers[layer:]}
    rest = _forward(model)(replace(model, **above), passed.ids, steps=True, change=from_here)
    keys, values = passed.cache.keys[:layer] + rest.cache.keys, passed.cache.values[:layer] + rest.cache.values
    again = rest._replace(
        states=passed.states[:layer] + rest.states,
        cache=rest.cache._replace(keys=keys, values=values),
        layers=passed.layers[:layer] + rest.layers,
    )
    return before._replace(passed=again)


@takes(language_model="LanguageModel")
def token_label(language_model: LanguageModel, id: int) -> str:
    """Return a token of the vocabulary as figures show it.

    Returns
    -------
    str
        ``␣Paris`` for the token that goes on with " Paris", ``<0xE2><0x96>`` for bytes that are no character alone,
        ``<0x01>`` for a control character.
    """
    return spelled_token(language_model.tokenizer.tokenizer, id)


@takes(language_model="LanguageModel")
def write(
    language_model: LanguageModel,
    text: str,
    num_tokens: int,
    *,
    max_tokens: int | None = None,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    rng: np.random.Generator | None = None,
    change: models.Change | None = None,
) -> Iterator[Written]:
    """Write on after a text, token by token, with a key/value cache.

    The whole text is passed once more where it becomes so long that positions turn otherwise, as Phi-3's does for long
    texts (`attn.models.llama.outgrows_cache`).

    Parameters
    ----------
    language_model
    text
    num_tokens
        At most so many; it ends before with a token that ends a text, or where the model has no more positions.
    max_tokens
        As `read` takes it: of the text that is given.
    temperature
        0 always takes the likeliest; higher ones draw, the higher the more evenly.
    top_k, top_p
        As `attn.models.sampling.sampling_probabilities` takes them; where the likeliest is taken they change nothing.
    rng
        What draws; needed where the temperature is above 0.
    change
        As `attn.models.llama.forward` takes it.

    Yields
    ------
    Written

    Raises
    ------
    ModelError
        As `read`.
    ValueError
        If a number is out of range, or there is nothing to draw with.
    """
    whole_number("num_tokens", num_tokens)
    temperature = finite_number(temperature, "temperature", least=0)
    if temperature and rng is None:
        raise ValueError(f"rng must be given to draw at a temperature of {temperature:g}")
    model = language_model.model
    passed = read(language_model, text, max_tokens=max_tokens, last=True, change=change).passed
    ids = passed.ids.tolist()
    for _ in range(num_tokens):
        logits = passed.logits[-1]
        if temperature and rng:
            probabilities = sampling_probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p)
            id = int(rng.choice(len(probabilities), p=probabilities))
        else:
            probabilities = softmax(logits.astype(float))
            id = int(probabilities.argmax())
        yield Written(id, language_model.tokenizer.tokenizer.decode([id]), probabilities, passed.cache, logits)
        if id in language_model.end_ids or passed.cache.length >= language_model.max_tokens:
            return
        ids.append(id)
        if isinstance(model, models.llama.Llama) and models.llama.outgrows_cache(model, passed.cache.length):
            passed = models.llama.forward(model, ids, last=True, change=change)
        else:
            passed = _forward(model)(model, [id], passed.cache, change=change)


def _of_gguf(path, size_limit, settings):
    """Return name, configuration, tensors and tokenizer of a GGUF file, refusing one that is too large."""
    name, contents = path.name, gguf_file.read(path)
    memory = 4 * sum(math.prod(tensor.shape) for tensor in contents.tensors.values())
    catalogue.check_size(
        catalogue.Preflight(name, "folder", path.stat().st_size, memory, None, ()), size_limit or settings.size_limit
    )
    config = gguf_model.configuration(contents, name)
    tensors = gguf_model.open_weights(contents, config, name)
    weights_report.require_numbers(tensors, name)
    return name, config, tensors, whole_texts(gguf_model.tokenizer(contents.fields, name))


def _forward(model):
    """Return the pass of a model's line."""
    return models.gpt2.forward if isinstance(model, models.gpt2.GPT2) else models.llama.forward
