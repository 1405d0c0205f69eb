"""Public functions say in their signatures what they take and give, so that docstrings need not."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["files"]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for where in CHECKED
    for path in (ROOT.glob(where) if where.endswith(".py") else (ROOT / where).rglob("*.py"))
)


def unsaid(source):
    """Return the public functions of a module, and what each leaves without a type."""
    return {name: missing for name, function, bound in public(ast.parse(source)) if (missing := bare(function, bound))}


def public(parent, prefix=""):
    """Yield name and node of each public function and method, and whether its first argument is the instance."""
    for node in parent.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
            yield prefix + node.name, node, bool(prefix) and not static


def bare(function, bound):
    """Return which of a function's arguments, and of "return", have no type."""
    a = function.args
    named = [*a.posonlyargs, *a.args][bound:] + a.kwonlyargs + [one for one in (a.vararg, a.kwarg) if one]
    return [one.arg for one in named if one.annotation is None] + ["return"] * (function.returns is None)


@pytest.mark.parametrize("path", FILES)
def test_public_functions_state_their_types(path):
    assert unsaid((ROOT / path).read_text(encoding="utf-8")) == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(x: int, *, y: int = 1) -> int: ...", {}),
        ("def f(x, *rest, y=1, **more): ...", {"f": ["x", "y", "rest", "more", "return"]}),
        ("def _f(x): ...", {}),
        ("class C:\n    def f(self, x) -> None: ...", {"C.f": ["x"]}),
        ("class C:\n    @staticmethod\n    def f(x) -> None: ...", {"C.f": ["x"]}),
        ("class _C:\n    def f(self, x): ...", {}),
    ],
)
def test_the_rule_itself(source, expected):
    assert unsaid(source) == expected
