"""What single marks have in common: their colour, their words, and whether they can be chosen."""

import altair as alt
import numpy as np
import pandas as pd

from attn.charts.labels import number


def mark_state(values, hidden):
    """Return 0 for cells that are shown, 1 for hidden ones, 2 for those that are not a number."""
    return np.where(hidden, 1, np.where(np.isfinite(values), 0, 2)).astype(np.uint8)


def mark_colour(color, theme):
    """Return the colour channel with the flat colours of hidden and invalid cells."""
    color.condition = [
        {"test": "datum.state === 1", "value": theme.hidden},
        {"test": "datum.state === 2", "value": theme.invalid},
    ]
    return color


def mark_edges(theme):
    """Return the colour of the lines around cells: none shows among hidden ones, so that they are flat."""
    return alt.StrokeValue(theme.grid, condition={"test": "datum.state === 1", "value": theme.hidden})


def mark_values(values, hidden, hidden_name="hidden"):
    """Return what the pointer says of each value."""
    return [hidden_name if h else number(v, 4) for v, h in zip(values.ravel(), hidden.ravel(), strict=True)]


def mark_names(labels, places):
    """Return the labels at `places` as a column that holds each label once."""
    labels = [str(label) for label in labels]
    if len(set(labels)) < len(labels):
        return [labels[place] for place in places]
    return pd.Categorical.from_codes(places, labels)


def selectable_mark(mark, name, *fields):
    """Return `mark` with a selection of one of its things, told by `fields`, if it has a name.

    The browser makes code of the name.
    """
    if name is None:
        return mark
    if not name.isidentifier():
        raise ValueError(f"a selection must have a name of letters, digits and _, got {name}")
    return mark.add_params(alt.selection_point(name=name, fields=list(fields), toggle=False, empty=False))
