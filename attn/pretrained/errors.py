"""The errors of the pretrained package, and the sentences for what can go wrong outside it."""

from __future__ import annotations


class ModelError(ValueError):
    """A model cannot be loaded, run or compared; the message is one sentence that says why."""


class NotCalledError(ModelError):
    """A pass called no attention layer, though the model has some that would be recorded or changed."""


def explain(error: Exception, name: str) -> ModelError:
    """Turn an error of huggingface_hub, transformers or safetensors into one sentence.

    Parameters
    ----------
    error
        What was raised. What it was raised from is looked at too, because transformers wraps.
    name
        The model as the user named it.
    """
    for cause in _chain(error):
        if isinstance(cause, ModelError):
            return cause
        for kind, sentence in _sentences():
            if isinstance(cause, kind):
                return ModelError(sentence.format(name=name, error=first_line(cause)))
        if type(cause).__module__.startswith("httpx"):  # the hub's client raises its own kinds
            return ModelError(f"{name} is not on this machine, and the hub cannot be reached")
    return ModelError(f"{name} cannot be opened: {first_line(error)}")


def _sentences():
    """Return pairs of an error and its sentence; the narrower kind comes first."""
    from huggingface_hub import errors as hub
    from safetensors import SafetensorError

    return [
        (hub.GatedRepoError, "{name} is gated: its owner lets only accounts in that asked on the hub"),
        (hub.DisabledRepoError, "{name} has been disabled on the hub"),
        (hub.RepositoryNotFoundError, "there is no public model called {name} on the hub"),
        (hub.HFValidationError, "a model must be named as on the hub (owner/name) or by a folder, got {name}"),
        (hub.OfflineModeIsEnabled, "{name} is not on this machine, and the hub is switched off (HF_HUB_OFFLINE)"),
        (hub.LocalEntryNotFoundError, "{name} is not on this machine, and the hub cannot be reached"),
        (hub.RemoteEntryNotFoundError, "a file of {name} is missing on the hub"),
        (hub.HfHubHTTPError, "the hub does not hand out {name}: {error}"),
        (SafetensorError, "the safetensors file of {name} is damaged or cut off: {error}"),
        (MemoryError, "there is not enough memory for {name}"),
    ]


def _chain(error):
    """Yield the error and what it was raised from, each once."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: Exception, limit: int = 200) -> str:
    """Return the first line of an error's message, cut to `limit` characters."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= limit else line[: limit - 1] + "…"
