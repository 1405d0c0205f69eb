"""Whole models in numpy beside transformers: every state and score of a small random model of each family, and of the
real models that are here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn.data import examples
from attn.models import bert, gpt2, llama, t5
from attn.pretrained import bert as encoders
from attn.pretrained import language_model
from attn.pretrained.agreement import token_difference
from attn.pretrained.errors import ModelError
from attn.pretrained.loading import catalogue, smollm2
from attn.pretrained.loading.load import load

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VOCABULARY, TOKENS, MOST = 97, 29, 64  # sizes that share no factor, so that a swapped axis shows
_TEXTS = 3  # that each real model reads
_NOISE = 0.15  # added to every parameter, so that none is still at its start
_COMMON = {"vocab_size": VOCABULARY, "max_position_embeddings": MOST, "intermediate_size": 71, "num_hidden_layers": 5}
_COMMON |= {"hidden_size": 44, "num_attention_heads": 4, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_DECODER: dict[str, Any] = _COMMON | {"num_key_value_heads": 2, "head_dim": 12}
_GPT2: dict[str, Any] = {"n_embd": 44, "n_layer": 3, "n_head": 4, "vocab_size": VOCABULARY, "n_positions": MOST}
_GPT2 |= {"bos_token_id": 1, "eos_token_id": 2}


def _scaled(kind, **numbers):
    """Return what a configuration says of scaled rotary positions."""
    return {"rope_parameters": {"rope_theta": 10_000.0, "rope_type": kind, **numbers}}


_LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
_LONGROPE = {"long_factor": [1.0, 1.5, 2.0, 3.0, 5.0, 7.0], "short_factor": [1.0, 1.0, 1.1, 1.2, 1.3, 1.5]}
_WINDOWS = {"use_sliding_window": True, "max_window_layers": 2, "sliding_window": 7}
_GEMMA3 = {"num_hidden_layers": 7, "sliding_window": 5, "query_pre_attn_scalar": 9, "final_logit_softcapping": 7.0}
_DISTILBERT = {"dim": 44, "hidden_dim": 71, "n_layers": 3, "n_heads": 4}
_DISTILBERT |= {"vocab_size": VOCABULARY, "max_position_embeddings": MOST}

DECODERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("Llama", _DECODER),
    "Llama with biases": ("Llama", _DECODER | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "Llama 3.1": ("Llama", _DECODER | _scaled("llama3", **_LLAMA3)),
    "linear scaling": ("Llama", _DECODER | _scaled("linear", factor=4.0)),
    "dynamic scaling": ("Llama", _DECODER | {"max_position_embeddings": 16} | _scaled("dynamic", factor=4.0)),
    "YaRN": ("Llama", _DECODER | _scaled("yarn", factor=4.0, original_max_position_embeddings=16)),
    "Mistral": ("Mistral", _DECODER | {"sliding_window": 5}),
    "Qwen 2": ("Qwen2", _DECODER | {"hidden_size": 48}),
    "Qwen 2 with windows": ("Qwen2", _DECODER | {"hidden_size": 48, **_WINDOWS}),
    "Qwen 3": ("Qwen3", _DECODER),
    "SmolLM 3": ("SmolLM3", _DECODER),
    "Phi-3": ("Phi3", _DECODER),
    "Phi-3 for long texts": (
        "Phi3",
        _DECODER | {"hidden_size": 48, "original_max_position_embeddings": 16} | _scaled("longrope", **_LONGROPE),
    ),
    "Gemma": ("Gemma", _DECODER),
    "Gemma 2": ("Gemma2", _DECODER | {"sliding_window": 5, "query_pre_attn_scalar": 9}),
    "Gemma 3": ("Gemma3Text", _DECODER | _GEMMA3),
    "OLMo 2": ("Olmo2", _DECODER),
    "GPT-2": ("GPT2", _GPT2),
    "GPT-2 scaled by layer": ("GPT2", _GPT2 | {"scale_attn_by_inverse_layer_idx": True, "n_inner": 53}),
}
"""Name -> class of transformers and what its configuration says, of models that write."""

ENCODERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "BERT": ("Bert", _COMMON),
    "RoBERTa": ("Roberta", _COMMON | {"pad_token_id": 1}),
    "DistilBERT": ("DistilBert", _DISTILBERT),
}
"""The same of models that read."""

_T5: dict[str, Any] = {"d_model": 44, "d_kv": 12, "d_ff": 71, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4}
_T5 |= {"vocab_size": VOCABULARY, "relative_attention_num_buckets": 12, "relative_attention_max_distance": 17}
_GATED = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
READERS_AND_WRITERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "T5": ("T5", _T5),
    "T5 1.1, Flan-T5": ("T5", _T5 | _GATED),
    "mT5": ("MT5", _T5 | _GATED),
}
"""The same of models that read one text and write another."""

Whole = bert.Bert | gpt2.GPT2 | llama.Llama | t5.T5


class Parity(NamedTuple):
    """How far a whole model in numpy is from transformers."""

    name: str
    states: float  # of the hidden states of any layer, as `attn.pretrained.agreement.token_difference` measures it
    scores: float | None  # the same of the scores of the next token; None where a model has none
    tokens: int


def random_model(name: str) -> PreTrainedModel:
    """Return a small random model of transformers, no number of which is at its start.

    Parameters
    ----------
    name
        A key of `DECODERS`, `ENCODERS` or `READERS_AND_WRITERS`.
    """
    import torch
    import transformers

    kind, numbers = {**DECODERS, **ENCODERS, **READERS_AND_WRITERS}[name]
    autos = {transformers.AutoModelForCausalLM: DECODERS, transformers.AutoModelForSeq2SeqLM: READERS_AND_WRITERS}
    auto = next((auto for auto, names in autos.items() if name in names), transformers.AutoModel)
    config = getattr(transformers, f"{kind}Config")(**numbers)
    torch.manual_seed(0)
    model = auto.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * _NOISE)
    return model


def in_numpy(model: PreTrainedModel) -> tuple[ModuleType, Whole]:
    """Return the file of `attn.models` that computes a model of transformers, and what that makes of its weights."""
    config = model.config.to_dict()
    line = next(each for each in (llama, gpt2, bert, t5) if config["model_type"] in each.FAMILIES)
    tensors = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    return line, line.from_checkpoint(tensors, config)


def pass_in_numpy(model: Whole, ids: np.ndarray) -> tuple[list, np.ndarray | None]:
    """Return the states before each layer with the output of a model, and the scores of the next token or None.

    Of a model that reads and writes those of its encoder, then those of its decoder, which is given the same tokens.
    """
    if isinstance(model, t5.T5):
        both = t5.forward(model, ids, ids)
        start = model.embedding[ids]
        read = [start, *(layer.output for layer in both.encoder[:-1]), both.memory]
        return [*read, start, *(layer.output for layer in both.decoder[:-1]), both.output], both.logits
    if isinstance(model, bert.Bert):
        passed = bert.forward(model, ids)
        return [*(block.hidden for block in passed.blocks), passed.output], None
    line = llama if isinstance(model, llama.Llama) else gpt2
    written = line.forward(model, ids)  # type: ignore[arg-type]
    return [*written.states[:-1], written.output], written.logits


def parity(name: str, ours: Whole, theirs: PreTrainedModel, texts: Iterable) -> Parity:
    """Pass texts through a model in numpy and through transformers.

    Parameters
    ----------
    name
        Of the row.
    ours
    theirs
    texts
        Token ids of each.
    """
    import torch

    states, scores, tokens = 0.0, None, 0
    for ids in texts:
        our_states, our_scores = pass_in_numpy(ours, ids)
        given = {"input_ids": torch.tensor(ids)[None]}
        given |= {"decoder_input_ids": given["input_ids"]} if isinstance(ours, t5.T5) else {}
        with torch.inference_mode():
            passed = theirs(**given, output_hidden_states=True)
        sides = ("encoder_hidden_states", "decoder_hidden_states") if isinstance(ours, t5.T5) else ("hidden_states",)
        their_states = [state for side in sides for state in passed[side]]
        for one, other in zip(our_states, their_states, strict=True):
            states = max(states, token_difference(one, other[0].numpy()))
        if our_scores is not None:
            scores = max(scores or 0.0, token_difference(our_scores, passed.logits[0].numpy()))
        tokens += len(ids)
    return Parity(name, states, scores, tokens)


def walk() -> Iterator[Parity]:
    """Hold every small random model, and the real ones that are here, against transformers."""
    ids = np.random.default_rng(3).integers(3, VOCABULARY, TOKENS)
    for name in (*DECODERS, *ENCODERS, *READERS_AND_WRITERS):
        theirs = random_model(name)
        yield parity(name, in_numpy(theirs)[1], theirs, [ids])
    sentences = [sentence.text for sentence in examples.SENTENCES[:_TEXTS]]
    encoder = encoders.load()
    read = [np.array(encoder.tokenizer.encode(text).ids) for text in sentences]
    yield parity(catalogue.DEFAULT, encoder.model, load(catalogue.DEFAULT).model, read)
    try:
        writer = language_model.load(smollm2.NAME)
    except ModelError:  # it is not installed
        return
    read = [np.array(writer.tokenizer.tokenizer.encode(text).ids) for text in sentences]
    yield parity(smollm2.NAME, writer.model, load(smollm2.NAME).model, read)


def table(rows: Iterable[Parity]) -> str:
    """Return a table in Markdown of what was found."""
    head = "| model | hidden states | scores of the next token | tokens |\n|---|---|---|---|\n"
    return head + "".join(
        f"| {row.name} | {_power(row.states)} | {'' if row.scores is None else _power(row.scores)} | {row.tokens} |\n"
        for row in rows
    )


def _power(number):
    """Write a small number with one digit, which another processor may move."""
    return f"{number:.0e}".replace("e-0", "e−").replace("e-", "e−")
