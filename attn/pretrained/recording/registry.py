"""The attention function that every recorded pass calls, and what such a pass does with the calls.

transformers looks attention up in a registry, by a name that it asks the configuration of a model for. Within
a pass of ours the answer is the name of `attend`, outside it what it always was: a context variable of the one
pass decides, and the model itself, which threads share and people go on working with, is not touched.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attn.pretrained.errors import ModelError

if TYPE_CHECKING:
    import torch

NAME = "attention_lab"
SHORT_NUMBERS = ("bfloat16", "float16")  # types that float32 holds exactly


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
    own_weights : callable, optional
        Gives the weights (batch, num_heads, n_q, n_k) by the function of torch that the module calls. By default
        its family's eager function does.
    wants_weights
        Whether the module goes on to use the weights.
    crosses
        Whether its keys are of another sequence; None where only its name tells.
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
    own_weights: Callable | None = None
    wants_weights: bool = False
    crosses: bool | None = None


@dataclass(frozen=True, eq=False)
class _Pass:
    """One forward pass that does something with the attention calls."""

    handle: Any  # Call -> (output, weights)
    given: dict = field(default_factory=dict)  # attention module -> hidden states, and all that went into it


_current: ContextVar[Any] = ContextVar("current_pass", default=None)


@contextmanager
def handling(handle: Callable, model: torch.nn.Module | None = None) -> Iterator[None]:
    """Give every attention call of the model passes inside the block to `handle`.

    Parameters
    ----------
    handle
        Takes a `Call`; returns output (batch, n_q, num_heads, d_v) and weights, or None for them where the call
        does not want any, as `eager` and `fused` do.
    model
        Whose passes these are, where it may have parts that attend by torch's own means.
    """
    token = _current.set(_Pass(handle))
    try:
        with _torchs_own(model, handle):
            yield
    finally:
        _current.reset(token)


def _torchs_own(model, handle):
    """Return what takes the calls of parts of a model that ask no registry."""
    from attn.pretrained.recording import torch_attention  # which needs this module

    has_some = model is not None and bool(torch_attention.modules_of(model))
    return torch_attention.taking(model, handle) if has_some else nullcontext()


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
    """Attend as this pass wants it."""
    current = _current.get()
    hidden, given = current.given.pop(module, (None, None))
    mask = _with_choice(module, query, key, attention_mask, options)
    return current.handle(Call(module, query, key, value, mask, scaling, dropout, options, hidden, given))


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
    if call.own_weights is not None:
        return _torchs(call), call.own_weights()
    # Some families hand over a boolean mask, which their own function would add to the scores as it is.
    call = replace(call, mask=additive(call.mask, call.query.dtype))
    return _run(family_eager(type(call.module)), call, call.options)  # type: ignore[arg-type]


def _torchs(call):
    """Run torch's own attention on a call of one of its own parts."""
    from torch.nn.functional import scaled_dot_product_attention

    grouped = call.query.shape[1] != call.key.shape[1]
    arrays = call.query, call.key, call.value
    return scaled_dot_product_attention(*arrays, call.mask, scale=call.scaling, enable_gqa=grouped).transpose(1, 2)


def weights_by_torch(call: Call) -> torch.Tensor:
    """Return the weights (batch, num_heads, n_q, n_k) of a call by torch's attention.

    With the identity as values they are what comes out.
    """
    import torch

    identity = torch.eye(call.key.shape[2], dtype=call.value.dtype, device=call.value.device)
    return _torchs(replace(call, value=identity.expand(*call.key.shape[:-1], -1))).transpose(1, 2)


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


def in_float32(call: Call) -> Call:
    """Return a call with the same numbers in float32, which holds every bfloat16 and float16 exactly.

    Parameters
    ----------
    call
        Returned as it is where its numbers are no shorter.
    """
    import torch

    short = [getattr(torch, name) for name in SHORT_NUMBERS]
    if call.query.dtype not in short:
        return call

    def longer(value):
        return value.float() if getattr(value, "dtype", None) in short else value

    numbers = {name: longer(getattr(call, name)) for name in ("query", "key", "value", "mask")}
    call = replace(call, **numbers, options={name: longer(value) for name, value in call.options.items()})
    return call if call.own_weights is None else replace(call, own_weights=functools.partial(weights_by_torch, call))


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

    Others of a model that is not of transformers: `attn.pretrained.recording.torch_attention.modules_of`.

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


def install(model: torch.nn.Module) -> bool:
    """Make the passes of a model call `attend` where something handles them.

    Parameters
    ----------
    model
        Not changed, nor is any pass of it that nothing handles.

    Returns
    -------
    bool
        Whether the attention of the model can be handled: some families do not ask the registry.
    """
    from attn.pretrained.recording import torch_attention

    modules, has_torchs = attention_modules(model).values(), bool(torch_attention.modules_of(model))
    if not modules:
        return has_torchs
    _register()
    for module in model.modules():
        if hasattr(config := getattr(module, "config", None), "_attn_implementation"):
            _answer_by_pass(type(config))  # type: ignore[arg-type]
    for module in modules:
        _keep_what_goes_in(type(module))  # type: ignore[arg-type]
    with handling(eager):
        return has_torchs or any(getattr(module.config, "_attn_implementation", None) == NAME for module in modules)


@functools.cache
def _register():
    """Enter `attend` in the registry, with the eager mask: without it models lose their masks."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, eager_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, eager_mask)


@functools.cache
def _answer_by_pass(config_class):
    """Make configurations of a class name `attend` within a pass that is handled, and their own choice elsewhere."""
    owner = next(each for each in config_class.__mro__ if "_attn_implementation" in vars(each))
    _answer_by_pass_of(owner)


@functools.cache
def _answer_by_pass_of(owner):
    """Replace the property of the class that defines it: nothing is left in a configuration to be saved or copied."""
    own = vars(owner)["_attn_implementation"]
    owner._attn_implementation = property(lambda config: own.fget(config) if _this_pass() is None else NAME, own.fset)


@functools.cache
def _keep_what_goes_in(attention_class):
    """Make modules of a class keep what goes into them, within a pass that is handled.

    A hook would do so too, and stay in every copy and file of a model.
    """
    forward = attention_class.forward

    @functools.wraps(forward)
    def keeping(module, *args, **kwargs):
        current = _this_pass()
        if current is None or module in current.given:  # already kept, where a class calls its parent
            return forward(module, *args, **kwargs)
        candidates = [*args, kwargs.get("hidden_states")]
        current.given[module] = next((x for x in candidates if hasattr(x, "shape")), None), (args, kwargs)
        try:
            return forward(module, *args, **kwargs)
        finally:
            current.given.pop(module, None)

    attention_class.forward = keeping


def _this_pass():
    """Return the pass that is being handled, or None: also while torch compiles, which cannot ask."""
    import torch

    return None if torch.compiler.is_compiling() else _current.get()
