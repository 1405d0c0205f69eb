"""A chart as a Vega-Lite specification that holds its own data."""

import importlib
import sys

import altair as alt
import numpy as np
import pyarrow as pa

from attn.functional import short_repr

_PARTS = ("layer", "hconcat", "vconcat")
_WORDED = ("mark", "encoding", "title", "resolve", "config", "padding")  # what our figures say in dictionaries
_PLAIN = {str, int, float, bool, type(None)}
_HOLDERS = dict | alt.FacetedEncoding


def specification(chart, name="chart"):
    """Return a figure as a Vega-Lite specification with its tables.

    Altair's own `to_dict` asks settings that a whole process shares what becomes of data and
    which theme to add, and Streamlit changes both for the time of a drawing. Here tables never
    reach Altair, so that one visitor's figure cannot lose them while another's is drawn.

    Parameters
    ----------
    chart : alt.Chart
        Every part with a table of its own or of the whole it belongs to.
    name : str
        Of the argument, in what is said of one that is no chart.

    Returns
    -------
    dict
        Where a part has data there is a name, and "datasets" holds a pyarrow.Table for each.

    Raises
    ------
    ValueError
        If a part has no table, or data of another kind.

    Examples
    --------
    >>> table = pa.table({"x": [1, 2]})
    >>> spec = specification(alt.Chart(table).mark_point().encode(alt.X("x:Q")))
    >>> spec["data"], spec["datasets"]["table_0"] is table
    ({'name': 'table_0'}, True)
    """
    if not isinstance(chart, alt.TopLevelMixin):
        raise ValueError(f"{name} must be a chart of Altair, got {short_repr(chart)}")
    if "pandas" in sys.modules:
        importlib.import_module("pandas")  # Altair asks it for its types, also while another thread still loads it
    selections, tables = [], []
    spec = _written(chart, selections)
    _name(spec, tables)
    if selections:
        spec["params"] = spec.get("params", []) + selections
    return spec | {"$schema": alt.SCHEMA_URL, "datasets": dict(tables)}


def checked_specification(spec, name="spec"):
    """Return a specification as `specification` returns it, or say that the argument of this name must be one."""
    if not isinstance(spec, dict) or not isinstance(spec.get("datasets"), dict):
        raise ValueError(f"{name} must be what charts.specification returns, got {short_repr(spec)}")
    return spec


def specified(figure):
    """Return the specification of a figure that is given as a chart or as its specification."""
    return checked_specification(figure, "figure") if isinstance(figure, dict) else specification(figure, "figure")


def _written(chart, selections, inherited=False):
    """Return a chart as a dictionary that holds its tables; what can be clicked in its parts goes to `selections`.

    Part by part and not by `to_dict` of the whole, which would copy each part several times.
    """
    kinds = [kind for kind in _PARTS if hasattr(chart, kind)]
    ready = {name: value for name in _WORDED if isinstance(value := getattr(chart, name, None), _HOLDERS)}
    spec = alt.SchemaBase.to_dict(chart, validate=False, ignore=["data", *kinds, *ready]) | _words(ready)
    data = getattr(chart, "data", alt.Undefined)
    has_data = data is not alt.Undefined
    if has_data and not isinstance(data, pa.Table):
        raise ValueError(f"the data of a figure must be a pyarrow Table, got {type(data).__name__}")
    if has_data:
        spec["data"] = data
    if not (kinds or has_data or inherited):
        raise ValueError("every part of a figure must have data, got one without")
    for kind in kinds:
        spec[kind] = [_written(part, selections, inherited or has_data) for part in chart[kind]]
        for part in spec[kind]:
            _lift(part, selections)
        if not has_data:
            _share(spec, spec[kind])
    return spec


def _words(value):
    """Return a property in the words of JSON, in dictionaries of its own.

    Those of our figures are in these words already, and Altair's `to_dict` would take ten times as long to find
    nothing to do.
    """
    if isinstance(value, alt.FacetedEncoding):
        value = {channel: each for channel, each in value._kwds.items() if each is not alt.Undefined}
    if isinstance(value, dict):  # most of what it holds is plain, and is not asked what it is
        return {name: each if type(each) in _PLAIN else _words(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [each if type(each) in _PLAIN else _words(each) for each in value]
    if isinstance(value, alt.SchemaBase):
        return value.to_dict(validate=False)
    return value.item() if isinstance(value, np.generic) else value


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


def _share(whole, parts):
    """Move a table that is that of every part to the whole."""
    tables = [part.get("data") for part in parts]
    if tables and tables[0] is not None and all(table is tables[0] for table in tables):
        whole["data"] = tables[0]
        for part in parts:
            del part["data"]


def _name(spec, tables):
    """Put a name in the place of each table, and both in `tables`, equal ones only once."""
    if "data" in spec:
        name = next((name for name, table in tables if table.equals(spec["data"])), None)
        if name is None:
            name = f"table_{len(tables)}"  # not "data_0", which Vega calls its own
            tables.append((name, spec["data"]))
        spec["data"] = {"name": name}
    for kind in _PARTS:
        for part in spec.get(kind, ()):
            _name(part, tables)
