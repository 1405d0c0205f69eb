"""Visitors are served by threads of one process: nothing that all threads share is changed for one of them."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = {
    **dict.fromkeys(("catch_warnings", "simplefilter", "filterwarnings"), "warnings"),
    **dict.fromkeys(("seterr", "seterrcall", "set_printoptions", "printoptions"), "numpy"),
    **dict.fromkeys(("set_default_dtype", "set_default_device", "set_grad_enabled", "manual_seed"), "torch"),
    **dict.fromkeys(("set_num_threads", "set_num_interop_threads", "use_deterministic_algorithms"), "torch"),
    **dict.fromkeys(("chdir", "putenv", "unsetenv", "umask", "setlocale", "tzset", "setrecursionlimit"), "system"),
    **dict.fromkeys(("set_verbosity", "set_verbosity_error", "set_verbosity_warning", "basicConfig"), "logging"),
    **dict.fromkeys(("data_transformers", "themes", "renderers", "disable_max_rows", "set_embed_options"), "altair"),
    **dict.fromkeys(("set_attn_implementation", "set_option"), "transformers, pandas"),
}
ALONE = {"trained", "families", "__main__.py", "timing.py"}  # run by a command, or in a process of their own
ALLOWED = {
    ("attn/pretrained/loading/load.py", "manual_seed"): "the state is put back, and one model is built at a time",
    ("attn/pretrained/threads.py", "set_num_threads"): "to the same number for all",
    ("attn/ui/settings.py", "environ"): "the folder that the server's owner has set, once, for all",
    ("attn/ui/settings.py", "set_option"): "of Streamlit, to what the server's owner has set, for all",
}


def changed(path):
    """Yield what a file uses that changes something for all threads."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in SHARED:
            yield node.attr
        is_environment = isinstance(node, ast.Subscript) and "environ" in ast.dump(node.value)
        if is_environment and isinstance(node.ctx, ast.Store | ast.Del):
            yield "environ"


def test_nothing_that_all_visitors_share_is_changed_for_one():
    files = [path for folder in ("attn", "pages") for path in (ROOT / folder).rglob("*.py")] + [ROOT / "app.py"]
    served = [path.relative_to(ROOT) for path in files if not ALONE & set(path.relative_to(ROOT).parts)]
    assert len(served) > 100
    found = {(str(path), name) for path in served for name in changed(ROOT / path)}
    assert found == set(ALLOWED)


def test_no_wait_hangs_on_a_clock_that_can_be_set_back():
    """Of the clocks only `time.monotonic` and `time.perf_counter` never go backwards."""
    for path in (ROOT / "attn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert ast.unparse(node.func) not in ("time.time", "datetime.now", "datetime.utcnow"), path
