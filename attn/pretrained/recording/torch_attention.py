"""Attention of models built of torch's own parts, which ask no registry: their calls are taken where they reach torch.

Nothing of a model or of torch is changed: a mode of the one thread that runs a pass sees the functions that the pass
calls. Where such a mode is on, torch leaves its fast paths out, which would compute a whole layer in one piece.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from attn.pretrained.recording.registry import Call, weights_by_torch

if TYPE_CHECKING:
    import torch
    from torch.overrides import TorchFunctionMode

_FUNCTION = "scaled_dot_product_attention"


def modules_of(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Return the parts of a model that attend by torch's own means: `torch.nn.MultiheadAttention` or its function.

    Parameters
    ----------
    model

    Returns
    -------
    dict
        Qualified name -> module, in the order of the model. Parts that are models of transformers are left out:
        these ask the registry.
    """
    import torch

    return {
        name: module
        for name, module in _own_modules(model).items()
        if isinstance(module, torch.nn.MultiheadAttention) or _calls_attention(type(module))  # type: ignore[arg-type]
    }


def num_heads_of(model: torch.nn.Module) -> int | None:
    """Return how many heads the attention of a model has, as far as its modules say so and say the same."""
    counts = {getattr(module, "num_heads", None) for module in modules_of(model).values()}
    return counts.pop() if len(counts) == 1 else None


def _own_modules(model):
    """Return all modules of a model but those within a model of transformers."""
    from transformers import PreTrainedModel

    theirs = {part for each in model.modules() if isinstance(each, PreTrainedModel) for part in each.modules()}
    return {name: module for name, module in model.named_modules() if module not in theirs}


@functools.cache
def _calls_attention(module_class):
    """Say whether a method of a class calls torch's attention."""
    methods = (inspect.unwrap(each) for each in vars(module_class).values() if inspect.isfunction(each))
    return any(_FUNCTION in method.__code__.co_names for method in methods)


def taking(model: torch.nn.Module, handle: Callable) -> TorchFunctionMode:
    """Return a mode in which the attention calls of a model reach a function instead of torch.

    Parameters
    ----------
    model
    handle
        Takes a `Call`, as for `attn.pretrained.recording.registry.handling`. A query that may see no key has an
        output of 0 then, also where the module, asked for its weights, would give NaN.
    """
    return _mode_class()(frozenset(_own_modules(model).values()), handle)


@functools.cache
def _mode_class():
    """Return the class of such modes: it cannot be made before torch is loaded."""
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    taken = {functional.multi_head_attention_forward: _multi_head, functional.scaled_dot_product_attention: _attention}

    class Taking(TorchFunctionMode):
        def __init__(self, modules, handle):
            super().__init__()
            self.modules, self.handle = modules, handle

        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function in taken and (module := _running()) in self.modules:
                return taken[function](module, self.handle, *args, **(kwargs or {}))
            return function(*args, **(kwargs or {}))

    return Taking


def _running():
    """Return the module whose code is running: the last one that was called."""
    import torch

    frame = sys._getframe(2)
    while frame is not None:
        if isinstance(module := frame.f_locals.get("self"), torch.nn.Module):
            return module
        frame = frame.f_back
    return None


def _multi_head(module, handle, *args, **kwargs):
    """Run torch's attention of several heads, with the step between its projections given to a function."""
    from torch.nn import functional

    function, reported = functional.multi_head_attention_forward, []
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    given, query, key = bound.arguments, bound.arguments["query"], bound.arguments["key"]
    wanted = given["need_weights"]

    def own_weights():
        weights = function(**given | {"need_weights": True, "average_attn_weights": False})[1]
        return weights.reshape(-1, *weights.shape[-3:])  # (batch, num_heads, n_q, n_k)

    def answer(call):
        hidden = query.transpose(0, 1) if query.ndim == 3 else query[None]  # (batch, n_q, d_model)
        crosses = query is not key and not (query.shape == key.shape and bool((query == key).all()))
        call = replace(call, hidden=hidden, own_weights=own_weights, crosses=crosses, wants_weights=wanted)
        output, weights = handle(call)
        reported.append(weights)
        return output, weights

    names = {_FUNCTION: functools.partial(_attention, module, answer), "has_torch_function": lambda tensors: False}
    # Asked for its weights, torch applies the mask; otherwise it takes one that is said to be causal at its word.
    hint = given["is_causal"] and not (wanted and given["attn_mask"] is not None)
    output, _ = _with(function, names)(**given | {"need_weights": False, "is_causal": hint})
    if not wanted:
        return output, None
    weights = reported[0].mean(dim=1) if given["average_attn_weights"] else reported[0]
    return output, weights if query.ndim == 3 else weights[0]


def _with(function, names):
    """Return a function of the same code, in which some names stand for something else."""
    changed = types.FunctionType(function.__code__, function.__globals__ | names, function.__name__)
    changed.__defaults__, changed.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return changed


def _attention(
    module, handle, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """Give a call of torch's attention to a function, with the axes that it has here: (batch, num_heads, n, d)."""
    import torch

    *lead, n_q, _ = query.shape
    n_k = key.shape[-2]

    mask = attn_mask
    if is_causal:
        mask = torch.ones(n_q, n_k, dtype=torch.bool, device=query.device).tril()
    if mask is not None:
        mask = mask[(None,) * (4 - mask.ndim)] if query.ndim == 4 else _with_heads(mask.expand(*lead, n_q, n_k))
        mask = mask[:, :1] if bool((mask == mask[:, :1]).all()) else mask  # all heads often have the same
    arrays = (_with_heads(x) for x in (query, key, value))
    call = Call(module, *arrays, mask, scale, dropout_p)
    output, _ = handle(replace(call, own_weights=functools.partial(weights_by_torch, call)))
    return output.transpose(1, 2).reshape(*lead, n_q, value.shape[-1])


def _with_heads(x):
    """Return an array with one axis for the batch and one for heads: (batch, num_heads, n, d)."""
    return x.reshape(-1, x.shape[-3] if x.ndim > 3 else 1, *x.shape[-2:])
