"""Every public function of the core and every figure answers an odd argument with a result or with one sentence.

The sentence names the argument.

The functions are found by themselves: one that is added needs a row of good arguments in `GOOD`, which are then
changed one at a time into what its annotation does not promise: no number, no whole one, too large, of another
shape. What is annotated as `numpy.ndarray` is made by the package itself, and left as it is. Figures have no
annotations: what they promise is the kind of their good argument.
"""

import importlib
import inspect
import io
import math
import pkgutil
import re
import tempfile
import types
import typing
import warnings
from collections.abc import Sequence

import altair as alt
import numpy as np
import PIL
import pytest
import soundfile
from numpy.typing import ArrayLike
from PIL import Image
from safetensors.numpy import load_file

import attn
from attn import charts, models, trained
from attn.architectures import pointer_network, recurrent, seq2seq, snail

RNG = np.random.default_rng(0)
LEFT_OUT = {
    "__main__",
    "charts",
    "ui",
    "pretrained",
    "words",
}  # figures by their names below; pages and files by tests of theirs
LISTS = {"above", "beside", "panels"}  # figures of as many parts as are given: by a test of their own
TRAINING = {"trained.__main__", "trained.training", "trained.pointer"}  # need torch, and no page runs them


def drawn(*shape):
    """Return numbers from 0.1 to 0.9."""
    return RNG.uniform(0.1, 0.9, shape)


def weights(*shape):
    """Return rows that sum to 1."""
    return attn.softmax(drawn(*shape))


def feeding(x):
    """Return a sublayer."""
    return attn.block.feed_forward(x, LAYER.feed_forward)


def generator():
    return np.random.default_rng(0)


X, MASK = drawn(5, 6), np.tri(5, dtype=bool)
QUERY, KEY, VALUE = drawn(4, 5, 6), drawn(2, 7, 6), drawn(2, 7, 3)
HEADS = weights(3, 5, 5)
PARAMETERS = attn.multi_head.draw_parameters(generator(), 6, 2)
LAYER = attn.block.draw_layer(generator(), 6, 2, 8)
LAYER_2 = attn.block.draw_layer(generator(), 6, 2, 8, cross=True)
CELL = recurrent.Recurrent(drawn(3, 8), drawn(2, 8))
RNN = recurrent.Recurrent(drawn(3, 2), drawn(2, 2))
GRU = recurrent.Recurrent(drawn(3, 6), drawn(2, 6))
CARRIED = recurrent.Carried(drawn(2), drawn(2))
TAKEN_ONCE = recurrent.rnn(drawn(3), CARRIED, RNN)
POINTER = pointer_network.PointerNetwork(CELL, CELL, drawn(3), drawn(2, 4), drawn(2, 4), drawn(4))
WRITER = seq2seq.Transformer(drawn(6, 6), drawn(6, 6), (LAYER,), (LAYER_2,), drawn(6, 6), drawn(6))
LEARNT = trained.load("reverse", "luong", "short")
TENSORS = load_file(trained.WEIGHTS / "reverse-luong-short.safetensors")
PICTURE, SOUND = io.BytesIO(), io.BytesIO()
Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(PICTURE, format="PNG")
soundfile.write(SOUND, drawn(900), 8000, format="WAV")
PICTURE, SOUND = PICTURE.getvalue(), SOUND.getvalue()
TAKEN = recurrent.run(recurrent.rnn, drawn(4, 3), RNN)
ATTENTION = {
    "query": QUERY,
    "key": KEY,
    "value": VALUE,
    "mask": np.ones((5, 7), bool),
    "bias": drawn(5, 7),
    "causal": True,
    "query_offset": 2,
    "window": 3,
    "scale": 0.5,
    "softcap": 5.0,
    "sinks": drawn(4, 1, 1),
}
COUNTS = {"d_model": 12, "num_heads": 4, "num_kv_heads": 2, "d_k": 3, "d_v": 3}
MEMORIES = {"d_memory": 5, "d_value_memory": 7}
ROUTED = {"scores": drawn(5, 5), "value": drawn(5, 3), "visible": MASK}
OFFSET = {"weights": HEADS, "query_offset": 0}
TOKENS = {"tokens": [1, 2, 1, 2, 3], "special": [False] * 5}

CONFIGURATIONS = {
    "bert": {
        "model_type": "bert", "vocab_size": 7, "hidden_size": 4, "max_position_embeddings": 9, "type_vocab_size": 2,
        "num_hidden_layers": 0, "num_attention_heads": 2, "intermediate_size": 5,
    },
    "gpt2": {"model_type": "gpt2", "vocab_size": 7, "n_embd": 4, "n_positions": 9, "n_layer": 0, "n_head": 2},
    "llama": {
        "model_type": "llama", "vocab_size": 7, "hidden_size": 4, "max_position_embeddings": 9,
        "num_hidden_layers": 0, "num_attention_heads": 2, "tie_word_embeddings": True,
    },
    "t5": {
        "model_type": "t5", "vocab_size": 7, "d_model": 4, "d_kv": 2, "d_ff": 5, "num_heads": 2, "num_layers": 1,
        "relative_attention_num_buckets": 8,
    },
}  # fmt: skip
CHECKPOINTS = {
    "bert": {
        "embeddings.word_embeddings.weight": drawn(7, 4), "embeddings.position_embeddings.weight": drawn(9, 4),
        "embeddings.token_type_embeddings.weight": drawn(2, 4),
        "embeddings.LayerNorm.weight": drawn(4), "embeddings.LayerNorm.bias": drawn(4),
    },
    "gpt2": {"wte.weight": drawn(7, 4), "wpe.weight": drawn(9, 4), "ln_f.weight": drawn(4), "ln_f.bias": drawn(4)},
    "llama": {"model.embed_tokens.weight": drawn(7, 4), "model.norm.weight": drawn(4)},
    "t5": {
        "shared.weight": drawn(7, 4),
        **{
            f"{stack}.block.0.layer.{at}.{part}.weight": drawn(*shape)
            for stack, parts in (("encoder", ("SelfAttention",)), ("decoder", ("SelfAttention", "EncDecAttention")))
            for at, kind in enumerate((*parts, "DenseReluDense"))
            for part, shape in {
                "layer_norm": (4,),
                **(
                    {f"{kind}.wi": (5, 4), f"{kind}.wo": (4, 5)}
                    if kind == "DenseReluDense"
                    else {f"{kind}.{role}": (4, 4) for role in "qkvo"}
                ),
            }.items()
        },
        **{
            f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight": drawn(8, 2)
            for stack in ("encoder", "decoder")
        },
        "encoder.final_layer_norm.weight": drawn(4), "decoder.final_layer_norm.weight": drawn(4),
    },
}  # fmt: skip
OPENED = {
    line: getattr(models, line).from_checkpoint(CHECKPOINTS[line], CONFIGURATIONS[line]) for line in CONFIGURATIONS
}
PASSED = models.llama.forward(OPENED["llama"], [1, 2, 3])

GOOD = {
    "alignment.content": {"query": drawn(4), "keys": drawn(5, 4)},
    "alignment.additive": {
        "query": drawn(4), "keys": drawn(5, 3), "w_q": drawn(4, 2), "w_k": drawn(3, 2), "v": drawn(2),
    },
    "alignment.concat": {"query": drawn(4), "keys": drawn(5, 3), "w": drawn(7, 2), "v": drawn(2)},
    "alignment.location": {"query": drawn(4), "keys": drawn(5, 3), "w": drawn(4, 6)},
    "alignment.general": {"query": drawn(4), "keys": drawn(5, 3), "w": drawn(4, 3)},
    "alignment.dot": {"query": drawn(4), "keys": drawn(5, 4)},
    "alignment.scaled_dot": {"query": drawn(4), "keys": drawn(5, 4)},
    "alignment.soft_read": {"weights": weights(5), "values": drawn(5, 3)},
    "alignment.hard_reads": {"weights": weights(5), "values": drawn(5, 3), "rng": generator(), "count": 4},
    "alignment.hard_variance": {"weights": weights(5), "values": drawn(5, 3)},
    "alignment.doubly_stochastic_penalty": {"weights": weights(3, 5), "strength": 2.0},
    "analysis.contribution.value_weighted": {
        "weights": weights(4, 5, 7), "value": VALUE, "w_o": drawn(12, 6), "key_words": [0, 0, 1, 2, 3, 4, 5],
    },
    "analysis.contribution.rollout": {"weights_per_layer": [HEADS, HEADS], "residual": 0.5},
    "analysis.contribution.mean_over": {"weights": HEADS, "heads": 1},
    "analysis.head_kinds.kind_of_head": {"metrics": {"previous_token": 0.8}, "n_tokens": 12},
    "analysis.head_metrics.entropy": {"weights": HEADS},
    "analysis.head_metrics.normalised_entropy": {"weights": HEADS, "mask": MASK},
    "analysis.head_metrics.evenness": {"weights": HEADS, "mask": MASK},
    "analysis.head_metrics.distance": OFFSET,
    "analysis.head_metrics.first_token": {"weights": HEADS},
    "analysis.head_metrics.special_tokens": {"weights": HEADS, "special": [True, False, False, False, True]},
    "analysis.head_metrics.picture_tokens": OFFSET | {"picture": [True, False, False, False, True]},
    "analysis.head_metrics.previous_token": OFFSET,
    "analysis.head_metrics.next_token": OFFSET,
    "analysis.head_metrics.same_token": OFFSET,
    "analysis.head_metrics.duplicate_token": OFFSET | TOKENS | {"fewest": 1},
    "analysis.head_metrics.induction": OFFSET | TOKENS | {"fewest": 1},
    "analysis.head_metrics.positional": {"weights": HEADS, "mask": MASK},
    "analysis.head_metrics.diagonals": {"cells": HEADS},
    "analysis.head_table.measure": OFFSET | TOKENS | {"mask": MASK, "words": list("abcde")},
    "analysis.head_table.measure_each": {"heads": HEADS} | TOKENS,
    "analysis.sensitivity.gradient_times_input": {"function": np.sum, "x": X, "step": 1e-5},
    "analysis.sensitivity.moved_rows": {"function": np.asarray, "x": X, "token": 1, "replacement": drawn(6)},
    "analysis.sensitivity.rank_agreement": {"one": drawn(5), "other": drawn(5)},
    "analysis.weights.row_entropy": {"weights": HEADS},
    "analysis.weights.effective_keys": {"weights": HEADS},
    "analysis.weights.mean_distance": OFFSET,
    "analysis.weights.first_token_share": {"weights": HEADS},
    "analysis.weights.saturation": {"d_k": 4, "rng": generator(), "num_keys": 3, "num_draws": 5},
    "analysis.weights.score_rank": {"scores": X},
    "analysis.weights.products": {"left_row": drawn(5), "right_column": drawn(5)},
    "analysis.weights.leak_test": {
        "attend": np.asarray, "x": X, "visible": MASK, "token": 1, "replacement": drawn(6),
    },
    "analysis.word_level.to_words": {"weights": HEADS, "query_words": [0, 0, 1, 2, 3], "key_words": [0, 0, 1, 2, 3]},
    "analysis.word_level.mask_to_words": {"mask": MASK, "query_words": [0, 0, 1, 2, 3], "key_words": [0, 0, 1, 2, 3]},
    "analysis.word_level.word_groups": {"words": [0, 0, 1], "length": 3},
    "architectures.beam_search.length_penalty": {"length": [1, 2], "alpha": 0.6},
    "architectures.beam_search.beam_search": {
        "next_log_probabilities": lambda symbols: np.log([0.5, 0.5]), "end": 1, "beam": 2, "alpha": 0.6, "longest": 3,
    },
    "architectures.image_attention.image_attention": {
        "x": X, "w_f": drawn(6, 2), "w_g": drawn(6, 2), "w_h": drawn(6, 3), "w_v": drawn(3, 6), "gamma": 0.5,
    },
    "architectures.image_attention.patches": {"image": drawn(8, 4, 3), "size": 2},
    "architectures.image_attention.patch_features": {"cut": drawn(4, 9, 3), "columns": 2},
    "architectures.lstmn.look_back": {
        "x": drawn(4, 3), "parameters": CELL,
        "w_past": drawn(2, 5), "w_now": drawn(3, 5), "w_summary": drawn(2, 5), "v": drawn(5),
    },
    "architectures.pointer_network.point": {
        "encoded": drawn(5, 3), "decoded": drawn(4), "w_encoded": drawn(3, 2), "w_decoded": drawn(4, 2),
        "v": drawn(2),
        "visited": [True, False, False, False, False],
    },
    "architectures.pointer_network.leaving_out": {"scores": drawn(3), "visited": [True, False, False]},
    "architectures.pointer_network.point_at_all": {"network": POINTER, "inputs": drawn(4, 3)},
    "architectures.recurrent.rnn": {"x": drawn(3), "before": CARRIED, "parameters": RNN},
    "architectures.recurrent.lstm": {"x": drawn(3), "before": CARRIED, "parameters": CELL},
    "architectures.recurrent.gru": {"x": drawn(3), "before": CARRIED, "parameters": GRU},
    "architectures.recurrent.bahdanau_gru": {
        "x": drawn(3), "before": CARRIED, "parameters": GRU,
    },
    "architectures.recurrent.run": {"step": recurrent.rnn, "x": drawn(4, 3), "parameters": RNN},
    "architectures.recurrent.stacked": {"taken": [TAKEN, TAKEN]},
    "architectures.recurrent.bidirectional": {
        "step": recurrent.rnn, "x": drawn(4, 3), "forward": RNN, "backward": RNN,
    },
    "architectures.recurrent.jacobian": {
        "step": recurrent.rnn, "taken": TAKEN_ONCE, "before": CARRIED, "parameters": RNN,
    },
    "architectures.recurrent.gradient_norms": {"step": recurrent.rnn, "steps": TAKEN, "parameters": RNN},
    "architectures.recurrent.carried": {"factor": 0.5, "count": 3},
    "architectures.seq2seq.write": {"model": WRITER, "source": [3, 4], "most": 3, "given": [3, 5]},
    "architectures.seq2seq.influence": {"model": WRITER, "source": [3, 4], "symbols": [3, 5]},
    "architectures.snail.causal_convolution": {
        "x": drawn(5, 3), "w_past": drawn(3, 2), "w_now": drawn(3, 2), "dilation": 2,
    },
    "architectures.snail.dense_block": {
        "x": drawn(5, 3), "block": snail.draw_temporal_block(generator(), 3, 2, 1)[0], "dilation": 2,
    },
    "architectures.snail.dilations": {"n": 8},
    "architectures.snail.temporal_block": {
        "x": drawn(5, 3), "blocks": snail.draw_temporal_block(generator(), 3, 2, 2), "dilated": [1, 2],
    },
    "architectures.snail.attention_block": {
        "x": drawn(5, 3), "block": snail.draw_attention_block(generator(), 3, 2, 4),
    },
    "architectures.snail.draw_temporal_block": {"rng": generator(), "d_in": 3, "d_out": 2, "count": 2},
    "architectures.snail.draw_attention_block": {"rng": generator(), "d_in": 3, "d_k": 2, "d_v": 4},
    "architectures.snail.lags_reached": {"function": np.asarray, "x": drawn(5, 3), "replacement": drawn(3)},
    "architectures.turing_machine.address": {
        "memory": drawn(4, 3), "key": drawn(3), "previous": weights(4),
        "sharpness": 2.0, "gate": 0.5, "shift": weights(4), "gamma": 2.0,
    },
    "architectures.turing_machine.content_addressing": {"memory": drawn(4, 3), "key": drawn(3), "sharpness": 2.0},
    "architectures.turing_machine.interpolate": {"by_content": weights(4), "previous": weights(4), "gate": 0.5},
    "architectures.turing_machine.ring_shift": {"n_rows": 4, "shift": 1.5, "blur": 0.1},
    "architectures.turing_machine.convolve": {"weights": weights(4), "shift": weights(4)},
    "architectures.turing_machine.sharpen": {"weights": weights(4), "gamma": 2.0},
    "architectures.turing_machine.read": {"memory": drawn(4, 3), "weights": weights(4)},
    "architectures.turing_machine.write": {
        "memory": drawn(4, 3), "weights": weights(4), "erase": drawn(3), "add": drawn(3),
    },
    "block.draw_layer": {"rng": generator(), "d_model": 6, "num_heads": 2, "d_ff": 8},
    "block.parameter_count": {"weights": LAYER},
    "block.embed": {"ids": [0, 2], "table": drawn(3, 6)},
    "block.next_token": {"output": X, "table": drawn(3, 6)},
    "block.feed_forward": {"x": X, "weights": LAYER.feed_forward},
    "block.residual": {"x": X, "sublayer": feeding,
        "norm": LAYER.attention_norm, "dropout": 0.1, "rng": generator()},
    "block.encoder_block": {"x": X, "layer": LAYER, "mask": MASK, "dropout": 0.1, "rng": generator()},
    "block.decoder_block": {
        "x": X, "memory": drawn(7, 6), "layer": LAYER_2, "mask": MASK, "memory_mask": np.ones((5, 7), bool),
        "dropout": 0.1, "rng": generator(),
    },
    "block.encoder": {"x": X, "layers": [LAYER], "mask": MASK},
    "block.decoder": {
        "x": X, "memory": drawn(7, 6), "layers": [LAYER_2], "mask": MASK, "memory_mask": np.ones((5, 7), bool),
    },
    "blockwise.tile_steps": {},
    "blockwise.attention": ATTENTION | {"tile": (2, 3), "threads": 2},
    "cost.layer_cost": {"kind": "window", "n": 8, "d": 4, "kernel": 3, "window": 4},
    "cost.attention_work": {"n": 8} | COUNTS,
    "cost.crossover": COUNTS,
    "cost.moved_bytes": {"n": 5, "d_k": 2, "d_v": 3, "tile": (2, 2), "bytes_per_number": 2},
    "cost.pass_work": {
        "n_new": 2, "n_kept": 3, "num_layers": 2, "d_model": 8, "num_heads": 2, "d_k": 4, "d_ff": 16, "vocabulary": 9,
        "num_kv_heads": 1, "window": 4,
    },
    "cost.attention_parameters": COUNTS | MEMORIES,
    "cost.cache_bytes": {
        "n_tokens": 8, "num_kv_heads": 2, "d_k": 3, "d_v": 3, "num_layers": 2, "bytes_per_number": 2, "window": 4,
    },
    "cost.score_bytes": {"num_heads": 2, "n_q": 3, "n_k": 4, "bytes_per_number": 4},
    "cost.growth": {"lengths": [1.0, 2.0, 4.0], "values": [2.0, 3.0, 9.0], "last": 3},
    "cost.transformer_parameters": {
        "num_layers": 2, "d_model": 8, "d_ff": 16, "num_heads": 2, "d_k": 4, "d_v": 4, "vocabulary": 9,
    },
    "cost.training_operations": {"hours": 1.5, "processors": 8, "operations_per_second": 1e9},
    "data.examples.worked_example": {"d_v": 4},
    "data.examples.worked_example_heads": {},
    "data.examples.worked_example_memory": {},
    "data.examples.journey_example": {},
    "data.examples.random_example": {"tokens": ["a", "b"], "d_model": 5, "d_k": 2, "d_v": 3, "seed": 1},
    "data.examples.split_words": {"text": "a b"},
    "data.examples.word_places": {"text": "a b"},
    "data.picture_files.read_picture": {"data": PICTURE, "size": 5},
    "data.picture_files.read_whole": {"data": PICTURE},
    **{f"data.pictures.{name}": {"size": 8} for name in attn.pictures.PICTURES},
    **{f"data.sounds.{name}": {"rate": 8000} for name in attn.data.sounds.SOUNDS},
    "data.sounds.read_sound": {"data": SOUND, "rate": 8000},
    "data.sounds.read_wav": {"data": SOUND, "rate": 8000},
    "data.sounds.resampled": {"samples": drawn(100), "own": 8000, "rate": 16_000},
    **{f"data.published.{name}": {} for name in ("bleu_by_length", "bleu_scores", "alignments", "results")},
    "dot_product.scaled_dot_product_attention": ATTENTION | {"top_k": 3},
    "dot_product.leading_shape": {"query": QUERY, "key": KEY, "value": VALUE},
    "dot_product.check_fit": {"shape": (5, 7), "scores_shape": (5, 7), "name": "mask"},
    "dot_product.checked_mask": {"mask": MASK, "scores_shape": (5, 5)},
    "functional.as_array": {"array": X, "name": "array"},
    "functional.as_floats": {"x": X},
    "functional.as_real": {"array": X, "name": "array"},
    "functional.whole_number": {"name": "number", "number": 3},
    "functional.finite_number": {"name": "number", "number": 3.0},
    "functional.check_projections": {"x": X, "w": drawn(6, 2)},
    "functional.short_repr": {"given": X},
    "functional.several": {"name": "items", "items": [1]},
    "functional.with_axes": {"array": X, "name": "array", "axes": 1},
    "functional.broadcasts": {"shape": (1, 3), "target": (2, 3)},
    "functional.softmax": {"scores": X, "axis": -1, "sinks": drawn(1, 1)},
    "functional.fitted_sinks": {"sinks": drawn(5, 1), "shape": (5, 1), "dtype": np.dtype(float)},
    "functional.softmax_jacobian": {"weights": weights(5)},
    "functional.share_of_sum": {"scores": X},
    "functional.sigmoid": {"x": X},
    "functional.layer_norm": {"x": X, "gain": drawn(6), "bias": drawn(6), "epsilon": 1e-5},
    "functional.rms_norm": {"x": X, "gain": drawn(6), "epsilon": 1e-5},
    "functional.gelu": {"x": X},
    "functional.gelu_tanh": {"x": X},
    "functional.silu": {"x": X},
    "functional.width_of": {"array": X, "name": "array"},
    "functional.parameter": {"array": X, "shape": (5, 6), "name": "array"},
    "local_attention.local_m": {"scores": drawn(7), "centre": 3.0, "half_width": 2},
    "local_attention.local_p": {"scores": drawn(7), "centre": 3.0, "half_width": 2},
    "local_attention.predicted_centre": {"query": drawn(4), "n_k": 7, "w": drawn(4, 2), "v": drawn(2)},
    **{f"mask_routes.{name}": ROUTED for name in attn.mask_routes.ROUTES},
    "mask_routes.leak": {
        "route": attn.mask_routes.ROUTES["before"], "x": X, "w_q": drawn(6, 2), "w_k": drawn(6, 2),
        "w_v": drawn(6, 3),
        "visible": MASK, "token": 1, "replacement": drawn(6),
    },
    "masks.everything": {"n_q": 3, "n_k": 4},
    "masks.causal": {"n_q": 3, "n_k": 4, "query_offset": 1},
    "masks.padding": {"lengths": [2, 3], "n_k": 4},
    "masks.sliding_window": {"n_q": 3, "n_k": 4, "window": (2, 1), "query_offset": 1},
    "masks.prefix": {"n_q": 3, "n_k": 4, "length": 2, "query_offset": 1},
    "masks.blocks": {"sizes": [2, 3]},
    "masks.global_window": {"n": 5, "window": 1, "global_tokens": 2},
    "masks.strided": {"n": 5, "stride": 2},
    "masks.top_k": {"scores": X, "k": 2},
    "masks.painted": {"visible": MASK},
    "masks.combine": {},
    "masks.distances": {"n_q": 3, "n_k": 4, "query_offset": 1},
    "masks.first_position": {"query_offset": 1, "n_q": 3, "n_k": 4},
    "masks.window_sides": {"window": 3},
    "models.bert.forward": {"model": OPENED["bert"], "ids": [1, 2], "types": [0, 1]},
    "models.gpt2.forward": {"model": OPENED["gpt2"], "ids": [1, 2]},
    "models.llama.capped": {},
    "models.llama.outgrows_cache": {"model": OPENED["llama"], "length": 3},
    "models.rotary_scaling.kind_of": {},
    "models.llama.forward": {"model": OPENED["llama"], "ids": [1, 2]},
    "models.t5.forward": {"model": OPENED["t5"], "ids": [1, 2], "decoder_ids": [0, 3, 4]},
    **{
        f"models.{line}.from_checkpoint": {"tensors": CHECKPOINTS[line], "config": CONFIGURATIONS[line]}
        for line in CONFIGURATIONS
    },
    "models.ledger.state_parts": {"model": OPENED["llama"], "passed": PASSED, "layer": 0, "token": 1},
    "models.ledger.score_ledger": {},
    "models.ledger.score_of_states": {},
    "models.ledger.projected_parts": {},
    "models.ledger.word_contributions": {
        "model": OPENED["llama"], "passed": PASSED, "token": 1, "word": 2, "instead_of": 3,
    },
    "models.ledger.logit_lens": {"model": OPENED["llama"], "passed": PASSED, "words": [1, 2]},
    "models.ablation.ablation": {},
    "models.layer_parts.attention_matrices": {},
    "models.layer_parts.feed_forward_matrices": {},
    "models.layer_parts.head_additions": {},
    "models.layer_parts.layer_attention": {},
    "models.sampling.sampling_probabilities": {
        "logits": [1.0, 2.0, 0.5], "temperature": 0.7, "top_k": 2, "top_p": 0.9,
    },
    "models.checkpoint.token_ids": {"ids": [1, 2], "vocabulary": 3},
    "models.ledger.grouped": {},
    "models.ledger.group_label": {},
    "models.ledger.head_source": {},
    "models.ledger.part_label": {},
    "models.ledger.state_contributions": {"model": OPENED["llama"], "passed": PASSED, "token": 1},
    "models.ledger.lens_words": {"model": OPENED["llama"], "passed": PASSED},
    "models.patching.recorded_step": {},
    "models.patching.put_there": {},
    "models.patching.patched": {},
    "models.patching.run": {"model": OPENED["llama"], "ids": [1, 2]},
    "models.patching.aligned": {"ids": [1, 2, 3], "source_ids": [1, 3]},
    "models.patching.restored": {"measured": [1.0, 2.0], "start": 0.5, "end": 3.0},
    "models.patching.hand_over": {"shares": [[1.0, 0.0], [0.2, 0.9]]},
    "models.patching.causal_cone": {"visible": [np.tri(3)] * 2, "differing": [0.0, 1.0, 0.0], "measured": 2},
    "models.head_weights.head_matrices": {},
    "models.head_weights.read_embeddings": {"model": OPENED["llama"], "ids": [1, 2]},
    "models.head_weights.matched_words": {},
    "models.head_weights.written_words": {},
    "models.head_weights.copying_scores": {},
    "models.head_weights.num_heads": {},
    "models.head_weights.query_key_plane": {"query": drawn(5, 6), "key": drawn(4, 6)},
    "models.passes.checked_change": {},
    "models.passes.changed_attention": {},
    "models.passes.with_cached": {"cache": models.Cache(), "layer": 0, "key": KEY, "value": VALUE},
    "models.passes.within_window": {"array": KEY, "window": 3},
    "models.rotary_scaling.turning": {"rope": {"rope_theta": 1e4}, "d_k": 4, "length": 5, "max_tokens": 9},
    "multi_head.draw_parameters": {"rng": generator()} | COUNTS | MEMORIES,
    "multi_head.split_heads": {"x": X, "num_heads": 2},
    "multi_head.merge_heads": {"x": HEADS},
    "multi_head.multi_head_attention": {
        "x": X, "parameters": PARAMETERS, "memory": drawn(7, 6), "mask": np.ones((5, 7), bool),
        "value_memory": drawn(7, 6),
        "bias": drawn(5, 7), "query_offset": 2, "window": 3, "scale": 0.5, "softcap": 5.0, "top_k": 3,
        "sinks": drawn(2, 1, 1),
    },
    "multi_head.head_outputs": {"context": drawn(2, 5, 3), "w_o": drawn(6, 6)},
    "multi_head.one_head": {"parameters": PARAMETERS, "head": 1},
    "multi_head.divisors": {"number": 6},
    "one_head.walk": {
        "x": X, "w_q": drawn(6, 2), "w_k": drawn(6, 2), "w_v": drawn(6, 3), "b_q": drawn(2), "b_k": drawn(2),
        "b_v": drawn(3),
        "added": drawn(5, 6), "bias": drawn(5, 5), "mask": MASK, "divisor": 2.0, "temperature": 0.5,
    },
    "positions.sinusoidal": {"n": 5, "d_model": 6, "base": 100.0},
    "positions.wavelengths": {"d": 6, "base": 100.0},
    "positions.offset_matrix": {"offset": 2.0, "d_model": 6, "base": 100.0},
    "positions.learned": {"rng": generator(), "n": 5, "d_model": 6},
    "positions.rotary": {"n": 5, "d_k": 6, "base": 100.0},
    "positions.yarn": {"n": 5, "d_k": 6, "stretch": 2.0, "trained": 64, "base": 100.0, "fast": 32.0, "slow": 1.0},
    "positions.yarn_factor": {"stretch": 2.0},
    "positions.xpos_factors": {"n": 5, "d_k": 6, "gamma": 0.4, "scale_base": 512.0},
    "positions.turned": {"query": X, "key": X, "rotate": None},
    "positions.rotate": {"x": X, "angles": drawn(5, 3), "factor": drawn(5, 3)},
    "positions.alibi_slopes": {"num_heads": 6},
    "positions.alibi_bias": {"num_heads": 6, "n_q": 3, "n_k": 4, "query_offset": 1},
    "positions.relative_buckets": {"n_q": 3, "n_k": 4, "num_buckets": 8, "max_distance": 16, "query_offset": 1},
    "positions.relative_bias": {"table": drawn(8, 2), "n_q": 3, "n_k": 4, "max_distance": 16, "query_offset": 1},
    "positions.shaw_bias": {"query": X, "table": drawn(3, 6), "n_k": 5, "left": 1, "scale": 0.5, "query_offset": 0},
    "positions.shaw_context": {"weights": HEADS, "table": drawn(3, 6), "left": 1, "query_offset": 0},
    "trained.load": {"task": "reverse", "model": "luong", "trained_on": "short"},
    "trained.film": {"task": "reverse"},
    "trained.accuracy": {"task": "reverse", "model": "luong", "trained_on": "short"},
    "trained.training_of": {"task": "reverse", "model": "luong", "trained_on": "short"},
    "trained.answer": {"model": LEARNT, "task": trained.TASKS["reverse"], "source": ["a", "b"]},
    "trained.build": {"model": "luong", "tensors": TENSORS, "num_heads": 2, "half_width": 3},
    "training_recipe.teacher_forcing": {"sequence": "ab", "start": 0, "end": 1},
    "training_recipe.dropout": {"x": X, "p": 0.1, "rng": generator()},
    "training_recipe.learning_rate": {"step": [1, 2], "d_model": 8, "warmup": 4},
    "training_recipe.smoothed_targets": {"target": [0, 2], "num_classes": 3, "epsilon": 0.1},
    "training_recipe.cross_entropy": {"targets": weights(2, 3), "probabilities": weights(2, 3)},
    "training_recipe.averaged": {"checkpoints": [{"w": [1.0]}, {"w": [2.0]}]},
}  # fmt: skip

LABELS, PAIR = [*"vwxyz"], [*"ab"]
GOOD |= {
    "charts.arrows": {
        "vectors": drawn(2, 2),
        "labels": PAIR,
        "colors": ["#000000"] * 2,
        "theme": charts.LIGHT,
        "title": "a",
        "size": 300,
    },
    "charts.bars": {"values": drawn(5), "labels": LABELS, "theme": charts.LIGHT, "title": "a", "width": 300},
    "charts.concat_map": {"concat": drawn(5, 6), "num_heads": 2, "rows": LABELS, "theme": charts.LIGHT, "size": 300},
    "charts.counted": {"number": 3},
    "charts.csv": {"values": X[:, :2], "rows": LABELS, "columns": PAIR},
    "charts.dials": {"query": drawn(2), "key": drawn(2), "theme": charts.LIGHT, "names": PAIR, "width": 300},
    "charts.fan": {"dilations": [1, 2], "moved": drawn(8), "theme": charts.LIGHT, "width": 300, "layer": 50},
    "charts.work_grid": {
        "states": [[0, 1], [1, 1]],
        "kinds": {"done": "#112233", "now": "#445566"},
        "rows": PAIR,
        "columns": PAIR,
        "theme": charts.LIGHT,
        "title": "a",
        "size": 300,
    },
    "charts.growing_square": {"n": 5, "most": 9, "theme": charts.LIGHT, "title": "a", "size": 300},
    "charts.points": {
        "places": drawn(2, 2),
        "labels": PAIR,
        "kinds": PAIR,
        "colours": {"a": "#000000", "b": "#222222"},
        "theme": charts.LIGHT,
        "title": "a",
        "size": 300,
    },
    "charts.word_map": {
        "words": [PAIR, PAIR],
        "values": drawn(2, 2),
        "rows": PAIR,
        "columns": PAIR,
        "theme": charts.LIGHT,
        "title": "a",
        "width": 300,
    },
    "charts.words_csv": {"words": [PAIR, PAIR], "rows": PAIR, "columns": PAIR},
    "charts.head_grid": {
        "weights": HEADS[:, :, :2],
        "rows": LABELS,
        "columns": PAIR,
        "theme": charts.LIGHT,
        "width": 600,
    },
    "charts.head_groups": {"num_heads": 4, "num_kv_heads": 2, "theme": charts.LIGHT, "width": 300},
    "charts.head_switches": {"values": drawn(2, 3), "theme": charts.LIGHT, "title": "a", "size": 300},
    "charts.heatmap": {"values": X[:, :2], "rows": LABELS, "columns": PAIR, "theme": charts.LIGHT, "size": 300},
    "charts.layer_head_map": {"values": drawn(2, 3), "theme": charts.LIGHT, "title": "a", "size": 300},
    "charts.lines": {"weights": HEADS, "rows": LABELS, "columns": LABELS, "theme": charts.LIGHT, "across": 300},
    "charts.marked": {"written": PAIR, "wanted": LABELS},
    "charts.message": {"text": "a", "theme": charts.LIGHT, "title": "b"},
    "charts.mosaic": {"weights": drawn(2, 3, 5, 5), "theme": charts.LIGHT, "width": 300, "tallest": 500},
    "charts.overview": {"values": X[:, :2], "rows": LABELS, "columns": PAIR, "theme": charts.LIGHT, "size": 300},
    "charts.pairs": {
        "before": drawn(5),
        "after": drawn(5),
        "labels": LABELS,
        "theme": charts.LIGHT,
        "title": "a",
        "width": 300,
    },
    "charts.photo": {"image": drawn(8, 8, 3), "theme": charts.LIGHT, "title": "a", "size": 100},
    "charts.places": {
        "weights": drawn(5),
        "labels": LABELS,
        "theme": charts.LIGHT,
        "title": "a",
        "width": 300,
        "height": 100,
    },
    "charts.products": {"left": drawn(5), "right": drawn(5), "theme": charts.LIGHT, "title": "a", "width": 300},
    "charts.quoted": {"token": "a", "columns": 14},
    "charts.table": {"values": X[:, :2], "rows": LABELS, "columns": PAIR},
    "charts.theme_named": {"name": "dark"},
    "charts.token_labels": {"tokens": PAIR},
    "charts.token_strip": {"tokens": LABELS, "theme": charts.LIGHT, "width": 300},
    "charts.token_strip_width": {"tokens": LABELS, "across": 900, "down": 400, "size": 18},
    "charts.window_of": {"brush": {"x": [1, 9], "y": [1, 9]}, "shape": (50, 50), "span": 32},
}

BESIDE = charts.beside(charts.heatmap(X[:, :2], LABELS, PAIR, charts.LIGHT, size=80))
DRAWN = charts.specification(BESIDE)
FOLDER = tempfile.TemporaryDirectory()  # gone when the tests are done
FILE = {"figure": DRAWN, "about": {"Title": "a"}}
GOOD["charts.heatmap"] |= {"scale": charts.Scale(), "pick": charts.Pick(), "style": charts.Style()}
GOOD |= {
    "charts.curves": {
        "parts": [charts.Curve("a", [1, 2], [3, 4])], "theme": charts.LIGHT, "x": "n", "y": charts.Axis("share"),
        "title": "a", "width": 300, "height": 200, "marks": [(1.5, "here")],
    },
    "charts.diagram": {
        "boxes": [charts.Box("a", 0, 0, 50, 20)], "arrows": [[(0, 0), (9, 9)]], "theme": charts.LIGHT, "title": "a",
        "frames": [charts.Frame("f", 0, 0, 90, 90)], "width": 300, "height": 200, "pick": charts.Pick(),
    },
    "charts.enlarged": {"spec": DRAWN, "factor": 1.5},
    "charts.fit_to_room": {"spec": DRAWN, "room": 300.0, "tall": 300.0},
    "charts.html": FILE,
    "charts.npz": {"tables": {"a": ",b\nc,1\n"}, "settings": "{}"},
    "charts.panel": {"values": X[:, :2], "rows": LABELS, "columns": PAIR},
    **{f"charts.{kind}": FILE | {"width": 85.0} for kind in ("pdf", "png", "svg")},
    "charts.read_picture": {"data": PICTURE, "size": 5},
    "charts.save": FILE | {"path": f"{FOLDER.name}/a.svg", "width": 85.0},
    "charts.specification": {"chart": BESIDE},
    "charts.specified": {"figure": BESIDE},
    "charts.touched_cell": {"cell": 11.0, "count": 14},
    "charts.without_selection": {"figure": DRAWN},
}  # fmt: skip

UNDEFINED = {"cost.growth", "analysis.sensitivity.rank_agreement"}  # say in their docstrings when they return NaN
UNDEFINED |= {name for name in GOOD if name.startswith(("analysis.head_metrics", "analysis.head_table"))}


def functions():
    """Yield each public function of the core with its name."""
    for found in pkgutil.walk_packages(attn.__path__, "attn."):
        if found.name.split(".")[1] in LEFT_OUT or found.name.removeprefix("attn.") in TRAINING:
            continue
        module = importlib.import_module(found.name)
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == found.name and not name.startswith("_"):
                yield f"{found.name.removeprefix('attn.')}.{name}", function


def figures():
    """Yield each function of the face of the figures that people give something to, with its name."""
    for name in charts.__all__:
        if inspect.isfunction(function := getattr(charts, name)) and name not in LISTS:
            yield f"charts.{name}", function


FUNCTIONS = dict(functions()) | dict(figures())

WHOLE = [math.nan, math.inf, -1, 0, 2.5, 10**30, 10**12, "2", None, [], 1j]
REAL = [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e30, 10**400, "2", None, [], 1j]
ARRAY = ["2", None, 10**30, 1j, [[1.0], [1.0, 2.0]], [], 3.0, [None], ["a", "b"]]
TEXT = [None, 5, [], {}, b"ab"]
BYTES = [None, 5, [], "no file"]
OPTIONS = [None, 5, "dark", [], {}]
FIGURES = [None, 5, "no figure", [], {"a": 1}, {}]
LABELLED = [None, 5, [None], [], ["a"] * 9]
SEVERAL = [None, 5, "22", [2.5], [-1], [math.nan], [10**12], [[1]], []]


KINDS = {np.ndarray: ArrayLike, int: int, float: float, str: str, bytes: bytes, list: list, dict: dict}
OPTION_KINDS = {charts.Theme, charts.Axis, charts.Pick, charts.Scale, charts.Style}


def promised(parameter, good):
    """Return a parameter with an annotation: its own, or the kind of its good argument."""
    is_bare = parameter.annotation is parameter.empty
    kind = type(good)
    kind = dict if isinstance(good, alt.TopLevelMixin) else kind if kind in OPTION_KINDS else KINDS.get(kind, object)
    return parameter.replace(annotation=kind) if is_bare else parameter


def takes_array(parameter):
    """Say whether a parameter takes whatever numpy makes an array of."""
    members = alternatives(parameter)
    return all(one in members for one in typing.get_args(ArrayLike))


def alternatives(parameter):
    """Return the types of which a parameter takes any."""
    union = typing.get_origin(parameter.annotation) in (typing.Union, types.UnionType)
    return typing.get_args(parameter.annotation) if union else (parameter.annotation,)


def odd_values(parameter, good):
    """Return what a parameter does not promise to take."""
    members = alternatives(parameter)
    if takes_array(parameter):
        shape = np.shape(good)
        axes = [np.zeros((*shape[:axis], 0, *shape[axis + 1 :])) for axis in range(len(shape))]
        fewer = [np.ones(shape[:axis] + shape[axis + 1 :]) for axis in range(len(shape))]
        odd = [*ARRAY, *axes, *fewer, np.ones((2, 3, *shape))]
    elif float in members:
        odd = REAL
    elif int in members:
        odd = WHOLE
    elif any(one in members for one in (Sequence[int], Sequence[float], Sequence[int | None])):
        odd = SEVERAL
    elif str in members and parameter.name != "name":  # of an argument, in what is said of it
        odd = TEXT
    elif bytes in members:
        odd = BYTES
    elif list in members:
        odd = LABELLED
    elif dict in members and isinstance(good, dict | alt.TopLevelMixin):
        odd = FIGURES
    elif OPTION_KINDS & set(members):
        odd = OPTIONS
    else:
        return []
    allowed = types.NoneType in members or parameter.default is None
    return [value for value in odd if value is not None or not allowed]


def numbers(result):
    """Yield the arrays of numbers in a result."""
    if isinstance(result, np.ndarray | float | int | np.generic) and np.asarray(result).dtype.kind in "fiub":
        yield np.asarray(result)
    elif isinstance(result, dict):
        yield from (array for one in result.values() for array in numbers(one))
    elif isinstance(result, tuple | list):
        yield from (array for one in result for array in numbers(one))
    elif isinstance(result, attn.masks.Mask):
        yield result.visible
    elif hasattr(result, "__dataclass_fields__"):
        yield from numbers([getattr(result, name) for name in result.__dataclass_fields__])


def described(odd):
    """Return how an odd value is shown."""
    return f"array of shape {odd.shape}" if isinstance(odd, np.ndarray) else f"{odd!r:.60}"


def is_ours(said, argument):
    """Say whether an error is one sentence on what must hold and what came, and names the argument, if there is one.

    An array may be refused by the function that it is handed on to, and for another that it does not fit.
    """
    sentence = "\n" not in said and re.search(r"\b(must|takes)\b.+, got\b", said)
    return bool(sentence) and (argument is None or re.search(rf"\b{argument}\b", said))


def faults(name, function):
    """Return what a function does with odd arguments that it should not."""
    good = GOOD[name]
    parameters = inspect.signature(function, eval_str=True, locals={"PIL": PIL}).parameters
    expected = list(numbers(function(**good)))
    limits = any(np.isinf(array).any() for array in expected)
    for argument, parameter in parameters.items():
        if argument not in good:
            continue
        parameter = promised(parameter, good[argument])
        for odd in odd_values(parameter, good[argument]):
            shown = f"{name}({argument}={described(odd)})"
            is_array = takes_array(parameter)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    result = list(numbers(function(**(good | {argument: odd}))))
            except ValueError as error:
                others = is_array or (
                    parameter.annotation in (list, dict) and isinstance(odd, list | dict)
                )  # that it does not fit
                if not is_ours(said := str(error), None if others or odd == 0 else argument):
                    yield f"{shown} says: {said}"
            except Exception as error:
                yield f"{shown} raises {error!r:.200}"
            else:
                if name not in UNDEFINED and any(np.isnan(array).any() for array in result):
                    yield f"{shown} gives NaN"
                if not limits and any(np.isinf(array).any() for array in result):
                    yield f"{shown} gives infinity"
                if not is_array and not {one.ndim for one in result} <= {one.ndim for one in expected}:
                    yield f"{shown} gives another shape"


def test_every_public_function_has_good_arguments():
    assert set(GOOD) == set(FUNCTIONS)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if GOOD.get(name)])
def test_an_odd_argument_is_refused_in_one_sentence_that_names_it_or_has_a_result(name):
    assert list(faults(name, FUNCTIONS[name])) == []


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name.startswith("cost.") and GOOD.get(name)])
def test_costs_of_small_numpy_integers_do_not_overflow(name):
    good, function = GOOD[name], FUNCTIONS[name]
    small = {key: np.int8(value) for key, value in good.items() if type(value) is int}
    assert function(**good | small) == function(**good)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        function(**good | {key: np.int8(120) for key in small})


@pytest.mark.parametrize("odd", [None, 1j, [], {}, [None], b"a", np.zeros((2, 2))], ids=described)
def test_figures_of_several_parts_refuse_what_is_none(odd):
    panel = charts.panel(X[:, :2], LABELS, PAIR)
    for name, draw in (
        ("charts", lambda: charts.beside(BESIDE, odd)),
        ("charts", lambda: charts.above(odd)),
        ("spacing", lambda: charts.beside(BESIDE, spacing=odd)),
        ("parts", lambda: charts.panels(charts.LIGHT, 500, panel, odd)),
        ("room", lambda: charts.panels(charts.LIGHT, odd, panel)),
        ("tallest", lambda: charts.panels(charts.LIGHT, 500, panel, tallest=odd)),
        ("largest", lambda: charts.panels(charts.LIGHT, 500, panel, largest=odd)),
        ("decimals", lambda: charts.panels(charts.LIGHT, 500, panel, decimals=[odd])),
    ):
        with pytest.raises(ValueError, match=r"must .*, got") as raised:
            draw()
        assert is_ours(str(raised.value), name), str(raised.value)


def test_figures_of_no_part_are_refused():
    for draw in (charts.beside, charts.above, lambda: charts.panels(charts.LIGHT, 500)):
        with pytest.raises(ValueError, match=r"must .* got"):
            draw()
