"""Tiny models with random weights: any family that transformers knows, small enough to try in a second."""

import dataclasses
import importlib
import inspect
import math
import re
from typing import Any, NamedTuple

from attn.pretrained import registry, samples
from attn.pretrained.errors import ModelError, first_line

WIDTH = 64
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
    (r"^upsample_groups$", WIDTH),
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
        WIDTH,
    ),
    (r"feedforward|conv_dim", WIDTH),
]
_ID = r"(token|(^|_)id|token_index)s?$"
_DEPTH = r"^(num_hidden_layers|num_layers|n_layers?|depth)$"

# What the configuration of a family needs besides, by its model_type.
_SECTIONS = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
_TURNS = {"rope_type": "default", "rope_theta": 10_000.0}
_RESNET = {
    "model_type": "resnet",
    "embedding_size": 16,
    "hidden_sizes": [16, 24, 32, 40],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
_STAGES = {"backbone_config": _RESNET | {"out_features": ["stage2", "stage3", "stage4"]}}
_STAGE = {"backbone_config": _RESNET | {"out_features": ["stage4"]}}
_STAGED = _STAGES | {"encoder_in_channels": [24, 32, 40], "decoder_in_channels": [WIDTH] * 3}
_OVERRIDES = {
    "autoformer": {"prediction_length": 4, "context_length": 8},
    "bamba": {"attn_layer_indices": [1]},
    "blip-2": {"image_token_index": 10},
    "chameleon": {"vocabulary_map": {"<image>": 10}},
    "chmv2": {
        "backbone_config": {
            "model_type": "dinov3_vit",
            "hidden_size": WIDTH,
            "num_attention_heads": 4,
            "num_hidden_layers": 4,
            "intermediate_size": WIDTH,
            "image_size": 64,
            "out_indices": [1, 2, 3, 4],
            "return_class_token": True,
        },
        "post_process_channels": [8, 16, 32, WIDTH],
    },
    "cohere_compass_text": {"rope_parameters": {"full_attention": _TURNS, "sliding_attention": _TURNS}},
    "conditional_detr": _STAGE,
    "cvt": {"depth": [1, 2, 3]},
    "d_fine": _STAGED,
    "dab-detr": _STAGE,
    "dbrx": {"attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10_000.0}},
    "deepseek_ocr2_sam_vision_model": {"downsample_channels": [32, WIDTH]},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense", "sparse"], "num_experts_per_tok": 2},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "deformable_detr": _STAGES,
    "deimv2": _STAGED,
    "depth_pro": {
        "patch_size": 56,
        "intermediate_hook_ids": [1, 0],
        "scaled_images_feature_dims": [WIDTH, WIDTH, WIDTH],
        "intermediate_feature_dims": [WIDTH, WIDTH],
    },
    "detr": _STAGE,
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 64},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "efficientloftr": {"hidden_size": 256},
    "emu3": {"vocabulary_map": {"<image>": 10, "<|extra_200|>": 11}},
    "ernie4_5_vl_moe_text": {"rope_parameters": _SECTIONS | {"mrope_section": [3, 3, 2]}},
    "esm": {"vocab_size": 128, "pad_token_id": 1, "mask_token_id": 2},
    "fun_asr_nano": {
        "adaptor_config": {
            "hidden_size": WIDTH,
            "num_attention_heads": 4,
            "intermediate_size": WIDTH // 4,
            "projector_hidden_size": WIDTH,
        }
    },
    "gemma3": {"mm_tokens_per_image": 4},
    "gemma3n_text": {
        "num_hidden_layers": 4,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_kv_shared_layers": 2,
        "intermediate_size": 64,
        "activation_sparsity_pattern": None,
    },
    "gemma4_audio": {"subsampling_conv_channels": [128, 32]},
    "glm4v_moe_text": {"rope_parameters": _SECTIONS | {"mrope_section": [1, 1, 2]}},
    "glm4v_text": {"rope_parameters": _SECTIONS},
    "glm5_next_text": {"index_kpool": 2},
    "glm_image_text": {"rope_parameters": _SECTIONS},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granite4_vision": {
        "deepstack_layer_map": [[0, 0], [1, 1]],
        "downsample_rate": "1/2",
        "spatial_target_layers": [0, 1],
    },
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"]},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "hunyuan_vl_text": {"head_dim": 16, "rope_parameters": _TURNS | {"xdrope_section": [2, 2, 2, 2]}},
    "informer": {"prediction_length": 4, "context_length": 8},
    "inkling_vision": {"n_layers": 4, "patch_size": 8},
    "instructblip": {"image_token_index": 10},
    "instructblipvideo": {"video_token_index": 10},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
    "kosmos-2": {"latent_query_num": 3},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "llama4_vision_model": {"intermediate_size": 256},
    "longcat_flash": {"head_dim": 8},
    "lw_detr": {
        "backbone_config": {
            "model_type": "lw_detr_vit",
            "hidden_size": WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "window_block_indices": [0],
            "num_windows": 4,
            "image_size": 64,
            "out_features": ["stage2"],
        },
        "projector_scale_factors": [1.0],
        "projector_in_channels": [WIDTH],
        "num_queries": 8,
    },
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 16},
    "molmo2_adapter": {"vision_feature_layer": [1, 0]},
    "moonshine_streaming": {"num_key_value_heads": 4},
    "nemotron": {"num_key_value_heads": 2},
    "nemotron_h": {"n_groups": 1},
    "neucodec": {"encoder_hidden_size": 8, "quantization_dim": 2 * WIDTH},
    "patchtsmixer": {"self_attn": True},
    "phi4_multimodal_audio": {
        "nemo_conv_channels": WIDTH,
        "nemo_final_size": 8,
        "ext_pw_out_channel": WIDTH,
        "depthwise_separable_out_channel": WIDTH,
    },
    "pix2struct_text_model": {"initializer_range": 0.02},
    "pp_doclayout_v2": _STAGED,
    "pp_doclayout_v3": _STAGED
    | {"backbone_config": _RESNET | {"out_features": ["stage1", "stage2", "stage3", "stage4"]}, "x4_feat_dim": 16},
    "pp_doclayout_v4": _STAGED,
    "qwen2_5_omni_talker": {"rope_parameters": _SECTIONS},
    "qwen2_5_omni_text": {"rope_parameters": _SECTIONS},
    "qwen2_5_vl_text": {"rope_parameters": _SECTIONS},
    "qwen2_vl_text": {"rope_parameters": _SECTIONS},
    "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": 64},
    "qwen4_exp_text": {
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 4,
        "indexer_compress_ratio": 2,
    },
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "rt_detr": _STAGED,
    "rt_detr_v2": _STAGED,
    "sam2_hiera_det_model": {"hidden_size": 16, "embed_dim_per_stage": [16, 32, 64, 128], "num_attention_heads": 1},
    "sam2_vision_model": {
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    },
    "sam3_lite_text_text_model": {"num_hidden_layers": 4},
    "sam3_vision_model": {"backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]},
    "seggpt": {"merge_index": 0, "intermediate_hidden_state_indices": [1]},
    "shieldgemma2": {"mm_tokens_per_image": 4, "yes_token_index": 20, "no_token_index": 21},
    "step3p5": {"sliding_window": 5},
    "t5gemma2_decoder": {"dropout_rate": 0.0},
    "t5gemma2_text": {"dropout_rate": 0.0},
    "table-transformer": _STAGE,
    "time_series_transformer": {"prediction_length": 4, "context_length": 8},
    "tvp": {"max_img_size": 64, "visual_prompt_size": 8},
    "vibevoice_acoustic_tokenizer": {"num_filters": 2},
    "vibevoice_acoustic_tokenizer_decoder": {"num_filters": 2},
    "vibevoice_acoustic_tokenizer_encoder": {"num_filters": 2},
    "vitmatte": {"convstream_hidden_sizes": [6, 12, 24], "fusion_hidden_sizes": [32, 16, 8, 4]},
    "xcodec2": {"encoder_hidden_size": 8, "quantization_dim": 2 * WIDTH},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "attention_hidden_size": 2 * WIDTH,
        "attention_head_dim": WIDTH // 2,
    },
}


# Families that are not tried, and why.
_FILM = "it reads a film frame by frame, in a session that it keeps"
_DRAFT = "it drafts for a larger model and reads from that one's cache"
WHY = {
    "edgetam_video": _FILM,
    "esmfold2": "it reads atoms that only its own processor lays out",
    "gemma4_assistant": _DRAFT,
    "gemma4_unified_assistant": _DRAFT,
    "muse_glimmer_assistant": _DRAFT,
    "pi0": "it reads the actions of a robot through a cache",
    "pp_ocrv5_server_det": "its usual configuration is not complete",
    "pp_ocrv6_medium_det": "its usual configuration is not complete",
    "qwen2_5_omni_dit": "it reads codes and a voice that other parts of its model make",
    "qwen2_5_omni_token2wav": "it reads codes and a voice that other parts of its model make",
    "sam2_video": _FILM,
    "sam3_tracker_video": _FILM,
    "sam3_video": _FILM,
    "vits": "with random weights it speaks for longer than the memory lasts",
}

# Families whose configuration transformers maps to a model that cannot be made from it, or that has no attention yet.
_CLASSES = {
    "blip_text_model": "BlipTextModel",
    "musicgen": "MusicgenForConditionalGeneration",
    "musicgen_melody": "MusicgenMelodyForConditionalGeneration",
    "pp_ocrv5_mobile_rec": "PPOCRV5MobileRecForTextRecognition",
    "pp_ocrv5_server_rec": "PPOCRV5ServerRecForTextRecognition",
    "pp_ocrv6_small_rec": "PPOCRV6SmallRecForTextRecognition",
}


class Tiny(NamedTuple):
    """A model with random weights, inputs that it reads, and what it makes of them under eager attention."""

    model: Any
    inputs: dict | None  # None where the model asks no registry, and reads nothing that was tried
    output: Any


def tiny(family):
    """Build a tiny model of a family and find inputs for it.

    Parameters
    ----------
    family : str
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

    if family in WHY:
        raise ModelError(WHY[family])
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
            model = _built(model_class, shrink(config_class(), _counter()))
        except Exception as error:  # whatever a family's constructor raises
            reasons.append(_reason(error))
            continue
        if not registry.attention_modules(model):
            unread = unread or model
        for inputs in samples.candidates(model) if registry.has_attention(model) else ():
            try:
                return Tiny(model, inputs, eager_output(model, inputs))
            except Exception as error:  # whatever a family's forward raises
                reasons.append(_reason(error))
    if unread is not None:
        return Tiny(unread, None, None)
    raise ModelError(reasons[0] if reasons else "it takes inputs that are not known here")


def siblings(family):
    """Return the families that are written in the same Python module: one of them may be the whole of a part.

    Parameters
    ----------
    family : str

    Returns
    -------
    list of str
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES, model_type_to_module_name

    home = model_type_to_module_name(family)
    return [other for other in CONFIG_MAPPING_NAMES if other != family and model_type_to_module_name(other) == home]


def classes(family):
    """Return the classes of a family's bare model and of its configuration.

    Parameters
    ----------
    family : str

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
    if family in _CLASSES:
        return getattr(transformers, _CLASSES[family]), config_class
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


def eager_output(model, inputs):
    """Run a model under its eager attention and let it report its weights.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Built with eager attention.
    inputs : dict

    Returns
    -------
    transformers.utils.ModelOutput or tuple
    """
    import torch

    options = samples.options(model)
    torch.manual_seed(0)  # some families draw numbers even when they only read
    with torch.inference_mode():
        try:
            return model(**inputs, **options, output_attentions=True)
        except Exception:  # some families fail only when they are asked for their weights
            return model(**inputs, **options)


def _built(model_class, config):
    """Build a model with weights that make attention uneven; without attention, one without weights."""
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
    return type(config)(**_changes(config, next_id, _small) | _OVERRIDES.get(config.model_type, {}))


def _shallow(config, next_id):
    """Return a configuration with few layers, tokens and experts, and widths as they are."""
    kept = re.compile(r"layer|depth|types|vocab|experts$|image_size|positions|index|indices|" + _ID)
    changes = _changes(config, next_id, _shallow)
    return type(config)(
        **{name: new for name, new in changes.items() if kept.search(name) or hasattr(new, "sub_configs")}
    )


def _counter():
    """Return a function that gives each special token another number below those of text."""
    numbers = iter(range(10, samples.FIRST_TEXT_ID))
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
    heads, width = values.get("num_attention_heads", 1), values.get("hidden_size", WIDTH)
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
