"""A page run without a browser, and what it shows."""

import contextlib
import functools
import io
import json
import re
from pathlib import Path
from urllib.parse import quote

import altair as alt
import jsonschema_rs
import numpy as np
import pyarrow as pa
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from attn import charts
from attn.ui import page as page_module
from attn.ui.menu import MENU, TALK

ROOT = Path(__file__).parents[1]
SCRIPTS = {key: script for key, script, *_ in (*MENU, TALK)}
PAGES = tuple(entry.page for entry in MENU)

# Streamlit looks for components through all installed packages whenever a page is opened in a test, which takes longer
# than many a page; while the tests run these stay the same.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


def opened(page, params=None, room=None, **more):
    """Open a page in a new session, as by a link with these settings, where its main column has so many pixels."""
    app = AppTest.from_file(ROOT / "app.py", default_timeout=60)
    if SCRIPTS[page] != "app.py":
        app.switch_page(SCRIPTS[page])
    app.query_params.update({**(params or {}), **more})
    if room is not None:
        app.session_state["page_width"] = room
    return app.run()


def notes(weights):
    """Return what stands below tokens with these weights."""
    return ["<0.01" if 0 < weight < 0.005 else f"{weight:.2f}" for weight in weights]


def specs(app):
    """Return every chart's Vega-Lite specification."""
    return [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]


def drawn_figures(monkeypatch):
    """Return a list to which each figure is added that a page draws from now on, its tables as rows."""
    drawn = []

    def draw(spec, **_):
        drawn.append(json.loads(json.dumps(spec, default=pa.Table.to_pylist)))

    monkeypatch.setattr(page_module.st, "vega_lite_chart", draw)
    return drawn


def offered_codes(monkeypatch):
    """Return a dictionary to which each figure is added that a page draws from now on: key -> figure and its codes."""
    found = {}

    def offer(spec, key, tables=None, codes=None, *_):
        found[key] = json.loads(json.dumps(spec, default=pa.Table.to_pylist)), codes

    monkeypatch.setattr(page_module, "figure_menu", offer)
    return found


def draw_by_codes(found, folder):
    """Run the lines of each figure that draw it, in another folder, and demand that they draw the very figure."""
    for key, (figure, codes) in found.items():
        assert codes is not None, key
        with contextlib.chdir(folder):
            exec(codes().draw(), {"__name__": "copied"})
        (saved,) = folder.iterdir()
        drawn, shown = (
            strokes(picture) for picture in (saved.read_text(encoding="utf-8"), charts.svg(figure).decode())
        )
        assert [piece for piece in drawn if not _is_frame(piece)] == [p for p in shown if not _is_frame(p)], key
        saved.unlink()


def _is_frame(piece):
    """Return whether a stroke is a frame that nobody sees: it hangs on whether plots stand in a row or a column."""
    return piece.startswith('d="M0,0h')


def said(app):
    """Return every sentence outside the figures."""
    kinds = (app.caption, app.markdown, app.info, app.warning, app.error, app.success)
    return [element.value for kind in kinds for element in kind]


def notices(app):
    """Return what the page says about its link."""
    return [caption.value for caption in app.caption if caption.value.startswith(":material/info:")]


def check(app, charts=1):
    """Demand that a page ran to its end without a traceback and shows at least so many figures, all of them valid."""
    assert [error.value for error in app.exception] == []
    assert len(app.get("vega_lite_chart")) >= charts
    for spec in specs(app):
        _vega_lite("TopLevelHConcatSpec" if "hconcat" in spec else "TopLevelVConcatSpec").validate(spec)
    return app


@functools.cache
def _vega_lite(name):
    """Return what validates one kind of Vega-Lite specification, by Altair's schema but quicker than Altair does."""
    definitions = _with_quoted_references(alt.Chart._rootschema["definitions"])
    return jsonschema_rs.Draft7Validator({"definitions": definitions, "$ref": f"#/definitions/{name}"})


def _with_quoted_references(schema):
    """Return a part of a schema with its references as addresses: Vega-Lite has brackets and bars in them."""
    if isinstance(schema, list):
        return [_with_quoted_references(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: quote(part, safe="#/") if name == "$ref" else _with_quoted_references(part)
        for name, part in schema.items()
    }


def matrices(app):
    """Return the heat maps of a page: title -> list of the matrices drawn under it, NaN where hidden.

    Returns
    -------
    dict of str to list of ndarray
    """
    found = {}
    for chart in app.get("vega_lite_chart"):
        tables = {data.name: _table(data) for data in chart.proto.datasets}
        spec = json.loads(chart.proto.spec)
        for view in (view for row in spec.get("vconcat", [spec]) for view in row.get("hconcat", ())):
            names = [part.get("data", {}).get("name") for part in (view, *view.get("layer", ()))]
            drawn = [tables[name] for name in names if name in tables]
            cells = [table for table in drawn if {"row", "column", "shade", "state"} <= set(table)]
            if cells:
                found.setdefault(_title(view), []).append(_matrix(cells[0]))
    return found


def tables(app, *columns):
    """Return every table behind the figures that has these columns."""
    every = [_table(data) for chart in app.get("vega_lite_chart") for data in chart.proto.datasets]
    return [table for table in every if set(columns) <= set(table)]


def strokes(picture):
    """Return every line, colour and text of an SVG file, without what only the pointer notices."""
    found = re.findall(r'(?<= )(?:d|transform|fill|stroke|opacity|xlink:href)="[^"]*"|>[^<]+<', picture)
    return [re.sub(r"#gradient_\d+", "#gradient", piece) for piece in found]


def _title(view):
    title = view.get("title", "")
    lines = title.get("text", "") if isinstance(title, dict) else title
    return lines if isinstance(lines, str) else " ".join(lines)


def _table(data):
    return pa.ipc.open_stream(io.BytesIO(data.data.data)).read_pandas()


def _matrix(table):
    matrix = np.full((table["row"].max() + 1, table["column"].max() + 1), np.nan)
    matrix[table["row"], table["column"]] = np.where(table["state"] == 0, table["shade"], np.nan)
    return matrix
