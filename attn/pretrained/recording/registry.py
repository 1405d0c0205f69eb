"""The one attention function that every loaded model calls, and what a pass does with the calls.

transformers looks attention up by name in a registry. Each model is loaded once under the name of
`attend`; what happens inside its attention (handed on to torch, recorded, replaced) is said by a
context variable of the one pass and not by the model, which threads share.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attn.pretrained.errors import ModelError

if TYPE_CHECKING:
    import torch
    import transformers

NAME = "attention_lab"


@dataclass(frozen=True, eq=False)
class Call:
    """What a model hands to its attention function.

    Parameters
    ----------
    module : torch.nn.Module
        The attention module that calls.
    query : torch.Tensor, shape (batch, num_heads, n_q, d_k)
    key : torch.Tensor, shape (batch, num_kv_heads, n_k, d_k)
    value : torch.Tensor, shape (batch, num_kv_heads, n_k, d_v)
    mask : torch.Tensor, optional
        Additive: 0 where a query may look, the smallest number of its type where it may not.
    scaling
        By default ``1 / sqrt(d_k)``.
    dropout
    options
        What a family adds: ``softcap``, ``position_bias``, ``s_aux``, ``sliding_window`` ...
    hidden : torch.Tensor, shape (batch, n_q, d_model), optional
        What went into the attention module.
    given : tuple of tuple and dict, optional
        All that went into it, as positional and keyword arguments.
    """

    module: Any
    query: Any
    key: Any
    value: Any
    mask: Any = None
    scaling: float | None = None
    dropout: float = 0.0
    options: dict = field(default_factory=dict)
    hidden: Any = None
    given: tuple | None = None


@dataclass(frozen=True, eq=False)
class _Pass:
    """One forward pass that does something with the attention calls."""

    handle: Any  # Call -> (output, weights)
    given: dict = field(default_factory=dict)  # attention module -> hidden states, and all that went into it


_current: ContextVar[Any] = ContextVar("current_pass", default=None)


@contextmanager
def handling(handle: Callable) -> Iterator[None]:
    """Give every attention call of the model passes inside the block to `handle`.

    Parameters
    ----------
    handle
        Takes a `Call`; returns output (batch, n_q, num_heads, d_v) and weights, or None for them,
        as `eager` and `fused` do.
    """
    token = _current.set(_Pass(handle))
    try:
        yield
    finally:
        _current.reset(token)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attend as this pass wants it; fused, where it wants nothing."""
    current = _current.get()
    hidden, given = (None, None) if current is None else current.given.pop(module, (None, None))
    mask = _with_choice(module, query, key, attention_mask, options)
    call = Call(module, query, key, value, mask, scaling, dropout, options, hidden, given)
    return fused(call) if current is None else current.handle(call)


def _with_choice(module, query, key, mask, options):
    """Hide the keys that a sparse layer did not choose: it leaves that to functions it does not know."""
    import torch

    if (blocks := options.get("block_indices")) is not None:
        n_q, n_k = query.shape[2], key.shape[2]
        positions = torch.arange(n_k - n_q, n_k, device=key.device).expand(len(query), -1)
        return module.indexer.build_block_mask(blocks, mask, n_k, query.dtype, query.device, positions)
    if (chosen := options.get("indices")) is None or mask is None:
        return mask
    hidden = torch.ones(*chosen.shape[:2], key.shape[2], dtype=torch.bool, device=key.device)
    hidden = hidden.scatter(-1, chosen.long(), False).unsqueeze(1)  # (batch, 1, n_q, n_k)
    return mask.masked_fill(hidden, torch.finfo(mask.dtype).min)


def eager(call: Call) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the model family's own eager attention.

    Returns
    -------
    output : torch.Tensor, shape (batch, n_q, num_heads, d_v)
    weights : torch.Tensor, shape (batch, num_heads, n_q, n_k)

    Raises
    ------
    ModelError
        If the family has no eager function.
    """
    # Some families hand over a boolean mask, which their own function would add to the scores as it is.
    call = replace(call, mask=additive(call.mask, call.query.dtype))
    return _run(family_eager(type(call.module)), call, call.options)  # type: ignore[arg-type]


def fused(call: Call, causal: bool = False) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Run torch's fused attention, or the family's own where the fused one lacks a step.

    Parameters
    ----------
    call
    causal
        Whether the mask does no more than hide later keys: then half the work is left out, where there are as
        many queries as keys, because the fused attention takes the first query for the first key.

    Returns
    -------
    output : torch.Tensor, shape (batch, n_q, num_heads, d_v)
    weights : torch.Tensor or None
    """
    if call.options.get("softcap") is not None or sinks(call) is not None:
        return eager(call)
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    causal = causal and call.query.shape[2] == call.key.shape[2]
    # Our mask is the eager one, always spelled out: no mask means that every key is visible, also
    # in a module that calls itself causal.
    call = replace(call, mask=None) if causal else call
    return _run(sdpa_attention_forward, call, call.options | {"is_causal": causal})


def additive(mask: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor | None:
    """Return a mask as numbers to be added to scores, as eager functions want it.

    Parameters
    ----------
    mask
        Booleans, True where a query may look; or such numbers already.
    dtype

    Returns
    -------
    torch.Tensor or None
        0 where a query may look, the smallest number of the type where it may not.
    """
    import torch

    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)


def sinks(call: Call) -> torch.Tensor | None:
    """Return the scores of the sinks of a call: keys that take weight and give nothing.

    Returns
    -------
    torch.Tensor, broadcastable to (batch, num_heads, n_q, 1), or None
    """
    found = next((call.options[name] for name in ("s_aux", "sinks") if call.options.get(name) is not None), None)
    return found[None, :, None, None] if found is not None and found.ndim == 1 else found


def less_the_sink(call: Call, output: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return weights without the share of the sink, which some families report as if it took none.

    Parameters
    ----------
    call
    output, weights
        Of `eager`.

    Returns
    -------
    torch.Tensor, shape (batch, num_heads, n_q, n_k)
        The weights that give the output.
    """
    if sinks(call) is None:
        return weights
    value = call.value.repeat_interleave(weights.shape[1] // call.value.shape[1], dim=1)
    context, output = weights @ value, output.transpose(1, 2)
    share = (output * context).sum(-1, keepdim=True) / (context * context).sum(-1, keepdim=True).clamp(min=1e-30)
    return weights * share.where((share - 1).abs() > 1e-5, 1)


def _run(function, call, options):
    """Call an attention function of transformers."""
    return function(
        call.module,
        call.query,
        call.key,
        call.value,
        call.mask,
        scaling=call.scaling,
        dropout=call.dropout,
        **options,
    )


@functools.cache
def family_eager(attention_class: Any) -> Callable:
    """Return the eager attention function that a class falls back on.

    Parameters
    ----------
    attention_class : type
        A class of attention modules from transformers.

    Raises
    ------
    ModelError
        If neither its forward nor its Python module knows one.
    """
    forward = inspect.unwrap(attention_class.forward)
    spaces = [
        {name: forward.__globals__.get(name) for name in forward.__code__.co_names},
        vars(sys.modules[attention_class.__module__]),
    ]
    for space in spaces:
        for name, function in space.items():
            if name.endswith("eager_attention_forward") and callable(function):
                return function
    raise ModelError(f"{attention_class.__name__} has no eager attention to compare with")


def attention_modules(model: torch.nn.Module) -> dict:
    """Return the modules of a model that look their attention up in the registry.

    Returns
    -------
    dict
        Qualified name -> module, in the order of the model.
    """
    return {name: module for name, module in model.named_modules() if _looks_up(type(module))}  # type: ignore[arg-type]


def has_attention(model: torch.nn.Module) -> bool:
    """Say whether a model has attention at all, in the registry or outside it."""
    names = (type(module).__name__ for module in model.modules())
    return bool(attention_modules(model)) or any(re.search("attention|attn", name, re.IGNORECASE) for name in names)


@functools.cache
def _looks_up(module_class):
    """Say whether the forward of a class uses the registry."""
    code = getattr(inspect.unwrap(module_class.forward), "__code__", None)
    return code is not None and "ALL_ATTENTION_FUNCTIONS" in code.co_names


def install(model: transformers.PreTrainedModel) -> bool:
    """Make a model call `attend`, and remember what goes into its attention modules.

    Parameters
    ----------
    model
        Changed in place. Its results stay what they were.

    Returns
    -------
    bool
        Whether the model took the function: some families do not ask the registry.
    """
    modules = attention_modules(model)
    if not modules:
        return False
    _register()
    model.set_attn_implementation(NAME)
    for module in modules.values():
        if _keep_hidden not in module._forward_pre_hooks.values():
            module.register_forward_pre_hook(_keep_hidden, with_kwargs=True)
    return any(getattr(module.config, "_attn_implementation", None) == NAME for module in modules.values())


@functools.cache
def _register():
    """Enter `attend` in the registry, with the eager mask: without it models lose their masks."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, eager_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, eager_mask)


def _keep_hidden(module, args, kwargs):
    """Remember what goes into an attention module, if somebody handles this pass."""
    current = _current.get()
    if current is not None:
        candidates = [*args, kwargs.get("hidden_states")]
        current.given[module] = next((x for x in candidates if hasattr(x, "shape")), None), (args, kwargs)
