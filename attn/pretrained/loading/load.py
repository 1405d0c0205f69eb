"""Models of transformers, loaded once and shared: in float32, and ready to be recorded."""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import math
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from attn.pretrained.errors import ModelError, explain, first_line, takes
from attn.pretrained.inputs import languages, tokens, vocabulary
from attn.pretrained.loading import (
    adapters,
    catalogue,
    configured_size,
    model_files,
    safetensors_file,
    weights_report,
)
from attn.pretrained.loading.tidy_folder import tidied
from attn.pretrained.recording import registry, tiles, torch_attention

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    import transformers

    from attn.pretrained.loading.catalogue import Settings

_LONGEST = 4096  # tokens, where a pass need not hold the weights of all heads
_SOUNDS = ("input_features", "input_values")  # how families call what they hear
_PICTURES = {"pixel_values", "image_patches", "image"}  # what they see
_TEXTS = {"input_ids"}  # and what they read
_OF_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt", "merges.txt",
    "spiece.model", "sentencepiece.bpe.model", "source.spm", "target.spm", "bpe.codes",
)  # fmt: skip
_SAVE_TOKENIZER = "tokenizer.save_pretrained(folder) puts one beside the weights"
_OTHER_LIBRARIES = {  # what only their configurations say -> whose they are
    **{"_diffusers_version": "diffusers", "pretrained_cfg": "timm", "registered_name": "Keras"},
    **{"apply_pca": "model2vec (without attention)", "apply_zipf": "model2vec (without attention)"},
    **{"alignment_heads": "CTranslate2", "lang_ids": "CTranslate2", "add_source_bos": "CTranslate2"},
}
_KINDS: dict[str, tuple[type, str]] = {  # what transformers reads before it checks it
    **{"model_type": (str, "a text"), "architectures": (list, "a list"), "dtype": (str, "a text")},
    **dict.fromkeys(("id2label", "label2id", "rope_scaling", "rope_parameters"), (dict, "an object")),
    **dict.fromkeys(("text_config", "vision_config", "audio_config"), (dict, "an object")),
}
_TYPES = {  # names of types in its errors -> what they are called in JSON
    **{"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "NoneType": "null"},
    **{"list": "a list", "tuple": "a list", "dict": "an object"},
}
_building = threading.Lock()  # transformers changes its own classes meanwhile, and torch has one seed for all threads


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model ready to be recorded, safe to share between threads.

    Parameters
    ----------
    model : torch.nn.Module
        In eval mode: a model of transformers, or one built of torch's own parts. Outside a recorded pass it works as
        it was made: one that was loaded here with transformers' eager attention, a wrapped one with what it had.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        None where the model reads no text.
    name
        As the user named it.
    where : {"package", "folder", "cache", "hub", "memory"}
    family
        The `model_type` of its configuration, such as ``bert``; without one the name of its class.
    num_layers
        Attention layers one pass goes through: of encoder and decoder, cross-attention included.
    num_heads, num_kv_heads, d_k
        None where the configuration does not say.
    max_tokens
        Longest text that one pass takes: what the model can read, and what fits in memory.
    recordable
        Whether the family asks the registry, so that its attention can be recorded.
    random_weights
    note
        What to know of its weights, as a sentence; empty where there is nothing to say.
    image_processor : transformers.BaseImageProcessor or None
        What makes inputs of a picture (`attn.pretrained.image_inputs`).
    feature_extractor : transformers.SequenceFeatureExtractor or None
        What makes inputs of a sound (`attn.pretrained.audio_inputs`).
    processor : transformers.ProcessorMixin or None
        What makes inputs of a picture and a text together (`attn.pretrained.image_inputs`).
    alignment_heads : tuple of (int, int)
        Heads of cross-attention that follow a sound word by word, as ``generation_config.json`` names those of
        Whisper: pairs of `Layer.block` and head, both counted from 0. Empty where a checkpoint names none.
    weights
        How far the file filled the model; None where there is no file.
    source_language, target_language : str or None
        Languages of the texts that the encoder and the decoder read, by the tokenizer's own codes. None leaves
        those that the tokenizer has. See `in_languages`.
    speech_task : {"transcribe", "translate"} or None
        What a Whisper does with the speech that it hears. None leaves what its tokenizer has.
    base : Loaded or None
        Of a model with an adapter (LoRA): the same model without it, which shares all weights that it left.
    """

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    name: str
    where: str
    family: str
    num_layers: int
    num_heads: int | None
    num_kv_heads: int | None
    d_k: int | None
    max_tokens: int
    recordable: bool
    random_weights: bool = False
    note: str = ""
    image_processor: Any = field(default=None, repr=False)
    feature_extractor: Any = field(default=None, repr=False)
    processor: Any = field(default=None, repr=False)
    alignment_heads: tuple = ()
    weights: weights_report.WeightsReport | None = field(default=None, repr=False)
    source_language: str | None = None
    target_language: str | None = None
    speech_task: str | None = None
    base: Loaded | None = field(default=None, repr=False)

    @property
    def lock(self) -> threading.RLock:  # type: ignore[valid-type]
        """What to hold while its tokenizer works, see `attn.pretrained.inputs.tokens.lock_of`."""
        return tokens.lock_of(self.tokenizer)

    @property
    def takes(self) -> str:
        """What a pass begins with: "text", "picture", "picture and text" or "sound"."""
        if self.feature_extractor is not None and self.model.main_input_name in _SOUNDS:
            return "sound"
        if self.image_processor is None:
            return "text"
        accepted = inspect.signature(self.model.forward).parameters
        if self.tokenizer is None or not accepted.keys() & _TEXTS:
            return "picture"
        laid_out = "bbox" in accepted  # reads words that something else has found in a picture
        return "text" if laid_out or not accepted.keys() & _PICTURES else "picture and text"

    @property
    def number_type(self) -> str:
        """Type of the numbers that the model computes with, such as "float32" or "bfloat16"."""
        first = next((each for each in self.model.parameters() if each.is_floating_point()), None)
        return "float32" if first is None else str(first.dtype).removeprefix("torch.")

    @property
    def predicts_words(self) -> bool:
        """Whether a pass ends in how likely each word of the vocabulary is."""
        return getattr(self.model, "get_output_embeddings", lambda: None)() is not None

    @property
    def task(self) -> str | None:
        """What a fine-tuned classifier tells: "text", its class; "tokens", that of each; "answer", where it stands.

        None of a model that is no such classifier.
        """
        tasks = {"SequenceClassification": "text", "TokenClassification": "tokens", "QuestionAnswering": "answer"}
        head = type(self.model).__name__.rpartition("For")[2].removesuffix("Simple")
        return tasks.get(head)

    @property
    def source_languages(self) -> tuple[str, ...]:
        """Codes of the languages that the encoder's text may be in; empty where there is nothing to choose."""
        return languages.source_languages(self.tokenizer)

    @property
    def target_languages(self) -> tuple[str, ...]:
        """Codes of the languages that the decoder's text may be in; empty where there is nothing to choose."""
        return languages.target_languages(self.tokenizer)

    @property
    def speech_tasks(self) -> tuple[str, ...]:
        """What it can be told to do with speech: write it down, or write it down in English. Empty of all others."""
        return languages.speech_tasks(self.tokenizer)

    def in_languages(
        self, source: str | None = None, target: str | None = None, speech_task: str | None = None
    ) -> Loaded:
        """Return the same model, reading texts in two languages.

        Parameters
        ----------
        source, target : str, optional
            Of the texts of encoder and decoder; by default left as they are. Whisper's target is the language that
            it hears.
        speech_task : {"transcribe", "translate"}, optional
            What a Whisper, once it has a language, does with what it hears: writes it down as it is, or in English.

        Returns
        -------
        Loaded
            Shares model and tokenizer.

        Raises
        ------
        ValueError
            If the tokenizer does not know the language or the task, or a task comes without a language.
        """
        if source is None and target is None and speech_task is None:
            return self
        languages.check("source_language", source, self.source_languages)
        languages.check("target_language", target, self.target_languages)
        languages.check("speech_task", speech_task, self.speech_tasks)
        source, target = source or self.source_language, target or self.target_language
        task = speech_task or self.speech_task
        if task and not target:  # of Whisper's first tokens the task is the one behind the language
            raise ValueError(f"a speech_task must come with a target_language, which is heard, got {task!r} alone")
        base = None if self.base is None else self.base.in_languages(source, target, task)
        return replace(self, source_language=source, target_language=target, speech_task=task, base=base)


@takes(settings="Settings")
def load(
    name_or_path: str | Path = catalogue.DEFAULT,
    *,
    random_weights: bool = False,
    size_limit: int | None = None,
    progress: Callable | None = None,
    settings: Settings | None = None,
) -> Loaded:
    """Load a model and what makes inputs for it: from its package, a folder, the local cache, or the hub.

    Only safetensors are read and no code of a repository is ever run. An adapter (LoRA) beside the model is applied,
    and one alone to the model that it names; `Loaded.base` is the model without it.

    Parameters
    ----------
    name_or_path
        A hub id (owner/name, owner/name@revision), a folder, or a link to one of them.
    random_weights
        Draw the weights instead, always the same ones: the architecture without the training.
    size_limit
        Most bytes the model may have, on disk or in memory; by default that of `settings`.
    progress
        Called during a download with the bytes that have arrived and the bytes expected.
    settings
        What is allowed here; by default any model of at most 2 GB.

    Raises
    ------
    ModelError
        If there is no such model, it is gated, the hub cannot be reached, it has no safetensors, a
        file is damaged or does not hold every tensor of the model, its weights are quantised, it is too
        large, has no attention, nothing that makes inputs of a text, picture or sound, or needs code of its own.

    Examples
    --------
    >>> load().num_layers, load().num_heads
    (6, 12)
    """
    settings = settings or catalogue.Settings()
    preflight = catalogue.inspect(name_or_path, settings=settings)
    size_limit = settings.size_limit if size_limit is None else size_limit
    catalogue.check_size(preflight, size_limit)
    adapter = preflight.adapter and catalogue.fetch(preflight.adapter, progress)
    with tidied(catalogue.fetch(preflight, progress), preflight.name) as folder:
        loaded, note = _of_folder(folder, adapter, preflight, size_limit, random_weights)
    if adapter is None or random_weights:
        return loaded
    return _with_adapter(loaded, adapter, preflight.adapter.name, note)


def _of_folder(folder, adapter, preflight, size_limit, random_weights):
    """Load a model out of its folder, to read as the tokenizer of its adapter does if that brings one; and its note."""
    try:
        config, own = _config(folder, preflight.name)
        readers = adapter if adapter and any((adapter / file).is_file() for file in _OF_TOKENIZERS) else folder
        tokenizer, others = _readers(readers, config, preflight.name)
        if preflight.where != "package":  # whose configuration is known
            with _building:
                configured_size.check_built_size(lambda: _built(copy.deepcopy(config)), preflight.name, size_limit)
        if random_weights:
            model, weights, note = _random_model(config), None, own
        else:
            model, weights, note = _model(folder, config, preflight.name)
            note = " ".join(filter(None, (preflight.note, own, note)))
    except Exception as error:  # transformers raises many kinds; each becomes one sentence
        raise explain(error, preflight.name) from error
    loaded = _describe(model, tokenizer, preflight.name, preflight.where, random_weights)
    heads, about_heads = _own_heads(model, _alignment_heads(folder))
    whole = " ".join(filter(None, (note, vocabulary.without_embeddings(model, tokenizer), about_heads)))
    loaded = replace(loaded, note=whole, weights=weights, alignment_heads=heads, **others)
    if loaded.takes == "picture and text":
        loaded = replace(loaded, processor=_processor(folder, loaded.family, {"tokenizer": tokenizer} | others))
    return loaded, note


def _with_adapter(base, folder, name, note):
    """Return a model with an adapter in its weights, which keeps the one without; `note` is on its other weights."""
    try:
        adapter = adapters.read_adapter(model_files.of_folder(folder, name), folder)
        model, merged = adapters.merge(base.model, adapter)
    except Exception as error:  # its tensors and its configuration may hold anything
        raise explain(error, name) from error
    registry.install(model)
    unread = vocabulary.without_embeddings(model, base.tokenizer)  # an adapter may bring embeddings of more tokens
    note = " ".join(filter(None, (note, adapters.sentence(merged), unread)))
    return replace(base, model=model, name=name, note=note, base=base)


def wrap(
    model: torch.nn.Module,
    tokenizer: transformers.PreTrainedTokenizerBase | None = None,
    *,
    image_processor: transformers.BaseImageProcessor | None = None,
    feature_extractor: transformers.SequenceFeatureExtractor | None = None,
    processor: transformers.ProcessorMixin | None = None,
    name: str | None = None,
) -> Loaded:
    """Make a model that is in memory recordable.

    Parameters
    ----------
    model
        A model of transformers; a SentenceTransformer, whose first module is taken, with its tokenizer; or any
        module that attends with `torch.nn.MultiheadAttention` (as `torch.nn.TransformerEncoder` and the like do),
        with torch's `scaled_dot_product_attention`, or with a model of transformers inside.
        Put in eval mode, in which it is recorded; `Loaded.note` says so if it was not. Nothing else of it
        changes: outside a recorded pass it works as before, with the attention it had.
    tokenizer
        Needed to record texts; without it give `inputs`, by the names that the model's forward has for them.
    image_processor
        Needed by `image_inputs`.
    feature_extractor
        Needed by `audio_inputs`.
    processor
        Brings tokenizer, image processor and feature extractor, where these are not given.
    name
        By default the name in the configuration, or the class.

    Raises
    ------
    ModelError
        If there is no attention in the model, or none that can be recorded in one that is not of transformers.

    Examples
    --------
    >>> import torch
    >>> from attn import pretrained
    >>> loaded = wrap(torch.nn.MultiheadAttention(6, 2, batch_first=True))
    >>> x = torch.ones(1, 5, 6)
    >>> recording = pretrained.record(loaded, inputs={"query": x, "key": x, "value": x})
    >>> recording.layers[0].weights().shape
    (1, 2, 5, 5)
    """
    import torch
    from transformers import PreTrainedModel

    parts = {"tokenizer": tokenizer, "image_processor": image_processor, "feature_extractor": feature_extractor}
    others = {part: getattr(processor, part, None) if given is None else given for part, given in parts.items()}
    tokenizer = others.pop("tokenizer")
    if not isinstance(model, torch.nn.Module):
        raise ModelError(f"a model must be a torch.nn.Module, got {type(model).__name__}")
    if tokenizer is not None and not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise ModelError(f"a tokenizer must be one of transformers, got {type(tokenizer).__name__}")
    was_training, model = model.training, model.eval()
    model, tokenizer, limit = _first_of_sentence_transformer(getattr(model, "_orig_mod", model), tokenizer)
    name = name or getattr(getattr(model, "config", None), "name_or_path", "") or type(model).__name__
    note = f"{name} was in training mode and is now in eval mode; model.train() takes it back." if was_training else ""
    loaded = _describe(model, tokenizer, name, "memory", False)
    if not loaded.recordable and not isinstance(model, PreTrainedModel):
        raise ModelError(
            f"{name} attends in a way of its own: a model that is not of transformers is recorded where it uses "
            "torch.nn.MultiheadAttention or torch's scaled_dot_product_attention"
        )
    named = getattr(getattr(model, "generation_config", None), "alignment_heads", None)
    heads, about_heads = _own_heads(model, _pairs(named))
    note = " ".join(filter(None, (note, about_heads)))
    others |= {"processor": processor, "alignment_heads": heads}
    return replace(loaded, max_tokens=min(loaded.max_tokens, limit or loaded.max_tokens), note=note, **others)


def _first_of_sentence_transformer(model, tokenizer):
    """Return the model of transformers within a SentenceTransformer, its tokenizer, and the most tokens it reads.

    Of another model return what was given, and no limit.
    """
    first = next(model.children(), None)
    if hasattr(model, "encode") and hasattr(first, "auto_model") and hasattr(first, "tokenizer"):
        return first.auto_model, tokenizer or first.tokenizer, getattr(first, "max_seq_length", None)
    return model, tokenizer, None


def _config(folder, name):
    """Read the configuration of a model, refusing one that needs code of its own; say what else is to be known."""
    from huggingface_hub.errors import StrictDataclassFieldValidationError
    from transformers import CONFIG_MAPPING, AutoConfig, __version__

    written = model_files.of_folder(folder, name).json("config.json")
    configured_size.check_counts(written, name)
    _check_kinds(written, name)
    family = written.get("model_type") or _family(written)
    has_code, note = "auto_map" in written, ""
    if family is None:
        raise ModelError(_without_family(written, name))
    if family not in CONFIG_MAPPING:
        if has_code:
            raise ModelError(f"{name} needs Python code from its repository, and such code is never run here")
        other = f", though {family.lower()}" if family.lower() in CONFIG_MAPPING else ""
        raise ModelError(
            f"transformers knows no kind of model called {family}{other}, which {name} is "
            f"(version {__version__} is here)"
        )
    try:
        if written.get("model_type"):
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        else:
            config = CONFIG_MAPPING[family].from_pretrained(folder, local_files_only=True)
    except StrictDataclassFieldValidationError as error:
        raise ModelError(_wrong_field(error, name)) from error
    if not written.get("model_type"):
        note = f"Its config.json names no model_type; it was opened as {family}, by its architectures."
    if has_code:
        note = f"Code that its repository has for it was not run: it computes as transformers' own {family} does."
    # what is quantised was refused before; what is left may speak of a method that its weights are free of
    for part in (config, *(getattr(config, each, None) for each in config.sub_configs)):
        if getattr(part, "quantization_config", None) is not None:
            del part.quantization_config
    return config, note


def _check_kinds(written, name):
    """Refuse a configuration that says something in another form than transformers reads it."""
    for key, (kind, what) in _KINDS.items():
        if written.get(key) is not None and not isinstance(written[key], kind):
            raise ModelError(f"the config.json of {name} must have {what} as {key}, got {written[key]!r:.80}")


def _wrong_field(error, name):
    """Return the sentence for a field of a configuration that is of another type than its family's class says."""
    said = str(error)
    field = re.search(r"field '(\w+)'", said)
    one = re.search(r"expected (\w+), got \w+ \(value: (.*?)\)(?:$|\n)", said, re.DOTALL)
    several = re.search(r"with value (.*?) doesn't match any type in \((.*?)\)\.", said, re.DOTALL)
    if field is None or not (several or one):
        return f"the config.json of {name} cannot be used: {first_line(error)}"
    value, types = (several[1], re.findall(r"'(\w+)'", several[2])) if several else (one[2], [one[1]])
    words = list(dict.fromkeys(_TYPES[each] for each in types if each in _TYPES)) or ["something else"]
    return f"the config.json of {name} must have {' or '.join(words)} as {field[1]}, got {value:.80}"


def _family(written):
    """Return the family that a configuration without model_type is of, if its architectures tell."""
    from transformers.models.auto import modeling_auto

    tables = [getattr(modeling_auto, name) for name in vars(modeling_auto) if name.endswith("_MAPPING_NAMES")]
    wanted = [each for each in written.get("architectures") or () if isinstance(each, str)]
    found = {
        family
        for table in tables
        for family, classes in table.items()
        if set(wanted) & set(classes if isinstance(classes, tuple) else (classes,))
    }
    return found.pop() if len(found) == 1 else None


def _without_family(written, name):
    """Return the sentence for a configuration that names no family."""
    of = next((of for key, of in _OTHER_LIBRARIES.items() if key in written), None)
    if of:
        return f"{name} is a model for {of}, not for transformers: its config.json names no model_type"
    return f"the config.json of {name} must name a model_type that transformers knows, such as bert or llama"


def _readers(folder, config, name):
    """Load what makes inputs of a text, of a picture and of a sound; one of them must be there."""
    others = {"image_processor": _image_processor(folder), "feature_extractor": _feature_extractor(folder)}
    try:
        return _tokenizer(folder, config, name), others
    except ModelError:
        if not any(others.values()):
            raise
        return None, others


def _image_processor(folder):
    """Load what makes inputs of a picture with numpy and pillow, or return None."""
    return _preprocessor("AutoImageProcessor", folder, backend="pil")


def _feature_extractor(folder):
    """Load what makes inputs of a sound, or return None."""
    found = _preprocessor("AutoFeatureExtractor", folder)
    if found is None:
        return None
    from transformers import SequenceFeatureExtractor

    return found if isinstance(found, SequenceFeatureExtractor) else None


def _alignment_heads(folder):
    """Read which heads a checkpoint says follow a sound; transformers itself may leave that out."""
    try:
        return _pairs(json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))["alignment_heads"])
    except (OSError, ValueError, KeyError, TypeError):  # no such file, or it is about something else
        return ()


def _pairs(named):
    """Return layers and heads as pairs of numbers."""
    return tuple((int(block), int(head)) for block, head in named or ())


def _own_heads(model, pairs):
    """Return pairs of layer and head, and a note: none if the decoder lacks one, because they are another model's."""
    config = getattr(model, "config", None)
    layers, heads = (getattr(config, f"decoder_{name}", None) for name in ("layers", "attention_heads"))
    if layers is None or heads is None:
        return pairs, ""
    lost = [pair for pair in pairs if not (0 <= pair[0] < layers and 0 <= pair[1] < heads)]
    if not lost:
        return pairs, ""
    return (), (
        f"Its generation_config.json is that of another model: it names as an alignment head layer {lost[0][0] + 1}, "
        f"head {lost[0][1] + 1}, of {layers} layers with {heads} heads."
    )


def _processor(folder, family, parts):
    """Put together what makes inputs of a picture and a text, of its parts, or return None.

    Its part for films is left out: that wants a package of its own, also where there is no film.
    """
    try:
        whole = _processor_class(folder, family)
        class_of_parts = type(whole.__name__, (whole,), {"get_attributes": classmethod(_without_films)})
        written, _ = whole.get_processor_dict(folder, local_files_only=True)
        each = [copy.deepcopy(parts.get(name)) for name in whole.get_attributes()]  # it changes its tokenizer
        return class_of_parts.from_args_and_dict(each, written)
    except Exception:  # a processor is a program of its own, and a folder may say too little of it
        return None


def _without_films(processor_class):
    """Return what a processor is made of, less what reads films."""
    return [name for name in super(processor_class, processor_class).get_attributes() if name != "video_processor"]


def _processor_class(folder, family):
    """Return the class of a processor: as a file of the folder names it, or the usual one of the family."""
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES, processor_class_from_name

    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        with contextlib.suppress(OSError, ValueError):
            if named := json.loads((folder / file).read_text(encoding="utf-8")).get("processor_class"):
                return processor_class_from_name(named)
    return processor_class_from_name(PROCESSOR_MAPPING_NAMES[family])


def _preprocessor(auto, folder, **options):
    """Load what a folder says of its inputs, or return None, without the modules for it, which take long to import."""
    if not any((folder / file).is_file() for file in ("preprocessor_config.json", "processor_config.json")):
        return None
    import transformers

    try:
        return getattr(transformers, auto).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, TypeError, AttributeError, ImportError):
        return None  # the file is of another kind, or what it names needs more packages


def _tokenizer(folder, config, name):
    """Load the tokenizer of a model, refusing an empty one."""
    from transformers import AutoTokenizer

    files = {path.name for path in folder.iterdir()}
    for file in sorted(files & set(_OF_TOKENIZERS)):
        if what := model_files.no_file_itself(file, model_files.begins(folder / file)):
            raise ModelError(f"{name} cannot be opened: {what}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, config=config, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # missing files surface as OSError, ValueError, TypeError, ImportError ...
        raise ModelError(_without_tokenizer(folder, files, name, error)) from error
    try:
        tokenizer.unk_token_id  # noqa: B018  a word that is not known would be looked up for ever
    except RecursionError:
        raise ModelError(
            f"the tokenizer of {name} must know its token for words that it does not know, got "
            f"{tokenizer.unk_token!r:.80}"
        ) from None
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # what transformers makes of missing files
        raise ModelError(f"{name} has no tokenizer, so text cannot be given to it: {_SAVE_TOKENIZER}")
    return tokenizer


def _without_tokenizer(folder, files, name, error):
    """Return the sentence for a tokenizer that cannot be opened."""
    about = f"{name} has no tokenizer that can be opened, so text cannot be given to it"
    if not files & set(_OF_TOKENIZERS):
        return f"{about}: {_SAVE_TOKENIZER}"
    if package := re.search(r"(?:pip install|need to install) ([\w-]+)", str(error)):
        return f"{about}: it needs the Python package {package[1]} (pip install {package[1]})"
    for file in sorted(file for file in files & {*_OF_TOKENIZERS, "special_tokens_map.json"} if file.endswith(".json")):
        try:
            read = model_files.read_json((folder / file).read_bytes(), file, "it")
        except ModelError as problem:
            return f"{about}: {problem}"
        if not isinstance(read, dict):
            return f"{about}: its {file} must be an object with names in it, got {read!r:.80}"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        if "AutoTokenizer" in (said.get("auto_map") or {}):
            return f"{about}: it needs Python code from its repository, and such code is never run here"
    newer = f" (tokenizers {version('tokenizers')} is here)" if "did not match any variant" in str(error) else ""
    return f"{about}: {first_line(error)}{newer}"


def _model(folder, config, name):
    """Load the weights of a model, and say how far they filled it."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of the tensors, on the console; a download has its own
    found = catalogue.weights_in(folder, name)
    entries = found.entries
    config.transformers_weights = found.entry.name  # the file that was looked at, and no other
    with _building, torch.random.fork_rng(devices=[]), configured_size.shapes_without_sympy():
        torch.manual_seed(0)  # a pooler that the file lacks is drawn, and is the same each time
        model, info = _class(config).from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            attn_implementation="eager",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            key_mapping=weights_report.renaming(entries),
            adapter_kwargs={"subfolder": "none"},  # with PEFT installed, transformers would apply one by itself
            ignore_mismatched_sizes=True,  # refused below, with names and shapes
            output_loading_info=True,
        )
    model, report, note = weights_report.judge(model, info, entries, name)
    _require_numbers(model, name)
    return model, report._replace(number_types=safetensors_file.number_types(entries.values())), note


def _require_numbers(model, name):
    """Refuse a model with a weight that is no number: all that it computes would be none."""
    import torch

    for tensor, weights in model.named_parameters():
        if weights.numel() and torch.isnan(torch.aminmax(weights.detach()).max):
            count = int(torch.isnan(weights).sum())
            raise ModelError(
                f"the weights of {name} must be numbers, but {count:,} of the {weights.numel():,} of {tensor} are NaN"
            )


def _class(config):
    """Return the class to build a model with: one that predicts words or classes, if it was saved as one."""
    import transformers
    from transformers.models.auto import modeling_auto

    known = {
        transformers.AutoModelForCausalLM: modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        transformers.AutoModelForMaskedLM: modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        transformers.AutoModelForSeq2SeqLM: modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        transformers.AutoModelForImageTextToText: modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        transformers.AutoModelForSpeechSeq2Seq: modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
        transformers.AutoModelForSequenceClassification: modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
        transformers.AutoModelForTokenClassification: modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
        transformers.AutoModelForQuestionAnswering: modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    }
    saved_as = set(config.architectures or ())
    return next(
        (auto for auto, names in known.items() if names.get(config.model_type) in saved_as), transformers.AutoModel
    )


def _random_model(config):
    """Build a model of this configuration with weights drawn from a fixed seed."""
    import torch

    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _built(config).eval()


def _built(config):
    """Build a model of this configuration."""
    import torch

    return _class(config).from_config(config, dtype=torch.float32, attn_implementation="eager")


def _describe(model, tokenizer, name, where, random_weights):
    """Make a model recordable and read off what it is."""
    config = _text_config(model)
    num_heads = _number(config, "num_attention_heads") or torch_attention.num_heads_of(model)
    recordable = registry.install(model)
    if not recordable and not registry.has_attention(model):
        raise ModelError(f"there is no attention in {name}, which is a {_kind(model)} model")
    width = _number(config, "hidden_size")
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        name=name,
        where=where,
        family=_kind(model),
        num_layers=_num_layers(model, recordable),
        num_heads=num_heads,
        num_kv_heads=_number(config, "num_key_value_heads") or num_heads,
        d_k=_number(config, "head_dim") or _number(config, "d_kv") or (num_heads and width and width // num_heads),
        max_tokens=_max_tokens(model, tokenizer, num_heads or 1, recordable),
        recordable=recordable,
        random_weights=random_weights,
    )


def _num_layers(model, recordable):
    """Count the attention layers that one pass goes through."""
    config = _text_config(model)
    layers = _number(config, "num_hidden_layers") or 0
    shares_weights = hasattr(config, "num_hidden_groups")  # ALBERT passes one layer many times
    modules = (*registry.attention_modules(model), *torch_attention.modules_of(model))
    return layers if shares_weights or not recordable else len(modules)


def _kind(model):
    """Return the kind of model, as transformers names it; of another the name of its class."""
    return getattr(getattr(model, "config", None), "model_type", type(model).__name__)


def _max_tokens(model, tokenizer, num_heads, recordable):
    """Return the longest text, in tokens, that the model can read and that fits in memory."""
    config = _text_config(model)
    in_memory = _LONGEST if recordable and _can_be_fused(model) else math.isqrt(tiles.LARGEST // (4 * num_heads))
    longest = getattr(tokenizer, "model_max_length", None)
    if not isinstance(longest, int | float | None):
        raise ModelError(f"model_max_length of the tokenizer must be a number, got {longest!r:.80}")
    limits = [in_memory, longest, _number(config, "max_position_embeddings")]
    limits.append(_number(config, "max_target_positions"))  # of a decoder beside an encoder that reads no text
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            limits.append(len(module.weight) - module.padding_idx - 1)  # RoBERTa counts from there
    return int(min(limit for limit in limits if limit is not None and limit > 0))


def _can_be_fused(model):
    """Say whether a pass can do without the weights of all heads: no step and no bias needs them."""
    biased = hasattr(_text_config(model), "relative_attention_num_buckets")
    return getattr(model, "_supports_sdpa", False) and not biased


def _text_config(model):
    """Return the part of a configuration that is about text, or all of it where there is no one such part, if any."""
    config = getattr(model, "config", None)
    try:
        return config.get_text_config()
    except (ValueError, AttributeError):  # a model of several texts, or not of transformers
        return config


def _number(config, name):
    """Return a whole number of a configuration, or None."""
    try:
        value = getattr(config, name, None)
    except RuntimeError:  # each layer of this model has its own
        return None
    return value if isinstance(value, int) else None
