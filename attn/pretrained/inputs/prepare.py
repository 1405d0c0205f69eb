"""What goes into a model: a text or a pair made into tokens, or inputs as they are."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attn.pretrained.errors import ModelError, first_line
from attn.pretrained.inputs import batches, languages, picture_tokens, tokens, vocabulary
from attn.pretrained.inputs.images import image_inputs
from attn.pretrained.inputs.prepared_inputs import PreparedInputs, accepted_inputs

if TYPE_CHECKING:
    import torch
    import transformers

    from attn.pretrained.loading.load import Loaded


_MISCOUNTED = re.compile(r"image features and image tokens do not match", re.IGNORECASE)
_HOW_TO_COUNT = (
    "its processor counts them by the patch_size, vision_feature_select_strategy and num_additional_image_tokens of "
    "its processor_config.json, which must be those of the model"
)


class Prepared(NamedTuple):
    """What goes into a model, and what its rows and columns are called.

    Parameters
    ----------
    inputs
        Tensors by name.
    tokens, decoder_tokens
        Names of what encoder and decoder read; of a batch, those of its first row.
    truncated_from
    patches
        Of a picture, in the order in which a vision tower reads them.
    seconds
        Of a sound, with what fills it up.
    sound_seconds
        Of the sound itself, where that is known.
    text, pair
        As they were given.
    batch : tuple of Prepared
        Each text of a batch, its names with `tokens.PADDING` among them. Empty where one text is read and nothing
        is padding.
    note
        What to know of how texts were put together, as a sentence; or empty.
    doubted : int or None
        A row of which only a pass can tell whether the model reads it as if it were alone.
    windowed
        Whether some layers of a vision tower read one window of the patches after another, in their order.
    """

    inputs: dict
    tokens: tuple
    decoder_tokens: tuple | None = None
    truncated_from: int | None = None
    patches: tuple = ()
    seconds: float | None = None
    sound_seconds: float | None = None
    text: str | None = None
    pair: str | None = None
    batch: tuple = ()
    note: str = ""
    doubted: int | None = None
    windowed: bool = False

    def axes(self, kind: str, n_q: int, n_k: int, part: str = "", first: int = 0) -> tuple[tuple, tuple]:
        """Return the names of the rows and columns of one kind of attention.

        Parameters
        ----------
        kind, part
            As in `attn.pretrained.recording.layer.Layer`.
        n_q, n_k
        first
            Rows before these, where one module reads them in several windows.

        Returns
        -------
        rows, columns : tuple of Token
            Numbers where no names fit, and where those of several texts differ.
        """
        if len(self.batch) > 1:
            rows, columns = zip(*(one.axes(kind, n_q, n_k, part, first) for one in self.batch), strict=True)
            return _shared(rows), _shared(columns)
        if part in picture_tokens.PARTS:
            window = self.patches[first : first + n_q] if self.windowed else ()
            return tuple(_fitted(n, self._seen(n), window) for n in (n_q, n_k))
        if self.decoder_tokens is None or kind == "encoder":
            crossing = kind == "cross" and self.patches
            rows = self._first(n_q, part)
            return rows, _fitted(n_k, self._seen(n_k), self.tokens) if crossing else self._first(n_k, part)
        # some decoders look at themselves and at the encoder at once
        both = tokens.in_a_row(self.decoder_tokens, self.tokens)
        columns = () if kind == "cross" else (self.decoder_tokens, both)
        return _fitted(n_q, self.decoder_tokens), _fitted(n_k, *columns) if columns else self._first(n_k)

    def _first(self, length, part=""):
        """Name what is read first: tokens, moments of a sound, patches, or a text and patches behind it."""
        if part in picture_tokens.RESAMPLERS:
            return _fitted(length)
        if self.seconds is not None and part != "text":
            return _moments(self.seconds, self.sound_seconds, length)
        if part and self.tokens:
            return _fitted(length, self.tokens)
        return _fitted(length, self.tokens, (*self.tokens, *self._seen(length - len(self.tokens))))

    def _seen(self, length):
        """Name what a vision tower reads."""
        return picture_tokens.with_leading(self.patches, length)


def prepare(
    loaded: Loaded,
    text: str | None = None,
    pair: str | None = None,
    inputs: dict | None = None,
    images: Any = None,
) -> Prepared:
    """Make inputs of what is given: a text, pictures with or without one, or the inputs themselves.

    Raises
    ------
    ModelError
        If the model has no tokenizer, takes no picture, the text gives no token or is too long to be tokenized, or
        the inputs are longer than the model reads.
    ValueError
        If not exactly one of text or images and inputs is given, or a text is not a string.
    """
    if (text is None and images is None) == (inputs is None):
        raise ValueError("either a text or inputs must be given, got " + ("neither" if inputs is None else "both"))
    if inputs is not None:
        return _from_inputs(loaded, inputs)
    return _from_text(loaded, text, pair) if images is None else _from_images(loaded, images, text, pair)


def prepare_texts(loaded: Loaded, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Prepared:
    """Make inputs of several texts for one pass, each of which is read as if it were alone.

    Parameters
    ----------
    loaded
    texts
    pairs
        A second text for each.

    Raises
    ------
    ModelError
        As `prepare`, or if texts of different lengths cannot be filled up.
    ValueError
        If there is no text, one is not a string, or there are more or fewer second texts than texts.
    """
    if isinstance(pairs, str) or (pairs is not None and len(pairs) != len(texts)):
        got = "one" if isinstance(pairs, str) else len(pairs)
        raise ValueError(f"there must be a second text for each of the {len(texts)} texts, got {got}")
    if len(texts) == 0:
        raise ValueError("there must be at least one text, got an empty list")
    each = [_numbered(loaded, *both) for both in enumerate(zip(texts, pairs or [None] * len(texts), strict=True), 1)]
    if len(each) == 1:
        return each[0]
    inputs, note = batches.joined(loaded, [one.inputs for one in each])
    inputs = batches.placed(loaded, inputs)
    lengths = [len(one.tokens) + len(one.decoder_tokens or ()) for one in each]
    filled = len({(len(one.tokens), len(one.decoder_tokens or ())) for one in each}) > 1
    rows = [one._replace(**batches.with_padding(inputs, row, one)) for row, one in enumerate(each)]
    doubted = lengths.index(min(lengths)) if filled else None
    decoder_tokens = None if each[0].decoder_tokens is None else ()
    return Prepared(inputs, (), decoder_tokens, batch=tuple(rows), note=note, doubted=doubted)


def _numbered(loaded, number, both):
    """Prepare one of several texts; what is wrong with it is said with its number."""
    text, pair = both
    try:
        tokens.checked(text)  # here None is no text either
        return _from_text(loaded, text, pair)
    except ValueError as error:
        raise type(error)(f"text {number}: {error}") from error


def forward(
    loaded: Loaded, inputs: dict, *, predict: bool = True, **options: Any
) -> transformers.utils.ModelOutput | tuple:
    """Pass inputs through a model; what it cannot read becomes one sentence.

    Parameters
    ----------
    loaded
    inputs
    predict
        Whether the words that a model predicts are of interest. If not, it scores the vocabulary for the
        last token alone, where it can: for 4,096 tokens of SmolLM2 the scores would take 800 MB.
    **options
        Passed on to the model.

    Returns
    -------
    transformers.utils.ModelOutput or tuple
        A tuple of what comes out of a model that is built of torch's own parts.

    Raises
    ------
    ModelError
        If the model is in training mode, has no embedding for one of the ids, or raises whatever error.
    """
    import torch

    if loaded.model.training:
        raise ModelError(
            f"{loaded.name} is in training mode, where dropout changes every pass: call model.eval() first"
        )
    vocabulary.check_ids(loaded, inputs)
    accepted = accepted_inputs(loaded)
    if "use_cache" in accepted:
        options["use_cache"] = False
    if not predict and "logits_to_keep" in accepted:
        options["logits_to_keep"] = 1
    try:
        with torch.inference_mode():
            output = loaded.model(**inputs, **options)
        return (output,) if torch.is_tensor(output) else output
    except ModelError:
        raise
    except Exception as error:  # any family's forward, on input it was not made for
        counted = loaded.processor is not None and _MISCOUNTED.search(str(error))
        hint = f"; {_HOW_TO_COUNT}" if counted else ""
        raise ModelError(f"{loaded.name} cannot read this input: {first_line(error)}{hint}") from error


def _has_decoder(loaded):
    """Say whether a model reads one text with an encoder and another with a decoder."""
    # Some call themselves so because of a decoder that reads no text, such as that of boxes in Grounding DINO.
    reads = "decoder_input_ids" in accepted_inputs(loaded)
    return reads and bool(getattr(_config(loaded), "is_encoder_decoder", False))


def _config(loaded):
    """Return the configuration of a model; None of one that is built of torch's own parts."""
    return getattr(loaded.model, "config", None)


def _from_text(loaded, text, pair):
    """Tokenize a text for a model, and a second one for the same pass or for the decoder."""
    if loaded.tokenizer is None:
        instead = {"picture": "a picture", "sound": "a sound"}.get(loaded.takes, "inputs")
        raise ModelError(f"{loaded.name} has no tokenizer, so it takes {instead} instead of a text")
    if loaded.takes == "sound":
        raise ModelError(f"{loaded.name} takes a sound instead of a text")
    texts = [tokens.checked(each) for each in (text, pair) if each is not None]
    if loaded.task is not None or not _has_decoder(loaded):  # a classifier reads both texts at once
        encoded = _encode(loaded, texts)
        inputs = _accepted(loaded, encoded)
        if not _has_decoder(loaded):
            return Prepared(inputs, encoded.names, None, encoded.truncated_from, text=text, pair=pair)
        ids, names = _one_step_late(loaded, encoded)  # its decoder reads them again
        inputs["decoder_input_ids"] = ids
        return Prepared(inputs, encoded.names, names, encoded.truncated_from, text=text, pair=pair)
    led_in = languages.led_in(texts[0], loaded.tokenizer, loaded.target_language)
    source, target = _encode(loaded, [led_in]), _encode_target(loaded, texts[-1])
    ids, names = _one_step_late(loaded, target)
    inputs = _accepted(loaded, source) | {"decoder_input_ids": ids}
    truncated_from = source.truncated_from or target.truncated_from
    return Prepared(inputs, source.names, names, truncated_from, text=text, pair=pair)


def _from_images(loaded, images, text, pair):
    """Make inputs of pictures and of what is read with them."""
    texts = [tokens.checked(each) for each in (text, pair) if each is not None]
    says = _has_decoder(loaded)
    reads = loaded.takes == "picture and text"
    if len(texts) > reads + says:
        raise ModelError(f"{loaded.name} reads {'one text' if reads or says else 'no text'} with a picture")
    inputs = image_inputs(loaded, images, texts[0] if reads and texts else None)
    if says and "decoder_input_ids" not in inputs:
        inputs.update(decoder_inputs(loaded, texts[-1] if texts else None))
    return _from_inputs(loaded, inputs)


def decoder_inputs(loaded: Loaded, text: str | None = None) -> dict:
    """Make what a decoder reads of a text, or of none: the token it begins with, or all that say a chosen language."""
    import torch

    if loaded.tokenizer is None or not (text or loaded.target_language):
        return {"decoder_input_ids": torch.tensor([[_start_id(loaded)]])}
    return {"decoder_input_ids": _one_step_late(loaded, _encode_target(loaded, tokens.checked(text or "")))[0]}


def _one_step_late(loaded, target):
    """Return what a decoder reads while it says a text, as in training: the text moved on by the model's own function.

    Returns
    -------
    torch.Tensor, shape (1, n)
    tuple of Token
    """
    import torch

    ids, names = target.given["input_ids"], target.names
    if loaded.takes != "text" and ids[0] == _start_id(loaded):  # Whisper's tokenizer writes it itself
        ids, names = ids[1:], names[1:]
    moved = _moved_on(loaded, torch.tensor([ids]))
    first = tokens.from_ids([int(moved[0, 0])], loaded.tokenizer)[0]._replace(special=True)
    return moved, tokens.in_a_row([first], names[:-1])


def own_shift(loaded: Loaded, labels: torch.Tensor) -> torch.Tensor | None:
    """Move labels on by one place, as the model itself does in training.

    Parameters
    ----------
    loaded
    labels : shape (batch, n)
        What a decoder is to say.

    Returns
    -------
    shape (batch, n), or None
        What it reads meanwhile. None where the model has no function for it, or its configuration names no first
        token.
    """
    model, config = loaded.model, loaded.model.config
    names = ("prepare_decoder_input_ids_from_labels", "_shift_right")  # the second of T5's line, without its head
    own = next((found for name in names if (found := getattr(model, name, None))), None)
    shift = getattr(sys.modules[type(model).__module__], "shift_tokens_right", None)
    try:
        if own is not None:
            return own(labels)
        if shift is not None:  # of a model that was loaded without the head that predicts words
            _, *needed = inspect.signature(shift).parameters
            return shift(labels, *(getattr(config, name) for name in needed))
    except (ValueError, TypeError, RuntimeError, AttributeError):  # the configuration names no first token
        pass
    return None


def _moved_on(loaded, labels):
    """Move labels on by one place; where the model has no function for it, behind the token it begins with."""
    own = own_shift(loaded, labels)
    return labels.new_tensor([[_start_id(loaded), *labels[0, :-1].tolist()]]) if own is None else own


class _Encoded(NamedTuple):
    """What a tokenizer makes of a text or a pair."""

    given: dict  # name of an input -> list
    names: tuple
    truncated_from: int | None


def _encode(loaded, texts):
    """Tokenize one text or a pair."""
    return _encoded(loaded, texts, texts)


def _encode_target(loaded, text):
    """Tokenize what a decoder says: some tokenizers have other pieces for it, or begin it with another language."""
    return _encoded(loaded, [text], [], text_target=text)


def _encoded(loaded, texts, given, **target):
    """Tokenize texts in the languages that were chosen, given to the tokenizer by place or by name."""
    tokenizer = loaded.tokenizer
    # a tokenizer changes its own settings while it works
    with loaded.lock, languages.chosen(loaded):
        encoded = tokenizer(*given, **target, verbose=False)
        count = len(encoded["input_ids"])
        if count > loaded.max_tokens:
            encoded = tokenizer(*given, **target, truncation=True, max_length=loaded.max_tokens, verbose=False)
    if count == 0:
        raise ModelError(f"the text has no token for {loaded.name}, so there is nothing to look at")
    if encoded.encodings:
        known = tokens.special_ids(tokenizer), tokens.unknown_token(tokenizer)
        names = tokens.from_encoding(encoded.encodings[0], texts, *known)
    else:  # a tokenizer in Python does not say where in the text its tokens come from
        names = tokens.from_ids(encoded["input_ids"], tokenizer)
    return _Encoded(dict(encoded), names, count if count > loaded.max_tokens else None)


def _accepted(loaded, encoded):
    """Return what a model takes of what its tokenizer made."""
    import torch

    accepted = accepted_inputs(loaded)
    return {key: torch.tensor([ids]) for key, ids in encoded.given.items() if key in accepted}


def _start_id(loaded):
    """Return the token that a decoder begins with."""
    config = loaded.model.config
    known = (getattr(config, name, None) for name in ("decoder_start_token_id", "pad_token_id", "bos_token_id"))
    return next((id for id in known if isinstance(id, int)), 0)


def _from_inputs(loaded, inputs):
    """Take the inputs of a model as they are, and name its tokens as far as they are known."""
    inputs = _as_tensors(inputs)
    for key in ("input_ids", "decoder_input_ids"):
        length = inputs[key].shape[1] if key in inputs else 0
        if length > loaded.max_tokens:
            raise ModelError(f"{loaded.name} takes at most {loaded.max_tokens} tokens here, got {length}")
    inputs = batches.placed(loaded, inputs)
    whole = _named(loaded, inputs)._replace(doubted=batches.doubted(loaded, inputs))
    if not batches.can_be_told_apart(inputs):
        return whole
    each = [_named(loaded, batches.alone(inputs, row)) for row in range(batches.size(inputs))]
    return whole._replace(
        batch=tuple(one._replace(**batches.with_padding(inputs, row, one)) for row, one in enumerate(each))
    )


def _named(loaded, inputs):
    """Name what is in the first row of inputs."""
    tokenizer = getattr(loaded.processor, "tokenizer", None) or loaded.tokenizer
    ids = [inputs[key][0].tolist() if key in inputs else [] for key in ("input_ids", "decoder_input_ids")]
    names = [tokens.from_ids(each, tokenizer) for each in ids]
    return Prepared(
        inputs,
        picture_tokens.in_text(loaded, inputs, names[0]),
        names[1] if _has_decoder(loaded) else None,
        patches=picture_tokens.in_tower(loaded, inputs, names[0]),
        windowed=picture_tokens.windows_of(loaded.model) is not None,
        seconds=_seconds(loaded, inputs),
        sound_seconds=_sound_seconds(loaded, inputs),
    )


def _seconds(loaded, inputs):
    """Return how long the audio input of a model is, with the silence that fills it up; None if it is not known."""
    extract = loaded.feature_extractor
    if extract is None:
        return None
    waves, spectra = inputs.get("input_values"), inputs.get("input_features")
    if waves is not None and waves.ndim == 2:
        return waves.shape[1] / extract.sampling_rate
    if spectra is None or spectra.ndim != 3 or not hasattr(extract, "hop_length"):
        return None
    frames = [length for length in spectra.shape[1:] if length != extract.feature_size]  # beside the bands of each
    return frames[0] * extract.hop_length / extract.sampling_rate if len(frames) == 1 else None


def _sound_seconds(loaded, inputs):
    """Return how long a sound is without what fills it up: as it was made, or by the mask of its frames."""
    mask, spectra = inputs.get("attention_mask"), inputs.get("input_features")
    if inputs.seconds is None and mask is not None and spectra is not None and mask.shape[-1] in spectra.shape[1:]:
        return int(mask[0].sum()) * loaded.feature_extractor.hop_length / loaded.feature_extractor.sampling_rate
    return inputs.seconds


def _moments(seconds, sound_seconds, length):
    """Name the moments of a sound, and say which of them lie behind its end."""
    times = [seconds * i / length for i in range(length)]
    end = seconds if sound_seconds is None else sound_seconds
    return tuple(tokens.Token(f"{time:.2f}s", None, False, filler=time >= end) for time in times)


def _fitted(length, *candidates):
    """Return the first names that are as many as there are rows or columns, otherwise numbers."""
    fitting = next((names for names in candidates if len(names) == length), None)
    return _counted(length) if fitting is None else fitting


def _counted(length):
    """Name places by their numbers."""
    return tuple(tokens.Token(str(i), None, False) for i in range(length))


def _shared(names):
    """Return the names that all texts of a batch have at their places, otherwise numbers."""
    same = all(each == names[0] for each in names)  # of music an id is a list of codes, which no set holds
    return names[0] if same and tokens.PADDING not in names[0] else _counted(len(names[0]))


def _as_tensors(inputs):
    """Return inputs as tensors, refusing what can be none and ids that are no rows of whole numbers.

    What is one array under two names stays one: that is how torch's attention knows its keys for its queries.
    """
    if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
        raise ValueError(f"inputs must be a dict of arrays by name, such as input_ids, got {type(inputs).__name__}")
    tensors = {id(value): _as_tensor(name, value) for name, value in inputs.items()}
    made = PreparedInputs(inputs)
    made.update({name: tensors[id(value)] for name, value in inputs.items()})
    for name in {"input_ids", "decoder_input_ids"} & made.keys():
        ids = made[name]
        if not hasattr(ids, "ndim") or ids.ndim < 2 or ids.is_floating_point() or not ids.numel():
            raise ValueError(
                f"{name} must be whole numbers with an axis for the texts and one for their tokens, "
                f"got {inputs[name]!r:.60}"
            )
        if bool((ids < 0).any()):
            raise ValueError(f"{name} must be at least 0, got {int(ids.min())}")
    return made


def _as_tensor(name, value):
    """Return an array as a tensor; switches such as ``is_causal`` stay what they are."""
    import torch

    if value is None or isinstance(value, bool | str):
        return value
    try:
        return torch.as_tensor(value)
    except (ValueError, TypeError, RuntimeError):
        raise ValueError(f"{name} must be numbers in rows of one length, got {value!r:.60}") from None
