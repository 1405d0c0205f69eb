"""What to know of a picture or a sound that a model reads: whose layers are whose, and where it ends."""

from attn.pretrained.inputs.audio import decoder_start
from attn.words import listed

_PARTS = {
    "vision": "vision tower",
    "image": "image tower",
    "text": "language model",
    "audio": "audio tower",
    "": "model around them",
}


def part_name(part):
    """Return what a part of a model is called; `part` as in `attn.pretrained`'s layers."""
    return _PARTS.get(part, part.replace("_", " "))


def media_notes(loaded, recording, layer):
    """Say what a picture or a sound brings with it, in sentences.

    Parameters
    ----------
    loaded : Loaded
    recording : Recording
    layer : Layer
        The one in view.

    Returns
    -------
    list of str
        Markdown. Empty for a text alone.
    """
    return [*_parts(recording), *_picture(recording, layer), *_sound(recording), *_decoder(recording), *_heads(loaded)]


def _parts(recording):
    """Say which layers belong to which part of a model."""
    layers = {}
    for layer in recording.layers:
        layers.setdefault(layer.part, []).append(layer.index + 1)
    if len(layers) > 1:
        (first, at), *rest = layers.items()
        yield f"Layers {_ranges(at)} belong to the {part_name(first)}, " + ", ".join(
            f"{_ranges(at)} to the {part_name(part)}" for part, at in rest
        ) + "."  # fmt: skip


def _ranges(numbers):
    """Return numbers of layers as spans."""
    spans = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return listed(f"{first} to {last}" if last > first else str(first) for first, last in spans)


def _picture(recording, layer):
    """Say where the vectors of a picture have no place in it, and which tile is in view."""
    nowhere = [token for token in recording.tokens if token.picture is not None and token.patch is None]
    if nowhere and not any(token.patch for token in recording.tokens):
        yield (
            f"The model makes {len(nowhere)} vectors of the picture. None of them stands for one place in it, so they "
            "have numbers."
        )
    if any(token.patch and token.text.startswith("whole ") for token in recording.tokens):
        yield "It reads the picture in tiles, and once more whole with fewer patches, whose names begin with “whole”."
    if layer.part == "vision" and len(layer.query) > 1:
        yield f"The vision tower reads {len(layer.query)} tiles side by side. For its layers this page shows the first."


def _sound(recording):
    """Say where a sound ends."""
    if recording.sound_seconds is not None and recording.sound_seconds < recording.seconds:
        yield (
            f"The sound ends after {recording.sound_seconds:.2f} s. From there up to {recording.seconds:.2f} s the "
            "model reads silence, which fills it up: grey in the figures, and left out of sentences and numbers."
        )


def _decoder(recording):
    """Say what the decoder of a model of sounds reads before the first word."""
    start = decoder_start(recording)
    if start:
        told = (f"`{token.text}`" + (f" ({meaning})" if meaning else "") for token, meaning in start)
        yield f"Before the words the decoder reads {listed(told)}."


def _heads(loaded):
    """Name the heads that follow the sound."""
    if loaded.alignment_heads:
        named = (f"layer {block + 1}, head {head + 1}" for block, head in loaded.alignment_heads)
        yield (
            "This checkpoint names the heads that follow the sound word by word, from the decoder to the encoder "
            f"(alignment heads): {'; '.join(named)}."
        )
