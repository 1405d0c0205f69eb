"""Pretrained models and what they were recorded doing, held once for all visitors."""

import functools
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import multi_head, multi_head_attention, pretrained
from attn.analysis.contribution import rollout
from attn.analysis.head_table import METRICS
from attn.data.examples import Example
from attn.pretrained import bert
from attn.pretrained.loading.catalogue import weights_note
from attn.pretrained.loading.inference_imports import import_for_inference
from attn.pretrained.recording.in_numpy import (
    InNumpy,
    fits_in_numpy,
    like_transformers,
    record_in_numpy,
    stayed_finite,
)
from attn.pretrained.threads import Stopped, loading_queue
from attn.pretrained.verdict import Verdict, attention_finding, input_finding, not_finite
from attn.ui.garbage import set_garbage_aside
from attn.ui.media import AudioInput, ImageInput, PictureAndText
from attn.ui.numpy_models import opened_numpy_model
from attn.ui.settings import visitor_settings
from attn.ui.shared_results import (
    MOST_HELD,
    forget_shared_results,
    is_long,
    kept_results,
    kept_with_models,
    model_save,
    shared_once,
)
from attn.ui.state import as_text
from attn.ui.visitor import this_visit, while_visited
from attn.ui.word_level import word_level_of
from attn.words import listed

SIDE = 224  # pixels of a picture before a model's own processor makes its inputs
MOST_WHOLE = 512  # tokens up to which every head is looked at whole
LAST = 128  # queries over which every head of a longer text is looked at


class ChosenModel(NamedTuple):
    """A model as it was chosen, where it can be had in several ways: stands wherever the name of a model stands."""

    name: str
    source: str = ""  # languages that it reads, by the tokenizer's own codes; empty for the one that it has
    target: str = ""
    adapter: bool = True  # with its adapter, where it has one
    task: str = ""  # what it does with speech; empty for what it does of itself
    in_numpy: bool = False  # without torch, as `model_in_numpy` opens it


class SeveralTexts(NamedTuple):
    """Several texts that a model reads in one pass, and which is in view: stands wherever a text stands."""

    texts: tuple
    shown: int  # counted from 0


def loaded_model(name, random_weights=False):
    """Load a model, once a server, to read texts in the languages that were chosen, with its adapter or without.

    A folder that has been written since is loaded anew, and nothing is kept of what it held before.

    Parameters
    ----------
    name : str or ChosenModel
    random_weights : bool

    Returns
    -------
    Loaded
    """
    chosen = name if isinstance(name, ChosenModel) else ChosenModel(name)
    if chosen.in_numpy:
        return model_in_numpy(chosen.name) or loaded_model(chosen.name)  # its folder may have been written meanwhile
    model = _loaded(chosen.name, random_weights, model_save(name))
    if model.base is not None and not chosen.adapter:
        model = model.base
    return model.in_languages(*_languages_of(chosen))


def _languages_of(chosen):
    """Return what `Loaded.in_languages` takes."""
    return chosen.source or None, chosen.target or None, chosen.task or None


def model_in_numpy(name):
    """Open a model to be recorded without torch, if its family is computed in numpy and transformers makes the same.

    Parameters
    ----------
    name : str

    Returns
    -------
    InNumpy or None
        None of any other: what is wrong with its files, if anything, is said where transformers opens it.
    """
    alike = _like_transformers(name, model_save(name))
    return alike and InNumpy(opened_numpy_model(name), *alike)


@st.cache_data(max_entries=32, show_spinner=False)
def _like_transformers(name, saved):
    """Return the note on a model and the tokens of a text that numpy records, or None where transformers must do it."""
    try:
        alike = like_transformers(name, opened_numpy_model, settings=visitor_settings().for_models)
    except Stopped:
        raise
    except pretrained.ModelError:
        return None
    return alike.note, alike.most_tokens


def is_in_numpy(name):
    """Return whether a model is recorded without torch; `name` is as `loaded_model` takes it."""
    return isinstance(name, ChosenModel) and name.in_numpy


def source_in_numpy(source):
    """Return a model and what it reads as they are recorded without torch, or as they are where they cannot be.

    Parameters
    ----------
    source : tuple
        As `model_recording` takes it.

    Returns
    -------
    tuple
    """
    name, random_weights, text, pair = source
    if random_weights or pair or not isinstance(text, str) or not isinstance(name, str):
        return source
    model = model_in_numpy(name)
    if model is None or not fits_in_numpy(model, text):
        return source
    chosen = ChosenModel(name, in_numpy=True), False, text, ""
    # where they did not, transformers says in which layer
    return chosen if stayed_finite(model_recording(*chosen)) else source


def _comparison_key(source):
    return source[0].name, False, model_save(source[0]), "numpy.comparison", source[2]


def model_comparison(source):
    """Return what was found when somebody had a recording without torch held against transformers, or None."""
    return kept_results().get(_comparison_key(source))


def compare_model_with_transformers(source):
    """Hold a recording without torch against transformers, which this loads, and keep what was found.

    Returns
    -------
    tuple of Finding
        On the weights, the input and the attention.
    float
        The largest difference of a weight of any head, between the whole model in numpy and in transformers.
    """
    theirs = (source[0].name, *source[1:])
    loaded = loaded_model(*theirs[:2])
    findings = (
        pretrained.weights_finding(loaded),
        model_input_finding(*theirs),
        model_attention_finding(*theirs),
    )
    pairs = zip(model_recording(*source).layers, model_recording(*theirs).layers, strict=True)
    gap = max(
        float(np.abs(ours.weights(head) - their.weights(head)).max())
        for ours, their in while_visited(pairs)
        for head in range(ours.num_heads)
    )
    kept_results().put(_comparison_key(source), (findings, gap), 10_000)
    return findings, gap


def model_loading_code(name, random_weights):
    """Return the Python that loads a model as `loaded_model` does."""
    chosen = name if isinstance(name, ChosenModel) else ChosenModel(name)
    arguments = ", ".join([repr(chosen.name)] + (["random_weights=True"] if random_weights else []))
    base = "" if chosen.adapter else ".base"
    names = [repr(each) for each in _languages_of(chosen)]
    languages = f".in_languages({', '.join(names if chosen.task else names[:2])})"
    return f"pretrained.load({arguments}){base}{languages if any(_languages_of(chosen)) else ''}"


@st.cache_resource(max_entries=MOST_HELD, show_spinner="Loading the model …", show_time=True)
def _loaded(name, random_weights, saved):
    """Load a model, once a server and for each time that its folder was written.

    Nobody waits behind many that one visitor asked for.
    """
    visit = this_visit()
    with loading_queue.turn(should_stop=lambda: visit.is_over, owner=visit.browser or None):
        return _load(name, random_weights)


def _load(name, random_weights):
    """Load a model in place of what is held of others."""
    forget_shared_results()
    import_for_inference()
    model = pretrained.load(name, random_weights=random_weights, settings=visitor_settings().for_models)
    pretrained.one_thread()  # torch, and what else came with this model: a page has seen to numpy alone
    _set_aside()
    return model


@functools.cache
def _set_aside():
    """Let the garbage collector pass over torch and transformers; once a server, before visitors' objects are many."""
    set_garbage_aside()


def permit_model(name):
    """Let a model through that is on this machine; ask before one is downloaded.

    Raises
    ------
    ModelError
        If there is no such model or it is too large.
    """
    if name == pretrained.DEFAULT or name in st.session_state.get("permitted", ()):
        return
    allowed = visitor_settings()
    found = _inspected(name, allowed.models)
    pretrained.check_size(found, allowed.size_limit)
    missing = [each for each in (found, found.adapter) if each and each.where == "hub"]
    if missing:
        pretrained.check_hub_cache(found, allowed.hub_bytes)
        _download(missing, allowed.size_limit)
    st.session_state.setdefault("permitted", set()).add(name)


@st.cache_data(ttl=60, show_spinner="Looking for the model …")
def _inspected(name, allowed):
    """Find a model among those that are allowed, remembering for a minute where it was."""
    return pretrained.inspect(name, settings=pretrained.Settings(models=allowed))


def _download(missing, most_bytes):
    """Ask, then download a model or an adapter, or both, with progress; stop the page until it is done.

    Where the hub does not say how much comes, it ends after so many bytes.
    """
    place, names = st.empty(), list(dict.fromkeys(as_text(each.name) for each in missing))
    sizes = [each.bytes for each in missing]
    size = "an unknown number of" if None in sizes else f"{sum(sizes) / 1e6:,.0f}"
    with place.container():
        st.info(f"{listed(names)} {'is' if len(names) == 1 else 'are'} on the hub: {size} MB to download, once.")
        if not st.button("Download", type="primary", icon=":material/download:"):
            st.stop()
        bar = st.progress(0.0, "Downloading …")

    visit = this_visit()  # what brings the files may tell of them in a thread of its own

    def progress(arrived, expected):
        if visit.is_over:
            raise Stopped("the download was stopped, since its page was left")
        if arrived > most_bytes:
            raise pretrained.ModelError(f"a download must have at most {most_bytes:,} bytes here, and more came")
        share = min(arrived / max(expected, 1), 1.0) if expected is not None else 0.0
        of = f" of {expected / 1e6:,.0f}" if expected is not None else ""
        bar.progress(share, f"{arrived / 1e6:,.0f}{of} MB")

    for each in missing:
        pretrained.fetch(each, progress)
    place.empty()


def model_recording(name, random_weights, text, pair):
    """Record a model that reads a text, sees a picture or hears a sound, once for all visitors.

    Returns
    -------
    Recording
        Of several texts, that of the one in view, as it was read among the others.
    """
    if isinstance(text, SeveralTexts):
        return model_batch(name, random_weights, text).batch[text.shown]
    return _recording(name, random_weights, text, pair)


def model_batch(name, random_weights, text):
    """Record a model that reads several texts in one pass, once for all visitors.

    Parameters
    ----------
    name : str or ChosenModel
    random_weights : bool
    text : SeveralTexts

    Returns
    -------
    Recording
        Of all texts.
    """
    return _recording(name, random_weights, text.texts, "")


def model_alone(name, random_weights, text):
    """Record a model that reads the text in view alone, and say how far it is from the same text among others.

    Parameters
    ----------
    name : str or ChosenModel
    random_weights : bool
    text : SeveralTexts

    Returns
    -------
    Recording
    float
        The largest difference of a weight in any head; of a long text over the last queries.
    """
    alone = _recording(name, random_weights, text.texts[text.shown], "")
    return alone, _moved_by_others(name, random_weights, text)


@kept_with_models
@st.cache_resource(max_entries=32, show_spinner="Reading the text alone …", show_time=True)
def _moved_by_others(name, random_weights, text, *, saved=None):
    """Return the largest difference of a weight of a text among others from the same text alone."""
    among = model_recording(name, random_weights, text, "").layers
    alone = _recording(name, random_weights, text.texts[text.shown], "").layers
    weights = (
        [pretrained.from_scratch(layer, head, rows=model_last_queries(layer)).weights for layer in both]
        for both in while_visited(zip(among, alone, strict=True))
        for head in range(both[0].num_heads)
    )
    return max(float(np.abs(ours - theirs).max()) for ours, theirs in weights)


def _recording(name, random_weights, text, pair):
    """Record a model that reads a text or several, sees a picture or hears a sound, once for all visitors."""
    saved = model_save(name)
    model = loaded_model(name, random_weights)

    def make(watch):
        if isinstance(model, InNumpy):
            return record_in_numpy(model, text)
        made_of = _made_of(model, text, pair)
        if isinstance(text, AudioInput):
            return pretrained.record(model, inputs=pretrained.audio_inputs(model, *made_of.values()), watch=watch)
        return pretrained.record(model, **_read_with(text, pair), images=made_of.get("picture"), watch=watch)

    if type(text) is tuple:  # several texts
        given, heavy = text, is_long(*text)
    else:
        heavy = is_long(text, pair) if isinstance(text, str) else isinstance(text, AudioInput) and text.data is not None
        given = _fingerprint(text)
    return shared_once(kept_results(), (name, random_weights, saved, given, pair), model, heavy, make)


def _read_with(text, pair):
    """Return the texts that a model reads, alone or with a picture."""
    if isinstance(text, PictureAndText):
        return {"text": text.text}
    return {} if isinstance(text, ImageInput) else {"text": text, "pair": pair or None}


def _fingerprint(text):
    """Return what tells one text, picture or sound from another, with no file in it."""
    if isinstance(text, PictureAndText):
        return _fingerprint(text.picture), text.text
    return text if isinstance(text, str) else (type(text), text.name, text.data and sha256(text.data).digest())


def _made_of(model, text, pair):
    """Return what inputs are made of besides texts, by the names that the verdict has for it."""
    picture = text.picture if isinstance(text, PictureAndText) else text
    if isinstance(picture, ImageInput):
        return {"picture": picture.pixels(SIDE)}
    if isinstance(text, AudioInput):
        return {"sound": text.samples(model.feature_extractor.sampling_rate), "text": pair}
    return {}


@kept_with_models
@st.cache_resource(max_entries=32, show_spinner=False)
def model_input_finding(name, random_weights, text, pair, *, saved=None):
    """Say whether what a model read is what its own preparation makes of the same text, picture or sound."""
    read = model_recording(name, random_weights, text, pair)
    return input_finding(read, **_made_of(read.loaded, text, pair))


def say_model_verdict(weights, given, attention, words=("Agrees", "Differs")):
    """Show the three findings of a verdict in one box, which is green only if all three hold.

    Parameters
    ----------
    weights, given, attention : Finding
        Of `attn.pretrained.verdict`; given is the one on the input.
    words : tuple of str
        What to say where all three hold, and where the attention does not.
    """
    findings = {"Weights": weights, "Input": given, "Attention": attention}
    holds = Verdict(weights, given, attention).holds
    if attention.holds:
        title = words[0] if holds else "Only the arithmetic agrees"
    else:
        title = "Not compared" if attention.holds is None else words[1]
    icons = {True: ":material/check:", False: ":material/close:", None: ":material/question_mark:"}
    lines = [f"{icons[each.holds]} {name}: **{each.number}** {each.words}" for name, each in findings.items()]
    say = {True: st.success, False: st.error, None: st.warning}[holds]
    say("  \n".join([f"**{title}.**", *lines]))


@kept_with_models
@st.cache_resource(max_entries=1, show_spinner="Passing the text through the model …", show_time=True)
def model_own_weights(name, random_weights, text, pair, *, saved=None):
    """Ask a model that cannot be recorded for the weights it gives itself."""
    model = loaded_model(name, random_weights)
    made_of = _made_of(model, text, pair)
    if isinstance(text, AudioInput):
        return pretrained.own_weights(model, inputs=pretrained.audio_inputs(model, *made_of.values()))
    return pretrained.own_weights(model, **_read_with(text, pair), images=made_of.get("picture"))


def model_last_queries(layer):
    """Return the queries over which every head of a long text is looked at, or None for all of a shorter one.

    Of a sound, the last before its end.
    """
    if max(layer.query.shape[2], layer.key.shape[2]) <= MOST_WHOLE:
        return None
    end = sum(not token.filler for token in layer.query_tokens)
    return slice(-LAST, None) if end == len(layer.query_tokens) else slice(max(0, end - LAST), end)


@kept_with_models
@st.cache_resource(max_entries=32, show_spinner="Comparing every head …", show_time=True)
def model_differences(name, random_weights, text, pair, *, saved=None, **changes):
    """Compare every head of a recording with the model's own, changed on purpose or not."""
    layers = model_recording(name, random_weights, text, pair).layers
    return [
        each
        for layer in while_visited(layers)
        for each in pretrained.compare_layer(layer, rows=model_last_queries(layer), **changes)
    ]


@kept_with_models
@st.cache_resource(max_entries=32, show_spinner="Comparing every head …", show_time=True)
def model_differences_from_input(name, random_weights, text, pair, *, saved=None):
    """Compare every head of a recording, computed from its layer's input, with the model's own.

    Heads are left out whose layer comes to its queries and keys in a way of its own.
    """
    recording, found = model_recording(name, random_weights, text, pair), []
    for layer in while_visited(recording.layers):
        try:
            found += pretrained.compare_layer_from_input(recording.loaded, layer)
        except pretrained.ModelError:
            continue
    return found


def model_attention_finding(name, random_weights, text, pair):
    """Say whether attention from scratch is the model's own, in every head of a recording."""
    read = model_recording(name, random_weights, text, pair)
    return attention_finding(read, model_differences(name, random_weights, text, pair))


def model_not_finite(name, random_weights, text, pair):
    """Say in which layer numbers became infinite or no numbers, or return None if none did."""
    recording = model_recording(name, random_weights, text, pair)
    return not_finite(recording.loaded, recording.layers, model_differences(name, random_weights, text, pair))


def model_layers_without_and_with_adapter(name, random_weights, text, pair):
    """Return the layers of a model without its adapter, and those with it, after the same text."""
    chosen = name if isinstance(name, ChosenModel) else ChosenModel(name)
    return [
        model_recording(chosen._replace(adapter=adapter), random_weights, text, pair).layers
        for adapter in (False, True)
    ]


@kept_with_models
@st.cache_resource(max_entries=8, show_spinner="Comparing with and without the adapter …", show_time=True)
def model_adapter_changes(name, random_weights, text, pair, *, saved=None):
    """Return how far a model's adapter moves the weights of each head.

    Returns
    -------
    ndarray, shape (num_layers, most heads)
        The largest difference, over the last queries of a long text; NaN where a layer has fewer heads.
    """
    pairs = model_layers_without_and_with_adapter(name, random_weights, text, pair)
    table = np.full((len(pairs[0]), max(layer.num_heads for layer in pairs[0])), np.nan)
    for at, layers in enumerate(while_visited(zip(*pairs, strict=True))):
        rows = model_last_queries(layers[0])
        for head in range(layers[0].num_heads):
            before, after = (pretrained.from_scratch(layer, head, rows=rows).weights for layer in layers)
            table[at, head] = np.abs(after - before).max()
    return table


def _encoder():
    """Open the default model without torch."""
    return opened_numpy_model(pretrained.DEFAULT)


@kept_with_models
@st.cache_resource(max_entries=8, show_spinner="Drawing every head …", show_time=True)
def model_every_head(name, random_weights, text, pair, kind, part, most, level="pieces", *, saved=None):
    """Return the weights of every head of one kind, in one part of the model, over the first tokens.

    Returns
    -------
    ndarray, shape (num_layers, num_heads, n, n)
        Over at most `most` tokens, or the words that they are pieces of, without what fills a sound up; NaN for
        heads that only other layers have.
    """
    every_layer = model_recording(name, random_weights, text, pair).layers
    layers = [layer for layer in every_layer if (layer.kind, layer.part) == (kind, part)]
    n_q, n_k = (
        min(most, sum(not token.filler for token in side)) for side in (layers[0].query_tokens, layers[0].key_tokens)
    )
    num_heads = max(layer.num_heads for layer in layers)
    every = np.full((len(layers), num_heads, n_q, n_k), np.nan, dtype=np.float32)
    for at, layer in enumerate(while_visited(layers)):
        for head in range(layer.num_heads):
            every[at, head] = pretrained.from_scratch(layer, head, rows=slice(0, n_q)).weights[0, 0][:, :n_k]
    return word_level_of(level, layers[0].query_tokens[:n_q], layers[0].key_tokens[:n_k]).weights(every)


@kept_with_models
@st.cache_resource(max_entries=2, show_spinner="Following the layers …", show_time=True)  # n x n of a long text
def model_rollout(name, random_weights, text, pair, index, level="pieces", *, saved=None):
    """Follow the attention of the layers of one kind down to the text, up to and with layer `index`.

    It is followed from piece to piece; at the level of words the end of it is put together.
    """
    layers = model_recording(name, random_weights, text, pair).layers
    last = layers[index]
    below = [layer for layer in layers[: index + 1] if (layer.kind, layer.part) == (last.kind, last.part)]
    means = (
        sum(layer.attention(head).weights[0, 0] for head in range(layer.num_heads)) for layer in while_visited(below)
    )
    followed = rollout(mean / layer.num_heads for mean, layer in zip(means, below, strict=True))
    return word_level_of(level, below[-1].query_tokens, below[-1].key_tokens).weights(followed)


def model_position_table():
    """Return the rows that the default model adds to its tokens, one per position, (n_max, d_model)."""
    return _encoder().tensors["embeddings.position_embeddings.weight"]


class Read(NamedTuple):
    """A text that the numpy encoder has read: little enough to be kept, and enough to compute any layer again."""

    tokens: tuple  # of Token
    hidden: tuple  # per layer, what goes in, (n, d_model)
    truncated_from: int | None


@st.cache_resource(max_entries=16, show_spinner=False)
def model_reading(text):
    """Pass a text through the numpy encoder."""
    result = bert.encode(_encoder(), text)
    return Read(result.tokens, tuple(block.hidden for block in result.blocks), result.truncated_from)


def model_layer_weights(text, layer, head):
    """Return the weights (n, n) of one head of the numpy encoder; layer and head counted from 0."""
    model = _encoder()
    one = multi_head.one_head(bert.parameters(model.tensors, layer, model.num_heads), head)
    return multi_head_attention(model_reading(text).hidden[layer], one).weights[0]


@kept_with_models
@st.cache_resource(max_entries=16, show_spinner="Measuring every head …", show_time=True)
def model_metrics(name, random_weights, text, pair, level="pieces", *, saved=None):
    """Measure every head of a recording, from piece to piece or from word to word.

    Returns
    -------
    dict
        Metric -> ndarray (num_layers, most heads), NaN where there is nothing to tell.
    """
    return metrics_by_layer(while_visited(model_recording(name, random_weights, text, pair).layers), level)


def metrics_by_layer(layers, level):
    """Measure every head of every layer; of a long text over its last queries."""
    measured = [pretrained.layer_metrics(layer, rows=model_last_queries(layer), level=level) for layer in layers]
    most = max(len(values) for numbers in measured for values in numbers.values())  # heads
    tables = {key: np.full((len(measured), most), np.nan) for key in METRICS}
    for at, numbers in enumerate(measured):
        for key, values in numbers.items():
            tables[key][at, : len(values)] = values
    return tables


def model_layer_example(text, layer, num_heads, head):
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
    dict
        The settings of `attn.ui.shown_code.shown_code` that the steps use.
    tuple
        Its steps, which bind ``e``.
    """
    read, chosen = model_reading(text), {"layer": layer, "num_heads": num_heads, "head": head}
    steps = (
        "encoder = bert.load()\n"
        "encoded = bert.encode(encoder, text)\n"
        "tokens, hidden = encoded.tokens, [block.hidden for block in encoded.blocks]",
        ("e", layer_as_example),
    )
    return layer_as_example(_encoder(), read.tokens, read.hidden, **chosen), {"text": text} | chosen, steps


def layer_as_example(encoder, tokens, hidden, layer, num_heads, head):
    """Return one head of one layer of an encoder as an example to walk; layer and head counted from 1."""
    one = multi_head.one_head(bert.parameters(encoder.tensors, layer - 1, num_heads), head - 1)
    words = tuple(token.text for token in tokens)
    return Example(words, hidden[layer - 1], one.w_q, one.w_k, one.w_v, one.b_q, one.b_k, one.b_v)


def say_model_note(loaded):
    """Say what is to be known of a model's weights, if anything, beside what stands below the choice of the model."""
    if note := loaded.note.removeprefix(weights_note(loaded.name)).strip():
        st.caption(as_text(note))


def say_if_model_truncated(read):
    """Say how much of a text a model did not take, if any; `read` is a recording or an encoding."""
    if read.truncated_from:
        st.warning(
            f"The text has {read.truncated_from:,} tokens, more than the model takes: "
            f"it was cut after token {len(read.tokens):,}."
        )
