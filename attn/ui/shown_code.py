"""The lines that a page shows are the source of the functions that it ran, with the settings as literals above them."""

import ast
import builtins
import functools
import inspect
import math
import re
import sys
import textwrap
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_WIDEST = 100  # columns that a literal may take
_LITERALS = int | float | str | list | tuple | dict | np.ndarray
_KNOWN = {"np": "import numpy as np", "attn": "import attn", "charts": "from attn import charts"}


class Source(str):
    """A setting given by the code that makes it, shown as it is."""


class Codes(NamedTuple):
    """What the three tabs of code show, each made when it is asked for."""

    draw: Callable  # the picture of them
    attn: Callable | None = None  # the same numbers by this package
    numpy: Callable | None = None  # nothing but numpy, and what reads a model's file


def page_codes(numpy, settings, steps, printed, look, drawing):
    """Return what the three tabs of code show.

    Parameters
    ----------
    numpy : callable
        Without arguments: the lines from scratch.
    settings : dict
        As for `shown_code`: what the steps compute with.
    steps : tuple
        As for `shown_code`.
    printed : tuple
        Steps that print what the others computed, as the lines from scratch do.
    look : dict
        Settings of the picture.
    drawing : tuple
        The steps that draw and save it.

    Returns
    -------
    Codes
    """
    return Codes(
        draw=lambda: shown_code(settings | look, *steps, *drawing),
        attn=lambda: shown_code(settings, *steps, *printed),
        numpy=numpy,
    )


INSTALL = 'pip install ".[app]"'  # once, in the folder of the project, before lines that import this package run
LIGHT = Source("charts.LIGHT")  # in all lines that draw, until `in_theme` gives them another


def in_theme(lines, theme):
    """Return lines that draw in light colours as lines that draw in those of a theme.

    Examples
    --------
    >>> from attn import charts
    >>> in_theme('charts.bars(x, ["charts.LIGHT"], charts.LIGHT)', charts.DARK)
    'charts.bars(x, ["charts.LIGHT"], charts.DARK)'
    """
    named = (node for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Attribute))
    at = {(node.lineno, node.end_col_offset) for node in named if ast.unparse(node) == LIGHT}
    each = lines.encode().split(b"\n")  # places are counted in bytes
    for line, end in sorted(at, reverse=True):  # from the end, so that places before it stay
        before, after = each[line - 1][:end].removesuffix(b"LIGHT"), each[line - 1][end:]
        each[line - 1] = before + theme.name.upper().encode() + after
    return b"\n".join(each).decode()


def shown_code(settings, *steps):
    """Return code that does what a page did.

    Parameters
    ----------
    settings : dict
        Name -> value, a literal or a `Source`, in the order in which they are shown; a list of names may
        be one name, as in ``"query, keys"``. What the steps do not use may be missing.
    *steps : str, Callable or tuple of (str, Callable)
        Lines shown as they are, their imports at the top; a function that such lines call; or a name and
        the function that gives what it stands for. Of that function the body is shown, its last statement
        ``return x`` as ``name = x``; its parameters are settings, and names of steps before it. Functions
        and constants of its module that it uses are shown, too.

    Returns
    -------
    str
        The imports that all of it needs, the settings, functions that the steps call, the steps.

    Raises
    ------
    NameError
        If a step uses a name that nothing before it gives.

    Examples
    --------
    >>> print(shown_code({"scale": 2, "x": Source("np.eye(2)")}, "y = scale * x", "print(y)"))
    import numpy as np
    <BLANKLINE>
    scale = 2
    x = np.eye(2)
    <BLANKLINE>
    y = scale * x
    print(y)
    <BLANKLINE>
    """
    known, constants, helpers = dict(_KNOWN), {}, {}
    pieces = []
    for step in steps:
        if isinstance(step, str):
            pieces.append(_without_imports(step, known))
        elif callable(step):
            _look_up(step, known, constants, helpers)
            helpers[step.__name__] = _source(step).rstrip()
        else:
            pieces.append(function_body(*step))
            _look_up(step[1], known, constants, helpers)
    constants = {name: value for name, value in constants.items() if name not in settings}
    made = "\n".join(_setting(name, value) for name, value in (constants | settings).items())
    parts = [made, *helpers.values(), "\n".join(filter(None, pieces))]
    imports = _imports(_missing(ast.parse("\n".join(parts))), known)
    return "\n\n".join(filter(None, [imports, *parts])).strip("\n") + "\n"


def _setting(name, value):
    """Return the line that gives a setting its value."""
    if isinstance(value, np.ndarray):
        return f"{name} = np.array({_literal(value.tolist())})"
    return f"{name} = {value if isinstance(value, Source) else _literal(value)}"


def _literal(value, room=_WIDEST):
    """Return a value as code, an item a line where one line is too short."""
    if isinstance(value, str):
        written = repr(value)
        return written if '"' in written else f'"{written[1:-1]}"'
    if isinstance(value, float) and math.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    if not isinstance(value, dict | list | tuple):
        return repr(value)
    opening, closing = {dict: "{}", list: "[]"}.get(type(value), "()")
    if isinstance(value, dict):
        items = [f"{_literal(name)}: {_literal(item, room - 4)}" for name, item in value.items()]
    else:
        items = [_literal(item, room - 4) for item in value]
    line = ", ".join(items) + ("," if isinstance(value, tuple) and len(items) == 1 else "")
    if len(line) < room and "\n" not in line:
        return f"{opening}{line}{closing}"
    if all(isinstance(item, int | float) for item in value) and not isinstance(value, dict):
        items = textwrap.wrap(line, room - 4)  # many numbers a line
        items[-1] = items[-1].removesuffix(",")
        return f"{opening}\n{textwrap.indent(chr(10).join(items), '    ')},\n{closing}"
    lines = textwrap.indent(",\n".join(items), "    ")
    return f"{opening}\n{lines},\n{closing}"


@functools.cache
def _source(part):
    """Return the source of a function or a module, looked for once."""
    return inspect.getsource(part)


@functools.cache
def _tree(function):
    """Return the source of a function, dedented, and its syntax tree."""
    source = textwrap.dedent(_source(function))
    return source.splitlines(), ast.parse(source).body[0]


@functools.cache
def _imports_of(module):
    """Return the imports of a module that shown code may need, by the names that they give."""
    return {
        name.asname or name.name: _import(node, name)
        for node in ast.parse(_source(module)).body
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "module", "").startswith("attn.ui")
        for name in node.names
    }


def function_body(name, function):
    """Return the statements of a function as code of a module, the result bound to `name`.

    Raises
    ------
    ValueError
        If the function returns elsewhere than at its end.
    """
    lines, tree = _tree(function)
    first, last = tree.body[1 if ast.get_docstring(tree) else 0], tree.body[-1]
    if [node for node in _own(tree) if isinstance(node, ast.Return)] != [last]:
        raise ValueError(f"{function.__name__} must return once, at its end, to be shown")
    before = textwrap.dedent("\n".join(lines[first.lineno - 1 : last.lineno - 1]))
    result = textwrap.dedent("\n".join(lines[last.lineno - 1 :]))
    if ast.unparse(last.value) in (name, f"({name})"):
        return before
    return "\n".join(filter(None, [before, result.replace("return", f"{name} =", 1)]))


def _without_imports(lines, known):
    """Return lines without the imports among them, which become known."""
    for node in ast.parse(lines).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            known |= {name.asname or name.name: _import(node, name) for name in node.names}
    return "\n".join(line for line in lines.split("\n") if not re.match(r"(import|from) \S", line))


def _own(tree):
    """Yield the parts of a function that are not parts of a function in it."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield from _own(node)


def _look_up(function, known, constants, helpers):
    """Find the imports of a function's module, and what else of that module it uses."""
    module = sys.modules[function.__module__]
    known |= _imports_of(module)
    for name in _missing(_tree(function)[1]):
        found = getattr(module, name, None)
        if inspect.isfunction(found) and found.__module__ == module.__name__ and name not in helpers:
            helpers[name] = _source(found).rstrip()
            _look_up(found, known, constants, helpers)
        elif name not in known and isinstance(found, _LITERALS):
            constants[name] = found


def _import(node, name):
    """Return one import of a statement as code."""
    renamed = f" as {name.asname}" if name.asname else ""
    return f"{f'from {node.module} ' if isinstance(node, ast.ImportFrom) else ''}import {name.name}{renamed}"


def _missing(tree):
    """Return the names that code uses and does not give, in order."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    given = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    given |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    given |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    used = dict.fromkeys(node.id for node in names if isinstance(node.ctx, ast.Load))
    return [name for name in used if name not in given and not hasattr(builtins, name)]


def _imports(names, known):
    """Return the imports of these names, sorted as usual, those from one module on one line."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise NameError(f"the shown code must be given {', '.join(unknown)}")
    plain = [known[name] for name in names if known[name].startswith("import ")]
    gathered = {}
    for line in sorted({known[name] for name in names} - set(plain)):
        module, _, name = line.partition(" import ")
        gathered.setdefault(module, []).append(name)
    lines = [*sorted(plain), *(f"{module} import {', '.join(found)}" for module, found in gathered.items())]
    return "\n".join(sorted(lines, key=_rank))


def _rank(line):
    """Return where an import stands: first what comes with Python, last what is of this project."""
    package = re.split(r"[ .]", line)[1]
    return (package not in sys.stdlib_module_names) + (package == "attn")
