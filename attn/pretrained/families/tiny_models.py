"""Tiny models with random weights: any family that transformers knows, small enough to try in a second."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from attn.pretrained.errors import ModelError, first_line
from attn.pretrained.families import overrides
from attn.pretrained.families.inputs import FIRST_TEXT_ID, candidate_inputs, forward_options
from attn.pretrained.recording import registry

if TYPE_CHECKING:
    import transformers

_MOST_PARAMETERS = 100_000_000  # what remains larger than this is not built

# How large a whole number of a configuration stays, by the first pattern that its name matches. None: as it is.
_SIZES = [
    (r"vocab|^num_embeddings$|^codebook_size$|hash_buckets$", 128),
    (r"^(index_topk|index_block_size)$", 4),
    (r"(experts_per_tok(en)?|top_?k|moe_k)$", 2),
    (r"^(n_group|topk_group|num_expert_group)$|shared_experts$", 1),
    (r"(^|_)experts$", 4),
    (r"sliding_window(_size)?$|attention_chunk_size|^local_attention$|attention_window_size|^local_radius$", 5),
    (r"rope_head_dim", 8),
    (r"^v_head_dim", 12),  # unlike the width of keys, as in the families that have it
    (r"^qk_head_dim", 24),
    (r"mamba_(d_head|head_dim|headdim)", 32),
    (r"(head_dim|head_size|_dim_head)$|^(d_kv|kv_channels|d_head|dim_head|rotary_dim)$", 16),
    (r"heads?$", 4),
    (r"max_source_positions|^n_ctx$", 50),
    (r"^upsample_groups$", overrides.WIDTH),
    (r"queries$|proposals$|num_denoising|num_detection_tokens|query_tokens|num_latents|query_num|num_image_tokens", 8),
    (r"(^|_)(layers?|depth|num_blocks)$", 2),
    (r"attention_interval|layer_period|every_n_layers|layer_interval|attention_frequency|window_pattern", 2),
    (r"layer_group_size|sparse_step", 2),
    (r"first_k_dense_replace", 1),
    (r"(^|_)rank$", 16),
    (r"mel|num_labels|feat_per_channel|window|kernel|stride|patch|position|_size_per|groups|hop|length|sampl", None),
    (r"chunk_size|image_size|num_channels|block_size|seq|max_|min_|scale|factor|ratio|temperature|ignore", None),
    (r"points|crop|base$|theta|bins|buckets|distance|codebook|bands|rate$|frames", None),
    (
        r"(size|dims?|d_model|d_ff|dff|channels|width|n_embd|n_inner|hidden|features|units|inplanes|latents)(_\w+)?$",
        overrides.WIDTH,
    ),
    (r"feedforward|conv_dim", overrides.WIDTH),
]
_ID = r"(token|(^|_)id|token_index)s?$"
_DEPTH = r"^(num_hidden_layers|num_layers|n_layers?|depth)$"


class Tiny(NamedTuple):
    """A model with random weights, inputs that it reads, and what it makes of them under eager attention."""

    model: Any
    inputs: dict | None  # None where the model asks no registry, and reads nothing that was tried
    output: Any


def tiny(family: str) -> Tiny:
    """Build a tiny model of a family and find inputs for it.

    Parameters
    ----------
    family
        A `model_type` of transformers.

    Returns
    -------
    Tiny
        Always with the same numbers. The weights are large enough to make attention uneven. A model
        without attention is given nothing to read.

    Raises
    ------
    ModelError
        If the family has no model of its own, cannot be made small, or reads nothing that was tried.
    """
    import torch

    if family in overrides.WHY:
        raise ModelError(overrides.WHY[family])
    model_class, config_class = classes(family)
    try:
        runs = model_class.forward is not torch.nn.Module.forward
    except ImportError as error:  # transformers hands out a dummy where a library is missing
        raise ModelError(_reason(error)) from None
    if not runs:
        raise ModelError("a model without a forward pass: it only generates, or only its parts are run")
    reasons, unread = [], None
    for shrink in (_small, _shallow):
        try:
            model = build(model_class, shrink(config_class(), _counter()))
        except Exception as error:  # whatever a family's constructor raises
            reasons.append(_reason(error))
            continue
        if not registry.attention_modules(model):
            unread = unread or model
        for inputs in candidate_inputs(model) if registry.has_attention(model) else ():
            try:
                return Tiny(model, inputs, eager_output(model, inputs))
            except Exception as error:  # whatever a family's forward raises
                reasons.append(_reason(error))
    if unread is not None:
        return Tiny(unread, None, None)
    raise ModelError(reasons[0] if reasons else "it takes inputs that are not known here")


def siblings(family: str) -> list[str]:
    """Return the families that are written in the same Python module: one of them may be the whole of a part."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES, model_type_to_module_name

    home = model_type_to_module_name(family)
    return [other for other in CONFIG_MAPPING_NAMES if other != family and model_type_to_module_name(other) == home]


def classes(family: str) -> tuple[Any, Any]:
    """Return the classes of a family's bare model and of its configuration.

    Returns
    -------
    model_class, config_class : type

    Raises
    ------
    ModelError
        If no model belongs to the configuration.
    """
    import transformers
    from transformers import CONFIG_MAPPING, MODEL_MAPPING, PreTrainedModel

    config_class = CONFIG_MAPPING[family]
    if family in overrides.CLASSES:
        return getattr(transformers, overrides.CLASSES[family]), config_class
    try:
        found = MODEL_MAPPING[config_class]
        return (found[0] if isinstance(found, tuple | list) else found), config_class
    except (KeyError, TypeError, ValueError):  # none, several, or one that transformers cannot find
        pass
    name = config_class.__module__.replace("configuration_", "modeling_")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        raise ModelError("a configuration without a model of its own") from None
    own = [
        each
        for each in vars(module).values()
        if inspect.isclass(each)
        and issubclass(each, PreTrainedModel)
        and each.__module__ == name
        and getattr(each, "config_class", None) is config_class
        and not each.__name__.endswith("PreTrainedModel")
    ]
    if not own:
        raise ModelError("a configuration without a model of its own")
    return min(own, key=lambda each: not each.__name__.endswith("Model")), config_class


def eager_output(model: transformers.PreTrainedModel, inputs: dict) -> transformers.utils.ModelOutput | tuple:
    """Run a model under its eager attention and let it report its weights.

    Parameters
    ----------
    model
        Built with eager attention.
    inputs
    """
    import torch

    options = forward_options(model)
    torch.manual_seed(0)  # some families draw numbers even when they only read
    with torch.inference_mode():
        try:
            return model(**inputs, **options, output_attentions=True)
        except Exception:  # some families fail only when they are asked for their weights
            return model(**inputs, **options)


def build(model_class: Any, config: transformers.PreTrainedConfig) -> transformers.PreTrainedModel:
    """Build a model with weights that make attention uneven; without attention, one without weights.

    Parameters
    ----------
    model_class : type
    config

    Raises
    ------
    ModelError
        If it has too many parameters.
    """
    import torch

    with torch.device("meta"):
        try:
            outline = model_class(config)
            size = sum(parameter.numel() for parameter in outline.parameters())
        except Exception:  # some families compute while they are built, which this device cannot
            outline, size = None, 0
    if outline is not None and not registry.has_attention(outline):
        return outline
    if size > _MOST_PARAMETERS:
        raise ModelError(f"still {size:,} parameters when made small")
    torch.manual_seed(0)
    model = model_class._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and parameter.is_floating_point():
                parameter.normal_(0, 1.5 / math.sqrt(max(1, parameter.numel() // max(1, len(parameter)))))
            elif "sink" in name:
                parameter.normal_()
    return model


def _small(config, next_id):
    """Return a configuration with everything in it made small."""
    return type(config)(**_changes(config, next_id, _small) | overrides.OVERRIDES.get(config.model_type, {}))


def _shallow(config, next_id):
    """Return a configuration with few layers, tokens and experts, and widths as they are."""
    kept = re.compile(r"layer|depth|types|vocab|experts$|image_size|positions|index|indices|" + _ID)
    changes = _changes(config, next_id, _shallow)
    return type(config)(
        **{name: new for name, new in changes.items() if kept.search(name) or hasattr(new, "sub_configs")}
    )


def _counter():
    """Return a function that gives each special token another number below those of text."""
    numbers = iter(range(10, FIRST_TEXT_ID))
    return lambda: next(numbers)


def _changes(config, next_id, shrink):
    """Return the fields of a configuration that change when it is made small."""
    fields = {field.name for field in dataclasses.fields(config) if field.init}
    values = {name: value for name, value in vars(config).items() if name in fields and value is not None}
    usual = vars(type(config)())  # a part of a larger configuration need not have the values that are usual for it
    stages = vars(config).get("_out_indices") or []  # what a backbone hands on
    kept = _kept_layers(values, len(stages))
    changes = {name: _changed(name, value, values, kept, next_id, shrink) for name, value in values.items()}
    if stages:
        changes["out_indices"] = [min(stage, len(kept) - len(stages) + i + 1) for i, stage in enumerate(stages)]
        changes["out_indices"] = changes["out_indices"] if _depth(values) and "depths" not in values else list(stages)
    return {name: new for name, new in changes.items() if new is not values.get(name) or new != usual.get(name)}


def _changed(name, value, values, kept, next_id, shrink):
    """Return one field made small."""
    if hasattr(value, "sub_configs"):
        return shrink(value, next_id)
    if isinstance(value, bool):
        return value
    if name == "attn_logit_softcapping":
        return min(value, 1.0)  # small enough to bend scores
    if re.search(_ID, name):
        return _each(value, lambda number: next_id() if number >= 10 else number)
    if name.endswith("image_size") and "depths" not in values:
        return _each(value, lambda number: min(number, _picture(values)))
    if name == "image_grid_pinpoints":
        return [[_picture(vars(values["vision_config"]))] * 2]
    if isinstance(value, int):
        if re.search(_DEPTH, name):
            return value if "depths" in values else min(value, len(kept))
        return _size(name, value, values)
    if isinstance(value, dict):
        return _rotary(value, values)
    if isinstance(value, list | tuple) and value:
        return _list(name, value, values, kept)
    return value


def _size(name, value, values):
    """Return a whole number of a configuration made small."""
    for pattern, size in _SIZES:
        if re.search(pattern, name):
            if size is None:
                return value
            grouped = re.search(r"key_value|kv_heads|query_groups", name) and value > 1
            if grouped and value not in [values.get(other) for other in ("num_attention_heads", "num_heads", "n_head")]:
                size = 2
            return min(value, size)
    return value


def _list(name, value, values, kept):
    """Return a list of a configuration made small: one entry per layer or stage, or indices of layers."""
    if "depths" not in values and len(value) == _depth(values):
        return type(value)(_each(value[i], lambda number: _size(name, number, values)) for i in kept)
    if not all(type(each) is int for each in value):
        return value
    if "heads" in name:
        return type(value)([2] * len(value))
    if name in ("depths", "depth", "num_block_repeats"):
        return type(value)(min(each, 2) for each in value)
    if re.search("index|indices|indexes|idx|layers", name) and min(value) >= 0 and 3 < max(value) <= _depth(values):
        return type(value)(dict.fromkeys(min(each, len(kept) - 1) for each in value))
    if re.search("hidden_sizes|channels|dims?$", name):
        return type(value)(each if each < 16 else max(8, each // 8) for each in value)
    return value


def _depth(values):
    """Return the number of layers, or 0."""
    return next((size for name, size in values.items() if re.search(_DEPTH, name) and type(size) is int), 0)


def _kept_layers(values, fewest):
    """Return which layers stay: at least two, and one of each kind that the lists of layers tell apart."""
    depth = _depth(values)
    kept = set(range(max(2, fewest)))
    for value in values.values():
        if isinstance(value, list | tuple) and depth and len(value) == depth and isinstance(value[0], str):
            kept |= {value.index(kind) for kind in value}
    return sorted(kept)


def _picture(values):
    """Return the side of a picture of four by four patches."""
    patch = values.get("patch_size", 16)
    patch = patch[-1] if isinstance(patch, list | tuple) else patch
    return 4 * patch if patch > 4 else 64


def _rotary(value, values):
    """Return rotary settings whose sections share the smaller width of a head."""
    if "mrope_section" not in value:
        return value
    heads, width = values.get("num_attention_heads", 1), values.get("hidden_size", overrides.WIDTH)
    old = values.get("head_dim") or width // heads
    sections = [16 * section // old for section in value["mrope_section"]]
    sections[-1] += 16 * sum(value["mrope_section"]) // old - sum(sections)
    return value | {"mrope_section": sections}


def _each(value, change):
    """Change a whole number, or each one of a list."""
    if type(value) is int:
        return change(value)
    if isinstance(value, list | tuple) and all(type(each) is int for each in value):
        new = type(value)(change(each) for each in value)
        return value if new == value else new
    return value


def _reason(error):
    """Return one line on an error; a strict configuration says on its second line what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if missing := re.search(r"requires the (\S+) library", str(error)):
        return f"it needs the {missing[1]} library, which is not installed here"
    if type(error).__name__.startswith("StrictDataclass") and len(lines) > 1:
        return lines[1]
    if isinstance(error, ModelError):
        return first_line(error, 160)
    return f"{type(error).__name__}: {first_line(error, 140)}"
