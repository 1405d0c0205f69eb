"""The way from a head that is looked at to the account of its scores."""

import streamlit as st

from attn.ui.numpy_models import NUMPY_FAMILIES


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
        query["cell"] = f"{cell[0]},{cell[1]}"
    st.page_link(
        "pages/why.py", label="Why? What made this head's scores", icon=":material/account_tree:", width="content",
        query_params=query,
    )  # fmt: skip
