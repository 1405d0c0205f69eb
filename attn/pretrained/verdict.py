"""Whether a recording shows this model reading this text: three findings, each with its number.

The arithmetic can agree while the weights were drawn at random, or while the model reads other tokens than it was
trained on. So the verdict is three: the weights all came from the file, the input is what the model's own preparation
makes, and the attention agrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.pretrained.errors import ModelError
from attn.pretrained.inputs import languages, tokens
from attn.pretrained.inputs.audio import audio_samples
from attn.pretrained.inputs.images import pictures_in, processed, prompt_of, read_picture
from attn.pretrained.inputs.picture_tokens import mark_of
from attn.pretrained.inputs.prepare import own_shift
from attn.pretrained.inputs.prepared_inputs import accepted_inputs
from attn.pretrained.recording.compare import Difference, compare, first_not_finite
from attn.pretrained.recording.registry import SHORT_NUMBERS
from attn.pretrained.tolerances import WEIGHT
from attn.words import number

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import ArrayLike

    from attn.pretrained.intervention.run import Run
    from attn.pretrained.loading.load import Loaded
    from attn.pretrained.recording.layer import Layer
    from attn.pretrained.recording.record import OwnWeights, Recording

_IDS = ("input_ids", "decoder_input_ids")


class Finding(NamedTuple):
    """One of the three things that a verdict names."""

    holds: bool | None  # None: there is nothing to hold it against
    number: str  # what was counted or measured, such as "103 of 103 tensors"
    words: str  # the rest of the sentence that begins with the number

    def __str__(self):
        return f"{self.number} {self.words}"


@dataclass(frozen=True)
class Verdict:
    """Whether this is the model, reading the text.

    Parameters
    ----------
    weights
        Whether the weights all came from the file.
    input
        Whether the input is what the model's own preparation makes.
    attention
        Whether the attention from scratch is the model's own.
    """

    weights: Finding
    input: Finding
    attention: Finding

    @property
    def findings(self) -> dict[str, Finding]:
        """The three by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def holds(self) -> bool | None:
        """True if all three hold, False if one does not, None if of one nothing can be told."""
        every = [finding.holds for finding in self.findings.values()]
        return False if False in every else None if None in every else True

    def __str__(self):
        answers = {True: "yes", False: "no", None: "not known"}
        return "\n".join(f"{name:<9}  {answers[each.holds]:<9}  {each}" for name, each in self.findings.items())


def verdict_of(
    recording: Recording,
    *,
    picture: str | Path | PIL.Image.Image | ArrayLike | None = None,
    sound: ArrayLike | None = None,
    text: str | None = None,
) -> Verdict:
    """Judge a recording.

    Parameters
    ----------
    recording
    picture, sound
        What the inputs were made of, where the model was not given a text: as `image_inputs` and `audio_inputs` take
        it.
    text
        What the decoder reads beside a sound.

    Returns
    -------
    Verdict

    Raises
    ------
    ModelError
        If the model takes no picture or sound, or its family's function does not give its weights.
    """
    return Verdict(
        weights_finding(recording.loaded),
        input_finding(recording, picture=picture, sound=sound, text=text),
        attention_finding(recording),
    )


def weights_finding(loaded: Loaded) -> Finding:
    """Say whether the weights of a model all came from its file.

    Parameters
    ----------
    loaded

    Returns
    -------
    Finding
        Holds if every tensor did that anything shown depends on. Of a model whose weights were drawn, or that was in
        memory already, nothing can be told.
    """
    report = loaded.weights
    if report is None:
        count = len({id(tensor) for tensor in loaded.model.state_dict(keep_vars=True).values()})
        if loaded.random_weights:
            return Finding(None, f"0 of {count:,} tensors", "from a file: all were drawn at random")
        return Finding(None, f"{count:,} tensors", "in memory already: no file to hold them against")
    needed = report.expected - len(report.missing)
    words = "from its file"
    types = [each for each in report.number_types if each != "float32"]
    words += f", {' and '.join(types)} there and float32 here" if types else ""
    if loaded.base is not None:
        ours, theirs = (each.model.state_dict(keep_vars=True) for each in (loaded, loaded.base))
        changed = sum(theirs.get(name) is not tensor for name, tensor in ours.items())
        words += f", {changed:,} of them changed by its adapter"
    if report.missing:
        words += f"; {len(report.missing):,} more are not in it and not needed here"
    if report.unused:
        words += f"; {len(report.unused):,} others in it are not used"
    return Finding(report.taken == needed, f"{report.taken:,} of {needed:,} tensors", words)


def input_finding(
    read: Recording | Run | OwnWeights,
    *,
    picture: str | Path | PIL.Image.Image | ArrayLike | None = None,
    sound: ArrayLike | None = None,
    text: str | None = None,
) -> Finding:
    """Say whether what a model was given is what its own preparation makes of the same text, picture or sound.

    The tokenizer, image processor or feature extractor is asked again as transformers' documentation does, and a
    decoder's text is moved on by the model's own function.

    Parameters
    ----------
    read
        What was recorded, or one run.
    picture, sound, text
        As for `verdict_of`.

    Returns
    -------
    Finding
        Holds if every number is the same: ids with special tokens, masks, pixel values. Of inputs that were given as
        they are nothing can be told, nor where transformers has no preparation of its own.

    Raises
    ------
    ModelError
        If the model takes no picture or sound.
    """
    texts = getattr(read, "texts", ())
    if len(texts) > 1:
        return _each_text([input_finding(one) for one in texts])
    picture = getattr(read, "images", None) if picture is None else picture
    if picture is not None and "pixel_values" in read.inputs and "input_ids" in read.inputs:
        own, maker = _own_picture_and_text(read, picture), "its own processor"
    elif picture is not None and read.text is None:
        own, maker = _own_picture(read.loaded, picture), "its own image processor"
    elif read.text is not None:
        own, maker = _own_text(read), "its own tokenizer"
    elif sound is not None:
        own, maker = _own_sound(read.loaded, sound, text), "its own feature extractor"
    else:
        return Finding(None, _all(read.inputs), "given as they are: nothing to hold them against")
    if own is None:
        lacks = "no decoder's input of its own" if picture is None else "no processor for this folder that works here"
        return Finding(None, _all(read.inputs), f"given: transformers has {lacks}")
    return _held_against(read, own, maker)


def attention_finding(recording: Recording, differences: Sequence[Difference] | None = None) -> Finding:
    """Say whether attention from scratch is the model's own.

    Parameters
    ----------
    recording
    differences
        What `compare` found of it, where that is known already.

    Returns
    -------
    Finding
        Holds if no weight differs by more than `WEIGHT`. That is for float32, in which the model's own function
        computes here, on the queries and keys of the pass, also where the model has shorter numbers: of these the
        finding says how far their rounding moves a weight.
    """
    differences = compare(recording) if differences is None else differences
    largest = max(difference.largest for difference in differences)
    words = f"is the largest difference in {len(differences):,} heads; up to {number(WEIGHT)} is rounding (float32)"
    number_type = recording.loaded.number_type
    if number_type in SHORT_NUMBERS:
        rounded = compare(recording, in_float32=False)
        if beyond := not_finite(recording.loaded, recording.layers, rounded, in_float32=False):
            return beyond
        rounding = max(difference.largest for difference in rounded)
        words += (
            f" from the {number_type} queries and keys of the pass, where the model's own rounding moves a weight by "
            f"up to {number(rounding, 2)}"
        )
    return not_finite(recording.loaded, recording.layers, differences) or Finding(
        largest <= WEIGHT, number(largest, 2), words
    )


def not_finite(
    loaded: Loaded, layers: Sequence[Layer], differences: Sequence[Difference], *, in_float32: bool = True
) -> Finding | None:
    """Say in which layer numbers became infinite, or no numbers, where a comparison came to no number.

    Parameters
    ----------
    loaded
    layers
        That it recorded.
    differences
        What `attn.pretrained.compare_layer` found of them.
    in_float32
        As it was for that.

    Returns
    -------
    Finding or None
        None where every difference is a number.
    """
    import torch

    found = first_not_finite(layers, differences, in_float32=in_float32)
    if found is None:
        return None
    most = torch.finfo(getattr(torch, loaded.number_type)).max
    where = "in the model itself" if found.of_model else "from scratch, though not in the model itself"
    return Finding(
        False,
        f"Layer {found.layer + 1} of {loaded.num_layers}",
        f"has {found.what} that are infinite or not a number {where}: they grew beyond {most:.1e}, the most that "
        f"{loaded.number_type} holds, so there are no weights to compare",
    )


def not_recorded(loaded: Loaded) -> Finding:
    """Return the finding on the attention of a family that keeps it to itself."""
    return Finding(None, "0 heads", f"compared: the {loaded.family} family keeps its attention to itself")


def _each_text(findings):
    """Put together what was found of the texts of a batch, whose padding is left out."""
    good = sum(finding.holds is True for finding in findings)
    number, words = f"{good:,} of {len(findings):,} texts", "as the model's own preparation makes each alone"
    short = next((row for row, finding in enumerate(findings) if finding.holds is not True), None)
    if short is None:
        return Finding(True, number, words)
    holds = False if any(finding.holds is False for finding in findings) else None
    return Finding(holds, number, f"{words}; of text {short + 1}, {findings[short]}")


# what the model's own preparation makes


def _own_text(read):
    """Ask a tokenizer for all that a model reads; None where the decoder's text cannot be moved on."""
    loaded, has_decoder = read.loaded, read.decoder_tokens is not None
    tokenizer = loaded.tokenizer
    texts = [tokens.checked(each) for each in (read.text, read.pair) if each is not None]
    cut = {} if read.truncated_from is None else {"truncation": True, "max_length": loaded.max_tokens}
    with loaded.lock, languages.chosen(loaded):  # a tokenizer changes while it works
        if not has_decoder or loaded.task is not None:  # the decoder of a classifier reads what its encoder reads
            made = tokenizer(*texts, **cut, return_tensors="pt", verbose=False)
            moved = own_shift(loaded, made["input_ids"]) if has_decoder else None
            return _accepted(loaded, made) | ({} if moved is None else {"decoder_input_ids": moved})
        led_in = languages.led_in(texts[0], tokenizer, loaded.target_language)
        made = tokenizer(led_in, text_target=texts[-1], **cut, return_tensors="pt", verbose=False)
    moved = own_shift(loaded, made["labels"])
    return None if moved is None else _accepted(loaded, made) | {"decoder_input_ids": moved}


def _own_picture(loaded, picture):
    """Ask an image processor."""
    if loaded.image_processor is None:
        raise ModelError(f"{loaded.name} has no image processor, so no picture can be held against its input")
    return _accepted(loaded, loaded.image_processor(images=read_picture(picture), return_tensors="pt"))


def _own_picture_and_text(read, picture):
    """Ask a processor; None where a folder has none that says how a text and a picture go together."""
    loaded, pictures = read.loaded, pictures_in(picture)
    prompt = prompt_of(loaded, tokens.checked(read.text or ""), len(pictures))
    if loaded.processor is not None:
        try:
            made = processed(loaded, pictures, prompt)
        except Exception:  # a processor is a program of its own, and a folder may say too little of it
            return None
    elif mark_of(loaded) is not None:
        return None
    else:  # two towers that read side by side
        made = loaded.image_processor(images=pictures, return_tensors="pt")
        with loaded.lock:
            made = dict(made) | dict(loaded.tokenizer(prompt, return_tensors="pt", verbose=False))
    return _accepted(loaded, made)


def _own_sound(loaded, sound, text):
    """Ask a feature extractor and, for what a decoder says, a tokenizer; None where that cannot be moved on."""
    import torch

    extract, config = loaded.feature_extractor, loaded.model.config
    if extract is None:
        raise ModelError(f"{loaded.name} has no feature extractor, so no sound can be held against its input")
    samples = audio_samples(sound)
    made = _accepted(loaded, extract(samples, sampling_rate=extract.sampling_rate, return_tensors="pt"))
    if "decoder_input_ids" not in accepted_inputs(loaded):
        return made
    start = getattr(config, "decoder_start_token_id", None)
    start = getattr(config, "bos_token_id", None) if start is None else start  # as in writing
    if loaded.tokenizer is None or not (text or loaded.target_language):
        return None if start is None else made | {"decoder_input_ids": torch.tensor([[start]])}
    with loaded.lock, languages.chosen(loaded):
        labels = loaded.tokenizer(text_target=tokens.checked(text or ""), return_tensors="pt", verbose=False)
        labels = labels["input_ids"]
    # Whisper's tokenizer writes the first token that moving on puts there: training takes it off.
    moved = own_shift(loaded, labels[:, 1:] if labels[0, 0] == start else labels)
    return None if moved is None else made | {"decoder_input_ids": moved}


def _accepted(loaded, made):
    """Return what a model takes of what was made for it, but for what it is to say."""
    accepted = accepted_inputs(loaded).keys() - {"labels"}
    return {name: value for name, value in made.items() if name in accepted}


# and what the model was given


def _held_against(read, own, maker):
    """Compare the inputs of a pass with those of the model's own preparation, number by number."""
    given = read.inputs
    own = {name: value.to(given[name].dtype) if name in given else value for name, value in own.items()}
    same, most = np.sum([_same(given[name], own.get(name)) for name in _counted(given)], axis=0)
    number = f"{same:,} of {most:,} {_unit(given)}"
    by = f"{maker} and its own shift make" if "decoder_input_ids" in own else f"{maker} makes"
    words = f"as {by} them"
    if wrong := next(_differences(given, own), None):
        return Finding(False, number, f"{words}: {wrong}")
    if read.truncated_from is not None:
        words += f", which cut {read.truncated_from:,} to {given['input_ids'].shape[1]:,}"
    unknown = sum(token.unknown for side in (read.tokens, read.decoder_tokens or ()) for token in side)
    if unknown:
        words += f"; {unknown:,} of them unknown to its vocabulary"
    return Finding(True, number, words)


def _differences(given, own):
    """Yield what is wrong with inputs: one that is missing or too much, of another size, or with another number."""
    for name in dict.fromkeys([*_IDS, *own, *given]):
        if name in own and name not in given:
            yield f"{name} is missing"
        elif name in given and name not in own:
            yield f"it makes no {name}"
        elif name in given and given[name].shape != own[name].shape:
            yield f"{name} must have the shape {tuple(own[name].shape)}, got {tuple(given[name].shape)}"
        elif name in given and (places := (given[name] != own[name]).nonzero()).numel():
            at = tuple(places[0].tolist())
            yield f"{name} at {at[-1]} must be {own[name][at]:g}, got {given[name][at]:g}"


def _same(given, own):
    """Count the numbers of an input that are the same, of one size or not, and all that there are."""
    if own is None or given.shape[:-1] != own.shape[:-1]:
        return 0, given.numel()
    n = min(given.shape[-1], own.shape[-1])
    return int((given[..., :n] == own[..., :n]).sum()), max(given.numel(), own.numel())


def _counted(inputs):
    """Return which inputs are counted: the ids, or where there are none all."""
    return [name for name in inputs if name in _IDS] or list(inputs)


def _all(inputs):
    """Say how many ids or numbers there are."""
    return f"{sum(inputs[name].numel() for name in _counted(inputs)):,} {_unit(inputs)}"


def _unit(inputs):
    """Say what is counted of inputs."""
    return "ids" if {*_IDS} & {*inputs} else "numbers"
