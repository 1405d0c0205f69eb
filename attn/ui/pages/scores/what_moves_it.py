"""The tab on what moves each score: turned, doubled, swapped."""

import numpy as np

from attn import charts, softmax
from attn.alignment import SCORES
from attn.ui.page import page_theme
from attn.ui.pages.scores.scores import LEAST_COLUMN, NAMES, scores_by_kind, scores_parameters, scores_turned
from attn.words import listed

CHANGES = {  # what is done to query and keys, and in which order the keys then stand
    "query turned": lambda query, keys: (scores_turned(query, 90), keys, slice(None)),
    "keys turned": lambda query, keys: (query, scores_turned(keys, 90), slice(None)),
    "query × 2": lambda query, keys: (2 * query, keys, slice(None)),
    "keys × 2": lambda query, keys: (query, 2 * keys, slice(None)),
    "both turned": lambda query, keys: (scores_turned(query, 30), scores_turned(keys, 30), slice(None)),
    "swapped": lambda query, keys: (query, keys[::-1], slice(None, None, -1)),
}


def what_moves_each_score(setup):
    """Return the largest change of a weight of each score by each of `CHANGES`, each key followed, a row a score."""
    query, keys, parameters = np.array([setup.across, setup.up]), np.array(setup.keys), scores_parameters(setup)
    before = softmax(scores_by_kind(query, keys, parameters))
    moved = []
    for change in CHANGES.values():
        other_query, other_keys, order = change(query, keys)
        weights = softmax(scores_by_kind(other_query, other_keys, parameters))
        moved.append(np.abs(weights - before[:, order]).max(axis=1))
    return np.stack(moved, axis=1)


def what_moves_it_picture(setup, result, moved, room):
    """Draw how far each change moves each score's weights, and how far what is switched on did."""
    look, titles, columns = page_theme(), [one.title for one in SCORES.values()], list(CHANGES)
    if _switched_on(setup):
        moved, columns = np.column_stack([moved, result.change]), [*columns, "switched on"]
    picture = charts.heatmap(
        moved,
        titles,
        columns,
        look,
        kind="magnitude",
        scale=charts.Scale(1.0, name="largest change"),
        pick=charts.Pick(highlight={"row": list(SCORES).index(setup.score)}),
        style=charts.Style(square=False),
        title="Largest change of a weight",
        axes=("score", "what is changed"),
        size=(len(columns) * max(LEAST_COLUMN, min(100, (room - NAMES) // len(columns))), 44 * len(SCORES)),
    )
    return charts.beside(picture)


def _switched_on(setup):
    """Return in words what the controls change."""
    every = [
        ("every key doubled", setup.double),
        (f"all turned by {setup.turn}°", setup.turn),
        ("the order swapped", setup.swap),
    ]
    return [name for name, on in every if on]


def what_moves_it_in_words(setup, result, moved):
    """Say what the chosen score does not notice, and what is switched on now."""
    if len(result.keys) == 1:
        return "A single key has all the weight, whatever its score: add another to see what moves."
    row, one = list(SCORES).index(setup.score), SCORES[setup.score]
    still = [name for name, change in zip(CHANGES, moved[row], strict=True) if change < 1e-9]
    sentence = (
        "What does a score notice? Query and keys are changed, one thing at a time, and the largest change of a weight "
        "is shown. Each key is followed to where it then stands. "
    )
    unmoved = f"Of these, {one.title} does not notice {listed([f'“**{name}**”' for name in still])}."
    sentence += unmoved if still else f"{one.title} notices every one of them."
    if names := _switched_on(setup):
        sentence += f" Switched on among the controls: {listed(names)}. Together they move its weights by up to "
        sentence += f"**{result.change[row]:.3f}**."
    return sentence
