"""A chart as a Vega-Lite specification that holds its own data."""

import altair as alt
import pandas as pd

_PARTS = ("layer", "hconcat", "vconcat")


def specification(chart):
    """Return a figure as a Vega-Lite specification with its tables.

    Altair's own `to_dict` asks settings that a whole process shares what becomes of data and
    which theme to add, and Streamlit changes both for the time of a drawing. Here tables never
    reach Altair, so that one visitor's figure cannot lose them while another's is drawn.

    Parameters
    ----------
    chart : alt.Chart
        Every part with a table of its own or of the whole it belongs to.

    Returns
    -------
    dict
        Where a part has data there is a name, and "datasets" holds a pandas.DataFrame for each.

    Raises
    ------
    ValueError
        If a part has no table, or data of another kind.

    Examples
    --------
    >>> table = pd.DataFrame({"x": [1, 2]})
    >>> spec = specification(alt.Chart(table).mark_point().encode(alt.X("x:Q")))
    >>> spec["data"], spec["datasets"]["table_0"] is table
    ({'name': 'table_0'}, True)
    """
    tables = []
    named = _named(chart, tables)
    spec = named.to_dict(validate=False, context={"top_level": False, "pre_transform": False})
    datasets = {_name(at): table for at, table in enumerate(tables)}
    return spec | {"$schema": alt.SCHEMA_URL, "datasets": datasets}


def _named(chart, tables, inherited=False):
    """Return a copy of a chart that names its tables, and add them to `tables`, equal ones only once."""
    chart = chart.copy(deep=False)  # Altair may move a table from the parts to the whole here
    data = getattr(chart, "data", alt.Undefined)
    has_data = data is not alt.Undefined
    if has_data and not isinstance(data, pd.DataFrame):
        raise ValueError(f"the data of a figure must be a pandas DataFrame, got {type(data).__name__}")
    if has_data:
        at = next((at for at, table in enumerate(tables) if table.equals(data)), len(tables))
        tables[at:] = tables[at:] or [data]
        chart.data = alt.NamedData(name=_name(at))
    parts = [kind for kind in _PARTS if hasattr(chart, kind)]
    if not (parts or has_data or inherited):
        raise ValueError("every part of a figure must have data, got one without")
    for kind in parts:
        chart[kind] = [_named(part, tables, inherited or has_data) for part in chart[kind]]
    return chart


def _name(at):
    return f"table_{at}"  # not "data_0", which Vega calls its own
