"""Whether a family is given what transformers itself would make of a text: its ids, and in a decoder its own shift."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from attn.pretrained.errors import ModelError, first_line
from attn.pretrained.families import tiny_models
from attn.pretrained.families.tiny_tokenizers import PAIR, TEXT, tiny_tokenizer
from attn.pretrained.inputs.prepare import own_shift, prepare
from attn.pretrained.loading.load import wrap
from attn.pretrained.recording.record import OwnWeights
from attn.pretrained.verdict import input_finding

if TYPE_CHECKING:
    from attn.pretrained.families.tiny_models import Tiny

SAME_IDS, SAME_SHIFT = "same ids", "same shift"
ALL_SAME = (SAME_IDS, SAME_SHIFT, f"{SAME_IDS}, {SAME_SHIFT}")
_HEADS = ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES")


def reads(family: str, built: Tiny) -> str:
    """Say whether a tiny model is given what transformers itself would make of a text.

    Parameters
    ----------
    family
    built

    Returns
    -------
    str
        Such as ``same ids, same shift``; what is otherwise or cannot be known, with the reason; empty where the
        family reads no text.
    """
    accepted = inspect.signature(built.model.forward).parameters
    found = []
    _name_the_first_token(built.model.config)
    for name, compare in (("input_ids", _ids), ("decoder_input_ids", _shift)):
        if name in accepted:
            try:
                found.append(compare(family, built))
            except ModelError as error:
                found.append(f"not known: {error}")
            except Exception as error:  # whatever a family's tokenizer or forward raises
                found.append(f"not known: {type(error).__name__}, {first_line(error, 100)}")
    return ", ".join(found)


def _name_the_first_token(config):
    """Say which token a decoder begins with, as every checkpoint does: configurations alone do not."""
    for name, id in (("pad_token_id", 1), ("decoder_start_token_id", 2)):
        if getattr(config, name, None) is None:
            setattr(config, name, id)


def _ids(family, built):
    """Compare what we make of a text and of a pair with what the tokenizer of the family makes."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = wrap(built.model, tiny_tokenizer(family, Path(folder)))
        for pair in (None, PAIR):
            made = prepare(loaded, TEXT, pair)
            read = pair, made.decoder_tokens, loaded, made.inputs
            finding = input_finding(OwnWeights(TEXT, made.tokens, made.truncated_from, (), (), *read))
            if not finding.holds:
                return f"{'not known' if finding.holds is None else 'other ids'}: {finding}"
    return SAME_IDS


def _shift(family, built):
    """Compare what we let a decoder read with what it reads when the model itself is told what to say."""
    model = _with_head(family, built)
    if "labels" not in inspect.signature(model.forward).parameters or not built.inputs:
        raise ModelError("no model of the family is told what its decoder is to say")
    labels = built.inputs["decoder_input_ids"]
    ours = own_shift(wrap(model), labels)
    if ours is None:
        return "no shift of its own"
    read = _read_by(model, {name: each for name, each in built.inputs.items() if name != "decoder_input_ids"}, labels)
    bare = own_shift(wrap(built.model), labels)
    same = any(ours.shape == each.shape and bool((ours == each).all()) for each in read)
    return SAME_SHIFT if same and bare is not None and bool((bare == ours).all()) else "another shift"


def _with_head(family, built):
    """Return a tiny model of the family that predicts words, or the model itself where there is none."""
    import transformers
    from transformers.models.auto import modeling_auto

    name = next((found for each in _HEADS if (found := getattr(modeling_auto, each).get(family))), None)
    return tiny_models.build(getattr(transformers, name), built.model.config) if name else built.model


def _read_by(model, inputs, labels):
    """Return all ids that a model embeds when it is told what to say."""
    import torch

    read = []
    hooks = [
        module.register_forward_pre_hook(lambda module, args: read.extend(filter(torch.is_tensor, args)))
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
    ]
    try:
        with torch.inference_mode():
            model(**inputs, labels=labels)
    finally:
        for hook in hooks:
            hook.remove()
    return read
