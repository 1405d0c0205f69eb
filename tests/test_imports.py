"""Who may import whom: the core stays light, imports run one way, and what is a page's or a file's own stays so."""

import ast
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from processes import ROOT, printed

HEAVY = {"streamlit", "altair", "pandas", "torch", "transformers"}
MODELS = {"torch", "transformers", "safetensors", "tokenizers", "sentencepiece", "huggingface_hub"}


class Layer(NamedTuple):
    """What the files of one layer may import, besides themselves and the standard library."""

    ours: set  # layers
    theirs: set  # packages, anywhere
    later: set = frozenset()  # packages, only inside functions


BELOW_UI = {"core", "charts", "pretrained", "trained"}
LAYERS = {
    "__main__": Layer({"ui"}, set()),  # of the whole: python -m attn
    "core": Layer(set(), {"numpy"}, {"PIL", "soundfile", "soxr"}),
    "charts": Layer({"core"}, {"numpy", "altair", "pyarrow", "PIL"}, {"pandas", "vl_convert"}),
    "pretrained": Layer({"core"}, {"numpy", "threadpoolctl"}, MODELS | {"tqdm", "PIL", "gguf"}),
    "trained": Layer({"core"}, {"numpy"}, {"torch", "safetensors"}),
    "ui": Layer(BELOW_UI, {"numpy", "streamlit", "yaml"}, {"segno", "nbformat"}),
    "ui.controls": Layer(BELOW_UI | {"ui"}, {"numpy", "streamlit"}),
    "ui.pages": Layer(BELOW_UI | {"ui", "ui.controls"}, {"numpy", "streamlit"}),
    "pages": Layer(BELOW_UI | {"ui", "ui.controls", "ui.pages"}, {"streamlit"}),
}
"""Layers by name; what lies in no folder of these names under attn is the core: analysis, architectures, data."""
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.py"), *ROOT.glob("pages/**/*.py"), *ROOT.glob("attn/**/*.py")]
)


TESTS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/*.py"))


def layer_of(module):
    """Return the layer of a module of ours, by its full name."""
    parts = module.split(".")
    if parts[0] != "attn":
        return "pages"
    names = (".".join(parts[1:depth]) for depth in (3, 2))
    return next((name for name in names if name in LAYERS), "core")


def page_of(module):
    """Return the page that a module belongs to alone, or None: app.py is the page home."""
    parts = module.split(".")
    if parts[:3] == ["attn", "ui", "pages"] and len(parts) > 3:
        return parts[3]
    return {"pages": parts[-1], "app": "home"}.get(parts[0])


def module_of(path):
    """Return the full name of the module in a file, given from the root."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def is_module(name):
    """Say whether a dotted name of ours is a module or a package."""
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


_WAITS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def _for_types_alone(node):
    """Say whether a statement is ``if TYPE_CHECKING:``, of which only a checker of types reads the body."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(source, path):
    """Yield each imported module's full name, and whether the import waits until it is needed."""
    tree = ast.parse(source)
    waiting = [node for node in ast.walk(tree) if isinstance(node, _WAITS) or _for_types_alone(node)]
    inside = {id(node) for each in waiting for node in ast.walk(each)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = Path(path).parts[: -node.level] if node.level else ()
            module = ".".join([*package, *filter(None, [node.module])])
            # a name that is imported may itself be a module: from attn import charts
            names = [name if is_module(name := f"{module}.{alias.name}") else module for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) in inside


def offences(source, path):
    """Return what a file imports and may not."""
    mine = module_of(path)
    layer, page = layer_of(mine), page_of(mine)
    may = LAYERS[layer]
    wrong = []
    for name, inside in imports(source, path):
        package = name.split(".")[0]
        if package in ("attn", "pages"):
            others = page_of(name) not in (None, page)
            if others or layer_of(name) not in may.ours | {layer} or package == "pages":
                wrong.append(name)
        elif package not in sys.stdlib_module_names | may.theirs | (may.later if inside else set()):
            wrong.append(name)
    return wrong


def borrowed(source, path):
    """Return the underscore names that a file takes from other modules of ours."""
    tree, taken, modules = ast.parse(source), [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "attn":
            taken += [alias.name for alias in node.names if _is_private(alias.name)]
            ours = (alias for alias in node.names if is_module(f"{node.module}.{alias.name}"))
            modules |= {alias.asname or alias.name for alias in ours}
    for node in ast.walk(tree):
        of_module = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules
        if of_module and _is_private(node.attr):
            taken.append(f"{node.value.id}.{node.attr}")
        # monkeypatch.setattr(module, "_name", ...)
        if isinstance(node, ast.Call) and len(node.args) > 1 and isinstance(node.args[0], ast.Name):
            first, second = node.args[:2]
            if first.id in modules and isinstance(second, ast.Constant) and _is_private(second.value):
                taken.append(f"{first.id}.{second.value}")
    return taken


def _is_private(name):
    """Say whether a name is a module's own."""
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", FILES)
def test_imports_run_one_way(path):
    assert offences((ROOT / path).read_text(), path) == []


@pytest.mark.parametrize("path", FILES + TESTS)
def test_underscore_names_stay_in_their_module(path):
    assert borrowed((ROOT / path).read_text(), path) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("attn/masks.py", "import math\nimport numpy as np\nfrom attn.functional import softmax", []),
        ("attn/masks.py", "import torch", ["torch"]),
        ("attn/masks.py", "def f():\n    import torch.nn", ["torch.nn"]),
        ("attn/masks.py", "from PIL import Image", ["PIL"]),
        ("attn/masks.py", "from attn import charts", ["attn.charts"]),
        ("attn/masks.py", "from attn.pretrained.errors import ModelError", ["attn.pretrained.errors"]),
        ("attn/analysis/weights.py", "import math\nfrom attn import softmax", []),
        ("attn/data/examples.py", "from attn.charts import heatmap", ["attn.charts.heatmap"]),
        ("attn/masks.py", "from .charts import heatmap", ["attn.charts.heatmap"]),
        ("attn/charts/heatmap.py", "import altair as alt\nimport pyarrow\nfrom attn import analysis", []),
        ("attn/charts/heatmap.py", "from attn.ui import page\nimport streamlit", ["attn.ui.page", "streamlit"]),
        ("attn/charts/heatmap.py", "from ..pretrained import load", ["attn.pretrained"]),
        ("attn/charts/heatmap.py", "from .theme import Theme", []),
        ("attn/pretrained/load.py", "import torch", ["torch"]),
        (
            "attn/pretrained/load.py",
            "if TYPE_CHECKING:\n    import torch\nif True:\n    import transformers",
            ["transformers"],
        ),
        ("attn/pretrained/load.py", "def load():\n    import torch\n    from transformers import AutoModel", []),
        ("attn/ui/page.py", "import streamlit as st\nfrom attn import charts, examples", []),
        ("attn/ui/page.py", "import altair\nimport pages.heads", ["altair", "pages.heads"]),
        ("attn/ui/page.py", "from attn.ui.pages import heads", ["attn.ui.pages.heads"]),
        ("attn/ui/page.py", "from attn.ui.controls.mask import MASKS", ["attn.ui.controls.mask"]),
        ("attn/ui/controls/mask.py", "from attn.ui.pages.masks import Setup", ["attn.ui.pages.masks"]),
        ("attn/ui/pages/cost/curves.py", "from attn.ui.pages.cost import units\nfrom attn.ui.state import as_text", []),
        ("attn/ui/pages/cost/curves.py", "from attn.ui.pages.block import setup", ["attn.ui.pages.block.setup"]),
        ("pages/heads.py", "import streamlit as st\nfrom attn import ui\nfrom attn.ui.pages import heads", []),
        ("pages/heads.py", "from attn.ui.pages.masks import Setup", ["attn.ui.pages.masks"]),
        ("app.py", "from attn.ui.pages import home", []),
        ("app.py", "from attn.ui.pages import heads", ["attn.ui.pages.heads"]),
        ("pages/heads.py", "import numpy as np\nimport altair as alt", ["numpy", "altair"]),
        ("app.py", "import pandas", ["pandas"]),
    ],
)
def test_the_rule_itself(path, source, expected):
    assert offences(source, path) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from attn.masks import _words", ["_words"]),
        ("from attn import masks\nmasks._words(1)", ["masks._words"]),
        ("from attn import masks\nmonkeypatch.setattr(masks, '_WIDE', 1)", ["masks._WIDE"]),
        ("from attn import masks\nmasks.causal(3).visible\nself._own\nmasks.__doc__", []),
    ],
)
def test_the_rule_of_underscore_names(source, expected):
    assert borrowed(source, "attn/masks.py") == expected


def test_the_core_loads_numpy_and_nothing_else():
    loaded = printed("import sys; before = set(sys.modules); import attn; print(*set(sys.modules) - before)").split()
    packages = {name.split(".")[0] for name in loaded}
    assert packages - sys.stdlib_module_names == {"attn", "numpy"}
    assert not packages & HEAVY


def test_the_core_loads_fast():
    """As numpy does: both are timed in one process, so that a slow or busy machine changes nothing."""
    code = """if True:
        from time import process_time
        times = [process_time()]
        import numpy
        times.append(process_time())
        import attn
        print((process_time() - times[1]) / (times[1] - times[0]))
    """
    assert min(float(printed(code, PYTHONDONTWRITEBYTECODE="")) for _ in range(5)) < 3  # the first may compile


def test_pretrained_loads_no_model_library_before_a_model():
    modules = [module_of(path) for path in FILES if path.startswith("attn/pretrained/") and "__main__" not in path]
    assert len(modules) > 1
    loaded = printed(f"import sys, {', '.join(modules)}; print(*sys.modules)").split()
    assert not {name.split(".")[0] for name in loaded} & (HEAVY | MODELS)


def test_pages_load_what_they_show_and_no_more():
    """Home computes in numpy; a model is opened without what compiles, trains or spreads it, half of the time it takes.

    What was left out comes when it is asked for.
    """
    code = """if True:
        import sys, streamlit
        from streamlit.testing.v1 import AppTest
        page = AppTest.from_file("app.py", default_timeout=120).run()
        print(*sys.modules, *("exception" for _ in [*page.exception, *page.error]))
        page.switch_page("pages/pretrained.py").run()
        print(*sys.modules, *("exception" for _ in [*page.exception, *page.error]))
        import torch
        print(*torch.compile(lambda x: 2 * x, backend="eager")(torch.arange(3)).tolist())
    """
    home, pretrained, doubled = printed(code, HF_HUB_OFFLINE="1").splitlines()
    assert not {"exception", "pandas", *MODELS} & set(home.split()) - {"safetensors", "tokenizers"}
    loaded = set(pretrained.split())
    assert {"torch", "transformers.modeling_utils"} <= loaded
    spared = {"torch._dynamo.eval_frame", "torch._inductor", "torch.distributed.tensor", "sympy", "scipy", "sklearn"}
    spared |= {"pandas"}  # Streamlit's editor of a table needs it, and a table to download
    assert not {"exception", *spared} & loaded
    assert doubled == "0 2 4"


def test_names_of_before_are_still_importable():
    import attn

    former = {"steps": "one_head", "learning": "training_recipe", "head_measures": "head_table"}
    former |= {"beam": "beam_search", "memory": "turing_machine"}
    assert all(getattr(attn, old) is getattr(attn, new) for old, new in former.items())
    assert attn.images.PICTURES is attn.pictures.PICTURES
    assert attn.images.image_attention is attn.image_attention.image_attention
    assert attn.alignment.local_m is attn.local_attention.local_m
    assert attn.sounds.read_wav is attn.sounds.read_sound
