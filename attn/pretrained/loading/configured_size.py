"""How large a model its configuration asks for, before anything of it is built.

A file of a few bytes may ask for a width or a number of layers that no machine can hold.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from attn.pretrained.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch.overrides import TorchFunctionMode

_MOST = {  # names of what is made one by one, layers and lists over them or names of classes -> how many there may be
    re.compile(r"(layers?|blocks|depths?|stages|groups|types)$"): 1_000,
    re.compile(r"labels$"): 100_000,
}
_MOST_TENSORS = 20_000  # more than any model has that fits in the memory of a computer without a cluster
_TIED = 2  # matrices that share their numbers are made twice, and tied once all are there


def check_counts(config: dict, name: str) -> None:
    """Refuse a configuration that asks for more layers or classes than any model has.

    Parameters
    ----------
    config
        What ``config.json`` says. Its parts are looked at, too.
    name
        The model as the user named it.

    Raises
    ------
    ModelError

    Examples
    --------
    >>> check_counts({"text_config": {"num_hidden_layers": 1_000_000}}, "mine")
    Traceback (most recent call last):
    attn.pretrained.errors.ModelError: the config.json of mine must have num_hidden_layers up to 1,000, got 1,000,000
    """
    left: list[tuple[str, Any]] = [("", config)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += value.items()
        elif isinstance(value, list):
            left += ((key, each) for each in value)
        elif isinstance(value, int):
            most = next((most for named, most in _MOST.items() if named.search(key)), value)
            if value > most:
                raise ModelError(f"the config.json of {name} must have {key} up to {most:,}, got {value:,}")


def check_built_size(build: Callable[[], torch.nn.Module], name: str, size_limit: float) -> None:
    """Build a model without its numbers, and refuse it if they would take more than a limit as float32.

    On torch's meta device a tensor has a shape and no numbers. Building ends with the tensor that is too much.

    Parameters
    ----------
    build
        Builds the model of the configuration.
    name
        The model as the user named it.
    size_limit
        Most bytes.

    Raises
    ------
    ModelError
    """
    import torch

    with shapes_without_sympy(), torch.device("meta"), _counted(name, size_limit):
        model = build()
    size = sum(map(_bytes, (*model.parameters(), *model.buffers())))
    if size > size_limit:
        raise _too_large(name, size_limit, size)


def shapes_without_sympy() -> TorchFunctionMode:
    """Build on torch's meta device without what torch works out by its compiler's means there, which imports sympy.

    First numbers are not drawn for a tensor that has none, and whole numbers in a row are counted here.

    Returns
    -------
    context manager
        For this thread, around that of the device.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class ShapesWithoutSympy(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if getattr(function, "__module__", None) == "torch.nn.init":
                tensor = args[0] if args else kwargs["tensor"]
                if tensor.is_meta:
                    return tensor
            on_meta = kwargs.get("device") == torch.device("meta")
            if function is torch.arange and on_meta and args and all(type(each) is int for each in args):
                kwargs = {"dtype": torch.int64} | {name: given for name, given in kwargs.items() if given is not None}
                return torch.empty(len(range(*args)), **kwargs)
            if function is torch.empty_like and args[0].is_meta and args[0].is_contiguous():
                return torch.empty(args[0].shape, **{"dtype": args[0].dtype, "device": args[0].device} | kwargs)
            return function(*args, **kwargs)

    return ShapesWithoutSympy()


@contextlib.contextmanager
def _counted(name: str, size_limit: float) -> Iterator[None]:
    """Count what modules are given in this thread meanwhile, and raise ModelError where it is too much."""
    from torch.nn.modules import module

    here, size = threading.get_ident(), 0
    seen: dict[int, torch.Tensor] = {}  # by identity: a matrix is given again to what is tied to it

    def given(owner, key, tensor):
        nonlocal size
        if threading.get_ident() != here or tensor is None or id(tensor) in seen:
            return
        seen[id(tensor)] = tensor
        size += _bytes(tensor)
        if size > _TIED * size_limit:
            raise _too_large(name, size_limit, size)
        if len(seen) > _MOST_TENSORS:
            raise ModelError(f"the config.json of {name} must ask for at most {_MOST_TENSORS:,} tensors")

    hooks = module.register_module_parameter_registration_hook, module.register_module_buffer_registration_hook
    handles = [register(given) for register in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _bytes(tensor):
    """Return the bytes of a tensor, whose real numbers are opened as float32."""
    return tensor.numel() * (4 if tensor.is_floating_point() else tensor.element_size())


def _too_large(name, size_limit, size):
    most = f"the config.json of {name} must ask for at most {size_limit / 1e9:.3g} GB of numbers here"
    return ModelError(f"{most}, got {size / 1e9:.3g} GB or more")
