"""What single marks have in common: their colour, their words, and whether they can be chosen."""

import altair as alt
import numpy as np
import pyarrow as pa

from attn.words import numbers

_TYPES = {"N": "nominal", "Q": "quantitative"}


def mark_table(columns):
    """Return a table with a row for each mark, of Arrow, which browsers are sent as it is.

    Parameters
    ----------
    columns : dict
        Name -> array or list; what is one number or one text holds for all rows.

    Returns
    -------
    pyarrow.Table
        Empty where a number is not one.

    Examples
    --------
    >>> mark_table({"x": [1.5, np.nan], "ink": "red"}).to_pylist()
    [{'x': 1.5, 'ink': 'red'}, {'x': None, 'ink': 'red'}]
    """
    rows = next((len(column) for column in columns.values() if _is_column(column)), 1)
    return pa.table({name: _arrow(column, rows) for name, column in columns.items()})


def _is_column(value):
    """Return whether a value has a part for each row."""
    return isinstance(value, list | tuple | pa.Array) or np.ndim(value) > 0


def _arrow(column, rows):
    """Return a column of Arrow."""
    if _is_column(column):
        return mark_column(column)
    return mark_column([column] * rows if isinstance(column, str) else np.full(rows, column))


def mark_column(values):
    """Return numbers, truths or texts as a column of Arrow, empty where a number is not one.

    `pyarrow.array` would import pandas first, only to see that these are none of its own: a tenth of the time until the
    first page of a server is there.

    Parameters
    ----------
    values : list, ndarray of one axis or pyarrow.Array

    Returns
    -------
    pyarrow.Array

    Examples
    --------
    >>> mark_column([1.5, np.nan]).to_pylist(), mark_column(["ä", ""]).to_pylist(), mark_column([True]).to_pylist()
    ([1.5, None], ['ä', ''], [True])
    """
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind == "U":
        values = values.tolist()
    if isinstance(values, list | tuple) and set(map(type, values)) <= {str}:
        coded = list(map(str.encode, values))
        ends = np.cumsum([0, *map(len, coded)], dtype=np.int32)
        return pa.StringArray.from_buffers(len(coded), pa.py_buffer(ends), pa.py_buffer(b"".join(coded)))
    array = np.ascontiguousarray(values)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        return pa.array(values, from_pandas=True)
    kind, known = pa.from_numpy_dtype(array.dtype), None
    if array.dtype.kind == "f" and (broken := np.isnan(array)).any():
        known = pa.py_buffer(np.packbits(~broken, bitorder="little"))
    stored = np.packbits(array, bitorder="little") if array.dtype.kind == "b" else array
    return pa.Array.from_buffers(kind, len(array), [known, pa.py_buffer(stored)])


def mark_layer(table, kind, channels, **look):
    """Return a layer with a mark of one kind, such as "rect", for each row of `table`.

    How it looks and what its channels read is said in the words of Vega-Lite and not by Altair's objects, each of
    which would hold itself against the whole schema: that took longer than all else in a figure.

    Parameters
    ----------
    table : pyarrow.Table
        As `mark_table` makes it.
    kind : str
    channels : dict of str to dict
        Such as those of a `Plane`, and what `mark_channel` returns.
    **look
        Properties of the mark.

    Returns
    -------
    alt.Chart
    """
    return alt.Chart(table, mark={"type": kind, **look}, encoding=alt.FacetedEncoding(**channels))


def mark_channel(field, **options):
    """Return a channel that reads a field, such as "label:N" for words and "size:Q" for numbers.

    Examples
    --------
    >>> mark_channel("size:Q", scale=None)
    {'field': 'size', 'type': 'quantitative', 'scale': None}
    """
    name, _, letter = field.partition(":")
    return {"field": name, "type": _TYPES[letter], **options}


def mark_state(values, hidden):
    """Return 0 for cells that are shown, 1 for hidden ones, 2 for those that are not a number."""
    return np.where(hidden, 1, np.where(np.isfinite(values), 0, 2)).astype(np.uint8)


def mark_colour(color, theme):
    """Return the colour channel with the flat colours of hidden and invalid cells."""
    flat = [
        {"test": "datum.state === 1", "value": theme.hidden},
        {"test": "datum.state === 2", "value": theme.invalid},
    ]
    return color | {"condition": flat}


def mark_edges(theme):
    """Return the colour of the lines around cells: none shows among hidden ones, so that they are flat."""
    return {"value": theme.grid, "condition": {"test": "datum.state === 1", "value": theme.hidden}}


def mark_values(values, hidden, hidden_name="hidden"):
    """Return what the pointer says of each value."""
    said = numbers(values.ravel().tolist(), 4)
    for place in np.flatnonzero(hidden):
        said[place] = hidden_name
    return said


def mark_names(labels, places):
    """Return the labels at `places` as a column that holds each label once."""
    labels = [str(label) for label in labels]
    if len(set(labels)) < len(labels):
        return [labels[place] for place in places]
    code = np.uint8 if len(labels) <= 256 else np.int32  # the browser reads 64 bits as another kind of number
    return pa.DictionaryArray.from_arrays(mark_column(np.asarray(places, dtype=code)), mark_column(labels))


def selectable_mark(mark, name, *fields):
    """Return `mark` with a selection of one of its things, told by `fields`, if it has a name."""
    return (
        mark if name is None else mark_selection(mark, name, {"type": "point", "fields": list(fields), "toggle": False})
    )


def mark_selection(mark, name, select):
    """Return `mark` with a selection of this name, of which the browser makes code."""
    if not name.isidentifier():
        raise ValueError(f"a selection must have a name of letters, digits and _, got {name}")
    selectable = mark.copy(deep=False)
    selectable.params = [_Selection(name=name, select=select)]
    return selectable


class _Selection(alt.SelectionParameter):
    """A selection that is not held against the whole schema of Vega-Lite when it is made, which takes long."""

    _class_is_valid_at_instantiation = False
