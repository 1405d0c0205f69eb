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
    tables, selections = [], []
    spec = _written(chart, tables, selections)
    if selections:
        spec["params"] = spec.get("params", []) + selections
    return spec | {"$schema": alt.SCHEMA_URL, "datasets": {_name(at): table for at, table in enumerate(tables)}}


def _written(chart, tables, selections, inherited=False):
    """Return a chart as a dictionary; its tables go to `tables`, what can be clicked in its parts to `selections`.

    Part by part and not by `to_dict` of the whole, which would copy each part several times.
    """
    kinds = [kind for kind in _PARTS if hasattr(chart, kind)]
    spec = alt.SchemaBase.to_dict(chart, validate=False, ignore=["data", *kinds])
    data = getattr(chart, "data", alt.Undefined)
    has_data = data is not alt.Undefined
    if has_data:
        spec["data"] = {"name": _kept(data, tables)}
    if not (kinds or has_data or inherited):
        raise ValueError("every part of a figure must have data, got one without")
    for kind in kinds:
        spec[kind] = [_written(part, tables, selections, inherited or has_data) for part in chart[kind]]
        for part in spec[kind]:
            _lift(part, selections)
        if kind == "layer" and not has_data:
            _share(spec, spec[kind])
    return spec


def _kept(data, tables):
    """Return the name of a table in `tables`, where equal ones stand only once."""
    if not isinstance(data, pd.DataFrame):
        raise ValueError(f"the data of a figure must be a pandas DataFrame, got {type(data).__name__}")
    at = next((at for at, table in enumerate(tables) if table.equals(data)), len(tables))
    tables[at:] = tables[at:] or [data]
    return _name(at)


def _lift(part, selections):
    """Move what can be clicked from a part to `selections`, where alone Vega-Lite reads it, and name the part for it.

    A selection that several parts share hears of a click in any of them.
    """
    for selection in part.pop("params", ()):
        views = selection.pop("views", None)
        if views is None and "select" in selection:
            named = sum(len(known.get("views", ())) for known in selections)
            views = [part.setdefault("name", f"view_{named}")]
        known = next((known for known in selections if known | {"views": 0} == selection | {"views": 0}), None)
        if known is None:
            selections.append(known := selection)
        if views is not None:
            known["views"] = known.get("views", []) + views


def _share(whole, layers):
    """Name a table once for the whole, if it is that of every layer."""
    named = [layer.get("data") for layer in layers]
    if named and named[0] and all(name == named[0] for name in named):
        whole["data"] = named[0]
        for layer in layers:
            del layer["data"]


def _name(at):
    return f"table_{at}"  # not "data_0", which Vega calls its own
