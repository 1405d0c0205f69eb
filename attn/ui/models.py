"""Pretrained models and what they were recorded doing, held once for all visitors."""

import gc
import time

import numpy as np
import streamlit as st

from attn import pretrained
from attn.examples import Example
from attn.patterns import METRICS, measure_each
from attn.pretrained import bert
from attn.ui.state import as_text


@st.cache_resource(max_entries=2, show_spinner="Loading the model …")
def loaded(name, random_weights=False):
    """Load a model, once a server."""
    model = pretrained.load(name, random_weights=random_weights)
    pretrained.one_thread()  # visitors share the cores
    # torch and transformers leave 400,000 objects that Streamlit would search after every rerun.
    gc.collect()
    gc.freeze()
    return model


def permit(name):
    """Let a model through that is on this machine; ask before one is downloaded.

    Raises
    ------
    ModelError
        If there is no such model or it is too large.
    """
    if name == pretrained.DEFAULT or name in st.session_state.get("permitted", ()):
        return
    found = _inspected(name)
    pretrained.check_size(found, pretrained.Settings.from_environment().size_limit)
    if found.where == "hub":
        _download(found)
    st.session_state.setdefault("permitted", set()).add(name)


@st.cache_data(ttl=60, show_spinner="Looking for the model …")
def _inspected(name):
    """Find a model, remembering for a minute where it was."""
    return pretrained.inspect(name)


def _download(found):
    """Ask, then download with progress; stop the page until it is done."""
    place = st.empty()
    with place.container():
        st.info(f"{as_text(found.name)} is on the hub: {found.bytes / 1e6:,.0f} MB to download, once.")
        if not st.button("Download", type="primary", icon=":material/download:"):
            st.stop()
        bar = st.progress(0.0, "Downloading …")

    def progress(arrived, expected):
        bar.progress(min(arrived / max(expected, 1), 1.0), f"{arrived / 1e6:,.0f} of {expected / 1e6:,.0f} MB")

    pretrained.fetch(found, progress)
    place.empty()


@st.cache_resource(max_entries=16, show_spinner="Passing the text through the model …")
def recording(name, random_weights, text, pair):
    """Record a model reading a text."""
    return pretrained.record(loaded(name, random_weights), text, pair=pair or None)


@st.cache_resource(max_entries=4, show_spinner="Passing the text through the model …")
def own_weights(name, random_weights, text, pair):
    """Ask a model that cannot be recorded for the weights it gives itself."""
    return pretrained.own_weights(loaded(name, random_weights), text, pair=pair or None)


@st.cache_resource(max_entries=32, show_spinner="Comparing every head …")
def differences(name, random_weights, text, pair, **changes):
    """Compare every head of a recording with the model's own, changed on purpose or not."""
    return pretrained.compare(recording(name, random_weights, text, pair), **changes)


@st.cache_resource(show_spinner="Reading the weights …")
def encoder():
    """Open the default model without torch: the encoder that runs in numpy alone."""
    pretrained.one_thread()  # visitors share the cores
    return bert.load()


@st.cache_resource(max_entries=16, show_spinner=False)
def encoded_in(text):
    """Pass a text through the numpy encoder; also return how many milliseconds that took."""
    model = encoder()
    start = time.perf_counter()
    result = bert.encode(model, text)
    return result, 1000 * (time.perf_counter() - start)


@st.cache_resource(max_entries=16, show_spinner="Measuring every head …")
def measured(name, random_weights, text, pair):
    """Measure every head of a recording.

    Returns
    -------
    dict
        Metric -> ndarray (num_layers, most heads), NaN where there is nothing to tell.
    """
    layers = recording(name, random_weights, text, pair).layers
    tables = {metric: np.full((len(layers), max(layer.num_heads for layer in layers)), np.nan) for metric in METRICS}
    for layer in layers:
        ids = [token.id for token in layer.key_tokens]
        numbers = measure_each(
            (layer.attention(head).weights[0, 0] for head in range(layer.num_heads)),
            None if None in ids else ids,
            [token.special for token in layer.key_tokens],
            mask=None if layer.mask is None else layer.mask[0, 0],
            cross=layer.kind == "cross",
        )
        for metric, values in numbers.items():
            tables[metric][layer.index, : layer.num_heads] = values
    return tables


def layer_example(text, layer, num_heads, head):
    """Return one head of one layer of the default model as an example to walk.

    Parameters
    ----------
    text : str
    layer, head : int
        Counted from 1.
    num_heads : int
        Into how many heads the layer's matrices are cut; the model itself has 12.

    Returns
    -------
    Example
    str
        Lines of code that bind ``e``.
    """
    result, _ = encoded_in(text)
    one = bert.one_head(bert.parameters(encoder().tensors, layer - 1, num_heads), head - 1)
    example = Example(
        tuple(token.text for token in result.tokens),
        result.blocks[layer - 1].hidden,
        one.w_q,
        one.w_k,
        one.w_v,
        one.b_q,
        one.b_k,
        one.b_v,
    )
    code = f"""from attn.pretrained import bert
from attn.ui.state import as_text
encoder = bert.load()
encoded = bert.encode(encoder, {text!r})
one = bert.one_head(bert.parameters(encoder.tensors, {layer - 1}, num_heads={num_heads}), {head - 1})
e = attn.examples.Example(
    tuple(token.text for token in encoded.tokens), encoded.blocks[{layer - 1}].hidden,
    one.w_q, one.w_k, one.w_v, one.b_q, one.b_k, one.b_v,
)"""
    return example, code
