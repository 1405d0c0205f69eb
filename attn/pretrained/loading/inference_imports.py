"""transformers without what only training, compiling and spreading a model over machines need.

To open a model, transformers imports torch's compiler with sympy, torch's tensors that lie on several machines, and
scipy for the losses of object detection. None of it takes part in a pass, and together it is half of the time that the
first model of a process takes, and 100 MB.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

_COMPILER, _INDEXING = "torch._dynamo", "_trace_wrapped_higher_order_op"  # a package, and what masks take from it
_executing = threading.RLock()


def import_for_inference() -> None:
    """Import transformers for a process that runs models and neither trains nor compiles them, such as a server.

    It changes what transformers finds at the first import, for the whole process; where transformers has opened a
    model before, nothing is left to spare and nothing changes. The compiler is still imported once anything asks for
    it; what transformers has decorated until then it does not know.
    """
    if "transformers.modeling_utils" in sys.modules:
        return
    import torch
    import transformers.utils

    compiler = find_spec(_COMPILER)
    if compiler is not None and _COMPILER not in sys.modules:
        indexing = PathFinder.find_spec(f"{_COMPILER}.{_INDEXING}", compiler.submodule_search_locations)
        marks = ("allow_in_graph", "assume_constant_result", "disable")  # they return a function as it runs anyway
        package = _put_off(compiler, **dict.fromkeys(marks, _undecorated))
        if indexing is not None:
            module = _put_off(indexing)
            vars(module)["TransformGetItemToIndex"] = lambda: _executed(module).TransformGetItemToIndex()
            setattr(package, _INDEXING, module)
    with _answers_no(torch.distributed, "is_available"), _answers_no(transformers.utils, "is_scipy_available"):
        import transformers.modeling_utils


class _PutOff(types.ModuleType):
    """A module that is executed when anything is asked of it that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # who goes through all modules asks; for a part, its path
            raise AttributeError(name)
        return getattr(_executed(self), name)


def _put_off(spec, **known):
    """Put a module in its place without executing it, with some of its names."""
    module = module_from_spec(spec)
    vars(module).pop("__path__", None)  # so that no part of it is imported before itself
    vars(module).update(known)
    module.__class__ = _PutOff
    sys.modules[spec.name] = module
    return module


def _executed(module):
    """Execute a module that was put off, once, and return it."""
    with _executing:
        if isinstance(module, _PutOff):
            module.__class__ = types.ModuleType
            if (path := module.__spec__.submodule_search_locations) is not None:
                module.__path__ = path
            module.__spec__.loader.exec_module(module)
    return module


def _undecorated(function=None, *_, **__):
    """Return a function as it is; works as a decorator with and without arguments."""
    return _undecorated if function is None else function


@contextmanager
def _answers_no(module: types.ModuleType, question: str) -> Iterator[None]:
    """Let a function of a module without arguments return False inside the block."""
    answer = getattr(module, question)
    setattr(module, question, lambda: False)
    try:
        yield
    finally:
        setattr(module, question, answer)
