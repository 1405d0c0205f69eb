"""Imports run one way, pages -> ui, charts, pretrained -> core -> numpy, and the core stays light."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"streamlit", "altair", "pandas", "torch", "transformers"}
MODELS = {"torch", "transformers", "safetensors", "tokenizers", "huggingface_hub"}


class Layer(NamedTuple):
    """What the files of one layer may import, besides themselves and the standard library."""

    ours: set  # layers
    theirs: set  # packages, anywhere
    later: set = frozenset()  # packages, only inside functions


LAYERS = {
    "core": Layer(set(), {"numpy"}, {"PIL"}),
    "charts": Layer({"core"}, {"numpy", "altair", "pandas", "PIL"}, {"vl_convert"}),
    "pretrained": Layer({"core"}, {"numpy", "threadpoolctl"}, MODELS | {"tqdm", "PIL"}),
    "trained": Layer({"core"}, {"numpy"}, {"torch", "safetensors"}),
    "ui": Layer({"core", "charts", "pretrained", "trained"}, {"numpy", "streamlit"}),
    "pages": Layer({"core", "charts", "pretrained", "trained", "ui"}, {"streamlit"}),
}
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.py"), *ROOT.glob("pages/**/*.py"), *ROOT.glob("attn/**/*.py")]
)


def layer_of_file(path):
    """Return the layer of a file, given from the root."""
    parts = Path(path).parts
    if parts[0] != "attn":
        return "pages"
    return parts[1] if len(parts) > 2 and parts[1] in LAYERS else "core"


def layer_of_module(name):
    """Return the layer of a module of ours, by its full name."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "core"


def imports(source, path):
    """Yield each imported module's full name, and whether the import waits inside a function."""
    tree = ast.parse(source)
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = Path(path).parts[: -node.level] if node.level else ()
            module = ".".join([*package, *filter(None, [node.module])])
            # a name that is imported may itself be a module: from attn import charts
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "attn" else [module]
        else:
            continue
        for name in names:
            yield name, id(node) in inside


def offences(source, path):
    """Return what a file imports and may not."""
    layer = layer_of_file(path)
    may = LAYERS[layer]
    wrong = []
    for name, inside in imports(source, path):
        package = name.split(".")[0]
        if package == "attn":
            if layer_of_module(name) not in may.ours | {layer}:
                wrong.append(name)
        elif package not in sys.stdlib_module_names | may.theirs | (may.later if inside else set()):
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("path", FILES)
def test_imports_run_one_way(path):
    assert offences((ROOT / path).read_text(), path) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("attn/masks.py", "import math\nimport numpy as np\nfrom attn.functional import softmax", []),
        ("attn/masks.py", "import torch", ["torch"]),
        ("attn/masks.py", "def f():\n    import torch.nn", ["torch.nn"]),
        ("attn/masks.py", "from PIL import Image", ["PIL"]),
        ("attn/masks.py", "from attn import charts", ["attn.charts"]),
        ("attn/masks.py", "from attn.pretrained.record import record", ["attn.pretrained.record"]),
        ("attn/masks.py", "from .charts import heatmap", ["attn.charts"]),
        ("attn/charts/heatmap.py", "import altair as alt\nimport pandas\nfrom attn import analysis", []),
        ("attn/charts/heatmap.py", "from attn.ui import page\nimport streamlit", ["attn.ui", "streamlit"]),
        ("attn/charts/heatmap.py", "from ..pretrained import load", ["attn.pretrained"]),
        ("attn/charts/heatmap.py", "from .theme import Theme", []),
        ("attn/pretrained/load.py", "import torch", ["torch"]),
        ("attn/pretrained/load.py", "def load():\n    import torch\n    from transformers import AutoModel", []),
        ("attn/ui/page.py", "import streamlit as st\nfrom attn import charts, examples", []),
        ("attn/ui/page.py", "import altair\nimport pages.heads", ["altair", "pages.heads"]),
        ("pages/heads.py", "import streamlit as st\nfrom attn import ui", []),
        ("pages/heads.py", "import numpy as np\nimport altair as alt", ["numpy", "altair"]),
        ("app.py", "import pandas", ["pandas"]),
    ],
)
def test_the_rule_itself(path, source, expected):
    assert offences(source, path) == expected


def run(code):
    """Run a line of Python in a new interpreter at the root, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_the_core_loads_numpy_and_nothing_else():
    loaded = run("import sys; before = set(sys.modules); import attn; print(*set(sys.modules) - before)").split()
    packages = {name.split(".")[0] for name in loaded}
    assert packages - sys.stdlib_module_names == {"attn", "numpy"}
    assert not packages & HEAVY


def test_the_core_loads_fast():
    """Best of several: under 0.1 s of processor time on top of numpy, however busy the machine is."""
    code = "import time, numpy; start = time.process_time(); import attn; print(time.process_time() - start)"
    assert min(float(run(code)) for _ in range(5)) < 0.1


def test_looking_for_models_is_cheap():
    if not (ROOT / "attn" / "pretrained" / "__init__.py").exists():
        pytest.skip("no attn.pretrained")
    loaded = run("import sys, attn.pretrained; print(*sys.modules)").split()
    assert not {name.split(".")[0] for name in loaded} & (HEAVY | MODELS)
