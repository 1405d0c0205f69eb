"""The ways to the page Why: from a head to the account of its scores, and from a word to who spoke for it."""

import streamlit as st

from attn.pretrained import language_model
from attn.ui.numpy_models import NUMPY_FAMILIES
from attn.ui.state import as_text

MOST_TOKENS = 48  # of a text that is taken apart there: all of its maps are drawn cell by cell
_LOOK = {"icon": ":material/account_tree:", "width": "content"}


def why_link(source, family, layer, head, cell=None):
    """Draw a link to the page Why that has the same model, text, head and cell, where it can take them apart.

    Parameters
    ----------
    source : tuple
        The model, whether its weights are random, a text and a second one, as `attn.ui.models` takes them.
    family : str
        Of the model, as its configuration spells it.
    layer, head : int
        Counted from 1.
    cell : (int, int), optional
        Position in the text of a query and of a key.
    """
    name, random_weights, text, pair = source
    known = isinstance(name, str) and not random_weights and isinstance(text, str) and not pair
    if not known or family not in NUMPY_FAMILIES:
        return
    query = {"model": name, "text": text, "layer": str(layer), "head": str(head)}
    if cell is not None:
        query["cell"] = f"{cell[0] + 1}.{cell[1] + 1}"
    st.page_link("pages/why.py", label="Why? What made this head's scores", query_params=query, **_LOOK)


def who_spoke_link(model, text, read, id, changed=False):
    """Draw a link to who spoke for a next word, where the page Why can follow it.

    Parameters
    ----------
    model : LanguageModel
    text : str
    read : Read
        The text as the model read it, without changes.
    id : int
        Of the word, a token of the vocabulary.
    changed : bool
        Whether the page shows the model with changes: the link then says that it leads to the model without.
    """
    if len(read.tokens) > MOST_TOKENS:  # there the text would end before, and another word come next
        return
    query = {"model": model.name, "text": text, "tab": "spoke"}
    if id != read.passed.logits[-1].argmax():  # the likeliest need not be named
        query["word"] = model.tokenizer.tokenizer.decode([id]).strip()
        named = model.tokenizer.tokenizer.encode(f" {query['word']}", add_special_tokens=False).ids
        if not query["word"] or named != [id]:  # a sign that no word begins with
            return
    model_without = " in the unchanged model" * changed
    label = f"Who spoke for {as_text(language_model.token_label(model, id))}{model_without}?"
    st.page_link("pages/why.py", label=label, query_params=query, **_LOOK)
