"""Small random models of transformers, and what `attn.models` makes of their checkpoints."""

import torch
import transformers

from attn.models import bert, gpt2, llama

VOCABULARY, TOKENS, MOST = 97, 29, 64
COMMON = {"vocab_size": VOCABULARY, "max_position_embeddings": MOST, "intermediate_size": 71, "num_hidden_layers": 5}
COMMON |= {"hidden_size": 44, "num_attention_heads": 4, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DECODER = COMMON | {"num_key_value_heads": 2, "head_dim": 12}
GPT2 = {"n_embd": 44, "n_layer": 3, "n_head": 4, "vocab_size": VOCABULARY, "n_positions": MOST}
GPT2 |= {"bos_token_id": 1, "eos_token_id": 2}


def scaled(kind, **numbers):
    """Return what a configuration says of scaled rotary positions."""
    return {"rope_parameters": {"rope_theta": 10_000.0, "rope_type": kind, **numbers}}


LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
LONGROPE = {"long_factor": [1.0, 1.5, 2.0, 3.0, 5.0, 7.0], "short_factor": [1.0, 1.0, 1.1, 1.2, 1.3, 1.5]}
DECODERS = {
    "Llama": ("Llama", DECODER),
    "Llama with biases": ("Llama", DECODER | {"attention_bias": True, "tie_word_embeddings": True}),
    "Llama 3.1": ("Llama", DECODER | scaled("llama3", **LLAMA3)),
    "linear scaling": ("Llama", DECODER | scaled("linear", factor=4.0)),
    "dynamic scaling": ("Llama", DECODER | {"max_position_embeddings": 16} | scaled("dynamic", factor=4.0)),
    "YaRN": ("Llama", DECODER | scaled("yarn", factor=4.0, original_max_position_embeddings=16)),
    "Mistral": ("Mistral", DECODER | {"sliding_window": 5}),
    "Qwen 2": ("Qwen2", DECODER | {"hidden_size": 48}),
    "Qwen 2 with windows": (
        "Qwen2",
        DECODER | {"hidden_size": 48, "use_sliding_window": True, "max_window_layers": 2, "sliding_window": 7},
    ),
    "Qwen 3": ("Qwen3", DECODER),
    "SmolLM 3": ("SmolLM3", DECODER),
    "Phi-3": ("Phi3", DECODER),
    "Phi-3 for long texts": (
        "Phi3",
        DECODER | {"hidden_size": 48, "original_max_position_embeddings": 16} | scaled("longrope", **LONGROPE),
    ),
    "Gemma": ("Gemma", DECODER),
    "Gemma 2": ("Gemma2", DECODER | {"sliding_window": 5, "query_pre_attn_scalar": 9}),
    "Gemma 3": (
        "Gemma3Text",
        DECODER
        | {"num_hidden_layers": 7, "sliding_window": 5, "query_pre_attn_scalar": 9, "final_logit_softcapping": 7.0},
    ),
    "OLMo 2": ("Olmo2", DECODER),
    "GPT-2": ("GPT2", GPT2),
    "GPT-2 scaled by layer": ("GPT2", GPT2 | {"scale_attn_by_inverse_layer_idx": True, "n_inner": 53}),
}
ENCODERS = {
    "BERT": ("Bert", COMMON),
    "RoBERTa": ("Roberta", COMMON | {"pad_token_id": 1}),
    "DistilBERT": (
        "DistilBert",
        {"dim": 44, "hidden_dim": 71, "n_layers": 3, "n_heads": 4, "vocab_size": VOCABULARY}
        | {"max_position_embeddings": MOST},
    ),
}


def peer(kind, numbers, auto):
    """Return a random model of transformers, no number of which is at its start."""
    config = getattr(transformers, f"{kind}Config")(**numbers)
    torch.manual_seed(0)
    model = auto.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


def arrays(model):
    """Return the tensors of a model of transformers as numpy has them."""
    return {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def of_checkpoint(model):
    """Return the file that computes a model of transformers, and what it makes of its checkpoint."""
    config = model.config.to_dict()
    line = next(each for each in (llama, gpt2, bert) if config["model_type"] in each.FAMILIES)
    return line, line.from_checkpoint(arrays(model), config)
