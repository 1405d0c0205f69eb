"""Tiny tokenizers of the class that a family names, trained on a few lines or made of files that are written here."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from attn.pretrained.errors import ModelError, first_line

if TYPE_CHECKING:
    import transformers

TEXT, PAIR = "the keys are near the door", "a table stands near"
_LINES = ["the keys are on the table", "a table stands near the door", "she reads a letter at noon"] * 20
_SIZE = 300  # pieces that a vocabulary has at most
_MARKS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "<mask>",
    "<|endoftext|>",
    "__null__",
    "__start__",
    "__end__",
    "__unk__",
)
# files without which a tokenizer works, too
_SPARE = ("tokenizer_file", "tokenizer_config_file", "target_vocab_file")


def tiny_tokenizer(family: str, folder: Path) -> transformers.PreTrainedTokenizerBase:
    """Build a tiny tokenizer of the class that transformers has for a family.

    Parameters
    ----------
    family
        A `model_type`. Where transformers names no class for it, any tokenizer.json may come with a model: then
        it is one of byte pairs.
    folder
        Where files are written.

    Raises
    ------
    ModelError
        If the class cannot be made without files of its own, or needs a package that is not installed.
    """
    import transformers
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    name = TOKENIZER_MAPPING_NAMES.get(family) or "TokenizersBackend"
    try:
        own = getattr(transformers, name)
        if own is transformers.TokenizersBackend:
            return own(tokenizer_object=_byte_pairs(), bos_token="<s>", eos_token="</s>", pad_token="<pad>")
        if name == "PegasusTokenizer":  # this and the next cannot be trained anew
            return own(vocab=[(piece, 0.0) for piece in _vocabulary()])
        if name == "SplinterTokenizer":
            return own(vocab={piece: place for place, piece in enumerate([*_vocabulary(), "[QUESTION]", "."])})
        if issubclass(own, transformers.TokenizersBackend):
            return own().train_new_from_iterator(_LINES, _SIZE)
        return own(**_files(own, folder))
    except Exception as error:  # whatever a family's constructor raises
        reason = first_line(error, 100)
        raise ModelError(f"{name} cannot be made here: {reason}") from error


def _byte_pairs():
    """Train byte pairs, with what stands before and after a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    options = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet(), "show_progress": False}
    trainer = trainers.BpeTrainer(vocab_size=_SIZE, special_tokens=["<s>", "</s>", "<pad>"], **options)
    tokenizer.train_from_iterator(_LINES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


def _files(own, folder):
    """Write the files that a tokenizer in Python reads, and return the arguments that name them."""
    given = {}
    for argument, file in (own.vocab_files_names or {}).items():
        if argument in _SPARE:
            continue
        path = folder / Path(file).name
        path.write_bytes(_content(path))
        given[argument] = str(path)
    return given


def _content(path):
    """Return what stands in a file, by its name."""
    if path.suffix in (".model", ".spm"):
        return _piece_model()
    if path.name.startswith(("merges", "bpe")):
        return b"#version: 0.2\nt h 1\nth e</w> 1\n"
    pieces = _vocabulary()
    if path.suffix == ".json":
        return json.dumps({piece: place for place, piece in enumerate(pieces)}).encode()
    return "\n".join(pieces).encode()


def _vocabulary():
    """Return pieces of every spelling: whole words, letters, those that end a word, and those of sentencepiece."""
    import sentencepiece

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [word for line in _LINES[:3] for word in line.split()]
    model = sentencepiece.SentencePieceProcessor(model_proto=_piece_model())
    pieces = [model.id_to_piece(place) for place in range(3, model.get_piece_size())]
    inside = [spelling.format(letter) for letter in letters for spelling in ("{}", "##{}", "{}</w>")]
    return list(dict.fromkeys([*_MARKS, *words, "the</w>", "th", *inside, *pieces]))


def _piece_model():
    """Train sentencepiece and return its model."""
    import sentencepiece

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_LINES), model_writer=made, vocab_size=60, model_type="bpe", minloglevel=2
    )
    return made.getvalue()
