"""The numbers of a figure, to take away."""

import numpy as np

from attn.charts.arguments import checked_arguments


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


def csv(values, rows, columns, hidden=None):
    r"""Return a matrix as comma-separated text, with labels above and at the left; otherwise as `table`.

    Examples
    --------
    >>> csv([[0.5, -np.inf]], ["1 a"], ["1 a", "2 b"])
    ',1 a,2 b\n1 a,0.5,\n'
    """
    return table(values, rows, columns, hidden).to_csv(float_format="%.9g", lineterminator="\n")
