"""Whether a file fills a model: every number that the model computes with must come out of it.

What is missing would be drawn at random and shown as trained. Neither torch nor transformers is loaded here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.pretrained.errors import ModelError

if TYPE_CHECKING:
    import transformers

# What training puts around a model, and its name before the names inside it: of these, `module.` alone could be a
# name that a model gives itself, so that it counts only at the beginning.
_ANYWHERE = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_AT_HEAD = (*_ANYWHERE, "module.")

_COMPUTED = re.compile(  # buffers that old files hold and a model makes itself
    r"(^|\.)(position_ids|token_type_ids|inv_freq|cos_cached|sin_cached|num_batches_tracked|relative_position_index)$"
    r"|(^|\.)(attn|attention)\.(masked_)?bias$"
)
_LEARNT = re.compile(r"\.running_(mean|var)$")  # the buffers that no model can make itself


class WeightsReport(NamedTuple):
    """How far a file filled a model."""

    taken: int  # tensors of the model that the file filled, tied ones counted once
    expected: int  # tensors of the model
    unused: tuple  # names of the file that nothing took
    missing: tuple  # tensors of the model that are not in the file, and that nothing here depends on
    number_types: tuple = ()  # of the file, such as bfloat16; the model is opened in float32


def wrapper_prefix(names: Collection[str]) -> str:
    """Return what training put before all names of a file, such as ``_orig_mod.module.``, or an empty string.

    Examples
    --------
    >>> wrapper_prefix(["module._orig_mod.wte.weight", "module._orig_mod.wpe.weight"])
    'module._orig_mod.'
    >>> wrapper_prefix(["module.wte.weight", "wpe.weight"])
    ''
    """
    prefix = ""
    while found := next((each for each in _AT_HEAD if names and all(n.startswith(prefix + each) for n in names)), None):
        prefix += found
    return prefix


def renaming(names: Collection[str]) -> dict[str, str]:
    """Return the patterns that take the names of wrappers out of the names of a file.

    Parameters
    ----------
    names

    Returns
    -------
    dict
        Pattern -> what stands in its place; empty where there is no wrapper.
    """
    prefix = wrapper_prefix(names)
    inside = [each for each in _ANYWHERE if any(each in name.removeprefix(prefix) for name in names)]
    return {f"^{re.escape(each)}": "" for each in [prefix] if each} | {re.escape(each): "" for each in inside}


def about_wrappers(names: Collection[str]) -> str:
    """Return a sentence on the names of wrappers that were taken out of those of a file; empty where there are none."""
    if prefix := wrapper_prefix(names):
        return f"The names in its file begin with “{prefix}”, which training put there and which was taken off."
    if renaming(names):
        return "Some names in its file had parts that training put there and that were taken out."
    return ""


def judge(
    model: transformers.PreTrainedModel, info: dict, names: Collection[str], name: str
) -> tuple[transformers.PreTrainedModel, WeightsReport, str]:
    """Refuse a model that its file did not fill; say what else is to be known of the two.

    Parameters
    ----------
    model
    info
        What transformers says of the loading.
    names
        Of the tensors of the file.
    name
        The model as the user named it.

    Returns
    -------
    model : transformers.PreTrainedModel
        Without the head for its task, such as predicting words, where the file has none.
    WeightsReport
    note : str
        Sentences; empty where there is nothing to say.

    Raises
    ------
    ModelError
        If a tensor is missing or has another shape, and what the model computes depends on it.
    """
    require_shapes({tensor: (theirs, ours) for tensor, theirs, ours in info["mismatched_keys"]}, name)
    base, inside = model.base_model, f"{model.base_model_prefix}."
    harmless = _harmless(model, info["missing_keys"])
    needed = set(info["missing_keys"]) - harmless
    # A file that lacks tensors of the head for a task, and no others, is shown as a bare model.
    task_head = needed if base is not model and not any(tensor.startswith(inside) for tensor in needed) else set()
    require(_counted_once(model, needed - task_head), len(_counted_once(model)), names, name, inside)
    if task_head:
        model = base
        harmless = {tensor for tensor in harmless if tensor.startswith(inside)}
    unused = sorted(tensor for tensor in info["unexpected_keys"] if not _COMPUTED.search(tensor))
    expected = len(_counted_once(model))
    report = WeightsReport(expected - len(harmless), expected, tuple(unused), tuple(sorted(harmless)))
    return model, report, " ".join(_sentences(model, report, names, task_head))


def require_all(needed: dict, tensors: dict, names: Collection[str], name: str, own_prefix: str = "") -> None:
    """Raise ModelError if a tensor that a model needs is missing or has another shape.

    Parameters
    ----------
    needed
        Tensor -> shape.
    tensors
        Tensor -> what has a `shape`, under the names that the model has for them.
    names, name, own_prefix
        As for `require`.
    """
    require(needed.keys() - tensors.keys(), len(needed), names, name, own_prefix)
    shapes = {tensor: (tensors[tensor].shape, shape) for tensor, shape in needed.items()}
    require_shapes({tensor: both for tensor, both in shapes.items() if both[0] != both[1]}, name)


def require_numbers(tensors: Mapping[str, np.ndarray], name: str) -> None:
    """Raise ModelError if a tensor holds what is no number: all that is computed with it would be none.

    Parameters
    ----------
    tensors
        Name -> array.
    name
        The model as the user named it.
    """
    for tensor, array in tensors.items():
        if array.dtype.kind == "f" and array.size and np.isnan(array.max()):
            count = np.isnan(array).sum()
            raise ModelError(
                f"the weights of {name} must be numbers, but {count:,} of the {array.size:,} of {tensor} are NaN"
            )


def require(missing: Collection[str], expected: int, names: Collection[str], name: str, own_prefix: str = "") -> None:
    """Raise ModelError if tensors that a model needs are not in its file.

    Parameters
    ----------
    missing
    expected
        How many tensors the model has.
    names
        Of the tensors of the file.
    name
        The model as the user named it.
    own_prefix
        What the names of such a model begin with by themselves, so that it explains nothing.
    """
    if not missing:
        return
    named = " and ".join(sorted(missing, key=_rank)[:2])
    prefix = _shared(names).removesuffix(own_prefix)
    where = f"; all names in its file begin with “{prefix}”" if prefix else ""
    raise ModelError(
        f"the file of {name} must hold every tensor of the model, but {len(missing)} of {expected} are missing: "
        f"{named}{' …' if len(missing) > 2 else ''}{where}"
    )


def require_shapes(shapes: dict, name: str) -> None:
    """Raise ModelError if tensors of a file have other shapes than the model needs.

    Parameters
    ----------
    shapes
        Tensor -> (shape in the file, shape in the model), of those where they differ.
    name
        The model as the user named it.
    """
    if not shapes:
        return
    if all(0 in theirs for theirs, _ in shapes.values()):
        raise ModelError(
            f"the file of {name} holds empty tensors, such as {min(shapes, key=_rank)}, as DeepSpeed's ZeRO-3 leaves "
            "it: the zero_to_fp32.py of such a checkpoint puts its weights together"
        )
    named = " and ".join(
        f"{tensor} must have the shape {tuple(shapes[tensor][1])}, got {tuple(shapes[tensor][0])}"
        for tensor in sorted(shapes, key=_rank)[:2]
    )
    more = f" ({len(shapes)} tensors in all)" if len(shapes) > 2 else ""
    raise ModelError(f"the file of {name} does not fit its config.json: {named}{more}")


def _harmless(model, missing):
    """Return the missing tensors that nothing shown depends on: what is computed, and a pooler at the end."""
    computed = {tensor for tensor, _ in model.named_buffers() if not _LEARNT.search(tensor)}
    poolers = ("pooler.", f"{model.base_model_prefix}.pooler.")
    return {tensor for tensor in missing if tensor in computed or tensor.startswith(poolers)}


def _counted_once(model, names=None):
    """Return the names of a model's tensors, all or those given, and of those that are tied the first alone."""
    every = model.state_dict(keep_vars=True)
    return set({id(every[name]): name for name in sorted(every if names is None else names, reverse=True)}.values())


def _rank(tensor):
    """Order names so that matrices of attention come first."""
    return (not re.search("attn|attention", tensor), "norm" in tensor.lower(), not tensor.endswith("weight"), tensor)


def _shared(names):
    """Return the parts that all names begin with."""
    names = [name.split(".")[:-1] for name in names]
    shared = []
    for parts in zip(*names, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "".join(f"{part}." for part in shared)


def _sentences(model, report, names, task_head):
    """Yield what is to be known of a file that fills its model."""
    if wrapped := about_wrappers(names):
        yield wrapped
    if task_head:
        yield f"Its file has no head ({_listed({_part(each) for each in task_head})}), so it is shown without one."
    if pooler := [each for each in report.missing if "pooler." in each]:
        yield f"Its file has no pooler ({_counted(pooler)}), and nothing here depends on one."
    if computed := [each for each in report.missing if "pooler." not in each]:
        yield f"Computed, not in its file: {_counted(computed)}, such as {computed[0]}."
    parts = {tensor: _unknown_part(model, tensor) for tensor in report.unused}
    if aside := [tensor for tensor, part in parts.items() if part]:
        listed = _listed({parts[tensor] for tensor in aside})
        yield f"Its file also holds {_counted(aside)} of parts that are not looked at here: {listed}."
    if left := [tensor for tensor, part in parts.items() if not part]:
        yield f"Without a place in the model: {_counted(left)} of its file, such as {left[0]}."


def _unknown_part(model, tensor):
    """Return the part that a tensor belongs to, where the model has no such part; None within a layer it has."""
    modules = dict(model.named_modules())
    parts = tensor.removeprefix(f"{model.base_model_prefix}.").split(".")[:-1]
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        if part not in modules and f"{model.base_model_prefix}.{part}" not in modules:
            return None if any(each.isdigit() for each in parts[:end]) else part
    return None


def _part(tensor):
    """Return the module at the top of a model that a tensor belongs to."""
    return tensor.split(".")[0]


def _listed(parts):
    """Name up to four parts."""
    parts = sorted(parts)
    return ", ".join(parts[:4]) + (" …" if len(parts) > 4 else "")


def _counted(tensors):
    """Return how many tensors there are, in words."""
    return f"{len(tensors):,} tensor{'' if len(tensors) == 1 else 's'}"
