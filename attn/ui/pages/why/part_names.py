"""The parts of a state in words: "layer 2 head 5, which looks most at animal"."""

from attn.models.ledger import head_source
from attn.ui.state import as_text


def part_in_words(reading, part, token):
    """Return a part of the state of a token in words of Markdown.

    Parameters
    ----------
    reading : Reading
    part : attn.models.ledger.Part
    token : int
        Whose state it is a part of.
    """
    if part.kind == "head":
        source, weight = head_source(reading.passed, part, token)
        return (
            f"layer {part.layer + 1} head {part.head + 1}, which looks most at **{as_text(reading.labels[source])}** "
            f"(weight {weight:.2f})"
        )
    if part.kind == "feed_forward":
        return f"layer {part.layer + 1}'s feed-forward network"
    if part.kind == "bias":
        return "what the first norm adds to every token" if part.layer is None else f"layer {part.layer + 1}'s biases"
    named = {"embedding": "the embedding of", "position": "the position of", "type": "the segment of"}[part.kind]
    return f"{named} **{as_text(reading.labels[token])}**"
