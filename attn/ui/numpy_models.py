"""Models computed in numpy alone, encoders as well as those that write, and the passes of texts through them."""

from typing import NamedTuple

import streamlit as st

from attn import models, pretrained
from attn.pretrained import bert, language_model
from attn.pretrained.loading import catalogue
from attn.pretrained.threads import loading_queue
from attn.ui.settings import visitor_settings
from attn.ui.shared_results import MOST_HELD, forget_shared_results, kept_with_models, model_save
from attn.ui.visitor import this_visit

ONE_THREAD_CODE = "pretrained.one_thread()  # as on the page: how sums are rounded hangs on it"
NUMPY_FAMILIES = (*models.bert.FAMILIES, *language_model.FAMILIES)


class TextPass(NamedTuple):
    """A text on its way through a model that is computed in numpy."""

    tokens: tuple  # of Token
    truncated_from: int | None  # number of tokens before the text was cut; None if it was not
    passed: models.Pass | models.bert.Pass  # with every step of every layer


def opened_language_model(name):
    """Open a model that writes, without torch or transformers, once a server and for each time its folder was written.

    Parameters
    ----------
    name : str

    Returns
    -------
    LanguageModel

    Raises
    ------
    ModelError
        As `attn.pretrained.language_model.load`.
    """
    return _opened(name, model_save(name))


@st.cache_resource(max_entries=MOST_HELD, show_spinner="Opening the model …", show_time=True)
def _opened(name, saved):
    """Open a model in place of what is held of others."""
    visit = this_visit()
    with loading_queue.turn(should_stop=lambda: visit.is_over, owner=visit.browser or None):
        forget_shared_results()
        model = language_model.load(name, settings=visitor_settings().for_models)
        pretrained.one_thread()
        return model


def opened_numpy_model(name):
    """Open a model that writes, or an encoder, once a server, without torch or transformers.

    A folder that has been written since is opened anew.

    Parameters
    ----------
    name : str

    Returns
    -------
    attn.pretrained.language_model.LanguageModel or attn.pretrained.bert.Encoder

    Raises
    ------
    ModelError
        As the ``load`` of either; `ModelError.offers` names models that can be opened.
    """
    if _family(name, model_save(name)) in models.bert.FAMILIES:
        return _opened_encoder(name, model_save(name))
    return opened_language_model(name)


@st.cache_data(max_entries=32, show_spinner=False)
def _family(name, saved):
    """Return the family of a model, or say that it cannot be computed in numpy."""
    *_, config = catalogue.checked_folder(name, None, visitor_settings().for_models)
    family = config.get("model_type")
    if family not in NUMPY_FAMILIES:
        raise pretrained.ModelError(
            f"{name} must be of one of these families to be computed in numpy: {', '.join(NUMPY_FAMILIES)}; "
            f"it is {family}"
        )
    return family


@st.cache_resource(max_entries=MOST_HELD, show_spinner="Opening the model …", show_time=True)
def _opened_encoder(name, saved):
    """Open an encoder for each time that its folder was written."""
    visit = this_visit()
    with loading_queue.turn(should_stop=lambda: visit.is_over, owner=visit.browser or None):
        return bert.load(name, settings=visitor_settings().for_models)


def numpy_kind(family):
    """Return what a model of a family that is computed in numpy does, "reads" or "writes"; "" of any other family."""
    return "writes" if family in language_model.FAMILIES else "reads" if family in models.bert.FAMILIES else ""


def is_writer(model):
    """Return whether an opened model says a next word."""
    return isinstance(model, language_model.LanguageModel)


@kept_with_models
@st.cache_resource(max_entries=8, show_spinner="Passing the text through the model …", show_time=True)
def numpy_model_pass(name, text, max_tokens, *, saved=None):
    """Pass a text through a model, every step kept, once for all visitors who ask for the same.

    Parameters
    ----------
    name : str
    text : str
    max_tokens : int
        What is beyond them is cut off.

    Returns
    -------
    TextPass

    Raises
    ------
    ModelError
        As `opened_numpy_model`, and if the text has no token or is too long to be tokenized.
    """
    model = opened_numpy_model(name)
    if is_writer(model):
        read = language_model.read(model, text, max_tokens=max_tokens, steps=True)
        return TextPass(read.tokens, read.truncated_from, read.passed)
    encoded = bert.encode(model, text, max_tokens=max_tokens)
    return TextPass(encoded.tokens, encoded.truncated_from, encoded.passed)


def numpy_model_code(name, text, max_tokens, model):
    """Return the lines that open a model and pass a text through it, which bind ``model``, ``passed`` and ``tokens``.

    Parameters
    ----------
    name, text, max_tokens
        As `numpy_model_pass` takes them.
    model
        As `opened_numpy_model` returns it.
    """
    module, verb, steps = ("language_model", "read", ", steps=True") if is_writer(model) else ("bert", "encode", "")
    return (
        f"from attn import pretrained\nfrom attn.pretrained import {module}\n{ONE_THREAD_CODE}\n"
        f"opened = {module}.load({name!r})\ntext = {text!r}\n"
        f"read = {module}.{verb}(opened, text, max_tokens={max_tokens}{steps})\n"
        "model, passed, tokens = opened.model, read.passed, read.tokens"
    )
