"""Inputs that a model of any family can read, made from the names of what its forward takes."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attn.pretrained.inputs.images import count_vectors, reader_of

if TYPE_CHECKING:
    import transformers

FIRST_TEXT_ID = 50  # special tokens of tiny models lie below
N_TOKENS = 7
_N_TARGETS = 5
_PARTS = ("vision_config", "audio_config", "backbone_config", "encoder", "text_config", "encoder_config", "decoder")


def candidate_inputs(model: transformers.PreTrainedModel) -> Iterator[dict]:
    """Yield inputs to try, the fullest first.

    Yields
    ------
    dict
        In batches of two; the second text is padded.
    """
    kinds = [kind for kind in (_texts(model), _images(model), _audio(model), _series(model)) if kind]
    together = [{k: v for part in parts for k, v in part.items()} for parts in itertools.product(*kinds)]
    alone = [part for kind in kinds for part in kind] if len(kinds) > 1 else []
    everything = [*_special(model), *_texts_with_images_or_audio(model), *together, *alone, *_hidden(model), {}]
    others = _others(model)
    demanded = {name: value for name, value in others.items() if _needs(model, name)}
    for besides in (demanded, others) if len(others) > len(demanded) else (demanded,):
        yield from filter(None, (besides | inputs for inputs in everything))


def _special(model):
    """Return the inputs of a family that reads what no other family reads."""
    import torch

    known = {
        "deepseek_ocr2_encoder": lambda: {"inputs_embeds": _numbers(2, N_TOKENS, 64), "num_patches": torch.tensor(3)},
        "depth_pro": lambda: {"pixel_values": _numbers(1, 3, 224, 224)},
        "dia": lambda: _texts(model)[0] | {"decoder_input_ids": _ids(model, 45, 2).view(2, 5, 9)},
        "dots3_note_audio_encoder": lambda: {
            "input_features": _numbers(2, 64, 96),
            "chunk_sample_lengths": torch.tensor([96 * 160, 64 * 160]),
        },
        "inkling2_vision": lambda: {
            "pixel_values": _numbers(32, 40, 40, 3),
            "image_grid_thw": torch.tensor([[1, 4, 4]] * 2),
        },
        "jev": lambda: {
            "input_ids": _ids(model, N_TOKENS, 1, rows=1),
            "marks": torch.tensor([[5]]),
            "num_options": torch.tensor([[2]]),
            "question_type_ids": torch.tensor([[0]]),
        },
        "mimi_decoder": lambda: {"latents": _numbers(2, 64, N_TOKENS)},
        "molmo2_adapter": lambda: {
            "image_features": _numbers(2, 16, 128),
            "pooled_patches_idx": torch.arange(32).view(8, 4),
        },
        "moshi_depth": lambda: {"input_ids": _ids(model, 5, 1), "last_hidden_state": _numbers(2, 1, 64)},
        "nemotron3_5_transcribe_audio": lambda: {
            "input_features": _numbers(2, 96, 128),
            "input_features_mask": torch.ones(2, 96).bool(),
        },
        "neucodec": lambda: {"input_values": _numbers(2, 1, 3200), "input_features": _numbers(2, 10, 64)},
        "phi4_multimodal_audio": lambda: {"hidden_states": _numbers(2, 64, 64), "mask": torch.ones(2, 8).bool()},
        "pocket_tts_audio_tokenizer_decoder": lambda: {"latents": _numbers(2, 64, N_TOKENS)},
        "pp_ocrv5_mobile_rec": lambda: {"pixel_values": _numbers(2, 3, 96, 160)},
        "pp_ocrv5_server_rec": lambda: {"pixel_values": _numbers(2, 3, 48, 160)},
        "pp_ocrv6_small_rec": lambda: {"pixel_values": _numbers(2, 3, 48, 160)},
        "rag": lambda: {
            **_texts(model)[0],
            "context_input_ids": _ids(model, N_TOKENS, 4, rows=10),
            "context_attention_mask": torch.ones(10, N_TOKENS),
            "doc_scores": torch.ones(2, 5),
        },
        "seggpt": lambda: dict.fromkeys(
            ("pixel_values", "prompt_pixel_values", "prompt_masks"), _numbers(2, 3, 32, 64)
        ),
        "slanext": lambda: {"hidden_states": _numbers(2, 3, 64, 64)},
        "speech-encoder-decoder": lambda: {"input_values": _numbers(2, 3840)} | _targets(model),
        "voxtral_realtime": lambda: _texts(model)[0] | {"input_features": _numbers(2, 128, 8 * N_TOKENS)},
        "xcodec2": lambda: {"input_values": _numbers(2, 1, 3200), "input_features": _numbers(2, 10, 64)},
    }
    make = known.get(model.config.model_type)
    return [make()] if make else []


def forward_options(model: transformers.PreTrainedModel) -> dict:
    """Return what a model is told besides its inputs: to keep nothing for later."""
    return {"use_cache": False} if "use_cache" in _accepted(model) else {}


def _accepted(model):
    """Return the parameters of a model's forward by name."""
    return inspect.signature(model.forward).parameters


def _needs(model, name):
    """Say whether a model's forward, or what it makes vectors of a picture with, demands a parameter."""
    reader = reader_of(model, "image")
    known = [_accepted(model), *([inspect.signature(reader).parameters] if reader else [])]
    return any(name in each and each[name].default is inspect.Parameter.empty for each in known)


def _look(config, *names, default=None):
    """Return the first number that a configuration, or a part of it, gives under one of the names."""
    for name in names:
        value = vars(config).get(name)
        value = value[-1] if isinstance(value, list | tuple) and value else value
        if type(value) is int and value > 0:
            return value
    for part in _PARTS:
        value = vars(config).get(part)
        found = None if not hasattr(value, "sub_configs") else _look(value, *names)
        if found is not None:
            return found
    return default


def _numbers(*shape):
    """Return numbers around zero, always the same."""
    import torch

    return torch.randn(*shape, generator=torch.manual_seed(3))


def _ids(model, count, seed, rows=2):
    """Return ids of ordinary tokens."""
    import torch

    try:
        config = model.config.get_text_config()
    except ValueError:  # two of them
        config = model.config
    size = _look(config, "vocab_size") or _look(model.config, "vocab_size", default=100)
    first = FIRST_TEXT_ID if size > FIRST_TEXT_ID + 9 else min(3, size - 1)
    return torch.randint(first, size, (rows, count), generator=torch.manual_seed(seed))


def _padded(count):
    """Return a mask that hides the last two places of the second row."""
    import torch

    mask = torch.ones(2, count, dtype=torch.long)
    mask[1, count - 2 :] = 0
    return mask


def _texts(model):
    """Return a text, and what a decoder reads."""
    import torch

    accepted = _accepted(model)
    if "input_ids" not in accepted:
        return []
    inputs = {"input_ids": _ids(model, N_TOKENS, 1)}
    if "attention_mask" in accepted:
        inputs["attention_mask"] = _padded(N_TOKENS)
    if "bbox" in accepted:
        inputs["bbox"] = torch.tensor([[[1, 2, 10, 12]] * N_TOKENS] * 2)
    return [inputs | _targets(model)]


def _targets(model):
    """Return what a decoder reads besides, if there is one."""
    rows = 2 * _look(model.config, "num_codebooks", default=1)
    return {"decoder_input_ids": _ids(model, _N_TARGETS, 2, rows)} if "decoder_input_ids" in _accepted(model) else {}


def _images(model):
    """Return pictures, films, or their patches, in the shapes that families know."""
    import torch

    accepted, config = _accepted(model), model.config
    channels = _look(config, "num_channels", "in_channels", "in_chans", "num_input_channels", default=3)
    height, width = _side(config)
    patch = _look(config, "patch_size", default=16)
    frames = _look(config, "num_frames", "frames_per_clip", default=4)
    film = _numbers(2, frames, channels, height, width)
    if "image" in accepted:
        return [{"image": film[:, 0]}]
    if any(_needs(model, name) for name in ("grid_thw", "image_grid_thw")):
        return _patches(model, channels, patch)
    if "pixel_values" in accepted:
        flat = _numbers(2, 16, channels * patch**2)
        shapes = [film[:, 0], film, film[:, :2], film[:, :1], flat, film.flatten(0, 1)]
        shapes += [film[:, None, :1].expand(-1, -1, frames, -1, -1, -1), _numbers(1, channels, patch, 32 * patch)]
        pictures = [{"pixel_values": pixels} | _places(model) | _late(model) for pixels in shapes]
        if "image_sizes" in accepted:
            sizes = torch.tensor([[height, width]] * 2)
            pictures = [*pictures[:1], *(picture | {"image_sizes": sizes} for picture in pictures), *pictures[1:]]
        return [*pictures, *(_patches(model, channels, patch) if "image_grid_thw" in accepted else [])]
    if "pixel_values_videos" in accepted:
        return [{"pixel_values_videos": film}]
    if "flattened_patches" in accepted:
        return [{"flattened_patches": _numbers(2, 16, 2 + channels * patch**2).abs()} | _targets(model)]
    return []


def _side(config):
    """Return the height and width of a picture."""
    sizes = [vars(part).get("image_size") for part in (config, vars(config).get("vision_config")) if part is not None]
    pair = next((size for size in sizes if isinstance(size, list | tuple)), None)
    side = _look(config, "image_size", "img_size", default=64)
    return pair or (side, side)


def _texts_with_images_or_audio(model):
    """Return texts with a picture or a sound in each, which takes as many tokens as the model makes vectors of it."""
    import torch

    accepted, config = _accepted(model), vars(model.config)
    found = []
    for what, candidates in {"image": _images(model), "audio": _audio(model)}.items():
        mark = next((config[name] for name in (f"{what}_token_id", f"{what}_token_index") if config.get(name)), None)
        reader = reader_of(model, what)
        for given in candidates if mark is not None and reader is not None and "input_ids" in accepted else ():
            try:
                with torch.inference_mode():
                    count = count_vectors(reader(**given)) // 2
            except Exception:  # a shape that this family does not know
                continue
            ids = _ids(model, N_TOKENS, 1)
            ids = torch.cat([ids[:, :2], torch.full((2, count), mark), ids[:, 2:]], dim=1)
            marks = {"attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == mark).long()}
            found.append({"input_ids": ids} | {name: each for name, each in marks.items() if name in accepted} | given)
    return found


def _late(model):
    """Return what the decoder reads where nothing but a picture or a sound comes before it."""
    return {} if "input_ids" in _accepted(model) else _targets(model)


def _places(model):
    """Return where the patches of a picture of four by four stand."""
    import torch

    known = {
        "pixel_attention_mask": _padded(16),
        "spatial_shapes": torch.tensor([[4, 4], [7, 2]]),
        "pixel_position_ids": torch.cartesian_prod(torch.arange(4), torch.arange(4)).expand(2, -1, -1),
    }
    return {name: value for name, value in known.items() if _needs(model, name)}


def _patches(model, channels, patch):
    """Return two pictures of four by four patches in one row, as the Qwen line reads them."""
    import torch

    known = {name: torch.tensor([[1, 4, 4]] * 2) for name in ("grid_thw", "image_grid_thw")}
    known["merge_sizes"] = torch.tensor([1, 1])
    accepted = _accepted(model)
    places = {name: value for name, value in known.items() if name in accepted}
    name = "hidden_states" if "hidden_states" in accepted else "pixel_values"
    deep = _look(model.config, "temporal_patch_size", default=1)
    shapes = [(32, channels * times * patch**2) for times in dict.fromkeys((deep, 1, 2))]
    shapes += [(32, channels, patch, patch), (1, 32, channels, patch, patch)]
    return [{name: _numbers(*shape)} | places for shape in shapes]


def _audio(model):
    """Return sounds: waves, or spectra in either order."""
    import torch

    accepted, config = _accepted(model), model.config
    bands = _look(config, "num_mel_bins", "feature_size", "n_mels", "input_feat_per_channel", "input_dim", default=80)
    bands = _look(config, "input_size", "input_feat_size", "feature_projection_input_dim", default=bands)
    length = 2 * _look(config, "max_source_positions", default=50)
    for name in ("input_features", "audio_mel"):
        if name in accepted:
            shapes = [(2, bands, length), (2, length, bands), (bands, length), (2, 1, length, bands)]
            shapes += [(2, 128, length), (2, length, 128), *((2, length, times * bands) for times in (2, 4, 7))]
            marks = {mark: torch.ones(2, length).bool() for mark in (f"{name}_mask",) if mark in accepted}
            return [{name: _numbers(*shape)} | marks | _late(model) for shape in shapes]
    if "input_values" in accepted:
        width = _look(config, "hidden_size", default=64)
        shapes = [(2, 3840), (2, 1, 3840), (2, bands, length), (2, length, bands), (2, N_TOKENS, width)]
        shapes.append((2, _look(config, "max_length", default=64), bands))
        return [{"input_values": _numbers(*shape)} | _late(model) for shape in shapes]
    return []


def _series(model):
    """Return series of measurements and, where they are asked for, their times."""
    import torch

    accepted, config = _accepted(model), model.config
    if "past_values" not in accepted:
        return []
    length = _look(config, "context_length", "sequence_length", default=32) + max(getattr(config, "lags_sequence", [0]))
    ahead = _look(config, "prediction_length", default=1)
    times = getattr(config, "num_time_features", 1)
    known = {
        "past_time_features": _numbers(2, length, times),
        "past_observed_mask": torch.ones(2, length),
        "future_values": _numbers(2, ahead),
        "future_time_features": _numbers(2, ahead, times),
        "past_values_padding": torch.zeros(2, length),
        "freq": torch.zeros(2, 1, dtype=torch.long),
    }
    timed = {name: value for name, value in known.items() if name in accepted and "past_time_features" in accepted}
    timed |= {name: value for name, value in known.items() if _needs(model, name)}
    channels = _look(config, "num_input_channels", default=1)
    return [{"past_values": _numbers(2, length)} | timed, {"past_values": _numbers(2, length, channels)}]


def _hidden(model):
    """Return inputs for the parts of larger models, which read what another part has made."""
    width = _look(model.config, "hidden_size", "d_model", "n_embd", default=64)
    others = _look(model.config, "cross_attention_hidden_size", "encoder_hidden_size", "hidden_size", default=width)
    accepted = _accepted(model)
    read = [{name: _numbers(2, N_TOKENS, width)} for name in ("hidden_states", "inputs_embeds") if name in accepted]
    if "encoder_hidden_states" in accepted:
        beside = {"encoder_hidden_states": _numbers(2, N_TOKENS, others)}
        return [each | beside for each in [*_texts(model), *read, {}]]
    return read


def _others(model):
    """Return what else some families take, by name."""
    import torch

    config = model.config
    width = _look(config, "hidden_size", default=64)
    count = torch.arange(N_TOKENS).expand(2, -1)
    known = {
        "qformer_input_ids": _ids(model, N_TOKENS, 5),
        "query_embeds": _numbers(2, 8, width),
        "visual_feats": _numbers(2, 4, _look(config, "visual_feat_dim", default=64)),
        "visual_pos": _numbers(2, 4, 4).abs(),
        "image_embeds_position_mask": (count < _look(config, "latent_query_num", default=3)).long(),
        "aspect_ratio_ids": torch.ones(2, 1, dtype=torch.long),
        "aspect_ratio_mask": torch.ones(2, 1, _look(config, "max_num_tiles", default=4), dtype=torch.long),
        "target_sizes": torch.tensor([[4, 4], [4, 4]]),
        "states": _numbers(2, N_TOKENS, _look(config, "state_dim", default=17)),
        "actions": _numbers(2, N_TOKENS, _look(config, "act_dim", default=4)),
        "rewards": _numbers(2, N_TOKENS, 1),
        "returns_to_go": _numbers(2, N_TOKENS, 1),
        "timesteps": count,
        "context": _numbers(2, N_TOKENS, width),
        "feature_lens": torch.tensor([50, 50]),
        "inputs": _numbers(2, N_TOKENS, _look(config, "d_model", default=width)),
        "image_attention_mask": torch.ones(2, N_TOKENS, 1, dtype=torch.long),
        "task_inputs": torch.zeros(2, _look(config, "task_seq_len", default=77), dtype=torch.long),
        "decoder_input_values": _numbers(2, _N_TARGETS, width),
        "spatial_shapes": torch.tensor([[4, 4], [7, 2]]),
    }
    accepted = _accepted(model)
    return {name: value for name, value in known.items() if name in accepted}
