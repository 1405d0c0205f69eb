"""A figure keeps its data, whatever Altair's settings are meanwhile, in the file as on the page."""

import json
import re
import sys
import threading
from contextlib import contextmanager
from xml.etree import ElementTree

import altair as alt
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from driving import PAGES, check, matrices, opened, specs, strokes, tables
from processes import printed

from attn import charts
from attn.words import number

TABLE = pa.table({"x": [1, 2], "y": [3, 4]})
OTHER = pa.table({"x": [2, 3], "y": [4, 5]})


def figure(size=6, select="cell"):
    """Return a heat map beside its labels and bars."""
    values = np.random.default_rng(size).dirichlet(np.ones(size), size)
    names = [str(i) for i in range(size)]
    map_ = charts.heatmap(values, names, names, charts.LIGHT, title="weights", pick=charts.Pick(select))
    return charts.beside(map_, "=", charts.bars(values[0], names, charts.LIGHT))


def points(table=TABLE):
    return alt.Chart(table).mark_point().encode(alt.X("x:Q"), alt.Y("y:Q"))


def named_in(spec):
    """Return every name of data in a specification."""
    if isinstance(spec, list):
        return set().union(*map(named_in, spec))
    if not isinstance(spec, dict):
        return set()
    found = {spec["data"]["name"]} if "data" in spec else set()
    return found.union(*(named_in(part) for name, part in spec.items() if name not in ("data", "datasets")))


def inlined(spec):
    """Return a specification with its rows in place of their names."""
    rows = {name: rows if isinstance(rows, list) else rows.to_pylist() for name, rows in spec.pop("datasets").items()}

    def fill(part):
        if isinstance(part, list):
            return [fill(each) for each in part]
        if not isinstance(part, dict):
            return part
        return {name: rows[value["name"]] if name == "data" else fill(value) for name, value in part.items()}

    return fill(spec)


def viewed(spec):
    """Return a specification as text, in which views have numbers for names, as do parameters that nobody named."""
    names = {}
    text = json.dumps(spec, sort_keys=True)
    return re.sub(r'"(view_\w+|param_\d+)"', lambda found: names.setdefault(found[0], f"view {len(names)}"), text)


@contextmanager
def meanwhile(work):
    """Do `work` over and over in another thread."""
    over, failures = threading.Event(), []

    def loop():
        while not over.is_set():
            try:
                work()
            except Exception as error:  # told below, in the thread that pytest watches
                failures.append(error)
                return

    other = threading.Thread(target=loop)
    other.start()
    try:
        yield
    finally:
        over.set()
        other.join()
    assert failures == []


def switching():
    """Have Altair keep all data to itself for a moment, as Streamlit does while it draws."""
    with alt.data_transformers.enable("elsewhere"):
        threading.Event().wait(1e-4)


@pytest.fixture
def settings():
    """Leave Altair as it was found."""
    alt.data_transformers.register("elsewhere", lambda data: {"name": "elsewhere"})
    with alt.data_transformers.enable("default"), alt.theme.enable("default"):
        yield
    alt.data_transformers.register("elsewhere", None)


@pytest.mark.parametrize("limit", [1.7881393432617188e-07, 0.1 + 0.2, 1.1920928955078125e-07])
def test_both_ends_of_a_scale_stand_in_the_file(limit):
    scale = charts.Scale(limit, name="difference")
    values, names = [[-limit, limit]], ["a", "b"]
    picture = charts.svg(charts.heatmap(values, names[:1], names, charts.LIGHT, kind="signed", scale=scale)).decode()
    for end in (-limit, 0, limit):
        assert f">{number(end)}<" in picture[picture.index("role-legend") :]


class TestSpecification:
    def test_tables_by_hand(self):
        spec = charts.specification(points())
        assert spec["datasets"] == {"table_0": TABLE}
        assert spec["data"] == {"name": "table_0"}
        assert spec["mark"] == {"type": "point"}

    def test_every_name_has_a_table(self):
        spec = charts.specification(charts.above(figure(), figure(7, select=None)))
        assert named_in(spec) == set(spec["datasets"]) != set()

    def test_equal_tables_are_sent_once(self):
        spec = charts.specification(alt.hconcat(points(), points(pa.table(TABLE.to_pydict())), points(OTHER)))
        assert list(spec["datasets"]) == ["table_0", "table_1"]

    @pytest.mark.parametrize(
        "make",
        [
            figure,
            lambda: charts.beside(figure()),
            lambda: charts.above(figure(), figure(7)),  # one selection of both
            lambda: charts.beside(figure(), figure(7, select="other")),
            lambda: points().interactive(),
            lambda: alt.layer(points().interactive(), points()),
            lambda: alt.hconcat(points().add_params(alt.param("big", 3)), alt.layer(points(OTHER).interactive())),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Automatically deduplicated")
    def test_all_else_is_as_altair_writes_it(self, make, settings):
        chart = make()
        with alt.theme.enable("none"):
            assert viewed(inlined(charts.specification(chart))) == viewed(inlined(chart.to_dict()))

    @pytest.mark.parametrize(
        "setting",
        [
            lambda: alt.data_transformers.enable("elsewhere"),
            lambda: alt.data_transformers.enable("default", max_rows=1),
            lambda: alt.data_transformers.enable(consolidate_datasets=False),
            lambda: alt.theme.enable("dark"),
        ],
    )
    def test_no_setting_of_altair_matters(self, setting, settings):
        chart = figure()
        file, spec = strokes(charts.svg(chart).decode()), inlined(charts.specification(chart))
        with setting():
            assert strokes(charts.svg(chart).decode()) == file
            assert inlined(charts.specification(chart)) == spec

    def test_the_chart_is_left_as_it_is(self):
        chart = figure()
        before = chart.to_json()
        charts.specification(chart)
        assert chart.to_json() == before

    @pytest.mark.parametrize(
        ("chart", "message"),
        [
            (points(alt.Undefined), "every part of a figure must have data, got one without"),
            (alt.hconcat(points(), points(alt.Undefined)), "every part of a figure must have data, got one without"),
            (points("table.csv"), "the data of a figure must be a pyarrow Table, got str"),
            (points(alt.NamedData("x")), "the data of a figure must be a pyarrow Table, got NamedData"),
        ],
    )
    @pytest.mark.parametrize("use", [charts.specification, charts.svg, charts.png, charts.pdf, charts.html])
    def test_no_file_without_its_data(self, use, chart, message):
        with pytest.raises(ValueError, match=f"^{message}$"):
            use(chart)


class TestInCompany:
    """Two visitors at once, in two threads of one process."""

    @pytest.mark.parametrize(
        "other",
        [switching, lambda: st.altair_chart(points()), lambda: charts.svg(figure(5))],
        ids=["switch", "draw", "save"],
    )
    def test_every_file_is_whole(self, other, settings):
        chart = figure()
        whole = strokes(charts.svg(chart).decode())
        with meanwhile(other):
            saved = [strokes(charts.svg(chart).decode()) for _ in range(8)]
        assert saved == [whole] * 8

    def test_every_page_is_whole(self, settings):
        shown = matrices(check(opened("step_by_step", stage="weights")))
        assert shown
        with meanwhile(switching):
            pages = [opened("step_by_step", stage="weights") for _ in range(3)]
        for page in pages:
            np.testing.assert_equal(matrices(check(page)), shown)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_sends_the_data_of_every_part(page):
    app = check(opened(page))
    for chart, spec in zip(app.get("vega_lite_chart"), specs(app), strict=True):
        assert named_in(spec) == {data.name for data in chart.proto.datasets}
        assert "datasets" not in spec
    assert all(isinstance(table.index, pd.RangeIndex) for table in tables(app))  # of which nothing is sent


def test_text_is_set_in_a_typeface_that_every_machine_has():
    """A thin minus sign from another typeface, or a legend without its ends, is what another font would leave."""
    values = np.array([[-1.79e-7, 1.79e-7], [0, 1e-8]])
    names = charts.token_labels(["a", "b"])
    figure = charts.heatmap(values, names, names, charts.LIGHT, kind="signed", title="After − before")
    picture = charts.svg(figure).decode()
    assert ">−1.79e−7<" in picture
    assert ">1.79e−7<" in picture
    assert "Liberation Sans" in picture


@pytest.mark.skipif(sys.platform != "linux", reason="only there may a process be kept from writing files")
def test_a_figure_is_made_for_download_where_no_file_can_be_written(tmp_path):
    """As on a full disk: each kind is made in memory alone."""
    code = """if True:
        import resource, signal, sys
        from attn import charts
        figure = charts.specification(charts.beside(charts.heatmap([[0.25]], ["a"], ["b"], charts.LIGHT)))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        print(*(bool(make(figure)) for make in (charts.svg, charts.png, charts.pdf, charts.html)))
        try:
            charts.save(figure, sys.argv[1])
        except OSError as error:
            print(error.strerror)
    """
    assert printed(code, str(tmp_path / "a.svg")).splitlines() == ["True True True True", "File too large"]


def test_words_of_a_figure_on_paper_have_six_points_at_least():
    """By what a long map, long curves and a map with words in its cells take of a column, and by their letters."""
    rng, names = np.random.default_rng(0), [f"{place} token" for place in range(1, 41)]
    curve = charts.Curve("a curve", np.arange(9.0), rng.normal(size=9))
    map_ = charts.heatmap(rng.dirichlet(np.ones(40), 40), names, names, charts.LIGHT, size=800)
    strip = charts.token_strip(names, charts.LIGHT, width=880)
    for drawn, fits in (
        (map_, True),
        (charts.curves([curve], x="x", y="y", width=880), True),
        (strip, False),
    ):
        root = ElementTree.fromstring(charts.svg(charts.beside(drawn), width=85))
        millimetres = float(root.get("width").removesuffix("mm"))
        pixels = float(root.get("viewBox").split()[2])
        assert 14 * millimetres / pixels >= 6 * 25.4 / 72 - 1e-6  # 14 pixels are a word's height
        assert (millimetres <= 85) == fits
