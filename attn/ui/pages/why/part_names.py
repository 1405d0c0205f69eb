"""The parts of a state in words and as labels: "layer 2 head 5, which looks most at animal"."""

from attn.ui.pages.why.setup import attention_in
from attn.ui.state import as_text


def head_source(passed, part, token):
    """Return the token from which a head took most for another, and the weight it has there.

    Parameters
    ----------
    passed
    part : attn.models.ledger.Part
        Of kind "head".
    token : int

    Returns
    -------
    int
    float
    """
    weights = attention_in(passed, part.layer).weights[part.head, token]
    return int(weights.argmax()), float(weights.max())


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


def part_label(reading, part, token):
    """Return a part of the state of a token as a short label; of a head with what it looks at most: 2.5 → animal."""
    if part.kind == "head":
        return f"{part.layer + 1}.{part.head + 1} → {reading.labels[head_source(reading.passed, part, token)[0]]}"
    if part.kind == "feed_forward":
        return f"feed-forward {part.layer + 1}"
    if part.kind == "bias":
        return "first norm" if part.layer is None else f"biases of {part.layer + 1}"
    return "segment" if part.kind == "type" else part.kind


def group_label(part):
    """Return a part of a ledger that was `attn.models.ledger.grouped` as a label."""
    of_all = {"head": "all heads", "feed_forward": "all feed-forward", "bias": "biases", "type": "segment"}
    if part.layer is None:
        return of_all.get(part.kind, part.kind)
    return f"{'heads' if part.kind == 'head' else 'feed-forward'} {part.layer + 1}"
