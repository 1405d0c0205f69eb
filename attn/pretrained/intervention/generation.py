"""A decoder writes on from a text, and every word it writes keeps the row of attention it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.functional import softmax, whole_number
from attn.pretrained.errors import ModelError, first_line, takes
from attn.pretrained.inputs import languages, tokens
from attn.pretrained.inputs.prepared_inputs import accepted_inputs
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.our_attention import Inside, pattern_weights
from attn.pretrained.intervention.run import changed_inputs, predicts_masked, prepare_changeable
from attn.pretrained.recording import registry
from attn.pretrained.recording.compare import from_scratch
from attn.pretrained.threads import Stopped, one_numpy_thread

if TYPE_CHECKING:
    from attn.pretrained.inputs.tokens import Token
    from attn.pretrained.loading.load import Loaded

_LIKELIEST = 5  # words kept beside the one that was written


class Written(NamedTuple):
    """One word that was written."""

    token: tokens.Token
    probability: float
    instead: tuple  # of (Token, float): the likeliest words at this place, itself first
    rows: tuple  # of ndarray (num_heads, n_k) float16 for each layer: where the token before it looked


@dataclass(frozen=True, eq=False)
class Generation:
    """What a decoder wrote.

    Parameters
    ----------
    changes
    tokens : tuple of Token
        What the decoder had read before it wrote.
    encoder_tokens : tuple of Token or None
        What the encoder of an encoder-decoder read.
    written : tuple of Written
        In the order in which the words were written.
    kinds : tuple of str
        Kind of each attention layer that the decoder calls.
    first_layer
        Index of the first of them among all layers of the model.
    text
        What was written.
    finished : {"length", "end", "stopped"}
        Whether it wrote as many words as it might, came to an end by itself, or was stopped.
    """

    changes: Changes
    tokens: tuple = field(repr=False)
    encoder_tokens: tuple | None = field(repr=False)
    written: tuple = field(repr=False)
    kinds: tuple = field(repr=False)
    first_layer: int
    text: str
    finished: str

    def row(self, step: int, layer: int, head: int) -> np.ndarray:
        """Return where one head looked when a word was written.

        Parameters
        ----------
        step, layer, head
            `layer` counts all layers of the model, as `Layer.index` does.

        Returns
        -------
        ndarray of float32, shape (n_k,)
            Weights over the last ``n_k`` tokens that the model then had: `keys` names them.

        Raises
        ------
        ValueError
            If there is no such step, layer or head.
        """
        rows = self._rows(step)
        place = layer - self.first_layer
        if not 0 <= place < len(rows) or not 0 <= head < len(rows[place]):
            raise ValueError(f"the decoder has no layer {layer} with a head {head}")
        return rows[place][head].astype(np.float32)

    def keys(self, step: int, layer: int) -> tuple[Token, ...]:
        """Return the tokens that a layer could look at when a word was written."""
        n_k = self._rows(step)[layer - self.first_layer].shape[-1]
        if self.kinds[layer - self.first_layer] == "cross":
            return self.encoder_tokens[:n_k]
        read = (*self.tokens, *(each.token for each in self.written[:step]))
        return read[len(read) - n_k :]

    def _rows(self, step):
        """Return the rows of all layers at a step."""
        if not 0 <= step < len(self.written):
            raise ValueError(f"steps must be among 0 to {len(self.written) - 1}, got {step}")
        return self.written[step].rows


@takes(loaded="Loaded", changes="Changes")
def generate(
    loaded: Loaded,
    prompt: str,
    max_new_tokens: int = 50,
    changes: Changes | None = None,
    *,
    progress: Callable | None = None,
    should_stop: Callable | None = None,
) -> Generation:
    """Let a decoder write on from a text, always with the likeliest word.

    Parameters
    ----------
    loaded
        A model that predicts the next word: a decoder, or an encoder-decoder that answers the text.
    prompt
    max_new_tokens
    changes
        What is changed in every pass. Tokens that were read stay as they were read, so that those
        written later change nothing of them, even with the causal mask removed.
    progress
        Called after each word with the `Written` so far.
    should_stop
        Asked before each attention layer whether to give up.

    Returns
    -------
    Generation
        What was written until it was stopped, if it was. Memory grows with the number of words
        written times that of tokens read, not with its square.

    Raises
    ------
    ModelError
        As `run`, if the model does not write, or has no room left behind the text.
    ValueError
        If `max_new_tokens` is less than 1.
    """
    whole_number("max_new_tokens", max_new_tokens, least=1)
    changes = changes or Changes()
    prepared = _start(loaded, prompt)
    read = prepared.tokens if prepared.decoder_tokens is None else prepared.decoder_tokens
    inputs, orders = changed_inputs(loaded, prepared, changes)
    inside = Inside(loaded, prepared, changes, orders=orders, should_stop=should_stop)
    rows = inside.watch = _Rows(inside)
    written, finished, first, kinds = [], "length", 0, ()
    try:
        for _ in range(min(max_new_tokens, loaded.max_tokens - len(read))):
            output = _pass(loaded, inputs, inside)
            if not written:
                inside.check()
                first, kinds = _decoder_layers(inside, prepared)
            pieces = (*read, *(each.token for each in written))
            word = _word(loaded, output.logits[0, -1], rows.taken[first * (not written) :], pieces)
            if word.token.id in _ends(loaded):
                finished = "end"
                break
            written.append(word)
            if progress is not None:
                progress(tuple(written))
            total = len(read) + len(written)
            inputs = _next(inputs, output, word.token.id, total)
            rows.taken = []
            inside.begin(first, total)
    except Stopped:
        finished = "stopped"
    encoder_tokens = None if prepared.decoder_tokens is None else prepared.tokens
    return Generation(changes, read, encoder_tokens, tuple(written), kinds, first, _decoded(loaded, written), finished)


@takes(loaded="Loaded")
def writes(loaded: Loaded) -> bool:
    """Say whether a model predicts the next word of a text, and so can write on."""
    return loaded.predicts_words and not predicts_masked(loaded) and "past_key_values" in accepted_inputs(loaded)


class _Rows:
    """Takes the last row of weights out of every layer of a pass."""

    def __init__(self, inside):
        self.inside = inside
        self.taken = []

    def __call__(self, layer):
        n_q, n_k = layer.query.shape[2], layer.key.shape[2]
        weights = from_scratch(layer, rows=[n_q - 1]).weights[0, :, 0]  # (num_heads, n_k)
        for (index, head), pattern in self.inside.changes.patterns:
            if index == layer.index:
                visible = np.ones((1, n_k), dtype=bool)
                if layer.mask is not None:
                    visible = visible & layer.mask[0, head if layer.mask.shape[1] > 1 else 0, -1:]
                replaced = pattern_weights(pattern, visible, self.inside.first_query(layer) + n_q - 1)
                weights[head] = weights[head] if replaced is None else replaced[0]
        self.taken.append(weights.astype(np.float16))


def _start(loaded, prompt):
    """Prepare a prompt; the decoder of an encoder-decoder has read nothing but what it begins with."""
    prepared = prepare_changeable(loaded, prompt)
    if not writes(loaded):
        raise ModelError(f"{loaded.name} does not write on from a text")
    if prepared.decoder_tokens is not None:
        ids = prepared.inputs["decoder_input_ids"]
        count = 2 if ids.shape[1] > 1 and int(ids[0, 1]) in _second_ids(loaded) else 1
        begun = prepared.inputs | {"decoder_input_ids": ids[:, :count]}
        return prepared._replace(inputs=begun, decoder_tokens=prepared.decoder_tokens[:count])
    if len(prepared.tokens) >= loaded.max_tokens:
        raise ModelError(f"{loaded.name} takes at most {loaded.max_tokens} tokens, which leaves no room to write")
    return prepared


def _second_ids(loaded):
    """Return the tokens that a decoder must write first: a language, or what its configuration forces."""
    configs = getattr(loaded.model, "generation_config", None), loaded.model.config
    forced = (getattr(config, "forced_bos_token_id", None) for config in configs)
    return {id for id in forced if id is not None} | languages.ids(loaded.tokenizer)


def _pass(loaded, inputs, inside):
    """Pass inputs through a model that keeps the keys and values of what it has read."""
    import torch

    options = {"logits_to_keep": 1} if "logits_to_keep" in accepted_inputs(loaded) else {}
    try:
        with torch.inference_mode(), one_numpy_thread(), registry.handling(inside):
            return loaded.model(**inputs, use_cache=True, **options)
    except ModelError:
        raise
    except Exception as error:  # any family's forward, on input it was not made for
        raise ModelError(f"{loaded.name} cannot read this input: {first_line(error)}") from error


def _decoder_layers(inside, prepared):
    """Return the index of the first layer of the decoder, and the kinds of all its layers."""
    kinds = [kind for kind, _ in inside.called]
    first = 0 if prepared.decoder_tokens is None else kinds.count("encoder")
    return first, tuple(kinds[first:])


def _word(loaded, logits, rows, before):
    """Choose the likeliest token to follow others."""
    probabilities = softmax(logits.float().cpu().numpy())
    likeliest = np.argsort(-probabilities, kind="stable")[:_LIKELIEST]
    alone = tokens.from_ids(likeliest.tolist(), loaded.tokenizer)
    named = [tokens.following(token, before, loaded.tokenizer) for token in alone]
    instead = tuple((token, float(probabilities[token.id])) for token in named)
    return Written(named[0], instead[0][1], instead, tuple(rows))


def _next(inputs, output, id, total):
    """Return the inputs of the pass that reads the word just written."""
    import torch

    word = torch.tensor([[id]])
    kept = {"past_key_values": output.past_key_values}
    if "decoder_input_ids" in inputs:
        states = (output.encoder_last_hidden_state,)
        return kept | {"decoder_input_ids": word, "encoder_outputs": states, "attention_mask": inputs["attention_mask"]}
    following = kept | {"input_ids": word, "attention_mask": torch.ones(1, total, dtype=torch.long)}
    if "position_ids" in inputs:  # what is written stands behind what was read, shuffled or not
        following["position_ids"] = inputs["position_ids"].max(dim=-1, keepdim=True).values + 1
    return following


def _ends(loaded):
    """Return the ids of the tokens with which a text ends."""
    configs = getattr(loaded.model, "generation_config", None), loaded.model.config
    ids = next((each for each in (getattr(config, "eos_token_id", None) for config in configs) if each is not None), ())
    return {ids} if isinstance(ids, int) else set(ids)


def _decoded(loaded, written):
    """Return what was written as one text."""
    with loaded.lock:
        return loaded.tokenizer.decode([each.token.id for each in written])
