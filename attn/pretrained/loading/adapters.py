"""Adapters (LoRA) beside a model or alone: read and put into a copy of the model that shares all other weights.

Nothing of PEFT is needed, so that what is shown does not hang on whether it is installed.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attn.pretrained.errors import ModelError
from attn.pretrained.loading import safetensors_file
from attn.words import listed

if TYPE_CHECKING:
    from attn.pretrained.loading.model_files import Listing

CONFIGURATION, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_BEYOND = (  # what a configuration may ask for that is more than a sum of weights
    "trainable_token_indices", "target_parameters", "layer_replication", "use_qalora", "alora_invocation_tokens",
    "arrow_config",
)  # fmt: skip
_OUTER = "base_model.model."  # what PEFT puts before the names of the model it wraps
_PART = re.compile(
    r"\.(?:(lora_A|lora_B)(?:\.[^.]+)?\.(?:weight|bias)|(lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(?:\..+)?)$"
)


class Adapter(NamedTuple):
    """An adapter as its files have it."""

    name: str  # of the model beside it, or of itself, as the user named it
    settings: dict  # its configuration
    tensors: dict  # name -> torch tensor, in float32


class Merged(NamedTuple):
    """What an adapter did to a model."""

    changed: tuple  # names of the modules whose weights it changed
    ranks: tuple  # of the matrices it added, each once
    left_out: tuple  # tensors that it has for parts which the model does not have


def base_of(listing: Listing) -> str:
    """Return the model that an adapter alone was made for, by its own configuration.

    Raises
    ------
    ModelError
        If it does not say.
    """
    settings = _checked(listing.json(CONFIGURATION), listing.name)
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base.strip():
        raise ModelError(
            f"{listing.name} is an adapter whose {CONFIGURATION} does not say which model it adapts: put it into the "
            "folder of that model"
        )
    return base.strip()


def is_adapter(files: Collection[str]) -> bool:
    """Say whether a folder holds an adapter, beside a model or alone."""
    return CONFIGURATION in files and any(file.startswith("adapter_model.") for file in files)


def read_adapter(listing: Listing, folder: Path) -> Adapter:
    """Read an adapter.

    Parameters
    ----------
    listing
        The files of the folder.
    folder

    Raises
    ------
    ModelError
        If it is of another kind than LoRA, has no safetensors, or is damaged.
    """
    from safetensors.torch import load_file

    settings = _checked(listing.json(CONFIGURATION), listing.name)
    if WEIGHTS not in listing.files:
        raise ModelError(
            f"the adapter of {listing.name} must be a file {WEIGHTS}, got a format that can carry code and is not "
            "opened: save_pretrained of PEFT writes it as safetensors"
        )
    safetensors_file.read_header(folder / WEIGHTS)  # says what is wrong with a damaged file
    return Adapter(
        listing.name, settings, {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    )


def _checked(settings, name):
    """Return the configuration of an adapter, refusing kinds that are no sum of weights."""
    if not isinstance(settings, dict):
        raise ModelError(f"{name} has an {CONFIGURATION} that cannot be read")
    kind = str(settings.get("peft_type")).upper()
    if kind != "LORA":
        raise ModelError(f"the adapter of {name} must be of the kind LoRA, got {kind}")
    if beyond := next((each for each in _BEYOND if settings.get(each)), None):
        raise ModelError(f"the adapter of {name} must be a sum of matrices, got one with {beyond}")
    return settings


def merge(model: Any, adapter: Adapter) -> tuple[Any, Merged]:
    """Return a copy of a model with an adapter in it: in each adapted matrix W + s B A instead of W.

    The factor s is ``lora_alpha / r`` [1]_, or ``lora_alpha / sqrt(r)`` with ``use_rslora`` [2]_; ranks and factors
    may differ by module. With ``use_dora`` the rows of the sum are brought to the lengths that were learnt [3]_.
    Biases and whole modules that were trained besides take the place of the model's own.

    Parameters
    ----------
    model : torch.nn.Module
        Left as it is; the copy shares all weights that the adapter does not change.
    adapter

    Returns
    -------
    model : torch.nn.Module
    merged : Merged

    Raises
    ------
    ModelError
        If the adapter was made for a model of other modules or shapes.

    References
    ----------
    .. [1] Hu et al., 2021, section 4.1. arXiv:2106.09685
    .. [2] Kalajdzievski, 2023, section 3. arXiv:2312.03732
    .. [3] Liu et al., 2024, equation 5. arXiv:2402.09353
    """
    shared = {id(each): each for each in (*model.parameters(), *model.buffers())}
    adapted = copy.deepcopy(model, shared)
    modules = dict(adapted.named_modules())
    low_rank, whole, unplaced = _sorted_by_module(adapter, modules, getattr(model, "base_model_prefix", ""))
    if not low_rank and not whole:
        raise ModelError(
            f"the adapter of {adapter.name} must be made for this model, but it has no place for any of its "
            f"{len(adapter.tensors)} tensors, such as {next(iter(adapter.tensors), 'none')}"
        )
    _require_places(adapter, unplaced)
    head = getattr(adapted, "get_output_embeddings", lambda: None)()
    for name, tensor in whole.items():
        _replace(modules, name, tensor, adapter, head)
    for name, parts in low_rank.items():
        _add(modules[name], name, parts, adapter)
    changed = {*low_rank, *(name.rpartition(".")[0] for name in whole)}
    ranks = sorted({_rank(parts) for parts in low_rank.values()})
    order = [name for name in modules if name in changed]
    return adapted, Merged(tuple(order), tuple(ranks), tuple(unplaced))


def _sorted_by_module(adapter, modules, prefix):
    """Return low-rank parts by module, whole tensors by name, and the names of those without a place."""
    low_rank: dict[str, dict] = {}
    whole, unplaced = {}, []
    for name, tensor in adapter.tensors.items():
        inner = name.removeprefix(_OUTER).replace(".modules_to_save.default", "").replace(".modules_to_save", "")
        inner = inner.replace(".base_layer", "")
        part = _PART.search(inner)
        owner, _, last = (inner[: part.start()], "", "") if part else inner.rpartition(".")
        place = next((each for each in _places(owner, prefix) if each in modules), None)
        if place is None:
            unplaced.append(name)
        elif part is None:
            whole[f"{place}.{last}"] = tensor
        else:
            kind = (part[1] or part[2]) + ("_bias" if inner.endswith(".bias") else "")
            low_rank.setdefault(place, {})[kind] = tensor
    return low_rank, whole, unplaced


def _places(name, prefix):
    """Yield where a module of one class may be in another class around the same model."""
    yield name
    if prefix:
        yield f"{prefix}.{name}"
        yield name.removeprefix(f"{prefix}.")


def _require_places(adapter, unplaced):
    """Refuse an adapter whose low-rank matrices have no place; a head that the model lacks may be left out."""
    lost = [name for name in unplaced if _PART.search(name)]
    if lost:
        shown = " and ".join(lost[:2])
        raise ModelError(
            f"the adapter of {adapter.name} must be made for this model, but it has no place for {len(lost)} of its "
            f"{len(adapter.tensors)} tensors, such as {shown}"
        )


def _rank(parts):
    """Return the rank of the product that is added to one module."""
    return int(next(tensor for kind, tensor in parts.items() if kind.endswith("_A")).shape[0])


def _factor(adapter, name, rank):
    """Return the factor of a module: of the first pattern that fits its name, as PEFT takes it, or of all modules."""
    settings = adapter.settings
    try:
        patterns = (settings.get("alpha_pattern") or {}).items()
        fitting = (alpha for pattern, alpha in patterns if re.match(rf"(.*\.)?({pattern})$", name))
        alpha = float(next(fitting, settings.get("lora_alpha", 8)))
    except (re.error, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the adapter of {adapter.name} must say lora_alpha as a number, and alpha_pattern as numbers by patterns "
            f"of names, got {settings.get('lora_alpha')!r} and {settings.get('alpha_pattern')!r}"
        ) from error
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _add(module, name, parts, adapter):
    """Put the low-rank parts of one module into its weight."""
    import torch

    embedding = "lora_embedding_A" in parts
    kinds = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A", "lora_B")
    if not set(kinds) <= parts.keys():
        raise ModelError(f"the adapter of {adapter.name} must have both matrices for {name}, got {', '.join(parts)}")
    a, b = (parts[kind] for kind in kinds)
    weight = module.weight.detach()
    turned = embedding or type(module).__name__ == "Conv1D"  # (in, out), where torch has (out, in)
    if a.shape[0] != b.shape[1] or _shape(a, b, turned) != tuple(weight.flatten(1).shape):
        raise ModelError(
            f"the adapter of {adapter.name} must have matrices for {name} whose product has its shape "
            f"{tuple(weight.shape)}, got {tuple(b.shape)} and {tuple(a.shape)}"
        )
    factor = _factor(adapter, name, a.shape[0])
    change = factor * (b.flatten(1) @ a.flatten(1))
    total = weight.float() + (change.T if turned else change).reshape(weight.shape)
    if "lora_magnitude_vector" in parts:
        if weight.ndim != 2 or embedding:
            raise ModelError(f"the adapter of {adapter.name} must use DoRA for matrices only, got it for {name}")
        dim = 0 if turned else 1
        learnt = parts["lora_magnitude_vector"].reshape(-1)
        total = total * (learnt / total.norm(dim=dim)).unsqueeze(dim)
    module.weight = torch.nn.Parameter(total.to(weight.dtype), requires_grad=False)
    if "lora_B_bias" in parts:
        if getattr(module, "bias", None) is None:
            raise ModelError(
                f"the adapter of {adapter.name} must bring a bias only where the model has one, not {name}"
            )
        module.bias = torch.nn.Parameter(
            (module.bias.detach() + factor * parts["lora_B_bias"]).to(weight.dtype), requires_grad=False
        )


def _shape(a, b, turned):
    """Return the shape of the product of two matrices."""
    rows, columns = b.shape[0], math.prod(a.shape[1:])
    return (columns, rows) if turned else (rows, columns)


def _replace(modules, name, tensor, adapter, head):
    """Put a tensor that was trained whole in the place of the model's own.

    Embeddings, and the head that predicts words, may have other tokens than the model's own.
    """
    import torch

    owner, _, last = name.rpartition(".")
    own = getattr(modules[owner], last, None)
    if not isinstance(own, torch.nn.Parameter):
        raise ModelError(f"the adapter of {adapter.name} has a tensor {name}, for which the model has no place")
    of_tokens = isinstance(modules[owner], torch.nn.Embedding) or modules[owner] is head
    if own.shape != tensor.shape and not (of_tokens and own.ndim == tensor.ndim and own.shape[1:] == tensor.shape[1:]):
        raise ModelError(
            f"the adapter of {adapter.name} must have the model's shape {tuple(own.shape)} for {name}, "
            f"got {tuple(tensor.shape)}"
        )
    new = torch.nn.Parameter(tensor.to(own.dtype), requires_grad=False)
    # a tied weight has several places; of a module that PEFT trained as a copy of its own, the others keep theirs
    copied = adapter.settings.get("modules_to_save") or ()
    alone = any(owner == each or owner.endswith(f".{each}") for each in copied)
    alone = alone and not adapter.settings.get("ensure_weight_tying")
    for module in [modules[owner]] if alone else modules.values():
        for name, each in list(module.named_parameters(recurse=False)):
            if each is own:
                setattr(module, name, new)
                if isinstance(module, torch.nn.Embedding):
                    module.num_embeddings = len(new)  # tokens may have been added
                elif module is head:
                    module.out_features = len(new)


def sentence(merged: Merged) -> str:
    """Say what an adapter changed."""
    kind = f"LoRA, rank {listed(merged.ranks)}" if merged.ranks else "whole modules"
    count = len(merged.changed)
    what = f"{count} modules, the first of them {merged.changed[0]}" if count > 1 else merged.changed[0]
    said = f"Its adapter ({kind}) is applied and changes {what}."
    if merged.left_out:
        tensors = "1 tensor" if len(merged.left_out) == 1 else f"{len(merged.left_out)} tensors"
        said += f" It also has {tensors} for a head that this model is shown without."
    return said
