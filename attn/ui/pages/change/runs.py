"""Passes of a model with something changed, kept for all visitors as long as they fit into memory."""

import streamlit as st

from attn.pretrained.intervention.run import output_gap, run
from attn.pretrained.verdict import input_finding
from attn.ui import models
from attn.ui.shared_results import is_long, kept_results, kept_with_models, model_save, shared_once

MOST_MEASURED = 512  # tokens up to which the model's own attention is run as well, to be compared


def kept_run(name, random_weights, text, pair, changes=None, positions=None):
    """Pass a text through a model with something changed, or nothing.

    Parameters
    ----------
    name, random_weights, text, pair
        As for `attn.ui.models.model_recording`.
    changes : Changes, optional
    positions : tuple of int, optional
        As in `attn.pretrained.intervention.run.run`.

    Returns
    -------
    Run

    Raises
    ------
    ModelError
        As `attn.pretrained.intervention.run.run`.
    """
    saved = model_save(name)
    loaded = models.loaded_model(name, random_weights)

    def make(watch):
        return changed_run(loaded, text, pair, changes, positions, watch)

    key = (name, random_weights, saved, text, pair, changes or None, positions)
    return shared_once(kept_results(), key, loaded, is_long(text, pair), make)


def changed_run(model, text, pair, changes, positions, should_stop=None):
    """Pass a text through a model with something changed, or nothing: None."""
    return run(model, text, changes, pair=pair or None, positions=positions, should_stop=should_stop)


@kept_with_models
@st.cache_data(max_entries=256, show_spinner="Comparing with the model's own attention …")
def kept_run_gap(name, random_weights, text, pair, *, saved=None):
    """Return how far our attention moves what a model says when nothing is changed."""
    return gap_of_run(models.loaded_model(name, random_weights), text, pair)


@kept_with_models
@st.cache_data(max_entries=256, show_spinner=False)
def kept_run_finding(name, random_weights, text, pair, _before, *, saved=None):
    """Say whether what a run was given, which follows from the rest, is what the model's own preparation makes."""
    return input_finding(_before)


def gap_of_run(model, text, pair):
    """Return how far our attention moves what a model says: states as a part of each token's largest number."""
    says = model.predicts_words or model.task is not None
    return output_gap(model, text, pair=pair or None, relative=not says)
