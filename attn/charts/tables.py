"""The numbers of a figure, to take away."""

import io
from csv import reader, writer

import numpy as np

from attn.charts.arguments import checked_arguments
from attn.functional import short_repr


@checked_arguments(numbers=("values",), labels=("rows", "columns"))
def table(values, rows, columns, hidden=None):
    """Return a matrix as a table with token labels.

    Parameters
    ----------
    values : array_like, shape (n_rows, n_columns)
    rows, columns : sequence of str
    hidden : array_like of bool, shape (n_rows, n_columns), optional
        Cells to leave empty; -inf is left empty too.

    Returns
    -------
    pandas.DataFrame

    Examples
    --------
    >>> table([[1.0, 2.0]], ["1 a"], ["1 a", "2 b"]).loc["1 a", "2 b"].item()
    2.0
    """
    values = np.array(values, dtype=float)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"values must have a row and a column per label, got {values.shape} for {len(rows)} and {len(columns)}"
        )
    empty = np.isneginf(values) if hidden is None else np.isneginf(values) | np.asarray(hidden, dtype=bool)
    values[empty] = np.nan
    import pandas as pd  # of some weight, so loaded when first asked for

    return pd.DataFrame(values, index=list(rows), columns=list(columns))


class CsvText(str):
    """Comma-separated text that still knows its numbers, as they were before digits were cut."""

    values: np.ndarray  # (n_rows, n_columns), of the type that they were computed in
    rows: list[str]
    columns: list[str]
    hidden: np.ndarray | None


def csv(values, rows, columns, hidden=None):
    r"""Return a matrix as comma-separated text, with labels above and at the left; otherwise as `table`.

    Returns
    -------
    CsvText
        Nine digits of each number; all of them are in its ``values``.

    Examples
    --------
    >>> csv([[0.5, -np.inf]], ["1 a"], ["1 a", "2 b"])
    ',1 a,2 b\n1 a,0.5,\n'
    """
    written = table(values, rows, columns, hidden).to_csv(float_format="%.9g", lineterminator="\n")
    text = CsvText(written)
    text.values, text.rows, text.columns, text.hidden = np.asarray(values), list(rows), list(columns), hidden
    return text


@checked_arguments(labels=("rows", "columns"))
def words_csv(words, rows, columns):
    r"""Return a matrix of words as comma-separated text, with labels above and at the left.

    Parameters
    ----------
    words : sequence of sequence of str
    rows, columns : sequence of str

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is not a word for each row and column.

    Examples
    --------
    >>> words_csv([["the", "a, b"]], ["layer 1"], ["1 a", "2 b"])
    ',1 a,2 b\nlayer 1,the,"a, b"\n'
    """
    if np.shape(words) != (len(rows), len(columns)) or not all(
        isinstance(word, str) for line in words for word in line
    ):
        shape = len(rows), len(columns)
        raise ValueError(f"words must be texts, one for each row and column {shape}, got {short_repr(words)}")
    text = io.StringIO()
    writer(text, lineterminator="\n").writerows(
        [["", *columns], *([row, *line] for row, line in zip(rows, words, strict=True))]
    )
    return text.getvalue()


def npz(tables, settings=""):
    """Return matrices as one file of numpy, every number with all its digits.

    Parameters
    ----------
    tables : dict of str to str
        Name -> what `csv` returned, or other comma-separated text with labels above and at the left.
    settings : str
        What made them, in the words of JSON.

    Returns
    -------
    bytes
        `numpy.load` gives for each name its numbers, under ``name.rows`` and ``name.columns`` their labels, and under
        ``name.hidden`` which of them were hidden, if any could be; ``settings`` is as given. Nothing in it needs to be
        unpickled.

    Examples
    --------
    >>> held = np.load(io.BytesIO(npz({"weights": csv([[0.25, 0.75]], ["1 a"], ["1 a", "2 b"])})))
    >>> held["weights"], held["weights.columns"]
    (array([[0.25, 0.75]]), array(['1 a', '2 b'], dtype='<U3'))
    """
    if not isinstance(tables, dict) or not all(isinstance(text, str) for pair in tables.items() for text in pair):
        raise ValueError(f"tables must be a dictionary of texts, got {short_repr(tables)}")
    if not isinstance(settings, str):
        raise ValueError(f"settings must be a text, got {short_repr(settings)}")
    arrays = {"settings": np.array(settings)}
    for name, text in tables.items():
        known = text if isinstance(text, CsvText) else _read(text)
        arrays |= {name: known.values, f"{name}.rows": _texts(known.rows), f"{name}.columns": _texts(known.columns)}
        if known.hidden is not None:
            arrays[f"{name}.hidden"] = np.broadcast_to(np.asarray(known.hidden, dtype=bool), known.values.shape)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _texts(labels):
    """Return labels, or rows of words, as an array of texts, of which there may be none."""
    return np.array(list(labels), dtype=str)


def _read(text):
    """Return comma-separated text with its numbers; where a column holds words, all are words."""
    lines = list(reader(text.splitlines()))
    read = CsvText(text)
    body = [line[1:] for line in lines[1:]]
    try:
        read.values = np.array([[float(part) if part else np.nan for part in line] for line in body])
    except ValueError:
        read.values = _texts(body)
    read.rows, read.columns, read.hidden = [line[0] for line in lines[1:]], lines[0][1:], None
    return read
