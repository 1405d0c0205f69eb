"""Cost: the curves and what is said of them, and attention measured on this machine."""

import re
import subprocess
import sys
import time

import numpy as np
import pytest
from driving import ROOT, check, opened, said, specs, tables
from setups import SETUPS, fields, options

from attn import blockwise, cost, scaled_dot_product_attention
from attn.pretrained import threads, timing
from attn.pretrained.errors import ModelError
from attn.ui.link import from_link
from attn.ui.pages.cost.curves import VIEWS, Setup, cost_curves_series
from attn.ui.pages.cost.tiles import tiles_inputs
from attn.ui.pages.cost.timing import RUNNING, cost_timing_results, cost_timing_runs
from attn.ui.pages.cost.units import count_in_units, ratio_in_units
from attn.ui.shared_results import say_shared_queue


def words(app):
    return " ".join(said(app))


# The curves


@pytest.mark.parametrize("tab", options(fields(SETUPS["cost"])["tab"]))
@pytest.mark.parametrize("view", VIEWS)
def test_every_tab_of_every_view(view, tab):
    check(opened("cost", view=view, tab=tab))


@pytest.mark.parametrize("name", cost.SHAPES)
def test_every_known_model_fills_in_its_shape(name):
    app = opened("cost")
    app.selectbox(key="cost.known").set_value(name).run()
    setup, _ = from_link(Setup, check(app).query_params)
    shape = cost.SHAPES[name]
    assert setup.widths == (shape.d_model, shape.num_heads, shape.num_kv_heads, shape.d_k, shape.d_k)
    assert (setup.num_layers, setup.n, setup.cache_window) == (shape.num_layers, shape.most_tokens, shape.window)
    assert app.selectbox(key="cost.known").value == name


def test_a_shape_of_ones_own_is_no_known_model():
    app = opened("cost", d_model="4096", num_heads="32", num_kv_heads="8", d_k="128", num_layers="32")
    assert app.selectbox(key="cost.known").value == "Llama 3 8B"
    app.number_input(key="cost.kept").set_value(4096).run()
    assert check(app).selectbox(key="cost.known").value == "Mistral 7B v0.1"
    app.number_input(key="cost.num_layers").set_value(31).run()
    assert check(app).selectbox(key="cost.known").value is None


def test_known_models_have_commas_in_their_thousands():
    app = check(opened("cost", tab="Known models", n="65536"))
    texts = [text for table in tables(app, "text", "x") for text in table["text"]]
    assert sum(bool(re.fullmatch(r"\d{1,3}(,\d{3})+", text)) for text in texts) > 1
    assert not any(re.fullmatch(r"\d{4,}", text) for text in texts)


def test_the_page_opens_with_the_square_and_says_that_it_is_one():
    app = opened("cost")
    assert app.main.markdown[0].value.startswith(
        "**Twice the text, four times the scores.** Each of the **1,024 tokens**"
    )
    for n in (1024, 2048, 4096, 8192):
        told, texts = words(check(app)), [text for table in tables(app, "text") for text in table["text"]]
        assert f"{n:,} × {n:,} = **{n**2:,} scores**. A text of {2 * n:,} tokens takes {(2 * n) ** 2:,}." in told
        assert f"{n**2:,}" in texts
        app.button(key="cost.double").click().run()
    app.button(key="cost.halve").click().run()
    assert app.query_params["n"] in ("8192", ["8192"])


def test_doubling_makes_the_square_grow_until_its_frame_is_full():
    frames = {n: max(cost_curves_series(Setup(n=n))[0]) for n in (512, 1024, 2048, 4096, 8192)}
    assert frames == {512: 512, 1024: 4096, 2048: 4096, 4096: 4096, 8192: 32768}
    lengths, series = cost_curves_series(Setup(n=1024))
    at = [lengths.index(n) for n in (1024, 2048, 4096)]
    assert [series["n × n scores"][place] for place in at] == [1024**2, 4 * 1024**2, 16 * 1024**2]
    assert [series["in proportion"][place] for place in at] == [1024**2, 2 * 1024**2, 4 * 1024**2]


def test_the_crossing_is_named_and_lies_where_it_should():
    (curves,) = (spec for spec in specs(opened("cost", view="kinds", d_model="300", n="64")) if "hconcat" in spec)
    assert "Self-attention: scores, sums ends at" in curves["description"]
    assert "Self-attention, whole layer ends at" in curves["description"]
    texts = [
        text for table in tables(opened("cost", view="kinds", d_model="300", n="64"), "text") for text in table["text"]
    ]
    assert "n = d = 300: as much as recurrence" in texts
    assert "here: 64" in texts
    app = opened("cost", view="layer", d_model="512", num_heads="8", d_k="64")
    assert "up to **1,024 tokens**, which is twice the width" in words(app)


def test_what_is_said_is_what_costs():
    told = words(opened("cost", view="kinds", n="4096", d_model="512"))
    assert "**17.2 billion** multiplications, 8 times as many" in told
    told = words(opened("cost", view="memory", num_heads="8", n="1024"))
    assert f"**{8 * 1024 * 1024 * 4 / 1e6:.1f} MB**" in told


def path_of(app, title):
    """Return what the table says of a kind's longest path."""
    (table,) = (text for text in said(check(app)) if "longest path" in text and "|" in text)
    names, row = (
        next(line for line in table.splitlines() if start in line).split("|") for start in ("longest path", title)
    )
    return row[[name.strip() for name in names].index("longest path")].strip()


def test_paths_are_those_of_one_sided_layers_or_of_centred_ones():
    app = opened("cost", n="4096")
    assert path_of(app, "Dilated convolution") == "8"
    assert "those of one-sided (causal) layers" in words(app)
    assert (
        "Here d = 512 numbers per token, a convolution sees k = 3 tokens at once, and a window holds r = 64 keys."
        in (words(app))
    )
    assert "Here d = 96 numbers per token, a convolution sees k = 5 " in words(opened("cost", d_model="96", kernel="5"))
    app.segmented_control(key="cost.sides").set_value("both").run()
    assert path_of(app, "Dilated convolution") == "9"
    assert "those of centred layers" in words(app)
    assert app.query_params["sides"] in ("both", ["both"])
    assert path_of(opened("cost", n="1024", sides="both"), "Self-attention in a window") == "32"


def test_the_view_of_kinds_counts_whole_layers_and_says_where_they_cross():
    told = words(opened("cost", view="kinds", n="512", d_model="512"))
    assert "**268 million** multiplications, as many as a plain recurrent layer" in told
    assert "the whole layer takes **805 million**, the recurrent one 268 million" in told
    assert "fewer below n = d = 512 tokens, and fewer than a convolution below k d / 2 = 768." in told
    assert "below 2d = 1,024 tokens" in told
    lengths, series = cost_curves_series(from_link(Setup, {"view": "kinds", "d_model": "512", "kernel": "4"})[0])
    attention, convolution = (series[cost.KINDS[kind].title] for kind in ("self_attention", "convolution"))
    assert [n for n, one, other in zip(lengths, attention, convolution, strict=True) if one == other] == [1024]


def test_a_window_bounds_the_cache():
    app = opened("cost", view="memory")
    app.selectbox(key="cost.known").set_value("Mistral 7B v0.1").run()
    app.segmented_control(key="cost.size").set_value("2").run()
    told = words(check(app))
    assert f"**{2**29 / 1e6:.0f} MB**" in told
    assert "stops growing at the 4,096 tokens" in told
    _, series = cost_curves_series(from_link(Setup, app.query_params)[0])
    assert max(series["keys and values of all layers"]) == 2**29


def test_the_smallest_and_the_largest_setting():
    for params in ({"n": "1", "d_model": "1", "num_heads": "1", "d_k": "1"}, {"n": "1048576", "d_model": "16384"}):
        for view in VIEWS:
            check(opened("cost", params, view=view))


@pytest.mark.parametrize("view", VIEWS)
def test_the_code_makes_the_picture(view, tmp_path, monkeypatch):
    params = {"view": view, "n": "777", "num_kv_heads": "2", "size": "2", "window": "9"}
    (code,) = opened("cost", params, tab="Code", code="draw").code
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "copied"}
    exec(code.value, namespace)
    assert [file.name for file in tmp_path.iterdir()] == ["cost.svg"]
    lengths, series = cost_curves_series(from_link(Setup, params)[0])
    assert namespace["lengths"] == lengths
    assert namespace["costs"] == series


def test_numbers_for_people():
    assert count_in_units(134217728) == "134 million"
    assert "1/500 of" in ratio_in_units(1, 500)


# Measuring


def test_lengths_and_limits():
    assert timing.timing_lengths(2048) == [128, 256, 512, 1024, 2048]
    assert timing.timing_lengths(100) == [100]
    assert timing.timing_fits("fused", 10**6, 16, 0)
    assert not timing.timing_fits("eager", 4096, 4, 1e9)
    assert timing.timing_memory() > 0
    assert timing.timing_cores() >= 1


def test_numpy_is_measured_and_grows_with_the_square():
    lengths = [512, 1024, 2048]
    found = [one for one in timing.measure_timing(lengths, num_heads=2, contestants=("naive", "tiles")) if one]
    assert [(one.contestant, one.n) for one in found] == [(name, n) for name in ("naive", "tiles") for n in lengths]
    assert all(one.seconds > 0 for one in found)
    if sys.platform == "linux":
        naive, tiles = found[2].bytes, found[5].bytes
        scores = cost.score_bytes(2, 2048, 2048)
        assert scores < naive < 2.5 * scores  # one matrix, and what changes with every run
        assert tiles < naive / 2


@pytest.mark.parametrize("causal", [False, True])
def test_the_whole_matrix_in_numpy_is_attention(causal):
    inputs = np.random.default_rng(0).standard_normal((3, 2, 37, 5))
    expected = scaled_dot_product_attention(*inputs, causal=causal).context
    np.testing.assert_allclose(timing.timing_whole_matrix(*inputs, causal=causal), expected, atol=1e-14)


def test_long_runs_are_repeated_too_and_counted():
    """One run of 2,048 tokens takes longer than what short ones share."""
    lengths = [64, 2048]
    short, long = (one for one in timing.measure_timing(lengths, num_heads=8, contestants=("naive",)) if one)
    assert short.runs > long.runs >= timing.FEWEST_RUNS == 3
    assert cost_timing_runs([short, long]) == f"{long.runs:,} to {short.runs:,}"


def test_what_does_not_fit_is_left_out():
    found = timing.measure_timing([128, 4096], num_heads=1, contestants=("naive",), limit=5e6)
    assert [one.n for one in found if one] == [128]


def test_closing_ends_the_process(monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kw: started.append(popen(*args, **kw)) or started[-1])
    found = timing.measure_timing([128] * 1000, contestants=("tiles",))
    next(found)
    assert started[0].poll() is None
    found.close()
    assert started[0].poll() is not None


def test_a_measurement_ends_with_the_one_who_asked():
    job = '{"contestant": "tiles", "lengths": [%s], "num_heads": 1, "d_k": 8, "causal": false, "threads": 1}'
    command = [sys.executable, "-m", "attn.pretrained.timing", job % ", ".join(["64"] * 1000)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        time.sleep(0.5)
        process.stdin.close()
        assert process.wait(timeout=20) == 1


def test_that_tiles_give_the_same_is_said_with_the_difference_and_their_letters_are_explained():
    told = " ".join(said(opened("cost")))
    (gap,) = cost_timing_results().values()
    assert 0 < gap < 1e-6
    assert f"for 512 tokens the largest difference is **{gap:.8f}**, which is rounding." in told
    for letter in ("$m$", r"$\ell$", "$c$", "$m'$", r"$\ell'$", "$c'$", "$s_j$", "$v_j$"):
        assert letter in told


def test_a_process_that_breaks_down_says_why():
    with pytest.raises(ModelError, match="measuring broke off: "):
        list(timing.measure_timing([64], d_k=-1, contestants=("naive",)))
    with pytest.raises(ValueError, match="num_heads must be a whole number of at least 0, got -1"):
        list(timing.measure_timing([64], num_heads=-1, contestants=("naive",)))
    with pytest.raises(ValueError, match="contestants must be among naive, tiles, eager, fused, got slow"):
        next(timing.measure_timing([64], contestants=("slow",)))


def test_what_a_process_complains_of_does_not_block_it(monkeypatch, tmp_path):
    """More than a pipe holds is written before anything is measured."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.stderr.write('x' * 1_000_000)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = timing.measure_timing([64], num_heads=1, d_k=8, contestants=("tiles",))
    assert [one.n for one in found if one] == [64]


def ended(app):
    """Wait for the end of the measurement, and return the page as it is then."""
    for _ in range(400):
        if RUNNING not in app.session_state:
            return check(app)
        job = app.session_state[RUNNING]
        job.look()
        job.wait(0.1)
        if not job.running:
            app.run()
    raise AssertionError("the measurement must come to an end")


def bars(app):
    return [progress.proto.text for progress in app.get("progress")]


def test_the_page_measures_and_keeps_what_it_found():
    app = opened("cost", most="256", heads="1")
    assert "Measured here" not in words(app)
    app.button(key="cost.measure").click().run()
    assert app.button(key="cost.measure").disabled
    told = words(check(ended(app), charts=2))
    assert "Measured here: 1 head of 64" in told
    names = [text for table in tables(app, "text", "ink") for text in table["text"]]
    assert any(re.fullmatch(r"torch, fused: n\^−?\d\.\d\d", name) for name in names)
    assert all(any(name.startswith(one) for name in names) for one in timing.CONTESTANTS.values())
    app.segmented_control(key="cost.view").set_value("layer").run()
    assert "Measured here" in words(check(app, charts=2))
    run = app.session_state["cost.run"]
    assert len(run.found) == 2 * len(timing.CONTESTANTS)
    assert np.isfinite([one.seconds for one in run.found]).all()


def test_a_measurement_wants_the_machine_for_itself_and_can_be_stopped_while_it_waits():
    with threads.heavy():  # one place of two is taken
        app = opened("cost", most="256", heads="1")
        app.button(key="cost.measure").click().run()
        time.sleep(0.5)
        app.run()
        assert bars(app) == [say_shared_queue(1)]
        assert threads.heavy_queue.waiting == 1
        app.button(key=f"{RUNNING}.stop").click().run()
        ended(app)
        assert (threads.heavy_queue.inside, threads.heavy_queue.waiting) == (1, 0)
    assert app.session_state["cost.run"].found == []
    assert "Measured here" not in words(app)


def test_a_measurement_that_is_stopped_keeps_what_it_has(monkeypatch):
    closed = []

    def slow(lengths, **kw):
        try:
            yield timing.Measured("naive", 128, 0.001, 7, 1000)
            while True:
                yield None
                time.sleep(0.01)
        finally:
            closed.append(True)

    monkeypatch.setattr(timing, "measure_timing", slow)
    app = opened("cost", most="256")
    app.button(key="cost.measure").click().run()
    time.sleep(0.3)
    app.run()
    assert bars(app) == ["Measured: 1 of 8"]
    assert threads.heavy_queue.inside == 1
    app.button(key=f"{RUNNING}.stop").click().run()
    assert "the fastest of 7 runs" in words(check(ended(app), charts=2))
    assert closed == [True]
    assert threads.heavy_queue.inside == 0


def test_a_measurement_that_breaks_off_is_a_sentence(monkeypatch):
    def broken(*args, **kw):
        yield None
        raise ModelError("measuring broke off: no reason given")

    monkeypatch.setattr(timing, "measure_timing", broken)
    app = opened("cost")
    app.button(key="cost.measure").click().run()
    (error,) = ended(app).error
    assert "broke off" in error.value


@pytest.mark.parametrize("side", [1, 3, 4])
def test_the_query_that_a_control_names_is_the_one_that_is_shown(side):
    """In every tile; and the chosen one is followed again as soon as a tile has it."""
    app = check(opened("cost", tab="tiles", tiles_n="7", tiles_side=str(side), tiles_row="6"), charts=2)
    steps = blockwise.tile_steps(*tiles_inputs(7), causal=True, tile=(side, side))
    for at, step in enumerate(steps, 1):
        app.slider(key="cost.tiles_at").set_value(at).run()
        followed = min(max(6, step.queries.start + 1), step.queries.stop)
        told = " ".join(said(check(app)))
        assert f"to query {followed}. " in told
        if step.queries.stop - step.queries.start == 1:
            assert f"Query {followed} is followed, the only one of this tile." in told
        else:
            control = app.slider(key="cost.tiles_row.shown")
            assert (control.min, control.value, control.max) == (step.queries.start + 1, followed, step.queries.stop)
    if side > 1:
        app.slider(key="cost.tiles_at").set_value(1).run()
        app.slider(key="cost.tiles_row.shown").set_value(2).run()
        assert app.query_params["tiles_row"] == "2"
        assert "to query 2. " in " ".join(said(check(app)))


@pytest.mark.parametrize("causal", ["0", "1"])
def test_tiles_are_walked_to_the_result_of_the_whole_matrix(causal):
    app = check(opened("cost", tab="tiles", tiles_at="5", tiles_row="9", tiles_causal=causal), charts=2)
    inputs = tiles_inputs(16)
    steps = blockwise.tile_steps(*inputs, causal=causal == "1")
    app.slider(key="cost.tiles_at").set_value(len(steps)).run()
    output = tables(check(app), "shown", "down")[-1]
    cells = list(zip(output["down"], output["shown"], strict=True))
    shown = {name: [text for down, text in cells if down == name] for name in ("so far", "whole matrix")}
    so_far, whole = shown.values()
    assert len(so_far) == 8
    assert so_far == whole
    told = " ".join(said(app))
    assert f"Tile {len(steps)} of {len(steps)}" in told
    assert ("are skipped" in told) == (causal == "1")
    assert app.button(key="cost.tiles_forth").disabled
