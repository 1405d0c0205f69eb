"""Which ids a model has embeddings for: a tokenizer may know more tokens than the model that it came with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from attn.pretrained.errors import ModelError

if TYPE_CHECKING:
    import transformers

    from attn.pretrained.loading.load import Loaded

_IDS = ("input_ids", "decoder_input_ids")
_IN_PLACE = ("image", "video", "audio", "speech")  # of tokens in whose place a model puts something else


def check_ids(loaded: Loaded, inputs: Mapping[str, Any]) -> None:
    """Refuse ids that a model has no embedding for, before it is run.

    Parameters
    ----------
    loaded
    inputs
        Name -> tensor.

    Raises
    ------
    ModelError
        With the token, its id and the number of embeddings. Tokens are added to a tokenizer without resizing the
        embeddings of its model often enough.
    """
    for name in _IDS:
        ids = inputs.get(name)
        rows = None if ids is None else embedding_rows(loaded.model, decoder=name == _IDS[1])
        if ids is None or rows is None or ids.ndim != 2:
            continue
        wrong = [id for id in ids[(ids < 0) | (ids >= rows)].tolist() if id not in _replaced(loaded.model.config)]
        if wrong:
            known = loaded.tokenizer is not None and wrong[0] >= 0
            with loaded.lock:
                token = loaded.tokenizer.convert_ids_to_tokens(wrong[0]) if known else None
            raise ModelError(sentence(loaded.name, token, wrong[0], rows))


def sentence(name: str, token: str | None, id: int, rows: int) -> str:
    """Return what to say of a token that a model has no embedding for.

    Parameters
    ----------
    name
        Of the model.
    token
        None where the tokenizer does not know the id either.
    id
    rows
        How many embeddings there are.
    """
    has_none = f"has no embedding in {name}, which has {rows:,} (ids 0 to {rows - 1:,})"
    if token is None:
        return f"the id {id:,} {has_none}"
    return (
        f"the token “{token}” (id {id:,}) {has_none}: tokens that are added to a tokenizer need "
        "model.resize_token_embeddings(len(tokenizer)) and training"
    )


def without_embeddings(model: transformers.PreTrainedModel, tokenizer: Any) -> str:
    """Return a sentence on the tokens of a tokenizer that a model cannot read; empty where there are none."""
    rows = embedding_rows(model)
    if tokenizer is None or rows is None:
        return ""
    return about_tokens_beyond(tokenizer.get_vocab(), rows, _replaced(model.config))


def about_tokens_beyond(known: Mapping[str, int], rows: int, replaced: Collection[int] = ()) -> str:
    """Return a sentence on tokens that have no embedding; empty where there are none.

    Parameters
    ----------
    known
        Token -> id, of a tokenizer.
    rows
        How many embeddings there are.
    replaced
        Ids of tokens in whose place a model puts something else.
    """
    beyond = sorted((id, token) for token, id in known.items() if id >= rows and id not in replaced)
    if not beyond:
        return ""
    many = f"{len(beyond):,} tokens" if len(beyond) > 1 else "one token"
    return (
        f"Its tokenizer knows {many} that the model has no embedding for, such as “{beyond[0][1]}” with the id "
        f"{beyond[0][0]:,} where there are {rows:,}: a text that holds one is refused."
    )


def embedding_rows(model: transformers.PreTrainedModel, *, decoder: bool = False) -> int | None:
    """Return how many tokens a model has embeddings for, in its decoder or where it reads first; None if unknown."""
    from torch.nn import Embedding

    try:
        found = (model.get_decoder() if decoder else model).get_input_embeddings()
    except (AttributeError, NotImplementedError, TypeError):
        found = None
    if not isinstance(found, Embedding):  # a model of pictures and texts may name what reads its pictures
        size = _text_size(model)
        tables = [module for module in model.modules() if isinstance(module, Embedding)]
        found = next((table for table in tables if table.num_embeddings == size), None)
    return None if found is None else found.num_embeddings


def _text_size(model):
    """Return the size of a vocabulary by the configuration; None of torch's own modules and of a model of two texts."""
    try:
        return getattr(model.config.get_text_config(), "vocab_size", None)
    except (AttributeError, ValueError):
        return None


def _replaced(config):
    """Return the ids of tokens in whose place a model puts what it sees or hears."""
    said = {name: getattr(config, name, None) for name in vars(config) if name.endswith(("token_id", "token_index"))}
    return {id for name, id in said.items() if isinstance(id, int) and any(part in name for part in _IN_PLACE)}
