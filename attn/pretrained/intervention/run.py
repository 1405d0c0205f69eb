"""The real model with our attention inside: as it is, or with something changed in one pass."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attn.functional import softmax
from attn.pretrained.errors import ModelError, takes
from attn.pretrained.inputs import batches
from attn.pretrained.inputs.prepare import forward, prepare
from attn.pretrained.inputs.prepared_inputs import accepted_inputs
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.our_attention import Inside, pattern_weights
from attn.pretrained.recording import registry
from attn.pretrained.threads import one_numpy_thread

if TYPE_CHECKING:
    from attn.pretrained.inputs.prepare import Prepared
    from attn.pretrained.inputs.tokens import Token
    from attn.pretrained.loading.load import Loaded

MOST_KEPT = 128_000_000  # bytes that the layers kept of one run may take
_COMPARED = 256  # tokens whose predictions `output_gap` compares: those of 4,096 would take 1.6 GB


@dataclass(frozen=True, eq=False)
class Run:
    """One pass of a model with our attention inside.

    Parameters
    ----------
    loaded : Loaded
    text, pair
    changes
    tokens : tuple of Token
        What the model read; in an encoder-decoder, what its encoder read.
    decoder_tokens : tuple of Token or None
    truncated_from
        Number of tokens before the text was cut to what the model takes; None if it was not cut.
    positions : tuple of int
        Tokens for which there are logits.
    logits : shape (len(positions), vocabulary), or None
        None if the model predicts no words.
    hidden : shape (n_tokens, d_model), or None
        The last hidden states, of a model that does not write on from a text.
    num_heads : tuple of int
        Heads of each attention layer.
    inputs
        What the model was given: name -> tensor.
    class_logits : shape (1 or n_tokens, num_labels) or (2, n_tokens), or None
        What a classifier says: of the text or of each token; or of where an answer begins and ends. See
        `attn.pretrained.intervention.classification`. None of another model (`Loaded.task`).
    layers : tuple of Layer
        What went on in each attention layer, with the mask, bias and scale as they were changed.
        Empty if they were not to be kept, or would take too much memory.
    """

    loaded: Any = field(repr=False)
    text: str | None
    pair: str | None
    changes: Changes
    tokens: tuple = field(repr=False)
    decoder_tokens: tuple | None = field(repr=False)
    truncated_from: int | None
    positions: tuple
    logits: np.ndarray | None = field(repr=False)
    hidden: np.ndarray | None = field(repr=False)
    num_heads: tuple = field(repr=False)
    inputs: Mapping = field(repr=False)
    class_logits: np.ndarray | None = field(repr=False)
    layers: tuple = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes that its arrays take."""
        alone = (self.logits, self.hidden, self.class_logits)
        return sum(array.nbytes for array in alone if array is not None) + sum(layer.nbytes for layer in self.layers)

    def probabilities(self, position: int | None = None) -> np.ndarray:
        """Return how likely each word of the vocabulary is at a position.

        Parameters
        ----------
        position
            One of `positions`, negative ones counted from the end of the text; by default the last.

        Returns
        -------
        shape (vocabulary,)

        Raises
        ------
        ModelError
            If the model predicts no words, or this run has none for this position.
        """
        if self.logits is None:
            raise ModelError(f"the model must predict words, got {self.loaded.name}, which predicts none")
        written = self.tokens if self.decoder_tokens is None else self.decoder_tokens
        position = self.positions[-1] if position is None else position
        if not isinstance(position, int | np.integer):
            raise ModelError(f"a position must be a whole number, got {position!r}")
        position = position + len(written) if position < 0 else position
        if position not in self.positions:
            raise ModelError(f"this run predicts at {', '.join(map(str, self.positions))}, got position {position}")
        return softmax(self.logits[self.positions.index(position)])

    @property
    def embedding(self) -> np.ndarray:
        """Mean of the last hidden states, scaled to length 1: what MiniLM says of a sentence, (d_model,)."""
        if self.hidden is None:
            raise ModelError(f"the model must have hidden states of a text, got {self.loaded.name}, which gives none")
        mean = self.hidden.mean(axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)

    def weights(self, layer: int, head: int) -> np.ndarray:
        """Return the weights that one head worked with in this run.

        Returns
        -------
        shape (n_q, n_k)
            Of a head that is off, the weights that came to nothing.

        Raises
        ------
        ValueError
            If the layers were not kept, or there is no such head.
        """
        if not 0 <= layer < len(self.layers) or not 0 <= head < self.layers[layer].num_heads:
            raise ValueError(f"this run keeps no layer {layer} with a head {head}")
        kept, pattern = self.layers[layer], dict(self.changes.patterns).get((layer, head))
        if pattern is None:
            return kept.weights(head)[0, 0]
        visible = np.ones((kept.query.shape[2], kept.key.shape[2]), dtype=bool)
        return pattern_weights(pattern, visible if kept.mask is None else visible & kept.mask[0, 0])


@takes(loaded="Loaded", changes="Changes")
def run(
    loaded: Loaded,
    text: str | None = None,
    changes: Changes | None = None,
    *,
    pair: str | None = None,
    inputs: dict | None = None,
    positions: Iterable[int] | None = None,
    keep: bool = True,
    should_stop: Callable | None = None,
) -> Run:
    """Pass a text through a model once, with our attention in place of its own.

    A change is an argument of this one pass: the model, which others use at the same time, stays what
    it is.

    Parameters
    ----------
    loaded
    text
    changes
        By default none: the model then predicts what it predicts by itself, see `output_gap`.
    pair, inputs
        As in `record`.
    positions
        Tokens whose predictions are kept, negative ones counted from the end. By default the masked
        tokens, or the last token of a model that writes on. In an encoder-decoder, tokens of the
        decoder.
    keep
        Whether to keep the layers, if together they take at most 128 MB.
    should_stop
        Asked before each attention layer whether to give up.

    Raises
    ------
    ModelError
        As `record`, and if the model has no such layer, head, token or position, or none of its
        positions can be shuffled.
    Stopped
        If `should_stop` said so.
    """
    prepared = prepare_changeable(loaded, text, pair, inputs)
    return run_prepared(loaded, prepared, changes, (text, pair), positions, keep=keep, should_stop=should_stop)[0]


def run_prepared(
    loaded: Loaded,
    prepared: Prepared,
    changes: Changes | None,
    texts: tuple[str | None, str | None],
    positions: Iterable[int] | None = None,
    *,
    off: Sequence[tuple[int, int]] = (),
    keep: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> list[Run]:
    """Pass what is prepared through a model, once for each head in `off`, all in one batch.

    Parameters
    ----------
    loaded
    prepared
    changes
    texts
        The text and its pair, to be remembered.
    positions
    off
        Each row of the batch has one more head off. Without them there is one row as it is.
    keep, should_stop
        As in `run`.

    Returns
    -------
    list of Run
        One for each row.
    """
    changes, rows = changes or Changes(), len(off) or 1
    positions = _positions(loaded, prepared, positions)
    inputs, orders = changed_inputs(loaded, prepared, changes)
    if off:
        inputs = {name: value.expand(rows, *value.shape[1:]) for name, value in inputs.items()}
    layers = _Kept() if keep else None
    inside = Inside(loaded, prepared, changes, off=off, orders=orders, watch=layers, should_stop=should_stop)
    with one_numpy_thread(), registry.handling(inside, loaded.model):
        output = forward(loaded, inputs, **_options(loaded, positions))
    inside.check()
    logits, hidden, classes = _logits(loaded, output, positions), _hidden(output, inputs), _classes(loaded, output)
    read: Any = (prepared.tokens, prepared.decoder_tokens, prepared.truncated_from, positions)
    num_heads, kept = tuple(count for _, count in inside.called), tuple(layers or ())

    def of_row(row):
        said = (_row(each, row) for each in (logits, hidden))
        return Run(loaded, *texts, changes, *read, *said, num_heads, inputs, _row(classes, row), kept)

    return [of_row(row) for row in range(rows)]


class _Kept(list):
    """The layers of a run, unless they take too much memory."""

    def __init__(self):
        super().__init__()
        self.bytes_left = MOST_KEPT

    def __call__(self, layer):
        self.bytes_left -= sum(array.nbytes for array in (layer.query, layer.key, layer.value, layer.output))
        if self.bytes_left < 0:
            self.clear()
        else:
            self.append(layer)


@takes(loaded="Loaded")
def output_gap(
    loaded: Loaded,
    text: str | None = None,
    *,
    pair: str | None = None,
    inputs: dict | None = None,
    relative: bool = False,
) -> float:
    """Return how far the results of a model move when our attention takes the place of its own.

    Parameters
    ----------
    loaded
    text, pair, inputs
        As in `record`.
    relative
        Whether each difference is taken as a part of the largest number that the same token has there, as states are
        judged (`attn.pretrained.tolerances.STATE`).

    Returns
    -------
    float
        The largest difference from what the model family's own eager attention gives: of the logits
        of the last 256 tokens or of all classes; in a model that predicts neither, of its last hidden states.
        Padding is left out. A model with shorter numbers, bfloat16 or float16, is copied to float32 for it:
        there the rounding of its own would move the results by more than any attention.

    Raises
    ------
    ModelError
        As `record`.
    """
    import torch

    loaded, prepared = _in_float32(loaded, prepare_changeable(loaded, text, pair, inputs))
    options: dict[str, Any] = {"logits_to_keep": _COMPARED} if "logits_to_keep" in accepted_inputs(loaded) else {}
    inside = Inside(loaded, prepared, Changes())
    with registry.handling(registry.eager, loaded.model):
        own = _results(forward(loaded, prepared.inputs, **options))
    with one_numpy_thread(), registry.handling(inside, loaded.model):
        ours = _results(forward(loaded, prepared.inputs, **options))
    inside.check()
    difference = (ours - own).abs()
    if relative:
        difference = difference / own.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(own.dtype).tiny)
    real = prepared.inputs.get("attention_mask" if prepared.decoder_tokens is None else "decoder_attention_mask")
    if real is not None and real.ndim == 2 and difference.ndim == 3:
        real = real[:, -difference.shape[1] :]
        difference = difference[real.bool()] if real.shape == difference.shape[:2] else difference
    return float(difference.max())


def _results(output):
    """Return what a model says, in its first field; of an answer where it begins and ends."""
    import torch

    ends = output.get("end_logits") if isinstance(output, dict) else None
    return output[0] if ends is None else torch.stack([output["start_logits"], ends], dim=-1)


def _in_float32(loaded, prepared):
    """Return a model that computes in float32, a copy if it has shorter numbers, and what it reads."""
    import torch

    if loaded.number_type not in registry.SHORT_NUMBERS:
        return loaded, prepared
    short = [getattr(torch, name) for name in registry.SHORT_NUMBERS]
    numbers = {name: each for name, each in prepared.inputs.items() if getattr(each, "dtype", None) in short}
    inputs = prepared.inputs | {name: each.float() for name, each in numbers.items()}
    return replace(loaded, model=copy.deepcopy(loaded.model).float()), prepared._replace(inputs=inputs)


def prepare_changeable(
    loaded: Loaded, text: str | None = None, pair: str | None = None, inputs: dict | None = None
) -> Prepared:
    """Prepare what a model reads, refusing one whose attention cannot be changed.

    Parameters
    ----------
    loaded
    text, pair, inputs
        As in `record`.

    Raises
    ------
    ModelError
        As `record`.
    """
    if not loaded.recordable:
        raise ModelError(
            f"{loaded.name} is a {loaded.family} model, a family that keeps its attention to itself: "
            "it cannot be changed"
        )
    return prepare(loaded, text, pair, inputs)


def changed_inputs(loaded: Loaded, prepared: Prepared, changes: Changes) -> tuple[dict, dict | None]:
    """Return the inputs with positions shuffled where they are to be, or else the order for the bias.

    Returns
    -------
    inputs : dict
    orders : dict or None
        Kind of layer -> positions, for a model that adds its positions to the scores.

    Raises
    ------
    ModelError
        If a hidden token does not exist.
    """
    beyond = [token for token in sorted(changes.hidden) if token >= (len(prepared.tokens) or np.inf)]
    if beyond:
        raise ModelError(f"hidden tokens must be among 0 to {len(prepared.tokens) - 1}, got {beyond[0]}")
    if changes.shuffled is None:
        return prepared.inputs, None
    order = _order(prepared.tokens, changes.shuffled)
    if "position_ids" not in accepted_inputs(loaded):
        written = order if prepared.decoder_tokens is None else _order(prepared.decoder_tokens, changes.shuffled)
        return prepared.inputs, {"encoder": order, "decoder": written}
    return prepared.inputs | _position_ids(loaded, prepared, order), None


def _positions(loaded, prepared, positions):
    """Return the tokens whose predictions are wanted, counted from the beginning."""
    tokens = prepared.tokens if prepared.decoder_tokens is None else prepared.decoder_tokens
    if not loaded.predicts_words or not tokens:
        return ()
    if positions is None:
        return masked_places(loaded, tokens) if predicts_masked(loaded) else (len(tokens) - 1,)
    if not isinstance(positions, Iterable) or not all(isinstance(each, int | np.integer) for each in positions):
        raise ValueError(f"positions must be several whole numbers, such as [0, -1], got {positions!r}")
    chosen = tuple(int(position) + (len(tokens) if position < 0 else 0) for position in positions)
    beyond = [position for position in chosen if not 0 <= position < len(tokens)]
    if beyond:
        raise ModelError(f"positions must be among 0 to {len(tokens) - 1}, got {beyond[0]}")
    return chosen


def predicts_masked(loaded: Loaded) -> bool:
    """Say whether a model predicts masked words, and not the next one."""
    return "MaskedLM" in type(loaded.model).__name__


def masked_places(loaded: Loaded, tokens: Sequence[Token]) -> tuple[int, ...]:
    """Return where words are masked.

    Returns
    -------
    tuple of int
        Empty where the tokenizer, if there is one, knows no masked words.
    """
    mask = getattr(loaded.tokenizer, "mask_token_id", None)
    return () if mask is None else tuple(place for place, token in enumerate(tokens) if token.id == mask)


def _options(loaded, positions):
    """Return what keeps a model from computing what nobody wants."""
    if "logits_to_keep" in accepted_inputs(loaded):
        import torch

        return {"logits_to_keep": torch.tensor(positions) if positions else 1}
    return {"output_hidden_states": True} if predicts_masked(loaded) else {}


def _logits(loaded, output, positions):
    """Return the logits at some positions, (rows, positions, vocabulary), or None."""
    logits = output.get("logits") if isinstance(output, dict) else None
    if not positions or logits is None or logits.ndim != 3:
        return None
    if "logits_to_keep" not in accepted_inputs(loaded):
        logits = logits[:, list(positions)]
    return logits.float().cpu().numpy()


def _classes(loaded, output):
    """Return what a classifier says, (rows, 1 or n_tokens, num_labels) or (rows, 2, n_tokens), or None."""
    if loaded.task is None:
        return None
    logits = output["logits"] if loaded.task != "answer" else [output["start_logits"], output["end_logits"]]
    if loaded.task == "answer":
        return np.stack([each.float().cpu().numpy() for each in logits], axis=1)
    logits = logits.float().cpu().numpy()
    return logits[:, None] if logits.ndim == 2 else logits


def _hidden(output, inputs):
    """Return the last hidden states of the text that a model reads, (rows, n_tokens, d_model), or None."""
    if not isinstance(output, dict):  # of a model built of torch's own parts, which may have the batch second
        return None
    states = output.get("encoder_last_hidden_state")
    for hidden in (states, output.get("last_hidden_state"), (output.get("hidden_states") or (None,))[-1]):
        if hidden is not None and hidden.ndim == 3:
            hidden = hidden.float().cpu().numpy()
            real = inputs.get("attention_mask")
            if real is None or real.shape != hidden.shape[:2]:
                return hidden
            return hidden[:, real[0].bool().numpy()]
    return None


def _row(array, row):
    """Return one row of a batch."""
    return None if array is None else array[row]


def _order(tokens, seed):
    """Return the positions of tokens, shuffled; special ones stay where they are."""
    order = np.arange(len(tokens))
    words = [position for position, token in enumerate(tokens) if not token.special]
    order[words] = np.random.default_rng(seed).permutation(words)
    return order


def _position_ids(loaded, prepared, order):
    """Return positions in another order, as inputs of a model that takes them."""
    import torch

    first = batches.first_position(loaded.model)
    ids = prepared.inputs["input_ids"]
    # Without a mask, positions that do not rise by one are taken for several texts in one row.
    mask = prepared.inputs.get("attention_mask", torch.ones_like(ids))
    return {"position_ids": torch.from_numpy(order + first).expand(len(ids), -1), "attention_mask": mask}
