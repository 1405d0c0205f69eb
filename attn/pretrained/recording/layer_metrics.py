"""Every head of a recorded layer by every metric of `attn.analysis.head_table`, between pieces or between words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attn.analysis.head_table import measure_each
from attn.analysis.word_level import mask_to_words, to_words
from attn.pretrained.errors import takes
from attn.pretrained.inputs.audio import sound_part
from attn.pretrained.inputs.words import words_of
from attn.pretrained.recording.compare import from_scratch

if TYPE_CHECKING:
    import numpy as np

    from attn.pretrained.inputs.tokens import Token
    from attn.pretrained.recording.layer import Layer


@takes(layer="Layer")
def layer_metrics(layer: Layer, *, rows: slice | None = None, level: str = "pieces") -> dict[str, np.ndarray]:
    """Measure every head of a recorded layer, holding the weights of one head at a time.

    Parameters
    ----------
    layer
        Of several texts, that of one, in ``layer.batch``.
    rows
        Queries to measure over; by default all, which of a long text takes long.
    level : {"pieces", "words"}
        What the rows and columns of the weights stand for: words are put together as `attn.word_level.to_words` does.

    Returns
    -------
    dict
        Key of `attn.head_table.METRICS` -> ndarray (num_heads,), NaN where it cannot be told. What only fills a sound
        up is left out.

    Raises
    ------
    ValueError
        If `rows` is no slice, `level` neither of the two, or a head has no weights to measure, as in `measure`.
    """
    if not isinstance(rows, slice | None):
        raise ValueError(f"rows must be a slice of the queries or None, got {rows!r:.60}")
    known = keys_of_layer(layer, level)
    queries, keys = _without_filler(layer.query_tokens[rows or slice(None)]), _without_filler(layer.key_tokens)
    mask = None if layer.mask is None else layer.mask[0, 0][rows or slice(None)]
    every = (from_scratch(layer, head, rows=rows).weights[0, 0] for head in range(layer.num_heads))
    heads = (sound_part(layer, weights, rows) for weights in every)  # each (n_q, n_k)
    if level == "words":
        sides = [[token.word for token in side] for side in (queries, keys)]
        heads = (to_words(weights, *sides) for weights in heads)
        mask = None if mask is None else mask_to_words(mask, *sides)
    return measure_each(heads, **known, mask=mask)


@takes(layer="Layer")
def keys_of_layer(layer: Layer, level: str = "pieces") -> dict[str, Any]:
    """Return what is known of the keys of a layer, as `attn.head_table.measure` takes it.

    Parameters
    ----------
    layer, level
        As in `layer_metrics`.

    Returns
    -------
    dict
        ``tokens``, ``special``, ``words``, ``cross`` and ``picture``.

    Raises
    ------
    ValueError
        If `level` is neither.
    """
    if level not in ("pieces", "words"):
        raise ValueError(f"level must be pieces or words, got {level!r}")
    pieces = _without_filler(layer.key_tokens)
    read = all(token.id is not None for token in layer.key_tokens)  # a patch of a picture is no token
    keys: Any = words_of(pieces) if level == "words" else pieces
    firsts = [pieces[word.pieces[0]] for word in keys] if level == "words" else pieces
    # a word comes again where all its pieces do
    ids = [str(word.ids) for word in keys] if level == "words" else [token.id for token in keys]
    return {
        "tokens": ids if read else None,
        "special": [key.special for key in keys],
        "words": [key.text for key in keys] if read else None,
        "cross": layer.kind == "cross",
        "picture": [token.picture is not None for token in firsts],
    }


def _without_filler(tokens: tuple[Token, ...]) -> list[Token]:
    """Return the tokens of a side without those that fill a sound up."""
    return [token for token in tokens if not token.filler]
